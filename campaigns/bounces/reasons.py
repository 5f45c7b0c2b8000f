"""From a server's words to one of our reasons, by tables."""

import re

from campaigns.bounces.notice import Reason, Severity

LONGEST = 2000
"""Characters of a diagnostic that are read."""

_GAP = r"(?:\W+\w+){0,4}?\W+"  # up to four words between two that matter
_BOX = r"(?:account|addressee|address|e-?mail|mailbox|recipient|user ?(?:id|name)?|alias|person)"
_NOT_THERE = r"(?:unknown|not found|not exist|n.t exist|nonexistent|invalid|(?:not|no longer) (?:known|listed|valid|recogni[sz]ed))"
_CLOSED = r"(?:disabled|inactive|suspended|deactivated|closed|discontinued|terminated|cancell?ed|locked)"

WORDS: tuple[tuple[Reason, tuple[str, ...]], ...] = (
    # a name server that was silent, not a name that is not there
    (Reason.TEMPORARY, (r"not found, try again",)),
    (
        Reason.EXPIRED,
        (
            r"could not be delivered for",
            r"queue (?:for )?too long|queue period|long failure period",
            r"not been collected",
            r"(?:message|delivery time|retry (?:time|timeout)|maximum.time)\W+(?:has )?(?:expired|exceeded)",
            r"message timed out|retry limit|failed \d+ attempts|maximum delivery attempts",
        ),
    ),
    (
        Reason.SPAM,
        (
            r"\bspam|unsolicited|\bjunk\b|reputation",
            r"black-?list|block-?list|blocked using|dnsbl|\brbl\b",
            r"\bvirus|malware|phishing|infected",
        ),
    ),
    (
        Reason.MAILBOX_FULL,
        (
            r"quota",
            rf"(?:mail ?box|inbox|folder)\W+(?:is )?full|full mail ?box|\b{_BOX} is full",
            r"(?:insufficient|disk|mailbox|system|storage|mail box)(?: disk| system)? (?:space|storage|full)",
        ),
    ),
    (
        Reason.SIZE,
        (
            rf"\b(?:message|mail|body|data|content){_GAP}(?:too long|exceed)",
            rf"\b(?:message|maximum|max){_GAP}size|size limit|too (?:large|big)",
        ),
    ),
    (
        Reason.RELAYING,
        (
            r"relaying|(?:unable to|not|n.t|no|cannot|we do) relay|relay (?:access|denied|not|prohibited)",
            r"rcpthosts|not (?:a )?local (?:domain|host)|not configured to (?:accept|route) mail",
        ),
    ),
    (Reason.LOOP, (r"too many hops|hop count|\bloop",)),
    (
        Reason.DOMAIN_UNKNOWN,
        (
            r"(?:unknown|no such|invalid|illegal|bad|non-?existent) (?:mail )?(?:host|domain)\b",
            rf"\b(?:host|domain)(?: \w+)? (?:is |was |does |do )?{_NOT_THERE}",
            r"nxdomain|no mx\b|find any host|unrouteable mail domain",
            r"name or service not known|name service error",
        ),
    ),
    (
        Reason.MAILBOX_DISABLED,
        (
            rf"\b{_BOX}\b{_GAP}(?:{_CLOSED}|no longer(?! valid)|not active|expired|moved)",
            rf"\b{_CLOSED} {_BOX}\b",
        ),
    ),
    (
        Reason.MAILBOX_UNKNOWN,
        (
            rf"\b(?:unknown|no such|invalid|illegal|bad|unrecognized|unrouteable)(?: \w+){{0,2}} {_BOX}\b",
            rf"\b{_BOX}\b{_GAP}{_NOT_THERE}|\b{_BOX} unavailable|not (?:exactly )?match|no matches",
            rf"no {_BOX} here|not a (?:known|valid) {_BOX}|n.t have an? \S+ {_BOX}|does not have a",
            r"n.existe pas|no existe|existiert nicht|unbekannt",
        ),
    ),
    (
        Reason.POLICY,
        (
            r"policy|access denied|permission|prohibited|banned|denied|rejected by",
            r"not (?:authori[sz]ed|allowed|permitted)|not accepting (?:e?mail|messages?) from",
            r"members? (?:only|can)|subscribers? only|attachment|content (?:rejected|filter)",
            r"dmarc|\bspf\b",
        ),
    ),
    # Postfix, of a program on the server itself: what that could not reach is not the recipient's
    (Reason.TEMPORARY, (r"temporary failure\. command output",)),
    (
        Reason.UNREACHABLE,
        (
            r"connection(?: \w+){0,4} (?:refused|reset|lost|dropped|closed|failed|died)|lost connection",
            r"time[d-]? ?out|not respond|(?:not|n.t|unable to) (?:connect|contact)",
            r"unreachable|no route|find a gateway",
        ),
    ),
    (
        Reason.TEMPORARY,
        (
            r"gr[ea]ylist|try(?:ing)? again|retry|temporar|delayed|deferred|keep trying|continue to try",
            r"too busy|too many connections|local error|internal (?:server )?error|command died",
        ),
    ),
)
"""Patterns over a diagnostic in lower case with single spaces, the more telling first."""

STATUS: dict[str, Reason] = {
    "1.1": Reason.MAILBOX_UNKNOWN,
    "1.2": Reason.DOMAIN_UNKNOWN,
    "1.3": Reason.MAILBOX_UNKNOWN,
    "1.6": Reason.MAILBOX_DISABLED,
    "1.7": Reason.POLICY,
    "1.8": Reason.POLICY,
    "1.10": Reason.DOMAIN_UNKNOWN,
    "2.1": Reason.MAILBOX_DISABLED,
    "2.2": Reason.MAILBOX_FULL,
    "2.3": Reason.SIZE,
    "3.1": Reason.TEMPORARY,
    "3.2": Reason.TEMPORARY,
    "3.4": Reason.SIZE,
    "4.1": Reason.UNREACHABLE,
    "4.2": Reason.UNREACHABLE,
    "4.3": Reason.TEMPORARY,
    "4.4": Reason.DOMAIN_UNKNOWN,
    "4.5": Reason.TEMPORARY,
    "4.6": Reason.LOOP,
    "4.7": Reason.EXPIRED,
    "6": Reason.POLICY,
    "7": Reason.POLICY,
}
"""Subject and detail of enhanced status codes (RFC 3463, RFC 7505), or a subject alone."""

REPLY: dict[str, Reason] = {
    "552": Reason.MAILBOX_FULL,
    "553": Reason.MAILBOX_UNKNOWN,
}
"""SMTP replies (RFC 5321, section 4.2.3) that say more than never or not now. 550 does not: it is said of everything."""

_HARD = (Reason.MAILBOX_UNKNOWN, Reason.MAILBOX_DISABLED, Reason.DOMAIN_UNKNOWN)
_PATTERNS = [(reason, re.compile("|".join(patterns))) for reason, patterns in WORDS]
_ENHANCED = re.compile(r"(?<![\w.])([245])\.(\d{1,3})\.(\d{1,3})(?![\w.]*\d)")
_REPLY = re.compile(r"(?<![\w.:-])([45]\d\d)(?=[ -](?!\d))")


def find_status(words: str) -> str | None:
    """Return the first enhanced status code (RFC 3463) in a text, `5.1.1`."""
    found = _ENHANCED.search(words)
    return found[0] if found else None


def judge(words: str, status: str | None, *, is_delayed: bool) -> tuple[Severity, Reason]:
    """Return what a diagnostic and a status code mean.

    Words go first: servers say 5.0.0 or 5.7.1 of everything. Only what is wrong with the address itself, for good, is
    hard; so is a 550 whose words say nothing we know.
    """
    found = _REPLY.search(words[:LONGEST])
    reply = found[1] if found else ""
    is_temporary = is_delayed or (status or reply).startswith("4")
    reason = _by_words(words) or _by_code(status, reply) or Reason.OTHER
    is_still_tried = is_delayed and reason is Reason.EXPIRED  # for hours, and it goes on
    if is_still_tried or (is_temporary and reason is Reason.OTHER):
        reason = Reason.TEMPORARY
    is_hard = reason in _HARD or (reason is Reason.OTHER and reply == "550")
    return (Severity.HARD if is_hard and not is_temporary else Severity.SOFT), reason


def _by_words(words: str) -> Reason | None:
    lower = " ".join(words[:LONGEST].lower().split())
    return next((reason for reason, pattern in _PATTERNS if pattern.search(lower)), None)


def _by_code(status: str | None, reply: str) -> Reason | None:
    if status:
        detail = status.partition(".")[2]
        found = STATUS.get(detail) or STATUS.get(detail.partition(".")[0])
        if found:
            return found
    return REPLY.get(reply)
