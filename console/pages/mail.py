"""`/mail/{send_id}`: a mail, and beside it why this customer, why these products, why now."""

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse

from campaigns.render import LinkAddresses, render
from campaigns.templates import TemplateStore
from console.explain import explain, plan_row
from console.history import history
from console.ledger import SendRecord
from console.mailbox import SEND_ID, Mail, MailHead
from console.preview import safe_html
from console.readers import Readers
from console.rendering import Pages
from console.words import local_time
from core.logging import without_addresses
from core.tokens import Tokens

PREVIEW_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'self'; sandbox"
)


@dataclass(frozen=True)
class ShownMail:
    """A mail as pages show it: no address, no live token. `is_as_sent` None: the ledger kept no digest."""

    head: MailHead
    record: SendRecord | None
    preheader: str
    sender: str
    text: str
    headers: list[tuple[str, str]]
    targets: list[str]
    size_bytes: int
    is_as_sent: bool | None


def shown_mail(readers: Readers, send_id: str) -> ShownMail | None:
    """Return the mail of a send, or None if the inbox has none."""
    found = readers.mailbox.read(send_id)
    if found is None:
        return None
    record = readers.ledger.send(send_id)
    digest = record.message_digest if record else None
    return ShownMail(
        head=found.head,
        record=record,
        preheader=readers.mailbox.preheader(found.head),
        sender=next((value for name, value in found.headers if name.lower() == "from"), "").partition(" <")[
            0
        ],
        text=without_addresses(readers.addresses.readable(found.text)),
        headers=_shown_headers(readers, found),
        targets=list(dict.fromkeys(readers.addresses.targets(found.html).values())),
        size_bytes=found.size_bytes,
        is_as_sent=None if digest is None else digest in found.digests,
    )


def router(readers: Readers, pages: Pages) -> APIRouter:
    """Return the routes of one mail: the why-page and the preview its frames load."""
    routes = APIRouter()

    @routes.get("/mail/{send_id}", response_class=HTMLResponse)
    def why(request: Request, send_id: str) -> HTMLResponse:
        _require_form(send_id)
        record = readers.ledger.send(send_id)
        plan = plan_row(readers, send_id, record.as_of_date if record else None)
        shown = shown_mail(readers, send_id)
        if plan is None and shown is None and record is None:
            raise HTTPException(404, f"No plan, no ledger and no inbox knows the send {send_id}.")
        return pages.render(
            request,
            "mail.html",
            send_id=send_id,
            campaign_id=_campaign_id(plan, record, shown),
            shown=shown,
            record=record,
            why=None if plan is None else explain(readers, plan),
            local_send_time=None
            if plan is None or record is None
            else local_time(record.send_at, plan["time_zone"]),
            moments=[] if record is None else history(readers, record),
        )

    @routes.get("/mail/{send_id}/preview", response_class=HTMLResponse)
    def preview(send_id: str) -> HTMLResponse:
        _require_form(send_id)
        found = readers.mailbox.read(send_id)
        mail = found.html if found else _planned_html(readers, send_id)
        html = safe_html(mail, readers.addresses.leads_to(mail))
        return HTMLResponse(html, headers={"Content-Security-Policy": PREVIEW_POLICY})

    return routes


def _planned_html(readers: Readers, send_id: str) -> str:
    """Return the mail of a planned send as it would go: what a person looks at before approving it."""
    record = readers.ledger.send(send_id)
    plan = plan_row(readers, send_id, record.as_of_date) if record else None
    if plan is None:
        raise HTTPException(404, f"The inbox has no mail of send {send_id}.")
    settings = readers.settings
    template = TemplateStore(settings.published / "templates").load(
        plan["campaign_id"], plan["template_version"]
    )
    links = LinkAddresses.of(send_id, settings.tracking_url, Tokens(settings.token_key))
    return render(template, plan["facts"], plan["locale"], links).html


def _require_form(send_id: str) -> None:
    if not SEND_ID.fullmatch(send_id):
        raise HTTPException(404, f"“{send_id[:40]}” is not a send: a send_id has 32 hexadecimal digits.")


def _campaign_id(plan: dict[str, Any] | None, record: SendRecord | None, shown: ShownMail | None) -> str:
    if plan is not None:
        return str(plan["campaign_id"])
    if record is not None:
        return record.campaign_id
    return shown.head.campaign_id if shown else ""


def _shown_headers(readers: Readers, mail: Mail) -> list[tuple[str, str]]:
    return [
        # A Message-ID looks like an address and is none: it names the send.
        (
            name,
            value
            if name.lower() == "message-id"
            else without_addresses(readers.addresses.without_tokens(value)),
        )
        for name, value in mail.headers
    ]
