//! One way to read quotes, whatever the instrument, from any market.

use chrono::TimeDelta;

use crate::market::{Instrument, Price, Symbol, Timestamp, TwoSided};

use super::source::MarketSource;

/// Both sides of an instrument's quote, as they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sides {
    pub bid: Option<Price>,
    pub ask: Option<Price>,
    pub last: Option<Price>,
    pub bid_size: i64,
    pub ask_size: i64,
    pub received_at: Timestamp,
}

impl Sides {
    pub fn two_sided(&self) -> Option<TwoSided> {
        TwoSided::new(self.bid, self.ask)
    }
}

/// The quote of an instrument, `None` where the market has none or does not say when it came.
/// A size that is missing counts as one lot.
pub(super) fn sides(source: &dyn MarketSource, instrument: &Instrument) -> Option<Sides> {
    let conid = instrument.conid();
    let (bid, ask, last, sizes, quoted_at) = match instrument {
        Instrument::Option(_) => {
            let quote = source.option_quote(conid)?;
            let sizes = (quote.bid_size, quote.ask_size);
            (quote.bid, quote.ask, quote.last, sizes, quote.quoted_at)
        }
        Instrument::Future(_) => {
            let quote = source.future_quote(conid)?;
            let sizes = (quote.bid_size, quote.ask_size);
            (quote.bid, quote.ask, quote.last, sizes, quote.quoted_at)
        }
        Instrument::Stock(stock) | Instrument::Index(stock) => {
            let quote = source.underlying_quote(&stock.symbol)?;
            let sizes = (quote.bid_size, quote.ask_size);
            (quote.bid, quote.ask, quote.last, sizes, quote.quoted_at)
        }
    };
    let received_at = source.quote_received_at(conid).or(quoted_at)?;
    let positive = |price: Option<Price>| price.filter(|price| *price > Price::ZERO);
    Some(Sides {
        bid: positive(bid),
        ask: positive(ask),
        last: positive(last),
        bid_size: sizes.0.map_or(1, |size| size.max(0)),
        ask_size: sizes.1.map_or(1, |size| size.max(0)),
        received_at,
    })
}

/// Mid of a two-sided quote; for stock and indices also the last price, or where a market quotes
/// no underlying its own estimate of it.
pub(super) fn mark(source: &dyn MarketSource, instrument: &Instrument) -> Option<Price> {
    let quote = sides(source, instrument);
    let mid = quote.and_then(|quote| quote.two_sided()).map(TwoSided::mid);
    match instrument {
        Instrument::Option(_) | Instrument::Future(_) => mid,
        Instrument::Stock(stock) | Instrument::Index(stock) => mid
            .or_else(|| quote.and_then(|quote| quote.last))
            .or_else(|| source.fair_value(stock.conid).and_then(Price::from_f64)),
    }
}

/// The stock or index of that symbol.
pub(super) fn underlying(source: &dyn MarketSource, symbol: &Symbol) -> Option<Instrument> {
    source.underlyings().into_iter().find(|instrument| instrument.symbol() == symbol)
}

/// From here on options on the VIX move in steps of five cents, millionths of a USD (Cboe).
const VIX_WIDE_FROM_MICROS: i64 = 3_000_000;
const VIX_WIDE_TICK_MICROS: i64 = 50_000;

/// Price step of an instrument at a price. Contract details name the smallest one.
pub(super) fn tick(instrument: &Instrument, at: Price) -> Price {
    match instrument {
        Instrument::Option(option)
            if option.symbol.as_str() == "VIX" && at.abs().micros() >= VIX_WIDE_FROM_MICROS =>
        {
            Price::from_micros(VIX_WIDE_TICK_MICROS)
        }
        Instrument::Option(option) => option.min_tick,
        Instrument::Future(future) => future.min_tick,
        Instrument::Stock(_) | Instrument::Index(_) => Price::from_micros(10_000),
    }
}

/// The next whole step after an instant, so that the market's grid does not depend on who asks.
pub(super) fn next_on_grid(after: Timestamp, step: TimeDelta) -> Timestamp {
    let step = step.num_microseconds().map_or(1, |micros| micros.max(1));
    after + TimeDelta::microseconds(step - after.timestamp_micros().rem_euclid(step))
}
