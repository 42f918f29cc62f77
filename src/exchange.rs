//! The simulated market and its broker: quotes from a synthetic or recorded source, orders, fills,
//! margin, exercise and assignment, settlement, one paper account.
//!
//! Invariants: nothing here reads a clock or draws a number that is not derived from the seed;
//! money moves only by executions that the account's holder is shown; what is simulated errs
//! against the customer (rules in [`fills`] and in `settlement`).
//!
//! Deliberately absent: the TWS protocol (`gateway`), the desk's own view of orders (`broker`), and
//! any knowledge of strategies.

mod account;
mod book;
mod config;
mod correction;
mod draws;
mod engine;
mod entry;
mod exercise;
mod fees;
pub mod fills;
mod groups;
#[cfg(test)]
mod honesty_tests;
mod liquidation;
#[cfg(test)]
mod liquidation_tests;
mod margining;
mod matching;
mod outlook;
mod recorded;
mod settlement;
#[cfg(test)]
mod settlement_tests;
mod source;
mod state;
mod synthetic;
#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;
mod timetable;
mod view;

pub use account::{Mark, MarkQuality, MarkedPosition};
pub use config::{AssignmentModel, ExchangeConfig, FillModel, MarginSettings};
pub use correction::VOID;
pub use engine::{Exchange, ExchangeError, ExchangeEvent};
pub use entry::{PRICE_MAX_USD, QUANTITY_MAX, RATIO_MAX};
pub use fees::{FeeError, FeeSchedule};
pub use groups::{GROUP_FILLED, OnFill, OrderGroup, reduced};
pub use margining::{AccountError, Funds};
pub use matching::SESSION_ENDED;
pub use outlook::Quoted;
pub use recorded::{
    RecordAccount, RecordedError, RecordedMarket, RecordedRow, Recording, RowFault, sweep_ids,
};
pub use source::{
    Certainty, DailyBar, DeliveredRow, DividendRow, EventRow, MarketDescription, MarketSource,
    PastQuote, PastSpan, PriceBasis, RateRow, SettlementValue,
};
pub use state::ExchangeState;
pub use synthetic::{
    FAIR_VARIANCE_PREMIUM, SHIPPED_VARIANCE_PREMIUM, Scenario, SyntheticConfig, SyntheticError,
    SyntheticMarket, UnknownScenario,
};
