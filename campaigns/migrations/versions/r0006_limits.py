"""Rates by recipient domain, pauses that end, and how long a send may wait."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

REFUSED = sa.text("state = 'refused'")
LONG_AGO = "1970-01-01 00:00:00"
# What waited went out until 24 hours after the end of its day. SQLite holds moments as text, as SQLAlchemy writes it.
FILL = {
    "sqlite": """
        update sends set
            domain = lower(substr(address, instr(address, '@') + 1)),
            expires_at = strftime('%Y-%m-%d %H:%M:%S.000000', as_of_date, '+2 days')""",
    "postgresql": """
        update sends set
            domain = lower(substr(address, strpos(address, '@') + 1)),
            expires_at = as_of_date + interval '2 days'""",
}


def upgrade() -> None:
    op.create_table(
        "rates",
        sa.Column("subject", sa.String(256), nullable=False),
        sa.Column("used_until", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("subject", name="pk_rates"),
    )
    # SQLite adds a column that is never null only with a default; it is overwritten at once.
    op.add_column("sends", sa.Column("domain", sa.String(255), nullable=False, server_default=""))
    op.add_column("sends", sa.Column("expires_at", sa.DateTime(), nullable=False, server_default=LONG_AGO))
    op.execute(FILL[op.get_bind().dialect.name])
    op.create_index("ix_sends_refused", "sends", ["ended_at"], sqlite_where=REFUSED, postgresql_where=REFUSED)
    with op.batch_alter_table("pauses") as pauses:
        pauses.alter_column("campaign_id", new_column_name="subject", type_=sa.String(256))
        pauses.add_column(sa.Column("ends_at", sa.DateTime()))


def downgrade() -> None:
    op.execute("delete from pauses where ends_at is not null or subject like '@%'")
    with op.batch_alter_table("pauses") as pauses:
        pauses.drop_column("ends_at")
        pauses.alter_column("subject", new_column_name="campaign_id", type_=sa.String(64))
    op.drop_index("ix_sends_refused", "sends")
    op.drop_column("sends", "expires_at")
    op.drop_column("sends", "domain")
    op.drop_table("rates")
