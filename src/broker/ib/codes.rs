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

const fn connection(news: OnConnection, operator: ToOperator) -> Policy {
    Policy { connection: news, operator, ..QUIET }
}

/// By code, ascending.
const TABLE: [(i32, Policy); 54] = [
    // Too many messages a second: the request that broke the rule was not done.
    (100, LATER),
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
    (317, NOTED),
    // Failed validation; read-only sessions refuse orders with it.
    (321, REFUSED),
    (322, REFUSED),
    (326, connection(OnConnection::Closing, ToOperator::Warning)),
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
    (10_147, OVER),
    (10_148, OVER),
    (10_149, REFUSED),
    (10_167, NOTED),
    (10_168, DENIED),
    // Another session of the same user took the market data.
    (10_197, LATER),
    (10_318, REFUSED),
    // The time in force was set by a preset: the order lives.
    (10_349, NOTED),
];

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
