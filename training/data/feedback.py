"""Comparisons from people's own 👍 and 👎, of those only who agreed to training, and only from when they agreed.

A rating is of one reply, so a comparison is between two replies to different words: one that a person liked and one
that the same person did not. They leave the database sealed, and are opened in memory only.
"""

import gzip
import json
import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from dialogue.core.history import words_of
from dialogue.process.settings import DialogueSettings
from dialogue.states import TurnState
from dialogue.storage.vault import MasterKeys, PersonKey
from dialogue.tables import CONVERSATIONS, FEEDBACK, PEOPLE, TURNS
from dialogue.window import window_of
from training.data.preferences import Preference, as_json, from_json
from training.trouble import TrainingTrouble
from worker.engine.port import Exchange

KEY_VARIABLE = "MINDGLM_TRAINING_KEY"
ORIGIN = "feedback"
SUFFIX = ".sealed"

_NONCE = 12
_PURPOSE = b"mindglm training comparisons"
_RATED = (
    select(
        FEEDBACK.c.value,
        TURNS.c.id,
        TURNS.c.seq,
        TURNS.c.conversation_id,
        PEOPLE.c.id.label("person"),
        PEOPLE.c.data_key,
    )
    .join(TURNS, TURNS.c.id == FEEDBACK.c.turn_id)
    .join(CONVERSATIONS, CONVERSATIONS.c.id == TURNS.c.conversation_id)
    .join(PEOPLE, PEOPLE.c.id == CONVERSATIONS.c.person_id)
    .where(
        PEOPLE.c.training_consented_at.is_not(None),
        PEOPLE.c.data_key.is_not(None),
        FEEDBACK.c.person_id == PEOPLE.c.id,
        CONVERSATIONS.c.opened_at >= PEOPLE.c.training_consented_at,
    )
    .order_by(FEEDBACK.c.given_at)
)
_UP_TO = (
    select(TURNS.c.id, TURNS.c.reply)
    .where(
        TURNS.c.conversation_id == bindparam("conversation_id"),
        TURNS.c.seq <= bindparam("seq"),
        TURNS.c.state == TurnState.ANSWERED,
        TURNS.c.reply.is_not(None),
    )
    .order_by(TURNS.c.seq)
)


class _Rated(NamedTuple):
    """A reply with what the model saw before it."""

    history: tuple[Exchange, ...]
    text: str
    reply: str


def comparisons(session: Session, keys: MasterKeys, settings: DialogueSettings) -> list[Preference]:
    """One comparison for each 👎 of a person who also gave a 👍, as far as they go."""
    liked: dict[UUID, list[_Rated]] = defaultdict(list)
    disliked: dict[UUID, list[_Rated]] = defaultdict(list)
    for row in session.execute(_RATED).all():
        rated = _rated(session, keys.person_key(row.data_key, row.person), row.conversation_id, row.seq, settings)
        if rated is not None:
            (liked if row.value > 0 else disliked)[row.person].append(rated)
    return [
        _compared(better, worse)
        for person, found in liked.items()
        for better, worse in zip(found, disliked[person], strict=False)
    ]


def training_key() -> bytes:
    """From the environment. Raises `TrainingTrouble`: without a key nothing leaves the database."""
    import base64
    import binascii

    try:
        key = base64.b64decode(os.environ.get(KEY_VARIABLE, ""), validate=True)
        AESGCM(key)
    except (binascii.Error, ValueError) as error:
        raise TrainingTrouble(
            f"Set {KEY_VARIABLE} to a key of `mindglm key`; comparisons are written sealed."
        ) from error
    return key


def write_sealed(path: Path, preferences: Iterable[Preference], key: bytes) -> int:
    """Write a file that only the key opens; returns how many comparisons it holds."""
    lines = [json.dumps(as_json(one), ensure_ascii=False) for one in preferences]
    nonce = os.urandom(_NONCE)
    path.write_bytes(nonce + AESGCM(key).encrypt(nonce, gzip.compress("\n".join(lines).encode()), _PURPOSE))
    return len(lines)


def read_sealed(path: Path, key: bytes) -> list[Preference]:
    """What `write_sealed` wrote. Raises `TrainingTrouble`."""
    content = path.read_bytes()
    try:
        opened = AESGCM(key).decrypt(content[:_NONCE], content[_NONCE:], _PURPOSE)
    except (InvalidTag, ValueError) as error:
        raise TrainingTrouble(f"{path} was sealed with another key, or was changed.") from error
    return [from_json(json.loads(line)) for line in gzip.decompress(opened).decode().split("\n") if line]


def _rated(
    session: Session, key: PersonKey, conversation_id: UUID, seq: int, settings: DialogueSettings
) -> _Rated | None:
    turns = session.execute(_UP_TO, {"conversation_id": conversation_id, "seq": seq}).all()
    if not turns:
        return None
    words = words_of(session, key, [turn.id for turn in turns])
    said = [Exchange(words[turn.id], key.open(turn.reply, row=turn.id, column="turns.reply")) for turn in turns]
    if not said[-1].text:
        return None
    window = window_of(
        said[:-1],
        instruction=settings.instruction,
        max_length=settings.window_max_length,
        max_turns=settings.window_max_turns,
    )
    return _Rated(tuple(window), *said[-1])


def _compared(better: _Rated, worse: _Rated) -> Preference:
    return Preference(
        history=better.history,
        text=better.text,
        chosen=better.reply,
        rejected=worse.reply,
        origin=ORIGIN,
        rejected_after=(worse.history, worse.text),
    )
