//! Decisions of the current run: each becomes a proposal, passes the gate or does not, and is
//! recorded either way.

use rust_decimal::Decimal;

use crate::broker::{Broker, Feed};
use crate::journal::{Intent, Ruling};
use crate::market::{ConId, Price, Timestamp, Usd};
use crate::orders::Ladder;
use crate::pipeline::{Flush, StepContext};
use crate::risk::{Outcome, Proposed, Provenance, check};
use crate::structures::{
    CoveragePolicy, Leg, OrderRef, OrderRequest, OrderType, Purpose, StructureKind, TickGrid,
    net_bounds,
};

use super::decision::{Decision, decisions_of};
use super::inputs::Gathered;
use super::record::{checks_json, refusal_text};
use super::{Trader, Transmission};

/// What became of a decision, and the detail.
pub(super) type Came = (&'static str, String);

/// A proposal with what the journal and the ladder keep of it.
pub(super) struct Plan {
    pub proposed: Proposed,
    pub max_loss_each: Usd,
    pub margin_each: Usd,
    pub rule: Option<String>,
    pub ladder: Ladder,
    /// The least that the order's price can be.
    pub least: Option<Price>,
}

/// Why a decision led to no proposal.
pub(super) struct Skipped(pub String);

/// What an order is to be, beside its legs.
pub(super) struct Terms {
    pub purpose: Purpose,
    pub quantity: i64,
    pub mid: Price,
    pub worst: Price,
    pub structure: StructureKind,
    pub grid: TickGrid,
    pub room: Room,
}

/// Between which prices, both included, an order for some legs can stand. `None` is no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    pub least: Option<Price>,
    pub most: Option<Price>,
}

impl Room {
    /// The bounds of the structure, a tick inside them: a sale is paid for, a purchase pays, and
    /// neither beyond what the legs can be worth. `None` where no price is left.
    pub fn of(legs: &[Leg], grid: &TickGrid) -> Option<Self> {
        let (above, below) = match legs {
            [leg] if leg.ratio > 0 => (Some(Price::ZERO), None),
            [_] => (None, Some(Price::ZERO)),
            _ => net_bounds(legs).map(|bounds| (bounds.above, bounds.below))?,
        };
        let least = above.map(|above| {
            let up = grid.round_up(above);
            if up > above { up } else { up + grid.tick_at(up) }
        });
        let most = below.map(|below| {
            let down = grid.round_down(below);
            if down < below { down } else { grid.round_down(down - grid.tick_at(down)) }
        });
        let empty = least.zip(most).is_some_and(|(least, most)| least > most);
        (!empty).then_some(Self { least, most })
    }

    pub fn clip(self, price: Price) -> Price {
        let price = self.most.map_or(price, |most| price.min(most));
        self.least.map_or(price, |least| price.max(least))
    }
}

impl<B: Broker + Feed> Trader<B> {
    /// Acts on every decision of the current run, the most urgent first.
    pub fn act(&mut self, context: &mut StepContext<'_>) -> anyhow::Result<Vec<String>> {
        // What filled since the last step is held, and works no more.
        self.forget_ended()?;
        let mut lines = Vec::new();
        for decision in decisions_of(context)? {
            if let Some(until) = self.rests_until(&decision, context.run.as_of) {
                let detail = format!("the gate refused the like: not asked for before {until}");
                self.record_capsule(context, &decision, ("rests", &detail))?;
                continue;
            }
            let (outcome, detail) = self.act_on(context, &decision)?;
            if outcome == "refused" && decision.opens() {
                let until = context.run.as_of + self.settings.work.refused_entry_rest;
                self.resting.insert(rest_key(&decision), until);
            }
            let went = matches!(outcome, "sent" | "observed");
            if !went && !decision.opens() {
                self.alert_exit(context, &decision, (outcome, &detail))?;
            }
            lines.push(format!(
                "{} {} {} ({}): {outcome}{}{detail}",
                decision.action,
                decision.symbol,
                decision.structure.as_deref().unwrap_or(&decision.subject_id),
                decision.rule,
                if detail.is_empty() { "" } else { ", " },
            ));
            self.record_capsule(context, &decision, (outcome, &detail))?;
        }
        Ok(lines)
    }

    /// The gate's limits seldom change within minutes: what it refused is not asked for in every
    /// sweep. Exits never rest.
    fn rests_until(&self, decision: &Decision, now: Timestamp) -> Option<Timestamp> {
        let until = self.resting.get(&rest_key(decision)).copied();
        until.filter(|until| decision.opens() && now < *until)
    }

    fn act_on(
        &mut self,
        context: &mut StepContext<'_>,
        decision: &Decision,
    ) -> anyhow::Result<Came> {
        let legs = match self.legs_of(decision) {
            Ok(legs) => legs,
            Err(Skipped(reason)) => return Ok(("skipped", reason)),
        };
        let gathered = self.gather(context, &legs)?;
        let plan = match decision.action.as_str() {
            "open" => self.plan_entry(decision, legs, &gathered)?,
            "close" | "reduce" => self.plan_exit(decision, legs, &gathered)?,
            other => Err(Skipped(format!("no step carries out `{other}` yet"))),
        };
        match plan {
            Ok(plan) => self.judge(context, plan, &gathered),
            Err(Skipped(reason)) => Ok(("skipped", reason)),
        }
    }

    fn legs_of(&self, decision: &Decision) -> Result<Vec<Leg>, Skipped> {
        let broker = self.broker.borrow();
        let mut legs = Vec::new();
        for (conid, ratio) in &decision.legs {
            let instrument = broker
                .contract(ConId(*conid))
                .ok_or_else(|| Skipped(format!("the broker does not know contract {conid}")))?;
            legs.push(Leg { instrument, ratio: *ratio });
        }
        if legs.is_empty() {
            return Err(Skipped("the decision names no legs".to_owned()));
        }
        legs.sort_by_key(|leg| leg.instrument.conid());
        Ok(legs)
    }

    /// The proposal: first limit at mid, rounded down to the tick, never beyond the worst price.
    pub(super) fn propose(
        &self,
        decision: &Decision,
        legs: Vec<Leg>,
        terms: &Terms,
    ) -> anyhow::Result<Proposed> {
        let order_ref = OrderRef::new(&decision.id, terms.purpose, 0)?;
        let first = terms.room.clip(terms.grid.round_down(terms.mid).min(terms.worst));
        let contracts: i64 = legs.iter().map(|leg| leg.ratio.abs()).sum();
        let fees = self.settings.commission_usd_contract * contracts as f64 * 2.0;
        Ok(Proposed {
            request: OrderRequest {
                order_ref,
                legs: legs.iter().map(Leg::as_order_leg).collect(),
                quantity: terms.quantity,
                order_type: OrderType::Limit(first),
            },
            legs,
            strategy_id: match terms.purpose {
                Purpose::Open => decision.id.clone(),
                Purpose::Close | Purpose::Roll | Purpose::Repair | Purpose::Hedge => {
                    decision.subject_id.clone()
                }
            },
            decision_id: decision.id.clone(),
            structure: terms.structure,
            worst_price: terms.worst,
            arrival_mid: Some(terms.mid),
            fees_per_combo: Usd::new(Decimal::try_from(fees)?),
            policy: CoveragePolicy::Required,
            reserved_cash: Usd::ZERO,
            provenance: self.provenance(),
        })
    }

    /// What a decision of this run read: every row of bronze up to a number, and the journal's
    /// state up to a change. Both are in the lake under these numbers.
    fn provenance(&self) -> Provenance {
        let read = [
            ("bronze.ingest_seq", self.sequence.borrow().last()),
            ("ops.change_seq", self.published.through),
        ];
        Provenance {
            sql_hash: self.settings.sql_hash.clone(),
            settings_hash: self.settings.settings_hash.clone(),
            table_versions: read.map(|(name, last)| (name.to_owned(), last)).into(),
        }
    }

    /// Gate, journal, broker; in this order.
    fn judge(
        &mut self,
        context: &mut StepContext<'_>,
        plan: Plan,
        gathered: &Gathered,
    ) -> anyhow::Result<Came> {
        let what_if = self.broker.borrow().margin_of(&plan.proposed);
        let what_if = what_if.map_err(|error| error.to_string());
        let what_if = what_if.as_ref().map_err(String::as_str);
        let inputs = gathered.gate(&self.settings.limits, what_if);
        let mut intent = intent_of(&plan);
        let Plan { proposed, ladder, least, .. } = plan;
        let verdict = check(proposed, &inputs);
        if intent.request.order_ref.purpose() == Purpose::Open {
            let gates = each(verdict.effects.max_loss, intent.request.quantity);
            intent.max_loss_each = intent.max_loss_each.max(gates.unwrap_or(Usd::ZERO));
        }
        self.record_checks(context, &intent.request.order_ref, &verdict.results)?;
        // What the decision read must be durable before the intent is.
        self.flusher.flush(context, Flush::Bronze)?;
        let now = context.run.as_of;
        let ruling = if verdict.is_approved() {
            Ruling::Approved
        } else {
            Ruling::Denied { reason: refusal_text(&verdict) }
        };
        let checks = checks_json(&verdict.results);
        let recorded = crate::journal::Verdict { ruling: &ruling, checks: &checks };
        self.journal.borrow_mut().record_verdict(&intent, recorded, now)?;
        match (verdict.outcome, ruling) {
            (Outcome::Approved(approved), _) => match self.settings.transmission {
                Transmission::Observe => {
                    self.journal.borrow_mut().mark_withdrawn(
                        &intent.request.order_ref,
                        "orders = \"observe\": approved and not sent",
                        now,
                    )?;
                    Ok(("observed", String::new()))
                }
                Transmission::Send => self.send(approved, &intent, (ladder, least, now)),
            },
            (Outcome::Refused, Ruling::Denied { reason }) => Ok(("refused", reason)),
            (Outcome::Refused, Ruling::Approved) => Ok(("refused", String::new())),
        }
    }
}

fn intent_of(plan: &Plan) -> Intent {
    let proposed = &plan.proposed;
    let symbol = proposed.legs.first().map(|leg| leg.instrument.symbol().to_string());
    Intent {
        request: proposed.request.clone(),
        decision_id: proposed.decision_id.clone(),
        strategy_id: proposed.strategy_id.clone(),
        symbol: symbol.unwrap_or_default(),
        structure: proposed.structure.as_str().to_owned(),
        worst: Some(proposed.worst_price),
        arrival_mid: proposed.arrival_mid,
        max_loss_each: plan.max_loss_each,
        margin_each: plan.margin_each,
        rule: plan.rule.clone(),
    }
}

/// What the gate found an order to lose at most, a combo, rounded up to the cent.
fn each(max_loss_usd: Option<f64>, quantity: i64) -> Option<Usd> {
    let cents = libm::ceil(max_loss_usd? * 100.0 / quantity.max(1) as f64 - 1e-6);
    Usd::from_f64(cents / 100.0)
}

fn rest_key(decision: &Decision) -> (String, String) {
    (decision.symbol.clone(), decision.structure.clone().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structures::TickBand;
    use crate::structures::testing::{call, instrument, price, put};

    fn cents() -> TickGrid {
        TickGrid::new(&[TickBand { from: 0.0, tick: 0.01 }], &"SPY".into()).unwrap()
    }

    #[test]
    fn prices_stay_a_tick_inside_what_the_legs_can_be_worth() {
        let leg = |option, ratio| Leg { instrument: instrument(&option), ratio };
        let back = [leg(put(600.0, 30), -1), leg(put(605.0, 30), 1)];
        let room = Room::of(&back, &cents()).unwrap();
        assert_eq!((room.least, room.most), (Some(price(0.01)), Some(price(4.99))));
        assert_eq!(room.clip(price(5.47)), price(4.99));
        assert_eq!(room.clip(price(0.0)), price(0.01));
        let sale = Room::of(&[leg(call(700.0, 30), -1)], &cents()).unwrap();
        assert_eq!(sale.clip(price(0.02)), price(-0.01));
        let purchase = Room::of(&[leg(call(700.0, 30), 1)], &cents()).unwrap();
        assert_eq!(purchase.clip(price(0.0)), price(0.01));
    }

    #[test]
    fn a_loss_of_one_combo_is_never_rounded_down() {
        assert_eq!(each(Some(1_000.0), 3), Usd::from_f64(333.34));
        assert_eq!(each(Some(999.99), 3), Usd::from_f64(333.33));
        assert_eq!(each(None, 3), None);
    }
}
