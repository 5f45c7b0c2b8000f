"""The gates' pages: one for each table and day, and an index of them. Made whole or not at all, from our own words.

Great Expectations' own pages ask foreign servers for their styles, which the console rightly forbids.
"""

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from core.durable import replace_file
from core.settings import Settings
from expectations.judge import CRITICAL, WARNING, Line

INDEXED = 60  # days of each table that the index lists; pages of older days stay where they are


@dataclass(frozen=True)
class GatePage:
    """What a gate's page tells."""

    table: str
    as_of_date: date
    lines: list[Line]
    remarks: tuple[str, ...]
    compared_with: tuple[date, ...]

    def count(self, verdict: str) -> int:
        return sum(line.verdict == verdict for line in self.lines)


def write_page(settings: Settings, page: GatePage) -> None:
    """Write the page of a gate, and the index anew."""
    folder = settings.data_docs / page.table
    folder.mkdir(parents=True, exist_ok=True)
    facts = {"checked": len(page.lines), "critical": page.count(CRITICAL), "warnings": page.count(WARNING)}
    replace_file(folder / f"{page.as_of_date}.html", _render(settings, "gate.html", page=page, facts=facts))
    replace_file(folder / f"{page.as_of_date}.json", json.dumps(facts) + "\n")
    index = _render(settings, "index.html", tables=_index(settings.data_docs))
    replace_file(settings.data_docs / "index.html", index)


def _index(data_docs: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the newest days of each table with what was found, newest first."""
    tables: dict[str, list[dict[str, Any]]] = {}
    for folder in sorted(folder for folder in data_docs.iterdir() if folder.is_dir()):
        newest = sorted(folder.glob("*.json"), reverse=True)[:INDEXED]
        tables[folder.name] = [{"day": file.stem} | json.loads(file.read_text()) for file in newest]
    return tables


def _render(settings: Settings, template: str, **shown: object) -> str:
    loader = FileSystemLoader(Path(__file__).parent / "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(template).render(shown | {"console_url": settings.console_url})
