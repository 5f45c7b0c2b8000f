"""A shop with 300 orders, real ones: training says what it can, and lists come."""

from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from core.published import Published
from ml.registry import Registry
from ml.scoring import score
from ml.train import train_recommender
from tests.campaigns import small_shop

DAY = small_shop.DAY
ORDERS = 300

pytestmark = [pytest.mark.filterwarnings(line) for line in small_shop.WARNINGS]


@pytest.fixture
def young(tmp_path_factory):
    """The small shop as if only its first few households had ordered, over the whole year."""
    settings = small_shop.copy_of(
        small_shop.featured(tmp_path_factory.getbasetemp()), tmp_path_factory.mktemp("young")
    )
    published = Published(settings.published)
    rows = published.read("interactions", DAY)
    orders = rows.group_by(["customer_id", "ordered_date"]).aggregate([])
    first = orders.sort_by([("customer_id", "ascending"), ("ordered_date", "ascending")]).slice(0, ORDERS)
    keep(published, rows.join(first, ["customer_id", "ordered_date"], join_type="left semi"))
    return settings


def keep(published, interactions):
    published.write_candidate("interactions", DAY, interactions)
    published.release("interactions", DAY)


def test_three_hundred_orders_bring_lists_of_what_most_customers_bought(young):
    outcome = train_recommender(young, DAY)
    assert (outcome.promoted, outcome.version) == (True, "1")
    assert outcome.reason == (
        "too little history to judge a model (0 usable cut-offs before 2017-12-04, 2 or more are needed): "
        "the most popular products until there is more"
    )
    assert score(young, DAY)["recommendations"] > 0
    published = Published(young.published)
    rows = published.read("recommendations", DAY).to_pylist()
    new = [row for row in rows if row["question"] == "new"]
    assert {row["method"] for row in rows} == {"popular", "own_lately"}
    assert {row["reason"] for row in new} == {"popular"}
    customers = published.read("customer_features", DAY)["customer_id"].to_pylist()
    assert Counter(row["customer_id"] for row in new) == dict.fromkeys(customers, 12)

    products = published.read("products", DAY)
    shown = set(products.filter(products["is_recommendable"])["product_id"].to_pylist())
    pairs = published.read("interactions", DAY).group_by(["customer_id", "product_id"]).aggregate([])
    buyers = Counter(each for each in pairs["product_id"].to_pylist() if each in shown)
    had = set(zip(*(pairs[each].to_pylist() for each in ("customer_id", "product_id")), strict=True))
    best = sorted(buyers, key=lambda each: (-buyers[each], each))
    for row in new:
        if row["rank"] == 1:
            assert row["product_id"] == next(each for each in best if (row["customer_id"], each) not in had)


def test_without_any_order_nothing_is_fitted_and_the_training_says_so(young):
    published = Published(young.published)
    rows = published.read("interactions", DAY)
    keep(published, rows.filter(pc.less(rows["quantity"], pa.scalar(0))))
    outcome = train_recommender(young, DAY)
    assert (outcome.promoted, outcome.version) == (False, "")
    assert outcome.reason.endswith("nothing was bought yet")
    assert Registry(young).champion("recommender") is None
