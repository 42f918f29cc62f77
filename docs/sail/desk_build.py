"""What a desk's files and records say of one of its builds, as SQL that shows it to another engine.

Models and contracts come from the headers of the sql folder, the row of `params` from the settings,
the row of `run` from the recorded build and the calendar. This module asks no engine.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

HISTORY_DAYS = 400  # as far back as the desk looks, src/pipeline/restore.rs
SECTIONS = ("entries", "futures", "marks", "openings", "rules", "signals", "silver")
UNIONS = {"rules": ("gold.rule_verdicts", "rule"), "entries": ("gold.entry_candidates", "entry")}
UNION_KEYS = {"rule": "as_of, rule, scope, subject_id", "entry": "as_of, entry, symbol"}
RISING = ("ingest_seq", "change_seq", "as_of")
NEW_YORK = ZoneInfo("America/New_York")
Hours = tuple[dt.datetime, dt.datetime]


class Unusable(Exception):
    """What was given cannot be worked with; the text says what to do."""


@dataclass(frozen=True)
class Model:
    """A model, or a contract (then `kind` is empty), as its header describes it."""

    path: str
    table: str
    text: str
    kind: str
    live: str
    engine: str
    key: tuple[str, ...]
    label: str
    priority: int
    reads: frozenset[str]

    @property
    def name(self) -> str:
        return Path(self.path).stem

    @property
    def is_compared(self) -> bool:
        stored = self.table.startswith("gold.") and self.kind not in ("", "ephemeral")
        return stored and self.engine == "portable"

    def statement(self) -> str:
        """The text as the desk runs it; rules and entries as src/pipeline/parts.rs joins them."""
        if not self.label:
            return self.text
        return (
            f"select '{self.name}' as {self.label}, cast({self.priority} as bigint) as priority, "
            f"part.*, run.as_of, run.run_id, run.session_date from ({self.text}) as part "
            f"cross join run order by {UNION_KEYS[self.label]}"
        )


@dataclass(frozen=True)
class Build:
    """A build as ops.model_runs recorded it, and the cut of the one before it."""

    run_id: str
    as_of: dt.datetime
    session: dt.date
    phase: str
    cut: int
    cut_before: int


def read_model(path: Path, root: Path) -> Model:
    text = path.read_text().rstrip().rstrip(";")
    header = dict(re.findall(r"^-- (\w+): (.*)$", text, re.M))
    folder = path.parent.name
    table, label = UNIONS.get(folder, (f"{folder}.{path.stem}", ""))
    key = UNION_KEYS[label] if label else header["key"]
    bare = re.sub(r"--[^\n]*|'[^']*'", " ", text)
    return Model(
        path=f"{root.name}/{path.relative_to(root)}",
        table=table,
        text=text,
        kind=header.get("kind", ""),
        live=header.get("live", "batch"),
        engine=header.get("engine", ""),
        key=tuple(part.strip() for part in key.split(",")),
        label=label,
        priority=int(header.get("priority", 0)),
        reads=frozenset(re.findall(r"\b(?:bronze|silver|gold|ops)\.[a-z_0-9]+", bare)),
    )


def read_models(root: Path) -> list[Model]:
    paths = [path for path in sorted(root.glob("*/*.sql")) if path.parent.name != "audits"]
    models = [read_model(path, root) for path in paths if not path.name.endswith(".audit.sql")]
    if not models:
        raise Unusable(f"{root} holds no models; name the desk's sql folder with --sql")
    return models


def in_lineage_order(models: list[Model]) -> Iterator[Model]:
    """Each model after all that write what it reads."""
    waiting = list(models)
    while waiting:
        unwritten = {model.table for model in waiting}
        ready = [model for model in waiting if not (model.reads - {model.table}) & unwritten]
        if not ready:
            names = ", ".join(model.path for model in waiting)
            raise Unusable(f"these models read each other in a circle, untie them: {names}")
        yield from ready
        waiting = [model for model in waiting if model not in ready]


def read_by_gold(models: list[Model]) -> list[Model]:
    """What the compared models read, themselves or through ephemeral ones, in lineage order."""
    ordered = list(in_lineage_order(models))
    wanted: set[str] = set()
    for model in reversed(ordered):
        if model.is_compared or (model.kind == "ephemeral" and model.table in wanted):
            wanted |= model.reads
    return list({model.table: model for model in ordered if model.table in wanted}.values())


def read_params(settings: Path) -> dict[str, float]:
    """Numbers of the settings as `params` names them, after src/desk/settings.rs."""
    if not settings.exists():
        raise Unusable(f"{settings} is missing; name the settings with --settings")
    table = tomllib.loads(settings.read_text())
    params: dict[str, float] = {}

    def collect(prefix: str, section: dict[str, Any]) -> None:
        for key, value in section.items():
            if isinstance(value, dict):
                collect(key, value)
            else:
                params[f"{prefix}_{key}"] = float(value)

    for name in SECTIONS:
        if name not in table:
            raise Unusable(f"{settings}: section [{name}] is missing; `deltadesk init` shows it")
        collect(name, table[name])
    return params


def sessions(binary: str | None, venue: str, until: dt.date) -> dict[dt.date, Hours]:
    """The last sessions of a venue: by the desk's binary, else weekdays without holidays."""
    first = until - dt.timedelta(days=10)
    if binary is None:
        days = [first + dt.timedelta(days=after) for after in range(11)]
        hours = (dt.time(9, 30), dt.time(16)) if venue == "XNYS" else (dt.time(0), dt.time(17))
        at = {day: [dt.datetime.combine(day, hour, NEW_YORK) for hour in hours] for day in days}
        return {day: (at[day][0], at[day][1]) for day in days if day.weekday() < 5}
    asked = [binary, "calendar", venue, "--from", f"{first}", "--to", f"{until}", "--format", "csv"]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise Unusable(f"`{' '.join(asked)}` failed, mend it: {answer.stderr.strip()}")
    rows = list(csv.DictReader(io.StringIO(answer.stdout)))
    opens, closes = (
        [dt.datetime.fromisoformat(row[name]) for row in rows]
        for name in ("market_open", "market_close")
    )
    days = [dt.date.fromisoformat(row["session"]) for row in rows]
    return dict(zip(days, zip(opens, closes, strict=True), strict=True))


def instant(at: dt.datetime) -> str:
    return f"timestamp '{at.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%S.%fZ}'"


def run_row(build: Build, binary: str | None) -> str:
    """The one-row table `run`, after src/desk/world.rs."""
    days = sessions(binary, "XNYS", build.session)
    if build.session not in days:
        raise Unusable(f"{build.session} is no session of XNYS; name the binary with --deltadesk")
    before = max(day for day in days if day < build.session)
    futures = sessions(binary, "CME", build.session)
    futures_close = futures[max(day for day in futures if day < build.session)][1]
    opens, closes = days[build.session]
    phase = "pre" if build.as_of < opens else "regular" if build.as_of < closes else "post"
    return (
        f"select '{build.run_id}' as run_id, {instant(build.as_of)} as as_of, "
        f"date '{build.session}' as session_date, date '{before}' as previous_session_date, "
        f"{instant(opens)} as session_open_at, {instant(closes)} as session_close_at, "
        f"{instant(days[before][1])} as previous_session_close_at, "
        f"{instant(futures_close)} as previous_futures_close_at, '{phase}' as session_phase"
    )


def as_seen(contract: Model, columns: list[str], build: Build, own: bool) -> str:
    """A stored table as a build saw it, by its `live` header; `own`: before the build wrote it."""
    table = f"lake_{contract.table}"
    if "ingest_seq" in columns:
        known = f"ingest_seq <= {build.cut}"
    elif "as_of" in columns:
        known = f"as_of <= {instant(build.as_of)}"
    else:
        known = f"session_date <= date '{build.session}'"
    if own:
        known += f" and run_id <> '{build.run_id}'"
    first = build.session - dt.timedelta(days=HISTORY_DAYS)
    of_live = {
        "run": f"run_id = '{build.run_id}'",
        "batch": f"ingest_seq > {build.cut_before}",
        "session": f"session_date = date '{build.session}'",
        "history": f"session_date >= date '{first}'",
    }
    if contract.live in of_live:
        return f"select * from {table} where {known} and {of_live[contract.live]}"
    if "expiry_date" in columns:
        known += f" and (expiry_date >= date '{build.session}' or expiry_date is null)"
    key = contract.live.removeprefix("latest by ")
    newest = ", ".join(f"{column} desc" for column in RISING if column in columns)
    return (
        f"select {', '.join(columns)} from (select *, row_number() over (partition by {key} "
        f"order by {newest}) as newest_first from {table} where {known}) as numbered "
        "where newest_first = 1"
    )
