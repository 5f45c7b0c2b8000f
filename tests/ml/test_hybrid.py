"""The hybrid: what it knows of a pair, that it learns from closed weeks only, and that it learns."""

import numpy as np
import pandas as pd
import pytest
import skops.io

from ml.recommend import chances, features
from ml.recommend.baselines import OwnPurchasesLately
from ml.recommend.lists import best
from ml.recommend.methods import hybrid
from ml.recommend.methods.ease import Ease
from ml.recommend.methods.hybrid import Hybrid, lesson
from ml.recommend.methods.protocol import AGAIN, NEW
from ml.recommend.models import TRUSTED_TYPES
from ml.recommend.purchases import Histories, Purchases, catalogue, histories
from ml.recommend.serving import Shelves, may_be_listed
from ml.recommend.trade.rules import TradeRules
from ml.recommend.trade.shop import Trade
from tests.ml.shop import AS_OF, CUSTOMERS, simulated_purchases

STAPLES, DURABLES = 30, 30


def histories_of(rows: list[tuple[str, str, int]], customers: list[str], products: list[str]) -> Histories:
    """Rows are customer, product, days ago, one line each; even products are of kind 0, odd ones of kind 1."""
    people, goods = np.array(customers), np.array(products)
    buyers, columns = (
        np.searchsorted(names, [row[at] for row in rows]) for at, names in enumerate((people, goods))
    )
    ages = np.array([row[2] for row in rows], dtype=np.int64)
    kinds = {"kind": np.arange(len(goods)) % 2}
    return Histories.of(
        people, goods, buyers, columns, ages, np.ones(len(rows), dtype=np.float32), attributes=kinds
    )


def test_what_is_known_of_a_pair_is_what_a_calculator_says():
    rows = [
        ("a", "milk", 2),
        ("a", "milk", 9),
        ("a", "milk", 30),
        ("a", "tea", 100),
        ("b", "tea", 10),
        ("b", "tea", 30),
    ]
    found = histories_of(rows, ["a", "b", "c"], ["milk", "tea"])
    bought = features.bought(found)
    assert list(zip(bought.rows, bought.columns, strict=True)) == [(0, 0), (0, 1), (1, 1)]
    milk, tea, twice = (dict(zip(features.OWN, row, strict=True)) for row in features.own(found).tolist())
    expected = {
        "lines_14d": 2 ** (-2 / 14) + 2 ** (-9 / 14) + 2 ** (-30 / 14),
        "weeks_7d": 1,
        "weeks_28d": 2,
        "weeks_56d": 3,
        "weeks_faded": 2 ** (-1 / 90) + 2 ** (-8 / 90) + 2 ** (-29 / 90),
        "weeks_by_age": 1 / 8 + 1 / 9 + 1 / 12,
        "days": 3,
        "last": 2,
        "first": 30,
        "gap_ratio": 2 / 14,
        "longest_gap_ratio": 2 / 21,
        "of_last_1_visits": 1,
        "of_last_3_visits": 3,
        "of_last_20_visits": 3,
        "visits_since_last": 0,
        "visits_since_first": 3,
        "share_of_visits_since_first": 1,
        "share_of_visits": 3 / 4,
        "visit_gap_ratio": 0,
    }
    assert {name: milk[name] for name in expected} == pytest.approx(expected, rel=1e-5)
    assert (tea["days"], tea["last"], tea["first"]) == (1, 100, 100)
    assert all(np.isnan(tea[name]) for name in ("gap_ratio", "longest_gap_ratio", "visit_gap_ratio"))
    visits = [tea[f"of_last_{number}_visits"] for number in (3, 5)]
    assert visits == [0, 1]  # the fourth visit back
    assert (tea["visits_since_last"], tea["visits_since_first"], tea["share_of_visits"]) == (3, 4, 1 / 4)
    assert (twice["days"], twice["gap_ratio"], twice["share_of_visits"]) == (2, 10 / 20, 1)
    shops = features.of_customers(found)
    assert shops[:2].tolist() == [[2, 3, 3, 2, 4], [1, 2, 2, 10, 2]]
    assert shops[2, [0, 1, 2, 4]].tolist() == [0, 0, 0, 0]
    assert np.isnan(shops[2, 3])


def test_how_a_product_stands_against_its_like_is_what_a_calculator_says():
    often = [("a", "milk", 3 + 7 * week) for week in range(6)]  # five gaps of a week
    rows = [*often, ("a", "tea", 60), ("b", "soap", 4), ("b", "soap", 9)]
    found = histories_of(rows, ["a", "b"], ["milk", "soap", "tea"])  # milk and tea are of one kind
    kinds, pairs = [found.attributes["kind"]], features.bought(found)
    of_product = features.of_products(found)
    gaps = of_product[:, features.PRODUCT.index("mean_gap")]
    assert gaps[0] == 7
    assert np.isnan(gaps[1:]).all()  # soap has one gap, tea none
    liked = features.affinities(found, kinds)
    against = features.against_its_like(pairs, features.own(found), liked, of_product)
    milk, tea = sum(2 ** (-(3 + 7 * week) / 60) for week in range(6)), 2 ** (-60 / 60)
    assert against[0].tolist() == pytest.approx([3 / 7, milk / (milk + tea)])
    assert against[1, 1] == pytest.approx(tea / (milk + tea))
    assert against[2, 1] == 1
    assert np.isnan(against[1:, 0]).all()
    (last, codes), (fortnight, _), *_ = liked
    assert codes.tolist() == [0, 1, 0]
    assert last[0, 0] == 3
    assert np.isnan(last[0, 1])
    assert last[1].tolist() == pytest.approx([np.nan, 4], nan_ok=True)
    assert fortnight[1, 1] == pytest.approx(2 ** (-4 / 14) + 2 ** (-9 / 14))


def test_how_products_sell_is_what_a_calculator_says():
    rows = [("a", "milk", 5), ("a", "milk", 40), ("b", "milk", 50), ("b", "tea", 10), ("c", "soap", 40)]
    found = histories_of(rows, ["a", "b", "c", "d"], ["milk", "soap", "tea"])
    names = [*features.PRODUCT, "share_of_kind", "return_share_of_kind"]
    milk, soap, tea = (dict(zip(names, row, strict=True)) for row in features.of_products(found).tolist())
    assert (milk["buyers_7d"], milk["buyers_28d"], tea["buyers_28d"]) == (1 / 4, 1 / 4, 1 / 4)
    assert (milk["share_of_repeaters"], milk["days_per_buyer"]) == (1 / 2, 3 / 2)
    assert (milk["return_share"], soap["return_share"], tea["return_share"]) == (1 / 2, 0, 0)
    assert (milk["return_share_of_kind"], tea["return_share_of_kind"]) == (
        1 / 2,
        1 / 2,
    )  # one kind: even ones
    faded = {"milk": min(2 ** (-5 / 60) + 2 ** (-40 / 60), 1) + 2 ** (-50 / 60), "tea": 2 ** (-10 / 60)}
    assert tea["buyers_60d_faded"] == pytest.approx(faded["tea"] / 4)
    assert tea["share_of_kind"] == pytest.approx(faded["tea"] / sum(faded.values()))
    assert soap["share_of_kind"] == 1


def shop(seed: int, customers: int = 250) -> tuple[Histories, np.ndarray]:
    """A simulated shop: staples come back every two weeks, durables many times in one week and never again.

    Returns what was known, and what was bought in the 28 days after, shape (n_customers, n_products).
    """
    rng = np.random.default_rng(seed)
    names = [f"c{number:03d}" for number in range(customers)]
    products = [f"p{number:02d}" for number in range(STAPLES + DURABLES)]
    rows, after = [], np.zeros((customers, len(products)), dtype=bool)
    for row, name in enumerate(names):
        side = row % 2  # customers of one side like the staples and durables of that side
        for product in rng.choice(np.arange(side, STAPLES, 2), 6, replace=False):
            for day in np.arange(rng.integers(14), 200, 14):
                if day < 28:
                    after[row, product] = True
                else:
                    rows.append((name, products[product], int(day) - 27))
        for product in rng.choice(np.arange(STAPLES + side, STAPLES + DURABLES, 2), 6, replace=False):
            week = int(rng.integers(28, 190))
            rows += [(name, products[product], week - 27 + piece % 4) for piece in range(20)]
    return histories_of(rows, names, products), after


@pytest.fixture
def small(monkeypatch):
    """Let trees grow on the little that a simulated shop has."""
    monkeypatch.setattr(hybrid, "LEAST_BOUGHT", 50)
    monkeypatch.setattr(chances, "BOOSTER", chances.BOOSTER | {"min_samples_leaf": 20, "max_iter": 40})


def precision(model, found: Histories, after: np.ndarray, k: int = 6) -> float:
    lists = best(model.scores(found), np.ones(found.shape, dtype=bool), k).products
    return float(np.take_along_axis(after, lists, axis=1).mean())


def test_it_learns_which_purchases_come_back(small):
    found, after = shop(seed=4)
    learned = Hybrid().fit(found, seed=1)
    own = OwnPurchasesLately().fit(found, seed=1)  # many lines in a week look to it like a habit
    assert precision(learned, found, after) > 0.95
    assert precision(own, found, after) < 0.8


def test_lessons_know_nothing_of_their_answers(small, monkeypatch):
    monkeypatch.setattr(hybrid, "NEGATIVES", 1.0)
    found, _ = shop(seed=4)
    altered = found.ages.astype(np.int64)
    last = found.ages <= hybrid.WINDOW_DAYS
    altered[last] = 29 - altered[last]
    mirrored = Histories.of(
        found.customer_ids,
        found.product_ids,
        found.customers,
        np.where(last, (found.products + 2) % (STAPLES + DURABLES), found.products),
        altered,
        found.line_counts,
        attributes=found.attributes,
    )
    first, second = (lesson(each, hybrid.WINDOW_DAYS, seed=1) for each in (found, mirrored))
    for question in (AGAIN, NEW):
        assert np.array_equal(first[question].columns, second[question].columns, equal_nan=True)
        assert not np.array_equal(first[question].bought, second[question].bought)


def test_each_lesson_asks_for_the_four_weeks_that_followed_it(small, monkeypatch):
    """Only purchases of products bought before are counted here: all of them are asked for, whatever the methods name."""
    monkeypatch.setattr(hybrid, "NEGATIVES", 1.0)
    found, _ = shop(seed=4)
    entries = list(zip(found.customers.tolist(), found.products.tolist(), found.ages.tolist(), strict=True))
    for days in (28, 56):
        before = {(customer, product) for customer, product, age in entries if age > days}
        after = {(customer, product) for customer, product, age in entries if days - 28 < age <= days}
        asked = lesson(found, days, seed=1)[AGAIN]
        assert len(asked.bought) == len(before)
        assert asked.bought.sum() == len(before & after)


def test_with_trees_a_refit_and_a_saved_model_score_the_same_and_nobodys_purchases_are_saved(small):
    found, _ = shop(seed=4)
    model, twin = (Hybrid().fit(found, seed=1) for _ in range(2))
    assert model.chances
    assert np.array_equal(model.scores(found), twin.scores(found))
    loaded = skops.io.loads(skops.io.dumps(model), trusted=TRUSTED_TYPES)
    assert loaded.neighbours == []
    assert (loaded.scores(found) > 0).any()  # among strangers it still answers
    assert np.array_equal(model.scores(found), loaded.meet(found).scores(found))


def test_one_customer_after_another_gets_the_lists_that_all_get_together(small):
    interactions, products = simulated_purchases()
    bought = Purchases.of(interactions, products)
    model = Hybrid().fit(histories(bought, catalogue(bought, before=AS_OF), before=AS_OF), seed=1)
    rules = {"own_cycle": {"share": 0.5}, "category_caps": {"shelf 1": 3}}
    trade = Trade(AS_OF, TradeRules.model_validate(rules), products)
    ready = Shelves.of(model, bought, trade=trade, allowed=may_be_listed(products, AS_OF))
    together = ready.recommend(CUSTOMERS).lists.to_pandas()
    alone = pd.concat([ready.recommend([each]).lists.to_pandas() for each in CUSTOMERS])
    assert (together.method == "hybrid").groupby(together.question).mean().min() > 0.7
    whose = ["customer_id", "question", "rank"]
    pd.testing.assert_frame_equal(
        alone.sort_values(whose, ignore_index=True), together.sort_values(whose, ignore_index=True), rtol=1e-5
    )


def test_too_little_history_leaves_it_to_the_blend():
    found, _ = shop(seed=4, customers=20)
    model = Hybrid().fit(found, seed=1)
    assert not model.chances
    assert np.array_equal(model.scores(found), model.blend.scores(found))


def test_a_shop_where_nothing_is_bought_twice_still_learns_what_is_new(monkeypatch):
    monkeypatch.setattr(hybrid, "LEAST_BOUGHT", 50)
    found, _ = shop(seed=4)
    once = found.weighed(found.ages.astype(np.float32)).tocoo()  # each pair once, on a day of its own
    rows, columns = once.coords
    ages = (1 + once.data.astype(np.int64) % 200).astype(np.int64)
    alone = Histories.of(
        found.customer_ids, found.product_ids, rows.astype(np.int64), columns.astype(np.int64), ages,
        np.full(len(rows), 20, dtype=np.float32), attributes=found.attributes,
    )  # fmt: skip
    model = Hybrid().fit(alone, seed=1)
    assert set(model.chances) == {NEW}
    scores = model.scores(alone)
    assert (scores[rows, columns] == 0).all()  # of what was bought it says nothing
    lists = model.recommend(alone, 6, exclude=alone.counts).products
    liked = (lists % 2 == (np.arange(len(lists)) % 2)[:, None])[lists >= 0]
    assert liked.mean() > 0.95  # the side that a customer likes


def test_of_late_the_newest_purchase_speaks_loudest():
    ages = [("a", "milk", 1), ("a", "tea", 15), ("b", "milk", 15), ("b", "tea", 1)]
    beside = [(name, other, 40) for name, other in (("c", "milk"), ("c", "jam"), ("d", "tea"), ("d", "soap"))]
    found = histories_of([*ages, *beside], ["a", "b", "c", "d"], ["jam", "milk", "soap", "tea"])
    model = Ease().fit(found, seed=0)
    late, usual = model.scores_of_late(found), model.scores(found)
    jam, soap = 0, 2
    # milk leads to jam and tea to soap; 14 days are two half-lives of a week, and roots are taken
    assert late[0, jam] / late[0, soap] == pytest.approx(2.0, rel=0.02)
    assert late[1, soap] / late[1, jam] == pytest.approx(2.0, rel=0.02)
    assert usual[0, jam] / usual[0, soap] == pytest.approx(2 ** (14 / 60 / 2), rel=0.02)
