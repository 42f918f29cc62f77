//! Recorded chains: every input row is accounted for, both codings and both sentinels are read, and
//! our deltas are near those of the record.

#![cfg(test)]

use std::path::Path;

use deltadesk::desk::daily_bars::daily_bars;
use deltadesk::desk::files::shipped;
use deltadesk::exchange::PriceBasis;
use deltadesk::lake::datafusion::prelude::ParquetReadOptions;
use deltadesk::lake::new_session;
use tempfile::TempDir;

use crate::homes::{ask, desk, lay_out, shared_folder, text};

/// The record is cut to these: some sweeps of a day that writes C and P and has quotes of -1, and
/// of a day that writes CALL and PUT and has Greeks of 0.
const CUTS: [(&str, &str); 2] = [
    ("ib_chain_2026-02-02", "ts_utc < timestamp '2026-02-02T15:15:00Z' or bid = -1"),
    ("ib_chain_2026-02-04", "ts_utc < timestamp '2026-02-04T17:20:00Z'"),
];

#[test]
fn every_recorded_row_is_accounted_for() {
    let Some(recorded) = shared_folder("data/options/ib_chain_snapshots") else { return };
    let data = TempDir::new().unwrap();
    let chains = data.path().join("options").join("chains");
    std::fs::create_dir_all(&chains).unwrap();
    let daily = std::fs::canonicalize(recorded.join("../../daily")).unwrap();
    std::os::unix::fs::symlink(daily, data.path().join("daily")).unwrap();
    let read: i64 = CUTS.iter().map(|cut| copy_rows(&recorded, &chains, cut)).sum();
    copy_three_as_spx(&chains);
    let home = TempDir::new().unwrap();
    lay_out(home.path(), &[]);
    let market = format!("recorded:{}", chains.display());
    let answer = desk(home.path(), &["demo", "--market", &market]);
    let said = text(&answer);
    assert!(answer.status.success(), "{said}");
    println!("{said}");

    let count = |sql: &str| -> i64 { ask(home.path(), sql).trim().parse().unwrap() };
    let bronze = count("select count(*) from bronze.option_quotes");
    let silver = count("select count(*) from silver.option_quotes");
    let aside = "from silver.quarantine where source = 'bronze.option_quotes'";
    let rejected = count(&format!("select count(*) {aside}"));
    assert_eq!(bronze, read, "read = bronze but for rows that name no contract");
    assert_eq!(bronze, silver + rejected, "bronze = silver + rows set aside");
    assert!(silver > read / 2, "{silver} of {read} rows are sound");
    let no_contract = "no contract       3: the terms of options on SPX are not known".to_owned();
    for part in [format!("rows read           {}", read + 3), no_contract, "holds".to_owned()] {
        assert!(said.contains(&part), "`{part}` is not in:\n{said}");
    }
    let reasons = ask(home.path(), &format!("select distinct reason {aside} order by reason"));
    assert!(reasons.lines().all(|reason| !reason.is_empty()), "{reasons}");
    assert!(reasons.contains("no_quote"), "the quotes of -1: {reasons}");

    let bars = "from silver.quarantine where source = 'bronze.bars'";
    assert_eq!(ask(home.path(), &format!("select distinct reason {bars}")), "partial_day\n");
    let restored = "select count(*) from silver.bars where symbol = 'SPY' \
                    and session_date between date '2025-04-22' and date '2025-12-18'";
    assert_eq!(count(restored), 168, "adjusted closes, put back to raw");

    let codings = "select distinct option_right from bronze.option_quotes order by option_right";
    assert_eq!(ask(home.path(), codings), "C\nCALL\nP\nPUT\n");
    let coded = "select distinct option_right from silver.option_quotes order by option_right";
    assert_eq!(ask(home.path(), coded), "C\nP\n");
    assert_ne!(count("select count(*) from bronze.option_quotes where bid = -1"), 0);
    assert_ne!(count("select count(*) from bronze.option_quotes where vendor_delta = 0"), 0);
    let sentinels = "select count(*) from silver.option_quotes \
                     where bid <= 0 or ask <= 0 or last <= 0 or vendor_vol <= 0";
    assert_eq!(count(sentinels), 0, "sentinels in silver");

    let distance: f64 = ask(
        home.path(),
        "select median(abs(delta - vendor_delta)) from silver.option_quotes \
         where delta is not null and vendor_delta is not null and bid is not null \
         and ask is not null",
    )
    .trim()
    .parse()
    .unwrap();
    println!("median distance of deltas {distance:.5}");
    assert!(distance <= 0.01, "{distance}");
}

/// Writes the chosen rows of a file of the record into a folder; how many they are.
fn copy_rows(recorded: &Path, folder: &Path, (name, chosen): &(&str, &str)) -> i64 {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let session = new_session().unwrap();
        let (from, to) = (recorded.join(name), folder.join(name));
        let (from, to) = (from.with_extension("parquet"), to.with_extension("parquet"));
        let from = std::fs::canonicalize(from).unwrap();
        let options = ParquetReadOptions::default();
        session
            .register_parquet("record", from.display().to_string(), options.clone())
            .await
            .unwrap();
        let copy = format!(
            "copy (select * from record where {chosen}) to '{}' stored as parquet",
            to.display()
        );
        session.sql(&copy).await.unwrap().collect().await.unwrap();
        let rows = session.read_parquet(to.display().to_string(), options).await.unwrap();
        rows.count().await.unwrap() as i64
    })
}

/// Three rows of the first file again, as if of an underlying whose contract terms nobody knows.
fn copy_three_as_spx(folder: &Path) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let session = new_session().unwrap();
        let file = |name: &str| folder.join(name).with_extension("parquet").display().to_string();
        let options = ParquetReadOptions::default();
        session.register_parquet("record", file(CUTS[0].0), options).await.unwrap();
        let copy = format!(
            "copy (select * exclude (symbol), 'SPX' as symbol from record limit 3) to '{}' \
             stored as parquet",
            file("spx")
        );
        session.sql(&copy).await.unwrap().collect().await.unwrap();
    });
}

#[test]
fn every_adjusted_bar_of_the_record_comes_back_to_the_cent() {
    let Some(recorded) = shared_folder("data/options/ib_chain_snapshots") else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let dividends = deltadesk::desk::reference::dividends(&shipped()).unwrap();
    let bars = daily_bars(&recorded, &dividends, runtime.handle()).unwrap();
    let count = |basis| bars.iter().filter(|bar| bar.basis == basis).count();
    assert_eq!(count(PriceBasis::DividendAdjusted), 0);
    assert_eq!(count(PriceBasis::Restored), 168 + 169 + 165);
    assert_eq!(count(PriceBasis::PartialDay), 3);
    let close = |symbol: &str, session: &str| {
        let date = session.parse().unwrap();
        let found = bars.iter().find(|bar| bar.symbol.as_str() == symbol && bar.session == date);
        found.unwrap().close.to_f64()
    };
    // Closes as IB itself gave them on those days.
    assert!((close("QQQ", "2025-12-19") - 617.05).abs() < 1e-9);
    assert!((close("SPY", "2025-12-19") - 680.59).abs() < 1e-4);
}

#[test]
fn a_folder_without_chains_says_so() {
    let home = TempDir::new().unwrap();
    lay_out(home.path(), &[]);
    let data = TempDir::new().unwrap();
    let market = format!("recorded:{}", data.path().display());
    let demo = ["demo", "--market", &market];
    let answer = desk(home.path(), &demo);
    crate::homes::refused(&answer, &["no parquet file", &data.path().display().to_string()]);
    let broken = data.path().join("chain.parquet");
    std::fs::write(&broken, "no parquet").unwrap();
    crate::homes::refused(&desk(home.path(), &demo), &["chain.parquet"]);
}
