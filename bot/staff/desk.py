"""Executes the commands that admins send in the chat, in the message's transaction, and returns the answer.

Only admins get here: for everybody else `/admin` is an unknown command.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Protocol
from uuid import UUID

from sqlalchemy.orm import Session

from bot.staff import orders, reports
from bot.staff.orders import Order, Verb
from dialogue.admin import alerts, find, listing, overview, platform_takeover, record, reset_all, steering, takeover
from dialogue.admin.cases import handling
from dialogue.admin.office import Actor, Office
from dialogue.errors import (
    AlreadyHeld,
    Ambiguous,
    ConversationClosed,
    DialogueError,
    EmptyMessage,
    Erased,
    HeldByAnother,
    MessageTooLong,
    NoPlatformApp,
    NoSuchConversation,
    NoSuchPerson,
    NotTakenOver,
    PersonIsAdmin,
    ReasonTooLong,
)
from dialogue.messages import Address, InboundMessage

_EXPLANATIONS: dict[type[DialogueError], str] = {
    NoSuchConversation: "desk_no_such_conversation",
    NoSuchPerson: "desk_no_such_person",
    ConversationClosed: "desk_closed",
    AlreadyHeld: "desk_already_held",
    NotTakenOver: "desk_not_taken_over",
    NoPlatformApp: "desk_no_phone",
    ReasonTooLong: "desk_reason_too_long",
    EmptyMessage: "desk_nothing_to_say",
    Erased: "desk_erased",
    PersonIsAdmin: "desk_not_an_admin",
}


@dataclass(frozen=True, slots=True)
class Caller:
    """An admin who wrote, inside the transaction of the message."""

    session: Session
    address: Address
    now: datetime

    @property
    def actor(self) -> Actor:
        return Actor.at(self.address)


class UseCase(Protocol):
    """A use case on one conversation or person."""

    def __call__(
        self, session: Session, office: Office, whom_id: UUID, /, *, by: Actor, reason: str | None, now: datetime
    ) -> None: ...


class Desk:
    """Serves the admins of one process."""

    def __init__(self, *, office: Office, shows_texts: bool, max_length: int) -> None:
        self._office = office
        self._shows_texts = shows_texts
        self._max_length = max_length
        self._verbs: dict[Verb, Callable[[Caller, Order], str]] = {
            Verb.HELP: self._help,
            Verb.STATUS: self._status,
            Verb.SESSIONS: self._sessions,
            Verb.SHOW: self._show,
            Verb.TEXT: self._text,
            Verb.RESET: self._reset,
            Verb.CLOSE: self._close,
            Verb.BLOCK: self._block,
            Verb.UNBLOCK: self._unblock,
            Verb.TAKEOVER: self._take_over,
            Verb.RELEASE: self._release,
            Verb.PHONE: self._hand_over,
            Verb.SAY: self._say,
            Verb.ALERTS: self._alerts,
        }

    def serves(self, message: InboundMessage) -> bool:
        """Whether an admin wrote it in a private chat; in a group others would read the answers."""
        return message.is_private and self._office.is_admin(message.address.channel, message.user_id)

    def answer_relayed(self, caller: Caller, reply_to_id: str | None, text: str) -> str | None:
        """A reply to a relayed message is sent to its person, whatever it says; None for any other message."""
        if reply_to_id is None or orders.read(text) is not None:
            return None
        conversation_id = takeover.answered_conversation(caller.session, caller.address, reply_to_id)
        if conversation_id is None:
            return None
        return self._in_savepoint(caller, lambda: self._speak(caller, conversation_id, text))

    def obey(self, caller: Caller, text: str) -> str | None:
        """Carry out an order. While the admin holds a conversation, other words are answered: nobody would get them.

        None for any other message: an admin may talk with the bot as anyone does.
        """
        order = orders.read(text)
        if order is not None:
            return self._in_savepoint(caller, lambda: self._verbs[order.verb](caller, order))
        if held := takeover.held_by(caller.session, caller.actor.name):
            return self._words("desk_said_to_nobody", id=find.short_id(caller.session, held[0]))
        return None

    def _in_savepoint(self, caller: Caller, act: Callable[[], str]) -> str:
        """A refused order leaves nothing behind."""
        try:
            with caller.session.begin_nested():
                return act()
        except DialogueError as error:
            return self._explain(error)

    def _explain(self, error: DialogueError) -> str:
        match error:
            case Ambiguous(candidates=candidates):
                return self._words("desk_ambiguous", candidates=" ".join(candidates))
            case HeldByAnother(holder=holder):
                return self._words("desk_held_by_another", holder=holder)
            case MessageTooLong(length=length, max_length=max_length):
                return self._words("error_too_long", length=length, max_length=max_length)
            case _ if type(error) in _EXPLANATIONS:
                return self._words(_EXPLANATIONS[type(error)])
        raise error

    def _words(self, key: str, **values: object) -> str:
        return self._office.texts.say(key, **values)

    def _help(self, _caller: Caller, _order: Order) -> str:
        return self._words("desk_help")

    def _status(self, caller: Caller, _order: Order) -> str:
        figures = overview.overview(caller.session, now=caller.now)
        is_listening = caller.address.at_any_account() in alerts.listeners(caller.session, self._office)
        return reports.status(self._office.texts, figures, is_listening=is_listening, now=caller.now)

    def _sessions(self, caller: Caller, _order: Order) -> str:
        shown = listing.by_risk(caller.session)
        short_ids = find.short_ids(caller.session, [one.id for one in shown])
        return reports.sessions(self._office.texts, shown, short_ids, now=caller.now)

    def _show(self, caller: Caller, order: Order) -> str:
        shown = record.show(caller.session, find.conversation(caller.session, order.whom), max_count=5)
        handling.see_conversation(caller.session, shown.conversation.id, by=caller.actor, now=caller.now)
        short_id = find.short_id(caller.session, shown.conversation.id)
        return reports.conversation(self._office, shown, short_id, now=caller.now)

    def _text(self, caller: Caller, order: Order) -> str:
        if not self._shows_texts:
            return self._words("desk_texts_forbidden")
        conversation_id = find.conversation(caller.session, order.whom)
        self._carry_out(caller, partial(record.hand_over, to=caller.address), conversation_id, order.rest)
        return self._words("desk_text_follows")

    def _reset(self, caller: Caller, order: Order) -> str:
        if order.whom == "all":
            return self._reset_all(caller, order)
        if order.whom == "person":
            return self._reset_person(caller, order)
        return self._with_conversation(caller, order, steering.reset, "desk_reset")

    def _close(self, caller: Caller, order: Order) -> str:
        return self._with_conversation(caller, order, steering.close, "desk_reset")

    def _reset_person(self, caller: Caller, order: Order) -> str:
        whom, reason = orders.first_word(order.rest)
        person_id = find.person(caller.session, whom)
        self._carry_out(caller, steering.reset_person, person_id, reason)
        return self._words("desk_reset_person")

    def _reset_all(self, caller: Caller, order: Order) -> str:
        word, reason = orders.first_word(order.rest)
        if word != "yes":
            count = overview.overview(caller.session, now=caller.now).open_count
            return self._words("desk_reset_all_confirm", count=count)
        reset_all.order(caller.session, by=caller.actor, tell=caller.address, reason=reason or None, now=caller.now)
        return self._words("desk_reset_all_begun")

    def _block(self, caller: Caller, order: Order) -> str:
        person_id = find.person(caller.session, order.whom)
        self._carry_out(caller, steering.block, person_id, order.rest)
        return self._words("desk_blocked")

    def _unblock(self, caller: Caller, order: Order) -> str:
        person_id = find.person(caller.session, order.whom)
        steering.unblock(caller.session, person_id, by=caller.actor, reason=order.rest or None, now=caller.now)
        return self._words("desk_unblocked")

    def _take_over(self, caller: Caller, order: Order) -> str:
        return self._with_conversation(caller, order, takeover.take_over, "desk_taken_over")

    def _release(self, caller: Caller, order: Order) -> str:
        """Without an id: the only one that they hold."""
        held = [] if order.whom else takeover.held_by(caller.session, caller.actor.name)
        meant = replace(order, whom=held[0].hex) if len(held) == 1 else order
        return self._with_conversation(caller, meant, takeover.release, "desk_released")

    def _hand_over(self, caller: Caller, order: Order) -> str:
        return self._with_conversation(caller, order, platform_takeover.request, "desk_phone")

    def _with_conversation(self, caller: Caller, order: Order, use_case: UseCase, said: str) -> str:
        """Apply a use case to the conversation that the order names; `said` is the key of the answer."""
        conversation_id = find.conversation(caller.session, order.whom)
        self._carry_out(caller, use_case, conversation_id, order.rest)
        return self._words(said, id=find.short_id(caller.session, conversation_id))

    def _carry_out(self, caller: Caller, use_case: UseCase, whom_id: UUID, reason: str) -> None:
        use_case(caller.session, self._office, whom_id, by=caller.actor, reason=reason or None, now=caller.now)

    def _say(self, caller: Caller, order: Order) -> str:
        return self._speak(caller, find.conversation(caller.session, order.whom), order.rest)

    def _speak(self, caller: Caller, conversation_id: UUID, text: str) -> str:
        takeover.say(
            caller.session,
            self._office,
            conversation_id,
            text,
            by=caller.actor,
            max_length=self._max_length,
            now=caller.now,
        )
        short_id = find.short_id(caller.session, conversation_id)
        return self._words("desk_said", id=short_id)

    def _alerts(self, caller: Caller, order: Order) -> str:
        if order.whom == "on":
            alerts.unmute(caller.session, caller.address, by=caller.actor, now=caller.now)
            return self._words("desk_alerts_on")
        if order.whom != "off":
            return self._words("desk_alerts_how")
        alerts.mute(caller.session, caller.address, by=caller.actor, now=caller.now)
        others = alerts.listeners(caller.session, self._office)
        return self._words("desk_alerts_off" if others else "desk_alerts_off_last")
