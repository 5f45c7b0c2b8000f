"""What people and other parts read of the ledger. Nothing here writes."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import TypeVar

from sqlalchemy import ColumnElement, Engine, TextClause, and_, func, not_, or_, select, tuple_

from campaigns.coupons import valid_coupons
from campaigns.ledger_approvals import approved_before, approved_templates, list_approvals
from campaigns.ledger_rows import COLUMNS, as_send, is_due
from campaigns.limits import sent_today
from campaigns.sends import MAIL, REACHED_NOBODY, Approval, Batch, LedgerSend, SendState
from campaigns.standings import Standing, standings
from core.errors import LedgerBroken
from core.ledger_tables import (
    IS_REFUSED,
    IS_SENT,
    audit_log,
    consent_files,
    consents,
    leases,
    pauses,
    preferences,
    replies,
    sends,
    suppressions,
)
from core.preferences import MailKind

SENDS_PER_QUESTION = 10_000  # a question of SQLite may have 32,766 parameters


@dataclass(frozen=True, slots=True)
class Suppression:
    """A person who gets nothing any more, under a customer_id and at an address, and why."""

    customer_id: str
    pseudonym: str
    reason: str
    suppressed_at: datetime


@dataclass(frozen=True, slots=True)
class Preference:
    """What a customer chose about our mail; None: nothing, so the shop's own rules hold."""

    customer_id: str
    kinds_off: list[str]
    mails_per_week: int | None
    paused_until: datetime | None
    locale: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a proven reply wants, and of whom it is.

    `closed_at`: when it was done; None: it waits for a person. `judged_at`: when a person said what it wants; None: its words did.
    """

    reply_id: str
    intent: str
    send_id: str
    customer_id: str
    received_at: datetime
    taken_at: datetime
    closed_at: datetime | None
    judged_at: datetime | None


@dataclass(frozen=True, slots=True)
class FeltAnswer:
    """A proven reply of which the sentiment is known, -1 to 1, and of whom it is."""

    reply_id: str
    customer_id: str
    sentiment: float
    received_at: datetime
    taken_at: datetime


OfReply = TypeVar("OfReply", Answer, FeltAnswer)


@dataclass(frozen=True, slots=True)
class Pause:
    """A campaign, a domain (`@gmail.com`) or everything (`*`) of which no send begins, and why.

    `ends_at`: when it ends by itself; None: when somebody says so.
    """

    subject: str
    reason: str
    paused_at: datetime
    ends_at: datetime | None


@dataclass(frozen=True, slots=True)
class Sender:
    """A sender whose lease has not ended: it is at work, or has died and nobody has cleared up after it yet."""

    lease_id: int
    holder: str
    began_at: datetime
    ends_at: datetime


class LedgerView:
    """The readable side of a ledger; an engine opened `read_only` is enough."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def close(self) -> None:
        """Let go of the ledger's connections."""
        self._engine.dispose()

    def states(self, as_of: date) -> Counter[SendState]:
        """Return how many sends of a day stand in each state."""
        query = select(sends.c.state, func.count()).where(sends.c.as_of_date == as_of).group_by(sends.c.state)
        with self._engine.begin() as connection:
            return Counter({SendState(str(row[0])): int(row[1]) for row in connection.execute(query).all()})

    def check_identity(self, as_of: date, planned: int) -> None:
        """Check that every planned send of a day is in the ledger once: planned = sum of states.

        Raises
        ------
        LedgerBroken
            If one is missing or one too many; the message lists the states.
        """
        states = self.states(as_of)
        if states.total() != planned:
            listed = ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "none"
            raise LedgerBroken(
                f"{planned} sends are planned for {as_of}, but the ledger holds {states.total()} ({listed});"
                " compare campaign_plan with the ledger before sending more"
            )

    def find(self, send_id: str) -> LedgerSend | None:
        """Return a send as it stands, or None."""
        with self._engine.begin() as connection:
            row = connection.execute(select(*COLUMNS).where(sends.c.send_id == send_id)).one_or_none()
        return None if row is None else as_send(row)

    def in_state(self, state: SendState, as_of: date | None = None) -> list[LedgerSend]:
        """Return the sends in a state, of one day or of all, by send_id."""
        query = select(*COLUMNS).where(sends.c.state == state).order_by(sends.c.send_id)
        if as_of is not None:
            query = query.where(sends.c.as_of_date == as_of)
        with self._engine.begin() as connection:
            return [as_send(row) for row in connection.execute(query)]

    def of_day(self, as_of: date) -> list[LedgerSend]:
        """Return the sends of a day, by send_id."""
        query = select(*COLUMNS).where(sends.c.as_of_date == as_of).order_by(sends.c.send_id)
        with self._engine.begin() as connection:
            return [as_send(row) for row in connection.execute(query)]

    def pauses(self, now: datetime) -> list[Pause]:
        """Return what is paused, by subject."""
        query = (
            select(*(pauses.c[name] for name in Pause.__dataclass_fields__))
            .where(or_(pauses.c.ends_at.is_(None), pauses.c.ends_at > now))
            .order_by(pauses.c.subject)
        )
        with self._engine.begin() as connection:
            return [Pause(**row._asdict()) for row in connection.execute(query)]

    def standings(self, now: datetime) -> list[Standing]:
        """Return how the mail of each campaign was taken lately, by campaign_id."""
        with self._engine.begin() as connection:
            return standings(connection, now)

    def newest_day(self) -> date | None:
        """Return the newest day with sends."""
        with self._engine.begin() as connection:
            newest: date | None = connection.scalar(select(func.max(sends.c.as_of_date)))
            return newest

    def may_go_count(self, now: datetime) -> int:
        """Return how many sends are due and not paused."""
        return self._count(is_due(now))

    def sent_since(self, moment: datetime) -> int:
        """Return how many sends were sent since a moment."""
        return self._count(IS_SENT, sends.c.ended_at >= moment)

    def sent_today(self, now: datetime) -> int:
        """Return how many mails count against today's warm-up."""
        with self._engine.begin() as connection:
            return sent_today(connection, now)

    def refused_since(self, moment: datetime) -> dict[str, int]:
        """Return reply → how many sends were refused with it since a moment."""
        query = select(sends.c.reply, func.count()).where(IS_REFUSED, sends.c.ended_at >= moment)
        with self._engine.begin() as connection:
            return {row[0] or "": row[1] for row in connection.execute(query.group_by(sends.c.reply))}

    def _count(self, *those: ColumnElement[bool] | TextClause) -> int:
        with self._engine.begin() as connection:
            return connection.scalar(select(func.count()).select_from(sends).where(*those)) or 0

    def has_audited(self, action: str, subject: str, since: datetime) -> bool:
        """Say whether the audit log has such a line since a moment."""
        lines = select(audit_log.c.audit_id).where(
            audit_log.c.action == action, audit_log.c.subject == subject, audit_log.c.happened_at >= since
        )
        with self._engine.begin() as connection:
            return connection.scalar(lines.limit(1)) is not None

    def senders(self) -> list[Sender]:
        """Return the senders whose leases have not ended, oldest first."""
        query = select(*(leases.c[name] for name in Sender.__dataclass_fields__))
        query = query.where(leases.c.ended_at.is_(None)).order_by(leases.c.lease_id)
        with self._engine.begin() as connection:
            return [Sender(**row._asdict()) for row in connection.execute(query)]

    def suppressed_before(self, moment: datetime) -> list[Suppression]:
        """Return who was suppressed before a moment, by customer_id."""
        query = (
            select(*(suppressions.c[name] for name in Suppression.__dataclass_fields__))
            .where(suppressions.c.suppressed_at < moment)
            .order_by(suppressions.c.customer_id)
        )
        with self._engine.begin() as connection:
            return [Suppression(**row._asdict()) for row in connection.execute(query)]

    def preferences_before(self, moment: datetime) -> list[Preference]:
        """Return what customers had chosen before a moment, by customer_id; of two choices, the newest."""
        chosen = (
            select(preferences).where(preferences.c.decided_at < moment).order_by(preferences.c.preference_id)
        )
        decided = (
            select(consents.c.customer_id, consents.c.purpose, consents.c.is_given)
            .where(consents.c.purpose.in_(list(MailKind)), consents.c.decided_at < moment)
            .where(consents.c.known_at < moment)
            # so that what counts comes last: the newest, and of two at once the withdrawal
            .order_by(consents.c.decided_at, consents.c.known_at, consents.c.is_given.desc())
        )
        with self._engine.begin() as connection:
            newest = {row.customer_id: row for row in connection.execute(chosen)}
            is_given = {(row.customer_id, row.purpose): row.is_given for row in connection.execute(decided)}
        off: dict[str, list[str]] = {}
        for (customer_id, kind), is_on in sorted(is_given.items()):
            if not is_on:
                off.setdefault(customer_id, []).append(kind)
        found = []
        for customer_id in sorted(newest.keys() | off.keys()):
            row = newest.get(customer_id)
            pace = (row.mails_per_week, row.paused_until, row.locale) if row else (None, None, None)
            found.append(Preference(customer_id, off.get(customer_id, []), *pace))
        return found

    def carried_files(self) -> set[str]:
        """Return the digests of the landing files whose consents are all here."""
        with self._engine.begin() as connection:
            return set(connection.scalars(select(consent_files.c.digest)))

    def decision_count(self) -> int:
        """Return how many decisions about consent are here."""
        with self._engine.begin() as connection:
            return connection.scalar(select(func.count()).select_from(consents)) or 0

    def sends_before(self, as_of: date, moment: datetime) -> list[tuple[str, str, str, int, date]]:
        """Return (send_id, customer_id, campaign_id, step, as_of_date) of the sends of earlier days, by send_id.

        Left out: what had reached nobody by `moment` (refused, suppressed, expired). What happens
        later does not count, so that asking again gives the same answer.
        """
        reached_nobody = and_(sends.c.state.in_(REACHED_NOBODY), sends.c.ended_at < moment)
        query = (
            select(
                sends.c.send_id, sends.c.customer_id, sends.c.campaign_id, sends.c.step, sends.c.as_of_date
            )
            .where(sends.c.as_of_date < as_of, not_(reached_nobody))
            .order_by(sends.c.send_id)
        )
        with self._engine.begin() as connection:
            return [
                (row.send_id, row.customer_id, row.campaign_id, row.step, row.as_of_date)
                for row in connection.execute(query)
            ]

    def approvals(self, as_of: date | None = None) -> list[Approval]:
        """Return the batches of a day, or those of all days that wait for an answer, by day, campaign and step."""
        with self._engine.begin() as connection:
            return list_approvals(connection, as_of)

    def approved_before(self, batch: Batch) -> Approval | None:
        """Return the batch of the same campaign and step that was approved last, on an earlier day."""
        with self._engine.begin() as connection:
            return approved_before(connection, batch)

    def approved_templates(self) -> set[tuple[str, int, str]]:
        """Return (campaign_id, step, template_version) of what was approved, all of it, on some day."""
        with self._engine.begin() as connection:
            return approved_templates(connection)

    def valid_coupons(self, moment: datetime) -> dict[str, int]:
        """Return campaign_id → how many of its coupons were issued by a moment and are valid after it."""
        with self._engine.begin() as connection:
            return valid_coupons(connection, moment)

    def answers_since(self, moment: datetime) -> list[Answer]:
        """Return the proven complaints and wishes for no more mail that were taken, judged or closed since a moment, as they were taken."""
        is_new = or_(*(replies.c[name] >= moment for name in ("taken_at", "judged_at", "closed_at")))
        return self._proven(Answer, replies.c.intent.in_(["complaint", "unsubscribe"]), is_new)

    def felt_since(self, moment: datetime) -> list[FeltAnswer]:
        """Return the proven replies of which the sentiment is known that were taken since a moment, in that order."""
        return self._proven(FeltAnswer, replies.c.sentiment.is_not(None), replies.c.taken_at >= moment)

    def _proven(self, kind: type[OfReply], *conditions: ColumnElement[bool]) -> list[OfReply]:
        names = kind.__dataclass_fields__
        columns = [sends.c[name] if name == "customer_id" else replies.c[name] for name in names]
        query = (
            select(*columns)
            .join_from(replies, sends, sends.c.send_id == replies.c.send_id)
            .where(replies.c.is_proven, *conditions)
            .order_by(replies.c.taken_at, replies.c.reply_id)
        )
        with self._engine.begin() as connection:
            return [kind(**row._asdict()) for row in connection.execute(query)]

    def customers_of(self, send_ids: Collection[str]) -> dict[str, str]:
        """Return send_id → customer_id of those sends that are in the ledger."""
        asked, found = list(send_ids), dict[str, str]()
        with self._engine.begin() as connection:
            for first in range(0, len(asked), SENDS_PER_QUESTION):
                ids = asked[first : first + SENDS_PER_QUESTION]
                query = select(sends.c.send_id, sends.c.customer_id).where(sends.c.send_id.in_(ids))
                found |= {row.send_id: row.customer_id for row in connection.execute(query)}
        return found

    def sent_after(
        self, moment: datetime, send_id: str, limit: int
    ) -> list[tuple[str, str, datetime, datetime]]:
        """Return the first so many mails that ended as sent after (moment, send_id), in the order of these two.

        Returns
        -------
        (send_id, customer_id, when it was handed over, when the ledger knew that it is sent), moments UTC.
        """
        query = (
            select(sends.c.send_id, sends.c.customer_id, sends.c.sending_at, sends.c.ended_at)
            .where(
                IS_SENT,
                sends.c.channel == MAIL,
                tuple_(sends.c.ended_at, sends.c.send_id) > tuple_(moment, send_id),
            )
            .order_by(sends.c.ended_at, sends.c.send_id)
            .limit(limit)
        )
        with self._engine.begin() as connection:
            rows = connection.execute(query).all()
        # A clock that was set back in between does not make the handover later than the knowledge of it.
        return [
            (row.send_id, row.customer_id, min(row.sending_at, row.ended_at), row.ended_at) for row in rows
        ]
