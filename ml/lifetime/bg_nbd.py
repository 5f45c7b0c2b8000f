"""BG/NBD: how often customers order while they are active, and after how many orders they leave. Arithmetic only.

While active, a customer orders at a rate of their own (gamma, `r` and `alpha`); after each repeat order they leave for
good with a chance of their own (beta, `a` and `b`). A history is three numbers of a customer: repeat orders x, the time
t_x from the first to the last of them, and the time T from the first to now. Times may be in any one unit.

Source of every formula here: Fader, Hardie & Lee, "'Counting Your Customers' the Easy Way: An Alternative to the
Pareto/NBD Model", Marketing Science 24(2), 2005; equation numbers are theirs.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import betaln, digamma, expit, gammaln, hyp2f1

Array = npt.NDArray[np.float64]
PARAMETERS = ("r", "alpha", "a", "b")
NEAR_ONE = 1e-5
"""Equation 10 is 0/0 at a = 1; this far from it, it is right to 1e-5 of its value."""


@dataclass(frozen=True)
class Histories:
    """Histories of customers, each array of shape (n,): repeat orders, time of the last one, time observed.

    An order is a day with an order: two on one day are one. Both times count from the first order.
    """

    repeats: Array
    last: Array
    age: Array

    @classmethod
    def of(cls, features: pd.DataFrame) -> "Histories":
        """Take histories from `customer_features`, in days.

        The table gives x as the span from the first to the last order over the mean gap between days with an order.
        """
        age = features["tenure_days"].to_numpy(dtype=np.float64)
        # Nobody's last order lies before the first, and nobody who came back lacks a gap: until a column is shuffled among
        # customers, to ask what it is worth. Such a history counts as a single order.
        last = np.maximum(age - features["recency_days"].to_numpy(dtype=np.float64), 0.0)
        gap = features["gap_mean_days"].to_numpy(dtype=np.float64)
        has_gap = (last > 0) & (gap > 0)
        return cls(np.where(has_gap, np.rint(last / np.where(has_gap, gap, 1.0)), 0.0), last, age)

    def __len__(self) -> int:
        return len(self.repeats)

    def parts(self, size: int) -> Iterator["Histories"]:
        """Yield the histories of `size` customers after another."""
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            yield Histories(self.repeats[part], self.last[part], self.age[part])

    def at_most(self, count: int) -> "Histories":
        """Return so many histories at most, evenly from all of them in their order; all where there are no more.

        >>> Histories(*np.arange(21.0).reshape(3, 7)).at_most(3).repeats.tolist()
        [0.0, 3.0, 6.0]
        """
        step = max(-(-len(self) // count), 1)
        return Histories(self.repeats[::step], self.last[::step], self.age[::step])

    def distinct(self) -> tuple["Histories", Array]:
        """Return each different history once, and how many customers have it: sums then cost less."""
        rows, counts = np.unique(
            np.column_stack([self.repeats, self.last, self.age]), axis=0, return_counts=True
        )
        return Histories(*rows.T), counts.astype(np.float64)


@dataclass(frozen=True)
class BgNbd:
    """Parameters of the model, all above 0. `alpha` is a time, in the unit of the histories."""

    r: float
    alpha: float
    a: float
    b: float

    def log_likelihood(self, seen: Histories) -> Array:
        """Return the log-likelihood of each history, shape (n,) (equation 3, with the gammas of `r` in front)."""
        return log_likelihood(np.log([self.r, self.alpha, self.a, self.b]), seen)[0]

    def alive(self, seen: Histories) -> Array:
        """Return each customer's chance to be active still, 0 to 1; 1 without a repeat order (equation A2).

        It follows from the two parts of equation 3: active to the end, or gone at the last order.
        """
        return _alive(self, seen)

    def no_order(self, seen: Histories, within: float | Array) -> Array:
        """Return the chance of no order in the time `within` after now: gone, or active and silent.

        The rate of an active customer is gamma with `r + x` and `alpha + T`, so silence has the chance
        ((alpha + T) / (alpha + T + within)) ^ (r + x).
        """
        silent = np.log1p(within / (self.alpha + seen.age)) * (self.r + seen.repeats)
        return 1.0 + self.alive(seen) * np.expm1(-silent)

    def expected_orders(self, seen: Histories, within: float) -> Array:
        """Return the expected number of orders in the time `within` after now (equation 10)."""
        a = self.a if abs(self.a - 1.0) > NEAR_ONE else 1.0 + NEAR_ONE
        x, end = seen.repeats, self.alpha + seen.age + within
        shrinking = ((self.alpha + seen.age) / end) ** (self.r + x)
        hyper = hyp2f1(self.r + x, self.b + x, a + self.b + x - 1.0, within / end)
        while_active = (a + self.b + x - 1.0) / (a - 1.0) * (1.0 - shrinking * hyper)
        orders: Array = while_active * self.alive(seen)
        return orders


def log_likelihood(log_parameters: Array, seen: Histories) -> tuple[Array, Array]:
    """Return the log-likelihood of each history, shape (n,), and its slopes along the log parameters, (n, 4)."""
    r, alpha, a, b = np.exp(log_parameters)
    x, has_repeats = seen.repeats, seen.repeats > 0
    orders = gammaln(r + x) - gammaln(r) + r * np.log(alpha) - (r + x) * np.log(alpha + seen.age)
    stays = betaln(a, b + x) - betaln(a, b)
    odds = _log_odds_gone(r, alpha, a, b, seen)
    gone = np.where(has_repeats, expit(odds), 0.0)
    value = orders + stays + np.where(has_repeats, np.logaddexp(0.0, odds), 0.0)
    by_r = digamma(r + x) - digamma(r) + np.log(alpha) - np.log(alpha + seen.age)
    by_r += gone * (np.log(alpha + seen.age) - np.log(alpha + seen.last))
    by_alpha = r / alpha - (r + x) * ((1.0 - gone) / (alpha + seen.age) + gone / (alpha + seen.last))
    by_a = digamma(a + b) - digamma(a + b + x) + gone / a
    by_b = digamma(b + x) - digamma(a + b + x) - digamma(b) + digamma(a + b)
    by_b -= gone / np.where(has_repeats, b + x - 1.0, 1.0)
    return value, np.column_stack([r * by_r, alpha * by_alpha, a * by_a, b * by_b])


def _log_odds_gone(r: float, alpha: float, a: float, b: float, seen: Histories) -> Array:
    """Return the log odds of having left at the last order, where there is a repeat order: the two terms of eq. 3."""
    fewer = np.where(seen.repeats > 0, b + seen.repeats - 1.0, 1.0)
    waited = np.log(alpha + seen.age) - np.log(alpha + seen.last)
    odds: Array = np.log(a / fewer) + (r + seen.repeats) * waited
    return odds


def _alive(model: BgNbd, seen: Histories) -> Array:
    odds = _log_odds_gone(model.r, model.alpha, model.a, model.b, seen)
    return np.where(seen.repeats > 0, expit(-odds), 1.0)
