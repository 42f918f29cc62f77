//! A demo of two days: the same bytes twice, and after being killed; and what it refuses.

#![cfg(test)]

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use chrono::NaiveDate;
use deltadesk::desk::MarketChoice;
use deltadesk::desk::demo::{DemoOrder, Watcher, run};
use deltadesk::desk::digest::DayDigest;
use deltadesk::desk::home::Home;
use deltadesk::desk::summary::DaySummary;
use deltadesk::exchange::Scenario;
use deltadesk::market::Timestamp;
use deltadesk::market::clock::Stopwatch;
use deltadesk::schedule::Occurrence;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use tempfile::TempDir;

use crate::homes::{ask, binary, desk, lay_out, refused, text};

const DEMO: [&str; 3] = ["demo", "--days", "2"];
pub const SESSIONS: [&str; 2] = ["2026-03-02", "2026-03-03"];

/// Of the moments at which demos are killed.
const SEED: u64 = 20_260_302;
const MOMENTS: usize = 10;
/// Kills that one home suffers before its demo may end.
const KILLS_A_HOME: usize = 5;

/// A demo that nobody disturbed.
pub struct Undisturbed {
    pub home: PathBuf,
    pub digest: String,
    seconds: f64,
}

/// Run once, shared by the tests; they only read its home.
pub fn undisturbed() -> &'static Undisturbed {
    static ONCE: OnceLock<Undisturbed> = OnceLock::new();
    ONCE.get_or_init(|| {
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("undisturbed");
        if home.exists() {
            std::fs::remove_dir_all(&home).unwrap();
        }
        lay_out(&home, &[]);
        let stopwatch = Stopwatch::start();
        let digest = run_to_its_end(&home);
        let seconds = stopwatch.elapsed_seconds();
        println!("undisturbed: {seconds:.1} s, digest {digest}");
        Undisturbed { home, digest, seconds }
    })
}

#[test]
fn two_days_twice_give_the_same_bytes() {
    let one = undisturbed();
    let two = fresh();
    let order = DemoOrder {
        market: MarketChoice::Synthetic,
        seed: 1,
        from: day(SESSIONS[0]),
        days: 2,
        scenario: Scenario::Ordinary,
    };
    let mut printed = Printed::default();
    let outcome = run(&order, &Home::at(two.path()), &mut printed).unwrap();
    assert_eq!(outcome.total_digest, one.digest);
    assert_eq!(outcome.digests.len(), 2);
    assert!(outcome.digests.iter().all(|day| day.rows > 0), "{:?}", outcome.digests);
    assert_eq!(printed.0, outcome.digests);
    for session in SESSIONS {
        let report = |home: &Path| {
            std::fs::read(home.join("reports").join(format!("{session}.html"))).unwrap()
        };
        assert!(report(&one.home) == report(two.path()), "the reports of {session} differ");
    }
    assert_eq!(rows_by_table(two.path()), rows_by_table(&one.home));
    let orders = ask(&one.home, "select count(*) from ops.orders where state = 'filled'");
    assert_ne!(orders.trim(), "0", "nothing was traded, so little was compared");
}

/// What the neutral measure expects of a structure is that its costs are lost: else the pricing is
/// off, and no forecast that stands on it means anything. A quarter of the quotes' half-spreads is
/// allowed, for payoffs are not discounted and puts are American.
#[test]
fn the_neutral_measure_expects_the_costs() {
    let one = undisturbed();
    let answer = ask(
        &one.home,
        "select count(*) filter (
             where abs(expected_value_neutral_usd + cost_usd)
                 <= 25 * cast(natural_price - mid_price as double)
         ) as fair, count(*) as judged
         from gold.entry_candidates where legs is not null",
    );
    let counts: Vec<i64> = answer.trim().split(',').map(|count| count.parse().unwrap()).collect();
    assert!(counts[1] > 20, "{answer}");
    assert_eq!(counts[0], counts[1], "neutral value is not minus costs: fair, judged = {answer}");
}

#[test]
fn killed_at_any_moment_it_ends_with_the_same_digest() {
    let one = undisturbed();
    let moments = moments(one.seconds);
    let listed: Vec<String> = moments.iter().map(|seconds| format!("{seconds:.2}")).collect();
    println!("seed {SEED}, killed after {} s", listed.join(", "));
    for (index, kills) in moments.chunks(KILLS_A_HOME).enumerate() {
        let home = fresh();
        for seconds in kills {
            let ended = kill_after(home.path(), *seconds);
            println!("home {index}, {seconds:.2} s: {}", if ended { "ended" } else { "killed" });
        }
        assert_eq!(run_to_its_end(home.path()), one.digest, "home {index}, seed {SEED}");
        assert_eq!(rows_by_table(home.path()), rows_by_table(&one.home), "home {index}");
        nothing_doubled(home.path());
    }
}

#[test]
fn a_home_keeps_to_its_demo() {
    let one = undisturbed();
    let home = TempDir::new().unwrap();
    copy(&one.home, home.path());
    let journal = std::fs::read(home.path().join("state.db")).unwrap();
    let other: [&[&str]; 4] = [
        &["--seed", "2"],
        &["--from", "2026-03-03"],
        &["--scenario", "slide"],
        &["--market", "synthetic:fair"],
    ];
    for arguments in other {
        let answer = desk(home.path(), &[&DEMO, arguments].concat());
        refused(&answer, &["seed 1 from 2026-03-02", "choose another --home"]);
    }
    let after = std::fs::read(home.path().join("state.db")).unwrap();
    assert!(journal == after, "a refused demo changed the journal");
}

#[test]
fn a_served_home_is_refused() {
    let home = fresh();
    std::fs::write(home.path().join("served"), "").unwrap();
    refused(&desk(home.path(), &DEMO), &["has been served", "another --home"]);
    assert!(!home.path().join("lake").exists());
}

#[test]
fn a_second_process_is_refused_while_the_first_runs() {
    let home = fresh();
    let mut first = start(home.path());
    let lease = home.path().join("lake").join("_lease.json");
    wait_until(|| lease.exists());
    let answer = desk(home.path(), &DEMO);
    first.kill().unwrap();
    first.wait().unwrap();
    refused(&answer, &["_lease.json", &format!("process {}", first.id())]);
}

#[test]
fn a_damaged_lake_is_named() {
    let one = undisturbed();
    let home = TempDir::new().unwrap();
    copy(&one.home, home.path());
    let quotes = home.path().join("lake/bronze/option_quotes");
    let data = largest(&quotes, "parquet");
    cut(&data);
    let answer = desk(home.path(), &["sql", "select max(bid), min(ask) from bronze.option_quotes"]);
    refused(&answer, &[&data.file_name().unwrap().to_string_lossy()]);

    let home = TempDir::new().unwrap();
    copy(&one.home, home.path());
    let mut commits = files(&home.path().join("lake/silver/fills/_delta_log"));
    commits.retain(|path| path.extension().is_some_and(|of| of == "json"));
    let newest = commits.iter().max().unwrap();
    cut(newest);
    let name = newest.file_name().unwrap().to_string_lossy();
    let answer = desk(home.path(), &["sql", "select * from silver.fills"]);
    refused(&answer, &["silver/fills", "version", "Restore the folder"]);
    // What was cut off was never acknowledged: who may write sets it aside and writes it again.
    let answer = desk(home.path(), &DEMO);
    let said = text(&answer);
    assert!(answer.status.success(), "{said}");
    assert!(said.contains("silver.fills") && said.contains(&format!("_torn_{name}")), "{said}");
    assert!(said.contains(&one.digest), "{said}");
}

/// The moments, seconds after the start of the process, at which demos are killed.
#[expect(clippy::disallowed_methods, reason = "how many is told by the run")]
fn moments(seconds: f64) -> Vec<f64> {
    let count = std::env::var("DELTADESK_SOAK").map_or(MOMENTS, |text| text.parse().unwrap());
    let mut stream = ChaCha8Rng::seed_from_u64(SEED);
    (0..count).map(|_| f64::from(stream.next_u32()) / f64::from(u32::MAX) * seconds).collect()
}

/// Starts the demo and kills it; true where it had come to its end before.
fn kill_after(home: &Path, seconds: f64) -> bool {
    let mut child = start(home);
    wait(Duration::from_secs_f64(seconds));
    if let Some(status) = child.try_wait().unwrap() {
        assert!(status.success(), "{status}");
        return true;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    false
}

fn start(home: &Path) -> Child {
    let home = home.display().to_string();
    let arguments = [&DEMO, ["--home", &home].as_slice()].concat();
    binary(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// The digest that the demo prints.
fn run_to_its_end(home: &Path) -> String {
    let answer = desk(home, &DEMO);
    let said = text(&answer);
    assert!(answer.status.success(), "{said}");
    let digest = said.lines().find_map(|line| line.strip_prefix("digest "));
    digest.unwrap_or_else(|| panic!("no digest in:\n{said}")).trim().to_owned()
}

/// Rows of every table of the lake.
fn rows_by_table(home: &Path) -> String {
    let mut counts = Vec::new();
    for schema in folders(&home.join("lake")) {
        for table in folders(&schema) {
            let inner = table.strip_prefix(home.join("lake")).unwrap();
            let name = inner.display().to_string().replace('/', ".");
            counts.push(format!("select '{name}' as name, count(*) as rows from {name}"));
        }
    }
    assert!(counts.len() > 30, "{counts:?}");
    ask(home, &format!("{} order by name", counts.join(" union all ")))
}

/// Every row of bronze has a number of its own, and every row of silver one of these.
fn nothing_doubled(home: &Path) {
    for table in [
        "bronze.account",
        "bronze.executions",
        "bronze.futures_quotes",
        "bronze.option_quotes",
        "bronze.order_events",
        "bronze.positions",
        "bronze.underlying_quotes",
        "silver.fills",
        "silver.futures_quotes",
        "silver.option_quotes",
        "silver.underlying_quotes",
    ] {
        let sql = format!("select count(*), count(distinct ingest_seq) from {table}");
        let answer = ask(home, &sql);
        let (rows, distinct) = answer.trim().split_once(',').unwrap();
        assert_eq!(rows, distinct, "{table}");
        assert_ne!(rows, "0", "{table} is empty");
    }
    for (table, key) in [
        ("gold.decisions", "decision_id"),
        ("gold.pnl_daily", "session_date"),
        ("ops.orders", "change_seq"),
        ("ops.strategies", "change_seq"),
        ("silver.fills", "exec_id"),
    ] {
        let sql = format!("select {key} from {table} group by {key} having count(*) > 1");
        assert_eq!(ask(home, &sql), "", "{key} twice in {table}");
    }
}

/// Digests in the order in which they were told.
#[derive(Default)]
struct Printed(Vec<DayDigest>);

impl Watcher for Printed {
    fn job(&mut self, _session: NaiveDate, _occurrence: &Occurrence) {}
    fn line(&mut self, _at: Timestamp, _text: &str) {}
    fn day(&mut self, _day: &DaySummary, digest: &DayDigest) {
        self.0.push(digest.clone());
    }
}

fn fresh() -> TempDir {
    let home = TempDir::new().unwrap();
    lay_out(home.path(), &[]);
    home
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

#[expect(clippy::disallowed_methods, reason = "another process runs meanwhile")]
fn wait(time: Duration) {
    std::thread::sleep(time);
}

/// Waits for at most a minute.
fn wait_until(happened: impl Fn() -> bool) {
    for _ in 0..6_000 {
        if happened() {
            return;
        }
        wait(Duration::from_millis(10));
    }
    panic!("waited for a minute");
}

fn folders(of: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(of).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

fn files(under: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(under).unwrap().map(|entry| entry.unwrap().path());
    let all = entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] });
    all.collect()
}

pub fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(&file, &target).unwrap();
    }
}

fn largest(under: &Path, extension: &str) -> PathBuf {
    let mut found = files(under);
    found.retain(|path| path.extension().is_some_and(|of| of == extension));
    found.into_iter().max_by_key(|path| std::fs::metadata(path).unwrap().len()).unwrap()
}

/// Leaves half of a file.
fn cut(file: &Path) {
    let whole = std::fs::read(file).unwrap();
    std::fs::write(file, &whole[..whole.len() / 2]).unwrap();
}
