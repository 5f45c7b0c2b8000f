"""Two judged versions side by side, from the figures they logged: nothing is fitted or scored again."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from core.errors import ModelRefused
from ml.churn.trial import METRICS
from ml.evaluation import Floats, t_interval
from ml.registry import LoggedModel, Registry

CUTOFF = "test_cutoff"
EVERYBODY = "everybody"
Row = dict[str, object]


def compare(registry: Registry, first: LoggedModel, second: LoggedModel) -> list[Row]:
    """Return a row per figure and slice: both versions' means, the second less the first, and its 95 % interval.

    Means and differences are over the cut-offs at which both were judged. Where there is none (versions trained an odd
    number of weeks apart), each mean is over the version's own and there is no difference.

    Raises
    ------
    ModelRefused
        If one of them was not judged.
    """
    folds, slices = (
        [_table(registry, each, name) for each in (first, second)] for name in ("folds", "slices")
    )
    rows = [_row(EVERYBODY, metric, *folds) for metric in METRICS]
    return rows + list(_slice_rows(*slices))


def _table(registry: Registry, model: LoggedModel, title: str) -> pd.DataFrame:
    found = registry.document(model, title)
    if found is None:
        raise ModelRefused(
            f"version {model.version} of '{model.model_name}' has no table '{title}': it was not judged, or by an older Lapwing; "
            "train again"
        )
    return pd.DataFrame(found["data"], columns=found["columns"])


def _slice_rows(first: pd.DataFrame, second: pd.DataFrame) -> Iterator[Row]:
    for name in sorted(set(first["slice"]) & set(second["slice"])):
        yield _row(name, "brier", first[first["slice"] == name], second[second["slice"] == name])


def _row(name: str, metric: str, first: pd.DataFrame, second: pd.DataFrame) -> Row:
    ours, theirs = (each.set_index(CUTOFF)[metric] for each in (first, second))
    common = ours.index.intersection(theirs.index)
    if not len(common):
        return _told(name, metric, (ours.mean(), theirs.mean()), np.empty(0))
    ours, theirs = ours[common], theirs[common]
    return _told(name, metric, (ours.mean(), theirs.mean()), (theirs - ours).to_numpy(dtype=np.float64))


def _told(name: str, metric: str, means: tuple[float, float], gains: Floats) -> Row:
    low, high = t_interval(gains)
    is_bounded = len(gains) > 1
    return {
        "slice": name,
        "figure": metric,
        "first": float(means[0]),
        "second": float(means[1]),
        "difference": float(gains.mean()) if len(gains) else None,
        "low": low if is_bounded else None,
        "high": high if is_bounded else None,
        "cutoffs": len(gains),
    }
