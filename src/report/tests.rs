mod day;

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use day::{full_day, quiet_day};

#[test]
fn a_full_day_reads_like_this() {
    insta::assert_snapshot!("full_day", daily(&full_day()).unwrap());
}

#[test]
fn a_quiet_day_reads_like_this() {
    insta::assert_snapshot!("quiet_day", daily(&quiet_day()).unwrap());
}

#[test]
fn the_summary_reads_like_this() {
    insta::assert_snapshot!("summary_full_day", summary(&full_day()));
    insta::assert_snapshot!("summary_quiet_day", summary(&quiet_day()));
}

#[test]
fn a_made_premium_is_never_without_its_sentence() {
    assert!(daily(&full_day()).unwrap().contains(ASSUMED_PREMIUM));
    assert!(summary(&full_day()).contains(ASSUMED_PREMIUM));
    assert!(!daily(&quiet_day()).unwrap().contains(ASSUMED_PREMIUM));
}

#[test]
fn the_order_of_rows_is_of_no_account() {
    let mut turned = full_day();
    turned.equity.reverse();
    turned.pnl.parts.reverse();
    turned.strategies.reverse();
    turned.decisions.reverse();
    turned.orders.reverse();
    turned.limits.reverse();
    turned.stresses.reverse();
    turned.sources.reverse();
    turned.refusals[0].checks.reverse();
    turned.smiles[0].curves.reverse();
    assert_eq!(daily(&turned).unwrap(), daily(&full_day()).unwrap());
    assert_eq!(summary(&turned), summary(&full_day()));
}

#[test]
fn what_is_wrong_stands_first_and_a_quiet_day_asks_for_nothing() {
    assert_eq!(attention(&quiet_day()), vec![]);
    let found = attention(&full_day());
    let texts: Vec<_> = found.iter().map(|one| (one.severity, &*one.text)).collect();
    let expected = [
        (Severity::Critical, "Books differ on SPY put 655: quantity"),
        (Severity::Critical, "Breaker at no-new: chains of IWM are stale"),
        (Severity::Critical, "Day-trade reserve could not be evaluated"),
        (Severity::Critical, "The fate of order d-20260316T191000Z-book.hedge.1 is unknown"),
        (Severity::Warning, "Alert: Chains of IWM are stale"),
        (Severity::Warning, "Short vega of the cluster is near its limit: $412 of $480"),
        (Severity::Warning, "chains IWM: 90.0% complete, 95% required"),
        (Severity::Warning, "−$18.55 of the day's P&L is not explained, $15.00 allowed"),
    ];
    assert_eq!(texts, expected);
}

#[test]
fn a_budget_may_be_used_up_and_not_passed() {
    let told = |used| {
        let mut day = quiet_day();
        let budget =
            LimitUse { kind: LimitKind::Budget, used, limit: 1.0, ..day.limits[0].clone() };
        day.limits = vec![budget];
        attention(&day).len()
    };
    assert_eq!([told(Some(0.99)), told(Some(1.01)), told(None)], [0, 1, 1]);
}

#[test]
fn what_was_not_looked_at_is_not_well() {
    let told = |change: fn(&mut DailyReport)| {
        let mut report = quiet_day();
        change(&mut report);
        let found = attention(&report);
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].text.clone()
    };
    assert_eq!(told(|day| day.limits.clear()), "No limit was evaluated");
    assert_eq!(told(|day| day.sources.clear()), "No source of data was judged");
    assert_eq!(told(|day| day.equity.clear()), "The equity at the close is not known");
    assert_eq!(
        told(|day| day.equity[0].session_date = "2026-03-13".parse().unwrap()),
        "The equity at the close is not known"
    );
    assert_eq!(
        told(|day| day.pnl.day_usd = "1".parse().ok()),
        "The day's P&L is not explained by its parts"
    );
    assert_eq!(
        told(|day| day.reconciliation.checked_at = None),
        "The books were not compared with the broker's"
    );
    assert_eq!(told(|day| day.sources[0].worst_age = None), "chains SPY: its age is not known");
}

#[test]
fn a_limit_of_nothing_and_a_number_that_is_none_are_not_within() {
    let mut report = quiet_day();
    let limit = |used| LimitUse {
        name: "L".to_owned(),
        unit: LimitUnit::Usd,
        kind: LimitKind::Guard,
        used,
        limit: 0.0,
    };
    report.limits = vec![limit(Some(0.0))];
    assert_eq!(attention(&report), vec![]);
    for used in [None, Some(f64::NAN), Some(1.0), Some(-1.0), Some(f64::INFINITY)] {
        report.limits = vec![limit(used)];
        assert_eq!(attention(&report).len(), 1, "{used:?}");
        daily(&report).unwrap();
    }
}

#[test]
fn the_file_names_nothing_outside_itself_and_runs_nothing() {
    let html = daily(&full_day()).unwrap();
    let outside: BTreeSet<&str> =
        html.match_indices("http").map(|(at, _)| html[at..].split('"').next().unwrap()).collect();
    assert_eq!(outside, ["http-equiv=", "http://www.w3.org/2000/svg"].into());
    for banned in ["<script", "<link", "<img", "@import", "url(", "javascript:", " on"] {
        let used = html.match_indices(banned).find(|(at, _)| {
            banned != " on"
                || html[at + 3..].split_once('=').is_some_and(|(name, _)| {
                    name.chars().all(|letter| letter.is_ascii_alphabetic())
                })
        });
        assert_eq!(used, None, "{banned}");
    }
}

#[test]
fn a_template_that_misspells_a_name_is_an_error() {
    let error = daily_in("{{ head.titel }}", &quiet_day()).unwrap_err();
    assert!(matches!(error, ReportError::Template(_)), "{error}");
}

/// Puts one text into every field that holds one.
fn with_text(text: &str) -> DailyReport {
    let mut report = full_day();
    let text = text.to_owned();
    report.header.account.clone_from(&text);
    report.header.mode.clone_from(&text);
    report.header.orders_mode.clone_from(&text);
    report.header.breaker_level.clone_from(&text);
    report.header.breaker_reason = Some(text.clone());
    report.header.code_version.clone_from(&text);
    report.market.description.clone_from(&text);
    report.market.fills.clone_from(&text);
    for row in &mut report.strategies {
        row.strategy_id.clone_from(&text);
        row.symbol.clone_from(&text);
        row.structure.clone_from(&text);
        row.state.clone_from(&text);
        row.next_exit = Some(text.clone());
        for leg in &mut row.legs {
            leg.contract.clone_from(&text);
        }
    }
    for row in &mut report.decisions {
        row.subject.clone_from(&text);
        row.action.clone_from(&text);
        row.rule.clone_from(&text);
        row.reason.clone_from(&text);
        row.outcome.clone_from(&text);
    }
    for row in &mut report.refusals {
        row.subject.clone_from(&text);
        row.order_ref.clone_from(&text);
        for check in &mut row.checks {
            check.check.clone_from(&text);
            check.result.clone_from(&text);
            check.reason.clone_from(&text);
        }
    }
    for row in &mut report.orders {
        row.order_ref.clone_from(&text);
        row.subject.clone_from(&text);
        row.purpose.clone_from(&text);
        row.what.clone_from(&text);
        row.status.clone_from(&text);
    }
    report.limits.iter_mut().for_each(|row| row.name.clone_from(&text));
    report.stresses.iter_mut().for_each(|row| row.name.clone_from(&text));
    report.smiles.iter_mut().for_each(|row| row.symbol.clone_from(&text));
    for row in &mut report.sources {
        row.source.clone_from(&text);
        row.symbol.clone_from(&text);
    }
    for row in &mut report.reconciliation.differences {
        row.kind.clone_from(&text);
        row.subject.clone_from(&text);
        row.ours.clone_from(&text);
        row.brokers.clone_from(&text);
    }
    for row in &mut report.alerts {
        row.title.clone_from(&text);
        row.text.clone_from(&text);
    }
    report.tomorrow = vec![text];
    report
}

#[test]
fn every_text_is_escaped() {
    let html = daily(&with_text("<b a=\"'x'\">&")).unwrap();
    assert!(!html.contains("<b a="));
    assert!(!html.contains("\"'x'\""));
    // The same page without the text has as many tags.
    let tags = |html: &str| html.matches('<').count();
    assert_eq!(tags(&html), tags(&daily(&with_text("plain")).unwrap()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Whatever the texts and numbers, there is a report, with the same tags.
    #[test]
    fn any_input_makes_a_report(text in any::<String>(), number in any::<f64>()) {
        let mut report = with_text(&text);
        report.limits[0].used = Some(number);
        report.book.greeks.delta_usd = Some(number);
        report.pnl.day_return_ratio = Some(number);
        if let Some(payoff) = &mut report.strategies[0].payoff {
            payoff.spot_usd = number;
        }
        prop_assert!(daily(&report).is_ok());
    }
}
