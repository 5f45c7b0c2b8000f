"""A mail from a template and the facts of a plan row: a pure function, so the same row gives the same mail next year."""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import jinja2

from campaigns.compiled import Names, Part
from campaigns.definitions import Brand, Tile
from campaigns.facts import clean_facts, one_line
from campaigns.language import (
    GAPLESS,
    ISOLATES,
    clip,
    environment,
    formats_of,
    layout_of,
    locale_chain,
    translations,
)
from campaigns.quoted import Address, Body, is_tidy, tidy, without_gaps
from core.errors import CampaignInvalid
from core.tokens import TokenKind, Tokens

if TYPE_CHECKING:  # templates.py renders each example when it compiles, so it imports this module
    from campaigns.templates import Template

LONGEST_SUBJECT = 150
LONGEST_LINK = 1000  # less than where a fact is cut: no link is followed to half an address
_WORDS = re.compile(r"[a-z]+")
_QUOTED = re.compile(r"'([^']+)'")
_STOP = "(?<=[\u3002\uff1f\uff01])"  # full-width . ? !
_GAP = {True: re.compile(rf"{_STOP}\s+(?=[^\s<])"), False: re.compile(rf"{_STOP} +(?=\S)")}
_PLAIN_URL = re.compile(r"[!#-;=?-\[\]_a-z~]+")  # printable ASCII without space " < > \ ^ ` { | }


class LinkAddresses(NamedTuple):
    """Where the links of one mail go: through the tracking service, by signed tokens."""

    click: Callable[[str], Address | str]
    """link_id → address that leads to its stored target."""
    pixel: Address | str
    unsubscribe: Address | str
    preferences: Address | str
    survey: Callable[[int], Address | str]
    """stars (1 to 5) → page that asks whether that is the answer."""
    coupon: Callable[[], str]
    """The code of the coupon in this mail; asked for where the template shows one."""

    @classmethod
    def of(cls, send_id: str, tracking_url: str, tokens: Tokens) -> "LinkAddresses":
        """Return the addresses of one send; the same send always has the same ones."""
        clicks, opens, unsubscribes, preferences, surveys = _routes(tracking_url)
        stop = tokens.sign(TokenKind.UNSUBSCRIBE, send_id)  # who may stop all mail may stop some of it
        return cls(
            click=lambda link_id: Address.under(clicks, tokens.sign(TokenKind.CLICK, send_id, link_id)),
            pixel=Address.under(opens, f"{tokens.sign(TokenKind.OPEN, send_id)}.gif"),
            unsubscribe=Address.under(unsubscribes, stop),
            preferences=Address.under(preferences, stop),
            survey=lambda stars: Address.under(surveys, tokens.sign(TokenKind.SURVEY, send_id, str(stars))),
            coupon=lambda: tokens.coupon_code(send_id),
        )


@lru_cache(maxsize=64)
def _routes(tracking_url: str) -> list[str]:
    base = tracking_url.rstrip("/")
    return [f"{base}/{route}/" for route in "coups"]


class Rendered(NamedTuple):
    """One mail's content. `links` maps each link_id to its target, to be stored before the mail leaves."""

    subject: str
    preheader: str
    html_body: Body
    text_body: Body
    links: Mapping[str, str]

    @property
    def html(self) -> str:
        return self.html_body.text.removesuffix("\n")

    @property
    def text(self) -> str:
        return self.text_body.text


def render(
    template: "Template", facts: Mapping[str, object] | str, locale: str, addresses: LinkAddresses
) -> Rendered:
    """Return the mail for `facts`, a document or its JSON text, in `locale`.

    Raises
    ------
    CampaignInvalid
        Naming campaign and locale: a fact the template needs is missing or of another type, or a link leads
        elsewhere than to the brand's hosts.
    """
    try:
        cleaned = clean_facts(facts)
        links = _Links(template.brand.link_hosts, addresses.click)
        parts = _compiled(template, locale)
        names = _names(cleaned, parts.constants, addresses, links)
        if parts.has_coupon:
            names["coupon_code"] = addresses.coupon()
        subject, preheader, html = "", "", Body.of("")
        if template.html:  # a mail
            subject, preheader = _subject_lines(parts.subject(names))
            names |= {"subject": subject, "preheader": preheader}
            html = parts.html(names)
        text = parts.text(names)
    except CampaignInvalid as error:
        raise CampaignInvalid(f"campaign {template.campaign_id!r} (locale {locale}): {error}") from None
    except jinja2.UndefinedError as error:
        name = (_QUOTED.findall(str(error)) or [str(error)])[-1]
        raise CampaignInvalid(
            f"campaign {template.campaign_id!r} (locale {locale}) needs {name!r}, which the facts lack"
        ) from error
    except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError) as error:
        raise CampaignInvalid(
            f"campaign {template.campaign_id!r} (locale {locale}) cannot use a fact: {error}"
        ) from error
    except KeyError as error:
        raise CampaignInvalid(
            f"campaign {template.campaign_id!r} (locale {locale}) needs {error.args[0]!r}, which the facts lack"
        ) from error
    return Rendered(subject, preheader, html, text, links.targets)


def link_id_of(target: str) -> str:
    """Return the first 16 hex digits of SHA-256 of the target."""
    return hashlib.sha256(target.encode()).hexdigest()[:16]


def header_text(text: str) -> str:
    """Return `text` fit for a header: one line, and nothing that reads as an encoded word (RFC 2047)."""
    return clip(one_line(text, ISOLATES).replace("=?", "= ?"), LONGEST_SUBJECT)


class _Links:
    """Collects the links of one mail; called by templates as `link(target)`."""

    def __init__(self, hosts: tuple[str, ...], click: Callable[[str], Address | str]) -> None:
        self.targets: dict[str, str] = {}
        self._hosts, self._click = hosts, click
        self._known: dict[str, Address | str] = {}  # target → address; each is in the HTML and in the text

    def __call__(self, target: str) -> Address | str:
        address = self._known.get(target)
        if address is None:
            link_id = _link_id_of_allowed(target, self._hosts)
            self.targets[link_id] = target
            address = self._known[target] = self._click(link_id)
        return address


@lru_cache(maxsize=32_768)  # products recur from customer to customer
def _link_id_of_allowed(target: str, hosts: tuple[str, ...]) -> str:
    """Return the id of a link that leads to one of the hosts; raise CampaignInvalid for any other."""
    shown = clip(one_line(target), 120)
    if len(target) > LONGEST_LINK or not _PLAIN_URL.fullmatch(target):
        raise CampaignInvalid(f"the link {shown!r} is not a plain address; percent-encode it")
    try:
        parts = urlsplit(target)
    except ValueError:
        raise CampaignInvalid(f"the link {shown!r} is not an address") from None
    if parts.scheme not in ("http", "https"):
        raise CampaignInvalid(f"the link {shown!r} must begin with https:// or http://")
    if parts.netloc not in hosts:  # so neither a port nor a user name slips in
        raise CampaignInvalid(f"the link {shown!r} leads to {parts.netloc!r}; allowed: {', '.join(hosts)}")
    return link_id_of(target)


@dataclass(frozen=True)
class _Parts:
    """A template compiled for one locale: each part makes its text from the names a template may use."""

    constants: Names
    subject: Callable[[Names], str]
    html: Callable[[Names], Body]
    text: Callable[[Names], Body]
    has_coupon: bool


@lru_cache(maxsize=512)  # of each template and locale; compiling takes 1,000 times as long as filling in
def _compiled(template: "Template", locale: str) -> _Parts:
    catalogues, brand = dict(template.catalogues), template.brand
    chain = locale_chain(locale, list(catalogues))
    speech, formats = translations(chain, catalogues), formats_of(locale, chain)
    constants = {"brand": brand.model_dump(), **layout_of(formats)}

    def part(source: str, *, html: bool) -> Part:
        return Part(source, environment(speech, formats, html=html), speech, constants)

    is_gapless = formats.language in GAPLESS
    subject = part(template.subject, html=False).as_text()
    return _Parts(
        constants=constants | {"tile": tiles(brand)},
        subject=lambda names: (
            without_gaps_in_text(subject(names), html=False) if is_gapless else subject(names)
        ),
        html=_body(part(template.html, html=True), html=True, is_gapless=is_gapless),
        text=_body(part(template.text, html=False), html=False, is_gapless=is_gapless),
        has_coupon="coupon_code" in template.text,
    )


def _body(part: Part, *, html: bool, is_gapless: bool) -> Callable[[Names], Body]:
    """Return what makes a part's body: of pieces, or the long way where what they make needs to be gone over."""
    as_pieces = part.as_pieces()
    as_text = cache(part.as_text)  # compiled where it is needed

    def of_text(names: Names) -> Body:
        text = as_text()(names)
        if is_gapless:
            text = without_gaps_in_text(text, html=html)
        return Body.of(text if html else tidy(text))

    if as_pieces is None or (is_gapless and not html):
        return of_text

    def of_pieces(names: Names) -> Body:
        lines = as_pieces(names)
        if html and is_gapless:
            lines = without_gaps(lines)
        return Body("quoted-printable", lines) if html or is_tidy(lines) else of_text(names)

    return of_pieces


def without_gaps_in_text(text: str, *, html: bool) -> str:
    """Return a text of a language that sets no space after a stop, as templates do that join sentences with one."""
    return _GAP[html].sub("", text)


NAMES = frozenset(
    {
        "brand",
        "lang",
        "dir",
        "start",
        "end",
        "link",
        "tile",
        "pixel_url",
        "unsubscribe_url",
        "preferences_url",
        "survey_url",
        "coupon_code",
        "subject",
        "preheader",
        "gettext",
        "ngettext",
        "plural_form",
        "_",
    }
)
"""What a template may use beside the facts; `subject` and `preheader` in the bodies only."""


def _names(facts: Names, constants: Names, addresses: LinkAddresses, links: _Links) -> Names:
    if not NAMES.isdisjoint(facts):
        taken = min(NAMES & facts.keys())
        raise CampaignInvalid(f"the fact {taken!r} has a name that templates use otherwise; rename it")
    return {
        **facts,
        **constants,
        "link": links,
        "pixel_url": addresses.pixel,
        "unsubscribe_url": addresses.unsubscribe,
        "preferences_url": addresses.preferences,
        "survey_url": addresses.survey,
    }


def tiles(brand: Brand) -> Callable[[Mapping[str, Any]], dict[str, str]]:
    """Return what gives the picture of a product: by the first rule with a word of its name, else of its category."""

    @lru_cache(maxsize=32_768)
    def tile_of(name: str, category: str | None) -> dict[str, str]:
        tile = _tile(brand, name) or _tile(brand, category or "") or brand.default_tile
        return {"emoji": tile.emoji, "colour": tile.colour, "light": brand.tile_colours[tile.colour].light}

    return lambda product: tile_of(product["name"], product["category"])


def _tile(brand: Brand, text: str) -> Tile | None:
    words = _WORDS.findall(text.lower())
    singular = [word.removesuffix("s") for word in words]
    pairs = [" ".join(pair) for each in (words, singular) for pair in pairwise(each)]
    known = [brand.tile_of_word[word] for word in (*words, *singular, *pairs) if word in brand.tile_of_word]
    return min(known, key=itemgetter(0))[1] if known else None


@lru_cache(maxsize=4096)  # as many subjects name the same product
def _subject_lines(text: str) -> tuple[str, str]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) != 2:
        raise CampaignInvalid(
            f"subject.txt must give two lines, subject and preheader, and gives {len(lines)}"
        )
    return header_text(lines[0]), one_line(lines[1], ISOLATES)
