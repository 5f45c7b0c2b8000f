"""The terms of a day: the shop's settings, and of the chance to keep a would-be lapser what its own warnings have shown."""

from dataclasses import replace
from datetime import date

import pyarrow as pa

from core.logging import get_logger
from core.published import Published
from core.settings import Settings
from ml.churn.money import Experiment, Terms, chance_to_keep
from ml.tables import CHURN_WARNING_FIGURES

log = get_logger(__name__)
COLUMNS = ["churn_band", "ladder_step", "treatment", "closed_count", "bought_count"]
ANY = "any"


def terms_of(settings: Settings, published: Published, as_of: date) -> Terms:
    """Return the terms of a day; no figure of the day itself counts, so that scoring it again changes nothing."""
    terms, day = Terms.of(settings), day_of_figures(published, as_of)
    found = None if day is None else experiment(published.read(CHURN_WARNING_FIGURES, day, COLUMNS))
    if found is None:
        return terms
    chance = chance_to_keep(terms.chance, found)
    log.info("chance to keep a would-be lapser", as_of_date=str(as_of), stated=terms.chance, learnt=chance)
    return replace(terms, chance=chance)


def day_of_figures(published: Published, as_of: date) -> date | None:
    """Return the newest day before `as_of` of which figures of warnings are published, or None."""
    return max((day for day in published.days(CHURN_WARNING_FIGURES) if day < as_of), default=None)


def experiment(figures: pa.Table) -> Experiment | None:
    """Return who was treated and who was held out at random among closed warnings, and how many bought; None: not both.

    `figures`: `churn_warning_figures`, of which the rows over all bands and steps of the ladder count.
    """
    counts = {
        row["treatment"]: (row["closed_count"], row["bought_count"])
        for row in figures.to_pylist()
        if row["churn_band"] == ANY and row["ladder_step"] == ANY
    }
    treated, held_out = counts.get("planned", (0, 0)), counts.get("held_out", (0, 0))
    return Experiment(*treated, *held_out) if treated[0] and held_out[0] else None
