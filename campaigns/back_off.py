"""When mail that a server deferred is tried again."""

import hashlib
from datetime import datetime, timedelta

FIRST_DELAY = timedelta(minutes=30)  # RFC 5321 section 4.5.4.1: at least that long
DOUBLINGS = 3


def next_try(send_id: str, attempt: int, now: datetime) -> datetime:
    """Return when a send is due again whose `attempt` (1 is the first) was deferred just now.

    The delay doubles with each attempt from 30 minutes to 4 hours, and is stretched by a factor between 1 and 2, so that
    what was deferred together does not come back together. The factor is derived from send and attempt, not drawn:
    the same ledger gives the same moments.
    """
    digest = hashlib.sha256(f"{send_id}|{attempt}".encode()).digest()
    stretch = 1 + int.from_bytes(digest[:8], "big") / 2**64
    return now + FIRST_DELAY * (1 << min(attempt - 1, DOUBLINGS)) * stretch
