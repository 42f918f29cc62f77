//! What must hold of a served home whenever its server has stopped: what the gateway has kept of
//! its account is held against the lake, so that neither side is believed alone.

#![cfg(test)]

use std::collections::BTreeMap;
use std::path::Path;

use chrono::{DateTime, NaiveDateTime, Utc};
use serde_json::{Value, json};

use crate::homes::ask;

/// How far cash may differ, USD: the broker tells it in whole cents.
const CENT: f64 = 0.01;

/// What the embedded gateway of a home has kept.
pub struct Kept(Value);

impl Kept {
    /// Before the first order nothing is kept: the account is in cash.
    pub fn of(home: &Path) -> Self {
        let path = home.join("gateway/gateway.json");
        if !path.exists() {
            let account = json!({ "cash": initial_cash(home), "positions": {} });
            let exchange = json!({ "account": account });
            return Self(json!({ "exchange": exchange, "orders": { "all": [] }, "fills": [] }));
        }
        Self(serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
    }

    /// Reference and stage of every order that a client named.
    pub fn orders(&self) -> Vec<(String, String)> {
        let all = self.0["orders"]["all"].as_array().unwrap();
        let named = all.iter().map(|one| (text(&one["order"]["order_ref"]), text(&one["stage"])));
        named.filter(|(order_ref, _)| !order_ref.is_empty()).collect()
    }

    /// References of entries that may still fill.
    pub fn open_entries(&self) -> Vec<String> {
        let ended = ["Filled", "Cancelled", "Inactive"];
        let open = self.orders().into_iter().filter(|(_, stage)| !ended.contains(&stage.as_str()));
        open.map(|(order_ref, _)| order_ref).filter(|one| one.contains(".open.")).collect()
    }

    fn cash(&self) -> f64 {
        text(&self.0["exchange"]["account"]["cash"]).parse().unwrap()
    }

    fn positions(&self) -> Vec<(i64, &Value)> {
        let held = self.0["exchange"]["account"]["positions"].as_object().unwrap();
        held.iter().map(|(conid, position)| (conid.parse().unwrap(), position)).collect()
    }

    fn quantities(&self) -> BTreeMap<i64, i64> {
        let held = self.positions().into_iter();
        held.map(|(conid, position)| (conid, quantity(position))).collect()
    }

    /// Options held, by right: short ones must be covered.
    fn by_right(&self) -> BTreeMap<String, i64> {
        let mut sums = BTreeMap::new();
        for (_, position) in self.positions() {
            if let Some(right) = position["instrument"]["Option"]["right"].as_str() {
                *sums.entry(right.to_owned()).or_default() += quantity(position);
            }
        }
        sums
    }

    /// Executions of contracts of which the lake holds no version.
    fn unheard(&self, home: &Path) -> Vec<Unheard> {
        let told = ask(home, "select exec_id from silver.fills");
        let fills = self.0["fills"].as_array().unwrap().iter();
        fills
            .filter(|fill| text(&fill["contract"]["security_type"]) != "BAG")
            .filter(|fill| {
                let id = text(&fill["execution"]["exec_id"]);
                !told.lines().any(|line| unversioned(line) == unversioned(&id))
            })
            .map(|fill| {
                let shares: f64 = text(&fill["execution"]["shares"]).parse().unwrap();
                let sign = if text(&fill["execution"]["side"]) == "BOT" { 1 } else { -1 };
                Unheard {
                    exec_id: text(&fill["execution"]["exec_id"]),
                    order_ref: text(&fill["execution"]["order_ref"]),
                    at: text(&fill["at"]).parse().unwrap(),
                    conid: fill["contract"]["con_id"].as_i64().unwrap(),
                    quantity: sign * shares as i64,
                }
            })
            .collect()
    }
}

#[derive(Debug)]
struct Unheard {
    exec_id: String,
    order_ref: String,
    at: DateTime<Utc>,
    conid: i64,
    quantity: i64,
}

/// An execution's id without its version.
fn unversioned(exec_id: &str) -> &str {
    exec_id.rsplit_once('.').map_or(exec_id, |(name, _)| name)
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn quantity(position: &Value) -> i64 {
    position["quantity"].as_i64().unwrap()
}

/// When the server said that it stops.
fn stopped_at(said: &[String]) -> DateTime<Utc> {
    let line = said.iter().rev().find(|line| line.contains(" stopping: ")).unwrap();
    let local = NaiveDateTime::parse_from_str(&line[..19], "%Y-%m-%d %H:%M:%S").unwrap();
    local.and_local_timezone(chrono_tz::America::New_York).unwrap().to_utc()
}

/// Contract and quantity of each line.
fn held(csv: &str) -> BTreeMap<i64, i64> {
    let pair = |line: &str| {
        let (conid, quantity) = line.split_once(',').unwrap();
        (conid.parse().unwrap(), quantity.parse().unwrap())
    };
    csv.lines().map(pair).collect()
}

/// Nothing is wrong: the desk found its books clean when it looked last, the gateway holds what the
/// lake adds up to, shorts are covered, no order went twice, and no entry works on.
pub fn sound(home: &Path, said: &[String]) {
    let legs = ask(
        home,
        "select conid, sum(quantity) from (
            select conid, quantity, row_number() over (
                partition by strategy_id, conid order by change_seq desc) as newest
            from ops.strategy_legs) as legs
         where newest = 1 group by conid having sum(quantity) <> 0",
    );
    let theirs = account_sound(home, said);
    assert_eq!(held(&legs), theirs, "ops.strategy_legs and the gateway\n{}", said.join("\n"));
}

/// The same but for the strategies' legs; what the gateway held when the desk heard its last.
pub fn account_sound(home: &Path, said: &[String]) -> BTreeMap<i64, i64> {
    let all = said.join("\n");
    let last = ask(
        home,
        "select difference from ops.reconciliation
         order by as_of desc, reconciliation_seq desc limit 1",
    );
    assert_eq!(last.trim(), "clean", "{all}");
    let uncovered = ask(
        home,
        "select strategy_id from (
            select strategy_id, conid, option_right, quantity, row_number() over (
                partition by strategy_id, conid order by change_seq desc) as newest
            from ops.strategy_legs) as legs
         where newest = 1 group by strategy_id, option_right having sum(quantity) < 0",
    );
    assert_eq!(uncovered, "", "a short leg without its long one\n{all}");
    let kept = Kept::of(home);
    assert_eq!(kept.open_entries(), Vec::<String>::new(), "entries that work on\n{all}");
    let by_right = kept.by_right();
    assert!(by_right.values().all(|sum| *sum >= 0), "uncovered: {by_right:?}\n{all}");
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for (order_ref, _) in kept.orders() {
        *times.entry(order_ref).or_default() += 1;
    }
    assert!(times.values().all(|count| *count == 1), "sent twice: {times:?}\n{all}");
    books_agree(home, &kept, said)
}

/// What the lake adds up to is what the gateway holds, but for what exits did after the desk had
/// heard its last.
fn books_agree(home: &Path, kept: &Kept, said: &[String]) -> BTreeMap<i64, i64> {
    let all = said.join("\n");
    let unheard = kept.unheard(home);
    let mut theirs = kept.quantities();
    for one in &unheard {
        let late = one.at >= stopped_at(said) && one.order_ref.contains(".close.");
        assert!(late, "an execution that the lake does not hold: {one:?}\n{all}");
        assert!(one.exec_id.ends_with(".01"), "{one:?}");
        *theirs.entry(one.conid).or_default() -= one.quantity;
    }
    theirs.retain(|_, quantity| *quantity != 0);
    let fills = ask(
        home,
        "select conid, sum(quantity) from silver.fills group by conid having sum(quantity) <> 0",
    );
    assert_eq!(held(&fills), theirs, "silver.fills and the gateway\n{all}");
    if unheard.is_empty() {
        let booked = ask(home, "select coalesce(sum(cash_usd), 0) from silver.fills");
        let ours = initial_cash(home) + booked.trim().parse::<f64>().unwrap();
        let cash = kept.cash();
        assert!((ours - cash).abs() < CENT, "cash: {ours}, the gateway's {cash}\n{all}");
    }
    theirs
}

fn initial_cash(home: &Path) -> f64 {
    let settings = std::fs::read_to_string(home.join("deltadesk.toml")).unwrap();
    let settings: toml::Table = settings.parse().unwrap();
    settings["paper"]["initial_cash_usd"].as_float().unwrap()
}
