"""What customers will do, with intervals: still active, orders and their worth in a horizon, the day of the next order.

Every customer's future is drawn many times: parameters as unsure as they are, then a rate, a chance to leave and an
amount per order from what the parameters and the customer's own history leave open, then orders. Few customers in the
shop make the parameters unsure, a short history makes the customer unsure; both widen the intervals.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.lifetime.bg_nbd import BgNbd, Histories
from ml.lifetime.fitting import Estimate, bg_nbd_of, fit_bg_nbd, fit_gamma_gamma, gamma_gamma_of
from ml.lifetime.gamma_gamma import GammaGamma, Spending
from ml.threads import THREADS

Array = npt.NDArray[np.float64]
LEVEL = 0.8
"""How often an interval should hold what happens."""
TAIL = (1.0 - LEVEL) / 2.0
DRAWS = 200
"""Parameters drawn where bounds are of a chance."""
FUTURES = 99
"""Drawn for each customer: of 99 the tenth has a tenth of what may happen below it, the ninetieth nine tenths."""
CHUNK = 4_000
"""Customers drawn together: few enough that what is drawn stays in the processor's cache, in 50 MB for all threads. A million
take 40 to 50 s on two cores that have other work."""


@dataclass(frozen=True)
class Forecast:
    """Forecasts of n customers, each array of shape (n,); `_low` and `_high` bound intervals of `LEVEL`.

    `alive`: chance to be active still. `orders`, `value`: expected number of orders and their worth in the horizon; the
    interval of the value is of what will be spent. `next_order`: days from now, if the customer comes back at all; the
    median.
    """

    alive: Array
    orders: Array
    value: Array
    value_low: Array
    value_high: Array
    next_order: Array
    next_order_low: Array
    next_order_high: Array


@dataclass(frozen=True)
class Lifetime:
    """Both models fitted to one shop: what its forecasts are drawn from."""

    orders: Estimate
    spending: Estimate

    @classmethod
    def fit(cls, features: pd.DataFrame) -> "Lifetime":
        """Fit to `customer_features` of one day, a row per customer; without customers only the prior speaks."""
        seen = Histories.of(features)
        return cls(fit_bg_nbd(seen), fit_gamma_gamma(spending_of(features, seen)))

    def forecast(self, features: pd.DataFrame, *, within_days: float, seed: int) -> Forecast:
        """Forecast the time `within_days` from the day of the features, for the customers in the table's order."""
        seen = Histories.of(features)
        return self.forecast_of(seen, spending_of(features, seen), within=within_days, seed=seed)

    def forecast_of(self, seen: Histories, spent: Spending, *, within: float, seed: int) -> Forecast:
        """Forecast customers of whom histories and spending are known, in the unit of time of the fit."""
        chance = np.random.default_rng(seed)
        drawn = [
            (bg_nbd_of(orders), gamma_gamma_of(spending))
            for orders, spending in zip(
                self.orders.draws(FUTURES, chance), self.spending.draws(FUTURES, chance), strict=True
            )
        ]
        best, amounts = bg_nbd_of(np.exp(self.orders.logs)), gamma_gamma_of(np.exp(self.spending.logs))
        expected = best.expected_orders(seen, within)
        parts = zip(seen.parts(CHUNK), spent.parts(CHUNK), strict=True)
        # Drawing leaves Python's lock, so the parts share the cores; each has numbers of its own, whoever draws first.
        numbers = chance.spawn(-(-len(seen) // CHUNK))
        with ThreadPoolExecutor(THREADS) as pool:
            drawing = [
                pool.submit(_intervals, drawn, some, paid, within, own)
                for (some, paid), own in zip(parts, numbers, strict=True)
            ]
            bounds = np.concatenate([np.empty((5, 0)), *(part.result() for part in drawing)], axis=1)
        return Forecast(best.alive(seen), expected, expected * amounts.expected_amount(spent), *bounds)


def no_order_bounds(drawn: Array, seen: Histories, within: float) -> Array:
    """Return bounds of each customer's chance of no order in the time `within`, shape (2, n).

    They hold the chance itself, as unsure as the parameters are of which `drawn` holds draws, shape (draws, 4); not what
    the customer does with it.
    """
    bounds = [
        np.quantile([bg_nbd_of(each).no_order(part, within) for each in drawn], [TAIL, 1.0 - TAIL], axis=0)
        for part in seen.parts(CHUNK)
    ]
    return np.concatenate(bounds, axis=1) if bounds else np.empty((2, 0))


def spending_of(features: pd.DataFrame, seen: Histories) -> Spending:
    """Return what customers spent per day with an order, in cents; refunds beyond what was paid count as nothing."""
    orders = seen.repeats + 1.0
    paid = np.maximum(features["spend_lifetime_cents"].to_numpy(dtype=np.float64), 0.0)
    return Spending(orders, paid / orders)


def _intervals(
    drawn: list[tuple[BgNbd, GammaGamma]],
    seen: Histories,
    spent: Spending,
    within: float,
    chance: np.random.Generator,
) -> Array:
    """Return bounds of the value and the median and bounds of the next order's day, shape (5, n).

    The wait of an active customer, over the rates he may have, is Pareto of the second kind with shape `r + x` and scale
    `alpha + T`. So each draw of the parameters gives it at a level of its own, and no rate or wait is drawn.
    """
    values, days = np.empty((2, len(drawn), len(seen)))
    for draw, (orders, amounts) in enumerate(drawn):
        rate = chance.standard_gamma(orders.r + seen.repeats) / (orders.alpha + seen.age)
        count = _orders_ahead(orders, seen, rate * within, chance)
        values[draw] = _amount(amounts, spent, count, chance)
        level = (draw + 1.0) / (len(drawn) + 1.0)
        days[draw] = (orders.alpha + seen.age) * np.expm1(-np.log1p(-level) / (orders.r + seen.repeats))
    return np.vstack([_value_bounds(values), _levels(days, 0.5, TAIL, 1.0 - TAIL)])


def _orders_ahead(
    orders: BgNbd, seen: Histories, expected: Array, chance: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Draw how often each customer orders, who would order `expected` times if he stayed: until he leaves, if ever.

    Given that somebody is active after x repeat orders, the chance to leave is beta with `a` and `b + x`.
    """
    is_alive = chance.random(len(seen)) < orders.alive(seen)
    count = np.zeros(len(seen), dtype=np.int64)
    count[is_alive] = chance.poisson(expected[is_alive])
    more = np.flatnonzero(count > 1)  # nobody leaves before an order
    leaving = np.maximum(chance.beta(orders.a, orders.b + seen.repeats[more]), 1e-12)
    count[more] = np.minimum(count[more], chance.geometric(leaving))
    return count


def _amount(
    amounts: GammaGamma, spent: Spending, count: npt.NDArray[np.int64], chance: np.random.Generator
) -> Array:
    """Draw what each customer spends in so many orders; customers without one are not drawn for."""
    value = np.zeros(len(spent))
    buys = np.flatnonzero(count)
    known, mean = spent.orders[buys], spent.mean[buys]
    per_cent = chance.standard_gamma(amounts.p * known + amounts.q) / (amounts.gamma + known * mean)
    value[buys] = chance.standard_gamma(amounts.p * count[buys]) / per_cent
    return value


def _value_bounds(values: Array) -> Array:
    """Return bounds that hold `LEVEL` of the draws, shape (2, n).

    Where more than a tenth of the draws is nothing, the lower bound is 0 and the whole rest is cut off above: an interval
    between the tenths would hold nine tenths.
    """
    low, level, high = _levels(values, TAIL, LEVEL, 1.0 - TAIL)
    return np.vstack([low, np.where(low > 0, high, level)])


def _levels(drawn: Array, *levels: float) -> Array:
    """Return the values that these shares of what may happen lie below, shape (levels, n), from (draws, n).

    Of n draws the k-th lies above a share of k / (n + 1), in expectation.
    """
    ordered = np.sort(np.ascontiguousarray(drawn.T), axis=1)
    places = [round(level * (len(drawn) + 1)) - 1 for level in levels]
    found: Array = ordered[:, places].T
    return found
