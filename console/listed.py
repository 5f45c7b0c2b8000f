"""What the day's recommendations hold for one customer: both lists, each product with its reason in words."""

from dataclasses import dataclass
from datetime import date

from console.readers import Readers
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
    names = {row["product_id"]: row["name"] or row["product_id"] for row in named}

    def said(product_id: str | None) -> str | None:
        return names.get(product_id, product_id) if product_id else None

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
