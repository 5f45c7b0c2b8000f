"""The bar a candidate must pass to reach customers. Arithmetic only; the registry acts on the verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ml.evaluation import t_interval

Figures = Mapping[str, Sequence[float]]
"""Metric → one value per judged fold, oldest first."""


@dataclass(frozen=True)
class Bar:
    """What a metric must show against every baseline.

    The mean over the folds must be better by more than `margin`; where `in_every_fold`, no single fold may be
    worse than the baseline's; where `beyond_chance`, the 95 % interval of the gains, paired by fold, must lie above 0.
    """

    metric: str
    margin: float
    is_loss: bool = False
    in_every_fold: bool = True
    beyond_chance: bool = False


@dataclass(frozen=True)
class Verdict:
    is_promoted: bool
    reason: str


def judge(candidate: Figures, baselines: Mapping[str, Figures], bars: Sequence[Bar]) -> Verdict:
    """Compare a candidate with each baseline on each bar; the reason names the first one it fails.

    Raises
    ------
    ValueError
        If there is no baseline, no bar or no fold to compare on: a bar that nothing was held against is no bar.
    """
    if not baselines or not bars or not all(candidate[bar.metric] for bar in bars):
        raise ValueError("a candidate needs at least one baseline, one bar and one judged fold")
    for bar in bars:
        for name, baseline in baselines.items():
            pairs = list(zip(candidate[bar.metric], baseline[bar.metric], strict=True))
            gains = [(theirs - ours) if bar.is_loss else (ours - theirs) for ours, theirs in pairs]
            gain = sum(gains) / len(gains)
            if not gain > bar.margin:
                found = f"{bar.metric} gains {gain:+.4f} over {name}, more than {bar.margin} is needed"
                return Verdict(False, found)
            if bar.in_every_fold and min(gains) < 0:
                worse = gains.index(min(gains)) + 1
                found = f"{bar.metric} is {-min(gains):.4f} worse than {name} in fold {worse} of {len(gains)}"
                return Verdict(False, found)
            low, high = t_interval(np.array(gains))
            if bar.beyond_chance and not low > 0:
                found = f"{bar.metric} gains {gain:+.4f} over {name}, but its 95 % interval over {len(gains)} folds ({low:+.4f} to {high:+.4f}) holds 0"
                return Verdict(False, found)
    names = ", ".join(baselines)
    return Verdict(
        True, f"beats {names} on " + ", ".join(f"{bar.metric} (by > {bar.margin})" for bar in bars)
    )
