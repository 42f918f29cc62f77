//! Live tables read back from the lake of a demo: what a desk held is there again when it starts
//! once more, and none of it is written a second time.

#![cfg(test)]

use std::collections::BTreeMap;

use deltadesk::desk::files::of_home;
use deltadesk::desk::home::Home;
use deltadesk::desk::world::Plans;
use deltadesk::lake::{Durability, Lake, LakeOptions, TableName};
use deltadesk::pipeline::LiveTables;
use tokio::runtime::Runtime;

use crate::demo::{SESSIONS, undisturbed};
use crate::homes::ask;

fn restored(runtime: &Runtime, told_anew: &[TableName]) -> LiveTables {
    let home = Home::at(&undisturbed().home);
    let plans = Plans::read(&of_home(home.root()).unwrap().0).unwrap();
    let params = &plans.settings.params;
    let mut live = LiveTables::new(&plans.catalogue, params, runtime.handle().clone()).unwrap();
    let options = LakeOptions::local(Durability::Buffered);
    let lake = runtime.block_on(Lake::open(&home.lake(), options)).unwrap();
    live.restore(&lake, SESSIONS[1].parse().unwrap(), told_anew).unwrap();
    live
}

#[test]
fn each_table_comes_back_as_its_header_says_and_waits_for_no_flush() {
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    let mut live = restored(&runtime, &[]);
    let home = &undisturbed().home;
    let today = SESSIONS[1];
    for (schema, name, wanted) in [
        ("silver", "bars", "select distinct symbol, bar_size, session_date from silver.bars"),
        ("gold", "daily_statistics", "select distinct symbol from gold.daily_statistics"),
        ("gold", "equity_daily", "select * from gold.equity_daily"),
        ("gold", "decisions", "select * from gold.decisions where session_date = date '{today}'"),
        ("ops", "strategies", "select distinct strategy_id from ops.strategies"),
        (
            "ops",
            "strategy_legs",
            "select distinct strategy_id, conid from ops.strategy_legs
            where expiry_date >= date '{today}' or expiry_date is null",
        ),
        ("ops", "job_runs", "select * from ops.job_runs where false"),
        ("silver", "option_rows", "select * from ops.job_runs where false"),
    ] {
        let count = format!("select count(*) from ({}) as held", wanted.replace("{today}", today));
        let expected: usize = ask(home, &count).trim().parse().unwrap();
        let held = live.rows(&TableName::new(schema, name)).unwrap().num_rows();
        assert_eq!(held, expected, "{schema}.{name}");
    }
    assert!(live.rows(&TableName::new("ops", "strategies")).unwrap().num_rows() > 0);
    assert!(live.take_pending(|_| true).is_empty(), "nothing is written again");
}

#[test]
fn the_newest_row_of_a_key_comes_back_and_what_is_told_anew_does_not() {
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    let quotes = TableName::new("silver", "option_quotes");
    let live = restored(&runtime, std::slice::from_ref(&quotes));
    assert_eq!(live.rows(&quotes).unwrap().num_rows(), 0);
    let rows = deltadesk::lake::Rows::new(live.rows(&TableName::new("ops", "orders")).unwrap());
    let held: BTreeMap<String, i64> = rows
        .iter()
        .map(|row| (row.text("order_ref").unwrap().to_owned(), row.int("change_seq").unwrap()))
        .collect();
    let sql = "select order_ref, max(change_seq) from ops.orders group by order_ref";
    let newest: BTreeMap<String, i64> = ask(&undisturbed().home, sql)
        .lines()
        .filter_map(|line| line.split_once(','))
        .map(|(order_ref, change)| (order_ref.to_owned(), change.parse().unwrap()))
        .collect();
    assert!(!newest.is_empty());
    assert_eq!(held, newest);
}
