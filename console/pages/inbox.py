"""`/`: the mails of a day, a list and a preview side by side, as in a mail program."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import HTMLResponse

from console.mailbox import MailHead
from console.pages.mail import shown_mail
from console.readers import Readers
from console.rendering import Pages, parsed_day

PAGE_LENGTH = 50
VIEWS = ("preview", "text", "headers")


@dataclass(frozen=True)
class Entry:
    """A mail of the list. A mail the ledger does not know has no customer and the state `unknown`."""

    head: MailHead
    as_of_date: date
    customer_id: str
    state: str


@dataclass(frozen=True)
class Line:
    """What one line of the list shows beside its entry."""

    entry: Entry
    preheader: str
    locale: str
    address: str


@dataclass(frozen=True)
class Choice:
    """What the page's address asks for."""

    day: date | None
    campaign: str
    customer: str
    page: int

    def address(self, **changes: object) -> str:
        """Return the inbox's address for this choice with some parts changed; empty parts are left out."""
        day = "" if self.day is None else self.day
        parts = {
            "day": day,
            "campaign": self.campaign,
            "customer": self.customer,
            "page": self.page,
        } | changes
        kept = {name: value for name, value in parts.items() if value and (name, value) != ("page", 1)}
        return "/?" + urlencode(kept) if kept else "/"


def router(readers: Readers, pages: Pages) -> APIRouter:
    """Return the route of the inbox."""
    routes = APIRouter()

    @routes.get("/", response_class=HTMLResponse)
    def inbox(
        request: Request,
        day: str = "",
        campaign: Annotated[str, Query(max_length=64)] = "",
        customer: Annotated[str, Query(max_length=64)] = "",
        mail: str = "",
        view: str = "preview",
        page: Annotated[int, Query(ge=1, le=100_000)] = 1,
    ) -> HTMLResponse:
        entries = _entries(readers)
        if not entries:
            return pages.render(request, "no_mail.html")
        days = sorted({entry.as_of_date for entry in entries}, reverse=True)
        choice = Choice(_chosen_day(day, customer, days), campaign, customer.strip(), page)
        of_day = [entry for entry in entries if choice.day in {None, entry.as_of_date}]
        matching = [entry for entry in of_day if _matches(entry, choice)]
        listed = matching[(page - 1) * PAGE_LENGTH : page * PAGE_LENGTH]
        opened = mail or (listed[0].head.send_id if listed else "")
        return pages.render(
            request,
            "inbox.html",
            choice=choice,
            days=days,
            campaigns=_counts(of_day),
            lines=_lines(readers, listed, choice, view),
            total=len(matching),
            pages_count=max(1, -(-len(matching) // PAGE_LENGTH)),
            opened=_opened(readers, opened),
            is_chosen=bool(mail),
            view=view if view in VIEWS else VIEWS[0],
            views=VIEWS,
            sent_count=_sent_count(readers, choice.day),
            arrived_count=len({entry.head.send_id for entry in of_day}),
            delivered_count=len(of_day),
        )

    return routes


def _opened(readers: Readers, send_id: str) -> object:
    if not send_id:
        return None
    found = shown_mail(readers, send_id)
    if found is None:
        raise HTTPException(404, f"The inbox has no mail of send {send_id[:40]}.")
    return found


def _entries(readers: Readers) -> list[Entry]:
    """Return all mails, newest first, each with what the ledger says of it."""
    heads = readers.mailbox.heads()
    known = readers.ledger.sends({head.send_id for head in heads})
    entries = []
    for head in sorted(heads, key=lambda head: (head.sent_at, head.send_id), reverse=True):
        record = known.get(head.send_id)
        if record is None:
            entries.append(Entry(head, head.sent_at.date(), "", "unknown"))
        else:
            entries.append(Entry(head, record.as_of_date, record.customer_id, record.state))
    return entries


def _chosen_day(text: str, customer: str, days: Sequence[date]) -> date | None:
    if not text:
        return None if customer.strip() else days[0]
    day = parsed_day(text)
    if day not in days:
        raise HTTPException(
            404, f"The inbox has no mail of the day “{text[:40]}”; it has {days[-1]} to {days[0]}."
        )
    return day


def _matches(entry: Entry, choice: Choice) -> bool:
    is_campaign = choice.campaign in {"", entry.head.campaign_id}
    return is_campaign and choice.customer in {"", entry.customer_id}


def _counts(entries: Sequence[Entry]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for campaign_id in sorted(entry.head.campaign_id for entry in entries):
        counts[campaign_id] = counts.get(campaign_id, 0) + 1
    return counts


def _lines(readers: Readers, entries: Sequence[Entry], choice: Choice, view: str) -> list[Line]:
    locales: dict[str, str] = {}
    for day in {entry.as_of_date for entry in entries}:
        send_ids = [entry.head.send_id for entry in entries]
        rows = readers.snapshots.rows(
            "campaign_plan", day, ("send_id", "in", send_ids), columns=["send_id", "locale"]
        )
        locales |= {row["send_id"]: row["locale"] for row in rows}
    shown_view = "" if view == VIEWS[0] else view
    return [
        Line(
            entry,
            readers.mailbox.preheader(entry.head),
            locales.get(entry.head.send_id, ""),
            choice.address(mail=entry.head.send_id, view=shown_view),
        )
        for entry in entries
    ]


def _sent_count(readers: Readers, day: date | None) -> int | None:
    if day is None:
        return None
    counts = readers.ledger.state_counts()
    return sum(row.count for row in counts if row.as_of_date == day and row.state == "sent")
