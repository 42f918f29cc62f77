//! Quotes of the ETFs and of the VIX index.

use crate::broker::{Feed, Received};
use crate::lake::TableName;
use crate::market::{Symbol, TwoSided};
use crate::pipeline::{Step, StepContext};

use super::{Completeness, record_sweep, sweep_id};
use crate::pipeline::{Sequence, Shared, deliver};

/// One quote an underlying of the universe.
pub struct UnderlyingsStep<F> {
    pub feed: Shared<F>,
    pub sequence: Shared<Sequence>,
    pub symbols: Vec<Symbol>,
}

const COLUMNS: [&str; 13] = [
    "conid",
    "symbol",
    "bid",
    "ask",
    "last",
    "bid_size",
    "ask_size",
    "quoted_at",
    "received_at",
    "ingest_seq",
    "sweep_id",
    "run_id",
    "session_date",
];

impl<F: Feed> Step for UnderlyingsStep<F> {
    fn run(&mut self, context: &mut StepContext<'_>) -> anyhow::Result<Vec<String>> {
        let mut rows = Vec::new();
        for symbol in &self.symbols {
            let received = self.feed.borrow().underlying_quote(symbol);
            let mut counts = Completeness { asked: 1, ..Completeness::default() };
            if let Some(Received { quote, at }) = received {
                counts.received = 1;
                counts.two_sided = i64::from(TwoSided::new(quote.bid, quote.ask).is_some());
                rows.push(vec![
                    quote.conid.0.into(),
                    symbol.as_str().into(),
                    quote.bid.into(),
                    quote.ask.into(),
                    quote.last.into(),
                    quote.bid_size.into(),
                    quote.ask_size.into(),
                    quote.quoted_at.into(),
                    at.into(),
                    self.sequence.borrow_mut().advance().into(),
                    sweep_id("underlyings", symbol.as_str(), context.run.as_of).into(),
                    context.run.run_id.clone().into(),
                    context.run.session_date.into(),
                ]);
            }
            record_sweep(context, "underlyings", symbol.as_str(), counts)?;
        }
        deliver(context, &TableName::new("bronze", "underlying_quotes"), &COLUMNS, &rows)?;
        Ok(Vec::new())
    }
}
