"""What names something nobody knows is noted in every table whose contract names a reference, once, and by load."""

import csv
from datetime import datetime, timedelta

import duckdb
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from core.settings import Settings
from sources import landing
from sources.contract import Contract, contracts
from sources.landing import load_landing, make_landing_tables
from sources.strangers import note_strangers
from tests.sources.landing_kit import CUSTOMERS, ORDER_LINES, ORDERS, land, land_shop, query

REFERENCES = {
    ("consents", "customer_id"),
    ("coupons", "customer_id"),
    ("coupons", "order_id"),
    ("events", "customer_id"),
    ("events", "product_id"),
    ("order_lines", "order_id"),
    ("order_lines", "product_id"),
    ("orders", "customer_id"),
    ("prices", "product_id"),
    ("returns", "customer_id"),
    ("returns", "order_id"),
    ("returns", "product_id"),
    ("reviews", "customer_id"),
    ("reviews", "product_id"),
    ("sentiments", "customer_id"),
    ("stock_levels", "product_id"),
    ("support_tickets", "customer_id"),
    ("survey_answers", "customer_id"),
}


def strangers(settings: Settings) -> list[tuple[object, ...]]:
    return query(
        settings,
        "select table_name, column_name, value, source_row from landing.strangers order by all",
    )


def land_example(settings: Settings, contract: Contract) -> None:
    """Land the row that the contract's own examples make, but for what it names, which is nobody."""
    row = {column.name: "nobody" if column.references else column.example for column in contract.columns}
    with land(settings, contract.table, "", "example.csv").open("w", newline="") as text:
        csv.writer(text).writerows([row.keys(), row.values()])


def test_every_reference_of_every_contract_is_checked(settings):
    land_shop(settings)
    for contract in contracts().values():
        if contract.table not in ("customers", "products"):
            land_example(settings, contract)
    load_landing(settings)
    found = {(table, column) for table, column, _, _ in strangers(settings)}
    assert found == REFERENCES
    named = {
        (c.table, column.name) for c in contracts().values() for column in c.columns if column.references
    }
    assert named == REFERENCES


def test_a_row_of_a_stranger_is_kept_and_noted_once(settings):
    land_shop(settings, orders=ORDERS + "o3,nobody,,2017-01-05,2017-01-05\n")
    for _ in range(2):
        load_landing(settings)
        assert strangers(settings) == [("orders", "customer_id", "nobody", 3)]
    assert query(settings, "select count(*) from landing.orders") == [(3,)]


def test_who_is_known_at_the_very_moment_is_no_stranger_and_who_is_known_later_was_one(settings):
    later = "4,dee@example.com,Dee,en,US,America/New_York,2017-01-05 08:00:01,2017-01-05 08:00:01\n"
    land_shop(
        settings,
        customers=CUSTOMERS + later,
        orders=ORDERS
        + "o3,4,,2017-01-05 08:00:01,2017-01-05 08:00:01\no4,4,,2017-01-05 08:00:00,2017-01-05 08:00:00\n",
    )
    load_landing(settings)
    assert strangers(settings) == [("orders", "customer_id", "4", 4)]


def test_a_line_of_an_order_that_landed_earlier_is_no_strangers(settings):
    land_shop(settings)
    load_landing(settings)
    header = ORDER_LINES.splitlines()[0]
    land(settings, "order_lines", f"{header}\no1,2,p1,1,1,0,2017-01-09\no9,1,p9,1,1,0,2017-01-09\n", "b.csv")
    load_landing(settings)
    assert strangers(settings) == [
        ("order_lines", "order_id", "o9", 2),
        ("order_lines", "product_id", "p9", 2),
    ]


def test_no_row_that_names_another_is_ever_replaced():
    """Landing replaces a row whose broken value was removed by the mended one; of such a row nothing is noted."""
    replaceable = {
        contract.table
        for contract in contracts().values()
        if any(column.when_broken == "null" for column in contract.columns)
    }
    assert replaceable == {"customers", "products"}
    assert replaceable & {table for table, _ in REFERENCES} == set()


def test_a_load_that_dies_before_the_check_is_checked_by_the_next(settings, monkeypatch):
    land_shop(settings, orders=ORDERS + "o3,nobody,,2017-01-05,2017-01-05\n")

    def die(_: duckdb.DuckDBPyConnection) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as crash:
        crash.setattr(landing, "note_strangers", die)
        with pytest.raises(KeyboardInterrupt):
            load_landing(settings)
    assert strangers(settings) == []
    load_landing(settings)
    assert strangers(settings) == [("orders", "customer_id", "nobody", 3)]


NOON = datetime(2017, 1, 1, 12)  # noqa: DTZ001  # moments of the warehouse have no zone
NOT_KNOWN = """
    from range(8) as days(day) join {rows} as row on row.known_at < $1 + to_days(days.day::integer)
    where not exists (
        select 1 from landing.customers
        where customers.customer_id = {id} and customers.known_at < $1 + to_days(days.day::integer))
    order by all"""
"""Of each of eight days: the rows known before its noon whose customer is not."""

arrivals = st.lists(
    st.tuples(st.booleans(), st.sampled_from("abc"), st.integers(0, 6), st.booleans()), max_size=12
)


@pytest.fixture(scope="module")
def landing_tables():
    with duckdb.connect() as db:
        make_landing_tables(db)
        yield db


@hypothesis_settings(max_examples=50, deadline=None)
@given(rows=arrivals)
def test_noting_load_by_load_finds_what_a_look_at_everything_finds_on_any_day(landing_tables, rows):
    """Rows: is it a customer (else an order of one), who, the day it was known, whether a new load begins with it."""
    db, load = landing_tables, 1
    for table in ("files", "customers", "orders", "strangers", "references_checked"):
        db.execute(f"delete from landing.{table}")
    for place, (is_customer, who, day, begins) in enumerate([*rows, (True, "d", 0, True)]):
        if begins:
            digest = f"file {place}"
            db.execute(
                "insert into landing.files (digest, table_name, load_number) values (?, 'orders', ?)",
                [digest, load],
            )
            note_strangers(db)
            load += 1
        db.execute(
            f"insert into landing.{'customers' if is_customer else 'orders'} "
            "(customer_id, known_at, source_file, source_row, load_number) values (?, ?, 'f', ?, ?)",
            [who, NOON + timedelta(days=day), place, load],
        )
    noted = NOT_KNOWN.format(rows="landing.strangers", id="row.value")
    everything = NOT_KNOWN.format(rows="landing.orders", id="row.customer_id")
    found, expected = (
        db.execute(f"select days.day, row.source_row {query}", [NOON]).fetchall()
        for query in (noted, everything)
    )
    assert found == expected
