//! Requests out of text.

use super::super::request::{
    DecodeError, HistoryRequest, MarketDataKind, Origin, Request, Subscription,
};
use super::super::words::WireExecutionFilter;
use super::data_requests::data_request;
use super::fields::Fields;
use super::order_requests::place_order;

/// A request out of a frame's body, at a server version.
pub fn decode(version: u32, frame: &[u8]) -> Result<Request, DecodeError> {
    let text = String::from_utf8_lossy(frame);
    let mut fields = Fields::of(&text)?;
    let fields = &mut fields;
    Ok(match fields.message_id() {
        1 => market_data(fields)?,
        2 => Request::CancelMarketData { req_id: versioned_number(fields)? },
        3 => place_order(version, fields)?,
        4 => Request::CancelOrder { order_id: versioned_number(fields)? },
        5 => Request::OpenOrders,
        6 => account_updates(fields)?,
        7 => executions(fields)?,
        8 => Request::NextId,
        9 => contract_details(fields)?,
        15 => auto_open_orders(fields)?,
        20 => history(fields)?,
        25 => Request::CancelHistory { req_id: versioned_number(fields)? },
        16 => Request::AllOpenOrders,
        17 => Request::ManagedAccounts,
        49 => Request::CurrentTime,
        58 => Request::GlobalCancel,
        59 => Request::MarketDataType { kind: versioned_number(fields)? },
        61 => Request::Positions,
        62 => account_summary(fields)?,
        63 => Request::CancelAccountSummary { req_id: versioned_number(fields)? },
        64 => Request::CancelPositions,
        71 => Request::StartApi { client_id: versioned_number(fields)? },
        76 => account_updates_multi(fields)?,
        77 => Request::CancelAccountUpdatesMulti { req_id: versioned_number(fields)? },
        78 => option_parameters(fields)?,
        92 => Request::Pnl { req_id: fields.number("reqId")?, account: fields.owned("account")? },
        93 => Request::CancelPnl { req_id: fields.number("reqId")? },
        94 => pnl_single(fields)?,
        95 => Request::CancelPnlSingle { req_id: fields.number("reqId")? },
        99 => completed_orders(fields)?,
        message_id => match data_request(fields)? {
            Some(request) => Request::Data(request),
            None => Request::Unanswered { message_id },
        },
    })
}

/// A number behind the version of its message.
pub(super) fn versioned_number(fields: &mut Fields<'_>) -> Result<i32, DecodeError> {
    fields.skip(1, "version")?;
    fields.number("id")
}

fn contract_details(fields: &mut Fields<'_>) -> Result<Request, DecodeError> {
    let req_id = versioned_number(fields)?;
    Ok(Request::ContractDetails { req_id, contract: Box::new(fields.contract()?) })
}

fn option_parameters(fields: &mut Fields<'_>) -> Result<Request, DecodeError> {
    let req_id = fields.number("reqId")?;
    let symbol = fields.owned("underlyingSymbol")?;
    let exchange = fields.owned("futFopExchange")?;
    Ok(Request::OptionParameters {
        req_id,
        symbol,
        exchange,
        underlying_type: fields.owned("underlyingSecType")?,
        con_id: fields.number_or_zero("underlyingConId")?,
    })
}

fn market_data(fields: &mut Fields<'_>) -> Result<Request, DecodeError> {
    let req_id = versioned_number(fields)?;
    let mut contract = fields.contract()?;
    if contract.security_type == "BAG" {
        contract.legs = fields.legs(0)?;
    }
    if fields.flag("deltaNeutral")? {
        fields.skip(3, "deltaNeutralContract")?;
    }
    let generic_ticks = fields.owned("genericTickList")?;
    let kind =
        if fields.flag("snapshot")? { MarketDataKind::Snapshot } else { MarketDataKind::Stream };
    Ok(Request::MarketData { req_id, contract: Box::new(contract), generic_ticks, kind })
}

fn history(fields: &mut Fields<'_>) -> Result<Request, DecodeError> {
    let req_id = fields.number("reqId")?;
    let contract = fields.contract()?;
    fields.skip(1, "includeExpired")?;
    let (end, bar_size) = (fields.owned("endDateTime")?, fields.owned("barSizeSetting")?);
    let duration = fields.owned("durationStr")?;
    let use_rth = fields.flag("useRTH")?;
    let what_to_show = fields.owned("whatToShow")?;
    let format_date = fields.number_or_zero("formatDate")?;
    if contract.security_type == "BAG" {
        fields.legs(0)?;
    }
    let keep_up_to_date = fields.flag("keepUpToDate")?;
    let wanted = HistoryRequest {
        contract,
        end,
        bar_size,
        duration,
        what_to_show,
        use_rth,
        format_date,
        keep_up_to_date,
    };
    Ok(Request::History { req_id, wanted: Box::new(wanted) })
}

fn account_summary(fields: &mut Fields<'_>) -> Result<Request, DecodeError> {
    let req_id = versioned_number(fields)?;
    let (group, tags) = (fields.owned("group")?, fields.owned("tags")?);
    Ok(Request::AccountSummary { req_id, group, tags })
}

fn account_updates(fields: &mut Fields<'_>) -> Result<Request, DecodeError> {
    fields.skip(1, "version")?;
    let subscription =
        if fields.flag("subscribe")? { Subscription::Begin } else { Subscription::End };
    Ok(Request::AccountUpdates { subscription, account: fields.owned("acctCode")? })
}

fn auto_open_orders(fields: &mut Fields<'_>) -> Result<Request, DecodeError> {
    fields.skip(1, "version")?;
    let binding = if fields.flag("bAutoBind")? { Subscription::Begin } else { Subscription::End };
    Ok(Request::AutoOpenOrders { binding })
}

fn completed_orders(fields: &mut Fields<'_>) -> Result<Request, DecodeError> {
    let from = if fields.flag("apiOnly")? { Origin::Clients } else { Origin::Anybody };
    Ok(Request::CompletedOrders { from })
}

fn account_updates_multi(fields: &mut Fields<'_>) -> Result<Request, DecodeError> {
    let req_id = versioned_number(fields)?;
    let (account, model) = (fields.owned("account")?, fields.owned("modelCode")?);
    Ok(Request::AccountUpdatesMulti { req_id, account, model })
}

fn pnl_single(fields: &mut Fields<'_>) -> Result<Request, DecodeError> {
    let (req_id, account) = (fields.number("reqId")?, fields.owned("account")?);
    fields.skip(1, "modelCode")?;
    Ok(Request::PnlSingle { req_id, account, con_id: fields.number_or_zero("conId")? })
}

fn executions(fields: &mut Fields<'_>) -> Result<Request, DecodeError> {
    let req_id = versioned_number(fields)?;
    let filter = WireExecutionFilter {
        client_id: fields.number_or_zero("clientId")?,
        account: fields.owned("acctCode")?,
        time: fields.owned("time")?,
        symbol: fields.owned("symbol")?,
        security_type: fields.owned("secType")?,
        exchange: fields.owned("exchange")?,
        side: fields.owned("side")?,
        ..WireExecutionFilter::default()
    };
    Ok(Request::Executions { req_id, filter: Box::new(filter) })
}
