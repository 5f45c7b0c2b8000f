"""What this customer buys anyway: strong on what is bought again, mute on what they never had."""

from typing import Self

from ml.recommend.lists import Floats
from ml.recommend.methods.protocol import Recommender
from ml.recommend.purchases import Histories

HALF_LIFE_DAYS = 90.0


class OwnPurchases(Recommender):
    """Scores each product by the customer's own order lines of it."""

    method = "own"

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
        scores: Floats = asked.decayed(HALF_LIFE_DAYS).toarray()
        return scores
