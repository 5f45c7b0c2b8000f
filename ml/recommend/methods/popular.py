"""What most people buy, ever or lately: the same for everybody, and the answer to a customer of whom nothing is known."""

from typing import Self

import numpy as np

from ml.recommend.lists import Bools, Floats
from ml.recommend.methods.protocol import Recommender
from ml.recommend.purchases import Histories

LATELY_HALF_LIFE_DAYS = 28.0


class Popular(Recommender):
    """Scores each product by the share of customers who bought it, 0 to 1."""

    method = "popular"

    def __init__(self) -> None:
        super().__init__()
        self.shares: Floats = np.zeros(0, dtype=np.float32)

    def fit(self, found: Histories, *, seed: int) -> Self:
        buyers = np.bincount(found.counts.indices, minlength=found.shape[1])
        self.product_ids = found.product_ids
        self.shares = (buyers / max(found.shape[0], 1)).astype(np.float32)
        return self

    def scores(self, asked: Histories) -> Floats:
        return np.broadcast_to(self.shares, asked.shape)


class RecentlyPopular(Popular):
    """Scores each product by the share of customers who bought it, each counting by his last purchase's age.

    A purchase of four weeks ago counts half: seasons and promotions pass.
    """

    method = "popular_lately"

    def fit(self, found: Histories, *, seed: int) -> Self:
        fresh = np.float32(0.5) ** (found.ages / np.float32(LATELY_HALF_LIFE_DAYS))
        newest = _begins_pair(found)
        weights, products = fresh[newest], found.products[newest]
        total = np.bincount(products, weights, minlength=found.shape[1])
        self.product_ids = found.product_ids
        self.shares = (total / max(found.shape[0], 1)).astype(np.float32)
        return self


def _begins_pair(found: Histories) -> Bools:
    """Say which purchases are the newest of their customer and product: theirs lie together, newest first."""
    begins: Bools = np.diff(found.products, prepend=-1) != 0
    begins[found.starts[:-1][np.diff(found.starts) > 0]] = True
    return begins
