"""What a churn model must beat: the number of days since the last order, which any shop knows without a model."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline


class OnlyRecency(BaseEstimator, TransformerMixin):  # type: ignore[misc]  # scikit-learn has no types
    """Sees nothing of a customer but log(1 + days since the last order)."""

    def fit(self, frame: pd.DataFrame, truth: object = None) -> "OnlyRecency":
        return self

    def transform(self, frame: pd.DataFrame) -> npt.NDArray[np.float64]:
        return np.log1p(frame[["recency_days"]].to_numpy(dtype=np.float64))

    def __sklearn_is_fitted__(self) -> bool:
        return True


def recency(seed: int) -> Pipeline:
    """Return a baseline that ranks by recency; one slope and one constant make it a probability."""
    return Pipeline([("recency", OnlyRecency()), ("model", LogisticRegression(random_state=seed))])


BASELINES: dict[str, Callable[[int], Pipeline]] = {"recency": recency}
