//! The command line: what can be typed, one file a command.
//!
//! Exit status 0 only when what was asked was done. Errors say what, where and the next step.
//! Nothing here decides, trades or stores.

#![expect(clippy::print_stdout, reason = "the command line's output is its purpose")]

mod calendar;
mod check;
mod confirm;
mod demo;
mod explain;
mod gateway;
mod init;
mod jobs;
mod lake;
mod models;
mod report;
mod run;
mod serve;
mod sql;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "deltadesk", version, about = "An autonomous options desk over a Delta lake")]
struct Typed {
    #[command(subcommand)]
    command: Command,
    /// The home folder; else $DELTADESK_HOME, else ./desk.
    #[arg(long, global = true, value_name = "DIR")]
    home: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lay out a home: settings, jobs, pipelines, sql, reference, templates to edit.
    Init(init::Typed),
    /// Trading days in virtual time, from market to report.
    Demo(demo::Typed),
    /// The server: jobs as they fall due, over the embedded paper gateway or Interactive Brokers.
    Serve(serve::Typed),
    /// Run one job now.
    Run(run::Typed),
    /// What runs when, and how it went.
    Jobs(jobs::Typed),
    /// Query the lake; without a query, a shell.
    Sql(sql::Typed),
    /// What the lake consists of, whether it is sound, and its upkeep.
    Lake(lake::Typed),
    /// What of silver and gold the models of now would make otherwise, and making it.
    Models(models::Typed),
    /// Sessions of an exchange: XNYS, OPT, CBOE or CME.
    Calendar(calendar::Typed),
    /// Write the report of a day again from the lake.
    Report(report::Typed),
    /// A decision, order or refusal with everything behind it.
    Explain(explain::Typed),
    /// A paper gateway for any TWS API client, over a synthetic market.
    Gateway(Box<gateway::Typed>),
    /// Cash that moved at the broker by itself: name it, so that it can be booked.
    Confirm(confirm::Typed),
    /// Settings, files, calendar, reference data, broker and lake: each OK or what to do.
    Check(check::Typed),
}

/// Runs what was typed.
pub fn main() -> ExitCode {
    let typed = Typed::parse();
    start_log();
    pass_over_caught_panics();
    let home = typed.home;
    let outcome = match typed.command {
        Command::Init(command) => command.run(),
        Command::Demo(command) => command.run(home),
        Command::Serve(command) => command.run(home),
        Command::Run(command) => command.run(home),
        Command::Jobs(command) => command.run(home),
        Command::Sql(command) => command.run(home),
        Command::Lake(command) => command.run(home),
        Command::Models(command) => command.run(home),
        Command::Calendar(command) => command.run(home),
        Command::Report(command) => command.run(home),
        Command::Explain(command) => command.run(home),
        Command::Gateway(command) => command.run(home),
        Command::Confirm(command) => command.run(home),
        Command::Check(command) => command.run(home),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A data file that cannot be written makes the library's clean-up panic, which the library catches
/// itself; the error behind it is told.
fn pass_over_caught_panics() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let caught = panic.location().is_some_and(|at| {
            at.file().contains("object_store") && at.file().ends_with("buffered.rs")
        });
        if !caught {
            tell(panic);
        }
    }));
}

fn start_log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("DELTADESK_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("error,ibapi=off"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

/// A line of a command that serves for long. Whoever read it may have gone; the service goes on.
fn tell(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
