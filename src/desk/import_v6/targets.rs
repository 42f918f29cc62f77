//! What is imported: tables of the predecessor, the columns that are read of them, and the
//! statement that brings them into shape.

use super::reading::{Column, Kind};

/// One table of ours and where its rows come from.
pub struct Target {
    /// In schema `research`.
    pub table: &'static str,
    /// Folders of the predecessor's lake begin with one of these.
    pub folders: &'static [&'static str],
    pub columns: &'static [Column],
    /// Reads `v6_rows`. Columns that begin with `_` are no values; `_reason` sends a row to
    /// quarantine.
    pub sql: &'static str,
    /// Rows are written in this order.
    pub order: &'static str,
}

pub const TARGETS: [Target; 5] = [
    Target {
        table: "v6_option_quotes",
        folders: &["option_snapshots"],
        columns: &[
            ("timestamp", Kind::Instant),
            ("ts_utc", Kind::Instant),
            ("symbol", Kind::Text),
            ("folder_symbol", Kind::Text),
            ("strike", Kind::Double),
            ("expiry", Kind::Text),
            ("right", Kind::Text),
            ("bid", Kind::Double),
            ("ask", Kind::Double),
            ("last", Kind::Double),
            ("volume", Kind::Int),
            ("open_interest", Kind::Int),
            ("iv", Kind::Double),
            ("delta", Kind::Double),
            ("gamma", Kind::Double),
            ("theta", Kind::Double),
            ("vega", Kind::Double),
            ("n_copies", Kind::Int),
        ],
        sql: include_str!("options.sql"),
        order: "written_at, symbol, expiry_date, option_right, strike_usd",
    },
    Target {
        table: "v6_bars",
        folders: &["market_bars", "historical_data"],
        columns: &[
            ("timestamp", Kind::Instant),
            ("date", Kind::Date),
            ("symbol", Kind::Text),
            ("folder_symbol", Kind::Text),
            ("interval", Kind::Text),
            ("open", Kind::Double),
            ("high", Kind::Double),
            ("low", Kind::Double),
            ("close", Kind::Double),
            ("volume", Kind::Double),
            ("bar_count", Kind::Int),
            ("iv", Kind::Double),
            ("hv", Kind::Double),
        ],
        sql: include_str!("bars.sql"),
        order: "bar_date, symbol, v6_table",
    },
    Target {
        table: "v6_positions",
        folders: &["position_updates"],
        columns: &[
            ("timestamp", Kind::Instant),
            ("conid", Kind::Int),
            ("symbol", Kind::Text),
            ("right", Kind::Text),
            ("strike", Kind::Double),
            ("expiry", Kind::Text),
            ("position", Kind::Double),
            ("average_cost", Kind::Double),
            ("market_price", Kind::Double),
            ("market_value", Kind::Double),
            ("unrealized_pnl", Kind::Double),
        ],
        sql: include_str!("positions.sql"),
        order: "read_at, conid",
    },
    Target {
        table: "v6_executions",
        folders: &["strategy_executions"],
        columns: &[
            ("execution_id", Kind::Text),
            ("strategy_id", Kind::Int),
            ("symbol", Kind::Text),
            ("strategy_type", Kind::Text),
            ("status", Kind::Text),
            ("entry_params", Kind::Text),
            ("entry_time", Kind::Instant),
            ("fill_time", Kind::Instant),
            ("close_time", Kind::Instant),
            ("legs_json", Kind::Text),
            ("legs_fault", Kind::Text),
        ],
        sql: include_str!("executions.sql"),
        order: "entered_at, execution_id, status",
    },
    Target {
        table: "v6_alerts",
        folders: &["alerts"],
        columns: &[
            ("alert_id", Kind::Text),
            ("type", Kind::Text),
            ("severity", Kind::Text),
            ("status", Kind::Text),
            ("title", Kind::Text),
            ("message", Kind::Text),
            ("rule", Kind::Text),
            ("symbol", Kind::Text),
            ("strategy_id", Kind::Int),
            ("metadata", Kind::Text),
            ("created_at", Kind::Instant),
            ("acknowledged_at", Kind::Instant),
            ("resolved_at", Kind::Instant),
        ],
        sql: include_str!("alerts.sql"),
        order: "created_at, alert_id",
    },
];
