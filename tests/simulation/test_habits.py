"""The truth that `simulation.habits` states, recovered from what its readers would do."""

import pytest

from simulation.habits import Habits

READERS = [f"reader.{number}@example.com" for number in range(4000)]


def share_who_open(habits: Habits, readers: list[str], campaign_id: str) -> float:
    opened = [
        habits.draw("open", f"<{campaign_id}.{reader}>") < habits.open_chance(reader, campaign_id)
        for reader in readers
    ]
    return sum(opened) / len(opened)


def test_draws_are_spread_evenly_between_zero_and_one():
    draws = sorted(Habits().draw("x", str(number)) for number in range(4000))
    assert draws[0] >= 0
    assert draws[-1] < 1
    # Kolmogorov-Smirnov: 1.95 / sqrt(n) is passed once in a thousand seeds.
    assert max(abs(draw - place / 4000) for place, draw in enumerate(draws)) < 1.95 / 4000**0.5


def test_opens_average_the_share_given_times_the_appeal_of_the_campaign():
    habits = Habits(open_share=0.5)
    for campaign_id in ("winback", "picked_for_you", "restock"):
        expected = 0.5 * habits.appeal(campaign_id)
        # Four standard errors of a share of 0.5 among 4,000.
        assert share_who_open(habits, READERS, campaign_id) == pytest.approx(
            expected, abs=4 * 0.5 / 4000**0.5
        )


def test_readers_with_more_taste_for_mail_open_more_and_leave_less():
    habits = Habits()
    ranked = sorted(READERS, key=habits.taste)
    cold, warm = ranked[:1000], ranked[-1000:]
    assert share_who_open(habits, warm, "winback") > 1.5 * share_who_open(habits, cold, "winback")
    assert max(map(habits.unsubscribe_chance, warm)) < min(map(habits.unsubscribe_chance, cold))


def test_taste_is_of_the_person_not_of_the_spelling():
    assert Habits().taste("Reader.1@example.com ") == Habits().taste("reader.1@example.com")


def test_truth_of_a_seed_never_changes():
    # printf '7|x' | sha256sum begins with 73342ba5fbce: as a fraction of 2**48.
    assert Habits(seed=7).draw("x") == pytest.approx(0.4500148086770466, abs=1e-15)
