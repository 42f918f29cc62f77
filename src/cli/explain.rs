//! `deltadesk explain ID`: a decision, an order or a strategy with everything behind it.
//!
//! Reads the lake only. What is printed is what was stored when it happened; nothing is computed
//! again.

mod page;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use serde_json::json;

use super::jobs::plain;
use super::sql::{OpenLake, as_json, say};
use crate::desk::home::Home;
use crate::lake::Rows;

/// Fewer letters than this name too many things.
const PREFIX_LENGTH_MIN: usize = 6;
/// How many of several that fit are listed.
const LISTED_MAX: usize = 10;

/// Where identities are found.
const LISTS: &str = "
  deltadesk sql \"select decision_id, as_of, symbol, action from gold.decisions order by as_of\"
  deltadesk sql \"select order_ref, state, changed_at from ops.orders order by changed_at\"
  deltadesk sql \"select strategy_id, symbol, structure, state from ops.strategies\"";

/// What was typed.
#[derive(Debug, Args)]
pub struct Typed {
    /// A decision_id, an order_ref or a strategy_id; its first 6 characters or more do where only
    /// one begins so.
    id: String,
    /// One JSON object, a key a part, instead of a page.
    #[arg(long)]
    json: bool,
}

impl Typed {
    pub fn run(self, home: Option<PathBuf>) -> anyhow::Result<()> {
        let home = Home::choose(home, Path::new("desk"));
        let lake = OpenLake::open(&home, None)?;
        let evidence = Evidence::of(&lake, &find(&lake, plain(&self.id)?)?)?;
        if self.json {
            return say(&format!("{}\n", evidence.json()?));
        }
        say(&page::text(&evidence)?)
    }
}

/// What an ID stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Subject {
    /// A decision, a strategy, or both: a strategy is called as the decision that opened it.
    DecisionOrStrategy(String),
    Order(String),
}

/// Every table with identities: the table, its column, and what the column names.
const NAMED: [(&str, &str); 7] = [
    ("gold.decisions", "decision_id"),
    ("ops.capsules", "decision_id"),
    ("ops.orders", "decision_id"),
    ("ops.orders", "strategy_id"),
    ("ops.orders", "order_ref"),
    ("ops.risk_checks", "order_ref"),
    ("ops.strategies", "strategy_id"),
];

fn find(lake: &OpenLake, text: &str) -> anyhow::Result<Subject> {
    let mut found: BTreeSet<String> = BTreeSet::new();
    // An order's reference begins with its decision, so a prefix of a decision fits both.
    let of_order = text.contains('.');
    for (table, column) in NAMED.into_iter().filter(|(table, _)| lake.has(table)) {
        if (column == "order_ref") != of_order {
            continue;
        }
        let sql = format!(
            "select distinct {column} as id from {table} \
             where starts_with({column}, '{text}') limit 1000"
        );
        for row in lake.rows(&sql)?.iter() {
            found.insert(row.text("id")?.to_owned());
        }
    }
    let subject =
        |id: String| if of_order { Subject::Order(id) } else { Subject::DecisionOrStrategy(id) };
    if found.contains(text) {
        return Ok(subject(text.to_owned()));
    }
    if text.len() < PREFIX_LENGTH_MIN {
        bail!("nothing is called {text}; at least {PREFIX_LENGTH_MIN} characters name a beginning");
    }
    if found.len() > 1 {
        let listed: Vec<&str> = found.iter().take(LISTED_MAX).map(String::as_str).collect();
        bail!(
            "{} identities begin with {text}; type more of one:\n  {}",
            found.len(),
            listed.join("\n  ")
        );
    }
    match found.pop_first() {
        Some(id) => Ok(subject(id)),
        None => bail!("nothing in the lake is called {text}; these list what there is:{LISTS}"),
    }
}

/// Rows of the lake about one subject. A part without rows is `None`.
struct Evidence {
    id: String,
    decision: Option<Rows>,
    capsule: Option<Rows>,
    orders: Option<Rows>,
    checks: Option<Rows>,
    fills: Option<Rows>,
    strategy: Option<Rows>,
    legs: Option<Rows>,
    /// Decisions about the strategy, its opening included.
    others: Option<Rows>,
    /// Words for contracts, by conid.
    contracts: BTreeMap<i64, String>,
}

impl Evidence {
    fn of(lake: &OpenLake, subject: &Subject) -> anyhow::Result<Self> {
        let (id, filter) = match subject {
            Subject::Order(id) => (id, format!("order_ref = '{id}'")),
            Subject::DecisionOrStrategy(id) => {
                (id, format!("decision_id = '{id}' or strategy_id = '{id}'"))
            }
        };
        let orders = part(lake, "ops.orders", &format!("where {filter} order by change_seq"))?;
        let named = |column: &str| texts(orders.as_ref(), column);
        let decision_id = match subject {
            Subject::Order(id) => match named("decision_id")?.pop_first() {
                Some(decision_id) => decision_id,
                None => id.split('.').next().unwrap_or(id).to_owned(),
            },
            Subject::DecisionOrStrategy(id) => id.clone(),
        };
        let strategy_id = named("strategy_id")?.pop_first().unwrap_or_else(|| decision_id.clone());
        let strategy_id = match subject {
            Subject::DecisionOrStrategy(id) if is_strategy(lake, id)? => id.clone(),
            Subject::DecisionOrStrategy(_) | Subject::Order(_) => strategy_id,
        };
        let mut refs = named("order_ref")?;
        if let Subject::Order(id) = subject {
            refs.insert(id.clone());
        } else {
            let like = format!("where starts_with(order_ref, '{decision_id}.')");
            refs.extend(texts(part(lake, "ops.risk_checks", &like)?.as_ref(), "order_ref")?);
        }
        let of_orders = format!("where order_ref in ({})", quoted(&refs));
        let of_decision = format!("where decision_id = '{decision_id}'");
        let of_strategy = format!("where strategy_id = '{strategy_id}'");
        let decision = part(lake, "gold.decisions", &of_decision)?;
        let legs =
            part(lake, "ops.strategy_legs", &format!("{of_strategy} order by change_seq, conid"))?;
        let fills =
            part(lake, "bronze.executions", &format!("{of_orders} order by executed_at, exec_id"))?;
        let contracts = contracts(lake, &conids(&[&decision, &orders, &fills, &legs])?)?;
        Ok(Self {
            id: id.clone(),
            capsule: part(lake, "ops.capsules", &of_decision)?,
            checks: part(
                lake,
                "ops.risk_checks",
                &format!("{of_orders} order by order_ref, attempt, check_id"),
            )?,
            strategy: part(lake, "ops.strategies", &format!("{of_strategy} order by change_seq"))?,
            others: part(
                lake,
                "gold.decisions",
                &format!(
                    "where subject_id = '{strategy_id}' or decision_id = '{strategy_id}' \
                     order by as_of, decision_id"
                ),
            )?,
            decision,
            orders,
            fills,
            legs,
            contracts,
        })
    }

    fn json(&self) -> anyhow::Result<serde_json::Value> {
        let mut all = serde_json::Map::new();
        all.insert("id".to_owned(), json!(self.id));
        for (name, rows) in [
            ("decision", &self.decision),
            ("capsule", &self.capsule),
            ("checks", &self.checks),
            ("orders", &self.orders),
            ("fills", &self.fills),
            ("strategy", &self.strategy),
            ("strategy_legs", &self.legs),
            ("strategy_decisions", &self.others),
        ] {
            let rows = rows.as_ref().map(|rows| as_json(rows.batch())).transpose()?;
            all.insert(name.to_owned(), json!(rows.unwrap_or_default()));
        }
        Ok(serde_json::Value::Object(all))
    }
}

/// Rows of a table, where it has been made and has some.
fn part(lake: &OpenLake, table: &str, rest: &str) -> anyhow::Result<Option<Rows>> {
    if !lake.has(table) || rest.contains("in ()") {
        return Ok(None);
    }
    let rows = lake.rows(&format!("select * from {table} {rest}"))?;
    Ok((!rows.is_empty()).then_some(rows))
}

fn is_strategy(lake: &OpenLake, id: &str) -> anyhow::Result<bool> {
    let found = part(lake, "ops.strategies", &format!("where strategy_id = '{id}' limit 1"))?;
    Ok(found.is_some())
}

/// The values of a text column, each once.
fn texts(rows: Option<&Rows>, column: &str) -> anyhow::Result<BTreeSet<String>> {
    let Some(rows) = rows else { return Ok(BTreeSet::new()) };
    rows.iter().map(|row| Ok(row.text(column)?.to_owned())).collect()
}

fn quoted(values: &BTreeSet<String>) -> String {
    values.iter().map(|value| format!("'{value}'")).collect::<Vec<_>>().join(", ")
}

/// Every contract that a decision, an order, a fill or a leg names.
fn conids(parts: &[&Option<Rows>; 4]) -> anyhow::Result<BTreeSet<i64>> {
    let [decision, orders, fills, legs] = parts;
    let mut found = BTreeSet::new();
    for row in decision.iter().flat_map(Rows::iter) {
        if let Some(legs) = row.maybe_list("legs")? {
            for leg in legs.iter() {
                found.insert(leg.int("conid")?);
            }
        }
    }
    for row in orders.iter().flat_map(Rows::iter) {
        found.extend(page::order_legs(row.text("legs")?).map(|(conid, _)| conid));
    }
    for row in fills.iter().chain(legs.iter()).flat_map(Rows::iter) {
        found.insert(row.int("conid")?);
    }
    Ok(found)
}

fn contracts(lake: &OpenLake, conids: &BTreeSet<i64>) -> anyhow::Result<BTreeMap<i64, String>> {
    let listed = conids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let rest = format!("where conid in ({listed})");
    let rows = part(lake, "bronze.contracts", &rest)?;
    rows.iter()
        .flat_map(Rows::iter)
        .map(|row| Ok((row.int("conid")?, page::contract(row)?)))
        .collect()
}
