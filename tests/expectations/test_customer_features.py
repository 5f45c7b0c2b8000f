"""The features' gate finds each planted fault by the column's name alone, and compares a day with the four weeks before."""

import doctest
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pytest

from core.errors import GateFailed
from core.published import Published
from core.settings import PROJECT, Settings
from expectations import customer_features, drift
from expectations.customer_features import required
from expectations.gates import GateReport, pass_gate
from expectations.judge import Line, judge

DAY = date(2017, 12, 4)
BIGINTS = [
    "recency_days",
    "tenure_days",
    "orders_7d_count",
    "orders_30d_count",
    "orders_90d_count",
    "orders_lifetime_count",
    "spend_90d_cents",
    "views_7d_count",
    "last_visit_days",
    "orders_acceleration",
    "spend_acceleration",
    "orders_365d_count",
    "spend_7d_cents",
    "spend_30d_cents",
    "spend_365d_cents",
    "spend_lifetime_cents",
    "items_7d_count",
    "items_30d_count",
    "items_90d_count",
    "items_365d_count",
    "items_lifetime_count",
    "products_lifetime_count",
    "products_new_90d_count",
    "categories_lifetime_count",
    "order_days_14d_count",
    "order_days_56d_count",
    "active_weeks_84d_count",
]
DOUBLES = [
    "discount_share",
    "category_1_share",
    "category_2_share",
    "category_3_share",
    "weekend_share",
    "morning_share",
    "evening_share",
    "usual_hour_share",
    "own_brand_share",
    "orders_trend_ratio",
    "spend_trend_ratio",
    "basket_mean_items",
    "repeat_share",
    "category_entropy",
    "discount_90d_share",
    "discounted_lines_share",
    "holiday_share",
    "basket_mean_cents",
    "basket_mean_lines",
    "gap_ratio",
    "usual_hour",
    "usual_weekday",
    "review_mean_stars",
    "survey_mean_points",
    "text_mean_sentiment",
    "active_spans_share",
    "long_pause_share",
]
SCHEMA = pa.schema(
    [("customer_id", pa.string()), ("as_of_date", pa.date32())]
    + [(name, pa.string()) for name in ("top_category", "lifecycle_stage")]
    + [(name, pa.int64()) for name in BIGINTS]
    + [(name, pa.float64()) for name in DOUBLES]
)
Row = dict[str, Any]

EMPTY, OUTSIDE = "rows without a value", "rows out of range"
LONGER = "rows where a longer window counts less"
OUT_OF_RANGE: dict[str, object] = {
    "recency_days": -1,
    "tenure_days": -3,
    "orders_7d_count": -1,
    "orders_30d_count": -1,
    "orders_90d_count": -1,
    "orders_lifetime_count": 0,
    "spend_90d_cents": -1,
    "views_7d_count": -1,
    "last_visit_days": -1,
    "discount_share": -0.01,
    "category_1_share": 1.01,
    "category_2_share": float("inf"),
    "category_3_share": float("nan"),
    "weekend_share": 2.0,
    "morning_share": 1.0001,
    "evening_share": -1.0,
    "usual_hour_share": 100.0,
    "own_brand_share": -0.5,
    "basket_mean_cents": -0.5,
    "basket_mean_lines": float("inf"),
    "gap_ratio": -1.0,
    "usual_hour": 24.0,
    "usual_weekday": 7.0,
    "review_mean_stars": 0.5,
    "survey_mean_points": 10.5,
    "orders_365d_count": -1,
    "spend_7d_cents": -1,
    "spend_30d_cents": -1,
    "spend_365d_cents": -1,
    "spend_lifetime_cents": -1,
    "items_7d_count": -1,
    "items_30d_count": -1,
    "items_90d_count": -1,
    "items_365d_count": -1,
    "items_lifetime_count": -1,
    "products_lifetime_count": -1,
    "products_new_90d_count": -1,
    "categories_lifetime_count": -1,
    "orders_trend_ratio": -0.1,
    "spend_trend_ratio": float("nan"),
    "basket_mean_items": -1.0,
    "repeat_share": 1.5,
    "category_entropy": -0.1,
    "discount_90d_share": 1.5,
    "discounted_lines_share": 1.5,
    "holiday_share": 1.5,
    "order_days_14d_count": -1,
    "order_days_56d_count": -1,
    "active_weeks_84d_count": -1,
    "active_spans_share": 1.5,
    "long_pause_share": -0.5,
    "text_mean_sentiment": -1.01,
}
"""A value for each number that its name forbids; an acceleration may be anything."""
SEEN_ELSEWHERE = {  # rows that cannot be, as some of those values are; by the customer
    ("rows where the newest order is before the first", "the table"): "c1",
    (LONGER, "orders_30d_count"): "c3",
    (LONGER, "orders_90d_count"): "c4",
    (LONGER, "orders_lifetime_count"): "c5",
    (LONGER, "orders_365d_count"): "c25",
    (LONGER, "items_30d_count"): "c31",
    (LONGER, "items_90d_count"): "c32",
    (LONGER, "items_365d_count"): "c33",
    (LONGER, "items_lifetime_count"): "c34",
    (LONGER, "order_days_56d_count"): "c47",
}


def feature(number: int, day: date = DAY) -> Row:
    """A customer of 20 quiet days, who then ordered on each of the last days, up to 90; without views or reviews."""
    orders = 1 + number % 90
    row: Row = dict.fromkeys(SCHEMA.names) | dict.fromkeys(DOUBLES, 0.25)
    row |= {"customer_id": f"c{number}", "as_of_date": day, "recency_days": 1, "tenure_days": orders + 20}
    row |= {
        "orders_7d_count": min(orders, 7),
        "orders_30d_count": min(orders, 30),
        "orders_90d_count": orders,
    }
    row |= {"order_days_14d_count": min(orders, 14), "order_days_56d_count": min(orders, 56)}
    row |= {"active_weeks_84d_count": 1 + orders // 8}
    row |= {"orders_365d_count": orders, "orders_lifetime_count": orders, "orders_acceleration": -4}
    row |= dict.fromkeys((name for name in BIGINTS if name.startswith(("spend_", "items_", "products_"))), 9)
    row |= {"spend_90d_cents": 100 * orders, "spend_acceleration": -900, "categories_lifetime_count": 2}
    row |= {"top_category": "GROCERY", "lifecycle_stage": "active"}
    return row | {
        "review_mean_stars": None,
        "survey_mean_points": None,
        "text_mean_sentiment": None,
        "gap_ratio": None,
    }


def features(count: int, day: date = DAY) -> list[Row]:
    return [feature(number, day) for number in range(count)]


def arrow(rows: list[Row]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def lines(settings: Settings, rows: pa.Table) -> list[Line]:
    published = Published(settings.published)
    candidate = published.write_candidate("customer_features", DAY, rows)
    return judge(customer_features.audit(candidate, published, DAY))


def broken(settings: Settings, rows: pa.Table) -> dict[tuple[str, str], tuple[str, str]]:
    """Return what does not hold: (check, column) -> (verdict, what was found)."""
    judged = lines(settings, rows)
    assert len(judged) > 40
    return {(line.check, line.column): (line.verdict, line.found) for line in judged if line.verdict != "ok"}


def gate(settings: Settings, rows: list[Row]) -> GateReport:
    Published(settings.published).write_candidate("customer_features", DAY, arrow(rows))
    return pass_gate(settings, "customer_features", DAY)


def release(settings: Settings, days_before: int, rows: list[Row], schema: pa.Schema = SCHEMA) -> None:
    published, day = Published(settings.published), DAY - timedelta(days=days_before)
    table = pa.Table.from_pylist([row | {"as_of_date": day} for row in rows], schema=schema)
    published.write_candidate("customer_features", day, table)
    published.release("customer_features", day)


def test_examples_in_docstrings_hold():
    for module in (customer_features, drift):
        found = doctest.testmod(module)
        assert found.attempted > 0
        assert found.failed == 0


# ---- a candidate by itself ----


def test_a_good_day_passes_whole_though_some_columns_have_no_value_at_all(settings):
    report = gate(settings, features(160))
    assert (report.critical, report.warnings) == ((), ())
    assert report.remarks == ("No day of the 28 before is published: volume and drift were not checked.",)
    assert report.page == "http://127.0.0.1:8190/data-docs/customer_features/2017-12-04.html"


def test_what_is_required_is_what_the_page_of_features_calls_never_missing():
    """The page is made from the catalogue; here it is read as a person would."""
    rows = [line.split(" | ") for line in (PROJECT / "docs" / "features.md").read_text().splitlines()]
    never = [row[0].strip("| `") for row in rows if row[-1].strip("| ") == "never"]
    assert len(never) > 40
    assert {*required()} == {*never, "customer_id", "as_of_date"}


def test_every_required_column_that_lacks_a_value_is_found_in_its_row(settings):
    rows = features(160)
    for number, name in enumerate(required()):
        rows[number][name] = None
    found = broken(settings, arrow(rows))
    # A day that is missing is no day of ours.
    assert found.pop(("rows of another day", "the table")) == ("critical", "1 (c1)")
    named = {name: f"1 (c{number})" for number, name in enumerate(required())}
    named["customer_id"] = "1 (None)"
    assert found == {(EMPTY, name): ("critical", words) for name, words in named.items()}


def test_every_value_that_the_name_of_a_column_forbids_is_found_in_its_row(settings):
    rows = features(160)
    for number, (name, value) in enumerate(OUT_OF_RANGE.items()):
        rows[number][name] = value
    found = broken(settings, arrow(rows))
    for number, name in enumerate(OUT_OF_RANGE):
        assert found.pop((OUTSIDE, name)) == ("critical", f"1 (c{number})")
    assert found == {key: ("critical", f"1 ({customer})") for key, customer in SEEN_ELSEWHERE.items()}


def test_every_number_but_an_acceleration_is_planted_above():
    accelerations = {"orders_acceleration", "spend_acceleration"}
    assert sorted(OUT_OF_RANGE) == sorted({*BIGINTS, *DOUBLES} - accelerations)


@pytest.mark.parametrize(
    ("change", "check", "column", "found"),
    [
        ({"customer_id": "c0"}, "rows of a customer who has another", "the table", "1"),
        ({"as_of_date": date(2017, 12, 3)}, "rows of another day", "the table", "1 (c50)"),
        ({"tenure_days": 0}, "rows where the newest order is before the first", "the table", "1 (c50)"),
        ({"orders_30d_count": 1}, LONGER, "orders_30d_count", "1 (c50)"),
        ({"orders_90d_count": 1}, LONGER, "orders_90d_count", "1 (c50)"),
        ({"orders_lifetime_count": 1}, LONGER, "orders_lifetime_count", "1 (c50)"),
        ({"gap_ratio": None, "views_7d_count": None}, None, None, None),
    ],
)
def test_a_row_that_contradicts_another_or_itself_is_found(settings, change, check, column, found):
    rows = features(60)
    rows[50] |= change
    expected = {(check, column): ("critical", found)} if check else {}
    assert broken(settings, arrow(rows)) == expected


def test_a_day_without_customers_is_stopped(settings):
    with pytest.raises(GateFailed, match="rows of the table: 0, allowed at least 1"):
        gate(settings, [])


def test_words_where_a_number_belongs_and_a_column_that_is_absent_are_found(settings):
    table = arrow(features(4)).drop_columns(["weekend_share", "orders_7d_count"])
    table = table.append_column("orders_7d_count", pa.array(["one", "2", "many", "4"]))
    assert broken(settings, table) == {
        (EMPTY, "weekend_share"): ("critical", "4 (c0, c1, c2)"),
        (OUTSIDE, "orders_7d_count"): ("critical", "2 (c0, c2)"),
    }


@pytest.mark.parametrize(("key", "rows"), [("customer_id", "4"), ("as_of_date", "4 (c0, c1, c2)")])
def test_a_table_without_its_key_is_stopped(settings, key, rows):
    found = broken(settings, arrow(features(4)).drop_columns([key]))
    assert found[EMPTY, key] == ("critical", rows)
    assert ("expect_column_distinct_values_to_contain_set", "measure") in found  # a check could not be made


@pytest.mark.parametrize(
    ("days", "verdict"), [(0, None), (2, None), (3, "warning"), (7, "warning"), (8, "critical")]
)
def test_a_shop_without_orders_for_days_is_looked_at_and_after_a_week_stopped(settings, days, verdict):
    rows = [row | {"recency_days": days, "tenure_days": 400} for row in features(10)]
    found = broken(settings, arrow(rows))
    assert found == ({("days since the newest", "recency_days"): (verdict, str(days))} if verdict else {})


def test_visits_that_stopped_weeks_ago_are_a_warning_and_none_at_all_are_not(settings):
    rows = [row | {"last_visit_days": 20} for row in features(10)]
    assert broken(settings, arrow(rows)) == {("days since the newest", "last_visit_days"): ("warning", "20")}


# ---- a candidate against the four weeks before ----


@pytest.mark.parametrize(
    ("count", "verdict"),
    [(159, "critical"), (160, "warning"), (189, "warning"), (190, None), (250, None), (251, "warning"), (401, "critical")],
)  # fmt: skip
def test_volume_is_held_against_the_middle_of_the_days_before(settings, count, verdict):
    for days_before, rows in ((28, 200), (9, 180), (1, 5_000)):  # one wild day moves the middle little
        release(settings, days_before, features(rows)[:rows])
    release(settings, 29, features(10))  # too long ago to count
    found = broken(settings, arrow(features(count)))
    volume = {key: verdict for key, (verdict, _) in found.items() if key[0] == "rows against the usual"}
    assert volume == ({("rows against the usual", "the table"): verdict} if verdict else {})


def test_features_like_those_before_have_not_moved_and_the_page_names_the_days(settings):
    for days_before in (1, 2, 28):
        release(settings, days_before, features(450))
    release(settings, 29, features(450))
    report = gate(settings, features(450))
    assert (report.critical, report.warnings, report.remarks) == ((), (), ())
    page = (settings.data_docs / "customer_features" / "2017-12-04.html").read_text()
    assert "2017-11-06, 2017-12-02, 2017-12-03" in page
    assert "2017-11-05" not in page
    # Of each number but the tenure, which moves by itself.
    assert page.count("<td>drift (PSI)</td>") == len(BIGINTS) + len(DOUBLES) - 1


def test_amounts_a_hundred_times_too_large_stop_the_day_and_another_shift_is_a_warning(settings):
    release(settings, 7, features(450))
    cents = [row | {"spend_90d_cents": 100 * row["spend_90d_cents"]} for row in features(450)]
    with pytest.raises(
        GateFailed, match=r"fails 1 critical expectation\(s\), first: drift \(PSI\) of spend_90d_cents"
    ):
        gate(settings, cents)
    evenings = [row | {"evening_share": 0.9} for row in features(450)]
    report = gate(settings, evenings)
    assert report.critical == ()
    assert [warning.split(":")[0] for warning in report.warnings] == ["drift (PSI) of evening_share"]


def test_a_source_that_falls_silent_is_a_warning(settings):
    release(settings, 3, [row | {"views_7d_count": number % 7} for number, row in enumerate(features(450))])
    report = gate(settings, features(450))
    assert [warning.split(":")[0] for warning in report.warnings] == ["drift (PSI) of views_7d_count"]


def test_a_column_that_is_new_has_no_drift_and_the_report_says_so(settings):
    older = SCHEMA.remove(SCHEMA.get_field_index("orders_acceleration"))
    release(settings, 2, [row | {"orders_acceleration": 0} for row in features(450)], older)
    report = gate(settings, features(450))
    assert report.remarks == ("Not on every day before, so without drift: orders_acceleration.",)


def test_among_a_few_customers_drift_is_left_out_and_the_report_says_so(settings):
    release(settings, 7, features(199))
    report = gate(settings, features(199))
    assert report.remarks == ("Fewer than 200 customers: drift was not checked.",)
