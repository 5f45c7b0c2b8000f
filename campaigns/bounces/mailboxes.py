"""Where mails come back to: a Maildir on this machine, or a folder of an IMAP server.

Each yields what is new in it until it is told that this was looked at. What is left for a person stays unread; nothing is
deleted, or moved to another folder.
"""

import hashlib
import imaplib
import os
import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from campaigns.bounces.mime import LONGEST
from core.errors import MailboxFailed, SettingsError
from core.logging import without_addresses
from core.settings import LOOPBACK, PROJECT

PATIENCE_SECONDS = 60
_PORTS = {"imap": 143, "imaps": 993}
_UID = re.compile(rb"\bUID (\d+)")
_INTERNAL_DATE = re.compile(rb'\bINTERNALDATE "([^"]+)"')


@dataclass(frozen=True, slots=True)
class ReturnedMail:
    """A mail as a mailbox has it: `name` is the mailbox's own for it, `raw` its first MiB."""

    name: str
    raw: bytes = field(repr=False)
    received_at: datetime


class Bookmark(Protocol):
    """Remembers how far an IMAP folder was read."""

    def last_uid(self, mailbox_id: str, uid_validity: int) -> int:
        """Return the last UID that was looked at, 0 where none was or the server counts anew."""

    def passed(self, mailbox_id: str, uid_validity: int, uid: int) -> None:
        """Note that every mail up to this one was looked at."""


class Mailbox(Protocol):
    """Where mails come back to."""

    def arrivals(self) -> Iterator[ReturnedMail]:
        """Yield the mails that were not passed yet, in the order they came in."""

    def passed(self, was_taken: Mapping[str, bool]) -> None:
        """Do not yield these again (names of mails); what was taken counts as read, the others are for a person."""


@contextmanager
def open_mailbox(address: str, bookmark: Bookmark) -> Iterator[Mailbox]:
    """Yield the mailbox that `LAPWING_BOUNCE_MAILBOX` names.

    Raises
    ------
    SettingsError
        If that is neither a Maildir nor the address of an IMAP folder, or one that would be read in the clear.
    MailboxFailed
        If it cannot be used: the server cannot be reached, refuses the login, has no such folder.
    """
    is_remote = "://" in address
    where = ImapAddress.of(address) if is_remote else _maildir(PROJECT / address)
    try:
        if isinstance(where, Maildir):
            yield where
            return
        with imap_folder(where, bookmark) as folder:
            yield folder
    except (OSError, imaplib.IMAP4.error) as error:
        words = without_addresses(str(error))
        raise MailboxFailed(f"the mailbox of bounces at {where} cannot be used: {words}") from error


class Maildir:
    """A Maildir's `new/`: what was looked at goes to `cur/`, marked as seen if it was taken."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __str__(self) -> str:
        return str(self._folder)

    def arrivals(self) -> Iterator[ReturnedMail]:
        for file in sorted((self._folder / "new").glob("[!.]*")):
            with suppress(FileNotFoundError), file.open("rb") as mail:  # a person's program may be quicker
                came = datetime.fromtimestamp(os.fstat(mail.fileno()).st_mtime, UTC)
                yield ReturnedMail(file.name, mail.read(LONGEST), came)

    def passed(self, was_taken: Mapping[str, bool]) -> None:
        for name, is_read in was_taken.items():
            target = f"{name.partition(':')[0]}:2,{'S' if is_read else ''}"
            with suppress(FileNotFoundError):
                (self._folder / "new" / name).rename(self._folder / "cur" / target)


def _maildir(folder: Path) -> Maildir:
    if not (folder / "new").is_dir() or not (folder / "cur").is_dir():
        raise SettingsError(
            f"LAPWING_BOUNCE_MAILBOX: {folder} is no Maildir: it needs the folders new and cur"
        )
    return Maildir(folder)


@dataclass(frozen=True, slots=True)
class ImapAddress:
    """`imaps://user:password@host:port/folder`, its parts percent-encoded where they must be; `repr` and `str` keep the login to themselves."""

    is_encrypted: bool
    host: str
    port: int
    user: str = field(repr=False)
    password: str = field(repr=False)
    folder: str

    @classmethod
    def of(cls, address: str) -> "ImapAddress":
        """Read an address.

        Raises
        ------
        SettingsError
            If it is not like that, or names a server elsewhere without encryption.
        """
        try:
            parts = urlsplit(address)
            host, port = parts.hostname, parts.port
        except ValueError:  # whose words repeat the address
            host = port = None
        if (
            not host
            or parts.scheme not in _PORTS
            or not parts.username
            or not parts.password
            or not parts.path.isascii()
        ):
            raise SettingsError(
                "LAPWING_BOUNCE_MAILBOX: is neither a Maildir nor like imaps://user:password@host/folder"
                " (see .env.example)"
            )
        if parts.scheme == "imap" and host not in LOOPBACK:
            raise SettingsError("LAPWING_BOUNCE_MAILBOX: imap:// is for this machine only; use imaps://")
        return cls(
            is_encrypted=parts.scheme == "imaps",
            host=host,
            port=port or _PORTS[parts.scheme],
            user=unquote(parts.username),
            password=unquote(parts.password),
            folder=unquote(parts.path.removeprefix("/")) or "INBOX",
        )

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def mailbox_id(self) -> str:
        """Say which mailbox it is, whatever its password is."""
        return hashlib.sha256(f"{self.user}@{self}/{self.folder}".encode()).hexdigest()


class ImapFolder:
    """A folder of an IMAP server (RFC 9051), read from the bookmark on; what was taken is flagged as seen.

    The bookmark, not the flag, says what is new: what a person has opened before us is taken too, and what is left for a
    person is not read again and again.
    """

    def __init__(self, client: imaplib.IMAP4, address: ImapAddress, bookmark: Bookmark) -> None:
        self._client = client
        self._bookmark = bookmark
        self._mailbox_id = address.mailbox_id
        login = f"\0{address.user}\0{address.password}".encode()
        client.authenticate("PLAIN", lambda _: login)
        self._must(client.select(_quoted(address.folder)))
        _, (validity,) = client.response("UIDVALIDITY")
        self._uid_validity = int(validity)

    def arrivals(self) -> Iterator[ReturnedMail]:
        """Yield the mails behind the bookmark, by UID."""
        last = self._bookmark.last_uid(self._mailbox_id, self._uid_validity)
        listed = self._must(self._client.uid("FETCH", f"{last + 1}:*", "(UID)"))
        uids = {int(found[1]) for line in listed if isinstance(line, bytes) and (found := _UID.search(line))}
        for uid in sorted(uids):
            if uid > last and (mail := self._fetch(uid)):  # "*" is the last mail, also where it is an old one
                yield mail

    def _fetch(self, uid: int) -> ReturnedMail | None:
        asked = f"(INTERNALDATE BODY.PEEK[]<0.{LONGEST}>)"
        answer = self._must(self._client.uid("FETCH", str(uid), asked))
        told = b" ".join(line[0] if isinstance(line, tuple) else line for line in answer if line)
        came = _INTERNAL_DATE.search(told)
        if came is None:  # somebody has removed it meanwhile
            return None
        raw = b"".join(line[1] for line in answer if isinstance(line, tuple))
        moment = datetime.strptime(came[1].decode().strip(), "%d-%b-%Y %H:%M:%S %z")
        return ReturnedMail(str(uid), raw, moment)

    def passed(self, was_taken: Mapping[str, bool]) -> None:
        if taken := [name for name, is_read in was_taken.items() if is_read]:
            self._must(self._client.uid("STORE", ",".join(taken), "+FLAGS.SILENT", r"(\Seen)"))
        if was_taken:
            last = max(map(int, was_taken))
            self._bookmark.passed(self._mailbox_id, self._uid_validity, last)

    def _must(self, answer: tuple[str, list[Any]]) -> list[Any]:
        status, lines = answer
        if status != "OK":
            words = b" ".join(line for line in lines if isinstance(line, bytes)).decode("ascii", "replace")
            raise imaplib.IMAP4.error(words)
        return lines


@contextmanager
def imap_folder(
    address: ImapAddress, bookmark: Bookmark, tls_context: ssl.SSLContext | None = None
) -> Iterator[ImapFolder]:
    """Yield a folder of an IMAP server, logged in; `tls_context` says whom to trust instead of the system's authorities."""
    if address.is_encrypted:
        context = tls_context or ssl.create_default_context()
        client: imaplib.IMAP4 = imaplib.IMAP4_SSL(
            address.host, address.port, ssl_context=context, timeout=PATIENCE_SECONDS
        )
    else:
        client = imaplib.IMAP4(address.host, address.port, timeout=PATIENCE_SECONDS)
    try:
        yield ImapFolder(client, address, bookmark)
    finally:
        with suppress(OSError, imaplib.IMAP4.error):
            client.logout()
        with suppress(OSError):
            client.shutdown()


def _quoted(folder: str) -> str:
    escaped = folder.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
