//! The policy for IB's message codes: what each one means for an order, a stream, the connection
//! and the operator. One table; nothing else of the desk knows a code.
//!
//! No code ends an order by itself: a refusal is believed once the order is also absent from the
//! broker's open orders. What the table does not hold ends the stream it is bound to, says nothing
//! of an order and is shown to the operator.

/// What a code says of the order that it is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnOrder {
    /// Nothing about its life: it may well be working.
    Nothing,
    /// Refused, if the open orders do not hold it either.
    Refused,
    /// The cancel came to nothing because the order had ended or was never there.
    AlreadyOver,
}

/// What a code says of the stream or request that it is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnStream {
    /// It goes on.
    Nothing,
    /// It has ended and may be asked for again at once.
    Ended,
    /// There is none to be had: no entitlement, no such contract.
    Denied,
    /// Too many at a time: later.
    Later,
    /// Somebody else has it: later, and what it would have brought until then is lost.
    Taken,
    /// It goes on, but a part of it was dropped on the way: all of it is to be asked for again.
    Missed,
}

/// What a code says of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnConnection {
    Nothing,
    /// IB is out of reach, though the socket lives: nothing is sent and no quote is fresh.
    Lost,
    /// Back; subscriptions are gone and events may have been missed.
    RestoredWithoutStreams,
    /// Back with its subscriptions; events may have been missed all the same.
    Restored,
    /// Market data is interrupted; the socket stays.
    DataInterrupted,
    /// Market data flows again.
    DataRestored,
    /// The socket is about to close.
    Closing,
    /// We send too fast.
    TooFast,
}

/// How loudly the operator is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToOperator {
    Nothing,
    Note,
    Warning,
}

/// One line of the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    pub order: OnOrder,
    pub stream: OnStream,
    pub connection: OnConnection,
    pub operator: ToOperator,
}

const QUIET: Policy = Policy {
    order: OnOrder::Nothing,
    stream: OnStream::Nothing,
    connection: OnConnection::Nothing,
    operator: ToOperator::Nothing,
};
const NOTED: Policy = Policy { operator: ToOperator::Note, ..QUIET };
const WARNED: Policy = Policy { operator: ToOperator::Warning, ..QUIET };
const REFUSED: Policy = Policy { order: OnOrder::Refused, stream: OnStream::Ended, ..WARNED };
const OVER: Policy = Policy { order: OnOrder::AlreadyOver, ..NOTED };
const ENDED: Policy = Policy { stream: OnStream::Ended, ..WARNED };
const DENIED: Policy = Policy { stream: OnStream::Denied, ..WARNED };
const LATER: Policy = Policy { stream: OnStream::Later, ..WARNED };

const WARN: ToOperator = ToOperator::Warning;

const fn connection(news: OnConnection, operator: ToOperator) -> Policy {
    Policy { connection: news, operator, ..QUIET }
}

/// By code, ascending.
const TABLE: [(i32, Policy); 66] = [
    // Below zero, what the client's crate says by itself. The socket is new: ours is not made so.
    (-8, connection(OnConnection::RestoredWithoutStreams, ToOperator::Note)),
    // Notices were dropped, so that a loss or a return may have been among them.
    (-7, connection(OnConnection::RestoredWithoutStreams, ToOperator::Warning)),
    // Items of a stream were dropped.
    (-6, Policy { stream: OnStream::Missed, ..WARNED }),
    // Messages that it cannot read; those of the hello are of things that are asked for later.
    (-5, WARNED),
    (-4, WARNED),
    (-3, NOTED),
    // No code at all: gateways warn so before they say 100.
    (0, NOTED),
    // Too many messages a second: the request that broke the rule was not done.
    (100, Policy { stream: OnStream::Later, ..connection(OnConnection::TooFast, WARN) }),
    // Too many market data lines.
    (101, LATER),
    // Duplicate order id; a filled or differing order cannot be modified; price off the tick.
    (103, REFUSED),
    (104, OVER),
    (105, REFUSED),
    (110, REFUSED),
    (111, REFUSED),
    // The order to be cancelled is unknown, or past cancelling: the words of older versions.
    (135, OVER),
    (161, OVER),
    // Historical data: pacing, no data, or a request that was cancelled.
    (162, LATER),
    (165, NOTED),
    // No such contract.
    (200, Policy { order: OnOrder::Refused, ..DENIED }),
    (201, REFUSED),
    // The confirmation of a cancel; the order's status says it too.
    (202, QUIET),
    (203, REFUSED),
    (300, NOTED),
    (309, LATER),
    // Depth of market: to be asked for again; was reset and goes on.
    (316, ENDED),
    (317, NOTED),
    // Failed validation; read-only sessions refuse orders with it.
    (321, REFUSED),
    (322, REFUSED),
    (326, connection(OnConnection::Closing, ToOperator::Warning)),
    // Only client 0 may bind orders made by hand.
    (327, WARNED),
    (354, DENIED),
    (366, QUIET),
    (387, REFUSED),
    // An order message, often only a warning: the order may work.
    (399, WARNED),
    // Held while shares to borrow are sought: the order lives.
    (404, WARNED),
    (434, REFUSED),
    (435, REFUSED),
    (1100, connection(OnConnection::Lost, ToOperator::Warning)),
    (1101, connection(OnConnection::RestoredWithoutStreams, ToOperator::Note)),
    (1102, connection(OnConnection::Restored, ToOperator::Note)),
    (1300, connection(OnConnection::Closing, ToOperator::Warning)),
    (2100, WARNED),
    (2103, connection(OnConnection::DataInterrupted, ToOperator::Warning)),
    (2104, connection(OnConnection::DataRestored, ToOperator::Nothing)),
    (2105, WARNED),
    (2106, QUIET),
    (2107, QUIET),
    (2108, QUIET),
    (2109, QUIET),
    // Connectivity between TWS and the server is broken; it restores itself and says 1101 or 1102.
    (2110, connection(OnConnection::Lost, ToOperator::Warning)),
    (2119, QUIET),
    (2157, WARNED),
    (2158, QUIET),
    (10_089, DENIED),
    (10_090, NOTED),
    (10_091, NOTED),
    (10_147, OVER),
    (10_148, OVER),
    (10_149, REFUSED),
    (10_167, NOTED),
    (10_168, DENIED),
    // Live updates of a request ended: the data farm was lost, say.
    (10_182, ENDED),
    // Too many streams of single trades.
    (10_190, LATER),
    // Another session of the same user took the market data.
    (10_197, Policy { stream: OnStream::Taken, ..WARNED }),
    (10_318, REFUSED),
    // The time in force was set by a preset: the order lives.
    (10_349, NOTED),
];

/// Whether a refusal says that the broker is set to "Read-Only API": it then neither takes nor
/// tells orders. The words are those of IB.
pub fn is_read_only(code: i32, said: &str) -> bool {
    code == 321 && said.to_ascii_lowercase().contains("read-only")
}

/// Whether a refused order had an id that was used before.
pub fn is_used_id(code: i32) -> bool {
    code == 103
}

/// The policy for a code.
pub fn policy(code: i32) -> Policy {
    match TABLE.binary_search_by_key(&code, |(known, _)| *known) {
        Ok(found) => TABLE.get(found).map_or(ENDED, |(_, policy)| *policy),
        Err(_) => ENDED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_so_that_every_line_is_found() {
        assert!(TABLE.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(TABLE.iter().all(|(code, line)| policy(*code) == *line));
    }

    /// What each code means, as the protocol's facts have it: of the order, of the stream, of the
    /// connection, and how loudly it is told.
    #[test]
    fn every_code_that_is_known_of_tws_has_its_meaning() {
        use OnConnection as C;
        use OnOrder::{AlreadyOver, Nothing as Lives, Refused};
        use OnStream::{Denied, Ended, Later, Nothing as GoesOn, Taken};
        use ToOperator::{Note, Nothing as Quiet, Warning};
        let expected = [
            (0, Lives, GoesOn, C::Nothing, Note),
            (100, Lives, Later, C::TooFast, Warning),
            (101, Lives, Later, C::Nothing, Warning),
            (103, Refused, Ended, C::Nothing, Warning),
            (104, AlreadyOver, GoesOn, C::Nothing, Note),
            (105, Refused, Ended, C::Nothing, Warning),
            (110, Refused, Ended, C::Nothing, Warning),
            (111, Refused, Ended, C::Nothing, Warning),
            (135, AlreadyOver, GoesOn, C::Nothing, Note),
            (161, AlreadyOver, GoesOn, C::Nothing, Note),
            (162, Lives, Later, C::Nothing, Warning),
            (165, Lives, GoesOn, C::Nothing, Note),
            (200, Refused, Denied, C::Nothing, Warning),
            (201, Refused, Ended, C::Nothing, Warning),
            (202, Lives, GoesOn, C::Nothing, Quiet),
            (203, Refused, Ended, C::Nothing, Warning),
            (309, Lives, Later, C::Nothing, Warning),
            (316, Lives, Ended, C::Nothing, Warning),
            (317, Lives, GoesOn, C::Nothing, Note),
            (321, Refused, Ended, C::Nothing, Warning),
            (322, Refused, Ended, C::Nothing, Warning),
            (326, Lives, GoesOn, C::Closing, Warning),
            (327, Lives, GoesOn, C::Nothing, Warning),
            (354, Lives, Denied, C::Nothing, Warning),
            (366, Lives, GoesOn, C::Nothing, Quiet),
            (387, Refused, Ended, C::Nothing, Warning),
            (399, Lives, GoesOn, C::Nothing, Warning),
            (404, Lives, GoesOn, C::Nothing, Warning),
            (434, Refused, Ended, C::Nothing, Warning),
            (435, Refused, Ended, C::Nothing, Warning),
            (1100, Lives, GoesOn, C::Lost, Warning),
            (1101, Lives, GoesOn, C::RestoredWithoutStreams, Note),
            (1102, Lives, GoesOn, C::Restored, Note),
            (1300, Lives, GoesOn, C::Closing, Warning),
            (2100, Lives, GoesOn, C::Nothing, Warning),
            (2103, Lives, GoesOn, C::DataInterrupted, Warning),
            (2104, Lives, GoesOn, C::DataRestored, Quiet),
            (2105, Lives, GoesOn, C::Nothing, Warning),
            (2106, Lives, GoesOn, C::Nothing, Quiet),
            (2107, Lives, GoesOn, C::Nothing, Quiet),
            (2108, Lives, GoesOn, C::Nothing, Quiet),
            (2110, Lives, GoesOn, C::Lost, Warning),
            (2119, Lives, GoesOn, C::Nothing, Quiet),
            (2157, Lives, GoesOn, C::Nothing, Warning),
            (2158, Lives, GoesOn, C::Nothing, Quiet),
            (10_089, Lives, Denied, C::Nothing, Warning),
            (10_090, Lives, GoesOn, C::Nothing, Note),
            (10_091, Lives, GoesOn, C::Nothing, Note),
            (10_147, AlreadyOver, GoesOn, C::Nothing, Note),
            (10_148, AlreadyOver, GoesOn, C::Nothing, Note),
            (10_149, Refused, Ended, C::Nothing, Warning),
            (10_167, Lives, GoesOn, C::Nothing, Note),
            (10_168, Lives, Denied, C::Nothing, Warning),
            (10_182, Lives, Ended, C::Nothing, Warning),
            (10_190, Lives, Later, C::Nothing, Warning),
            (10_197, Lives, Taken, C::Nothing, Warning),
            (10_318, Refused, Ended, C::Nothing, Warning),
            (10_349, Lives, GoesOn, C::Nothing, Note),
        ];
        for (code, order, stream, connection, operator) in expected {
            assert!(TABLE.iter().any(|(known, _)| *known == code), "{code} is not in the table");
            assert_eq!(policy(code), Policy { order, stream, connection, operator }, "{code}");
        }
    }

    /// What the client's crate says by itself.
    #[test]
    fn what_was_dropped_on_the_way_is_asked_for_again() {
        for code in [-8, -7] {
            assert_eq!(policy(code).connection, OnConnection::RestoredWithoutStreams, "{code}");
        }
        assert_eq!(policy(-6).stream, OnStream::Missed);
        for code in [-5, -4, -3] {
            assert_eq!(
                (policy(code).stream, policy(code).order),
                (OnStream::Nothing, OnOrder::Nothing)
            );
        }
    }

    #[test]
    fn a_read_only_api_is_told_by_its_words() {
        let said = "Error validating request: cause - The API interface is currently in Read-Only \
                    mode.";
        assert!(is_read_only(321, said));
        assert!(!is_read_only(321, "Error validating request: missing symbol"));
        assert!(!is_read_only(201, said));
    }

    #[test]
    fn what_only_informs_never_ends_an_order() {
        for code in [202, 399, 404, 2100, 2109, 10_349, 10_167] {
            assert_eq!(policy(code).order, OnOrder::Nothing, "{code}");
        }
    }

    #[test]
    fn a_farm_that_flaps_leaves_the_socket_alone() {
        for code in [2103, 2104, 2105, 2106, 2107, 2108, 2119, 2157, 2158] {
            let news = policy(code).connection;
            assert!(!matches!(news, OnConnection::Lost | OnConnection::Closing), "{code}");
        }
    }

    #[test]
    fn an_unknown_code_ends_its_stream_and_is_shown_but_kills_no_order() {
        let unknown = policy(99_999);
        assert_eq!((unknown.order, unknown.stream), (OnOrder::Nothing, OnStream::Ended));
        assert_eq!(unknown.operator, ToOperator::Warning);
    }
}
