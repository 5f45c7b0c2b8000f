"""Commands on what a shop brings: landing files, rejects, features."""

from enum import StrEnum
from typing import Annotated

import typer

from cli.options import Day, Json, answer, day_of, speech
from core.settings import load_settings

source = typer.Typer(no_args_is_help=True, help="Bring a shop's data in.")
features = typer.Typer(no_args_is_help=True, help="Build what is known about each customer, and publish it.")


class Shop(StrEnum):
    COMPLETE_JOURNEY = "complete-journey"


@source.command("import")
def import_(
    shop: Annotated[Shop, typer.Argument(help="Which source: the demo's shop.")],
    households: Annotated[
        int | None, typer.Option(min=1, help="Only the first so many customers, for a quick look.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a source's landing files. Files that are there already are left alone."""
    from sources.complete_journey import import_complete_journey

    speech.print(f"importing {shop.value}: real purchases; addresses, names and consents are synthetic")
    answer(import_complete_journey(load_settings(), households=households), as_json=as_json)


@source.command("load")
def load(as_json: Json = False) -> None:
    """Load new landing files into the warehouse; say what was rejected and what is missing."""
    from sources.landing import load_landing

    answer(load_landing(load_settings()), as_json=as_json)


def rejects(as_of: Day, as_json: Json = False) -> None:
    """Show rows that broke the source contract: file, row, column, value (never an address) and reason."""
    from core.published import Published

    rows = Published(load_settings().published).read("rejected_rows", day_of(as_of)).to_pylist()
    if not as_json:
        speech.print(
            f"{len(rows)} rejected rows or values; mend the file, land it under a new name, load again"
        )
    answer(rows if as_json else rows[:50], as_json=as_json)


@features.command("build")
def build_features(as_of: Day, as_json: Json = False) -> None:
    """Load what landed and build the features of a day in the warehouse."""
    from core.dbt import build
    from sources.landing import load_landing

    settings = load_settings()
    landed = load_landing(settings)
    nodes = build(settings, "tag:features", as_of=day_of(as_of))
    answer(
        {"landed": landed.rows, "rejected": landed.rejects, "models and tests": len(nodes)}, as_json=as_json
    )


@features.command("publish")
def publish_features(as_of: Day, as_json: Json = False) -> None:
    """Run the gate on a day's features and publish them, or nothing."""
    from expectations.publish import DAILY, publish

    answer({"published": publish(load_settings(), DAILY, day_of(as_of))}, as_json=as_json)


@features.command("check")
def check_features(as_of: Day, as_json: Json = False) -> None:
    """Run the gate on the candidate of a day without publishing."""
    from expectations.gates import pass_gate

    answer(pass_gate(load_settings(), "customer_features", day_of(as_of)), as_json=as_json)
