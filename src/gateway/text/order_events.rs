//! Open and completed orders into text: more than a hundred fields each, most of them empty.

use rust_decimal::Decimal;

use super::super::event::OrderView;
use super::super::words::{WireMargin, WireOrder};
use super::WITHOUT_PROFILE;
use super::fields::Line;

/// Fields of an order that both messages begin with, up to its reference.
fn head(line: Line, view: &OrderView, quantity: Decimal) -> Line {
    let order = &view.order;
    line.contract(&view.contract)
        .add(&order.action)
        .add(quantity)
        .add(&order.order_type)
        .maybe(order.limit)
        .maybe(order.aux)
        .add(&order.time_in_force)
        .add(&order.oca_group)
        .add(&order.account)
        .add("")
        .add(0)
        .add(&order.order_ref)
}

/// TWS tells an order that is in no group type 3.
fn oca_type(order: &WireOrder) -> i32 {
    if order.oca_type == 0 { 3 } else { order.oca_type }
}

/// The legs of a combo, with their prices and routing parameters, of which there are none.
fn legs(line: Line, view: &OrderView) -> Line {
    let line = line.add(view.contract.legs.len());
    let line = view.contract.legs.iter().fold(line, |line, leg| {
        line.add(leg.con_id)
            .add(leg.ratio)
            .add(&leg.action)
            .add(&leg.exchange)
            .add(0)
            .add(0)
            .add("")
            .add(-1)
    });
    line.add(0).add(0)
}

/// Allocation, ending with the profile that later versions no longer have.
fn allocation(line: Line, version: u32) -> Line {
    let line = line.blank(3);
    if version < WITHOUT_PROFILE { line.add("") } else { line }
}

fn outside_rth_hidden(line: Line, order: &WireOrder) -> Line {
    line.add(i32::from(order.outside_rth)).add(0).add(0).add(&order.good_after)
}

pub fn open_order(version: u32, view: &OrderView) -> Line {
    let (order, state) = (&view.order, &view.state);
    let line = head(Line::of(5).add(order.order_id), view, order.quantity);
    let line = line.add(order.client_id).add(order.perm_id);
    // discretionaryAmt, goodAfterTime and a field that is no longer used end this part.
    let line = outside_rth_hidden(line, order).add("");
    let line = allocation(line, version)
        // modelCode, goodTillDate, rule80A, percentOffset, settlingFirm
        .add("")
        .add(&order.good_till)
        .blank(3)
        // shortSaleSlot, designatedLocation, exemptCode, auctionStrategy
        .add(0)
        .add("")
        .add(-1)
        .add(0)
        // startingPrice to displaySize
        .blank(6)
        // blockOrder, sweepToFill, allOrNone
        .add(0)
        .add(0)
        .add(0)
        // minQty, ocaType, eTradeOnly, firmQuoteOnly, nbboPriceCap
        .add("")
        .add(oca_type(order))
        .add(0)
        .add(0)
        .add("")
        .add(order.parent_id)
        // triggerMethod, volatility, volatilityType, deltaNeutralOrderType, deltaNeutralAuxPrice
        .add(order.trigger_method)
        .blank(4)
        // continuousUpdate, referencePriceType, trailStopPrice, trailingPercent
        .add(0)
        .blank(1)
        .maybe(order.trail_stop)
        .maybe(order.trailing_percent)
        // basisPoints, basisPointsType, comboLegsDescrip
        .blank(3);
    let line = legs(line, view)
        // scaleInitLevelSize, scaleSubsLevelSize, scalePriceIncrement, hedgeType
        .blank(4)
        // optOutSmartRouting, clearingAccount, clearingIntent, notHeld, deltaNeutralContract
        .add(0)
        .blank(2)
        .add(0)
        .add(0)
        // algoStrategy, solicited
        .add("")
        .add(0)
        .add(i32::from(order.what_if))
        .add(&state.status);
    margin(line, state.margin)
        // warningText, randomizeSize, randomizePrice, conditions
        .add("")
        .add(0)
        .add(0)
        .add(0)
        // adjustedOrderType, triggerPrice, trailStopPrice, lmtPriceOffset
        .blank(2)
        .maybe(order.trail_stop)
        .maybe(order.limit_offset)
        // adjustedStopPrice to adjustedTrailingAmount, adjustableTrailingUnit
        .blank(3)
        .add(0)
        // softDollarTier, cashQty
        .blank(4)
        // dontUseAutoPriceForHedge, isOmsContainer, discretionaryUpToLimitPrice
        .add(0)
        .add(0)
        .add(0)
        // usePriceMgmtAlgo, duration, postToAts, autoCancelParent
        .add(0)
        .blank(2)
        .add(0)
        // minTradeQty to midOffsetAtHalf
        .blank(5)
}

/// Margins before, changed and after, and the commission with its bounds and currency.
fn margin(line: Line, margin: Option<WireMargin>) -> Line {
    let Some(margin) = margin else { return line.blank(13) };
    line.add(margin.initial_before)
        .add(margin.maintenance_before)
        .add(margin.equity_before)
        .add(margin.initial_after - margin.initial_before)
        .add(margin.maintenance_after - margin.maintenance_before)
        .add(margin.equity_after - margin.equity_before)
        .add(margin.initial_after)
        .add(margin.maintenance_after)
        .add(margin.equity_after)
        .add(margin.commission)
        .add(margin.commission)
        .add(margin.commission)
        .add("USD")
}

/// TWS tells what is left of a completed order where it tells the size of an open one.
pub fn completed_order(version: u32, view: &OrderView) -> Line {
    let (order, state) = (&view.order, &view.state);
    let line = head(Line::of(101), view, order.quantity - view.filled).add(order.perm_id);
    let line = outside_rth_hidden(line, order);
    let line = allocation(line, version)
        // modelCode, goodTillDate, rule80A, percentOffset, settlingFirm
        .add("")
        .add(&order.good_till)
        .blank(3)
        // shortSaleSlot, designatedLocation, exemptCode
        .add(0)
        .add("")
        .add(-1)
        // startingPrice to displaySize
        .blank(6)
        // sweepToFill, allOrNone, minQty, ocaType, triggerMethod
        .add(0)
        .add(0)
        .add("")
        .add(oca_type(order))
        .add(order.trigger_method)
        // volatility, volatilityType, deltaNeutralOrderType, deltaNeutralAuxPrice
        .blank(4)
        // continuousUpdate, referencePriceType, trailStopPrice, trailingPercent, comboLegsDescrip
        .add(0)
        .blank(1)
        .maybe(order.trail_stop)
        .maybe(order.trailing_percent)
        .blank(1);
    legs(line, view)
        // scaleInitLevelSize, scaleSubsLevelSize, scalePriceIncrement, hedgeType
        .blank(4)
        // clearingAccount, clearingIntent, notHeld, deltaNeutralContract, algoStrategy
        .blank(2)
        .add(0)
        .add(0)
        .add("")
        // solicited, status, randomizeSize, randomizePrice, conditions
        .add(0)
        .add(&state.status)
        .add(0)
        .add(0)
        .add(0)
        // trailStopPrice, lmtPriceOffset, cashQty
        .maybe(order.trail_stop)
        .maybe(order.limit_offset)
        .blank(1)
        // dontUseAutoPriceForHedge, isOmsContainer, autoCancelDate
        .add(0)
        .add(0)
        .add("")
        // filledQuantity, refFuturesConId, autoCancelParent, shareholder
        .add(view.filled)
        .add(0)
        .add(0)
        .add("")
        // imbalanceOnly, routeMarketableToBbo, parentPermId
        .add(0)
        .add(0)
        .add(0)
        .add(&state.completed_time)
        .add(&state.completed_status)
        // minTradeQty to midOffsetAtHalf
        .blank(5)
}
