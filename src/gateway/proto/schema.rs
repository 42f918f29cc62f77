//! The protobuf messages of TWS's protocol that this gateway reads and writes, written from the
//! field numbers of its public interface. Fields that are neither read nor written are left out:
//! protobuf skips what it does not know.

#![expect(clippy::struct_field_names, reason = "the names are the protocol's")]

mod account;
mod contracts;
mod data;
mod market;
mod orders;

pub use account::*;
pub use contracts::*;
pub use data::*;
pub use market::*;
pub use orders::*;

/// Messages whose only field is the request's number: most cancels and ends.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ReqId {
    #[prost(int32, optional, tag = "1")]
    pub req_id: Option<i32>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Empty {}

/// Messages whose only field is a text: accounts, an account's end, a time.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Text {
    #[prost(string, optional, tag = "1")]
    pub text: Option<String>,
}

/// Messages whose only field is a long number: a time.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Long {
    #[prost(int64, optional, tag = "1")]
    pub value: Option<i64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct StartApiRequest {
    #[prost(int32, optional, tag = "1")]
    pub client_id: Option<i32>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct ErrorMessage {
    #[prost(int32, optional, tag = "1")]
    pub id: Option<i32>,
    #[prost(int64, optional, tag = "2")]
    pub error_time: Option<i64>,
    #[prost(int32, optional, tag = "3")]
    pub error_code: Option<i32>,
    #[prost(string, optional, tag = "4")]
    pub error_msg: Option<String>,
}
