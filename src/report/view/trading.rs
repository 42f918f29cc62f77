//! Strategies, decisions, refusals, orders.

use minijinja::{Value, context};
use rust_decimal::Decimal;

use super::{counted, money, svg};
use crate::report::input::{DailyReport, DecisionRow, LegRow, OrderRow, RefusalRow, StrategyRow};
use crate::report::text::{self, Tone, or_unknown};
use crate::report::{ReportError, chart};

/// Up to this many strategies are shown unfolded.
const UNFOLDED_MAX: usize = 2;

pub(super) fn strategies(report: &DailyReport) -> Result<Value, ReportError> {
    let mut strategies: Vec<_> = report.strategies.iter().collect();
    strategies.sort_by(|a, b| {
        let key =
            |row: &StrategyRow| (row.symbol.clone(), row.expiry_date, row.strategy_id.clone());
        key(a).cmp(&key(b))
    });
    let rows: Result<Vec<Value>, ReportError> =
        strategies.iter().map(|row| strategy(row, report)).collect();
    Ok(context! {
        rows => rows?,
        unfolded => strategies.len() <= UNFOLDED_MAX,
        title => counted(strategies.len(), "strategy", "strategies"),
    })
}

fn strategy(row: &StrategyRow, report: &DailyReport) -> Result<Value, ReportError> {
    let tone = row.pnl_usd.map_or(Tone::Flat, Tone::of);
    let days_left = row.expiry_date.map(|expiry| {
        let days = (expiry - report.header.session_date).num_days();
        u64::try_from(days).map_or_else(|_| "expired".to_owned(), |left| format!("{left} d"))
    });
    let cash = if row.entry_cash_usd.is_sign_negative() { "Debit" } else { "Credit" };
    let name = format!("Payoff of {} {}", row.symbol, row.structure);
    let payoff = match &row.payoff {
        Some(payoff) => chart::payoff(&name, payoff)?,
        None => None,
    };
    Ok(context! {
        id => &row.strategy_id,
        symbol => &row.symbol,
        structure => &row.structure,
        quantity => text::quantity(row.quantity),
        state => &row.state,
        opened => text::date(row.opened_date),
        expiry => or_unknown(row.expiry_date, text::date),
        days_left => days_left,
        cash_name => cash,
        cash => Some(row.entry_cash_usd.abs()).filter(|cash| !cash.is_zero()).map(text::usd),
        pnl => or_unknown(row.pnl_usd, text::usd_change),
        pnl_ratio => row.pnl_ratio.map(|ratio| text::percent_change(ratio, 0)),
        mark_error => row.mark_error_usd.map(|error| text::usd(error.abs())),
        tone => tone.class(),
        arrow => tone.arrow(),
        max_loss => or_unknown(row.max_loss_usd, text::usd),
        greeks => money::greeks(&row.greeks),
        legs => row.legs.iter().map(leg).collect::<Value>(),
        has_today => row.payoff.as_ref().is_some_and(|payoff| !payoff.today.is_empty()),
        payoff => svg(payoff),
        next_exit => row.next_exit.as_ref(),
    })
}

fn leg(leg: &LegRow) -> Value {
    context! {
        quantity => text::quantity(leg.quantity),
        contract => &leg.contract,
        expiry => or_unknown(leg.expiry_date, text::short_date),
        mark => or_unknown(leg.mark_usd, price),
        volatility => or_unknown(leg.implied_volatility, |vol| text::percent(vol, 1)),
        delta => or_unknown(leg.delta, |delta| text::change(delta, 2)),
    }
}

/// USD a share, signed where negative.
fn price(amount: Decimal) -> String {
    text::usd(amount)
}

/// Urgency in a word.
const fn urgency(level: i64) -> &'static str {
    match level {
        ..=0 => "calm",
        1 => "soon",
        2 => "urgent",
        3.. => "emergency",
    }
}

pub(super) fn decisions(decisions: &[DecisionRow]) -> Value {
    let mut decisions: Vec<_> = decisions.iter().collect();
    decisions.sort_by(|a, b| (a.decided_at, &a.decision_id).cmp(&(b.decided_at, &b.decision_id)));
    decisions
        .into_iter()
        .map(|row| {
            let part = row.fraction.filter(|fraction| *fraction < 1.0);
            context! {
                id => &row.decision_id,
                at => text::clock(row.decided_at),
                subject => &row.subject,
                action => &row.action,
                part => part.map(|fraction| text::percent(fraction, 0)),
                rule => &row.rule,
                urgency => urgency(row.urgency),
                pressing => row.urgency >= 2,
                reason => &row.reason,
                outcome => &row.outcome,
            }
        })
        .collect()
}

pub(super) fn refusals(refusals: &[RefusalRow]) -> Value {
    let mut refusals: Vec<_> = refusals.iter().collect();
    refusals.sort_by(|a, b| (a.refused_at, &a.order_ref).cmp(&(b.refused_at, &b.order_ref)));
    refusals
        .into_iter()
        .map(|row| {
            let mut checks: Vec<_> = row.checks.iter().collect();
            checks.sort_by(|a, b| a.check.cmp(&b.check));
            let checks: Value = checks
                .into_iter()
                .map(|one| {
                    context! {
                        check => &one.check, result => &one.result, reason => &one.reason,
                    }
                })
                .collect();
            context! {
                at => text::clock(row.refused_at),
                order_ref => &row.order_ref,
                subject => &row.subject,
                checks => checks,
            }
        })
        .collect()
}

pub(super) fn orders(orders: &[OrderRow]) -> Value {
    let mut orders: Vec<_> = orders.iter().collect();
    orders.sort_by(|a, b| (a.sent_at, &a.order_ref).cmp(&(b.sent_at, &b.order_ref)));
    let filled = orders.iter().filter(|order| order.filled_quantity == order.quantity).count();
    let fees: Decimal = orders.iter().filter_map(|order| order.fees_usd).sum();
    context! {
        rows => orders.iter().map(|row| order(row)).collect::<Value>(),
        summary => format!(
            "{}, {filled} filled in full, fees {}",
            text::counted(orders.len(), "order"),
            text::usd(fees),
        ),
    }
}

fn order(row: &OrderRow) -> Value {
    // What the fill gave away against the mid at the decision: positive is a cost.
    let cost = row.fill_price_usd.zip(row.arrival_mid_usd).map(|(fill, mid)| fill - mid);
    context! {
        order_ref => &row.order_ref,
        at => text::clock(row.sent_at),
        subject => &row.subject,
        purpose => &row.purpose,
        what => &row.what,
        status => &row.status,
        unknown => row.status == "unknown",
        filled => format!(
            "{} of {}",
            text::count(row.filled_quantity.unsigned_abs()),
            text::count(row.quantity.unsigned_abs()),
        ),
        mid => or_unknown(row.arrival_mid_usd, price),
        limit => or_unknown(row.last_limit_usd, price),
        fill => or_unknown(row.fill_price_usd, price),
        cost => or_unknown(cost, text::usd_change),
        fees => or_unknown(row.fees_usd, text::usd),
        markout_1m => or_unknown(row.markout_1m_usd, text::usd_change),
        markout_10m => or_unknown(row.markout_10m_usd, text::usd_change),
    }
}
