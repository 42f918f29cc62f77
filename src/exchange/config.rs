//! The settings of the simulated exchange and broker. Every number is written out in
//! [`ExchangeConfig::shipped`], with its source; nothing else in this module is a default.

use chrono::TimeDelta;
use rust_decimal::Decimal;

use crate::market::{Price, Symbol, Usd};
use crate::structures::{FutureMargin, MarginParameters};

use super::fees::FeeSchedule;

/// Everything about the exchange that is a choice.
#[derive(Debug, Clone, PartialEq)]
pub struct ExchangeConfig {
    /// As IB writes paper accounts: `DU` and digits.
    pub account_id: String,
    /// Cash of both segments together.
    pub initial_cash: Usd,
    /// The part of `initial_cash` that begins in the commodities segment, where futures margin and
    /// variation live. Nothing is swept between the segments but to cover a negative balance.
    pub initial_commodities_cash: Usd,
    /// The one number from which every random draw of fills and assignments is derived.
    pub seed: u64,
    /// From submission, amendment or cancellation to the instant at which it acts.
    pub latency: TimeDelta,
    /// Longest step of the market while [`advance_to`](super::Exchange::advance_to) runs.
    pub step: TimeDelta,
    pub fees: FeeSchedule,
    pub fills: FillModel,
    pub margin: MarginSettings,
    pub assignment: AssignmentModel,
    /// How long an account must be short of its maintenance requirement, while options trade,
    /// before the broker closes positions: one odd quote does not.
    pub liquidation_grace: TimeDelta,
    /// How long before the next session's open of the stock exchange exercises, assignments and
    /// expiries of the day before are reported.
    pub report_before_open: TimeDelta,
}

/// When orders fill. See [`super::fills`] for the rules that these numbers feed.
#[derive(Debug, Clone, PartialEq)]
pub struct FillModel {
    /// A quote older than this, or one that follows a longer silence of its contract, fills
    /// nothing.
    pub stale_after: TimeDelta,
    /// Fills a minute of a single-leg order that rests a hair below natural in a narrow, calm
    /// market.
    pub hazard_per_minute_at_natural: f64,
    /// Exponent of the position between mid (0) and natural (1); above 1 fills gather near natural.
    pub hazard_exponent: f64,
    /// The hazard is divided by the number of legs to this power.
    pub legs_exponent: f64,
    /// Half-spread of the combo, in shares of the gross premium of its legs, at which the hazard
    /// has fallen to 1/e of its value in a locked market.
    pub width_scale_ratio: f64,
    /// The hazard is divided by 1 + this times the stress of the market (0 in ordinary conditions,
    /// 9 where spreads are ten times their ordinary width).
    pub stress_weight: f64,
    /// Chance that a passive fill which the hazard offers stands although fair value has not moved
    /// against the order by `adverse_move_ratio` since the quote before.
    pub benign_fill_probability: f64,
    /// What counts as a move against the order, in shares of the combo's half-spread.
    pub adverse_move_ratio: f64,
}

/// What the broker asks for positions.
#[derive(Debug, Clone, PartialEq)]
pub struct MarginSettings {
    pub parameters: MarginParameters,
    /// Buying power = available funds times this. IB: 4 intraday for margin accounts above 25,000
    /// USD.
    pub buying_power_multiple: i64,
}

/// How holders exercise and how the clearing house allots.
#[derive(Debug, Clone, PartialEq)]
pub struct AssignmentModel {
    /// In the money by at least this is exercised by exception (OCC rule 805: 0.01 USD).
    pub exercise_threshold: Price,
    /// Within this ratio of the strike the holders of the other side decide after the close.
    pub pin_band_ratio: f64,
    /// Inside the band: chance for each short contract in the money to be assigned.
    pub pin_in_the_money_probability: f64,
    /// Inside the band: chance for each short contract out of the money to be assigned.
    pub pin_out_of_the_money_probability: f64,
    /// Chance that a short call whose holder gains from exercise before the ex-date is assigned.
    pub rational_call_probability: f64,
    /// Chance a day that a short put whose holder gains from exercise is assigned.
    pub rational_put_probability_daily: f64,
    /// Chance a day that a short contract in the money is assigned for no reason.
    pub irrational_probability_daily: f64,
}

impl ExchangeConfig {
    /// The paper account as shipped: pessimistic on fills, IB's published prices on fees.
    ///
    /// Sources: DESK sections 5, 6 and 12 for the account, the fill rules and the exercise rules.
    /// The hazard and assignment rates are assumptions, chosen against the customer: of the orders
    /// that ten days of the demo (seed 1, 2026-11-25) worked to open a condor, 6 filled and 136 did
    /// not. IB liquidates without a margin call; the
    /// two minutes of grace are this exchange's guard against single quotes.
    pub fn shipped(seed: u64) -> Self {
        Self {
            account_id: "DU0000001".to_owned(),
            initial_cash: usd(250_000),
            initial_commodities_cash: usd(50_000),
            seed,
            latency: TimeDelta::milliseconds(250),
            step: TimeDelta::minutes(1),
            fees: FeeSchedule::interactive_brokers_fixed(),
            fills: FillModel {
                stale_after: TimeDelta::minutes(10),
                hazard_per_minute_at_natural: 3.0,
                hazard_exponent: 1.5,
                legs_exponent: 0.5,
                width_scale_ratio: 0.08,
                stress_weight: 0.5,
                benign_fill_probability: 0.3,
                adverse_move_ratio: 0.1,
            },
            margin: MarginSettings { parameters: reg_t(), buying_power_multiple: 4 },
            assignment: AssignmentModel {
                exercise_threshold: Price::new(Decimal::new(1, 2)),
                pin_band_ratio: 0.0005,
                pin_in_the_money_probability: 0.7,
                pin_out_of_the_money_probability: 0.1,
                rational_call_probability: 0.9,
                rational_put_probability_daily: 0.25,
                irrational_probability_daily: 0.0005,
            },
            liquidation_grace: TimeDelta::minutes(2),
            report_before_open: TimeDelta::minutes(150),
        }
    }
}

/// Reg-T as IB applies it to US stock and options (Regulation T; FINRA rule 4210), and futures at
/// CME's maintenance times 1.1 initially, half of it intraday, as of early 2026, rounded. Exchange
/// margins change often: a run that depends on them sets its own.
fn reg_t() -> MarginParameters {
    let future = |overnight_maintenance_usd: f64| FutureMargin {
        intraday_initial_usd: overnight_maintenance_usd * 0.55,
        intraday_maintenance_usd: overnight_maintenance_usd * 0.5,
        overnight_initial_usd: overnight_maintenance_usd * 1.1,
        overnight_maintenance_usd,
    };
    let roots = [
        ("ES", 23_000.0),
        ("MES", 2_300.0),
        ("NQ", 34_000.0),
        ("MNQ", 3_400.0),
        ("RTY", 9_000.0),
        ("M2K", 900.0),
    ];
    MarginParameters {
        long_stock_initial_ratio: 0.50,
        long_stock_maintenance_ratio: 0.25,
        short_stock_initial_ratio: 0.50,
        short_stock_maintenance_ratio: 0.30,
        naked_underlying_ratio: 0.20,
        naked_minimum_ratio: 0.10,
        futures: roots.map(|(root, margin)| (Symbol::new(root), future(margin))).into(),
    }
}

fn usd(whole: i64) -> Usd {
    Usd::new(Decimal::from(whole))
}
