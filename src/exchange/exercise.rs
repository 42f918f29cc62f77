//! Who exercises and who is assigned, decided when the options close.
//!
//! Rules:
//! - At expiry: our longs in the money by the threshold are exercised, our shorts assigned; inside
//!   the pin band each short contract is assigned with a probability, on either side of the strike.
//!   What is left expires worthless.
//! - Before expiry: short American options in the money are assigned where their holder gains (a
//!   call whose extrinsic value is below the dividend of the next session, a put whose extrinsic
//!   value is below the interest on its strike to expiry), with a probability, and rarely for no
//!   reason. Our longs are never exercised before expiry.
//! - Both are dated at the stock exchange's close of that day and reported before the next open.
//!
//! What lacks its input (a close, a mark, a rate) waits, or is not assigned by that rule.
//! Deliberately absent: contrary exercise instructions of the account.

use chrono::NaiveDate;

use crate::market::sessions::{CalendarError, Session, years_between};
use crate::market::{
    ExerciseStyle, Instrument, OptionContract, OptionRight, Price, Settlement, Usd,
};
use crate::structures::{Execution, ExecutionKind};

use super::account::cash_of;
use super::draws::DrawPurpose;
use super::engine::Exchange;
use super::settlement::{Movement, PendingSettlement, intrinsic};
use super::source::RateRow;
use super::view;

/// A held option on the day on which its fate is looked at.
struct HeldOption<'a> {
    option: &'a OptionContract,
    instrument: &'a Instrument,
    /// The stock that would be delivered.
    stock: &'a Instrument,
    /// Contracts, long positive.
    quantity: i64,
    /// Close of the underlying.
    close: Price,
    session: Session,
}

impl Exchange {
    /// When the options close: the fate of every held physical option, expired ones first of all.
    pub(super) fn allot(&mut self, session: Session) -> Result<(), CalendarError> {
        let held: Vec<(Instrument, i64)> = self
            .account
            .marked()
            .map(|(_, position)| (position.instrument.clone(), position.quantity))
            .collect();
        for (instrument, quantity) in held {
            let Instrument::Option(option) = &instrument else { continue };
            let waiting = self.pending.iter().any(|pending| pending.conid == option.conid);
            if option.settlement != Settlement::Physical || waiting {
                continue;
            }
            let Some(stock) = view::underlying(&*self.source, &option.symbol) else { continue };
            let expired = option.expiry_date <= session.session_date;
            let close = if expired {
                self.source.settlement(option.conid).map(|value| value.price)
            } else {
                self.source.official_mark(stock.conid(), session.session_date)
            };
            let Some(close) = close else { continue };
            let held = HeldOption {
                option,
                instrument: &instrument,
                stock: &stock,
                quantity,
                close,
                session,
            };
            let executions = if expired { self.expire(&held) } else { self.exercise_early(&held)? };
            if !executions.is_empty() {
                let report_at = self.timetable.report_after(session.session_date)?;
                let conid = option.conid;
                self.pending.push(PendingSettlement { report_at, conid, executions });
            }
        }
        Ok(())
    }

    fn expire(&self, held: &HeldOption<'_>) -> Vec<(Execution, Instrument)> {
        let in_the_money = held.intrinsic() >= self.config.assignment.exercise_threshold;
        let size = held.quantity.abs();
        let exercised = if held.quantity > 0 {
            if in_the_money { size } else { 0 }
        } else {
            let model = &self.config.assignment;
            let pinned = held.distance_ratio() <= model.pin_band_ratio;
            let probability = match (in_the_money, pinned) {
                (true, false) => 1.0,
                (true, true) => model.pin_in_the_money_probability,
                (false, true) => model.pin_out_of_the_money_probability,
                (false, false) => 0.0,
            };
            self.draws.successes(probability, size, (DrawPurpose::PinAssignment, &held.key()))
        };
        let mut executions = held.delivery(exercised);
        executions.extend(held.worthless(size - exercised));
        executions
    }

    fn exercise_early(
        &self,
        held: &HeldOption<'_>,
    ) -> Result<Vec<(Execution, Instrument)>, CalendarError> {
        let model = &self.config.assignment;
        let american = held.option.style == ExerciseStyle::American;
        if held.quantity >= 0 || !american || held.intrinsic() < model.exercise_threshold {
            return Ok(Vec::new());
        }
        let rational = match held.option.right {
            OptionRight::Call => self.call_gain(held)?.then_some(model.rational_call_probability),
            OptionRight::Put => self.put_gain(held).then_some(model.rational_put_probability_daily),
        };
        let probability = rational.unwrap_or(model.irrational_probability_daily);
        let draw = (DrawPurpose::EarlyAssignment, held.key());
        let assigned = self.draws.successes(probability, -held.quantity, (draw.0, &draw.1));
        Ok(held.delivery(assigned))
    }

    /// Extrinsic value at the official mark; `None` where there is none.
    fn extrinsic(&self, held: &HeldOption<'_>) -> Option<Price> {
        let mark = self.source.official_mark(held.option.conid, held.session.session_date)?;
        Some(mark - held.intrinsic())
    }

    /// Whether a call's holder gains by taking the stock before tomorrow's dividend.
    fn call_gain(&self, held: &HeldOption<'_>) -> Result<bool, CalendarError> {
        let next = self.timetable.session_after(held.session.session_date)?;
        let dividend: Price = self
            .source
            .dividends()
            .iter()
            .filter(|row| row.symbol == held.option.symbol && row.ex_date == next)
            .map(|row| row.amount)
            .sum();
        Ok(self.extrinsic(held).is_some_and(|extrinsic| extrinsic < dividend))
    }

    /// Whether a put's holder gains by taking the strike now and its interest to expiry.
    fn put_gain(&self, held: &HeldOption<'_>) -> bool {
        let years = years_between(held.session.close, held.option.expires_at);
        let rate = rate_to(&self.source.rates(), held.option.expiry_date);
        let gain = rate.map(|rate| held.option.strike.to_f64() * -libm::expm1(-rate * years));
        match (self.extrinsic(held), gain) {
            (Some(extrinsic), Some(gain)) => extrinsic.to_f64() < gain,
            (None, _) | (_, None) => false,
        }
    }
}

impl HeldOption<'_> {
    fn intrinsic(&self) -> Price {
        intrinsic(self.option, self.close)
    }

    /// Distance of the close from the strike, as a ratio of the strike.
    fn distance_ratio(&self) -> f64 {
        (self.close - self.option.strike).abs().to_f64() / self.option.strike.to_f64()
    }

    /// What the draws of this option on this day are keyed by.
    fn key(&self) -> String {
        format!("{}.{}", self.session.session_date, self.option.occ_symbol)
    }

    fn group_id(&self, what: &str) -> String {
        format!("{}.{}.{what}", self.session.session_date, self.option.conid)
    }

    /// Exercise of longs or assignment of shorts: the option goes at 0, the stock comes at the
    /// strike.
    fn delivery(&self, contracts: i64) -> Vec<(Execution, Instrument)> {
        if contracts == 0 {
            return Vec::new();
        }
        let long = self.quantity > 0;
        let kind = if long { ExecutionKind::Exercise } else { ExecutionKind::Assignment };
        let signed = if long { contracts } else { -contracts };
        let shares = signed
            * self.option.multiplier
            * match self.option.right {
                OptionRight::Call => 1,
                OptionRight::Put => -1,
            };
        let strike = self.option.strike;
        let option = Movement {
            kind,
            instrument: self.instrument,
            quantity: -signed,
            price: Some(Price::ZERO),
            cash: Usd::ZERO,
            group_id: self.group_id("exercise"),
            at: self.session.close,
        };
        let stock = Movement {
            kind: ExecutionKind::Delivery,
            instrument: self.stock,
            quantity: shares,
            price: Some(strike),
            cash: cash_of(self.stock, shares, strike, Usd::ZERO),
            group_id: self.group_id("exercise"),
            at: self.session.close,
        };
        vec![(option.execution(), self.instrument.clone()), (stock.execution(), self.stock.clone())]
    }

    fn worthless(&self, contracts: i64) -> Option<(Execution, Instrument)> {
        let movement = Movement {
            kind: ExecutionKind::Expiry,
            instrument: self.instrument,
            quantity: -self.quantity.signum() * contracts,
            price: Some(Price::ZERO),
            cash: Usd::ZERO,
            group_id: self.group_id("expiry"),
            at: self.session.close,
        };
        (contracts > 0).then(|| (movement.execution(), self.instrument.clone()))
    }
}

/// The published rate to a date: between two maturities on the straight line, beyond the ends the
/// last one. `None` where nothing is published.
fn rate_to(rates: &[RateRow], date: NaiveDate) -> Option<f64> {
    let before =
        rates.iter().filter(|row| row.maturity_date <= date).max_by_key(|row| row.maturity_date);
    let after =
        rates.iter().filter(|row| row.maturity_date >= date).min_by_key(|row| row.maturity_date);
    match (before, after) {
        (Some(low), Some(high)) if low.maturity_date < high.maturity_date => {
            let days = |to: NaiveDate| (to - low.maturity_date).num_days() as f64;
            Some(low.rate + (high.rate - low.rate) * days(date) / days(high.maturity_date))
        }
        (Some(row), _) | (None, Some(row)) => Some(row.rate),
        (None, None) => None,
    }
}
