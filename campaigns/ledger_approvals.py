"""Batches in the ledger: what was planned of a campaign's step on a day, and whether a person let it go."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime
from math import ceil
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Update, and_, exists, func, not_, select, update

from campaigns.ledger_rows import insert_if_absent, record_audit
from campaigns.sends import Approval, Batch, SendState
from core.errors import LedgerBroken
from core.ledger_tables import IS_AWAITING, approvals, sends
from core.logging import without_addresses

APPROVED, REJECTED = "approved", "rejected"
BY_RULE = "rule"
"""Who approved what nobody is asked about."""
BY_TIME_OUT = "time-out"
"""Who rejected what nobody answered in time."""

_COLUMNS = [approvals.c[name] for name in Approval.__dataclass_fields__]
_BY_BATCH = (approvals.c.as_of_date, approvals.c.campaign_id, approvals.c.step)
_ITS_SENDS = and_(*(sends.c[column.name] == column for column in _BY_BATCH))


FirstState = tuple[SendState, str | None]
"""The state in which a send enters the ledger, and what its reply says then."""


def batch_key(row: Mapping[str, Any]) -> tuple[date, str, int]:
    """Return which batch a row of `sends` or `approvals` belongs to."""
    return row["as_of_date"], row["campaign_id"], row["step"]


def record_batches(
    connection: Connection, batches: Sequence[Batch], now: datetime
) -> dict[tuple[date, str, int], FirstState]:
    """Add batches; return how sends of each begin, by `batch_key`.

    What nobody is asked about is approved by rule. A batch that is there already has grown: what a person answered holds for
    what joins it, what the rule let go is asked about once there is a reason.
    """
    first_states: dict[tuple[date, str, int], FirstState] = {}
    for batch in batches:
        row: dict[str, Any] = asdict(batch) | {"answer": None, "share_percent": None, "answered_at": None}
        row |= {"answered_by": None}
        if batch.reason is None:
            row |= {"answer": APPROVED, "share_percent": 100, "answered_at": now, "answered_by": BY_RULE}
        is_new = insert_if_absent(connection, approvals, row) == 1
        by_rule = _is(batch), approvals.c.answered_by == BY_RULE
        if batch.reason and not is_new:
            is_new = connection.execute(update(approvals).where(*by_rule).values(row)).rowcount == 1
        if batch.reason and is_new:
            detail = _about(batch) | {"reason": batch.reason, "count": batch.send_count}
            record_audit(
                connection,
                now,
                actor="plan",
                action="approval asked",
                subject=batch.campaign_id,
                detail=detail,
            )
        # Locked: an answer just being given would not know of those who join.
        stands = _as_approval(connection.execute(select(*_COLUMNS).where(_is(batch)).with_for_update()).one())
        first_states[batch_key(row)] = _first_state(stands, batch)
    return first_states


def _first_state(stands: Approval, batch: Batch) -> FirstState:
    if batch.reason and stands.template_version != batch.template_version:
        return SendState.REJECTED, "its template is another than the one that was asked about"
    if stands.answer is None:
        return SendState.AWAITING, None
    if stands.share_percent == 100:  # percent
        return SendState.PLANNED, None
    return SendState.REJECTED, f"{stands.share_percent} % of its batch were approved by {stands.answered_by}"


def answer_batch(  # who said what about which, each named
    connection: Connection, batch: Batch, share_percent: int, now: datetime, *, actor: str, why: str
) -> Approval:
    """Write down an answer, and move the sends it is about; return the one that stands: the first.

    Raises
    ------
    LedgerBroken
        If there is no such batch.
    """
    actor, why = without_addresses(actor)[:64], without_addresses(why)
    its_row = _is(batch)
    answered = {
        "answer": APPROVED if share_percent else REJECTED,
        "share_percent": share_percent,
        "answered_at": now,
        "answered_by": actor,
        "why": why,
    }
    is_first = connection.execute(
        update(approvals).where(its_row, approvals.c.answer.is_(None)).values(answered)
    ).rowcount
    found = connection.execute(select(*_COLUMNS).where(its_row)).one_or_none()
    if found is None:
        raise LedgerBroken(f"the ledger has no batch {batch.name}; `lapwing approval list` shows what waits")
    if is_first:
        counts = _move(connection, batch, share_percent, now, f"by {actor}" + (f": {why}" if why else ""))
        detail = _about(batch) | {"share_percent": share_percent, "why": why, **counts}
        action = "sends approved" if share_percent else "sends rejected"
        record_audit(connection, now, actor=actor, action=action, subject=batch.campaign_id, detail=detail)
    return _as_approval(found)


def _move(
    connection: Connection, batch: Batch, share_percent: int, now: datetime, words: str
) -> dict[str, int]:
    its_sends = and_(*(sends.c[column.name] == getattr(batch, column.name) for column in _BY_BATCH))
    waiting = connection.scalar(select(func.count()).select_from(sends).where(its_sends, IS_AWAITING)) or 0
    among: Update = update(sends).where(its_sends, IS_AWAITING)
    first = select(sends.c.send_id).where(its_sends, IS_AWAITING).order_by(sends.c.send_id)
    chosen = first.limit(ceil(waiting * share_percent / 100))
    go = connection.execute(among.where(sends.c.send_id.in_(chosen)).values(state=SendState.PLANNED)).rowcount
    reply = f"beyond the {share_percent} % approved {words}" if share_percent else f"rejected {words}"
    stay = connection.execute(
        among.values(state=SendState.REJECTED, ended_at=now, reply=without_addresses(reply))
    ).rowcount
    return {"approved": go, "rejected": stay}


def close_unanswered(connection: Connection, now: datetime) -> None:
    """Reject batches that nobody has answered and of which nothing waits any more: their time has passed."""
    nothing_waits = not_(exists().where(_ITS_SENDS, IS_AWAITING))
    closed = (
        update(approvals)
        .where(approvals.c.answer.is_(None), nothing_waits)
        .values(answer=REJECTED, share_percent=0, answered_at=now, answered_by=BY_TIME_OUT)
    )
    for row in connection.execute(closed.returning(*_COLUMNS)).all():
        batch = _as_approval(row)
        record_audit(
            connection,
            now,
            actor=BY_TIME_OUT,
            action="sends rejected",
            subject=batch.campaign_id,
            detail=_about(batch) | {"share_percent": 0, "why": "nothing of it waits any more"},
        )


def list_approvals(connection: Connection, as_of: date | None) -> list[Approval]:
    """Return the batches of a day, or those of all days that wait for an answer, by day, campaign and step."""
    which = approvals.c.answer.is_(None) if as_of is None else approvals.c.as_of_date == as_of
    query = select(*_COLUMNS).where(which).order_by(*_BY_BATCH)
    return [_as_approval(row) for row in connection.execute(query)]


def approved_before(connection: Connection, batch: Batch) -> Approval | None:
    """Return the batch of the same campaign and step that was approved last, on an earlier day."""
    same = approvals.c.campaign_id == batch.campaign_id, approvals.c.step == batch.step
    earlier = approvals.c.answer == APPROVED, approvals.c.as_of_date < batch.as_of_date
    query = select(*_COLUMNS).where(*same, *earlier).order_by(approvals.c.as_of_date.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return None if row is None else _as_approval(row)


def approved_templates(connection: Connection) -> set[tuple[str, int, str]]:
    """Return (campaign_id, step, template_version) of what was approved, all of it, on some day."""
    columns = approvals.c.campaign_id, approvals.c.step, approvals.c.template_version
    whole = approvals.c.answer == APPROVED, approvals.c.share_percent == 100  # percent
    return {(row[0], row[1], row[2]) for row in connection.execute(select(*columns).where(*whole).distinct())}


def _is(batch: Batch) -> ColumnElement[bool]:
    return and_(*(column == getattr(batch, column.name) for column in _BY_BATCH))


def _about(batch: Batch) -> dict[str, Any]:
    return {
        "as_of_date": str(batch.as_of_date),
        "step": batch.step,
        "template_version": batch.template_version,
    }


def _as_approval(row: Row[Any]) -> Approval:
    return Approval(*list[Any](row))
