"""The course of danger belongs to the person: it outlives the end of a conversation, a reset and a withdrawal."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("people", sa.Column("course", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    op.drop_column("people", "course")
