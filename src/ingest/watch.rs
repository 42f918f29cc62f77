//! Names the contracts of the next sweep to a feed that has to subscribe, before the sweep asks for
//! their quotes: a desk that starts within a session would else begin with an empty chain.

use std::collections::BTreeSet;

use crate::broker::{Broker, Feed};
use crate::market::{ConId, Symbol};
use crate::pipeline::{Shared, Step, StepContext};

use super::chains::{ChainWindow, spot_of};
use super::universe::select;

/// Writes nothing.
pub struct WatchStep<B> {
    pub broker: Shared<B>,
    pub symbols: Vec<Symbol>,
    pub window: ChainWindow,
}

impl<B: Broker + Feed> Step for WatchStep<B> {
    fn run(&mut self, context: &mut StepContext<'_>) -> anyhow::Result<Vec<String>> {
        let mut broker = self.broker.borrow_mut();
        let held: BTreeSet<ConId> =
            broker.positions().iter().map(|position| position.conid).collect();
        for symbol in &self.symbols {
            let spot = broker.underlying_quote(symbol).and_then(|found| spot_of(&found.quote));
            let listed = broker.option_contracts(symbol);
            let at = (spot, context.run.session_date);
            let asked = select(&self.window.borrowed(), &listed, at, &held);
            let conids: Vec<ConId> = asked.iter().map(|contract| contract.conid).collect();
            broker.watch(symbol, &conids);
        }
        Ok(Vec::new())
    }
}
