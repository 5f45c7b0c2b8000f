"""What warnings of a churn model earn under the shop's terms: thresholds chosen on early folds, judged on the last ones.

Nobody was treated in those folds. *Expected* profit believes the model; *realised* profit takes who lapsed from what happened
and, of those, the stated chance to keep one: it shows what wrong probabilities cost, not whether the incentive works.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from matplotlib.figure import Figure

from ml.churn.money import (
    Terms,
    best_threshold,
    break_even,
    expected_profit,
    mean_stake,
    profit_curve,
    value_at_stake,
)
from ml.churn.trial import Examples, Walk
from ml.evaluation import Bools, Floats, best_f1_threshold
from ml.figures import confusion_figure, gains_figure, lift_figure, profit_figure
from ml.training import Training
from ml.windows import Fold

OWN = "own_profit"
"""The rule of the campaigns: whose own expected profit is above 0, whatever their probability."""
BEST = "best_profit"
"""The one threshold on the probability that would have brought most."""


@dataclass(frozen=True)
class Stakes:
    """Customers of some folds: who lapsed, what the model had said, and what was at stake in cents; each of shape (n,)."""

    truth: Bools
    probability: Floats
    stake_cents: Floats

    @classmethod
    def of(
        cls, walked: Walk, members: Sequence[str], examples: Examples, folds: Sequence[Fold], terms: Terms
    ) -> "Stakes":
        """Take a candidate's predictions of folds that it had not seen, fold after fold."""
        days = [fold.test for fold in folds]
        stakes = [
            value_at_stake(examples.at([day]).features, walked.horizon_days, terms.margin_share)
            for day in days
        ]
        return cls(
            np.concatenate([walked.truth[day] for day in days]),
            np.concatenate([walked.probability(members, day) for day in days]),
            np.concatenate(stakes),
        )

    def expected(self, terms: Terms) -> Floats:
        """Return each customer's profit if the model is right, in cents."""
        return expected_profit(self.probability, self.stake_cents, terms)

    def realised(self, terms: Terms) -> Floats:
        """Return each customer's profit given who lapsed, in cents."""
        return expected_profit(self.truth.astype(np.float64), self.stake_cents, terms)


def with_profit(training: Training, early: Stakes, late: Stakes, terms: Terms) -> Training:
    """Return the record of a training with what its warnings earn: thresholds of early folds, judged on late ones."""
    chosen = thresholds(early, terms)
    return replace(
        training,
        parameters=dict(training.parameters) | asdict(terms),
        figures=dict(training.figures) | profit_figures(chosen, late, terms),
        drawings=dict(training.drawings) | profit_drawings(chosen, late, terms),
    )


def thresholds(earlier: Stakes, terms: Terms) -> dict[str, float]:
    """Return probabilities from which to treat, by name, learnt from earlier folds."""
    return {
        BEST: best_threshold(earlier.probability, earlier.expected(terms)),
        # Where the band *high* begins: it pays with what is at stake on average with somebody who lapses.
        "high_band": break_even(mean_stake(earlier.probability, earlier.stake_cents), terms),
        "half": 0.5,
        "best_f1": best_f1_threshold(earlier.truth, earlier.probability),
        "everyone": 0.0,
    }


def profit_figures(chosen: Mapping[str, float], judged: Stakes, terms: Terms) -> dict[str, float]:
    """Return the thresholds, and for each what treating by it earns, in cents per 1,000 customers."""
    figures = {f"threshold/{name}": value for name, value in chosen.items() if np.isfinite(value)}
    kinds = {"expected": judged.expected(terms), "realised": judged.realised(terms)}
    for name, rows in _treated(chosen, judged, terms).items():
        figures[f"treated_share/{name}"] = float(rows.mean())
        for kind, profit in kinds.items():
            earned = 1000.0 * float(profit[rows].sum()) / len(profit)
            figures[f"{kind}_profit_per_1000_cents/{name}"] = earned
    return figures


def profit_drawings(chosen: Mapping[str, float], judged: Stakes, terms: Terms) -> dict[str, Figure]:
    """Return the profit curves, lift and gains of the warnings, and the confusion matrix at the best threshold."""
    expected, realised = judged.expected(terms), judged.realised(terms)
    per_cent = 1000.0 / len(expected)
    curves = {
        f"{kind}, ranked by {ranking}": per_cent * profit_curve(score, profit)
        for ranking, score in (("probability", judged.probability), ("own profit", expected))
        for kind, profit in (("expected", expected), ("realised", realised))
    }
    marks = {
        name: (float(rows.mean()), per_cent * float(realised[rows].sum()))
        for name, rows in _treated(chosen, judged, terms).items()
    }
    rankings = {"by probability": judged.probability, "by own profit": expected}
    return {
        "profit": profit_figure(curves, marks),
        "gains": gains_figure(judged.truth, rankings),
        "lift": lift_figure(judged.truth, rankings),
        "confusion": confusion_figure(judged.truth, judged.probability >= chosen[BEST], chosen[BEST]),
    }


def _treated(chosen: Mapping[str, float], judged: Stakes, terms: Terms) -> dict[str, Bools]:
    by_threshold = {name: judged.probability >= value for name, value in chosen.items()}
    return {OWN: judged.expected(terms) > 0.0} | by_threshold
