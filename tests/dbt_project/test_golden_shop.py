"""The features of a shop that was worked out by hand: golden_shop/README.md says why each customer is there."""

import csv
import math
from datetime import date
from fractions import Fraction
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from core.dbt import build
from core.warehouse import export
from sources.landing import load_landing
from tests.campaigns import small_shop

FOLDER = Path(__file__).parent / "golden_shop"
DAY, EARLY = date(2018, 3, 19), date(2018, 1, 15)
TABLES = sorted(file.stem for file in FOLDER.glob("*.csv") if file.stem != "expected")

# From when to when the rows of each delivery became known, in the order they land. The last is the one between: it
# arrives when later rows have been built from. Rows of nine days come twice, in March's delivery and in the last.
DELIVERIES = {
    "until_january": ("0000", "2018-01-15"),
    "march": ("2018-02-20", "9999"),
    "february": ("2018-01-15", "2018-03-01"),
}

# Some of what was known at 00:00 UTC of the early day, before it was corrected, moved or taken back.
KNOWN_EARLY: dict[str, dict[str, int | str]] = {
    "edges": {"recency_days": 27, "orders_lifetime_count": 6, "spend_lifetime_cents": 6300},
    "late": {"recency_days": 228, "orders_lifetime_count": 1, "spend_lifetime_cents": 1000},
    "corrected": {"products_lifetime_count": 2, "spend_lifetime_cents": 1300, "top_category": "GROCERY"},
    "moved_from": {"orders_lifetime_count": 2, "spend_lifetime_cents": 1500, "top_category": "DAIRY"},
    "moved_to": {"orders_lifetime_count": 1, "spend_lifetime_cents": 400, "top_category": "BAKERY"},
    "moved_day": {"recency_days": 136, "orders_lifetime_count": 2, "gap_last_days": 31},
    "cancelled": {"recency_days": 5, "orders_lifetime_count": 2, "gap_last_days": 122},
    "recategorised": {"orders_lifetime_count": 1, "spend_lifetime_cents": 500, "top_category": "DRINKS"},
}


def rows_in(file):
    with file.open(newline="") as text:
        return list(csv.DictReader(text))


def expected_features():
    """Return feature → what the file says, by customer. A number may be a fraction; `null` is null."""
    features: dict[str, dict[str, str]] = {}
    for row in rows_in(FOLDER / "expected.csv"):
        feature = row.pop("feature")
        for customer_id, text in row.items():
            features.setdefault(customer_id, {})[feature] = text
    return features


EXPECTED = expected_features()


def is_right(value, text):
    """Say whether a value is the expected one: exact, but for rounding of what is no whole number by type."""
    if value is None or text == "null":
        return value is None and text == "null"
    if isinstance(value, float):
        return math.isclose(value, Fraction(text), rel_tol=1e-9)
    return str(value) == text


def deliver(settings, name, since, until):
    """Land what became known in a span of time, as one file per table, and load it."""
    for table in TABLES:
        rows = [row for row in rows_in(FOLDER / f"{table}.csv") if since <= row["known_at"] < until]
        if rows:
            folder = settings.landing / "shop" / table
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / f"{name}.csv").open("w", newline="") as text:
                writer = csv.DictWriter(text, fieldnames=list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
    report = load_landing(settings)
    assert not any(report.rejects.values())


def features(settings, day):
    build(settings, "tag:features", as_of=day)
    return export(settings, "ml.customer_features", day)


def by_customer(file):
    return {row["customer_id"]: row for row in pq.ParquetFile(file).read().to_pylist()}


@pytest.fixture(scope="module")
def at_once(tmp_path_factory):
    """The day's features of a shop that landed and was built in one go."""
    settings = small_shop.settings_of(tmp_path_factory.mktemp("at_once"))
    deliver(settings, "everything", "0000", "9999")
    return features(settings, DAY)


@pytest.fixture(scope="module")
def in_deliveries(tmp_path_factory):
    """The features of the early day, then of the day, then of the day once more: one build after each delivery."""
    settings = small_shop.settings_of(tmp_path_factory.mktemp("in_deliveries"))
    built = []
    for (name, span), day in zip(DELIVERIES.items(), (EARLY, DAY, DAY), strict=True):
        deliver(settings, name, *span)
        built.append(features(settings, day).read_bytes())
    early = by_customer(export(settings, "ml.customer_features", EARLY))
    return early, built


@pytest.mark.timeout(600)
def test_the_golden_shop_has_exactly_the_customers_with_an_order_known_by_the_day(at_once):
    assert len(EXPECTED) == 25
    assert set(by_customer(at_once)) == set(EXPECTED)
    strangers = {row["customer_id"] for row in rows_in(FOLDER / "customers.csv")} - set(EXPECTED)
    assert strangers == {"all_cancelled", "stranger", "visitor", "tomorrow"}


@pytest.mark.timeout(600)
def test_the_golden_shop_says_every_feature_there_is(at_once):
    columns = set(pq.ParquetFile(at_once).schema_arrow.names) - {"customer_id", "as_of_date"}
    assert len(columns) > 80
    for customer_id, own in EXPECTED.items():
        assert set(own) == columns, customer_id


@pytest.mark.timeout(600)
@pytest.mark.parametrize("customer_id", EXPECTED)
def test_each_feature_of_a_golden_customer_is_what_was_worked_out_by_hand(at_once, customer_id):
    row = by_customer(at_once)[customer_id]
    wrong = {
        name: f"{text} expected, {row[name]!r} found"
        for name, text in EXPECTED[customer_id].items()
        if not is_right(row[name], text)
    }
    assert not wrong


@pytest.mark.timeout(600)
def test_the_golden_shop_in_three_deliveries_out_of_order_gives_the_same_bytes(at_once, in_deliveries):
    _, built = in_deliveries
    assert built[2] == at_once.read_bytes()
    assert built[1] != built[2]  # February was missing, so its delivery had something to change


@pytest.mark.timeout(600)
def test_an_earlier_day_of_the_golden_shop_says_what_was_known_then(in_deliveries):
    early, _ = in_deliveries
    later = (
        "one_order two_a_day known_later lines_tomorrow vouchers no_pieces browser complainer reader reviewer"
    )
    assert set(early) == set(EXPECTED) - set(later.split())
    known = {who: {name: early[who][name] for name in facts} for who, facts in KNOWN_EARLY.items()}
    assert known == KNOWN_EARLY


@pytest.mark.timeout(600)
def test_a_source_without_a_row_known_by_the_day_is_null_and_not_zero(in_deliveries):
    early, _ = in_deliveries
    assert len(early) > 12
    # The first answer to a survey became known on 18 February 2018; the first review on 1 December 2017.
    assert {row["survey_answers_lifetime_count"] for row in early.values()} == {None}
    assert {row["survey_mean_points"] for row in early.values()} == {None}
    assert {row["reviews_lifetime_count"] for row in early.values()} == {0}
