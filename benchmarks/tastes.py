"""Makes purchases of any size, seeded and SIMULATED: few customers buy much, few products sell much, and tastes are shared."""

import numpy as np

from ml.recommend.purchases import Histories

TASTES, OWN_SHARE = 50, 0.6
DAYS, MOST = 365, 100
"""A customer buys at most `MOST` times as much as the one who buys least."""


def make_histories(customers: int, products: int, pairs: int, *, seed: int = 1) -> Histories:
    """Return histories of exactly `pairs` pairs of customer and product, one purchase each, order lines geometric (mean 2).

    How much customers buy is Pareto-distributed (shape 1.5), what sells follows Zipf's law with exponent 1: six of ten draws by the
    order of the customer's taste, the others by an order that all share.
    """
    rng = np.random.default_rng(seed)
    busy = np.minimum(rng.pareto(1.5, customers) + 1, MOST)
    orders = np.stack([rng.permutation(products) for _ in range(TASTES)])
    cumulated = np.cumsum(1 / np.arange(1, products + 1))
    found = np.zeros(0, dtype=np.int64)
    while len(found) < pairs:
        draws = pairs // 2
        who = np.searchsorted(np.cumsum(busy), rng.random(draws) * busy.sum())
        rank = np.searchsorted(cumulated, rng.random(draws) * cumulated[-1])
        what = np.where(rng.random(draws) < OWN_SHARE, orders[who % TASTES, rank], rank)
        found = np.union1d(found, who * products + what)
    kept = np.sort(rng.choice(found, pairs, replace=False))
    return Histories.of(
        np.array([f"c{number:07d}" for number in range(customers)]),
        np.array([f"p{number:06d}" for number in range(products)]),
        kept // products,
        kept % products,
        rng.integers(1, DAYS + 1, pairs),
        rng.geometric(0.5, pairs).astype(np.float32),
    )
