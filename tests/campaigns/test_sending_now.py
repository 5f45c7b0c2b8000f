"""What `send status` and the page of sends tell about this moment, by a ledger whose numbers were counted by hand."""

from dataclasses import asdict
from datetime import timedelta

import pytest
from sqlalchemy import insert

from campaigns.sending_now import sending_now
from campaigns.sends import SendState
from core.ledger_tables import sends
from tests.faults.ledger_kit import DAY, NOON, MovableClock, ledger_at, planned, send_id_of

A_SECOND = timedelta(seconds=1)


@pytest.fixture
def ledger(ledger_url):
    """120 sent to example.com in the last minute, 2 before it; 6 due, of which 2 paused; 1 not due yet; 4 refused."""
    ledger = ledger_at(ledger_url, MovableClock())
    ended = [("sent", n, 30) for n in range(120)] + [("sent", n, 61) for n in (120, 121)]
    refused = [
        (122, "5.1.1 <a> unknown", 5),
        (123, "5.1.1 <b> unknown", 5),
        (124, "no", 5),
        (125, "no", 86_401),
    ]
    rows = [
        asdict(planned(n)) | {"state": state, "ended_at": NOON - seconds * A_SECOND, "reply": "250 ok"}
        for state, n, seconds in ended
    ] + [
        asdict(planned(n)) | {"state": "refused", "ended_at": NOON - seconds * A_SECOND, "reply": f"RCPT: 550 {words}"}
        for n, words, seconds in refused
    ]  # fmt: skip
    more = {"domain": "example.com", "due_at": NOON, "attempts": 1}
    with ledger._engine.begin() as connection:
        connection.execute(insert(sends), [row | more for row in rows])
    ledger.enqueue([planned(n) for n in range(200, 204)], {})
    ledger.enqueue([planned(n, domain="gmail.com") for n in (204, 205)], {})
    ledger.enqueue([planned(206, send_at=NOON + A_SECOND)], {})
    ledger.suppress("c1", "p1", "complained", send_id_of(1))
    ledger.pause("@gmail.com", actor="sender", reason="550 5.7.1", lasts=timedelta(hours=1))
    ledger.pause("@gone.example", actor="sender", reason="over", lasts=timedelta(0))
    return ledger


def test_a_look_counts_what_a_person_would(ledger, settings, tmp_path):
    limited = settings.model_copy(
        update={"send_rate": 2.5, "domain_rates": "gmail.com=1", "warm_up_from": DAY - timedelta(1)}
    )
    with ledger.sender(tmp_path / "lock"):
        found = sending_now(ledger, limited, NOON)
    assert (found.day, found.sent_last_minute, found.may_go) == (DAY, 120, 4)
    assert found.states == {SendState.PLANNED: 7, SendState.SENT: 122, SendState.REFUSED: 4}
    assert found.time_left == 2 * A_SECOND  # 4 mails at 2 a second
    assert [(refusal.codes, refusal.count) for refusal in found.refusals] == [("550 5.1.1", 2), ("550", 1)]
    told = list(found.lines())
    assert told[0] == "paused since 2026-03-02 12:00 until 2026-03-02 13:00 UTC: @gmail.com (550 5.7.1)"
    assert told[1].startswith("sending since 2026-03-02 12:00 UTC: ")
    assert told[2:] == [
        "120 sent in the last minute; 4 more may go now, about 0:00:02 left",
        "limited to 2.5 a second: all mail",
        "limited to 1 a second: gmail.com",
        "warm-up: 122 of today's 75 mails are used",
        "winback: alert, 1 complaint about 122 mails of the last 7 days (0.82 %), 3.2 % refused",
    ]


def test_an_empty_ledger_has_nothing_to_tell(ledger_url, settings):
    found = sending_now(ledger_at(ledger_url), settings, NOON)
    assert (found.day, found.time_left, list(found.lines())) == (None, None, [])
