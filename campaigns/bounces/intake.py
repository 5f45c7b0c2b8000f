"""Takes what came back from its mailbox into the ledger, a group of mails at a time.

A group is committed before the mailbox hears of it. Whoever dies in between is handed the same mails again, and the ledger
knows them by their digests: nothing is lost, and nothing is counted twice.
"""

import hashlib
import re
from collections import Counter
from itertools import islice

from campaigns.bounces.mailboxes import ReturnedMail, open_mailbox
from campaigns.bounces.mime import first_mib
from campaigns.bounces.notice import Kind, Severity, TakenNotice
from campaigns.bounces.proof import proven_send
from campaigns.bounces.read import read_notice
from campaigns.ledger_notices import open_notices
from core.durable import locked
from core.logging import get_logger
from core.settings import Settings
from core.tokens import Tokens

GROUP = 100
"""Mails a commit. A sender waits for the commit under way."""

_SEND_ID = re.compile(r"[0-9a-f]{32}")


def take_notices(settings: Settings) -> Counter[str]:
    """Take what is new in the mailbox of bounces, and settle uncertain sends by what was taken so far; return counts.

    Returns
    -------
    What `NoticeLedger.record` counts, how many mails are `left` to a person, how many sends were `settled`.

    Raises
    ------
    SettingsError
        If `LAPWING_BOUNCE_MAILBOX` names nothing that could be read.
    MailboxFailed
        If the mailbox cannot be used. What was taken before stays taken.
    LedgerBroken
        If the ledger cannot be used.
    """
    counts: Counter[str] = Counter()
    address = settings.bounce_mailbox.get_secret_value()
    if not address:
        return counts
    ledger, tokens = open_notices(settings), Tokens(settings.token_key)
    try:
        with locked(settings.data_dir / "taking.lock"), open_mailbox(address, ledger) as mailbox:
            read = ((mail.name, _taken(mail, tokens)) for mail in mailbox.arrivals())
            while group := dict(islice(read, GROUP)):
                taken = [notice for notice in group.values() if notice]
                counts += ledger.record(taken)
                counts["left"] += len(group) - len(taken)
                mailbox.passed({name: notice is not None for name, notice in group.items()})
        counts["settled"] += ledger.settle_returned()
    finally:
        ledger.close()
    get_logger(__name__).info("notices taken", **counts)
    return +counts


def notices_taken(
    settings: Settings, limit: int, *, is_proven: bool | None = None
) -> list[dict[str, object]]:
    """Return the newest notices, the newest first, each with the campaign of its send; all, or the proven or others alone."""
    ledger = open_notices(settings)
    try:
        return ledger.notices(limit, is_proven=is_proven)
    finally:
        ledger.close()


def _taken(mail: ReturnedMail, tokens: Tokens) -> TakenNotice | None:
    """Return what is kept of a mail; None of a person's, of which nothing is."""
    notice = read_notice(mail.raw)
    if notice.kind is Kind.OTHER:
        return None
    proven = proven_send(mail.raw, tokens)
    claims = (notice.send_id or "", (notice.message_id or "").partition("@")[0])
    claimed = next((claim for claim in claims if _SEND_ID.fullmatch(claim)), None)
    mildest = min(notice.recipients, key=lambda each: each.severity is Severity.HARD, default=notice.failure)
    return TakenNotice(
        digest=hashlib.sha256(first_mib(mail.raw)).hexdigest(),
        kind=notice.kind,
        severity=mildest.severity if mildest else None,
        reason=mildest.reason if mildest else None,
        status=mildest.status if mildest else None,
        diagnostic=mildest.diagnostic if mildest else None,
        send_id=proven or claimed,
        is_proven=proven is not None,
        received_at=mail.received_at,
    )
