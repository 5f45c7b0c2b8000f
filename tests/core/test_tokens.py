"""A token says which send it belongs to, to whoever has the key and asks for the right kind."""

import base64
import hashlib
import hmac
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from core.tokens import TokenKind, Tokens

KEY = SecretStr("k" * 40)
SEND, LINK = "9e107d9d372bb6826bd81d3542a419d6", "0a1b2c3d4e5f6071"
KINDS = list(TokenKind)


def test_the_token_is_the_documented_signature_over_readable_parts():
    """Made by hand after itsdangerous' specification: key = SHA-1(salt + "signer" + secret), HMAC-SHA-1 of the payload."""

    def plain(content: bytes) -> str:
        return base64.urlsafe_b64encode(content).rstrip(b"=").decode()

    payload = plain(f'["{SEND}","{LINK}"]'.encode())
    key = hashlib.sha1(b"lapwing.click" + b"signer" + b"k" * 40).digest()
    signature = plain(hmac.new(key, payload.encode(), hashlib.sha1).digest())
    assert Tokens(KEY).sign(TokenKind.CLICK, SEND, LINK) == f"{payload}.{signature}"


@given(kind=st.sampled_from(KINDS), send=st.text(min_size=1, max_size=40), link=st.text(max_size=20))
def test_what_was_signed_is_read_again(kind, send, link):
    tokens = Tokens(KEY)
    token = tokens.sign(kind, send, link)
    assert tokens.read(kind, token) == (send, link)
    assert token == Tokens(KEY).sign(kind, send, link)  # so a mail can be made again, byte for byte
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")


@pytest.mark.parametrize(("signed", "asked"), list(itertools.permutations(KINDS, 2)))
def test_a_token_of_another_kind_is_refused(signed, asked):
    tokens = Tokens(KEY)
    assert tokens.read(asked, tokens.sign(signed, SEND, LINK)) is None


def test_a_token_of_another_key_is_refused():
    assert Tokens(KEY).read(TokenKind.OPEN, Tokens(SecretStr("x" * 40)).sign(TokenKind.OPEN, SEND)) is None


def test_a_token_changed_at_any_place_is_refused():
    tokens = Tokens(KEY)
    token = tokens.sign(TokenKind.UNSUBSCRIBE, SEND)
    for at, letter in enumerate(token):
        # The last letter of a group of base64 may hold bits that mean nothing; "A" and "-" differ in all six.
        changed = token[:at] + ("-" if letter == "A" else "A") + token[at + 1 :]
        read = tokens.read(TokenKind.UNSUBSCRIBE, changed)
        assert read is None or at == len(token) - 1, at


def test_the_address_of_a_bounce_names_its_send_whatever_case_it_comes_back_in():
    mark = hmac.new(b"k" * 40, f"lapwing.bounce {SEND}".encode(), "sha256").hexdigest()[
        :20
    ]  # by its documentation
    assert Tokens(KEY).return_path(SEND) == f"b-{SEND}-{mark}"
    for form in (str, str.upper, str.title):
        assert Tokens(KEY).read_return_path(form(f"b-{SEND}-{mark}")) == SEND


def test_an_address_of_a_bounce_that_was_changed_at_any_place_is_refused():
    tokens = Tokens(KEY)
    address = tokens.return_path(SEND)
    for at, letter in enumerate(address):
        changed = address[:at] + ("1" if letter == "0" else "0") + address[at + 1 :]
        assert tokens.read_return_path(changed) is None, at
    assert Tokens(SecretStr("x" * 40)).read_return_path(address) is None
    assert tokens.read_return_path(f"{address}\n") is None


@pytest.mark.parametrize("nonsense", ["", ".", "..", "a.b", "é", SEND, "A" * 10_000])
def test_nonsense_is_refused(nonsense):
    assert all(Tokens(KEY).read(kind, nonsense) is None for kind in KINDS)
    assert Tokens(KEY).read_return_path(nonsense) is None


def test_who_knows_where_answers_go_knows_not_where_bounces_do():
    tokens = Tokens(KEY)
    mark = hmac.new(b"k" * 40, f"lapwing.reply {SEND}".encode(), "sha256").hexdigest()[:20]
    assert tokens.reply_path(SEND) == f"r-{SEND}-{mark}"
    assert tokens.read_reply_path(f"R-{SEND.upper()}-{mark}") == SEND
    assert tokens.read_return_path(f"b-{SEND}-{mark}") is None
    assert tokens.read_return_path(tokens.reply_path(SEND)) is None
    assert tokens.read_reply_path(tokens.return_path(SEND)) is None
    assert tokens.read_reply_path(f"r{tokens.return_path(SEND)[1:]}") is None
