"""What is bought next, after what was bought last."""

from typing import Self

import numpy as np
import scipy.sparse
from scipy.sparse import csr_array

from ml.recommend.lists import NONE, stacked, top
from ml.recommend.methods.products import NEIGHBOURS, ByProduct
from ml.recommend.purchases import Histories

HALF_LIFE_DAYS, PRIOR = 14.0, 5.0
ROWS = 1024


class Transitions(ByProduct):
    """The share of shopping days with a product whose next shopping day has the other one, both of the same customer.

    A first-order Markov chain (Rendle, Freudenthaler & Schmidt-Thieme, "Factorizing Personalized Markov Chains for
    Next-Basket Recommendation", WWW 2010, eq. 5), each share drawn to 0 by `PRIOR` days. A purchase of two weeks ago
    counts half. Each product keeps its `NEIGHBOURS` greatest shares.
    """

    method = "transitions"

    def history(self, asked: Histories) -> csr_array:
        return asked.decayed(HALF_LIFE_DAYS)

    def fit(self, found: Histories, *, seed: int) -> Self:
        """Count what follows what; the last shopping day of a customer has no next one and does not count."""
        before, after = shopping_days(found)
        together = csr_array(before.T @ after, dtype=np.float32)
        days = np.asarray(before.sum(axis=0)).ravel()
        shares = csr_array(scipy.sparse.diags_array(1 / (days + PRIOR)) @ together)
        self.similarity, self.product_ids = _strongest(shares, NEIGHBOURS), found.product_ids
        return self


def shopping_days(found: Histories) -> tuple[csr_array, csr_array]:
    """Return each shopping day that has a next one, and that next one, as 0 or 1, shape (n_days, n_products)."""
    oldest = int(found.ages.max(initial=0)) + 1
    visits, visit = np.unique(found.customers * oldest + (oldest - found.ages), return_inverse=True)
    ones = np.ones(len(visit), dtype=np.float32)
    bought = csr_array((ones, (visit, found.products)), shape=(len(visits), found.shape[1]))
    bought.sum_duplicates()
    bought.data[:] = 1
    followed = np.flatnonzero(np.diff(visits // oldest, append=-1) == 0)
    return bought[followed], bought[followed + 1]


def _strongest(shares: csr_array, kept: int) -> csr_array:
    """Keep the highest shares of each row; of equal ones the first in the catalogue."""
    found = [top(shares[start : start + ROWS].toarray(), kept) for start in range(0, shares.shape[0], ROWS)]
    if not found:
        return shares
    lists = stacked(found)
    rows, places = np.nonzero(lists.products != NONE)
    return csr_array((lists.scores[rows, places], (rows, lists.products[rows, places])), shape=shares.shape)
