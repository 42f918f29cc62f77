//! The words of the market: instruments, quotes, money, sessions and clocks.
//!
//! Invariants: prices are USD per share (index points for futures), never per contract; money is
//! decimal; every instant is UTC and reaches the rest of the desk through a [`Clock`].
//! This module prices nothing, stores nothing and talks to nobody.

pub mod clock;
pub mod instrument;
pub mod money;
pub mod quote;
pub mod sessions;

pub use clock::{Clock, VirtualClock, WallClock};
pub use instrument::{
    ConId, ExerciseStyle, FutureContract, Instrument, OptionContract, OptionRight, SecurityKind,
    Settlement, StockContract, Symbol, occ_symbol,
};
pub use money::{Price, Usd};
pub use quote::{FutureQuote, OptionQuote, TwoSided, UnderlyingQuote, VendorGreeks};

/// An instant. Microseconds are kept, finer parts are not stored anywhere.
pub type Timestamp = chrono::DateTime<chrono::Utc>;
