//! Decisions of the current run: each becomes a proposal, passes the gate or does not, and is
//! recorded either way.

use rust_decimal::Decimal;

use crate::broker::{Broker, Feed};
use crate::journal::{Intent, Ruling};
use crate::lake::{Cell, Row, Rows, TableName};
use crate::market::{ConId, Price, Symbol, Timestamp, Usd};
use crate::pipeline::{Flush, StepContext};
use crate::pipeline::{deliver, ops_stamp};
use crate::risk::{Approved, Outcome, Proposed, Provenance, Verdict, check};
use crate::structures::{Leg, OrderRef, Purpose, StructureKind};

use super::exit::{NetQuote, combos_of};
use super::inputs::Gathered;
use super::work::Working;
use super::{Alert, Trader, Transmission};

/// A row of gold.decisions.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Id of the decision.
    pub id: String,
    /// Strategy for exits, symbol for entries.
    pub subject_id: String,
    pub action: String,
    pub fraction: f64,
    pub urgency: i64,
    pub rule: String,
    /// Contract and ratio, as they are to be traded.
    pub legs: Vec<(i64, i64)>,
    pub symbol: String,
    pub structure: Option<String>,
    pub mid_price: Option<Price>,
    pub worst_price: Option<Price>,
    pub max_loss: Option<Usd>,
    pub margin: Option<Usd>,
}

/// A proposal with what the journal keeps of it.
pub(super) struct Plan {
    pub proposed: Proposed,
    pub max_loss_each: Usd,
    pub margin_each: Usd,
    pub rule: Option<String>,
    pub tick: Price,
}

/// Why a decision led to no proposal.
pub(super) struct Skipped(pub String);

const CHECKS: [&str; 12] = [
    "order_ref",
    "attempt",
    "check_id",
    "check_name",
    "result",
    "measured",
    "limit_value",
    "unit",
    "reason",
    "as_of",
    "run_id",
    "session_date",
];

const CAPSULES: [&str; 9] = [
    "decision_id",
    "ingest_seq_cut",
    "sql_hash",
    "settings_hash",
    "outcome",
    "detail",
    "as_of",
    "run_id",
    "session_date",
];

impl<B: Broker + Feed> Trader<B> {
    /// Acts on every decision of the current run, the most urgent first.
    pub fn act(&mut self, context: &mut StepContext<'_>) -> anyhow::Result<Vec<String>> {
        let mut lines = Vec::new();
        for decision in decisions_of(context)? {
            if self.rests(&decision, context.run.as_of) {
                continue;
            }
            let (outcome, detail) = self.act_on(context, &decision)?;
            if outcome == "refused" && decision.action == "open" {
                let until = context.run.as_of + self.settings.work.refused_entry_rest;
                self.resting.insert(rest_key(&decision), until);
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
    fn rests(&self, decision: &Decision, now: Timestamp) -> bool {
        decision.action == "open"
            && self.resting.get(&rest_key(decision)).is_some_and(|until| now < *until)
    }

    fn act_on(
        &mut self,
        context: &mut StepContext<'_>,
        decision: &Decision,
    ) -> anyhow::Result<(&'static str, String)> {
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

    fn plan_exit(
        &self,
        decision: &Decision,
        legs: Vec<Leg>,
        gathered: &Gathered,
    ) -> anyhow::Result<Result<Plan, Skipped>> {
        if self.has_working(&decision.subject_id)? {
            return Ok(Err(Skipped("an order of the strategy still works".to_owned())));
        }
        let strategies = self.journal.borrow().strategies()?;
        let Some(row) = strategies.iter().find(|row| row.strategy_id == decision.subject_id) else {
            return Ok(Err(Skipped("the strategy is not in the journal".to_owned())));
        };
        let Some(net) = NetQuote::of(&legs, &gathered.market) else {
            return Ok(Err(Skipped("a leg has no two-sided quote".to_owned())));
        };
        let tick = match self.settings.limits.ticks.grid(&legs) {
            Ok(grid) => grid.tick_at(net.mid),
            Err(error) => return Ok(Err(Skipped(error.to_string()))),
        };
        let Some(worst) = self.worst_exit_price(decision, &net, tick) else {
            return Ok(Err(Skipped("no worst price can be made from the quotes".to_owned())));
        };
        let quantity = combos_of(decision.fraction, row.quantity);
        let structure = StructureKind::from_name(&row.structure).unwrap_or(StructureKind::Other);
        let terms =
            Terms { purpose: Purpose::Close, quantity, worst, mid: net.mid, structure, tick };
        let proposed = self.propose(decision, legs, &terms)?;
        Ok(Ok(Plan {
            proposed,
            max_loss_each: row.max_loss_each,
            margin_each: row.margin_each,
            rule: Some(decision.rule.clone()),
            tick,
        }))
    }

    /// The proposal: first limit at mid, rounded down to the tick, never beyond the worst price.
    pub(super) fn propose(
        &self,
        decision: &Decision,
        legs: Vec<Leg>,
        terms: &Terms,
    ) -> anyhow::Result<Proposed> {
        let order_ref = OrderRef::new(&decision.id, terms.purpose, 0)?;
        let tick = terms.tick.decimal();
        let first = Price::new((terms.mid.decimal() / tick).floor() * tick).min(terms.worst);
        let contracts: i64 = legs.iter().map(|leg| leg.ratio.abs()).sum();
        let fees = self.settings.commission_usd_contract * contracts as f64 * 2.0;
        Ok(Proposed {
            request: crate::structures::OrderRequest {
                order_ref,
                legs: legs.iter().map(Leg::as_order_leg).collect(),
                quantity: terms.quantity,
                order_type: crate::structures::OrderType::Limit(first),
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
            policy: crate::structures::CoveragePolicy::Required,
            reserved_cash: Usd::ZERO,
            provenance: Provenance {
                sql_hash: self.settings.sql_hash.clone(),
                settings_hash: self.settings.settings_hash.clone(),
                table_versions: std::iter::once((
                    "ingest_seq".to_owned(),
                    self.sequence.borrow().last(),
                ))
                .collect(),
            },
        })
    }

    /// Gate, journal, broker; in this order.
    fn judge(
        &mut self,
        context: &mut StepContext<'_>,
        plan: Plan,
        gathered: &Gathered,
    ) -> anyhow::Result<(&'static str, String)> {
        let what_if = self.broker.borrow().margin_of(&plan.proposed).ok();
        let inputs = gathered.gate(&self.settings.limits, what_if.as_ref());
        let mut intent = Self::intent(&plan);
        if let Some(symbol) = plan.proposed.legs.first() {
            intent.symbol = symbol.instrument.symbol().to_string();
        }
        let tick = plan.tick;
        let verdict = check(plan.proposed, &inputs);
        self.record_checks(context, &intent.request.order_ref, &verdict)?;
        // What the decision read must be durable before the intent is.
        self.flusher.flush(context, Flush::Bronze)?;
        let now = context.run.as_of;
        match verdict.outcome {
            Outcome::Refused => {
                let reason = refusal_text(&verdict);
                self.journal.borrow_mut().record(
                    &intent,
                    &Ruling::Denied { reason: reason.clone() },
                    now,
                )?;
                Ok(("refused", reason))
            }
            Outcome::Approved(approved) => {
                self.journal.borrow_mut().record(&intent, &Ruling::Approved, now)?;
                match self.settings.transmission {
                    Transmission::Observe => {
                        self.journal.borrow_mut().mark_rejected(
                            &intent.request.order_ref,
                            "orders = \"observe\": approved and not sent",
                            now,
                        )?;
                        Ok(("observed", String::new()))
                    }
                    Transmission::Send => self.send(approved, &intent, (tick, now)),
                }
            }
        }
    }

    fn send(
        &mut self,
        approved: Approved,
        intent: &Intent,
        (tick, now): (Price, Timestamp),
    ) -> anyhow::Result<(&'static str, String)> {
        let order_ref = intent.request.order_ref.clone();
        let working = Working {
            mandate: approved.mandate(),
            first: intent.request.order_type.limit().unwrap_or(approved.worst_price()),
            tick,
            step: 0,
            next_at: now + self.settings.work.step,
            filled: 0,
            max_loss_each: intent.max_loss_each,
            margin_each: intent.margin_each,
        };
        let answer = self.broker.borrow_mut().place(approved);
        match answer {
            Ok(perm_id) => {
                self.journal.borrow_mut().mark_sent(&order_ref, perm_id, now)?;
                self.working.insert(order_ref, working);
                Ok(("sent", format!("{} combos", intent.request.quantity)))
            }
            Err(error) => {
                let reason = error.to_string();
                self.journal.borrow_mut().mark_rejected(&order_ref, &reason, now)?;
                let alert = Alert {
                    id: format!("rejected-{order_ref}"),
                    severity: "warning",
                    subject: "order rejected by the broker",
                    message: format!("order {order_ref}: {reason}"),
                };
                self.alert(&alert, now)?;
                Ok(("rejected", reason))
            }
        }
    }

    fn intent(plan: &Plan) -> Intent {
        let proposed = &plan.proposed;
        Intent {
            request: proposed.request.clone(),
            decision_id: proposed.decision_id.clone(),
            strategy_id: proposed.strategy_id.clone(),
            symbol: String::new(),
            structure: proposed.structure.as_str().to_owned(),
            worst: Some(proposed.worst_price),
            arrival_mid: proposed.arrival_mid,
            max_loss_each: plan.max_loss_each,
            margin_each: plan.margin_each,
            rule: plan.rule.clone(),
        }
    }

    fn record_checks(
        &mut self,
        context: &mut StepContext<'_>,
        order_ref: &OrderRef,
        verdict: &Verdict,
    ) -> anyhow::Result<()> {
        self.gate_runs += 1;
        let rows: Vec<Vec<Cell>> = verdict
            .results
            .iter()
            .map(|result| {
                let mut row: Vec<Cell> = vec![
                    order_ref.as_str().into(),
                    self.gate_runs.into(),
                    result.check_id.into(),
                    result.name.into(),
                    result.result.as_str().into(),
                    result.measured.into(),
                    result.limit.into(),
                    result.unit.into(),
                    result.reason.as_str().into(),
                ];
                row.extend(ops_stamp(context.run));
                row
            })
            .collect();
        deliver(context, &TableName::new("ops", "risk_checks"), &CHECKS, &rows)
    }

    fn record_capsule(
        &self,
        context: &mut StepContext<'_>,
        decision: &Decision,
        (outcome, detail): (&str, &str),
    ) -> anyhow::Result<()> {
        let mut row: Vec<Cell> = vec![
            decision.id.as_str().into(),
            self.sequence.borrow().last().into(),
            self.settings.sql_hash.as_str().into(),
            self.settings.settings_hash.as_str().into(),
            outcome.into(),
            detail.into(),
        ];
        row.extend(ops_stamp(context.run));
        deliver(context, &TableName::new("ops", "capsules"), &CAPSULES, &[row])
    }
}

fn rest_key(decision: &Decision) -> (String, String) {
    (decision.symbol.clone(), decision.structure.clone().unwrap_or_default())
}

/// What an order is to be, beside its legs.
pub(super) struct Terms {
    pub purpose: Purpose,
    pub quantity: i64,
    pub worst: Price,
    pub mid: Price,
    pub structure: StructureKind,
    pub tick: Price,
}

/// The checks that refused, with their numbers.
fn refusal_text(verdict: &Verdict) -> String {
    let parts: Vec<String> = verdict
        .refusals()
        .map(|result| {
            let number = |value: Option<f64>| {
                value.map_or_else(|| "unknown".to_owned(), |value| format!("{value:.4}"))
            };
            let reason = if result.reason.is_empty() {
                String::new()
            } else {
                format!(": {}", result.reason)
            };
            format!(
                "{} {} {} (measured {}, limit {} {}){reason}",
                result.check_id,
                result.name,
                result.result.as_str(),
                number(result.measured),
                number(result.limit),
                result.unit
            )
        })
        .collect();
    parts.join("; ")
}

/// The rows of gold.decisions of this run, the most urgent first.
fn decisions_of(context: &StepContext<'_>) -> anyhow::Result<Vec<Decision>> {
    let rows = Rows::new(context.live.rows(&TableName::new("gold", "decisions"))?);
    let mut decisions = Vec::new();
    for row in rows.iter() {
        if row.text("run_id")? != context.run.run_id {
            continue;
        }
        let owned = |column: &str| row.maybe_text(column).map(|text| text.map(str::to_owned));
        decisions.push(Decision {
            id: row.text("decision_id")?.to_owned(),
            subject_id: row.text("subject_id")?.to_owned(),
            action: row.text("action")?.to_owned(),
            fraction: row.maybe_double("fraction")?.unwrap_or(1.0),
            urgency: row.maybe_int("urgency")?.unwrap_or_default(),
            rule: row.text("rule")?.to_owned(),
            legs: legs_in(&row)?,
            symbol: owned("symbol")?.unwrap_or_default(),
            structure: owned("structure")?,
            mid_price: row.maybe_price("mid_price")?,
            worst_price: row.maybe_price("worst_price")?,
            max_loss: row.maybe_usd("max_loss_usd")?,
            margin: row.maybe_usd("margin_usd")?,
        });
    }
    decisions.sort_by(|a, b| b.urgency.cmp(&a.urgency).then_with(|| a.id.cmp(&b.id)));
    Ok(decisions)
}

/// The symbol as the market's word.
pub(super) fn symbol_of(decision: &Decision) -> Symbol {
    Symbol::new(&decision.symbol)
}

fn legs_in(row: &Row<'_>) -> anyhow::Result<Vec<(i64, i64)>> {
    let Some(legs) = row.maybe_list("legs")? else { return Ok(Vec::new()) };
    legs.iter().map(|leg| Ok((leg.int("conid")?, leg.int("ratio")?))).collect()
}
