//! Option chains: the universe's contracts and every open leg, or what a recorded market delivered.

use std::cell::Cell as Flag;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use chrono::NaiveDate;

use crate::broker::{Broker, DeliveredQuote, Feed, Received};
use crate::lake::{Cell, TableName};
use crate::market::{
    ConId, OptionContract, OptionQuote, Symbol, Timestamp, TwoSided, UnderlyingQuote,
};
use crate::pipeline::{Run, Step, StepContext};

use super::universe::{Window, select};
use super::{Completeness, record_sweep, sweep_id};
use crate::pipeline::{Sequence, Shared, deliver};

/// The window in which contracts are asked for; the numbers of `[universe]`.
#[derive(Debug, Clone, PartialEq)]
pub struct ChainWindow {
    pub dte_targets: Vec<i64>,
    pub put_below_spot_ratio: f64,
    pub call_above_spot_ratio: f64,
    pub both_around_spot_ratio: f64,
    pub strike_spacing_ratio: f64,
}

impl ChainWindow {
    pub(super) fn borrowed(&self) -> Window<'_> {
        Window {
            dte_targets: &self.dte_targets,
            put_below_spot_ratio: self.put_below_spot_ratio,
            call_above_spot_ratio: self.call_above_spot_ratio,
            both_around_spot_ratio: self.both_around_spot_ratio,
            strike_spacing_ratio: self.strike_spacing_ratio,
        }
    }
}

/// One quote a contract of the universe.
pub struct ChainsStep<B> {
    pub broker: Shared<B>,
    pub sequence: Shared<Sequence>,
    pub symbols: Vec<Symbol>,
    pub window: ChainWindow,
    /// Contracts whose details are in bronze already.
    pub described: BTreeSet<ConId>,
    /// When rows were last taken, for the account of a recorded market.
    pub taken_at: Rc<Flag<Option<Timestamp>>>,
    pub known: Known,
}

/// What earlier sweeps have shown, by which a sweep that brings less is seen to be incomplete.
#[derive(Debug, Default)]
pub struct Known {
    /// The last spot of each symbol: while there is none, the window stays where it was.
    spots: BTreeMap<Symbol, f64>,
    /// Contracts that a recorded market has delivered in the newest session that brought some.
    delivered: BTreeMap<Symbol, (NaiveDate, BTreeSet<ConId>)>,
}

const QUOTES: [&str; 25] = [
    "conid",
    "occ_symbol",
    "symbol",
    "expiry_date",
    "strike_usd",
    "option_right",
    "bid",
    "ask",
    "last",
    "bid_size",
    "ask_size",
    "volume",
    "open_interest",
    "vendor_vol",
    "vendor_delta",
    "vendor_gamma",
    "vendor_theta",
    "vendor_vega",
    "unrepresentable",
    "quoted_at",
    "received_at",
    "ingest_seq",
    "sweep_id",
    "run_id",
    "session_date",
];

const CONTRACTS: [&str; 18] = [
    "conid",
    "occ_symbol",
    "symbol",
    "security_kind",
    "local_symbol",
    "expiry_date",
    "strike_usd",
    "option_right",
    "multiplier",
    "min_tick",
    "exercise_style",
    "settlement",
    "last_trade_at",
    "expires_at",
    "received_at",
    "ingest_seq",
    "run_id",
    "session_date",
];

impl<B: Broker + Feed> Step for ChainsStep<B> {
    fn run(&mut self, context: &mut StepContext<'_>) -> anyhow::Result<Vec<String>> {
        let delivered = self.broker.borrow_mut().take_rows();
        if let Some(delivered) = delivered {
            return self.take_delivered(context, &delivered);
        }
        let open_legs: BTreeSet<ConId> =
            self.broker.borrow().positions().iter().map(|position| position.conid).collect();
        for symbol in self.symbols.clone() {
            self.sweep(context, &symbol, &open_legs)?;
        }
        Ok(Vec::new())
    }
}

impl<B: Broker + Feed> ChainsStep<B> {
    fn sweep(
        &mut self,
        context: &mut StepContext<'_>,
        symbol: &Symbol,
        open_legs: &BTreeSet<ConId>,
    ) -> anyhow::Result<()> {
        let listed = self.broker.borrow().option_contracts(symbol);
        let spot = self.broker.borrow().underlying_quote(symbol);
        let spot = spot.and_then(|received| spot_of(&received.quote));
        if let Some(spot) = spot {
            self.known.spots.insert(symbol.clone(), spot);
        }
        let spot = self.known.spots.get(symbol).copied();
        let at = (spot, context.run.session_date);
        let asked = select(&self.window.borrowed(), &listed, at, open_legs);
        let looked_up = self.broker.borrow().looked_up(symbol);
        self.describe(context, &[&asked[..], &looked_up].concat())?;
        let conids: Vec<ConId> = asked.iter().map(|contract| contract.conid).collect();
        self.broker.borrow_mut().watch(symbol, &conids);
        let mut counts = Completeness { asked: asked.len() as i64, ..Completeness::default() };
        let mut rows = Vec::new();
        let sweep = sweep_id("chains", symbol.as_str(), context.run.as_of);
        for contract in &asked {
            let received = self.broker.borrow().option_quote(contract.conid);
            let Some(Received { quote, at }) = received else { continue };
            counts.received += 1;
            counts.two_sided += i64::from(TwoSided::new(quote.bid, quote.ask).is_some());
            let delivery = Delivery {
                contract,
                right_text: contract.right.as_str(),
                quote: &quote,
                unrepresentable: None,
                received_at: at,
                sweep_id: &sweep,
            };
            rows.push(delivery.row(self.sequence.borrow_mut().advance(), context.run));
        }
        deliver(context, &TableName::new("bronze", "option_quotes"), &QUOTES, &rows)?;
        record_sweep(context, "chains", symbol.as_str(), counts)
    }

    /// Rows of a recorded chain: written as they came, in the sweeps that their stamps form. What
    /// is asked for is what the session has shown so far; a symbol that brings nothing while the
    /// stock exchange is open is a sweep without an answer.
    fn take_delivered(
        &mut self,
        context: &mut StepContext<'_>,
        delivered: &[DeliveredQuote],
    ) -> anyhow::Result<Vec<String>> {
        let contracts: BTreeMap<ConId, Arc<OptionContract>> =
            delivered.iter().map(|row| (row.contract.conid, Arc::clone(&row.contract))).collect();
        self.describe(context, &contracts.into_values().collect::<Vec<_>>())?;
        let mut rows = Vec::new();
        let mut came: BTreeMap<Symbol, BTreeMap<ConId, bool>> = BTreeMap::new();
        for row in delivered {
            let two_sided = TwoSided::new(row.quote.bid, row.quote.ask).is_some();
            let symbol = row.contract.symbol.clone();
            came.entry(symbol).or_default().insert(row.contract.conid, two_sided);
            let delivery = Delivery {
                contract: &row.contract,
                right_text: &row.right_text,
                quote: &row.quote,
                unrepresentable: row.unrepresentable.as_deref(),
                received_at: row.received_at,
                sweep_id: &row.sweep_id,
            };
            rows.push(delivery.row(self.sequence.borrow_mut().advance(), context.run));
        }
        deliver(context, &TableName::new("bronze", "option_quotes"), &QUOTES, &rows)?;
        self.taken_at.set(Some(context.run.as_of));
        self.known.learn(&came, context.run.session_date);
        let silent: &[Symbol] =
            if context.run.session_phase == "regular" { &self.symbols } else { &[] };
        let symbols: BTreeSet<&Symbol> = came.keys().chain(silent).collect();
        for symbol in symbols {
            let contracts = came.get(symbol);
            let counts = Completeness {
                asked: self.known.delivered_of(symbol),
                received: contracts.map_or(0, |contracts| contracts.len() as i64),
                two_sided: contracts.map_or(0, |contracts| {
                    contracts.values().filter(|sided| **sided).count() as i64
                }),
            };
            record_sweep(context, "chains", symbol.as_str(), counts)?;
        }
        Ok(Vec::new())
    }

    /// Contract details of what bronze does not know yet.
    fn describe(
        &mut self,
        context: &mut StepContext<'_>,
        contracts: &[Arc<OptionContract>],
    ) -> anyhow::Result<()> {
        let mut rows = Vec::new();
        for contract in contracts.iter().filter(|contract| self.described.insert(contract.conid)) {
            rows.push(contract_row(contract, self.sequence.borrow_mut().advance(), context.run));
        }
        deliver(context, &TableName::new("bronze", "contracts"), &CONTRACTS, &rows)
    }
}

impl Known {
    fn learn(&mut self, came: &BTreeMap<Symbol, BTreeMap<ConId, bool>>, session: NaiveDate) {
        for (symbol, contracts) in came {
            let known = self.delivered.entry(symbol.clone()).or_default();
            if known.0 != session {
                *known = (session, BTreeSet::new());
            }
            known.1.extend(contracts.keys());
        }
    }

    fn delivered_of(&self, symbol: &Symbol) -> i64 {
        self.delivered.get(symbol).map_or(0, |(_, contracts)| contracts.len() as i64)
    }
}

pub(super) fn spot_of(quote: &UnderlyingQuote) -> Option<f64> {
    let two_sided = TwoSided::new(quote.bid, quote.ask).map(TwoSided::mid);
    two_sided.or(quote.last).map(crate::market::Price::to_f64)
}

struct Delivery<'a> {
    contract: &'a OptionContract,
    right_text: &'a str,
    quote: &'a OptionQuote,
    unrepresentable: Option<&'a str>,
    received_at: Timestamp,
    sweep_id: &'a str,
}

impl Delivery<'_> {
    fn row(&self, ingest_seq: i64, run: &Run) -> Vec<Cell> {
        let Self { contract, quote, .. } = self;
        vec![
            contract.conid.0.into(),
            (&*contract.occ_symbol).into(),
            contract.symbol.as_str().into(),
            contract.expiry_date.into(),
            contract.strike.into(),
            self.right_text.into(),
            quote.bid.into(),
            quote.ask.into(),
            quote.last.into(),
            quote.bid_size.into(),
            quote.ask_size.into(),
            quote.volume.into(),
            quote.open_interest.into(),
            quote.vendor.vol.into(),
            quote.vendor.delta.into(),
            quote.vendor.gamma.into(),
            quote.vendor.theta.into(),
            quote.vendor.vega.into(),
            self.unrepresentable.into(),
            quote.quoted_at.into(),
            self.received_at.into(),
            ingest_seq.into(),
            self.sweep_id.into(),
            run.run_id.clone().into(),
            run.session_date.into(),
        ]
    }
}

fn contract_row(contract: &OptionContract, ingest_seq: i64, run: &Run) -> Vec<Cell> {
    vec![
        contract.conid.0.into(),
        (&*contract.occ_symbol).into(),
        contract.symbol.as_str().into(),
        "OPT".into(),
        Cell::Null,
        contract.expiry_date.into(),
        contract.strike.into(),
        contract.right.as_str().into(),
        contract.multiplier.into(),
        contract.min_tick.into(),
        contract.style.as_str().into(),
        contract.settlement.as_str().into(),
        contract.last_trade_at.into(),
        contract.expires_at.into(),
        run.as_of.into(),
        ingest_seq.into(),
        run.run_id.clone().into(),
        run.session_date.into(),
    ]
}
