"""The whole way round with real reports: our mail, Postfix, a server that refuses, Postfix's report, our mailbox, the ledger."""

from dataclasses import replace

import pytest
from pydantic import SecretStr

from campaigns.bounces.intake import take_notices
from campaigns.dispatch import send_batch
from campaigns.envelope import Envelope
from campaigns.ledger import SendState
from campaigns.mailers.smtp import SmtpMailer
from tests.campaigns.returned import complaint, noticed, suppressed, unsubscribe_link
from tests.faults.ledger_kit import ledger_at, message_of, planned
from tests.faults.mail_servers import running_postfix
from tests.faults.scripted_smtp import Fault, ScriptedSmtp, Stage
from tests.faults.serving import client_of

DOMAINS = ["gone.example", "full.example", "here.example", "here.example"]


def message(send):
    number = int(send.customer_id.removeprefix("c"))
    return f"List-Unsubscribe: {unsubscribe_link(number)}\r\n".encode() + message_of(send)


@pytest.mark.needs("postfix", "root")
def test_what_real_servers_send_back_ends_the_mail_of_whom_it_is_about(tool_path, settings):
    sends = [replace(planned(n), address=f"reader.{n}@{domain}") for n, domain in enumerate(DOMAINS)]
    gone = Fault(Stage.RCPT, "550 5.1.1 <reader.0@gone.example>: User unknown in virtual mailbox table")
    full = Fault(Stage.RCPT, "552 5.2.2 Mailbox full")
    ledger = ledger_at(settings.ledger)
    ledger.enqueue(sends, {})
    with ScriptedSmtp(gone) as nobody, ScriptedSmtp(full) as crowded, ScriptedSmtp() as provider:
        onward = dict(zip(DOMAINS, (nobody.port, crowded.port, provider.port), strict=False))
        with running_postfix(tool_path("postfix"), onward) as postfix:
            shop = settings.model_copy(
                update={
                    "smtp_port": postfix.port,
                    "bounce_domain": "bounces.juniper.example",
                    "bounce_mailbox": SecretStr(str(postfix.mails.parent)),
                }
            )
            with ledger.sender(settings.data_dir / "lock"), SmtpMailer(shop) as mailer:
                counts = send_batch(ledger, mailer, message, envelop=Envelope(shop), pause_after_errors=1)
            assert counts == {SendState.SENT: 4}
            postfix.arrived(2)
            [mail] = [raw for _, recipient, raw in provider.messages if recipient == sends[2].address]
            header = mail.partition(b"\r\n\r\n")[0].decode().replace("\r\n", "\n")
            report = complaint("To: complaints@juniper.example", 2, header).replace(b"\n", b"\r\n")
            with client_of(postfix.port) as say:
                for line in ("HELO provider.example", "MAIL FROM:<>", "RCPT TO:<complaints@juniper.example>"):
                    assert say(line).startswith("250")
                assert say("DATA").startswith("354")
                assert say(report.decode() + "\r\n.").startswith("250")
            postfix.arrived(3)
            assert take_notices(shop) == {"bounce": 2, "complaint": 1, "proven": 3, "suppressed": 2}
    ledger.close()
    assert suppressed(shop) == {"c0": "bounced", "c2": "complained"}
    found = [
        (row["severity"], row["reason"], row["status"]) for row in noticed(shop) if row["kind"] == "bounce"
    ]
    assert sorted(found) == [("hard", "mailbox_unknown", "5.1.1"), ("soft", "mailbox_full", "5.2.2")]
    assert not any("@" in str(row) for row in noticed(shop))
