"""Signed tokens in the links of a mail. A token names a send (and a link); it never carries an address.

Signature: HMAC-SHA-1 with a derived key, as itsdangerous' URLSafeSerializer makes it; one salt per kind, so that a
click token is not an unsubscribe token. The same input gives the same token, so a mail can be rendered again.

They are made here, eight times as fast as there: a mail has nine of them. What is the same in all of them is worked out once.

The addresses that bounces of a send and answers to it come back to have to do with 64 characters before the @ (RFC 5321, section 4.5.3.1.1), of
which servers may change the case: they carry 80 bits of an HMAC-SHA-256, in hexadecimal.
"""

import hashlib
import hmac
import json
import re
from base64 import b32encode
from binascii import b2a_base64
from enum import StrEnum
from functools import lru_cache

from itsdangerous import BadSignature, URLSafeSerializer
from pydantic import SecretStr

_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_CODE_LETTERS = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "0123456789ABCDEFGHJKMNPQRSTVWXYZ")
_OWN_ADDRESS = re.compile(r"[br]-([0-9a-f]{32})-[0-9a-f]{20}")
_PURPOSES = {"b": "bounce", "r": "reply"}


class TokenKind(StrEnum):
    OPEN = "open"
    CLICK = "click"
    UNSUBSCRIBE = "unsubscribe"
    SURVEY = "survey"

    __hash__ = str.__hash__  # Enum's own is as slow as signing


class Tokens:
    """Makes and reads tokens with one key."""

    def __init__(self, key: SecretStr) -> None:
        self._key = key.get_secret_value().encode()
        self._serializers = {
            kind: URLSafeSerializer(key.get_secret_value(), salt=f"lapwing.{kind}") for kind in TokenKind
        }
        self._begun = {
            kind: _begun(serializer.make_signer(serializer.salt).derive_key())
            for kind, serializer in self._serializers.items()
        }

    def sign(self, kind: TokenKind, send_id: str, link_id: str = "") -> str:
        """Return a token for a link, a pixel or an unsubscribe address of one send."""
        if link_id:
            start, rest = _beginning(send_id)
            payload = start + _end(rest, link_id)
        else:
            payload = _alone(send_id)
        inner, outer = self._begun[kind]
        mark, signature = inner.copy(), outer.copy()
        mark.update(payload)
        signature.update(mark.digest())
        return (
            payload + b"." + b2a_base64(signature.digest(), newline=False)[:27].translate(_URL_SAFE)
        ).decode()

    def read(self, kind: TokenKind, token: str) -> tuple[str, str] | None:
        """Return (send_id, link_id), or None for anything we did not sign for this kind."""
        try:
            parts = self._serializers[kind].loads(token)
        except BadSignature:
            return None
        return (parts[0], parts[1] if len(parts) > 1 else "")

    def coupon_code(self, send_id: str) -> str:
        """Return the code of the coupon in a send: 50 bits of an HMAC-SHA-256, in Crockford's base 32, as XXXXX-XXXXX."""
        mark = hmac.digest(self._key, f"lapwing.coupon {send_id}".encode(), hashlib.sha256)
        code = b32encode(mark)[:10].decode().translate(_CODE_LETTERS)
        return f"{code[:5]}-{code[5:]}"

    def return_path(self, send_id: str) -> str:
        """Return what stands before the @ of the address that bounces of a send (32 hex digits) come back to."""
        return self._own_address("b", send_id)

    def reply_path(self, send_id: str) -> str:
        """Return what stands before the @ of the address that answers to a send (32 hex digits) come back to."""
        return self._own_address("r", send_id)

    def read_return_path(self, local_part: str) -> str | None:
        """Return the send_id of an address that bounces come back to, or None for one that we did not make."""
        return self._read_own_address("b", local_part)

    def read_reply_path(self, local_part: str) -> str | None:
        """Return the send_id of an address that answers come back to, or None for one that we did not make."""
        return self._read_own_address("r", local_part)

    def _own_address(self, letter: str, send_id: str) -> str:
        label = f"lapwing.{_PURPOSES[letter]} {send_id}"
        return f"{letter}-{send_id}-{hmac.digest(self._key, label.encode(), hashlib.sha256).hex()[:20]}"

    def _read_own_address(self, letter: str, local_part: str) -> str | None:
        found = _OWN_ADDRESS.fullmatch(local_part.lower())
        if found is None or not hmac.compare_digest(self._own_address(letter, found[1]), found[0]):
            return None
        return found[1]


def _begun(key: bytes) -> tuple["hashlib._Hash", "hashlib._Hash"]:
    """Return the inner and the outer SHA-1 of an HMAC (RFC 2104), begun with a key of 64 bytes at most."""
    block = key.ljust(64, b"\0")
    pads = (bytes(byte ^ pad for byte in block) for pad in (0x36, 0x5C))
    inner, outer = (hashlib.sha1(pad) for pad in pads)  # noqa: S324  # as an HMAC it stands (RFC 6151)
    return inner, outer


# A payload is the ids as JSON, in base64. Three characters make four: what is cut there can be put together again.


@lru_cache(maxsize=16)  # of a mail all tokens are made one after the other
def _beginning(send_id: str) -> tuple[bytes, str]:
    text = f"[{json.dumps(send_id)},"
    whole = len(text) // 3 * 3
    return _url_safe(text[:whole].encode()), text[whole:]


@lru_cache(maxsize=32_768)  # products recur from customer to customer
def _end(rest: str, link_id: str) -> bytes:
    return _url_safe(f"{rest}{json.dumps(link_id)}]".encode())


@lru_cache(maxsize=16)
def _alone(send_id: str) -> bytes:
    return _url_safe(json.dumps([send_id]).encode())


def _url_safe(content: bytes) -> bytes:
    return b2a_base64(content, newline=False).rstrip(b"=").translate(_URL_SAFE)
