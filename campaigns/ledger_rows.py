"""What the ledger asks and writes of rows: which may go, how they are handed over and end, suppressions, audit lines."""

from collections.abc import Mapping
from datetime import datetime
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
    not_,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from campaigns.sends import EVERYTHING, LedgerSend, SendState
from core.ledger_tables import IS_WAITING, audit_log, consents, pauses, sends, suppressions
from core.logging import without_addresses

COLUMNS = [sends.c[name] for name in LedgerSend.__dataclass_fields__]

HAS_SUPPRESSION = or_(
    exists().where(suppressions.c.customer_id == sends.c.customer_id),
    exists().where(suppressions.c.pseudonym == sends.c.pseudonym),
)
"""Whether the person of a send wants no mail, under this customer_id or at this address."""

OUR_PURPOSE = "marketing"
"""The purpose of every mail Lapwing sends; a decision about another purpose stops none."""

HAS_WITHDRAWN = (
    select(consents.c.is_given)
    .where(consents.c.customer_id == sends.c.customer_id, consents.c.purpose == OUR_PURPOSE)
    .order_by(consents.c.decided_at.desc(), consents.c.known_at.desc(), consents.c.is_given)
    .limit(1)
    .correlate(sends)
    .scalar_subquery()
    .is_(False)
)
"""Whether the customer of a send last said no. False where the ledger knows no decision: the plan asked for one."""

STOPS = {"suppressed": HAS_SUPPRESSION, "consent withdrawn": HAS_WITHDRAWN}
"""What keeps a send from going for good, by the words its reply says."""

_THIS = update(sends).where(sends.c.send_id == bindparam("b_id"))
START = _THIS.values(
    state=SendState.SENDING,
    sending_at=bindparam("b_now"),
    server=bindparam("b_server"),
    message_id=bindparam("b_message_id"),
    message_digest=bindparam("b_digest"),
    attempts=sends.c.attempts + 1,
)
"""claimed → sending; for many sends at once, after `stop` and under a lease."""
END = _THIS.values(state=bindparam("b_state"), reply=bindparam("b_reply"), ended_at=bindparam("b_now"))
"""sending → an end."""
WAIT = _THIS.values(
    state=bindparam("b_state"),
    reply=bindparam("b_reply"),
    due_at=bindparam("b_due_at"),
    lease_id=None,
    claimed_at=None,
    sending_at=None,
)
"""sending → planned or deferred."""


def is_paused(now: datetime) -> ColumnElement[bool]:
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
    values = row._asdict()
    return LedgerSend(**values | {"state": SendState(values["state"])})


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
    """Suppress a person; False if that held already: the first reason and moment stay."""
    row = {
        "customer_id": customer_id,
        "pseudonym": pseudonym,
        "reason": reason,
        "send_id": send_id,
        "suppressed_at": now,
    }
    return insert_if_absent(connection, suppressions, row) == 1


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
