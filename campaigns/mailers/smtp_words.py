"""The words of SMTP: an envelope's commands, a message as it stands on the wire, and what a reply means."""

import re
from collections.abc import Container

from campaigns.mailers import (
    Deferred,
    DeliveryRefused,
    DeliveryUncertain,
    Mail,
    MailerError,
    ServerUnreachable,
    last_words,
)
from campaigns.mailers.smtp_line import Reply

# RFC 3463: class.subject.detail. Subject 7 is policy: about who sends and what, never about the mailbox.
_POLICY = re.compile(r"\b5\.7\.\d+\b|\brelay", re.IGNORECASE)
_MAILBOX_CODES = range(550, 560)  # those below are about the conversation (syntax, login)
_LEADING_DOT = re.compile(rb"\n\.")
_WIRE_ADDRESS = re.compile(r"[^\s<>\x00-\x1f\x7f]+@[^\s<>@\x00-\x1f\x7f]+")


def require_sayable(mail: Mail) -> None:
    """See that no address of a mail would break a command.

    Raises
    ------
    DeliveryRefused
        If one would.
    """
    if not (_WIRE_ADDRESS.fullmatch(mail.sender) and _WIRE_ADDRESS.fullmatch(mail.recipient)):
        raise DeliveryRefused("the address cannot be written in an SMTP command", is_about_person=False)


def commands_of(mail: Mail, extensions: Container[str]) -> dict[str, str]:
    """Return verb → command of an envelope, for a server that offers these extensions.

    Raises
    ------
    DeliveryRefused
        If the server takes no such address.
    """
    is_ascii = mail.sender.isascii() and mail.recipient.isascii()
    if not is_ascii and "smtputf8" not in extensions:
        raise DeliveryRefused("the server takes no addresses beyond ASCII", is_about_person=False)
    return {
        "MAIL": f"MAIL FROM:<{mail.sender}>{'' if is_ascii else ' SMTPUTF8'}\r\n",
        "RCPT": f"RCPT TO:<{mail.recipient}>\r\n",
        "DATA": "DATA\r\n",
    }


def on_the_wire(message: bytes, behind: bytes = b"") -> bytes:
    """Return the body of DATA: dots doubled (RFC 5321 section 4.5.2), a line end, the final dot; and what is said behind."""
    end = b".\r\n" if message.endswith(b"\r\n") else b"\r\n.\r\n"
    if _LEADING_DOT.search(message):  # half of the time that `in` takes
        message = _LEADING_DOT.sub(b"\n..", message)  # and of bytes.replace
    return b"".join((b"." if message.startswith(b".") else b"", message, end, behind))


def meaning_of(stage: str, reply: Reply) -> MailerError | None:
    """Return what a reply means that does not let us go on; `docs/runbooks/send.md` has the table."""
    if reply.code == 354 if stage == "DATA" else 200 <= reply.code < 300:
        return None
    words, is_end = f"{stage}: {last_words(str(reply))}", stage == "end of data"
    if stage == "RSET" or (reply.code == 421 and not is_end):
        return ServerUnreachable(words)
    if 400 <= reply.code < 500:
        return Deferred(words)
    if 500 <= reply.code < 600:
        if stage == "MAIL":  # it refuses the sender, the same for every mail: the batch should pause
            return ServerUnreachable(words)
        is_about_person = stage == "RCPT" and reply.code in _MAILBOX_CODES and not _POLICY.search(words)
        return DeliveryRefused(words, is_about_person=is_about_person)
    words = f"the reply makes no sense: {words}"
    return DeliveryUncertain(words) if is_end else ServerUnreachable(words)
