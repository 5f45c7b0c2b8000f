"""Commands that look for what is wrong around the platform."""

import typer

from cli.options import Json, answer
from core.settings import load_settings

doctor = typer.Typer(no_args_is_help=True, help="Look for what is wrong around the platform.")


@doctor.callback()
def group() -> None:
    """Keep `dns` a command of its own while it is the only one."""


@doctor.command("dns")
def dns(as_json: Json = False) -> None:
    """Show the DNS records that mail needs (SPF, DKIM of each key, DMARC, MX), and what is wrong with them.

    Asks the name servers of this machine. Exit code 1 if a record is missing or wrong.
    """
    from dns.resolver import Resolver

    from campaigns.dns_records import asking, dns_records

    records = dns_records(load_settings(), asking(Resolver()))
    if as_json:
        answer([vars(record) for record in records], as_json=True)
    for record in () if as_json else records:
        print(f"{record.what}: {record.type} {record.name} {record.fault or 'is right'}")
        print(f"  wanted: {record.wanted}")  # on one line, however long: to be copied
        for found in record.found:
            print(f"  found:  {found}")
    if any(record.fault for record in records):
        raise typer.Exit(1)
