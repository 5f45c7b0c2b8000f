"""Rates and the warm-up: what senders together may claim in any stretch of time, and that they wait for the rest."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from campaigns.dispatch import send_batch
from campaigns.ledger import Handover, Ledger, Outcome, SendState
from campaigns.limits import Limits, WarmUp
from campaigns.mailers import ServerUnreachable
from core.errors import SendingPaused
from core.ledger_tables import open_ledger
from tests.campaigns.test_dispatch import Outbox
from tests.faults.ledger_kit import DAY, NOON, MovableClock, ledger_at, message_of, planned
from tests.faults.postgresql import new_database

A_SECOND = timedelta(seconds=1)


class Passing(MovableClock):
    """A clock that whoever sleeps moves."""

    def sleep(self, seconds: float) -> None:
        self.move(timedelta(seconds=seconds))


def limited(url, clock, rates, warm_up=None):
    ledger_at(url, clock)
    return Ledger(open_ledger(url), clock, Limits(rates, warm_up, sleep=clock.sleep))


def two_kinds(gmail, others):
    """Planned sends to gmail.com, c0 on, and to example.com."""
    return [planned(number, domain="Gmail.com") for number in range(gmail)] + [
        planned(number) for number in range(gmail, gmail + others)
    ]


RATES = st.sampled_from([0.1, 0.5, 1, 3, 7.5, 40])


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    gmail_rate=RATES,
    overall_rate=RATES | st.none(),
    steps=st.lists(
        st.tuples(st.integers(0, 1), st.integers(1, 60), st.integers(0, 3_000_000)), min_size=1, max_size=25
    ),
)
def test_in_no_stretch_of_time_do_two_senders_take_more_than_the_rate_and_a_burst(
    gmail_rate, overall_rate, steps, tmp_path_factory
):
    folder, clock = tmp_path_factory.mktemp("rates"), Passing()
    url = f"sqlite:///{folder / 'ledger.sqlite'}"
    rates = {"gmail.com": gmail_rate} | ({"*": overall_rate} if overall_rate else {})
    senders = [limited(url, clock, rates) for _ in range(2)]
    senders[0].enqueue(two_kinds(60, 40), {})
    taken = []
    with ExitStack() as stack:
        for number, ledger in enumerate(senders):
            stack.enter_context(ledger.sender(folder / f"lock {number}"))
        for who, most, microseconds in steps:
            taken += [(clock.now, send.domain) for send in senders[who].claim(most).sends]
            clock.move(timedelta(microseconds=microseconds))
    for subject, rate in rates.items():
        moments = [moment for moment, domain in taken if subject in ("*", domain)]
        burst = max(1, int(rate))  # a second's worth
        for begin in moments:
            for end in (moment for moment in moments if moment >= begin):
                allowed = Fraction((end - begin) // timedelta(microseconds=1), 10**6) * Fraction(rate) + burst
                assert sum(begin <= moment <= end for moment in moments) <= allowed


@pytest.mark.parametrize(
    ("rates", "seconds"),
    [
        ({"gmail.com": 2}, 9),  # 2 at once, then 18 more at 2 a second
        ({"*": 4}, 9),  # 4 at once, then 36 more at 4 a second
        ({"gmail.com": 2, "*": 100}, 9),
        ({"gmail.com": 0.25}, 76),
        ({}, 0),
    ],
)
def test_a_batch_waits_for_the_rates_and_takes_no_longer_than_they_ask(tmp_path, ledger_url, rates, seconds):
    clock = Passing()
    ledger = limited(ledger_url, clock, rates)
    ledger.enqueue(two_kinds(20, 20), {})
    moments: dict[str, list[datetime]] = {"gmail.com": [], "example.com": []}
    outbox = Outbox("250 ok")
    outbox.before = lambda recipient: moments[recipient.lower().partition("@")[2]].append(clock.now)
    with ledger.sender(tmp_path / "lock"):
        assert send_batch(ledger, outbox, message_of, pause_after_errors=3) == {SendState.SENT: 40}
    assert seconds <= (clock.now - NOON).total_seconds() <= seconds + 1
    if "gmail.com" in rates:
        assert len(moments["gmail.com"]) == 20
        assert moments["example.com"] == [NOON] * 20  # nobody else waits for it


def test_who_is_stopped_while_waiting_leaves_the_rest_planned(tmp_path):
    def stop(seconds):
        raise KeyboardInterrupt

    ledger = ledger_at(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    ledger.limits = Limits({"*": 1}, sleep=stop)
    ledger.enqueue(two_kinds(0, 3), {})
    with ledger.sender(tmp_path / "lock"), pytest.raises(KeyboardInterrupt):
        send_batch(ledger, Outbox("250 ok"), message_of, pause_after_errors=3)
    assert ledger.states(DAY) == {SendState.SENT: 1, SendState.PLANNED: 2}


def test_a_rate_that_lay_idle_has_saved_up_one_burst_and_no_more(tmp_path, ledger_url):
    clock = Passing()
    ledger = limited(ledger_url, clock, {"gmail.com": 3})
    ledger.enqueue(two_kinds(30, 0), {})
    with ledger.sender(tmp_path / "lock"):
        assert [len(ledger.claim(10).sends) for _ in range(2)] == [3, 0]
        clock.move(10 * A_SECOND)
        assert [len(ledger.claim(10).sends) for _ in range(3)] == [3, 0, 0]


def test_what_is_paused_or_not_due_is_not_waited_for(tmp_path, ledger_url):
    ledger = limited(ledger_url, Passing(), {"gmail.com": 1})
    ledger.enqueue([*two_kinds(3, 0), planned(9, send_at=NOON + A_SECOND)], {})
    with ledger.sender(tmp_path / "lock"):
        assert len(ledger.claim(10).sends) == 1
        assert ledger.claim(10).wait == A_SECOND
        ledger.pause("@gmail.com", actor="ada", reason="they complain")
        assert ledger.claim(10).wait is None
        assert ledger.due_count() == 0


@pytest.mark.needs("postgresql")
@pytest.mark.parametrize(
    "limits",
    [
        pytest.param(({"gmail.com": 7}, None), id="rate"),
        pytest.param(({}, WarmUp(DAY, 7)), id="warm-up"),
        pytest.param(({"*": 7}, WarmUp(DAY, 50)), id="both"),
    ],
)
def test_senders_that_claim_at_the_same_moment_take_no_more_than_one_would(postgresql, tmp_path, limits):
    url, clock = new_database(postgresql), Passing()
    ledgers = [limited(url, clock, *limits) for _ in range(4)]
    ledgers[0].enqueue(two_kinds(60, 0), {})
    with ExitStack() as stack:
        for ledger in ledgers:
            stack.enter_context(ledger.sender(tmp_path / "lock"))
        with ThreadPoolExecutor(4) as threads:
            claims = threads.map(lambda ledger: [len(ledger.claim(2).sends) for _ in range(5)], ledgers)
            assert sum(map(sum, claims)) == 7


# Warm-up


def test_a_warm_up_grows_by_half_a_day_and_what_does_not_fit_waits(tmp_path, ledger_url):
    clock = Passing(datetime(2026, 3, 2, 23, 59, tzinfo=UTC))
    ledger = limited(ledger_url, clock, {}, WarmUp(DAY, 4))
    ledger.enqueue([planned(number) for number in range(20)], {})
    with ledger.sender(tmp_path / "lock"):
        assert send_batch(ledger, Outbox("250 ok"), message_of, pause_after_errors=3) == {SendState.SENT: 4}
        assert send_batch(ledger, Outbox("250 ok"), message_of, pause_after_errors=3) == {}
        clock.move(timedelta(minutes=1))  # midnight: 4 and half as many
        assert send_batch(ledger, Outbox("250 ok"), message_of, pause_after_errors=3) == {SendState.SENT: 6}
        clock.move(timedelta(days=1))
        assert ledger.expire(timedelta(days=1)) == 10  # what waits too long expires as usual


def test_a_server_that_is_down_uses_nothing_of_a_warm_up(tmp_path, ledger_url):
    ledger = limited(ledger_url, Passing(), {}, WarmUp(DAY, 5))
    ledger.enqueue([planned(number) for number in range(9)], {})
    with ledger.sender(tmp_path / "lock"):
        for _ in range(3):
            with pytest.raises(SendingPaused):
                send_batch(ledger, Outbox(ServerUnreachable("down")), message_of, pause_after_errors=3)
        assert send_batch(ledger, Outbox("250 ok"), message_of, pause_after_errors=3) == {SendState.SENT: 5}


def test_a_warm_up_counts_what_is_on_the_way(tmp_path, ledger_url):
    ledger = limited(ledger_url, Passing(), {}, WarmUp(DAY, 5))
    ledger.enqueue([planned(number) for number in range(9)], {})
    with ledger.sender(tmp_path / "lock"):
        first = ledger.claim(3).sends
        assert len(ledger.claim(9).sends) == 2
        ledger.start([(send, Handover("mail.example:25", "<m@x>", "0" * 64)) for send in first])
        assert ledger.claim(9).sends == []
        ledger.finish([Outcome(first[0], SendState.REFUSED, "550 no"), *sent(first[1:])])
        assert len(ledger.claim(9).sends) == 1  # who was refused got nothing


def test_what_goes_by_other_channels_uses_nothing_of_a_warm_up(tmp_path, ledger_url):
    ledger = limited(ledger_url, Passing(), {}, WarmUp(DAY, 2))
    messages = [replace(planned(number), channel="sms", address="") for number in range(3)]
    ledger.enqueue([*messages, planned(7), planned(8), planned(9)], {})
    with ledger.sender(tmp_path / "lock"):
        assert len(ledger.claim(9, is_mail=False).sends) == 3
        assert len(ledger.claim(9).sends) == 2


def sent(some):
    return [Outcome(send, SendState.SENT, "250 ok") for send in some]


def test_the_days_of_a_warm_up_are_those_of_the_runbook():
    """50 mails, half as many again each day: 50 x 1.5^14 is about 14,600 after two weeks, 9.6 million after 30 days."""
    warm_up = WarmUp(date(2026, 3, 1), 50)
    days = Counter(
        {day: warm_up.mails_of(date(2026, 3, 1) + timedelta(day)) for day in (-5, 0, 1, 2, 14, 30)}
    )
    assert days == {-5: 50, 0: 50, 1: 75, 2: 112, 14: 14_596, 30: 9_587_552}
    assert warm_up.mails_of(date(2060, 1, 1)) > 10**9
