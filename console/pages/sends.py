"""`/sends`: how sending goes just now, how many sends of each day and campaign are in which state, which need a look.

`/sends/now` is the first part alone, for the page to put in place of its own while somebody looks.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from console.ledger import StateCount
from console.readers import Readers
from console.rendering import Pages
from console.words import STATES
from core.logging import without_addresses

TROUBLED_SHOWN = 100


@dataclass(frozen=True)
class SendsLine:
    """The sends of a campaign on one day, counted by state."""

    as_of_date: date
    campaign_id: str
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def router(readers: Readers, pages: Pages) -> APIRouter:
    """Return the route of the sends."""
    routes = APIRouter()

    @routes.get("/sends", response_class=HTMLResponse)
    def sends(request: Request) -> HTMLResponse:
        counts = readers.ledger.state_counts()
        seen = {row.state for row in counts}
        troubled = readers.ledger.troubled(TROUBLED_SHOWN)
        return pages.render(
            request,
            "sends.html",
            lines=_lines(counts),
            states=[state for state in STATES if state in seen] + sorted(seen - STATES.keys()),
            meanings=STATES,
            troubled=[(record, without_addresses(record.reply or "")) for record in troubled],
            shown_limit=TROUBLED_SHOWN,
            sending=readers.ledger.sending(readers.settings),
        )

    @routes.get("/sends/now", response_class=HTMLResponse)
    def now(request: Request) -> HTMLResponse:
        return pages.render(request, "_sending.html", sending=readers.ledger.sending(readers.settings))

    return routes


def _lines(counts: Sequence[StateCount]) -> list[SendsLine]:
    lines: dict[tuple[date, str], SendsLine] = {}
    for row in counts:
        key = (row.as_of_date, row.campaign_id)
        line = lines.setdefault(key, SendsLine(*key))
        line.counts[row.state] = row.count
    return list(lines.values())
