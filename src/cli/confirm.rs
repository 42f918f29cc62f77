//! `deltadesk confirm`: a person names cash that moved at the broker and that nothing explains.

use std::path::{Path, PathBuf};

use anyhow::bail;
use rust_decimal::Decimal;

use crate::desk::home::Home;
use crate::journal::Journal;
use crate::market::{Clock as _, Usd, WallClock};

/// Names interest or a fee of the account. The next reconciliation books it, if the broker has
/// exactly that much more, or less, than the desk knows of. Without an amount: what waits.
#[derive(Debug, clap::Args)]
pub struct Typed {
    /// USD, negative where the account paid: -4.50.
    #[arg(long, allow_negative_numbers = true, requires = "why", value_name = "AMOUNT")]
    usd: Option<Decimal>,
    /// What it was: "market data, November".
    #[arg(long, requires = "usd", value_name = "TEXT")]
    why: Option<String>,
}

impl Typed {
    pub fn run(self, home: Option<PathBuf>) -> anyhow::Result<()> {
        let home = Home::choose(home, Path::new("desk"));
        let file = home.state_db();
        if !file.exists() {
            bail!("{} has no journal: a desk that never ran has no cash to name", file.display());
        }
        if home.demo_mark().exists() {
            bail!("{} holds a demo, whose account knows all its cash", home.root().display());
        }
        let mut journal = Journal::open(&file)?;
        match (self.usd, self.why) {
            (Some(amount), Some(why)) => {
                let amount = amount_of(amount)?;
                if why.trim().is_empty() {
                    bail!("--why is empty; say what the cash was, it is kept");
                }
                journal.confirm_cash(amount, why.trim(), WallClock.now())?;
                println!(
                    "confirmed: {amount} USD, {}. The next reconciliation books it, if the account \
                     differs by exactly that; it stands in ops.reconciliation then.",
                    why.trim()
                );
            }
            _ => list(&journal)?,
        }
        Ok(())
    }
}

fn list(journal: &Journal) -> anyhow::Result<()> {
    let waiting = journal.unbooked_cash()?;
    if waiting.is_empty() {
        println!("nothing waits to be booked");
    }
    for one in waiting {
        let amount = one.amount.decimal().round_dp(2);
        println!("{amount} USD, {}, confirmed {}", one.reason, one.confirmed_at);
    }
    Ok(())
}

fn amount_of(amount: Decimal) -> anyhow::Result<Usd> {
    let usd = Usd::new(amount);
    if usd == Usd::ZERO || usd.to_cents().decimal() != amount {
        bail!("{amount} is no amount in dollars and cents");
    }
    if amount.abs() > Decimal::from(10_000_000) {
        bail!("{amount} USD is more than any fee or interest of this desk");
    }
    Ok(usd)
}
