//! The synthetic market as a [`MarketSource`].

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate};

use crate::exchange::source::{
    DailyBar, DeliveredRow, DividendRow, EventRow, MarketDescription, MarketSource, PastQuote,
    PastSpan, PriceBasis, RateRow, SettlementValue,
};
use crate::market::sessions::{Session, Venue};
use crate::market::{
    ConId, FutureContract, FutureQuote, Instrument, OptionContract, OptionQuote, Price,
    StockContract, Symbol, Timestamp, UnderlyingQuote,
};

use super::etf::Etf;
use super::futures::Root;
use super::listing::{ListedOption, Underlying, VIX_CONID};
use super::process::State;
use super::quoting::{self, Moment};
use super::streams::{Purpose, noise};
use super::tape::{Barred, Record, SessionTimes, print};
use super::{SOURCE, SyntheticMarket};

/// A thing with a quote.
#[derive(Clone, Copy)]
pub(super) enum Thing<'a> {
    Etf(Etf),
    Vix,
    Option(&'a ListedOption),
    Future(&'a super::futures::Listed),
}

impl SyntheticMarket {
    pub(super) fn thing(&self, conid: ConId) -> Option<Thing<'_>> {
        if conid == VIX_CONID {
            return Some(Thing::Vix);
        }
        if let Some(etf) = Etf::ALL.into_iter().find(|etf| etf.conid() == conid) {
            return Some(Thing::Etf(etf));
        }
        if let Some(option) = self.listing.get(conid) {
            return Some(Thing::Option(option));
        }
        self.futures.get(conid).map(Thing::Future)
    }

    /// The session that holds an instant, if the thing trades then.
    pub(super) fn trading_session(&self, thing: Thing<'_>, at: i64) -> Option<Session> {
        let (venue, last_trade_at) = match thing {
            Thing::Etf(_) => (Venue::Xnys, i64::MAX),
            Thing::Vix => (Venue::CboeIndexOptions, i64::MAX),
            Thing::Option(option) => match option.underlying {
                Underlying::Etf(_) => (Venue::EtfOptions, option.last_trade_at),
                Underlying::Vix => (Venue::CboeIndexOptions, option.last_trade_at),
            },
            Thing::Future(listed) => (Venue::CmeEquityFutures, listed.settles_at),
        };
        let at = DateTime::from_timestamp(at, 0).filter(|_| at < last_trade_at)?;
        // Past the calendar's end nothing trades.
        self.calendar.session_at(venue, at).ok().flatten()
    }

    /// The market of a future at a moment of one of its sessions; `stocks` is the stock exchange's
    /// session of that time.
    pub(super) fn future_quote_at(
        &self,
        listed: &super::futures::Listed,
        (moment, state): (&Moment, &State),
        (session, stocks): (&Session, Option<&SessionTimes>),
    ) -> FutureQuote {
        /// Width outside the stock exchange's hours.
        const QUIET: f64 = 1.6;
        let opened = (session.session_date, session.open.timestamp());
        let share = self.futures.volume_share(listed, opened);
        let loud =
            stocks.is_some_and(|times| (times.open..times.options_close).contains(&moment.at));
        let fair = listed.fair(state, &self.law.carry);
        let quiet = if loud { 1.0 } else { QUIET };
        quoting::future_quote(moment, listed, fair, (share, quiet))
    }

    /// What quotes of the thing share now; `None` when its market is closed or halted.
    fn quoting(&self, thing: Thing<'_>) -> Option<Moment> {
        let at = self.path.state().at;
        let session = self.trading_session(thing, at).filter(|_| !self.path.is_halted())?;
        Some(self.moment(at, (session.open.timestamp(), session.close.timestamp())))
    }

    fn option_quote_at(
        &self,
        option: &ListedOption,
        moment: &Moment,
        state: &State,
    ) -> Option<OptionQuote> {
        let last_close = match option.underlying {
            Underlying::Etf(etf) => *self.path.last_close().get(etf),
            Underlying::Vix => self.path.last_vix()?,
        };
        let value = self.smiles.value(&self.law, state, option)?;
        Some(quoting::option_quote(moment, option, &value, last_close))
    }

    /// The mid of an option at a session's close, or its fair value to the cent without a bid.
    fn option_mark(&self, option: &ListedOption, record: &Record) -> Option<Price> {
        let state = record.closing.as_ref()?;
        let times = &record.times;
        let moment = Moment {
            stress: state.stress(),
            ..self.moment(state.at, (times.open, times.options_close))
        };
        let quote = self.option_quote_at(option, &moment, state)?;
        match (quote.bid, quote.ask) {
            (Some(bid), Some(ask)) => Some(bid.midpoint(ask)),
            _ => print(self.smiles.value(&self.law, state, option)?.fair, 1),
        }
    }

    fn record(&self, session: NaiveDate) -> Option<&Record> {
        self.path.records().get(&session)
    }

    /// What the option settles against, and when that stands.
    fn option_settlement(&self, option: &ListedOption) -> Option<(Price, i64)> {
        let record = self.record(option.contract.expiry_date)?;
        let times = &record.times;
        match option.underlying {
            Underlying::Etf(etf) => {
                let close = record.closing.as_ref()?.spots.get(etf);
                Some((print(*close, 1)?, times.close))
            }
            Underlying::Vix => Some((print(record.opening_vix?, 1)?, times.open)),
        }
    }

    fn volume(&self, what: Barred, times: &SessionTimes, range: f64) -> Option<i64> {
        let (ordinary, id) = match what {
            Barred::Etf(Etf::Spy) => (75_000_000.0, Etf::Spy.conid().0),
            Barred::Etf(Etf::Qqq) => (50_000_000.0, Etf::Qqq.conid().0),
            Barred::Etf(Etf::Iwm) => (32_000_000.0, Etf::Iwm.conid().0),
            Barred::Vix => return None,
            Barred::Future(root) => {
                let listed = self.futures.front(root, times.date)?;
                let share = self.futures.volume_share(listed, (times.date, times.futures_open));
                (root.session_volume() * share, listed.contract.conid.0)
            }
        };
        let [draw, ..] = noise(self.config.seed, Purpose::Volumes, (id, times.open / 86_400));
        Some(libm::floor(ordinary * (0.4 + 0.6 * draw) * (1.0 + 25.0 * range)) as i64)
    }

    fn bar(&self, what: Barred, record: &Record) -> Option<DailyBar> {
        let bar = record.bar(what)?;
        let tick = match what {
            Barred::Etf(_) | Barred::Vix => 1,
            Barred::Future(root) => root.tick_hundredths(),
        };
        let implied_vol = match what {
            Barred::Etf(etf) => *record.implied_vols.get(etf),
            Barred::Vix | Barred::Future(_) => None,
        };
        Some(DailyBar {
            symbol: Symbol::new(what.name()),
            session: record.times.date,
            open: print(bar.open, tick)?,
            high: print(bar.high, tick)?,
            low: print(bar.low, tick)?,
            close: print(bar.close, tick)?,
            volume: self.volume(what, &record.times, bar.high / bar.low - 1.0),
            implied_vol,
            basis: PriceBasis::Raw,
        })
    }

    fn today(&self) -> NaiveDate {
        self.path.session().map_or(self.config.first_session, |session| session.date)
    }
}

impl MarketSource for SyntheticMarket {
    fn description(&self) -> &MarketDescription {
        &self.description
    }

    fn now(&self) -> Timestamp {
        self.now
    }

    fn advance_to(&mut self, at: Timestamp) {
        let limit = at.timestamp().min(self.law.time.ends_at());
        if at <= self.now {
            return;
        }
        self.now = at;
        let before = self.path.state().at;
        self.run_to(limit);
        if self.path.state().at != before {
            self.smiles.forget();
        }
    }

    fn underlyings(&self) -> Vec<Instrument> {
        let stock = |etf: Etf| {
            Instrument::Stock(StockContract { conid: etf.conid(), symbol: etf.symbol() })
        };
        let vix = StockContract { conid: VIX_CONID, symbol: Symbol::new("VIX") };
        Etf::ALL.into_iter().map(stock).chain([Instrument::Index(vix)]).collect()
    }

    fn option_contracts(&self, symbol: &Symbol) -> Vec<Arc<OptionContract>> {
        Underlying::of(symbol).map_or_else(Vec::new, |underlying| {
            let trading = self.listing.trading(underlying, self.now.timestamp());
            trading.map(|option| Arc::clone(&option.contract)).collect()
        })
    }

    fn futures(&self) -> Vec<Arc<FutureContract>> {
        let at = self.now.timestamp();
        Root::ALL
            .into_iter()
            .flat_map(|root| self.futures.trading(root, at))
            .map(|listed| Arc::clone(&listed.contract))
            .collect()
    }

    fn contract(&self, conid: ConId) -> Option<Instrument> {
        Some(match self.thing(conid)? {
            Thing::Etf(etf) => Instrument::Stock(StockContract { conid, symbol: etf.symbol() }),
            Thing::Vix => Instrument::Index(StockContract { conid, symbol: Symbol::new("VIX") }),
            Thing::Option(option) => Instrument::Option(Arc::clone(&option.contract)),
            Thing::Future(listed) => Instrument::Future(Arc::clone(&listed.contract)),
        })
    }

    fn is_open(&self, conid: ConId) -> bool {
        let at = self.now.timestamp();
        self.thing(conid).is_some_and(|thing| self.trading_session(thing, at).is_some())
    }

    fn is_halted(&self, symbol: &Symbol) -> bool {
        let known = Underlying::of(symbol).is_some()
            || Root::ALL.into_iter().any(|root| root.name() == symbol.as_str());
        known && self.path.is_halted()
    }

    fn option_quote(&self, conid: ConId) -> Option<OptionQuote> {
        let option = self.listing.get(conid)?;
        let moment = self.quoting(Thing::Option(option))?;
        self.option_quote_at(option, &moment, self.path.state())
    }

    fn underlying_quote(&self, symbol: &Symbol) -> Option<UnderlyingQuote> {
        match Underlying::of(symbol)? {
            Underlying::Etf(etf) => {
                let moment = self.quoting(Thing::Etf(etf))?;
                Some(quoting::etf_quote(&moment, etf, *self.path.state().spots.get(etf)))
            }
            Underlying::Vix => {
                let moment = self.quoting(Thing::Vix)?;
                Some(quoting::vix_quote(moment.at, self.law.vix_index(self.path.state())))
            }
        }
    }

    fn future_quote(&self, conid: ConId) -> Option<FutureQuote> {
        let listed = self.futures.get(conid)?;
        let moment = self.quoting(Thing::Future(listed))?;
        let session = self.trading_session(Thing::Future(listed), moment.at)?;
        let of = (&session, self.path.session());
        Some(self.future_quote_at(listed, (&moment, self.path.state()), of))
    }

    fn quote_received_at(&self, conid: ConId) -> Option<Timestamp> {
        let moment = self.quoting(self.thing(conid)?)?;
        DateTime::from_timestamp(moment.at, 0)
    }

    fn fair_value(&self, conid: ConId) -> Option<f64> {
        match self.listing.get(conid) {
            Some(option) => {
                self.smiles.value(&self.law, self.path.state(), option).map(|value| value.fair)
            }
            None => self.underlying_value(conid),
        }
    }

    fn settlement(&self, conid: ConId) -> Option<SettlementValue> {
        let (price, at) = match self.thing(conid)? {
            Thing::Etf(_) | Thing::Vix => return None,
            Thing::Option(option) => self.option_settlement(option)?,
            Thing::Future(listed) => {
                let record = self.record(listed.contract.expiry_date)?;
                let spot = record.opening?;
                let level = listed.index(*spot.get(listed.root.tracks()));
                (print(level, 1)?, record.times.open)
            }
        };
        Some(SettlementValue { price, at: DateTime::from_timestamp(at, 0)? })
    }

    fn official_mark(&self, conid: ConId, session: NaiveDate) -> Option<Price> {
        let record = self.record(session)?;
        let state = record.closing.as_ref()?;
        match self.thing(conid)? {
            Thing::Etf(etf) => print(*state.spots.get(etf), 1),
            Thing::Vix => print(self.law.vix_index(state), 1),
            Thing::Option(option) => self.option_mark(option, record),
            Thing::Future(listed) => (state.at < listed.settles_at)
                .then(|| listed.fair(state, &self.law.carry))
                .and_then(|fair| print(fair, listed.root.tick_hundredths())),
        }
    }

    fn stress(&self, symbol: &Symbol) -> f64 {
        let known = Underlying::of(symbol).is_some()
            || Root::ALL.into_iter().any(|root| root.name() == symbol.as_str());
        if known { self.path.state().stress() } else { 0.0 }
    }

    fn rates(&self) -> Vec<RateRow> {
        let at = self.path.state().at;
        let options = Underlying::ALL
            .into_iter()
            .flat_map(|underlying| self.listing.trading(underlying, at))
            .map(|option| (option.contract.expiry_date, option.expires_at));
        let futures = Root::ALL
            .into_iter()
            .flat_map(|root| self.futures.trading(root, at))
            .map(|listed| (listed.contract.expiry_date, listed.settles_at));
        let mut maturities: BTreeSet<(NaiveDate, i64)> = options.chain(futures).collect();
        // One row a date: where two instants share it, the later one stands for both.
        let dates: Vec<_> = maturities.iter().copied().collect();
        for (earlier, later) in dates.iter().zip(dates.iter().skip(1)) {
            if earlier.0 == later.0 {
                maturities.remove(earlier);
            }
        }
        let valid_through = self.today();
        maturities
            .into_iter()
            .filter(|(_, instant)| *instant > at)
            .map(|(maturity_date, instant)| RateRow {
                maturity_date,
                rate: self.law.carry.rate(at, instant),
                rate_error: None,
                source: SOURCE,
                valid_through,
            })
            .collect()
    }

    fn dividends(&self) -> Vec<DividendRow> {
        self.law.carry.rows(self.today())
    }

    fn events(&self) -> Vec<EventRow> {
        self.events.clone()
    }

    fn history(&self) -> Vec<DailyBar> {
        self.path
            .records()
            .range(..self.config.first_session)
            .flat_map(|(_, record)| {
                let mut bars: Vec<DailyBar> =
                    Barred::all().filter_map(|what| self.bar(what, record)).collect();
                bars.sort_by(|a, b| a.symbol.cmp(&b.symbol));
                bars
            })
            .collect()
    }

    fn daily_bar(&self, symbol: &Symbol, session: NaiveDate) -> Option<DailyBar> {
        let what = Barred::all().find(|what| what.name() == symbol.as_str())?;
        self.bar(what, self.record(session)?)
    }

    fn past_quotes(&self, conid: ConId, span: &PastSpan) -> Vec<PastQuote> {
        self.thing(conid).map_or_else(Vec::new, |thing| self.quoted_in(thing, span))
    }

    fn take_rows(&mut self) -> Option<Vec<DeliveredRow>> {
        None
    }
}
