//! The broker's truth held against ours, and what follows from the account's figures.

use std::collections::{BTreeMap, BTreeSet};

use crate::broker::{Broker, Feed};
use crate::lake::{Cell, TableName};
use crate::market::{ConId, Instrument, Usd};
use crate::orders::{Books, Difference, Known, Tolerance, reconcile};
use crate::pipeline::StepContext;
use crate::pipeline::{deliver, ops_stamp};
use crate::risk::{BreakerInputs, Cause, MarketPhase, Reading};

use super::{Alert, Trader};

impl<B: Broker + Feed> Trader<B> {
    /// Reads the account: P&L of the day, drawdown, and the breaker's measures of losing.
    pub fn observe(&mut self, context: &StepContext<'_>) -> anyhow::Result<()> {
        let account = self.broker.borrow().account();
        let account = match account {
            Ok(account) => account,
            Err(error) => {
                let alert = Alert {
                    id: format!("account-{}", context.run.run_id),
                    severity: "critical",
                    subject: "the account cannot be read",
                    message: error.to_string(),
                };
                return self.alert(&alert, context.run.as_of);
            }
        };
        self.pnl.observe(context.run.session_date, account.net_liquidation);
        let equity = account.net_liquidation.to_f64();
        let profit = self.pnl.profit_today().map(crate::market::Usd::to_f64);
        let ratio = |part: f64| (equity > 0.0).then(|| part / equity);
        let loss = profit.map(|profit| (-profit).max(0.0)).and_then(ratio);
        let readings = [
            Reading { cause: Cause::DailyLoss, measured: loss, cross_check: loss },
            reading(Cause::Drawdown, self.pnl.drawdown_ratio()),
            reading(Cause::MarginUse, ratio(account.maintenance_margin.to_f64())),
        ];
        let trading = context.run.session_phase == "regular";
        let inputs = BreakerInputs {
            now: context.run.as_of,
            session_date: context.run.session_date,
            phase: if trading { MarketPhase::Trading } else { MarketPhase::NotTrading },
            readings: &readings,
            clean_reconciliation_at: self.clean_reconciliation_at,
        };
        let transitions = self.breaker.evaluate(&inputs, &self.settings.limits.breaker);
        for transition in transitions {
            let alert = Alert {
                id: format!("breaker-{}-{}", transition.cause.as_str(), context.run.run_id),
                severity: "critical",
                subject: "breaker",
                message: format!(
                    "{} moves the breaker from {} to {}: {}",
                    transition.cause.as_str(),
                    transition.from.as_str(),
                    transition.to.as_str(),
                    transition.reason
                ),
            };
            self.alert(&alert, context.run.as_of)?;
        }
        Ok(())
    }
}

const RECONCILIATION: [&str; 11] = [
    "reconciliation_seq",
    "difference",
    "conid",
    "symbol",
    "broker_value",
    "desk_value",
    "action",
    "detail",
    "as_of",
    "run_id",
    "session_date",
];

impl<B: Broker + Feed> Trader<B> {
    /// Holds the broker's positions and cash against the strategies'. A difference blocks entries
    /// in its underlying and raises an alert; where all agrees one row says `clean`.
    pub fn reconcile(&mut self, context: &mut StepContext<'_>) -> anyhow::Result<Vec<String>> {
        let broker = self.broker_books()?;
        let desk = self.desk_books()?;
        let known = self.known_contracts(broker.positions.keys().chain(desk.positions.keys()));
        let tolerance = Tolerance {
            session_date: context.run.session_date,
            cash_tolerance: Usd::from_micros(5_000),
        };
        let differences = reconcile(&broker, &desk, &known, &tolerance);
        self.blocked = differences.iter().filter_map(|found| found.symbol.clone()).collect();
        if differences.is_empty() {
            self.clean_reconciliation_at = Some(context.run.as_of);
        }
        let rows = rows_of(&differences);
        self.record_differences(context, rows)?;
        for difference in &differences {
            let text = text_of(difference);
            let alert = Alert {
                id: format!("difference-{}-{}", difference.kind.as_str(), context.run.run_id),
                severity: "critical",
                subject: "broker and desk differ",
                message: text,
            };
            self.alert(&alert, context.run.as_of)?;
        }
        Ok(differences
            .iter()
            .map(|difference| format!("reconciliation: {}", text_of(difference)))
            .collect())
    }

    fn broker_books(&self) -> anyhow::Result<Books> {
        let broker = self.broker.borrow();
        let positions =
            broker.positions().into_iter().map(|held| (held.conid, held.quantity)).collect();
        Ok(Books { positions, cash: broker.account()?.cash })
    }

    /// Positions as the strategies' legs add up to, and the cash that our executions leave.
    fn desk_books(&self) -> anyhow::Result<Books> {
        let mut positions: BTreeMap<ConId, i64> = BTreeMap::new();
        for leg in self.journal.borrow().held_legs()? {
            *positions.entry(leg.conid).or_default() += leg.quantity;
        }
        positions.retain(|_, quantity| *quantity != 0);
        Ok(Books { positions, cash: self.cash })
    }

    fn known_contracts<'a>(
        &self,
        conids: impl Iterator<Item = &'a ConId>,
    ) -> BTreeMap<ConId, Known> {
        let conids: BTreeSet<ConId> = conids.copied().collect();
        let broker = self.broker.borrow();
        conids
            .into_iter()
            .filter_map(|conid| {
                let instrument = broker.contract(conid)?;
                let expiry_date = match &instrument {
                    Instrument::Option(option) => Some(option.expiry_date),
                    Instrument::Stock(_) | Instrument::Index(_) | Instrument::Future(_) => None,
                };
                let symbol = instrument.symbol().clone();
                Some((conid, Known { symbol, expiry_date, reported: None }))
            })
            .collect()
    }

    fn record_differences(
        &mut self,
        context: &mut StepContext<'_>,
        rows: Vec<Vec<Cell>>,
    ) -> anyhow::Result<()> {
        let stamped: Vec<Vec<Cell>> = rows
            .into_iter()
            .map(|mut row| {
                self.reconciliations += 1;
                row.insert(0, self.reconciliations.into());
                row.extend(ops_stamp(context.run));
                row
            })
            .collect();
        deliver(context, &TableName::new("ops", "reconciliation"), &RECONCILIATION, &stamped)
    }
}

fn rows_of(differences: &[Difference]) -> Vec<Vec<Cell>> {
    if differences.is_empty() {
        let nothing = [Cell::Null, Cell::Null, Cell::Null, Cell::Null];
        let mut row: Vec<Cell> = vec!["clean".into()];
        row.extend(nothing);
        row.extend(["none".into(), "positions and cash agree".into()]);
        return vec![row];
    }
    differences
        .iter()
        .map(|difference| {
            let (theirs, ours) = match difference.conid {
                Some(_) => (difference.broker_quantity as f64, difference.desk_quantity as f64),
                None => (difference.cash.to_f64(), 0.0),
            };
            vec![
                difference.kind.as_str().into(),
                difference.conid.map(|conid| conid.0).into(),
                difference.symbol.as_ref().map(crate::market::Symbol::as_str).into(),
                theirs.into(),
                ours.into(),
                "entries blocked, alert".into(),
                text_of(difference).into(),
            ]
        })
        .collect()
}

fn text_of(difference: &Difference) -> String {
    match difference.conid {
        Some(conid) => format!(
            "{}: contract {conid} {}: the broker holds {}, our strategies {}",
            difference.kind.as_str(),
            difference
                .symbol
                .as_ref()
                .map_or("of an unknown underlying", crate::market::Symbol::as_str),
            difference.broker_quantity,
            difference.desk_quantity
        ),
        None => {
            format!("cash: the broker has {} USD more than our executions leave", difference.cash)
        }
    }
}

fn reading(cause: Cause, measured: Option<f64>) -> Reading {
    Reading { cause, measured, cross_check: None }
}
