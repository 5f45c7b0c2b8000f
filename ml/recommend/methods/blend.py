"""Factorisation and autoencoder together: one sees tastes that many share, the other single products that go together."""

from typing import Self

import numpy as np

from ml.recommend.lists import Floats, Ints, never_bought
from ml.recommend.methods.ease import HALF_LIFE_DAYS, Ease
from ml.recommend.methods.factors import AlsRecommender
from ml.recommend.methods.protocol import Recommender
from ml.recommend.purchases import Histories


class Blend(Recommender):
    """The sum of both scores, each in units of its root mean square over the products a customer never bought.

    Equal weights: neither is better at every cut-off, and what both place high is bought more often than what one does
    (CombSUM, Fox & Shaw, "Combination of Multiple Searches", TREC-2, 1994).
    """

    method = "blend"

    def __init__(self, half_life_days: float = HALF_LIFE_DAYS) -> None:
        super().__init__()
        self.factors, self.ease = AlsRecommender(), Ease(half_life_days)
        self.strongest: Floats = np.zeros(0, dtype=np.float32)

    def fit(self, found: Histories, *, seed: int) -> Self:
        for member in self.members:
            member.fit(found, seed=seed)
        self.product_ids = found.product_ids
        self.strongest = np.asarray(self.ease.similarity.max(axis=0).toarray(), dtype=np.float32).ravel()
        return self

    @property
    def members(self) -> tuple[Recommender, Recommender]:
        return self.factors, self.ease

    def scores(self, asked: Histories) -> Floats:
        """Return the sum of the members' scores in units of their own, shape (n_customers, n_products)."""
        unknown = never_bought(asked.counts)
        total = np.zeros(asked.shape, dtype=np.float32)
        for member in self.members:
            scores = member.scores(asked)
            size = np.sqrt(np.mean(np.square(scores), axis=1, where=unknown, keepdims=True))
            total += (scores / np.where(size > 0, size, 1)).astype(np.float32)
        return total

    def resemblance(self, products: Ints, bought: Ints) -> Floats:
        """Return the cosine of factors, plus the autoencoder's weight as a share of the greatest into that product."""
        cosine, weight = (member.resemblance(products, bought) for member in self.members)
        greatest = self.strongest[products][:, None]
        alike: Floats = (cosine + weight / np.where(greatest > 0, greatest, 1)).astype(np.float32)
        return alike
