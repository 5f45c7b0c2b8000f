"""Makes everything the console reads, for a made-up shop."""

import json
from pathlib import Path

from core.settings import Settings
from tests.console.made_up import DAY
from tests.console.mails import deliver_all, keep_ledger
from tests.console.tables import publish_all


def open_shop(settings: Settings) -> None:
    """Make everything the console reads."""
    publish_all(settings)
    keep_ledger(settings, deliver_all(settings))
    timed: list[tuple[str, float, dict[str, object]]] = [
        ("features", 9.9, {}),
        ("land", 3.2, {"rows": 1469307}),
        ("features", 11.4, {}),
        ("send", 5.1, {"sent": 1050}),
    ]
    lines = [
        {"stage": name, "as_of_date": str(DAY), "seconds": seconds} | more for name, seconds, more in timed
    ]
    Path(settings.data_dir / "stages.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
