"""A server that is displeased with us: nobody is suppressed, a domain or a campaign pauses, everybody else's mail goes on."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from campaigns.dispatch import send_batch
from campaigns.mailers import Deferred, DeliveryRefused, ServerUnreachable
from campaigns.mailers.smtp import SmtpMailer
from campaigns.policy import DOMAIN_PAUSE, IN_A_ROW, PolicyWatch, is_about_content, is_about_us
from core.errors import SendingPaused
from core.settings import Settings
from tests.faults.ledger_kit import NOON, MovableClock, ledger_in, message_of, planned
from tests.faults.scripted_smtp import Fault, ScriptedSmtp, Stage

CONNECTIONS, UNDER_WAY = 3, 6  # on each connection a mail and one announced
GMAIL, OTHERS = 30, 12


@pytest.fixture
def day(tmp_path):
    """Return (ledger, clock, send): mail of winback and restock to two domains, and one run of a sender on a server."""
    clock = MovableClock()
    ledger = ledger_in(tmp_path, 0, clock)
    ledger.enqueue([planned(number, domain="gmail.com") for number in range(GMAIL)], {})
    ledger.enqueue([planned(number) for number in range(100, 100 + OTHERS)], {})
    ledger.enqueue([replace(planned(number), campaign_id="restock") for number in range(200, 204)], {})

    def send(*faults):
        with ScriptedSmtp(*faults) as server:
            settings = Settings(
                _env_file=None, data_dir=tmp_path, token_key="k" * 40, smtp_port=server.port,
                smtp_connections=CONNECTIONS,
            )  # fmt: skip
            with ledger.sender(tmp_path / "lock"), SmtpMailer(settings) as mailer:
                send_batch(ledger, mailer, message_of, pause_after_errors=20)

    return ledger, clock, send


def ends(ledger):
    """(domain or campaign, state) → how many."""
    return Counter(
        ("restock" if row.campaign_id == "restock" else row.domain, str(row.state))
        for row in ledger.of_day(NOON.date())
    )


STORMS = {
    "421 at RCPT": (Fault(Stage.RCPT, "421 4.7.28 too much mail of yours", closes=True), "planned"),
    "4xx at RCPT": (Fault(Stage.RCPT, "450 4.7.1 you send too fast"), "deferred"),
    "4xx at the end": (Fault(Stage.DOT, "451 4.7.500 server busy, reputation"), "deferred"),
    "5xx at RCPT": (Fault(Stage.RCPT, "550 5.7.1 blocked using a list"), "refused"),
    "5xx at DATA": (Fault(Stage.DATA, "554 5.7.0 policy"), "refused"),
}


@pytest.mark.parametrize("storm", STORMS)
def test_a_storm_of_one_domain_pauses_it_alone_suppresses_nobody_and_passes_by_itself(day, storm):
    ledger, clock, send = day
    fault, state = STORMS[storm]
    send(replace(fault, domain="@gmail.com"))
    found = ends(ledger)
    assert (found["example.com", "sent"], found["restock", "sent"]) == (OTHERS, 4)
    assert [(pause.subject, pause.ends_at) for pause in ledger.pauses(NOON)] == [
        ("@gmail.com", NOON + timedelta(hours=1))
    ]
    hit = 0 if state == "planned" else found["gmail.com", state]
    assert found["gmail.com", "planned"] == GMAIL - hit
    if hit:
        assert IN_A_ROW <= hit < IN_A_ROW + UNDER_WAY  # what was under way when the fifth reply came
    assert ledger.suppressed_before(NOON + timedelta(days=9)) == []

    clock.move(DOMAIN_PAUSE - timedelta(seconds=1))
    send()
    assert ends(ledger)["gmail.com", "planned"] == GMAIL - hit
    clock.move(timedelta(hours=8))  # and what was deferred is due again
    send()
    refused = hit if state == "refused" else 0
    assert (
        ends(ledger)
        == Counter(
            {
                ("gmail.com", "sent"): GMAIL - refused,
                ("gmail.com", "refused"): refused,
                ("example.com", "sent"): OTHERS,
                ("restock", "sent"): 4,
            }
        )
        + Counter()
    )


def test_a_campaign_whose_content_is_refused_pauses_until_somebody_resumes_it(day):
    ledger, clock, send = day
    ledger.pause("restock", actor="ada", reason="its server is nice")  # so that the storm is winback's alone
    send(Fault(Stage.DOT, "554 5.7.1 message content rejected as spam", domain="@gmail.com"))
    ledger.resume("restock", actor="ada")
    assert [(pause.subject, pause.ends_at) for pause in ledger.pauses(NOON)] == [("winback", None)]
    clock.move(timedelta(hours=20))
    send()
    found = ends(ledger)
    assert found["restock", "sent"] == 4
    assert IN_A_ROW <= found["gmail.com", "refused"] < IN_A_ROW + UNDER_WAY
    assert found["gmail.com", "planned"] == GMAIL - found["gmail.com", "refused"]
    assert ledger.suppressed_before(NOON + timedelta(days=9)) == []
    assert ledger.resume("winback", actor="ada")
    send()
    assert not any(state == "planned" for _, state in ends(ledger))


def test_a_relay_that_hangs_up_on_everybody_stops_the_batch_and_pauses_no_domain(day):
    ledger, _, send = day
    with pytest.raises(SendingPaused):
        send(Fault(Stage.BANNER, "421 4.7.0 too many connections", closes=True))
    assert ledger.pauses(NOON) == []
    with pytest.raises(SendingPaused):
        send(Fault(Stage.RCPT, "554 5.7.1 relay access denied"))
    assert ledger.pauses(NOON) == []


SEND = replace(planned(1, domain="gmail.com"))
STORM = DeliveryRefused("RCPT: 550 5.7.1 blocked", is_about_person=False)


def test_a_mail_that_is_taken_in_between_ends_a_row(day):
    watch = PolicyWatch()
    for _ in range(3):
        for _ in range(IN_A_ROW - 1):
            watch.note(SEND, STORM)
        watch.note(planned(2), "250 ok")  # of another domain: the row goes on
        assert watch.pauses() == []
        watch.note(SEND, "250 ok")
    for _ in range(IN_A_ROW):
        watch.note(SEND, STORM)
    assert [pause.subject for pause in watch.pauses()] == ["@gmail.com"]
    assert watch.pauses() == []


# Replies as Gmail, Outlook, Yahoo, Apple, Postfix and a greylisting server document or send them; SMTP code, RFC 3463 status.
REPLIES = {
    "RCPT: 421 4.7.28 [192.0.2.1 15] Our system has detected an unusual rate of unsolicited mail": "us",
    "end of data: 421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to user complaints": "us",
    "RCPT: 550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent, part of their network is on our block list": "us",
    "RCPT: 554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org": "us",
    "RCPT: 421 too many connections": "us",
    "end of data: 550 5.7.26 This mail is unauthenticated, it lacks SPF and DKIM": "us",
    "RCPT: 530 5.7.0 Authentication required": "nothing",
    "end of data: 550 5.7.1 [192.0.2.1 12] Gmail has detected that this message is likely unsolicited mail": "content",
    "end of data: 554 5.7.1 [HM08] Message rejected due to local policy. Spam": "content",
    "end of data: 552 5.7.0 This message was blocked because its content presents a potential security issue": "content",
    "RCPT: 550 5.1.1 The email account that you tried to reach does not exist": "nothing",
    "RCPT: 552 5.2.2 The recipient's inbox is out of storage space": "nothing",
    "RCPT: 450 4.7.1 Greylisted, see http://postgrey.example/help": "nothing",
    "RCPT: 454 4.7.1 Relay access denied": "nothing",
    "RCPT: 421 4.3.2 Service shutting down": "nothing",
    "RCPT: 451 4.3.0 temporary lookup failure of 10.4.7.1": "nothing",
    "127.0.0.1:25: 421 4.7.0 too many connections": "nothing",
    "MAIL: 550 5.7.1 sender rejected": "nothing",
    "end of data: connection lost": "nothing",
}


@pytest.mark.parametrize("reply", REPLIES)
def test_what_servers_say_is_told_apart(reply):
    kinds = {"content": is_about_content(reply), "us": is_about_us(reply) and not is_about_content(reply)}
    assert next((kind for kind, holds in kinds.items() if holds), "nothing") == REPLIES[reply]


@pytest.mark.parametrize("kind", [Deferred, ServerUnreachable])
def test_every_kind_of_failure_counts_by_its_words(kind):
    watch = PolicyWatch()
    for _ in range(IN_A_ROW):
        watch.note(SEND, kind("RCPT: 421 4.7.28 unusual rate"))
    assert [pause.lasts for pause in watch.pauses()] == [DOMAIN_PAUSE]
