"""What clicks say of products, against simulated readers of whom the truth is known, and what it does to lists."""

from collections import defaultdict
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.recommend.lists import NONE, Lists
from ml.recommend.models import METHODS
from ml.recommend.purchases import Purchases, catalogue, histories
from ml.recommend.response import FEWEST_CLICKS, FEWEST_SHOWINGS, Response
from ml.recommend.serving import Shelves, may_be_listed
from ml.recommend.trade.finishing import Placed
from ml.recommend.trade.rules import TradeRules
from ml.recommend.trade.shop import Trade
from tests.ml.shop import AS_OF, CUSTOMERS, simulated_purchases
from tests.ml.shown import CLICKED, EXAMINED, LOUD, QUIET, Shown, showings, shown


def learned(told: Shown, table: pa.Table | None = None) -> Response:
    found = Response.of(told.table if table is None else table, told.product_ids, told.categories)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def many() -> Shown:
    return shown(mails=60_000)


@pytest.fixture(scope="module")
def few() -> Shown:
    return shown(mails=6_000, products=300)


def test_how_often_places_are_looked_at_is_within_a_tenth_of_the_truth(many):
    found = learned(many)
    assert list(found.propensity) == [("picked_for_you", place) for place in range(1, 7)]
    propensity = np.array(list(found.propensity.values()))
    np.testing.assert_allclose(propensity / propensity[0], EXAMINED / EXAMINED[0], rtol=0.1)
    clicked = many.table["is_clicked"].to_numpy().reshape(-1, 6).mean(axis=0)
    # Clicks alone flatter the last place: what pleases most always stood there.
    assert clicked[5] / clicked[0] > 1.3 * EXAMINED[5] / EXAMINED[0]


def test_what_pleases_at_the_bottom_is_above_what_stood_at_the_top_and_pleases_less(many):
    found = learned(many)
    quiet, loud = (int(np.searchsorted(many.product_ids, name)) for name in (QUIET, LOUD))
    clicks = np.bincount(many.columns, many.table["is_clicked"].to_numpy())
    naive = clicks / np.bincount(many.columns)
    assert naive[quiet] < 0.8 * naive[loud]
    assert found.appeal[quiet] / found.appeal[loud] == pytest.approx(2.0 / 0.6, rel=0.25)
    twice = Placed(
        Lists(np.array([[loud, quiet]]), np.array([[3.0, 2.0]], dtype=np.float32)), np.array([["als", "als"]])
    )
    assert found.reranked(twice).lists.products.tolist() == [[quiet, loud]]


def test_with_few_showings_appeals_are_nearer_the_truth_than_rates_of_products_or_one_of_all(few):
    found = learned(few)
    exposure = np.bincount(few.columns, np.tile(EXAMINED, 6_000), minlength=300)
    clicks = np.bincount(few.columns, few.table["is_clicked"].to_numpy(), minlength=300)
    truth = few.appeals / (few.appeals @ exposure / exposure.sum())
    counted = exposure > 0
    rates = clicks[counted] / (CLICKED * exposure[counted])

    def off(guess: np.ndarray) -> float:
        return float(np.sqrt(np.mean((guess - truth[counted]) ** 2)))

    assert off(found.appeal[counted]) < 0.9 * min(off(rates), off(np.ones(counted.sum())))


def test_where_products_please_alike_chance_makes_no_difference_between_them():
    ids = np.array([f"p{number:02d}" for number in range(60)])
    rng = np.random.default_rng(7)
    listed = np.argsort(rng.random((5_000, 60)), axis=1)[:, :6]
    clicked = rng.random(listed.shape) < CLICKED * EXAMINED
    found = Response.of(showings(listed, clicked, clicked & False, ids), ids, np.array(["c0", "c1"] * 30))
    assert found is not None
    clicks = np.bincount(listed.ravel(), clicked.ravel())
    assert clicks.max() > 3 * clicks.min()
    assert np.abs(found.appeal - 1).max() < 0.1


def test_a_product_that_was_never_shown_is_taken_for_its_like_and_one_of_no_known_category_for_any(many):
    ids, categories = np.append(many.product_ids, ["q0", "q1"]), np.append(many.categories, ["c3", "other"])
    found = Response.of(many.table, ids, categories)
    assert found is not None
    of_categories = [found.appeal[:-2][many.categories == name].mean() for name in np.unique(many.categories)]
    like, any_other = of_categories[3], np.mean(of_categories)
    assert like < 0.8 * any_other
    assert like < found.appeal[-2] < (2 * like + any_other) / 3
    assert found.appeal[-1] == pytest.approx(any_other, rel=0.1)


def test_a_purchase_counts_where_it_was_clicked_and_nowhere_else(many):
    is_quiet = many.columns == 0
    clicked = many.table["is_clicked"].to_numpy()
    place = many.table.column_names.index("is_bought")

    def appeal(bought: np.ndarray) -> float:
        table = many.table.set_column(place, "is_bought", pa.array(bought))
        return float(learned(many, table).appeal[0])

    nobody = appeal(np.zeros_like(clicked))
    assert appeal(~clicked) == nobody
    assert appeal(is_quiet & clicked) == pytest.approx(2 * nobody, rel=0.1)


def test_what_was_bought_before_and_what_is_not_on_the_shelf_is_not_learned_from(many):
    half = np.arange(len(many.table)) % 2 == 0
    place = many.table.column_names.index("is_new")
    marked = many.table.set_column(place, "is_new", pa.array(half))
    assert learned(many, marked).appeal.tolist() == learned(many, many.table.filter(half)).appeal.tolist()
    fewer = Response.of(many.table, many.product_ids[1:], many.categories[1:])
    without = many.table.filter(pc.not_equal(many.table["product_id"], QUIET))
    same = Response.of(without, many.product_ids[1:], many.categories[1:])
    assert fewer is not None
    assert same is not None
    assert fewer.appeal.tolist() == same.appeal.tolist()


def test_rows_in_another_order_teach_the_same(few):
    rows = np.random.default_rng(2).permutation(len(few.table))
    first, again = learned(few), learned(few, few.table.take(rows))
    np.testing.assert_array_equal(first.appeal, again.appeal)
    assert first.propensity == again.propensity


@pytest.mark.parametrize(
    ("count", "clicks"), [(FEWEST_SHOWINGS - 1, 500), (5_000, FEWEST_CLICKS - 1), (0, 0)]
)
def test_too_few_showings_or_clicks_teach_nothing(count, clicks):
    rows = np.arange(count)[:, None]
    table = showings(rows % 7, rows < clicks, rows < 0, np.array([f"p{number}" for number in range(7)]))
    assert Response.of(table, np.array([f"p{number}" for number in range(7)]), np.array(["c"] * 7)) is None


LISTS = st.integers(1, 12).flatmap(
    lambda k: st.tuples(
        st.permutations(range(12)).map(lambda each: each[:k]),
        st.lists(st.floats(1.0, 4.0, width=32), min_size=k, max_size=k),
        st.integers(0, k),
        st.integers(0, k),
    )
)
APPEALS = st.lists(st.floats(0.25, 4.0), min_size=12, max_size=12).map(np.array)


def placed(given_list) -> Placed:
    """One list: the first `own` places by one method, those up to `there` by another, the rest empty."""
    products, scores, own, there = given_list
    k = len(products)
    methods = np.where(np.arange(k) < own, "hybrid", "popular")
    ordered = [-each for part in (scores[:own], scores[own:]) for each in sorted(-each for each in part)]
    listed = np.arange(k) < there
    return Placed(
        Lists(np.where(listed, products, NONE)[None], np.where(listed, ordered, 0).astype(np.float32)[None]),
        methods[None],
    )


@given(LISTS, APPEALS)
def test_whatever_the_appeals_a_list_keeps_its_products_who_placed_them_and_scores_within_a_factor_of_two(
    given_list, appeals
):
    before = placed(given_list)
    after = Response(appeals, {}).reranked(before)

    def told(each: Placed) -> dict[int, tuple[str, float]]:
        rows = zip(each.lists.products[0].tolist(), each.methods[0], each.lists.scores[0], strict=True)
        return {product: (str(method), float(score)) for product, method, score in rows if product != NONE}

    was, now = told(before), told(after)
    assert {name: method for name, (method, _) in was.items()} == {
        name: method for name, (method, _) in now.items()
    }
    assert all(0.4999 <= now[name][1] / was[name][1] <= 2.0001 for name in was)
    assert after.methods.tolist() == before.methods.tolist()
    of_method = defaultdict(list)
    for method, score in now.values():
        of_method[method].append(score)
    assert all(scores == sorted(scores, reverse=True) for scores in of_method.values())


@given(LISTS, APPEALS, st.integers(0, 11), st.floats(1.5, 5.0))
def test_a_product_that_pleases_more_never_stands_lower_for_it(given_list, appeals, which, more):
    before = placed(given_list)
    raised = appeals.copy()
    raised[which] *= more
    low, high = (Response(each, {}).reranked(before).lists.products[0].tolist() for each in (appeals, raised))
    if which in low:
        assert high.index(which) <= low.index(which)


def lists_of_the_shop(table: pa.Table | None) -> pa.Table:
    interactions, products = simulated_purchases()
    bought = Purchases.of(interactions, products)
    model = METHODS["item_item"]().fit(
        histories(bought, catalogue(bought, before=AS_OF), before=AS_OF), seed=3
    )
    trade = Trade(AS_OF, TradeRules(), products)
    allowed = may_be_listed(products, AS_OF)
    return Shelves.of(model, bought, trade=trade, allowed=allowed, showings=table).recommend(CUSTOMERS).lists


def clicks_on(liked: str, mails: int) -> pa.Table:
    """Mails of six of the shop's products each, drawn evenly, of which one is clicked whenever it is shown, others rarely."""
    ids = np.array(may_be_listed(simulated_purchases()[1], AS_OF))
    rng = np.random.default_rng(4)
    listed = np.argsort(rng.random((mails, len(ids))), axis=1)[:, :6]
    clicked = (ids[listed] == liked) | (rng.random(listed.shape) < 0.1)
    return showings(listed, clicked, clicked & False, ids)


def test_lists_without_showings_with_none_and_with_too_few_are_the_same_to_the_byte():
    without = lists_of_the_shop(None)
    for table in (clicks_on("p10", 0), clicks_on("p10", FEWEST_SHOWINGS // 6)):
        assert lists_of_the_shop(table).equals(without, check_metadata=True)


def test_a_product_that_is_clicked_rises_on_lists_of_what_is_new_and_its_reasons_stay():
    before = lists_of_the_shop(None).to_pylist()
    liked = next(row for row in before if row["question"] == "new" and row["rank"] == 6)["product_id"]
    after = lists_of_the_shop(clicks_on(liked, 2_000)).to_pylist()
    stated = {"rank", "score"}

    def told(rows: list[dict[str, Any]]) -> dict[tuple[str, ...], dict[str, Any]]:
        return {(row["question"], row["customer_id"], row["product_id"]): row for row in rows}

    was, now = told(before), told(after)
    assert was.keys() == now.keys()
    for key, row in was.items():
        assert {name: row[name] for name in row.keys() - stated} == {
            name: now[key][name] for name in row.keys() - stated
        }
    assert [row for row in after if row["question"] == "again"] == [
        row for row in before if row["question"] == "again"
    ]
    ranks = [
        (row["rank"], now[key]["rank"]) for key, row in was.items() if key[0] == "new" and key[2] == liked
    ]
    assert all(new <= old for old, new in ranks)
    assert sum(new < old for old, new in ranks) > len(ranks) / 4
