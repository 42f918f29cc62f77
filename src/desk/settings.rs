//! The operator's settings: as written, then checked, all faults at once, then running.
//!
//! Every value is written out in `deltadesk.toml`; a missing limit is an error, an unknown key is
//! an error, and each error names the line.

mod ib;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::orders::ladder::{STEP_SECONDS_MIN, STEPS};
use crate::pipeline::{FileFault, Files, Params};
use crate::risk::RiskLimits;

pub use ib::{AccountKind, IbSettings};

const FILE: &str = "deltadesk.toml";

/// Sections whose numbers models read as `params`, and nothing else reads.
const PARAM_SECTIONS: [&str; 7] =
    ["entries", "futures", "marks", "openings", "rules", "signals", "silver"];

/// What becomes of an approved order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OrderMode {
    /// Decide, gate and store everything; send nothing.
    Observe,
    Send,
}

/// Which broker stands behind the desk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BrokerKind {
    /// The embedded gateway, an exchange of our own.
    Paper,
    /// TWS or IB Gateway, as `[ib]` says.
    Ib,
}

/// `[desk]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeskSettings {
    pub broker: BrokerKind,
    pub orders: OrderMode,
    /// Caps the equity that sizing and limits see.
    pub capital_usd: f64,
    /// Rules and entries that are switched off, by name.
    pub switched_off: Vec<String>,
}

/// `[paper]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaperSettings {
    pub account_id: String,
    /// Cash of both segments together.
    pub initial_cash_usd: f64,
    /// The part of it that begins in the commodities segment.
    pub commodities_cash_usd: f64,
}

impl PaperSettings {
    /// The first key that cannot be, and why.
    fn fault(&self) -> Option<(&'static str, String)> {
        let (cash, part) = (self.initial_cash_usd, self.commodities_cash_usd);
        if !(cash > 0.0 && cash.is_finite()) {
            let fault = format!("[paper] initial_cash_usd = {cash} is no amount above 0");
            return Some(("initial_cash_usd", fault));
        }
        if !(0.0..=cash).contains(&part) {
            let fault = format!(
                "[paper] commodities_cash_usd = {part} is no part of initial_cash_usd = {cash}; \
                 write an amount from 0 to it"
            );
            return Some(("commodities_cash_usd", fault));
        }
        None
    }
}

/// `[universe]`: which contracts a sweep asks for. Open legs are always asked for beside them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Universe {
    pub symbols: Vec<String>,
    pub futures: Vec<String>,
    /// The nearest listed expiry to each of these numbers of days.
    pub dte_targets: Vec<i64>,
    /// Puts from this share of spot below it ...
    pub put_below_spot_ratio: f64,
    /// ... calls to this share above it ...
    pub call_above_spot_ratio: f64,
    /// ... and both rights within this share around it, where parity is read.
    pub both_around_spot_ratio: f64,
    /// Strikes closer together than this share of spot are thinned out.
    pub strike_spacing_ratio: f64,
}

/// `[work]`: how an approved order is worked.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkSettings {
    /// Steps of the price ladder.
    pub ladder_steps: u32,
    /// Seconds an order stands at one price.
    pub step_seconds: i64,
    /// Share of the summed half-spreads that an exit in no hurry may give up.
    pub exit_budget_ratio: f64,
    /// What an urgent exit may pay beyond natural, as a share of the summed half-spreads.
    pub urgent_collar_ratio: f64,
    /// How long entries of a symbol and structure rest after the gate refused one.
    pub refused_entry_rest_minutes: i64,
}

/// `[lake]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LakeSettings {
    /// `s3://bucket/prefix`; empty for the folder `lake/` of the home.
    pub address: String,
    pub retention_days: u32,
}

/// Everything, checked.
#[derive(Debug, Clone)]
pub struct Settings {
    pub desk: DeskSettings,
    pub paper: PaperSettings,
    pub ib: IbSettings,
    pub universe: Universe,
    pub work: WorkSettings,
    pub lake: LakeSettings,
    pub risk: RiskLimits,
    pub params: Params,
    /// SHA-256 of the file, hex.
    pub hash: String,
}

impl Settings {
    pub fn read(files: &Files) -> Result<Self, Vec<FileFault>> {
        let text = files.get(FILE).map_or("", String::as_str);
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            let start = error.span().map_or(0, |span| span.start);
            let line = text.bytes().take(start).filter(|byte| *byte == b'\n').count() + 1;
            vec![FileFault::new(FILE, line, error.message().trim().to_owned())]
        })?;
        let mut reader = Reader { text, table, faults: Vec::new() };
        let desk = reader.section::<DeskSettings>("desk");
        let paper = reader.section::<PaperSettings>("paper");
        if let Some((key, fault)) = paper.as_ref().and_then(PaperSettings::fault) {
            reader.fault("paper", Some(key), fault);
        }
        let ib = reader.section::<IbSettings>("ib");
        if let (Some(ib), Some(desk)) = (&ib, &desk) {
            for (key, fault) in ib.faults(desk) {
                reader.fault("ib", Some(key), fault);
            }
        }
        let universe = reader.section::<Universe>("universe");
        let work = reader.section::<WorkSettings>("work");
        let lake = reader.section::<LakeSettings>("lake");
        let risk = reader.section::<RiskLimits>("risk");
        let params = reader.params();
        reader.no_other_section();
        reader.judge_risk(risk.as_ref());
        reader.judge_work(work.as_ref(), risk.as_ref());
        let amounts = [
            ("desk", "capital_usd", desk.as_ref().map(|desk| desk.capital_usd)),
            ("paper", "initial_cash_usd", paper.as_ref().map(|paper| paper.initial_cash_usd)),
        ];
        reader.judge_amounts(&amounts);
        match (desk, (paper, ib), universe, work, lake, risk) {
            (
                Some(desk),
                (Some(paper), Some(ib)),
                Some(universe),
                Some(work),
                Some(lake),
                Some(risk),
            ) if reader.faults.is_empty() => {
                let hash = crate::pipeline::model::hex(&Sha256::digest(text.as_bytes()));
                Ok(Self { desk, paper, ib, universe, work, lake, risk, params, hash })
            }
            _ => Err(reader.faults),
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    table: toml::Table,
    faults: Vec<FileFault>,
}

impl Reader<'_> {
    fn fault(&mut self, section: &str, key: Option<&str>, fault: String) {
        let heading = self.text.lines().position(|line| line.trim() == format!("[{section}]"));
        let from = heading.unwrap_or(0);
        let key_line = key.and_then(|key| {
            self.text.lines().skip(from + 1).position(|line| line.trim_start().starts_with(key))
        });
        let line = key_line.map_or(from + 1, |offset| from + 2 + offset);
        self.faults.push(FileFault::new(FILE, line, fault));
    }

    fn section<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let Some(value) = self.table.remove(name) else {
            let fault = format!("section [{name}] is missing; `deltadesk init` shows a whole file");
            self.faults.push(FileFault::new(FILE, 1, fault));
            return None;
        };
        match value.try_into() {
            Ok(section) => Some(section),
            Err(error) => {
                let message = error.message().trim().to_owned();
                let key = message.split('`').nth(1).map(str::to_owned);
                self.fault(name, key.as_deref(), format!("[{name}] {message}"));
                None
            }
        }
    }

    fn judge_risk(&mut self, risk: Option<&RiskLimits>) {
        for found in risk.map(RiskLimits::faults).unwrap_or_default() {
            let text = format!("[{}] {} {}", found.section, found.key, found.what);
            self.fault(found.section, Some(&found.key), text);
        }
    }

    /// The bounds of a ladder, and an urgent exit that the gate's own collar would always refuse.
    fn judge_work(&mut self, work: Option<&WorkSettings>, risk: Option<&RiskLimits>) {
        let Some(work) = work else { return };
        let share = |ratio: f64| (0.0..=1.0).contains(&ratio);
        let (fewest, most) = (STEPS.start(), STEPS.end());
        let bounds = [
            ("ladder_steps", STEPS.contains(&work.ladder_steps), format!("{fewest} to {most}")),
            (
                "step_seconds",
                work.step_seconds >= STEP_SECONDS_MIN,
                format!("{STEP_SECONDS_MIN} or more"),
            ),
            ("exit_budget_ratio", share(work.exit_budget_ratio), "a fraction to 1".to_owned()),
            ("urgent_collar_ratio", share(work.urgent_collar_ratio), "a fraction to 1".to_owned()),
            (
                "refused_entry_rest_minutes",
                work.refused_entry_rest_minutes >= 0,
                "0 or more".to_owned(),
            ),
        ];
        for (key, _, remedy) in bounds.into_iter().filter(|(_, sound, _)| !sound) {
            self.fault("work", Some(key), format!("[work] {key} is out of range; write {remedy}"));
        }
        let collar = risk.map(|risk| risk.price.collar_width_ratio);
        if collar.is_some_and(|collar| work.urgent_collar_ratio / 2.0 > collar) {
            let fault = "[work] urgent_collar_ratio goes beyond [risk.price] collar_width_ratio, \
                         so that the gate would refuse urgent exits; write at most twice that";
            self.fault("work", Some("urgent_collar_ratio"), fault.to_owned());
        }
    }

    fn judge_amounts(&mut self, amounts: &[(&str, &str, Option<f64>)]) {
        for (section, key, amount) in amounts {
            if amount.is_some_and(|usd| !(usd > 0.0 && usd.is_finite())) {
                let fault = format!("[{section}] {key} is no amount above 0; write USD");
                self.fault(section, Some(key), fault);
            }
        }
    }

    /// `[rules.take_profit] credit_ratio = 0.5` becomes `take_profit_credit_ratio`.
    fn params(&mut self) -> Params {
        let mut params = BTreeMap::new();
        for section in PARAM_SECTIONS {
            let Some(value) = self.table.remove(section) else {
                let fault =
                    format!("section [{section}] is missing; `deltadesk init` shows a whole file");
                self.faults.push(FileFault::new(FILE, 1, fault));
                continue;
            };
            self.collect((section, section), &value, &mut params);
        }
        Params(params)
    }

    fn collect(
        &mut self,
        (path, prefix): (&str, &str),
        value: &toml::Value,
        params: &mut BTreeMap<String, f64>,
    ) {
        let Some(table) = value.as_table() else { return };
        for (key, value) in table {
            let number = value.as_float().or_else(|| value.as_integer().map(|whole| whole as f64));
            match (number, value.is_table()) {
                (Some(number), _) if number.is_finite() => {
                    params.insert(format!("{prefix}_{key}"), number);
                }
                (None, true) => self.collect((&format!("{path}.{key}"), key), value, params),
                _ => self.fault(
                    path,
                    Some(key),
                    format!("[{path}] {key} is not a finite number; models read numbers only"),
                ),
            }
        }
    }

    fn no_other_section(&mut self) {
        let others: Vec<String> = self.table.keys().cloned().collect();
        for name in others {
            let fault = format!("`{name}` is no section of the settings; remove it");
            self.fault(&name, None, fault);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(from: &str, to: &str) -> Vec<String> {
        faults_of(&[(from, to)])
    }

    fn faults_of(changes: &[(&str, &str)]) -> Vec<String> {
        let mut files = crate::desk::files::shipped();
        let text = files.get_mut(FILE).unwrap();
        for (from, to) in changes {
            assert!(text.contains(from), "the settings have no `{from}`");
            *text = text.replace(from, to);
        }
        let found = Settings::read(&files).err().unwrap_or_default();
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_account_at_ib_is_named_and_of_its_kind_and_a_live_one_needs_two_permissions() {
        let ib = ("broker = \"paper\"", "broker = \"ib\"");
        let id = |id| ("account_id = \"\"", id);
        let paper = id("account_id = \"DU7\"");
        let live = id("account_id = \"U7\"");
        let kind = ("account_kind = \"paper\"", "account_kind = \"live\"");
        let permitted = ("live_trading = false", "live_trading = true");
        let named = ("allowed_accounts = []", "allowed_accounts = [\"U7\"]");
        let observed = ("orders = \"send\"", "orders = \"observe\"");
        let refused = [
            (vec![ib], "account_id is empty"),
            (vec![ib, paper, kind], "DU7 is a paper account"),
            (vec![ib, live], "U7 is a live account"),
            (vec![ib, live, kind], "live_trading = false"),
            (vec![ib, live, kind, permitted], "does not name the live account U7"),
        ];
        for (changes, why) in refused {
            let found = faults_of(&changes);
            assert!(found[0].contains(why), "{changes:?}: {found:?}");
        }
        for changes in [
            vec![ib, paper],
            vec![ib, live, kind, permitted, named],
            vec![ib, live, kind, observed],
        ] {
            assert_eq!(faults_of(&changes), Vec::<String>::new(), "{changes:?}");
        }
    }

    #[test]
    fn numbers_that_cannot_be_meant_are_refused_with_key_line_and_remedy() {
        assert_eq!(faults("step_seconds = 30", "step_seconds = 30"), Vec::<String>::new());
        let cases = [
            ("step_seconds = 30", "step_seconds = 0", "step_seconds", "10 or more"),
            ("ladder_steps = 5", "ladder_steps = 9", "ladder_steps", "4 to 6"),
            ("urgent_collar_ratio = 0.25", "urgent_collar_ratio = 0.6", "collar", "at most twice"),
            ("trade_max_loss_ratio = 0.02", "trade_max_loss_ratio = inf", "is inf", "fraction"),
            ("drawdown_ratio_max = 0.08", "drawdown_ratio_max = -0.08", "-0.08", "fraction"),
            ("capital_usd = 250000.0", "capital_usd = nan", "capital_usd", "USD"),
            ("127.0.0.1:4002", "127.0.0.1", "host:port", "4002"),
            ("client_id = 1", "client_id = 0", "client_id = 0", "1 to 999999"),
            ("market_data_lines = 100", "market_data_lines = 3", "= 3", "50 to 1000"),
            ("levels = { no_new = 600.0 }", "levels = { halt = 1.0 }", "ceiling", "stale_data"),
        ];
        for (from, to, what, remedy) in cases {
            let found = faults(from, to);
            let told = found.iter().any(|fault| {
                fault.starts_with(FILE) && fault.contains(what) && fault.contains(remedy)
            });
            assert!(told, "{to}: {found:?}");
        }
    }
}
