"""Every mail in one picture: a row a mail, in each language as a phone shows it, then in the dark, then as a desktop does.

.venv/bin/python -m scripts.gallery                    # docs/img/gallery.webp
.venv/bin/python -m scripts.gallery FILE --customer long_name --only winback
"""

import argparse
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw
from playwright.sync_api import Page, sync_playwright

from campaigns import gallery
from campaigns.render import render
from campaigns.templates import NOWHERE, compile_template

PROJECT = Path(__file__).resolve().parents[1]
LOCALES = ("en", "de", "fr", "es", "zh", "ja", "ar")
PHONE, DESKTOP = 375, 600
COLUMNS = [
    *((locale, PHONE, "light") for locale in LOCALES),
    *((locale, PHONE, "dark") for locale in ("en", "ar")),
    *((locale, DESKTOP, scheme) for locale, scheme in (("en", "light"), ("ar", "light"), ("en", "dark"))),
]
SCALE, TALLEST, GAP, TITLE = 0.32, 1250, 10, 22


def main() -> None:
    """Take the picture."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", type=Path, nargs="?", default=PROJECT / "docs" / "img" / "gallery.webp")
    parser.add_argument("--customer", choices=list(gallery.CUSTOMERS), default="example")
    parser.add_argument("--only", default="", help="campaigns whose name begins so")
    arguments = parser.parse_args()
    rows = [mail for mail in gallery.mails() if mail[0].startswith(arguments.only)]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page()
        pictures = [picture_of_mail(page, *mail, arguments.customer) for mail in rows]
        browser.close()
    sheet = Image.new("RGB", (pictures[0].width, sum(each.height for each in pictures)), "white")
    top = 0
    for picture in pictures:
        sheet.paste(picture, (0, top))
        top += picture.height
    sheet.save(arguments.file, quality=60, method=6)
    print(f"{arguments.file}: {len(rows)} mails, {sheet.width} x {sheet.height}")


def picture_of_mail(page: Page, campaign_id: str, step: str, customer: str) -> Image.Image:
    """Return one row: the mail in every column, under its name."""
    template = compile_template(campaign_id, step=step)
    facts = gallery.customer(customer, gallery.example(campaign_id, step))
    pages = {locale: render(template, facts, locale, NOWHERE).html for locale in LOCALES}
    shots = [shot(page, pages[locale], width, scheme) for locale, width, scheme in COLUMNS]
    row = Image.new(
        "RGB",
        (sum(each.width + GAP for each in shots), TITLE + GAP + max(each.height for each in shots)),
        "white",
    )
    ImageDraw.Draw(row).text((4, 5), f"{campaign_id} {step}", fill="black")
    left = 0
    for each in shots:
        row.paste(each, (left, TITLE))
        left += each.width + GAP
    return row


def shot(page: Page, html: str, width: int, scheme: str) -> Image.Image:
    """Return a mail as it looks at a width, small."""
    page.set_viewport_size({"width": width, "height": 600})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_content(html.replace(str(NOWHERE.pixel), "data:,"), wait_until="domcontentloaded")
    height = min(page.evaluate("document.documentElement.scrollHeight"), TALLEST)
    page.set_viewport_size({"width": width, "height": height})
    picture = Image.open(BytesIO(page.screenshot(type="jpeg", quality=90)))
    return picture.resize((round(width * SCALE), round(height * SCALE)), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    main()
