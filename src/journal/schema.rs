//! The tables of `state.db`. Money and prices are whole millionths, instants whole microseconds.
//!
//! Each kind of row that is copied to `ops.*` has a table of its present state and a table of its
//! changes, which is written when a transaction ends.

use std::ops::Deref;

use rusqlite::{Connection, Transaction};

use super::JournalError;

/// The schema that this program writes.
const VERSION: i64 = 5;

const TABLES: &str = "
create table change_number (last integer not null);
insert into change_number values (0);

create table orders (
    order_ref text primary key,
    decision_id text not null,
    strategy_id text not null,
    purpose text not null,
    state text not null,
    legs text not null,
    quantity integer not null,
    filled_quantity integer not null,
    limit_price integer,
    worst_price integer,
    arrival_mid integer,
    filled_value integer not null,
    perm_id integer,
    reason text not null,
    created_at integer not null,
    changed_at integer not null,
    change_seq integer not null
) strict;

create table strategies (
    strategy_id text primary key,
    symbol text not null,
    structure text not null,
    state text not null,
    quantity integer not null,
    opened_quantity integer not null,
    opening_cash integer not null,
    realised integer not null,
    commissions integer not null,
    max_loss_each integer not null,
    margin_each integer not null,
    close_rule text,
    opened_at integer,
    closed_at integer,
    changed_at integer not null,
    change_seq integer not null
) strict;

create table strategy_legs (
    strategy_id text not null references strategies (strategy_id),
    conid integer not null,
    occ_symbol text,
    symbol text not null,
    security_kind text not null,
    expiry_date text,
    strike integer,
    option_right text,
    multiplier integer not null,
    ratio integer not null,
    quantity integer not null,
    cash integer not null,
    change_seq integer not null,
    primary key (strategy_id, conid)
) strict;

create table executions (
    exec_id text primary key,
    -- Cash that it booked, whoever it belongs to.
    cash integer not null,
    applied_at integer not null
) strict;

-- What the executions of an order have moved, a contract.
create table order_fills (
    order_ref text not null references orders (order_ref),
    conid integer not null,
    quantity integer not null,
    primary key (order_ref, conid)
) strict;

-- How an assignment or exercise was allotted: its delivery follows in the same proportion.
create table group_shares (
    group_id text not null,
    strategy_id text not null,
    contracts integer not null,
    primary key (group_id, strategy_id)
) strict;

create table verdicts (
    order_ref text primary key references orders (order_ref),
    approved integer not null,
    checks text not null,
    ruled_at integer not null
) strict;

create table peaks (
    strategy_id text primary key,
    peak_pnl integer not null,
    peak_pnl_ratio real not null,
    peaked_at integer not null,
    change_seq integer not null
) strict;

create table alerts (
    alert_id text primary key,
    severity text not null,
    subject text not null,
    message text not null,
    raised_at integer not null,
    change_seq integer not null,
    delivered_at integer,
    attempts integer not null default 0
) strict;

create table breaker_holds (
    cause text primary key,
    level text not null,
    latched integer not null,
    reason text not null,
    since integer not null
) strict;

create table breaker_changes (
    change_seq integer primary key,
    cause text not null,
    level text,
    reason text not null,
    changed_at integer not null
) strict;

create table watermarks (
    name text primary key,
    value text not null
) strict;

create table reconciliations (
    run_id text not null,
    reconciliation_seq integer not null,
    difference text not null,
    conid integer,
    symbol text,
    broker_value real,
    desk_value real,
    action text not null,
    detail text not null,
    found_at integer not null,
    change_seq integer not null,
    primary key (run_id, reconciliation_seq)
) strict;

create table order_changes as select * from orders;
create table strategy_changes as select *, 0 as open_basis from strategies;
create table leg_changes as select * from strategy_legs;
create table peak_changes as select * from peaks;
create index order_changes_by_seq on order_changes (change_seq);
create index strategy_changes_by_seq on strategy_changes (change_seq);
create index leg_changes_by_seq on leg_changes (change_seq);
create index peak_changes_by_seq on peak_changes (change_seq);
create index alerts_by_seq on alerts (change_seq);
create index reconciliations_by_seq on reconciliations (change_seq);
";

/// What version 3 added.
const CONFIRMED_CASH: &str = "
-- Cash that moved at the broker and that a person has named.
create table confirmed_cash (
    booking_id text primary key,
    amount integer not null,
    reason text not null,
    confirmed_at integer not null
) strict;
";

/// What version 4 added: an execution as JSON, null where an older program counted it.
const TOLD: &str = "alter table executions add column told text;";

/// What version 5 added: the few orders that live are looked for among all that ever were, at every
/// beat.
const BY_STATE: &str = "create index orders_by_state on orders (state);";

/// Makes the tables in a new file and brings those of an older one up to date; refuses a file of
/// any other schema.
pub fn prepare(connection: &Connection) -> Result<(), JournalError> {
    connection.pragma_update(None, "foreign_keys", "on")?;
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let missing = match found {
        0 => [TABLES, CONFIRMED_CASH, TOLD, BY_STATE].concat(),
        2 => [CONFIRMED_CASH, TOLD, BY_STATE].concat(),
        3 => [TOLD, BY_STATE].concat(),
        4 => BY_STATE.to_owned(),
        VERSION => return Ok(()),
        other => return Err(JournalError::OtherSchema { found: other, known: VERSION }),
    };
    connection.execute_batch(&format!(
        "begin immediate; {missing} pragma user_version = {VERSION}; commit;"
    ))?;
    Ok(())
}

/// One transaction. What it changed is added to the tables of changes when it is committed; dropped
/// without that, nothing of it stays.
pub struct Work<'a> {
    transaction: Transaction<'a>,
    before: i64,
}

impl<'a> Work<'a> {
    pub fn begin(connection: &'a mut Connection) -> Result<Self, rusqlite::Error> {
        let transaction = connection.transaction()?;
        let before = last_change(&transaction)?;
        Ok(Self { transaction, before })
    }

    pub fn commit(self) -> Result<(), rusqlite::Error> {
        for copy in COPIES {
            self.transaction.prepare_cached(copy)?.execute([self.before])?;
        }
        self.transaction.commit()
    }
}

impl<'a> Deref for Work<'a> {
    type Target = Transaction<'a>;

    fn deref(&self) -> &Transaction<'a> {
        &self.transaction
    }
}

const COPIES: [&str; 4] = [
    "insert into order_changes select * from orders where change_seq > ?1",
    "insert into strategy_changes
         select strategies.*, coalesce((select sum(cash) from strategy_legs
             where strategy_legs.strategy_id = strategies.strategy_id), 0)
         from strategies where change_seq > ?1",
    "insert into leg_changes select * from strategy_legs where change_seq > ?1",
    "insert into peak_changes select * from peaks where change_seq > ?1",
];

/// The number of the newest change.
pub fn last_change(connection: &Connection) -> Result<i64, rusqlite::Error> {
    connection.query_row("select last from change_number", [], |row| row.get(0))
}

/// The next number of a change.
pub fn next_change(connection: &Connection) -> Result<i64, rusqlite::Error> {
    connection
        .prepare_cached("update change_number set last = last + 1 returning last")?
        .query_row([], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_schema_before_is_brought_up_to_date_and_a_later_one_refused() {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(&format!(
                "{TABLES} insert into watermarks values ('kept', 'yes'); pragma user_version = 2;"
            ))
            .unwrap();
        prepare(&connection).unwrap();
        let count = |sql: &str| -> i64 { connection.query_row(sql, [], |row| row.get(0)).unwrap() };
        assert_eq!(count("select count(*) from confirmed_cash"), 0);
        assert_eq!(count("select count(*) from watermarks"), 1);
        prepare(&connection).unwrap();
        connection.pragma_update(None, "user_version", VERSION + 1).unwrap();
        let refused = prepare(&connection);
        assert!(matches!(refused, Err(JournalError::OtherSchema { known: VERSION, .. })));
    }
}
