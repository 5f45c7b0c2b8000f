"""Quoted-printable (RFC 2045, section 6.7) in pieces, and the content of a message's part.

Every piece ends with a line break, a soft one unless the text has a line end there: so pieces follow each other in any order
and no line is longer than 76 characters.
"""

import base64
import binascii
import re
from functools import lru_cache
from typing import NamedTuple

_PLAIN = re.compile(r"[\w:/.~-]+", re.ASCII)
_LINE = 75  # characters, and the = of a soft line break
_END = b"\r\n"
_SOFT = b"=\r\n"
_STOPS = [  # of sentences in Chinese and Japanese; a line may end within one
    "(?:=\r\n)?".join(f"={byte:X}" for byte in stop.encode()).encode() for stop in "\u3002\uff1f\uff01"
]
_BLANKS = rb"(?:=\r\n)*(?:=20|=09|[ \t]|\r\n)(?:=\r\n|=20|=09|[ \t]|\r\n)*+"
_GAPS = [re.compile(b"(" + stop + b")" + _BLANKS + rb"(?=[^<])") for stop in _STOPS]
_TOO_LONG = re.compile(rb"([^\r\n]{74})(=20|=09)\r\n")
_BLANK_LINES = re.compile(r"\n{3,}")


class Body(NamedTuple):
    """The content of a part of a message: lines of at most 76 characters that end in CRLF, and how they are encoded."""

    encoding: str
    lines: bytes

    @property
    def text(self) -> str:
        decode = binascii.a2b_base64 if self.encoding == "base64" else binascii.a2b_qp
        return decode(self.lines).decode().replace("\r\n", "\n")

    @classmethod
    def of(cls, text: str) -> "Body":
        """Return `text` with a line end after it, in the shorter of quoted-printable and base64."""
        content = "\n".join(text.splitlines()).encode() + b"\n"
        lines, encoded = _in_lines(content), base64.encodebytes(content).replace(b"\n", _END)
        return cls("quoted-printable", lines) if len(lines) <= len(encoded) else cls("base64", encoded)


class Address:
    """A web address that holds nothing to be encoded, by its piece; no two mails have the same."""

    __slots__ = ("piece",)

    def __init__(self, piece: bytes) -> None:
        self.piece = piece

    def __str__(self) -> str:
        return self.piece.replace(_SOFT, b"").decode()

    @classmethod
    def under(cls, base: str, end: str) -> "Address | str":
        """Return the address that begins with `base` and ends with a token; a plain text if `base` needs encoding."""
        return cls(_in_soft_lines((base + end).encode())) if _is_plain(base) else base + end


def _in_soft_lines(content: bytes) -> bytes:
    """Return lines of at most 76 characters that all end with a soft line break."""
    if len(content) <= _LINE:
        return content + _SOFT
    return content[:_LINE] + _SOFT + _in_soft_lines(content[_LINE:])


@lru_cache(maxsize=64)
def _is_plain(text: str) -> bool:
    return _PLAIN.fullmatch(text) is not None


def quoted(text: str) -> bytes:
    """Return the piece of quoted-printable that says `text`."""
    piece = _in_lines(text.encode())
    if piece.endswith(b"\n") or not piece:
        return piece
    if len(piece) - piece.rfind(b"\n") - 1 > _LINE:  # as long as the last line of all may be
        start = -3 if piece[-3:-2] == b"=" else -1
        piece = piece[:start] + b"=\r\n" + piece[start:]
    return piece + b"=\r\n"


def _in_lines(content: bytes) -> bytes:
    """Return quoted-printable; `b2a_qp` makes 77 characters of a line whose last is a blank."""
    lines = binascii.b2a_qp(content, istext=True).replace(b"\n", _END)
    if b"=20\r\n" in lines or b"=09\r\n" in lines:
        return _TOO_LONG.sub(rb"\1=\r\n\2\r\n", lines)
    return lines


def without_gaps(lines: bytes) -> bytes:
    """Return pieces of HTML without white space between a full-width stop and the words after it."""
    for gap in _GAPS:
        lines = gap.sub(rb"\1=\r\n", lines)
    return lines


def tidy(text: str) -> str:
    """Return `text` without blanks at line ends, without two empty lines in a row, and with one line end after it."""
    lines = (line.rstrip(" \t") for line in text.splitlines())
    return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip(" \t\n") + "\n"


def is_tidy(lines: bytes) -> bool:
    """Say whether `tidy` would change nothing of the text that pieces make."""
    text = lines.replace(b"=\r\n", b"")
    return (
        text.endswith(_END)
        and not text.endswith(2 * _END)
        and not text.startswith((b"\r", b" ", b"\t", b"=20", b"=09"))
        and b"=20\r\n" not in text
        and b"=09\r\n" not in text
        and 3 * _END not in text
    )
