import json
import re
from html.parser import HTMLParser

import pytest

from campaigns.definitions import TEMPLATES
from campaigns.render import LinkAddresses, render
from campaigns.templates import compile_template
from console.preview import preheader_of, safe_html
from core.settings import Settings
from core.tokens import Tokens
from tests.console.made_up import DAY, TARGET, WHY
from tests.console.mails import mail_bytes

LOADS = {
    "src",
    "href",
    "srcset",
    "background",
    "action",
    "formaction",
    "poster",
    "data",
    "ping",
    "xlink:href",
}


class Loaded(HTMLParser):
    """Collects, from what a browser would be given, every address it could load or follow."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += (
            [f"<{tag}>"]
            if tag in {"script", "iframe", "object", "embed", "form", "link", "meta", "base"}
            else []
        )
        self.found += [
            f"{tag} {name}={value}"
            for name, value in attrs
            if name.startswith("on")
            or (name in LOADS and not (value or "").startswith("data:image/"))
            or (name == "style" and "url(" in (value or "").replace("url(data:", ""))
        ]


def test_nothing_in_a_previewed_mail_can_be_loaded_run_or_followed(console):
    mail = mail_bytes(console.settings, "picked_for_you", "1001", "en", DAY).decode()
    assert all(word in mail for word in ("<script", "<form", "<link", "@import", "onclick", ".gif"))
    shown = console.get(f"/mail/{WHY}/preview").text
    assert Loaded(shown).found == []
    assert "127.0.0.1:8180" not in shown
    assert "fonts.example" not in shown
    assert "pictures.example" not in shown
    assert "Bananas, 40 LB, $0.99" in shown


def test_a_previewed_link_tells_where_a_click_would_lead(console):
    assert f'title="Leads to {TARGET}"' in console.get(f"/mail/{WHY}/preview").text


@pytest.mark.parametrize(
    "html",
    [
        '<a href="http://x.example"><b>a',
        "<img src=http://x.example/p.gif onerror=alert(1)>",
        '<img srcset="http://x.example/p.gif 2x" src="//x.example/p.gif">',
        '<table background="http://x.example/b.png"><td style="background:URL( http://x.example/i.png )">',
        "<style>@IMPORT 'http://x.example/a.css'; p{background:url(\"http://x.example/b.png\")}</style>",
        '<svg><a xlink:href="http://x.example">a</a><image href="http://x.example/i.png"/></svg>',
        '<meta http-equiv=refresh content="0;url=http://x.example"><base href="http://x.example">',
        '<video poster="http://x.example/i.png"><source src="http://x.example/v.mp4"></video>',
        '<iframe srcdoc="<img src=http://x.example>"></iframe><object data="http://x.example"></object>',
        "<!--[if mso]><img src='http://x.example/p.gif'><![endif]-->",
        "<scr<script>ipt>fetch('http://x.example')</scr</script>ipt>",
        '<p title="\'><img src=http://x.example>">a</p>',
    ],
)
def test_hostile_or_careless_html_cannot_reach_out(html):
    shown = safe_html(html, leads_to=lambda address: "elsewhere")
    assert Loaded(shown).found == []


def test_the_preheader_is_the_first_hidden_text_without_its_padding():
    html = "<head><style>.a{display:none}</style></head><body><div style='DISPLAY: none'>Hello &amp; <b>you</b>\u200c\u00a0\u200c</div>x"
    assert preheader_of(html) == "Hello & you"
    assert preheader_of("<body><p>no hidden text</p>") == ""


@pytest.mark.parametrize("campaign", ["price_drop", "picked_for_you", "restock"])
def test_the_mails_we_send_keep_their_look_and_lose_every_address(settings: Settings, campaign: str):
    facts = json.loads((TEMPLATES / campaign / "example.json").read_text())
    addresses = LinkAddresses.of(WHY, settings.tracking_url, Tokens(settings.token_key))
    mail = render(compile_template(campaign), facts, "en", addresses)
    assert settings.tracking_url in mail.html
    shown = safe_html(mail.html, leads_to=lambda address: "elsewhere")
    assert Loaded(shown).found == []
    assert settings.tracking_url not in shown
    assert preheader_of(mail.html) == mail.preheader
    for_browsers = re.sub(r"<!--.*?-->", "", mail.html, flags=re.DOTALL)  # the rest is for old Outlook only
    assert shown.count("<td") == for_browsers.count("<td") > 10
