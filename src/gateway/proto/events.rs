//! Events into protobuf.

use prost::Message;

use super::super::event::{
    Computation, ContractDetails, Event, HistoricalBar, OrderView, PortfolioValue, Position,
};
use super::super::words::{WireExecution, WireOrder, WireOrderState, WireStatus};
use super::schema;
use super::{RAISED_BY, contract_from, some};

/// A frame's body.
#[expect(clippy::too_many_lines, reason = "one arm a message: the list is what it is about")]
pub fn encode(event: &Event) -> Vec<u8> {
    match event {
        Event::NextValidId { order_id } => numbered(9, *order_id),
        Event::ManagedAccounts { accounts } => text(15, accounts),
        Event::Error { id, code, message, at_millis } => body(
            4,
            &schema::ErrorMessage {
                id: Some(*id),
                error_time: Some(*at_millis),
                error_code: Some(*code),
                error_msg: some(message),
            },
        ),
        Event::CurrentTime { seconds } => body(49, &schema::Long { value: Some(*seconds) }),
        Event::CurrentTimeMillis { millis } => body(109, &schema::Long { value: Some(*millis) }),
        Event::ContractDetails { req_id, details } => contract_data(*req_id, details),
        Event::ContractDetailsEnd { req_id } => numbered(52, *req_id),
        Event::OptionParameters { req_id, parameters } => body(
            75,
            &schema::SecDefOptParameter {
                req_id: Some(*req_id),
                exchange: some(&parameters.exchange),
                underlying_con_id: Some(parameters.under_con_id),
                trading_class: some(&parameters.trading_class),
                multiplier: some(&parameters.multiplier),
                expirations: parameters.expirations.clone(),
                strikes: parameters.strikes.clone(),
            },
        ),
        Event::OptionParametersEnd { req_id } => numbered(76, *req_id),
        Event::MarketDataType { req_id, kind } => body(
            58,
            &schema::MarketDataType { req_id: Some(*req_id), market_data_type: Some(*kind) },
        ),
        Event::TickRequestParameters { req_id, min_tick } => body(
            81,
            &schema::TickReqParams {
                req_id: Some(*req_id),
                min_tick: some(min_tick),
                bbo_exchange: None,
                snapshot_permissions: Some(0),
            },
        ),
        Event::TickPrice { req_id, field, price, size } => body(
            1,
            &schema::TickPrice {
                req_id: Some(*req_id),
                tick_type: Some(*field),
                price: Some(*price),
                size: Some(size.to_string()),
                attr_mask: Some(0),
            },
        ),
        Event::TickSize { req_id, field, size } => body(
            2,
            &schema::TickSize {
                req_id: Some(*req_id),
                tick_type: Some(*field),
                size: Some(size.to_string()),
            },
        ),
        Event::TickOptionComputation { req_id, field, values } => {
            computation(*req_id, *field, values)
        }
        Event::TickSnapshotEnd { req_id } => numbered(57, *req_id),
        Event::Position(position) => body(61, &position_from(position)),
        Event::PositionEnd => body(62, &schema::Empty {}),
        Event::AccountSummary { req_id, account, figure } => body(
            63,
            &schema::AccountSummary {
                req_id: Some(*req_id),
                account: some(account),
                tag: some(&figure.tag),
                value: some(&figure.value),
                currency: some(&figure.currency),
            },
        ),
        Event::AccountSummaryEnd { req_id } => numbered(64, *req_id),
        Event::AccountValue { account, figure } => body(
            6,
            &schema::AccountValue {
                key: some(&figure.tag),
                value: some(&figure.value),
                currency: some(&figure.currency),
                account_name: some(account),
            },
        ),
        Event::PortfolioValue(value) => body(7, &portfolio_from(value)),
        Event::AccountUpdateTime { time } => text(8, time),
        Event::AccountDownloadEnd { account } => text(54, account),
        Event::AccountUpdateMulti { req_id, account, figure } => body(
            73,
            &schema::AccountUpdateMulti {
                req_id: Some(*req_id),
                account: some(account),
                model_code: None,
                key: some(&figure.tag),
                value: some(&figure.value),
                currency: some(&figure.currency),
            },
        ),
        Event::AccountUpdateMultiEnd { req_id } => numbered(74, *req_id),
        Event::HistoricalData { req_id, bars, .. } => body(
            17,
            &schema::HistoricalData {
                req_id: Some(*req_id),
                historical_data_bars: bars.iter().map(bar_from).collect(),
            },
        ),
        Event::HistoricalDataEnd { req_id, start, end } => body(
            108,
            &schema::HistoricalDataEnd {
                req_id: Some(*req_id),
                start_date_str: some(start),
                end_date_str: some(end),
            },
        ),
        Event::Pnl { req_id, daily, unrealised, realised } => body(
            94,
            &schema::Pnl {
                req_id: Some(*req_id),
                daily_pnl: *daily,
                unrealized_pnl: Some(*unrealised),
                realized_pnl: Some(*realised),
            },
        ),
        Event::PnlSingle { req_id, position, daily, unrealised, realised, value } => body(
            95,
            &schema::PnlSingle {
                req_id: Some(*req_id),
                position: Some(position.to_string()),
                daily_pnl: *daily,
                unrealized_pnl: Some(*unrealised),
                realized_pnl: Some(*realised),
                value: Some(*value),
            },
        ),
        Event::Data(event) => super::data_events::encode(event),
        Event::OpenOrder(view) => open_order(view),
        Event::OpenOrderEnd => body(53, &schema::Empty {}),
        Event::OrderBound { perm_id, client_id, order_id } => body(
            100,
            &schema::OrderBound {
                perm_id: Some(*perm_id),
                client_id: Some(*client_id),
                order_id: Some(*order_id),
            },
        ),
        Event::OrderStatus(status) => order_status(status),
        Event::CompletedOrder(view) => body(
            101,
            &schema::CompletedOrder {
                contract: Some(contract_from(&view.contract)),
                order: Some(completed_from(view)),
                order_state: Some(state_from(&view.state)),
            },
        ),
        Event::CompletedOrdersEnd => body(102, &schema::Empty {}),
        Event::Execution { req_id, contract, execution } => body(
            11,
            &schema::ExecutionDetails {
                req_id: Some(*req_id),
                contract: Some(contract_from(contract)),
                execution: Some(execution_from(execution)),
            },
        ),
        Event::ExecutionsEnd { req_id } => numbered(55, *req_id),
        Event::Commission { exec_id, amount, realised } => body(
            59,
            &schema::CommissionReport {
                exec_id: some(exec_id),
                commission_and_fees: Some(*amount),
                currency: some("USD"),
                realized_pnl: *realised,
            },
        ),
    }
}

pub(super) fn body<M: Message>(id: u32, message: &M) -> Vec<u8> {
    let mut body = (id + RAISED_BY).to_be_bytes().to_vec();
    body.extend_from_slice(&message.encode_to_vec());
    body
}

pub(super) fn numbered(id: u32, req_id: i32) -> Vec<u8> {
    body(id, &schema::ReqId { req_id: Some(req_id) })
}

fn text(id: u32, text: &str) -> Vec<u8> {
    body(id, &schema::Text { text: Some(text.to_owned()) })
}

fn contract_data(req_id: i32, details: &ContractDetails) -> Vec<u8> {
    let one = || some("1");
    body(
        10,
        &schema::ContractData {
            req_id: Some(req_id),
            contract: Some(contract_from(&details.contract)),
            contract_details: Some(schema::ContractDetails {
                market_name: some(&details.market_name),
                min_tick: some(&details.min_tick),
                order_types: some(&details.order_types),
                valid_exchanges: some(&details.valid_exchanges),
                price_magnifier: Some(1),
                under_con_id: Some(details.under_con_id),
                long_name: some(&details.long_name),
                contract_month: some(&details.contract_month),
                time_zone_id: some(&details.time_zone),
                trading_hours: some(&details.trading_hours),
                liquid_hours: some(&details.liquid_hours),
                under_symbol: some(&details.under_symbol),
                under_sec_type: some(&details.under_security_type),
                market_rule_ids: some(&details.market_rule_ids),
                real_expiration_date: some(&details.real_expiration_date),
                min_size: one(),
                size_increment: one(),
                suggested_size_increment: one(),
            }),
        },
    )
}

fn computation(req_id: i32, field: i32, values: &Computation) -> Vec<u8> {
    body(
        21,
        &schema::TickOptionComputation {
            req_id: Some(req_id),
            tick_type: Some(field),
            tick_attrib: Some(1),
            implied_vol: values.implied_vol,
            delta: values.delta,
            opt_price: values.price,
            pv_dividend: values.dividends,
            gamma: values.gamma,
            vega: values.vega,
            theta: values.theta,
            und_price: values.underlying,
        },
    )
}

pub(super) fn bar_from(bar: &HistoricalBar) -> schema::HistoricalDataBar {
    schema::HistoricalDataBar {
        date: some(&bar.date),
        open: Some(bar.open),
        high: Some(bar.high),
        low: Some(bar.low),
        close: Some(bar.close),
        volume: bar.volume.map(|volume| volume.to_string()),
    }
}

fn position_from(position: &Position) -> schema::Position {
    schema::Position {
        account: some(&position.account),
        contract: Some(contract_from(&position.contract)),
        position: Some(position.quantity.to_string()),
        avg_cost: Some(position.average_cost),
    }
}

fn portfolio_from(value: &PortfolioValue) -> schema::PortfolioValue {
    schema::PortfolioValue {
        contract: Some(contract_from(&value.position.contract)),
        position: Some(value.position.quantity.to_string()),
        market_price: Some(value.market_price),
        market_value: Some(value.market_value),
        average_cost: Some(value.position.average_cost),
        unrealized_pnl: Some(value.unrealised),
        realized_pnl: Some(value.realised),
        account_name: some(&value.position.account),
    }
}

fn open_order(view: &OrderView) -> Vec<u8> {
    body(
        5,
        &schema::OpenOrder {
            order_id: Some(view.order.order_id),
            contract: Some(contract_from(&view.contract)),
            order: Some(order_from(&view.order)),
            order_state: Some(state_from(&view.state)),
        },
    )
}

fn order_from(order: &WireOrder) -> schema::Order {
    schema::Order {
        client_id: Some(order.client_id),
        order_id: Some(order.order_id),
        perm_id: Some(order.perm_id),
        parent_id: Some(order.parent_id),
        action: some(&order.action),
        total_quantity: Some(order.quantity.to_string()),
        order_type: some(&order.order_type),
        lmt_price: order.limit,
        aux_price: order.aux,
        tif: some(&order.time_in_force),
        account: some(&order.account),
        outside_rth: Some(order.outside_rth),
        oca_group: some(&order.oca_group),
        order_ref: some(&order.order_ref),
        what_if: Some(order.what_if),
        transmit: Some(order.transmit),
        oca_type: Some(order.oca_type),
        trigger_method: Some(order.trigger_method),
        trail_stop_price: order.trail_stop,
        trailing_percent: order.trailing_percent,
        lmt_price_offset: order.limit_offset,
        good_till_date: some(&order.good_till),
        good_after_time: some(&order.good_after),
        ..schema::Order::default()
    }
}

/// TWS tells what is left of a completed order where it tells the size of an open one.
fn completed_from(view: &OrderView) -> schema::Order {
    schema::Order {
        total_quantity: Some((view.order.quantity - view.filled).to_string()),
        filled_quantity: Some(view.filled.to_string()),
        ..order_from(&view.order)
    }
}

fn state_from(state: &WireOrderState) -> schema::OrderState {
    let margin = state.margin;
    schema::OrderState {
        status: some(&state.status),
        init_margin_before: margin.map(|margin| margin.initial_before),
        maint_margin_before: margin.map(|margin| margin.maintenance_before),
        equity_with_loan_before: margin.map(|margin| margin.equity_before),
        init_margin_change: margin.map(|m| m.initial_after - m.initial_before),
        maint_margin_change: margin.map(|m| m.maintenance_after - m.maintenance_before),
        equity_with_loan_change: margin.map(|m| m.equity_after - m.equity_before),
        init_margin_after: margin.map(|margin| margin.initial_after),
        maint_margin_after: margin.map(|margin| margin.maintenance_after),
        equity_with_loan_after: margin.map(|margin| margin.equity_after),
        commission_and_fees: margin.map(|margin| margin.commission),
        min_commission_and_fees: margin.map(|margin| margin.commission),
        max_commission_and_fees: margin.map(|margin| margin.commission),
        commission_and_fees_currency: margin.map(|_| "USD".to_owned()),
        margin_currency: margin.map(|_| "USD".to_owned()),
        completed_time: some(&state.completed_time),
        completed_status: some(&state.completed_status),
    }
}

fn order_status(status: &WireStatus) -> Vec<u8> {
    body(
        3,
        &schema::OrderStatus {
            order_id: Some(status.order_id),
            status: some(&status.status),
            filled: Some(status.filled.to_string()),
            remaining: Some(status.remaining.to_string()),
            avg_fill_price: Some(status.average_price),
            perm_id: Some(status.perm_id),
            parent_id: Some(status.parent_id),
            last_fill_price: Some(status.last_price),
            client_id: Some(status.client_id),
            why_held: some(&status.why_held),
            mkt_cap_price: Some(0.0),
        },
    )
}

fn execution_from(execution: &WireExecution) -> schema::Execution {
    schema::Execution {
        order_id: Some(execution.order_id),
        exec_id: some(&execution.exec_id),
        time: some(&execution.time),
        acct_number: some(&execution.account),
        exchange: some(&execution.exchange),
        side: some(&execution.side),
        shares: Some(execution.shares.to_string()),
        price: Some(execution.price),
        perm_id: Some(execution.perm_id),
        client_id: Some(execution.client_id),
        is_liquidation: Some(execution.liquidation),
        cum_qty: Some(execution.cumulative.to_string()),
        avg_price: Some(execution.average_price),
        order_ref: some(&execution.order_ref),
    }
}
