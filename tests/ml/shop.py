"""A small simulated shop in published tables: who lapses and who likes what is known, because it was drawn."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from core.published import Published
from core.settings import Settings
from ml.churn.features import FEATURE_NAMES
from ml.windows import training_cutoffs

AS_OF = date(2017, 12, 4)
FIRST = date(2017, 4, 1)
CUSTOMERS = [f"c{number:03d}" for number in range(200)]
PRODUCTS = [f"p{number:02d}" for number in range(60)]
NEWCOMER = "c999"  # has features, but bought nothing that may be recommended


def settings_of(folder: Path) -> Settings:
    return Settings(_env_file=None, data_dir=folder, token_key="k" * 40)


def simulated_examples(seed: int = 5) -> pa.Table:
    """Customers with a rhythm of their own lapse when they are late by it, not by the calendar."""
    rng = np.random.default_rng(seed)
    cutoffs = training_cutoffs(AS_OF, 28, first=FIRST)
    rows = len(CUSTOMERS) * len(cutoffs)
    gap = rng.choice([3.0, 10.0, 40.0], rows)
    recency = np.minimum(np.ceil(rng.exponential(gap)), 190.0)
    chance = 1 / (1 + np.exp(-(2.5 * np.log(recency / gap) - 0.5)))
    columns = dict.fromkeys(FEATURE_NAMES, np.ones(rows)) | {
        "recency_days": recency,
        "gap_mean_days": gap,
        "gap_std_days": gap / 2,
        "gap_ratio": recency / gap,
        "gap_last_days": gap,
        "gap_median_days": gap,
        "gap_p90_days": 2 * gap,
        "gap_max_days": 2 * gap,
        "tenure_days": np.full(rows, 200.0),
        "orders_lifetime_count": np.full(rows, 10.0),
        "spend_lifetime_cents": np.full(rows, 40_000.0),
    }
    return pa.table(
        {
            "customer_id": np.tile(CUSTOMERS, len(cutoffs)),
            "as_of_date": pa.array([day for day in cutoffs for _ in CUSTOMERS], pa.date32()),
            **columns,
            "top_category": ["tea"] * rows,
            "lifecycle_stage": np.where(recency > 3 * gap, "lapsing", "active"),
            "locale": np.tile(["en", "de", "zh", "en"], rows // 4),
            "has_churned": rng.random(rows) < chance,
        }
    )


def simulated_features() -> pa.Table:
    """The features of `AS_OF`, a row per customer and one for the newcomer."""
    table = simulated_examples(seed=6).slice(0, len(CUSTOMERS) + 1).drop_columns(["locale", "has_churned"])
    table = table.set_column(0, "customer_id", pa.array([*CUSTOMERS, NEWCOMER]))
    return table.set_column(1, "as_of_date", pa.array([AS_OF] * len(table), pa.date32()))


def simulated_purchases(seed: int = 7) -> tuple[pa.Table, pa.Table]:
    """Even customers like the first half of the products, odd ones the second; each buys four of them a month."""
    rng = np.random.default_rng(seed)
    half = len(PRODUCTS) // 2
    rows = []
    for number, customer in enumerate(CUSTOMERS):
        liked = PRODUCTS[:half] if number % 2 == 0 else PRODUCTS[half:]
        for month in range((AS_OF - FIRST).days // 28):
            for product in rng.choice(liked, 4, replace=False):
                day = FIRST + timedelta(days=28 * month + int(rng.integers(28)))
                rows.append((customer, str(product), day))
    rows.append((NEWCOMER, "fuel", FIRST))
    rows += [(customer, "fuel", FIRST + timedelta(days=9)) for customer in CUSTOMERS[:100]]
    rows += [(customer, "gone", FIRST + timedelta(days=3)) for customer in CUSTOMERS[:90:2]]
    customers, products, days = zip(*sorted(set(rows)), strict=True)
    interactions = pa.table(
        {
            "customer_id": pa.array(customers),
            "product_id": pa.array(products),
            "ordered_date": pa.array(days, pa.date32()),
            "line_count": pa.array([1] * len(days), pa.int64()),
            "quantity": pa.array([2] * len(days), pa.int64()),
        }
    )
    return interactions, product_table()


def product_table() -> pa.Table:
    """All in trade but fuel (never recommended), `gone` (not sold for months) and `p00` (no price)."""
    ids = ["fuel", "gone", *PRODUCTS]
    return pa.table(
        {
            "product_id": pa.array(ids),
            "price_cents": pa.array([None if each == "p00" else 199 for each in ids], pa.int64()),
            "last_sold_date": pa.array(
                [AS_OF - timedelta(days=200 if each == "gone" else 2) for each in ids], pa.date32()
            ),
            "first_known_date": pa.array([FIRST] * len(ids), pa.date32()),
            "is_recommendable": pa.array([each != "fuel" for each in ids]),
            "category": pa.array([f"shelf {place % 5}" for place in range(len(ids))]),
            "subcategory": pa.array([f"kind {place % 15}" for place in range(len(ids))]),
            "name": pa.array([f"product {each}" for each in ids]),
            "brand": pa.array(["ours" if place % 2 else None for place in range(len(ids))]),
        }
    )


def publish(settings: Settings) -> Published:
    """Publish the simulated shop's four tables for `AS_OF`."""
    published = Published(settings.published)
    interactions, products = simulated_purchases()
    tables = {
        "churn_examples": simulated_examples(),
        "customer_features": simulated_features(),
        "interactions": interactions,
        "products": products,
    }
    for name, rows in tables.items():
        published.write_candidate(name, AS_OF, rows)
        published.release(name, AS_OF)
    return published
