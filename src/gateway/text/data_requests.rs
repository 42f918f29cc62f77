//! Requests about data and the account out of text.

use super::super::data_request::{
    BarsRequest, Calculation, DataRequest, HeadRequest, Opening, needs_no_answer, not_simulated,
};
use super::super::request::DecodeError;
use super::fields::Fields;
use super::requests::versioned_number;

/// `None` for a message that is none of these.
pub fn data_request(fields: &mut Fields<'_>) -> Result<Option<DataRequest>, DecodeError> {
    Ok(Some(match fields.message_id() {
        50 => real_time_bars(fields)?,
        51 => DataRequest::CancelRealTimeBars { req_id: versioned_number(fields)? },
        54 => {
            let (req_id, wanted) = calculation(fields)?;
            DataRequest::ImpliedVolatility { req_id, wanted }
        }
        55 => {
            let (req_id, wanted) = calculation(fields)?;
            DataRequest::OptionPrice { req_id, wanted }
        }
        74 => {
            let req_id = versioned_number(fields)?;
            DataRequest::PositionsMulti { req_id, account: fields.owned("account")? }
        }
        75 => DataRequest::CancelPositionsMulti { req_id: versioned_number(fields)? },
        80 => DataRequest::FamilyCodes,
        81 => DataRequest::MatchingSymbols {
            req_id: fields.number("reqId")?,
            pattern: fields.owned("pattern")?,
        },
        82 => DataRequest::DepthExchanges,
        85 => DataRequest::NewsProviders,
        87 => head_timestamp(fields)?,
        91 => DataRequest::MarketRule { rule_id: fields.number("marketRuleId")? },
        104 => DataRequest::UserInfo { req_id: fields.number("reqId")? },
        id if needs_no_answer(id) => DataRequest::Nothing,
        message_id => match not_simulated(message_id) {
            Some(Opening::Versioned) => {
                DataRequest::NotSimulated { req_id: versioned_number(fields)?, message_id }
            }
            Some(Opening::Number) => {
                DataRequest::NotSimulated { req_id: fields.number("reqId")?, message_id }
            }
            Some(Opening::Bare) => DataRequest::NotSimulated { req_id: -1, message_id },
            None => return Ok(None),
        },
    }))
}

fn real_time_bars(fields: &mut Fields<'_>) -> Result<DataRequest, DecodeError> {
    let req_id = versioned_number(fields)?;
    let wanted = BarsRequest {
        contract: fields.contract()?,
        bar_size: fields.number_or_zero("barSize")?,
        what_to_show: fields.owned("whatToShow")?,
    };
    Ok(DataRequest::RealTimeBars { req_id, wanted: Box::new(wanted) })
}

fn calculation(fields: &mut Fields<'_>) -> Result<(i32, Box<Calculation>), DecodeError> {
    let req_id = versioned_number(fields)?;
    let wanted = Calculation {
        contract: fields.contract()?,
        given: fields.double("optionPrice or volatility")?,
        underlying: fields.double("underPrice")?,
    };
    Ok((req_id, Box::new(wanted)))
}

fn head_timestamp(fields: &mut Fields<'_>) -> Result<DataRequest, DecodeError> {
    let req_id = fields.number("reqId")?;
    let contract = fields.contract()?;
    fields.skip(2, "includeExpired, useRTH")?;
    let wanted = HeadRequest {
        contract,
        what_to_show: fields.owned("whatToShow")?,
        format_date: fields.number_or_zero("formatDate")?,
    };
    Ok(DataRequest::HeadTimestamp { req_id, wanted: Box::new(wanted) })
}
