"""What the warehouse may know of the ledger: as it was when the day began, and no address."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from campaigns.ledger import Outcome, SendState
from campaigns.outcomes import publish_ledger_state, publish_outcomes
from campaigns.sends import Decision
from core.pseudonyms import pseudonym
from core.published import Published
from tests.faults.ledger_kit import (
    DAY,
    NOON,
    MovableClock,
    decision,
    ledger_at,
    pauses,
    planned,
    send_id_of,
    started,
)

A_DAY = timedelta(days=1)


def test_published_outcomes_tell_every_send_of_the_day_and_no_address(settings, tmp_path):
    ledger = ledger_at(settings.ledger)
    ledger.enqueue([planned(number) for number in range(3)], {})
    with ledger.sender(tmp_path / "lock"):
        ledger.finish([Outcome(started(ledger), SendState.SENT, "250 ok")])
        assert publish_outcomes(settings, DAY) == 3
    table = Published(settings.published).read("send_outcomes", DAY)
    rows = table.to_pylist()
    assert [row["send_id"] for row in rows] == sorted(send_id_of(number) for number in range(3))
    assert {row["customer_id"]: (row["state"], row["ended_at"]) for row in rows} == {
        "c0": ("sent", NOON.replace(tzinfo=None)),
        "c1": ("claimed", None),
        "c2": ("claimed", None),
    }
    assert b"example.com" not in Published(settings.published).path("send_outcomes", DAY).read_bytes()


def test_planning_a_day_again_sees_the_ledger_as_it_was_when_the_day_began(settings, tmp_path):
    clock = MovableClock()
    ledger = ledger_at(settings.ledger, clock)
    ledger.enqueue([planned(0)], {})
    ledger.suppress("c1", "p1", "unsubscribed")
    tomorrow = date(2026, 3, 3)
    publish_ledger_state(settings, tomorrow, {})
    files = [
        Published(settings.published).path(name, tomorrow) for name in ("ledger_suppressions", "ledger_sends")
    ]
    first = [file.read_bytes() for file in files]
    assert Published(settings.published).read("ledger_suppressions", tomorrow).to_pylist() == [
        {"customer_id": "c1", "reason": "unsubscribed", "suppressed_at": NOON.replace(tzinfo=None)}
    ]
    assert Published(settings.published).read("ledger_sends", tomorrow).to_pylist() == [
        {
            "send_id": send_id_of(0),
            "customer_id": "c0",
            "campaign_id": "winback",
            "step": 1,
            "as_of_date": DAY,
        }
    ]

    clock.move(timedelta(days=1))  # now tomorrow itself is sent, refused and unsubscribed from
    ledger.enqueue([planned(0, day=tomorrow)], {})
    ledger.suppress("c2", "p2", "unsubscribed")
    with ledger.sender(tmp_path / "lock"):
        ledger.finish([Outcome(started(ledger), SendState.REFUSED, "550 no")])
    publish_ledger_state(settings, tomorrow, {})
    assert [file.read_bytes() for file in files] == first


def test_the_plan_knows_what_readers_had_chosen_when_the_day_began(settings):
    begin = datetime(2026, 3, 3, tzinfo=UTC)
    earlier, just_before = begin - A_DAY, begin - timedelta(microseconds=1)
    ledger = ledger_at(settings.ledger, MovableClock())
    of_c2 = Decision("c2", "alerts", False, "preferences", earlier, begin)  # known too late
    again = Decision("c1", "offers", True, "preferences", just_before, just_before)
    both = [replace(again, customer_id="c3", is_given=is_given) for is_given in (True, False)]
    off = [
        replace(again, decided_at=earlier, known_at=earlier, is_given=False, purpose=kind)
        for kind in ("offers", "reminders")
    ]
    ledger.record_decisions([again, *off, of_c2, *both, decision(4, False)])
    with ledger._engine.begin() as connection:
        for moment, pause, locale in (
            (earlier, begin, "de"),
            (just_before, None, "ja"),
            (begin, begin, "ar"),
        ):
            connection.execute(pauses("c5", pause, moment).values(paused_until=pause, locale=locale))
            connection.execute(pauses("c6", begin, begin).values(paused_until=begin))
        connection.execute(pauses("c7", begin, earlier).values(paused_until=begin, mails_per_week=1))
    publish_ledger_state(settings, begin.date(), {})
    rows = Published(settings.published).read("ledger_preferences", begin.date()).to_pylist()
    nothing = {"mails_per_week": None, "paused_until": None, "locale": None}
    at_begin = {"mails_per_week": 1, "paused_until": begin.replace(tzinfo=None), "locale": None}
    assert rows == [
        {"customer_id": "c1", "kinds_off": ["reminders"], **nothing},
        {"customer_id": "c3", "kinds_off": ["offers"], **nothing},  # of two decisions at once, the no
        {"customer_id": "c5", "kinds_off": [], **nothing, "locale": "ja"},
        {"customer_id": "c7", "kinds_off": [], **at_begin},
    ]


def test_who_has_the_address_of_a_suppressed_person_is_published_as_suppressed_too(settings):
    gone, also_gone, kept = "gone@example.com", "Also.Gone@example.com", "kept@example.com"
    first, second = NOON, NOON + timedelta(hours=1)
    for moment, customer_id, address in (
        (second, "c1", gone),
        (first, "c9", gone),
        (second, "c5", also_gone),
    ):
        ledger = ledger_at(settings.ledger, MovableClock(moment))
        assert ledger.suppress(customer_id, pseudonym(address, settings.token_key), f"of {customer_id}")
    # c1 has moved to an address of its own and stays suppressed; c2 and c3 were never asked.
    addresses = {"c1": kept, "c2": "GONE@example.com ", "c3": also_gone.lower(), "c4": "other@example.com"}
    publish_ledger_state(settings, date(2026, 3, 3), addresses)
    rows = Published(settings.published).read("ledger_suppressions", date(2026, 3, 3)).to_pylist()
    assert [(row["customer_id"], row["reason"], row["suppressed_at"]) for row in rows] == [
        ("c1", "of c1", second.replace(tzinfo=None)),
        ("c2", "of c9", first.replace(tzinfo=None)),  # of the two at that address, the first to go
        ("c3", "of c5", second.replace(tzinfo=None)),
        ("c5", "of c5", second.replace(tzinfo=None)),
        ("c9", "of c9", first.replace(tzinfo=None)),
    ]
    publish_ledger_state(settings, DAY, addresses)  # nobody was suppressed before this day began
    assert Published(settings.published).read("ledger_suppressions", DAY).num_rows == 0
