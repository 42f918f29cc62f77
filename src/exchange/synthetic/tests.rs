//! What is promised of the market as a whole.

mod behaviour;
mod statistics;
mod surfaces;

use std::sync::Arc;

use crate::exchange::source::MarketSource;
use crate::market::sessions::Calendar;
use crate::market::{ConId, Symbol, Timestamp};

use super::{Scenario, SyntheticConfig, SyntheticMarket};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn market_of(seed: u64, variance_premium: f64, scenario: Scenario) -> SyntheticMarket {
    let first_session = "2026-03-02".parse().unwrap();
    let config = SyntheticConfig { seed, first_session, variance_premium, scenario };
    SyntheticMarket::new(config, Arc::new(Calendar::shipped().unwrap())).unwrap()
}

fn market(seed: u64) -> SyntheticMarket {
    market_of(seed, 1.25, Scenario::Ordinary)
}

fn near(market: &SyntheticMarket, symbol: &str, expiry: &str, within: f64) -> Vec<ConId> {
    let symbol = Symbol::new(symbol);
    let spot = market.underlying_quote(&symbol).unwrap().last.unwrap().to_f64();
    let chain = market.option_contracts(&symbol);
    let wanted = chain.iter().filter(|option| {
        option.expiry_date.to_string() == expiry
            && (option.strike.to_f64() / spot - 1.0).abs() < within
    });
    wanted.map(|option| option.conid).collect()
}
