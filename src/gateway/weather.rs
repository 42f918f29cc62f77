//! What a script of faults does to the house: what holds, what is told of it, and what it breaks.
//!
//! The house reads no clock: it is told the second of the wall with every turn. What has passed is
//! passed once.

use std::collections::BTreeSet;

use tokio::sync::watch;

use super::event::Event;
use super::faults::{Edge, FARMS_BROKEN, FARMS_OK, Fault, LOST, notices};
use super::house::{Greeting, House, SeatId, Ticks};
use super::script::{Happening, History, Mark, Script};

/// How much later than the one before it each leg of a fill is told where they are told apart,
/// seconds of the wall.
const LEGS_APART: f64 = 0.5;

/// A script, and how far it has come.
#[derive(Debug, Default)]
pub struct Weather {
    script: Script,
    history: History,
    /// The newest second of the wall that is known.
    at: f64,
    passed: BTreeSet<Mark>,
    /// A position is to be closed by force as soon as there is one that can be.
    liquidates: bool,
    /// The newest trade is to be broken, once IB is in reach.
    breaks: bool,
    /// Clients that have been welcomed, where the script holds their ids later.
    welcomed: BTreeSet<i32>,
    /// Counts how often the script has closed all connections.
    closings: watch::Sender<u64>,
    /// What is told later: when, to whom, what.
    late: Vec<(f64, SeatId, Event)>,
}

impl Weather {
    pub fn under(script: Script) -> Self {
        Self { script, ..Self::default() }
    }

    /// Until when a fault holds, where it does. Seconds of the wall.
    pub fn until(&self, fault: Fault, at: f64) -> Option<f64> {
        self.script.holds(fault, &self.history, at)
    }

    /// Changes when the script closes all connections: nothing is written to them from then on.
    pub fn closings(&self) -> watch::Receiver<u64> {
        self.closings.subscribe()
    }

    /// How far the clock is told wrong, seconds.
    pub fn skew(&self) -> f64 {
        self.script.skew(&self.history, self.at)
    }

    pub fn welcomes(&mut self, client_id: i32) {
        if self.script.has(Fault::ClientIdHeld) {
            self.welcomed.insert(client_id);
        }
    }

    pub fn was_here(&self, client_id: i32) -> bool {
        self.welcomed.contains(&client_id)
    }

    fn holding(&self) -> BTreeSet<Fault> {
        let holds = |fault: &Fault| self.until(*fault, self.at).is_some();
        Fault::ALL.into_iter().filter(holds).collect()
    }
}

impl House {
    /// Time has come to a second of the wall: what a script begins and ends up to there passes.
    pub fn turn(&mut self, at: f64) {
        self.weather.at = self.weather.at.max(at);
        self.see();
        self.pass_all();
        if self.weather.breaks && !self.is_away() {
            self.weather.breaks = false;
            self.break_trade();
        }
        if self.weather.liquidates && !self.is_away() && self.exchange.liquidate_short_option() {
            self.weather.liquidates = false;
        }
        self.report();
        self.tell_late();
    }

    fn pass_all(&mut self) {
        for mark in self.weather.script.passed(&self.weather.history, self.weather.at) {
            if !self.weather.passed.insert(mark) {
                continue;
            }
            tracing::info!(fault = ?mark.fault, edge = ?mark.edge, "fault");
            if mark.edge == Edge::Begins && mark.fault.closes_connections() {
                self.weather.closings.send_modify(|count| *count += 1);
            }
            self.pass(mark);
        }
    }

    /// Something happens that a script may wait for: what it begins holds at once, before anybody
    /// is told.
    pub(super) fn happens(&mut self, what: Happening) {
        if self.weather.script.awaits(what, &self.weather.history) {
            let at = self.weather.at;
            self.weather.history.add(what, at);
            self.see();
            self.pass_all();
        }
    }

    /// How the house fares now.
    fn see(&mut self) {
        self.faults = self.weather.holding();
        let holds = |fault| self.faults.contains(&fault);
        let greeting =
            if holds(Fault::HandshakeWithoutIds) { Greeting::WithoutIds } else { Greeting::Whole };
        let withheld = [Fault::StaleData, Fault::FarmDown, Fault::FarmsDown];
        let ticks = if withheld.into_iter().any(holds) { Ticks::Withheld } else { Ticks::Told };
        let at_most = holds(Fault::PartialComboFill).then_some(1);
        self.set_weather(greeting, ticks);
        self.exchange.fill_combos_at_most(at_most);
    }

    fn pass(&mut self, mark: Mark) {
        match (mark.fault, mark.edge) {
            (Fault::ConnectivityAndDataLost, Edge::Ends) => self.lose_streams(),
            (Fault::CompetingSession, Edge::Begins) => self.end_streams(),
            (Fault::Liquidation, edge) => self.weather.liquidates = edge == Edge::Begins,
            (Fault::Bust, Edge::Begins) if self.is_away() => self.weather.breaks = true,
            (Fault::Bust, Edge::Begins) => self.break_trade(),
            (Fault::ManualOrder, Edge::Begins) => {
                if let Some(order) = self.weather.script.order_of(mark).cloned() {
                    self.place_by_hand(&order);
                }
            }
            _ => {}
        }
        for (code, message) in notices(mark.fault, mark.edge) {
            self.tell_all(*code, message);
        }
    }

    fn break_trade(&mut self) {
        if self.exchange.break_last_trade().is_none() {
            tracing::warn!("there is no trade that can be broken");
        }
    }

    /// What a client is told of farms and of IB when it is welcomed.
    pub(super) fn tell_farms(&mut self, seat: SeatId) {
        let all_down = self.faults.contains(&Fault::FarmsDown);
        let one_down = self.faults.contains(&Fault::FarmDown);
        for (place, (ok, broken)) in FARMS_OK.into_iter().zip(FARMS_BROKEN).enumerate() {
            let down = all_down || (one_down && place == 0);
            let (code, said) = if down { broken } else { ok };
            self.error(seat, (-1, code), said);
        }
        if self.is_away() {
            for (code, said) in LOST {
                self.error(seat, (-1, code), said);
            }
        }
    }

    /// News as a faulty gateway tells it; what it tells later is put aside.
    pub(super) fn distorted(&mut self, mut news: Vec<(SeatId, Event)>) -> Vec<(SeatId, Event)> {
        let holds = |fault| self.faults.contains(&fault);
        if holds(Fault::ExecutionsWithheld) {
            news.retain(|(_, event)| !is_execution(event));
        }
        if holds(Fault::OrderNewsLost) {
            news.retain(|(_, event)| !is_order(event));
        }
        if holds(Fault::ExecutionBeforeOpenOrder) {
            let filled = filled_orders(&news);
            news.retain(|(_, event)| !is_order(event) || is_of(event, &filled));
        }
        if holds(Fault::NewsBackwards) {
            news.reverse();
        }
        if holds(Fault::NewsTwice) {
            news = news.into_iter().flat_map(|one| [one.clone(), one]).collect();
        }
        if holds(Fault::LegsApart) {
            let at = self.weather.at;
            let mut told = Vec::new();
            for (rank, (seat, event)) in ranked(news) {
                if rank == 0 {
                    told.push((seat, event));
                } else {
                    self.weather.late.push((at + LEGS_APART * f64::from(rank), seat, event));
                }
            }
            return told;
        }
        news
    }

    fn tell_late(&mut self) {
        let at = self.weather.at;
        let (due, rest) = std::mem::take(&mut self.weather.late)
            .into_iter()
            .partition(|(when, _, _)| *when <= at);
        self.weather.late = rest;
        let due: Vec<(f64, SeatId, Event)> = due;
        for (_, seat, event) in due {
            self.send(seat, event);
        }
    }
}

fn is_execution(event: &Event) -> bool {
    matches!(event, Event::Execution { .. } | Event::Commission { .. })
}

fn is_order(event: &Event) -> bool {
    matches!(event, Event::OpenOrder(_) | Event::OrderStatus(_))
}

/// Permanent ids of the orders whose news says that something is filled.
fn filled_orders(news: &[(SeatId, Event)]) -> BTreeSet<i64> {
    let filled = news.iter().filter_map(|(_, event)| {
        let Event::OrderStatus(status) = event else { return None };
        (!status.filled.is_zero()).then_some(status.perm_id)
    });
    filled.collect()
}

/// Whether news of an order is about one of these.
fn is_of(event: &Event, orders: &BTreeSet<i64>) -> bool {
    if let Event::OpenOrder(view) = event {
        return orders.contains(&view.order.perm_id);
    }
    matches!(event, Event::OrderStatus(status) if orders.contains(&status.perm_id))
}

/// Each piece of news with the number of its execution among those told to the same seat; 0 for
/// what is no execution, and for the first.
fn ranked(news: Vec<(SeatId, Event)>) -> Vec<(u32, (SeatId, Event))> {
    let mut ids: Vec<(SeatId, String)> = Vec::new();
    let mut rank_of = |seat: SeatId, id: &str| {
        let known = ids.iter().position(|(to, told)| *to == seat && told == id);
        let place = known.unwrap_or_else(|| {
            ids.push((seat, id.to_owned()));
            ids.len() - 1
        });
        ids.iter().take(place).filter(|(to, _)| *to == seat).count() as u32
    };
    news.into_iter()
        .map(|(seat, event)| {
            let rank = if let Event::Execution { execution, .. } = &event {
                rank_of(seat, &execution.exec_id)
            } else if let Event::Commission { exec_id, .. } = &event {
                rank_of(seat, exec_id)
            } else {
                0
            };
            (rank, (seat, event))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_execution_has_its_rank_among_those_of_its_reader() {
        let seats = [SeatId::default(), SeatId::default()];
        let told =
            |id: &str| Event::Commission { exec_id: id.to_owned(), amount: 1.0, realised: None };
        let news = ["a", "b", "a", "c"].map(|id| (seats[0], told(id)));
        let ranks: Vec<u32> = ranked(news.to_vec()).into_iter().map(|(rank, _)| rank).collect();
        assert_eq!(ranks, [0, 1, 0, 2]);
        assert!(ranked(vec![(seats[1], Event::OpenOrderEnd)]).iter().all(|(rank, _)| *rank == 0));
    }
}
