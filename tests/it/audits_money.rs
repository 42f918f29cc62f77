//! Cases of the audits of money: cash, equity, dividends.

#![cfg(test)]

use serde_json::{Value, json};

use crate::audits::{Case, DAY, DAY_BEFORE, case, fill, with};

pub fn cash() -> Vec<Case> {
    let sold = |cash: &str| fill(1, -1, json!({ "price": "3.10", "cash_usd": cash }));
    let future = |cash: &str| {
        let given = json!({ "security_kind": "FUT", "multiplier": 50, "price": "6900.25" });
        with(fill(1, 1, given), json!({ "cash_usd": cash }))
    };
    let delivered = |cash: &str| {
        let given = json!({ "execution_kind": "delivery", "security_kind": "STK", "multiplier": 1,
            "price": "690", "commission_usd": "0", "order_ref": null });
        with(fill(1, 100, given), json!({ "cash_usd": cash }))
    };
    let fill_cash = |name, offenders, row| {
        case("fill_cash", name, offenders, vec![("silver.fills", vec![row])])
    };
    let interest = json!({ "execution_kind": "interest", "quantity": 0, "price": null });
    vec![
        fill_cash("sold at 3.10", 0, sold("309.35")),
        fill_cash("a cent too much", 1, sold("309.36")),
        fill_cash("a future moves its commission", 0, future("-0.65")),
        fill_cash("a future paid like stock", 1, future("-345013.15")),
        fill_cash("no price", 1, with(sold("309.35"), json!({ "price": null }))),
        fill_cash("stock delivered at the strike", 0, delivered("-69000")),
        fill_cash("stock delivered for nothing", 1, delivered("0")),
        fill_cash("interest has no price", 0, with(sold("2.50"), interest)),
        fill_cash(
            "another day's fault was that day's",
            0,
            with(sold("1"), json!({ "session_date": DAY_BEFORE })),
        ),
    ]
}

fn snapshot(date: &str, sequence: i64, cash: Option<&str>) -> Value {
    json!({ "account_id": "A", "session_date": date, "ingest_seq": sequence, "cash_usd": cash,
        "received_at": format!("{date}T{:02}:00:00Z", 10 + sequence) })
}

pub fn cash_moved() -> Vec<Case> {
    let moved = |name, offenders, fill_at: i64, snapshots: Vec<Value>| {
        let fills = vec![fill(fill_at, -1, json!({ "cash_usd": "309.35" }))];
        let given = vec![("bronze.account", snapshots), ("silver.fills", fills)];
        case("cash_moved", name, offenders, given)
    };
    let two = |last: &str| {
        vec![
            snapshot(DAY_BEFORE, 1, Some("100")),
            snapshot(DAY, 5, Some("90")),
            snapshot(DAY, 9, Some(last)),
        ]
    };
    let first = |last: &str| vec![snapshot(DAY, 5, Some("100")), snapshot(DAY, 9, Some(last))];
    vec![
        moved("moved by a fill", 0, 7, two("409.35")),
        moved("a cent is missing", 1, 7, two("409.34")),
        moved("the fill came after the snapshot", 1, 9 + 8, two("409.35")),
        moved("the first session starts from its first snapshot", 0, 7, first("409.35")),
        moved("the first session has a cent too much", 1, 7, first("409.36")),
        moved("a fill before the first snapshot", 1, 3, first("100")),
        moved(
            "no cash is not zero cash",
            1,
            3,
            vec![snapshot(DAY_BEFORE, 5, Some("0")), snapshot(DAY, 9, None)],
        ),
        moved(
            "no cash at the start",
            1,
            3,
            vec![snapshot(DAY_BEFORE, 5, None), snapshot(DAY, 9, Some("0"))],
        ),
        moved("a session without a snapshot", 1, 3, vec![snapshot(DAY_BEFORE, 1, Some("100"))]),
    ]
}

/// A close: cash, what was realised so far, open basis, own value of the legs.
fn close(date: &str, figures: [&str; 3], value: Option<f64>) -> Value {
    let [cash, realised, basis] = figures;
    let equity = cash.parse::<f64>().unwrap() + value.unwrap_or_default();
    json!({ "account_id": "A", "session_date": date, "as_of": format!("{date}T20:20:00Z"),
        "received_at": format!("{date}T20:20:00Z"), "run_id": "r", "cash_usd": cash,
        "realised_usd": realised, "basis_usd": basis, "value_usd": value, "mark_error_usd": 1.0,
        "unmarked_legs": i64::from(value.is_none()), "net_liquidation_usd": equity.to_string() })
}

/// The close before, and today's.
fn closes(today: Value) -> Vec<Value> {
    vec![close(DAY_BEFORE, ["1000", "5", "300"], Some(-280.0)), today]
}

/// From 1000: half of the basis of 300 bought back at 100, a dividend of 4, interest of 2.50.
fn sound() -> Value {
    close(DAY, ["906.50", "59", "150"], Some(-120.0))
}

fn broker(equity: &str) -> Value {
    with(sound(), json!({ "net_liquidation_usd": equity }))
}

fn judged(name: &'static str, offenders: usize, closes: Vec<Value>) -> Case {
    let booked = |conid: i64, kind: &str, cash: &str| {
        let given = json!({ "conid": conid, "execution_kind": kind, "cash_usd": cash,
            "received_at": format!("{DAY}T15:00:00Z"), "quantity": 0 });
        fill(conid, 0, given)
    };
    // Interest is nobody's; the dividend of a held contract is realised by its strategy.
    let fills = vec![booked(77, "interest", "2.50"), booked(1, "dividend", "4")];
    let legs = vec![json!({ "strategy_id": "s", "conid": 1, "quantity": 1, "change_seq": 1 })];
    let given = vec![
        ("gold.equity_daily", closes),
        ("bronze.account", vec![snapshot(DAY_BEFORE, 1, Some("700"))]),
        ("silver.fills", fills),
        ("ops.strategy_legs", legs),
    ];
    case("equity_change", name, offenders, given)
}

pub fn equity() -> Vec<Case> {
    let figures = |cash: &str, realised: &str, value: Option<f64>| {
        closes(close(DAY, [cash, realised, "150"], value))
    };
    let first = |name, offenders, cash: &str| {
        let day = close(DAY, [cash, "0", "300"], Some(-280.0));
        let given = vec![
            ("gold.equity_daily", vec![day]),
            ("bronze.account", vec![snapshot(DAY, 1, Some("700"))]),
        ];
        case("equity_change", name, offenders, given)
    };
    let before = close(DAY_BEFORE, ["1000", "5", "300"], None);
    vec![
        judged("realised, unrealised and interest", 0, closes(sound())),
        judged("a cent is nobody's", 1, figures("906.51", "59", Some(-120.0))),
        judged("the dividend counted twice", 1, figures("906.50", "63", Some(-120.0))),
        judged("a leg without a mark is named", 0, figures("906.50", "59", None)),
        judged("a cent beside a leg without a mark", 1, figures("906.51", "59", None)),
        judged("a session without a close", 1, vec![before]),
        first("the first session, from the first snapshot", 0, "1000"),
        first("the first session, a cent missing", 1, "999.99"),
    ]
}

pub fn equity_of_the_broker() -> Vec<Case> {
    // Our marks stand at a spot of 690, the broker's at the close of 689.
    let carried = |name, offenders, equity: &str| {
        let mark = json!({ "conid": 1, "symbol": "SPY", "security_kind": "OPT", "quantity": -10,
            "multiplier": 100, "delta": -0.2, "gamma": 0.0, "spot_usd": 690.0,
            "session_date": DAY, "as_of": format!("{DAY}T20:20:00Z") });
        let bar = json!({ "symbol": "SPY", "bar_size": "1 day", "close": "689",
            "session_date": DAY, "ingest_seq": 1 });
        let mut moved = judged(name, offenders, closes(broker(equity)));
        moved.given.extend([("gold.marks_daily", vec![mark]), ("silver.bars", vec![bar])]);
        moved
    };
    let unnamed = json!({ "value_usd": null, "unmarked_legs": 0 });
    let silent = json!({ "net_liquidation_usd": null });
    vec![
        judged("within the marks' error", 0, closes(broker("787.50"))),
        judged("beyond it", 1, closes(broker("787.52"))),
        judged("and the other way", 1, closes(broker("785.48"))),
        judged("the broker says nothing", 1, closes(with(sound(), silent))),
        judged("no value and no leg that explains it", 1, closes(with(sound(), unnamed))),
        carried("the market moved on to the close", 0, "586.50"),
        carried("and no further than the marks' error", 1, "588.52"),
    ]
}

/// An expiry of one year at 10 %: a forward of 110.517 is a spot of 100 and no dividend.
fn parity(symbol: &str, at: &str, dividends: Option<f64>) -> Value {
    json!({ "symbol": symbol, "expiry_date": "2027-03-10", "exercise_style": "american",
        "years": 1.0, "rate": 0.1, "forward_usd": 110.517_091_807_564_76,
        "forward_source": "parity", "forward_error_usd": 0.2, "apart_seconds": 0.0,
        "spot_usd": 100.0 + dividends.unwrap_or_default(),
        "spot_source": "quote", "dividends_usd": dividends, "session_date": DAY,
        "sweep_key": at, "received_at": format!("{DAY}T{at}Z") })
}

pub fn dividends() -> Vec<Case> {
    let judged = |name, offenders, rows: Vec<Value>| {
        let bar = |symbol: &str, close: &str, sequence: i64| {
            json!({ "symbol": symbol, "bar_size": "1 day", "close": close, "session_date": DAY,
                "ingest_seq": sequence })
        };
        let bars = vec![bar("A", "90", 1), bar("A", "100.5", 2), bar("VIX", "20", 3)];
        let given = vec![("silver.parity", rows), ("silver.bars", bars)];
        case("dividends_agree", name, offenders, given)
    };
    let at = |at: &str, given: Value| with(parity("A", at, Some(2.0)), given);
    let quote =
        |name, offenders, given: Value| judged(name, offenders, vec![at("19:59:30", given)]);
    // 100 seconds apart, a volatility of 0.2 explains 4 x 0.2 x 110.517 x 0.0041180 = 0.3641.
    let apart = |name, offenders, spot: f64, vol: Option<f64>| {
        let late = json!({ "spot_usd": spot, "apart_seconds": 100.0 });
        let mut case = quote(name, offenders, late);
        let near = json!({ "symbol": "A", "sweep_id": "19:59:30", "expiry_date": "2027-03-10",
            "strike_usd": "110", "vol": vol, "received_at": format!("{DAY}T19:59:30Z"),
            "session_date": DAY });
        case.given.push(("silver.option_quotes", vec![near]));
        case
    };
    let unquoted = |spot: f64| json!({ "spot_source": "parity", "spot_usd": spot });
    // Without a quote: the sweeps' own spots, one before and one after the close of 100.5.
    let around = |name, offenders, forwards: [f64; 2]| {
        let row = |time: &str, forward: f64| {
            with(at(time, unquoted(0.0)), json!({ "forward_usd": forward, "dividends_usd": 0.0 }))
        };
        judged(name, offenders, vec![row("19:59:00", forwards[0]), row("20:01:00", forwards[1])])
    };
    let exercised = |name, offenders, ex_date: &str| {
        let paid = json!({ "symbol": "A", "ex_date": ex_date, "amount_usd": "2",
            "session_date": DAY });
        let mut case = quote(name, offenders, json!({ "spot_usd": 100.9 }));
        case.given.push(("bronze.dividends", vec![paid]));
        case
    };
    vec![
        quote("the quote less dividends, carried", 0, json!({})),
        quote("within the quotes' error", 0, json!({ "spot_usd": 101.81 })),
        apart("quotes of different moments with their volatility", 0, 103.5, Some(0.2)),
        apart("a move that the volatility does not explain", 1, 103.8, Some(0.2)),
        apart("a move of unknown volatility is not judged", 0, 106.0, None),
        quote("a dividend is missing", 1, json!({ "dividends_usd": 0.5, "spot_usd": 102.0 })),
        quote("a dividend that nobody pays", 1, json!({ "dividends_usd": 2.3 })),
        quote("American puts let the forward look low", 0, json!({ "spot_usd": 103.0 })),
        quote("no forward of its own", 0, json!({ "forward_source": "carry", "spot_usd": 90.0 })),
        quote("dividends not known", 0, json!({ "dividends_usd": null, "spot_usd": 90.0 })),
        judged("at noon nothing is judged", 0, vec![at("17:00:00", json!({ "spot_usd": 90.0 }))]),
        exercised("calls are exercised before an ex-date near their expiry", 0, "2027-03-08"),
        exercised("not before one that is far from it", 1, "2026-04-16"),
        around("the close lies between two sweeps", 0, [110.5, 111.5]),
        around("the close is above both", 1, [107.0, 107.5]),
        around("the close is below both", 1, [112.0, 113.0]),
        judged(
            "one side of the close says nothing",
            0,
            vec![with(at("19:59:00", unquoted(0.0)), json!({ "forward_usd": 90.0 }))],
        ),
    ]
}
