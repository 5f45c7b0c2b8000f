"""From the bytes of a mail that came back to a `Notice`.

What is looked for, in this order: a complaint (ARF, RFC 5965), a delivery status report (RFC 3464), an auto-reply's
headers (RFC 3834), a bounce in words of its own, an auto-reply's subject.
"""

import re

from campaigns.bounces.free_text import (
    ADDRESS,
    AWAY,
    DAEMON,
    DELAYED,
    FAILED,
    LONGEST_LINE,
    find_recipients,
    notice_lines,
)
from campaigns.bounces.mime import Fields, Part, read_fields, read_parts, read_text, read_words
from campaigns.bounces.notice import Failure, Kind, Notice, Reason, Recipient, Severity
from campaigns.bounces.reasons import find_status, judge
from campaigns.mailers import last_words

MOST_RECIPIENTS = 100
COMPLAINT_TYPE = "message/feedback-report"
_STATUS_TYPES = ("message/delivery-status", "message/global-delivery-status")
_HEADER_TYPES = ("text/rfc822-headers", "message/rfc822-headers", "message/global-headers")
_FAILED_ACTIONS = ("failed", "failure", "error", "delayed")
_NO_COMPLAINTS = ("not-spam", "auth-failure", "dmarc")
_AUTO_REPLY_FIELDS = ("x-autoreply", "x-autorespond", "x-autoresponder", "x-auto-reply-from")

_ADDRESS = re.compile(ADDRESS)
_DAEMON, _FAILED, _AWAY, _DELAYED = (
    re.compile(each, re.IGNORECASE) for each in (DAEMON, FAILED, AWAY, DELAYED)
)
_REPORT_BEGINS = re.compile(r"\s*(?:reporting-mta|final-recipient|original-recipient):", re.IGNORECASE)
_MAIL_ADDRESS = re.compile(r"(?<![^\s<>\"(),:;@])[^\s<>\"(),:;@]{1,64}@[^\s<>\"(),:;@]{1,255}")
_ORIGINAL_ID = re.compile(
    r"^[> \t]*(?:original-)?message-id:\s*<([^\s<>]{1,250})>", re.IGNORECASE | re.MULTILINE
)
_SEND_ID = re.compile(r"^[> \t]*x-lapwing-send:[ \t]*([\w-]{1,64})[ \t]*$", re.IGNORECASE | re.MULTILINE)
_MESSAGE_ID = re.compile(r"<?([^\s<>@]{1,250}@[^\s<>@]{1,250})>?")
_RCPT_TO = re.compile(r"^original-rcpt-to:(.{1,1000})$", re.IGNORECASE | re.MULTILINE)


def read_notice(raw: bytes) -> Notice:
    """Return what a mail that came back says. Never raises, whatever the bytes are, and reads a bounded part of them."""
    parts = read_parts(raw)
    kind, recipients = _read_kind(parts)
    message_id, send_id = _find_original(parts)
    each_once = {recipient.address.lower(): recipient for recipient in reversed(recipients)}
    unique = tuple(reversed(each_once.values()))[:MOST_RECIPIENTS]
    failure = _of_nobody(parts) if kind is Kind.BOUNCE and not unique else None
    return Notice(kind, unique, message_id, send_id, failure)


def _read_kind(parts: list[Part]) -> tuple[Kind, list[Recipient]]:
    fields = parts[0].fields
    complaint = next((part for part in parts if part.media_type == COMPLAINT_TYPE), None)
    if complaint:
        return _read_complaint(complaint, parts)
    groups = [group for part in parts for group in _status_groups(part)]
    failed = [group for group in groups if _action(group) in _FAILED_ACTIONS]
    lines = _read_lines(parts)
    if failed:
        return Kind.BOUNCE, [each for group in failed if (each := _by_report(group, lines))]
    subject = read_words(fields.get("subject", ""))
    is_daemon = any(_DAEMON.search(fields.get(name, "")) for name in ("from", "return-path"))
    if groups or (_says_auto_reply(fields) and not (is_daemon or _FAILED.search(subject))):
        return (Kind.OTHER if groups else Kind.AUTO_REPLY), []
    if _AWAY.search(subject) and not is_daemon:
        return Kind.AUTO_REPLY, []
    if is_daemon or _FAILED.search(subject):
        return Kind.BOUNCE, _by_words(fields, lines, subject)
    return Kind.OTHER, []


def _says_auto_reply(fields: Fields) -> bool:
    return (
        fields.get("auto-submitted", "").lower().startswith("auto-replied")
        or fields.get("precedence", "").lower() == "auto_reply"
        or any(name in fields for name in _AUTO_REPLY_FIELDS)
    )


def _read_complaint(part: Part, parts: list[Part]) -> tuple[Kind, list[Recipient]]:
    text = read_text(part)
    feedback = read_fields(text.encode())
    feedback_type = feedback.get("feedback-type", "").lower()
    if feedback_type in _NO_COMPLAINTS:
        return Kind.OTHER, []
    named = _RCPT_TO.findall(text)
    if not named:  # a provider may leave it out (RFC 5965, section 3.2); we write to one address at a time
        named = [fields.get("to", "") for fields in originals(parts)]
    found = (_MAIL_ADDRESS.search(each) for each in named)
    addresses = [address for each in found if each and (address := _plain(each[0]))]
    words = last_words(feedback_type)
    return Kind.COMPLAINT, [
        Recipient(address, address, Severity.HARD, Reason.COMPLAINT, None, words) for address in addresses
    ]


def _status_groups(part: Part) -> list[Fields]:
    """Return the fields of each recipient of a delivery status report."""
    if part.media_type not in (*_STATUS_TYPES, "text/plain"):
        return []
    text = read_text(part)
    if part.media_type == "text/plain" and not _REPORT_BEGINS.match(
        text
    ):  # some programs rename it on its way
        return []
    blocks = re.split(r"\n[ \t]*\n", text)
    return [
        group
        for block in blocks[:MOST_RECIPIENTS]
        if (group := read_fields(block.strip().encode("utf-8", "replace"))).keys()
        & {"final-recipient", "original-recipient"}
    ]


def _action(group: Fields) -> str:
    return re.split(r"[\s(;]", group.get("action", "failed").lower())[0]


def _by_report(group: Fields, lines: list[str]) -> Recipient | None:
    final, original = (_typed_address(group.get(f"{name}-recipient", "")) for name in ("final", "original"))
    address = original or final
    if not address:
        return None
    _, _, comment = group.get("action", "").partition(" ")
    said = (group.get("diagnostic-code"), group.get("status"), comment, group.get("x400-supplementary-info"))
    words = "; ".join(filter(None, said))
    status = find_status(group.get("status", ""))
    if status is None or status.endswith(".0.0"):
        status = find_status(group.get("diagnostic-code", "")) or status
    is_delayed = _action(group) == "delayed"
    severity, reason = judge(words, status, is_delayed=is_delayed)
    if reason in (Reason.OTHER, Reason.TEMPORARY):  # the report is silent, the prose beside it may not be
        severity, reason = judge(f"{words}\n{_prose(lines)}", status, is_delayed=is_delayed)
    diagnostic = last_words((said[0] or words)[:LONGEST_LINE])
    return Recipient(address, final or address, severity, reason, status, diagnostic)


def _typed_address(value: str) -> str:
    """Return the address of a field like `rfc822; a@example.com`; nothing where it is none of mail."""
    kind, mark, rest = value.rpartition(";")
    found = _MAIL_ADDRESS.search(rest)
    is_mail = not mark or kind.strip().lower() in ("rfc822", "utf-8", "smtp")
    return _plain(found[0]) if found and is_mail else ""


def _plain(address: str) -> str:
    """Return an address that could be one of ours; nothing for others."""
    return address if address.isprintable() and ".." not in address and ".@" not in address else ""


def _read_lines(parts: list[Part]) -> list[str]:
    """Return the lines a person should read: the text parts outside of our own mail, plain ones if there are any."""
    own = [part for part in parts if part.depth == 0 and part.media_type.startswith("text/")]
    plain = [part for part in own if part.media_type == "text/plain"] or own
    return [line for part in plain for line in notice_lines(read_text(part))]


def _prose(lines: list[str]) -> str:
    return "\n".join(lines)[:LONGEST_LINE]


def _of_nobody(parts: list[Part]) -> Failure:
    """Return what a bounce says that hides the address, or names a mailbox without its domain."""
    said = f"{_prose(_read_lines(parts))}\n{read_words(parts[0].fields.get('subject', ''))}"
    status = find_status(said)
    severity, reason = judge(said, status, is_delayed=bool(_DELAYED.search(said)))
    return Failure(severity, reason, status, last_words(said[:LONGEST_LINE]))


def _by_words(fields: Fields, lines: list[str], subject: str) -> list[Recipient]:
    prose = _prose(lines)
    is_delayed = bool(_DELAYED.search(f"{subject}\n{prose}"))
    ours = {
        each.lower()
        for name in ("from", "to", "return-path")
        for each in _ADDRESS.findall(fields.get(name, ""))
    }
    said_in_header = _ADDRESS.findall(fields.get("x-failed-recipients", ""))  # by Exim
    named = find_recipients(lines, ours) or [(address, prose) for address in said_in_header]
    found = []
    for address, said in named[:MOST_RECIPIENTS]:
        status = find_status(said)
        severity, reason = judge(said[:LONGEST_LINE], status, is_delayed=is_delayed)
        if reason in (Reason.OTHER, Reason.TEMPORARY):
            severity, reason = judge(f"{prose}\n{subject}", status, is_delayed=is_delayed)
        found.append(Recipient(address, address, severity, reason, status, last_words(said[:LONGEST_LINE])))
    return found


def _find_original(parts: list[Part]) -> tuple[str | None, str | None]:
    """Return Message-ID and `X-Lapwing-Send` of our mail: by its headers, else as the report's text has them."""
    for fields in reversed(originals(parts)):
        message_id, send_id = fields.get("message-id", ""), fields.get("x-lapwing-send", "")
        if message_id or send_id:
            known = _MESSAGE_ID.fullmatch(message_id)
            sent = re.fullmatch(r"[\w-]{1,64}", send_id)
            return (known[1] if known else None), (sent[0] if sent else None)
    text = "\n".join(
        read_text(part) for part in parts if part.media_type.startswith(("text/", "message/dis"))
    )
    found, sent = _ORIGINAL_ID.search(text), _SEND_ID.search(text)
    return (found[1] if found else None), (sent[1] if sent else None)


def originals(parts: list[Part]) -> list[Fields]:
    """Return the header fields of each mail that another carries, whole or as headers alone, the outer ones first."""
    return [
        read_fields(part.body) if part.media_type in _HEADER_TYPES else part.fields
        for part in parts
        if part.is_message or part.media_type in _HEADER_TYPES
    ]
