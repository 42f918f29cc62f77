//! Limits and their use: the standing ones from the close's figures, those of single orders from
//! the gate's last verdict.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::report::{LimitUnit, LimitUse};

use super::accounts::Accounts;
use super::tables::Tables;
use super::terms::ReportTerms;
use super::words::{clock, plain};

const MAX_LOSSES: &str = "
    select symbol, sum(max_loss_usd) as max_loss_usd from (
        select *, row_number() over (
            partition by strategy_id order by change_seq desc
        ) as recency
        from ops.strategies where session_date <= $session_date
    ) as ranked
    where recency = 1 and quantity > 0 group by symbol order by symbol";

const VEGAS: &str = "
    select subject_id, vega_usd from (
        select *, rank() over (order by as_of desc, run_id desc) as recency
        from gold.exposures where session_date = $session_date and scope = 'symbol'
    ) as ranked
    where recency = 1 order by subject_id";

const CHECKS: &str = "
    select check_id, check_name, measured, limit_value, as_of from (
        select *, row_number() over (
            partition by check_id order by as_of desc, attempt desc, order_ref desc
        ) as recency
        from ops.risk_checks
        where session_date = $session_date
            and measured is not null and limit_value is not null
    ) as ranked
    where recency = 1 order by check_id";

/// Checks whose measure is a use of something that the desk has only so much of.
const OF_ORDERS: [(&str, LimitUnit); 5] = [
    ("D6W", LimitUnit::Ratio),
    ("R14", LimitUnit::Count),
    ("R18", LimitUnit::Count),
    ("R23", LimitUnit::Count),
    ("R30", LimitUnit::Ratio),
];

pub(super) async fn limits(
    tables: &Tables,
    terms: &ReportTerms,
    (accounts, worst_case): (&Accounts, Option<Decimal>),
) -> anyhow::Result<Vec<LimitUse>> {
    let figures = &accounts.figures;
    let equity = figures.net_liquidation.map(|usd| usd.min(terms.capital_usd));
    let of_equity = |usd: Option<f64>| {
        usd.zip(equity).filter(|(_, equity)| *equity > 0.0).map(|(usd, equity)| usd / equity)
    };
    let used_of = |part: Option<f64>| {
        let whole = figures.net_liquidation.filter(|whole| *whole > 0.0);
        part.zip(whole).map(|(part, whole)| 1.0 - part / whole)
    };
    let (account, exposure, loss) =
        (&terms.limits.account, &terms.limits.exposure, &terms.limits.loss);
    let day = accounts.pnl.day_usd.and_then(|usd| usd.to_f64()).map(|usd| (-usd).max(0.0));
    let worst_case = worst_case.and_then(|usd| usd.to_f64()).map(f64::abs);
    let drawdown = accounts.drawdown_ratio.map(f64::abs);
    let mut limits = vec![
        ratio(
            "Liquidity used",
            used_of(figures.excess_liquidity),
            1.0 - account.excess_liquidity_ratio_min,
        ),
        ratio(
            "Look-ahead liquidity used",
            used_of(figures.look_ahead_excess_liquidity),
            1.0 - account.look_ahead_ratio_min,
        ),
        ratio("Loss of the day", of_equity(day), loss.daily_loss_ratio_max),
        ratio("Drawdown", drawdown, loss.drawdown_ratio_max),
        ratio("Worst case on the grid", of_equity(worst_case), exposure.worst_case_ratio_max),
    ];
    let max_losses = max_losses(tables).await?;
    let vegas = vegas(tables).await?;
    for (name, cluster) in &terms.limits.clusters {
        let symbols: Vec<&str> = cluster.symbols.iter().map(|symbol| symbol.as_str()).collect();
        let held = symbols.iter().filter_map(|symbol| max_losses.get(*symbol)).sum();
        let name = plain(name);
        limits.push(ratio(
            &format!("Maximum loss, {name}"),
            of_equity(Some(held)),
            exposure.cluster_max_loss_ratio,
        ));
        let vega: Option<f64> = symbols.iter().filter_map(|symbol| vegas.get(*symbol)).copied().sum();
        limits.push(ratio(
            &format!("Short vega, {name}"),
            of_equity(vega.map(|usd| (-usd).max(0.0))),
            exposure.cluster_short_vega_ratio,
        ));
    }
    limits.extend(of_last_order(tables).await?);
    Ok(limits)
}

fn ratio(name: &str, used: Option<f64>, limit: f64) -> LimitUse {
    LimitUse { name: name.to_owned(), unit: LimitUnit::Ratio, used, limit }
}

/// Maximum loss of the open strategies by underlying, USD.
async fn max_losses(tables: &Tables) -> anyhow::Result<BTreeMap<String, f64>> {
    let mut held = BTreeMap::new();
    for row in tables.rows(MAX_LOSSES).await?.iter() {
        held.insert(row.text("symbol")?.to_owned(), row.usd("max_loss_usd")?.to_f64().abs());
    }
    Ok(held)
}

/// Vega of the book by underlying, USD a volatility point; `None` where it is not known.
async fn vegas(tables: &Tables) -> anyhow::Result<BTreeMap<String, Option<f64>>> {
    let mut vegas = BTreeMap::new();
    for row in tables.rows(VEGAS).await?.iter() {
        vegas.insert(row.text("subject_id")?.to_owned(), row.maybe_double("vega_usd")?);
    }
    Ok(vegas)
}

async fn of_last_order(tables: &Tables) -> anyhow::Result<Vec<LimitUse>> {
    let rows = tables.rows(CHECKS).await?;
    let mut limits = Vec::new();
    for row in rows.iter() {
        let id = row.text("check_id")?;
        let Some((_, unit)) = OF_ORDERS.iter().find(|(known, _)| *known == id) else { continue };
        let name = plain(row.text("check_name")?);
        limits.push(LimitUse {
            name: format!("Last order, {}: {name}", clock(row.instant("as_of")?)),
            unit: *unit,
            used: row.maybe_double("measured")?,
            limit: row.double("limit_value")?,
        });
    }
    Ok(limits)
}
