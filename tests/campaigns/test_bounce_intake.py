"""What comes back changes what goes out, if a token of ours is on it: on both databases, from a real Maildir."""

import os
import signal
import subprocess
import sys
import time

import duckdb
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import delete

from campaigns.bounces.intake import GROUP, notices_taken, take_notices
from campaigns.ledger import Handover, SendState
from campaigns.settlement import settle_answered
from core.errors import SettingsError
from core.ledger_tables import notices, open_ledger, suppressions
from core.settings import PROJECT, Settings
from core.tokens import TokenKind, Tokens
from tests.campaigns.returned import (
    BOUNCES,
    answer,
    bounce,
    complaint,
    deliver,
    make_maildir,
    noticed,
    our_mail,
    returns_to,
    sent_by,
    suppressed,
    unsubscribe_link,
)
from tests.campaigns.test_bounces import hostile
from tests.faults.ledger_kit import DAY, ledger_at, planned, send_id_of

FORGERIES = int(os.environ.get("TEST_FORGERIES", "100"))
SENT, UNCERTAIN = SendState.SENT, SendState.UNCERTAIN


@pytest.fixture
def maildir(tmp_path):
    return make_maildir(tmp_path / "bounces")


@pytest.fixture
def shop(ledger_url, tmp_path, maildir) -> Settings:
    """Settings of a shop whose bounces come into the Maildir."""
    return Settings(
        _env_file=None,
        data_dir=tmp_path,
        token_key="k" * 40,
        ledger_url=ledger_url,
        bounce_mailbox=str(maildir),
    )


def states(settings):
    ledger = ledger_at(settings.ledger)
    found = {send.customer_id: str(send.state) for send in ledger.of_day(DAY)}
    ledger.close()
    return found


@pytest.mark.parametrize(
    "head",
    [
        f"To: {returns_to(0)}",
        f"Delivered-To: box@host.example\nX-Original-To: {returns_to(0).upper()}\nTo: <postmaster@{BOUNCES}>",
        f"Received: from mx\nEnvelope-To:\n <{returns_to(0)}>",
        f"X-Envelope-To: <{returns_to(0)}>",
        f"Delivered-To: other@{BOUNCES}\nDelivered-To: {returns_to(0)}",
    ],
)
def test_a_hard_bounce_to_our_return_path_ends_the_mail_of_its_customer(shop, maildir, head):
    sent_by(shop, SENT, SENT)
    deliver(maildir, bounce(head, 0))
    assert take_notices(shop) == {"bounce": 1, "proven": 1, "suppressed": 1}
    assert suppressed(shop) == {"c0": "bounced"}
    [row] = noticed(shop)
    assert (row["kind"], row["severity"], row["reason"], row["status"], row["is_proven"]) == (
        "bounce",
        "hard",
        "mailbox_unknown",
        "5.1.1",
        True,
    )
    assert (row["send_id"], row["diagnostic"]) == (send_id_of(0), "smtp; 550 5.1.1 User unknown")


def test_a_soft_bounce_is_noted_and_the_mail_goes_on(shop, maildir):
    sent_by(shop, SENT)
    deliver(maildir, bounce(f"To: {returns_to(0)}", 0, "4.2.2", "452 4.2.2 Mailbox full"))
    assert take_notices(shop) == {"bounce": 1, "proven": 1}
    assert suppressed(shop) == {}
    assert [(row["severity"], row["reason"]) for row in noticed(shop)] == [("soft", "mailbox_full")]


@pytest.mark.parametrize(
    ("words", "severity", "reason", "who"),
    [
        ("userx    No such user here", "hard", "mailbox_unknown", {"c0": "bounced"}),
        ("Not delivered: mailbox full", "soft", "mailbox_full", {}),
    ],
)
def test_a_bounce_that_names_no_address_is_about_the_person_of_its_token(
    shop, maildir, words, severity, reason, who
):
    sent_by(shop, SENT)
    head = f"To: {returns_to(0)}\nFrom: MAILER-DAEMON@mx.example.net\nSubject: Returned mail\n\n"
    deliver(maildir, f"{head}{words}\n".encode())
    take_notices(shop)
    assert [(row["severity"], row["reason"]) for row in noticed(shop)] == [(severity, reason)]
    assert suppressed(shop) == who


def test_an_address_that_leads_to_several_is_bad_only_if_all_of_them_are(shop, maildir):
    sent_by(shop, SENT)
    failed = b"Final-Recipient: rfc822; one@example.net\nAction: failed\nStatus: 5.1.1\n"
    full = b"Final-Recipient: rfc822; two@example.net\nAction: failed\nStatus: 5.2.2\n"
    mail = bounce(f"To: {returns_to(0)}", 0)
    deliver(
        maildir, mail.replace(b"\nFinal-Recipient", b"\n" + failed + b"\n" + full + b"\nFinal-Recipient", 1)
    )
    take_notices(shop)
    assert [(row["severity"], row["reason"]) for row in noticed(shop)] == [("soft", "mailbox_full")]
    assert suppressed(shop) == {}


@pytest.mark.parametrize(
    "proof", [f"Return-Path: <{returns_to(1)}>", f"List-Unsubscribe: {unsubscribe_link(1)}"]
)
def test_a_complaint_is_proven_by_the_mail_that_is_complained_of(shop, maildir, proof):
    sent_by(shop, SENT, SENT)
    deliver(maildir, complaint("To: complaints@juniper.example", 1, our_mail(1, proof)))
    assert take_notices(shop) == {"complaint": 1, "proven": 1, "suppressed": 1}
    assert suppressed(shop) == {"c1": "complained"}


def test_links_of_our_mail_prove_no_bounce(shop, maildir):
    """A bounce is proved by where it came to. Whoever forwards our mail hands its links on, not its return path."""
    sent_by(shop, SENT)
    raw = bounce("To: hello@juniper.example", 0)
    linked = raw.replace(
        b"X-Lapwing-Send", f"List-Unsubscribe: {unsubscribe_link(0)}\nX-Lapwing-Send".encode()
    )
    deliver(maildir, raw, linked)
    assert take_notices(shop) == {"bounce": 2}
    assert suppressed(shop) == {}
    assert [(row["send_id"], row["is_proven"]) for row in noticed(shop)] == [(send_id_of(0), False)] * 2


@st.composite
def forged(draw) -> str:
    """An address like a return path of the victim's send, by somebody without the key."""
    place, mark = returns_to(0)[:35], returns_to(0)[35:55]
    at = draw(st.integers(0, len(mark) - 1))
    changed = draw(st.sampled_from([digit for digit in "0123456789abcdef" if digit != mark[at]]))
    local_part = draw(
        st.one_of(
            st.from_regex(r"[0-9a-f]{20}", fullmatch=True).map(place.__add__),
            st.from_regex(r"b-[0-9a-f]{32}-[0-9a-f]{20}|[a-z.-]{0,60}", fullmatch=True),
            st.text("0123456789abcdef", min_size=40, max_size=60).map(lambda key: returns_to(0, key)[:55]),
            st.sampled_from(
                [
                    place + mark[:at] + changed + mark[at + 1 :],
                    place + mark[:at],
                    place + mark + mark[at],
                    mark[at] + place + mark,
                    place + returns_to(1)[35:55],  # the forger's own mark, on the victim's send
                ]
            ),
        )
    )
    return f"{local_part}@{BOUNCES}"


@pytest.fixture(scope="module")
def forgers_shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("forged")
    maildir = make_maildir(folder / "bounces")
    shop = Settings(_env_file=None, data_dir=folder, token_key="k" * 40, bounce_mailbox=str(maildir))
    sent_by(shop, SENT, SENT)
    return shop, maildir


def forget_notices(settings):
    engine = open_ledger(settings.ledger)
    with engine.begin() as connection:
        for table in (notices, suppressions):
            connection.execute(delete(table))
    engine.dispose()


@pytest.mark.timeout(3600)
@given(data=st.data())
@hypothesis_settings(max_examples=FORGERIES, deadline=None)
def test_no_forged_report_suppresses_anybody(forgers_shop, data):
    """c0 is the victim, whose address and send the forger knows; c1 is the forger, who has got mail of ours too."""
    shop, maildir = forgers_shop
    forget_notices(shop)
    is_own = data.draw(st.booleans(), "the forger's own token is in it")
    token = returns_to(1) if is_own else data.draw(forged())
    field = data.draw(
        st.sampled_from(["To", "Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To"])
    )
    head = data.draw(
        st.sampled_from([f"{field}: {token}", f"{field}: Ada <{token}>", f"{field}: x@y.example,\n {token}"])
    )
    wrong_kind = data.draw(st.sampled_from([TokenKind.OPEN, TokenKind.CLICK]))
    wrong_link = Tokens(shop.token_key).sign(wrong_kind, send_id_of(0))
    original = our_mail(
        0,
        f"List-Unsubscribe: <https://t.juniper.example/u/{wrong_link}>",
        f"Return-Path: <{data.draw(forged())}>",
    )
    is_complaint = data.draw(st.booleans(), "a complaint")
    deliver(maildir, complaint(head, 0, original) if is_complaint else bounce(head, 0))
    assert take_notices(shop).total() == 1 + 2 * is_own  # one mail; proven, suppressed
    assert suppressed(shop) == ({"c1": "complained" if is_complaint else "bounced"} if is_own else {})


def test_auto_replies_are_counted_and_a_persons_answer_stays_unread(shop, maildir):
    sent_by(shop, SENT)
    away = answer(f"To: {returns_to(0)}", "Out of office", "Auto-Submitted: auto-replied")
    deliver(maildir, away, answer(f"To: {returns_to(0)}"))
    assert take_notices(shop) == {"auto_reply": 1, "proven": 1, "left": 1}
    assert take_notices(shop) == {}
    read, unread = sorted((maildir / "cur").iterdir(), key=lambda file: file.stat().st_size, reverse=True)
    assert (read.read_bytes(), read.name.partition(":")[2]) == (away, "2,S")
    assert unread.name.endswith(":2,")
    assert suppressed(shop) == {}


def test_the_same_mail_twice_counts_once(shop, maildir):
    sent_by(shop, SENT)
    mail = bounce(f"To: {returns_to(0)}", 0)
    deliver(maildir, mail, mail)
    assert take_notices(shop) == {"bounce": 1, "proven": 1, "suppressed": 1, "repeated": 1}
    deliver(maildir, mail.replace(b"\n", b"\r\n"))  # as an IMAP server would hand it out
    assert take_notices(shop) == {"repeated": 1}
    assert len(noticed(shop)) == 1


def test_what_came_back_settles_an_uncertain_send_whichever_was_first(shop, maildir):
    sent_by(shop, UNCERTAIN, UNCERTAIN, UNCERTAIN, SENT)
    deliver(
        maildir,
        bounce(f"To: {returns_to(0)}", 0, "4.2.2", "452 4.2.2 Mailbox full"),
        bounce("To: hello@juniper.example", 1),
    )
    assert take_notices(shop)["settled"] == 1
    assert states(shop) == {"c0": "sent", "c1": "uncertain", "c2": "uncertain", "c3": "sent"}

    ledger = ledger_at(shop.ledger)
    ledger.enqueue([planned(9)], {})
    deliver(maildir, bounce(f"To: {returns_to(9)}", 9, "4.4.1", "no answer"))
    assert take_notices(shop)["settled"] == 0  # its sender has not been found dead yet
    with ledger.sender(shop.data_dir / "sender.lock"):
        ledger.start(
            [(send, Handover("mx:25", "<m@juniper.example>", "0" * 64)) for send in ledger.claim(9).sends]
        )
    ledger.close()
    assert states(shop)["c9"] == "uncertain"
    assert take_notices(shop) == {"settled": 1}
    assert states(shop)["c9"] == "sent"


def test_a_first_reason_stays_and_a_token_of_no_send_suppresses_nobody(shop, maildir):
    sent_by(shop, SENT)
    deliver(maildir, bounce(f"To: {returns_to(0)}", 0), bounce(f"To: {returns_to(7)}", 0))
    deliver(maildir, complaint(f"To: {returns_to(0)}", 0, our_mail(0)))
    assert take_notices(shop) == {"bounce": 2, "complaint": 1, "proven": 3, "suppressed": 1}
    assert suppressed(shop) == {"c0": "bounced"}


DYING = """
import os, signal, sys
from pathlib import Path
from campaigns.bounces.intake import take_notices
from campaigns.bounces.mailboxes import Maildir
from core.settings import Settings

passed, left = Maildir.passed, int(sys.argv[4])
def die(self, was_taken):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    passed(self, was_taken)
Maildir.passed = die
take_notices(Settings(_env_file=None, data_dir=Path(sys.argv[1]), token_key="k" * 40, ledger_url=sys.argv[2], bounce_mailbox=sys.argv[3]))
"""


def test_a_death_between_the_ledger_and_the_mailbox_loses_nothing_and_counts_nothing_twice(shop, maildir):
    sent_by(shop, *[SENT] * 100)
    mails = [bounce(f"To: {returns_to(number)}\nX-Number: {number}", number) for number in range(GROUP + 20)]
    deliver(maildir, *mails)
    for groups_before in (0, 0, 1):
        words = [str(shop.data_dir), shop.ledger_url, str(maildir), str(groups_before)]
        done = subprocess.run(
            [sys.executable, "-c", DYING, *words], cwd=PROJECT, check=False, capture_output=True, timeout=60
        )
        assert done.returncode == -signal.SIGKILL, done.stderr
    assert take_notices(shop) == {"repeated": 20}
    assert len(noticed(shop)) == GROUP + 20
    assert len(suppressed(shop)) == 100
    assert (len(list((maildir / "new").iterdir())), len(list((maildir / "cur").iterdir()))) == (0, GROUP + 20)


def test_mails_made_to_break_their_reader_stop_nobody(shop, maildir):
    sent_by(shop, SENT)
    ten_mb = b"To: " + b"b-0-" * 2_500_000
    long_id = bounce("To: a@juniper.example", 1).replace(send_id_of(1).encode(), b"f" * 64)
    deliver(maildir, *hostile().values(), ten_mb, long_id, bounce(f"To: {returns_to(0)}", 0))
    begin = time.process_time()
    assert take_notices(shop)["suppressed"] == 1
    assert time.process_time() - begin < 15
    assert list((maildir / "new").iterdir()) == []


def test_nothing_kept_of_a_mail_holds_an_address_or_its_text(shop, maildir):
    sent_by(shop, SENT)
    words = "550 5.1.1 <reader.0@example.com>: <b>[bold]gone[/nothing]</b>\x00"
    deliver(maildir, bounce(f"To: {returns_to(0)}", 0, words=words))
    take_notices(shop)
    [row] = noticed(shop)
    assert row["diagnostic"] == "smtp; 550 5.1.1 <[address]>: <b>[bold]gone[/nothing]</b>"
    assert "@" not in str(row)
    assert "See below" not in str(row)


def test_the_newest_notices_are_listed_with_their_campaign(shop, maildir):
    sent_by(shop, SENT)
    deliver(maildir, bounce(f"To: {returns_to(0)}", 0), complaint("To: box@juniper.example", 3, our_mail(3)))
    take_notices(shop)
    both = notices_taken(shop, 10)
    assert {(row["kind"], row["campaign_id"], row["send_id"]) for row in both} == {
        ("bounce", "winback", send_id_of(0)),
        ("complaint", None, send_id_of(3)),
    }
    assert [row["kind"] for row in notices_taken(shop, 10, is_proven=True)] == ["bounce"]
    assert [row["kind"] for row in notices_taken(shop, 10, is_proven=False)] == ["complaint"]
    assert len(notices_taken(shop, 1)) == 1


def test_without_a_mailbox_nothing_is_done(settings):
    assert take_notices(settings) == {}
    assert list(settings.data_dir.iterdir()) == []


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        ("/nowhere/at/all", "is no Maildir"),
        ("imaps://ada:hidden@/INBOX", "is neither a Maildir nor like imaps://"),
        ("imaps://mail.example/INBOX", "is neither a Maildir nor like imaps://"),
        ("imaps://ada:hidden@mail.example:port/INBOX", "is neither a Maildir nor like imaps://"),
        ("pop3://ada:hidden@mail.example/INBOX", "is neither a Maildir nor like imaps://"),
        ("imap://ada:hidden@mail.example/INBOX", "imap:// is for this machine only"),
    ],
)
def test_a_setting_that_names_no_mailbox_is_refused_without_showing_it(settings, address, complaint):
    shop = settings.model_copy(update={"bounce_mailbox": SecretStr(address)})
    with pytest.raises(SettingsError, match=complaint) as error:
        take_notices(shop)
    assert "hidden" not in str(error.value)
    assert "ada" not in str(error.value)


def test_an_open_a_click_or_an_unsubscribe_settles_an_uncertain_send(settings):
    sent_by(settings, UNCERTAIN, UNCERTAIN, UNCERTAIN, UNCERTAIN)
    with duckdb.connect(str(settings.warehouse)) as warehouse:
        warehouse.execute(
            "create schema landing; create table landing.mail_events (send_id varchar, kind varchar)"
        )

    def load(shop):
        events = [(send_id_of(number), kind) for number, kind in enumerate(["open", "click", "sent"])]
        with duckdb.connect(str(shop.warehouse)) as warehouse:
            warehouse.executemany("insert into landing.mail_events values (?, ?)", events * 2)

    assert settle_answered(settings, load) == 2
    assert states(settings) == {"c0": "sent", "c1": "sent", "c2": "uncertain", "c3": "uncertain"}
    assert settle_answered(settings, load) == 0


def test_where_no_send_is_uncertain_nothing_is_loaded(settings):
    sent_by(settings, SENT)
    settings.warehouse.touch()

    def load(_):
        raise AssertionError("loading takes the warehouse's turn")

    assert settle_answered(settings, load) == 0
