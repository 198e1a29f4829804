"""Telling an emergency contact is a decision of the staff, and leaves a trace."""

from sqlalchemy import select

from dialogue.core import people
from dialogue.rights import emergency_contacts as contacts
from dialogue.tables import AuditEntry
from tests.builders import CHANNEL, Rooms


def test_opening_and_telling_are_audited_with_their_reason_and_never_with_words(rooms: Rooms) -> None:
    rooms.heard("你好")
    now = rooms.clock()
    with rooms.database.begin() as session:
        person = people.locked(session, rooms.keys, channel=CHANNEL, user_id="小王", now=now)
        contacts.give(session, person, "姐姐 13800000000", now=now)
        found = contacts.look_up(session, rooms.keys, person.id, by="console:李老师", reason="tier 3", now=now)
        contacts.note_told(session, person.id, by="console:李老师", reason="no answer for an hour", now=now)
        entries = session.scalars(select(AuditEntry).where(AuditEntry.person_id == person.id)).all()
        said = [(entry.action, entry.actor, entry.reason) for entry in entries]
    assert found == "姐姐 13800000000"
    assert said == [
        (contacts.READ, "console:李老师", "tier 3"),
        (contacts.TOLD, "console:李老师", "no answer for an hour"),
    ]
