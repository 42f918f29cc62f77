//! Contracts for the tests of the floors above the market.

use std::sync::Arc;

use chrono::{DateTime, Duration, NaiveDate};

use crate::market::{
    ConId, ExerciseStyle, FutureContract, Instrument, OptionContract, OptionRight, Price,
    Settlement, StockContract, Symbol, Timestamp, Usd, occ_symbol,
};

/// Monday 2026-03-02, 10:00 in New York.
pub fn monday() -> Timestamp {
    DateTime::from_timestamp(1_772_463_600, 0).unwrap()
}

pub fn price(value: f64) -> Price {
    Price::from_f64(value).unwrap()
}

pub fn usd(value: f64) -> Usd {
    Usd::from_f64(value).unwrap()
}

pub fn day(days: i64) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 3, 2).unwrap() + Duration::days(days)
}

/// An option on SPY expiring `days` after 2026-03-02, trading to 20:00 UTC.
pub fn option(right: OptionRight, strike: f64, days: i64) -> OptionContract {
    option_on("SPY", right, strike, days)
}

pub fn option_on(symbol: &str, right: OptionRight, strike: f64, days: i64) -> OptionContract {
    let symbol = Symbol::new(symbol);
    let occ = occ_symbol(&symbol, day(days), right, price(strike));
    let expires_at = day(days).and_hms_opt(20, 0, 0).unwrap().and_utc();
    OptionContract {
        conid: ConId::derived_from(&occ),
        occ_symbol: occ,
        symbol,
        expiry_date: day(days),
        strike: price(strike),
        right,
        style: ExerciseStyle::American,
        settlement: Settlement::Physical,
        multiplier: 100,
        min_tick: price(0.01),
        last_trade_at: expires_at,
        expires_at,
    }
}

pub fn call(strike: f64, days: i64) -> OptionContract {
    option(OptionRight::Call, strike, days)
}

pub fn put(strike: f64, days: i64) -> OptionContract {
    option(OptionRight::Put, strike, days)
}

pub fn instrument(contract: &OptionContract) -> Instrument {
    Instrument::Option(Arc::new(contract.clone()))
}

pub fn stock(symbol: &str) -> Instrument {
    let conid = ConId::derived_from(symbol);
    Instrument::Stock(StockContract { conid, symbol: Symbol::new(symbol) })
}

pub fn future(root: &str, tracks: &str, multiplier: i64) -> Instrument {
    let last = day(18).and_hms_opt(13, 30, 0).unwrap().and_utc();
    Instrument::Future(Arc::new(FutureContract {
        conid: ConId::derived_from(root),
        symbol: Symbol::new(root),
        local_symbol: Arc::from(format!("{root}H6")),
        tracks: Symbol::new(tracks),
        expiry_date: day(18),
        multiplier,
        min_tick: price(0.25),
        last_trade_at: last,
    }))
}
