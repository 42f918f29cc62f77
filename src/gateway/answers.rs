//! Answers about contracts and the account.

use crate::market::{ConId, Price, SecurityKind, Symbol, Usd};
use crate::structures::BrokerPosition;

use super::event::{Event, Figure, PortfolioValue};
use super::house::{House, SeatId};
use super::listing::{details, find, option_parameters, underlying};
use super::profit::no_account;
use super::request::Subscription;
use super::words::WireContract;

impl House {
    pub(super) fn account_updates(
        &mut self,
        seat: SeatId,
        subscription: Subscription,
        account: &str,
    ) {
        if !self.is_account(account) {
            return self.error(seat, (-1, 321), &no_account(account));
        }
        if let Some(seat) = self.seats.get_mut(&seat) {
            seat.wants_account = subscription == Subscription::Begin;
        }
        if subscription == Subscription::Begin {
            self.account_values(seat);
            self.send(seat, Event::AccountDownloadEnd { account: self.account.clone() });
        }
    }

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

    /// Figures and positions, without the end of the list.
    pub(super) fn account_values(&mut self, seat: SeatId) {
        let account = self.account.clone();
        for figure in self.figures() {
            self.send(seat, Event::AccountValue { account: account.clone(), figure });
        }
        let held = self.exchange.positions();
        let Some(seated) = self.seats.get_mut(&seat) else { return };
        for held in seated.portfolio_told.learn(held) {
            if let Some(value) = self.portfolio_value(&held) {
                self.send(seat, Event::PortfolioValue(Box::new(value)));
            }
        }
        let local = self.now().with_timezone(&chrono_tz::America::New_York);
        self.send(seat, Event::AccountUpdateTime { time: local.format("%H:%M").to_string() });
    }

    /// The account's figures; none where a position has no mark, for then no figure is known. Cash
    /// is settled at once, and bears no interest that could accrue.
    pub(super) fn figures(&self) -> Vec<Figure> {
        let (Ok(account), Ok(funds)) = (self.exchange.account(), self.exchange.funds()) else {
            return Vec::new();
        };
        let futures = self.futures_pnl();
        let usd = |tag: &str, value: Usd| Figure {
            tag: tag.to_owned(),
            value: value.to_cents().to_string(),
            currency: "USD".to_owned(),
        };
        let plain = |tag: &str, value: String| Figure {
            tag: tag.to_owned(),
            value,
            currency: String::new(),
        };
        let unrealised = self.portfolio().iter().map(|value| value.unrealised).sum();
        let profit = |value| Usd::from_f64(value).unwrap_or(Usd::ZERO);
        vec![
            plain("AccountType", "INDIVIDUAL".to_owned()),
            plain("Cushion", cushion(account.excess_liquidity, account.net_liquidation)),
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
            usd("EquityWithLoanValue", funds.equity_with_loan),
            usd("AvailableFunds", funds.equity_with_loan - account.initial_margin),
            usd("GrossPositionValue", funds.gross_position_value),
            usd("FullInitMarginReq", funds.full_initial_margin),
            usd("FullMaintMarginReq", funds.full_maintenance_margin),
            usd("SettledCash", account.cash),
            usd("AccruedCash", Usd::ZERO),
            usd("UnrealizedPnL", profit(unrealised)),
            usd("RealizedPnL", profit(self.realised_today(None))),
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
        let held = self.exchange.positions();
        held.iter().filter_map(|held| self.portfolio_value(held)).collect()
    }

    /// A position with its mark, or without one where it is over. A future is worth what it would
    /// cost, as TWS shows it.
    fn portfolio_value(&self, held: &BrokerPosition) -> Option<PortfolioValue> {
        let marked = self.exchange.marked_positions().find(|(conid, _)| *conid == held.conid);
        let mark = marked.map(|(_, position)| position.mark.price);
        let multiplier = self.instrument(held.conid)?.multiplier();
        let value = mark.map_or(Usd::ZERO, |mark| mark.value(held.quantity, multiplier)).to_f64();
        let cost = held.average_cost.to_f64() * held.quantity as f64;
        Some(PortfolioValue {
            position: self.position_of(held)?,
            market_price: mark.map(Price::to_f64).unwrap_or_default(),
            market_value: value,
            unrealised: value - cost,
            realised: self.realised_today(Some(held.conid)),
        })
    }
}

/// What is left above the requirement, as a share of the whole.
fn cushion(excess: Usd, whole: Usd) -> String {
    let share = if whole > Usd::ZERO { excess.to_f64() / whole.to_f64() } else { 0.0 };
    format!("{share:.6}")
}
