"""What people answer stops their own mail and nobody else's: on both databases, from a real Maildir."""

import json
import os
from contextlib import closing
from datetime import timedelta

import duckdb
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import delete, select, update
from typer.testing import CliRunner

from campaigns.bounces.intake import take_notices
from campaigns.dispatch import send_batch
from campaigns.envelope import Envelope
from campaigns.ledger import SendState
from campaigns.ledger_notices import BOUNCED
from campaigns.ledger_replies import TEXT_KEPT, open_replies
from campaigns.mailers.sendgrid import SendGridMailer
from campaigns.message import author_of
from campaigns.outcomes import ledger_view
from campaigns.replies.reply import Intent
from cli.app import app
from core.clock import clock_of
from core.errors import LedgerBroken
from core.ledger_tables import audit_log, open_ledger, replies, suppressions
from core.settings import Settings
from core.tokens import TokenKind, Tokens
from simulation.shop import simulate_shop
from sources.landing import load_landing
from sources.landing_rows import stamp
from sources.tracking import collect
from tests.campaigns.returned import (
    BOUNCES,
    answer,
    bounce,
    deliver,
    make_maildir,
    our_mail,
    returns_to,
    sent_by,
    suppressed,
    unsubscribe_link,
)
from tests.campaigns.test_dispatch import Outbox
from tests.faults.ledger_kit import DAY, ledger_at, message_of, planned, send_id_of
from tracking.ledger import FeedbackLedger

FORGERIES = int(os.environ.get("TEST_FORGERIES", "50"))
SENT, UNCERTAIN = SendState.SENT, SendState.UNCERTAIN
KEY = "k" * 40


def answers_to(number, key=KEY):
    """The address that answers of a customer come to."""
    return f"{Tokens(SecretStr(key)).reply_path(send_id_of(number))}@{BOUNCES}"


def letter(head, text, *more):
    return "\n".join(
        [head, "From: ada@example.com", "Subject: Re: New in store", *more, "", text, ""]
    ).encode()


def refers_to(number):
    return f"In-Reply-To: <{send_id_of(number)}@juniper.example>"


@pytest.fixture
def maildir(tmp_path):
    return make_maildir(tmp_path / "bounces")


def shop_of(folder, maildir, ledger_url=""):
    return Settings(
        _env_file=None,
        data_dir=folder,
        token_key=KEY,
        ledger_url=ledger_url,
        bounce_domain=BOUNCES,
        bounce_mailbox=str(maildir),
        takes_replies=True,
    )


@pytest.fixture
def shop(ledger_url, tmp_path, maildir):
    return shop_of(tmp_path, maildir, ledger_url)


def kept(settings):
    engine = open_ledger(settings.ledger)
    with engine.begin() as connection:
        rows = [dict(row._mapping) for row in connection.execute(select(replies).order_by(replies.c.send_id))]
    engine.dispose()
    return rows


def test_whoever_asks_for_it_at_the_address_of_their_mail_gets_no_more(shop, maildir):
    sent_by(shop, SENT, SENT)
    deliver(maildir, letter(f"To: Juniper <{answers_to(0)}>", "Please unsubscribe me."))
    assert take_notices(shop) == {"unsubscribe": 1, "proven": 1, "suppressed": 1, "left": 1}
    assert suppressed(shop) == {"c0": "unsubscribed"}
    [row] = kept(shop)
    assert (row["send_id"], row["text"], row["closed_at"] is None) == (send_id_of(0), None, False)


def test_a_link_of_our_mail_that_the_letter_quotes_proves_it_too(shop, maildir):
    sent_by(shop, SENT, SENT)
    link = unsubscribe_link(1).strip("<>")
    quoted = f"No more mails please.\n\nOn Monday, Juniper <hello@juniper.example> wrote:\n> Unsubscribe:\n> {link}"
    deliver(maildir, letter("To: hello@juniper.example", quoted))
    assert take_notices(shop)["suppressed"] == 1
    assert suppressed(shop) == {"c1": "unsubscribed"}


def test_a_complaint_holds_the_mail_until_a_person_lifts_it(shop, maildir):
    sent_by(shop, SENT)
    deliver(maildir, letter(f"To: {answers_to(0)}", "My coat arrived torn."))
    assert take_notices(shop) == {"complaint": 1, "proven": 1, "held": 1, "left": 1}
    assert suppressed(shop) == {"c0": "held"}
    ledger = open_replies(shop)
    [waiting] = ledger.listed(10, is_open=True)
    assert (waiting["intent"], waiting["customer_id"], waiting["campaign_id"]) == (
        "complaint",
        "c0",
        "winback",
    )
    assert "text" not in waiting
    assert ledger.shown(waiting["reply_id"])["text"] == "My coat arrived torn."
    assert ledger.close_reply(waiting["reply_id"], actor="ann", is_lifted=True)
    assert suppressed(shop) == {}
    assert ledger.shown(waiting["reply_id"])["text"] is None
    assert ledger.listed(10, is_open=True) == []
    ledger.close()
    engine = open_ledger(shop.ledger)
    with engine.begin() as connection:
        [line] = connection.execute(select(audit_log)).all()
    engine.dispose()
    assert (line.actor, line.action, line.detail) == ("ann", "reply closed", {"hold_lifted": True})


def test_who_complains_again_is_held_already(shop, maildir):
    sent_by(shop, SENT)
    for text in ("My coat arrived torn.", "And the buttons fell off, I am angry."):
        deliver(maildir, letter(f"To: {answers_to(0)}", text))
    assert take_notices(shop) == {"complaint": 2, "proven": 2, "held": 1, "left": 2}


def test_mail_that_is_held_is_not_sent(shop, maildir):
    sent_by(shop, SENT)
    deliver(maildir, letter(f"To: {answers_to(0)}", "This is a scam!"))
    take_notices(shop)
    ledger, outbox = ledger_at(shop.ledger), Outbox("250 ok")
    day = DAY + timedelta(days=1)
    ledger.enqueue([planned(0, day=day), planned(1, day=day)], {})
    with ledger.sender(shop.data_dir / "sender.lock"):
        send_batch(ledger, outbox, message_of, pause_after_errors=3)
    assert {send.customer_id: str(send.state) for send in ledger.of_day(day)} == {
        "c0": "suppressed",
        "c1": "sent",
    }
    ledger.close()


def leave_by_link(shop):
    feedback = FeedbackLedger(shop.ledger, patience_seconds=5)
    assert feedback.suppress(send_id_of(0), ledger_at(shop.ledger)._clock)
    feedback.close()


def leave_by_letter(shop):
    deliver(shop.data_dir / "bounces", letter(f"To: {answers_to(0)}", "unsubscribe"))
    take_notices(shop)


def leave_by_bounce(shop):
    deliver(shop.data_dir / "bounces", bounce(f"To: {returns_to(0)}", 0))
    take_notices(shop)


@pytest.mark.parametrize(
    ("leave", "reason"),
    [(leave_by_link, "unsubscribed"), (leave_by_letter, "unsubscribed"), (leave_by_bounce, BOUNCED)],
)
def test_lifting_a_hold_brings_nobody_back_who_has_left_meanwhile(shop, maildir, leave, reason):
    sent_by(shop, SENT)
    deliver(maildir, letter(f"To: {answers_to(0)}", "I want to complain."))
    take_notices(shop)
    leave(shop)
    assert suppressed(shop) == {"c0": reason}
    ledger = open_replies(shop)
    [complaint] = ledger.listed(10, intent=Intent.COMPLAINT)
    assert not ledger.close_reply(complaint["reply_id"], actor="ann", is_lifted=True)
    ledger.close()
    assert suppressed(shop) == {"c0": reason}


def test_a_complaint_of_somebody_who_has_left_changes_nothing(shop, maildir):
    sent_by(shop, SENT)
    leave_by_link(shop)
    deliver(maildir, letter(f"To: {answers_to(0)}", "I want to complain."))
    assert take_notices(shop) == {"complaint": 1, "proven": 1, "left": 1}
    assert suppressed(shop) == {"c0": "unsubscribed"}


def test_questions_wait_praise_is_counted_and_both_stay_unread_in_the_mailbox(shop, maildir):
    sent_by(shop, SENT, SENT)
    deliver(
        maildir,
        letter(f"To: {answers_to(0)}", "Where is my parcel?"),
        letter(f"To: {answers_to(1)}", "I love it!"),
        letter("To: hello@juniper.example", "A letter about nothing of ours"),
    )
    assert take_notices(shop) == {"question": 1, "praise": 1, "proven": 2, "left": 3}
    assert suppressed(shop) == {}
    found = {row["intent"]: (row["topic"], row["text"], row["closed_at"] is None) for row in kept(shop)}
    assert found == {"question": ("delivery", "Where is my parcel?", True), "praise": (None, None, False)}
    assert {file.name.rpartition(",")[2] for file in (maildir / "cur").iterdir()} == {""}


def test_auto_replies_stay_notices_and_the_same_letter_counts_once(shop, maildir):
    sent_by(shop, SENT)
    away = answer(f"To: {answers_to(0)}", "Out of office", "Auto-Submitted: auto-replied", refers_to(0))
    mail = letter(f"To: {answers_to(0)}", "Where is it?")
    deliver(maildir, away, mail, mail)
    assert take_notices(shop) == {"auto_reply": 1, "question": 1, "proven": 1, "left": 2, "repeated": 1}


def test_a_shop_that_takes_no_replies_reads_none(shop, maildir):
    sent_by(shop, SENT)
    deliver(maildir, letter(f"To: {answers_to(0)}", "unsubscribe"))
    assert take_notices(shop.model_copy(update={"takes_replies": False})) == {"left": 1}
    assert kept(shop) == []
    assert suppressed(shop) == {}


def test_an_answer_settles_an_uncertain_send_if_it_is_proven(shop, maildir):
    sent_by(shop, UNCERTAIN, UNCERTAIN)
    deliver(
        maildir, letter(f"To: {answers_to(0)}", "ok"), letter("To: a@juniper.example", "ok", refers_to(1))
    )
    assert take_notices(shop)["settled"] == 1
    ledger = ledger_at(shop.ledger)
    assert {send.customer_id: str(send.state) for send in ledger.of_day(DAY)} == {
        "c0": "sent",
        "c1": "uncertain",
    }
    ledger.close()


def test_what_is_not_proven_waits_and_a_person_may_honour_it(shop, maildir):
    sent_by(shop, SENT)
    deliver(maildir, letter("To: hello@juniper.example", "Unsubscribe me", refers_to(0)))
    assert take_notices(shop) == {"unsubscribe": 1, "left": 1}
    assert suppressed(shop) == {}
    ledger = open_replies(shop)
    [row] = ledger.listed(10, is_open=True)
    with pytest.raises(LedgerBroken, match="stops no mail"):
        ledger.honour(row["reply_id"], Intent.PRAISE, actor="ann")
    assert ledger.honour(row["reply_id"], Intent.UNSUBSCRIBE, actor="ann")
    assert not ledger.honour(row["reply_id"], Intent.UNSUBSCRIBE, actor="ann")
    assert ledger.listed(10, is_open=True) == []
    ledger.close()
    assert suppressed(shop) == {"c0": "unsubscribed"}


def test_an_answer_to_a_send_nobody_knows_stops_nobody_and_stays_open(shop, maildir):
    sent_by(shop, SENT)
    deliver(maildir, letter(f"To: {answers_to(7)}", "Unsubscribe me"))
    assert take_notices(shop) == {"unsubscribe": 1, "proven": 1, "left": 1}
    ledger = open_replies(shop)
    [row] = ledger.listed(10, is_open=True)
    with pytest.raises(LedgerBroken, match="does not know"):
        ledger.honour(row["reply_id"], Intent.UNSUBSCRIBE, actor="ann")
    with pytest.raises(LedgerBroken, match="there is no reply 'beef'"):
        ledger.shown("beef")
    ledger.close()
    assert suppressed(shop) == {}


def test_words_are_erased_after_thirty_days_at_the_next_run(shop, maildir):
    sent_by(shop, SENT, SENT)
    deliver(maildir, *(letter(f"To: {answers_to(number)}", "Where is it?") for number in (0, 1)))
    take_notices(shop)
    came = kept(shop)[0]["received_at"] - TEXT_KEPT - timedelta(minutes=1)
    engine = open_ledger(shop.ledger)
    with engine.begin() as connection:
        first = replies.c.send_id == send_id_of(0)
        connection.execute(update(replies).where(first).values(received_at=came))
    engine.dispose()
    deliver(maildir, letter("To: a@juniper.example", "one more", refers_to(1)))
    take_notices(shop)
    assert {(row["send_id"], row["text"]) for row in kept(shop)} == {
        (send_id_of(0), None),
        (send_id_of(1), "Where is it?"),
        (send_id_of(1), "one more"),
    }


# ---- who is not the customer changes nothing ----


@st.composite
def forged(draw):
    """An address like that of answers to the victim's send, by somebody without the key."""
    victim = answers_to(0)[:55]
    at = draw(st.integers(35, 54))
    changed = draw(st.sampled_from([digit for digit in "0123456789abcdef" if digit != victim[at]]))
    local_part = draw(
        st.one_of(
            st.from_regex(r"r-[0-9a-f]{32}-[0-9a-f]{20}|[a-z.-]{0,60}", fullmatch=True),
            st.text("0123456789abcdef", min_size=40, max_size=60).map(lambda key: answers_to(0, key)[:55]),
            st.sampled_from(
                [
                    victim[:at] + changed + victim[at + 1 :],
                    victim[:at],
                    f"{victim[:35]}{answers_to(1)[35:55]}",  # the forger's own mark, on the victim's send
                    f"r{returns_to(0)[1:55]}",  # the mark of the other kind of address
                    f"b{victim[1:]}",
                ]
            ),
        )
    )
    return f"{local_part}@{BOUNCES}"


@st.composite
def forged_link(draw):
    tokens = Tokens(SecretStr(draw(st.sampled_from([KEY, "x" * 40]))))
    kind = draw(st.sampled_from([TokenKind.OPEN, TokenKind.CLICK]))
    return f"https://t.juniper.example/u/{tokens.sign(kind, send_id_of(0))}"


@pytest.fixture(scope="module")
def forgers_shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("forged")
    maildir = make_maildir(folder / "bounces")
    shop = shop_of(folder, maildir)
    sent_by(shop, SENT, SENT)
    return shop, maildir


@pytest.mark.timeout(3600)
@given(data=st.data())
@hypothesis_settings(max_examples=FORGERIES, deadline=None)
def test_no_forged_letter_stops_the_mail_of_anybody_else(forgers_shop, data):
    """c0 is the victim, whose address and send the forger knows; c1 is the forger, who has got mail of ours too."""
    shop, maildir = forgers_shop
    engine = open_ledger(shop.ledger)
    with engine.begin() as connection:
        for table in (replies, suppressions):
            connection.execute(delete(table))
    engine.dispose()
    is_own = data.draw(st.booleans(), "the forger's own token is in it")
    to = answers_to(1) if is_own else data.draw(forged())
    text = data.draw(st.sampled_from(["Unsubscribe me", "I am furious, a complaint!", "Stop"]))
    head = data.draw(st.sampled_from([f"To: {to}", f"Delivered-To: {to}", f"To: x@y.example,\n Ada <{to}>"]))
    quoted = f"> {data.draw(forged_link())}\n{our_mail(0)}"
    mail = letter(head, f"{text}\n\n{quoted}", refers_to(0)).replace(b"ada@", b"reader.0@")
    deliver(maildir, mail)
    take_notices(shop)
    assert set(suppressed(shop)) == ({"c1"} if is_own else set())
    assert [row["is_proven"] for row in kept(shop)] == [is_own]


# ---- the address that answers come to ----


def test_mail_asks_for_answers_at_an_address_that_only_we_could_have_made(shop, tmp_path):
    sent_by(shop, SENT)
    ledger = ledger_at(shop.ledger)
    [send] = ledger.of_day(DAY)
    author = author_of(shop.from_address)[0]
    asked = Envelope(shop)(send, author, message_of(send))
    assert asked.message == f"Reply-To: <{answers_to(0)}>\r\n".encode() + message_of(send)
    for off in ({"takes_replies": False}, {"bounce_domain": ""}):
        assert Envelope(shop.model_copy(update=off))(send, author, message_of(send)).message == message_of(
            send
        )
    ledger.close()


def test_sendgrid_is_told_where_answers_go(shop):
    sent_by(shop, SENT)
    ledger = ledger_at(shop.ledger)
    [send] = ledger.of_day(DAY)
    mail = Envelope(shop)(send, "hello@juniper.example", message_of(send))
    ledger.close()
    mailer = SendGridMailer(shop.model_copy(update={"sendgrid_api_key": SecretStr("key")}))
    order = json.loads(mailer.request_of(mail).content)
    assert order["reply_to"] == {"email": answers_to(0)}
    assert "Reply-To" not in order["personalizations"][0]["headers"]
    mailer.close()


# ---- the commands ----


def test_the_commands_list_show_honour_and_close(tmp_path, maildir, monkeypatch):
    shop = shop_of(tmp_path, maildir)
    sent_by(shop, SENT)
    deliver(maildir, letter("To: hello@juniper.example", "Wo ist mein Paket? [bold]", refers_to(0)))
    take_notices(shop)
    for name, value in {"DATA_DIR": str(tmp_path), "TOKEN_KEY": KEY, "LEDGER_URL": ""}.items():
        monkeypatch.setenv(f"LAPWING_{name}", value)

    def lapwing(*words):
        found = CliRunner().invoke(app, ["replies", *words, "--json"])
        assert found.exit_code == 0, found.output
        return json.loads(found.stdout)

    [row] = lapwing("list", "--open", "--intent", "question")
    assert (row["is_proven"], "text" in row) == (False, False)
    shown = lapwing("show", row["reply_id"])
    assert shown["text"] == "Wo ist mein Paket? [bold]"
    assert shown["draft"].startswith("Guten Tag,")
    assert lapwing("honour", row["reply_id"], "--as", "complaint")["mail_stopped"]
    assert suppressed(shop) == {"c0": "held"}
    assert lapwing("close", row["reply_id"], "--lift")["hold_lifted"]
    assert suppressed(shop) == {}
    assert lapwing("list", "--open") == []


def test_how_content_a_reply_is_stays_when_its_words_are_erased(shop, maildir):
    """The model's place is taken by a rule that anybody can check."""
    sent_by(shop, SENT, SENT, SENT)
    deliver(
        maildir,
        letter(f"To: {answers_to(0)}", "My coat arrived torn."),
        letter(f"To: {answers_to(1)}", "Thank you, I love it!"),
        letter(f"To: {answers_to(2)}", ""),
    )
    asked = []

    def ask(_settings, texts):
        asked.append(sorted(texts))
        return [{"My coat arrived torn.": -0.75, "Thank you, I love it!": 0.5}.get(text) for text in texts]

    take_notices(shop, ask)
    take_notices(shop, ask)  # nothing is new: nobody is asked
    assert asked == [["", "My coat arrived torn.", "Thank you, I love it!"]]
    found = {row["send_id"]: (row["sentiment"], row["text"]) for row in kept(shop)}
    assert found[send_id_of(0)] == (-0.75, "My coat arrived torn.")
    assert found[send_id_of(1)] == (0.5, None)  # praise is closed
    assert found[send_id_of(2)][0] is None


# Beyond the ledger


def landed(settings, table):
    folder = settings.landing / "replies" / table
    return [json.loads(line) for file in sorted(folder.glob("*")) for line in file.read_text().splitlines()]


def collect_answers(settings):
    with ledger_view(settings) as ledger:
        return collect(settings, ledger)


def test_a_complaint_opens_a_ticket_that_closes_and_a_wish_to_leave_is_a_mail_event(shop, maildir):
    sent_by(shop, SENT, SENT, SENT, SENT)
    deliver(
        maildir,
        letter(f"To: {answers_to(0)}", "My coat arrived torn."),
        letter(f"To: {answers_to(1)}", "Please unsubscribe me."),
        letter("To: hello@juniper.example", "My coat arrived torn.", refers_to(2)),  # proves nothing
        letter(f"To: {answers_to(3)}", "Where is my parcel?"),
    )
    take_notices(shop)
    sent_mails = collect_answers(shop) - 2
    assert sent_mails == 4
    [opened] = landed(shop, "support_tickets")
    [left] = landed(shop, "mail_events")
    [complaint] = [row for row in kept(shop) if row["send_id"] == send_id_of(0)]
    assert opened["ticket_id"] == f"reply-{complaint['reply_id']}"
    assert (opened["customer_id"], opened["kind"], opened["closed_at"]) == ("c0", "complaint", None)
    assert (left["customer_id"], left["send_id"], left["kind"]) == ("c1", send_id_of(1), "unsubscribe")
    assert collect_answers(shop) == 0
    with closing(open_replies(shop)) as ledger:
        ledger.close_reply(complaint["reply_id"], actor="ann")
    assert collect_answers(shop) == 1
    assert collect_answers(shop) == 0
    again, closed = landed(shop, "support_tickets")
    assert again == opened
    assert closed["ticket_id"] == opened["ticket_id"]
    assert closed["closed_at"] == closed["known_at"] > opened["known_at"] >= opened["opened_at"]


def test_a_complaint_that_waited_for_long_lands_once_more_when_it_is_closed(shop, maildir):
    sent_by(shop, SENT, SENT)
    for number, hours in ((0, 3), (1, 0)):
        deliver(maildir, letter(f"To: {answers_to(number)}", "My coat arrived torn."))
        take_notices(shop)
        engine = open_ledger(shop.ledger)
        with engine.begin() as connection:
            [row] = connection.execute(select(replies).where(replies.c.send_id == send_id_of(number))).all()
            earlier = row.taken_at - timedelta(hours=hours)
            of_reply = update(replies).where(replies.c.reply_id == row.reply_id)
            connection.execute(of_reply.values(taken_at=earlier, received_at=earlier))
        engine.dispose()
        collect_answers(shop)
    [first] = [row["reply_id"] for row in kept(shop) if row["send_id"] == send_id_of(0)]
    with closing(open_replies(shop)) as ledger:
        ledger.close_reply(first, actor="ann")
    assert collect_answers(shop) == 1
    rows = [(row["customer_id"], row["closed_at"] is not None) for row in landed(shop, "support_tickets")]
    assert rows == [("c0", False), ("c1", False), ("c0", True)]


@pytest.mark.parametrize(
    ("intent", "table"),
    [(Intent.COMPLAINT, "support_tickets"), (Intent.UNSUBSCRIBE, "mail_events")],
)
def test_what_a_person_saw_in_a_reply_is_known_since_she_did_and_lands_however_old_it_is(
    shop, maildir, intent, table
):
    sent_by(shop, SENT, SENT)
    deliver(maildir, letter(f"To: {answers_to(0)}", "Thank you, I love it!"))  # praise: closed as it is taken
    take_notices(shop)
    [reply] = kept(shop)
    engine = open_ledger(shop.ledger)
    old = reply["taken_at"] - timedelta(days=3)
    with engine.begin() as connection:
        connection.execute(update(replies).values(taken_at=old, received_at=old, closed_at=old))
    engine.dispose()
    deliver(maildir, letter(f"To: {answers_to(1)}", "My coat arrived torn. Please unsubscribe me."))
    take_notices(shop)
    collect_answers(shop)
    assert "c0" not in {row["customer_id"] for row in landed(shop, table)}
    before = clock_of(shop)()
    with closing(open_replies(shop)) as ledger:
        ledger.honour(reply["reply_id"], intent, actor="ann")
    collect_answers(shop)
    assert collect_answers(shop) == 0
    rows = [row for row in landed(shop, table) if row["customer_id"] == "c0"]
    assert rows
    assert {row["known_at"] >= stamp(before) for row in rows} == {True}
    happened = "opened_at" if table == "support_tickets" else "happened_at"
    assert {row[happened] for row in rows} == {stamp(old)}


def test_what_people_answered_is_loaded_like_any_other_table_without_a_reject(tmp_path, maildir):
    settings = shop_of(tmp_path, maildir)
    simulate_shop(settings.landing / "simulated", customers=10, days=30)
    sent_by(settings, SENT, SENT)
    deliver(
        maildir,
        letter(f"To: {answers_to(0)}", "My coat arrived torn."),
        letter(f"To: {answers_to(1)}", "Please unsubscribe me."),
    )
    take_notices(settings)
    assert collect_answers(settings) == 2 + 2
    assert sum(load_landing(settings).rejects.values()) == 0
    with duckdb.connect(str(settings.warehouse), read_only=True) as warehouse:
        ours = [
            warehouse.sql(
                f"select customer_id, kind from landing.{table} where {key} like 'reply-%'"
            ).fetchall()
            for table, key in (("support_tickets", "ticket_id"), ("mail_events", "event_id"))
        ]
    assert ours == [[("c0", "complaint")], [("c1", "unsubscribe")]]
