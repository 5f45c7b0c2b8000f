"""The only place that asks what time it is.

Models, gates and plans never ask: they are given `as_of_date`. The clock serves what happens outside: when a
mail was handed over, when a reader clicked. While past days are replayed it stands on the day being run, so that
the mail of 4 December 2017 is sent, read and answered on 4 December 2017.
"""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from core.settings import Settings

Clock = Callable[[], datetime]

REPLAY_TIME = time(23, 0)  # late enough that every send planned for the day is due


def system_clock() -> datetime:
    return datetime.now(UTC)


def clock_of(settings: Settings) -> Clock:
    """Return the clock of this platform: the system's, or the replayed one (read anew at each call)."""
    if not settings.replay:
        return system_clock
    return lambda: system_clock() + _shift(_shift_file(settings))


def replay_to(settings: Settings, as_of: date) -> None:
    """Put the replayed clock at 23:00 UTC of `as_of`, unless it stands on that day already.

    Does nothing where no day is replayed.
    """
    if not settings.replay or clock_of(settings)().date() == as_of:
        return
    shift = datetime.combine(as_of, REPLAY_TIME, UTC) - system_clock()
    file = _shift_file(settings)
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".new")
    draft.write_text(json.dumps({"shift_seconds": shift.total_seconds()}))
    draft.replace(file)


def _shift_file(settings: Settings) -> Path:
    return settings.data_dir / "replay_clock.json"


def _shift(file: Path) -> timedelta:
    if not file.exists():
        return timedelta(0)
    return timedelta(seconds=json.loads(file.read_text())["shift_seconds"])
