"""How many mails a second are made from plan rows: `python -m benchmarks.render` (`make bench-render`).

SIMULATED plan rows (`benchmarks/mails.py`): six products, each with a signed link; from the row's JSON to the bytes of the whole
message, signature aside. Beside ours the same mail as one makes it with compiled Jinja and the email package. CPU seconds of
one core; both take turns, and each turn has customers of its own.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from email.message import EmailMessage
from email.utils import format_datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2

from benchmarks.mails import CAMPAIGN, DAY, LOCALES, made_plan
from benchmarks.results import Result, write
from campaigns.facts import clean_facts, one_line
from campaigns.language import GAPLESS, environment, formats_of, layout_of, locale_chain, translations
from campaigns.ledger import LedgerSend
from campaigns.making import Messages
from campaigns.quoted import tidy
from campaigns.render import LinkAddresses, header_text, link_id_of, tiles, without_gaps_in_text
from campaigns.templates import Template, TemplateStore
from core.settings import Settings
from core.tokens import Tokens

RUNS, MAILS, FEWER = 5, 3_000, 10
TARGET = 15_000
MailOf = Callable[[LedgerSend], bytes]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--mails", type=int, default=MAILS, help="mails of ours in a turn; of the other a tenth"
    )
    mails = parser.parse_args(arguments).mails
    found = [result for locale in LOCALES for result in results(locale, mails)]
    write("render", f"mails of six products from their plan rows, {mails:,} in each of {RUNS} turns", found)


def results(locale: str, mails: int) -> Iterator[Result]:
    """Yield the rate of both ways in a locale, and how large a mail is."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(_env_file=None, data_dir=Path(folder), token_key="k" * 40)
        sends = made_plan(settings, (RUNS + 1) * mails, locale)
        ours, theirs = Messages(settings), by_jinja_and_email(settings)
        of_ours, of_theirs = [], []
        for turn in range(RUNS + 1):
            some = sends[turn * mails : (turn + 1) * mails]
            of_ours.append(rate(ours, some))
            of_theirs.append(rate(theirs, some[:: min(FEWER, len(some))]))
        size = statistics.mean(len(ours(send)) for send in some)
    fast = statistics.median(of_ours[1:])  # the first turn compiles
    yield Result(f"{locale}: mails a second", fast, "", f"≥ {TARGET:,}", fast >= TARGET)
    yield Result(
        f"{locale}: compiled Jinja and EmailMessage", statistics.median(of_theirs[1:]), "", "the peer"
    )
    yield Result(f"{locale}: a mail", size / 1000, "kB", "no target")


def rate(mail_of: MailOf, sends: list[LedgerSend]) -> float:
    """Return how many mails a second of CPU time are made."""
    start = time.process_time()
    for send in sends:
        mail_of(send)
    return len(sends) / (time.process_time() - start)


def by_jinja_and_email(settings: Settings) -> MailOf:
    """Return what makes the same mails the plain way."""
    rows = Messages(settings).rows_of(DAY)
    store, tokens = TemplateStore(settings.published / "templates"), Tokens(settings.token_key)

    def mail_of(send: LedgerSend) -> bytes:
        version, locale, facts = rows[send.send_id]
        addresses = LinkAddresses.of(send.send_id, settings.tracking_url, tokens)
        subject, html, text = plain(store.load(CAMPAIGN, version), clean_facts(facts), locale, addresses)
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = settings.from_address, send.address, subject
        message["Date"], message["Message-ID"] = (
            format_datetime(send.send_at),
            f"<{send.send_id}@lapwing.example>",
        )
        message["List-Unsubscribe"] = f"<{addresses.unsubscribe}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        message["X-Lapwing-Send"], message["X-Lapwing-Campaign"] = send.send_id, CAMPAIGN
        message.set_content(text)
        message.add_alternative(html, subtype="html")
        return bytes(message)

    return mail_of


def plain(
    template: Template, facts: Mapping[str, Any], locale: str, addresses: LinkAddresses
) -> tuple[str, str, str]:
    """Return subject, HTML and text as Jinja itself renders the sources."""
    sources, constants, is_gapless = _by_jinja(template, locale)
    names = {
        **facts,
        **constants,
        "link": lambda target: str(addresses.click(link_id_of(target))),
        "pixel_url": str(addresses.pixel),
        "unsubscribe_url": str(addresses.unsubscribe),
        "preferences_url": str(addresses.preferences),
    }

    def part(name: str) -> str:
        text = sources[name].render(names)
        return without_gaps_in_text(text, html=name == "html") if is_gapless else text

    subject, preheader = [line.strip() for line in part("subject").splitlines() if line.strip()]
    subject = header_text(subject)
    names |= {"subject": subject, "preheader": one_line(preheader)}
    return subject, part("html"), tidy(part("text"))


@lru_cache(maxsize=64)
def _by_jinja(template: Template, locale: str) -> tuple[dict[str, jinja2.Template], dict[str, Any], bool]:
    catalogues = dict(template.catalogues)
    chain = locale_chain(locale, list(catalogues))
    speech, formats = translations(chain, catalogues), formats_of(locale, chain)
    marked_up, unmarked = (environment(speech, formats, html=html) for html in (True, False))
    sources = {
        "subject": unmarked.from_string(template.subject),
        "html": marked_up.from_string(template.html),
        "text": unmarked.from_string(template.text),
    }
    constants = {
        "brand": template.brand.model_dump(),
        **layout_of(formats),
        "tile": tiles(template.brand),
    }
    return sources, constants, formats.language in GAPLESS


if __name__ == "__main__":
    main()
