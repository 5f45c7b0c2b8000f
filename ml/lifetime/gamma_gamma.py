"""Gamma-Gamma: what a customer spends per order, drawn towards the shop's mean where few orders are known. Arithmetic only.

An order of a customer is gamma with shape `p` and a rate of their own, which is gamma over customers with shape `q` and
rate `gamma`. How much is spent does not depend on how often.

Source: Fader & Hardie, "The Gamma-Gamma Model of Monetary Value", technical note, 2013; equation numbers are theirs.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import digamma, gammaln

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Spending:
    """What customers spent: the number of orders and their mean amount (above 0), each of shape (n,)."""

    orders: Array
    mean: Array

    def __len__(self) -> int:
        return len(self.orders)

    def parts(self, size: int) -> Iterator["Spending"]:
        """Yield what `size` customers after another spent."""
        for start in range(0, len(self), size):
            yield Spending(self.orders[start : start + size], self.mean[start : start + size])


@dataclass(frozen=True)
class GammaGamma:
    """Parameters of the model, all above 0. `gamma` is an amount, in the unit of the spending."""

    p: float
    q: float
    gamma: float

    def log_likelihood(self, seen: Spending) -> Array:
        """Return the log-likelihood of each customer's mean amount, shape (n,) (equation 1a)."""
        return log_likelihood(np.log([self.p, self.q, self.gamma]), seen)[0]

    def expected_amount(self, seen: Spending) -> Array:
        """Return the expected amount of each customer's next order (equation 5).

        It needs `p * orders + q` above 1, which holds from the first order on where `p + q` is above 1.
        """
        p, q, gamma = self.p, self.q, self.gamma
        return p * (gamma + seen.orders * seen.mean) / (p * seen.orders + q - 1.0)


def log_likelihood(log_parameters: Array, seen: Spending) -> tuple[Array, Array]:
    """Return the log-likelihood of each customer, shape (n,), and its slopes along the log parameters, (n, 3)."""
    p, q, gamma = np.exp(log_parameters)
    shape, total = p * seen.orders, seen.orders * seen.mean
    together = np.log(gamma + total)
    value = gammaln(shape + q) - gammaln(shape) - gammaln(q) + q * np.log(gamma)
    value += (shape - 1.0) * np.log(seen.mean) + shape * np.log(seen.orders) - (shape + q) * together
    by_p = seen.orders * (digamma(shape + q) - digamma(shape) + np.log(total) - together)
    by_q = digamma(shape + q) - digamma(q) + np.log(gamma) - together
    by_gamma = q / gamma - (shape + q) / (gamma + total)
    return value, np.column_stack([p * by_p, q * by_q, gamma * by_gamma])
