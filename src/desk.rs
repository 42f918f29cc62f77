//! The composition root: files and settings in, a desk out. Each world (demo, run by hand) is one
//! function that builds the parts; below it nothing asks which world it is in.

pub mod accounts;
pub mod behind;
pub mod by_hand;
pub mod daily_bars;
pub mod demo;
pub mod digest;
pub mod embedded;
mod ending;
pub mod files;
pub mod home;
pub mod import_v6;
pub mod lake_place;
pub mod live;
pub mod market_choice;
mod memory;
pub mod paper;
pub mod paper_gateway;
pub mod rebuild;
pub mod recorded_gateway;
pub mod recording;
pub mod reference;
pub mod report_step;
pub mod serve;
pub mod settings;
pub mod step_list;
pub mod steps;
pub mod summary;
pub mod upkeep_steps;
pub mod world;
pub mod writer;

pub use market_choice::MarketChoice;
pub use settings::Settings;
pub use world::World;

/// Every fault of the set, a line each.
#[expect(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
pub fn faults_error(faults: Vec<crate::pipeline::FileFault>) -> anyhow::Error {
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    anyhow::anyhow!("{} faults in the set of files:\n  {}", lines.len(), lines.join("\n  "))
}
