//! `[ib]`: which account at Interactive Brokers, and what may be done with it.

use serde::Deserialize;

use super::{BrokerKind, DeskSettings, OrderMode};

/// What an account at IB is: its id tells, for those of paper accounts begin with a D.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccountKind {
    Paper,
    Live,
}

impl AccountKind {
    pub fn of(account_id: &str) -> Self {
        if account_id.starts_with('D') { Self::Paper } else { Self::Live }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Paper => "paper",
            Self::Live => "live",
        }
    }
}

/// `[ib]`: read by `broker = "ib"` alone.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IbSettings {
    /// Host and port of TWS or IB Gateway.
    pub address: String,
    pub client_id: i32,
    pub account_id: String,
    pub account_kind: AccountKind,
    /// Orders to a live account are sent only with this ...
    pub live_trading: bool,
    /// ... and only where this names the account.
    pub allowed_accounts: Vec<String>,
    /// Lines of market data that the account has, and may use here.
    pub market_data_lines: usize,
}

impl IbSettings {
    /// Each key that cannot be, and why; which hold depends on what the desk is to do with them.
    pub(super) fn faults(&self, desk: &DeskSettings) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        let port = self.address.rsplit_once(':').map(|(host, port)| (host, port.parse::<u16>()));
        if !matches!(port, Some((host, Ok(port))) if !host.is_empty() && port > 0) {
            let fault = format!(
                "[ib] address = \"{}\" is no host:port; IB Gateway listens on 4002 (paper) or 4001 \
                 (live), TWS on 7497 or 7496",
                self.address
            );
            faults.push(("address", fault));
        }
        if !(1..=999_999).contains(&self.client_id) {
            let fault = format!(
                "[ib] client_id = {} is out of range; write 1 to 999999, and none that another \
                 client of this gateway uses (0 takes over orders that were entered by hand)",
                self.client_id
            );
            faults.push(("client_id", fault));
        }
        if !(LINES_LEAST..=LINES_MOST).contains(&self.market_data_lines) {
            let fault = format!(
                "[ib] market_data_lines = {} is out of range; write {LINES_LEAST} to {LINES_MOST}: \
                 IB gives an account 100 and more with booster packs",
                self.market_data_lines
            );
            faults.push(("market_data_lines", fault));
        }
        if desk.broker == BrokerKind::Ib {
            faults.extend(self.account_fault(desk.orders));
        }
        faults
    }

    fn account_fault(&self, orders: OrderMode) -> Option<(&'static str, String)> {
        let id = &self.account_id;
        if id.is_empty() {
            let fault = "[ib] account_id is empty; write the account as TWS shows it (paper \
                         accounts begin with DU)";
            return Some(("account_id", fault.to_owned()));
        }
        let kind = AccountKind::of(id);
        if kind != self.account_kind {
            let fault = format!(
                "[ib] account_kind = \"{}\", and {id} is a {} account; correct whichever is wrong",
                self.account_kind.as_str(),
                kind.as_str()
            );
            return Some(("account_kind", fault));
        }
        if kind == AccountKind::Paper || orders == OrderMode::Observe {
            return None;
        }
        if !self.live_trading {
            let fault = format!(
                "[ib] live_trading = false, and orders = \"send\" would trade the live account \
                 {id}; write orders = \"observe\" under [desk], or allow it here"
            );
            return Some(("live_trading", fault));
        }
        if !self.allowed_accounts.contains(id) {
            let fault = format!(
                "[ib] allowed_accounts does not name the live account {id}; orders to it are not \
                 sent"
            );
            return Some(("allowed_accounts", fault));
        }
        None
    }
}

/// Lines of market data: too few cannot hold the underlyings, futures and legs of a desk.
const LINES_LEAST: usize = 50;
const LINES_MOST: usize = 1_000;
