//! Small ids for the contracts of a record: the protocol of TWS has 32 bits for one, and the ids
//! that are computed from a symbol have 53.
//!
//! Invariant: numbered in the order of their symbols over the whole record, so that the same record
//! gives the same ids each time. Another record gives others.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::market::{ConId, Instrument, OptionContract, StockContract};

use super::RecordedMarket;

/// Where the ids of underlyings and of options begin.
const UNDERLYINGS_FROM: i64 = 10_001;
const OPTIONS_FROM: i64 = 100_001;

impl RecordedMarket {
    /// The same market with ids that fit the protocol of TWS. To be called before any time passes.
    #[must_use]
    pub fn with_small_ids(mut self) -> Self {
        let named: BTreeMap<Arc<str>, Arc<OptionContract>> = self
            .rows
            .iter()
            .map(|row| (Arc::clone(&row.contract.occ_symbol), Arc::clone(&row.contract)))
            .collect();
        let small: BTreeMap<ConId, Arc<OptionContract>> = (OPTIONS_FROM..)
            .zip(named.into_values())
            .map(|(id, contract)| {
                let numbered = OptionContract { conid: ConId(id), ..(*contract).clone() };
                (contract.conid, Arc::new(numbered))
            })
            .collect();
        for row in &mut self.rows {
            if let Some(contract) = small.get(&row.contract.conid) {
                row.quote.conid = contract.conid;
                row.contract = Arc::clone(contract);
            }
        }
        let underlyings = (UNDERLYINGS_FROM..).zip(self.underlyings.values_mut());
        for (id, instrument) in underlyings {
            let contract = StockContract { conid: ConId(id), symbol: instrument.symbol().clone() };
            *instrument = match instrument {
                Instrument::Index(_) => Instrument::Index(contract),
                Instrument::Stock(_) | Instrument::Option(_) | Instrument::Future(_) => {
                    Instrument::Stock(contract)
                }
            };
        }
        self
    }
}
