"""Signatures that two verifiers of other hands accept, and that no change survives."""

import os
import random
import re
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from campaigns.dkim import SIGNED, Signer, sign, signers_of
from core.errors import SettingsError
from tests.campaigns.signing import DOMAIN, RFC_KEY, RFC_RECORD, SEND_AT, golden_mails, pem, signers, verdicts

MAILS = int(os.environ.get("TEST_MAILS", "60"))
SCRIPT = Path(__file__).with_name("verify_dkim.pl")
PREPENDED = (b"From: Eve <eve@example.com>", b"Subject: You won", b"List-Unsubscribe: <https://eve.example/>")
# RFC 8463, appendix A: a message and the hash of its body
RFC_MESSAGE = (
    b"From: Joe SixPack <joe@football.example.com>\r\nTo: Suzie Q <suzie@shopping.example.net>\r\n"
    b"Subject: Is dinner ready?\r\nDate: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
    b"Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n\r\n"
    b"Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n"
)
RFC_BODY_HASH = b"bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8="


@pytest.fixture(scope="module")
def keys():
    return signers()


@pytest.fixture(scope="module")
def signed(keys):
    mails = [sign(mail, keys, SEND_AT) for mail in golden_mails(MAILS)]
    assert len(set(mails)) == MAILS > 40
    return mails


@pytest.fixture(scope="module")
def spoilt(signed):
    """Each mail with one byte below its signatures changed, and with a field put before it."""
    rng = random.Random(8463)
    found = []
    for mail in signed:
        start = mail.lower().index(b"\r\nfrom:") + 2
        place = rng.choice([at for at in range(start, len(mail)) if mail[at] not in b"\r\n"])
        other = (
            b"7" if mail[place : place + 1].lower() == b"x" else b"x"
        )  # the case of a field's name is free
        found.append(mail[:place] + other + mail[place + 1 :])
        added = (*PREPENDED, rng.choice(SIGNED).encode() + b": x")
        found += [field + b"\r\n" + mail for field in added]
    assert len(found) == 5 * MAILS
    return found


def results_of_perl(folder, mails, keys):
    """Return Mail::DKIM's word on each mail: it knows RSA alone (before 2023), so it is the word on that signature."""
    for number, mail in enumerate(mails):
        (folder / f"{number:05}.eml").write_bytes(mail)
    records = [part for key in keys for part in key.record]
    done = subprocess.run(["perl", SCRIPT, folder, *records], check=True, capture_output=True, text=True)
    return [line.split()[1] for line in done.stdout.splitlines()]


def test_every_signature_of_every_golden_mail_holds_for_dkimpy(signed, keys):
    assert [verdicts(mail, keys) for mail in signed] == [[True, True]] * MAILS


def test_no_signature_survives_a_changed_byte_or_a_second_field_for_dkimpy(spoilt, keys):
    assert [verdicts(mail, keys) for mail in spoilt] == [[False, False]] * len(spoilt)


@pytest.mark.needs("mail-dkim")
def test_every_golden_mail_passes_mail_dkim_of_perl(signed, keys, tmp_path):
    assert results_of_perl(tmp_path, signed, keys) == ["pass"] * MAILS


@pytest.mark.needs("mail-dkim")
def test_no_spoilt_mail_passes_mail_dkim_of_perl(spoilt, keys, tmp_path):
    results = results_of_perl(tmp_path, spoilt, keys)
    assert len(results) == len(spoilt)
    assert set(results) <= {"fail", "invalid"}


def test_record_and_body_hash_are_those_of_rfc_8463():
    joe = Signer("football.example.com", "brisbane", RFC_KEY)
    assert joe.record == ("brisbane._domainkey.football.example.com", RFC_RECORD)
    message = sign(RFC_MESSAGE, [joe], SEND_AT)
    assert RFC_BODY_HASH in message
    assert verdicts(message, [joe]) == [True]


def test_the_signature_names_the_moment_and_nothing_else_that_changes(keys):
    mail = next(golden_mails(1))
    assert sign(mail, keys, SEND_AT) == sign(mail, keys, SEND_AT)
    assert b"; t=1512397800;" in sign(mail, keys, SEND_AT)  # date -ud 2017-12-04T14:30 +%s
    assert sign(mail, keys, SEND_AT + timedelta(seconds=1)) != sign(mail, keys, SEND_AT)


def test_a_signature_covers_every_field_of_our_mails_twice_on_short_lines(keys):
    mail = next(golden_mails(1))
    field = sign(mail, keys[:1], SEND_AT).removesuffix(mail)
    assert max(map(len, field.split(b"\r\n"))) <= 78
    names = re.sub(r"\s", "", field.decode().partition(" h=")[2].partition(";")[0]).split(":")
    own = [line.partition(":")[0].lower() for line in mail.partition(b"\r\n\r\n")[0].decode().split("\r\n")]
    must = {
        "list-unsubscribe",
        "list-unsubscribe-post",
        "feedback-id",
        "message-id",
        "reply-to",
        "mime-version",
    }
    for name in must.union(name for name in own if not name.startswith(" ")):
        assert names.count(name) == 2, name


def test_keys_are_read_from_the_files_of_the_settings_and_named_by_them(settings, tmp_path, keys):
    files = [tmp_path / f"{key.selector}.pem" for key in keys]
    for file, key in zip(files, keys, strict=True):
        file.write_bytes(pem(key.key))
    found = signers_of(settings.model_copy(update={"dkim_keys": f"{files[0]}, {files[1]}"}))
    assert [each.record for each in found] == [each.record for each in keys]
    above = settings.model_copy(
        update={
            "dkim_keys": str(files[0]),
            "from_address": f"Shop <hello@mail.{DOMAIN}>",
            "dkim_domain": DOMAIN,
        }
    )
    assert signers_of(above)[0].record == keys[0].record
    assert signers_of(settings) == []


WEAK = pem(generate_private_key(65537, 1024))
LOCKED = Ed25519PrivateKey.generate().private_bytes(
    Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
)


@pytest.mark.parametrize(
    ("name", "content", "domain", "error"),
    [
        ("r1.pem", None, "", "cannot be read: No such file"),
        ("r1.pem", b"no key", "", "no private key in PEM form without a password; make one with"),
        ("r1.pem", LOCKED, "", "no private key in PEM form without a password"),
        ("r1.pem", pem(generate_ec(SECP256R1())), "", "neither RSA nor Ed25519"),
        ("r1.pem", WEAK, "", "an RSA key of 1024 bits: receivers trust 2048 to 4096"),
        ("r 1.pem", WEAK, "", "a file's name is its selector"),
        ("r1.pem", WEAK, "other.example", "DKIM_DOMAIN is other.example, but mail is from juniper.example"),
        ("r1.pem", WEAK, "notjuniper.example", "but mail is from juniper.example"),
        ("r1.pem", WEAK, "niper.example", "but mail is from juniper.example"),
    ],
)
def test_a_key_that_cannot_be_used_is_named_with_the_way_out(
    settings, tmp_path, name, content, domain, error
):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    wrong = settings.model_copy(update={"dkim_keys": str(tmp_path / name), "dkim_domain": domain})
    with pytest.raises(SettingsError, match=error) as raised:
        signers_of(wrong)
    assert str(raised.value).startswith("LAPWING_DKIM_")
