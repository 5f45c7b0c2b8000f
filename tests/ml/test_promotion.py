import pytest

from ml.promotion import Bar, judge

BARS = [Bar("pr_auc", margin=0.01), Bar("brier", margin=0.0, is_loss=True, in_every_fold=False)]
BASELINE = {"pr_auc": [0.50, 0.54], "brier": [0.11, 0.10]}


def moved(pr_auc=(0.0, 0.0), brier=(0.0, 0.0)):
    return {
        "pr_auc": [value + step for value, step in zip(BASELINE["pr_auc"], pr_auc, strict=True)],
        "brier": [value + step for value, step in zip(BASELINE["brier"], brier, strict=True)],
    }


def test_a_model_better_on_every_bar_is_promoted():
    assert judge(moved((0.02, 0.03), (-0.01, 0.0)), {"recency": BASELINE}, BARS).is_promoted


def test_a_model_equal_to_its_baseline_is_refused():
    verdict = judge(BASELINE, {"recency": BASELINE}, BARS)
    assert not verdict.is_promoted
    assert verdict.reason == "pr_auc gains +0.0000 over recency, more than 0.01 is needed"


def test_a_gain_within_the_margin_is_refused():
    assert not judge(moved((0.009, 0.009), (-0.01, -0.01)), {"recency": BASELINE}, BARS).is_promoted


def test_a_model_worse_in_one_fold_is_refused_although_better_on_average():
    verdict = judge(moved((-0.01, 0.09), (-0.01, -0.01)), {"recency": BASELINE}, BARS)
    assert verdict.reason == "pr_auc is 0.0100 worse than recency in fold 1 of 2"


def test_a_better_ranking_with_worse_probabilities_is_refused():
    assert "brier" in judge(moved((0.05, 0.05), (0.01, 0.0)), {"recency": BASELINE}, BARS).reason


def test_every_baseline_must_be_beaten():
    stronger = {"pr_auc": [0.9, 0.9], "brier": [0.2, 0.2]}
    verdict = judge(moved((0.05, 0.05), (-0.01, -0.01)), {"recency": BASELINE, "other": stronger}, BARS)
    assert "over other" in verdict.reason


def test_a_figure_that_is_not_a_number_is_refused():
    assert not judge(moved((float("nan"), 0.5), (-0.01, -0.01)), {"recency": BASELINE}, BARS).is_promoted


@pytest.mark.parametrize(("baselines", "bars"), [({}, BARS), ({"recency": BASELINE}, [])])
def test_nothing_to_hold_a_model_against_is_no_pass(baselines, bars):
    with pytest.raises(ValueError, match="at least one baseline"):
        judge(BASELINE, baselines, bars)


def test_a_gain_that_another_draw_of_folds_could_turn_is_refused():
    """Gains of 0.02, 0.08 and 0.20: mean 0.1, give or take 4.303 * 0.0917 / sqrt(3) = 0.228."""
    base = {"pr_auc": [0.5, 0.5, 0.5]}
    found = {"pr_auc": [0.52, 0.58, 0.70]}
    assert judge(found, {"recency": base}, [Bar("pr_auc", margin=0.01)]).is_promoted
    verdict = judge(found, {"recency": base}, [Bar("pr_auc", margin=0.01, beyond_chance=True)])
    assert verdict.reason == (
        "pr_auc gains +0.1000 over recency, but its 95 % interval over 3 folds (-0.1277 to +0.3277) holds 0"
    )
    steady = {"pr_auc": [0.58, 0.60, 0.62]}
    assert judge(steady, {"recency": base}, [Bar("pr_auc", margin=0.01, beyond_chance=True)]).is_promoted
