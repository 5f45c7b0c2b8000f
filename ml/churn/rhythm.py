"""A customer's rhythm: rates instead of totals, pauses against one's own gaps, and what BG/NBD and renewal make of them.

Totals since the first order grow with the shop's history, so a model that learnt them in spring meets other numbers in
autumn. A rate does not.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import logit
from sklearn.base import BaseEstimator, TransformerMixin

from ml.churn.features import FEATURES, fill, scaled
from ml.churn.renewal import pause_goes_on, shop_gap_days
from ml.lifetime.bg_nbd import Histories
from ml.lifetime.fitting import bg_nbd_of, fit_bg_nbd

Array = npt.NDArray[np.float64]
LEAST_TENURE_DAYS = 28.0
"""A rate of a customer who came yesterday is taken over four weeks."""
MONTH_DAYS = 30.0
SURE = 1e-6
"""Chances are kept this far from 0 and 1, so that their log odds are finite."""

MOST_HISTORIES = 5_000
"""BG/NBD is fitted to: its four parameters are then known to a few hundredths, and a row per cut-off of the same customer
says hardly more."""

LEAST_LOG_CHANCE = -20.0
"""Pauses that no gap lasts are all alike."""

AS_RATES = ("orders_lifetime_count", "spend_lifetime_cents", "products_lifetime_count")
"""Totals that grow with the tenure: taken per month. `tenure_days` itself and `gap_ratio` are left out."""
AS_THEY_ARE = [feature for feature in FEATURES if feature.name not in {*AS_RATES, "tenure_days", "gap_ratio"}]


class Rhythm(BaseEstimator, TransformerMixin):  # type: ignore[misc]  # scikit-learn has no types
    """First step of models of rhythm. Learns BG/NBD's parameters from the histories it is fitted to, no label."""

    def __init__(self, *, horizon_days: int) -> None:
        self.horizon_days = horizon_days

    def fit(self, frame: pd.DataFrame, truth: object = None) -> "Rhythm":
        seen = Histories.of(frame)
        found = fit_bg_nbd(seen.at_most(MOST_HISTORIES))
        self.logs_, self.covariance_ = found.logs, found.covariance
        self.shop_gap_ = shop_gap_days(seen)
        return self

    def transform(self, frame: pd.DataFrame) -> Array:
        """Return shape (n_customers, 50): no value is missing."""
        filled = fill(frame)
        per_month = MONTH_DAYS / np.maximum(filled["tenure_days"], LEAST_TENURE_DAYS)
        pause = np.log1p(filled["recency_days"])
        seen, model, within = Histories.of(frame), bg_nbd_of(np.exp(self.logs_)), float(self.horizon_days)
        outlasts, goes_on = pause_goes_on(
            seen, filled["gap_mean_days"], filled["gap_std_days"], shop_gap=self.shop_gap_, within=within
        )
        return np.column_stack(
            [
                *(column for f in AS_THEY_ARE for column in scaled(filled[f.name], f.scale)),
                *(np.log1p(np.maximum(filled[name], 0.0) * per_month) for name in AS_RATES),
                np.log1p(seen.repeats * per_month),
                pause - np.log1p(filled["gap_mean_days"]),
                pause - np.log1p(filled["gap_max_days"]),
                np.maximum(outlasts, LEAST_LOG_CHANCE),
                log_odds(np.exp(goes_on)),
                log_odds(model.no_order(seen, within)),
                log_odds(model.alive(seen)),
            ]
        )


def log_odds(chance: Array) -> Array:
    """Return the log odds of chances, which are kept off 0 and 1.

    >>> log_odds(np.array([0.5, 1.0])).round(2).tolist()
    [0.0, 13.82]
    """
    odds: Array = logit(np.clip(chance, SURE, 1.0 - SURE))
    return odds
