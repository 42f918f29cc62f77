//! What is wrong with limits as they are written: a number that is none, or lies where it would let
//! everything pass or refuse everything for ever. All faults at once, each with its key.
//!
//! What it deliberately does not do: judge whether a limit is wise.

use super::limits::{LimitFault, RiskLimits};
use crate::structures::{TickBand, TickGrid};

/// Where a number may lie.
#[derive(Debug, Clone, Copy)]
enum Range {
    /// From 0 to 1.
    Share,
    /// 0 or more.
    NotNegative,
    /// More than 0.
    Positive,
}

impl Range {
    fn holds(self, value: f64) -> bool {
        value.is_finite()
            && match self {
                Self::Share => (0.0..=1.0).contains(&value),
                Self::NotNegative => value >= 0.0,
                Self::Positive => value > 0.0,
            }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Share => "a fraction from 0 to 1 (0.02 is 2 %)",
            Self::NotNegative => "a number of 0 or more",
            Self::Positive => "a number above 0",
        }
    }
}

type Bounded = (&'static str, &'static str, f64, Range);

impl RiskLimits {
    /// Every fault of every limit.
    pub fn faults(&self) -> Vec<LimitFault> {
        let numbers = self.orders_and_prices().into_iter().chain(self.entries_and_account());
        let mut faults: Vec<LimitFault> = numbers
            .chain(self.exposure_and_margin())
            .filter(|(_, _, value, range)| !range.holds(*value))
            .map(|(section, key, value, range)| {
                fault(section, key, format!("is {value}; write {}", range.as_str()))
            })
            .collect();
        faults.extend(self.disorder());
        faults.extend(self.scenario_faults());
        faults.extend(self.tick_faults());
        faults.extend(self.breaker.faults());
        faults
    }

    fn orders_and_prices(&self) -> Vec<Bounded> {
        let (order, price) = (&self.order, &self.price);
        let whole = |key, value: i64, range| ("risk.order", key, value as f64, range);
        let priced = |key, value, range| ("risk.price", key, value, range);
        vec![
            whole("quantity_contracts_max", order.quantity_contracts_max, Range::NotNegative),
            whole("quantity_shares_max", order.quantity_shares_max, Range::NotNegative),
            whole("duplicate_window_seconds", order.duplicate_window_seconds, Range::NotNegative),
            whole("orders_per_minute_max", order.orders_per_minute_max, Range::NotNegative),
            whole("strategy_orders_max", order.strategy_orders_max, Range::NotNegative),
            whole(
                "strategy_orders_window_minutes",
                order.strategy_orders_window_minutes,
                Range::Positive,
            ),
            whole(
                "active_orders_per_side_max",
                order.active_orders_per_side_max,
                Range::NotNegative,
            ),
            priced("collar_width_ratio", price.collar_width_ratio, Range::Share),
            priced("collar_ticks", price.collar_ticks as f64, Range::NotNegative),
            priced("intrinsic_tolerance_usd", price.intrinsic_tolerance_usd, Range::NotNegative),
            priced("quote_age_seconds_max", price.quote_age_seconds_max, Range::Positive),
            priced("vol_min", price.vol_min, Range::NotNegative),
            priced("vol_max", price.vol_max, Range::Positive),
            priced("drift_ratio_max", price.drift_ratio_max, Range::NotNegative),
        ]
    }

    fn entries_and_account(&self) -> Vec<Bounded> {
        let (entry, account) = (&self.entry, &self.account);
        let entering = |key, value, range| ("risk.entry", key, value, range);
        let held = |key, value, range| ("risk.account", key, value, range);
        let zero = Range::NotNegative;
        vec![
            entering("quiet_minutes_after_open", entry.quiet_minutes_after_open, zero),
            entering("quiet_minutes_before_close", entry.quiet_minutes_before_close, zero),
            entering("leg_width_ratio_max", entry.leg_width_ratio_max, zero),
            entering("credit_ratio_two_sided_min", entry.credit_ratio_two_sided_min, Range::Share),
            entering("credit_ratio_single_min", entry.credit_ratio_single_min, Range::Share),
            entering("credit_fees_multiple_min", entry.credit_fees_multiple_min, zero),
            entering("days_to_expiry_min", entry.days_to_expiry_min as f64, zero),
            entering("days_to_expiry_max", entry.days_to_expiry_max as f64, zero),
            entering("short_delta_max", entry.short_delta_max, Range::Share),
            entering("future_days_to_expiry_min", entry.future_days_to_expiry_min as f64, zero),
            held("excess_liquidity_ratio_min", account.excess_liquidity_ratio_min, Range::Share),
            held("look_ahead_ratio_min", account.look_ahead_ratio_min, Range::Share),
            held("position_contracts_max", account.position_contracts_max as f64, zero),
            held("assignment_extrinsic_usd", account.assignment_extrinsic_usd, zero),
            held("sessions_per_year", account.sessions_per_year, Range::Positive),
        ]
    }

    fn exposure_and_margin(&self) -> Vec<Bounded> {
        let (exposure, loss, margin) = (&self.exposure, &self.loss, &self.margin);
        let share = |key, value| ("risk.exposure", key, value, Range::Share);
        let lost = |key, value| ("risk.loss", key, value, Range::Share);
        let required = |key, value| ("risk.margin", key, value, Range::NotNegative);
        vec![
            share("trade_max_loss_ratio", exposure.trade_max_loss_ratio),
            share("week_opened_ratio", exposure.week_opened_ratio),
            ("risk.exposure", "week_days", exposure.week_days as f64, Range::Positive),
            share("cluster_max_loss_ratio", exposure.cluster_max_loss_ratio),
            share("cluster_short_vega_ratio", exposure.cluster_short_vega_ratio),
            (
                "risk.exposure",
                "new_structures_per_expiry_max",
                exposure.new_structures_per_expiry_max as f64,
                Range::NotNegative,
            ),
            share("worst_case_ratio_max", exposure.worst_case_ratio_max),
            lost("daily_loss_ratio_max", loss.daily_loss_ratio_max),
            lost("drawdown_ratio_max", loss.drawdown_ratio_max),
            required("long_stock_initial_ratio", margin.long_stock_initial_ratio),
            required("long_stock_maintenance_ratio", margin.long_stock_maintenance_ratio),
            required("short_stock_initial_ratio", margin.short_stock_initial_ratio),
            required("short_stock_maintenance_ratio", margin.short_stock_maintenance_ratio),
            required("naked_underlying_ratio", margin.naked_underlying_ratio),
            required("naked_minimum_ratio", margin.naked_minimum_ratio),
        ]
    }

    /// Numbers that stand on the wrong side of each other.
    fn disorder(&self) -> Vec<LimitFault> {
        let (price, entry) = (&self.price, &self.entry);
        let mut faults = Vec::new();
        if price.vol_min >= price.vol_max {
            let what = "is not below vol_max: every volatility would be broken; lower it";
            faults.push(fault("risk.price", "vol_min", what.to_owned()));
        }
        if entry.days_to_expiry_min > entry.days_to_expiry_max {
            let what = "is above days_to_expiry_max: nothing could be entered; lower it";
            faults.push(fault("risk.entry", "days_to_expiry_min", what.to_owned()));
        }
        faults
    }

    fn scenario_faults(&self) -> Vec<LimitFault> {
        let scenario = &self.scenario;
        let section = "risk.scenario";
        let rises = |numbers: &[f64]| {
            numbers.iter().all(|number| number.is_finite())
                && numbers.iter().zip(numbers.iter().skip(1)).all(|(low, high)| low < high)
        };
        let moves = &scenario.spot_moves_ratio;
        let mut faults = Vec::new();
        if !(rises(moves) && moves.contains(&0.0) && moves.iter().all(|one| *one > -1.0)) {
            let what = "does not rise from above -1 through 0: order its moves";
            faults.push(fault(section, "spot_moves_ratio", what.to_owned()));
        }
        if !(rises(&scenario.vol_factors) && scenario.vol_factors.iter().all(|one| *one > 0.0)) {
            let what = "does not rise from above 0: order its factors";
            faults.push(fault(section, "vol_factors", what.to_owned()));
        }
        if !(rises(&scenario.horizon_days) && scenario.horizon_days.iter().all(|one| *one >= 0.0)) {
            let what = "does not rise from 0 on: order its days";
            faults.push(fault(section, "horizon_days", what.to_owned()));
        }
        for (symbol, beta) in scenario.stress_beta.iter().filter(|(_, beta)| !beta.is_finite()) {
            let what = format!("is {beta}; write a finite number");
            faults.push(fault("risk.scenario.stress_beta", symbol.as_str(), what));
        }
        faults
    }

    fn tick_faults(&self) -> Vec<LimitFault> {
        let single = self.ticks.single.iter().map(|rule| ("risk.ticks.single", rule));
        let combo = self.ticks.combo.iter().map(|rule| ("risk.ticks.combo", rule));
        let broken = |bands: &Vec<TickBand>, symbol| TickGrid::new(bands, symbol).err();
        single
            .chain(combo)
            .filter_map(|(section, (symbol, bands))| {
                let error = broken(bands, symbol)?;
                Some(fault(section, symbol.as_str(), format!("cannot be used: {error}")))
            })
            .collect()
    }
}

fn fault(section: &'static str, key: &str, what: String) -> LimitFault {
    LimitFault { section, key: key.to_owned(), what }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::testing::limits;

    type Spoil = fn(&mut RiskLimits);

    #[test]
    fn the_shipped_limits_are_sound_and_each_fault_names_its_key() {
        assert_eq!(limits().faults(), vec![]);
        let spoils: [(&str, Spoil); 9] = [
            ("trade_max_loss_ratio", |l| l.exposure.trade_max_loss_ratio = f64::INFINITY),
            ("worst_case_ratio_max", |l| l.exposure.worst_case_ratio_max = f64::NAN),
            ("daily_loss_ratio_max", |l| l.loss.daily_loss_ratio_max = -0.02),
            ("quantity_contracts_max", |l| l.order.quantity_contracts_max = -1),
            ("sessions_per_year", |l| l.account.sessions_per_year = 0.0),
            ("vol_min", |l| l.price.vol_min = 5.0),
            ("spot_moves_ratio", |l| l.scenario.spot_moves_ratio[0] = 0.5),
            ("release_after_seconds", |l| l.breaker.release_after_seconds = -1),
            ("SPY", |l| l.ticks.combo.values_mut().for_each(Vec::clear)),
        ];
        for (key, spoil) in spoils {
            let mut broken = limits();
            spoil(&mut broken);
            let faults = broken.faults();
            assert!(faults.iter().any(|fault| fault.key == key), "{key}: {faults:?}");
        }
    }
}
