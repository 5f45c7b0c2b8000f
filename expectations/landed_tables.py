"""What must hold of `landed_tables` before a day is published: every table a shop brings is as fresh as its contract says.

The contract also says how bad it is: a table with `stops_after_days` stops the day, of any other a mail may go out.
"""

from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from core.published import Published
from expectations.audit import Audit
from expectations.measures import CRITICAL, WARNING, Bound, Measurement, expectations, frame

STALE, OTHER_DAY = "days since the newest row", "rows of another day"
ALWAYS = (STALE, OTHER_DAY)


def audit(candidate: Path, published: Published, as_of: date) -> Audit:
    """Return how old the newest row of each table is; a table that is not brought, and need not be, is only named."""
    rows = pq.ParquetFile(candidate).read().to_pylist()
    measured = (
        Measurement(OTHER_DAY, "the table", float(sum(row["as_of_date"] != as_of for row in rows))),
        *(_measured(row) for row in rows if row["is_required"] or row["stale_days"] is not None),
    )
    bounds = (Bound(OTHER_DAY, CRITICAL, most=0), *(bound for row in rows for bound in _bounds(row)))
    absent = [row["table_name"] for row in rows if not row["is_required"] and row["stale_days"] is None]
    return Audit(
        rows=frame(measured),
        expectations=expectations(bounds, ALWAYS),
        measured=measured,
        bounds=bounds,
        remarks=(f"Without a row, so not checked: {', '.join(absent)}.",) if absent else (),
    )


def _measured(row: dict[str, Any]) -> Measurement:
    days = row["stale_days"]  # without a row of a required table there is no value, and that is critical
    return Measurement(STALE, row["table_name"], None if days is None else float(days))


def _bounds(row: dict[str, Any]) -> list[Bound]:
    found = [(row["freshness_days"], WARNING), (row["stops_after_days"], CRITICAL)]
    return [
        Bound(STALE, severity, most=days, columns=(row["table_name"],))
        for days, severity in found
        if days is not None
    ]
