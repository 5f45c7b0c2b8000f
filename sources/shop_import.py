"""Imports a shop by its mapping: finds its files, maps them into the words of the contract, lands what is new."""

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import duckdb

from core.errors import ContractBroken
from core.settings import Settings
from sources.arrivals import Batch, Counts, alone, has_landed, in_order, release, target_of, write_draft
from sources.cells import ShopColumn, cell
from sources.contract import Contract, contracts
from sources.mapping import Mapping, Rule, Table, load_mapping
from sources.rules import quoted
from sources.shop_files import digest_of, opened
from sources.verdicts import Verdicts


@dataclass(frozen=True)
class Shop:
    """A mapping and the folder its file names start from."""

    mapping: Mapping
    folder: Path

    @property
    def source(self) -> str:
        return self.mapping.source


def open_shop(path: Path) -> Shop:
    """Read a mapping file; its file names are relative to the folder it lies in."""
    return Shop(load_mapping(path), path.resolve().parent)


def import_shop(settings: Settings, shop: Shop) -> dict[str, Counts]:
    """Land what a shop brings that is not landed yet; return what became of the rows of each table.

    Raises
    ------
    ContractBroken
        If a file is missing or cannot be read, a required column is not mapped, or more rows of a table break the
        contract than it allows. Nothing of that table is landed; tables before it stay landed.
    """
    source = settings.landing / shop.source
    with alone(source):
        batches = batches_of(shop)
        if not any(table.table for table in shop.mapping.tables.values()):
            return land(source, batches, Verdicts())
        from sources.database import pulled

        with pulled(settings, shop.mapping, source) as files:
            return land(source, batches + database_batches(shop.mapping, files), Verdicts())


def land(source: Path, batches: Iterable[Batch], verdicts: Verdicts) -> dict[str, Counts]:
    """Land batches, a table at a time, orders first: all files of a table or none of them.

    Parameters
    ----------
    source
        The folder of the source's landing files, which nobody else writes meanwhile (`arrivals.alone`).
    verdicts
        Takes note of what breaks the contract, and may refuse a table.
    """
    by_table: dict[str, list[Batch]] = {}
    for batch in batches:
        by_table.setdefault(batch.contract.table, []).append(batch)
    counts = {name: Counts() for name in in_order(list(by_table))}
    with closing(duckdb.connect()) as db:
        db.execute("set TimeZone = 'UTC'")
        db.execute(f"set temp_directory = {quoted(str(source / '.spill'))}")
        for name, found in counts.items():
            target = target_of(db, source, by_table[name][0].contract)
            for batch in by_table[name]:
                if not has_landed(target, batch):
                    write_draft(db, target, batch, found)
                    verdicts.look(db, batch)
            verdicts.decide(target)  # drafts of a refused table are removed when the next import begins
            release(target)
    return counts


def batches_of(shop: Shop, *, limit: int | None = None) -> list[Batch]:
    """Return what a shop's files hold, a batch per file and table, in the order of their names.

    Raises
    ------
    ContractBroken
        If a table has no file, or a required column is not mapped.
    """
    if shop.mapping.shopify is not None:
        from sources.shopify import shopify_batches

        return shopify_batches(shop.folder, shop.mapping.shopify, shop.mapping.time_zone, limit=limit)
    found = []
    for name, table in shop.mapping.tables.items():
        require_columns(contracts()[name], table)
        for path in files_of(shop.folder, name, table.files):
            found.append(file_batch(name, path, zoned(shop.mapping, table), limit=limit))
    return found


def database_batches(mapping: Mapping, files: dict[str, list[Path]]) -> list[Batch]:
    """Return what was pulled from a database, a batch per table and file."""
    found = []
    for name, paths in files.items():
        table = mapping.tables[name].model_copy(update={"format": "parquet"})
        require_columns(contracts()[name], table)
        found += [file_batch(name, path, zoned(mapping, table)) for path in paths]
    return found


def file_batch(name: str, path: Path, table: Table, *, limit: int | None = None) -> Batch:
    """Return the batch of one file."""
    contract = contracts()[name]
    volatile = frozenset(column for column, rule in table.columns.items() if rule.file_time)
    return Batch(
        contract=contract,
        name=path.name,
        digest=digest_of(path, table.model_dump_json(exclude={"files"})),
        file_time=file_time(path),
        fill=partial(fill_mapped, contract=contract, path=path, table=table, limit=limit),
        volatile=volatile,
    )


def file_time(path: Path) -> datetime:
    """Return when a file was last changed, in UTC, as the warehouse keeps moments."""
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).replace(tzinfo=None, microsecond=0)


def files_of(folder: Path, name: str, patterns: Iterable[str]) -> list[Path]:
    """Return the files a mapping means, by name."""
    found: set[Path] = set()
    for pattern in patterns:
        root = Path(pattern)
        base, inner = (
            (Path(root.anchor), str(root.relative_to(root.anchor)))
            if root.is_absolute()
            else (folder, pattern)
        )
        matching = {path for path in base.glob(inner) if path.is_file()}
        if not matching:
            raise ContractBroken(
                f"{name}: no file is called {pattern!r} in {folder.name}/, beside the mapping"
            )
        found |= matching
    return sorted(found)


def require_columns(contract: Contract, table: Table) -> None:
    """Refuse a mapping that leaves out what every row must have; `known_at` is worked out where it is left out."""
    for column in contract.columns:
        if not column.nullable and column.name not in table.columns and column.name != "known_at":
            raise ContractBroken(
                f"the mapping of {contract.table!r} lacks {column.name!r}: {column.meaning} Each row needs one"
            )


def fill_mapped(
    db: duckdb.DuckDBPyConnection, *, contract: Contract, path: Path, table: Table, limit: int | None
) -> int:
    """Make the table `mapped` of a file: the contract's columns as text, in the contract's words.

    Return how many rows are left out, because the mapping says so.

    Raises
    ------
    ContractBroken
        If the file cannot be read, or lacks a column that the mapping names.
    """
    moment = f"timestamp '{file_time(path)}'"
    with opened(db, path, table, limit=limit) as file:
        _require_mapped(contract, path, table, file.columns)
        cells = []
        for column in contract.columns:
            rule = table.columns.get(column.name)
            if rule is None:
                cells.append(f"null::varchar as {column.name}")
            elif rule.file_time:
                cells.append(f"{moment}::varchar as {column.name}")
            else:
                cells.append(f"{cell(column, rule, table, file.columns)} as {column.name}")
        first = f"qualify row_number() over (partition by {', '.join(contract.key)} order by source_row) = 1"
        db.execute(
            f"""create or replace temp table mapped as
            select * from (select {", ".join(cells)}, source_row from shop {_only(table, file.columns)})
            {first if table.repeats else ""}"""
        )
        left_out: int = db.sql(
            "select (select count(*) from shop) - (select count(*) from mapped)"
        ).fetchall()[0][0]
    return left_out


def _only(table: Table, shop: dict[str, ShopColumn]) -> str:
    from sources.rules import quoted

    wanted = [
        f"{shop[name].text} in ({', '.join(quoted(word) for word in words)})"
        for name, words in table.only.items()
    ]
    return f"where {' and '.join(wanted)}" if wanted else ""


def _require_mapped(contract: Contract, path: Path, table: Table, there: dict[str, ShopColumn]) -> None:
    for name in named_columns(table):
        if name not in there:
            rules = table.columns.items()
            wanted = [column for column, rule in rules if name in (rule.column, rule.position_in, rule.times)]
            raise ContractBroken(
                f"{contract.table}: {path.name} has no column {name!r}, which the mapping names for "
                f"{', '.join(wanted) or 'only'}; it has {', '.join(there)}"
            )


def named_columns(table: Table) -> list[str]:
    """Return the columns of the shop that a mapping names, each once."""
    rules: Iterable[Rule] = table.columns.values()
    names = [name for rule in rules for name in (rule.column, rule.position_in, rule.times) if name]
    return list(dict.fromkeys([*names, *table.only]))


def zoned(mapping: Mapping, table: Table) -> Table:
    """Return the table with the zone in which its moments are, if they name none."""
    return table.model_copy(update={"time_zone": table.time_zone or mapping.time_zone})
