"""Second factors of staff, their recovery codes, and the browsers that they signed in with."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("staff", sa.Column("data_key", sa.LargeBinary(), nullable=True))
    op.add_column("staff_sessions", sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("staff_sessions", sa.Column("challenge", sa.LargeBinary(), nullable=True))
    op.create_table(
        "staff_factors",
        *_keys("staff_factors", "id"),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("credential_id", sa.LargeBinary(), nullable=True),
        sa.Column("counter", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
    )
    op.create_index("ix_staff_factors_staff_id", "staff_factors", ["staff_id"])
    op.create_table(
        "staff_recovery_codes",
        *_keys("staff_recovery_codes", "digest"),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_staff_recovery_codes_staff_id", "staff_recovery_codes", ["staff_id"])
    op.create_table(
        "staff_browsers",
        *_keys("staff_browsers", "digest"),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_staff_browsers_staff_id", "staff_browsers", ["staff_id"])


def downgrade() -> None:
    for table in ("staff_browsers", "staff_recovery_codes", "staff_factors"):
        op.drop_table(table)
    op.drop_column("staff_sessions", "challenge")
    op.drop_column("staff_sessions", "verified_at")
    op.drop_column("staff", "data_key")


def _keys(table: str, primary: str) -> tuple[sa.Constraint, sa.Constraint]:
    return (
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f(f"fk_{table}_staff_id")),
        sa.PrimaryKeyConstraint(primary, name=op.f(f"pk_{table}")),
    )
