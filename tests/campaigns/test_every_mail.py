"""What holds of every mail there is, in every language, for every customer of the gallery.

In the suite a browser and SpamAssassin look at some of each; `make check-mails` (TEST_EVERY_MAIL=1) has them look at all.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest
from pydantic import SecretStr

from campaigns import gallery
from campaigns.copy_candidates import Candidate, load_candidates
from campaigns.definitions import TEMPLATES
from campaigns.facts import SLOTS
from campaigns.guard import faults
from campaigns.message import build_message
from campaigns.render import LinkAddresses, Rendered, render
from campaigns.templates import Template, compile_template
from core.tokens import Tokens
from tests.campaigns.mail_features import Features

EVERY = bool(os.environ.get("TEST_EVERY_MAIL"))
LOCALES = ["ar", "de", "en", "es", "fr", "ja", "zh"]
MAILS = gallery.mails()
SEND = "0123456789abcdef" * 2
ADDRESSES = LinkAddresses.of(SEND, "https://t.juniper.example", Tokens(SecretStr("k" * 40)))
LARGEST = 100_000
SPAM_BELOW = 2
each_mail = pytest.mark.parametrize(("campaign_id", "step"), MAILS)

FALLBACKS = {
    "css-at-media": "without it every width gets the fluid layout, which is no wider than a phone either",
    "css-at-media-prefers-color-scheme": "without it the mail is light, or as the client darkens it",
    "css-border-radius": "corners are square",
    "css-color-scheme": "as css-at-media-prefers-color-scheme",
    "css-cursor": "mrml writes cursor:auto on a button's cell, which is what a pointer does anyhow",
    "css-display-none": "the preheader is 1px high, transparent and without height too",
    "css-max-height": "one of six ways that hide the preheader",
    "css-opacity": "one of six ways that hide the preheader",
    "css-outline": "mrml resets it for pictures; there is none on them without it",
    "css-overflow": "one of six ways that hide the preheader",
    "css-selector-chaining": "in style sheets only, which only adapt: see css-at-media",
    "css-selector-child": "in style sheets only, which only adapt: see css-at-media",
    "css-selector-class": "in style sheets only, which only adapt: see css-at-media",
    "css-selector-descendant": "in style sheets only, which only adapt: see css-at-media",
    "css-selector-grouping": "in style sheets only, which only adapt: see css-at-media",
    "css-selector-id": "in style sheets only, which only adapt: see css-at-media",
    "css-selector-type": "in style sheets only, which only adapt: see css-at-media",
    "css-table-layout": "the cells have their width as attribute and style too",
    "css-word-spacing": "mrml writes word-spacing:normal, which is the default",
    "html-body": "its colour stands on the outermost div too",
    "html-meta-color-scheme": "as css-at-media-prefers-color-scheme",
    "html-style": "every look stands inline; style sheets only adapt: see css-at-media",
    "html-target": "a link then opens as links of that client do",
}
"""What a client among Gmail, Outlook and Apple Mail does not know → why its readers miss nothing."""


@cache
def template(campaign_id: str, step: str) -> Template:
    return compile_template(campaign_id, step=step)


@cache
def mail(campaign_id: str, step: str, locale: str, customer: str = "example") -> Rendered:
    facts = dict(gallery.customers(gallery.example(campaign_id, step)))[customer]
    return render(template(campaign_id, step), facts, locale, ADDRESSES)


def test_the_mails_are_those_of_all_campaigns_and_the_customers_the_awkward_ones():
    assert len(MAILS) > 20
    assert len(gallery.CUSTOMERS) == 10
    assert len(gallery.LONG_NAME) >= 60


@each_mail
def test_every_mail_is_small_says_only_facts_and_has_text_for_every_picture(campaign_id, step):
    example = gallery.example(campaign_id, step)
    for locale in LOCALES:
        for customer, facts in gallery.customers(example):
            found = mail(campaign_id, step, locale, customer)
            assert len(found.html.encode()) <= LARGEST
            pictures = Pictures(found.html).found
            assert pictures
            assert all({"alt", "width", "height"} <= names for names in pictures)
            brand = template(campaign_id, step).brand
            wrong = list(faults(found.subject, found.preheader, found.text, facts, locale, brand))
            assert not wrong, f"{customer}, {locale}"


@pytest.mark.parametrize("campaign_id", ["greeting", "promotion"])
def test_a_mail_that_may_come_without_products_does_not_announce_any(campaign_id):
    facts = gallery.example(campaign_id) | {"products": []}
    for locale in LOCALES:
        found = render(template(campaign_id, ""), facts, locale, ADDRESSES)
        with_products = mail(campaign_id, "", locale)
        announced = set(with_products.text.splitlines()) - set(found.text.splitlines())
        assert len(announced) > 3  # the announcement, names, reasons, links
        assert not list(
            faults(found.subject, found.preheader, found.text, facts, locale, template(campaign_id, "").brand)
        )
        assert not re.search("Picked for you|Below|Unten stehen|Prices", found.text)


class Pictures(HTMLParser):
    """The names of the attributes of each picture."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[set[str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.found.append({name for name, _ in attrs})


def test_what_gmail_outlook_or_apple_mail_do_not_know_has_a_fallback():
    features = json.loads(Path(__file__).with_name("caniemail.json").read_text(encoding="utf-8"))["features"]
    used = {
        feature
        for campaign_id, step in MAILS
        for locale in ("en", "ar")
        for feature in Features(mail(campaign_id, step, locale).html).found
    }
    assert {
        "html-table",
        "html-dir",
        "css-unit-px",
        "css-direction",
        "css-at-media",
    } <= used & features.keys()
    assert {name for name in used if features.get(name)} == FALLBACKS.keys()


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ('<p style="display:flex;gap:2rem">', {"css-display-flex", "css-gap", "css-unit-rem", "html-p"}),
        ("<style>@media (hover) { a:hover > b::after { color: rgba(0,0,0,1) } }</style>",
         {"css-at-media-hover", "css-pseudo-class-hover", "css-pseudo-element-after", "css-rgba", "css-selector-child"}),
        ("<h2>a</h2><ul><li>b</li></ul><svg></svg><form>", {"html-h1-h6", "html-lists", "html-svg", "html-form"}),
        ('<div style="background:linear-gradient(red,blue);top:0">', {"css-linear-gradient", "css-left-right-top-bottom"}),
    ],
)  # fmt: skip
def test_features_are_found_under_the_names_that_caniemail_gives_them(html, found):
    assert found <= Features(html).found


@pytest.mark.needs("spamassassin")
def test_spamassassin_finds_no_mail_suspicious(tmp_path):
    chosen = [
        (*each, locale)
        for place, each in enumerate(MAILS)
        for locale in (LOCALES if EVERY else [LOCALES[place % len(LOCALES)]])
    ]
    for campaign_id, step, locale in chosen:
        file = tmp_path / f"{campaign_id}.{step}.{locale}.eml"
        file.write_bytes(message(mail(campaign_id, step, locale), campaign_id))
    assert suspicious(tmp_path, len(chosen)) == {}


@pytest.mark.needs("spamassassin")
def test_spamassassin_finds_nothing_suspicious_that_a_mail_can_choose_to_say(tmp_path):
    places = sorted(str(file.parent.relative_to(TEMPLATES)) for file in TEMPLATES.rglob("copy.yml"))
    assert len(places) >= 12
    others, said, count = LOCALES[:2] + LOCALES[3:], set[tuple[str, Candidate]](), 0
    for place in places:
        campaign_id, _, step = place.partition("/")
        for number, words in enumerate(in_turn(load_candidates(place))):
            said |= {(place, each) for each in words}
            copy = {each.slot: {"id": each.candidate_id, "text": None} for each in words}
            # most rules are for English
            for locale in LOCALES if EVERY else ("en", others[count % len(others)]):
                facts = gallery.example(campaign_id, step) | {"copy": copy}
                chosen = render(template(campaign_id, step), facts, locale, ADDRESSES)
                file = tmp_path / f"{campaign_id}.{step}.{number}.{locale}.eml"
                file.write_bytes(message(chosen, campaign_id))
                count += 1
    assert said == {(place, each) for place in places for each in load_candidates(place)}
    assert suspicious(tmp_path, count) == {}


def in_turn(candidates: list[Candidate]) -> Iterator[list[Candidate]]:
    """Yield what mails say that together say each candidate of each slot, as few as that takes."""
    slots = [[each for each in candidates if each.slot == slot] for slot in SLOTS]
    for number in range(max(map(len, slots))):
        yield [each[number % len(each)] for each in slots]


def suspicious(folder: Path, count: int) -> dict[str, float]:
    """Return the mails of a folder, of which there are so many, that SpamAssassin gives points, and how many."""
    bait = folder / "bait.eml"  # https://spamassassin.apache.org/gtube/
    bait.write_text("Subject: x\n\nXJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\n")
    script = Path(__file__).with_name("spam_score.pl")
    answer = subprocess.run(
        ["perl", script, *sorted(folder.glob("*.eml"))], capture_output=True, text=True, check=True
    )
    scores = {
        Path(row[2]).name: float(row[0]) for row in (line.split("\t") for line in answer.stdout.splitlines())
    }
    assert scores.pop("bait.eml") > 900
    assert len(scores) == count
    return {name: score for name, score in scores.items() if score >= SPAM_BELOW}


def message(rendered: Rendered, campaign_id: str) -> bytes:
    return build_message(
        rendered,
        send_id=SEND,
        campaign_id=campaign_id,
        sender="Juniper Market <hello@juniper.example>",
        recipient="ada@example.com",
        send_at=datetime(2017, 12, 4, 14, 30, tzinfo=UTC),
        unsubscribe_url=ADDRESSES.unsubscribe,
    )


@pytest.fixture(scope="module")
def page():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield browser.new_page()
        browser.close()


def show(page, html, width, scheme="light"):
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    page.set_content(html.replace(str(ADDRESSES.pixel), "data:,"), wait_until="domcontentloaded")


@pytest.mark.needs("chromium")
@each_mail
def test_no_mail_is_wider_than_the_screen(campaign_id, step, page):
    customers = dict(gallery.customers(gallery.example(campaign_id, step))) if EVERY else ["no_space"]
    for width in (375, 600) if EVERY else (375,):
        for locale in LOCALES if EVERY else ("de", "ar"):
            for customer in customers:
                show(page, mail(campaign_id, step, locale, customer).html, width)
                assert page.evaluate(OVERFLOW) == [], f"{customer}, {locale}, {width}"


@pytest.mark.needs("chromium")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@each_mail
def test_every_text_has_the_contrast_that_wcag_asks_for(campaign_id, step, scheme, page):
    for locale in LOCALES if EVERY else ("en",):
        show(page, mail(campaign_id, step, locale).html, 375, scheme)
        texts = page.evaluate(CONTRASTS)
        assert len(texts) > 5
        assert [text for text in texts if text["contrast"] < 4.5] == []


OVERFLOW = """() => [...document.body.querySelectorAll('*')]
  .filter(e => { const r = e.getBoundingClientRect(); return r.width > 1 && (r.right > innerWidth + 1 || r.left < -1) })
  .map(e => e.outerHTML.slice(0, 200))"""
CONTRASTS = """() => {
  const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(v => v / 255)
      .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b }
  const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor
      if (!c.endsWith(', 0)')) return c } return 'rgb(255, 255, 255)' }
  const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement, text = walker.currentNode.data.trim()
    if (!text || !e.offsetHeight || e.offsetHeight < 5 || !/[\\p{L}\\p{N}]/u.test(text)) continue
    const a = light(getComputedStyle(e).color), b = light(behind(e))
    found.push({text, contrast: (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)})
  }
  return found
}"""
