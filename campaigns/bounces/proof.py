"""Which send a mail that came back is proved to be about: by a token that we signed, and by nothing else.

A token is in the address that bounces of its send come back to, and in that send's links. Only the server and the reader
that our mail went to have seen it, so it speaks for that send and its customer alone; addresses in the mail prove nothing.
"""

import re
from collections.abc import Iterator

from campaigns.bounces.mime import Fields, Part, first_mib, read_parts
from campaigns.bounces.read import COMPLAINT_TYPE, originals
from core.tokens import TokenKind, Tokens

# Here servers write down for whom a mail came: Postfix, qmail and Dovecot the first two, Exim the others. A report is
# addressed to the return path of the mail it speaks of, so where nothing is written down, `To` says the same.
_ENVELOPE = re.compile(
    rb"^(?:delivered-to|x-original-to|envelope-to|x-envelope-to|to)[ \t]*:(.*)$", re.IGNORECASE | re.MULTILINE
)
_RETURN_PATH = re.compile(r"(?<![\w-])(b-[0-9a-f-]{53})@", re.IGNORECASE)
_UNSUBSCRIBE = re.compile(r"/u/([\w.-]{1,400})>")


def proven_send(raw: bytes, tokens: Tokens) -> str | None:
    """Return the send_id in the first valid token of a mail that came back, or None. Never raises.

    It stands before the @ of the address the mail came to; of a feedback report (ARF, RFC 5965), which may come to any
    address, also in the return path or the unsubscribe link of the mail that is complained of.
    """
    parts = read_parts(raw)
    return next(_proofs(first_mib(raw), parts, tokens), None)


def _proofs(mail: bytes, parts: list[Part], tokens: Tokens) -> Iterator[str]:
    head = re.sub(rb"\n[ \t]+", b" ", mail.partition(b"\n\n")[0])
    for field in _ENVELOPE.finditer(head):
        yield from _return_paths(field[1].decode("ascii", "replace"), tokens)
    if any(part.media_type == COMPLAINT_TYPE for part in parts):
        for fields in originals(parts):
            yield from _of_original(fields, tokens)


def _of_original(fields: Fields, tokens: Tokens) -> Iterator[str]:
    yield from _return_paths(fields.get("return-path", ""), tokens)
    for found in _UNSUBSCRIBE.finditer(fields.get("list-unsubscribe", "")):
        if read := tokens.read(TokenKind.UNSUBSCRIBE, found[1]):
            yield read[0]


def _return_paths(value: str, tokens: Tokens) -> Iterator[str]:
    for found in _RETURN_PATH.finditer(value):
        if send_id := tokens.read_return_path(found[1]):
            yield send_id
