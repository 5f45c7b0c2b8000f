"""From product to product: a score is the sum, over what a customer bought, of how much each purchase speaks for it."""

from typing import Self

import numpy as np
from implicit.nearest_neighbours import ItemItemRecommender, bm25_weight
from scipy.sparse import csr_array, csr_matrix
from sklearn.preprocessing import normalize

from ml.recommend.lists import Floats, Ints
from ml.recommend.methods.protocol import Recommender, log_orders
from ml.recommend.purchases import Histories
from ml.threads import THREADS

NEIGHBOURS = 100
K1, B = 100.0, 0.5


class ByProduct(Recommender):
    """Whatever scores by one matrix, shape (n_products, n_products): row, what was bought; column, what it speaks for."""

    def __init__(self) -> None:
        super().__init__()
        self.similarity: csr_array = csr_array((0, 0), dtype=np.float32)

    def history(self, asked: Histories) -> csr_array:
        """Return how much each product of a history counts, shape (n_customers, n_products)."""
        return log_orders(asked.counts)

    def scores(self, asked: Histories) -> Floats:
        scores: Floats = (self.history(asked) @ self.similarity).toarray()
        return scores

    def resemblance(self, products: Ints, bought: Ints) -> Floats:
        alike: Floats = self.similarity[bought][:, products].toarray().T
        return alike


class ItemNeighbours(ByProduct):
    """Products bought by the same customers, by cosine; each keeps its nearest `NEIGHBOURS`.

    Source: Sarwar, Karypis, Konstan & Riedl, "Item-based collaborative filtering recommendation algorithms", WWW
    2001, section 3.
    """

    method = "item_item"

    def fit(self, found: Histories, *, seed: int) -> Self:
        # CosineRecommender divides by each product's length and hands on another format with a warning: done here
        weights = csr_matrix(normalize(csr_matrix(log_orders(found.counts)).astype(np.float64), axis=0))
        self.similarity = _neighbours(weights)
        self.product_ids = found.product_ids
        return self


class Bm25Neighbours(ByProduct):
    """The same by BM25, each customer a text, each product a word: who buys everything, and what everybody buys, says little.

    Source: Robertson & Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009, section 3.4.
    """

    method = "bm25"

    def fit(self, found: Histories, *, seed: int) -> Self:
        self.similarity = _neighbours(csr_matrix(bm25_weight(csr_matrix(found.counts), K1=K1, B=B)))
        self.product_ids = found.product_ids
        return self


def _neighbours(weights: csr_matrix) -> csr_array:
    """Return inner products of columns, for each row its `NEIGHBOURS` greatest; nothing stands beside itself."""
    model = ItemItemRecommender(K=NEIGHBOURS + 1, num_threads=THREADS)
    model.fit(weights, show_progress=False)
    similarity = csr_array(model.similarity, dtype=np.float32)
    similarity.setdiag(0)
    similarity.eliminate_zeros()
    return similarity
