"""Bring a ledger to the newest shape."""

from pathlib import Path

from sqlalchemy import Connection, inspect, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from core.errors import LedgerBroken
from core.ledger_tables import open_ledger

HEAD = "0012"
_MIGRATIONS = Path(__file__).with_name("migrations")
_ONE_AT_A_TIME = 5_401_771_200_207  # any number: the key under which PostgreSQL lets one process migrate


def migrate(url: str) -> None:
    """Make the ledger if there is none and bring it to the newest revision; quick when it is there already.

    All of it happens in one transaction: a run that dies leaves the ledger as it was.

    Raises
    ------
    LedgerBroken
        If the ledger cannot be opened, or was made by a newer Lapwing.
    """
    address = make_url(url)
    if address.get_backend_name() == "sqlite" and address.database:
        Path(address.database).parent.mkdir(parents=True, exist_ok=True)
    engine = open_ledger(url)
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text(f"select pg_advisory_xact_lock({_ONE_AT_A_TIME})"))
            if _revision(connection) != HEAD:
                _upgrade(connection)
    except SQLAlchemyError as error:
        where = address.render_as_string(hide_password=True)
        raise LedgerBroken(f"the ledger {where} cannot be used: {_first_line(error)}") from error
    finally:
        engine.dispose()


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("select version_num from alembic_version")).scalar()


def _upgrade(connection: Connection) -> None:
    # Imported here: Alembic costs 0.2 s that a ledger at its head need not pay.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise LedgerBroken(
            f"the ledger is at revision {_revision(connection)}, which this Lapwing does not know"
            f" (it knows {HEAD}): use the Lapwing that made it"
        ) from error


def _first_line(error: SQLAlchemyError) -> str:
    return str(error).partition("\n")[0]
