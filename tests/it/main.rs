//! The integration tests, a module a theme, in one binary.

/// Each audit against good rows and rows with a planted fault.
mod audits;
/// The cases of uncovered shorts.
mod audits_coverage;
/// The cases of cash, equity and dividends.
mod audits_money;
/// A lake in a bucket of an S3-compatible store.
mod bucket;
/// The exchange calendars against the reference calendars.
mod calendars;
/// The built binary: commands, refusals, and errors with file and line.
mod cli;
/// Tests of tables that are declared.
mod declared;
/// A demo of two days: the same bytes twice, and after being killed.
mod demo;
/// A disk that is full, and one that can only be read.
mod disk;
/// The lake's door for PostgreSQL clients.
mod door;
/// A broker that answers as a test tells it to.
mod double;
/// A desk around that broker.
mod double_desk;
/// A module uses only what stands on lower floors.
mod explained;
mod floors;
/// The desk after the broker was away, and what is told again.
mod gaps;
/// The paper gateway over a socket, with a client of the crate ibapi.
mod gateway;
/// Data and the account beyond quotes and orders, on the same gateway.
mod gateway_data;
/// The same gateway under scripts of faults.
mod gateway_faults;
/// Orders that wait at the same gateway.
mod gateway_orders;
/// Frames of the gateway recorded and played.
mod gateway_tape;
/// Faults of orders and trades, as a client of the crate ibapi meets them.
mod gateway_trade_faults;
/// Homes in which a day costs little, for the tests that run one.
mod homes;
/// The predecessor's lake, taken over.
mod import_v6;
/// `deltadesk lake` on a lake that is hurt on purpose.
mod lake_command;
/// A writer of the lake that is killed again and again.
mod lake_crash;
/// `broker = "ib"` against a gateway of another process.
mod live;
/// `deltadesk models`: sessions computed again.
mod models;
/// Recorded chains: every input row is accounted for.
mod recorded;
/// A recorded day behind the gateway, with a client of the crate ibapi.
mod recorded_gateway;
/// Live tables read back from the lake.
mod restored;
/// Three clients of different make at one gateway, in Rust and in Python.
mod same_world;
/// Each exit rule closes a position in a named scenario.
mod scenarios;
/// The server over the socket: two hours at the open, two at the close, stopped and killed.
mod served;
/// The same under faults that begin with what happens, and trades that are broken or forced.
mod served_faults;
/// What must hold whenever a server has stopped.
mod served_sound;
/// The end of a server while entries work.
mod served_stop;
/// Every model against the rows written beside it.
mod sql_models;
/// A tap on the wire between the adapter and a gateway.
mod tap;
/// Sizes, bans, names, and lists that equal folders.
mod tidy;
/// The trader against a broker that answers as it is told.
mod trader;
/// Traps of the protocol for the adapter's orders, one test each.
mod traps;
/// Traps of the connection and of market data.
mod traps_connection;
/// The adapter with a tap before a gateway, and orders to send.
mod traps_desk;
/// Traps for whoever waits.
mod traps_patience;
/// The repository's own files as text, read by `floors` and `tidy`.
mod tree;
