from collections.abc import Iterator

import httpx
import pytest

from core.settings import Settings
from core.tokens import TokenKind
from tests.tracking.kit import LINK_ID, browsing, make_ledger, send_id_of, tokens_of
from tracking.app import create_app


@pytest.fixture
def ledger(settings: Settings) -> Settings:
    make_ledger(settings)
    return settings


@pytest.fixture
def client(ledger: Settings) -> Iterator[httpx.Client]:
    with browsing(create_app(ledger, ledger_patience_seconds=0.3)) as client:
        yield client


@pytest.fixture
def paths(settings: Settings) -> dict[str, str]:
    """The addresses of send 0; of its survey that for four stars."""
    tokens, send_id = tokens_of(settings), send_id_of(0)
    return {
        "open": f"/o/{tokens.sign(TokenKind.OPEN, send_id)}.gif",
        "click": f"/c/{tokens.sign(TokenKind.CLICK, send_id, LINK_ID)}",
        "unsubscribe": f"/u/{tokens.sign(TokenKind.UNSUBSCRIBE, send_id)}",
        "survey": f"/s/{tokens.sign(TokenKind.SURVEY, send_id, '4')}",
    }
