"""Sends, suppressions, links and the audit log."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_sends()
    op.create_table(
        "suppressions",
        sa.Column("customer_id", sa.String(64), nullable=False),
        sa.Column("pseudonym", sa.String(32), nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("send_id", sa.String(32)),
        sa.Column("suppressed_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", name="pk_suppressions"),
    )
    op.create_index("ix_suppressions_pseudonym", "suppressions", ["pseudonym"])
    op.create_table(
        "links",
        sa.Column("link_id", sa.String(16), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("link_id", name="pk_links"),
    )
    op.create_table(
        "audit_log",
        sa.Column("audit_id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("happened_at", sa.DateTime(), nullable=False),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(128), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("audit_id", name="pk_audit_log"),
    )


def _create_sends() -> None:
    op.create_table(
        "sends",
        sa.Column("send_id", sa.String(32), nullable=False),
        sa.Column("campaign_id", sa.String(64), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.String(64), nullable=False),
        sa.Column("as_of_date", sa.Date(), nullable=False),
        sa.Column("address", sa.String(320), nullable=False),
        sa.Column("pseudonym", sa.String(32), nullable=False),
        sa.Column("send_at", sa.DateTime(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("claim_id", sa.String(32)),
        sa.Column("claimed_at", sa.DateTime()),
        sa.Column("sending_at", sa.DateTime()),
        sa.Column("ended_at", sa.DateTime()),
        sa.Column("reply", sa.Text()),
        sa.Column("server", sa.String(128)),
        sa.Column("message_id", sa.String(320)),
        sa.Column("message_digest", sa.String(64)),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("send_id", name="pk_sends"),
    )
    op.create_index("ix_sends_as_of_date", "sends", ["as_of_date"])
    op.create_index("ix_sends_customer_id", "sends", ["customer_id"])
    is_planned = sa.text("state = 'planned'")
    op.create_index(
        "ix_sends_due", "sends", ["send_at", "send_id"], sqlite_where=is_planned, postgresql_where=is_planned
    )


def downgrade() -> None:
    for table in ("audit_log", "links", "suppressions", "sends"):
        op.drop_table(table)
