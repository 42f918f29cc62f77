//! What the gateway says of data and the account beyond quotes, orders and daily bars, as an
//! unmodified client of the crate ibapi sees it.

#![cfg(test)]

use chrono::TimeDelta;
use deltadesk::gateway::{HistoryPacing, Rules};
use deltadesk::market::clock::Stopwatch;
use futures::StreamExt as _;
use ibapi::accounts::types::{AccountGroup, AccountId, ContractId};
use ibapi::contracts::tick_types::TickType;
use ibapi::contracts::{ComboLeg, LegAction};
use ibapi::market_data::historical::HistoricalBarUpdate;
use ibapi::prelude::*;
use tokio::time::timeout;

use crate::gateway::{BOUND, Running, connect, gateway_with};

async fn running(speed: f64, rules: Rules) -> (Running, Client) {
    let running = gateway_with(speed, rules, "").await;
    let client = connect(&running.address, 1).await.unwrap();
    (running, client)
}

/// A call of SPY near the money, some weeks out.
async fn call(client: &Client) -> Contract {
    let spy = client.contract_details(&Contract::stock("SPY").build()).await.unwrap();
    let under = spy[0].contract.contract_id;
    let chain = client.option_chain("SPY", SecurityType::Stock, under).subscribe().await.unwrap();
    let chain = chain.filter_data().next().await.unwrap().unwrap();
    let expiry = chain.expirations[chain.expirations.len() / 2].clone();
    let (year, month, day) =
        (expiry[..4].parse().unwrap(), expiry[4..6].parse().unwrap(), expiry[6..].parse().unwrap());
    let spot = first_bid(client, &spy[0].contract).await;
    let mut strikes = chain.strikes;
    strikes.sort_by(|a, b| (a - spot).abs().total_cmp(&(b - spot).abs()));
    for strike in strikes {
        let call = Contract::call("SPY").strike(strike).expires_on(year, month, day).build();
        if let Ok(details) = client.contract_details(&call).await
            && details.len() == 1
        {
            return details[0].contract.clone();
        }
    }
    panic!("no call of {expiry} is listed");
}

async fn first_bid(client: &Client, contract: &Contract) -> f64 {
    let ticks = client.market_data(contract).snapshot_once(BOUND).await.unwrap();
    Quote::from_ticks(&ticks).bid.unwrap()
}

/// The code and text with which a request ends.
fn refusal<T: std::fmt::Debug>(outcome: Result<T, Error>) -> (i32, String) {
    match outcome {
        Err(Error::Notice(notice)) => (notice.code, notice.message),
        other => panic!("no refusal: {other:?}"),
    }
}

/// The next item of a subscription.
async fn next<S: futures::Stream + Unpin>(subscription: &mut S) -> S::Item {
    timeout(BOUND, subscription.next()).await.expect("in time").expect("an item")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_entitled_is_refused_and_delayed_data_come_on_request() {
    let rules = Rules::unpaced();
    let entitled = ["equities=delayed", "options=none"];
    let entitled = entitled.iter().fold(rules.entitled, |all, one| all.with(one.parse().unwrap()));
    let (_running, client) = running(1.0, Rules { entitled, ..rules }).await;
    let spy = Contract::stock("SPY").build();
    let mut live = client.market_data(&spy).subscribe().await.unwrap();
    let SubscriptionItem::Notice(notice) = next(&mut live).await.unwrap() else { panic!() };
    assert_eq!(notice.code, 10_089, "{notice:?}");
    client.switch_market_data_type(MarketDataType::Delayed).await.unwrap();
    let mut delayed = client.market_data(&spy).subscribe().await.unwrap();
    let SubscriptionItem::Notice(notice) = next(&mut delayed).await.unwrap() else { panic!() };
    assert_eq!(notice.code, 10_167, "{notice:?}");
    let mut told = Vec::new();
    while told.len() < 2 {
        if let SubscriptionItem::Data(tick) = next(&mut delayed).await.unwrap() {
            told.push(tick);
        }
    }
    assert!(
        told.iter().any(|tick| matches!(tick, TickTypes::MarketDataType(MarketDataType::Delayed))),
        "{told:?}"
    );
    // A quarter of an hour before the open nothing was quoted: the close of the day before stands.
    let SubscriptionItem::Data(TickTypes::Price(close)) = next(&mut delayed).await.unwrap() else {
        panic!("no close");
    };
    assert_eq!(close.tick_type, TickType::DelayedClose);
    let vix = Contract::index("VIX");
    let ticks = client.market_data(&vix).snapshot_once(BOUND).await.unwrap();
    assert!(Quote::from_ticks(&ticks).last.is_some(), "indices are live: {ticks:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_ends_in_its_time_and_takes_no_generic_ticks() {
    let rules = Rules { snapshot_end: TimeDelta::seconds(11), ..Rules::unpaced() };
    let (_running, client) = running(20.0, rules).await;
    let spy = Contract::stock("SPY").build();
    let begun = Stopwatch::start();
    let ticks = client.market_data(&spy).snapshot_once(BOUND).await.unwrap();
    let took = begun.elapsed_seconds();
    assert!(Quote::from_ticks(&ticks).bid.is_some());
    assert!((0.5..5.0).contains(&took), "11 simulated seconds took {took}");
    let both = client.market_data(&spy).generic_ticks(&["106"]).snapshot();
    let mut both = both.subscribe().await.unwrap();
    let (code, said) = refusal(next(&mut both).await);
    assert_eq!(code, 321);
    assert!(said.contains("not applicable to generic ticks"), "{said}");
    let mut unknown = client.market_data(&spy).generic_ticks(&["999"]).subscribe().await.unwrap();
    let (code, said) = refusal(next(&mut unknown).await);
    assert_eq!(code, 321);
    assert!(said.contains("Incorrect generic tick list of 999"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn generic_ticks_bring_what_the_market_knows() {
    let (_running, client) = running(1.0, Rules::unpaced()).await;
    let spy = Contract::stock("SPY").build();
    let line = client.market_data(&spy).generic_ticks(&["104", "106", "165", "221"]);
    let line = line.subscribe().await.unwrap().filter_data();
    let mut wanted = vec![
        TickType::OptionHistoricalVol,
        TickType::OptionImpliedVol,
        TickType::Low52Week,
        TickType::High52Week,
        TickType::AvgVolume,
        TickType::MarkPrice,
    ];
    let mut ticks = std::pin::pin!(line);
    while !wanted.is_empty() {
        let tick = timeout(BOUND, ticks.next()).await.unwrap().unwrap().unwrap();
        #[expect(clippy::wildcard_enum_match_arm, reason = "ticks of other kinds")]
        let (kind, value) = match tick {
            TickTypes::Generic(tick) => (tick.tick_type, tick.value),
            TickTypes::Price(tick) => (tick.tick_type, tick.price),
            TickTypes::PriceSize(tick) => (tick.price_tick_type, tick.price),
            TickTypes::Size(tick) => (tick.tick_type, tick.size),
            _ => continue,
        };
        assert!(value > 0.0, "{kind:?} {value}");
        wanted.retain(|wanted| *wanted != kind);
    }
    let option = call(&client).await;
    let line = client.market_data(&option).generic_ticks(&["101"]).subscribe().await.unwrap();
    let mut ticks = std::pin::pin!(line.filter_data());
    loop {
        let tick = timeout(BOUND, ticks.next()).await.unwrap().unwrap().unwrap();
        if let TickTypes::Size(tick) = tick
            && tick.tick_type == TickType::OptionCallOpenInterest
        {
            break;
        }
    }
}

/// What comes of each kind of tick, until all that are wanted have come.
async fn ticks_of(
    client: &Client,
    (contract, generic): (&Contract, &[&str]),
    wanted: &[TickType],
) -> Vec<(TickType, f64)> {
    let line = client.market_data(contract).generic_ticks(generic).subscribe().await.unwrap();
    let mut ticks = std::pin::pin!(line.filter_data());
    let mut told: Vec<(TickType, f64)> = Vec::new();
    while !wanted.iter().all(|kind| told.iter().any(|(told, _)| told == kind)) {
        let tick = timeout(BOUND, ticks.next()).await;
        let tick = tick.unwrap_or_else(|_| panic!("of {wanted:?} came {told:?}"));
        match tick.unwrap().unwrap() {
            TickTypes::Generic(tick) => told.push((tick.tick_type, tick.value)),
            TickTypes::Price(tick) => told.push((tick.tick_type, tick.price)),
            TickTypes::PriceSize(tick) => told.push((tick.price_tick_type, tick.price)),
            TickTypes::Size(tick) => told.push((tick.tick_type, tick.size)),
            TickTypes::String(tick) => told.push((tick.tick_type, tick.value.parse().unwrap())),
            TickTypes::OptionComputation(tick) => {
                told.push((tick.field, tick.implied_volatility.unwrap_or(-1.0)));
            }
            TickTypes::SnapshotEnd
            | TickTypes::RequestParameters(_)
            | TickTypes::MarketDataType(_) => {}
        }
    }
    told
}

/// The last value of a kind.
fn of(told: &[(TickType, f64)], kind: TickType) -> f64 {
    told.iter().rev().find(|(told, _)| *told == kind).unwrap().1
}

#[tokio::test(flavor = "multi_thread")]
async fn the_day_so_far_the_last_trade_and_the_volume_of_options_are_told_of_an_underlying() {
    use TickType::{Halted, High, Last, LastTimestamp, Low, Open};
    use TickType::{OptionCallVolume, OptionPutVolume};
    let (_running, client) = running(20.0, Rules::unpaced()).await;
    let spy = Contract::stock("SPY").build();
    let wanted = [Open, High, Low, Last, LastTimestamp, Halted, OptionCallVolume, OptionPutVolume];
    let told = ticks_of(&client, (&spy, &["100"]), &wanted).await;
    assert!(of(&told, Low) <= of(&told, Open) && of(&told, Open) <= of(&told, High), "{told:?}");
    assert!(of(&told, Low) <= of(&told, Last) && of(&told, Last) <= of(&told, High), "{told:?}");
    // Half past nine of 2 March 2026 in New York, and some minutes.
    assert!((1_772_461_800.0..1_772_463_600.0).contains(&of(&told, LastTimestamp)), "{told:?}");
    assert!(of(&told, Halted).abs() < 1e-9, "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bid_and_ask_of_an_option_imply_volatilities_around_the_models() {
    use TickType::{AskOption, BidOption, ModelOption};
    let (_running, client) = running(1.0, Rules::unpaced()).await;
    let option = call(&client).await;
    let told = ticks_of(&client, (&option, &[]), &[BidOption, AskOption, ModelOption]).await;
    let (bid, ask) = (of(&told, BidOption), of(&told, AskOption));
    let model = of(&told, ModelOption);
    assert!(0.0 < bid && bid < ask, "{told:?}");
    assert!(bid - 0.02 < model && model < ask + 0.02, "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_combo_is_quoted_as_what_its_legs_cost_together() {
    use TickType::{Ask, Bid};
    let (_running, client) = running(1.0, Rules::unpaced()).await;
    let long = call(&client).await;
    let short = Contract { strike: long.strike + 5.0, contract_id: 0, ..long.clone() };
    let short = Contract { local_symbol: String::new(), ..short };
    let short = client.contract_details(&short).await.unwrap()[0].contract.clone();
    let leg = |contract: &Contract, action: LegAction| ComboLeg {
        contract_id: contract.contract_id,
        ratio: 1,
        action,
        exchange: "SMART".to_owned(),
        ..ComboLeg::default()
    };
    let spread = Contract {
        symbol: "SPY".into(),
        security_type: SecurityType::Spread,
        exchange: "SMART".into(),
        currency: "USD".into(),
        combo_legs: vec![leg(&long, LegAction::Buy), leg(&short, LegAction::Sell)],
        ..Contract::default()
    };
    let told = ticks_of(&client, (&spread, &[]), &[Bid, Ask]).await;
    let (bid, ask) = (of(&told, Bid), of(&told, Ask));
    assert!(0.0 < bid && bid < ask && ask < 5.0, "{told:?}");
    let turned = Contract {
        combo_legs: vec![leg(&long, LegAction::Sell), leg(&short, LegAction::Buy)],
        ..spread
    };
    let told = ticks_of(&client, (&turned, &[]), &[Bid, Ask]).await;
    assert!(of(&told, Bid) < of(&told, Ask) && of(&told, Ask) < 0.0, "a credit: {told:?}");
    let empty = Contract { combo_legs: vec![], ..turned };
    let mut refused = client.market_data(&empty).subscribe().await.unwrap();
    assert_eq!(refusal(next(&mut refused).await).0, 321);
}

#[tokio::test(flavor = "multi_thread")]
async fn bars_of_five_seconds_follow_one_another_and_count_as_a_line() {
    let (_running, client) = running(60.0, Rules { lines: 1, ..Rules::unpaced() }).await;
    let spy = Contract::stock("SPY").build();
    let bars = client.realtime_bars(&spy).what_to_show(RealtimeWhatToShow::MidPoint);
    let bars = bars.subscribe().await.unwrap();
    let mut another = client.market_data(&spy).subscribe().await.unwrap();
    assert_eq!(refusal(next(&mut another).await).0, 101);
    let told: Vec<_> = timeout(BOUND, bars.clone().filter_data().take(4).collect()).await.unwrap();
    let told: Vec<_> = told.into_iter().map(Result::unwrap).collect();
    for (earlier, later) in told.iter().zip(&told[1..]) {
        assert_eq!((later.date - earlier.date).whole_seconds(), 5);
    }
    assert!(told.iter().all(|bar| bar.low > 0.0 && bar.low <= bar.open && bar.open <= bar.high));
    bars.cancel().await;
    let line = client.market_data(&spy).subscribe().await.unwrap();
    assert!(timeout(BOUND, line.filter_data().next()).await.unwrap().unwrap().is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn bars_within_a_day_are_those_of_the_market_and_short_ones_are_paced() {
    let rules = Rules { history: HistoryPacing::OfIb, ..Rules::unpaced() };
    let (_running, client) = running(1.0, rules).await;
    let spy = Contract::stock("SPY").build();
    let option = call(&client).await;
    let (day, half_an_hour) = (1.days(), 1_800.seconds());
    let asked = async |contract: &Contract, size: HistoricalBarSize, span, show| {
        let asked = client.historical_data(contract, size).duration(span).what_to_show(show);
        timeout(BOUND, asked.fetch()).await.unwrap()
    };
    let trades = HistoricalWhatToShow::Trades;
    // At the open the session has one bar, or gives way to the one before it.
    let bars = asked(&spy, HistoricalBarSize::Min5, day, trades).await.unwrap().bars;
    assert!(!bars.is_empty());
    assert!(bars.iter().all(|bar| bar.low > 0.0 && bar.low <= bar.close && bar.close <= bar.high));
    for show in [HistoricalWhatToShow::Bid, HistoricalWhatToShow::BidAsk] {
        assert!(asked(&option, HistoricalBarSize::Min30, day, show).await.is_ok());
    }
    let refused = refusal(asked(&spy, HistoricalBarSize::Sec, day, trades).await);
    assert_eq!(refused.0, 162);
    assert!(refused.1.contains("Time length exceed max"), "{refused:?}");
    assert!(asked(&spy, HistoricalBarSize::Sec30, half_an_hour, trades).await.is_ok());
    let again = refusal(asked(&spy, HistoricalBarSize::Sec30, half_an_hour, trades).await);
    assert!(again.0 == 162 && again.1.contains("pacing violation"), "{again:?}");
    let head = client.head_timestamp(&spy, trades, TradingHours::Regular);
    let head = timeout(BOUND, head).await.unwrap().unwrap();
    assert_eq!(head.year(), 2025);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_is_kept_up_to_date_grows() {
    let (_running, client) = running(60.0, Rules::unpaced()).await;
    let spy = Contract::stock("SPY").build();
    let asked = client.historical_data(&spy, HistoricalBarSize::Min).duration(1.days());
    let mut stream =
        asked.what_to_show(HistoricalWhatToShow::MidPoint).stream().await.unwrap().filter_data();
    let (mut begun, mut updates) = (0, Vec::new());
    while updates.len() < 12 {
        match timeout(BOUND, stream.next()).await.unwrap().unwrap().unwrap() {
            HistoricalBarUpdate::Historical(history) => begun = history.bars.len(),
            HistoricalBarUpdate::Update(bar) => updates.push(bar),
            HistoricalBarUpdate::End { .. } => {}
        }
    }
    assert!(begun > 0);
    let dates: std::collections::BTreeSet<String> =
        updates.iter().map(|bar| format!("{:?}", bar.date)).collect();
    assert!(dates.len() > 1, "a new bar has begun: {dates:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_options_volatility_and_price_lead_back_to_each_other() {
    let (_running, client) = running(1.0, Rules::unpaced()).await;
    let option = call(&client).await;
    let spot = first_bid(&client, &Contract::stock("SPY").build()).await;
    let bid = first_bid(&client, &option).await;
    let implied = client.calculate_implied_volatility(&option, bid, spot).await.unwrap();
    let vol = implied.implied_volatility.unwrap();
    assert!((0.03..1.0).contains(&vol), "{implied:?}");
    assert!((0.3..0.7).contains(&implied.delta.unwrap()), "{implied:?}");
    let priced = client.calculate_option_price(&option, vol, spot).await.unwrap();
    assert!((priced.option_price.unwrap() - bid).abs() < 0.005, "{priced:?}");
    for (price, under) in [(0.0, spot), (bid, -1.0), (f64::NAN, spot), (spot * 2.0, spot)] {
        let outcome = client.calculate_implied_volatility(&option, price, under).await;
        assert_eq!(refusal(outcome).0, 321, "{price} {under}");
    }
    let stock = Contract::stock("SPY").build();
    assert_eq!(refusal(client.calculate_option_price(&stock, 0.2, spot).await).0, 321);
}

#[tokio::test(flavor = "multi_thread")]
async fn symbols_and_market_rules_are_found() {
    let (_running, client) = running(1.0, Rules::unpaced()).await;
    let found = client.matching_symbols("sp").await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].contract.symbol.to_string(), "SPY");
    assert_eq!(found[0].derivative_security_types, ["OPT"]);
    assert!(client.matching_symbols("nothing").await.unwrap().is_empty());
    let details = client.contract_details(&call(&client).await).await.unwrap();
    let [rule] = details[0].market_rule_ids.as_slice() else { panic!("{details:?}") };
    let rule = client.market_rule(rule.parse().unwrap()).await.unwrap();
    let steps: Vec<(f64, f64)> =
        rule.price_increments.iter().map(|step| (step.low_edge, step.increment)).collect();
    assert_eq!(steps, [(0.0, 0.01)]);
    let hours = &details[0].liquid_hours;
    assert_eq!(hours[0], "20260302:0930-20260302:1615", "{hours:?}");
    assert!(hours.contains(&"20260307:CLOSED".to_owned()), "{hours:?}");
    let spy = Contract::stock("SPY").build();
    let schedule = client.historical_schedules(&spy, 5.days()).fetch();
    let schedule = timeout(BOUND, schedule).await.unwrap().unwrap();
    assert_eq!(schedule.sessions.len(), 5);
    assert_eq!(schedule.sessions[4].reference.to_string(), "2026-03-02");
    assert_eq!(client.family_codes().await.unwrap()[0].account_id, "DU0000001");
    assert!(client.user_info().await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_is_told_under_numbers_and_its_profit_by_the_day() {
    let (_running, client) = running(60.0, Rules::unpaced()).await;
    let option = call(&client).await;
    let account = AccountId("DU0000001".to_owned());
    let mut profits = client.pnl(&account, None).await.unwrap().filter_data();
    let first = timeout(BOUND, profits.next()).await.unwrap().unwrap();
    assert!(first.unwrap().daily_pnl.abs() < 1e-9, "the account began today, in cash");
    let order = order_builder::market_order(Action::Buy, 2.0);
    let updates = client.order_update_stream().await.unwrap();
    client.submit_order(client.next_order_id(), &option, &order).await.unwrap();
    let mut updates = updates.filter_data();
    let filled = timeout(BOUND, async {
        while let Some(update) = updates.next().await {
            if let OrderUpdate::CommissionReport(_) = update.unwrap() {
                return;
            }
        }
    });
    filled.await.expect("filled in time");
    // The profit moves within a second or two of the wall.
    let moved = timeout(BOUND, async {
        loop {
            let profit = profits.next().await.unwrap().unwrap();
            if profit.daily_pnl.abs() > 1e-9 {
                return profit;
            }
        }
    });
    let moved = moved.await.expect("the day's profit moves");
    let whole = moved.unrealized_pnl.unwrap() + moved.realized_pnl.unwrap();
    assert!((moved.daily_pnl - whole).abs() < 0.02, "all of it is today's: {moved:?}");
    let single = client.pnl_single(&account, ContractId(option.contract_id), None).await.unwrap();
    let single = timeout(BOUND, single.filter_data().next()).await.unwrap().unwrap().unwrap();
    assert!((single.position - 2.0).abs() < 1e-9);
    assert!((single.daily_pnl - single.unrealized_pnl).abs() < 0.02, "{single:?}");

    let positions = client.positions_multi(Some(&account), None).await.unwrap();
    let mut positions = positions.filter_data();
    let mut held = Vec::new();
    while let Some(PositionUpdateMulti::Position(position)) =
        timeout(BOUND, positions.next()).await.unwrap().map(Result::unwrap)
    {
        held.push((position.contract.contract_id, position.position));
    }
    assert_eq!(held, [(option.contract_id, 2.0)]);
    let stranger = AccountId("U999".to_owned());
    let mut refused = client.positions_multi(Some(&stranger), None).await.unwrap();
    let (code, said) = refusal(next(&mut refused).await);
    assert!(code == 321 && said.contains("Invalid account code 'U999'"), "{said}");
    let mut refused = client.pnl(&stranger, None).await.unwrap();
    assert_eq!(refusal(next(&mut refused).await).0, 321);
    let mut refused = client
        .account_summary(&AccountGroup("Friends".to_owned()), &["NetLiquidation"])
        .await
        .unwrap();
    assert_eq!(refusal(next(&mut refused).await).0, 321);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_simulated_is_refused_by_its_number() {
    let (_running, client) = running(1.0, Rules::unpaced()).await;
    let spy = Contract::stock("SPY").build();
    let mut depth = client.market_depth(&spy, 5).subscribe().await.unwrap();
    assert_eq!(refusal(next(&mut depth).await).0, 10_092);
    let mut ticks = client.tick_by_tick(&spy, 0).mid_point().await.unwrap();
    assert_eq!(refusal(next(&mut ticks).await).0, 10_189);
    let histogram = client.histogram_data(&spy, TradingHours::Regular, HistoricalBarSize::Day);
    assert_eq!(refusal(timeout(BOUND, histogram).await.unwrap()).0, 321);
    let smart = timeout(BOUND, client.smart_components("a6")).await.unwrap();
    assert_eq!(refusal(smart).0, 321);
    assert!(client.market_depth_exchanges().await.unwrap().is_empty());
    // The connection goes on.
    assert!(client.server_time().await.is_ok());
}
