//! A writer of the lake that is killed again and again: nothing twice, nothing lost.
//!
//! The writer is this test binary, run again with a folder to write to: it appends batches,
//! rewrites a derived table from them and joins files, and is killed at drawn moments of all three.

#![cfg(test)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use deltadesk::lake::arrow::array::RecordBatch;
use deltadesk::lake::{
    Batch, Durability, Lake, LakeOptions, Lease, LeaseHolder, Replaced, RowBuilder, TableName,
    TableSpec,
};
use deltadesk::market::Timestamp;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};
use tempfile::TempDir;

const FOLDER: &str = "DELTADESK_CRASH_FOLDER";
const ROWS: i64 = 20;

fn spec() -> TableSpec {
    let ddl = "create table bronze.rows (ingest_seq bigint not null, session_date date not null)";
    TableSpec::from_ddl(ddl).unwrap()
}

fn day(batch: i64) -> chrono::NaiveDate {
    "2026-03-02".parse::<chrono::NaiveDate>().unwrap() + chrono::Duration::days(batch % 3)
}

fn batch(number: i64) -> Batch {
    let start: Timestamp = "2026-03-02T15:00:00Z".parse().unwrap();
    Batch {
        number,
        as_of: start + chrono::Duration::seconds(number),
        run_id: format!("run-{number}"),
        source_versions: serde_json::json!({}),
    }
}

fn rows(number: i64) -> RecordBatch {
    let mut builder = RowBuilder::new(&spec());
    for row in 0..ROWS {
        let sequence = number * ROWS + row;
        builder
            .push([("ingest_seq", sequence.into()), ("session_date", day(number).into())])
            .unwrap();
    }
    builder.finish().unwrap()
}

/// What the derived table holds of each session.
const SUMMED: &str = "select session_date, count(*) as rows, sum(ingest_seq) as total
    from bronze.rows group by session_date order by session_date";

/// Writes batches from where the lake stands up to `last`.
async fn write_on(folder: &Path, last: i64) {
    let now: Timestamp = "2026-03-02T15:00:00Z".parse().unwrap();
    let holder = LeaseHolder { host: "desk".to_owned(), process: "the writer".to_owned() };
    let lease = Lease::take(folder, holder, now).unwrap();
    let lake = Lake::open(folder, LakeOptions::local(Durability::Fsync)).await.unwrap();
    lake.set_torn_aside(&lease).await.unwrap();
    let bronze = spec().name().clone();
    let done = if lake.tables().contains(&bronze) {
        lake.commits(&bronze).await.unwrap().last().map_or(0, |last| last.batch)
    } else {
        0
    };
    // What was done last is offered again: whether it had come to its end is not known.
    for number in done.max(1)..=last {
        lake.append(&spec(), &batch(number), vec![rows(number)]).await.unwrap();
        let sums = lake.session_at(None).await.unwrap().query(SUMMED).await.unwrap();
        let silver = TableName::new("silver", "sums");
        let shape = TableSpec::from_schema(silver, &sums[0].schema()).unwrap();
        lake.replace(&shape, (&batch(number), Replaced::Whole), sums).await.unwrap();
        if number % 5 == 0 {
            lake.compact(&bronze, None).await.unwrap();
        }
        if number % 40 == 0 {
            lake.checkpoint(&bronze).await.unwrap();
        }
    }
}

/// The writer, where this binary is run as one; as a test it has a folder of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "the parent names the folder")]
async fn a_writer_that_nobody_kills_writes_each_row_once() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return write_on(Path::new(&folder), i64::MAX).await;
    }
    let folder = TempDir::new().unwrap();
    write_on(folder.path(), 60).await;
    sound(folder.path(), 60).await;
}

/// How often the writer is killed.
#[expect(clippy::disallowed_methods, reason = "the number of kills is the run's")]
fn kills() -> u32 {
    std::env::var("DELTADESK_SOAK").map_or(3, |text| text.parse().unwrap())
}

fn writer(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "lake_crash::a_writer_that_nobody_kills_writes_each_row_once"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_is_killed_at_any_moment_loses_and_doubles_nothing() {
    let folder = TempDir::new().unwrap();
    let mut draw = ChaCha8Rng::seed_from_u64(4);
    for _ in 0..kills() {
        let mut child = writer(folder.path());
        let lived = 200 + u64::from(draw.next_u32() % 1_200);
        tokio::time::sleep(Duration::from_millis(lived)).await;
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let lake = Lake::open(folder.path(), LakeOptions::local(Durability::Fsync)).await.unwrap();
    let commits = lake.commits(spec().name()).await.unwrap();
    let last = commits.last().unwrap().batch;
    assert!(last >= i64::from(kills()) / 2, "{last} batches were written");
    write_on(folder.path(), last + 5).await;
    sound(folder.path(), last + 5).await;
}

/// Each row that was offered is there once, the sums are theirs, and the lake is whole.
async fn sound(folder: &Path, batches: i64) {
    let lake = Lake::open(folder, LakeOptions::local(Durability::Fsync)).await.unwrap();
    let keys = BTreeMap::from([
        (spec().name().clone(), vec!["ingest_seq".to_owned()]),
        (TableName::new("silver", "sums"), vec!["session_date".to_owned()]),
    ]);
    let verified = lake.verify(&keys).await.unwrap();
    assert_eq!(verified.faults, [], "{verified:?}");
    let session = lake.session_at(None).await.unwrap();
    let differs = "select * from (
            select session_date, rows, total from silver.sums
            union all
            select session_date, count(*), sum(ingest_seq) from bronze.rows group by session_date
        ) group by session_date, rows, total having count(*) <> 2";
    let differing = session.query(differs).await.unwrap();
    assert_eq!(differing.iter().map(RecordBatch::num_rows).sum::<usize>(), 0);
    println!("{} batches, {} files", batches, verified.files);
    let whole = format!(
        "select 1 from (select count(*) as rows, count(distinct ingest_seq) as sequences,
         min(ingest_seq) as first, max(ingest_seq) as last from bronze.rows)
         where rows = {all} and sequences = {all} and first = {ROWS} and last = {last}",
        all = batches * ROWS,
        last = (batches + 1) * ROWS - 1,
    );
    let found = session.query(&whole).await.unwrap();
    assert_eq!(found.iter().map(RecordBatch::num_rows).sum::<usize>(), 1);
}
