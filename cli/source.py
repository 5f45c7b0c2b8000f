"""Commands that bring a shop in: a mapping to start from, a look at it, the import, the load."""

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from cli.options import Json, answer, speech
from core.errors import ContractBroken
from core.settings import Settings, load_settings

COMPLETE_JOURNEY = "complete-journey"

source = typer.Typer(
    no_args_is_help=True,
    help="""Bring a shop's data in: init → check → import → load.

A mapping file says which of the shop's files (or database tables) and columns are which. docs/bring_your_own_shop.md walks
through it, from a CSV file to the first plan.""",
)

MappingFile = Annotated[
    Path,
    typer.Argument(
        exists=True, dir_okay=False, help="The mapping file, for example myshop.yml.", show_default=False
    ),
]


@source.command("init")
def init(
    name: Annotated[
        str, typer.Argument(help="Name of the source: lower-case letters, digits and _.", show_default=False)
    ],
    samples: Annotated[
        list[Path] | None,
        typer.Option(
            "--from",
            exists=True,
            dir_okay=False,
            help="A file of the shop to guess from; give it once per file.",
        ),
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", help="The file to write; else NAME.yml in this folder.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a commented mapping file to start from; with --from, guess columns by their names and values.

    Shopify's own exports are recognised, and need no mapping of columns.
    """
    from sources.mapping_guess import start_mapping

    target = to or Path(f"{name}.yml")
    zone = load_settings().shop_time_zone
    remarks = start_mapping(name, samples or [], target, time_zone=zone)
    speech.print(f"{target} is written; see that its time_zone is right, then: lapwing source check {target}")
    answer(
        {"mapping": str(target), "remarks": remarks} if as_json else [{"guessed": text} for text in remarks],
        as_json=as_json,
    )


@source.command("check")
def check(
    mapping: MappingFile,
    rows: Annotated[int, typer.Option(min=1, help="Look at the first so many rows of each file.")] = 100_000,
    as_json: Json = False,
) -> None:
    """Say what is missing, what is wrong, and what will be switched off; import nothing.

    Exit code 1: something required is missing, or so many rows are wrong that an import would be refused.
    """
    from sources.mapping_check import CheckReport, check_shop
    from sources.shop_import import open_shop

    report: CheckReport = check_shop(load_settings(), open_shop(mapping), rows=rows)
    if as_json:
        answer(report, as_json=True)
    else:
        looked = ", ".join(f"{name} {count}" for name, count in report.rows.items())
        print(f"Rows looked at: {looked or 'none'}")
        for title, texts in (
            ("Missing", report.missing),
            ("Wrong", report.wrong),
            ("Switched off", report.off),
            ("To know", report.notes),
        ):
            print(
                "\n".join([f"\n{title}:", *(f"  - {text}" for text in texts)])
                if texts
                else f"\n{title}: nothing"
            )
    if not report.is_ready:
        raise ContractBroken(f"{mapping.name} cannot be imported yet: see what is missing or wrong")
    speech.print(f"ready: lapwing source import {mapping}")


@source.command("import")
def import_(
    shop: Annotated[
        str,
        typer.Argument(help=f"A mapping file, or {COMPLETE_JOURNEY}: the demo's shop.", show_default=False),
    ],
    households: Annotated[
        int | None,
        typer.Option(min=1, help="Of the demo's shop, only the first so many customers, for a quick look."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a shop's landing files: what is new or changed since the last import, and nothing twice.

    Of a database (LAPWING_SHOP_DATABASE) only what changed since the last import is read.
    """
    if shop == COMPLETE_JOURNEY:
        from sources.complete_journey import import_complete_journey

        speech.print(f"importing {shop}: real purchases; addresses, names and consents are synthetic")
        answer(import_complete_journey(load_settings(), households=households), as_json=as_json)
        return
    if not Path(shop).is_file():
        raise typer.BadParameter(f"{shop!r} is no mapping file and not {COMPLETE_JOURNEY}", param_hint="SHOP")
    if households:
        raise typer.BadParameter("only the demo's shop has households", param_hint="--households")
    answer(_import_mapped(load_settings(), Path(shop), as_json), as_json=as_json)


def _import_mapped(settings: Settings, mapping: Path, as_json: bool) -> object:
    """Return the counts of an import: by table for machines, as rows of a table for people."""
    from sources.shop_import import import_shop, open_shop

    opened = open_shop(mapping)
    with speech.status(f"importing {opened.source} …"):
        counts = {table: asdict(found) for table, found in import_shop(settings, opened).items()}
    speech.print("next: lapwing source load")
    return counts if as_json else [{"table": table, **found} for table, found in counts.items()]


@source.command("load")
def load(as_json: Json = False) -> None:
    """Load new landing files into the warehouse; say what was rejected and what is missing."""
    from sources.landing import load_landing

    answer(load_landing(load_settings()), as_json=as_json)


@source.command("example")
def example(
    folder: Annotated[Path, typer.Argument(help="Where to write the files.", show_default=False)],
    customers: Annotated[int, typer.Option(min=10, help="How many customers the invented shop has.")] = 300,
    days: Annotated[int, typer.Option(min=30, help="Over how many days they order.")] = 300,
    first_day: Annotated[
        datetime, typer.Option(formats=["%Y-%m-%d"], help="The first of these days.")
    ] = datetime(2024, 9, 1),  # noqa: DTZ001  # a day, not a moment
    as_json: Json = False,
) -> None:
    """Write an invented shop's CSV files, as a German system would export them, to try the import on."""
    from simulation.exports import export_shop

    rows = export_shop(folder, customers=customers, days=days, seed=1, first_day=first_day.date())
    answer({str(folder / name): count for name, count in rows.items()}, as_json=as_json)
