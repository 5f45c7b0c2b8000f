"""What a forecast of value must beat: everybody goes on as before."""

import numpy as np
import numpy.typing as npt

from ml.lifetime.bg_nbd import Histories
from ml.lifetime.gamma_gamma import Spending

Array = npt.NDArray[np.float64]
LEAST_AGE_DAYS = 28.0
"""Somebody who came yesterday is not taken to come every day."""


def same_rate(seen: Histories, spent: Spending, *, within_days: float) -> Array:
    """Return what each customer spends in the time to come, if as much a day as since the first order.

    >>> seen = Histories(np.array([2.0]), np.array([30.0]), np.array([60.0]))
    >>> same_rate(seen, Spending(np.array([3.0]), np.array([1000.0])), within_days=30).tolist()
    [1500.0]
    """
    return spent.orders * spent.mean / np.maximum(seen.age, LEAST_AGE_DAYS) * within_days
