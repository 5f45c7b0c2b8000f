"""From a server's words to one of our reasons, by tables."""

import re

from campaigns.bounces.notice import Reason, Severity

LONGEST = 4000
"""Characters of a diagnostic that are read."""

_GAP = r"(?:\W+\w+){0,4}?\W+"  # up to four words between two that matter
_BOX = r"(?:account|addressee|address|e-?mail|mailbox|recipient|user ?(?:id|name)?|alias|person)"
_NOT_THERE = r"(?:unknown|not found|not exist|n.t exist|nonexistent|invalid|not (?:known|listed|valid|recogni[sz]ed))"
_CLOSED = r"(?:disabled|inactive|suspended|deactivated|closed|discontinued|terminated|cancell?ed|locked)"

WORDS: tuple[tuple[Reason, str], ...] = (
    (Reason.TEMPORARY, r"not found, try again"),  # of a name server that was silent, not of a name that is not there
    (Reason.EXPIRED, r"could not be delivered for|queue (?:for )?too long|queue period|not been collected"),
    (Reason.EXPIRED, r"(?:message|delivery time|retry (?:time|timeout)|maximum.time)\W+(?:has )?(?:expired|exceeded)"),
    (Reason.EXPIRED, r"message timed out|retry limit|failed \d+ attempts|maximum delivery attempts|long failure period"),
    (Reason.SPAM, r"\bspam|black-?list|block-?list|blocked using|dnsbl|\brbl\b|unsolicited|\bjunk\b|reputation"),
    (Reason.SPAM, r"\bvirus|malware|phishing|infected"),
    (Reason.MAILBOX_FULL, rf"quota|(?:mail ?box|inbox|folder)\W+(?:is )?full|full mail ?box|{_BOX} is full"),
    (Reason.MAILBOX_FULL, r"(?:insufficient|disk|mailbox|system|storage|mail box)(?: disk| system)? (?:space|storage|full)"),
    (Reason.SIZE, rf"\b(?:message|mail|body|data|content){_GAP}(?:too (?:large|big|long)|exceed)|too (?:large|big)"),
    (Reason.SIZE, rf"\b(?:message|maximum|max){_GAP}size|size limit"),
    (Reason.RELAYING, r"relaying|(?:unable to|not|n.t|no|cannot|we do) relay|relay (?:access|denied|not|prohibited)"),
    (Reason.RELAYING, r"rcpthosts|not (?:a )?local (?:domain|host)|not configured to (?:accept|route) mail"),
    (Reason.LOOP, r"too many hops|hop count|\bloop"),
    (Reason.DOMAIN_UNKNOWN, r"(?:unknown|no such|invalid|illegal|bad|non-?existent) (?:mail )?(?:host|domain)\b"),
    (Reason.DOMAIN_UNKNOWN, rf"\b(?:host|domain)(?: \w+)? (?:is |was |does |do )?{_NOT_THERE}|nxdomain|no mx\b"),
    (Reason.DOMAIN_UNKNOWN, r"find any host|unrouteable mail domain|name or service not known|name service error"),
    (Reason.MAILBOX_DISABLED, rf"\b{_BOX}\b{_GAP}(?:{_CLOSED}|no longer|not active|expired|moved)|{_CLOSED} {_BOX}\b"),
    (Reason.MAILBOX_UNKNOWN, rf"\b(?:unknown|no such|invalid|illegal|bad|unrecognized|unrouteable)(?: \w+){{0,2}} {_BOX}\b"),
    (Reason.MAILBOX_UNKNOWN, rf"\b{_BOX}\b{_GAP}{_NOT_THERE}|\b{_BOX} (?:unavailable|rejected)|not (?:exactly )?match"),
    (Reason.MAILBOX_UNKNOWN, rf"no {_BOX} here|not a (?:known|valid) {_BOX}|n.t have an? \S+ {_BOX}|does not have a"),
    (Reason.MAILBOX_UNKNOWN, r"n.existe pas|no existe|existiert nicht|unbekannt"),
    (Reason.POLICY, r"policy|not (?:authori[sz]ed|allowed|permitted|accept)|access denied|permission|prohibited|dmarc|\bspf\b"),
    (Reason.POLICY, r"members? (?:only|can)|subscribers? only|attachment|content (?:rejected|filter)|banned|denied|rejected by"),
    (Reason.UNREACHABLE, r"time[d-]? ?out|connection(?: \w+){0,4} (?:refused|reset|lost|dropped|closed|failed|died)|no route"),
    (Reason.UNREACHABLE, r"unreachable|(?:not|n.t|unable to) (?:connect|contact)|lost connection|not respond|find a gateway"),
    (Reason.TEMPORARY, r"gr[ea]ylist|try(?:ing)? again|retry|temporar|delayed|deferred|too busy|too many connections"),
    (Reason.TEMPORARY, r"keep trying|continue to try|local error|internal (?:server )?error|command died"),
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
_PATTERNS = [(reason, re.compile(pattern)) for reason, pattern in WORDS]
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
    if reason is Reason.OTHER and is_temporary:
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
