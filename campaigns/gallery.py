"""Every mail there is, for the customer of its example and for the awkward ones: what previews, pictures and checks go over."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from campaigns.definitions import TEMPLATES, load_campaigns
from campaigns.guard import faults
from campaigns.language import require_locale
from campaigns.render import LinkAddresses, Rendered, render
from campaigns.templates import NOWHERE, Template, compile_template
from core.errors import CampaignInvalid

Facts = dict[str, Any]
LONG_NAME = "Sun-dried tomatoes in cold-pressed olive oil, hand-cut, large"  # of 60 letters and more
RIGHT_TO_LEFT_NAME = "شاي أخضر (20 كيسًا)"


OTHERWISE = {
    "care_topic": ("fresh", "frozen", "bakery", "dairy", "meat", "pantry", "household", "garden", None),
    "occasion": ("birthday", "new_year", "christmas", "lunar_new_year", "eid", "anniversary"),
    "last_opened_date": (None,),
}
"""Facts that change what a mail says, and what they may be."""


@dataclass(frozen=True)
class Look:
    """A mail that is only looked at, and what guard-rails would keep it back for."""

    rendered: Rendered
    findings: tuple[str, ...]


def look(campaign_id: str, step: str, facts: Facts, locale: str, addresses: LinkAddresses = NOWHERE) -> Look:
    """Return a mail as the templates make it now.

    Raises
    ------
    CampaignInvalid
        If its template is not what it must be, it lacks a fact or there is no such language.
    """
    template = _template(campaign_id, step, _newest_change())
    require_locale(locale, [name for name, _ in template.catalogues])
    made = render(template, facts, locale, addresses)
    found = faults(made.subject, made.preheader, made.text, facts, locale, template.brand)
    return Look(made, tuple(found))


@lru_cache(maxsize=64)  # to compile one takes half a second
def _template(campaign_id: str, step: str, _change: int) -> Template:
    return compile_template(campaign_id, step=step)


def _newest_change() -> int:
    return max(path.stat().st_mtime_ns for path in TEMPLATES.rglob("*"))  # a folder's is that of a file gone


def locales() -> list[str]:
    """Return the languages mails are written in."""
    return ["en", *sorted(path.name for path in (TEMPLATES / "locales").iterdir() if path.name != "en")]


def mails(folder: Path = TEMPLATES) -> list[tuple[str, str]]:
    """Return (campaign, step) of every mail, the campaign of highest priority first; the step of a single mail is ''."""
    return [(each.campaign_id, step.name) for each in load_campaigns(folder).values() for step in each.steps]


def example(campaign_id: str, step: str = "", folder: Path = TEMPLATES) -> Facts:
    """Return the facts of the customer in `example.json`."""
    facts: Facts = json.loads((folder / campaign_id / step / "example.json").read_text(encoding="utf-8"))
    return facts


def _of_products(change: Callable[[Facts], Facts]) -> Callable[[Facts], Facts]:
    def changed(facts: Facts) -> Facts:
        return facts | {"products": [product | change(product) for product in facts.get("products", [])]}

    return changed


CUSTOMERS: dict[str, Callable[[Facts], Facts]] = {
    "example": lambda facts: facts,
    "no_name": lambda facts: facts | {"first_name": None},
    "right_to_left_name": lambda facts: (
        _of_products(lambda _: {"name": RIGHT_TO_LEFT_NAME})(facts) | {"first_name": "محمد"}
    ),
    "long_name": _of_products(lambda _: {"name": LONG_NAME}),
    "no_space": _of_products(lambda _: {"name": "Donaudampfschifffahrtsgesellschaftskapitänskajüten" * 2}),
    "emoji": lambda facts: (
        _of_products(lambda _: {"name": "🌶️ Hot 🔥 Salsa"})(facts) | {"first_name": "Ada 🎉"}
    ),
    "no_price": _of_products(
        lambda product: {"price_cents": None} if product["reason"] != "price_drop" else {}
    ),
    "free": _of_products(lambda _: {"price_cents": 0}),
    "no_category": _of_products(lambda _: {"category": None, "size": None}),
    "one_product": lambda facts: facts | {"products": facts.get("products", [])[:1]},
}
"""Who a mail is shown for → the example's facts as they would be for them."""


def customers(facts: Facts) -> Iterator[tuple[str, Facts]]:
    """Yield each customer a mail is shown for, and the facts of the mail; then the example as it could be otherwise."""
    for name, change in CUSTOMERS.items():
        yield name, change(facts)
    for key in OTHERWISE.keys() & facts.keys():
        for value in OTHERWISE[key]:
            yield f"{key}={value}", facts | {key: value}


def customer(name: str, facts: Facts) -> Facts:
    """Return the facts for one of `CUSTOMERS`; raise CampaignInvalid for any other name."""
    if name not in CUSTOMERS:
        raise CampaignInvalid(f"there is no customer {name!r} to preview; there are {', '.join(CUSTOMERS)}")
    return CUSTOMERS[name](facts)
