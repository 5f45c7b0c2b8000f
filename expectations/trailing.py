"""The days before a day that are published: what a new one is compared with."""

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pyarrow.parquet as pq

from core.published import Published

TRAILING_DAYS = 28  # four weeks: each weekday four times, so that a Monday is not judged by Sundays


@dataclass(frozen=True)
class Snapshot:
    """A published day of a table: its file, its number of rows, and its columns."""

    day: date
    file: Path
    rows: int
    columns: frozenset[str]


def trailing(published: Published, table: str, as_of: date) -> list[Snapshot]:
    """Return the snapshots of the four weeks before a day, oldest first; the day itself is not among them."""
    first = as_of - timedelta(days=TRAILING_DAYS)
    return [
        _snapshot(day, published.path(table, day)) for day in published.days(table) if first <= day < as_of
    ]


def _snapshot(day: date, file: Path) -> Snapshot:
    with pq.ParquetFile(file) as parquet:
        return Snapshot(day, file, parquet.metadata.num_rows, frozenset(parquet.schema_arrow.names))
