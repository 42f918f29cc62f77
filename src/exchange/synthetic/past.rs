//! The past of the path, and what was quoted in it.
//!
//! Invariant: a quote of the past is the one that stood then. Sizes and volumes follow from the
//! same draws; of an option, volume from the close that was the last one then.

use std::collections::VecDeque;

use chrono::DateTime;

use crate::exchange::source::{PastQuote, PastSpan};
use crate::market::VendorGreeks;
use crate::market::sessions::Session;

use super::SyntheticMarket;
use super::answers::Thing;
use super::listing::Underlying;
use super::process::State;
use super::quoting::{self, Moment};
use super::valuation::Smiles;

/// States that are kept, some 90 bytes each: the history, and more than twenty live sessions.
const KEPT_MAX: usize = 120_000;

/// One state of the grid.
#[derive(Debug, Clone, Copy)]
pub(super) struct Was {
    pub state: State,
    pub is_halted: bool,
}

/// States in order, the oldest ones let go.
#[derive(Debug, Default)]
pub(super) struct Past {
    states: VecDeque<Was>,
}

impl Past {
    /// Takes what the path has come to.
    pub fn keep(&mut self, was: Was) {
        if self.states.len() >= KEPT_MAX {
            self.states.pop_front();
        }
        self.states.push_back(was);
    }

    /// States of a span in which trading went on, of each step the first one.
    fn within(&self, span: &PastSpan) -> impl Iterator<Item = &State> {
        let (after, until) = (span.after.timestamp(), span.until.timestamp());
        let every = span.every.num_seconds().max(1);
        let first = self.states.partition_point(|was| was.state.at <= after);
        let mut step = None;
        self.states
            .range(first..)
            .take_while(move |was| was.state.at <= until)
            .filter(|was| !was.is_halted)
            .map(|was| &was.state)
            .filter(move |state| {
                let this = Some(state.at.div_euclid(every));
                std::mem::replace(&mut step, this) != this
            })
    }
}

impl SyntheticMarket {
    /// What was quoted of a thing in a span.
    pub(super) fn quoted_in(&self, thing: Thing<'_>, span: &PastSpan) -> Vec<PastQuote> {
        let mut smiles = Smiles::default();
        let mut session: Option<Session> = None;
        let mut quotes = Vec::new();
        for state in self.path.past().within(span) {
            let at = state.at;
            let holds = |session: &Session| {
                DateTime::from_timestamp(at, 0).is_some_and(|at| session.contains(at))
            };
            if !session.as_ref().is_some_and(holds) {
                session = self.trading_session(thing, at);
            }
            let trades = match thing {
                Thing::Etf(_) | Thing::Vix => true,
                Thing::Option(option) => at < option.last_trade_at,
                Thing::Future(listed) => at < listed.settles_at,
            };
            if let Some(session) = session.as_ref().filter(|_| trades) {
                smiles.forget();
                quotes.extend(self.quoted(thing, (state, session), &smiles));
            }
        }
        quotes
    }

    fn quoted(
        &self,
        thing: Thing<'_>,
        (state, session): (&State, &Session),
        smiles: &Smiles,
    ) -> Option<PastQuote> {
        let hours = (session.open.timestamp(), session.close.timestamp());
        let moment = Moment { stress: state.stress(), ..self.moment(state.at, hours) };
        let at = DateTime::from_timestamp(state.at, 0)?;
        let vendor = VendorGreeks::default();
        let records = self.path.records();
        let sides = match thing {
            Thing::Etf(etf) => quoting::etf_quote(&moment, etf, *state.spots.get(etf)),
            Thing::Vix => quoting::vix_quote(state.at, self.law.vix_index(state)),
            Thing::Option(option) => {
                let closed = records.values().rev().filter_map(|record| record.closing.as_ref());
                let close = closed.into_iter().find(|closing| closing.at <= state.at)?;
                let last_close = match option.underlying {
                    Underlying::Etf(etf) => *close.spots.get(etf),
                    Underlying::Vix => self.law.vix_index(close),
                };
                let value = smiles.value(&self.law, state, option)?;
                let quote = quoting::option_quote(&moment, option, &value, last_close);
                return Some(PastQuote {
                    at,
                    bid: quote.bid,
                    ask: quote.ask,
                    last: quote.last,
                    bid_size: quote.bid_size,
                    ask_size: quote.ask_size,
                    volume: quote.volume,
                    vendor: quote.vendor,
                });
            }
            Thing::Future(listed) => {
                let stocks = records.get(&session.session_date).map(|record| &record.times);
                let quote = self.future_quote_at(listed, (&moment, state), (session, stocks));
                return Some(PastQuote {
                    at,
                    bid: quote.bid,
                    ask: quote.ask,
                    last: quote.last,
                    bid_size: quote.bid_size,
                    ask_size: quote.ask_size,
                    volume: quote.volume,
                    vendor,
                });
            }
        };
        Some(PastQuote {
            at,
            bid: sides.bid,
            ask: sides.ask,
            last: sides.last,
            bid_size: sides.bid_size,
            ask_size: sides.ask_size,
            volume: None,
            vendor,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::TimeDelta;

    use super::*;
    use crate::exchange::source::MarketSource as _;
    use crate::exchange::synthetic::{Scenario, SyntheticConfig};
    use crate::market::sessions::Calendar;
    use crate::market::{ConId, Price, Symbol, Timestamp};

    fn market() -> SyntheticMarket {
        let first_session = "2026-03-02".parse().unwrap();
        let (variance_premium, scenario) = (1.25, Scenario::Ordinary);
        let config = SyntheticConfig { seed: 1, first_session, variance_premium, scenario };
        SyntheticMarket::new(config, Arc::new(Calendar::shipped().unwrap())).unwrap()
    }

    fn sides(quote: &PastQuote) -> (Option<Price>, Option<Price>, Option<i64>) {
        (quote.bid, quote.ask, quote.volume)
    }

    #[test]
    fn what_is_remembered_is_what_stood() {
        let mut market = market();
        let open: Timestamp = "2026-03-02T14:30:00Z".parse().unwrap();
        market.advance_to(open);
        let spy = market.underlyings()[0].conid();
        let option = market.option_contracts(&Symbol::new("SPY"))[40].conid;
        let future = market.futures()[0].conid;
        let mut stood = [Vec::new(), Vec::new(), Vec::new()];
        for step in 0..6 {
            market.advance_to(open + TimeDelta::seconds(10 * step));
            let quote = market.underlying_quote(&Symbol::new("SPY")).unwrap();
            stood[0].push((quote.bid, quote.ask, None));
            let quote = market.option_quote(option).unwrap();
            stood[1].push((quote.bid, quote.ask, quote.volume));
            let quote = market.future_quote(future).unwrap();
            stood[2].push((quote.bid, quote.ask, quote.volume));
        }
        let remembered = |conid: ConId, every: TimeDelta| {
            let span = PastSpan { after: open - TimeDelta::seconds(1), until: market.now(), every };
            market.past_quotes(conid, &span)
        };
        for (conid, stood) in [spy, option, future].into_iter().zip(stood) {
            let quotes = remembered(conid, TimeDelta::zero());
            assert_eq!(quotes.iter().map(sides).collect::<Vec<_>>(), stood, "{conid:?}");
            let thinned = remembered(conid, TimeDelta::seconds(30));
            let kept: Vec<_> =
                thinned.iter().map(|quote| (quote.at - open).num_seconds()).collect();
            assert_eq!(kept, [0, 30]);
        }
        let closed = PastSpan {
            after: open - TimeDelta::hours(4),
            until: open - TimeDelta::seconds(1),
            every: TimeDelta::zero(),
        };
        assert!(market.past_quotes(spy, &closed).is_empty(), "the stock exchange was closed");
        assert!(!market.past_quotes(future, &closed).is_empty());
    }
}
