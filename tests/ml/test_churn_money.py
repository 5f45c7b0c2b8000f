"""Treating by money, against outcomes counted one by one, closed forms, and simulated shops whose truth is known."""

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest

from benchmarks.churn_profit import MONEY, SHOPS, judge, wins
from ml.churn.models import churn_bands
from ml.churn.money import (
    PRIOR_STRENGTH,
    Experiment,
    Terms,
    best_customers,
    best_threshold,
    break_even,
    chance_to_keep,
    expected_profit,
    mean_stake,
    profit_curve,
    value_at_stake,
)
from ml.churn.profit import BEST, OWN, Stakes, profit_drawings, profit_figures, thresholds
from ml.lifetime.bg_nbd import BgNbd, Histories
from simulation.treatments import Habits, simulate_treatments

TERMS = Terms(margin_share=0.25, incentive_cents=300, contact_cents=10, chance=0.2)
HABITS = Habits((0.9, 22.0, 0.5, 3.0), (6.0, 4.0, 1500.0), kept_chance=0.3)


@pytest.fixture(scope="module")
def stakes():
    """Customers whose probabilities are right, and half as likely to lapse the more there is at stake."""
    chance = np.random.default_rng(4)
    probability = chance.uniform(0, 1, 4_000)
    stake = chance.gamma(2.0, 2_000.0, 4_000) * (1.5 - probability)
    return Stakes(chance.random(4_000) < probability, probability, stake)


@pytest.mark.parametrize(("probability", "stake"), list(product((0.0, 0.3, 1.0), (0.0, 200.0, 9_000.0))))
def test_expected_profit_is_the_mean_over_what_can_happen(probability, stake):
    """Would have bought; would lapse and is kept; would lapse and is not."""
    outcomes = [
        (1 - probability, -300 - 10),
        (probability * 0.2, stake - 300 - 10),
        (probability * 0.8, -10),
    ]
    assert sum(chance for chance, _ in outcomes) == pytest.approx(1.0)
    expected = sum(chance * money for chance, money in outcomes)
    found = expected_profit(np.array([probability]), np.array([stake]), TERMS)
    assert found == pytest.approx([expected])


def test_treating_pays_from_the_break_even_on_and_not_before():
    pays_from = break_even(4_000.0, TERMS)
    around = np.array([pays_from - 1e-6, pays_from, pays_from + 1e-6])
    profit = expected_profit(around, np.full(3, 4_000.0), TERMS)
    assert profit[0] < -1e-5
    assert profit[1] == pytest.approx(0.0, abs=1e-9)
    assert profit[2] > 1e-5


def test_where_nothing_can_be_kept_treating_never_pays():
    assert break_even(0.0, TERMS) > 1.0
    assert break_even(1_000.0, replace(TERMS, incentive_cents=0, chance=0.0)) == np.inf
    assert break_even(1_000.0, replace(TERMS, incentive_cents=0, contact_cents=0)) == 0.0


def test_where_nobody_buys_without_it_the_chance_is_that_of_a_beta_prior_with_counts():
    """With b known to be 0 the posterior is beta (mean * strength + kept, … + not kept)."""
    shown = Experiment(assigned=200, treated=200, assigned_bought=60, held_out=10**6, held_out_bought=0)
    found = chance_to_keep(0.1, shown)
    assert found == pytest.approx((0.1 * PRIOR_STRENGTH + 60) / (PRIOR_STRENGTH + 200), abs=2e-3)


def test_few_customers_hardly_move_the_prior_and_many_replace_it():
    """The held-out buy in half of all cases; 6 in 10 of the treated do, so one in five was kept."""
    few, many = (
        chance_to_keep(0.1, Experiment(size, size, 6 * size // 10, size, size // 2)) for size in (10, 100_000)
    )
    assert 0.1 < few < 0.12
    assert many == pytest.approx(0.2, abs=0.005)
    assert chance_to_keep(0.1, Experiment(2_000, 2_000, 900, 2_000, 1_000)) < 0.03  # it seems to do harm


def test_what_a_person_kept_from_being_mailed_does_not_make_the_mails_look_weaker():
    """Mail keeps 3 in 10 would-be lapsers, half of all. Of the assigned, a person let the mail of one in four go."""
    size, mailed = 400_000, 100_000
    kept = mailed * 3 // 20
    shown = Experiment(size, mailed, size // 2 + kept, size, size // 2)
    assert chance_to_keep(0.1, shown) == pytest.approx(0.3, abs=0.01)


def test_what_is_at_stake_is_what_customers_spend_who_order_at_least_once():
    """Orders of Poisson customers counted over many horizons, those without an order left out."""
    chance = np.random.default_rng(1)
    counts = chance.poisson(0.4, 200_000)
    features = pd.DataFrame(
        {"spend_lifetime_cents": [8_000.0], "orders_lifetime_count": [4.0], "tenure_days": [280.0]}
    )
    expected = 0.25 * 2_000 * counts[counts > 0].mean()
    assert value_at_stake(features, 28, 0.25) == pytest.approx([expected], rel=0.005)


def test_refunds_are_no_debt_and_a_newcomer_is_one_horizon_old():
    features = pd.DataFrame(
        {
            "spend_lifetime_cents": [-500.0, 3_000.0, 3_000.0],
            "orders_lifetime_count": [2.0, 1.0, 1.0],
            "tenure_days": [90.0, 0.0, 28.0],
        }
    )
    refunded, today, older = value_at_stake(features, 28, 0.25)
    assert refunded == 0.0
    assert today == older == pytest.approx(750 / (1 - np.exp(-1)))


def test_the_best_threshold_is_the_best_of_all_that_could_be_tried(stakes):
    probability = stakes.probability.round(2)
    profit = stakes.realised(TERMS)
    earned = {each: profit[probability >= each].sum() for each in np.unique(probability)}
    assert best_threshold(probability, profit) == max(earned, key=lambda each: earned[each])
    assert best_threshold(probability, -np.ones(4_000)) == np.inf
    assert best_threshold(np.empty(0), np.empty(0)) == np.inf


def test_a_budget_goes_to_the_most_profit_and_never_to_a_loss(stakes):
    profit = stakes.expected(TERMS)
    best = best_customers(profit, 100)
    assert len(best) == 100
    assert profit[best].min() >= np.delete(profit, best).max()
    assert profit[best].sum() > profit[np.argsort(-stakes.probability)[:100]].sum()
    everybody = best_customers(profit, 4_000)
    assert set(everybody) == set(np.flatnonzero(profit > 0))
    assert profit_curve(profit, profit)[len(everybody)] == profit_curve(profit, profit).max()


def test_what_lapsers_put_at_stake_is_their_mean_and_not_everybodys(stakes):
    assert mean_stake(stakes.probability, stakes.stake_cents) == pytest.approx(
        stakes.stake_cents[stakes.truth].mean(), rel=0.05
    )
    assert stakes.stake_cents.mean() > 1.1 * stakes.stake_cents[stakes.truth].mean()
    assert mean_stake(np.zeros(2), np.ones(2)) == 0.0


def test_nobody_is_high_where_treating_never_pays():
    assert churn_bands(np.array([1.0, 0.4]), high_from=np.inf).to_pylist() == ["low", "low"]
    assert churn_bands(np.array([1.0, 0.4]), high_from=1.2).to_pylist() == ["medium", "low"]


def test_thresholds_know_nothing_of_the_folds_they_are_judged_on(stakes):
    half = slice(0, 2_000)
    early = Stakes(stakes.truth[half], stakes.probability[half], stakes.stake_cents[half])
    chosen = thresholds(early, TERMS)
    late = replace(stakes, truth=~stakes.truth)
    figures, turned = (profit_figures(chosen, judged, TERMS) for judged in (stakes, late))
    for name in chosen:
        assert figures[f"threshold/{name}"] == turned[f"threshold/{name}"]
    for name in (OWN, *chosen):
        expected, realised = (f"{kind}_profit_per_1000_cents/{name}" for kind in ("expected", "realised"))
        assert figures[expected] == turned[expected]
        assert figures[realised] != turned[realised]
        # The probabilities are right, so what was expected comes true: 4,000 customers, within four errors.
        error = 4 * (stakes.realised(TERMS) - stakes.expected(TERMS)).std() / np.sqrt(4_000)
        assert abs(figures[expected] - figures[realised]) < 1000 * error
    earned = {name: figures[f"realised_profit_per_1000_cents/{name}"] for name in (OWN, *chosen)}
    assert max(earned, key=lambda each: earned[each]) == OWN
    assert earned[BEST] > max(earned[name] for name in ("half", "best_f1", "everyone"))


def test_figures_are_drawn_even_where_treating_never_pays(stakes):
    dear = replace(TERMS, incentive_cents=10**6)
    drawn = profit_drawings(thresholds(stakes, dear), stakes, dear)
    assert sorted(drawn) == ["confusion", "gains", "lift", "profit"]
    confusion = drawn["confusion"].axes[0]
    counts = [text.get_text() for text in confusion.texts]
    assert counts == ["0", f"{stakes.truth.sum():,}", "0", f"{(~stakes.truth).sum():,}"]
    profit = drawn["profit"].axes[0]
    assert {line.get_label() for line in profit.lines} >= {OWN, BEST, "half", "best_f1", "everyone"}


def test_simulated_customers_lapse_as_bg_nbd_says_and_are_kept_with_the_stated_chance():
    shop = simulate_treatments(40_000, HABITS, seed=1, horizon_days=28, cutoffs=2)
    for past in shop.pasts:
        said = BgNbd(*HABITS.orders).no_order(Histories(past.repeats, past.last, past.age), 28.0)
        assert past.has_lapsed.mean() == pytest.approx(said.mean(), abs=0.01)
        assert (past.has_lapsed - said)[past.repeats > 3].mean() == pytest.approx(0.0, abs=0.01)
    lapsed = shop.pasts[-1].has_lapsed
    assert shop.is_kept[lapsed].mean() == pytest.approx(0.3, abs=0.01)
    assert not shop.is_kept[~lapsed].any()
    assert (shop.pasts[1].age == shop.pasts[0].age + 28).all()
    came_back = shop.pasts[1].repeats > shop.pasts[0].repeats
    assert (came_back == ~shop.pasts[0].has_lapsed).all()


def test_what_treating_brings_is_margin_of_the_kept_less_what_buyers_take():
    shop = simulate_treatments(2_000, HABITS, seed=2, horizon_days=28, cutoffs=1)
    gained = shop.gained_cents(margin_share=0.25, incentive_cents=300, contact_cents=10)
    lapsed, kept = shop.pasts[0].has_lapsed, shop.is_kept
    assert np.unique(gained[~lapsed]).tolist() == [-310.0]
    assert np.unique(gained[lapsed & ~kept]).tolist() == [-10.0]
    assert gained[kept] == pytest.approx(0.25 * shop.spent_if_kept_cents[kept] - 310)
    # On the spot one order of 6 * 1500 / 3 cents, and more at the rate of those who lapse.
    assert shop.spent_if_kept_cents.min() > 0
    assert shop.spent_if_kept_cents.mean() > 3_000


@pytest.mark.parametrize("shop", SHOPS, ids=lambda shop: shop.name)
def test_treating_by_expected_profit_earns_more_than_half_best_f1_and_everyone(shop):
    """Ten draws of a shop whose truth is known; `make bench-churn-profit` takes a hundred."""
    only = replace(shop, other_cents=())
    earned = pd.DataFrame([judge(only, 500 + seed)[0] for seed in range(10)])
    assert wins(earned, MONEY) >= 9
