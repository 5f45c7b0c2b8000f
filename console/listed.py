"""What the day's recommendations hold for one customer: both lists, each product with its reason in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from console.readers import Readers
from console.snapshots import Row
from console.words import list_reason

QUESTIONS = {"new": "Never bought before", "again": "Bought before"}
"""By question of `recommendations`, what a page calls its list."""


@dataclass(frozen=True)
class Listed:
    """A place on a list."""

    name: str
    reason: str
    method: str


def day_lists(readers: Readers, day: date, customer_id: str) -> dict[str, list[Listed]]:
    """Return the customer's lists by title, best first; a list without products is left out."""
    rows = readers.snapshots.rows("recommendations", day, ("customer_id", "==", customer_id))
    if not rows:
        return {}
    ids = {row[key] for row in rows for key in ("product_id", "because_product_id") if row[key]}
    named = readers.snapshots.rows("products", day, ("product_id", "in", ids), columns=["product_id", "name"])
    return in_words(rows, {row["product_id"]: row["name"] for row in named})


def in_words(rows: Sequence[Row], names: Mapping[str, str | None]) -> dict[str, list[Listed]]:
    """Return one customer's rows of `recommendations` by title, best first; `names`: those of products by id."""

    def said(product_id: str | None) -> str | None:
        return names.get(product_id or "") or product_id

    return {
        title: [
            Listed(
                said(row["product_id"]) or "",
                list_reason(row, said(row["because_product_id"])),
                row["method"].replace("_", " "),
            )
            for row in sorted(rows, key=lambda row: row["rank"])
            if row["question"] == question
        ]
        for question, title in QUESTIONS.items()
        if any(row["question"] == question for row in rows)
    }
