"""Batches that wait for a person, and what was answered."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

IS_AWAITING = sa.text("state = 'awaiting'")


def upgrade() -> None:
    op.create_table(
        "approvals",
        sa.Column("as_of_date", sa.Date(), nullable=False),
        sa.Column("campaign_id", sa.String(64), nullable=False),
        sa.Column("step", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("template_version", sa.String(12), nullable=False),
        sa.Column("send_count", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("answer", sa.String(16)),
        sa.Column("share_percent", sa.Integer()),
        sa.Column("answered_at", sa.DateTime()),
        sa.Column("answered_by", sa.String(64)),
        sa.Column("why", sa.Text()),
        sa.PrimaryKeyConstraint("as_of_date", "campaign_id", "step", name="pk_approvals"),
    )
    op.create_index(
        "ix_sends_awaiting",
        "sends",
        ["as_of_date"],
        sqlite_where=IS_AWAITING,
        postgresql_where=IS_AWAITING,
    )


def downgrade() -> None:
    op.drop_index("ix_sends_awaiting", table_name="sends")
    op.drop_table("approvals")
