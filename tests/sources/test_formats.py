"""CSV, Parquet and JSON Lines mean the same."""

from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sources.landing import load_landing
from tests.sources.landing_kit import land_shop, loaded, query, utc, write

# ---- three formats, one meaning ----


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_csv_parquet_and_json_lines_load_to_the_same_typed_rows(settings, suffix):
    moment = utc("2017-01-03 10:00:00.250000")
    lines = [
        {"order_id": "o1", "line_number": 1, "product_id": "p1", "quantity": 2, "list_amount": Decimal("3.98"), "discount_amount": Decimal("0.50"), "known_at": moment},
        {"order_id": "o1", "line_number": 2, "product_id": "p2", "quantity": 0, "list_amount": Decimal("0.00"), "discount_amount": Decimal("0.00"), "known_at": moment},
    ]  # fmt: skip
    land_shop(settings)
    (settings.landing / "shop" / "order_lines" / "a.csv").unlink()
    write(settings.landing / "shop" / "order_lines" / f"a.{suffix}", lines)
    assert load_landing(settings).rows["order_lines"] == 2
    here = f"shop/order_lines/a.{suffix}"
    assert loaded(settings, "order_lines") == [
        ("o1", 1, "p1", 2, Decimal("3.9800"), Decimal("0.5000"), moment, here, 1, 2),
        ("o1", 2, "p2", 0, Decimal("0.0000"), Decimal("0.0000"), moment, here, 2, 2),
    ]


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_names_beyond_ascii_and_missing_values_survive_every_format(settings, suffix):
    land_shop(settings)
    rows: list[dict[str, object]] = [
        {"customer_id": "3", "email": None, "first_name": "Käthe", "known_at": "2017-01-05"},
        {"customer_id": "4", "email": "wei@example.com", "first_name": "伟", "known_at": "2017-01-05"},
    ]
    write(settings.landing / "shop" / "customers" / f"b.{suffix}", rows)
    load_landing(settings)
    assert query(
        settings,
        "select customer_id, email, first_name, locale from landing.customers where customer_id in ('3', '4') order by 1",
    ) == [("3", None, "Käthe", None), ("4", "wei@example.com", "伟", None)]


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
@pytest.mark.parametrize(
    ("written", "in_utc"),
    [
        ("2017-01-05T10:00:00Z", utc("2017-01-05 10:00:00")),
        ("2017-01-05 10:00:00+02:00", utc("2017-01-05 08:00:00")),
        ("2017-01-05T10:00:00-05:30", utc("2017-01-05 15:30:00")),
        ("2017-01-05 10:00:00", utc("2017-01-05 10:00:00")),
        ("2017-01-05", utc("2017-01-05 00:00:00")),
    ],
)
def test_a_moment_with_an_offset_is_kept_as_the_same_moment_in_utc(settings, suffix, written, in_utc):
    land_shop(settings)
    row = {"order_id": "o3", "customer_id": "1", "ordered_at": written, "known_at": "2017-01-06"}
    write(settings.landing / "shop" / "orders" / f"b.{suffix}", [row])
    load_landing(settings)
    assert query(settings, "select ordered_at from landing.orders where order_id = 'o3'") == [(in_utc,)]


def test_a_parquet_moment_with_a_zone_is_kept_as_the_same_moment_in_utc(settings):
    land_shop(settings)
    eight = pa.array([utc("2017-01-05 08:00:00")], pa.timestamp("us", tz="Europe/Berlin"))  # counted from UTC
    table = pa.table({"order_id": ["o3"], "customer_id": [1], "ordered_at": eight, "known_at": eight})
    pq.write_table(table, settings.landing / "shop" / "orders" / "b.parquet")
    load_landing(settings)
    assert query(settings, "select customer_id, ordered_at from landing.orders where order_id = 'o3'") == [
        ("1", utc("2017-01-05 08:00:00"))
    ]
