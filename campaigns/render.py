"""A mail from a template and the facts of a plan row: a pure function, so the same row gives the same mail next year."""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import jinja2

from campaigns.definitions import Brand, Tile
from campaigns.facts import clean_facts, one_line
from campaigns.language import clip, environment, formats_of, locale_chain, translations
from core.errors import CampaignInvalid
from core.tokens import TokenKind, Tokens

if TYPE_CHECKING:  # templates.py renders each example when it compiles, so it imports this module
    from campaigns.templates import Template

LONGEST_SUBJECT = 150
LONGEST_LINK = 1000  # less than where a fact is cut: no link is followed to half an address
_WORDS = re.compile(r"[a-z]+")
_QUOTED = re.compile(r"'([^']+)'")
_STOP = "(?<=[\u3002\uff1f\uff01])"  # full-width . ? !
_GAP = {"html": re.compile(rf"{_STOP}\s+(?=[^\s<])"), "text": re.compile(rf"{_STOP} +(?=\S)")}
_BLANK_LINES = re.compile(r"\n{3,}")
_PLAIN_URL = re.compile(r"[!#-;=?-\[\]_a-z~]+")  # printable ASCII without space " < > \ ^ ` { | }


@dataclass(frozen=True)
class LinkAddresses:
    """Where the links of one mail go: through the tracking service, by signed tokens."""

    click: Callable[[str], str]
    """link_id → address that leads to its stored target."""
    pixel: str
    unsubscribe: str

    @classmethod
    def of(cls, send_id: str, tracking_url: str, tokens: Tokens) -> "LinkAddresses":
        """Return the addresses of one send; the same send always has the same ones."""
        base = tracking_url.rstrip("/")
        return cls(
            click=lambda link_id: f"{base}/c/{tokens.sign(TokenKind.CLICK, send_id, link_id)}",
            pixel=f"{base}/o/{tokens.sign(TokenKind.OPEN, send_id)}.gif",
            unsubscribe=f"{base}/u/{tokens.sign(TokenKind.UNSUBSCRIBE, send_id)}",
        )


@dataclass(frozen=True)
class Rendered:
    """One mail's content. `links` maps each link_id to its target, to be stored before the mail leaves."""

    subject: str
    preheader: str
    html: str
    text: str
    links: Mapping[str, str]


def render(
    template: "Template", facts: Mapping[str, object], locale: str, addresses: LinkAddresses
) -> Rendered:
    """Return the mail for `facts` in `locale`.

    Raises
    ------
    CampaignInvalid
        Naming campaign and locale: a fact the template needs is missing or of another type, or a link leads
        elsewhere than to the brand's hosts.
    """
    try:
        cleaned = clean_facts(facts)
        links = _Links(template.brand, addresses)
        parts = _compiled(template.subject, template.html, template.text, template.catalogues, locale)
        names = _names(template.brand, cleaned, parts.lang, addresses, links)
        subject, preheader = _subject_lines(parts.render("subject", names))
        names |= {"subject": subject, "preheader": preheader}
        html = parts.render("html", names)
        text = _tidy(parts.render("text", names))
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
    return Rendered(subject, preheader, html, text, links.targets)


def link_id_of(target: str) -> str:
    """Return the first 16 hex digits of SHA-256 of the target."""
    return hashlib.sha256(target.encode()).hexdigest()[:16]


def header_text(text: str) -> str:
    """Return `text` fit for a header: one line, and nothing that reads as an encoded word (RFC 2047)."""
    return clip(one_line(text).replace("=?", "= ?"), LONGEST_SUBJECT)


@dataclass
class _Links:
    """Collects the links of one mail; called by templates as `link(target)`."""

    brand: Brand
    addresses: LinkAddresses
    targets: dict[str, str] = field(default_factory=dict)
    _known: dict[str, str] = field(
        default_factory=dict
    )  # target → address; each is in the HTML and in the text

    def __call__(self, target: str) -> str:
        if target not in self._known:
            self._check(target)
            link_id = link_id_of(target)
            self.targets[link_id] = target
            self._known[target] = self.addresses.click(link_id)
        return self._known[target]

    def _check(self, target: str) -> None:
        shown = clip(one_line(target), 120)
        if len(target) > LONGEST_LINK or not _PLAIN_URL.fullmatch(target):
            raise CampaignInvalid(f"the link {shown!r} is not a plain address; percent-encode it")
        try:
            parts = urlsplit(target)
        except ValueError:
            raise CampaignInvalid(f"the link {shown!r} is not an address") from None
        if parts.scheme not in ("http", "https"):
            raise CampaignInvalid(f"the link {shown!r} must begin with https:// or http://")
        if parts.netloc not in self.brand.link_hosts:  # so neither a port nor a user name slips in
            allowed = ", ".join(self.brand.link_hosts)
            raise CampaignInvalid(f"the link {shown!r} leads to {parts.netloc!r}; allowed: {allowed}")


@dataclass(frozen=True)
class _Parts:
    lang: str
    subject: jinja2.Template
    html: jinja2.Template
    text: jinja2.Template

    def render(self, part: Literal["subject", "html", "text"], names: Mapping[str, Any]) -> str:
        rendered: str = getattr(self, part).render(names)
        if self.lang.startswith(
            "zh"
        ):  # Chinese sets no space after a stop; templates join sentences with one
            return _GAP["html" if part == "html" else "text"].sub("", rendered)
        return rendered


@lru_cache(maxsize=64)  # compiling takes 100 times as long as filling in
def _compiled(
    subject: str, html: str, text: str, catalogues: tuple[tuple[str, str], ...], locale: str
) -> _Parts:
    chain = locale_chain(locale, [name for name, _ in catalogues])
    speech, formats = translations(chain, dict(catalogues)), formats_of(locale, chain)
    plain, marked_up = environment(speech, formats, html=False), environment(speech, formats, html=True)
    return _Parts(
        lang=str(formats).replace("_", "-"),
        subject=plain.from_string(subject),
        html=marked_up.from_string(html),
        text=plain.from_string(text),
    )


NAMES = frozenset(
    {
        "brand",
        "lang",
        "link",
        "tile",
        "pixel_url",
        "unsubscribe_url",
        "subject",
        "preheader",
        "gettext",
        "ngettext",
        "_",
    }
)
"""What a template may use beside the facts; `subject` and `preheader` in the bodies only."""


def _names(
    brand: Brand, facts: dict[str, Any], lang: str, addresses: LinkAddresses, links: _Links
) -> dict[str, Any]:
    taken = NAMES & facts.keys()
    if taken:
        raise CampaignInvalid(f"the fact {min(taken)!r} has a name that templates use otherwise; rename it")
    return facts | {
        "brand": brand,
        "lang": lang,
        "link": links,
        "tile": lambda product: _tile(brand, product),
        "pixel_url": addresses.pixel,
        "unsubscribe_url": addresses.unsubscribe,
    }


def _tile(brand: Brand, product: Mapping[str, Any]) -> Tile:
    """Return the picture of a product: the first rule with a word of its name, else of its category."""
    for text in (product["name"], product["category"]):
        words = _WORDS.findall((text or "").lower())
        singular = [word.removesuffix("s") for word in words]
        pairs = [" ".join(pair) for each in (words, singular) for pair in pairwise(each)]
        known = [
            brand.tile_of_word[word] for word in (*words, *singular, *pairs) if word in brand.tile_of_word
        ]
        if known:
            return min(known, key=itemgetter(0))[1]
    return brand.default_tile


def _subject_lines(text: str) -> tuple[str, str]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) != 2:
        raise CampaignInvalid(
            f"subject.txt must give two lines, subject and preheader, and gives {len(lines)}"
        )
    return header_text(lines[0]), one_line(lines[1])


def _tidy(text: str) -> str:
    lines = (line.rstrip() for line in text.splitlines())
    return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip() + "\n"
