# ruff: noqa: RUF001  # mails are set with typographic quotes
"""What the parts of a mail may say, and how one of the candidates is chosen for a customer."""

import hashlib
import json
import math
import shutil
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import jinja2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy

from campaigns import gallery
from campaigns.copy_candidates import generated_slots, load_candidates, said
from campaigns.definitions import TEMPLATES, load_campaigns
from campaigns.facts import SLOTS
from campaigns.render import render
from campaigns.templates import NOWHERE, compile_template
from core.dbt import DBT_PROJECT
from core.errors import CampaignInvalid
from tests.campaigns import small_shop

WITH_COPY = sorted(str(file.parent.relative_to(TEMPLATES)) for file in TEMPLATES.rglob("copy.yml"))
OF_PRODUCTS = {"product", "other", "more"}
LOCALES = ["ar", "de", "en", "es", "fr", "ja", "zh"]
MACROS: Any = jinja2.Environment().from_string((DBT_PROJECT / "macros/copy.sql").read_text()).module
SMOOTHING = 0.2
MEMORY = duckdb.connect()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shutil.copytree(TEMPLATES, tmp_path / "email_templates")


def plain(text):
    return text.replace("\u00a0", " ").replace("\u202f", " ")


@cache
def template_of(place):
    campaign_id, _, step = place.partition("/")
    return compile_template(campaign_id, step=step)


def example(place, **changes):
    return gallery.example(*place.split("/")) | changes


def slot_of(mail, slot):
    """Return what the slot says, or the text that holds it; a header has no blanks that do not break."""
    return {"subject": mail.subject, "preheader": mail.preheader}.get(slot) or mail.text


# --- candidates


def test_each_slot_of_a_mail_with_candidates_has_some_to_choose_from():
    assert len(WITH_COPY) >= 12
    for place in WITH_COPY:
        counts = Counter(candidate.slot for candidate in load_candidates(place))
        assert list(counts) == list(SLOTS)
        assert min(counts.values()) >= 2
    origins = {candidate.origin for place in WITH_COPY for candidate in load_candidates(place)}
    assert origins == {"authored", "grammar"}


def test_a_model_writes_only_where_the_mail_can_do_without_a_fact():
    written = {place: generated_slots(place) for place in WITH_COPY}
    assert written["winback/care"] == set(SLOTS)
    assert written["cart_abandonment/third_day"] == written["price_drop"] == set()
    for place, slots in written.items():
        for slot in slots:
            stated = [each.values - OF_PRODUCTS for each in load_candidates(place) if each.slot == slot]
            assert not all(stated), f"{place}: each {slot} states a fact"


KEPT = {
    "cart_abandonment/third_day": {
        "en": "we will not bring it up again",
        "de": "Wir erinnern Sie nicht noch einmal daran",
        "fr": "nous n’en reparlerons plus",
        "es": "no volveremos a recordártelo",
        "zh": "我们不会再提起",
        "ja": "今後このご案内はいたしません",
        "ar": "ولن نذكّركم به مرة أخرى",
    },
    "restock": {"en": "Then there is nothing to do.", "de": "Dann gibt es nichts zu tun."},
}
"""What a mail promises, whatever is chosen for its slots."""


@pytest.mark.parametrize("place", KEPT)
def test_a_promise_is_kept_by_whatever_a_mail_says(place):
    template, facts = template_of(place), example(place)
    choices = [{"id": each.candidate_id, "text": None, "slot": each.slot} for each in load_candidates(place)]
    choices += [{"id": "w1", "text": "Something else.", "slot": slot} for slot in SLOTS]
    assert len(choices) > 14
    for locale, promise in KEPT[place].items():
        for choice in choices:
            copy = {choice["slot"]: {"id": choice["id"], "text": choice["text"]}}
            mail = render(template, facts | {"copy": copy}, locale, NOWHERE)
            assert promise in plain(mail.text)
            assert promise in plain(mail.html)


@pytest.mark.parametrize("place", WITH_COPY)
@pytest.mark.parametrize("locale", LOCALES)
def test_a_mail_says_the_candidates_that_its_plan_row_names(place, locale):
    template, facts = template_of(place), example(place)
    words = [
        (candidate, plain(text))
        for candidate, text in said(load_candidates(place), facts, locale, dict(template.catalogues))
    ]
    assert len({(candidate.slot, text) for candidate, text in words}) == len(words), (
        "two candidates say the same"
    )
    for candidate, text in words:
        copy = {candidate.slot: {"id": candidate.candidate_id, "text": None}}
        shown = plain(slot_of(render(template, facts | {"copy": copy}, locale, NOWHERE), candidate.slot))
        assert text in shown
        others = [each for other, each in words if other.slot == candidate.slot and each != text]
        assert max([each for each in [text, *others] if each in shown], key=len) == text


def test_what_was_written_for_a_slot_is_said_as_plain_text():
    template, facts = template_of("picked_for_you"), example("picked_for_you")
    copy = {slot: {"id": "w1", "text": f"<b>{slot}</b> {{{{ brand }}}} {{% if"} for slot in SLOTS}
    mail = render(template, facts | {"copy": copy}, "en", NOWHERE)
    assert mail.subject == "<b>subject</b> {{ brand }} {% if"
    for slot in ("headline", "lead", "call_to_action"):
        assert f"<b>{slot}</b> {{{{ brand }}}} {{% if" in mail.text
        assert f"&lt;b&gt;{slot}&lt;/b&gt; {{{{ brand }}}} {{% if" in mail.html


def test_with_one_product_no_candidate_speaks_of_a_second():
    template, facts = template_of("picked_for_you"), example("picked_for_you")
    facts["products"] = facts["products"][:1]
    facts["copy"] = {"subject": {"id": "tried_other", "text": None}}
    assert render(template, facts, "en", NOWHERE).preheader == "Something you haven’t bought from us before."
    assert render(template, facts, "en", NOWHERE).subject == "Have you tried Sourdough Bread?"


def test_the_fewer_products_the_less_a_slot_says():
    template, facts = template_of("cart_abandonment/first_hour"), example("cart_abandonment/first_hour")
    preheaders = []
    for product_count in (3, 2, 1):
        facts["products"] = facts["products"][:product_count]
        for chosen in ({}, {"preheader": {"id": "and_more", "text": None}}):
            preheaders.append(render(template, facts | {"copy": chosen}, "en", NOWHERE).preheader)
    assert preheaders == [
        "Ground Coffee and 2 more things are still in it.",
        "Ground Coffee and 2 more things are still in it.",
        "Ground Coffee and one more thing are still in it.",
        "Ground Coffee and one more thing are still in it.",
        "Ground Coffee is still in it.",
        "Ground Coffee is still in it.",
    ]


def test_a_slot_that_nothing_of_the_mail_shows_is_named(folder):
    for body in ("body.mjml", "body.txt"):
        file = folder / "picked_for_you" / body
        lines = [line for line in file.read_text().splitlines() if "copy_lead.txt" not in line]
        file.write_text("\n".join(lines) + "\n")
    with pytest.raises(CampaignInvalid, match="has a lead that nothing of the mail shows"):
        compile_template("picked_for_you", folder)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("ideas: \"New", "ideas: \"{{ 7 }} New", r"copy.yml, line 5: '{{ 7 }} New.*' holds '{'; allowed: plain text"),
        ("%(other)s", "%(address)s", r"names 'address'; allowed: %\(name\)s, %\(product\)s"),
        ("%(other)s", "%(name)s", r"names 'name', which not every customer has; put it into to_name"),
        ("tried_other", "tried other", r"copy.yml, line 4"),
        ("  ideas: \"New to your basket", "  tried: \"New to your basket", r"key 'tried' is given twice"),
        ("{not_yet} {yours}", "{not_yet} {theirs}", r"{theirs} is no part; parts: not_yet, yours"),
        ("{not_yet} {yours}", "{not_yet}", r"nothing uses the part 'yours'"),
        ("perhaps: Perhaps there is something for your next order.", "perhaps: \"{yours}\"", r"{yours} is made of itself"),
        ("count: more", "count: points", r"count is 'points'; input should be 'more', 'days' or 'units'"),
        ("    count: more", "    count: units", r"preheader: and_more names %\(units\)s, which needs 'products.units_left'; example"),
        ("Have a look", "For %(previous)s, look", r"call_to_action: look names %\(previous\)s, which needs 'products.previous_price_cents'"),
        ("Have a look", "For %(price)s, look", r"copy.yml, call_to_action: look names %\(price\)s, which needs 'products.price_cents'"),
        ("Have a look", "Since %(left_day)s, look", r"look names %\(left_day\)s, which needs 'left_date'; example.json lacks it"),
        ("Have a look", "Since %(looked_day)s, look", r"look names %\(looked_day\)s, which needs 'looked_date'"),
        ("And %(count)s more things", "And %(name)s, more things", r"names 'name', which not every customer has"),
        ("headline, lead, call_to_action]", "headline, footer]", r"generated.*footer.*should be 'subject', 'preheader', 'headline', 'lead' or"),
        ("A few ideas for you, %(name)s", "Only for you, %(name)s", "lacks a translation of 'Only for you, %\\(name\\)s'"),
        ("Have a look in the shop", "Unsubscribe", None),
        ("You decide what is worth a try.", "Unsubscribe", None),
    ],
)  # fmt: skip
def test_a_mistake_in_a_grammar_is_named(folder, old, new, problem):
    file = folder / "picked_for_you/copy.yml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    if problem is None:
        assert compile_template("picked_for_you", folder).version != template_of("picked_for_you").version
    else:
        with pytest.raises(CampaignInvalid, match=problem):
            compile_template("picked_for_you", folder)


def test_a_model_writes_for_no_slot_that_has_no_candidates(folder):
    (folder / "picked_for_you/copy.yml").write_text(
        "subject:\n  new: New to your basket\ngenerated: [lead]\n"
    )
    with pytest.raises(CampaignInvalid, match="generated names 'lead', which has no candidates here"):
        load_candidates("picked_for_you", folder)


# --- the choice


def in_sql(expression, **columns):
    names = ", ".join(f"${name} as {name}" for name in columns)
    return MEMORY.execute(f"select {expression} from (select {names})", columns).fetchall()[0][0]


DIVERGENCE = MACROS.divergence("categories", "shares", "shop_shares", "from_nothing", "named", SMOOTHING)
CATEGORIES = [f"category {n}" for n in range(6)]
spent = st.lists(st.integers(0, 10**9), min_size=6, max_size=6).filter(any)


@settings(max_examples=100, deadline=None)
@given(
    own=spent, others=spent, named=st.lists(st.sampled_from([*CATEGORIES, "never bought", None]), max_size=6)
)
def test_the_divergence_is_that_of_the_shares_and_always_finite(own, others, named):
    p = np.array(own) / sum(own)
    shop = (np.array(own) + others) / (sum(own) + sum(others))
    q = np.array([named.count(category) / (len(named) + 1) for category in CATEGORIES])
    mixed = (1 - SMOOTHING) * q + SMOOTHING * shop
    rest = 1 - mixed.sum()  # of the products that are in none of them
    bought = [n for n in range(6) if own[n]]
    found = in_sql(
        DIVERGENCE,
        categories=[CATEGORIES[n] for n in bought],
        shares=[float(p[n]) for n in bought],
        shop_shares=[float(shop[n]) for n in bought],
        from_nothing=float(sum(p[n] * math.log(p[n] / (SMOOTHING * shop[n])) for n in bought)),
        named=[*named, None],
    )
    assert math.isfinite(found)
    assert found == pytest.approx(entropy([*p, 0], [*mixed, rest]), abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(weights=st.lists(st.floats(1e-60, 1), min_size=1, max_size=40))
def test_each_candidate_is_drawn_as_often_as_its_propensity_says(weights):
    propensities = in_sql(MACROS.propensities("weights", 0.1), weights=weights)
    assert sum(propensities) == pytest.approx(1)
    assert min(propensities) >= 0.1 / len(weights)  # none is never seen
    best = propensities[weights.index(max(weights))]
    assert best == pytest.approx(0.9 * max(weights) / sum(weights) + 0.1 / len(weights))
    draws = (np.arange(1000) + 0.5) / 1000
    places = in_sql(
        f"list_transform(draws, lambda draw: {MACROS.place_of('draw', 'propensities')})",
        draws=draws.tolist(),
        propensities=propensities,
    )
    counts = np.bincount(places, minlength=len(weights) + 1)[1:]
    assert counts == pytest.approx(1000 * np.array(propensities), abs=2)


def test_a_plan_row_says_what_was_chosen_and_how_probable_it_was(planned):
    rows: list[Any] = [row for row in small_shop.plan(planned) if row["verdict"] == "planned"]
    chosen = [row for row in rows if row["copy"]]
    assert {row["campaign_id"] for row in chosen} == {"winback", "picked_for_you", "restock"}
    assert not [row for row in rows if (place_of(row) in WITH_COPY) != bool(row["copy"])]
    with duckdb.connect(str(planned.warehouse), read_only=True) as db:
        tastes = {row[0]: row[1:] for row in db.execute(TASTES).fetchall()}
    for row in chosen:
        facts = json.loads(row["facts"])
        assert facts["copy"] == {
            word["slot"]: {"id": word["candidate_id"], "text": None} for word in row["copy"]
        }
        for slot, propensity, divergence in expected_words(row, facts, tastes):
            word = next(word for word in row["copy"] if word["slot"] == slot)
            assert word["propensity"] == pytest.approx(propensity, rel=1e-6)
            assert word["divergence"] == pytest.approx(divergence, abs=1e-6)
            assert word["response"] == 0.02  # no mail has been sent yet


TASTES = "select customer_id, categories, category_shares, category_shop_shares from campaigns.copy_tastes"


def place_of(row):
    step = load_campaigns()[row["campaign_id"]].steps[row["step"] - 1]
    return f"{row['campaign_id']}/{step.name}".rstrip("/")


def expected_words(row, facts, tastes):
    """Yield slot, propensity and divergence of what a plan row says: the drawn candidate by its place in copy.yml."""
    place = place_of(row)
    categories, shares, shop_shares = tastes[row["customer_id"]]
    shown = [product["category"] for product in facts["products"]]
    for slot in SLOTS:
        able = [
            each
            for each in load_candidates(place)
            if each.slot == slot and each.least_products <= len(facts["products"])
        ]
        divergences = []
        for candidate in able:
            named = {"first": shown[:1], "second": shown[1:2], "all": shown}[candidate.about]
            mixed = [
                0.8 * named.count(category) / len(named) + 0.2 * shop
                for category, shop in zip(categories, shop_shares, strict=True)
            ]
            divergences.append(entropy([*shares, 0], [*mixed, max(1 - sum(mixed), 0)]))
        pulls = np.exp((math.log(0.02) - np.array(divergences)) / 0.25)
        propensities = 0.9 * pulls / pulls.sum() + 0.1 / len(able)
        draw = int(hashlib.md5(f"{slot}|{row['send_id']}".encode()).hexdigest()[:8], 16) / 2**32
        drawn = int(np.searchsorted(np.cumsum(propensities), draw, side="right"))
        word = next(word for word in row["copy"] if word["slot"] == slot)
        assert word["candidate_id"] == able[drawn].candidate_id
        yield slot, propensities[drawn], divergences[drawn]
