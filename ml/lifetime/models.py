"""The model of value and next order as the registry keeps it: both fits, the horizon it was judged at, and a seed."""

from dataclasses import dataclass

import pandas as pd

from ml.lifetime.forecast import Forecast, Lifetime

METHOD = "bg_nbd_gamma_gamma"
TRUSTED_TYPES = [
    "ml.lifetime.fitting.Estimate",
    "ml.lifetime.forecast.Lifetime",
    "ml.lifetime.models.LifetimeModel",
]
"""What skops may build when it loads this model, besides what it trusts by itself."""
COLUMNS = ("tenure_days", "recency_days", "gap_mean_days", "spend_lifetime_cents")
"""What it reads of `customer_features`."""

LEAST_ALIVE = 0.05
"""Nobody less likely to be a customer still is given a day of the next order. Whoever ordered every other day and has been
silent for months would, if back at all, be back in two days, says the model: a day that nobody should act on."""
MOST_FITTED = 10_000
"""Customers the parameters are fitted to: they are then known to a few hundredths."""


@dataclass
class LifetimeModel:
    """Forecasts the `horizon_days` from the day of the features. The same features in the same order give the same answer."""

    lifetime: Lifetime
    horizon_days: int
    seed: int

    @classmethod
    def fit(cls, features: pd.DataFrame, *, horizon_days: int, seed: int) -> "LifetimeModel":
        """Fit to `customer_features` of one day, evenly to some of very many; without customers only the prior speaks."""
        step = max(-(-len(features) // MOST_FITTED), 1)
        return cls(Lifetime.fit(features.iloc[::step]), horizon_days, seed)

    def forecast(self, features: pd.DataFrame) -> Forecast:
        return self.lifetime.forecast(features, within_days=float(self.horizon_days), seed=self.seed)

    def predict(self, features: pd.DataFrame) -> pd.DataFrame:
        """Return the forecast of each row of features: the face MLflow shows."""
        return pd.DataFrame(vars(self.forecast(features)))
