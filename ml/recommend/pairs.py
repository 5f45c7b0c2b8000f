"""Pairs of a customer and a product, where a table of all customers by all products would be mostly empty."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from ml.recommend.lists import NONE, Bools, Floats, Ints, Lists


@dataclass(frozen=True)
class Pairs:
    """Customers (rows of a history) and products (its columns), one entry per pair, by customer."""

    rows: Ints
    columns: Ints


def best_of(rows: Ints, products: Ints, scores: Floats, n_customers: int, k: int) -> Lists:
    """Return the k highest scores of each customer among these pairs, as `best` does among all products.

    Each pair stands once; a score of 0 or less is not listed; of equal scores the product that stands first in the catalogue wins.
    """
    speaks = scores > 0
    rows, products, scores = rows[speaks], products[speaks], scores[speaks]
    order = np.lexsort((products, -scores, rows))
    rows, products, scores = rows[order], products[order], scores[order]
    places = np.arange(len(rows)) - np.searchsorted(rows, rows)
    listed = places < k
    found = Lists(np.full((n_customers, k), NONE, dtype=np.int64), np.zeros((n_customers, k), np.float32))
    found.products[rows[listed], places[listed]] = products[listed]
    found.scores[rows[listed], places[listed]] = scores[listed]
    return found


def is_in(marked: csr_array, rows: Ints, products: Ints) -> Bools:
    """Say of each pair whether `marked`, shape (n_customers, n_products), has an entry for it."""
    width = marked.shape[1]
    keys = np.repeat(np.arange(marked.shape[0]), np.diff(marked.indptr)) * width + marked.indices
    return np.isin(rows * width + products, keys)
