"""The recommenders that compete. What is fitted is arrays and nothing else, so that skops can save it.

A fitted model knows products, not customers: it scores whatever history it is handed, so that a purchase of
yesterday counts in today's list without training anew.
"""

from collections.abc import Callable
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from implicit.cpu.als import AlternatingLeastSquares
from implicit.nearest_neighbours import ItemItemRecommender as ItemItem
from scipy.sparse import csr_array, csr_matrix
from sklearn.preprocessing import normalize

from ml.recommend.lists import NONE, best, never_bought
from ml.recommend.purchases import Histories, Strings
from ml.threads import THREADS

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

# Chosen on Complete Journey at 2017-06-19 and 2017-07-17, before any cut-off that is judged in the demo.
ALS: dict[str, float] = {"factors": 32, "regularization": 10.0, "alpha": 2.0, "iterations": 8}
ITEM_ITEM: dict[str, float] = {"neighbours": 100}


class Recommender(Protocol):
    """Scores products from a customer's own purchases, and names the purchase a product resembles most."""

    method: str
    product_ids: Strings

    def fit(self, found: Histories, *, seed: int) -> Self: ...

    def predict(self, purchases: pd.DataFrame) -> pd.DataFrame: ...

    def scores(self, counts: csr_array) -> Floats:
        """Return shape (n_customers, n_products); 0 or less says nothing in favour of the product."""
        ...

    def resemblance(self, products: Ints, bought: Ints) -> Floats:
        """Return shape (n_products, n_bought): how much a product resembles a bought one; 0 or less: not at all."""
        ...


class _Predicts:
    """The face MLflow shows: purchases in, twelve products never bought before out."""

    product_ids: Strings
    scores: Callable[[csr_array], Floats]

    def predict(self, purchases: pd.DataFrame) -> pd.DataFrame:
        """Return customer_id, rank, product_id, score from rows of customer_id, product_id, line_count."""
        customers, rows = np.unique(purchases["customer_id"].to_numpy(dtype=str), return_inverse=True)
        places = {product: place for place, product in enumerate(self.product_ids)}
        columns = np.array([places.get(product, NONE) for product in purchases["product_id"]], dtype=np.int64)
        known = columns != NONE
        counts = csr_array(
            (purchases["line_count"].to_numpy(dtype=np.float32)[known], (rows[known], columns[known])),
            shape=(len(customers), len(self.product_ids)),
        )
        found = best(self.scores(counts), never_bought(counts), 12)
        row, rank = np.nonzero(found.products != NONE)
        return pd.DataFrame(
            {
                "customer_id": customers[row],
                "rank": (rank + 1).astype(float),  # MLflow warns of integers, which cannot be missing
                "product_id": self.product_ids[found.products[row, rank]],
                "score": found.scores[row, rank].astype(float),
            }
        )


class AlsRecommender(_Predicts):
    """Factorisation of implicit feedback.

    Source: Hu, Koren & Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008. Confidence
    is 1 + alpha · log(1 + orders): the tenth carton of milk says less than the first. Customers' factors are
    solved from their history (eq. 4) whenever they are scored.
    """

    method = "als"

    def __init__(self) -> None:
        self.product_ids: Strings = np.array([], dtype=str)
        self.factors: Floats = np.zeros((0, int(ALS["factors"])), dtype=np.float32)

    def fit(self, found: Histories, *, seed: int) -> Self:
        model = self._solver(seed)
        model.fit(_weights(found.counts), show_progress=False)
        self.product_ids, self.factors = found.product_ids, np.asarray(model.item_factors)
        return self

    def scores(self, counts: csr_array) -> Floats:
        solver = self._solver(seed=0)
        solver.item_factors = self.factors
        customers = solver.recalculate_user(np.arange(counts.shape[0]), _weights(counts))
        scores: Floats = customers @ self.factors.T
        return scores

    def resemblance(self, products: Ints, bought: Ints) -> Floats:
        cosine: Floats = _unit(self.factors[products]) @ _unit(self.factors[bought]).T
        return cosine

    @staticmethod
    def _solver(seed: int) -> AlternatingLeastSquares:
        return AlternatingLeastSquares(
            factors=int(ALS["factors"]),
            regularization=ALS["regularization"],
            alpha=ALS["alpha"],
            iterations=int(ALS["iterations"]),
            num_threads=THREADS,
            random_state=seed,
        )


class ItemItemRecommender(_Predicts):
    """Products bought by the same customers: a product's score is the sum over the history of its cosines.

    Source: Sarwar, Karypis, Konstan & Riedl, "Item-based collaborative filtering recommendation algorithms", WWW
    2001, section 3. Each product keeps its nearest neighbours only.
    """

    method = "item_item"

    def __init__(self) -> None:
        self.product_ids: Strings = np.array([], dtype=str)
        self.similarity: csr_array = csr_array((0, 0), dtype=np.float32)

    def fit(self, found: Histories, *, seed: int) -> Self:
        """Keep the nearest neighbours of each product by cosine over customers' weighted orders."""
        # CosineRecommender divides by each product's length and hands on another format with a warning: done here
        model = ItemItem(K=int(ITEM_ITEM["neighbours"]), num_threads=THREADS)
        model.fit(
            csr_matrix(normalize(_weights(found.counts).astype(np.float64), axis=0)), show_progress=False
        )
        self.product_ids = found.product_ids
        self.similarity = csr_array(model.similarity, dtype=np.float32)
        return self

    def scores(self, counts: csr_array) -> Floats:
        scores: Floats = (csr_array(_weights(counts)) @ self.similarity).toarray()
        return scores

    def resemblance(self, products: Ints, bought: Ints) -> Floats:
        cosine: Floats = self.similarity[bought][:, products].toarray().T
        return cosine


def _unit(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True).astype(np.float32)
    unit: Floats = (vectors / np.maximum(lengths, np.float32(1e-12))).astype(np.float32)
    return unit


def _weights(counts: csr_array) -> csr_matrix:
    weights = csr_matrix(counts, dtype=np.float32, copy=True)
    weights.data = np.log1p(weights.data)
    return weights


CANDIDATES: dict[str, Callable[[], Recommender]] = {"als": AlsRecommender, "item_item": ItemItemRecommender}
PARAMETERS: dict[str, dict[str, float]] = {"als": ALS, "item_item": ITEM_ITEM}

TRUSTED_TYPES = [
    "ml.recommend.models.AlsRecommender",
    "ml.recommend.models.ItemItemRecommender",
    "scipy.sparse._csr.csr_array",
]
"""What skops may build when it loads a recommender, besides what it trusts by itself."""
