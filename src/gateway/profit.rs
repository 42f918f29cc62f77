//! Profit and loss, of the account and of one contract: at once, and then about once a second of
//! the wall wherever it has changed.
//!
//! The day's part counts from the stock exchange's close before today's date in New York: that IB
//! begins its day there is an assumption. Of one contract it is what the position of then has
//! gained, and what each trade since has gained, less commissions; where settlements have moved the
//! position it is not known.

use crate::market::ConId;

use super::event::Event;
use super::feeds::FEEDS_MAX;
use super::house::{House, SeatId};

/// Seconds of the wall between two looks.
const EVERY: f64 = 1.0;

/// A subscription, and what was said last.
#[derive(Debug)]
pub(super) struct ProfitFeed {
    /// One contract, or the account.
    of: Option<i32>,
    said: Event,
}

impl House {
    /// Of the account, or of one contract in it.
    pub(super) fn profit(&mut self, seat: SeatId, req_id: i32, wanted: (&str, Option<i32>)) {
        let (account, of) = wanted;
        if account != self.account {
            return self.error(seat, (req_id, 321), &no_account(account));
        }
        let held = self.seats.get(&seat).map_or(0, |seat| seat.feeds.profits.len());
        if held >= FEEDS_MAX {
            let said =
                format!("Error validating request: {FEEDS_MAX} requests for profit and loss");
            return self.error(seat, (req_id, 321), &said);
        }
        let Some(event) = self.profit_now(req_id, of) else {
            let said = "No security definition has been found for the request";
            return self.error(seat, (req_id, 200), said);
        };
        let feed = ProfitFeed { of, said: event.clone() };
        self.change(seat, |seat| {
            seat.feeds.profits.insert(req_id, feed);
        });
        self.send(seat, event);
    }

    /// Tells what has changed, at an instant of the wall in seconds.
    pub(super) fn stream_profits(&mut self, at: f64) {
        if at - self.profits_told_at < EVERY {
            return;
        }
        self.profits_told_at = at;
        let feeds: Vec<(SeatId, i32, Option<i32>)> = self
            .seats
            .iter()
            .flat_map(|(id, seat)| {
                seat.feeds.profits.iter().map(|(req_id, feed)| (*id, *req_id, feed.of))
            })
            .collect();
        for (seat, req_id, of) in feeds {
            let Some(event) = self.profit_now(req_id, of) else { continue };
            let mut is_news = false;
            self.change(seat, |seat| {
                if let Some(feed) = seat.feeds.profits.get_mut(&req_id) {
                    is_news = feed.said != event;
                    feed.said = event.clone();
                }
            });
            if is_news {
                self.send(seat, event);
            }
        }
    }

    fn profit_now(&self, req_id: i32, of: Option<i32>) -> Option<Event> {
        match of {
            None => self.profit_of_account(req_id),
            Some(con_id) => self.profit_of(req_id, con_id),
        }
    }

    fn profit_of_account(&self, req_id: i32) -> Option<Event> {
        let unrealised: f64 = self.portfolio().iter().map(|value| value.unrealised).sum();
        let equity = self.exchange.account().ok()?.net_liquidation.to_f64();
        let realised = self.realised_today(None);
        let daily = self.closes.before(self.today()).map(|close| equity - close.equity);
        Some(Event::Pnl { req_id, daily, unrealised, realised })
    }

    /// A contract that is not held has nothing but what the day has brought.
    fn profit_of(&self, req_id: i32, con_id: i32) -> Option<Event> {
        let conid = ConId(i64::from(con_id));
        let instrument = self.instrument(conid)?;
        let found =
            self.portfolio().into_iter().find(|value| value.position.contract.con_id == con_id);
        let daily = self.daily_of(conid, instrument.multiplier() as f64);
        let (position, unrealised, value) = found.map_or_else(Default::default, |value| {
            (value.position.quantity, value.unrealised, value.market_value)
        });
        let realised = self.realised_today(Some(conid));
        Some(Event::PnlSingle { req_id, position, daily, unrealised, realised, value })
    }

    fn daily_of(&self, conid: ConId, multiplier: f64) -> Option<f64> {
        let close = self.closes.before(self.today())?;
        let then = close.held.get(&conid);
        let now = self.exchange.marked_positions().find(|(id, _)| *id == conid);
        let (mut held, mut gained) = (0, 0.0);
        let trades = self.fills.iter().filter_map(|fill| fill.traded_since(close.at, conid));
        // Of what is no longer held, the mark falls out of the sum.
        let mark = now.map_or(0.0, |(_, position)| position.mark.price.to_f64());
        if let Some(then) = then {
            held += then.quantity;
            gained += then.quantity as f64 * (mark - then.price) * multiplier;
        }
        for trade in trades {
            held += trade.quantity;
            gained += trade.quantity as f64 * (mark - trade.price) * multiplier - trade.commission;
        }
        let holds = now.map_or(0, |(_, position)| position.quantity);
        (held == holds).then_some(gained)
    }
}

/// What IB says of an account that it does not know.
pub(super) fn no_account(account: &str) -> String {
    if account.is_empty() {
        return "Error validating request.-'bW' : cause - The account code is required for this \
                operation."
            .to_owned();
    }
    let account: String = account.chars().take(40).collect();
    format!("Error validating request.-'bW' : cause - Invalid account code '{account}'")
}
