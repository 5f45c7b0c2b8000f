"""Tuning what differs from shop to shop on four weeks that have closed: how fast the history fades that EASE learns from."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from ml.evaluation import ndcg_at_k
from ml.provenance import SEED
from ml.recommend.lists import Bools, best, never_bought
from ml.recommend.methods.blend import Blend
from ml.recommend.methods.ease import HALF_LIFE_DAYS, Ease
from ml.recommend.methods.hybrid import Hybrid
from ml.recommend.metrics import hits_of
from ml.recommend.models import METHODS, Maker
from ml.recommend.purchases import Histories, rows_of, weeks_ago

Figures = npt.NDArray[np.floating]

WINDOW_DAYS, K = 28, 20
HALF_LIVES_DAYS = (7.0, 15.0, 30.0, HALF_LIFE_DAYS, 120.0)
MOST_CUSTOMERS, MOST_PRODUCTS = 1_000, 1_500
BEYOND_LUCK = 2.5
"""Standard errors: by luck alone one of the four others gains that much in one tuning of forty (Bonferroni)."""


@dataclass(frozen=True)
class Tried:
    """What a half-life reached: NDCG@20 of what is new, its gain over `HALF_LIFE_DAYS` and the gain's standard error."""

    ndcg_new: float
    gain: float
    standard_error: float

    @classmethod
    def of(cls, ndcg: Figures, usual: Figures) -> "Tried":
        """Compare figures of the same customers, shape (n_customers,) each."""
        gains = ndcg - usual
        return cls(float(ndcg.mean()), float(gains.mean()), float(gains.std(ddof=1) / np.sqrt(len(gains))))


@dataclass(frozen=True)
class Tuning:
    """The half-life a shop is given, and what each that was tried reached; none where nobody bought anything new."""

    half_life_days: float
    tried: Mapping[float, Tried]

    def methods(self) -> dict[str, Maker]:
        """Return `METHODS`, those with an EASE tuned."""
        return METHODS | {each.method: partial(each, self.half_life_days) for each in (Ease, Blend, Hybrid)}


def tune(found: Histories) -> Tuning:
    """Return the half-life that lists best what was new in the last four weeks of some histories.

    Each is tried on at most `MOST_CUSTOMERS` customers and the `MOST_PRODUCTS` products with most buyers, which takes a twentieth of
    the time of all. `HALF_LIFE_DAYS`, which served other shops, stays unless another gains more than `BEYOND_LUCK` standard errors
    on the same customers (after the one-standard-error rule of Breiman et al., "Classification and Regression Trees", 1984).
    """
    then, after = weeks_ago(found, WINDOW_DAYS, window_days=WINDOW_DAYS)
    some = then.some(MOST_CUSTOMERS)
    buyers = np.bincount(some.counts.indices, minlength=then.shape[1])
    most = np.sort(np.argsort(-buyers, kind="stable")[:MOST_PRODUCTS])
    some = some.of_products(most)
    bought = rows_of(after.of_products(most), some.customer_ids).counts.toarray() > 0
    bought &= never_bought(some.counts)
    if bought.any(axis=1).sum() < 2:
        return Tuning(HALF_LIFE_DAYS, {})
    ndcg = {days: _ndcg(Ease(days).fit(some, seed=SEED), some, bought) for days in HALF_LIVES_DAYS}
    tried = {days: Tried.of(each, ndcg[HALF_LIFE_DAYS]) for days, each in ndcg.items()}
    better = [days for days, each in tried.items() if each.gain > BEYOND_LUCK * each.standard_error]
    return Tuning(max(better, key=lambda days: tried[days].ndcg_new, default=HALF_LIFE_DAYS), tried)


def _ndcg(model: Ease, some: Histories, bought: Bools) -> Figures:
    """Return NDCG@20 of each customer who bought anything new, which `bought` says, shape (n_customers, n_products)."""
    lists, counts = best(model.scores(some), never_bought(some.counts), K), bought.sum(axis=1)
    asked = counts > 0
    return ndcg_at_k(hits_of(lists.products, bought)[asked], counts[asked])
