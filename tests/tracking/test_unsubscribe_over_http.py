import select
import socket
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx

from core.tokens import TokenKind
from tests.tracking.kit import (
    ONE_CLICK,
    browsing,
    logged,
    make_ledger,
    send_id_of,
    serving,
    suppressed,
    tokens_of,
)
from tracking.app import create_app

READERS = 200


def test_unsubscribe_is_committed_before_the_first_byte_of_the_answer(settings):
    make_ledger(settings, sends_count=20)
    with serving(create_app(settings)) as url, sqlite3.connect(settings.data_dir / "ledger.sqlite") as other:
        place = urlsplit(url)
        for number in range(20):
            token = tokens_of(settings).sign(TokenKind.UNSUBSCRIBE, send_id_of(number))
            with socket.create_connection((str(place.hostname), int(place.port or 0))) as asking:
                asking.sendall(
                    f"POST /u/{token} HTTP/1.1\r\nHost: {place.netloc}\r\nConnection: close\r\n"
                    "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 26\r\n\r\n"
                    "List-Unsubscribe=One-Click".encode()
                )
                assert select.select([asking], [], [], 10)[0], "no answer in 10 s"
                (seen,) = other.execute(
                    "select count(*) from suppressions where customer_id = ?", [f"c{number}"]
                ).fetchone()
                assert asking.recv(65536).startswith(b"HTTP/1.1 200 ")
            assert seen == 1
        other.rollback()
    other.close()


def test_two_hundred_readers_at_once_are_each_suppressed_once_and_each_logged(settings):
    make_ledger(settings, sends_count=READERS)
    tokens = tokens_of(settings)
    with browsing(create_app(settings, ledger_patience_seconds=60)) as client:

        def leave(number: int) -> int:
            path = f"/u/{tokens.sign(TokenKind.UNSUBSCRIBE, send_id_of(number))}"
            return client.post(path, data=ONE_CLICK, timeout=90).status_code

        with ThreadPoolExecutor(32) as threads:
            statuses = list(threads.map(leave, range(READERS)))
    assert statuses == [200] * READERS
    everyone = {f"c{number}" for number in range(READERS)}
    rows = suppressed(settings)
    assert len(rows) == READERS
    assert {row[0] for row in rows} == everyone
    events = logged(settings)
    assert sorted(str(event["send_id"]) for event in events) == sorted(map(send_id_of, range(READERS)))


def test_one_reader_who_presses_forty_times_is_suppressed_once(settings):
    make_ledger(settings)
    path = f"/u/{tokens_of(settings).sign(TokenKind.UNSUBSCRIBE, send_id_of(0))}"
    with browsing(create_app(settings, ledger_patience_seconds=60)) as client:

        def leave(_number: int) -> int:
            return client.post(path, data=ONE_CLICK, timeout=90).status_code

        with ThreadPoolExecutor(20) as threads:
            assert set(threads.map(leave, range(40))) == {200}
    assert suppressed(settings) == [("c0", "unsubscribed", send_id_of(0))]
    assert len(logged(settings)) == 40


def test_no_address_reaches_a_segment(settings):
    make_ledger(settings)
    tokens = tokens_of(settings)
    with serving(create_app(settings)) as url:
        agent = {
            "User-Agent": "reader.0@example.com",
            "Referer": "https://mail.example/?u=reader.0@example.com",
        }
        for kind, path in ((TokenKind.OPEN, "/o/{}.gif"), (TokenKind.UNSUBSCRIBE, "/u/{}")):
            link = url + path.format(tokens.sign(kind, send_id_of(0))) + "?to=reader.0@example.com"
            httpx.get(link, headers=agent, trust_env=False)
            httpx.post(link, data={**ONE_CLICK, "to": "reader.0@example.com"}, headers=agent, trust_env=False)
    written = b"".join(file.read_bytes() for file in settings.tracking_log.iterdir())
    assert written.count(b"\n") == 2
    assert b"@" not in written
    assert b"reader" not in written
