//! A desk in a known state for the gate's tests: SPY at 640, volatility 20 %, quiet books, and a
//! condor that every check lets pass.

use std::collections::BTreeMap;

use crate::market::{ConId, Instrument, OptionRight, Price, Symbol, Usd};
use crate::pricing::{Bsm, Right, bsm};
use crate::risk::{
    AccountView, Activity, AssignedNotional, Book, BookStrategy, BreakerLevel, GateInputs,
    LegMarket, MarketView, Presence, Proposed, Provenance, RequiredInput, RiskLimits, ScenarioGrid,
    ScenarioParameters, SessionPhase, SessionView, cluster_vega, nearest_expiry,
};
use crate::structures::testing::{call, day, instrument, monday, price, put, usd};
use crate::structures::{
    CoveragePolicy, Holding, Leg, OrderRef, OrderRequest, OrderType, Purpose, WhatIf, recognise,
};

const SPOT: f64 = 640.0;
const VOL: f64 = 0.20;
const HALF_SPREAD: f64 = 0.02;

/// The limits of the shipped settings.
pub fn limits() -> RiskLimits {
    #[derive(serde::Deserialize)]
    struct File {
        risk: RiskLimits,
    }
    toml::from_str::<File>(include_str!("testing_limits.toml")).unwrap().risk
}

pub fn scenario_parameters() -> ScenarioParameters {
    limits().scenario
}

/// The model's market of one instrument, two cents around its value.
pub fn market_of(instrument: &Instrument) -> LegMarket {
    let (mid, delta, vega) = match instrument {
        Instrument::Option(option) => {
            let right = match option.right {
                OptionRight::Call => Right::Call,
                OptionRight::Put => Right::Put,
            };
            let seconds = (option.expires_at - monday()).num_seconds() as f64;
            let value = bsm(&Bsm {
                right,
                spot: SPOT,
                strike: option.strike.to_f64(),
                years: seconds / 31_536_000.0,
                rate: 0.04,
                dividend_yield: 0.012,
                vol: VOL,
            })
            .unwrap();
            (value.price, value.delta, value.vega)
        }
        Instrument::Stock(_) | Instrument::Index(_) => (SPOT, 1.0, 0.0),
        Instrument::Future(_) => (10.0 * SPOT, 1.0, 0.0),
    };
    let cents = |value: f64| Price::from_f64((value * 100.0).round() / 100.0);
    LegMarket {
        bid: cents((mid - HALF_SPREAD).max(0.01)),
        ask: cents((mid + HALF_SPREAD).max(0.02)),
        received_at: monday(),
        vol: Some(VOL),
        delta: Some(delta),
        vega: Some(vega),
        rate: Some(0.04),
        dividend_yield: Some(0.012),
        spot: Some(SPOT),
    }
}

pub fn market_for<'a>(instruments: impl IntoIterator<Item = &'a Instrument>) -> MarketView {
    let legs: BTreeMap<ConId, LegMarket> = instruments
        .into_iter()
        .map(|instrument| (instrument.conid(), market_of(instrument)))
        .collect();
    MarketView { legs, spots: BTreeMap::from([(Symbol::new("SPY"), price(SPOT))]) }
}

/// Everything that [`GateInputs`] borrows, owned.
#[derive(Debug, Clone)]
pub struct Desk {
    pub limits: RiskLimits,
    pub account: AccountView,
    pub market: MarketView,
    pub book: Book,
    pub grid: ScenarioGrid,
    pub what_if: Result<WhatIf, String>,
    pub activity: Activity,
    pub required: Vec<RequiredInput>,
    pub session: SessionView,
    pub breaker: BreakerLevel,
}

impl Desk {
    /// Markets and grids for these instruments, an empty book.
    pub fn with(instruments: &[Instrument]) -> Self {
        let limits = limits();
        let mut grid = ScenarioGrid::new(limits.scenario.clone());
        for instrument in instruments {
            grid.update(instrument, &market_of(instrument), monday());
        }
        Self {
            account: AccountView {
                net_liquidation: Some(usd(250_000.0)),
                capital: usd(250_000.0),
                cash: Some(usd(230_000.0)),
                commodities_cash: Some(usd(20_000.0)),
                excess_liquidity: Some(usd(240_000.0)),
                look_ahead_excess_liquidity: Some(usd(240_000.0)),
                overnight_buying_power: Some(usd(480_000.0)),
                assigned_notional: Some(AssignedNotional::default()),
                profit_today: Some(Usd::ZERO),
                drawdown_ratio: Some(0.0),
            },
            market: market_for(instruments),
            book: Book::default(),
            grid,
            what_if: Ok(what_if()),
            activity: Activity::default(),
            required: vec![RequiredInput { name: "rates", presence: Presence::Present }],
            session: SessionView {
                phase: SessionPhase::Open,
                minutes_since_open: Some(120.0),
                minutes_to_close: Some(240.0),
            },
            breaker: BreakerLevel::Normal,
            limits,
        }
    }

    pub fn inputs(&self) -> GateInputs<'_> {
        GateInputs {
            now: monday(),
            session_date: day(0),
            limits: &self.limits,
            session: self.session,
            account: &self.account,
            breaker: self.breaker,
            market: &self.market,
            book: &self.book,
            grid: &self.grid,
            what_if: self.what_if.as_ref().map_err(String::as_str),
            activity: &self.activity,
            cluster_vega: self
                .limits
                .cluster_of(&Symbol::new("SPY"))
                .and_then(|symbols| cluster_vega(&self.book, &self.market, symbols)),
            required: &self.required,
        }
    }
}

pub fn what_if() -> WhatIf {
    WhatIf {
        initial_margin_before: Usd::ZERO,
        initial_margin_after: usd(4_000.0),
        maintenance_margin_after: usd(4_000.0),
        equity_with_loan_after: usd(251_000.0),
        excess_liquidity_after: usd(247_000.0),
        commission: usd(10.4),
    }
}

/// A condor of 30 days, ten wide, sorted by contract.
pub fn condor_legs() -> Vec<Leg> {
    let leg = |option: crate::market::OptionContract, ratio| Leg {
        instrument: instrument(&option),
        ratio,
    };
    let mut legs = vec![
        leg(put(600.0, 30), 1),
        leg(put(610.0, 30), -1),
        leg(call(670.0, 30), -1),
        leg(call(680.0, 30), 1),
    ];
    legs.sort_by_key(|leg| leg.instrument.conid());
    legs
}

pub fn instruments_of(legs: &[Leg]) -> Vec<Instrument> {
    legs.iter().map(|leg| leg.instrument.clone()).collect()
}

/// Mid of legs at the desk's market, to the cent.
pub fn mid_of(legs: &[Leg]) -> f64 {
    let mid: f64 =
        legs.iter().map(|leg| leg.ratio as f64 * market_of(&leg.instrument).mid().unwrap()).sum();
    (mid * 100.0).round() / 100.0
}

/// An order for `combos` of `legs`, a cent of ladder beyond mid.
pub fn proposed(purpose: Purpose, legs: &[Leg], combos: i64) -> Proposed {
    let mid = mid_of(legs);
    let order_ref = OrderRef::new("0123456789abcdef", purpose, 0).unwrap();
    Proposed {
        request: OrderRequest {
            order_ref,
            legs: legs.iter().map(Leg::as_order_leg).collect(),
            quantity: combos,
            order_type: OrderType::Limit(price(mid)),
        },
        legs: legs.to_vec(),
        strategy_id: "condor-1".to_owned(),
        decision_id: "0123456789abcdef".to_owned(),
        structure: recognise(legs),
        worst_price: price(mid + 0.01),
        arrival_mid: Some(price(mid)),
        fees_per_combo: usd(5.2),
        policy: CoveragePolicy::Required,
        reserved_cash: Usd::ZERO,
        provenance: Provenance {
            sql_hash: "5d41".to_owned(),
            settings_hash: "7d79".to_owned(),
            table_versions: BTreeMap::from([("gold.decisions".to_owned(), 3)]),
        },
    }
}

/// The same legs the other way.
pub fn opposite(legs: &[Leg]) -> Vec<Leg> {
    legs.iter().map(|leg| Leg { ratio: -leg.ratio, ..leg.clone() }).collect()
}

/// A strategy that holds `combos` of `legs`.
pub fn strategy(strategy_id: &str, legs: &[Leg], combos: i64) -> BookStrategy {
    BookStrategy {
        strategy_id: strategy_id.to_owned(),
        symbol: Symbol::new("SPY"),
        structure: recognise(legs),
        holdings: legs
            .iter()
            .map(|leg| Holding { instrument: leg.instrument.clone(), quantity: leg.ratio * combos })
            .collect(),
        reserved_cash: Usd::ZERO,
        policy: CoveragePolicy::Required,
        max_loss: usd(800.0).times(combos),
        expiry_date: nearest_expiry(legs.iter().map(|leg| &leg.instrument)),
        opened_on: day(-10),
    }
}
