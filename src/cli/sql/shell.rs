//! The shell: statements until `;`, and a few commands that begin with a backslash.

use anyhow::Context as _;
use clap::ValueEnum as _;
use rustyline::Editor;
use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;

use super::completion::Words;

use super::fault::nearest;
use super::output::aligned;
use super::{Format, OpenLake, statements, to_terminal};
use crate::desk::home::Home;
use crate::lake::arrow::datatypes::{DataType, Field};
use crate::lake::{TableName, new_session};
use crate::market::Timestamp;
use crate::market::clock::Stopwatch;

const HELP: &str = "  select ..;   a query; it ends with a semicolon
  \\d           tables and their versions
  \\d TABLE     columns of a table
  \\df          every function; \\df TEXT those whose name has it
  \\f FORMAT    how rows are shown: table, csv or json
  \\timing      how long each statement takes, or no more
  \\r           the lake's newest versions
  \\q           leave (also Ctrl-D)";

/// Reads and answers until the user leaves. An error is told, and the shell goes on.
pub fn run(
    lake: OpenLake,
    home: &Home,
    (format, as_of): (Format, Option<Timestamp>),
) -> anyhow::Result<()> {
    let mut shell = Shell { lake, format, timing: Timing::Untold };
    let history = home.root().join("sql_history");
    let mut editor = Editor::<Words, DefaultHistory>::new()
        .context("the terminal cannot be used for editing")?;
    editor.set_helper(Some(shell.words()?));
    if history.exists() {
        editor
            .load_history(&history)
            .with_context(|| format!("{} cannot be read; delete it", history.display()))?;
    }
    let tables = shell.lake.versions().len();
    println!("{tables} tables, read only. \\d lists them, \\? helps, \\q leaves.");
    let mut typed = String::new();
    loop {
        let line = match editor.readline(if typed.is_empty() { "sql> " } else { "  -> " }) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => {
                typed.clear();
                continue;
            }
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error).context("the terminal cannot be read"),
        };
        if typed.is_empty() && line.trim_start().starts_with('\\') {
            editor.add_history_entry(line.trim())?;
            match line.trim() {
                "\\q" => break,
                "\\r" => match OpenLake::open(home, as_of) {
                    Ok(newer) => {
                        shell.lake = newer;
                        let tables = shell.lake.versions().len();
                        println!("{tables} tables, each at its newest version");
                        editor.set_helper(Some(shell.words()?));
                    }
                    Err(error) => eprintln!("error: {error:#}"),
                },
                command => told(shell.obey(command)),
            }
            continue;
        }
        typed.push_str(&line);
        typed.push('\n');
        if typed.trim().is_empty() {
            typed.clear();
        } else if typed.trim_end().ends_with(';') {
            editor.add_history_entry(typed.trim())?;
            let sql = std::mem::take(&mut typed);
            let mut each = statements::split(&sql).into_iter();
            told(each.try_for_each(|statement| shell.answer(&statement)));
        }
    }
    editor
        .save_history(&history)
        .with_context(|| format!("{} cannot be written", history.display()))
}

fn told(outcome: anyhow::Result<()>) {
    if let Err(error) = outcome {
        eprintln!("error: {error:#}");
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timing {
    Told,
    Untold,
}

/// What the shell asks, and how it shows what it hears.
struct Shell {
    lake: OpenLake,
    format: Format,
    timing: Timing,
}

impl Shell {
    /// What Tab completes to.
    fn words(&self) -> anyhow::Result<Words> {
        let tables = self.lake.versions().keys().map(ToString::to_string);
        let commands = ["\\d", "\\df", "\\f", "\\timing", "\\r", "\\q"].map(str::to_owned);
        let functions =
            new_session()?.state().scalar_functions().keys().cloned().collect::<Vec<_>>();
        Ok(Words::with(tables.chain(commands).chain(functions)))
    }

    fn answer(&self, statement: &str) -> anyhow::Result<()> {
        let stopwatch = Stopwatch::start();
        to_terminal(&self.lake, statement, self.format)?;
        if self.timing == Timing::Told {
            println!("{:.3} s", stopwatch.elapsed_seconds());
        }
        Ok(())
    }

    fn obey(&mut self, command: &str) -> anyhow::Result<()> {
        match command.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["\\timing"] => {
                let (timing, said) = match self.timing {
                    Timing::Told => (Timing::Untold, "times are no longer told"),
                    Timing::Untold => (Timing::Told, "each statement's time is told"),
                };
                self.timing = timing;
                println!("{said}");
                Ok(())
            }
            ["\\f", name] => match Format::from_str(name, true) {
                Ok(Format::Parquet) | Err(_) => {
                    anyhow::bail!("rows are shown as table, csv or json, not as {name}")
                }
                Ok(format) => {
                    self.format = format;
                    Ok(())
                }
            },
            ["\\df"] => self.answer(&functions("")),
            ["\\df", text] => self.answer(&functions(text)),
            _ => describe(&self.lake, command),
        }
    }
}

/// The functions whose name has a text.
fn functions(text: &str) -> String {
    let text = text.trim_end_matches(';').replace('\'', "''");
    format!(
        "select distinct syntax_example as usage, description from information_schema.routines
         where strpos(lower(routine_name), lower('{text}')) > 0 order by usage"
    )
}

fn describe(lake: &OpenLake, command: &str) -> anyhow::Result<()> {
    match command.split_whitespace().collect::<Vec<_>>().as_slice() {
        ["\\d"] => {
            let rows = lake.versions().iter();
            let rows: Vec<_> =
                rows.map(|(table, version)| vec![table.to_string(), version.to_string()]).collect();
            print!("{}", aligned(&["table", "version"], &rows));
        }
        ["\\d", name] => {
            let known: Vec<String> = lake.versions().keys().map(ToString::to_string).collect();
            let name = name.trim_end_matches(';');
            let Some(table) = lake.versions().keys().find(|table| table.to_string() == name) else {
                let meant = nearest(name, known.iter().map(String::as_str));
                let meant = meant.unwrap_or_else(|| "\\d, which lists them".to_owned());
                anyhow::bail!("no table is called {name}; try {meant}");
            };
            print!("{}", columns_text(lake, table)?);
        }
        _ => println!("{HELP}"),
    }
    Ok(())
}

fn columns_text(lake: &OpenLake, table: &TableName) -> anyhow::Result<String> {
    let schema = lake.columns(table)?;
    let rows: Vec<_> = schema
        .fields()
        .iter()
        .map(|field| vec![field.name().clone(), kind_text(field.data_type())])
        .collect();
    Ok(aligned(&["column", "type"], &rows))
}

/// A column's type in the words of SQL.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "types that the lake does not store keep Arrow's"
)]
fn kind_text(kind: &DataType) -> String {
    let part = |field: &Field| format!("{} {}", field.name(), kind_text(field.data_type()));
    match kind {
        DataType::Utf8 => "varchar".to_owned(),
        DataType::Int64 => "bigint".to_owned(),
        DataType::Int32 => "int".to_owned(),
        DataType::Int16 => "smallint".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Timestamp(_, Some(zone)) => format!("timestamp ({zone})"),
        DataType::Decimal128(digits, places) => format!("decimal({digits}, {places})"),
        DataType::List(item) => format!("list of {}", kind_text(item.data_type())),
        DataType::Struct(fields) => {
            let parts: Vec<String> = fields.iter().map(|field| part(field)).collect();
            format!("struct ({})", parts.join(", "))
        }
        other => other.to_string(),
    }
}
