"""One unmodified Python client at a gateway: it trades a put spread and leaves an order resting, cancels
what it has resting, or only looks; its last line is what it then knows of the account.

    python same_world.py trade|cancel|look LIBRARY VERSION CLIENT-ID PORT
"""

import importlib
import json
import sys


def trade(lib, ib):
    """Trades one spread and leaves an order resting."""
    assert ib.managedAccounts() == ["DU0000001"]
    spy = lib.Stock("SPY", "SMART", "USD")
    assert ib.qualifyContracts(spy)
    (chain,) = ib.reqSecDefOptParams("SPY", "", "STK", spy.conId)
    spot = ib.reqTickers(spy)[0].bid
    expiry = chain.expirations[len(chain.expirations) // 2]
    puts = []
    for strike in sorted((k for k in chain.strikes if k < 0.97 * spot), reverse=True):
        put = lib.Option("SPY", expiry, strike, "P", "SMART", "100", "USD")
        if len(puts) < 2 and ib.qualifyContracts(put):
            puts.append(put)
    short, long = ib.reqTickers(*puts)
    assert -1 < short.modelGreeks.delta < 0 < short.modelGreeks.impliedVol
    legs = [
        lib.ComboLeg(conId=puts[0].conId, ratio=1, action="SELL", exchange="SMART"),
        lib.ComboLeg(conId=puts[1].conId, ratio=1, action="BUY", exchange="SMART"),
    ]
    bag = lib.Bag(symbol="SPY", exchange="SMART", currency="USD", comboLegs=legs)
    limit = round(0.10 - (short.bid - long.ask), 2)
    margin = ib.whatIfOrder(bag, lib.LimitOrder("BUY", 1, limit))
    assert float(margin.initMarginAfter) > float(margin.initMarginBefore)

    data(lib, ib, spy, puts[0], short)

    filled = ib.placeOrder(bag, lib.LimitOrder("BUY", 1, limit, orderRef="spread"))
    wait(ib, lambda: filled.isDone() and len(filled.fills) == 3)
    assert filled.orderStatus.status == "Filled", filled.orderStatus
    assert filled.orderStatus.avgFillPrice <= limit + 1e-9
    assert [fill.contract.secType for fill in filled.fills] == ["BAG", "OPT", "OPT"]
    assert all(fill.execution.orderRef == "spread" for fill in filled.fills)

    resting = ib.placeOrder(puts[0], lib.LimitOrder("SELL", 1, round(2 * short.ask, 2)))
    wait(ib, lambda: resting.orderStatus.status == "Submitted")


def cancel(ib):
    """Ends what the client of this id has resting, as it is told of it when it connects."""
    (resting,) = ib.openTrades()
    ib.cancelOrder(resting.order)
    wait(ib, lambda: resting.orderStatus.status == "Cancelled")


def data(lib, ib, spy, put, quote):
    """What a client can ask of data and the account beyond quotes and orders."""
    account = ib.managedAccounts()[0]
    vol = ib.calculateImpliedVolatility(put, quote.bid, quote.modelGreeks.undPrice)
    assert 0.03 < vol.impliedVol < 1.5, vol
    price = ib.calculateOptionPrice(put, vol.impliedVol, quote.modelGreeks.undPrice)
    assert abs(price.optPrice - quote.bid) < 0.005, (price, quote.bid)
    found = ib.reqMatchingSymbols("SP")
    assert [(f.contract.symbol, f.derivativeSecTypes) for f in found] == [("SPY", ["OPT"])], found
    (details,) = ib.reqContractDetails(put)
    (step,) = ib.reqMarketRule(int(details.marketRuleIds))
    assert (step.lowEdge, step.increment) == (0, 0.01), step
    head = ib.reqHeadTimeStamp(spy, "TRADES", True, 1)
    assert head.year == 2025, head
    schedule = ib.reqHistoricalSchedule(spy, 5)
    assert len(schedule.sessions) == 5 and schedule.timeZone == "US/Eastern", schedule
    asked = {"durationStr": "1 D", "barSizeSetting": "5 mins", "useRTH": True}
    for what in ["TRADES", "MIDPOINT", "BID_ASK"]:
        bars = ib.reqHistoricalData(spy, endDateTime="", whatToShow=what, formatDate=1, **asked)
        assert bars and all(bar.low <= bar.close <= bar.high for bar in bars), bars
        assert all(bar.date.minute % 5 == 0 for bar in bars), bars
    growing = ib.reqHistoricalData(
        put, endDateTime="", whatToShow="MIDPOINT", formatDate=2, keepUpToDate=True, **asked
    )
    assert growing
    bars = ib.reqRealTimeBars(spy, 5, "TRADES", False)
    last, updated = growing[-1], []
    growing.updateEvent += lambda *_: updated.append(1)
    pnl = ib.reqPnL(account)
    for _ in range(100):
        if len(bars) > 2 and updated and pnl.dailyPnL == pnl.dailyPnL:
            break
        ib.sleep(0.1)
    assert len(bars) > 2 and (bars[1].time - bars[0].time).seconds == 5, bars
    assert updated, (last, growing[-1])
    assert pnl.dailyPnL == pnl.dailyPnL, pnl
    ib.cancelRealTimeBars(bars)
    ib.cancelHistoricalData(growing)
    ib.cancelPnL(account)
    held = {p.contract.conId: p.position for p in ib.reqPositions()}
    if held:
        single = ib.reqPnLSingle(account, "", next(iter(held)))
        ib.sleep(0.5)
        assert single.position == held[next(iter(held))], single
        ib.cancelPnLSingle(account, "", single.conId)


def world_of(ib):
    """The account as this client is told of it."""
    # What it answers has no commissions: they go to the fills that the client keeps.
    ib.reqExecutions()
    return {
        "positions": sorted(
            [p.contract.conId, p.position, round(p.avgCost, 4)] for p in ib.reqPositions()
        ),
        "cash": {v.tag: v.value for v in ib.accountSummary()}["TotalCashValue"],
        "executions": sorted(
            [e.execId, fill.contract.conId, e.side, e.shares, e.price, commission_of(fill)]
            for fill in ib.fills()
            for e in [fill.execution]
        ),
        "open": [
            [o.permId, o.clientId, o.action, o.totalQuantity, o.lmtPrice]
            for o in [t.order for t in ib.reqAllOpenOrders()]
        ],
        "completed": sorted(t.order.permId for t in ib.reqCompletedOrders(False)),
    }


def commission_of(fill):
    """USD; a combo as a whole has none of its own."""
    return fill.commissionReport.commission if fill.commissionReport.execId else None


def wait(ib, holds):
    for _ in range(100):
        if holds():
            return
        ib.sleep(0.1)
    raise TimeoutError([t.log for t in ib.trades()])


def main(what, name, version, client_id, port):
    lib = importlib.import_module(name)
    ib = lib.IB()
    ib.connect("127.0.0.1", port, clientId=client_id, timeout=10)
    assert ib.client.serverVersion() == version, ib.client.serverVersion()
    if what == "trade":
        trade(lib, ib)
    elif what == "cancel":
        cancel(ib)
    world = world_of(ib)
    ib.disconnect()
    print(json.dumps(world))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
