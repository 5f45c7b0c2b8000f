"""The day's account: it adds up, and it says so loudly when it does not."""

from collections import Counter

import pytest
from sqlalchemy import delete

from campaigns.ledger import SendState
from campaigns.ledger_view import LedgerView
from campaigns.report import END_STATES, VERDICTS, build_report
from core.errors import LedgerBroken, NotPublished
from core.ledger_tables import open_ledger, sends
from core.published import Published
from tests.campaigns import small_shop
from tests.campaigns.small_shop import DAY


@pytest.fixture(scope="module")
def funnel(sent):
    """campaign_id → its row in the published report."""
    rows = Published(sent.published).read("campaign_funnel", DAY).to_pylist()
    return {row["campaign_id"]: row for row in rows}


def test_candidates_are_the_sum_of_their_verdicts(sent, funnel):
    plan = Published(sent.published).read("campaign_plan", DAY).to_pylist()
    counted = Counter((row["campaign_id"], row["verdict"]) for row in plan)
    assert funnel.keys() == {campaign_id for campaign_id, _ in counted}
    for campaign_id, row in funnel.items():
        for verdict in VERDICTS:
            assert row[verdict] == counted[campaign_id, verdict]
        assert row["candidates"] == sum(row[verdict] for verdict in VERDICTS)
    assert sum(row["candidates"] for row in funnel.values()) == len(plan)


def test_planned_sends_are_the_sum_of_their_end_states(sent, funnel):
    for row in funnel.values():
        assert row["planned"] == sum(row[state] for state in END_STATES)
    total = {state: sum(row[state] for row in funnel.values()) for state in END_STATES}
    states = LedgerView(open_ledger(sent.ledger)).states(DAY)
    assert total == dict.fromkeys(END_STATES, 0) | {"sent": states[SendState.SENT], "suppressed_late": 2}
    assert funnel["winback"]["suppressed_late"] == 2


def test_readers_are_counted_once_and_machines_never(funnel):
    # Two opens by one reader, one by a machine, a click without an open, an open with an unsubscribe.
    reactions = ("opened", "clicked", "unsubscribed")
    assert [funnel["winback"][name] for name in reactions] == [3, 1, 1]
    assert {funnel[other][name] for other in ("restock", "picked_for_you") for name in reactions} == {0}


def test_a_send_that_is_missing_from_the_ledger_stops_the_report(sent, own):
    settings = own(sent)
    with open_ledger(settings.ledger).begin() as connection:
        lost = small_shop.sent_ids(settings, 1)[0]
        assert connection.execute(delete(sends).where(sends.c.send_id == lost)).rowcount == 1
    with pytest.raises(LedgerBroken, match=f"sends are planned for {DAY}, but the ledger holds"):
        build_report(settings, DAY)


def test_a_send_nobody_planned_stops_the_report(sent, own):
    settings = own(sent)
    small_shop.add_send(settings, "ghost", as_of=DAY, state="sent")
    with pytest.raises(LedgerBroken, match=f"sends are planned for {DAY}, but the ledger holds"):
        build_report(settings, DAY)


def test_a_send_in_the_place_of_another_stops_the_report(sent, own):
    settings = own(sent)
    lost = small_shop.sent_ids(settings, 1)[0]
    with open_ledger(settings.ledger).begin() as connection:
        connection.execute(delete(sends).where(sends.c.send_id == lost))
    small_shop.add_send(settings, "ghost", as_of=DAY, state="sent")
    with pytest.raises(LedgerBroken, match=lost):
        build_report(settings, DAY)


def test_a_day_without_a_plan_has_no_report(planned):
    with pytest.raises(NotPublished, match="campaign_plan is not published"):
        build_report(planned, DAY)
