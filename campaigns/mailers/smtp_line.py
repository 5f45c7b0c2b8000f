"""One connection to an SMTP server on which nobody waits: words go out as they fit, replies come back whole."""

import contextlib
import math
import os
import re
import selectors
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import Any, NamedTuple

from core.errors import LapwingError

FAREWELL_SECONDS = 1.0
_REPLY_LIMIT = 65_536  # bytes; RFC 5321 section 4.5.3.1.5 allows a line 512
_REPLY = re.compile(rb"(?:\d{3}-[^\n]*\n)*(\d{3})(?: [^\n]*|\r?)\n")
_BEGINNING = re.compile(rb"(?:\d{3}-[^\n]*\n)*(?:\d{0,3}|\d{3}[- \r][^\n]*)\Z")
_AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: what the kernel has not sent yet is forgotten

Address = tuple[Any, ...]
"""Family, type, protocol, canonical name and socket address: an answer of `socket.getaddrinfo`."""


class LineLost(LapwingError):
    """The connection is of no more use; the text says why."""


class Reply(NamedTuple):
    """What a server said: a code, and the lines of its reply without it."""

    code: int
    text: str

    def __str__(self) -> str:
        return f"{self.code} {self.text}"


class Line:
    """A connection. `selector` says when it is ready; then somebody calls `work`."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self.extensions: dict[str, str] = {}
        """What the server offers, in lower case, each with its parameters."""
        self.mails = 0
        """How many were begun on this line."""
        self.needs_reset = False
        """Whether the server holds an envelope that came to nothing."""
        self.deadline = math.inf
        """When, on the monotonic clock, an answer is overdue."""
        self._selector = selector
        self._socket: socket.socket | None = None
        self._step: Callable[[], None] = self._talk
        self._waits_for = 0
        self._unsaid = memoryview(b"")
        self._behind = 0
        self._heard = b""
        self._lost = ""

    @property
    def is_open(self) -> bool:
        return self._socket is not None

    @property
    def is_saying(self) -> bool:
        """Whether something said has not left yet, apart from what stands behind it."""
        return len(self._unsaid) > self._behind

    @property
    def is_in_step(self) -> bool:
        """Whether nothing was heard beyond the replies that were waited for."""
        return not self._heard

    def connect(self, address: Address, patience: float) -> None:
        """Begin to connect; the first reply is the server's greeting."""
        family, kind, protocol, _, where = address
        self._lost, self._step = "", self._finish_connecting
        self.deadline = time.monotonic() + patience
        self._socket = socket.socket(family, kind, protocol)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.connect_ex(where)
        self._waits_for = selectors.EVENT_WRITE
        self._selector.register(self._socket, self._waits_for, self)

    def encrypt(self, context: ssl.SSLContext, host: str) -> None:
        """Begin to encrypt. What was heard in clear since the last reply may be anybody's: there must be none."""
        if self._heard:
            raise LineLost("the server spoke on before the line was encrypted")
        encrypted = context.wrap_socket(
            self._open_socket(), server_hostname=host, do_handshake_on_connect=False
        )
        self._socket, self._step = encrypted, partial(self._shake_hands, encrypted)
        self._wait_for(selectors.EVENT_WRITE)  # we begin

    def say(self, words: bytes, patience: float, *, behind: int = 0) -> None:
        """Say what fits now, and the rest when there is room; an answer is overdue after `patience` seconds.

        The last `behind` bytes are another matter, which an answer does not wait for.
        """
        self._unsaid, self._behind = memoryview(words), behind
        self.deadline = time.monotonic() + patience
        if self._step == self._talk:
            self._write()

    def lose(self, why: str) -> None:
        """Let the next `work` find the line lost."""
        self._lost = why

    def work(self) -> Iterator[Reply]:
        """Do what can be done without waiting; yield the replies that are complete.

        Raises
        ------
        LineLost
            If the connection broke, or what the server says is no reply.
        """
        if self._lost:
            raise LineLost(self._lost)
        try:
            self._step()
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError as error:
            raise LineLost(str(error)) from None
        while (reply := self._next_reply()) is not None:
            yield reply

    def hang_up(self) -> None:
        """Close at once: what has not left this machine never does."""
        if self._socket is None:
            return
        self._selector.unregister(self._socket)
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self._socket.close()
        self._socket, self._unsaid, self._heard = None, memoryview(b""), b""

    def say_goodbye(self) -> None:
        """Say QUIT, wait a moment for the answer, and close."""
        if self._socket is not None:
            with contextlib.suppress(OSError):  # we are leaving anyway
                self._socket.settimeout(FAREWELL_SECONDS)
                self._socket.sendall(b"QUIT\r\n")
                self._socket.recv(_REPLY_LIMIT)
        self.hang_up()

    def _finish_connecting(self) -> None:
        if fault := self._open_socket().getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(fault, os.strerror(fault))
        self._step = self._talk
        self._write()

    def _shake_hands(self, encrypted: ssl.SSLSocket) -> None:
        try:
            encrypted.do_handshake()
        except ssl.SSLWantReadError:
            self._wait_for(selectors.EVENT_READ)
        except ssl.SSLWantWriteError:
            self._wait_for(selectors.EVENT_WRITE)
        else:
            self._step = self._talk
            self._write()

    def _talk(self) -> None:
        if self._unsaid:
            self._write()
        source = self._open_socket()
        heard = source.recv(_REPLY_LIMIT)
        if not heard:
            raise LineLost("the server closed the connection")
        while (
            isinstance(source, ssl.SSLSocket) and source.pending()
        ):  # decrypted already: nobody would call us
            heard += source.recv(_REPLY_LIMIT)
        self._heard += heard

    def _write(self) -> None:
        try:
            self._unsaid = self._unsaid[self._open_socket().send(self._unsaid) :]
        except ssl.SSLWantReadError:
            self._wait_for(selectors.EVENT_READ)
            return
        except (BlockingIOError, ssl.SSLWantWriteError):
            pass
        except OSError:  # its last words may be there nevertheless: whoever reads on finds them, and the end
            self._unsaid = memoryview(b"")
        self._wait_for(selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsaid else 0))

    def _next_reply(self) -> Reply | None:
        """Take a whole reply from what was heard."""
        if not self._heard:
            return None
        found = _REPLY.match(self._heard)
        if found is None:
            if len(self._heard) > _REPLY_LIMIT or not _BEGINNING.match(self._heard):
                raise LineLost("the reply makes no sense: " + self._heard[:200].decode("utf-8", "replace"))
            return None
        self._heard = self._heard[found.end() :]
        return _reply_of(found.group())

    def _wait_for(self, events: int) -> None:
        if events != self._waits_for:
            self._waits_for = events
            self._selector.modify(self._open_socket(), events, self)

    def _open_socket(self) -> socket.socket:
        if self._socket is None:
            raise LineLost("the connection is closed")
        return self._socket


@lru_cache(maxsize=64)
def _reply_of(words: bytes) -> Reply:
    """Return a whole reply; a server says the same to every mail."""
    lines = words.decode("utf-8", "surrogateescape").rstrip("\r\n").split("\n")
    return Reply(int(lines[-1][:3]), "\n".join(line[4:].rstrip("\r") for line in lines))
