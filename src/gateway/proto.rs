//! The protobuf codec: every message is its number plus 200, big-endian, and a protobuf body.

mod data_events;
mod data_requests;
mod events;
mod records;
mod requests;
mod schema;
#[cfg(test)]
mod tests;

pub(super) use events::encode;
pub(super) use requests::decode;

use super::words::{WireContract, WireLeg};

/// What message ids are raised by where their body is protobuf.
const RAISED_BY: u32 = 200;

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn contract_of(said: schema::Contract) -> WireContract {
    WireContract {
        con_id: said.con_id.unwrap_or_default(),
        symbol: said.symbol.unwrap_or_default(),
        security_type: said.sec_type.unwrap_or_default(),
        last_trade: said.last_trade_date_or_contract_month.unwrap_or_default(),
        strike: said.strike.filter(|strike| *strike > 0.0 && strike.is_finite()),
        right: said.right.unwrap_or_default(),
        multiplier: said.multiplier.map(|multiplier| multiplier.to_string()).unwrap_or_default(),
        exchange: said.exchange.unwrap_or_default(),
        primary_exchange: said.primary_exch.unwrap_or_default(),
        currency: said.currency.unwrap_or_default(),
        local_symbol: said.local_symbol.unwrap_or_default(),
        trading_class: said.trading_class.unwrap_or_default(),
        legs: said.combo_legs.into_iter().map(leg_of).collect(),
    }
}

fn leg_of(said: schema::ComboLeg) -> WireLeg {
    WireLeg {
        con_id: said.con_id.unwrap_or_default(),
        ratio: said.ratio.unwrap_or_default(),
        action: said.action.unwrap_or_default(),
        exchange: said.exchange.unwrap_or_default(),
    }
}

/// A contract without a right says nothing of it: ibapi 5.5.0 takes "0" and "?" for a fault.
fn contract_from(contract: &WireContract) -> schema::Contract {
    schema::Contract {
        con_id: Some(contract.con_id),
        symbol: some(&contract.symbol),
        sec_type: some(&contract.security_type),
        last_trade_date_or_contract_month: some(&contract.last_trade),
        strike: contract.strike,
        right: some(&contract.right),
        multiplier: contract.multiplier.parse().ok(),
        exchange: some(&contract.exchange),
        primary_exch: some(&contract.primary_exchange),
        currency: some(&contract.currency),
        local_symbol: some(&contract.local_symbol),
        trading_class: some(&contract.trading_class),
        combo_legs: contract.legs.iter().map(leg_from).collect(),
    }
}

fn leg_from(leg: &WireLeg) -> schema::ComboLeg {
    schema::ComboLeg {
        con_id: Some(leg.con_id),
        ratio: Some(leg.ratio),
        action: some(&leg.action),
        exchange: some(&leg.exchange),
    }
}
