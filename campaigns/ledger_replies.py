"""The side of the ledger that hears what people answer: whose mail stops or is held, and what waits for a person."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, delete, select, update

from campaigns.ledger_notices import NoticeLedger
from campaigns.ledger_rows import insert_if_absent, record_suppression
from campaigns.migrate import migrate
from campaigns.replies.drafts import draft
from campaigns.replies.reply import Intent, Reply, Topic
from core.clock import clock_of
from core.errors import LedgerBroken
from core.ledger_tables import HELD, open_ledger, replies, sends, suppressions
from core.settings import Settings

UNSUBSCRIBED = "unsubscribed"
TEXT_KEPT = timedelta(days=30)
"""How long somebody's words are kept, at the longest; until a reply is closed, if that is sooner."""

STOPS = {Intent.UNSUBSCRIBE: UNSUBSCRIBED, Intent.COMPLAINT: HELD}
"""For what reason a reply of a kind suppresses its customer."""


class ReplyLedger(NoticeLedger):
    """A ledger to write replies into, and other mails that came back. It sends nothing."""

    def record_replies(self, taken: Sequence[Reply]) -> Counter[str]:
        """Add replies, and stop or hold the mail of whom the proven ones come from, in one commit; return counts.

        Returns
        -------
        Of those that were new: how many of each intent, how many are `proven`, how many people now get no more mail
        (`suppressed`, `held`) who did before. The others are counted as `repeated` and have no effect.
        """
        counts: Counter[str] = Counter()
        now = self._clock()
        with self._engine.begin() as connection:
            for reply in taken:
                row = asdict(reply) | {"taken_at": now}
                if not insert_if_absent(connection, replies, row):
                    counts["repeated"] += 1
                    continue
                counts[str(reply.intent)] += 1
                counts["proven"] += reply.is_proven
                is_known = reply.is_proven and self._one(connection, reply.reply_id).customer_id is not None
                if is_known and self._stop(connection, reply.intent, reply.send_id):
                    counts["held" if reply.intent is Intent.COMPLAINT else "suppressed"] += 1
                if reply.intent is Intent.PRAISE or (is_known and reply.intent is Intent.UNSUBSCRIBE):
                    self._close(connection, reply.reply_id)
            old = replies.c.received_at < now - TEXT_KEPT, replies.c.text.is_not(None)
            connection.execute(update(replies).where(*old).values(text=None))
        return +counts

    def _stop(self, connection: Connection, intent: Intent, send_id: str) -> bool:
        """Suppress the customer of a send for what a reply wants; False where it wants no such thing, or that was so."""
        reason = STOPS.get(intent)
        if reason is None:
            return False
        asked = select(sends.c.customer_id, sends.c.pseudonym).where(sends.c.send_id == send_id)
        person = connection.execute(asked).one()
        return record_suppression(
            connection,
            person.customer_id,
            person.pseudonym,
            reason=reason,
            send_id=send_id,
            now=self._clock(),
        )

    def honour(self, reply_id: str, intent: Intent, *, actor: str) -> bool:
        """Do by hand what a reply wants, whether or not it is proven; say whether its customer's mail stopped by it.

        Raises
        ------
        LedgerBroken
            If there is no such reply, its send is not in the ledger, or mail is not stopped for such an intent.
        """
        if intent not in STOPS:
            raise LedgerBroken(f"'{intent}' stops no mail; say unsubscribe or complaint")
        with self._engine.begin() as connection:
            found = self._one(connection, reply_id)
            if found.customer_id is None:
                raise LedgerBroken(f"reply '{reply_id}' is about a send that the ledger does not know")
            has_stopped = self._stop(connection, intent, found.send_id)
            if found.intent != intent:  # else its words had said so
                judged = {"intent": str(intent), "topic": None, "judged_at": self._clock()}
                connection.execute(update(replies).where(replies.c.reply_id == reply_id).values(judged))
            if intent is Intent.UNSUBSCRIBE:
                self._close(connection, reply_id)
            self._audit(connection, actor, "reply honoured", reply_id, {"intent": str(intent)})
        return has_stopped

    def close_reply(self, reply_id: str, *, actor: str, is_lifted: bool = False) -> bool:
        """Note that a person has dealt with a reply, and erase its words; say whether its customer's hold was lifted.

        Raises
        ------
        LedgerBroken
            If there is no such reply.
        """
        with self._engine.begin() as connection:
            found = self._one(connection, reply_id)
            self._close(connection, reply_id)
            hold = suppressions.c.customer_id == found.customer_id, suppressions.c.reason == HELD
            was_held = is_lifted and connection.execute(delete(suppressions).where(*hold)).rowcount == 1
            self._audit(connection, actor, "reply closed", reply_id, {"hold_lifted": was_held})
        return was_held

    def _close(self, connection: Connection, reply_id: str) -> None:
        this = replies.c.reply_id == reply_id, replies.c.closed_at.is_(None)
        connection.execute(update(replies).where(*this).values(closed_at=self._clock(), text=None))

    def listed(
        self, limit: int, *, is_open: bool | None = None, intent: Intent | None = None
    ) -> list[dict[str, Any]]:
        """Return the newest replies, the newest first, each with the campaign and customer of its send, without words."""
        query = _shown().order_by(replies.c.received_at.desc(), replies.c.reply_id).limit(limit)
        if is_open is not None:
            query = query.where(_is_open() if is_open else ~_is_open())
        if intent is not None:
            query = query.where(replies.c.intent == str(intent))
        with self._engine.begin() as connection:
            found = [dict(row._mapping) for row in connection.execute(query)]
        return [{name: value for name, value in row.items() if name != "text"} for row in found]

    def shown(self, reply_id: str) -> dict[str, Any]:
        """Return a reply, words included.

        Raises
        ------
        LedgerBroken
            If there is no such reply.
        """
        with self._engine.begin() as connection:
            return dict(self._one(connection, reply_id)._mapping)

    def _one(self, connection: Connection, reply_id: str) -> Row[Any]:
        found = connection.execute(_shown().where(replies.c.reply_id == reply_id)).one_or_none()
        if found is None:
            raise LedgerBroken(f"there is no reply '{reply_id}'; `lapwing replies list` shows them")
        return found


def _is_open() -> ColumnElement[bool]:
    return replies.c.closed_at.is_(None)


def _shown() -> Select[Any]:
    return select(replies, sends.c.campaign_id, sends.c.customer_id).outerjoin_from(
        replies, sends, sends.c.send_id == replies.c.send_id
    )


def open_replies(settings: Settings) -> ReplyLedger:
    """Return the ledger, its tables at this version, to write replies into."""
    migrate(settings.ledger)
    return ReplyLedger(open_ledger(settings.ledger), clock_of(settings))


def replies_listed(
    settings: Settings, limit: int, *, is_open: bool | None = None, intent: Intent | None = None
) -> list[dict[str, Any]]:
    """Return the newest replies, the newest first, without words."""
    ledger = open_replies(settings)
    try:
        return ledger.listed(limit, is_open=is_open, intent=intent)
    finally:
        ledger.close()


def reply_shown(settings: Settings, reply_id: str) -> dict[str, Any]:
    """Return a reply, words included, and the draft of an answer to it.

    Raises
    ------
    LedgerBroken
        If there is no such reply.
    """
    ledger = open_replies(settings)
    try:
        found = ledger.shown(reply_id)
    finally:
        ledger.close()
    topic = Topic(found["topic"]) if found["topic"] else None
    return found | {"draft": draft(Intent(found["intent"]), topic, found["language"], settings)}
