"""Everything real: PostgreSQL, Valkey, three adapters and two workers, each under a keeper, between three platforms."""

import contextlib
import glob
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import create_engine, select, text
from sqlalchemy.exc import SQLAlchemyError

from dialogue.broker.signals import redis_url
from dialogue.errors import DatabaseUnavailable
from dialogue.states import OPEN_DELIVERY_STATES, OPEN_TURN_STATES
from dialogue.storage import schema
from dialogue.storage.clock import utc_now
from dialogue.storage.database import Database, connect
from dialogue.storage.vault import MasterKeys, new_secret
from dialogue.tables import Conversation, Delivery, Turn
from dialogue.upkeep import key_rotation
from tests.bot.oa.loopback import OfficialAccount
from tests.bot.oa.rehearsal import oa_environment
from tests.bot.telegram.loopback import TOKEN, Telegram
from tests.bot.wechat.gateway import TOKEN as WECHAT_TOKEN
from tests.bot.wechat.gateway import Gateway
from tests.bot.wechat.ward import Process
from tests.bot.wecom.loopback import WeCom
from tests.bot.wecom.rehearsal import free_address, wecom_environment
from tests.chaos.disk import Disk, disk
from tests.chaos.keeper import Keeper, Outages
from tests.services.postgres import PostgresServer
from tests.services.valkey import ValkeyServer

REPLY = "收到："
DATABASE = "database"
ADMIN, SECOND_ADMIN = 990_001, 990_002
CHANNELS = ("telegram", "wechat", "wecom", "oa")
WORKERS = ("worker-1", "worker-2")

_LESS_WEIGHT = ("sh", "-c", 'echo 7 2>/dev/null >/proc/self/autogroup; exec nice -n 7 "$@"', "sh")
"""A fifth of the others' share of the processors, as compose.yaml and the systemd unit give a worker."""

_ROOT = Path(__file__).parents[2]
_FAKETIME = "/usr/lib/*/faketime/libfaketime.so.1"


class Clock:
    """The wall clock of one process, which can be moved where libfaketime is installed."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._library = next(iter(glob.glob(_FAKETIME)), None)  # noqa: PTH207 - an absolute pattern
        self.move(0)

    @property
    def is_movable(self) -> bool:
        return self._library is not None

    @property
    def environment(self) -> dict[str, str]:
        if self._library is None:
            return {}
        return {
            "LD_PRELOAD": self._library,
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def move(self, seconds: int) -> None:
        """So far from the true time."""
        self._file.write_text(f"{seconds:+d}")


@dataclass(frozen=True, slots=True, kw_only=True)
class City:
    """What faults can reach."""

    telegram: Telegram
    gateway: Gateway
    wecom: WeCom
    account: OfficialAccount
    postgres: PostgresServer
    valkey: ValkeyServer
    disk: Disk
    outages: Outages
    keepers: dict[str, Keeper]
    clocks: dict[str, Clock]
    database: Database
    secret: Path
    """The file that holds the master keys, the newest first."""
    groups: dict[int, list[int]] = field(default_factory=dict)
    """Of each person who talks in a group on Telegram: the ids that the group has had, the present one last."""
    hands: ThreadPoolExecutor  # one thread that stays: servers end with the thread that started them
    postgres_lock: threading.RLock = field(default_factory=threading.RLock)

    def restart_valkey(self, *, away_seconds: float) -> None:
        """Killed, away for a while, there again and empty."""
        self.valkey.kill()
        time.sleep(away_seconds)
        self.hands.submit(self.valkey.start).result()

    @contextmanager
    def redis(self) -> Iterator[Redis]:
        """The broker, as an operator reaches it; one that is away at that moment is left alone."""
        with contextlib.suppress(RedisError), Redis.from_url(redis_url(self.valkey.url)) as connected:
            yield connected

    def add_master_key(self) -> None:
        """For the processes that start from now on."""
        self.secret.write_text(f"{new_secret()},{self.secret.read_text()}")

    def rotate_keys(self, *, within_seconds: float) -> None:
        """As soon as every running process holds the new key; not at all, if one of them never does."""
        keys = MasterKeys.parse(self.secret.read_text())
        deadline = time.monotonic() + within_seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(DatabaseUnavailable), self.database.begin() as session:
                if not key_rotation.unprepared(session, keys, now=utc_now()):
                    key_rotation.rotate(session, keys, after=key_rotation.BEGINNING, limit=10_000)
                    return
            time.sleep(1)

    def upgrade_group(self, who: int, *, is_told: bool) -> None:
        """It becomes a supergroup; nobody is told in the chat, or everybody is. Nothing, if it is one.

        While somebody waits there everybody is told, as by Telegram itself: who has not heard of it cannot know that
        what is said under the new id comes after what waits under the old one.
        """
        if len(self.groups[who]) > 1:
            return
        before = self.groups[who][0]
        after = before - 1_000_000
        is_told = is_told or self._somebody_waits_in(before)
        self.telegram.moved[before] = after
        self.groups[who].append(after)
        if is_told:
            self.telegram.message(who, {"id": before, "type": "group", "title": "组"}, migrate_to_chat_id=after)
            there = {"id": after, "type": "supergroup", "title": "组"}
            self.telegram.message(who, there, migrate_from_chat_id=before)

    def _somebody_waits_in(self, chat_id: int) -> bool:
        """Also where the database cannot be asked."""
        if any(update.get("message", {}).get("chat", {}).get("id") == chat_id for update in self.telegram.pending):
            return True
        there = Conversation.chat_id.startswith(f"{chat_id}/")
        owed = Delivery.chat_id.startswith(f"{chat_id}/")
        try:
            with self.database.read() as session:
                turns = select(Turn.id).join(Conversation, Conversation.id == Turn.conversation_id).where(there)
                is_open = session.scalars(turns.where(Turn.state.in_(OPEN_TURN_STATES))).first()
                is_owed = session.scalars(
                    select(Delivery.id).where(owed, Delivery.state.in_(OPEN_DELIVERY_STATES))
                ).first()
        except (SQLAlchemyError, DatabaseUnavailable):
            return True
        return is_open is not None or is_owed is not None

    def restart_postgres(self, *, away_seconds: float) -> None:
        """Killed, away for a while, there again."""
        with self.postgres_lock:
            self.postgres.kill()
            time.sleep(away_seconds)
            self.revive_postgres()

    def revive_postgres(self) -> None:
        """Start it again, however it ended."""
        with self.postgres_lock:
            deadline = time.monotonic() + 60
            while not self.postgres_answers():
                assert time.monotonic() < deadline, "PostgreSQL does not come back"
                self.postgres.kill()
                with contextlib.suppress(RuntimeError):
                    self.hands.submit(self.postgres.start).result()

    def postgres_answers(self) -> bool:
        engine = create_engine(self.postgres.url())
        try:
            with engine.connect() as connection:
                connection.execute(text("CREATE TEMPORARY TABLE here (it int)"))
        except SQLAlchemyError:
            return False
        else:
            return True
        finally:
            engine.dispose()

    def cut_connections(self) -> None:
        """As when a standby takes over: the server is there, every session is gone."""
        engine = create_engine(self.postgres.url())
        with contextlib.suppress(SQLAlchemyError), engine.connect() as connection:
            connection.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
            )
        engine.dispose()


@contextmanager
def city(home: Path, *, lease_seconds: float, reply_seconds: float) -> Iterator[City]:
    """Built, started, and torn down at the end. `home` must be short: sockets live in it."""
    with ExitStack() as stack:
        space = stack.enter_context(disk(home / "disk"))
        (space.path / "postgres").mkdir()
        (space.path / "home").mkdir()
        hands = stack.enter_context(ThreadPoolExecutor(1))
        postgres = PostgresServer(space.path / "postgres")
        hands.submit(postgres.start).result()
        stack.callback(postgres.stop)
        valkey = ValkeyServer(home)
        hands.submit(valkey.start).result()
        stack.callback(valkey.stop)
        telegram = Telegram().start()
        stack.callback(telegram.stop)
        gateway = stack.enter_context(Gateway(is_durable=True))
        wecom = WeCom().start()
        stack.callback(wecom.stop)
        listen = free_address()
        wecom.callback_url = f"http://{listen}/wecom"
        account = _account()
        stack.callback(account.stop)
        account_listen = free_address()
        account.callback_url = f"http://{account_listen}/oa"
        database = connect(postgres.url())
        stack.callback(database.close)
        schema.upgrade(database)
        secret = home / "master-keys"
        secret.write_text(new_secret())
        secret.chmod(0o600)
        environment = {
            "PYTHONPATH": str(_ROOT),
            "MINDGLM_HOME": str(space.path / "home"),
            "MINDGLM_DATABASE_URL": postgres.url(),
            "MINDGLM_BROKER_URL": valkey.url,
            "MINDGLM_SECRET_KEY_FILE": str(secret),
            "MINDGLM_ADMINS": f"telegram:{ADMIN},telegram:{SECOND_ADMIN}",
            "MINDGLM_CONSENT": "off",
            "MINDGLM_MESSAGES_PER_MINUTE": "0",
            "MINDGLM_MESSAGES_PER_DAY": "0",
            "MINDGLM_ENGINE": "scripted",
            "MINDGLM_SCRIPTED_DELAY_SECONDS": str(reply_seconds),
            "MINDGLM_SCRIPTED_REPLY": f"{REPLY}{{text}}",
            "MINDGLM_CONCURRENCY": "32",
            "MINDGLM_LEASE_SECONDS": str(lease_seconds),
            "MINDGLM_SHUTDOWN_SECONDS": "5",
            "MINDGLM_LOG_FORMAT": "json",
            "MINDGLM_TELEGRAM_TOKEN": TOKEN,
            "MINDGLM_TELEGRAM_API_URL": telegram.api_url,
            "MINDGLM_TELEGRAM_FEEDBACK": "false",
            "MINDGLM_TELEGRAM_GROUPS": "true",
            "MINDGLM_TELEGRAM_MESSAGES_PER_SECOND": "1000",
            "MINDGLM_TELEGRAM_CHAT_MESSAGES_PER_SECOND": "1000",
            "MINDGLM_WECHAT_ENDPOINT": gateway.endpoint,
            "MINDGLM_WECHAT_TOKEN": WECHAT_TOKEN,
            "MINDGLM_WECHAT_MESSAGES_PER_MINUTE": "600000",
            "MINDGLM_WECHAT_PART_PAUSE_SECONDS": "0",
            "MINDGLM_WECOM_LISTEN": listen,
            **wecom_environment(wecom),
            "MINDGLM_OA_LISTEN": account_listen,
            **oa_environment(account),
        }
        outages = Outages()
        clocks = {name: Clock(home / f"clock-{name}") for name in (*CHANNELS, *WORKERS)}
        keepers = {name: _keeper(name, {**environment, **clocks[name].environment}, outages, home) for name in clocks}
        for keeper in keepers.values():
            stack.callback(keeper.stop)
            keeper.start()
        yield City(
            telegram=telegram,
            gateway=gateway,
            wecom=wecom,
            account=account,
            postgres=postgres,
            valkey=valkey,
            disk=space,
            outages=outages,
            keepers=keepers,
            clocks=clocks,
            database=database,
            secret=secret,
            hands=hands,
        )


def _account() -> OfficialAccount:
    """WeChat gives a push up after three tries, and nobody can ask for it; so here it tries until it is taken."""
    account = OfficialAccount()
    account.tries = 10_000
    account.is_in_order = True
    account.retry_pause_seconds = 0.5
    return account.start()


def _keeper(name: str, environment: dict[str, str], outages: Outages, home: Path) -> Keeper:
    is_worker = name in WORKERS
    ready = "worker_ready" if is_worker else f"{name}_ready"
    argv = [sys.executable, "-m", "mindglm", "worker" if is_worker else name]
    process = Process(
        [*_LESS_WEIGHT, *argv] if is_worker else argv,
        environment,
        home / f"{name}.log",
        ready=ready,
        cwd=home,
    )
    return Keeper(name, process, outages, ready=ready)
