//! The account's requirement and what is left above it, as it stands and as it would stand.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use crate::market::{ConId, Instrument, Price, SecurityKind, Usd};
use crate::structures::margin::requirement;
use crate::structures::{
    AccountSnapshot, Holding, MarginError, MarginHours, MarginPrices, MarginRequirement,
    OrderRequest, OrderType,
};

use super::account::cash_of;
use super::engine::{Exchange, ExchangeError};
use super::view;

/// The account cannot be valued.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    #[error("margin cannot be computed: {0}")]
    Margin(#[from] MarginError),
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
}

/// Figures of the account that its snapshot does not hold. USD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Funds {
    /// Cash, stock and open variation: what counts against the requirement.
    pub equity_with_loan: Usd,
    /// Stock and options, long and short alike.
    pub gross_position_value: Usd,
    /// At the overnight rates.
    pub full_initial_margin: Usd,
    pub full_maintenance_margin: Usd,
}

/// What an order would change, filled in full at its worst price.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Effect {
    pub quantities: Vec<(Instrument, i64)>,
    /// Cash but for commissions.
    pub cash: Usd,
    pub commission: Usd,
    /// Value of the stock that the order brings.
    stock_value: Usd,
    /// Prices that the account's own positions do not have.
    marks: BTreeMap<ConId, Price>,
}

impl Effect {
    /// The legs of an order are of one kind: its commission is paid by one segment.
    fn is_in_futures(&self) -> bool {
        let first = self.quantities.first();
        first.is_some_and(|(instrument, _)| instrument.kind() == SecurityKind::Future)
    }
}

/// Requirement and equity, as they are or would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    pub requirement: MarginRequirement,
    /// Cash, stock and open variation: what counts against the requirement.
    pub equity_with_loan: Usd,
    /// Cash and open variation of the commodities segment.
    pub commodities: Usd,
}

impl Standing {
    /// What is left above the initial requirement.
    pub fn available(&self) -> Usd {
        self.equity_with_loan - self.requirement.initial
    }

    /// What is left above the maintenance requirement.
    pub fn excess(&self) -> Usd {
        self.equity_with_loan - self.requirement.maintenance
    }

    /// What the commodities segment has above its own initial requirement.
    pub fn commodities_available(&self) -> Usd {
        self.commodities - self.requirement.commodities_initial
    }
}

/// Why the effect of an order cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum EffectError {
    #[error("contract {0} is not known")]
    Unknown(ConId),
    #[error("a leg has no quote to value a market order by")]
    NoQuote,
    #[error("{ratio} times {quantity} contracts cannot be counted")]
    TooMany { ratio: i64, quantity: i64 },
    #[error(transparent)]
    Fee(#[from] super::fees::FeeError),
}

impl Exchange {
    /// The account as the broker reports it. Equity is cash and marks; a mark that is not quoted
    /// now is the last good one (see [`Exchange::marked_positions`]).
    pub fn account(&self) -> Result<AccountSnapshot, AccountError> {
        let standing = self.standing(&[])?;
        let options = self.account.value_of(&[SecurityKind::Option]);
        let multiple = Decimal::from(self.config.margin.buying_power_multiple);
        let available = standing.available().max(Usd::ZERO).decimal();
        Ok(AccountSnapshot {
            account_id: self.config.account_id.clone(),
            net_liquidation: (standing.equity_with_loan + options).to_cents(),
            cash: self.account.cash,
            commodities_cash: self.account.commodities_cash,
            initial_margin: standing.requirement.initial.to_cents(),
            maintenance_margin: standing.requirement.maintenance.to_cents(),
            excess_liquidity: standing.excess().to_cents(),
            look_ahead_excess_liquidity: (standing.equity_with_loan
                - standing.requirement.look_ahead)
                .to_cents(),
            buying_power: Usd::new(available * multiple).to_cents(),
            at: self.now,
        })
    }

    /// What the account has beside its snapshot.
    pub fn funds(&self) -> Result<Funds, AccountError> {
        let now = self.standing(&[])?;
        let full = self.standing_in(&[], MarginHours::Overnight)?.requirement;
        let kinds = [SecurityKind::Stock, SecurityKind::Option];
        let counted =
            self.account.marked().filter(|(_, one)| kinds.contains(&one.instrument.kind()));
        let gross: Usd = counted.map(|(_, one)| one.value().abs()).sum();
        Ok(Funds {
            equity_with_loan: now.equity_with_loan.to_cents(),
            gross_position_value: gross.to_cents(),
            full_initial_margin: full.initial.to_cents(),
            full_maintenance_margin: full.maintenance.to_cents(),
        })
    }

    /// Requirement and equity with these effects added.
    pub(super) fn standing(&self, effects: &[&Effect]) -> Result<Standing, AccountError> {
        self.standing_in(effects, self.margin_hours()?)
    }

    fn standing_in(
        &self,
        effects: &[&Effect],
        hours: MarginHours,
    ) -> Result<Standing, AccountError> {
        let mut holdings: BTreeMap<ConId, Holding> = BTreeMap::new();
        let mut prices = self.margin_prices();
        for (conid, position) in self.account.marked() {
            let (instrument, quantity) = (position.instrument.clone(), position.quantity);
            holdings.insert(conid, Holding { instrument, quantity });
        }
        let mut equity_with_loan =
            self.account.cash + self.account.value_of(&[SecurityKind::Stock, SecurityKind::Future]);
        let mut commodities =
            self.account.commodities_cash + self.account.value_of(&[SecurityKind::Future]);
        for effect in effects {
            equity_with_loan += effect.cash + effect.stock_value - effect.commission;
            if effect.is_in_futures() {
                commodities -= effect.commission;
            }
            for (instrument, quantity) in &effect.quantities {
                holdings
                    .entry(instrument.conid())
                    .or_insert_with(|| Holding { instrument: instrument.clone(), quantity: 0 })
                    .quantity += quantity;
                self.add_spot(instrument, &mut prices);
            }
            for (conid, mark) in &effect.marks {
                prices.marks.entry(*conid).or_insert(*mark);
            }
        }
        let holdings: Vec<Holding> =
            holdings.into_values().filter(|holding| holding.quantity != 0).collect();
        let parameters = &self.config.margin.parameters;
        let requirement = requirement(&holdings, &prices, parameters, hours)?;
        Ok(Standing { requirement, equity_with_loan, commodities })
    }

    fn margin_prices(&self) -> MarginPrices {
        let marks = self.account.marked().map(|(conid, position)| (conid, position.mark.price));
        MarginPrices { spots: self.spots.clone(), marks: marks.collect() }
    }

    /// What the broker would ask for a position if it stood alone.
    pub(super) fn maintenance_alone(&self, held: &Holding) -> Result<Usd, AccountError> {
        let parameters = &self.config.margin.parameters;
        let alone = std::slice::from_ref(held);
        let asked = requirement(alone, &self.margin_prices(), parameters, self.margin_hours()?)?;
        Ok(asked.maintenance)
    }

    fn add_spot(&self, instrument: &Instrument, prices: &mut MarginPrices) {
        let spot = view::underlying(&*self.source, instrument.symbol())
            .and_then(|underlying| view::mark(&*self.source, &underlying));
        if let Some(spot) = spot {
            prices.spots.insert(instrument.symbol().clone(), spot);
        }
    }

    /// Futures stand at intraday margin while the stock exchange trades.
    fn margin_hours(&self) -> Result<MarginHours, ExchangeError> {
        Ok(if self.timetable.stocks_trade(self.now)? {
            MarginHours::Intraday
        } else {
            MarginHours::Overnight
        })
    }

    /// What `quantity` combos of an order would change at its limit, or at natural.
    pub(super) fn effect(
        &self,
        request: &OrderRequest,
        quantity: i64,
    ) -> Result<Effect, EffectError> {
        let mut effect = Effect::default();
        for leg in &request.legs {
            let instrument =
                self.source.contract(leg.conid).ok_or(EffectError::Unknown(leg.conid))?;
            let (ratio, too_many) = (leg.ratio, |ratio| EffectError::TooMany { ratio, quantity });
            let contracts = ratio.checked_mul(quantity).ok_or_else(|| too_many(ratio))?;
            effect.commission += self.config.fees.leg(&instrument, contracts)?;
            if let [_] = request.legs.as_slice() {
                effect.commission = effect.commission.max(self.config.fees.order_min(&instrument));
            }
            if let Some(mark) = view::mark(&*self.source, &instrument) {
                effect.marks.insert(leg.conid, mark);
                if instrument.kind() == SecurityKind::Stock {
                    effect.stock_value += mark.value(contracts, 1);
                }
            }
            effect.quantities.push((instrument, contracts));
        }
        let net = match request.order_type {
            OrderType::Limit(limit) => limit,
            OrderType::Market => self.combo_market(request).ok_or(EffectError::NoQuote)?.natural,
        };
        if let Some((instrument, _)) = effect.quantities.first() {
            effect.cash = cash_of(instrument, quantity, net, Usd::ZERO);
        }
        Ok(effect)
    }
}
