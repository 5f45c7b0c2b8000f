"""Collects what is known of mails as landing files of `mail_events`: what readers did, and what was sent.

Answers to the survey in a mail land beside them as `survey_answers`, two points a star. What people answered by mail is in the
ledger: a wish for no more mail lands as an `unsubscribe`, a complaint as a row of `support_tickets`.

What readers did is in the tracking service's segments, whose new whole lines land as `tracking/…/<segment>-<start>-<end>.jsonl`
after the bytes of the segment they hold. What was sent is in the ledger, whose new sends land as
`ledger/…/<moment>-<send_id>.jsonl` after the last of them. So the folders themselves say how far we are: no other state
is kept, and a run that dies leaves nothing half-landed.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice, takewhile
from operator import itemgetter
from pathlib import Path
from typing import Any, Protocol

from core.clock import clock_of
from core.durable import locked
from core.logging import get_logger
from core.settings import Settings
from sources.landing_rows import (
    BEGINNING,
    COMMITTED_WITHIN,
    MOMENT_OF_NAME,
    land,
    line_of,
    name_of,
    stamp,
)

LANDED = re.compile(r"(?P<segment>.+)-(?P<start>\d+)-(?P<end>\d+)\.jsonl")
LANDED_SENDS = re.compile(r"\d{8}T\d{12}-.+\.jsonl")
LINES_PER_FILE = 100_000  # about 20 MB
ANSWER, SURVEY, POINTS_OF_A_STAR = "survey", "after_order", 2


class Answer(Protocol):
    """What somebody answered to a mail by mail."""

    @property
    def reply_id(self) -> str: ...
    @property
    def intent(self) -> str:
        """`complaint` or `unsubscribe`."""

    @property
    def send_id(self) -> str: ...
    @property
    def customer_id(self) -> str: ...
    @property
    def received_at(self) -> datetime: ...
    @property
    def taken_at(self) -> datetime: ...
    @property
    def closed_at(self) -> datetime | None:
        """When it was done; None while it waits for a person."""

    @property
    def judged_at(self) -> datetime | None:
        """When a person said that this is what it wants; None where its words did."""


class Sends(Protocol):
    """What the ledger says of sends. The ledger is another part's: whoever collects is handed it."""

    def customers_of(self, send_ids: Collection[str]) -> Mapping[str, str]:
        """Return send_id → customer_id of the sends that are known."""

    def sent_after(
        self, moment: datetime, send_id: str, limit: int
    ) -> list[tuple[str, str, datetime, datetime]]:
        """Return (send_id, customer_id, handed over at, known at) of sent sends, in the order of (known at, send_id)."""

    def answers_since(self, moment: datetime) -> Sequence[Answer]:
        """Return proven complaints and wishes for no more mail that were taken, judged or closed since a moment."""


@dataclass(frozen=True)
class _Block:
    """Whole lines of a segment from byte `start` to byte `end`, without those that cannot be read."""

    start: int
    end: int
    events: tuple[dict[str, object], ...]
    unreadable: int

    @property
    def send_ids(self) -> set[str]:
        """The sends that the events answer."""
        return {said for event in self.events if isinstance(said := event.get("send_id"), str)}

    @property
    def answers(self) -> list[dict[str, object]]:
        """The answers to surveys, which are no mail events."""
        return [event for event in self.events if event.get("kind") == ANSWER]


def collect(settings: Settings, sends: Sends) -> int:
    """Land every event and every sent mail that is not landed yet; return how many rows those were.

    A line of a segment gains `known_at`, the moment of this collection, and the customer of its send; a last line without
    its end is left for later; a whole line that is no JSON object (cut short by a crash) is left out, counted in the log
    and kept in the segment. A mail lands once the ledger calls it sent, known since the ledger knew.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with locked(settings.data_dir / "collecting.lock"):  # two collections would land the same rows
        events = _land_segments(settings, sends)
        sent = _land_sent(settings, sends)
        answers = _land_answers(settings, sends)
    get_logger(__name__).info("mail events collected", events=events, sent=sent, answers=answers)
    return events + sent + answers


def _folder(settings: Settings, source: str, table: str = "mail_events") -> Path:
    """Return where a source of a table lands, rid of what a collection that died left there."""
    folder = settings.landing / source / table
    for draft in folder.glob(".*.jsonl"):
        draft.unlink()
    return folder


# --- what readers did


def _land_segments(settings: Settings, sends: Sends) -> int:
    log, clock = get_logger(__name__), clock_of(settings)
    target, answers = _folder(settings, "tracking"), settings.landing / "tracking" / "survey_answers"
    ends = _landed_ends(target)
    total = 0
    for segment in sorted(settings.tracking_log.glob("*.jsonl")):
        for block in _blocks(segment, ends.get(segment.stem, 0)):
            customers = sends.customers_of(block.send_ids)
            if strangers := len(block.send_ids - customers.keys()):
                log.warning("events of sends the ledger does not know", segment=segment.name, sends=strangers)
            if block.unreadable:
                log.warning("unreadable events", segment=segment.name, count=block.unreadable)
            name, known_at = f"{segment.stem}-{block.start}-{block.end}.jsonl", clock()
            if block.answers and not (answers / name).exists():
                land(answers / name, _answers(block, customers, known_at))
            # Last, for it says how far we are; without a readable event an empty file, so that it is not warned of for ever.
            land(target / name, _rows(block, customers, known_at))
            total += len(block.events)
    return total


def _landed_ends(folder: Path) -> dict[str, int]:
    ends: dict[str, int] = {}
    for file in folder.glob("*.jsonl"):
        if name := LANDED.fullmatch(file.name):
            ends[name["segment"]] = max(ends.get(name["segment"], 0), int(name["end"]))
    return ends


def _blocks(segment: Path, start: int) -> Iterator[_Block]:
    with segment.open("rb") as file:
        file.seek(start)
        whole = takewhile(lambda line: line.endswith(b"\n"), file)
        while lines := list(islice(whole, LINES_PER_FILE)):
            end = start + sum(map(len, lines))
            parsed = [_parse(line) for line in lines if line.strip()]
            events = tuple(event for event in parsed if event is not None)
            yield _Block(start, end, events, parsed.count(None))
            start = end


def _parse(line: bytes) -> dict[str, object] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


def _rows(block: _Block, customers: Mapping[str, str], known_at: datetime) -> Iterator[dict[str, object]]:
    for event in block.events:
        if event.get("kind") != ANSWER:
            customer_id = customers.get(str(event.get("send_id")))
            yield {**event, "customer_id": customer_id, "known_at": stamp(known_at)}


def _answers(block: _Block, customers: Mapping[str, str], known_at: datetime) -> Iterator[dict[str, object]]:
    """Yield answers to surveys as `survey_answers` has them; who answers a mail's survey again has changed their mind."""
    for event in block.answers:
        if customer_id := customers.get(str(event.get("send_id"))):
            yield {
                "answer_id": f"mail-{event['send_id']}",
                "customer_id": customer_id,
                "survey": SURVEY,
                "score": POINTS_OF_A_STAR * int(str(event["link_id"])),
                "answered_at": event["happened_at"],
                "known_at": stamp(known_at),
            }


# --- what was sent


def _land_sent(settings: Settings, sends: Sends) -> int:
    target = _folder(settings, "ledger")
    ends = {file: _end_of(file) for file in target.glob("*.jsonl") if LANDED_SENDS.fullmatch(file.name)}
    since = max(ends.values(), default=BEGINNING) - COMMITTED_WITHIN
    if settings.replay:  # its clock goes back: an earlier day may be sent after a later one
        since = BEGINNING
    landed = {send_id for file, end in ends.items() if end >= since for send_id in _sends_in(file)}
    total, last = 0, (since, "")
    while found := sends.sent_after(*last, LINES_PER_FILE):
        last = (found[-1][3], found[-1][0])
        if new := [sent for sent in found if sent[0] not in landed]:
            land(target / f"{name_of(new[-1][3])}-{new[-1][0]}.jsonl", map(_sent_row, new))
            total += len(new)
    return total


def _end_of(file: Path) -> datetime:
    return datetime.strptime(file.name.partition("-")[0], MOMENT_OF_NAME).replace(tzinfo=UTC)


def _sends_in(file: Path) -> Iterator[str]:
    with file.open() as lines:
        yield from (json.loads(line)["send_id"] for line in lines)


def _sent_row(sent: tuple[str, str, datetime, datetime]) -> dict[str, object]:
    send_id, customer_id, handed_over_at, known_at = sent
    return {
        "event_id": f"sent-{send_id}",
        "kind": "sent",
        "send_id": send_id,
        "customer_id": customer_id,
        "link_id": None,
        "is_machine": False,
        "happened_at": stamp(handed_over_at),
        "known_at": stamp(known_at),
    }


# --- what people answered


def _land_answers(settings: Settings, sends: Sends) -> int:
    total = 0
    for table, rows_of in (("mail_events", _departure), ("support_tickets", _ticket)):
        target = _folder(settings, "replies", table)
        ends = {file: _end_of(file) for file in target.glob("*.jsonl")}
        since = BEGINNING if settings.replay else max(ends.values(), default=BEGINNING) - COMMITTED_WITHIN
        landed = {
            line for file, end in ends.items() if end >= since for line in file.read_text().splitlines()
        }
        rows = [row for answer in sends.answers_since(since) for row in rows_of(answer)]
        new = [row for row in rows if row["known_at"] >= stamp(since) and line_of(row) not in landed]
        if new:
            new.sort(key=itemgetter("known_at"))
            known_at = datetime.fromisoformat(new[-1]["known_at"])
            land(target / f"{name_of(known_at)}-{next(iter(new[-1].values()))}.jsonl", new)
            total += len(new)
    return total


def _departure(answer: Answer) -> Iterator[dict[str, Any]]:
    if answer.intent == "unsubscribe" and answer.closed_at:
        yield {
            "event_id": f"reply-{answer.reply_id}",
            "kind": "unsubscribe",
            "send_id": answer.send_id,
            "customer_id": answer.customer_id,
            "link_id": None,
            "is_machine": False,
            "happened_at": stamp(min(answer.received_at, answer.closed_at)),
            "known_at": stamp(max(answer.closed_at, answer.judged_at or BEGINNING)),
        }


def _ticket(answer: Answer) -> Iterator[dict[str, Any]]:
    """Yield a complaint as it was opened, and as it was closed, once it is."""
    if answer.intent == "complaint":
        for closed_at in (None, answer.closed_at) if answer.closed_at else (None,):
            yield {
                "ticket_id": f"reply-{answer.reply_id}",
                "customer_id": answer.customer_id,
                "kind": "complaint",
                "opened_at": stamp(min(answer.received_at, answer.taken_at)),
                "closed_at": stamp(closed_at) if closed_at else None,
                "known_at": stamp(max(closed_at or answer.taken_at, answer.judged_at or BEGINNING)),
            }
