//! An account at Interactive Brokers: who we are to it, and the reference data that its protocol
//! does not carry, from the home's own files.

use crate::broker::ib::{Endpoint, Reference};
use crate::broker::{Dividend, FeedDescription, Rate, ScheduledEvent, published};

use super::settings::{AccountKind, IbSettings};
use super::world::Plans;

impl From<&IbSettings> for Endpoint {
    fn from(ib: &IbSettings) -> Self {
        Self {
            address: ib.address.clone(),
            client_id: ib.client_id,
            account: ib.account_id.clone(),
        }
    }
}

/// Rates, dividends and events as `reference/*.csv` have them.
pub struct Filed {
    rates: Vec<Rate>,
    dividends: Vec<Dividend>,
    events: Vec<ScheduledEvent>,
    kind: AccountKind,
}

impl Filed {
    pub fn of(plans: &Plans) -> Self {
        Self {
            rates: plans.rates.clone(),
            dividends: plans.dividends.iter().cloned().map(published::dividend_of).collect(),
            events: plans.events.clone(),
            kind: plans.settings.ib.account_kind,
        }
    }
}

impl Reference for Filed {
    fn rates(&self) -> Vec<Rate> {
        self.rates.clone()
    }

    fn dividends(&self) -> Vec<Dividend> {
        self.dividends.clone()
    }

    fn events(&self) -> Vec<ScheduledEvent> {
        self.events.clone()
    }

    fn description(&self) -> FeedDescription {
        FeedDescription {
            name: format!("Interactive Brokers, {} account", self.kind.as_str()),
            seed: None,
            variance_premium: None,
            futures_lead_seconds: None,
            notes: Vec::new(),
        }
    }
}
