"""Judging value and next order on past windows, against counts on shops whose every order is known."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from core.errors import GateFailed
from ml.checks import check_customer_value
from ml.lifetime.fitting import SPENDING_PRIOR, Estimate
from ml.lifetime.forecast import Forecast, Lifetime
from ml.lifetime.models import LifetimeModel
from ml.lifetime.serving import value_columns
from ml.lifetime.training import review, train_lifetime_model, value_days
from ml.lifetime.trial import Judged, Window, figures, figures_of_baseline, windows
from ml.provenance import Source
from ml.tables import CUSTOMER_VALUE_SCHEMA
from tests.ml.lifetime_shop import AS_OF, CUTOFFS, alike, drawn, spent, tables

SOURCE = Source(AS_OF, "key", {})
HORIZON = 84


def windows_of(rows):
    return windows(rows["churn_examples"], rows["customer_features"], rows["interactions"], AS_OF, HORIZON)


def trained_on(rows):
    return train_lifetime_model(
        rows["churn_examples"],
        rows["customer_features"],
        rows["interactions"],
        SOURCE,
        horizon_days=HORIZON,
    )


@pytest.fixture(scope="module")
def promoted():
    return trained_on(tables(drawn()))


def test_the_horizon_is_three_churn_horizons():
    assert [value_days(days) for days in (28, 30)] == [84, 90]


def test_windows_end_at_the_first_day_that_tells_them_and_count_what_was_done_in_them():
    """Worked out by hand: cut-offs every fortnight to 6 November, told by a later one or by 4 December itself."""
    # Edge is back on the day that ends the first window, which is outside it.
    orders = {**drawn(), "edge": [(date(2017, 1, 2), 100), (date(2017, 10, 9), 100)]}
    found = windows_of(tables(orders))
    assert [(str(each.cutoff), each.days) for each in found] == [
        ("2017-07-17", 84),  # to 9 October
        ("2017-07-31", 84),
        ("2017-08-14", 84),
        ("2017-08-28", 98),  # 20 November is no cut-off: to 4 December
        ("2017-09-11", 84),  # to 4 December
    ]
    for each in found:
        end = each.cutoff + timedelta(days=each.days)
        counted = [spent(orders, customer, each.cutoff, end) for customer in each.features.index]
        assert each.spent_cents.tolist() == counted
        ahead = [
            min(
                ((day - each.cutoff).days for day, _ in orders[customer] if each.cutoff <= day < end),
                default=None,
            )
            for customer in each.features.index
        ]
        assert [None if np.isnan(wait) else wait for wait in each.next_order_days] == ahead
        assert None in ahead
        assert 0 in ahead


def test_only_the_newest_six_windows_are_judged():
    earlier = [CUTOFFS[0] - timedelta(days=14 * back) for back in (3, 2, 1)]
    found = windows_of(tables(drawn(), [*earlier, *CUTOFFS]))
    assert [str(each.cutoff) for each in found] == [
        *("2017-07-03", "2017-07-17", "2017-07-31", "2017-08-14", "2017-08-28", "2017-09-11")
    ]


def test_a_customer_whose_orders_were_all_taken_back_is_not_judged():
    rows = tables(drawn())
    examples, day = rows["churn_examples"].to_pandas(), CUTOFFS[-3]  # 9 October ends the first window
    without = examples[~((examples["customer_id"] == "c007") & (examples["as_of_date"] == day))]
    rows["churn_examples"] = pa.Table.from_pandas(without, preserve_index=False)
    first, second, *_ = windows_of(rows)
    assert "c007" not in first.features.index
    assert "c007" in second.features.index


def test_figures_are_the_shares_and_errors_counted_by_hand():
    """Spent 0, 10, 20 and 50; said 0, 20, 20 and 40, within [0, 5], [11, 30], [5, 25] and [30, 60]: three of four hold.

    Errors 0, 10, 0 and 10, mean 5, over a mean of 20. Back after 3, 9 and 0 days; [3.9, 8], [4, 8] and [0.2, 5] said.
    """
    numbers = {
        "alive": [1.0] * 4,
        "orders": [1.0] * 4,
        "value": [0.0, 20.0, 20.0, 40.0],
        "value_low": [0.0, 11.0, 5.0, 30.0],
        "value_high": [5.0, 30.0, 25.0, 60.0],
        "next_order": [5.0] * 4,
        "next_order_low": [1.0, 3.9, 4.0, 0.2],
        "next_order_high": [2.0, 8.0, 8.0, 5.0],
    }
    window = Window(
        CUTOFFS[0],
        HORIZON,
        pd.DataFrame(index=range(4)),
        np.array([0.0, 10.0, 20.0, 50.0]),
        np.array([np.nan, 3.0, 9.0, 0.0]),
    )
    forecast = Forecast(**{name: np.array(values) for name, values in numbers.items()})
    judged = [Judged(window, forecast, np.array([0.0, 0.0, 40.0, 80.0]))]
    found = figures(judged)
    assert found == {
        "value_held": [0.75],
        "next_order_held": [pytest.approx(2 / 3)],
        "mae_cents": [5.0],
        "relative_mae": [0.25],
        "rank_correlation": [pytest.approx(0.9487, abs=1e-4)],  # ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4
        "total_ratio": [1.0],
    }
    simple = figures_of_baseline(judged)
    assert (simple["mae_cents"], simple["total_ratio"]) == ([15.0], [1.5])
    assert "value_held" not in simple


GOOD = {"relative_mae": [0.4, 0.5], "value_held": [0.79, 0.81], "next_order_held": [0.86, 0.88]}
SIMPLE = {"relative_mae": [0.45, 0.48]}


def test_a_model_better_on_average_is_promoted_though_worse_at_one_cutoff():
    assert review(GOOD, SIMPLE).is_promoted


@pytest.mark.parametrize(
    ("worse", "said"),
    [
        ({"relative_mae": SIMPLE["relative_mae"]}, "relative_mae gains +0.0000 over same_rate"),
        ({"value_held": [0.72, 0.73]}, "value_held is 0.725"),
        ({"value_held": [0.87, 0.88]}, "value_held is 0.875"),
        ({"next_order_held": [0.72, 0.73]}, "next_order_held is 0.725"),
    ],
)
def test_a_model_no_better_or_with_intervals_that_hold_another_share_is_refused(worse, said):
    verdict = review(GOOD | worse, SIMPLE)
    assert not verdict.is_promoted
    assert verdict.reason.startswith(said)


def test_on_a_shop_like_the_models_suppose_the_forecast_beats_going_on_as_before(promoted):
    assert promoted.is_promoted, promoted.reason
    assert promoted.figures["value_held"] == pytest.approx(0.8, abs=0.05)
    assert promoted.figures["total_ratio"] == pytest.approx(1.0, abs=0.05)
    assert promoted.figures["same_rate.total_ratio"] > 1.4  # customers who have left spend on, it thinks
    assert promoted.figures["rank_correlation"] > promoted.figures["same_rate.rank_correlation"] + 0.1
    assert promoted.parameters["judged_cutoffs"].startswith("2017-07-17, 2017-07-31")
    assert list(promoted.drawings) == ["value_by_decile", "held_by_cutoff"]
    assert "| value_held | 0.8" in promoted.card


def test_what_it_expects_of_the_days_after_training_is_what_customers_then_spend(promoted):
    orders = drawn()
    today = tables(orders)["customer_features"]
    said = promoted.fitted.model.forecast(today.to_pandas())
    end = AS_OF + timedelta(days=HORIZON)
    truth = np.array([spent(orders, each, AS_OF, end) for each in today["customer_id"].to_pylist()])
    assert truth.sum() == pytest.approx(said.value.sum(), rel=0.1)
    held = (said.value_low <= truth) & (truth <= said.value_high)
    assert held[said.value_high > 0].mean() == pytest.approx(0.8, abs=0.06)


def test_a_shop_where_all_are_alike_is_refused_because_its_intervals_are_too_wide():
    """Who orders every 7 days is no customer as BG/NBD supposes them: every interval holds, and promises less."""
    training = trained_on(tables(alike()))
    assert not training.is_promoted
    assert training.reason.startswith("value_held is 1.000: intervals that promise 0.8 hold another share")
    assert training.fold_figures["value_held"] == [1.0] * 5
    assert "Refused: value_held" in training.card


@pytest.mark.parametrize("cutoffs", [CUTOFFS[5:], CUTOFFS[3:]], ids=["no window", "two windows"])
def test_a_young_shop_gets_the_prior_unjudged_and_is_told_so(cutoffs):
    training = trained_on(tables(drawn(), cutoffs))
    assert training.is_promoted
    assert training.reason.startswith(
        f"too little history to judge a model ({5 - CUTOFFS.index(cutoffs[0])} windows of 84 days have closed"
    )
    assert "It was not judged." in training.card
    assert training.fold_figures == {}


def test_a_shop_of_too_few_customers_is_not_judged_by_them():
    training = trained_on(tables(drawn(150)))
    assert training.is_promoted
    assert "(0 windows of 84 days have closed with 200 customers or more" in training.reason


def test_a_small_shop_is_as_unsure_as_it_is_small_and_one_without_customers_still_has_a_model():
    few, many = drawn(30), drawn()
    widths = [trained_on(tables(orders, [])).figures["relative_interval_width"] for orders in (few, many)]
    assert widths[0] > widths[1]
    rows = tables(few, [])
    rows["customer_features"] = rows["customer_features"].slice(0, 0)
    assert len(trained_on(rows).fitted.model.predict(rows["customer_features"].to_pandas())) == 0


def waiting(r, alpha):
    """A model that is sure of its parameters; a customer with one order, T days ago, then waits by r and alpha + T."""
    orders = Estimate(np.log([r, alpha, 0.6, 2.4]), np.zeros((4, 4)))
    spending = Estimate(np.log(SPENDING_PRIOR.medians), np.zeros((3, 3)))
    return LifetimeModel(Lifetime(orders, spending), HORIZON, 1)


ONE_ORDER = pd.DataFrame(
    {"tenure_days": [30.0], "recency_days": [30.0], "gap_mean_days": [None], "spend_lifetime_cents": [900.0]}
)


@pytest.mark.parametrize(
    ("r", "days"),
    [
        # Silence of t days has the chance ((alpha + T) / (alpha + T + t)) ^ r, with alpha + T = 60.3.
        (1.0, [60, 6, 542]),  # 60.3 (1 / 0.5 - 1), 60.3 (1 / 0.9 - 1), 60.3 (1 / 0.1 - 1)
        (0.1, [None, 112, None]),  # 60.3 (1 / 0.9^10 - 1); the others take longer than ten years
    ],
)
def test_the_next_order_has_the_day_that_the_formula_gives_and_none_beyond_ten_years(r, days):
    found = value_columns(waiting(r, 30.3), ONE_ORDER, AS_OF)[-3:]
    dates = [None if each is None else AS_OF + timedelta(days=each) for each in days]
    assert [column.to_pylist() for column in found] == [[each] for each in dates]


def test_whoever_has_almost_surely_left_is_given_no_day_and_counts_as_missed_if_back():
    """Forty orders in forty days and then silence for as many; and one who was there yesterday."""
    both = pd.DataFrame(
        {"tenure_days": [79.0, 40.0], "recency_days": [40.0, 1.0], "gap_mean_days": [1.0, 1.0]}
    ).assign(spend_lifetime_cents=4_000.0)
    alive, *_, day, low, high = (
        column.to_pylist() for column in value_columns(waiting(1.0, 30.3), both, AS_OF)[1:]
    )
    assert alive[0] < 0.01
    assert alive[1] > 0.9
    assert [[each is None for each in dates] for dates in (day, low, high)] == [[True, False]] * 3
    window = Window(CUTOFFS[0], HORIZON, both, np.array([10.0, 20.0]), np.zeros(2))
    judged = Judged(window, waiting(1.0, 30.3).forecast(both), np.zeros(2))
    assert judged.forecast.next_order_low.astype(int).tolist() == [0, 0]
    assert figures([judged])["next_order_held"] == [0.5]


@pytest.fixture
def forecast_rows():
    columns = value_columns(waiting(1.0, 30.3), pd.concat([ONE_ORDER] * 2), AS_OF)
    made_by = [pa.array([each] * 2) for each in ("lifetime", "1", "r")]
    days = pa.array([AS_OF] * 2, pa.date32())
    return pa.table([pa.array(["1", "2"]), days, *columns, *made_by], schema=CUSTOMER_VALUE_SCHEMA)


@pytest.mark.parametrize(
    ("column", "wrong", "said"),
    [
        ("alive_probability", 1.5, "2 chances to be active still lie outside 0 to 1"),
        ("alive_probability", float("nan"), "2 chances"),
        ("expected_orders", -0.1, "2 of 'expected_orders' are no amount"),
        ("value_cents", float("inf"), "2 of 'value_cents' are no amount"),
        ("value_low_cents", 1e12, "2 values end below where they begin"),
        ("value_high_cents", float("inf"), "2 values end below where they begin, or nowhere"),
        ("next_order_low_date", date(2017, 12, 3), "2 next orders"),
        ("next_order_high_date", date(2017, 12, 5), "2 next orders"),
        ("value_cents", None, "'value_cents' is missing in 2 rows"),
    ],
)
def test_a_forecast_that_cannot_be_stops_the_day(forecast_rows, column, wrong, said):
    check_customer_value(forecast_rows, forecast_rows["customer_id"])
    place = forecast_rows.schema.get_field_index(column)
    field = forecast_rows.schema.field(place)
    changed = forecast_rows.set_column(place, field, pa.array([wrong] * 2, field.type))
    with pytest.raises(GateFailed, match=said):
        check_customer_value(changed, forecast_rows["customer_id"])


def test_a_customer_without_a_forecast_stops_the_day(forecast_rows):
    with pytest.raises(GateFailed, match="1 customers are scored, 2 have features"):
        check_customer_value(forecast_rows.slice(1), forecast_rows["customer_id"])
