"""What every mailer is tried with: a server on this machine behind each, and the same troubles said in its language."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from campaigns.mailers import (
    Deferred,
    DeliveryRefused,
    DeliveryUncertain,
    Mail,
    MailerError,
    Messenger,
    More,
    ServerUnreachable,
)
from campaigns.mailers.sendgrid import SendGridMailer
from campaigns.mailers.ses import SesMailer
from campaigns.mailers.smtp import SmtpMailer
from campaigns.mailers.webhook import WebhookMessenger
from campaigns.message import build_message
from campaigns.quoted import Body
from campaigns.render import Rendered
from core.settings import Settings
from tests.campaigns.fake_providers import (
    SENDGRID_KEY,
    SES_KEY,
    SES_SECRET,
    WEBHOOK_SECRET,
    FakeProvider,
    FakeReceiver,
    FakeSendGrid,
    FakeSes,
    Fault,
    Taken,
)  # fmt: skip
from tests.campaigns.signing import SEND_AT
from tests.faults import scripted_smtp
from tests.faults.scripted_smtp import ScriptedSmtp, Stage

LONG_SECONDS = 30
"""As long as a mailer of the kit waits for an answer that comes: a machine under load takes its time."""
SHORT_SECONDS = 2
"""As long as it waits for one that does not."""


class Trouble(StrEnum):
    """What may become of a mail."""

    NOT_NOW = "the server would take it later"
    NEVER = "the server does not like what it says"
    NOT_US = "the server does not let us in"
    DROPPED = "the line is lost when the server has it"
    SILENT = "no answer"
    NONSENSE = "an answer that is none"


ERRORS: dict[Trouble, type[MailerError]] = {
    Trouble.NOT_NOW: Deferred,
    Trouble.NEVER: DeliveryRefused,
    Trouble.NOT_US: ServerUnreachable,
    Trouble.DROPPED: DeliveryUncertain,
    Trouble.SILENT: DeliveryUncertain,
    Trouble.NONSENSE: DeliveryUncertain,
}
"""What a mailer has to say of each."""
LOST = {Trouble.DROPPED, Trouble.SILENT, Trouble.NONSENSE}
"""The server has it, and nobody was told."""
SMTP_FAULTS: dict[Trouble, dict[str, Any]] = {
    Trouble.NOT_NOW: {"stage": Stage.RCPT, "reply": "451 4.3.0 <b0@example.com>: later"},
    Trouble.NEVER: {"stage": Stage.DOT, "reply": "550 5.7.1 <b0@example.com>: not this"},
    Trouble.NOT_US: {"stage": Stage.MAIL, "reply": "530 5.7.0 <b0@example.com>: log in first"},
    Trouble.DROPPED: {"stage": Stage.DOT, "closes": True, "takes": True},
    Trouble.SILENT: {"stage": Stage.DOT, "takes": True},
    Trouble.NONSENSE: {
        "stage": Stage.DOT,
        "reply": "HTTP/1.1 400 b0@example.com",
        "closes": True,
        "takes": True,
    },
}
HTTP_FAULTS = {
    Trouble.NOT_NOW: Fault(429, '{"message":"too many for b0@example.com"}'),
    Trouble.NEVER: Fault(400, '{"message":"b0@example.com: not this"}', "MessageRejected"),
    Trouble.NOT_US: Fault(403, '{"message":"b0@example.com may not send"}'),
    Trouble.DROPPED: Fault(instead="drop", takes=True),
    Trouble.SILENT: Fault(instead="stall", takes=True),
    Trouble.NONSENSE: Fault(instead="nonsense", takes=True),
}


class World(Protocol):
    """A server of one kind."""

    @property
    def taken(self) -> list[Taken]: ...

    @property
    def connections(self) -> int:
        """How many were opened."""

    def mailer(self, connections: int = 4, seconds: float = LONG_SECONDS) -> Messenger:
        """Return a messenger that waits so long for an answer."""

    def strike(self, trouble: Trouble) -> None:
        """Let the next mail, and no other, meet a trouble."""


class SmtpWorld:
    """An SMTP server."""

    def __init__(self, server: ScriptedSmtp, folder: Path) -> None:
        self._server = server
        self._folder = folder

    @property
    def taken(self) -> list[Taken]:
        return [_as_read(recipient, message) for _, recipient, message in self._server.messages]

    @property
    def connections(self) -> int:
        return self._server.connections

    def mailer(self, connections: int = 4, seconds: float = LONG_SECONDS) -> Messenger:
        settings = _settings(self._folder, connections, smtp_port=self._server.port)
        return SmtpMailer(settings, final_reply_seconds=seconds)

    def strike(self, trouble: Trouble) -> None:
        fault = scripted_smtp.Fault(**SMTP_FAULTS[trouble], times=1)
        self._server.faults[fault.stage] = fault


class ProviderWorld:
    """A provider's API."""

    def __init__(self, provider: FakeProvider, folder: Path) -> None:
        self._provider = provider
        self._folder = folder

    @property
    def taken(self) -> list[Taken]:
        return self._provider.taken

    @property
    def connections(self) -> int:
        return self._provider.connections

    def mailer(self, connections: int = 4, seconds: float = LONG_SECONDS) -> Messenger:
        if isinstance(self._provider, FakeSes):
            settings = ses_settings(self._folder, self._provider.url, connections)
            return SesMailer(settings, reply_seconds=seconds)
        settings = sendgrid_settings(self._folder, self._provider.url, connections)
        return SendGridMailer(settings, reply_seconds=seconds)

    def strike(self, trouble: Trouble) -> None:
        self._provider.faults.append(HTTP_FAULTS[trouble])


class WebhookWorld:
    """A shop's webhook."""

    def __init__(self, receiver: FakeReceiver, folder: Path) -> None:
        self._receiver = receiver
        self._folder = folder

    @property
    def taken(self) -> list[Taken]:
        return self._receiver.taken

    @property
    def connections(self) -> int:
        return self._receiver.connections

    def mailer(self, connections: int = 4, seconds: float = LONG_SECONDS) -> Messenger:
        settings = webhook_settings(self._folder, f"{self._receiver.url}/lapwing", connections)
        return WebhookMessenger(settings, reply_seconds=seconds)

    def strike(self, trouble: Trouble) -> None:
        self._receiver.faults.append(HTTP_FAULTS[trouble])


def error_of(kind: str, trouble: Trouble) -> type[MailerError]:
    """Return what a messenger of a kind has to say: a webhook's receiver counts a message once, so none is uncertain."""
    return Deferred if kind == "webhook" and trouble in LOST else ERRORS[trouble]


@contextmanager
def world_of(kind: str, folder: Path) -> Iterator[World]:
    if kind == "smtp":
        with ScriptedSmtp() as server:
            yield SmtpWorld(server, folder)
        return
    if kind == "webhook":
        with FakeReceiver() as receiver:
            yield WebhookWorld(receiver, folder)
        return
    with {"ses": FakeSes, "sendgrid": FakeSendGrid}[kind]() as provider:
        yield ProviderWorld(provider, folder)


def ses_settings(folder: Path, url: str, connections: int = 4, **more: object) -> Settings:
    keys = {"ses_region": "eu-west-1", "ses_access_key_id": SES_KEY, "ses_secret_access_key": SES_SECRET}
    return _settings(folder, connections, mailer="ses", mailer_url=url, **(keys | more))


def sendgrid_settings(folder: Path, url: str, connections: int = 4, **more: object) -> Settings:
    key = {"sendgrid_api_key": SENDGRID_KEY}
    return _settings(folder, connections, mailer="sendgrid", mailer_url=url, **(key | more))


def webhook_settings(folder: Path, url: str, connections: int = 4, **more: object) -> Settings:
    secret = {"webhook_secrets": WEBHOOK_SECRET}
    return _settings(folder, connections, webhook_url=url, **(secret | more))


def _settings(folder: Path, connections: int, **more: Any) -> Settings:
    return Settings(_env_file=None, data_dir=folder, token_key="k" * 40, smtp_connections=connections, **more)


TEXT, HTML = "Grüße\n.dot", "<p>Grüße &amp; more</p>"


def mail_to(number: int, sender: str = "hello@juniper.example") -> Mail:
    """Return a mail as campaigns make them, to b0@example.com, b1@example.com and so on."""
    recipient = f"b{number}@example.com"
    message = build_message(
        Rendered(f"Wir vermissen dich, {number}", "", Body.of(HTML), Body.of(TEXT), {}),
        send_id=f"s{number}",
        campaign_id="winback",
        sender="Juniper Märkte <hello@juniper.example>",
        recipient=recipient,
        send_at=SEND_AT,
        unsubscribe_url="https://t.juniper.example/u/" + "a" * 300,
    )
    return Mail(sender, recipient, message)


def message_to(number: int) -> Mail:
    """Return a message to b0@example.com and so on: the shop's own number of that customer looks like an address."""
    recipient = f"b{number}@example.com"
    data = {"send_id": f"s{number}", "customer_id": recipient, "text": TEXT}
    return Mail(f"s{number}", recipient, json.dumps({"data": data}).encode())


def more_of(mails: list[Mail]) -> More:
    """Return what gives these mails, as many at a time as are asked for."""
    left = iter(mails)
    return lambda free: list(islice(left, free))


def hand_over(mailer: Messenger, *numbers: int) -> list[str | MailerError]:
    """Hand over mails to people of these numbers; return the answers in their order."""
    make = message_to if isinstance(mailer, WebhookMessenger) else mail_to
    group = [make(number) for number in numbers]
    answers: dict[Mail, str | MailerError] = {}
    mailer.hand_over(more_of(group), answers.__setitem__)
    assert len(answers) == len(group)
    return [answers[mail] for mail in group]


def _as_read(recipient: str, message: bytes) -> Taken:
    parsed: Any = message_from_bytes(message, policy=policy.default)
    parts = [
        (part.get_content_type(), part.get_content()) for part in parsed.walk() if not part.is_multipart()
    ]
    return Taken(recipient, parsed["Subject"], parts, dict(parsed.items()))
