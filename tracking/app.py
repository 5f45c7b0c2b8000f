"""The routes behind the links of a mail.

    GET  /o/{token}.gif  the pixel: always answered; an open is noted if we signed the token
    GET  /c/{token}      302 to the target the ledger stores for the link; nothing else is ever a target
    GET  /u/{token}      a page with a button; changes nothing, since scanners follow links
    POST /u/{token}      unsubscribes: RFC 8058's one-click body, which the button sends too
    GET  /p/{token}      a page that shows what the reader gets, and asks; the token is that of /u/. Changes nothing
    POST /p/{token}      notes what she wants to get, how often and in which language
    GET  /s/{token}      a page with the chosen stars and a button; changes nothing
    POST /s/{token}      notes the answer to a survey
    GET  /health         200 while the ledger can be read and the log written, else 503

GET appends to the log and changes nothing else; HEAD appends nothing. No cookie is set; no IP address and no user
agent is kept, only whether a machine asked.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from email.utils import parseaddr

from fastapi import FastAPI
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import Message

from core.clock import clock_of
from core.errors import LedgerBroken
from core.logging import get_logger
from core.settings import Settings
from core.tokens import TokenKind, Tokens
from tracking.events import EventKind, new_event
from tracking.ledger import FeedbackLedger
from tracking.log import SegmentLog
from tracking.machines import is_machine
from tracking.pages import ONE_CLICK_FIELD, ONE_CLICK_VALUE, SECURITY_HEADERS, Page, language_of, page
from tracking.pixel import Pixel
from tracking.preferences import wish_of
from tracking.preferences_page import preferences_page
from tracking.signed import read_token

SYNC_SECONDS = 0.25  # how long an open or a click may wait for the disk
BODY_BYTES, BODY_SECONDS = 4096, 10.0  # a one-click body is 26 bytes long, about 160 as multipart
COME_AGAIN = {"Retry-After": "60"}


def create_app(settings: Settings, *, ledger_patience_seconds: float = 5.0) -> FastAPI:
    """Return the service. Nothing is opened before the first request; the lifespan syncs the log and closes it.

    Parameters
    ----------
    settings
        Token key, ledger, folder of the log, sender's name, clock.
    ledger_patience_seconds
        How long a request may wait for a busy ledger before it is answered 503.
    """
    tracker = Tracker(settings, ledger_patience_seconds)
    app = FastAPI(
        title="Lapwing tracking",
        openapi_url=None,  # takes the documentation pages with it
        redirect_slashes=False,  # would redirect to whatever host the request names
        lifespan=tracker.lifespan,
        exception_handlers={HTTPException: tracker.refuse, Exception: tracker.fail},
    )
    app.router.routes[:] = [
        # First: no other route is asked as often.
        Route("/o/{token}.gif", Pixel(settings, tracker.log), methods=["GET"]),
        Route("/c/{token}", tracker.click),
        Route("/u/{token}", tracker.unsubscribe, methods=["GET", "POST"]),
        Route("/p/{token}", tracker.preferences, methods=["GET", "POST"]),
        Route("/s/{token}", tracker.survey, methods=["GET", "POST"]),
        Route("/health", tracker.health),
    ]
    return app


class Tracker:
    """What the routes share: token key, log, ledger, clock."""

    def __init__(self, settings: Settings, ledger_patience_seconds: float) -> None:
        self.log = SegmentLog(settings.tracking_log)
        self._tokens = Tokens(settings.token_key)
        self._ledger = FeedbackLedger(settings.ledger, patience_seconds=ledger_patience_seconds)
        self._clock = clock_of(settings)
        self._shop = parseaddr(settings.from_address)[0]
        self._logger = get_logger(__name__)

    async def click(self, request: Request) -> Response:
        """Answer `/c/{token}`: 302 to the stored target, 404 without one, 503 while the ledger is busy."""
        signed = read_token(self._tokens, TokenKind.CLICK, request.path_params["token"])
        if signed is None:
            return self._page(request, Page.UNKNOWN, 404)
        send_id, link_id = signed
        try:
            target = await run_in_threadpool(self._ledger.target_of, link_id)
        except LedgerBroken as error:
            self._logger.warning("click put off", send_id=send_id, reason=str(error))
            return self._page(request, Page.LATER, 503, COME_AGAIN)
        if target is None:
            return self._page(request, Page.UNKNOWN, 404)
        if request.method == "GET":
            self._note(EventKind.CLICK, request, send_id, link_id)
        return RedirectResponse(target, 302, SECURITY_HEADERS)

    async def unsubscribe(self, request: Request) -> Response:
        """Answer `/u/{token}`: a page for GET; for POST 200 once the suppression is committed, else 4xx or 503."""
        signed = read_token(self._tokens, TokenKind.UNSUBSCRIBE, request.path_params["token"])
        if signed is None:
            return self._page(request, Page.UNKNOWN, 404)
        if request.method != "POST":
            return self._page(request, Page.ASK, 200, token=request.path_params["token"])
        if not await _is_one_click(request):
            return self._page(request, Page.WRONG, 400)
        return await self._suppress(request, signed[0])

    async def _suppress(self, request: Request, send_id: str) -> Response:
        try:
            # Committed before anything is answered: "done" is a promise.
            is_done = await run_in_threadpool(self._ledger.suppress, send_id, self._clock)
        except LedgerBroken as error:
            self._logger.warning("unsubscribe put off", send_id=send_id, reason=str(error))
            return self._page(request, Page.LATER, 503, COME_AGAIN)
        if not is_done:
            self._logger.error("unsubscribe of a send the ledger does not know", send_id=send_id)
            return self._page(request, Page.UNKNOWN, 404)
        await run_in_threadpool(self._note, EventKind.UNSUBSCRIBE, request, send_id)
        return self._page(request, Page.DONE, 200)

    async def preferences(self, request: Request) -> Response:
        """Answer `/p/{token}`: what holds for the reader; for POST 200 once her wish is committed, else 4xx or 503.

        The token is that of the unsubscribe link: who has it may stop all mail, so may stop some of it.
        """
        token = request.path_params["token"]
        signed = read_token(self._tokens, TokenKind.UNSUBSCRIBE, token)
        if signed is None:
            return self._page(request, Page.UNKNOWN, 404)
        wish = wish_of(await _form_of(request)) if request.method == "POST" else None
        if request.method == "POST" and wish is None:
            return self._page(request, Page.WRONG, 400)
        try:
            if wish is None:
                held = await run_in_threadpool(self._ledger.preferences_of, signed[0], self._clock)
            else:
                held = await run_in_threadpool(self._ledger.prefer, signed[0], wish, self._clock)
        except LedgerBroken as error:
            self._logger.warning("preferences put off", send_id=signed[0], reason=str(error))
            return self._page(request, Page.LATER, 503, COME_AGAIN)
        if held is None:
            return self._page(request, Page.UNKNOWN, 404)
        language = held.locale or language_of(request.headers.get("accept-language", ""))
        return preferences_page(held, language, shop=self._shop, token=token, is_saved=wish is not None)

    async def survey(self, request: Request) -> Response:
        """Answer `/s/{token}`: a page for GET; for POST 200 once the answer is on the disk, else 4xx or 503."""
        signed = read_token(self._tokens, TokenKind.SURVEY, request.path_params["token"])
        if signed is None:
            return self._page(request, Page.UNKNOWN, 404)
        send_id, stars = signed
        if request.method != "POST":
            return self._page(request, Page.STARS, 200, stars=int(stars))
        await _form_of(request)  # which says nothing that the token does not say; a body too long is refused
        event = new_event(EventKind.SURVEY, send_id, self._clock(), link_id=stars)
        try:
            await run_in_threadpool(lambda: self.log.append(event, durable=True))
        except OSError as error:
            self._logger.error("answer to a survey not written", send_id=send_id, reason=error.strerror)
            return self._page(request, Page.LATER, 503, COME_AGAIN)
        return self._page(request, Page.THANKS, 200, stars=int(stars))

    async def health(self, _request: Request) -> Response:
        """Answer `/health`: 200, or 503 with the reason."""
        try:
            await run_in_threadpool(self._ledger.check)
            await run_in_threadpool(self.log.check)
        except (LedgerBroken, OSError) as error:
            # An OSError's own words hold a path.
            reason = str(error) if isinstance(error, LedgerBroken) else "the tracking log cannot be written"
            return JSONResponse({"status": "failing", "reason": reason}, 503, SECURITY_HEADERS)
        return JSONResponse({"status": "ok"}, 200, SECURITY_HEADERS)

    async def refuse(self, request: Request, error: Exception) -> Response:
        """Answer what no route takes (404, 405, 413 …) with a page and the usual headers."""
        status = error.status_code if isinstance(error, HTTPException) else 500
        headers = error.headers if isinstance(error, HTTPException) else None
        return self._page(request, Page.UNKNOWN if status == 404 else Page.WRONG, status, headers)

    async def fail(self, request: Request, _error: Exception) -> Response:
        """Answer a fault of ours; the server's log has the traceback."""
        return self._page(request, Page.LATER, 500)

    @asynccontextmanager
    async def lifespan(self, _app: FastAPI) -> AsyncIterator[None]:
        syncing = asyncio.create_task(self._sync_often())
        yield
        syncing.cancel()
        await run_in_threadpool(self.log.close)
        self._ledger.close()

    async def _sync_often(self) -> None:
        while True:
            await asyncio.sleep(SYNC_SECONDS)
            try:
                await run_in_threadpool(self.log.sync)
            except OSError as error:
                # The disk may come back; until then /health is red and readers are answered all the same.
                self._logger.error("tracking log not on disk", reason=error.strerror)

    def _note(self, kind: EventKind, request: Request, send_id: str, link_id: str = "") -> None:
        machine = kind is EventKind.CLICK and is_machine(request.headers, of_link=True)
        event = new_event(kind, send_id, self._clock(), link_id=link_id, is_machine=machine)
        try:
            self.log.append(event, durable=kind is EventKind.UNSUBSCRIBE)
        except OSError as error:
            # The reader gets the page, and a suppression is in the ledger already: only a figure is lost.
            self._logger.error("event not written", kind=kind, send_id=send_id, reason=error.strerror)

    def _page(
        self,
        request: Request,
        kind: Page,
        status: int,
        headers: Mapping[str, str] | None = None,
        stars: int = 0,
        token: str = "",
    ) -> Response:
        language = request.headers.get("accept-language", "")
        return page(kind, language, status=status, shop=self._shop, headers=headers, stars=stars, token=token)


async def _is_one_click(request: Request) -> bool:
    """Say whether the body is RFC 8058's, in either of the two form encodings."""
    return (await _form_of(request)).get(ONE_CLICK_FIELD) == ONE_CLICK_VALUE


async def _form_of(request: Request) -> Mapping[str, object]:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await _read_body(request)
    except TimeoutError:
        raise HTTPException(408) from None

    async def read_again() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async with Request(request.scope, read_again).form(max_files=0, max_fields=16) as form:
        return dict(form)


async def _read_body(request: Request) -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > BODY_BYTES:
            raise HTTPException(413)
    return body
