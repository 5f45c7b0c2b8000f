"""Whom each audience proposes in the corner shop, and nobody else; and that a shop without a source is no error."""

import json
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from pydantic import SecretStr

from campaigns.approvals import asked_runs
from campaigns.definitions import load_campaigns
from campaigns.ledger import Ledger
from campaigns.ledger_view import LedgerView
from campaigns.making import Messages
from campaigns.plan import PLAN, build_plan, planned_count, release_plan
from campaigns.render import LinkAddresses, render
from campaigns.sends import SendState
from campaigns.templates import compile_template
from campaigns.today import plan_on, release_on
from core.clock import replay_to
from core.errors import LedgerBroken
from core.ledger_tables import open_ledger
from core.published import Published
from core.settings import Settings
from core.tokens import Tokens
from expectations.gates import pass_gate
from sources.landing import load_landing
from tests.campaigns import corner_shop, small_shop

PROPOSED: dict[str, dict[str, tuple[int, ...]]] = {
    "cart_abandonment": {"left_cart_yesterday": (1, 2, 3), "left_cart_5_days_ago": (2, 3)},
    "back_in_stock": {"wanted_peas": (1,)},
    "price_drop": {"wanted_jam": (1,)},
    "low_stock": {"wanted_bread": (1,)},
    "browse_abandonment": {"looked_around": (1,), "saw_peas_again": (1,)},
    "welcome": {"joined_yesterday": (1, 2, 3), "joined_last_week": (2, 3)},
    "order_follow_up": {"ordered_2_days_ago": (1,)},
    "review_request": {"first_cheese": (1,)},
    "satisfaction_survey": {"ordered_6_days_ago": (1,)},
    "winback": {"is_leaving": (1, 2, 3, 4)},
    "greeting": {"reads_chinese": (1,), "gardens": (1,)},
    "promotion": {"waits_for_discounts": (1,), "likes_discounts": (1,)},
    "new_arrivals": {"gardens": (1,)},
    "sunset": {"reads_no_mail": (1, 2)},
}
"""By the names of the customers, and the days that stand beside them in the corner shop."""

Proposals = dict[str, dict[tuple[str, int], dict[str, Any]]]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = small_shop.settings_of(tmp_path_factory.mktemp("corner_shop"))
    corner_shop.build_shop(settings)
    return settings


@pytest.fixture(scope="module")
def proposals(shop) -> Proposals:
    with duckdb.connect(str(shop.warehouse), read_only=True) as warehouse:
        return {
            campaign_id: {
                (customer_id, step): {
                    "product_count": count,
                    "facts": json.loads(facts),
                    "evidence": json.loads(evidence),
                }
                for customer_id, step, count, facts, evidence in warehouse.execute(
                    f"select customer_id, step, product_count, facts, evidence from campaigns.audience_{campaign_id}"
                ).fetchall()
            }
            for campaign_id in PROPOSED
        }


@pytest.mark.parametrize("campaign_id", PROPOSED)
def test_an_audience_proposes_whom_it_is_for_and_nobody_else(proposals, campaign_id):
    expected = {(name, step) for name, steps in PROPOSED[campaign_id].items() for step in steps}
    assert set(proposals[campaign_id]) == expected


def facts_of(proposals: Proposals, campaign_id: str, name: str, step: int = 1) -> dict[str, Any]:
    facts: dict[str, Any] = proposals[campaign_id][name, step]["facts"]
    return facts


def shown(facts: dict[str, Any], *more: str) -> list[tuple[object, ...]]:
    """Return (product, reason, …) of each product of a mail."""
    return [tuple(product[key] for key in ("product_id", "reason", *more)) for product in facts["products"]]


def test_a_mail_about_a_product_states_what_the_shop_knows_of_it(proposals):
    cart = facts_of(proposals, "cart_abandonment", "left_cart_yesterday")
    assert (cart["left_date"], shown(cart)) == ("2026-02-16", [("milk", "in_cart")])
    peas = facts_of(proposals, "back_in_stock", "wanted_peas")
    assert shown(peas, "out_since_date") == [("peas", "back_in_stock", "2026-02-01")]
    # 500 until the end of January, 450, 480, 400: the lowest of the 30 days before was 450.
    jam = facts_of(proposals, "price_drop", "wanted_jam")
    assert shown(jam, "price_cents", "previous_price_cents") == [("jam", "price_drop", 400, 450)]
    assert shown(facts_of(proposals, "low_stock", "wanted_bread"), "units_left") == [
        ("bread", "low_stock", 3)
    ]
    looked = facts_of(proposals, "browse_abandonment", "saw_peas_again")
    assert (looked["looked_date"], shown(looked, "days_since")) == ("2026-02-16", [("peas", "looked_at", 1)])
    new = facts_of(proposals, "new_arrivals", "gardens")
    assert shown(new) == [("pots", "new_arrival"), ("spade", "new_arrival")]


def test_a_mail_after_an_order_states_that_order(proposals):
    follow_up = facts_of(proposals, "order_follow_up", "ordered_2_days_ago")
    assert (follow_up["ordered_date"], follow_up["care_topic"]) == ("2026-02-15", "frozen")  # peas and sorbet
    assert {product["product_id"] for product in follow_up["products"]} == {"peas", "sorbet", "milk"}
    review = facts_of(proposals, "review_request", "first_cheese")
    assert (review["ordered_date"], shown(review)) == ("2026-02-05", [("cheese", "just_bought")])
    survey = facts_of(proposals, "satisfaction_survey", "ordered_6_days_ago")
    assert (survey["ordered_date"], survey["survey"]) == ("2026-02-11", "after_delivery")


def test_a_mail_to_a_stranger_or_a_reader_lost_states_what_is_known_of_them(proposals):
    hello = facts_of(proposals, "welcome", "joined_yesterday")
    assert hello["signed_up_date"] == "2026-02-16"
    # Lines of the last 90 days: 27 of tea, 9 of soap, 6 of cheese, 3 of peas and of seeds.
    assert [name for name, _ in shown(hello)] == ["tea", "soap", "cheese", "peas"]
    greeting = facts_of(proposals, "greeting", "reads_chinese")
    assert (greeting["occasion"], shown(greeting)) == ("lunar_new_year", [("sorbet", "popular")])
    assert facts_of(proposals, "greeting", "gardens")["occasion"] == "birthday"
    assert facts_of(proposals, "sunset", "reads_no_mail", 2)["last_opened_date"] == "2025-09-01"


def test_a_step_of_the_ladder_states_what_is_its_own(proposals):
    care, reason, incentive, last = (
        facts_of(proposals, "winback", "is_leaving", step) for step in (1, 2, 3, 4)
    )
    assert shown(care) == shown(incentive) == shown(last) == [("rice", "favourite")]
    assert shown(reason) == [("rice", "favourite"), ("sorbet", "popular")]
    assert [facts["offer"] for facts in (care, reason, last)] == [None, None, None]
    offer = {"discount_percent": 15, "min_spend_cents": 500, "currency": "USD", "valid_until": "2026-03-03"}
    assert incentive["offer"] == offer


def test_an_offer_is_sized_to_who_gets_it(proposals):
    # All things discounted: 15 %; half of them: 7.5, in steps of 5 that is 10. Baskets of 4.80 and 5.40, and a fifth more.
    offers = {name: facts_of(proposals, "promotion", name)["offer"] for name in PROPOSED["promotion"]}
    sizes = {name: (offer["discount_percent"], offer["min_spend_cents"]) for name, offer in offers.items()}
    assert sizes == {"waits_for_discounts": (15, 1000), "likes_discounts": (10, 1000)}


@pytest.mark.parametrize("campaign_id", PROPOSED)
def test_the_facts_of_every_proposal_make_a_mail(proposals, campaign_id):
    addresses = LinkAddresses.of("5" * 32, "https://t.example", Tokens(SecretStr("k" * 40)))
    steps = load_campaigns()[campaign_id].steps
    for (name, step), row in proposals[campaign_id].items():
        least = steps[step - 1].min_products
        if row["product_count"] >= (load_campaigns()[campaign_id].min_products if least is None else least):
            facts = row["facts"]
            if (
                campaign_id == "winback"
            ):  # the campaign as it is may offer elsewhere than the shop made by hand
                facts |= {"offer": proposals["winback"][name, 3]["facts"]["offer"]}
            template = compile_template(campaign_id, step=steps[step - 1].name)
            assert render(template, facts, "en", addresses).subject


def test_every_proposal_says_by_which_rule(proposals):
    told = [row["evidence"]["audience_rule"] for rows in proposals.values() for row in rows.values()]
    assert len(told) > 20
    assert all(told)


# Within the day: carts left on 17 February itself, in New York, where 13:00 UTC is 08:00

HALF_PAST_THREE = datetime(2026, 2, 17, 15, 30, tzinfo=UTC)
AN_HOUR = timedelta(hours=1)


@dataclass
class Later:
    """The corner shop after its morning's plan, and customers whom that plan gives no mail; `mailed` has one."""

    settings: Settings
    morning: pa.Table
    left: str
    back: str
    bought: str
    mailed: str

    def plan_on(self, moment):
        """Let an hourly run happen; return how many sends it gave the ledger."""
        plan_on(self.settings, moment)
        return release_on(self.settings, corner_shop.DAY, pass_gate).enqueued

    def rows(self):
        """Return the plan as it is published, by campaign and customer."""
        rows = Published(self.settings.published).read(PLAN, corner_shop.DAY).to_pylist()
        found = {(row["campaign_id"], row["customer_id"]): row for row in rows}
        assert len(found) == len(rows)
        return found


@pytest.fixture(scope="module")
def half_past_three(shop, tmp_path_factory):
    settings = small_shop.copy_of(shop, tmp_path_factory.mktemp("later"))
    replay_to(settings, corner_shop.DAY)
    build_plan(settings, corner_shop.DAY)
    pass_gate(settings, PLAN, corner_shop.DAY)
    release_plan(settings, corner_shop.DAY)
    morning = Published(settings.published).read(PLAN, corner_shop.DAY)
    rows = morning.to_pylist()
    mailed = {row["customer_id"] for row in rows if row["verdict"] == "planned"}
    of_carts = {row["customer_id"] for row in rows if row["campaign_id"] == "cart_abandonment"}
    cart = load_campaigns()["cart_abandonment"]
    free = [
        name
        for name in corner_shop.customers()
        if name not in of_carts and small_shop.holdout_number(cart.holdout_key, name) >= cart.holdout_share
    ]
    left, back, bought = [name for name in free if name not in mailed][:3]
    cast = Later(settings, morning, left, back, bought, next(name for name in free if name in mailed))
    events = [
        (cast.left, "add_to_cart", "milk", "13:00"),
        (cast.back, "add_to_cart", "tea", "13:00"),
        (cast.back, "view", "jam", "15:00"),
        (cast.bought, "add_to_cart", "tea", "13:00"),
        (cast.mailed, "add_to_cart", "tea", "13:00"),
        ("left_cart_yesterday", "add_to_cart", "tea", "13:00"),
    ]
    corner_shop.land_rows(settings.landing / "today", "events", [
        {
            "event_id": f"today{n}",
            "customer_id": name,
            "kind": kind,
            "product_id": product,
            "happened_at": f"{corner_shop.DAY} {at}:00",
            "known_at": f"{corner_shop.DAY} {at}:05",
        }
        for n, (name, kind, product, at) in enumerate(events)
    ])  # fmt: skip
    ordered: corner_shop.Row = {
        "ordered_at": f"{corner_shop.DAY} 14:00:00",
        "known_at": f"{corner_shop.DAY} 14:00:05",
    }
    corner_shop.land_rows(
        settings.landing / "today", "orders", [{"order_id": "today", "customer_id": bought} | ordered]
    )
    load_landing(settings)
    return cast


@pytest.fixture
def later(half_past_three, own):
    return replace(half_past_three, settings=own(half_past_three.settings))


def test_a_cart_left_an_hour_ago_is_answered_today_and_the_plan_of_the_morning_stays_as_it_is(later):
    assert "left_cart_yesterday" in {name for _, name in later.rows()}
    assert later.plan_on(HALF_PAST_THREE - timedelta(hours=9)) == 0  # before anything happened, and by night
    assert later.plan_on(HALF_PAST_THREE) == 1

    grown = Published(later.settings.published).read(PLAN, corner_shop.DAY)
    assert grown.slice(0, later.morning.num_rows).to_pylist() == later.morning.to_pylist()
    new = grown.slice(later.morning.num_rows).to_pylist()
    assert {(row["customer_id"], row["verdict"]) for row in new} == {
        (later.left, "planned"),
        (later.mailed, "outranked"),
    }
    (row,) = [row for row in new if row["verdict"] == "planned"]
    assert row["send_at"] == HALF_PAST_THREE.replace(tzinfo=None)
    facts = json.loads(row["facts"])
    assert (facts["left_date"], shown(facts)) == ("2026-02-17", [("milk", "in_cart")])

    send = LedgerView(open_ledger(later.settings.ledger)).find(row["send_id"])
    assert send is not None
    assert (send.customer_id, send.send_at) == (later.left, HALF_PAST_THREE)
    assert b"Milk" in Messages(later.settings)(send)


def test_a_customer_is_judged_for_a_campaign_once_a_day_and_gets_one_mail(later):
    assert later.plan_on(HALF_PAST_THREE) == 1
    before = later.rows()
    assert later.plan_on(HALF_PAST_THREE) == 0
    assert later.rows() == before
    assert later.plan_on(HALF_PAST_THREE + AN_HOUR) == 1  # who was seen at 15:00 has gone by then
    assert later.rows().keys() - before.keys() == {("cart_abandonment", later.back)}
    mails = Counter(row["customer_id"] for row in later.rows().values() if row["verdict"] == "planned")
    assert set(mails.values()) == {1}
    assert later.bought not in mails


def test_a_sender_at_work_learns_of_mails_that_were_planned_since_it_began(later):
    make, ledger = Messages(later.settings), LedgerView(open_ledger(later.settings.ledger))
    make(ledger.of_day(corner_shop.DAY)[0])  # it has read the plan
    later.plan_on(HALF_PAST_THREE)
    sends = ledger.of_day(corner_shop.DAY)
    assert len(sends) == planned_count(later.settings, corner_shop.DAY)
    assert all(make(send) for send in sends)


def test_what_a_run_that_died_has_published_the_next_one_gives_to_the_ledger(later, monkeypatch):
    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "enqueue", die)
        with pytest.raises(KeyboardInterrupt):
            later.plan_on(HALF_PAST_THREE)
    assert ("cart_abandonment", later.left) in later.rows()
    assert later.plan_on(HALF_PAST_THREE) == 1


@pytest.mark.parametrize(
    ("approver", "state"), [("Ada, on duty", SendState.PLANNED), ("", SendState.AWAITING)]
)
def test_what_is_planned_within_the_day_waits_for_a_person_unless_one_approves_everything(
    later, approver, state
):
    settings = later.settings.model_copy(update={"approver": approver})
    assert replace(later, settings=settings).plan_on(HALF_PAST_THREE) == 1
    send_id = later.rows()["cart_abandonment", later.left]["send_id"]
    ledger = LedgerView(open_ledger(settings.ledger))
    assert [send.state for send in ledger.of_day(corner_shop.DAY) if send.send_id == send_id] == [state]
    (batch,) = [
        each
        for each in ledger.approvals(corner_shop.DAY)
        if (each.campaign_id, each.step) == ("cart_abandonment", 1)
    ]
    assert batch.answered_by == (approver or None)
    asked = [run["trigger_run_id"] for run in asked_runs(settings, corner_shop.DAY)]
    assert asked.count(f"cart_abandonment.1.{corner_shop.DAY}") == (0 if approver else 1)


def test_a_plan_that_was_made_anew_is_not_taken_for_one_that_has_grown(later):
    rows = later.morning.to_pylist()
    rows[0]["priority"] += 1
    changed = pa.Table.from_pylist(rows, later.morning.schema)
    Published(later.settings.published).write_candidate(PLAN, corner_shop.DAY, changed)
    with pytest.raises(LedgerBroken, match=rf"lacks row '{rows[0]['send_id']}' of the published plan"):
        release_on(later.settings, corner_shop.DAY, pass_gate)
    assert later.plan_on(HALF_PAST_THREE) == 1  # the next hour makes the right candidate


def test_before_the_plan_of_the_day_there_is_nothing_to_go_on_with(shop):
    assert plan_on(shop, HALF_PAST_THREE + timedelta(days=1)) == 0
    assert release_on(shop, corner_shop.DAY + timedelta(days=1), pass_gate).enqueued == 0


def test_a_shop_that_brings_no_events_stock_prices_reviews_or_surveys_gets_none_of_their_mails(planned):
    ask = ["cart_abandonment", "browse_abandonment", "back_in_stock", "price_drop", "low_stock"]
    ask += ["review_request", "satisfaction_survey", "sunset"]
    with duckdb.connect(str(planned.warehouse), read_only=True) as warehouse:
        counts = {
            name: warehouse.sql(f"select count(*) from campaigns.audience_{name}").fetchall()[0][0]
            for name in (*ask, "order_follow_up", "restock")
        }
    assert {name for name, count in counts.items() if count} == {"order_follow_up", "restock"}
