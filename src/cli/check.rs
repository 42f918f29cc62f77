//! `deltadesk check`: everything that a run needs, each OK or what to do.
//!
//! Looks, and changes nothing. Exit status 1 if anything is not OK.

mod broker;
mod lake;
mod models;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;

use super::sql::say;
use crate::desk::demo::DemoMark;
use crate::desk::files::{self, Origin};
use crate::desk::home::Home;
use crate::desk::settings::{BrokerKind, OrderMode, Settings};
use crate::desk::{faults_error, reference, step_list};
use crate::journal::Journal;
use crate::market::sessions::{FIRST_DATE, LAST_DATE, Venue};
use crate::market::{Clock as _, Timestamp, WallClock};
use crate::pipeline::Files;
use crate::pipeline::step::read_pipelines;
use crate::schedule::Jobs;

/// What was typed.
#[derive(Debug, Args)]
pub struct Typed {}

/// One line of the answer: what is there, or each thing that is wrong with it.
enum Found {
    Sound(String),
    Faulty(Vec<String>),
}

impl Found {
    fn of(sound: String, faults: Vec<String>) -> Self {
        if faults.is_empty() { Self::Sound(sound) } else { Self::Faulty(faults) }
    }
}

impl Typed {
    pub fn run(self, home: Option<PathBuf>) -> anyhow::Result<()> {
        let Self {} = self;
        let home = Home::choose(home, Path::new("desk"));
        let now = WallClock.now();
        let mut faulty = Vec::new();
        let mut tell = |part: &'static str, found: Found| match found {
            Found::Sound(text) => say(&format!("OK      {part:<10} {text}\n")),
            Found::Faulty(faults) => {
                faulty.push(part);
                let line = |fault: &String| {
                    let fault = fault.replace('\n', "\n                   ");
                    format!("NOT OK  {part:<10} {fault}\n")
                };
                say(&faults.iter().map(line).collect::<String>())
            }
        };
        tell("home", home_found(&home))?;
        match files::of_home(home.root()) {
            Err(error) => tell(
                "files",
                Found::Faulty(vec![format!("{error}; make it readable text, or move it away")]),
            )?,
            Ok((set, origins)) => {
                let settings = Settings::read(&set);
                tell("files", files_found(&home, &origins, settings.as_ref().ok()))?;
                tell("settings", settings_found(settings.as_ref()))?;
                tell("jobs", jobs_found(&set))?;
                tell("pipelines", pipelines_found(&set))?;
                tell("sql", models::found(&set, settings.as_ref().ok(), &home))?;
                tell("reference", reference_found(&set, settings.as_ref().ok(), now))?;
                tell("calendar", calendar_found(&set, now))?;
                if let Ok(settings) = &settings {
                    tell("broker", broker::found(settings))?;
                }
            }
        }
        tell("lake", lake::found(&home))?;
        tell("journal", journal_found(&home))?;
        if !faulty.is_empty() {
            bail!("not OK: {}; what to do stands beside each", faulty.join(", "));
        }
        Ok(())
    }
}

fn home_found(home: &Home) -> Found {
    let root = home.root().display();
    if !home.root().is_dir() {
        let fault = format!(
            "{root} is no folder; `deltadesk init {root}` lays out a home, or name one with --home"
        );
        return Found::Faulty(vec![fault]);
    }
    let path = home.demo_mark();
    if !path.exists() {
        return Found::Sound(root.to_string());
    }
    let mark = std::fs::read_to_string(&path)
        .map_err(|error| error.to_string())
        .and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()));
    match mark {
        Ok(DemoMark { market, seed, from, .. }) => {
            Found::Sound(format!("{root}, a demo of {market} with seed {seed} from {from}"))
        }
        Err(problem) => Found::Faulty(vec![format!(
            "{} is damaged ({problem}); run the demo in a new --home",
            path.display()
        )]),
    }
}

/// Where the files come from. What trades at IB lies whole in its home.
fn files_found(home: &Home, origins: &[(String, Origin)], settings: Option<&Settings>) -> Found {
    let at_ib = settings.is_some_and(|settings| settings.desk.broker == BrokerKind::Ib);
    let lacks = files::lacks(home.root(), origins).filter(|_| at_ib);
    Found::of(origins_text(origins), lacks.into_iter().collect())
}

/// Parts that come from the same place together: `deltadesk.toml edited; jobs.toml, sql shipped`.
fn origins_text(origins: &[(String, Origin)]) -> String {
    let each = [Origin::Edited, Origin::Unedited, Origin::Shipped].into_iter();
    let texts = each.filter_map(|origin| {
        let parts: Vec<&str> = origins
            .iter()
            .filter(|(_, found)| *found == origin)
            .map(|(part, _)| part.as_str())
            .collect();
        (!parts.is_empty()).then(|| format!("{}: {}", origin.as_str(), parts.join(", ")))
    });
    texts.collect::<Vec<_>>().join("; ")
}

fn settings_found(settings: Result<&Settings, &Vec<crate::pipeline::FileFault>>) -> Found {
    match settings {
        Err(faults) => Found::Faulty(faults.iter().map(ToString::to_string).collect()),
        Ok(settings) => {
            let broker = match settings.desk.broker {
                BrokerKind::Paper => format!("paper account {}", settings.paper.account_id),
                BrokerKind::Ib => format!(
                    "{} account {} at IB",
                    settings.ib.account_kind.as_str(),
                    settings.ib.account_id
                ),
            };
            let orders = match settings.desk.orders {
                OrderMode::Observe => "orders are observed, not sent",
                OrderMode::Send => "orders are sent",
            };
            let capital = settings.desk.capital_usd;
            Found::Sound(format!("{broker}, {orders}, capital at most {capital:.0} USD"))
        }
    }
}

fn jobs_found(set: &Files) -> Found {
    let text = set.get("jobs.toml").map_or("", String::as_str);
    let jobs = match Jobs::parse("jobs.toml", text) {
        Ok(jobs) => jobs,
        Err(faults) => {
            return Found::Faulty(faults.as_slice().iter().map(ToString::to_string).collect());
        }
    };
    let pipelines: BTreeSet<String> = set
        .keys()
        .filter_map(|path| path.strip_prefix("pipelines/")?.strip_suffix(".toml"))
        .map(str::to_owned)
        .collect();
    let faults = match jobs.check_pipelines(&pipelines) {
        Ok(()) => Vec::new(),
        Err(faults) => faults.as_slice().iter().map(ToString::to_string).collect(),
    };
    Found::of(
        format!("{} jobs; `deltadesk jobs next` says what comes", jobs.iter().count()),
        faults,
    )
}

fn pipelines_found(set: &Files) -> Found {
    match read_pipelines(set, &step_list::STEPS) {
        Ok(pipelines) => Found::Sound(format!("{} pipelines", pipelines.len())),
        Err(faults) => Found::Faulty(faults.iter().map(ToString::to_string).collect()),
    }
}

/// Reference files are read, and where they end is said. Only a live broker trades on them.
fn reference_found(set: &Files, settings: Option<&Settings>, now: Timestamp) -> Found {
    let paths: Vec<&String> = set.keys().filter(|path| path.starts_with("reference/")).collect();
    let unread = [
        reference::dividends(set).err(),
        reference::rates(set).err(),
        reference::events(set).err(),
    ];
    let unread: Vec<String> =
        unread.into_iter().flatten().flatten().map(|fault| fault.to_string()).collect();
    if !unread.is_empty() {
        return Found::Faulty(unread);
    }
    let today = now.date_naive();
    let mut notes = Vec::new();
    let mut faults = Vec::new();
    for path in &paths {
        let text = set.get(*path).map_or("", String::as_str);
        match valid_through(text) {
            Ok(None) if text.lines().next().is_some_and(is_dated) => {
                let fault = format!("{path} is empty; add rows, each with its source");
                match settings.map(|settings| settings.desk.broker) {
                    Some(BrokerKind::Paper) | None => notes.push(format!("{fault} for live use")),
                    Some(BrokerKind::Ib) => faults.push(fault),
                }
            }
            Ok(None) => {}
            Ok(Some(last)) if last >= today => notes.push(format!("{path} valid through {last}")),
            Ok(Some(last)) => {
                let fault = format!("{path}: nothing in it is valid after {last}; add newer rows");
                match settings.map(|settings| settings.desk.broker) {
                    Some(BrokerKind::Paper) | None => notes.push(format!("{fault} for live use")),
                    Some(BrokerKind::Ib) => faults.push(fault),
                }
            }
            Err((line, problem)) => faults.push(format!("{path}:{line}: {problem}")),
        }
    }
    notes.insert(0, format!("{} files", paths.len()));
    Found::of(notes.join("; "), faults)
}

/// Whether rows under this header say how long they are valid.
fn is_dated(header: &str) -> bool {
    header.rsplit(',').next() == Some("valid_through")
}

/// The latest `valid_through` of a file whose last column it is; `None` where it has none.
fn valid_through(text: &str) -> Result<Option<chrono::NaiveDate>, (usize, String)> {
    let mut lines = text.lines().enumerate();
    if !lines.next().is_some_and(|(_, header)| is_dated(header)) {
        return Ok(None);
    }
    let mut last = None;
    for (index, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        let field = line.rsplit(',').next().unwrap_or_default().trim();
        let date = field.parse::<chrono::NaiveDate>().map_err(|_| {
            (index + 1, format!("valid_through `{field}` is no date; write YYYY-MM-DD"))
        })?;
        last = last.max(Some(date));
    }
    Ok(last)
}

fn calendar_found(set: &Files, now: Timestamp) -> Found {
    let next = reference::calendar(set)
        .map_err(faults_error)
        .and_then(|calendar| Ok(calendar.next_session(Venue::Xnys, now.date_naive())?));
    match next {
        Ok(next) => Found::Sound(format!(
            "{FIRST_DATE} to {LAST_DATE}; the next XNYS session after today is {}",
            next.session_date
        )),
        Err(error) => Found::Faulty(vec![format!("{error:#}")]),
    }
}

fn journal_found(home: &Home) -> Found {
    let path = home.state_db();
    if !path.exists() {
        return Found::Sound("none yet; the first run makes it".to_owned());
    }
    let orders = Journal::open(&path)
        .and_then(|journal| Ok((journal.open_orders()?.len(), journal.open_strategies()?.len())));
    match orders {
        Ok((orders, strategies)) => Found::Sound(format!(
            "state.db, {strategies} open strategies, {orders} orders not finished"
        )),
        Err(error) => Found::Faulty(vec![format!(
            "{}: {error}; restore it from a backup, or, in a home of `deltadesk demo`, delete it: \
             the demo recomputes it",
            path.display()
        )]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_date_of_a_reference_file_is_found() {
        let text = "a,source,valid_through\n1,\"x, y\",2026-03-20\n2,z,2026-06-20\n";
        assert_eq!(valid_through(text), Ok("2026-06-20".parse().ok()));
        assert_eq!(valid_through("a,b\n1,2\n"), Ok(None));
        let broken = valid_through("a,valid_through\n1,soon\n").unwrap_err();
        assert_eq!(broken.0, 2);
    }

    #[test]
    fn parts_of_one_origin_stand_together() {
        let origins = [
            ("deltadesk.toml".to_owned(), Origin::Edited),
            ("jobs.toml".to_owned(), Origin::Shipped),
            ("sql".to_owned(), Origin::Shipped),
        ];
        assert_eq!(
            origins_text(&origins),
            "in the home, edited: deltadesk.toml; shipped: jobs.toml, sql"
        );
    }
}
