"""Single sign-on of staff: the address by which they are found, and who they are at the provider."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("staff", sa.Column("email", sa.String(255), nullable=True))
    op.create_index("uq_staff_email", "staff", ["email"], unique=True)
    op.add_column("staff_sessions", sa.Column("opened_by", sa.String(16), nullable=True))
    op.create_table(
        "staff_identities",
        sa.Column("issuer", sa.String(255), nullable=False),
        sa.Column("subject", sa.String(255), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("connected_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_staff_identities_staff_id")),
        sa.PrimaryKeyConstraint("issuer", "subject", name=op.f("pk_staff_identities")),
    )
    op.create_index("uq_staff_identities_staff_id", "staff_identities", ["staff_id", "issuer"], unique=True)


def downgrade() -> None:
    op.drop_table("staff_identities")
    op.drop_column("staff_sessions", "opened_by")
    op.drop_index("uq_staff_email", "staff")
    op.drop_column("staff", "email")
