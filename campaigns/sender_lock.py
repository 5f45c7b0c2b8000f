"""At most one sender at a time: what lets a start tell a dead sender's claims from a living one's."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, text

from core.errors import LedgerBroken

_SENDER = 5_401_771_200_208  # any number: the key of PostgreSQL's advisory lock


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold `path` locked (flock); the kernel lets go when the process dies, however it dies.

    Raises
    ------
    LedgerBroken
        If another process holds it; the message names that process.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise LedgerBroken(_busy(f"process {lock.read().strip() or 'unknown'}")) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


@contextmanager
def database_lock(engine: Engine) -> Iterator[None]:
    """Hold PostgreSQL's advisory lock, so that senders on two machines exclude each other too."""
    with engine.connect() as connection:
        if not connection.execute(text(f"select pg_try_advisory_lock({_SENDER})")).scalar():
            raise LedgerBroken(_busy("another machine or process"))
        connection.commit()  # the lock belongs to the session, not to the transaction
        try:
            yield
        finally:
            connection.execute(text(f"select pg_advisory_unlock({_SENDER})"))


def _busy(who: str) -> str:
    return f"{who} is sending from this ledger already; wait until it has ended (stopping it is safe)"
