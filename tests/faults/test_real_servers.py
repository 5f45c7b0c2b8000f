"""Postfix, Exim and smtp-sink take a campaign's mails, each once and byte for byte as they were rendered and signed."""

import email
import email.policy
import os
import random
from typing import Any

import pytest

from campaigns.dispatch import send_batch
from campaigns.envelope import Envelope
from campaigns.ledger import SendState
from campaigns.mailers.smtp import SmtpMailer
from campaigns.message import build_message
from campaigns.quoted import Body
from campaigns.render import Rendered
from core.settings import Settings
from tests.campaigns.signing import LETTERS, pem, signers
from tests.faults.ledger_kit import DAY, ledger_in, planned
from tests.faults.mail_servers import running_exim, running_postfix, running_sink

MAILS = int(os.environ.get("TEST_MAILS", "200"))
TRAPS = (".", "..", ".dot", "From the shop", "x" * 2000, "=20", " ", "\t.")
"""Lines that a server or a mailbox may take for something else than text."""


def content_of(number):
    """Return subject and text of a mail: letters of six languages, the traps, up to 15 kB; always the same."""
    rng = random.Random(number)
    letters = LETTERS[number % len(LETTERS)]
    lines = ["".join(rng.choices(letters, k=60)).strip() for _ in range(rng.randint(1, 120))]
    return f"{number} {lines[0]}", "\n".join([*rng.sample(TRAPS, 5), *lines, rng.choice(TRAPS)])


def message_of(send):
    subject, text = content_of(int(send.customer_id.removeprefix("c")))
    return build_message(
        Rendered(subject, "", Body.of(f"<pre>{text}</pre>"), Body.of(text), {}),
        send_id=send.send_id,
        campaign_id=send.campaign_id,
        sender="Juniper Märkte <hello@juniper.example>",
        recipient=send.address,
        send_at=send.send_at,
        unsubscribe_url=f"https://t.juniper.example/u/{send.send_id * 20}",
    )


def send_everything(folder, port):
    """Send the day through the ledger, signed; return send_id → what was handed over."""
    ledger = ledger_in(folder, MAILS)
    keys = []
    for signer in signers():
        keys.append(folder / f"{signer.selector}.pem")
        keys[-1].write_bytes(pem(signer.key))
    settings = Settings(
        _env_file=None, data_dir=folder, token_key="k" * 40, smtp_port=port,
        dkim_keys=",".join(map(str, keys)), bounce_domain="bounces.juniper.example",
    )  # fmt: skip
    envelope, handed = Envelope(settings), {}

    def envelop(send, author, message):
        mail = envelope(send, author, message)
        handed[send.send_id] = mail.message
        return mail

    with ledger.sender(folder / "lock"), SmtpMailer(settings) as mailer:
        send_batch(ledger, mailer, message_of, pause_after_errors=1, envelop=envelop)
    ledger.check_identity(DAY, MAILS)
    assert ledger.states(DAY) == {SendState.SENT: MAILS}
    return handed


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("tool", "running"),
    [
        pytest.param("postfix", running_postfix, marks=pytest.mark.needs("postfix", "root"), id="postfix"),
        pytest.param("exim", running_exim, marks=pytest.mark.needs("exim"), id="exim"),
        pytest.param("smtp-sink", running_sink, marks=pytest.mark.needs("smtp-sink"), id="smtp-sink"),
    ],
)
def test_every_mail_arrives_once_as_it_was_rendered_and_signed(tool, running, tool_path, tmp_path):
    """`make test-servers`: 10,000 mails."""
    with running(tool_path(tool)) as server:
        handed = send_everything(tmp_path, server.port)
        arrived = [server.without_trace(mail) for mail in server.arrived(MAILS)]
    assert len(arrived) == MAILS
    by_send = {}
    for mail in arrived:
        parsed: Any = email.message_from_bytes(mail, policy=email.policy.default)
        by_send[parsed["X-Lapwing-Send"]] = mail.replace(b"\n", b"\r\n")
        number = int(parsed["Subject"].split()[0])
        send, (subject, text) = planned(number), content_of(number)
        assert (parsed["X-Lapwing-Send"], parsed["To"]) == (send.send_id, send.address)
        assert parsed["Subject"] == " ".join(subject.split())
        assert parsed.get_body(("plain",)).get_content().removesuffix("\n") == text
        assert not any(part.defects for part in parsed.walk())
    assert by_send == handed
