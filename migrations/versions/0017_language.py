"""The language that a person is spoken to in: as they write, or as their platform says they read."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("people", sa.Column("language", sa.String(16), nullable=True))


def downgrade() -> None:
    op.drop_column("people", "language")
