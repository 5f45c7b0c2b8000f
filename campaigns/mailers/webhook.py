"""Messages of other channels than mail, handed to the shop's own address: signed JSON, by the rules of Standard Webhooks.

A request carries the send_id as its `webhook-id`, and whoever keeps those rules counts a `webhook-id` once, however often it
comes (docs/campaigns.md). So an answer that is lost, which leaves a mail uncertain, here only puts the message off.
"""

import asyncio
from contextlib import aclosing

import httpx

from campaigns.mailers import REPLY_SECONDS, Deferred, Mail, MailerError
from campaigns.mailers.http import HttpMessenger
from campaigns.mailers.webhook_signature import keys_of, signatures
from core.clock import system_clock
from core.errors import SettingsError
from core.settings import LOOPBACK, Settings

_ANSWER_LIMIT = 16_384  # bytes; more than anybody has to say


class WebhookMessenger(HttpMessenger):
    """A messenger that posts to `settings.webhook_url`. It follows no redirect.

    Raises
    ------
    SettingsError
        If a message would cross the network in clear, or unsigned.
    """

    lost = Deferred

    def __init__(self, settings: Settings, *, reply_seconds: float = REPLY_SECONDS) -> None:
        self._address = httpx.URL(settings.webhook_url)
        if self._address.scheme != "https" and self._address.host not in LOOPBACK:
            raise SettingsError("LAPWING_WEBHOOK_URL must begin with https://: messages are about people")
        if self._address.userinfo:
            raise SettingsError("LAPWING_WEBHOOK_URL must hold no login: requests are signed")
        self._keys = keys_of(settings.webhook_secrets.get_secret_value())
        self._reply_seconds = reply_seconds
        super().__init__(self._address, settings.smtp_connections, reply_seconds)

    def request_of(self, mail: Mail) -> httpx.Request:
        """Return the signed request: the message as it is, under its send_id."""
        moment = int(system_clock().timestamp())  # receivers compare it with the time there is
        headers = {
            "content-type": "application/json",
            "accept-encoding": "identity",
            "webhook-id": mail.sender,
            "webhook-timestamp": f"{moment}",
            "webhook-signature": signatures(self._keys, mail.sender, moment, mail.message),
        }
        return self._client.build_request("POST", self._address, headers=headers, content=mail.message)

    def message_id_of(self, response: httpx.Response) -> str:
        return str(response.request.headers["webhook-id"])

    def error_of(self, response: httpx.Response, words: str) -> MailerError | None:
        """Return that it is to be tried again where the receiver says that it failed."""
        return Deferred(words) if response.is_server_error else None

    def was_delivered(self, message_id: str) -> bool | None:
        """Return False: nobody knows, and the receiver hears it again without harm."""
        return False

    async def _response_to(self, request: httpx.Request) -> httpx.Response:
        """Return the answer with the first bytes of what it says, all of it within `reply_seconds`."""
        said = b""
        try:
            async with asyncio.timeout(self._reply_seconds):
                response = await self._client.send(request, stream=True)
                async with aclosing(response):
                    async for piece in response.aiter_raw(_ANSWER_LIMIT):
                        said += piece
                        if len(said) >= _ANSWER_LIMIT:
                            break
        except TimeoutError:
            raise httpx.ReadTimeout("no whole answer in time") from None
        return httpx.Response(response.status_code, content=said[:_ANSWER_LIMIT], request=request)
