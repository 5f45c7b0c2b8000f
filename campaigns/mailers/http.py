"""Messages by HTTP: a request each, on connections that are kept.

Neither Amazon SES (v2) nor SendGrid (v3) knows a key that makes a repeated request harmless. So an answer that is lost leaves
a mail uncertain, and so does a 500: it says that something broke, not that nothing was done.
"""

import asyncio
import math
import time
from abc import ABC, abstractmethod

import httpx

from campaigns.mailers import (
    GRACE_SECONDS,
    REPLY_SECONDS,
    Answered,
    Deferred,
    DeliveryRefused,
    DeliveryUncertain,
    Mail,
    MailerError,
    More,
    ServerUnreachable,
    last_words,
)
from core.errors import SettingsError
from core.settings import LOOPBACK, Settings

_NOT_NOW = frozenset({429, 503})
_ABOUT_THE_MAIL = frozenset({400, 413, 422})


class HttpMessenger(ABC):
    """What all that go by HTTP share: connections, groups, and what a status means.

    Parameters
    ----------
    reply_seconds
        How long to wait for an answer.
    """

    lost: type[MailerError] = DeliveryUncertain
    """What it means that the line is lost, or the answer none, once the request had begun."""

    def __init__(self, address: httpx.URL, connections: int, reply_seconds: float) -> None:
        self.at_once = connections
        self.server = address.netloc.decode()
        self._client = httpx.AsyncClient(
            base_url=address,
            timeout=reply_seconds,
            limits=httpx.Limits(max_connections=self.at_once),
            trust_env=False,
        )
        self._loop = asyncio.new_event_loop()
        self._under_way: dict[asyncio.Task[str | MailerError], Mail] = {}

    @abstractmethod
    def request_of(self, mail: Mail) -> httpx.Request:
        """Return the request that hands a mail over."""

    @abstractmethod
    def message_id_of(self, response: httpx.Response) -> str:
        """Return the provider's own name of a mail, from the answer that accepts it; "" if it has none."""

    def error_of(self, response: httpx.Response, words: str) -> MailerError | None:
        """Return what an answer that is no success means; None where its status says it."""
        return None

    def was_delivered(self, message_id: str) -> bool | None:
        return None

    def hand_over(self, more: More, answered: Answered) -> None:
        """Hand over what `more` gives, each mail by a request of its own; ask for more when half of them are answered."""
        try:
            self._hand_over(more, answered, math.inf)
        except BaseException:  # stopped: what is in flight gets a moment
            self._hand_over(lambda _: [], answered, time.monotonic() + GRACE_SECONDS)
            raise
        finally:  # what is left then must not go out later
            if self._under_way:
                for task in self._under_way:
                    task.cancel()
                self._loop.run_until_complete(asyncio.wait(self._under_way))
                self._under_way.clear()

    def close(self) -> None:
        self._loop.run_until_complete(self._client.aclose())
        self._loop.close()

    def _hand_over(self, more: More, answered: Answered, until: float) -> None:
        while (left := until - time.monotonic()) > 0:
            free = self.at_once - len(self._under_way)
            if 2 * free >= self.at_once:
                for mail in more(free) or ():
                    self._under_way[self._loop.create_task(self._answer(mail))] = mail
            if not self._under_way:
                return
            patience = min(left, GRACE_SECONDS)  # asyncio counts no infinity
            heard = asyncio.wait(self._under_way, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            for task in self._loop.run_until_complete(heard)[0]:
                answered(self._under_way.pop(task), task.result())

    async def _answer(self, mail: Mail) -> str | MailerError:
        try:
            return await self._send(mail)
        except MailerError as error:
            return error

    async def _send(self, mail: Mail) -> str:
        request = self.request_of(mail)
        try:
            response = await self._response_to(request)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise ServerUnreachable(f"{self.server}: {last_words(str(error))}") from None
        except httpx.HTTPError as error:
            words = last_words(str(error) or type(error).__name__)
            raise self.lost(f"after the request had begun: {words}") from None
        words = f"{response.status_code} {last_words(response.text)}"
        if not response.is_success:
            raise self.error_of(response, words) or _error_of(response.status_code, words)
        if not (message_id := self.message_id_of(response)):
            raise DeliveryUncertain(f"the answer makes no sense: {words}")
        return f"{response.status_code} {last_words(message_id)}"

    async def _response_to(self, request: httpx.Request) -> httpx.Response:
        return await self._client.send(request)


class HttpMailer(HttpMessenger):
    """What the mailers of both providers share.

    Parameters
    ----------
    url
        Where the provider's API is, unless `settings.mailer_url` says otherwise.

    Raises
    ------
    SettingsError
        If a secret would cross the network in clear, or mail is to be signed by us: both providers change fields that
        a signature of ours covers.
    """

    def __init__(self, settings: Settings, url: str, *, reply_seconds: float = REPLY_SECONDS) -> None:
        address = httpx.URL(settings.mailer_url or url)
        if address.scheme != "https" and address.host not in LOOPBACK:
            raise SettingsError("LAPWING_MAILER_URL must begin with https://: requests carry a secret")
        if settings.dkim_keys:
            raise SettingsError(
                "LAPWING_DKIM_KEYS is set, but providers change what those keys sign: leave it empty and have"
                f" {settings.mailer} sign for your domain (docs/deployment.md)"
            )
        super().__init__(address, settings.smtp_connections, reply_seconds)


def _error_of(status: int, words: str) -> MailerError:
    if status in _NOT_NOW:
        return Deferred(words)
    if status >= 500:
        return DeliveryUncertain(words)
    if status in _ABOUT_THE_MAIL:
        return DeliveryRefused(words, is_about_person=False)
    return ServerUnreachable(
        words
    )  # a login, a right or an address of ours is wrong: the same for every mail
