"""One kit of properties that every recommender passes, and the lists they end up in."""

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest
import skops.io
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from ml.recommend.lists import BLOCK, NONE, Lists, best, filled, never_bought, top
from ml.recommend.methods.protocol import AGAIN, NEW, Recommender, Wanted
from ml.recommend.models import CANDIDATES, METHODS, TRUSTED_TYPES
from ml.recommend.purchases import Histories, Purchases, catalogue, histories, rows_of
from ml.recommend.serving import LISTED, Shelves, may_be_listed
from ml.recommend.trade.rules import TradeRules
from ml.recommend.trade.shop import Trade
from ml.recommend.trial import baseline_qualities, model_quality, split
from tests.ml.shop import AS_OF, CUSTOMERS, NEWCOMER, product_table, simulated_purchases


def pairs(interactions: pa.Table) -> set[tuple[str, str]]:
    """Return who bought what."""
    return set(zip(*(interactions[each].to_pylist() for each in ("customer_id", "product_id")), strict=True))


NO_RULES = Trade(AS_OF, TradeRules(), product_table())
EVERY_METHOD = pytest.mark.parametrize("name", METHODS)
ALONE = ["popular", "popular_lately", "popular_in_segment", "content", "own", "own_lately"]
"""They learn nothing from who else bought a product."""
COLLABORATIVE = [name for name in METHODS if name not in ALONE]
EVERY_CANDIDATE = pytest.mark.parametrize("name", CANDIDATES)


@pytest.fixture(scope="module")
def purchases():
    return Purchases.of(*simulated_purchases())


@pytest.fixture(scope="module")
def known(purchases):
    return histories(purchases, catalogue(purchases, before=AS_OF), before=AS_OF)


def checkerboard(size: int = 40) -> Histories:
    """Customer i bought every product of the same parity but product i, day by day from i + 2 on, round to i - 2.

    So product i is the known answer: to whom it belongs with, and to what comes next.
    """
    names = np.array([f"{number:02d}" for number in range(size)])
    steps = np.arange(1, size // 2)
    customers = np.repeat(np.arange(size), len(steps))
    products = (customers + 2 * np.tile(steps, size)) % size
    ages = np.tile(size // 2 - steps, size)
    return Histories.of(names, names, customers, products, ages, np.ones(len(ages), dtype=np.float32))


@pytest.mark.parametrize("name", COLLABORATIVE)
def test_the_checkerboard_has_its_known_answer(name):
    board = checkerboard()
    model = METHODS[name]().fit(board, seed=1)
    found = best(model.scores(board), never_bought(board.counts), 1)
    assert found.products[:, 0].tolist() == list(range(40))


@EVERY_METHOD
def test_fitted_twice_a_model_scores_the_same(name, known):
    first, again = (METHODS[name]().fit(known, seed=3).scores(known) for _ in range(2))
    assert np.array_equal(first, again)
    assert first.max() > 0


@EVERY_METHOD
def test_fitted_anew_a_model_scores_as_if_it_had_never_known_anything_else(name, known):
    model = METHODS[name]().fit(known, seed=3)
    model.scores(known)  # what it keeps at hand is of the first fit
    later = known.days_earlier(28)
    fresh = METHODS[name]().fit(later, seed=3)
    assert np.array_equal(model.fit(later, seed=3).scores(known), fresh.scores(known))


@EVERY_METHOD
def test_asked_together_both_questions_get_the_lists_they_get_apart(name, known):
    model = METHODS[name]().fit(known, seed=3)
    rare = csr_array(known.counts.toarray() < 2)
    wanted = {NEW: Wanted(12, known.counts), AGAIN: Wanted(5, rare)}
    both = model.lists(known, wanted)
    for question, what in wanted.items():
        apart = model.lists(known, {question: what})[question]
        assert np.array_equal(both[question].products, apart.products)
        # Of other products beside it, a float32 sum may be rounded otherwise.
        np.testing.assert_allclose(both[question].scores, apart.scores, rtol=1e-6)
    rows, places = np.nonzero(both[AGAIN].products != NONE)
    assert (known.counts.toarray()[rows, both[AGAIN].products[rows, places]] >= 2).all()
    if AGAIN in model.answers and name != "hybrid":  # which says nothing of it where it learned nothing
        assert len(rows) > 500


@EVERY_METHOD
def test_saved_and_loaded_a_model_scores_the_same(name, known):
    model = METHODS[name]().fit(known, seed=3)
    loaded = skops.io.loads(skops.io.dumps(model), trusted=TRUSTED_TYPES)
    assert np.array_equal(model.scores(known), loaded.scores(known))
    assert loaded.product_ids.tolist() == known.product_ids.tolist()


@EVERY_METHOD
def test_lists_hold_no_product_that_is_excluded_or_was_bought(name, purchases, known):
    interactions, products = simulated_purchases()
    model = METHODS[name]().fit(known, seed=3)
    allowed = may_be_listed(products, AS_OF)
    assert {"fuel", "gone", "p00"}.isdisjoint(allowed)
    assert len(allowed) == 59
    found = (
        Shelves.of(model, purchases, trade=NO_RULES, allowed=allowed[:40])
        .recommend(CUSTOMERS)
        .lists.to_pylist()
    )
    assert {row["product_id"] for row in found} <= set(allowed[:40])
    bought = pairs(interactions)
    listed = {
        question: [(row["customer_id"], row["product_id"]) for row in found if row["question"] == question]
        for question in ("new", "again")
    }
    assert len(listed["new"]) == len(CUSTOMERS) * LISTED
    assert len(listed["again"]) > 1_500
    assert bought.isdisjoint(listed["new"])
    assert bought >= set(listed["again"])


@EVERY_METHOD
def test_rows_in_another_order_make_the_same_lists(name):
    interactions, products = simulated_purchases()
    shuffled = interactions.take(np.random.default_rng(1).permutation(len(interactions)))

    def lists(rows: pa.Table):
        given = Purchases.of(rows, products)
        model = METHODS[name]().fit(histories(given, catalogue(given, before=AS_OF), before=AS_OF), seed=3)
        return (
            Shelves.of(model, given, trade=NO_RULES, allowed=may_be_listed(products, AS_OF))
            .recommend(CUSTOMERS)
            .lists
        )

    assert lists(interactions) == lists(shuffled)


@pytest.mark.parametrize(
    "name", [name for name in METHODS if name != "popular_lately"]
)  # that one answers itself
def test_a_customer_without_a_known_purchase_gets_the_most_popular_products(name, purchases, known):
    model = METHODS[name]().fit(known, seed=3)
    allowed = may_be_listed(simulated_purchases()[1], AS_OF)
    found = Shelves.of(model, purchases, trade=NO_RULES, allowed=allowed).recommend([NEWCOMER]).lists
    assert set(found["question"].to_pylist()) == {"new"}  # nothing was bought that could be bought again
    buyers = dict.fromkeys(allowed, 0)
    pairs = {
        (c, p)
        for c, p in zip(
            *(simulated_purchases()[0][k].to_pylist() for k in ("customer_id", "product_id")), strict=True
        )
    }
    for _, product in pairs:
        if product in buyers:
            buyers[product] += 1
    expected = sorted(buyers, key=lambda product: (-buyers[product], product))[:LISTED]
    assert found["product_id"].to_pylist() == expected
    assert found["rank"].to_pylist() == list(range(1, LISTED + 1))
    assert set(found["method"].to_pylist()) == {"popular"}
    assert set(found["reason"].to_pylist()) == {"popular"}
    assert found["because_product_id"].null_count == LISTED


@EVERY_CANDIDATE
def test_the_reason_is_a_product_of_the_customers_own_taste(name, purchases, known):
    interactions, products = simulated_purchases()
    model = METHODS[name]().fit(known, seed=3)
    found = (
        Shelves.of(model, purchases, trade=NO_RULES, allowed=may_be_listed(products, AS_OF))
        .recommend(CUSTOMERS)
        .lists
    )
    reasons = [
        (row["customer_id"], row["because_product_id"])
        for row in found.to_pylist()
        if row["reason"] == "because"
    ]
    assert len(reasons) > 500
    assert set(reasons) <= pairs(interactions)


@EVERY_CANDIDATE
def test_the_reason_is_the_own_purchase_with_the_greatest_cosine(name, known):
    model = METHODS[name]().fit(known, seed=3)
    lists = best(model.scores(known.between(0, 5)), never_bought(known.counts[:5]), 3)
    reasons = model.explain(known.between(0, 5), lists).because
    for row in range(5):
        own = known.counts[row : row + 1].indices
        for rank in range(3):
            alike = {
                place: model.resemblance(lists.products[row, [rank]], np.array([place]))[0, 0]
                for place in own
            }
            assert alike[reasons[row, rank]] == pytest.approx(max(alike.values()), rel=1e-5)


@pytest.mark.parametrize("name", COLLABORATIVE)
def test_knowing_the_taste_beats_both_baselines_on_the_simulated_shop(name, purchases):
    at = split(purchases, AS_OF - timedelta(days=28))
    ours = model_quality(METHODS[name]().fit(at.before, seed=3), at).figures["ndcg_new"]
    theirs = {each: quality.figures["ndcg_new"] for each, quality in baseline_qualities(at).items()}
    assert theirs["own"] == 0.0  # what was bought before is never new
    assert ours > theirs["popular"] + 0.1


def test_those_who_bought_few_lines_and_many_are_judged_apart():
    interactions, products = simulated_purchases()
    # the first hundred lose what they bought before August, so they are those of few lines
    early = pa.compute.less(interactions["ordered_date"], pa.scalar(date(2017, 8, 1)))
    first = pa.compute.is_in(interactions["customer_id"], pa.array(CUSTOMERS[:100]))
    kept = interactions.filter(pa.compute.invert(pa.compute.and_(early, first)))
    at = split(Purchases.of(kept, products), AS_OF - timedelta(days=28))
    assert at.before.customer_ids.tolist() == CUSTOMERS
    quality = model_quality(METHODS["item_item"]().fit(at.before, seed=3), at)
    asked = at.bought["new"].any(axis=1)
    ndcg = np.zeros(200)
    ndcg[asked] = quality.ndcg_new
    few, many = (ndcg[half][asked[half]].mean() for half in (slice(0, 100), slice(100, 200)))
    assert few != pytest.approx(many)
    assert quality.figures["ndcg_few_new"] == pytest.approx(few)
    assert quality.figures["ndcg_many_new"] == pytest.approx(many)


def test_customers_of_the_three_categories_that_most_like_best_are_judged_apart_and_all_others_together(
    purchases,
):
    at = split(purchases, AS_OF - timedelta(days=28))
    kinds = [int(each[1:]) % 7 if each.startswith("p") else 7 for each in at.before.product_ids.tolist()]
    quality = model_quality(
        METHODS["item_item"]().fit(at.before, seed=3), replace(at, categories=np.array(kinds))
    )
    favourites = []
    for lines in at.before.counts.toarray():
        bought = Counter[int]()
        for kind, count in zip(kinds, lines.tolist(), strict=True):
            bought[kind] += count
        favourites.append(min(bought, key=lambda kind: (-bought[kind], kind)))
    ranked = Counter(favourites).most_common()
    assert len({count for _, count in ranked[:4]}) == 4  # no tie
    top = [kind for kind, _ in ranked[:3]]
    asked = at.bought["new"].any(axis=1)
    slices = np.array([top.index(kind) + 1 if kind in top else 0 for kind in favourites])[asked]
    for number, name in [(1, "1"), (2, "2"), (3, "3"), (0, "other")]:
        mean = quality.ndcg_new[slices == number].mean()
        assert quality.figures[f"ndcg_favourite_{name}_new"] == pytest.approx(mean)
    assert len({quality.figures[f"ndcg_favourite_{name}_everything"] for name in "123"}) == 3


def test_purchases_after_a_cutoff_change_nothing_that_was_known_before():
    interactions, products = simulated_purchases()
    cutoff = AS_OF - timedelta(days=28)
    early = interactions.filter(pa.compute.less(interactions["ordered_date"], pa.scalar(cutoff)))
    assert len(early) < len(interactions)
    # the late lines stay, but all of one product: only what is asked about may change
    late = interactions.filter(pa.compute.greater_equal(interactions["ordered_date"], pa.scalar(cutoff)))
    changed = late.set_column(1, "product_id", pa.array(["p05"] * len(late)))
    whole, other = (
        split(Purchases.of(rows, products), cutoff)
        for rows in (interactions, pa.concat_tables([early, changed]))
    )
    assert np.array_equal(whole.before.counts.toarray(), other.before.counts.toarray())
    assert whole.before.product_ids.tolist() == other.before.product_ids.tolist()
    assert not np.array_equal(whole.bought["everything"], other.bought["everything"])


def test_the_protocol_leaves_out_returns_and_products_with_few_lines():
    day = date(2017, 5, 1)
    rows = [("a", "often", 1, 20), ("b", "rare", 1, 19), ("c", "often", 0, 5), ("d", "fuel", 3, 50)]
    interactions = pa.table(
        {
            "customer_id": [row[0] for row in rows],
            "product_id": [row[1] for row in rows],
            "ordered_date": pa.array([day] * 4, pa.date32()),
            "quantity": [row[2] for row in rows],
            "line_count": [row[3] for row in rows],
        }
    )
    products = pa.table(
        {
            "product_id": ["often", "rare", "fuel"],
            "is_recommendable": [True, True, False],
            "category": ["tea", None, "fuel"],
            "subcategory": ["green", None, None],
            "name": ["Green tea", "Black tea", "Petrol"],
            "brand": pa.nulls(3, pa.string()),
        }
    )
    found = Purchases.of(interactions, products)
    assert found.customer_ids.tolist() == ["a", "b"]
    shelves = ["", "fuel", "tea"]
    categories = found.attributes_of(np.array(["rare", "often"]))["category"]
    assert [shelves[code] for code in categories] == ["", "tea"]
    assert catalogue(found, before=day + timedelta(days=1)).tolist() == ["often"]
    assert catalogue(found, before=day).tolist() == []


def test_histories_of_asked_customers_come_in_the_order_asked(known):
    asked = rows_of(known, ["c007", "nobody", "c001"])
    expected = known.counts.toarray()[[7, 0, 1]]
    expected[1] = 0
    assert np.array_equal(asked.counts.toarray(), expected)


def test_of_equal_scores_the_first_in_the_catalogue_wins():
    scores = np.array([[0.5, 0.9, 0.5, 0.5, 0.9]], dtype=np.float32)
    assert best(scores, np.ones((1, 5), dtype=bool), 3).products.tolist() == [[1, 4, 0]]


def test_best_agrees_with_sorting_everything():
    rng = np.random.default_rng(2)
    scores = (rng.integers(-3, 9, (50, 30)) / 8).astype(np.float32)
    allowed = rng.random((50, 30)) < 0.6
    found = best(scores, allowed, 10)
    for row in range(50):
        usable = [place for place in range(30) if allowed[row, place] and scores[row, place] > 0]
        expected = sorted(usable, key=lambda place: (-scores[row, place], place))[:10]
        assert found.products[row].tolist() == expected + [NONE] * (10 - len(expected))


class Given(Recommender):
    """Scores customer "007" by row 7 of a table, whatever they bought."""

    method = "given"

    def __init__(self, table: np.ndarray) -> None:
        super().__init__()
        self.table = table

    def fit(self, found, *, seed):
        return self

    def scores(self, asked):
        return self.table[asked.customer_ids.astype(int)]


def sorted_by_score(scores: np.ndarray, k: int) -> np.ndarray:
    """The k best of each row by sorting all of it; a stable sort leaves equals in the catalogue's order."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    found = np.where(np.take_along_axis(scores, order, axis=1) > 0, order, NONE)
    return np.pad(found, ((0, 0), (0, k - order.shape[1])), constant_values=NONE)


@settings(deadline=None, max_examples=150)
@given(
    n_customers=st.sampled_from([0, 1, 7, BLOCK, 2 * BLOCK + 3]),
    n_products=st.integers(1, 900),
    k=st.integers(1, 30),
    levels=st.sampled_from([1, 3, 40, 100_000]),  # few different scores: most are tied
    excluded_share=st.sampled_from([0.0, 0.1, 0.97]),
    only_share=st.sampled_from([None, 0.0, 0.5, 1.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_lists_are_what_sorting_all_scores_finds(
    n_customers, n_products, k, levels, excluded_share, only_share, seed
):
    rng = np.random.default_rng(seed)
    scores = (rng.integers(-levels, levels + 1, (n_customers, n_products)) / 8).astype(np.float32)
    exclude = csr_array(rng.random(scores.shape) < excluded_share)
    only = None if only_share is None else rng.random(n_products) < only_share
    usable = np.where(exclude.toarray() | (False if only is None else ~only), np.float32(0), scores)
    names = np.array([str(number) for number in range(n_customers)], dtype=str)
    nothing = np.zeros(0, dtype=np.int64)
    asked = Histories.of(
        names, np.arange(n_products).astype(str), nothing, nothing, nothing, nothing.astype(np.float32)
    )
    found = Given(scores).recommend(asked, k, exclude=exclude, only=only)
    expected = sorted_by_score(usable, k)
    assert np.array_equal(found.products, expected)
    values = np.take_along_axis(usable, np.maximum(expected, 0), axis=1)
    assert np.array_equal(found.scores, np.where(expected == NONE, 0, values))


@EVERY_METHOD
def test_a_methods_lists_are_its_scores_sorted(name, known, monkeypatch):
    monkeypatch.setattr("ml.recommend.lists.BLOCK", 60)
    model = METHODS[name]().fit(known, seed=3)
    found = model.recommend(known, 12, exclude=known.counts)
    scores = np.concatenate(
        [model.scores(known.between(start, start + 60)) for start in range(0, known.shape[0], 60)]
    )
    unknown = np.where(known.counts.toarray() > 0, np.float32(0), scores)
    assert np.array_equal(found.products, sorted_by_score(unknown, 12))


def test_scores_that_stand_in_order_are_listed_in_order():
    falling = np.arange(5_000, 0, -1, dtype=np.float32)[None]  # the best stand next to each other
    assert top(falling, 20).products.tolist() == [list(range(20))]
    assert top(np.ascontiguousarray(falling[:, ::-1]), 20).products.tolist() == [
        list(range(4_999, 4_979, -1))
    ]


def test_a_catalogue_shorter_than_the_list_leaves_the_rest_empty():
    found = best(np.array([[0.2, 0.0]], dtype=np.float32), np.ones((1, 2), dtype=bool), 3)
    assert found.products.tolist() == [[0, NONE, NONE]]


def test_the_fallback_fills_what_is_short_and_repeats_nothing():
    lists = Lists(np.array([[4, NONE, NONE]]), np.array([[0.3, 0, 0]], dtype=np.float32))
    popular = Lists(np.array([[7, 4, 2]]), np.array([[0.9, 0.8, 0.7]], dtype=np.float32))
    whole, from_fallback = filled(lists, popular)
    assert whole.products.tolist() == [[4, 7, 2]]
    assert from_fallback.tolist() == [[False, True, True]]


def test_popularity_counts_customers_not_orders():
    found = made([[9, 1], [0, 1]])
    assert METHODS["popular"]().fit(found, seed=1).scores(found).tolist() == [[0.5, 1.0], [0.5, 1.0]]


def test_what_was_popular_long_ago_counts_less():
    names = np.array(["a", "b"])
    rows = [
        (0, 0, 28, 1),
        (0, 0, 56, 1),
        (1, 0, 84, 1),
        (1, 1, 28, 5),
    ]  # of two purchases the newer one counts
    columns = (np.array(each) for each in zip(*rows, strict=True))
    found = Histories.of(names, names, *columns)
    scores = METHODS["popular_lately"]().fit(found, seed=1).scores(found)
    assert scores.tolist() == [[(0.5 + 0.125) / 2, 0.25]] * 2


def made(lines: list[list[int]], age: int = 1) -> Histories:
    """Histories of a table of order lines, customers by products, all of one day."""
    table = np.array(lines, dtype=np.float32)
    customers, products = np.nonzero(table)
    ages = np.full(len(customers), age)
    who, what = (
        np.array([f"{letter}{number:02d}" for number in range(size)])
        for letter, size in zip("cp", table.shape, strict=True)
    )
    return Histories.of(who, what, customers, products, ages, table[customers, products])


def drawn(customers: int, products: int) -> Histories:
    return made(np.random.default_rng(4).poisson(0.4, (customers, products)).tolist())


def test_item_neighbours_are_the_plain_cosines_of_columns():
    found = drawn(30, 12)
    weights = np.log1p(found.counts.toarray())
    expected = np.zeros((12, 12))
    for one in range(12):
        for other in set(range(12)) - {one}:
            lengths = np.linalg.norm(weights[:, one]) * np.linalg.norm(weights[:, other])
            expected[one, other] = weights[:, one] @ weights[:, other] / lengths
    model = METHODS["item_item"]().fit(found, seed=1)
    np.testing.assert_allclose(model.scores(found), weights @ expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "likeness"),
    [
        ("customers_cosine", lambda a, b: a @ b / np.sqrt((a @ a) * (b @ b))),
        ("customers_pearson", lambda a, b: np.corrcoef(a, b)[0, 1]),
    ],
)
def test_customer_neighbours_are_the_plain_definition(name, likeness):
    found = drawn(300, 40)  # more customers than are neighbours
    weights = np.log1p(found.counts.toarray().astype(np.float64))
    scores = METHODS[name]().fit(found, seed=1).scores(found.between(0, 6))
    for row in range(6):
        alike = np.array([likeness(weights[row], other) for other in weights])
        nearest = np.argsort(-alike)[:200]
        nearest = nearest[alike[nearest] > 0]
        expected = alike[nearest] @ weights[nearest] / alike[nearest].sum()
        np.testing.assert_allclose(scores[row], expected, rtol=1e-4)


@pytest.mark.parametrize("shape", [(30, 12), (12, 30)])
def test_ease_is_the_ridge_regression_of_each_product_on_the_others(shape):
    found = drawn(*shape)
    weights = np.sqrt(found.decayed(60.0).toarray().astype(np.float64))
    expected = np.zeros_like(weights)
    for product in range(shape[1]):
        others = np.delete(weights, product, axis=1)
        ridge = others.T @ others + 300.0 * np.eye(shape[1] - 1)
        expected[:, product] = others @ np.linalg.solve(ridge, others.T @ weights[:, product])
    np.testing.assert_allclose(
        METHODS["ease"]().fit(found, seed=1).scores(found), expected, rtol=1e-3, atol=1e-6
    )


def test_transitions_are_shares_of_days_that_have_a_next_one():
    names = np.array(["a", "b", "c"])
    # customer a: a (twice that day), then b, then b and c on one day; customer b: a, then c; customer c: b once
    rows = [(0, 0, 9), (0, 0, 9), (0, 1, 5), (0, 1, 1), (0, 2, 1), (1, 0, 4), (1, 2, 2), (2, 1, 14)]
    customers, products, ages = (np.array(each) for each in zip(*rows, strict=True))
    model = METHODS["transitions"]().fit(
        Histories.of(names, names, customers, products, ages, np.ones(len(rows), dtype=np.float32)), seed=1
    )
    # a is followed once by b, once by c, on two days; b by b and c, on one; five days of prior each
    expected = np.array([[0, 1 / 7, 1 / 7], [0, 1 / 6, 1 / 6], [0, 0, 0]])
    everything = np.arange(3)
    np.testing.assert_allclose(model.resemblance(everything, everything).T, expected, rtol=1e-6)
    fortnight = Histories.of(
        names[:1], names, *(np.array(each) for each in ([0, 0], [0, 1], [14, 28], [1, 1]))
    )
    np.testing.assert_allclose(model.scores(fortnight), [[0, 1 / 14 + 1 / 24, 1 / 14 + 1 / 24]], rtol=1e-6)


def test_transitions_keep_the_greatest_shares_of_each_product(monkeypatch):
    monkeypatch.setattr("ml.recommend.methods.transitions.NEIGHBOURS", 1)
    names = np.array(["a", "b", "c"])
    # a is followed by c twice, by b once
    rows = [(0, 0, 9), (0, 2, 8), (1, 0, 9), (1, 2, 8), (2, 0, 9), (2, 1, 8)]
    customers, products, ages = (np.array(each) for each in zip(*rows, strict=True))
    model = METHODS["transitions"]().fit(
        Histories.of(names, names, customers, products, ages, np.ones(6, dtype=np.float32)), seed=1
    )
    everything = np.arange(3)
    expected = np.array([[0, 0, 2 / 8], [0, 0, 0], [0, 0, 0]])
    np.testing.assert_allclose(model.resemblance(everything, everything).T, expected, rtol=1e-6)


def test_own_purchases_fade_by_half_in_ninety_days():
    names = np.array(["a", "b"])
    found = Histories.of(names[:1], names, *(np.array(each) for each in ([0, 0], [0, 1], [90, 180], [4, 4])))
    assert METHODS["own_lately"]().fit(found, seed=1).scores(found).tolist() == [[2.0, 1.0]]


def test_ease_links_only_products_with_most_buyers_and_keeps_the_greatest_weights(monkeypatch):
    monkeypatch.setattr("ml.recommend.methods.ease.MOST_PRODUCTS", 8)
    monkeypatch.setattr("ml.recommend.methods.ease.KEPT", 3)
    found = drawn(30, 12)
    buyers = (found.counts.toarray() > 0).sum(axis=0)
    most = np.sort(np.lexsort((np.arange(12), -buyers))[:8])
    weights = np.sqrt(found.decayed(60.0).toarray().astype(np.float64))[:, most]
    expected = np.zeros((12, 12))
    for place, product in enumerate(most):
        others = np.delete(weights, place, axis=1)
        ridge = np.linalg.solve(others.T @ others + 300.0 * np.eye(7), others.T @ weights[:, place])
        ridge[np.argsort(-np.abs(ridge))[3:]] = 0
        expected[np.delete(most, place), product] = ridge
    everything = np.arange(12)
    found_weights = METHODS["ease"]().fit(found, seed=1).resemblance(everything, everything).T
    np.testing.assert_allclose(found_weights, expected, rtol=1e-3, atol=1e-7)


def test_the_next_basket_is_seven_parts_own_and_three_parts_of_those_alike():
    names = np.array(["a", "b", "c"])
    # both bought a, the second also b, on the same day: cosine 1/sqrt(2); the third shares nothing with them
    rows = [(0, 0), (1, 0), (1, 1), (2, 2)]
    customers, products = (np.array(each) for each in zip(*rows, strict=True))
    found = Histories.of(
        names, names, customers, products, np.ones(4, dtype=int), np.ones(4, dtype=np.float32)
    )
    alike = np.array([[1, 0.5**0.5, 0], [0.5**0.5, 1, 0], [0, 0, 1]])
    own = np.array([[1, 0, 0], [0.5, 0.5, 0], [0, 0, 1]])
    expected = 0.7 * own + 0.3 * (alike @ own) / alike.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(METHODS["next_basket"]().fit(found, seed=1).scores(found), expected, rtol=1e-6)


def test_the_next_basket_counts_a_week_once_and_lets_it_fade():
    names = np.array(["a", "b"])
    rows = [(0, 0, 1), (0, 0, 7), (0, 0, 91 + 7), (0, 1, 2)]  # weeks 0, 0 and 13 (91 days on: half and a bit)
    customers, products, ages = (np.array(each) for each in zip(*rows, strict=True))
    found = Histories.of(names[:1], names, customers, products, ages, np.full(4, 3.0, dtype=np.float32))
    fresh = [0.5 ** (1 / 90) + 0.5 ** (92 / 90), 0.5 ** (1 / 90)]
    scores = METHODS["next_basket"]().fit(found, seed=1).scores(found)
    np.testing.assert_allclose(
        scores, [np.array(fresh) / sum(fresh)], rtol=1e-6
    )  # alone, he is his own neighbour


def test_the_blend_is_the_sum_of_both_scores_in_their_own_units():
    found = drawn(60, 25)
    blend, als, ease = (METHODS[name]().fit(found, seed=1) for name in ("blend", "als", "ease"))
    expected = np.zeros(found.shape)
    for row in range(60):
        one = found.between(row, row + 1)
        never = found.counts.toarray()[row] == 0
        for member in (als, ease):
            scores = member.scores(one)[0]
            expected[row] += scores / np.sqrt(sum(scores[never] ** 2) / never.sum())
    np.testing.assert_allclose(blend.scores(found), expected, rtol=1e-3, atol=1e-4)


def test_the_blends_reason_adds_up_how_much_its_members_see_a_product_like_a_purchase():
    found, everything = drawn(60, 25), np.arange(25)
    blend, als, ease = (METHODS[name]().fit(found, seed=1) for name in ("blend", "als", "ease"))
    cosines, weights = (member.resemblance(everything, everything) for member in (als, ease))
    for product in range(25):
        expected = cosines[product] + weights[product] / max(weights[product])
        np.testing.assert_allclose(
            blend.resemblance(everything, everything)[product], expected, rtol=1e-4, atol=1e-5
        )
