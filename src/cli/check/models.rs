//! The SQL's part of the check: every file read, every model and audit planned as a run plans it.

use std::collections::{BTreeMap, BTreeSet};

use tokio::runtime::Runtime;

use super::Found;
use crate::cli::sql::{between, nearest, place_in, runtime};
use crate::desk::home::Home;
use crate::desk::lake_place::open_to_read;
use crate::desk::settings::Settings;
use crate::lake::{LakeError, SessionContext, TableName, new_session, tables_read};
use crate::pipeline::catalogue::Audit;
use crate::pipeline::{Catalogue, Files, LiveTables, Params, Role};

/// What the SQL files look like.
pub fn found(set: &Files, settings: Option<&Settings>, home: &Home) -> Found {
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
        faults.extend(planning((set, home), catalogue, &settings.params, &reads));
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
            Err(error) => {
                let problem = error.to_string();
                faults.push(located(path, sql, (&problem, &Params::default())));
            }
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
    (set, home): (&Files, &Home),
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
            Ok(live) => {
                faults.extend(broken_contracts((set, &catalogue), &live, (home, &runtime)));
                return faults;
            }
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
        faults.push(located(&path, sql, (problem, params)));
        without(&mut catalogue, &path, reads);
    }
}

/// Tables of the lake that cannot be written as the files of now say. What else is wrong with the
/// lake is told of the lake.
fn broken_contracts(
    (set, catalogue): (&Files, &Catalogue),
    live: &LiveTables,
    (home, runtime): (&Home, &Runtime),
) -> Vec<String> {
    let (Ok(lake), Ok(stored)) = (runtime.block_on(open_to_read(home)), live.stored()) else {
        return Vec::new();
    };
    let mut faults = Vec::new();
    for spec in &stored {
        let Err(LakeError::SchemaMismatch { table, problem }) = runtime.block_on(lake.fits(spec))
        else {
            continue;
        };
        let made = catalogue.models.iter().find(|model| model.table == table);
        let path = made.map_or_else(
            || format!("sql/{}/{}.sql", table.schema(), table.name()),
            |model| model.path.clone(),
        );
        let column = between(&problem, "`", "`").unwrap_or_default();
        let sql = set.get(&path).map_or("", String::as_str);
        let line = place_in(sql, column).map_or(1, |(line, _)| line);
        faults.push(format!("{path}:{line}: {problem}"));
    }
    faults
}

/// Removes a file and whatever builds on its table.
fn without(catalogue: &mut Catalogue, path: &str, reads: &BTreeMap<String, BTreeSet<TableName>>) {
    let table = catalogue.models.iter().find(|model| model.path == path);
    let Some(table) = table.map(|model| model.table.clone()) else {
        catalogue.audits.retain(|audit| audit.path != path);
        return;
    };
    catalogue.models.retain(|model| model.path != path);
    // The other rules, or entries, still make the table.
    if catalogue.models.iter().any(|model| model.table == table) {
        return;
    }
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
fn located(path: &str, sql: &str, (problem, params): (&str, &Params)) -> String {
    if let Some(place) = between(problem, "at Line: ", "\")") {
        let line = place.split(',').next().unwrap_or(place);
        let what = between(problem, "ParserError(\"", " at Line: ").unwrap_or(problem);
        return format!("{path}:{line}: syntax: {what}");
    }
    let at = |name: &str| {
        let bare = name.rsplit('.').next().unwrap_or(name);
        place_in(sql, bare).map_or(1, |(line, _)| line)
    };
    if let Some((_, rest)) = problem.split_once("No field named ") {
        let name = rest.split(' ').next().unwrap_or(rest);
        let name = name.trim_end_matches(['.', '?']).replace('"', "");
        return format!("{path}:{}: {}", at(&name), no_column(&name, rest, params));
    }
    if let Some(name) = between(problem, "table '", "' not found") {
        let name = name.trim_start_matches("datafusion.").trim_start_matches("public.");
        return format!("{path}:{}: no table is called {name}", at(name));
    }
    let problem = problem.trim_start_matches("the statement cannot be planned: ");
    format!("{path}:1: {problem}")
}

/// What there is instead of a column, from the planner's list of everything in reach.
fn no_column(name: &str, problem: &str, params: &Params) -> String {
    let valid = problem.split_once("Valid fields are ").map_or("", |(_, valid)| valid);
    let valid = valid.trim_end_matches('.').split(", ").map(|field| field.replace('"', ""));
    let qualifier = name.rsplit_once('.').map(|(qualifier, _)| qualifier);
    let mut known: Vec<String> = valid
        .filter_map(|field| match (qualifier, field.rsplit_once('.')) {
            (Some(wanted), Some((found, column))) => (wanted == found).then(|| column.to_owned()),
            (Some(_), None) => None,
            (None, Some((_, column))) => Some(column.to_owned()),
            (None, None) => Some(field),
        })
        .filter(|column| !column.is_empty())
        .collect();
    known.sort_unstable();
    known.dedup();
    let bare = name.rsplit('.').next().unwrap_or(name);
    let meant = nearest(bare, known.iter().map(String::as_str));
    let meant = meant.map_or_else(String::new, |meant| format!("; did you mean {meant}?"));
    if !known.is_empty() && known.iter().all(|column| params.0.contains_key(column)) {
        return format!(
            "deltadesk.toml has no number for {bare}{meant}\n  add it to its section (a model \
             reads it as <section>_<key>), or correct the name here"
        );
    }
    format!("no column is called {name}{meant}\n  columns: {}", known.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQL: &str = "-- about: x\nselect\n    spot_usd,\n    settings.stop_ratio\nfrom t";

    fn told(problem: &str) -> String {
        let params = Params([("stop_ratios".to_owned(), 0.5)].into_iter().collect());
        located("sql/a/b.sql", SQL, (problem, &params))
    }

    #[test]
    fn problems_have_their_line_and_what_there_is_instead() {
        let syntax = "SQL error: ParserError(\"Expected: x, found: from at Line: 5, Column: 1\")";
        assert_eq!(told(syntax), "sql/a/b.sql:5: syntax: Expected: x, found: from");
        let column = "Schema error: No field named spot_usd. Valid fields are t.a, t.spot, u.a.";
        assert_eq!(told(column), "sql/a/b.sql:3: no column is called spot_usd\n  columns: a, spot");
        let table = "Error during planning: table 'datafusion.public.t' not found";
        assert_eq!(told(table), "sql/a/b.sql:5: no table is called t");
    }

    #[test]
    fn a_number_that_the_settings_lack_is_named_as_one() {
        let problem = "Schema error: No field named settings.stop_ratio. Did you mean \
                       'settings.stop_ratios'?.\nValid fields are settings.stop_ratios, t.a.";
        let told = told(problem);
        let start = "sql/a/b.sql:4: deltadesk.toml has no number for stop_ratio; did you mean \
                     stop_ratios?";
        assert!(told.starts_with(start), "{told}");
    }
}
