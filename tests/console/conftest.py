"""A console over a small made-up shop, served by a real server on a free port, once for all tests that only look."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import httpx
import pytest
import uvicorn

from console.app import create_app
from core.settings import Settings
from tests.console.shop import open_shop


@dataclass(frozen=True)
class Console:
    """A running console. `get` follows redirects."""

    url: str
    settings: Settings

    def get(self, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        return httpx.get(self.url + path, headers=headers, follow_redirects=True, trust_env=False, timeout=60)

    def words(self, path: str) -> str:
        """Return the page's text as a reader sees it: without tags, entities resolved, blanks joined."""
        text = re.sub(r"<[^>]*>", " ", self.get(path).text)
        return re.sub(r" (?=[,.;:] )", "", " ".join(unescape(text).split()))


@contextmanager
def served(settings: Settings) -> Iterator[Console]:
    config = uvicorn.Config(
        create_app(settings), host="127.0.0.1", port=0, log_level="critical", lifespan="off", ws="none"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield Console(f"http://127.0.0.1:{port}", settings)
    finally:
        server.should_exit = True
        thread.join(timeout=10)


@pytest.fixture(scope="session")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A console over the made-up shop, replayed. Tests only look at it."""
    settings = Settings(
        _env_file=None, data_dir=tmp_path_factory.mktemp("shop"), token_key="k" * 40, replay=True
    )
    open_shop(settings)
    with served(settings) as running:
        yield running


@pytest.fixture
def serve() -> Iterator[Callable[[Settings], Console]]:
    """Start a console over settings of the test's own; it stops with the test."""
    with ExitStack() as stack:
        yield lambda settings: stack.enter_context(served(settings))


def files_of(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder with its content."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }
