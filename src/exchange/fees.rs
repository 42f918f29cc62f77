//! Commissions and regulatory fees, to the cent.
//!
//! Invariants: a fee is never negative and never below the exact sum of its parts (each leg of a
//! fill is rounded up to the cent); exercise, assignment, expiry and cash settlement are free, as
//! at IB. Deliberately absent: exchange rebates, volume tiers, and the reduced commission of
//! options under 0.10 USD (all would lower the cost).

use std::collections::BTreeMap;

use rust_decimal::{Decimal, RoundingStrategy};

use crate::market::{Instrument, Symbol, Usd};

/// What a trade costs.
#[derive(Debug, Clone, PartialEq)]
pub struct FeeSchedule {
    /// USD an option contract, whatever its premium.
    pub option_per_contract: Usd,
    /// Least commission of an option order.
    pub option_order_min: Usd,
    /// USD an option contract, bought or sold: options regulatory fee and clearing.
    pub option_regulatory_per_contract: Usd,
    /// USD an option contract sold: FINRA trading activity fee.
    pub option_regulatory_per_contract_sold: Usd,
    /// USD a futures contract, exchange and regulatory fees included, by root.
    pub future_per_contract: BTreeMap<Symbol, Usd>,
    /// USD a share.
    pub stock_per_share: Usd,
    /// Least commission of a stock order.
    pub stock_order_min: Usd,
}

/// No fee is known for the instrument.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FeeError {
    #[error("no commission is configured for futures of {symbol}: add it to the fee schedule")]
    UnknownFuture { symbol: Symbol },
    #[error("{symbol} is an index and cannot be traded")]
    Index { symbol: Symbol },
}

impl FeeSchedule {
    /// IB Pro, fixed, United States.
    ///
    /// - Options: 0.65 USD a contract, at least 1.00 an order (IB, "Commissions Options", fixed).
    ///   Options regulatory fee 0.02685 and OCC clearing 0.02 a contract, FINRA trading activity
    ///   fee
    ///   0.00279 a contract sold (published pass-through rates of 2025; they change yearly). The
    ///   SEC's section 31 fee has been 0 since 14 May 2025.
    /// - Futures: IB 0.85 + CME 1.38 + NFA 0.02 = 2.25 USD an E-mini, 0.25 + 0.35 + 0.02 = 0.62 a
    ///   Micro E-mini (non-member rates).
    /// - Stock: 0.005 USD a share, at least 1.00 an order.
    pub fn interactive_brokers_fixed() -> Self {
        let mini = Usd::new(Decimal::new(225, 2));
        let micro = Usd::new(Decimal::new(62, 2));
        let roots = [
            ("ES", mini),
            ("NQ", mini),
            ("RTY", mini),
            ("MES", micro),
            ("MNQ", micro),
            ("M2K", micro),
        ];
        Self {
            option_per_contract: Usd::new(Decimal::new(65, 2)),
            option_order_min: Usd::new(Decimal::ONE),
            option_regulatory_per_contract: Usd::new(Decimal::new(4_685, 5)),
            option_regulatory_per_contract_sold: Usd::new(Decimal::new(279, 5)),
            future_per_contract: roots.map(|(root, fee)| (Symbol::new(root), fee)).into(),
            stock_per_share: Usd::new(Decimal::new(5, 3)),
            stock_order_min: Usd::new(Decimal::ONE),
        }
    }

    /// The fee of one leg of one fill: `quantity` signed contracts or shares of `instrument`.
    pub fn leg(&self, instrument: &Instrument, quantity: i64) -> Result<Usd, FeeError> {
        let size = quantity.abs();
        let exact = match instrument {
            Instrument::Option(_) => {
                let sold = if quantity < 0 { size } else { 0 };
                self.option_per_contract.times(size)
                    + self.option_regulatory_per_contract.times(size)
                    + self.option_regulatory_per_contract_sold.times(sold)
            }
            Instrument::Future(future) => self
                .future_per_contract
                .get(&future.symbol)
                .ok_or_else(|| FeeError::UnknownFuture { symbol: future.symbol.clone() })?
                .times(size),
            Instrument::Stock(_) => self.stock_per_share.times(size),
            Instrument::Index(index) => {
                return Err(FeeError::Index { symbol: index.symbol.clone() });
            }
        };
        Ok(up_to_the_cent(exact))
    }

    /// The least commission of an order in this instrument. It is charged with the first fill,
    /// where the fee of that fill is smaller; later fills of the order pay their own fee.
    pub fn order_min(&self, instrument: &Instrument) -> Usd {
        match instrument {
            Instrument::Option(_) => self.option_order_min,
            Instrument::Stock(_) => self.stock_order_min,
            Instrument::Future(_) | Instrument::Index(_) => Usd::ZERO,
        }
    }
}

fn up_to_the_cent(exact: Usd) -> Usd {
    Usd::new(exact.decimal().round_dp_with_strategy(2, RoundingStrategy::AwayFromZero))
}
