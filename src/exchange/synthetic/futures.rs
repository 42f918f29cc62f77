//! Index futures: contracts, fair values, volumes.
//!
//! A future is worth its index's level, a fixed multiple of the ETF, carried to the expiry. It
//! moves with the ETF's own path: no lead, no lag. Micro contracts have the values of the large.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{Datelike, NaiveDate};

use crate::market::sessions::{
    Calendar, CalendarError, ExpiryKind, last_trade_instant, third_friday_expiry,
};
use crate::market::{ConId, FutureContract, Price, Symbol};

use super::carry::Carry;
use super::etf::Etf;
use super::process::State;

/// Contracts listed at a time, a root.
const LISTED: usize = 3;
/// Days before its expiry from which a future is no longer the front one in daily bars.
const ROLL_DAYS: i64 = 8;
/// Days before the expiry at which the next contract's volume passes the front's, and how fast.
const VOLUME_ROLL_DAYS: f64 = 7.5;
const VOLUME_ROLL_WIDTH_DAYS: f64 = 1.2;
/// Share of a root's volume in the third contract.
const FAR_SHARE: f64 = 0.003;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Root {
    Es,
    M2k,
    Mes,
    Mnq,
    Nq,
    Rty,
}

impl Root {
    /// By name, as lists are ordered.
    pub const ALL: [Self; 6] = [Self::Es, Self::M2k, Self::Mes, Self::Mnq, Self::Nq, Self::Rty];
    /// Those with daily bars.
    pub const LARGE: [Self; 3] = [Self::Es, Self::Nq, Self::Rty];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Es => "ES",
            Self::M2k => "M2K",
            Self::Mes => "MES",
            Self::Mnq => "MNQ",
            Self::Nq => "NQ",
            Self::Rty => "RTY",
        }
    }

    pub const fn tracks(self) -> Etf {
        match self {
            Self::Es | Self::Mes => Etf::Spy,
            Self::Nq | Self::Mnq => Etf::Qqq,
            Self::Rty | Self::M2k => Etf::Iwm,
        }
    }

    /// Index points for a dollar of the ETF.
    const fn ratio(self) -> f64 {
        match self {
            Self::Es | Self::Mes => 10.02,
            Self::Nq | Self::Mnq => 41.15,
            Self::Rty | Self::M2k => 10.06,
        }
    }

    /// USD a point.
    const fn multiplier(self) -> i64 {
        match self {
            Self::Es | Self::Rty => 50,
            Self::Mes | Self::M2k => 5,
            Self::Nq => 20,
            Self::Mnq => 2,
        }
    }

    /// Hundredths of a point.
    pub const fn tick_hundredths(self) -> i64 {
        match self {
            Self::Es | Self::Mes | Self::Nq | Self::Mnq => 25,
            Self::Rty | Self::M2k => 10,
        }
    }

    /// Ordinary width of the market, ticks, and contracts on each side.
    pub const fn market(self) -> (f64, f64) {
        match self {
            Self::Es => (1.0, 60.0),
            Self::Mes => (1.0, 120.0),
            Self::Nq => (2.0, 8.0),
            Self::Mnq => (2.0, 20.0),
            Self::Rty => (1.5, 15.0),
            Self::M2k => (1.5, 30.0),
        }
    }

    /// Contracts in an ordinary session.
    pub const fn session_volume(self) -> f64 {
        match self {
            Self::Es => 1_500_000.0,
            Self::Mes => 1_100_000.0,
            Self::Nq => 600_000.0,
            Self::Mnq => 1_400_000.0,
            Self::Rty => 180_000.0,
            Self::M2k => 80_000.0,
        }
    }
}

/// A listed future and its root.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    pub root: Root,
    pub contract: Arc<FutureContract>,
    /// Final settlement, seconds.
    pub settles_at: i64,
}

impl Listed {
    /// Index points, carried from the state to the final settlement.
    pub fn fair(&self, state: &State, carry: &Carry) -> f64 {
        let etf = self.root.tracks();
        let span = (state.at, self.settles_at.max(state.at));
        self.root.ratio() * carry.forward(etf, *state.spots.get(etf), span)
    }

    /// Index level, points.
    pub fn index(&self, spot: f64) -> f64 {
        self.root.ratio() * spot
    }
}

/// All futures of the market's span.
#[derive(Debug, Clone)]
pub(super) struct Futures {
    by_conid: BTreeMap<ConId, Listed>,
    by_root: BTreeMap<(Root, NaiveDate), ConId>,
}

impl Futures {
    pub fn new(
        calendar: &Calendar,
        (from, to): (NaiveDate, NaiveDate),
    ) -> Result<Self, CalendarError> {
        let mut all = Self { by_conid: BTreeMap::new(), by_root: BTreeMap::new() };
        for year in from.year()..=to.year() {
            for (month, code) in [(3, 'H'), (6, 'M'), (9, 'U'), (12, 'Z')] {
                let expiry = third_friday_expiry(calendar, year, month)?;
                if !(from..=to).contains(&expiry) {
                    continue;
                }
                for root in Root::ALL {
                    let listed = listed(calendar, root, (expiry, code))?;
                    all.by_root.insert((root, expiry), listed.contract.conid);
                    all.by_conid.insert(listed.contract.conid, listed);
                }
            }
        }
        Ok(all)
    }

    pub fn get(&self, conid: ConId) -> Option<&Listed> {
        self.by_conid.get(&conid)
    }

    /// The listed contracts of a root that still trade at an instant, nearest first.
    pub fn trading(&self, root: Root, at: i64) -> impl Iterator<Item = &Listed> {
        self.of(root).filter(move |listed| at < listed.settles_at).take(LISTED)
    }

    /// The contract of a session's daily bar.
    pub fn front(&self, root: Root, session: NaiveDate) -> Option<&Listed> {
        self.of(root).find(|listed| (listed.contract.expiry_date - session).num_days() > ROLL_DAYS)
    }

    fn of(&self, root: Root) -> impl Iterator<Item = &Listed> {
        self.by_root
            .range((root, NaiveDate::MIN)..=(root, NaiveDate::MAX))
            .filter_map(|(_, conid)| self.by_conid.get(conid))
    }

    /// Share of its root's volume that a contract has in a session; it moves to the next contract
    /// about a week before the expiry.
    pub fn volume_share(&self, listed: &Listed, (session, opens): (NaiveDate, i64)) -> f64 {
        let mut ahead = self.trading(listed.root, opens);
        let Some(front) = ahead.next() else { return 0.0 };
        let days = (front.contract.expiry_date - session).num_days() as f64;
        let stays = 1.0 / (1.0 + libm::exp((VOLUME_ROLL_DAYS - days) / VOLUME_ROLL_WIDTH_DAYS));
        let place = self
            .trading(listed.root, opens)
            .position(|other| other.contract.conid == listed.contract.conid);
        match place {
            Some(0) => stays * (1.0 - FAR_SHARE),
            Some(1) => ((1.0 - stays) * (1.0 - FAR_SHARE)).max(FAR_SHARE),
            Some(_) => FAR_SHARE,
            None => 0.0,
        }
    }
}

fn listed(
    calendar: &Calendar,
    root: Root,
    (expiry, code): (NaiveDate, char),
) -> Result<Listed, CalendarError> {
    let last_trade_at = last_trade_instant(calendar, ExpiryKind::FutureAm, expiry)?;
    let contract = FutureContract {
        conid: super::listing::future_conid(root, expiry),
        symbol: Symbol::new(root.name()),
        local_symbol: Arc::from(format!("{}{code}{}", root.name(), expiry.year() % 10)),
        tracks: root.tracks().symbol(),
        expiry_date: expiry,
        multiplier: root.multiplier(),
        min_tick: Price::from_micros(root.tick_hundredths() * 10_000),
        last_trade_at,
    };
    Ok(Listed { root, contract: Arc::new(contract), settles_at: last_trade_at.timestamp() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn futures() -> Futures {
        let calendar = Calendar::shipped().unwrap();
        Futures::new(&calendar, (day("2026-01-01"), day("2027-12-31"))).unwrap()
    }

    fn at(text: &str) -> i64 {
        text.parse::<crate::market::Timestamp>().unwrap().timestamp()
    }

    #[test]
    fn three_quarters_are_listed_and_the_front_leaves_at_the_opening_print() {
        let futures = futures();
        let names = |at: i64| -> Vec<String> {
            futures.trading(Root::Es, at).map(|f| f.contract.local_symbol.to_string()).collect()
        };
        assert_eq!(names(at("2026-03-20T13:29:59Z")), ["ESH6", "ESM6", "ESU6"]);
        assert_eq!(names(at("2026-03-20T13:30:00Z")), ["ESM6", "ESU6", "ESZ6"]);
        let es = futures.trading(Root::Es, at("2026-03-02T13:30:00Z")).next().unwrap();
        assert_eq!(es.contract.multiplier, 50);
        assert_eq!(es.contract.expiry_date, day("2026-03-20"));
    }

    #[test]
    fn volume_moves_to_the_next_contract_a_week_before_the_expiry() {
        let futures = futures();
        let shares = |session: &str| -> Vec<f64> {
            let opens = at(&format!("{session}T14:30:00Z"));
            futures
                .trading(Root::Nq, opens)
                .map(|listed| futures.volume_share(listed, (day(session), opens)))
                .collect()
        };
        let (early, late) = (shares("2026-03-06"), shares("2026-03-16"));
        assert!(early[0] > 0.9 && early[0] > early[1]);
        assert!(late[1] > 0.9 && late[1] > late[0]);
    }
}
