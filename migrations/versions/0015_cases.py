"""What staff must attend to, whom they were called by, their notes, and the filters they keep.

Whoever is at risk in an open conversation gets a case, without a call: somebody may have looked already.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_OPEN = "closed_at IS NULL"
_INDEXES = (
    ("uq_cases_open", "cases", ["subject"], _OPEN, True),
    ("ix_cases_open_level", "cases", ["level", "opened_at"], _OPEN, False),
    ("ix_cases_next_call_at", "cases", ["next_call_at"], "next_call_at IS NOT NULL", False),
    ("ix_cases_conversation_id", "cases", ["conversation_id"], None, False),
    ("ix_cases_person_id", "cases", ["person_id"], None, False),
    ("ix_cases_closed_at", "cases", ["closed_at"], "closed_at IS NOT NULL", False),
    ("ix_case_calls_open", "case_calls", ["next_attempt_at"], "state IN ('pending', 'sending')", False),
    ("ix_case_calls_case_id", "case_calls", ["case_id"], None, False),
    ("uq_person_notes_person_id_kind_owner", "person_notes", ["person_id", "kind", "owner"], None, True),
    ("uq_saved_views_staff_id_name", "saved_views", ["staff_id", "name"], None, True),
    (
        "ix_conversations_assigned_to",
        "conversations",
        ["assigned_to"],
        "closed_at IS NULL AND assigned_to IS NOT NULL",
        False,
    ),
)
_CONVERSATIONS = sa.table(
    "conversations",
    sa.column("id", sa.Uuid()),
    sa.column("person_id", sa.Uuid()),
    sa.column("tier", sa.Integer()),
    sa.column("opened_at", sa.DateTime(timezone=True)),
    sa.column("closed_at", sa.DateTime(timezone=True)),
    sa.column("taken_over_by", sa.String()),
    sa.column("taken_over_at", sa.DateTime(timezone=True)),
)


def upgrade() -> None:
    cases = _create_cases()
    op.create_table(
        "case_calls",
        _id(),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("rung", sa.Integer(), nullable=False),
        sa.Column("label", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        _moment("next_attempt_at", nullable=False),
        sa.Column("owner", sa.Uuid(), nullable=True),
        _moment("lease_until"),
        sa.Column("error", sa.String(length=64), nullable=True),
        _moment("created_at", nullable=False),
        _moment("sent_at"),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_case_calls_case_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_calls")),
    )
    op.create_table(
        "person_notes",
        _id(),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False, server_default=""),
        sa.Column("text", sa.LargeBinary(), nullable=False),
        sa.Column("written_by", sa.String(length=255), nullable=False),
        _moment("written_at", nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"], ["people.id"], name=op.f("fk_person_notes_person_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_person_notes")),
    )
    op.create_table(
        "saved_views",
        _id(),
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("query", sa.String(length=1024), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_saved_views_staff_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_views")),
    )
    op.add_column("conversations", sa.Column("assigned_to", sa.String(length=255), nullable=True))
    op.add_column("conversations", sa.Column("release_asked_by", sa.String(length=255), nullable=True))
    op.add_column("conversations", _moment("release_asked_at"))
    for name, table, columns, condition, is_unique in _INDEXES:
        where = sa.text(condition) if condition else None
        op.create_index(name, table, columns, unique=is_unique, sqlite_where=where, postgresql_where=where)
    _open_for_those_at_risk(cases)


def downgrade() -> None:
    op.drop_index("ix_conversations_assigned_to", table_name="conversations")
    for column in ("release_asked_at", "release_asked_by", "assigned_to"):
        op.drop_column("conversations", column)
    for table in ("saved_views", "person_notes", "case_calls", "cases"):
        op.drop_table(table)


def _id() -> sa.Column[Any]:
    return sa.Column("id", sa.Uuid(), nullable=False)


def _moment(name: str, *, nullable: bool = True) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _create_cases() -> sa.Table:
    return op.create_table(
        "cases",
        _id(),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=True),
        _moment("opened_at", nullable=False),
        _moment("raised_at", nullable=False),
        sa.Column("raise_count", sa.Integer(), nullable=False),
        sa.Column("seen_by", sa.String(length=255), nullable=True),
        _moment("seen_at"),
        sa.Column("taken_by", sa.String(length=255), nullable=True),
        _moment("taken_at"),
        _moment("waits_since"),
        _moment("next_call_at"),
        sa.Column("call_count", sa.Integer(), nullable=False),
        sa.Column("called", sa.String(length=255), nullable=True),
        sa.Column("closed_by", sa.String(length=255), nullable=True),
        _moment("closed_at"),
        sa.Column("outcome", sa.String(length=16), nullable=True),
        sa.Column("note", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_cases_person_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversations.id"], name=op.f("fk_cases_conversation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cases")),
    )


def _open_for_those_at_risk(cases: sa.Table) -> None:
    """One for each person, of their gravest open conversation."""
    columns = _CONVERSATIONS.c
    at_risk = sa.select(_CONVERSATIONS).where(columns.closed_at.is_(None), columns.tier >= sa.text("2"))
    found = op.get_bind().execute(at_risk.order_by(columns.tier, columns.opened_at)).all()
    gravest = {row.person_id: row for row in found}
    rows = [
        {
            "id": row.id,
            "kind": "danger",
            "level": row.tier,
            "subject": f"person:{row.person_id.hex}",
            "person_id": row.person_id,
            "conversation_id": row.id,
            "opened_at": row.opened_at,
            "raised_at": row.opened_at,
            "raise_count": 1,
            "taken_by": row.taken_over_by,
            "taken_at": row.taken_over_at,
            "waits_since": None if row.taken_over_by else row.opened_at,
            "call_count": 0,
        }
        for row in gravest.values()
    ]
    if rows:
        op.bulk_insert(cases, rows)
