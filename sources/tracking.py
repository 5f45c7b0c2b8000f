"""Collects what the tracking service wrote: new whole lines of its segments become landing files of `mail_events`.

A landing file is named `<segment>-<start>-<end>.jsonl` after the bytes of the segment it holds, so that the folder
itself says how far a segment is collected: no other state is kept, and a run that dies leaves nothing half-landed.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice, takewhile
from pathlib import Path

from core.clock import clock_of
from core.durable import locked, sync
from core.logging import get_logger
from core.settings import Settings

LANDED = re.compile(r"(?P<segment>.+)-(?P<start>\d+)-(?P<end>\d+)\.jsonl")
LINES_PER_FILE = 100_000  # about 20 MB


@dataclass(frozen=True)
class _Block:
    """Whole lines of a segment from byte `start` to byte `end`, without those that cannot be read."""

    start: int
    end: int
    events: tuple[dict[str, object], ...]
    unreadable: int


def collect(settings: Settings) -> int:
    """Land every whole line that is not landed yet; return how many events that were.

    Each row gains `known_at`, the moment of this collection. A last line without its end is left for later; a whole
    line that is no JSON object (cut short by a crash) is left out, counted in the log and kept in the segment.
    """
    log, clock = get_logger(__name__), clock_of(settings)
    target = settings.landing / "tracking" / "mail_events"
    if not settings.tracking_log.exists():
        return 0
    target.mkdir(parents=True, exist_ok=True)
    total = 0
    with locked(target.parent / ".collecting"):  # two collections would land the same bytes
        ends = _landed_ends(target)
        for segment in sorted(settings.tracking_log.glob("*.jsonl")):
            for block in _blocks(segment, ends.get(segment.stem, 0)):
                _land(target / f"{segment.stem}-{block.start}-{block.end}.jsonl", block, clock())
                total += len(block.events)
                if block.unreadable:
                    log.warning("unreadable events", segment=segment.name, count=block.unreadable)
    log.info("mail events collected", events=total)
    return total


def _landed_ends(folder: Path) -> dict[str, int]:
    ends: dict[str, int] = {}
    for draft in folder.glob(".*.jsonl"):  # of a collection that died
        draft.unlink()
    for file in folder.iterdir():
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


def _land(path: Path, block: _Block, known_at: datetime) -> None:
    """Write under a hidden name, then rename: a loader sees the whole file or none.

    A block without a readable event lands as an empty file, so that it is not read, and warned of, for ever.
    """
    moment = known_at.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    draft = path.with_name("." + path.name)
    with draft.open("w") as file:
        for event in block.events:
            file.write(json.dumps({**event, "known_at": moment}, separators=(",", ":")) + "\n")
    sync(draft)
    draft.replace(path)
