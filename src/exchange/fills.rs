//! When and at what price an order fills against the quotes of one instant. Pure.
//!
//! Rules, for BUY combos with signed legs:
//! - *Natural* is what taking costs: asks of the legs bought less bids of the legs sold. *Far* is
//!   the other side, *mid* half way between.
//! - Marketable when it, or its price, becomes effective: filled at natural, up to the displayed
//!   size of the scarcest leg.
//! - Resting, and natural has come down to its limit: filled at its limit, up to the same size.
//! - Resting between mid and natural: filled at its limit by a hazard that rises towards natural
//!   and falls with the number of legs, the combo's relative width and the market's stress. At mid
//!   and below, and at fair value and below where the market has one, the hazard is 0. What the
//!   hazard offers stands if the value has moved against the order since the quote before, else
//!   only with a stated probability: adverse selection. The value is the market's own fair value of
//!   the combo, or mid where the market has none: quotes' noise around a value is no move.
//! - A leg to be bought needs an ask, a leg to be sold a bid; a passive fill needs both sides of
//!   every leg. Crossed quotes fill nothing.
//!
//! Deliberately absent: queue position, price improvement, impact beyond the displayed size.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

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

/// What a combo is worth, USD a share, signed as a BUY order is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Worth {
    /// The market's own value of each leg.
    Fair(f64),
    /// Mid of the quotes, in a market without values of its own.
    Mid(f64),
}

impl Worth {
    fn value(self) -> f64 {
        match self {
            Self::Fair(value) | Self::Mid(value) => value,
        }
    }

    /// By how much it has fallen since; a value and a mid do not compare.
    fn fall_since(self, before: Self) -> Option<f64> {
        match (before, self) {
            (Self::Fair(before), Self::Fair(now)) | (Self::Mid(before), Self::Mid(now)) => {
                Some(before - now)
            }
            (Self::Fair(_), Self::Mid(_)) | (Self::Mid(_), Self::Fair(_)) => None,
        }
    }
}

/// How an order stands to the market.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stance {
    /// Not yet tried since it, or its price, became effective: where it is marketable it takes.
    Entering,
    /// It has met quotes at this price before: where the market comes to it, it gives.
    Resting,
}

/// An order's chance at the quotes of one instant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attempt {
    pub order_type: OrderType,
    /// Combos still to be filled.
    pub remaining: i64,
    pub leg_count: usize,
    pub stance: Stance,
    /// Since it was last tried, or its price became effective.
    pub rested: TimeDelta,
    /// What the combo was worth when the order was last tried or sent, USD a share.
    pub last_worth: Option<Worth>,
    /// What it is worth now.
    pub worth: Option<Worth>,
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
    let net = match attempt.order_type {
        OrderType::Market => market.natural,
        OrderType::Limit(limit) if market.natural <= limit => match attempt.stance {
            Stance::Entering => market.natural,
            Stance::Resting => limit,
        },
        OrderType::Limit(limit) if strikes(limit, attempt, market, model) => limit,
        OrderType::Limit(_) => return None,
    };
    Some(Fill { quantity, net })
}

/// Whether an order below natural is filled passively.
fn strikes(limit: Price, attempt: &Attempt, market: &ComboMarket, model: &FillModel) -> bool {
    let (Some(mid), Some(gross), Some(worth)) = (market.mid(), market.gross, attempt.worth) else {
        return false;
    };
    let half_spread = (market.natural - mid).to_f64();
    let centre = mid.to_f64().max(worth.value());
    let place = (limit.to_f64() - centre) / (market.natural.to_f64() - centre);
    if !(half_spread > 0.0 && gross > 0.0 && place > 0.0) {
        return false;
    }
    let calm = libm::pow(place, model.hazard_exponent) * model.hazard_per_minute_at_natural;
    let legs = libm::pow(attempt.leg_count as f64, model.legs_exponent);
    let width = libm::exp(-half_spread / gross / model.width_scale_ratio);
    let stress = 1.0 + model.stress_weight * attempt.stress.max(0.0);
    let minutes = attempt.rested.num_milliseconds() as f64 / 60_000.0;
    let offered = 1.0 - libm::exp(-calm * width / legs / stress * minutes);
    let fall = attempt.last_worth.and_then(|before| worth.fall_since(before));
    let moved_against = fall.is_some_and(|fall| fall >= model.adverse_move_ratio * half_spread);
    attempt.hazard_draw < offered
        && (moved_against || attempt.benign_draw < model.benign_fill_probability)
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::exchange::ExchangeConfig;
    use crate::structures::testing::price;

    fn leg(ratio: i64, bid_cents: i64, spread_cents: i64) -> LegMarket {
        LegMarket {
            conid: ConId(ratio + 10 * bid_cents),
            ratio,
            bid: Some(Price::from_micros(bid_cents * 10_000)),
            ask: Some(Price::from_micros((bid_cents + spread_cents) * 10_000)),
            size: 7,
            tick: price(0.01),
        }
    }

    fn resting(limit: f64, leg_count: usize) -> Attempt {
        Attempt {
            order_type: OrderType::Limit(price(limit)),
            remaining: 3,
            leg_count,
            stance: Stance::Resting,
            rested: TimeDelta::minutes(1),
            last_worth: Some(Worth::Mid(9.0)),
            worth: Some(Worth::Mid(0.0)),
            stress: 0.0,
            hazard_draw: 0.0,
            benign_draw: 0.0,
        }
    }

    /// The greatest draw at which the hazard still strikes.
    fn hazard(attempt: &Attempt, market: &ComboMarket) -> f64 {
        let model = ExchangeConfig::shipped(0).fills;
        let strikes = |n: i32| {
            let draw = f64::from(n) / 1_000.0;
            decide(&Attempt { hazard_draw: draw, ..*attempt }, market, &model).is_some()
        };
        (0..1_000).take_while(|n| strikes(*n)).last().map_or(-1.0, |n| f64::from(n) / 1_000.0)
    }

    #[test]
    fn the_hazard_rises_to_natural_and_falls_with_legs_width_and_stress() {
        let market = ComboMarket::of(&[leg(1, 500, 20)]).unwrap();
        let base = hazard(&resting(5.15, 1), &market);
        assert!(base > 0.0);
        assert!(hazard(&resting(5.18, 1), &market) > base);
        assert!(hazard(&resting(5.15, 4), &market) < base);
        let stressed = Attempt { stress: 4.0, ..resting(5.15, 1) };
        assert!(hazard(&stressed, &market) < base);
        let wide = ComboMarket::of(&[leg(1, 410, 200)]).unwrap();
        assert!(hazard(&resting(5.60, 1), &wide) < base);
        for at_or_below_mid in [5.10, 5.09, 4.0] {
            assert!(hazard(&resting(at_or_below_mid, 1), &market) < 0.0);
        }
    }

    #[test]
    fn a_one_sided_leg_can_be_taken_but_not_waited_for() {
        let mut one_sided = leg(1, 5, 5);
        one_sided.bid = None;
        let market = ComboMarket::of(&[one_sided]).unwrap();
        let model = ExchangeConfig::shipped(0).fills;
        let take = Attempt { stance: Stance::Entering, ..resting(0.10, 1) };
        assert_eq!(decide(&take, &market, &model).map(|fill| fill.net), Some(price(0.10)));
        assert_eq!(decide(&resting(0.09, 1), &market, &model), None);
        let mut to_sell = leg(-1, 5, 5);
        to_sell.bid = None;
        assert_eq!(ComboMarket::of(&[to_sell]), None);
    }

    proptest! {
        #[test]
        fn leg_prices_sum_exactly_and_stay_near_their_quotes(
            legs in prop::collection::vec((-3_i64..4, 20_i64..3_000, 1_i64..60), 0..3),
            first in (prop::bool::ANY, 200_i64..3_000, 1_i64..60),
            share in 0.0_f64..=1.0,
        ) {
            let mut markets = vec![leg(if first.0 { 1 } else { -1 }, first.1, first.2)];
            let others = legs.iter().filter(|(ratio, _, _)| *ratio != 0);
            markets.extend(others.map(|(ratio, bid, spread)| leg(*ratio, *bid, *spread)));
            let market = ComboMarket::of(&markets).unwrap();
            let far = market.far.unwrap();
            let net = market.natural.to_f64() + share * (far - market.natural).to_f64();
            let net = price((net * 100.0).round() / 100.0);
            let prices = leg_prices(&markets, net).unwrap();
            let parts = markets.iter().zip(&prices).map(|(leg, one)| one.times(leg.ratio));
            let sum: Price = parts.sum();
            prop_assert_eq!(sum, net);
            let slack = price(0.01).times(markets.iter().map(|leg| leg.ratio.abs()).sum());
            for (leg, one) in markets.iter().zip(&prices) {
                prop_assert!(*one >= leg.bid.unwrap() - slack && *one <= leg.ask.unwrap() + slack);
            }
        }
    }
}
