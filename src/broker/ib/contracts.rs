//! IB's contracts as instruments of the desk, and the other way round.

use std::sync::Arc;

use chrono::NaiveDate;
use ibapi::contracts::{ComboLeg, Contract, ContractDetails, LegAction, OptionRight as Side};
use ibapi::prelude::SecurityType;

use crate::market::sessions::{
    Calendar, CalendarError, ExpiryKind, expiry_instant, last_trade_instant,
};
use crate::market::{
    ConId, ExerciseStyle, FutureContract, Instrument, OptionContract, OptionRight, Price,
    Settlement, StockContract, Symbol, occ_symbol,
};
use crate::structures::OrderLeg;

/// The exchange that routes stocks, options and combos.
const SMART: &str = "SMART";
/// Where the VIX and its options are made.
const CBOE: &str = "CBOE";
/// Where the index futures trade.
const CME: &str = "CME";

/// Why a contract of the broker's is none of ours.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Unreadable {
    #[error("the desk does not know the terms of {0} of {1}")]
    Terms(String, String),
    #[error("`{0}` is no date")]
    Date(String),
    #[error("`{0}` is no multiplier")]
    Multiplier(String),
    #[error("{0} is no strike")]
    Strike(f64),
    #[error("{0} is no tick")]
    Tick(f64),
    #[error("an option without its right")]
    Right,
    #[error(transparent)]
    Calendar(#[from] CalendarError),
}

/// Terms of the options on an underlying, by the rules of their exchanges: options on the index
/// ETFs are American and deliver shares, VIX options are European and settle in cash.
fn option_terms(symbol: &str) -> Option<(ExpiryKind, ExerciseStyle, Settlement)> {
    match symbol {
        "SPY" | "QQQ" | "IWM" => {
            Some((ExpiryKind::EtfPm, ExerciseStyle::American, Settlement::Physical))
        }
        "VIX" => Some((ExpiryKind::VixAm, ExerciseStyle::European, Settlement::Cash)),
        _ => None,
    }
}

/// The ETF whose index a root follows.
fn tracked_by(root: &str) -> Option<&'static str> {
    match root {
        "ES" | "MES" => Some("SPY"),
        "NQ" | "MNQ" => Some("QQQ"),
        "RTY" | "M2K" => Some("IWM"),
        _ => None,
    }
}

/// What to ask the details of an underlying with.
pub fn underlying(symbol: &Symbol) -> Contract {
    match symbol.as_str() {
        "VIX" => Contract {
            symbol: "VIX".into(),
            security_type: SecurityType::Index,
            exchange: CBOE.into(),
            currency: "USD".into(),
            ..Contract::default()
        },
        other => Contract::stock(other).build(),
    }
}

/// What to ask the listed futures of a root with.
pub fn futures(root: &Symbol) -> Contract {
    Contract {
        symbol: root.as_str().into(),
        security_type: SecurityType::Future,
        exchange: CME.into(),
        currency: "USD".into(),
        ..Contract::default()
    }
}

/// A root's futures as one contract that runs on through its expiries; it has a history only.
pub fn continuous(root: &Symbol) -> Contract {
    Contract { security_type: SecurityType::ContinuousFuture, ..futures(root) }
}

/// What to ask every option of one expiry with.
pub fn options(symbol: &Symbol, expiry: &str) -> Contract {
    Contract {
        symbol: symbol.as_str().into(),
        security_type: SecurityType::Option,
        last_trade_date_or_contract_month: expiry.to_owned(),
        exchange: SMART.into(),
        currency: "USD".into(),
        ..Contract::default()
    }
}

/// A contract known by its id alone. No exchange is named: IB knows no future at SMART.
pub fn by_id(conid: i32) -> Contract {
    Contract { contract_id: conid, exchange: "".into(), ..Contract::default() }
}

/// The broker's id of a contract; `None` for one that the desk named itself.
pub fn id_of(conid: ConId) -> Option<i32> {
    i32::try_from(conid.0).ok()
}

/// A contract to ask quotes of, or to trade alone.
pub fn single(instrument: &Instrument) -> Option<Contract> {
    let symbol = instrument.symbol().as_str();
    let named = Contract {
        contract_id: id_of(instrument.conid())?,
        symbol: symbol.into(),
        exchange: SMART.into(),
        currency: "USD".into(),
        ..Contract::default()
    };
    Some(match instrument {
        Instrument::Stock(_) => Contract { security_type: SecurityType::Stock, ..named },
        Instrument::Index(_) => {
            Contract { security_type: SecurityType::Index, exchange: CBOE.into(), ..named }
        }
        Instrument::Option(option) => Contract {
            security_type: SecurityType::Option,
            last_trade_date_or_contract_month: option.expiry_date.format("%Y%m%d").to_string(),
            strike: option.strike.to_f64(),
            right: Some(match option.right {
                OptionRight::Call => Side::Call,
                OptionRight::Put => Side::Put,
            }),
            multiplier: option.multiplier.to_string(),
            ..named
        },
        Instrument::Future(future) => Contract {
            security_type: SecurityType::Future,
            last_trade_date_or_contract_month: future.expiry_date.format("%Y%m%d").to_string(),
            multiplier: future.multiplier.to_string(),
            exchange: CME.into(),
            ..named
        },
    })
}

/// A combo of legs on one underlying. Each leg names its exchange: an empty one is refused by some
/// versions.
pub fn combo(symbol: &Symbol, legs: &[OrderLeg]) -> Option<Contract> {
    let combo_legs = legs.iter().map(|leg| {
        Some(ComboLeg {
            contract_id: id_of(leg.conid)?,
            ratio: i32::try_from(leg.ratio.abs()).ok()?,
            action: if leg.ratio > 0 { LegAction::Buy } else { LegAction::Sell },
            exchange: SMART.to_owned(),
            ..ComboLeg::default()
        })
    });
    Some(Contract {
        symbol: symbol.as_str().into(),
        security_type: SecurityType::Spread,
        exchange: SMART.into(),
        currency: "USD".into(),
        combo_legs: combo_legs.collect::<Option<Vec<_>>>()?,
        ..Contract::default()
    })
}

/// The legs of a combo, sorted by contract id; a single contract is a leg of its own.
pub fn legs_of(contract: &Contract) -> Vec<OrderLeg> {
    if contract.security_type != SecurityType::Spread {
        return vec![OrderLeg { conid: ConId(i64::from(contract.contract_id)), ratio: 1 }];
    }
    let mut legs: Vec<OrderLeg> = contract
        .combo_legs
        .iter()
        .map(|leg| OrderLeg {
            conid: ConId(i64::from(leg.contract_id)),
            ratio: match leg.action {
                LegAction::Buy => i64::from(leg.ratio),
                LegAction::Sell | LegAction::SellShort => -i64::from(leg.ratio),
            },
        })
        .collect();
    legs.sort_unstable();
    legs
}

/// The instrument that the broker describes.
#[expect(clippy::wildcard_enum_match_arm, reason = "the crate's list of kinds grows")]
pub fn instrument(
    details: &ContractDetails,
    calendar: &Calendar,
) -> Result<Instrument, Unreadable> {
    let contract = &details.contract;
    let conid = ConId(i64::from(contract.contract_id));
    let symbol = Symbol::new(contract.symbol.as_str());
    match contract.security_type {
        SecurityType::Stock => Ok(Instrument::Stock(StockContract { conid, symbol })),
        SecurityType::Index => Ok(Instrument::Index(StockContract { conid, symbol })),
        SecurityType::Option => {
            option(details, calendar).map(|option| Instrument::Option(Arc::new(option)))
        }
        SecurityType::Future => {
            future(details, calendar).map(|future| Instrument::Future(Arc::new(future)))
        }
        ref other => Err(Unreadable::Terms(format!("{other}"), symbol.to_string())),
    }
}

fn option(details: &ContractDetails, calendar: &Calendar) -> Result<OptionContract, Unreadable> {
    let contract = &details.contract;
    let symbol = Symbol::new(contract.symbol.as_str());
    let (kind, style, settlement) = option_terms(symbol.as_str())
        .ok_or_else(|| Unreadable::Terms("options".to_owned(), symbol.to_string()))?;
    let expiry_date = date_of(&contract.last_trade_date_or_contract_month)?;
    let strike = Price::from_f64(contract.strike)
        .filter(|strike| *strike > Price::ZERO)
        .ok_or(Unreadable::Strike(contract.strike))?;
    let right = match contract.right {
        Some(Side::Call) => OptionRight::Call,
        Some(Side::Put) => OptionRight::Put,
        None => return Err(Unreadable::Right),
    };
    Ok(OptionContract {
        conid: ConId(i64::from(contract.contract_id)),
        occ_symbol: occ_symbol(&symbol, expiry_date, right, strike),
        symbol,
        expiry_date,
        strike,
        right,
        style,
        settlement,
        multiplier: multiplier_of(contract)?,
        min_tick: tick_of(details)?,
        last_trade_at: last_trade_instant(calendar, kind, expiry_date)?,
        expires_at: expiry_instant(calendar, kind, expiry_date)?,
    })
}

fn future(details: &ContractDetails, calendar: &Calendar) -> Result<FutureContract, Unreadable> {
    let contract = &details.contract;
    let symbol = Symbol::new(contract.symbol.as_str());
    let tracks = tracked_by(symbol.as_str())
        .ok_or_else(|| Unreadable::Terms("futures".to_owned(), symbol.to_string()))?;
    let expiry_date = date_of(&contract.last_trade_date_or_contract_month)?;
    Ok(FutureContract {
        conid: ConId(i64::from(contract.contract_id)),
        symbol,
        local_symbol: Arc::from(contract.local_symbol.as_str()),
        tracks: Symbol::new(tracks),
        expiry_date,
        multiplier: multiplier_of(contract)?,
        min_tick: tick_of(details)?,
        last_trade_at: last_trade_instant(calendar, ExpiryKind::FutureAm, expiry_date)?,
    })
}

/// IB writes a date, and now and then a time of day after it.
pub fn date_of(text: &str) -> Result<NaiveDate, Unreadable> {
    let date = text.split([' ', '-']).next().unwrap_or(text);
    NaiveDate::parse_from_str(date, "%Y%m%d").map_err(|_| Unreadable::Date(text.to_owned()))
}

fn multiplier_of(contract: &Contract) -> Result<i64, Unreadable> {
    let text = contract.multiplier.as_str();
    let multiplier = text.parse::<i64>().ok().filter(|multiplier| *multiplier > 0);
    multiplier.ok_or_else(|| Unreadable::Multiplier(text.to_owned()))
}

fn tick_of(details: &ContractDetails) -> Result<Price, Unreadable> {
    let tick = Price::from_f64(details.min_tick).filter(|tick| *tick > Price::ZERO);
    tick.ok_or(Unreadable::Tick(details.min_tick))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put() -> ContractDetails {
        let contract = Contract {
            contract_id: 77,
            multiplier: "100".to_owned(),
            strike: 600.0,
            right: Some(Side::Put),
            ..options(&Symbol::new("SPY"), "20260417")
        };
        ContractDetails { contract, min_tick: 0.01, ..ContractDetails::default() }
    }

    #[test]
    fn an_option_of_the_broker_carries_the_terms_of_its_exchange() {
        let calendar = Calendar::shipped().unwrap();
        let Instrument::Option(option) = instrument(&put(), &calendar).unwrap() else {
            panic!("no option");
        };
        assert_eq!(&*option.occ_symbol, "SPY   260417P00600000");
        assert_eq!(option.style, ExerciseStyle::American);
        assert_eq!(option.expires_at.to_rfc3339(), "2026-04-17T20:00:00+00:00");
        let again = single(&Instrument::Option(option)).unwrap();
        assert_eq!((again.contract_id, again.strike), (77, 600.0));
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_its_reason() {
        let calendar = Calendar::shipped().unwrap();
        let with = |change: fn(&mut ContractDetails)| {
            let mut details = put();
            change(&mut details);
            instrument(&details, &calendar).unwrap_err().to_string()
        };
        assert!(with(|one| one.contract.right = None).contains("right"));
        assert!(with(|one| one.contract.strike = f64::NAN).contains("strike"));
        assert!(with(|one| one.contract.multiplier = "0".into()).contains("multiplier"));
        assert!(with(|one| one.min_tick = 0.0).contains("tick"));
        assert!(with(|one| one.contract.symbol = "ABC".into()).contains("ABC"));
        let date = |one: &mut ContractDetails| {
            one.contract.last_trade_date_or_contract_month = "soon".into();
        };
        assert!(with(date).contains("soon"));
    }

    #[test]
    fn a_contract_that_is_asked_for_by_its_id_names_no_exchange() {
        assert_eq!((by_id(7).contract_id, by_id(7).exchange.to_string().as_str()), (7, ""));
    }

    #[test]
    fn a_combo_reads_back_as_the_legs_it_was_made_of() {
        let legs =
            vec![OrderLeg { conid: ConId(5), ratio: -1 }, OrderLeg { conid: ConId(9), ratio: 2 }];
        let contract = combo(&Symbol::new("SPY"), &legs).unwrap();
        assert_eq!(legs_of(&contract), legs);
        assert!(contract.combo_legs.iter().all(|leg| leg.exchange == "SMART"));
        let own = [OrderLeg { conid: ConId::derived_from("X"), ratio: 1 }];
        assert!(combo(&Symbol::new("SPY"), &own).is_none(), "no id of the broker's");
    }
}
