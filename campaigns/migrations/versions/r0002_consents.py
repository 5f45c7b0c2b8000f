"""Consents and their proof, and which landing files they came from."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "consents",
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.DateTime(), nullable=False),
        sa.Column("known_at", sa.DateTime(), nullable=False),
        sa.Column("is_given", sa.Boolean(), nullable=False),
        sa.Column("proof", sa.Text()),
        sa.PrimaryKeyConstraint(
            "customer_id", "purpose", "decided_at", "known_at", "is_given", name="pk_consents"
        ),
    )
    op.create_table(
        "consent_files",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("carried_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_consent_files"),
    )


def downgrade() -> None:
    for table in ("consent_files", "consents"):
        op.drop_table(table)
