//! Fields of a message, read one after the other, and written.

use std::fmt::Write as _;
use std::str::FromStr;

use rust_decimal::Decimal;

use super::super::request::DecodeError;
use super::super::words::{WireContract, WireLeg};

/// Most fields of a message: an order of many legs has some hundreds.
const FIELDS_MAX: usize = 4_096;

/// How a client writes an integer that it leaves out.
const UNSET_INTEGER: &str = "2147483647";

/// Reads a message's fields in their order. A fault names the field.
pub struct Fields<'a> {
    message_id: u32,
    rest: Vec<&'a str>,
    taken: usize,
}

impl<'a> Fields<'a> {
    /// The message's number and the fields behind it.
    pub fn of(text: &'a str) -> Result<Self, DecodeError> {
        let count = text.bytes().filter(|byte| *byte == 0).take(FIELDS_MAX + 1).count();
        if count > FIELDS_MAX {
            let message_id = text.split('\0').next().and_then(|id| id.parse().ok());
            let message_id = message_id.unwrap_or_default();
            return Err(DecodeError::TooMany { message_id, what: "fields", max: FIELDS_MAX });
        }
        let mut rest: Vec<&str> = text.strip_suffix('\0').unwrap_or(text).split('\0').collect();
        rest.reverse();
        let mut fields = Self { message_id: 0, rest, taken: 0 };
        fields.message_id = fields.number("message id")?;
        Ok(fields)
    }

    pub fn message_id(&self) -> u32 {
        self.message_id
    }

    /// The next field as it stands.
    pub fn text(&mut self, name: &'static str) -> Result<&'a str, DecodeError> {
        let (message_id, field) = (self.message_id, self.taken);
        let text = self.rest.pop().ok_or(DecodeError::Ends { message_id, field, name })?;
        self.taken += 1;
        Ok(text)
    }

    pub fn owned(&mut self, name: &'static str) -> Result<String, DecodeError> {
        self.text(name).map(str::to_owned)
    }

    /// Fields that mean nothing here.
    pub fn skip(&mut self, count: usize, name: &'static str) -> Result<(), DecodeError> {
        for _ in 0..count {
            self.text(name)?;
        }
        Ok(())
    }

    fn parsed<T: FromStr>(
        &mut self,
        name: &'static str,
        wanted: &'static str,
    ) -> Result<Option<T>, DecodeError> {
        let text = self.text(name)?;
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|_| DecodeError::Field {
            message_id: self.message_id,
            field: self.taken - 1,
            name,
            value: text.chars().take(40).collect(),
            wanted,
        })
    }

    /// A whole number that must be there.
    pub fn number<T: FromStr + Default>(&mut self, name: &'static str) -> Result<T, DecodeError> {
        let (message_id, field) = (self.message_id, self.taken);
        let number = self.parsed(name, "whole number")?;
        number.ok_or(DecodeError::Ends { message_id, field, name })
    }

    /// A whole number, 0 where it is left out.
    pub fn number_or_zero(&mut self, name: &'static str) -> Result<i32, DecodeError> {
        if self.rest.last() == Some(&UNSET_INTEGER) {
            self.text(name)?;
            return Ok(0);
        }
        Ok(self.parsed(name, "whole number")?.unwrap_or_default())
    }

    /// A double; `None` where it is left out, or so large that it stands for that.
    pub fn double(&mut self, name: &'static str) -> Result<Option<f64>, DecodeError> {
        let double: Option<f64> = self.parsed(name, "number")?;
        Ok(double.filter(|double| double.is_finite() && double.abs() < f64::MAX))
    }

    pub fn quantity(&mut self, name: &'static str) -> Result<Decimal, DecodeError> {
        let (message_id, field) = (self.message_id, self.taken);
        let text = self.text(name)?;
        let fault = || DecodeError::Field {
            message_id,
            field,
            name,
            value: text.chars().take(40).collect(),
            wanted: "quantity",
        };
        text.parse().map_err(|_| fault())
    }

    /// 1 for yes, anything else for no, as TWS reads it.
    pub fn flag(&mut self, name: &'static str) -> Result<bool, DecodeError> {
        Ok(matches!(self.text(name)?, "1" | "true" | "True"))
    }

    /// How many of something follow. More than there are fields left is a fault here, so that no
    /// count costs anything.
    pub fn count(&mut self, name: &'static str) -> Result<usize, DecodeError> {
        let field = self.taken;
        let count = self.number_or_zero(name)?;
        match usize::try_from(count) {
            Ok(count) if count <= self.rest.len() => Ok(count),
            Ok(_) | Err(_) => Err(DecodeError::Field {
                message_id: self.message_id,
                field,
                name,
                value: count.to_string(),
                wanted: "count of the fields that follow",
            }),
        }
    }

    /// The twelve fields of a contract in a request.
    pub fn contract(&mut self) -> Result<WireContract, DecodeError> {
        Ok(WireContract {
            con_id: self.number_or_zero("conId")?,
            symbol: self.owned("symbol")?,
            security_type: self.owned("secType")?,
            last_trade: self.owned("lastTradeDateOrContractMonth")?,
            strike: self.double("strike")?.filter(|strike| *strike > 0.0),
            right: self.owned("right")?,
            multiplier: self.owned("multiplier")?,
            exchange: self.owned("exchange")?,
            primary_exchange: self.owned("primaryExchange")?,
            currency: self.owned("currency")?,
            local_symbol: self.owned("localSymbol")?,
            trading_class: self.owned("tradingClass")?,
            legs: Vec::new(),
        })
    }

    /// Legs of a combo, each with `extra` fields behind it that mean nothing here.
    pub fn legs(&mut self, extra: usize) -> Result<Vec<WireLeg>, DecodeError> {
        let count = self.count("number of combo legs")?;
        let mut legs = Vec::new();
        for _ in 0..count {
            legs.push(WireLeg {
                con_id: self.number_or_zero("leg conId")?,
                ratio: self.number_or_zero("leg ratio")?,
                action: self.owned("leg action")?,
                exchange: self.owned("leg exchange")?,
            });
            self.skip(extra, "leg detail")?;
        }
        Ok(legs)
    }
}

/// Writes a message's fields in their order.
pub struct Line {
    text: String,
}

impl Line {
    pub fn of(message_id: u32) -> Self {
        Self { text: String::new() }.add(message_id)
    }

    pub fn add(mut self, field: impl std::fmt::Display) -> Self {
        // Writing into a String cannot fail.
        let _ = write!(self.text, "{field}\0");
        self
    }

    /// Empty where there is nothing.
    pub fn maybe(self, field: Option<impl std::fmt::Display>) -> Self {
        match field {
            Some(field) => self.add(field),
            None => self.add(""),
        }
    }

    /// Empty fields.
    pub fn blank(self, count: usize) -> Self {
        (0..count).fold(self, |line, _| line.add(""))
    }

    pub fn each(self, fields: impl IntoIterator<Item = impl std::fmt::Display>) -> Self {
        fields.into_iter().fold(self, Self::add)
    }

    /// The eleven fields of a contract in an answer.
    pub fn contract(self, contract: &WireContract) -> Self {
        self.add(contract.con_id)
            .add(&contract.symbol)
            .add(&contract.security_type)
            .add(&contract.last_trade)
            .add(contract.strike.unwrap_or_default())
            .add(&contract.right)
            .add(&contract.multiplier)
            .add(&contract.exchange)
            .add(&contract.currency)
            .add(&contract.local_symbol)
            .add(&contract.trading_class)
    }

    pub fn body(self) -> Vec<u8> {
        self.text.into_bytes()
    }
}
