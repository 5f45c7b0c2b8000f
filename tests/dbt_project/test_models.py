"""The marts against plain Python, and every unit test of the project."""

import math
from collections import Counter
from datetime import date, timedelta

import pyarrow.parquet as pq
import pytest
import yaml

from core.dbt import DBT_PROJECT, run_dbt
from core.published import Published
from core.warehouse import export
from tests.campaigns.small_shop import DAY
from tests.dbt_project import oracle
from tests.dbt_project.conftest import CUTOFFS

OF_OTHER_TABLES = 38
"""Features of browsing, returns, service, reviews, answers, coupons and mail."""


@pytest.fixture(scope="module")
def lines(shop):
    return oracle.lines_known(shop.landing, DAY)


def assert_same_features(rows, expected):
    """Compare every column of every row; entropy is summed in billionths, the rest is exact but for rounding."""
    assert {row["customer_id"] for row in rows} == set(expected)
    for row in rows:
        own = expected[row["customer_id"]]
        brought_by_nobody = set(row) - {*own, "customer_id", "as_of_date"}
        assert len(brought_by_nobody) == OF_OTHER_TABLES
        assert {row[name] for name in brought_by_nobody} == {None}
        for name, value in own.items():
            where = f"{name} of customer {row['customer_id']}"
            if isinstance(value, str) or value is None:
                assert row[name] == value, where
            else:
                tolerance = 1e-6 if name == "category_entropy" else 1e-12
                assert math.isclose(row[name], value, rel_tol=1e-9, abs_tol=tolerance), where


@pytest.mark.timeout(600)
def test_every_unit_test_in_the_yaml_files_runs_and_passes(trained):
    files = [yaml.safe_load(file.read_text()) for file in (DBT_PROJECT / "models").rglob("*.yml")]
    written = sorted(test["name"] for file in files for test in file.get("unit_tests", []))
    assert len(written) >= 10
    ran = run_dbt(trained, ["test", "--select", "test_type:unit"])
    assert sorted(node.name for node in ran) == written
    assert {node.status for node in ran} == {"pass"}


def test_customer_features_are_what_plain_python_counts(shop):
    rows = Published(shop.published).read("customer_features", DAY).to_pylist()
    assert len(rows) > 150
    assert_same_features(rows, oracle.features(shop.landing, DAY))


def test_features_of_a_training_day_are_what_plain_python_counts(shop, trained):
    day = CUTOFFS[0]
    rows = pq.ParquetFile(export(trained, "ml.customer_features", day)).read().to_pylist()
    assert_same_features(rows, oracle.features(shop.landing, day))


def test_the_shop_has_orders_on_both_sides_of_the_clock_change(lines):
    # 02:00 on 12 March and 5 November 2017 in New York: an hour that a fixed offset would get wrong.
    offsets = {line.ordered_at.astimezone(oracle.NEW_YORK).utcoffset() for line in lines}
    assert offsets == {timedelta(hours=-5), timedelta(hours=-4)}


def test_churn_labels_say_who_stayed_away_for_28_days(trained, lines):
    rows = pq.ParquetFile(export(trained, "ml.churn_examples", DAY)).read().to_pylist()
    expected = oracle.labels(lines, CUTOFFS, timedelta(days=28), by=DAY)
    assert {cutoff for _, cutoff in expected} == set(CUTOFFS[:2])
    assert {(row["customer_id"], row["as_of_date"]): row["has_churned"] for row in rows} == expected
    assert len(rows) == len(expected)
    assert set(expected.values()) == {True, False}


def test_interactions_are_the_pieces_and_orders_of_a_day(shop, lines):
    orders: dict[tuple[str, str, date], set[str]] = {}
    pieces: dict[tuple[str, str, date], int] = {}
    for line in lines:
        if line.quantity:
            key = (line.customer_id, line.product_id, line.ordered_date)
            orders.setdefault(key, set()).add(line.order_id)
            pieces[key] = pieces.get(key, 0) + line.quantity
    expected = [(*key, len(orders[key]), pieces[key]) for key in sorted(orders)]
    rows = Published(shop.published).read("interactions", DAY).to_pylist()
    assert sorted(tuple(row.values()) for row in rows) == expected


def test_products_say_the_price_of_their_last_day_and_how_often_they_sold(shop, lines):
    sold: dict[str, list[oracle.Line]] = {}
    for line in lines:
        if line.quantity and line.list_cents and (DAY - line.ordered_date).days <= 365:
            sold.setdefault(line.product_id, []).append(line)
    rows = Published(shop.published).read("products", DAY).to_pylist()
    assert len(rows) > 90_000
    for row in rows:
        own = sold.get(row["product_id"], [])
        assert row["sold_90d_count"] == sum(DAY - line.ordered_date <= timedelta(days=90) for line in own)
        last = max((line.ordered_date for line in own), default=None)
        assert row["last_sold_date"] == last
        prices = Counter(line.list_cents / line.quantity for line in own if line.ordered_date == last)
        if own:  # half a cent either way: how a half is rounded is nobody's business
            most = max(prices.values())
            usual = [price for price, times in prices.items() if times >= most - 1]
            assert any(abs(row["price_cents"] - price) <= 0.5 for price in usual)
        else:
            assert row["price_cents"] is None
        assert not row["is_recommendable"] or (row["name"] and row["price_cents"])
