"""Understands what is typed into the audit's filters as it is shown: short ids, labels in either language, names.

What is not understood is said, and nothing is shown for it: a filter that is ignored would mislead.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from care.texts import Texts
from console import audit_wording, search, sessions
from dialogue.admin import find
from dialogue.errors import Ambiguous, NoSuchPerson
from dialogue.tables import AUDIT

_LABEL = "audit_"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditQuestion:
    """What is asked for; `troubles` are the keys of what was not understood."""

    actors: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    conversation_id: UUID | None = None
    person_id: UUID | None = None
    troubles: list[str] = field(default_factory=list)


def read(
    session: Session, words: Mapping[str, Texts], channels: Iterable[str], *, actor: str, action: str, whom: str
) -> AuditQuestion:
    """Each text as typed; empty for anything."""
    troubles: list[str] = []
    actors = _actors(session, words.values(), actor, channels) if actor else ()
    if actor and not actors:
        troubles.append("audit_unknown_actor")
    actions = _actions(words.values(), action) if action else ()
    if action and not actions:
        troubles.append("audit_unknown_action")
    conversation_id, person_id = None, None
    if whom:
        try:
            conversation_id, person_id = _whom(session, whom, channels)
        except Ambiguous:
            troubles.append("search_ambiguous")
        else:
            if conversation_id is None and person_id is None:
                troubles.append("audit_unknown_whom")
    return AuditQuestion(
        actors=actors, actions=actions, conversation_id=conversation_id, person_id=person_id, troubles=troubles
    )


def labels(words: Texts) -> list[str]:
    """The shown names of all actions, for the suggestions of the field."""
    return sorted(text for key, text in words.sentences.items() if _is_action(key))


def _actors(session: Session, languages: Iterable[Texts], text: str, channels: Iterable[str]) -> tuple[str, ...]:
    """Whoever is called so and has done something: `lin` is `console:lin`, and a bare id is one of any channel."""
    name = text.strip()
    wanted = {name, name.casefold(), sessions.actor(name.casefold()), *(f"{channel}:{name}" for channel in channels)}
    wanted |= audit_wording.actors_called(languages, name)
    return tuple(
        one
        for one in sorted(wanted)
        if session.scalar(select(AUDIT.c.id).where(AUDIT.c.actor == one).limit(1)) is not None
    )


def _actions(languages: Iterable[Texts], text: str) -> tuple[str, ...]:
    """The action of that name or of that label; several labels may begin so."""
    wanted = text.strip().casefold()
    known = [
        (key.removeprefix(_LABEL), sentence.casefold())
        for words in languages
        for key, sentence in words.sentences.items()
        if _is_action(key)
    ]
    exact = {action for action, label in known if wanted in (action, label)}
    return tuple(sorted(exact or {action for action, label in known if wanted in label}))


def _is_action(key: str) -> bool:
    return key.startswith(_LABEL) and not key.startswith("audit_unknown_")


def _whom(session: Session, text: str, channels: Iterable[str]) -> tuple[UUID | None, UUID | None]:
    """A conversation by any of its ids, or a person; raises `Ambiguous`."""
    conversation_id = search.conversation_of(session, text)
    if conversation_id is not None:
        return conversation_id, None
    person_id = search.person_of(session, text, channels)
    if person_id is None:
        try:
            person_id = find.person(session, text)
        except NoSuchPerson:
            return None, None
    return None, person_id
