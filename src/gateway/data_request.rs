//! What clients ask about data and the account beyond quotes, orders and daily bars.

use super::words::WireContract;

/// One request. `req_id` is the client's own number, answered with.
#[derive(Debug, Clone, PartialEq)]
pub enum DataRequest {
    RealTimeBars {
        req_id: i32,
        wanted: Box<BarsRequest>,
    },
    CancelRealTimeBars {
        req_id: i32,
    },
    /// The volatility at which an option is worth a price.
    ImpliedVolatility {
        req_id: i32,
        wanted: Box<Calculation>,
    },
    /// What an option is worth at a volatility.
    OptionPrice {
        req_id: i32,
        wanted: Box<Calculation>,
    },
    HeadTimestamp {
        req_id: i32,
        wanted: Box<HeadRequest>,
    },
    MatchingSymbols {
        req_id: i32,
        pattern: String,
    },
    MarketRule {
        rule_id: i32,
    },
    PositionsMulti {
        req_id: i32,
        account: String,
    },
    CancelPositionsMulti {
        req_id: i32,
    },
    FamilyCodes,
    UserInfo {
        req_id: i32,
    },
    NewsProviders,
    DepthExchanges,
    /// What this gateway does not simulate, but can refuse by its number.
    NotSimulated {
        req_id: i32,
        message_id: u32,
    },
    /// What needs no answer here: ends of what was answered at once, or never begun, and settings
    /// of TWS itself.
    Nothing,
}

/// Which bars of five seconds a client wants.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BarsRequest {
    pub contract: WireContract,
    /// Seconds; 0 where the client leaves it out.
    pub bar_size: i32,
    pub what_to_show: String,
}

/// An option and what to compute from.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Calculation {
    pub contract: WireContract,
    /// The option's price, USD a share, or its volatility, a fraction a year.
    pub given: Option<f64>,
    /// USD a share or index points.
    pub underlying: Option<f64>,
}

/// Of what the earliest bar is asked for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HeadRequest {
    pub contract: WireContract,
    pub what_to_show: String,
    /// 1 for local time, 2 for seconds of the epoch.
    pub format_date: i32,
}

/// How a message that is not simulated begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// The request's number comes first.
    Number,
    /// In text the message's version comes before it.
    Versioned,
    /// It has no number.
    Bare,
}

/// Messages that are known and not simulated; `None` for what TWS does not know either.
pub fn not_simulated(message_id: u32) -> Option<Opening> {
    Some(match message_id {
        // Market depth, fundamentals, display groups.
        10 | 52 | 67..=69 => Opening::Versioned,
        // Scanners; soft dollars; smart components, news; histograms; ticks; corporate events.
        22 | 79 | 83 | 84 | 86 | 88 | 96 | 97 | 100 | 102 => Opening::Number,
        // Scanner parameters, advisors' groups.
        18 | 19 | 24 => Opening::Bare,
        _ => return None,
    })
}

/// Ends of what is answered at once or refused, and settings of TWS itself: the end of market
/// depth and of news bulletins, the log level, the ends of scanners, fundamentals,
/// calculations, display groups, histograms, earliest bars, ticks and corporate events.
pub fn needs_no_answer(message_id: u32) -> bool {
    matches!(message_id, 11 | 13 | 14 | 23 | 53 | 56 | 57 | 70 | 89 | 90 | 98 | 101 | 103 | 107)
}
