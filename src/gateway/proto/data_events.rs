//! Events of data and the account into protobuf.

use super::super::data_event::{DataEvent, FiveSeconds, Schedule, SymbolSample};
use super::super::event::Position;
use super::events::{bar_from, body, numbered};
use super::{contract_from, schema, some};

/// What IB writes where it counts no trades.
const NOT_COUNTED: i32 = -1;

/// A frame's body.
pub fn encode(event: &DataEvent) -> Vec<u8> {
    match event {
        DataEvent::TickGeneric { req_id, field, value } => body(
            45,
            &schema::TickGeneric {
                req_id: Some(*req_id),
                tick_type: Some(*field),
                value: Some(*value),
            },
        ),
        DataEvent::TickString { req_id, field, value } => body(
            46,
            &schema::TickString {
                req_id: Some(*req_id),
                tick_type: Some(*field),
                value: some(value),
            },
        ),
        DataEvent::RealTimeBar { req_id, bar } => body(50, &real_time_bar(*req_id, bar)),
        DataEvent::HistoryUpdate { req_id, bar } => body(
            90,
            &schema::HistoricalDataUpdate {
                req_id: Some(*req_id),
                historical_data_bar: Some(bar_from(bar)),
            },
        ),
        DataEvent::Schedule { req_id, schedule } => body(106, &schedule_from(*req_id, schedule)),
        DataEvent::HeadTimestamp { req_id, at } => {
            body(88, &schema::NumberedText { req_id: Some(*req_id), text: some(at) })
        }
        DataEvent::SymbolSamples { req_id, found } => body(
            79,
            &schema::SymbolSamples {
                req_id: Some(*req_id),
                contract_descriptions: found.iter().map(description_from).collect(),
            },
        ),
        DataEvent::MarketRule { rule_id, steps } => body(
            93,
            &schema::MarketRule {
                market_rule_id: Some(*rule_id),
                price_increments: steps
                    .iter()
                    .map(|(from, step)| schema::PriceIncrement {
                        low_edge: Some(*from),
                        increment: Some(*step),
                    })
                    .collect(),
            },
        ),
        DataEvent::PositionMulti { req_id, position } => {
            body(71, &position_from(*req_id, position))
        }
        DataEvent::PositionMultiEnd { req_id } => numbered(72, *req_id),
        DataEvent::FamilyCodes { account } => body(
            78,
            &schema::FamilyCodes {
                family_codes: vec![schema::FamilyCode {
                    account_id: some(account),
                    family_code: None,
                }],
            },
        ),
        DataEvent::UserInfo { req_id } => numbered(107, *req_id),
        DataEvent::NewsProviders => body(85, &schema::Empty {}),
        DataEvent::DepthExchanges => body(80, &schema::Empty {}),
    }
}

fn schedule_from(req_id: i32, schedule: &Schedule) -> schema::HistoricalSchedule {
    let sessions = schedule.sessions.iter().map(|session| schema::HistoricalSession {
        start_date_time: some(&session.start),
        end_date_time: some(&session.end),
        ref_date: some(&session.day),
    });
    schema::HistoricalSchedule {
        req_id: Some(req_id),
        start_date_time: some(&schedule.start),
        end_date_time: some(&schedule.end),
        time_zone: some("US/Eastern"),
        historical_sessions: sessions.collect(),
    }
}

fn real_time_bar(req_id: i32, bar: &FiveSeconds) -> schema::RealTimeBarTick {
    schema::RealTimeBarTick {
        req_id: Some(req_id),
        time: Some(bar.at),
        open: Some(bar.open),
        high: Some(bar.high),
        low: Some(bar.low),
        close: Some(bar.close),
        volume: Some(bar.volume.unwrap_or(NOT_COUNTED.into()).to_string()),
        wap: Some(NOT_COUNTED.to_string()),
        count: Some(NOT_COUNTED),
    }
}

fn description_from(sample: &SymbolSample) -> schema::ContractDescription {
    schema::ContractDescription {
        contract: Some(contract_from(&sample.contract)),
        derivative_sec_types: sample.derivatives.clone(),
    }
}

fn position_from(req_id: i32, position: &Position) -> schema::PositionMulti {
    schema::PositionMulti {
        req_id: Some(req_id),
        account: some(&position.account),
        contract: Some(contract_from(&position.contract)),
        position: Some(position.quantity.to_string()),
        avg_cost: Some(position.average_cost),
    }
}
