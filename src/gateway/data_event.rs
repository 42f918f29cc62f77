//! What the gateway says of data and the account beyond quotes, orders and daily bars.

use super::event::{HistoricalBar, Position};
use super::words::WireContract;

/// One message to a client.
#[derive(Debug, Clone, PartialEq)]
pub enum DataEvent {
    TickGeneric {
        req_id: i32,
        field: i32,
        value: f64,
    },
    TickString {
        req_id: i32,
        field: i32,
        value: String,
    },
    RealTimeBar {
        req_id: i32,
        bar: FiveSeconds,
    },
    /// The last bar of a history that is kept up to date.
    HistoryUpdate {
        req_id: i32,
        bar: HistoricalBar,
    },
    /// In New York's time.
    Schedule {
        req_id: i32,
        schedule: Box<Schedule>,
    },
    HeadTimestamp {
        req_id: i32,
        at: String,
    },
    SymbolSamples {
        req_id: i32,
        found: Vec<SymbolSample>,
    },
    /// Price steps by the price from which each holds, USD.
    MarketRule {
        rule_id: i32,
        steps: Vec<(f64, f64)>,
    },
    PositionMulti {
        req_id: i32,
        position: Box<Position>,
    },
    PositionMultiEnd {
        req_id: i32,
    },
    /// The account belongs to no family.
    FamilyCodes {
        account: String,
    },
    /// Without a broker's own brand.
    UserInfo {
        req_id: i32,
    },
    /// None.
    NewsProviders,
    /// None.
    DepthExchanges,
}

/// Sessions of a stretch of the past; instants are `20260302-09:30:00`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    pub start: String,
    pub end: String,
    pub sessions: Vec<ScheduledSession>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduledSession {
    pub start: String,
    pub end: String,
    /// `20260302`.
    pub day: String,
}

/// What a symbol stands for.
#[derive(Debug, Clone, PartialEq)]
pub struct SymbolSample {
    pub contract: WireContract,
    /// `OPT`.
    pub derivatives: Vec<String>,
}

/// Five seconds of a market.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FiveSeconds {
    /// Their beginning, Unix time.
    pub at: i64,
    pub open: f64,
    pub high: f64,
    pub low: f64,
    pub close: f64,
    pub volume: Option<i64>,
}
