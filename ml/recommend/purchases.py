"""Purchases as numbers: who bought what on which day, coded once and cut at any day."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_array, get_index_dtype

from ml.tables import CATEGORY, CUSTOMER_ID, IS_RECOMMENDABLE, LINE_COUNT, ORDERED_DATE, PRODUCT_ID

Strings = npt.NDArray[np.str_]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

ATTRIBUTES = [CATEGORY, "subcategory", "name", "brand"]
LEAST_LINES = 20
"""A product needs this many purchase lines before a cut-off to be compared with others (issue 5's protocol)."""


@dataclass(frozen=True)
class Purchases:
    """Purchases of recommendable products. Ids are sorted, so codes do not depend on the order of rows.

    `listed_ids`: all products of the shop, bought or not; of each, by attribute of `ATTRIBUTES`, a code (products without one
    share a code), and in `texts` the words of all of them.
    """

    customer_ids: Strings
    product_ids: Strings
    customers: Ints
    products: Ints
    days: npt.NDArray[np.datetime64]
    line_counts: npt.NDArray[np.float32]
    listed_ids: Strings
    attributes: Mapping[str, Ints]
    texts: Strings

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
        lines = kept[LINE_COUNT].to_numpy().astype(np.float32)
        listed = products.select([PRODUCT_ID, *ATTRIBUTES]).sort_by(PRODUCT_ID)
        listed_ids = listed[PRODUCT_ID].to_numpy().astype(str)
        said = {name: pc.fill_null(listed[name], "") for name in ATTRIBUTES}
        attributes = {name: _coded(column)[1] for name, column in said.items()}
        texts = pc.binary_join_element_wise(*said.values(), " ").to_numpy().astype(str)
        return cls(customer_ids, product_ids, customers, codes, days, lines, listed_ids, attributes, texts)

    def attributes_of(self, product_ids: Strings) -> dict[str, Ints]:
        """Return the codes of some products, shape (n_products,) each; those the shop does not list share a code of their own."""
        place = positions(product_ids, self.listed_ids)  # -1: the code that is appended
        return {
            name: np.append(codes, codes.max(initial=-1) + 1)[place]
            for name, codes in self.attributes.items()
        }

    def texts_of(self, product_ids: Strings) -> Strings:
        """Return the words of some products, shape (n_products,); none of those the shop does not list."""
        return np.append(self.texts, "")[positions(product_ids, self.listed_ids)]

    def first_day(self) -> date | None:
        return self.days.min().item() if len(self.days) else None


@dataclass(frozen=True)
class Histories:
    """What customers (rows) bought of products (columns) before a cut-off, purchase by purchase.

    The purchases of customer `i` are entries `starts[i]` to `starts[i + 1]` of the last three arrays, by product and then
    from the newest on: position of the product, days from the purchase to the cut-off (1 or more), order lines.
    `attributes`: a code per product by name of the attribute, where they are known. `texts`: the words of each product, shape
    (n_products,), or none of any. `segments`: a code per customer, -1 without one; None: nobody named any.
    """

    customer_ids: Strings
    product_ids: Strings
    starts: Ints
    products: Ints
    ages: npt.NDArray[np.int32]
    line_counts: Floats
    attributes: Mapping[str, Ints] = field(default_factory=dict)
    texts: Strings = field(default_factory=lambda: np.array([], dtype=str))
    segments: Ints | None = None

    @classmethod
    def of(
        cls,
        customer_ids: Strings,
        product_ids: Strings,
        customers: Ints,
        products: Ints,
        ages: Ints,
        lines: Floats,
        *,
        attributes: Mapping[str, Ints] | None = None,
    ) -> "Histories":
        """Put purchases in order, whatever order they come in: equal purchases make equal histories, bit for bit."""
        oldest = int(ages.max(initial=0)) + 1
        order = np.argsort((customers * len(product_ids) + products) * oldest + ages, kind="stable")
        starts = np.zeros(len(customer_ids) + 1, dtype=np.int64)
        np.cumsum(np.bincount(customers, minlength=len(customer_ids)), out=starts[1:])
        return cls(
            customer_ids,
            product_ids,
            starts,
            products[order],
            ages[order].astype(np.int32),
            lines[order].astype(np.float32),
            attributes or {},
        )

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.customer_ids), len(self.product_ids)

    @property
    def customers(self) -> Ints:
        """The row of each purchase."""
        return np.repeat(np.arange(self.shape[0]), np.diff(self.starts))

    @property
    def newest(self) -> Bools:
        """Which purchases are the newest of their customer and product: those of a pair lie together, newest first."""
        begins: Bools = np.diff(self.products, prepend=-1) != 0
        begins[self.starts[:-1][np.diff(self.starts) > 0]] = True
        return begins

    @cached_property
    def counts(self) -> csr_array:
        """Order lines, shape (n_customers, n_products)."""
        return self.weighed(self.line_counts)

    def decayed(self, half_life_days: float) -> csr_array:
        """Order lines, each worth half as much for every half-life that has passed, shape (n_customers, n_products)."""
        return self.weighed(self.line_counts * np.float32(0.5) ** (self.ages / np.float32(half_life_days)))

    def weighed(self, weights: npt.NDArray[np.floating]) -> csr_array:
        """Sum a weight of each purchase by customer and product, shape (n_customers, n_products)."""
        # copies, since SciPy sums duplicates in place; of 32 bits where they do, or each product of a block of customers
        # with a matrix of 32 bits would first make that matrix anew with 64
        index = get_index_dtype(maxval=max(len(self.products), *self.shape))
        places = (self.products.astype(index), self.starts.astype(index))
        summed = csr_array((weights.astype(np.float32), *places), shape=self.shape)
        summed.sum_duplicates()
        return summed

    def between(self, start: int, end: int) -> "Histories":
        """Return the rows from `start` to before `end`."""
        rows = slice(self.starts[start], self.starts[min(end, len(self.customer_ids))])
        starts = self.starts[start : end + 1] - self.starts[start]
        return replace(
            self,
            customer_ids=self.customer_ids[start:end],
            starts=starts,
            products=self.products[rows],
            ages=self.ages[rows],
            line_counts=self.line_counts[rows],
            segments=None if self.segments is None else self.segments[start:end],
        )

    def days_earlier(self, days: int) -> "Histories":
        """Return what was known so many days earlier: older purchases, their ages counted from then."""
        older = self._chosen(self.ages > days)
        return replace(older, ages=older.ages - np.int32(days))

    def lately(self, days: int) -> "Histories":
        """Return the purchases of the last days."""
        return self._chosen(self.ages <= days)

    def _chosen(self, entries: Bools) -> "Histories":
        before = np.concatenate([[0], np.cumsum(entries)])
        return replace(
            self,
            starts=before[self.starts],
            products=self.products[entries],
            ages=self.ages[entries],
            line_counts=self.line_counts[entries],
        )

    def of_customers(self, rows: Ints, names: Strings) -> "Histories":
        """Return these rows under these names, in this order; -1 is somebody who bought nothing."""
        sizes = np.where(rows < 0, 0, self.starts[rows + 1] - self.starts[rows])
        starts = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum(sizes, out=starts[1:])
        entries = np.arange(starts[-1]) + np.repeat(self.starts[rows] - starts[:-1], sizes)
        return replace(
            self,
            customer_ids=names,
            starts=starts,
            products=self.products[entries],
            ages=self.ages[entries],
            line_counts=self.line_counts[entries],
            segments=None if self.segments is None else np.append(self.segments, -1)[rows],
        )

    def of_buyers(self) -> "Histories":
        """Return the customers who bought anything."""
        rows = np.flatnonzero(np.diff(self.starts))
        return self.of_customers(rows, self.customer_ids[rows])

    def some(self, most: int) -> "Histories":
        """Return at most so many customers, evenly drawn."""
        n = self.shape[0]
        if n <= most:
            return self
        rows = np.linspace(0, n - 1, most).astype(np.int64)
        return self.of_customers(rows, self.customer_ids[rows])

    def of_products(self, columns: Ints) -> "Histories":
        """Return the purchases of some products, given by ascending positions; all customers stay."""
        place = np.full(self.shape[1], -1, dtype=np.int64)
        place[columns] = np.arange(len(columns))
        theirs = self._chosen(place[self.products] >= 0)
        attributes = {name: codes[columns] for name, codes in self.attributes.items()}
        return replace(
            theirs,
            product_ids=self.product_ids[columns],
            products=place[theirs.products],
            attributes=attributes,
            texts=self.texts[columns] if len(self.texts) else self.texts,
        )


def weeks_ago(found: Histories, days: int, *, window_days: int) -> tuple[Histories, Histories]:
    """Return what was known so many days ago, and what was bought in the window from then, of the products known then.

    As a training of that day would have seen it: products with `LEAST_LINES` order lines by then, and who had bought any.
    """
    earlier = found.days_earlier(days)
    lines = np.bincount(earlier.products, earlier.line_counts, minlength=found.shape[1])
    sold = np.flatnonzero(lines >= LEAST_LINES)
    after = found.days_earlier(days - window_days).lately(window_days)
    return earlier.of_products(sold).of_buyers(), after.of_products(sold)


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
    columns = positions(purchases.product_ids, product_ids)[purchases.products[rows]]
    known = columns >= 0
    ages = (np.datetime64(before) - purchases.days[rows][known]).astype("timedelta64[D]").astype(np.int64)
    found = Histories.of(
        purchases.customer_ids,
        product_ids,
        purchases.customers[rows][known],
        columns[known],
        ages,
        purchases.line_counts[rows][known],
        attributes=purchases.attributes_of(product_ids),
    )
    return replace(found, texts=purchases.texts_of(product_ids))


def rows_of(found: Histories, customer_ids: Sequence[str] | Strings) -> Histories:
    """Return the histories of these customers in this order; one who is not known has an empty history."""
    wanted = np.array(customer_ids, dtype=str)
    return found.of_customers(positions(wanted, found.customer_ids), wanted)


def _coded(column: pa.ChunkedArray) -> tuple[Strings, Ints]:
    coded = pc.dictionary_encode(column.combine_chunks())
    names = coded.dictionary.to_numpy(zero_copy_only=False).astype(str)
    order = np.argsort(names, kind="stable")
    rank = np.empty(len(names), dtype=np.int64)
    rank[order] = np.arange(len(names))
    codes = coded.indices.to_numpy().astype(np.int64)
    return names[order], rank[codes] if len(names) else codes


def distinct(keys: Ints) -> Ints:
    """Return each key, 0 or more, once, ascending. `np.unique` hashes: of two million it takes a hundred times as long."""
    ordered = np.sort(keys)
    return ordered[np.diff(ordered, prepend=-1) > 0]


def positions(names: Strings, among: Strings) -> Ints:
    """Return where each name stands in the sorted array `among`; -1 where it does not."""
    if not len(among):
        return np.full(len(names), -1, dtype=np.int64)
    found = np.minimum(np.searchsorted(among, names), len(among) - 1)
    return np.where(among[found] == names, found, -1)
