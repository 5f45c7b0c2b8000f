"""Blending: models weighted and corrected by what they said of days they had not seen. Arithmetic only.

The log odds of a blend are `intercept + sum of weight * log odds of a member`: a slope times the members' mean, and a little
more or less of each. Where nothing is known the slope is 1 and the intercept 0; how far they go is learnt from predictions
made out of time, so that a shop whose customers lapse more often than they used to is followed. One member alone is
recalibrated by the same sum.

Source: Wolpert, "Stacked Generalization", Neural Networks 5, 1992; for one member Platt, "Probabilistic Outputs for
Support Vector Machines", 1999.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin

from ml.churn.together import fit_together, say_together
from ml.evaluation import Bools, Floats

Array = npt.NDArray[np.float64]
INTERCEPT_SPREAD = 0.5
"""Standard deviation of the prior of the intercept: half a unit of log odds turns 17 % into 25 %."""
SLOPE_SPREAD = 0.2
"""Of the slope of the members' mean, around 1."""
WEIGHT_SPREAD = 0.02
"""Of what a weight has beyond its equal share: members of a blend say much the same, and what little tells them apart in a
few weeks is mostly chance."""


def weigh(said: Floats, truth: Bools) -> Array:
    """Return the intercept and the weights of members, shape (1 + k,).

    Parameters
    ----------
    said : shape (n, k)
        Log odds that each member gave customers it had not learnt from. Without a row the weights are equal.
    truth : shape (n,)
    """
    count = said.shape[1]
    centre = np.concatenate([[0.0, 1.0], np.zeros(count)])
    spread = np.concatenate([[INTERCEPT_SPREAD, SLOPE_SPREAD], np.full(count, WEIGHT_SPREAD)])
    columns = np.column_stack([np.ones(len(said)), said.mean(axis=1), said])

    def loss(found: Array) -> tuple[float, Array]:
        odds, away = columns @ found, (found - centre) / spread
        value = np.logaddexp(0.0, odds).sum() - odds[truth].sum() + 0.5 * away @ away
        return float(value), columns.T @ (expit(odds) - truth) + away / spread

    best = minimize(loss, centre, jac=True, method="L-BFGS-B", options={"gtol": 1e-6}).x
    return np.concatenate([best[:1], best[1] / count + best[2:]])


def blended(said: Floats, weights: Floats) -> Array:
    """Return the blend's probabilities, shape (n,), from the members' log odds, (n, k).

    >>> blended(np.array([[1.0, -1.0]]), np.array([0.0, 0.5, 0.5])).tolist()
    [0.5]
    """
    chance: Array = expit(weights[0] + said @ weights[1:])
    return chance


class Blend(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Fitted models and their weights, as one model."""

    def __init__(self, members: Sequence[BaseEstimator], weights: Floats) -> None:
        self.members = members
        self.weights = weights

    @property
    def classes_(self) -> npt.NDArray[np.bool_]:
        return np.array([False, True])

    def fit(self, features: pd.DataFrame, truth: Bools) -> "Blend":
        """Fit the members anew; the weights stay, because they are learnt out of time."""
        fit_together(self.members, features, truth)
        return self

    def predict_proba(self, features: pd.DataFrame) -> Array:
        """Return shape (n, 2): the probability to stay, and to lapse."""
        chance = blended(say_together(self.members, features), self.weights)
        return np.column_stack([1.0 - chance, chance])

    def predict(self, features: pd.DataFrame) -> npt.NDArray[np.bool_]:
        likelier: npt.NDArray[np.bool_] = self.predict_proba(features)[:, 1] > 0.5
        return likelier

    def __sklearn_is_fitted__(self) -> bool:
        return True
