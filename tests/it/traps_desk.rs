//! The live adapter before a gateway with a tap between them, and orders that the gate has let
//! through: a spread of two SPY puts that a strategy of the test closes.

#![cfg(test)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use deltadesk::broker::ib::{Bounds, Endpoint, IbBroker, IbParts, Recalled, Universe};
use deltadesk::broker::{Broker as _, BrokerError, BrokerEvent, Feed as _};
use deltadesk::desk::embedded::Published;
use deltadesk::desk::files::shipped;
use deltadesk::desk::paper_gateway::exchange_at_open;
use deltadesk::desk::world::Plans;
use deltadesk::gateway::{Gateway, Rules, Script, Speed};
use deltadesk::market::clock::Stopwatch;
use deltadesk::market::sessions::Calendar;
use deltadesk::market::{
    Clock as _, ConId, Instrument, OptionQuote, OptionRight, Price, Symbol, Timestamp,
};
use deltadesk::risk::{
    AccountView, Activity, Approved, Book, BookStrategy, BreakerLevel, GateInputs, LegMarket,
    MarketView, Outcome, Presence, Proposed, Provenance, RequiredInput, RiskLimits, ScenarioGrid,
    SessionPhase, SessionView, check,
};
use deltadesk::structures::{
    BrokerStatus, CoveragePolicy, Holding, Leg, OrderEvent, OrderRef, OrderRequest, OrderType,
    Purpose, StructureKind, recognise,
};
use ibapi::prelude::Client;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::double::{price, usd};
use crate::tap::Tap;

/// No wait of these tests is longer.
pub const BOUND: Duration = Duration::from_secs(30);
const ACCOUNT: &str = "DU0000001";
const CLIENT: i32 = 7;
/// Simulated seconds a second.
const SPEED: f64 = 10.0;

/// At which price a spread is bought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// It fills soon.
    Natural,
    /// A cent: it never fills.
    ACent,
}

/// Waits short enough for tests, and long enough for a busy machine.
pub fn bounds() -> Bounds {
    Bounds {
        connect: Duration::from_secs(2),
        answer: Duration::from_secs(2),
        heartbeat: Duration::from_secs(1),
        rest: Duration::from_secs(1),
        away: Duration::from_mins(2),
        skew: None,
    }
}

/// The adapter, the tap and the gateway.
pub struct Desk {
    pub broker: IbBroker,
    pub tap: Tap,
    pub events: Vec<BrokerEvent>,
    gateway: Gateway,
    gateway_address: String,
    limits: RiskLimits,
    sent: u32,
    _serving: JoinSet<()>,
    runtime: Runtime,
}

/// A gateway under a script of faults, and a tap before it.
fn gateway(runtime: &Runtime, rules: Rules, script: &str) -> (Gateway, String, JoinSet<()>) {
    let home = tempfile::tempdir().unwrap();
    let exchange = exchange_at_open(home.path(), 1, "2026-03-02".parse().unwrap()).unwrap();
    let gateway = Gateway::over(exchange, Speed(SPEED), rules);
    let gateway = gateway.with_faults(Script::parse(script).unwrap());
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut serving = JoinSet::new();
    let served = gateway.clone();
    serving.spawn_on(async move { served.serve(listener).await.unwrap() }, runtime.handle());
    (gateway, address, serving)
}

impl Desk {
    /// Not yet connected, perhaps.
    pub fn starting(script: &str, (bounds, rules): (Bounds, Rules)) -> Self {
        Self::tapped(script, (bounds, rules), |_| {})
    }

    /// The same with a tap that is told what to do before the first connection.
    pub fn tapped(script: &str, (bounds, rules): (Bounds, Rules), lay: impl Fn(&Tap)) -> Self {
        let runtime = Runtime::new().unwrap();
        let (gateway, gateway_address, serving) = gateway(&runtime, rules, script);
        let tap = runtime.block_on(Tap::before(&gateway_address));
        lay(&tap);
        let parts = IbParts {
            endpoint: Endpoint {
                address: tap.address.clone(),
                client_id: CLIENT,
                account: ACCOUNT.to_owned(),
            },
            universe: Universe {
                symbols: vec![Symbol::new("SPY")],
                roots: Vec::new(),
                horizon_days: 5,
                lines: 100,
            },
            bounds,
            calendar: Arc::new(Calendar::shipped().unwrap()),
            clock: Arc::new(gateway.clone()),
            reference: Box::new(Published(gateway.clone())),
            recalled: Recalled::default(),
        };
        let limits = Plans::read(&shipped()).map_err(|_| "faults").unwrap().settings.risk.clone();
        Self {
            broker: IbBroker::start(parts, runtime.handle()),
            tap,
            events: Vec::new(),
            gateway,
            gateway_address,
            limits,
            sent: 0,
            _serving: serving,
            runtime,
        }
    }

    /// Connected, with contracts.
    pub fn with(script: &str) -> Self {
        let desk = Self::starting(script, (bounds(), Rules::unpaced()));
        desk.broker.wait_until_ready(BOUND).unwrap();
        desk
    }

    /// A client of its own, past the tap.
    pub fn other_client(&self, client_id: i32) -> Client {
        let connecting = Client::connect(&self.gateway_address, client_id);
        self.runtime
            .block_on(async { tokio::time::timeout(BOUND, connecting).await })
            .unwrap()
            .unwrap()
    }

    pub fn now(&self) -> Timestamp {
        self.gateway.now()
    }

    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    pub fn wait(&self, span: Duration) {
        self.runtime.block_on(async { tokio::time::sleep(span).await });
    }

    /// Hears the broker until something is found.
    pub fn until<T>(&mut self, what: &str, mut found: impl FnMut(&mut Self) -> Option<T>) -> T {
        let waited = Stopwatch::start();
        loop {
            self.broker.advance_to(self.gateway.now()).unwrap();
            let events = self.broker.take_events();
            self.events.extend(events);
            if let Some(found) = found(self) {
                return found;
            }
            let standing = self.broker.standing();
            let events = &self.events;
            assert!(waited.elapsed() < BOUND, "no {what}; {standing}; {events:#?}");
            self.wait(Duration::from_millis(20));
        }
    }

    /// Waits until the adapter knows that it has lost the broker.
    pub fn until_away(&mut self) {
        self.until("loss of the connection", |desk| {
            (desk.broker.standing() != "connected").then_some(())
        });
    }

    /// Hears the broker until it is connected, after so many connections.
    pub fn until_connected(&mut self, connections: usize) {
        self.until("connection", |desk| {
            let is = desk.broker.standing() == "connected";
            (is && desk.tap.connections() >= connections).then_some(())
        });
    }

    /// How an order ended, and with how many executions.
    pub fn until_ended(&mut self, order_ref: &OrderRef) -> (OrderEvent, usize) {
        let order_ref = order_ref.clone();
        let ended = self.until("end of the order", |desk| {
            desk.states_of(&order_ref).into_iter().find(|event| match event.status {
                BrokerStatus::Filled | BrokerStatus::Cancelled | BrokerStatus::Rejected => true,
                BrokerStatus::Working => false,
            })
        });
        (ended, self.executions_of(&order_ref))
    }

    pub fn states_of(&self, order_ref: &OrderRef) -> Vec<OrderEvent> {
        let states = self.events.iter().filter_map(|event| match event {
            BrokerEvent::Order(state) if state.order_ref == *order_ref => Some(state.clone()),
            BrokerEvent::Order(_) | BrokerEvent::Execution(_) | BrokerEvent::Gap(_) => None,
        });
        states.collect()
    }

    pub fn executions_of(&self, order_ref: &OrderRef) -> usize {
        let of_order = |event: &&BrokerEvent| match event {
            BrokerEvent::Execution(one) => one.order_ref.as_ref() == Some(order_ref),
            BrokerEvent::Order(_) | BrokerEvent::Gap(_) => false,
        };
        self.events.iter().filter(of_order).count()
    }

    /// Why the broker was away, of each time.
    pub fn gaps(&self) -> Vec<String> {
        let gaps = self.events.iter().filter_map(|event| match event {
            BrokerEvent::Gap(gap) => Some(gap.reason.clone()),
            BrokerEvent::Order(_) | BrokerEvent::Execution(_) => None,
        });
        gaps.collect()
    }

    /// Two puts of the furthest expiry below the money, the nearer one first, once both are quoted.
    pub fn puts(&mut self) -> [(Instrument, OptionQuote); 2] {
        let symbol = Symbol::new("SPY");
        let spot = self.until("spot", |desk| {
            desk.broker.underlying_quote(&Symbol::new("SPY")).and_then(|found| found.quote.bid)
        });
        let mut listed = self.broker.option_contracts(&symbol);
        let furthest = listed.iter().map(|option| option.expiry_date).max().unwrap();
        listed.retain(|option| option.expiry_date == furthest && option.right == OptionRight::Put);
        listed.retain(|option| option.strike.to_f64() < spot.to_f64() * 0.99);
        let mut nearest: Vec<_> = listed.into_iter().rev().take(6).step_by(5).collect();
        let (far, near) = (nearest.pop().unwrap(), nearest.pop().unwrap());
        self.broker.watch(&symbol, &[near.conid, far.conid]);
        let quote = |desk: &Self, conid: ConId| {
            let received = desk.broker.option_quote(conid)?;
            let quote = received.quote;
            quote.bid.zip(quote.ask).and(quote.vendor.vol).map(|_| quote)
        };
        self.until("quotes of both puts", |desk| {
            let (first, second) = (quote(desk, near.conid)?, quote(desk, far.conid)?);
            let [near, far] = [&near, &far].map(|one| Instrument::Option(Arc::clone(one)));
            Some([(near, first), (far, second)])
        })
    }

    /// An order to buy the spread of the two puts, let through by the gate.
    pub fn approved(&mut self, at: At) -> Approved {
        let (proposed, market) = self.proposed(at);
        self.judged(proposed, &market)
    }

    /// The same before the gate, with the market that it is judged by.
    pub fn proposed(&mut self, at: At) -> (Proposed, MarketView) {
        let [(near, bought), (far, sold)] = self.puts();
        let natural = bought.ask.unwrap() - sold.bid.unwrap();
        let limit = match at {
            At::Natural => natural + price(0.02),
            At::ACent => price(0.01),
        };
        let mut legs = vec![
            Leg { instrument: near.clone(), ratio: 1 },
            Leg { instrument: far.clone(), ratio: -1 },
        ];
        legs.sort_by_key(|leg| leg.instrument.conid());
        let spot = self.broker.underlying_quote(&Symbol::new("SPY")).unwrap().quote.bid.unwrap();
        let now = self.gateway.now();
        let market_of = |quote: &OptionQuote| LegMarket {
            bid: quote.bid,
            ask: quote.ask,
            received_at: now,
            vol: quote.vendor.vol,
            delta: quote.vendor.delta,
            vega: quote.vendor.vega,
            rate: Some(0.04),
            dividend_yield: Some(0.012),
            spot: Some(spot.to_f64()),
        };
        let quotes = [(near.conid(), market_of(&bought)), (far.conid(), market_of(&sold))];
        self.sent += 1;
        let decision_id = format!("{:016}", self.sent);
        let order_ref = OrderRef::new(&decision_id, Purpose::Close, 0).unwrap();
        let request = OrderRequest {
            order_ref,
            legs: legs.iter().map(Leg::as_order_leg).collect(),
            quantity: 1,
            order_type: OrderType::Limit(limit),
        };
        let market = MarketView {
            legs: BTreeMap::from(quotes),
            spots: BTreeMap::from([(Symbol::new("SPY"), spot)]),
        };
        (proposal(request, legs, limit), market)
    }

    fn judged(&self, proposed: Proposed, market: &MarketView) -> Approved {
        let now = self.gateway.now();
        let today = now.date_naive();
        let held = proposed
            .legs
            .iter()
            .map(|leg| Holding { instrument: leg.instrument.clone(), quantity: -leg.ratio });
        let strategy = BookStrategy {
            strategy_id: "spread".to_owned(),
            symbol: Symbol::new("SPY"),
            structure: StructureKind::Other,
            holdings: held.collect(),
            reserved_cash: usd(0.0),
            policy: CoveragePolicy::Required,
            max_loss: usd(500.0),
            expiry_date: None,
            opened_on: today,
        };
        let account = account();
        let inputs = GateInputs {
            now,
            session_date: today,
            limits: &self.limits,
            session: SessionView {
                phase: SessionPhase::Open,
                minutes_since_open: Some(60.0),
                minutes_to_close: Some(300.0),
            },
            account: &account,
            breaker: BreakerLevel::Normal,
            market,
            book: &Book::new(vec![strategy], Vec::new()),
            grid: &ScenarioGrid::new(self.limits.scenario.clone()),
            what_if: Err("none is asked for"),
            activity: &Activity::default(),
            cluster_vega: None,
            required: &[RequiredInput { name: "rates", presence: Presence::Present }],
        };
        let verdict = check(proposed, &inputs);
        let refusals: Vec<_> = verdict.refusals().collect();
        assert!(refusals.is_empty(), "{refusals:#?}");
        match verdict.outcome {
            Outcome::Approved(approved) => approved,
            Outcome::Refused => panic!("refused without a reason"),
        }
    }

    /// Sends an order, whatever comes of it.
    pub fn send(&mut self, at: At) -> (OrderRef, Result<i64, BrokerError>) {
        let approved = self.approved(at);
        let order_ref = approved.request().order_ref.clone();
        (order_ref, self.broker.place(approved))
    }

    /// Sends one that the broker takes.
    pub fn sent(&mut self, at: At) -> OrderRef {
        let (order_ref, answer) = self.send(at);
        answer.unwrap();
        order_ref
    }

    /// References of the orders that the adapter knows to be open at the broker.
    pub fn open(&self) -> Vec<OrderRef> {
        self.broker.open_orders().into_iter().map(|open| open.request.order_ref).collect()
    }
}

/// What closes the spread of the test's strategy.
fn proposal(request: OrderRequest, legs: Vec<Leg>, limit: Price) -> Proposed {
    Proposed {
        decision_id: request.order_ref.as_str().split('.').next().unwrap().to_owned(),
        structure: recognise(&legs),
        request,
        legs,
        strategy_id: "spread".to_owned(),
        worst_price: limit,
        arrival_mid: None,
        fees_per_combo: usd(2.6),
        policy: CoveragePolicy::Required,
        reserved_cash: usd(0.0),
        provenance: Provenance {
            sql_hash: "5d41".to_owned(),
            settings_hash: "7d79".to_owned(),
            table_versions: BTreeMap::from([("gold.decisions".to_owned(), 1)]),
        },
    }
}

/// A quiet account.
fn account() -> AccountView {
    AccountView {
        net_liquidation: Some(usd(250_000.0)),
        capital: usd(250_000.0),
        cash: Some(usd(200_000.0)),
        commodities_cash: Some(usd(50_000.0)),
        excess_liquidity: Some(usd(240_000.0)),
        look_ahead_excess_liquidity: Some(usd(240_000.0)),
        overnight_buying_power: Some(usd(480_000.0)),
        assigned_notional: None,
        profit_today: Some(usd(0.0)),
        drawdown_ratio: Some(0.0),
    }
}
