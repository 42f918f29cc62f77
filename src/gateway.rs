//! A paper gateway: the socket protocol of TWS over the simulated exchange, for clients that know
//! nothing of this program.
//!
//! A connection agrees on a protocol ([`handshake`]): protobuf or text, both turned into the same
//! [`request`]s and out of the same [`event`]s. One [`house`] holds the exchange, its one account
//! and all clients. Shares no code with the live adapter, so that each tests the other.
//!
//! What is assumed of TWS and was not observed says so where it stands.

// The wire: frames, two codecs, one vocabulary.
mod codec;
mod data_event;
mod data_request;
mod event;
mod frame;
mod handshake;
mod proto;
mod request;
mod text;
mod words;

// Connections and IB's rules of traffic.
mod compare;
mod playback;
mod proxy;
mod recording;
mod server;
mod traffic;

// The house: the exchange, its account and clients, and what is kept and told of them.
mod answers;
mod away;
mod closes;
mod ending;
mod feeds;
mod hours;
mod house;
mod keeping;
mod listing;
mod market_rules;
mod positions;
mod profit;
mod realised;

// Orders: the book, what waits in front of the exchange, and what comes of them.
mod by_hand;
mod changing;
mod held;
mod news;
mod orders;
mod stops;
mod terms;
mod trading;
mod unasked;

// Market data: streams, history, calculations, and what the account may see.
mod bar_sizes;
mod calculations;
mod data;
mod day_so_far;
mod entitlement;
mod five_seconds;
mod generic_ticks;
mod growing;
mod history;
mod history_pacing;
mod intraday;
mod lines;
mod seen;
mod ticks;

// Faults: what can go wrong, when it does, and how the house fares under it.
mod faults;
mod script;
mod weather;

#[cfg(test)]
mod account_tests;
#[cfg(test)]
mod data_tests;
#[cfg(test)]
mod extremes;
#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod held_laws;
#[cfg(test)]
mod held_tests;
#[cfg(test)]
mod house_tests;
#[cfg(test)]
mod mutants;
#[cfg(test)]
mod order_tests;
#[cfg(test)]
mod scripted;
#[cfg(test)]
mod server_tests;
#[cfg(test)]
mod tests;

pub use entitlement::{Entitled, Entitlement, EntitlementError, Entitlements};
pub use event::{Event, OrderView};
pub use handshake::Protocol;
pub use keeping::{KeepError, Keeper, Kept};
pub use playback::{Report, play};
pub use proxy::Proxy;
pub use recording::{RECORDING_MAX, Recorder, Recording, RecordingError};
pub use script::{Script, ScriptError};
pub use server::{Gateway, Speed};
pub use traffic::{Access, Delay, HistoryPacing, Rules};
pub use words::{WireContract, WireExecution, WireOrder, WireOrderState};
