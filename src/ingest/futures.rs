//! Quotes of the index futures, every listed month of every root of the universe.

use crate::broker::{Feed, Received};
use crate::lake::TableName;
use crate::market::{Symbol, TwoSided};
use crate::pipeline::{Step, StepContext};

use super::{Completeness, record_sweep, sweep_id};
use crate::pipeline::{Sequence, Shared, deliver};

/// One quote a listed future.
pub struct FuturesStep<F> {
    pub feed: Shared<F>,
    pub sequence: Shared<Sequence>,
    pub roots: Vec<Symbol>,
}

const COLUMNS: [&str; 16] = [
    "conid",
    "symbol",
    "local_symbol",
    "expiry_date",
    "bid",
    "ask",
    "last",
    "bid_size",
    "ask_size",
    "volume",
    "quoted_at",
    "received_at",
    "ingest_seq",
    "sweep_id",
    "run_id",
    "session_date",
];

impl<F: Feed> Step for FuturesStep<F> {
    fn run(&mut self, context: &mut StepContext<'_>) -> anyhow::Result<Vec<String>> {
        let listed = self.feed.borrow().futures();
        let mut rows = Vec::new();
        for root in &self.roots {
            let mut counts = Completeness::default();
            for future in listed.iter().filter(|future| future.symbol == *root) {
                counts.asked += 1;
                let received = self.feed.borrow().future_quote(future.conid);
                let Some(Received { quote, at }) = received else { continue };
                counts.received += 1;
                counts.two_sided += i64::from(TwoSided::new(quote.bid, quote.ask).is_some());
                rows.push(vec![
                    quote.conid.0.into(),
                    root.as_str().into(),
                    (&*future.local_symbol).into(),
                    future.expiry_date.into(),
                    quote.bid.into(),
                    quote.ask.into(),
                    quote.last.into(),
                    quote.bid_size.into(),
                    quote.ask_size.into(),
                    quote.volume.into(),
                    quote.quoted_at.into(),
                    at.into(),
                    self.sequence.borrow_mut().advance().into(),
                    sweep_id("futures", root.as_str(), context.run.as_of).into(),
                    context.run.run_id.clone().into(),
                    context.run.session_date.into(),
                ]);
            }
            if !listed.is_empty() {
                record_sweep(context, "futures", root.as_str(), counts)?;
            }
        }
        deliver(context, &TableName::new("bronze", "futures_quotes"), &COLUMNS, &rows)?;
        Ok(Vec::new())
    }
}
