"""The side of the ledger that hears what came back: notices, whom they suppress, which uncertain sends they settle."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from sqlalchemy import Connection, exists, or_, select

from campaigns.bounces.notice import Kind, Severity, TakenNotice
from campaigns.ledger import Ledger
from campaigns.ledger_rows import insert_if_absent, record_suppression
from campaigns.migrate import migrate
from campaigns.sends import SendState
from core.clock import clock_of
from core.ledger_tables import mailboxes, notices, open_ledger, replies, sends
from core.settings import Settings

BOUNCED, COMPLAINED = "bounced", "complained"

_LISTED = ("received_at", "send_id", "kind", "severity", "reason", "status", "is_proven", "diagnostic")


class NoticeLedger(Ledger):
    """A ledger to write notices into. It sends nothing."""

    def record(self, taken: Sequence[TakenNotice]) -> Counter[str]:
        """Add notices and suppress whom the proven ones ask for, in one commit; return counts.

        Returns
        -------
        Of those that were new: how many of each kind, how many are `proven`, how many people are now `suppressed` who
        were not before. The others are counted as `repeated` and have no effect.
        """
        counts: Counter[str] = Counter()
        now = self._clock()
        with self._engine.begin() as connection:
            for notice in taken:
                if not insert_if_absent(connection, notices, asdict(notice) | {"taken_at": now}):
                    counts["repeated"] += 1
                    continue
                counts[str(notice.kind)] += 1
                counts["proven"] += notice.is_proven
                counts["suppressed"] += self._suppress(connection, notice)
        return +counts

    def _suppress(self, connection: Connection, notice: TakenNotice) -> bool:
        reason = _suppresses(notice)
        asked = select(sends.c.customer_id, sends.c.pseudonym).where(sends.c.send_id == notice.send_id)
        if reason is None or (person := connection.execute(asked).one_or_none()) is None:
            return False
        return record_suppression(
            connection,
            person.customer_id,
            person.pseudonym,
            reason=reason,
            send_id=notice.send_id,
            now=self._clock(),
        )

    def settle_returned(self) -> int:
        """Settle as sent every uncertain send of which something provably came back; return how many.

        A server had it, or nobody could have answered it. All notices and answers count, not the newest alone: one may have
        come before its send was called uncertain.
        """
        came_back = [
            exists().where(table.c.send_id == sends.c.send_id, table.c.is_proven)
            for table in (notices, replies)
        ]
        uncertain = select(sends.c.send_id).where(sends.c.state == SendState.UNCERTAIN, or_(*came_back))
        with self._engine.begin() as connection:
            found = list[str](connection.scalars(uncertain))
        return self.settle_as_sent(found, "a mail that came back")

    def settle_as_sent(self, send_ids: Iterable[str], evidence: str) -> int:
        """Settle those of some sends that are uncertain, since their mail is known to have gone; return how many."""
        return sum(self._resolve(send_id, True, evidence) is not None for send_id in send_ids)

    def notices(self, limit: int, *, is_proven: bool | None = None) -> list[dict[str, object]]:
        """Return the newest notices, the newest first, each with the campaign of its send; of all, or of one sort alone."""
        shown = [notices.c[name] for name in _LISTED]
        query = (
            select(*shown[:1], sends.c.campaign_id, *shown[1:])
            .outerjoin_from(notices, sends, sends.c.send_id == notices.c.send_id)
            .order_by(notices.c.taken_at.desc(), notices.c.received_at.desc(), notices.c.digest)
            .limit(limit)
        )
        if is_proven is not None:
            query = query.where(notices.c.is_proven == is_proven)
        with self._engine.begin() as connection:
            return [dict(row._mapping) for row in connection.execute(query)]

    def last_uid(self, mailbox_id: str, uid_validity: int) -> int:
        """Return the last UID of an IMAP folder that was looked at; 0 where none was, or the server counts anew."""
        found = select(mailboxes.c.last_uid).where(
            mailboxes.c.mailbox_id == mailbox_id, mailboxes.c.uid_validity == uid_validity
        )
        with self._engine.begin() as connection:
            return connection.scalar(found) or 0

    def passed(self, mailbox_id: str, uid_validity: int, uid: int) -> None:
        """Note that every mail of an IMAP folder up to a UID was looked at."""
        row = {"mailbox_id": mailbox_id, "uid_validity": uid_validity, "last_uid": uid}
        with self._engine.begin() as connection:
            if not insert_if_absent(connection, mailboxes, row):
                this = mailboxes.c.mailbox_id == mailbox_id
                connection.execute(mailboxes.update().where(this).values(row))


def open_notices(settings: Settings) -> NoticeLedger:
    """Return the ledger, its tables at this version, to write notices into."""
    migrate(settings.ledger)
    return NoticeLedger(open_ledger(settings.ledger), clock_of(settings))


def _suppresses(notice: TakenNotice) -> str | None:
    """Return for what reason a notice suppresses the person of its send, if it does."""
    if not notice.is_proven:
        return None
    if notice.kind is Kind.COMPLAINT:
        return COMPLAINED
    return BOUNCED if notice.kind is Kind.BOUNCE and notice.severity is Severity.HARD else None
