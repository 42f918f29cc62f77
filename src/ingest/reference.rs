//! Reference data through the market's own door: rates, dividends, events, and daily bars (a year
//! of them before the first session, then each session's after its close).

use std::collections::BTreeMap;

use crate::broker::{Bar, Feed, Rate};
use crate::lake::{Cell, TableName};
use crate::market::Symbol;
use crate::pipeline::{Run, Step, StepContext};

use crate::pipeline::{Sequence, Shared, deliver};

/// Publishes what the feed knows beside quotes.
pub struct ReferenceStep<F> {
    pub feed: Shared<F>,
    pub sequence: Shared<Sequence>,
    /// Symbols and roots whose bars are kept.
    pub bar_symbols: Vec<Symbol>,
    /// Bars that are in bronze already.
    pub delivered: Delivered,
}

/// Bars by symbol and session, and what of them was known.
pub type Delivered = BTreeMap<(Symbol, chrono::NaiveDate), BarContent>;

/// Whether a bar had its implied volatility, which may come later than the prices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BarContent {
    Prices,
    PricesAndVol,
}

impl BarContent {
    pub fn of(implied_vol: Option<f64>) -> Self {
        if implied_vol.is_some() { Self::PricesAndVol } else { Self::Prices }
    }
}

const BARS: [&str; 14] = [
    "symbol",
    "bar_size",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "implied_vol",
    "price_basis",
    "source",
    "received_at",
    "ingest_seq",
    "run_id",
    "session_date",
];
const RATES: [&str; 9] = [
    "maturity_date",
    "rate",
    "rate_error",
    "source",
    "valid_through",
    "received_at",
    "ingest_seq",
    "run_id",
    "session_date",
];
const DIVIDENDS: [&str; 10] = [
    "symbol",
    "ex_date",
    "amount_usd",
    "certainty",
    "source",
    "valid_through",
    "received_at",
    "ingest_seq",
    "run_id",
    "session_date",
];
const EVENTS: [&str; 8] = [
    "event_name",
    "event_at",
    "source",
    "valid_through",
    "received_at",
    "ingest_seq",
    "run_id",
    "session_date",
];

/// Publishes the rates whenever they have changed: a recorded market measures them as it goes.
pub struct RatesStep<F> {
    pub feed: Shared<F>,
    pub sequence: Shared<Sequence>,
    pub last: Vec<Rate>,
}

impl<F: Feed> Step for RatesStep<F> {
    fn run(&mut self, context: &mut StepContext<'_>) -> anyhow::Result<Vec<String>> {
        let rates = self.feed.borrow().rates();
        if rates == self.last {
            return Ok(Vec::new());
        }
        let rows: Vec<Vec<Cell>> = rates
            .iter()
            .map(|rate| {
                let mut row = vec![
                    rate.maturity_date.into(),
                    rate.rate.into(),
                    rate.rate_error.into(),
                    rate.source.clone().into(),
                    rate.valid_through.into(),
                ];
                row.extend(stamp(&self.sequence, context.run));
                row
            })
            .collect();
        self.last = rates;
        deliver(context, &TableName::new("bronze", "rates"), &RATES, &rows)?;
        Ok(Vec::new())
    }
}

/// The last four columns of every reference table.
fn stamp(sequence: &Shared<Sequence>, run: &Run) -> [Cell; 4] {
    [
        run.as_of.into(),
        sequence.borrow_mut().advance().into(),
        run.run_id.clone().into(),
        run.session_date.into(),
    ]
}

impl<F: Feed> Step for ReferenceStep<F> {
    fn run(&mut self, context: &mut StepContext<'_>) -> anyhow::Result<Vec<String>> {
        self.dividends(context)?;
        self.events(context)?;
        self.bars(context)?;
        Ok(Vec::new())
    }
}

impl<F: Feed> ReferenceStep<F> {
    fn dividends(&self, context: &mut StepContext<'_>) -> anyhow::Result<()> {
        let rows: Vec<Vec<Cell>> = self
            .feed
            .borrow()
            .dividends()
            .into_iter()
            .map(|dividend| {
                let mut row = vec![
                    dividend.symbol.as_str().into(),
                    dividend.ex_date.into(),
                    dividend.amount.into(),
                    dividend.certainty.into(),
                    dividend.source.into(),
                    dividend.valid_through.into(),
                ];
                row.extend(stamp(&self.sequence, context.run));
                row
            })
            .collect();
        deliver(context, &TableName::new("bronze", "dividends"), &DIVIDENDS, &rows)
    }

    fn events(&self, context: &mut StepContext<'_>) -> anyhow::Result<()> {
        let rows: Vec<Vec<Cell>> = self
            .feed
            .borrow()
            .events()
            .into_iter()
            .map(|event| {
                let mut row = vec![
                    event.event_name.into(),
                    event.event_at.into(),
                    event.source.into(),
                    event.valid_through.into(),
                ];
                row.extend(stamp(&self.sequence, context.run));
                row
            })
            .collect();
        deliver(context, &TableName::new("bronze", "events"), &EVENTS, &rows)
    }

    fn bars(&mut self, context: &mut StepContext<'_>) -> anyhow::Result<()> {
        // Each time: sessions that the desk has missed are in it too.
        let mut bars = self.feed.borrow().history();
        for symbol in &self.bar_symbols {
            bars.extend(self.feed.borrow().daily_bar(symbol, context.run.session_date));
        }
        let mut rows = Vec::new();
        for bar in bars {
            let key = (bar.symbol.clone(), bar.session);
            let content = BarContent::of(bar.implied_vol);
            if self.delivered.get(&key).is_none_or(|before| *before < content) {
                self.delivered.insert(key, content);
                rows.push(self.bar_row(bar, context.run));
            }
        }
        deliver(context, &TableName::new("bronze", "bars"), &BARS, &rows)
    }

    /// A bar belongs to its own session, whenever it is delivered.
    fn bar_row(&self, bar: Bar, run: &Run) -> Vec<Cell> {
        vec![
            bar.symbol.as_str().into(),
            "1 day".into(),
            bar.open.into(),
            bar.high.into(),
            bar.low.into(),
            bar.close.into(),
            bar.volume.into(),
            bar.implied_vol.into(),
            bar.price_basis.into(),
            bar.source.into(),
            run.as_of.into(),
            self.sequence.borrow_mut().advance().into(),
            run.run_id.clone().into(),
            bar.session.into(),
        ]
    }
}
