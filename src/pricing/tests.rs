//! Tests that need more than one part of the module.

mod golden;
mod laws;
