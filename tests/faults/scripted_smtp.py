"""An SMTP server that fails as told: per stage and per person, with a reply, a closed line, a silence or nonsense."""

import contextlib
import re
import socket
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import BinaryIO, Self

ABORT = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset, as a dying server's kernel does


class Stage(StrEnum):
    """Where in a conversation a fault strikes."""

    BANNER = "banner"
    EHLO = "EHLO"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    BODY = "body"  # half-way: the final dot has not been read
    DOT = "final dot"  # read, not yet answered
    QUIT = "QUIT"


@dataclass
class Fault:
    """What to do at a stage instead of going on.

    `reply`: the line to say ("" says nothing). `closes`: then reset the connection. `half_closes`: then say no more, and
    listen to the end. `times`: how often, from the first conversation on; afterwards the server works. `takes`: at the
    final dot, keep the message nevertheless. `domain`: only mail to recipients there, once they are named.
    """

    stage: Stage
    reply: str = ""
    closes: bool = False
    half_closes: bool = False
    times: int = 10**9
    takes: bool = False
    domain: str = ""
    seen: int = field(default=0, init=False)

    def strikes(self, recipient: str) -> bool:
        return self.seen < self.times and recipient.endswith(self.domain)


class _HungUp(Exception):
    pass


@dataclass
class _Envelope:
    sender: str = ""
    recipient: str = ""


class ScriptedSmtp:
    """A server on a free port of 127.0.0.1; `messages` holds (sender, recipient, bytes) of what it took.

    `people` maps a recipient to what is special about her, from RCPT on.
    """

    def __init__(
        self,
        *faults: Fault,
        extensions: tuple[str, ...] = ("8BITMIME",),
        people: Mapping[str, Fault] | None = None,
    ) -> None:
        self.faults = {fault.stage: fault for fault in faults}
        self.people = people or {}
        self.extensions = extensions
        self.messages: list[tuple[str, str, bytes]] = []
        self.commands: list[str] = []
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._stopped = threading.Event()
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for line in self._open:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(timeout=5)

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(line)
            thread = threading.Thread(target=self._converse, args=(line,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _converse(self, line: socket.socket) -> None:
        reader = line.makefile("rb")
        try:
            self._answer(line, Stage.BANNER, "220 scripted")
            self._serve(line, reader)
        except (_HungUp, OSError):
            pass
        finally:
            reader.close()
            line.close()

    def _serve(self, line: socket.socket, reader: BinaryIO) -> None:
        envelope = _Envelope()
        while command := reader.readline().decode("utf-8", "replace").rstrip("\r\n"):
            self.commands.append(command)
            verb = command.split(" ")[0].upper()
            if verb == "EHLO":
                offered = [f"250-{name}\r\n" for name in ("scripted", *self.extensions)]
                self._answer(line, Stage.EHLO, "".join(offered) + "250 OK")
            elif verb == "RSET":
                envelope = _Envelope()
                _say(line, "250 2.0.0 ok")
            elif verb in ("MAIL", "RCPT"):
                self._address(line, Stage(verb), _between_brackets(command), envelope)
            elif verb == "DATA":
                if not envelope.recipient:
                    _say(line, "503 5.5.1 RCPT first")
                elif self._answer(line, Stage.DATA, "354 go ahead", envelope.recipient):
                    self._take(line, reader, envelope.sender, envelope.recipient)
                    envelope = _Envelope()
            elif verb == "QUIT":
                self._answer(line, Stage.QUIT, "221 bye")
                return
            elif verb in ("STARTTLS", "AUTH"):
                self._answer(line, Stage(verb), "502 not here")
            else:
                _say(line, "250 ok")

    def _address(self, line: socket.socket, stage: Stage, address: str, envelope: "_Envelope") -> None:
        """Answer MAIL, or RCPT."""
        if (stage is Stage.MAIL) == bool(envelope.sender):
            _say(line, "503 5.5.1 not here")
        elif stage is Stage.MAIL:
            if self._answer(line, stage, "250 2.1.0 sender ok"):
                envelope.sender = address
        elif self._answer(line, stage, "250 2.1.5 recipient ok", address):
            envelope.recipient = address

    def _take(self, line: socket.socket, reader: BinaryIO, sender: str, recipient: str) -> None:
        body, is_interrupted = b"", False
        while (text := reader.readline()) != b".\r\n":
            if not text:
                raise _HungUp
            body += text[1:] if text.startswith(b".") else text
            if len(body) > 1000 and not is_interrupted:
                is_interrupted = not self._answer(line, Stage.BODY, "", recipient)
        if is_interrupted:
            return
        fault = self._fault(Stage.DOT, recipient)
        if fault is None or fault.takes:
            self.messages.append((sender, recipient, body))
        self._answer(line, Stage.DOT, "250 2.0.0 taken", recipient)

    def _fault(self, stage: Stage, recipient: str) -> Fault | None:
        for fault in (self.people.get(recipient), self.faults.get(stage)):
            if fault is not None and fault.stage is stage and fault.strikes(recipient):
                return fault
        return None

    def _answer(self, line: socket.socket, stage: Stage, usual: str, recipient: str = "") -> bool:
        """Say the usual line, or do what is scripted; True if the conversation goes on as usual."""
        fault = self._fault(stage, recipient)
        if fault is None:
            _say(line, usual)
            return True
        fault.seen += 1
        _say(line, fault.reply)
        if fault.closes:
            if not fault.reply:
                line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
            raise _HungUp
        if fault.half_closes:
            line.shutdown(socket.SHUT_WR)
            while line.recv(65_536):
                pass
            raise _HungUp
        if not fault.reply:  # a silence: until the test is over
            self._stopped.wait(30)
            raise _HungUp
        return False


def _say(line: socket.socket, text: str) -> None:
    if text:
        line.sendall(text.encode("utf-8", "surrogateescape") + b"\r\n")


def _between_brackets(command: str) -> str:
    found = re.search(r"<(.*)>", command)
    return found.group(1) if found else ""
