//! Vega of underlyings that count as one risk: what is held, and each working order where it makes
//! the sum shorter, so that two entries of one sweep cannot pass together what neither may alone.
//!
//! USD a volatility point, long positive. Summed once before the checks of an order.
//!
//! What it deliberately does not do: weigh by time to expiry or by beta.

use super::book::Book;
use super::inputs::MarketView;
use crate::market::{Instrument, Symbol};

/// Vega of so many of a contract. `None` where a short option has none; a long one without (nobody
/// bids for it, say) counts as nothing, for it could only lessen a short sum.
pub fn vega_of(instrument: &Instrument, quantity: i64, market: &MarketView) -> Option<f64> {
    match instrument {
        Instrument::Option(option) => {
            let vega = market.legs.get(&option.conid).and_then(|leg| leg.vega);
            match vega.filter(|vega| vega.is_finite()) {
                Some(vega) => Some(vega * (quantity * option.multiplier) as f64),
                None => (quantity >= 0).then_some(0.0),
            }
        }
        Instrument::Stock(_) | Instrument::Future(_) | Instrument::Index(_) => Some(0.0),
    }
}

/// The vega of a cluster as it stands.
pub fn cluster_vega(book: &Book, market: &MarketView, symbols: &[Symbol]) -> Option<f64> {
    let mut vega = 0.0;
    for strategy in book.strategies() {
        for held in &strategy.holdings {
            if symbols.contains(held.instrument.symbol()) {
                vega += vega_of(&held.instrument, held.quantity, market)?;
            }
        }
    }
    for order in book.working().iter().filter(|order| symbols.contains(&order.symbol)) {
        let parts = order
            .legs
            .iter()
            .map(|leg| vega_of(&leg.instrument, leg.ratio * order.remaining, market));
        vega += parts.sum::<Option<f64>>()?.min(0.0);
    }
    Some(vega)
}
