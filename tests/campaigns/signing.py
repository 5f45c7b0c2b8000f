"""What tests of signatures share: keys, mails of every shape that is hard to sign, and dkimpy's verdict on a mail."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime

import dkim
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from campaigns.dkim import Signer
from campaigns.message import build_message
from campaigns.quoted import Body
from campaigns.render import Rendered

DOMAIN = "juniper.example"
SEND_AT = datetime(2017, 12, 4, 14, 30, tzinfo=UTC)
# RFC 8463, appendix A.2: a key and its record
RFC_KEY = Ed25519PrivateKey.from_private_bytes(
    bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
)
RFC_RECORD = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
LETTERS = (
    "abcdefghij ABC 0123 =._-",  # English
    "äöüßÄÖÜ Grüße €",  # German
    "我们想念你的购物篮快回来",  # Chinese
    "またのご来店をお待ちしています",  # Japanese
    "Привет, мы скучаем",  # Russian
    "مرحبا بعودتك إلى المتجر",  # Arabic
)
SHAPES = (
    "",
    "\r\n",
    "\r\n\r\n\r\n",
    " \t\r\n",
    "two\r\n\r\n\r\n",
    "  led \t by  blanks \r\n\t\r\n.dot\r\n \r\n",
)
"""Bodies at which the two relaxed forms differ: empty, of blanks only, with blank lines behind."""


def signers() -> list[Signer]:
    return [
        Signer(DOMAIN, "r2026", generate_private_key(65537, 2048)),
        Signer(DOMAIN, "e2026", Ed25519PrivateKey.generate()),
    ]


def pem(key: RSAPrivateKey | Ed25519PrivateKey | EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def golden_mails(count: int) -> Iterator[bytes]:
    """Half of them as campaigns make them, half by hand with folded fields and bodies of every shape; always the same."""
    rng = random.Random(6376)
    for number in range(count):
        letters = LETTERS[number % len(LETTERS)]

        def words(longest: int, letters: str = letters) -> str:
            return "".join(rng.choices(letters, k=rng.randint(1, longest)))

        if number // len(LETTERS) % 2:
            yield _by_hand(rng, words(60).encode(), rng.choice(SHAPES))
            continue
        body = "\n".join(words(90) for _ in range(rng.randint(0, 9))) + "\n" * rng.randint(0, 4)
        yield build_message(
            Rendered(words(400), "", Body.of(f"<p>{body}</p>"), Body.of(body), {}),
            send_id=f"{rng.getrandbits(128):032x}",
            campaign_id="winback",
            sender=f'"{words(40)}" <hello@{DOMAIN}>',
            recipient="ada@example.com",
            send_at=SEND_AT,
            unsubscribe_url="https://t.juniper.example/u/" + "a" * rng.randint(20, 900),
        )


def _by_hand(rng: random.Random, words: bytes, body: str) -> bytes:
    fold = rng.choice([b"\r\n ", b"\r\n\t ", b" \r\n  \t", b"   ", b"\t"])
    return (
        b"FROM:" + fold + b"hello@juniper.example \r\nTo:ada@example.com\r\n"
        b"subject: " + words + fold + words + b"\r\nDate: Mon, 04 Dec 2017 14:30:00 +0000\r\n"
        b"Message-ID:" + fold + b"<1@juniper.example>\r\n\r\n" + body.encode()
    )


def verdicts(message: bytes, signers: list[Signer]) -> list[bool]:
    """Return whether each signature of a mail holds, by dkimpy, top first."""
    records = {f"{name}.".encode(): text.encode() for name, text in (each.record for each in signers)}

    def look_up(name: bytes, timeout: int) -> bytes | None:
        return records.get(name)

    def holds(place: int) -> bool:
        try:
            return bool(dkim.DKIM(message).verify(place, dnsfunc=look_up))
        except dkim.DKIMException:
            return False

    return [holds(place) for place in range(message.count(b"DKIM-Signature:"))]
