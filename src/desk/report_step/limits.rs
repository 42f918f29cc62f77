//! Limits and their use as the session closed, and the most that single orders asked of the gate.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::market::Symbol;
use crate::report::{LimitKind, LimitUnit, LimitUse};

use super::accounts::Accounts;
use super::holdings::Holdings;
use super::tables::Tables;
use super::terms::ReportTerms;
use super::words::{local, plain};

const OPENED: &str = "
    select symbol, opened_at, max(max_loss_usd) as max_loss_usd from ops.strategies
    where session_date <= $session_date and opened_at is not null
    group by strategy_id, symbol, opened_at order by strategy_id, symbol, opened_at";

const VEGAS: &str = "
    select subject_id, vega_usd from (
        select *, rank() over (order by as_of desc, run_id desc) as recency
        from gold.exposures
        where session_date = $session_date and as_of <= $session_close and scope = 'symbol'
    ) as ranked
    where recency = 1 order by subject_id";

const MOST: &str = "
    select check_name, max(measured) as measured, max(limit_value) as limit_value
    from ops.risk_checks
    where session_date = $session_date and check_id in ('R14', 'R15', 'R18')
        and measured is not null and limit_value is not null
    group by check_name order by check_name";

pub(super) async fn limits(
    tables: &Tables,
    terms: &ReportTerms,
    (accounts, holdings, worst_case): (&Accounts, &Holdings, Option<Decimal>),
) -> anyhow::Result<Vec<LimitUse>> {
    let of_equity = Share { whole: equity(accounts, terms) };
    let mut limits = of_account(accounts, terms);
    let exposure = &terms.limits.exposure;
    let worst_case = worst_case.and_then(|usd| usd.to_f64()).map(f64::abs);
    limits.push(ratio(
        "Worst case on the grid",
        of_equity.of(worst_case),
        exposure.worst_case_ratio_max,
    ));
    let open = || holdings.strategies.iter().filter(|strategy| strategy.quantity > 0);
    let max_loss = |usd: Decimal| usd.abs().to_f64();
    let largest = open().filter_map(|strategy| max_loss(strategy.max_loss)).fold(0.0, f64::max);
    limits.push(budget(
        "Maximum loss of the largest strategy",
        of_equity.of(Some(largest)),
        exposure.trade_max_loss_ratio,
    ));
    let opened = opened(tables, exposure.week_days).await?;
    let vegas = vegas(tables, holdings).await?;
    for (name, cluster) in &terms.limits.clusters {
        let symbols: Vec<&str> = cluster.symbols.iter().map(Symbol::as_str).collect();
        let name = plain(name);
        let held = open()
            .filter(|strategy| symbols.contains(&strategy.symbol.as_str()))
            .filter_map(|strategy| max_loss(strategy.max_loss))
            .sum();
        let week = symbols.iter().filter_map(|symbol| opened.get(*symbol)).sum();
        let vega: Option<f64> =
            symbols.iter().filter_map(|symbol| vegas.get(*symbol)).copied().sum();
        limits.extend([
            budget(
                &format!("Maximum loss, {name}"),
                of_equity.of(Some(held)),
                exposure.cluster_max_loss_ratio,
            ),
            budget(
                &format!("Opened in {} days, {name}", exposure.week_days),
                of_equity.of(Some(week)),
                exposure.week_opened_ratio,
            ),
            ratio(
                &format!("Short vega, {name}"),
                of_equity.of(vega.map(|usd| (-usd).max(0.0))),
                exposure.cluster_short_vega_ratio,
            ),
        ]);
    }
    limits.push(largest_position(holdings, terms));
    limits.extend(most_of_orders(tables).await?);
    Ok(limits)
}

/// Parts of a whole that may not be known.
struct Share {
    whole: Option<f64>,
}

impl Share {
    fn of(&self, part: Option<f64>) -> Option<f64> {
        let whole = self.whole.filter(|whole| *whole > 0.0);
        part.zip(whole).map(|(part, whole)| part / whole)
    }
}

fn equity(accounts: &Accounts, terms: &ReportTerms) -> Option<f64> {
    accounts.figures.net_liquidation.map(|usd| usd.min(terms.capital_usd))
}

fn ratio(name: &str, used: Option<f64>, limit: f64) -> LimitUse {
    LimitUse { name: name.to_owned(), unit: LimitUnit::Ratio, kind: LimitKind::Guard, used, limit }
}

/// What sizing fills up on purpose.
fn budget(name: &str, used: Option<f64>, limit: f64) -> LimitUse {
    LimitUse { kind: LimitKind::Budget, ..ratio(name, used, limit) }
}

fn of_account(accounts: &Accounts, terms: &ReportTerms) -> Vec<LimitUse> {
    let (figures, account, loss) = (&accounts.figures, &terms.limits.account, &terms.limits.loss);
    let of_liquidation = Share { whole: figures.net_liquidation };
    let used = |free: Option<f64>| of_liquidation.of(free).map(|share| 1.0 - share);
    let day = accounts.pnl.day_usd.and_then(|usd| usd.to_f64()).map(|usd| (-usd).max(0.0));
    vec![
        ratio(
            "Liquidity used",
            used(figures.excess_liquidity),
            1.0 - account.excess_liquidity_ratio_min,
        ),
        ratio(
            "Look-ahead liquidity used",
            used(figures.look_ahead_excess_liquidity),
            1.0 - account.look_ahead_ratio_min,
        ),
        ratio(
            "Loss of the day",
            Share { whole: equity(accounts, terms) }.of(day),
            loss.daily_loss_ratio_max,
        ),
        ratio("Drawdown", accounts.drawdown_ratio.map(f64::abs), loss.drawdown_ratio_max),
    ]
}

/// Maximum loss of what was opened within so many days, by underlying, USD; what has been closed
/// since counts as it was opened.
async fn opened(tables: &Tables, days: i64) -> anyhow::Result<BTreeMap<String, f64>> {
    let since = tables.session_date - TimeDelta::days(days);
    let mut opened: BTreeMap<String, f64> = BTreeMap::new();
    for row in tables.rows(OPENED).await?.iter() {
        if local(row.instant("opened_at")?).date_naive() > since {
            let max_loss = row.usd("max_loss_usd")?.to_f64().abs();
            *opened.entry(row.text("symbol")?.to_owned()).or_default() += max_loss;
        }
    }
    Ok(opened)
}

/// Vega of the book by underlying, USD a volatility point; `None` where it is not known. An empty
/// book has none.
async fn vegas(
    tables: &Tables,
    holdings: &Holdings,
) -> anyhow::Result<BTreeMap<String, Option<f64>>> {
    let mut vegas: BTreeMap<String, Option<f64>> =
        holdings.legs.iter().map(|leg| (leg.symbol.clone(), None)).collect();
    for row in tables.rows(VEGAS).await?.iter() {
        if !holdings.legs.is_empty() {
            vegas.insert(row.text("subject_id")?.to_owned(), row.maybe_double("vega_usd")?);
        }
    }
    Ok(vegas)
}

/// Contracts of the option or future of which most are held.
fn largest_position(holdings: &Holdings, terms: &ReportTerms) -> LimitUse {
    let mut held: BTreeMap<i64, i64> = BTreeMap::new();
    for leg in holdings.legs.iter().filter(|leg| leg.security_kind != "STK") {
        *held.entry(leg.conid).or_default() += leg.quantity;
    }
    let most = held.into_values().map(i64::abs).max().unwrap_or_default();
    LimitUse {
        name: "Contracts of one option or future".to_owned(),
        unit: LimitUnit::Count,
        kind: LimitKind::Guard,
        used: Some(most as f64),
        limit: terms.limits.account.position_contracts_max as f64,
    }
}

async fn most_of_orders(tables: &Tables) -> anyhow::Result<Vec<LimitUse>> {
    let mut limits = Vec::new();
    for row in tables.rows(MOST).await?.iter() {
        limits.push(LimitUse {
            name: format!("Most in the session: {}", plain(row.text("check_name")?)),
            unit: LimitUnit::Count,
            kind: LimitKind::Guard,
            used: row.maybe_double("measured")?,
            limit: row.double("limit_value")?,
        });
    }
    Ok(limits)
}
