"""Measured numbers of a candidate, one row each, and the bounds that Great Expectations holds them to.

Millions of rows by dozens of columns are too much for it: DuckDB measures them, and it judges what was measured.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import great_expectations.expectations as gxe
import pandas as pd
from great_expectations.expectations.metadata_types import FailureSeverity
from great_expectations.expectations.row_conditions import Column

CRITICAL, WARNING = FailureSeverity.CRITICAL, FailureSeverity.WARNING
INDEX = ["measure", "column_name", "value"]


@dataclass(frozen=True)
class Measurement:
    """One number: what was measured, of which column (or of the table), how much it is, and rows it is about."""

    measure: str
    column_name: str
    value: float | None
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bound:
    """What a measure may be, ends included; None: as much or as little as it likes.

    `columns` are the only ones it is asked of; empty: all.
    """

    measure: str
    severity: FailureSeverity
    least: float | None = None
    most: float | None = None
    columns: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """What is allowed, as a reader of the page sees it."""
        least, most = (None if end is None else f"{end:g}" for end in (self.least, self.most))
        if least is None:
            return f"at most {most}"
        if most is None:
            return f"at least {least}"
        return least if least == most else f"{least} to {most}"

    def asks(self, found: Measurement) -> bool:
        """Say whether this bound is about a measurement."""
        return found.measure == self.measure and (not self.columns or found.column_name in self.columns)


def frame(measurements: Sequence[Measurement]) -> pd.DataFrame:
    """Return the measurements as the table that is judged."""
    rows = [(each.measure, each.column_name, each.value) for each in measurements]
    table = pd.DataFrame(rows, columns=INDEX)
    return table.astype({"measure": "str", "column_name": "str", "value": "float64"})


def expectations(bounds: Sequence[Bound], always: Sequence[str]) -> list[gxe.Expectation]:
    """Return one expectation for each bound; the measures in `always` must be there, and every one be a number."""
    return [
        gxe.ExpectColumnDistinctValuesToContainSet(
            column="measure", value_set=list(always), severity=CRITICAL
        ),
        gxe.ExpectColumnValuesToNotBeNull(column="value", severity=CRITICAL),
        *(_expectation(bound) for bound in bounds),
    ]


def _expectation(bound: Bound) -> gxe.Expectation:
    measure = Column("measure") == bound.measure
    condition = measure & Column("column_name").is_in(list(bound.columns)) if bound.columns else measure
    return gxe.ExpectColumnValuesToBeBetween(
        column="value",
        min_value=bound.least,
        max_value=bound.most,
        row_condition=condition,
        severity=bound.severity,
        meta={"allowed": bound.words},
    )
