"""Queues as capacity planning needs them: waiting at c servers, a day second by second, a closed loop of people."""

import heapq
import math
import random
from collections.abc import Sequence

DAY_SECONDS = 86_400
_NORMAL_FROM = 50.0
"""From this mean on, a Poisson number is drawn as a normal one."""


def erlang_c(servers: int, offered: float) -> float:
    """The share of arrivals that wait in an M/M/c queue; `offered` is arrivals times service time (Erlang, 1917)."""
    if offered <= 0:
        return 0.0
    if offered >= servers:
        return 1.0
    blocked = 1.0  # Erlang B, by its recursion
    for count in range(1, servers + 1):
        blocked = offered * blocked / (count + offered * blocked)
    return blocked / (1 - offered / servers * (1 - blocked))


def mean_wait(servers: int, arrivals_per_second: float, service_seconds: float) -> float:
    """Mean seconds of waiting in an M/D/c queue; infinite from the load that it cannot carry.

    Half of M/M/c's, with the correction of Cosmetatos (1975); exact for one server.
    """
    offered = arrivals_per_second * service_seconds
    if offered <= 0:
        return 0.0
    if offered >= servers:
        return math.inf
    load = offered / servers
    exponential = erlang_c(servers, offered) * service_seconds / (servers - offered)
    correction = (1 - load) * (servers - 1) * (math.sqrt(4 + 5 * servers) - 2) / (16 * load * servers)
    return exponential / 2 * (1 + correction)


def poisson(mean: float, source: random.Random) -> int:
    """A Poisson number."""
    if mean <= 0:
        return 0
    if mean > _NORMAL_FROM:
        return max(0, round(source.gauss(mean, math.sqrt(mean))))
    left, count = math.exp(-mean), 0
    drawn = source.random()
    while drawn > left:
        drawn *= source.random()
        count += 1
    return count


def waits(arrivals: Sequence[float], per_second: float) -> list[float]:
    """Seconds that those of each second wait behind all who came before, where so many are served a second."""
    backlog, found = 0.0, []
    for count in arrivals:
        found.append(backlog / per_second)
        backlog = max(0.0, backlog + count - per_second)
    return found


def percentile(values: Sequence[float], weights: Sequence[int], share: float) -> float:
    """The value, not negative, that `share` of the weight does not exceed; 0 where there is none."""
    above, allowed = 0, sum(weights) * (1 - share)
    positive = [(value, weight) for value, weight in zip(values, weights, strict=True) if value > 0]
    for value, weight in sorted(positive, reverse=True):
        above += weight
        if above > allowed:
            return value
    return 0.0


def closed_loop(
    *,
    people: int,
    visits: Sequence[float],
    delay_seconds: float,
    at_once: int,
    seconds: float,
    source: random.Random,
) -> tuple[float, list[float]]:
    """People who say the next thing once they are answered: turns a second, and the seconds of each turn.

    A turn visits one server (first come, first served, exponential times with the means `visits`, half of them before
    and half after the model), and between them the model for `delay_seconds`, which at most `at_once` share.
    """
    before, after = visits[: len(visits) // 2], visits[len(visits) // 2 :]
    stages = [*before, None, *after]  # None is the model
    events = [(0.0, person, 0) for person in range(people)]
    began, took = [0.0] * people, []
    free_at, models_free_at = 0.0, [0.0] * at_once
    while events and events[0][0] <= seconds:
        now, person, stage = heapq.heappop(events)
        if stage == len(stages):
            took.append(now - began[person])
            began[person], stage = now, 0
        mean = stages[stage]
        if mean is None:
            done_at = max(now, heapq.heappop(models_free_at)) + delay_seconds
            heapq.heappush(models_free_at, done_at)
        else:
            done_at = free_at = max(now, free_at) + (source.expovariate(1 / mean) if mean else 0.0)
        heapq.heappush(events, (done_at, person, stage + 1))
    return len(took) / seconds, took
