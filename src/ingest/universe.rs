//! Which contracts a sweep asks for: expiries near the target days, strikes in a window around
//! spot, thinned where they stand closer than needed; and always every open leg.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::NaiveDate;

use crate::market::{ConId, OptionContract, OptionRight};

/// The window, as shares of spot; the numbers of `[universe]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window<'a> {
    pub dte_targets: &'a [i64],
    pub put_below_spot_ratio: f64,
    pub call_above_spot_ratio: f64,
    pub both_around_spot_ratio: f64,
    pub strike_spacing_ratio: f64,
}

/// The contracts to ask for, in the order of `listed`. Without a spot only the open legs.
pub fn select(
    window: &Window<'_>,
    listed: &[Arc<OptionContract>],
    (spot, today): (Option<f64>, NaiveDate),
    open_legs: &BTreeSet<ConId>,
) -> Vec<Arc<OptionContract>> {
    let expiries = nearest_expiries(window.dte_targets, listed, today);
    let strikes = spot.map(|spot| strikes_in_window(window, listed, &expiries, spot));
    listed
        .iter()
        .filter(|option| {
            let in_window = match (spot, &strikes) {
                (Some(spot), Some(strikes)) => {
                    expiries.contains(&option.expiry_date)
                        && strikes.contains(&(option.expiry_date, option.strike.micros()))
                        && wanted_right(window, option, spot)
                }
                _ => false,
            };
            in_window || open_legs.contains(&option.conid)
        })
        .cloned()
        .collect()
}

fn nearest_expiries(
    targets: &[i64],
    listed: &[Arc<OptionContract>],
    today: NaiveDate,
) -> BTreeSet<NaiveDate> {
    let dates: BTreeSet<NaiveDate> = listed.iter().map(|option| option.expiry_date).collect();
    targets
        .iter()
        .filter_map(|target| {
            dates
                .iter()
                .filter(|date| **date > today)
                .min_by_key(|date| ((**date - today).num_days() - target).abs())
                .copied()
        })
        .collect()
}

fn strikes_in_window(
    window: &Window<'_>,
    listed: &[Arc<OptionContract>],
    expiries: &BTreeSet<NaiveDate>,
    spot: f64,
) -> BTreeSet<(NaiveDate, i64)> {
    let mut chosen = BTreeSet::new();
    for expiry in expiries {
        let mut last = f64::NEG_INFINITY;
        let strikes: BTreeSet<i64> = listed
            .iter()
            .filter(|option| option.expiry_date == *expiry)
            .map(|option| option.strike.micros())
            .collect();
        for micros in strikes {
            let strike = micros as f64 / 1e6;
            let distance = strike / spot - 1.0;
            let inside = distance >= -window.put_below_spot_ratio
                && distance <= window.call_above_spot_ratio;
            if inside && strike - last >= window.strike_spacing_ratio * spot - 1e-9 {
                chosen.insert((*expiry, micros));
                last = strike;
            }
        }
    }
    chosen
}

fn wanted_right(window: &Window<'_>, option: &OptionContract, spot: f64) -> bool {
    let distance = option.strike.to_f64() / spot - 1.0;
    match option.right {
        OptionRight::Put => distance <= window.both_around_spot_ratio,
        OptionRight::Call => distance >= -window.both_around_spot_ratio,
    }
}
