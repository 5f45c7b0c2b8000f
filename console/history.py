"""What happened to a send, in order: the ledger's moments, the reader's events, a suppression."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from console.ledger import SendRecord
from console.readers import Readers
from console.words import STATES, humanised
from core.logging import without_addresses

DEEDS = {"open": "opened", "click": "clicked", "unsubscribe": "unsubscribed"}


@dataclass(frozen=True)
class Moment:
    """One line of the history. `at` is aware, in UTC; `kind` chooses the colour."""

    at: datetime
    title: str
    detail: str
    kind: str


def history(readers: Readers, record: SendRecord) -> list[Moment]:
    """Return what is known to have happened to a send, oldest first."""
    moments = [Moment(record.send_at, "Due", "Not handed over before this moment.", "planned")]
    if record.claimed_at:
        moments.append(Moment(record.claimed_at, "Claimed", "One run of the sender took it.", "claimed"))
    if record.sending_at:
        said = "Committed before the server heard of the message."
        moments.append(Moment(record.sending_at, "Handing over", said, "sending"))
    if record.due_at > record.send_at:
        said = f"The server put it off: {without_addresses(record.reply or '')}"
        moments.append(Moment(record.due_at, "Due again", said, "deferred"))
    if record.ended_at:
        reply = f" It said: {without_addresses(record.reply)}" if record.reply else ""
        said = STATES.get(record.state, "") + reply
        moments.append(Moment(record.ended_at, humanised(record.state), said, record.state))
    moments += _events(readers, record.send_id)
    suppression = readers.ledger.suppression(record.customer_id)
    if suppression:
        cause = (
            "This mail was the reason."
            if suppression.send_id == record.send_id
            else "Another mail was the reason."
        )
        title = f"Suppressed: {humanised(suppression.reason).lower()}"
        moments.append(Moment(suppression.suppressed_at, title, f"No mail since then. {cause}", "suppressed"))
    return sorted(moments, key=lambda moment: moment.at)


def _events(readers: Readers, send_id: str) -> list[Moment]:
    days = readers.snapshots.days("mail_events")
    if not days:
        return []
    rows = readers.snapshots.rows("mail_events", days[0], ("send_id", "==", send_id))
    targets = readers.ledger.targets([row["link_id"] for row in rows if row["link_id"]])
    return [_event(row, targets, is_simulated=readers.settings.replay) for row in rows]


def _event(row: dict[str, Any], targets: dict[str, str], *, is_simulated: bool) -> Moment:
    who = (
        "a machine (scanner or proxy)"
        if row["is_machine"]
        else "a simulated reader"
        if is_simulated
        else "the reader"
    )
    target = targets.get(row["link_id"] or "")
    detail = f"By {who}" + (f", towards {target}" if target else "")
    at = row["happened_at"].replace(tzinfo=UTC)
    deed = DEEDS.get(row["kind"], row["kind"])
    return Moment(at, humanised(deed), detail + ".", deed)
