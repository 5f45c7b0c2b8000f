"""SIMULATED customers and what an incentive does to them: who would lapse, who of those it keeps, what they then spend.

Orders and amounts follow BG/NBD and Gamma-Gamma, as in `simulation.lifetimes`. The incentive is given at the end of the past.
A would-be lapser (no order in the horizon) is kept with a known chance, and then orders on the spot and at the rate they
always had, until the horizon ends or they leave after an order, as the model has it. Everybody else orders as they would
have, and takes the incentive too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulation.lifetimes import Parameters

Array = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Habits:
    """A shop's truth: BG/NBD's r, alpha (days), a, b; Gamma-Gamma's p, q, gamma (cents); the chance to keep a would-be lapser."""

    orders: Parameters
    amounts: Parameters
    kept_chance: float


@dataclass(frozen=True)
class Past:
    """What the shop knew at a cut-off, and who then lapsed. All arrays have shape (n,).

    `repeats` orders after the first, the last of them `last` days after it; `age` days since the first; `spent_cents` so far.
    """

    repeats: Array
    last: Array
    age: Array
    spent_cents: Array
    has_lapsed: Bools


@dataclass(frozen=True)
class TreatedShop:
    """Customers at cut-offs a horizon apart, the last one now, and what an incentive given now does; arrays of shape (n,).

    `is_kept`: would lapse, and does not if treated. `spent_if_kept_cents`: what they then spend in the horizon.
    """

    pasts: Sequence[Past]
    is_kept: Bools
    spent_if_kept_cents: Array

    def gained_cents(self, *, margin_share: float, incentive_cents: float, contact_cents: float) -> Array:
        """Return what treating each customer brings over leaving them alone, in cents."""
        buys = ~self.pasts[-1].has_lapsed | self.is_kept
        margin = np.where(self.is_kept, margin_share * self.spent_if_kept_cents, 0.0)
        gained: Array = margin - buys * incentive_cents - contact_cents
        return gained


@dataclass(frozen=True)
class _Customers:
    """Hidden: orders per day while active, the chance to leave after a repeat order, and the inverse scale of amounts."""

    rate: Array
    leaving: Array
    per_cent: Array
    amount_shape: float

    def amounts(self, chance: np.random.Generator, rows: Rows) -> Array:
        return chance.gamma(self.amount_shape, size=len(rows)) / self.per_cent[rows]

    def repeat_orders(self, chance: np.random.Generator, until: Array) -> Iterator[tuple[Rows, Array]]:
        """Yield rounds of repeat orders: who orders, and how long after the first order."""
        rows, moment = np.arange(len(until)), np.zeros(len(until))
        while True:
            moment = moment + chance.exponential(size=len(rows)) / self.rate[rows]
            rows, moment = rows[moment <= until[rows]], moment[moment <= until[rows]]
            if not len(rows):
                return
            yield rows, moment
            stays = chance.random(len(rows)) >= self.leaving[rows]
            rows, moment = rows[stays], moment[stays]


def simulate_treatments(
    customers: int, habits: Habits, *, seed: int, horizon_days: float, cutoffs: int
) -> TreatedShop:
    """Draw customers whose first orders lie 30 to 365 days before the first cut-off."""
    chance = np.random.default_rng(seed)
    drawn = _draw(chance, customers, habits)
    ages = chance.uniform(30.0, 365.0, customers) + horizon_days * np.arange(cutoffs)[:, None]
    pasts = _pasts(chance, drawn, ages, horizon_days)
    is_kept = pasts[-1].has_lapsed & (chance.random(customers) < habits.kept_chance)
    return TreatedShop(pasts, is_kept, _spent_if_kept(chance, drawn, horizon_days))


def _draw(chance: np.random.Generator, customers: int, habits: Habits) -> _Customers:
    (r, alpha, a, b), (p, q, gamma) = habits.orders, habits.amounts
    return _Customers(
        chance.gamma(r, size=customers) / alpha,
        chance.beta(a, b, size=customers),
        chance.gamma(q, size=customers) / gamma,
        p,
    )


def _pasts(chance: np.random.Generator, drawn: _Customers, ages: Array, horizon: float) -> list[Past]:
    """Return the pasts at cut-offs `ages` days after each customer's first order, shape (cut-offs, n)."""
    repeats, last = np.zeros((2, *ages.shape))
    spent = np.tile(drawn.amounts(chance, np.arange(ages.shape[1])), (len(ages), 1))
    has_lapsed = np.ones(ages.shape, dtype=bool)
    for rows, moment in drawn.repeat_orders(chance, ages[-1] + horizon):
        paid = drawn.amounts(chance, rows)
        for number, age in enumerate(ages[:, rows]):
            is_past, is_ahead = moment <= age, (moment > age) & (moment <= age + horizon)
            repeats[number, rows] += is_past
            last[number, rows] = np.where(is_past, moment, last[number, rows])
            spent[number, rows] += np.where(is_past, paid, 0.0)
            has_lapsed[number, rows] &= ~is_ahead
    return [Past(*columns) for columns in zip(repeats, last, ages, spent, has_lapsed, strict=True)]


def _spent_if_kept(chance: np.random.Generator, drawn: _Customers, horizon: float) -> Array:
    everybody = np.arange(len(drawn.rate))
    spent = drawn.amounts(chance, everybody)
    for rows, _ in drawn.repeat_orders(chance, np.full(len(everybody), horizon)):
        spent[rows] += drawn.amounts(chance, rows)
    return spent
