"""Two PostgreSQL clients of different make at the desk's door: psycopg2 speaks the simple protocol,
psycopg the extended one with binary answers. What each hears is printed as JSON, a line a part."""

import json
import sys

import psycopg
import psycopg2

PORT, PASSWORD, OUTSIDE = int(sys.argv[1]), sys.argv[2], sys.argv[3]
PLACE = {"host": "127.0.0.1", "port": PORT, "user": "deltadesk", "dbname": "datafusion"}
COUNT = "select count(*) from ops.table_health"
FORBIDDEN = [
    "insert into ops.alerts select * from ops.alerts",
    "delete from ops.alerts",
    "drop table ops.alerts",
    "create table public.copied as select 1 as one",
    "create external table public.outside stored as csv location '/etc/passwd'",
    f"copy (select 1) to '{OUTSIDE}'",
    "with gone as (select 1) insert into ops.alerts select * from ops.alerts",
]


def say(name, value):
    print(json.dumps({name: value}), flush=True)


def refused_password():
    try:
        psycopg2.connect(password="not the password", **PLACE)
    except psycopg2.OperationalError as error:
        return str(error)
    return "it was let in"


def forbidden(connection):
    heard = {}
    for statement in FORBIDDEN:
        with connection.cursor() as cursor:
            try:
                cursor.execute(statement)
                heard[statement] = "done"
            except Exception as error:
                heard[statement] = getattr(error, "sqlstate", None) or error.pgcode or str(error)
    return heard


simple = psycopg2.connect(password=PASSWORD, **PLACE)
simple.autocommit = True
with simple.cursor() as cursor:
    cursor.execute("select symbol, count(*) from silver.underlying_quotes group by 1 order by 1")
    say("simple", [list(row) for row in cursor.fetchall()])
    cursor.execute(
        "select c.relname from pg_catalog.pg_class c join pg_catalog.pg_namespace n"
        " on n.oid = c.relnamespace where n.nspname = 'gold' and c.relname = 'signals'"
    )
    say("catalogue", [list(row) for row in cursor.fetchall()])
say("simple forbidden", forbidden(simple))

extended = psycopg.connect(password=PASSWORD, autocommit=True, **PLACE)
with extended.cursor(binary=True) as cursor:
    cursor.execute(
        "select symbol, count(*) from silver.underlying_quotes where symbol = %s group by 1",
        ["SPY"],
    )
    say("extended", [list(row) for row in cursor.fetchall()])
say("extended forbidden", forbidden(extended))
say("password", refused_password())

# A statement that is planned once sees what is written later.
with extended.cursor() as cursor:
    say("before", cursor.execute(COUNT, prepare=True).fetchone()[0])
    sys.stdin.readline()
    say("after", cursor.execute(COUNT, prepare=True).fetchone()[0])
