"""Forecasts as columns of `customer_value`."""

from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from ml.lifetime.models import LEAST_ALIVE, LifetimeModel

Array = npt.NDArray[np.float64]
FARTHEST_DAYS = 3650
"""Ten years. A next order later than that has no day: it would be one of the model's, and nobody's."""


def value_columns(model: LifetimeModel, features: pd.DataFrame, as_of: date) -> list[pa.Array]:
    """Return the columns of `customer_value` from `horizon_days` to `next_order_high_date`, for customers in this order."""
    found = model.forecast(features)
    has_left = found.alive < LEAST_ALIVE
    waits = [
        np.where(has_left, np.inf, wait)
        for wait in (found.next_order, found.next_order_low, found.next_order_high)
    ]
    return [
        pa.array(np.full(len(features), model.horizon_days), pa.int64()),
        *(
            pa.array(column, pa.float64())
            for column in (found.alive, found.orders, found.value, found.value_low, found.value_high)
        ),
        *(_days_ahead(as_of, wait) for wait in waits),
    ]


def _days_ahead(as_of: date, wait: Array) -> pa.Array:
    """Return the day on which each wait ends; none where it is not within ten years."""
    is_near = wait <= FARTHEST_DAYS
    whole = np.floor(np.where(is_near, wait, 0.0)).astype("timedelta64[D]")
    return pa.array(np.datetime64(as_of, "D") + whole, pa.date32(), mask=~is_near)
