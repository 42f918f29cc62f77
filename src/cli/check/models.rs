//! The SQL's part of the check: every file read, every model and audit planned as a run plans it.

use std::collections::{BTreeMap, BTreeSet};

use super::Found;
use crate::cli::sql::{between, place_in, runtime};
use crate::desk::settings::Settings;
use crate::lake::{SessionContext, TableName, new_session, tables_read};
use crate::pipeline::catalogue::Audit;
use crate::pipeline::{Catalogue, Files, LiveTables, Params, Role};

/// What the SQL files look like.
pub fn found(set: &Files, settings: Option<&Settings>) -> Found {
    let mut catalogue = match Catalogue::read(set) {
        Ok(catalogue) => catalogue,
        Err(faults) => return Found::Faulty(faults.iter().map(ToString::to_string).collect()),
    };
    let session = match new_session() {
        Ok(session) => session,
        Err(error) => return Found::Faulty(vec![error.to_string()]),
    };
    let mut faults = Vec::new();
    let reads = statements(&catalogue, &session, &mut faults);
    let Some(settings) = settings else {
        let sound = "readable; models are planned when the settings are OK".to_owned();
        return Found::of(sound, faults);
    };
    faults.extend(unknown_switches(&catalogue, settings));
    if faults.is_empty() {
        let count = catalogue.models.len();
        catalogue.switch_off(&settings.desk.switched_off);
        let planned = catalogue.models.len();
        faults.extend(planning(set, catalogue, &settings.params, &reads));
        let sound = format!("{planned} models planned, {} switched off", count - planned);
        return Found::of(sound, faults);
    }
    Found::Faulty(faults)
}

/// Tables that each file reads; what does not parse or names an unknown table is a fault.
fn statements(
    catalogue: &Catalogue,
    session: &SessionContext,
    faults: &mut Vec<String>,
) -> BTreeMap<String, BTreeSet<TableName>> {
    let made = catalogue.models.iter().map(|model| &model.table);
    let known: BTreeSet<&TableName> = catalogue.contracts.keys().chain(made).collect();
    let models = catalogue.models.iter().map(|model| (&model.path, &model.sql, None));
    let audits = catalogue.audits.iter().map(|audit| (&audit.path, &audit.sql, audit_table(audit)));
    let mut reads = BTreeMap::new();
    for (path, sql, judged) in models.chain(audits) {
        match tables_read(session, sql) {
            Err(error) => faults.push(located(path, sql, &error.to_string())),
            Ok(tables) => {
                for table in &tables {
                    if !known.contains(table) && Some(table) != judged {
                        let at = place_in(sql, table.name()).map_or(1, |(line, _)| line);
                        faults.push(format!(
                            "{path}:{at}: no table is called {table}; write the name of a file of \
                             sql/, or add sql/{}/{}.sql",
                            table.schema(),
                            table.name()
                        ));
                    }
                }
                reads.insert(path.clone(), tables);
            }
        }
    }
    reads
}

fn audit_table(audit: &Audit) -> Option<&TableName> {
    audit.table.as_ref()
}

fn unknown_switches(catalogue: &Catalogue, settings: &Settings) -> Vec<String> {
    let names: BTreeSet<&str> = catalogue
        .models
        .iter()
        .filter_map(|model| match &model.role {
            Role::Rule { name, .. } | Role::Entry { name, .. } => Some(name.as_str()),
            Role::Table => None,
        })
        .collect();
    let known: Vec<&str> = names.iter().copied().collect();
    let off = settings.desk.switched_off.iter().filter(|name| !names.contains(name.as_str()));
    off.map(|name| {
        format!(
            "deltadesk.toml: [desk] switched_off: no rule or entry is called {name}; there are {}",
            known.join(", ")
        )
    })
    .collect()
}

/// Plans everything; after a fault, everything that does not build on the faulty file.
fn planning(
    set: &Files,
    mut catalogue: Catalogue,
    params: &Params,
    reads: &BTreeMap<String, BTreeSet<TableName>>,
) -> Vec<String> {
    let mut faults = Vec::new();
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return vec![format!("{error:#}")],
    };
    loop {
        let text = match LiveTables::new(&catalogue, params, runtime.handle().clone()) {
            Ok(_) => return faults,
            Err(error) => format!("{error:#}"),
        };
        let models = catalogue.models.iter().map(|model| &model.path);
        let mut paths = models.chain(catalogue.audits.iter().map(|audit| &audit.path));
        let Some(path) = paths.find(|path| text.starts_with(&format!("{path}:"))).cloned() else {
            faults.push(text);
            return faults;
        };
        let sql = set.get(&path).map_or("", String::as_str);
        let problem = text.trim_start_matches(path.as_str()).trim_start_matches(": ");
        faults.push(located(&path, sql, problem));
        without(&mut catalogue, &path, reads);
    }
}

/// Removes a file and whatever builds on its table.
fn without(catalogue: &mut Catalogue, path: &str, reads: &BTreeMap<String, BTreeSet<TableName>>) {
    let table = catalogue.models.iter().find(|model| model.path == path);
    let Some(table) = table.map(|model| model.table.clone()) else {
        catalogue.audits.retain(|audit| audit.path != path);
        return;
    };
    let mut gone = BTreeSet::from([table]);
    loop {
        let builds =
            |path: &String| reads.get(path).is_some_and(|tables| !tables.is_disjoint(&gone));
        let next: BTreeSet<TableName> = catalogue
            .models
            .iter()
            .filter(|model| !gone.contains(&model.table) && builds(&model.path))
            .map(|model| model.table.clone())
            .collect();
        if next.is_empty() {
            break;
        }
        gone.extend(next);
    }
    catalogue.models.retain(|model| !gone.contains(&model.table));
    catalogue.audits.retain(|audit| !audit.table.as_ref().is_some_and(|of| gone.contains(of)));
}

/// The problem with file and line: the parser's line, or the line of the name that is not known.
fn located(path: &str, sql: &str, problem: &str) -> String {
    if let Some(place) = between(problem, "at Line: ", "\")") {
        let line = place.split(',').next().unwrap_or(place);
        let what = between(problem, "ParserError(\"", " at Line: ").unwrap_or(problem);
        return format!("{path}:{line}: syntax: {what}");
    }
    let column = between(problem, "No field named ", ". ").or_else(|| {
        problem.split_once("No field named ").map(|(_, name)| name.trim_end_matches('.'))
    });
    let name = column.or_else(|| between(problem, "table '", "' not found"));
    let Some(name) = name else { return format!("{path}:1: {problem}") };
    let bare = name.rsplit('.').next().unwrap_or(name).trim_matches('"');
    let line = place_in(sql, bare).map_or(1, |(line, _)| line);
    if name.starts_with("params.") {
        return format!(
            "{path}:{line}: deltadesk.toml has no number for {name}; add it to its section \
             (params are named <section>_<key>), or correct the name here"
        );
    }
    let problem = problem.trim_start_matches("the statement cannot be planned: ");
    format!("{path}:{line}: {problem}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_have_their_line() {
        let sql = "-- about: x\nselect\n    spot_usd,\n    params.stop_ratio\nfrom t";
        let syntax = "SQL error: ParserError(\"Expected: x, found: from at Line: 5, Column: 1\")";
        assert_eq!(
            located("sql/a/b.sql", sql, syntax),
            "sql/a/b.sql:5: syntax: Expected: x, found: from"
        );
        let column = "Schema error: No field named spot_usd. Valid fields are t.a.";
        assert!(located("sql/a/b.sql", sql, column).starts_with("sql/a/b.sql:3: Schema error"));
        let param = "Schema error: No field named params.stop_ratio. Valid fields are t.a.";
        assert!(
            located("sql/a/b.sql", sql, param).starts_with("sql/a/b.sql:4: deltadesk.toml has no")
        );
    }
}
