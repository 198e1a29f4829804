"""What people may ask for about their own: a copy, an end of everything, a complaint, somebody to call.

Each is carried out in the transaction of the message that asked for it.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import ClassVar
from uuid import UUID

from bot.incoming.consent import Gate
from bot.incoming.receipt import Receipt
from bot.incoming.reception import Reception
from care.screening import Tier, screen_safely
from care.scripts import Voice
from dialogue.admin import alerts, find
from dialogue.core import commands, conversations, intake, outbox, people
from dialogue.core.commands import Command
from dialogue.rights import complaints, erasure
from dialogue.rights import emergency_contacts as contacts
from dialogue.states import ClosedBy, DeliveryKind

CONFIRM_WITHIN = timedelta(minutes=10)
"""So long, and until the next message, the question whether to delete everything stands."""

_MAX_CONTACT_LENGTH = 200
_NOT_AMONG_OTHERS = {Command.EXPORT, Command.CONTACT}
"""What must not be shown in a group."""


@dataclass(frozen=True, slots=True)
class Rights:
    """Serves every channel of a process."""

    voice: Voice
    gate: Gate

    COMMANDS: ClassVar = frozenset(
        {
            Command.HELP,
            Command.PRIVACY,
            Command.EXPORT,
            Command.DELETE,
            Command.CONFIRM_DELETE,
            Command.COMPLAIN,
            Command.CONTACT,
        }
    )

    def obey(self, reception: Reception, command: Command, text: str) -> Receipt:
        """One of `COMMANDS`; `text` is the whole message."""
        if command in _NOT_AMONG_OTHERS and not reception.message.is_private:
            return self._answer(reception, command, "rights_in_private")
        match command:
            case Command.EXPORT:
                return self._export(reception)
            case Command.CONFIRM_DELETE:
                return self._delete(reception)
            case Command.COMPLAIN:
                return self._complain(reception, commands.argument(text))
            case Command.CONTACT:
                return self._contact(reception, commands.argument(text))
            case _:
                return self._answer(reception, command, f"command_{command.name.lower()}")

    def _export(self, reception: Reception) -> Receipt:
        """The files are made when they are sent; nothing of them is stored."""
        session, person = reception.session, reception.person
        if outbox.is_owed(session, person.id, DeliveryKind.EXPORT):
            return self._answer(reception, Command.EXPORT, "rights_export_owed")
        message_id = self._store(reception, Command.EXPORT)
        owed = outbox.owe_unwritten(
            session,
            person_id=person.id,
            address=reception.message.address,
            kind=DeliveryKind.EXPORT,
            message_id=message_id,
            now=reception.now,
        )
        return Receipt(command=Command.EXPORT, answered_at_once=owed)

    def _delete(self, reception: Reception) -> Receipt:
        """Only if the message before asked for it, a short while ago."""
        session, person, now = reception.session, reception.person, reception.now
        if not intake.is_burst(session, person, mark=Command.DELETE.name, within=CONFIRM_WITHIN, now=now):
            return self._answer(reception, Command.CONFIRM_DELETE, "rights_nothing_to_confirm")
        self._store(reception, Command.CONFIRM_DELETE)
        self._tell_holder(reception)
        farewell_id = erasure.erase(
            session, person.id, by=ClosedBy.PERSON, actor="person", farewell_to=reception.message.address, now=now
        )
        if person.blocked_at is not None:
            message = reception.message
            people.stay_blocked(
                session,
                reception.office.keys,
                channel=message.address.channel,
                user_id=message.user_id,
                since=person.blocked_at,
            )
        return Receipt(command=Command.CONFIRM_DELETE, answered_at_once=farewell_id)

    def _tell_holder(self, reception: Reception) -> None:
        """A human who answers here cannot be told under the key that is about to go."""
        held = conversations.open_at(reception.session, reception.message.address)
        if held is not None and held.holder is not None:
            self._alert(reception, "rights_holder_told", held.id)

    def _alert(self, reception: Reception, key: str, conversation_id: UUID | None) -> None:
        session, office = reception.session, reception.office
        short_id = find.short_id(session, conversation_id) if conversation_id else "–"
        words = office.texts.say(key, id=short_id, channel=reception.message.address.channel)
        alerts.alert(session, office, words, conversation_id=conversation_id, now=reception.now)

    def _complain(self, reception: Reception, text: str) -> Receipt:
        if not text:
            return self._answer(reception, Command.COMPLAIN, "command_complain")
        if not complaints.may_make(reception.session, reception.person, now=reception.now):
            return self._answer_words(reception, Command.COMPLAIN, "rights_complaint_enough", text)
        conversation_id = conversations.find_open(reception.session, reception.message.address)
        complaints.make(reception.session, reception.person, text, conversation_id=conversation_id, now=reception.now)
        self._alert(reception, "rights_complaint_arrived", conversation_id)
        return self._answer_words(reception, Command.COMPLAIN, "rights_complaint_kept", text)

    def _contact(self, reception: Reception, text: str) -> Receipt:
        session, person = reception.session, reception.person
        if not text:
            kept = contacts.shown(session, person)
            key = "command_contact" if kept is None else "rights_contact_shown"
            return self._answer(reception, Command.CONTACT, key, text=kept)
        if text.lower() in commands.REMOVING:
            contacts.remove(session, person)
            return self._answer(reception, Command.CONTACT, "rights_contact_removed")
        if len(text) > _MAX_CONTACT_LENGTH:
            return self._answer(reception, Command.CONTACT, "rights_contact_too_long", max_length=_MAX_CONTACT_LENGTH)
        contacts.give(session, person, text, now=reception.now)
        return self._answer_words(reception, Command.CONTACT, "rights_contact_kept", text)

    def _answer_words(self, reception: Reception, command: Command, key: str, text: str) -> Receipt:
        """What came with a command are words like others: danger in them is answered too."""
        screening = screen_safely(text)
        if screening.tier < Tier.ACTIVE:
            return self._answer(reception, command, key)
        receipt = reception.refuse_but_stay(self._say(key), screening, self.voice)
        return replace(receipt, command=command)

    def _answer(self, reception: Reception, command: Command, key: str, **values: object) -> Receipt:
        session, person, message = reception.session, reception.person, reception.message
        conversation_id = conversations.find_open(session, message.address)
        owed = outbox.owe(
            session,
            person.key,
            person_id=person.id,
            address=message.address,
            text=self._say(key, **values),
            kind=DeliveryKind.NOTICE,
            conversation_id=conversation_id,
            message_id=self._store(reception, command, conversation_id),
            now=reception.now,
        )
        return Receipt(command=command, conversation_id=conversation_id, answered_at_once=owed)

    def _say(self, key: str, **values: object) -> str:
        return self.gate.texts.say(key, **{**self.gate.fillings, **values})

    def _store(self, reception: Reception, command: Command, conversation_id: UUID | None = None) -> UUID:
        """By the command's name: what stood behind it is kept where it belongs, and nowhere else."""
        return intake.store(
            reception.session,
            reception.person,
            reception.message,
            text=command.name,
            conversation_id=conversation_id,
            now=reception.now,
        )
