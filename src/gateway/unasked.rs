//! What happens to the account without an order of a client: trades that IB forces, and trades that
//! are broken.
//!
//! Executions are named as IB names them: what follows the last point is the version, and a
//! correction is told under the same name with the next one. Assumptions, not observations: that a
//! broken trade is a correction to no contracts, that its old version is told as well to those who
//! ask, and that a forced trade is told by itself to client 0 and the master client alone.

use crate::exchange::VOID;
use crate::structures::{Execution, ExecutionKind};

use super::by_hand::HAND;
use super::house::House;
use super::listing::{SMART, describe};
use super::news::{Fill, local_time};
use super::words::WireExecution;

/// An execution's name as it is told first.
pub(super) fn first_version(exec_id: &str) -> String {
    format!("{exec_id}.01")
}

/// The name of its next version.
fn next_version(exec_id: &str) -> String {
    let numbered = exec_id.rsplit_once('.').and_then(|(name, version)| {
        let next = version.parse::<u32>().ok()?.checked_add(1)?;
        Some(format!("{name}.{next:02}"))
    });
    numbered.unwrap_or_else(|| format!("{exec_id}.02"))
}

impl House {
    pub(super) fn report_unasked(&mut self, execution: &Execution) {
        match execution.kind {
            ExecutionKind::Correction => self.report_broken(execution),
            ExecutionKind::Liquidation => self.report_forced(execution),
            // TWS shows these as changed positions and cash.
            ExecutionKind::Trade
            | ExecutionKind::Assignment
            | ExecutionKind::Exercise
            | ExecutionKind::Expiry
            | ExecutionKind::CashSettlement
            | ExecutionKind::Delivery
            | ExecutionKind::Variation
            | ExecutionKind::Dividend
            | ExecutionKind::Interest => {}
        }
    }

    fn report_broken(&mut self, reversal: &Execution) {
        let Some(broken) = reversal.exec_id.strip_suffix(VOID) else { return };
        let told = first_version(broken);
        let Some(fill) = self.fills.iter().rfind(|fill| fill.execution.exec_id == told) else {
            return;
        };
        let mut fill = fill.clone();
        fill.at = reversal.at;
        fill.execution = WireExecution {
            exec_id: next_version(&fill.execution.exec_id),
            time: local_time(reversal.at),
            shares: 0.into(),
            cumulative: 0.into(),
            ..fill.execution
        };
        fill.commission = Some(0.0);
        fill.realised = None;
        self.tell_fills(fill.execution.client_id, vec![fill]);
    }

    fn report_forced(&mut self, execution: &Execution) {
        let Some(instrument) = self.instrument(execution.conid) else { return };
        let price = execution.price.map(crate::market::Price::to_f64).unwrap_or_default();
        let told = WireExecution {
            order_id: 0,
            exec_id: first_version(&execution.exec_id),
            time: local_time(execution.at),
            account: self.account.clone(),
            exchange: SMART.to_owned(),
            side: if execution.quantity > 0 { "BOT" } else { "SLD" }.to_owned(),
            shares: execution.quantity.abs().into(),
            price,
            perm_id: 0,
            client_id: HAND,
            cumulative: execution.quantity.abs().into(),
            average_price: price,
            order_ref: String::new(),
            liquidation: true,
        };
        let fill = Fill {
            at: execution.at,
            contract: describe(&instrument),
            execution: told,
            commission: Some(execution.commission.to_f64()),
            realised: self.realised_by(execution),
        };
        self.tell_fills(HAND, vec![fill]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_correction_differs_from_what_it_corrects_in_its_version_alone() {
        let first = first_version("1000000001.0.2");
        assert_eq!(first, "1000000001.0.2.01");
        assert_eq!(next_version(&first), "1000000001.0.2.02");
        assert_eq!(next_version("a.b.c.09"), "a.b.c.10");
        assert_eq!(next_version("abc"), "abc.02");
    }
}
