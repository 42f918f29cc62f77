//! A paper gateway: the socket protocol of TWS over the simulated exchange, for clients that know
//! nothing of this program.
//!
//! A connection agrees on a protocol ([`handshake`]): protobuf or text, both turned into the same
//! [`request`]s and out of the same [`event`]s. One [`house`] holds the exchange, its one account
//! and all clients. Shares no code with the live adapter, so that each tests the other.
//!
//! What is assumed of TWS and was not observed says so where it stands.

mod answers;
mod bar_sizes;
mod by_hand;
mod calculations;
mod changing;
mod closes;
mod codec;
mod compare;
mod data;
mod data_event;
mod data_request;
#[cfg(test)]
mod data_tests;
mod ending;
mod entitlement;
mod event;
mod faults;
mod feeds;
mod five_seconds;
mod frame;
mod generic_ticks;
mod growing;
mod handshake;
mod held;
#[cfg(test)]
mod held_laws;
#[cfg(test)]
mod held_tests;
mod history;
mod history_pacing;
mod hours;
mod house;
#[cfg(test)]
mod house_tests;
mod intraday;
mod keeping;
mod listing;
mod market_rules;
mod news;
mod orders;
mod playback;
mod profit;
mod proto;
mod proxy;
mod recording;
mod request;
mod script;
#[cfg(test)]
mod scripted;
mod seen;
mod server;
mod stops;
mod terms;
#[cfg(test)]
mod tests;
mod text;
mod ticks;
mod trading;
mod traffic;
mod unasked;
mod weather;
mod words;

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
