//! Upkeep, and what a broken lake says of itself.

use std::path::{Path, PathBuf};

use chrono::{Duration, NaiveDate};
use tempfile::TempDir;

use super::arrow::datatypes::{DataType, Field, Schema};
use super::tests::{batch, counted, noon, open, rows, spec};
use super::*;

const COUNT: &str = "select count(*) as n from bronze.quotes";

fn no_keys() -> std::collections::BTreeMap<TableName, Vec<String>> {
    std::collections::BTreeMap::new()
}

fn table_folder(home: &Path) -> PathBuf {
    home.join("bronze").join("quotes")
}

async fn filled(home: &Path, batches: i64) -> Lake {
    let lake = open(home).await;
    for number in 1..=batches {
        lake.append(&spec(), &batch(number), vec![rows(number * 10, 10)]).await.unwrap();
    }
    lake
}

/// The rows of a derived table: `ingest_seq` and its session.
fn derived(text: &str) -> (TableSpec, Vec<arrow::array::RecordBatch>) {
    let name = TableName::new("gold", "derived");
    let read = arrow::json::ReaderBuilder::new(schema_of(text))
        .build(std::io::Cursor::new(text.to_owned()))
        .unwrap();
    let rows: Vec<_> = read.map(Result::unwrap).collect();
    (TableSpec::from_schema(name, &rows[0].schema()).unwrap(), rows)
}

fn schema_of(text: &str) -> arrow::datatypes::SchemaRef {
    let mut fields = vec![
        Field::new("value", DataType::Int64, true),
        Field::new("session_date", DataType::Date32, true),
    ];
    if text.contains("extra") {
        fields.push(Field::new("extra", DataType::Utf8, true));
    }
    std::sync::Arc::new(Schema::new(fields))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compaction_keeps_rows_versions_and_the_ledger() {
    let home = TempDir::new().unwrap();
    let lake = filled(home.path(), 5).await;
    let table = spec().name().clone();
    let day = NaiveDate::from_ymd_opt(2026, 3, 2).unwrap();
    assert_eq!(lake.compact(&table, Some(day)).await.unwrap(), 5);
    assert_eq!(lake.compact(&table, Some(day)).await.unwrap(), 0);
    assert_eq!(lake.health(&table).await.unwrap().files, 1);
    lake.append(&spec(), &batch(6), vec![rows(60, 10)]).await.unwrap();
    let session = lake.session_at(None).await.unwrap();
    assert_eq!(counted(&session, COUNT).await, 60);
    let fifth = noon() + Duration::minutes(5);
    assert_eq!(lake.version_as_of(&table, fifth).await.unwrap(), Some(6));
    let third = lake.session_at(Some(noon() + Duration::minutes(3))).await.unwrap();
    assert_eq!(counted(&third, COUNT).await, 30);
    let reopened = open(home.path()).await;
    let again = reopened.append(&spec(), &batch(2), vec![rows(20, 10)]).await.unwrap();
    assert_eq!(again.outcome, Outcome::AlreadyThere);
    assert!(reopened.verify(&no_keys()).await.unwrap().faults.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vacuum_deletes_what_no_version_needs() {
    let home = TempDir::new().unwrap();
    let lake = filled(home.path(), 4).await;
    let table = spec().name().clone();
    lake.compact(&table, None).await.unwrap();
    let orphan = table_folder(home.path()).join("session_date=2026-03-02").join("orphan.parquet");
    std::fs::write(&orphan, "a crash left this").unwrap();
    let kept = lake.vacuum(&table, Duration::days(30), Vacuum::Trial).await.unwrap();
    assert!(kept.len() <= 1, "{kept:?}");
    assert!(lake.verify(&no_keys()).await.unwrap().faults.is_empty());
    assert_eq!(counted(&lake.session_at(None).await.unwrap(), COUNT).await, 40);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_set_back_takes_its_batches_again() {
    let home = TempDir::new().unwrap();
    let (spec, rows) = derived("{\"value\":1,\"session_date\":\"2026-03-02\"}");
    let lake = open(home.path()).await;
    for number in 1..=3 {
        lake.append(&spec, &batch(number), rows.clone()).await.unwrap();
    }
    lake.restore(spec.name(), 1).await.unwrap();
    let session = lake.session_at(None).await.unwrap();
    assert_eq!(counted(&session, "select count(*) as n from gold.derived").await, 1);
    let reopened = open(home.path()).await;
    let again = reopened.append(&spec, &batch(2), rows.clone()).await.unwrap();
    assert_eq!(again.outcome, Outcome::Written);
    let held = reopened.append(&spec, &batch(1), rows).await.unwrap();
    assert_eq!(held.outcome, Outcome::AlreadyThere);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_or_a_whole_table_is_replaced_in_one_commit() {
    let home = TempDir::new().unwrap();
    let lake = open(home.path()).await;
    let two = "{\"value\":1,\"session_date\":\"2026-03-02\"}\n\
        {\"value\":2,\"session_date\":\"2026-03-03\"}";
    let (spec, rows) = derived(two);
    lake.append(&spec, &batch(1), rows.clone()).await.unwrap();
    let (_, other) = derived("{\"value\":7,\"session_date\":\"2026-03-03\"}");
    let day = NaiveDate::from_ymd_opt(2026, 3, 3).unwrap();
    let day = Replaced::Sessions(day, day);
    let done = lake.replace(&spec, (&batch(2), day), other.clone()).await.unwrap();
    assert_eq!(done.outcome, Outcome::Written);
    let again = lake.replace(&spec, (&batch(2), day), other).await.unwrap();
    assert_eq!(again.outcome, Outcome::AlreadyThere);
    let sum = "select sum(value) as n from gold.derived";
    assert_eq!(counted(&lake.session_at(None).await.unwrap(), sum).await, 8);
    assert_eq!(lake.commits(spec.name()).await.unwrap().len(), 2);

    let wider = "{\"value\":5,\"session_date\":\"2026-03-03\",\"extra\":\"new\"}";
    let (wide, rows) = derived(wider);
    lake.replace(&wide, (&batch(3), Replaced::Whole), rows.clone()).await.unwrap();
    let session = lake.session_at(None).await.unwrap();
    assert_eq!(counted(&session, sum).await, 5);
    assert_eq!(counted(&session, "select count(extra) as n from gold.derived").await, 1);
    lake.append(&wide, &batch(4), rows).await.unwrap();
    assert_eq!(counted(&lake.session_at(None).await.unwrap(), sum).await, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_are_added_and_never_changed() {
    let home = TempDir::new().unwrap();
    let narrow = "{\"value\":1,\"session_date\":\"2026-03-02\"}";
    let wide = "{\"value\":2,\"session_date\":\"2026-03-02\",\"extra\":\"new\"}";
    let lake = open(home.path()).await;
    let (spec, rows) = derived(narrow);
    lake.append(&spec, &batch(1), rows).await.unwrap();
    drop(lake);
    let lake = open(home.path()).await;
    let (wider, more) = derived(wide);
    lake.append(&wider, &batch(2), more).await.unwrap();
    let session = lake.session_at(None).await.unwrap();
    let both = "select sum(value) * 10 + count(extra) as n from gold.derived";
    assert_eq!(counted(&session, both).await, 31);
    let reopened = open(home.path()).await;
    let (old, rows) = derived(narrow);
    let gone = reopened.append(&old, &batch(3), rows).await.unwrap_err();
    assert!(gone.to_string().contains("`extra`, which is gone"), "{gone}");
    let other = Schema::new(vec![
        Field::new("value", DataType::Utf8, true),
        Field::new("session_date", DataType::Date32, true),
        Field::new("extra", DataType::Utf8, true),
    ]);
    let other = TableSpec::from_schema(old.name().clone(), &other).unwrap();
    let changed = reopened.create(&other).await.unwrap_err();
    assert!(changed.to_string().contains("stored as Int64 and offered as Utf8"), "{changed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_without_a_log_is_named_and_harms_no_other_table() {
    let home = TempDir::new().unwrap();
    let lake = filled(home.path(), 2).await;
    let (other, rows) = derived("{\"value\":1,\"session_date\":\"2026-03-02\"}");
    lake.append(&other, &batch(1), rows).await.unwrap();
    drop(lake);
    std::fs::remove_dir_all(table_folder(home.path()).join("_delta_log")).unwrap();
    let lake = open(home.path()).await;
    let session = lake.session_at(None).await.unwrap();
    assert_eq!(counted(&session, "select count(*) as n from gold.derived").await, 1);
    let faults = [
        session.query(COUNT).await.unwrap_err(),
        lake.append(&spec(), &batch(3), vec![super::tests::rows(0, 1)]).await.unwrap_err(),
    ];
    for fault in faults {
        let text = fault.to_string();
        assert!(text.contains("bronze/quotes") && text.contains("_delta_log"), "{text}");
        assert!(text.contains("Restore the folder from a backup"), "{text}");
    }
    let found = lake.verify(&no_keys()).await.unwrap().faults;
    assert_eq!(
        found.iter().map(|fault| fault.table.to_string()).collect::<Vec<_>>(),
        ["bronze.quotes"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_commit_is_named_with_what_to_do() {
    for torn in ["", "{\"commitInfo\":{\"operation\":\"WRI", "{\"commitInfo\":{}}\n{\"add\":{\"pa"]
    {
        let home = TempDir::new().unwrap();
        drop(filled(home.path(), 3).await);
        let entry = table_folder(home.path()).join("_delta_log/00000000000000000003.json");
        std::fs::write(&entry, torn).unwrap();
        let lake = open(home.path()).await;
        let fault = lake.commits(spec().name()).await.unwrap_err().to_string();
        assert!(fault.contains("00000000000000000003.json cannot be read"), "{fault}");
        assert!(fault.contains("sets it aside, and its rows are written again"), "{fault}");
        let lake = open(home.path()).await;
        let writer = LeaseHolder { host: "desk".into(), process: "a writer".into() };
        let lease = Lease::take(home.path(), writer, noon()).unwrap();
        let aside = lake.set_torn_aside(&lease).await.unwrap();
        assert_eq!(aside.iter().map(|torn| torn.version).collect::<Vec<_>>(), [3]);
        assert!(!entry.exists() && table_folder(home.path()).join(&aside[0].kept_as).exists());
        assert!(lake.set_torn_aside(&lease).await.unwrap().is_empty());
        let again = lake.append(&spec(), &batch(3), vec![rows(30, 10)]).await.unwrap();
        assert_eq!((again.outcome, again.version), (Outcome::Written, Some(3)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_truncated_data_file_is_found() {
    let home = TempDir::new().unwrap();
    drop(filled(home.path(), 2).await);
    let folder = table_folder(home.path()).join("session_date=2026-03-02");
    let file = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    let lake = open(home.path()).await;
    let found = lake.verify(&no_keys()).await.unwrap().faults;
    let name = file.file_name().unwrap().to_str().unwrap();
    assert_eq!(found.len(), 1);
    assert!(found[0].problem.contains(name) && found[0].problem.contains("bytes instead of"));
    std::fs::remove_file(&file).unwrap();
    let found = open(home.path()).await.verify(&no_keys()).await.unwrap().faults;
    assert!(found[0].problem.contains(name), "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_in_the_log_stops_the_writer() {
    let home = TempDir::new().unwrap();
    let first = filled(home.path(), 1).await;
    let second = open(home.path()).await;
    second.append(&spec(), &batch(2), vec![rows(20, 10)]).await.unwrap();
    let fenced = first.append(&spec(), &batch(2), vec![rows(20, 10)]).await.unwrap_err();
    assert!(matches!(fenced, LakeError::ForeignCommit { version: 2, .. }), "{fenced}");
    let third = open(home.path()).await;
    third.commits(spec().name()).await.unwrap();
    second.compact(spec().name(), None).await.unwrap();
    let passed = third.append(&spec(), &batch(3), vec![rows(30, 10)]).await.unwrap();
    assert_eq!(passed.version, Some(4));
}

#[test]
fn digests_depend_on_values_alone() {
    let whole = rows(0, 7);
    let cut = [whole.slice(4, 3), whole.slice(0, 4)];
    let key = ["ingest_seq"];
    let (hash, count) = digest_table(std::slice::from_ref(&whole), &key).unwrap();
    assert_eq!((hash.len(), count), (64, 7));
    assert_eq!(digest_table(&cut, &key).unwrap(), (hash.clone(), 7));
    let turned = whole.project(&[6, 5, 4, 3, 2, 1, 0]).unwrap();
    assert_eq!(digest_table(&[turned], &key).unwrap().0, hash);
    assert_ne!(digest_table(&[rows(1, 7)], &key).unwrap().0, hash);
    assert!(digest_table(&[whole], &["place"]).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn canonical_text_is_exact() {
    let session = new_session().unwrap();
    let sql = "select cast(-1.5 as decimal(18, 6)) as c, cast(0.1 as double) + 0.2 as b, \
        cast('-0' as double) as a, 'x\ty\\z' as d, cast(null as bigint) as e, true as f, \
        cast('2026-03-02' as date) as g, cast(7 as decimal(10, 2)) as h, 1.0e300 as i, \
        arrow_cast('2026-03-02T15:00:00Z', 'Timestamp(Microsecond, Some(\"UTC\"))') as j, \
        5 as wall_ms";
    let rows = query_read_only(&session, sql).await.unwrap();
    assert_eq!(
        row_text(&rows[0], 0).unwrap(),
        "a=0.0\tb=0.30000000000000004\tc=-1.500000\td=x\\ty\\\\z\te=\\N\tf=true\tg=2026-03-02\t\
         h=7.000000\ti=1e300\tj=1772463600000000"
    );
}
