"""A pseudonym is the HMAC the standard describes, and the same for one person however the address is typed."""

import hashlib

import pytest
from pydantic import SecretStr

from core.pseudonyms import pseudonym

KEY = SecretStr("k" * 40)


def hmac_sha256(key: bytes, text: bytes) -> str:
    """RFC 2104, by its definition: H((K xor opad) + H((K xor ipad) + text)), blocks of 64 bytes."""
    if len(key) > 64:
        key = hashlib.sha256(key).digest()
    padded = key.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded) + text).digest()
    return hashlib.sha256(bytes(byte ^ 0x5C for byte in padded) + inner).hexdigest()


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        # printf 'ada@example.com' | openssl dgst -sha256 -hmac KEY
        ("k" * 40, "153c2efd67f7ac8332bafe68d28018bac02e7c9d97ede6ceb68dbe23777b3588"),
        ("k" * 100, "cc3dc24d821e85ac4d1a8da51b525ca3b22bf7d473ad2fc868b2de40f25005b6"),
    ],
)
def test_a_pseudonym_is_half_of_the_standards_hmac(key, expected):
    assert hmac_sha256(key.encode(), b"ada@example.com") == expected
    assert pseudonym("ada@example.com", SecretStr(key)) == expected[:32]


@pytest.mark.parametrize("typed", ["Ada@Example.COM", "  ada@example.com\n", "ADA@EXAMPLE.COM "])
def test_one_address_has_one_pseudonym_however_it_is_typed(typed):
    assert pseudonym(typed, KEY) == pseudonym("ada@example.com", KEY)


def test_other_addresses_and_other_keys_give_other_pseudonyms():
    assert pseudonym("ada@example.org", KEY) != pseudonym("ada@example.com", KEY)
    assert pseudonym("ada@example.com", SecretStr("x" * 40)) != pseudonym("ada@example.com", KEY)


def test_letters_beyond_ascii_fold_as_unicode_says():
    assert pseudonym("JÜRGEN@example.com", KEY) == hmac_sha256(b"k" * 40, "jürgen@example.com".encode())[:32]
