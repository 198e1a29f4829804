"""Processes say which master keys they hold; updates that cannot be parsed are kept for staff."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("processes", sa.Column("key_ids", sa.String(length=255), nullable=True))
    op.create_table(
        "unparsed_updates",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("external_id", sa.String(length=255), nullable=False),
        sa.Column("error", sa.String(length=64), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_unparsed_updates_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unparsed_updates")),
    )
    op.create_index(
        "uq_unparsed_updates_channel_external_id", "unparsed_updates", ["channel", "external_id"], unique=True
    )
    op.create_index("ix_unparsed_updates_person_id", "unparsed_updates", ["person_id"])


def downgrade() -> None:
    op.drop_table("unparsed_updates")
    op.drop_column("processes", "key_ids")
