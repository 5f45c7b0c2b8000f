"""Rows that Lapwing lands itself, beside the shop's: of mails, of answers to them, of texts."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from core.durable import sync

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
COMMITTED_WITHIN = timedelta(hours=1)
"""What the ledger stamps is stamped before it is committed, so a row may appear behind another that is landed; seconds are usual."""
MOMENT_OF_NAME = "%Y%m%dT%H%M%S%f"


def name_of(moment: datetime) -> str:
    """Return how the name of a landing file begins that lands what was known by a moment."""
    return moment.astimezone(UTC).strftime(MOMENT_OF_NAME)


def stamp(moment: datetime) -> str:
    """Return a moment as landing files have it."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def line_of(row: Mapping[str, object]) -> str:
    return json.dumps(row, separators=(",", ":"))


def land(path: Path, rows: Iterable[Mapping[str, object]]) -> None:
    """Write under a hidden name, then rename: a loader sees the whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name("." + path.name)
    with draft.open("w") as file:
        for row in rows:
            file.write(line_of(row) + "\n")
    sync(draft)
    draft.replace(path)
