//! A broker that answers as a test tells it to, and a desk around it: real journal, gate, tables and
//! lake, decisions and quotes written by the test.

#![cfg(test)]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use chrono::{DateTime, Duration, NaiveDate};
use deltadesk::broker::{
    Bar, Broker, BrokerError, BrokerEvent, DeliveredQuote, Dividend, Feed, FeedDescription, Rate,
    ScheduledEvent,
};
use deltadesk::desk::files::shipped;
use deltadesk::desk::world::Plans;
use deltadesk::journal::Journal;
use deltadesk::lake::arrow::json::ReaderBuilder;
use deltadesk::lake::{Durability, Lake, LakeOptions, Rows, TableName};
use deltadesk::market::sessions::Calendar;
use deltadesk::market::{
    ConId, ExerciseStyle, FutureContract, FutureQuote, Instrument, OptionContract, OptionQuote,
    OptionRight, Price, Settlement, Symbol, Timestamp, UnderlyingQuote, Usd, VendorGreeks,
    occ_symbol,
};
use deltadesk::pipeline::{
    Catalogue, Files, Flusher, LiveTables, Numbering, Params, Run, Sequence, Step, StepContext,
};
use deltadesk::pricing::{Bsm, Right, bsm};
use deltadesk::risk::{Approved, ApprovedStep, Proposed};
use deltadesk::structures::{
    AccountSnapshot, BrokerPosition, BrokerStatus, Execution, ExecutionKind, OpenOrder, OrderEvent,
    OrderRef, OrderRequest, Reject, WhatIf,
};
use deltadesk::trade::{
    Task, TradeSettings, Trader, TraderParts, TraderStep, Transmission, WorkParameters, shared,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const SPOT: f64 = 640.0;
const VOL: f64 = 0.20;
const EXPIRY_DAYS: i64 = 30;

pub fn monday() -> Timestamp {
    DateTime::from_timestamp(1_772_463_600, 0).unwrap()
}

pub fn price(value: f64) -> Price {
    Price::from_f64(value).unwrap()
}

pub fn usd(value: f64) -> Usd {
    Usd::from_f64(value).unwrap()
}

fn today() -> NaiveDate {
    monday().date_naive()
}

pub fn option(right: OptionRight, strike: f64) -> OptionContract {
    let symbol = Symbol::new("SPY");
    let expiry_date = today() + Duration::days(EXPIRY_DAYS);
    let occ = occ_symbol(&symbol, expiry_date, right, price(strike));
    let expires_at = expiry_date.and_hms_opt(20, 0, 0).unwrap().and_utc();
    OptionContract {
        conid: ConId::derived_from(&occ),
        occ_symbol: occ,
        symbol,
        expiry_date,
        strike: price(strike),
        right,
        style: ExerciseStyle::American,
        settlement: Settlement::Physical,
        multiplier: 100,
        min_tick: price(0.01),
        last_trade_at: expires_at,
        expires_at,
    }
}

/// A condor ten wide, sold: wings bought, shorts sold.
pub fn condor(put_short: f64, call_short: f64) -> Vec<(OptionContract, i64)> {
    vec![
        (option(OptionRight::Put, put_short - 10.0), 1),
        (option(OptionRight::Put, put_short), -1),
        (option(OptionRight::Call, call_short), -1),
        (option(OptionRight::Call, call_short + 10.0), 1),
    ]
}

/// What the broker does with an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Takes,
    /// Takes it, and the answer is lost.
    Silent,
    Refuses,
}

/// The broker.
pub struct Double {
    pub answer: Answer,
    pub placed: Vec<OrderRequest>,
    pub steps: Vec<(OrderRef, Price)>,
    pub open: Vec<OpenOrder>,
    pub events: Vec<BrokerEvent>,
    pub positions: BTreeMap<ConId, i64>,
    pub cash: Usd,
    contracts: BTreeMap<ConId, OptionContract>,
    /// Two cents around the model's value, unless a test says otherwise.
    pub quotes: BTreeMap<ConId, (Option<Price>, Option<Price>)>,
    fills: i64,
}

impl Double {
    fn new(contracts: Vec<OptionContract>) -> Self {
        let contracts: BTreeMap<ConId, OptionContract> =
            contracts.into_iter().map(|option| (option.conid, option)).collect();
        let cents = |value: f64| Some(price((value * 100.0).round() / 100.0));
        let quotes = contracts
            .iter()
            .map(|(conid, option)| {
                let mid = value(option).0;
                (*conid, (cents((mid - 0.02).max(0.01)), cents((mid + 0.02).max(0.02))))
            })
            .collect();
        Self {
            answer: Answer::Takes,
            placed: Vec::new(),
            steps: Vec::new(),
            open: Vec::new(),
            events: Vec::new(),
            positions: BTreeMap::new(),
            cash: usd(250_000.0),
            contracts,
            quotes,
            fills: 0,
        }
    }

    /// Fills the order that was placed last, each leg at its mid, and tells of it.
    pub fn fill_last(&mut self) {
        let request = self.placed.last().unwrap().clone();
        let perm_id = self.placed.len() as i64;
        self.fills += 1;
        for (n, leg) in request.legs.iter().enumerate() {
            let (bid, ask) = self.quotes[&leg.conid];
            let quantity = leg.ratio * request.quantity;
            let each = bid.unwrap().midpoint(ask.unwrap());
            let commission = usd(0.65).times(quantity.abs());
            let cash = each.value(-quantity, 100) - commission;
            self.cash += cash;
            *self.positions.entry(leg.conid).or_default() += quantity;
            self.events.push(BrokerEvent::Execution(Execution {
                exec_id: format!("{}.{n}", self.fills),
                order_ref: Some(request.order_ref.clone()),
                perm_id: Some(perm_id),
                group_id: self.fills.to_string(),
                kind: ExecutionKind::Trade,
                conid: leg.conid,
                quantity,
                price: Some(each),
                multiplier: 100,
                commission,
                cash,
                at: monday(),
            }));
        }
        self.open.retain(|open| open.request.order_ref != request.order_ref);
        self.events.push(BrokerEvent::Order(OrderEvent {
            order_ref: request.order_ref.clone(),
            perm_id,
            status: BrokerStatus::Filled,
            filled: request.quantity,
            remaining: 0,
            limit: None,
            reason: String::new(),
            at: monday(),
        }));
    }
}

/// Price, delta and vega by the model.
fn value(option: &OptionContract) -> (f64, f64, f64) {
    let right = match option.right {
        OptionRight::Call => Right::Call,
        OptionRight::Put => Right::Put,
    };
    let value = bsm(&Bsm {
        right,
        spot: SPOT,
        strike: option.strike.to_f64(),
        years: (option.expires_at - monday()).num_seconds() as f64 / 31_536_000.0,
        rate: 0.04,
        dividend_yield: 0.012,
        vol: VOL,
    })
    .unwrap();
    (value.price, value.delta, value.vega)
}

impl Broker for Double {
    fn margin_of(&self, _order: &Proposed) -> Result<WhatIf, BrokerError> {
        Ok(WhatIf {
            initial_margin_before: Usd::ZERO,
            initial_margin_after: usd(4_000.0),
            maintenance_margin_after: usd(4_000.0),
            equity_with_loan_after: usd(250_000.0),
            excess_liquidity_after: usd(240_000.0),
            commission: usd(10.4),
        })
    }
    fn place(&mut self, order: Approved) -> Result<i64, BrokerError> {
        let request = order.into_request();
        if self.answer == Answer::Refuses {
            return Err(Reject { code: 201, reason: "not today".to_owned() }.into());
        }
        self.placed.push(request.clone());
        let perm_id = self.placed.len() as i64;
        self.open.push(OpenOrder { request, perm_id, filled: 0 });
        match self.answer {
            Answer::Silent => Err(BrokerError::NoAnswer("connection lost".to_owned())),
            Answer::Takes | Answer::Refuses => Ok(perm_id),
        }
    }
    fn reprice(&mut self, step: ApprovedStep) -> Result<(), BrokerError> {
        self.steps.push((step.order_ref().clone(), step.limit()));
        Ok(())
    }
    fn cancel(&mut self, _order_ref: &OrderRef) -> Result<(), BrokerError> {
        Ok(())
    }
    fn take_events(&mut self) -> Vec<BrokerEvent> {
        std::mem::take(&mut self.events)
    }
    fn open_orders(&self) -> Vec<OpenOrder> {
        self.open.clone()
    }
    fn positions(&self) -> Vec<BrokerPosition> {
        let held = self.positions.iter().filter(|(_, quantity)| **quantity != 0);
        held.map(|(conid, quantity)| BrokerPosition {
            conid: *conid,
            quantity: *quantity,
            average_cost: Usd::ZERO,
        })
        .collect()
    }
    fn account(&self) -> Result<AccountSnapshot, BrokerError> {
        Ok(AccountSnapshot {
            account_id: "DU1".to_owned(),
            net_liquidation: usd(250_000.0),
            cash: self.cash,
            commodities_cash: Usd::ZERO,
            initial_margin: Usd::ZERO,
            maintenance_margin: Usd::ZERO,
            excess_liquidity: usd(240_000.0),
            look_ahead_excess_liquidity: usd(240_000.0),
            buying_power: usd(480_000.0),
            at: monday(),
        })
    }
}

impl Feed for Double {
    fn underlyings(&self) -> Vec<Instrument> {
        Vec::new()
    }
    fn option_contracts(&self, _symbol: &Symbol) -> Vec<Arc<OptionContract>> {
        Vec::new()
    }
    fn futures(&self) -> Vec<Arc<FutureContract>> {
        Vec::new()
    }
    fn contract(&self, conid: ConId) -> Option<Instrument> {
        self.contracts.get(&conid).map(|option| Instrument::Option(Arc::new(option.clone())))
    }
    fn option_quote(&self, conid: ConId) -> Option<OptionQuote> {
        let (bid, ask) = *self.quotes.get(&conid)?;
        Some(OptionQuote {
            conid,
            bid,
            ask,
            last: None,
            bid_size: None,
            ask_size: None,
            volume: None,
            open_interest: None,
            vendor: VendorGreeks::default(),
            quoted_at: None,
        })
    }
    fn underlying_quote(&self, _symbol: &Symbol) -> Option<UnderlyingQuote> {
        None
    }
    fn future_quote(&self, _conid: ConId) -> Option<FutureQuote> {
        None
    }
    fn is_halted(&self, _symbol: &Symbol) -> bool {
        false
    }
    fn rates(&self) -> Vec<Rate> {
        Vec::new()
    }
    fn dividends(&self) -> Vec<Dividend> {
        Vec::new()
    }
    fn events(&self) -> Vec<ScheduledEvent> {
        Vec::new()
    }
    fn history(&self) -> Vec<Bar> {
        Vec::new()
    }
    fn daily_bar(&self, _symbol: &Symbol, _session: NaiveDate) -> Option<Bar> {
        None
    }
    fn take_rows(&mut self) -> Option<Vec<DeliveredQuote>> {
        None
    }
    fn description(&self) -> FeedDescription {
        FeedDescription {
            name: "double".to_owned(),
            seed: None,
            variance_premium: None,
            futures_lead_seconds: None,
            notes: Vec::new(),
        }
    }
}

const HEADER: &str = "-- about: Rows of a test.\n-- grain: one row\n-- key: k\n-- owner: test\n\
                      -- kind: snapshot\n-- live: session\n";

/// The tables that the trader reads, with the columns that it reads.
fn files() -> Files {
    let mut files: Files = shipped();
    files.retain(|path, _| path.starts_with("sql/bronze/") || path.starts_with("sql/ops/"));
    let money = |name: &str| format!("cast(null as decimal(18, 6)) as {name}");
    let double = |name: &str| format!("cast(null as double) as {name}");
    let text = |name: &str| format!("cast(null as varchar) as {name}");
    let quotes = [
        ["cast(1 as bigint) as conid", "as_of as received_at", "run_id as k"]
            .map(str::to_owned)
            .to_vec(),
        ["bid", "ask"].map(money).to_vec(),
        ["vol", "delta", "vega", "rate", "yield", "spot_usd"].map(double).to_vec(),
        vec![text("symbol")],
    ];
    let underlyings = [vec![text("symbol"), money("price"), "run_id as k".to_owned()]];
    let decisions = [
        vec!["run_id".to_owned(), "run_id as k".to_owned(), double("fraction")],
        ["decision_id", "subject_id", "action", "rule", "symbol", "structure"].map(text).to_vec(),
        ["mid_price", "worst_price", "max_loss_usd", "margin_usd"].map(money).to_vec(),
        vec![
            "cast(null as smallint) as urgency".to_owned(),
            "make_array(named_struct('conid', cast(1 as bigint), 'ratio', cast(1 as bigint))) \
             as legs"
                .to_owned(),
        ],
    ];
    let mut model = |path: &str, columns: Vec<String>| {
        let sql = format!("{HEADER}select {} from run where false\n", columns.join(", "));
        files.insert(path.to_owned(), sql);
    };
    model("sql/silver/option_quotes.sql", quotes.concat());
    model("sql/silver/underlying_quotes.sql", underlyings.concat());
    model("sql/gold/decisions.sql", decisions.concat());
    files
}

/// A desk with a broker that does as it is told.
pub struct Desk {
    pub broker: Rc<RefCell<Double>>,
    pub journal: Rc<RefCell<Journal>>,
    pub trader: Rc<RefCell<Trader<Double>>>,
    live: LiveTables,
    lake: Lake,
    now: Timestamp,
    runs: usize,
    _home: TempDir,
    _runtime: Runtime,
}

impl Desk {
    /// With the shipped settings, changed.
    pub fn new(contracts: Vec<OptionContract>, change: fn(&mut TradeSettings)) -> Self {
        let settings = Plans::read(&shipped()).map_err(|_| "faults").unwrap().settings;
        let runtime = Runtime::new().unwrap();
        let home = TempDir::new().unwrap();
        let options = LakeOptions::local(Durability::Buffered);
        let lake = runtime.block_on(Lake::open(home.path(), options)).unwrap();
        let catalogue = Catalogue::read(&files()).unwrap();
        let handle = runtime.handle().clone();
        let live = LiveTables::new(&catalogue, &Params::default(), handle.clone()).unwrap();
        let mut trade = TradeSettings {
            limits: settings.risk.clone(),
            work: WorkParameters {
                steps: settings.work.ladder_steps,
                step: Duration::seconds(settings.work.step_seconds),
                exit_budget_ratio: settings.work.exit_budget_ratio,
                urgent_collar_ratio: settings.work.urgent_collar_ratio,
                refused_entry_rest: Duration::minutes(settings.work.refused_entry_rest_minutes),
            },
            transmission: Transmission::Send,
            capital: usd(250_000.0),
            opening_cash: usd(250_000.0),
            commission_usd_contract: 0.65,
            settings_hash: settings.hash.clone(),
            sql_hash: "5d41".to_owned(),
        };
        change(&mut trade);
        let broker = shared(Double::new(contracts));
        let journal = shared(Journal::in_memory().unwrap());
        let parts = TraderParts {
            broker: Rc::clone(&broker),
            journal: Rc::clone(&journal),
            sequence: shared(Sequence::default()),
            calendar: Arc::new(Calendar::shipped().unwrap()),
            flusher: Flusher::new(handle, Numbering::FromStart),
            settings: trade,
        };
        let trader = shared(Trader::new(parts).unwrap());
        let mut desk = Self {
            broker,
            journal,
            trader,
            live,
            lake,
            now: monday(),
            runs: 0,
            _home: home,
            _runtime: runtime,
        };
        desk.quote();
        desk.task(Task::Observe);
        desk
    }

    fn run(&mut self) -> Run {
        self.runs += 1;
        Run {
            run_id: format!("run-{}", self.runs),
            as_of: self.now,
            session_date: today(),
            previous_session_date: today() - Duration::days(3),
            session_open_at: monday() - Duration::minutes(30),
            session_close_at: monday() + Duration::hours(6),
            previous_session_close_at: monday() - Duration::hours(66),
            previous_futures_close_at: monday() - Duration::hours(65),
            session_phase: "regular".to_owned(),
        }
    }

    pub fn wait(&mut self, seconds: i64) {
        self.now += Duration::seconds(seconds);
    }

    /// The broker's quotes as a sweep leaves them in silver.
    pub fn quote(&mut self) {
        let broker = self.broker.borrow();
        let rows: Vec<Value> = broker
            .contracts
            .values()
            .map(|option| {
                let (bid, ask) = broker.quotes[&option.conid];
                let (_, delta, vega) = value(option);
                let known = |number: f64| bid.map(|_| number);
                let side = |side: Option<Price>| side.map(|side| side.to_string());
                json!({
                    "conid": option.conid.0, "symbol": "SPY", "bid": side(bid), "ask": side(ask),
                    "received_at": self.now.to_rfc3339(), "vol": known(VOL),
                    "delta": known(delta), "vega": known(vega), "rate": 0.04, "yield": 0.012,
                    "spot_usd": SPOT,
                })
            })
            .collect();
        drop(broker);
        self.hold("silver", "option_quotes", &rows);
        let spot = json!({ "symbol": "SPY", "price": SPOT.to_string() });
        self.hold("silver", "underlying_quotes", &[spot]);
    }

    fn hold(&mut self, schema: &str, name: &str, rows: &[Value]) {
        let table = TableName::new(schema, name);
        let columns = self.live.schema(&table).unwrap();
        let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
        let mut decoder = ReaderBuilder::new(columns).build_decoder().unwrap();
        decoder.decode(lines.join("\n").as_bytes()).unwrap();
        self.live.hold(&table, decoder.flush().unwrap().unwrap()).unwrap();
    }

    fn task(&mut self, task: Task) -> Vec<String> {
        let run = self.run();
        self.step_in(&run, task)
    }

    fn step_in(&mut self, run: &Run, task: Task) -> Vec<String> {
        let trader = Rc::clone(&self.trader);
        let mut context = StepContext { run, live: &mut self.live, lake: &self.lake };
        TraderStep { trader, task }.run(&mut context).unwrap()
    }

    pub fn observe(&mut self) -> Vec<String> {
        self.task(Task::Observe)
    }

    /// Acts on decisions of one run; what it says of them.
    pub fn act(&mut self, decisions: &[Value]) -> Vec<String> {
        let run = self.run();
        let rows: Vec<Value> = decisions
            .iter()
            .map(|decision| {
                let mut row = decision.clone();
                row["run_id"] = run.run_id.clone().into();
                row
            })
            .collect();
        self.hold("gold", "decisions", &rows);
        self.step_in(&run, Task::Act)
    }

    /// A step of the orders that work.
    pub fn work(&mut self) {
        let run = self.run();
        let mut context = StepContext { run: &run, live: &mut self.live, lake: &self.lake };
        self.trader.borrow_mut().work(&mut context).unwrap();
    }

    /// Mid of legs as the broker quotes them.
    pub fn mid(&self, legs: &[(OptionContract, i64)]) -> f64 {
        let broker = self.broker.borrow();
        legs.iter()
            .map(|(option, ratio)| {
                let (bid, ask) = broker.quotes[&option.conid];
                bid.unwrap().midpoint(ask.unwrap()).times(*ratio).to_f64()
            })
            .sum()
    }

    /// A decision to sell a condor, two ticks of ladder above mid.
    pub fn open(&self, id: &str, legs: &[(OptionContract, i64)]) -> Value {
        let mid = self.mid(legs);
        let worst = mid + 0.02;
        json!({
            "decision_id": id, "subject_id": "SPY", "action": "open", "fraction": 1.0,
            "urgency": 0, "rule": "iron_condor", "legs": written(legs, 1), "symbol": "SPY",
            "structure": "iron_condor", "mid_price": format!("{mid:.2}"),
            "worst_price": format!("{worst:.2}"),
            "max_loss_usd": format!("{:.2}", (10.0 + worst) * 100.0 + 5.2),
            "margin_usd": format!("{:.2}", (10.0 + worst) * 100.0),
        })
    }

    pub fn rows(&self, schema: &str, name: &str) -> Rows {
        Rows::new(self.live.rows(&TableName::new(schema, name)).unwrap())
    }

    /// Subjects of the alerts so far.
    pub fn alerts(&self) -> Vec<String> {
        let alerts = self.journal.borrow().undelivered_alerts().unwrap();
        alerts.into_iter().map(|(alert, _)| alert.subject).collect()
    }

    /// Checks that refused an order in its last verdict.
    pub fn refused_by(&self, order_ref: &str) -> BTreeSet<String> {
        let rows = self.rows("ops", "risk_checks");
        rows.iter()
            .filter(|row| row.text("order_ref").unwrap() == order_ref)
            .filter(|row| ["fail", "unevaluable"].contains(&row.text("result").unwrap()))
            .map(|row| row.text("check_id").unwrap().to_owned())
            .collect()
    }
}

/// A decision to close a strategy.
pub fn close(id: &str, strategy_id: &str, legs: &[(OptionContract, i64)]) -> Value {
    json!({
        "decision_id": id, "subject_id": strategy_id, "action": "close", "fraction": 1.0,
        "urgency": 2, "rule": "stop_loss", "legs": written(legs, -1), "symbol": "SPY",
        "structure": "iron_condor",
    })
}

fn written(legs: &[(OptionContract, i64)], sign: i64) -> Vec<Value> {
    legs.iter()
        .map(|(option, ratio)| json!({ "conid": option.conid.0, "ratio": sign * ratio }))
        .collect()
}
