//! Differences that have an explanation, booked.
//!
//! A broker that reports expiries and assignments by itself leaves nothing to explain. IB shows
//! only what is left, so what became of the rest is worked out from what must have happened, and
//! booked as the same kinds of executions, once.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};

use crate::broker::{Broker, Feed};
use crate::journal::{Applied, ReconciliationRow};
use crate::market::{ConId, Instrument, Price, Symbol, Timestamp};
use crate::orders::{Books, CashCause, Evidence, Movement, explain};
use crate::pipeline::StepContext;
use crate::structures::{Execution, ExecutionKind};

use super::settle::{cash_tolerance, row_of};
use super::{Alert, Trader};

/// How long after its ex-date a dividend may be paid.
const DIVIDEND_PAID_WITHIN: Days = Days::new(60);

/// What became of the differences.
pub(super) struct Healed {
    pub lines: Vec<String>,
    pub rows: Vec<ReconciliationRow>,
}

impl<B: Broker + Feed> Trader<B> {
    /// Books what explains every difference; where nothing does, says so and books nothing.
    pub(super) fn heal(
        &mut self,
        context: &mut StepContext<'_>,
        books: (&Books, &Books),
    ) -> anyhow::Result<Healed> {
        let now = context.run.as_of;
        let movements = match self.explanation(context, books)? {
            Ok(movements) => movements,
            Err(why) => {
                let lines = vec![format!("reconciliation: not explained, {why}")];
                return Ok(Healed { lines, rows: Vec::new() });
            }
        };
        let mut healed = Healed { lines: Vec::new(), rows: Vec::new() };
        let mut booked = Vec::new();
        for movement in movements {
            let execution = self.execution_of(&movement, now);
            if !self.book_found(&execution)? {
                continue;
            }
            self.cash += execution.cash;
            let text = text_of(&movement);
            let alert = Alert {
                id: format!("booked-{}", execution.exec_id),
                severity: "warning",
                subject: "booked from the broker's books",
                message: text.clone(),
            };
            self.alert(&alert, now)?;
            healed.lines.push(format!("reconciliation: booked {text}"));
            healed.rows.push(ReconciliationRow {
                conid: movement.conid,
                symbol: movement.conid.and_then(|conid| self.symbol_of(conid)),
                ..row_of(difference_of(movement.kind), "booked", (text, now))
            });
            booked.push(execution);
        }
        self.store_executions(context, &booked)?;
        Ok(healed)
    }

    fn book_found(&self, execution: &Execution) -> anyhow::Result<bool> {
        if execution.conid == ConId::ACCOUNT {
            return Ok(self.journal.borrow_mut().book_cash(execution)?);
        }
        Ok(self.apply(execution)? != Applied::Known)
    }

    fn explanation(
        &self,
        context: &StepContext<'_>,
        (broker, desk): (&Books, &Books),
    ) -> anyhow::Result<Result<Vec<Movement>, crate::orders::Unexplained>> {
        let session_date = context.run.session_date;
        let contracts: BTreeMap<ConId, Instrument> = {
            let feed = self.broker.borrow();
            let conids = broker.positions.keys().chain(desk.positions.keys());
            conids.filter_map(|conid| Some((*conid, feed.contract(*conid)?))).collect()
        };
        let underlyings = self.broker.borrow().underlyings();
        let stocks: BTreeMap<Symbol, ConId> = underlyings
            .iter()
            .filter_map(|one| match one {
                Instrument::Stock(stock) => Some((stock.symbol.clone(), stock.conid)),
                Instrument::Index(_) | Instrument::Option(_) | Instrument::Future(_) => None,
            })
            .collect();
        Ok(explain(&Evidence {
            broker,
            desk,
            contracts: &contracts,
            stocks: &stocks,
            levels: &self.levels(&underlyings),
            cash_causes: &self.cash_causes((desk, &stocks), session_date)?,
            cash_tolerance: cash_tolerance(),
            session_date,
            at: context.run.as_of,
        }))
    }

    fn levels(&self, underlyings: &[Instrument]) -> BTreeMap<Symbol, Price> {
        let feed = self.broker.borrow();
        underlyings
            .iter()
            .filter_map(|one| {
                let symbol = one.symbol();
                Some((symbol.clone(), feed.underlying_quote(symbol)?.quote.last?))
            })
            .collect()
    }

    /// Dividends of stock that the desk holds, and what a person has confirmed, so far as they are
    /// not booked.
    fn cash_causes(
        &self,
        (desk, stocks): (&Books, &BTreeMap<Symbol, ConId>),
        session_date: NaiveDate,
    ) -> anyhow::Result<Vec<CashCause>> {
        let journal = self.journal.borrow();
        let mut causes = Vec::new();
        for dividend in self.broker.borrow().dividends() {
            let (ex_date, latest) = (dividend.ex_date, dividend.ex_date + DIVIDEND_PAID_WITHIN);
            let stock = stocks.get(&dividend.symbol);
            let held = stock.and_then(|conid| Some((*conid, *desk.positions.get(conid)?)));
            let Some((conid, shares)) = held else { continue };
            let cause = CashCause {
                id: format!("{ex_date}.{conid}"),
                kind: ExecutionKind::Dividend,
                conid: Some(conid),
                amount: dividend.amount.value(shares, 1).to_cents(),
            };
            let is_due = ex_date <= session_date && session_date <= latest;
            if is_due && !journal.has_booked(&exec_id_of(&cause.id, cause.kind))? {
                causes.push(cause);
            }
        }
        let confirmed = journal.unbooked_cash()?;
        causes.extend(confirmed.into_iter().map(|one| CashCause {
            id: one.booking_id,
            kind: ExecutionKind::Interest,
            conid: None,
            amount: one.amount,
        }));
        Ok(causes)
    }

    fn execution_of(&self, movement: &Movement, at: Timestamp) -> Execution {
        let conid = movement.conid.unwrap_or(ConId::ACCOUNT);
        let instrument = self.broker.borrow().contract(conid);
        Execution {
            exec_id: exec_id_of(&movement.group_id, movement.kind),
            order_ref: None,
            perm_id: None,
            group_id: movement.group_id.clone(),
            kind: movement.kind,
            conid,
            quantity: movement.quantity,
            price: movement.price,
            multiplier: instrument.map_or(1, |known| known.multiplier()),
            commission: crate::market::Usd::ZERO,
            cash: movement.cash,
            at,
        }
    }

    fn symbol_of(&self, conid: ConId) -> Option<String> {
        self.broker.borrow().contract(conid).map(|known| known.symbol().to_string())
    }
}

fn exec_id_of(group_id: &str, kind: ExecutionKind) -> String {
    format!("{group_id}.{}", kind.as_str())
}

/// The word of `ops.reconciliation` for a movement.
fn difference_of(kind: ExecutionKind) -> &'static str {
    match kind {
        ExecutionKind::Assignment | ExecutionKind::Exercise | ExecutionKind::Delivery => {
            "assignment"
        }
        ExecutionKind::Expiry | ExecutionKind::CashSettlement => "expiry",
        ExecutionKind::Trade
        | ExecutionKind::Correction
        | ExecutionKind::Liquidation
        | ExecutionKind::Variation
        | ExecutionKind::Dividend
        | ExecutionKind::Interest => "cash",
    }
}

fn text_of(movement: &Movement) -> String {
    let what = movement.kind.as_str();
    match (movement.conid, movement.price) {
        (Some(conid), Some(price)) => format!(
            "{what} of {} of contract {conid} at {price}, {} USD",
            movement.quantity, movement.cash
        ),
        (Some(conid), None) => format!("{what} of contract {conid}, {} USD", movement.cash),
        (None, _) => format!("{what}, {} USD ({})", movement.cash, movement.group_id),
    }
}
