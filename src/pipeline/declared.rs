//! Tests of tables that are declared and not written: `pipelines/tests/<schema>.<table>.toml`.
//!
//! Each becomes an audit like those that are written in SQL. What looks at rows runs between
//! computing and keeping; what looks at a session as a whole (how many rows, how fresh) runs at its
//! close.

use serde::Deserialize;

use crate::lake::TableName;

use super::catalogue::{Audit, AuditSpan, Otherwise};
use super::model::FileFault;

/// The folder of the set that holds them.
pub(super) const FOLDER: &str = "pipelines/tests/";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TestFile {
    /// For the reader.
    #[serde(rename = "about")]
    _about: String,
    test: Vec<Declared>,
}

/// One `[[test]]`: exactly one of what it asks, and what happens otherwise.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Declared {
    not_null: Option<Vec<String>>,
    unique: Option<Vec<String>>,
    /// The column that `accepted`, `from` and `to`, `within` and `fresh_minutes` are about.
    column: Option<String>,
    accepted: Option<Vec<String>>,
    from: Option<f64>,
    to: Option<f64>,
    /// `<schema>.<table>.<column>`, which holds every value of the column.
    within: Option<String>,
    /// The newest value of the column is at most this old at the session's close.
    fresh_minutes: Option<u32>,
    /// Rows of the session are at least this share of the session's before.
    rows_ratio_min: Option<f64>,
    /// .. and at most this.
    rows_ratio_max: Option<f64>,
    /// Returns the offending rows; it needs a name.
    sql: Option<String>,
    name: Option<String>,
    otherwise: Option<Otherwise>,
}

/// What a test asks.
enum Asked {
    /// Of rows that were computed and are not yet kept.
    Rows(String),
    /// Of rows in common: none of them can be sent away alone.
    Together(String),
    /// Of a session that closes.
    Session(String),
}

/// The audits of one file.
pub(super) fn parse(path: &str, text: &str) -> Result<Vec<Audit>, FileFault> {
    let name = path.trim_start_matches(FOLDER).trim_end_matches(".toml");
    let table: TableName = name.parse().map_err(|_| {
        let fault = format!("`{name}` names no table; the file is called <schema>.<table>.toml");
        FileFault::new(path, 1, fault)
    })?;
    let file: TestFile = toml::from_str(text).map_err(|error: toml::de::Error| {
        let start = error.span().map_or(0, |span| span.start);
        let line = text.bytes().take(start).filter(|byte| *byte == b'\n').count() + 1;
        FileFault::new(path, line, error.message())
    })?;
    let mut audits: Vec<Audit> = Vec::new();
    for (declared, line) in file.test.iter().zip(lines(text)) {
        let audit = declared.audit((path, line), &table)?;
        if audits.iter().any(|earlier| earlier.name == audit.name) {
            let fault = format!("the test {} stands twice; keep one", audit.name);
            return Err(FileFault::new(path, line, fault));
        }
        audits.push(audit);
    }
    Ok(audits)
}

/// Where each test begins.
fn lines(text: &str) -> impl Iterator<Item = usize> {
    text.lines().enumerate().filter(|(_, line)| line.trim() == "[[test]]").map(|(at, _)| at + 1)
}

impl Declared {
    fn audit(&self, (path, line): (&str, usize), table: &TableName) -> Result<Audit, FileFault> {
        let fault = |text: String| FileFault::new(path, line, text);
        let (what, asked) = self.asked(table).map_err(fault)?;
        let otherwise = self.otherwise.ok_or_else(|| {
            fault(
                "it does not say what happens: otherwise = \"quarantine\", \"block\" or \"warn\""
                    .to_owned(),
            )
        })?;
        let (sql, beside, span) = match (asked, otherwise) {
            (Asked::Rows(sql), _) | (Asked::Together(sql), Otherwise::Block | Otherwise::Warn) => {
                (sql, Some(table.clone()), AuditSpan::History)
            }
            (Asked::Session(sql), Otherwise::Block | Otherwise::Warn) => {
                (sql, None, AuditSpan::TwoSessions)
            }
            (Asked::Together(_) | Asked::Session(_), Otherwise::Quarantine) => {
                let text = "no single row is at fault, so none can be sent to quarantine; say \
                            otherwise = \"block\" or \"warn\"";
                return Err(fault(text.to_owned()));
            }
        };
        Ok(Audit {
            name: format!("{table}.{what}"),
            path: path.to_owned(),
            sql,
            otherwise,
            span,
            table: beside,
        })
    }

    /// A name for what is asked, and the query for what offends.
    fn asked(&self, table: &TableName) -> Result<(String, Asked), String> {
        let kinds = [
            self.not_null.is_some(),
            self.unique.is_some(),
            self.accepted.is_some(),
            self.from.is_some() || self.to.is_some(),
            self.within.is_some(),
            self.fresh_minutes.is_some(),
            self.rows_ratio_min.is_some() || self.rows_ratio_max.is_some(),
            self.sql.is_some(),
        ];
        if kinds.iter().filter(|asked| **asked).count() != 1 {
            return Err(format!("a test asks exactly one thing: {KINDS}"));
        }
        if let Some(columns) = &self.not_null {
            let columns = words(columns)?;
            let null = columns.iter().map(|column| format!("{column} is null"));
            let null = null.collect::<Vec<_>>().join(" or ");
            let sql = format!("select * from {table} where {null}");
            return Ok((format!("not_null.{}", columns.join("_")), Asked::Rows(sql)));
        }
        if let Some(columns) = &self.unique {
            let columns = words(columns)?;
            let listed = columns.join(", ");
            let sql = format!(
                "select {listed}, count(*) as times from {table} group by {listed} \
                 having count(*) > 1 order by {listed}"
            );
            return Ok((format!("unique.{}", columns.join("_")), Asked::Together(sql)));
        }
        if let (Some(sql), Some(name)) = (&self.sql, &self.name) {
            let name = word(name)?.to_owned();
            return Ok((name, Asked::Rows(sql.trim().trim_end_matches(';').to_owned())));
        }
        if self.sql.is_some() {
            return Err("a test in SQL needs a name: name = \"bid_below_ask\"".to_owned());
        }
        if self.rows_ratio_min.is_some() || self.rows_ratio_max.is_some() {
            return Ok(("rows_ratio".to_owned(), Asked::Session(self.rows_ratio(table))));
        }
        self.of_column(table)
    }

    /// Tests of one column.
    fn of_column(&self, table: &TableName) -> Result<(String, Asked), String> {
        let Some(column) = &self.column else {
            return Err("it does not say of which column: column = \"..\"".to_owned());
        };
        let column = word(column)?;
        if let Some(values) = &self.accepted {
            let values: Vec<String> =
                values.iter().map(|value| format!("'{}'", value.replace('\'', "''"))).collect();
            let values = values.join(", ");
            let sql = format!(
                "select * from {table} where {column} is not null and {column} not in ({values})"
            );
            return Ok((format!("accepted.{column}"), Asked::Rows(sql)));
        }
        if let Some(other) = &self.within {
            let Some((other_table, other_column)) = other.rsplit_once('.') else {
                return Err(format!("`{other}` is no <schema>.<table>.<column>"));
            };
            let other_table: TableName = other_table
                .parse()
                .map_err(|_| format!("`{other}` is no <schema>.<table>.<column>"))?;
            let other_column = word(other_column)?;
            let sql = format!(
                "select tested.* from {table} as tested where tested.{column} is not null and not \
                 exists (select 1 from {other_table} as listed where listed.{other_column} = \
                 tested.{column})"
            );
            return Ok((format!("within.{column}"), Asked::Rows(sql)));
        }
        if let Some(minutes) = self.fresh_minutes {
            let sql = format!(
                "select newest, due_at from (select max(run.session_close_at) as due_at, \
                 max(case when tested.session_date = run.session_date then tested.{column} end) as \
                 newest from run left join {table} as tested on true) as ages \
                 where newest is null or newest < due_at - interval '{minutes} minutes'"
            );
            return Ok((format!("fresh.{column}"), Asked::Session(sql)));
        }
        let below = self.from.map(|from| format!("{column} < {from:?}"));
        let above = self.to.map(|to| format!("{column} > {to:?}"));
        let outside: Vec<String> = below.into_iter().chain(above).collect();
        let sql = format!("select * from {table} where {}", outside.join(" or "));
        Ok((format!("range.{column}"), Asked::Rows(sql)))
    }

    fn rows_ratio(&self, table: &TableName) -> String {
        let low = self.rows_ratio_min.map(|ratio| format!("rows < {ratio:?} * rows_before"));
        let high = self.rows_ratio_max.map(|ratio| format!("rows > {ratio:?} * rows_before"));
        let outside: Vec<String> = low.into_iter().chain(high).collect();
        format!(
            "select rows, rows_before from (select \
             count(case when tested.session_date = run.session_date then 1 end) as rows, \
             count(case when tested.session_date = run.previous_session_date then 1 end) as \
             rows_before from run left join {table} as tested on true) as counted \
             where rows_before > 0 and ({})",
            outside.join(" or ")
        )
    }
}

/// What a test may ask, for messages.
const KINDS: &str = "not_null, unique, accepted, from/to, within, fresh_minutes, \
                     rows_ratio_min/rows_ratio_max or sql";

fn words(columns: &[String]) -> Result<Vec<&str>, String> {
    if columns.is_empty() {
        return Err("it names no column".to_owned());
    }
    columns.iter().map(|column| word(column)).collect()
}

/// A name that can stand in SQL as it is.
fn word(name: &str) -> Result<&str, String> {
    let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    let is_word = !name.is_empty() && name.chars().all(|letter| plain(letter) || letter == '_');
    if is_word { Ok(name) } else { Err(format!("`{name}` is no name of a column")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "pipelines/tests/silver.option_quotes.toml";

    fn one(test: &str) -> Result<Audit, String> {
        let text = format!("about = \"a\"\n\n[[test]]\n{test}\n");
        let audits = parse(PATH, &text).map_err(|fault| fault.to_string())?;
        Ok(audits.into_iter().next().unwrap())
    }

    #[test]
    fn a_test_becomes_a_query_for_what_offends() {
        let audit = one("not_null = [\"conid\", \"symbol\"]\notherwise = \"quarantine\"").unwrap();
        assert_eq!(audit.name, "silver.option_quotes.not_null.conid_symbol");
        assert_eq!(
            audit.sql,
            "select * from silver.option_quotes where conid is null or symbol is null"
        );
        assert_eq!(audit.otherwise, Otherwise::Quarantine);
        let range = one("column = \"vol\"\nfrom = 0.0\nto = 5\notherwise = \"warn\"").unwrap();
        assert!(range.sql.ends_with("where vol < 0.0 or vol > 5.0"), "{}", range.sql);
        let fresh = "column = \"received_at\"\nfresh_minutes = 20\notherwise = \"warn\"";
        assert_eq!(one(fresh).unwrap().table, None);
    }

    #[test]
    fn what_cannot_be_is_said_with_its_line() {
        let faults = [
            ("otherwise = \"warn\"", "a test asks exactly one thing"),
            ("unique = [\"conid\"]", "it does not say what happens"),
            ("unique = [\"conid\"]\notherwise = \"quarantine\"", "no single row is at fault"),
            ("not_null = [\"conid; drop\"]\notherwise = \"warn\"", "is no name of a column"),
            ("accepted = [\"C\"]\notherwise = \"warn\"", "it does not say of which column"),
            ("sql = \"select 1\"\notherwise = \"warn\"", "a test in SQL needs a name"),
        ];
        for (test, said) in faults {
            let fault = one(test).unwrap_err();
            assert!(fault.starts_with(&format!("{PATH}:3: ")), "{fault}");
            assert!(fault.contains(said), "{fault}");
        }
        let unknown = one("not_nul = [\"conid\"]\notherwise = \"warn\"").unwrap_err();
        assert!(unknown.starts_with(&format!("{PATH}:4: unknown field")), "{unknown}");
    }
}
