"""Rules of trade: the file, what each rule forbids, and that lists stay full and every removal is counted."""

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from core.errors import RulesInvalid
from core.settings import PROJECT
from ml.recommend.lists import NONE, Lists
from ml.recommend.methods.products import ItemNeighbours
from ml.recommend.purchases import Purchases, catalogue, histories
from ml.recommend.serving import LISTED, Shelves, may_be_listed
from ml.recommend.trade.finishing import Placed, finished
from ml.recommend.trade.rules import TradeRules, doubts, load_rules
from ml.recommend.trade.shop import Shelf, Trade
from tests.ml.shop import AS_OF, CUSTOMERS, product_table, simulated_purchases

LIKED = [f"p{number:02d}" for number in range(1, 30)]  # by customers of even number; p00 has no price


@pytest.fixture(scope="module")
def purchases():
    return Purchases.of(*simulated_purchases())


@pytest.fixture(scope="module")
def model(purchases):
    known = histories(purchases, catalogue(purchases, before=AS_OF), before=AS_OF)
    return ItemNeighbours().fit(known, seed=1)


@pytest.fixture
def ruled(purchases, model):
    """Recommend under rules; `more` adds columns to the products, or tables."""

    def run(rules, **more):
        products = product_table().drop_columns(["subcategory", "brand"])
        for name in ("subcategory", "brand", "stock_count", "cost_cents"):
            if name in more:
                products = products.append_column(
                    name, pa.array([more[name](each) for each in products["product_id"].to_pylist()])
                )
        tables = {name: more[name] for name in ("objections", "traits", "segments") if name in more}
        trade = Trade(AS_OF, TradeRules.model_validate(rules), products, **tables)
        found = Shelves.of(model, purchases, trade=trade, allowed=may_be_listed(products, AS_OF)).recommend(
            CUSTOMERS
        )
        counts = {(row["rule"], row["question"]): row for row in found.removals.to_pylist()}
        return found.lists.to_pylist(), counts

    return run


def listed(rows, question="new"):
    return {(row["customer_id"], row["product_id"]) for row in rows if row["question"] == question}


def assert_full(rows):
    new = [row["customer_id"] for row in rows if row["question"] == "new"]
    assert {new.count(customer) for customer in CUSTOMERS} == {LISTED}


def bought():
    table = simulated_purchases()[0].to_pylist()
    days: dict[tuple[str, str], list[date]] = {}
    for row in table:
        days.setdefault((row["customer_id"], row["product_id"]), []).append(row["ordered_date"])
    return days


def is_too_soon(days):
    """Say whether less than half of the median of two gaps or more has passed since the last day."""
    gaps = np.diff([day.toordinal() for day in days])
    return len(gaps) >= 2 and (AS_OF - days[-1]).days < 0.5 * np.median(gaps)


# --- the file


def test_the_shops_own_file_is_valid_and_has_the_rules_it_explains():
    rules = load_rules(PROJECT / "rules_of_trade.yml")
    assert rules.own_cycle is not None
    text = (PROJECT / "rules_of_trade.yml").read_text()
    assert [name for name in TradeRules.model_fields if f"{name}:" not in text] == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("own_cicle: {share: 0.5}", r"own_cicle: .*did you mean 'own_cycle'\?"),
        ("colour: blue", "colour: .*rules: in_stock, own_cycle"),
        ("own_cycle: {share: half}", "own_cycle.share: input should be a valid number"),
        ("own_cycle: {part: 0.5}", "own_cycle.share: field required"),
        ("in_stock: {take_rate: 0}", "in_stock.take_rate: input should be greater than 0"),
        ("pins: [{product_id: a, place: 13}]", "pins.0.place: input should be less than or equal to 12"),
        ("limits: [{countries: [usa]}]", "limits.0.countries.0: string should match"),
        ("own_cycle: [", "cannot be read"),
    ],
)
def test_a_file_that_breaks_its_form_is_refused_with_the_rule_and_what_is_wrong(text, said, tmp_path):
    (tmp_path / "rules.yml").write_text(text)
    with pytest.raises(RulesInvalid, match=said):
        load_rules(tmp_path / "rules.yml")


def test_a_name_the_shop_does_not_have_is_doubted_with_the_nearest_it_has():
    rules = TradeRules.model_validate(
        {"category_caps": {"shelf 1": 2, "shelv 2": 2}, "pins": [{"product_id": "fule", "place": 1}]}
    )
    assert list(doubts(rules, product_table())) == [
        "no product has category 'shelv 2'; did you mean 'shelf 2'?",
        "no product has product 'fule'; did you mean 'fuel'?",
    ]


# --- what each rule forbids


def test_without_rules_nothing_is_removed(ruled):
    rows, counts = ruled({})
    assert counts == {}
    assert_full(rows)


def test_an_excluded_brand_is_on_no_list_and_counted(ruled):
    rows, counts = ruled({"excluded_brands": ["B3"]}, brand=lambda product: f"B{product[-1]}")
    assert not {product for _, product in listed(rows) | listed(rows, "again") if product.endswith("3")}
    assert_full(rows)
    # p03, p13, … p53: every customer could be shown the six, less those bought, which count for the other question
    pairs = counts["excluded_brands", "new"]["pair_count"] + counts["excluded_brands", "again"]["pair_count"]
    assert pairs == 6 * len(CUSTOMERS)
    assert counts["excluded_brands", "new"]["product_count"] == 6


def test_too_small_a_margin_is_not_listed_and_an_unknown_cost_is(ruled):
    costs = {"p01": 190, "p02": 150}  # of a price of 199: 4.5 % and 24.6 % are left
    rows, counts = ruled({"minimum_margin": {"share": 0.1}}, cost_cents=costs.get)
    assert not {pair for pair in listed(rows) | listed(rows, "again") if pair[1] == "p01"}
    assert {product for _, product in listed(rows)} >= {"p02", "p03"}
    assert counts["minimum_margin", "new"]["product_count"] == 1


def test_what_is_limited_by_age_or_country_is_shown_to_those_known_to_qualify_only(ruled):
    traits = pa.table(
        {
            "customer_id": CUSTOMERS[:6],
            "birth_year": pa.array([1990, 1996, 1995, None, 1990, 1990], pa.int64()),
            "country_code": ["US", "US", "US", "US", "DE", None],
        }
    )
    limit = {"categories": ["shelf 3"], "minimum_age": 21, "countries": ["US"]}
    shelf = {row["product_id"] for row in product_table().to_pylist() if row["category"] == "shelf 3"}
    rows, counts = ruled({"limits": [limit]}, traits=traits)
    # born 1996, somebody may still be 20 on 4 December 2017; 1995: 21 for certain
    allowed = {customer for customer, product in listed(rows) | listed(rows, "again") if product in shelf}
    assert allowed <= {CUSTOMERS[0], CUSTOMERS[2]}
    assert allowed
    assert_full(rows)
    assert counts["limits", "new"]["customer_count"] == len(CUSTOMERS) - 2


def test_what_was_bought_within_half_its_own_gap_is_not_listed_again(ruled):
    rows, counts = ruled({"own_cycle": {"share": 0.5}})
    days = {pair: sorted(each) for pair, each in bought().items()}
    too_soon = {pair for pair, each in days.items() if is_too_soon(each)}
    in_trade = {*LIKED, *(f"p{number}" for number in range(30, 60))}
    too_soon = {pair for pair in too_soon if pair[1] in in_trade}
    assert len(too_soon) > 50
    assert not listed(rows, "again") & too_soon
    assert counts["own_cycle", "again"]["pair_count"] == len(too_soon)
    assert counts["own_cycle", "new"]["pair_count"] == 0


def test_nothing_of_a_type_bought_within_its_gap_is_listed_on_either_list(ruled):
    rows, counts = ruled({"type_cycle": {"share": 0.5}}, subcategory=lambda product: f"type {product[-1]}")
    shelves = {row["product_id"]: row["category"] for row in product_table().to_pylist()}
    of_type: dict[tuple[str, str, str], set[date]] = {}
    for (customer, product), each in bought().items():
        if product in shelves and product != "fuel":
            of_type.setdefault((customer, shelves[product], product[-1]), set()).update(each)
    too_soon = {kind for kind, each in of_type.items() if is_too_soon(sorted(each))}
    assert len(too_soon) > 50
    for question in ("new", "again"):
        for customer, product in listed(rows, question):
            assert (customer, shelves[product], product[-1]) not in too_soon
    assert counts["type_cycle", "new"]["pair_count"] > 0


def test_what_came_back_or_got_few_stars_is_not_listed_to_that_customer(ruled):
    before, _ = ruled({})
    (someone, returned), (another, disliked), (third, liked) = sorted(listed(before))[::700][:3]
    days = [AS_OF - timedelta(days=10)] * 3
    objections = pa.table(
        {
            "customer_id": [someone, another, third],
            "product_id": [returned, disliked, liked],
            "returned_date": pa.array([days[0], None, None], pa.date32()),
            "reviewed_date": pa.array([None, days[1], days[2]], pa.date32()),
            "stars": pa.array([None, 2, 3], pa.int64()),
        }
    )
    rules = {"not_returned": {"within_days": 10}, "not_complained": {"within_days": 365, "at_most_stars": 2}}
    rows, counts = ruled(rules, objections=objections)
    assert not listed(rows) & {(someone, returned), (another, disliked)}
    assert (third, liked) in listed(rows)
    assert_full(rows)
    assert counts["not_returned", "new"]["pair_count"] == counts["not_complained", "new"]["pair_count"] == 1
    old, _ = ruled({"not_returned": {"within_days": 9}}, objections=objections)
    assert (someone, returned) in listed(old)


# --- what depends on the rest of the lists


def test_a_category_has_at_most_its_cap_on_a_list_and_lists_stay_full(ruled):
    rows, counts = ruled({"category_caps": {"shelf 1": 1, "shelf 2": 0}})
    shelves = {row["product_id"]: row["category"] for row in product_table().to_pylist()}
    of_list: dict[str, list[str]] = {}
    for customer, product in listed(rows):
        of_list.setdefault(customer, []).append(shelves[product])
    assert max(each.count("shelf 1") for each in of_list.values()) == 1
    assert not any("shelf 2" in each for each in of_list.values())
    assert_full(rows)
    assert counts["category_caps", "new"]["pair_count"] > 0


def test_a_product_is_listed_to_no_more_customers_than_its_stock_covers_over_both_questions(ruled):
    stock = {"p05": 1, "p06": 0, "p35": 3}
    rows, counts = ruled({"in_stock": {"take_rate": 0.1}}, stock_count=stock.get)
    on_lists = [product for _, product in [*listed(rows), *listed(rows, "again")]]
    assert [on_lists.count(product) for product in stock] == [10, 0, 30]
    assert_full(rows)
    assert counts["in_stock", "again"]["product_count"] == 3


def test_the_stock_goes_to_those_on_whose_lists_it_stands_highest():
    products = np.array([[0, 1, 2], [1, 0, 2], [1, 2, 0]])
    shelf = Shelf.of(product_table(), np.array(["p01", "p02", "p03"]))
    room = np.array([9, 1, 9])
    chosen, kept_out = finished(products, shelf, {}, room, 2)
    # product 1 stays with the second customer, whose first it is; the first and third get what stands below
    assert [row[keep].tolist() for row, keep in zip(products, chosen, strict=True)] == [
        [0, 2],
        [1, 0],
        [2, 0],
    ]
    assert np.argwhere(kept_out["in_stock"]).tolist() == [[0, 1], [2, 0]]


def test_a_pinned_product_stands_on_its_place_for_its_segment_and_for_nobody_who_bought_it(ruled):
    segments = pa.table({"customer_id": CUSTOMERS, "segment_name": ["Regulars"] * 50 + ["Others"] * 150})
    rows, _ = ruled({"pins": [{"product_id": "p40", "place": 2, "segment": "Regulars"}]}, segments=segments)
    had_it = {customer for customer, product in bought() if product == "p40"}
    pinned = [row for row in rows if row["reason"] == "pinned"]
    assert {row["customer_id"] for row in pinned} == set(CUSTOMERS[:50]) - had_it
    assert {(row["rank"], row["product_id"], row["method"]) for row in pinned} == {(2, "p40", "pinned")}
    assert len(listed(rows)) == sum(row["question"] == "new" for row in rows)  # nothing twice
    assert_full(rows)


def test_a_pinned_product_obeys_its_stock(ruled):
    pins = [{"product_id": "p40", "place": 1, "segment": name} for name in ("Regulars", "Others")]
    segments = pa.table({"customer_id": CUSTOMERS, "segment_name": ["Regulars", "Others"] * 100})
    rules = {"pins": pins, "in_stock": {"take_rate": 0.1}}
    rows, _ = ruled(rules, segments=segments, stock_count={"p40": 9}.get)
    again = sum(product == "p40" for _, product in listed(rows, "again"))
    assert 0 < again < 90  # they have the first claim
    assert sum(row["reason"] == "pinned" for row in rows) == 90 - again


def test_a_pin_moves_the_rest_down_and_stands_at_the_end_of_a_short_list():
    lists = Lists(
        np.array([[4, 5, 6], [4, NONE, NONE], [5, 6, 7]]),
        np.array([[3, 2, 1], [1, 0, 0], [3, 2, 1]], np.float32),
    )
    placed = Placed(lists, np.full((3, 3), "als"))
    found = placed.with_pin(6, 2, np.array([True, True, False]), "pinned")
    assert found.lists.products.tolist() == [[4, 6, 5], [4, 6, NONE], [5, 6, 7]]
    assert found.methods[:2, 1].tolist() == ["pinned", "pinned"]
    assert found.methods[2].tolist() == ["als"] * 3


def test_a_rule_whose_data_is_not_brought_is_off_and_says_why(ruled):
    rules = {
        "in_stock": {"take_rate": 0.1},
        "minimum_margin": {"share": 0.1},
        "type_cycle": {"share": 0.5},
        "not_returned": {"within_days": 9},
        "not_complained": {"within_days": 9, "at_most_stars": 1},
    }
    rows, counts = ruled(rules)
    assert {rule for rule, question in counts if question is None} == set(rules)
    assert counts["in_stock", None]["off_because"] == "the shop brings no stock_levels"
    assert {row["pair_count"] for row in counts.values()} == {0}
    assert listed(rows) == listed(ruled({})[0])


def test_what_is_limited_is_shown_to_nobody_where_no_age_is_known(ruled):
    rows, counts = ruled({"limits": [{"products": ["p05"], "minimum_age": 18}]})
    assert "p05" not in {product for _, product in [*listed(rows), *listed(rows, "again")]}
    assert counts["limits", "new"]["pair_count"] > 0
    assert_full(rows)


def test_a_day_on_which_nobody_bought_what_may_be_listed_has_no_lists_and_no_error(model):
    interactions, products = simulated_purchases()
    nobody = Purchases.of(interactions.slice(0, 0), products)
    rules = TradeRules.model_validate({"pins": [{"product_id": "p05", "place": 1}]})
    trade = Trade(AS_OF, rules, products)
    found = Shelves.of(model, nobody, trade=trade, allowed=may_be_listed(products, AS_OF)).recommend(
        CUSTOMERS[:3]
    )
    assert set(found.lists["reason"].to_pylist()) <= {"pinned"}
    everybody = Purchases.of(interactions, products)
    assert len(Shelves.of(model, everybody, trade=trade, allowed=[]).recommend(CUSTOMERS[:3]).lists) == 0
