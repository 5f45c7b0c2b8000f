"""A day of marts is published whole or not at all; readers keep what they had."""

from datetime import date
from pathlib import Path

import duckdb
import pytest
import structlog

from core.errors import GateFailed, NotPublished
from core.published import Published
from core.settings import Settings
from core.warehouse import KEYS, export
from expectations.publish import DAILY, RAISED, REPORT, TOUCHED, TRAINING, publish

DAY = date(2017, 12, 4)
TABLES = [
    "landed_tables",
    "customer_features",
    "interactions",
    "product_showings",
    "products",
    "customer_traits",
    "product_objections",
    "product_views",
    "rejected_rows",
]
ONE_CUSTOMER = """
    1::bigint as recency_days, 30::bigint as tenure_days, 1::bigint as orders_7d_count, 2::bigint as orders_30d_count,
    3::bigint as orders_90d_count, 4::bigint as orders_lifetime_count, 2.0::double as basket_mean_lines,
    0.1::double as discount_share, 0.5::double as category_1_share, 0.3::double as category_2_share,
    0.2::double as category_3_share, 0.4::double as weekend_share, 0.6::double as morning_share,
    0.1::double as evening_share, 0.5::double as usual_hour_share, 0.0::double as own_brand_share,
    4::bigint as orders_365d_count, 0::bigint as orders_acceleration, 0::bigint as spend_acceleration,
    'GROCERY' as top_category, 'active' as lifecycle_stage, 8.0::double as usual_hour, 1.0::double as usual_weekday,
    1.0::double as orders_trend_ratio, 1.0::double as spend_trend_ratio, 100.0::double as basket_mean_cents,
    2.0::double as basket_mean_items, 0.5::double as repeat_share, 0.7::double as category_entropy,
    0.1::double as discount_90d_share, 0.2::double as discounted_lines_share, 0.0::double as holiday_share,
    2::bigint as products_lifetime_count, 1::bigint as products_new_90d_count, 1::bigint as categories_lifetime_count,
    100::bigint as spend_7d_cents, 200::bigint as spend_30d_cents, 300::bigint as spend_90d_cents,
    400::bigint as spend_365d_cents, 400::bigint as spend_lifetime_cents, 2::bigint as items_7d_count,
    4::bigint as items_30d_count, 6::bigint as items_90d_count, 8::bigint as items_365d_count,
    8::bigint as items_lifetime_count, 1::bigint as order_days_14d_count, 2::bigint as order_days_56d_count,
    2::bigint as active_weeks_84d_count, 1.0::double as active_spans_share, 0.0::double as long_pause_share"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Settings:
    """A warehouse with the marts of two days, made by hand."""
    settings = Settings(_env_file=None, data_dir=tmp_path_factory.mktemp("shop"), token_key="k" * 40)
    change(
        settings,
        f"""
        create schema ml; create schema shop; create schema reports; create schema mail;
        create table ml.customer_features as
        select 'c' || n as customer_id, day::date as as_of_date, {ONE_CUSTOMER}
        from (values (2), (1)) as numbers(n), (values ('2017-12-03'), ('2017-12-04')) as days(day);
        create table ml.interactions as
        select 'c1' as customer_id, 'p1' as product_id, date '2017-12-01' as ordered_date, 1::bigint as line_count;
        create table ml.review_texts as select 'v1' as review_id, 4::bigint as stars, 'fits' as body;
        create table ml.product_showings as select 's1' as send_id, 1::bigint as place;
        create table shop.landed_tables as
        select 'orders' as table_name, date '2017-12-04' as as_of_date, true as is_required, 2::bigint as freshness_days,
            7::bigint as stops_after_days, 1::bigint as stale_days;
        create table shop.products as select 'p1' as product_id, 'Ice' as name;
        create table shop.customer_traits as select 'c1' as customer_id, 1980::bigint as birth_year;
        create table shop.product_objections as select 'c1' as customer_id, 'p1' as product_id;
        create table shop.product_views as select 'c1' as customer_id, 'p1' as product_id;
        create table shop.rejected_rows as
        select 'orders' as table_name, 'shop/orders/a.csv' as source_file, 7::bigint as row_number,
            'customer_id' as column_name;
        create table reports.campaign_funnel as select 'winback' as campaign_id, 3::bigint as sent;
        create table mail.mail_events as select 'e1' as event_id;
        create schema warnings;
        create table warnings.churn_warnings as select 'w1' as warning_id, date '2017-12-04' as raised_date;
        create table warnings.churn_warning_figures as
        select 'any' as churn_band, 'any' as ladder_step, 'any' as treatment;""",
    )
    return settings


def change(settings: Settings, sql: str) -> None:
    with duckdb.connect(str(settings.warehouse)) as db:
        db.execute(sql)


def snapshots(settings: Settings) -> dict[str, bytes]:
    """What readers can see: every file of the published folder that is no candidate."""
    root = settings.published
    return {
        str(file.relative_to(root)): file.read_bytes()
        for file in root.rglob("*.parquet")
        if ".candidates" not in file.parts
    }


def test_a_day_is_published_and_a_failing_gate_later_leaves_it_as_it_was(shop):
    published = Published(shop.published)
    assert list(publish(shop, DAILY, DAY)) == TABLES
    # Rows in the order of their key, and of this day only.
    assert published.read("customer_features", DAY, ["customer_id", "as_of_date"]).to_pylist() == [
        {"customer_id": "c1", "as_of_date": DAY},
        {"customer_id": "c2", "as_of_date": DAY},
    ]
    before = snapshots(shop)
    assert sorted(file.rpartition("/")[0] for file in before) == [  # one file each
        f"{table}/as_of_date=2017-12-04" for table in sorted(TABLES)
    ]

    change(shop, "update ml.customer_features set recency_days = -1 where customer_id = 'c2'; "
           "insert into shop.products values ('p2', 'Not to be seen')")  # fmt: skip
    with pytest.raises(GateFailed, match="rows out of range of recency_days: 1"):
        publish(shop, DAILY, DAY)
    assert snapshots(shop) == before
    assert published.read("products", DAY)["name"].to_pylist() == ["Ice"]

    change(shop, "update ml.customer_features set recency_days = 1")
    publish(shop, DAILY, DAY)  # mended, it simply works
    assert published.read("products", DAY)["name"].to_pylist() == ["Ice", "Not to be seen"]


def test_a_day_whose_gate_fails_is_no_day_at_all(shop):
    change(shop, "update shop.landed_tables set as_of_date = date '2017-12-24'")
    with pytest.raises(GateFailed, match="rows of the table: 0"):  # nobody has features of that day
        publish(shop, DAILY, date(2017, 12, 24))
    change(shop, f"update shop.landed_tables set as_of_date = date '{DAY}'")
    published = Published(shop.published)
    assert [table for table in TABLES if published.exists(table, date(2017, 12, 24))] == []
    with pytest.raises(NotPublished):
        published.read("products", date(2017, 12, 24))


def test_what_a_training_publishes_leaves_the_day_as_whole_as_it_was(shop):
    """Two sets of one day share two tables: the list of the day holds both."""
    published = Published(shop.published)
    publish(shop, DAILY, DAY)
    features = published.path("customer_features", DAY).read_bytes()
    change(shop, "create or replace table ml.churn_examples as select 'c1' as customer_id, date '2017-11-06' as as_of_date; "
           "insert into ml.interactions values ('c2', 'p1', date '2017-12-02', 1)")  # fmt: skip
    assert list(publish(shop, TRAINING, DAY)) == [
        "churn_examples",
        "interactions",
        "review_texts",
        "products",
    ]
    assert published.read("interactions", DAY).num_rows == 2
    assert published.read("churn_examples", DAY).num_rows == 1
    assert published.path("customer_features", DAY).read_bytes() == features
    publish(shop, DAILY, DAY)
    assert published.read("churn_examples", DAY).num_rows == 1


def test_a_day_that_passes_answers_and_logs_where_the_page_of_its_gate_is(shop):
    with structlog.testing.capture_logs() as events:
        answer = publish(shop, DAILY, DAY)
    pages = {
        table: f"http://127.0.0.1:8190/data-docs/{table}/2017-12-04.html"
        for table in ("landed_tables", "customer_features")
    }
    assert answer == dict.fromkeys(TABLES, "no gate") | pages
    assert [event["tables"] for event in events if event["event"] == "published"] == [answer]
    assert (shop.data_docs / "customer_features" / "2017-12-04.html").exists()


def test_the_same_marts_give_the_same_bytes(shop, tmp_path):
    def exported() -> bytes:
        path: Path = export(shop, "ml.customer_features", DAY)
        return path.read_bytes()

    first = exported()
    change(
        shop,
        "create or replace table ml.customer_features as from ml.customer_features order by customer_id desc",
    )
    assert exported() == first


def test_tables_without_a_gate_are_published_as_they_are(shop):
    assert publish(shop, REPORT, DAY) == {
        "campaign_funnel": "no gate",
        "mail_events": "no gate",
        "churn_warnings": "no gate",
        "churn_warning_figures": "no gate",
    }
    assert Published(shop.published).read("campaign_funnel", DAY).to_pylist() == [
        {"campaign_id": "winback", "sent": 3}
    ]


def test_every_mart_that_is_published_has_an_order_of_rows():
    assert {*DAILY, *TRAINING, *REPORT, *TOUCHED, *RAISED} <= set(KEYS)
    assert "ml.customer_features" in DAILY  # the one with a gate is among them


def test_publishing_before_anything_is_built_says_what_to_run(settings):
    with pytest.raises(NotPublished, match="there is no warehouse yet; run `lapwing features build"):
        publish(settings, DAILY, DAY)


def test_publishing_what_was_never_built_names_the_mart(settings):
    change(settings, "create schema landing")
    with pytest.raises(NotPublished, match=r"no shop\.landed_tables yet; build it for 2017-12-04 first"):
        publish(settings, DAILY, DAY)
