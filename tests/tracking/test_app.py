import json
import sqlite3
import struct
from datetime import date, datetime

import pytest
from sqlalchemy import insert

from core.clock import replay_to, system_clock
from core.ledger_tables import links, open_ledger
from core.settings import Settings
from core.tokens import TokenKind
from tests.tracking.kit import (
    ONE_CLICK,
    TARGET,
    browsing,
    digest,
    logged,
    make_ledger,
    send_id_of,
    suppressed,
    tokens_of,
)
from tracking.app import create_app


def test_pixel_is_a_gif_of_one_pixel_that_nobody_keeps(client, paths):
    answer = client.get(paths["open"])
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/gif"
    assert answer.headers["cache-control"] == "no-store"
    # GIF89a, section 18: width and height are little-endian shorts at byte 6; section 27: the trailer is 0x3B.
    assert answer.content[:6] == b"GIF89a"
    assert struct.unpack_from("<HH", answer.content, 6) == (1, 1)
    assert answer.content[-1:] == b"\x3b"


def test_open_and_click_are_logged_with_nothing_about_who_asked(client, paths, settings):
    before = system_clock()
    client.get(paths["open"])
    client.get(paths["click"])
    after = system_clock()
    opened, clicked = logged(settings)
    assert (opened["kind"], opened["link_id"]) == ("open", None)
    assert (clicked["kind"], clicked["link_id"]) == ("click", paths_link(settings, paths["click"]))
    for event in (opened, clicked):
        assert set(event) == {"event_id", "kind", "send_id", "link_id", "is_machine", "happened_at"}
        assert event["send_id"] == send_id_of(0)
        assert event["is_machine"] is False
        assert before <= datetime.fromisoformat(str(event["happened_at"])) <= after
    assert len({opened["event_id"], clicked["event_id"]}) == 2
    raw = "".join(file.read_text() for file in settings.tracking_log.iterdir())
    assert "Firefox" not in raw
    assert "127.0.0.1" not in raw


def paths_link(settings: Settings, path: str) -> str:
    signed = tokens_of(settings).read(TokenKind.CLICK, path.removeprefix("/c/"))
    assert signed is not None
    return signed[1]


def test_pixel_is_answered_for_a_token_that_is_not_ours_and_nothing_is_logged(client, settings):
    for path in ("/o/forged.gif", "/o/.gif.gif", "/o/%00%ff.gif", f"/o/{'x' * 4000}.gif"):
        assert client.get(path).headers["content-type"] == "image/gif", path
    assert logged(settings) == []


def test_pixel_is_answered_when_the_log_cannot_be_written(client, paths, settings):
    settings.tracking_log.write_text("a file where the folder should be")
    assert client.get(paths["open"]).headers["content-type"] == "image/gif"
    health = client.get("/health")
    assert health.status_code == 503
    assert str(settings.data_dir) not in health.text


def test_click_leads_to_the_stored_target_and_to_nothing_the_request_says(client, paths):
    for path in (paths["click"], paths["click"] + "?url=https://evil.example&next=//evil.example"):
        answer = client.get(path, headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"})
        assert (answer.status_code, answer.headers["location"]) == (302, TARGET)


def test_click_on_a_link_that_the_ledger_does_not_know_is_a_page_with_one_sentence(client, settings):
    unknown = tokens_of(settings).sign(TokenKind.CLICK, send_id_of(0), "0" * 16)
    for path in (f"/c/{unknown}", "/c/forged", "/c/"):
        answer = client.get(path)
        assert answer.status_code == 404, path
        assert "location" not in answer.headers
        assert "This link is incomplete or not one of ours." in answer.text
    assert logged(settings) == []


def test_target_that_is_no_web_address_is_never_followed(client, settings):
    engine = open_ledger(settings.ledger)
    with engine.begin() as ledger:
        ledger.execute(insert(links), {"link_id": "1" * 16, "target": "javascript:alert(1)"})
    engine.dispose()
    token = tokens_of(settings).sign(TokenKind.CLICK, send_id_of(0), "1" * 16)
    assert client.get(f"/c/{token}").status_code == 404


def test_head_is_answered_like_get_and_logs_nothing(client, paths, settings):
    for path, status in (
        (paths["open"], 200),
        (paths["click"], 302),
        (paths["unsubscribe"], 200),
        ("/health", 200),
    ):
        answer = client.head(path)
        assert (answer.status_code, answer.content) == (status, b""), path
    assert logged(settings) == []


def test_token_of_one_kind_does_not_work_as_another(client, settings):
    tokens = tokens_of(settings)
    for kind in TokenKind:
        token = tokens.sign(kind, send_id_of(0), "0" * 16)
        client.get(f"/o/{token}.gif")
        assert client.get(f"/c/{token}").status_code == 404, kind
        expected = 200 if kind is TokenKind.UNSUBSCRIBE else 404
        assert client.get(f"/u/{token}").status_code == expected, kind
        if kind is not TokenKind.UNSUBSCRIBE:
            assert client.post(f"/u/{token}", data=ONE_CLICK).status_code == 404, kind
    assert [event["kind"] for event in logged(settings)] == ["open"]
    assert suppressed(settings) == []


@pytest.mark.parametrize(
    ("wish", "language", "button"),
    [
        ("", "en", "Unsubscribe"),
        ("pt,it;q=0.5", "en", "Unsubscribe"),
        ("fr-CH,es;q=0.5", "fr", "Se désabonner"),
        ("es-MX", "es", "Darse de baja"),
        ("ja", "ja", "配信を停止する"),
        ("ar-EG", "ar", "إلغاء الاشتراك"),
        ("de-AT,en;q=0.8", "de", "Abmelden"),
        ("en;q=0.3, zh-CN;q=0.9", "zh-Hans", "退订"),
        ("de;q=0, en", "en", "Unsubscribe"),
        (";;q=,,de;q=x,\xff", "en", "Unsubscribe"),
    ],
)
def test_unsubscribe_page_speaks_the_language_the_reader_likes_best(client, paths, wish, language, button):
    answer = client.get(paths["unsubscribe"], headers={"Accept-Language": wish.encode("latin-1")})
    assert f'<html lang="{language}" dir="{"rtl" if language == "ar" else "ltr"}">' in answer.text
    assert f"<button>{button}</button>" in answer.text
    assert "Juniper Market" in answer.text or language == "zh"


def test_GET_changes_nothing_in_the_ledger(client, paths, settings):
    file = settings.data_dir / "ledger.sqlite"
    before = digest(file)
    for path in (*paths.values(), "/health", paths["unsubscribe"] + "?List-Unsubscribe=One-Click"):
        assert client.get(path).status_code in (200, 302)
    assert digest(file) == before
    assert [event["kind"] for event in logged(settings)] == ["open", "click"]


@pytest.mark.parametrize("encoding", ["urlencoded", "multipart"])
def test_one_click_body_unsubscribes_in_both_encodings(client, paths, settings, encoding):
    if encoding == "urlencoded":
        answer = client.post(paths["unsubscribe"], data=ONE_CLICK)
    else:  # RFC 8058, section 8.1: the body some providers send
        body = b'--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--x--\r\n'
        kind = {"Content-Type": "multipart/form-data; boundary=x"}
        answer = client.post(paths["unsubscribe"], content=body, headers=kind)
    assert answer.status_code == 200
    assert suppressed(settings) == [("c0", "unsubscribed", send_id_of(0))]
    assert [(event["kind"], event["is_machine"]) for event in logged(settings)] == [("unsubscribe", False)]


def test_button_of_the_page_sends_the_body_that_unsubscribes(client, paths, settings):
    page = client.get(paths["unsubscribe"]).text
    name, value = page.split('name="')[-1].split('"')[0], page.split('value="')[1].split('"')[0]
    assert '<form method="post">' in page
    assert client.post(paths["unsubscribe"], data={name: value}).status_code == 200
    assert len(suppressed(settings)) == 1


def test_unsubscribing_twice_keeps_the_first_suppression(client, paths, settings):
    client.post(paths["unsubscribe"], data=ONE_CLICK)
    before = digest(settings.data_dir / "ledger.sqlite")
    assert client.post(paths["unsubscribe"], data=ONE_CLICK).status_code == 200
    assert digest(settings.data_dir / "ledger.sqlite") == before


def test_post_without_the_one_click_body_does_nothing(client, paths, settings):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    upload = {"List-Unsubscribe": ("a.txt", b"One-Click")}
    answers = [
        client.post(paths["unsubscribe"]),
        client.post(paths["unsubscribe"], content=b"List-Unsubscribe=One-Click"),  # no content type
        client.post(paths["unsubscribe"], data={"List-Unsubscribe": "Later"}),
        client.post(paths["unsubscribe"], json=ONE_CLICK),
        client.post(paths["unsubscribe"], files=upload),
        client.post(paths["unsubscribe"], content=b"%ff%00=;;&&&" * 9, headers=form),
        client.post(
            paths["unsubscribe"], content=b"--y", headers={"Content-Type": "multipart/form-data; boundary=x"}
        ),
        client.post(paths["unsubscribe"] + "?List-Unsubscribe=One-Click"),
    ]
    assert [answer.status_code for answer in answers] == [400] * len(answers)
    assert suppressed(settings) == []
    assert logged(settings) == []


def test_body_beyond_the_limit_is_refused_whether_its_length_is_told_or_not(client, paths, settings):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    big = b"List-Unsubscribe=One-Click&x=" + b"y" * 5000
    told = client.post(paths["unsubscribe"], content=big, headers=form)
    untold = client.post(paths["unsubscribe"], content=iter([big[:3000], big[3000:]]), headers=form)
    assert (told.status_code, untold.status_code) == (413, 413)
    assert suppressed(settings) == []


def test_unsubscribe_of_a_send_that_the_ledger_does_not_know_is_not_called_done(client, settings):
    token = tokens_of(settings).sign(TokenKind.UNSUBSCRIBE, "f" * 32)
    assert client.post(f"/u/{token}", data=ONE_CLICK).status_code == 404
    assert suppressed(settings) == []


def test_busy_ledger_puts_the_reader_off_and_asking_again_works(client, paths, settings):
    other = sqlite3.connect(settings.data_dir / "ledger.sqlite", isolation_level=None)
    other.execute("begin exclusive")
    answer = client.post(paths["unsubscribe"], data=ONE_CLICK)
    click = client.get(paths["click"])
    pixel = client.get(paths["open"])
    other.execute("rollback")
    other.close()
    assert (answer.status_code, click.status_code, pixel.status_code) == (503, 503, 200)
    assert int(answer.headers["retry-after"]) > 0
    assert "unsubscribed" not in answer.text
    assert suppressed(settings) == []
    assert client.post(paths["unsubscribe"], data=ONE_CLICK).status_code == 200
    assert len(suppressed(settings)) == 1


def test_missing_ledger_is_a_503_and_no_ledger_is_made(settings, paths):
    with browsing(create_app(settings)) as client:
        assert client.post(paths["unsubscribe"], data=ONE_CLICK).status_code == 503
        assert client.get(paths["click"]).status_code == 503
        assert client.get("/health").json()["status"] == "failing"
        assert not (settings.data_dir / "ledger.sqlite").exists()
        make_ledger(settings)
        assert client.post(paths["unsubscribe"], data=ONE_CLICK).status_code == 200
        assert client.get("/health").json() == {"status": "ok"}


def test_unsubscribe_stands_when_its_event_cannot_be_written(client, paths, settings):
    settings.tracking_log.write_text("a file where the folder should be")
    assert client.post(paths["unsubscribe"], data=ONE_CLICK).status_code == 200
    assert len(suppressed(settings)) == 1


def test_every_answer_carries_the_headers_and_none_a_cookie(client, paths):
    answers = [
        *(
            client.get(path)
            for path in (*paths.values(), "/c/forged", "/u/forged", "/health", "/nowhere", "/")
        ),
        client.post(paths["unsubscribe"], data=ONE_CLICK),
        client.post(paths["unsubscribe"]),
        client.post(paths["unsubscribe"], content=b"x" * 5000),
        client.post(paths["open"]),
        client.delete(paths["unsubscribe"]),
    ]
    assert {answer.status_code for answer in answers} == {200, 302, 400, 404, 405, 413}
    for answer in answers:
        assert answer.headers["cache-control"] == "no-store", answer.url
        assert answer.headers["referrer-policy"] == "no-referrer", answer.url
        assert answer.headers["x-content-type-options"] == "nosniff", answer.url
        assert "default-src 'none'" in answer.headers["content-security-policy"], answer.url
        assert "set-cookie" not in answer.headers, answer.url


def test_no_path_redirects_to_the_host_a_request_names(client, paths):
    for path in (*paths.values(), "/health", "/docs", "/openapi.json", "//evil.example", "/c//evil.example"):
        answer = client.get(f"{str(client.base_url).rstrip('/')}{path}/", headers={"Host": "evil.example"})
        assert answer.status_code == 404, path
        assert "location" not in answer.headers


def test_a_fault_of_ours_is_answered_without_its_details(settings, paths, monkeypatch):
    make_ledger(settings)

    def broken(*_: object) -> bool:
        raise RuntimeError("reader.0 is in the words of an error")

    monkeypatch.setattr("tracking.ledger.FeedbackLedger.suppress", broken)
    with browsing(create_app(settings)) as client:
        answer = client.post(paths["unsubscribe"], data=ONE_CLICK)
    assert answer.status_code == 500
    assert "reader.0" not in answer.text
    assert answer.headers["cache-control"] == "no-store"


def test_replayed_day_is_the_day_of_its_events(tmp_path):
    settings = Settings(_env_file=None, data_dir=tmp_path, token_key="k" * 40, replay=True)
    make_ledger(settings)
    replay_to(settings, date(2017, 12, 4))
    with browsing(create_app(settings)) as client:
        client.get(f"/o/{tokens_of(settings).sign(TokenKind.OPEN, send_id_of(0))}.gif")
    (file,) = settings.tracking_log.iterdir()
    assert file.stem.endswith("-2017120423")
    assert json.loads(file.read_text())["happened_at"].startswith("2017-12-04T23:0")


def test_a_star_is_an_answer_only_once_its_button_is_pressed(client, paths, settings):
    asked = client.get(paths["survey"], headers={"Accept-Language": "de"})
    assert asked.status_code == 200
    assert "★★★★☆" in asked.text
    assert "<button>Absenden</button>" in asked.text
    assert logged(settings) == []
    answered = client.post(paths["survey"])
    assert (answered.status_code, "Thank you" in answered.text, "★★★★☆" in answered.text) == (200, True, True)
    assert [(event["kind"], event["send_id"], event["link_id"]) for event in logged(settings)] == [
        ("survey", send_id_of(0), "4")
    ]


def test_nobody_is_thanked_for_an_answer_that_is_not_on_the_disk(client, paths, settings):
    settings.tracking_log.write_text("a file where the folder should be")
    assert client.post(paths["survey"]).status_code == 503
