//! Answers about contracts and the account.

use crate::market::{ConId, SecurityKind, Symbol, Usd};
use crate::structures::BrokerPosition;

use super::event::{Event, Figure, PortfolioValue, Position};
use super::house::{House, SeatId};
use super::listing::{describe, details, find, option_parameters, underlying};
use super::words::WireContract;

impl House {
    pub(super) fn contract_details(&mut self, seat: SeatId, req_id: i32, wanted: &WireContract) {
        let found = find(self.exchange.source(), wanted);
        if found.is_empty() {
            let said = "No security definition has been found for the request";
            self.error(seat, (req_id, 200), said);
            return;
        }
        for instrument in found {
            let mut details = Box::new(details(self.exchange.source(), &instrument));
            (details.trading_hours, details.liquid_hours) = self.hours(&instrument);
            self.send(seat, Event::ContractDetails { req_id, details });
        }
        self.send(seat, Event::ContractDetailsEnd { req_id });
    }

    pub(super) fn option_parameters(
        &mut self,
        seat: SeatId,
        req_id: i32,
        (symbol, con_id): (&str, i32),
    ) {
        let under = underlying(self.exchange.source(), &Symbol::new(symbol))
            .filter(|under| under.conid() == ConId(i64::from(con_id)));
        let Some(under) = under else {
            let said = format!("Error validating request: {symbol} is not contract {con_id}");
            self.error(seat, (req_id, 321), &said);
            return;
        };
        for parameters in option_parameters(self.exchange.source(), &under) {
            let parameters = Box::new(parameters);
            self.send(seat, Event::OptionParameters { req_id, parameters });
        }
        self.send(seat, Event::OptionParametersEnd { req_id });
    }

    pub(super) fn positions(&mut self, seat: SeatId) {
        if let Some(seat) = self.seats.get_mut(&seat) {
            seat.wants_positions = true;
        }
        for held in self.exchange.positions() {
            if let Some(position) = self.position_of(&held) {
                self.send(seat, Event::Position(Box::new(position)));
            }
        }
        self.send(seat, Event::PositionEnd);
    }

    pub(super) fn position_of(&self, held: &BrokerPosition) -> Option<Position> {
        Some(Position {
            account: self.account.clone(),
            contract: describe(&self.instrument(held.conid)?),
            quantity: held.quantity.into(),
            average_cost: held.average_cost.to_f64(),
        })
    }

    /// Figures and positions, without the end of the list.
    pub(super) fn account_values(&mut self, seat: SeatId) {
        let account = self.account.clone();
        for figure in self.figures() {
            self.send(seat, Event::AccountValue { account: account.clone(), figure });
        }
        for value in self.portfolio() {
            self.send(seat, Event::PortfolioValue(Box::new(value)));
        }
        let local = self.now().with_timezone(&chrono_tz::America::New_York);
        self.send(seat, Event::AccountUpdateTime { time: local.format("%H:%M").to_string() });
    }

    /// The account's figures; none where a position has no mark, for then no figure is known.
    pub(super) fn figures(&self) -> Vec<Figure> {
        let Ok(account) = self.exchange.account() else { return Vec::new() };
        let futures = self.futures_pnl();
        let usd = |tag: &str, value: Usd| Figure {
            tag: tag.to_owned(),
            value: value.to_cents().to_string(),
            currency: "USD".to_owned(),
        };
        vec![
            Figure {
                tag: "AccountType".to_owned(),
                value: "INDIVIDUAL".to_owned(),
                currency: String::new(),
            },
            usd("NetLiquidation", account.net_liquidation),
            usd("TotalCashValue", account.cash + futures),
            usd("TotalCashValue-C", account.commodities_cash + futures),
            usd("TotalCashValue-S", account.cash - account.commodities_cash),
            usd("FuturesPNL", futures),
            usd("InitMarginReq", account.initial_margin),
            usd("MaintMarginReq", account.maintenance_margin),
            usd("ExcessLiquidity", account.excess_liquidity),
            usd("LookAheadExcessLiquidity", account.look_ahead_excess_liquidity),
            usd("BuyingPower", account.buying_power),
        ]
    }

    /// What futures have moved since their last variation. IB counts it into cash ("cash recognised
    /// at the time of trade and futures P&L") and tells it beside; that it is nil after the
    /// variation is an assumption.
    fn futures_pnl(&self) -> Usd {
        let held = self.exchange.marked_positions();
        let futures =
            held.filter(|(_, position)| position.instrument.kind() == SecurityKind::Future);
        futures.map(|(_, position)| position.value()).sum()
    }

    /// Positions with their marks and values.
    pub(super) fn portfolio(&self) -> Vec<PortfolioValue> {
        let costs = self.exchange.positions();
        let valued = self.exchange.marked_positions().filter_map(|(conid, position)| {
            let held = costs.iter().find(|held| held.conid == conid)?;
            let value = position.value().to_f64();
            let cost = held.average_cost.to_f64() * held.quantity as f64;
            Some(PortfolioValue {
                position: self.position_of(held)?,
                market_price: position.mark.price.to_f64(),
                market_value: value,
                unrealised: value - cost,
                realised: 0.0,
            })
        });
        valued.collect()
    }
}
