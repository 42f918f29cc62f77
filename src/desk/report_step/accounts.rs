//! Equity, profit and loss, and the account's figures.

use chrono::NaiveDate;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::lake::{Lake, LakeError, Row};
use crate::market::sessions::Session;
use crate::market::{Timestamp, Usd};
use crate::report::{EquityPoint, PnlDay, PnlPart, PnlPartKind};

use super::tables::Tables;
use super::words::money;

const CLOSES: &str = "
    select max(as_of) as closed_at from gold.pnl_daily where session_date = $session_date";

const EQUITY: &str = "
    select session_date, account_id, net_liquidation_usd from (
        select *, row_number() over (
            partition by session_date, account_id order by as_of desc, run_id desc
        ) as recency
        from gold.equity_daily where session_date <= $session_date
    ) as ranked
    where recency = 1 and net_liquidation_usd is not null order by session_date, account_id";

const PNL: &str = "
    select * from (
        select *, row_number() over (
            partition by session_date, account_id order by as_of desc, run_id desc
        ) as recency
        from gold.pnl_daily where session_date <= $session_date
    ) as ranked
    where recency = 1 order by session_date, account_id";

const FIGURES: &str = "
    select account_id, net_liquidation_usd, excess_liquidity_usd, look_ahead_excess_liquidity_usd
    from bronze.account where session_date = $session_date order by ingest_seq desc limit 1";

/// What the broker says of the account, at the last reading of the session. USD.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Figures {
    pub net_liquidation: Option<f64>,
    pub excess_liquidity: Option<f64>,
    pub look_ahead_excess_liquidity: Option<f64>,
}

/// The account's days so far and its last figures.
pub(super) struct Accounts {
    pub account: Option<String>,
    pub equity: Vec<EquityPoint>,
    pub pnl: PnlDay,
    /// From the highest close to the last one, zero or negative.
    pub drawdown_ratio: Option<f64>,
    pub figures: Figures,
}

/// When the session's P&L was struck, where it was.
pub(super) async fn closed_at(lake: &Lake, session: Session) -> anyhow::Result<Option<Timestamp>> {
    let tables = Tables::newest(lake, session).await?;
    let rows = tables.rows(CLOSES).await?;
    let closed_at = rows.first().map(|row| row.maybe_instant("closed_at")).transpose()?;
    Ok(closed_at.flatten())
}

impl Accounts {
    pub async fn read(tables: &Tables) -> anyhow::Result<Self> {
        let figures = tables.rows(FIGURES).await?;
        let mut account = None;
        let mut last = Figures::default();
        if let Some(row) = figures.first() {
            account = Some(row.text("account_id")?.to_owned());
            last = Figures {
                net_liquidation: row.maybe_usd("net_liquidation_usd")?.map(Usd::to_f64),
                excess_liquidity: row.maybe_usd("excess_liquidity_usd")?.map(Usd::to_f64),
                look_ahead_excess_liquidity: row
                    .maybe_usd("look_ahead_excess_liquidity_usd")?
                    .map(Usd::to_f64),
            };
        }
        let (equity, pnl) = (tables.rows(EQUITY).await?, tables.rows(PNL).await?);
        if account.is_none() {
            let rows = equity.iter().last().or_else(|| pnl.iter().last());
            account = rows.map(|row| row.text("account_id").map(str::to_owned)).transpose()?;
        }
        let ours =
            |row: &Row<'_>| Ok::<_, LakeError>(Some(row.text("account_id")?) == account.as_deref());
        let mut points = Vec::new();
        for row in equity.iter() {
            if ours(&row)? {
                points.push(EquityPoint {
                    session_date: row.date("session_date")?,
                    equity_usd: row.usd("net_liquidation_usd")?.decimal(),
                });
            }
        }
        let mut days = Vec::new();
        for row in pnl.iter() {
            if ours(&row)? {
                days.push(Day::read(&row)?);
            }
        }
        let course = Course::of(&days);
        let today = days.iter().find(|day| day.session_date == tables.session_date);
        Ok(Self {
            account,
            equity: points,
            pnl: pnl_day(today, &course),
            drawdown_ratio: course.drawdown,
            figures: last,
        })
    }
}

/// One session of the account.
#[derive(Debug, Clone, PartialEq)]
struct Day {
    session_date: NaiveDate,
    start: Option<Decimal>,
    /// Deposits and withdrawals excluded.
    profit: Option<Decimal>,
    flows: Decimal,
    realised: Option<Decimal>,
    unrealised: Option<Decimal>,
    /// Everything but the residual.
    parts: Vec<PnlPart>,
}

impl Day {
    fn read(row: &Row<'_>) -> Result<Self, LakeError> {
        let decimal = |column: &str| -> Result<Option<Decimal>, LakeError> {
            Ok(row.maybe_usd(column)?.map(Usd::decimal))
        };
        let known = |column: &str| -> Result<Decimal, LakeError> {
            Ok(decimal(column)?.unwrap_or(Decimal::ZERO))
        };
        let flows = known("flows_usd")?;
        let greek = |column: &str| Ok::<_, LakeError>(money(row.maybe_double(column)?));
        let parts = [
            (PnlPartKind::Delta, greek("delta_usd")?),
            (PnlPartKind::Gamma, greek("gamma_usd")?),
            (PnlPartKind::Vega, greek("vega_usd")?),
            (PnlPartKind::Theta, greek("theta_usd")?),
            (PnlPartKind::Rho, greek("rho_usd")?),
            (PnlPartKind::Fees, Some(-known("fees_usd")?)),
            (PnlPartKind::Interest, Some(known("interest_usd")?)),
            (PnlPartKind::Dividends, Some(known("dividends_usd")?)),
        ];
        let parts = parts.into_iter().filter_map(|(kind, usd)| Some(PnlPart { kind, usd: usd? }));
        Ok(Self {
            session_date: row.date("session_date")?,
            start: decimal("start_equity_usd")?,
            profit: decimal("equity_change_usd")?.map(|change| change - flows),
            flows,
            realised: decimal("realised_usd")?,
            unrealised: money(row.maybe_double("unrealised_usd")?),
            parts: parts.collect(),
        })
    }

    /// Of the equity at the session's start.
    fn return_ratio(&self) -> Option<f64> {
        let start = self.start?.to_f64().filter(|start| *start > 0.0)?;
        Some(self.profit?.to_f64()? / start)
    }
}

/// How the account fared since its first session.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Course {
    profit: Option<Decimal>,
    return_ratio: Option<f64>,
    deepest: Option<f64>,
    /// Of the last day.
    drawdown: Option<f64>,
}

impl Course {
    /// Days in order; one that is not known makes the rest unknown.
    fn of(days: &[Day]) -> Self {
        let mut profit = Some(Decimal::ZERO);
        let (mut index, mut peak, mut deepest) = (Some(1.0_f64), 1.0_f64, 0.0_f64);
        for day in days {
            profit = profit.zip(day.profit).map(|(sum, profit)| sum + profit);
            index = index.zip(day.return_ratio()).map(|(index, ratio)| index * (1.0 + ratio));
            if let Some(index) = index {
                peak = peak.max(index);
                deepest = deepest.min(index / peak - 1.0);
            }
        }
        if days.is_empty() {
            (profit, index) = (None, None);
        }
        Self {
            profit,
            return_ratio: index.map(|index| index - 1.0),
            deepest: index.map(|_| deepest),
            drawdown: index.map(|index| index / peak - 1.0),
        }
    }
}

/// The residual is what the parts leave of the day's profit.
fn pnl_day(today: Option<&Day>, course: &Course) -> PnlDay {
    let mut parts = today.map(|day| day.parts.clone()).unwrap_or_default();
    if let Some(profit) = today.and_then(|day| day.profit) {
        let told: Decimal = parts.iter().map(|part| part.usd).sum();
        parts.push(PnlPart { kind: PnlPartKind::Residual, usd: profit - told });
    }
    PnlDay {
        day_usd: today.and_then(|day| day.profit),
        day_return_ratio: today.and_then(Day::return_ratio),
        realised_usd: today.and_then(|day| day.realised),
        unrealised_usd: today.and_then(|day| day.unrealised),
        total_usd: course.profit,
        total_return_ratio: course.return_ratio,
        max_drawdown_ratio: course.deepest,
        external_flows_usd: today.map_or(Decimal::ZERO, |day| day.flows),
        parts,
        residual_limit_usd: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(date: &str, start: i64, profit: i64) -> Day {
        Day {
            session_date: date.parse().unwrap(),
            start: Some(start.into()),
            profit: Some(profit.into()),
            flows: Decimal::ZERO,
            realised: None,
            unrealised: None,
            parts: vec![PnlPart { kind: PnlPartKind::Fees, usd: Decimal::from(-3) }],
        }
    }

    #[test]
    fn returns_are_chained_and_falls_are_from_the_peak() {
        let days =
            [day("2026-03-02", 100, 10), day("2026-03-03", 110, -11), day("2026-03-04", 99, 0)];
        let course = Course::of(&days);
        assert_eq!(course.profit, Some(Decimal::from(-1)));
        assert!((course.return_ratio.unwrap() + 0.01).abs() < 1e-12);
        assert!((course.deepest.unwrap() + 0.1).abs() < 1e-12);
        assert!((course.drawdown.unwrap() + 0.1).abs() < 1e-12);
    }

    #[test]
    fn parts_and_residual_make_the_day() {
        let pnl = pnl_day(Some(&day("2026-03-02", 100, 10)), &Course::of(&[]));
        assert_eq!(pnl.parts.iter().map(|part| part.usd).sum::<Decimal>(), Decimal::from(10));
        assert_eq!(pnl.total_usd, None);
    }

    #[test]
    fn no_close_is_not_a_day_of_nothing() {
        let pnl = pnl_day(None, &Course::of(&[]));
        assert_eq!((pnl.day_usd, pnl.day_return_ratio, pnl.parts.len()), (None, None, 0));
    }
}
