//! One session with the broker: what is unknown is asked for first, then orders, quotes and the
//! heartbeat run side by side until one of them finds the connection lost.

use chrono::TimeDelta;
use futures::FutureExt as _;
use futures::StreamExt as _;
use ibapi::Notice;
use ibapi::orders::{ExecutionData, OrderUpdate};
use ibapi::prelude::{Client, NoticeStream, Subscription, SubscriptionItem};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::broker::{BrokerError, BrokerEvent, Gap, Stream};
use crate::market::clock::Stopwatch;

use super::book::Heard;
use super::codes::{OnConnection, OnOrder, OnStream, ToOperator, is_read_only, policy};
use super::interruptions::Cause;
use super::link::{Command, Link, Lost};
use super::mirror::Standing;
use super::pacing::Priority;
use super::probe::skew;

/// Readings of the account that executions overtook are made again, so often at most.
const READINGS: usize = 5;

/// An account reading is made anew after this, on the desk's clock, though nothing was executed:
/// marks move it too.
const READ_AGAIN_AFTER: TimeDelta = TimeDelta::seconds(60);

/// What the operator is told where it does.
pub const READ_ONLY: &str = "the broker is set to \"Read-Only API\" and neither takes nor tells \
                             orders: untick it in Configure > Settings > API > Settings";

/// The stream of everything that happens to orders.
pub type Updates = Subscription<OrderUpdate>;

/// How a stage of a session ended.
enum Stage {
    Lost(Lost),
    /// The socket lives, but streams or events were lost: all is asked for again.
    Restored,
}

impl Link {
    /// Runs until the connection is lost or nobody commands any more.
    pub async fn session(&self, client: &Client, commands: &mut mpsc::Receiver<Command>) -> Lost {
        let accounts = client.handshake_managed_accounts();
        if !accounts.contains(&self.endpoint.account) {
            return Lost(format!(
                "the broker has account {}, and the settings name {}",
                accounts.join(", "),
                self.endpoint.account
            ));
        }
        if let Err(lost) = self.compare_clocks(client).await {
            return lost;
        }
        let mut updates = match self.bounded("order updates", client.order_update_stream()).await {
            Ok(updates) => updates,
            Err(lost) => return lost,
        };
        let mut notices = match client.notice_stream() {
            Ok(notices) => notices,
            Err(error) => return Lost(format!("no notices: {error}")),
        };
        let quotes = std::pin::pin!(self.quote(client));
        let listing = std::pin::pin!(self.keep_listing(client));
        let bars = std::pin::pin!(self.keep_bars(client));
        let stages = async {
            loop {
                let stage = self.stage(client, &mut updates, (&mut notices, commands));
                match Box::pin(stage).await {
                    Stage::Lost(lost) => return lost,
                    Stage::Restored => tracing::info!("broker: restored, all is asked again"),
                }
            }
        };
        let lost = tokio::select! {
            lost = quotes => lost,
            lost = listing => lost,
            lost = bars => lost,
            lost = stages => lost,
        };
        // Before the open lines are dropped: a hundred cancels at once would break the broker's
        // rule, and a socket that is closed needs none.
        client.disconnect().await;
        lost
    }

    /// A clock that is wrong makes every age and every session wrong: nothing is traded by it.
    async fn compare_clocks(&self, client: &Client) -> Result<(), Lost> {
        let Some(most) = self.bounds.skew else { return Ok(()) };
        let skew = self.bounded("the time", skew(client, self.clock.as_ref())).await?;
        if skew.abs() <= most {
            return Ok(());
        }
        Err(Lost(format!(
            "the broker's clock is {:+.1} s from this machine's; set both by NTP",
            skew.num_milliseconds() as f64 / 1e3
        )))
    }

    async fn stage(
        &self,
        client: &Client,
        updates: &mut Updates,
        (notices, commands): (&mut NoticeStream, &mut mpsc::Receiver<Command>),
    ) -> Stage {
        let mut early = Vec::new();
        let caught_up = tokio::select! {
            biased;
            lost = read_only(notices, &mut early) => Err(lost),
            caught_up = self.catch_up(client, updates) => caught_up,
        };
        if let Err(lost) = caught_up {
            return Stage::Lost(lost);
        }
        self.arrive();
        for notice in early {
            if let Some(stage) = self.take_notice(&notice) {
                return stage;
            }
        }
        tokio::select! {
            lost = self.trade(client, updates, commands) => Stage::Lost(lost),
            stage = self.listen(notices) => stage,
            lost = self.beat(client) => Stage::Lost(lost),
        }
    }

    /// The broker answers, and all that it did meanwhile is known: the time without it is a gap,
    /// unless it is the time before the first connection.
    fn arrive(&self) {
        let until = self.clock.now();
        let mut mirror = self.mirror();
        mirror.arrivals += 1;
        let before = std::mem::replace(&mut mirror.standing, Standing::Connected);
        if let Standing::Away(from, reason) = before {
            mirror.sealed.push(BrokerEvent::Gap(Gap { stream: Stream::All, from, until, reason }));
        }
    }

    /// Open orders, executions and the account: all that may have happened unseen, before anything
    /// is sent.
    async fn catch_up(&self, client: &Client, updates: &mut Updates) -> Result<(), Lost> {
        self.ask_what_was_missed(client).await?;
        self.read(client, updates).await?;
        self.seal();
        Ok(())
    }

    /// Takes in what has come and gives it out together with an account that belongs to it: one
    /// that was read after the last execution, and not long ago.
    pub async fn settle(&self, client: &Client, updates: &mut Updates) -> Result<(), Lost> {
        self.drain(client, updates).await?;
        let level = {
            let mirror = self.mirror();
            let age = mirror.account.as_ref().map(|account| self.clock.now() - account.at);
            mirror.read_after == Some(mirror.book.executions())
                && age.is_some_and(|age| age < READ_AGAIN_AFTER)
        };
        if !level {
            // What IB does by itself, it may tell nobody who does not ask; a position that has
            // moved so must not be seen without its execution.
            self.ask_executions(client).await?;
            self.read(client, updates).await?;
        }
        self.seal();
        Ok(())
    }

    /// What waits in the stream of orders.
    async fn drain(&self, client: &Client, updates: &mut Updates) -> Result<(), Lost> {
        while let Some(item) = updates.next().now_or_never() {
            self.hear(client, item).await?;
        }
        Ok(())
    }

    /// Reads account and positions until no execution overtakes them.
    async fn read(&self, client: &Client, updates: &mut Updates) -> Result<(), Lost> {
        for _ in 0..READINGS {
            let before = self.mirror().book.executions();
            self.read_positions(client).await?;
            self.read_account(client).await?;
            // What was written to the socket before those answers waits in our stream by now.
            self.drain(client, updates).await?;
            let mut mirror = self.mirror();
            if mirror.book.executions() == before {
                mirror.read_after = Some(before);
                break;
            }
        }
        Ok(())
    }

    /// Gives out the events that belong to the account as it stands.
    pub fn seal(&self) {
        let mut mirror = self.mirror();
        let events = mirror.book.take_events();
        mirror.sealed.extend(events);
    }

    /// A login may have several accounts, and tells what is executed in any of them.
    pub fn is_ours(&self, data: &ExecutionData) -> bool {
        data.execution.account_number == self.endpoint.account
    }

    /// One item of the stream of order updates.
    pub async fn hear(
        &self,
        client: &Client,
        item: Option<Result<SubscriptionItem<OrderUpdate>, ibapi::Error>>,
    ) -> Result<(), Lost> {
        let Some(item) = item else { return Err(Lost("the stream of orders ended".to_owned())) };
        let item = item.map_err(|error| Lost(format!("the stream of orders broke: {error}")))?;
        let now = self.clock.now();
        match item {
            SubscriptionItem::Data(OrderUpdate::OpenOrder(data)) => {
                self.mirror().book.hear_open(&data);
            }
            SubscriptionItem::Data(OrderUpdate::OrderStatus(status)) => {
                if status.client_id != self.endpoint.client_id {
                    return Ok(());
                }
                let heard = self.mirror().book.hear_status(&status, now);
                if let Heard::Doubtful(order_id) = heard {
                    self.look_up(client, order_id, "inactive at the broker").await?;
                }
            }
            SubscriptionItem::Data(OrderUpdate::ExecutionData(data)) => {
                if self.is_ours(&data) {
                    self.mirror().book.hear_execution(&data, now);
                }
            }
            SubscriptionItem::Data(OrderUpdate::CommissionReport(report)) => {
                self.mirror().book.hear_commission(&report, now);
            }
            SubscriptionItem::Data(OrderUpdate::OrderBound(_)) => {}
            SubscriptionItem::Notice(notice) => self.hear_notice(client, &notice).await?,
        }
        Ok(())
    }

    /// A message about an order. Only one that can mean its end is followed up.
    async fn hear_notice(&self, client: &Client, notice: &Notice) -> Result<(), Lost> {
        if policy(notice.code).stream == OnStream::Missed {
            tracing::warn!(broker.code = notice.code, "{}", notice.message);
            return self.ask_what_was_missed(client).await;
        }
        let Some(order_id) = notice.request_id else { return Ok(()) };
        let said = format!("{} {}", notice.code, notice.message);
        match policy(notice.code).order {
            OnOrder::Nothing => Ok(()),
            OnOrder::Refused | OnOrder::AlreadyOver => {
                self.look_up(client, order_id, &said).await.map(|_| ())
            }
        }
    }

    /// Whether an order still lives: the open orders and the executions decide. Its end is told
    /// with the broker's words.
    pub async fn look_up(&self, client: &Client, order_id: i32, said: &str) -> Result<Alive, Lost> {
        match self.mirror().book.has_ended(order_id) {
            None | Some(true) => return Ok(Alive::Over),
            Some(false) => {}
        }
        let missing = self.ask_open_orders(client).await?;
        if !missing.contains(&order_id) {
            return Ok(Alive::Working);
        }
        self.ask_executions(client).await?;
        let now = self.clock.now();
        self.mirror().book.hear_refusal(order_id, said, now);
        Ok(Alive::Over)
    }

    /// What the broker says of itself.
    async fn listen(&self, notices: &mut NoticeStream) -> Stage {
        while let Some(notice) = notices.next().await {
            if let Some(stage) = self.take_notice(&notice) {
                return stage;
            }
        }
        Stage::Lost(Lost("the connection is closed".to_owned()))
    }

    /// One message of the broker's on itself; what it ends, where it ends something.
    fn take_notice(&self, notice: &Notice) -> Option<Stage> {
        let line = policy(notice.code);
        let said = &notice.message;
        match line.operator {
            ToOperator::Nothing => tracing::debug!(broker.code = notice.code, "{said}"),
            ToOperator::Note => tracing::info!(broker.code = notice.code, "{said}"),
            ToOperator::Warning => tracing::warn!(broker.code = notice.code, "{said}"),
        }
        match line.connection {
            OnConnection::Lost => {
                self.lose(&Lost(said.clone()));
                None
            }
            OnConnection::RestoredWithoutStreams => {
                self.mirror().epoch += 1;
                Some(Stage::Restored)
            }
            OnConnection::Restored => Some(Stage::Restored),
            OnConnection::Closing => Some(Stage::Lost(Lost(said.clone()))),
            OnConnection::TooFast => {
                self.pacer.offended();
                None
            }
            OnConnection::DataInterrupted => {
                self.interrupted(Cause::farm_of(said), said);
                None
            }
            OnConnection::DataRestored => {
                self.resumed(&Cause::farm_of(said));
                None
            }
            OnConnection::Nothing => None,
        }
    }

    /// A socket that is half open says nothing: it is asked. A refusal is an answer too: a message
    /// too many, and the crate ends whatever waits for one. A gateway that answers for so long
    /// without having said that IB is back may have said it unheard: it is connected to anew, and
    /// says again that IB is away if so (assumed, and that its readings fail until then).
    async fn beat(&self, client: &Client) -> Lost {
        let mut away: Option<Stopwatch> = None;
        loop {
            tokio::time::sleep(self.bounds.heartbeat).await;
            self.pacer.leave(Priority::Orders).await;
            let told = async {
                match client.server_time().await {
                    Ok(_) | Err(ibapi::Error::Notice(_)) => Ok(()),
                    Err(error) => Err(error),
                }
            };
            if let Err(lost) = self.bounded("a heartbeat", told).await {
                return lost;
            }
            let is_away = self.mirror().standing != Standing::Connected;
            away = is_away.then(|| away.unwrap_or_else(Stopwatch::start));
            if away.is_some_and(|since| since.elapsed() >= self.bounds.away) {
                return Lost("IB stays out of reach though the gateway answers".to_owned());
            }
        }
    }

    /// An answer within the bound, or the connection counts as lost.
    pub async fn bounded<T>(
        &self,
        what: &str,
        asked: impl Future<Output = Result<T, ibapi::Error>>,
    ) -> Result<T, Lost> {
        match timeout(self.bounds.answer, asked).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(Lost(format!("asked for {what}: {error}"))),
            Err(_) => Err(Lost(format!(
                "asked for {what}: no answer within {} s",
                self.bounds.answer.as_secs()
            ))),
        }
    }
}

/// Ends once the broker says that it is read-only; what else it says meanwhile is kept.
async fn read_only(notices: &mut NoticeStream, early: &mut Vec<Notice>) -> Lost {
    while let Some(notice) = notices.next().await {
        if is_read_only(notice.code, &notice.message) {
            return Lost(READ_ONLY.to_owned());
        }
        early.push(notice);
    }
    Lost("the connection is closed".to_owned())
}

/// What became of an order that was looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alive {
    Working,
    Over,
}

impl From<Lost> for BrokerError {
    fn from(lost: Lost) -> Self {
        Self::NoAnswer(lost.0)
    }
}
