"""From the cost of a turn to hosts, GPUs, connections and disk for so many people a day, and what gives way first."""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.costs import Costs
from bench.queueing import DAY_SECONDS, mean_wait, percentile, poisson, waits

HOURS = (
    2.6,
    1.8,
    1.2,
    0.8,
    0.7,
    0.8,
    1.3,
    2.2,
    3.2,
    3.9,
    4.2,
    4.3,
    4.5,
    4.2,
    4.0,
    4.1,
    4.4,
    4.8,
    5.4,
    6.6,
    8.4,
    10.2,
    9.9,
    6.5,
)
"""Share of a day's messages by hour, in percent: an assumption, most from 21 to 23. `--hours FILE` gives your own."""
_TARGET_SECONDS = 1.0
_BUSY = 0.7
"""Processors are planned to be busy for so much of the busiest minute; the rest is for a host that fails."""
_GROUPED_SECONDS = 60
_MAX_CONNECTIONS = 100
"""PostgreSQL's default `max_connections`."""
_PROCESS_CONNECTIONS = 20
"""`pool_size` of `dialogue.storage.database.Database.open`: kept open; as many again may be opened for a moment."""
_PARTITIONED_ROWS = 200_000_000
"""A table with more rows than this is planned with monthly partitions, so that its indexes stay small."""
_SECONDS_OF_MILLIS = 1000
_GIBIBYTE = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What people do. `burst` multiplies the messages of ten minutes in the busiest hour (an article, a broadcast)."""

    people: int
    messages: float = 12.0
    burst: float = 3.0
    crisis_share: float = 0.01
    hours: Sequence[float] = HOURS

    def __post_init__(self) -> None:
        if self.people < 0 or self.messages < 0 or self.burst < 1 or not 0 <= self.crisis_share <= 1:
            raise ValueError("People and messages are not negative, a burst is at least 1, a share between 0 and 1.")
        if len(self.hours) != 24 or min(self.hours) < 0 or not sum(self.hours):
            raise ValueError("A day has 24 hours, none of them negative and not all of them empty.")

    def arrivals(self, source: random.Random) -> list[int]:
        """Turns that begin in each second of one day."""
        total, busiest = sum(self.hours), max(range(24), key=lambda hour: self.hours[hour])
        found = []
        for second in range(DAY_SECONDS):
            hour, within = divmod(second, 3600)
            rate = self.people * self.messages * self.hours[hour] / total / 3600
            is_burst = hour == busiest and 1200 <= within < 1800
            found.append(poisson(rate * (self.burst if is_burst else 1), source))
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """What there is to build with. Tokens a second are of one GPU with all its sequences busy.

    `rounds_cached` is the share of a prompt that a replica's prefix cache holds, where conversations stay with one.
    """

    tokens_per_second: float = 1500.0
    sequence_tokens_per_second: float = 30.0
    prefill_tokens_per_second: float = 8000.0
    reply_tokens: float = 120.0
    prompt_tokens: float = 600.0
    rounds_cached: float = 0.5
    gpu_gib: float = 24.0
    weights_gib: float = 12.5
    sequence_mib: float = 64.0
    cores: int = 8
    token_messages_per_second: float = 30.0
    retention_days: int = 180

    def sequences(self) -> int:
        """Replies at once in one GPU's memory."""
        free = (self.gpu_gib * 0.9 - self.weights_gib) * 1024
        return max(0, int(free / self.sequence_mib))

    def turn_seconds(self) -> float:
        """Of one GPU, for one reply beside as many as fit: its share of decoding, and reading its prompt."""
        if not (at_once := self.sequences()):
            raise ValueError("The weights leave no room for a sequence: more GPU memory, or fewer bits.")
        decoding = min(self.tokens_per_second, at_once * self.sequence_tokens_per_second)
        return (
            self.reply_tokens / decoding
            + self.prompt_tokens * (1 - self.rounds_cached) / self.prefill_tokens_per_second
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One kind of part: how long one of it works for a turn, whether there can be several, and what is done then."""

    name: str
    seconds: float
    moved_by: str
    is_single: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What one part needs on that day: how many, how busy, and who waits for it how long (seconds)."""

    part: str
    count: int
    busy: float
    wait_mean_s: float
    wait_p99_s: float
    people_of_one: int
    moved_by: str
    is_above_one: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """For one number of people a day."""

    people: int
    turns: int
    busiest_minute_per_second: float
    needs: Sequence[Need]
    first: str
    moved_by: str
    hosts: int
    connections: int
    pooler: bool
    written_rows_per_second: float
    turns_kept: int
    disk_gib: float
    wal_gib_per_day: float
    partitions: bool
    console_replica: bool
    crises: int


def parts(costs: Costs, hardware: Hardware) -> list[Part]:
    """All that a turn passes. Adapter, worker and broker compute in one thread each; a database in all its cores."""
    milli = _SECONDS_OF_MILLIS
    return [
        Part(
            name="adapter",
            seconds=costs.adapter_ms / milli,
            moved_by="more bots, or webhook adapters behind a balancer",
        ),
        Part(
            name="worker",
            seconds=costs.worker_ms / milli,
            moved_by="more worker processes; any of them claims any turn",
        ),
        Part(
            name="database",
            seconds=costs.database_ms / milli / hardware.cores,
            moved_by="more cores, a disk for the WAL, a replica for the console, monthly partitions; one a channel",
            is_single=True,
        ),
        Part(name="broker", seconds=costs.broker_ms / milli, moved_by="a Redis for each channel", is_single=True),
        Part(
            name="GPU",
            seconds=hardware.turn_seconds(),
            moved_by="vLLM replicas, each conversation kept on one for its prefix cache",
        ),
        Part(
            name="bot token",
            seconds=1 / hardware.token_messages_per_second,
            moved_by="more bot tokens or accounts: Telegram sends 30 messages a second for each",
        ),
    ]


def plan(demand: Demand, costs: Costs, hardware: Hardware, *, seed: int = 1) -> Plan:
    """Simulate the day by the second, and count how many of each part keep its 99th percentile of waiting under 1 s."""
    arrivals = demand.arrivals(random.Random(seed))
    busiest = _busiest(arrivals)
    model_free = demand.crisis_share  # the adapter answers these itself, and nothing of them passes the model
    needs = [
        need(part, arrivals, busiest, share=1 - model_free if part.name in {"worker", "GPU"} else 1.0, demand=demand)
        for part in parts(costs, hardware)
    ]
    counts = {each.part: each.count for each in needs}
    first = min(needs, key=lambda each: each.people_of_one)
    turns = sum(arrivals)
    processes = counts["adapter"] + counts["worker"] + (1 if turns else 0)  # the console
    connections = processes * _PROCESS_CONNECTIONS
    processor = (counts["adapter"] + counts["worker"]) / max(1, hardware.cores)
    kept = turns * hardware.retention_days
    return Plan(
        people=demand.people,
        turns=turns,
        busiest_minute_per_second=round(busiest, 2),
        needs=needs,
        first=first.part if turns else "",
        moved_by=first.moved_by if turns else "",
        hosts=_hosts(counts, processor) if turns else 0,
        connections=connections,
        pooler=connections > _MAX_CONNECTIONS,
        written_rows_per_second=round(busiest * costs.rows, 1),
        turns_kept=round(kept),
        disk_gib=round(kept * costs.stored_bytes / _GIBIBYTE, 1),
        wal_gib_per_day=round(turns * costs.wal_bytes / _GIBIBYTE, 1),
        partitions=kept > _PARTITIONED_ROWS,
        console_replica=counts["database"] > 1 or kept > _PARTITIONED_ROWS,
        crises=round(turns * demand.crisis_share),
    )


def need(part: Part, arrivals: Sequence[int], busiest: float, *, share: float, demand: Demand) -> Need:
    """How many of that part carry the day; `share` of the turns pass it."""
    served = [count * share for count in arrivals]
    count = max(1 if busiest else 0, math.ceil(busiest * share * part.seconds / _BUSY - 1e-9))
    while busiest and _p99(served, arrivals, count / part.seconds if part.seconds else math.inf) > _TARGET_SECONDS:
        count += 1
    rate = busiest * share
    queued = waits(served, count / part.seconds) if count and part.seconds else []
    of_one = math.inf if not rate * part.seconds else _BUSY / (rate * part.seconds) * demand.people
    return Need(
        part=part.name,
        count=count,
        busy=round(rate * part.seconds / count, 3) if count else 0.0,
        wait_mean_s=round(mean_wait(count, rate, part.seconds), 4) if count else 0.0,
        wait_p99_s=round(percentile(queued, arrivals, 0.99), 3) if queued else 0.0,
        people_of_one=int(min(of_one, 10**12)),
        moved_by=part.moved_by,
        is_above_one=part.is_single and count > 1,
    )


def _p99(served: Sequence[float], arrivals: Sequence[int], per_second: float) -> float:
    if math.isinf(per_second):
        return 0.0
    return percentile(waits(served, per_second), arrivals, 0.99)


def _busiest(arrivals: Sequence[int]) -> float:
    """Turns a second in the busiest minute."""
    return max(
        sum(arrivals[first : first + _GROUPED_SECONDS]) / _GROUPED_SECONDS
        for first in range(0, len(arrivals), _GROUPED_SECONDS)
    )


def _hosts(counts: Mapping[str, int], processor: float) -> int:
    """One for all while that is enough; then some for the processes, and one for each database, broker and GPU."""
    if processor <= 0.5 and counts["database"] == 1 and counts["GPU"] <= 1:
        return 1
    return math.ceil(processor) + counts["database"] + counts["broker"] + counts["GPU"]
