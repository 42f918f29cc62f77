//! What the desk holds: strategies with their legs, contracts and last quotes.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::NaiveDate;
use rust_decimal::Decimal;

use crate::lake::{LakeError, Row};
use crate::market::{
    ConId, ExerciseStyle, Instrument, OptionContract, OptionRight, Price, Settlement,
    StockContract, Symbol, Timestamp,
};
use crate::report::{BookGreeks, Greeks};
use crate::risk::{ContractGrid, LegMarket, NodeProfits, ScenarioParameters};

use super::tables::Tables;
use super::words::{day, money};

const STRATEGIES: &str = "
    select * from (
        select *, row_number() over (
            partition by strategy_id order by change_seq desc
        ) as recency
        from ops.strategies where session_date <= $session_date
    ) as ranked
    where recency = 1 and opened_quantity > 0
        and (quantity > 0 or session_date = $session_date)
    order by strategy_id";

const LEGS: &str = "
    select * from (
        select *, row_number() over (
            partition by strategy_id, conid order by change_seq desc
        ) as recency
        from ops.strategy_legs where session_date <= $session_date
    ) as ranked
    where recency = 1 and quantity <> 0 order by strategy_id, conid";

const CONTRACTS: &str = "
    select * from (
        select *, row_number() over (partition by conid order by ingest_seq desc) as recency
        from bronze.contracts where session_date <= $session_date
    ) as ranked
    where recency = 1 order by conid";

/// Of what a strategy ever held.
const QUOTES: &str = "
    select conid, received_at, bid, ask, vol, delta, vega, rate, yield, spot_usd from (
        select *, row_number() over (
            partition by conid order by received_at desc, ingest_seq desc
        ) as recency
        from silver.option_quotes
        where session_date = $session_date and received_at <= $session_close
            and conid in (select conid from ops.strategy_legs)
    ) as ranked
    where recency = 1 order by conid";

const MARKS: &str = "
    select conid, mid from (
        select *, row_number() over (partition by conid order by as_of desc) as recency
        from gold.marks_daily where session_date = $session_date
    ) as ranked
    where recency = 1 and mid is not null order by conid";

const EXPOSURES: &str = "
    select * from gold.exposures
    where session_date = $session_date and as_of <= $session_close and scope = 'portfolio'
    order by as_of desc, run_id desc limit 1";

/// The latest row of a strategy. Money is USD, received positive.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Strategy {
    pub id: String,
    pub symbol: String,
    pub structure: String,
    pub state: String,
    pub quantity: i64,
    pub opened_quantity: i64,
    pub opening_cash: Decimal,
    pub realised: Decimal,
    pub max_loss: Decimal,
    pub close_rule: Option<String>,
    pub opened_at: Option<Timestamp>,
}

/// One contract that a strategy holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Leg {
    pub strategy_id: String,
    pub conid: i64,
    pub symbol: String,
    pub security_kind: String,
    pub expiry_date: Option<NaiveDate>,
    pub quantity: i64,
}

/// A contract's details.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Contract {
    pub symbol: String,
    pub security_kind: String,
    pub local_symbol: Option<String>,
    pub expiry_date: Option<NaiveDate>,
    pub strike: Option<Price>,
    /// Where it is an option whose every detail is known.
    pub option: Option<Arc<OptionContract>>,
}

/// What is held at the end of the session, and what was closed in it.
pub(super) struct Holdings {
    pub strategies: Vec<Strategy>,
    pub legs: Vec<Leg>,
    pub contracts: BTreeMap<i64, Contract>,
    pub quotes: BTreeMap<i64, LegMarket>,
    /// Mids at the close, USD a share, of everything held.
    pub marks: BTreeMap<i64, f64>,
}

impl Holdings {
    pub async fn read(tables: &Tables) -> anyhow::Result<Self> {
        let strategies = tables.rows(STRATEGIES).await?;
        let legs = tables.rows(LEGS).await?;
        let contracts = tables.rows(CONTRACTS).await?;
        let quotes = tables.rows(QUOTES).await?;
        let marks = tables.rows(MARKS).await?;
        Ok(Self {
            strategies: strategies.iter().map(|row| strategy(&row)).collect::<Result<_, _>>()?,
            legs: legs.iter().map(|row| leg(&row)).collect::<Result<_, _>>()?,
            contracts: contracts.iter().map(|row| contract(&row)).collect::<Result<_, _>>()?,
            quotes: quotes.iter().map(|row| quote(&row)).collect::<Result<_, _>>()?,
            marks: marks.iter().map(|row| mark(&row)).collect::<Result<_, _>>()?,
        })
    }

    pub fn legs_of<'a>(&'a self, strategy_id: &'a str) -> impl Iterator<Item = &'a Leg> {
        self.legs.iter().filter(move |leg| leg.strategy_id == strategy_id)
    }

    /// The book's worst loss on the scenario grid at the last quotes, zero or negative. Nothing
    /// where a holding cannot be priced.
    pub fn worst_case(&self, parameters: &ScenarioParameters, now: Timestamp) -> Option<Decimal> {
        let mut profits = NodeProfits::default();
        for leg in &self.legs {
            let (instrument, market) = self.priced(leg)?;
            let grid = ContractGrid::price(&instrument, &market, parameters, now)?;
            profits.add(&grid, leg.quantity as f64);
        }
        money(Some(profits.worst_loss())).map(|loss| -loss)
    }

    fn priced(&self, leg: &Leg) -> Option<(Instrument, LegMarket)> {
        if let Some(option) = self.contracts.get(&leg.conid).and_then(|known| known.option.clone())
        {
            return Some((Instrument::Option(option), *self.quotes.get(&leg.conid)?));
        }
        if leg.security_kind != "STK" {
            return None;
        }
        let price = self.marks.get(&leg.conid).copied().and_then(Price::from_f64);
        let stock = StockContract { conid: ConId(leg.conid), symbol: Symbol::new(&leg.symbol) };
        let market = LegMarket {
            bid: price,
            ask: price,
            received_at: Timestamp::UNIX_EPOCH,
            vol: None,
            delta: None,
            vega: None,
            rate: None,
            dividend_yield: None,
            spot: price.map(Price::to_f64),
        };
        Some((Instrument::Stock(stock), market))
    }

    /// The book's Greeks of the last run; an empty book has none of anything.
    pub async fn book(
        &self,
        tables: &Tables,
        worst_case_usd: Option<Decimal>,
    ) -> anyhow::Result<BookGreeks> {
        if self.legs.is_empty() {
            let zero = Some(0.0);
            return Ok(BookGreeks {
                greeks: Greeks {
                    delta_usd: zero,
                    gamma_usd_1pct: zero,
                    vega_usd: zero,
                    theta_usd: zero,
                },
                beta_delta_spy_shares: zero,
                worst_case_usd,
            });
        }
        let rows = tables.rows(EXPOSURES).await?;
        let Some(row) = rows.first() else {
            return Ok(BookGreeks { worst_case_usd, ..BookGreeks::default() });
        };
        Ok(BookGreeks {
            greeks: Greeks {
                delta_usd: row.maybe_double("delta_usd")?,
                gamma_usd_1pct: row.maybe_double("gamma_usd_1pct")?,
                vega_usd: row.maybe_double("vega_usd")?,
                theta_usd: row.maybe_double("theta_usd")?,
            },
            beta_delta_spy_shares: row.maybe_double("beta_delta_spy_shares")?,
            worst_case_usd,
        })
    }

    /// A contract in words: `put 540`, `ESH6`, `shares`.
    pub fn contract_words(&self, conid: i64) -> String {
        self.contracts.get(&conid).map_or_else(|| format!("contract {conid}"), Contract::words)
    }

    /// Legs in short: strikes in order, then the expiry. `640/650, 17 Apr 2026`.
    pub fn legs_words(&self, conids: &[i64]) -> String {
        let known: Vec<&Contract> =
            conids.iter().filter_map(|conid| self.contracts.get(conid)).collect();
        let mut strikes: Vec<Price> = known.iter().filter_map(|one| one.strike).collect();
        if known.len() != conids.len() || strikes.len() != known.len() {
            let words: Vec<String> =
                conids.iter().map(|conid| self.contract_words(*conid)).collect();
            return words.join(" / ");
        }
        strikes.sort();
        let strikes: Vec<String> =
            strikes.iter().map(|strike| strike.decimal().normalize().to_string()).collect();
        let mut expiries: Vec<NaiveDate> = known.iter().filter_map(|one| one.expiry_date).collect();
        expiries.sort_unstable();
        expiries.dedup();
        let expiries: Vec<String> = expiries.into_iter().map(day).collect();
        format!("{}, {}", strikes.join("/"), expiries.join(" and "))
    }
}

impl Contract {
    pub fn words(&self) -> String {
        let strike = || self.strike.map(|strike| strike.decimal().normalize().to_string());
        match (self.security_kind.as_str(), self.option.as_ref(), strike()) {
            ("OPT", Some(option), Some(strike)) => match option.right {
                OptionRight::Put => format!("put {strike}"),
                OptionRight::Call => format!("call {strike}"),
            },
            ("STK", _, _) => "shares".to_owned(),
            (_, _, _) => self.local_symbol.clone().unwrap_or_else(|| self.symbol.clone()),
        }
    }
}

fn strategy(row: &Row<'_>) -> Result<Strategy, LakeError> {
    Ok(Strategy {
        id: row.text("strategy_id")?.to_owned(),
        symbol: row.text("symbol")?.to_owned(),
        structure: row.text("structure")?.to_owned(),
        state: row.text("state")?.to_owned(),
        quantity: row.int("quantity")?,
        opened_quantity: row.int("opened_quantity")?,
        opening_cash: row.usd("opening_cash_usd")?.decimal(),
        realised: row.usd("realised_usd")?.decimal(),
        max_loss: row.usd("max_loss_usd")?.decimal(),
        close_rule: row.maybe_text("close_rule")?.map(str::to_owned),
        opened_at: row.maybe_instant("opened_at")?,
    })
}

fn leg(row: &Row<'_>) -> Result<Leg, LakeError> {
    Ok(Leg {
        strategy_id: row.text("strategy_id")?.to_owned(),
        conid: row.int("conid")?,
        symbol: row.text("symbol")?.to_owned(),
        security_kind: row.text("security_kind")?.to_owned(),
        expiry_date: row.maybe_date("expiry_date")?,
        quantity: row.int("quantity")?,
    })
}

fn contract(row: &Row<'_>) -> Result<(i64, Contract), LakeError> {
    let contract = Contract {
        symbol: row.text("symbol")?.to_owned(),
        security_kind: row.text("security_kind")?.to_owned(),
        local_symbol: row.maybe_text("local_symbol")?.map(str::to_owned),
        expiry_date: row.maybe_date("expiry_date")?,
        strike: row.maybe_price("strike_usd")?,
        option: option(row)?.map(Arc::new),
    };
    Ok((row.int("conid")?, contract))
}

/// The option of a row, where it is one and nothing of it is missing.
fn option(row: &Row<'_>) -> Result<Option<OptionContract>, LakeError> {
    let style = match row.maybe_text("exercise_style")? {
        Some("american") => Some(ExerciseStyle::American),
        Some("european") => Some(ExerciseStyle::European),
        Some(_) | None => None,
    };
    let settlement = match row.maybe_text("settlement")? {
        Some("physical") => Some(Settlement::Physical),
        Some("cash") => Some(Settlement::Cash),
        Some(_) | None => None,
    };
    let right = row.maybe_text("option_right")?.and_then(|text| text.parse().ok());
    let dates = (row.maybe_date("expiry_date")?, row.maybe_instant("expires_at")?);
    let (Some(style), Some(settlement), Some(right), (Some(expiry_date), Some(expires_at))) =
        (style, settlement, right, dates)
    else {
        return Ok(None);
    };
    let (Some(strike), Some(min_tick), Some(occ_symbol), Some(last_trade_at)) = (
        row.maybe_price("strike_usd")?,
        row.maybe_price("min_tick")?,
        row.maybe_text("occ_symbol")?,
        row.maybe_instant("last_trade_at")?,
    ) else {
        return Ok(None);
    };
    Ok(Some(OptionContract {
        conid: ConId(row.int("conid")?),
        occ_symbol: Arc::from(occ_symbol),
        symbol: Symbol::new(row.text("symbol")?),
        expiry_date,
        strike,
        right,
        style,
        settlement,
        multiplier: row.int("multiplier")?,
        min_tick,
        last_trade_at,
        expires_at,
    }))
}

fn quote(row: &Row<'_>) -> Result<(i64, LegMarket), LakeError> {
    let market = LegMarket {
        bid: row.maybe_price("bid")?,
        ask: row.maybe_price("ask")?,
        received_at: row.instant("received_at")?,
        vol: row.maybe_double("vol")?,
        delta: row.maybe_double("delta")?,
        vega: row.maybe_double("vega")?,
        rate: row.maybe_double("rate")?,
        dividend_yield: row.maybe_double("yield")?,
        spot: row.maybe_double("spot_usd")?,
    };
    Ok((row.int("conid")?, market))
}

fn mark(row: &Row<'_>) -> Result<(i64, f64), LakeError> {
    Ok((row.int("conid")?, row.double("mid")?))
}
