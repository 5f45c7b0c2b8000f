"""The mails of the local inbox as a mail program reads them: headers first, the HTML part when one is opened."""

from collections.abc import Collection
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from email.parser import BytesHeaderParser, BytesParser
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

from core.errors import CampaignInvalid, SettingsError
from core.settings import LOOPBACK

ONE_CLICK = "List-Unsubscribe=One-Click"


@dataclass(frozen=True)
class InboxMail:
    """A message by its headers; `tracking_url` is where its links lead, without a slash at the end."""

    message_id: str
    address: str
    campaign_id: str
    unsubscribe_url: str
    tracking_url: str
    file: Path

    def html(self) -> str:
        """Return the HTML part.

        Raises
        ------
        CampaignInvalid
            If there is none.
        """
        with self.file.open("rb") as handle:
            message = BytesParser(policy=policy.default).parse(handle)
        part = message.get_body(("html",)) if isinstance(message, EmailMessage) else None
        if part is None:
            raise CampaignInvalid(f"mail {self.message_id} has no HTML part; see its campaign's body.mjml")
        return str(part.get_content())


def mails_in(inbox: Path, send_ids: Collection[str] | None = None) -> list[InboxMail]:
    """Return each message of a Maildir once (by Message-ID), in the order of the ids; none if there is no folder.

    Parameters
    ----------
    send_ids
        Only messages whose X-Lapwing-Send is among them; None: all.

    Raises
    ------
    CampaignInvalid
        If a message cannot be unsubscribed from with one click.
    """
    found: dict[str, InboxMail] = {}
    parser = BytesHeaderParser(policy=policy.default)
    for folder in ("new", "cur"):
        for file in sorted((inbox / folder).glob("[!.]*")):
            with file.open("rb") as handle:
                headers = parser.parse(handle)
            if send_ids is None or headers.get("X-Lapwing-Send", "") in send_ids:
                mail = _mail(headers, file)
                found[mail.message_id] = mail
    return [found[message_id] for message_id in sorted(found)]


def require_loopback(url: str) -> None:
    """Refuse an address on another machine.

    Raises
    ------
    SettingsError
        Naming the host.
    """
    host = urlsplit(url).hostname or ""
    if host not in LOOPBACK:
        raise SettingsError(
            f"simulated readers stay on this machine, and {host or url!r} is not it; give base_url of a local service"
        )


def links_in(html: str, tracking_url: str) -> tuple[list[str], list[str]]:
    """Return (pixels, distinct click links) of a mail, in order: what leads to `/o/` and `/c/` at `tracking_url`."""
    found = _Links()
    found.feed(html)
    pixels = [url for url in found.images if url.startswith(f"{tracking_url}/o/")]
    clicks = [url for url in found.links if url.startswith(f"{tracking_url}/c/")]
    return list(dict.fromkeys(pixels)), list(dict.fromkeys(clicks))


def _mail(headers: EmailMessage, file: Path) -> InboxMail:
    message_id = str(headers.get("Message-ID", "")).strip() or file.name
    offered = [part.strip(" \t<>") for part in str(headers.get("List-Unsubscribe", "")).split(",")]
    url = next((part for part in offered if part.startswith(("https://", "http://"))), "")
    if "/u/" not in url or str(headers.get("List-Unsubscribe-Post", "")).strip() != ONE_CLICK:
        raise CampaignInvalid(
            f"mail {message_id} lacks the List-Unsubscribe header pair of RFC 8058; see campaigns.message"
        )
    return InboxMail(
        message_id=message_id,
        address=str(headers.get("To", "")),
        campaign_id=str(headers.get("X-Lapwing-Campaign", "")),
        unsubscribe_url=url,
        tracking_url=url.rpartition("/u/")[0],
        file=file,
    )


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.images: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "img" and values.get("src"):
            self.images.append(values["src"] or "")
        if tag == "a" and values.get("href"):
            self.links.append(values["href"] or "")
