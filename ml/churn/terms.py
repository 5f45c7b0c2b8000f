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
COLUMNS = ["churn_band", "ladder_step", "treatment", "closed_count", "mailed_count", "bought_count"]
ANY, ASSIGNED, HELD_OUT = "any", "assigned", "held_out"


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
    """Return who was to be treated and who was held out, by one draw, among closed warnings, and what came of it; None: not both.

    `figures`: `churn_warning_figures`, of which the rows over all bands and steps of the ladder count.
    """
    rows = {
        row["treatment"]: row
        for row in figures.to_pylist()
        if row["churn_band"] == ANY and row["ladder_step"] == ANY and row["closed_count"]
    }
    if not {ASSIGNED, HELD_OUT} <= rows.keys() or not rows[ASSIGNED]["mailed_count"]:
        return None
    assigned, held_out = rows[ASSIGNED], rows[HELD_OUT]
    return Experiment(
        assigned=assigned["closed_count"],
        treated=assigned["mailed_count"],
        assigned_bought=assigned["bought_count"],
        held_out=held_out["closed_count"],
        held_out_bought=held_out["bought_count"],
    )
