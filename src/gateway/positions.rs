//! Positions, told to those who asked as they change.
//!
//! The end of a position is told once, as a position of none: that is how clients hear of it.

use std::collections::BTreeSet;

use crate::market::ConId;
use crate::structures::BrokerPosition;

use super::data_event::DataEvent;
use super::event::{Event, Position};
use super::feeds::FEEDS_MAX;
use super::house::{House, SeatId};
use super::listing::describe;
use super::profit::no_account;

/// Contracts of which a client believes that they are held.
#[derive(Debug, Clone, Default)]
pub(super) struct Believed(BTreeSet<ConId>);

impl Believed {
    /// What is held, and what was and is no more; from then on the client knows it.
    pub fn learn(&mut self, mut held: Vec<BrokerPosition>) -> Vec<BrokerPosition> {
        let now: BTreeSet<ConId> = held.iter().map(|held| held.conid).collect();
        let gone = self.0.difference(&now).map(|conid| BrokerPosition {
            conid: *conid,
            quantity: 0,
            average_cost: crate::market::Usd::ZERO,
        });
        held.extend(gone);
        self.0 = now;
        held
    }
}

impl House {
    pub(super) fn positions(&mut self, seat: SeatId) {
        if let Some(seat) = self.seats.get_mut(&seat) {
            seat.wants_positions = true;
        }
        self.tell_positions(seat);
        self.send(seat, Event::PositionEnd);
    }

    fn tell_positions(&mut self, seat: SeatId) {
        let held = self.exchange.positions();
        let Some(seated) = self.seats.get_mut(&seat) else { return };
        for held in seated.positions_told.learn(held) {
            if let Some(position) = self.position_of(&held) {
                self.send(seat, Event::Position(Box::new(position)));
            }
        }
    }

    pub(super) fn position_of(&self, held: &BrokerPosition) -> Option<Position> {
        Some(Position {
            account: self.account.clone(),
            contract: describe(&self.instrument(held.conid)?),
            quantity: held.quantity.into(),
            average_cost: held.average_cost.to_f64(),
        })
    }

    /// Positions under a number of their own, now and whenever they change.
    pub(super) fn positions_multi(&mut self, seat: SeatId, req_id: i32, account: &str) {
        if !self.is_account(account) {
            return self.error(seat, (req_id, 321), &no_account(account));
        }
        if self.feeds(seat, |seat| seat.feeds.positions.len()) >= FEEDS_MAX {
            return self.too_many(seat, req_id);
        }
        self.change(seat, |seat| {
            seat.feeds.positions.insert(req_id, Believed::default());
        });
        self.tell_positions_multi(seat, req_id);
        self.send(seat, Event::Data(DataEvent::PositionMultiEnd { req_id }));
    }

    fn tell_positions_multi(&mut self, seat: SeatId, req_id: i32) {
        let held = self.exchange.positions();
        let feeds = self.seats.get_mut(&seat).map(|seat| &mut seat.feeds);
        let Some(told) = feeds.and_then(|feeds| feeds.positions.get_mut(&req_id)) else { return };
        for held in told.learn(held) {
            if let Some(position) = self.position_of(&held) {
                let position = Box::new(position);
                self.send(seat, Event::Data(DataEvent::PositionMulti { req_id, position }));
            }
        }
    }

    /// What an execution means to those who asked for positions and the account.
    pub(super) fn report_account(&mut self) {
        for seat in self.seats_that(|seat| seat.wants_positions) {
            self.tell_positions(seat);
        }
        for seat in self.seats_that(|seat| seat.wants_account) {
            self.account_values(seat);
        }
        let listening: Vec<(SeatId, Vec<i32>, Vec<i32>)> = self
            .seats
            .iter()
            .map(|(id, seat)| {
                let positions = seat.feeds.positions.keys().copied().collect();
                (*id, positions, seat.feeds.accounts.iter().copied().collect())
            })
            .collect();
        for (seat, positions, accounts) in listening {
            for req_id in positions {
                self.tell_positions_multi(seat, req_id);
            }
            for req_id in accounts {
                self.tell_account_multi(seat, req_id);
            }
        }
    }
}
