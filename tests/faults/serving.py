"""A server in a thread on a free port, and a bare client that says lines to one."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def serving(protocol: Callable[[], asyncio.BaseProtocol]) -> Iterator[int]:
    """Serve a protocol on a free port of 127.0.0.1; yield the port."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> asyncio.Server:
        return await loop.create_server(protocol, "127.0.0.1", 0)

    async def stop() -> None:
        server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    server = asyncio.run_coroutine_threadsafe(start(), loop).result()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def client_of(port: int) -> Iterator[Callable[[str], str]]:
    """Connect to a server, read its greeting; yield a function that says a line and returns the last line of the reply."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line, line.makefile("rb") as replies:

        def listen() -> str:
            while (reply := replies.readline().decode()) and reply[3:4] == "-":
                pass
            return reply

        def say(text: str) -> str:
            line.sendall(text.encode() + b"\r\n")
            return listen()

        listen()
        yield say
