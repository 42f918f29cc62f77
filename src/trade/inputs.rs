//! What the gate reads beside the order, gathered anew before each verdict.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Duration, NaiveDate};
use serde::{Deserialize, Serialize};

use crate::broker::{Broker, Feed};
use crate::journal::{LegRow, OrderRow, StrategyRow, StrategyState};
use crate::market::sessions::Venue;
use crate::market::{ConId, SecurityKind, Symbol, Timestamp, Usd};
use crate::pipeline::StepContext;
use crate::risk::{
    AccountView, Activity, AssignedNotional, Book, BookStrategy, BreakerLevel, Fate, GateInputs,
    MarketView, Opened, Presence, RecentOrder, RequiredInput, RiskLimits, ScenarioGrid,
    SessionPhase, SessionView, WorkingOrder, assigned_notional, cluster_vega, nearest_expiry,
};
use crate::structures::{
    AccountSnapshot, CoveragePolicy, Holding, Leg, OrderState, StructureKind, WhatIf,
};

use super::Trader;
use super::market::market_view;

/// Profit and loss as limits see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PnlToday {
    session_date: Option<NaiveDate>,
    /// Net liquidation at the last reading of the session before.
    start: Option<Usd>,
    last: Option<Usd>,
    highest: Option<Usd>,
}

impl PnlToday {
    /// Takes a reading of net liquidation.
    pub fn observe(&mut self, session_date: NaiveDate, net_liquidation: Usd) {
        if self.session_date != Some(session_date) {
            self.session_date = Some(session_date);
            self.start = Some(self.last.unwrap_or(net_liquidation));
        }
        self.last = Some(net_liquidation);
        self.highest = self.highest.max(Some(net_liquidation));
    }

    /// Since the session before, loss negative.
    pub fn profit_today(&self) -> Option<Usd> {
        Some(self.last? - self.start?)
    }

    /// From the highest reading, a fraction of it.
    pub fn drawdown_ratio(&self) -> Option<f64> {
        let (highest, last) = (self.highest?.to_f64(), self.last?.to_f64());
        (highest > 0.0).then(|| (highest - last) / highest)
    }
}

/// Everything that one verdict reads, owned.
pub struct Gathered {
    pub now: Timestamp,
    pub session_date: NaiveDate,
    pub session: SessionView,
    pub account: AccountView,
    pub breaker: BreakerLevel,
    pub market: MarketView,
    pub book: Book,
    pub grid: ScenarioGrid,
    pub activity: Activity,
    pub cluster_vega: Option<f64>,
    pub required: Vec<RequiredInput>,
}

impl Gathered {
    pub fn gate<'a>(
        &'a self,
        limits: &'a RiskLimits,
        what_if: Result<&'a WhatIf, &'a str>,
    ) -> GateInputs<'a> {
        GateInputs {
            now: self.now,
            session_date: self.session_date,
            limits,
            session: self.session,
            account: &self.account,
            breaker: self.breaker,
            market: &self.market,
            book: &self.book,
            grid: &self.grid,
            what_if,
            activity: &self.activity,
            cluster_vega: self.cluster_vega,
            required: &self.required,
        }
    }
}

impl<B: Broker + Feed> Trader<B> {
    /// Gathers what a verdict on an order of `legs` reads.
    pub(super) fn gather(
        &self,
        context: &StepContext<'_>,
        legs: &[Leg],
    ) -> anyhow::Result<Gathered> {
        let now = context.run.as_of;
        let strategies = self.journal.borrow().strategies()?;
        let all_legs = self.journal.borrow().legs()?;
        let held: Vec<LegRow> = all_legs.iter().filter(|leg| leg.quantity != 0).cloned().collect();
        let market = market_view(context, &self.in_question(&held, legs))?;
        let book = self.book(&strategies, &held, context.run.session_date);
        let account = self.broker.borrow().account().ok();
        let grid = self.grid((&book, legs), &market, now);
        let account = self.account_view(account.as_ref(), (&book, &market), now);
        let orders = self.journal.borrow().orders()?;
        let symbol = legs.first().map(|leg| leg.instrument.symbol().clone());
        let cluster = symbol.as_ref().and_then(|symbol| self.settings.limits.cluster_of(symbol));
        Ok(Gathered {
            now,
            session_date: context.run.session_date,
            session: self.session_view(now, context.run.session_date, symbol.as_ref())?,
            account,
            breaker: self.breaker.level(),
            required: self.required((&market, legs), (&orders, &held)),
            activity: activity(&orders, (&strategies, &all_legs), &self.settings.limits, now),
            cluster_vega: cluster.and_then(|symbols| cluster_vega(&book, &market, symbols)),
            market,
            book,
            grid,
        })
    }

    /// The contracts that the gate looks at: what is held, what works, and the order's own.
    fn in_question(&self, held: &[LegRow], legs: &[Leg]) -> BTreeSet<ConId> {
        let works = self.working.values().flat_map(|working| &working.mandate.proposed().legs);
        let named = works.chain(legs).map(|leg| leg.instrument.conid());
        named.chain(held.iter().map(|leg| leg.conid)).collect()
    }

    fn book(&self, strategies: &[StrategyRow], held: &[LegRow], today: NaiveDate) -> Book {
        let open = strategies.iter().filter(|row| row.state == StrategyState::Open);
        let rows = open
            .map(|row| {
                let holdings = self.holdings_of(held, &row.strategy_id);
                BookStrategy {
                    strategy_id: row.strategy_id.clone(),
                    symbol: Symbol::new(&row.symbol),
                    structure: StructureKind::from_name(&row.structure)
                        .unwrap_or(StructureKind::Other),
                    expiry_date: nearest_expiry(holdings.iter().map(|one| &one.instrument)),
                    holdings,
                    reserved_cash: Usd::ZERO,
                    policy: CoveragePolicy::Required,
                    max_loss: row.max_loss_each.times(row.quantity),
                    opened_on: row.opened_at.map_or(today, |at| at.date_naive()),
                }
            })
            .collect();
        let working = self.working.values().map(super::work::Working::as_book_entry).collect();
        Book::new(rows, working)
    }

    /// What a strategy holds, with the contracts as the broker describes them.
    pub(super) fn holdings_of(&self, held: &[LegRow], strategy_id: &str) -> Vec<Holding> {
        let broker = self.broker.borrow();
        held.iter()
            .filter(|leg| leg.strategy_id == strategy_id)
            .filter_map(|leg| {
                let instrument = broker.contract(leg.conid)?;
                Some(Holding { instrument, quantity: leg.quantity })
            })
            .collect()
    }

    fn grid(
        &self,
        (book, legs): (&Book, &[Leg]),
        market: &MarketView,
        now: Timestamp,
    ) -> ScenarioGrid {
        let mut grid = ScenarioGrid::new(self.settings.limits.scenario.clone());
        let held = book.strategies().flat_map(|strategy| &strategy.holdings);
        let working = book.working().iter().flat_map(|order: &WorkingOrder| &order.legs);
        let instruments = held
            .map(|holding| &holding.instrument)
            .chain(working.map(|leg| &leg.instrument))
            .chain(legs.iter().map(|leg| &leg.instrument));
        for instrument in instruments {
            if let Some(quote) = market.legs.get(&instrument.conid()) {
                grid.update(instrument, quote, now);
            }
        }
        grid
    }

    fn account_view(
        &self,
        account: Option<&AccountSnapshot>,
        (book, market): (&Book, &MarketView),
        now: Timestamp,
    ) -> AccountView {
        let assigned = book.strategies().try_fold(AssignedNotional::default(), |sum, strategy| {
            let limits = &self.settings.limits.account;
            let part = assigned_notional(&strategy.holdings, market, limits, now)?;
            Some(sum.plus(part))
        });
        AccountView {
            net_liquidation: account.map(|view| view.net_liquidation),
            capital: self.settings.capital,
            cash: account.map(|view| view.cash),
            commodities_cash: account.map(|view| view.commodities_cash),
            excess_liquidity: account.map(|view| view.excess_liquidity),
            look_ahead_excess_liquidity: account.map(|view| view.look_ahead_excess_liquidity),
            // Reg-T: stock held overnight ties up half of its price.
            overnight_buying_power: account.map(|view| view.excess_liquidity.times(2)),
            assigned_notional: assigned,
            profit_today: self.pnl.profit_today(),
            drawdown_ratio: self.pnl.drawdown_ratio(),
        }
    }

    fn session_view(
        &self,
        now: Timestamp,
        session_date: NaiveDate,
        symbol: Option<&Symbol>,
    ) -> anyhow::Result<SessionView> {
        let options = self.calendar.session(Venue::EtfOptions, session_date)?;
        let stocks = self.calendar.session(Venue::Xnys, session_date)?;
        let halted = symbol.is_some_and(|symbol| self.broker.borrow().is_halted(symbol));
        let phase = match &options {
            Some(_) if halted => SessionPhase::Halted,
            Some(session) if session.contains(now) => SessionPhase::Open,
            Some(_) | None => SessionPhase::Closed,
        };
        let minutes = |span: Duration| span.num_seconds() as f64 / 60.0;
        Ok(SessionView {
            phase,
            minutes_since_open: options.as_ref().map(|session| minutes(now - session.open)),
            minutes_to_close: stocks.as_ref().map(|session| minutes(session.close - now)),
        })
    }

    fn required(
        &self,
        (market, legs): (&MarketView, &[Leg]),
        (orders, held): (&[OrderRow], &[LegRow]),
    ) -> Vec<RequiredInput> {
        let symbol = legs.first().map(|leg| leg.instrument.symbol());
        let present = |found: Option<()>| match found {
            Some(()) => Presence::Present,
            None => Presence::Missing,
        };
        let rates = legs
            .iter()
            .all(|leg| {
                market.legs.get(&leg.instrument.conid()).is_some_and(|leg| leg.rate.is_some())
            })
            .then_some(());
        let undisputed = symbol.is_some_and(|symbol| !self.dispute.blocks(symbol)).then_some(());
        let known_fates = symbol.is_some_and(|symbol| !self.is_clouded(symbol, orders));
        let no_delivery = symbol.is_some_and(|symbol| {
            !held.iter().any(|leg| is_delivered(leg) && leg.symbol == symbol.as_str())
        });
        vec![
            RequiredInput { name: "risk-free rate of each leg", presence: present(rates) },
            RequiredInput {
                name: "positions and cash that agree with the broker",
                presence: present(undisputed),
            },
            RequiredInput {
                name: "the fate of each order in the underlying",
                presence: present(known_fates.then_some(())),
            },
            RequiredInput {
                name: "an underlying without stock from an assignment",
                presence: present(no_delivery.then_some(())),
            },
        ]
    }

    /// Whether an order of unknown fate may have moved the underlying's positions.
    fn is_clouded(&self, symbol: &Symbol, orders: &[OrderRow]) -> bool {
        let broker = self.broker.borrow();
        orders.iter().filter(|order| order.state == OrderState::Unknown).any(|order| {
            let first = order.legs.first().and_then(|leg| broker.contract(leg.conid));
            first.is_none_or(|instrument| instrument.symbol() == symbol)
        })
    }
}

/// Stock that came by assignment or exercise: no order of ours traded it.
pub(super) fn is_delivered(leg: &LegRow) -> bool {
    leg.ratio == 0 && leg.quantity != 0 && leg.security_kind == SecurityKind::Stock.as_str()
}

fn fate_of(order: &OrderRow) -> Fate {
    match order.state {
        OrderState::Proposed
        | OrderState::Approved
        | OrderState::Sent
        | OrderState::Working
        | OrderState::Unknown => Fate::Works,
        OrderState::Filled => Fate::Filled,
        OrderState::Denied | OrderState::Cancelled | OrderState::Rejected => {
            if order.filled_quantity > 0 { Fate::Filled } else { Fate::Ended }
        }
    }
}

fn activity(
    orders: &[OrderRow],
    (strategies, legs): (&[StrategyRow], &[LegRow]),
    limits: &RiskLimits,
    now: Timestamp,
) -> Activity {
    let longest = Duration::minutes(limits.order.strategy_orders_window_minutes)
        .max(Duration::seconds(limits.order.duplicate_window_seconds))
        .max(Duration::minutes(1));
    let recent = orders
        .iter()
        .filter(|order| order.state != OrderState::Denied && now - order.created_at <= longest)
        .map(|order| RecentOrder {
            order_ref: order.order_ref.clone(),
            strategy_id: order.strategy_id.clone(),
            legs: order.legs.clone(),
            quantity: order.quantity,
            sent_at: order.created_at,
            fate: fate_of(order),
        })
        .collect();
    // The nearest one, of legs that are gone as well: what was opened and closed today counts.
    let mut expiries: BTreeMap<&str, NaiveDate> = BTreeMap::new();
    for (strategy_id, date) in
        legs.iter().filter_map(|leg| Some((leg.strategy_id.as_str(), leg.expiry_date?)))
    {
        expiries
            .entry(strategy_id)
            .and_modify(|nearest| *nearest = date.min(*nearest))
            .or_insert(date);
    }
    let week = Duration::days(limits.exposure.week_days);
    let opened = strategies
        .iter()
        .filter_map(|row| Some((row, row.opened_at?)))
        .filter(|(_, at)| now - *at <= week)
        .map(|(row, at)| Opened {
            strategy_id: row.strategy_id.clone(),
            symbol: Symbol::new(&row.symbol),
            expiry_date: expiries.get(row.strategy_id.as_str()).copied(),
            session_date: at.date_naive(),
            max_loss: row.max_loss_each.times(row.opened_quantity),
        })
        .collect();
    let known_refs = orders.iter().map(|order| order.order_ref.clone()).collect();
    Activity { recent, known_refs, opened }
}
