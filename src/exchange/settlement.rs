//! What happens to positions without an order: reports of exercise and assignment, settlement in
//! cash, futures' variation, dividends.
//!
//! Rules: what `exercise` decided on a day is booked before the next session's open, and until then
//! the position stands. Cash-settled options and futures settle when their settlement value exists;
//! futures pay variation to the daily settlement; a dividend is paid in full on its ex-date.
//!
//! What lacks its input waits; nothing is guessed. Deliberately absent: pay dates of dividends, and
//! interest on cash.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::market::sessions::Session;
use crate::market::{
    ConId, Instrument, OptionContract, OptionRight, Price, SecurityKind, Settlement, Timestamp, Usd,
};
use crate::structures::{Execution, ExecutionKind};

use super::account::cash_of;
use super::engine::Exchange;
use super::view;

/// Executions that are decided and not yet reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PendingSettlement {
    pub report_at: Timestamp,
    /// The option concerned.
    pub conid: ConId,
    pub executions: Vec<(Execution, Instrument)>,
}

/// A movement that no order caused.
pub(super) struct Movement<'a> {
    pub kind: ExecutionKind,
    pub instrument: &'a Instrument,
    pub quantity: i64,
    /// USD per share or index points; `None` for cash alone.
    pub price: Option<Price>,
    pub cash: Usd,
    pub group_id: String,
    pub at: Timestamp,
}

impl Movement<'_> {
    pub fn execution(self) -> Execution {
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

impl Exchange {
    /// Before the open: pending settlements first, so that their stock is held when dividends go
    /// ex.
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

pub(super) fn intrinsic(option: &OptionContract, spot: Price) -> Price {
    match option.right {
        OptionRight::Call => (spot - option.strike).max(Price::ZERO),
        OptionRight::Put => (option.strike - spot).max(Price::ZERO),
    }
}
