"""Messages over SMTP (RFC 5321): a few connections, reused; every stage's failure told apart.

aiosmtplib speaks the protocol; its event loop runs only while a group of messages is being handed over.
"""

import asyncio
import contextlib
import re
import ssl
from collections.abc import Sequence
from email.utils import parseaddr
from types import TracebackType
from typing import NoReturn, Self

import aiosmtplib
from aiosmtplib.protocol import normalize_message_line_endings

from campaigns.ledger import Evidence
from campaigns.mailers import (
    Answered,
    Deferred,
    DeliveryRefused,
    DeliveryUncertain,
    Mail,
    MailerError,
    ServerUnreachable,
    last_words,
)
from core.errors import SettingsError
from core.settings import LOOPBACK, Settings

REPLY_SECONDS = 60.0
FINAL_REPLY_SECONDS = (
    600.0  # RFC 5321 section 4.5.3.2.6: a server may think for 10 minutes after the final dot
)
GRACE_SECONDS = 10.0
"""How long mails in flight may still be answered once the sender is being stopped."""

# RFC 3463: class.subject.detail. Subject 7 is policy: about who sends and what, never about the mailbox.
_POLICY = re.compile(r"\b5\.7\.\d+\b|\brelay", re.IGNORECASE)
_MAILBOX_CODES = range(550, 560)  # those below are about the conversation (syntax, login)
_WIRE_ADDRESS = re.compile(r"[^\s<>\x00-\x1f\x7f]+@[^\s<>@\x00-\x1f\x7f]+")


class _Client(aiosmtplib.SMTP):
    """A client that hangs up at once: what has not left this machine when it is closed never does."""

    def close(self) -> None:
        transport = self.transport
        super().close()
        if isinstance(transport, asyncio.WriteTransport):
            transport.abort()


class SmtpMailer:
    """A mailer that talks to `settings.smtp_host`.

    Parameters
    ----------
    evidence
        The local inbox, where that is the server. It is asked what became of uncertain messages, so the
        mailer refuses to talk to any server that does not greet as that very inbox.
    tls_context
        Certificates to trust with STARTTLS; the system's by default. They are always verified.
    reply_seconds, final_reply_seconds
        How long to wait for a reply; for the one after the message.
    """

    def __init__(
        self,
        settings: Settings,
        evidence: Evidence | None = None,
        *,
        tls_context: ssl.SSLContext | None = None,
        reply_seconds: float = REPLY_SECONDS,
        final_reply_seconds: float = FINAL_REPLY_SECONDS,
    ) -> None:
        if settings.smtp_username and not settings.smtp_starttls and settings.smtp_host not in LOOPBACK:
            raise SettingsError(
                "LAPWING_SMTP_USERNAME is set but LAPWING_SMTP_STARTTLS is off, so the password would cross"
                " the network in clear: switch STARTTLS on"
            )
        self._settings = settings
        self._evidence = evidence
        self._tls_context = tls_context
        self._reply_seconds = reply_seconds
        self._final_reply_seconds = final_reply_seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._idle: list[aiosmtplib.SMTP] = []
        self.connections = settings.smtp_connections

    @property
    def server(self) -> str:
        if self._evidence is not None:
            return self._evidence.server
        return f"{self._settings.smtp_host}:{self._settings.smtp_port}"

    def was_delivered(self, message_id: str) -> bool | None:
        return None if self._evidence is None else self._evidence.was_delivered(message_id)

    def hand_over(self, group: Sequence[Mail], answered: Answered) -> None:
        """Hand over a group, each mail on a connection of its own; stale connections are renewed once."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        tasks = [
            self._loop.create_task(self._answer(place, mail, answered)) for place, mail in enumerate(group)
        ]
        try:
            self._loop.run_until_complete(asyncio.wait(tasks))
        except (
            BaseException
        ):  # stopped: what is in flight gets a moment, what is left then must not go out later
            self._loop.run_until_complete(asyncio.wait(tasks, timeout=GRACE_SECONDS))
            for task in tasks:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            raise
        for task in tasks:
            task.result()

    def close(self) -> None:
        """Say goodbye on every connection and let them go."""
        if self._loop is None:
            return
        self._loop.run_until_complete(self._quit(*self._idle))
        self._idle.clear()
        self._loop.close()
        self._loop = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def _answer(self, place: int, mail: Mail, answered: Answered) -> None:
        answer: str | MailerError
        try:
            answer = await self._send(mail)
        except MailerError as error:
            answer = error
        answered(place, answer)

    async def _send(self, mail: Mail) -> str:
        for address in (mail.sender, mail.recipient):
            if not _WIRE_ADDRESS.fullmatch(address):
                raise DeliveryRefused(
                    "the address cannot be written in an SMTP command", is_about_person=False
                )
        client = self._open_line()
        was_open = client is not None
        client = client or await self._connect()
        beyond_ascii = not (mail.sender + mail.recipient).isascii()
        try:
            try:
                await self._open_envelope(client, mail.sender, beyond_ascii=beyond_ascii)
            except ServerUnreachable:
                if not was_open:
                    raise
                # The server closed an idle connection, or takes so many messages per connection: ask a new one.
                await self._quit(client)
                client = await self._connect()
                await self._open_envelope(client, mail.sender, beyond_ascii=beyond_ascii)
            await self._command(client, "RCPT", f"TO:<{mail.recipient}>")
            await self._command(client, "DATA")
            reply = await self._body(client, mail.message)
        except (Deferred, DeliveryRefused):
            await self._reset(client)
            raise
        except (ServerUnreachable, DeliveryUncertain, asyncio.CancelledError):
            client.close()
            raise
        self._idle.append(client)
        return reply

    def _open_line(self) -> aiosmtplib.SMTP | None:
        """Return a connection that nobody uses, or None."""
        while self._idle:
            client = self._idle.pop()
            if client.is_connected:
                return client
        return None

    async def _connect(self) -> aiosmtplib.SMTP:
        settings = self._settings
        domain = parseaddr(settings.from_address)[1].rpartition("@")[2]
        if settings.smtp_starttls and self._tls_context is None:
            self._tls_context = ssl.create_default_context()
        client = _Client(
            hostname=settings.smtp_host,
            port=settings.smtp_port,
            username=settings.smtp_username or None,
            password=settings.smtp_password.get_secret_value() or None,
            # Looking up our own host name can take seconds; the sending domain is as good a greeting.
            local_hostname=domain or "localhost",
            start_tls=settings.smtp_starttls,
            tls_context=self._tls_context,
            timeout=self._reply_seconds,
        )
        try:
            greeting = await client.connect()
            if client.is_ehlo_or_helo_needed:
                await client.ehlo()
        except (aiosmtplib.SMTPException, OSError, ssl.SSLError) as error:
            client.close()
            raise ServerUnreachable(
                f"{settings.smtp_host}:{settings.smtp_port}: {last_words(str(error))}"
            ) from None
        if self._evidence is not None and self._evidence.server not in greeting.message.split():
            client.close()
            raise ServerUnreachable(
                f"{settings.smtp_host}:{settings.smtp_port} is not the inbox {self._evidence.server}"
            )
        return client

    async def _open_envelope(self, client: aiosmtplib.SMTP, sender: str, *, beyond_ascii: bool) -> None:
        if beyond_ascii and not client.supports_extension("smtputf8"):
            raise DeliveryRefused("the server takes no addresses beyond ASCII", is_about_person=False)
        options = ("SMTPUTF8",) if beyond_ascii else ()
        await self._command(client, "MAIL", f"FROM:<{sender}>", *options)

    async def _command(self, client: aiosmtplib.SMTP, verb: str, *arguments: str) -> None:
        """Say one command before the body; until its end nothing has been handed over."""
        try:
            reply = await client.execute_command(*(word.encode() for word in (verb, *arguments)))
        except (aiosmtplib.SMTPException, OSError) as error:
            raise ServerUnreachable(f"{verb}: {last_words(str(error))}") from None
        if not (reply.code == 354 if verb == "DATA" else 200 <= reply.code < 300):
            _raise_for(verb, reply)

    async def _body(self, client: aiosmtplib.SMTP, message: bytes) -> str:
        protocol = client.protocol
        if protocol is None:
            raise ServerUnreachable("DATA: connection lost")
        try:
            protocol.write(_on_the_wire(message))
            reply = await protocol.read_response(timeout=self._final_reply_seconds)
        except (aiosmtplib.SMTPException, OSError) as error:
            raise DeliveryUncertain(f"after the body had begun: {last_words(str(error))}") from None
        if not 200 <= reply.code < 300:
            _raise_for("end of data", reply)
        return last_words(str(reply))

    async def _reset(self, client: aiosmtplib.SMTP) -> None:
        """Clear the envelope of a message that was not taken; a server that cannot is left."""
        try:
            await client.rset()
        except (aiosmtplib.SMTPException, OSError):
            client.close()
        else:
            self._idle.append(client)

    async def _quit(self, *clients: aiosmtplib.SMTP) -> None:
        for client in clients:
            with contextlib.suppress(aiosmtplib.SMTPException, OSError):  # we are leaving anyway
                await client.quit(timeout=1)
            client.close()
        for _ in range(3):  # the loop closes sockets a turn later
            await asyncio.sleep(0)


def _on_the_wire(message: bytes) -> bytes:
    """Return the body of DATA: CRLF line ends only, dots doubled (RFC 5321 section 4.5.2), the final dot."""
    if not message.count(b"\n") == message.count(b"\r\n") == message.count(b"\r"):
        message = normalize_message_line_endings(message)
    if not message.endswith(b"\r\n"):
        message += b"\r\n"
    stuffed = message.replace(b"\r\n.", b"\r\n..")
    return (b"." if stuffed.startswith(b".") else b"") + stuffed + b".\r\n"


def _raise_for(stage: str, reply: aiosmtplib.SMTPResponse) -> NoReturn:
    """Raise what a reply means that does not let us go on; `docs/runbooks/send.md` has the table."""
    words, is_end = f"{stage}: {last_words(str(reply))}", stage == "end of data"
    if reply.code == 421 and not is_end:
        raise ServerUnreachable(words)
    if 400 <= reply.code < 500:
        raise Deferred(words)
    if 500 <= reply.code < 600:
        if stage == "MAIL":  # it refuses the sender, which is the same for every mail: the batch should pause
            raise ServerUnreachable(words)
        is_about_person = stage == "RCPT" and reply.code in _MAILBOX_CODES and not _POLICY.search(words)
        raise DeliveryRefused(words, is_about_person=is_about_person)
    if is_end:
        raise DeliveryUncertain(f"the reply makes no sense: {words}")
    raise ServerUnreachable(f"the reply makes no sense: {words}")
