//! Equity, the day's P&L and its parts, the book's Greeks, limits and stresses.

use minijinja::{Value, context};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::report::attention::{LimitState, equity_at_close, limit_number, limit_state};
use crate::report::input::{
    BookGreeks, DailyReport, Greeks, LimitUse, PnlDay, PnlPartKind, Stress,
};
use crate::report::text::{self, Tone, or_unknown};

pub(super) fn day(report: &DailyReport) -> Value {
    let pnl = &report.pnl;
    let tone = pnl.day_usd.map_or(Tone::Flat, Tone::of);
    let flows = Some(pnl.external_flows_usd).filter(|flows| !flows.is_zero());
    context! {
        usd => or_unknown(pnl.day_usd, text::usd_change),
        tone => tone.class(),
        arrow => tone.arrow(),
        return_ratio => or_unknown(pnl.day_return_ratio, |ratio| text::percent_change(ratio, 2)),
        equity => or_unknown(equity_at_close(report), |point| text::usd(point.equity_usd)),
        realised => or_unknown(pnl.realised_usd, text::usd_change),
        unrealised => or_unknown(pnl.unrealised_usd, text::usd_change),
        total => or_unknown(pnl.total_usd, text::usd_change),
        total_return => or_unknown(pnl.total_return_ratio, |ratio| text::percent_change(ratio, 2)),
        drawdown => or_unknown(pnl.max_drawdown_ratio, |ratio| text::percent_change(ratio, 2)),
        flows => flows.map(text::usd_change),
    }
}

const fn part_name(kind: PnlPartKind) -> &'static str {
    match kind {
        PnlPartKind::Delta => "Delta",
        PnlPartKind::Gamma => "Gamma",
        PnlPartKind::Vega => "Vega",
        PnlPartKind::Theta => "Theta",
        PnlPartKind::Rho => "Rho",
        PnlPartKind::Roll => "Roll",
        PnlPartKind::Fees => "Fees",
        PnlPartKind::Interest => "Interest",
        PnlPartKind::Dividends => "Dividends",
        PnlPartKind::Residual => "Residual",
    }
}

/// Bars to both sides of a middle, all on one scale.
struct Bars {
    largest: f64,
}

impl Bars {
    fn over(amounts: impl Iterator<Item = Decimal>) -> Self {
        let sizes = amounts.filter_map(|amount| amount.abs().to_f64());
        Self { largest: sizes.fold(0.0, f64::max) }
    }

    /// One row: its name, its amount and where its bar begins and how wide it is, in percent.
    fn row(&self, name: &str, amount: Decimal) -> Value {
        let size = amount.abs().to_f64().filter(|_| self.largest > 0.0);
        let width = size.map_or(0.0, |size| size / self.largest * 50.0);
        let tone = Tone::of(amount);
        let left = if tone == Tone::Loss { 50.0 - width } else { 50.0 };
        context! {
            name => name,
            usd => text::usd_change(amount),
            tone => tone.class(),
            left => format!("{left:.1}"),
            width => format!("{width:.1}"),
        }
    }
}

pub(super) fn parts(pnl: &PnlDay) -> Value {
    let bars = Bars::over(pnl.parts.iter().map(|part| part.usd));
    let mut parts: Vec<_> = pnl.parts.iter().collect();
    parts.sort_by_key(|part| part.kind);
    parts.into_iter().map(|part| bars.row(part_name(part.kind), part.usd)).collect()
}

pub(super) fn stresses(stresses: &[Stress]) -> Value {
    let bars = Bars::over(stresses.iter().filter_map(|stress| stress.pnl_usd));
    let mut stresses: Vec<_> = stresses.iter().collect();
    stresses.sort_by(|a, b| a.name.cmp(&b.name));
    stresses
        .into_iter()
        .map(|stress| {
            stress.pnl_usd.map_or_else(
                || {
                    context! {
                        name => &stress.name, usd => text::UNKNOWN, tone => "flat",
                        left => "50", width => "0",
                    }
                },
                |amount| bars.row(&stress.name, amount),
            )
        })
        .collect()
}

/// The four that every position shows, name and value.
pub(super) fn greeks(greeks: &Greeks) -> Value {
    [
        ("Delta", "", greeks.delta_usd),
        ("Gamma", "per 1%", greeks.gamma_usd_1pct),
        ("Vega", "per vol point", greeks.vega_usd),
        ("Theta", "per day", greeks.theta_usd),
    ]
    .into_iter()
    .map(|(name, unit, value)| {
        context! { name => name, unit => unit, value => or_unknown(value, text::model_usd) }
    })
    .collect()
}

pub(super) fn book(book: &BookGreeks) -> Value {
    context! {
        greeks => greeks(&book.greeks),
        beta_delta => or_unknown(book.beta_delta_spy_shares, |shares| text::change(shares, 0)),
        worst => or_unknown(book.worst_case_usd, text::usd_whole_change),
    }
}

pub(super) fn limits(limits: &[LimitUse]) -> Value {
    let share = |limit: &LimitUse| {
        limit.used.map(|used| used.abs() / limit.limit).filter(|share| share.is_finite())
    };
    let mut limits: Vec<_> = limits.iter().collect();
    // What is not known first, then the most used.
    limits.sort_by(|a, b| {
        let (used_a, used_b) =
            (share(a).unwrap_or(f64::INFINITY), share(b).unwrap_or(f64::INFINITY));
        used_b.total_cmp(&used_a).then_with(|| a.name.cmp(&b.name))
    });
    limits
        .into_iter()
        .map(|limit| {
            let share = share(limit);
            let (class, word) = match limit_state(limit) {
                LimitState::Within => ("within", ""),
                LimitState::Near => ("near", "near"),
                LimitState::Over => ("over", "over"),
                LimitState::Unknown => ("unknown", "not evaluated"),
            };
            context! {
                name => &limit.name,
                used => or_unknown(limit.used, |used| limit_number(limit.unit, used)),
                most => limit_number(limit.unit, limit.limit),
                share => or_unknown(share, |share| text::percent(share, 0)),
                width => format!("{:.1}", share.map_or(0.0, |share| share.clamp(0.0, 1.0) * 100.0)),
                class => class,
                word => word,
            }
        })
        .collect()
}
