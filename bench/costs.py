"""What one turn costs, measured in a short run: milliseconds of each process, transactions, rows, bytes."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import psutil
from sqlalchemy import Engine, text

from bench import load, servers

_MEBIBYTE = 2**20
_WARM_SECONDS = 1.0
_COUNTED = """
SELECT (SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) FROM pg_stat_user_tables) AS rows,
       xact_commit AS transactions, pg_database_size(current_database()) AS bytes,
       pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') AS wal_bytes
FROM pg_stat_database WHERE datname = current_database()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Of one turn, in processor milliseconds, rows written, and bytes; and what processes take while they run.

    `overhead_ms` is what one person waits beyond the model, and `source` says where the figures are from.
    """

    adapter_ms: float
    worker_ms: float
    database_ms: float
    broker_ms: float
    overhead_ms: float
    transactions: float
    rows: float
    stored_bytes: float
    wal_bytes: float
    adapter_mib: float
    worker_mib: float
    source: str

    @property
    def all_ms(self) -> float:
        return self.adapter_ms + self.worker_ms + self.database_ms + self.broker_ms


def measure(*, people: int, seconds: float) -> Costs:
    """Costs while `people` talk to the scripted engine: PostgreSQL, private Valkey, one worker, the bot's side here."""
    with load.installed(workers=1) as built:
        return measure_in(built, people=people, seconds=seconds)


def measure_in(built: load.Built, *, people: int, seconds: float) -> Costs:
    """The same in an installation that runs."""
    engine = built.services.database.engine
    load.talk(built.services, people=people, seconds=_WARM_SECONDS)
    alone = load.talk(built.services, people=1, seconds=max(1.0, seconds / 4))
    before = _counted(engine)
    spent = servers.ProcessorTime(worker=built.workers[0], database=built.database, broker=built.broker)
    row = load.talk(built.services, people=people, seconds=seconds)
    each = spent.per_turn_ms(row.turns)
    after = _counted(engine)
    grown = {name: max(0.0, (after[name] - before[name]) / max(row.turns, 1)) for name in after}
    return Costs(
        adapter_ms=each["bench"],
        worker_ms=each["worker"],
        database_ms=each["database"],
        broker_ms=each["broker"],
        overhead_ms=alone.p50_ms,
        transactions=round(grown["transactions"], 1),
        rows=round(grown["rows"], 1),
        stored_bytes=round(grown["bytes"]),
        wal_bytes=round(grown["wal_bytes"]),
        adapter_mib=_mib(psutil.Process()),
        worker_mib=_mib(built.workers[0]),
        source=f"measured: {people} people, {row.turns} turns, {row.turns_per_second} a second",
    )


def read(file: Path) -> Costs:
    """Costs that an earlier run wrote (`bench.capacity --json`). Raises `ValueError` naming what the file lacks."""
    found = json.loads(file.read_text("utf-8"))
    found = found.get("costs", found) if isinstance(found, dict) else {}
    names = [field.name for field in fields(Costs)]
    if missing := [name for name in names if name not in found]:
        raise ValueError(f"{file} lacks {', '.join(missing)}: it is no output of bench.capacity --json.")
    return Costs(**{name: found[name] for name in names} | {"source": f"{file.name}: {found['source']}"})


def middle(measured: Sequence[Costs]) -> Costs:
    """The median of each figure."""
    named = [asdict(costs) for costs in measured]
    medians = {name: statistics.median(each[name] for each in named) for name in named[0] if name != "source"}
    return Costs(**medians, source=f"median of {len(measured)}; last {measured[-1].source}")


def _counted(engine: Engine) -> dict[str, float]:
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_stat_force_next_flush()"))
        return {name: float(value) for name, value in connection.execute(text(_COUNTED)).mappings().one().items()}


def _mib(process: psutil.Process) -> float:
    return round(process.memory_info().rss / _MEBIBYTE, 1)
