"""A rendered mail as the bytes handed to a server: the same input gives the same bytes.

The bytes are put together here, 20 times as fast as by `email.message.EmailMessage`, which parses every header it is
given; `tests/campaigns/test_message.py` has the email package read them back.
"""

import hashlib
import re
from datetime import datetime
from email.header import Header
from email.utils import format_datetime, formataddr, parseaddr
from functools import lru_cache
from typing import NamedTuple

from email_validator import EmailNotValidError, ValidatedEmail, validate_email

from campaigns.quoted import Address
from campaigns.render import Rendered, header_text
from core.errors import CampaignInvalid

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LONGEST_LINE = 998  # RFC 5322, section 2.1.1
_LONGEST_ADDRESS = 254  # RFC 5321, section 4.5.3.1.3, without its brackets
_PLAIN_LOCAL_PART = re.compile(r"(?=.{1,64}$)\w+([.+-]\w+)*", re.ASCII)
_PART_HEADS = {
    (kind, encoding): (
        f'Content-Type: text/{kind}; charset="utf-8"\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n'
    ).encode()
    for kind in ("plain", "html")
    for encoding in ("quoted-printable", "base64")
}
_UNSUBSCRIBE = re.compile(r"List-Unsubscribe: <https?://[!#-;=?-\[\]_a-z~]+>")


def build_message(
    rendered: Rendered,
    *,
    send_id: str,
    campaign_id: str,
    sender: str,
    recipient: str,
    send_at: datetime,
    unsubscribe_url: Address | str,
) -> bytes:
    """Return the message: multipart/alternative of text and HTML, with RFC 8058's unsubscribe headers.

    `sender` may carry a name (`Shop <hello@shop.example>`), `recipient` is one bare address, `send_at` has a zone.

    Raises
    ------
    CampaignInvalid
        If an address, an id, the date or the unsubscribe address is not usable; the message never repeats an
        address.
    """
    _require_id("send_id", send_id)
    if send_at.tzinfo is None:
        raise CampaignInvalid(f"send {send_id} has the date {send_at} without a time zone")
    # one line, whole: no mail program acts on one that is folded into encoded words
    unsubscribe = f"List-Unsubscribe: <{unsubscribe_url}>"
    if not _UNSUBSCRIBE.fullmatch(unsubscribe) or len(unsubscribe) > _LONGEST_LINE:
        raise CampaignInvalid(f"send {send_id} has an unsubscribe address that is no plain web address")
    to = _recipient(recipient, send_id)
    shared = _shared(sender, campaign_id, send_at.isoformat())
    boundary = _boundary(send_id)
    head = (
        f"From: {shared.author}\r\nTo: {to}\r\nSubject: {_subject(rendered.subject)}\r\n"
        f"Date: {shared.date}\r\nMessage-ID: <{send_id}@{shared.domain}>\r\n{unsubscribe}\r\n"
        f"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nFeedback-ID: {shared.feedback_id}\r\n"
        f"X-Lapwing-Send: {send_id}\r\nX-Lapwing-Campaign: {campaign_id}\r\nMIME-Version: 1.0\r\n"
        f'Content-Type: multipart/alternative; boundary="{boundary}"\r\n\r\n--{boundary}\r\n'
    )
    text, html, separator = rendered.text_body, rendered.html_body, f"--{boundary}".encode()
    text_head, html_head = _PART_HEADS["plain", text.encoding], _PART_HEADS["html", html.encoding]
    parts = (text_head, text.lines, separator, b"\r\n", html_head, html.lines, separator, b"--\r\n")
    return b"".join((head.encode("ascii"), *parts))


class _Shared(NamedTuple):
    """What the mails of a campaign have in common that leave at one moment."""

    author: str
    domain: str
    date: str
    feedback_id: str


@lru_cache(maxsize=4096)
def _shared(sender: str, campaign_id: str, send_at: str) -> _Shared:
    _require_id("campaign_id", campaign_id)
    author, domain = author_of(sender)
    moment = datetime.fromisoformat(send_at)
    # what Gmail counts complaints by: never anything of one customer
    feedback_id = f"{campaign_id}:{moment.date()}:lifecycle:lapwing"
    return _Shared(author, domain, format_datetime(moment), feedback_id)


def _require_id(what: str, value: str) -> None:
    if not _ID.fullmatch(value):
        raise CampaignInvalid(f"{what} {value!r} may hold letters, digits, - and _ only")


def _boundary(send_id: str) -> str:
    # "=_" occurs in neither of the two encodings our parts have (RFC 2045, section 6.7)
    return f"=_{hashlib.sha256(send_id.encode()).hexdigest()[:32]}"


@lru_cache(maxsize=4096)  # as many subjects name the same product
def _subject(text: str) -> str:
    return _encoded(header_text(text), "Subject")


def _encoded(text: str, header: str) -> str:
    """Return the value of a header, folded; as encoded words (RFC 2047) of 75 characters at most if not ASCII."""
    return Header(text, "us-ascii" if text.isascii() else "utf-8", header_name=header).encode(linesep="\r\n")


@lru_cache(maxsize=8)
def author_of(sender: str) -> tuple[str, str]:
    """Return the From header's value and the domain of a sender like `Shop <hello@shop.example>`.

    Raises
    ------
    CampaignInvalid
        If it is not like that.
    """
    name, spec = parseaddr(sender)
    try:
        address = _address(spec)
    except EmailNotValidError as error:
        raise CampaignInvalid(f"the sender is not like 'Shop <hello@shop.example>': {error}") from None
    name = header_text(name)
    plain = f"{address.local_part}@{address.ascii_domain}"
    author = formataddr((name, plain)) if name.isascii() else f"{_encoded(name, 'From')} <{plain}>"
    return author, address.ascii_domain


def _recipient(recipient: str, send_id: str) -> str:
    local_part, _, domain = recipient.rpartition("@")
    try:
        if _PLAIN_LOCAL_PART.fullmatch(local_part) and len(recipient) <= _LONGEST_ADDRESS:
            return f"{local_part}@{_ascii_domain(domain)}"
        address = _address(recipient)
    except EmailNotValidError:  # whose words repeat the address
        raise CampaignInvalid(
            f"send {send_id} has a recipient that is not one plain address; correct it in customers"
        ) from None
    return f"{address.local_part}@{address.ascii_domain}"


@lru_cache(maxsize=4096)  # most people have their mailbox with one of few
def _ascii_domain(domain: str) -> str:
    return _address(f"a@{domain}").ascii_domain


def _address(spec: str) -> ValidatedEmail:
    # .example and .test are no public domains, yet what tests and the demo write to
    return validate_email(
        spec,
        check_deliverability=False,
        globally_deliverable=False,
        allow_smtputf8=False,
        allow_quoted_local=False,
    )
