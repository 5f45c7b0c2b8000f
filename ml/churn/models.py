"""The churn models that compete, and what a probability is called."""

from collections.abc import Callable
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from ml.churn.features import FeatureRules

# Chosen on Complete Journey at five cut-offs from May to July 2017, before any that is judged in the demo.
LOGISTIC = {"C": 0.1, "max_iter": 500}
BOOSTING = {"max_iter": 60, "learning_rate": 0.08, "max_leaf_nodes": 12, "min_samples_leaf": 80}

TRUSTED_TYPES = [
    "ml.churn.features.FeatureRules",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
]
"""What skops may build when it loads a churn model, besides what it trusts by itself."""


def logistic_regression(seed: int) -> Pipeline:
    model = LogisticRegression(**LOGISTIC, random_state=seed)
    return Pipeline([("rules", FeatureRules(is_linear=True)), ("scale", StandardScaler()), ("model", model)])


def gradient_boosting(seed: int) -> Pipeline:
    # early_stopping would hold out rows at random, and so test on the same customers' other cut-offs
    model = HistGradientBoostingClassifier(**BOOSTING, early_stopping=False, random_state=seed)
    return Pipeline([("rules", FeatureRules(is_linear=False)), ("model", model)])


CANDIDATES: dict[str, Callable[[int], Pipeline]] = {
    "logistic_regression": logistic_regression,
    "gradient_boosting": gradient_boosting,
}
PARAMETERS: dict[str, dict[str, float]] = {"logistic_regression": LOGISTIC, "gradient_boosting": BOOSTING}


class ChurnBand(StrEnum):
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


# About one customer in six lapses in 28 days. From 0.6 on, lapsing is clearly likelier than not: worth a mail that
# costs margin. From 0.3 on, it is twice as likely as for anybody: worth watching. Issue 4 sets both by money.
HIGH_FROM = 0.6
MEDIUM_FROM = 0.3


def churn_bands(probability: npt.NDArray[np.float64]) -> pa.Array:
    """Return the band of each probability.

    >>> churn_bands(np.array([0.61, 0.6, 0.59, 0.3, 0.1])).to_pylist()
    ['high', 'high', 'medium', 'medium', 'low']
    """
    bands = np.where(
        probability >= HIGH_FROM,
        ChurnBand.HIGH.value,
        np.where(probability >= MEDIUM_FROM, ChurnBand.MEDIUM.value, ChurnBand.LOW.value),
    )
    return pa.array(bands.tolist(), pa.string())
