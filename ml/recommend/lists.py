"""From scores to lists of products: what may be on a list, ties, and what fills a list that stays short."""

from collections.abc import Sequence
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
BLOCK = 256
"""Customers scored at once: with 20,000 products, 20 MB of float32."""
GROUPS_PER_PLACE = 16
"""Groups of products per place of a list: with fewer, two of the best fall into one group more often; more cost time."""
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
    return top(np.where(allowed, scores, np.float32(0)), k)


def top(scores: Floats, k: int) -> Lists:
    """Return the k highest scores above 0 of each row, shape (n_customers, k); of equals the first in the catalogue.

    Nothing is estimated: what is below `at_least` cannot be among the k highest, and the rest is sorted.
    """
    n_customers, n_products = scores.shape
    scores = np.ascontiguousarray(scores)
    # k per row and a few more; np.nonzero on two axes takes fifteen times as long
    rows, products = np.divmod(np.flatnonzero(scores >= at_least(scores, k)[:, None]), n_products)
    values = scores[rows, products]
    order = np.lexsort((products, -values, rows))
    rows, products, values = rows[order], products[order], values[order]
    places = np.arange(len(rows)) - np.searchsorted(rows, np.arange(n_customers))[rows]
    listed = places < k
    found = Lists(
        np.full((n_customers, k), NONE, dtype=np.int64), np.zeros((n_customers, k), dtype=np.float32)
    )
    found.products[rows[listed], places[listed]] = products[listed]
    found.scores[rows[listed], places[listed]] = values[listed]
    return found


def at_least(scores: Floats, k: int) -> Floats:
    """Return per row a score above 0 that the k-th highest does not fall short of, as near to it as can be had cheaply.

    Each of the k groups of products with the highest maxima holds one product that reaches the lowest of them. To find
    the maxima takes a fifth of the time of np.partition on the row.
    """
    n_customers, n_products = scores.shape
    size = max(n_products // (GROUPS_PER_PLACE * k), 1)
    n_groups = n_products // size
    if n_groups < k:
        return np.full(n_customers, SMALLEST, dtype=np.float32)
    # products that are neighbours in the catalogue fall into different groups; the few at its end into none
    highest = scores[:, : size * n_groups].reshape(n_customers, size, n_groups).max(axis=1)
    return np.maximum(np.partition(highest, n_groups - k, axis=1)[:, n_groups - k], SMALLEST)


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


def spans(asked: Histories) -> list[slice]:
    """Return the rows of blocks of `BLOCK` customers, so that scoring takes memory for few, however many there are."""
    starts = range(0, max(asked.shape[0], 1), BLOCK)  # nobody at all is one block of no rows
    return [slice(start, start + BLOCK) for start in starts]


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
