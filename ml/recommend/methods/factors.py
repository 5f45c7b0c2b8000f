"""Factorisation of implicit feedback, by `implicit`."""

from collections.abc import Mapping
from functools import cached_property
from typing import Self

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix

from ml.recommend.inner_products import LongestFirst
from ml.recommend.lists import Floats, Ints, Lists, spans, stacked
from ml.recommend.methods.protocol import NEW, Recommender, Wanted, log_orders
from ml.recommend.purchases import Histories
from ml.threads import THREADS, side_by_side

# Chosen on Complete Journey at 2017-06-19 and 2017-07-17, before any cut-off that is judged in the demo.
ALS: dict[str, float] = {"factors": 32, "regularization": 10.0, "alpha": 2.0, "iterations": 8}


class AlsRecommender(Recommender):
    """Alternating least squares.

    Source: Hu, Koren & Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008. Confidence
    is 1 + alpha · log(1 + orders). Customers' factors are solved from their history (eq. 4) whenever they are scored.
    """

    method = "als"

    def __init__(self) -> None:
        super().__init__()
        self.factors: Floats = np.zeros((0, int(ALS["factors"])), dtype=np.float32)

    def fit(self, found: Histories, *, seed: int) -> Self:
        model = _solver(seed, THREADS)
        model.fit(csr_matrix(log_orders(found.counts)), show_progress=False)
        self.product_ids, self.factors = found.product_ids, np.asarray(model.item_factors)
        vars(self).pop("solver", None)
        return self

    @cached_property
    def solver(self) -> AlternatingLeastSquares:
        """Whoever solves for customers: it keeps the products of the factors, which take longer than one customer."""
        solver = _solver(seed=0, threads=1)  # blocks of customers are scored side by side
        solver.item_factors = self.factors
        return solver

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if name != "solver"}

    def of_customers(self, asked: Histories) -> Floats:
        """Return the factors of customers, shape (n_customers, n_factors)."""
        weights = csr_matrix(log_orders(asked.counts))
        customers: Floats = self.solver.recalculate_user(np.arange(asked.shape[0]), weights)
        return customers

    def scores(self, asked: Histories) -> Floats:
        scores: Floats = self.of_customers(asked) @ self.factors.T
        return scores

    def lists(self, asked: Histories, wanted: Mapping[str, Wanted]) -> dict[str, Lists]:
        """Return the lists that scores of all products would give; of what is new without scoring them all."""
        if wanted.keys() != {NEW}:
            return super().lists(asked, wanted)
        want = wanted[NEW]
        longest_first = LongestFirst(self.factors, want.only)

        def of_block(rows: slice) -> Lists:
            customers = self.of_customers(asked.between(rows.start, rows.stop))
            return longest_first.best(customers, want.k, None if want.exclude is None else want.exclude[rows])

        return {NEW: stacked(side_by_side(of_block, spans(asked)))}

    def resemblance(self, products: Ints, bought: Ints) -> Floats:
        cosine: Floats = _unit(self.factors[products]) @ _unit(self.factors[bought]).T
        return cosine


def _solver(seed: int, threads: int) -> AlternatingLeastSquares:
    return AlternatingLeastSquares(
        factors=int(ALS["factors"]),
        regularization=ALS["regularization"],
        alpha=ALS["alpha"],
        iterations=int(ALS["iterations"]),
        num_threads=threads,
        random_state=seed,
    )


def _unit(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True).astype(np.float32)
    unit: Floats = (vectors / np.maximum(lengths, np.float32(1e-12))).astype(np.float32)
    return unit
