//! A strategy's P&L against the price of its underlying, at expiry and at the close of the day.

use chrono::Duration;

use crate::market::{ExerciseStyle, OptionContract, OptionRight, Timestamp};
use crate::pricing::{Bsm, Right, american, bsm};
use crate::report::Payoff;
use crate::risk::LegMarket;

/// Prices of the underlying at which a curve is drawn, strikes apart.
const POINTS: i32 = 60;
/// The curve reaches this share of spot beyond the outermost strikes. A matter of display only.
const MARGIN_RATIO: f64 = 0.04;
const SECONDS_PER_YEAR: f64 = 31_536_000.0;

/// An option leg with its last quote.
pub(super) struct PricedLeg<'a> {
    pub option: &'a OptionContract,
    pub market: Option<&'a LegMarket>,
    /// Contracts, short negative.
    pub quantity: i64,
}

/// Both curves of legs that expire together. `basis_usd` is the cash of what is held, received
/// positive. Today's curve is left out where a leg has no volatility, rate or yield.
pub(super) fn payoff(
    legs: &[PricedLeg<'_>],
    (basis_usd, spot_usd): (f64, f64),
    now: Timestamp,
) -> Option<Payoff> {
    let (first, others) = legs.split_first()?;
    let together = others.iter().all(|leg| leg.option.expiry_date == first.option.expiry_date);
    if !together {
        return None;
    }
    let prices = prices(legs, spot_usd);
    let profit = |price: f64, value: &dyn Fn(&PricedLeg<'_>, f64) -> Option<f64>| {
        let values = legs.iter().map(|leg| {
            let shares = (leg.quantity * leg.option.multiplier) as f64;
            Some(shares * value(leg, price)?)
        });
        Some((price, basis_usd + values.sum::<Option<f64>>()?))
    };
    let at_expiry: Option<Vec<_>> = prices
        .iter()
        .map(|price| profit(*price, &|leg, price| Some(leg.intrinsic(price))))
        .collect();
    let today: Option<Vec<_>> =
        prices.iter().map(|price| profit(*price, &|leg, price| leg.value(price, now))).collect();
    Some(Payoff { spot_usd, at_expiry: at_expiry?, today: today.unwrap_or_default() })
}

fn prices(legs: &[PricedLeg<'_>], spot: f64) -> Vec<f64> {
    let strikes = || legs.iter().map(|leg| leg.option.strike.to_f64());
    let (low, high) = strikes()
        .chain([spot])
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), at| (low.min(at), high.max(at)));
    let margin = spot * MARGIN_RATIO;
    let (low, high) = ((low - margin).max(margin), high + margin);
    let mut prices: Vec<f64> = (0..=POINTS)
        .map(|step| low + (high - low) * f64::from(step) / f64::from(POINTS))
        .chain(strikes())
        .collect();
    prices.sort_by(f64::total_cmp);
    prices.dedup();
    prices
}

impl PricedLeg<'_> {
    fn intrinsic(&self, price: f64) -> f64 {
        self.option.right.intrinsic(price, self.option.strike.to_f64())
    }

    /// USD a share at the leg's own volatility.
    fn value(&self, price: f64, now: Timestamp) -> Option<f64> {
        let market = self.market?;
        let left: Duration = self.option.expires_at - now;
        let years = left.num_seconds() as f64 / SECONDS_PER_YEAR;
        if years <= 0.0 {
            return Some(self.intrinsic(price));
        }
        let input = Bsm {
            right: match self.option.right {
                OptionRight::Call => Right::Call,
                OptionRight::Put => Right::Put,
            },
            spot: price,
            strike: self.option.strike.to_f64(),
            years,
            rate: market.rate?,
            dividend_yield: market.dividend_yield?,
            vol: market.vol?,
        };
        let valuation = match self.option.style {
            ExerciseStyle::American => american(&input)?,
            ExerciseStyle::European => bsm(&input)?,
        };
        Some(valuation.price)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structures::testing::{monday, put};

    fn market(vol: Option<f64>) -> LegMarket {
        LegMarket {
            bid: None,
            ask: None,
            received_at: monday(),
            vol,
            delta: None,
            vega: None,
            rate: Some(0.04),
            dividend_yield: Some(0.012),
            spot: Some(640.0),
        }
    }

    #[test]
    fn a_credit_spread_keeps_its_credit_above_and_its_width_below() {
        let (short, long) = (put(620.0, 30), put(610.0, 30));
        let known = market(Some(0.2));
        let legs = [
            PricedLeg { option: &short, market: Some(&known), quantity: -1 },
            PricedLeg { option: &long, market: Some(&known), quantity: 1 },
        ];
        let payoff = payoff(&legs, (200.0, 640.0), monday()).unwrap();
        assert_eq!(payoff.at_expiry.first().map(|(_, pnl)| *pnl), Some(-800.0));
        assert_eq!(payoff.at_expiry.last().map(|(_, pnl)| *pnl), Some(200.0));
        assert_eq!(payoff.today.len(), payoff.at_expiry.len());
        assert!(payoff.today.iter().all(|(_, pnl)| (-800.0..=200.0).contains(pnl)));
    }

    #[test]
    fn without_a_volatility_there_is_no_curve_of_today() {
        let short = put(620.0, 30);
        let blind = market(None);
        let legs = [PricedLeg { option: &short, market: Some(&blind), quantity: -1 }];
        assert_eq!(payoff(&legs, (200.0, 640.0), monday()).unwrap().today, vec![]);
    }

    #[test]
    fn legs_of_two_expiries_have_no_payoff() {
        let (near, far) = (put(620.0, 30), put(620.0, 60));
        let legs = [
            PricedLeg { option: &near, market: None, quantity: -1 },
            PricedLeg { option: &far, market: None, quantity: 1 },
        ];
        assert_eq!(payoff(&legs, (0.0, 640.0), monday()), None);
    }
}
