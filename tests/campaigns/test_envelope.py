"""What is handed over of a finished message: signed where there are keys, with an address of its own for bounces."""

import hashlib
import re

import structlog

from campaigns.dispatch import send_batch
from campaigns.envelope import Envelope
from core.tokens import Tokens
from tests.campaigns.signing import DOMAIN, pem, signers, verdicts
from tests.campaigns.test_dispatch import Outbox
from tests.faults.ledger_kit import DAY, ledger_in, message_of

AUTHOR = f"hello@{DOMAIN}"


def a_send(folder):
    (send,) = ledger_in(folder, 1).of_day(DAY)
    return send


def test_without_keys_mail_goes_as_it_is_and_the_log_says_so_once(settings, tmp_path):
    send = a_send(tmp_path)
    with structlog.testing.capture_logs() as events:
        envelop = Envelope(settings)
        mails = [envelop(send, AUTHOR, message_of(send)) for _ in range(3)]
    assert [(mail.sender, mail.recipient, mail.message) for mail in mails] == [
        (AUTHOR, send.address, message_of(send))
    ] * 3
    assert [event["event"] for event in events if "DKIM" in event["event"]] == [
        "mail goes out without a DKIM signature: LAPWING_DKIM_KEYS is empty"
    ]


def test_bounces_come_back_to_an_address_that_only_we_could_have_made(settings, tmp_path):
    send = a_send(tmp_path)
    bouncing = settings.model_copy(update={"bounce_domain": "bounces.juniper.example"})
    mail = Envelope(bouncing)(send, AUTHOR, message_of(send))
    local_part, _, domain = mail.sender.partition("@")
    assert domain == "bounces.juniper.example"
    assert Tokens(settings.token_key).read_return_path(local_part) == send.send_id
    assert re.fullmatch(r"[a-z0-9-]{1,64}", local_part)  # RFC 5321, section 4.5.3.1.1
    assert (mail.recipient, mail.message) == (send.address, message_of(send))


def test_what_is_handed_over_is_signed_and_the_ledger_knows_the_message_before(settings, tmp_path):
    keys = signers()
    for key in keys:
        (tmp_path / f"{key.selector}.pem").write_bytes(pem(key.key))
    files = ",".join(str(tmp_path / f"{key.selector}.pem") for key in keys)
    envelop = Envelope(settings.model_copy(update={"dkim_keys": files}))
    ledger, outbox = ledger_in(tmp_path, 3), Outbox("250 ok")
    with ledger.sender(tmp_path / "lock"):
        send_batch(ledger, outbox, message_of, envelop=envelop, pause_after_errors=3)
    sent = {send.address: send for send in ledger.of_day(DAY)}
    assert len(outbox.handed) == len(sent) == 3
    for _, recipient, message in outbox.handed:
        before = message_of(sent[recipient])
        assert message.endswith(before)
        assert verdicts(message, keys) == [True, True]
        assert sent[recipient].message_digest == hashlib.sha256(before).hexdigest()
