"""Trying a recommender out at a cut-off: fitted on what was bought before, judged by what was bought after.

Two questions are asked apart. "everything": which products will the customer buy; "new": which that they never
bought before. Protocol (issue 5): quantity above 0, recommendable products with at least 20 lines before the cut-off,
customers with a purchase before it and one of the asked kind in the 28 days after.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from ml.provenance import SEED
from ml.recommend.baselines import Popular
from ml.recommend.lists import NONE, Bools, Ints, Lists, best, filled, never_bought, spans, stacked
from ml.recommend.methods.protocol import Recommender
from ml.recommend.metrics import FAVOURITES, FEW, MANY, by_favourite, by_slice, few_or_many, list_figures
from ml.recommend.models import BASELINES
from ml.recommend.purchases import Histories, Purchases, catalogue, histories, rows_of
from ml.tables import CATEGORY
from ml.threads import side_by_side
from ml.windows import window

HORIZON_DAYS = 28
K = 20
EVERYTHING, NEW = "everything", "new"
METRICS = [
    f"{metric}_{question}" for question in (EVERYTHING, NEW) for metric in ("ndcg", "recall", "coverage")
]
"""What stands beside the baselines' in the report; the run has a table of all figures of all methods."""
BY_LIST = ("precision", "f1", "hit_rate", "average_precision", "novelty", "popularity", "diversity")
BESIDE = [
    f"{name}_{question}"
    for question in (EVERYTHING, NEW)
    for name in (*BY_LIST, *(f"ndcg_{slice_}" for slice_ in (FEW, MANY, *FAVOURITES)))
]
"""Further figures of the champion, where it has them: some lists are empty, some slices of customers (few and many lines
before; by favourite category) ask nothing."""


@dataclass(frozen=True)
class Split:
    """What was bought before a cut-off and, by question, whether it was bought in the window from it.

    `bought`: shape (n_customers, n_products); `categories`: shape (n_products,), a code each.
    """

    cutoff: date
    before: Histories
    bought: Mapping[str, Bools]
    categories: Ints


@dataclass(frozen=True)
class Quality:
    """Figures of one method at one cut-off, and NDCG of "new" of each customer it was asked for."""

    figures: dict[str, float]
    ndcg_new: npt.NDArray[np.floating]


def split(purchases: Purchases, cutoff: date) -> Split:
    """Cut purchases at a day: customers and products as they were known before, and what they bought from it."""
    first, end = window(cutoff, HORIZON_DAYS)
    product_ids = catalogue(purchases, before=cutoff)
    before = histories(purchases, product_ids, before=cutoff)
    after = histories(purchases, product_ids, before=end, since=first)
    ours = before.of_buyers()
    bought = rows_of(after, ours.customer_ids).counts.toarray() > 0
    asked = {EVERYTHING: bought, NEW: bought & never_bought(ours.counts)}
    return Split(cutoff, ours, asked, ours.attributes[CATEGORY])


def baseline_qualities(at: Split) -> dict[str, Quality]:
    return {name: judge_lists(make().fit(at.before, seed=SEED), at) for name, make in BASELINES.items()}


def model_quality(model: Recommender, at: Split) -> Quality:
    """Judge a model as it would be served: where it has nothing to say, the most popular products fill in."""
    return judge_lists(model, at, fallback=Popular().fit(at.before, seed=SEED))


def judge_lists(model: Recommender, at: Split, *, fallback: Recommender | None = None) -> Quality:
    """Return the figures of lists of `K` for both questions, means over the customers who have them."""
    figures: dict[str, float] = {}
    counts = at.before.counts
    slicings = few_or_many(counts.sum(axis=1)), by_favourite(counts, at.categories)
    by_question = _lists(model, at)
    if fallback is not None and any((lists.products == NONE).any() for lists in by_question.values()):
        instead = _lists(fallback, at)
        by_question = {name: filled(lists, instead[name])[0] for name, lists in by_question.items()}
    for question, lists in by_question.items():
        found = list_figures(lists.products, at.bought[question], counts, at.categories)
        for slices in slicings:
            of_slices = by_slice({"ndcg": found["ndcg"]}, slices)
            found |= {f"ndcg_{slice_}": np.array([means["ndcg"]]) for slice_, means in of_slices.items()}
        known = {metric: np.asarray(values)[~np.isnan(values)] for metric, values in found.items()}
        figures |= {f"{name}_{question}": float(each.mean()) for name, each in known.items() if each.size}
        ndcg = known["ndcg"]
    return Quality(figures, ndcg)  # the last question asked is "new"


def _lists(model: Recommender, at: Split) -> dict[str, Lists]:
    """Return the lists for both questions; the scores are made once."""

    def of_block(rows: slice) -> tuple[Lists, Lists]:
        block = at.before.between(rows.start, rows.stop)
        scores, unknown = model.scores(block), never_bought(block.counts)
        return best(scores, np.ones_like(unknown), K), best(scores, unknown, K)

    found = side_by_side(of_block, spans(at.before))
    return {EVERYTHING: stacked([both[0] for both in found]), NEW: stacked([both[1] for both in found])}
