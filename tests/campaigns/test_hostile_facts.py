"""Whatever customers and products are called: a mail keeps its elements, links, headers and words, and states facts alone.

In the suite some hundreds of values fill every fourth mail; `make test-hostile-facts` (TEST_FACTS) fills every mail with 100,000.
Nothing of Lapwing writes a spreadsheet: a formula has nowhere to run, and stands in a mail as the text it is.
"""

import email
import email.policy
import os
import random
import re
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from functools import cache
from typing import Any

import pytest
from pydantic import SecretStr

from campaigns import gallery
from campaigns.guard import faults
from campaigns.message import build_message
from campaigns.render import LinkAddresses, Rendered, render
from campaigns.templates import Template, compile_template
from core.tokens import Tokens
from tests.campaigns.test_render import Page

FACTS = int(os.environ.get("TEST_FACTS", "400"))
MAILS = gallery.mails() if FACTS > 400 else gallery.mails()[::4]
LOCALES = ("ar", "de", "en", "es", "fr", "ja", "zh")
SEND = "0123456789abcdef" * 2
ADDRESSES = LinkAddresses.of(SEND, "https://t.juniper.example", Tokens(SecretStr("k" * 40)))
HOSTILE = {
    "control": [
        "a\r\nBcc: eve@evil.example\r\n\r\n<p>x", "\x00\x1b[31m\x7f\x85", "\u202egnp.exe\u2066 \u200f", "\u2028\u2029\u0085Subject: x",
        "\ud800", "\ufeff\u200b\u00ad", "--=_0123\r\nContent-Type: text/html\r\n\r\n<b>", "\r\n.\r\nMAIL FROM:<eve@evil.example>", "\u2068\u2069\u2069",
    ],
    "encoded word": [
        "=?utf-8?q?a=0D=0ABcc:_eve@evil.example?=", "=?UTF-8?B?DQpCY2M6IGV2ZUBldmlsLmV4YW1wbGU=?=", "=?utf-8?q?=", "?= =?us-ascii?q?x?=",
        "=3D=20=0D=0A", "=\r\n=E2=80=99", "=?utf-7?q?+ADw-script+AD4-?=",
    ],
    "markup": [
        "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "' style='background:url(//evil.example)", "<a href=//evil.example>win</a>",
        "</title></style><svg onload=x>", "<!--[if mso]><p>", "-->", "&lt;b&gt; &amp;amp; &#60;script&#62;", "]]><![CDATA[", "<" * 60,
        "javascript:alert(1)", "<mj-raw><form action=//evil.example><input name=q>",
    ],
    "template": [
        "{{ 7 * 7 }}", "{% for x in ().__class__.__base__.__subclasses__() %}{{ x }}{% endfor %}", "{{ config }} {# note",
        "%(product)s %s %n", "%(name)s %(count)s", "${7*7} <%= 7*7 %>", "{{ link('https://evil.example') }}", "{% endraw %}{{ brand }}", "{0.__class__}",
    ],
    "formula": [
        "=cmd|'/C calc'!A0", "@SUM(1+9)*cmd|' /C calc'!A0", "+1+1", "-2+3", '=HYPERLINK("https://evil.example","x")', "\t=1+1", "=1+1\",\"=2+2",
    ],
    "long": ["x" * 10_000, "Z\u0335\u0321a\u0300" * 2_500, "<" * 10_000, "{{" * 5_000, "=?" * 5_000, "\u5c0f" * 10_000, "w " * 5_000],
    "statement": ["-50 %", "$0.00", "FREE 99", "1", "a 7", "12,50 \u20ac", "2017-12-04", "null", "None", "undefined", "\U0001f381 3"],
    "script": ["\u05e9\u05dc\u05d5\u05dd", "\u3002 \uff1f \uff01", "\u0645\u062d\u0645\u062f", "O\u2019Neil", "\U0001f468\u200d\U0001f469\u200d\U0001f467"],
}  # fmt: skip
HEADERS = [
    "From", "To", "Subject", "Date", "Message-ID", "List-Unsubscribe", "List-Unsubscribe-Post", "Feedback-ID", "X-Lapwing-Send",
    "X-Lapwing-Campaign", "MIME-Version", "Content-Type",
]  # fmt: skip
ACTS_IN_A_HEADER = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e]|=\?")


def hostile(rng: random.Random, kind: str) -> str:
    """Return a hostile value: one of its kind as it is, among other letters, or beside one of another kind."""
    value = rng.choice(HOSTILE[kind])
    match rng.randrange(3):
        case 0:
            return value
        case 1:
            letters = "".join(
                chr(rng.choice((rng.randrange(1, 256), rng.randrange(1, 0x3000)))) for _ in range(4)
            )
            return f"{letters[:2]}{value}{letters[2:]}"
        case _:
            return value + rng.choice(HOSTILE[rng.choice(list(HOSTILE))])


def filled(facts: dict[str, Any], values: Iterator[str]) -> dict[str, Any]:
    """Return facts with all that a customer, or who names products, can type filled with values."""
    products = [
        product
        | {
            "name": f"a{next(values)}",
            "category": next(values),
            "size": f"9 zz{next(values)}",
            "brand": next(values),
        }
        | ({"reason_product_name": f"b{next(values)}"} if product.get("reason_product_name") else {})
        for product in facts.get("products", [])
    ]
    return facts | {"first_name": next(values)} | ({"products": products} if products else {})


def message_of(rendered: Rendered, campaign_id: str) -> EmailMessage:
    content = build_message(
        rendered,
        send_id=SEND,
        campaign_id=campaign_id,
        sender="Juniper Market <hello@juniper.example>",
        recipient="ada@example.com",
        send_at=datetime(2017, 12, 4, 14, 30, tzinfo=UTC),
        unsubscribe_url=ADDRESSES.unsubscribe,
    )
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


@cache
def template_of(campaign_id: str, step: str) -> Template:
    return compile_template(campaign_id, step=step)


@cache
def harmless(campaign_id: str, step: str, locale: str, name: str | None) -> tuple[EmailMessage, Page]:
    facts = filled(gallery.example(campaign_id, step), iter(lambda: "q", None)) | {"first_name": name}
    rendered = render(template_of(campaign_id, step), facts, locale, ADDRESSES)
    return message_of(rendered, campaign_id), Page(rendered.html)


def require_harmless(campaign_id: str, step: str, locale: str, facts: dict[str, Any]) -> None:
    template = template_of(campaign_id, step)
    rendered = render(template, facts, locale, ADDRESSES)
    named, nameless = (harmless(campaign_id, step, locale, name) for name in ("Ada", None))
    page, message = Page(rendered.html), message_of(rendered, campaign_id)

    # nothing acts: the same elements, attributes and addresses
    assert page.tags in (named[1].tags, nameless[1].tags)
    assert page.addresses == named[1].addresses
    # no header says, or is, anything else
    assert message.keys() == HEADERS
    assert [message[name] for name in HEADERS if name != "Subject"] == [
        named[0][name] for name in HEADERS if name != "Subject"
    ]
    assert message["Subject"] == rendered.subject
    assert not any(part.defects for part in message.walk())
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert not ACTS_IN_A_HEADER.search(rendered.subject)
    assert len(rendered.subject) <= 150
    # nothing is run, or left open, or stated that is no fact
    shown = rendered.subject.replace("= ?", "=?")
    for fault in faults(shown, rendered.preheader, rendered.text, facts, locale, template.brand):
        assert re.match(r"the mail is in|the (subject|preheader) takes", fault), fault
    everything = rendered.subject + rendered.preheader + rendered.html + rendered.text
    assert not re.search(r"__main__|<class|\r|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", everything)
    everything.encode()  # no half characters
    for product in facts.get("products", []):
        if len(product["name"]) < 60 and all(
            unicodedata.category(each)[0] in "LNPS" for each in product["name"]
        ):
            assert product["name"] in rendered.text
            assert product["name"] in page.text


@pytest.mark.parametrize(("campaign_id", "step"), MAILS)
def test_no_text_of_a_customer_or_product_acts_or_leaks_or_states_what_is_no_fact(campaign_id, step):
    rng, kinds, count = random.Random(f"{campaign_id}/{step}"), list(HOSTILE), 0

    def values() -> Iterator[str]:
        nonlocal count
        while True:
            yield hostile(rng, kinds[count % len(kinds)])
            count += 1

    each, first = values(), rng.randrange(len(LOCALES))
    while count < FACTS / len(MAILS):
        locale = LOCALES[(first + count // 100) % len(LOCALES)]
        require_harmless(campaign_id, step, locale, filled(gallery.example(campaign_id, step), each))
