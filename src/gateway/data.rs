//! Requests about data and the account beyond quotes, orders and daily bars, and what is refused.

use crate::market::Instrument;

use super::away::NO_HISTORY;
use super::calculations::Known;
use super::data_event::{DataEvent, SymbolSample};
use super::data_request::{DataRequest, HeadRequest};
use super::event::Event;
use super::feeds::{FEEDS_MAX, SUMMARIES_MAX, SummaryFeed};
use super::house::{House, Seat, SeatId};
use super::listing::describe;
use super::market_rules::steps;
use super::profit::no_account;

/// Symbols in one answer at most (TWS API reference).
const SAMPLES_MAX: usize = 16;
/// Seconds of the wall between two looks at the account (TWS: three minutes).
const ACCOUNT_EVERY: f64 = 180.0;

impl House {
    pub(super) fn data(&mut self, seat: SeatId, request: DataRequest) {
        match request {
            DataRequest::RealTimeBars { req_id, wanted } => {
                self.five_seconds(seat, req_id, &wanted);
            }
            DataRequest::CancelRealTimeBars { req_id } => {
                self.change(seat, |seat| drop(seat.feeds.five_seconds.remove(&req_id)));
            }
            DataRequest::ImpliedVolatility { req_id, wanted } => {
                self.calculate(seat, req_id, (Known::Price, &wanted));
            }
            DataRequest::OptionPrice { req_id, wanted } => {
                self.calculate(seat, req_id, (Known::Vol, &wanted));
            }
            DataRequest::HeadTimestamp { req_id, wanted } => self.head(seat, req_id, &wanted),
            DataRequest::MatchingSymbols { req_id, pattern } => {
                let found = self.samples(&pattern);
                self.send(seat, Event::Data(DataEvent::SymbolSamples { req_id, found }));
            }
            DataRequest::MarketRule { rule_id } => self.market_rule(seat, rule_id),
            DataRequest::PositionsMulti { req_id, account } => {
                self.positions_multi(seat, req_id, &account);
            }
            DataRequest::CancelPositionsMulti { req_id } => {
                self.change(seat, |seat| {
                    seat.feeds.positions.remove(&req_id);
                });
            }
            DataRequest::FamilyCodes => {
                let account = self.account.clone();
                self.send(seat, Event::Data(DataEvent::FamilyCodes { account }));
            }
            DataRequest::UserInfo { req_id } => {
                self.send(seat, Event::Data(DataEvent::UserInfo { req_id }));
            }
            DataRequest::NewsProviders => self.send(seat, Event::Data(DataEvent::NewsProviders)),
            DataRequest::DepthExchanges => self.send(seat, Event::Data(DataEvent::DepthExchanges)),
            DataRequest::NotSimulated { req_id, message_id } => {
                let (code, said) = refusal(message_id);
                self.error(seat, (req_id, code), &said);
            }
            DataRequest::Nothing => {}
        }
    }

    fn market_rule(&mut self, seat: SeatId, rule_id: i32) {
        let Some(steps) = steps(rule_id) else {
            let said = format!("Error validating request: no market rule {rule_id}");
            return self.error(seat, (-1, 321), &said);
        };
        self.send(seat, Event::Data(DataEvent::MarketRule { rule_id, steps }));
    }

    fn head(&mut self, seat: SeatId, req_id: i32, wanted: &HeadRequest) {
        let earliest = match wanted.what_to_show.as_str() {
            _ if self.has_no_farms() => Err((NO_HISTORY.0, NO_HISTORY.1.to_owned())),
            "TRADES" | "OPTION_IMPLIED_VOLATILITY" => self.earliest(&wanted.contract),
            other => {
                let said = format!(
                    "Historical Market Data Service error message:No head time stamp: {other}"
                );
                Err((162, said))
            }
        };
        match earliest {
            Ok(at) if wanted.format_date == 2 => {
                let at = at.timestamp().to_string();
                self.send(seat, Event::Data(DataEvent::HeadTimestamp { req_id, at }));
            }
            Ok(at) => {
                let at = at.format("%Y%m%d-%H:%M:%S").to_string();
                self.send(seat, Event::Data(DataEvent::HeadTimestamp { req_id, at }));
            }
            Err((code, said)) => self.error(seat, (req_id, code), &said),
        }
    }

    /// Underlyings whose symbol begins with the pattern.
    fn samples(&self, pattern: &str) -> Vec<SymbolSample> {
        let pattern = pattern.trim().to_ascii_uppercase();
        let source = self.exchange.source();
        let named = |one: &Instrument| one.symbol().as_str().starts_with(&pattern);
        let found = source.underlyings().into_iter().filter(named).take(SAMPLES_MAX);
        let samples = found.map(|one| {
            let has_options = !source.option_contracts(one.symbol()).is_empty();
            let derivatives = if has_options { vec!["OPT".to_owned()] } else { Vec::new() };
            SymbolSample { contract: describe(&one), derivatives }
        });
        if pattern.is_empty() { Vec::new() } else { samples.collect() }
    }

    /// Figures of the account under a number of their own, now and whenever it changes.
    pub(super) fn account_multi(&mut self, seat: SeatId, req_id: i32, account: &str) {
        if !self.is_account(account) {
            return self.error(seat, (req_id, 321), &no_account(account));
        }
        if self.feeds(seat, |seat| seat.feeds.accounts.len()) >= FEEDS_MAX {
            return self.too_many(seat, req_id);
        }
        self.change(seat, |seat| {
            seat.feeds.accounts.insert(req_id);
        });
        self.tell_account_multi(seat, req_id);
        self.send(seat, Event::AccountUpdateMultiEnd { req_id });
    }

    pub(super) fn tell_account_multi(&mut self, seat: SeatId, req_id: i32) {
        let account = self.account.clone();
        for figure in self.figures() {
            let account = account.clone();
            self.send(seat, Event::AccountUpdateMulti { req_id, account, figure });
        }
    }

    /// The figures that are asked for, now and as they change. That IB takes an account's own name
    /// for a group is an assumption.
    pub(super) fn summary(&mut self, seat: SeatId, req_id: i32, (group, tags): (&str, &str)) {
        if !self.is_account(group) {
            let said = "Error validating request.-'bW' : cause - Invalid group name";
            return self.error(seat, (req_id, 321), said);
        }
        let is_new =
            self.feeds(seat, |seat| usize::from(seat.feeds.summaries.contains_key(&req_id)));
        let held = self.feeds(seat, |seat| seat.feeds.summaries.len());
        if is_new == 0 && held >= SUMMARIES_MAX {
            let said = "Error processing request.-'bW' : cause - Maximum number of account summary \
                        requests exceeded";
            return self.error(seat, (req_id, 322), said);
        }
        let feed = SummaryFeed { tags: tags.to_owned(), said: Vec::new() };
        self.change(seat, |seat| {
            seat.feeds.summaries.insert(req_id, feed);
        });
        self.tell_summary(seat, req_id);
        self.send(seat, Event::AccountSummaryEnd { req_id });
    }

    /// Figures that are not what they were.
    fn tell_summary(&mut self, seat: SeatId, req_id: i32) {
        let figures = self.figures();
        let feed = self.seats.get_mut(&seat).and_then(|seat| seat.feeds.summaries.get_mut(&req_id));
        let Some(feed) = feed else { return };
        let tags: Vec<&str> = feed.tags.split(',').map(str::trim).collect();
        let wanted = |tag: &str| feed.tags.is_empty() || tags.contains(&tag);
        let told: Vec<_> = figures
            .iter()
            .filter(|figure| wanted(&figure.tag) && !feed.said.contains(figure))
            .cloned()
            .collect();
        feed.said = figures;
        let account = self.account.clone();
        for figure in told {
            let account = account.clone();
            self.send(seat, Event::AccountSummary { req_id, account, figure });
        }
    }

    /// What subscriptions are due, at an instant of the wall in seconds: profits every second, the
    /// account every three minutes.
    pub fn stream(&mut self, at: f64) {
        self.stream_profits(at);
        if at - self.account_told_at < ACCOUNT_EVERY {
            return;
        }
        self.account_told_at = at;
        for seat in self.seats_that(|seat| seat.wants_account) {
            self.account_values(seat);
        }
        let summaries: Vec<(SeatId, i32)> = self
            .seats
            .iter()
            .flat_map(|(id, seat)| seat.feeds.summaries.keys().map(|req_id| (*id, *req_id)))
            .collect();
        for (seat, req_id) in summaries {
            self.tell_summary(seat, req_id);
        }
        let accounts: Vec<(SeatId, i32)> = self
            .seats
            .iter()
            .flat_map(|(id, seat)| seat.feeds.accounts.iter().map(|req_id| (*id, *req_id)))
            .collect();
        for (seat, req_id) in accounts {
            self.tell_account_multi(seat, req_id);
        }
    }

    /// The one account, or all of them.
    pub(super) fn is_account(&self, named: &str) -> bool {
        named.is_empty() || named == "All" || named == self.account
    }

    pub(super) fn feeds(&self, seat: SeatId, count: impl FnOnce(&Seat) -> usize) -> usize {
        self.seats.get(&seat).map_or(0, count)
    }

    pub(super) fn too_many(&mut self, seat: SeatId, req_id: i32) {
        let said = format!("Error validating request: more than {FEEDS_MAX} subscriptions");
        self.error(seat, (req_id, 321), &said);
    }
}

/// The code and text for a message that is not simulated.
fn refusal(message_id: u32) -> (i32, String) {
    let (code, said) = match message_id {
        10 => (
            10_092,
            "Deep market data is not supported for this combination of security type/exchange",
        ),
        52 => (430, "The fundamentals data for the security specified is not available."),
        84 => (10_172, "Failed to request news article:No data available"),
        86 => (10_276, "News feed is not allowed."),
        96 => (10_187, "Failed to request historical ticks:No historical tick data"),
        97 => (
            10_189,
            "Failed to request tick-by-tick data:This gateway's market has no single ticks",
        ),
        other => {
            let said =
                format!("Error validating request: this gateway does not simulate message {other}");
            return (321, said);
        }
    };
    (code, said.to_owned())
}
