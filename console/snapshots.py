"""Reads published tables row by row. Nothing is kept between requests, so a new snapshot shows at once."""

from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from core.published import Published

Row = dict[str, Any]


class Snapshots:
    """The published tables, as the pages need them."""

    def __init__(self, published: Published) -> None:
        self._published = published

    def days(self, table: str) -> list[date]:
        """Return the days that have a snapshot, newest first."""
        return self._published.days(table)[::-1]

    def exists(self, table: str, day: date) -> bool:
        return self._published.exists(table, day)

    def rows(
        self, table: str, day: date, *conditions: tuple[str, str, object], columns: list[str] | None = None
    ) -> list[Row]:
        """Return the rows of a day that meet every condition (column, operator, value), in file order.

        A day without a snapshot has no rows: a page shows what there is.
        """
        if not self._published.exists(table, day):
            return []
        # The folder is called as_of_date=…, and the file has that column too: no partition is inferred.
        found = pq.read_table(
            self._published.path(table, day),
            columns=columns,
            filters=list(conditions) or None,
            partitioning=None,
        )
        rows: list[Row] = found.to_pylist()
        return rows

    def numbers(self, table: str, day: date, columns: list[str]) -> dict[str, npt.NDArray[np.float64]]:
        """Return the numeric ones of these columns of a day, without nulls; others are left out."""
        if not self._published.exists(table, day):
            return {}
        with pq.ParquetFile(self._published.path(table, day)) as file:
            schema = file.schema_arrow
            known = [name for name in columns if name in schema.names and _is_number(schema.field(name).type)]
            table_read = file.read(columns=known)
        found = {name: table_read.column(name).drop_null().to_numpy().astype(np.float64) for name in known}
        return {name: values[~np.isnan(values)] for name, values in found.items()}


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))
