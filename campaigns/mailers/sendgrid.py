"""Messages through SendGrid, API version 3: `mail/send`, which takes the parts of a message and builds it anew.

SendGrid writes From, Reply-To, To, Subject, Date and the parts by its own rules and signs; our other fields it copies. Its counting of
opens and clicks is switched off, which would change links, add a pixel and an unsubscribe link beside ours.
"""

import email
import email.policy
from email.message import EmailMessage
from typing import Any

import httpx

from campaigns.mailers import REPLY_SECONDS, DeliveryRefused, Mail, MailerError
from campaigns.mailers.http import HttpMailer
from core.errors import SettingsError
from core.settings import Settings

_WRITTEN_ANEW = frozenset({"from", "to", "subject", "date", "mime-version", "content-type", "reply-to"})
_OFF = {"enable": False}


class SendGridMailer(HttpMailer):
    """A mailer that talks to SendGrid."""

    def __init__(self, settings: Settings, *, reply_seconds: float = REPLY_SECONDS) -> None:
        secret = settings.sendgrid_api_key.get_secret_value()
        if not secret:
            raise SettingsError("LAPWING_MAILER is sendgrid, which needs LAPWING_SENDGRID_API_KEY")
        super().__init__(settings, "https://api.sendgrid.com", reply_seconds=reply_seconds)
        self._client.headers["authorization"] = f"Bearer {secret}"

    def request_of(self, mail: Mail) -> httpx.Request:
        return self._client.build_request("POST", "/v3/mail/send", json=_order(mail))

    def message_id_of(self, response: httpx.Response) -> str:
        return str(response.headers.get("x-message-id", ""))

    def error_of(self, response: httpx.Response, words: str) -> MailerError | None:
        """Return a refusal of the person, where the address is what SendGrid minds."""
        if response.status_code != 400:
            return None
        try:
            fields = [str(error["field"]) for error in response.json()["errors"]]
        except (ValueError, KeyError, TypeError):
            return None
        is_about_person = any(field.startswith("personalizations.0.to") for field in fields)
        return DeliveryRefused(words, is_about_person=is_about_person)


def _order(mail: Mail) -> dict[str, Any]:
    """Return a message as SendGrid's parts."""
    message: EmailMessage = email.message_from_bytes(mail.message, policy=email.policy.default)
    author = message["From"].addresses[0]
    kept = {name: str(value) for name, value in message.items() if name.lower() not in _WRITTEN_ANEW}
    about = {"send_id": str(message["X-Lapwing-Send"]), "campaign_id": str(message["X-Lapwing-Campaign"])}
    answers_to = message["Reply-To"]
    return {
        **({"reply_to": {"email": answers_to.addresses[0].addr_spec}} if answers_to else {}),
        "from": {"email": author.addr_spec, "name": author.display_name},
        "personalizations": [{"to": [{"email": mail.recipient}], "headers": kept, "custom_args": about}],
        "subject": str(message["Subject"]),
        "content": [
            {"type": part.get_content_type(), "value": part.get_content()}
            for part in message.walk()
            if not part.is_multipart()
        ],
        "tracking_settings": {"click_tracking": _OFF, "open_tracking": _OFF, "subscription_tracking": _OFF},
    }
