"""A row counts once, the newest knowledge counts, and what was mended is said to be."""

import duckdb
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from core.errors import ContractBroken
from core.settings import Settings
from sources.landing import load_landing
from tests.sources.landing_kit import (
    CUSTOMERS,
    ORDERS,
    Rows,
    land,
    land_shop,
    loaded,
    many_orders,
    query,
    rejected,
    utc,
)

# ---- repeated, late, out of order, corrected ----


def test_rows_landed_again_in_another_file_count_once(settings):
    """The second file holds the first one's rows, in another order, with one new row."""
    land_shop(settings)
    load_landing(settings)
    header, first, second = ORDERS.splitlines()
    land(
        settings,
        "orders",
        "\n".join([header, second, "o3,1,s1,2017-01-06,2017-01-06", first, first]) + "\n",
        "b.csv",
    )
    report = load_landing(settings)
    assert (report.rows["orders"], report.rejects["orders"], report.repeated) == (1, 0, {"orders": 3})
    assert [row[0] for row in loaded(settings, "orders")] == ["o1", "o2", "o3"]


def test_a_correction_known_later_becomes_a_version_and_one_known_at_the_same_moment_is_refused(settings):
    land_shop(settings, orders=many_orders(300))
    load_landing(settings)
    good, key = ORDERS.splitlines()[0], "n7"
    land(settings, "orders", f"{good}\n{key},2,s1,2017-01-03 10:00:00,2017-01-09\n", "late.csv")
    land(settings, "orders", f"{good}\n{key},3,s1,2017-01-03 10:00:00,2017-01-03 10:00:00\n", "same.csv")
    report = load_landing(settings)
    assert (report.rows["orders"], report.rejects["orders"]) == (1, 1)
    versions = f"select customer_id, known_at from landing.orders where order_id = '{key}' order by known_at"
    assert query(settings, versions) == [("1", utc("2017-01-03 10:00:00")), ("2", utc("2017-01-09"))]
    assert rejected(settings) == [
        ("shop/orders/same.csv", 1, "order_id", key, "duplicate key (order_id) with the same known_at")
    ]


@hypothesis_settings(max_examples=15, deadline=None, derandomize=True)
@given(data=st.data())
def test_whatever_the_order_and_the_files_the_same_rows_are_loaded(tmp_path_factory, data):
    """Versions of six orders, dealt to three files and shuffled, some of them twice: what is loaded is the set."""
    versions = [f"o{order},c{day},,2017-01-01,2017-01-{day:02}" for order in range(6) for day in (2, 5, 9)]
    dealt = data.draw(st.lists(st.sampled_from(versions), min_size=20, max_size=60))
    settings = Settings(_env_file=None, data_dir=tmp_path_factory.mktemp("dealt"), token_key="k" * 40)
    land_shop(settings)
    (settings.landing / "shop" / "orders" / "a.csv").unlink()
    for number in range(3):
        text = "\n".join([ORDERS.splitlines()[0], *dealt[number::3]]) + "\n"
        land(settings, "orders", text, f"{number}.csv")
        load_landing(settings)
    found = query(settings, "select order_id, customer_id, day(known_at) from landing.orders order by all")
    assert found == sorted((row.split(",")[0], row.split(",")[1], int(row[-2:])) for row in set(dealt))


def test_a_new_file_may_lack_what_may_be_empty_and_may_bring_what_nobody_asked_for(settings):
    land_shop(settings)
    land(
        settings,
        "orders",
        "order_id,customer_id,ordered_at,known_at,gift\no3,1,2017-01-05,2017-01-05,yes\n",
        "b.csv",
    )
    report = load_landing(settings)
    assert report.ignored_columns == {"orders": ("gift",)}
    assert query(settings, "select order_id, store_id from landing.orders order by 1") == [
        ("o1", "s1"),
        ("o2", None),
        ("o3", None),
    ]


def test_a_column_that_the_contract_gained_is_added_to_a_table_that_was_made_without_it(settings):
    land_shop(settings)
    load_landing(settings)
    with duckdb.connect(str(settings.warehouse)) as db:
        db.execute("alter table landing.orders drop column store_id")
    land(settings, "orders", ORDERS.splitlines()[0] + "\no3,1,s3,2017-01-05,2017-01-05\n", "b.csv")
    load_landing(settings)
    found = query(
        settings, "select order_id, store_id, source_row, load_number from landing.orders order by 1"
    )
    assert found == [("o1", None, 1, 3), ("o2", None, 2, 3), ("o3", "s3", 1, 5)]


def test_json_keys_may_be_written_in_capitals_but_in_one_way_only(settings):
    land_shop(settings)
    row = '{"Order_ID": "o3", "CUSTOMER_ID": "1", "ordered_at": "2017-01-05", "known_at": "2017-01-05"}\n'
    land(settings, "orders", row, "b.jsonl")
    assert load_landing(settings).rows["orders"] == 3
    land(settings, "orders", row + row.replace("Order_ID", "order_id").replace("o3", "o4"), "c.jsonl")
    with pytest.raises(ContractBroken, match="spells the name of a column in two ways"):
        load_landing(settings)


# ---- mended ----


def mended(settings: Settings) -> Rows:
    return query(
        settings,
        "select row_number, column_name, mended_in, mended_known_at from landing.rejected_rows order by all",
    )


def test_the_mended_file_under_a_new_name_brings_the_mended_rows_and_says_so(settings):
    text = many_orders(300, bad="x,,,2017-01-05,2017-01-05", line="y,1,,2017-01-05")
    land_shop(settings, orders=text)
    assert load_landing(settings).rejects["orders"] == 2
    assert mended(settings) == [(301, "customer_id", None, None), (302, "(line)", None, None)]
    land(settings, "orders", text.replace("x,,", "x,1,").replace("y,1,,", "y,1,,2017-01-05,"), "mended.csv")
    report = load_landing(settings)
    assert (report.rows["orders"], report.rejects["orders"], report.repeated["orders"]) == (2, 0, 300)
    # A line that was no row had no key: nobody can tell that it is mended.
    assert mended(settings) == [
        (301, "customer_id", "shop/orders/mended.csv", utc("2017-01-05")),
        (302, "(line)", None, None),
    ]
    assert len(loaded(settings, "orders")) == 302


def test_a_removed_value_is_mended_by_the_row_with_a_value_known_at_the_same_moment(settings):
    broken = CUSTOMERS.replace("bernd@", "bernd")
    land_shop(settings, customers=broken)
    load_landing(settings)
    assert query(settings, "select email from landing.customers where customer_id = '2'") == [(None,)]
    land(settings, "customers", CUSTOMERS, "mended.csv")
    report = load_landing(settings)
    assert (report.rows["customers"], report.rejects["customers"], report.repeated) == (
        1,
        0,
        {"customers": 1},
    )
    assert query(settings, "select email from landing.customers where customer_id = '2'") == [
        ("bernd@example.com",)
    ]
    assert mended(settings) == [(2, "email", "shop/customers/mended.csv", utc("2017-01-02 08:00:00"))]


def test_a_later_version_that_still_lacks_the_value_mends_nothing(settings):
    land_shop(settings, customers=CUSTOMERS.replace("bernd@", "bernd"))
    load_landing(settings)
    header = CUSTOMERS.splitlines()[0]
    land(settings, "customers", f"{header}\n2,,Bernd,de,DE,Europe/Berlin,2017-01-02,2017-02-01\n", "b.csv")
    load_landing(settings)
    assert mended(settings) == [(2, "email", None, None)]
