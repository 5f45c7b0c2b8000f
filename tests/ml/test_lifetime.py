"""Lifetimes against published figures, against integrals, and against simulated customers whose truth is known."""

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import dblquad
from scipy.stats import beta, gamma

from ml.lifetime import bg_nbd, gamma_gamma
from ml.lifetime.bg_nbd import BgNbd, Histories
from ml.lifetime.fitting import ORDERS_PRIOR, SPENDING_PRIOR, Estimate, fit_bg_nbd, fit_gamma_gamma
from ml.lifetime.forecast import Lifetime, no_order_bounds
from ml.lifetime.gamma_gamma import GammaGamma, Spending
from simulation.lifetimes import AMOUNTS, ORDERS, simulate_lifetimes
from tests.ml import cdnow

HORIZON = 180.0
TRUTH = BgNbd(*ORDERS)


@pytest.fixture(scope="module")
def published():
    found = cdnow.customers()
    assert len(found) == 2357
    return found


@pytest.fixture(scope="module")
def simulated():
    return simulate_lifetimes(20_000, seed=1, horizon_days=HORIZON)


def histories_of(drawn):
    return Histories(drawn.repeats, drawn.last, drawn.age)


def spending_of(drawn):
    return Spending(drawn.repeats + 1, drawn.mean_cents)


def lifetime_of(shop):
    return Lifetime(fit_bg_nbd(histories_of(shop)), fit_gamma_gamma(spending_of(shop)))


def cdnow_histories(published):
    return Histories(*(published[name].to_numpy(dtype=float) for name in ("x", "t_x", "T")))


def test_bg_nbd_on_cdnow_has_the_published_parameters_and_likelihood(published):
    """Fader, Hardie & Lee 2005, table 2."""
    seen = cdnow_histories(published)
    parameters = np.exp(fit_bg_nbd(seen, prior=None).logs)
    assert parameters == pytest.approx([0.243, 4.414, 0.793, 2.426], abs=5e-4)
    assert BgNbd(*parameters).log_likelihood(seen).sum() == pytest.approx(-9582.4, abs=0.05)


def test_orders_expected_on_cdnow_correlate_with_those_of_the_next_39_weeks_as_published(published):
    seen = cdnow_histories(published)
    expected = BgNbd(*np.exp(fit_bg_nbd(seen, prior=None).logs)).expected_orders(seen, 39.0)
    assert np.corrcoef(expected, published["ahead"])[0, 1] == pytest.approx(0.626, abs=5e-4)


def test_gamma_gamma_on_cdnow_has_the_published_parameters(published):
    """Fader & Hardie 2013: 946 customers with a repeat order give p 6.25, q 3.74 and gamma 15.44."""
    repeaters = published[published["x"] > 0]
    assert len(repeaters) == 946
    spent = Spending(repeaters["x"].to_numpy(dtype=float), repeaters["amount"].to_numpy())
    assert np.exp(fit_gamma_gamma(spent, prior=None).logs) == pytest.approx([6.25, 3.74, 15.44], abs=0.01)


@pytest.mark.parametrize(("x", "last", "age"), [(0, 0.0, 50.0), (2, 31.0, 50.0)])
def test_the_likelihood_is_the_integral_over_rates_and_chances_to_leave(x, last, age):
    """Equation 2 of the paper, integrated over both distributions by quadrature."""

    def individual(leaving, rate):
        stayed = (1 - leaving) ** x * rate**x * np.exp(-rate * age)
        left = leaving * (1 - leaving) ** (x - 1) * rate**x * np.exp(-rate * last) if x else 0.0
        weight = gamma.pdf(rate, TRUTH.r, scale=1 / TRUTH.alpha) * beta.pdf(leaving, TRUTH.a, TRUTH.b)
        return (stayed + left) * weight

    expected, _ = dblquad(individual, 0, np.inf, 0, 1)
    seen = Histories(np.array([float(x)]), np.array([last]), np.array([age]))
    assert np.exp(TRUTH.log_likelihood(seen))[0] == pytest.approx(expected, rel=1e-4)


def test_slopes_are_those_of_the_likelihoods(simulated):
    for module, seen, logs in (
        (bg_nbd, histories_of(simulated), np.log([0.5, 30.0, 0.8, 2.0])),
        (gamma_gamma, spending_of(simulated), np.log([3.0, 5.0, 900.0])),
    ):
        slopes = module.log_likelihood(logs, seen)[1].mean(axis=0)
        for number, step in enumerate(1e-6 * np.eye(len(logs))):
            around = [module.log_likelihood(logs + sign * step, seen)[0].mean() for sign in (1, -1)]
            assert slopes[number] == pytest.approx((around[0] - around[1]) / 2e-6, abs=1e-6)


def test_chances_and_expected_orders_agree_with_what_simulated_customers_do(simulated):
    seen = histories_of(simulated)
    said = {
        "is_alive": (TRUTH.alive(seen), np.isfinite(simulated.next_order_days)),
        "no_order": (TRUTH.no_order(seen, HORIZON), simulated.orders_ahead == 0),
        "orders": (TRUTH.expected_orders(seen, HORIZON), simulated.orders_ahead),
    }
    for expected, happened in said.values():
        for group in np.array_split(np.argsort(expected, kind="stable"), 8):
            error = happened[group].std() / np.sqrt(len(group))
            assert abs(expected[group].mean() - happened[group].mean()) < 4 * error + 1e-3


def test_amounts_expected_agree_with_what_simulated_customers_spend(simulated):
    expected = GammaGamma(*AMOUNTS).expected_amount(spending_of(simulated)) * simulated.orders_ahead
    for group in np.array_split(np.argsort(simulated.mean_cents, kind="stable"), 5):
        assert simulated.spent_cents[group].sum() == pytest.approx(expected[group].sum(), rel=0.04)


def test_fitted_to_a_simulated_shop_the_parameters_are_within_their_errors(simulated):
    for found, truth in (
        (fit_bg_nbd(histories_of(simulated)), ORDERS),
        (fit_gamma_gamma(spending_of(simulated)), AMOUNTS),
    ):
        errors = np.sqrt(np.diag(found.covariance))
        assert (np.abs(found.logs - np.log(truth)) < 4 * errors).all()
        assert (errors < 0.08).all()


def test_expected_orders_are_continuous_where_the_formula_is_not_defined():
    seen = Histories(np.array([0.0, 3.0]), np.array([0.0, 40.0]), np.array([60.0, 60.0]))
    below, at, above = (BgNbd(0.9, 22.0, a, 3.0).expected_orders(seen, 90.0) for a in (0.999, 1.0, 1.001))
    assert ((below > at) & (at > above)).all()
    assert at == pytest.approx((below + above) / 2, rel=1e-4)


def test_features_give_the_repeat_orders_and_both_times():
    """Orders on days 0, 10 and 30, seen on day 39; and one customer with a single order, 5 days ago."""
    features = pd.DataFrame(
        {
            "tenure_days": [39, 5],
            "recency_days": [9, 5],
            "gap_mean_days": [15.0, np.nan],
            "spend_lifetime_cents": 600,
        }
    )
    seen = Histories.of(features)
    assert np.column_stack([seen.repeats, seen.last, seen.age]).tolist() == [[2, 30, 39], [0, 0, 5]]


def test_a_shop_without_customers_has_the_prior_and_nothing_to_forecast():
    nobody = Histories(*np.empty((3, 0)))
    found = fit_bg_nbd(nobody)
    assert np.exp(found.logs) == pytest.approx(ORDERS_PRIOR.medians, rel=1e-4)
    assert np.sqrt(np.diag(found.covariance)) == pytest.approx([1.0] * 4, rel=1e-3)
    spending = fit_gamma_gamma(Spending(*np.empty((2, 0))))
    assert np.exp(spending.logs) == pytest.approx(SPENDING_PRIOR.medians, rel=1e-4)
    forecast = Lifetime(found, spending).forecast_of(
        nobody, Spending(*np.empty((2, 0))), within=HORIZON, seed=1
    )
    assert len(forecast.value) == 0
    with pytest.raises(ValueError, match="no customers"):
        fit_bg_nbd(nobody, prior=None)


def test_intervals_of_eight_tenths_hold_eight_tenths_of_what_happens():
    shop = simulate_lifetimes(5_000, seed=11, horizon_days=HORIZON)
    found = lifetime_of(simulate_lifetimes(5_000, seed=12)).forecast_of(
        histories_of(shop), spending_of(shop), within=HORIZON, seed=3
    )
    held = (found.value_low <= shop.spent_cents) & (shop.spent_cents <= found.value_high)
    comes_back = np.isfinite(shop.next_order_days)
    in_time = (found.next_order_low <= shop.next_order_days) & (shop.next_order_days <= found.next_order_high)
    assert 0.77 <= held.mean() <= 0.83
    # Who will almost certainly spend nothing has the interval [0, 0], which holds more than it must.
    assert held[found.value_high > 0].mean() == pytest.approx(0.8, abs=0.03)
    assert in_time[comes_back].mean() == pytest.approx(0.8, abs=0.03)
    assert found.value.sum() == pytest.approx(shop.spent_cents.sum(), rel=0.05)


def test_with_50_buyers_intervals_hold_as_often_as_with_5000_and_chances_are_less_sure():
    """Twenty shops, each with a truth of its own; the same customers are forecast by what 50 and 5,000 others tell."""
    chance = np.random.default_rng(5)
    found: dict[int, list[dict[str, float]]] = {50: [], 5_000: []}
    for number in range(20):
        orders = np.exp(np.log(ORDERS_PRIOR.medians) + 0.7 * chance.standard_normal(4))
        amounts = (4.0, 3.5, 1250.0) * np.exp(0.5 * chance.standard_normal(3))
        judged = simulate_lifetimes(300, seed=number, orders=orders, amounts=amounts, horizon_days=HORIZON)
        oracle = BgNbd(*orders).no_order(histories_of(judged), 28.0)
        for customers, rows in found.items():
            shop = simulate_lifetimes(customers, seed=1000 + number, orders=orders, amounts=amounts)
            rows.append(judge_lifetime(lifetime_of(shop), judged, oracle))
    few, many = (pd.DataFrame(rows).mean() for rows in found.values())
    assert few["values held"] == pytest.approx(0.8, abs=0.05)
    assert many["values held"] == pytest.approx(0.8, abs=0.05)
    assert few["next orders held"] == pytest.approx(0.8, abs=0.05)
    assert few["chances held"] > 0.75
    assert few["width of chances"] > 4 * many["width of chances"]


def judge_lifetime(lifetime, judged, oracle):
    seen = histories_of(judged)
    found = lifetime.forecast_of(seen, spending_of(judged), within=HORIZON, seed=1)
    held = (found.value_low <= judged.spent_cents) & (judged.spent_cents <= found.value_high)
    in_time = (found.next_order_low <= judged.next_order_days) & (
        judged.next_order_days <= found.next_order_high
    )
    low, high = no_order_bounds(lifetime.orders.draws(200, np.random.default_rng(1)), seen, 28.0)
    return {
        "values held": held[found.value_high > 0].mean(),
        "next orders held": in_time[np.isfinite(judged.next_order_days)].mean(),
        "chances held": ((low <= oracle) & (oracle <= high)).mean(),
        "width of chances": (high - low).mean(),
    }


def test_the_same_shop_gives_the_same_forecast(simulated):
    seen, spent = histories_of(simulated), spending_of(simulated)
    once, again = (
        Lifetime(fit_bg_nbd(seen), fit_gamma_gamma(spent)).forecast_of(seen, spent, within=30.0, seed=4)
        for _ in range(2)
    )
    assert all(np.array_equal(getattr(once, name), getattr(again, name)) for name in vars(once))


def test_parameters_are_drawn_around_the_best_by_their_covariance():
    found = Estimate(np.array([0.0, 1.0]), np.array([[0.04, 0.0], [0.0, 0.01]]))
    logs = np.log(found.draws(20_000, np.random.default_rng(1)))
    assert logs.mean(axis=0) == pytest.approx(found.logs, abs=0.01)
    assert logs.std(axis=0) == pytest.approx([0.2, 0.1], rel=0.03)
