"""What a churn model must show before it may reach customers. Each rule refuses with a sentence of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa

from ml.churn.leaks import find_leak
from ml.churn.slices import slice_frame, worst_slice
from ml.churn.trial import Examples, Tried
from ml.evaluation import Floats, calibration_error_by_chance
from ml.promotion import Bar, Verdict, judge
from ml.provenance import SEED
from ml.tables import AS_OF_DATE

BARS = [
    # Between fortnights the gain over recency (mean 0.055 on Complete Journey) has a standard deviation of 0.007:
    # a gain below 0.01 could be luck.
    Bar("pr_auc", margin=0.01, beyond_chance=True),
    # Campaigns compare the probability with bands, so it must also be nearer to what happened.
    Bar("brier", margin=0.0, is_loss=True, in_every_fold=False, beyond_chance=True),
]
CALIBRATION_BAR = 0.03


@dataclass(frozen=True)
class Evidence:
    """What a review reads besides figures.

    `slices`: of every example (`slice_frame`). `leak`: what knows the future, as a sentence, or None. `probed_cutoff`: whose
    features were compared with what was published on its own day; None: there was none such.
    """

    examples: Examples
    slices: pd.DataFrame
    leak: str | None
    probed_cutoff: date | None

    @classmethod
    def of(
        cls, table: pa.Table, examples: Examples, days: Sequence[date], then: pa.Table | None
    ) -> "Evidence":
        """Look for leaks at the judged cut-offs; `then` as in `ml.churn.leaks.find_leak`."""
        probed = then.column(AS_OF_DATE)[0].as_py() if then is not None and len(then) else None
        return cls(examples, slice_frame(table), find_leak(table, examples, days, then), probed)


def review(
    tried: Tried,
    baselines: Mapping[str, Tried],
    slices: pd.DataFrame,
    by_cutoff: list[Floats],
    leak: str | None,
) -> Verdict:
    """Return the verdict on a model that was judged; where several rules refuse it, the reason has all their sentences.

    Parameters
    ----------
    slices
        From `ml.churn.slices.slice_table`.
    by_cutoff
        The model's probabilities at each judged cut-off, shape (n,) each.
    leak
        What `ml.churn.leaks` found.
    """
    gained = judge(tried.figures, {name: found.figures for name, found in baselines.items()}, BARS)
    refusals = [
        leak,
        None if gained.is_promoted else gained.reason,
        worst_slice(slices),
        _miscalibrated(tried, by_cutoff),
    ]
    said = [each for each in refusals if each is not None]
    return Verdict(False, "; ".join(said)) if said else gained


def _miscalibrated(tried: Tried, by_cutoff: list[Floats]) -> str | None:
    found = float(np.mean(tried.figures["ece"]))
    allowed = max(CALIBRATION_BAR, calibration_error_by_chance(by_cutoff, seed=SEED))
    # not (found <= allowed): it also refuses what is not a number
    return None if found <= allowed else f"calibration error {found:.4f} is above the bar of {allowed:.4f}"
