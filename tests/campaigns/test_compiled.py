"""Templates compiled into encoded pieces say what Jinja itself says, whatever they are made of."""
# ruff: noqa: RUF001  # mails are set with typographic quotes and, in Chinese, full-width stops

import email
import email.policy
import re
from datetime import UTC, datetime
from gettext import NullTranslations
from typing import Any

import jinja2
import pytest
from babel import Locale
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from benchmarks.render import plain
from campaigns.compiled import Part
from campaigns.facts import clean_facts
from campaigns.language import environment, translations
from campaigns.message import build_message
from campaigns.quoted import Address, Body, is_tidy, quoted, tidy, without_gaps
from campaigns.render import LinkAddresses, render
from campaigns.templates import compile_template
from core.errors import CampaignInvalid
from core.tokens import Tokens

CAMPAIGNS = {
    campaign_id: compile_template(campaign_id, step=step)
    for campaign_id, step in [("picked_for_you", ""), ("restock", ""), ("winback", "care")]
}
ADDRESSES = LinkAddresses.of("0123456789abcdef" * 2, "https://t.example", Tokens(SecretStr("k" * 40)))
TEXTS = st.one_of(
    st.text(min_size=1, max_size=120),
    st.text(alphabet="a =\t\r\n。？！<>&\"'%{}é\u3000", min_size=1, max_size=60),
    st.sampled_from(
        ["{{ 7 * 7 }}", "{% raw %}", "%(name)s %d 100%", "=3D=20=", "=?utf-8?q?a?=", "a" * 900, "茶。" * 90]
    ),
)
NUMBERS = st.one_of(st.none(), st.integers(0, 2_000_000))
PRODUCTS = st.fixed_dictionaries(
    {
        "product_id": TEXTS,
        "name": TEXTS.map(lambda text: f"a{text}"),
        "category": st.one_of(st.none(), TEXTS),
        "size": st.one_of(st.none(), TEXTS),
        "price_cents": NUMBERS,
        "currency": st.sampled_from(["USD", "EUR", "JPY"]),
        "url": st.integers(0, 9).map("https://juniper.example/p/{}".format),
        "reason": st.sampled_from(
            [
                "favourite",
                "because",
                "taste",
                "viewed",
                "new_arrival",
                "popular",
                "popular_in_segment",
                "due",
                "none",
            ]
        ),
        "reason_product_name": st.one_of(st.none(), TEXTS),
        "bought_date": st.one_of(st.none(), st.dates(datetime(2015, 1, 1).date()).map(str)),  # noqa: DTZ001  # of which a day is taken
        "times_bought": NUMBERS,
        "usual_gap_days": st.one_of(st.none(), st.floats(0, 400)),
        "days_since": NUMBERS,
    }
)
FACTS = st.fixed_dictionaries(
    {
        "first_name": st.one_of(st.none(), st.sampled_from(["Ada", "Zoë", "小明", "O’Neil"]), TEXTS),
        "products": st.lists(PRODUCTS, min_size=1, max_size=7),
        "days_since_last_order": st.integers(0, 2_000_000),
        "usual_gap_days": st.one_of(st.none(), st.floats(0, 400)),
    }
)


@settings(deadline=None, max_examples=150)
@given(
    campaign_id=st.sampled_from(sorted(CAMPAIGNS)),
    locale=st.sampled_from(["en", "de", "de_AT", "zh", "fr"]),
    facts=FACTS,
)
def test_a_mail_read_by_the_email_package_says_what_jinja_itself_renders(campaign_id, locale, facts):
    template = CAMPAIGNS[campaign_id]
    content = build_message(
        render(template, facts, locale, ADDRESSES),
        send_id="0123456789abcdef" * 2,
        campaign_id=campaign_id,
        sender="Juniper Market <hello@juniper.example>",
        recipient="ada@example.com",
        send_at=datetime(2017, 12, 4, 14, 30, tzinfo=UTC),
        unsubscribe_url=ADDRESSES.unsubscribe,
    )
    message = email.message_from_bytes(content, policy=email.policy.default)
    read = [each.get_content().replace("\r\n", "\n").rstrip("\n") for each in message.iter_parts()]
    subject, html, text = plain(template, clean_facts(facts), locale, ADDRESSES)
    assert message["Subject"] == subject
    assert read == [text.rstrip("\n"), html.rstrip("\n")]
    assert max(map(len, content.partition(b"\r\n\r\n")[2].split(b"\r\n"))) <= 76
    assert not content.replace(b"\r\n", b"").count(b"\r") + content.replace(b"\r\n", b"").count(b"\n")


FEW = st.fixed_dictionaries(
    {
        "product_id": st.just("1"),
        "name": st.sampled_from(["Thing", "Thing 9 OZ"]),
        "category": st.sampled_from(["Coffee", "Bread", None]),
        "size": st.sampled_from(["9 oz", "1 GA", None]),
        "price_cents": st.sampled_from([0, 349, None]),
        "currency": st.sampled_from(["USD", "JPY"]),
        "url": st.sampled_from(["https://juniper.example/1", "https://juniper.example/2"]),
        "reason": st.sampled_from(["taste", "popular", "favourite"]),
        "times_bought": st.sampled_from([1, 2]),
    }
)


@settings(deadline=None, max_examples=100)
@given(campaign_id=st.sampled_from(sorted(CAMPAIGNS)), products=st.lists(FEW, min_size=1, max_size=5))
def test_what_is_kept_of_a_product_is_said_of_no_other_at_no_other_place(campaign_id, products):
    facts = {"products": products, "days_since_last_order": 60, "usual_gap_days": 9.0, "first_name": None}
    subject, html, text = plain(CAMPAIGNS[campaign_id], clean_facts(facts), "en", ADDRESSES)
    rendered = render(CAMPAIGNS[campaign_id], facts, "en", ADDRESSES)
    assert (rendered.subject, rendered.html, rendered.text) == (subject, html, text)


def part(source: str, *, html: bool = True, speech: NullTranslations | None = None, **constants: Any) -> Part:
    speech = speech or NullTranslations()
    return Part(source, environment(speech, Locale.parse("en"), html=html), speech, constants)


def said(source: str, names: dict[str, Any], **constants: Any) -> str:
    """Return what a source says in HTML, by way of its pieces."""
    pieces = part(source, **constants).as_pieces()
    assert pieces is not None
    return Body("quoted-printable", pieces(constants | names)).text


@pytest.mark.parametrize(
    "source",
    [
        "{% macro row(name) %}<b>{{ name }}</b>{% endmacro %}{{ row(a) }}|{{ row('x') }}",
        "{% set row %}<b>{{ a }}</b>{% endset %}{{ row }}{{ row | length }}",
        "{% set b = a %}{{ b }}",
        "{{ a | safe }}{{ a }}{{ a | e }}",
        "{% if brand.name %}{% set c = 'later' %}{% endif %}{{ c }}",
        "{% for x in rows %}{{ loop.index }}{{ loop.cycle('odd', 'even') }}{{ x.y }}{{ ',' if not loop.last }}{% endfor %}",
        "{% for x in brand.names %}{{ x }}{{ a }}{{ loop.revindex }}{% endfor %}",
        "{{ brand.name[0] }}{% for x in brand.names %}<i>{{ x }}</i>{% endfor %}{{ brand.name ~ a }}",
        "{{ rows[0].y + 1 }}{{ [a, a] | join('<br>') }}{{ rows | map(attribute='y') | join(',') }}",
        "{% for pair in products | batch(2) %}{% for x in pair %}{{ x.name }}{{ x.price_cents }}{{ loop.first }}{% endfor %}{% endfor %}",
        "{% for x in products %}<b>{{ x.name }}</b>{{ a }}<i>{{ x.name }}</i>{% endfor %}",
        "{% for x in products %}{% set x = rows[loop.index0] %}<b>{{ x.size }}</b>{% endfor %}",
        "{% macro row() %}{% for x in products %}<b>{{ x.name }}</b>{% endfor %}{% endmacro %}{{ row() }}{{ row() | length }}",
        "{% trans n=rows[0].y %}100%, {{ n }} row{% pluralize %}100%, {{ n }} rows{% endtrans %}",
        "{% trans a %}<b>{{ a }}</b>{% endtrans %} {{ _('fixed & <i>safe</i>') }}{{ _('as value') | upper }}",
    ],
)
def test_pieces_say_what_jinja_says_of_every_kind_of_template(source):
    products = [{"name": name, "price_cents": cents} for name, cents in [("<b>", 1), ("é", 1), ("<b>", 22)]]
    rows = [{"y": 1, "size": 1}, {"y": 22, "size": True}, {"y": 22, "size": 1.0}]
    names = {"a": '<Ärger & "co">', "rows": rows, "products": products}
    brand = {"name": "O'Hara & <Co>", "names": ["x", "<y>"]}
    env = environment(NullTranslations(), Locale.parse("en"), html=True)
    assert said(source, names, brand=brand) == env.from_string(source).render(**names, brand=brand) + "\n"


POLISH = """
msgid ""
msgstr "Content-Type: text/plain; charset=utf-8\\nPlural-Forms: nplurals=3; plural=(n==1 ? 0 : n%10>=2 && n%10<=4 && (n%100<10 || n%100>=20) ? 1 : 2);\\n"

msgid "%(n)s day"
msgid_plural "%(n)s days"
msgstr[0] "%(n)s dzień"
msgstr[1] "%(n)s dni"
msgstr[2] "%(n)s dni!"
"""


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (1, "1 dzień"),
        (3, "3 dni"),
        (5, "5 dni!"),
        (22, "22 dni"),
        (112, "112 dni!"),
        (1_000_003, "1000003 dni"),
    ],
)  # the rule of the Unicode CLDR
def test_a_number_gets_the_plural_form_of_its_language(number, words):
    speech = translations(["pl"], {"pl": POLISH})
    pieces = part(
        "{% trans n=n %}{{ n }} day{% pluralize %}{{ n }} days{% endtrans %}", speech=speech
    ).as_pieces()
    assert pieces is not None
    assert Body("quoted-printable", pieces({"n": number})).text == f"{words}\n"


@pytest.mark.parametrize(
    "source",
    [
        "{% set brand = 1 %}",
        "{% for link in rows %}{% endfor %}",
        "{% set tile = rows %}",
        "{% set products = rows %}",
    ],
)
def test_a_name_that_stands_for_something_else_is_not_given_away(source):
    with pytest.raises(CampaignInvalid, match="is a name that templates use otherwise"):
        part(source, brand={})


@pytest.mark.parametrize(
    "source",
    [
        "{{ a.__class__ }}",
        "{{ a.upper() }}",
        "{{ rows.append(1) }}",
        "{{ rows.__len__() }}",
        "{{ link.hosts }}",
    ],
)
def test_no_attribute_of_any_object_is_within_reach(source):
    pieces = part(source).as_pieces()
    assert pieces is not None
    with pytest.raises((TypeError, KeyError, jinja2.TemplateError)):
        pieces({"a": "x", "rows": [1], "link": object()})


def test_a_value_that_was_markup_once_is_escaped_all_the_same_as_a_fact():
    pieces = part("{{ a | safe }}{{ b.c }}{{ b.c | clip }}").as_pieces()
    assert pieces is not None
    names = {"a": "<b>", "b": {"c": "<b>"}}
    assert [Body("quoted-printable", pieces(names)).text for _ in "12"] == ["<b>&lt;b&gt;&lt;b&gt;\n"] * 2


def test_a_part_whose_text_is_shorter_in_base64_is_not_made_of_pieces():
    assert part("本周为您挑选的茶和点心。" * 9, html=False).as_pieces() is None
    assert part("Tea and cakes picked for you. ", html=False).as_pieces() is not None


# --- quoted-printable in pieces

PIECES = st.lists(st.text(alphabet="ab \t\n=é。x", max_size=90), max_size=8)


@given(PIECES)
def test_pieces_of_any_text_make_the_text_in_lines_of_76_characters(texts):
    lines = b"".join(quoted(text) for text in texts)
    assert Body("quoted-printable", lines).text == "".join(texts)
    assert max(map(len, lines.split(b"\r\n"))) <= 76


@pytest.mark.parametrize("letter", ["a", "é", "=", " "])
def test_a_piece_of_any_length_has_no_line_of_77_characters(letter):
    for length in range(1, 160):
        for end in ("", " \n", "\t\n"):
            text = "a" * (length % 3) + letter * length + end
            piece = quoted(text)
            assert Body("quoted-printable", piece).text == text
            assert max(map(len, piece.split(b"\r\n"))) <= 76


@given(PIECES)
def test_tidy_pieces_are_those_of_a_text_that_tidying_leaves_alone(texts):
    texts = [*texts, "a", *texts, "\n"]
    assert is_tidy(b"".join(quoted(text) for text in texts)) == (tidy("".join(texts)) == "".join(texts))


@given(st.text(max_size=200))
def test_a_body_is_read_back_with_one_line_end_after_it(text):
    text = text.encode(errors="ignore").decode()
    body = Body.of(text)
    assert body.text == "\n".join(text.splitlines()) + "\n"
    assert max(map(len, body.lines.split(b"\r\n"))) <= 76


@given(st.lists(st.text(alphabet="a。？ \n<", max_size=50), max_size=6))
def test_gaps_close_in_pieces_as_they_do_in_text(texts):
    text = "".join(texts)
    lines = without_gaps(b"".join(quoted(each) for each in texts))
    assert Body("quoted-printable", lines).text == re.sub(r"(?<=[。？！])[ \n]+(?=[^ \n<])", "", text)
    assert max(map(len, lines.split(b"\r\n"))) <= 76


@pytest.mark.parametrize("before", range(60, 78))
def test_a_gap_closes_also_where_a_line_ends_within_the_stop(before):
    lines = without_gaps(quoted("a" * before + "？ b"))
    assert Body("quoted-printable", lines).text == "a" * before + "？b"


@pytest.mark.parametrize("length", [1, 74, 75, 76, 150, 151, 400])
def test_an_address_has_its_piece_and_one_that_needs_encoding_has_none(length):
    address = Address.under("https://t.example/c/", "x" * length)
    assert isinstance(address, Address)
    assert (
        Body("quoted-printable", address.piece).text == str(address) == "https://t.example/c/" + "x" * length
    )
    assert max(map(len, address.piece.split(b"\r\n"))) <= 76
    assert not isinstance(Address.under("https://t.example/c?a=", "x"), Address)
