//! What clients ask, whichever protocol they speak.

use super::data_request::DataRequest;
use super::words::{WireContract, WireExecutionFilter, WireOrder};

/// One request. `req_id` is the client's own number, answered with.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    StartApi {
        client_id: i32,
    },
    NextId,
    ManagedAccounts,
    CurrentTime,
    CurrentTimeMillis,
    ContractDetails {
        req_id: i32,
        contract: Box<WireContract>,
    },
    CancelContractDetails {
        req_id: i32,
    },
    OptionParameters {
        req_id: i32,
        symbol: String,
        /// Where options on futures trade; nothing else has one.
        exchange: String,
        underlying_type: String,
        con_id: i32,
    },
    MarketData {
        req_id: i32,
        contract: Box<WireContract>,
        generic_ticks: String,
        kind: MarketDataKind,
    },
    CancelMarketData {
        req_id: i32,
    },
    /// 1 live, 2 frozen, 3 delayed, 4 delayed and frozen.
    MarketDataType {
        kind: i32,
    },
    Positions,
    CancelPositions,
    AccountSummary {
        req_id: i32,
        group: String,
        tags: String,
    },
    CancelAccountSummary {
        req_id: i32,
    },
    AccountUpdates {
        subscription: Subscription,
        account: String,
    },
    AccountUpdatesMulti {
        req_id: i32,
        account: String,
        model: String,
    },
    CancelAccountUpdatesMulti {
        req_id: i32,
    },
    Pnl {
        req_id: i32,
        account: String,
    },
    CancelPnl {
        req_id: i32,
    },
    PnlSingle {
        req_id: i32,
        account: String,
        con_id: i32,
    },
    CancelPnlSingle {
        req_id: i32,
    },
    PlaceOrder {
        order_id: i32,
        contract: Box<WireContract>,
        order: Box<WireOrder>,
    },
    CancelOrder {
        order_id: i32,
    },
    GlobalCancel,
    OpenOrders,
    AllOpenOrders,
    AutoOpenOrders {
        binding: Subscription,
    },
    CompletedOrders {
        from: Origin,
    },
    Executions {
        req_id: i32,
        filter: Box<WireExecutionFilter>,
    },
    History {
        req_id: i32,
        wanted: Box<HistoryRequest>,
    },
    CancelHistory {
        req_id: i32,
    },
    Data(DataRequest),
    /// A message that this gateway does not know.
    Unanswered {
        message_id: u32,
    },
}

impl Request {
    /// The id under which a request that is about orders is answered; `None` for any other.
    #[expect(clippy::wildcard_enum_match_arm, reason = "all others leave orders alone")]
    pub fn touches_orders(&self) -> Option<i32> {
        match self {
            Self::PlaceOrder { order_id, .. } | Self::CancelOrder { order_id } => Some(*order_id),
            Self::GlobalCancel
            | Self::OpenOrders
            | Self::AllOpenOrders
            | Self::AutoOpenOrders { .. }
            | Self::CompletedOrders { .. } => Some(-1),
            _ => None,
        }
    }
}

/// Which bars a client asks for, in the protocol's words.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HistoryRequest {
    pub contract: WireContract,
    /// Empty for now.
    pub end: String,
    /// `1 day`, `5 mins`.
    pub bar_size: String,
    /// `10 D`, `1 Y`.
    pub duration: String,
    /// `TRADES`, `MIDPOINT`, ..
    pub what_to_show: String,
    /// Regular hours only.
    pub use_rth: bool,
    /// 1 for local time, 2 for seconds of the epoch.
    pub format_date: i32,
    pub keep_up_to_date: bool,
}

/// Whether ticks go on after the first ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarketDataKind {
    Stream,
    Snapshot,
}

/// Whose orders are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Anybody,
    /// Not those that were placed by hand.
    Clients,
}

/// Whether updates begin or end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subscription {
    Begin,
    End,
}

/// A frame that is no request: what and where. The connection can go on where nothing else is said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("the frame has {length} bytes, too few for a message id")]
    TooShort { length: usize },
    #[error("message {message_id}: {fault}")]
    Proto { message_id: u32, fault: String },
    #[error("message {message_id}, field {field} ({name}): `{value}` is no {wanted}")]
    Field {
        message_id: u32,
        field: usize,
        name: &'static str,
        value: String,
        /// What was expected.
        wanted: &'static str,
    },
    /// The connection cannot go on: somebody means ill, or has lost the framing.
    #[error("message {message_id} has more than {max} {what}")]
    TooMany { message_id: u32, what: &'static str, max: usize },
    #[error("message {message_id} ends before field {field} ({name})")]
    Ends { message_id: u32, field: usize, name: &'static str },
}
