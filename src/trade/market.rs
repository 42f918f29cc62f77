//! The gate's view of the market, read from the live tables: the same numbers that the rules read.

use std::collections::{BTreeMap, BTreeSet};

use crate::lake::{Row, Rows, TableName};
use crate::market::{ConId, Price, Symbol};
use crate::pipeline::StepContext;
use crate::risk::{LegMarket, MarketView};

/// Latest valid quote of each contract in question, and spot of every underlying.
pub fn market_view(
    context: &StepContext<'_>,
    wanted: &BTreeSet<ConId>,
) -> anyhow::Result<MarketView> {
    let quotes = Rows::new(context.live.rows(&TableName::new("silver", "option_quotes"))?);
    let mut legs = BTreeMap::new();
    let mut spots = BTreeMap::new();
    for row in quotes.iter() {
        let conid = ConId(row.int("conid")?);
        let spot = row.maybe_double("spot_usd")?;
        if wanted.contains(&conid) {
            legs.insert(conid, leg_market(&row, spot)?);
        }
        if let Some(spot) = spot.and_then(Price::from_f64) {
            spots.insert(Symbol::new(row.text("symbol")?), spot);
        }
    }
    let underlyings = Rows::new(context.live.rows(&TableName::new("silver", "underlying_quotes"))?);
    for row in underlyings.iter() {
        if let Some(price) = row.maybe_price("price")? {
            spots.insert(Symbol::new(row.text("symbol")?), price);
        }
    }
    Ok(MarketView { legs, spots })
}

fn leg_market(row: &Row<'_>, spot: Option<f64>) -> anyhow::Result<LegMarket> {
    Ok(LegMarket {
        bid: row.maybe_price("bid")?,
        ask: row.maybe_price("ask")?,
        received_at: row.instant("received_at")?,
        vol: row.maybe_double("vol")?,
        delta: row.maybe_double("delta")?,
        vega: row.maybe_double("vega")?,
        rate: row.maybe_double("rate")?,
        dividend_yield: row.maybe_double("yield")?,
        spot,
    })
}
