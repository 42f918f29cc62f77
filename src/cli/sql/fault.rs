//! What is wrong with a query, said with its place and what there is instead.

use std::collections::BTreeMap;

use crate::lake::datafusion::common::utils::datafusion_strsim::levenshtein;
use crate::lake::datafusion::common::{Column, DataFusionError, SchemaError};
use crate::lake::{LakeError, TableName};

/// Names further apart than this are not taken for a slip.
const SLIP_LETTERS_MAX: usize = 3;

/// The error in words: table or column, line, and what was perhaps meant.
pub fn explained(error: &DataFusionError, sql: &str, tables: &BTreeMap<TableName, u64>) -> String {
    let span = error.diagnostic().and_then(|diagnostic| diagnostic.span);
    let place = span.map(|span| (span.start.line, span.start.column));
    let root = error.find_root();
    if let DataFusionError::SchemaError(schema, _) = root
        && let SchemaError::FieldNotFound { field, valid_fields } = schema.as_ref()
    {
        let place = place_text(place.or_else(|| place_in(sql, &field.name)));
        let in_reach = valid_fields
            .iter()
            .filter(|column| field.relation.is_none() || column.relation == field.relation);
        let mut known: Vec<&str> = in_reach.map(Column::name).collect();
        known.dedup();
        let meant = nearest(&field.name, known.iter().copied());
        return format!(
            "no column is called {}{place}{}\n  columns: {}",
            field.flat_name(),
            meant_text(meant.as_deref()),
            known.join(", ")
        );
    }
    if let DataFusionError::External(inner) = root
        && let Some(lake) = inner.downcast_ref::<LakeError>()
    {
        return lake.to_string();
    }
    let text = root.strip_backtrace();
    if let Some(name) = between(&text, "table '", "' not found") {
        return no_table(name, place.or_else(|| place_in(sql, last_part(name))), tables);
    }
    if let Some(what) = between(&text, "ParserError(\"", "\")") {
        return format!(
            "syntax: {}",
            what.replace(" at Line: ", " at line ").replace("Column:", "column")
        );
    }
    if text.contains("not supported: ")
        && ["DDL", "DML", "Statement"].iter().any(|w| text.contains(w))
    {
        return format!("only queries are allowed here; nothing is changed ({text})");
    }
    let text = text.trim_start_matches("Error during planning: ");
    format!("{text}{}", place_text(place))
}

fn no_table(name: &str, place: Option<(u64, u64)>, tables: &BTreeMap<TableName, u64>) -> String {
    let name = name.trim_start_matches("datafusion.").trim_start_matches("public.");
    let place = place_text(place);
    if tables.is_empty() {
        return format!(
            "no table is called {name}{place}: the lake has no tables yet; \
             run `deltadesk demo` first, or name another home with --home"
        );
    }
    let full: Vec<String> = tables.keys().map(ToString::to_string).collect();
    let same = full.iter().find(|table| last_part(table) == last_part(name)).cloned();
    let meant = same.or_else(|| nearest(name, full.iter().map(String::as_str)));
    format!(
        "no table is called {name}{place}{}\n  tables: {}",
        meant_text(meant.as_deref()),
        full.join(", ")
    )
}

fn meant_text(meant: Option<&str>) -> String {
    meant.map_or_else(String::new, |name| format!("; did you mean {name}?"))
}

fn place_text(place: Option<(u64, u64)>) -> String {
    place.map_or_else(String::new, |(line, column)| format!(" (line {line}, column {column})"))
}

/// The name nearest to one that is not there, where it may be a slip.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let distances = known.map(|known| (levenshtein(name, known), known));
    let (distance, nearest) = distances.min()?;
    (distance <= SLIP_LETTERS_MAX && distance < name.len()).then(|| nearest.to_owned())
}

/// Line and column, from 1, of the first place where a name stands by itself.
pub fn place_in(text: &str, name: &str) -> Option<(u64, u64)> {
    let joins = |letter: char| letter.is_alphanumeric() || letter == '_';
    text.lines().zip(1_u64..).find_map(|(line, number)| {
        let code = line.split("--").next().unwrap_or(line);
        let at = code.match_indices(name).find(|(at, _)| {
            let before = code.get(..*at).is_some_and(|before| before.ends_with(joins));
            let after = code.get(at + name.len()..).is_some_and(|after| after.starts_with(joins));
            !before && !after
        });
        at.map(|(at, _)| (number, at as u64 + 1))
    })
}

fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// The text between the first `start` and the `end` behind it.
pub fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(start)?;
    rest.split_once(end).map(|(inner, _)| inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_others_are_not() {
        let known = ["gold.signals", "gold.decisions"];
        assert_eq!(nearest("gold.signal", known.into_iter()).as_deref(), Some("gold.signals"));
        assert_eq!(nearest("prices", known.into_iter()), None);
        assert_eq!(nearest("iv", ["id", "as_of"].into_iter()).as_deref(), Some("id"));
    }

    #[test]
    fn a_name_is_found_by_itself_and_outside_comments() {
        let sql = "-- spot\nselect spot_usd,\n  spot from t";
        assert_eq!(place_in(sql, "spot"), Some((3, 3)));
        assert_eq!(place_in(sql, "strike"), None);
    }
}
