"""Measure what care makes of texts, conversations and replies, on a file like those in `bench/held_out/`.

    python -m bench.care FILE            a table
    python -m bench.care FILE --json     one JSON object
    python -m bench.care FILE --around "嗯，{}啊"   each text with such words around it, which should change nothing

Texts go through the screening. Conversations go through the real reception, message by message, on SQLite and with
scripted replies in the place of the model's. Replies go through the guard. The shipped detector and judge have perhaps
learnt from the very file: `python -m training.screening --cross-validate` gives numbers on texts that are new to them.
"""

import argparse
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from contextlib import closing, redirect_stdout
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import func, select, update

from bot.incoming.consent_terms import gate
from bot.incoming.inbox import Inbox
from care import texts
from care.guard import guard
from care.hotlines import directory
from care.screening import screen
from care.scripts import Voice
from dialogue.core import people, turns
from dialogue.core.turn_claims import claim_open
from dialogue.core.turns import FinishedReply
from dialogue.messages import Address, InboundMessage
from dialogue.storage import schema
from dialogue.storage.database import connect, sqlite_url
from dialogue.storage.vault import MasterKeys, new_secret
from dialogue.tables import CONVERSATIONS, DELIVERIES
from training.evaluation.intervals import wilson

CHANNEL: Final = "bench"
PAUSE_SECONDS: Final = 20.0  # between two messages of a conversation
REPLY: Final = "我在听，你慢慢说。"  # in the place of the model's
EXPECTED: Final = {"acute": 3, "active": 2, "any": 1}
_BEGAN: Final = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many."""

    found: int
    count: int

    @property
    def value(self) -> float:
        return self.found / self.count if self.count else 0.0

    def __str__(self) -> str:
        _, low, high, _ = wilson(self.found, self.count)
        return f"{self.value:.3f} [{low:.3f}, {high:.3f}] {self.found}/{self.count}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Screened:
    """Texts of danger that were found, and ordinary ones that raised an alarm."""

    recall: Share
    acute_recall: Share
    false_alarms: Share
    by_category: dict[str, Share]  # at tier 1 or more


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """Harmful replies that were stopped, and good ones that were."""

    bad_blocked: Share
    good_blocked: Share
    by_category: dict[str, Share]


def screened(cases: Iterable[dict[str, Any]]) -> Screened:
    """Screen each text by itself."""
    found = [(case, int(screen(case["text"]).tier)) for case in cases]
    danger = [(case, tier) for case, tier in found if case["kind"] == "risk" and case["cat"] != "past"]
    return Screened(
        recall=_share(tier >= 1 for _, tier in danger),
        acute_recall=_share(tier >= 2 for case, tier in danger if case["want"] == 3),
        false_alarms=_share(tier >= 1 for case, tier in found if case["kind"] == "benign"),
        by_category=_by_category((f"{case['kind']}:{case['cat']}", tier >= 1) for case, tier in found),
    )


def guarded(cases: Iterable[dict[str, Any]]) -> Guarded:
    """Judge each reply as a finished one to somebody of whom nothing is known."""
    own = guard(directory())
    judged = [(case, own.judge(case["text"], is_finished=True).is_blocked) for case in cases]
    return Guarded(
        bad_blocked=_share(blocked for case, blocked in judged if case["kind"] == "bad"),
        good_blocked=_share(blocked for case, blocked in judged if case["kind"] == "good"),
        by_category=_by_category((f"{case['kind']}:{case['cat']}", blocked) for case, blocked in judged),
    )


class Reception:
    """A bot's way in on a database of its own, and a clock that moves from message to message."""

    def __init__(self, home: Path) -> None:
        url = sqlite_url(home / "care.db")
        schema.upgrade_at(url)
        self._database = connect(url)
        self._keys = MasterKeys.parse(new_secret())
        words, lines = texts.load("zh"), directory()
        self._now = _BEGAN
        self._inbox = Inbox(
            database=self._database,
            keys=self._keys,
            texts=words,
            voice=Voice(locale="zh", directory=lines),
            gate=gate(words, lines, retention_days=30, is_required=True, serves_children=False, is_labelling=False),
            max_message_length=4000,
            clock=lambda: self._now,
        )

    def close(self) -> None:
        self._database.close()

    def highest_tier(self, name: str, said: Iterable[str]) -> int:
        """Let somebody who agreed say all of it, and tell the highest tier on the way."""
        for text in ("你好", "同意"):
            self._say(name, text)
        return max(self._say(name, text) for text in said)

    def conversation(self, name: str, said: Iterable[str]) -> list[tuple[str, int, list[str]]]:
        """Let somebody who agreed say all of it: each message, the tier now, and what was answered to it."""
        for text in ("你好", "同意"):
            self._say(name, text)
        self._answers(name)
        told = []
        for text in said:
            self._say(name, text)
            told.append((text, self._tier_now(name), self._answers(name)))
        return told

    def _tier_now(self, name: str) -> int:
        with self._database.read() as session:
            newest = (
                select(CONVERSATIONS.c.tier).where(CONVERSATIONS.c.chat_id == name).order_by(CONVERSATIONS.c.id.desc())
            )
            return session.scalar(newest.limit(1)) or 0

    def _answers(self, name: str) -> list[str]:
        """What is owed to them, which is then forgotten."""
        with self._database.begin() as session:
            owed = session.execute(
                select(DELIVERIES).where(DELIVERIES.c.chat_id == name).order_by(DELIVERIES.c.id)
            ).all()
            keys = {row.person_id: people.key_of(session, self._keys, row.person_id) for row in owed}
            said = [
                keys[row.person_id].open(row.text, row=row.id, column="deliveries.text") for row in owed if row.text
            ]
            session.execute(update(DELIVERIES).where(DELIVERIES.c.chat_id == name).values(chat_id=f"{name} heard"))
            return said

    def _say(self, name: str, text: str) -> int:
        message = InboundMessage(
            address=Address(channel=CHANNEL, chat_id=name),
            account="bot",
            user_id=name,
            external_id=uuid4().hex,
            text=text,
            sent_at=self._now,
            is_private=True,
        )
        receipt = self._inbox.receive_blocking(message)
        if receipt.conversation_id is not None and receipt.turn_id is not None:
            self._reply(receipt.conversation_id)
        self._now += timedelta(seconds=PAUSE_SECONDS)
        with self._database.read() as session:
            highest = select(func.max(CONVERSATIONS.c.tier)).where(CONVERSATIONS.c.chat_id == name)
            return session.scalar(highest) or 0

    def _reply(self, conversation_id: Any) -> None:
        owner = uuid4()
        with self._database.begin() as session:
            claimed = claim_open(
                session,
                self._keys,
                owner=owner,
                lease_seconds=60,
                limit=1,
                max_attempts=1,
                max_turns=12,
                now=self._now,
                conversation_id=conversation_id,
            )
            for turn in claimed:
                reply = FinishedReply(
                    text=REPLY,
                    prompt_tokens=1,
                    reply_tokens=1,
                    first_token_at=self._now,
                    model_version="scripted",
                    prompt_version="scripted",
                )
                turns.complete(session, turn, reply, owner=owner, now=self._now)


def trajectories(cases: list[dict[str, Any]]) -> dict[str, Any]:
    """How many conversations reach the tier that a clinician would expect, and the ids of the others."""
    with (
        redirect_stdout(sys.stderr),
        tempfile.TemporaryDirectory() as home,
        closing(Reception(Path(home))) as reception,
    ):
        reached = {case["id"]: reception.highest_tier(case["id"], case["messages"]) for case in cases}
    missed = [case["id"] for case in cases if not _is_as_expected(case["expect"], reached[case["id"]])]
    return {"as_expected": len(cases) - len(missed), "count": len(cases), "missed": missed}


def report(cases: dict[str, Any]) -> dict[str, Any]:
    """All three measurements, as plain values."""
    texts_, replies = screened(cases.get("screening", [])), guarded(cases.get("guard", []))
    return {
        "screening": _plain(texts_),
        "trajectories": trajectories(cases.get("trajectories", [])),
        "guard": _plain(replies),
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--around", default="{}", help="what stands around each text of the screening, for {}")
    options = parser.parse_args(arguments)
    cases = json.loads(options.file.read_text("utf-8"))
    for case in cases["screening"]:
        case["text"] = options.around.replace("{}", case["text"])
    if options.json:
        print(json.dumps(report(cases), ensure_ascii=False))
        return
    for title, measured in (("screening", screened(cases["screening"])), ("guard", guarded(cases["guard"]))):
        for name, share in _flat(measured):
            print(f"{title:10} {name:28} {share}")
    talked = trajectories(cases["trajectories"])
    print(f"trajectories {talked['as_expected']}/{talked['count']} as expected; missed: {', '.join(talked['missed'])}")


def _is_as_expected(expect: str, reached: int) -> bool:
    return reached == 0 if expect == "none" else reached >= EXPECTED[expect]


def _share(hits: Iterable[bool]) -> Share:
    listed = list(hits)
    return Share(sum(listed), len(listed))


def _by_category(hits: Iterable[tuple[str, bool]]) -> dict[str, Share]:
    listed: dict[str, list[bool]] = defaultdict(list)
    for category, hit in hits:
        listed[category].append(hit)
    return {category: _share(found) for category, found in sorted(listed.items())}


def _flat(measured: Screened | Guarded) -> Iterable[tuple[str, Share]]:
    for name in measured.__slots__:
        value = getattr(measured, name)
        yield from value.items() if isinstance(value, dict) else [(name, value)]


def _plain(measured: Screened | Guarded) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for name in measured.__slots__:
        value = getattr(measured, name)
        plain[name] = {key: share.value for key, share in value.items()} if isinstance(value, dict) else value.value
    return plain | {"counts": asdict(measured)}


if __name__ == "__main__":
    main()
