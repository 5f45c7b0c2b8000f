"""Mails from plan rows."""

from datetime import date

from campaigns.ledger import DueSend
from campaigns.message import build_message
from campaigns.payload import build_payload
from campaigns.plan import PLAN
from campaigns.render import LinkAddresses, render
from campaigns.sends import MAIL
from campaigns.templates import TemplateStore
from core.errors import LedgerBroken
from core.published import Published
from core.settings import Settings
from core.tokens import Tokens


class Messages:
    """Makes the bytes of a send's mail, from its plan row alone; `days` are those of the mails it made."""

    def __init__(self, settings: Settings) -> None:
        self.days: set[date] = set()
        self._settings = settings
        self._tokens = Tokens(settings.token_key)
        self._templates = TemplateStore(settings.published / "templates")
        self._rows: dict[date, dict[str, tuple[str, str, str]]] = {}

    def rows_of(self, day: date) -> dict[str, tuple[str, str, str]]:
        """Return send_id → template version, locale and facts (JSON) of the planned rows of a day."""
        if day not in self._rows:
            columns = ["verdict", "send_id", "template_version", "locale", "facts"]
            plan = Published(self._settings.published).read(PLAN, day, columns)
            rows = zip(*(plan[name].to_pylist() for name in columns), strict=True)
            self._rows[day] = {
                send_id: (version, locale, facts)
                for verdict, send_id, version, locale, facts in rows
                if verdict == "planned"
            }
        return self._rows[day]

    def __call__(self, send: DueSend) -> bytes:
        row = self.rows_of(send.as_of_date).get(send.send_id)
        if row is None and send.as_of_date in self.days:  # since we read it, the plan may have grown
            del self._rows[send.as_of_date]
            row = self.rows_of(send.as_of_date).get(send.send_id)
        if row is None:
            raise LedgerBroken(
                f"send '{send.send_id}' is in the ledger but not in the plan of {send.as_of_date}"
            )
        self.days.add(send.as_of_date)
        version, locale, facts = row
        addresses = LinkAddresses.of(send.send_id, self._settings.tracking_url, self._tokens)
        rendered = render(self._templates.load(send.campaign_id, version), facts, locale, addresses)
        if send.channel != MAIL:
            return build_payload(send, rendered.text.strip(), locale, facts, str(addresses.unsubscribe))
        return build_message(
            rendered,
            send_id=send.send_id,
            campaign_id=send.campaign_id,
            sender=self._settings.from_address,
            recipient=send.address,
            send_at=send.send_at,
            unsubscribe_url=addresses.unsubscribe,
        )
