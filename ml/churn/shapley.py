"""Shapley values by sampled orderings: what each group of features adds to a score. Arithmetic only.

A customer starts as a reference customer and takes over his own features group by group; what the score rises by at a
group's turn is what the group adds, averaged over orderings. Along one ordering the steps lead from the reference's score
to his own, so the parts sum to the difference whatever the number of orderings. How it is split among the groups becomes
exact when every ordering is taken.

Source: Castro, Gomez & Tejada, "Polynomial Calculation of the Shapley Value Based on Sampling", Computers & Operations
Research 36, 2009; Strumbelj & Kononenko, "Explaining Prediction Models and Individual Predictions with Feature
Contributions", Knowledge and Information Systems 41, 2014; orderings in pairs, forwards and backwards: Mitchell, Cooper,
Frank & Holmes, "Sampling Permutations for Shapley Value Estimation", JMLR 23, 2022, section 2.2.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.evaluation import Bools

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Score = Callable[[Array], Array]
"""Features, shape (n, n_features) → a number for each row, shape (n,)."""

ROWS_AT_ONCE = 50_000
"""Rows scored together: 44 features of them are 18 MB, and what the models make of them a few times that."""


@dataclass(frozen=True)
class Walks:
    """Orderings of g groups, and the coalitions met on the way.

    `orders`: shape (m, g), each row the groups in the order in which they join. `coalitions`: shape (c, g), every
    different one once, the empty one first and that of all last. `stops`: shape (m, g + 1), the coalition that each
    ordering has reached after each step.
    """

    orders: Ints
    coalitions: Bools
    stops: Ints

    @classmethod
    def along(cls, orders: Ints) -> "Walks":
        """Find the coalitions of orderings."""
        groups = orders.shape[1]
        joined = np.concatenate(
            [np.zeros((len(orders), 1), np.int64), np.cumsum(1 << orders, axis=1)], axis=1
        )
        numbers, stops = np.unique(joined, return_inverse=True)
        has_joined: Bools = (numbers[:, None] >> np.arange(groups)) % 2 == 1
        return cls(orders, has_joined, stops.reshape(joined.shape))

    @classmethod
    def drawn(cls, groups: int, *, pairs: int, seed: int) -> "Walks":
        """Draw pairs of an ordering and the same backwards."""
        chance = np.random.default_rng(seed)
        orders = np.array([chance.permutation(groups) for _ in range(pairs)], dtype=np.int64)
        return cls.along(np.concatenate([orders, orders[:, ::-1]]))

    def contributions(self, worth: Array) -> Array:
        """Return what each group adds, shape (n, g), from the worth of the coalitions, shape (n, c)."""
        added = np.zeros((len(worth), self.orders.shape[1]))
        for order, stops in zip(self.orders, self.stops, strict=True):
            added[:, order] += np.diff(worth[:, stops], axis=1)
        found: Array = added / len(self.orders)
        return found


def coalition_worth(
    score: Score, own: Array, reference: Array, walks: Walks, columns: Sequence[Sequence[int]]
) -> Array:
    """Return the score of every customer for every coalition, shape (n, c).

    Parameters
    ----------
    own, reference : shape (n, n_features)
        A customer's features, and those of the customer they are held against.
    columns
        The columns of each group; together every column once.
    """
    takes = np.zeros((len(walks.coalitions), own.shape[1]), dtype=bool)
    for group, its_columns in enumerate(columns):
        takes[:, list(its_columns)] = walks.coalitions[:, [group]]
    worth = [
        score(np.where(takes, own[part, None], reference[part, None]).reshape(-1, own.shape[1]))
        for part in _parts(len(own), max(ROWS_AT_ONCE // len(takes), 1))
    ]
    return np.concatenate([np.empty(0), *worth]).reshape(len(own), len(takes))


def _parts(count: int, size: int) -> Iterator[slice]:
    for start in range(0, count, size):
        yield slice(start, start + size)
