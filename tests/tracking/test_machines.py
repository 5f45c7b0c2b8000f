"""User agents as their owners document them or as they are seen in the wild."""

import pytest

from tracking.machines import is_machine

PEOPLE = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.4.0",
    "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; WOW64; Trident/8.0; Microsoft Outlook 16.0.17928; ms-office)",
    "Mozilla/5.0 (Linux; Android 9; CUBOT X19) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/96.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Lapwing simulated reader)",
]
MACHINES = [
    "",
    "Mozilla/5.0",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "BarracudaCentral/1.0",
    "curl/8.5.0",
    "python-httpx/0.28.1",
    "Go-http-client/2.0",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/131.0.0.0 Safari/537.36",
]
PROXIES = [
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
    "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
]


@pytest.mark.parametrize("of_link", [True, False])
@pytest.mark.parametrize("agent", PEOPLE)
def test_mail_programs_and_browsers_are_people(agent, of_link):
    assert not is_machine({"user-agent": agent}, of_link=of_link)


@pytest.mark.parametrize("of_link", [True, False])
@pytest.mark.parametrize("agent", MACHINES)
def test_crawlers_scanners_libraries_and_the_nameless_are_machines(agent, of_link):
    assert is_machine({"user-agent": agent}, of_link=of_link)


@pytest.mark.parametrize("agent", PROXIES)
def test_image_proxies_load_a_pixel_for_a_person_but_follow_no_link_for_one(agent):
    assert not is_machine({"user-agent": agent}, of_link=False)
    assert is_machine({"user-agent": agent}, of_link=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("purpose", "prefetch"),
        ("sec-purpose", "prefetch;prerender"),
        ("x-purpose", "preview"),
        ("x-moz", "prefetch"),
    ],
)
def test_a_browser_that_looks_ahead_is_a_machine(name, value):
    assert is_machine({"user-agent": PEOPLE[0], name: value}, of_link=True)


def test_no_header_at_all_is_a_machine():
    assert is_machine({}, of_link=False)
