"""Bounces in no standard form: who is meant, found in prose by tables of patterns."""

import re
from collections.abc import Iterable
from itertools import pairwise

LONGEST_LINE = 2000
"""Characters of a line that are read."""
MOST_LINES = 500

_ATOM = r"[\w+!#$%&*?^{|}~-]"
ADDRESS = rf"(?<![\w+!#$%&*?^{{|}}~.-])({_ATOM}{{1,64}}(?:\.{_ATOM}{{1,64}}){{0,8}}@\w[\w-]{{0,62}}(?:\.[\w-]{{1,63}}){{1,8}})(?![\w@-])"
"""An address in running text. `=`, `'` and `/`, which RFC 5322 allows too, stand around addresses more often than in them."""

ORIGINAL_BEGINS = (
    r"\W{0,10}?[-=|]{2}.*\b(?:original|returned|forwarded|unsent|source|copy|headers?|text|cop[ií]a|mensaje)\b",
    r"\W{0,10}(?:the )?(?:original|returned) message\b.*\b(?:follows|attached|below)",
    r"(?:message headers? follow|included is a copy|here is a copy|your message reads|below is a copy|a copy of the orig)",
    r"(?:the first \d+ lines|a summary of the undelivered|>?(?:return-path|received|dkim-signature|mime-version):)",
)
"""How a line begins that stands before the copy of our own mail, or is the first of it."""

RECIPIENTS = (
    # alone on its line, or first on it: "<a@example.com>: user unknown", "* a@example.com", "a@example.com on Fri, 4 Oct"
    rf"^[\s>*\"'-]*<?{ADDRESS}>?\"?(?:\s*(?:$|[:;(]|\.\.\.|<)|\s+(?:- |on \w{{3}},)|=20)",
    # named: "Unknown user: a@example.com", "unable to deliver message to <a@example.com>", "RCPT TO:<a@example.com>"
    r"\b(?:to|for|users?|userid|mailbox|account|recipients?|address(?:ed)?|SMTP|attempts|full|(?:generated|expanded) from)"
    rf"[\s:,=\[\"'(<]{{1,20}}(?:SMTP:)?{ADDRESS}",
)
WITH_THE_MAIL = rf"^\s*To:\s*<?{ADDRESS}"
"""Where nothing else names one: to whom the copy of our mail was addressed."""

NOT_RECIPIENTS = r"^\W*(?:from|to|cc|reply-to|sender|subject|message-id|mail from)\s*:|\b(?:contact|assistance|support|help|quest|try e-?mail)"
"""Lines whose addresses are somebody else's."""

DAEMON = r"mailer-daemon|postmaster|mdaemon|mail (?:delivery|administrator)|system administrator|^\s*<>\s*$"
"""How programs sign that report a failure."""

FAILED = (
    r"undeliver|n.t be delivered|non.?delivery|not (?:be )?delivered|delivery.{0,20}(?:fail|error|problem|status|warning)"
    r"|fail(?:ed|ure).{0,20}(?:mail|delivery|notice)|mail.{0,20}(?:fail|error)|returned mail|user unknown"
)
"""What the subject of such a report says."""

AWAY = (
    r"out of (?:the )?office|auto(?:matic|mated)?[ -]?(?:reply|response|answer)|autorespond|vacation|on holiday|away from"
    r"|abwesen|automatische antwort|r[ée]ponse automatique|absence|respuesta autom|risposta automatica|afwezig"
)
"""What the subject of an auto-reply says."""

DELAYED = (
    r"(?:has|have) not yet (?:been|received)|ha(?:s|ve) been (?:delayed|postponed)|be retried|warning (?:message )?only"
    r"|attempts will continue|continue to (?:try|attempt)|continue trying|still being retried"
)
"""What a notice says of a mail that is still on its way."""

_ORIGINAL_BEGINS = re.compile("|".join(ORIGINAL_BEGINS), re.IGNORECASE)
_RECIPIENTS = [re.compile(pattern, re.IGNORECASE) for pattern in RECIPIENTS]
_WITH_THE_MAIL = re.compile(WITH_THE_MAIL, re.IGNORECASE)
_NOT_RECIPIENTS = re.compile(NOT_RECIPIENTS, re.IGNORECASE)


def notice_lines(text: str) -> list[str]:
    """Return the lines of a report that stand before the copy of our mail."""
    lines: list[str] = []
    for line in text.splitlines()[:MOST_LINES]:
        if _ORIGINAL_BEGINS.match(line[:LONGEST_LINE]):
            break
        lines.append(line[:LONGEST_LINE].rstrip())
    return lines


def find_recipients(lines: list[str], others: Iterable[str]) -> list[tuple[str, str]]:
    """Return (address, what is said of it) of each recipient, in the order they are named.

    `others` are addresses in lower case that are known to be no recipients: who wrote the report, and to whom.
    What is said of one begins on its line and ends where the next is named.
    """
    known = set(others)
    places: dict[str, int] = {}
    for number, line in enumerate(lines):
        if _NOT_RECIPIENTS.search(line):
            continue
        for pattern in _RECIPIENTS:
            for found in pattern.finditer(line):
                if _may_be_recipient(found[1], known):
                    places.setdefault(found[1], number)
    if not places:
        named = (_WITH_THE_MAIL.match(line) for line in lines)
        places = {each[1]: 0 for each in named if each and _may_be_recipient(each[1], known)}
    starts = sorted({*places.values(), len(lines)})
    ends = dict(pairwise(starts))
    return [(address, "\n".join(lines[start : ends[start]])) for address, start in places.items()]


def _may_be_recipient(address: str, others: set[str]) -> bool:
    lower = address.lower()
    return lower not in others and not lower.startswith(("postmaster@", "mailer-daemon@", "abuse@"))
