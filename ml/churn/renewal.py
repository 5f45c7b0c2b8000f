"""How likely a pause goes on, by the customer's own gaps: a renewal process with gamma gaps. Arithmetic only.

BG/NBD knows how often somebody orders, not how evenly. Who comes every seven days, give or take one, and has not come for
twenty, is later than who comes every seven days on average.

Source: Platzer & Reutterer, "Ticking Away the Moments: Timing Regularity Helps to Better Predict Customer Activity",
Marketing Science 35(5), 2016, which has gamma gaps in a full model; here their moments are drawn to the shop's.
"""

import numpy as np
import numpy.typing as npt
from scipy.stats import gamma

from ml.lifetime.bg_nbd import Histories

Array = npt.NDArray[np.float64]
PRIOR_GAPS = 4.0
"""As many gaps of the shop's mean length are added to everybody's own."""
PRIOR_SPREADS = 3.0
"""As many observations of a squared coefficient of variation of 1, that of gaps without any rhythm."""
LEAST_VARIATION, MOST_VARIATION = 0.15, 6.0
"""Bounds of the squared coefficient of variation: few gaps can look more even, or less, than anybody is."""


def shop_gap_days(seen: Histories) -> float:
    """Return the mean gap of a shop: days from first to last orders over the repeat orders; their age without any."""
    repeats = float(seen.repeats.sum())
    return float(seen.last.sum()) / repeats if repeats else max(float(seen.age.mean()), 1.0)


def pause_goes_on(
    seen: Histories, gap_mean: Array, gap_std: Array, *, shop_gap: float, within: float
) -> tuple[Array, Array]:
    """Return the log-chance of a gap that outlasts the pause so far, and of it to outlast `within` more, given that.

    Parameters
    ----------
    gap_mean, gap_std : shape (n,)
        Of the gaps between days with an order, in the unit of `seen`; read where there is a gap, and two.
    shop_gap : float
        Above 0: the mean that few gaps are drawn to.
    """
    has_gap, has_spread = seen.repeats > 0, seen.repeats > 1
    total = np.where(has_gap, seen.repeats * np.where(has_gap, gap_mean, 0.0), 0.0)
    mean = (total + PRIOR_GAPS * shop_gap) / (seen.repeats + PRIOR_GAPS)
    variation = np.where(has_spread, gap_std / np.where(has_spread, gap_mean, 1.0), 1.0) ** 2
    weight = np.maximum(seen.repeats - 1.0, 0.0)
    drawn = (weight * variation + PRIOR_SPREADS) / (weight + PRIOR_SPREADS)
    shape = 1.0 / np.clip(drawn, LEAST_VARIATION, MOST_VARIATION)
    pause = seen.age - seen.last
    so_far = gamma.logsf(pause, shape, scale=mean / shape)
    further = gamma.logsf(pause + within, shape, scale=mean / shape)
    # Far beyond any gap both are -inf: such a pause goes on for certain.
    return so_far, np.where(np.isfinite(so_far), further - np.where(np.isfinite(so_far), so_far, 0.0), 0.0)
