"""The pixel, as thin as a route can be: it is asked for more often than everything else together."""

import base64

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from core.clock import clock_of
from core.logging import get_logger
from core.settings import Settings
from core.tokens import TokenKind, Tokens
from tracking.events import EventKind, new_event
from tracking.log import SegmentLog
from tracking.machines import is_machine
from tracking.pages import SECURITY_HEADERS
from tracking.signed import read_token

GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")  # one pixel, transparent
_HEADERS = {
    **SECURITY_HEADERS,
    "Content-Type": "image/gif",
    "Content-Length": str(len(GIF)),
    "Cross-Origin-Resource-Policy": "cross-origin",  # web mail shows it on pages of its own
}


class Pixel:
    """An ASGI endpoint for `/o/{token}.gif` that answers whatever the token is and whatever happens behind it."""

    def __init__(self, settings: Settings, log: SegmentLog) -> None:
        self._tokens = Tokens(settings.token_key)
        self._clock = clock_of(settings)
        self._log = log
        self._logger = get_logger(__name__)
        self._start = {
            "type": "http.response.start",
            "status": 200,
            "headers": [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()],
        }
        self._is_failing = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "GET":
            self._note(scope)
        await send(self._start)
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else GIF})

    def _note(self, scope: Scope) -> None:
        """Note an open, or log once per outage that it was not."""
        try:
            signed = read_token(self._tokens, TokenKind.OPEN, scope["path_params"]["token"])
            if signed is None:
                return
            machine = is_machine(Headers(scope=scope), of_link=False)
            self._log.append(new_event(EventKind.OPEN, signed[0], self._clock(), is_machine=machine))
            self._is_failing = False
        except Exception as error:  # whatever it is, the reader gets the picture
            if not self._is_failing:
                self._logger.error("open not written", reason=type(error).__name__)
            self._is_failing = True
