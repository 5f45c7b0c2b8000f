"""Lands what a shop brought: what is new or changed since the last import, each row with the moment it was known.

Importers put the rows of one file, as text, into the temporary table `mapped`. From there on all sources are alike: rows
that the landing folder holds already are left out, `known_at` is settled, and the rest becomes one landing file, written
under a hidden name and renamed when all files of its table are whole.

When a row was known
--------------------
The shop says it (a column mapped to `known_at`), or it is worked out, so that a feature of a past day sees what that day
could see:

- first import of a table: the row's own moment (an order's `ordered_at`, a line's its order's, and so on); a row without
  one counts as known since the shop's first order;
- later: a new row whose own moment lies past everything landed before came in its turn: its own moment;
- a new row that should have come before, and a changed row: the moment the file was last changed.

No row is known after its file was last changed: an order of 2035 stays in the future, and the landing rejects it.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import duckdb

from core.durable import locked, sync
from core.logging import get_logger
from sources.contract import Contract, contracts
from sources.rules import quoted

KNOWN_AT = "known_at"


@dataclass(frozen=True)
class Batch:
    """What a shop brings for one table. `fill` makes the temporary tables `mapped` and `unreadable`.

    It returns how many rows it left out, because the mapping says so.
    `volatile` are columns that hold the file's own moment: of no meaning when rows are compared.
    """

    contract: Contract
    name: str
    digest: str
    file_time: datetime
    fill: Callable[[duckdb.DuckDBPyConnection], int]
    volatile: frozenset[str] = frozenset()


@dataclass
class Counts:
    """What became of the rows of a table."""

    files: int = 0
    rows: int = 0
    """Rows that were taken from the files, unreadable lines included."""
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    """Landed before, left out now."""
    left_out: int = 0
    """Not taken, because the mapping says so (`only`, `repeats`)."""
    unreadable: int = 0
    """Lines that could not be taken apart; they are landed as such, and rejected there."""


@dataclass
class Target:
    """A table of one source in the landing folder, and what it held when the import began."""

    contract: Contract
    folder: Path
    files: list[Path]
    is_first: bool
    newest: datetime | None = None
    """The newest own moment of a row that was landed by an earlier import."""
    first_order: datetime | None = None
    drafts: list[Path] = field(default_factory=list)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep two imports of one source from landing the same rows; the second waits. Drafts of a dead one are removed."""
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / ".importing"):
        for draft in folder.glob("*/.*.parquet"):
            draft.unlink()
        yield


def target_of(db: duckdb.DuckDBPyConnection, source: Path, contract: Contract) -> Target:
    """Return the target of a table; makes `orders_known`, which says when each order of the source was known."""
    folder = source / contract.table
    files = sorted(folder.glob("[!.]*.parquet"))
    orders = sorted((source / "orders").glob("[!.]*.parquet"))
    db.execute("create or replace temp table orders_known (order_id varchar, known_at timestamp)")
    if orders:
        db.execute(
            f"""insert into orders_known
            select order_id, min(try_cast(known_at as timestamp)) from {_parquet(orders)} group by order_id"""
        )
    first_order = db.sql("select min(known_at) from orders_known").fetchall()[0][0]
    target = Target(contract, folder, files, is_first=not files, first_order=first_order)
    if files:
        target.newest = db.sql(
            f"""select max(least({own_moment(contract)}, try_cast(known_at as timestamp)))
            from {_parquet(files)} as row"""
        ).fetchall()[0][0]
    return target


def own_moment(contract: Contract) -> str:
    """Return SQL for the moment a row of the contract speaks of, null where it has none; the row is called `row`."""
    if contract.table == "order_lines":
        return "(select known_at from orders_known where orders_known.order_id = row.order_id)"
    moments = [
        column for column in contract.columns if column.type == "timestamp" and column.name != KNOWN_AT
    ]
    past = [column for column in moments if column.not_after == KNOWN_AT]
    cast = [f"try_cast(row.{column.name} as timestamp)" for column in past or moments]
    return f"greatest({', '.join(cast)})" if cast else "null::timestamp"


def has_landed(target: Target, batch: Batch) -> bool:
    """Say whether this very file, read in this very way, is landed already."""
    return landing_name(batch) in {path.name for path in target.files}


def landing_name(batch: Batch) -> str:
    stem = re.sub(r"[^a-z0-9_-]+", "_", Path(batch.name).stem.lower()).strip("_")[:40] or "file"
    return f"{stem}-{batch.digest}.parquet"


def write_draft(db: duckdb.DuckDBPyConnection, target: Target, batch: Batch, counts: Counts) -> None:
    """Write the rows of a batch that are new or changed to a hidden file; count all of them."""
    counts.left_out += batch.fill(db)
    _add_unreadable(db, batch.contract)
    _find_known(db, target, batch)
    _settle(db, target, batch)
    rows, new, changed, unreadable = db.sql(
        """select (select count(*) from mapped), count(*) filter (not was_known), count(*) filter (was_known),
            (select count(*) from unreadable) from arrivals"""
    ).fetchall()[0]
    counts.files += 1
    counts.rows += rows
    counts.new += new
    counts.changed += changed
    counts.unchanged += rows - new - changed
    counts.unreadable += unreadable
    if new + changed:
        target.folder.mkdir(parents=True, exist_ok=True)
        draft = target.folder / f".{landing_name(batch)}"
        names = ", ".join(column.name for column in batch.contract.columns)
        db.execute(
            f"copy (select {names} from arrivals order by source_row) to {quoted(str(draft))} (format parquet)"
        )
        target.drafts.append(draft)
    get_logger(__name__).info(
        "shop file read",
        table=batch.contract.table,
        rows=rows,
        new=new,
        changed=changed,
        unreadable=unreadable,
    )


def release(target: Target) -> None:
    """Give the drafts their names: from here on the landing sees them."""
    for draft in target.drafts:
        sync(draft)
        draft.replace(draft.with_name(draft.name.removeprefix(".")))
    target.drafts.clear()


def _parquet(files: list[Path]) -> str:
    listed = ", ".join(quoted(str(file)) for file in files)
    return f"read_parquet([{listed}], union_by_name = true, filename = true, file_row_number = true, hive_partitioning = false)"


def _add_unreadable(db: duckdb.DuckDBPyConnection, contract: Contract) -> None:
    """Land a line that cannot be taken apart as a row that says so where a value must be: it is rejected with that."""
    values = ["null" if column.nullable else "fault" for column in contract.columns]
    db.execute(f"insert into mapped select {', '.join(values)}, source_row from unreadable")


def _find_known(db: duckdb.DuckDBPyConnection, target: Target, batch: Batch) -> None:
    """Make the table `known`: of each key that `mapped` brings, the newest version that is landed."""
    keys = _keys(batch)
    compared = _compared(batch)
    empty = ", ".join(f"null::varchar as {key}" for key in keys)
    query = f"select {empty}, null::varchar[] as was, null::timestamp as known_at limit 0"
    files = [*target.files, *target.drafts]
    if files:
        same = " and ".join(f"landed.{key} is not distinct from mapped.{key}" for key in keys)
        there = {row[0] for row in db.sql(f"describe from {_parquet(files)}").fetchall()}
        was = ", ".join(f"landed.{name}" if name in there else "null" for name in compared)
        moment = "try_cast(landed.known_at as timestamp)"
        order = f"struct_pack(known := {moment}, file := filename, place := file_row_number)"
        query = f"""
            select {", ".join(f"landed.{key}" for key in keys)},
                arg_max([{was}]::varchar[], {order}) as was, max({moment}) as known_at
            from {_parquet(files)} as landed semi join mapped on {same} group by all"""
    db.execute(f"create or replace temp table known as {query}")


def _settle(db: duckdb.DuckDBPyConnection, target: Target, batch: Batch) -> None:
    """Make the table `arrivals`: rows that are new or changed, with `known_at` settled."""
    same = " and ".join(f"row.{key} is not distinct from known.{key}" for key in _keys(batch))
    now = ", ".join(f"row.{name}" for name in _compared(batch))
    names = ", ".join(f"row.{column.name}" for column in batch.contract.columns if column.name != KNOWN_AT)
    turn = "true" if target.is_first else "own_moment > $newest"
    db.execute(
        f"""
        create or replace temp table arrivals as
        with compared as (
            select {names}, row.known_at as said, try_cast(row.known_at as timestamp) as said_moment, source_row,
                known.was is not null as was_known, known.known_at as known_before,
                {own_moment(batch.contract)} as own_moment
            from mapped as row left join known on {same}
            where known.was is null or known.was is distinct from [{now}]::varchar[]
        ),
        settled as (
            select *, case
                when was_known and (said_moment is null or said_moment <= known_before)
                    then greatest($file_time, known_before + interval 1 microsecond)
                when said_moment is not null then said_moment
                when {turn} then least(coalesce(own_moment, $first_order, $file_time), $file_time)
                else $file_time
            end as known_moment
            from compared
        )
        select * exclude (said, said_moment, known_before, own_moment, known_moment),
            case when said is not null and said_moment is null then said else known_moment::varchar end as known_at
        from settled""",
        {"file_time": batch.file_time, "first_order": target.first_order}
        | ({} if target.is_first else {"newest": target.newest}),
    )


def _keys(batch: Batch) -> list[str]:
    return [name for name in batch.contract.key if name not in batch.volatile]


def _compared(batch: Batch) -> list[str]:
    apart = {KNOWN_AT, *batch.volatile}
    return [column.name for column in batch.contract.columns if column.name not in apart]


def in_order(tables: list[str]) -> list[str]:
    """Return tables so that orders come first: lines take their moment from them."""
    known = list(contracts())
    return sorted(tables, key=lambda name: (name != "orders", known.index(name)))
