"""The ledger of sends: every step of a mail's way to a server is written down before it is taken.

What a sender writes goes through its lease (`campaigns.leases`) and finds its sends where it left them, or nothing is
written: two senders, a crash or a task run twice cannot move a send twice. Nothing here speaks SMTP;
`campaigns.dispatch` does, between `start` and `finish`.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, Select, func, select, text, update

from campaigns.back_off import next_try
from campaigns.leases import dead_leases, end, lease_of, renew
from campaigns.ledger_planning import PlanningLedger
from campaigns.ledger_rows import (
    WAIT,
    claim_rows,
    end_rows,
    is_due,
    record_suppression,
    start_rows,
    stop,
)
from campaigns.limits import Limits
from campaigns.sends import (
    MAIL,
    MAY_BECOME,
    Claim,
    DueSend,
    Handover,
    LedgerSend,
    Outcome,
    PlannedSend,
    SendState,
    Started,
)
from core.clock import Clock
from core.errors import LedgerBroken
from core.ledger_tables import IS_WAITING, sends
from core.logging import without_addresses

__all__ = [
    "Claim",
    "DueSend",
    "Evidence",
    "Handover",
    "Ledger",
    "LedgerSend",
    "Outcome",
    "PlannedSend",
    "SendState",
    "Started",
]

PLAN_AGAIN = {"state": SendState.PLANNED, "lease_id": None, "claimed_at": None}


class Evidence(Protocol):
    """Somebody who can say whether a message reached a server."""

    @property
    def server(self) -> str:
        """Whose deliveries this is evidence of; compared with `sends.server`."""

    def was_delivered(self, message_id: str) -> bool | None:
        """True: the server has it. False: it has not and will not, or hears it again without harm. None: nobody can tell."""


class Ledger(PlanningLedger):
    """The sends of one ledger. `clock` stamps what happens; the caller has run `campaigns.migrate`.

    `limits`: how fast the senders of this ledger may go together; each of them is to be given the same.
    """

    def __init__(self, engine: Engine, clock: Clock, limits: Limits | None = None) -> None:
        super().__init__(engine, clock)
        self.limits = limits or Limits({})
        self._lease: int | None = None

    @contextmanager
    def sender(self, lock_file: Path) -> Iterator[int]:
        """Be a sender of this ledger, under a lease whose number is yielded: SQLite admits one, PostgreSQL many.

        What is still claimed at the end is planned again.

        Raises
        ------
        LedgerBroken
            If the ledger is a SQLite file and somebody else is sending from it.
        """
        with lease_of(self._engine, lock_file, self._clock()) as lease:
            self._lease = lease
            try:
                yield lease
            finally:
                self._lease = None
                with self._engine.begin() as connection:
                    self._clear_up(connection, [lease], self._clock())

    @contextmanager
    def _writing(self) -> Iterator[tuple[Connection, int, datetime]]:
        """Begin a transaction of a sender; its commit needs the lease to be ours still."""
        if self._lease is None:
            raise LedgerBroken("a send was to be moved by nobody: do it inside Ledger.sender")
        now = self._clock()
        with self._engine.begin() as connection:
            renew(connection, self._lease, now)
            yield connection, self._lease, now

    def claim(self, limit: int, as_of: date | None = None, *, is_mail: bool = True) -> Claim:
        """Claim up to `limit` mails, or sends of other channels, that are due by the clock, earliest first.

        Those whose person is suppressed or has withdrawn consent end as `suppressed` instead; what is paused, or
        above the limits, stays. No sends and no `wait`: nothing more may go now.
        """
        suppressed = 0
        with self._writing() as (connection, lease, now):
            due = self._due(now, as_of, is_mail=is_mail)
            limits = self.limits if is_mail else Limits({})  # which are about mail servers
            while ids := limits.pick(connection, due, limit, now):
                claimed = claim_rows(connection, lease, now, ids)
                if len(claimed) < len(ids):
                    mine = update(sends).where(sends.c.send_id.in_(ids), IS_WAITING)
                    suppressed += stop(connection, mine, now, "the claim")
                if claimed:
                    limits.take(connection, claimed, now)
                    return Claim(claimed, suppressed)
            return Claim([], suppressed, limits.wait(connection, due, now))

    def due_count(self, as_of: date | None = None) -> int:
        """Return how many mails could be claimed now."""
        with self._engine.begin() as connection:
            due = self._due(self._clock(), as_of, is_mail=True).order_by(None).subquery()
            return connection.scalar(select(func.count()).select_from(due)) or 0

    def _due(self, now: datetime, as_of: date | None, *, is_mail: bool) -> Select[tuple[str]]:
        is_ours = sends.c.channel == MAIL if is_mail else sends.c.channel != MAIL
        due = select(sends.c.send_id).where(is_due(now), is_ours)
        if as_of is not None:
            due = due.where(sends.c.as_of_date == as_of)
        return due.order_by(sends.c.due_at, sends.c.send_id)

    def start(self, group: Sequence[tuple[DueSend, Handover]], *, after: Sequence[Outcome] = ()) -> Started:
        """Commit that a group of sends is now being handed over; return which may go.

        This commit is where a send *begins*: whoever said no before it gets no mail, whoever says no while the
        group is on its way gets that one mail still. So a group is no larger than what is handed over at once. Of the
        others, the reply says why they end as `suppressed`; those of a campaign paused meanwhile are planned again.
        `after` are the outcomes of the group before: both are one commit, so that a group costs one disk sync.

        Raises
        ------
        LedgerBroken
            If the lease has ended, or a send is not claimed by us any more. Then nothing is written, `after` neither.
        """
        with self._writing() as (connection, lease, now):
            if connection.dialect.name == "postgresql":
                # Waits for an unsubscribe or a withdrawal under way and keeps the next one out until this commit:
                # the check below is then true at the commit, not only when it is made. Who adds a suppression too
                # keeps other senders out from the start: two that shared the lock would wait for each other. SQLite
                # admits one writer anyway.
                mode = "share row exclusive" if any(outcome.suppresses for outcome in after) else "share"
                connection.execute(text(f"lock table suppressions, consents, preferences in {mode} mode"))
            self._end(connection, lease, after, now)
            rows = [
                (send.send_id, handover.server, handover.message_id, handover.message_digest)
                for send, handover in group
            ]
            started = start_rows(connection, lease, now, rows)
            suppressed = 0
            if left := {send.send_id for send, _ in group} - started:
                stopped = sends.c.send_id.in_(left), sends.c.state == SendState.CLAIMED
                _require(connection, left, SendState.CLAIMED, lease)
                suppressed = stop(connection, update(sends).where(*stopped), now, "the handover")
                connection.execute(update(sends).where(*stopped).values(PLAN_AGAIN))  # it is paused
        return Started(frozenset(started), suppressed)

    def finish(self, outcomes: Sequence[Outcome]) -> None:
        """Commit what came of handing over a group of sends."""
        with self._writing() as (connection, lease, now):
            self._end(connection, lease, outcomes, now)

    def _end(self, connection: Connection, lease: int, outcomes: Sequence[Outcome], now: datetime) -> None:
        ended, waiting = list[tuple[str, str, str]](), list[dict[str, Any]]()
        for outcome in outcomes:
            send, state = outcome.send, outcome.state
            if state not in MAY_BECOME[SendState.SENDING]:
                raise LedgerBroken(f"send '{send.send_id}' cannot go from {SendState.SENDING} to {state}")
            if state in (SendState.DEFERRED, SendState.PLANNED):
                is_deferred = state is SendState.DEFERRED
                due_at = next_try(send.send_id, send.attempts + 1, now) if is_deferred else send.due_at
                row = {"b_id": send.send_id, "b_state": state, "b_reply": outcome.reply, "b_due_at": due_at}
                waiting.append(row)
            else:
                ended.append((send.send_id, state, outcome.reply))
        did_end = end_rows(connection, lease, now, ended)
        _require(connection, {row[0] for row in ended} - did_end, SendState.SENDING, lease)
        _require(connection, {row["b_id"] for row in waiting}, SendState.SENDING, lease)
        if waiting:
            connection.execute(WAIT, waiting)
        for send in (outcome.send for outcome in outcomes if outcome.suppresses):
            record_suppression(
                connection, send.customer_id, send.pseudonym, reason="refused", send_id=send.send_id, now=now
            )

    def release(self) -> int:
        """Plan again what we have claimed and not started; return how many."""
        with self._writing() as (connection, lease, _):
            mine = update(sends).where(sends.c.lease_id == lease, sends.c.state == SendState.CLAIMED)
            return connection.execute(mine.values(PLAN_AGAIN)).rowcount

    def recover(self) -> Counter[SendState]:
        """Take over from senders that died: their claims are planned again, their mail in flight is `uncertain`."""
        with self._writing() as (connection, lease, now):
            return self._clear_up(connection, dead_leases(connection, lease, now), now)

    def _clear_up(self, connection: Connection, lease_ids: list[int], now: datetime) -> Counter[SendState]:
        if not lease_ids:
            return Counter()
        end(connection, lease_ids, now)
        theirs = sends.c.lease_id.in_(lease_ids)
        planned = connection.execute(
            update(sends).where(theirs, sends.c.state == SendState.CLAIMED).values(PLAN_AGAIN)
        ).rowcount
        in_flight = theirs, sends.c.state == SendState.SENDING
        lost = connection.execute(select(sends.c.send_id, sends.c.server).where(*in_flight)).all()
        reply = "the sender died with this mail in flight"
        connection.execute(
            update(sends).where(*in_flight).values(state=SendState.UNCERTAIN, ended_at=now, reply=reply)
        )
        for row in lost:
            self._audit(connection, "recover", "send uncertain", row.send_id, {"server": row.server})
        return +Counter({SendState.PLANNED: planned, SendState.UNCERTAIN: len(lost)})

    def settle(self, evidence: Evidence) -> Counter[SendState]:
        """Ask `evidence` about every uncertain send of its server; return how many ended where.

        Delivered: `sent`. Certainly not: planned again. Nobody can tell: it stays `uncertain`.
        """
        settled: Counter[SendState] = Counter()
        for send in self.in_state(SendState.UNCERTAIN):
            was_delivered = None
            if send.server == evidence.server and send.message_id is not None:
                was_delivered = evidence.was_delivered(send.message_id)
            if was_delivered is None:
                settled[SendState.UNCERTAIN] += 1
            elif state := self._resolve(send.send_id, was_delivered, evidence.server):
                settled[state] += 1
        return settled

    def resolve(self, send_id: str, *, was_delivered: bool, actor: str) -> SendState:
        """Settle one uncertain send by hand; return its new state. Undelivered ones are planned again.

        Raises
        ------
        LedgerBroken
            If there is no such send, or it is not uncertain.
        """
        state = self._resolve(send_id, was_delivered, actor)
        if state is None:
            send = self.find(send_id)
            stands = "not in the ledger" if send is None else f"{send.state}"
            raise LedgerBroken(f"send '{send_id}' is {stands}: only one that is uncertain can be settled")
        return state

    def _resolve(self, send_id: str, was_delivered: bool, actor: str) -> SendState | None:
        """Return the new state, or None where the send is not uncertain (any more)."""
        state = SendState.SENT if was_delivered else SendState.PLANNED
        with self._engine.begin() as connection:
            # Sent as of now: before, nobody knew, and features of the days until now do not count it.
            values: dict[str, Any] = (
                {"state": state, "ended_at": self._clock()}
                if was_delivered
                else PLAN_AGAIN | {"sending_at": None, "ended_at": None}
            )
            uncertain = sends.c.send_id == send_id, sends.c.state == SendState.UNCERTAIN
            values["reply"] = f"settled by {without_addresses(actor)}"
            if connection.execute(update(sends).where(*uncertain).values(values)).rowcount == 0:
                return None
            self._audit(connection, actor, "send settled", send_id, {"state": state})
        return state


def _require(connection: Connection, ids: set[str], state: SendState, lease: int) -> None:
    """See that sends are in a state and a lease's.

    Raises
    ------
    LedgerBroken
        If one of them stands elsewhere; nothing is written then.
    """
    if not ids:
        return
    theirs = (sends.c.send_id.in_(ids)) & (sends.c.state == state) & (sends.c.lease_id == lease)
    if missing := ids - set(connection.scalars(select(sends.c.send_id).where(theirs))):
        first = min(missing)
        found = connection.execute(
            select(sends.c.state, sends.c.lease_id).where(sends.c.send_id == first)
        ).one_or_none()
        stands = "not in the ledger" if found is None else f"{found.state} (lease {found.lease_id})"
        raise LedgerBroken(
            f"send '{first}' should be {state} under lease {lease}, but is {stands}; somebody else moved it"
        )
