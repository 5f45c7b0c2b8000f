"""What servers say about us: when their replies mean that a domain, or a campaign, is to be left alone for a while.

Such a reply says nothing about a person, so it suppresses nobody. `docs/runbooks/send.md` has the rules as a table.
"""

import re
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

from campaigns.mailers import MailerError
from campaigns.sends import PlannedSend

IN_A_ROW = 5
"""So many replies about us, with no mail taken in between, pause."""
DOMAIN_PAUSE = timedelta(hours=1)

# A reply to a command that names the recipient, or to the message; before them a server speaks for every domain.
_REPLY = re.compile(r"(?:RCPT|DATA|(?P<end>end of data)): (?P<code>[45]\d\d)\b(?P<words>.*)")
# RFC 3463: class.subject.detail; subject 7 is security and policy.
_STATUS = re.compile(r"(?<![.\d])[45]\.(?P<subject>\d{1,3})\.\d{1,3}(?![.\d])")
_CONTENT = re.compile(r"\b(spam|content|virus|malware|phish|unsolicited)", re.IGNORECASE)
# About our login at our own server, or about a first mail to one person: neither tells of a domain.
_OTHERWISE = re.compile(r"relay|authentication required|log ?in|gr[ae]y-?list", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PolicyPause:
    """What is to be paused (a campaign_id, or `@` and a domain), why, and for how long; None: until somebody resumes it."""

    subject: str
    reason: str
    lasts: timedelta | None


def is_about_us(reply: str) -> bool:
    """Say whether a reply of a recipient's server is about who sends, or what.

    >>> is_about_us("RCPT: 550 5.7.1 your address is on our list")
    True
    >>> is_about_us("RCPT: 421 too many connections from you")
    True
    >>> is_about_us("RCPT: 421 4.3.2 shutting down"), is_about_us("RCPT: 550 5.1.1 no such user")
    (False, False)
    """
    found = _REPLY.match(reply)
    if found is None or _OTHERWISE.search(found["words"]):
        return False
    status = _STATUS.search(found["words"])
    return found["code"] == "421" if status is None else status["subject"] == "7"


def is_about_content(reply: str) -> bool:
    """Say whether a server read the message and refused it for good because of what is in it.

    >>> is_about_content("end of data: 554 5.7.1 message content rejected as spam")
    True
    >>> is_about_content("RCPT: 554 5.7.1 no spam from you")
    False
    """
    found = _REPLY.match(reply)
    return (
        found is not None
        and found["end"] is not None
        and found["code"].startswith("5")
        and _CONTENT.search(found["words"]) is not None
    )


class PolicyWatch:
    """Counts replies about us, by domain, and refusals of content, by campaign and domain."""

    def __init__(self) -> None:
        self._in_a_row: Counter[tuple[str, ...]] = Counter()
        self._pauses: list[PolicyPause] = []

    def note(self, send: PlannedSend, answer: str | MailerError) -> None:
        """Hear what a server said to a mail."""
        if isinstance(answer, str):
            if self._in_a_row:
                self._in_a_row.pop((send.campaign_id, send.domain), None)
                self._in_a_row.pop((send.domain,), None)
            return
        reply = str(answer)
        if is_about_content(reply):
            self._count((send.campaign_id, send.domain), PolicyPause(send.campaign_id, reply, None))
        elif is_about_us(reply):
            self._count((send.domain,), PolicyPause(f"@{send.domain}", reply, DOMAIN_PAUSE))

    def pauses(self) -> list[PolicyPause]:
        """Return what is to be paused now, once."""
        found, self._pauses = self._pauses, []
        return found

    def _count(self, key: tuple[str, ...], pause: PolicyPause) -> None:
        self._in_a_row[key] += 1
        if self._in_a_row[key] == IN_A_ROW:
            del self._in_a_row[key]
            self._pauses.append(pause)
