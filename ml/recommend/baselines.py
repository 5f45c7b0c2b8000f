"""What a recommender must beat: what most people buy, and what this customer buys anyway."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

Floats = npt.NDArray[np.float32]
Scorer = Callable[[csr_array], Floats]
"""Counts of order lines (n_customers, n_products) in, scores of the same shape out."""

POPULAR = "popular"
REPEAT = "repeat"


def most_popular(counts: csr_array) -> Scorer:
    """Score each product by the share of customers who bought it, 0 to 1: the same for everybody.

    Also the answer to a cold customer, of whom a model knows nothing.
    """
    buyers = np.bincount(counts.indices, minlength=counts.shape[1])
    shares = (buyers / max(counts.shape[0], 1)).astype(np.float32)
    return lambda some: np.broadcast_to(shares, some.shape)


def repeat_purchases(counts: csr_array) -> Scorer:
    """Score each product by the customer's own orders of it.

    Strong on what customers buy again; of products they never had it says nothing.
    """
    return lambda some: some.toarray().astype(np.float32)


BASELINES: dict[str, Callable[[csr_array], Scorer]] = {POPULAR: most_popular, REPEAT: repeat_purchases}
