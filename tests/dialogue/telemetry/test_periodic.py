import threading

from structlog.testing import capture_logs

from dialogue.errors import DatabaseUnavailable
from dialogue.telemetry.periodic import Periodic
from dialogue.telemetry.prometheus import Prometheus

SOON = 0.001
PATIENCE = 20


def test_an_error_costs_one_round_and_holds_up_no_other_act() -> None:
    rounds: list[str] = []
    third = threading.Event()
    instruments = Prometheus()

    def fails() -> None:
        rounds.append("fails")
        if len(rounds) == 1:
            raise DatabaseUnavailable("it is down")
        raise RuntimeError("说了什么")

    def works() -> None:
        rounds.append("works")
        if rounds.count("works") == 3:
            third.set()

    loop = Periodic("sweep", fails, works, period_seconds=SOON, instruments=instruments)
    with capture_logs() as logs:
        loop.start()
        assert third.wait(PATIENCE)
        loop.stop()
    assert rounds[:6] == ["fails", "works"] * 3
    assert logs[:2] == [
        {"event": "sweep_failed", "error": "it is down", "log_level": "warning"},
        {"event": "sweep_failed", "error": "RuntimeError", "log_level": "error"},
    ]
    text = instruments.exposition("")[0].decode()
    assert f'mindglm_background_failures_total{{loop="sweep"}} {rounds.count("fails")}.0' in text


def test_a_loop_that_never_failed_is_counted_too() -> None:
    instruments = Prometheus()
    Periodic("sweep", dict, period_seconds=1, instruments=instruments)
    assert 'mindglm_background_failures_total{loop="sweep"} 0.0' in instruments.exposition("")[0].decode()


def test_stopping_ends_a_long_pause_and_then_the_end_runs_once() -> None:
    done: list[str] = []
    begun = threading.Event()

    def act() -> None:
        begun.set()
        done.append("stopped" if loop.pause(PATIENCE) else "slept")

    loop = Periodic("sweep", act, period_seconds=PATIENCE, at_end=lambda: done.append("end"))
    loop.start()
    assert begun.wait(PATIENCE)
    loop.stop()
    assert loop.is_stopping
    assert done == ["stopped", "end"]


def test_a_stop_says_what_it_did_not_wait_for() -> None:
    begun, release = threading.Event(), threading.Event()

    def hanging_query() -> None:
        begun.set()
        release.wait(PATIENCE)

    loop = Periodic("sweep", hanging_query, period_seconds=PATIENCE, stop_seconds=SOON)
    loop.start()
    assert begun.wait(PATIENCE)
    with capture_logs() as logs:
        loop.stop()
    release.set()
    (entry,) = logs
    assert entry["event"] == "background_loop_still_running"
    assert (entry["loop"], entry["waited_seconds"]) == ("sweep", SOON)
    assert entry["waiting_for"].endswith("hanging_query")
    loop.stop()


def test_what_never_started_is_stopped_at_once() -> None:
    Periodic("sweep", dict, period_seconds=1).stop()
