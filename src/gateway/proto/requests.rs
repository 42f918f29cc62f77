//! Requests out of protobuf.

use prost::Message;
use rust_decimal::Decimal;

use super::super::request::{
    DecodeError, HistoryRequest, MarketDataKind, Origin, Request, Subscription,
};
use super::super::words::{WireExecutionFilter, WireOrder};
use super::schema;
use super::{RAISED_BY, contract_of, records};

/// Most fields of a message, with those of the messages in it: an order of many legs has some
/// hundreds.
const RECORDS_MAX: usize = 4_096;

/// A request out of a frame's body.
pub fn decode(frame: &[u8]) -> Result<Request, DecodeError> {
    let Some((head, body)) = frame.split_first_chunk::<4>() else {
        return Err(DecodeError::TooShort { length: frame.len() });
    };
    let raised = u32::from_be_bytes(*head);
    let id = raised.checked_sub(RAISED_BY).ok_or_else(|| DecodeError::Proto {
        message_id: raised,
        fault: "at this server version every message is protobuf, and its id above 200".to_owned(),
    })?;
    if !records::are_at_most(body, RECORDS_MAX) {
        let what = "fields";
        return Err(DecodeError::TooMany { message_id: id, what, max: RECORDS_MAX });
    }
    Body { id, body }.request()
}

fn subscription_of(begins: Option<bool>) -> Subscription {
    match begins {
        Some(true) => Subscription::Begin,
        Some(false) | None => Subscription::End,
    }
}

/// A message's number and its protobuf.
pub(super) struct Body<'a> {
    pub(super) id: u32,
    body: &'a [u8],
}

impl Body<'_> {
    pub(super) fn read<M: Message + Default>(&self) -> Result<M, DecodeError> {
        M::decode(self.body).map_err(|error| self.fault(&error.to_string()))
    }

    fn fault(&self, fault: &str) -> DecodeError {
        DecodeError::Proto { message_id: self.id, fault: fault.to_owned() }
    }

    pub(super) fn number(&self) -> Result<i32, DecodeError> {
        let said: schema::ReqId = self.read()?;
        said.req_id.ok_or_else(|| self.fault("its number is missing"))
    }

    fn request(&self) -> Result<Request, DecodeError> {
        Ok(match self.id {
            1 => self.market_data()?,
            2 => Request::CancelMarketData { req_id: self.number()? },
            3 => self.place_order()?,
            4 => Request::CancelOrder { order_id: self.number()? },
            5 => Request::OpenOrders,
            6 => self.account_updates()?,
            7 => self.executions()?,
            8 => Request::NextId,
            9 => self.contract_details()?,
            15 => self.auto_open_orders()?,
            20 => self.history()?,
            25 => Request::CancelHistory { req_id: self.number()? },
            16 => Request::AllOpenOrders,
            17 => Request::ManagedAccounts,
            49 => Request::CurrentTime,
            58 => Request::GlobalCancel,
            59 => Request::MarketDataType { kind: self.number()? },
            61 => Request::Positions,
            62 => self.account_summary()?,
            63 => Request::CancelAccountSummary { req_id: self.number()? },
            64 => Request::CancelPositions,
            71 => self.start_api()?,
            76 => self.account_updates_multi()?,
            77 => Request::CancelAccountUpdatesMulti { req_id: self.number()? },
            78 => self.option_parameters()?,
            92 => self.pnl()?,
            93 => Request::CancelPnl { req_id: self.number()? },
            94 => self.pnl_single()?,
            95 => Request::CancelPnlSingle { req_id: self.number()? },
            99 => self.completed_orders()?,
            105 => Request::CurrentTimeMillis,
            106 => Request::CancelContractDetails { req_id: self.number()? },
            message_id => match self.data_request()? {
                Some(request) => Request::Data(request),
                None => Request::Unanswered { message_id },
            },
        })
    }

    fn start_api(&self) -> Result<Request, DecodeError> {
        let said: schema::StartApiRequest = self.read()?;
        Ok(Request::StartApi { client_id: said.client_id.unwrap_or_default() })
    }

    fn contract_details(&self) -> Result<Request, DecodeError> {
        let said: schema::ContractRequest = self.read()?;
        Ok(Request::ContractDetails {
            req_id: said.req_id.unwrap_or_default(),
            contract: Box::new(contract_of(said.contract.unwrap_or_default())),
        })
    }

    fn option_parameters(&self) -> Result<Request, DecodeError> {
        let said: schema::SecDefOptParamsRequest = self.read()?;
        Ok(Request::OptionParameters {
            req_id: said.req_id.unwrap_or_default(),
            symbol: said.underlying_symbol.unwrap_or_default(),
            exchange: said.fut_fop_exchange.unwrap_or_default(),
            underlying_type: said.underlying_sec_type.unwrap_or_default(),
            con_id: said.underlying_con_id.unwrap_or_default(),
        })
    }

    fn market_data(&self) -> Result<Request, DecodeError> {
        let said: schema::MarketDataRequest = self.read()?;
        let kind = match said.snapshot {
            Some(true) => MarketDataKind::Snapshot,
            Some(false) | None => MarketDataKind::Stream,
        };
        Ok(Request::MarketData {
            req_id: said.req_id.unwrap_or_default(),
            contract: Box::new(contract_of(said.contract.unwrap_or_default())),
            generic_ticks: said.generic_tick_list.unwrap_or_default(),
            kind,
        })
    }

    fn history(&self) -> Result<Request, DecodeError> {
        let said: schema::HistoricalDataRequest = self.read()?;
        Ok(Request::History {
            req_id: said.req_id.unwrap_or_default(),
            wanted: Box::new(HistoryRequest {
                contract: contract_of(said.contract.unwrap_or_default()),
                end: said.end_date_time.unwrap_or_default(),
                bar_size: said.bar_size_setting.unwrap_or_default(),
                duration: said.duration.unwrap_or_default(),
                what_to_show: said.what_to_show.unwrap_or_default(),
                use_rth: said.use_rth.unwrap_or_default(),
                format_date: said.format_date.unwrap_or_default(),
                keep_up_to_date: said.keep_up_to_date.unwrap_or_default(),
            }),
        })
    }

    fn account_summary(&self) -> Result<Request, DecodeError> {
        let said: schema::AccountSummaryRequest = self.read()?;
        Ok(Request::AccountSummary {
            req_id: said.req_id.unwrap_or_default(),
            group: said.group.unwrap_or_default(),
            tags: said.tags.unwrap_or_default(),
        })
    }

    fn account_updates(&self) -> Result<Request, DecodeError> {
        let said: schema::AccountDataRequest = self.read()?;
        let subscription = subscription_of(said.subscribe);
        Ok(Request::AccountUpdates { subscription, account: said.acct_code.unwrap_or_default() })
    }

    fn auto_open_orders(&self) -> Result<Request, DecodeError> {
        let said: schema::AutoOpenOrdersRequest = self.read()?;
        Ok(Request::AutoOpenOrders { binding: subscription_of(said.auto_bind) })
    }

    fn completed_orders(&self) -> Result<Request, DecodeError> {
        let said: schema::CompletedOrdersRequest = self.read()?;
        let from = if said.api_only == Some(true) { Origin::Clients } else { Origin::Anybody };
        Ok(Request::CompletedOrders { from })
    }

    fn account_updates_multi(&self) -> Result<Request, DecodeError> {
        let said: schema::AccountRequest = self.read()?;
        Ok(Request::AccountUpdatesMulti {
            req_id: said.req_id.unwrap_or_default(),
            account: said.account.unwrap_or_default(),
            model: said.model_code.unwrap_or_default(),
        })
    }

    fn pnl(&self) -> Result<Request, DecodeError> {
        let said: schema::AccountRequest = self.read()?;
        Ok(Request::Pnl {
            req_id: said.req_id.unwrap_or_default(),
            account: said.account.unwrap_or_default(),
        })
    }

    fn pnl_single(&self) -> Result<Request, DecodeError> {
        let said: schema::PnlSingleRequest = self.read()?;
        Ok(Request::PnlSingle {
            req_id: said.req_id.unwrap_or_default(),
            account: said.account.unwrap_or_default(),
            con_id: said.con_id.unwrap_or_default(),
        })
    }

    fn executions(&self) -> Result<Request, DecodeError> {
        let said: schema::ExecutionRequest = self.read()?;
        let filter = said.execution_filter.unwrap_or_default();
        Ok(Request::Executions {
            req_id: said.req_id.unwrap_or_default(),
            filter: Box::new(WireExecutionFilter {
                client_id: filter.client_id.unwrap_or_default(),
                account: filter.acct_code.unwrap_or_default(),
                time: filter.time.unwrap_or_default(),
                symbol: filter.symbol.unwrap_or_default(),
                security_type: filter.sec_type.unwrap_or_default(),
                exchange: filter.exchange.unwrap_or_default(),
                side: filter.side.unwrap_or_default(),
                last_days: filter.last_n_days.unwrap_or_default(),
                dates: filter.specific_dates,
            }),
        })
    }

    /// What is absent is false: an order that does not say `transmit` waits.
    fn place_order(&self) -> Result<Request, DecodeError> {
        let said: schema::PlaceOrderRequest = self.read()?;
        let order = said.order.unwrap_or_default();
        let order_id = said.order_id.ok_or_else(|| self.fault("its order id is missing"))?;
        // A quantity of zero is left out.
        let quantity = order.total_quantity.unwrap_or_else(|| "0".to_owned());
        let quantity: Decimal =
            quantity.parse().map_err(|_| self.fault(&format!("`{quantity}` is no quantity")))?;
        let set = |number: Option<f64>| {
            number.filter(|number| number.is_finite() && number.abs() < f64::MAX)
        };
        Ok(Request::PlaceOrder {
            order_id,
            contract: Box::new(contract_of(said.contract.unwrap_or_default())),
            order: Box::new(WireOrder {
                order_id,
                client_id: 0,
                perm_id: order.perm_id.unwrap_or_default(),
                parent_id: order.parent_id.unwrap_or_default(),
                action: order.action.unwrap_or_default(),
                quantity,
                order_type: order.order_type.unwrap_or_default(),
                limit: set(order.lmt_price),
                aux: set(order.aux_price),
                time_in_force: order.tif.unwrap_or_default(),
                account: order.account.unwrap_or_default(),
                oca_group: order.oca_group.unwrap_or_default(),
                order_ref: order.order_ref.unwrap_or_default(),
                transmit: order.transmit.unwrap_or_default(),
                what_if: order.what_if.unwrap_or_default(),
                outside_rth: order.outside_rth.unwrap_or_default(),
                conditions: order.conditions.len(),
                oca_type: order.oca_type.unwrap_or_default(),
                trigger_method: order.trigger_method.unwrap_or_default(),
                trail_stop: set(order.trail_stop_price),
                trailing_percent: set(order.trailing_percent),
                limit_offset: set(order.lmt_price_offset),
                good_till: order.good_till_date.unwrap_or_default(),
                good_after: order.good_after_time.unwrap_or_default(),
            }),
        })
    }
}
