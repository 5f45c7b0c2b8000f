"""The side of the ledger that plans and takes back: sends to come, their links, who wants no mail and who agreed."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, TextClause, delete, insert, literal, select, update

from campaigns.coupons import issue_coupons
from campaigns.ledger_approvals import (
    FirstState,
    answer_batch,
    batch_key,
    close_unanswered,
    record_batches,
)
from campaigns.ledger_rows import insert_if_absent, record_audit, record_suppression
from campaigns.ledger_view import LedgerView
from campaigns.sends import EVERYTHING, Approval, Batch, Coupon, Decision, PlannedSend, SendState
from campaigns.standings import RESUMED
from core.clock import Clock
from core.errors import LedgerBroken
from core.ledger_tables import (
    IS_AWAITING,
    IS_WAITING,
    campaign_kinds,
    consent_files,
    consents,
    links,
    pauses,
    sends,
)
from core.logging import without_addresses


class PlanningLedger(LedgerView):
    """A ledger to add to; `campaigns.ledger.Ledger` sends from it too."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        super().__init__(engine)
        self._clock = clock

    def now(self) -> datetime:
        """Return the moment by the ledger's clock."""
        return self._clock()

    def enqueue(
        self,
        planned: Iterable[PlannedSend],
        targets: Mapping[str, str],
        coupons: Iterable[Coupon] = (),
        limits: Mapping[str, int] = MappingProxyType({}),
        batches: Sequence[Batch] = (),
    ) -> int:
        """Add the sends of a plan, the targets of their links and their coupons, all or nothing; return how many were new.

        A `send_id` the ledger knows stays as it is, whatever became of it, and so does its coupon. `targets`: link_id →
        target. `limits`: campaign_id → how many of its coupons may be valid at once. `batches`: those with a reason to
        ask a person for begin as `awaiting`, which no sender sees. What joins a batch later on its day shares its answer.

        Raises
        ------
        LedgerBroken
            If a campaign would have more valid coupons than it may.
        """
        # Sends that are claimed together lie together: a commit then writes fewer pages.
        rows = sorted(
            (asdict(send) | {"domain": send.domain} for send in planned),
            key=lambda row: (row["send_at"], row["send_id"]),
        )
        with self._engine.begin() as connection:
            _store_links(connection, targets)
            days = {row["as_of_date"] for row in rows}
            known: set[str] = set(
                connection.scalars(select(sends.c.send_id).where(sends.c.as_of_date.in_(days)))
            )
            now = self._clock()
            first_states = record_batches(connection, batches, now)
            new = [
                row | _beginning(first_states.get(batch_key(row), (SendState.PLANNED, None)), row, now)
                for row in rows
                if row["send_id"] not in known
            ]
            if new:
                insert_if_absent(connection, sends, new)
                ids = {row["send_id"] for row in new}
                issued = [coupon for coupon in coupons if coupon.send_id in ids]
                issue_coupons(connection, issued, limits, self._clock())
        return len(new)

    def remember_kinds(self, kinds: Mapping[str, str]) -> None:
        """Store which kind of mail each campaign's are (campaign_id → kind), so that a kind switched off stops them."""
        rows = [{"campaign_id": campaign_id, "kind": kind} for campaign_id, kind in sorted(kinds.items())]
        with self._engine.begin() as connection:
            connection.execute(delete(campaign_kinds).where(campaign_kinds.c.campaign_id.in_(kinds)))
            connection.execute(insert(campaign_kinds), rows)

    def remember_links(self, targets: Mapping[str, str]) -> None:
        """Store where links lead (link_id → target), so that tracking redirects there and nowhere else."""
        with self._engine.begin() as connection:
            _store_links(connection, targets)

    def expire(self, give_up_after: timedelta) -> int:
        """Expire what waits beyond the time its campaign gives it; return how many.

        So does what was deferred and waits longer than `give_up_after` after the moment it was planned for.
        """
        now = self._clock()
        too_late = "its time has passed"
        given_up = (sends.c.state == SendState.DEFERRED) & (sends.c.send_at <= now - give_up_after)
        with self._engine.begin() as connection:
            count = _expire(
                connection, given_up, now, literal("given up; the last word was ") + sends.c.reply
            )
            count += _expire(connection, sends.c.expires_at <= now, now, too_late)
            count += _expire(connection, sends.c.expires_at <= now, now, too_late, among=IS_AWAITING)
            close_unanswered(connection, now)
        return count

    def withdraw(self, as_of: date, campaign_id: str, *, actor: str, reason: str) -> int:
        """Take back what still waits of a campaign's day; return how many. They never go out."""
        with self._engine.begin() as connection:
            its_day = (sends.c.as_of_date == as_of) & (sends.c.campaign_id == campaign_id)
            words, now = without_addresses(f"withdrawn: {reason}"), self._clock()
            count = _expire(connection, its_day, now, words)
            count += _expire(connection, its_day, now, words, among=IS_AWAITING)
            detail = {"as_of_date": str(as_of), "count": count, "reason": reason}
            self._audit(connection, actor, "sends withdrawn", campaign_id, detail)
        return count

    def answer(self, batch: Batch, share_percent: int, *, actor: str, why: str) -> Approval:
        """Let so much of a batch that waits go, and none of the rest ever; return the answer that stands: the first.

        `share_percent`: 1 to 100; 0 rejects all. Which mails go is decided by their send_id, which is a hash.

        Raises
        ------
        LedgerBroken
            If the ledger has no such batch.
        """
        with self._engine.begin() as connection:
            return answer_batch(connection, batch, share_percent, self._clock(), actor=actor, why=why)

    def pause(
        self, subject: str = EVERYTHING, *, actor: str, reason: str, lasts: timedelta | None = None
    ) -> bool:
        """Begin no send of a campaign, or to a domain (`@gmail.com`), from the next group on; False if that holds already.

        It ends by itself after as long as it `lasts`, otherwise with `resume`.
        """
        now = self._clock()
        row = {
            "subject": subject,
            "reason": without_addresses(reason),
            "paused_at": now,
            "ends_at": None if lasts is None else now + lasts,
        }
        with self._engine.begin() as connection:
            connection.execute(delete(pauses).where(pauses.c.ends_at <= now))
            is_new = insert_if_absent(connection, pauses, row) == 1
            if is_new:
                detail = {"reason": reason} | ({"lasts": str(lasts)} if lasts else {})
                self._audit(connection, actor, "sending paused", subject, detail)
        return is_new

    def resume(self, subject: str = EVERYTHING, *, actor: str) -> bool:
        """Send again what was paused under that name; False if nothing was."""
        with self._engine.begin() as connection:
            was_paused = connection.execute(delete(pauses).where(pauses.c.subject == subject)).rowcount == 1
            if was_paused:
                self._audit(connection, actor, RESUMED, subject, {})
        return was_paused

    def suppress(self, customer_id: str, pseudonym: str, reason: str, send_id: str | None = None) -> bool:
        """Send nothing to this person from the commit on; False if that held already (the first reason stays)."""
        with self._engine.begin() as connection:
            return record_suppression(
                connection, customer_id, pseudonym, reason=reason, send_id=send_id, now=self._clock()
            )

    def record_decisions(self, decisions: Sequence[Decision]) -> None:
        """Add what customers decided about mail; what is there already stays. They count from the commit on."""
        names = tuple(
            Decision.__dataclass_fields__
        )  # `asdict` copies each value deeply: half the time of a load
        rows = [{name: getattr(each, name) for name in names} for each in decisions]
        if rows:
            with self._engine.begin() as connection:
                insert_if_absent(connection, consents, rows)

    def mark_carried(self, digests: Iterable[str]) -> None:
        """Note that every row of these landing files of consents is in the ledger."""
        now = self._clock()
        rows = [{"digest": digest, "carried_at": now} for digest in digests]
        if rows:
            with self._engine.begin() as connection:
                insert_if_absent(connection, consent_files, rows)

    def audit(self, actor: str, action: str, subject: str, **detail: Any) -> None:
        """Add a line to the audit log."""
        with self._engine.begin() as connection:
            self._audit(connection, actor, action, subject, detail)

    def _audit(
        self, connection: Connection, actor: str, action: str, subject: str, detail: Mapping[str, Any]
    ) -> None:
        record_audit(connection, self._clock(), actor=actor, action=action, subject=subject, detail=detail)


def _beginning(first: FirstState, row: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Return what a send is when it enters the ledger, beside its row of the plan."""
    state, reply = first
    ended_at = now if state is SendState.REJECTED else None
    return {"state": state, "due_at": row["send_at"], "attempts": 0, "ended_at": ended_at, "reply": reply}


def _expire(
    connection: Connection,
    which: ColumnElement[bool],
    now: datetime,
    reply: str | ColumnElement[str],
    *,
    among: TextClause = IS_WAITING,
) -> int:
    """Expire what waits and is like that; what a sender is claiming just now is left to it."""
    waiting = select(sends.c.send_id).where(among, which).with_for_update(skip_locked=True)
    return connection.execute(
        update(sends)
        .where(sends.c.send_id.in_(waiting))
        .values(state=SendState.EXPIRED, ended_at=now, reply=reply)
    ).rowcount


def _store_links(connection: Connection, targets: Mapping[str, str]) -> None:
    for link_id, target in targets.items():
        if hashlib.sha256(target.encode()).hexdigest()[:16] != link_id:
            raise LedgerBroken(f"link '{link_id}' is not made from its target '{target}'")
    if targets:
        rows = [{"link_id": link_id, "target": target} for link_id, target in targets.items()]
        insert_if_absent(connection, links, rows)
