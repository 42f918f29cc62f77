//! Faults that TWS has, on a script: what happens when. Times are seconds of the wall since the
//! gateway began, so that a script means the same at every speed.
//!
//! The script is all there is: what holds at an instant is read off it, and nothing is remembered.

use serde::Deserialize;

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Every connection is closed; while it lasts, new ones are closed at once, as in a restart.
    Drop,
    /// Connections stay open, nothing is read or written.
    HalfOpen,
    /// A connection is taken and never answered.
    AcceptWithoutHandshake,
    /// A client is welcomed without the next valid order id.
    HandshakeWithoutIds,
    /// What is written arrives in pieces of a few bytes.
    Fragments,
    /// Ticks stop, and nothing says so.
    StaleData,
    /// Ticks stop; 2103 when it begins, 2104 when it ends.
    FarmDown,
    /// 1100 when it begins, 1102 when it ends: subscriptions go on.
    ConnectivityLost,
    /// 1100 when it begins, 1101 when it ends: every stream of market data is gone.
    ConnectivityAndDataLost,
    /// Another session of the same user has the market data: streams end with 10197.
    CompetingSession,
    /// What happens to orders is told twice.
    NewsTwice,
    /// What happens to orders is told backwards: commissions before executions, states before both.
    NewsBackwards,
    /// Executions are not told; who asks for them gets them.
    ExecutionsWithheld,
    /// Each order taken is answered with codes that sound like a refusal, and lives.
    AlarmingCodes,
    /// Every order is refused with 201.
    OrdersRefused,
}

impl Fault {
    /// All there are.
    pub const ALL: [Self; 15] = [
        Self::Drop,
        Self::HalfOpen,
        Self::AcceptWithoutHandshake,
        Self::HandshakeWithoutIds,
        Self::Fragments,
        Self::StaleData,
        Self::FarmDown,
        Self::ConnectivityLost,
        Self::ConnectivityAndDataLost,
        Self::CompetingSession,
        Self::NewsTwice,
        Self::NewsBackwards,
        Self::ExecutionsWithheld,
        Self::AlarmingCodes,
        Self::OrdersRefused,
    ];
}

/// One line of a script.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    kind: Fault,
    at_seconds: f64,
    for_seconds: f64,
}

/// What happens when, from a TOML file of `[[fault]]` tables with `kind`, `at_seconds` and
/// `for_seconds`.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    #[serde(default, rename = "fault")]
    entries: Vec<Entry>,
}

/// The text is no script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    #[error("{0}")]
    Toml(String),
    #[error("fault {place}: {key} = {value} is not a number of seconds, zero or more")]
    Seconds { place: usize, key: &'static str, value: String },
}

/// Where a fault begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    Begins,
    Ends,
}

impl Script {
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        let script: Self =
            toml::from_str(text).map_err(|error| ScriptError::Toml(error.to_string()))?;
        for (place, entry) in script.entries.iter().enumerate() {
            for (key, value) in
                [("at_seconds", entry.at_seconds), ("for_seconds", entry.for_seconds)]
            {
                if !value.is_finite() || value < 0.0 {
                    let (place, value) = (place + 1, value.to_string());
                    return Err(ScriptError::Seconds { place, key, value });
                }
            }
        }
        Ok(script)
    }

    /// Until when the fault holds at an instant, where it does.
    pub fn holds(&self, fault: Fault, at: f64) -> Option<f64> {
        let of_kind = self.entries.iter().filter(|entry| entry.kind == fault);
        of_kind
            .filter(|entry| entry.at_seconds <= at && at < entry.ends())
            .map(Entry::ends)
            .reduce(f64::max)
    }

    /// The first beginning of the fault after an instant.
    pub fn next(&self, fault: Fault, after: f64) -> Option<f64> {
        let of_kind = self.entries.iter().filter(|entry| entry.kind == fault);
        of_kind.map(|entry| entry.at_seconds).filter(|at| *at > after).reduce(f64::min)
    }

    /// What begins or ends after one instant, up to and with another, in order of time.
    pub fn edges(&self, after: f64, until: f64) -> Vec<(Fault, Edge)> {
        let mut edges: Vec<(f64, Fault, Edge)> = self
            .entries
            .iter()
            .flat_map(|entry| {
                [
                    (entry.at_seconds, entry.kind, Edge::Begins),
                    (entry.ends(), entry.kind, Edge::Ends),
                ]
            })
            .filter(|(at, _, _)| *at > after && *at <= until)
            .collect();
        edges.sort_by(|one, other| one.0.total_cmp(&other.0));
        edges.into_iter().map(|(_, fault, edge)| (fault, edge)).collect()
    }
}

impl Entry {
    fn ends(&self) -> f64 {
        self.at_seconds + self.for_seconds
    }
}

/// What TWS says when a fault begins or ends.
pub fn notice(fault: Fault, edge: Edge) -> Option<(i32, &'static str)> {
    match (fault, edge) {
        (Fault::FarmDown, Edge::Begins) => {
            Some((2103, "Market data farm connection is broken:usfarm"))
        }
        (Fault::FarmDown, Edge::Ends) => Some((2104, "Market data farm connection is OK:usfarm")),
        (Fault::ConnectivityLost | Fault::ConnectivityAndDataLost, Edge::Begins) => {
            Some((1100, "Connectivity between IBKR and Trader Workstation has been lost."))
        }
        (Fault::ConnectivityLost, Edge::Ends) => Some((
            1102,
            "Connectivity between IBKR and Trader Workstation has been restored- data maintained.",
        )),
        (Fault::ConnectivityAndDataLost, Edge::Ends) => Some((
            1101,
            "Connectivity between IBKR and Trader Workstation has been restored- data lost.",
        )),
        (
            Fault::Drop
            | Fault::HalfOpen
            | Fault::AcceptWithoutHandshake
            | Fault::HandshakeWithoutIds
            | Fault::Fragments
            | Fault::StaleData
            | Fault::CompetingSession
            | Fault::NewsTwice
            | Fault::NewsBackwards
            | Fault::ExecutionsWithheld
            | Fault::AlarmingCodes
            | Fault::OrdersRefused,
            Edge::Begins | Edge::Ends,
        ) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = "
        [[fault]]
        kind = 'farm_down'
        at_seconds = 1.0
        for_seconds = 2.0

        [[fault]]
        kind = 'drop'
        at_seconds = 2.5
        for_seconds = 0
    ";

    #[test]
    fn a_script_says_what_holds_and_what_changes() {
        let script = Script::parse(SCRIPT).unwrap();
        assert_eq!(script.holds(Fault::FarmDown, 0.5), None);
        assert_eq!(script.holds(Fault::FarmDown, 1.0), Some(3.0));
        assert_eq!(script.holds(Fault::FarmDown, 3.0), None);
        assert_eq!(script.holds(Fault::Drop, 2.5), None, "an instant holds for no time");
        assert_eq!(script.next(Fault::Drop, 0.0), Some(2.5));
        assert_eq!(script.next(Fault::Drop, 2.5), None);
        let edges = script.edges(0.0, 2.6);
        let drop = [(Fault::Drop, Edge::Begins), (Fault::Drop, Edge::Ends)];
        assert_eq!(edges, [&[(Fault::FarmDown, Edge::Begins)][..], &drop].concat());
        assert_eq!(script.edges(2.6, 3.0), [(Fault::FarmDown, Edge::Ends)]);
    }

    #[test]
    fn what_is_no_script_says_where() {
        let unknown = SCRIPT.replace("'drop'", "'explode'");
        let fault = Script::parse(&unknown).unwrap_err().to_string();
        assert!(fault.contains("explode") && fault.contains("line 8"), "{fault}");
        let negative = SCRIPT.replace("for_seconds = 0", "for_seconds = -1");
        let fault = Script::parse(&negative).unwrap_err().to_string();
        assert!(fault.starts_with("fault 2: for_seconds = -1"), "{fault}");
        assert!(Script::parse("[[fault]]\nkind = 'drop'\nat_seconds = 1").is_err());
        assert_eq!(Script::parse(""), Ok(Script::default()));
    }
}
