"""What every way to recommend can do, and what all of them share.

A fitted method scores whatever history it is handed, so that a purchase of yesterday counts in today's list without
training anew. What is fitted is arrays and nothing else, so that skops can save it.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
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


@dataclass(frozen=True)
class Wanted:
    """What shall stand on lists: how many products, and which.

    `exclude`: shape (n_customers, n_products), an entry for each product a customer must not be shown; `only`: shape
    (n_products,), True where a product may be shown at all.
    """

    k: int
    exclude: csr_array | None = None
    only: Bools | None = None

    def of_products(self, columns: Ints) -> Self:
        exclude = None if self.exclude is None else csr_array(self.exclude[:, columns])
        return replace(self, exclude=exclude, only=None if self.only is None else self.only[columns])

    def of_customers(self, rows: Ints) -> Self:
        return replace(self, exclude=None if self.exclude is None else csr_array(self.exclude[rows]))

    def of_all(self, scores: Floats, rows: slice) -> Lists:
        """Return lists of a block of customers, of any product; `scores` of what may not be shown become 0."""
        if self.exclude is not None:
            scores[self.exclude[rows].nonzero()] = 0
        if self.only is not None:
            scores *= self.only.astype(np.float32)
        return top(scores, self.k)

    def of_bought(self, scores: Floats, block: Histories, rows: slice) -> Lists:
        """Return lists of a block of customers, of products they bought before and of no others."""
        counts = block.counts
        row, products = np.repeat(np.arange(block.shape[0]), np.diff(counts.indptr)), counts.indices
        theirs = scores[row, products]
        if self.only is not None:
            theirs[~self.only[products]] = 0
        if self.exclude is not None:
            theirs[is_in(self.exclude[rows], row, products)] = 0
        return best_of(row, products, theirs, block.shape[0], self.k)


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
        """Return the k best products of each customer, best first; of equals the first in the catalogue."""
        return self.lists(asked, {NEW: Wanted(k, exclude, only)})[NEW]

    def lists(self, asked: Histories, wanted: Mapping[str, Wanted]) -> dict[str, Lists]:
        """Return lists by question, all from the same scores: of what was bought before for `AGAIN`, else of anything."""

        def of_block(rows: slice) -> list[Lists]:
            block = asked.between(rows.start, rows.stop)
            scores = np.require(self.scores(block), requirements=["C", "W"])
            found = {AGAIN: wanted[AGAIN].of_bought(scores, block, rows)} if AGAIN in wanted else {}
            if NEW in wanted:
                found[NEW] = wanted[NEW].of_all(scores, rows)  # the last: it takes scores away
            return [found[question] for question in wanted]

        found = zip(*side_by_side(of_block, spans(asked)), strict=True)
        return {question: stacked(each) for question, each in zip(wanted, found, strict=True)}

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
