import doctest
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ml.churn.models
import ml.evaluation
import ml.recommend.metrics
import ml.segments.features
import ml.segments.fitting
import ml.segments.matching
import ml.segments.models
import ml.segments.rfm
import ml.segments.trial
import ml.text.models
import ml.text.trial
import ml.windows
from ml.windows import adjoining_cutoffs, choosing_and_judging, rolling_folds, training_cutoffs

AS_OF = date(2017, 12, 4)


SEGMENTS = [
    ml.segments.features,
    ml.segments.fitting,
    ml.segments.matching,
    ml.segments.models,
    ml.segments.rfm,
    ml.segments.trial,
]
TEXT = [ml.text.models, ml.text.trial]


@pytest.mark.parametrize(
    "module", [ml.windows, ml.evaluation, ml.churn.models, ml.recommend.metrics, *SEGMENTS, *TEXT]
)
def test_examples_in_docstrings_hold(module):
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0


@settings(deadline=None, max_examples=50)  # the machine's pace is not what is tested
@given(
    horizon=st.integers(1, 60), every=st.integers(3, 30), span=st.integers(0, 200), least=st.integers(1, 5)
)
def test_no_fold_learns_from_a_label_window_that_was_still_open_at_its_test(horizon, every, span, least):
    cutoffs = training_cutoffs(AS_OF, horizon, first=AS_OF - timedelta(days=span), every_days=every)
    for fold in rolling_folds(cutoffs, horizon, least_train=least):
        assert len(fold.train) >= least
        assert all(day + timedelta(days=horizon) <= fold.test for day in fold.train)


@settings(deadline=None, max_examples=50)  # the machine's pace is not what is tested
@given(horizon=st.integers(1, 60), every=st.integers(3, 30), span=st.integers(0, 200))
def test_every_training_window_has_closed_and_starts_after_the_first_day(horizon, every, span):
    first = AS_OF - timedelta(days=span)
    cutoffs = training_cutoffs(AS_OF, horizon, first=first, every_days=every)
    assert cutoffs == sorted(cutoffs)
    assert all(first <= day <= AS_OF - timedelta(days=horizon) for day in cutoffs)
    assert {(AS_OF - timedelta(days=horizon) - day).days % every for day in cutoffs} <= {0}


def test_the_choice_is_made_on_windows_that_closed_before_the_first_judged_cutoff():
    folds = rolling_folds(training_cutoffs(AS_OF, 28, first=date(2017, 3, 26)), 28)
    choosing, judged = choosing_and_judging(folds, 28, judged=6, choosing=3)
    assert [str(fold.test) for fold in judged] == [
        "2017-08-28", "2017-09-11", "2017-09-25", "2017-10-09", "2017-10-23", "2017-11-06",
    ]  # fmt: skip
    assert [str(fold.test) for fold in choosing] == ["2017-07-03", "2017-07-17", "2017-07-31"]


def test_too_few_folds_leave_nothing_to_judge():
    folds = rolling_folds(training_cutoffs(AS_OF, 28, first=date(2017, 10, 9)), 28, least_train=1)
    assert len(folds) == 1
    assert choosing_and_judging(folds, 28, judged=6, choosing=3) == ([], [])


def test_windows_of_adjoining_cutoffs_touch_and_end_at_the_day():
    days = adjoining_cutoffs(AS_OF, 28, count=4)
    assert [later - earlier for earlier, later in zip(days, [*days[1:], AS_OF], strict=True)] == [
        timedelta(days=28)
    ] * 4
