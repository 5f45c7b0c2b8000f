"""What the tests around tracking share: a ledger with sends and links in it, and a real server on a free port."""

import hashlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import httpx
import uvicorn
from fastapi import FastAPI
from sqlalchemy import insert, select

from core.ledger_tables import links, metadata, open_ledger, sends, suppressions
from core.pseudonyms import pseudonym
from core.settings import Settings
from core.tokens import Tokens

TARGET = "https://juniper.example/p/1095275?campaign=winback"
LINK_ID = hashlib.sha256(TARGET.encode()).hexdigest()[:16]
ONE_CLICK = {"List-Unsubscribe": "One-Click"}
BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"}


def send_id_of(number: int) -> str:
    return hashlib.md5(f"winback|1|c{number}|2017-12-04".encode(), usedforsecurity=False).hexdigest()


def make_ledger(settings: Settings, *, sends_count: int = 1) -> None:
    """Make the SQLite ledger with `sends_count` sends, each to a customer of its own, and one link."""
    engine = open_ledger(settings.ledger)
    metadata.create_all(engine)
    moment = datetime(2017, 12, 4, 23, tzinfo=UTC)
    rows = [
        {
            "send_id": send_id_of(number),
            "campaign_id": "winback",
            "step": 1,
            "customer_id": f"c{number}",
            "as_of_date": date(2017, 12, 4),
            "address": f"reader.{number}@example.com",
            "pseudonym": pseudonym(f"reader.{number}@example.com", settings.token_key),
            "domain": "example.com",
            "send_at": moment,
            "expires_at": datetime(2017, 12, 6, tzinfo=UTC),
            "due_at": moment,
            "state": "sent",
            "attempts": 1,
        }
        for number in range(sends_count)
    ]
    with engine.begin() as ledger:
        ledger.execute(insert(sends), rows)
        ledger.execute(insert(links), {"link_id": LINK_ID, "target": TARGET})
    engine.dispose()


def suppressed(settings: Settings) -> list[tuple[str, str, str | None]]:
    """Return (customer_id, reason, send_id) of every suppression, over a connection of its own."""
    engine = open_ledger(settings.ledger, read_only=True)
    columns = (suppressions.c.customer_id, suppressions.c.reason, suppressions.c.send_id)
    with engine.begin() as ledger:
        found = ledger.execute(select(*columns).order_by(suppressions.c.customer_id)).all()
    engine.dispose()
    return [(row[0], row[1], row[2]) for row in found]


def logged(settings: Settings) -> list[dict[str, object]]:
    """Return every event in the segments."""
    files = sorted(settings.tracking_log.glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def tokens_of(settings: Settings) -> Tokens:
    return Tokens(settings.token_key)


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """Serve with uvicorn, in a thread, on a free port of this machine; yield the address."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(256)
        server = uvicorn.Server(uvicorn.Config(app, access_log=False, log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            deadline = time.monotonic() + 20
            while not server.started:
                assert thread.is_alive(), "the server did not come up"
                assert time.monotonic() < deadline, "the server took more than 20 s"
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)


@contextmanager
def browsing(app: FastAPI) -> Iterator[httpx.Client]:
    """Serve, and yield a client that looks like a person's browser and follows no redirect."""
    with serving(app) as url, httpx.Client(base_url=url, headers=BROWSER, trust_env=False) as client:
        yield client
