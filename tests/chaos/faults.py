"""What goes wrong. A fault happens, holds for a while, and is mended; who cannot answer meanwhile is written down."""

import random
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from tests.chaos.city import ADMIN, CHANNELS, DATABASE, WORKERS, City

Happen = Callable[[City, random.Random, float], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """`happen` returns when all is mended; the last argument is how many seconds it should hold."""

    name: str
    happen: Happen
    is_possible: Callable[[City], bool] = lambda _city: True


def _signal(name: str, number: signal.Signals) -> Happen:
    def happen(city: City, _chance: random.Random, _seconds: float) -> None:
        city.keepers[name].signal(number)

    return happen


def _frozen(name: str) -> Happen:
    def happen(city: City, _chance: random.Random, seconds: float) -> None:
        with city.keepers[name].frozen():
            time.sleep(seconds)

    return happen


def _clock(name: str) -> Happen:
    def happen(city: City, chance: random.Random, seconds: float) -> None:
        city.clocks[name].move(chance.choice([-45, -5, 5, 45]))
        time.sleep(seconds)
        city.clocks[name].move(0)

    return happen


def _redis_restarts(city: City, _chance: random.Random, seconds: float) -> None:
    city.restart_valkey(away_seconds=seconds / 2)


def _redis_is_flushed(city: City, _chance: random.Random, _seconds: float) -> None:
    city.valkey.flush()


def _postgres_restarts(city: City, _chance: random.Random, seconds: float) -> None:
    with city.outages.during(DATABASE):
        city.restart_postgres(away_seconds=seconds / 4)


def _postgres_fails_over(city: City, _chance: random.Random, _seconds: float) -> None:
    with city.outages.during(DATABASE):
        city.cut_connections()


def _disk_is_full(city: City, _chance: random.Random, seconds: float) -> None:
    with city.outages.during(DATABASE):
        city.disk.fill()
        time.sleep(seconds / 4)
        city.disk.empty()
        city.revive_postgres()


def _telegram_refuses(city: City, chance: random.Random, seconds: float) -> None:
    """429 for a while, then errors, dropped requests and an answer that is lost."""
    with city.outages.during("telegram"):
        city.telegram.fault("sendMessage", 429, count=chance.randint(5, 30), retry_after=1)
        for kind in (500, "drop", "lose"):
            city.telegram.fault("sendMessage", kind, count=chance.randint(1, 3))
        city.telegram.fault("getUpdates", 502, count=chance.randint(1, 3))
        time.sleep(seconds)
        city.telegram.forgive()


def _wechat_breaks(city: City, _chance: random.Random, seconds: float) -> None:
    with city.outages.during("wechat"):
        city.gateway.kill()
        time.sleep(seconds / 2)
        city.gateway.start()


def _wecom_refuses(city: City, chance: random.Random, seconds: float) -> None:
    """Busy, too often, errors, dropped requests and answers that are lost; nothing can be pulled either."""
    with city.outages.during("wecom"):
        for kind in (-1, 45033, "status", "drop_before", "drop_after"):
            city.wecom.fault("kf/send_msg", kind, times=chance.randint(1, 6))
            city.wecom.fault("kf/sync_msg", kind, times=chance.randint(1, 3))
        city.wecom.fault("gettoken", "status", times=2)
        time.sleep(seconds)
        city.wecom.forgive()


def _oa_refuses(city: City, chance: random.Random, seconds: float) -> None:
    """Busy, errors, dropped requests and answers that are lost."""
    with city.outages.during("oa"):
        for kind in (-1, "status", "drop_before", "drop_after"):
            city.account.fault("message/custom/send", kind, times=chance.randint(1, 6))
        city.account.fault("stable_token", "status", times=2)
        time.sleep(seconds)
        city.account.forgive()


def _network_is_slow(city: City, _chance: random.Random, seconds: float) -> None:
    with ExitStack() as stack:
        for channel in CHANNELS:
            stack.enter_context(city.outages.during(channel))
        _slow_down(city, 0.7)
        time.sleep(seconds)
        _slow_down(city, 0.0)


def _slow_down(city: City, seconds: float) -> None:
    city.telegram.delay_seconds = city.gateway.delay_seconds = seconds
    city.wecom.delay_seconds = city.account.delay_seconds = seconds


def _telegram_says_not_found(city: City, chance: random.Random, seconds: float) -> None:
    """404 and 401, as a platform that is ill says them; an adapter must not take its token to be wrong."""
    with city.outages.during("telegram"):
        for status in (404, 401):
            city.telegram.fault("getUpdates", status, count=chance.randint(1, 4))
            city.telegram.fault("getMe", status, count=1)
            city.telegram.fault("sendMessage", status, count=chance.randint(1, 4))
        time.sleep(seconds)
        city.telegram.forgive()


def _redis_is_a_replica(city: City, _chance: random.Random, seconds: float) -> None:
    """READONLY to every write."""
    with city.redis() as redis:
        redis.replicaof("127.0.0.1", "1")
        time.sleep(seconds)
    with city.redis() as redis:
        redis.replicaof("NO", "ONE")


def _redis_has_no_replicas(city: City, _chance: random.Random, seconds: float) -> None:
    """NOREPLICAS to every write."""
    with city.redis() as redis:
        redis.config_set("min-replicas-to-write", 1)
        time.sleep(seconds)
    with city.redis() as redis:
        redis.config_set("min-replicas-to-write", 0)


def _admin_blocks_the_bot(city: City, _chance: random.Random, seconds: float) -> None:
    city.telegram.blocked.add(ADMIN)
    time.sleep(seconds)
    city.telegram.blocked.discard(ADMIN)


def _group_is_upgraded(city: City, chance: random.Random, _seconds: float) -> None:
    if city.groups:
        city.upgrade_group(chance.choice(sorted(city.groups)), is_told=chance.random() < 0.5)


def _keys_are_rotated(city: City, _chance: random.Random, seconds: float) -> None:
    """As an operator does it: every process gets the new key and is restarted, then all data keys are wrapped anew."""
    city.add_master_key()
    for name in (*WORKERS, *CHANNELS):
        city.keepers[name].signal(signal.SIGTERM)
        time.sleep(seconds / 4)
    city.rotate_keys(within_seconds=60)


FAULTS = (
    *(Fault(f"kill -9 {name}", _signal(name, signal.SIGKILL)) for name in (*CHANNELS, *WORKERS)),
    *(Fault(f"SIGTERM {name}", _signal(name, signal.SIGTERM)) for name in (*CHANNELS, *WORKERS)),
    *(Fault(f"SIGSTOP {name}", _frozen(name)) for name in (*CHANNELS, *WORKERS)),
    *(Fault(f"clock of {name}", _clock(name), lambda city: city.clocks["telegram"].is_movable) for name in WORKERS),
    Fault("clock of telegram", _clock("telegram"), lambda city: city.clocks["telegram"].is_movable),
    Fault("Redis restarts", _redis_restarts),
    Fault("Redis is flushed", _redis_is_flushed),
    Fault("PostgreSQL restarts", _postgres_restarts),
    Fault("PostgreSQL fails over", _postgres_fails_over),
    Fault("the disk is full", _disk_is_full, lambda city: city.disk.is_ours),
    Fault("429, 500, lost answers", _telegram_refuses),
    Fault("404, 401", _telegram_says_not_found),
    Fault("Redis is a replica", _redis_is_a_replica),
    Fault("Redis has no replicas", _redis_has_no_replicas),
    Fault("an admin blocks the bot", _admin_blocks_the_bot),
    Fault("keys are rotated", _keys_are_rotated),
    Fault("a group becomes a supergroup", _group_is_upgraded),
    Fault("WeChat's line breaks", _wechat_breaks),
    Fault("WeCom refuses", _wecom_refuses),
    Fault("the Official Account refuses", _oa_refuses),
    Fault("slow network", _network_is_slow),
)
