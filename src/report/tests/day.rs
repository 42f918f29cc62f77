//! Two days to make reports of.

use chrono::{NaiveDate, TimeDelta};
use rust_decimal::Decimal;

use crate::market::Timestamp;
use crate::report::*;

fn dec(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// An instant of 16 March 2026, New York time.
fn at(text: &str) -> Timestamp {
    format!("2026-03-16T{text}:00-04:00").parse().unwrap()
}

fn payoff() -> Payoff {
    let condor = |price: f64| {
        let put = (655.0_f64 - price).max(0.0) - (645.0_f64 - price).max(0.0);
        let call = (price - 705.0_f64).max(0.0) - (price - 715.0_f64).max(0.0);
        (2.06 - put - call) * 200.0
    };
    let prices = || (0..=100).map(|n| 630.0 + f64::from(n));
    let today = |price: f64| 120.0 - (price - 681.0_f64).powi(2) * 0.38 + (price - 681.0) * 0.8;
    Payoff {
        spot_usd: 681.42,
        at_expiry: prices().map(|price| (price, condor(price))).collect(),
        today: prices().map(|price| (price, today(price).max(-1380.0))).collect(),
    }
}

fn strategies() -> Vec<StrategyRow> {
    let leg = |quantity, contract: &str, (mark, vol, delta): (&str, f64, f64)| LegRow {
        quantity,
        contract: contract.to_owned(),
        expiry_date: Some(day("2026-04-17")),
        mark_usd: Some(dec(mark)),
        implied_volatility: Some(vol),
        delta: Some(delta),
    };
    let condor = StrategyRow {
        strategy_id: "st-20260309T140500Z-SPY-iron_condor".to_owned(),
        symbol: "SPY".to_owned(),
        structure: "iron condor".to_owned(),
        state: "open".to_owned(),
        opened_date: day("2026-03-09"),
        expiry_date: Some(day("2026-04-17")),
        quantity: 2,
        entry_cash_usd: dec("406.80"),
        pnl_usd: Some(dec("118.40")),
        mark_error_usd: Some(dec("9.00")),
        pnl_ratio: Some(0.291),
        max_loss_usd: Some(dec("1593.20")),
        greeks: Greeks {
            delta_usd: Some(-2_140.0),
            gamma_usd_1pct: Some(-1_310.0),
            vega_usd: Some(-61.0),
            theta_usd: Some(14.2),
        },
        legs: vec![
            leg(2, "put 645", ("2.31", 0.201, -0.10)),
            leg(-2, "put 655", ("3.12", 0.188, -0.15)),
            leg(-2, "call 705", ("1.98", 0.129, 0.14)),
            leg(2, "call 715", ("1.02", 0.124, 0.08)),
        ],
        payoff: Some(payoff()),
        next_exit: Some(
            "take profit at a cost of $1.01 a share, now $1.44; time rule in 11 days".to_owned(),
        ),
    };
    let vertical = StrategyRow {
        strategy_id: "st-20260311T150000Z-QQQ-put_vertical".to_owned(),
        symbol: "QQQ".to_owned(),
        structure: "put vertical".to_owned(),
        entry_cash_usd: dec("191.40"),
        pnl_usd: Some(dec("-64.10")),
        pnl_ratio: Some(-0.335),
        max_loss_usd: Some(dec("808.60")),
        opened_date: day("2026-03-11"),
        quantity: 1,
        payoff: None,
        legs: vec![],
        next_exit: None,
        ..condor.clone()
    };
    let hedge = StrategyRow {
        strategy_id: "hedge-MES".to_owned(),
        symbol: "MES".to_owned(),
        structure: "hedge".to_owned(),
        expiry_date: Some(day("2026-06-19")),
        entry_cash_usd: dec("0"),
        pnl_usd: Some(dec("22.50")),
        pnl_ratio: None,
        max_loss_usd: None,
        greeks: Greeks { delta_usd: Some(-34_071.0), ..Greeks::default() },
        quantity: -1,
        mark_error_usd: None,
        ..vertical.clone()
    };
    vec![condor, vertical, hedge]
}

fn equity() -> Vec<EquityPoint> {
    let moves = [0, 41, -60, 95, 130, -210, 88, 64, -31, 120];
    let dates = ["02", "03", "04", "05", "06", "09", "10", "11", "12", "13", "16"];
    let mut equity = dec("250000");
    dates
        .iter()
        .zip(moves.into_iter().chain([212]))
        .map(|(date, change)| {
            equity += Decimal::from(change);
            EquityPoint { session_date: day(&format!("2026-03-{date}")), equity_usd: equity }
        })
        .collect()
}

fn pnl() -> PnlDay {
    use PnlPartKind::{Delta, Dividends, Fees, Gamma, Interest, Residual, Rho, Roll, Theta, Vega};
    let parts = [
        (Delta, "64.20"),
        (Gamma, "-48.90"),
        (Vega, "151.35"),
        (Theta, "58.10"),
        (Rho, "-0.42"),
        (Roll, "0"),
        (Fees, "-20.90"),
        (Interest, "27.40"),
        (Dividends, "0"),
        (Residual, "-18.55"),
    ];
    PnlDay {
        day_usd: Some(dec("212.28")),
        day_return_ratio: Some(0.000_848),
        realised_usd: Some(dec("96.30")),
        unrealised_usd: Some(dec("115.98")),
        total_usd: Some(dec("449.28")),
        total_return_ratio: Some(0.001_797),
        max_drawdown_ratio: Some(-0.000_84),
        external_flows_usd: dec("0"),
        parts: parts.into_iter().map(|(kind, usd)| PnlPart { kind, usd: dec(usd) }).collect(),
        residual_limit_usd: Some(dec("15.00")),
    }
}

fn decisions() -> Vec<DecisionRow> {
    vec![
        DecisionRow {
            decision_id: "d-20260316T143500Z-IWM".to_owned(),
            decided_at: at("10:35"),
            subject: "IWM iron condor".to_owned(),
            action: "open".to_owned(),
            rule: "entries/iron_condor".to_owned(),
            urgency: 0,
            fraction: None,
            reason: "Implied volatility 24.1% exceeds the forecast of 19.6% by more than costs; \
                     expected value $31 after $12 of costs."
                .to_owned(),
            outcome: "refused by the gate".to_owned(),
        },
        DecisionRow {
            decision_id: "d-20260316T153000Z-SPY".to_owned(),
            decided_at: at("11:30"),
            subject: "SPY put vertical".to_owned(),
            action: "close".to_owned(),
            rule: "rules/take_profit".to_owned(),
            urgency: 1,
            fraction: Some(0.5),
            reason: "Half of the credit is earned: 52% at the price where it can be closed."
                .to_owned(),
            outcome: "filled".to_owned(),
        },
        DecisionRow {
            decision_id: "d-20260316T191000Z-book".to_owned(),
            decided_at: at("15:10"),
            subject: "book delta".to_owned(),
            action: "hedge".to_owned(),
            rule: "rules/delta_band".to_owned(),
            urgency: 2,
            fraction: None,
            reason: "Beta-weighted delta of +61 SPY shares left the outer band of 50.".to_owned(),
            outcome: "filled".to_owned(),
        },
    ]
}

fn orders() -> Vec<OrderRow> {
    let close = OrderRow {
        order_ref: "d-20260316T153000Z-SPY.close.1".to_owned(),
        sent_at: at("11:30"),
        subject: "SPY".to_owned(),
        purpose: "close".to_owned(),
        what: "buy back 1 put vertical 640/650, 17 Apr 2026".to_owned(),
        quantity: 1,
        filled_quantity: 1,
        status: "filled".to_owned(),
        arrival_mid_usd: Some(dec("0.86")),
        last_limit_usd: Some(dec("0.90")),
        fill_price_usd: Some(dec("0.89")),
        fees_usd: Some(dec("2.62")),
        markout_1m_usd: Some(dec("-0.01")),
        markout_10m_usd: Some(dec("0.03")),
    };
    let hedge = OrderRow {
        order_ref: "d-20260316T191000Z-book.hedge.1".to_owned(),
        sent_at: at("15:10"),
        subject: "MES".to_owned(),
        purpose: "hedge".to_owned(),
        what: "sell 1 MES June 2026".to_owned(),
        arrival_mid_usd: Some(dec("6818.75")),
        last_limit_usd: Some(dec("6818.50")),
        fill_price_usd: None,
        fees_usd: None,
        markout_1m_usd: None,
        markout_10m_usd: None,
        filled_quantity: 0,
        status: "unknown".to_owned(),
        ..close.clone()
    };
    vec![hedge, close]
}

fn limits() -> Vec<LimitUse> {
    let limit = |name: &str, unit, (used, limit)| LimitUse {
        name: name.to_owned(),
        unit,
        kind: LimitKind::Guard,
        used,
        limit,
    };
    vec![
        limit("Cluster maximum loss", LimitUnit::Usd, (Some(12_410.0), 37_500.0)),
        limit("Short vega of the cluster", LimitUnit::Usd, (Some(412.0), 480.0)),
        limit("Excess liquidity used", LimitUnit::Ratio, (Some(0.081), 0.75)),
        limit("Orders today", LimitUnit::Count, (Some(7.0), 40.0)),
        limit("Opened this week", LimitUnit::Usd, (Some(2_400.0), 15_000.0)),
        limit("Day-trade reserve", LimitUnit::Count, (None, 3.0)),
    ]
}

fn sources() -> Vec<SourceHealth> {
    let source =
        |source: &str, symbol: &str, (expected, received, age): (u64, u64, i64)| SourceHealth {
            source: source.to_owned(),
            symbol: symbol.to_owned(),
            expected_rows: expected,
            received_rows: received,
            quarantined_rows: expected.saturating_sub(received) / 3,
            required_ratio: 0.95,
            last_at: Some(at("16:00")),
            worst_age: Some(TimeDelta::seconds(age)),
            allowed_age: TimeDelta::minutes(10),
        };
    vec![
        source("chains", "SPY", (46_800, 46_655, 312)),
        source("chains", "QQQ", (46_800, 46_512, 318)),
        source("chains", "IWM", (23_400, 21_060, 905)),
        source("futures", "ES", (102, 102, 300)),
        source("bars", "VIX", (1, 1, 60)),
    ]
}

fn smiles() -> Vec<Smile> {
    let curve = |expiry: &str, level: f64, slope: f64| SmileCurve {
        expiry_date: day(expiry),
        points: (0..=24)
            .map(|n| {
                let strike = 620.0 + f64::from(n) * 5.0;
                let moneyness = (strike - 681.42) / 681.42;
                (strike, level - slope * moneyness + 5.0 * moneyness * moneyness)
            })
            .collect(),
    };
    vec![Smile {
        symbol: "SPY".to_owned(),
        spot_usd: 681.42,
        curves: vec![
            curve("2026-04-17", 0.152, 0.62),
            curve("2026-03-27", 0.139, 0.91),
            curve("2026-06-19", 0.166, 0.44),
        ],
    }]
}

fn header() -> Header {
    Header {
        session_date: day("2026-03-16"),
        account: "DU1000001".to_owned(),
        mode: "paper".to_owned(),
        orders_mode: "send".to_owned(),
        breaker_level: "no-new".to_owned(),
        breaker_reason: Some("chains of IWM are stale".to_owned()),
        as_of: at("16:20"),
        code_version: "0.1.0".to_owned(),
    }
}

fn refusals() -> Vec<RefusalRow> {
    vec![RefusalRow {
        refused_at: at("10:35"),
        order_ref: "d-20260316T143500Z-IWM.open.1".to_owned(),
        subject: "open IWM iron condor".to_owned(),
        checks: vec![
            FailedCheck {
                check: "quote freshness".to_owned(),
                result: "fail".to_owned(),
                reason: "oldest leg quote 905 s, at most 600 s".to_owned(),
            },
            FailedCheck {
                check: "day-trade reserve".to_owned(),
                result: "unevaluable".to_owned(),
                reason: "the rule's dated setting has expired".to_owned(),
            },
        ],
    }]
}

fn stresses() -> Vec<Stress> {
    [
        ("1987-10-19", Some("-2310.00")),
        ("2008-10", Some("-1894.20")),
        ("2018-02-05", Some("-1120.75")),
        ("2020-03-16", Some("-2105.60")),
        ("2024-08-05", Some("-640.10")),
        ("2025-04-04", None),
    ]
    .map(|(name, usd)| Stress { name: name.to_owned(), pnl_usd: usd.map(dec) })
    .into()
}

fn reconciliation() -> Reconciliation {
    Reconciliation {
        checked_at: Some(at("16:21")),
        matched_items: 31,
        differences: vec![DifferenceRow {
            kind: "quantity".to_owned(),
            subject: "SPY put 655".to_owned(),
            ours: "-2".to_owned(),
            brokers: "-1".to_owned(),
            state: DifferenceState::Open,
        }],
    }
}

/// A day on which something of everything happened.
pub(super) fn full_day() -> DailyReport {
    DailyReport {
        header: header(),
        market: MarketNote {
            kind: MarketKind::Synthetic { seed: 7, variance_premium: 1.25 },
            description: "Index-like paths with jumps and leverage; futures lead by nothing."
                .to_owned(),
            fills:
                "Pessimistic: resting orders fill by hazard with adverse selection; latency 250 ms."
                    .to_owned(),
        },
        equity: equity(),
        pnl: pnl(),
        book: BookGreeks {
            greeks: Greeks {
                delta_usd: Some(8_911.0),
                gamma_usd_1pct: Some(-2_204.0),
                vega_usd: Some(-131.0),
                theta_usd: Some(29.6),
            },
            beta_delta_spy_shares: Some(13.1),
            worst_case_usd: Some(dec("-2418.10")),
        },
        strategies: strategies(),
        decisions: decisions(),
        refusals: refusals(),
        orders: orders(),
        limits: limits(),
        stresses: stresses(),
        smiles: smiles(),
        sources: sources(),
        quarantine: vec![QuarantineRow {
            source: "bronze.option_quotes".to_owned(),
            symbol: "IWM".to_owned(),
            reason: "crossed".to_owned(),
            rows: 12,
        }],
        reconciliation: reconciliation(),
        alerts: vec![AlertRow {
            raised_at: at("14:52"),
            severity: Severity::Warning,
            title: "Chains of IWM are stale".to_owned(),
            text: "No complete sweep for 15 minutes; entries in IWM are blocked.".to_owned(),
            state: AlertState::Open,
        }],
        tomorrow: vec![
            "Watch SPY put vertical: time rule in 2 sessions.".to_owned(),
            "FOMC decision on 18 March: no entries from 14 March on.".to_owned(),
        ],
    }
}

/// A day on which nothing happened, and everything was looked at.
pub(super) fn quiet_day() -> DailyReport {
    let full = full_day();
    DailyReport {
        header: Header { breaker_level: "normal".to_owned(), breaker_reason: None, ..full.header },
        market: MarketNote { kind: MarketKind::Live, ..full.market },
        equity: vec![full.equity[10]],
        pnl: PnlDay {
            day_usd: Some(dec("0")),
            day_return_ratio: None,
            parts: vec![],
            external_flows_usd: dec("5000"),
            ..full.pnl
        },
        book: BookGreeks::default(),
        strategies: vec![],
        decisions: vec![],
        refusals: vec![],
        orders: vec![],
        limits: vec![full.limits[0].clone()],
        stresses: vec![],
        smiles: vec![],
        sources: vec![full.sources[0].clone()],
        quarantine: vec![],
        reconciliation: Reconciliation { differences: vec![], ..full.reconciliation },
        alerts: vec![],
        tomorrow: vec![],
    }
}
