"""Takes what came back from its mailbox into the ledger, a group of mails at a time.

A group is committed before the mailbox hears of it. Whoever dies in between is handed the same mails again, and the ledger
knows them by their digests: nothing is lost, and nothing is counted twice.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice

from campaigns.bounces.mailboxes import ReturnedMail, open_mailbox
from campaigns.bounces.mime import first_mib
from campaigns.bounces.notice import Kind, Severity, TakenNotice
from campaigns.bounces.proof import proven_send
from campaigns.bounces.read import read_notice
from campaigns.ledger_notices import open_notices
from campaigns.ledger_replies import open_replies
from campaigns.replies.read import read_reply
from campaigns.replies.reply import Reply
from core.durable import locked
from core.logging import get_logger
from core.settings import Settings
from core.tokens import Tokens

GROUP = 100
"""Mails a commit. A sender waits for the commit under way."""

Ask = Callable[[Settings, Sequence[str]], Sequence[float | None]]
"""Says how content the writer of each text is, -1 to 1. The model is another part's: whoever takes is handed it."""

_SEND_ID = re.compile(r"[0-9a-f]{32}")


def take_notices(settings: Settings, ask: Ask | None = None) -> Counter[str]:
    """Take what is new in the mailbox of bounces, and settle uncertain sends by what was taken so far; return counts.

    With `takes_replies` people's replies are read too, and `ask` is asked how content they are; they stay unread in the
    mailbox all the same.

    Returns
    -------
    What `NoticeLedger.record` and `ReplyLedger.record_replies` count, how many mails are `left` to a person, how many sends were
    `settled`.

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
    ledger, tokens = open_replies(settings), Tokens(settings.token_key)
    try:
        with locked(settings.data_dir / "taking.lock"), open_mailbox(address, ledger) as mailbox:
            read = ((mail.name, _read(mail, tokens, settings)) for mail in mailbox.arrivals())
            while group := dict(islice(read, GROUP)):
                taken = [found for found in group.values() if isinstance(found, TakenNotice)]
                counts += ledger.record(taken)
                answers = [found for found in group.values() if isinstance(found, Reply)]
                counts += ledger.record_replies(_felt(settings, answers, ask))
                counts["left"] += len(group) - len(taken)
                mailbox.passed({name: isinstance(found, TakenNotice) for name, found in group.items()})
        counts["settled"] += ledger.settle_returned()
    finally:
        ledger.close()
    get_logger(__name__).info("notices taken", **counts)
    return +counts


def _felt(settings: Settings, answers: list[Reply], ask: Ask | None) -> list[Reply]:
    if ask is None or not answers:
        return answers
    found = ask(settings, [reply.text for reply in answers])
    return [replace(reply, sentiment=each) for reply, each in zip(answers, found, strict=True)]


def notices_taken(
    settings: Settings, limit: int, *, is_proven: bool | None = None
) -> list[dict[str, object]]:
    """Return the newest notices, the newest first, each with the campaign of its send; all, or the proven or others alone."""
    ledger = open_notices(settings)
    try:
        return ledger.notices(limit, is_proven=is_proven)
    finally:
        ledger.close()


def _read(mail: ReturnedMail, tokens: Tokens, settings: Settings) -> TakenNotice | Reply | None:
    """Return what is kept of a mail; None of one that no program sent back and that answers none of ours."""
    return _taken(mail, tokens) or (read_reply(mail, tokens) if settings.takes_replies else None)


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
