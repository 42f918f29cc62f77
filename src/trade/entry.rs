//! Proposals that open: a candidate's legs, sized by maximum loss and margin against the limits.

use crate::broker::{Broker, Feed};
use crate::market::{Price, Usd};
use crate::risk::{SizingInputs, combos_that_fit};
use crate::structures::{Leg, Purpose, StructureKind};

use super::Trader;
use super::act::{Plan, Room, Skipped, Terms};
use super::decision::Decision;
use super::inputs::Gathered;

/// What a candidate must bring to be proposed.
struct Candidate {
    mid: Price,
    worst: Price,
    max_loss: Usd,
    margin: Usd,
    structure: StructureKind,
}

impl<B: Broker + Feed> Trader<B> {
    pub(super) fn plan_entry(
        &self,
        decision: &Decision,
        legs: Vec<Leg>,
        gathered: &Gathered,
    ) -> anyhow::Result<Result<Plan, Skipped>> {
        let candidate = match candidate_of(decision) {
            Ok(candidate) => candidate,
            Err(skipped) => return Ok(Err(skipped)),
        };
        let grid = match self.settings.limits.ticks.grid(&legs) {
            Ok(grid) => grid,
            Err(error) => return Ok(Err(Skipped(error.to_string()))),
        };
        let Some(room) = Room::of(&legs, &grid) else {
            return Ok(Err(Skipped("no price lies inside the bounds of the legs".to_owned())));
        };
        let quantity = match self.quantity(decision, &candidate, gathered) {
            Ok(quantity) => quantity,
            Err(skipped) => return Ok(Err(skipped)),
        };
        let terms = Terms {
            purpose: Purpose::Open,
            quantity,
            mid: candidate.mid,
            worst: candidate.worst,
            structure: candidate.structure,
            grid,
            room,
        };
        let proposed = self.propose(decision, legs, &terms)?;
        Ok(Ok(Plan {
            ladder: self.ladder(&terms),
            least: room.least,
            proposed,
            max_loss_each: candidate.max_loss,
            margin_each: candidate.margin,
            rule: None,
        }))
    }

    fn quantity(
        &self,
        decision: &Decision,
        candidate: &Candidate,
        gathered: &Gathered,
    ) -> Result<i64, Skipped> {
        let limits = &self.settings.limits;
        let missing = |what: &str| Skipped(format!("{what} is unknown"));
        let equity = gathered.account.equity().ok_or_else(|| missing("equity"))?;
        let excess =
            gathered.account.excess_liquidity.ok_or_else(|| missing("excess liquidity"))?.to_f64();
        let symbol = decision.symbol();
        let cluster = limits
            .cluster_of(&symbol)
            .ok_or_else(|| Skipped(format!("{symbol} belongs to no cluster of [risk.clusters]")))?;
        let week_opened: f64 = gathered
            .activity
            .opened
            .iter()
            .filter(|opened| cluster.contains(&opened.symbol))
            .map(|opened| opened.max_loss.to_f64())
            .sum();
        let held: f64 =
            cluster.iter().map(|symbol| gathered.book.max_loss_of(symbol).to_f64()).sum();
        let inputs = SizingInputs {
            max_loss_usd: candidate.max_loss.to_f64(),
            capital_usd: candidate.margin.to_f64(),
            equity_usd: equity,
            week_opened_usd: week_opened + working_openings(gathered),
            cluster_max_loss_usd: held,
            free_capital_usd: excess - limits.account.excess_liquidity_ratio_min * equity,
        };
        combos_that_fit(&inputs, &limits.exposure, &limits.order)
            .map_err(|refusal| Skipped(refusal.to_string()))
    }
}

fn working_openings(gathered: &Gathered) -> f64 {
    gathered
        .book
        .working()
        .iter()
        .filter(|order| order.opens_expiry.is_some())
        .map(|order| order.max_loss.to_f64())
        .sum()
}

fn candidate_of(decision: &Decision) -> Result<Candidate, Skipped> {
    let missing = |what: &str| Skipped(format!("the candidate has no {what}"));
    let name = decision.structure.as_deref().ok_or_else(|| missing("structure"))?;
    Ok(Candidate {
        mid: decision.mid_price.ok_or_else(|| missing("mid price"))?,
        worst: decision.worst_price.ok_or_else(|| missing("worst price"))?,
        max_loss: decision.max_loss.ok_or_else(|| missing("maximum loss"))?,
        margin: decision.margin.ok_or_else(|| missing("margin"))?,
        structure: StructureKind::from_name(name)
            .ok_or_else(|| Skipped(format!("`{name}` is no structure that the desk knows")))?,
    })
}
