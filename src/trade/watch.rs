//! What the desk watches itself by: the account's losses and margin, the age of its data, rejects,
//! the number of its orders, what reconciliation found. Each is a cause of the breaker; its holds
//! are kept in the journal and stand again at the next start.
//!
//! Not measured here, and so never a cause: the connection, clock skew, the worst case of the
//! standing book, a volatility spike, and a second source of losses.

use std::collections::BTreeMap;

use chrono::Duration;

use crate::broker::{Broker, Feed};
use crate::journal::{BreakerHold, Journal, JournalError, OrderRow};
use crate::lake::{Rows, TableName};
use crate::market::{Price, Timestamp, Usd};
use crate::pipeline::StepContext;
use crate::risk::{
    Breaker, BreakerInputs, BreakerLevel, Cause, Hold, MarketPhase, Reading, Transition,
};
use crate::structures::{AccountSnapshot, OrderState};

use super::inputs::{PnlToday, is_delivered};
use super::{Alert, Trader};

/// The window of rejects and of orders, as the comments of `[risk.breaker.triggers]` have it.
const BURST: Duration = Duration::minutes(10);

impl<B: Broker + Feed> Trader<B> {
    /// Reads the account and everything else that the breaker goes by. An account that cannot be
    /// read is a measure that is missing.
    pub fn observe(&mut self, context: &StepContext<'_>) -> anyhow::Result<()> {
        let answer = self.broker.borrow().account();
        let account = match answer {
            Ok(account) => Some(account),
            Err(error) => {
                let alert = Alert {
                    id: format!("account-{}", context.run.run_id),
                    severity: "critical",
                    subject: "the account cannot be read",
                    message: error.to_string(),
                };
                self.alert(&alert, context.run.as_of)?;
                None
            }
        };
        if let Some(account) = &account {
            self.pnl.observe(context.run.session_date, account.net_liquidation);
            keep_pnl(&mut self.journal.borrow_mut(), &self.pnl)?;
        }
        self.note_quotes(context)?;
        self.alert_delivered(context)?;
        let mut readings = self.losing(account.as_ref()).to_vec();
        readings.extend(self.not_knowing(context)?);
        let trading = context.run.session_phase == "regular";
        let inputs = BreakerInputs {
            now: context.run.as_of,
            session_date: context.run.session_date,
            phase: if trading { MarketPhase::Trading } else { MarketPhase::NotTrading },
            readings: &readings,
            clean_reconciliation_at: self.clean_reconciliation_at,
        };
        let transitions = self.breaker.evaluate(&inputs, &self.settings.limits.breaker);
        self.keep_breaker(&transitions, context.run.as_of)?;
        for transition in &transitions {
            self.alert(&alert_of(transition, &context.run.run_id), context.run.as_of)?;
        }
        Ok(())
    }

    fn losing(&self, account: Option<&AccountSnapshot>) -> [Reading; 3] {
        let equity = account.map(|account| account.net_liquidation.to_f64());
        let of_equity = |part: f64| Some(part / equity.filter(|equity| *equity > 0.0)?);
        let profit = account.and(self.pnl.profit_today()).map(Usd::to_f64);
        let margin = account.map(|account| account.maintenance_margin.to_f64());
        let loss = profit.map(|profit| (-profit).max(0.0));
        [
            reading(Cause::DailyLoss, loss.and_then(of_equity)),
            reading(Cause::Drawdown, account.and(self.pnl.drawdown_ratio())),
            reading(Cause::MarginUse, margin.and_then(of_equity)),
        ]
    }

    fn not_knowing(&self, context: &StepContext<'_>) -> anyhow::Result<[Reading; 5]> {
        let now = context.run.as_of;
        let since = self.quoted_at.map_or(context.run.session_open_at, |quoted_at| {
            quoted_at.max(context.run.session_open_at)
        });
        let orders = self.journal.borrow().orders()?;
        let count = |counts: &dyn Fn(&OrderRow) -> bool| {
            orders.iter().filter(|order| counts(order)).count() as f64
        };
        let rejects =
            count(&|order| order.state == OrderState::Rejected && now - order.changed_at <= BURST);
        let sent =
            count(&|order| order.state != OrderState::Denied && now - order.created_at <= BURST);
        Ok([
            reading(Cause::StaleData, Some((now - since).num_seconds() as f64)),
            reading(Cause::Reconciliation, Some(self.dispute.differences())),
            reading(Cause::UnexplainedPosition, Some(self.dispute.unexplained())),
            reading(Cause::RejectBurst, Some(rejects)),
            reading(Cause::OrderStorm, Some(sent)),
        ])
    }

    /// When the newest option quote with a price came, those of this sweep included.
    fn note_quotes(&mut self, context: &StepContext<'_>) -> anyhow::Result<()> {
        let rows = Rows::new(context.live.rows(&TableName::new("bronze", "option_quotes"))?);
        for row in rows.iter() {
            let priced = |side: Option<Price>| side.is_some_and(|side| side > Price::ZERO);
            if priced(row.maybe_price("bid")?) || priced(row.maybe_price("ask")?) {
                self.quoted_at = self.quoted_at.max(Some(row.instant("received_at")?));
            }
        }
        Ok(())
    }

    /// Stock from an assignment is one unit with the long leg that is left: no rule closes it, so
    /// that a person must, and is told each session.
    fn alert_delivered(&self, context: &StepContext<'_>) -> anyhow::Result<()> {
        for leg in self.journal.borrow().held_legs()?.iter().filter(|leg| is_delivered(leg)) {
            let id = format!("delivered-{}-{}", leg.strategy_id, context.run.session_date);
            let message = format!(
                "strategy {} holds {} shares of {} from an assignment or exercise: close them \
                 together with its long legs by hand; {} takes no entries until then",
                leg.strategy_id, leg.quantity, leg.symbol, leg.symbol
            );
            let alert = Alert { id, severity: "critical", subject: "stock delivered", message };
            self.alert(&alert, context.run.as_of)?;
        }
        Ok(())
    }

    /// What changed of the breaker's holds, into the journal.
    fn keep_breaker(&self, transitions: &[Transition], now: Timestamp) -> anyhow::Result<()> {
        let mut journal = self.journal.borrow_mut();
        for transition in transitions {
            let cause = transition.cause.as_str();
            match self.breaker.holds().get(&transition.cause) {
                Some(hold) => journal.hold_breaker(&BreakerHold {
                    cause: cause.to_owned(),
                    level: hold.level.as_str().to_owned(),
                    is_latched: hold.latched,
                    reason: hold.reason.clone(),
                    since: hold.since,
                })?,
                None => journal.release_breaker(cause, &transition.reason, now)?,
            }
        }
        Ok(())
    }
}

/// Watermark of the journal: the day's start, the last and the highest reading of the account.
const PNL: &str = "pnl_today";

/// The readings of the account as the journal left them: a loss counts from where the day began,
/// not from where the process did.
pub(super) fn kept_pnl(journal: &Journal) -> Result<PnlToday, JournalError> {
    let Some(text) = journal.watermark(PNL)? else { return Ok(PnlToday::default()) };
    serde_json::from_str(&text).map_err(|_| JournalError::Unreadable(text))
}

fn keep_pnl(journal: &mut Journal, pnl: &PnlToday) -> anyhow::Result<()> {
    Ok(journal.set_watermark(PNL, &serde_json::to_string(pnl)?)?)
}

/// The breaker as the journal left it.
pub(super) fn breaker_of(journal: &Journal) -> Result<Breaker, JournalError> {
    let mut holds = BTreeMap::new();
    for row in journal.breaker_holds()? {
        let cause = Cause::from_name(&row.cause)
            .ok_or_else(|| JournalError::Unreadable(row.cause.clone()))?;
        let level = BreakerLevel::from_name(&row.level)
            .ok_or_else(|| JournalError::Unreadable(row.level.clone()))?;
        let hold = Hold {
            level,
            latched: row.is_latched,
            since: row.since,
            gone_since: None,
            reason: row.reason,
        };
        holds.insert(cause, hold);
    }
    Ok(Breaker::restored(holds))
}

fn alert_of(transition: &Transition, run_id: &str) -> Alert<'static> {
    Alert {
        id: format!("breaker-{}-{run_id}", transition.cause.as_str()),
        severity: "critical",
        subject: "breaker",
        message: format!(
            "{} moves the breaker from {} to {}: {}",
            transition.cause.as_str(),
            transition.from.as_str(),
            transition.to.as_str(),
            transition.reason
        ),
    }
}

fn reading(cause: Cause, measured: Option<f64>) -> Reading {
    Reading { cause, measured, cross_check: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structures::testing::monday;

    #[test]
    fn a_hold_stands_again_after_a_restart() {
        let mut journal = Journal::in_memory().unwrap();
        assert_eq!(breaker_of(&journal).unwrap().level(), BreakerLevel::Normal);
        let hold = BreakerHold {
            cause: Cause::Drawdown.as_str().to_owned(),
            level: BreakerLevel::Reduce.as_str().to_owned(),
            is_latched: true,
            reason: "drawdown measured 0.13".to_owned(),
            since: monday(),
        };
        journal.hold_breaker(&hold).unwrap();
        let breaker = breaker_of(&journal).unwrap();
        assert_eq!(breaker.level(), BreakerLevel::Reduce);
        assert!(breaker.holds()[&Cause::Drawdown].latched);
        journal.hold_breaker(&BreakerHold { cause: "weather".to_owned(), ..hold }).unwrap();
        assert!(breaker_of(&journal).is_err());
    }
}
