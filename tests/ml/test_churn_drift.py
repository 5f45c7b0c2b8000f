"""Simulated shops in which nothing changes but what always does, and then one thing does."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from expectations.drift import population_stability_index
from ml.churn.drift import SCORE, WORTH_A_LOOK, Reference, stability_index

FIRST = date(2017, 6, 5)
DAYS = [FIRST + timedelta(days=14 * number) for number in range(10)]
TODAY = DAYS[-1] + timedelta(days=28)
QUIET_SHOPS = 40


def customers(rng, day, count):
    """Draw a day of a shop that does not change, but for the tenure, which grows."""
    rate = rng.gamma(2.0, 1.0, count)
    return pd.DataFrame(
        {
            "orders_30d_count": rng.poisson(2 * rate).astype(float),
            "basket_mean_cents": rng.lognormal(7.0, 0.8, count),
            "weekend_share": rng.beta(2.0, 5.0, count),
            "gap_mean_days": np.where(rng.random(count) < 0.2, np.nan, rng.exponential(20.0, count)),
            "usual_hour": rng.integers(8, 22, count).astype(float),
            "own_brand_share": np.zeros(count),
            "tenure_days": (day - FIRST).days + rng.uniform(200.0, 400.0, count),
            SCORE: rng.beta(1.0, 1.0 + 2 * rate),
        }
    )


def shop(seed, count=500):
    """Return the reference of a quiet shop, and its customers four weeks after the newest cut-off."""
    rng = np.random.default_rng(seed)
    columns = pd.concat([customers(rng, day, count) for day in DAYS], ignore_index=True)
    cutoffs = np.repeat(np.array(DAYS, dtype="datetime64[D]"), count)
    reference = Reference.of(columns, cutoffs, horizon_days=28, seed=1)
    assert reference is not None
    return reference, customers(rng, TODAY, count)


def alerts(reference, columns):
    return [(each.feature, each.measure) for each in reference.shifts(columns) if each.is_alert]


@pytest.mark.parametrize("count", [60, 500])
def test_in_quiet_weeks_at_most_one_day_in_twenty_raises_an_alert(count):
    quiet = [alerts(*shop(seed, count)) for seed in range(QUIET_SHOPS)]
    assert sum(bool(found) for found in quiet) <= QUIET_SHOPS / 20, quiet


def test_a_feature_that_moves_is_named_and_the_others_are_not():
    reference, today = shop(3)
    moved = today.assign(basket_mean_cents=today["basket_mean_cents"] * 1.6)
    assert alerts(reference, today) == []
    assert alerts(reference, moved) == [("basket_mean_cents", "psi")]


def test_a_feature_that_was_the_same_for_everybody_is_named_whether_it_rises_or_falls():
    reference, today = shop(4)
    for value in (-0.5, 0.5):
        assert alerts(reference, today.assign(own_brand_share=value)) == [("own_brand_share", "psi")]


def test_a_feature_that_falls_silent_is_named():
    reference, today = shop(4)
    assert alerts(reference, today.assign(weekend_share=np.nan)) == [("weekend_share", "psi")]


def test_a_score_that_doubles_is_named_by_its_distribution_and_its_mean():
    reference, today = shop(5)
    found = alerts(reference, today.assign(**{SCORE: np.minimum(today[SCORE] * 2.0, 1.0)}))
    assert sorted(found) == [(SCORE, "mean_shift"), (SCORE, "psi")]


def test_a_feature_that_grows_by_itself_has_a_wider_bound_than_one_that_does_not():
    reference, _ = shop(6, 5_000)
    assert reference.bounds["tenure_days"] > 5 * reference.bounds["usual_hour"]
    assert reference.bounds["usual_hour"] == WORTH_A_LOOK


def test_fewer_customers_have_wider_bounds():
    few, many = (shop(7, count)[0].bounds for count in (60, 5_000))
    assert all(few[name] > many[name] for name in few if name not in ("own_brand_share", "tenure_days"))


def test_a_reference_comes_back_from_json_as_it_went_in():
    reference, today = shop(8)
    assert Reference.from_json(reference.to_json()).shifts(today) == reference.shifts(today)


def test_cut_offs_less_than_a_horizon_apart_tell_nothing_of_quiet_weeks():
    rng = np.random.default_rng(9)
    columns = pd.concat([customers(rng, day, 50) for day in DAYS[:2]], ignore_index=True)
    cutoffs = np.repeat(np.array(DAYS[:2], dtype="datetime64[D]"), 50)
    assert Reference.of(columns, cutoffs, horizon_days=28, seed=1) is None


def test_the_index_is_that_of_the_gate_on_features():
    before, now = [120, 0, 80, 40], [90, 30, 100, 2]
    expected = population_stability_index(before, now)
    assert stability_index(np.array(before), np.array(now)) == pytest.approx(expected)
