"""The best that anybody can say of a SIMULATED customer (`simulation.shop`) who knows how customers are drawn, but not which.

A customer's hidden numbers are the mean gap between orders and the day they leave. How likely each pair is after what was
seen follows from Bayes' rule; the chance to lapse is the mean over all pairs. No model can order customers better on average.
"""

import numpy as np
import numpy.typing as npt

from simulation.shop import MEAN_GAP_DAYS, STAY_SHARE

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
GAPS = MEAN_GAP_DAYS[0] + (np.arange(200) + 0.5) / 200 * (MEAN_GAP_DAYS[1] - MEAN_GAP_DAYS[0])


def chance_to_lapse(order_days: Ints, last: Ints, *, seen: int, horizon: int, days: int) -> Array:
    """Return each customer's chance of no order in the `horizon` days from day `seen`, shape (n,).

    Parameters
    ----------
    order_days, last : shape (n,)
        On how many days somebody ordered before day `seen`, and on which day last; day 0 is the shop's first.
    days
        Length of the shop's whole period, in which about half leave.
    """
    leaves = np.append(np.arange(1, days + 1), days + horizon + 1)  # the last stands for who stays
    prior = np.append(np.full(days, (1.0 - STAY_SHARE) / days), STAY_SHARE)
    misses = np.log1p(-1.0 / GAPS)[:, None]
    silent = np.exp(misses * np.clip(leaves - seen, 0, horizon))
    pairs, places = np.unique(np.column_stack([order_days, last]), axis=0, return_inverse=True)
    found = np.empty(len(pairs))
    for number, (count, newest) in enumerate(pairs):
        orders = -count * np.log(GAPS)[:, None] + misses * (np.minimum(leaves, seen) - count)
        weights = np.where(leaves > newest, np.exp(orders - orders.max()) * prior, 0.0)
        found[number] = (weights * silent).sum() / weights.sum()
    return found[places]
