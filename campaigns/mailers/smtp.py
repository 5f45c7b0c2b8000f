"""Messages over SMTP (RFC 5321): a few connections, reused, each with one message at a time; every failure told apart.

A conversation is written down as a generator: it says something and is given the reply when it is there. One loop
gives every connection's replies to its conversation, so no connection waits for another. Where a server takes several commands at
once (RFC 2920), MAIL, RCPT and DATA are one write.
"""

import base64
import contextlib
import math
import re
import selectors
import socket
import ssl
import time
from collections import deque
from collections.abc import Generator
from email.utils import parseaddr
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Self

from campaigns.ledger import Evidence
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
from campaigns.mailers.smtp_line import Line, LineLost, Reply
from core.errors import SettingsError
from core.settings import LOOPBACK, Settings

FINAL_REPLY_SECONDS = (
    600.0  # RFC 5321 section 4.5.3.2.6: a server may think for 10 minutes after the final dot
)

# RFC 3463: class.subject.detail. Subject 7 is policy: about who sends and what, never about the mailbox.
_POLICY = re.compile(r"\b5\.7\.\d+\b|\brelay", re.IGNORECASE)
_MAILBOX_CODES = range(550, 560)  # those below are about the conversation (syntax, login)
_LEADING_DOT = re.compile(rb"\n\.")
_WIRE_ADDRESS = re.compile(r"[^\s<>\x00-\x1f\x7f]+@[^\s<>@\x00-\x1f\x7f]+")

Conversation = Generator[None, Reply, str]
"""Says something, is sent the reply (or thrown `LineLost`), and so on; returns the server's last words."""


class _Stale(ServerUnreachable):
    """The server takes no more mail on a line: on a new one it may."""


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
        self._selector = selectors.DefaultSelector()
        self._given = deque[Mail]()
        self._busy: dict[Line, tuple[Mail, Conversation]] = {}
        self._idle: list[Line] = []
        self.connections = settings.smtp_connections

    @property
    def server(self) -> str:
        if self._evidence is not None:
            return self._evidence.server
        return f"{self._settings.smtp_host}:{self._settings.smtp_port}"

    def was_delivered(self, message_id: str) -> bool | None:
        return None if self._evidence is None else self._evidence.was_delivered(message_id)

    def hand_over(self, more: More, answered: Answered, caller: Connection | None = None) -> None:
        """Hand over what `more` gives, each mail on a connection of its own; stale connections are renewed once.

        While half of the connections are busy the other half may be given mail: a server has always something to do.
        Where there is a `caller`, whom `more` is to hear, it is asked whenever anything happened.
        """
        if caller is not None:
            self._selector.register(caller, selectors.EVENT_READ)
        try:
            self._hand_over(more, answered, math.inf, has_caller=caller is not None)
        except BaseException:  # stopped: what is in flight gets a moment
            self._hand_over(lambda _: [], answered, time.monotonic() + GRACE_SECONDS)
            raise
        finally:  # what is left then must not go out later
            for line in self._busy:
                line.hang_up()
            self._busy.clear()
            self._given.clear()
            if caller is not None:
                self._selector.unregister(caller)

    def close(self) -> None:
        """Say goodbye on every connection and let them go."""
        for line in self._idle:
            line.say_goodbye()
        self._idle.clear()
        self._selector.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _hand_over(self, more: More, answered: Answered, until: float, *, has_caller: bool = False) -> None:
        while time.monotonic() < until:
            free = self.connections - len(self._busy) - len(self._given)
            group = more(free) if has_caller or 2 * free >= self.connections else ()
            self._given.extend(group or ())
            is_done = group is not None and not self._given and not self._busy
            while self._given:
                mail = self._given.popleft()
                self._begin(mail, self._idle.pop() if self._idle else Line(self._selector), answered)
            if is_done:
                return
            if self._busy:
                self._listen(0 if group is None else until, answered)

    def _listen(self, until: float, answered: Answered) -> None:
        """Wait until something is heard or overdue, and go on with those conversations."""
        first = min(until, *(line.deadline for line in self._busy))
        for key, _ in self._selector.select(max(0.0, first - time.monotonic())):
            line: Line | None = key.data
            if line in self._busy:
                self._go_on(line, answered)
            elif line is not None:  # idle, and the server hangs up or speaks out of turn
                line.hang_up()
                self._idle.remove(line)
        if (now := time.monotonic()) >= first:
            for line in [line for line in self._busy if line.deadline <= now]:
                line.lose("no answer in time")
                self._go_on(line, answered)

    def _begin(self, mail: Mail, line: Line, answered: Answered) -> None:
        self._busy[line] = mail, self._conversation(line, mail)
        self._go_on(line, answered, is_new=True)

    def _go_on(self, line: Line, answered: Answered, *, is_new: bool = False) -> None:
        """Begin a conversation, or give it what was heard; where it comes to its end, take that."""
        _, conversation = self._busy[line]
        try:
            try:
                if is_new:
                    next(conversation)
                    return
                for reply in line.work():
                    line.deadline = time.monotonic() + self._reply_seconds
                    conversation.send(reply)
            except LineLost as lost:
                line.hang_up()
                conversation.throw(lost)
        except StopIteration as end:
            self._end(line, end.value, answered)
        except MailerError as error:
            self._end(line, error, answered)
        except BaseException:  # stopped in the middle of a word: nobody knows what it was
            del self._busy[line]
            line.hang_up()
            raise

    def _end(self, line: Line, answer: str | MailerError, answered: Answered) -> None:
        mail, _ = self._busy.pop(line)
        if isinstance(answer, (ServerUnreachable, DeliveryUncertain)) or not line.is_in_step:
            line.hang_up()
        elif line.mails >= self._settings.smtp_mails_per_connection:
            line.say_goodbye()
        if line.is_open:
            self._idle.append(line)
        if isinstance(answer, _Stale):
            self._begin(mail, Line(self._selector), answered)
        else:
            answered(mail, answer)

    def _conversation(self, line: Line, mail: Mail) -> Conversation:
        """Hand over a mail; connect first where the line is new."""
        for address in (mail.sender, mail.recipient):
            if not _WIRE_ADDRESS.fullmatch(address):
                raise DeliveryRefused(
                    "the address cannot be written in an SMTP command", is_about_person=False
                )
        if not line.is_open:
            try:
                yield from self._open(line)
            except (LineLost, OSError) as error:
                where = f"{self._settings.smtp_host}:{self._settings.smtp_port}"
                raise ServerUnreachable(f"{where}: {last_words(str(error))}") from None
        line.mails += 1
        yield from self._envelope(line, mail)
        return (yield from self._body(line, mail))

    def _open(self, line: Line) -> Generator[None, Reply, None]:
        """Connect, greet, encrypt and log in as the settings say.

        Raises
        ------
        LineLost, OSError
            If the server cannot be reached or does not let us in.
        """
        settings = self._settings
        greeting = yield from self._connect(line)
        _expect(220, greeting)
        if self._evidence is not None and self._evidence.server not in greeting.text.split():
            raise LineLost(f"this is not the inbox {self._evidence.server}")
        yield from self._greet(line)
        if settings.smtp_starttls:
            if "starttls" not in line.extensions:
                raise LineLost("the server offers no STARTTLS")
            _expect(220, (yield from self._ask(line, "STARTTLS")))
            if self._tls_context is None:
                self._tls_context = ssl.create_default_context()
            line.encrypt(self._tls_context, settings.smtp_host)
            yield from self._greet(line)
        if settings.smtp_username:
            yield from self._log_in(line)

    def _connect(self, line: Line) -> Generator[None, Reply, Reply]:
        """Try the server's addresses in turn; return its greeting."""
        settings = self._settings
        *others, last = socket.getaddrinfo(settings.smtp_host, settings.smtp_port, type=socket.SOCK_STREAM)
        for address in others:
            line.connect(address, self._reply_seconds)
            try:
                return (yield)
            except LineLost:
                line.hang_up()
        line.connect(last, self._reply_seconds)
        return (yield)

    def _greet(self, line: Line) -> Generator[None, Reply, None]:
        # Looking up our own host name can take seconds; the sending domain is as good a greeting.
        domain = parseaddr(self._settings.from_address)[1].rpartition("@")[2]
        reply = yield from self._ask(line, f"EHLO {domain or 'localhost'}")
        _expect(250, reply)
        offers = [offer.lower().partition(" ") for offer in reply.text.split("\n")[1:]]
        line.extensions = {name: parameters for name, _, parameters in offers}

    def _log_in(self, line: Line) -> Generator[None, Reply, None]:
        name = self._settings.smtp_username
        password = self._settings.smtp_password.get_secret_value()
        ways = line.extensions.get("auth", "").split()
        if "plain" in ways:
            reply = yield from self._ask(line, "AUTH PLAIN " + _base64(f"\0{name}\0{password}"))
        elif "login" in ways:
            _expect(334, (yield from self._ask(line, "AUTH LOGIN")))
            _expect(334, (yield from self._ask(line, _base64(name))))
            reply = yield from self._ask(line, _base64(password))
        else:
            raise LineLost("the server offers no login that we know: PLAIN or LOGIN")
        _expect(235, reply)

    def _ask(self, line: Line, command: str) -> Generator[None, Reply, Reply]:
        line.say(command.encode() + b"\r\n", self._reply_seconds)
        return (yield)

    def _envelope(self, line: Line, mail: Mail) -> Generator[None, Reply, None]:
        """Say who writes to whom, until the server waits for the message; raise the first answer that forbids it."""
        is_ascii = (mail.sender + mail.recipient).isascii()
        if not is_ascii and "smtputf8" not in line.extensions:
            raise DeliveryRefused("the server takes no addresses beyond ASCII", is_about_person=False)
        commands = {
            "MAIL": f"MAIL FROM:<{mail.sender}>{'' if is_ascii else ' SMTPUTF8'}\r\n",
            "RCPT": f"RCPT TO:<{mail.recipient}>\r\n",
            "DATA": "DATA\r\n",
        }
        if line.needs_reset:
            commands = {"RSET": "RSET\r\n", **commands}
        line.needs_reset = True
        answers = yield from self._say_all(line, commands)
        faults = [(verb, fault) for verb, fault in answers.items() if fault is not None]
        if not faults:
            return
        verb, fault = faults[0]
        if answers.get("DATA", fault) is None:
            yield from self._take_back(line, is_for_nobody=answers["RCPT"] is not None)
        is_about_line = isinstance(fault, ServerUnreachable) and verb in ("RSET", "MAIL")
        raise _Stale(str(fault)) if is_about_line and line.mails > 1 else fault

    def _say_all(
        self, line: Line, commands: dict[str, str]
    ) -> Generator[None, Reply, dict[str, MailerError | None]]:
        """Say commands, all at once where the server takes that; return what the answer to each forbids, up to the last one heard."""
        at_once = "pipelining" in line.extensions
        if at_once:
            line.say("".join(commands.values()).encode(), self._reply_seconds)
        answers: dict[str, MailerError | None] = {}
        for verb, command in commands.items():
            if not at_once:
                line.say(command.encode(), self._reply_seconds)
            try:
                answers[verb] = fault = self._meaning(verb, (yield))
            except LineLost as lost:
                answers[verb] = fault = ServerUnreachable(f"{verb}: {last_words(str(lost))}")
            if isinstance(fault, ServerUnreachable):
                line.hang_up()
            if fault and not (at_once and line.is_open):
                break
        return answers

    def _take_back(self, line: Line, *, is_for_nobody: bool) -> Generator[None, Reply, None]:
        """Leave a message unsaid that the server waits for, though it refused what we said before.

        RFC 2920 section 3.1: the lone dot ends it. Where the server took the recipient, a lone dot would send an empty mail.
        """
        if not is_for_nobody:
            line.hang_up()
            return
        line.say(b".\r\n", self._reply_seconds)
        with contextlib.suppress(LineLost):
            yield

    def _body(self, line: Line, mail: Mail) -> Conversation:
        """Say the message; from its first byte on, a line that is lost leaves it uncertain."""
        self._say_message(line, mail.message)
        try:
            reply = yield
        except LineLost as lost:
            raise DeliveryUncertain(f"after the body had begun: {last_words(str(lost))}") from None
        if line.is_saying:  # answered before the end, which shall not follow
            line.hang_up()
            if reply.code // 100 == 2:
                raise DeliveryUncertain(f"taken before its end: {last_words(str(reply))}")
        if fault := self._meaning("end of data", reply):
            raise fault
        line.needs_reset = False
        return last_words(str(reply))

    def _say_message(self, line: Line, message: bytes) -> None:
        line.say(_on_the_wire(message), self._final_reply_seconds)

    def _meaning(self, stage: str, reply: Reply) -> MailerError | None:
        """Return what a reply means that does not let us go on; `docs/runbooks/send.md` has the table."""
        if reply.code == 354 if stage == "DATA" else 200 <= reply.code < 300:
            return None
        words, is_end = f"{stage}: {last_words(str(reply))}", stage == "end of data"
        if stage == "RSET" or (reply.code == 421 and not is_end):
            return ServerUnreachable(words)
        if 400 <= reply.code < 500:
            return Deferred(words)
        if 500 <= reply.code < 600:
            if stage == "MAIL":  # it refuses the sender, the same for every mail: the batch should pause
                return ServerUnreachable(words)
            is_about_person = stage == "RCPT" and reply.code in _MAILBOX_CODES and not _POLICY.search(words)
            return DeliveryRefused(words, is_about_person=is_about_person)
        words = f"the reply makes no sense: {words}"
        return DeliveryUncertain(words) if is_end else ServerUnreachable(words)


def _on_the_wire(message: bytes) -> bytes:
    """Return the body of DATA: dots doubled (RFC 5321 section 4.5.2), a line end, the final dot."""
    end = b".\r\n" if message.endswith(b"\r\n") else b"\r\n.\r\n"
    if _LEADING_DOT.search(message):  # half of the time that `in` takes
        message = _LEADING_DOT.sub(b"\n..", message)  # and of bytes.replace
    return (b"." if message.startswith(b".") else b"") + message + end


def _expect(code: int, reply: Reply) -> None:
    if reply.code != code:
        raise LineLost(str(reply))


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
