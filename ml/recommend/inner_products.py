"""The largest inner products of customers' and products' factors, found without computing all of them."""

import numpy as np
from scipy.sparse import csr_array

from ml.recommend.lists import SMALLEST, Bools, Floats, Lists, at_least
from ml.recommend.pairs import best_of

FIRST = 1_000
"""Products scored for everybody. Of 20,000 simulated ones a customer's list lies within the longest 1,100 on average, 2,800 at most."""
ROUNDING = np.float32(1 + 1e-5)
"""By so much a float32 sum of some dozen products may come out above its bound."""


class LongestFirst:
    """Products in the order of the lengths of their factors.

    A score is at most the length of the customer's factors times that of the product's (Cauchy-Schwarz): where that bound
    falls short of a customer's k-th best score so far, no product behind can be among the k best.

    Source: Teflioudi, Gemulla & Mykytiuk, "LEMP: Fast Retrieval of Large Entries in a Matrix Product", SIGMOD 2015.
    """

    def __init__(self, factors: Floats, only: Bools | None = None) -> None:
        """Sort the products that may be shown; `factors`: shape (n_products, n_factors), `only`: shape (n_products,)."""
        allowed = np.arange(len(factors)) if only is None else np.flatnonzero(only)
        lengths = np.linalg.norm(factors[allowed], axis=1)
        order = np.argsort(-lengths, kind="stable")
        self._products, self._lengths = allowed[order], ROUNDING * lengths[order]
        self._factors = np.ascontiguousarray(factors[self._products].T)
        self._places = np.full(
            len(factors), len(allowed)
        )  # those that may not be shown lie behind all others
        self._places[self._products] = np.arange(len(allowed))

    def best(self, customers: Floats, k: int, exclude: csr_array | None = None) -> Lists:
        """Return the k highest scores above 0 of each customer, of equals the first in the catalogue.

        Parameters
        ----------
        customers : shape (n_customers, n_factors)
        exclude : shape (n_customers, n_products)
            An entry for each product a customer must not be shown.
        """
        scores = self._scores(customers, FIRST, exclude)
        reach = at_least(scores, k) / np.maximum(np.linalg.norm(customers, axis=1), SMALLEST)
        needed = int(np.searchsorted(-self._lengths, -reach.min(initial=np.inf), side="right"))
        if needed > FIRST:
            scores = self._scores(customers, needed, exclude)
        rows, places = np.divmod(
            np.flatnonzero(scores >= at_least(scores, k)[:, None]), max(scores.shape[1], 1)
        )
        return best_of(rows, self._products[places], scores[rows, places], len(customers), k)

    def _scores(self, customers: Floats, count: int, exclude: csr_array | None) -> Floats:
        """Return scores of the `count` longest products, 0 where one is excluded."""
        scores: Floats = customers @ self._factors[:, :count]
        if exclude is not None:
            rows, products = exclude.nonzero()
            places = self._places[products]
            is_near = places < scores.shape[1]
            scores[rows[is_near], places[is_near]] = 0
        return scores
