//! The strategies that are open at the end of the session, and those that were closed in it.

use std::collections::BTreeMap;

use crate::lake::{LakeError, Row};
use crate::market::Price;
use crate::report::{Greeks, LegRow, Payoff, StrategyRow};
use crate::risk::LegMarket;

use super::holdings::{Holdings, Leg, Strategy};
use super::payoff::{PricedLeg, payoff};
use super::tables::Tables;
use super::words::{local, money, number, plain};

/// Runs after the close find no fresh quotes: a strategy stands at the last mark of the session.
const STATES: &str = "
    select * from (
        select *, row_number() over (
            partition by strategy_id order by as_of desc, run_id desc
        ) as recency
        from gold.strategy_state
        where session_date = $session_date and as_of <= $session_close
    ) as ranked
    where recency = 1 order by strategy_id";

const VERDICTS: &str = "
    select subject_id, rule, verdict, measured, threshold, reason from (
        select *, row_number() over (
            partition by rule, subject_id order by as_of desc, run_id desc
        ) as recency
        from gold.rule_verdicts
        where session_date = $session_date and as_of <= $session_close and scope = 'strategy'
    ) as ranked
    where recency = 1 order by subject_id, rule";

/// A strategy at its last mark of the session. USD for the whole quantity.
#[derive(Debug, Clone, Copy, PartialEq)]
struct State {
    basis_usd: Option<f64>,
    spot_usd: Option<f64>,
    pnl_usd: Option<f64>,
    pnl_ratio: Option<f64>,
    mark_error_usd: Option<f64>,
    max_loss_usd: Option<f64>,
    option_legs: i64,
    greeks: Greeks,
}

pub(super) async fn strategies(
    tables: &Tables,
    holdings: &Holdings,
) -> anyhow::Result<Vec<StrategyRow>> {
    let states = tables.rows(STATES).await?;
    let states: BTreeMap<String, State> =
        states.iter().map(|row| state(&row)).collect::<Result<_, _>>()?;
    let mut exits: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in tables.rows(VERDICTS).await?.iter() {
        if let Some(words) = verdict_words(&row)? {
            exits.entry(row.text("subject_id")?.to_owned()).or_default().push(words);
        }
    }
    let rows = holdings.strategies.iter().map(|strategy| {
        if strategy.quantity == 0 {
            return closed_row(tables, strategy);
        }
        let state = states.get(&strategy.id);
        let legs: Vec<&Leg> = holdings.legs_of(&strategy.id).collect();
        let next_exit = exits.get(&strategy.id).map(|words| words.join("; "));
        let mut row = open_row(tables, strategy, (state, next_exit));
        row.expiry_date = legs.iter().filter_map(|leg| leg.expiry_date).min();
        row.legs = legs.iter().map(|leg| leg_row(leg, holdings)).collect();
        row.payoff = state.and_then(|state| curves(&legs, holdings, state));
        row
    });
    Ok(rows.collect())
}

fn state(row: &Row<'_>) -> Result<(String, State), LakeError> {
    let spot = row.maybe_double("spot_usd")?;
    let shares = |column: &str| Ok::<_, LakeError>(row.maybe_double(column)?.zip(spot));
    let state = State {
        basis_usd: row.maybe_double("basis_usd")?,
        spot_usd: spot,
        pnl_usd: row.maybe_double("pnl_usd")?,
        pnl_ratio: row.maybe_double("pnl_ratio")?,
        mark_error_usd: row.maybe_double("mark_error_usd")?,
        max_loss_usd: row.maybe_double("max_loss_usd")?,
        option_legs: row.int("option_legs")?,
        greeks: Greeks {
            delta_usd: shares("delta_shares")?.map(|(delta, spot)| delta * spot),
            gamma_usd_1pct: shares("gamma_shares")?.map(|(gamma, spot)| gamma * spot * spot * 0.01),
            vega_usd: row.maybe_double("vega_usd")?,
            theta_usd: row.maybe_double("theta_usd")?,
        },
    };
    Ok((row.text("strategy_id")?.to_owned(), state))
}

/// How far a rule is from ending the strategy; nothing where it has no number.
fn verdict_words(row: &Row<'_>) -> Result<Option<String>, LakeError> {
    let rule = plain(row.text("rule")?);
    let measured = row.maybe_double("measured")?.zip(row.maybe_double("threshold")?);
    Ok(match (row.text("verdict")?, measured) {
        ("hold", Some((now, at))) => Some(format!("{rule} at {}, now {}", number(at), number(now))),
        ("hold", None) => None,
        (verdict, _) => {
            let said = if verdict == "fire" { "fires" } else { verdict };
            Some(format!("{rule} {said}: {}", row.maybe_text("reason")?.unwrap_or("no reason")))
        }
    })
}

fn open_row(
    tables: &Tables,
    strategy: &Strategy,
    (state, next_exit): (Option<&State>, Option<String>),
) -> StrategyRow {
    StrategyRow {
        strategy_id: strategy.id.clone(),
        symbol: strategy.symbol.clone(),
        structure: plain(&strategy.structure),
        state: plain(&strategy.state),
        opened_date: strategy
            .opened_at
            .map_or(tables.session_date, |opened| local(opened).date_naive()),
        expiry_date: None,
        quantity: strategy.quantity,
        entry_cash_usd: strategy.opening_cash,
        pnl_usd: state.and_then(|state| money(state.pnl_usd)),
        mark_error_usd: state.and_then(|state| money(state.mark_error_usd)),
        pnl_ratio: state.and_then(|state| state.pnl_ratio),
        max_loss_usd: state
            .and_then(|state| money(state.max_loss_usd))
            .or(Some(strategy.max_loss.abs())),
        greeks: state.map(|state| state.greeks).unwrap_or_default(),
        legs: Vec::new(),
        payoff: None,
        next_exit,
    }
}

/// A strategy that was closed: what it brought in is known, and nothing is at risk.
fn closed_row(tables: &Tables, strategy: &Strategy) -> StrategyRow {
    let zero = Some(0.0);
    let rule = strategy.close_rule.as_deref().map(plain);
    StrategyRow {
        state: rule.map_or_else(|| plain(&strategy.state), |rule| format!("closed by {rule}")),
        quantity: strategy.opened_quantity,
        pnl_usd: Some(strategy.realised),
        max_loss_usd: Some(rust_decimal::Decimal::ZERO),
        greeks: Greeks { delta_usd: zero, gamma_usd_1pct: zero, vega_usd: zero, theta_usd: zero },
        ..open_row(tables, strategy, (None, None))
    }
}

fn leg_row(leg: &Leg, holdings: &Holdings) -> LegRow {
    let quote = holdings.quotes.get(&leg.conid);
    let mark = quote.and_then(LegMarket::mid).or_else(|| holdings.marks.get(&leg.conid).copied());
    LegRow {
        quantity: leg.quantity,
        contract: holdings.contract_words(leg.conid),
        expiry_date: leg.expiry_date,
        mark_usd: mark.and_then(Price::from_f64).map(Price::decimal),
        implied_volatility: quote.and_then(|quote| quote.vol),
        delta: quote.and_then(|quote| quote.delta),
    }
}

/// The payoff of a strategy that holds options only.
fn curves(legs: &[&Leg], holdings: &Holdings, state: &State) -> Option<Payoff> {
    if legs.len() as i64 != state.option_legs {
        return None;
    }
    let priced: Option<Vec<PricedLeg<'_>>> = legs
        .iter()
        .map(|leg| {
            let option = holdings.contracts.get(&leg.conid)?.option.as_deref()?;
            let market = holdings.quotes.get(&leg.conid);
            Some(PricedLeg { option, market, quantity: leg.quantity })
        })
        .collect();
    let priced = priced?;
    // The curve of today stands where the marks stand.
    let now = priced.iter().filter_map(|leg| leg.market).map(|market| market.received_at).max()?;
    payoff(&priced, (state.basis_usd?, state.spot_usd?), now)
}
