//! What a simulated market publishes beside its quotes, in the words of the feed.

use chrono::NaiveDate;

use crate::exchange::{DailyBar, DividendRow, MarketSource};
use crate::market::Symbol;

use super::{Bar, Dividend, FeedDescription, Rate, ScheduledEvent};

pub fn rates(market: &dyn MarketSource) -> Vec<Rate> {
    let rows = market.rates().into_iter();
    rows.map(|row| Rate {
        maturity_date: row.maturity_date,
        rate: row.rate,
        rate_error: row.rate_error,
        source: row.source.to_owned(),
        valid_through: row.valid_through,
    })
    .collect()
}

pub fn dividends(market: &dyn MarketSource) -> Vec<Dividend> {
    market.dividends().into_iter().map(dividend_of).collect()
}

pub fn dividend_of(row: DividendRow) -> Dividend {
    Dividend {
        symbol: row.symbol,
        ex_date: row.ex_date,
        amount: row.amount,
        certainty: row.certainty.as_str(),
        source: row.source.to_owned(),
        valid_through: row.valid_through,
    }
}

pub fn events(market: &dyn MarketSource) -> Vec<ScheduledEvent> {
    let rows = market.events().into_iter();
    rows.map(|row| ScheduledEvent {
        event_name: row.event_name,
        event_at: row.event_at,
        source: row.source.to_owned(),
        valid_through: row.valid_through,
    })
    .collect()
}

pub fn history(market: &dyn MarketSource) -> Vec<Bar> {
    let name = &market.description().name;
    market.history().into_iter().map(|bar| bar_of(bar, name)).collect()
}

pub fn daily_bar(market: &dyn MarketSource, symbol: &Symbol, session: NaiveDate) -> Option<Bar> {
    let name = &market.description().name;
    market.daily_bar(symbol, session).map(|bar| bar_of(bar, name))
}

pub fn description(market: &dyn MarketSource) -> FeedDescription {
    let market = market.description();
    FeedDescription {
        name: market.name.clone(),
        seed: market.seed,
        variance_premium: market.variance_premium,
        futures_lead_seconds: market.futures_lead_seconds,
        notes: market.notes.clone(),
    }
}

fn bar_of(bar: DailyBar, source: &str) -> Bar {
    Bar {
        symbol: bar.symbol,
        session: bar.session,
        open: Some(bar.open),
        high: Some(bar.high),
        low: Some(bar.low),
        close: Some(bar.close),
        volume: bar.volume,
        implied_vol: bar.implied_vol,
        price_basis: bar.basis.as_str().to_owned(),
        source: source.to_owned(),
    }
}
