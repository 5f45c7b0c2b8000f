"""Processes that make mails and hand them over, while the sender, who alone writes the ledger, keeps the accounts.

A mail is made, signed and handed over in one process and never leaves it: the sender hears its Message-ID and digest,
says `sending` of it, then tells the courier to go, and hears what the server answered.
"""

import gc
import math
import os
import selectors
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from operator import attrgetter
from types import TracebackType
from typing import Any, Self

from campaigns.dispatch import Ready, make_ready
from campaigns.envelope import Envelope
from campaigns.ledger import DueSend, Handover
from campaigns.mailers import (
    GRACE_SECONDS,
    Answered,
    Deferred,
    DeliveryRefused,
    DeliveryUncertain,
    Mail,
    MailerError,
    More,
    ServerUnreachable,
)
from campaigns.mailers.smtp import SmtpMailer
from campaigns.making import Messages
from core.errors import SendingPaused
from core.settings import Settings

WORTH_COURIERS = 5_000
"""Mails from which on it pays to start couriers (two seconds)."""

ReadyOf = Callable[[Settings, str], Callable[[DueSend], Ready]]
"""Returns, from settings and the server's name, what makes mails."""

_ERRORS = {each.__name__: each for each in (ServerUnreachable, Deferred, DeliveryUncertain)}
_FIELDS = attrgetter(
    *DueSend.__dataclass_fields__
)  # between processes go tuples: objects take four times as long
_HANDOVER = attrgetter(*Handover.__dataclass_fields__)
_MAKE, _GO, _MADE, _FAILED, _ANSWERS = range(5)
"""What they say to each other: orders to make sends, to hand mails over; what was made, or why not; answers."""


def signed_mails(settings: Settings, server: str) -> Callable[[DueSend], Ready]:
    """Return what makes mails from plan rows and signs them."""
    return partial(make_ready, message_of=Messages(settings), server=server, envelop=Envelope(settings))


@dataclass(frozen=True, slots=True, eq=False)
class HeldMail(Mail):
    """A mail that a courier has made and holds; here it is a name."""

    send_id: str
    line: Connection = field(repr=False)


class Couriers:
    """A courier for each core, and the connections shared out among them: a batch's mailer and its makers in one.

    They are forked from a process that has done nothing but import this module: forked from the sender, they would share the
    ledger's connections. A courier whose sender is gone ends at once, and with it what it had under way.
    `days` are those of the mails they were given.
    """

    def __init__(self, settings: Settings, ready_of: ReadyOf = signed_mails) -> None:
        self.days: set[date] = set()
        self.server = f"{settings.smtp_host}:{settings.smtp_port}"
        self.at_once = 2 * settings.smtp_connections  # as `SmtpMailer` has it
        context = get_context("forkserver")
        context.set_forkserver_preload([__name__])
        self._couriers: list[BaseProcess] = []
        self._lines = deque[Connection]()
        self._selector = selectors.DefaultSelector()
        self._orders = deque[Connection]()  # who was told to make what, the oldest first
        self._made: dict[Connection, deque[dict[str, Ready] | Exception]] = {}
        self._under_way: dict[str, HeldMail] = {}
        self._answers: list[tuple[str, str | MailerError]] = []
        count = min(os.cpu_count() or 1, settings.smtp_connections)
        for number in range(count):
            ours, theirs = context.Pipe()
            share = (settings.smtp_connections + number) // count
            its_settings = settings.model_copy(update={"smtp_connections": share})
            courier = context.Process(target=_work, args=(theirs, its_settings, ready_of), daemon=True)
            courier.start()
            theirs.close()
            self._couriers.append(courier)
            self._lines.append(ours)
            self._made[ours] = deque()
            self._selector.register(ours, selectors.EVENT_READ, ours)

    def make(self, sends: list[DueSend]) -> None:
        """Have the mails of sends made, one by each courier in turn: any that go together then go out on the lines of all.

        Raises
        ------
        SendingPaused
            If a courier has died.
        """
        self.days.update(send.as_of_date for send in sends)
        for number, line in enumerate(self._lines):
            with self._alive(line):
                _say(line, (_MAKE, [_FIELDS(send) for send in sends[number :: len(self._lines)]]))
            self._orders.append(line)
        self._lines.rotate(-len(sends))

    def made(self) -> dict[str, Ready]:
        """Return send_id → mail of the oldest order of which nothing was returned, once they are made.

        Raises
        ------
        SendingPaused
            If their courier has died.
        Exception
            What making one of them raised.
        """
        line = self._orders.popleft()
        while not self._made.get(line):
            self._hear(line)
        found = self._made[line].popleft()
        if isinstance(found, Exception):
            raise found
        return found

    def was_delivered(self, message_id: str) -> bool | None:
        return None

    def hand_over(self, more: More, answered: Answered) -> None:
        """Have handed over what `more` gives, as `SmtpMailer.hand_over` does it.

        Raises
        ------
        SendingPaused
            If a courier has died.
        """
        try:
            self._hand_over(more, answered, math.inf)
        except BaseException:  # stopped: what is in flight gets a moment
            self._hand_over(lambda _: [], answered, time.monotonic() + GRACE_SECONDS)
            raise

    def close(self) -> None:
        """Let the couriers say goodbye; where mail is under way still, they end at once."""
        for line in self._lines:
            with suppress(OSError):
                if not self._under_way:
                    _say(line, None)
            line.close()
        self._selector.close()
        for courier in self._couriers:
            courier.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _hand_over(self, more: More, answered: Answered, until: float) -> None:
        while (left := until - time.monotonic()) > 0:
            free = self.at_once - len(self._under_way)
            if 2 * free >= self.at_once:
                self._send_off(more(free) or [])
                if self._under_way:
                    more(0)  # which claims ahead, while they are at work
            if not any(mail.line in self._made for mail in self._under_way.values()):
                return
            if not self._answers:
                for key, _ in self._selector.select(None if left == math.inf else left):
                    self._hear(key.data)
            while self._answers:
                send_id, answer = self._answers.pop()
                answered(self._under_way.pop(send_id), answer)

    def _send_off(self, mails: Sequence[Mail]) -> None:
        going: dict[Connection, list[str]] = {}
        for mail in (mail for mail in mails if isinstance(mail, HeldMail)):
            going.setdefault(mail.line, []).append(mail.send_id)
            self._under_way[mail.send_id] = mail
        for line, send_ids in going.items():
            with self._alive(line):
                _say(line, (_GO, send_ids))

    def _hear(self, line: Connection) -> None:
        with self._alive(line):
            kind, said = line.recv()
        if kind == _ANSWERS:
            self._answers.extend((send_id, _answer(*answer)) for send_id, *answer in said)
        elif kind == _FAILED:
            self._made[line].append(said)
        else:
            made = {
                send_id: Ready(HeldMail("", "", b"", send_id, line), Handover(*handover))
                for send_id, *handover in said
            }
            self._made[line].append(made)

    @contextmanager
    def _alive(self, line: Connection) -> Iterator[None]:
        try:
            yield
        except (EOFError, OSError):
            if self._made.pop(line, None) is not None:
                self._selector.unregister(line)
            raise SendingPaused(
                "sending paused: a courier has died, for want of memory perhaps; what it had under way is `uncertain`, the"
                " rest stays planned: run again"
            ) from None


class _Courier:
    """Does what a sender says until it has no more to say."""

    def __init__(self, sender: Connection, ready: Callable[[DueSend], Ready]) -> None:
        self._sender = sender
        self._ready = ready
        self._orders = deque[list[tuple[Any, ...]]]()
        self._held: dict[str, Mail] = {}  # a mail that may not go after all is held to the end; they are few
        self._going = deque[Mail]()
        self._send_ids: dict[Mail, str] = {}
        self._answers: list[tuple[str, str, str, bool]] = []
        self._is_done = False

    def more(self, limit: int) -> list[Mail] | None:
        """Return what may go; first of all hear what the sender says, and wait for it where there is nothing else to do."""
        self._tell()
        while not self._is_done and (self._sender.poll() or not (self._orders or self._send_ids)):
            self._hear()
        if self._going and limit:
            return [self._going.popleft() for _ in range(min(limit, len(self._going)))]
        if self._orders:
            self._make(self._orders.popleft())
            return None
        return []

    def answered(self, mail: Mail, answer: str | MailerError) -> None:
        is_about_person = isinstance(answer, DeliveryRefused) and answer.is_about_person
        kind = "" if isinstance(answer, str) else type(answer).__name__
        self._answers.append((self._send_ids.pop(mail), kind, str(answer), is_about_person))

    def _tell(self) -> None:
        if self._answers:
            self._say((_ANSWERS, self._answers))
            self._answers = []

    def _hear(self) -> None:
        try:
            words = self._sender.recv()
        except (EOFError, OSError):
            os._exit(0)  # it is gone: what it did not write down must not go out
        if words is None:
            self._is_done = True
            self._orders.clear()
            return
        kind, said = words
        if kind == _MAKE:
            self._orders.append(said)
            return
        for send_id in said:
            mail = self._held.pop(send_id)
            self._send_ids[mail] = send_id
            self._going.append(mail)

    def _make(self, sends: list[tuple[Any, ...]]) -> None:
        try:
            ready = {send.send_id: self._ready(send) for send in (DueSend(*values) for values in sends)}
        except Exception as error:  # the sender raises it
            self._say((_FAILED, error))
            return
        self._held |= {send_id: made.mail for send_id, made in ready.items()}
        self._say((_MADE, [(send_id, *_HANDOVER(made.handover)) for send_id, made in ready.items()]))

    def _say(self, words: object) -> None:
        try:
            _say(self._sender, words)
        except OSError:
            os._exit(0)


def _work(sender: Connection, settings: Settings, ready_of: ReadyOf) -> None:
    """Be a courier."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the sender, who ends us
    with SmtpMailer(settings) as mailer:
        courier = _Courier(sender, ready_of(settings, mailer.server))
        gc.freeze()
        mailer.hand_over(courier.more, courier.answered, sender)


def _say(line: Connection, words: object) -> None:
    """Do what `Connection.send` does, which leaves a buffer where it fails that Python 3.12.1 dies of at its next search for garbage."""
    line.send_bytes(bytes(ForkingPickler.dumps(words)))


def _answer(kind: str, words: str, is_about_person: bool) -> str | MailerError:
    if kind == "":
        return words
    if kind == DeliveryRefused.__name__:
        return DeliveryRefused(words, is_about_person=is_about_person)
    return _ERRORS[kind](words)
