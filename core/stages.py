"""How long each stage of a run took: one line per stage in `data/stages.jsonl`, for the summary and the report."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

from core.clock import replay_to
from core.logging import configure_logging
from core.settings import Settings, load_settings


@contextmanager
def stage(settings: Settings, name: str, as_of: date) -> Iterator[dict[str, object]]:
    """Time a stage; what the body puts into the yielded dict is kept beside the seconds."""
    facts: dict[str, object] = {}
    start = time.perf_counter()
    yield facts
    line = {"stage": name, "as_of_date": str(as_of), "seconds": round(time.perf_counter() - start, 3)}
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with (settings.data_dir / "stages.jsonl").open("a") as log:
        log.write(json.dumps(line | facts) + "\n")


@contextmanager
def stage_of(name: str, as_of: str) -> Iterator[tuple[Settings, date]]:
    """Open a task's front door: read the settings, put a replayed clock on the day, time what the body does."""
    settings, day = load_settings(), date.fromisoformat(as_of)
    configure_logging()
    replay_to(settings, day)
    with stage(settings, name, day):
        yield settings, day


@contextmanager
def stage_without_replay(name: str, day: str) -> Iterator[Settings]:
    """Open the front door of a task that is about now, not about a day: a replayed clock stays where it stands."""
    settings = load_settings()
    configure_logging()
    with stage(settings, name, date.fromisoformat(day)):
        yield settings


def stages(settings: Settings) -> list[dict[str, object]]:
    """Return what has been timed so far, oldest first."""
    file = settings.data_dir / "stages.jsonl"
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text().splitlines()]
