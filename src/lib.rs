//! deltadesk: an autonomous options desk for Interactive Brokers over a Delta lake.
//!
//! The floors, from the ground up, are listed in ARCHITECTURE.md; a module uses only what stands on
//! lower floors, and a test refuses anything else.

pub mod market;
