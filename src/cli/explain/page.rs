//! The evidence as a page: the decision first, then what the gate said, then what came of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use rust_decimal::Decimal;

use super::Evidence;
use crate::cli::sql::{aligned, instant_text};
use crate::lake::{Row, Rows};
use crate::market::{Price, Usd};

/// Verdicts of a check in the order of the page: as stored, the word that stands in front, and 1
/// where it stands against the order.
const VERDICTS: [(&str, &str, i32); 4] = [
    ("fail", "FAIL", 1),
    ("unevaluable", "UNEVALUABLE", 1),
    ("pass", "pass", 0),
    ("not_applicable", "not applicable", 0),
];

/// The whole page.
pub fn text(evidence: &Evidence) -> anyhow::Result<String> {
    let mut page = String::new();
    match evidence.decision.as_ref().and_then(Rows::first) {
        Some(row) => page.push_str(&decision(row, evidence)?),
        None => {
            let _ = writeln!(page, "{}: no decision of this name is in the lake", evidence.id);
        }
    }
    if let Some(row) = evidence.capsule.as_ref().and_then(Rows::first) {
        page.push_str(&capsule(row)?);
    }
    if let Some(rows) = &evidence.checks {
        page.push_str(&gate(rows)?);
    }
    if let Some(rows) = &evidence.orders {
        page.push_str(&orders(rows, evidence)?);
    }
    if let Some(rows) = &evidence.fills {
        page.push_str(&fills(rows, evidence)?);
    }
    if let Some(rows) = &evidence.strategy {
        page.push_str(&strategy(rows, evidence)?);
    }
    if let Some(rows) = &evidence.others {
        page.push_str(&others(rows)?);
    }
    Ok(page)
}

fn decision(row: Row<'_>, evidence: &Evidence) -> anyhow::Result<String> {
    let about = |column: &str| row.maybe_text(column).map(|text| text.unwrap_or("-"));
    let mut rows = vec![
        pair("at", &instant_text(row.instant("as_of")?)),
        pair(
            "rule",
            &format!(
                "{}, urgency {}, fraction {}",
                row.text("rule")?,
                row.maybe_int("urgency")?.map_or_else(unknown, |urgency| urgency.to_string()),
                number(row.maybe_double("fraction")?)
            ),
        ),
        pair("reason", about("reason")?),
        pair("subject", &format!("{} {}", row.text("scope")?, row.text("subject_id")?)),
    ];
    for leg in row.maybe_list("legs")?.iter().flat_map(Rows::iter) {
        rows.push(pair("leg", &leg_text(leg.int("conid")?, leg.int("ratio")?, evidence)));
    }
    rows.push(pair(
        "price",
        &format!(
            "mid {}, natural {}, worst {} (USD a share, credit negative)",
            price(row.maybe_price("mid_price")?),
            price(row.maybe_price("natural_price")?),
            price(row.maybe_price("worst_price")?)
        ),
    ));
    if row.maybe_usd("max_loss_usd")?.is_some() {
        rows.push(pair(
            "at risk",
            &format!(
                "{} USD at most, margin {} USD, expected value {} USD",
                usd(row.maybe_usd("max_loss_usd")?),
                usd(row.maybe_usd("margin_usd")?),
                cents(row.maybe_double("expected_value_usd")?)
            ),
        ));
    }
    rows.push(pair("run", row.text("run_id")?));
    Ok(format!(
        "decision {}: {} {} {}\n{}",
        row.text("decision_id")?,
        row.text("action")?,
        about("symbol")?,
        about("structure")?,
        aligned(&[], &rows)
    ))
}

fn capsule(row: Row<'_>) -> anyhow::Result<String> {
    let detail = row.text("detail")?;
    let mut outcome = row.text("outcome")?.to_owned();
    if !detail.is_empty() {
        outcome = format!("{outcome}: {detail}");
    }
    let rows = [
        pair("outcome", &outcome),
        pair("read", &format!("rows up to ingest_seq {}", row.int("ingest_seq_cut")?)),
        pair("sql", row.text("sql_hash")?),
        pair("settings", row.text("settings_hash")?),
    ];
    Ok(format!("\ncapsule\n{}", aligned(&[], &rows)))
}

/// Every check of every pass through the gate, those that stand against the order first.
fn gate(rows: &Rows) -> anyhow::Result<String> {
    let mut passes: BTreeMap<(i64, String), Vec<Row<'_>>> = BTreeMap::new();
    for row in rows.iter() {
        let pass = (row.int("attempt")?, row.text("order_ref")?.to_owned());
        passes.entry(pass).or_default().push(row);
    }
    let mut page = String::new();
    for ((_, order_ref), checks) in &passes {
        let mut lines = Vec::new();
        let mut counts = Vec::new();
        let mut against = 0;
        for (result, word, refuses) in VERDICTS {
            let mut count = 0;
            for check in checks {
                if check.text("result")? == result {
                    lines.push(check_line(word, *check)?);
                    count += 1;
                }
            }
            if count > 0 {
                counts.push(format!("{count} {word}"));
            }
            against += count * refuses;
        }
        let verdict = if against > 0 { "refused" } else { "approved" };
        let at = checks.first().map(|check| check.instant("as_of")).transpose()?;
        let _ = writeln!(
            page,
            "\ngate, order {order_ref}, {}: {verdict} ({})",
            at.map_or_else(unknown, instant_text),
            counts.join(", ")
        );
        page.push_str(&aligned(
            &["  verdict", "check", "name", "measured", "limit", "unit", "reason"],
            &lines,
        ));
    }
    Ok(page)
}

fn check_line(word: &str, check: Row<'_>) -> anyhow::Result<Vec<String>> {
    Ok(vec![
        format!("  {word}"),
        check.text("check_id")?.to_owned(),
        check.text("check_name")?.to_owned(),
        number(check.maybe_double("measured")?),
        number(check.maybe_double("limit_value")?),
        check.text("unit")?.to_owned(),
        check.text("reason")?.to_owned(),
    ])
}

fn orders(rows: &Rows, evidence: &Evidence) -> anyhow::Result<String> {
    let mut page = String::new();
    let mut last = "";
    let mut lines: Vec<Vec<String>> = Vec::new();
    let header = ["  changed", "state", "filled", "limit", "average", "reason"];
    for row in rows.iter() {
        let order_ref = row.text("order_ref")?;
        if order_ref != last {
            flush(&mut page, &header, &mut lines);
            let legs = order_legs(row.text("legs")?);
            let legs: Vec<String> =
                legs.map(|(conid, ratio)| leg_text(conid, ratio, evidence)).collect();
            let _ = writeln!(
                page,
                "\norder {order_ref}: {} {} of {}\n  worst {}, mid on arrival {}",
                row.text("purpose")?,
                row.int("quantity")?,
                legs.join(", "),
                price(row.maybe_price("worst_price")?),
                price(row.maybe_price("arrival_mid")?)
            );
            last = order_ref;
        }
        lines.push(vec![
            format!("  {}", instant_text(row.instant("changed_at")?)),
            row.text("state")?.to_owned(),
            format!("{}/{}", row.int("filled_quantity")?, row.int("quantity")?),
            price(row.maybe_price("limit_price")?),
            price(row.maybe_price("average_fill_price")?),
            row.text("reason")?.to_owned(),
        ]);
    }
    flush(&mut page, &header, &mut lines);
    Ok(page)
}

fn flush(page: &mut String, header: &[&str], lines: &mut Vec<Vec<String>>) {
    if !lines.is_empty() {
        page.push_str(&aligned(header, &std::mem::take(lines)));
    }
}

fn fills(rows: &Rows, evidence: &Evidence) -> anyhow::Result<String> {
    let mut lines = Vec::new();
    for row in rows.iter() {
        lines.push(vec![
            format!("  {}", instant_text(row.instant("executed_at")?)),
            row.text("execution_kind")?.to_owned(),
            leg_text(row.int("conid")?, row.int("quantity")?, evidence),
            price(row.maybe_price("price")?),
            usd(row.maybe_usd("cash_usd")?),
            usd(row.maybe_usd("commission_usd")?),
        ]);
    }
    let header = ["  executed", "kind", "contract", "price", "cash USD", "commission USD"];
    Ok(format!("\nfills\n{}", aligned(&header, &lines)))
}

fn strategy(rows: &Rows, evidence: &Evidence) -> anyhow::Result<String> {
    let mut page = String::new();
    let mut lines = Vec::new();
    for row in rows.iter() {
        if lines.is_empty() {
            let _ = writeln!(
                page,
                "\nstrategy {}: {} {}",
                row.text("strategy_id")?,
                row.text("symbol")?,
                row.text("structure")?
            );
        }
        lines.push(vec![
            format!("  {}", instant_text(row.instant("changed_at")?)),
            row.text("state")?.to_owned(),
            format!("{}/{}", row.int("quantity")?, row.int("opened_quantity")?),
            usd(row.maybe_usd("open_basis_usd")?),
            usd(row.maybe_usd("realised_usd")?),
            usd(row.maybe_usd("commissions_usd")?),
            usd(row.maybe_usd("max_loss_usd")?),
            row.maybe_text("close_rule")?.unwrap_or("-").to_owned(),
        ]);
    }
    let header =
        ["  changed", "state", "open", "basis", "realised", "fees", "max loss", "closed by"];
    page.push_str(&aligned(&header, &lines));
    let mut held: BTreeMap<i64, i64> = BTreeMap::new();
    for row in evidence.legs.iter().flat_map(Rows::iter) {
        held.insert(row.int("conid")?, row.int("quantity")?);
    }
    for (conid, quantity) in held.into_iter().filter(|(_, quantity)| *quantity != 0) {
        let _ = writeln!(page, "  holds {}", leg_text(conid, quantity, evidence));
    }
    Ok(page)
}

fn others(rows: &Rows) -> anyhow::Result<String> {
    let mut lines = Vec::new();
    for row in rows.iter() {
        lines.push(vec![
            format!("  {}", instant_text(row.instant("as_of")?)),
            row.text("decision_id")?.to_owned(),
            row.text("action")?.to_owned(),
            row.text("rule")?.to_owned(),
            row.maybe_text("reason")?.unwrap_or("-").to_owned(),
        ]);
    }
    let header = ["  at", "decision", "action", "rule", "reason"];
    Ok(format!("\ndecisions on the strategy\n{}", aligned(&header, &lines)))
}

fn pair(name: &str, value: &str) -> Vec<String> {
    vec![format!("  {name}"), value.to_owned()]
}

fn unknown() -> String {
    "-".to_owned()
}

/// `conid:ratio` pairs as the lake stores an order's legs.
pub fn order_legs(text: &str) -> impl Iterator<Item = (i64, i64)> {
    text.split_whitespace().filter_map(|leg| {
        let (conid, ratio) = leg.split_once(':')?;
        Some((conid.parse().ok()?, ratio.parse().ok()?))
    })
}

fn leg_text(conid: i64, count: i64, evidence: &Evidence) -> String {
    match evidence.contracts.get(&conid) {
        Some(contract) => format!("{count:+} {contract}"),
        None => format!("{count:+} contract {conid}"),
    }
}

/// `SPY 2026-04-17 540 P`, `ES 2026-06-19`, `SPY`.
pub fn contract(row: Row<'_>) -> anyhow::Result<String> {
    let mut words = vec![row.text("symbol")?.to_owned()];
    words.extend(row.maybe_date("expiry_date")?.map(|date| date.to_string()));
    words.extend(row.maybe_price("strike_usd")?.map(|strike| short(strike.decimal())));
    words.extend(row.maybe_text("option_right")?.map(str::to_owned));
    Ok(words.join(" "))
}

fn short(value: Decimal) -> String {
    value.round_dp(4).normalize().to_string()
}

fn price(value: Option<Price>) -> String {
    value.map_or_else(unknown, |value| short(value.decimal()))
}

fn usd(value: Option<Usd>) -> String {
    value.map_or_else(unknown, |value| format!("{:.2}", value.decimal()))
}

/// An amount that a model gave.
fn cents(value: Option<f64>) -> String {
    value.map_or_else(unknown, |value| format!("{value:.2}"))
}

/// Four places where they matter, two where the number is large.
fn number(value: Option<f64>) -> String {
    let Some(value) = value else { return unknown() };
    if value.abs() < 5e-5 {
        return "0".to_owned();
    }
    let text = if value.abs() >= 1000.0 { format!("{value:.2}") } else { format!("{value:.4}") };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let cases = [(Some(-0.0), "0"), (Some(0.25), "0.25"), (Some(12_345.678), "12345.68")];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
        assert_eq!(number(None), "-");
        assert_eq!(number(Some(100.0)), "100");
    }

    #[test]
    fn legs_are_read_as_stored() {
        let legs: Vec<_> = order_legs("101:1 102:-2").collect();
        assert_eq!(legs, [(101, 1), (102, -2)]);
    }
}
