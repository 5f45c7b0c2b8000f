"""Ways to hand a message to a server, and the four ways in which that can go wrong.

    MailerError
    ├── ServerUnreachable    nothing was handed over: the send is planned again
    ├── Deferred             the server said "not now" (4xx)
    ├── DeliveryRefused      the server said "never" (5xx)
    └── DeliveryUncertain    the line was lost after the body had begun: nobody knows

Their text is the server's last words, without addresses. What each stage of a conversation is mapped to stands in
`docs/runbooks/send.md`.
"""

from typing import Protocol

from core.errors import LapwingError
from core.logging import without_addresses

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


class Mailer(Protocol):
    """Hands one message to one recipient; keeps its connection between messages."""

    @property
    def server(self) -> str:
        """A stable name of where messages go, for `sends.server`."""

    def send(self, sender: str, recipient: str, message: bytes) -> str:
        """Hand over `message` (CRLF line ends) from and to bare addresses; return the server's reply.

        Raises
        ------
        ServerUnreachable, Deferred, DeliveryRefused, DeliveryUncertain
        """

    def was_delivered(self, message_id: str) -> bool | None:
        """Say whether the server has a message; None where it cannot be asked."""

    def close(self) -> None:
        """Say goodbye and let the connection go."""


def last_words(reply: str) -> str:
    """Return a reply as it may be stored: one printable line, without addresses, of bounded length."""
    printable = "".join(character if character.isprintable() else " " for character in reply)
    return without_addresses(" ".join(printable.split()))[:WORDS_LIMIT]
