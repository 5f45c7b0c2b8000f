"""Mails from plan rows, and processes that make them ahead of the sender: signing one takes longer than sending it."""

import gc
import os
import signal
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from datetime import date
from functools import partial
from multiprocessing import get_context, parent_process
from threading import Thread
from types import TracebackType
from typing import Self

from campaigns.dispatch import Ready, make_ready
from campaigns.envelope import Envelope
from campaigns.ledger import DueSend
from campaigns.message import build_message
from campaigns.plan import PLAN
from campaigns.render import LinkAddresses, render
from campaigns.templates import TemplateStore
from core.errors import LedgerBroken
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
        if row is None:
            raise LedgerBroken(
                f"send '{send.send_id}' is in the ledger but not in the plan of {send.as_of_date}"
            )
        self.days.add(send.as_of_date)
        version, locale, facts = row
        addresses = LinkAddresses.of(send.send_id, self._settings.tracking_url, self._tokens)
        return build_message(
            render(self._templates.load(send.campaign_id, version), facts, locale, addresses),
            send_id=send.send_id,
            campaign_id=send.campaign_id,
            sender=self._settings.from_address,
            recipient=send.address,
            send_at=send.send_at,
            unsubscribe_url=addresses.unsubscribe,
        )


class Makers:
    """A process for each core, which make and sign mails; `days` are those of the mails they were given."""

    def __init__(self, settings: Settings, server: str) -> None:
        self.days: set[date] = set()
        # forked from the sender, they would share the ledger's connections; from a process that has done
        # nothing but import this module, they are there at once
        context = get_context("forkserver")
        context.set_forkserver_preload([__name__])
        self._pool = ProcessPoolExecutor(
            os.cpu_count(), context, initializer=_begin, initargs=(settings, server)
        )

    def make(self, sends: list[DueSend]) -> Future[list[Ready]]:
        """Return the mails of sends, in the future."""
        self.days.update(send.as_of_date for send in sends)
        return self._pool.submit(_make, sends)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)


_ready: Callable[[DueSend], Ready]  # of a process of Makers, from its beginning on


def _begin(settings: Settings, server: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the sender, who ends us
    Thread(target=_leave_with_the_sender, daemon=True).start()
    messages, envelope = Messages(settings), Envelope(settings)
    global _ready  # noqa: PLW0603  # what a pool's initializer leaves, its tasks find nowhere else
    _ready = partial(make_ready, message_of=messages, server=server, envelop=envelope)
    gc.freeze()


def _leave_with_the_sender() -> None:
    sender = parent_process()
    if sender is not None:
        sender.join()
        os._exit(1)


def _make(sends: list[DueSend]) -> list[Ready]:
    return [_ready(send) for send in sends]
