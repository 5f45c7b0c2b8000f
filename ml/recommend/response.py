"""Response: what clicks on the products that mails showed say of how much each pleases, wherever it stood.

A place high up is seen by more readers, and a product that always stood there is clicked more for that alone. So a click is taken
for two things that came true together: the place was examined, and the product pleased (the position-based model: Craswell,
Zoeter, Taylor and Ramsey, WSDM 2008). Both are estimated from the same showings in turns, as Wang, Golbandi, Bendersky, Metzler
and Najork (WSDM 2018) do where no experiment shuffles places. A product's appeal is its responses over those that an average product
would have had on the same places: each showing counts as much as its place is looked at, which is the ratio form of weighting by
inverse propensity and needs no bound on a weight. A place's propensity is its responses over the appeals that stood there. How far
a product is drawn to its category, and that to the shop, follows from how much they differ beyond chance (credibility: Bühlmann and
Straub, 1970; of two levels: Jewell, 1975).
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.sparse import csr_array

from core.logging import get_logger
from ml.recommend.lists import NONE, Ints, Lists
from ml.recommend.purchases import Strings, positions
from ml.recommend.trade.finishing import Placed
from ml.tables import PRODUCT_ID

FEWEST_SHOWINGS, FEWEST_CLICKS = 1_000, 100
"""With 100 clicks on six places the rate of each is a quarter off by chance alone."""
LEAST, MOST = 0.5, 2.0
ROUNDS, ENOUGH = 200, 1e-6

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Response:
    """The appeal of products and the propensity of places, learned from the showings of six weeks.

    `appeal`: shape (n_products,), responses over those of an average product on the same places. `propensity`: responses per
    showing of an average product, by campaign and place.
    """

    appeal: Floats
    propensity: dict[tuple[str, int], float]

    @classmethod
    def of(cls, showings: pa.Table, product_ids: Strings, categories: Strings) -> Self | None:
        """Learn from a day's `product_showings` of what was new to the customer; None where those are too few.

        A click is one response, and one more if the product was bought. A purchase without a click is none: it may have come without
        the mail. `product_ids`: sorted; `categories`: one of each.
        """
        columns = positions(showings[PRODUCT_ID].to_numpy().astype(str), product_ids)
        is_new, clicked, bought = (
            showings[name].to_numpy().astype(bool) for name in ("is_new", "is_clicked", "is_bought")
        )
        kept = np.flatnonzero(is_new & (columns != NONE))
        counts = {"showings": len(kept), "clicks": int(clicked[kept].sum())}
        if counts["showings"] < FEWEST_SHOWINGS or counts["clicks"] < FEWEST_CLICKS:
            get_logger(__name__).info("too few clicks on products shown: no list is re-ranked", **counts)
            return None
        stood = [*zip(showings["campaign_id"].to_pylist(), showings["place"].to_pylist(), strict=True)]
        places = sorted({stood[row] for row in kept})
        codes = {place: code for code, place in enumerate(places)}
        at = np.array([codes[stood[row]] for row in kept]), columns[kept]
        responses = (clicked * (1.0 + bought))[kept]
        shown, answered = (
            csr_array((values, at), shape=(len(places), len(product_ids)))
            for values in (np.ones(len(kept)), responses)
        )
        _, groups = np.unique(categories, return_inverse=True)
        noise = float((responses**2).sum() / responses.sum())
        appeal, propensity = _in_turns(shown, answered, noise, groups)
        get_logger(__name__).info("lists are re-ranked by clicks on products shown", **counts)
        return cls(appeal, dict(zip(places, propensity.tolist(), strict=True)))

    def reranked(self, placed: Placed) -> Placed:
        """Multiply each score by the product's appeal, from `LEAST` to `MOST`, and order anew what one method placed in a row.

        Scores of two methods say nothing of each other, so whoever fills up a list does so behind the first.
        """
        products = placed.lists.products
        factors = np.append(np.clip(self.appeal, LEAST, MOST), 0)[products]
        scores = (placed.lists.scores * factors).astype(np.float32)
        turns = np.cumsum(placed.methods[:, 1:] != placed.methods[:, :-1], axis=1)
        order = np.lexsort((-scores, np.pad(turns, ((0, 0), (1, 0)))))
        products, scores = (np.take_along_axis(each, order, axis=1) for each in (products, scores))
        return Placed(Lists(products, scores), placed.methods)


def _in_turns(shown: csr_array, answered: csr_array, noise: float, groups: Ints) -> tuple[Floats, Floats]:
    """Return the appeal of products and the propensity of places that explain each other.

    `shown`, `answered`: shape (n_places, n_products), showings and responses. `noise`: the variance of the responses where one is
    expected; 1 if each is a single click. `groups`: shape (n_products,), codes.
    """
    showings, by_place, by_product = shown.sum(axis=1), answered.sum(axis=1), answered.sum(axis=0)
    propensity = by_place / showings
    for _ in range(ROUNDS):
        expected = shown.T @ propensity
        appeal = _credible(by_product, expected, noise, groups)
        appeal *= expected.sum() / (appeal @ expected)
        before, propensity = propensity, by_place / (shown @ appeal)
        if np.abs(propensity - before).max() < ENOUGH * before.max():
            break
    return appeal, propensity


def _credible(responses: Floats, expected: Floats, noise: float, groups: Ints) -> Floats:
    """Return responses over expected ones of each product, drawn to those of its group, and these to those of all."""
    rates = np.divide(responses, expected, out=np.zeros_like(expected), where=expected > 0)
    spread = _spread(rates, expected, noise, groups)
    trust = expected / (expected + noise / spread)
    # A group is known by its products, each by as much as it is trusted.
    weights, whole = np.bincount(groups, trust), np.zeros(groups.max() + 1, dtype=np.int64)
    group_rates = _means(rates, trust, groups)
    group_trust = weights / (weights + spread / _spread(group_rates, weights, spread, whole))
    mean = _means(group_rates, group_trust, whole)
    drawn = (mean + group_trust * (group_rates - mean))[groups]
    drawn += trust * (rates - drawn)
    return drawn


def _spread(rates: Floats, weights: Floats, noise: float, groups: Ints) -> float:
    """Return the variance of rates within groups beyond `noise / weights`, which is chance; never quite 0.

    Source: Bühlmann and Gisler, A Course in Credibility Theory (2005), section 4.8.
    """
    total, squares = np.bincount(groups, weights), np.bincount(groups, weights**2)
    known = total > 0
    freedom = np.count_nonzero(weights) - np.count_nonzero(known)
    found = float((weights * (rates - _means(rates, weights, groups)[groups]) ** 2).sum()) - noise * freedom
    scale = float((total[known] - squares[known] / total[known]).sum())
    return max(found / scale if scale > 0 else 0.0, 1e-9)


def _means(values: Floats, weights: Floats, groups: Ints) -> Floats:
    total = np.bincount(groups, weights)
    summed = np.bincount(groups, weights * values)
    return np.divide(summed, total, out=np.zeros_like(total), where=total > 0)
