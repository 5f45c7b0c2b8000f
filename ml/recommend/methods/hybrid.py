"""Learned from past weeks: how to weigh what the single methods say against what is known of customer and product."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np

from ml.recommend import features
from ml.recommend.chances import Chances
from ml.recommend.lists import NONE, Bools, Floats, Ints, Lists, best, never_bought, spans
from ml.recommend.methods.baskets import NextBasket
from ml.recommend.methods.blend import Blend
from ml.recommend.methods.customers import ByNeighbours, CosineCustomers
from ml.recommend.methods.ease import HALF_LIFE_DAYS
from ml.recommend.methods.products import ItemNeighbours
from ml.recommend.methods.protocol import AGAIN, NEW, Recommender
from ml.recommend.methods.transitions import Transitions
from ml.recommend.pairs import Pairs
from ml.recommend.purchases import Histories, distinct, rows_of, weeks_ago
from ml.recommend.reasons import Kind, Reasons
from ml.threads import side_by_side

QUESTIONS = (AGAIN, NEW)
WINDOW_DAYS, LESSONS = 28, 2
CANDIDATES, AGAIN_CANDIDATES, NEGATIVES, LEAST_BOUGHT = 50, 100, 0.15, 500
MOST_FITTED, MOST_TAUGHT, MOST_MET = 50_000, 10_000, 5_000
"""Customers that the methods are fitted on, that the chances are learned from, and among whom neighbours are looked for."""
BY_NEIGHBOURS = (CosineCustomers, NextBasket)


@dataclass(frozen=True)
class Known:
    """Pairs of customers and products with a row of columns each."""

    pairs: Pairs
    columns: Floats


@dataclass(frozen=True)
class Lesson:
    """What was known of some pairs when four weeks began, shape (n_pairs, n_columns), and which were bought in them."""

    columns: Floats
    bought: Bools

    @classmethod
    def of_all(cls, parts: Iterable["Lesson"]) -> "Lesson":
        found = list(parts) or [cls(np.zeros((0, 0), dtype=np.float32), np.zeros(0, dtype=bool))]
        return cls(
            np.concatenate([each.columns for each in found]), np.concatenate([each.bought for each in found])
        )


class Hybrid(Recommender):
    """The chance that a customer buys a product in the next four weeks, learned for each question apart.

    They are learned from two lessons, each four weeks that have closed. For each the single methods are fitted on what was known
    when the weeks began and name their `CANDIDATES` best new products per customer; learned is which of these, and which of the
    `AGAIN_CANDIDATES` bought most before, were bought, from the methods' scores and from `ml.recommend.features` (stacking: Wolpert,
    "Stacked Generalization", Neural Networks 5, 1992), by `ml.recommend.chances`. Of a product never bought nothing of one's own is
    known, so the questions *again* and *new* are learned apart; both answers are chances of one event, and one list can hold both. Of pairs not bought a share of `NEGATIVES` is
    learned from, so scores rank, but are too high for chances. Where fewer than `LEAST_BOUGHT` new pairs were bought in its lessons it is no
    more than `Blend`; where fewer were bought again, it says nothing of what was bought before.

    Neighbours are looked for among customers it has met, whose purchases are not saved with it.
    """

    method = "hybrid"
    answers = frozenset(QUESTIONS)

    def __init__(self, half_life_days: float = HALF_LIFE_DAYS) -> None:
        super().__init__()
        self.blend = Blend(half_life_days)
        self.beside: list[Recommender] = [ItemNeighbours(), Transitions()]
        self.neighbours: list[ByNeighbours] = []
        self.products: Floats = np.zeros((0, 0), dtype=np.float32)
        self.attributes: list[Ints] = []
        self.chances: dict[str, Chances] = {}

    def fit(self, found: Histories, *, seed: int) -> Self:
        """Learn the chances from lessons, each question where it has enough, then do what `renew` does."""
        fading = self.blend.ease.half_life_days
        taught = [lesson(found, WINDOW_DAYS * place, seed, fading) for place in range(1, LESSONS + 1)]
        whole = {question: Lesson.of_all(each[question] for each in taught if each) for question in QUESTIONS}
        learned = [question for question, each in whole.items() if each.bought.sum() >= LEAST_BOUGHT]
        fitted = side_by_side(
            lambda question: Chances().fit(whole[question].columns, whole[question].bought, seed=seed),
            learned,
        )
        self.chances = dict(zip(learned, fitted, strict=True))
        return self.renew(found, seed=seed)

    def renew(self, found: Histories, *, seed: int) -> Self:
        """Fit the single methods and count how products sell; the chances stay as they were learned."""
        some = found.some(MOST_FITTED)
        self.product_ids, self.attributes = found.product_ids, list(found.attributes.values())
        side_by_side(lambda each: each.fit(some, seed=seed), [self.blend, *self.beside])
        self.products = features.of_products(some)
        return self.meet(found)

    def meet(self, everybody: Histories) -> Self:
        some = everybody.some(MOST_MET)
        self.neighbours = [make().fit(some, seed=0) for make in BY_NEIGHBOURS]
        return self

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "neighbours": []}  # a model that is saved holds nobody's purchases

    def scores(self, asked: Histories) -> Floats:
        """Return chances, 0 to 1, shape (n_customers, n_products); 0 where nothing spoke for the product."""
        if NEW not in self.chances:
            return self.blend.scores(asked)
        scores = np.zeros(asked.shape, dtype=np.float32)
        for question, known in self.known(asked).items():
            if question in self.chances:
                scores[known.pairs.rows, known.pairs.columns] = self.chances[question].predict(known.columns)
        return scores

    def known(self, asked: Histories) -> dict[str, Known]:
        """Return the pairs to score, by question, and what is known of them."""
        said = self._said(asked)
        liked, shops = features.affinities(asked, self.attributes), features.of_customers(asked)

        def columns(found: Pairs) -> Floats:
            rows, products = found.rows, found.columns
            return np.column_stack(
                [
                    *(scores[rows, products] for scores in said),
                    *(of_code[rows, codes[products]] for of_code, codes in liked),
                    shops[rows],
                    self.products[products],
                ]
            )

        again, own = _habits(features.bought(asked), features.own(asked))
        beside = features.against_its_like(again, own, liked, self.products)
        new = _candidates(said, never_bought(asked.counts))
        return {
            AGAIN: Known(again, np.column_stack([columns(again), own, beside])),
            NEW: Known(new, columns(new)),
        }

    def _said(self, asked: Histories) -> list[Floats]:
        by_purchases = [member.scores(asked) for member in (*self.blend.members, *self.beside)]
        by_purchases.append(self.blend.ease.scores_of_late(asked))
        if self.neighbours:
            return by_purchases + [each.scores(asked) for each in self.neighbours]
        return by_purchases + [np.zeros(asked.shape, dtype=np.float32)] * len(BY_NEIGHBOURS)

    def explain_new(self, asked: Histories, lists: Lists) -> Reasons:
        """Name the bought product that each resembles, or else how many customers of like taste bought it."""
        reasons = super().explain_new(asked, lists)
        unexplained = reasons.kinds == Kind.HISTORY
        if not self.neighbours or not unexplained.any():
            return reasons
        return reasons.replaced(unexplained, self.neighbours[0].explain_new(asked, lists))

    def resemblance(self, products: Ints, bought: Ints) -> Floats:
        return self.blend.resemblance(products, bought)


def lesson(
    found: Histories, days: int, seed: int, half_life_days: float = HALF_LIFE_DAYS
) -> dict[str, Lesson]:
    """Return by question what was known so many days ago, and what was bought in the four weeks from then; nothing if nothing was."""
    then, after = weeks_ago(found, days, window_days=WINDOW_DAYS)
    if not len(then.products):
        return {}
    model = Hybrid(half_life_days).renew(then, seed=seed)
    taught, n_products = then.some(MOST_TAUGHT), then.shape[1]
    truth = rows_of(after, taught.customer_ids)
    bought = distinct(truth.customers * n_products + truth.products)

    def answers(start: int, known: Known) -> Lesson:
        keys = (known.pairs.rows + start) * n_products + known.pairs.columns
        were_bought = np.isin(keys, bought)
        learned = were_bought | (np.random.default_rng((seed, start)).random(len(keys)) < NEGATIVES)
        return Lesson(known.columns[learned], were_bought[learned])

    def of_block(rows: slice) -> dict[str, Lesson]:
        known = model.known(taught.between(rows.start, rows.stop))
        return {question: answers(rows.start, each) for question, each in known.items()}

    parts = side_by_side(of_block, spans(taught))
    return {question: Lesson.of_all(part[question] for part in parts) for question in QUESTIONS}


def _habits(bought: Pairs, own: Floats) -> tuple[Pairs, Floats]:
    """Return the `AGAIN_CANDIDATES` products that each customer bought in most weeks, late weeks counting more."""
    weeks = own[:, features.OWN.index("weeks_faded")]
    order = np.lexsort((bought.columns, -weeks, bought.rows))
    place = np.arange(len(order)) - np.searchsorted(bought.rows, bought.rows)
    kept = np.sort(order[place < AGAIN_CANDIDATES])
    return Pairs(bought.rows[kept], bought.columns[kept]), own[kept]


def _candidates(said: list[Floats], unknown: Bools) -> Pairs:
    """Return the best `CANDIDATES` of each method among the products a customer never bought."""
    named = np.zeros(unknown.shape, dtype=bool)
    for scores in said:
        products = best(scores, unknown, CANDIDATES).products
        row, place = np.nonzero(products != NONE)
        named[row, products[row, place]] = True
    return Pairs(*np.nonzero(named))
