//! The identity of one run and the parameters that models read.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use crate::market::Timestamp;

/// The one-row table `run`: the only source of time in SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub run_id: String,
    pub as_of: Timestamp,
    pub session_date: NaiveDate,
    pub previous_session_date: NaiveDate,
    /// Regular session of the ETFs.
    pub session_open_at: Timestamp,
    pub session_close_at: Timestamp,
    /// `pre`, `regular` or `post`.
    pub session_phase: String,
}

/// The one-row table `params`: every number of the operator's settings that a model may read, named
/// `<section>_<key>`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Params(pub BTreeMap<String, f64>);
