"""The oracle of the simulated shop: held against customers who are drawn one by one as the shop draws them."""

import numpy as np
import pytest

from simulation.oracle import chance_to_lapse

DAYS, SEEN, HORIZON = 120, 90, 28


@pytest.fixture(scope="module")
def drawn():
    """Return days with an order before day `SEEN`, the last of them, and whether none came in the horizon after it."""
    chance, customers = np.random.default_rng(3), 200_000
    gap = chance.uniform(4, 40, customers)
    leaves = np.where(chance.random(customers) < 0.5, DAYS + HORIZON, chance.integers(1, DAYS + 1, customers))
    days = np.arange(SEEN + HORIZON)
    orders = (chance.random((customers, len(days))) < 1 / gap[:, None]) & (days < leaves[:, None])
    seen, ahead = orders[:, :SEEN], orders[:, SEEN:]
    came = seen.any(axis=1)
    last = SEEN - 1 - seen[:, ::-1].argmax(axis=1)
    return seen.sum(axis=1)[came], last[came], ~ahead.any(axis=1)[came]


def test_of_those_given_a_chance_so_many_lapse(drawn):
    count, last, lapsed = drawn
    said = chance_to_lapse(count, last, seen=SEEN, horizon=HORIZON, days=DAYS)
    for tenth in np.array_split(np.argsort(said, kind="stable"), 10):
        error = np.sqrt(0.25 / len(tenth))
        assert said[tenth].mean() == pytest.approx(lapsed[tenth].mean(), abs=4 * error)


def test_it_knows_more_than_how_long_ago_the_last_order_was(drawn):
    count, last, lapsed = drawn
    said = chance_to_lapse(count, last, seen=SEEN, horizon=HORIZON, days=DAYS)
    often, seldom = (count >= 12) & (last == 85), (count <= 2) & (last == 85)
    assert said[often].mean() - said[seldom].mean() == pytest.approx(
        lapsed[often].mean() - lapsed[seldom].mean(), abs=0.05
    )
    assert lapsed[often].mean() < lapsed[seldom].mean() - 0.1


def test_a_history_of_two_days_gives_what_bayes_rule_gives_by_hand():
    """Nothing on day 0, an order on day 1, in a shop of two days: left on day 2, a chance of 1/4, or stays, 1/2.

    Over gaps g from 4 to 40 the means of 1/g, 1/g^2 and 1/g^3 are ln(10)/36, (1/4 - 1/40)/36 and (1/16 - 1/1600)/72.
    """
    once, twice, thrice = np.log(10) / 36, (1 / 4 - 1 / 40) / 36, (1 / 16 - 1 / 1600) / 72
    silent = (once - 2 * twice + thrice) / (once - twice)  # of q (1 - q): what a miss and an order leave
    expected = (1 / 4 + silent / 2) / (3 / 4)
    said = chance_to_lapse(np.array([1]), np.array([1]), seen=2, horizon=1, days=2)
    assert said == pytest.approx([expected], abs=1e-4)
