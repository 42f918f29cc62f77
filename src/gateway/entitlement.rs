//! What the account may see of the market, and how a request for data is answered by it.
//!
//! Which group a contract belongs to is simpler than at IB: exchanges are not told apart. The
//! texts that IB writes behind its own, about subscriptions and exchanges, are left out.

use std::fmt;
use std::str::FromStr;

use crate::market::Instrument;

/// What is subscribed together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    /// Stocks and ETFs.
    Equities,
    Indices,
    Options,
    Futures,
}

const GROUPS: [(&str, Group); 4] = [
    ("equities", Group::Equities),
    ("indices", Group::Indices),
    ("options", Group::Options),
    ("futures", Group::Futures),
];

/// How much of a group is seen, the most of it first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Entitlement {
    #[default]
    Live,
    /// A quarter of an hour later.
    Delayed,
    None,
}

/// What the account may see, by group; all of it live unless something else is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Entitlements {
    equities: Entitlement,
    indices: Entitlement,
    options: Entitlement,
    futures: Entitlement,
}

/// One group and how much is seen of it: `options=delayed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entitled {
    group: Group,
    is: Entitlement,
}

/// What is no entitlement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntitlementError {
    #[error("`{0}` is not of the form GROUP=live|delayed|none")]
    Form(String),
    #[error("`{0}` is no group: equities, indices, options and futures are")]
    Group(String),
    #[error("`{0}` is neither live nor delayed nor none")]
    Kind(String),
}

impl FromStr for Entitled {
    type Err = EntitlementError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, kind) =
            text.split_once('=').ok_or_else(|| EntitlementError::Form(text.to_owned()))?;
        let group = GROUPS.iter().find(|(known, _)| *known == name).map(|(_, group)| *group);
        let group = group.ok_or_else(|| EntitlementError::Group(name.to_owned()))?;
        let is = match kind {
            "live" => Entitlement::Live,
            "delayed" => Entitlement::Delayed,
            "none" => Entitlement::None,
            other => return Err(EntitlementError::Kind(other.to_owned())),
        };
        Ok(Self { group, is })
    }
}

impl Entitlements {
    /// With one group seen otherwise.
    #[must_use]
    pub fn with(mut self, Entitled { group, is }: Entitled) -> Self {
        match group {
            Group::Equities => self.equities = is,
            Group::Indices => self.indices = is,
            Group::Options => self.options = is,
            Group::Futures => self.futures = is,
        }
        self
    }

    /// How much is seen of a contract.
    pub fn of(self, instrument: &Instrument) -> Entitlement {
        match instrument {
            Instrument::Stock(_) => self.equities,
            Instrument::Index(_) => self.indices,
            Instrument::Option(_) => self.options,
            Instrument::Future(_) => self.futures,
        }
    }
}

/// Which values a line shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Shown {
    #[default]
    Live,
    /// The last ones of a market that is closed.
    Frozen,
    Delayed,
    DelayedFrozen,
}

impl Shown {
    /// As the protocol numbers it.
    pub fn number(self) -> i32 {
        match self {
            Self::Live => 1,
            Self::Frozen => 2,
            Self::Delayed => 3,
            Self::DelayedFrozen => 4,
        }
    }

    pub fn is_delayed(self) -> bool {
        matches!(self, Self::Delayed | Self::DelayedFrozen)
    }
}

/// An error code and its text.
pub(super) type Said = (i32, &'static str);

/// What becomes of a request for data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Given {
    Shown(Shown),
    /// Shown, after a notice.
    After(Said, Shown),
    Refused(Said),
}

const NOT_SUBSCRIBED: Said = (354, "Requested market data is not subscribed.");
const DELAYED_AVAILABLE: Said = (
    10_089,
    "Requested market data requires additional subscription for API. See link in 'Market Data \
     Connections' dialog for more details. Delayed market data is available.",
);
const DISPLAYING_DELAYED: Said =
    (10_167, "Requested market data is not subscribed. Displaying delayed market data.");
const DELAYED_OFF: Said =
    (10_168, "Requested market data is not subscribed. Delayed market data is not enabled.");
/// Of an option whose underlying is not seen.
const PART_NOT_SUBSCRIBED: Said = (
    10_090,
    "Part of requested market data is not subscribed. Subscription-independent ticks are still \
     active.",
);
const PART_DELAYED: Said = (
    10_091,
    "Part of requested market data requires additional subscription for API. See link in 'Market \
     Data Connections' dialog for more details. Delayed market data is available.",
);

/// The answer to a request of a market data type (1 live, 2 frozen, 3 delayed, 4 both) for what is
/// seen so much. Who may see the live market sees it, even if delayed data were asked for. That
/// frozen values come only where the market is closed is as IB documents it.
pub(super) fn given(seen: Entitlement, data_type: i32, market: Market) -> Given {
    let wants_delayed = data_type == 3 || data_type == 4;
    let wants_frozen = (data_type == 2 || data_type == 4) && market == Market::Closed;
    match (seen, wants_delayed) {
        (Entitlement::Live, _) if wants_frozen => Given::Shown(Shown::Frozen),
        (Entitlement::Live, _) => Given::Shown(Shown::Live),
        (Entitlement::Delayed, false) => Given::Refused(DELAYED_AVAILABLE),
        (Entitlement::Delayed, true) if wants_frozen => {
            Given::After(DISPLAYING_DELAYED, Shown::DelayedFrozen)
        }
        (Entitlement::Delayed, true) => Given::After(DISPLAYING_DELAYED, Shown::Delayed),
        (Entitlement::None, false) => Given::Refused(NOT_SUBSCRIBED),
        (Entitlement::None, true) => Given::Refused(DELAYED_OFF),
    }
}

/// What is said of an option that is seen live, where its underlying is not: its model's values
/// are left out. That IB leaves out no more than these is an assumption.
pub(super) fn partly(underlying: Entitlement) -> Option<Said> {
    match underlying {
        Entitlement::Live => None,
        Entitlement::Delayed => Some(PART_DELAYED),
        Entitlement::None => Some(PART_NOT_SUBSCRIBED),
    }
}

/// Whether a contract trades now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Market {
    Open,
    Closed,
}

impl fmt::Display for Entitlement {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Live => "live",
            Self::Delayed => "delayed",
            Self::None => "none",
        })
    }
}

impl fmt::Display for Entitlements {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "equities {}, indices {}, options {}, futures {}",
            self.equities, self.indices, self.options, self.futures
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entitlement_is_a_group_and_how_much_is_seen_of_it() {
        let seen: Entitled = "options=delayed".parse().unwrap();
        let all = Entitlements::default().with(seen);
        assert_eq!(all.to_string(), "equities live, indices live, options delayed, futures live");
        for (wrong, said) in [
            ("options", "not of the form"),
            ("bonds=live", "`bonds` is no group"),
            ("options=late", "`late` is neither"),
        ] {
            let fault = wrong.parse::<Entitled>().unwrap_err().to_string();
            assert!(fault.contains(said), "{fault}");
        }
    }

    #[test]
    fn what_is_not_seen_live_is_told_with_ibs_codes() {
        let code = |seen, data_type| match given(seen, data_type, Market::Open) {
            Given::Shown(shown) => (0, Some(shown)),
            Given::After((code, _), shown) => (code, Some(shown)),
            Given::Refused((code, _)) => (code, None),
        };
        for live in 1..=4 {
            assert_eq!(code(Entitlement::Live, live), (0, Some(Shown::Live)));
        }
        assert_eq!(code(Entitlement::Delayed, 1), (10_089, None));
        assert_eq!(code(Entitlement::Delayed, 2), (10_089, None));
        assert_eq!(code(Entitlement::Delayed, 3), (10_167, Some(Shown::Delayed)));
        assert_eq!(code(Entitlement::Delayed, 4), (10_167, Some(Shown::Delayed)));
        assert_eq!(code(Entitlement::None, 1), (354, None));
        assert_eq!(code(Entitlement::None, 3), (10_168, None));
        let closed = |seen, data_type| given(seen, data_type, Market::Closed);
        assert_eq!(closed(Entitlement::Live, 1), Given::Shown(Shown::Live));
        assert_eq!(closed(Entitlement::Live, 2), Given::Shown(Shown::Frozen));
        assert!(matches!(
            closed(Entitlement::Delayed, 4),
            Given::After((10_167, _), Shown::DelayedFrozen)
        ));
    }
}
