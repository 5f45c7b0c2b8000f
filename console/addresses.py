"""Addresses in a mail: which are ours (click, pixel, unsubscribe, preferences), and where a click really leads."""

import re
from collections.abc import Callable

from console.ledger import LedgerReader
from core.settings import Settings
from core.tokens import TokenKind, Tokens


class MailAddresses:
    """Reads the tracking addresses that the mails carry."""

    def __init__(self, settings: Settings, ledger: LedgerReader) -> None:
        base = re.escape(settings.tracking_url.rstrip("/"))
        self._click = re.compile(rf"{base}/c/([\w.~-]+)")
        self._counted = re.compile(rf"{base}/([coup])/[\w.~-]+")
        self._tokens = Tokens(settings.token_key)
        self._ledger = ledger

    def leads_to(self, content: str) -> Callable[[str], str]:
        """Return a function that names where an address in `content` leads, for a person to read."""
        targets = self.targets(content)

        def name(address: str) -> str:
            click = self._click.match(address)
            if click:
                return targets.get(click[1], "a target the ledger does not know")
            counted = self._counted.match(address)
            if counted is None:
                return address
            return "the preferences page" if counted[1] == "p" else "the unsubscribe page"

        return name

    def targets(self, content: str) -> dict[str, str]:
        """Return where the click tokens in `content` lead, by token, in order of appearance."""
        link_ids = {}
        for token in dict.fromkeys(self._click.findall(content)):
            read = self._tokens.read(TokenKind.CLICK, token)
            if read is not None:
                link_ids[token] = read[1]
        targets = self._ledger.targets(link_ids.values())
        return {token: targets[link_id] for token, link_id in link_ids.items() if link_id in targets}

    def readable(self, text: str) -> str:
        """Return a text part with targets in place of tracking addresses: following one would count."""
        leads_to = self.leads_to(text)
        return self._counted.sub(lambda found: f"[{leads_to(found[0])}]", text)

    def without_tokens(self, header: str) -> str:
        """Return a header without live tokens: whoever copies one could unsubscribe the customer."""
        base = self._counted
        return base.sub(lambda found: found[0].rpartition("/")[0] + "/[token]", header)
