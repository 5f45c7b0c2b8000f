"""What every way to recommend can do, and what all of them share.

A fitted method scores whatever history it is handed, so that a purchase of yesterday counts in today's list without
training anew. What is fitted is arrays and nothing else, so that skops can save it.
"""

from abc import ABC, abstractmethod
from typing import Self

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from ml.recommend.lists import NONE, Bools, Floats, Ints, Lists, spans, stacked, top
from ml.recommend.pairs import best_of, is_in
from ml.recommend.purchases import Histories, Strings
from ml.recommend.reasons import Reasons, bought, dated, resembling
from ml.recommend.rhythms import Rhythms
from ml.threads import side_by_side

SHOWN = 12
NEW, AGAIN = "new", "again"
"""What is asked of a recommender: what would they love that they never had, and what will they buy again."""


class Recommender(ABC):
    """Scores products from a customer's own purchases, and says why each stands on a list.

    `answers`: the questions whose published lists it may make; of products bought before most methods say too little.
    """

    method: str
    answers: frozenset[str] = frozenset({NEW})
    product_ids: Strings

    def __init__(self) -> None:
        self.product_ids = np.array([], dtype=str)

    @abstractmethod
    def fit(self, found: Histories, *, seed: int) -> Self:
        """Learn from the histories of all customers; the catalogue becomes theirs."""

    def renew(self, found: Histories, *, seed: int) -> Self:
        """Learn from newer histories what is cheap to learn anew: of most methods, everything."""
        return self.fit(found, seed=seed)

    def meet(self, everybody: Histories) -> Self:
        """Take in those whose purchases may speak for others'; they are not part of what is saved."""
        return self

    @abstractmethod
    def scores(self, asked: Histories) -> Floats:
        """Return shape (n_customers, n_products); 0 or less says nothing in favour of the product.

        The array is the caller's to change, or read-only.
        """

    def recommend(
        self, asked: Histories, k: int, *, exclude: csr_array | None = None, only: Bools | None = None
    ) -> Lists:
        """Return the k best products of each customer, best first; of equals the first in the catalogue.

        `exclude`: shape (n_customers, n_products), an entry for each product a customer must not be shown; `only`: shape
        (n_products,), True where a product may be shown at all.
        """

        def of_block(rows: slice) -> Lists:
            scores = np.require(self.scores(asked.between(rows.start, rows.stop)), requirements=["C", "W"])
            if exclude is not None:
                scores[exclude[rows].nonzero()] = 0
            if only is not None:
                scores *= only.astype(np.float32)
            return top(scores, k)

        return stacked(side_by_side(of_block, spans(asked)))

    def again(
        self, asked: Histories, k: int, *, exclude: csr_array | None = None, only: Bools | None = None
    ) -> Lists:
        """Return lists as `recommend` does, of products that the customer bought before and of no others."""

        def of_block(rows: slice) -> Lists:
            block = asked.between(rows.start, rows.stop)
            counts = block.counts
            row, products = np.repeat(np.arange(block.shape[0]), np.diff(counts.indptr)), counts.indices
            scores = self.scores(block)[row, products]
            if only is not None:
                scores = np.where(only[products], scores, np.float32(0))
            if exclude is not None:
                scores[is_in(exclude[rows], row, products)] = 0
            return best_of(row, products, scores, block.shape[0], k)

        return stacked(side_by_side(of_block, spans(asked)))

    def explain(self, asked: Histories, lists: Lists) -> Reasons:
        """Return why each product of the lists that this method made for these customers stands there.

        Of what was bought before, the customer's own rhythm; of what is new, what `explain_new` says. All of it is read
        off the same histories the lists were made from.
        """
        rhythms = Rhythms.of(asked)
        own = bought(rhythms, lists)
        new = Lists(np.where(own.kinds == "", lists.products, NONE), lists.scores)
        return dated(own.or_else(self.explain_new(asked, new)), rhythms)

    def explain_new(self, asked: Histories, lists: Lists) -> Reasons:
        """Say why products that were never bought are listed: the bought product that each resembles most."""
        return resembling(self.resemblance, asked, lists)

    def resemblance(self, products: Ints, bought: Ints) -> Floats:
        """Return shape (n_products, n_bought): how much a product resembles a bought one; 0 or less: not at all.

        Methods that do not go from purchase to product see no resemblance.
        """
        return np.zeros((len(products), len(bought)), dtype=np.float32)

    def predict(self, purchases: pd.DataFrame) -> pd.DataFrame:
        """Return customer_id, rank, product_id, score: up to `SHOWN` products a customer never bought before.

        `purchases`: rows of customer_id, product_id, days_ago (1 or more), line_count. This is the face MLflow shows.
        """
        customers, rows = np.unique(purchases["customer_id"].to_numpy(dtype=str), return_inverse=True)
        places = {product: place for place, product in enumerate(self.product_ids)}
        columns = np.array([places.get(product, NONE) for product in purchases["product_id"]], dtype=np.int64)
        known = columns != NONE
        ages = purchases["days_ago"].to_numpy(dtype=np.int64)[known]
        lines = purchases["line_count"].to_numpy(dtype=np.float32)[known]
        asked = Histories.of(customers, self.product_ids, rows[known], columns[known], ages, lines)
        found = self.recommend(asked, SHOWN, exclude=asked.counts)
        row, rank = np.nonzero(found.products != NONE)
        return pd.DataFrame(
            {
                "customer_id": customers[row],
                "rank": (rank + 1).astype(float),  # MLflow warns of integers, which cannot be missing
                "product_id": self.product_ids[found.products[row, rank]],
                "score": found.scores[row, rank].astype(float),
            }
        )


def log_orders(counts: csr_array) -> csr_array:
    """Return log(1 + order lines): the tenth carton of milk says less than the first."""
    weights = csr_array(counts, dtype=np.float32, copy=True)
    weights.data = np.log1p(weights.data)
    return weights
