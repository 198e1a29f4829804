"""The arithmetic of capacity planning, by known results; whether it fits real runs: `bench.capacity --check`."""

import heapq
import json
import math
import random
from dataclasses import replace
from pathlib import Path

import pytest

from bench import capacity, costs, queueing
from bench.capacity_plan import Demand, Hardware, Part, need, plan

COSTS = costs.Costs(
    adapter_ms=10,
    worker_ms=8,
    database_ms=6,
    broker_ms=1,
    overhead_ms=30,
    transactions=6,
    rows=12,
    stored_bytes=4096,
    wal_bytes=8192,
    adapter_mib=100,
    worker_mib=100,
    source="invented for this test",
)


def test_erlangs_formula_gives_the_values_of_his_tables() -> None:
    assert queueing.erlang_c(1, 0.5) == pytest.approx(0.5)
    assert queueing.erlang_c(2, 1) == pytest.approx(1 / 3)
    assert queueing.erlang_c(10, 8) == pytest.approx(0.4092, abs=1e-4)
    assert queueing.erlang_c(3, 0) == 0
    assert queueing.erlang_c(3, 3) == 1


def test_waiting_at_one_server_of_fixed_time_is_pollaczek_and_khinchines() -> None:
    for load in (0.1, 0.5, 0.9):
        assert queueing.mean_wait(1, load, 1) == pytest.approx(load / (2 * (1 - load)))


def test_waiting_at_two_servers_of_fixed_time_is_close_to_the_exact_value() -> None:
    """Against a simulation of M/D/2 at a load of 0.75."""
    source, now, waited = random.Random(1), 0.0, 0.0
    free_at = [0.0, 0.0]
    for _ in range(100_000):
        now += source.expovariate(1.5)
        begins_at = max(now, heapq.heappop(free_at))
        waited += begins_at - now
        heapq.heappush(free_at, begins_at + 1)
    assert queueing.mean_wait(2, 1.5, 1) == pytest.approx(waited / 100_000, rel=0.04)


def test_nobody_waits_where_nobody_comes_and_all_wait_for_ever_where_too_many_do() -> None:
    assert queueing.mean_wait(4, 0, 1) == 0
    assert queueing.mean_wait(4, 4, 1) == math.inf
    assert queueing.mean_wait(4, 5, 1) == math.inf


def test_a_backlog_grows_by_what_is_not_served_and_is_worked_off_afterwards() -> None:
    assert queueing.waits([4, 4, 0, 0, 0, 1], 2) == [0, 1, 2, 1, 0, 0]
    assert queueing.waits([], 2) == []


def test_percentiles_are_of_those_who_arrive_not_of_the_seconds() -> None:
    assert queueing.percentile([0, 5], [99, 1], 0.99) == 0
    assert queueing.percentile([0, 5], [98, 2], 0.99) == 5
    assert queueing.percentile([0, 5], [0, 0], 0.99) == 0


@pytest.mark.parametrize("mean", [0.0, 0.3, 4.0, 200.0])
def test_poisson_numbers_have_their_mean_and_its_variance(mean: float) -> None:
    source = random.Random(1)
    drawn = [queueing.poisson(mean, source) for _ in range(4000)]
    middle = sum(drawn) / len(drawn)
    assert middle == pytest.approx(mean, abs=0.06 + mean * 0.02)
    assert sum((number - middle) ** 2 for number in drawn) / len(drawn) == pytest.approx(mean, rel=0.12)


def loop(people: int, *, delay: float, at_once: int = 100, visit: float = 0.0) -> tuple[float, list[float]]:
    return queueing.closed_loop(
        people=people,
        visits=[visit] * 4,
        delay_seconds=delay,
        at_once=at_once,
        seconds=200,
        source=random.Random(1),
    )


def test_one_person_in_a_closed_loop_takes_work_and_delay() -> None:
    speed, took = loop(1, delay=0.2)
    assert speed == pytest.approx(5, rel=0.01)
    assert {round(seconds, 6) for seconds in took} == {0.2}
    assert loop(1, delay=0.2, visit=0.005)[0] == pytest.approx(1 / 0.22, rel=0.02)


def test_a_closed_loop_is_bounded_by_its_models_and_by_its_server() -> None:
    assert loop(40, delay=0.5, at_once=4)[0] == pytest.approx(8, rel=0.02)
    assert loop(200, delay=0.1, visit=0.0025)[0] == pytest.approx(100, rel=0.03)
    assert loop(0, delay=0.1) == (0, [])


def test_a_days_turns_are_people_times_messages_most_of_them_in_the_evening() -> None:
    arrivals = Demand(people=2000, messages=10, burst=1).arrivals(random.Random(1))
    assert sum(arrivals) == pytest.approx(20_000, rel=0.03)
    hours = [sum(arrivals[hour * 3600 : (hour + 1) * 3600]) for hour in range(24)]
    assert hours.index(max(hours)) in {21, 22}
    calm, burst = (
        Demand(people=2000, messages=10, burst=times).arrivals(random.Random(1))[21 * 3600 + 1200 : 21 * 3600 + 1800]
        for times in (1, 3)
    )
    assert sum(burst) == pytest.approx(3 * sum(calm), rel=0.2)


def test_without_people_nothing_is_needed_and_nothing_is_the_bottleneck() -> None:
    found = plan(Demand(people=0), COSTS, Hardware())
    assert [each.count for each in found.needs] == [0] * 6
    assert (found.turns, found.first, found.hosts, found.connections, found.disk_gib) == (0, "", 0, 0, 0)


def test_one_person_needs_one_of_each_on_one_host() -> None:
    found = plan(Demand(people=1), COSTS, Hardware())
    assert [each.count for each in found.needs] == [1] * 6
    assert found.hosts == 1
    assert not found.pooler
    assert not found.partitions


def test_a_thousand_times_as_many_need_more_of_what_gives_way_first() -> None:
    small, large = (plan(Demand(people=people), COSTS, Hardware()) for people in (1000, 200_000))
    assert small.first == large.first == "GPU"
    counts = {each.part: each.count for each in large.needs}
    assert counts["GPU"] > 10 > counts["adapter"] > 1
    assert large.pooler
    assert large.partitions
    assert large.disk_gib == pytest.approx(large.turns * 180 * 4096 / 2**30, abs=0.1)
    assert all(each.busy <= 0.7 and each.wait_p99_s <= 1 for each in large.needs)
    faster = plan(Demand(people=200_000), COSTS, Hardware(tokens_per_second=3000, sequence_tokens_per_second=60))
    assert {each.part: each.count for each in faster.needs}["GPU"] < counts["GPU"]
    heavy = plan(Demand(people=200_000), replace(COSTS, database_ms=2000), Hardware())
    (database,) = (each for each in heavy.needs if each.part == "database")
    assert heavy.first == "database"
    assert database.is_above_one


def test_a_queue_that_a_busy_share_would_hide_asks_for_more() -> None:
    part = Part(name="GPU", seconds=0.5, moved_by="replicas")
    arrivals = [0] * 600
    arrivals[0] = 60
    found = need(part, arrivals, 1.0, share=1.0, demand=Demand(people=60))
    assert found.count == 1
    arrivals[1] = 60
    assert need(part, arrivals, 2.0, share=1.0, demand=Demand(people=120)).count == 15


@pytest.mark.parametrize(
    "wrong",
    [{"people": -1}, {"people": 1, "burst": 0.5}, {"people": 1, "crisis_share": 2}, {"people": 1, "hours": [1]}],
)
def test_a_demand_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"People|hours"):
        Demand(**wrong)  # type: ignore[arg-type]  # any of the fields


def test_memory_bounds_the_replies_at_once() -> None:
    assert Hardware(gpu_gib=24, weights_gib=12.5, sequence_mib=64).sequences() == 145
    few = Hardware(gpu_gib=15, weights_gib=12.5, sequence_mib=512)
    assert few.sequences() == 2
    assert few.turn_seconds() == pytest.approx(120 / 60 + 300 / 8000)
    with pytest.raises(ValueError, match="no room"):
        Hardware(gpu_gib=12, weights_gib=12.5).turn_seconds()


def test_a_plan_is_printed_from_costs_that_were_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = tmp_path / "costs.json"
    kept.write_text(json.dumps({name: getattr(COSTS, name) for name in costs.Costs.__slots__}))
    assert capacity.main(["--costs", str(kept), "--people", "10", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["costs"]["source"] == "costs.json: invented for this test"
    assert [each["people"] for each in report["plans"]] == [10]
    assert capacity.main(["--costs", str(kept), "--people", "10", "20"]) == 0
    assert "GPU: count (busy)" in capsys.readouterr().out


def test_what_is_wrong_with_the_options_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = tmp_path / "other.json"
    kept.write_text('{"costs": {"adapter_ms": 1}}')
    assert capacity.main(["--costs", str(kept)]) == 2
    assert "lacks worker_ms" in capsys.readouterr().err
    assert capacity.main(["--gpu-gib", "8"]) == 2
    assert "no room for a sequence" in capsys.readouterr().err


@pytest.mark.e2e
def test_costs_are_measured_and_the_model_is_compared_with_runs() -> None:
    measured = costs.measure(people=4, seconds=1)
    assert measured.rows > 1
    assert measured.transactions > 1
    assert measured.wal_bytes > 100
    found = capacity.check([2], seconds=0.5, rounds=1)
    assert [each.figure for each in found] == ["turns/s", "p50 s", "p95 s"]
    assert all(each.predicted > 0 and each.measured > 0 for each in found)
