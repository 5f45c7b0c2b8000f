"""Loads landing files into the warehouse: typed rows that keep the contract, and rejected rows with a reason.

A file is loaded once (known by its bytes), whole or not at all: its good rows into the landing table, the rest into the
quarantine. A file that is still being written is left for the next run.
"""

import tempfile
from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import duckdb

from core.clock import system_clock
from core.errors import ContractBroken
from core.logging import get_logger
from core.settings import Settings
from core.warehouse import writing
from sources.contract import Contract, contracts
from sources.files import Look, digest_of, landed_files, look, read_file, short_name, why_unfinished
from sources.repeats import mark_mended, row_key, set_repeats_aside
from sources.rules import PERSONAL, judge, quoted, shortened, shown
from sources.strangers import SCHEMA as STRANGERS
from sources.strangers import note_strangers

MANY_REJECTS = 100
"""From so many on, a file's own share of rejects counts too: a large table would hide a day of nothing but faults."""
SCHEMA = """
    create schema if not exists landing;
    create table if not exists landing.files (
        digest varchar primary key, file varchar, table_name varchar, row_count bigint, reject_count bigint,
        load_number bigint);
    create table if not exists landing.looks (
        file varchar primary key, size bigint, modified_ns bigint);
    create table if not exists landing.rejected_rows (
        source varchar, file varchar, row_number bigint, table_name varchar, column_name varchar,
        value varchar, reason varchar, known_at timestamp);
    create or replace table landing.contracts (
        table_name varchar, is_required boolean, freshness_days bigint, stops_after_days bigint);
    alter table landing.rejected_rows add column if not exists row_key varchar;
    alter table landing.rejected_rows add column if not exists mended_in varchar;
    alter table landing.rejected_rows add column if not exists mended_known_at timestamp;
"""


@dataclass(frozen=True)
class LandingReport:
    """What a load found, per table (or per file, for those left for the next run)."""

    rows: dict[str, int]
    rejects: dict[str, int]
    absent: dict[str, str]
    """Tables a shop did not bring, and what stays switched off."""
    ignored_columns: dict[str, tuple[str, ...]]
    first_order_date: date
    repeated: dict[str, int] = field(default_factory=dict)
    """Rows that said what was loaded already."""
    waiting: dict[str, str] = field(default_factory=dict)
    """Files that are still being written, and how one can tell."""


@dataclass
class _Tally:
    rows: Counter[str] = field(default_factory=Counter)
    rejects: Counter[str] = field(default_factory=Counter)
    repeated: Counter[str] = field(default_factory=Counter)
    ignored: dict[str, tuple[str, ...]] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)

    def add(self, table: str, *, rows: int, rejects: int, repeated: int, ignored: tuple[str, ...]) -> None:
        self.rows[table] += rows
        self.rejects[table] += rejects
        self.repeated[table] += repeated
        if ignored:
            self.ignored[table] = tuple(dict.fromkeys((*self.ignored.get(table, ()), *ignored)))


def load_landing(settings: Settings) -> LandingReport:
    """Load every landing file that is not loaded yet.

    Raises
    ------
    ContractBroken
        If a required table has no file or no rows, a file lacks a required column or cannot be read, or a file's
        rejects pass the table's threshold. That file leaves nothing behind; files before it stay loaded.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    tally = _Tally()
    with (
        writing(settings) as db,
        tempfile.TemporaryDirectory(prefix=".landing-", dir=settings.data_dir) as scratch,
    ):
        make_landing_tables(db)
        for contract in contracts().values():
            for file in landed_files(settings.landing, contract.table):
                _visit(db, contract, file, Path(scratch), tally)
        note_strangers(db)
        absent = _absent(db, tally.waiting)
        first_order = db.sql("select min(ordered_at)::date from landing.orders").fetchall()[0][0]
    get_logger(__name__).info("tables not brought", switched_off=absent)
    return LandingReport(
        rows=dict(tally.rows),
        rejects=dict(tally.rejects),
        absent=absent,
        ignored_columns=tally.ignored,
        first_order_date=first_order,
        repeated=dict(+tally.repeated),
        waiting=tally.waiting,
    )


def make_landing_tables(db: duckdb.DuckDBPyConnection) -> None:
    """Make the landing tables that are not there yet.

    Raises
    ------
    ContractBroken
        If the warehouse was made before loads had numbers: nothing says then in which order its rows came.
    """
    db.execute(SCHEMA + STRANGERS)
    if "load_number" not in {row[0] for row in db.sql("describe landing.files").fetchall()}:
        raise ContractBroken(
            "the warehouse was made by an earlier Lapwing; remove warehouse.duckdb from the data folder: everything in it "
            "is built again from the landing files"
        )
    db.execute("set TimeZone = 'UTC'")  # what a moment without a zone is in
    for contract in contracts().values():
        _make_table(db, contract)
        db.execute(
            "insert into landing.contracts values (?, ?, ?, ?)",
            [contract.table, contract.required, contract.freshness_days, contract.stops_after_days],
        )


def _visit(
    db: duckdb.DuckDBPyConnection, contract: Contract, file: Path, scratch: Path, tally: _Tally
) -> None:
    """Load one file, unless it is loaded already or still being written."""
    name, seen = short_name(file), look(file)
    if db.execute("select size, modified_ns from landing.looks where file = ?", [name]).fetchone() == (
        seen.size,
        seen.modified_ns,
    ):
        return  # not touched since it was loaded: its bytes need not be read again
    if reason := why_unfinished(file, system_clock()):
        tally.waiting[name] = reason
        return
    digest = digest_of(file)
    if not db.execute("select 1 from landing.files where digest = ?", [digest]).fetchone():
        _require_unchanged(db, file)
        if not _load_file(db, contract, file, digest, seen, scratch, tally):
            tally.waiting[name] = "it changed while it was read"
            return
    db.execute("insert or replace into landing.looks values (?, ?, ?)", [name, seen.size, seen.modified_ns])


def _require_unchanged(db: duckdb.DuckDBPyConnection, file: Path) -> None:
    """Refuse a loaded file that says something else now. One that only grew was loaded while it was being written."""
    loaded = db.execute("select size from landing.looks where file = ?", [short_name(file)]).fetchone()
    if not loaded:
        return
    known = db.execute(
        "select 1 from landing.files where digest = ?", [digest_of(file, loaded[0])]
    ).fetchone()
    if look(file).size < loaded[0] or not known:
        raise ContractBroken(
            f"{short_name(file)} has changed since it was loaded; landing is append-only: "
            f"restore it and put the new rows into a file with a new name"
        )


def _make_table(db: duckdb.DuckDBPyConnection, contract: Contract) -> None:
    """Make the landing table, or give it the columns that the contract has gained since it was made."""
    columns = ", ".join(f"{column.name} {column.sql_type}" for column in contract.columns)
    db.execute(
        f"create table if not exists landing.{contract.table} "
        f"({columns}, source_file varchar, source_row bigint, load_number bigint)"
    )
    present = {row[0] for row in db.sql(f"describe landing.{contract.table}").fetchall()}
    for column in contract.columns:
        if column.name not in present:
            db.execute(f"alter table landing.{contract.table} add column {column.name} {column.sql_type}")


def _load_file(
    db: duckdb.DuckDBPyConnection,
    contract: Contract,
    file: Path,
    digest: str,
    seen: Look,
    scratch: Path,
    tally: _Tally,
) -> bool:
    """Load one file, in one transaction; return False, and leave nothing behind, if it changes meanwhile."""
    name, table = short_name(file), contract.table
    db.execute("drop table if exists arrived; drop table if exists unreadable; drop table if exists judged")
    extra = _read_whole(db, contract, file, seen, scratch)
    if extra is None:
        return False
    types = {row[0]: row[1].upper() for row in db.sql("describe arrived").fetchall()}
    db.execute(judge(contract, types))
    db.execute("begin")
    try:
        repeated = set_repeats_aside(db, contract)
        rows, broken = _keep_rows(db, contract, name)
        _require_few_rejects(db, contract, name, rows + repeated, broken)
        rejects = _keep_rejects(db, contract, name)
        mark_mended(db, contract, name)
        db.execute(
            "insert into landing.files select ?, ?, ?, ?, ?, coalesce(max(load_number), 0) + 1 from landing.files",
            [digest, name, table, rows, rejects],
        )
        db.execute("commit")
    except BaseException:
        db.execute("rollback")
        raise
    tally.add(table, rows=rows, rejects=rejects, repeated=repeated, ignored=extra)
    get_logger(__name__).info(
        "landing file loaded", file=name, rows=rows, rejects=rejects, repeated=repeated, ignored_columns=extra
    )
    return True


def _read_whole(
    db: duckdb.DuckDBPyConnection, contract: Contract, file: Path, seen: Look, scratch: Path
) -> tuple[str, ...] | None:
    """Read a file; return the columns left out, or None if it was touched since it was `seen`."""
    try:
        extra = read_file(db, contract, file, scratch)
    except ContractBroken:
        if look(file) == seen:
            raise
        return None
    return extra if look(file) == seen else None


def _keep_rows(db: duckdb.DuckDBPyConnection, contract: Contract, name: str) -> tuple[int, int]:
    """Put the good rows into the landing table; return how many those are, and how many lines are broken."""
    names = ", ".join(column.name for column in contract.columns)
    rows = db.execute(
        f"insert into landing.{contract.table} ({names}, source_file, source_row, load_number) "
        f"select {names}, ?, source_row, (select coalesce(max(load_number), 0) + 1 from landing.files) "
        f"from judged where broken_column is null",
        [name],
    ).fetchall()[0][0]
    broken = db.sql(
        "select count(*) from (from judged select 1 where broken_column is not null union all from unreadable select 1)"
    ).fetchall()[0][0]
    return rows, broken


def _keep_rejects(db: duckdb.DuckDBPyConnection, contract: Contract, name: str) -> int:
    """Write down broken lines, rows and removed values, in place of what an earlier load of the file wrote."""
    db.execute("delete from landing.rejected_rows where file = ?", [name])
    by_column = " ".join(f"when {quoted(column.name)} then {shown(column)}" for column in contract.columns)
    is_personal = any(column.personal for column in contract.columns)
    parts = [
        f"""select source_row, '(line)', {PERSONAL if is_personal else shortened("line")}, reason, null, null
        from unreadable""",
        f"""select source_row, broken_column, case broken_column {by_column} end, broken_reason, judged.known_at,
            {row_key(contract, "judged")}
        from judged join arrived using (source_row) where broken_column is not null""",
    ]
    parts += [
        f"""select source_row, {quoted(column.name)}, {shown(column)},
            {column.name}__fault || ': value removed, row kept', judged.known_at, {row_key(contract, "judged")}
        from judged join arrived using (source_row) where broken_column is null and {column.name}__fault is not null"""
        for column in contract.columns
        if column.when_broken == "null"
    ]
    found = db.execute(
        f"""insert into landing.rejected_rows
            (source, file, row_number, table_name, column_name, value, reason, known_at, row_key)
        select $1, $2, source_row, $3, column_name, value, reason, known_at, row_key
        from ({" union all ".join(parts)}) as broken(source_row, column_name, value, reason, known_at, row_key)
        order by source_row""",
        [name.partition("/")[0], name, contract.table],
    )
    return int(found.fetchall()[0][0])


def _require_few_rejects(
    db: duckdb.DuckDBPyConnection, contract: Contract, name: str, good: int, rejected: int
) -> None:
    """Judge the table, not the file: one bad row in a file of three is no reason to stop a shop."""
    have = db.sql(f"select count(*) from landing.{contract.table}").fetchall()[0][0]
    share = rejected / max(have + rejected, 1)
    if rejected >= MANY_REJECTS:
        share = max(share, rejected / (good + rejected))
    if share > contract.reject_threshold_share:
        column, reason = db.sql(
            """select place, reason from (
                select broken_column as place, broken_reason as reason from judged where broken_column is not null
                union all select 'a line', reason from unreadable
            ) group by all order by count(*) desc, 1 limit 1"""
        ).fetchall()[0]
        raise ContractBroken(
            f"{name}: {rejected} of {good + rejected} rows break the contract of {contract.table!r}, more than its "
            f"{contract.reject_threshold_share:.0%} allow; most often {column!r} {reason}"
        )


def _absent(db: duckdb.DuckDBPyConnection, waiting: dict[str, str]) -> dict[str, str]:
    absent = {}
    for contract in contracts().values():
        if db.sql(f"select 1 from landing.{contract.table} limit 1").fetchone():
            continue
        if contract.required:
            left = [f"{name} waits: {why}" for name, why in waiting.items() if f"/{contract.table}/" in name]
            raise ContractBroken(
                f"the landing folder has no rows for the required table {contract.table!r}; "
                + (left[0] if left else f"put a file with them at <data>/landing/<source>/{contract.table}/")
            )
        absent[contract.table] = contract.switches_on
    return absent
