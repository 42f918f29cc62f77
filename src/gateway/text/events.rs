//! Events into text.

use super::super::event::{
    Computation, ContractDetails, Event, HistoricalBar, OptionParameters, PortfolioValue, Position,
};
use super::super::words::{WireContract, WireExecution, WireStatus};
use super::WITH_PENDING_REVISION;
use super::fields::Line;
use super::order_events::{completed_order, open_order};

/// A frame's body at a server version; `None` for what text has no words for.
#[expect(clippy::too_many_lines, reason = "one arm a message: the list is what it is about")]
pub fn encode(version: u32, event: &Event) -> Option<Vec<u8>> {
    let line = match event {
        Event::NextValidId { order_id } => Line::of(9).add(1).add(order_id),
        Event::ManagedAccounts { accounts } => Line::of(15).add(1).add(accounts),
        Event::Error { id, code, message, .. } => {
            Line::of(4).add(2).add(id).add(code).add(message).add("")
        }
        Event::CurrentTime { seconds } => Line::of(49).add(1).add(seconds),
        // The ends of a history stand with its bars.
        Event::CurrentTimeMillis { .. } | Event::HistoricalDataEnd { .. } => return None,
        Event::ContractDetails { req_id, details } => contract_details(*req_id, details),
        Event::ContractDetailsEnd { req_id } => Line::of(52).add(1).add(req_id),
        Event::OptionParameters { req_id, parameters } => option_parameters(*req_id, parameters),
        Event::OptionParametersEnd { req_id } => Line::of(76).add(req_id),
        Event::MarketDataType { req_id, kind } => Line::of(58).add(1).add(req_id).add(kind),
        Event::TickRequestParameters { req_id, min_tick } => {
            Line::of(81).add(req_id).add(min_tick).add("").add(0)
        }
        Event::TickPrice { req_id, field, price, size } => {
            Line::of(1).add(6).add(req_id).add(field).add(price).add(size).add(0)
        }
        Event::TickSize { req_id, field, size } => {
            Line::of(2).add(6).add(req_id).add(field).add(size)
        }
        Event::TickOptionComputation { req_id, field, values } => {
            computation(*req_id, *field, values)
        }
        Event::TickSnapshotEnd { req_id } => Line::of(57).add(1).add(req_id),
        Event::Position(position) => position_line(position),
        Event::PositionEnd => Line::of(62).add(1),
        Event::AccountSummary { req_id, account, figure } => Line::of(63)
            .add(1)
            .add(req_id)
            .add(account)
            .add(&figure.tag)
            .add(&figure.value)
            .add(&figure.currency),
        Event::AccountSummaryEnd { req_id } => Line::of(64).add(1).add(req_id),
        Event::AccountValue { account, figure } => Line::of(6)
            .add(2)
            .add(&figure.tag)
            .add(&figure.value)
            .add(&figure.currency)
            .add(account),
        Event::PortfolioValue(value) => portfolio_line(value),
        Event::AccountUpdateTime { time } => Line::of(8).add(1).add(time),
        Event::AccountDownloadEnd { account } => Line::of(54).add(1).add(account),
        Event::AccountUpdateMulti { req_id, account, figure } => Line::of(73)
            .add(1)
            .add(req_id)
            .add(account)
            .add("")
            .add(&figure.tag)
            .add(&figure.value)
            .add(&figure.currency),
        Event::AccountUpdateMultiEnd { req_id } => Line::of(74).add(1).add(req_id),
        Event::HistoricalData { req_id, bars, start, end } => {
            let line = Line::of(17).add(req_id).add(start).add(end).add(bars.len());
            bars.iter().fold(line, bar_fields)
        }
        Event::Pnl { req_id, daily, unrealised, realised } => {
            let daily = daily.unwrap_or(f64::MAX);
            Line::of(94).add(req_id).add(daily).add(unrealised).add(realised)
        }
        Event::PnlSingle { req_id, position, daily, unrealised, realised, value } => {
            let line = Line::of(95).add(req_id).add(position).add(daily.unwrap_or(f64::MAX));
            line.add(unrealised).add(realised).add(value)
        }
        Event::Data(event) => super::data_events::encode(event),
        Event::OpenOrder(view) => open_order(version, view),
        Event::OpenOrderEnd => Line::of(53).add(1),
        Event::OrderBound { perm_id, client_id, order_id } => {
            Line::of(100).add(perm_id).add(client_id).add(order_id)
        }
        Event::OrderStatus(status) => order_status(status),
        Event::CompletedOrder(view) => completed_order(version, view),
        Event::CompletedOrdersEnd => Line::of(102),
        Event::Execution { req_id, contract, execution } => {
            execution_line(version, *req_id, contract, execution)
        }
        Event::ExecutionsEnd { req_id } => Line::of(55).add(1).add(req_id),
        Event::Commission { exec_id, amount, realised } => {
            Line::of(59).add(1).add(exec_id).add(amount).add("USD").maybe(*realised).add("").add("")
        }
    };
    Some(line.body())
}

/// A bar's average price and number of trades are not known: -1, as IB writes it.
fn bar_fields(line: Line, bar: &HistoricalBar) -> Line {
    line.add(&bar.date)
        .add(bar.open)
        .add(bar.high)
        .add(bar.low)
        .add(bar.close)
        .add(bar.volume.unwrap_or(-1))
        .add(-1)
        .add(-1)
}

fn contract_details(req_id: i32, details: &ContractDetails) -> Line {
    let contract = &details.contract;
    Line::of(10)
        .add(req_id)
        .add(&contract.symbol)
        .add(&contract.security_type)
        .add(&contract.last_trade)
        .add(contract.strike.unwrap_or_default())
        .add(&contract.right)
        .add(&contract.exchange)
        .add(&contract.currency)
        .add(&contract.local_symbol)
        .add(&details.market_name)
        .add(&contract.trading_class)
        .add(contract.con_id)
        .add(&details.min_tick)
        .add(&contract.multiplier)
        .add(&details.order_types)
        .add(&details.valid_exchanges)
        .add(1)
        .add(details.under_con_id)
        .add(&details.long_name)
        .add(&contract.primary_exchange)
        .add(&details.contract_month)
        .blank(3)
        .add(&details.time_zone)
        .add(&details.trading_hours)
        .add(&details.liquid_hours)
        .blank(2)
        .add(0)
        .add("")
        .add(&details.under_symbol)
        .add(&details.under_security_type)
        .add(&details.market_rule_ids)
        .add(&details.real_expiration_date)
        .add("")
        .add(1)
        .add(1)
        .add(1)
}

fn option_parameters(req_id: i32, parameters: &OptionParameters) -> Line {
    Line::of(75)
        .add(req_id)
        .add(&parameters.exchange)
        .add(parameters.under_con_id)
        .add(&parameters.trading_class)
        .add(&parameters.multiplier)
        .add(parameters.expirations.len())
        .each(&parameters.expirations)
        .add(parameters.strikes.len())
        .each(&parameters.strikes)
}

/// What is not known is -1, of a Greek -2: clients turn every field into a number.
fn computation(req_id: i32, field: i32, values: &Computation) -> Line {
    Line::of(21)
        .add(req_id)
        .add(field)
        .add(1)
        .add(values.implied_vol.unwrap_or(-1.0))
        .add(values.delta.unwrap_or(-2.0))
        .add(values.price.unwrap_or(-1.0))
        .add(values.dividends.unwrap_or(-1.0))
        .add(values.gamma.unwrap_or(-2.0))
        .add(values.vega.unwrap_or(-2.0))
        .add(values.theta.unwrap_or(-2.0))
        .add(values.underlying.unwrap_or(-1.0))
}

fn position_line(position: &Position) -> Line {
    Line::of(61)
        .add(3)
        .add(&position.account)
        .contract(&position.contract)
        .add(position.quantity)
        .add(position.average_cost)
}

/// The contract's primary exchange stands where other messages have its exchange.
fn portfolio_line(value: &PortfolioValue) -> Line {
    let position = &value.position;
    let exchange = position.contract.primary_exchange.clone();
    let contract = WireContract { exchange, ..position.contract.clone() };
    Line::of(7)
        .add(8)
        .contract(&contract)
        .add(position.quantity)
        .add(value.market_price)
        .add(value.market_value)
        .add(position.average_cost)
        .add(value.unrealised)
        .add(value.realised)
        .add(&position.account)
}

fn order_status(status: &WireStatus) -> Line {
    Line::of(3)
        .add(status.order_id)
        .add(&status.status)
        .add(status.filled)
        .add(status.remaining)
        .add(status.average_price)
        .add(status.perm_id)
        .add(status.parent_id)
        .add(status.last_price)
        .add(status.client_id)
        .add(&status.why_held)
        .add(0)
}

fn execution_line(
    version: u32,
    req_id: i32,
    contract: &WireContract,
    execution: &WireExecution,
) -> Line {
    let line = Line::of(11)
        .add(req_id)
        .add(execution.order_id)
        .contract(contract)
        .add(&execution.exec_id)
        .add(&execution.time)
        .add(&execution.account)
        .add(&execution.exchange)
        .add(&execution.side)
        .add(execution.shares)
        .add(execution.price)
        .add(execution.perm_id)
        .add(execution.client_id)
        .add(i32::from(execution.liquidation))
        .add(execution.cumulative)
        .add(execution.average_price)
        .add(&execution.order_ref)
        .blank(3)
        .add(0);
    if version >= WITH_PENDING_REVISION { line.add(0) } else { line }
}
