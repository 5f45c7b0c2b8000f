"""Landing files: which are there, which are still being written, and how one becomes the table `arrived`.

Reading types nothing and judges nothing: it yields the contract's columns as they stand in the file, each row with its
number, and a table `unreadable` of the lines that are no rows at all.
"""

# names are the contract's and our own; what a file holds is never spliced in

import csv
import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa

from core.errors import ContractBroken
from core.logging import without_addresses
from sources.contract import Contract
from sources.lines import LONGEST_LINE, Fault, json_faults, split_csv

# RFC 4180, not what DuckDB would guess of the first rows: a wrong guess loses rows without a word.
READERS = {
    ".csv": """read_csv({file}, columns = {columns}, auto_detect = false, header = true, delim = ',', quote = '"',
        escape = '"', strict_mode = true, hive_partitioning = false)""",
    ".parquet": "read_parquet({file}, hive_partitioning = false)",
    ".jsonl": """read_json({file}, columns = {columns}, format = 'newline_delimited', ignore_errors = {tolerant},
        hive_partitioning = false)""",
}
UNFINISHED_NAME = re.compile(
    r"[._].*|.*(\.(part|partial|tmp|temp|writing|crdownload|filepart)|~)", re.IGNORECASE
)
SETTLED = timedelta(minutes=1)
"""A file that looks cut off is taken as it is once nobody has touched it for so long."""
CSV_FAULT = re.compile(r"Expected Number of Columns: \d+ Found: \d+|unterminated quote|not utf-8 encoded")


@dataclass(frozen=True)
class Look:
    """What a file looked like from outside, to tell whether it was touched since."""

    size: int
    modified_ns: int


def look(file: Path) -> Look:
    stat = file.stat()
    return Look(stat.st_size, stat.st_mtime_ns)


def landed_files(landing: Path, table: str) -> list[Path]:
    """Return the files of a table, of every source, that do not call themselves unfinished."""
    found = sorted(landing.glob(f"*/{table}/*"))
    return [file for file in found if not UNFINISHED_NAME.fullmatch(file.name)]


def short_name(file: Path) -> str:
    """Return `<source>/<table>/<file name>`."""
    return "/".join(file.parts[-3:])


def why_unfinished(file: Path, now: datetime) -> str:
    """Return why a file counts as still being written; nothing if it does not.

    Whoever writes under a hidden name and renames is never waited for. Else a file without its end is left until
    nobody has touched it for a minute: then it is what its writer meant, or left behind.
    """
    seen = look(file)
    if file.suffix not in READERS or now.timestamp() - seen.modified_ns / 1e9 > SETTLED.total_seconds():
        return ""
    with file.open("rb") as content:
        content.seek(max(seen.size - 4, 0))
        end = content.read(4)
    if file.suffix == ".parquet":
        return "" if end == b"PAR1" else "it has no footer yet"
    if not end:
        return "it is empty" if file.suffix == ".csv" else ""
    return "" if end.endswith(b"\n") else "its last line has no end yet"


def digest_of(file: Path, size: int | None = None) -> str:
    """Return the SHA-256 of a file, or of its first `size` bytes."""
    with file.open("rb") as content:
        if size is None:
            return hashlib.file_digest(content, "sha256").hexdigest()
        found = hashlib.sha256()
        while size and (block := content.read(min(size, 1 << 20))):
            found.update(block)
            size -= len(block)
        return found.hexdigest()


def read_file(
    db: duckdb.DuckDBPyConnection, contract: Contract, file: Path, scratch: Path
) -> tuple[str, ...]:
    """Make the temporary tables `arrived` and `unreadable` of a file; return the columns the contract does not know.

    Raises
    ------
    ContractBroken
        If it is of no kind we read, lacks a column that is never empty, or cannot be read at all.
    """
    if file.suffix not in READERS:
        raise ContractBroken(
            f"{short_name(file)}: only {', '.join(READERS)} can be read, not {file.suffix!r}"
        )
    try:
        names = _header(file) if file.suffix == ".csv" else []
        faults, extra = _read(db, contract, file, names, scratch)
    except (duckdb.Error, UnicodeDecodeError) as error:
        raise ContractBroken(f"{short_name(file)} cannot be read: {_fault(error)}") from None
    _note_unreadable(db, faults)
    return extra


def _header(file: Path) -> list[str]:
    """Return the names in the first line of a CSV file, in lower case, as SQL compares them."""
    with file.open("rb") as content:
        first = content.readline(LONGEST_LINE).decode("utf-8-sig")
    names = [name.strip().lower() for name in next(csv.reader([first]), [])]
    if len(set(names)) < len(names) or not all(names):
        raise ContractBroken(
            f"{short_name(file)} has a column without a name, or a name twice, in its first line"
        )
    if not names:
        raise ContractBroken(f"{short_name(file)} is empty: not even a line of column names")
    return names


def _read(
    db: duckdb.DuckDBPyConnection, contract: Contract, file: Path, names: list[str], scratch: Path
) -> tuple[list[Fault], tuple[str, ...]]:
    """Read a file at one go; where DuckDB refuses it, or may have joined lines, without what cannot be read."""
    if file.suffix == ".parquet":
        return [], _arrive(db, contract, file, _source(db, contract, file, names))
    try:
        extra = _arrive(db, contract, file, _source(db, contract, file, names))
        if file.suffix == ".jsonl" or not _spans_lines(db, contract):
            return [], extra
    except duckdb.Error:
        pass  # what it says is about one line; below, each such line gets its own reason
    db.execute("drop table if exists arrived")
    if file.suffix == ".jsonl":
        return _read_tolerantly(db, contract, file)
    draft = scratch / "readable.csv"
    faults = split_csv(file, draft, len(names))
    extra = _arrive(db, contract, file, _source(db, contract, draft, names))
    draft.unlink()
    _number_rows(db, faults)
    return faults, extra


def _read_tolerantly(
    db: duckdb.DuckDBPyConnection, contract: Contract, file: Path
) -> tuple[list[Fault], tuple[str, ...]]:
    """Read a JSON Lines file of which some lines are no objects: DuckDB then makes empty rows of them."""
    extra = _arrive(db, contract, file, _source(db, contract, file, [], tolerant=True))
    # Of a name that comes twice it would take the first value and say nothing.
    suspects = db.sql(
        f"""select source_row from arrived where coalesce({", ".join(c.name for c in contract.columns)}) is null
        union
        select row from (
            select row_number() over () as row, json_keys(json) as keys
            from read_ndjson_objects({_path(file)}, ignore_errors = true)
        )
        where len(keys) > list_unique(keys)"""
    )
    faults = json_faults(file, {row for (row,) in suspects.fetchall()})
    db.execute(
        "delete from arrived where source_row in (select unnest($1))", [[fault.row for fault in faults]]
    )
    return faults, extra


def _spans_lines(db: duckdb.DuckDBPyConnection, contract: Contract) -> bool:
    """Tell whether a value holds a line end: as it was meant, or because a quote was never closed."""
    breaks = " or ".join(f"contains({column.name}, chr(10))" for column in contract.columns)
    return bool(db.sql(f"select 1 from arrived where {breaks} limit 1").fetchone())


def _arrive(
    db: duckdb.DuckDBPyConnection, contract: Contract, file: Path, readable: tuple[str, dict[str, str]]
) -> tuple[str, ...]:
    """Read a file into the table `arrived`; return the columns left out."""
    source, spelled = readable
    for column in contract.columns:
        if column.name not in spelled and not column.nullable:
            raise ContractBroken(
                f"{short_name(file)} lacks the column {column.name!r} that {contract.table!r} needs; "
                f"it has {', '.join(spelled)}"
            )
    chosen = ", ".join(
        f'"{spelled[column.name]}" as {column.name}'
        if column.name in spelled
        else f"null::varchar as {column.name}"
        for column in contract.columns
    )
    db.execute(
        f"create temp table arrived as select {chosen}, row_number() over () as source_row from {source}"
    )
    return tuple(name for name in spelled if name not in {column.name for column in contract.columns})


def _source(
    db: duckdb.DuckDBPyConnection,
    contract: Contract,
    content: Path,
    names: list[str],
    *,
    tolerant: bool = False,
) -> tuple[str, dict[str, str]]:
    """Return SQL that reads a file, and its columns: in lower case, as SQL compares them, and as they are spelled."""
    path = _path(content)
    if content.suffix == ".jsonl":
        keys = db.sql(
            f"""select distinct unnest(json_keys(json))
            from read_ndjson_objects({path}, ignore_errors = {tolerant}) order by 1"""
        ).fetchall()
        spelled = {key.lower(): key for (key,) in keys}
        if len(spelled) < len(keys):
            raise ContractBroken(f"{short_name(content)} spells the name of a column in two ways")
        spelled = {column.name: column.name for column in contract.columns} | spelled
        names = [spelled[column.name] for column in contract.columns]
    columns = "{" + ", ".join(f"{_quoted(name)}: 'varchar'" for name in names) + "}"
    source = READERS[content.suffix].format(file=path, columns=columns, tolerant=tolerant)
    if content.suffix != ".jsonl":
        spelled = {row[0].lower(): row[0] for row in db.sql(f"describe from {source}").fetchall()}
    return source, spelled


def _path(file: Path) -> str:
    """Return SQL for the name of a file; to DuckDB it would be a pattern of names."""
    return _quoted(re.sub(r"([*?\[])", r"[\1]", str(file)))


def _number_rows(db: duckdb.DuckDBPyConnection, faults: list[Fault]) -> None:
    """Give the rows of a draft the numbers they have in the file, from which `faults` were left out."""
    # Before the n-th fault, in row r of the file, stand r - n rows of the draft.
    skipped = {fault.row - number: number for number, fault in enumerate(faults, 1)}
    if not skipped:
        return
    gaps = pa.table({"draft_row": list(skipped), "skipped": list(skipped.values())})
    db.register("gaps", gaps)
    db.execute(
        "create temp table numbered as select arrived.* replace (source_row + coalesce(skipped, 0) as source_row) "
        "from arrived asof left join gaps on arrived.source_row > gaps.draft_row order by source_row"
    )
    db.unregister("gaps")
    db.execute("drop table arrived; alter table numbered rename to arrived")


def _note_unreadable(db: duckdb.DuckDBPyConnection, faults: list[Fault]) -> None:
    noted = pa.table(
        {
            "source_row": pa.array([fault.row for fault in faults], pa.int64()),
            "reason": pa.array([fault.reason for fault in faults], pa.string()),
            "line": pa.array([fault.text[:1000] for fault in faults], pa.string()),
        }
    )
    db.register("noted", noted)
    db.execute("create temp table unreadable as from noted")
    db.unregister("noted")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _fault(error: Exception) -> str:
    """Return what is wrong with a file, without the line of it that DuckDB would show."""
    if isinstance(error, UnicodeDecodeError):
        return "not utf-8 encoded"
    found = CSV_FAULT.search(str(error))
    first = str(error).splitlines()[0].rstrip(". ")
    return without_addresses(f"{first}, {found[0]}" if found else first)
