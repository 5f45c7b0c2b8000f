"""DKIM signatures (RFC 6376; Ed25519: RFC 8463): a message and a moment always give the same bytes.

Fields and body are brought into "relaxed" form first, so that a relay may fold a line anew or trim a blank and the
signature still holds. A verifier learns the public key from the DNS, under the selector that is the key file's name: to
change the key, publish a new one under a new name, and name the new file in the settings once the record is out.
"""

import base64
import hashlib
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from campaigns.message import author_of
from core.errors import SettingsError
from core.settings import Settings

SIGNED = (
    "from", "reply-to", "to", "cc", "subject", "date", "message-id", "list-unsubscribe", "list-unsubscribe-post",
    "feedback-id", "x-lapwing-send", "x-lapwing-campaign", "mime-version", "content-type", "content-transfer-encoding",
)  # fmt: skip
"""Every field of our mails, and those that a mail program would obey if somebody added them on the way.

Each is signed once more than a mail may have it (RFC 6376, section 8.15), so that adding a second one breaks the signature.
"""
RSA_BITS = range(2048, 4097)
"""RFC 8301, section 3.2: no less when signing; what is longer a verifier need not try."""

_WRAPPED = textwrap.wrap(": ".join(name for name in SIGNED for _ in "12"), 76, break_on_hyphens=False)
_SIGNED_TWICE = "\r\n ".join(line.replace(": ", ":") for line in _WRAPPED)
_SELECTOR = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_SPACES = re.compile(rb"  +")  # begins with what is searched for: 10 times as fast as a class of characters
_FOLD = re.compile(rb"\r\n(?=[ \t])")


@dataclass(frozen=True)
class Signer:
    """One key, and the domain and selector under which the DNS has its public half."""

    domain: str
    selector: str
    key: RSAPrivateKey | Ed25519PrivateKey

    @property
    def record(self) -> tuple[str, str]:
        """The name of the TXT record that verifiers ask for, and what it says."""
        public = self.key.public_key()
        if isinstance(self.key, Ed25519PrivateKey):
            kind, content = "ed25519", public.public_bytes(Encoding.Raw, PublicFormat.Raw)
        else:
            kind, content = "rsa", public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return f"{self.selector}._domainkey.{self.domain}", f"v=DKIM1; k={kind}; p={_base64(content)}"

    def field(self, signed_fields: bytes, body_hash: str, signed_at: datetime) -> bytes:
        """Return the DKIM-Signature field over canonical fields and the SHA-256 of a canonical body (base64)."""
        algorithm = "ed25519-sha256" if isinstance(self.key, Ed25519PrivateKey) else "rsa-sha256"
        field = (
            f"DKIM-Signature: v=1; a={algorithm}; c=relaxed/relaxed; d={self.domain};\r\n"
            f" s={self.selector}; t={int(signed_at.timestamp())};\r\n"
            f" h={_SIGNED_TWICE};\r\n"
            f" bh={body_hash};\r\n b="
        ).encode()
        signature = _base64(self._sign(signed_fields + b":".join(_relaxed_fields(field)[0])))
        lines = [signature[start : start + 72] for start in range(0, len(signature), 72)]
        return field + "\r\n ".join(lines).encode() + b"\r\n"

    def _sign(self, content: bytes) -> bytes:
        if isinstance(self.key, Ed25519PrivateKey):
            return self.key.sign(hashlib.sha256(content).digest())
        return self.key.sign(content, PKCS1v15(), SHA256())


def sign(message: bytes, signers: Sequence[Signer], signed_at: datetime) -> bytes:
    """Return a message (CRLF line ends) behind the signature of each signer; t= is `signed_at`, which has a zone."""
    if not signers:
        return message
    head, _, body = message.partition(b"\r\n\r\n")
    values: dict[bytes, list[bytes]] = {}
    for name, value in _relaxed_fields(head):
        values.setdefault(name, []).append(value)
    signed_fields = b"".join(
        name + b":" + value + b"\r\n"
        for name in (name.encode() for name in SIGNED)
        for value in reversed(values.get(name, [])[-2:])  # verifiers count from the bottom
    )
    body_hash = _base64(hashlib.sha256(_relaxed_body(body)).digest())
    return b"".join(signer.field(signed_fields, body_hash, signed_at) for signer in signers) + message


def signers_of(settings: Settings) -> list[Signer]:
    """Return a signer for each key file of the settings; none where mail goes unsigned.

    Raises
    ------
    SettingsError
        If a key cannot be read or is too weak, or the domain is not the one of the From address.
    """
    files = settings.dkim_key_files
    if not files:
        return []
    author_domain = author_of(settings.from_address)[1]
    domain = settings.dkim_domain or author_domain
    if not f".{author_domain}".endswith(f".{domain}") and not f".{domain}".endswith(f".{author_domain}"):
        raise SettingsError(
            f"LAPWING_DKIM_DOMAIN is {domain}, but mail is from {author_domain}: DMARC wants a signature of the same"
            " domain, or of one above or below it"
        )
    return [Signer(domain, _selector(file), _private_key(file)) for file in files]


def _selector(file: Path) -> str:
    if not _SELECTOR.fullmatch(file.stem):
        raise SettingsError(
            f"LAPWING_DKIM_KEYS names {file.name}, and a file's name is its selector: small letters, digits and -"
            " before .pem"
        )
    return file.stem


def _private_key(file: Path) -> RSAPrivateKey | Ed25519PrivateKey:
    try:
        key = load_pem_private_key(file.read_bytes(), password=None)
    except OSError as error:
        raise SettingsError(
            f"LAPWING_DKIM_KEYS names {file}, which cannot be read: {error.strerror}"
        ) from None
    except (ValueError, TypeError):  # whose words are OpenSSL's
        raise SettingsError(
            f"LAPWING_DKIM_KEYS names {file}, which is no private key in PEM form without a password; make one with"
            " `openssl genrsa -out FILE 2048` or `openssl genpkey -algorithm ed25519 -out FILE`"
        ) from None
    if not isinstance(key, RSAPrivateKey | Ed25519PrivateKey):
        raise SettingsError(
            f"LAPWING_DKIM_KEYS names {file}, whose key is neither RSA nor Ed25519: DKIM has no other"
        )
    if isinstance(key, RSAPrivateKey) and key.key_size not in RSA_BITS:
        raise SettingsError(
            f"LAPWING_DKIM_KEYS names {file}, an RSA key of {key.key_size} bits: receivers trust 2048 to 4096 (RFC 8301)"
        )
    return key


def _relaxed_fields(head: bytes) -> list[tuple[bytes, bytes]]:
    """Return (name, value) of header fields, top first (RFC 6376, section 3.4.2)."""
    lines = _single_spaces(_FOLD.sub(b"", head)).split(b"\r\n")
    parts = [line.partition(b":") for line in lines]
    return [(name.strip(b" ").lower(), value.strip(b" ")) for name, _, value in parts]


def _relaxed_body(body: bytes) -> bytes:
    """Return the body with blanks as single spaces, none at a line's end, no empty lines at its end (section 3.4.4)."""
    content = _single_spaces(body).replace(b" \r\n", b"\r\n").rstrip(b" \r\n")
    return content + b"\r\n" if content else b""


def _single_spaces(content: bytes) -> bytes:
    return _SPACES.sub(b" ", content.replace(b"\t", b" "))


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
