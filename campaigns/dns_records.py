"""The DNS records by which receivers tell our mail from forged mail, and what is wrong with those there are.

SPF (RFC 7208) and MX belong to the domain that bounces go to, DMARC (RFC 7489) to that of the From address, DKIM (RFC 6376)
to the one that signs.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dns.exception import DNSException
from dns.resolver import NXDOMAIN, NoAnswer, Resolver

from campaigns.dkim import Signer, signers_of
from campaigns.message import author_of
from core.errors import ServiceFailed
from core.settings import LOOPBACK, Settings

LookUp = Callable[[str, str], list[str]]
"""Returns what the DNS says of a name and a type (TXT, MX), one text a record; none where there is none."""

ANSWER_SECONDS = 10.0
_POLICIES = {"none", "quarantine", "reject"}


@dataclass(frozen=True)
class Record:
    """A record as it should be, what the DNS has in its place, and what is wrong ("" if nothing is)."""

    what: str
    name: str
    type: str
    wanted: str
    found: list[str]
    fault: str


def dns_records(settings: Settings, look_up: LookUp) -> list[Record]:
    """Return every record that mail of these settings needs, checked.

    Raises
    ------
    SettingsError
        If a key that signs mail cannot be used.
    ServiceFailed
        If the DNS does not answer.
    """
    author_domain = author_of(settings.from_address)[1]
    bounce_domain = settings.bounce_domain or author_domain
    return [
        _spf(bounce_domain, settings.smtp_host, look_up),
        *(_dkim(signer, look_up) for signer in signers_of(settings)),
        _dmarc(author_domain, look_up),
        _mx(bounce_domain, look_up),
    ]


def asking(resolver: Resolver) -> LookUp:
    """Return how to ask the name servers of a resolver.

    Raises
    ------
    ServiceFailed
        When asked, if none answers within ten seconds.
    """

    def look_up(name: str, kind: str) -> list[str]:
        try:
            found = resolver.resolve(name, kind, lifetime=ANSWER_SECONDS)
        except (NXDOMAIN, NoAnswer):
            return []
        except DNSException as error:
            raise ServiceFailed(
                f"the DNS does not answer what {kind} {name} is ({type(error).__name__}); try again, or elsewhere"
            ) from None
        if kind == "MX":
            return [each.exchange.to_text() for each in found]
        return [b"".join(each.strings).decode("utf-8", "replace") for each in found]

    return look_up


def _spf(domain: str, smtp_host: str, look_up: LookUp) -> Record:
    found = [text for text in look_up(domain, "TXT") if re.match(r"v=spf1(\s|$)", text, re.IGNORECASE)]
    fault = _not_one(found, "senders")
    if not fault:
        last = found[0].lower().split()[-1]
        if last not in ("-all", "~all") and not last.startswith("redirect="):
            fault = "lets anybody send: end it with -all or ~all"
    server = "include:YOUR-PROVIDER" if smtp_host in LOOPBACK else f"a:{smtp_host}"
    return Record("SPF", domain, "TXT", f"v=spf1 {server} -all", found, fault)


def _dkim(signer: Signer, look_up: LookUp) -> Record:
    name, wanted = signer.record
    found = look_up(name, "TXT")
    fault = _not_one(found, "keys")
    if not fault:
        tags, ours = _tags(found[0]), _tags(wanted)
        if tags.get("p") != ours["p"] or tags.get("k", "rsa") != ours["k"]:
            fault = "is another key than the one that signs: every signature fails"
        elif "y" in tags.get("t", "").split(":"):
            fault = "says t=y (only a test): receivers treat mail as unsigned"
    return Record("DKIM", name, "TXT", wanted, found, fault)


def _dmarc(domain: str, look_up: LookUp) -> Record:
    wanted = f"v=DMARC1; p=quarantine; rua=mailto:dmarc@{domain}"
    name, found = next(
        ((name, found) for name in _upwards(domain) if (found := _dmarc_at(name, look_up))),
        (f"_dmarc.{domain}", []),
    )
    fault = _not_one(found, "policies")
    if not fault and _tags(found[0]).get("p") not in _POLICIES:
        fault = f"has no policy: p= is one of {', '.join(sorted(_POLICIES))}"
    return Record("DMARC", name, "TXT", wanted, found, fault)


def _upwards(domain: str) -> Iterator[str]:
    """Yield where a DMARC record may stand: at the domain, then at each one above it but the topmost."""
    labels = domain.split(".")
    for depth in range(max(1, len(labels) - 1)):
        yield "_dmarc." + ".".join(labels[depth:])


def _dmarc_at(name: str, look_up: LookUp) -> list[str]:
    return [text for text in look_up(name, "TXT") if text.startswith("v=DMARC1")]


def _mx(domain: str, look_up: LookUp) -> Record:
    found = look_up(domain, "MX")
    fault = "" if found else "is missing: bounces and answers reach nobody"
    if found == ["."]:  # RFC 7505
        fault = "says that the domain takes no mail: bounces and answers reach nobody"
    return Record("MX", domain, "MX", "10 THE-SERVER-THAT-TAKES-YOUR-MAIL.", found, fault)


def _not_one(found: list[str], of_what: str) -> str:
    if not found:
        return "is missing"
    return (
        "" if len(found) == 1 else f"is there {len(found)} times: with two lists of {of_what} neither counts"
    )


def _tags(record: str) -> dict[str, str]:
    """Return the tags of a record like `v=DKIM1; p=…`, without blanks."""
    pairs = (tag.partition("=") for tag in record.split(";"))
    return {name.strip(): re.sub(r"\s", "", value) for name, _, value in pairs}
