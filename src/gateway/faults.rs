//! Faults that TWS has: what can go wrong, what it is made of, and what TWS says of it. When they
//! happen stands in a script ([`super::script`]).

use serde::Deserialize;

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Every connection is closed; while it lasts, new ones are closed at once, as in a restart.
    Drop,
    /// Every connection is closed; while it lasts, the port refuses new ones.
    PortClosed,
    /// Connections stay open, nothing is read or written.
    HalfOpen,
    /// A connection is taken and never answered.
    AcceptWithoutHandshake,
    /// A client is welcomed without the next valid order id.
    HandshakeWithoutIds,
    /// A client id that has been here before is refused with 326 unless its connection lives.
    ClientIdHeld,
    /// What is written arrives in pieces of a few bytes.
    Fragments,
    /// Frames are written one by one with a pause after each.
    SlowFrames,
    /// The first message over the limit closes its connection.
    PacingDisconnect,
    /// The gateway's clock is told wrong, by `by_seconds`.
    ClockSkew,
    /// Ticks stop, and nothing says so.
    StaleData,
    /// Ticks stop; 2103 when it begins, 2104 when it ends.
    FarmDown,
    /// Ticks stop; 2103, 2105 and 2157 when it begins, 2104, 2106 and 2158 when it ends.
    FarmsDown,
    /// All farms break and come back three times.
    FarmFlap,
    /// 1100 when it begins, 1102 when it ends: subscriptions go on.
    ConnectivityLost,
    /// 1100 when it begins, 1101 when it ends: every stream of market data is gone.
    ConnectivityAndDataLost,
    /// The port is closed, then taken without an answer, then served without IB behind it, whose
    /// return 1102 tells.
    NightlyRestart,
    /// The port is closed until somebody has logged in again.
    WeeklyReauthentication,
    /// Another session of the same user has the market data: streams end with 10197.
    CompetingSession,
    /// What happens to orders is told twice.
    NewsTwice,
    /// What happens to orders is told backwards: commissions before executions, states before both.
    NewsBackwards,
    /// Executions are not told; who asks for them gets them.
    ExecutionsWithheld,
    /// Open orders and their states are not told; who asks for them gets them.
    OrderNewsLost,
    /// An order is not told before something of it is filled: then its execution comes first.
    ExecutionBeforeOpenOrder,
    /// The legs of one fill are told at different moments.
    LegsApart,
    /// A combo fills one at a time, the rest later or never.
    PartialComboFill,
    /// The newest trade is broken when it begins: position and cash go back.
    Bust,
    /// IB closes a short option, the one that asks for most margin, as soon as there is one.
    Liquidation,
    /// Somebody places an order in TWS by hand when it begins.
    ManualOrder,
    /// Each order taken is answered with codes that sound like a refusal, and lives.
    AlarmingCodes,
    /// Every order is refused with 201.
    OrdersRefused,
}

/// What a fault is made of: each part with its beginning and end as shares of the whole.
pub type Parts = &'static [(Fault, f64, f64)];

impl Fault {
    /// All that hold by themselves; the others are made of them.
    pub const ALL: [Self; 28] = [
        Self::Drop,
        Self::PortClosed,
        Self::HalfOpen,
        Self::AcceptWithoutHandshake,
        Self::HandshakeWithoutIds,
        Self::ClientIdHeld,
        Self::Fragments,
        Self::SlowFrames,
        Self::PacingDisconnect,
        Self::ClockSkew,
        Self::StaleData,
        Self::FarmDown,
        Self::FarmsDown,
        Self::ConnectivityLost,
        Self::ConnectivityAndDataLost,
        Self::CompetingSession,
        Self::NewsTwice,
        Self::NewsBackwards,
        Self::ExecutionsWithheld,
        Self::OrderNewsLost,
        Self::ExecutionBeforeOpenOrder,
        Self::LegsApart,
        Self::PartialComboFill,
        Self::Bust,
        Self::Liquidation,
        Self::ManualOrder,
        Self::AlarmingCodes,
        Self::OrdersRefused,
    ];

    /// What it is made of; `None` for what holds by itself.
    #[expect(clippy::wildcard_enum_match_arm, reason = "all others hold by themselves")]
    pub fn parts(self) -> Option<Parts> {
        match self {
            Self::FarmFlap => Some(&[
                (Self::FarmsDown, 0.0, 0.2),
                (Self::FarmsDown, 0.4, 0.6),
                (Self::FarmsDown, 0.8, 1.0),
            ]),
            // That a client which is early is told 1100 and of broken farms is an assumption.
            Self::NightlyRestart => Some(&[
                (Self::PortClosed, 0.0, 0.5),
                (Self::AcceptWithoutHandshake, 0.5, 0.7),
                (Self::FarmsDown, 0.5, 1.0),
                (Self::ConnectivityLost, 0.5, 1.0),
            ]),
            Self::WeeklyReauthentication => Some(&[(Self::PortClosed, 0.0, 1.0)]),
            _ => None,
        }
    }

    /// Whether the connections that there are end with its beginning.
    pub fn closes_connections(self) -> bool {
        matches!(self, Self::Drop | Self::PortClosed)
    }
}

/// Where a fault begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Edge {
    Begins,
    Ends,
}

type Notice = (i32, &'static str);

/// What TWS says while all is well with its farms, and to whom it has just welcomed.
pub const FARMS_OK: [Notice; 3] = [
    (2104, "Market data farm connection is OK:usfarm"),
    (2106, "HMDS data farm connection is OK:ushmds"),
    (2158, "Sec-def data farm connection is OK:secdefil"),
];

/// What it says where they are broken.
pub const FARMS_BROKEN: [Notice; 3] = [
    (2103, "Market data farm connection is broken:usfarm"),
    (2105, "HMDS data farm connection is broken:ushmds"),
    (2157, "Sec-def data farm connection is broken:secdefil"),
];

/// What it says while IB is out of reach.
pub const LOST: [Notice; 1] =
    [(1100, "Connectivity between IBKR and Trader Workstation has been lost.")];

const MAINTAINED: [Notice; 1] = [(
    1102,
    "Connectivity between IBKR and Trader Workstation has been restored- data maintained.",
)];
const DATA_LOST: [Notice; 1] =
    [(1101, "Connectivity between IBKR and Trader Workstation has been restored- data lost.")];

/// What TWS says when a fault begins or ends.
pub fn notices(fault: Fault, edge: Edge) -> &'static [Notice] {
    match (fault, edge) {
        (Fault::FarmDown, Edge::Begins) => FARMS_BROKEN.split_at(1).0,
        (Fault::FarmDown, Edge::Ends) => FARMS_OK.split_at(1).0,
        (Fault::FarmsDown, Edge::Begins) => &FARMS_BROKEN,
        (Fault::FarmsDown, Edge::Ends) => &FARMS_OK,
        (Fault::ConnectivityLost | Fault::ConnectivityAndDataLost, Edge::Begins) => &LOST,
        (Fault::ConnectivityLost, Edge::Ends) => &MAINTAINED,
        (Fault::ConnectivityAndDataLost, Edge::Ends) => &DATA_LOST,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_of_parts_is_made_of_such_as_hold_by_themselves() {
        for made in [Fault::FarmFlap, Fault::NightlyRestart, Fault::WeeklyReauthentication] {
            assert!(!Fault::ALL.contains(&made), "{made:?}");
            for (part, begins, ends) in made.parts().unwrap() {
                assert!(Fault::ALL.contains(part) && 0.0 <= *begins && begins < ends);
                assert!(*ends <= 1.0, "{made:?} outlasts itself");
            }
        }
        assert!(Fault::ALL.iter().all(|fault| fault.parts().is_none()));
    }
}
