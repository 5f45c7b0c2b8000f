"""The ledger of sends: every step of a mail's way to a server is written down before it is taken.

A transition is one guarded UPDATE (`where state = …`), so two senders, a crash or a task run twice cannot move a
send twice. Nothing here speaks SMTP; `campaigns.dispatch` does, between `start` and `finish`.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, select, text, update

from campaigns.ledger_planning import PlanningLedger
from campaigns.ledger_rows import (
    COLUMNS,
    START,
    STOPS,
    as_send,
    move,
    record_suppression,
    why_stopped,
)
from campaigns.sender_lock import database_lock, file_lock
from campaigns.sends import Claim, Handover, LedgerSend, Outcome, PlannedSend, SendState
from core.clock import Clock
from core.errors import LedgerBroken
from core.ledger_tables import IS_PLANNED, sends
from core.logging import without_addresses

__all__ = ["Claim", "Evidence", "Handover", "Ledger", "LedgerSend", "Outcome", "PlannedSend", "SendState"]


class Evidence(Protocol):
    """Somebody who can say whether a message reached a server."""

    @property
    def server(self) -> str:
        """Whose deliveries this is evidence of; compared with `sends.server`."""

    def was_delivered(self, message_id: str) -> bool | None:
        """True: the server has it. False: it has not and will not. None: nobody can tell."""


class Ledger(PlanningLedger):
    """The sends of one ledger. `clock` stamps what happens; the caller has run `campaigns.migrate`."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        super().__init__(engine, clock)
        self._is_only_sender = False

    @contextmanager
    def only_sender(self, lock_file: Path) -> Iterator[None]:
        """Be the one sender of this ledger; `claim`, `recover` and `settle` need it.

        Raises
        ------
        LedgerBroken
            If somebody else is sending.
        """
        with ExitStack() as locks:
            locks.enter_context(file_lock(lock_file))
            if self._engine.dialect.name == "postgresql":
                locks.enter_context(database_lock(self._engine))
            self._is_only_sender = True
            try:
                yield
            finally:
                self._is_only_sender = False

    def _require_only_sender(self, deed: str) -> None:
        if not self._is_only_sender:
            raise LedgerBroken(f"{deed} without being the only sender: do it inside Ledger.only_sender")

    def claim(self, claim_id: str, limit: int, as_of: date | None = None) -> Claim:
        """Claim up to `limit` sends that are due by the clock, earliest first, for the sender `claim_id`.

        Those whose person is suppressed or has withdrawn consent end as `suppressed` instead. No sends: nothing more is due.
        """
        self._require_only_sender("a send was to be claimed")
        now, suppressed = self._clock(), 0
        due = select(sends.c.send_id).where(IS_PLANNED, sends.c.send_at <= now)
        if as_of is not None:
            due = due.where(sends.c.as_of_date == as_of)
        due = due.order_by(sends.c.send_at, sends.c.send_id).limit(limit).with_for_update(skip_locked=True)
        with self._engine.begin() as connection:
            while ids := list[str](connection.scalars(due)):
                mine = update(sends).where(sends.c.send_id.in_(ids), sends.c.state == SendState.PLANNED)
                for reason, holds in STOPS.items():
                    suppressed += connection.execute(
                        mine.where(holds).values(
                            state=SendState.SUPPRESSED, ended_at=now, reply=f"{reason} before the claim"
                        )
                    ).rowcount
                claimed = connection.execute(
                    mine.values(state=SendState.CLAIMED, claim_id=claim_id, claimed_at=now)
                ).rowcount
                if claimed:
                    rows = connection.execute(
                        select(*COLUMNS)
                        .where(sends.c.send_id.in_(ids), sends.c.claim_id == claim_id)
                        .where(sends.c.state == SendState.CLAIMED)
                        .order_by(sends.c.send_at, sends.c.send_id)
                    )
                    return Claim([as_send(row) for row in rows], suppressed)
        return Claim([], suppressed)

    def start(self, send: LedgerSend, handover: Handover, *, after: Outcome | None = None) -> bool:
        """Commit that `send` is now being handed over; False, and `suppressed`, if its person no longer wants mail.

        The send's reply then says which: suppressed, or consent withdrawn.
        `after` is the outcome of the mail before it: both are one commit, so that a mail costs one disk sync.

        Raises
        ------
        LedgerBroken
            If the claim is not ours any more. Then nothing is written, `after` neither.
        """
        now = self._clock()
        with self._engine.begin() as connection:
            if after is not None:
                self._end(connection, after, now)
            if connection.dialect.name == "postgresql":
                # Waits for an unsubscribe or a withdrawal under way and keeps the next one out until this commit:
                # the check below is then true at the commit, not only when it is made. SQLite admits one writer
                # anyway.
                connection.execute(text("lock table suppressions, consents in share mode"))
            values = {
                "id": send.send_id,
                "claim": send.claim_id,
                "now": now,
                "at": handover.server,
                "mail": handover.message_id,
                "digest": handover.message_digest,
            }
            if connection.execute(START, values).rowcount == 1:
                return True
            reply = f"{why_stopped(connection, send.send_id)} before the handover"
            move(connection, send, SendState.CLAIMED, SendState.SUPPRESSED, ended_at=now, reply=reply)
        return False

    def finish(self, outcome: Outcome) -> None:
        """Commit how the handover of a send ended."""
        with self._engine.begin() as connection:
            self._end(connection, outcome, self._clock())

    def _end(self, connection: Connection, outcome: Outcome, now: datetime) -> None:
        send, state = outcome.send, outcome.state
        values: dict[str, Any] = {"reply": outcome.reply}
        if state is SendState.PLANNED:
            values |= {"claim_id": None, "claimed_at": None, "sending_at": None}
        else:
            values["ended_at"] = now
        move(connection, send, SendState.SENDING, state, **values)
        if outcome.suppresses:
            record_suppression(
                connection,
                send.customer_id,
                send.pseudonym,
                reason="refused",
                send_id=send.send_id,
                now=now,
            )

    def release(self, claim_id: str) -> int:
        """Plan again what a sender claimed and did not start; return how many."""
        with self._engine.begin() as connection:
            return connection.execute(
                update(sends)
                .where(sends.c.claim_id == claim_id, sends.c.state == SendState.CLAIMED)
                .values(state=SendState.PLANNED, claim_id=None, claimed_at=None)
            ).rowcount

    def recover(self) -> Counter[SendState]:
        """Take over from a sender that died: its claims are planned again, its mail in flight is `uncertain`."""
        self._require_only_sender("a dead sender was to be cleared up after")
        now = self._clock()
        with self._engine.begin() as connection:
            planned = connection.execute(
                update(sends)
                .where(sends.c.state == SendState.CLAIMED)
                .values(state=SendState.PLANNED, claim_id=None, claimed_at=None)
            ).rowcount
            in_flight = connection.execute(select(*COLUMNS).where(sends.c.state == SendState.SENDING)).all()
            for row in in_flight:
                reply = "the sender died with this mail in flight"
                move(
                    connection,
                    as_send(row),
                    SendState.SENDING,
                    SendState.UNCERTAIN,
                    ended_at=now,
                    reply=reply,
                )
                self._audit(connection, "recover", "send uncertain", row.send_id, {"server": row.server})
        return +Counter({SendState.PLANNED: planned, SendState.UNCERTAIN: len(in_flight)})

    def settle(self, evidence: Evidence) -> Counter[SendState]:
        """Ask `evidence` about every uncertain send of its server; return how many ended where.

        Delivered: `sent`. Certainly not: planned again. Nobody can tell: it stays `uncertain`.
        """
        self._require_only_sender("an uncertain send was to be settled")
        settled: Counter[SendState] = Counter()
        for send in self.in_state(SendState.UNCERTAIN):
            if send.server != evidence.server or send.message_id is None:
                settled[SendState.UNCERTAIN] += 1
                continue
            was_delivered = evidence.was_delivered(send.message_id)
            if was_delivered is None:
                settled[SendState.UNCERTAIN] += 1
            else:
                settled[self._resolve(send, was_delivered, evidence.server)] += 1
        return settled

    def resolve(self, send_id: str, *, was_delivered: bool, actor: str) -> SendState:
        """Settle one uncertain send by hand; return its new state. Undelivered ones are planned again.

        Raises
        ------
        LedgerBroken
            If there is no such send, or it is not uncertain.
        """
        send = self.find(send_id)
        if send is None:
            raise LedgerBroken(f"send '{send_id}' is not in the ledger")
        return self._resolve(send, was_delivered, actor)

    def _resolve(self, send: LedgerSend, was_delivered: bool, actor: str) -> SendState:
        state = SendState.SENT if was_delivered else SendState.PLANNED
        values: dict[str, Any] = {"reply": f"settled by {without_addresses(actor)}"}
        if was_delivered:  # before now nobody knew: features of the days until now do not count it
            values["ended_at"] = self._clock()
        else:
            values |= {"claim_id": None, "claimed_at": None, "sending_at": None, "ended_at": None}
        with self._engine.begin() as connection:
            move(connection, send, SendState.UNCERTAIN, state, **values)
            self._audit(connection, actor, "send settled", send.send_id, {"state": state})
        return state
