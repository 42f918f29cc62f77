//! The lake in a temporary folder.

use std::path::Path;

use chrono::{DateTime, Duration, NaiveDate};
use serde_json::json;
use tempfile::TempDir;

use super::arrow::array::RecordBatch;
use super::*;
use crate::market::{Price, Timestamp};

const DDL: &str = "-- about: Quotes of a test.\n-- key: ingest_seq\n\
    create table bronze.quotes (\n    symbol varchar not null,\n    conid bigint,\n    \
    bid decimal(18, 6),\n    vol double,\n    quoted_at timestamp,\n    \
    ingest_seq bigint not null,\n    \
    session_date date not null\n);\n";

pub(super) fn noon() -> Timestamp {
    DateTime::from_timestamp(1_772_463_600, 0).unwrap()
}

pub(super) fn spec() -> TableSpec {
    TableSpec::from_ddl(DDL).unwrap()
}

pub(super) fn rows(first: i64, count: i64) -> RecordBatch {
    let mut builder = RowBuilder::new(&spec());
    for ingest_seq in first..first + count {
        builder
            .push([
                ("symbol", "SPY".into()),
                ("bid", Price::from_micros(ingest_seq * 1_000).into()),
                ("vol", f64::NAN.into()),
                ("quoted_at", noon().into()),
                ("ingest_seq", ingest_seq.into()),
                ("session_date", NaiveDate::from_ymd_opt(2026, 3, 2).unwrap().into()),
            ])
            .unwrap();
    }
    builder.finish().unwrap()
}

pub(super) fn batch(number: i64) -> Batch {
    Batch {
        number,
        as_of: noon() + Duration::minutes(number),
        run_id: format!("run-{number}"),
        source_versions: json!({ "feed": number }),
    }
}

pub(super) async fn open(folder: &Path) -> Lake {
    Lake::open(folder, LakeOptions::local(Durability::Buffered)).await.unwrap()
}

pub(super) async fn counted(session: &PinnedSession, sql: &str) -> i64 {
    let result = session.query(sql).await.unwrap();
    let rows = Rows::new(result.first().unwrap().clone());
    rows.first().unwrap().int("n").unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_written_once_and_read_back_in_the_stored_kinds() {
    let home = TempDir::new().unwrap();
    let lake = open(home.path()).await;
    let table = spec().name().clone();
    let first = lake.append(&spec(), &batch(1), vec![rows(0, 10)]).await.unwrap();
    assert_eq!((first.version, first.outcome), (Some(1), Outcome::Written));
    let again = lake.append(&spec(), &batch(1), vec![rows(0, 4), rows(4, 6)]).await.unwrap();
    assert_eq!((again.version, again.outcome), (Some(1), Outcome::AlreadyThere));
    let empty = lake.append(&spec(), &batch(2), vec![]).await.unwrap();
    assert_eq!(empty.outcome, Outcome::Empty);
    lake.append(&spec(), &batch(5), vec![rows(10, 5)]).await.unwrap();

    let session = lake.session_at(None).await.unwrap();
    assert_eq!(session.versions().get(&table), Some(&2));
    let result = session.query("select * from bronze.quotes order by ingest_seq").await.unwrap();
    let schema = result.first().unwrap().schema();
    let kinds = |schema: &arrow::datatypes::Schema| -> Vec<(String, String)> {
        schema.fields().iter().map(|f| (f.name().clone(), f.data_type().to_string())).collect()
    };
    assert_eq!(kinds(&schema), kinds(spec().arrow_schema()));
    let read = Rows::of(&schema, &result).unwrap();
    assert_eq!(read.len(), 15);
    let row = read.iter().nth(12).unwrap();
    assert_eq!(row.text("symbol").unwrap(), "SPY");
    assert_eq!(row.price("bid").unwrap(), Price::from_micros(12_000));
    assert_eq!(row.maybe_double("vol").unwrap(), None);
    assert_eq!(row.instant("quoted_at").unwrap(), noon());
    assert_eq!(row.date("session_date").unwrap(), NaiveDate::from_ymd_opt(2026, 3, 2).unwrap());
    assert!(row.int("conid").is_err() && row.maybe_int("conid").unwrap().is_none());
    assert!(row.text("bid").unwrap_err().to_string().contains("not text"));
    assert!(row.text("ask").unwrap_err().to_string().contains("no column is called `ask`"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_finds_what_the_first_wrote_and_refuses_other_content() {
    let home = TempDir::new().unwrap();
    let lake = open(home.path()).await;
    lake.append(&spec(), &batch(1), vec![rows(0, 3)]).await.unwrap();
    lake.append(&spec(), &batch(3), vec![rows(3, 3)]).await.unwrap();
    drop(lake);

    let lake = open(home.path()).await;
    let commits = lake.commits(spec().name()).await.unwrap();
    assert_eq!(commits.iter().map(|c| (c.batch, c.version)).collect::<Vec<_>>(), [(1, 1), (3, 2)]);
    assert_eq!(commits[1].sources, json!({ "feed": 3 }));
    assert_eq!(commits[1].run_id, "run-3");
    let again = lake.append(&spec(), &batch(1), vec![rows(0, 3)]).await.unwrap();
    assert_eq!(again.outcome, Outcome::AlreadyThere);
    let other = lake.append(&spec(), &batch(3), vec![rows(3, 4)]).await.unwrap_err();
    assert!(matches!(other, LakeError::ContentDiffers { batch: 3, .. }), "{other}");
    let lost = lake.append(&spec(), &batch(3), vec![]).await.unwrap_err();
    assert!(matches!(lost, LakeError::ContentDiffers { batch: 3, .. }), "{lost}");
    let behind = lake.append(&spec(), &batch(2), vec![rows(9, 1)]).await.unwrap_err();
    assert!(matches!(behind, LakeError::BatchOutOfOrder { batch: 2, latest: 3, .. }), "{behind}");
    lake.append(&spec(), &batch(4), vec![rows(6, 1)]).await.unwrap();
    let session = lake.session_at(None).await.unwrap();
    assert_eq!(counted(&session, "select count(*) as n from bronze.quotes").await, 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_travel_goes_by_the_desks_own_instant() {
    let home = TempDir::new().unwrap();
    let lake = open(home.path()).await;
    let table = spec().name().clone();
    for number in 1..=4 {
        lake.append(&spec(), &batch(number), vec![rows(number * 10, 10)]).await.unwrap();
    }
    let at = |minutes| noon() + Duration::minutes(minutes);
    assert_eq!(lake.version_as_of(&table, at(2)).await.unwrap(), Some(2));
    assert_eq!(lake.version_as_of(&table, at(0)).await.unwrap(), Some(0));
    let count = "select count(*) as n from bronze.quotes";
    let newest = lake.session_at(None).await.unwrap();
    let second = lake.session_at(Some(at(2))).await.unwrap();
    let before = lake.session_at(Some(at(0))).await.unwrap();
    assert_eq!(counted(&newest, count).await, 40);
    assert_eq!(counted(&second, count).await, 20);
    assert_eq!(counted(&before, count).await, 0);
    lake.append(&spec(), &batch(5), vec![rows(50, 10)]).await.unwrap();
    assert_eq!(counted(&newest, count).await, 40);
    assert_eq!(counted(&lake.session_at(None).await.unwrap(), count).await, 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_and_fifty_commits_and_a_checkpoint_between() {
    let home = TempDir::new().unwrap();
    let lake = open(home.path()).await;
    let table = spec().name().clone();
    for number in 1..=250 {
        lake.append(&spec(), &batch(number), vec![rows(number * 10, 10)]).await.unwrap();
        if number == 100 || number == 200 {
            lake.checkpoint(&table).await.unwrap();
        }
    }
    let health = lake.health(&table).await.unwrap();
    assert_eq!((health.version, health.files, health.rows), (250, 250, 2_500));
    let reopened = open(home.path()).await;
    let session = reopened.session_at(None).await.unwrap();
    let sql = "select count(*) as n from bronze.quotes where session_date = date '2026-03-02'";
    assert_eq!(counted(&session, sql).await, 2_500);
    let half = reopened.session_at(Some(noon() + Duration::minutes(125))).await.unwrap();
    assert_eq!(counted(&half, sql).await, 1_250);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_do_not_fit_are_refused_by_column() {
    let home = TempDir::new().unwrap();
    let lake = open(home.path()).await;
    let whole = rows(0, 2);
    let without = whole.project(&[0, 1, 2, 3, 4, 6]).unwrap();
    let missing = lake.append(&spec(), &batch(1), vec![without]).await.unwrap_err();
    assert!(missing.to_string().contains("column `ingest_seq` is missing"), "{missing}");
    let mut builder = RowBuilder::new(&spec());
    let null = builder.push([("symbol", "SPY".into())]).unwrap_err();
    assert!(null.to_string().contains("`ingest_seq` is NULL"), "{null}");
    let kind = builder.push([("symbol", 7_i64.into()), ("ingest_seq", 1_i64.into())]).unwrap_err();
    assert!(
        matches!(kind, LakeError::WrongKind { .. } | LakeError::UnexpectedNull { .. }),
        "{kind}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_only_answer_queries() {
    let home = TempDir::new().unwrap();
    let lake = open(home.path()).await;
    lake.append(&spec(), &batch(1), vec![rows(0, 2)]).await.unwrap();
    let session = lake.session_at(None).await.unwrap();
    for sql in [
        "create table x (a bigint)",
        "insert into bronze.quotes select * from bronze.quotes",
        "delete from bronze.quotes",
        "set datafusion.execution.time_zone = 'CET'",
        "copy bronze.quotes to 'x.parquet'",
    ] {
        session.query(sql).await.unwrap_err();
    }
    let fault = session.query("select symbol\n  frm bronze.quotes").await.unwrap_err();
    assert!(fault.to_string().contains("Line: 2"), "{fault}");
    let names = "select table_name from information_schema.tables where table_schema = 'bronze'";
    assert_eq!(session.query(names).await.unwrap().first().unwrap().num_rows(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_narrowed_session_sees_some_session_dates_and_the_pinned_one_all() {
    let home = TempDir::new().unwrap();
    let lake = open(home.path()).await;
    lake.append(&spec(), &batch(1), vec![rows(0, 2)]).await.unwrap();
    let pinned = lake.session_at(None).await.unwrap();
    let names = [spec().name().clone()].into();
    let march = |day| NaiveDate::from_ymd_opt(2026, 3, day).unwrap();
    for (from, to, wanted) in [(1, 2, 2), (2, 3, 2), (3, 4, 0)] {
        let dates = (march(from), march(to));
        let narrowed = narrowed_to_sessions(&pinned, &names, dates).await.unwrap();
        let sql = "select ingest_seq from bronze.quotes";
        let found = query_read_only(&narrowed, sql).await.unwrap();
        assert_eq!(found.iter().map(RecordBatch::num_rows).sum::<usize>(), wanted);
    }
    assert_eq!(counted(&pinned, "select count(*) as n from bronze.quotes").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_of_structs_survive() {
    let home = TempDir::new().unwrap();
    let lake = open(home.path()).await;
    let session = new_session().unwrap();
    let sql = "select 'd1' as decision_id, \
        make_array(named_struct('conid', 5, 'ratio', -1), named_struct('conid', 6, 'ratio', 1)) \
        as legs, \
        cast('2026-03-02' as date) as session_date";
    let made = session.sql(sql).await.unwrap().collect().await.unwrap();
    let name = TableName::new("gold", "decisions");
    let spec = TableSpec::from_schema(name, &made.first().unwrap().schema()).unwrap();
    lake.append(&spec, &batch(1), made).await.unwrap();
    let session = lake.session_at(None).await.unwrap();
    let read = session.query("select * from gold.decisions").await.unwrap();
    assert_eq!(
        row_text(read.first().unwrap(), 0).unwrap(),
        "decision_id=d1\tlegs=[{conid=5,ratio=-1},{conid=6,ratio=1}]\tsession_date=2026-03-02"
    );
    let read = Rows::new(read.first().unwrap().clone());
    let legs = read.first().unwrap().list("legs").unwrap();
    assert_eq!(legs.iter().map(|leg| leg.int("ratio").unwrap()).collect::<Vec<_>>(), [-1, 1]);
}

#[test]
fn contracts_on_disk_are_read() {
    for folder in ["bronze", "ops"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql").join(folder);
        for entry in std::fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let spec = TableSpec::from_ddl(&text).unwrap();
            let stem = path.file_stem().unwrap().to_str().unwrap();
            assert_eq!(spec.name(), &TableName::new(folder, stem));
            assert_eq!(spec.partition_column(), Some("session_date"));
        }
    }
}

#[test]
fn what_cannot_be_stored_is_refused_with_its_column() {
    use super::arrow::datatypes::{DataType, Field, Schema};
    let unsigned = Schema::new(vec![Field::new("place", DataType::UInt64, false)]);
    let fault = TableSpec::from_schema(TableName::new("gold", "x"), &unsigned).unwrap_err();
    assert!(
        fault.to_string().contains("`place`") && fault.to_string().contains("bigint"),
        "{fault}"
    );
    assert!("Bronze.x".parse::<TableName>().is_err());
    assert!(TableSpec::from_ddl("select 1").is_err());
    let odd = TableSpec::from_ddl("create table a.b (c blob)").unwrap_err();
    assert!(odd.to_string().contains("column `c`"), "{odd}");
}

#[test]
fn reads_are_found_below_common_table_expressions() {
    let session = new_session().unwrap();
    let sql = "with quotes as (select * from silver.option_quotes) \
        select quotes.* from quotes join gold.signals on true cross join run";
    let read: Vec<String> =
        tables_read(&session, sql).unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(read, ["gold.signals", "silver.option_quotes"]);
}

#[test]
fn one_process_holds_a_lake() {
    let home = TempDir::new().unwrap();
    let holder = |process: &str| LeaseHolder { host: "desk".into(), process: process.into() };
    let first = Lease::take(home.path(), holder("one"), noon()).unwrap();
    assert_eq!(first.fencing(), 1);
    let refused = Lease::take(home.path(), holder("two"), noon()).unwrap_err();
    assert!(refused.to_string().contains("held by one on desk"), "{refused}");
    drop(first);
    let second = Lease::take(home.path(), holder("two"), noon()).unwrap();
    assert_eq!(second.fencing(), 2);
    drop(second);
    let elsewhere = LeaseHolder { host: "other".into(), process: "three".into() };
    let refused = Lease::take(home.path(), elsewhere.clone(), noon()).unwrap_err();
    assert!(matches!(refused, LakeError::LeaseHeld { .. }), "{refused}");
    let later = Lease::take(home.path(), elsewhere, noon() + Duration::minutes(6)).unwrap();
    assert_eq!(later.fencing(), 3);
    later.release(noon()).unwrap();
}
