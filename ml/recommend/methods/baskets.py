"""The next basket: how often and how lately a customer bought each product, and those who shop alike."""

from typing import Self

import numpy as np
from scipy.sparse import csr_array
from sklearn.preprocessing import normalize

from ml.recommend.lists import Floats
from ml.recommend.methods.customers import ByNeighbours, cosine, nearest, units
from ml.recommend.purchases import Histories

HALF_LIFE_DAYS, NEIGHBOURS, OWN_SHARE = 90.0, 300, 0.7
DAYS_IN_WEEK = 7


class NextBasket(ByNeighbours):
    """Own shares of faded weekly purchases, seven parts, and those of the `NEIGHBOURS` most alike, three parts.

    Source: Hu, He, Gao & Zhang, "Modeling Personalized Item Frequency Information for Next-basket Recommendation" (TIFU-KNN),
    SIGIR 2020, eqs. 1 to 5; here groups are weeks that fade with time, not with the number of baskets.
    """

    method = "next_basket"

    def __init__(self) -> None:
        super().__init__()
        self.units: csr_array = csr_array((0, 0), dtype=np.float64)

    def fit(self, found: Histories, *, seed: int) -> Self:
        self.product_ids, self.known_ids = found.product_ids, found.customer_ids
        self.known = weekly_shares(found)
        self.units = units(self.known)
        return self

    def shares(self, asked: Histories) -> csr_array:
        return nearest(cosine(weekly_shares(asked), self.units), NEIGHBOURS)

    def scores(self, asked: Histories) -> Floats:
        """Return shares, 0 to 1, shape (n_customers, n_products)."""
        own = weekly_shares(asked)
        scores: Floats = (nearest(cosine(own, self.units), NEIGHBOURS) @ self.known).toarray()
        scores *= np.float32(1 - OWN_SHARE)
        rows = np.repeat(np.arange(own.shape[0]), np.diff(own.indptr))
        scores[rows, own.indices] += np.float32(OWN_SHARE) * own.data
        return scores


def weekly_shares(found: Histories) -> csr_array:
    """Return each product's share of a customer's weekly purchases, faded, shape (n_customers, n_products)."""
    weeks = (found.ages - 1) // DAYS_IN_WEEK
    same = (np.diff(weeks, prepend=-1) == 0) & (np.diff(found.products, prepend=-1) == 0)
    same &= np.diff(found.customers, prepend=-1) == 0
    fresh = np.float32(0.5) ** ((weeks * DAYS_IN_WEEK + 1) / np.float32(HALF_LIFE_DAYS))
    return csr_array(normalize(found.weighed(np.where(same, np.float32(0), fresh)), norm="l1"))
