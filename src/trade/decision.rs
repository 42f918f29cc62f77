//! Decisions as the rules left them, read from gold.decisions.

use crate::lake::{Row, Rows, TableName};
use crate::market::{Price, Symbol, Usd};
use crate::pipeline::StepContext;

/// A row of gold.decisions.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Id of the decision.
    pub id: String,
    /// Strategy for exits, symbol for entries.
    pub subject_id: String,
    pub action: String,
    /// Of what is open, in (0, 1]; missing is not acted on.
    pub fraction: Option<f64>,
    /// 0 calm to 3 emergency; missing is not acted on.
    pub urgency: Option<i64>,
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

impl Decision {
    pub(super) fn opens(&self) -> bool {
        self.action == "open"
    }

    /// The symbol as the market's word.
    pub(super) fn symbol(&self) -> Symbol {
        Symbol::new(&self.symbol)
    }
}

/// The rows of gold.decisions of this run, the most urgent first; one whose urgency is missing
/// stands before them, for it may be the most urgent.
pub(super) fn decisions_of(context: &StepContext<'_>) -> anyhow::Result<Vec<Decision>> {
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
            fraction: row.maybe_double("fraction")?,
            urgency: row.maybe_int("urgency")?,
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
    let rank = |decision: &Decision| decision.urgency.unwrap_or(i64::MAX);
    decisions.sort_by(|a, b| rank(b).cmp(&rank(a)).then_with(|| a.id.cmp(&b.id)));
    Ok(decisions)
}

fn legs_in(row: &Row<'_>) -> anyhow::Result<Vec<(i64, i64)>> {
    let Some(legs) = row.maybe_list("legs")? else { return Ok(Vec::new()) };
    legs.iter().map(|leg| Ok((leg.int("conid")?, leg.int("ratio")?))).collect()
}
