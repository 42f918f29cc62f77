//! `jobs.toml` as it is written: what somebody typed, each value with its line, nothing yet
//! checked but its kind. Unknown keys, wrong kinds and faults of syntax are all collected.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::Fault;

/// A value and the line it stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lined<T> {
    pub value: T,
    pub line: usize,
}

pub(super) type Text = Option<Lined<String>>;

/// What both `[defaults]` and a job may say.
#[derive(Debug, Default)]
pub(super) struct WrittenPolicy {
    pub timezone: Text,
    pub timeout: Text,
    pub retries: Option<Lined<i64>>,
    pub backoff: Option<WrittenBackoff>,
    pub overlap: Text,
    pub misfire: Text,
    pub catchup_window: Text,
}

#[derive(Debug)]
pub(super) struct WrittenBackoff {
    pub line: usize,
    pub first: Text,
    pub max: Text,
}

#[derive(Debug)]
pub(super) struct WrittenJob {
    pub name: Lined<String>,
    pub pipeline: Text,
    pub cron: Text,
    pub at: Text,
    pub every: Text,
    pub from: Text,
    pub to: Text,
    pub calendar: Text,
    pub outside: Text,
    pub on_demand: Option<Lined<bool>>,
    pub trigger_after: Option<Lined<Vec<String>>>,
    pub priority: Option<Lined<i64>>,
    pub policy: WrittenPolicy,
}

#[derive(Debug, Default)]
pub(super) struct WrittenJobs {
    pub late_after: Text,
    pub defaults: WrittenPolicy,
    pub jobs: Vec<WrittenJob>,
}

/// The faults found so far in one file.
pub(super) struct FaultList<'a> {
    file: &'a str,
    text: &'a str,
    pub found: Vec<Fault>,
}

impl<'a> FaultList<'a> {
    pub fn new(file: &'a str, text: &'a str) -> Self {
        Self { file, text, found: Vec::new() }
    }

    fn line_of(&self, span: &Range<usize>) -> usize {
        let before = self.text.bytes().take(span.start);
        1 + before.filter(|byte| *byte == b'\n').count()
    }

    /// Whether something is wrong with a key already.
    pub fn has(&self, key: &str) -> bool {
        self.found.iter().any(|fault| fault.key == key)
    }

    pub fn add(&mut self, line: usize, key: &str, (problem, remedy): (String, &str)) {
        let (file, key, remedy) = (self.file.to_owned(), key.to_owned(), remedy.to_owned());
        self.found.push(Fault { file, line, key, problem, remedy });
    }
}

pub(super) fn read(text: &str, faults: &mut FaultList<'_>) -> WrittenJobs {
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let line = error.span().map_or(1, |span| faults.line_of(&span));
        faults.add(line, "(syntax)", (error.message().to_owned(), "write it as TOML 1.0 has it"));
    }
    let mut keys = Keys::new(String::new(), 1, root.get_ref());
    let late_after = keys.text("late_after", faults);
    let defaults =
        keys.table("defaults", faults).map_or_else(WrittenPolicy::default, |mut table| {
            let policy = policy(&mut table, faults);
            table.finish(faults);
            policy
        });
    let jobs = keys.table("jobs", faults).map_or_else(Vec::new, |table| jobs(&table, faults));
    keys.finish(faults);
    WrittenJobs { late_after, defaults, jobs }
}

fn jobs(table: &Keys<'_>, faults: &mut FaultList<'_>) -> Vec<WrittenJob> {
    let mut jobs = Vec::new();
    for (name, value) in table.entries {
        let line = faults.line_of(&name.span());
        let path = format!("jobs.{}", name.get_ref());
        match value.get_ref().as_table() {
            Some(entries) => {
                let name = Lined { value: name.get_ref().to_string(), line };
                jobs.push(job(name, Keys::new(path, line, entries), faults));
            }
            None => faults.add(line, &path, wrong_kind(value, "a table: [jobs.NAME]")),
        }
    }
    jobs
}

fn job(name: Lined<String>, mut keys: Keys<'_>, faults: &mut FaultList<'_>) -> WrittenJob {
    let job = WrittenJob {
        name,
        pipeline: keys.text("pipeline", faults),
        cron: keys.text("cron", faults),
        at: keys.text("at", faults),
        every: keys.text("every", faults),
        from: keys.text("from", faults),
        to: keys.text("to", faults),
        calendar: keys.text("calendar", faults),
        outside: keys.text("outside", faults),
        on_demand: keys.flag("on_demand", faults),
        trigger_after: keys.texts("trigger_after", faults),
        priority: keys.whole("priority", faults),
        policy: policy(&mut keys, faults),
    };
    keys.finish(faults);
    job
}

fn policy(keys: &mut Keys<'_>, faults: &mut FaultList<'_>) -> WrittenPolicy {
    WrittenPolicy {
        timezone: keys.text("timezone", faults),
        timeout: keys.text("timeout", faults),
        retries: keys.whole("retries", faults),
        backoff: keys.table("backoff", faults).map(|mut table| {
            let line = table.line;
            let (first, max) = (table.text("first", faults), table.text("max", faults));
            table.finish(faults);
            WrittenBackoff { line, first, max }
        }),
        overlap: keys.text("overlap", faults),
        misfire: keys.text("misfire", faults),
        catchup_window: keys.text("catchup_window", faults),
    }
}

/// One table, and the keys that were asked of it.
struct Keys<'t> {
    path: String,
    line: usize,
    entries: &'t DeTable<'t>,
    asked: Vec<&'static str>,
}

impl<'t> Keys<'t> {
    fn new(path: String, line: usize, entries: &'t DeTable<'t>) -> Self {
        Self { path, line, entries, asked: Vec::new() }
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The value of a key, if it is there and `kind` reads it.
    fn read<T>(
        &mut self,
        key: &'static str,
        faults: &mut FaultList<'_>,
        (remedy, kind): (&str, impl FnOnce(&'t DeValue<'t>) -> Option<T>),
    ) -> Option<Lined<T>> {
        self.asked.push(key);
        let (name, value) = self.entries.iter().find(|(name, _)| name.get_ref() == key)?;
        let line = faults.line_of(&name.span());
        let read = kind(value.get_ref());
        if read.is_none() {
            faults.add(line, &self.path_of(key), wrong_kind(value, remedy));
        }
        read.map(|value| Lined { value, line })
    }

    fn text(&mut self, key: &'static str, faults: &mut FaultList<'_>) -> Text {
        let kind = |value: &DeValue<'_>| value.as_str().map(str::to_owned);
        self.read(key, faults, ("write a text in quotes", kind))
    }

    fn flag(&mut self, key: &'static str, faults: &mut FaultList<'_>) -> Option<Lined<bool>> {
        self.read(key, faults, ("write true", DeValue::as_bool))
    }

    fn whole(&mut self, key: &'static str, faults: &mut FaultList<'_>) -> Option<Lined<i64>> {
        let kind = |value: &DeValue<'_>| {
            let integer = value.as_integer()?;
            i64::from_str_radix(integer.as_str(), integer.radix()).ok()
        };
        self.read(key, faults, ("write a whole number", kind))
    }

    fn texts(
        &mut self,
        key: &'static str,
        faults: &mut FaultList<'_>,
    ) -> Option<Lined<Vec<String>>> {
        let kind = |value: &DeValue<'_>| {
            let items = value.as_array()?.iter();
            items.map(|item| item.get_ref().as_str().map(str::to_owned)).collect()
        };
        self.read(key, faults, ("write a list of texts, [\"..\"]", kind))
    }

    fn table(&mut self, key: &'static str, faults: &mut FaultList<'_>) -> Option<Keys<'t>> {
        let found = self.read(key, faults, ("write a table", DeValue::as_table))?;
        Some(Keys::new(self.path_of(key), found.line, found.value))
    }

    /// Every key that nobody asked for is a fault.
    fn finish(mut self, faults: &mut FaultList<'_>) {
        self.asked.sort_unstable();
        let remedy = format!("remove it or write one of {}", self.asked.join(", "));
        for name in self.entries.keys() {
            let key: &str = name.get_ref();
            if !self.asked.contains(&key) {
                let line = faults.line_of(&name.span());
                faults.add(line, &self.path_of(key), ("is not known here".to_owned(), &remedy));
            }
        }
    }
}

fn wrong_kind<'r>(value: &Spanned<DeValue<'_>>, remedy: &'r str) -> (String, &'r str) {
    let kind = value.get_ref().type_str();
    let article = if kind.starts_with(['a', 'i']) { "an" } else { "a" };
    (format!("is written as {article} {kind}"), remedy)
}
