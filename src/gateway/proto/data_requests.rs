//! Requests about data and the account out of protobuf.

use super::super::data_request::{
    BarsRequest, Calculation, DataRequest, HeadRequest, Opening, needs_no_answer, not_simulated,
};
use super::super::request::DecodeError;
use super::requests::Body;
use super::{contract_of, schema};

impl Body<'_> {
    /// `None` for a message that is none of these.
    pub(super) fn data_request(&self) -> Result<Option<DataRequest>, DecodeError> {
        Ok(Some(match self.id {
            50 => self.real_time_bars()?,
            51 => DataRequest::CancelRealTimeBars { req_id: self.number()? },
            54 => {
                let (req_id, wanted) = self.calculation()?;
                DataRequest::ImpliedVolatility { req_id, wanted }
            }
            55 => {
                let (req_id, wanted) = self.calculation()?;
                DataRequest::OptionPrice { req_id, wanted }
            }
            74 => {
                let said: schema::AccountRequest = self.read()?;
                DataRequest::PositionsMulti {
                    req_id: said.req_id.unwrap_or_default(),
                    account: said.account.unwrap_or_default(),
                }
            }
            75 => DataRequest::CancelPositionsMulti { req_id: self.number()? },
            80 => DataRequest::FamilyCodes,
            81 => {
                let said: schema::NumberedText = self.read()?;
                let pattern = said.text.unwrap_or_default();
                DataRequest::MatchingSymbols { req_id: said.req_id.unwrap_or_default(), pattern }
            }
            82 => DataRequest::DepthExchanges,
            85 => DataRequest::NewsProviders,
            87 => self.head_timestamp()?,
            91 => DataRequest::MarketRule { rule_id: self.number()? },
            104 => DataRequest::UserInfo { req_id: self.number()? },
            id if needs_no_answer(id) => DataRequest::Nothing,
            message_id => match not_simulated(message_id) {
                Some(Opening::Number | Opening::Versioned) => {
                    DataRequest::NotSimulated { req_id: self.number()?, message_id }
                }
                Some(Opening::Bare) => DataRequest::NotSimulated { req_id: -1, message_id },
                None => return Ok(None),
            },
        }))
    }

    fn real_time_bars(&self) -> Result<DataRequest, DecodeError> {
        let said: schema::RealTimeBarsRequest = self.read()?;
        Ok(DataRequest::RealTimeBars {
            req_id: said.req_id.unwrap_or_default(),
            wanted: Box::new(BarsRequest {
                contract: contract_of(said.contract.unwrap_or_default()),
                bar_size: said.bar_size.unwrap_or_default(),
                what_to_show: said.what_to_show.unwrap_or_default(),
            }),
        })
    }

    fn calculation(&self) -> Result<(i32, Box<Calculation>), DecodeError> {
        let said: schema::CalculateRequest = self.read()?;
        let wanted = Calculation {
            contract: contract_of(said.contract.unwrap_or_default()),
            given: said.given,
            underlying: said.under_price,
        };
        Ok((said.req_id.unwrap_or_default(), Box::new(wanted)))
    }

    fn head_timestamp(&self) -> Result<DataRequest, DecodeError> {
        let said: schema::HeadTimestampRequest = self.read()?;
        Ok(DataRequest::HeadTimestamp {
            req_id: said.req_id.unwrap_or_default(),
            wanted: Box::new(HeadRequest {
                contract: contract_of(said.contract.unwrap_or_default()),
                what_to_show: said.what_to_show.unwrap_or_default(),
                format_date: said.format_date.unwrap_or_default(),
            }),
        })
    }
}
