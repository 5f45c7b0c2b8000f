"""Shops whose every order is known, also those after the training day, so that what comes can be counted."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import numpy as np
import pyarrow as pa

from core.published import Published
from core.settings import Settings
from ml.windows import training_cutoffs

AS_OF = date(2017, 12, 4)
BEGAN = date(2017, 1, 2)
END = AS_OF + timedelta(days=84)
CUTOFFS = training_cutoffs(AS_OF, 28, first=date(2017, 7, 10))
"""Every fortnight from 17 July to 6 November."""

Order = tuple[date, int]
Orders = Mapping[str, Sequence[Order]]
"""Customer → day and cents of each order, oldest first; one a day at most."""


def alike(cents: int = 1_000) -> Orders:
    """200 customers who order every 7 days for `cents`, and 200 who did so until March and never again."""
    orders = {}
    for kind, until in (("weekly", END), ("gone", BEGAN + timedelta(days=63))):
        for number in range(200):
            first = BEGAN + timedelta(days=number % 7)
            weeks = -(-(until - first).days // 7)
            orders[f"{kind}{number:03d}"] = [
                (first + timedelta(days=7 * week), cents) for week in range(weeks)
            ]
    return orders


def drawn(customers: int = 400, *, seed: int = 3) -> Orders:
    """Customers as the models suppose them: a rate, a chance to leave after each order and a price level of their own."""
    chance = np.random.default_rng(seed)
    orders: dict[str, list[Order]] = {}
    for number in range(customers):
        rate, leaving, level = chance.gamma(1.5) / 20.0, chance.beta(0.5, 6.0), 1_500.0 / chance.gamma(4.0)
        day, own = float(chance.integers(0, 180)), orders.setdefault(f"c{number:03d}", [])
        while day < (END - BEGAN).days:
            when, paid = BEGAN + timedelta(days=int(day)), int(chance.gamma(5.0) * level) + 1
            if not own or own[-1][0] < when:
                own.append((when, paid))
            if chance.random() < leaving:
                break
            day += chance.exponential() / rate
    return orders


def spent(orders: Orders, customer: str, first: date, end: date) -> int:
    """Count what a customer spends from a day on, and before another."""
    return sum(cents for day, cents in orders[customer] if first <= day < end)


def features_at(day: date, orders: Orders) -> pa.Table:
    """Return what `customer_features` says of a day: orders before it only, and customers with any."""
    rows = []
    for customer, own in orders.items():
        past = [when for when, _ in own if when < day]
        if past:
            row = {
                "customer_id": customer,
                "as_of_date": day,
                "tenure_days": (day - past[0]).days,
                "recency_days": (day - past[-1]).days,
                "gap_mean_days": (past[-1] - past[0]).days / (len(past) - 1) if len(past) > 1 else None,
                "spend_lifetime_cents": spent(orders, customer, BEGAN, day),
            }
            rows.append(row)
    return pa.Table.from_pylist(rows)


def tables(orders: Orders, cutoffs: Sequence[date] = CUTOFFS) -> dict[str, pa.Table]:
    """Return the tables of `AS_OF` that training and scoring read."""
    known = [(customer, day) for customer, own in orders.items() for day, _ in own if day < AS_OF]
    today = features_at(AS_OF, orders)
    return {
        "churn_examples": pa.concat_tables(
            [today.slice(0, 0), *(features_at(day, orders) for day in cutoffs)]
        ),
        "customer_features": today,
        "interactions": pa.table(
            {
                "customer_id": [customer for customer, _ in known],
                "ordered_date": pa.array([day for _, day in known], pa.date32()),
            }
        ),
    }


def publish(settings: Settings, rows: Mapping[str, pa.Table]) -> Published:
    published = Published(settings.published)
    for name, table in rows.items():
        published.write_candidate(name, AS_OF, table)
        published.release(name, AS_OF)
    return published
