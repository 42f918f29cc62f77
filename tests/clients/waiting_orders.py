"""Orders that wait, placed by an unmodified Python client over text: a bracket, a group of which one
cancels all, and a trailing stop that is read back as it was written.

    python waiting_orders.py LIBRARY CLIENT-ID PORT
"""

import importlib
import sys

MASTER = 31


def run(name, client_id, port):
    lib = importlib.import_module(name)
    ib = lib.IB()
    ib.connect("127.0.0.1", port, clientId=client_id, timeout=10)
    spy = lib.Stock("SPY", "SMART", "USD")
    assert ib.qualifyContracts(spy)
    ask = ib.reqTickers(spy)[0].ask
    # A client keeps its own view of its orders; another one sees what the gateway tells.
    other = lib.IB()
    other.connect("127.0.0.1", port, clientId=client_id + 20, timeout=10)
    seen = lambda order: next(
        t.order for t in other.reqAllOpenOrders() if t.order.permId == order.permId
    )
    codes = []
    ib.errorEvent += lambda order_id, code, said, contract: codes.append((order_id, code))

    entry, profit, loss = round(1.01 * ask, 2), round(1.2 * ask, 2), round(0.8 * ask, 2)
    trades = [ib.placeOrder(spy, o) for o in ib.bracketOrder("BUY", 2, entry, profit, loss)]
    parent, profit, loss = trades
    until(ib, lambda: profit.orderStatus.status == "Submitted")
    assert parent.orderStatus.status == "Filled", parent.orderStatus
    if client_id + 20 == MASTER:
        permanent = {trade.order.permId for trade in other.trades()}
        assert {trade.order.permId for trade in trades} <= permanent, "the master is told unasked"
    held = loss.orderStatus
    assert (held.status, held.whyHeld) == ("PreSubmitted", "trigger"), held
    assert [entry.status for entry in loss.log if entry.status == "PreSubmitted"]
    assert seen(loss.order).ocaGroup == str(parent.orderStatus.permId), seen(loss.order)
    ib.cancelOrder(profit.order)
    ib.cancelOrder(loss.order)
    until(ib, lambda: profit.isDone() and loss.isDone())

    orders = [
        lib.LimitOrder("SELL", 2, round(1.2 * ask, 2)),
        lib.StopOrder("SELL", 2, round(0.8 * ask, 2), tif="GTC"),
        lib.LimitOrder("SELL", 2, round(0.99 * ask, 2)),
    ]
    group = [ib.placeOrder(spy, o) for o in ib.oneCancelsAll(orders, f"of {name}", 1)]
    until(ib, lambda: all(trade.isDone() for trade in group))
    ends = [trade.orderStatus.status for trade in group]
    assert ends == ["Cancelled", "Cancelled", "Filled"], ends

    trail = lib.Order(
        action="BUY", totalQuantity=1, orderType="TRAIL LIMIT", auxPrice=9.0, lmtPriceOffset=0.5,
        trailStopPrice=round(1.2 * ask, 2), tif="GTD", goodTillDate="20260304 15:00:00 US/Eastern",
        triggerMethod=4, outsideRth=True,
    )
    placed = ib.placeOrder(spy, trail)
    until(ib, lambda: placed.orderStatus.status == "PreSubmitted")
    read = seen(trail)
    assert (read.auxPrice, read.lmtPriceOffset, read.triggerMethod) == (9.0, 0.5, 4), read
    assert (read.tif, read.goodTillDate) == ("GTD", "20260304 15:00:00 US/Eastern"), read
    assert ask < read.trailStopPrice < 1.2 * ask and read.outsideRth, read
    ib.reqGlobalCancel()
    until(ib, placed.isDone)
    assert {code for _, code in codes} == {202}, codes
    assert not ib.reqPositions() and not ib.reqAllOpenOrders()
    other.disconnect()
    ib.disconnect()
    print(f"{name}: bracket, group and trailing stop")


def until(ib, holds):
    for _ in range(100):
        if holds():
            return
        ib.sleep(0.1)
    raise TimeoutError([trade.log for trade in ib.trades()])


if __name__ == "__main__":
    run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
