//! What happens to positions without an order: exercise, assignment, expiry, variation, dividends.
//!
//! Rules:
//! - Physical options at expiry: our longs in the money by the threshold are exercised, our shorts
//!   assigned; inside the pin band each short contract is assigned with a probability, on either
//!   side of the strike. What is left expires worthless.
//! - Before expiry: short American options in the money are assigned where their holder gains (a
//!   call whose extrinsic value is below the dividend of the next session, a put whose extrinsic
//!   value is below the interest on its strike to expiry), with a probability, and rarely for no
//!   reason. Our longs are never exercised before expiry.
//! - Both are decided when the options close, dated at the stock exchange's close of that day, and
//!   reported before the next session's open; until then the position stands.
//! - Cash-settled options and futures settle when their settlement value exists. Futures pay
//!   variation to the daily settlement. A dividend is paid in full on its ex-date.
//!
//! What lacks its input (a close, a dividend, a rate) waits, or is not assigned; nothing is guessed.
//! Deliberately absent: contrary exercise instructions of the account, pay dates, interest on cash.

use chrono::NaiveDate;

use crate::market::sessions::{CalendarError, Session, years_between};
use crate::market::{
    ConId, ExerciseStyle, Instrument, OptionContract, OptionRight, Price, SecurityKind, Settlement,
    Timestamp, Usd,
};
use crate::structures::{Execution, ExecutionKind};

use super::account::cash_of;
use super::draws::DrawPurpose;
use super::engine::Exchange;
use super::source::RateRow;
use super::view;

/// Executions that are decided and not yet reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PendingSettlement {
    report_at: Timestamp,
    /// The option concerned.
    conid: ConId,
    executions: Vec<(Execution, Instrument)>,
}

/// A movement that no order caused.
struct Movement<'a> {
    kind: ExecutionKind,
    instrument: &'a Instrument,
    quantity: i64,
    /// USD per share or index points; `None` for cash alone.
    price: Option<Price>,
    cash: Usd,
    group_id: String,
    at: Timestamp,
}

impl Movement<'_> {
    fn execution(self) -> Execution {
        Execution {
            exec_id: format!("{}.{}", self.group_id, self.kind.as_str()),
            order_ref: None,
            perm_id: None,
            group_id: self.group_id,
            kind: self.kind,
            conid: self.instrument.conid(),
            quantity: self.quantity,
            price: self.price,
            multiplier: self.instrument.multiplier(),
            commission: Usd::ZERO,
            cash: self.cash,
            at: self.at,
        }
    }
}

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
    /// Before the open: pending settlements first, so that their stock is held when dividends go ex.
    pub(super) fn report(&mut self, session: Session) {
        let (due, later): (Vec<_>, Vec<_>) =
            self.pending.drain(..).partition(|pending| pending.report_at <= self.now);
        self.pending = later;
        for (execution, instrument) in due.into_iter().flat_map(|pending| pending.executions) {
            self.book_execution(execution, &instrument);
            self.mark_delivered(&instrument);
        }
        self.pay_dividends(session.session_date);
    }

    /// Delivered stock stands at the last good price of its symbol, not at the strike.
    fn mark_delivered(&mut self, instrument: &Instrument) {
        self.refresh_spot(instrument.symbol());
        if let (Instrument::Stock(stock), Some(spot)) =
            (instrument, self.spots.get(instrument.symbol()))
        {
            self.account.set_mark(stock.conid, *spot, self.now);
        }
    }

    fn pay_dividends(&mut self, ex_date: NaiveDate) {
        for dividend in self.source.dividends() {
            if dividend.ex_date != ex_date {
                continue;
            }
            let Some(stock) = view::underlying(&*self.source, &dividend.symbol) else { continue };
            let shares = self.account.quantity(stock.conid());
            if shares == 0 {
                continue;
            }
            let movement = Movement {
                kind: ExecutionKind::Dividend,
                instrument: &stock,
                quantity: 0,
                price: None,
                cash: dividend.amount.value(shares, 1).to_cents(),
                group_id: format!("{ex_date}.{}", stock.conid()),
                at: self.now,
            };
            self.book_execution(movement.execution(), &stock);
        }
    }

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

    /// Cash-settled options, futures' variation and their final settlement, as values appear.
    pub(super) fn settle_in_cash(&mut self) {
        let held: Vec<Instrument> = self
            .account
            .marked()
            .map(|(_, position)| position.instrument.clone())
            .filter(|instrument| match instrument {
                Instrument::Option(option) => option.settlement == Settlement::Cash,
                Instrument::Future(_) => true,
                Instrument::Stock(_) | Instrument::Index(_) => false,
            })
            .collect();
        for instrument in held {
            match &instrument {
                Instrument::Option(option) => self.settle_option(option, &instrument),
                Instrument::Future(_) => self.settle_future(&instrument),
                Instrument::Stock(_) | Instrument::Index(_) => {}
            }
        }
    }

    fn settle_option(&mut self, option: &OptionContract, instrument: &Instrument) {
        let Some(value) = self.source.settlement(option.conid) else { return };
        let intrinsic = intrinsic(option, value.price);
        let kind = if intrinsic > Price::ZERO {
            ExecutionKind::CashSettlement
        } else {
            ExecutionKind::Expiry
        };
        let quantity = -self.account.quantity(option.conid);
        let movement = Movement {
            kind,
            instrument,
            quantity,
            price: Some(intrinsic),
            cash: cash_of(instrument, quantity, intrinsic, Usd::ZERO).to_cents(),
            group_id: format!("{}.{}", option.expiry_date, option.conid),
            at: value.at,
        };
        self.book_execution(movement.execution(), instrument);
    }

    fn settle_future(&mut self, instrument: &Instrument) {
        let conid = instrument.conid();
        if let Some(value) = self.source.settlement(conid) {
            let date = value.at.date_naive();
            self.vary(instrument, (value.price, value.at), &format!("{date}.{conid}.final"));
            let quantity = -self.account.quantity(conid);
            if quantity != 0 {
                let movement = Movement {
                    kind: ExecutionKind::CashSettlement,
                    instrument,
                    quantity,
                    price: Some(value.price),
                    cash: Usd::ZERO,
                    group_id: format!("{date}.{conid}.final"),
                    at: value.at,
                };
                self.book_execution(movement.execution(), instrument);
            }
            return;
        }
        let Some(session) = self.closed_session else { return };
        if self.varied.get(&conid).is_some_and(|done| *done >= session) {
            return;
        }
        if let Some(price) = self.source.official_mark(conid, session) {
            self.varied.insert(conid, session);
            self.vary(instrument, (price, self.now), &format!("{session}.{conid}"));
        }
    }

    /// Pays what a future has moved since the last variation.
    fn vary(&mut self, instrument: &Instrument, to: (Price, Timestamp), group_id: &str) {
        let conid = instrument.conid();
        let open = self.account.marked().find(|(id, _)| *id == conid);
        let Some((_, position)) = open else { return };
        let movement = Movement {
            kind: ExecutionKind::Variation,
            instrument,
            quantity: 0,
            price: None,
            cash: position.open_variation(to.0).to_cents(),
            group_id: group_id.to_owned(),
            at: to.1,
        };
        self.book_execution(movement.execution(), instrument);
        self.account.set_mark(conid, to.0, to.1);
        self.account.cover_commodities();
    }

    /// A future traded after a session's close pays no variation for that session.
    pub(super) fn note_future(&mut self, instrument: &Instrument) {
        let (SecurityKind::Future, Some(session)) = (instrument.kind(), self.closed_session) else {
            return;
        };
        self.varied.entry(instrument.conid()).or_insert(session);
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

    /// Exercise of longs or assignment of shorts: the option goes at 0, the stock comes at the strike.
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

fn intrinsic(option: &OptionContract, spot: Price) -> Price {
    match option.right {
        OptionRight::Call => (spot - option.strike).max(Price::ZERO),
        OptionRight::Put => (option.strike - spot).max(Price::ZERO),
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
