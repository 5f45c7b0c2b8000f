"""Ten thousand tokens that are not ours, asked of the app without a socket between."""

import asyncio
import random
import string
from collections.abc import MutableMapping
from urllib.parse import unquote

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from core.settings import Settings
from core.tokens import TokenKind
from tests.tracking.kit import LINK_ID, digest, logged, make_ledger, send_id_of, tokens_of
from tracking.app import create_app

ALPHABET = string.ascii_letters + string.digits + "-_."
ODD = "/=%+!~ \x00\n\\:@?é签"


async def status_of(app: FastAPI, method: str, path: str, body: bytes = b"") -> int:
    """Ask the app in the way of the ASGI specification, version 3.0."""
    statuses: list[int] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: MutableMapping[str, object]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(int(str(message["status"])))

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [
            (b"content-type", b"application/x-www-form-urlencoded"),
            (b"user-agent", b"Mozilla/5.0 (X11)"),
        ],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    await app(scope, receive, send)
    return statuses[0]


def mutated(token: str, chance: random.Random) -> str:
    """Return a token with one to three small changes, or one made up altogether."""
    if chance.random() < 0.15:
        return "".join(chance.choices(ALPHABET, k=chance.randrange(1, 120)))
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(token)) if token else 0
        letter = chance.choice(ALPHABET + ODD)
        change = chance.randrange(6)
        token = (
            token[:at] + letter + token[at + 1 :],
            token[:at] + token[at + 1 :],
            token[:at] + letter + token[at:],
            token[:at] + token[at : at + 1].swapcase() + token[at + 1 :],
            token + chance.choice("=.A-_ "),
            token[:-1] + chance.choice(ALPHABET),  # the last digit of base64 has bits that say nothing
        )[change]
    return token


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    make_ledger(settings)
    return create_app(settings)


def test_ten_thousand_altered_tokens_never_redirect_never_suppress_and_are_never_logged(app, settings):
    chance, tokens = random.Random(8058), tokens_of(settings)
    before = digest(settings.data_dir / "ledger.sqlite")
    genuine = [tokens.sign(kind, send_id_of(0), LINK_ID) for kind in TokenKind]

    async def ask_all() -> int:
        asked = 0
        while asked < 10_000:
            token = mutated(genuine[asked % 4], chance)
            if token in genuine:
                continue
            asked += 1
            assert await status_of(app, "GET", f"/o/{token}.gif") in (200, 404), token
            assert await status_of(app, "GET", f"/c/{token}") == 404, token
            assert await status_of(app, "POST", f"/u/{token}", b"List-Unsubscribe=One-Click") == 404, token
            assert await status_of(app, "POST", f"/s/{token}") == 404, token
        return asked

    assert asyncio.run(ask_all()) == 10_000
    assert logged(settings) == []
    assert digest(settings.data_dir / "ledger.sqlite") == before


@given(token=st.text(max_size=200), odd=st.sampled_from(["{}", "../{}", "{}/..", "{}.gif", "{}%2e"]))
@hypothesis_settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_text_whatever_is_answered_and_does_nothing(app, settings, token, odd):
    text = unquote(odd.format(token), errors="replace")

    async def ask() -> set[int]:
        return {
            await status_of(app, "GET", f"/c/{text}"),
            await status_of(app, "GET", f"/u/{text}"),
            await status_of(app, "POST", f"/u/{text}", b"List-Unsubscribe=One-Click"),
        }

    assert asyncio.run(ask()) == {404}
    assert logged(settings) == []


def test_the_genuine_tokens_of_the_same_asking_do_work(app, settings):
    tokens = tokens_of(settings)
    click = tokens.sign(TokenKind.CLICK, send_id_of(0), LINK_ID)
    unsubscribe = tokens.sign(TokenKind.UNSUBSCRIBE, send_id_of(0))

    async def ask() -> list[int]:
        return [
            await status_of(app, "GET", f"/c/{click}"),
            await status_of(app, "POST", f"/u/{unsubscribe}", b"List-Unsubscribe=One-Click"),
        ]

    assert asyncio.run(ask()) == [302, 200]
