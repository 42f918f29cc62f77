//! Whether the broker of the settings can be traded with.

use anyhow::Context as _;

use crate::broker::ib::{Bounds, CLOCKS_WITHIN, Endpoint, Probe, probe};
use crate::desk::settings::{BrokerKind, IbSettings, Settings};
use crate::market::WallClock;

use super::Found;

/// The server may hold the desk's own identity: the look uses another one.
const BESIDE: i32 = 100;

pub fn found(settings: &Settings) -> Found {
    match settings.desk.broker {
        BrokerKind::Paper => {
            Found::Sound("the embedded gateway; `deltadesk serve` starts it".to_owned())
        }
        BrokerKind::Ib => match look(&settings.ib) {
            Ok(probe) => judge(&settings.ib, &probe),
            Err(error) => Found::Faulty(vec![format!(
                "{error:#}\nis TWS or IB Gateway running and logged in, \"Enable ActiveX and \
                 Socket Clients\" ticked, and the port the one of its API settings?"
            )]),
        },
    }
}

fn look(ib: &IbSettings) -> anyhow::Result<Probe> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let endpoint = Endpoint { client_id: ib.client_id + BESIDE, ..Endpoint::from(ib) };
    let asked = probe(&endpoint, Bounds::of_another_machine(), &WallClock);
    runtime.block_on(asked).with_context(|| format!("{} cannot be used", ib.address))
}

fn judge(ib: &IbSettings, probe: &Probe) -> Found {
    let mut faults = Vec::new();
    if !probe.accounts.contains(&ib.account_id) {
        faults.push(format!(
            "it has account {}, and the settings name {}; log in to that one, or correct [ib] \
             account_id",
            probe.accounts.join(", "),
            ib.account_id
        ));
    }
    if probe.skew.abs() > CLOCKS_WITHIN {
        faults.push(format!(
            "its clock is {:+.1} s from this machine's; set the clocks by NTP",
            seconds(probe)
        ));
    }
    match &probe.open_orders {
        Ok(_) => {}
        Err(why) => faults.push(format!(
            "it does not tell its open orders ({why}); untick \"Read-Only API\" in its API \
             settings: orders = \"observe\" is how this desk sends none"
        )),
    }
    let sound = format!(
        "{}, server version {}, {} account {}, clocks within {:.1} s",
        ib.address,
        probe.server_version,
        ib.account_kind.as_str(),
        ib.account_id,
        seconds(probe).abs()
    );
    Found::of(sound, faults)
}

fn seconds(probe: &Probe) -> f64 {
    probe.skew.num_milliseconds() as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    fn settings() -> IbSettings {
        let mut files = crate::desk::files::shipped();
        let text = files.get_mut("deltadesk.toml").unwrap();
        *text = text.replace("account_id = \"\"", "account_id = \"DU42\"");
        Settings::read(&files).unwrap().ib
    }

    fn sound() -> Probe {
        Probe {
            accounts: vec!["DU42".to_owned()],
            server_version: 213,
            skew: TimeDelta::milliseconds(-300),
            open_orders: Ok(0),
        }
    }

    fn faults(probe: &Probe) -> Vec<String> {
        match judge(&settings(), probe) {
            Found::Sound(_) => Vec::new(),
            Found::Faulty(faults) => faults,
        }
    }

    #[test]
    fn each_thing_that_is_wrong_is_told_with_its_remedy() {
        assert!(faults(&sound()).is_empty());
        let other = Probe { accounts: vec!["U7".to_owned()], ..sound() };
        assert!(faults(&other)[0].contains("it has account U7"));
        let late = Probe { skew: TimeDelta::seconds(40), ..sound() };
        assert!(faults(&late)[0].contains("+40.0 s"));
        let mute = Probe { open_orders: Err("no answer".to_owned()), ..sound() };
        assert!(faults(&mute)[0].contains("Read-Only API"));
    }
}
