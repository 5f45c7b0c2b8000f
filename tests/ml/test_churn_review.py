"""Each way in which a churn model may not be promoted is planted; each is refused with its own reason."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from ml.churn.leaks import changed_features, separating_feature
from ml.churn.money import Terms
from ml.churn.review import review
from ml.churn.slices import slice_frame, slice_means, slice_table, worst_slice
from ml.churn.training import train_churn_model
from ml.churn.trial import Examples, Tried, judged
from ml.evaluation import calibration_error_by_chance, expected_calibration_error
from ml.provenance import Source
from ml.windows import rolling_folds, training_cutoffs
from tests.ml.shop import AS_OF, FIRST, simulated_examples, simulated_features

TERMS = Terms(margin_share=0.25, incentive_cents=100, contact_cents=2, chance=0.1)
CUTOFFS = training_cutoffs(AS_OF, 28, first=FIRST)
JUDGED = CUTOFFS[-6:]
LAST = JUDGED[-1]


@pytest.fixture
def train(monkeypatch):
    """Train with one member instead of seven, as fast as tests ask for."""
    monkeypatch.setattr("ml.churn.training.MEMBERS", {"logistic_rhythm": None})
    monkeypatch.setattr("ml.churn.training.CANDIDATES", {"blend": ("logistic_rhythm",)})

    def run(examples, then=None):
        return train_churn_model(
            examples, simulated_features(), Source(AS_OF, "key", {}), horizon_days=28, terms=TERMS, then=then
        )

    return run


def with_column(table, name, values):
    return table.set_column(table.column_names.index(name), name, pa.array(values))


def known_at(table, day):
    """What was published on the day of a cut-off: its features, without any label."""
    rows = table.filter(pc.equal(table["as_of_date"], pa.scalar(day)))
    return rows.drop_columns(["has_churned", "locale"])


def test_an_honest_model_is_promoted_with_the_features_of_a_cut_off_as_they_were_published_then(train):
    examples = simulated_examples()
    found = train(examples, known_at(examples, LAST))
    assert found.is_promoted, found.reason
    assert found.reason.startswith("beats recency, bg_nbd on pr_auc")
    slices = found.tables["slices"]
    assert set(slices["slice"]) >= {"tenure=old", "locale=zh", "lifecycle_stage=lapsing"}
    assert slices.groupby("slice")["customers_count"].sum()["locale=zh"] == 6 * 50


def test_a_leak_too_small_to_see_in_any_figure_is_found_by_what_was_published_on_the_day(train):
    """In one customer of twenty the orders of the last week hold one that came after the cut-off."""
    examples = simulated_examples()
    later = np.zeros(len(examples))
    later[::20] = 1.0
    leaky = with_column(examples, "orders_7d_count", examples["orders_7d_count"].to_numpy() + later)
    found = train(leaky, known_at(examples, LAST))
    assert not found.is_promoted
    assert found.reason == (
        "leak: 'orders_7d_count' of cut-off 2017-11-06 is not what was published on that day (10 customers differ), "
        "so it knows what came later"
    )


def test_a_column_that_follows_the_future_is_found_without_any_earlier_day(train):
    """Nineteen of twenty customers who will order have an order too many in their last week."""
    examples = simulated_examples()
    told = ~examples["has_churned"].to_numpy(zero_copy_only=False) & (
        np.random.default_rng(1).random(len(examples)) < 0.95
    )
    found = train(with_column(examples, "orders_7d_count", 1.0 + told))
    assert not found.is_promoted
    assert "leak: 'orders_7d_count' alone tells who lapses with AUC 0.97" in found.reason


def test_no_honest_feature_is_taken_for_a_leak():
    examples = Examples.of(simulated_examples())
    name, auc = separating_feature(examples, JUDGED)
    assert name == "gap_ratio"  # what the simulated customers lapse by
    assert 0.8 < auc < 0.93


def test_a_customer_who_was_not_known_on_the_day_is_a_leak_and_one_erased_since_is_none():
    examples = simulated_examples()
    then = known_at(examples, LAST)
    assert changed_features(examples, then) == {}
    assert changed_features(examples, then.slice(3)) == {"customer_id": 3}
    erased = examples.filter(pc.not_equal(examples["customer_id"], pa.scalar("c007")))
    assert changed_features(erased, then) == {}


def six_folds(probability, chance):
    """Judge probabilities on outcomes drawn with the true chances, 2,000 customers at each of six cut-offs."""
    truth = np.random.default_rng(3).random(chance.size) < chance
    return judged(np.split(truth, 6), np.split(probability, 6))


def no_slices():
    return pd.DataFrame(
        {"slice": ["a"], "customers_count": [0], "lapsed_count": [0], "brier": [0.0], "recency.brier": [0.0]}
    )


def test_a_model_that_fails_one_locale_is_refused_although_it_gains_on_average():
    """One customer in ten is 'zh' and is given the probability of another of them: it costs their variance, 0.046."""
    rng = np.random.default_rng(6)
    chance, is_zh = rng.beta(0.5, 2.0, 12_000), np.arange(12_000) % 10 == 3
    said = chance.copy()
    said[is_zh] = rng.permutation(said[is_zh])
    base = {"recency": six_folds(np.full(chance.size, chance.mean()), chance)}
    slices = pd.DataFrame(
        {
            "test_cutoff": np.repeat([str(day) for day in JUDGED], 2_000),
            "tenure": "old",
            "lifecycle_stage": "active",
            "locale": np.where(is_zh, "zh", "en"),
        }
    )
    for probability, verdict in ((chance, True), (said, False)):
        tried = six_folds(probability, chance)
        table = slice_table(slices, JUDGED, {"": tried} | base)
        found = review(tried, base, table, np.split(probability, 6), None)
        assert found.is_promoted == verdict, found.reason
    assert found.reason.startswith("slice locale=zh: brier is 0.0")
    assert found.reason.endswith("worse than recency, more than 0.005 is refused")


def test_a_model_that_ranks_well_and_says_too_much_is_refused_by_its_calibration():
    chance = np.random.default_rng(4).beta(0.5, 2.0, 12_000)
    base = {"recency": six_folds(np.full(chance.size, chance.mean()), chance)}
    loud = chance / (chance + 0.7 * (1 - chance))
    for said, verdict in ((chance, True), (loud, False)):
        tried = six_folds(said, chance)
        found = review(tried, base, no_slices(), np.split(said, 6), None)
        assert found.is_promoted == verdict, found.reason
    assert found.reason.startswith("calibration error 0.04")
    assert found.reason.endswith("is above the bar of 0.0300")


def test_chance_explains_as_much_calibration_error_as_outcomes_drawn_one_by_one_show():
    rng = np.random.default_rng(5)
    folds = [rng.beta(0.5, 2.0, 200) for _ in range(6)]
    drawn = [
        np.mean([expected_calibration_error(rng.random(200) < fold, fold) for fold in folds])
        for _ in range(1000)
    ]
    assert calibration_error_by_chance(folds, seed=1) == pytest.approx(np.quantile(drawn, 0.95), rel=0.04)


def test_slices_add_up_to_the_brier_score_one_works_out_by_hand():
    """Two customers at each of two cut-offs: 'de' misses by 0.1 and 0.3, 'en' by 0.5 and 0.5."""
    days = JUDGED[-2:]
    slices = pd.DataFrame(
        {
            "test_cutoff": [str(days[0])] * 2 + [str(days[1])] * 2,
            "tenure": "old",
            "lifecycle_stage": "active",
            "locale": ["de", "en", "en", "de"],
        }
    )
    truth = np.array([True, False, True, False])
    ours = Tried({}, truth, np.array([0.9, 0.5, 0.5, 0.3]))
    theirs = Tried({}, truth, np.array([0.5, 0.4, 0.6, 0.5]))
    means = slice_means(slice_table(slices, days, {"": ours, "recency": theirs})).set_index("slice")
    assert means.loc["locale=de", "brier"] == pytest.approx((0.1**2 + 0.3**2) / 2)
    assert means.loc["locale=en", "brier"] == pytest.approx(0.25)
    assert means.loc["locale=en", "recency.brier"] == pytest.approx(0.16)
    everybody = means.loc["tenure=old"]
    assert (everybody["customers_count"], everybody["lapsed_count"]) == (4, 2)


def zh(**changed):
    """Two cut-offs of a slice just large enough to be judged, and what the test makes of it."""
    rows = {"customers_count": [100, 100], "lapsed_count": [15, 15], "recency.brier": [0.1, 0.1]}
    return pd.DataFrame({"slice": "locale=zh", "test_cutoff": ["a", "b"]} | rows | changed)


def test_a_slice_too_small_to_judge_is_shown_and_refuses_nobody():
    assert worst_slice(zh(brier=[0.196, 0.2])) == (
        "slice locale=zh: brier is 0.0980 worse than recency, more than 0.005 is refused"
    )
    for fewer in ({"customers_count": [99, 100]}, {"lapsed_count": [15, 14]}, {"lapsed_count": [85, 86]}):
        assert worst_slice(zh(brier=[0.196, 0.2], **fewer)) is None


def test_a_slice_worse_by_chance_or_by_little_refuses_nobody():
    assert worst_slice(zh(brier=[0.104, 0.104])) is None  # within the margin
    assert worst_slice(zh(brier=[0.09, 0.2])) is None  # 0.045 worse on average, with an interval far below 0


def test_the_slices_of_customers_are_read_from_the_examples():
    found = slice_frame(simulated_examples())
    assert set(found["tenure"]) == {"old"}  # 200 days
    assert set(found["locale"]) == {"en", "de", "zh"}
    assert len(found) == 200 * len(CUTOFFS)


def test_the_judged_cut_offs_are_the_last_six():
    folds = rolling_folds(CUTOFFS, 28)
    assert [fold.test for fold in folds[-6:]] == JUDGED
