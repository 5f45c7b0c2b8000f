"""Renders the templates, with the names and filters they all share."""

from datetime import date
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from console import words
from core.settings import Settings

TEMPLATES = Path(__file__).parent / "templates"
PALETTE_SIZE = 6  # colours in console.css: .c0 to .c5


class Pages:
    """Turns a template and what it shows into an answer. Everything is escaped; a missing name raises."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {
            "humanised": words.humanised,
            "day": words.day,
            "clock_time": words.clock_time,
            "exact_time": words.exact_time,
            "percent": words.percent,
            "compact": words.compact,
            "duration": words.duration,
            "colour": colour,
        }

    def render(self, request: Request, template: str, /, *, status: int = 200, **shown: Any) -> HTMLResponse:
        """Return a page.

        Raises
        ------
        jinja2.UndefinedError
            If the template names something that is not shown.
        """
        html = self._environment.get_template(template).render(
            path=request.url.path,
            is_replay=self._settings.replay,
            has_data_docs=(self._settings.data_docs / "index.html").is_file(),
            **shown,
        )
        return HTMLResponse(html, status_code=status)


def colour(campaign_id: str) -> str:
    """Return the colour class of a campaign: the first three by name, others by their letters, always the same."""
    known = {"winback": 0, "picked_for_you": 1, "restock": 2}
    number = known.get(campaign_id, 3 + sum(campaign_id.encode()) % (PALETTE_SIZE - 3))
    return f"c{number}"


def parsed_day(text: str) -> date | None:
    """Return the day written as 2017-12-04, or None for anything else."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
