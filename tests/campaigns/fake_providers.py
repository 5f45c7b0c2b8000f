"""The HTTP APIs of Amazon SES and SendGrid, and a shop's webhook, on this machine: what is said of a request and its answers.

Each answers in its own shape and fails as told.
"""

import base64
import hashlib
import hmac
import json
import re
import socket
import struct
import threading
import time
from collections import Counter
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self

ABORT = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset
SES_KEY, SES_SECRET, SENDGRID_KEY = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "SG.example"

WEBHOOK_KEY = bytes(range(32))
WEBHOOK_SECRET = "whsec_" + base64.b64encode(WEBHOOK_KEY).decode()


class Fault(NamedTuple):
    """What to do with the next request: answer with a status, or "drop", "stall" or say "nonsense" instead.

    `takes`: keep the mail nevertheless.
    """

    status: int = 0
    body: str = ""
    error_type: str = ""
    instead: str = ""
    takes: bool = False


class Taken(NamedTuple):
    """A mail as its reader would get it."""

    recipient: str
    subject: str
    parts: list[tuple[str, str]]
    headers: dict[str, str]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # of 5, the rest of 20 that come at once would be turned away


class FakeProvider:
    """A provider on a free port of 127.0.0.1; `taken` are its mails, `requests` what it was asked."""

    def __init__(self) -> None:
        self.taken: list[Taken] = []
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.faults: list[Fault] = []
        self.connections = 0
        self.hangs_up = False  # after each answer, without a word
        self.stopped = threading.Event()
        provider = self

        class Conversation(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                provider.connections += 1
                super().setup()

            def do_POST(self) -> None:
                provider.answer(self)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = _Server(("127.0.0.1", 0), Conversation)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()

    def answer(self, asked: BaseHTTPRequestHandler) -> None:
        body = asked.rfile.read(int(asked.headers["content-length"]))
        order = json.loads(body)
        headers = {name.lower(): value for name, value in asked.headers.items()}
        self.requests.append((asked.path, headers, order))
        refusal = self.refusal(asked.path, headers, body)
        if refusal is not None:
            say(asked, refusal)
            return
        fault = self.faults.pop(0) if self.faults else Fault()
        if (not fault.status and not fault.instead) or fault.takes:
            self.taken.append(self.read(order))
        if fault.instead:
            asked.close_connection = True
            self._instead(fault.instead, asked)
        elif fault.status:
            say(asked, fault)
        else:
            self.accept(asked, f"m{len(self.taken)}")
        asked.close_connection |= self.hangs_up

    def refusal(self, path: str, headers: dict[str, str], body: bytes) -> Fault | None:
        """Return the answer to a request that is not for this provider, or without the right key."""
        raise NotImplementedError

    def read(self, order: dict[str, Any]) -> Taken:
        raise NotImplementedError

    def accept(self, asked: BaseHTTPRequestHandler, message_id: str) -> None:
        raise NotImplementedError

    def _instead(self, what: str, asked: BaseHTTPRequestHandler) -> None:
        if what == "stall":
            self.stopped.wait(30)
        if what == "nonsense":
            asked.wfile.write(b"220 mail.example ESMTP\r\n\r\n")
        if what == "drop":
            asked.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
            asked.connection.close()


class FakeSes(FakeProvider):
    """Amazon SES, `SendEmail` of version 2. It does not check the signature: Amazon's published examples do."""

    scope = re.compile(
        rf"AWS4-HMAC-SHA256 Credential={SES_KEY}/\d{{8}}/eu-west-1/ses/aws4_request, "
        r"SignedHeaders=content-type;host;x-amz-date, Signature=[0-9a-f]{64}"
    )

    def refusal(self, path: str, headers: dict[str, str], body: bytes) -> Fault | None:
        if path != "/v2/email/outbound-emails":
            return Fault(404, '{"message":null}', "UnknownOperationException")
        if not self.scope.fullmatch(headers.get("authorization", "")):
            return Fault(403, '{"message":"The request signature we calculated does not match"}')
        return None

    def read(self, order: dict[str, Any]) -> Taken:
        message: Any = message_from_bytes(
            base64.b64decode(order["Content"]["Raw"]["Data"], validate=True), policy=policy.default
        )
        parts = [
            (part.get_content_type(), part.get_content())
            for part in message.walk()
            if not part.is_multipart()
        ]
        (recipient,) = order["Destination"]["ToAddresses"]
        return Taken(recipient, message["Subject"], parts, dict(message.items()))

    def accept(self, asked: BaseHTTPRequestHandler, message_id: str) -> None:
        say(asked, Fault(200, json.dumps({"MessageId": message_id})))


class FakeSendGrid(FakeProvider):
    """SendGrid, `mail/send` of version 3."""

    reserved = frozenset({
        "x-sg-id", "x-sg-eid", "received", "dkim-signature", "content-type", "content-transfer-encoding", "to", "from",
        "subject", "reply-to", "cc", "bcc",
    })  # fmt: skip

    def refusal(self, path: str, headers: dict[str, str], body: bytes) -> Fault | None:
        if path != "/v3/mail/send":
            return Fault(404, "")
        if headers.get("authorization") != f"Bearer {SENDGRID_KEY}":
            return Fault(
                401, '{"errors":[{"message":"The provided authorization grant is invalid","field":null}]}'
            )
        return None

    def read(self, order: dict[str, Any]) -> Taken:
        (person,) = order["personalizations"]
        (recipient,) = person["to"]
        assert not self.reserved & {name.lower() for name in person["headers"]}
        assert all(
            isinstance(value, str) for value in [*person["headers"].values(), *person["custom_args"].values()]
        )
        parts = [(part["type"], part["value"]) for part in order["content"]]
        assert [kind for kind, _ in parts] == ["text/plain", "text/html"]  # in this order, or it is refused
        return Taken(recipient["email"], order["subject"], parts, person["headers"])

    def accept(self, asked: BaseHTTPRequestHandler, message_id: str) -> None:
        say(asked, Fault(202), {"X-Message-Id": message_id})


class FakeReceiver(FakeProvider):
    """A shop's webhook, which checks what Standard Webhooks has a receiver check; `times`: how often it kept each send."""

    def __init__(self) -> None:
        super().__init__()
        self.times = Counter[str]()

    def refusal(self, path: str, headers: dict[str, str], body: bytes) -> Fault | None:
        moment = headers["webhook-timestamp"]
        signed = f"{headers['webhook-id']}.{moment}.".encode() + body
        expected = base64.b64encode(hmac.new(WEBHOOK_KEY, signed, hashlib.sha256).digest()).decode()
        if f"v1,{expected}" not in headers["webhook-signature"].split(" "):
            return Fault(401, "no signature matches")
        if abs(time.time() - int(moment)) > 300:
            return Fault(401, "too old or too new")
        return None

    def read(self, order: dict[str, Any]) -> Taken:
        about = order["data"]
        self.times[about["send_id"]] += 1
        return Taken(about["customer_id"], "", [("text/plain", about["text"])], {"send_id": about["send_id"]})

    def accept(self, asked: BaseHTTPRequestHandler, message_id: str) -> None:
        say(asked, Fault(204))


def say(asked: BaseHTTPRequestHandler, answer: Fault, more: dict[str, str] | None = None) -> None:
    asked.send_response(answer.status)
    for name, value in (
        {"x-amzn-errortype": answer.error_type} if answer.error_type else {} | (more or {})
    ).items():
        asked.send_header(name, value)
    asked.send_header("content-length", str(len(answer.body.encode())))
    asked.end_headers()
    asked.wfile.write(answer.body.encode())
