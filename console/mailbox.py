"""Reads the local inbox, a Maildir. Files are opened for reading only: no flag is set, nothing is moved."""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage, Message
from email.parser import BytesHeaderParser, BytesParser
from pathlib import Path

from console.preview import preheader_of

SEND_ID = re.compile(r"[0-9a-f]{32}")
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_HEAD_BYTES = 16_384


@dataclass(frozen=True)
class MailHead:
    """What a list shows of a mail. `sent_at` is its Date header, aware, in UTC."""

    file: Path
    send_id: str
    campaign_id: str
    subject: str
    sent_at: datetime


@dataclass(frozen=True)
class Mail:
    """A whole mail. `digests` are SHA-256 of its bytes, as stored and with CRLF line ends."""

    head: MailHead
    headers: list[tuple[str, str]]
    html: str
    text: str
    size_bytes: int
    digests: frozenset[str]


class Mailbox:
    """The mails of a Maildir that carry `X-Lapwing-Send`; others are not ours and are left out."""

    def __init__(self, root: Path) -> None:
        self._root = root
        # A delivered file never changes, so what was read of it stays true.
        self._heads: dict[str, MailHead | None] = {}
        self._preheaders: dict[str, str] = {}

    def heads(self) -> list[MailHead]:
        """Return every mail's head, in no particular order."""
        files = {
            file.name.partition(":")[0]: file
            for folder in ("new", "cur")
            if (self._root / folder).is_dir()
            for file in (self._root / folder).iterdir()
            if not file.name.startswith(".")
        }
        heads = {key: self._heads[key] if key in self._heads else _head(file) for key, file in files.items()}
        self._heads = heads  # one assignment: requests on other threads see the old index or the new one
        return [head for head in heads.values() if head is not None]

    def preheader(self, head: MailHead) -> str:
        """Return the line a mail program shows beside the subject: hidden text of the HTML, else the first line."""
        key = head.file.name
        if key not in self._preheaders:
            message = _parse(head.file.read_bytes())
            hidden = preheader_of(_part(message, "html"))
            self._preheaders[key] = hidden or _first_line(_part(message, "plain"))
        return self._preheaders[key]

    def read(self, send_id: str) -> Mail | None:
        """Return the mail of a send, or None if the inbox has none."""
        for head in self.heads():
            if head.send_id == send_id:
                return _mail(head)
        return None


def _head(file: Path) -> MailHead | None:
    with file.open("rb") as stored:
        beginning = stored.read(_HEAD_BYTES)  # a body is a hundred times longer, and a list needs none of it
    message = BytesHeaderParser(policy=policy.default).parsebytes(_BLANK_LINE.split(beginning, maxsplit=1)[0])
    send_id = str(message.get("X-Lapwing-Send", "")).strip()
    if not SEND_ID.fullmatch(send_id):
        return None
    return MailHead(
        file=file,
        send_id=send_id,
        campaign_id=str(message.get("X-Lapwing-Campaign", "")).strip(),
        subject=str(message.get("Subject", "")),
        sent_at=_date(message, file),
    )


def _mail(head: MailHead) -> Mail:
    stored = head.file.read_bytes()
    message = _parse(stored)
    with_crlf = re.sub(rb"\r?\n", b"\r\n", stored)
    return Mail(
        head=head,
        headers=[(name, str(value)) for name, value in message.items()],
        html=_part(message, "html"),
        text=_part(message, "plain"),
        size_bytes=len(stored),
        digests=frozenset(hashlib.sha256(form).hexdigest() for form in (stored, with_crlf)),
    )


def _parse(stored: bytes) -> EmailMessage:
    return BytesParser(policy=policy.default).parsebytes(stored)


def _part(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    return "" if part is None else str(part.get_content())


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def _date(message: Message, file: Path) -> datetime:
    header = message["Date"]
    moment = getattr(header, "datetime", None)
    if not isinstance(moment, datetime):
        return datetime.fromtimestamp(file.stat().st_mtime, UTC)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
