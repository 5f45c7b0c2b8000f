"""What a reader may choose about our mail, known to who asks (tracking) and to who heeds it (campaigns)."""

from datetime import timedelta
from enum import StrEnum


class MailKind(StrEnum):
    """The kinds of mail a reader may switch off, each a purpose of the ledger's `consents`; `campaign.yml` names one."""

    REMINDERS = "reminders"
    ALERTS = "alerts"
    ORDERS = "orders"
    SUGGESTIONS = "suggestions"
    OFFERS = "offers"
    GREETINGS = "greetings"


OUR_PURPOSE = "marketing"
"""The purpose of every mail Lapwing sends; of other purposes, only a `MailKind` stops any."""

RARELY = 1
"""Mails a week, at most, of who wants fewer."""
A_WEEK, A_PAUSE = timedelta(days=7), timedelta(days=30)
