"""What staff must attend to, whom they were called by, and what they wrote down for each other."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from dialogue.states import CaseKind, CaseOutcome, DeliveryState, NoteKind
from dialogue.storage.ids import new_id
from dialogue.tables.mapping import Table, core, only_where


class Case(Table):
    """Something a human must attend to, from the alarm to its outcome. At most one open case per `subject`.

    `waits_since` is set while nobody attends to it, and `next_call_at` says when the next on the escalation list is
    called; both are empty while whoever took it is there. `note` (sealed) is what was written when it was closed.
    """

    __tablename__ = "cases"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    kind: Mapped[CaseKind]
    level: Mapped[int]
    subject: Mapped[str] = mapped_column(String(64))
    person_id: Mapped[UUID] = mapped_column(ForeignKey("people.id", ondelete="CASCADE"))
    conversation_id: Mapped[UUID | None] = mapped_column(ForeignKey("conversations.id"))
    opened_at: Mapped[datetime]
    raised_at: Mapped[datetime]
    raise_count: Mapped[int] = mapped_column(default=1)
    seen_by: Mapped[str | None] = mapped_column(String(255))
    seen_at: Mapped[datetime | None]
    taken_by: Mapped[str | None] = mapped_column(String(255))
    taken_at: Mapped[datetime | None]
    waits_since: Mapped[datetime | None]
    next_call_at: Mapped[datetime | None]
    call_count: Mapped[int] = mapped_column(default=0)
    called: Mapped[str | None] = mapped_column(String(255))
    closed_by: Mapped[str | None] = mapped_column(String(255))
    closed_at: Mapped[datetime | None]
    outcome: Mapped[CaseOutcome | None]
    note: Mapped[bytes | None]

    __table_args__ = (
        # an alarm joins the case that is open already; two at once are impossible
        Index("uq_cases_open", "subject", unique=True, **only_where("closed_at IS NULL")),
        # the desk: open cases, gravest first
        Index("ix_cases_open_level", "level", "opened_at", **only_where("closed_at IS NULL")),
        # whom to call next
        Index("ix_cases_next_call_at", "next_call_at", **only_where("next_call_at IS NOT NULL")),
        # those of one conversation, of one person: pages, erasure
        Index("ix_cases_conversation_id", "conversation_id"),
        Index("ix_cases_person_id", "person_id"),
        # closed ones, newest first
        Index("ix_cases_closed_at", "closed_at", **only_where("closed_at IS NOT NULL")),
    )


class CaseCall(Table):
    """A call about a case by e-mail or webhook that is owed, or was made. Where it goes stands in the settings only.

    `rung` is the place on the escalation list, `label` what may be shown of it.
    """

    __tablename__ = "case_calls"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    case_id: Mapped[UUID] = mapped_column(ForeignKey("cases.id", ondelete="CASCADE"))
    rung: Mapped[int]
    label: Mapped[str] = mapped_column(String(255))
    state: Mapped[DeliveryState]
    attempt: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime]
    owner: Mapped[UUID | None]
    lease_until: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]

    __table_args__ = (
        # what is owed
        Index("ix_case_calls_open", "next_attempt_at", **only_where("state IN ('pending', 'sending')")),
        Index("ix_case_calls_case_id", "case_id"),
    )


class PersonNote(Table):
    """What staff wrote down about a person (sealed): a member's own, or the one that is handed over.

    `owner` is the member's name in the audit for a private note, and empty for the shared one.
    """

    __tablename__ = "person_notes"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("people.id", ondelete="CASCADE"))
    kind: Mapped[NoteKind]
    owner: Mapped[str] = mapped_column(String(255), default="", server_default="")
    text: Mapped[bytes]
    written_by: Mapped[str] = mapped_column(String(255))
    written_at: Mapped[datetime]

    __table_args__ = (Index("uq_person_notes_person_id_kind_owner", "person_id", "kind", "owner", unique=True),)


class SavedView(Table):
    """A filter of the list of conversations that a member keeps under a name; `query` is that of the page's address."""

    __tablename__ = "saved_views"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    staff_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(64))
    query: Mapped[str] = mapped_column(String(1024))

    __table_args__ = (Index("uq_saved_views_staff_id_name", "staff_id", "name", unique=True),)


CASES = core(Case)
CASE_CALLS = core(CaseCall)
PERSON_NOTES = core(PersonNote)
