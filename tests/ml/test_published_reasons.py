"""A day is published from real purchases, and 1,000 rows per champion are checked without the recommender's help.

Everything is worked out anew from `interactions` and `products`, in plain SQL and NumPy.
"""

from collections import Counter

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from core.published import Published
from ml.promotion import Bar
from ml.recommend import chances
from ml.recommend.methods import hybrid
from ml.recommend.methods.customers import CosineCustomers
from ml.recommend.methods.hybrid import Hybrid
from ml.recommend.methods.products import ItemNeighbours
from ml.recommend.models import PARAMETERS
from ml.scoring import score
from ml.train import train_recommender
from tests.campaigns import small_shop

DAY = small_shop.DAY
CHECKED = 1_000
NEIGHBOURS = 40  # fewer than there are households, so that being among the nearest means something
NEWCOMER = "newcomer"


pytestmark = [pytest.mark.filterwarnings(line) for line in small_shop.WARNINGS]


@pytest.fixture(
    scope="module", params=[ItemNeighbours, CosineCustomers, Hybrid], ids=lambda each: each.method
)
def day(request, tmp_path_factory):
    """Recommendations of a day by one champion, and all that is needed to check them."""
    settings = small_shop.copy_of(
        small_shop.featured(tmp_path_factory.getbasetemp()), tmp_path_factory.mktemp("day")
    )
    add_a_customer_without_purchases(settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ml.recommend.training.CANDIDATES", {request.param.method: request.param})
        # whether it is good is not the question here
        patch.setattr("ml.recommend.training.BARS", [Bar("ndcg_new", margin=-1.0, in_every_fold=False)])
        patch.setattr("ml.recommend.methods.customers.NEIGHBOURS", NEIGHBOURS)
        patch.setattr(
            hybrid, "LEAST_BOUGHT", 50
        )  # so that its trees, not the blend, make the lists of 160 households
        patch.setattr(chances, "BOOSTER", chances.BOOSTER | {"min_samples_leaf": 20, "max_iter": 40})
        patch.setitem(PARAMETERS, request.param.method, {})
        assert train_recommender(settings, DAY).promoted
        score(settings, DAY)
    return Day(Published(settings.published), request.param.method)


def add_a_customer_without_purchases(settings):
    published = Published(settings.published)
    features = published.read("customer_features", DAY)
    place = features.schema.get_field_index("customer_id")
    newcomer = features.slice(0, 1).set_column(place, "customer_id", pa.array([NEWCOMER]))
    published.write_candidate("customer_features", DAY, pa.concat_tables([features, newcomer]))
    published.release("customer_features", DAY)


class Day:
    """The published tables as plain Python, and 1,000 of the rows by chance."""

    def __init__(self, published, method):
        tables = {name: published.read(name, DAY) for name in ("interactions", "products", "recommendations")}
        self.method, self.rows = method, tables["recommendations"].to_pylist()
        self.sample = [
            self.rows[place] for place in np.random.default_rng(8).permutation(len(self.rows))[:CHECKED]
        ]
        with duckdb.connect() as db:
            for name, table in tables.items():
                db.register(name, table)
            self.bought = {
                (customer, product): days
                for customer, product, days in db.execute(
                    "select customer_id, product_id, list(distinct ordered_date order by ordered_date) "
                    f"from interactions where quantity > 0 and ordered_date < date '{DAY}' group by all"
                ).fetchall()
            }
            self.in_trade = {
                product
                for (product,) in db.execute(
                    "select product_id from products where is_recommendable and price_cents is not null "
                    f"and last_sold_date >= date '{DAY}' - 90"
                ).fetchall()
            }
            self.lines = db.execute(
                "select customer_id, product_id, sum(line_count)::double as lines, count(*) over () as n "
                "from interactions semi join (from products where is_recommendable) as p using (product_id) "
                f"where quantity > 0 and ordered_date < date '{DAY}' group by all"
            ).df()
        per_product = self.lines.groupby("product_id")["lines"].sum()
        self.catalogue = set(per_product[per_product >= 20].index)

    def of(self, *kinds):
        return [row for row in self.sample if row["reason"] in kinds]


def test_all_kinds_of_reasons_are_among_those_checked(day):
    counts = Counter(row["reason"] for row in day.sample)
    new = "taste" if day.method == "customers_cosine" else "because"
    assert min(counts[kind] for kind in (new, "due_again", "bought_before")) > 30, counts
    assert {"popular", "history"} >= counts.keys() - {new, "due_again", "bought_before"}
    assert len(day.sample) == CHECKED


def test_what_the_champion_answers_itself_is_placed_by_it(day):
    again = "hybrid" if day.method == "hybrid" else "own_lately"
    placed = {(row["question"], row["method"]) for row in day.rows}
    assert {("new", day.method), ("again", again)} <= placed
    assert placed <= {("new", day.method), ("new", "popular"), ("again", again), ("again", "own_lately")}


def test_new_is_what_was_never_bought_and_again_what_was_and_both_are_in_trade(day):
    for row in day.sample:
        was_bought = (row["customer_id"], row["product_id"]) in day.bought
        assert was_bought == (row["question"] == "again")
        assert row["product_id"] in day.in_trade
        assert (row["reason"] in {"due_again", "bought_before"}) == was_bought


def test_the_product_that_led_to_another_was_last_bought_by_the_customer_on_the_day_that_is_named(day):
    for row in day.of("because"):
        assert row["last_bought_date"] == day.bought[row["customer_id"], row["because_product_id"]][-1]
    assert all(row["because_product_id"] is None for row in day.sample if row["reason"] != "because")


def test_gaps_are_medians_of_the_customers_own_and_what_is_due_is_due(day):
    for row in day.of("due_again", "bought_before"):
        days = pd.to_datetime(day.bought[row["customer_id"], row["product_id"]])
        assert row["last_bought_date"] == days[-1].date()
        gaps = np.diff(days.to_numpy()).astype("timedelta64[D]").astype(int)
        if len(gaps) < 2:
            assert (row["reason"], row["every_days"]) == ("bought_before", None)
        else:
            assert row["every_days"] == np.median(gaps)
            is_due = (pd.Timestamp(DAY) - days[-1]).days >= 0.9 * np.median(gaps)
            assert (row["reason"] == "due_again") == is_due


def test_as_many_of_the_nearest_customers_bought_it_as_is_said(day):
    lines = day.lines[day.lines["product_id"].isin(day.catalogue)]
    table = np.log1p(lines.pivot_table(index="customer_id", columns="product_id", values="lines").fillna(0))
    unit = table.to_numpy() / np.linalg.norm(table.to_numpy(), axis=1, keepdims=True)
    alike = unit @ unit.T
    customers, products = list(table.index), list(table.columns)
    for row in day.of("taste", "history"):
        if row["customer_id"] not in table.index:
            continue
        me = customers.index(row["customer_id"])
        least = np.sort(alike[me])[-NEIGHBOURS]
        nearest = np.flatnonzero((alike[me] >= least - 1e-7) & (alike[me] > 0))
        nearest = nearest[nearest != me]
        buyers = (table.to_numpy()[nearest, products.index(row["product_id"])] > 0).sum()
        if row["reason"] == "taste":
            assert (row["buyer_count"], row["neighbour_count"]) == (buyers, len(nearest))
            assert buyers >= 3
        elif day.method == "customers_cosine":
            assert buyers < 3


def test_popular_is_what_the_fallback_placed_and_what_most_customers_bought(day):
    buyers = Counter(product for _, product in day.bought if product in day.catalogue & day.in_trade)
    popular = [row for row in day.rows if row["reason"] == "popular"]
    assert {row["customer_id"] for row in popular} >= {NEWCOMER}
    for row in day.rows:
        assert (row["reason"] == "popular") == (row["method"] == "popular")
    for row in popular:
        customer = row["customer_id"]
        listed = {
            other["product_id"]
            for other in day.rows
            if (other["customer_id"], other["question"]) == (customer, "new")
        }
        more = {product for product, count in buyers.items() if count > buyers[row["product_id"]]}
        assert all(product in listed or (customer, product) in day.bought for product in more)
