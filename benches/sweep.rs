//! How many option contracts the live adapter sees afresh (bid and ask, or that nothing is bid) in
//! five minutes under IB's limits: 50 messages a second, 100 lines, first ticks after 50 to 400 ms.
//! The promise: 6,750 of 7,500.
//!
//! Over a real socket, in real time. `DELTADESK_SWEEP_SECONDS` (default 300) shortens it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use deltadesk::broker::Feed as _;
use deltadesk::broker::ib::{Bounds, Endpoint, IbBroker, IbParts, Recalled, Universe};
use deltadesk::desk::embedded::Published;
use deltadesk::desk::paper_gateway::exchange_at_open;
use deltadesk::gateway::{Delay, Gateway, Rules, Speed};
use deltadesk::market::sessions::Calendar;
use deltadesk::market::{Clock as _, ConId, Symbol};

const CONTRACTS: usize = 7_500;
const PROMISE: usize = 6_750;
/// Of the desk's side and of the gateway's.
const THREADS: usize = 4;

#[expect(clippy::disallowed_methods, reason = "how long is told by the environment")]
fn seconds() -> u64 {
    std::env::var("DELTADESK_SWEEP_SECONDS").map_or(300, |text| text.parse().unwrap_or(300))
}

/// What the count is beside the promise, which is for five minutes.
fn verdict(seen: usize) -> String {
    let promise = format!("{PROMISE} of {CONTRACTS} in 300 s");
    if seconds() < 300 {
        return format!("too short to compare with the promise of {promise}");
    }
    let word = if seen < PROMISE { "BELOW" } else { "above" };
    format!("{word} the promise of {promise}")
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build()
}

#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
fn main() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let exchange = exchange_at_open(home.path(), 1, "2026-03-02".parse()?)?;
    let account = exchange.config().account_id.clone();
    let rules = Rules::of_ib().with_first_ticks(Delay::assumed_of_ib());
    // A gateway is another program: it must not hold up the threads that the desk sends by.
    let [runtime, gateways] = [runtime()?, runtime()?];
    let listener = gateways.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
    let address = listener.local_addr()?.to_string();
    let gateway = Gateway::over(exchange, Speed(1.0), rules);
    let mut serving = tokio::task::JoinSet::new();
    let served = gateway.clone();
    serving.spawn_on(async move { served.serve(listener).await }, gateways.handle());
    let symbols: Vec<Symbol> = ["SPY", "QQQ", "IWM", "VIX"].map(Symbol::new).to_vec();
    let parts = IbParts {
        endpoint: Endpoint { address, client_id: 1, account },
        universe: Universe {
            symbols: symbols.clone(),
            roots: Vec::new(),
            horizon_days: 400,
            lines: 100,
        },
        bounds: Bounds::shipped(),
        calendar: Arc::new(Calendar::shipped()?),
        clock: Arc::new(gateway.clone()),
        reference: Box::new(Published(gateway.clone())),
        recalled: Recalled::default(),
    };
    let mut broker = IbBroker::start(parts, runtime.handle());
    broker.wait_until_ready(Duration::from_mins(2))?;
    let mut watched: BTreeSet<ConId> = BTreeSet::new();
    for symbol in &symbols {
        let listed = broker.option_contracts(symbol);
        let room = CONTRACTS - watched.len();
        let conids: Vec<ConId> = listed.iter().take(room).map(|one| one.conid).collect();
        broker.watch(symbol, &conids);
        watched.extend(conids);
    }
    let begun = gateway.now();
    runtime.block_on(async { tokio::time::sleep(Duration::from_secs(seconds())).await });
    broker.advance_to(gateway.now())?;
    // A quote is as old as the older of its sides.
    let fresh = watched
        .iter()
        .filter_map(|conid| broker.option_quote(*conid))
        .filter(|received| received.at >= begun);
    let sides: Vec<bool> =
        fresh.map(|received| received.quote.bid.and(received.quote.ask).is_some()).collect();
    let both = sides.iter().filter(|both| **both).count();
    println!(
        "sweep: {} of {} contracts seen afresh in {} s, {both} of them with a bid and an ask, the \
         others with nothing bid: {}",
        sides.len(),
        watched.len(),
        seconds(),
        verdict(sides.len())
    );
    broker.disconnect();
    Ok(())
}
