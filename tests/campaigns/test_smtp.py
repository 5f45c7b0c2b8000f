"""The SMTP conversation, with a real server, a scripted one, and the local inbox."""

import fcntl
import itertools
import logging
import mailbox
import os
import selectors
import socket
import ssl
import threading
import time
from collections import Counter
from contextlib import contextmanager

import pytest
from aiosmtpd import smtp as server_side

from campaigns.mailers import Deferred, DeliveryRefused, DeliveryUncertain, Mail, ServerUnreachable
from campaigns.mailers.local_inbox import LocalInbox, running_inbox
from campaigns.mailers.smtp import SmtpMailer
from campaigns.mailers.smtp_line import Line, Reply
from core.errors import ServiceFailed, SettingsError
from core.settings import Settings
from tests.faults.certificates import self_signed
from tests.faults.scripted_smtp import Fault, ScriptedSmtp, Stage
from tests.faults.serving import client_of, serving

MAIL = b"From: a@juniper.example\r\nTo: b@example.com\r\nMessage-ID: <m1@juniper.example>\r\n\r\nHello\r\n"


def more_of(mails):
    """Give mails one after another, as many as are asked for."""
    left = iter(mails)
    return lambda limit: list(itertools.islice(left, limit))


def hand_over_all(mailer, mails):
    """Hand mails over; return the answer to each."""
    answers: dict = {}
    mailer.hand_over(more_of(mails), answers.__setitem__)
    return [answers.get(mail) for mail in mails]


def hand_over(mailer, sender, recipient, message):
    """Hand over one mail; return the reply or raise what went wrong."""
    (answer,) = hand_over_all(mailer, [Mail(sender, recipient, message)])
    if isinstance(answer, Exception):
        raise answer
    return answer


@pytest.fixture
def at(tmp_path):
    """Return settings that send to a port."""

    def make(port, **more):
        return Settings(_env_file=None, data_dir=tmp_path, token_key="k" * 40, smtp_port=port, **more)

    return make


def test_lines_of_dots_and_long_bodies_arrive_byte_for_byte(at, free_port):
    bodies = [b".\r\n..\r\n.x\r\n", b"", b"a\r\n.\r\nb\r\n", b"x" * 900 + b"\r\n" + b"y" * 300_000 + b"\r\n"]
    bodies[3] = b"".join(bodies[3][i : i + 76] + b"\r\n" for i in range(0, 300_000, 76))
    with running_inbox(at(free_port)) as inbox, SmtpMailer(at(free_port), evidence=inbox) as mailer:
        for body in bodies:
            hand_over(mailer, "a@juniper.example", "b@example.com", MAIL + body)
        assert [file.read_bytes() for file in inbox.files()] == [MAIL + body for body in bodies]


def test_many_mails_share_one_connection(at):
    with ScriptedSmtp() as server, SmtpMailer(at(server.port)) as mailer:
        for number in range(5):
            hand_over(mailer, "a@juniper.example", f"b{number}@example.com", MAIL)
        assert server.connections == 1
        assert [recipient for _, recipient, _ in server.messages] == [f"b{n}@example.com" for n in range(5)]
    assert server.commands[-1] == "QUIT"


def mails(number):
    return [Mail("a@juniper.example", f"b{place}@example.com", MAIL) for place in range(number)]


def test_mails_go_out_on_a_connection_each_at_once_which_the_next_ones_find_open(at):
    with ScriptedSmtp() as server, SmtpMailer(at(server.port, smtp_connections=3)) as mailer:
        for _ in range(2):
            assert hand_over_all(mailer, mails(9)) == ["250 2.0.0 taken"] * 9
        assert server.connections == 3
        assert len(server.messages) == 18


def test_one_mail_that_fails_does_not_touch_the_others(at):
    with (
        ScriptedSmtp(Fault(Stage.DOT, closes=True, times=1)) as server,
        SmtpMailer(at(server.port)) as mailer,
    ):
        answers = hand_over_all(mailer, mails(4))
    assert Counter(type(answer) for answer in answers) == {str: 3, DeliveryUncertain: 1}
    assert len(server.messages) == 3


def test_while_half_of_the_connections_wait_the_others_go_on(at):
    with (
        ScriptedSmtp(Fault(Stage.DOT, times=1)) as server,
        SmtpMailer(at(server.port, smtp_connections=2), final_reply_seconds=2) as mailer,
    ):
        answers: dict = {}
        mailer.hand_over(more_of(mails(30)), answers.__setitem__)
    *others, last = answers.values()
    assert others == ["250 2.0.0 taken"] * 29
    assert isinstance(last, DeliveryUncertain)


@pytest.mark.parametrize("offers", [(), ("PIPELINING",)], ids=["one by one", "pipelining"])
def test_a_connection_carries_so_many_mails_and_then_says_goodbye(at, offers):
    with ScriptedSmtp(extensions=offers) as server:
        settings = at(server.port, smtp_connections=1, smtp_mails_per_connection=3)
        with SmtpMailer(settings) as mailer:
            hand_over_all(mailer, mails(7))
        assert server.connections == 3
        assert [command for command in server.commands if command in ("DATA", "QUIT")] == (
            ["DATA"] * 3 + ["QUIT"] + ["DATA"] * 3 + ["QUIT", "DATA", "QUIT"]
        )


def stop_at_the_first(answers):
    """Take answers, and be told to stop when the first one comes."""

    def answered(mail, answer):
        answers[mail] = answer
        if len(answers) == 1:
            raise KeyboardInterrupt

    return answered


UNSPEAKABLE = Mail("a@juniper.example", "nobody", MAIL)  # answered at once, before others have a connection


def test_a_sender_that_is_stopped_waits_a_moment_for_the_answers_of_what_is_under_way(at):
    group = [UNSPEAKABLE, *mails(2)]
    answers: dict = {}
    with ScriptedSmtp() as server, SmtpMailer(at(server.port)) as mailer:
        with pytest.raises(KeyboardInterrupt):
            mailer.hand_over(more_of(group), stop_at_the_first(answers))
        assert isinstance(answers.pop(UNSPEAKABLE), DeliveryRefused)
        assert answers == dict.fromkeys(group[1:], "250 2.0.0 taken")
        assert len(server.messages) == 2


def test_what_a_stopped_sender_cannot_wait_for_does_not_go_out_later(at, monkeypatch):
    monkeypatch.setattr("campaigns.mailers.smtp.GRACE_SECONDS", 0.2)
    answers: dict = {}
    began = time.monotonic()
    with ScriptedSmtp(Fault(Stage.MAIL, times=1)) as server, SmtpMailer(at(server.port)) as mailer:
        with pytest.raises(KeyboardInterrupt):
            mailer.hand_over(more_of([UNSPEAKABLE, *mails(1)]), stop_at_the_first(answers))
        assert time.monotonic() - began < 15  # the server is silent for longer
        assert answers.keys() == {UNSPEAKABLE}
        hand_over(mailer, "a@juniper.example", "c@example.com", MAIL)
        assert [recipient for _, recipient, _ in server.messages] == ["c@example.com"]


def test_a_connection_that_went_stale_is_renewed_without_a_word(at):
    fault = Fault(Stage.MAIL, "421 too many messages on this connection", closes=True, times=1)
    with ScriptedSmtp() as server, SmtpMailer(at(server.port)) as mailer:
        hand_over(mailer, "a@juniper.example", "b@example.com", MAIL)
        server.faults[Stage.MAIL] = fault
        hand_over(mailer, "a@juniper.example", "c@example.com", MAIL)
        assert server.connections == 2
        assert [recipient for _, recipient, _ in server.messages] == ["b@example.com", "c@example.com"]


def test_after_a_refused_recipient_the_next_mail_has_an_envelope_of_its_own(at):
    with ScriptedSmtp(Fault(Stage.RCPT, "550 5.1.1 unknown", times=1)) as server:
        with SmtpMailer(at(server.port)) as mailer:
            with pytest.raises(DeliveryRefused):
                hand_over(mailer, "a@juniper.example", "gone@example.com", MAIL)
            hand_over(mailer, "a@juniper.example", "b@example.com", MAIL)
        assert server.messages == [("a@juniper.example", "b@example.com", MAIL)]
        assert server.connections == 1
        assert "RSET" in server.commands


def test_no_address_of_a_reply_reaches_an_error(at):
    reply = "550 5.1.1 <ada.lovelace@example.com>: user ada.lovelace@example.com unknown"
    with (
        ScriptedSmtp(Fault(Stage.RCPT, reply)) as server,
        SmtpMailer(at(server.port)) as mailer,
        pytest.raises(DeliveryRefused) as refused,
    ):
        hand_over(mailer, "a@juniper.example", "ada.lovelace@example.com", MAIL)
    assert "5.1.1" in str(refused.value)
    assert "@" not in str(refused.value)
    assert "ada" not in str(refused.value)


def test_a_reply_of_strange_bytes_can_be_stored_and_printed(at):
    fault = Fault(Stage.DOT, "250 caf\udce9\x00\x1b[31m ok " + "x" * 2000, takes=True)
    with ScriptedSmtp(fault) as server, SmtpMailer(at(server.port)) as mailer:
        reply = hand_over(mailer, "a@juniper.example", "b@example.com", MAIL)
    assert reply.startswith("250 caf [31m ok xxx")
    assert reply.encode().decode().isprintable()
    assert len(reply) == 500


@pytest.mark.parametrize(
    "address",
    [
        "a b@example.com",
        "a@example.com>\r\nRCPT TO:<c@example.com",
        "a@b@example.com\n",
        "nobody",
        "<a@b.example>",
    ],
)
def test_an_address_that_would_break_the_command_is_never_said(at, address):
    with ScriptedSmtp() as server, SmtpMailer(at(server.port)) as mailer:
        with pytest.raises(DeliveryRefused) as refused:
            hand_over(mailer, "a@juniper.example", address, MAIL)
        assert refused.value.is_about_person is False
        assert server.commands == []


def test_addresses_beyond_ascii_go_only_where_they_are_understood(at, free_port):
    with (
        ScriptedSmtp() as server,
        SmtpMailer(at(server.port)) as mailer,
        pytest.raises(DeliveryRefused, match="beyond ASCII"),
    ):
        hand_over(mailer, "a@juniper.example", "Jürgen@example.com", MAIL)
    with running_inbox(at(free_port)) as inbox, SmtpMailer(at(free_port), evidence=inbox) as mailer:
        hand_over(mailer, "a@juniper.example", "Jürgen@example.com", MAIL)
        assert inbox.count() == 1


# Several commands at once (RFC 2920)

GREETING = (b"", b"220 mail.test\r\n")
OFFERS = (b"\r\n", b"250-mail.test\r\n250 PIPELINING\r\n")
PLAIN_OFFERS = (b"\r\n", b"250 mail.test\r\n")
TAKEN = (b"\r\n.\r\n", b"250 2.0.0 taken\r\n")
ENVELOPE = b"MAIL FROM:<a@juniper.example>\r\nRCPT TO:<b0@example.com>\r\nDATA\r\n"
SECOND = ENVELOPE.replace(b"b0@", b"b1@")


@contextmanager
def server_of(*turns):
    """Serve one connection that, turn by turn, hears until some bytes and says others; yield (port, what it heard a turn).

    What comes after the last turn, until the connection ends, is heard too.
    """
    heard = []

    def hear(line, until):
        said = b""
        while not said.endswith(until) or not until:
            try:
                more = line.recv(1_000_000)
            except ConnectionResetError:
                break
            said += more
            if not more:
                break
        return said

    def serve(listener):
        line, _ = listener.accept()
        with line:
            line.settimeout(10)
            for until, says in turns:
                heard.append(hear(line, until) if until else b"")
                line.sendall(says)
            heard.append(hear(line, b""))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield listener.getsockname()[1], heard
        thread.join(timeout=10)


def test_a_server_that_takes_several_commands_at_once_gets_the_envelope_in_one_go(at):
    # The server says nothing before it has heard all three: who waited for it would wait for ever.
    answers = b"250 a\r\n250 b\r\n354 go\r\n"
    with (
        server_of(GREETING, OFFERS, (b"DATA\r\n", answers), TAKEN) as (port, heard),
        SmtpMailer(at(port), reply_seconds=5) as mailer,
    ):
        assert hand_over_all(mailer, mails(1)) == ["250 2.0.0 taken"]
    assert heard[1:] == [b"EHLO juniper.example\r\n", ENVELOPE, MAIL + b".\r\n", b"QUIT\r\n"]


def test_a_server_that_does_not_hears_one_command_at_a_time(at):
    turns = [(b"\r\n", b"250 a\r\n"), (b"\r\n", b"250 b\r\n"), (b"\r\n", b"354 go\r\n")]
    with (
        server_of(GREETING, PLAIN_OFFERS, *turns, TAKEN) as (port, heard),
        SmtpMailer(at(port)) as mailer,
    ):
        hand_over_all(mailer, mails(1))
    assert heard[2:5] == ENVELOPE.splitlines(keepends=True)


def test_replies_in_pieces_and_of_several_lines_are_put_together():
    here, there = socket.socketpair()
    with selectors.DefaultSelector() as selector, there:
        line = Line(selector)
        line._socket = here
        selector.register(here, selectors.EVENT_READ, line)
        heard = []
        for byte in b"250-a\r\n250 b\r\n354\r\n":
            there.sendall(bytes([byte]))
            heard += [(byte, reply) for reply in line.work()]
        line.hang_up()
    assert heard == [(ord("\n"), Reply(250, "a\nb")), (ord("\n"), Reply(354, ""))]


def test_a_message_asked_for_though_the_recipient_was_refused_ends_at_once_and_reaches_nobody(at):
    answers = b"250 a\r\n550 5.1.1 unknown\r\n354 go\r\n"
    again = b"250 reset\r\n250 a\r\n250 b\r\n354 go\r\n"
    turns = [(b"DATA\r\n", answers), (b".\r\n", b"554 nobody to send to\r\n"), (b"DATA\r\n", again), TAKEN]
    with (
        server_of(GREETING, OFFERS, *turns) as (port, heard),
        SmtpMailer(at(port, smtp_connections=1)) as mailer,
    ):
        refused, taken = hand_over_all(mailer, mails(2))
    assert isinstance(refused, DeliveryRefused)
    assert refused.is_about_person
    assert taken == "250 2.0.0 taken"
    assert heard[3:6] == [b".\r\n", b"RSET\r\n" + SECOND, MAIL + b".\r\n"]


def test_a_message_asked_for_though_the_sender_was_refused_is_not_even_ended_since_that_would_send_it_empty(
    at,
):
    answers = b"451 4.3.0 later\r\n250 b\r\n354 go\r\n"
    with (
        server_of(GREETING, OFFERS, (b"DATA\r\n", answers)) as (port, heard),
        SmtpMailer(at(port)) as mailer,
    ):
        (answer,) = hand_over_all(mailer, mails(1))
    assert isinstance(answer, Deferred)
    assert heard[2:] == [ENVELOPE, b""]


def test_a_line_whose_envelope_cannot_be_cleared_is_left_for_a_new_one(at):
    refused = b"250 a\r\n550 5.1.1 unknown\r\n503 nobody to send to\r\n"
    turns = [(b"DATA\r\n", refused), (b"DATA\r\n", b"451 4.3.0 no\r\n")]
    with (
        server_of(GREETING, OFFERS, *turns) as (port, heard),
        SmtpMailer(at(port, smtp_connections=1), reply_seconds=2) as mailer,
    ):
        first, second = hand_over_all(mailer, mails(2))
    assert isinstance(first, DeliveryRefused)
    assert isinstance(second, ServerUnreachable)  # this server takes one connection
    assert heard[4:] == [b""]


def test_replies_that_nobody_waited_for_are_not_taken_for_those_to_the_next_mail(at):
    answers = b"250 a\r\n250 b\r\n354 go\r\n"
    chatty = (b"\r\n.\r\n" + SECOND, b"250 taken\r\n250 a\r\n250 b\r\n354 go\r\n250 taken\r\n")
    with (
        server_of(GREETING, OFFERS, (b"DATA\r\n", answers), chatty) as (port, heard),
        SmtpMailer(at(port, smtp_connections=1), reply_seconds=1) as mailer,
    ):
        first, second = hand_over_all(mailer, mails(2))
    assert first == "250 taken"
    assert isinstance(second, ServerUnreachable)
    assert heard[4:] == [b""]


def test_the_next_envelope_stands_behind_a_message_and_its_message_waits_for_the_answer(at):
    answers = b"250 a\r\n250 b\r\n354 go\r\n"
    turns = [(b"DATA\r\n", answers), (b"\r\n.\r\n" + SECOND, b"250 first taken\r\n" + answers), TAKEN]
    with (
        server_of(GREETING, OFFERS, *turns) as (port, heard),
        SmtpMailer(at(port, smtp_connections=1), reply_seconds=5) as mailer,
    ):
        assert hand_over_all(mailer, mails(2)) == ["250 first taken", "250 2.0.0 taken"]
    assert heard[2:] == [ENVELOPE, MAIL + b".\r\n" + SECOND, MAIL + b".\r\n", b"QUIT\r\n"]


@pytest.mark.parametrize(
    ("reply", "first"),
    [("", DeliveryUncertain), ("250 2.0.0 taken, good night", str)],
    ids=["drop", "goodbye"],
)
def test_a_mail_that_was_announced_on_a_line_that_is_lost_goes_out_on_another(at, reply, first):
    fault = Fault(Stage.DOT, reply, closes=True, takes=True, times=1)
    with (
        ScriptedSmtp(fault, extensions=("PIPELINING",)) as server,
        SmtpMailer(at(server.port, smtp_connections=1)) as mailer,
    ):
        answers = hand_over_all(mailer, mails(4))
    assert [type(answer) for answer in answers] == [first, str, str, str]
    assert server.connections == 2
    assert [recipient for _, recipient, _ in server.messages] == [mail.recipient for mail in mails(4)]


def test_a_mail_whose_address_cannot_be_said_is_not_announced_and_touches_no_other(at):
    group = mails(3)
    group[1] = Mail("a@juniper.example", "b1@example.com>\r\nDATA", MAIL)
    with (
        ScriptedSmtp(extensions=("PIPELINING",)) as server,
        SmtpMailer(at(server.port, smtp_connections=1)) as mailer,
    ):
        answers = hand_over_all(mailer, group)
    assert [type(answer) for answer in answers] == [str, DeliveryRefused, str]
    assert server.connections == 1


@pytest.mark.parametrize(("behind", "is_saying"), [(0, True), (8, True), (9, False)])
def test_what_stands_behind_a_message_may_still_be_unsaid_when_it_is_answered(behind, is_saying):
    with selectors.DefaultSelector() as selector:
        line = Line(selector)
        line._step = line._finish_connecting  # until then nothing leaves
        line.say(b".\r\nMAIL\r\n", 1, behind=behind)
        assert line.is_saying is is_saying


def test_an_answer_before_the_end_of_the_message_is_its_answer_and_the_end_never_goes_out(at):
    big = MAIL + (b"x" * 74 + b"\r\n") * 500_000  # more than fits between two sockets
    for reply, error in ((b"552 5.3.4 too big\r\n", DeliveryRefused), (b"250 ok\r\n", DeliveryUncertain)):
        turns = [(b"DATA\r\n", b"250 a\r\n250 b\r\n354 go\r\n"), (b"", reply)]
        with server_of(GREETING, OFFERS, *turns) as (port, heard), SmtpMailer(at(port)) as mailer:
            (answer,) = hand_over_all(mailer, [Mail("a@juniper.example", "b@example.com", big)])
        assert type(answer) is error
        assert not heard[-1].endswith(b"\r\n.\r\n")


# Encryption and login


@pytest.fixture
def certificate(tmp_path):
    """A self-signed certificate for 127.0.0.1; return (server context, client context that trusts it)."""
    pem = self_signed(tmp_path / "both.pem")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "both.pem")
    return server, ssl.create_default_context(cadata=pem)


class Kept:
    """Keeps what arrives, and whether the line was encrypted and logged in."""

    def __init__(self):
        self.seen = []

    async def handle_DATA(self, server, session, envelope):
        self.seen.append((session.ssl is not None, session.authenticated))
        return "250 ok"


def only_ada(server, session, envelope, mechanism, login):
    return server_side.AuthResult(success=(login.login, login.password) == (b"ada", b"right"), handled=False)


@pytest.fixture
def guarded(certificate):
    """A server that asks for STARTTLS and a login; return (port, what it kept, the context that trusts it)."""
    kept = Kept()

    def converse():
        return server_side.SMTP(
            kept,
            hostname="mail.test",
            tls_context=certificate[0],
            require_starttls=True,
            auth_required=True,
            authenticator=only_ada,
        )

    with serving(converse) as port:
        yield port, kept, certificate[1]


def test_with_starttls_and_login_mail_goes_out_encrypted(at, guarded):
    port, kept, trusting = guarded
    settings = at(port, smtp_starttls=True, smtp_username="ada", smtp_password="right")
    with SmtpMailer(settings, tls_context=trusting) as mailer:
        hand_over(mailer, "a@juniper.example", "b@example.com", MAIL)
    assert kept.seen == [(True, True)]


def test_a_certificate_nobody_vouches_for_gets_no_password_and_no_mail(at, guarded):
    port, kept, _ = guarded
    settings = at(port, smtp_starttls=True, smtp_username="ada", smtp_password="right")
    with SmtpMailer(settings) as mailer, pytest.raises(ServerUnreachable, match="certificate"):
        hand_over(mailer, "a@juniper.example", "b@example.com", MAIL)
    assert kept.seen == []


def test_a_wrong_password_hands_nothing_over_and_is_not_repeated_in_the_error(at, guarded):
    port, kept, trusting = guarded
    settings = at(port, smtp_starttls=True, smtp_username="ada", smtp_password="wrong-secret")
    with SmtpMailer(settings, tls_context=trusting) as mailer, pytest.raises(ServerUnreachable) as error:
        hand_over(mailer, "a@juniper.example", "b@example.com", MAIL)
    assert "wrong-secret" not in str(error.value)
    assert kept.seen == []


def test_what_was_said_before_the_line_was_encrypted_is_not_believed_after(at):
    offers = (b"\r\n", b"250-mail.test\r\n250 STARTTLS\r\n")
    turns = [(b"STARTTLS\r\n", b"220 go\r\n250-mail.test\r\n250 AUTH PLAIN\r\n")]
    with (
        server_of(GREETING, offers, *turns) as (port, heard),
        SmtpMailer(at(port, smtp_starttls=True)) as mailer,
        pytest.raises(ServerUnreachable, match="before the line was encrypted"),
    ):
        hand_over(mailer, "a@juniper.example", "b@example.com", MAIL)
    assert heard[3:] == [b""]


def test_a_server_without_encryption_gets_no_mail_where_the_settings_ask_for_it(at):
    with ScriptedSmtp() as server, SmtpMailer(at(server.port, smtp_starttls=True)) as mailer:
        with pytest.raises(ServerUnreachable, match="offers no STARTTLS"):
            hand_over(mailer, "a@juniper.example", "b@example.com", MAIL)
        assert server.messages == []


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
@pytest.mark.parametrize("excluded", [["PLAIN"], ["LOGIN"], ["PLAIN", "LOGIN"]])
def test_either_way_to_log_in_will_do_and_without_one_nothing_is_handed_over(at, excluded):
    kept = Kept()

    def converse():
        return server_side.SMTP(
            kept,
            hostname="mail.test",
            auth_require_tls=False,
            auth_required=True,
            authenticator=only_ada,
            auth_exclude_mechanism=excluded,
        )

    with (
        serving(converse) as port,
        SmtpMailer(at(port, smtp_username="ada", smtp_password="right")) as mailer,
    ):
        (answer,) = hand_over_all(mailer, mails(1))
    if len(excluded) == 1:
        assert kept.seen == [(False, True)]
    else:
        assert "no login that we know" in str(answer)
        assert kept.seen == []


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)], ids=["the second", "the first"])
def test_of_the_addresses_of_a_server_one_that_answers_will_do(at, free_port, monkeypatch, order):
    with ScriptedSmtp() as server:
        kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        found = [(*kind, ("127.0.0.1", free_port)), (*kind, ("127.0.0.1", server.port))][order]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        with SmtpMailer(at(server.port)) as mailer:
            hand_over(mailer, "a@juniper.example", "b@example.com", MAIL)
        assert len(server.messages) == 1


def test_a_password_never_crosses_the_network_in_clear(at):
    settings = at(25, smtp_host="mail.juniper.example", smtp_username="ada", smtp_password="x")
    with pytest.raises(SettingsError, match="LAPWING_SMTP_STARTTLS"):
        SmtpMailer(settings)


# The local inbox


def test_a_mail_that_arrives_twice_is_there_twice(at, free_port):
    with running_inbox(at(free_port)) as inbox, SmtpMailer(at(free_port)) as mailer:
        mail = MAIL.replace(b"\r\n\r\n", b"\r\nX-Lapwing-Send: s1\r\n\r\n", 1)
        for _ in range(2):
            hand_over(mailer, "a@juniper.example", "b@example.com", mail)
        hand_over(mailer, "a@juniper.example", "b@example.com", MAIL)
        assert {send_id: len(files) for send_id, files in inbox.by_send().items()} == {"s1": 2, "": 1}
        assert inbox.read("s1") == [mail, mail]
        assert inbox.read("s2") == []
        assert inbox.count() == 3


def test_pythons_own_maildir_reader_finds_the_mails(at, free_port):
    with running_inbox(at(free_port)) as inbox, SmtpMailer(at(free_port)) as mailer:
        hand_over(mailer, "a@juniper.example", "b@example.com", MAIL)
    [mail] = list(mailbox.Maildir(inbox.folder, create=False))
    assert mail["Message-ID"] == "<m1@juniper.example>"


def test_the_inbox_knows_what_was_delivered_and_what_was_not(at, free_port):
    assert (
        LocalInbox(at(free_port).inbox).was_delivered("<m1@juniper.example>") is None
    )  # no inbox, no evidence
    with running_inbox(at(free_port)) as inbox, SmtpMailer(at(free_port), evidence=inbox) as mailer:
        assert mailer.was_delivered("<m1@juniper.example>") is False
        hand_over(mailer, "a@juniper.example", "b@example.com", MAIL)
        assert mailer.was_delivered("<m1@juniper.example>") is True
        assert mailer.was_delivered("<m2@juniper.example>") is False
    with SmtpMailer(at(free_port)) as elsewhere:
        assert elsewhere.was_delivered("<m1@juniper.example>") is None


def test_the_inbox_does_not_say_no_while_a_mail_is_half_way_in(at, free_port):
    with running_inbox(at(free_port)) as inbox:
        answers = []
        with inbox.taking():
            asking = threading.Thread(
                target=lambda: answers.append(inbox.was_delivered("<m1@juniper.example>"))
            )
            asking.start()
            asking.join(timeout=0.3)
            assert answers == []
            inbox.deliver(MAIL)
        asking.join(timeout=5)
        assert answers == [True]


def test_a_mail_that_stays_half_way_in_leaves_the_question_open(at, free_port, monkeypatch):
    monkeypatch.setattr("campaigns.mailers.local_inbox._PATIENCE_SECONDS", 0.1)
    with running_inbox(at(free_port)) as inbox, inbox.taking():
        assert inbox.was_delivered("<m1@juniper.example>") is None


def test_from_go_ahead_to_reply_the_server_marks_a_mail_as_half_way_in(at, free_port):
    with running_inbox(at(free_port)) as inbox, client_of(free_port) as say:
        for line in ("EHLO x", "MAIL FROM:<a@b.example>", "RCPT TO:<c@d.example>"):
            say(line)
        assert is_free(inbox)
        say("DATA")
        assert not is_free(inbox)
        say("Message-ID: <x@y.example>\r\n\r\nhello\r\n.")
        assert inbox.was_delivered("<x@y.example>") is True
        assert is_free(inbox)


def test_the_mailer_refuses_a_server_that_is_not_the_inbox_it_asks_for_evidence(at, tmp_path):
    inbox = LocalInbox(tmp_path / "inbox")
    with ScriptedSmtp() as server, SmtpMailer(at(server.port), evidence=inbox) as mailer:
        with pytest.raises(ServerUnreachable, match="is not the inbox"):
            hand_over(mailer, "a@juniper.example", "b@example.com", MAIL)
        assert server.messages == []


def test_a_port_that_is_taken_is_named(at):
    with (
        ScriptedSmtp() as server,
        pytest.raises(ServiceFailed, match=rf"127\.0\.0\.1:{server.port}"),
        running_inbox(at(server.port)),
    ):
        pass


def test_no_address_is_logged_on_the_way(at, free_port, caplog):
    caplog.set_level(logging.DEBUG)
    with running_inbox(at(free_port)) as inbox, SmtpMailer(at(free_port), evidence=inbox) as mailer:
        hand_over(mailer, "a@juniper.example", "b@example.com", MAIL)
    assert inbox.count() == 1
    assert "@" not in caplog.text


def is_free(inbox):
    lock = os.open(inbox.folder / ".taking.lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True
