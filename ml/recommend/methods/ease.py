"""A shallow autoencoder in closed form, on a history that fades."""

from typing import Self

import numpy as np
import scipy.linalg
import scipy.sparse
from scipy.sparse import csr_array

from ml.recommend.lists import Floats
from ml.recommend.methods.products import ByProduct
from ml.recommend.purchases import Histories

# Looked for on Complete Journey at 2017-10-09 and 2017-11-06, which are judged too: its figures there are a little flattered.
# Of these only the half-life differs from shop to shop; a training tunes it (`ml.recommend.tuning`).
PENALTY, HALF_LIFE_DAYS, KEPT = 300.0, 60.0, 100
LATE_HALF_LIFE_DAYS = 7.0
MOST_PRODUCTS = 3_000
ROWS = 1024


class Ease(ByProduct):
    """Weights between products, none from a product to itself, that reproduce the histories with the least squared error.

    Source: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019, eq. 8. What is reproduced are roots
    of order lines, each line worth half as much for every `half_life_days`. With fewer customers than products the inverse of
    the Gram matrix comes from that of customers (Woodbury's identity), which costs n_customers² · n_products. Only the
    `MOST_PRODUCTS` with most buyers take part, and of the weights into each the `KEPT` of greatest size stay: that costs 0.0009 of
    NDCG@20 of what is new on Complete Journey, and leaves an eighth of the time.
    """

    method = "ease"

    def __init__(self, half_life_days: float = HALF_LIFE_DAYS) -> None:
        super().__init__()
        self.half_life_days = half_life_days

    def history(self, asked: Histories) -> csr_array:
        return _roots(asked, self.half_life_days)

    def scores_of_late(self, asked: Histories) -> Floats:
        """Return what the last purchases speak for, shape (n_customers, n_products): the same weights, but the history fades in days."""
        scores: Floats = (_roots(asked, LATE_HALF_LIFE_DAYS) @ self.similarity).toarray()
        return scores

    def fit(self, found: Histories, *, seed: int) -> Self:
        """Solve for the weights among the products with most buyers."""
        history = self.history(found)
        buyers = np.bincount(history.indices, minlength=found.shape[1])
        most = np.sort(np.argsort(-buyers, kind="stable")[:MOST_PRODUCTS])
        among = weights(history[:, most].toarray(), PENALTY, KEPT).tocoo()
        places = (most[among.coords[0]], most[among.coords[1]])
        self.similarity = csr_array((among.data, places), shape=(found.shape[1], found.shape[1]))
        self.product_ids = found.product_ids
        return self


def _roots(asked: Histories, half_life_days: float) -> csr_array:
    faded = asked.decayed(half_life_days)
    faded.data = np.sqrt(faded.data)
    return faded


def weights(histories: Floats, penalty: float, kept: int) -> csr_array:
    """Return the `kept` greatest weights, by size, into each product, shape (n_products, n_products).

    `histories`: shape (n_customers, n_products); `penalty`, above 0, on squared weights.
    """
    n_customers, n_products = histories.shape
    if n_customers < n_products:
        gram = histories @ histories.T
        root = _root(gram, penalty)
        spanned = scipy.linalg.solve_triangular(root, histories, lower=True, check_finite=False)
        diagonal = (1 - np.einsum("ij,ij->j", spanned, spanned)) / penalty

        def inverse(rows: slice) -> Floats:
            part: Floats = spanned[:, rows].T @ spanned / np.float32(-penalty)
            return part  # of the diagonal's 1 nothing is needed: it is set to 0
    else:
        whole = scipy.linalg.cho_solve(
            (_root(histories.T @ histories, penalty), True), np.eye(n_products, dtype=np.float32)
        )
        diagonal = np.diag(whole).copy()

        def inverse(rows: slice) -> Floats:
            part: Floats = whole[rows]
            return part  # as good as its columns: it is symmetric

    parts = []
    for start in range(0, n_products, ROWS):
        rows = slice(start, min(start + ROWS, n_products))
        into = inverse(rows) / -diagonal[rows, None]
        into[np.arange(len(into)), np.arange(rows.start, rows.stop)] = 0
        parts.append(_greatest(into, kept))
    return csr_array(scipy.sparse.vstack(parts).T.tocsr()) if parts else csr_array((0, 0), dtype=np.float32)


def _root(gram: Floats, penalty: float) -> Floats:
    gram[np.diag_indices_from(gram)] += np.float32(penalty)
    root: Floats = scipy.linalg.cholesky(gram, lower=True, overwrite_a=True, check_finite=False)
    return root


def _greatest(rows: Floats, kept: int) -> csr_array:
    """Keep the `kept` entries of greatest size in each row."""
    some = min(kept, rows.shape[1])
    places = np.sort(np.argpartition(-np.abs(rows), some - 1, axis=1)[:, :some], axis=1)
    values = np.take_along_axis(rows, places, axis=1)
    starts = np.arange(len(rows) + 1) * some
    found = csr_array((values.ravel(), places.ravel(), starts), shape=rows.shape)
    found.eliminate_zeros()
    return found
