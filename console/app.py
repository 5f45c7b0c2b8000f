"""The console's front door: `create_app(settings)` makes the web application. GET only; no page writes anything."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from console.pages import gallery, inbox, mail, report, sends
from console.readers import readers_of
from console.rendering import Pages
from core.errors import LapwingError
from core.logging import get_logger
from core.settings import LOOPBACK, Settings

STATIC = Path(__file__).parent / "static"
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; frame-src 'self'; "
    "connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# The gates' pages carry their styles within, because they are also opened as files; they load nothing and run nothing.
DATA_DOCS_POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"


def create_app(settings: Settings) -> FastAPI:
    """Return the console over the folders and the ledger that the settings name.

    Nothing has to exist yet: pages say what is missing and how to make it.
    """
    app = FastAPI(title="Lapwing console", docs_url=None, redoc_url=None, openapi_url=None)
    readers, pages = readers_of(settings), Pages(settings)
    for module in (inbox, mail, report, sends, gallery):
        app.include_router(module.router(readers, pages))
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.mount(
        "/data-docs", LaterFiles(directory=settings.data_docs, html=True, check_dir=False), name="data-docs"
    )
    app.get("/health")(lambda: {"status": "ok", "ledger": readers.ledger.exists()})
    _explain_errors(app, pages)
    app.middleware("http")(_guard)
    # Without this, a foreign page whose name is made to point at loopback could read customers' data.
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=_hosts(settings))
    return app


class LaterFiles(StaticFiles):
    """Files of a folder that may not exist yet: until it does, each is simply not found."""

    async def check_config(self) -> None:
        return


def _hosts(settings: Settings) -> list[str]:
    own = urlsplit(settings.console_url).hostname
    return sorted(LOOPBACK | ({own} if own else set()))


async def _guard(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await answer(request)
    policy = DATA_DOCS_POLICY if request.url.path.startswith("/data-docs") else PAGE_POLICY
    response.headers.setdefault("Content-Security-Policy", policy)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    if not request.url.path.startswith("/static"):
        response.headers["Cache-Control"] = "no-store"  # customers' data stays out of caches
    return response


def _explain_errors(app: FastAPI, pages: Pages) -> None:
    log = get_logger(__name__)

    def page(request: Request, status: int, sentence: str) -> HTMLResponse:
        return pages.render(request, "error.html", status=status, code=status, sentence=sentence)

    @app.exception_handler(HTTPException)
    def _refused(request: Request, error: HTTPException) -> HTMLResponse:
        sentence = error.detail
        if (error.status_code, sentence) == (404, "Not Found"):
            sentence = f"There is no page at {request.url.path}."
        return page(request, error.status_code, sentence)

    @app.exception_handler(RequestValidationError)
    def _unreadable(request: Request, error: RequestValidationError) -> HTMLResponse:
        name = error.errors()[0]["loc"][-1]
        return page(request, 400, f"The part “{name}” of this page's address cannot be read.")

    @app.exception_handler(LapwingError)
    def _missing(request: Request, error: LapwingError) -> HTMLResponse:
        return page(request, 404, f"{error}.")

    @app.exception_handler(SQLAlchemyError)
    def _ledger_down(request: Request, error: SQLAlchemyError) -> HTMLResponse:
        log.error("ledger not readable", error=type(error).__name__)
        return page(
            request,
            503,
            "The ledger does not answer; see that LAPWING_LEDGER_URL is right and its server up.",
        )
