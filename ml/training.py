"""What a training hands to the registry: everything a run logs, before anything is logged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from ml.provenance import Source


@dataclass(frozen=True)
class FittedModel:
    """A model, a few inputs and what it answers to them (the signature MLflow shows), and what skops may load."""

    model: Any
    inputs: pd.DataFrame
    answers: Any
    trusted_types: list[str]
    predicts_with: str = "predict"


@dataclass(frozen=True)
class Training:
    """Everything a run logs: enough to repeat it.

    `fold_figures` are the values per judged cut-off behind the means in `figures`; a baseline's are named
    `<baseline>.<metric>`. A table that is a data frame is shown row by row. `fitted` is None where there was too little history to fit anything. `card`: the model
    card of this training, Markdown.
    """

    model_name: str
    source: Source
    method: str
    parameters: Mapping[str, object]
    figures: Mapping[str, float]
    fold_figures: Mapping[str, list[float]]
    tables: Mapping[str, Mapping[str, Any] | pd.DataFrame]
    drawings: Mapping[str, Figure]
    is_promoted: bool
    reason: str
    fitted: FittedModel | None
    card: str = ""


def refused_for_want_of_history(model_name: str, source: Source, reason: str) -> Training:
    """Return the record of a training that could fit nothing; it is logged, and says why."""
    return Training(model_name, source, "none", {}, {}, {}, {}, {}, False, reason, None)


def days_text(days: Sequence[date]) -> str:
    """Return days as one parameter: 2017-10-09, 2017-10-23, …"""
    return ", ".join(str(day) for day in days)


def with_baselines(
    figures: Mapping[str, list[float]], baselines: Mapping[str, Mapping[str, list[float]]]
) -> dict[str, list[float]]:
    """Put the figures of a model and of its baselines, as `<baseline>.<metric>`, into one mapping."""
    theirs = {
        f"{name}.{metric}": values for name, found in baselines.items() for metric, values in found.items()
    }
    return dict(figures) | theirs


def means(fold_figures: Mapping[str, list[float]]) -> dict[str, float]:
    return {name: sum(values) / len(values) for name, values in fold_figures.items()}
