"""Looks at a shop through its mapping and says in plain words what is missing, what is wrong, what stays switched off."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from core.errors import ContractBroken
from core.settings import Settings
from sources.arrivals import Batch, alone, in_order
from sources.contract import Column, contracts
from sources.mapping import Table
from sources.rules import quoted
from sources.shop_import import Shop, database_batches, file_batch, files_of, land, require_columns, zoned
from sources.verdicts import Fault, Verdicts


@dataclass
class CheckReport:
    """What a look at a shop found. `is_ready` is false while an import would be refused."""

    is_ready: bool = True
    rows: dict[str, int] = field(default_factory=dict)
    """Rows that were looked at, per table."""
    missing: list[str] = field(default_factory=list)
    """Without it nothing can be imported."""
    wrong: list[str] = field(default_factory=list)
    """Rows or values that would be rejected, with how often, where, and an example."""
    off: list[str] = field(default_factory=list)
    """What stays switched off for want of a table."""
    notes: list[str] = field(default_factory=list)
    """What is left empty or worked out."""

    def lack(self, what: str) -> None:
        self.missing.append(what)
        self.is_ready = False


def check_shop(settings: Settings, shop: Shop, *, rows: int) -> CheckReport:
    """Map the first rows of each file into a throw-away folder, and judge them by the contract.

    Nothing is landed.

    Parameters
    ----------
    rows
        How many rows of each file to look at. Whether orders name customers that exist, and the like, can only be said
        where every file was read to its end.
    """
    report = CheckReport()
    verdicts = Verdicts(refuses=False)
    with tempfile.TemporaryDirectory(prefix="lapwing-check-") as folder:
        source = Path(folder) / shop.source
        with alone(source), _batches(settings, shop, source, rows, report) as batches:
            for name in in_order(list(batches)):
                _land(source, batches[name], verdicts, report)
        _report_faults(verdicts, report)
        if all(count < rows for count in report.rows.values()):
            _report_strangers(source, report)
    _report_absent(shop, batches, report)
    return report


@contextmanager
def _batches(
    settings: Settings, shop: Shop, source: Path, rows: int, report: CheckReport
) -> Iterator[dict[str, list[Batch]]]:
    """Yield the batches of each table; what cannot be one is reported."""
    found: dict[str, list[Batch]] = {}
    if shop.mapping.shopify is not None:
        from sources.shopify import shopify_batches

        try:
            exports = shopify_batches(shop.folder, shop.mapping.shopify, shop.mapping.time_zone, limit=rows)
            found = {batch.contract.table: [batch] for batch in exports}
        except ContractBroken as error:
            report.lack(str(error))
    for name, table in shop.mapping.tables.items():
        found[name] = []
        try:
            require_columns(contracts()[name], table)
            whole = zoned(shop.mapping, table)
            found[name] = [
                file_batch(name, path, whole, limit=rows) for path in files_of(shop.folder, name, table.files)
            ]
        except ContractBroken as error:
            report.lack(str(error))
    if not any(table.table for table in shop.mapping.tables.values()):
        yield found
        return
    from sources.database import pulled

    with pulled(settings, shop.mapping, source, limit=rows) as files:
        for batch in database_batches(shop.mapping, files):
            found[batch.contract.table].append(batch)
        yield found


def _land(source: Path, batches: list[Batch], verdicts: Verdicts, report: CheckReport) -> None:
    try:
        for name, counts in land(source, batches, verdicts).items():
            report.rows[name] = counts.rows
            if counts.left_out:
                report.notes.append(
                    f"{name}: {counts.left_out} rows are left out, because the mapping says so"
                )
    except ContractBroken as error:
        report.lack(str(error))


def _report_faults(verdicts: Verdicts, report: CheckReport) -> None:
    report.wrong += [_in_words(fault, verdicts.rows[fault.table]) for fault in verdicts.faults]
    for name in verdicts.rows:
        if refusal := verdicts.refusal(contracts()[name]):
            report.wrong.append(refusal)
            report.is_ready = False


def _in_words(fault: Fault, rows: int) -> str:
    places = ", ".join(map(str, fault.rows)) + (", …" if fault.count > len(fault.rows) else "")
    example = f"; for example {fault.value!r}" if fault.value and "personal" not in fault.value else ""
    what = "a line" if fault.column == "(line)" else fault.column
    end = "; only the value is lost, the row stays" if fault.is_mild else ""
    return f"{fault.table}: {fault.count} of {rows} rows: {what} {fault.reason} ({fault.file}, row {places}{example}){end}"


def _report_strangers(source: Path, report: CheckReport) -> None:
    """Count rows that name a customer, an order or a product that the shop does not bring."""
    with duckdb.connect() as db:
        for name in report.rows:
            for column in contracts()[name].columns:
                there, _, key = column.references.partition(".")
                mine, theirs = source / name, source / there
                if not there or there not in report.rows or not list(mine.glob("*.parquet")):
                    continue
                count, example = db.sql(_strangers(column, mine, theirs, key)).fetchall()[0]
                if count:
                    report.wrong.append(
                        f"{name}: {count} rows name a {column.name} that {there} does not have (for example {example!r}); "
                        "they are set aside when features are built"
                    )


def _strangers(column: Column, mine: Path, theirs: Path, key: str) -> str:
    # A line that could not be taken apart has no moment either; it is counted as what it is.
    known = f"select {key} as value from read_parquet({quoted(str(theirs / '*.parquet'))})"
    return f"""
        select count(*), min(mine.{column.name}) from read_parquet({quoted(str(mine / "*.parquet"))}) as mine
        anti join ({known}) as known on mine.{column.name} = known.value
        where mine.{column.name} is not null and try_cast(mine.known_at as timestamp) is not null"""


def _report_absent(shop: Shop, batches: dict[str, list[Batch]], report: CheckReport) -> None:
    for name, contract in contracts().items():
        if name in batches:
            table = shop.mapping.tables.get(name)
            if table is not None:
                _report_unmapped(name, table, report)
        elif contract.required:
            report.lack(
                f"{name}: the mapping has no such table, and nothing works without it. {contract.description}"
            )
        elif name != "mail_events":  # our own tracking brings them
            report.off.append(f"no {name}: {contract.switches_on}")
    if any("known_at" not in table.columns for table in shop.mapping.tables.values()):
        report.notes.append(
            "known_at is not mapped everywhere: when a row was known is worked out, as docs/bring_your_own_shop.md tells"
        )


def _report_unmapped(name: str, table: Table, report: CheckReport) -> None:
    empty = [
        column.name
        for column in contracts()[name].columns
        if column.nullable and column.name not in table.columns
    ]
    if empty:
        report.notes.append(f"{name}: nothing is mapped to {', '.join(empty)}; they stay empty")
