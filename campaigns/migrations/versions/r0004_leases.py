"""Leases of senders, pauses, and mail that is tried again later."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

WAITING = sa.text("state in ('planned', 'deferred')")
HELD = sa.text("state in ('claimed', 'sending')")
PLANNED = sa.text("state = 'planned'")
LONG_AGO = "1970-01-01 00:00:00"


def upgrade() -> None:
    op.create_table(
        "leases",
        sa.Column("lease_id", sa.Integer(), nullable=False),
        sa.Column("holder", sa.String(128), nullable=False),
        sa.Column("began_at", sa.DateTime(), nullable=False),
        sa.Column("ends_at", sa.DateTime(), nullable=False),
        sa.Column("ended_at", sa.DateTime()),
        sa.PrimaryKeyConstraint("lease_id", name="pk_leases"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "pauses",
        sa.Column("campaign_id", sa.String(64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("paused_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("campaign_id", name="pk_pauses"),
    )
    op.drop_index("ix_sends_due", "sends")
    op.add_column("sends", sa.Column("lease_id", sa.Integer()))
    # SQLite adds a column that is never null only with a default; it is overwritten at once.
    op.add_column("sends", sa.Column("due_at", sa.DateTime(), nullable=False, server_default=LONG_AGO))
    op.execute("update sends set due_at = send_at")
    # A deferred send was never tried again: it had ended.
    op.execute("update sends set state = 'expired' where state = 'deferred'")
    _lease_what_is_claimed()
    op.drop_column("sends", "claim_id")
    op.create_index(
        "ix_sends_due", "sends", ["due_at", "send_id"], sqlite_where=WAITING, postgresql_where=WAITING
    )
    op.create_index("ix_sends_held", "sends", ["lease_id"], sqlite_where=HELD, postgresql_where=HELD)


def _lease_what_is_claimed() -> None:
    """Put what a sender of before left claimed or in flight under a lease that is over: the next one clears up."""
    op.execute(
        "insert into leases (holder, began_at, ends_at)"
        " select 'a sender of before', min(send_at), min(send_at) from sends"
        " where state in ('claimed', 'sending') having count(*) > 0"
    )
    op.execute(
        "update sends set lease_id = (select max(lease_id) from leases) where state in ('claimed', 'sending')"
    )


def downgrade() -> None:
    op.drop_index("ix_sends_held", "sends")
    op.drop_index("ix_sends_due", "sends")
    op.add_column("sends", sa.Column("claim_id", sa.String(32)))
    op.execute("update sends set claim_id = cast(lease_id as varchar(32))")
    op.drop_column("sends", "lease_id")
    op.drop_column("sends", "due_at")
    op.create_index(
        "ix_sends_due", "sends", ["send_at", "send_id"], sqlite_where=PLANNED, postgresql_where=PLANNED
    )
    op.drop_table("pauses")
    op.drop_table("leases")
