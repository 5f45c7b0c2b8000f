"""What the ledger asks and writes of single rows: may it go, the guarded transition, a suppression, an audit line."""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    Table,
    Update,
    bindparam,
    exists,
    insert,
    not_,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from campaigns.sends import MAY_BECOME, LedgerSend, SendState
from core.errors import LedgerBroken
from core.ledger_tables import audit_log, consents, sends, suppressions
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
"""What keeps a planned send from going, by the words its reply says."""

START = (
    update(sends)
    .where(
        sends.c.send_id == bindparam("id"),
        sends.c.state == SendState.CLAIMED,
        sends.c.claim_id == bindparam("claim"),
        not_(or_(*STOPS.values())),
    )
    .values(
        state=SendState.SENDING,
        sending_at=bindparam("now"),
        server=bindparam("at"),
        message_id=bindparam("mail"),
        message_digest=bindparam("digest"),
        attempts=sends.c.attempts + 1,
    )
)
"""claimed → sending, unless something of `STOPS` holds: one statement, so nothing comes between check and step."""


def as_send(row: Row[Any]) -> LedgerSend:
    """Return a row of `COLUMNS` as a send."""
    values = row._asdict()
    return LedgerSend(**values | {"state": SendState(values["state"])})


def why_stopped(connection: Connection, send_id: str) -> str:
    """Return the first of `STOPS` that holds for a send, or that none does."""
    for reason, holds in STOPS.items():
        if connection.scalar(select(sends.c.send_id).where(sends.c.send_id == send_id, holds)):
            return reason
    return "stopped by nothing we know"


def move(connection: Connection, send: LedgerSend, from_: SendState, to: SendState, **values: Any) -> None:
    """Take a send from one state to another, if it stands there and its claim is still the one we know.

    Raises
    ------
    LedgerBroken
        If there is no such transition, or the send stands elsewhere.
    """
    if to not in MAY_BECOME[from_]:
        raise LedgerBroken(f"send '{send.send_id}' cannot go from {from_} to {to}")
    given = values | {"state": to, "b_id": send.send_id, "b_from": from_, "b_claim": send.claim_id}
    if connection.execute(_guarded_update(frozenset(values)), given).rowcount != 1:
        query = select(sends.c.state, sends.c.claim_id).where(sends.c.send_id == send.send_id)
        found = connection.execute(query).one_or_none()
        stands = "not in the ledger" if found is None else f"{found.state} (claim {found.claim_id})"
        raise LedgerBroken(
            f"send '{send.send_id}' should go from {from_} (claim {send.claim_id}) to {to}, but is {stands};"
            " somebody else moved it"
        )


@cache
def _guarded_update(columns: frozenset[str]) -> Update:
    """Return the transition that sets `columns` beside the state; made once, since making it takes 0.2 ms."""
    return (
        update(sends)
        .where(
            sends.c.send_id == bindparam("b_id"),
            sends.c.state == bindparam("b_from"),
            sends.c.claim_id == bindparam("b_claim"),
        )
        .values({name: bindparam(name) for name in sorted(columns | {"state"})})
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
