"""The words a mail that came back is told in."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Kind(StrEnum):
    """What a mail that came back is."""

    BOUNCE = "bounce"  # a mail was not, or not yet, delivered
    COMPLAINT = "complaint"  # a reader called a mail spam, or asked a provider to be left alone
    AUTO_REPLY = "auto_reply"  # a program answered for the reader: away, ticket opened, thank you
    OTHER = "other"  # a person's reply, a receipt, anything else


class Severity(StrEnum):
    """Whether the address is worth another mail."""

    HARD = "hard"  # not to this address, ever
    SOFT = "soft"  # not now, not this mail, or not from us: the address may be as good as any


class Reason(StrEnum):
    """Why a mail was not delivered. A server's many words for it are in `campaigns.bounces.reasons`."""

    MAILBOX_UNKNOWN = "mailbox_unknown"  # nobody of that name
    MAILBOX_DISABLED = "mailbox_disabled"  # closed, suspended or abandoned
    MAILBOX_FULL = "mailbox_full"  # over quota
    DOMAIN_UNKNOWN = "domain_unknown"  # no such domain or host, or it takes no mail
    RELAYING = "relaying"  # the server that was asked is not in charge of the domain
    SPAM = "spam"  # content or sender taken for spam, or a virus
    POLICY = "policy"  # who may write to whom, and how: lists, authentication, attachments, rights
    SIZE = "size"  # larger than is allowed
    EXPIRED = "expired"  # tried for days, given up
    UNREACHABLE = "unreachable"  # connection refused, timed out or lost; no way there
    TEMPORARY = "temporary"  # greylisted, too busy, a fault at the server, still being tried
    LOOP = "loop"  # forwarded in a circle
    COMPLAINT = "complaint"  # of a complaint: the reader said so
    OTHER = "other"  # the words say nothing we know


@dataclass(frozen=True, slots=True)
class Recipient:
    """One address a notice speaks of. Addresses are left out of `repr`.

    Parameters
    ----------
    address
        The one we wrote to, as far as the notice knows it: `Original-Recipient`, else `final_address`.
    final_address
        Where the mail ended up after forwarding, as the server that failed wrote it.
    status
        Enhanced status code (RFC 3463), `5.1.1`; None where no server gave one.
    diagnostic
        The server's words: one printable line without addresses, at most 500 characters. Data, never markup.
    """

    address: str = field(repr=False)
    final_address: str = field(repr=False)
    severity: Severity
    reason: Reason
    status: str | None
    diagnostic: str


@dataclass(frozen=True, slots=True)
class Failure:
    """What a bounce says of a recipient whom it does not name; the fields are those of `Recipient`."""

    severity: Severity
    reason: Reason
    status: str | None
    diagnostic: str


@dataclass(frozen=True, slots=True)
class Notice:
    """A mail that came back.

    Parameters
    ----------
    recipients
        Whom a bounce or complaint speaks of, each once; empty where it hides them, and of other kinds.
    message_id
        `Message-ID` of the mail it is about, without angle brackets; None where it shows none.
    send_id
        That mail's `X-Lapwing-Send`. Whoever has seen one of our mails can copy it: it is a claim, no proof.
    failure
        Of a bounce without recipients, what it says all the same; None of everything else.
    """

    kind: Kind
    recipients: tuple[Recipient, ...] = ()
    message_id: str | None = None
    send_id: str | None = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class TakenNotice:
    """What is kept of a mail that came back: no address, and of its text the server's words alone.

    Parameters
    ----------
    digest
        SHA-256 of the mail's first MiB, its lines ended by LF, in hexadecimal.
    severity, reason
        Of several recipients those of the one who fares best: we wrote to one address, which leads to all of them.
        None of an auto-reply, and of a complaint that names nobody.
    send_id
        32 hex digits: as the mail's token says, else as the copy of our mail in it claims.
    is_proven
        Whether a token that we signed says so. Only then the notice has an effect.
    received_at
        When the mail came into the mailbox.
    """

    digest: str
    kind: Kind
    severity: Severity | None
    reason: Reason | None
    status: str | None
    diagnostic: str | None
    send_id: str | None
    is_proven: bool
    received_at: datetime
