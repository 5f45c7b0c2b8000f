import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from ml.evaluation import (
    bootstrap_interval,
    brier,
    calibration_bins,
    expected_calibration_error,
    ndcg_at_k,
    pr_auc,
    recall_at_k,
    roc_auc,
)

RNG = np.random.default_rng(3)


def test_roc_auc_is_the_share_of_pairs_in_the_right_order():
    truth, scores = RNG.random(60) < 0.4, RNG.integers(0, 8, 60) / 8
    pairs = [(yes > no) + 0.5 * (yes == no) for yes in scores[truth] for no in scores[~truth]]
    assert roc_auc(truth, scores) == pytest.approx(np.mean(pairs))


def test_pr_auc_sums_precision_at_each_found_customer():
    truth, scores = RNG.random(60) < 0.4, RNG.permutation(60) / 60
    ranked = truth[np.argsort(-scores)]
    precision = np.cumsum(ranked) / np.arange(1, 61)
    assert pr_auc(truth, scores) == pytest.approx(precision[ranked].mean())


def test_a_model_that_says_the_share_to_everybody_is_calibrated_and_no_sharper_than_the_share():
    truth = np.tile([True, False, False, False], 50)
    said = np.full(200, 0.25)
    assert expected_calibration_error(truth, said) == pytest.approx(0.0)
    assert brier(truth, said) == pytest.approx(0.25 * 0.75)


def test_calibration_bins_hold_equal_counts_and_fewer_customers_make_fewer_bins():
    assert [count for _, _, count in calibration_bins(RNG.random(95) < 0.5, RNG.random(95))] == [10] * 5 + [
        9
    ] * 5
    assert len(calibration_bins(np.array([True, False]), np.array([0.9, 0.1]))) == 2


def test_ndcg_agrees_with_scikit_learn():
    scores, relevant = RNG.random((8, 40)), (RNG.random((8, 40)) < 0.2)
    relevant[:, 0] = True
    top = np.argsort(-scores, axis=1)[:, :20]
    hits = np.take_along_axis(relevant, top, axis=1)
    expected = [ndcg_score([truth], [given], k=20) for truth, given in zip(relevant, scores, strict=True)]
    assert ndcg_at_k(hits, relevant.sum(axis=1)) == pytest.approx(expected)


def test_a_list_of_nothing_but_hits_is_perfect_also_when_more_was_bought():
    hits = np.ones((1, 3), dtype=bool)
    assert ndcg_at_k(hits, np.array([5])) == pytest.approx([1.0])
    assert recall_at_k(hits, np.array([5])) == pytest.approx([3 / 5])


def test_the_bootstrap_interval_is_as_wide_as_the_normal_one_for_many_values():
    values = RNG.normal(1.0, 2.0, 4000)
    low, high = bootstrap_interval(values, seed=1)
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.01)
    assert bootstrap_interval(values, seed=1) == (low, high)
