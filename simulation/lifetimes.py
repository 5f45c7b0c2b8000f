"""SIMULATED customers of whom the BG/NBD and Gamma-Gamma truth is known: their past and their future, order by order.

Arithmetic of the two models' assumptions and of nothing else; see `ml/lifetime` for the models. Time is in days, and a
fraction of a day counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Parameters = Sequence[float] | Array
ORDERS = (0.9, 22.0, 0.5, 3.0)
"""r, alpha (days), a and b of a shop where nothing else is said."""
AMOUNTS = (6.0, 4.0, 1500.0)
"""p, q and gamma (cents) of it."""
NEVER = np.inf


@dataclass(frozen=True)
class SimulatedLifetimes:
    """Customers with the first order at `age` days before now. All arrays have shape (n,).

    Past: `repeats` orders after the first, the last of them `last` days after it, `mean_cents` of all orders so far.
    Hidden: `rate` per day while active, `leaving` after each repeat order. Future: `orders_ahead` and `spent_cents` in
    the horizon, and `next_order_days` from now, infinite for who has left.
    """

    repeats: Array
    last: Array
    age: Array
    mean_cents: Array
    rate: Array
    leaving: Array
    orders_ahead: Array
    spent_cents: Array
    next_order_days: Array


def simulate_lifetimes(
    customers: int,
    *,
    seed: int,
    orders: Parameters = ORDERS,
    amounts: Parameters = AMOUNTS,
    horizon_days: float = 180.0,
) -> SimulatedLifetimes:
    """Draw customers whose first orders lie 30 to 365 days before now."""
    chance = np.random.default_rng(seed)
    drawn = [_one_customer(chance, orders, amounts, horizon_days) for _ in range(customers)]
    return SimulatedLifetimes(*(np.array(column, dtype=np.float64) for column in zip(*drawn, strict=True)))


def _one_customer(
    chance: np.random.Generator, orders: Parameters, amounts: Parameters, horizon_days: float
) -> tuple[float, ...]:
    (r, alpha, a, b), (p, q, gamma) = orders, amounts
    age = chance.uniform(30.0, 365.0)
    rate, leaving, per_cent = chance.gamma(r) / alpha, chance.beta(a, b), chance.gamma(q) / gamma
    moments = _order_moments(chance, rate, leaving, until=age + horizon_days)
    past = [moment for moment in moments if moment <= age]
    ahead = [moment for moment in moments if moment > age]
    within = [moment for moment in ahead if moment <= age + horizon_days]
    paid = chance.gamma(p, size=len(past)) / per_cent
    spent = (chance.gamma(p, size=len(within)) / per_cent).sum()
    return (
        len(past) - 1, past[-1], age, paid.mean(), rate, leaving, len(within), spent, ahead[0] - age if ahead else NEVER,
    )  # fmt: skip


def _order_moments(chance: np.random.Generator, rate: float, leaving: float, *, until: float) -> list[float]:
    """Return the moments of all orders up to `until` and of the first after it, if the customer is there still."""
    moments = [0.0]
    while moments[-1] <= until:
        moments.append(moments[-1] + chance.exponential() / rate)
        if chance.random() < leaving:
            break
    return moments
