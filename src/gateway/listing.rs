//! Contracts in the protocol's words, and the other way round.

use std::collections::{BTreeMap, BTreeSet};

use crate::exchange::MarketSource;
use crate::market::{ConId, Instrument, OptionContract, OptionRight, Price, SecurityKind, Symbol};

use super::event::{ContractDetails, OptionParameters};
use super::market_rules::rule_of;
use super::words::WireContract;

/// The exchange that routes, for everything but futures and indices.
pub const SMART: &str = "SMART";
/// Where the index futures trade.
const CME: &str = "CME";
/// Where the VIX and its options are made.
const CBOE: &str = "CBOE";

/// The protocol's id of a contract; `None` where the market's own does not fit 32 bits.
pub fn wire_id(conid: ConId) -> Option<i32> {
    i32::try_from(conid.0).ok()
}

fn exchange_of(instrument: &Instrument) -> &'static str {
    match instrument {
        Instrument::Stock(_) | Instrument::Option(_) => SMART,
        Instrument::Index(_) => CBOE,
        Instrument::Future(_) => CME,
    }
}

/// An instrument as the gateway names it. `ARCA` as the ETFs' primary exchange is an assumption.
pub fn describe(instrument: &Instrument) -> WireContract {
    let symbol = instrument.symbol().to_string();
    let mut contract = WireContract {
        con_id: wire_id(instrument.conid()).unwrap_or_default(),
        security_type: instrument.kind().as_str().to_owned(),
        exchange: exchange_of(instrument).to_owned(),
        currency: "USD".to_owned(),
        local_symbol: symbol.clone(),
        trading_class: symbol.clone(),
        symbol,
        ..WireContract::default()
    };
    match instrument {
        Instrument::Stock(_) => "ARCA".clone_into(&mut contract.primary_exchange),
        Instrument::Index(_) => contract.trading_class = String::new(),
        Instrument::Option(option) => {
            contract.last_trade = option.expiry_date.format("%Y%m%d").to_string();
            contract.strike = Some(option.strike.to_f64());
            option.right.as_str().clone_into(&mut contract.right);
            contract.multiplier = option.multiplier.to_string();
            contract.local_symbol = option.occ_symbol.to_string();
        }
        Instrument::Future(future) => {
            contract.last_trade = future.expiry_date.format("%Y%m%d").to_string();
            contract.multiplier = future.multiplier.to_string();
            contract.local_symbol = future.local_symbol.to_string();
        }
    }
    contract
}

/// Every contract that fits what a client described, in the market's order.
pub fn find(source: &dyn MarketSource, wanted: &WireContract) -> Vec<Instrument> {
    if wanted.con_id > 0 {
        return source.contract(ConId(i64::from(wanted.con_id))).into_iter().collect();
    }
    let symbol = Symbol::new(&wanted.symbol);
    let listed: Vec<Instrument> = match wanted.security_type.as_str() {
        "STK" | "IND" => source.underlyings(),
        "OPT" => source.option_contracts(&symbol).into_iter().map(Instrument::Option).collect(),
        "FUT" => source.futures().into_iter().map(Instrument::Future).collect(),
        _ => Vec::new(),
    };
    listed.into_iter().filter(|instrument| fits(instrument, wanted)).collect()
}

/// What has a local symbol: an ETF `SPY`, a future `ESH6`, an option `SPY   260417P00580000`.
pub fn named(source: &dyn MarketSource, local_symbol: &str) -> Option<WireContract> {
    let of = |security_type: &str, symbol: &str| {
        let wanted = WireContract {
            security_type: security_type.to_owned(),
            symbol: symbol.to_owned(),
            local_symbol: local_symbol.to_owned(),
            ..WireContract::default()
        };
        find(source, &wanted).first().map(describe)
    };
    let option = || {
        let mut symbols = source.underlyings().into_iter().map(|one| one.symbol().to_string());
        symbols.find_map(|symbol| of("OPT", &symbol))
    };
    of("STK", "").or_else(|| of("FUT", "")).or_else(option)
}

/// What the client left empty fits anything.
fn fits(instrument: &Instrument, wanted: &WireContract) -> bool {
    let described = describe(instrument);
    let same = |wanted: &str, described: &str| wanted.is_empty() || wanted == described;
    let right = || match wanted.right.parse::<OptionRight>() {
        Ok(right) => right.as_str() == described.right,
        Err(_) => wanted.right.is_empty() || instrument.kind() != SecurityKind::Option,
    };
    let strike = || match (wanted.strike.and_then(Price::from_f64), instrument) {
        (Some(strike), Instrument::Option(option)) => option.strike == strike,
        (Some(_) | None, _) => true,
    };
    let multiplier = || {
        let number = |text: &str| text.parse::<f64>().ok();
        let both = number(&wanted.multiplier).zip(number(&described.multiplier));
        both.is_none_or(|(wanted, described)| (wanted - described).abs() < 1e-9)
    };
    // That an index is found under the exchange that routes, too, is an assumption.
    let is_index = instrument.kind() == SecurityKind::Index;
    let others = [&*described.primary_exchange, if is_index { SMART } else { "" }];
    let exchange =
        same(&wanted.exchange, &described.exchange) || others.contains(&wanted.exchange.as_str());
    wanted.security_type == described.security_type
        && exchange
        && multiplier()
        && same(&wanted.symbol, &described.symbol)
        && described.last_trade.starts_with(&wanted.last_trade)
        && same(&wanted.local_symbol, &described.local_symbol)
        && same(&wanted.trading_class, &described.trading_class)
        && same(&wanted.currency, &described.currency)
        && strike()
        && right()
}

/// What the gateway knows of an instrument beyond its name.
pub fn details(source: &dyn MarketSource, instrument: &Instrument) -> ContractDetails {
    let contract = describe(instrument);
    let (min_tick, under) = match instrument {
        Instrument::Option(option) => (option.min_tick, Some(option.symbol.clone())),
        Instrument::Future(future) => (future.min_tick, Some(future.tracks.clone())),
        Instrument::Stock(_) | Instrument::Index(_) => (Price::from_micros(10_000), None),
    };
    let under = under.and_then(|symbol| underlying(source, &symbol));
    ContractDetails {
        market_name: contract.trading_class.clone(),
        min_tick: min_tick.decimal().normalize().to_string(),
        order_types: "LMT,MKT,STP,STPLMT,TRAIL,TRAILLMT".to_owned(),
        valid_exchanges: contract.exchange.clone(),
        under_con_id: under.as_ref().and_then(|one| wire_id(one.conid())).unwrap_or_default(),
        under_symbol: under.as_ref().map(|one| one.symbol().to_string()).unwrap_or_default(),
        under_security_type: under.map(|one| one.kind().as_str().to_owned()).unwrap_or_default(),
        long_name: contract.symbol.clone(),
        contract_month: contract.last_trade.chars().take(6).collect(),
        time_zone: "US/Eastern".to_owned(),
        trading_hours: String::new(),
        liquid_hours: String::new(),
        real_expiration_date: contract.last_trade.clone(),
        market_rule_ids: rule_of(instrument).to_string(),
        contract,
    }
}

pub fn underlying(source: &dyn MarketSource, symbol: &Symbol) -> Option<Instrument> {
    source.underlyings().into_iter().find(|instrument| instrument.symbol() == symbol)
}

/// The listed expiries and strikes of an underlying, one row a multiplier.
pub fn option_parameters(source: &dyn MarketSource, under: &Instrument) -> Vec<OptionParameters> {
    let mut by_multiplier: BTreeMap<i64, Vec<std::sync::Arc<OptionContract>>> = BTreeMap::new();
    for option in source.option_contracts(under.symbol()) {
        by_multiplier.entry(option.multiplier).or_default().push(option);
    }
    let rows = by_multiplier.into_iter().map(|(multiplier, options)| {
        let expirations: BTreeSet<String> =
            options.iter().map(|option| option.expiry_date.format("%Y%m%d").to_string()).collect();
        let strikes: BTreeSet<Price> = options.iter().map(|option| option.strike).collect();
        OptionParameters {
            exchange: SMART.to_owned(),
            under_con_id: wire_id(under.conid()).unwrap_or_default(),
            trading_class: under.symbol().to_string(),
            multiplier: multiplier.to_string(),
            expirations: expirations.into_iter().collect(),
            strikes: strikes.into_iter().map(Price::to_f64).collect(),
        }
    });
    rows.collect()
}
