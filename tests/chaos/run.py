"""One run: a city, a crowd, a seeded schedule of faults in two lanes, quiet, a verdict."""

import random
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from care import texts
from dialogue.storage.vault import MasterKeys
from tests.chaos.city import ADMIN, SECOND_ADMIN, City, city
from tests.chaos.crowd import Crowd, Platform
from tests.chaos.faults import FAULTS, Fault
from tests.chaos.platforms import InGroups, OnOa, OnTelegram, OnWeChat, OnWeCom
from tests.chaos.verdict import Verdict, held_chats, judge

_LANES = 2
_QUIET_SECONDS = 90.0
_LONG_SECONDS = 2.0
_BEFORE_SECONDS = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run is made of; times in seconds."""

    seed: int
    seconds: float
    talkers: int = 36
    in_danger: int = 4
    in_groups: int = 3
    gap_seconds: float = 5.0
    hold_seconds: float = 6.0
    lease_seconds: float = 6.0
    reply_seconds: float = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A verdict, and what led to it."""

    plan: Plan
    faults: list[str]
    impossible: list[str]
    deaths: int
    last_words: list[str]
    slow_calls: list[str]
    load: float
    verdict: Verdict


def run(plan: Plan, *, logs: Path | None = None) -> Outcome:
    """Raises nothing for what people suffered: that is in the verdict. `logs` is where the processes' logs are kept."""
    with tempfile.TemporaryDirectory(prefix="mg-") as directory:
        home = Path(directory) / "c"
        home.mkdir()
        home.parent.chmod(0o755)  # PostgreSQL may have to run as somebody else
        with city(home, lease_seconds=plan.lease_seconds, reply_seconds=plan.reply_seconds) as built:
            try:
                return _live(built, plan)
            finally:
                if logs is not None:
                    _keep(home, logs / f"seed-{plan.seed}")


def _live(built: City, plan: Plan) -> Outcome:
    words = texts.load("zh")
    more = words.say("delivery_more_waits")
    platforms: list[Platform] = [
        OnTelegram(built.telegram),
        OnWeChat(built.gateway),
        OnWeCom(built.wecom, more=more),
        OnOa(built.account, more=more),
    ]
    crowd = Crowd(
        platforms,
        groups=InGroups(built.telegram, built.groups),
        seed=plan.seed,
        talkers=plan.talkers,
        in_danger=plan.in_danger,
        in_groups=plan.in_groups,
        gap_seconds=plan.gap_seconds,
    )
    possible = [fault for fault in FAULTS if fault.is_possible(built)]
    schedule = _Schedule(possible, seed=plan.seed)
    crowd.start()
    try:
        schedule.run(built, seconds=plan.seconds, hold_seconds=plan.hold_seconds)
    finally:
        built.revive_postgres()
        crowd.stop()
    _wait_until_quiet(built, crowd)
    if crowd.say_more(held_chats(built.database)):
        _wait_until_quiet(built, crowd)
    built.rotate_keys(within_seconds=60)
    verdict = judge(
        crowd,
        built.database,
        built.outages,
        newest_key=MasterKeys.parse(built.secret.read_text()).current_id,
        told_to_admins=[text for admin in (ADMIN, SECOND_ADMIN) for text in built.telegram.texts(admin)],
        apology=words.say("error_failed"),
        goodbye=words.say("command_end"),
    )
    return Outcome(
        plan=plan,
        faults=[name for name, _, _ in schedule.happened],
        impossible=[fault.name for fault in FAULTS if fault not in possible],
        deaths=sum(keeper.deaths for keeper in built.keepers.values()),
        last_words=[words for keeper in built.keepers.values() for words in keeper.last_words],
        slow_calls=_slow_calls(crowd, schedule),
        load=round(psutil.getloadavg()[0], 1),
        verdict=verdict,
    )


def _keep(home: Path, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for log in home.glob("*.log*"):
        shutil.copy(log, directory)


class _Schedule:
    """Each lane takes the next fault from one shuffled deck, so that faults overlap and none is left out for long."""

    def __init__(self, faults: list[Fault], *, seed: int) -> None:
        self.happened: list[tuple[str, float, float]] = []  # what, from, to
        self._faults = faults
        self._seed = seed
        self._deck: list[Fault] = []
        self._lock = threading.Lock()
        self._chance = random.Random(f"schedule {seed}")
        self._troubles: list[BaseException] = []

    def run(self, built: City, *, seconds: float, hold_seconds: float) -> None:
        until = time.monotonic() + seconds
        lanes = [
            threading.Thread(target=self._lane, args=(number, built, until, hold_seconds)) for number in range(_LANES)
        ]
        for lane in lanes:
            lane.start()
        for lane in lanes:
            lane.join()
        if self._troubles:
            raise self._troubles[0]

    def _lane(self, number: int, built: City, until: float, hold_seconds: float) -> None:
        chance = random.Random(f"lane {number} of {self._seed}")
        try:
            while time.monotonic() < until:
                time.sleep(chance.uniform(0.5, 2.5))
                fault = self._next()
                began_at = time.monotonic()
                fault.happen(built, chance, hold_seconds * chance.uniform(0.5, 1.5))
                self.happened.append((fault.name, began_at, time.monotonic()))
        except BaseException as trouble:  # noqa: BLE001 - a thread's; told by the thread that waits
            self._troubles.append(trouble)

    def _next(self) -> Fault:
        with self._lock:
            if not self._deck:
                self._deck = self._chance.sample(self._faults, len(self._faults))
            return self._deck.pop()


def _slow_calls(crowd: Crowd, schedule: "_Schedule") -> list[str]:
    """What went wrong around each call for help that took long."""
    lines: list[str] = []
    for call in (call for person in crowd.people for call in person.calls):
        until = call.answered_at or time.monotonic()
        if until - call.said_at < _LONG_SECONDS:
            continue
        around = [
            f"{name} {began_at - call.said_at:+.1f}..{ended_at - call.said_at:+.1f}"
            for name, began_at, ended_at in schedule.happened
            if began_at < until and ended_at > call.said_at - _BEFORE_SECONDS
        ]
        lines.append(f"{call.channel} took {until - call.said_at:.1f} s: {', '.join(around)}")
    return lines


def _wait_until_quiet(built: City, crowd: Crowd) -> None:
    """Everything is mended; what people saw no longer grows, and nothing is owed."""
    deadline = time.monotonic() + _QUIET_SECONDS
    before = -1
    while time.monotonic() < deadline:
        time.sleep(2)
        seen = sum(len(person.platform.seen(person.who)) for person in crowd.people)
        verdict = judge(crowd, built.database, built.outages, newest_key="", told_to_admins=[], apology="", goodbye="")
        if seen == before and not verdict.unfinished and not verdict.unanswered:
            return
        before = seen
