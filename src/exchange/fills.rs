//! When and at what price an order fills against the quotes of one instant. Pure.
//!
//! Rules, for BUY combos with signed legs:
//! - *Natural* is what taking costs: asks of the legs bought less bids of the legs sold. *Far* is
//!   the other side, *mid* half way between.
//! - Marketable at its first look: filled at natural, up to the displayed size of the scarcest leg.
//! - Resting, and natural has come down to its limit: filled at its limit, up to the same size.
//! - Resting between mid and natural: filled at its limit by a hazard that rises towards natural
//!   and falls with the number of legs, the combo's relative width and the market's stress. At mid
//!   and below the hazard is 0. What the hazard offers stands if fair value has moved against the
//!   order since the quote before, else only with a stated probability: adverse selection.
//! - A leg to be bought needs an ask, a leg to be sold a bid; a passive fill needs both sides of
//!   every leg. Crossed quotes fill nothing.
//!
//! Deliberately absent: queue position, price improvement, impact beyond the displayed size.

use chrono::TimeDelta;

use crate::market::{ConId, Price};
use crate::structures::OrderType;

use super::config::FillModel;

/// The market of one leg as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct LegMarket {
    pub conid: ConId,
    /// Positive is bought, negative sold.
    pub ratio: i64,
    pub bid: Option<Price>,
    pub ask: Option<Price>,
    /// Contracts still displayed on the side that the leg takes.
    pub size: i64,
    /// Smallest step of the leg's own price.
    pub tick: Price,
}

impl LegMarket {
    /// The price at which the leg takes.
    fn natural(&self) -> Option<Price> {
        if self.ratio > 0 { self.ask } else { self.bid }
    }

    /// The price of the other side.
    fn far(&self) -> Option<Price> {
        if self.ratio > 0 { self.bid } else { self.ask }
    }

    fn is_crossed(&self) -> bool {
        matches!((self.bid, self.ask), (Some(bid), Some(ask)) if bid > ask)
    }
}

/// The market of a combo, USD per share, signed as a BUY order is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ComboMarket {
    /// What taking costs.
    pub natural: Price,
    /// The other side; `None` where a leg is one-sided.
    pub far: Option<Price>,
    /// Combos that the scarcest leg still shows.
    pub size: i64,
    /// Sum of the legs' mids without signs; `None` as for `far`.
    gross: Option<f64>,
}

impl ComboMarket {
    /// `None` where a side to be taken is missing or a leg is crossed.
    pub fn of(legs: &[LegMarket]) -> Option<Self> {
        if legs.is_empty() || legs.iter().any(LegMarket::is_crossed) {
            return None;
        }
        let net = |side: fn(&LegMarket) -> Option<Price>| -> Option<Price> {
            legs.iter().map(|leg| side(leg).map(|price| price.times(leg.ratio))).sum()
        };
        let gross = legs
            .iter()
            .map(|leg| Some(leg.bid?.midpoint(leg.ask?).to_f64() * leg.ratio.abs() as f64))
            .sum();
        let size = legs.iter().map(|leg| leg.size / leg.ratio.abs().max(1)).min().unwrap_or(0);
        Some(Self { natural: net(LegMarket::natural)?, far: net(LegMarket::far), size, gross })
    }

    /// Half way between natural and far.
    pub fn mid(&self) -> Option<Price> {
        self.far.map(|far| far.midpoint(self.natural))
    }
}

/// What an order knows of the market it rests in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// The first quotes since the order or its price became effective.
    First,
    /// The order has rested since earlier quotes, whose mid is kept for adverse selection.
    Again { since_last: TimeDelta, last_mid: Option<Price> },
}

/// An order's chance at the quotes of one instant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attempt {
    pub order_type: OrderType,
    /// Combos still to be filled.
    pub remaining: i64,
    pub leg_count: usize,
    pub look: Look,
    /// 0 in ordinary conditions, see [`MarketSource::stress`](super::MarketSource::stress).
    pub stress: f64,
    /// Uniform draw that decides whether the hazard strikes.
    pub hazard_draw: f64,
    /// Uniform draw that decides whether a fill stands without a move against the order.
    pub benign_draw: f64,
}

/// So many combos at this net price a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fill {
    pub quantity: i64,
    pub net: Price,
}

/// The fill of an order at these quotes, if any.
pub fn decide(attempt: &Attempt, market: &ComboMarket, model: &FillModel) -> Option<Fill> {
    let quantity = attempt.remaining.min(market.size);
    if quantity < 1 {
        return None;
    }
    let net = match (attempt.order_type, attempt.look) {
        (OrderType::Market, _) => market.natural,
        (OrderType::Limit(limit), Look::First) if market.natural <= limit => market.natural,
        (OrderType::Limit(limit), Look::Again { .. }) if market.natural <= limit => limit,
        (OrderType::Limit(_), Look::First) => return None,
        (OrderType::Limit(limit), Look::Again { since_last, last_mid }) => {
            let rest = Rest { limit, since_last, last_mid };
            return rest.strikes(attempt, market, model).then_some(Fill { quantity, net: limit });
        }
    };
    Some(Fill { quantity, net })
}

/// An order resting below natural.
struct Rest {
    limit: Price,
    since_last: TimeDelta,
    last_mid: Option<Price>,
}

impl Rest {
    fn strikes(&self, attempt: &Attempt, market: &ComboMarket, model: &FillModel) -> bool {
        let (Some(mid), Some(gross), Some(last_mid)) = (market.mid(), market.gross, self.last_mid)
        else {
            return false;
        };
        let half_spread = (market.natural - mid).to_f64();
        let place = (self.limit - mid).to_f64() / half_spread;
        if !(half_spread > 0.0 && gross > 0.0 && place > 0.0) {
            return false;
        }
        let calm = libm::pow(place, model.hazard_exponent) * model.hazard_per_minute_at_natural;
        let legs = libm::pow(attempt.leg_count as f64, model.legs_exponent);
        let width = libm::exp(-half_spread / gross / model.width_scale_ratio);
        let stress = 1.0 + model.stress_weight * attempt.stress.max(0.0);
        let minutes = self.since_last.num_milliseconds() as f64 / 60_000.0;
        let offered = 1.0 - libm::exp(-calm * width / legs / stress * minutes);
        let moved_against = (last_mid - mid).to_f64() >= model.adverse_move_ratio * half_spread;
        attempt.hazard_draw < offered
            && (moved_against || attempt.benign_draw < model.benign_fill_probability)
    }
}

/// A price for each leg, in order, whose signed sum is exactly `net`.
///
/// Each leg stands at the same share of the way from its natural to its far side as the net price
/// does, rounded to the leg's tick; what rounding leaves goes to the dearest leg with ratio 1.
/// `None` where a side that is needed is missing or no leg has ratio 1.
pub fn leg_prices(legs: &[LegMarket], net: Price) -> Option<Vec<Price>> {
    let market = ComboMarket::of(legs)?;
    let share = match market.far {
        Some(far) if far != market.natural => {
            ((market.natural - net).to_f64() / (market.natural - far).to_f64()).clamp(0.0, 1.0)
        }
        Some(_) | None => 0.0,
    };
    let mut prices = Vec::with_capacity(legs.len());
    for leg in legs {
        let natural = leg.natural()?;
        prices.push(match leg.far() {
            Some(far) => on_tick(natural.to_f64() + share * (far - natural).to_f64(), leg.tick)?,
            None => natural,
        });
    }
    let sum: Price = legs.iter().zip(&prices).map(|(leg, price)| price.times(leg.ratio)).sum();
    let (leg, price) = legs
        .iter()
        .zip(&mut prices)
        .filter(|(leg, _)| leg.ratio.abs() == 1)
        .max_by_key(|(_, price)| **price)?;
    *price += (net - sum).times(leg.ratio);
    Some(prices)
}

/// The nearest multiple of the tick.
fn on_tick(price: f64, tick: Price) -> Option<Price> {
    let steps = libm::round(price / tick.to_f64());
    (steps.abs() < 1e12).then(|| tick.times(steps as i64))
}
