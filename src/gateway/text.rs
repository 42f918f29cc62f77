//! The text codec: every message is a list of fields, each ended by a zero byte; the first is the
//! message's number. Layouts are those of server versions 176 to 178, as ib_insync 0.9.86 and
//! ib_async 2.1.0 read and write them.

mod data_events;
mod data_requests;
mod events;
mod fields;
mod order_events;
mod order_requests;
mod requests;

pub(super) use events::encode;
pub(super) use requests::decode;

/// From this server version on an order no longer names an allocation profile.
const WITHOUT_PROFILE: u32 = 177;
/// From this server version on an execution says whether its price may still be revised.
const WITH_PENDING_REVISION: u32 = 178;
