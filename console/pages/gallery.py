"""`/gallery`: any mail before it goes, for whom one likes, in every language, width and light; made by the templates as they are now."""

import json
import re
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import HTMLResponse

from campaigns.gallery import CUSTOMERS, Facts, Look, customer, example, locales, look, mails
from campaigns.templates import NOWHERE
from console.pages.mail import PREVIEW_POLICY
from console.preview import safe_html
from console.readers import Readers
from console.rendering import Pages

WIDTHS = ("600", "375")
SCHEMES = ("light", "dark")
_DARK = re.compile(r"\(\s*prefers-color-scheme\s*:\s*dark\s*\)")
_WHETHER_DARK = {"light": "(max-width: 0)", "dark": "(min-width: 0)"}

Name = Annotated[str, Query(max_length=80)]
CustomerId = Annotated[str, Query(alias="id", max_length=64)]
Width = Annotated[Literal["600", "375"], Query()]
Scheme = Annotated[Literal["light", "dark"], Query()]


def router(readers: Readers, pages: Pages) -> APIRouter:
    """Return the routes of the gallery: the page with its pickers, and the preview its frame loads."""
    routes = APIRouter()

    @routes.get("/gallery", response_class=HTMLResponse)
    def gallery(
        request: Request,
        mail: Name = "",
        locale: Name = "en",
        customer: Name = "example",
        customer_id: CustomerId = "",
        width: Width = "600",
        scheme: Scheme = "light",
    ) -> HTMLResponse:
        names = _names()
        mail = mail or next(iter(names))
        shown = _look(readers, mail, customer, customer_id.strip(), locale)
        chosen = {
            "mail": mail,
            "locale": locale,
            "customer": customer,
            "id": customer_id.strip(),
            "scheme": scheme,
        }
        return pages.render(
            request,
            "gallery.html",
            chosen=chosen | {"width": width},
            mails=list(names),
            locales=locales(),
            customers=list(CUSTOMERS),
            widths=WIDTHS,
            schemes=SCHEMES,
            shown=shown,
            text=_with_targets(shown),
            preview=f"/gallery/preview?{urlencode(chosen)}",
        )

    @routes.get("/gallery/preview", response_class=HTMLResponse)
    def preview(
        mail: Name,
        locale: Name = "en",
        customer: Name = "example",
        customer_id: CustomerId = "",
        scheme: Scheme = "light",
    ) -> HTMLResponse:
        shown = _look(readers, mail, customer, customer_id.strip(), locale)
        targets = _targets(shown)
        html = safe_html(shown.rendered.html, lambda address: targets.get(address, address))
        return HTMLResponse(in_light(html, scheme), headers={"Content-Security-Policy": PREVIEW_POLICY})

    return routes


def in_light(html: str, scheme: str) -> str:
    """Return a mail as a reader with a light or a dark screen sees it, whatever the screen here is.

    >>> in_light("@media (prefers-color-scheme: dark) {a {color: white}}", "light")
    '@media (max-width: 0) {a {color: white}}<style>:root{color-scheme:light}</style>'
    """
    return _DARK.sub(_WHETHER_DARK[scheme], html) + f"<style>:root{{color-scheme:{scheme}}}</style>"


def _names() -> dict[str, tuple[str, str]]:
    """Return each mail's name, `campaign` or `campaign/step`, with campaign and step."""
    return {"/".join(filter(None, (campaign_id, step))): (campaign_id, step) for campaign_id, step in mails()}


def _look(readers: Readers, mail: str, whom: str, customer_id: str, locale: str) -> Look:
    if mail not in (names := _names()):
        raise HTTPException(404, f"There is no mail “{mail}”.")
    campaign_id, step = names[mail]
    facts = customer(whom, example(campaign_id, step))
    if customer_id:
        facts = _planned_facts(readers, campaign_id, step, customer_id)
    return look(campaign_id, step, facts, locale)


def _targets(shown: Look) -> dict[str, str]:
    """Return where each address of a mail would lead once redirected."""
    return {str(NOWHERE.click(link_id)): target for link_id, target in shown.rendered.links.items()}


def _with_targets(shown: Look) -> str:
    text = shown.rendered.text
    for address, target in _targets(shown).items():
        text = text.replace(address, target)
    return text


def _planned_facts(readers: Readers, campaign_id: str, step: str, customer_id: str) -> Facts:
    """Return what the newest plan knows of a customer for a mail."""
    number = 1 + [name for other, name in mails() if other == campaign_id].index(step)
    row_of = ("campaign_id", "==", campaign_id), ("customer_id", "==", customer_id), ("step", "==", number)
    for day in readers.snapshots.days("campaign_plan")[:1]:
        for row in readers.snapshots.rows("campaign_plan", day, *row_of, columns=["facts"]):
            if row["facts"]:  # null where no mail is planned
                facts: Facts = json.loads(row["facts"])
                return facts
    raise HTTPException(404, f"The newest plan has no such mail for customer {customer_id}.")
