import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection

import pytest

from dialogue.errors import DatabaseUnavailable
from dialogue.process.ports import port_of
from dialogue.process.settings import DialogueSettings
from dialogue.storage.database import Database
from dialogue.tables import Figure
from dialogue.telemetry.health_endpoints import Probes
from dialogue.telemetry.heartbeat import Identity, Presence, present
from dialogue.telemetry.prometheus import Prometheus
from dialogue.telemetry.watch import Watch, instruments_for
from tests.builders import Rooms
from tests.patience import wait_until

ME = Identity(kind="telegram", name="telegram")


def everybody(database: Database) -> list[Presence]:
    with database.read() as session:
        return present(session)


def watch(
    database: Database,
    *,
    figures: Callable[[], dict[str, Figure]] = dict,
    checks: dict[str, Callable[[], str | None]] | None = None,
    instruments: Prometheus | None = None,
) -> Watch:
    settings = DialogueSettings()
    return Watch(
        database=database,
        me=ME,
        figures=figures,
        checks=checks or {},
        instruments=instruments or instruments_for(settings),
        settings=settings,
        metrics_offset=1,
        beat_seconds=0.01,
    )


@contextmanager
def probes(watched: Watch, instruments: Prometheus) -> Iterator[Callable[[str], tuple[int, str]]]:
    """Asks for pages of a watch on a port that is free."""
    server = Probes("127.0.0.1", 0, readiness=watched.readiness, exposition=instruments.exposition)
    server.start()

    def ask(path: str) -> tuple[int, str]:
        connection = HTTPConnection("127.0.0.1", server.port, timeout=5)
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        return answer.status, body

    yield ask
    server.stop()


def test_it_beats_until_it_is_stopped(database: Database) -> None:
    watched = watch(database, figures=lambda: {"answering": 1})
    watched.start()
    wait_until(lambda: everybody(database), 5)
    first_at = everybody(database)[0].seen_at
    wait_until(lambda: everybody(database)[0].seen_at > first_at, 5)
    assert everybody(database)[0].figures["answering"] == 1
    assert everybody(database)[0].figures["memory_mb"]
    watched.stop()
    assert everybody(database) == []


def test_figures_that_break_once_cost_one_beat(database: Database) -> None:
    calls: list[int] = []

    def figures() -> dict[str, Figure]:
        calls.append(1)
        if len(calls) == 1:
            raise ValueError
        return {}

    watched = watch(database, figures=figures)
    watched.look()
    assert watched.readiness() == {"database": "ValueError"}
    watched.look()
    assert watched.readiness() == {"database": None}


def test_ready_names_each_check_and_what_is_wrong(database: Database) -> None:
    def broken() -> None:
        raise DatabaseUnavailable("it is away")

    instruments = Prometheus()
    watched = watch(database, checks={"broker": broken, "telegram": lambda: "deaf"}, instruments=instruments)
    with probes(watched, instruments) as ask:
        assert ask("/healthz")[0] == 200
        assert ask("/readyz")[0] == 503
        watched.look()
        status, body = ask("/readyz")
        assert status == 503
        assert json.loads(body) == {
            "ready": False,
            "checks": {"database": "ok", "broker": "it is away", "telegram": "deaf"},
        }
        assert ask("/metrics")[1].count('mindglm_check_ok{check="telegram"} 0.0') == 1
        assert ask("/nothing")[0] == 404


def test_a_database_that_never_answers_is_told_without_waiting_for_it(database: Database) -> None:
    let_go = threading.Event()

    def hangs() -> None:
        let_go.wait(20)

    instruments = Prometheus()
    watched = watch(database, checks={"broker": hangs}, instruments=instruments)
    watched.start()
    with probes(watched, instruments) as ask:
        wait_until(lambda: "has not answered" in ask("/readyz")[1], 5)
        assert ask("/healthz")[0] == 200
        assert ask("/metrics")[0] == 200
    let_go.set()
    watched.stop()


def test_metrics_tell_who_waits_and_since_when(database: Database, rooms: Rooms) -> None:
    rooms.heard(who="一")
    rooms.answered("你好", "我在听", who="二")
    instruments = Prometheus()
    watched = watch(database, instruments=instruments)
    watched.look()
    body = instruments.exposition("")[0].decode()
    assert 'mindglm_turns_open{state="waiting"} 1.0' in body
    assert 'mindglm_turns_open{state="generating"} 0.0' in body
    assert 'mindglm_deliveries_owed{channel="test"} 1.0' in body
    (age,) = re.findall(r'mindglm_turns_oldest_seconds\{state="waiting"\} (\S+)', body)
    assert float(age) >= 0


def test_what_is_owed_no_more_is_shown_as_nothing(database: Database, rooms: Rooms) -> None:
    rooms.answered("你好", "我在听")
    instruments = Prometheus()
    watched = watch(database, instruments=instruments)
    watched.look()
    with database.begin() as session:
        for delivery in rooms.deliveries():
            session.delete(session.merge(delivery))
    watched.look()
    assert 'mindglm_deliveries_owed{channel="test"} 0.0' in instruments.exposition("")[0].decode()


def test_a_process_listens_at_its_offset_from_the_port_that_is_set() -> None:
    assert port_of(3, DialogueSettings(metrics_port=9500)) == 9503
    assert port_of(0, DialogueSettings()) is None


def test_a_port_that_is_taken_costs_the_figures_but_not_the_process(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    instruments = Prometheus()
    first = watch(database, instruments=instruments)
    with probes(first, instruments):
        taken = Probes("127.0.0.1", 0, readiness=dict, exposition=instruments.exposition)
        settings = DialogueSettings(metrics_port=taken.port - 1)
        second = Watch(
            database=database,
            me=ME,
            figures=dict,
            checks={},
            instruments=Prometheus(),
            settings=settings,
            metrics_offset=1,
        )
        second.start()
        wait_until(lambda: everybody(database), 5)
        second.stop()
        taken._server.server_close()
