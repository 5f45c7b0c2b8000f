"""Reads the ledger. Never selects an address or its pseudonym, and cannot write: the database refuses it."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from sqlalchemy import Connection, Engine, event, func, inspect, select
from sqlalchemy.engine import make_url
from sqlalchemy.pool import ConnectionPoolEntry

from campaigns.ledger_view import LedgerView
from campaigns.sending_now import SendingNow, sending_now
from core.clock import clock_of
from core.ledger_tables import links, notices, open_ledger, preferences, replies, sends, suppressions
from core.settings import Settings

TROUBLED = ("refused", "deferred", "uncertain", "claimed", "sending")
"""States a person may have to look at: ended badly, or stuck on the way."""

_BATCH = 500  # bound parameters of one statement; SQLite's limit is far above


@dataclass(frozen=True)
class SendRecord:
    """One row of the ledger's `sends`, without address and pseudonym; moments are aware, in UTC."""

    send_id: str
    campaign_id: str
    step: int
    customer_id: str
    as_of_date: date
    send_at: datetime
    due_at: datetime
    state: str
    claimed_at: datetime | None
    sending_at: datetime | None
    ended_at: datetime | None
    reply: str | None
    message_digest: str | None
    attempts: int


_SHOWN = [sends.c[name] for name in SendRecord.__dataclass_fields__]


@dataclass(frozen=True)
class Suppression:
    """Why and since when a customer gets no mail."""

    reason: str
    send_id: str | None
    suppressed_at: datetime


@dataclass(frozen=True)
class StateCount:
    """How many sends of a campaign and day are in a state."""

    as_of_date: date
    campaign_id: str
    state: str
    count: int


@dataclass(frozen=True)
class NoticeCount:
    """How many mails of a kind came back of a campaign's day. Without a proof they only claim to be about it."""

    campaign_id: str
    kind: str
    severity: str | None
    is_proven: bool
    count: int


@dataclass(frozen=True)
class ReplyCount:
    """How many people answered a campaign's day with an intent, and how many of these wait for somebody.

    `sentiment`: the mean over the `felt_count` of them of which it is known; None: of none.
    """

    campaign_id: str
    intent: str
    is_proven: bool
    count: int
    open_count: int
    felt_count: int
    sentiment: float | None


class LedgerReader:
    """Questions the pages ask. A ledger that does not exist yet answers with nothing."""

    def __init__(self, url: str) -> None:
        self._file = _sqlite_file(url)
        self._engine = open_for_looking(url)

    def send(self, send_id: str) -> SendRecord | None:
        return self.sends([send_id]).get(send_id)

    def sends(self, send_ids: Iterable[str]) -> dict[str, SendRecord]:
        """Return what the ledger knows of these sends, by `send_id`."""
        found: dict[str, SendRecord] = {}
        with self._connection() as connection:
            if connection is None:
                return {}
            for batch in _batches(send_ids):
                rows = connection.execute(select(*_SHOWN).where(sends.c.send_id.in_(batch)))
                found.update({row.send_id: SendRecord(**row._mapping) for row in rows})
        return found

    def state_counts(self) -> list[StateCount]:
        """Count the sends of each day, campaign and state; newest day first."""
        keys = (sends.c.as_of_date, sends.c.campaign_id, sends.c.state)
        query = (
            select(*keys, func.count().label("count"))
            .group_by(*keys)
            .order_by(keys[0].desc(), keys[1], keys[2])
        )
        with self._connection() as connection:
            if connection is None:
                return []
            return [StateCount(**row._mapping) for row in connection.execute(query)]

    def notice_counts(self, as_of: date) -> list[NoticeCount]:
        """Count what came back of a day's sends, by campaign."""
        keys = (sends.c.campaign_id, notices.c.kind, notices.c.severity, notices.c.is_proven)
        query = (
            select(*keys, func.count().label("count"))
            .join_from(sends, notices, notices.c.send_id == sends.c.send_id)
            .where(sends.c.as_of_date == as_of)
            .group_by(*keys)
            .order_by(*keys)
        )
        with self._connection() as connection:
            # a ledger of before, which the next run that sends brings to this version
            if connection is None or not inspect(connection).has_table(notices.name):
                return []
            return [NoticeCount(**row._mapping) for row in connection.execute(query)]

    def reply_counts(self, as_of: date) -> list[ReplyCount]:
        """Count what people answered to a day's sends, by campaign."""
        keys = (sends.c.campaign_id, replies.c.intent, replies.c.is_proven)
        closed = func.count(replies.c.closed_at)
        query = (
            select(
                *keys,
                func.count().label("count"),
                (func.count() - closed).label("open_count"),
                func.count(replies.c.sentiment).label("felt_count"),
                func.avg(replies.c.sentiment).label("sentiment"),
            )
            .join_from(sends, replies, replies.c.send_id == sends.c.send_id)
            .where(sends.c.as_of_date == as_of)
            .group_by(*keys)
            .order_by(*keys)
        )
        with self._connection() as connection:
            # a ledger of before sentiments were kept, which came with this table
            if connection is None or not inspect(connection).has_table(preferences.name):
                return []
            return [ReplyCount(**row._mapping) for row in connection.execute(query)]

    def troubled(self, limit: int) -> list[SendRecord]:
        """Return the newest sends that were refused, deferred, are uncertain or still on the way."""
        query = (
            select(*_SHOWN)
            .where(sends.c.state.in_(TROUBLED))
            .order_by(sends.c.as_of_date.desc(), sends.c.send_id)
            .limit(limit)
        )
        with self._connection() as connection:
            if connection is None:
                return []
            return [SendRecord(**row._mapping) for row in connection.execute(query)]

    def sending(self, settings: Settings) -> SendingNow | None:
        """Return what sending looks like at this moment; None without a ledger."""
        if not self.exists():
            return None
        return sending_now(LedgerView(self._engine), settings, clock_of(settings)())

    def suppression(self, customer_id: str) -> Suppression | None:
        columns = (suppressions.c.reason, suppressions.c.send_id, suppressions.c.suppressed_at)
        query = select(*columns).where(suppressions.c.customer_id == customer_id)
        with self._connection() as connection:
            row = None if connection is None else connection.execute(query).first()
        return None if row is None else Suppression(**row._mapping)

    def targets(self, link_ids: Iterable[str]) -> dict[str, str]:
        """Return where stored links lead, by `link_id`."""
        found: dict[str, str] = {}
        with self._connection() as connection:
            if connection is None:
                return {}
            for batch in _batches(link_ids):
                rows = connection.execute(select(links).where(links.c.link_id.in_(batch)))
                found.update({row.link_id: row.target for row in rows})
        return found

    def exists(self) -> bool:
        with self._connection() as connection:
            return connection is not None

    @contextmanager
    def _connection(self) -> Iterator[Connection | None]:
        # Connecting to a SQLite file that is not there would make an empty one: looking must not.
        if self._file is not None and not self._file.exists():
            yield None
            return
        with self._engine.connect() as connection:
            yield connection if inspect(connection).has_table(sends.name) else None


def _batches(keys: Iterable[str]) -> Iterator[list[str]]:
    every = list(keys)
    return (every[start : start + _BATCH] for start in range(0, len(every), _BATCH))


def _sqlite_file(url: str) -> Path | None:
    parsed = make_url(url)
    return Path(parsed.database or "") if parsed.get_backend_name() == "sqlite" else None


def open_for_looking(url: str) -> Engine:
    """Return an engine through which nothing can be changed."""
    engine = open_ledger(url, read_only=True)
    if engine.dialect.name != "sqlite":
        return engine.execution_options(postgresql_readonly=True)

    @event.listens_for(engine, "connect")
    def _refuse_writes(connection: object, _record: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()  # type: ignore[attr-defined]  # DBAPI connections have no common type
        cursor.execute("pragma query_only=on")
        cursor.close()

    return engine
