"""What tracking asks of the ledger: the target of a link, what a reader chose, and choices that are committed."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event, insert, select, update
from sqlalchemy.engine import Dialect, make_url
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from core.errors import LedgerBroken
from core.ledger_tables import HELD, links, open_ledger, sends, suppressions
from tracking.preferences import Preferences, Wish, read_preferences, record_wish

UNSUBSCRIBED = "unsubscribed"
TARGETS_KEPT = 10_000


class FeedbackLedger:
    """The ledger as tracking sees it. Every method may block for `patience_seconds`: call it from a thread.

    Parameters
    ----------
    url
        SQLAlchemy address of the ledger.
    patience_seconds
        How long a request waits for the ledger before it is told to come again.
    """

    def __init__(self, url: str, *, patience_seconds: float) -> None:
        self._patience_seconds = patience_seconds
        self._reader = _impatient(open_ledger(url, read_only=True), patience_seconds)
        self._writer = _impatient(open_ledger(url), patience_seconds)
        # Threads of this process queue here, in turn, rather than in SQLite's busy handler, which sleeps and guesses.
        self._turn = threading.Lock()
        self._targets: dict[str, str] = {}

    def target_of(self, link_id: str) -> str | None:
        """Return the web address stored for a link, or None where there is none.

        A target never changes (its id is its digest), so it is asked for once.

        Raises
        ------
        LedgerBroken
            If the ledger is busy or unavailable.
        """
        known = self._targets.get(link_id)
        if known is not None:
            return known
        with _available(), self._reader.begin() as ledger:
            target = ledger.scalar(select(links.c.target).where(links.c.link_id == link_id))
        if target is None or not target.startswith(("https://", "http://")):
            return None
        if len(self._targets) < TARGETS_KEPT:
            self._targets[link_id] = target
        return str(target)

    def suppress(self, send_id: str, clock: Callable[[], datetime]) -> bool:
        """Commit the suppression of the customer a send went to; False where no such send is known.

        A customer who is suppressed already stays so, with the first reason and moment, unless that was a hold.

        Raises
        ------
        LedgerBroken
            If the ledger is busy or unavailable. Then nothing can be promised; asking again is safe.
        """
        with self._in_turn():
            try:
                return self._suppress(send_id, clock)
            except IntegrityError:
                # PostgreSQL: another instance committed the same customer between our look and our insert. Look
                # again rather than assume it.
                return self._suppress(send_id, clock)

    def _suppress(self, send_id: str, clock: Callable[[], datetime]) -> bool:
        asked = select(sends.c.customer_id, sends.c.pseudonym).where(sends.c.send_id == send_id)
        with self._writer.begin() as ledger:
            customer = ledger.execute(asked).one_or_none()
            if customer is None:
                return False
            of_customer = suppressions.c.customer_id == customer.customer_id
            reason = ledger.scalar(select(suppressions.c.reason).where(of_customer).with_for_update())
            row = {
                "customer_id": customer.customer_id,
                "pseudonym": customer.pseudonym,
                "reason": UNSUBSCRIBED,
                "send_id": send_id,
                "suppressed_at": clock(),
            }
            if reason is None:
                ledger.execute(insert(suppressions), row)
            elif reason == HELD:
                ledger.execute(update(suppressions).where(of_customer).values(row))
        return True

    def preferences_of(self, send_id: str, clock: Callable[[], datetime]) -> Preferences | None:
        """Return what the customer a send went to has chosen, or None where no such send is known.

        Raises
        ------
        LedgerBroken
            If the ledger is busy or unavailable.
        """
        with _available(), self._reader.begin() as ledger:
            return read_preferences(ledger, send_id, clock())

    def prefer(self, send_id: str, wish: Wish, clock: Callable[[], datetime]) -> Preferences | None:
        """Commit what the customer a send went to asks for; return what holds now, or None where no such send is known.

        Raises
        ------
        LedgerBroken
            If the ledger is busy or unavailable. Then nothing can be promised; asking again is safe.
        """
        with self._in_turn(), self._writer.begin() as ledger:
            record_wish(ledger, send_id, wish, now := clock())
            return read_preferences(ledger, send_id, now)

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        if not self._turn.acquire(timeout=self._patience_seconds):
            raise LedgerBroken("the ledger is busy; try again")
        try:
            with _available():
                yield
        finally:
            self._turn.release()

    def check(self) -> None:
        """Look at the ledger once.

        Raises
        ------
        LedgerBroken
            If it is busy or unavailable.
        """
        with _available(), self._reader.begin() as ledger:
            ledger.execute(select(links.c.link_id).limit(1))

    def close(self) -> None:
        self._reader.dispose()
        self._writer.dispose()


@contextmanager
def _available() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise LedgerBroken(f"the ledger is not available ({type(error).__name__}); try again") from error


def _impatient(engine: Engine, patience_seconds: float) -> Engine:
    """Let every connection give up after a while, and never make a SQLite file that is not there."""
    milliseconds = int(patience_seconds * 1000)
    if engine.dialect.name == "sqlite":
        database = make_url(engine.url).database

        @event.listens_for(engine, "do_connect")
        def _only_what_is_there(
            _dialect: Dialect, _record: Any, _cargs: Any, cparams: dict[str, Any]
        ) -> None:
            cparams["timeout"] = (
                patience_seconds  # for the pragmas with which `open_ledger` greets a connection
            )
            if database and not Path(database).exists():
                raise LedgerBroken("there is no ledger yet; the first campaign run makes it")

        @event.listens_for(engine, "connect")
        def _wait_less(connection: Any, _record: Any) -> None:
            connection.execute(f"pragma busy_timeout={milliseconds}").close()

    elif engine.dialect.name == "postgresql":

        @event.listens_for(engine, "do_connect")
        def _limit_statements(_dialect: Dialect, _record: Any, _cargs: Any, cparams: dict[str, Any]) -> None:
            cparams.setdefault("connect_timeout", max(2, int(patience_seconds)))
            cparams["options"] = f"{cparams.get('options', '')} -c statement_timeout={milliseconds}".strip()

    return engine
