"""Two unmodified Python clients, one after the other, at one gateway: each trades a put spread, and
both see the same account.

    python same_world.py PATH-TO-DELTADESK
"""

import importlib
import json
import re
import subprocess
import sys

CLIENTS = [("ib_async", 178, 11), ("ib_insync", 176, 12)]


def trade(name, version, client_id, port):
    """Connects, trades one spread, rests and cancels one order; what the client knows at the end."""
    lib = importlib.import_module(name)
    ib = lib.IB()
    ib.connect("127.0.0.1", port, clientId=client_id, timeout=10)
    assert ib.client.serverVersion() == version, ib.client.serverVersion()
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
    wait(ib, filled)
    assert filled.orderStatus.status == "Filled", filled.orderStatus
    assert filled.orderStatus.avgFillPrice <= limit + 1e-9
    assert [fill.contract.secType for fill in filled.fills] == ["BAG", "OPT", "OPT"]
    assert all(fill.execution.orderRef == "spread" for fill in filled.fills)

    resting = ib.placeOrder(puts[0], lib.LimitOrder("SELL", 1, round(2 * short.ask, 2)))
    ib.sleep(0.5)
    assert resting.orderStatus.status == "Submitted", resting.orderStatus
    ib.cancelOrder(resting.order)
    wait(ib, resting)
    assert resting.orderStatus.status == "Cancelled", resting.orderStatus
    ib.sleep(0.5)
    return world_of(ib)


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


def look(name, client_id, port):
    """What a client that has done nothing yet can know of orders and executions."""
    lib = importlib.import_module(name)
    ib = lib.IB()
    ib.connect("127.0.0.1", port, clientId=client_id, timeout=10)
    return world_of(ib)


def world_of(ib):
    world = {
        "positions": sorted([p.contract.conId, p.position, p.avgCost] for p in ib.reqPositions()),
        "cash": {v.tag: v.value for v in ib.accountSummary()}["TotalCashValue"],
        "executions": sorted(fill.execution.execId for fill in ib.reqExecutions()),
        "completed": sorted(t.order.permId for t in ib.reqCompletedOrders(False)),
        "open": [t.order.orderId for t in ib.reqAllOpenOrders()],
    }
    ib.disconnect()
    return world


def wait(ib, trade):
    for _ in range(100):
        if trade.isDone():
            return
        ib.sleep(0.1)


def alone(*arguments):
    """In a process of its own: the two clients each bring their own event loop."""
    command = [sys.executable, __file__, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    return json.loads(done.stdout.splitlines()[-1])


def main(deltadesk):
    command = [deltadesk, "gateway", "--port", "0", "--speed", "20"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as gateway:
        try:
            port = None
            while port is None:
                said = re.search(r"127\.0\.0\.1:(\d+)", gateway.stdout.readline())
                port = said and int(said.group(1))
            for name, version, client_id in CLIENTS:
                traded = alone("trade", name, version, client_id, port)
                assert traded["open"] == [], traded
                for other, _, other_id in CLIENTS:
                    seen = alone("look", other, other_id + 10, port)
                    assert seen == traded, (name, other, traded, seen)
                print(f"{name}: {len(traded['executions'])} executions, seen alike by all")
        finally:
            gateway.kill()


if __name__ == "__main__":
    if sys.argv[1] == "trade":
        print(json.dumps(trade(sys.argv[2], *map(int, sys.argv[3:]))))
    elif sys.argv[1] == "look":
        print(json.dumps(look(sys.argv[2], *map(int, sys.argv[3:]))))
    else:
        main(sys.argv[1])
