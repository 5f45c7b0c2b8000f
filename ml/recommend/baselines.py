"""What a recommender must beat: what most people buy, and what this customer buys anyway."""

from typing import Self

import numpy as np

from ml.recommend.lists import NONE, Floats, Lists
from ml.recommend.methods.protocol import AGAIN, Recommender
from ml.recommend.purchases import Histories
from ml.recommend.reasons import Kind, Reasons

POPULAR_HALF_LIFE_DAYS, OWN_HALF_LIFE_DAYS = 28.0, 90.0


class Popular(Recommender):
    """Scores each product by the share of customers who bought it, 0 to 1: the same for everybody.

    Also the answer to a customer of whom nothing is known.
    """

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

    def explain_new(self, asked: Histories, lists: Lists) -> Reasons:
        return Reasons.of(np.where(lists.products != NONE, Kind.POPULAR.value, ""))


class RecentlyPopular(Popular):
    """Scores each product by the share of customers who bought it, each counting by his last purchase's age.

    A purchase of four weeks ago counts half: seasons and promotions pass.
    """

    method = "popular_lately"

    def fit(self, found: Histories, *, seed: int) -> Self:
        """Count each customer once per product, by the newest purchase."""
        fresh = np.float32(0.5) ** (found.ages / np.float32(POPULAR_HALF_LIFE_DAYS))
        newest = found.newest
        weights, products = fresh[newest], found.products[newest]
        total = np.bincount(products, weights, minlength=found.shape[1])
        self.product_ids = found.product_ids
        self.shares = (total / max(found.shape[0], 1)).astype(np.float32)
        return self


class OwnPurchases(Recommender):
    """Scores each product by the customer's own order lines of it: of products they never had it says nothing."""

    method = "own"
    answers = frozenset({AGAIN})

    def fit(self, found: Histories, *, seed: int) -> Self:
        self.product_ids = found.product_ids
        return self

    def scores(self, asked: Histories) -> Floats:
        scores: Floats = asked.counts.toarray()
        return scores


class OwnPurchasesLately(OwnPurchases):
    """The same, where a line counts half for every 90 days that have passed."""

    method = "own_lately"

    def scores(self, asked: Histories) -> Floats:
        scores: Floats = asked.decayed(OWN_HALF_LIFE_DAYS).toarray()
        return scores
