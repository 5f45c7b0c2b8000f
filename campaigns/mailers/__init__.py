"""Ways to hand a message to a server, and the four ways in which that can go wrong.

    MailerError
    ├── ServerUnreachable    nothing was handed over: the send is planned again
    ├── Deferred             the server said "not now" (4xx): tried again later
    ├── DeliveryRefused      the server said "never" (5xx)
    └── DeliveryUncertain    the line was lost after the body had begun: nobody knows

Their text is the server's last words, without addresses. What each stage of a conversation is mapped to stands in
`docs/runbooks/send.md`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from core.errors import LapwingError
from core.logging import without_addresses

REPLY_SECONDS = 60.0
"""How long a server may think about what is no message."""
GRACE_SECONDS = 10.0
"""How long mails in flight may still be answered once the sender is being stopped."""
WORDS_LIMIT = 500  # characters of a server's reply that are kept


class MailerError(LapwingError):
    """A message was not, or not certainly, accepted."""


class ServerUnreachable(MailerError):
    """Nothing was handed over; trying again is safe."""


class Deferred(MailerError):
    """The server would not take the message now (4xx)."""


class DeliveryRefused(MailerError):
    """The server will never take this message (5xx).

    `is_about_person`: it named the mailbox as the reason, so nothing may be sent there again. Otherwise the reason
    is our sending (policy, reputation, the content).
    """

    def __init__(self, reply: str, *, is_about_person: bool) -> None:
        super().__init__(reply)
        self.is_about_person = is_about_person


class DeliveryUncertain(MailerError):
    """The connection was lost after the message's body had begun: the server may have it or not."""


@dataclass(frozen=True, slots=True, eq=False)
class Mail:
    """A message (CRLF line ends and no others) from and to bare addresses, which `repr` leaves out.

    What goes out by another channel is JSON, from a send_id to a customer_id. Two that say the same are two mails.
    """

    sender: str = field(repr=False)
    recipient: str = field(repr=False)
    message: bytes = field(repr=False)


More = Callable[[int], Sequence[Mail] | None]
"""Gives up to so many mails that are to go now. Empty: ask again when one that is under way is answered, if one is.

None: ask again at once; mails are being made."""

Answered = Callable[[Mail, str | MailerError], None]
"""Gets what became of a mail: the server's reply, or what went wrong."""


class Messenger(Protocol):
    """Hands messages of a channel to a server, some at once; keeps its connections."""

    at_once: int
    """How many messages are under way at once, at most."""

    @property
    def server(self) -> str:
        """A stable name of where messages go, for `sends.server`."""

    def hand_over(self, more: More, answered: Answered) -> None:
        """Hand over what `more` gives until it gives no more; `answered` hears of each mail as soon as its answer is there.

        Whatever this raises (a person may stop it; `more` may): mails of which nothing was answered may have arrived or not.
        """

    def was_delivered(self, message_id: str) -> bool | None:
        """Answer as `campaigns.ledger.Evidence` does; None where the server cannot be asked."""

    def close(self) -> None:
        """Say goodbye and let the connections go."""


def last_words(reply: str) -> str:
    """Return a reply as it may be stored: one printable line, without addresses, of bounded length."""
    if not reply.isprintable():
        reply = "".join(character if character.isprintable() else " " for character in reply)
    return without_addresses(" ".join(reply.split()))[:WORDS_LIMIT]
