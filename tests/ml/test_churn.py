from math import factorial

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import skops.io
from sklearn.pipeline import Pipeline

from core.errors import ContractBroken
from ml.churn.baselines import BASELINES, BgNbdChurn
from ml.churn.blending import Blend, blended, weigh
from ml.churn.features import FEATURE_NAMES, FEATURES, LEVEL_FEATURES, FeatureRules, feature_frame
from ml.churn.models import CANDIDATES, MEMBERS, SETTINGS, TRUSTED_TYPES, make
from ml.churn.money import Terms
from ml.churn.renewal import pause_goes_on
from ml.churn.rhythm import Rhythm, log_odds
from ml.churn.together import fit_together, say_together
from ml.churn.training import PRIOR_METHOD, chosen, train_churn_model
from ml.churn.trial import Examples, churn_probability, importances, try_baseline, try_out, walk
from ml.churn.tuning import SPACES, tune
from ml.lifetime.bg_nbd import BgNbd, Histories
from ml.lifetime.fitting import ORDERS_PRIOR
from ml.provenance import Source
from ml.windows import Fold, has_closed, rolling_folds
from simulation.lifetimes import simulate_lifetimes
from tests.ml.shop import AS_OF, simulated_examples, simulated_features

MODELS = sorted(MEMBERS | BASELINES)
TERMS = Terms(margin_share=0.25, incentive_cents=100, contact_cents=2, chance=0.1)


def made(name, seed=7):
    return make(name, horizon_days=28, seed=seed, settings=SETTINGS)


def walked(examples, folds, members=tuple(MODELS)):
    return walk(members, examples, folds, horizon_days=28, seed=1, settings=SETTINGS)


@pytest.fixture(scope="module")
def examples():
    return Examples.of(simulated_examples())


@pytest.fixture(scope="module")
def walk_of_all(examples):
    return walked(examples, rolling_folds(examples.days(), 28)[-6:])


def one_order(**changed):
    """The features of a customer with a single order, 40 days ago."""
    values = dict.fromkeys(FEATURE_NAMES, 1.0) | {
        "recency_days": 40.0,
        "tenure_days": 40.0,
        "gap_mean_days": np.nan,
        "gap_std_days": np.nan,
        "gap_ratio": np.nan,
        "usual_hour": 18.0,
    }
    return pd.DataFrame([values | changed])


def test_a_customer_with_one_order_gets_the_gap_that_is_still_open():
    names = [feature.name for feature in LEVEL_FEATURES]
    row = dict(zip(names, FeatureRules(is_linear=False).transform(one_order())[0], strict=True))
    assert (row["gap_mean_days"], row["gap_std_days"], row["gap_ratio"]) == (40.0, 40.0, 1.0)


def test_an_infinite_ratio_counts_as_missing():
    row = FeatureRules(is_linear=False).transform(one_order(gap_ratio=np.inf))[0]
    assert row[FEATURE_NAMES.index("gap_ratio")] == 1.0


def test_a_feature_that_may_not_be_missing_stops_with_its_name():
    with pytest.raises(ContractBroken, match="'basket_mean_cents' is missing in 1 of 1 rows"):
        FeatureRules(is_linear=True).transform(one_order(basket_mean_cents=np.nan))


def test_hours_form_a_circle_for_linear_models():
    model = Rhythm(horizon_days=28).fit(one_order())
    columns = [model.transform(one_order(usual_hour=float(hour)))[0] for hour in (23, 0, 12)]
    late, midnight, noon = columns
    assert np.linalg.norm(late - midnight) < 0.3 < np.linalg.norm(noon - midnight)


def test_there_are_44_features_and_none_is_a_key_or_the_label():
    assert len(FEATURES) == len(set(FEATURE_NAMES)) == 44
    assert len(LEVEL_FEATURES) == 15
    assert not {"customer_id", "as_of_date", "has_churned"} & set(FEATURE_NAMES)


def test_features_are_read_by_name_whatever_the_order_of_columns():
    table = simulated_examples()
    turned = table.select(table.column_names[::-1])
    pd.testing.assert_frame_equal(feature_frame(table), feature_frame(turned))


def test_rates_and_pauses_of_a_rhythm_are_those_one_works_out_by_hand():
    """Six orders on days 0, 15, …, 75, seen on day 90: a repeat order every 18 days of them, a pause as long as a gap."""
    history = one_order(
        tenure_days=90.0, recency_days=15.0, gap_mean_days=15.0, gap_max_days=15.0, orders_lifetime_count=6.0
    )
    row = Rhythm(horizon_days=28).fit(history).transform(history)[0]
    assert np.isfinite(row).all()
    assert np.isclose(row, np.log1p(6 * 30 / 90)).sum() == 1  # orders a month
    assert np.isclose(row, np.log1p(5 * 30 / 90)).sum() == 1  # repeat orders a month
    assert row[-6:-4].tolist() == [0.0, 0.0]  # the pause against the mean and the longest gap


def test_a_pause_goes_on_as_the_gamma_distribution_of_the_own_gaps_says():
    """With a thousand gaps the shop's hardly count: 10 days on average, with the spread of no rhythm, then of some."""
    seen = Histories(np.full(2, 1000.0), np.full(2, 10_000.0), np.full(2, 10_015.0))
    so_far, further = pause_goes_on(seen, np.full(2, 10.0), np.array([10.0, 5.0]), shop_gap=10.0, within=28.0)
    # Exponential gaps forget the pause. Erlang gaps of four stages: a sum of Poisson terms.
    stages = [
        sum(np.exp(-days / 2.5) * (days / 2.5) ** k / factorial(k) for k in range(4)) for days in (15, 43)
    ]
    assert np.exp(so_far) == pytest.approx([np.exp(-1.5), stages[0]], rel=0.02)
    assert np.exp(further) == pytest.approx([np.exp(-2.8), stages[1] / stages[0]], rel=0.1)


def test_a_pause_beyond_every_gap_and_a_customer_without_a_gap_have_finite_chances():
    seen = Histories(np.array([1000.0, 0.0]), np.array([1000.0, 0.0]), np.array([90_000.0, 5.0]))
    so_far, further = pause_goes_on(
        seen, np.array([1.0, np.nan]), np.array([0.5, np.nan]), shop_gap=20.0, within=28.0
    )
    assert further[0] == 0.0
    assert so_far[1] == pytest.approx(-5 / 20)  # exponential around the shop's mean gap


@pytest.mark.parametrize("name", MODELS)
def test_fitted_twice_a_model_says_the_same(name, examples):
    first, again = (made(name).fit(examples.features, examples.has_churned) for _ in range(2))
    said = churn_probability(first, examples.features)
    assert np.array_equal(said, churn_probability(again, examples.features))
    assert ((said >= 0) & (said <= 1)).all()
    assert (
        np.ptp(said) > 0.005
    )  # BG/NBD finds little here: these customers lapse by their rhythm, not by leaving


def test_saved_and_loaded_a_blend_of_every_model_says_the_same(examples):
    blend = Blend([made(name) for name in MODELS], np.array([0.1, *np.full(len(MODELS), 1 / len(MODELS))]))
    blend.fit(examples.features, examples.has_churned)
    loaded = skops.io.loads(skops.io.dumps(blend), trusted=TRUSTED_TYPES)
    assert np.array_equal(
        churn_probability(blend, examples.features), churn_probability(loaded, examples.features)
    )


@pytest.mark.parametrize("name", CANDIDATES)
def test_a_model_that_knows_the_rhythm_beats_recency_on_the_simulated_shop(name, examples, walk_of_all):
    folds = rolling_folds(examples.days(), 28)[-2:]
    ours = try_out(walk_of_all, CANDIDATES[name], folds).figures
    theirs = try_baseline(walk_of_all, "recency", folds).figures
    assert min(np.subtract(ours["pr_auc"], theirs["pr_auc"])) > 0.02
    assert max(np.subtract(ours["brier"], theirs["brier"])) < 0


def test_the_baseline_ranks_by_recency_alone(examples):
    model = made("recency").fit(examples.features, examples.has_churned)
    said = churn_probability(model, examples.features)
    order = np.argsort(examples.features["recency_days"].to_numpy(), kind="stable")
    assert (np.diff(said[order]) >= 0).all()


def test_fitted_together_members_say_what_each_says_that_was_fitted_alone(examples):
    together = [made(name) for name in MEMBERS]
    fit_together(together, examples.features, examples.has_churned)
    said = say_together(together, examples.features)
    for name, column in zip(MEMBERS, said.T, strict=True):
        alone = made(name).fit(examples.features, examples.has_churned)
        assert np.array_equal(column, log_odds(churn_probability(alone, examples.features))), name
    rhythms = [
        member[0] for member in together if isinstance(member, Pipeline) and "rhythm" in member.named_steps
    ]
    assert len(rhythms) == 4
    assert len({id(rhythm) for rhythm in rhythms}) == 1


def test_of_four_folds_the_later_hear_the_long_members_as_they_were_fitted_for_the_first(
    examples, walk_of_all
):
    folds = rolling_folds(examples.days(), 28)[-6:]
    fitted_for = {
        ("random_forest", 3): 0,
        ("neural_network", 1): 0,
        ("random_forest", 4): 4,
        ("boosting_rhythm", 1): 1,
    }
    for (name, heard), fitted in fitted_for.items():
        learnt = examples.at(folds[fitted].train)
        model = made(name, seed=1).fit(learnt.features, learnt.has_churned)
        said = log_odds(churn_probability(model, examples.at([folds[heard].test]).features))
        assert np.array_equal(walk_of_all.said[name][folds[heard].test], said), name


def test_scored_in_parts_customers_get_what_they_get_at_once(examples, monkeypatch):
    model = made("boosting_levels").fit(examples.features, examples.has_churned)
    monkeypatch.setattr("ml.churn.trial.SCORED_AT_ONCE", 7)
    assert len(examples) % 7
    together = model.predict_proba(examples.features)[:, 1]
    assert churn_probability(model, examples.features) == pytest.approx(together, abs=1e-12)


def test_of_many_examples_a_fold_learns_from_some_drawn_by_lot(examples, monkeypatch):
    monkeypatch.setattr("ml.churn.trial.MOST_LEARNT", 100)
    learnt = []
    monkeypatch.setattr(
        "ml.churn.trial.fit_together", lambda members, features, truth: learnt.append((features, truth))
    )
    monkeypatch.setattr("ml.churn.trial.say_together", lambda members, features: np.zeros((len(features), 1)))
    fold = rolling_folds(examples.days(), 28)[-1]
    for _ in range(2):
        walk(["bg_nbd"], examples, [fold], horizon_days=28, seed=3, settings={})
    (features, truth), (again, _) = learnt
    assert len(features) == len(truth) == 100
    assert features.equals(again)
    known = examples.at(fold.train)
    places = known.features.index.get_indexer(features.index)
    assert (np.diff(places) > 0).all()
    assert (known.has_churned[places] == truth).all()
    assert len(set(known.cutoffs[places])) > 5  # of all cut-offs, not of the first


def test_a_feature_that_a_model_does_not_read_has_no_importance(examples, monkeypatch):
    monkeypatch.setattr("ml.churn.trial.MOST_SHUFFLED", 200)
    found = importances(made("recency").fit(examples.features, examples.has_churned), examples, seed=1)
    assert found.pop("recency_days") > 0.05
    assert set(found) == set(FEATURE_NAMES) - {"recency_days"}
    assert set(found.values()) == {0.0}


@pytest.mark.parametrize("changed", [{"recency_days": 300.0}, {"gap_mean_days": np.nan}])
def test_a_history_that_shuffling_made_impossible_leaves_every_chance_finite(examples, changed):
    """As the importance of features is found: a pause longer than the tenure, orders on many days without a gap."""
    model = made("logistic_rhythm").fit(examples.features, examples.has_churned)
    assert np.isfinite(churn_probability(model, examples.features.assign(**changed))).all()


def test_labels_of_windows_still_open_at_the_test_cannot_reach_a_fold(examples):
    """The leak probe: turn every label that could not be known then; a figure that moves has seen one.

    The walk hears members at earlier cut-offs too, so it also shows that no open one weighs them.
    """
    folds = rolling_folds(examples.days(), 28)[-4:]
    last = folds[-1]
    unknown = [day for day in examples.days() if not has_closed(day, 28, by=last.test) and day != last.test]
    assert len(unknown) == 1  # 2017-10-23, whose window closes on 2017-11-20
    rows = np.isin(examples.cutoffs, np.array(unknown, dtype="datetime64[D]"))
    turned = Examples(examples.features, examples.cutoffs, examples.has_churned ^ rows)
    members = ("bg_nbd", "logistic_levels", "logistic_rhythm")

    def figures_of(learnt: Examples, tested: Fold) -> dict[str, list[float]]:
        return try_out(walked(learnt, [*folds[:-1], tested], members), members, [tested]).figures

    assert figures_of(turned, last) == figures_of(examples, last)
    leaky = Fold([*last.train, *unknown], last.test)
    assert figures_of(turned, leaky) != figures_of(examples, leaky)  # the probe itself works


def test_without_anything_heard_members_weigh_alike_and_are_not_corrected():
    assert weigh(np.empty((0, 4)), np.empty(0, dtype=bool)) == pytest.approx([0.0, 0.25, 0.25, 0.25, 0.25])


def test_a_shop_that_lapses_more_than_its_models_say_is_followed():
    """Odds to lapse are three times what both members say; the intercept is the logarithm of that."""
    chance = np.random.default_rng(1)
    said = np.log(0.25) + chance.standard_normal((20_000, 1)) @ np.ones((1, 2))
    truth = chance.random(20_000) < 1 / (1 + np.exp(-said[:, 0] - np.log(3)))
    weights = weigh(said, truth)
    assert weights == pytest.approx([np.log(3), 0.5, 0.5], abs=0.06)
    assert blended(said, weights).mean() == pytest.approx(truth.mean(), abs=0.005)


def test_a_member_that_knows_gains_weight_over_one_that_guesses():
    chance = np.random.default_rng(2)
    knows, guesses = chance.standard_normal((2, 5_000))
    truth = chance.random(5_000) < 1 / (1 + np.exp(-knows))
    weights = weigh(np.column_stack([knows, guesses]), truth)
    assert weights[1] > weights[2] + 0.05


def test_tuning_tries_the_known_settings_first_and_is_never_worse_than_they_are(examples):
    assert SPACES.keys() == SETTINGS.keys()
    folds = rolling_folds(examples.days(), 28)[:2]
    once, again = (
        tune("logistic_levels", examples, folds, horizon_days=28, seed=3, trials=4) for _ in range(2)
    )
    assert once == again

    def loss(setting):
        found = walk(
            ["logistic_levels"],
            examples,
            folds,
            horizon_days=28,
            seed=3,
            settings={"logistic_levels": setting},
        )
        return np.mean(try_baseline(found, "logistic_levels", folds).figures["brier"])

    assert loss(once) <= loss(SETTINGS["logistic_levels"])
    assert (
        tune("logistic_levels", examples, folds, horizon_days=28, seed=3, trials=1)
        == SETTINGS["logistic_levels"]
    )


def test_examples_whose_window_is_open_on_the_training_day_stop_the_training():
    table = simulated_examples()
    days = pa.array([AS_OF.replace(month=11, day=20)] * len(table), pa.date32())
    late = table.set_column(table.column_names.index("as_of_date"), "as_of_date", days)
    with pytest.raises(ContractBroken, match="cut-off 2017-11-20, whose window of 28 days closes later"):
        train_churn_model(late, simulated_features(), Source(AS_OF, "key", {}), horizon_days=28, terms=TERMS)


@pytest.mark.parametrize("customers", [0, 50])
def test_a_young_shop_gets_bg_nbd_with_its_prior_and_wide_intervals(customers):
    today = simulated_features().slice(0, customers)
    found = train_churn_model(
        simulated_examples().slice(0, 0), today, Source(AS_OF, "key", {}), horizon_days=28, terms=TERMS
    )
    assert (found.method, found.is_promoted) == (PRIOR_METHOD, True)
    assert found.reason.startswith(
        f"too little history to judge a model (0 closed cut-offs, {customers} customers)"
    )
    assert found.figures["interval_width"] > 0.01


def test_chances_of_50_customers_are_less_sure_than_those_of_5000(examples):
    """The simulated customers 50 at a time, and 25 times the 200 of them."""
    features = examples.features.head(200)
    few, many = (
        BgNbdChurn(horizon_days=28, seed=1).fit(shop)
        for shop in (features.head(50), pd.concat([features] * 25))
    )
    widths = [np.diff(model.predict_interval(features), axis=0).mean() for model in (few, many)]
    assert widths[0] > 3 * widths[1]
    low, high = few.predict_interval(features)
    assert (
        (low <= churn_probability(few, features)) & (churn_probability(few, features) <= high)
    ).mean() > 0.95


def test_with_50_buyers_the_intervals_hold_the_chance_in_eight_of_ten_simulated_shops():
    """A hundred shops, each with a truth of its own drawn from the prior; others of the same shop are asked about."""
    chance = np.random.default_rng(5)
    held = []
    for number in range(100):
        truth = np.exp(np.log(ORDERS_PRIOR.medians) + ORDERS_PRIOR.spread * chance.standard_normal(4))
        buyers, others = (
            features_of(simulate_lifetimes(count, seed=seed, orders=truth))
            for count, seed in ((50, number), (100, 500 + number))
        )
        low, high = BgNbdChurn(horizon_days=28, seed=1).fit(buyers).predict_interval(others)
        oracle = BgNbd(*truth).no_order(Histories.of(others), 28.0)
        held.append(((low <= oracle) & (oracle <= high)).mean())
    assert np.mean(held) == pytest.approx(0.8, abs=0.05)


def features_of(drawn):
    gap = np.where(drawn.repeats > 0, drawn.last / np.maximum(drawn.repeats, 1.0), np.nan)
    return pd.DataFrame(
        {"tenure_days": drawn.age, "recency_days": drawn.age - drawn.last, "gap_mean_days": gap}
    )


def test_what_is_known_of_who_lapsed_corrects_bg_nbd(examples):
    model = BgNbdChurn(horizon_days=28, seed=1).fit(examples.features)
    before = churn_probability(model, examples.features).mean()
    model.recalibrate(examples.features, examples.has_churned)
    truth = examples.has_churned.mean()
    assert abs(churn_probability(model, examples.features).mean() - truth) < 0.02 < abs(before - truth)


@pytest.mark.parametrize(
    ("forest", "winner"),
    [
        # Against the blend's 0.10, 0.11 and 0.12: a gain of 0.002 in each fold is no luck, one of 0.004, 0.003 and -0.004 is.
        ([0.098, 0.108, 0.118], "random_forest"),
        ([0.096, 0.107, 0.124], "blend"),
        ([0.101, 0.111, 0.121], "blend"),
    ],
)
def test_a_member_replaces_the_blend_only_for_a_gain_beyond_luck(forest, winner):
    losses = {"logistic_levels": [0.2, 0.2, 0.2], "random_forest": forest, "blend": [0.10, 0.11, 0.12]}
    assert chosen(losses) == winner
    assert chosen({name: found[:1] for name, found in losses.items()}) == "blend"  # one fold says nothing
