"""Tuning: it finds how fast a shop's taste drifts, keeps what serves other shops without need, and knows no later week."""

from datetime import date, timedelta

import numpy as np
import pytest
import skops.io
from mlflow import MlflowClient

from benchmarks.recommend_elsewhere import last_left_out
from core.published import Published
from ml.recommend.chances import Chances
from ml.recommend.methods import hybrid
from ml.recommend.methods.ease import HALF_LIFE_DAYS
from ml.recommend.methods.hybrid import Hybrid, Lesson, lesson
from ml.recommend.methods.protocol import NEW
from ml.recommend.models import TRUSTED_TYPES
from ml.recommend.purchases import Histories, Purchases, catalogue, histories
from ml.recommend.tuning import HALF_LIVES_DAYS, Tried, Tuning, tune
from ml.registry import Registry
from simulation.sequences import simulate_sequences
from tests.ml.shop import AS_OF, simulated_purchases


@pytest.fixture(scope="module")
def steady() -> Histories:
    """Purchases of customers whose taste never changes."""
    purchases = Purchases.of(*simulated_purchases())
    return histories(purchases, catalogue(purchases, before=AS_OF), before=AS_OF).of_buyers()


def test_where_taste_drifts_within_weeks_the_history_fades_within_weeks():
    drifting, _ = simulate_sequences(
        customers=1_500, products=1_200, seed=3
    )  # a taste lasts 50 days on average
    tuning = tune(last_left_out(drifting).before)
    assert tuning.half_life_days in (7.0, 15.0)
    assert set(tuning.tried) == set(HALF_LIVES_DAYS)
    found, usual = tuning.tried[tuning.half_life_days], tuning.tried[HALF_LIFE_DAYS]
    assert found.ndcg_new == pytest.approx(usual.ndcg_new + found.gain)
    assert found.ndcg_new == max(each.ndcg_new for each in tuning.tried.values())


def test_where_taste_stays_so_does_the_half_life(steady):
    tuning = tune(steady)
    assert tuning.half_life_days == HALF_LIFE_DAYS
    assert set(tuning.tried) == set(HALF_LIVES_DAYS)


def test_luck_is_measured_on_the_same_customers():
    # Gains 0.3, 0.1 and 0.2: mean 0.2, standard deviation 0.1, which is over the root of three.
    tried = Tried.of(np.array([0.5, 0.6, 0.4]), np.array([0.2, 0.5, 0.2]))
    assert tried.ndcg_new == pytest.approx(0.5)
    assert tried.gain == pytest.approx(0.2)
    assert tried.standard_error == pytest.approx(0.1 / np.sqrt(3))


def test_a_shop_without_four_closed_weeks_or_where_they_brought_nothing_new_has_nothing_to_tune_on(steady):
    assert tune(steady.lately(28)) == Tuning(HALF_LIFE_DAYS, {})
    ages = np.concatenate([steady.ages + 28, np.ones(len(steady.ages))]).astype(np.int64)
    customers, products, lines = (
        np.tile(each, 2) for each in (steady.customers, steady.products, steady.line_counts)
    )
    again = Histories.of(steady.customer_ids, steady.product_ids, customers, products, ages, lines)
    assert tune(again) == Tuning(HALF_LIFE_DAYS, {})


@pytest.mark.parametrize("name", ["ease", "blend", "hybrid"])
def test_a_tuned_method_stays_so_when_it_learns_anew_and_when_it_is_saved(name, steady):
    make = Tuning(7.0, {}).methods()[name]
    model = make().fit(steady, seed=1).renew(steady, seed=1)
    loaded = skops.io.loads(skops.io.dumps(model), trusted=TRUSTED_TYPES).meet(steady)
    fresh = make().renew(steady, seed=1)
    vars(fresh)["chances"] = vars(model).get("chances", {})
    usual = Tuning(HALF_LIFE_DAYS, {}).methods()[name]().renew(steady, seed=1)
    assert np.array_equal(model.scores(steady), loaded.scores(steady))
    assert np.array_equal(model.scores(steady), fresh.scores(steady))
    assert not np.array_equal(fresh.scores(steady), usual.scores(steady))


def test_a_tuned_hybrid_learns_from_lessons_that_were_tuned(steady, monkeypatch):
    monkeypatch.setattr(hybrid, "LEAST_BOUGHT", 50)
    taught = [lesson(steady, days, 1, 7.0)[NEW] for days in (28, 56)]
    whole = Lesson.of_all(taught)
    expected = Chances().fit(whole.columns, whole.bought, seed=1)
    model = Hybrid(7.0).fit(steady, seed=1)
    assert np.array_equal(model.chances[NEW].predict(whole.columns), expected.predict(whole.columns))


def test_a_training_tunes_on_what_was_known_before_any_cutoff_and_logs_what_it_tried(trained, tmp_path):
    settings = trained(tmp_path / "shop")
    champion = Registry(settings).champion("recommender")
    assert champion is not None
    parameters = MlflowClient(settings.mlflow, settings.mlflow).get_run(champion.run_id).data.params
    first = date.fromisoformat(parameters["choosing_cutoffs"])
    tables = [Published(settings.published).read(name, AS_OF) for name in ("interactions", "products")]
    interactions = tables[0].filter([day < first for day in tables[0]["ordered_date"].to_pylist()])
    purchases = Purchases.of(interactions, tables[1])
    known = histories(purchases, catalogue(purchases, before=first), before=first).of_buyers()
    expected = tune(known)
    logged = Registry(settings).document(champion, "tuning")
    assert logged == {f"{days:g}": vars(each) for days, each in expected.tried.items()}
    assert parameters["tried_half_lives_days"] == "7, 15, 30, 60, 120"
    assert parameters["tuned_half_life_days"] == str(expected.half_life_days)
    assert parameters["tuning_cutoff"] == str(first - timedelta(days=28))
