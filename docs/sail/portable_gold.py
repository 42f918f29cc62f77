"""Runs the portable gold models on Sail over a desk's Delta tables and compares with its rows.

A build that the desk recorded is chosen; every table is shown to Sail as that build saw it; each
model's SQL is run unchanged, and the result is compared with the rows that the desk stored under
the same run_id. Nothing is written to the lake.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import os
import re
import shutil
import sys
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import desk_build
from desk_build import Build, Model, Unusable, in_lineage_order

RELATIVE_MAX = 1e-9
ABSOLUTE_MAX = 1e-12
VIEW = "create or replace view {} as "
Rows = list[dict[str, Any]]


@dataclass
class Outcome:
    """What became of one model in one build."""

    model: Model
    rows: int = 0
    largest: float = 0.0
    verdict: str = "same"
    notes: list[str] = field(default_factory=list)

    def differs(self, why: str) -> Outcome:
        self.verdict = "differs"
        self.notes.append(why)
        return self


def start_sail(mode: str, workers: int) -> Any:
    """A server inside this process, on loopback, and a session of it."""
    for name in ("INITIAL", "MAX"):
        os.environ[f"SAIL_CLUSTER__WORKER_{name}_COUNT"] = str(workers)
    os.environ["SAIL_MODE"] = mode
    os.environ.setdefault("RUST_LOG", "error")
    try:
        from pysail.spark import SparkConnectServer
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise Unusable(f"{error}; install docs/sail/requirements.txt") from error
    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    _, port = server.listening_address
    spark = SparkSession.builder.remote(f"sc://127.0.0.1:{port}").getOrCreate()
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    return server, spark


class Bench:
    """The lake as Sail sees it, and what the models make of it."""

    def __init__(self, spark: Any, lake: Path, models: list[Model]) -> None:
        self.spark = spark
        self.models = models
        self.read = desk_build.read_by_gold(models)
        self.columns: dict[str, list[str]] = {}
        for schema in ("bronze", "silver", "gold", "ops"):
            spark.sql(f"create database if not exists {schema}")
            spark.sql(f"create database if not exists lake_{schema}")
            for log in sorted((lake / schema).glob("*/_delta_log")):
                name, place = f"{schema}.{log.parent.name}", log.parent.resolve()
                spark.sql(f"create table lake_{name} using delta location '{place}'")
                self.columns[name] = spark.table(f"lake_{name}").columns
        if "ops.model_runs" not in self.columns:
            raise Unusable(f"{lake} holds no ops.model_runs; name a desk's home with --home")

    def rows(self, sql: str) -> tuple[Rows, Any]:
        table = self.spark.sql(sql).toArrow()
        return table.to_pylist(), table.schema

    def builds(self) -> list[Build]:
        found, _ = self.rows(
            "select run_id, as_of, session_date as session, phase, max(ingest_seq_cut) as cut "
            "from lake_ops.model_runs where mode = 'live' and ingest_seq_cut is not null "
            "group by run_id, as_of, session_date, phase order by as_of, cut, run_id"
        )
        cuts = [0, *(row["cut"] for row in found)]
        return [Build(**row, cut_before=before) for row, before in zip(found, cuts, strict=False)]

    def show(self, name: str, sql: str) -> None:
        self.spark.sql(f"{VIEW.format(name)}{sql}")

    def show_stored(self, model: Model, build: Build, own: bool = False) -> None:
        self.show(model.table, desk_build.as_seen(model, self.columns[model.table], build, own))

    def prepare(self, build: Build, run: str, params: dict[str, float]) -> dict[str, str]:
        """Makes every view of a build; tells which tables there are none of, and why."""
        self.show("run", run)
        numbers = [f"cast('{value}' as double) as {name}" for name, value in params.items()]
        self.show("params", f"select {', '.join(numbers)}")
        missing: dict[str, str] = {}
        for model in self.read:
            try:
                if model.kind == "ephemeral" and model.engine != "portable":
                    missing[model.table] = f"{model.path} needs functions of the desk's engine"
                elif model.kind != "ephemeral" and model.table not in self.columns:
                    missing[model.table] = f"{model.table} is not in the lake"
                elif model.kind != "ephemeral":
                    self.show_stored(model, build)
                elif reason := lacks(model, missing):
                    missing[model.table] = reason
                else:
                    self.show(model.table, model.text)
            except Exception as error:  # the client's errors have no class in common
                missing[model.table] = place_of(error, model, VIEW.format(model.table))
        return missing

    def compare(self, model: Model, build: Build, missing: dict[str, str]) -> Outcome:
        absent = "" if model.table in self.columns else f"{model.table} is not in the lake"
        if reason := lacks(model, missing) or absent:
            return Outcome(model, verdict="not run", notes=[reason])
        part = f" and {model.label} = '{model.name}'" if model.label else ""
        expected = self.rows(
            f"select * from lake_{model.table} where run_id = '{build.run_id}'{part}"
        )
        reads_itself = model.table in model.reads
        try:
            if reads_itself:
                self.show_stored(model, build, own=True)
            actual = self.rows(model.statement())
        except Exception as error:  # the client's errors have no class in common
            return Outcome(model, verdict="not run", notes=[place_of(error, model)])
        finally:
            if reads_itself:
                self.show_stored(model, build)
        return judged(Outcome(model, rows=len(actual[0])), expected, actual)

    def changed_since(self, model: Model, build: Build) -> bool:
        """Whether the text differs from the one that wrote the rows last."""
        found, _ = self.rows(
            f"select sql_hash from lake_ops.model_runs where model = '{model.path}' "
            f"and (run_id = '{build.run_id}' or (mode = 'rebuilt' and session_date = "
            f"date '{build.session}')) order by as_of desc limit 1"
        )
        mine = hashlib.sha256(model.text.encode()).hexdigest()
        return bool(found) and found[0]["sql_hash"] != mine


def lacks(model: Model, missing: dict[str, str]) -> str:
    return next((missing[table] for table in sorted(model.reads) if table in missing), "")


def place_of(error: Exception, model: Model, before: str = "") -> str:
    """What Sail says, with the line of the model's file where it says where."""
    text = str(error).split("\n")[0]
    place = re.search(r"(found .*) at (\d+):\d+ expected", text)
    if place is None:
        return f"{model.path}: {text[:160]}"
    start = int(place.group(2)) - len(before)
    start -= model.statement().index(model.text)
    line = model.text.count("\n", 0, start) + 1
    return f"{model.path}:{line}: {place.group(1)}: {model.text.splitlines()[line - 1].strip()}"


def judged(outcome: Outcome, expected: tuple[Rows, Any], actual: tuple[Rows, Any]) -> Outcome:
    (wanted, schema), (found, made) = expected, actual
    kinds = {column.name: str(column.type) for column in schema}
    if unlike := set(kinds) ^ set(made.names):
        return outcome.differs(f"columns differ: {', '.join(sorted(unlike))}")
    other = [column for column in made if str(column.type) != kinds[column.name]]
    if other:
        told = [f"{column.name} {column.type} for {kinds[column.name]}" for column in other]
        outcome.notes.append(f"other types: {', '.join(told)}")
    if len(wanted) != len(found):
        return outcome.differs(f"{len(found)} rows, stored are {len(wanted)}")
    stored, computed = (
        {tuple(row[name] for name in outcome.model.key): row for row in rows}
        for rows in (wanted, found)
    )
    if set(stored) != set(computed) or len(stored) != len(wanted):
        return outcome.differs("keys differ")
    for at, row in stored.items():
        for name, value in row.items():
            same, apart = compared(value, computed[at][name], kinds[name])
            outcome.largest = max(outcome.largest, apart)
            if not same:
                outcome.differs(f"{name} of {at}: {computed[at][name]!r}, stored is {value!r}")
    return outcome


def compared(stored: Any, computed: Any, kind: str) -> tuple[bool, float]:
    """Whether two values are the same, and the relative difference of two doubles."""
    if stored is None or computed is None:
        return stored is computed, 0.0
    if kind == "double":
        one, other = float(stored), float(computed)
        if one == other or (math.isnan(one) and math.isnan(other)):
            return True, 0.0
        apart = abs(one - other)
        relative = apart / max(abs(one), abs(other)) if math.isfinite(apart) else math.inf
        return relative <= RELATIVE_MAX or apart <= ABSOLUTE_MAX, relative
    if kind.startswith("decimal"):
        six = Decimal("0.000001")
        return Decimal(stored).quantize(six) == Decimal(computed).quantize(six), 0.0
    return stored == computed, 0.0


def arguments() -> argparse.Namespace:
    checkout = Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--home", type=Path, help="home folder of the desk, with its lake/")
    parser.add_argument("--lake", type=Path, help="the lake, where it is not in the home")
    parser.add_argument("--settings", type=Path, help="default: deltadesk.toml of the home")
    parser.add_argument("--sql", type=Path, help="the models; default: of the home or the checkout")
    parser.add_argument("--run", action="append", help="a build's run_id; may be given again")
    parser.add_argument("--all", action="store_true", help="every sweep and close build")
    parser.add_argument("--mode", choices=("local-cluster", "local"), default="local-cluster")
    parser.add_argument("--workers", type=int, default=2, help="of a local cluster")
    parser.add_argument("--deltadesk", default=shutil.which("deltadesk"), help="for its calendar")
    given = parser.parse_args()
    if given.home is None and given.lake is None:
        raise Unusable("name a desk's home with --home, or its lake with --lake")
    given.lake = given.lake or given.home / "lake"
    given.settings = given.settings or own_or_shipped("deltadesk.toml", given.home, checkout)
    given.sql = given.sql or own_or_shipped("sql", given.home, checkout)
    return given


def own_or_shipped(name: str, home: Path | None, checkout: Path) -> Path:
    return home / name if home and (home / name).exists() else checkout / name


def chosen(builds: list[Build], given: argparse.Namespace) -> list[Build]:
    """The builds asked for; else the last sweep and the close of the last session."""
    complete = [build for build in builds if build.phase in ("sweep", "close")]
    if given.run:
        unknown = set(given.run) - {build.run_id for build in complete}
        if unknown:
            raise Unusable(f"no sweep or close build is called {', '.join(sorted(unknown))}")
        return [build for build in complete if build.run_id in given.run]
    if not complete:
        raise Unusable("ops.model_runs has no sweep or close build; let the desk run a session")
    if given.all:
        return complete
    newest = {build.phase: build for build in complete if build.session == complete[-1].session}
    return list(newest.values())


def run_builds(bench: Bench, given: argparse.Namespace) -> list[Outcome]:
    params = desk_build.read_params(given.settings)
    if given.deltadesk is None:
        print("no deltadesk binary: sessions are taken to be weekdays at regular hours")
    outcomes: list[Outcome] = []
    for build in chosen(bench.builds(), given):
        missing = bench.prepare(build, desk_build.run_row(build, given.deltadesk), params)
        print(f"\n{build.run_id}, {build.phase}, as of {build.as_of:%Y-%m-%d %H:%M:%S} UTC")
        print(f"{'model':32} {'rows':>5} {'largest difference':>18}  verdict")
        for model in in_lineage_order(bench.models):
            if model.is_compared and model.kind in ("snapshot", "incremental", build.phase):
                outcome = bench.compare(model, build, missing)
                if bench.changed_since(model, build):
                    outcome.notes.append("the model has changed since these rows were written")
                show_outcome(outcome)
                outcomes.append(outcome)
    return outcomes


def show_left_out(models: list[Model]) -> None:
    """Gold models that no other engine can run: by their own header, or by what they read."""
    reasons: dict[str, str] = {}
    for model in in_lineage_order(models):
        if not model.kind or not model.table.startswith("gold."):
            continue
        reason = lacks(model, reasons)
        if model.engine != "portable":
            reason = f"{model.path} needs functions of the desk's engine"
        if reason and not model.is_compared:
            print(f"left out: {model.path}: {reason.removeprefix(model.path).strip()}")
        if reason and model.kind == "ephemeral":
            reasons[model.table] = reason


def show_outcome(outcome: Outcome) -> None:
    name = outcome.model.path.removesuffix(".sql").removeprefix("sql/")
    ran = outcome.verdict != "not run"
    rows, largest = (f"{outcome.rows}", f"{outcome.largest:.1e}") if ran else ("", "")
    print(f"{name:32} {rows:>5} {largest:>18}  {outcome.verdict}", flush=True)
    for note in outcome.notes:
        print(f"    {note}")


def main() -> int:
    try:
        given = arguments()
        models = desk_build.read_models(given.sql)
        server, spark = start_sail(given.mode, given.workers)
        try:
            outcomes = run_builds(Bench(spark, given.lake, models), given)
        finally:
            spark.stop()
            server.stop()
    except Unusable as error:
        print(f"portable_gold: {error}", file=sys.stderr)
        return 2
    print()
    show_left_out(models)
    verdicts = [outcome.verdict for outcome in outcomes]
    counts = {name: verdicts.count(name) for name in ("same", "differs", "not run")}
    print(", ".join(f"{count} {name}" for name, count in counts.items()))
    if counts["differs"]:
        return 1
    return 0 if counts["same"] else 2


if __name__ == "__main__":
    sys.exit(main())
