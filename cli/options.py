"""What commands share: the day they are about, and how they answer (a table for people, JSON for machines)."""

import json
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from datetime import date, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

Day = Annotated[
    datetime,
    typer.Option(
        "--as-of",
        formats=["%Y-%m-%d"],
        help="The day: everything known before its 00:00 UTC.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON, for machines.")]

speech = Console(stderr=True, soft_wrap=True)
"""Progress and remarks; what a command answers goes to stdout."""


def day_of(as_of: datetime) -> date:
    return as_of.date()


def answer(value: object, *, as_json: bool) -> None:
    """Print a command's result to stdout: a mapping or a list of mappings as a table, or all of it as JSON."""
    plain = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
    if as_json:
        print(json.dumps(plain, default=str, ensure_ascii=False))
    elif isinstance(plain, dict) and plain:
        _print_table(["", ""], [[key, _text(item)] for key, item in plain.items()])
    elif isinstance(plain, Sequence) and plain and isinstance(plain[0], dict):
        _print_table(list(plain[0]), [[_text(row[key]) for key in row] for row in plain])
    else:
        print("nothing" if plain in (None, [], {}) else plain)


def _print_table(headings: list[str], rows: list[list[Any]]) -> None:
    table = Table(*headings, box=None, show_header=any(headings), pad_edge=False)
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    # what servers said may look like Rich's markup, and be broken at that
    Console(soft_wrap=True, markup=False, emoji=False).print(table)


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items()) or "none"
    if isinstance(value, float):
        return f"{value:.4g}"
    return "—" if value is None else str(value)
