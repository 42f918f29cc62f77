//! How many combos of a structure fit: by maximum loss against the limits that still have room, by
//! margin, and by the largest order. Rounded down; none is a refusal that says which limit bound.
//!
//! What it deliberately does not do: weigh edge or volatility. The gate judges the result again.

use super::limits::{ExposureLimits, OrderLimits};

/// What one combo costs and how much room there is, USD.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SizingInputs {
    /// Maximum loss of one combo at the worst ladder price, fees included.
    pub max_loss_usd: f64,
    /// Margin less credit (or the debit) of one combo.
    pub capital_usd: f64,
    /// min(net liquidation, capital).
    pub equity_usd: f64,
    /// Maximum loss opened within the week, working openings included.
    pub week_opened_usd: f64,
    /// Maximum loss held and working in the cluster.
    pub cluster_max_loss_usd: f64,
    /// Excess liquidity above the least that must remain.
    pub free_capital_usd: f64,
}

/// No combo fits.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum SizingRefusal {
    #[error("{0} is not a positive number; nothing can be sized by it")]
    BadInput(&'static str),
    #[error("one combo needs {needed_usd} USD; {limit} leaves {room_usd}")]
    NoRoom { limit: &'static str, needed_usd: f64, room_usd: f64 },
}

/// The greatest whole number of combos that every limit admits.
pub fn combos_that_fit(
    inputs: &SizingInputs,
    exposure: &ExposureLimits,
    order: &OrderLimits,
) -> Result<i64, SizingRefusal> {
    for (name, value) in [("maximum loss", inputs.max_loss_usd), ("equity", inputs.equity_usd)] {
        if !(value.is_finite() && value > 0.0) {
            return Err(SizingRefusal::BadInput(name));
        }
    }
    let equity = inputs.equity_usd;
    let by_loss = [
        ("trade_max_loss_ratio", exposure.trade_max_loss_ratio * equity),
        ("week_opened_ratio", exposure.week_opened_ratio * equity - inputs.week_opened_usd),
        (
            "cluster_max_loss_ratio",
            exposure.cluster_max_loss_ratio * equity - inputs.cluster_max_loss_usd,
        ),
    ];
    let mut combos = order.quantity_contracts_max;
    for (limit, room_usd) in by_loss {
        combos = combos.min(whole(inputs.max_loss_usd, room_usd, limit)?);
    }
    if !inputs.capital_usd.is_finite() {
        return Err(SizingRefusal::BadInput("capital"));
    }
    if inputs.capital_usd > 0.0 {
        combos = combos.min(whole(inputs.capital_usd, inputs.free_capital_usd, "free capital")?);
    }
    if combos < 1 {
        return Err(SizingRefusal::BadInput("quantity_contracts_max"));
    }
    Ok(combos)
}

fn whole(needed_usd: f64, room_usd: f64, limit: &'static str) -> Result<i64, SizingRefusal> {
    let fit = libm::floor(room_usd / needed_usd);
    if fit >= 1.0 {
        Ok(fit as i64)
    } else {
        Err(SizingRefusal::NoRoom { limit, needed_usd, room_usd })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::risk::testing::limits;

    fn inputs() -> SizingInputs {
        SizingInputs {
            max_loss_usd: 800.0,
            capital_usd: 800.0,
            equity_usd: 250_000.0,
            week_opened_usd: 0.0,
            cluster_max_loss_usd: 0.0,
            free_capital_usd: 100_000.0,
        }
    }

    fn fit(inputs: &SizingInputs) -> Result<i64, SizingRefusal> {
        let limits = limits();
        combos_that_fit(inputs, &limits.exposure, &limits.order)
    }

    #[test]
    fn the_tightest_limit_binds_and_rounds_down() {
        assert_eq!(fit(&inputs()), Ok(6));
        assert_eq!(fit(&SizingInputs { week_opened_usd: 12_500.0, ..inputs() }), Ok(3));
        assert_eq!(fit(&SizingInputs { free_capital_usd: 1_700.0, ..inputs() }), Ok(2));
        let full = SizingInputs { cluster_max_loss_usd: 37_000.0, ..inputs() };
        let refusal = fit(&full).unwrap_err();
        assert!(refusal.to_string().contains("cluster_max_loss_ratio"), "{refusal}");
        assert!(fit(&SizingInputs { max_loss_usd: f64::NAN, ..inputs() }).is_err());
        assert!(fit(&SizingInputs { free_capital_usd: f64::NAN, ..inputs() }).is_err());
    }

    proptest! {
        #[test]
        fn what_fits_never_exceeds_the_trade_limit(loss in 1.0_f64..6_000.0) {
            match fit(&SizingInputs { max_loss_usd: loss, ..inputs() }) {
                Ok(combos) => prop_assert!(combos as f64 * loss <= 5_000.0),
                Err(_) => prop_assert!(loss > 5_000.0),
            }
        }
    }
}
