"""The ledger's tables, known to its two writers: campaigns (sends) and tracking (unsubscribes).

SQLite or PostgreSQL. Beside one dbt staging model this is the only place that holds an address.
"""

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Date,
    DateTime,
    Engine,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """A moment, stored as UTC without a zone (SQLite knows none), read back with one."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None] | None:
        return _read if dialect.name == "sqlite" else super().result_processor(dialect, coltype)


@lru_cache(maxsize=1024)
def _read(stored: str | None) -> datetime | None:
    """Return a moment of SQLite's; those of a plan are few, and a sender reads three a mail."""
    return None if stored is None else datetime.fromisoformat(stored).replace(tzinfo=UTC)


metadata = MetaData(
    naming_convention={"ix": "ix_%(table_name)s_%(column_0_name)s", "pk": "pk_%(table_name)s"}
)

# Spelled out, not bound: SQLite uses a partial index only where the query repeats the index's own words.
IS_WAITING = text("state in ('planned', 'deferred')")
IS_AWAITING = text("state = 'awaiting'")
IS_HELD = text("state in ('claimed', 'sending')")
IS_SENT = text("state = 'sent'")
IS_REFUSED = text("state = 'refused'")

sends = Table(
    "sends",
    metadata,
    Column("send_id", String(32), primary_key=True),
    Column("campaign_id", String(64), nullable=False),
    Column("step", Integer, nullable=False),
    Column("customer_id", String(64), nullable=False),
    Column("as_of_date", Date, nullable=False),
    Column("channel", String(16), nullable=False, server_default="mail", doc="mail, sms, push or call."),
    Column("address", String(320), nullable=False, doc="Empty where it is no mail."),
    Column("pseudonym", String(32), nullable=False),
    Column("domain", String(255), nullable=False, doc="Of the address: after its last @, in lower case."),
    Column(
        "send_at", UtcDateTime, nullable=False, doc="The moment it is planned for, which its mail states."
    ),
    Column("expires_at", UtcDateTime, nullable=False, doc="From this moment on it is not begun any more."),
    Column(
        "due_at",
        UtcDateTime,
        nullable=False,
        doc="Not handed over before this moment: `send_at`, or later where it was deferred.",
    ),
    Column("state", String(16), nullable=False),
    Column("lease_id", Integer, doc="The sender that has it, or had it last."),
    Column("claimed_at", UtcDateTime),
    Column("sending_at", UtcDateTime, doc="Committed before the server hears of the message."),
    Column(
        "ended_at", UtcDateTime, doc="When its state became final; of a settled send, when it was settled."
    ),
    Column("reply", Text, doc="The server's last words, without addresses."),
    Column(
        "server", String(128), doc="Which server heard of it last; only that one can say what became of it."
    ),
    Column("message_id", String(320), doc="Message-ID header of the bytes handed over."),
    Column("message_digest", String(64), doc="SHA-256 of the bytes handed over, without DKIM's signatures."),
    Column("attempts", Integer, nullable=False, default=0),
    # The state changes four times in the life of a send; an index that holds it would be written as often.
    Index("ix_sends_as_of_date", "as_of_date"),
    Index("ix_sends_customer_id", "customer_id"),
    Index("ix_sends_due", "due_at", "send_id", sqlite_where=IS_WAITING, postgresql_where=IS_WAITING),
    Index("ix_sends_awaiting", "as_of_date", sqlite_where=IS_AWAITING, postgresql_where=IS_AWAITING),
    # A few rows at any moment: what a sender that ends, or has died, leaves behind.
    Index("ix_sends_held", "lease_id", sqlite_where=IS_HELD, postgresql_where=IS_HELD),
    # In the order in which they were sent: feedback asks every 15 minutes what is new.
    Index("ix_sends_sent", "ended_at", "send_id", sqlite_where=IS_SENT, postgresql_where=IS_SENT),
    Index("ix_sends_refused", "ended_at", sqlite_where=IS_REFUSED, postgresql_where=IS_REFUSED),
)

leases = Table(
    "leases",
    metadata,
    Column(
        "lease_id",
        Integer,
        primary_key=True,
        doc="Grows with every sender: what an older one writes is refused.",
    ),
    Column("holder", String(128), nullable=False, doc="Machine and process, for people to read."),
    Column("began_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime, nullable=False, doc="Put off by every commit of its sender."),
    Column("ended_at", UtcDateTime, doc="When its sender let go, or another took over."),
    sqlite_autoincrement=True,
)
"""One row per run of a sender. Its number is the fencing token."""

pauses = Table(
    "pauses",
    metadata,
    Column(
        "subject", String(256), primary_key=True, doc="A campaign_id, `@gmail.com` (a domain), or `*` (all)."
    ),
    Column("reason", Text, nullable=False),
    Column("paused_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime, doc="Null: when somebody says so."),
)
"""What is not to be sent for a while, or until somebody says so."""

rates = Table(
    "rates",
    metadata,
    Column("subject", String(256), primary_key=True, doc="A recipient domain, or `*`: all mail."),
    Column(
        "used_until",
        UtcDateTime,
        nullable=False,
        doc="The moment up to which the mails taken so far use the rate up.",
    ),
)
"""How far each limited rate is used up, by all senders together."""

suppressions = Table(
    "suppressions",
    metadata,
    Column("customer_id", String(64), primary_key=True),
    Column("pseudonym", String(32), nullable=False, index=True),
    Column("reason", String(32), nullable=False, doc="unsubscribed | refused | bounced | complained | held"),
    Column("send_id", String(32), doc="The send it answers, where there is one."),
    Column("suppressed_at", UtcDateTime, nullable=False),
)

HELD = "held"
"""The reason of a suppression that a person may lift: somebody complained in words. It gives way to any other reason."""

notices = Table(
    "notices",
    metadata,
    Column("digest", String(64), primary_key=True, doc="SHA-256 of the mail, so that it is taken once."),
    Column("kind", String(16), nullable=False, doc="bounce | complaint | auto_reply"),
    Column("severity", String(8), doc="hard | soft; null of an auto-reply, and where nothing is said."),
    Column("reason", String(32), doc="One of `docs/bounces.md`; null where severity is."),
    Column("status", String(16), doc="Enhanced status code (RFC 3463), where a server gave one."),
    Column(
        "diagnostic",
        Text,
        doc="The server's words: one printable line without addresses. Data, never markup.",
    ),
    Column(
        "send_id", String(32), index=True, doc="The send it is about: as its token says, else as it claims."
    ),
    Column("is_proven", Boolean, nullable=False, doc="It carries a token of that send that we signed."),
    Column("received_at", UtcDateTime, nullable=False, doc="When it came into the mailbox."),
    Column("taken_at", UtcDateTime, nullable=False),
)
"""One row per mail that came back: bounces, complaints, auto-replies. Only a proven one has an effect."""

replies = Table(
    "replies",
    metadata,
    Column("reply_id", String(16), primary_key=True, doc="First 16 hex digits of SHA-256 of the mail."),
    Column("intent", String(16), nullable=False, doc="unsubscribe | complaint | question | praise | other"),
    Column(
        "topic",
        String(16),
        doc="Of a question: delivery | return | size | stock | payment | order | product.",
    ),
    Column("language", String(8), nullable=False, doc="en | de | fr | es | zh | ja; empty: nothing tells."),
    Column("send_id", String(32), nullable=False, index=True, doc="As its token says, else as it refers to."),
    Column("is_proven", Boolean, nullable=False, doc="It carries a token of that send that we signed."),
    Column(
        "text", Text, doc="The writer's own words, without addresses; null once erased. Data, never markup."
    ),
    Column("sentiment", Float, doc="How content its words are, -1 to 1; null: no model, or no words."),
    Column("received_at", UtcDateTime, nullable=False, doc="When it came into the mailbox."),
    Column("taken_at", UtcDateTime, nullable=False),
    Column("closed_at", UtcDateTime, doc="Null: it waits for a person."),
    Column("judged_at", UtcDateTime, doc="When a person said what it wants; null: its words were enough."),
)
"""One row per answer of a person to a mail of ours. One that is open is the ticket of whoever looks after customers."""

mailboxes = Table(
    "mailboxes",
    metadata,
    Column("mailbox_id", String(64), primary_key=True, doc="SHA-256 of its address without the password."),
    Column(
        "uid_validity",
        BigInteger,
        nullable=False,
        doc="With another one, the server counts anew (RFC 9051, 2.3.1.1).",
    ),
    Column("last_uid", BigInteger, nullable=False, doc="Every mail up to this one was looked at."),
)
"""How far each IMAP folder was read."""

consents = Table(
    "consents",
    metadata,
    # Text, not String(64) as elsewhere: one overlong id must not keep everybody else's withdrawal out.
    Column("customer_id", Text, primary_key=True),
    Column(
        "purpose",
        Text,
        primary_key=True,
        doc="What was agreed to: `marketing` is all our mail, a `MailKind` one kind of it.",
    ),
    Column("decided_at", UtcDateTime, primary_key=True),
    Column("known_at", UtcDateTime, primary_key=True, doc="When the shop, or we, learnt of it."),
    Column("is_given", Boolean, primary_key=True, doc="False: withdrawn."),
    Column("proof", Text, doc="Where it was decided: form, import, double_opt_in."),
)
"""Every decision, never changed. The newest by (decided_at, known_at) counts; of two at once, the withdrawal."""

preferences = Table(
    "preferences",
    metadata,
    Column("preference_id", Integer, primary_key=True, autoincrement=True),
    Column("customer_id", String(64), nullable=False),
    Column(
        "send_id", String(32), nullable=False, doc="The send whose link was used: the proof who chose this."
    ),
    Column("mails_per_week", Integer, doc="At most so many; null: as many as the shop's own rules allow."),
    Column("paused_until", UtcDateTime, doc="No mail before this moment; null: there is no pause."),
    Column(
        "no_mail_before",
        UtcDateTime,
        doc="What was planned for a moment before this one does not begin: it is in the pause, or one more in the week.",
    ),
    Column("locale", String(16), doc="The language of mails to come; null: the one the shop knows."),
    Column("decided_at", UtcDateTime, nullable=False),
    Index("ix_preferences_customer_id", "customer_id", "preference_id"),
)
"""What readers chose about pace and language, never changed; the newest counts. Kinds they switched off are `consents`."""

campaign_kinds = Table(
    "campaign_kinds",
    metadata,
    Column("campaign_id", String(64), primary_key=True),
    Column("kind", String(32), nullable=False, doc="A `MailKind`."),
)
"""Which kind of mail a campaign's are, as of its last plan."""

consent_files = Table(
    "consent_files",
    metadata,
    Column("digest", String(64), primary_key=True, doc="SHA-256 of a landing file of consents."),
    Column("carried_at", UtcDateTime, nullable=False),
)
"""Landing files whose every row is in `consents`."""

links = Table(
    "links",
    metadata,
    Column("link_id", String(16), primary_key=True, doc="First 16 hex digits of SHA-256 of the target."),
    Column("target", Text, nullable=False),
)

coupons = Table(
    "coupons",
    metadata,
    Column("code", String(16), primary_key=True),
    Column("send_id", String(32), nullable=False, unique=True, doc="The mail that gives it; none gives two."),
    Column("campaign_id", String(64), nullable=False),
    Column("customer_id", String(64), nullable=False),
    Column("discount_percent", Integer, nullable=False),
    Column("min_spend_cents", BigInteger, nullable=False, doc="In the minor unit of the currency."),
    Column("currency", String(3), nullable=False),
    Column("issued_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False, doc="From this moment on it is worth nothing."),
    Index("ix_coupons_campaign_id", "campaign_id", "expires_at"),
)
"""One row per code that a mail gives. Issued as its send is planned; none is taken back."""

approvals = Table(
    "approvals",
    metadata,
    Column("as_of_date", Date, primary_key=True),
    Column("campaign_id", String(64), primary_key=True),
    Column("step", Integer, primary_key=True, autoincrement=False),
    Column("template_version", String(12), nullable=False),
    Column("send_count", Integer, nullable=False, doc="How many sends were planned."),
    Column("reason", Text, doc="Why a person is asked. Null: nobody is."),
    Column("answer", String(16), doc="approved | rejected; null: it is waited for."),
    Column("share_percent", Integer, doc="How much of it may go, 1 to 100; 0 where it is rejected."),
    Column("answered_at", UtcDateTime),
    Column("answered_by", String(64), doc="A person, `rule` where nobody is asked, or `time-out`."),
    Column("why", Text, doc="The words of who answered."),
)
"""One row per campaign, step and day that the ledger took over: its *batch*. The first answer stands."""

audit_log = Table(
    "audit_log",
    metadata,
    Column("audit_id", Integer, primary_key=True, autoincrement=True),
    Column("happened_at", UtcDateTime, nullable=False),
    Column("actor", String(64), nullable=False),
    Column("action", String(64), nullable=False),
    Column("subject", String(128), nullable=False),
    Column("detail", JSON, nullable=False),
)


PRAGMAS = ("journal_mode=PERSIST", "journal_size_limit=16777216", "synchronous=FULL", "busy_timeout=30000")
"""A journal that stays there, its header overwritten at each commit: to make and remove a file each time costs twice as long."""


def open_ledger(url: str, *, read_only: bool = False) -> Engine:
    """Return an engine for the ledger.

    SQLite keeps its rollback journal (the WAL of 3.40 can be corrupted by several connections), syncs fully at
    each commit and takes the write lock when a transaction begins, so that a check inside it stays true;
    pages that only look open it `read_only` and take no write lock.
    """
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def _configure(connection: sqlite3.Connection, _record: ConnectionPoolEntry) -> None:
            connection.isolation_level = None  # we begin ourselves
            for pragma in PRAGMAS:
                connection.execute(f"pragma {pragma}").close()

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            connection.exec_driver_sql("begin" if read_only else "begin immediate")

    return engine
