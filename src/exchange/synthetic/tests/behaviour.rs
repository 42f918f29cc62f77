//! Time, quotes, sessions, settlement, history: the market as the exchange sees it.

use chrono::Duration;

use super::*;
use crate::market::OptionRight;

/// All that is quoted, as text.
fn snapshot(market: &SyntheticMarket) -> String {
    let mut lines = Vec::new();
    for symbol in ["SPY", "QQQ", "IWM", "VIX"] {
        lines.push(format!("{:?}", market.underlying_quote(&symbol.into())));
        for option in market.option_contracts(&symbol.into()).iter().step_by(211) {
            lines.push(format!("{:?}", market.option_quote(option.conid)));
        }
    }
    for future in market.futures() {
        lines.push(format!("{:?}", market.future_quote(future.conid)));
    }
    lines.join("\n")
}

#[test]
fn the_same_seed_gives_the_same_quotes_whoever_asks_and_however_time_advances() {
    let until = at("2026-03-03T15:17:20Z");
    let mut strides = market(42);
    strides.advance_to(until);
    let mut steps = market(42);
    let mut clock = at("2026-03-02T14:00:00Z");
    while clock < until {
        steps.advance_to(clock);
        if clock.timestamp() % 7 == 0 {
            assert!(!snapshot(&steps).is_empty());
        }
        clock += Duration::seconds(613);
    }
    steps.advance_to(until);
    steps.advance_to(until - Duration::hours(1));
    assert_eq!(snapshot(&strides), snapshot(&steps));
    assert_eq!(steps.now(), until);
    let mut other = market(43);
    other.advance_to(until);
    assert_ne!(snapshot(&strides), snapshot(&other));
}

/// One seed's prices, to the tick, on every machine.
#[test]
fn a_seed_is_a_market() {
    let mut market = market(1);
    market.advance_to(at("2026-03-04T17:00:00Z"));
    let quotes = ["SPY", "QQQ", "IWM", "VIX"].map(|symbol| {
        let quote = market.underlying_quote(&symbol.into()).unwrap();
        quote.last.unwrap().to_f64().to_string()
    });
    assert_eq!(quotes, ["693.19", "611.68", "259.53", "23.85"]);
    let chain = market.option_contracts(&"SPY".into());
    let put = chain.iter().find(|option| &*option.occ_symbol == "SPY   260417P00650000").unwrap();
    let quote = market.option_quote(put.conid).unwrap();
    let sides = (quote.bid.unwrap().to_f64(), quote.ask.unwrap().to_f64());
    assert_eq!(
        format!("{sides:?} {:?} {:?}", quote.bid_size, quote.volume),
        "(7.31, 7.42) Some(125) Some(3855)"
    );
}

#[test]
fn no_quote_crosses_its_fair_value() {
    let mut market = market(5);
    for minutes in [0, 1, 7, 200, 389] {
        market.advance_to(at("2026-03-02T14:30:00Z") + Duration::minutes(minutes));
        let mut quoted = 0;
        for symbol in ["SPY", "QQQ", "IWM", "VIX"] {
            for option in market.option_contracts(&symbol.into()).iter().step_by(53) {
                let quote = market.option_quote(option.conid).unwrap();
                let fair = market.fair_value(option.conid).unwrap();
                let ask = quote.ask.unwrap().to_f64();
                assert!(fair < ask + 1e-9, "{} {fair} {quote:?}", option.occ_symbol);
                assert_eq!(quote.bid.is_some(), quote.bid_size.is_some());
                if let Some(bid) = quote.bid {
                    let bid = bid.to_f64();
                    assert!(bid > 0.0 && bid < fair + 1e-9 && bid < ask);
                    let offset = (0.5 * (bid + ask) - fair).abs();
                    assert!(offset < 0.5 * (ask - bid) + 1e-9);
                }
                quoted += 1;
            }
        }
        assert!(quoted > 300, "{quoted}");
        for future in market.futures() {
            let quote = market.future_quote(future.conid).unwrap();
            let fair = market.fair_value(future.conid).unwrap();
            assert!(quote.bid.unwrap().to_f64() <= fair && fair <= quote.ask.unwrap().to_f64());
            let ticks = quote.bid.unwrap().micros() % future.min_tick.micros();
            assert_eq!(ticks, 0, "{}", future.local_symbol);
        }
    }
}

#[test]
fn each_market_keeps_its_own_hours() {
    let mut market = market(3);
    let open = |market: &SyntheticMarket| {
        let spy = market.underlying_quote(&"SPY".into()).is_some();
        let chain = market.option_contracts(&"SPY".into());
        let option = market.option_quote(chain.last().unwrap().conid).is_some();
        let vix = market.underlying_quote(&"VIX".into()).is_some();
        let future = market.future_quote(market.futures().first().unwrap().conid).is_some();
        [spy, option, vix, future]
    };
    for (instant, expected) in [
        ("2026-03-02T13:00:00Z", [false, false, false, true]),
        ("2026-03-02T14:30:00Z", [true, true, true, true]),
        ("2026-03-02T20:59:59Z", [true, true, true, true]),
        ("2026-03-02T21:00:00Z", [false, true, true, true]),
        ("2026-03-02T21:15:00Z", [false, false, false, true]),
        ("2026-03-02T22:30:00Z", [false, false, false, false]),
        ("2026-03-02T23:00:00Z", [false, false, false, true]),
        ("2026-03-07T15:00:00Z", [false, false, false, false]),
        ("2026-03-08T22:30:00Z", [false, false, false, true]),
    ] {
        market.advance_to(at(instant));
        assert_eq!(open(&market), expected, "{instant}");
        let spy = super::super::etf::Etf::Spy.conid();
        assert_eq!(market.is_open(spy), expected[0], "{instant}");
    }
}

#[test]
fn expiring_contracts_settle_where_they_should() {
    let mut market = market(11);
    market.advance_to(at("2026-03-20T13:00:00Z"));
    let es = market.futures().into_iter().find(|future| &*future.local_symbol == "ESH6").unwrap();
    assert!(market.future_quote(es.conid).is_some() && market.settlement(es.conid).is_none());
    let carried = market.fair_value(es.conid).unwrap();
    market.advance_to(at("2026-03-20T13:30:00Z"));
    let settled = market.settlement(es.conid).unwrap();
    assert!((settled.price.to_f64() / carried - 1.0).abs() < 0.01);
    assert!(market.future_quote(es.conid).is_none() && market.fair_value(es.conid).is_none());

    let option = near(&market, "SPY", "2026-03-20", 0.01).into_iter().next().unwrap();
    assert!(market.settlement(option).is_none());
    market.advance_to(at("2026-03-20T20:00:00Z"));
    let settled = market.settlement(option).unwrap();
    assert_eq!(settled.at, at("2026-03-20T20:00:00Z"));
    let session = "2026-03-20".parse().unwrap();
    let spy = super::super::etf::Etf::Spy.conid();
    assert_eq!(market.official_mark(spy, session), Some(settled.price));
    let bar = market.daily_bar(&"SPY".into(), session).unwrap();
    assert_eq!(bar.close, settled.price);
    assert!(market.option_quote(option).is_none());
    market.advance_to(at("2026-04-10T20:00:00Z"));
    assert_eq!(market.settlement(option), Some(settled));
}

#[test]
fn vix_options_settle_at_the_opening_print() {
    let mut market = market(11);
    market.advance_to(at("2026-03-17T19:00:00Z"));
    let chain = market.option_contracts(&"VIX".into());
    let option = chain.iter().find(|option| option.expiry_date.to_string() == "2026-03-18");
    let option = option.unwrap().conid;
    assert!(market.option_quote(option).is_some());
    market.advance_to(at("2026-03-18T13:00:00Z"));
    assert!(market.option_quote(option).is_none() && market.settlement(option).is_none());
    market.advance_to(at("2026-03-18T13:30:00Z"));
    let vix = market.underlying_quote(&"VIX".into()).unwrap().last.unwrap();
    assert_eq!(market.settlement(option).unwrap().price, vix);
}

#[test]
fn dividends_leave_the_spot_and_are_published() {
    let mut market = market(2);
    let row = market
        .dividends()
        .into_iter()
        .find(|row| row.symbol.as_str() == "SPY" && row.ex_date.to_string() == "2026-03-20")
        .unwrap();
    market.advance_to(at("2026-03-20T07:59:00Z"));
    let (before, state) = (market.path.state().spots.spy, *market.path.state());
    market.advance_to(at("2026-03-20T08:00:00Z"));
    let drop = before - market.path.state().spots.spy;
    let minute = before * libm::sqrt(state.variances(super::super::etf::Etf::Spy).fast / 1e5);
    assert!((drop - row.amount.to_f64()).abs() < 10.0 * minute, "{drop} {row:?}");
}

#[test]
fn the_history_is_complete() {
    let market = market(9);
    let history = market.history();
    assert_eq!(history.len(), 252 * 7);
    for bar in &history {
        assert!(bar.low <= bar.open && bar.open <= bar.high, "{bar:?}");
        assert!(bar.low <= bar.close && bar.close <= bar.high, "{bar:?}");
        let etf = ["SPY", "QQQ", "IWM"].contains(&bar.symbol.as_str());
        assert_eq!(bar.implied_vol.is_some(), etf, "{bar:?}");
        assert_eq!(bar.volume.is_some(), bar.symbol.as_str() != "VIX", "{bar:?}");
    }
    assert_eq!(history.last().unwrap().session.to_string(), "2026-02-27");
    assert_eq!(market.daily_bar(&"SPY".into(), "2026-03-02".parse().unwrap()), None);
    assert_eq!(market.description().name, "synthetic");
}

#[test]
fn scenarios_do_what_they_say() {
    let close = |scenario, instant: &str| {
        let mut market = market_of(6, 1.25, scenario);
        market.advance_to(at(instant));
        let vix = market.underlying_quote(&"VIX".into()).unwrap().last.unwrap().to_f64();
        (market.fair_value(super::super::etf::Etf::Spy.conid()).unwrap(), vix, market)
    };
    let two_weeks = "2026-03-13T19:59:00Z";
    let (ordinary, _, _) = close(Scenario::Ordinary, two_weeks);
    let (rally, _, _) = close(Scenario::Rally, two_weeks);
    let (slide, _, _) = close(Scenario::Slide, two_weeks);
    assert!((rally / ordinary - 1.0).abs() > 0.06 && rally > ordinary && slide < ordinary);
    let (spot_before, vix_before, before) =
        close(Scenario::VolatilitySpike, "2026-03-06T15:59:50Z");
    let (spot_after, vix_after, after) = close(Scenario::VolatilitySpike, "2026-03-06T16:00:00Z");
    assert!(spot_after < 0.965 * spot_before && vix_after > 1.3 * vix_before);
    let spread = |market: &SyntheticMarket, conid| {
        let quote = market.option_quote(conid).unwrap();
        let bid = quote.bid.map_or(0.0, crate::market::Price::to_f64);
        (quote.ask.unwrap().to_f64() - bid, quote.ask_size.unwrap())
    };
    let options = near(&before, "SPY", "2026-04-17", 0.05);
    let (mut wider, mut sizes) = (Vec::new(), (0, 0));
    for conid in options {
        let (calm, calm_size) = spread(&before, conid);
        let (wild, wild_size) = spread(&after, conid);
        wider.push(wild / calm);
        sizes = (sizes.0 + calm_size, sizes.1 + wild_size);
    }
    wider.sort_by(f64::total_cmp);
    let median = wider[wider.len() / 2];
    assert!((5.0..25.0).contains(&median), "{median}");
    assert!(sizes.1 * 4 < sizes.0, "{sizes:?}");
    assert!(after.stress(&"SPY".into()) > before.stress(&"SPY".into()) + 4.0);
}

/// SPY options of the next weeks that are out of the money by more than 1.5 deviations now, and how
/// many of them nobody bids for.
fn wings(market: &SyntheticMarket) -> (usize, usize) {
    let state = market.path.state();
    let spy = super::super::listing::Underlying::Etf(super::super::etf::Etf::Spy);
    let far: Vec<_> = market
        .listing
        .trading(spy, state.at)
        .filter(|option| option.contract.expiry_date.to_string().as_str() < "2026-04-18")
        .filter(|option| {
            let away = market.smiles.value(&market.law, state, option).unwrap().distance;
            let call = option.contract.right == OptionRight::Call;
            (if call { away } else { -away }) > 1.5
        })
        .map(|option| option.contract.conid)
        .collect();
    let bare = far.iter().filter(|id| market.option_quote(**id).unwrap().bid.is_none()).count();
    (far.len(), bare)
}

#[test]
fn in_a_crash_wings_lose_their_bid() {
    let (mut calm, mut wild) = (Vec::new(), Vec::new());
    for seed in [6, 7, 8] {
        let mut market = market_of(seed, 1.25, Scenario::VolatilitySpike);
        for (instant, shares) in
            [("2026-03-06T15:59:50Z", &mut calm), ("2026-03-06T16:00:00Z", &mut wild)]
        {
            market.advance_to(at(instant));
            let (far, bare) = wings(&market);
            shares.push(bare as f64 / far as f64);
        }
    }
    let said = format!("shares without a bid before {calm:.2?} and after {wild:.2?}");
    assert!(calm.iter().zip(&wild).all(|(calm, wild)| wild > calm), "{said}");
    let rise: f64 = wild.iter().sum::<f64>() - calm.iter().sum::<f64>();
    assert!(rise > 3.0 * 0.15, "{said}");
}

/// Between the shares of SPY in 2005 to 2015 (0.32) and in 2016 to 2021 (0.47), with room for the
/// error of a year.
#[test]
fn the_night_has_its_share_of_the_variance() {
    let (mut nights, mut all) = (0.0, 0.0);
    for seed in 0..12 {
        let history = market(seed).history();
        let bars: Vec<_> = history.iter().filter(|bar| bar.symbol.as_str() == "SPY").collect();
        for two in bars.windows(2) {
            let close = two[0].close.to_f64();
            let night = libm::log(two[1].open.to_f64() / close);
            let day = libm::log(two[1].close.to_f64() / close);
            nights += night * night;
            all += day * day;
        }
    }
    let share = nights / all;
    assert!((0.25..0.5).contains(&share), "{share}");
}

#[test]
fn chains_are_two_sided_near_the_money_and_wings_lose_their_bid() {
    let mut market = market(8);
    market.advance_to(at("2026-03-05T17:00:00Z"));
    let chain = market.option_contracts(&"SPY".into());
    let spot = market.underlying_quote(&"SPY".into()).unwrap().last.unwrap().to_f64();
    let (mut bare, mut wings) = (0, 0);
    for option in chain.iter().filter(|option| option.right == OptionRight::Put) {
        let quote = market.option_quote(option.conid).unwrap();
        let moneyness = option.strike.to_f64() / spot;
        if (0.97..1.03).contains(&moneyness)
            && option.expiry_date.to_string().as_str() > "2026-03-06"
        {
            let (bid, ask) = (quote.bid.unwrap().to_f64(), quote.ask.unwrap().to_f64());
            assert!((ask - bid) / (ask + bid) < 0.1, "{} {quote:?}", option.occ_symbol);
        }
        if moneyness < 0.93 && option.expiry_date.to_string().as_str() < "2026-03-10" {
            wings += 1;
            bare += usize::from(quote.bid.is_none());
        }
    }
    assert!(wings > 10 && bare * 3 > wings, "{bare} of {wings}");
}
