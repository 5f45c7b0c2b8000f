"""The words a reply to a mail of ours is told in."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Intent(StrEnum):
    """What somebody who answers wants."""

    UNSUBSCRIBE = "unsubscribe"  # no more mail
    COMPLAINT = "complaint"  # something went wrong, or should not have been
    QUESTION = "question"  # to know something
    PRAISE = "praise"  # nothing: is content
    OTHER = "other"  # the words say nothing we know


class Topic(StrEnum):
    """What a question is about. A drafted answer begins there."""

    DELIVERY = "delivery"
    RETURN = "return"
    SIZE = "size"
    STOCK = "stock"
    PAYMENT = "payment"
    ORDER = "order"
    PRODUCT = "product"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reply's words say: `topic` of a question that is about one we know, and the language they are in."""

    intent: Intent
    topic: Topic | None
    language: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What is kept of a person's reply.

    Parameters
    ----------
    reply_id
        The first 16 hex digits of SHA-256 of the mail's first MiB, its lines ended by LF.
    send_id
        32 hex digits: as the mail's token says, else as its references claim.
    is_proven
        Whether a token that we signed says so. Only then the reply has an effect by itself.
    text
        The writer's own words, without addresses, 1,000 characters at most. Data, never markup; left out of `repr`.
    received_at
        When the mail came into the mailbox.
    sentiment
        How content its words are, -1 to 1; None where nobody was asked, or nobody could say.
    """

    reply_id: str
    intent: Intent
    topic: Topic | None
    language: str
    send_id: str
    is_proven: bool
    text: str = field(repr=False)
    received_at: datetime
    sentiment: float | None = None
