"""What will be spent on a product: what is learned from is what was spent, and the regression knows more than the mean."""

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from ml.recommend.features import OWN
from ml.recommend.purchases import Purchases
from ml.recommend.spending import Money, lesson, spending_figures
from ml.recommend.trial import split
from tests.ml.shop import AS_OF, CUSTOMERS, PRODUCTS, product_table, simulated_purchases

CUTOFF = AS_OF - timedelta(days=28)
PRICES = {product: 100 + 7 * place for place, product in enumerate(PRODUCTS)} | {"fuel": 150, "gone": 180}


def priced() -> pa.Table:
    """Products at prices of their own; `p00` has none."""
    products = product_table()
    cents = [None if each == "p00" else PRICES[each] for each in products["product_id"].to_pylist()]
    return products.set_column(products.schema.get_field_index("price_cents"), "price_cents", pa.array(cents))


def test_a_lesson_holds_what_was_spent_in_four_weeks_on_what_was_bought_before_and_on_twenty_new_products():
    interactions, products = simulated_purchases()[0], priced()
    at = split(Purchases.of(interactions, products), CUTOFF)
    found = lesson(at, Money.of(interactions, products))
    spent: dict[tuple[str, str], int] = {}
    before: dict[tuple[str, str], date] = {}
    for row in interactions.to_pylist():
        pair = row["customer_id"], row["product_id"]
        if row["ordered_date"] >= CUTOFF:
            spent[pair] = spent.get(pair, 0) + row["quantity"] * PRICES[row["product_id"]]
        elif row["product_id"] in at.before.product_ids and row["product_id"] != "p00":
            before[pair] = max(row["ordered_date"], before.get(pair, date.min))
    bought = sorted(before)
    assert len(found.spent_cents) == len(bought) + 20 * len(CUSTOMERS)
    assert found.spent_cents[: len(bought)].tolist() == [spent.get(pair, 0) for pair in bought]
    assert found.columns[: len(bought), -1].tolist() == [PRICES[product] for _, product in bought]
    last = found.columns[: len(bought), OWN.index("last")]
    assert last.tolist() == [(CUTOFF - before[pair]).days for pair in bought]
    assert np.isnan(found.columns[len(bought) :, 0]).all()  # never bought
    new = found.spent_cents[len(bought) :]
    assert 0 < new.sum() < sum(spent.values())


def test_who_buys_every_week_goes_on_and_the_regression_knows_it():
    first, rows = date(2017, 6, 5), []
    for number in range(800):
        for product in (number % 10, (number + 3) % 10):
            rows += [
                (f"c{number:03d}", f"p{product}", first + timedelta(days=7 * week)) for week in range(26)
            ]
    rows = [row for row in rows if row[2] < AS_OF]
    lines = [1 + int(who[1:]) // 200 for who, *_ in rows]  # one to four pieces a week
    interactions = pa.table(
        {
            "customer_id": [row[0] for row in rows],
            "product_id": [row[1] for row in rows],
            "ordered_date": pa.array([row[2] for row in rows], pa.date32()),
            "line_count": lines,
            "quantity": lines,
        }
    )
    names = [f"p{number}" for number in range(10)]
    text = pa.array(["thing"] * 10)
    products = pa.table(
        {"product_id": names, "price_cents": [100] * 10, "is_recommendable": [True] * 10}
        | dict.fromkeys(["category", "subcategory", "name", "brand"], text)
    )
    purchases = Purchases.of(interactions, products)
    splits = [split(purchases, AS_OF - timedelta(days=28 * back)) for back in (3, 2, 1)]
    found = spending_figures(interactions, products, splits)
    # Of ten products a customer bought two, in each of four weeks 1, 2, 3 or 4 pieces at 100; of the others nothing.
    spent = np.array([0] * 320 + [400, 800, 1200, 1600] * 20)
    assert found["mean.spending_mse"] == pytest.approx([spent.var()] * 2)
    assert found["mean.spending_rmse_cents"] == pytest.approx([spent.std()] * 2)
    for mse, rmse in zip(found["spending_mse"], found["spending_rmse_cents"], strict=True):
        assert rmse == pytest.approx(mse**0.5)
        assert rmse < 0.5 * spent.std()
