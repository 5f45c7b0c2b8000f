"""The SIMULATED shop as another system would export it: German column names, semicolons, decimal commas, local time.

The rows are those of `simulation.shop`; only their clothes are others. That makes it a sample for whoever brings a shop
of their own, and a test of the mapping: mapped back, it must be the same shop.
"""

import csv
import tempfile
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from simulation.shop import simulate_shop

ZONE = ZoneInfo("Europe/Berlin")
LANGUAGES = {"en": "Englisch", "de": "Deutsch", "zh": "Chinesisch"}

Row = dict[str, str]


def export_shop(folder: Path, *, customers: int, days: int, seed: int, first_day: date) -> dict[str, int]:
    """Write `kunden.csv`, `bestellungen.csv`, `positionen.csv` and `artikel.csv`; return the rows of each.

    Parameters
    ----------
    customers, days, seed, first_day
        As for `simulate_shop`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="lapwing-shop-") as scratch:
        simulate_shop(Path(scratch), customers=customers, days=days, seed=seed, first_day=first_day)
        tables = {path.stem: _read(path) for path in Path(scratch).glob("*/*.csv")}
    decided = {row["customer_id"]: row for row in tables["consents"]}
    writers: dict[str, list[Row]] = {
        "kunden.csv": [_customer(row, decided[row["customer_id"]]) for row in tables["customers"]],
        "bestellungen.csv": _renamed(tables["orders"], _order),
        "positionen.csv": _renamed(tables["order_lines"], _line),
        "artikel.csv": _renamed(tables["products"], _product),
    }
    for name, rows in writers.items():
        _write(folder / name, rows)
    return {name: len(rows) for name, rows in writers.items()}


def _customer(row: Row, consent: Row) -> Row:
    return {
        "Kundennr": row["customer_id"],
        "E-Mail": row["email"],
        "Rufname": row["first_name"],
        "Sprache": LANGUAGES[row["locale"]],
        "Land": row["country_code"],
        "Registriert am": _local(row["signed_up_at"]),
        "Newsletter": "ja" if consent["is_given"] == "true" else "nein",
        "Newsletter seit": _local(consent["decided_at"]),
    }


def _order(row: Row) -> Row:
    return {
        "Auftrag": row["order_id"],
        "Kundennr": row["customer_id"],
        "Filiale": row["store_id"],
        "Bestellt am": _local(row["ordered_at"]),
    }


def _line(row: Row) -> Row:
    return {
        "Auftrag": row["order_id"],
        "Pos": row["line_number"],
        "Artikel": row["product_id"],
        "Menge": row["quantity"],
        "Warenwert": _amount(row["list_amount"]),
        "Rabatt": _amount(row["discount_amount"]),
    }


def _product(row: Row) -> Row:
    return {
        "Artikelnr": row["product_id"],
        "Bezeichnung": row["name"],
        "Warengruppe": row["category"],
        "Untergruppe": row["subcategory"],
        "Marke": row["brand"],
        "Packung": row["size"],
    }


def _renamed(rows: list[Row], rename: Callable[[Row], Row]) -> list[Row]:
    return [rename(row) for row in rows]


def _local(moment: str) -> str:
    """Return a moment of the landing files, in UTC, as a German till prints it."""
    return datetime.fromisoformat(moment).replace(tzinfo=UTC).astimezone(ZONE).strftime("%d.%m.%Y %H:%M:%S")


def _amount(value: str) -> str:
    return f"{float(value):,.2f}".translate(str.maketrans(",.", ".,")) + " €"


def _read(path: Path) -> list[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _write(path: Path, rows: list[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), delimiter=";", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
