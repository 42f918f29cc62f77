//! What the gateway says, whichever protocol the client speaks.

use rust_decimal::Decimal;

use super::data_event::DataEvent;
use super::words::{WireContract, WireExecution, WireOrder, WireOrderState, WireStatus};

/// One message to a client.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    NextValidId {
        order_id: i32,
    },
    ManagedAccounts {
        accounts: String,
    },
    /// `id` is the request's or the order's, or -1. `at_millis` is Unix time.
    Error {
        id: i32,
        code: i32,
        message: String,
        at_millis: i64,
    },
    /// Unix time, seconds.
    CurrentTime {
        seconds: i64,
    },
    CurrentTimeMillis {
        millis: i64,
    },
    ContractDetails {
        req_id: i32,
        details: Box<ContractDetails>,
    },
    ContractDetailsEnd {
        req_id: i32,
    },
    OptionParameters {
        req_id: i32,
        parameters: Box<OptionParameters>,
    },
    OptionParametersEnd {
        req_id: i32,
    },
    MarketDataType {
        req_id: i32,
        kind: i32,
    },
    TickRequestParameters {
        req_id: i32,
        min_tick: String,
    },
    TickPrice {
        req_id: i32,
        field: i32,
        price: f64,
        size: Decimal,
    },
    TickSize {
        req_id: i32,
        field: i32,
        size: Decimal,
    },
    TickOptionComputation {
        req_id: i32,
        field: i32,
        values: Computation,
    },
    TickSnapshotEnd {
        req_id: i32,
    },
    Position(Box<Position>),
    PositionEnd,
    AccountSummary {
        req_id: i32,
        account: String,
        figure: Figure,
    },
    AccountSummaryEnd {
        req_id: i32,
    },
    AccountValue {
        account: String,
        figure: Figure,
    },
    PortfolioValue(Box<PortfolioValue>),
    /// Local time, `15:55`.
    AccountUpdateTime {
        time: String,
    },
    AccountDownloadEnd {
        account: String,
    },
    AccountUpdateMulti {
        req_id: i32,
        account: String,
        figure: Figure,
    },
    AccountUpdateMultiEnd {
        req_id: i32,
    },
    /// Its ends are local times, `20260302 00:00:00 US/Eastern`.
    HistoricalData {
        req_id: i32,
        bars: Vec<HistoricalBar>,
        start: String,
        end: String,
    },
    /// The ends once more, for clients that await them.
    HistoricalDataEnd {
        req_id: i32,
        start: String,
        end: String,
    },
    /// USD; what was realised, and the day's part, since the close before today.
    Pnl {
        req_id: i32,
        daily: Option<f64>,
        unrealised: f64,
        realised: f64,
    },
    /// As [`Self::Pnl`], of one contract.
    PnlSingle {
        req_id: i32,
        position: Decimal,
        daily: Option<f64>,
        unrealised: f64,
        realised: f64,
        value: f64,
    },
    Data(DataEvent),
    OpenOrder(Box<OrderView>),
    OpenOrderEnd,
    /// An order placed by hand is this client's from now on.
    OrderBound {
        perm_id: i64,
        client_id: i32,
        order_id: i32,
    },
    OrderStatus(Box<WireStatus>),
    CompletedOrder(Box<OrderView>),
    CompletedOrdersEnd,
    Execution {
        req_id: i32,
        contract: Box<WireContract>,
        execution: Box<WireExecution>,
    },
    ExecutionsEnd {
        req_id: i32,
    },
    Commission {
        exec_id: String,
        amount: f64,
        realised: Option<f64>,
    },
}

/// An order with its contract and state.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderView {
    pub contract: WireContract,
    pub order: WireOrder,
    pub state: WireOrderState,
    /// How much of it has filled.
    pub filled: Decimal,
}

/// One contract, described.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ContractDetails {
    pub contract: WireContract,
    pub market_name: String,
    pub min_tick: String,
    pub order_types: String,
    pub valid_exchanges: String,
    pub under_con_id: i32,
    pub under_symbol: String,
    pub under_security_type: String,
    pub long_name: String,
    /// `202604`.
    pub contract_month: String,
    /// Of [`Self::trading_hours`] and [`Self::liquid_hours`].
    pub time_zone: String,
    /// `20260302:0930-20260302:1600;20260303:CLOSED`.
    pub trading_hours: String,
    pub liquid_hours: String,
    pub real_expiration_date: String,
    /// One an exchange of [`Self::valid_exchanges`].
    pub market_rule_ids: String,
}

/// The expiries and strikes of one underlying in one trading class.
#[derive(Debug, Clone, PartialEq)]
pub struct OptionParameters {
    pub exchange: String,
    pub under_con_id: i32,
    pub trading_class: String,
    pub multiplier: String,
    /// `20260417`.
    pub expirations: Vec<String>,
    pub strikes: Vec<f64>,
}

/// One bar; its date is `20260302`, within a day `20260302 09:30:00 US/Eastern` or seconds of the
/// epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoricalBar {
    pub date: String,
    pub open: f64,
    pub high: f64,
    pub low: f64,
    pub close: f64,
    pub volume: Option<i64>,
}

/// Greeks a share; vega per volatility point, theta a day. What is not known is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Computation {
    pub implied_vol: Option<f64>,
    pub delta: Option<f64>,
    pub price: Option<f64>,
    pub dividends: Option<f64>,
    pub gamma: Option<f64>,
    pub vega: Option<f64>,
    pub theta: Option<f64>,
    pub underlying: Option<f64>,
}

/// One figure of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    pub tag: String,
    pub value: String,
    pub currency: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Position {
    pub account: String,
    pub contract: WireContract,
    pub quantity: Decimal,
    /// USD a contract.
    pub average_cost: f64,
}

/// A position with its mark. USD.
#[derive(Debug, Clone, PartialEq)]
pub struct PortfolioValue {
    pub position: Position,
    /// USD a share.
    pub market_price: f64,
    pub market_value: f64,
    pub unrealised: f64,
    pub realised: f64,
}
