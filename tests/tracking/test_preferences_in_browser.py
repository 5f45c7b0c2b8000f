"""The page of preferences as a person uses it: on a phone, with no script, in each language."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from core.tokens import TokenKind
from tests.tracking.kit import make_ledger, send_id_of, serving, suppressed, tokens_of
from tracking.app import create_app
from tracking.pages import LANGUAGES

pytestmark = pytest.mark.needs("chromium")


@contextmanager
def on_a_phone(browser: Any, language: str) -> Iterator[Any]:
    size = {"width": 375, "height": 740}
    with browser.new_context(viewport=size, java_script_enabled=False, locale=language) as context:
        yield context.new_page()


def test_the_page_fits_a_phone_and_is_used_without_a_script(settings, tool_path):
    from playwright.sync_api import sync_playwright

    make_ledger(settings)
    with serving(create_app(settings)) as url, sync_playwright() as playwright:
        program: Path = tool_path("chromium")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        link = f"{url}/p/{tokens_of(settings).sign(TokenKind.UNSUBSCRIBE, send_id_of(0))}"
        for language in LANGUAGES:
            with on_a_phone(browser, language) as page:
                page.goto(link)
                assert page.evaluate("document.documentElement.scrollWidth") == 375, language
        with on_a_phone(browser, "en") as page:
            page.goto(link)
            page.get_by_label("Offers and coupons").uncheck()
            page.get_by_label("Less often").check()
            page.get_by_label("Language of the mails").select_option("ar")
            page.get_by_role("button", name="Save").click()
            page.get_by_role("status").wait_for()
            assert page.locator("html").get_attribute("dir") == "rtl"
            assert [box.is_checked() for box in page.get_by_role("checkbox").all()] == [
                *[True] * 4, False, True, False  # offers, and no pause
            ]  # fmt: skip
            page.get_by_role("button").last.click()
            page.get_by_role(
                "heading", name="You are unsubscribed"
            ).wait_for()  # in the browser's language again
        browser.close()
    assert suppressed(settings) == [("c0", "unsubscribed", send_id_of(0))]
