"""Cut-offs, label windows and folds over time: the only place of `ml` that knows the calendar.

One example runs through this module: a horizon of 28 days, trained as of 4 December 2017. The last cut-off whose
label window [6 November, 4 December) has closed is 6 November; from there the grid goes back in steps of 14 days.
A model tested at 6 November must not know how the customers of 23 October turned out: that window closes on
20 November. It learns from 9 October and earlier.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

CUTOFF_EVERY_DAYS = 14
LEAST_TRAIN_CUTOFFS = 6  # three months of fortnights: fewer, and a model learns one season's habit
LEAST_HISTORY = timedelta(days=84)
"""From a shop's first order to its first cut-off: twelve weeks make a rhythm."""


@dataclass(frozen=True)
class Fold:
    """A test cut-off and the cut-offs a model tested there may learn from, oldest first."""

    train: list[date]
    test: date


def has_closed(cutoff: date, horizon_days: int, *, by: date) -> bool:
    """Say whether the label window [cutoff, cutoff + horizon) lies wholly before `by`.

    >>> has_closed(date(2017, 11, 6), 28, by=date(2017, 12, 4))
    True
    >>> has_closed(date(2017, 11, 7), 28, by=date(2017, 12, 4))
    False
    """
    return cutoff + timedelta(days=horizon_days) <= by


def training_cutoffs(
    as_of: date, horizon_days: int, *, first: date, every_days: int = CUTOFF_EVERY_DAYS
) -> list[date]:
    """Return the cut-offs to learn from as of a day, oldest first: counted back from `as_of - horizon`.

    None lies before `first`, so that the earliest customers have some history.

    >>> [str(day) for day in training_cutoffs(date(2017, 12, 4), 28, first=date(2017, 10, 9))]
    ['2017-10-09', '2017-10-23', '2017-11-06']
    """
    days = []
    cutoff = as_of - timedelta(days=horizon_days)
    while cutoff >= first:
        days.append(cutoff)
        cutoff -= timedelta(days=every_days)
    return days[::-1]


def rolling_folds(
    cutoffs: Sequence[date], horizon_days: int, *, least_train: int = LEAST_TRAIN_CUTOFFS
) -> list[Fold]:
    """Return a fold for every cut-off that has enough closed cut-offs to learn from, oldest first.

    >>> days = training_cutoffs(date(2017, 12, 4), 28, first=date(2017, 9, 25))
    >>> fold = rolling_folds(days, 28, least_train=2)[-1]
    >>> str(fold.test), [str(day) for day in fold.train]
    ('2017-11-06', ['2017-09-25', '2017-10-09'])
    """
    folds = [
        Fold([day for day in sorted(cutoffs) if has_closed(day, horizon_days, by=test)], test)
        for test in sorted(cutoffs)
    ]
    return [fold for fold in folds if len(fold.train) >= least_train]


def adjoining_cutoffs(as_of: date, horizon_days: int, *, count: int) -> list[date]:
    """Return `count` cut-offs whose label windows adjoin and end at `as_of`, oldest first.

    >>> [str(day) for day in adjoining_cutoffs(date(2018, 1, 1), 28, count=3)]
    ['2017-10-09', '2017-11-06', '2017-12-04']
    """
    return [as_of - timedelta(days=horizon_days * back) for back in range(count, 0, -1)]


def window(cutoff: date, horizon_days: int) -> tuple[date, date]:
    """Return the label window of a cut-off: its first day and the day after its last."""
    return cutoff, cutoff + timedelta(days=horizon_days)


def days_before(day: date, count: int) -> date:
    return day - timedelta(days=count)


def choosing_and_judging(
    folds: Sequence[Fold], horizon_days: int, *, judged: int, choosing: int
) -> tuple[list[Fold], list[Fold]]:
    """Split folds: early ones on which candidates compete, the last `judged` on which the winner is held to the bar.

    The choice must be one that could have been made then: a choosing fold's label window has closed by the first
    judged cut-off. With few folds at least one is kept for choosing; without two that far apart both are empty.
    """
    for count in range(judged, 0, -1):
        last = list(folds[-count:])
        early = [fold for fold in folds if has_closed(fold.test, horizon_days, by=last[0].test)]
        if early:
            return early[-choosing:], last
    return [], []
