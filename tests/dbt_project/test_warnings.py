"""Warnings of a small real shop over three days, and those that its watch raises between two of them."""

import csv
from datetime import date, timedelta

import duckdb
import pyarrow as pa
import pytest
from sqlalchemy import select, update

from campaigns.outcomes import publish_ledger_state
from campaigns.sends import SendState
from core.dbt import build
from core.ledger_tables import open_ledger, sends
from core.published import Published
from core.settings import Settings
from expectations.publish import RAISED, TOUCHED, publish
from ml.tables import CHURN_SCORES_SCHEMA
from ml.watch import NEWS, WARNINGS
from sources.landing import load_landing
from tests.campaigns import small_shop
from tests.campaigns.small_shop import DAY, MADE_BY

NEXT = DAY + timedelta(days=1)
pytestmark = [
    pytest.mark.timeout(600),
    *(pytest.mark.filterwarnings(line) for line in small_shop.WARNINGS),
]


def raised(settings: Settings, day: date) -> set[str]:
    with duckdb.connect(str(settings.warehouse), read_only=True) as db:
        rows = db.execute("select customer_id from warnings.warnings_raised where raised_date = $1", [day])
        return {customer_id for (customer_id,) in rows.fetchall()}


def lives(settings: Settings, day: date) -> dict[str, dict[str, object]]:
    rows = Published(settings.published).read("churn_warnings", day).to_pylist()
    return {row["customer_id"]: row for row in rows}


def ordered_on(settings: Settings, day: date) -> dict[str, str]:
    """Return a customer → order for the orders of a day, from the landing files."""
    with (settings.landing / "complete_journey" / "orders" / "orders.csv").open() as file:
        orders = [row for row in csv.DictReader(file) if row["known_at"].startswith(str(day))]
    return {row["customer_id"]: row["order_id"] for row in orders}


def scores(settings: Settings, table: str, day: date, high: set[str], low: set[str]) -> None:
    rows = [
        {"customer_id": who, "as_of_date": day, "churn_probability": 0.9 if who in high else 0.1}
        | {"churn_band": "high" if who in high else "low", "value_at_stake_cents": 500.0, **MADE_BY}
        | {"expected_profit_cents": 1.0}
        for who in sorted(high | low)
    ]
    published = Published(settings.published)
    published.write_candidate(table, day, pa.Table.from_pylist(rows, CHURN_SCORES_SCHEMA))
    published.release(table, day)


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The small shop when its first day is reported: planned, sent, read."""
    return small_shop.sent(tmp_path_factory.getbasetemp())


def test_every_customer_likely_to_lapse_is_warned_of_and_the_plan_is_how_they_were_treated(reported):
    likely = {
        str(row["customer_id"]) for row in small_shop.features(reported) if small_shop.expects_to_lose(row)
    }
    assert raised(reported, DAY) == likely
    found = lives(reported, DAY)
    assert set(found) == likely
    plan = Published(reported.published).read("campaign_plan", DAY).to_pylist()
    verdicts = {row["customer_id"]: row["verdict"] for row in plan if row["campaign_id"] == "winback"}
    assert {row["treatment"] for row in found.values()} >= {"planned", "held_out", "no_consent"}
    for customer_id, row in found.items():
        assert row["treatment"] == verdicts.get(customer_id)
        assert (row["outcome"], row["closes_date"]) == (None, DAY + timedelta(days=28))
    figures = Published(reported.published).read("churn_warning_figures", DAY).to_pylist()
    (together,) = [
        row for row in figures if (row["churn_band"], row["ladder_step"], row["treatment"]) == ("any",) * 3
    ]
    assert (together["open_count"], together["closed_count"]) == (len(likely), 0)
    # Nobody had been warned of before, so nothing was missed.
    assert together["cutoff_lapsed_count"] > 0
    assert {together[name] for name in ("precision", "recall", "f1")} == {None}


def test_whom_a_person_kept_from_being_mailed_stays_in_the_arm_that_chance_drew_and_is_not_called_mailed(
    reported, tmp_path
):
    settings = small_shop.copy_of(reported, tmp_path)
    with open_ledger(settings.ledger).begin() as ledger:
        of_winback = select(sends.c.send_id, sends.c.customer_id).where(
            sends.c.campaign_id == "winback", sends.c.state == SendState.SENT
        )
        customer_of = {row.send_id: row.customer_id for row in ledger.execute(of_winback)}
        beyond_the_share = sorted(customer_of)[len(customer_of) // 2 :]
        ledger.execute(
            update(sends).where(sends.c.send_id.in_(beyond_the_share)).values(state=SendState.REJECTED)
        )
    publish_ledger_state(settings, NEXT, {})
    build(settings, "stg_published__ledger_sends churn_warnings churn_warning_figures", as_of=NEXT)
    with duckdb.connect(str(settings.warehouse), read_only=True) as db:
        query = "select customer_id, arm, is_mailed, treatment from warnings.churn_warnings"
        found = {row[0]: row[1:] for row in db.execute(query).fetchall()}
        counted = db.execute(
            "select treatment, open_count from warnings.churn_warning_figures"
            " where churn_band = 'any' and ladder_step = 'any'"
        ).fetchall()
    rejected = {customer_of[send_id] for send_id in beyond_the_share}
    mailed = set(customer_of.values()) - rejected
    assert rejected & found.keys()
    assert mailed & found.keys()
    for customer_id in rejected & found.keys():
        assert found[customer_id] == ("treatment", False, "planned")
    assert {customer_id for customer_id, row in found.items() if row[1]} == mailed & found.keys()
    assert {row for row in found.values() if row[2] == "held_out"} == {("holdout", False, "held_out")}
    arms = [row[0] for row in found.values()]
    assert dict(counted)["assigned"] <= arms.count("treatment")
    assert dict(counted)["held_out"] <= arms.count("holdout")


def test_the_watch_raises_warnings_of_customers_with_news_and_the_day_raises_its_own(reported, tmp_path):
    settings = small_shop.copy_of(reported, tmp_path)
    load_landing(settings)
    build(settings, NEWS, as_of=NEXT)
    publish(settings, TOUCHED, NEXT)
    touched = set(Published(settings.published).read("touched_features", NEXT)["customer_id"].to_pylist())
    with_orders = set(ordered_on(settings, DAY))
    assert with_orders
    assert with_orders <= touched
    assert touched < {str(row["customer_id"]) for row in small_shop.features(settings)} | with_orders

    bought = Published(settings.published).read("interactions", NEXT).to_pylist()
    assert {
        row["customer_id"] for row in bought if row["ordered_date"] == DAY
    } == with_orders  # what lists are made from

    open_before, (first, second, *_) = raised(settings, DAY), sorted(with_orders)
    scores(settings, "churn_watch", NEXT, high=with_orders, low=touched - with_orders)
    build(settings, WARNINGS, as_of=NEXT, scores="churn_watch")
    # Also of those who were warned of the day before: they have ordered since.
    assert raised(settings, NEXT) == with_orders
    build(settings, WARNINGS, as_of=NEXT, scores="churn_watch")
    assert raised(settings, NEXT) == with_orders
    publish(settings, RAISED, NEXT)
    told = Published(settings.published).read("warnings_raised", NEXT)
    assert set(told["customer_id"].to_pylist()) == with_orders
    assert not Published(settings.published).exists(
        "customer_features", NEXT
    )  # the coming day is not whole yet

    scores(settings, "churn_scores", NEXT, high={first, *open_before}, low={second})
    build(settings, "warnings_raised stg_published__churn_scores", as_of=NEXT)
    still_silent = open_before - with_orders
    assert still_silent
    assert raised(settings, NEXT) == {first, *open_before} - still_silent
    assert raised(settings, DAY) == open_before
