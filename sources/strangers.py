"""Rows that name something nobody knows: an order of an unknown customer, a line of an unknown product.

Such a row is kept: what it names may land tomorrow. It is only written down, once, when it is loaded, if nothing it names
was known by the row's own `known_at`; whether it still is a stranger on a day, the mart `rejected_rows` says. A row that
is not written down then never becomes a stranger later, since what is known stays known.
"""

# names are the contract's and our own; what a file holds is never spliced in

import duckdb

from sources.contract import contracts

SCHEMA = """
    create table if not exists landing.strangers (
        table_name varchar, column_name varchar, refers_to varchar, value varchar,
        source_file varchar, source_row bigint, known_at timestamp);
    create table if not exists landing.references_checked (load_number bigint);
"""


def note_strangers(db: duckdb.DuckDBPyConnection) -> int:
    """Write down the strangers among rows loaded since the last time, in one transaction; return how many."""
    last = db.sql("select coalesce(max(load_number), 0) from landing.references_checked").fetchall()[0][0]
    loaded = db.execute(
        "select table_name, max(load_number) from landing.files where load_number > ? group by table_name",
        [last],
    ).fetchall()
    if not loaded:
        return 0
    tables = {table for table, _ in loaded}
    db.execute("begin")
    try:
        found = sum(
            _note(db, contract.table, column.name, column.references, last)
            for contract in contracts().values()
            if contract.table in tables
            for column in contract.columns
            if column.references
        )
        db.execute("insert into landing.references_checked values (?)", [max(newest for _, newest in loaded)])
        db.execute("commit")
    except BaseException:
        db.execute("rollback")
        raise
    return found


def _note(db: duckdb.DuckDBPyConnection, table: str, column: str, references: str, last: int) -> int:
    refers_to, _, key = references.partition(".")
    noted = db.execute(
        f"""insert into landing.strangers
        select $table, $column, $refers_to, new.{column}, new.source_file, new.source_row, new.known_at
        from landing.{table} as new
        left join (
            select {key} as value, min(known_at) as first_known_at from landing.{refers_to}
            where {key} in (select {column} from landing.{table} where load_number > $last)
            group by {key}) as known on new.{column} = known.value
        where new.load_number > $last and new.{column} is not null
            and (known.first_known_at is null or known.first_known_at > new.known_at)""",
        {"table": table, "column": column, "refers_to": refers_to, "last": last},
    )
    return int(noted.fetchall()[0][0])
