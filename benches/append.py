"""What `write_deltalake` takes for the same rows on the same disk: milliseconds of each append, as JSON.

python append.py FOLDER HISTORY APPENDS ROWS
"""

import datetime
import json
import sys
import time
from pathlib import Path

import pyarrow as pa
from deltalake import write_deltalake

FOLDER, HISTORY, APPENDS, ROWS = Path(sys.argv[1]), *map(int, sys.argv[2:5])
DAY = datetime.date(2026, 3, 2)


def rows(first: int, count: int) -> pa.Table:
    numbers = range(first, first + count)
    return pa.table(
        {
            "ingest_seq": pa.array(numbers, pa.int64()),
            "conid": pa.array((number % 5_000 for number in numbers), pa.int64()),
            "bid": pa.array((number * 0.01 for number in numbers), pa.float64()),
            "ask": pa.array((number * 0.01 + 0.05 for number in numbers), pa.float64()),
            "session_date": pa.array([DAY] * count, pa.date32()),
        }
    )


def append(table: pa.Table) -> None:
    write_deltalake(FOLDER, table, mode="append", partition_by=["session_date"])


for commit in range(HISTORY):
    append(rows(commit, 1))
taken = []
for number in range(APPENDS):
    table = rows(HISTORY + number * ROWS, ROWS)
    begun = time.perf_counter()
    append(table)
    taken.append((time.perf_counter() - begun) * 1e3)
print(json.dumps(taken))
