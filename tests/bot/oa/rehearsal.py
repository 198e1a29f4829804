"""A bad hour of an Official Account: people write, everything is killed again and again, answers get lost.

    python -m tests.bot.oa.rehearsal                          # 200 people with 3 messages each
    python -m tests.bot.oa.rehearsal --people 20 --kills 3
    python -m tests.bot.oa.rehearsal --adapters 2             # behind one address, which gives each a push by turns
    python -m tests.bot.oa.rehearsal --passive                # an account that is not verified

PostgreSQL, Valkey, adapters and two workers are real processes; WeChat is the loopback server at its nastiest, with
pushes five seconds apart. What was pushed three times without an answer is lost: nobody can ask for it. Everything else
must be stored, each message answered once and in order, never more than five for one message of a person. A reply that
was on its way when its process was killed may have arrived: it is shown to staff, and not said again. In passive mode
people ask for what is still owed, and nothing at all may be sent. Else some are in danger in the end to whom nothing
more may be sent: a case and an alert within two seconds, and the words for them first when they write again.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from sqlalchemy import func, select

from dialogue.core.sending import UNKNOWN
from dialogue.states import DeliveryState
from dialogue.storage.database import Database
from dialogue.tables import Delivery
from tests.bot.oa.loopback import OUT_OF_ORDER, OfficialAccount
from tests.bot.oa.wire import AES_KEY, APP_ID, SECRET, TOKEN, Seen
from tests.bot.tencent.cries import MAX_ALARM_SECONDS, cry_unheard
from tests.bot.wecom.rehearsal import ADMIN, House, given_up, house, let_admin_write, stored, wait_until_quiet
from tests.builders import is_quiet

_REPLY = "收到："
_PUSH_SECONDS = 5.0
_CRIERS = 5
_PASSIVE_PATIENCE_SECONDS = 120.0


@dataclass(kw_only=True)
class OaVerdict:
    """What came of it. `lost`: pushed three times in vain; `unknown`: replies that nobody knows the fate of."""

    said: int = 0
    stored: int = 0
    lost: int = 0
    unknown: int = 0
    unanswered: int = 0
    twice: int = 0
    out_of_order: int = 0
    beyond_budget: int = 0
    unfinished: int = 0
    given_up: int = 0
    sent_while_passive: int = 0
    cries_not_first: int = 0
    slowest_alarm_seconds: float = 0.0
    kills: int = 0
    seconds: float = 0.0

    @property
    def is_good(self) -> bool:
        bad = (self.unanswered, self.twice, self.out_of_order, self.beyond_budget, self.unfinished, self.given_up)
        is_bad = any(bad) or self.sent_while_passive or self.cries_not_first
        is_late = self.slowest_alarm_seconds > MAX_ALARM_SECONDS
        return self.stored >= self.said - self.lost and not is_bad and not is_late


def oa_environment(account: OfficialAccount) -> dict[str, str]:
    """Of an adapter that speaks with it."""
    return {
        "MINDGLM_OA_APP_ID": APP_ID,
        "MINDGLM_OA_SECRET": SECRET,
        "MINDGLM_OA_CALLBACK_TOKEN": TOKEN,
        "MINDGLM_OA_AES_KEY": AES_KEY,
        "MINDGLM_OA_API_URL": account.api_url,
    }


def run(
    *, people: int, words: int, kills: int, seed: int, home: Path, adapters: int = 1, is_passive: bool = False
) -> OaVerdict:
    """Everybody writes their words while something is killed now and then."""
    chance = random.Random(seed)
    account = OfficialAccount(is_verified=not is_passive).start()
    account.retry_pause_seconds = _PUSH_SECONDS
    with ExitStack() as stack:
        stack.callback(account.stop)
        built = stack.enter_context(house(home, account, "oa", oa_environment(account), adapters=adapters))
        account.callback_urls = list(built.callback_urls)
        began_at = time.monotonic()
        let_admin_write(built)
        said = _talk(built, [f"o{number:04}" for number in range(people)], words=words, kills=kills, chance=chance)
        _wait_until_told(account, {key for lines in said.values() for _, key in lines})
        taken = {person: [text for text, key in lines if key not in account.lost] for person, lines in said.items()}
        wait_until_quiet(built, taken)
        if is_passive:
            _ask_for_the_rest(built, list(said))
        verdict = _judge(built, said)
        verdict.sent_while_passive = sum(not one.is_passive for one in _heard(account, said)) if is_passive else 0
        if not is_passive:
            criers = chance.sample(sorted(said), _CRIERS)
            heard = cry_unheard(account, built.database, criers, admin=ADMIN)
            verdict.slowest_alarm_seconds, verdict.cries_not_first = heard
        verdict.seconds = round(time.monotonic() - began_at, 1)
        return verdict


def _talk(
    built: House[OfficialAccount], who: list[str], *, words: int, kills: int, chance: random.Random
) -> dict[str, list[tuple[str, str]]]:
    """What each said, with the ids of the messages. A person writes on when their last message went through or not."""
    account = built.platform
    said: dict[str, list[tuple[str, str]]] = {person: [] for person in who}
    order = [person for _ in range(words) for person in chance.sample(who, len(who))]
    kill_after = sorted(chance.sample(range(len(order)), kills))
    last = f"oa-{len(built.callback_urls)}"
    victims = [["oa-1"], ["worker-1"], [last], ["worker-2"], built.names]
    for number, person in enumerate(order):
        while said[person] and said[person][-1][1] not in {*account.acknowledged, *account.lost}:
            time.sleep(0.05)
        text = f"{person}的第{len(said[person])}句"
        if number % 20 == 0:
            account.fault("message/custom/send", "drop_after")
        said[person].append((text, account.say(person, text)))
        if number in kill_after:
            built.kill(*victims[kill_after.index(number) % len(victims)])
        time.sleep(0.01)
    return said


def _ask_for_the_rest(built: House[OfficialAccount], people: list[str]) -> None:
    """Whoever is owed something writes what they were asked to write, until they have heard it."""
    account = built.platform
    deadline = time.monotonic() + _PASSIVE_PATIENCE_SECONDS
    while (waiting := _owed_to(built.database, people)) and time.monotonic() < deadline:
        asked = [account.say(person, "1") for person in waiting]
        while not {*asked} <= {*account.acknowledged, *account.lost} and time.monotonic() < deadline:
            time.sleep(0.05)
        wait_until_quiet(built, {})


def _owed_to(database: Database, people: list[str]) -> list[str]:
    """Who is owed something that waits until they write."""
    with database.read() as session:
        held = select(Delivery.chat_id).where(Delivery.state == DeliveryState.HELD, Delivery.chat_id.in_(people))
        return sorted(set(session.scalars(held)))


def _heard(account: OfficialAccount, people: Iterable[str]) -> list[Seen]:
    return [seen for person in people for seen in account.seen(person) if seen.text != OUT_OF_ORDER]


def _wait_until_told(account: OfficialAccount, keys: set[str]) -> None:
    deadline = time.monotonic() + 60
    while not keys <= {*account.acknowledged, *account.lost} and time.monotonic() < deadline:
        time.sleep(0.2)


def _judge(built: House[OfficialAccount], said: dict[str, list[tuple[str, str]]]) -> OaVerdict:
    account, database = built.platform, built.database
    verdict = OaVerdict(said=sum(map(len, said.values())), stored=stored(database), kills=built.kills)
    verdict.lost = len({key for lines in said.values() for _, key in lines} & set(account.lost))
    verdict.given_up = sum(reason != UNKNOWN for reason in given_up(database))
    for person, lines in said.items():
        texts = [text for text, _ in lines]
        seen = _heard(account, [person])
        answered = [
            texts.index(line) for one in seen for line in one.text.replace(_REPLY, "").split("\n") if line in texts
        ]
        unknown = _unknown(database, person)
        taken = {number for number, (_, key) in enumerate(lines) if key not in account.lost}
        verdict.unknown += unknown
        verdict.twice += len(answered) - len(set(answered))
        verdict.out_of_order += sum(after < before for before, after in pairwise(answered))
        # one text may have held the answers to all of a person's messages
        verdict.unanswered += 0 if unknown else len(taken - set(answered))
        verdict.beyond_budget += sum(one.number > one.allowed for one in seen)
    verdict.unfinished = 0 if is_quiet(database) else 1
    return verdict


def _unknown(database: Database, person: str) -> int:
    with database.read() as session:
        failed = select(func.count(Delivery.id)).where(
            Delivery.chat_id == person, Delivery.state == DeliveryState.FAILED, Delivery.error == UNKNOWN
        )
        return session.scalar(failed) or 0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--words", type=int, default=3)
    parser.add_argument("--kills", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--adapters", type=int, choices=[1, 2], default=1)
    parser.add_argument("--passive", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mo-") as directory:
        home = Path(directory)
        home.chmod(0o755)  # PostgreSQL may have to run as somebody else
        verdict = run(
            people=arguments.people,
            words=arguments.words,
            kills=arguments.kills,
            seed=arguments.seed,
            home=home,
            adapters=arguments.adapters,
            is_passive=arguments.passive,
        )
    sys.stdout.write(f"{verdict}\n{'good' if verdict.is_good else 'BAD'}\n")
    return 0 if verdict.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
