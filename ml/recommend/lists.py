"""From scores to lists of products: what may be on a list, ties, and what fills a list that stays short."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from ml.recommend.purchases import Histories

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

NONE = -1
"""In a list of products: no product."""
BLOCK = 512
"""Customers scored at once: with 12,000 products, 25 MB per array of float32."""
SMALLEST = np.finfo(np.float32).tiny


@dataclass(frozen=True)
class Lists:
    """The best products of each customer, best first: positions in the catalogue (`NONE` at the end) and scores."""

    products: Ints
    scores: Floats


def best(scores: Floats, allowed: Bools, k: int) -> Lists:
    """Return the k highest scores of each row among the allowed products.

    Parameters
    ----------
    scores : shape (n_customers, n_products)
        A score of 0 or less says nothing in favour of a product: it is not listed.
    allowed : shape (n_customers, n_products)

    Returns
    -------
    Shape (n_customers, k). Of equal scores the product that stands first in the catalogue wins, always.
    """
    n_customers, n_products = scores.shape
    usable = np.ascontiguousarray(np.where(allowed, scores, np.float32(0)))
    if n_products > k:
        least = np.maximum(np.partition(usable, n_products - k, axis=1)[:, n_products - k], SMALLEST)
    else:
        least = np.full(n_customers, SMALLEST, dtype=np.float32)
    # k per row, and more where the last place is tied; np.nonzero on two axes takes fifteen times as long
    rows, products = np.divmod(np.flatnonzero(usable >= least[:, None]), n_products)
    values = usable[rows, products]
    order = np.lexsort((products, -values, rows))
    rows, products, values = rows[order], products[order], values[order]
    starts = np.searchsorted(rows, np.arange(n_customers))
    places = np.arange(len(rows)) - starts[rows]
    listed = places < k
    found = Lists(
        np.full((n_customers, k), NONE, dtype=np.int64), np.zeros((n_customers, k), dtype=np.float32)
    )
    found.products[rows[listed], places[listed]] = products[listed]
    found.scores[rows[listed], places[listed]] = values[listed]
    return found


def filled(lists: Lists, fallback: Lists) -> tuple[Lists, Bools]:
    """Put products of the fallback, best first, where a list is short; and say where that was done.

    The fallback must be as long as the lists, so that a product that is on both leaves none short.
    """
    products, scores = lists.products.copy(), lists.scores.copy()
    from_fallback = np.zeros(products.shape, dtype=bool)
    for row in np.nonzero((products == NONE).any(axis=1))[0]:
        start = int((products[row] != NONE).sum())
        fresh = ~np.isin(fallback.products[row], products[row, :start]) & (fallback.products[row] != NONE)
        extra = np.nonzero(fresh)[0][: products.shape[1] - start]
        places = slice(start, start + len(extra))
        products[row, places] = fallback.products[row, extra]
        scores[row, places] = fallback.scores[row, extra]
        from_fallback[row, places] = True
    return Lists(products, scores), from_fallback


def blocks(asked: Histories) -> Iterator[Histories]:
    """Yield the customers in blocks, so that scoring takes memory for `BLOCK` of them, however many there are."""
    for start in range(0, max(asked.shape[0], 1), BLOCK):  # nobody at all is one block of no rows
        yield asked.between(start, start + BLOCK)


def stacked(found: Sequence[Lists]) -> Lists:
    """Put the lists of blocks of customers under each other."""
    return Lists(
        np.concatenate([lists.products for lists in found]), np.concatenate([lists.scores for lists in found])
    )


def never_bought(counts: csr_array) -> Bools:
    """Return shape (n_customers, n_products): True where a customer has not bought the product."""
    unknown = np.ones(counts.shape, dtype=bool)
    rows, columns = counts.nonzero()
    unknown[rows, columns] = False
    return unknown
