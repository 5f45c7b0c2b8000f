"""The breaker: at which complaints and refusals a campaign stops, at which it only warns, and what it looks at."""

from dataclasses import asdict
from datetime import timedelta

import pytest
from sqlalchemy import insert, select

from campaigns.breaker import Breaker, reason_to_pause
from campaigns.dispatch import send_batch
from campaigns.ledger import Ledger, SendState
from campaigns.limits import Limits
from campaigns.mailers import DeliveryRefused
from campaigns.standings import Standing
from core.ledger_tables import audit_log, notices, open_ledger, sends
from tests.campaigns.test_dispatch import Outbox
from tests.faults.ledger_kit import NOON, MovableClock, ledger_at, message_of, planned, send_id_of

A_DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("complaints", "sent", "pauses"),
    [
        (3, 1000, True),  # 0.3 %
        (3, 1001, False),
        (2, 600, False),  # 0.33 %, but of two people
        (1, 10, False),
        (30, 10_000, True),
        (29, 10_000, False),
        (3, 0, False),  # about mail that no server took: nothing to judge
    ],
)
def test_a_campaign_stops_at_three_complaints_in_a_thousand_mails(complaints, sent, pauses):
    standing = Standing("winback", sent=sent, refused=0, bounced=0, complaints=complaints)
    assert (reason_to_pause(standing, 0.1) is not None) is pauses


@pytest.mark.parametrize(
    ("refused", "bounced", "sent", "pauses"),
    [
        (10, 0, 90, False),  # a tenth, not more
        (11, 0, 89, True),
        (6, 5, 94, True),  # 11 of 100; who bounced was sent first
        (9, 0, 1, False),  # nine people are too few to judge by
        (0, 0, 0, False),
    ],
)
def test_a_campaign_stops_when_more_than_the_set_share_is_refused(refused, bounced, sent, pauses):
    standing = Standing("winback", sent=sent, refused=refused, bounced=bounced, complaints=0)
    assert (reason_to_pause(standing, 0.1) is not None) is pauses
    assert reason_to_pause(standing, 1.0) is None


@pytest.fixture
def clock():
    return MovableClock()


@pytest.fixture
def ledger(ledger_url, clock):
    ledger_at(ledger_url, clock)
    return Ledger(open_ledger(ledger_url), clock, Limits({}, max_refused_share=0.1))


def ended(ledger, numbers, *, state="sent", campaign_id="winback", days_ago=1.0, channel="mail"):
    """Write sends that ended so long ago."""
    then = NOON - days_ago * A_DAY
    more = {
        "state": state,
        "campaign_id": campaign_id,
        "channel": channel,
        "ended_at": then,
        "due_at": then,
        "attempts": 1,
    }
    rows = [asdict(planned(n)) | {"domain": "example.com"} | more for n in numbers]
    with ledger._engine.begin() as connection:
        connection.execute(insert(sends), rows)


def complain(ledger, *numbers, reason="complained"):
    for number in numbers:
        assert ledger.suppress(f"c{number}", f"p{number}", reason, send_id_of(number))


def alerts(ledger):
    with ledger._engine.begin() as connection:
        query = select(audit_log.c.subject, audit_log.c.detail).where(audit_log.c.actor == "breaker")
        return [(row.subject, *row.detail.values()) for row in connection.execute(query)]


def paused(ledger):
    return [pause.subject for pause in ledger.pauses(NOON)]


def test_complaints_about_one_campaign_pause_it_and_no_other(ledger):
    ended(ledger, range(1000))
    ended(ledger, range(1000, 2000), campaign_id="restock")
    complain(ledger, 1, 2, 3, 1001)
    Breaker(ledger).check()
    assert paused(ledger) == ["winback"]
    (winback,) = ledger.pauses(NOON)
    assert winback.reason == "3 complaints about 1,000 mails of the last 7 days (0.30 %)"
    assert alerts(ledger) == [
        ("restock", "1 complaint about 1,000 mails of the last 7 days (0.10 %)"),  # 0.1 %: a warning
        ("winback", winback.reason),
    ]


def test_only_mail_of_the_last_seven_days_and_only_complaints_count(ledger):
    ended(ledger, range(3), days_ago=7.01)
    ended(ledger, range(3, 6), days_ago=6.99)
    ended(ledger, range(6, 8), state="refused")
    ended(ledger, [8], state="uncertain")
    ended(ledger, [9], channel="sms")
    ended(ledger, [10], channel="sms", state="refused")
    complain(ledger, 0, 3, 8)
    complain(ledger, 4, reason="bounced")
    complain(ledger, 5, reason="unsubscribed")
    assert ledger.standings(NOON) == [Standing("winback", sent=3, refused=2, bounced=1, complaints=2)]


def test_who_unsubscribed_and_complained_has_complained_and_nobody_has_twice(ledger):
    ended(ledger, range(9))
    complain(ledger, 0, 1, reason="unsubscribed")
    complain(ledger, 2)
    said: list[tuple[int, str, str | None, bool]] = [
        (0, "complaint", None, True),
        (2, "complaint", None, True),
        (3, "complaint", None, False),
    ]
    said += [(4, "bounce", "hard", True), (5, "bounce", "soft", True), (6, "bounce", "hard", False)]
    rows = [
        {"digest": str(n), "kind": kind, "severity": severity, "send_id": send_id_of(n), "is_proven": proven}
        | {"received_at": NOON, "taken_at": NOON}
        for n, kind, severity, proven in said
    ]
    with ledger._engine.begin() as connection:
        connection.execute(insert(notices), rows)
    assert ledger.standings(NOON) == [Standing("winback", sent=9, refused=0, bounced=1, complaints=2)]


def test_a_warning_is_given_once_a_day(ledger, clock):
    ended(ledger, range(1000))
    complain(ledger, 1)
    breaker = Breaker(ledger)
    for _ in range(4):
        breaker.check()
        clock.move(timedelta(hours=11))
    assert len(alerts(ledger)) == 2
    assert paused(ledger) == []


def test_it_looks_once_a_minute(ledger, clock):
    breaker = Breaker(ledger)
    breaker.check()
    ended(ledger, range(100))
    complain(ledger, 1, 2, 3)
    clock.move(timedelta(seconds=59))
    breaker.check()
    assert paused(ledger) == []
    clock.move(timedelta(seconds=1))
    breaker.check()
    assert paused(ledger) == ["winback"]


def test_after_a_person_resumed_it_a_campaign_is_counted_anew(ledger, clock):
    ended(ledger, range(100))
    complain(ledger, 1, 2, 3)
    Breaker(ledger).check()
    clock.move(timedelta(hours=1))
    ledger.resume("winback", actor="ada")
    Breaker(ledger).check()
    assert paused(ledger) == []
    ended(ledger, range(100, 200), days_ago=-0.5)
    complain(ledger, 101, 102, 103)
    clock.move(A_DAY)
    Breaker(ledger).check()
    assert paused(ledger) == ["winback"]


def test_a_batch_that_servers_refuse_stops_at_its_next_look_and_what_is_left_stays_planned(
    ledger, clock, tmp_path
):
    ledger.enqueue([planned(number) for number in range(600)], {})
    outbox = Outbox(DeliveryRefused("RCPT: 550 5.1.1 unknown", is_about_person=True))
    outbox.before = lambda recipient: clock.move(timedelta(seconds=3))
    with ledger.sender(tmp_path / "lock"):
        counts = send_batch(ledger, outbox, message_of, pause_after_errors=1000)
    assert paused(ledger) == ["winback"]
    assert 20 <= counts[SendState.REFUSED] < 600
    assert ledger.due_count() == 0
