//! `deltadesk sql`: queries on the lake, typed, piped or in a shell.
//!
//! Reads only: anything that would change data, tables or settings is refused, and the lake is
//! opened without the writer's lease. Every table stands at one version for the whole call.

mod completion;
mod door;
mod fault;
mod open;
mod output;
mod shell;
mod statements;

use std::io::{IsTerminal as _, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;

use crate::desk::home::Home;
use crate::market::Timestamp;

pub use fault::{between, nearest, place_in};
pub use open::{OpenLake, runtime};
pub use output::{Format, aligned, as_json, say};

use output::{Sink, stdout};

/// What was typed.
#[derive(Debug, Args)]
pub struct Typed {
    /// A query, or several with `;` between them; without one, a shell, or in a pipe the statements
    /// of standard input.
    query: Option<String>,
    /// How rows are written; parquet needs --out.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// The file to write; without it, standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The lake as it was known then: 2026-03-02T15:00:00Z, or a date for that day's end (UTC).
    #[arg(long, value_name = "TS", value_parser = instant)]
    as_of: Option<Timestamp>,
    /// Answer PostgreSQL clients (psql, DBeaver, Grafana) on a loopback address until ended:
    /// 127.0.0.1:5433. The password is read from the home's file sql_password.
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["query", "out", "as_of"])]
    listen: Option<SocketAddr>,
}

impl Typed {
    pub fn run(self, home: Option<PathBuf>) -> anyhow::Result<()> {
        let home = Home::choose(home, Path::new("desk"));
        if self.format == Format::Parquet && self.out.is_none() {
            bail!("parquet is no text; name a file: --format parquet --out rows.parquet");
        }
        if let Some(address) = self.listen {
            return door::run(&home, address);
        }
        let interactive = self.query.is_none() && std::io::stdin().is_terminal();
        let lake = OpenLake::open(&home, self.as_of)?;
        if interactive {
            return shell::run(lake, &home, (self.format, self.as_of));
        }
        let text = match self.query {
            Some(query) => query,
            None => from_pipe()?,
        };
        let statements = statements::split(&text);
        match (statements.as_slice(), &self.out) {
            ([], _) => bail!("there is no statement; write for example: select * from ops.orders"),
            ([only], Some(path)) => to_file(&lake, only, (self.format, path)),
            (_, Some(_)) => {
                bail!("--out takes the rows of one statement; write them one at a time")
            }
            (all, None) => all.iter().try_for_each(|sql| to_terminal(&lake, sql, self.format)),
        }
    }
}

fn from_pipe() -> anyhow::Result<String> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("standard input cannot be read as text")?;
    Ok(text)
}

/// Rows to standard output; how many, to standard error where somebody looks.
fn to_terminal(lake: &OpenLake, sql: &str, format: Format) -> anyhow::Result<()> {
    let rows = lake.stream(sql, |schema| Sink::begin(format, schema, stdout()))?;
    if std::io::stderr().is_terminal() {
        eprintln!("{rows} {}", if rows == 1 { "row" } else { "rows" });
    }
    Ok(())
}

/// Rows to a file, which appears when it is whole.
fn to_file(lake: &OpenLake, sql: &str, (format, path): (Format, &Path)) -> anyhow::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    let beside = PathBuf::from(beside);
    let file = std::fs::File::create(&beside)
        .with_context(|| format!("{} cannot be written", beside.display()))?;
    let written = lake
        .stream(sql, |schema| Sink::begin(format, schema, Box::new(std::io::BufWriter::new(file))));
    let rows = match written {
        Ok(rows) => rows,
        Err(error) => {
            // The error that is told is the query's; a part that stays behind is named as one.
            let _ = std::fs::remove_file(&beside);
            return Err(error);
        }
    };
    std::fs::rename(&beside, path)
        .with_context(|| format!("{} cannot be written", path.display()))?;
    if std::io::stderr().is_terminal() {
        eprintln!("{rows} rows in {}", path.display());
    }
    Ok(())
}

/// An instant as somebody types it: RFC 3339, the same without a zone (then UTC), or a date, which
/// means its last microsecond in UTC.
pub fn instant(text: &str) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let formats =
        ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];
    let plain = formats
        .iter()
        .find_map(|format| chrono::NaiveDateTime::parse_from_str(text, format).ok())
        .or_else(|| text.parse::<chrono::NaiveDate>().ok()?.and_hms_micro_opt(23, 59, 59, 999_999));
    plain.map(|at| at.and_utc()).ok_or_else(|| {
        format!("`{text}` is no instant; write 2026-03-02T15:00:00Z, or 2026-03-02 for its end")
    })
}

/// An instant as people at a desk in New York read it.
pub fn instant_text(at: Timestamp) -> String {
    let local = at.with_timezone(&chrono_tz::America::New_York);
    format!("{} UTC ({} New York)", at.format("%Y-%m-%d %H:%M:%S"), local.format("%H:%M"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_as_typed() {
        let noon = "2026-03-02T12:00:00Z".parse::<Timestamp>().unwrap();
        for text in ["2026-03-02T12:00:00Z", "2026-03-02T07:00:00-05:00", "2026-03-02 12:00"] {
            assert_eq!(instant(text), Ok(noon), "{text}");
        }
        let end = instant("2026-03-02").unwrap();
        assert_eq!(end.to_rfc3339(), "2026-03-02T23:59:59.999999+00:00");
        assert!(instant("noon").is_err());
        assert_eq!(instant_text(noon), "2026-03-02 12:00:00 UTC (07:00 New York)");
    }
}
