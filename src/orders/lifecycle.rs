//! The life of an order: which state may follow which.
//!
//! proposed -> approved or denied -> sent -> working -> filled, cancelled, rejected; what is
//! approved, sent or working may become unknown where the answer was lost. Invariants: only the
//! broker's events end a sent order; an order leaves once, and one whose fate is unknown is never
//! sent again, it is only found out; what was filled never falls; a final state never changes. The
//! same event twice is the same state once. A broker's event may overtake the note that the order
//! was sent.
//!
//! What it deliberately does not do: store anything, or decide what to do about an unknown order.

use crate::structures::{BrokerStatus, OrderEvent, OrderState};

/// What may happen to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    /// The gate's verdict.
    Approved,
    Denied,
    /// Handed to the broker.
    Sent,
    /// Approved and never sent: declined, or its time ran out.
    Withdrawn,
    /// The broker refused it at once: it never worked.
    Refused,
    /// The broker's report; combos filled so far.
    Broker {
        status: BrokerStatus,
        filled: i64,
    },
    /// The connection was lost before the broker's answer.
    OutcomeUnknown,
    /// The broker, asked, knows nothing of it, and its executions hold none of it.
    NotAtBroker,
}

impl From<&OrderEvent> for Happening {
    fn from(event: &OrderEvent) -> Self {
        Self::Broker { status: event.status, filled: event.filled }
    }
}

/// The move is not one that an order can make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IllegalMove {
    #[error("an order that is {} cannot take {happening:?}", from.as_str())]
    NoSuchMove { from: OrderState, happening: Happening },
    #[error("{filled} combos filled after {before} of {quantity}")]
    ImpossibleFill { filled: i64, before: i64, quantity: i64 },
}

/// Whether a happening changed anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    Changed,
    /// Heard before, or late: nothing new.
    Same,
}

/// One order's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderLife {
    state: OrderState,
    /// Combos.
    quantity: i64,
    filled: i64,
}

impl OrderLife {
    pub fn proposed(quantity: i64) -> Self {
        Self { state: OrderState::Proposed, quantity, filled: 0 }
    }

    /// As the journal stored it.
    pub fn restored(state: OrderState, quantity: i64, filled: i64) -> Self {
        Self { state, quantity, filled }
    }

    pub fn state(&self) -> OrderState {
        self.state
    }

    pub fn filled(&self) -> i64 {
        self.filled
    }

    /// Takes one happening. On an error nothing changes.
    pub fn apply(&mut self, happening: Happening) -> Result<Progress, IllegalMove> {
        let next = match happening {
            Happening::Broker { status, filled } => return self.hear(happening, status, filled),
            Happening::Approved => self.only_from(OrderState::Proposed, OrderState::Approved),
            Happening::Denied => self.only_from(OrderState::Proposed, OrderState::Denied),
            Happening::Sent => match self.state {
                OrderState::Approved => Some(OrderState::Sent),
                // The broker's event was quicker than the note.
                OrderState::Working => Some(OrderState::Working),
                OrderState::Proposed
                | OrderState::Denied
                | OrderState::Sent
                | OrderState::Filled
                | OrderState::Cancelled
                | OrderState::Rejected
                | OrderState::Unknown => None,
            },
            Happening::Withdrawn => self.exactly_from(OrderState::Approved, OrderState::Cancelled),
            Happening::Refused => self.exactly_from(OrderState::Approved, OrderState::Rejected),
            Happening::NotAtBroker => self.exactly_from(OrderState::Unknown, OrderState::Cancelled),
            Happening::OutcomeUnknown => match self.state {
                OrderState::Approved
                | OrderState::Sent
                | OrderState::Working
                | OrderState::Unknown => Some(OrderState::Unknown),
                OrderState::Proposed
                | OrderState::Denied
                | OrderState::Filled
                | OrderState::Cancelled
                | OrderState::Rejected => None,
            },
        };
        let next = next.ok_or(IllegalMove::NoSuchMove { from: self.state, happening })?;
        Ok(self.enter(next))
    }

    fn only_from(&self, from: OrderState, to: OrderState) -> Option<OrderState> {
        (self.state == from || self.state == to).then_some(to)
    }

    fn exactly_from(&self, from: OrderState, to: OrderState) -> Option<OrderState> {
        (self.state == from).then_some(to)
    }

    fn enter(&mut self, next: OrderState) -> Progress {
        if self.state == next {
            return Progress::Same;
        }
        self.state = next;
        Progress::Changed
    }

    fn hear(
        &mut self,
        happening: Happening,
        status: BrokerStatus,
        filled: i64,
    ) -> Result<Progress, IllegalMove> {
        if filled < 0 || filled > self.quantity {
            let (before, quantity) = (self.filled, self.quantity);
            return Err(IllegalMove::ImpossibleFill { filled, before, quantity });
        }
        let next = match (self.state, status) {
            (OrderState::Proposed | OrderState::Denied, _) => {
                return Err(IllegalMove::NoSuchMove { from: self.state, happening });
            }
            (OrderState::Filled | OrderState::Cancelled | OrderState::Rejected, _) => {
                return self.hear_after_the_end(happening, status, filled);
            }
            (_, BrokerStatus::Working) => OrderState::Working,
            (_, BrokerStatus::Filled) => OrderState::Filled,
            (_, BrokerStatus::Cancelled) => OrderState::Cancelled,
            (_, BrokerStatus::Rejected) => OrderState::Rejected,
        };
        if next == OrderState::Filled && filled != self.quantity {
            let (before, quantity) = (self.filled, self.quantity);
            return Err(IllegalMove::ImpossibleFill { filled, before, quantity });
        }
        let more = filled > self.filled;
        self.filled = self.filled.max(filled);
        let entered = self.enter(next);
        Ok(if more { Progress::Changed } else { entered })
    }

    /// After the end a repetition or a late report of less is nothing new; anything else is wrong.
    fn hear_after_the_end(
        &self,
        happening: Happening,
        status: BrokerStatus,
        filled: i64,
    ) -> Result<Progress, IllegalMove> {
        let repeats = match (self.state, status) {
            (OrderState::Filled, BrokerStatus::Filled)
            | (OrderState::Cancelled, BrokerStatus::Cancelled)
            | (OrderState::Rejected, BrokerStatus::Rejected)
            | (_, BrokerStatus::Working) => filled <= self.filled,
            (_, BrokerStatus::Filled | BrokerStatus::Cancelled | BrokerStatus::Rejected) => false,
        };
        if repeats {
            Ok(Progress::Same)
        } else {
            Err(IllegalMove::NoSuchMove { from: self.state, happening })
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn broker(status: BrokerStatus, filled: i64) -> Happening {
        Happening::Broker { status, filled }
    }

    fn sent(quantity: i64) -> OrderLife {
        let mut life = OrderLife::proposed(quantity);
        life.apply(Happening::Approved).unwrap();
        life.apply(Happening::Sent).unwrap();
        life
    }

    #[test]
    fn an_order_lives_and_fills() {
        let mut life = sent(4);
        assert_eq!(life.apply(broker(BrokerStatus::Working, 0)), Ok(Progress::Changed));
        assert_eq!(life.apply(broker(BrokerStatus::Working, 1)), Ok(Progress::Changed));
        assert_eq!(life.apply(broker(BrokerStatus::Working, 1)), Ok(Progress::Same));
        assert_eq!(life.apply(broker(BrokerStatus::Filled, 4)), Ok(Progress::Changed));
        assert_eq!(life.apply(broker(BrokerStatus::Working, 2)), Ok(Progress::Same));
        assert!(life.apply(broker(BrokerStatus::Cancelled, 4)).is_err());
        assert_eq!(life.state(), OrderState::Filled);
    }

    #[test]
    fn nothing_is_sent_without_approval_or_twice() {
        let mut life = OrderLife::proposed(1);
        assert!(life.apply(Happening::Sent).is_err());
        assert!(life.apply(broker(BrokerStatus::Filled, 1)).is_err());
        life.apply(Happening::Denied).unwrap();
        assert!(life.apply(Happening::Approved).is_err());
        assert!(sent(1).apply(Happening::Sent).is_err());
        assert!(sent(1).apply(Happening::Withdrawn).is_err());
        let mut unknown = sent(1);
        unknown.apply(Happening::OutcomeUnknown).unwrap();
        assert!(unknown.apply(Happening::Sent).is_err());
        assert_eq!(unknown.apply(broker(BrokerStatus::Filled, 1)), Ok(Progress::Changed));
        let mut lost = sent(1);
        lost.apply(Happening::OutcomeUnknown).unwrap();
        lost.apply(Happening::NotAtBroker).unwrap();
        assert_eq!(lost.state(), OrderState::Cancelled);
    }

    #[test]
    fn a_fill_that_cannot_be_is_refused() {
        let mut life = sent(2);
        assert!(life.apply(broker(BrokerStatus::Working, 3)).is_err());
        assert!(life.apply(broker(BrokerStatus::Filled, 1)).is_err());
        assert_eq!(life.filled(), 0);
    }

    fn any_happening() -> impl Strategy<Value = Happening> {
        let status = prop::sample::select(vec![
            BrokerStatus::Working,
            BrokerStatus::Filled,
            BrokerStatus::Cancelled,
            BrokerStatus::Rejected,
        ]);
        prop_oneof![
            Just(Happening::Approved),
            Just(Happening::Denied),
            Just(Happening::Sent),
            Just(Happening::Withdrawn),
            Just(Happening::Refused),
            Just(Happening::OutcomeUnknown),
            Just(Happening::NotAtBroker),
            (status, 0_i64..5).prop_map(|(status, filled)| Happening::Broker { status, filled }),
        ]
    }

    proptest! {
        #[test]
        fn whatever_happens_ends_stay_and_fills_only_grow(
            happenings in prop::collection::vec(any_happening(), 0..30),
        ) {
            let mut life = OrderLife::proposed(4);
            for happening in happenings {
                let before = life;
                let answer = life.apply(happening);
                if answer != Ok(Progress::Changed) {
                    prop_assert_eq!(life, before);
                }
                prop_assert!(life.filled() >= before.filled());
                prop_assert!(!before.state().is_final() || life == before);
                prop_assert!((0..=4).contains(&life.filled()));
            }
        }
    }
}
