"""A shop's running PostgreSQL or MySQL database, pulled by watermark: each import reads what changed since the last.

dlt reads the tables, keeps the watermark (in the data folder) and writes what it pulled as Parquet into a work folder;
from there on it goes the way of every other file. The watermark is inclusive: rows that share its value are read again, and
left out again by comparing them with what is landed, so none is lost and none is doubled. A row whose watermark did not
move is not seen, nor is a deletion.

The connection is read-only and reads the mapped columns only. Its address stands in LAPWING_SHOP_DATABASE, and in no
file, log or message.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, inspect
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchTableError, SQLAlchemyError

from core.errors import ContractBroken, SettingsError
from core.logging import get_logger
from core.settings import Settings
from sources.mapping import Mapping, Table

DRIVERS = {
    "postgresql": "postgresql+psycopg2",
    "postgres": "postgresql+psycopg2",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
}
READ_ONLY = {
    "postgresql": "set session characteristics as transaction read only",
    "mysql": "set session transaction read only",
}
QUIETLY = {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "PROVIDERS__ENABLE_AIRFLOW_SECRETS": "false",  # else it imports Airflow, which takes seconds and sets up logging
    "LOAD__DELETE_COMPLETED_JOBS": "true",  # what was pulled is landed; a second copy would only grow
    "SCHEMA__NAMING": "direct",  # a column keeps the name it has in the shop
}
"""What dlt reads from the environment; it knows no other way to be told before it starts."""
ROWS_AT_ONCE = 50_000
PULLED = "pulled"


@contextmanager
def pulled(
    settings: Settings, mapping: Mapping, source: Path, *, limit: int | None = None
) -> Iterator[dict[str, list[Path]]]:
    """Pull what changed and yield the Parquet files of each table, oldest first; they are removed when all is landed.

    Files of a pull that was not landed, because the machine stopped in between, are yielded again.

    Parameters
    ----------
    source
        The folder of the source's landing files; the watermark is kept in it.
    limit
        Read only about so many rows of each table, for a look.

    Raises
    ------
    SettingsError
        If LAPWING_SHOP_DATABASE is missing, or no address of such a database.
    ContractBroken
        If the database cannot be read, or lacks a table or column that the mapping names.
    """
    work = (
        source / ".pull"
    )  # beside what it made: whoever removes the source's folder starts from the beginning
    tables = {name: table for name, table in mapping.tables.items() if table.table}
    _pull(settings, mapping.source, tables, work, limit)
    files = {name: sorted((work / PULLED / name).glob("*.parquet")) for name in tables}
    yield files
    for paths in files.values():
        for path in paths:
            path.unlink()


def shop_url(settings: Settings) -> URL:
    """Return the address of the shop's database with the driver that is installed here."""
    try:
        url = make_url(settings.shop_database.get_secret_value())
        return url.set(drivername=DRIVERS[url.drivername.partition("+")[0]])
    except (ArgumentError, KeyError, ValueError):
        # The value holds a password: it is not shown.
        raise SettingsError(
            "LAPWING_SHOP_DATABASE: is no address such as postgresql://reader:secret@host/shop or mysql://… (see .env.example)"
        ) from None


def read_only(url: URL) -> Engine:
    """Return an engine whose every connection refuses to write."""
    engine = create_engine(url)

    @event.listens_for(engine, "connect")
    def _refuse_writes(connection: Any, _record: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute(READ_ONLY[engine.dialect.name])
        connection.commit()

    return engine


def _pull(settings: Settings, source: str, tables: dict[str, Table], work: Path, limit: int | None) -> None:
    os.environ.update(QUIETLY, DLT_DATA_DIR=str(work / "dlt"))
    import dlt
    from dlt.common.exceptions import DltException

    engine = read_only(shop_url(settings))
    try:
        _require_there(engine, tables)
        pipeline = dlt.pipeline(
            f"shop_{source}",
            pipelines_dir=str(work / "dlt" / "pipelines"),
            destination=dlt.destinations.filesystem(work.as_uri(), warn_unsafe_layout_separators=False),
            dataset_name=PULLED,
        )
        pipeline.run(
            [_resource(engine, name, table, limit) for name, table in tables.items()],
            loader_file_format="parquet",
        )
        trace = pipeline.last_trace
        rows = trace.last_normalize_info.row_counts if trace and trace.last_normalize_info else {}
        get_logger(__name__).info("shop database read", **{name: rows.get(name, 0) for name in tables})
    except (DltException, SQLAlchemyError) as error:
        raise ContractBroken(f"the shop's database cannot be read: {_without_secrets(error)}") from None
    finally:
        engine.dispose()


def _require_there(engine: Engine, tables: dict[str, Table]) -> None:
    """Look for tables and columns first: dlt would find out halfway, and keep the half."""
    for name, table in tables.items():
        schema, _, bare = table.table.rpartition(".")
        try:
            there = {column["name"] for column in inspect(engine).get_columns(bare, schema or None)}
        except NoSuchTableError:
            raise ContractBroken(f"{name}: the shop's database has no table {table.table!r}") from None
        lacking = [column for column in columns_of(table) if column not in there]
        if lacking:
            raise ContractBroken(
                f"{name}: {table.table} has no column {lacking[0]!r}; it has {', '.join(sorted(there))}"
            )


def columns_of(table: Table) -> list[str]:
    """Return the columns to read: those the mapping names, and the one that grows."""
    from sources.shop_import import named_columns

    return list(dict.fromkeys([*named_columns(table), table.changed]))


def _resource(engine: Engine, name: str, table: Table, limit: int | None) -> Any:
    """Return dlt's reader of one table of the shop, named after the table of the contract it fills."""
    import dlt
    from dlt.sources.sql_database import sql_table

    schema, _, bare = table.table.rpartition(".")
    found = sql_table(
        credentials=engine,
        table=bare,
        schema=schema or None,
        # No key: two versions of a row within the same second are both read; which are new is found out on landing.
        incremental=dlt.sources.incremental(
            table.changed, primary_key=(), range_start="closed", on_cursor_value_missing="include"
        ),
        included_columns=columns_of(table),
        chunk_size=limit or ROWS_AT_ONCE,
        backend="pyarrow",
        reflection_level="full_with_precision",
        write_disposition="append",
    )
    return found.with_name(name).add_limit(1 if limit else None)


def _without_secrets(error: Exception) -> str:
    """Return the last cause in one line, without what looks like a login or an address."""
    cause: BaseException = error
    while cause.__cause__ or cause.__context__:
        cause = cause.__cause__ or cause.__context__  # type: ignore[assignment]  # the loop's condition says one is there
    first = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
    return re.sub(r"\S*(@|://)\S*|password\S*", "[hidden]", first)[:300]
