import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

import ml.recommend.inner_products
from ml.recommend.inner_products import LongestFirst
from ml.recommend.lists import NONE


def sorted_products(scores: np.ndarray, k: int) -> list[list[int]]:
    """The k best above 0 of each row by Python's own stable sort, in whole numbers."""
    best = [sorted(np.flatnonzero(row > 0).tolist(), key=(-row).__getitem__)[:k] for row in scores]
    return [places + [NONE] * (k - len(places)) for places in best]


@settings(deadline=None, max_examples=200)
@given(
    n_customers=st.integers(0, 9),
    n_products=st.integers(0, 300),
    n_factors=st.integers(1, 6),
    k=st.integers(1, 25),
    first=st.sampled_from([1, 7, 60, 1_000]),
    steepness=st.sampled_from([0, 1, 4]),  # of how the lengths of products fall
    excluded_share=st.sampled_from([0.0, 0.2, 1.0]),
    only_share=st.sampled_from([None, 0.0, 0.4]),
    seed=st.integers(0, 2**32 - 1),
)
def test_lists_are_those_of_all_products_sorted(
    n_customers, n_products, n_factors, k, first, steepness, excluded_share, only_share, seed
):
    rng = np.random.default_rng(seed)
    customers = rng.integers(-3, 4, (n_customers, n_factors))  # somebody may have no factor but 0
    products = rng.integers(-3, 4, (n_products, n_factors)) * (
        1 + rng.integers(0, 10, (n_products, 1)) ** steepness
    )
    exclude = rng.random((n_customers, n_products)) < excluded_share
    only = None if only_share is None else rng.random(n_products) < only_share
    scores = np.where(exclude | (False if only is None else ~only), 0, customers @ products.T)
    before = ml.recommend.inner_products.FIRST
    ml.recommend.inner_products.FIRST = first
    try:
        found = LongestFirst(products.astype(np.float32), only).best(
            customers.astype(np.float32), k, csr_array(exclude)
        )
    finally:
        ml.recommend.inner_products.FIRST = before
    expected = sorted_products(scores, k)
    assert found.products.tolist() == expected
    assert found.scores.tolist() == [
        [0.0 if product == NONE else float(row[product]) for product in places]
        for row, places in zip(scores, expected, strict=True)
    ]
