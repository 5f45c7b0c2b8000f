"""How well groups hold: five times, k-means is fitted on four fifths of the customers and judged on the fifth left out.

Silhouette asks whether the groups are apart; stability whether the same groups come out when other customers are drawn
(Hennig, "Cluster-wise assessment of cluster stability", Computational Statistics & Data Analysis 52, 2007). Segments
are no question about time: nobody is asked what comes next, so customers are dealt at random.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import adjusted_rand_score, silhouette_score

from ml.segments.features import Floats
from ml.segments.models import Ints, Space, k_means, nearest

Strings = npt.NDArray[np.str_]

FOLDS = 5
MOST_TRIED = 10_000  # customers a trial takes; the silhouette compares each with each, and more say the same
KS = range(3, 9)
"""Two groups are only more and less of the longest axis, which any cloud has; nine and more nobody tells apart."""

LEAST_STABILITY = 0.8
"""Mean adjusted Rand index, 1 for the same groups, 0 for chance. Hennig calls groups from 0.75 or 0.85 on valid or
highly stable (of his Jaccard index); below, a segment is as much the draw's as the customers'."""
LEAST_SHARE = 0.02
"""Of the customers in the smallest segment: fewer are outliers, not a group to write to."""


@dataclass(frozen=True)
class Fold:
    """Customers to fit on and customers to judge on, as values of features, and the space fitted to the first.

    `everybody`: the number of each judged customer among all of the trial.
    """

    fitted: Floats
    judged: Floats
    space: Space
    everybody: Ints
    seed: int


@dataclass(frozen=True)
class Tried:
    """One number of segments: a silhouette and a stability per fold, and the share of its smallest segment."""

    k: int
    silhouettes: list[float]
    stabilities: list[float]
    smallest_share: float

    @property
    def silhouette(self) -> float:
        return float(np.mean(self.silhouettes))

    @property
    def stability(self) -> float:
        return float(np.mean(self.stabilities))

    @property
    def is_stable(self) -> bool:
        return self.stability >= LEAST_STABILITY and self.smallest_share >= LEAST_SHARE


def drawn(count: int, *, seed: int) -> Ints:
    """Return the numbers of the customers a trial takes, shuffled; all of them up to `MOST_TRIED`."""
    return np.random.default_rng(seed).permutation(count)[:MOST_TRIED].astype(np.int64)


def folds(values: Floats, is_skewed: npt.NDArray[np.bool_], *, seed: int) -> list[Fold]:
    """Deal customers, already shuffled, into folds."""
    dealt = np.arange(len(values)) % FOLDS
    made = []
    for number in range(FOLDS):
        fitted, judged = values[dealt != number], values[dealt == number]
        space = Space.of(fitted, is_skewed)
        made.append(Fold(fitted, judged, space, np.flatnonzero(dealt == number), seed + number))
    return made


def try_ks(values: Floats, space: Space, parts: Sequence[Fold], *, seed: int) -> list[Tried]:
    """Try each number of segments; fewer where there are not that many different customers."""
    coordinates = space.coordinates(values)
    different = min(len(np.unique(part.space.coordinates(part.fitted), axis=0)) for part in parts)
    return [_try(k, coordinates, parts, seed=seed) for k in KS if k <= different]


def _try(k: int, coordinates: Floats, parts: Sequence[Fold], *, seed: int) -> Tried:
    whole = nearest(coordinates, k_means(coordinates, k, seed=seed))
    silhouettes, stabilities = [], []
    for part in parts:
        centroids = k_means(part.space.coordinates(part.fitted), k, seed=part.seed)
        judged = part.space.coordinates(part.judged)
        labels = nearest(judged, centroids)
        silhouettes.append(silhouette(judged, labels))
        stabilities.append(same_groups(whole[part.everybody], labels))
    return Tried(k, silhouettes, stabilities, float(np.bincount(whole, minlength=k).min() / len(whole)))


def best(tried: Sequence[Tried]) -> Tried:
    """Return the stable number of segments with the highest silhouette; where none is stable, of all."""
    stable = [each for each in tried if each.is_stable]
    return max(stable or tried, key=lambda each: each.silhouette)


def silhouette(coordinates: Floats, labels: npt.NDArray[np.generic]) -> float:
    """Return how much nearer customers are to their own group than to the next, -1 to 1; 0 where there is one group.

    Two pairs, 1 apart within and 10 between: each customer is 1 from his own and 9.5 or 10.5 from the others.

    >>> round(silhouette(np.array([[0.0], [1.0], [10.0], [11.0]]), np.array([0, 0, 1, 1])), 4)
    0.8997
    """
    groups = len(np.unique(labels))
    if not 2 <= groups < len(labels):
        return 0.0
    return float(silhouette_score(coordinates, labels))


def same_groups(one: npt.NDArray[np.generic], other: npt.NDArray[np.generic]) -> float:
    """Return the adjusted Rand index of two groupings of the same customers: 1 for the same, about 0 for chance.

    Source: Hubert & Arabie, "Comparing partitions", Journal of Classification 2, 1985.

    >>> same_groups(np.array([0, 0, 1, 1]), np.array([5, 5, 2, 2]))
    1.0
    """
    return float(adjusted_rand_score(one, other))
