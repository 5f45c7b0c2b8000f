"""What is said of new products and to new customers, each against a definition written apart."""

import math
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from operator import itemgetter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ml.recommend.methods.content import Content
from ml.recommend.methods.products import ItemNeighbours
from ml.recommend.methods.segments import PRIOR_CUSTOMERS, PopularInSegment
from ml.recommend.purchases import Histories, Purchases, catalogue, histories
from ml.recommend.serving import Shelves, may_be_listed
from ml.recommend.trade.rules import TradeRules
from ml.recommend.trade.shop import Trade
from tests.ml.shop import AS_OF

TEXTS = ["Tea Green tea bags", "Tea Black tea", "绿茶 organic", "Soap", "乌龙茶", ""]
TERMS = [
    ["tea", "green", "tea", "bags", "tea green", "green tea", "tea bags"],
    ["tea", "black", "tea", "tea black", "black tea"],
    ["绿", "茶", "organic", "绿 茶", "茶 organic"],
    ["soap"],
    ["乌", "龙", "茶", "乌 龙", "龙 茶"],
    [],
]


def shelf(rows: list[tuple[int, int, int]], customers: int, products: int) -> Histories:
    """Histories of purchases (customer, product, days ago), a line each."""
    who, what, ages = np.array(rows, dtype=np.int64).T
    names, ids = (np.array([f"{each:02d}" for each in range(count)]) for count in (customers, products))
    return Histories.of(names, ids, who, what, ages, np.ones(len(rows), dtype=np.float32))


def tf_idf() -> np.ndarray:
    """Term counts times 1 + ln((1 + products) / (1 + products with the term)), each product of length 1."""
    every = sorted({term for terms in TERMS for term in terms})
    having = {term: sum(term in terms for terms in TERMS) for term in every}
    weights = np.array(
        [
            [terms.count(term) * (1 + math.log((1 + len(TERMS)) / (1 + having[term]))) for term in every]
            for terms in TERMS
        ]
    )
    return weights / np.maximum(np.linalg.norm(weights, axis=1, keepdims=True), 1e-12)


def test_content_is_the_cosine_of_the_words_with_those_of_the_mean_faded_purchase():
    # the first bought green tea today's day before and soap 61 days ago, the second only soap; nobody bought the rest
    found = replace(shelf([(0, 0, 1), (0, 3, 61), (1, 3, 5)], 3, 6), texts=np.array(TEXTS))
    words = tf_idf()
    liked = [words[0] + 0.5 * words[3], words[3]]
    expected = np.array([words @ each / np.linalg.norm(each) for each in liked])
    model = Content().fit(found, seed=1)
    np.testing.assert_allclose(model.scores(found)[:2], expected, atol=1e-6)
    assert not model.scores(found)[2].any()
    everything = np.arange(6)
    np.testing.assert_allclose(model.resemblance(everything, everything), words @ words.T, atol=1e-6)
    assert model.scores(found)[0, 1] > 0.1  # never sold, and yet something is known of it
    assert model.resemblance(np.array([4]), np.array([2]))[0, 0] > 0  # both are tea, in Chinese


def test_content_without_any_word_says_nothing():
    found = shelf([(0, 0, 1), (1, 1, 2)], 2, 3)
    for texts in ([], ["", " - ", "!"]):
        assert not Content().fit(replace(found, texts=np.array(texts, dtype=str)), seed=1).scores(found).any()


@pytest.mark.parametrize("is_named", [True, False])
def test_a_segments_popular_products_are_its_buyers_and_twenty_of_the_whole_shop(is_named):
    # 30 customers buy product 0, and 10 of another segment product 1; two of the first bought that more, but long ago
    rows = [(who, 0, 3) for who in range(1, 31)] + [(who, 1, 5) for who in range(31, 41)]
    rows += [(who, 1, days) for who in (1, 2) for days in (300, 310, 320)]
    found = shelf(rows, 41, 2)
    codes = np.array([-1] + [1] * 30 + [0] * 10)
    named = (
        replace(found, segments=codes) if is_named else replace(found, attributes={"category": np.arange(2)})
    )
    model = PopularInSegment().fit(named, seed=1)
    pooled = [30 / 41, 12 / 41]
    first = [(own + 20 * pool) / 50 for own, pool in zip([30, 2], pooled, strict=True)]
    second = [(own + 20 * pool) / 30 for own, pool in zip([0, 10], pooled, strict=True)]
    assert PRIOR_CUSTOMERS == 20
    nobody = [0.0, 0.0]  # has no segment
    some = named.of_customers(np.array([40, -1, 0, 1]), np.array(["a", "b", "c", "d"]))
    for asked, expected in [
        (named, [nobody] + [first] * 30 + [second] * 10),
        (named.between(30, 32), [first, second]),
        (some, [second, nobody, nobody, first]),
    ]:
        np.testing.assert_allclose(model.scores(asked), np.array(expected), rtol=1e-6)


TEAS = [f"Tea{number:02d}" for number in range(20)]
BIKES = [f"Bike{number:02d}" for number in range(20)]
ARRIVED = {  # category, name, days ago the shop told of it, price, stock
    "N-tea": ("Tea", "Brew white", 30, 250, 5),
    "N-tea-later": ("Tea", "Brew white", 30, 250, 5),
    "N-tea-twin": ("Tea", "Brew white", 30, 250, 5),
    "N-sponge": ("Household", "Sponge", 30, 250, 5),
    "N-old": ("Tea", "Brew old", 91, 250, 5),
    "N-unpriced": ("Tea", "Brew unpriced", 30, None, 5),
    "N-sold-out": ("Tea", "Brew gone", 30, 250, 0),
}
DRINKERS, RIDERS = [f"d{number:02d}" for number in range(30)], [f"r{number:02d}" for number in range(30)]
VISITOR, STRANGER = "visitor", "stranger"


def small_trade() -> tuple[pa.Table, pa.Table]:
    """Drinkers buy teas and riders bikes, six of twenty each; nobody bought what arrived, nor do visitor and stranger buy."""
    rng = np.random.default_rng(11)
    who, what = [], []
    for customer in DRINKERS + RIDERS:
        liked = TEAS if customer in DRINKERS else BIKES
        shares = np.arange(20, 0, -1) / 210  # some are bought more
        what += rng.choice(liked, 6, replace=False, p=shares).tolist()
        who += [customer] * 6
    interactions = pa.table(
        {
            "customer_id": who,
            "product_id": what,
            "ordered_date": pa.array([AS_OF - timedelta(days=9)] * len(who), pa.date32()),
            "line_count": pa.array([5] * len(who), pa.int64()),
            "quantity": pa.array([5] * len(who), pa.int64()),
        }
    )
    old = {each: ("Tea", f"Brew {each}", 400, 199, 50) for each in TEAS}
    old |= {each: ("Bikes", f"Ride {each}", 400, 199, 50) for each in BIKES}
    told = old | ARRIVED
    products = pa.table(
        {
            "product_id": [*told],
            "category": [each[0] for each in told.values()],
            "subcategory": pa.nulls(len(told), pa.string()),
            "name": [each[1] for each in told.values()],
            "brand": ["Ours" if each == "N-tea" else "Theirs" for each in told],
            "first_known_date": pa.array(
                [AS_OF - timedelta(days=each[2]) for each in told.values()], pa.date32()
            ),
            "last_sold_date": pa.array(
                [None if each in ARRIVED else AS_OF - timedelta(days=9) for each in told], pa.date32()
            ),
            "price_cents": pa.array([each[3] for each in told.values()], pa.int64()),
            "stock_count": pa.array([each[4] for each in told.values()], pa.int64()),
            "is_recommendable": [True] * len(told),
        }
    )
    return interactions, products


def shelves(
    rules: dict[str, object], *, views: pa.Table | None = None, segments: pa.Table | None = None
) -> Shelves:
    """Make the small trade ready, served by item neighbours."""
    interactions, products = small_trade()
    bought = Purchases.of(interactions, products)
    model = ItemNeighbours().fit(histories(bought, catalogue(bought, before=AS_OF), before=AS_OF), seed=1)
    trade = Trade(AS_OF, TradeRules.model_validate(rules), products, segments=segments)
    return Shelves.of(model, bought, trade=trade, allowed=may_be_listed(products, AS_OF), views=views)


def lists_of_new(
    rules: dict[str, object], *, views: pa.Table | None = None, segments: pa.Table | None = None
) -> dict[str, list[dict[str, Any]]]:
    """Return what is new, by customer."""
    everybody = [*DRINKERS, *RIDERS, VISITOR, STRANGER]
    rows = shelves(rules, views=views, segments=segments).recommend(everybody).lists.to_pylist()
    return {
        customer: [row for row in rows if (row["customer_id"], row["question"]) == (customer, "new")]
        for customer in everybody
    }


def test_a_new_product_stands_on_one_place_of_the_lists_of_those_who_buy_what_it_is_like():
    found, own = lists_of_new({}), Counter[str]()
    bought = set(
        zip(*(small_trade()[0][each].to_pylist() for each in ("customer_id", "product_id")), strict=True)
    )
    allowed = may_be_listed(small_trade()[1], AS_OF)  # in stock, with a price, not known for long
    assert {each for each in allowed if each in ARRIVED} == {
        "N-tea",
        "N-tea-later",
        "N-tea-twin",
        "N-sponge",
    }
    for customer in DRINKERS:
        (new,) = (row for row in found[customer] if row["product_id"].startswith("N-"))
        assert (new["rank"], new["method"], new["reason"]) == (6, "new_arrivals", "new_arrival")
        assert (customer, new["because_product_id"]) in bought
        assert new["last_bought_date"] == AS_OF - timedelta(days=9)
        assert new["score"] > 0
        own[new["product_id"]] += 1
        assert [row["rank"] for row in found[customer]] == list(range(1, 13))
        reasons = {row["because_product_id"] for row in found[customer] if row["reason"] == "because"}
        assert {(customer, each) for each in reasons} <= bought
    # "Theirs" is on all teas, "Ours" on one new product only; nothing sets the two others apart
    assert set(own) == {"N-tea-later", "N-tea-twin"}
    assert min(own.values()) > 9
    for customer in [*RIDERS, VISITOR, STRANGER]:
        assert not any(row["product_id"].startswith("N-") for row in found[customer])


def test_a_new_product_obeys_the_rules_of_trade():
    found = lists_of_new({"excluded_brands": ["Theirs"]})
    assert [row["product_id"] for row in found[DRINKERS[0]]] == ["N-tea"]
    few = lists_of_new({"in_stock": {"take_rate": 1.0}})
    shown = Counter(row["product_id"] for rows in few.values() for row in rows)
    assert shown["N-tea-later"] == shown["N-tea-twin"] == 5  # as many as are in stock


VIEWS = pa.table(
    {
        "customer_id": [VISITOR, VISITOR, DRINKERS[0]],
        "product_id": ["Bike03", "nowhere", "Bike07"],
        "last_viewed_date": pa.array([AS_OF - timedelta(days=each) for each in (2, 2, 1)], pa.date32()),
    }
)
IN_SEGMENTS = pa.table(
    {
        "customer_id": [VISITOR, *DRINKERS, *RIDERS, STRANGER],
        "segment_name": ["Drinkers"] * 31 + ["Riders"] * 31,
    }
)


def test_one_customer_after_another_gets_the_lists_that_all_get_together():
    rules = {
        "own_cycle": {"share": 0.5},
        "category_caps": {"Tea": 3},
        "pins": [{"product_id": "Bike01", "place": 2}],
    }
    ready = shelves(rules, views=VIEWS, segments=IN_SEGMENTS)
    everybody = [*DRINKERS, *RIDERS, VISITOR, STRANGER, "of whom nobody knows"]
    together = ready.recommend(everybody).lists.to_pylist()
    alone = [row for each in everybody for row in ready.recommend([each]).lists.to_pylist()]
    key = itemgetter("customer_id", "question", "rank")
    assert sorted(alone, key=key) == sorted(together, key=key)


def test_who_bought_nothing_gets_what_they_looked_at_then_what_their_segment_buys_then_what_all_buy():
    buyers = Counter(small_trade()[0]["product_id"].to_pylist())
    plain, found = lists_of_new({}), lists_of_new({}, views=VIEWS, segments=IN_SEGMENTS)

    seen = found[VISITOR]
    assert seen[0]["product_id"] == "Bike03"  # nothing is more like it
    viewed = [row for row in seen if row["method"] == "viewed"]
    assert len(viewed) == 12
    assert {row["product_id"] for row in viewed} <= set(BIKES)
    assert {(row["reason"], row["because_product_id"], row["last_bought_date"]) for row in viewed} == {
        ("viewed", "Bike03", None)
    }

    of_segment = [row["product_id"] for row in found[STRANGER]]
    assert {(row["method"], row["reason"]) for row in found[STRANGER]} == {
        ("popular_in_segment", "popular_in_segment")
    }
    assert of_segment == sorted(BIKES, key=lambda each: (-buyers[each], each))[:12]

    assert {row["method"] for row in plain[STRANGER] + plain[VISITOR]} == {"popular"}
    of_all = sorted(buyers, key=lambda each: (-buyers[each], each))[:12]
    assert [row["product_id"] for row in plain[STRANGER]] == of_all != of_segment
    mine = [row for row in found[DRINKERS[0]] if row["method"] == "item_item"]
    assert mine == [row for row in plain[DRINKERS[0]] if row["method"] == "item_item"]
