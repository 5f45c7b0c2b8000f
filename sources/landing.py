"""Loads landing files into the warehouse: typed rows that keep the contract, and rejected rows with a reason.

A file is loaded once (known by its bytes), whole or not at all. Every rule of the contract becomes a line of SQL:
nothing is checked row by row in Python.
"""

import csv
import hashlib
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from core.errors import ContractBroken
from core.logging import get_logger, without_addresses
from core.settings import Settings
from sources.contract import Column, Contract, contracts

# RFC 4180, not what DuckDB would guess of the first rows: a wrong guess loses rows without a word.
READERS = {
    ".csv": """read_csv({file}, columns = {columns}, auto_detect = false, header = true, delim = ',', quote = '"',
        escape = '"', strict_mode = true, hive_partitioning = false)""",
    ".parquet": "read_parquet({file}, hive_partitioning = false)",
    ".jsonl": "read_json({file}, columns = {columns}, format = 'newline_delimited', hive_partitioning = false)",
}
CSV_FAULT = re.compile(r"Expected Number of Columns: \d+ Found: \d+|unterminated quote|not utf-8 encoded")
EMAIL = r'^[^@\s,;<>"]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$'

SCHEMA = """
    create schema if not exists landing;
    create table if not exists landing.files (
        digest varchar primary key, file varchar, table_name varchar, row_count bigint, reject_count bigint,
        load_number bigint);
    create table if not exists landing.rejected_rows (
        source varchar, file varchar, row_number bigint, table_name varchar, column_name varchar,
        value varchar, reason varchar, known_at timestamp);
"""


@dataclass(frozen=True)
class LandingReport:
    """What a load found: new rows and rejects per table, tables a shop did not bring, columns left out."""

    rows: dict[str, int]
    rejects: dict[str, int]
    absent: dict[str, str]
    ignored_columns: dict[str, tuple[str, ...]]
    first_order_date: date


def load_landing(settings: Settings) -> LandingReport:
    """Load every landing file that is not loaded yet.

    Raises
    ------
    ContractBroken
        If a required table has no file or no rows, a file lacks a required column or cannot be read, or a file's
        rejects pass the table's threshold. That file leaves nothing behind; files before it stay loaded.
    """
    log = get_logger(__name__)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    rows: dict[str, int] = {}
    rejects: dict[str, int] = {}
    ignored: dict[str, tuple[str, ...]] = {}
    with duckdb.connect(str(settings.warehouse)) as db:
        db.execute(SCHEMA)
        db.execute("set TimeZone = 'UTC'")  # what a moment without a zone is in
        for contract in contracts().values():
            db.execute(_landing_table(contract))
            for file in sorted(settings.landing.glob(f"*/{contract.table}/[!.]*")):
                digest = _digest(file)
                if db.execute("select 1 from landing.files where digest = ?", [digest]).fetchone():
                    continue
                _require_unchanged(db, file)
                loaded, rejected, extra = _load_file(db, contract, file, digest)
                rows[contract.table] = rows.get(contract.table, 0) + loaded
                rejects[contract.table] = rejects.get(contract.table, 0) + rejected
                if extra:
                    ignored[contract.table] = extra
                log.info("landing file loaded", file=_short(file), rows=loaded, rejects=rejected)
        absent = _absent(db)
        first_order = db.sql("select min(ordered_at)::date from landing.orders").fetchall()[0][0]
    return LandingReport(rows, rejects, absent, ignored, first_order)


def _absent(db: duckdb.DuckDBPyConnection) -> dict[str, str]:
    absent = {}
    for contract in contracts().values():
        if db.sql(f"select 1 from landing.{contract.table} limit 1").fetchone():
            continue
        if contract.required:
            raise ContractBroken(
                f"the landing folder has no rows for the required table {contract.table!r}; "
                f"put a file with them at <data>/landing/<source>/{contract.table}/"
            )
        absent[contract.table] = contract.switches_on
    return absent


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _require_unchanged(db: duckdb.DuckDBPyConnection, file: Path) -> None:
    if db.execute("select 1 from landing.files where file = ?", [_short(file)]).fetchone():
        raise ContractBroken(
            f"{_short(file)} has changed since it was loaded; landing is append-only: "
            f"restore it and put the new rows into a file with a new name"
        )


def _short(file: Path) -> str:
    return "/".join(file.parts[-3:])


def _landing_table(contract: Contract) -> str:
    columns = ", ".join(f"{column.name} {column.sql_type}" for column in contract.columns)
    return (
        f"create table if not exists landing.{contract.table} "
        f"({columns}, source_file varchar, source_row bigint, load_number bigint)"
    )


def _load_file(
    db: duckdb.DuckDBPyConnection, contract: Contract, file: Path, digest: str
) -> tuple[int, int, tuple[str, ...]]:
    """Load one file in one transaction; return rows, rejects and the names of columns left out."""
    db.execute("begin")
    try:
        extra = _read(db, contract, file)
        arrived_as = {row[0]: row[1].lower() for row in db.sql("describe arrived").fetchall()}
        db.execute(_judge(contract, arrived_as))
        total, kept = db.sql(
            "select count(*), count(*) filter (broken_column is null) from judged"
        ).fetchall()[0]
        if kept < total or any(column.when_broken == "null" for column in contract.columns):
            db.execute(_reject_rows(contract), [file.parts[-3], _short(file)])
        names = ", ".join(column.name for column in contract.columns)
        load_number = db.sql("select coalesce(max(load_number), 0) + 1 from landing.files").fetchall()[0][0]
        db.execute(
            f"insert into landing.{contract.table} "
            f"select {names}, ?, source_row, ? from judged where broken_column is null order by source_row",
            [_short(file), load_number],
        )
        _require_few_rejects(db, contract, file, total, total - kept)
        rejected = db.execute(
            "select count(*) from landing.rejected_rows where file = ?", [_short(file)]
        ).fetchall()[0][0]
        db.execute(
            "insert into landing.files values (?, ?, ?, ?, ?, ?)",
            [digest, _short(file), contract.table, kept, rejected, load_number],
        )
        db.execute("drop table judged")
        db.execute("drop table arrived")
        db.execute("commit")
    except BaseException:
        db.execute("rollback")
        raise
    return kept, rejected, extra


def _read(db: duckdb.DuckDBPyConnection, contract: Contract, file: Path) -> tuple[str, ...]:
    """Read the contract's columns as they are into the table `arrived`; return the columns it does not know."""
    try:
        source, present = _source(db, contract, file)
        for column in contract.columns:
            if column.name not in present and not column.nullable:
                raise ContractBroken(
                    f"{_short(file)} lacks the column {column.name!r} that {contract.table!r} needs; "
                    f"it has {', '.join(present)}"
                )
        chosen = ", ".join(
            column.name if column.name in present else f"null::varchar as {column.name}"
            for column in contract.columns
        )
        db.execute(
            f"create temp table arrived as select {chosen}, row_number() over () as source_row from {source}"
        )
    except (duckdb.Error, UnicodeDecodeError) as error:
        raise ContractBroken(f"{_short(file)} cannot be read: {_fault(error)}") from None
    return tuple(name for name in present if name not in {column.name for column in contract.columns})


def _source(db: duckdb.DuckDBPyConnection, contract: Contract, file: Path) -> tuple[str, list[str]]:
    """Return SQL that reads a file, and the names of its columns in lower case, as SQL compares them."""
    if file.suffix not in READERS:
        raise ContractBroken(f"{_short(file)}: only {', '.join(READERS)} can be read, not {file.suffix!r}")
    path = _quoted(re.sub(r"([*?\[])", r"[\1]", str(file)))  # a name, not a pattern of names
    names = [column.name for column in contract.columns]
    if file.suffix == ".csv":
        with file.open(newline="", encoding="utf-8-sig") as text:
            names = [name.strip().lower() for name in next(csv.reader(text), [])]
        if len(set(names)) < len(names) or not all(names):
            raise ContractBroken(
                f"{_short(file)} has a column without a name, or a name twice, in its first line"
            )
        if not names:
            raise ContractBroken(f"{_short(file)} is empty: not even a line of column names")
    columns = "{" + ", ".join(f"{_quoted(name)}: 'varchar'" for name in names) + "}"
    source = READERS[file.suffix].format(file=path, columns=columns)
    if file.suffix == ".jsonl":
        keys = db.sql(f"select distinct unnest(json_keys(json)) from read_ndjson_objects({path}) order by 1")
        return source, names + [key for (key,) in keys.fetchall() if key not in names]
    return source, [row[0].lower() for row in db.sql(f"describe from {source}").fetchall()]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _fault(error: Exception) -> str:
    """Return what is wrong with a file, without the line of it that DuckDB would show."""
    if isinstance(error, UnicodeDecodeError):
        return "not utf-8 encoded"
    found = CSV_FAULT.search(str(error))
    first = str(error).splitlines()[0].rstrip(". ")
    return without_addresses(f"{first}, {found[0]}" if found else first)


def _judge(contract: Contract, arrived_as: dict[str, str]) -> str:
    """Return SQL that types every row and names the first rule it breaks."""
    values = {
        column.name: _value(column, arrived_as[column.name].replace(",", ", ") == column.sql_type)
        for column in contract.columns
    }
    rules = [(column, sql, reason) for column in contract.columns for sql, reason in _rules(column, values)]
    broken = " ".join(
        f"when {sql} then '{column.name}|{reason}'"
        for column, sql, reason in rules
        if column.when_broken == "reject"
    )
    typed = []
    for column in contract.columns:
        mild = [sql for owner, sql, _ in rules if owner == column and column.when_broken == "null"]
        value = values[column.name]
        if mild:
            value = f"case when not coalesce({' or '.join(mild)}, false) then {value} end"
        typed.append(f"{value} as {column.name}")
    key = ", ".join(contract.key)
    twins = " and ".join(f"judged.{name} = twins.{name}" for name in (*contract.key, "known_at"))
    return f"""
        create temp table judged as
        select * exclude (broken), split_part(broken, '|', 1) as broken_column, split_part(broken, '|', 2) as broken_reason
        from (select {", ".join(typed)}, source_row, case {broken} end as broken from arrived as a);

        update judged
        set broken_column = '{contract.key[0]}', broken_reason = 'duplicate key ({key}) with the same known_at'
        from (
            select {key}, known_at, min(source_row) as first_row
            from judged where broken_column is null group by {key}, known_at having count(*) > 1
        ) as twins
        where {twins} and judged.broken_column is null and judged.source_row > twins.first_row"""


def _text(column: Column) -> str:
    return f"trim(a.{column.name}::varchar)"


def _value(column: Column, is_native: bool) -> str:
    """Return SQL for the typed value, null where the text is none: the column itself where the file has the type."""
    text = f"nullif({_text(column)}, '')"
    if is_native and column.type != "string":
        value = f"a.{column.name}"
    elif column.type == "integer":  # a cast alone would round 1.5
        value = (
            f"try_cast(case when regexp_full_match({text}, '[+-]?[0-9]+([.]0+)?') then {text} end as bigint)"
        )
    elif column.type == "timestamp":  # a cast alone would drop the +02:00 of a moment
        value = f"(try_cast({text} as timestamptz) at time zone 'UTC')"
    else:
        value = f"try_cast({text} as {column.sql_type})"
    if column.type == "timestamp":
        return f"nullif(nullif({value}, timestamp 'infinity'), timestamp '-infinity')"
    return value


def _rules(column: Column, values: dict[str, str]) -> list[tuple[str, str]]:
    """Return (SQL that is true for a broken value, reason in words) for each rule of a column."""
    text, value = _text(column), values[column.name]
    rules = []
    if not column.nullable:
        rules.append((f"a.{column.name} is null or {text} = ''", "is missing"))
    if column.type != "string":
        article = "an" if column.type == "integer" else "a"
        rules.append(
            (f"nullif({text}, '') is not null and {value} is null", f"is not {article} {column.type}")
        )
    if column.at_least is not None:
        rules.append((f"{value} < {column.at_least}", f"is below {column.at_least:g}"))
    if column.at_most is not None:
        rules.append((f"{value} > {column.at_most}", f"is above {column.at_most:g}"))
    if column.one_of:
        allowed = ", ".join(f"''{name}''" for name in column.one_of)
        listed = ", ".join(f"'{name}'" for name in column.one_of)
        rules.append((f"nullif({text}, '') not in ({listed})", f"is none of {allowed}"))
    if column.format == "email":
        rules.append(
            (f"nullif({text}, '') is not null and not regexp_matches({text}, '{EMAIL}')", "is no address")
        )
    if column.not_after:
        rules.append(
            (f"{value} > {values[column.not_after]}", f"lies after {column.not_after}: a date in the future")
        )
    return rules


def _reject_rows(contract: Contract) -> str:
    """Return SQL that writes down broken rows and, for columns that only lose their value, broken values."""
    shown = " ".join(f"when '{column.name}' then {_shown(column)}" for column in contract.columns)
    parts = [
        f"""select broken_column, case broken_column {shown} end, broken_reason, judged.known_at, source_row
        from judged join arrived as a using (source_row) where broken_column is not null"""
    ]
    parts += [
        f"""select '{column.name}', {_shown(column)}, 'is no {column.format or column.name}: value removed, row kept',
            judged.known_at, source_row
        from judged join arrived as a using (source_row)
        where broken_column is null and judged.{column.name} is null and nullif({_text(column)}, '') is not null"""
        for column in contract.columns
        if column.when_broken == "null"
    ]
    return f"""
        insert into landing.rejected_rows
        select $1, $2, source_row, '{contract.table}', column_name, value, reason, known_at
        from ({" union all ".join(parts)}) as broken(column_name, value, reason, known_at, source_row)
        order by source_row"""


def _shown(column: Column) -> str:
    return "'(personal, not shown)'" if column.personal else f"left({_text(column)}, 40)"


def _require_few_rejects(
    db: duckdb.DuckDBPyConnection, contract: Contract, file: Path, total: int, rejected: int
) -> None:
    """Judge the table, not the file: one bad row in a file of three is no reason to stop a shop."""
    have = db.sql(f"select count(*) from landing.{contract.table}").fetchall()[0][0]
    share = rejected / max(have + rejected, 1)
    if share > contract.reject_threshold_share:
        column, reason = db.sql(
            """select broken_column, broken_reason from judged where broken_column is not null
            group by all order by count(*) desc, 1 limit 1"""
        ).fetchall()[0]
        raise ContractBroken(
            f"{_short(file)}: {rejected} of {total} rows break the contract of {contract.table!r}, more than its "
            f"{contract.reject_threshold_share:.0%} allow; most often {column!r} {reason}"
        )
