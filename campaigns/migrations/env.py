"""What Alembic runs. `campaigns.migrate` hands over an open connection, so no address or secret stands in a file."""

from alembic import context

from core.ledger_tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
