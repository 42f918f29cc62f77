//! The trader as steps of pipelines.

use crate::broker::{Broker, Feed};
use crate::journal::Peak;
use crate::lake::{Rows, TableName};
use crate::market::Usd;
use crate::pipeline::Shared;
use crate::pipeline::{Step, StepContext};

use super::Trader;

/// What one step has the trader do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Take the broker's news, reconcile after a fill or a gap, and read the account.
    Observe,
    /// Copy the journal to ops.
    Publish,
    /// Keep the best profits of open strategies.
    Peaks,
    Act,
    Reconcile,
}

/// One task of the trader.
pub struct TraderStep<B> {
    pub trader: Shared<Trader<B>>,
    pub task: Task,
}

impl<B: Broker + Feed> Step for TraderStep<B> {
    fn run(&mut self, context: &mut StepContext<'_>) -> anyhow::Result<Vec<String>> {
        let mut trader = self.trader.borrow_mut();
        match self.task {
            Task::Observe => {
                let is_due = trader.take_events(context)?;
                let lines = if is_due || trader.is_unsettled()? {
                    trader.reconcile(context)?
                } else {
                    Vec::new()
                };
                trader.observe(context)?;
                return Ok(lines);
            }
            Task::Publish => trader.publish(context)?,
            Task::Peaks => trader.raise_peaks(context)?,
            Task::Act => {
                trader.alert_unevaluable(context)?;
                return trader.act(context);
            }
            Task::Reconcile => return trader.reconcile(context),
        }
        Ok(Vec::new())
    }
}

impl<B> Trader<B> {
    fn raise_peaks(&mut self, context: &StepContext<'_>) -> anyhow::Result<()> {
        let states = Rows::new(context.live.rows(&TableName::new("gold", "strategy_state"))?);
        for row in states.iter() {
            if row.text("run_id")? != context.run.run_id {
                continue;
            }
            let pnl = row.maybe_double("pnl_usd")?.and_then(Usd::from_f64);
            let (Some(pnl), Some(ratio)) = (pnl, row.maybe_double("pnl_ratio")?) else {
                continue;
            };
            let peak = Peak {
                strategy_id: row.text("strategy_id")?.to_owned(),
                pnl,
                pnl_ratio: ratio,
                at: context.run.as_of,
            };
            self.journal.borrow_mut().raise_peak(&peak)?;
        }
        Ok(())
    }
}
