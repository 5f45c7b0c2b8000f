"""Drift: how far a day's features and scores have moved from what a model was trained on, and how far is too far.

The population stability index (PSI) of two days is the sum over bins of (a - e) * ln(a / e), with the shares a and e of
the customers in a bin; bins are the tenths of training, and customers without a value have one of their own. Source:
N. Siddiqi, "Credit Risk Scorecards", Wiley 2006, ch. 9.

Some features move by themselves (a tenure grows), and few customers move any by chance. So a bound is learnt per feature
from quiet weeks: training's own cut-offs, as far apart as a scored day is from training, their customers drawn anew.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.evaluation import Floats
from ml.windows import CUTOFF_EVERY_DAYS

Counts = npt.NDArray[np.int64]
TENTHS = np.arange(1, 10) / 10
WORTH_A_LOOK = 0.1
"""Siddiqi's bound: a PSI below it is no change worth a look, however steady the feature was."""
FALSE_ALARMS = 0.05
"""Share of quiet days with an alert, over all features of the day together (Bonferroni)."""
ROUNDS = 500
CUTOFFS = 8
"""The newest cut-offs of training: what happened four months ago says little of a usual week now."""
SCORE = "churn_probability"
DRIFT_REFERENCE = "drift_reference"
"""The table of a run that keeps a `Reference`."""
PSI, MEAN_SHIFT = "psi", "mean_shift"


@dataclass(frozen=True)
class Shift:
    """How far a feature moved: its PSI, or the mean of the score less that of training, and the bound of either side."""

    feature: str
    measure: str
    value: float
    bound: float

    @property
    def is_alert(self) -> bool:
        return abs(self.value) > self.bound


@dataclass(frozen=True)
class Reference:
    """What training looked like: feature → upper edges of its bins, customers in them, and the bound of its PSI."""

    edges: dict[str, list[float]]
    counts: dict[str, list[int]]
    bounds: dict[str, float]
    score_mean: float
    score_mean_bound: float

    @classmethod
    def of(
        cls, columns: pd.DataFrame, cutoffs: npt.NDArray[np.datetime64], *, horizon_days: int, seed: int
    ) -> Self | None:
        """Learn from examples at cut-offs; None where no two of them are far enough apart.

        Parameters
        ----------
        columns
            Features and, as `SCORE`, what the model says; a row per customer and cut-off.
        cutoffs : shape (n,), datetime64[D]
        """
        days = [day.item() for day in np.unique(cutoffs)][-CUTOFFS:]
        by_day = {day: columns[cutoffs == np.datetime64(day)] for day in days}
        pairs = list(_quiet_pairs(days, horizon_days))
        if not pairs:
            return None
        rng = np.random.default_rng(seed)
        level = 1.0 - FALSE_ALARMS / (columns.shape[1] + 1)
        newest, names = by_day[days[-1]], [str(name) for name in columns]
        edges = {name: _edges(newest[name]) for name in names}
        quiet = {
            name: np.concatenate([_quiet_psi(by_day[a][name], by_day[b][name], rng) for a, b in pairs])
            for name in names
        }
        means = np.concatenate([_quiet_shift(by_day[a][SCORE], by_day[b][SCORE], rng) for a, b in pairs])
        return cls(
            edges,
            {name: _counts(newest[name], edges[name]).tolist() for name in names},
            {name: max(WORTH_A_LOOK, float(np.quantile(quiet[name], level))) for name in names},
            float(newest[SCORE].mean()),
            float(np.quantile(np.abs(means), level)),
        )

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Self:
        return cls(**found)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def shifts(self, columns: pd.DataFrame) -> list[Shift]:
        """Return how far a day's features and scores have moved; the largest share of its bound first."""
        found = [
            Shift(
                name,
                PSI,
                float(stability_index(np.array(self.counts[name]), _counts(columns[name], self.edges[name]))),
                self.bounds[name],
            )
            for name in self.edges
        ]
        moved = float(columns[SCORE].mean()) - self.score_mean
        found.append(Shift(SCORE, MEAN_SHIFT, moved, self.score_mean_bound))
        return sorted(found, key=lambda each: -abs(each.value) / each.bound)


def stability_index(before: Counts, now: Counts) -> Floats:
    """Return the PSI of counts over the bins of the last axis; half a customer in each keeps an empty bin finite.

    >>> # 3/4 and 1/4 against two halves: 1/4 ln(3/2) - 1/4 ln(1/2) = 1/4 ln 3 = 0.2747
    >>> round(float(stability_index(np.array([500_000, 500_000]), np.array([750_000, 250_000]))), 4)
    0.2747
    """
    e, a = ((counts + 0.5) / (counts + 0.5).sum(axis=-1, keepdims=True) for counts in (before, now))
    index: Floats = ((a - e) * np.log(a / e)).sum(axis=-1)
    return index


def _quiet_pairs(days: Sequence[date], horizon_days: int) -> Iterator[tuple[date, date]]:
    """Yield pairs as far apart as a scored day and the newest cut-off of its model: a horizon, and up to two weeks."""
    for early in days:
        for late in days:
            if horizon_days <= (late - early).days <= horizon_days + CUTOFF_EVERY_DAYS:
                yield early, late


def _quiet_psi(early: pd.Series, late: pd.Series, rng: np.random.Generator) -> Floats:
    """Return PSIs of two days whose customers are drawn anew, shape (ROUNDS,)."""
    edges = _edges(early)
    before, now = (_drawn(_counts(values, edges), rng) for values in (early, late))
    return stability_index(before, now)


def _drawn(counts: Counts, rng: np.random.Generator) -> Counts:
    drawn: Counts = rng.multinomial(counts.sum(), counts / counts.sum(), size=ROUNDS)
    return drawn


def _quiet_shift(early: pd.Series, late: pd.Series, rng: np.random.Generator) -> Floats:
    """Return shifts of the mean of two days whose customers are drawn anew (their means are as good as normal)."""
    spread = np.sqrt(early.var(ddof=0) / len(early) + late.var(ddof=0) / len(late))
    shifts: Floats = late.mean() - early.mean() + spread * rng.standard_normal(ROUNDS)
    return shifts


def _edges(values: pd.Series) -> list[float]:
    """Return the tenths of a column, and below them an edge under which it had no value, so that a fall leaves a constant.

    Where many customers share a value several tenths are one; where nobody has any the edge is 0.
    """
    known = values.to_numpy(dtype=np.float64)
    known = known[np.isfinite(known)]
    if not len(known):
        return [0.0]
    tenths = np.quantile(known, TENTHS, method="inverted_cdf")
    edges: list[float] = np.unique([np.nextafter(known.min(), -np.inf), *tenths]).tolist()
    return edges


def _counts(values: pd.Series, edges: list[float]) -> Counts:
    """Return the customers up to each edge, beyond the last one, and without a value."""
    known = values.to_numpy(dtype=np.float64)
    bins = np.where(np.isfinite(known), np.searchsorted(edges, known), len(edges) + 1)
    return np.bincount(bins, minlength=len(edges) + 2)
