//! From a tick on the adapter's socket to the order on it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, bail};
use deltadesk::broker::ib::{Bounds, Endpoint, IbBroker, IbParts, Recalled, Universe};
use deltadesk::broker::{Broker as _, Feed as _};
use deltadesk::desk::embedded::Published;
use deltadesk::desk::files::shipped;
use deltadesk::desk::paper_gateway::exchange_at_open;
use deltadesk::desk::world::Plans;
use deltadesk::gateway::{Gateway, Rules, Speed};
use deltadesk::market::clock::Stopwatch;
use deltadesk::market::sessions::Calendar;
use deltadesk::market::{
    Clock as _, Instrument, OptionContract, OptionQuote, OptionRight, Price, Symbol, Usd,
};
use deltadesk::risk::{
    AccountView, Activity, Approved, Book, BookStrategy, BreakerLevel, GateInputs, LegMarket,
    MarketView, Outcome, Presence, Proposed, Provenance, RequiredInput, RiskLimits, ScenarioGrid,
    SessionPhase, SessionView, check,
};
use deltadesk::structures::{
    CoveragePolicy, Holding, Leg, OrderRef, OrderRequest, OrderType, Purpose, StructureKind,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

const WITHIN: Duration = Duration::from_mins(1);
/// Simulated seconds a second, so that quotes move at each beat of the gateway.
const SPEED: f64 = 10.0;
/// Numbers of messages, less 200.
pub const ASK_TICKS: u32 = 1;
pub const PLACE: u32 = 3;
pub const ASK_EXECUTIONS: u32 = 7;
const TICK_PRICE: u32 = 1;

/// One request of each kind, by its number.
pub type Requests = BTreeMap<u32, Vec<u8>>;

/// What passes on the adapter's socket, by the one stopwatch of the bench.
struct Passing {
    since: Stopwatch,
    /// When ticks of prices went to the adapter, and orders came from it.
    ticks: Vec<f64>,
    placed: Vec<f64>,
    frames: Requests,
}

type Watch = Arc<Mutex<Passing>>;

fn passing(watch: &Watch) -> std::sync::MutexGuard<'_, Passing> {
    watch.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Passes frames on and notes when.
async fn relay(
    (mut from, mut to): (OwnedReadHalf, OwnedWriteHalf),
    note: impl Fn(u32, &[u8]),
) -> std::io::Result<()> {
    let mut first = true;
    loop {
        let mut frame = vec![0; 4];
        from.read_exact(&mut frame).await?;
        if frame.as_slice() == b"API\0" {
            to.write_all(&frame).await?;
            from.read_exact(&mut frame).await?;
        }
        let head = frame.first_chunk::<4>().copied().unwrap_or_default();
        let mut body = vec![0; u32::from_be_bytes(head) as usize];
        from.read_exact(&mut body).await?;
        if let (false, Some(id)) = (first, body.first_chunk::<4>()) {
            note(u32::from_be_bytes(*id).saturating_sub(200), &body);
        }
        first = false;
        frame.extend(&body);
        to.write_all(&frame).await?;
    }
}

async fn between(listener: TcpListener, gateway: String, watch: Watch) -> std::io::Result<()> {
    let (adapter, _) = listener.accept().await?;
    let gateway = TcpStream::connect(&gateway).await?;
    adapter.set_nodelay(true)?;
    gateway.set_nodelay(true)?;
    let (from_adapter, to_adapter) = adapter.into_split();
    let (from_gateway, to_gateway) = gateway.into_split();
    let up = relay((from_adapter, to_gateway), |id, body| {
        let mut passing = passing(&watch);
        let at = passing.since.elapsed_seconds();
        if id == PLACE {
            passing.placed.push(at);
        }
        passing.frames.entry(id).or_insert_with(|| body.to_vec());
    });
    let down = relay((from_gateway, to_adapter), |id, _| {
        let mut passing = passing(&watch);
        let at = passing.since.elapsed_seconds();
        if id == TICK_PRICE {
            passing.ticks.push(at);
        }
    });
    tokio::try_join!(up, down).map(|_| ())
}

/// Milliseconds from the first tick after a decision was possible to the order on the socket.
pub fn measure(count: usize) -> anyhow::Result<(Vec<f64>, Requests)> {
    let home = tempfile::tempdir()?;
    let exchange = exchange_at_open(home.path(), 1, "2026-03-02".parse()?)?;
    let account = exchange.config().account_id.clone();
    let runtime = Runtime::new()?;
    let listen = || runtime.block_on(TcpListener::bind("127.0.0.1:0"));
    let (behind, before) = (listen()?, listen()?);
    let (gateway_at, address) =
        (behind.local_addr()?.to_string(), before.local_addr()?.to_string());
    let gateway = Gateway::over(exchange, Speed(SPEED), Rules::unpaced());
    let watch: Watch = Arc::new(Mutex::new(Passing {
        since: Stopwatch::start(),
        ticks: Vec::new(),
        placed: Vec::new(),
        frames: BTreeMap::new(),
    }));
    let mut serving = JoinSet::new();
    let served = gateway.clone();
    serving.spawn_on(async move { drop(served.serve(behind).await) }, runtime.handle());
    let noted = Arc::clone(&watch);
    serving
        .spawn_on(async move { drop(between(before, gateway_at, noted).await) }, runtime.handle());
    let parts = IbParts {
        endpoint: Endpoint { address, client_id: 1, account },
        universe: Universe {
            symbols: vec![Symbol::new("SPY")],
            roots: Vec::new(),
            horizon_days: 5,
            lines: 100,
        },
        bounds: Bounds::shipped(),
        calendar: Arc::new(Calendar::shipped()?),
        clock: Arc::new(gateway.clone()),
        reference: Box::new(Published(gateway.clone())),
        recalled: Recalled::default(),
    };
    let mut desk = Desk {
        broker: IbBroker::start(parts, runtime.handle()),
        gateway,
        limits: Plans::read(&shipped())
            .map_err(|_| anyhow::anyhow!("faults"))?
            .settings
            .risk
            .clone(),
        sent: 0,
    };
    desk.broker.wait_until_ready(WITHIN)?;
    let put = desk.watched_put()?;
    let mut latencies = Vec::with_capacity(count);
    while latencies.len() < count {
        let begun = passing(&watch).since.elapsed_seconds();
        let order_ref = desk.order_at_next_tick(&put)?;
        {
            let passing = passing(&watch);
            let tick = passing.ticks.iter().find(|at| **at > begun).copied();
            let placed = passing.placed.last().copied();
            let (tick, placed) = tick.zip(placed).context("neither tick nor order was seen")?;
            latencies.push((placed - tick) * 1e3);
        }
        desk.broker.cancel(&order_ref)?;
        desk.until_closed(&runtime)?;
    }
    desk.broker.disconnect();
    let frames = std::mem::take(&mut passing(&watch).frames);
    Ok((latencies, frames))
}

/// The deciding thread.
struct Desk {
    broker: IbBroker,
    gateway: Gateway,
    limits: RiskLimits,
    sent: u64,
}

impl Desk {
    /// The only line besides the underlying's, so that each tick of a price may be the one.
    fn watched_put(&mut self) -> anyhow::Result<Arc<OptionContract>> {
        let symbol = Symbol::new("SPY");
        let mut listed = self.broker.option_contracts(&symbol);
        listed.retain(|option| option.right == OptionRight::Put);
        let put = listed.get(listed.len() / 2).cloned().context("no put is listed")?;
        self.broker.watch(&symbol, &[put.conid]);
        let waited = Stopwatch::start();
        while self.quote(&put).is_none() {
            if waited.elapsed() > WITHIN {
                bail!("no quote: {}", self.broker.standing());
            }
            self.broker.advance_to(self.gateway.now())?;
        }
        Ok(put)
    }

    fn quote(&self, put: &OptionContract) -> Option<(OptionQuote, f64)> {
        let quote = self.broker.option_quote(put.conid)?.quote;
        let spot = self.broker.underlying_quote(&put.symbol)?.quote.bid?;
        quote.bid.zip(quote.ask).zip(quote.vendor.vol)?;
        Some((quote, spot.to_f64()))
    }

    /// Decides as soon as either quote has changed: it offers the put far above its price.
    fn order_at_next_tick(&mut self, put: &Arc<OptionContract>) -> anyhow::Result<OrderRef> {
        self.broker.advance_to(self.gateway.now())?;
        let before = self.quote(put);
        let waited = Stopwatch::start();
        loop {
            self.broker.advance_to(self.gateway.now())?;
            let now = self.quote(put);
            if let Some((quote, spot)) = now.clone().filter(|_| now != before) {
                let approved = self.approved(put, (&quote, spot))?;
                let order_ref = approved.request().order_ref.clone();
                self.broker.place(approved)?;
                return Ok(order_ref);
            }
            if waited.elapsed() > WITHIN {
                bail!("no tick: {}", self.broker.standing());
            }
        }
    }

    fn until_closed(&mut self, runtime: &Runtime) -> anyhow::Result<()> {
        let waited = Stopwatch::start();
        while !self.broker.open_orders().is_empty() {
            if waited.elapsed() > WITHIN {
                bail!("an order is not cancelled: {}", self.broker.standing());
            }
            runtime.block_on(async { tokio::time::sleep(Duration::from_millis(5)).await });
            self.broker.advance_to(self.gateway.now())?;
        }
        Ok(())
    }

    fn approved(
        &mut self,
        put: &Arc<OptionContract>,
        (quote, spot): (&OptionQuote, f64),
    ) -> anyhow::Result<Approved> {
        let now = self.gateway.now();
        let instrument = Instrument::Option(Arc::clone(put));
        let leg = Leg { instrument: instrument.clone(), ratio: -1 };
        let limit = Price::from_f64(-3.0 * spot.round() / 10.0).context("a price")?;
        self.sent += 1;
        let decision_id = format!("{:016}", self.sent);
        let market = LegMarket {
            bid: quote.bid,
            ask: quote.ask,
            received_at: now,
            vol: quote.vendor.vol,
            delta: quote.vendor.delta,
            vega: quote.vendor.vega,
            rate: Some(0.04),
            dividend_yield: Some(0.012),
            spot: Some(spot),
        };
        let market = MarketView {
            legs: BTreeMap::from([(put.conid, market)]),
            spots: Price::from_f64(spot)
                .map(|spot| (put.symbol.clone(), spot))
                .into_iter()
                .collect(),
        };
        let strategy = BookStrategy {
            strategy_id: "put".to_owned(),
            symbol: put.symbol.clone(),
            structure: StructureKind::Other,
            holdings: vec![Holding { instrument, quantity: 1 }],
            reserved_cash: Usd::ZERO,
            policy: CoveragePolicy::Required,
            max_loss: Usd::ZERO,
            expiry_date: None,
            opened_on: now.date_naive(),
        };
        let proposed = Proposed {
            request: OrderRequest {
                order_ref: OrderRef::new(&decision_id, Purpose::Close, 0)?,
                legs: vec![leg.as_order_leg()],
                quantity: 1,
                order_type: OrderType::Limit(limit),
            },
            legs: vec![leg],
            strategy_id: "put".to_owned(),
            decision_id,
            structure: StructureKind::Other,
            worst_price: limit,
            arrival_mid: None,
            fees_per_combo: Usd::ZERO,
            policy: CoveragePolicy::Required,
            reserved_cash: Usd::ZERO,
            provenance: Provenance {
                sql_hash: "bench".to_owned(),
                settings_hash: "bench".to_owned(),
                table_versions: BTreeMap::from([("bench".to_owned(), 1)]),
            },
        };
        self.let_through(proposed, (&market, strategy))
    }

    fn let_through(
        &self,
        proposed: Proposed,
        (market, strategy): (&MarketView, BookStrategy),
    ) -> anyhow::Result<Approved> {
        let now = self.gateway.now();
        let equity = Usd::from_f64(250_000.0);
        let account = AccountView {
            net_liquidation: equity,
            capital: equity.unwrap_or(Usd::ZERO),
            cash: equity,
            commodities_cash: equity,
            excess_liquidity: equity,
            look_ahead_excess_liquidity: equity,
            overnight_buying_power: equity,
            assigned_notional: None,
            profit_today: Some(Usd::ZERO),
            drawdown_ratio: Some(0.0),
        };
        let inputs = GateInputs {
            now,
            session_date: now.date_naive(),
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
        let refused: Vec<String> = verdict.refusals().map(|one| format!("{one:?}")).collect();
        match verdict.outcome {
            Outcome::Approved(approved) => Ok(approved),
            Outcome::Refused => bail!("refused: {}", refused.join("; ")),
        }
    }
}
