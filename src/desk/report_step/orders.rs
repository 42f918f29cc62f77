//! Orders that passed the gate, and their fills.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use rust_decimal::Decimal;

use crate::lake::{LakeError, Row};
use crate::market::{Price, Timestamp, Usd};
use crate::report::OrderRow;

use super::holdings::Holdings;
use super::markout::Mids;
use super::tables::Tables;
use super::words::plain;

const ORDERS: &str = "
    select * from (
        select *, row_number() over (partition by order_ref order by change_seq desc) as recency
        from ops.orders where session_date = $session_date
    ) as ranked
    where recency = 1 and state <> 'denied' order by created_at, order_ref";

const FILLS: &str = "
    select order_ref, sum(commission_usd) as fees_usd, max(executed_at) as filled_at
    from silver.fills
    where session_date = $session_date and order_ref is not null
    group by order_ref order by order_ref";

const STRUCTURES: &str = "
    select strategy_id, symbol, structure from (
        select *, row_number() over (
            partition by strategy_id order by change_seq desc
        ) as recency
        from ops.strategies where session_date <= $session_date
    ) as ranked
    where recency = 1 order by strategy_id";

/// Orders that passed the gate.
pub(super) async fn orders(tables: &Tables, holdings: &Holdings) -> anyhow::Result<Vec<OrderRow>> {
    let names = structures(tables).await?;
    let mut fills: BTreeMap<String, (Option<Decimal>, Timestamp)> = BTreeMap::new();
    for row in tables.rows(FILLS).await?.iter() {
        let fees = row.maybe_usd("fees_usd")?.map(Usd::decimal);
        fills.insert(row.text("order_ref")?.to_owned(), (fees, row.instant("filled_at")?));
    }
    let rows = tables.rows(ORDERS).await?;
    let mut traded = BTreeSet::new();
    for row in rows.iter() {
        if row.int("filled_quantity")? > 0 {
            traded.extend(legs_of(&row)?.into_iter().map(|(conid, _)| conid));
        }
    }
    let traded: Vec<i64> = traded.into_iter().collect();
    let mids = Mids::read(tables, &traded).await?;
    let mut orders = Vec::new();
    for row in rows.iter() {
        let name = names.get(row.text("strategy_id")?);
        let fill = fills.get(row.text("order_ref")?).copied();
        let mut order = order(&row, (name, holdings))?;
        order.fees_usd = fill.and_then(|(fees, _)| fees);
        if let Some((_, filled_at)) = fill {
            let legs = legs_of(&row)?;
            let after = |minutes| mids.markout(&legs, filled_at, TimeDelta::minutes(minutes));
            order.markout_1m_usd = after(1);
            order.markout_10m_usd = after(10);
        }
        orders.push(order);
    }
    Ok(orders)
}

/// The order without what came of it afterwards.
fn order(
    row: &Row<'_>,
    (name, holdings): (Option<&(String, String)>, &Holdings),
) -> Result<OrderRow, LakeError> {
    Ok(OrderRow {
        order_ref: row.text("order_ref")?.to_owned(),
        sent_at: row.instant("created_at")?,
        subject: name.map_or_else(|| "unknown".to_owned(), |(symbol, _)| symbol.clone()),
        purpose: row.text("purpose")?.to_owned(),
        what: what(row, (name, holdings))?,
        quantity: row.int("quantity")?,
        filled_quantity: row.int("filled_quantity")?,
        status: row.text("state")?.to_owned(),
        arrival_mid_usd: row.maybe_price("arrival_mid")?.map(Price::decimal),
        last_limit_usd: row.maybe_price("limit_price")?.map(Price::decimal),
        fill_price_usd: row.maybe_price("average_fill_price")?.map(Price::decimal),
        fees_usd: None,
        markout_1m_usd: None,
        markout_10m_usd: None,
    })
}

/// Contracts and ratios, as the order trades them.
fn legs_of(row: &Row<'_>) -> Result<Vec<(i64, i64)>, LakeError> {
    let legs = row.text("legs")?.split_whitespace().filter_map(|leg| {
        let (conid, ratio) = leg.split_once(':')?;
        Some((conid.parse().ok()?, ratio.parse().ok()?))
    });
    Ok(legs.collect())
}

/// `sell 1 iron condor 640/650/690/700, 17 Apr 2026`, and why it ended where it did not fill.
fn what(
    row: &Row<'_>,
    (name, holdings): (Option<&(String, String)>, &Holdings),
) -> Result<String, LakeError> {
    let conids: Vec<i64> = legs_of(row)?.into_iter().map(|(conid, _)| conid).collect();
    let price = row.maybe_price("arrival_mid")?.or(row.maybe_price("worst_price")?);
    let received = price.is_some_and(Price::is_negative);
    let verb = match (row.text("purpose")?, received) {
        ("close", false) => "buy back",
        (_, false) => "buy",
        (_, true) => "sell",
    };
    let structure = name.map_or_else(|| "combo".to_owned(), |(_, structure)| plain(structure));
    let quantity = row.int("quantity")?;
    let order = format!("{verb} {quantity} {structure} {}", holdings.legs_words(&conids));
    let reason = row.text("reason")?;
    let ended = matches!(row.text("state")?, "cancelled" | "rejected" | "unknown");
    Ok(if ended && !reason.is_empty() { format!("{order}: {reason}") } else { order })
}

async fn structures(tables: &Tables) -> anyhow::Result<BTreeMap<String, (String, String)>> {
    let mut names = BTreeMap::new();
    for row in tables.rows(STRUCTURES).await?.iter() {
        let name = (row.text("symbol")?.to_owned(), row.text("structure")?.to_owned());
        names.insert(row.text("strategy_id")?.to_owned(), name);
    }
    Ok(names)
}
