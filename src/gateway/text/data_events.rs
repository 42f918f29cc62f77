//! Events of data and the account into text.

use super::super::data_event::{DataEvent, FiveSeconds, SymbolSample};
use super::super::event::{HistoricalBar, Position};
use super::fields::Line;

/// The fields of one message.
pub fn encode(event: &DataEvent) -> Line {
    match event {
        DataEvent::TickGeneric { req_id, field, value } => {
            Line::of(45).add(6).add(req_id).add(field).add(value)
        }
        DataEvent::TickString { req_id, field, value } => {
            Line::of(46).add(6).add(req_id).add(field).add(value)
        }
        DataEvent::RealTimeBar { req_id, bar } => real_time_bar(*req_id, bar),
        DataEvent::HistoryUpdate { req_id, bar } => history_update(*req_id, bar),
        DataEvent::Schedule { req_id, schedule } => schedule.sessions.iter().fold(
            Line::of(106)
                .add(req_id)
                .add(&schedule.start)
                .add(&schedule.end)
                .add("US/Eastern")
                .add(schedule.sessions.len()),
            |line, one| line.add(&one.start).add(&one.end).add(&one.day),
        ),
        DataEvent::HeadTimestamp { req_id, at } => Line::of(88).add(req_id).add(at),
        DataEvent::SymbolSamples { req_id, found } => {
            found.iter().fold(Line::of(79).add(req_id).add(found.len()), sample_fields)
        }
        DataEvent::MarketRule { rule_id, steps } => {
            let line = Line::of(93).add(rule_id).add(steps.len());
            steps.iter().fold(line, |line, (from, step)| line.add(from).add(step))
        }
        DataEvent::PositionMulti { req_id, position } => position_line(*req_id, position),
        DataEvent::PositionMultiEnd { req_id } => Line::of(72).add(1).add(req_id),
        DataEvent::FamilyCodes { account } => Line::of(78).add(1).add(account).add(""),
        DataEvent::UserInfo { req_id } => Line::of(107).add(req_id).add(""),
        DataEvent::NewsProviders => Line::of(85).add(0),
        DataEvent::DepthExchanges => Line::of(80).add(0),
    }
}

/// The average price and the number of trades are not known: -1, as IB writes it.
fn real_time_bar(req_id: i32, bar: &FiveSeconds) -> Line {
    Line::of(50)
        .add(3)
        .add(req_id)
        .add(bar.at)
        .add(bar.open)
        .add(bar.high)
        .add(bar.low)
        .add(bar.close)
        .add(bar.volume.unwrap_or(-1))
        .add(-1)
        .add(-1)
}

/// Its fields stand in an order of their own.
fn history_update(req_id: i32, bar: &HistoricalBar) -> Line {
    Line::of(90)
        .add(req_id)
        .add(-1)
        .add(&bar.date)
        .add(bar.open)
        .add(bar.close)
        .add(bar.high)
        .add(bar.low)
        .add(-1)
        .add(bar.volume.unwrap_or(-1))
}

fn sample_fields(line: Line, sample: &SymbolSample) -> Line {
    let contract = &sample.contract;
    line.add(contract.con_id)
        .add(&contract.symbol)
        .add(&contract.security_type)
        .add(&contract.primary_exchange)
        .add(&contract.currency)
        .add(sample.derivatives.len())
        .each(&sample.derivatives)
        // Description and issuer.
        .blank(2)
}

fn position_line(req_id: i32, position: &Position) -> Line {
    Line::of(71)
        .add(1)
        .add(req_id)
        .add(&position.account)
        .contract(&position.contract)
        .add(position.quantity)
        .add(position.average_cost)
        // The model's code.
        .add("")
}
