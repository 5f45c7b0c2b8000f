"""A mailbox on this machine that takes every mail: aiosmtpd in front, a Maildir behind.

It stands where a real mail server would in the demo and in tests. A mail that arrives twice is there twice. It can
also say for certain whether a message arrived, which no server on the internet can.
"""

import asyncio
import fcntl
import hashlib
import itertools
import logging
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

from core.clock import Clock, clock_of, system_clock
from core.errors import ServiceFailed
from core.settings import Settings

_SEND_ID = re.compile(rb"^X-Lapwing-Send:[ \t]*(\S+)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_MESSAGE_ID = re.compile(rb"^Message-ID:[ \t]*(?:\r?\n[ \t]+)?(\S+)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_HEAD_BYTES = 16_384  # more than the headers of any mail of ours
_PATIENCE_SECONDS = 5.0


class LocalInbox:
    """The Maildir of the local inbox: `new/` holds one file per mail, byte for byte as it was handed over."""

    def __init__(self, folder: Path, clock: Clock = system_clock) -> None:
        self.folder = folder
        self._clock = clock
        self.server = "lapwing-inbox/" + hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]
        """The name this inbox greets with: the same for the same folder, whatever the port."""
        self._numbers = itertools.count()

    def files(self) -> list[Path]:
        """Return the file of every mail, by its moment of arrival."""
        return sorted((self.folder / "new").glob("*"), key=lambda file: file.name)

    def count(self) -> int:
        return len(self.files())

    def by_send(self) -> dict[str, list[Path]]:
        """Return send_id → files; more than one file is a mail that came twice. Mails of others have key ""."""
        found: dict[str, list[Path]] = {}
        for file in self.files():
            found.setdefault(_header(_SEND_ID, _head(file)), []).append(file)
        return found

    def read(self, send_id: str) -> list[bytes]:
        """Return the mails of a send as they arrived; usually one."""
        return [file.read_bytes() for file in self.by_send().get(send_id, [])]

    def was_delivered(self, message_id: str) -> bool | None:
        """Say whether a message is here, once no mail is half-way in; None if one stays half-way for 5 s.

        A sender may die after its last byte while the server still holds that byte: the answer is certain only
        because it waits for every mail that a server has begun to take.
        """
        if not self.folder.exists():
            return None
        with self._lock_file() as lock:
            deadline = time.monotonic() + _PATIENCE_SECONDS
            while not _try_lock(lock, fcntl.LOCK_EX):
                if time.monotonic() > deadline:
                    return None
                time.sleep(0.01)
            mark = _mark(message_id.encode())
            return any(file.name.endswith(mark) for file in (self.folder / "new").iterdir())

    def deliver(self, message: bytes) -> Path:
        """Write a mail so that it survives a power cut, then show it: `tmp/`, sync, rename, sync."""
        mark = _mark(_header(_MESSAGE_ID, message[:_HEAD_BYTES]).encode())
        name = f"{self._clock():%Y%m%dT%H%M%S%f}.{os.getpid()}_{next(self._numbers):06}.{mark}"
        draft, file = self.folder / "tmp" / name, self.folder / "new" / name
        with draft.open("wb") as out:
            out.write(message)
            out.flush()
            os.fsync(out.fileno())
        draft.rename(file)
        folder = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return file

    @contextmanager
    def taking(self) -> Iterator[None]:
        """Say that a mail is on its way in; `was_delivered` waits until it is in or lost."""
        with self._lock_file() as lock:
            while not _try_lock(lock, fcntl.LOCK_SH):  # somebody is reading: a matter of milliseconds
                time.sleep(0.001)
            yield

    def make(self) -> None:
        """Make the folders of the Maildir, where they are missing."""
        for part in ("tmp", "new", "cur"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)

    @contextmanager
    def _lock_file(self) -> Iterator[int]:
        lock = os.open(self.folder / ".taking.lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            yield lock
        finally:
            os.close(lock)  # lets the lock go


class _Conversation(SMTP):
    """One connection to the inbox. From the server's go-ahead to its reply a mail is marked as half-way in."""

    def __init__(self, inbox: LocalInbox) -> None:
        # A host name of our own: asking the system for one may wait for a name server.
        super().__init__(_Keep(inbox), hostname="localhost", ident=inbox.server, enable_SMTPUTF8=True)
        self._inbox = inbox

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802  # the name aiosmtpd looks for
        with self._inbox.taking():
            await super().smtp_DATA(arg)


class _Keep:
    """What aiosmtpd calls with a whole message."""

    def __init__(self, inbox: LocalInbox) -> None:
        self._inbox = inbox

    async def handle_DATA(  # noqa: N802  # the name aiosmtpd looks for
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        try:
            file = self._inbox.deliver(envelope.original_content or b"")
        except OSError as error:
            return f"451 4.3.0 the inbox could not keep the message: {error.strerror}"
        return f"250 2.0.0 kept as {file.name}"


@contextmanager
def running_inbox(settings: Settings) -> Iterator[LocalInbox]:
    """Serve the inbox at `smtp_host:smtp_port` from a thread of this process for as long as the block lasts.

    Raises
    ------
    ServiceFailed
        If the port is taken.
    """
    inbox, loop = LocalInbox(settings.inbox, clock_of(settings)), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="local-inbox", daemon=True)
    thread.start()
    try:
        server = asyncio.run_coroutine_threadsafe(_start(inbox, settings), loop).result()
        try:
            yield inbox
        finally:
            asyncio.run_coroutine_threadsafe(_stop(server), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def serve_forever(settings: Settings) -> None:
    """Serve the inbox at `smtp_host:smtp_port` until SIGINT or SIGTERM."""
    asyncio.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    stopped = asyncio.Event()
    server = await _start(LocalInbox(settings.inbox, clock_of(settings)), settings)
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stopped.set)
    await stopped.wait()
    await _stop(server)


async def _start(inbox: LocalInbox, settings: Settings) -> asyncio.AbstractServer:
    # aiosmtpd logs every command at INFO, addresses included.
    logging.getLogger("mail.log").setLevel(logging.WARNING)
    inbox.make()
    host, port = settings.smtp_host, settings.smtp_port
    try:
        return await asyncio.get_running_loop().create_server(partial(_Conversation, inbox), host, port)
    except OSError as error:
        raise ServiceFailed(
            f"the local inbox cannot listen on {host}:{port} ({error.strerror}): stop what does, or set"
            " LAPWING_SMTP_PORT"
        ) from error


async def _stop(server: asyncio.AbstractServer) -> None:
    server.close()
    conversations = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for conversation in conversations:
        conversation.cancel()
    await asyncio.gather(*conversations, return_exceptions=True)


def _try_lock(lock: int, kind: int) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _mark(message_id: bytes) -> str:
    return hashlib.sha256(message_id).hexdigest()[:32]


def _head(file: Path) -> bytes:
    with file.open("rb") as mail:
        return mail.read(_HEAD_BYTES)


def _header(pattern: re.Pattern[bytes], head: bytes) -> str:
    found = pattern.search(head.partition(b"\r\n\r\n")[0])
    return found.group(1).decode("ascii", "replace") if found else ""
