"""A day knows what was known before its 00:00 UTC: nothing later changes it, and it can be built again."""

import shutil
from datetime import timedelta
from decimal import Decimal

import duckdb
import pyarrow.parquet as pq
import pytest

from core.dbt import build
from core.errors import BuildFailed
from core.published import Published
from core.warehouse import DAY_COLUMNS, KEYS, SELECTIONS, export, writing
from sources.landing import load_landing
from tests.campaigns import small_shop
from tests.campaigns.small_shop import DAY
from tests.dbt_project import oracle
from tests.dbt_project.conftest import CUTOFFS
from tests.dbt_project.test_models import assert_same_features

ORDERS = "order_id,customer_id,store_id,ordered_at,known_at\n"
LINES = "order_id,line_number,product_id,quantity,list_amount,discount_amount,known_at\n"
MIDNIGHT, EVE, DAY_AFTER = f"{DAY} 00:00:00", "2017-12-03 23:59:59", "2017-12-05 09:00:00"
CHANGES = ("orders_lifetime_count", "spend_lifetime_cents")
MARTS = ("ml.customer_features", "ml.interactions", "shop.products", "shop.rejected_rows")


@pytest.fixture(scope="module")
def three_lines(shop):
    """A line each of three customers, bought in October."""
    found: dict[str, oracle.Row] = {}
    orders = {row["order_id"]: row for row in oracle.landed(shop.landing, "orders")}
    for line in oracle.landed(shop.landing, "order_lines"):
        order = orders.get(line["order_id"])
        if order and "2017-10-01" < line["known_at"] < "2017-11-01" and line["quantity"] == "1":
            found.setdefault(order["customer_id"], line | {"customer_id": order["customer_id"]})
    return list(found.values())[:3]


def rows_of(settings):
    return pq.ParquetFile(export(settings, "ml.customer_features", DAY)).read().to_pylist()


def what_came_later(line, product_id):
    """Return landing files known from the day's midnight on: events, late events and corrections of what was known."""
    customer_id, order_id = line["customer_id"], line["order_id"]
    return {
        "later/orders/later.csv": ORDERS
        + f"f1,{customer_id},1,{DAY} 10:00:00,{DAY} 10:00:00\n"
        + f"f2,{customer_id},1,2017-11-24 10:00:00,{MIDNIGHT}\n"  # happened before, known too late
        + f"{order_id},1,1,2017-10-02 10:00:00,{DAY_AFTER}\n",  # a correction: it was another customer's
        "later/order_lines/later.csv": LINES
        + f"f1,1,{product_id},1,5.00,0,{DAY} 10:00:00\n"
        + f"f2,1,{product_id},1,5.00,0,{MIDNIGHT}\n"
        + f"{order_id},{line['line_number']},{line['product_id']},9,999.00,0,{MIDNIGHT}\n",
        "later/products/later.csv": "product_id,name,category,subcategory,brand,size,known_at\n"
        + f"{product_id},Renamed,RENAMED,x,Private,9 OZ,{MIDNIGHT}\n",
        # 999999 is the stranger whose order was rejected: on the day nobody knew them yet.
        "later/customers/later.csv": "customer_id,email,first_name,locale,country_code,time_zone,signed_up_at,known_at\n"
        + f"{customer_id},moved@example.com,Renamed,zh,CN,Asia/Shanghai,2016-01-01 00:00:00,{MIDNIGHT}\n"
        + f"999999,new@example.com,New,en,US,America/New_York,2016-01-01 00:00:00,{DAY_AFTER}\n",
        "later/consents/later.csv": "customer_id,purpose,is_given,proof,decided_at,known_at\n"
        + f"{customer_id},marketing,false,form,2017-11-01 00:00:00,{MIDNIGHT}\n",
    }


def what_was_known_in_time(lines):
    """Return landing files known a second before midnight: an order, an order of October, a corrected line."""
    first, second, third = lines
    return {
        "earlier/orders/earlier.csv": ORDERS
        + f"p1,{first['customer_id']},1,2017-12-02 10:00:00,{EVE}\n"
        + f"p2,{second['customer_id']},1,2017-10-20 03:30:00,{EVE}\n",
        "earlier/order_lines/earlier.csv": LINES
        + f"p1,1,{first['product_id']},3,9.00,1.00,{EVE}\n"
        + f"p2,1,{second['product_id']},1,4.00,0,{EVE}\n"
        + f"{third['order_id']},{third['line_number']},{third['product_id']},1,123.45,0.45,{EVE}\n",
    }


def land_and_build(settings, files):
    for name, text in files.items():
        file = settings.landing / name
        file.parent.mkdir(parents=True)
        file.write_text(text)
    load_landing(settings)
    build(settings, "tag:features", as_of=DAY)


def customers(settings):
    with duckdb.connect(str(settings.warehouse), read_only=True) as connection:
        return connection.execute("from shop.customers order by customer_id").fetchall()


def paid_cents(line):
    return max(int(Decimal(line["list_amount"]) * 100) - int(Decimal(line["discount_amount"]) * 100), 0)


@pytest.fixture(scope="module")
def later(shop, three_lines, tmp_path_factory):
    """The shop's day in a warehouse of its own, which has loaded what came later too."""
    settings = small_shop.settings_of(tmp_path_factory.mktemp("later"))
    small_shop.copy_landing(shop, settings)
    bestseller = Published(shop.published).read("recommendations", DAY)["product_id"][0].as_py()
    land_and_build(settings, what_came_later(three_lines[0], bestseller))
    return settings


@pytest.mark.parametrize("mart", MARTS)
def test_another_warehouse_that_knows_what_came_later_writes_the_same_bytes(shop, later, mart):
    day = Published(shop.published).path(mart.partition(".")[2], DAY)
    assert export(later, mart, DAY).read_bytes() == day.read_bytes()


def test_who_a_customer_is_and_agrees_to_is_what_was_known(shop, later):
    assert len(customers(shop)) > 150
    assert customers(later) == customers(shop)


@pytest.mark.timeout(600)
def test_what_was_known_in_time_changes_its_customers_and_nobody_else(later, three_lines, tmp_path):
    settings = small_shop.copy_of(later, tmp_path)
    before = {row["customer_id"]: row for row in rows_of(settings)}
    land_and_build(settings, what_was_known_in_time(three_lines))
    after = {row["customer_id"]: row for row in rows_of(settings)}
    touched = [line["customer_id"] for line in three_lines]
    assert {customer_id for customer_id in after if after[customer_id] != before[customer_id]} == set(touched)
    assert_same_features(rows_of(settings), oracle.features(settings.landing, DAY))

    first, second, third = (
        {name: after[customer_id][name] - before[customer_id][name] for name in CHANGES}
        for customer_id in touched
    )
    assert first == {"orders_lifetime_count": 1, "spend_lifetime_cents": 800}
    assert second == {"orders_lifetime_count": 1, "spend_lifetime_cents": 400}
    corrected = 12_300 - paid_cents(three_lines[2])
    assert third == {"orders_lifetime_count": 0, "spend_lifetime_cents": corrected}
    assert after[touched[0]]["recency_days"] == min(2, before[touched[0]]["recency_days"])


@pytest.mark.timeout(600)
def test_a_day_built_alone_equals_the_day_built_among_others(shop, trained, tmp_path):
    day = CUTOFFS[1]
    alone = small_shop.copy_of(shop, tmp_path)
    build(alone, "tag:features", as_of=day)
    assert DAY - day == timedelta(days=28)  # built while four more weeks were in the warehouse
    mart = "ml.customer_features"
    assert export(alone, mart, day).read_bytes() == export(trained, mart, day).read_bytes()
    # Building other days left the shop's own day as it was.
    days = {settings.data_dir: export(settings, mart, DAY).read_bytes() for settings in (alone, trained)}
    assert set(days.values()) == {Published(shop.published).path("customer_features", DAY).read_bytes()}


@pytest.mark.timeout(600)
def test_measures_are_appended_until_there_are_too_many_and_say_the_same_of_the_day(shop, tmp_path):
    """In 90 days nearly every customer's orders leave a window; so few rows as two days have are no cause to wait."""
    settings = small_shop.copy_of(shop, tmp_path)
    versions = []
    for day in (DAY + timedelta(days=90), DAY):
        build(settings, "tag:features", as_of=day)
        versions.append(measured(settings))
    appended, rewritten = versions
    assert appended[0] > appended[1] > appended[0] / 2
    assert rewritten.keys() == {0}
    assert appended[0] <= rewritten[0] < appended[0] + appended[1]
    found = export(settings, "ml.customer_features", DAY).read_bytes()
    assert found == Published(shop.published).path("customer_features", DAY).read_bytes()


def measured(settings) -> dict[int, int]:
    """Return version → rows of the table of measures."""
    with duckdb.connect(str(settings.warehouse), read_only=True) as db:
        return dict(
            db.sql("select version, count(*) from intermediate.int_customers_measured group by 1").fetchall()
        )


@pytest.mark.parametrize(
    "change", ["drop column recency_days", "add column of_another_release bigint"], ids=["lost", "left over"]
)
def test_a_day_is_not_put_beside_days_of_other_columns(shop, tmp_path, change):
    settings = small_shop.copy_of(shop, tmp_path)
    with duckdb.connect(str(settings.warehouse)) as db:
        db.execute(f"alter table ml.customer_features {change}")
    with pytest.raises(BuildFailed, match="has not the columns of its model"):
        build(settings, "customer_features", as_of=DAY)


def test_the_key_of_each_exported_mart_fixes_the_order_of_its_rows(trained, tmp_path):
    settings = small_shop.copy_of(trained, tmp_path)
    with duckdb.connect(str(settings.warehouse)) as db:  # the small shop brings no returns and no events
        db.execute(
            """insert into landing.returns by name
            select 'r' || n as return_id, 'c' || n % 2 as customer_id, 'p' || n as product_id, 1 as quantity,
                0 as refund_amount, timestamp '2017-01-01' as returned_at, timestamp '2017-01-01' as known_at,
                'a' as source_file, n as source_row, 1 as load_number
            from range(4) as numbers(n)"""
        )
        db.execute(
            """insert into landing.events by name
            select 'e' || n as event_id, 'c' || n % 2 as customer_id, 'p' || n as product_id, 'view' as kind,
                timestamp '2017-09-21' as happened_at, timestamp '2017-09-21' as known_at,
                'a' as source_file, n as source_row, 1 as load_number
            from range(4) as numbers(n)"""
        )
        db.execute(
            """insert into landing.reviews by name
            select 'r' || n as review_id, 'c' || n as customer_id, 'p' || n as product_id, 5 as rating, 'Well made.' as body,
                timestamp '2017-09-21' as reviewed_at, timestamp '2017-09-21' as known_at,
                'a' as source_file, n as source_row, 1 as load_number
            from range(4) as numbers(n)"""
        )
        # And no mail of earlier days.
        plan = Published(settings.published).path("campaign_plan", DAY)
        earlier = Published(settings.published).path("campaign_plan", DAY - timedelta(days=14))
        earlier.parent.mkdir()
        shutil.copy(plan, earlier)
        db.execute(
            f"""insert into landing.mail_events by name
            select send_id as event_id, 'sent' as kind, send_id, false as is_machine,
                timestamp '2017-11-20' as happened_at, timestamp '2017-11-20' as known_at,
                'a' as source_file, row_number() over () as source_row, 1 as load_number
            from '{plan}' where verdict = 'planned'"""
        )
    # The first is of the watch, which no day needs, the last of training.
    marts = "touched_customers product_objections product_views stg_published__earlier_plans product_showings review_texts"
    build(settings, marts, as_of=DAY)
    for mart, key in KEYS.items():
        with duckdb.connect(str(settings.warehouse), read_only=True) as connection:
            days = f", {DAY_COLUMNS[mart]}" if mart in DAY_COLUMNS else ""
            rows_of = SELECTIONS.get(mart, mart)
            counts = connection.sql(
                f"select count(*), count(distinct ({key}{days})) from {rows_of}"
            ).fetchall()
        rows, keys = counts[0]
        assert rows == keys > 0, mart


def test_a_customer_who_stands_twice_on_the_day_stops_the_build_and_one_on_another_day_does_not(
    shop, tmp_path
):
    settings = small_shop.copy_of(shop, tmp_path / "twice")
    rule = "unique_rows_customer_features_customer_id__as_of_date__as_of_date"

    def once_more(day):
        with writing(settings) as warehouse:
            warehouse.execute(
                f"insert into ml.customer_features select * replace ({day} as as_of_date) from ml.customer_features limit 1"
            )

    once_more("as_of_date - 1")
    once_more("as_of_date - 1")
    assert [node.status for node in build(settings, rule, as_of=DAY)] == ["pass"]
    once_more("as_of_date")
    with pytest.raises(BuildFailed, match=rule):
        build(settings, rule, as_of=DAY)


def test_a_new_warehouse_has_the_newer_format(shop):
    with duckdb.connect(str(shop.warehouse), read_only=True) as warehouse:
        [(tags,)] = warehouse.execute("select tags from duckdb_databases() where not internal").fetchall()
    assert tags["storage_version"].startswith("v1.5")
