"""What people may ask for: complaints, emergency contacts, and the ends of texts."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_PARTIAL_INDEXES = (
    ("ix_people_unscrubbed", "people", "erased_at", "erased_at IS NOT NULL AND scrubbed_at IS NULL"),
    ("ix_conversations_unpurged", "conversations", "closed_at", "closed_at IS NOT NULL AND purged_at IS NULL"),
    ("ix_messages_alone", "messages", "received_at", "conversation_id IS NULL AND text IS NOT NULL"),
    ("ix_deliveries_alone", "deliveries", "created_at", "conversation_id IS NULL AND text IS NOT NULL"),
)


def upgrade() -> None:
    op.add_column("people", sa.Column("scrubbed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("conversations", sa.Column("purged_at", sa.DateTime(timezone=True), nullable=True))
    for name, table, column, condition in _PARTIAL_INDEXES:
        op.create_index(
            name, table, [column], sqlite_where=sa.text(condition), postgresql_where=sa.text(condition), unique=False
        )
    op.create_index("ix_deliveries_person_id", "deliveries", ["person_id"], unique=False)
    op.create_table(
        "complaints",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=True),
        sa.Column("text", sa.LargeBinary(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_by", sa.String(length=255), nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_complaints_person_id"),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversations.id"], name="fk_complaints_conversation_id"),
        sa.PrimaryKeyConstraint("id", name="pk_complaints"),
    )
    op.create_index("ix_complaints_person_id", "complaints", ["person_id"], unique=False)
    op.create_table(
        "emergency_contacts",
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("text", sa.LargeBinary(), nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_emergency_contacts_person_id"),
        sa.PrimaryKeyConstraint("person_id", name="pk_emergency_contacts"),
    )


def downgrade() -> None:
    op.drop_table("emergency_contacts")
    op.drop_index("ix_complaints_person_id", table_name="complaints")
    op.drop_table("complaints")
    op.drop_index("ix_deliveries_person_id", table_name="deliveries")
    for name, table, _column, _condition in reversed(_PARTIAL_INDEXES):
        op.drop_index(name, table_name=table)
    op.drop_column("conversations", "purged_at")
    op.drop_column("people", "scrubbed_at")
