//! One exchange, one account, and everybody who is connected to them.
//!
//! Invariants: a client id is held by one connection at a time; whatever the exchange reports goes
//! to whom it concerns in the order in which it happened; nothing here reads a clock.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{NaiveDate, TimeDelta};
use tokio::sync::{mpsc, watch};

use crate::exchange::{Exchange, ExchangeError};
use crate::market::{ConId, Instrument, Timestamp, Usd};

use super::away::Waits;
use super::calculations::Published;
use super::closes::Closes;
use super::event::Event;
use super::faults::Fault;
use super::feeds::Feeds;
use super::held::OwnNews;
use super::history_pacing::HistoryTraffic;
use super::keeping::Keeper;
use super::lines::Line;
use super::news::Fill;
use super::orders::Orders;
use super::positions::Believed;
use super::realised::Realised;
use super::request::Request;
use super::script::Happening;
use super::ticks::LineWanted;
use super::traffic::{Access, CLIENTS_MAX, Offences, Rules, STRIKES, Traffic};
use super::weather::Weather;

/// One connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct SeatId(u64);

/// What a connection has asked for.
pub(super) struct Seat {
    pub client_id: Option<i32>,
    pub outbox: mpsc::Sender<Event>,
    /// Says that it is given up.
    deaf: watch::Sender<bool>,
    /// Market data by request.
    pub lines: BTreeMap<i32, Line>,
    /// 1 live, 3 delayed; 1 until the client says otherwise.
    pub data_type: i32,
    pub wants_positions: bool,
    pub wants_account: bool,
    pub positions_told: Believed,
    pub portfolio_told: Believed,
    /// Orders placed by hand are bound to it as they come.
    pub binds: bool,
    pub feeds: Feeds,
    offences: Offences,
}

/// Why a connection is closed by the gateway.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Closing {
    #[error("client id {0} is in use")]
    ClientIdInUse(i32),
    #[error("{0} clients are connected, as many as IB takes")]
    TooManyClients(usize),
    #[error("the client does not read what it is sent: {0} messages wait")]
    Deaf(usize),
    #[error("the client sent too many messages a second, and once too often")]
    TooFast,
}

/// What a new client is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Greeting {
    Whole,
    WithoutIds,
}

/// Whether market data goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ticks {
    Told,
    Withheld,
}

/// Whether a message is dealt with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hearing {
    Heard,
    Dropped,
}

/// What ends a stream while another session of the user has the data.
pub(super) const COMPETING: (i32, &str) = (10_197, "No market data during competing live session");

/// Messages that may wait for a client before it is given up.
pub const OUTBOX: usize = 65_536;

/// The exchange with its account and clients.
pub struct House {
    pub(super) exchange: Exchange,
    pub(super) account: String,
    pub(super) seats: BTreeMap<SeatId, Seat>,
    pub(super) orders: Orders,
    pub(super) fills: Vec<Fill>,
    pub(super) rules: Rules,
    pub(super) keeper: Option<Keeper>,
    /// Why the state is not kept, though it should be.
    pub(super) forgetful: Option<String>,
    /// The market has ended, and everybody was told.
    pub(super) is_over: bool,
    /// What the script of faults holds now.
    pub(super) faults: BTreeSet<Fault>,
    pub(super) weather: Weather,
    /// What is told once it is kept.
    pub(super) held: Option<Vec<(SeatId, Event)>>,
    pub(super) own_news: OwnNews,
    /// What is answered once IB is back.
    pub(super) waiting: Vec<Waits>,
    /// Where time has come to, though the exchange may stand still.
    due: Timestamp,
    pub(super) closes: Closes,
    pub(super) published: Published,
    pub(super) realised: Vec<Realised>,
    /// What the executions have realised that are being told, by their names.
    pub(super) realised_news: BTreeMap<String, Usd>,
    /// The last close that has been noted, or that came before the house.
    pub(super) closed: Option<NaiveDate>,
    /// When the last message came, and when profits and the account were told last: the wall's
    /// seconds.
    pub(super) wall: f64,
    pub(super) profits_told_at: f64,
    pub(super) account_told_at: f64,
    pub(super) history_traffic: HistoryTraffic,
    traffic: Traffic,
    greeting: Greeting,
    ticks: Ticks,
    seated: u64,
    /// How many messages may wait for a client that comes from now on.
    pub(super) outbox: usize,
    /// Seats whose outbox was full.
    deaf: BTreeSet<SeatId>,
}

/// What IB says with "Read-Only API" ticked.
const READ_ONLY: &str =
    "Error validating request: cause - The API interface is currently in Read-Only mode.";

impl House {
    pub fn new(exchange: Exchange, rules: Rules) -> Self {
        let mut house = Self {
            account: exchange.config().account_id.clone(),
            seats: BTreeMap::new(),
            orders: Orders::default(),
            fills: Vec::new(),
            rules,
            keeper: None,
            forgetful: None,
            is_over: false,
            faults: BTreeSet::new(),
            weather: Weather::default(),
            held: None,
            own_news: OwnNews::default(),
            waiting: Vec::new(),
            due: exchange.now(),
            exchange,
            closes: Closes::default(),
            published: Published::default(),
            realised: Vec::new(),
            realised_news: BTreeMap::new(),
            closed: None,
            wall: 0.0,
            profits_told_at: 0.0,
            account_told_at: 0.0,
            history_traffic: HistoryTraffic::default(),
            traffic: Traffic::default(),
            greeting: Greeting::Whole,
            ticks: Ticks::Told,
            seated: 0,
            outbox: OUTBOX,
            deaf: BTreeSet::new(),
        };
        house.note_beginning();
        house
    }

    pub fn now(&self) -> Timestamp {
        self.exchange.now()
    }

    /// What the gateway's clock shows; a script may set it wrong.
    pub fn shown_now(&self) -> Timestamp {
        let skew = TimeDelta::microseconds((self.weather.skew() * 1e6) as i64);
        self.now().max(self.due) + skew
    }

    /// A new connection, not yet a client.
    pub fn seat(&mut self) -> (SeatId, mpsc::Receiver<Event>) {
        self.seated += 1;
        let (outbox, inbox) = mpsc::channel(self.outbox);
        let seat = Seat {
            client_id: None,
            outbox,
            deaf: watch::Sender::new(false),
            lines: BTreeMap::new(),
            data_type: 1,
            wants_positions: false,
            wants_account: false,
            positions_told: Believed::default(),
            portfolio_told: Believed::default(),
            binds: false,
            feeds: Feeds::default(),
            offences: Offences::default(),
        };
        self.seats.insert(SeatId(self.seated), seat);
        (SeatId(self.seated), inbox)
    }

    /// The connection is gone; its orders stay.
    pub fn leave(&mut self, seat: SeatId) {
        self.seats.remove(&seat);
        self.deaf.remove(&seat);
    }

    /// Changes to true when a seat is given up; `None` where it is none.
    pub fn deafness(&self, seat: SeatId) -> Option<watch::Receiver<bool>> {
        self.seats.get(&seat).map(|seat| seat.deaf.subscribe())
    }

    /// Seats whose outbox was full have missed something: they end, with their ids and lines.
    pub fn give_up_the_deaf(&mut self) {
        for deaf in std::mem::take(&mut self.deaf) {
            if let Some(seat) = self.seats.remove(&deaf) {
                seat.deaf.send_replace(true);
            }
        }
    }

    /// Moves the market on and tells everybody what came of it. While IB is out of reach nothing
    /// moves.
    pub fn advance_to(&mut self, at: Timestamp) -> Result<(), ExchangeError> {
        let at = self.no_later_than_the_end(at);
        self.due = at;
        if self.is_away() {
            return Ok(());
        }
        self.go_to(at)?;
        self.catch_up();
        self.tell_the_end();
        self.note_close();
        match self.ticks {
            Ticks::Told => self.tick(),
            Ticks::Withheld => {}
        }
        Ok(())
    }

    /// With a look at the held orders wherever one is due.
    pub(super) fn go_to(&mut self, at: Timestamp) -> Result<(), ExchangeError> {
        loop {
            let next = self.next_look(at);
            self.exchange.advance_to(next)?;
            self.report();
            if self.now() >= at {
                return Ok(());
            }
        }
    }

    /// How the house fares from now on, as a script of faults has it.
    pub fn set_weather(&mut self, greeting: Greeting, ticks: Ticks) {
        (self.greeting, self.ticks) = (greeting, ticks);
    }

    /// Tells every client, whatever it asked for.
    pub fn tell_all(&mut self, code: i32, message: &str) {
        for seat in self.seats_that(|seat| seat.client_id.is_some()) {
            self.error(seat, (-1, code), message);
        }
    }

    /// Another session takes the market data: every stream ends with its reason.
    pub fn end_streams(&mut self) {
        let lines: Vec<(SeatId, i32)> = self
            .seats
            .iter()
            .flat_map(|(id, seat)| {
                let bars = seat.feeds.five_seconds.keys().chain(seat.feeds.histories.keys());
                seat.lines.keys().chain(bars).map(|req_id| (*id, *req_id))
            })
            .collect();
        self.lose_streams();
        for (seat, req_id) in lines {
            self.error(seat, (req_id, COMPETING.0), COMPETING.1);
        }
    }

    /// Every stream of market data ends without a word to it.
    pub fn lose_streams(&mut self) {
        for seat in self.seats.values_mut() {
            seat.lines.clear();
            seat.feeds.five_seconds.clear();
            seat.feeds.histories.clear();
        }
    }

    /// Counts a message that has come at an instant of the wall, in seconds, and says whether it is
    /// to be heard. The third time that it is one too many closes the connection.
    pub fn admit(&mut self, seat: SeatId, at: f64) -> Result<Hearing, Closing> {
        self.wall = at;
        let Err(received) = self.traffic.admit(at, self.rules) else { return Ok(Hearing::Heard) };
        let most = self.rules.messages_a_second.unwrap_or_default();
        let offences = self.seats.get_mut(&seat).map_or(0, |seat| seat.offences.add(at));
        let said = format!(
            "Max rate of messages per second has been exceeded:max={most} rec={received} \
             ({offences})"
        );
        self.error(seat, (-1, 100), &said);
        let closes = offences >= STRIKES || self.faults.contains(&Fault::PacingDisconnect);
        if closes { Err(Closing::TooFast) } else { Ok(Hearing::Dropped) }
    }

    /// Does what a client asks. What it closes the connection for is the error.
    pub fn handle(&mut self, seat: SeatId, request: Request) -> Result<(), Closing> {
        match (request, self.client_of(seat)) {
            (Request::StartApi { client_id }, None) => self.start(seat, client_id)?,
            // Before a client has said who it is, TWS answers nothing.
            (Request::StartApi { .. }, Some(_)) | (_, None) => {}
            (request, Some(client_id)) => self.answer(seat, client_id, request),
        }
        self.report();
        if self.deaf.contains(&seat) { Err(Closing::Deaf(OUTBOX)) } else { Ok(()) }
    }

    pub(super) fn client_of(&self, seat: SeatId) -> Option<i32> {
        self.seats.get(&seat).and_then(|seat| seat.client_id)
    }

    fn start(&mut self, seat: SeatId, client_id: i32) -> Result<(), Closing> {
        let held = self.faults.contains(&Fault::ClientIdHeld) && self.weather.was_here(client_id);
        if held || self.seats.values().any(|other| other.client_id == Some(client_id)) {
            let said = "Unable to connect as the client id is already in use. Retry with a unique \
                        client id.";
            self.error(seat, (-1, 326), said);
            return Err(Closing::ClientIdInUse(client_id));
        }
        // That the client is told nothing is an assumption: IB says only how many it takes.
        if self.seats_that(|seat| seat.client_id.is_some()).len() >= CLIENTS_MAX {
            return Err(Closing::TooManyClients(CLIENTS_MAX));
        }
        if let Some(seat) = self.seats.get_mut(&seat) {
            seat.client_id = Some(client_id);
        }
        self.weather.welcomes(client_id);
        self.happens(Happening::Connection);
        self.send(seat, Event::ManagedAccounts { accounts: self.account.clone() });
        if self.greeting == Greeting::Whole {
            self.send(seat, Event::NextValidId { order_id: self.orders.next_id(client_id) });
        }
        self.tell_farms(seat);
        self.tell_the_end_to(seat);
        Ok(())
    }

    #[expect(clippy::too_many_lines, reason = "one arm a request: the list is what it is about")]
    fn answer(&mut self, seat: SeatId, client_id: i32, request: Request) {
        if self.rules.access == Access::ReadOnly
            && let Some(id) = request.touches_orders()
        {
            self.error(seat, (id, 321), READ_ONLY);
            return;
        }
        match request {
            Request::StartApi { .. } | Request::CancelContractDetails { .. } => {}
            Request::CancelAccountSummary { req_id } => {
                self.change(seat, |seat| drop(seat.feeds.summaries.remove(&req_id)));
            }
            Request::CancelAccountUpdatesMulti { req_id } => {
                self.change(seat, |seat| {
                    seat.feeds.accounts.remove(&req_id);
                });
            }
            Request::CancelPnl { req_id } | Request::CancelPnlSingle { req_id } => {
                self.change(seat, |seat| drop(seat.feeds.profits.remove(&req_id)));
            }
            Request::CancelHistory { req_id } => self.cancel_history(seat, req_id),
            Request::NextId => {
                let order_id = self.orders.next_id(client_id);
                self.send(seat, Event::NextValidId { order_id });
            }
            Request::ManagedAccounts => {
                self.send(seat, Event::ManagedAccounts { accounts: self.account.clone() });
            }
            Request::CurrentTime => {
                self.send(seat, Event::CurrentTime { seconds: self.shown_now().timestamp() });
            }
            Request::CurrentTimeMillis => {
                let millis = self.shown_now().timestamp_millis();
                self.send(seat, Event::CurrentTimeMillis { millis });
            }
            Request::ContractDetails { req_id, contract } if self.has_no_farms() => {
                self.wait(Waits::Details(seat, req_id, contract));
            }
            Request::ContractDetails { req_id, contract } => {
                self.contract_details(seat, req_id, &contract);
            }
            // TWS has nothing to list where an exchange is named and the underlying is no future.
            Request::OptionParameters { req_id, exchange, .. } if !exchange.is_empty() => {
                self.send(seat, Event::OptionParametersEnd { req_id });
            }
            Request::OptionParameters { req_id, symbol, con_id, .. } => {
                self.option_parameters(seat, req_id, (&symbol, con_id));
            }
            Request::MarketData { req_id, contract, kind, generic_ticks } => {
                let contract = &contract;
                let wanted = LineWanted { contract, generic_ticks: &generic_ticks, kind };
                self.market_data(seat, req_id, &wanted);
            }
            Request::CancelMarketData { req_id } => {
                self.change(seat, |seat| drop(seat.lines.remove(&req_id)));
            }
            Request::MarketDataType { kind: kind @ 1..=4 } => {
                self.change(seat, |seat| seat.data_type = kind);
            }
            Request::MarketDataType { kind } => {
                let said = format!("Error validating request: no market data type {kind}");
                self.error(seat, (-1, 321), &said);
            }
            Request::Positions => self.positions(seat),
            Request::CancelPositions => self.change(seat, |seat| seat.wants_positions = false),
            Request::AccountSummary { req_id, group, tags } => {
                self.summary(seat, req_id, (&group, &tags));
            }
            Request::AccountUpdates { subscription, account } => {
                self.account_updates(seat, subscription, &account);
            }
            Request::AccountUpdatesMulti { req_id, account, .. } => {
                self.account_multi(seat, req_id, &account);
            }
            Request::Pnl { req_id, account } => self.profit(seat, req_id, (&account, None)),
            Request::PnlSingle { req_id, account, con_id } => {
                self.profit(seat, req_id, (&account, Some(con_id)));
            }
            Request::PlaceOrder { order_id, contract, order } => {
                self.place(seat, (client_id, order_id), (*contract, *order));
            }
            Request::CancelOrder { order_id } => self.cancel(seat, client_id, order_id),
            Request::AutoOpenOrders { binding } => self.bind_from_now(seat, client_id, binding),
            Request::GlobalCancel => self.cancel_all(),
            Request::OpenOrders => self.open_orders(seat, Some(client_id)),
            Request::AllOpenOrders => self.open_orders(seat, None),
            Request::CompletedOrders { from } => self.completed_orders(seat, from),
            Request::Executions { req_id, filter } => self.executions(seat, req_id, &filter),
            Request::History { req_id, wanted } => self.history(seat, req_id, &wanted),
            Request::Data(request) => self.data(seat, request),
            Request::Unanswered { message_id } => {
                let said = format!(
                    "Error validating request: this gateway does not simulate message {message_id}"
                );
                self.error(seat, (-1, 321), &said);
            }
        }
    }

    pub(super) fn change(&mut self, seat: SeatId, change: impl FnOnce(&mut Seat)) {
        if let Some(seat) = self.seats.get_mut(&seat) {
            change(seat);
        }
    }

    /// An error or a notice. `id` is the request's or the order's, or -1.
    pub(super) fn error(&mut self, seat: SeatId, (id, code): (i32, i32), message: &str) {
        let at_millis = self.now().timestamp_millis();
        self.send(seat, Event::Error { id, code, message: message.to_owned(), at_millis });
    }

    pub(super) fn send(&mut self, to: SeatId, event: Event) {
        if let Some(held) = &mut self.held {
            held.push((to, event));
            return;
        }
        let Some(seat) = self.seats.get(&to) else { return };
        if seat.outbox.try_send(event).is_err() {
            self.deaf.insert(to);
        }
    }

    /// The seats for which something holds.
    pub(super) fn seats_that(&self, holds: impl Fn(&Seat) -> bool) -> Vec<SeatId> {
        self.seats.iter().filter(|(_, seat)| holds(seat)).map(|(id, _)| *id).collect()
    }

    pub(super) fn instrument(&self, conid: ConId) -> Option<Instrument> {
        self.exchange.source().contract(conid)
    }
}
