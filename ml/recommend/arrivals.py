"""Cold start: products nobody knows yet, and customers who only looked; both by the words of products."""

from datetime import date
from typing import Self
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_array

from ml.recommend.lists import Floats, Lists
from ml.recommend.methods.content import HALF_LIFE_DAYS, Content
from ml.recommend.purchases import Histories, Strings, positions, rows_of
from ml.recommend.reasons import Kind, Reasons, resembling
from ml.tables import CUSTOMER_ID, FIRST_KNOWN_DATE, LAST_VIEWED_DATE, PRODUCT_ID, STOCK_COUNT
from ml.windows import days_before

NEW_FOR_DAYS = 90
MOST_ARRIVALS = 1_000
LEAST_LIKENESS = 0.1
"""On Complete Journey 95 of 100 pairs of one subcategory have twice that under different names, 98 of 100 pairs of different ones less."""

TIES = 1e-3
"""Up to this share of a score is the customer's turn: of products that are told in the same words each is first for somebody."""


def is_arrival(products: pa.Table, as_of: date) -> pa.ChunkedArray:
    """Say of each product whether the shop first told of it in the last 90 days, and has it or does not count its stock."""
    since = pa.scalar(days_before(as_of, NEW_FOR_DAYS), pa.date32())
    is_new = pc.greater_equal(products[FIRST_KNOWN_DATE].cast(pa.date32()), since)
    if STOCK_COUNT in products.column_names:
        is_new = pc.and_(is_new, pc.fill_null(pc.greater(products[STOCK_COUNT], 0), True))
    return pc.fill_null(is_new, False)


def arrivals(products: pa.Table, allowed: Strings, known: Strings, as_of: date) -> Strings:
    """Return the newest `MOST_ARRIVALS` among new products that may be listed and that a method does not know, sorted."""
    new = products.filter(is_arrival(products, as_of)).sort_by(
        [(FIRST_KNOWN_DATE, "descending"), (PRODUCT_ID, "ascending")]
    )
    ids = new[PRODUCT_ID].to_numpy().astype(str)
    return np.sort(ids[np.isin(ids, allowed) & ~np.isin(ids, known)][:MOST_ARRIVALS])


class NewArrivals(Content):
    """Scores new products by their likeness to what the customer buys, where it is `LEAST_LIKENESS` or more; others not at all."""

    method = "new_arrivals"

    def __init__(self, arrived: Strings) -> None:
        super().__init__()
        self.arrived = arrived
        self.similarity: csr_array = csr_array((0, 0), dtype=np.float32)

    def fit(self, found: Histories, *, seed: int) -> Self:
        super().fit(found, seed=seed)
        n, columns = found.shape[1], positions(self.arrived, found.product_ids)
        shelf = csr_array((np.ones(len(columns), np.float32), (columns, columns)), shape=(n, n))
        self.similarity = _alike(self.words, shelf @ self.words)
        return self

    def scores(self, asked: Histories) -> Floats:
        scores: Floats = (asked.decayed(HALF_LIFE_DAYS) @ self.similarity).toarray()
        columns = positions(self.arrived, self.product_ids)
        scores[:, columns] *= 1 - TIES * _turns(asked.customer_ids, self.arrived)
        return scores

    def explain_new(self, asked: Histories, lists: Lists) -> Reasons:
        return resembling(self.resemblance, asked, lists, kind=Kind.NEW_ARRIVAL)


class Viewed(Content):
    """Scores products by their likeness to those a customer looked at, the same way: what is said before the first purchase."""

    method = "viewed"

    def __init__(self, views: Histories) -> None:
        super().__init__()
        self.views = views

    def scores(self, asked: Histories) -> Floats:
        looks = rows_of(self.views, asked.customer_ids).decayed(HALF_LIFE_DAYS)
        seen = np.unique(looks.indices)
        scores: Floats = (looks[:, seen] @ _alike(self.words[seen], self.words)).toarray()
        return scores

    def explain_new(self, asked: Histories, lists: Lists) -> Reasons:
        views = rows_of(self.views, asked.customer_ids)
        return resembling(self.resemblance, views, lists, kind=Kind.VIEWED)


def views_of(table: pa.Table, product_ids: Strings, as_of: date) -> Histories:
    """Return who looked at which of some products, from the published `product_views` of a day; each counts once."""
    names, rows = np.unique(table[CUSTOMER_ID].to_numpy().astype(str), return_inverse=True)
    columns = positions(table[PRODUCT_ID].to_numpy().astype(str), product_ids)
    days = table[LAST_VIEWED_DATE].cast(pa.date32()).to_numpy().astype("datetime64[D]")
    ages = (np.datetime64(as_of) - days).astype(np.int64)
    known = columns >= 0
    ones = np.ones(known.sum(), dtype=np.float32)
    return Histories.of(names, product_ids, rows[known], columns[known], ages[known], ones)


def _turns(customer_ids: Strings, product_ids: Strings) -> Floats:
    """Return shape (n_customers, n_products), 0 to 1, as if drawn evenly; the same for the same ids."""
    whose, what = (
        np.array([crc32(each.encode()) for each in ids.tolist()], dtype=np.uint32)
        for ids in (customer_ids, product_ids)
    )
    mixed = (whose[:, None] ^ what) * np.uint32(2_654_435_761)  # Knuth's multiplicative hashing; it wraps
    return (mixed / np.float32(2**32)).astype(np.float32)


def _alike(words: csr_array, others: csr_array) -> csr_array:
    """Return the cosines of rows of words, 0 where they are below `LEAST_LIKENESS`."""
    alike = csr_array(words @ others.T)
    alike.data[alike.data < LEAST_LIKENESS] = 0
    alike.eliminate_zeros()
    return alike
