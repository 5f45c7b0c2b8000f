"""Purchases as numbers: who bought what on which day, coded once and cut at any day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_array

from ml.tables import CUSTOMER_ID, IS_RECOMMENDABLE, LINE_COUNT, ORDERED_DATE, PRODUCT_ID

Strings = npt.NDArray[np.str_]
Ints = npt.NDArray[np.int64]

LEAST_LINES = 20
"""A product needs this many purchase lines before a cut-off to be compared with others (issue 5's protocol)."""


@dataclass(frozen=True)
class Purchases:
    """Purchases of recommendable products. Ids are sorted, so codes do not depend on the order of rows."""

    customer_ids: Strings
    product_ids: Strings
    customers: Ints
    products: Ints
    days: npt.NDArray[np.datetime64]
    line_counts: npt.NDArray[np.float32]

    @classmethod
    def of(cls, interactions: pa.Table, products: pa.Table) -> "Purchases":
        """Take the published tables `interactions` and `products` apart.

        Lines without a positive quantity and products that may not be recommended (fuel, say) are left out.
        """
        allowed = products.filter(pc.fill_null(products[IS_RECOMMENDABLE], False))[PRODUCT_ID]
        kept = interactions.filter(
            pc.and_(pc.greater(interactions["quantity"], 0), pc.is_in(interactions[PRODUCT_ID], allowed))
        )
        customer_ids, customers = _coded(kept[CUSTOMER_ID])
        product_ids, codes = _coded(kept[PRODUCT_ID])
        days = kept[ORDERED_DATE].cast(pa.date32()).to_numpy().astype("datetime64[D]")
        return cls(
            customer_ids, product_ids, customers, codes, days, kept[LINE_COUNT].to_numpy().astype(np.float32)
        )

    def first_day(self) -> date | None:
        return self.days.min().item() if len(self.days) else None


@dataclass(frozen=True)
class Histories:
    """Counts of order lines, of customers (rows) by products (columns); every column passed `LEAST_LINES`."""

    customer_ids: Strings
    product_ids: Strings
    counts: csr_array


def catalogue(purchases: Purchases, *, before: date) -> Strings:
    """Return the ids of products with at least `LEAST_LINES` lines before a day, sorted."""
    known = purchases.days < np.datetime64(before)
    lines = np.bincount(
        purchases.products[known], purchases.line_counts[known], minlength=len(purchases.product_ids)
    )
    return purchases.product_ids[lines >= LEAST_LINES]


def histories(
    purchases: Purchases, product_ids: Strings, *, before: date, since: date | None = None
) -> Histories:
    """Return what each customer bought of some products in [since, before).

    Rows are all customers of `purchases`, also those without such a purchase.
    """
    rows = purchases.days < np.datetime64(before)
    if since is not None:
        rows &= purchases.days >= np.datetime64(since)
    columns = _positions(purchases.product_ids, product_ids)[purchases.products[rows]]
    known = columns >= 0
    counts = csr_array(
        (purchases.line_counts[rows][known], (purchases.customers[rows][known], columns[known])),
        shape=(len(purchases.customer_ids), len(product_ids)),
        dtype=np.float32,
    )
    counts.sum_duplicates()
    return Histories(purchases.customer_ids, product_ids, counts)


def rows_of(found: Histories, customer_ids: Sequence[str]) -> Histories:
    """Return the histories of these customers in this order; one who is not known has an empty history."""
    wanted = np.array(customer_ids, dtype=str)
    position = _positions(wanted, found.customer_ids)
    filled = (
        found.counts[np.maximum(position, 0)]
        if len(found.customer_ids)
        else csr_array((len(wanted), len(found.product_ids)), dtype=np.float32)
    )
    known = csr_array((position >= 0).astype(np.float32)[:, None])
    counts = csr_array(filled.multiply(known))
    counts.eliminate_zeros()
    return Histories(wanted, found.product_ids, counts)


def _coded(column: pa.ChunkedArray) -> tuple[Strings, Ints]:
    coded = pc.dictionary_encode(column.combine_chunks())
    names = coded.dictionary.to_numpy(zero_copy_only=False).astype(str)
    order = np.argsort(names, kind="stable")
    rank = np.empty(len(names), dtype=np.int64)
    rank[order] = np.arange(len(names))
    codes = coded.indices.to_numpy().astype(np.int64)
    return names[order], rank[codes] if len(names) else codes


def _positions(names: Strings, among: Strings) -> Ints:
    """Return where each name stands in the sorted array `among`; -1 where it does not."""
    if not len(among):
        return np.full(len(names), -1, dtype=np.int64)
    found = np.minimum(np.searchsorted(among, names), len(among) - 1)
    return np.where(among[found] == names, found, -1)
