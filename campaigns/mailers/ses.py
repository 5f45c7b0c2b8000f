"""Messages through Amazon SES, API version 2: `SendEmail` with the message as it is.

SES puts a Message-ID and a Date of its own into it and signs it. Bounces go to the mail's return address.
"""

import base64
import json

import httpx

from campaigns.mailers import REPLY_SECONDS, Deferred, Mail, MailerError, ServerUnreachable
from campaigns.mailers.aws_signature import AwsKey
from campaigns.mailers.http import HttpMailer
from core.clock import system_clock
from core.errors import SettingsError
from core.settings import Settings

_PATH = "/v2/email/outbound-emails"
# Amazon SES API v2 reference, SendEmail, "Errors" and "Common Errors": all of them come with status 400
_NOT_NOW = frozenset({"LimitExceededException", "ThrottlingException", "TooManyRequestsException"})
_ABOUT_US = frozenset(
    {"AccountSuspendedException", "MailFromDomainNotVerifiedException", "SendingPausedException"}
)


class SesMailer(HttpMailer):
    """A mailer that talks to Amazon SES in `settings.ses_region`."""

    def __init__(self, settings: Settings, *, reply_seconds: float = REPLY_SECONDS) -> None:
        secret = settings.ses_secret_access_key.get_secret_value()
        if not (settings.ses_region and settings.ses_access_key_id and secret):
            raise SettingsError(
                "LAPWING_MAILER is ses, which needs LAPWING_SES_REGION, LAPWING_SES_ACCESS_KEY_ID and"
                " LAPWING_SES_SECRET_ACCESS_KEY"
            )
        url = f"https://email.{settings.ses_region}.amazonaws.com"
        super().__init__(settings, url, reply_seconds=reply_seconds)
        self._key = AwsKey(settings.ses_access_key_id, secret, settings.ses_region, "ses")
        self._configuration_set = settings.ses_configuration_set

    def request_of(self, mail: Mail) -> httpx.Request:
        """Return the signed request: the message in base64, for one recipient, bounces to the return address."""
        order: dict[str, object] = {
            "Destination": {"ToAddresses": [mail.recipient]},
            "FeedbackForwardingEmailAddress": mail.sender,
            "Content": {"Raw": {"Data": base64.b64encode(mail.message).decode()}},
        }
        if self._configuration_set:
            order["ConfigurationSetName"] = self._configuration_set
        body = json.dumps(order).encode()
        headers = {
            "content-type": "application/json",
            "host": self.server,
            "x-amz-date": f"{system_clock():%Y%m%dT%H%M%SZ}",  # Amazon compares it with the time there is
        }
        authorization = self._key.authorization("POST", _PATH, headers, body)
        return self._client.build_request(
            "POST", _PATH, headers=headers | {"authorization": authorization}, content=body
        )

    def message_id_of(self, response: httpx.Response) -> str:
        try:
            return str(response.json()["MessageId"])
        except (ValueError, KeyError, TypeError):
            return ""

    def error_of(self, response: httpx.Response, words: str) -> MailerError | None:
        """Return what the error is called where the status, 400, does not say it."""
        name = response.headers.get("x-amzn-errortype", "").partition(":")[0]
        if name in _NOT_NOW:
            return Deferred(f"{name}: {words}")
        if name in _ABOUT_US:
            return ServerUnreachable(f"{name}: {words}")
        return None
