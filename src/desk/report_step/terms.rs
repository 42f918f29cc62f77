//! What a report needs beside the lake: the template, the limits, and what is known of the market.

use anyhow::anyhow;
use chrono::{NaiveDate, TimeDelta};

use crate::broker::FeedDescription;
use crate::desk::faults_error;
use crate::desk::reference;
use crate::desk::settings::{BrokerKind, OrderMode, Settings};
use crate::market::sessions::{Calendar, Session, Venue};
use crate::pipeline::Files;
use crate::report::{MarketKind, MarketNote};
use crate::risk::RiskLimits;

const TEMPLATE: &str = "templates/daily.html";

/// How the exchange of a simulated market fills, as `exchange::fills` does it.
const FILLS: &str = "Simulated. A marketable order fills at natural up to the displayed size; one \
     that rests between mid and natural fills at its limit by a hazard that rises towards natural, \
     and more readily when the fair price moves against it. No queue, no price improvement.";

/// Everything on the page that is not in the lake.
#[derive(Debug, Clone)]
pub struct ReportTerms {
    pub(super) template: String,
    pub(super) market: MarketNote,
    pub(super) mode: String,
    pub(super) orders_mode: String,
    /// Caps the equity that limits see, USD.
    pub(super) capital_usd: f64,
    pub(super) limits: RiskLimits,
    /// How old quotes of options and underlyings may be.
    pub(super) quote_age: TimeDelta,
    /// How old quotes of futures may be.
    pub(super) futures_age: TimeDelta,
    calendar: Calendar,
}

impl ReportTerms {
    /// From the home's files and the market's own description.
    pub fn read(files: &Files, market: &FeedDescription) -> anyhow::Result<Self> {
        let settings = Settings::read(files).map_err(faults_error)?;
        let template = files
            .get(TEMPLATE)
            .ok_or_else(|| anyhow!("{TEMPLATE} is missing; `deltadesk init` lays it out"))?;
        Ok(Self {
            template: template.clone(),
            market: market_note(market),
            mode: match settings.desk.broker {
                BrokerKind::Paper => "paper".to_owned(),
                BrokerKind::Ib => format!("ib {}", settings.ib.account_kind.as_str()),
            },
            orders_mode: match settings.desk.orders {
                OrderMode::Observe => "observe".to_owned(),
                OrderMode::Send => "send".to_owned(),
            },
            capital_usd: settings.desk.capital_usd,
            quote_age: seconds(&settings, "marks_quote_age_seconds_max")?,
            futures_age: seconds(&settings, "futures_age_seconds_max")?,
            limits: settings.risk,
            calendar: reference::calendar(files).map_err(faults_error)?,
        })
    }

    /// The regular session of the ETFs on that date.
    pub(super) fn session(&self, date: NaiveDate) -> anyhow::Result<Session> {
        Ok(self.calendar.session_on(Venue::Xnys, date)?)
    }
}

fn seconds(settings: &Settings, name: &str) -> anyhow::Result<TimeDelta> {
    let value = settings.params.0.get(name);
    let value = value.ok_or_else(|| anyhow!("deltadesk.toml: {name} is missing"))?;
    Ok(TimeDelta::milliseconds((value * 1e3) as i64))
}

fn market_note(market: &FeedDescription) -> MarketNote {
    let kind = match (market.variance_premium, market.seed) {
        (Some(variance_premium), Some(seed)) => MarketKind::Synthetic { seed, variance_premium },
        (Some(_) | None, _) => MarketKind::Recorded,
    };
    MarketNote { kind, description: market.notes.join(" "), fills: FILLS.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(seed: Option<u64>, variance_premium: Option<f64>) -> MarketKind {
        let market = FeedDescription {
            name: "a market".to_owned(),
            seed,
            variance_premium,
            futures_lead_seconds: None,
            notes: vec!["One.".to_owned(), "Two.".to_owned()],
        };
        let note = market_note(&market);
        assert_eq!(note.description, "One. Two.");
        note.kind
    }

    #[test]
    fn a_premium_marks_a_synthetic_market() {
        let synthetic = MarketKind::Synthetic { seed: 7, variance_premium: 1.0 };
        assert_eq!(described(Some(7), Some(1.0)), synthetic);
        assert_eq!(described(None, None), MarketKind::Recorded);
    }

    #[test]
    fn the_shipped_set_has_what_a_report_needs() {
        let market = FeedDescription {
            name: "a market".to_owned(),
            seed: None,
            variance_premium: None,
            futures_lead_seconds: None,
            notes: vec![],
        };
        let terms = ReportTerms::read(&crate::desk::files::shipped(), &market).unwrap();
        assert_eq!(terms.mode, "paper");
        assert!(terms.quote_age > TimeDelta::zero());
    }
}
