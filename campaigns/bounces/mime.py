"""Just enough MIME (RFC 2045 to 2047) to read a mail that came back, with a bound on everything.

The standard library's parser recurses into nested parts, and takes minutes for some mails that are made for it; what
arrives here may have been. Whatever the bytes are, no more than `LONGEST` of them are read, `MOST_PARTS` times at most.
"""

import binascii
import html
import re
from dataclasses import dataclass

LONGEST = 1 << 20
"""Bytes of a mail that are looked at. What a report says stands before the copy of what came back."""
MOST_PARTS = 64
"""Side by side and inside of each other."""
MOST_FIELDS = 500
LONGEST_FIELD = 4000
"""Characters of one header's value."""
LONGEST_TEXT = 1 << 16
"""Characters of a part that are read as text."""

_FIELD = re.compile(rb"([!-9;-~]{1,80})[ \t]*:(.*)", re.DOTALL)
_PARAMETER = r';\s*{}\s*=\s*(?:"([^"]{{1,200}})"|([^\s";]{{1,200}}))'
_BOUNDARY = re.compile(_PARAMETER.format("boundary"), re.IGNORECASE)
_CHARSET = re.compile(_PARAMETER.format("charset"), re.IGNORECASE)
_ENCODED_WORD = re.compile(
    r"=\?([\w.:-]{1,40})(?:\*[\w-]{0,20})?\?([bq])\?([^?\s]{0,1000})\?=(?:\s+(?==\?))?", re.I
)
_CHARSETS = re.compile(
    r"utf-?(8|16|16[bl]e)|us-ascii|iso-?8859-\d+|iso-2022-\w+|windows-\d+|cp\d+|koi8-[ru]|gb\w+|big5\w*|euc-\w+|shift_jis",
    re.IGNORECASE,
)
"""Those that mail is written in. Python knows more names, some of which are no charsets, and slow."""
_LINE_BREAK = re.compile(r"<(?:br|p|div|tr|li|h\d)\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"<[/!]?[A-Za-z][^<>@]*>|<!--")

Fields = dict[str, str]
"""Header fields by lower-case name; of a repeated one the first, unfolded."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a mail; the mail itself is the first.

    Parameters
    ----------
    is_message
        Whether it is a whole mail, header and all, that another mail carries.
    depth
        How many such mails it is inside of, itself counted.
    """

    media_type: str
    fields: Fields
    body: bytes
    is_message: bool = False
    depth: int = 0


def first_mib(raw: bytes) -> bytes:
    """Return what is looked at of a mail, its lines ended by LF."""
    return raw[:LONGEST].replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def read_parts(raw: bytes) -> list[Part]:
    """Return a mail's parts in the order they stand in, a part before what it holds; `MOST_PARTS` at most."""
    found: list[Part] = []
    waiting = [(first_mib(raw), False, 0)]
    while waiting and len(found) < MOST_PARTS:
        block, is_message, depth = waiting.pop()
        part = _read_part(block, is_message=is_message, depth=depth)
        found.append(part)
        if part.media_type.startswith("multipart/"):
            waiting += [(each, False, depth) for each in reversed(_pieces(part))]
        elif part.media_type in ("message/rfc822", "message/global"):
            waiting.append((_decoded(part), True, depth + 1))
    return found


def _read_part(block: bytes, *, is_message: bool, depth: int) -> Part:
    if block.startswith(b"\n"):
        head, body = b"", block[1:]
    else:
        head, _, body = block.partition(b"\n\n")
    fields = read_fields(head)
    kind = fields.get("content-type", "text/plain").partition(";")[0].strip().lower()
    return Part(kind if "/" in kind else "text/plain", fields, body, is_message, depth)


def _pieces(part: Part) -> list[bytes]:
    """Return what stands between a multipart's boundaries, without preamble and epilogue."""
    given = _BOUNDARY.search(part.fields["content-type"])
    boundary = (given[1] or given[2]).encode("utf-8", "replace") if given else _first_boundary(part.body)
    body, _, _ = (b"\n" + part.body).partition(b"\n--" + boundary + b"--")
    pieces = re.split(rb"\n--" + re.escape(boundary) + rb"[ \t]*(?=\n|\Z)", body, maxsplit=MOST_PARTS)
    return [piece[1:] for piece in pieces[1:]]


def _first_boundary(body: bytes) -> bytes:
    found = re.search(rb"^--(\S{1,70})[ \t]*$", body, re.MULTILINE)
    return found[1] if found else b"-"


def read_fields(head: bytes) -> Fields:
    """Return the fields of a block of header lines; what is no field is passed over."""
    unfolded = re.sub(rb"\n[ \t]+", b" ", head)
    fields: Fields = {}
    for line in unfolded.split(b"\n", MOST_FIELDS)[:MOST_FIELDS]:
        found = _FIELD.match(line)
        if found:
            value = found[2][:LONGEST_FIELD].decode("utf-8", "replace").strip()
            fields.setdefault(found[1].decode("ascii").lower(), value)
    return fields


def read_words(value: str) -> str:
    """Return a header's value with its encoded words (RFC 2047) read."""

    def word(found: re.Match[str]) -> str:
        content = found[3].replace("_", " ") if found[2] in "qQ" else found[3]
        raw = _unpacked(
            content.encode("utf-8", "replace"), "quoted-printable" if found[2] in "qQ" else "base64"
        )
        return _as_text(raw, found[1])

    return _ENCODED_WORD.sub(word, value)


def read_text(part: Part) -> str:
    """Return a part's text, at most `LONGEST_TEXT` characters of it; of HTML what a reader would see."""
    source = read_source(part)
    return shown_text(source) if part.media_type == "text/html" else source


def read_source(part: Part) -> str:
    """Return a part's text as it was written, HTML with its tags; at most `LONGEST_TEXT` characters of it."""
    charset = _CHARSET.search(part.fields.get("content-type", ""))
    raw = _decoded(part)[: 4 * LONGEST_TEXT]
    return _as_text(raw, (charset[1] or charset[2]) if charset else "utf-8")[:LONGEST_TEXT]


def shown_text(source: str) -> str:
    """Return of HTML what a reader would see."""
    return html.unescape(_TAG.sub(" ", _LINE_BREAK.sub("\n", source)))


def _decoded(part: Part) -> bytes:
    return _unpacked(part.body, part.fields.get("content-transfer-encoding", "").strip().lower())


def _unpacked(raw: bytes, encoding: str) -> bytes:
    if encoding == "quoted-printable":
        return binascii.a2b_qp(raw)
    if encoding == "base64":
        letters = re.sub(rb"[^A-Za-z0-9+/]", b"", raw)
        letters = letters[: len(letters) - (len(letters) % 4 == 1)]
        return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))
    return raw


def _as_text(raw: bytes, charset: str) -> str:
    """Return bytes as text, what does not fit replaced; in a charset nobody knows, as UTF-8."""
    known = charset if _CHARSETS.fullmatch(charset) else "utf-8"
    try:
        return raw.decode(known, "replace")
    except LookupError:  # windows-99
        return raw.decode("utf-8", "replace")
