"""What a reader chooses at the link of a mail: over HTTP, in the ledger, and with the next mail."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, select

from core.clock import system_clock
from core.ledger_tables import consents, open_ledger, preferences
from core.tokens import TokenKind
from tests.tracking.kit import (
    ONE_CLICK,
    browsing,
    digest,
    logged,
    make_ledger,
    send_id_of,
    suppressed,
    tokens_of,
)
from tracking.app import create_app
from tracking.pages import LANGUAGES
from tracking.preferences import Preferences
from tracking.preferences_page import preferences_page

EVERY_KIND = ("reminders", "alerts", "orders", "suggestions", "offers", "greetings")
AS_IT_WAS = {"save": "preferences", "pace": "usual", "locale": "", **dict.fromkeys(EVERY_KIND, "on")}


@pytest.fixture
def path(paths):
    """The address beside that of unsubscribing, with the same token."""
    return paths["unsubscribe"].replace("/u/", "/p/")


def rows(settings, table):
    engine = open_ledger(settings.ledger, read_only=True)
    with engine.begin() as ledger:
        found = ledger.execute(select(table)).all()
    engine.dispose()
    return found


def without(*names):
    return {name: value for name, value in AS_IT_WAS.items() if name not in names}


def chosen(page):
    """Return which boxes and radio buttons of a page are on, and the language of its list: what a browser would send."""
    on = re.findall(r'<input type="(?:checkbox|radio)" name="(\w+)" value="(\w+)" checked>', page)
    (locale,) = re.findall(r'<option value="(\w*)" selected>', page)
    return {**dict(on), "locale": locale}


def test_the_page_shows_what_holds_and_sending_it_unchanged_changes_nothing(client, path, settings):
    page = client.get(path)
    assert page.status_code == 200
    assert chosen(page.text) == {name: value for name, value in AS_IT_WAS.items() if name != "save"}
    before = digest(settings.data_dir / "ledger.sqlite")
    assert client.post(path, data=AS_IT_WAS).status_code == 200
    assert rows(settings, consents) == rows(settings, preferences) == []
    assert digest(settings.data_dir / "ledger.sqlite") == before
    assert logged(settings) == []


def test_what_is_switched_is_a_consent_whose_proof_is_the_send(client, path, settings):
    before = system_clock()
    page = client.post(path, data=without("offers", "reminders"))
    after = system_clock()
    assert {name for name, value in chosen(page.text).items() if value == "on"} == set(EVERY_KIND) - {
        "offers",
        "reminders",
    }
    found = rows(settings, consents)
    assert {(row.customer_id, row.purpose, row.is_given, row.proof) for row in found} == {
        ("c0", kind, False, f"preferences {send_id_of(0)}") for kind in ("offers", "reminders")
    }
    assert all(before <= row.decided_at == row.known_at <= after for row in found)
    client.post(path, data=without("reminders"))
    newest = max(rows(settings, consents), key=lambda row: row.decided_at)
    assert (newest.purpose, newest.is_given) == ("offers", True)
    assert "offers" in chosen(client.get(path).text)


def test_less_often_a_pause_and_a_language_hold_from_now_on(client, path, settings):
    before = system_clock()
    wish = AS_IT_WAS | {"pace": "rarely", "pause": "on", "locale": "ar"}
    page = client.post(path, data=wish).text
    (row,) = rows(settings, preferences)
    assert (row.customer_id, row.send_id) == ("c0", send_id_of(0))
    assert (row.mails_per_week, row.locale) == (1, "ar")
    assert before + timedelta(days=30) <= row.paused_until <= system_clock() + timedelta(days=30)
    assert row.no_mail_before == row.paused_until
    assert '<html lang="ar" dir="rtl">' in page
    assert chosen(page) == {name: value for name, value in wish.items() if name != "save"}
    client.post(path, data=wish)
    assert rows(settings, preferences) == [row]  # a pause that is saved again ends when it would have
    client.post(path, data=AS_IT_WAS)
    last = rows(settings, preferences)[-1]
    assert (last.mails_per_week, last.paused_until, last.no_mail_before, last.locale) == (None,) * 4


def test_one_mail_a_week_counts_from_the_last_mail(client, path, settings):
    client.post(path, data=AS_IT_WAS | {"pace": "rarely"})
    (row,) = rows(settings, preferences)
    assert row.paused_until is None
    assert row.no_mail_before == datetime(
        2017, 12, 11, 23, tzinfo=UTC
    )  # the kit's send is of 4 December, 23:00


def test_who_is_about_to_leave_is_offered_to_choose_instead(client, paths, path):
    page = client.get(paths["unsubscribe"])
    (link,) = re.findall('href="([^"]+)"', page.text)
    assert page.url.join(link).path == path
    assert client.get(page.url.join(link)).status_code == 200


def test_a_form_that_is_not_ours_changes_nothing(client, path, settings):
    strange = [
        {},
        ONE_CLICK,
        without("save"),
        without("pace"),
        without("locale"),
        AS_IT_WAS | {"pace": "never"},
        AS_IT_WAS | {"locale": "xx"},
    ]
    assert [client.post(path, data=form).status_code for form in strange] == [400] * len(strange)
    assert client.post(path, data=AS_IT_WAS | {"x": "y" * 5000}).status_code == 413
    assert rows(settings, consents) == rows(settings, preferences) == suppressed(settings) == []


def test_looking_changes_nothing_and_nobody_learns_whose_page_it_is(client, path, settings):
    before = digest(settings.data_dir / "ledger.sqlite")
    for query in ("", "?save=preferences&pace=rarely&locale=de"):
        page = client.get(path + query)
        assert page.status_code == client.head(path + query).status_code == 200
        for secret in ("reader", "example", "c0<", send_id_of(0)):
            assert secret not in page.text
        assert "r•••@•••.com" in page.text
        assert page.headers["cache-control"] == "no-store"
        assert "set-cookie" not in page.headers
    assert digest(settings.data_dir / "ledger.sqlite") == before
    assert logged(settings) == []


def test_only_the_token_of_the_unsubscribe_link_opens_the_page(client, settings):
    tokens = tokens_of(settings)
    for kind in TokenKind:
        expected = 200 if kind is TokenKind.UNSUBSCRIBE else 404
        token = tokens.sign(kind, send_id_of(0))
        assert client.get(f"/p/{token}").status_code == expected, kind
        assert client.post(f"/p/{token}", data=AS_IT_WAS).status_code == expected, kind
    unknown = tokens.sign(TokenKind.UNSUBSCRIBE, "f" * 32)
    assert client.get(f"/p/{unknown}").status_code == 404
    assert client.post(f"/p/{unknown}", data=without("offers")).status_code == 404


def test_the_second_button_stops_all_mail_and_after_it_there_is_nothing_left_to_choose(
    client, path, settings
):
    page = client.get(path)
    action = page.text.split('action="')[1].split('"')[0]
    stop = page.url.join(action)
    assert client.post(stop, data=ONE_CLICK).status_code == 200
    assert suppressed(settings) == [("c0", "unsubscribed", send_id_of(0))]
    after = client.post(path, data=without("offers"))
    assert "<form" not in after.text
    assert "sends you no more e-mail" in after.text
    assert rows(settings, consents) == []


def test_whose_consent_the_shop_has_seen_withdrawn_is_told_so(client, path, settings):
    engine = open_ledger(settings.ledger)
    with engine.begin() as ledger:
        moments = {"decided_at": system_clock(), "known_at": system_clock()}
        row = {"customer_id": "c0", "purpose": "marketing", "is_given": False, **moments}
        ledger.execute(insert(consents), row)
    engine.dispose()
    assert "sends you no more e-mail" in client.get(path).text


def test_a_ledger_that_is_not_there_puts_the_reader_off(settings, path):
    with browsing(create_app(settings, ledger_patience_seconds=0.3)) as client:
        assert client.get(path).status_code == 503
        assert client.post(path, data=AS_IT_WAS).status_code == 503
        make_ledger(settings)
        assert client.post(path, data=without("offers")).status_code == 200
    assert len(rows(settings, consents)) == 1


def test_each_language_has_every_word_of_its_own(client, path):
    seen = {}
    for language, tag in LANGUAGES.items():
        page = client.get(path, headers={"Accept-Language": language}).text
        assert f'<html lang="{tag}" dir="{"rtl" if language == "ar" else "ltr"}">' in page
        seen[language] = re.findall(
            r"<span>([^<]+)</span>|<h1>([^<]+)|<legend>(.*?)</legend>|<button>([^<]+)", page
        )
        assert len(seen[language]) == 1 + 2 + 6 + 3 + 2  # heading, legends, kinds, paces, buttons
    assert len(seen) == 7
    words = [word for language in seen for word in set(seen[language])]
    assert len(words) == len(set(words)), "two languages share a sentence: one was not translated"


@pytest.mark.parametrize(("language", "day"), [("fr", "1er décembre 2026"), ("zh", "2026年12月1日")])
def test_a_pause_ends_on_a_day_as_the_reader_writes_it(language, day):
    held = Preferences("a…@example.com", False, frozenset(), False, datetime(2026, 12, 1, tzinfo=UTC), None)
    page = preferences_page(held, language, shop="Juniper", token="t", is_saved=False)
    assert day in bytes(page.body).decode()
