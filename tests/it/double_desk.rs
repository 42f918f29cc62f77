//! A desk around the double of a broker: real journal, gate, tables and lake; decisions and quotes
//! are written by the test.

#![cfg(test)]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use chrono::Duration;
use deltadesk::desk::files::shipped;
use deltadesk::desk::world::Plans;
use deltadesk::ingest::AccountStep;
use deltadesk::journal::Journal;
use deltadesk::lake::arrow::json::ReaderBuilder;
use deltadesk::lake::{Durability, Lake, LakeOptions, Rows, TableName};
use deltadesk::market::sessions::Calendar;
use deltadesk::market::{OptionContract, Price, Timestamp};
use deltadesk::pipeline::{
    Catalogue, Files, Flusher, LiveTables, Numbering, Params, Run, Sequence, Step, StepContext,
};
use deltadesk::trade::{
    Published, Task, TradeSettings, Trader, TraderParts, TraderStep, Transmission, WorkParameters,
    shared,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::double::{Double, SPOT, VOL, monday, today, usd, value};

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
    let verdicts = [
        ["scope", "subject_id", "verdict", "rule", "reason"].map(text).to_vec(),
        vec!["run_id as k".to_owned()],
    ];
    let mut model = |path: &str, columns: Vec<String>| {
        let sql = format!("{HEADER}select {} from run where false\n", columns.join(", "));
        files.insert(path.to_owned(), sql);
    };
    model("sql/silver/option_quotes.sql", quotes.concat());
    model("sql/silver/underlying_quotes.sql", underlyings.concat());
    model("sql/gold/decisions.sql", decisions.concat());
    model("sql/gold/rule_verdicts.sql", verdicts.concat());
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
    pub fn new(contracts: Vec<OptionContract>, change: impl FnOnce(&mut TradeSettings)) -> Self {
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
            published: Published::default(),
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
        let came = |row: &Value| {
            let [conid, ask, at] = ["conid", "ask", "received_at"].map(|name| row[name].clone());
            json!({ "conid": conid, "ask": ask, "received_at": at })
        };
        let came: Vec<Value> = rows.iter().map(came).collect();
        self.hold("bronze", "option_quotes", &came);
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

    /// Reads positions and account as a sweep does; what it says.
    pub fn read_account(&mut self) -> Vec<String> {
        let run = self.run();
        let (broker, sequence) = (Rc::clone(&self.broker), shared(Sequence::default()));
        let mut context = StepContext { run: &run, live: &mut self.live, lake: &self.lake };
        AccountStep { broker, sequence }.run(&mut context).unwrap()
    }

    pub fn observe(&mut self) -> Vec<String> {
        self.task(Task::Observe)
    }

    pub fn reconcile(&mut self) -> Vec<String> {
        self.task(Task::Reconcile)
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
