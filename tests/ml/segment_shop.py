"""Customers of four kinds that nobody has to guess: each is drawn around the habits of his kind."""

from datetime import date

import numpy as np
import pyarrow as pa

AS_OF = date(2017, 12, 4)

# recency, orders, spend, basket, discount share, weekend share; one kind per line
KINDS = {
    "lapsing big spenders": (150.0, 60.0, 600_000.0, 2_500.0, 0.10, 0.30),
    "regulars": (3.0, 200.0, 300_000.0, 1_500.0, 0.12, 0.30),
    "bargain hunters": (8.0, 40.0, 60_000.0, 1_500.0, 0.60, 0.30),
    "weekend customers": (8.0, 10.0, 12_000.0, 1_200.0, 0.10, 0.85),
}
COLUMNS = (
    "recency_days",
    "orders_lifetime_count",
    "spend_lifetime_cents",
    "basket_mean_cents",
    "discount_share",
    "weekend_share",
)
IS_SHARE = np.array([name.endswith("_share") for name in COLUMNS])


def truth(count: int = 600) -> np.ndarray:
    """The kind of each customer; the first has 40 %, the others 20 % each."""
    return np.array([0, 1, 0, 2, 3])[np.arange(count) % 5]


def habits(kinds: np.ndarray, *, seed: int = 1, spread: float = 0.2) -> np.ndarray:
    """Draw each customer around his kind: amounts by a factor, shares by a few hundredths."""
    rng = np.random.default_rng(seed)
    centres = np.array(list(KINDS.values()))[kinds]
    noise = rng.normal(0.0, spread, centres.shape)
    return np.where(IS_SHARE, np.clip(centres + noise / 5, 0.0, 1.0), centres * np.exp(noise))


def features_of(values: np.ndarray, day: date = AS_OF, **more: pa.Array) -> pa.Table:
    """A table of features like the published one: some columns are numbers, others are not."""
    count = len(values)
    columns = {
        "customer_id": pa.array([f"c{number:05d}" for number in range(count)]),
        "as_of_date": pa.array([day] * count, pa.date32()),
        **{name: pa.array(values[:, place]) for place, name in enumerate(COLUMNS)},
        "usual_hour": pa.array(np.arange(count) % 24),
        "top_category": pa.array(["tea", "soap"] * (count // 2) + ["tea"] * (count % 2)),
    }
    return pa.table(columns | more)


def planted(**more: pa.Array) -> pa.Table:
    return features_of(habits(truth()), **more)
