"""Messages over SMTP (RFC 5321): a few connections, reused, each with one message at a time; every failure told apart.

A conversation is written down as a generator: it says something and is given the reply when it is there. One loop
gives every connection's replies to its conversation, so no connection waits for another. Where a server takes several commands at
once (RFC 2920), MAIL, RCPT and DATA are one write, and follow a message if there is another mail: a mail costs one round trip.
"""

import base64
import contextlib
import math
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
    DeliveryRefused,
    DeliveryUncertain,
    Mail,
    MailerError,
    More,
    ServerUnreachable,
    last_words,
)
from campaigns.mailers.smtp_line import Line, LineLost, Reply
from campaigns.mailers.smtp_words import commands_of, meaning_of, on_the_wire, require_sayable
from core.errors import SettingsError
from core.settings import LOOPBACK, Settings

FINAL_REPLY_SECONDS = (
    600.0  # RFC 5321 section 4.5.3.2.6: a server may think for 10 minutes after the final dot
)

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
        self._busy: dict[
            Line, deque[tuple[Mail, Conversation]]
        ] = {}  # the first is spoken of, a second is announced
        self._idle: list[Line] = []
        self.at_once = 2 * settings.smtp_connections

    @property
    def server(self) -> str:
        if self._evidence is not None:
            return self._evidence.server
        return f"{self._settings.smtp_host}:{self._settings.smtp_port}"

    def was_delivered(self, message_id: str) -> bool | None:
        return None if self._evidence is None else self._evidence.was_delivered(message_id)

    def hand_over(self, more: More, answered: Answered, caller: Connection | None = None) -> None:
        """Hand over what `more` gives, on each connection one mail and perhaps the next one's envelope; stale ones are renewed.

        While half of the mails are under way the other half may be given: a server has always something to do.
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
            free = self.at_once - sum(map(len, self._busy.values())) - len(self._given)
            group = more(free) if has_caller or 2 * free >= self.at_once else ()
            self._given.extend(group or ())
            is_done = group is not None and not self._given and not self._busy
            while self._given and (self._idle or len(self._busy) < self._settings.smtp_connections):
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
        self._busy[line] = deque([(mail, self._conversation(line, mail))])
        self._go_on(line, answered, is_new=True)

    def _go_on(self, line: Line, answered: Answered, *, is_new: bool = False) -> None:
        """Begin a conversation, or give those on a line what was heard."""
        try:
            if is_new:
                self._tell(line, None, answered)
                return
            try:
                for reply in line.work():
                    line.deadline = time.monotonic() + self._reply_seconds
                    self._tell(line, reply, answered)
            except LineLost as lost:
                line.hang_up()
                self._tell(line, lost, answered)
        except BaseException:  # stopped in the middle of a word: nobody knows what it was
            self._busy.pop(line, None)
            line.hang_up()
            raise

    def _tell(self, line: Line, heard: Reply | LineLost | None, answered: Answered) -> None:
        """Give the conversation of a line what was heard, or begin it; where it comes to its end, take that."""
        _, conversation = self._busy[line][0]
        try:
            if isinstance(heard, LineLost):
                conversation.throw(heard)
            elif heard is None:
                next(conversation)
            else:
                conversation.send(heard)
        except StopIteration as end:
            self._end(line, end.value, answered)
        except MailerError as error:
            self._end(line, error, answered)

    def _end(self, line: Line, answer: str | MailerError, answered: Answered) -> None:
        conversations = self._busy[line]
        mail, _ = conversations.popleft()
        if isinstance(answer, (ServerUnreachable, DeliveryUncertain)):
            line.hang_up()
        elif not conversations:
            if not line.is_in_step:
                line.hang_up()
            elif line.mails >= self._settings.smtp_mails_per_connection:
                line.say_goodbye()
        if not (conversations and line.is_open):
            del self._busy[line]
            self._given.extendleft(announced for announced, _ in conversations)  # in vain: to be said anew
            if line.is_open:
                self._idle.append(line)
        if isinstance(answer, _Stale):
            self._begin(mail, Line(self._selector), answered)
        else:
            answered(mail, answer)

    def _conversation(self, line: Line, mail: Mail, announced: dict[str, str] | None = None) -> Conversation:
        """Hand over a mail, whose envelope was perhaps `announced`; connect first where the line is new."""
        require_sayable(mail)
        if not line.is_open:
            try:
                yield from self._open(line)
            except (LineLost, OSError) as error:
                where = f"{self._settings.smtp_host}:{self._settings.smtp_port}"
                raise ServerUnreachable(f"{where}: {last_words(str(error))}") from None
        line.mails += 1
        yield from self._envelope(line, mail, announced)
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

    def _envelope(
        self, line: Line, mail: Mail, announced: dict[str, str] | None
    ) -> Generator[None, Reply, None]:
        """Say who writes to whom, until the server waits for the message; raise the first answer that forbids it."""
        commands = announced or commands_of(mail, line.extensions)
        if line.needs_reset and not announced:
            commands = {"RSET": "RSET\r\n", **commands}
        answers = yield from self._say_all(line, commands, are_said=announced is not None)
        line.needs_reset = True
        faults = [(verb, fault) for verb, fault in answers.items() if fault is not None]
        if not faults:
            return
        verb, fault = faults[0]
        if answers.get("DATA", fault) is None:
            yield from self._take_back(line, is_for_nobody=answers["RCPT"] is not None)
        is_about_line = isinstance(fault, ServerUnreachable) and verb in ("RSET", "MAIL")
        raise _Stale(str(fault)) if is_about_line and line.mails > 1 else fault

    def _say_all(
        self, line: Line, commands: dict[str, str], *, are_said: bool
    ) -> Generator[None, Reply, dict[str, MailerError | None]]:
        """Say commands, all at once where the server takes that; return what the answer to each forbids, up to the last one heard."""
        at_once = "pipelining" in line.extensions
        if at_once and not are_said:
            line.say("".join(commands.values()).encode(), self._reply_seconds)
        answers: dict[str, MailerError | None] = {}
        for verb, command in commands.items():
            if not at_once:
                line.say(command.encode(), self._reply_seconds)
            try:
                answers[verb] = fault = meaning_of(verb, (yield))
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
        if not line.is_in_step:  # it would be taken for the answer to the message
            raise ServerUnreachable("DATA: the server says more than it was asked")
        self._say_message(line, mail.message, self._announce_next(line))
        try:
            reply = yield
        except LineLost as lost:
            raise DeliveryUncertain(f"after the body had begun: {last_words(str(lost))}") from None
        if line.is_saying:  # answered before the end, which shall not follow
            line.hang_up()
            if reply.code // 100 == 2:
                raise DeliveryUncertain(f"taken before its end: {last_words(str(reply))}")
        if fault := meaning_of("end of data", reply):
            raise fault
        line.needs_reset = False
        return last_words(str(reply))

    def _announce_next(self, line: Line) -> bytes:
        """Give a line that is about to say a message the next mail, if there is one; return its envelope, to be said behind.

        RFC 2920 section 3.1 allows that. Nothing of the second mail itself is said before the server has answered for the first.
        """
        cap = self._settings.smtp_mails_per_connection
        if not self._given or line.mails >= cap or "pipelining" not in line.extensions:
            return b""
        mail = self._given[0]
        try:
            commands = commands_of(mail, line.extensions)
            conversation = self._conversation(line, mail, commands)
            next(conversation)
        except DeliveryRefused:  # which is said of it when it is its turn
            return b""
        self._given.popleft()
        self._busy[line].append((mail, conversation))
        return "".join(commands.values()).encode()

    def _say_message(self, line: Line, message: bytes, behind: bytes) -> None:
        line.say(on_the_wire(message, behind), self._final_reply_seconds, behind=len(behind))


def _expect(code: int, reply: Reply) -> None:
    if reply.code != code:
        raise LineLost(str(reply))


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
