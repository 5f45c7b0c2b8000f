"""What treating a customer who may lapse is worth. Arithmetic only.

Somebody lapses with probability p. An incentive keeps a would-be lapser with the chance g, who then brings the margin v and
takes the incentive d; a would-be lapser who is not kept takes nothing; somebody who would have bought anyway takes it all
the same; the contact f is paid for everybody who is treated. Treating, against leaving alone, is worth

    p g (v - d) - (1 - p) d - f

It is linear in g, so of what is known about g only the mean counts, and it pays from p = (d + f) / (g (v - d) + d) on.

Source: Neslin et al., "Defection Detection: Measuring and Understanding the Predictive Accuracy of Customer Churn Models",
Journal of Marketing Research 43(2), 2006, for the profit of treating the first of a ranking; Verbraken, Verbeke & Baesens,
"A Novel Profit Maximizing Metric for Measuring Classification Performance of Customer Churn Prediction Models", IEEE
Transactions on Knowledge and Data Engineering 25(5), 2013, for the beta prior of g and the threshold. Theirs is one value
for all customers; here each has their own.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import betaln, xlog1py, xlogy

from core.settings import Settings
from ml.evaluation import Floats

Array = npt.NDArray[np.float64]

PRIOR_STRENGTH = 20.0
"""Would-be lapsers' worth of evidence in the prior of the chance to keep one: as much as in Verbraken's beta (6, 14)."""
GRID = (np.arange(500) + 0.5) / 500


@dataclass(frozen=True)
class Terms:
    """What treating costs and brings: the margin as a share of spending, cents, and the chance to keep a would-be lapser."""

    margin_share: float
    incentive_cents: float
    contact_cents: float
    chance: float

    @classmethod
    def of(cls, settings: Settings) -> "Terms":
        """Take the shop's terms, with the chance as its prior states it."""
        return cls(
            settings.margin_share,
            settings.incentive_cents,
            settings.contact_cents,
            settings.incentive_chance,
        )


@dataclass(frozen=True)
class Experiment:
    """Customers who were assigned to treatment and who were held out, at random, and how many of each bought in the horizon.

    `treated`: of those assigned, who really were. What kept the others from it need not have been chance.
    """

    assigned: int
    treated: int
    assigned_bought: int
    held_out: int
    held_out_bought: int


def chance_to_keep(
    prior_mean: float, experiment: Experiment | None = None, *, strength: float = PRIOR_STRENGTH
) -> float:
    """Return the mean chance that an incentive keeps a would-be lapser: a beta prior, and what an experiment showed.

    Without treatment a share b buys, with it b + (1 - b) g: who would have bought still does. Where only a share c of those assigned
    was treated, b + (1 - b) g c of all assigned do, would-be lapsers being as often treated as others. That is the effect of
    the assignment divided by compliance, without leaving out whom somebody else chose to leave out. The mean of g is taken over
    a grid of both, b being uniform beforehand.

    >>> chance_to_keep(0.1)
    0.1
    >>> round(chance_to_keep(0.1, Experiment(40_000, 40_000, 16_000, 40_000, 10_000)), 2)  # 25 % become 40 %: 0.15 / 0.75
    0.2
    >>> round(chance_to_keep(0.1, Experiment(40_000, 20_000, 13_000, 40_000, 10_000)), 2)  # half were treated: 0.075 / 0.75 / 0.5
    0.2

    Source: Bloom, "Accounting for No-Shows in Experimental Evaluation Designs", Evaluation Review 8(2), 1984.
    """
    if experiment is None:
        return prior_mean
    kept, buys, complied = GRID[:, None], GRID[None, :], experiment.treated / experiment.assigned
    log_density = (
        _log_beta(kept, prior_mean * strength, (1.0 - prior_mean) * strength)
        + _log_chance(experiment.held_out_bought, experiment.held_out, buys)
        + _log_chance(experiment.assigned_bought, experiment.assigned, buys + (1.0 - buys) * kept * complied)
    )
    weights = np.exp(log_density - log_density.max())
    return float((weights * kept).sum() / weights.sum())


def value_at_stake(features: pd.DataFrame, horizon_days: int, margin_share: float) -> Array:
    """Return the margin, in cents, that each customer brings in the horizon if they are kept, shape (n,).

    Somebody who is kept orders at least once. With m orders in as many days as the horizon has, on average since the first
    one, orders that are Poisson and not none are m / (1 - exp(-m)); each is worth what one used to be. Somebody younger than
    the horizon counts as one horizon old; days of silence count, so it errs to the low side for who has long been quiet.
    Refunds beyond what was paid count as nothing.

    One order of 30.00 in 280 days, a margin of a quarter: little more than one order.

    >>> once = pd.DataFrame({"spend_lifetime_cents": [3000], "orders_lifetime_count": [1], "tenure_days": [280]})
    >>> value_at_stake(once, 28, 0.25).round(1).tolist()
    [788.1]
    """
    spent, orders, tenure = (
        features[name].to_numpy(dtype=np.float64)
        for name in ("spend_lifetime_cents", "orders_lifetime_count", "tenure_days")
    )
    horizons = np.maximum(tenure / horizon_days, 1.0)
    value: Array = margin_share * np.maximum(spent, 0.0) / horizons / -np.expm1(-orders / horizons)
    return value


def expected_profit(probability: Floats, stake_cents: Floats, terms: Terms) -> Array:
    """Return what treating each customer is expected to bring over leaving them alone, in cents, shape (n,).

    Given who lapsed (0 or 1) instead of a probability, it is the profit on the average of who is kept.

    >>> terms = Terms(margin_share=0.3, incentive_cents=500, contact_cents=10, chance=0.2)
    >>> expected_profit(np.array([0.5, 0.9]), np.array([4000.0, 4000.0]), terms).round(1).tolist()  # 350 - 250 - 10 first
    [90.0, 570.0]
    """
    kept = probability * terms.chance * (stake_cents - terms.incentive_cents)
    profit: Array = kept - (1.0 - probability) * terms.incentive_cents - terms.contact_cents
    return profit


def break_even(stake_cents: float, terms: Terms) -> float:
    """Return the probability to lapse from which treating somebody with this much at stake pays; above 1: never.

    >>> terms = Terms(margin_share=0.3, incentive_cents=500, contact_cents=10, chance=0.2)
    >>> round(break_even(4000.0, terms), 3)  # 510 / (0.2 * 3500 + 500)
    0.425
    """
    gained = terms.chance * (stake_cents - terms.incentive_cents) + terms.incentive_cents
    return (terms.incentive_cents + terms.contact_cents) / gained if gained > 0 else np.inf


def mean_stake(probability: Floats, stake_cents: Floats) -> float:
    """Return what is at stake with a customer who lapses, in cents: the mean weighted by the probability to lapse.

    The sum of p g (v - d) over customers is g (this mean - d) times the expected number of lapsers. The plain mean counts
    the spending of those who stay: on Complete Journey it is two and a half times as much.

    >>> mean_stake(np.array([0.9, 0.1]), np.array([1000.0, 5000.0]))
    1400.0
    """
    total = float(probability.sum())
    return float(probability @ stake_cents) / total if total > 0 else 0.0


def profit_curve(score: Floats, profit: Floats) -> Array:
    """Return the profit of treating the 0, 1, … n customers with the highest scores, shape (n + 1,).

    Equal scores keep the order they came in.

    >>> profit_curve(np.array([0.1, 0.9, 0.5]), np.array([-4.0, 3.0, 2.0])).tolist()
    [0.0, 3.0, 5.0, 1.0]
    """
    order = np.argsort(-score, kind="stable")
    return np.concatenate([[0.0], np.cumsum(profit[order])])


def best_threshold(probability: Floats, profit: Floats) -> float:
    """Return the threshold on the probability from which treating everybody brings most; infinite where nothing does.

    >>> best_threshold(np.array([0.9, 0.5, 0.5, 0.1]), np.array([3.0, 2.0, -1.0, -4.0]))
    0.5
    """
    if not len(probability):
        return np.inf
    levels, places = np.unique(probability, return_inverse=True)
    brought = np.cumsum(np.bincount(places, weights=profit)[::-1])[::-1]
    best = int(np.argmax(brought))
    return float(levels[best]) if brought[best] > 0 else np.inf


def best_customers(profit: Floats, budget: int) -> npt.NDArray[np.int64]:
    """Return the rows of the customers to treat with a budget of so many treatments, best first, none at a loss.

    >>> best_customers(np.array([5.0, -1.0, 9.0, 2.0]), budget=2).tolist()
    [2, 0]
    >>> best_customers(np.array([5.0, -1.0]), budget=2).tolist()
    [0]
    """
    order = np.argsort(-profit, kind="stable")
    best: npt.NDArray[np.int64] = order[: min(budget, int((profit > 0).sum()))]
    return best


def _log_beta(value: Array, first: float, second: float) -> Array:
    density: Array = xlogy(first - 1.0, value) + xlog1py(second - 1.0, -value) - betaln(first, second)
    return density


def _log_chance(happened: int, tries: int, chance: Array) -> Array:
    """Return the log-likelihood of a binomial count, up to a constant."""
    log_chance: Array = xlogy(happened, chance) + xlog1py(tries - happened, -chance)
    return log_chance
