"""The normalised vocabulary of what readers do, whichever way we hear of it, and its one-line form."""

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum


class EventKind(StrEnum):
    """What happened to a mail. `sources/contracts/mail_events.yml` lists the same words, but for answers to a survey."""

    OPEN = "open"
    CLICK = "click"
    UNSUBSCRIBE = "unsubscribe"
    SURVEY = "survey"


@dataclass(frozen=True)
class MailEvent:
    """One request that carried a token we signed. Holds no address, no IP address and no user agent.

    Parameters
    ----------
    event_id
        32 hex digits, drawn at random.
    send_id
        The send the token names.
    link_id
        16 hex digits of the link that was clicked; the stars, 1 to 5, of an answer to a survey; None for the others.
    is_machine
        True where a scanner or prefetcher asked, not a person (`tracking.machines`).
    happened_at
        When the request came, with its zone.
    """

    event_id: str
    kind: EventKind
    send_id: str
    link_id: str | None
    is_machine: bool
    happened_at: datetime

    def line(self) -> bytes:
        """Return the event as one JSON line, its moment in UTC with microseconds and a Z."""
        moment = self.happened_at.astimezone(UTC).replace(tzinfo=None)
        fields = {
            "event_id": self.event_id,
            "kind": self.kind,
            "send_id": self.send_id,
            "link_id": self.link_id,
            "is_machine": self.is_machine,
            "happened_at": moment.isoformat(timespec="microseconds") + "Z",
        }
        return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


def new_event(
    kind: EventKind, send_id: str, happened_at: datetime, *, link_id: str = "", is_machine: bool = False
) -> MailEvent:
    """Return an event with a number of its own."""
    return MailEvent(uuid.uuid4().hex, kind, send_id, link_id or None, is_machine, happened_at)
