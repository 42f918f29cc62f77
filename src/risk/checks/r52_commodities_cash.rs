//! R52: a future's initial margin and two sigmas of a day's variation fit the commodities segment.

use super::{Applies, Check, Finding};
use crate::market::Instrument;
use crate::risk::context::Context;

pub(super) const CHECK: Check =
    Check { id: "R52", name: "commodities_cash", unit: "USD", applies: Applies::AddedRisk, run };

fn run(context: &Context<'_>) -> Finding {
    let inputs = context.inputs;
    let mut variation = 0.0;
    let mut futures = false;
    for held in &context.after {
        let Instrument::Future(future) = &held.instrument else { continue };
        futures = true;
        let market = inputs.market.legs.get(&future.conid);
        let Some((price, vol)) = market.and_then(|market| market.mid().zip(market.vol)) else {
            return Finding::missing("the price or volatility of a future");
        };
        let sigma = vol / libm::sqrt(inputs.limits.account.sessions_per_year);
        let contracts = (held.quantity.abs() * future.multiplier) as f64;
        variation += 2.0 * sigma * price * contracts;
    }
    if !futures {
        return Finding::NotApplicable("no future");
    }
    match (context.effects.margin_after, inputs.account.commodities_cash) {
        (Some(margin), Some(cash)) => {
            Finding::AtMost { measured: margin.to_f64() + variation, limit: cash.to_f64() }
        }
        _ => Finding::missing("futures margin or the commodities segment's cash"),
    }
}
