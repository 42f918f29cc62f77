//! Tests of models: given rows, expected rows, on the engine that runs in production.

use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use serde::Deserialize;

use crate::lake::TableName;
use crate::lake::arrow::array::RecordBatch;
use crate::lake::arrow::datatypes::{Schema, SchemaRef};
use crate::lake::arrow::json::{LineDelimitedWriter, ReaderBuilder};

use super::live::LiveTables;
use super::run::{Params, Run};

/// `<model>.test.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TestFile {
    test: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    as_of: String,
    #[serde(default)]
    run: toml::Table,
    #[serde(default)]
    params: std::collections::BTreeMap<String, f64>,
    #[serde(default)]
    given: Vec<Given>,
    expect: Expect,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    table: String,
    rows: Vec<toml::Table>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    rows: Vec<toml::Table>,
    #[serde(default)]
    tolerance: Option<f64>,
}

/// Runs every case of one model's test file. Returns how many ran; the error names each case that
/// failed, and how.
pub fn run_tests(
    tables: &mut LiveTables,
    params: &Params,
    model_path: &str,
    test_text: &str,
) -> anyhow::Result<usize> {
    let file: TestFile =
        toml::from_str(test_text).with_context(|| format!("{model_path}: test"))?;
    let mut failures = Vec::new();
    for case in &file.test {
        if let Err(failure) = run_case(tables, params, model_path, case) {
            failures.push(format!("{model_path}: case `{}`: {failure:#}", case.name));
        }
    }
    if !failures.is_empty() {
        bail!("{}", failures.join("\n"));
    }
    Ok(file.test.len())
}

fn run_case(
    tables: &mut LiveTables,
    params: &Params,
    model_path: &str,
    case: &Case,
) -> anyhow::Result<()> {
    tables.empty();
    if let Some(unknown) = case.params.keys().find(|name| !params.0.contains_key(*name)) {
        bail!("`{unknown}` is no parameter; the settings hold none of that name");
    }
    let mut params = params.clone();
    params.0.extend(case.params.clone());
    tables.set_params(&params)?;
    for given in &case.given {
        let name: TableName = given.table.parse().map_err(|error| anyhow!("{error}"))?;
        let schema =
            tables.schema(&name).ok_or_else(|| anyhow!("no table is called {}", given.table))?;
        let rows = rows_from(&schema, &given.rows).with_context(|| format!("given {name}"))?;
        tables.hold(&name, rows)?;
    }
    let got = tables.run_alone(model_path, &case_run(case)?)?;
    compare(&got, &case.expect)
}

/// Columns of `run` that a case may set; the instant is its `as_of`.
const RUN_KEYS: [&str; 8] = [
    "run_id",
    "session_date",
    "previous_session_date",
    "session_open_at",
    "session_close_at",
    "previous_session_close_at",
    "previous_futures_close_at",
    "session_phase",
];

fn case_run(case: &Case) -> anyhow::Result<Run> {
    if let Some(unknown) = case.run.keys().find(|key| !RUN_KEYS.contains(&key.as_str())) {
        bail!("run.{unknown} is no column of `run`; there are {}", RUN_KEYS.join(", "));
    }
    let as_of: crate::market::Timestamp =
        case.as_of.parse().with_context(|| format!("as_of `{}` is no instant", case.as_of))?;
    let text = |key: &str| case.run.get(key).and_then(toml::Value::as_str);
    let date = |key: &str, otherwise: chrono::NaiveDate| match text(key) {
        Some(text) => text.parse().with_context(|| format!("run.{key} `{text}` is no date")),
        None => Ok(otherwise),
    };
    let at = |key: &str, hours: i64| match text(key) {
        Some(text) => text.parse().with_context(|| format!("run.{key} `{text}` is no instant")),
        None => Ok(as_of + chrono::Duration::hours(hours)),
    };
    Ok(Run {
        run_id: text("run_id").unwrap_or("test").to_owned(),
        as_of,
        session_date: date("session_date", as_of.date_naive())?,
        previous_session_date: date(
            "previous_session_date",
            as_of.date_naive() - chrono::Duration::days(1),
        )?,
        session_open_at: at("session_open_at", -2)?,
        session_close_at: at("session_close_at", 2)?,
        previous_session_close_at: at("previous_session_close_at", -22)?,
        previous_futures_close_at: at("previous_futures_close_at", -21)?,
        session_phase: text("session_phase").unwrap_or("regular").to_owned(),
    })
}

/// Rows written as tables become a batch of the schema; a column that is left out is NULL, one that
/// the table does not have is an error.
fn rows_from(schema: &SchemaRef, rows: &[toml::Table]) -> anyhow::Result<RecordBatch> {
    let mut lines = String::new();
    for row in rows {
        if let Some(unknown) = row.keys().find(|key| schema.field_with_name(key).is_err()) {
            bail!("column `{unknown}` is not in the table");
        }
        lines.push_str(&serde_json::to_string(row)?);
        lines.push('\n');
    }
    let mut decoder = ReaderBuilder::new(Arc::clone(schema)).build_decoder()?;
    decoder.decode(lines.as_bytes())?;
    Ok(decoder.flush()?.unwrap_or_else(|| RecordBatch::new_empty(Arc::clone(schema))))
}

fn as_json(rows: &RecordBatch) -> anyhow::Result<Vec<serde_json::Value>> {
    let mut writer = LineDelimitedWriter::new(Vec::new());
    writer.write(rows)?;
    writer.finish()?;
    let text = String::from_utf8(writer.into_inner())?;
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// Both sides pass through the same columns' types, so `1.5` and `"1.500000"` are one decimal.
fn compare(got: &RecordBatch, expect: &Expect) -> anyhow::Result<()> {
    let named: std::collections::BTreeSet<&String> =
        expect.rows.iter().flat_map(toml::Table::keys).collect();
    let fields: Vec<_> = got
        .schema()
        .fields()
        .iter()
        .filter(|field| named.contains(field.name()))
        .map(|field| field.as_ref().clone().with_nullable(true))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let wanted = as_json(&rows_from(&schema, &expect.rows).context("expected rows")?)?;
    let columns: Vec<usize> = schema
        .fields()
        .iter()
        .map(|field| got.schema().index_of(field.name()))
        .collect::<Result<_, _>>()?;
    let found = as_json(&got.project(&columns)?)?;
    if found.len() != wanted.len() {
        bail!("{} rows instead of {}: {found:?}", found.len(), wanted.len());
    }
    let tolerance = expect.tolerance.unwrap_or(1e-9);
    for (index, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
        if !alike(found, wanted, tolerance) {
            bail!("row {index} is {found} instead of {wanted}");
        }
    }
    Ok(())
}

fn alike(found: &serde_json::Value, wanted: &serde_json::Value, tolerance: f64) -> bool {
    use serde_json::Value;
    match (found, wanted) {
        (Value::Number(a), Value::Number(b)) => match (a.as_f64(), b.as_f64()) {
            (Some(a), Some(b)) => (a - b).abs() <= tolerance * b.abs().max(1.0),
            _ => false,
        },
        (Value::Object(a), Value::Object(b)) => {
            b.iter()
                .all(|(key, wanted)| alike(a.get(key).unwrap_or(&Value::Null), wanted, tolerance))
                && a.keys().all(|key| b.contains_key(key))
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b, tolerance))
        }
        (a, b) => a == b,
    }
}
