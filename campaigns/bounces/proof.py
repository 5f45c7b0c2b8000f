"""Which send a mail that came back is proved to be about: by a token that we signed, and by nothing else.

A token is in the address that bounces of its send come back to, and in that send's links. Only the server and the reader
that our mail went to have seen it, so it speaks for that send and its customer alone; addresses in the mail prove nothing.
"""

import re
from collections.abc import Callable, Iterator
from itertools import islice

from campaigns.bounces.mime import Fields, Part, first_mib, read_parts, read_source
from campaigns.bounces.read import COMPLAINT_TYPE, originals
from core.tokens import TokenKind, Tokens

# Here servers write down for whom a mail came: Postfix, qmail and Dovecot the first two, Exim the others. A report is
# addressed to the return path of the mail it speaks of, so where nothing is written down, `To` says the same.
_ENVELOPE = re.compile(
    rb"^(?:delivered-to|x-original-to|envelope-to|x-envelope-to|to)[ \t]*:(.*)$", re.IGNORECASE | re.MULTILINE
)
_OWN_ADDRESS = re.compile(r"(?<![\w-])([br]-[0-9a-f-]{53})@", re.IGNORECASE)
_UNSUBSCRIBE = re.compile(r"/u/([\w.-]{1,400})>")
_QUOTED_UNSUBSCRIBE = re.compile(r"/u/([\w-]{20,400}\.[\w-]{27})(?![\w.-]*[\w-])")
MOST_LINKS = 20
"""Links of a letter that are tried."""


def proven_send(raw: bytes, tokens: Tokens) -> str | None:
    """Return the send_id in the first valid token of a mail that came back, or None. Never raises.

    It stands before the @ of the address the mail came to; of a feedback report (ARF, RFC 5965), which may come to any
    address, also in the return path or the unsubscribe link of the mail that is complained of.
    """
    parts = read_parts(raw)
    return next(_proofs(first_mib(raw), parts, tokens), None)


def proven_reply(raw: bytes, parts: list[Part], tokens: Tokens) -> str | None:
    """Return the send_id in the first valid token of a person's answer, or None. Never raises.

    It stands before the @ of the address the answer came to, or in the unsubscribe link of our mail, which the answer quotes:
    who has that link may stop the mail of its customer anyway.
    """
    envelope = _of_envelope(first_mib(raw), tokens.read_reply_path)
    return next(envelope, None) or next(_of_links(parts, tokens), None)


def _proofs(mail: bytes, parts: list[Part], tokens: Tokens) -> Iterator[str]:
    yield from _of_envelope(mail, tokens.read_return_path)
    if any(part.media_type == COMPLAINT_TYPE for part in parts):
        for fields in originals(parts):
            yield from _of_original(fields, tokens)


def _of_envelope(mail: bytes, read: Callable[[str], str | None]) -> Iterator[str]:
    head = re.sub(rb"\n[ \t]+", b" ", mail.partition(b"\n\n")[0])
    for field in _ENVELOPE.finditer(head):
        yield from _own_addresses(field[1].decode("ascii", "replace"), read)


def _of_original(fields: Fields, tokens: Tokens) -> Iterator[str]:
    yield from _own_addresses(fields.get("return-path", ""), tokens.read_return_path)
    for found in _UNSUBSCRIBE.finditer(fields.get("list-unsubscribe", "")):
        if read := tokens.read(TokenKind.UNSUBSCRIBE, found[1]):
            yield read[0]


def _of_links(parts: list[Part], tokens: Tokens) -> Iterator[str]:
    texts = (read_source(part) for part in parts if part.media_type in ("text/plain", "text/html"))
    links = (found[1] for text in texts for found in _QUOTED_UNSUBSCRIBE.finditer(text))
    for link in islice(links, MOST_LINKS):
        if read := tokens.read(TokenKind.UNSUBSCRIBE, link):
            yield read[0]


def _own_addresses(value: str, read: Callable[[str], str | None]) -> Iterator[str]:
    for found in _OWN_ADDRESS.finditer(value):
        if send_id := read(found[1]):
            yield send_id
