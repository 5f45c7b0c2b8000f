"""Mails that come back, made to order, a Maildir that keeps them, and a ledger of what was sent."""

import itertools
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import select

from campaigns.ledger import Handover, Outcome, SendState
from core.ledger_tables import notices, open_ledger, suppressions
from core.settings import Settings
from core.tokens import TokenKind, Tokens
from tests.faults.ledger_kit import ledger_at, planned, send_id_of

BOUNCES = "bounces.juniper.example"
_NUMBERS = itertools.count()


def returns_to(number: int, key: str = "k" * 40) -> str:
    """The address that bounces of a customer's send come back to."""
    return f"{Tokens(SecretStr(key)).return_path(send_id_of(number))}@{BOUNCES}"


def unsubscribe_link(number: int, key: str = "k" * 40) -> str:
    token = Tokens(SecretStr(key)).sign(TokenKind.UNSUBSCRIBE, send_id_of(number))
    return f"<https://t.juniper.example/u/{token}>"


def our_mail(number: int, *more: str) -> str:
    """The header of the mail that customer got, as reports quote it."""
    lines = (
        *more,
        "From: Juniper <hello@juniper.example>",
        f"To: reader.{number}@example.com",
        f"Message-ID: <{send_id_of(number)}@juniper.example>",
        f"X-Lapwing-Send: {send_id_of(number)}",
    )
    return "\n".join(lines)


def bounce(head: str, number: int, status: str = "5.1.1", words: str = "550 5.1.1 User unknown") -> bytes:
    """A delivery status report (RFC 3464) about a customer's mail, with lines of its own at the top."""
    return _report(
        head,
        "delivery-status",
        f"Reporting-MTA: dns; mx.example.net\n\nFinal-Recipient: rfc822; reader.{number}@example.com\n"
        f"Action: failed\nStatus: {status}\nDiagnostic-Code: smtp; {words}",
        our_mail(number),
    )


def complaint(head: str, number: int, original: str) -> bytes:
    """A feedback report (RFC 5965) about a customer's mail."""
    fields = f"Feedback-Type: abuse\nUser-Agent: Loop/1.0\nVersion: 1\nOriginal-Rcpt-To: reader.{number}@example.com"
    return _report(head, "feedback-report", fields, original)


def _report(head: str, kind: str, fields: str, original: str) -> bytes:
    return (
        f"{head}\nFrom: Mail Delivery Subsystem <MAILER-DAEMON@mx.example.net>\nSubject: Returned mail\n"
        f'MIME-Version: 1.0\nContent-Type: multipart/report; report-type={kind}; boundary="edge"\n\n'
        f"--edge\nContent-Type: text/plain\n\nSee below.\n"
        f"--edge\nContent-Type: message/{kind}\n\n{fields}\n\n"
        f"--edge\nContent-Type: text/rfc822-headers\n\n{original}\n--edge--\n"
    ).encode()


def answer(head: str, subject: str = "Re: New in store", *more: str) -> bytes:
    return "\n".join(
        [head, "From: ada@example.com", f"Subject: {subject}", *more, "", "Thanks!", ""]
    ).encode()


def make_maildir(folder: Path) -> Path:
    for part in ("tmp", "new", "cur"):
        (folder / part).mkdir(parents=True)
    return folder


def deliver(folder: Path, *mails: bytes) -> None:
    for mail in mails:
        (folder / "new" / f"17644{next(_NUMBERS):06}.M1P1.mx").write_bytes(mail)


def sent_by(settings: Settings, *states: SendState) -> None:
    """Make the ledger with sends 0, 1, … that ended as sent or uncertain."""
    ledger = ledger_at(settings.ledger)
    ledger.enqueue([planned(number) for number in range(len(states))], {})
    with ledger.sender(settings.data_dir / "sender.lock"):
        sends = ledger.claim(100).sends
        ledger.start([(send, Handover("mx:25", "<m@juniper.example>", "0" * 64)) for send in sends])
        state_of = {send_id_of(number): state for number, state in enumerate(states)}
        ended = [send for send in sends if state_of[send.send_id] is not SendState.UNCERTAIN]
        ledger.finish([Outcome(send, state_of[send.send_id], "250 ok") for send in ended])
    ledger.close()


def suppressed(settings: Settings) -> dict[str, str]:
    """Return customer_id → reason of who gets no more mail."""
    engine = open_ledger(settings.ledger)
    with engine.begin() as connection:
        rows = connection.execute(select(suppressions.c.customer_id, suppressions.c.reason)).all()
    engine.dispose()
    return {row.customer_id: row.reason for row in rows}


def noticed(settings: Settings) -> list[dict[str, object]]:
    """Return what the ledger keeps of mails that came back, in the order of their kind, send and proof."""
    engine = open_ledger(settings.ledger)
    order = (notices.c.kind, notices.c.send_id, notices.c.is_proven)
    with engine.begin() as connection:
        rows = [dict(row._mapping) for row in connection.execute(select(notices).order_by(*order))]
    engine.dispose()
    return rows
