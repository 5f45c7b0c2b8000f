"""Trying churn models out: each is fitted anew for each fold and says what it thinks of days it could not have seen.

What the members said at earlier cut-offs, whose windows have closed, weighs and corrects them at the next one. So a
blend at a cut-off knows nothing that its members could not have known, and every fit serves twice.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from sklearn.inspection import permutation_importance

from ml.churn.blending import Blend, blended, weigh
from ml.churn.features import FEATURE_NAMES, feature_frame
from ml.churn.models import LONG, make
from ml.churn.protocol import ChurnModel, Setting
from ml.churn.together import fit_together, say_together
from ml.evaluation import Bools, Floats, brier, expected_calibration_error, pr_auc, roc_auc
from ml.tables import AS_OF_DATE, HAS_CHURNED
from ml.threads import THREADS, limit_this_thread
from ml.windows import Fold, has_closed

METRICS: dict[str, Callable[[Bools, Floats], float]] = {
    "pr_auc": pr_auc,
    "roc_auc": roc_auc,
    "brier": brier,
    "ece": expected_calibration_error,
}
MOST_SHUFFLED = 1000
MOST_LEARNT = 100_000
"""Examples that members learn from for a fold, drawn by lot where there are more; the model that scores learns from all."""
LONG_EVERY = 4
"""The members of `LONG` are fitted for every so many-th fold: fitting them is most of the time of a training. Over twelve folds of
Complete Journey the blend's Brier score is 0.0977 for every fold, every second and every fourth, its PR-AUC 0.5967, 0.5966, 0.5970."""
SCORED_AT_ONCE = 50_000
"""Customers scored on a thread: 44 features of them are 18 MB, and what the models make of them a few times that."""
LEAST_TO_WEIGH = 2
"""Cut-offs a member learns from, at least, before what it says can weigh it."""


@dataclass(frozen=True)
class Examples:
    """Customers at cut-offs: features (n, 44), cut-off of each row (datetime64[D]), and whether they lapsed."""

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

    def drawn(self, most: int, *, seed: int) -> "Examples":
        """Return so many at most, drawn by lot, in the order they stand in."""
        if len(self) <= most:
            return self
        rows = np.sort(np.random.default_rng(seed).choice(len(self), most, replace=False))
        return Examples(self.features.iloc[rows], self.cutoffs[rows], self.has_churned[rows])

    def days(self) -> list[date]:
        """Return the cut-offs, oldest first."""
        return [day.item() for day in np.unique(self.cutoffs)]

    def has_both_outcomes(self) -> bool:
        return bool(self.has_churned.any() and not self.has_churned.all())

    def __len__(self) -> int:
        return len(self.has_churned)


@dataclass(frozen=True)
class Walk:
    """What members said at test cut-offs, each fitted only on what had closed by then.

    `said`: member → cut-off → log odds to lapse, shape (n,). `truth`: cut-off → who lapsed. `last`: member → the model of
    the last cut-off.
    """

    horizon_days: int
    said: Mapping[str, Mapping[date, Floats]]
    truth: Mapping[date, Bools]
    last: Mapping[str, ChurnModel]

    def weights(self, members: Sequence[str], *, by: date) -> Floats:
        """Return intercept and weights of members, learnt at the cut-offs whose windows had closed by a day."""
        closed = [day for day in self.truth if has_closed(day, self.horizon_days, by=by)]
        said = [self._log_odds(members, day) for day in closed]
        truth = [self.truth[day] for day in closed]
        return weigh(
            np.concatenate([np.empty((0, len(members))), *said]),
            np.concatenate([np.empty(0, dtype=bool), *truth]),
        )

    def probability(self, members: Sequence[str], day: date) -> Floats:
        """Return what the weighed members together say at a test cut-off."""
        return blended(self._log_odds(members, day), self.weights(members, by=day))

    def unweighed(self, member: str, day: date) -> Floats:
        """Return what one member says by itself."""
        return blended(self._log_odds([member], day), np.array([0.0, 1.0]))

    def model(self, members: Sequence[str]) -> Blend:
        """Return the model of the last cut-off."""
        weights = self.weights(members, by=max(self.truth))
        return Blend([self.last[name] for name in members], weights)

    def _log_odds(self, members: Sequence[str], day: date) -> Floats:
        return np.column_stack([self.said[name][day] for name in members])


def walk(
    members: Sequence[str],
    examples: Examples,
    folds: Sequence[Fold],
    *,
    horizon_days: int,
    seed: int,
    settings: Mapping[str, Setting],
) -> Walk:
    """Fit every member for every fold, oldest first, and keep what it says there.

    Those of `LONG` are fitted for every `LONG_EVERY`-th fold and go on with what they know at the next.
    """
    said: dict[str, dict[date, Floats]] = {name: {} for name in members}
    last: dict[str, ChurnModel] = {}
    for number, fold in enumerate(folds):
        learnt, tested = examples.at(fold.train).drawn(MOST_LEARNT, seed=seed), examples.at([fold.test])
        made = {
            name: make(name, horizon_days=horizon_days, seed=seed, settings=settings)
            for name in members
            if name not in LONG or number % LONG_EVERY == 0
        }
        fit_together(list(made.values()), learnt.features, learnt.has_churned)
        last |= made
        heard = say_together([last[name] for name in members], tested.features)
        for name, column in zip(members, heard.T, strict=True):
            said[name][fold.test] = column
    truth = {fold.test: examples.at([fold.test]).has_churned for fold in folds}
    return Walk(horizon_days, said, truth, last)


@dataclass(frozen=True)
class Tried:
    """What a method did on each fold: metric → values; and its probabilities beside the truth of all folds."""

    figures: dict[str, list[float]]
    truth: Bools
    probability: Floats


def judged(truths: Sequence[Bools], probabilities: Sequence[Floats]) -> Tried:
    """Judge probabilities fold by fold."""
    pairs = list(zip(truths, probabilities, strict=True))
    figures = {name: [metric(truth, said) for truth, said in pairs] for name, metric in METRICS.items()}
    return Tried(figures, np.concatenate(truths), np.concatenate(probabilities))


def try_out(walked: Walk, members: Sequence[str], folds: Sequence[Fold]) -> Tried:
    """Judge a candidate, the weighed sum of its members, on folds."""
    days = [fold.test for fold in folds]
    return judged([walked.truth[day] for day in days], [walked.probability(members, day) for day in days])


def try_baseline(walked: Walk, name: str, folds: Sequence[Fold]) -> Tried:
    """Judge a baseline on folds, as it is."""
    days = [fold.test for fold in folds]
    return judged([walked.truth[day] for day in days], [walked.unweighed(name, day) for day in days])


def usable(folds: Sequence[Fold], examples: Examples) -> list[Fold]:
    """Return the folds in which somebody lapsed and somebody did not, in training and in test."""
    return [
        fold
        for fold in folds
        if examples.at(fold.train).has_both_outcomes() and examples.at([fold.test]).has_both_outcomes()
    ]


def churn_probability(model: ChurnModel, features: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Return each customer's probability of no order in the horizon, 0 to 1."""

    def of_part(start: int) -> Floats:
        part = features.iloc[start : start + SCORED_AT_ONCE]
        return np.asarray(model.predict_proba(part)[:, 1], dtype=np.float64)

    with ThreadPoolExecutor(THREADS, initializer=limit_this_thread) as threads:
        said = list(threads.map(of_part, range(0, len(features), SCORED_AT_ONCE)))
    return np.concatenate([np.empty(0), *said])


def importances(model: ChurnModel, tested: Examples, *, seed: int) -> dict[str, float]:
    """Return by how much PR-AUC falls when a feature's values are shuffled among customers, once, at most so many.

    Source: Breiman, "Random Forests", Machine Learning 45, 2001, section 10.
    """
    # Drawn here: scikit-learn's own draw would hold some customers, shuffled, against all of them, as they are.
    asked = tested.drawn(MOST_SHUFFLED, seed=seed)
    found = permutation_importance(
        model, asked.features, asked.has_churned, scoring="average_precision", n_repeats=1, random_state=seed
    )
    return dict(zip(FEATURE_NAMES, found.importances_mean.tolist(), strict=True))
