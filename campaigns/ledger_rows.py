"""What the ledger asks and writes of rows: which may go, how they are handed over and end, suppressions, audit lines."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from itertools import chain
from operator import attrgetter
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Table,
    Update,
    and_,
    bindparam,
    exists,
    insert,
    literal,
    literal_column,
    not_,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect

from campaigns.sends import EVERYTHING, MAIL, DueSend, LedgerSend, SendState
from core.ledger_tables import (
    HELD,
    IS_WAITING,
    audit_log,
    campaign_kinds,
    consents,
    pauses,
    preferences,
    sends,
    suppressions,
)
from core.logging import without_addresses
from core.preferences import OUR_PURPOSE

COLUMNS = [sends.c[name] for name in LedgerSend.__dataclass_fields__]
_DUE_COLUMNS = [
    sends.c[name] for name in DueSend.__dataclass_fields__
]  # half of a row: all takes longer to read

HAS_SUPPRESSION = or_(
    exists().where(suppressions.c.customer_id == sends.c.customer_id),
    exists().where(suppressions.c.pseudonym == sends.c.pseudonym),
)
"""Whether the person of a send wants no mail, under this customer_id or at this address."""


def _has_said_no(purpose: object) -> ColumnElement[bool]:
    """Return whether the customer of a send last said no to a purpose; False where the ledger knows no decision."""
    return (
        select(consents.c.is_given)
        .where(consents.c.customer_id == sends.c.customer_id, consents.c.purpose == purpose)
        .order_by(consents.c.decided_at.desc(), consents.c.known_at.desc(), consents.c.is_given)
        .limit(1)
        .correlate(sends)
        .scalar_subquery()
        .is_(False)
    )


HAS_WITHDRAWN = or_(_has_said_no(OUR_PURPOSE), and_(sends.c.channel != MAIL, _has_said_no(sends.c.channel)))
"""Whether the customer of a send last said no, to all of it or to its channel. The plan asked for a yes."""

HAS_SWITCHED_OFF = _has_said_no(
    select(campaign_kinds.c.kind)
    .where(campaign_kinds.c.campaign_id == sends.c.campaign_id)
    .correlate(sends)
    .scalar_subquery()
)
"""Whether the customer of a send wants no mail of its kind."""

HAS_PAUSED = (
    select(preferences.c.no_mail_before)
    .where(preferences.c.customer_id == sends.c.customer_id)
    .order_by(preferences.c.preference_id.desc())
    .limit(1)
    .correlate(sends)
    .scalar_subquery()
    > sends.c.due_at
).is_(True)
"""Whether a send is due while its customer wants none: in a pause, or as a second mail in a week."""

STOPS = {
    "suppressed": HAS_SUPPRESSION,
    "consent withdrawn": HAS_WITHDRAWN,
    "kind switched off": HAS_SWITCHED_OFF,
    "paused by the reader": HAS_PAUSED,
}
"""What keeps a send from going for good, by the words its reply says."""

_CLAIM = """
    update sends set state = 'claimed', lease_id = ?, claimed_at = ?
    where send_id in ({ids}) and {waits} and {may_go}
    returning {columns}
"""
_START = """
    with started (send_id, new_server, new_message_id, new_digest) as (values {rows})
    update sends
    set state = 'sending', sending_at = ?, attempts = attempts + 1,
        server = new_server, message_id = new_message_id, message_digest = new_digest
    from started
    where sends.send_id = started.send_id and state = 'claimed' and lease_id = ? and {may_go}
    returning sends.send_id
"""
_END = """
    with ended (send_id, new_state, new_reply) as (values {rows})
    update sends set state = new_state, reply = new_reply, ended_at = ?
    from ended
    where sends.send_id = ended.send_id and state = 'sending' and lease_id = ?
    returning sends.send_id
"""
WAIT = (
    update(sends)
    .where(sends.c.send_id == bindparam("b_id"))
    .values(
        state=bindparam("b_state"),
        reply=bindparam("b_reply"),
        due_at=bindparam("b_due_at"),
        lease_id=None,
        claimed_at=None,
        sending_at=None,
    )
)
"""sending → planned or deferred."""

_STATE = list(LedgerSend.__dataclass_fields__).index("state")


def claim_rows(connection: Connection, lease: int, now: datetime, ids: Sequence[str]) -> list[DueSend]:
    """Move sends that wait to a lease; return those that may go and did, the earliest first."""
    moment = _stored(connection, now)
    words = _CLAIM.format(
        ids=", ".join("?" * len(ids)),
        waits=IS_WAITING,
        may_go=_may_go(connection.dialect),
        columns=", ".join(column.name for column in _DUE_COLUMNS),
    )
    columns = list(zip(*_rows(connection, words, (lease, moment, *ids, moment)), strict=True))
    for place, reader in _readers(connection.dialect) if columns else ():
        columns[place] = tuple(map(reader, columns[place]))
    return sorted(map(DueSend, *columns), key=attrgetter("due_at", "send_id")) if columns else []


def start_rows(
    connection: Connection, lease: int, now: datetime, rows: Sequence[tuple[str, str, str, str]]
) -> set[str]:
    """Move sends (send_id, server, Message-ID, digest) of a lease from claimed to sending; return which may go and did."""
    moment = _stored(connection, now)
    return _move(connection, _START, rows, moment, lease, moment)


def end_rows(
    connection: Connection, lease: int, now: datetime, rows: Sequence[tuple[str, str, str]]
) -> set[str]:
    """Move sends (send_id, state, reply) of a lease from sending to their end; return which did."""
    return _move(connection, _END, rows, _stored(connection, now), lease)


def _move(
    connection: Connection, statement: str, rows: Sequence[tuple[str, ...]], *values: object
) -> set[str]:
    """Run a statement over rows, if there are any: all at once, which costs a tenth of a statement a row."""
    if not rows:
        return set()
    marks = ", ".join(["(" + ", ".join("?" * len(rows[0])) + ")"] * len(rows))
    words = statement.format(rows=marks, may_go=_may_go(connection.dialect))
    return {moved for (moved,) in _rows(connection, words, (*chain.from_iterable(rows), *values))}


def _rows(connection: Connection, statement: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
    """Run a statement that returns rows, past SQLAlchemy's own: they take as long as the statement."""
    if connection.dialect.paramstyle == "pyformat":
        statement = statement.replace("?", "%s")
    cursor = connection.exec_driver_sql(statement, tuple(values)).cursor
    return [] if cursor is None else list(cursor.fetchall())


@cache
def _readers(dialect: Dialect) -> list[tuple[int, Callable[[Any], Any]]]:
    """Return which columns of a `DueSend` a driver returns otherwise than it holds them, and what makes them so."""
    found = [
        (place, column.type.dialect_impl(dialect).result_processor(dialect, None))
        for place, column in enumerate(_DUE_COLUMNS)
    ]
    return [(place, reader) for place, reader in found if reader is not None]


@cache
def _may_go(dialect: Dialect) -> str:
    """Return `may_go` of a moment `?` as SQL about `sends`, which only stands right in a statement that is about them."""
    asked = select(sends.c.send_id).where(may_go(literal_column("?")))
    words = str(asked.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    return words.partition("WHERE ")[2]


def _stored(connection: Connection, moment: datetime) -> object:
    """Return a moment as the database's driver takes it."""
    kind = sends.c.ended_at.type.dialect_impl(connection.dialect)
    to_stored = kind.bind_processor(connection.dialect)
    return to_stored(moment) if to_stored else moment


def may_go(now: datetime | ColumnElement[Any]) -> ColumnElement[bool]:
    """Return whether nothing keeps a send from going at a moment."""
    return not_(or_(*STOPS.values(), is_paused(now)))


def is_paused(now: datetime | ColumnElement[Any]) -> ColumnElement[bool]:
    """Return whether no send like this one may begin: its campaign, its recipient's domain or everything is paused."""
    return exists().where(
        pauses.c.subject.in_([sends.c.campaign_id, literal("@") + sends.c.domain, EVERYTHING]),
        or_(pauses.c.ends_at.is_(None), pauses.c.ends_at > now),
    )


def is_due(now: datetime) -> ColumnElement[bool]:
    """Return whether a send may begin now, as far as it is up to itself: it waits, is due, in time and not paused."""
    return and_(IS_WAITING, sends.c.due_at <= now, not_(is_paused(now)), sends.c.expires_at > now)


def as_send(row: Row[Any]) -> LedgerSend:
    """Return a row of `COLUMNS` as a send."""
    values = list(row)
    values[_STATE] = SendState(values[_STATE])
    return LedgerSend(*values)


def stop(connection: Connection, among: Update, now: datetime, when: str) -> int:
    """End as `suppressed` those sends of an update that are not to go; return how many. The reply says why."""
    return sum(
        connection.execute(
            among.where(holds).values(
                state=SendState.SUPPRESSED, ended_at=now, reply=f"{reason} before {when}"
            )
        ).rowcount
        for reason, holds in STOPS.items()
    )


def insert_if_absent(
    connection: Connection, table: Table, rows: Mapping[str, Any] | list[dict[str, Any]]
) -> int:
    """Insert rows whose key is free, leave the others alone; return how many were new (of a single row)."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    return connection.execute(dialect.insert(table).on_conflict_do_nothing(), rows).rowcount


def record_suppression(
    connection: Connection,
    customer_id: str,
    pseudonym: str,
    *,
    reason: str,
    send_id: str | None,
    now: datetime,
) -> bool:
    """Suppress a person; False if that was so already: the first reason and moment stay, unless it was a hold."""
    row = {
        "customer_id": customer_id,
        "pseudonym": pseudonym,
        "reason": reason,
        "send_id": send_id,
        "suppressed_at": now,
    }
    if insert_if_absent(connection, suppressions, row):
        return True
    hold = suppressions.c.customer_id == customer_id, suppressions.c.reason == HELD
    return reason != HELD and connection.execute(update(suppressions).where(*hold).values(row)).rowcount == 1


def record_audit(
    connection: Connection,
    now: datetime,
    *,
    actor: str,
    action: str,
    subject: str,
    detail: Mapping[str, Any],
) -> None:
    """Add a line to the audit log; whatever looks like an address is left out of it."""
    clean = {
        key: without_addresses(value) if isinstance(value, str) else value for key, value in detail.items()
    }
    row = {
        "happened_at": now,
        "actor": without_addresses(actor),
        "action": action,
        "subject": without_addresses(subject),
        "detail": clean,
    }
    connection.execute(insert(audit_log).values(row))
