//! Positions and account, a whole snapshot each time.

use crate::broker::{Broker, BrokerError, Feed};
use crate::lake::TableName;
use crate::market::Instrument;
use crate::pipeline::{Step, StepContext};

use super::{Completeness, record_sweep, sweep_id};
use crate::pipeline::{Sequence, Shared, deliver};

/// The broker's positions and account figures.
pub struct AccountStep<B> {
    pub broker: Shared<B>,
    pub sequence: Shared<Sequence>,
}

const POSITIONS: [&str; 11] = [
    "account_id",
    "conid",
    "symbol",
    "security_kind",
    "quantity",
    "average_cost_usd",
    "received_at",
    "ingest_seq",
    "sweep_id",
    "run_id",
    "session_date",
];

const ACCOUNT: [&str; 13] = [
    "account_id",
    "net_liquidation_usd",
    "cash_usd",
    "commodities_cash_usd",
    "initial_margin_usd",
    "maintenance_margin_usd",
    "excess_liquidity_usd",
    "look_ahead_excess_liquidity_usd",
    "buying_power_usd",
    "received_at",
    "ingest_seq",
    "run_id",
    "session_date",
];

impl<B: Broker + Feed> Step for AccountStep<B> {
    fn run(&mut self, context: &mut StepContext<'_>) -> anyhow::Result<Vec<String>> {
        let broker = self.broker.borrow();
        let account = match broker.account() {
            Ok(account) => account,
            // Nothing is written, so that nobody takes it for a snapshot. What needs the account
            // says so itself; quotes and models of this run are kept.
            Err(BrokerError::NoAnswer(why)) => {
                return Ok(vec![format!("account and positions: not read: {why}")]);
            }
            Err(error @ BrokerError::Rejected(_)) => return Err(error.into()),
        };
        let run = context.run.clone();
        let mut rows = Vec::new();
        for position in broker.positions() {
            let instrument = broker.contract(position.conid);
            rows.push(vec![
                account.account_id.clone().into(),
                position.conid.0.into(),
                instrument.as_ref().map_or("unknown", |known| known.symbol().as_str()).into(),
                instrument.as_ref().map_or("unknown", kind_text).into(),
                position.quantity.into(),
                position.average_cost.into(),
                run.as_of.into(),
                self.sequence.borrow_mut().advance().into(),
                sweep_id("positions", &account.account_id, run.as_of).into(),
                run.run_id.clone().into(),
                run.session_date.into(),
            ]);
        }
        // Positions come as one snapshot: an account that holds none has answered as well.
        let counts = Completeness { asked: 1, received: 1, two_sided: 0 };
        deliver(context, &TableName::new("bronze", "positions"), &POSITIONS, &rows)?;
        record_sweep(context, "positions", &account.account_id, counts)?;
        let row = vec![
            account.account_id.clone().into(),
            account.net_liquidation.into(),
            account.cash.into(),
            account.commodities_cash.into(),
            account.initial_margin.into(),
            account.maintenance_margin.into(),
            account.excess_liquidity.into(),
            account.look_ahead_excess_liquidity.into(),
            account.buying_power.into(),
            run.as_of.into(),
            self.sequence.borrow_mut().advance().into(),
            run.run_id.clone().into(),
            run.session_date.into(),
        ];
        deliver(context, &TableName::new("bronze", "account"), &ACCOUNT, &[row])?;
        Ok(Vec::new())
    }
}

fn kind_text(instrument: &Instrument) -> &'static str {
    instrument.kind().as_str()
}
