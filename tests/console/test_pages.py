import re
from collections.abc import Callable

import httpx
import pytest

from core.logging import ADDRESS
from core.settings import Settings
from tests.console.conftest import Console, files_of
from tests.console.made_up import DAY, DAY_BEFORE, HELD_OUT, NASTY, REFUSED, SUBJECTS, WHY, send_id
from tests.console.shop import open_shop

PAGES = (
    "/",
    f"/?day={DAY_BEFORE}&campaign=winback",
    "/?customer=1001",
    f"/?mail={WHY}&view=text",
    f"/?mail={WHY}&view=headers",
    f"/mail/{WHY}",
    f"/mail/{HELD_OUT}",
    f"/mail/{REFUSED}",
    f"/mail/{WHY}/preview",
    f"/report/{DAY}",
    "/sends",
    "/gallery?mail=restock",
    "/nowhere",
)


def listed(console: Console, path: str) -> list[str]:
    return re.findall(r'class="customer">([^<]*)<', console.get(path).text)


def test_the_inbox_opens_on_the_newest_sent_day(console):
    words = console.words("/")
    assert "4 December 2017" in words
    assert set(listed(console, "/")) == {"1001", "1002", "1003", "1004", *map(str, range(2001, 2006))}
    for shown in (SUBJECTS["zh"], "Back in stock and waiting for you", "Picked for you", "de", "sent"):
        assert shown in words


def test_day_campaign_and_customer_narrow_the_list(console):
    assert set(listed(console, f"/?day={DAY_BEFORE}")) == {"1002", "1003", "1004"}
    assert listed(console, f"/?day={DAY}&campaign=winback") == ["1002"]
    assert listed(console, "/?customer=1004") == ["1004", "1004"]
    assert "No mail here for customer 9999" in console.words("/?customer=9999")


def test_the_inbox_says_whether_it_holds_exactly_what_the_ledger_calls_sent(settings, serve):
    open_shop(settings)
    running = serve(settings)
    assert "✓ 9 sent, 9 here" in running.words("/")
    lost = next(file for file in (settings.inbox / "new").iterdir() if WHY.encode() in file.read_bytes())
    (settings.inbox / "new" / "twice").write_bytes(lost.read_bytes())
    assert "✗ 9 sent, 10 here" in running.words("/")
    lost.unlink()
    (settings.inbox / "new" / "twice").unlink()
    assert "✗ 9 sent, 8 here" in running.words("/")


def test_no_page_shows_an_address(console):
    for path in PAGES:
        shown = console.get(path).text.replace(f"{WHY}@juniper.example", "the message id")
        assert not ADDRESS.search(shown), path


def test_no_page_shows_a_token_that_could_unsubscribe_a_customer(console):
    assert not [path for path in PAGES if "/u/" in console.get(path).text.replace("/u/[token]", "")]


def test_customers_data_is_escaped(console):
    page = console.get(f"/mail/{WHY}").text
    assert NASTY not in page
    assert "Tea &lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" in page


def test_every_page_of_ours_forbids_what_it_does_not_need(console):
    for path in PAGES:
        policy = console.get(path).headers["content-security-policy"]
        assert policy.startswith("default-src 'none'"), path
        assert "http:" not in policy
        assert ("'unsafe-inline'" in policy) == path.endswith("/preview")


def test_the_preview_is_sandboxed_by_its_own_policy(console):
    policy = console.get(f"/mail/{WHY}/preview").headers["content-security-policy"].split("; ")
    assert "sandbox" in policy
    assert {part for part in policy if part.startswith(("script", "connect", "img"))} == {"img-src data:"}


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        (f"/mail/{'0' * 32}", f"No plan, no ledger and no inbox knows the send {'0' * 32}."),
        ("/mail/..%2f..%2fledger.sqlite", "There is no page at"),
        ("/mail/ledger.sqlite", "is not a send"),
        (f"/mail/{'0' * 32}/preview", "The inbox has no mail of send"),
        (f"/?mail={'0' * 32}", "The inbox has no mail of send"),
        ("/?mail=../../ledger.sqlite", "The inbox has no mail of send"),
        ("/?day=2017-01-01", "it has 2017-12-03 to 2017-12-04"),
        ("/?day=today", "The inbox has no mail of the day “today”"),
        ("/report/2017-01-01", "There is no report of “2017-01-01”; there are 2017-12-04 to 2017-12-04."),
        ("/report/..%2f..", "There is no page at"),
        ("/static/..%2fapp.py", "There is no page at"),
        ("/data-docs/..%2fledger.sqlite", "There is no page at"),
        ("/nowhere", "There is no page at /nowhere."),
    ],
)
def test_what_is_not_there_gets_one_sentence_and_a_way_out(console, path, sentence):
    answer = httpx.get(httpx.URL(console.url + "/", raw_path=path.encode()), trust_env=False)
    assert answer.status_code == 404
    assert sentence in answer.text
    assert 'href="/">To the inbox</a>' in answer.text


def test_an_address_that_cannot_be_read_is_named(console):
    answer = console.get("/?page=many")
    assert (answer.status_code, "The part “page”" in answer.text) == (400, True)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nothing_but_GET_is_answered(console, method):
    for path in ("/", f"/mail/{WHY}", "/report", "/sends", "/health", "/static/console.css"):
        assert httpx.request(method, console.url + path, trust_env=False).status_code == 405


def test_a_page_asked_for_under_a_foreign_name_is_refused(console):
    assert console.get("/", headers={"Host": "rebound.example"}).status_code == 400


def test_looking_at_every_page_changes_no_file(settings: Settings, serve: Callable[[Settings], Console]):
    open_shop(settings)
    before = files_of(settings.data_dir)
    running = serve(settings)
    assert {running.get(path).status_code for path in PAGES} == {200, 404}
    assert files_of(settings.data_dir) == before


def test_with_no_data_at_all_each_page_says_what_to_run_and_makes_no_file(settings, serve):
    running = serve(settings)
    assert "No mail yet Run make demo" in running.words("/")
    assert "No report yet Run make demo" in running.words("/report")
    assert "No sends yet Run make demo" in running.words("/sends")
    assert running.get(f"/mail/{WHY}").status_code == 404
    assert running.get("/health").json() == {"status": "ok", "ledger": False}
    assert files_of(settings.data_dir) == {}


def test_a_ledger_that_cannot_be_read_is_said_so(settings, serve):
    open_shop(settings)
    (settings.data_dir / "ledger.sqlite").write_bytes(b"not a database, for sure" * 100)
    answer = serve(settings).get("/sends")
    assert (answer.status_code, "The ledger does not answer" in answer.text) == (503, True)


def test_data_docs_are_served_with_a_policy_of_their_own_once_there_are_some(settings, serve):
    running = serve(settings)
    assert "Data&nbsp;Docs" not in running.get("/").text
    settings.data_docs.mkdir()
    (settings.data_docs / "index.html").write_text("<style>p{color:red}</style><p>gates</p>")
    answer = running.get("/data-docs/")
    assert "gates" in answer.text
    assert "'unsafe-inline'" in answer.headers["content-security-policy"]
    assert "Data&nbsp;Docs" in running.get("/").text


def test_health_says_whether_there_is_a_ledger(console):
    assert console.get("/health").json() == {"status": "ok", "ledger": True}


def test_a_list_longer_than_a_page_is_cut_and_every_mail_is_on_some_page(console, monkeypatch):
    monkeypatch.setattr("console.pages.inbox.PAGE_LENGTH", 4)
    pages = [listed(console, f"/?page={number}") for number in (1, 2, 3, 4)]
    assert [len(page) for page in pages] == [4, 4, 1, 0]
    assert len({customer for page in pages for customer in page}) == 9


def test_a_mail_the_ledger_does_not_know_is_shown_as_such(settings, serve):
    open_shop(settings)
    stray = (settings.inbox / "new" / "1512428401.other").with_name("stray")
    stray.write_bytes(
        f"Subject: stray\r\nDate: Mon, 04 Dec 2017 12:00:00 +0000\r\nX-Lapwing-Send: {'a' * 32}\r\n\r\nhello".encode()
    )
    words = serve(settings).words("/")
    assert "not in the ledger unknown" in words
    assert "✗ 9 sent, 10 here" in words


def test_the_campaigns_mail_of_a_day_can_be_reached_from_the_sends(console):
    page = console.get("/sends").text
    assert f'href="/?day={DAY}&amp;campaign=picked_for_you"' in page
    assert send_id("restock", "1005") in page
    assert "550 no such user [address]" in page
