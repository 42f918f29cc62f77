//! How a synthetic market comes to be: its span, the level at which its history must begin to end
//! at the stated prices, and the history itself, drawn by the same law as what follows.

use std::sync::Arc;

use chrono::{Days, NaiveDate};

use crate::exchange::source::MarketDescription;
use crate::market::Timestamp;
use crate::market::sessions::{Calendar, FIRST_DATE, LAST_DATE, Venue};

use super::carry::Carry;
use super::etf::{Etf, PerEtf};
use super::events::{RATE_DECISION, events};
use super::futures::Futures;
use super::listing::Listing;
use super::path::{Course, Path};
use super::process::{Lapse, Overlay, Process};
use super::tape::SessionTimes;
use super::valuation::{Law, Smiles};
use super::variance_time::{Span, VarianceTime};
use super::{
    FAIR_VARIANCE_PREMIUM, LISTING_BEFORE_OPEN_SECONDS, SHIPPED_VARIANCE_PREMIUM, SyntheticConfig,
    SyntheticError, SyntheticMarket,
};

/// Sessions of history.
pub(super) const HISTORY_SESSIONS: usize = 252;
/// Sessions of history on whose mornings chains are extended: strikes of the first session's
/// chains come from the prices of these.
const LISTING_SESSIONS: usize = 45;
/// Days of history, generously, and of life after the first session; the longest option and the
/// window of the VIX must fit behind them.
const BEFORE: Days = Days::new(420);
const AFTER: Days = Days::new(1_461);
const LOOKAHEAD: Days = Days::new(550);

impl SyntheticMarket {
    pub fn new(config: SyntheticConfig, calendar: Arc<Calendar>) -> Result<Self, SyntheticError> {
        let SyntheticConfig { seed, first_session, variance_premium, scenario } = config;
        if !(0.25..=4.0).contains(&variance_premium) {
            return Err(SyntheticError::Premium { premium: variance_premium });
        }
        let sessions = course(&calendar, first_session)?;
        let from = sessions.first().map_or(first_session, |session| session.date);
        let to = sessions.last().map_or(first_session, |session| session.date);
        let ahead = to + LOOKAHEAD;
        let events = events(&calendar, from, ahead)?;
        let decisions: Vec<i64> = events
            .iter()
            .filter(|event| event.event_name == RATE_DECISION)
            .map(|event| event.event_at.timestamp())
            .collect();
        let span = Span { from, to: ahead, live: first_session };
        let law = Law {
            time: VarianceTime::new(&calendar, span, &decisions)?,
            carry: Carry::new(&calendar, seed, (from, ahead))?,
            scale: libm::sqrt(variance_premium),
        };
        let futures = Futures::new(&calendar, (from, ahead))?;
        let start = start_levels(seed, &law, last_close_before(&sessions, first_session));
        let mornings = mornings(&sessions, first_session);
        let course = Course { scenario, sessions, first_session };
        let path = Path::new(seed, &law, start, course);
        let live_from = law.time.live_from();
        let mut market = Self {
            config,
            description: describe(&config),
            calendar,
            law,
            futures,
            events,
            path,
            listing: Listing::default(),
            smiles: Smiles::default(),
            mornings,
            listed: 0,
            now: Timestamp::from_timestamp(live_from, 0)
                .expect("the instant came from the calendar, so it is in range"),
        };
        market.run_to(live_from);
        Ok(market)
    }
}

/// The sessions from the history's first to the market's last.
fn course(
    calendar: &Calendar,
    first_session: NaiveDate,
) -> Result<Vec<SessionTimes>, SyntheticError> {
    let earliest = FIRST_DATE + BEFORE;
    let latest = LAST_DATE - AFTER - LOOKAHEAD - LOOKAHEAD;
    if !(earliest..=latest).contains(&first_session) {
        return Err(SyntheticError::OutsideCalendar { date: first_session, earliest, latest });
    }
    if calendar.session(Venue::Xnys, first_session)?.is_none() {
        return Err(SyntheticError::NotASession { date: first_session });
    }
    let (from, to) = (first_session - BEFORE, first_session + AFTER);
    let all = SessionTimes::between(calendar, from, to)?;
    let before = all.partition_point(|session| session.date < first_session);
    Ok(all.into_iter().skip(before.saturating_sub(HISTORY_SESSIONS)).collect())
}

fn last_close_before(sessions: &[SessionTimes], first_session: NaiveDate) -> i64 {
    let before = sessions.iter().take_while(|session| session.date < first_session);
    before.last().map_or(i64::MIN, |session| session.close)
}

fn mornings(sessions: &[SessionTimes], first_session: NaiveDate) -> Vec<(i64, NaiveDate)> {
    let before = sessions.partition_point(|session| session.date < first_session);
    sessions
        .iter()
        .skip(before.saturating_sub(LISTING_SESSIONS))
        .map(|session| (session.open - LISTING_BEFORE_OPEN_SECONDS, session.date))
        .collect()
}

/// The prices at which the path must begin to stand at the stated ones at `close`: returns do not
/// depend on the level and dividends are fixed amounts, so one pass at level 1 tells.
fn start_levels(seed: u64, law: &Law, close: i64) -> PerEtf<f64> {
    let begins = law.time.begins_at();
    let one = PerEtf { spy: 1.0, qqq: 1.0, iwm: 1.0 };
    let mut process = Process::new(seed, begins, one);
    // Each dividend in units of the level that pays it.
    let mut paid = PerEtf::<f64>::default();
    while let Some((to, variance_years)) =
        law.time.step(process.state.at).filter(|(to, _)| *to <= close)
    {
        let from = process.state.at;
        let growth = law.carry.log_growth(from, to);
        process.step(Lapse { to, variance_years, growth }, &Overlay::NONE);
        for etf in Etf::ALL {
            let level = *process.state.spots.get(etf);
            *paid.get_mut(etf) += law
                .carry
                .between(etf, from, to)
                .map(|dividend| dividend.amount / level)
                .sum::<f64>();
        }
    }
    PerEtf::from_fn(|etf| etf.start_level() / process.state.spots.get(etf) + paid.get(etf))
}

fn describe(config: &SyntheticConfig) -> MarketDescription {
    let premium = config.variance_premium;
    let is = |named: f64| (premium - named).abs() < 1e-12;
    let mut name = if is(SHIPPED_VARIANCE_PREMIUM) {
        "synthetic".to_owned()
    } else if is(FAIR_VARIANCE_PREMIUM) {
        "synthetic:fair".to_owned()
    } else {
        format!("synthetic:premium-{premium}")
    };
    if config.scenario != super::Scenario::Ordinary {
        name = format!("{name}:{}", config.scenario);
    }
    let notes = vec![
        format!(
            "Options are priced on {premium:.2} times the variance that the market delivers; this \
             premium is assumed, results on it prove nothing about edge."
        ),
        "Futures neither lead nor lag the ETFs.".to_owned(),
        "Prices drift at the risk-free rate: there is no equity premium.".to_owned(),
        "The VIX is the closed form of a dense strip of 30-day SPY options.".to_owned(),
        "Estimated dividends prove exact.".to_owned(),
    ];
    MarketDescription {
        name,
        seed: Some(config.seed),
        first_session: config.first_session,
        variance_premium: Some(premium),
        futures_lead_seconds: Some(0.0),
        notes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::synthetic::Scenario;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn build(
        first_session: &str,
        variance_premium: f64,
    ) -> Result<SyntheticMarket, SyntheticError> {
        let config = SyntheticConfig {
            seed: 1,
            first_session: day(first_session),
            variance_premium,
            scenario: Scenario::Ordinary,
        };
        SyntheticMarket::new(config, Arc::new(Calendar::shipped()?))
    }

    #[test]
    fn impossible_markets_are_refused() {
        let refused = |first: &str, premium| build(first, premium).err().unwrap();
        let saturday = day("2026-02-28");
        assert_eq!(refused("2026-02-28", 1.25), SyntheticError::NotASession { date: saturday });
        assert!(refused("2026-03-02", f64::NAN).to_string().contains("NaN"));
        assert!(matches!(refused("2035-03-02", 1.25), SyntheticError::OutsideCalendar { .. }));
    }

    #[test]
    fn the_history_ends_at_the_stated_prices() {
        let market = build("2026-03-02", 1.25).unwrap();
        for etf in Etf::ALL {
            let close = market.path.last_close().get(etf);
            assert!((close / etf.start_level() - 1.0).abs() < 1e-9, "{etf:?} {close}");
        }
        assert_eq!(market.path.records().len(), HISTORY_SESSIONS);
    }
}
