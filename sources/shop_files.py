"""Reads a shop's file as it is: every cell as text, every line that cannot be taken apart set aside with its reason."""

import codecs
import csv
import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from core.errors import ContractBroken
from sources.cells import ShopColumn, identifier
from sources.mapping import Table
from sources.rules import quoted

LONGEST_LINE = 16 * 1024 * 1024
CHUNK = 1024 * 1024
FAULTS = {
    "MISSING COLUMNS": "has too few values",
    "TOO MANY COLUMNS": "has too many values",
    "INVALID ENCODING": "is not utf-8 encoded",
    "LINE SIZE OVER MAXIMUM": "is too long",
}
UTF8 = {"utf-8", "utf8", "utf-8-sig"}


@dataclass(frozen=True)
class ShopFile:
    """A file of the shop, opened: its columns by name; the relation `shop` holds them and `source_row`.

    `unreadable` is how many lines could not be taken apart; they are the rows of the relation `unreadable`
    (`source_row`, `fault`), behind the good ones.
    """

    columns: dict[str, ShopColumn]
    unreadable: int


def form_of(path: Path, table: Table) -> str:
    """Return csv, parquet or jsonl: what the mapping says, else what the name ends in."""
    if table.format:
        return table.format
    endings = {".parquet": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl"}
    return endings.get(path.suffix.lower(), "csv")


def digest_of(path: Path, *words: str) -> str:
    """Return a name for a file's bytes, read in a certain way."""
    with path.open("rb") as content:
        found = hashlib.file_digest(content, "sha256")
    for word in words:
        found.update(b"\0" + word.encode())
    return found.hexdigest()[:16]


@contextmanager
def opened(
    db: duckdb.DuckDBPyConnection, path: Path, table: Table, *, limit: int | None = None
) -> Iterator[ShopFile]:
    """Read a file into the temporary tables `shop` and `unreadable` of a database.

    Parameters
    ----------
    limit
        Read only the first so many rows, for a look.

    Raises
    ------
    ContractBroken
        If the file as a whole cannot be read: no header, another encoding, a quote that is never closed.
    """
    form = form_of(path, table)
    rows = f" limit {limit}" if limit else ""
    with tempfile.TemporaryDirectory(prefix="lapwing-shop-") as folder:
        readable = path if form == "parquet" else _in_utf8(path, table.encoding, Path(folder))
        try:
            db.execute("create or replace temp table unreadable (source_row bigint, fault varchar)")
            if form == "parquet":
                columns = _open_parquet(db, readable, rows)
            elif form == "jsonl":
                columns = _open_jsonl(db, readable, rows)
            else:
                columns = _open_csv(db, readable, table, rows, path.name)
            unreadable = db.sql("select count(*) from unreadable").fetchall()[0][0]
        except duckdb.Error as error:
            raise ContractBroken(f"{path.name} cannot be read as {form}: {_first_line(error)}") from None
        yield ShopFile(columns, unreadable)


def header_of(path: Path, table: Table) -> list[str]:
    """Return the names in the first line of a CSV file."""
    try:
        with path.open(newline="", encoding=_with_mark(table.encoding)) as text:
            names = [name.strip() for name in next(csv.reader(text, delimiter=table.delimiter), [])]
    except (UnicodeDecodeError, LookupError) as error:
        raise _not_encoded(path.name, table.encoding, error) from None
    if not any(names):
        raise ContractBroken(f"{path.name} is empty: not even a line of column names")
    twins = {name for name in names if names.count(name) > 1 and name}
    if twins:
        raise ContractBroken(f"{path.name} has the column {min(twins)!r} twice in its first line")
    return names


def _open_csv(
    db: duckdb.DuckDBPyConnection, path: Path, table: Table, rows: str, shown: str
) -> dict[str, ShopColumn]:
    """Read by position: names that differ only in case are two columns of a shop and one of SQL."""
    names = header_of(path, table.model_copy(update={"encoding": "utf-8"}))
    places = {f"c{place}": name for place, name in enumerate(names)}
    types = "{" + ", ".join(f"'{place}': 'varchar'" for place in places) + "}"
    db.execute("drop table if exists csv_faults; drop table if exists csv_scans")
    db.execute(
        f"""create or replace temp table shop as
        select *, row_number() over () as source_row
        from read_csv({quoted(str(path))}, columns = {types}, auto_detect = false, header = true,
            delim = {quoted(table.delimiter)}, quote = '"', escape = '"', strict_mode = true,
            max_line_size = {LONGEST_LINE}, store_rejects = true, rejects_table = 'csv_faults',
            rejects_scan = 'csv_scans', rejects_limit = 0){rows}"""
    )
    for line, kind in db.sql("select line, error_type from csv_faults order by line").fetchall():
        if kind not in FAULTS:
            raise ContractBroken(
                f"{shown} line {line}: a quote is opened and never closed, so what follows cannot be told apart"
            )
    words = " ".join(f"when {quoted(kind)} then {quoted(said)}" for kind, said in FAULTS.items())
    db.execute(
        f"""insert into unreadable
        select line - 1, 'line ' || line || ': ' || case any_value(error_type) {words} end
        from csv_faults group by line order by line"""
    )
    db.execute("drop table csv_faults; drop table csv_scans")
    if db.sql("select 1 from unreadable limit 1").fetchone():
        _count_unreadable(db)
    return {name: ShopColumn(place) for place, name in places.items() if name}


def _count_unreadable(db: duckdb.DuckDBPyConnection) -> None:
    """Number the readable rows as the file does, unreadable lines included."""
    db.execute(
        """update shop set source_row = source_row + (
            select count(*) from (
                select source_row - row_number() over (order by source_row) as readable_before from unreadable
            ) where readable_before < shop.source_row)"""
    )


def _open_jsonl(db: duckdb.DuckDBPyConnection, path: Path, rows: str) -> dict[str, ShopColumn]:
    """Read line by line: one line that is no object does not spoil the others."""
    db.execute(
        f"""create or replace temp table shop as
        select line, row_number() over () as source_row
        from read_csv({quoted(str(path))}, columns = {{'line': 'varchar'}}, auto_detect = false, header = false,
            delim = '\x01', quote = '', escape = '', max_line_size = {LONGEST_LINE}){rows}"""
    )
    is_object = "json_valid(line) and json_type(case when json_valid(line) then line end) = 'OBJECT'"
    db.execute(
        f"""insert into unreadable
        select source_row, 'line ' || source_row || ': is no JSON object' from shop where not ({is_object});
        delete from shop where not ({is_object})"""
    )
    keys = db.sql("select distinct unnest(json_keys(line)) from shop order by 1").fetchall()
    return {
        key: ShopColumn(f"line ->> {quoted('$.' + json.dumps(key, ensure_ascii=False))}") for (key,) in keys
    }


def _open_parquet(db: duckdb.DuckDBPyConnection, path: Path, rows: str) -> dict[str, ShopColumn]:
    db.execute(
        f"""create or replace temp table shop as
        select *, row_number() over () as source_row
        from read_parquet({quoted(str(path))}, hive_partitioning = false){rows}"""
    )
    described = db.sql("describe shop").fetchall()
    return {row[0]: ShopColumn(identifier(row[0]), row[1]) for row in described if row[0] != "source_row"}


def _in_utf8(path: Path, encoding: str, folder: Path) -> Path:
    """Return the file, or a copy of it in UTF-8 where it is written otherwise."""
    if encoding.lower() in UTF8:
        return path
    copy = folder / "shop"
    try:
        with path.open("rb") as source, copy.open("w", encoding="utf-8", newline="") as target:
            decoder = codecs.getincrementaldecoder(encoding)()
            while chunk := source.read(CHUNK):
                target.write(decoder.decode(chunk))
            target.write(decoder.decode(b"", final=True))
    except (UnicodeDecodeError, LookupError) as error:
        raise _not_encoded(path.name, encoding, error) from None
    return copy


def _with_mark(encoding: str) -> str:
    return "utf-8-sig" if encoding.lower() in UTF8 else encoding


def _not_encoded(name: str, encoding: str, error: Exception) -> ContractBroken:
    if isinstance(error, LookupError):
        return ContractBroken(
            f"no encoding is called {encoding!r}; common ones are utf-8, windows-1252 and utf-16"
        )
    return ContractBroken(f"{name} is not written in {encoding}; say `encoding: windows-1252` or what it is")


def _first_line(error: Exception) -> str:
    """Return what is wrong without the line of the file that DuckDB would show, which may hold an address."""
    return str(error).splitlines()[0].rstrip(". ")
