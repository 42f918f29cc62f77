//! What the lake of a served home remembers, so that a server that starts again neither asks nor
//! writes it twice: daily bars, and options that were looked up.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::bail;
use chrono::Days;
use tokio::runtime::Handle;

use crate::broker::ib::{Listed, Recalled};
use crate::ingest::{BarContent, Delivered};
use crate::journal::Journal;
use crate::lake::{Durability, Lake, Row, Rows, TableName};
use crate::market::{
    ConId, ExerciseStyle, OptionContract, OptionRight, Settlement, Symbol, Timestamp,
};
use crate::pipeline::HeldKeys;
use crate::trade::{HeldCopies, Published};

use super::home::Home;
use super::lake_place::lake_place;

/// Watermark of the journal: which listing is in bronze.contracts in full.
const LISTED: &str = "contracts_listed";
/// Expired options are remembered for as long as their end may have to be booked.
const EXPIRED_FOR: Days = Days::new(30);

/// What has been written already.
#[derive(Debug, Default)]
pub struct Memory {
    pub delivered: Delivered,
    pub described: BTreeSet<ConId>,
    /// Ids of executions in silver.
    pub executed: BTreeSet<String>,
    pub published: Published,
}

/// What of silver.fills a flush passes over.
pub fn held_fills(executed: BTreeSet<String>) -> HeldKeys {
    HeldKeys { table: TableName::new("silver", "fills"), column: "exec_id", keys: executed }
}

impl Memory {
    pub async fn of(lake: &Lake) -> anyhow::Result<Self> {
        let sql = "select distinct conid from bronze.contracts";
        let rows = query(lake, None, sql).await?;
        let described: Result<_, _> = rows.iter().map(|row| row.int("conid").map(ConId)).collect();
        // Told again after a restart: the day's profit counts them, the lake has them.
        let sql = "select distinct exec_id from silver.fills";
        let rows = query(lake, None, sql).await?;
        let executed: Result<_, _> =
            rows.iter().map(|row| row.text("exec_id").map(str::to_owned)).collect();
        Ok(Self {
            delivered: delivered_bars(lake).await?,
            described: described?,
            executed: executed?,
            published: published(lake).await?,
        })
    }
}

/// Tables that a broker fills anew at every start: its quotes, its account, and the executions of
/// the day, of which `held_fills` writes none twice (the trader passes over those of days before).
pub fn told_anew() -> [TableName; 5] {
    [
        TableName::new("silver", "option_quotes"),
        TableName::new("silver", "underlying_quotes"),
        TableName::new("silver", "positions"),
        TableName::new("silver", "fills"),
        TableName::new("bronze", "account"),
    ]
}

/// What of the journal the lake holds.
pub async fn published(lake: &Lake) -> anyhow::Result<Published> {
    let newest = async |table: &str| {
        let sql = format!("select coalesce(max(change_seq), 0) as newest from ops.{table}");
        let rows = query(lake, None, &sql).await?;
        let newest = rows.iter().next().map(|row| row.int("newest")).transpose()?;
        anyhow::Ok(newest.unwrap_or_default())
    };
    let alerts = query(lake, None, "select distinct alert_id from ops.alerts").await?;
    let peaks = query(lake, None, "select distinct strategy_id, peaked_at from ops.peaks").await?;
    Ok(Published {
        through: 0,
        held: HeldCopies {
            orders: newest("orders").await?,
            strategies: newest("strategies").await?,
            legs: newest("strategy_legs").await?,
            alerts: alerts
                .iter()
                .map(|row| row.text("alert_id").map(str::to_owned))
                .collect::<Result<_, _>>()?,
            peaks: peaks
                .iter()
                .map(|row| Ok((row.text("strategy_id")?.to_owned(), row.instant("peaked_at")?)))
                .collect::<anyhow::Result<_>>()?,
        },
    })
}

/// What the lake holds as of an instant, or by now.
pub async fn query(lake: &Lake, as_of: Option<Timestamp>, sql: &str) -> anyhow::Result<Rows> {
    let pinned = lake.session_at(as_of).await?;
    let frame = pinned.context().sql(sql).await?;
    let schema = Arc::new(frame.schema().as_arrow().clone());
    let batches = frame.collect().await?;
    Ok(Rows::new(crate::lake::arrow::compute::concat_batches(&schema, &batches)?))
}

/// The daily bars that the lake holds for the models. What was received and not yet read into
/// silver when a process was killed is not among them, and is delivered again.
async fn delivered_bars(lake: &Lake) -> anyhow::Result<Delivered> {
    let sql = "select symbol, session_date, max(implied_vol) as implied_vol from silver.bars \
               where bar_size = '1 day' group by symbol, session_date";
    let rows = query(lake, None, sql).await?;
    rows.iter()
        .map(|row| {
            let key = (Symbol::new(row.text("symbol")?), row.date("session_date")?);
            Ok((key, BarContent::of(row.maybe_double("implied_vol")?)))
        })
        .collect()
}

/// Notes that every option within reach was looked up on a date.
pub fn note_listing(journal: &mut Journal, listed: &Listed) -> anyhow::Result<()> {
    Ok(journal.set_watermark(LISTED, &mark(listed))?)
}

fn mark(listed: &Listed) -> String {
    let counts: Vec<String> =
        listed.counts.iter().map(|(symbol, count)| format!("{symbol}={count}")).collect();
    format!("{} within {} days: {}", listed.of, listed.horizon_days, counts.join(" "))
}

/// The options that an earlier server looked up. They are today's listing in full where it noted so
/// and the lake holds as many: what was noted and not yet stored when it was killed is asked again.
pub fn recall(
    home: &Home,
    (handle, now): (&Handle, Timestamp),
    horizon_days: i64,
) -> anyhow::Result<Recalled> {
    if !home.state_db().exists() {
        return Ok(Recalled::default());
    }
    let known_until = Journal::open(&home.state_db())?.newest()?;
    let lake = handle.block_on(async {
        Lake::open_at(&lake_place(home)?, Durability::Fsync).await.map_err(anyhow::Error::from)
    })?;
    if !lake.tables().contains(&TableName::new("bronze", "contracts")) {
        return Ok(Recalled { known_until, ..Recalled::default() });
    }
    let today = now.with_timezone(&chrono_tz::America::New_York).date_naive();
    let oldest = today - EXPIRED_FOR;
    let sql = format!(
        "select * from (select *, row_number() over (
             partition by conid order by ingest_seq desc) as place from bronze.contracts) rows
         where place = 1 and security_kind = 'OPT' and expiry_date >= date '{oldest}'"
    );
    let rows = handle.block_on(query(&lake, None, &sql))?;
    let options: Vec<Arc<OptionContract>> =
        rows.iter().map(|row| option_of(&row).map(Arc::new)).collect::<anyhow::Result<_>>()?;
    let listed = Listed::of(today, horizon_days, options.iter());
    let noted = Journal::open(&home.state_db())?.watermark(LISTED)?;
    let complete = noted.is_some_and(|noted| noted == mark(&listed));
    Ok(Recalled { options, listing_of: complete.then_some(today), known_until })
}

fn option_of(row: &Row<'_>) -> anyhow::Result<OptionContract> {
    let conid = ConId(row.int("conid")?);
    let right = match row.text("option_right")? {
        "C" => OptionRight::Call,
        "P" => OptionRight::Put,
        other => bail!("bronze.contracts: {conid} has the right `{other}`, not C or P"),
    };
    let style = match row.text("exercise_style")? {
        "american" => ExerciseStyle::American,
        "european" => ExerciseStyle::European,
        other => bail!("bronze.contracts: {conid} has the exercise style `{other}`"),
    };
    let settlement = match row.text("settlement")? {
        "physical" => Settlement::Physical,
        "cash" => Settlement::Cash,
        other => bail!("bronze.contracts: {conid} has the settlement `{other}`"),
    };
    Ok(OptionContract {
        conid,
        occ_symbol: Arc::from(row.text("occ_symbol")?),
        symbol: Symbol::new(row.text("symbol")?),
        expiry_date: row.date("expiry_date")?,
        strike: row.price("strike_usd")?,
        right,
        style,
        settlement,
        multiplier: row.int("multiplier")?,
        min_tick: row.price("min_tick")?,
        last_trade_at: row.instant("last_trade_at")?,
        expires_at: row.instant("expires_at")?,
    })
}
