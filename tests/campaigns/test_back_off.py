"""Deferred mail comes back later each time, not all at once, and at the same moment whoever computes it."""

from datetime import timedelta

import pytest

from campaigns.back_off import next_try
from tests.faults.ledger_kit import NOON, send_id_of


@pytest.mark.parametrize(
    ("attempt", "least_minutes"), [(1, 30), (2, 60), (3, 120), (4, 240), (5, 240), (40, 240)]
)
def test_a_retry_waits_for_its_delay_or_up_to_twice_as_long_and_a_thousand_are_spread_evenly(
    attempt, least_minutes
):
    least = timedelta(minutes=least_minutes)
    delays = [next_try(send_id_of(number), attempt, NOON) - NOON for number in range(1000)]
    assert all(least <= delay < 2 * least for delay in delays)
    quarters = [sum(delay < least * (1 + share / 4) for delay in delays) for share in (1, 2, 3)]
    assert quarters == pytest.approx([250, 500, 750], abs=60)  # 4 standard deviations: 2 * sqrt(1000) = 63


def test_the_same_attempt_of_the_same_send_is_due_at_the_same_moment_and_another_is_not():
    assert next_try("a" * 32, 1, NOON) == next_try("a" * 32, 1, NOON)
    assert next_try("a" * 32, 1, NOON) != next_try("b" * 32, 1, NOON)
    delays = [next_try("a" * 32, attempt, NOON) - NOON for attempt in (1, 2)]
    assert delays[1] / delays[0] != pytest.approx(2)
