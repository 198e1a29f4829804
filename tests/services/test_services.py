"""The services that other tests stand on are real, separate, and come back after a kill."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from dialogue.broker.signals import redis_url as in_redis_form
from tests.services import unprivileged
from tests.services.postgres import PostgresServer
from tests.services.valkey import ValkeyServer


def ask(url: str, *statements: str) -> object:
    """The first value of the last statement's answer."""
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            for statement in statements:
                answer = connection.execute(text(statement))
            return answer.scalar() if answer.returns_rows else None
    finally:
        engine.dispose()


def test_postgres_is_the_real_one(postgres_url: str) -> None:
    assert str(ask(postgres_url, "SELECT version()")).startswith("PostgreSQL ")


def test_each_database_is_empty_and_apart(empty_postgres_database: Callable[[], str]) -> None:
    one, other = empty_postgres_database(), empty_postgres_database()
    ask(one, "CREATE TABLE things (id int)")
    assert ask(other, "SELECT to_regclass('things')") is None


@pytest.mark.parametrize("end", [PostgresServer.stop, PostgresServer.kill])
def test_what_postgres_committed_is_there_after_its_end(
    postgres_server: PostgresServer, end: Callable[[PostgresServer], None]
) -> None:
    ask(postgres_server.url(), "CREATE TABLE things AS SELECT 7 AS id")
    end(postgres_server)
    with pytest.raises(OperationalError):
        ask(postgres_server.url(), "SELECT 1")
    postgres_server.start()
    assert ask(postgres_server.url(), "SELECT id FROM things") == 7


def test_postgres_listens_on_no_port(postgres_server: PostgresServer) -> None:
    assert ask(postgres_server.url(), "SHOW listen_addresses") == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_where_root_may_make_no_namespace_postgres_runs_as_nobody(
    short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unprivileged, "is_possible", lambda: False)
    server = PostgresServer(short_path)
    server.start()
    owner = (short_path / "data").owner()
    server.stop()
    assert owner == "nobody"


@pytest.mark.skipif(sys.platform != "linux", reason="the bond to the parent is Linux's")
def test_a_killed_test_run_leaves_no_postgres(short_path: Path) -> None:
    if os.geteuid() == 0 and not unprivileged.is_possible():
        pytest.skip("as nobody it has no bond; the container's end is its end")
    program = f"""
        import time
        from pathlib import Path
        from tests.services.postgres import PostgresServer
        PostgresServer(Path({str(short_path)!r})).start()
        print(flush=True)
        time.sleep(60)
    """
    run = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE)
    assert run.stdout is not None
    with run.stdout:
        run.stdout.readline()
    (server,) = psutil.Process(run.pid).children()
    run.send_signal(signal.SIGKILL)
    run.wait()
    deadline = time.monotonic() + 10
    while (short_path / "data" / "postmaster.pid").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not (short_path / "data" / "postmaster.pid").exists()
    psutil.wait_procs([server], timeout=5)


def test_redis_is_empty_before_each_test(redis_url: str) -> None:
    with Redis.from_url(in_redis_form(redis_url)) as redis:
        assert redis.dbsize() == 0
        redis.set("left", "over")


test_redis_is_empty_before_the_next_test_too = test_redis_is_empty_before_each_test


@pytest.mark.parametrize("end", [ValkeyServer.stop, ValkeyServer.kill])
def test_valkey_comes_back_empty_on_the_same_url(
    valkey_server: ValkeyServer, end: Callable[[ValkeyServer], None]
) -> None:
    with Redis.from_url(in_redis_form(valkey_server.url), retry=None) as redis:
        redis.set("a", "1")
        end(valkey_server)
        with pytest.raises(RedisConnectionError):
            redis.ping()
        valkey_server.start()
        assert redis.get("a") is None
