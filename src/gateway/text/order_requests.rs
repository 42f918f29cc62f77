//! An order out of text. What the exchange behind this gateway has no use for is passed over.

use super::super::request::{DecodeError, Request};
use super::super::words::WireOrder;
use super::WITHOUT_PROFILE;
use super::fields::Fields;

pub fn place_order(version: u32, fields: &mut Fields<'_>) -> Result<Request, DecodeError> {
    let order_id = fields.number("orderId")?;
    let mut contract = fields.contract()?;
    fields.skip(2, "secId")?;
    let mut order = WireOrder { order_id, ..WireOrder::default() };
    order.action = fields.owned("action")?;
    order.quantity = fields.quantity("totalQuantity")?;
    order.order_type = fields.owned("orderType")?;
    order.limit = fields.double("lmtPrice")?;
    order.aux = fields.double("auxPrice")?;
    order.time_in_force = fields.owned("tif")?;
    order.oca_group = fields.owned("ocaGroup")?;
    order.account = fields.owned("account")?;
    fields.skip(2, "openClose, origin")?;
    order.order_ref = fields.owned("orderRef")?;
    order.transmit = fields.flag("transmit")?;
    order.parent_id = fields.number_or_zero("parentId")?;
    fields.skip(3, "block, sweep, displaySize")?;
    order.trigger_method = fields.number_or_zero("triggerMethod")?;
    order.outside_rth = fields.flag("outsideRth")?;
    fields.skip(1, "hidden")?;
    if contract.security_type == "BAG" {
        contract.legs = fields.legs(4)?;
        let prices = fields.count("number of leg prices")?;
        fields.skip(prices, "leg price")?;
        tag_values(fields, "smartComboRoutingParams")?;
    }
    fields.skip(2, "an old field, discretionaryAmt")?;
    order.good_after = fields.owned("goodAfterTime")?;
    order.good_till = fields.owned("goodTillDate")?;
    fields.skip(3, "faGroup, faMethod, faPercentage")?;
    if version < WITHOUT_PROFILE {
        fields.skip(1, "faProfile")?;
    }
    fields.skip(4, "modelCode to exemptCode")?;
    order.oca_type = fields.number_or_zero("ocaType")?;
    fields.skip(17, "rule80A to volatilityType")?;
    let hedged = !fields.text("deltaNeutralOrderType")?.is_empty();
    fields.skip(1, "deltaNeutralAuxPrice")?;
    if hedged {
        fields.skip(8, "delta neutral order")?;
    }
    fields.skip(2, "continuousUpdate, referencePriceType")?;
    order.trail_stop = fields.double("trailStopPrice")?;
    order.trailing_percent = fields.double("trailingPercent")?;
    fields.skip(2, "scaleInitLevelSize, scaleSubsLevelSize")?;
    if fields.double("scalePriceIncrement")?.is_some_and(|step| step > 0.0) {
        fields.skip(7, "scale order")?;
    }
    last_fields(fields, &mut order)?;
    Ok(Request::PlaceOrder { order_id, contract: Box::new(contract), order: Box::new(order) })
}

/// From `scaleTable` to `lmtPriceOffset`.
fn last_fields(fields: &mut Fields<'_>, order: &mut WireOrder) -> Result<(), DecodeError> {
    fields.skip(3, "scaleTable, active times")?;
    if !fields.text("hedgeType")?.is_empty() {
        fields.skip(1, "hedgeParam")?;
    }
    fields.skip(4, "optOutSmartRouting to notHeld")?;
    if fields.flag("deltaNeutralContract")? {
        fields.skip(3, "deltaNeutralContract")?;
    }
    if !fields.text("algoStrategy")?.is_empty() {
        tag_values(fields, "algoParams")?;
    }
    fields.skip(1, "algoId")?;
    order.what_if = fields.flag("whatIf")?;
    fields.skip(4, "orderMiscOptions to randomizePrice")?;
    if matches!(order.order_type.as_str(), "PEG BENCH" | "PEGBENCH") {
        fields.skip(5, "pegged order")?;
    }
    order.conditions = fields.count("number of conditions")?;
    if order.conditions == 0 {
        fields.skip(2, "adjustedOrderType, triggerPrice")?;
        order.limit_offset = fields.double("lmtPriceOffset")?;
    }
    Ok(())
}

fn tag_values(fields: &mut Fields<'_>, name: &'static str) -> Result<(), DecodeError> {
    let count = fields.count(name)?;
    fields.skip(2 * count, name)
}
