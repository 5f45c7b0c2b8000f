"""What a churn model must beat: the days since the last order, which any shop knows without a model, and BG/NBD."""

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from ml.churn.blending import blended, weigh
from ml.churn.protocol import Maker, Recipe
from ml.churn.rhythm import MOST_HISTORIES, log_odds
from ml.evaluation import Bools
from ml.lifetime.bg_nbd import Histories
from ml.lifetime.fitting import Estimate, bg_nbd_of, drawn_bg_nbd, fit_bg_nbd
from ml.lifetime.forecast import DRAWS, no_order_bounds

Array = npt.NDArray[np.float64]


class OnlyRecency(BaseEstimator, TransformerMixin):  # type: ignore[misc]  # scikit-learn has no types
    """Sees nothing of a customer but log(1 + days since the last order)."""

    def fit(self, frame: pd.DataFrame, truth: object = None) -> "OnlyRecency":
        return self

    def transform(self, frame: pd.DataFrame) -> Array:
        return np.log1p(frame[["recency_days"]].to_numpy(dtype=np.float64))

    def __sklearn_is_fitted__(self) -> bool:
        return True


class BgNbdChurn(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """BG/NBD's chance of no order in the horizon, recalibrated where it is known who lapsed.

    Both steps are drawn to a prior (`ml.lifetime.fitting`, `ml.churn.blending`), so it fits a shop of any size: with
    few customers the priors speak, and the interval says how unsure they leave the chance.
    """

    begins_with_bg_nbd = True

    def __init__(self, *, horizon_days: int, seed: int) -> None:
        self.horizon_days = horizon_days
        self.seed = seed

    @property
    def classes_(self) -> npt.NDArray[np.bool_]:
        return np.array([False, True])

    def fit(
        self, features: pd.DataFrame, truth: Bools | None = None, *, known: Estimate | None = None
    ) -> "BgNbdChurn":
        """Fit to histories and, where `truth` says who lapsed, recalibrate on the same customers.

        `known`: the fit to these histories, where somebody has made it already.
        """
        seen = Histories.of(features).at_most(MOST_HISTORIES)
        found = known or fit_bg_nbd(seen)
        self.logs_, self.draws_ = found.logs, drawn_bg_nbd(seen, found, count=DRAWS, seed=self.seed)
        self.weights_ = weigh(np.empty((0, 1)), np.empty(0, dtype=bool))
        return self if truth is None else self.recalibrate(features, truth)

    def recalibrate(self, features: pd.DataFrame, truth: Bools) -> "BgNbdChurn":
        """Learn slope and constant from customers of whom it is known whether they lapsed."""
        self.weights_ = weigh(self._log_odds(features), truth)
        return self

    def predict_proba(self, features: pd.DataFrame) -> Array:
        """Return shape (n, 2): the probability to stay, and to lapse."""
        chance = blended(self._log_odds(features), self.weights_)
        return np.column_stack([1.0 - chance, chance])

    def predict_interval(self, features: pd.DataFrame) -> Array:
        """Return bounds of the probability to lapse, shape (2, n): they hold it in eight of ten shops."""
        bounds = no_order_bounds(self.draws_, Histories.of(features), float(self.horizon_days))
        return np.vstack([blended(log_odds(bound)[:, None], self.weights_) for bound in bounds])

    def _log_odds(self, features: pd.DataFrame) -> Array:
        model = bg_nbd_of(np.exp(self.logs_))
        return log_odds(model.no_order(Histories.of(features), float(self.horizon_days)))[:, None]


def recency(recipe: Recipe) -> Pipeline:
    """Return a baseline that ranks by recency; one slope and one constant make it a probability."""
    return Pipeline([("recency", OnlyRecency()), ("model", LogisticRegression(random_state=recipe.seed))])


def bg_nbd(recipe: Recipe) -> BgNbdChurn:
    return BgNbdChurn(horizon_days=recipe.horizon_days, seed=recipe.seed)


BASELINES: dict[str, Maker] = {"recency": recency, "bg_nbd": bg_nbd}
