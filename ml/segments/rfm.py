"""RFM: three scores from 1 to 5 (how recently, how often, for how much), and the usual name of each combination.

Scores compare the customers of one day with each other: a fifth of them each, as far as ties allow. Equal values get
equal scores, so the order of rows does not matter, and where everybody is alike everybody gets 3.

Source: Hughes, "Strategic Database Marketing", 1994 (quintiles); the ten names are those in common use, but "best" for
what is usually called "champions": here a champion is a model.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from core.errors import ContractBroken
from ml.segments.features import Floats
from ml.segments.models import Ints

RECENCY, FREQUENCY, MONETARY = "recency_days", "orders_lifetime_count", "spend_lifetime_cents"

# One line per recency score, 1 (long ago) to 5 (just now); along it the mean of the other two, 1 to 5.
CELLS = np.array(
    [
        ["hibernating", "hibernating", "at risk", "at risk", "cannot lose"],
        ["hibernating", "hibernating", "at risk", "at risk", "cannot lose"],
        ["about to sleep", "about to sleep", "need attention", "loyal", "loyal"],
        ["promising", "potential loyal", "potential loyal", "loyal", "loyal"],
        ["new", "potential loyal", "potential loyal", "best", "best"],
    ]
)


@dataclass(frozen=True)
class Rfm:
    """Scores from 1 to 5 per customer; 5 is the best: the latest order, the most orders, the most spent."""

    recency: Ints
    frequency: Ints
    monetary: Ints

    @property
    def cells(self) -> list[str]:
        """The name of each customer's cell: by recency, and the mean of the other two, a half rounded up."""
        found: list[str] = CELLS[self.recency - 1, (self.frequency + self.monetary + 1) // 2 - 1].tolist()
        return found


def rfm(table: pa.Table) -> Rfm:
    """Return the scores of a day's customers, in the order of the table.

    Raises
    ------
    ContractBroken
        If one of the three columns has no value for a customer.
    """
    recency, frequency, monetary = (_known(table, name) for name in (RECENCY, FREQUENCY, MONETARY))
    return Rfm(quintiles(-recency), quintiles(frequency), quintiles(monetary))


def quintiles(values: Floats) -> Ints:
    """Return 1 to 5 by the share of customers below a value, half of its equals counted as below.

    Of five customers three are equal: below them is one, so they lie in the middle, at (1 + 1.5) / 5.

    >>> quintiles(np.array([7.0, 7.0, 9.0, 7.0, 0.0])).tolist()
    [3, 3, 5, 3, 1]
    """
    ordered = np.sort(values)
    below, not_above = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    # In whole numbers: a share on the border of two fifths must not depend on how 0.2 is rounded.
    found: Ints = (1 + 5 * (below + not_above) // (2 * len(values))).astype(np.int64)
    return found


def _known(table: pa.Table, name: str) -> Floats:
    column = table.column(name)
    if column.null_count:
        raise ContractBroken(
            f"customer feature '{name}' is missing in {column.null_count} of {len(column)} rows, but its contract "
            "says never; mend the model customer_features and publish again"
        )
    found: Floats = np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)
    return found
