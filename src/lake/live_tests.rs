//! Plans that are run again over other rows.

use std::sync::Arc;

use super::arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use super::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use super::arrow::util::pretty::pretty_format_batches;
use super::*;
use crate::market::clock::Stopwatch;

fn quotes_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("conid", DataType::Int64, true),
        Field::new("symbol", DataType::Utf8, true),
        Field::new("seq", DataType::Int64, true),
        Field::new("bid", DataType::Float64, true),
    ]))
}

fn quotes(count: i64, shift: f64) -> RecordBatch {
    let symbols = ["SPY", "QQQ", "IWM"];
    let columns: Vec<ArrayRef> = vec![
        Arc::new((0..count).map(|n| n % (count / 2).max(1)).collect::<Int64Array>()),
        Arc::new((0..count).map(|n| Some(symbols[(n % 3) as usize])).collect::<StringArray>()),
        Arc::new((0..count).collect::<Int64Array>()),
        Arc::new((0..count).map(|n| n as f64 + shift).collect::<Float64Array>()),
    ];
    RecordBatch::try_new(quotes_schema(), columns).unwrap()
}

fn spots_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("symbol", DataType::Utf8, true),
        Field::new("spot", DataType::Float64, true),
    ]))
}

fn spots(spot: f64) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec!["IWM", "QQQ", "SPY"])),
        Arc::new(Float64Array::from(vec![spot, spot + 1.0, spot + 2.0])),
    ];
    RecordBatch::try_new(spots_schema(), columns).unwrap()
}

const SQL: &str = "
with latest as (
    select *, row_number() over (partition by conid order by seq desc) as place from silver.quotes
),
counted as (
    select symbol, count(*) as quotes from silver.quotes group by symbol
)
select latest.conid, latest.bid, spots.spot, counted.quotes,
    lag(latest.bid) over (partition by latest.symbol order by latest.conid) as before
from latest
inner join silver.spots on latest.symbol = spots.symbol
left join counted on latest.symbol = counted.symbol
where latest.place = 1 and not exists (select 1 from silver.spots as bad where bad.spot < 0)
order by latest.conid";

async fn fresh(session: &SessionContext) -> String {
    let rows = query_read_only(session, SQL).await.unwrap();
    pretty_format_batches(&rows).unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_that_is_run_again_sees_the_rows_of_the_moment() {
    let session = new_session().unwrap();
    let quote_table = Arc::new(LiveTable::new(quotes_schema()));
    let spot_table = Arc::new(LiveTable::new(spots_schema()));
    let name = |name| TableName::new("silver", name);
    register(&session, &name("quotes"), Arc::clone(&quote_table) as _).unwrap();
    register(&session, &name("spots"), Arc::clone(&spot_table) as _).unwrap();
    let query = PreparedQuery::new(&session, SQL).await.unwrap();
    assert_eq!(Rows::of(&query.schema(), &query.run().await.unwrap()).unwrap().len(), 0);
    for (count, shift) in [(6, 0.0), (12, 100.0), (0, 0.0), (2, 7.0), (600, 1.0)] {
        quote_table.set(vec![quotes(count, shift)]);
        spot_table.set(vec![spots(shift)]);
        let again = pretty_format_batches(&query.run().await.unwrap()).unwrap().to_string();
        assert_eq!(again, fresh(&session).await, "{count} rows");
    }
    spot_table.set(vec![spots(-10.0)]);
    assert_eq!(Rows::of(&query.schema(), &query.run().await.unwrap()).unwrap().len(), 0);

    let watch = Stopwatch::start();
    for n in 0..50 {
        quote_table.set(vec![quotes(600, f64::from(n))]);
        spot_table.set(vec![spots(f64::from(n))]);
        query.run().await.unwrap();
    }
    println!("600 rows, window, joins and group: {:.2} ms", watch.elapsed_seconds() * 20.0);
    let watch = Stopwatch::start();
    for _ in 0..20 {
        PreparedQuery::new(&session, SQL).await.unwrap();
    }
    println!("planning alone: {:.2} ms", watch.elapsed_seconds() * 50.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_folds_nothing_of_a_table_into_itself() {
    let session = new_session().unwrap();
    let table = Arc::new(LiveTable::new(spots_schema()));
    session.register_table("spots", Arc::clone(&table) as _).unwrap();
    table.set(vec![spots(1.0)]);
    let sql = "select count(*) as n, max(spot) as most from spots";
    let query = PreparedQuery::new(&session, sql).await.unwrap();
    table.set(vec![spots(5.0), spots(8.0)]);
    let rows = Rows::of(&query.schema(), &query.run().await.unwrap()).unwrap();
    let row = rows.first().unwrap();
    assert_eq!((row.int("n").unwrap(), row.double("most").unwrap()), (6, 10.0));
    assert!(PreparedQuery::new(&session, "drop table spots").await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inside_an_overlay_a_name_means_the_other_table() {
    let session = new_session().unwrap();
    let name = TableName::new("gold", "spots");
    let table = Arc::new(LiveTable::new(spots_schema()));
    register(&session, &name, Arc::clone(&table) as _).unwrap();
    let pending = Arc::new(LiveTable::new(spots_schema()));
    let overlay = session_with(&session, &name, Arc::clone(&pending) as _).unwrap();
    table.set(vec![spots(1.0)]);
    let later = Arc::new(LiveTable::new(quotes_schema()));
    register(&session, &TableName::new("gold", "quotes"), later).unwrap();
    for (session, wanted) in [(&session, 3), (&overlay, 0)] {
        let sql = "select spot from gold.spots left join gold.quotes on true";
        let found: usize =
            query_read_only(session, sql).await.unwrap().iter().map(RecordBatch::num_rows).sum();
        assert_eq!(found, wanted);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pricing_functions_take_columns_and_give_null_where_there_is_no_answer() {
    let session = new_session().unwrap();
    let sql = "
        select
            bsm(r, cast(s as decimal(18, 6)), 100, 0.5, 0.03, 0.01, 0.2) as europe,
            american(r, s, 100, 0.5, 0.03, 0.01, 0.2)['price'] as america,
            black76(r, s, 100, 0.5, 0.03, 0.2)['vega'] as vega,
            implied_vol(r, bsm(r, s, 100, 0.5, 0.03, 0.01, 0.2)['price'], s, 100, 0.5, 0.03, 0.01)
                as vol,
            implied_vol_black76(
                r, black76(r, s, 100, 0.5, 0.03, 0.2)['price'], s, 100, 0.5, 0.03) as vol76,
            implied_vol_american(
                r, american(r, s, 100, 0.5, 0.03, 0.01, 0.2)['price'], s, 100, 0.5, 0.03, 0.01)
                as vol_american
        from (values ('C', 101.0), ('P', 95.0), ('X', 100.0), ('C', null), ('P', -1.0)) as t(r, s)";
    let batches = query_read_only(&session, sql).await.unwrap();
    let rows = Rows::new(batches.first().unwrap().clone());
    let all: Vec<Row<'_>> = rows.iter().collect();
    for row in &all[..2] {
        for column in ["vol", "vol76", "vol_american"] {
            assert!((row.double(column).unwrap() - 0.2).abs() < 1e-6, "{column}");
        }
        assert!(row.double("america").unwrap() > 0.0 && row.double("vega").unwrap() > 0.0);
    }
    for row in &all[2..] {
        for column in ["america", "vega", "vol", "vol76", "vol_american"] {
            assert_eq!(row.maybe_double(column).unwrap(), None, "{column}");
        }
        assert!(rows.batch().column_by_name("europe").is_some());
    }
    let scalar = "select bsm('C', 100, 100, 1, 0, 0, 0.2)['delta'] as d, \
        bsm(null, 1, 1, 1, 0, 0, 1)['price'] as none";
    let rows = Rows::new(query_read_only(&session, scalar).await.unwrap()[0].clone());
    assert!((rows.first().unwrap().double("d").unwrap() - 0.539_827_8).abs() < 1e-6);
    assert_eq!(rows.first().unwrap().maybe_double("none").unwrap(), None);
    for (sql, complaint) in [
        ("select bsm('C', 1)", "takes 7 arguments"),
        ("select bsm(1, 1, 1, 1, 1, 1, 1)", "option_right is 'C' or 'P'"),
        ("select black76('C', 'x', 1, 1, 1, 1)", "forward is a number"),
    ] {
        let fault = query_read_only(&session, sql).await.unwrap_err();
        assert!(fault.to_string().contains(complaint), "{fault}");
    }
}
