"""Rows that came before: a landing table holds each key once per `known_at`, in whatever order files arrive.

A row that says what is loaded already is a repetition: it counts once. One that says something else of the same key and
the same moment contradicts it and is quarantined: a correction has a later `known_at`, or no past day could be built
again. One case is neither: where a broken value was removed and the row kept, the mended row takes its place.
"""

# names are the contract's and our own; what a file holds is never spliced in

import duckdb

from sources.contract import Contract
from sources.rules import quoted


def set_repeats_aside(db: duckdb.DuckDBPyConnection, contract: Contract) -> int:
    """Delete repetitions from `judged` and mark contradictions as broken; return how many rows were repeated.

    Rows that a mended one replaces are deleted from the landing table.
    """
    before = _count(db, "judged")
    _compare_with_loaded(db, contract)
    _compare_within_file(db, contract)
    return before - _count(db, "judged")


def _compare_with_loaded(db: duckdb.DuckDBPyConnection, contract: Contract) -> None:
    first, last = db.sql(
        "select min(known_at), max(known_at) from judged where broken_column is null"
    ).fetchall()[0]
    if first is None:
        return
    # The span lets DuckDB skip the parts of a large table that are older than the file.
    db.execute(
        f"""create temp table met as
        select new.source_row, {_same(contract, "new", "old")} as is_same, {_mends(contract)} as mends,
            old.source_file as old_file, old.source_row as old_row
        from judged as new
        join landing.{contract.table} as old on {_same_key(contract, "new", "old")}
        where new.broken_column is null and old.known_at between $1 and $2""",
        [first, last],
    )
    if _count(db, "met"):
        db.execute("delete from judged using met where judged.source_row = met.source_row and is_same")
        db.execute(
            f"""update judged set {_contradicts(contract)}
            from met where judged.source_row = met.source_row and not is_same and not mends"""
        )
        db.execute(
            f"""delete from landing.{contract.table} as old using met
            where mends and not is_same and old.source_file = old_file and old.source_row = old_row"""
        )
    db.execute("drop table met")


def _compare_within_file(db: duckdb.DuckDBPyConnection, contract: Contract) -> None:
    key = ", ".join(contract.key)
    db.execute(
        f"""create temp table twins as
        select later.source_row, {_same(contract, "later", "judged")} as is_same
        from (
            select {key}, known_at, min(source_row) as first_row
            from judged where broken_column is null group by {key}, known_at having count(*) > 1
        ) as first
        join judged on judged.source_row = first.first_row
        join judged as later on {_same_key(contract, "later", "first")}
        where later.broken_column is null and later.source_row > first.first_row"""
    )
    db.execute("delete from judged using twins where judged.source_row = twins.source_row and is_same")
    db.execute(
        f"""update judged set {_contradicts(contract)}
        from twins where judged.source_row = twins.source_row and not is_same"""
    )
    db.execute("drop table twins")


def mark_mended(db: duckdb.DuckDBPyConnection, contract: Contract, file: str) -> None:
    """Note at older rejects of a table that a row with their key has since been accepted from `file`.

    A value that was removed counts as mended once the newer row has one.
    """
    unmended = "select 1 from landing.rejected_rows where table_name = $1 and file != $2 and mended_in is null limit 1"
    if not db.execute(unmended, [contract.table, file]).fetchone():
        return
    values = " ".join(
        f"when {quoted(column.name)} then new.{column.name} is not null"
        for column in contract.columns
        if column.when_broken == "null"
    )
    is_filled = f"case when reason like '%row kept' then case column_name {values} end else true end"
    db.execute(
        f"""update landing.rejected_rows as old set mended_in = $1, mended_known_at = new.known_at
        from (
            select accepted.*, {row_key(contract, "accepted")} as row_key
            from landing.{contract.table} as accepted where source_file = $1) as new
        where old.table_name = $2 and old.row_key = new.row_key and old.mended_in is null and old.file != $1
            and {is_filled if values else "true"}""",
        [file, contract.table],
    )


def row_key(contract: Contract, table: str) -> str:
    """Return SQL for the key of a row as one text; null where a part is missing or holds an address."""
    parts = " || '|' || ".join(f"{table}.{name}::varchar" for name in contract.key)
    return f"case when not contains({parts}, '@') then {parts} end"


def _same_key(contract: Contract, one: str, other: str) -> str:
    return " and ".join(
        f"{one}.{name} = {other}.{name}" for name in dict.fromkeys((*contract.key, "known_at"))
    )


def _same(contract: Contract, one: str, other: str) -> str:
    return " and ".join(f"{one}.{c.name} is not distinct from {other}.{c.name}" for c in contract.columns)


def _mends(contract: Contract) -> str:
    """Return SQL that is true where `new` is `old` with values in the place of those that were removed from it."""
    mild = [column for column in contract.columns if column.when_broken == "null"]
    if not mild:
        return "false"
    same = " and ".join(
        f"(new.{column.name} is not distinct from old.{column.name}"
        + (f" or old.{column.name} is null)" if column in mild else ")")
        for column in contract.columns
    )
    return f"""({same}) and exists (
        select 1 from landing.rejected_rows as reject
        where reject.file = old.source_file and reject.row_number = old.source_row)"""


def _contradicts(contract: Contract) -> str:
    reason = f"duplicate key ({', '.join(contract.key)}) with the same known_at"
    return f"broken_column = {quoted(contract.key[0])}, broken_reason = {quoted(reason)}"


def _count(db: duckdb.DuckDBPyConnection, table: str) -> int:
    return int(db.sql(f"select count(*) from {table}").fetchall()[0][0])
