"""What a gate is given to judge."""

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import great_expectations.expectations as gxe
    import pandas as pd

    from expectations.measures import Bound, Measurement


@dataclass(frozen=True)
class Audit:
    """A table of rows, and the expectations that must hold of it.

    `measured` and `bounds` are set where the rows are measurements: the page then shows each with its value.
    `remarks` say what could not be checked; `compared_with` are the days whose snapshots were read.
    """

    rows: "pd.DataFrame"
    expectations: "list[gxe.Expectation]"
    measured: "tuple[Measurement, ...]" = ()
    bounds: "tuple[Bound, ...]" = ()
    remarks: tuple[str, ...] = ()
    compared_with: tuple[date, ...] = ()
