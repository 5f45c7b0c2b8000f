"""Who is sending: a lease per run of a sender, numbered, put off by its every commit, ended by it or by its heir.

The number is a fencing token. Whoever takes over from a dead sender ends its lease, and a commit under a lease that has
ended is refused: a sender that only stood still, and wakes up, can write nothing. Safety needs no more than that. Being
sure that a sender is dead only makes taking over quick: SQLite has one sender at a time, whose lock file the kernel lets
go; PostgreSQL has any number, each with an advisory lock that goes with its connection.
"""

import fcntl
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, Engine, bindparam, insert, select, text, update

from core.errors import LedgerBroken
from core.ledger_tables import leases

LEASE = timedelta(minutes=30)
"""Longer than the longest time between two commits of a living sender: a server may think for ten minutes."""

_SENDER = (
    540_177  # any number: the first half of the key of a sender's advisory lock; the second is its lease
)

_RENEW = (
    update(leases)
    .where(leases.c.lease_id == bindparam("b_lease"), leases.c.ended_at.is_(None))
    .values(ends_at=bindparam("b_ends_at"))
)


@contextmanager
def lease_of(engine: Engine, lock_file: Path, now: datetime) -> Iterator[int]:
    """Hold a new lease; on SQLite as the only one.

    Raises
    ------
    LedgerBroken
        If the ledger is a SQLite file and another process sends from it; the message names that process.
    """
    if engine.dialect.name == "sqlite":
        with _locked(lock_file):
            with engine.begin() as connection:
                lease = _new(connection, now)
            yield lease
        return
    with engine.connect() as connection:
        connection.detach()  # closed at the end, not given back to the pool: the lock goes with it
        with connection.begin():  # nobody sees the lease before it is locked
            lease = _new(connection, now)
            connection.execute(text(f"select pg_advisory_lock({_SENDER}, {lease})"))
        yield lease


def renew(connection: Connection, lease: int, now: datetime) -> None:
    """Put the end of a lease off, in the transaction of what its sender writes.

    Raises
    ------
    LedgerBroken
        If the lease has ended: another sender took over.
    """
    if connection.execute(_RENEW, {"b_lease": lease, "b_ends_at": now + LEASE}).rowcount != 1:
        raise LedgerBroken(
            f"lease {lease} has ended: this sender stood still so long that another took over from it; what it had"
            " in flight is `uncertain`, the rest was planned again; start it anew"
        )


def end(connection: Connection, lease_ids: list[int], now: datetime) -> None:
    """End leases; from the commit on, their senders write nothing."""
    open_ones = update(leases).where(leases.c.lease_id.in_(lease_ids), leases.c.ended_at.is_(None))
    connection.execute(open_ones.values(ended_at=now))


def dead_leases(connection: Connection, own: int, now: datetime) -> list[int]:
    """Return the leases of senders that are dead for sure or whose time is over, locked until the commit."""
    others = (
        select(leases.c.lease_id, leases.c.ends_at)
        .where(leases.c.ended_at.is_(None), leases.c.lease_id != own)
        .with_for_update(skip_locked=True)  # who is writing just now is alive
    )
    is_alone = connection.dialect.name == "sqlite"  # we hold the lock file, so nobody else sends
    is_free = "select pg_try_advisory_xact_lock({}, {})"
    return [
        int(row.lease_id)
        for row in connection.execute(others)
        if is_alone or row.ends_at < now or connection.scalar(text(is_free.format(_SENDER, row.lease_id)))
    ]


def _new(connection: Connection, now: datetime) -> int:
    holder = f"{platform.node()}, process {os.getpid()}"[:128]
    row = {"holder": holder, "began_at": now, "ends_at": now + LEASE}
    return int(connection.execute(insert(leases).returning(leases.c.lease_id), row).scalar_one())


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold `path` locked (flock); the kernel lets go when the process dies, however it dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise LedgerBroken(
                f"process {lock.read().strip() or 'unknown'} is sending from this ledger already, and SQLite admits"
                " one sender: wait until it has ended (stopping it is safe)"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
