"""Mails from plan rows, and processes that make them ahead of the sender: signing one takes longer than sending it."""

import gc
import os
import signal
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from operator import attrgetter
from types import TracebackType
from typing import Self

from campaigns.dispatch import Ready, make_ready
from campaigns.envelope import Envelope
from campaigns.ledger import DueSend, Handover
from campaigns.mailers import Mail
from campaigns.message import build_message
from campaigns.payload import build_payload
from campaigns.plan import PLAN
from campaigns.render import LinkAddresses, render
from campaigns.sends import MAIL
from campaigns.templates import TemplateStore
from core.errors import LedgerBroken, SendingPaused
from core.published import Published
from core.settings import Settings
from core.tokens import Tokens

WORTH_MAKERS = 5_000
"""Signed mails from which on it pays to start processes that make them (two seconds)."""


class Messages:
    """Makes the bytes of a send's mail, from its plan row alone; `days` are those of the mails it made."""

    def __init__(self, settings: Settings) -> None:
        self.days: set[date] = set()
        self._settings = settings
        self._tokens = Tokens(settings.token_key)
        self._templates = TemplateStore(settings.published / "templates")
        self._rows: dict[date, dict[str, tuple[str, str, str]]] = {}

    def rows_of(self, day: date) -> dict[str, tuple[str, str, str]]:
        """Return send_id → template version, locale and facts (JSON) of the planned rows of a day."""
        if day not in self._rows:
            columns = ["verdict", "send_id", "template_version", "locale", "facts"]
            plan = Published(self._settings.published).read(PLAN, day, columns)
            rows = zip(*(plan[name].to_pylist() for name in columns), strict=True)
            self._rows[day] = {
                send_id: (version, locale, facts)
                for verdict, send_id, version, locale, facts in rows
                if verdict == "planned"
            }
        return self._rows[day]

    def __call__(self, send: DueSend) -> bytes:
        row = self.rows_of(send.as_of_date).get(send.send_id)
        if row is None and send.as_of_date in self.days:  # since we read it, the plan may have grown
            del self._rows[send.as_of_date]
            row = self.rows_of(send.as_of_date).get(send.send_id)
        if row is None:
            raise LedgerBroken(
                f"send '{send.send_id}' is in the ledger but not in the plan of {send.as_of_date}"
            )
        self.days.add(send.as_of_date)
        version, locale, facts = row
        addresses = LinkAddresses.of(send.send_id, self._settings.tracking_url, self._tokens)
        rendered = render(self._templates.load(send.campaign_id, version), facts, locale, addresses)
        if send.channel != MAIL:
            return build_payload(send, rendered.text.strip(), locale, facts, addresses.unsubscribe)
        return build_message(
            rendered,
            send_id=send.send_id,
            campaign_id=send.campaign_id,
            sender=self._settings.from_address,
            recipient=send.address,
            send_at=send.send_at,
            unsubscribe_url=addresses.unsubscribe,
        )


# Between processes go tuples: objects like ours take four times as long.
_FIELDS = attrgetter(*DueSend.__dataclass_fields__)


class Makers:
    """A process for each core, which make and sign mails; `days` are those of the mails they were given.

    They are forked from a process that has done nothing but import this module: forked from the sender, they would share the
    ledger's connections. Orders go round; a maker whose mails nobody takes makes no more, so memory is bounded.
    """

    def __init__(self, settings: Settings, server: str) -> None:
        self.days: set[date] = set()
        context = get_context("forkserver")
        context.set_forkserver_preload([__name__])
        self._makers: list[BaseProcess] = []
        self._lines = deque[Connection]()
        self._open = deque[Connection]()  # of each order under way, the oldest first
        for _ in range(os.cpu_count() or 1):
            ours, theirs = context.Pipe()
            maker = context.Process(target=_make, args=(theirs, settings, server), daemon=True)
            maker.start()
            theirs.close()
            self._makers.append(maker)
            self._lines.append(ours)

    def make(self, sends: list[DueSend]) -> None:
        """Have the mails of sends made.

        Raises
        ------
        SendingPaused
            If a maker has died.
        """
        self.days.update(send.as_of_date for send in sends)
        line = self._lines[0]
        self._lines.rotate(-1)
        with _alive():
            _say(line, [_FIELDS(send) for send in sends])
        self._open.append(line)

    def made(self) -> dict[str, Ready]:
        """Return send_id → mail of the oldest order of which nothing was returned, once they are made.

        Raises
        ------
        SendingPaused
            If their maker has died.
        Exception
            What making one of them raised.
        """
        found: list[tuple[str, str, str, bytes, str, str, str]] | Exception
        with _alive():
            found = self._open.popleft().recv()
        if isinstance(found, Exception):
            raise found
        return {
            send_id: Ready(Mail(sender, recipient, message), Handover(server, message_id, digest))
            for send_id, sender, recipient, message, server, message_id, digest in found
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for line in self._lines:
            line.close()  # which ends its maker
        for maker in self._makers:
            maker.join()


@contextmanager
def _alive() -> Iterator[None]:
    try:
        yield
    except (EOFError, ConnectionError):
        raise SendingPaused(
            "sending paused: a process that makes mails has died, for want of memory perhaps; what is left stays planned:"
            " run again"
        ) from None


def _say(line: Connection, words: object) -> None:
    """Do what `Connection.send` does, which leaves a buffer where it fails that Python 3.12.1 dies of at its next search for garbage."""
    line.send_bytes(bytes(ForkingPickler.dumps(words)))


def _plain(ready: Ready) -> tuple[str, str, bytes, str, str, str]:
    mail, handover = ready.mail, ready.handover
    return (
        mail.sender, mail.recipient, mail.message, handover.server, handover.message_id, handover.message_digest
    )  # fmt: skip


def _make(orders: Connection, settings: Settings, server: str) -> None:
    """Make what is ordered until the sender hangs up, or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the sender, who ends us
    ready = partial(make_ready, message_of=Messages(settings), server=server, envelop=Envelope(settings))
    gc.freeze()
    with suppress(EOFError, ConnectionError):
        while True:
            sends = [DueSend(*values) for values in orders.recv()]
            try:
                made: object = [(send.send_id, *_plain(ready(send))) for send in sends]
            except Exception as error:  # the sender raises it
                made = error
            _say(orders, made)
