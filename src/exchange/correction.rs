//! Trades that the exchange breaks afterwards, as obvious errors are: position and cash go back as
//! if the trade had never been, its commission too.
//!
//! Invariants: only the newest trade can be broken, whole, once, and while all its legs trade. The
//! average cost of what was held before is not restored to the cent.

use crate::market::Instrument;
use crate::structures::Execution;

use super::engine::Exchange;

pub use crate::structures::VOID;

impl Exchange {
    /// Breaks the newest trade of an order. Its group, or `None` where there is no trade, or a leg
    /// of it does not trade now.
    pub fn break_last_trade(&mut self) -> Option<String> {
        let legs: Vec<(Execution, Instrument)> = self
            .last_trade
            .iter()
            .filter(|leg| self.market_open(leg.conid))
            .filter_map(|leg| Some((leg.clone(), self.source.contract(leg.conid)?)))
            .collect();
        if legs.len() != self.last_trade.len() {
            return None;
        }
        self.last_trade.clear();
        let group_id = legs.first().map(|(leg, _)| leg.group_id.clone());
        for (leg, instrument) in legs {
            self.note_future(&instrument);
            self.book_execution(leg.reversal(self.now), &instrument);
            self.refresh_mark(leg.conid, &instrument);
        }
        group_id
    }

    /// At most so many combos a fill from now on; `None` for as many as the market takes.
    pub fn fill_combos_at_most(&mut self, most: Option<i64>) {
        self.combos_a_fill = most;
    }
}

#[cfg(test)]
mod tests {
    use super::super::ExchangeConfig;
    use super::super::testing::Bench;
    use crate::structures::ExecutionKind;
    use crate::structures::testing::{monday, put};

    fn spread() -> (Bench, [(crate::market::ConId, i64); 2]) {
        let mut bench = Bench::with(monday(), ExchangeConfig::shipped(1));
        let short = bench.option(&put(620.0, 30), (6.00, 6.10), 40);
        let long = bench.option(&put(615.0, 30), (5.00, 5.10), 40);
        (bench, [(short, -1), (long, 1)])
    }

    #[test]
    fn a_broken_trade_leaves_the_account_as_if_it_had_never_been() {
        let (mut bench, legs) = spread();
        let before = bench.exchange.account().unwrap();
        bench.trade(&legs, 3);
        let traded = bench.executions();
        let group = bench.exchange.break_last_trade();
        assert_eq!(group.as_ref(), traded.first().map(|one| &one.group_id));
        let back = bench.executions();
        assert_eq!(back.len(), 2);
        for (trade, reversal) in traded.iter().zip(&back) {
            assert_eq!(reversal.kind, ExecutionKind::Correction);
            assert_eq!(reversal.exec_id, format!("{}.void", trade.exec_id));
            assert_eq!(reversal.quantity, -trade.quantity);
            assert_eq!(reversal.cash, -trade.cash);
        }
        assert!(bench.exchange.positions().is_empty());
        let after = bench.exchange.account().unwrap();
        assert_eq!((after.cash, after.net_liquidation), (before.cash, before.net_liquidation));
        assert_eq!(bench.exchange.break_last_trade(), None, "once");
    }

    #[test]
    fn only_what_trades_can_be_broken() {
        let (mut bench, _) = spread();
        assert_eq!(bench.exchange.break_last_trade(), None, "no trade, nothing to break");
    }

    #[test]
    fn a_short_option_is_closed_by_force_though_the_account_can_carry_it() {
        let (mut bench, legs) = spread();
        assert!(!bench.exchange.liquidate_short_option(), "none is held");
        bench.trade(&legs, 2);
        bench.minute();
        bench.executions();
        assert!(bench.exchange.liquidate_short_option());
        let forced = bench.executions();
        assert_eq!(forced.len(), 1);
        let one = &forced[0];
        assert_eq!((one.kind, one.conid, one.quantity), (ExecutionKind::Liquidation, legs[0].0, 2));
        assert_eq!((&one.order_ref, one.perm_id), (&None, None));
    }
}
