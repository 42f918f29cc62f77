//! deltadesk: an autonomous options desk for Interactive Brokers over a Delta lake.
//!
//! The floors, from the ground up, are listed in ARCHITECTURE.md; a module uses only what stands on
//! lower floors, and a test refuses anything else.

pub mod broker;
pub mod cli;
pub mod desk;
pub mod exchange;
pub mod gateway;
pub mod ingest;
pub mod journal;
pub mod lake;
pub mod market;
pub mod orders;
pub mod pipeline;
pub mod pricing;
pub mod report;
pub mod risk;
pub mod schedule;
pub mod structures;
pub mod trade;
