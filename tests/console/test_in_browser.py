"""The console in a real browser: what a person sees, and what must not happen while they look."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from campaigns.ledger import Handover, Outcome, SendState
from core.settings import Settings
from tests.console.conftest import Console, served
from tests.console.made_up import SUBJECTS, WHY
from tests.console.shop import open_shop
from tests.faults.ledger_kit import MovableClock, ledger_at, planned

pytestmark = pytest.mark.needs("chromium")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
]


class Tracking(ThreadingHTTPServer):
    """Stands where mails say the tracking service is, and counts who comes."""

    daemon_threads = True

    def __init__(self) -> None:
        self.hits: list[str] = []
        hits = self.hits

        class Counting(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hits.append(self.path)
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        super().__init__(("127.0.0.1", 0), Counting)
        self.url = f"http://127.0.0.1:{self.server_port}"


@pytest.fixture(scope="module")
def tracking() -> Iterator[Tracking]:
    with Tracking() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def tracked(tracking: Tracking, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    settings = Settings(
        _env_file=None,
        data_dir=tmp_path_factory.mktemp("tracked"),
        token_key="k" * 40,
        replay=True,
        tracking_url=tracking.url,
    )
    open_shop(settings)
    with served(settings) as running:
        yield running


@pytest.fixture(scope="module")
def browser(tool_path) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        program: Path = tool_path("chromium")
        running = playwright.chromium.launch(executable_path=program, args=QUIET)
        yield running
        running.close()


@pytest.fixture
def page(browser, tracked: Console, tracking: Tracking) -> Iterator[Any]:
    """A page; when the test is over: no request left this machine, no error was logged, nothing was counted."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, base_url=tracked.url)
    opened = context.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    opened.wait_for_load_state("networkidle")
    context.close()
    assert asked
    assert {urlsplit(url).netloc for url in asked if not url.startswith("data:")} == {
        urlsplit(tracked.url).netloc
    }
    assert complaints == []
    assert tracking.hits == []


def test_the_inbox_shows_a_mail_as_desktop_and_phone_would(page):
    page.goto("/")
    assert page.get_by_role("heading", level=2).inner_text() in SUBJECTS.values()
    widths = []
    for device in ("desktop", "phone"):
        frame = page.frame_locator(f"iframe[title='The mail as a {device} shows it']")
        assert frame.get_by_role("heading").inner_text() in SUBJECTS.values()
        assert frame.get_by_text("To the shop").is_visible()
        widths.append(page.locator(f".{device} iframe").bounding_box()["width"])
    assert widths == [640, 375]


def test_clicking_in_a_previewed_mail_counts_nothing_and_leads_nowhere(page):
    page.goto(f"/?mail={WHY}")
    for device in ("desktop", "phone"):
        frame = page.frame_locator(f".{device} iframe")
        # Forced: the links say that they are disabled, and a person would click all the same.
        frame.get_by_text("To the shop").click(force=True)
        frame.get_by_text("No more mail").click(force=True)
        assert frame.get_by_text("To the shop").is_visible()
    assert page.url.endswith(f"/?mail={WHY}")


def test_the_tracking_server_of_these_tests_does_count(browser, tracking):
    """Without this, the checks above could pass because nothing ever reaches the counter."""
    page = browser.new_page()
    page.set_content(f'<img src="{tracking.url}/o/looked.gif">', wait_until="load")
    page.close()
    assert tracking.hits == ["/o/looked.gif"]
    tracking.hits.clear()


def test_the_why_page_opens_from_the_inbox_and_answers(page):
    page.goto(f"/?mail={WHY}")
    page.get_by_role("link", name="Why this mail?").click()
    assert page.url.endswith(f"/mail/{WHY}")
    assert page.get_by_role("heading", level=1).inner_text() == SUBJECTS["en"]
    for question in ("Why this customer", "Why these products", "Why now", "What happened"):
        assert page.get_by_role("region", name=question).is_visible()
    assert page.frame_locator(".phone iframe").get_by_role("heading").inner_text() == SUBJECTS["en"]
    page.get_by_text("Everything else known").click()
    assert page.get_by_text("Usual gap between orders").is_visible()


def test_the_inbox_is_walked_by_keyboard_alone(page):
    page.goto("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the page"
    first = page.locator("a.line[aria-current]").get_attribute("href")
    with page.expect_navigation():
        page.keyboard.press("j")
    second = page.locator("a.line[aria-current]").get_attribute("href")
    assert first != second
    assert page.evaluate("document.activeElement.getAttribute('href')") == second
    with page.expect_navigation():
        page.keyboard.press("ArrowUp")
    assert page.locator("a.line[aria-current]").get_attribute("href") == first
    page.keyboard.press("/")
    page.keyboard.type("1004")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert set(page.locator(".customer").all_inner_texts()) == {"1004"}


def test_every_page_fits_a_phone_without_sideways_scrolling(page):
    page.set_viewport_size({"width": 375, "height": 740})
    for path in (
        "/",
        f"/?mail={WHY}",
        f"/mail/{WHY}",
        "/report",
        "/sends",
        "/gallery",
        "/?mail=" + WHY + "&view=headers",
    ):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 375, path


def test_the_page_of_sends_renews_what_happens_now_and_nothing_else(browser, settings):
    clock = MovableClock(datetime.now(UTC))
    ledger = ledger_at(settings.ledger, clock)
    ledger.enqueue([planned(number, day=clock.now.date(), send_at=clock.now) for number in range(5)], {})
    with served(settings) as running, ledger.sender(settings.data_dir / "sender.lock"):
        page = browser.new_page(base_url=running.url)
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.goto("/sends")
        page.evaluate("document.querySelector('h1').textContent = 'Not loaded anew'")
        now = page.get_by_label("Sending now")
        assert "0 sent in the last minute (0 a second) · 5 more may go now" in now.inner_text()
        for send in ledger.claim(3).sends:
            ledger.start([(send, Handover("mail.example:25", "<m@juniper.example>", "0" * 64))])
            ledger.finish([Outcome(send, SendState.SENT, "250 ok")])
        ledger.pause("@example.com", actor="ada", reason="<b>they</b> ask")
        now.get_by_text("0 more may go now").wait_for()
        assert "3 sent in the last minute (0.05 a second)" in now.inner_text()
        assert "lapwing send resume @example.com" in page.locator("#sending").inner_text()
        assert "<b>they</b> ask" in page.locator("#sending").inner_text()
        assert page.get_by_role("heading", level=1).inner_text() == "Not loaded anew"
        page.close()
    assert complaints == []


def test_the_gallery_shows_a_mail_in_the_language_width_and_light_that_is_chosen(page):
    page.goto("/")
    page.get_by_role("link", name="Gallery").click()
    for name, choice in (("Mail", "winback/care"), ("For", "right_to_left_name"), ("Screen", "dark")):
        page.get_by_label(name, exact=True).select_option(choice)
    backgrounds = {}
    for locale, width, scheme in (("ar", "375", "dark"), ("en", "600", "light")):
        for name, choice in (("Language", locale), ("Width, pixels", width), ("Screen", scheme)):
            page.get_by_label(name, exact=True).select_option(choice)
        page.get_by_role("button", name="Show").click()
        page.wait_for_load_state("load")
        assert page.locator(".look iframe").evaluate("frame => frame.clientWidth") == int(width)
        body = page.frame_locator(".look iframe").locator("body")
        assert body.evaluate("body => getComputedStyle(body.firstElementChild).direction") == (
            "rtl" if locale == "ar" else "ltr"
        )
        assert "محمد" in body.inner_text()
        backgrounds[scheme] = body.evaluate("body => getComputedStyle(body).backgroundColor")
    # as _base/brand.yml has the page: #101512 and #f3efe6
    assert backgrounds == {"dark": "rgb(16, 21, 18)", "light": "rgb(243, 239, 230)"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_small_text_has_the_contrast_that_wcag_asks_for(page, scheme):
    # Colours are read as they stay, not half-way through a transition.
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    for path in ("/", f"/mail/{WHY}", "/report", "/sends", "/gallery"):
        page.goto(path)
        pairs = page.evaluate(COLOURS)
        assert len(pairs) > 15
        low = {(text, front, back) for text, front, back in pairs if contrast(front, back) < 4.5}
        assert low == set(), path


COLOURS = """() => [...document.querySelectorAll('body *')].filter(
  (e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()) && e.checkVisibility() && e.getClientRects().length
).map((e) => {
  let back = e;
  const clear = 'rgba(0, 0, 0, 0)';
  while (back && getComputedStyle(back).backgroundColor === clear) back = back.parentElement;
  return [e.textContent.trim().slice(0, 40), getComputedStyle(e).color, back ? getComputedStyle(back).backgroundColor : 'rgb(255, 255, 255)'];
})"""


def contrast(front: str, back: str) -> float:
    """Return the contrast ratio of two CSS colours (WCAG 2.2, relative luminance)."""

    def luminance(colour: str) -> float:
        channels = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(", ")]
        red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    lighter, darker = sorted((luminance(front), luminance(back)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)
