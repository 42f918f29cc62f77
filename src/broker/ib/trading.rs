//! The desk's commands: orders and their changes.
//!
//! An order is written once. Whether it works is learned from what the broker tells of it; silence
//! is `NoAnswer`, and its fate is then found out, never assumed.

use std::time::Duration;

use futures::StreamExt as _;
use ibapi::contracts::Contract;
use ibapi::orders::{Order, order_builder};
use ibapi::prelude::{Action, Client, SubscriptionItem};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::broker::BrokerError;
use crate::market::clock::Stopwatch;
use crate::market::{ConId, Instrument, Price, Symbol};
use crate::structures::{OrderRef, OrderRequest, OrderType, Reject};

use super::book::is_elsewhere;
use super::codes::{OnOrder, is_read_only, is_used_id, policy};
use super::contracts;
use super::link::{Command, Link, Lost, NOT_CONNECTED};
use super::mirror::Standing;
use super::pacing::Priority;
use super::session::{Alive, READ_ONLY, Updates};

/// What is owed longer than this is asked for.
const OWED_WITHIN: Duration = Duration::from_secs(5);
/// An execution waits so long for its commission, of the wall.
const COMMISSION_WITHIN: Duration = Duration::from_mins(1);
/// IB's code for a contract that cannot be traded as named.
const UNKNOWN_CONTRACT: i32 = 200;
const UNKNOWN_ORDER: i32 = 10_147;
/// IB's code for a change of an order that is over.
const ENDED: i32 = 104;

impl Link {
    /// Serves commands and takes in what happens to orders, one at a time.
    pub async fn trade(
        &self,
        client: &Client,
        updates: &mut Updates,
        commands: &mut mpsc::Receiver<Command>,
    ) -> Lost {
        let mut owed = tokio::time::interval(OWED_WITHIN);
        owed.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let done = tokio::select! {
                item = updates.next() => self.hear(client, item).await,
                command = commands.recv() => match command {
                    Some(command) if command.is_abandoned() => Ok(()),
                    Some(command) => self.obey(client, updates, command).await,
                    None => return Lost("the desk has stopped".to_owned()),
                },
                _ = owed.tick() => self.collect_debts(client).await,
            };
            if let Err(lost) = done {
                return lost;
            }
        }
    }

    /// Asks for what did not come by itself: executions, commissions, and what became of orders of
    /// which nothing was told. One that the broker does not list ended as far as it was executed;
    /// of one that was not executed either nothing is said: the desk finds out in its own time.
    async fn collect_debts(&self, client: &Client) -> Result<(), Lost> {
        let doubtful = self.mirror().book.doubtful();
        if !doubtful.is_empty() {
            let missing = self.ask_open_orders(client).await?;
            self.ask_executions(client).await?;
            let now = self.clock.now();
            let mut mirror = self.mirror();
            for order_id in missing.into_iter().filter(|missing| doubtful.contains(missing)) {
                // Of one that another client id has sent nothing more is ever told.
                if mirror.book.executed(order_id) > 0 || is_elsewhere(order_id) {
                    mirror.book.hear_refusal(order_id, "no longer at the broker", now);
                }
            }
        } else if self.mirror().book.is_owed() {
            self.ask_executions(client).await?;
        }
        let now = self.clock.now();
        self.mirror().book.release_unpaid(COMMISSION_WITHIN, now);
        self.look_for_missing(client).await
    }

    /// An answer that nobody waits for any more is dropped with its sender.
    async fn obey(
        &self,
        client: &Client,
        updates: &mut Updates,
        command: Command,
    ) -> Result<(), Lost> {
        match command {
            Command::Settle(answer) => {
                let settled = self.settle(client, updates).await;
                let _ = answer.send(settled.clone().map_err(BrokerError::from));
                settled
            }
            Command::MarginOf(request, answer) => {
                let _ = answer.send(self.margin_of(client, updates, &request).await);
                Ok(())
            }
            Command::Place(request, answer) => {
                let _ = answer.send(self.place(client, updates, request).await);
                Ok(())
            }
            Command::Reprice(order_ref, limit, answer) => {
                let _ = answer.send(self.reprice(client, updates, (&order_ref, limit)).await);
                Ok(())
            }
            Command::Cancel(order_ref, answer) => {
                let _ = answer.send(self.cancel(client, &order_ref).await);
                Ok(())
            }
            Command::Describe(conid, answer) => {
                let _ = answer.send(self.describe(client, conid).await);
                Ok(())
            }
        }
    }

    /// Refuses while IB is out of reach, though the gateway answers.
    pub(super) fn reachable(&self) -> Result<(), Reject> {
        match &self.mirror().standing {
            Standing::Connected => Ok(()),
            Standing::Starting(why) => {
                Err(Reject { code: NOT_CONNECTED, reason: format!("not sent: {why}") })
            }
            Standing::Away(since, why) => Err(Reject {
                code: NOT_CONNECTED,
                reason: format!("not sent: {why}, since {since}"),
            }),
        }
    }

    async fn place(
        &self,
        client: &Client,
        updates: &mut Updates,
        request: OrderRequest,
    ) -> Result<i64, BrokerError> {
        self.reachable()?;
        let Written { contract, order } = self.written(&request)?;
        let order_id = client.next_order_id();
        self.mirror().book.sending(order_id, request);
        self.submit(client, order_id, (&contract, &order)).await?;
        let known = || self.mirror().book.perm_id(order_id);
        self.await_answer(client, updates, (order_id, known)).await
    }

    async fn reprice(
        &self,
        client: &Client,
        updates: &mut Updates,
        (order_ref, limit): (&OrderRef, Price),
    ) -> Result<(), BrokerError> {
        self.reachable()?;
        let known = {
            let mirror = self.mirror();
            mirror.book.order_id(order_ref).zip(mirror.book.request(order_ref).cloned())
        };
        let Some((order_id, request)) = known else { return Err(unknown(order_ref).into()) };
        if is_elsewhere(order_id) {
            return Err(elsewhere(order_ref).into());
        }
        let request = OrderRequest { order_type: OrderType::Limit(limit), ..request };
        if self.mirror().book.has_ended(order_id) == Some(true) {
            return Err(Reject { code: ENDED, reason: format!("{order_ref} has ended") }.into());
        }
        let Written { contract, order } = self.written(&request)?;
        self.submit(client, order_id, (&contract, &order)).await?;
        let shown = || Some(()).filter(|()| self.mirror().book.limit(order_id) == Some(limit));
        self.await_answer(client, updates, (order_id, shown)).await
    }

    async fn cancel(&self, client: &Client, order_ref: &OrderRef) -> Result<(), BrokerError> {
        let order_id = self.mirror().book.order_id(order_ref);
        let Some(order_id) = order_id else { return Err(unknown(order_ref).into()) };
        if is_elsewhere(order_id) {
            return Err(elsewhere(order_ref).into());
        }
        self.pacer.leave(Priority::Orders).await;
        // The stream of a cancel would take the order's executions away from ours: it is dropped
        // at once, and the order's own state tells what became of it.
        let asked = timeout(self.bounds.answer, client.cancel_order(order_id, "")).await;
        match asked {
            Ok(Ok(stream)) => {
                drop(stream);
                Ok(())
            }
            Ok(Err(error)) => Err(BrokerError::NoAnswer(error.to_string())),
            Err(_) => Err(BrokerError::NoAnswer("the cancel could not be written".to_owned())),
        }
    }

    pub(super) async fn submit(
        &self,
        client: &Client,
        order_id: i32,
        (contract, order): (&Contract, &Order),
    ) -> Result<(), BrokerError> {
        self.pacer.leave(Priority::Orders).await;
        let written = client.submit_order(order_id, contract, order);
        match timeout(self.bounds.answer, written).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(BrokerError::NoAnswer(format!("while it was sent: {error}"))),
            Err(_) => Err(BrokerError::NoAnswer("it could not be written in time".to_owned())),
        }
    }

    /// Takes updates in until they hold the answer, or the order is refused and gone.
    async fn await_answer<T>(
        &self,
        client: &Client,
        updates: &mut Updates,
        (order_id, answer): (i32, impl Fn() -> Option<T>),
    ) -> Result<T, BrokerError> {
        let waited = Stopwatch::start();
        loop {
            if let Some(found) = answer() {
                return Ok(found);
            }
            if self.mirror().book.has_ended(order_id) == Some(true) {
                // Its own event says how.
                let reason = "the order has ended meanwhile".to_owned();
                return Err(Reject { code: ENDED, reason }.into());
            }
            let left = self.bounds.answer.saturating_sub(waited.elapsed());
            let Ok(item) = timeout(left, updates.next()).await else {
                return Err(BrokerError::NoAnswer("the broker says nothing of it".to_owned()));
            };
            if let Some(Ok(SubscriptionItem::Notice(notice))) = &item
                && notice.request_id == Some(order_id)
                && policy(notice.code).order == OnOrder::Refused
            {
                let reject = Reject { code: notice.code, reason: notice.message.clone() };
                return Err(self.refused(client, order_id, reject).await);
            }
            self.hear(client, item).await?;
        }
    }

    /// A refusal is believed when the open orders do not hold the order.
    async fn refused(&self, client: &Client, order_id: i32, reject: Reject) -> BrokerError {
        let is_new = self.mirror().book.perm_id(order_id).is_none();
        if is_new && is_read_only(reject.code, &reject.reason) {
            // It tells no open orders either, so there is nothing to ask.
            self.mirror().book.forget(order_id);
            return Reject { reason: READ_ONLY.to_owned(), ..reject }.into();
        }
        if is_new && is_used_id(reject.code) {
            // The next order takes an id that the broker names; this one is not sent again.
            let next = timeout(self.bounds.answer, client.next_valid_order_id()).await;
            if !matches!(next, Ok(Ok(_))) {
                tracing::warn!("the broker names no next order id after refusing {order_id}");
            }
        }
        match self.ask_open_orders(client).await {
            Err(lost) => lost.into(),
            Ok(missing) if is_new && missing.contains(&order_id) => {
                self.mirror().book.forget(order_id);
                reject.into()
            }
            // A change was refused; the order works on as it was.
            Ok(missing) if !missing.contains(&order_id) && !is_new => reject.into(),
            Ok(missing) if missing.contains(&order_id) => {
                match self.look_up(client, order_id, &reject.reason).await {
                    Ok(Alive::Over | Alive::Working) => reject.into(),
                    Err(lost) => lost.into(),
                }
            }
            Ok(_) => BrokerError::NoAnswer(format!(
                "refused ({}: {}), and yet among the open orders",
                reject.code, reject.reason
            )),
        }
    }

    /// The order in IB's words.
    pub(super) fn written(&self, request: &OrderRequest) -> Result<Written, Reject> {
        let unreadable = |reason: String| Reject { code: UNKNOWN_CONTRACT, reason };
        let mirror = self.mirror();
        let instrument = |conid: ConId| -> Result<&Instrument, Reject> {
            mirror.listing.instruments.get(&conid).ok_or_else(|| {
                unreadable(format!("contract {conid} is not among those the broker has described"))
            })
        };
        let (contract, sign, lots) = match request.legs.as_slice() {
            [] => return Err(unreadable("an order without a leg".to_owned())),
            [leg] => {
                (contracts::single(instrument(leg.conid)?), leg.ratio.signum(), leg.ratio.abs())
            }
            [first, ..] => {
                let symbol: Symbol = instrument(first.conid)?.symbol().clone();
                (contracts::combo(&symbol, &request.legs), 1, 1)
            }
        };
        let contract = contract
            .ok_or_else(|| unreadable("a leg has an id that is not the broker's".to_owned()))?;
        let action = if sign > 0 { Action::Buy } else { Action::Sell };
        let quantity = (request.quantity * lots) as f64;
        let mut order = match request.order_type {
            OrderType::Market => order_builder::market_order(action, quantity),
            OrderType::Limit(limit) => {
                // A price is per combo; of a lone leg, per share of that leg.
                let price = limit.to_f64() / lots as f64 * sign as f64;
                order_builder::limit_order(action, quantity, price)
            }
        };
        order.account.clone_from(&self.endpoint.account);
        order.order_ref = request.order_ref.to_string();
        order.tif = ibapi::orders::TimeInForce::Day;
        Ok(Written { contract, order })
    }
}

/// An order in IB's words.
pub(super) struct Written {
    pub contract: Contract,
    pub order: Order,
}

fn unknown(order_ref: &OrderRef) -> Reject {
    Reject { code: UNKNOWN_ORDER, reason: format!("order {order_ref} is not at the broker") }
}

fn elsewhere(order_ref: &OrderRef) -> Reject {
    Reject {
        code: UNKNOWN_ORDER,
        reason: format!(
            "order {order_ref} was sent under another client id: cancel it there or by hand"
        ),
    }
}
