"""Trying a churn model out: fitted anew for each fold, judged where it could not have looked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from sklearn.inspection import permutation_importance
from sklearn.pipeline import Pipeline

from ml.churn.features import FEATURE_NAMES, feature_frame
from ml.evaluation import Bools, Floats, brier, expected_calibration_error, pr_auc, roc_auc
from ml.tables import AS_OF_DATE, HAS_CHURNED
from ml.windows import Fold

METRICS: dict[str, Callable[[Bools, Floats], float]] = {
    "pr_auc": pr_auc,
    "roc_auc": roc_auc,
    "brier": brier,
    "ece": expected_calibration_error,
}


@dataclass(frozen=True)
class Examples:
    """Customers at cut-offs: features (n, 27), cut-off of each row (datetime64[D]), and whether they lapsed."""

    features: pd.DataFrame
    cutoffs: npt.NDArray[np.datetime64]
    has_churned: Bools

    @classmethod
    def of(cls, table: pa.Table) -> "Examples":
        """Take the published table `churn_examples` apart."""
        return cls(
            feature_frame(table),
            table.column(AS_OF_DATE).cast(pa.date32()).to_numpy().astype("datetime64[D]"),
            table.column(HAS_CHURNED).to_numpy().astype(bool),
        )

    def at(self, days: Sequence[date]) -> "Examples":
        """Return the examples of some cut-offs, in the order they stand in."""
        rows = np.isin(self.cutoffs, np.array(days, dtype="datetime64[D]"))
        return Examples(self.features[rows], self.cutoffs[rows], self.has_churned[rows])

    def days(self) -> list[date]:
        """Return the cut-offs, oldest first."""
        return [day.item() for day in np.unique(self.cutoffs)]

    def has_both_outcomes(self) -> bool:
        return bool(self.has_churned.any() and not self.has_churned.all())

    def __len__(self) -> int:
        return len(self.has_churned)


@dataclass(frozen=True)
class Tried:
    """What a model did on each fold: metric → values; and its probabilities beside the truth of all folds."""

    figures: dict[str, list[float]]
    truth: Bools
    probability: Floats
    last: Pipeline


def try_out(
    make: Callable[[int], Pipeline], examples: Examples, folds: Sequence[Fold], *, seed: int
) -> Tried:
    """Fit and judge a model on every fold."""
    truths, probabilities = [], []
    figures: dict[str, list[float]] = {name: [] for name in METRICS}
    for fold in folds:
        learnt, tested = examples.at(fold.train), examples.at([fold.test])
        model = make(seed).fit(learnt.features, learnt.has_churned)
        probability = churn_probability(model, tested.features)
        for name, metric in METRICS.items():
            figures[name].append(metric(tested.has_churned, probability))
        truths.append(tested.has_churned)
        probabilities.append(probability)
    return Tried(figures, np.concatenate(truths), np.concatenate(probabilities), model)


def usable(folds: Sequence[Fold], examples: Examples) -> list[Fold]:
    """Return the folds in which somebody lapsed and somebody did not, in training and in test."""
    return [
        fold
        for fold in folds
        if examples.at(fold.train).has_both_outcomes() and examples.at([fold.test]).has_both_outcomes()
    ]


def churn_probability(model: Pipeline, features: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Return each customer's probability of no order in the horizon, 0 to 1."""
    probability: npt.NDArray[np.float64] = model.predict_proba(features)[:, 1]
    return probability


def importances(model: Pipeline, tested: Examples, *, seed: int) -> dict[str, float]:
    """Return by how much PR-AUC falls when a feature's values are shuffled among customers (2 shuffles each).

    Source: Breiman, "Random Forests", Machine Learning 45, 2001, section 10.
    """
    found = permutation_importance(
        model,
        tested.features,
        tested.has_churned,
        scoring="average_precision",
        n_repeats=2,
        random_state=seed,
    )
    return dict(zip(FEATURE_NAMES, found.importances_mean.tolist(), strict=True))
