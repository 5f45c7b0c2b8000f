import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import skops.io

from core.errors import ContractBroken
from ml.churn.baselines import BASELINES
from ml.churn.features import FEATURE_NAMES, FEATURES, FeatureRules, feature_frame
from ml.churn.models import CANDIDATES, TRUSTED_TYPES
from ml.churn.training import train_churn_model
from ml.churn.trial import Examples, churn_probability, try_out
from ml.provenance import Source
from ml.windows import Fold, has_closed, rolling_folds
from tests.ml.shop import AS_OF, simulated_examples

MODELS = CANDIDATES | BASELINES


@pytest.fixture(scope="module")
def examples():
    return Examples.of(simulated_examples())


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
    row = dict(zip(FEATURE_NAMES, FeatureRules(is_linear=False).transform(one_order())[0], strict=True))
    assert (row["gap_mean_days"], row["gap_std_days"], row["gap_ratio"]) == (40.0, 40.0, 1.0)


def test_an_infinite_ratio_counts_as_missing():
    row = FeatureRules(is_linear=False).transform(one_order(gap_ratio=np.inf))[0]
    assert row[FEATURE_NAMES.index("gap_ratio")] == 1.0


def test_a_feature_that_may_not_be_missing_stops_with_its_name():
    with pytest.raises(ContractBroken, match="'basket_mean_cents' is missing in 1 of 1 rows"):
        FeatureRules(is_linear=True).transform(one_order(basket_mean_cents=np.nan))


def test_hours_form_a_circle_for_linear_models():
    columns = [
        FeatureRules(is_linear=True).transform(one_order(usual_hour=float(hour)))[0] for hour in (23, 0, 12)
    ]
    late, midnight, noon = columns
    assert np.linalg.norm(late - midnight) < 0.3 < np.linalg.norm(noon - midnight)


def test_there_are_27_features_and_none_is_a_key_or_the_label():
    assert len(FEATURES) == len(set(FEATURE_NAMES)) == 27
    assert not {"customer_id", "as_of_date", "has_churned"} & set(FEATURE_NAMES)


def test_features_are_read_by_name_whatever_the_order_of_columns():
    table = simulated_examples()
    turned = table.select(table.column_names[::-1])
    pd.testing.assert_frame_equal(feature_frame(table), feature_frame(turned))


@pytest.mark.parametrize("name", MODELS)
def test_fitted_twice_a_model_says_the_same(name, examples):
    first, again = (MODELS[name](7).fit(examples.features, examples.has_churned) for _ in range(2))
    said = churn_probability(first, examples.features)
    assert np.array_equal(said, churn_probability(again, examples.features))
    assert ((said >= 0) & (said <= 1)).all()
    assert np.ptp(said) > 0.1


@pytest.mark.parametrize("name", CANDIDATES)
def test_saved_and_loaded_a_model_says_the_same(name, examples):
    model = CANDIDATES[name](7).fit(examples.features, examples.has_churned)
    loaded = skops.io.loads(skops.io.dumps(model), trusted=TRUSTED_TYPES)
    assert np.array_equal(
        churn_probability(model, examples.features), churn_probability(loaded, examples.features)
    )


@pytest.mark.parametrize("name", CANDIDATES)
def test_a_model_that_knows_the_rhythm_beats_recency_on_the_simulated_shop(name, examples):
    folds = rolling_folds(examples.days(), 28)[-2:]
    ours, theirs = (try_out(MODELS[each], examples, folds, seed=1).figures for each in (name, "recency"))
    assert min(np.subtract(ours["pr_auc"], theirs["pr_auc"])) > 0.02
    assert max(np.subtract(ours["brier"], theirs["brier"])) < 0


def test_the_baseline_ranks_by_recency_alone(examples):
    model = BASELINES["recency"](1).fit(examples.features, examples.has_churned)
    said = churn_probability(model, examples.features)
    order = np.argsort(examples.features["recency_days"].to_numpy(), kind="stable")
    assert (np.diff(said[order]) >= 0).all()


def test_labels_of_windows_still_open_at_the_test_cannot_reach_a_fold(examples):
    """The leak probe: turn every label that could not be known then; a figure that moves has seen one."""
    fold = rolling_folds(examples.days(), 28)[-1]
    unknown = [day for day in examples.days() if not has_closed(day, 28, by=fold.test) and day != fold.test]
    assert len(unknown) == 1  # 2017-10-23, whose window closes on 2017-11-20
    rows = np.isin(examples.cutoffs, np.array(unknown, dtype="datetime64[D]"))
    turned = Examples(examples.features, examples.cutoffs, examples.has_churned ^ rows)

    def figures_of(learnt: Examples, tested: Fold) -> dict[str, list[float]]:
        return try_out(CANDIDATES["logistic_regression"], learnt, [tested], seed=1).figures

    assert figures_of(turned, fold) == figures_of(examples, fold)
    leaky = Fold([*fold.train, *unknown], fold.test)
    assert figures_of(turned, leaky) != figures_of(examples, leaky)  # the probe itself works


def test_examples_whose_window_is_open_on_the_training_day_stop_the_training():
    table = simulated_examples()
    days = pa.array([AS_OF.replace(month=11, day=20)] * len(table), pa.date32())
    late = table.set_column(table.column_names.index("as_of_date"), "as_of_date", days)
    with pytest.raises(ContractBroken, match="cut-off 2017-11-20, whose window of 28 days closes later"):
        train_churn_model(late, Source(AS_OF, "key", {}), horizon_days=28)
