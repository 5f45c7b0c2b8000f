"""Makes purchases of any size, seeded and SIMULATED: few customers buy much, few products sell much, and tastes are shared."""

from datetime import date, timedelta

import numpy as np
import pyarrow as pa

from ml.recommend.purchases import Histories, Purchases

TASTES, OWN_SHARE = 50, 0.6
DAYS, MOST = 365, 100
"""A customer buys at most `MOST` times as much as the one who buys least."""
ATTRIBUTES = {"category": 50, "subcategory": 800, "name": 8_000, "brand": 200}
"""How many there are of each; which product has which says nothing of who buys it."""
LAST_DAY = date(2025, 1, 1)
"""The first day of which the shop knows nothing."""


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
        attributes={name: rng.integers(count, size=products) for name, count in ATTRIBUTES.items()},
    )


def purchases_of(found: Histories) -> Purchases:
    """Return the same purchases as those before `LAST_DAY`."""
    days = np.datetime64(LAST_DAY) - found.ages.astype("timedelta64[D]")
    texts = np.full(len(found.product_ids), "", dtype=str)
    return Purchases(
        found.customer_ids, found.product_ids, found.customers, found.products, days, found.line_counts,
        found.product_ids, found.attributes, texts,
    )  # fmt: skip


def product_table(found: Histories) -> pa.Table:
    """Return the products as the shop tells of them on `LAST_DAY`: all known for long, sold of late and in stock, but few of some."""
    n = len(found.product_ids)
    return pa.table(
        {
            "product_id": found.product_ids,
            **{
                name: [f"{name} {code}" for code in codes.tolist()]
                for name, codes in found.attributes.items()
            },
            "price_cents": np.full(n, 199),
            "stock_count": np.arange(n) % 1_000,
            "first_known_date": pa.array([LAST_DAY - timedelta(days=DAYS)] * n, pa.date32()),
            "last_sold_date": pa.array([LAST_DAY - timedelta(days=1)] * n, pa.date32()),
            "is_recommendable": np.ones(n, dtype=bool),
        }
    )
