"""Which columns of `customer_features` say how alike two customers are, and the rule for each value.

The table grows, and groups of its columns are empty where a shop lacks the source, so the columns are chosen by rule:

- Numbers and yes/no columns take part. Identifiers, days and texts do not; nor do hours, weekdays and months: they
  lie on a circle, where 23 is next to 0, and the shares of mornings, evenings and weekends say the same.
- A column known for fewer than half of the customers, or the same for everybody, is left out, and the run says so.
- Amounts, counts, days, lines and ratios are skewed: they are seen as log(1 + x), below 0 as -log(1 - x).
- A value that is missing or infinite counts as the column's median over those who have one, as of the training: where
  nothing is known of a customer, nothing sets him apart. The median is kept in the model, so that a column that falls
  empty later moves nobody but those who had a value.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.types as kinds

from core.errors import ContractBroken
from ml.tables import CUSTOMER_FEATURES

Floats = npt.NDArray[np.float64]

IDENTIFIER = "_id"
ON_A_CIRCLE = ("_hour", "_weekday", "_month")
SKEWED = ("_cents", "_count", "_days", "_lines", "_ratio")
LEAST_KNOWN = 0.5


def measures(table: pa.Table) -> list[str]:
    """Return the columns that could take part by their type and name, in the order of the table."""
    return [
        field.name
        for field in table.schema
        if _is_number(field.type) and not field.name.endswith((IDENTIFIER, *ON_A_CIRCLE))
    ]


def usable(table: pa.Table) -> tuple[list[str], dict[str, str]]:
    """Return the columns that take part, and those that could and do not, each with the reason."""
    names, left_out = [], {}
    for name in measures(table):
        known = _column(table, name)
        known = known[np.isfinite(known)]
        if not len(known):
            left_out[name] = "empty for everybody"
        elif len(known) < LEAST_KNOWN * len(table):
            left_out[name] = f"known for {len(known)} of {len(table)} customers, fewer than half"
        elif known.min() == known.max():
            left_out[name] = "the same for everybody"
        else:
            names.append(name)
    return names, left_out


def feature_frame(table: pa.Table, names: Sequence[str], *, or_empty: bool = False) -> pd.DataFrame:
    """Return columns of a published table as float64; what is missing is NaN (with `or_empty`, whole columns too).

    Raises
    ------
    ContractBroken
        If the table lacks one of them.
    """
    gone = [name for name in names if name not in table.column_names]
    if gone and not or_empty:
        raise ContractBroken(
            f"{CUSTOMER_FEATURES} has no column '{gone[0]}', which the segments' model reads ({len(gone)} of "
            f"{len(names)} are gone); bring it back, or train the segments again and promote what comes"
        )
    empty = np.full(len(table), np.nan)
    return pd.DataFrame({name: empty if name in gone else _column(table, name) for name in names})


def as_seen(values: Floats, is_skewed: npt.NDArray[np.bool_]) -> Floats:
    """Return values as the model sees them: skewed columns by logarithm, what is not finite as NaN.

    >>> as_seen(np.array([[0.0, 0.5], [np.e - 1, np.inf]]), np.array([True, False])).tolist()
    [[0.0, 0.5], [1.0, nan]]
    """
    known = np.where(np.isfinite(values), values, np.nan)
    return np.where(is_skewed, np.sign(known) * np.log1p(np.abs(known)), known)


def skewed(names: Sequence[str]) -> npt.NDArray[np.bool_]:
    return np.array([name.endswith(SKEWED) for name in names], dtype=np.bool_)


def _is_number(kind: pa.DataType) -> bool:
    return bool(
        kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_decimal(kind) or kinds.is_boolean(kind)
    )


def _column(table: pa.Table, name: str) -> Floats:
    column = table.column(name)
    if kinds.is_boolean(column.type):
        column = column.cast(pa.uint8())
    found: Floats = np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)
    return found
