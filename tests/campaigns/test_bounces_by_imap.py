"""Bounces are fetched from a real IMAP server, over TLS that is checked."""

import imaplib
import os
import ssl
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import quote

import pytest
from pydantic import SecretStr

from campaigns.bounces.intake import take_notices
from campaigns.bounces.mailboxes import ImapAddress, imap_folder
from campaigns.bounces.mime import LONGEST
from campaigns.ledger import SendState
from campaigns.ledger_notices import NoticeLedger, open_notices
from core.errors import MailboxFailed
from tests.campaigns.returned import answer, bounce, noticed, returns_to, sent_by, suppressed
from tests.faults.certificates import self_signed
from tests.faults.dovecot import PASSWORD, USER, running_dovecot

pytestmark = pytest.mark.needs("dovecot")
LOGIN = f"{quote(USER)}:{quote(PASSWORD)}"


@pytest.fixture
def certificate(tmp_path):
    return self_signed(tmp_path / "both.pem")


@pytest.fixture
def dovecot(tool_path, certificate, tmp_path):
    with running_dovecot(tool_path("dovecot"), tmp_path / "both.pem") as server:
        yield server


@pytest.fixture
def shop(settings, dovecot):
    """A shop with two sends, whose bounces come into the server's inbox."""
    sent_by(settings, SendState.SENT, SendState.SENT)
    return reading(settings, f"imap://{LOGIN}@127.0.0.1:{dovecot.port}/INBOX")


def reading(settings, address):
    return settings.model_copy(update={"bounce_mailbox": SecretStr(address)})


@pytest.fixture
def person(dovecot):
    """A mail program of a person, logged in."""
    with imaplib.IMAP4("127.0.0.1", dovecot.port, timeout=30) as client:
        client.authenticate("PLAIN", lambda _: f"\0{USER}\0{PASSWORD}".encode())
        yield client


def deliver(person, *mails, folder="INBOX", came=None):
    for mail in mails:
        assert person.append(folder, "", came, mail.replace(b"\n", b"\r\n"))[0] == "OK"


def unread(person, folder="INBOX"):
    person.select(folder, readonly=True)
    return [int(number) for number in person.search(None, "UNSEEN")[1][0].split()]


def test_notices_are_taken_once_and_read_afterwards_and_letters_stay_unread(shop, person):
    came = datetime(2026, 3, 2, 13, 14, 15, tzinfo=timezone(timedelta(hours=2)))
    deliver(person, bounce(f"To: {returns_to(0)}", 0), answer(f"To: {returns_to(0)}"), came=came)
    assert take_notices(shop) == {"bounce": 1, "proven": 1, "suppressed": 1, "left": 1}
    assert suppressed(shop) == {"c0": "bounced"}
    assert [row["received_at"] for row in noticed(shop)] == [datetime(2026, 3, 2, 11, 14, 15, tzinfo=UTC)]
    assert unread(person) == [2]
    assert take_notices(shop) == {}
    deliver(person, bounce(f"To: {returns_to(1)}", 1))
    assert take_notices(shop) == {"bounce": 1, "proven": 1, "suppressed": 1}
    assert unread(person) == [2]


def test_what_a_person_has_read_before_us_is_taken_too(shop, person):
    deliver(person, bounce(f"To: {returns_to(0)}", 0))
    person.select("INBOX")
    person.store("1", "+FLAGS", r"(\Seen)")
    assert take_notices(shop)["suppressed"] == 1


def test_a_death_before_the_bookmark_counts_nothing_twice(shop, person, monkeypatch):
    def die(*_):
        raise KeyboardInterrupt

    deliver(
        person,
        *[bounce(f"To: {returns_to(number % 2)}\nX-Number: {number}", number % 2) for number in range(5)],
    )
    with monkeypatch.context() as until_now:
        until_now.setattr(NoticeLedger, "passed", die)
        with pytest.raises(KeyboardInterrupt):
            take_notices(shop)
    assert take_notices(shop) == {"repeated": 5}
    assert len(noticed(shop)) == 5


def test_a_server_that_counts_anew_is_read_anew_and_nothing_counts_twice(shop, dovecot, person):
    deliver(person, bounce(f"To: {returns_to(0)}", 0), bounce(f"To: {returns_to(1)}", 1))
    take_notices(shop)
    person.logout()
    for file in dovecot.mail.glob("dovecot*"):
        file.unlink()
    uids = dovecot.mail / "dovecot-uidlist"
    uids.write_text("3 V77 N1 G00000000000000000000000000000077\n")
    os.chown(uids, dovecot.mail.stat().st_uid, dovecot.mail.stat().st_gid)
    assert take_notices(shop) == {"repeated": 2}
    assert take_notices(shop) == {}


def test_a_folder_of_any_name_is_read_and_of_a_long_mail_the_first_mebibyte(settings, dovecot, person):
    folder = r'Came back "2026"\1'
    quoted = '"' + folder.replace("\\", "\\\\").replace('"', '\\"') + '"'
    assert person.create(quoted)[0] == "OK"
    deliver(person, b"To: a@juniper.example\n\n" + b"x" * 10_000_000, folder=quoted)
    address = ImapAddress.of(f"imap://{LOGIN}@localhost:{dovecot.port}/{quote(folder)}")
    ledger = open_notices(settings)
    with imap_folder(address, ledger) as mailbox:
        assert [len(mail.raw) for mail in mailbox.arrivals()] == [LONGEST]
    ledger.close()
    assert take_notices(reading(settings, f"imap://{LOGIN}@localhost:{dovecot.port}/{quote(folder)}")) == {
        "left": 1
    }
    assert unread(person, quoted) == [1]


def test_over_tls_mail_is_fetched_from_a_server_we_trust(settings, dovecot, person, certificate):
    deliver(person, bounce(f"To: {returns_to(0)}", 0))
    address = ImapAddress.of(f"imaps://{LOGIN}@127.0.0.1:{dovecot.tls_port}")
    ledger = open_notices(settings)
    with imap_folder(address, ledger, ssl.create_default_context(cadata=certificate)) as mailbox:
        assert [mail.name for mail in mailbox.arrivals()] == ["1"]
    ledger.close()


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        ("imaps://{login}@127.0.0.1:{tls_port}/INBOX", "certificate"),
        ("imaps://{login}@localhost:{tls_port}/INBOX", "certificate"),
        ("imap://{user}:wrong-secret@127.0.0.1:{port}/INBOX", "AUTHENTICATIONFAILED"),
        ("imap://{login}@127.0.0.1:{port}/Nowhere", "127.0.0.1:{port} cannot be used: .*Nowhere"),
        ("imap://{login}@127.0.0.1:1/INBOX", "127.0.0.1:1 cannot be used: .*refused"),
    ],
)
def test_a_server_that_is_not_to_be_trusted_or_says_no_is_named_without_its_login(
    settings, dovecot, address, complaint
):
    facts = {"login": LOGIN, "user": quote(USER), "port": dovecot.port, "tls_port": dovecot.tls_port}
    with pytest.raises(MailboxFailed, match=complaint.format(**facts)) as error:
        take_notices(reading(settings, address.format(**facts)))
    for secret in ("right", "wrong-secret", "ada"):
        assert secret not in str(error.value)
