import email
import email.policy
import json
import re
from datetime import UTC, datetime, timedelta, timezone
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from campaigns.definitions import TEMPLATES
from campaigns.message import build_message
from campaigns.quoted import Body
from campaigns.render import LinkAddresses, Rendered, render
from campaigns.templates import compile_template
from core.errors import CampaignInvalid
from core.tokens import TokenKind, Tokens

SEND = "0123456789abcdef0123456789abcdef"
TOKENS = Tokens(SecretStr("k" * 40))
ADDRESSES = LinkAddresses.of(SEND, "http://127.0.0.1:8180", TOKENS)
RENDERED = Rendered("Hello", "Preheader", Body.of("<p>Hi</p>"), Body.of("Hi"), {})


def build(rendered: Rendered = RENDERED, **changes: object) -> bytes:
    arguments = {
        "send_id": SEND,
        "campaign_id": "winback",
        "sender": "Juniper Market <hello@juniper.example>",
        "recipient": "ada@example.com",
        "send_at": datetime(2017, 12, 4, 14, 30, tzinfo=UTC),
        "unsubscribe_url": ADDRESSES.unsubscribe,
    }
    return build_message(rendered, **(arguments | changes))  # type: ignore[arg-type]  # some are wrong on purpose


def parsed(content: bytes) -> EmailMessage:
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert not any(part.defects for part in message.walk())
    return message


def mail(locale: str) -> Rendered:
    facts = json.loads((TEMPLATES / "restock" / "example.json").read_text(encoding="utf-8"))
    return render(compile_template("restock"), facts, locale, ADDRESSES)


def test_the_headers_are_those_that_rfc_8058_and_the_ledger_ask_for():
    content = build()
    head = content.partition(b"\r\n\r\n")[0].decode()
    assert head.split("\r\n") == [
        "From: Juniper Market <hello@juniper.example>",
        "To: ada@example.com",
        "Subject: Hello",
        "Date: Mon, 04 Dec 2017 14:30:00 +0000",
        f"Message-ID: <{SEND}@juniper.example>",
        f"List-Unsubscribe: <http://127.0.0.1:8180/u/{TOKENS.sign(TokenKind.UNSUBSCRIBE, SEND)}>",
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
        "Feedback-ID: winback:2017-12-04:lifecycle:lapwing",
        f"X-Lapwing-Send: {SEND}",
        "X-Lapwing-Campaign: winback",
        "MIME-Version: 1.0",
        head.split("\r\n")[-1],
    ]


@pytest.mark.parametrize("locale", ["en", "de", "zh"])
def test_a_reader_gets_back_subject_text_and_html(locale):
    rendered = mail(locale)
    message = parsed(build(rendered))
    assert message["Subject"] == rendered.subject
    assert message.get_content_type() == "multipart/alternative"
    text, html = message.iter_parts()
    assert (text.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert text.get_content().split() == rendered.text.split()
    assert html.get_content().split() == rendered.html.split()


@pytest.mark.parametrize("locale", ["en", "de", "zh"])
def test_lines_end_in_crlf_and_stay_under_the_limits_of_rfc_5322_and_2045(locale):
    content = build(mail(locale))
    assert not re.search(rb"[^\r]\n|\r[^\n]", content)
    head, _, body = content.partition(b"\r\n\r\n")
    assert max(map(len, head.split(b"\r\n"))) <= 998
    assert max(map(len, body.split(b"\r\n"))) <= 76
    assert content.isascii()


def test_the_same_mail_is_the_same_bytes_and_another_send_has_other_boundaries():
    assert build(mail("zh")) == build(mail("zh"))
    boundaries = {parsed(build(send_id=send_id)).get_boundary() for send_id in (SEND, SEND[::-1])}
    assert len(boundaries) == 2


def test_an_unsubscribe_address_of_500_characters_stays_on_one_line():
    url = "https://t.example/u/" + "a" * 480
    assert f"\r\nList-Unsubscribe: <{url}>\r\n".encode() in build(unsubscribe_url=url)


def test_the_date_keeps_the_zone_it_was_given_in():
    send_at = datetime(2017, 12, 4, 9, 30, tzinfo=timezone(timedelta(hours=-5)))
    assert parsed(build(send_at=send_at))["Date"].datetime == datetime(2017, 12, 4, 14, 30, tzinfo=UTC)


@pytest.mark.parametrize("name", ["Juniper, Market", 'The "Juniper"', "Jüniper Märket", "杜松集市"])
def test_a_shop_name_of_any_script_is_read_back(name):
    sender = f'"{name.replace(chr(34), chr(92) + chr(34))}" <hello@juniper.example>'
    author = parsed(build(sender=sender))["From"].addresses[0]
    assert (author.display_name, author.addr_spec) == (name, "hello@juniper.example")


@pytest.mark.parametrize(
    "recipient",
    [
        "",
        "ada",
        "ada@",
        "ada@example.com, eve@example.com",
        "ada@example.com\r\nBcc: eve@example.com",
        "ada@example.com\n",
        "Ada <ada@example.com>",
        "=?utf-8?q?ada?=@example.com,eve@example.com",
        "ada@exam ple.com",
        "äda@example.com",
    ],
)
def test_a_recipient_that_is_not_one_plain_address_is_refused_and_not_repeated(recipient):
    with pytest.raises(CampaignInvalid, match="recipient that is not one plain address") as raised:
        build(recipient=recipient)
    assert "@" not in str(raised.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"send_id": "a\r\nX: y"},
        {"campaign_id": "win back"},
        {"send_at": datetime(2017, 12, 4)},  # noqa: DTZ001  # the fault this is about
        {"unsubscribe_url": "javascript:alert(1)"},
        {"unsubscribe_url": "https://t.example/u/a>\r\nBcc: x"},
        {"unsubscribe_url": "https://t.example/" + "a" * 1000},
        {"sender": "Juniper Market"},
    ],
)
def test_what_would_not_fit_a_header_is_refused(changes):
    with pytest.raises(CampaignInvalid):
        build(**changes)


HEADERS = [
    "From", "To", "Subject", "Date", "Message-ID", "List-Unsubscribe", "List-Unsubscribe-Post",
    "Feedback-ID", "X-Lapwing-Send", "X-Lapwing-Campaign", "MIME-Version", "Content-Type",
]  # fmt: skip
HOSTILE = st.one_of(
    st.text(max_size=200),
    st.sampled_from(
        [
            "a\r\nBcc: eve@example.com",
            "=?utf-8?q?a=0D=0ABcc:_eve@example.com?=",
            "=?utf-8?b?DQpCY2M6IGV2ZUBleGFtcGxlLmNvbQ==?= =?utf-8?q?x?=",
            "=" + "\u200b" + "?utf-8?q?hidden?=",
            "\u2028Bcc: eve@example.com",
            "x" * 10_000,
            "\udcff",
        ]
    ),
)


@given(subject=HOSTILE, body=HOSTILE)
def test_no_text_adds_a_header_or_a_part_or_turns_into_an_encoded_word_of_its_own(subject, body):
    body = body.encode(errors="ignore").decode()
    message = parsed(
        build(RENDERED._replace(subject=subject, text_body=Body.of(body), html_body=Body.of(body)))
    )
    assert message.keys() == HEADERS
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    shown = str(message["Subject"])
    assert len(shown) <= 150
    assert not re.search(r"[\r\n\u2028\u202e]", shown)
    if "=?" in subject:
        assert "= ?" in shown  # the reader sees the trick instead of its result
