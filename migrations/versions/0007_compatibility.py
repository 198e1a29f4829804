"""Which schema a version must know at least to serve this database.

A later migration that takes something away, or demands what the version before does not write, sets it to the revision
that stopped needing it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    table = op.create_table(
        "compatibility",
        sa.Column("oldest_schema", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("oldest_schema", name=op.f("pk_compatibility")),
    )
    op.bulk_insert(table, [{"oldest_schema": revision}])


def downgrade() -> None:
    op.drop_table("compatibility")
