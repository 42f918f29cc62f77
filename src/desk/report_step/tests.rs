//! A report over lakes made by hand.

use std::path::Path;

use super::*;
use crate::lake::{Batch, Cell, Durability, LakeOptions, RowBuilder, TableSpec};
use crate::pipeline::Files;
use crate::report::{Severity, attention};

const RUN: &str = "close-20260303";

fn date() -> NaiveDate {
    "2026-03-03".parse().unwrap()
}

fn as_of() -> Timestamp {
    "2026-03-03T21:20:00Z".parse().unwrap()
}

fn terms(files: &Files) -> ReportTerms {
    let market = FeedDescription {
        name: "synthetic".to_owned(),
        seed: Some(3),
        variance_premium: Some(1.25),
        futures_lead_seconds: None,
        notes: vec!["A market of tests.".to_owned()],
    };
    ReportTerms::read(files, &market).unwrap()
}

async fn lake(folder: &Path) -> Lake {
    Lake::open(&folder.join("lake"), LakeOptions::local(Durability::Buffered)).await.unwrap()
}

/// Appends one row; the last three columns of every table are filled in.
async fn put(lake: &Lake, ddl: &str, cells: &[(&str, Cell)]) {
    let spec = TableSpec::from_ddl(ddl).unwrap();
    let mut builder = RowBuilder::new(&spec);
    let stamp =
        [("as_of", as_of().into()), ("run_id", RUN.into()), ("session_date", Cell::Date(date()))];
    let has = |name: &str| spec.arrow_schema().column_with_name(name).is_some();
    let stamp = stamp.into_iter().filter(|(name, _)| has(name));
    let row = cells.iter().cloned().chain(stamp);
    builder.push_row(row.map(|(name, cell)| (name.to_owned(), cell)).collect()).unwrap();
    let batch = Batch {
        number: 1,
        as_of: as_of(),
        run_id: RUN.to_owned(),
        source_versions: serde_json::Value::Null,
    };
    lake.append(&spec, &batch, vec![builder.finish().unwrap()]).await.unwrap();
}

fn usd(whole: i64) -> Cell {
    crate::market::Usd::from_micros(whole * 1_000_000).into()
}

/// A close with its P&L; unrealised P&L and Greeks are not known.
async fn close(lake: &Lake) {
    let ddl = "create table gold.pnl_daily (account_id varchar, start_equity_usd decimal(18, 6),
        equity_change_usd decimal(18, 6), flows_usd decimal(18, 6), fees_usd decimal(18, 6),
        interest_usd decimal(18, 6), dividends_usd decimal(18, 6), realised_usd decimal(18, 6),
        unrealised_usd double, delta_usd double, gamma_usd double, vega_usd double,
        theta_usd double, rho_usd double, as_of timestamp, run_id varchar, session_date date)";
    let amounts = [
        ("account_id", Cell::from("DU1")),
        ("start_equity_usd", usd(100_000)),
        ("equity_change_usd", usd(1_250)),
        ("flows_usd", usd(1_000)),
        ("fees_usd", usd(10)),
        ("realised_usd", usd(0)),
    ];
    put(lake, ddl, &amounts).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_without_tables_makes_a_page_that_says_what_is_missing() {
    let home = tempfile::tempdir().unwrap();
    let lake = lake(home.path()).await;
    let terms = terms(&crate::desk::files::shipped());
    let report = daily_report(&lake, (date(), as_of()), &terms).await.unwrap();
    assert_eq!((report.pnl.day_usd, report.strategies.len(), report.orders.len()), (None, 0, 0));
    let texts: Vec<String> = attention(&report).into_iter().map(|one| one.text).collect();
    for missing in ["The books were not compared with the broker's", "The day's P&L is not known"] {
        assert!(texts.iter().any(|text| text == missing), "{texts:?}");
    }
    terms.write(&report, home.path()).unwrap();
    let again = report_again(&lake, date(), &terms, home.path()).await.unwrap_err();
    assert!(again.to_string().contains("no close of 2026-03-03"), "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_a_past_day_is_the_same_again() {
    let home = tempfile::tempdir().unwrap();
    let lake = lake(home.path()).await;
    close(&lake).await;
    let terms = terms(&crate::desk::files::shipped());
    let report = daily_report(&lake, (date(), as_of()), &terms).await.unwrap();
    assert_eq!(report.pnl.day_usd, Some(250.into()));
    assert_eq!(report.pnl.unrealised_usd, None);
    assert_eq!(
        report.pnl.parts.iter().map(|part| part.usd).sum::<rust_decimal::Decimal>(),
        250.into()
    );
    let first = std::fs::read(terms.write(&report, home.path()).unwrap()).unwrap();
    let path = report_again(&lake, date(), &terms, &home.path().join("again")).await.unwrap();
    assert!(path.ends_with("again/2026-03-03.html"));
    assert_eq!(std::fs::read(path).unwrap(), first);
    let page = String::from_utf8(first).unwrap();
    assert!(page.contains(crate::report::ASSUMED_PREMIUM));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_breaker_that_moved_and_a_strategy_that_closed_are_told() {
    let home = tempfile::tempdir().unwrap();
    let lake = lake(home.path()).await;
    let files = crate::desk::files::shipped();
    let alert = [
        ("alert_id", Cell::from("breaker-drawdown-1")),
        ("severity", "critical".into()),
        ("subject", "breaker".into()),
        ("message", "drawdown moves the breaker from normal to reduce: 12.4 % fallen".into()),
    ];
    put(&lake, &files["sql/ops/alerts.sql"], &alert).await;
    let strategy = [
        ("strategy_id", Cell::from("s1")),
        ("change_seq", Cell::Int(9)),
        ("symbol", "SPY".into()),
        ("structure", "iron_condor".into()),
        ("state", "closed".into()),
        ("quantity", Cell::Int(0)),
        ("opened_quantity", Cell::Int(2)),
        ("opening_cash_usd", usd(400)),
        ("open_basis_usd", usd(0)),
        ("realised_usd", usd(-35)),
        ("commissions_usd", usd(6)),
        ("max_loss_usd", usd(0)),
        ("margin_usd", usd(0)),
        ("close_rule", "time_exit".into()),
        ("opened_at", as_of().into()),
        ("closed_at", as_of().into()),
        ("changed_at", as_of().into()),
    ];
    put(&lake, &files["sql/ops/strategies.sql"], &strategy).await;
    let report = daily_report(&lake, (date(), as_of()), &terms(&files)).await.unwrap();
    assert_eq!(report.header.breaker_level, "reduce");
    let worst = attention(&report).into_iter().next().unwrap();
    assert_eq!(worst.severity, Severity::Critical);
    let row = report.strategies.first().unwrap();
    assert_eq!((row.state.as_str(), row.pnl_usd), ("closed by time exit", Some((-35).into())));
    assert_eq!(report.book.worst_case_usd, Some(0.into()));
}
