"""A bad hour of customer service: people write, everything is killed again and again, notices are lost.

    python -m tests.bot.wecom.rehearsal                          # 200 people with 3 messages each, two adapters
    python -m tests.bot.wecom.rehearsal --people 20 --kills 3

PostgreSQL, Valkey, two adapters on one account and two workers are real processes; WeCom is the loopback server at its
nastiest. Everything must be stored, each message answered once and in order, never more than five for one message of a
person, and nothing accepted while a colleague has the session. In the end some are in danger to whom nothing more may
be sent: a case and an alert within two seconds, and the words for them first when they write again.
"""

import argparse
import random
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import psutil
from sqlalchemy import func, select

from dialogue.states import DeliveryState, TurnState
from dialogue.storage import schema
from dialogue.storage.database import Database, connect
from dialogue.storage.vault import new_secret
from dialogue.tables import Delivery, Message, Person, Turn
from tests.bot.tencent.cries import MAX_ALARM_SECONDS, cry_unheard
from tests.bot.wechat.ward import Process
from tests.bot.wecom.loopback import WITH_COLLEAGUE, WeCom
from tests.bot.wecom.wire import AES_KEY, CORP_ID, SECRET, TOKEN
from tests.builders import is_quiet
from tests.services.postgres import PostgresServer
from tests.services.valkey import ValkeyServer

_ROOT = Path(__file__).parents[3]
_REPLY = "收到："
_PATIENCE_SECONDS = 240.0
_CRIERS = 5
ADMIN = "wmADMIN"

P = TypeVar("P", bound="Called")


@dataclass(kw_only=True)
class Verdict:
    """What came of it; only `said`, `stored`, `kills` and what is in seconds may be other than 0."""

    said: int = 0
    stored: int = 0
    unanswered: int = 0
    twice: int = 0
    out_of_order: int = 0
    beyond_budget: int = 0
    while_a_colleague_spoke: int = 0
    unfinished: int = 0
    cries_not_first: int = 0
    slowest_alarm_seconds: float = 0.0
    kills: int = 0
    seconds: float = 0.0
    given_up: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        bad = (self.unanswered, self.twice, self.out_of_order, self.beyond_budget, self.unfinished, len(self.given_up))
        is_bad = any(bad) or self.while_a_colleague_spoke or self.cries_not_first
        return self.said == self.stored and not is_bad and self.slowest_alarm_seconds <= MAX_ALARM_SECONDS


class House(Generic[P]):
    """A platform, the processes before it, and what kills them."""

    def __init__(
        self, platform: P, database: Database, processes: dict[str, Process], callback_urls: list[str]
    ) -> None:
        self.platform = platform
        self.database = database
        self.callback_urls = callback_urls
        self.kills = 0
        self._processes = processes

    def kill(self, *names: str) -> None:
        """kill -9, and a new life."""
        for name in names:
            process = self._processes[name]
            if process.pid is not None:
                with suppress(psutil.NoSuchProcess, ProcessLookupError):
                    psutil.Process(process.pid).send_signal(signal.SIGKILL)
                self.kills += 1
        for name in names:
            self._processes[name].kill()
            self._processes[name].start()

    @property
    def names(self) -> list[str]:
        return list(self._processes)

    def wait_ready(self) -> None:
        for process in self._processes.values():
            process.wait_ready()


class Called(Protocol):
    """A platform that calls us."""

    callback_url: str


@contextmanager
def house(
    home: Path, platform: P, channel: str, environment: Mapping[str, str], *, adapters: int
) -> Iterator[House[P]]:
    """`home` must be short: sockets live in it. `environment`: what the channel's adapters need besides."""
    with ExitStack() as stack:
        hands = stack.enter_context(ThreadPoolExecutor(1))
        (home / "postgres").mkdir()
        postgres = PostgresServer(home / "postgres")
        hands.submit(postgres.start).result()
        stack.callback(postgres.stop)
        valkey = ValkeyServer(home)
        hands.submit(valkey.start).result()
        stack.callback(valkey.stop)
        database = connect(postgres.url())
        stack.callback(database.close)
        schema.upgrade(database)
        common = {
            "PYTHONPATH": str(_ROOT),
            "MINDGLM_DATABASE_URL": postgres.url(),
            "MINDGLM_BROKER_URL": valkey.url,
            "MINDGLM_SECRET_KEY": new_secret(),
            "MINDGLM_CONSENT": "off",
            "MINDGLM_ADMINS": f"{channel}:{ADMIN}",
            "MINDGLM_MESSAGES_PER_MINUTE": "0",
            "MINDGLM_MESSAGES_PER_DAY": "0",
            "MINDGLM_ENGINE": "scripted",
            "MINDGLM_SCRIPTED_DELAY_SECONDS": "0.05",
            "MINDGLM_SCRIPTED_REPLY": f"{_REPLY}{{text}}",
            "MINDGLM_CONCURRENCY": "32",
            "MINDGLM_LEASE_SECONDS": "5",
            "MINDGLM_LOG_FORMAT": "json",
            **environment,
        }
        processes: dict[str, Process] = {}
        callback_urls: list[str] = []
        for number in (1, 2):
            own = {**common, "MINDGLM_HOME": str(home / f"home-{number}")}
            if number <= adapters:
                listen = free_address()
                callback_urls.append(f"http://{listen}/{channel}")
                processes[f"{channel}-{number}"] = Process(
                    [sys.executable, "-m", "mindglm", channel],
                    {**own, f"MINDGLM_{channel.upper()}_LISTEN": listen},
                    home / f"{channel}-{number}.log",
                    ready=f"{channel}_ready",
                    cwd=home,
                )
            processes[f"worker-{number}"] = Process(
                [sys.executable, "-m", "mindglm", "worker"],
                own,
                home / f"worker-{number}.log",
                ready="worker_ready",
                cwd=home,
            )
        platform.callback_url = callback_urls[-1]
        for process in processes.values():
            stack.callback(process.kill)
            process.start()
        built = House(platform, database, processes, callback_urls)
        built.wait_ready()
        yield built


def wecom_environment(wecom: WeCom) -> dict[str, str]:
    """Of an adapter that speaks with it."""
    return {
        "MINDGLM_WECOM_CORP_ID": CORP_ID,
        "MINDGLM_WECOM_SECRET": SECRET,
        "MINDGLM_WECOM_CALLBACK_TOKEN": TOKEN,
        "MINDGLM_WECOM_AES_KEY": AES_KEY,
        "MINDGLM_WECOM_API_URL": wecom.api_url,
        "MINDGLM_WECOM_PULL_SECONDS": "1",
        "MINDGLM_WECOM_FEEDBACK": "false",
    }


def run(*, people: int, words: int, kills: int, seed: int, home: Path) -> Verdict:
    """Everybody writes their words, at most three of them unanswered, while something is killed now and then."""
    chance = random.Random(seed)
    wecom = WeCom().start()
    with ExitStack() as stack:
        stack.callback(wecom.stop)
        built = stack.enter_context(house(home, wecom, "wecom", wecom_environment(wecom), adapters=2))
        began_at = time.monotonic()
        let_admin_write(built)
        who = [f"wm{number:04}" for number in range(people)]
        said = _talk(built, who, words=words, kills=kills, chance=chance)
        wait_until_quiet(built, said)
        verdict = _judge(built, said)
        criers = chance.sample(who, _CRIERS)
        heard = cry_unheard(wecom, built.database, criers, admin=ADMIN)
        verdict.slowest_alarm_seconds, verdict.cries_not_first = heard
        verdict.seconds = round(time.monotonic() - began_at, 1)
        return verdict


def _talk(
    built: House[WeCom], who: list[str], *, words: int, kills: int, chance: random.Random
) -> dict[str, list[str]]:
    said: dict[str, list[str]] = {person: [] for person in who}
    order = [person for person in who for _ in range(words)]
    chance.shuffle(order)
    colleagues = set(chance.sample(who, max(1, len(who) // 20)))
    kill_after = set(chance.sample(range(len(order)), kills))
    victims = [["wecom-1"], ["wecom-2"], ["worker-1"], ["wecom-1", "wecom-2"], ["worker-2"], built.names]
    for number, person in enumerate(order):
        text = f"{person}的第{len(said[person])}句"
        said[person].append(text)
        built.platform.say(person, text)
        if number in kill_after:
            built.kill(*victims[len([each for each in kill_after if each < number]) % len(victims)])
        if person in colleagues and len(said[person]) == words:
            _answered_by_a_colleague(built, person, said[person])
        time.sleep(0.01)
    return said


def _answered_by_a_colleague(built: House[WeCom], person: str, said: list[str]) -> None:
    """A colleague takes the session and ends it; then the person goes on."""
    built.platform.grab(person, "lisi")
    built.platform.end(person)
    text = f"{person}的第{len(said)}句"
    said.append(text)
    built.platform.say(person, text)


def let_admin_write(built: House[Any]) -> None:
    """Else nothing may be sent to them; nothing of what they say is counted."""
    built.platform.say(ADMIN, "/admin")
    wait_until_told = time.monotonic() + _PATIENCE_SECONDS
    while not built.platform.seen(ADMIN) and time.monotonic() < wait_until_told:
        time.sleep(0.05)


def wait_until_quiet(built: House[Any], said: dict[str, list[str]]) -> None:
    built.wait_ready()
    deadline = time.monotonic() + _PATIENCE_SECONDS
    count = sum(map(len, said.values()))
    while time.monotonic() < deadline:
        if stored(built.database) >= count and is_quiet(built.database):
            return
        time.sleep(0.5)


def _judge(built: House[WeCom], said: dict[str, list[str]]) -> Verdict:
    verdict = Verdict(said=sum(map(len, said.values())), stored=stored(built.database), kills=built.kills)
    for person, lines in said.items():
        sent = built.platform.seen(person)
        answered = [line for one in sent for line in one.text.replace(_REPLY, "").split("\n") if line in lines]
        joined = [part for line in answered for part in [lines.index(line)]]
        verdict.twice += len(joined) - len(set(joined))
        verdict.out_of_order += sum(after < before for before, after in pairwise(joined))
        # what was discarded when a colleague came is answered by them
        held = _held_back(built.database, person)
        verdict.unanswered += max(0, len(set(range(len(lines))) - set(joined)) - held)
        verdict.beyond_budget += sum(one.number > 5 for one in sent)
        verdict.while_a_colleague_spoke += sum(one.state == WITH_COLLEAGUE for one in sent)
    verdict.unfinished = 0 if is_quiet(built.database) else 1
    verdict.given_up = given_up(built.database)
    return verdict


def stored(database: Database) -> int:
    """Messages, but for those of staff."""
    of_others = (
        select(func.count(Message.id)).join(Person, Person.id == Message.person_id).where(Person.user_id != ADMIN)
    )
    with database.read() as session:
        return session.scalar(of_others) or 0


def _held_back(database: Database, person: str) -> int:
    """Words of a person that were given to a colleague: no turn of theirs was answered."""
    with database.read() as session:
        unanswered = session.scalar(
            select(func.count(Message.id))
            .outerjoin(Turn, Turn.id == Message.turn_id)
            .where(
                Message.external_id.is_not(None),
                (Turn.state == TurnState.DISCARDED) | Message.turn_id.is_(None),
                Message.person_id.in_(select(Delivery.person_id).where(Delivery.chat_id == person)),
            )
        )
        discarded = session.scalar(
            select(func.count(Delivery.id)).where(Delivery.chat_id == person, Delivery.state == DeliveryState.DISCARDED)
        )
        return (unanswered or 0) + (discarded or 0)


def given_up(database: Database) -> list[str]:
    with database.read() as session:
        failed = select(Delivery.error).where(Delivery.state == DeliveryState.FAILED)
        return [error or "" for error in session.scalars(failed)]


def free_address() -> str:
    """host:port"""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return "{}:{}".format(*free.getsockname())


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--words", type=int, default=3)
    parser.add_argument("--kills", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mw-") as directory:
        home = Path(directory)
        home.chmod(0o755)  # PostgreSQL may have to run as somebody else
        verdict = run(
            people=arguments.people, words=arguments.words, kills=arguments.kills, seed=arguments.seed, home=home
        )
    sys.stdout.write(f"{verdict}\n{'good' if verdict.is_good else 'BAD'}\n")
    return 0 if verdict.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
