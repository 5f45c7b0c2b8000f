"""From customer to customer: what those buy whose purchases are most alike."""

from abc import abstractmethod
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from sklearn.preprocessing import normalize

from ml.recommend.lists import NONE, Floats, Lists, spans
from ml.recommend.methods.protocol import Recommender, log_orders
from ml.recommend.purchases import Histories, Strings
from ml.recommend.reasons import Reasons, liked_by_neighbours

NEIGHBOURS = 200
SAME = 1 - 1e-9
"""Likenesses that are equal may differ by rounding: a share of each that is above this is the same."""
Likeness = npt.NDArray[np.floating]
"""Of 64 bits where it can be: in 32, whose likeness is the 200th greatest is a matter of rounding."""


class ByNeighbours(Recommender):
    """Whatever goes by the customers of the fit whose purchases are most alike; `known`: theirs, shape (n_known, n_products)."""

    def __init__(self) -> None:
        super().__init__()
        self.known: csr_array = csr_array((0, 0), dtype=np.float32)
        self.known_ids: Strings = np.array([], dtype=str)

    @abstractmethod
    def shares(self, asked: Histories) -> csr_array:
        """Return the share of each customer of the fit in what is said of the asked, shape (n_asked, n_known)."""

    def explain_new(self, asked: Histories, lists: Lists) -> Reasons:
        """Count the neighbours, without the customer's own self, who had bought each listed product when this was fitted."""
        buyers, neighbours = np.zeros(lists.products.shape, np.int64), np.zeros(asked.shape[0], np.int64)
        for rows in spans(asked):
            block = asked.between(rows.start, rows.stop)
            alike = (self.shares(block).toarray() > 0) & (block.customer_ids[:, None] != self.known_ids[None])
            neighbours[rows] = alike.sum(axis=1)
            near = np.flatnonzero(alike.any(axis=0))
            counts = alike[:, near].astype(np.float32) @ csr_array(self.known[near] > 0, dtype=np.float32)
            buyers[rows] = np.take_along_axis(counts, np.maximum(lists.products[rows], 0), axis=1)
        return liked_by_neighbours(np.where(lists.products == NONE, 0, buyers), neighbours, lists)


class ByCustomer(ByNeighbours):
    """Scores a product by its mean weight with the `NEIGHBOURS` customers most alike, each counting by their likeness.

    Who is among the customers of the fit is his own first neighbour.
    """

    @abstractmethod
    def likeness(self, asked: csr_array) -> Likeness:
        """Return shape (n_asked, n_known); 0 or less: not alike."""

    def fit(self, found: Histories, *, seed: int) -> Self:
        self.product_ids, self.known_ids = found.product_ids, found.customer_ids
        self.known = log_orders(found.counts)
        return self

    def shares(self, asked: Histories) -> csr_array:
        return nearest(self.likeness(log_orders(asked.counts)), NEIGHBOURS)

    def scores(self, asked: Histories) -> Floats:
        scores: Floats = (self.shares(asked) @ self.known).toarray()
        return scores


class CosineCustomers(ByCustomer):
    """Alike by cosine of log orders.

    Source: Breese, Heckerman & Kadie, "Empirical Analysis of Predictive Algorithms for Collaborative Filtering", UAI
    1998, eq. 3.
    """

    method = "customers_cosine"

    def __init__(self) -> None:
        super().__init__()
        self.units: csr_array = csr_array((0, 0), dtype=np.float64)

    def fit(self, found: Histories, *, seed: int) -> Self:
        super().fit(found, seed=seed)
        self.units = units(self.known)
        return self

    def likeness(self, asked: csr_array) -> Likeness:
        return cosine(asked, self.units)


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


def units(known: csr_array) -> csr_array:
    """Return rows of length 1 as columns, shape (n_products, n_known): made once, for `cosine`."""
    return csr_array(csr_array(normalize(known.astype(np.float64))).T.tocsr())


def cosine(asked: csr_array, units: csr_array) -> Likeness:
    """Return cosines of rows with columns of length 1, shape (n_asked, n_known); 0 where one is empty."""
    alike: Likeness = (csr_array(normalize(asked.astype(np.float64))) @ units).toarray()
    return alike


def nearest(likeness: Likeness, count: int) -> csr_array:
    """Return the greatest `count` likenesses above 0 of each row as shares of their sum.

    Ties at the end stay together; a row without any stays empty.
    """
    likeness = np.maximum(likeness, np.float32(0))
    if likeness.shape[1] > count:
        least = SAME * np.partition(likeness, -count, axis=1)[:, -count, None]
        likeness = np.where(likeness >= least, likeness, np.float32(0))
    return csr_array(normalize(csr_array(likeness), norm="l1"), dtype=np.float32)


def _mean_and_spread(rows: csr_array) -> tuple[np.ndarray, np.ndarray]:
    n = max(rows.shape[1], 1)
    mean = rows.sum(axis=1) / n
    squares = rows.multiply(rows).sum(axis=1) / n
    return mean, np.sqrt(np.maximum(squares - mean**2, 0))
