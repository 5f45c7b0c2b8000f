"""From customer to customer: what those buy whose purchases are most alike."""

from abc import abstractmethod
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from sklearn.preprocessing import normalize

from ml.recommend.lists import Floats
from ml.recommend.methods.protocol import Recommender, log_orders
from ml.recommend.purchases import Histories

NEIGHBOURS = 200
SAME = 1 - 1e-9
"""Likenesses that are equal may differ by rounding: a share of each that is above this is the same."""
Likeness = npt.NDArray[np.floating]
"""Of 64 bits where it can be: in 32, whose likeness is the 200th greatest is a matter of rounding."""


class ByCustomer(Recommender):
    """Scores a product by its mean weight with the `NEIGHBOURS` customers most alike, each counting by their likeness.

    Who is among the customers of the fit is his own first neighbour.
    """

    def __init__(self) -> None:
        super().__init__()
        self.known: csr_array = csr_array((0, 0), dtype=np.float32)

    @abstractmethod
    def likeness(self, asked: csr_array) -> Likeness:
        """Return shape (n_asked, n_known); 0 or less: not alike."""

    def fit(self, found: Histories, *, seed: int) -> Self:
        self.product_ids, self.known = found.product_ids, log_orders(found.counts)
        return self

    def scores(self, asked: Histories) -> Floats:
        scores: Floats = nearest(self.likeness(log_orders(asked.counts)), NEIGHBOURS) @ self.known
        return scores


class CosineCustomers(ByCustomer):
    """Alike by cosine of log orders.

    Source: Breese, Heckerman & Kadie, "Empirical Analysis of Predictive Algorithms for Collaborative Filtering", UAI
    1998, eq. 3.
    """

    method = "customers_cosine"

    def likeness(self, asked: csr_array) -> Likeness:
        return cosine(asked, self.known)


class PearsonCustomers(ByCustomer):
    """Alike by Pearson's correlation of log orders over the whole catalogue; a product not bought is a 0 like any other.

    Source: Resnick et al., "GroupLens", CSCW 1994; there over what both rated, which purchases do not have.
    """

    method = "customers_pearson"

    def likeness(self, asked: csr_array) -> Floats:
        """Return correlations, -1 to 1, shape (n_asked, n_known); 0 where a customer bought everything alike or nothing."""
        n_products = asked.shape[1]
        shared = (asked @ self.known.T).toarray() / max(n_products, 1)
        (mean, spread), (mean_known, spread_known) = (_mean_and_spread(each) for each in (asked, self.known))
        spreads = spread[:, None] * spread_known[None]
        covariance = shared - mean[:, None] * mean_known[None]
        likeness: Floats = np.where(spreads > 0, covariance / np.where(spreads > 0, spreads, 1), 0)
        return likeness.astype(np.float32)


def cosine(asked: csr_array, known: csr_array) -> Likeness:
    """Return cosines of rows with rows, shape (n_asked, n_known); 0 where one is empty."""
    asked_unit, known_unit = (csr_array(normalize(each.astype(np.float64))) for each in (asked, known))
    alike: Likeness = (asked_unit @ known_unit.T).toarray()
    return alike


def nearest(likeness: Likeness, count: int) -> Floats:
    """Return the greatest `count` likenesses above 0 of each row as shares of their sum, the others as 0.

    Ties at the end stay together; a row without any is 0 throughout.
    """
    likeness = np.maximum(likeness, np.float32(0))
    if likeness.shape[1] > count:
        least = SAME * np.partition(likeness, -count, axis=1)[:, -count, None]
        likeness = np.where(likeness >= least, likeness, np.float32(0))
    total = likeness.sum(axis=1, keepdims=True)
    return (likeness / np.where(total > 0, total, 1)).astype(np.float32)


def _mean_and_spread(rows: csr_array) -> tuple[np.ndarray, np.ndarray]:
    n = max(rows.shape[1], 1)
    mean = rows.sum(axis=1) / n
    squares = rows.multiply(rows).sum(axis=1) / n
    return mean, np.sqrt(np.maximum(squares - mean**2, 0))
