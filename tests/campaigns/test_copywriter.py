"""Copy from a language model, against a server on this machine that speaks as OpenAI's reference says."""

import json
import re
import threading
import time
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pytest

from campaigns.copywriter import ASK, MOST_ASKED, MOST_FAILURES, Copywriter, Mail, Profile, written
from campaigns.definitions import load_campaigns
from campaigns.plan import COPY_CANDIDATES, build_plan
from core.errors import SettingsError
from core.published import Published
from core.settings import Settings, load_settings
from tests.campaigns import small_shop

DAY = date(2017, 12, 4)
MAIL = Mail("picked_for_you", 1, "Recommendations.", frozenset({"subject", "lead"}))
WORDS = {
    "subject": "Fresh ideas for your kitchen",
    "lead": "We picked these for you.",
    "headline": "Nobody asked for this",
}
KEY = "sk-for-tests-only"


class Asked(NamedTuple):
    path: str
    headers: dict[str, str]
    body: bytes


class FakeModel:
    """`answers` are given in turn, the last for ever: a body, a status, or "stall"."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.answers: list[Any] = [WORDS]
        self.stopped = threading.Event()
        model = self

        class Conversation(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                model.asked.append(Asked(self.path, dict(self.headers), body))
                answer = model.answers.pop(0) if len(model.answers) > 1 else model.answers[0]
                if answer == "stall":
                    model.stopped.wait(5)
                    return
                said = answer if isinstance(answer, bytes) else completion(answer)
                self.send_response(answer if isinstance(answer, int) else 200)
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Conversation)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"


def completion(words: object) -> bytes:
    """Return an answer as https://platform.openai.com/docs/api-reference/chat/object has it."""
    message = {"role": "assistant", "content": json.dumps(words)}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return json.dumps(
        {"id": "chatcmpl-1", "object": "chat.completion", "model": "m", "choices": [choice]}
    ).encode()


@pytest.fixture
def model() -> Iterator[FakeModel]:
    fake = FakeModel()
    yield fake
    fake.stopped.set()
    fake.server.shutdown()
    fake.server.server_close()


def settings_of(folder: Path, model: FakeModel, key: str = KEY) -> Settings:
    return Settings(
        _env_file=None, data_dir=folder, token_key="t" * 40, copy_key=key, copy_url=model.url, copy_model="m"
    )


@pytest.fixture
def shop(tmp_path: Path, model: FakeModel) -> Settings:
    """A shop of two categories and a product nobody may be shown."""
    settings = settings_of(tmp_path, model)
    rows = [
        ("Sourdough Bread", "Acme", "Pastry", 5, True),
        ("Oat Milk", "Zenith", "Dairy", 9, True),
        ("Cigars", "Zenith", "Tobacco", 99, False),
    ]
    names = ["name", "brand", "category", "sold_90d_count", "is_recommendable"]
    publish(
        settings, "products", DAY, pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows])
    )
    return settings


def publish(settings: Settings, table: str, day: date, rows: pa.Table) -> None:
    published = Published(settings.published)
    published.write_candidate(table, day, rows)
    published.release(table, day)


def test_a_request_and_its_answer_are_as_the_reference_says(model, tmp_path):
    found = Copywriter(settings_of(tmp_path, model)).ask(Profile("winback", 1, "de", "Dairy"), "Win back.")
    assert found == WORDS
    [asked] = model.asked
    assert asked.path == "/v1/chat/completions"
    assert asked.headers["Authorization"] == f"Bearer {KEY}"
    body = json.loads(asked.body)
    assert body["model"] == "m"
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    told = json.loads(body["messages"][1]["content"])
    assert (told.pop("purpose"), told.pop("language"), told.pop("products")) == ("Win back.", "de", "Dairy")
    assert set(told) == {"lengths"}


def test_only_the_slots_that_a_mail_leaves_to_a_model_are_asked_for(model, shop):
    written(shop, DAY, [MAIL], ["en"])
    system, wish = json.loads(model.asked[0].body)["messages"]
    assert "with the keys subject, lead;" in system["content"]
    assert list(json.loads(wish["content"])["lengths"]) == ["subject", "lead"]


@pytest.mark.parametrize(
    "answer",
    [500, 401, 429, b"<html>", b"{}", b'{"choices": []}', b'{"choices": [{"message": {"content": null}}]}', b"[]", ["a"], "hello"],
)  # fmt: skip
def test_an_answer_that_is_none_gives_no_copy(model, tmp_path, answer):
    model.answers = [answer]
    assert Copywriter(settings_of(tmp_path, model)).ask(Profile("winback", 1, "de", "Dairy"), "x") is None


def test_a_model_that_does_not_answer_in_time_gives_no_copy(model, tmp_path):
    model.answers = ["stall"]
    start = time.monotonic()
    writer = Copywriter(settings_of(tmp_path, model), wait_seconds=0.2)
    assert writer.ask(Profile("winback", 1, "de", "Dairy"), "x") is None
    assert time.monotonic() - start < 3


def test_without_a_key_nobody_is_asked(model, tmp_path, shop):
    assert written(settings_of(tmp_path, model, key=""), DAY, [MAIL], ["en"]) == []
    assert model.asked == []


def test_a_key_alone_says_what_else_is_needed():
    with pytest.raises(SettingsError, match="LAPWING_COPY_URL and LAPWING_COPY_MODEL must be too"):
        load_settings(token_key="t" * 40, copy_key=KEY)
    with pytest.raises(SettingsError, match="LAPWING_COPY_URL"):
        load_settings(token_key="t" * 40, copy_key=KEY, copy_url="http://model.example", copy_model="m")


def test_each_profile_is_asked_for_once_best_sold_category_first(model, shop):
    rows = written(shop, DAY, [MAIL], ["en", "de"])
    asked = [json.loads(json.loads(each.body)["messages"][1]["content"]) for each in model.asked]
    assert [(told["products"], told["language"]) for told in asked] == [
        ("Dairy", "de"), ("Dairy", "en"), ("Pastry", "de"), ("Pastry", "en"),
    ]  # fmt: skip
    assert {row["slot"] for row in rows} == {"subject", "lead"}, "other slots have no place for it"
    publish(shop, "copy_candidates", DAY, pa.Table.from_pylist(rows, COPY_CANDIDATES))
    later = date(2017, 12, 5)
    publish(shop, "products", later, Published(shop.published).read("products", DAY))
    assert written(shop, later, [MAIL], ["en", "de"]) == rows
    assert len(model.asked) == 4


def test_a_day_planned_again_asks_nothing_and_a_day_without_copy_loses_none(model, shop):
    rows = written(shop, DAY, [MAIL], ["en"])
    publish(shop, "copy_candidates", DAY, pa.Table.from_pylist(rows, COPY_CANDIDATES))
    assert written(shop, DAY, [MAIL], ["en", "de"]) == rows
    publish(shop, "copy_candidates", date(2017, 12, 5), pa.Table.from_pylist([], COPY_CANDIDATES))
    later = date(2017, 12, 6)
    publish(shop, "products", later, Published(shop.published).read("products", DAY))
    model.asked.clear()
    assert written(shop, later, [MAIL], ["en"]) == rows
    assert model.asked == []


def test_what_was_kept_is_judged_by_the_names_of_today_and_goes_with_its_slot(model, shop):
    rows = written(shop, DAY, [MAIL], ["en"])
    publish(shop, "copy_candidates", DAY, pa.Table.from_pylist(rows, COPY_CANDIDATES))
    later, products = date(2017, 12, 5), Published(shop.published).read("products", DAY)
    stranger = products.slice(0, 1).to_pylist()[0] | {"name": "ideas", "brand": None}
    grown = pa.concat_tables([products, pa.Table.from_pylist([stranger], products.schema)])
    publish(shop, "products", later, grown)
    kept = written(shop, later, [MAIL._replace(slots=frozenset({"subject"}))], ["en"])
    assert {row["slot"] for row in kept} == {"subject"}
    assert all("names 'ideas'" in row["rejected"] for row in kept)


def test_what_comes_back_is_judged_and_a_rejected_text_says_why(model, shop):
    model.answers = [{"subject": "Only $2 from Acme today", "lead": "We picked these for you."}, WORDS]
    rows = {(row["category"], row["slot"]): row for row in written(shop, DAY, [MAIL], ["en"])}
    rejected = rows["Dairy", "subject"]["rejected"]
    assert "states '2'" in rejected
    assert "names 'Acme'" in rejected
    assert rows["Dairy", "lead"]["rejected"] is None
    assert rows["Pastry", "subject"]["text"] == "Fresh ideas for your kitchen"
    assert {(row["origin"], row["about"], row["least_products"]) for row in rows.values()} == {
        ("generated", "first", 1)
    }


def test_a_day_asks_a_bounded_number_of_times(model, shop):
    mails = [MAIL._replace(step=step) for step in range(1, 60)]
    written(shop, DAY, mails, ["en", "de"])
    assert len(model.asked) == MOST_ASKED
    model.asked.clear()
    model.answers = [500]
    assert written(shop, DAY, mails, ["en", "de"]) == []
    assert len(model.asked) == MOST_FAILURES


@pytest.mark.timeout(300)
def test_a_plan_says_what_was_written_and_tells_the_model_nothing_of_a_customer(model, planned, own):
    told = {"copy_key": KEY, "copy_url": model.url, "copy_model": "m"}
    settings = Settings(**(own(planned).model_dump() | told))
    categories = (
        Published(settings.published).read("products", small_shop.DAY, ["category"])["category"].to_pylist()
    )
    model.answers = [WORDS | {"subject": "Only $2", "headline": "A look at what is new"}]
    build_plan(settings, small_shop.DAY)
    rows: list[Any] = [row for row in small_shop.plan(settings) if row["copy"]]
    words = [(row, word) for row in rows for word in row["copy"] if word["origin"] == "generated"]
    assert {word["slot"] for _, word in words} == {"headline", "lead"}, "a rejected subject is not said"
    for row, word in words:
        said = json.loads(row["facts"])["copy"][word["slot"]]
        assert said == {"id": word["candidate_id"], "text": model.answers[0][word["slot"]]}
    purposes = {campaign.description for campaign in load_campaigns().values()}
    asked_for = set()
    for asked in model.asked:
        instructions, wish = json.loads(asked.body)["messages"]
        said = json.loads(wish["content"])
        assert said.pop("purpose") in purposes
        assert said.pop("language") in {"ar", "de", "en", "es", "fr", "ja", "zh"}
        assert said.pop("products") in categories
        slots = list(said.pop("lengths").items())
        assert slots == [each for each in LENGTHS.items() if each in slots]  # and nothing else
        assert said == {}
        assert instructions == {"role": "system", "content": ASK.format(slots=", ".join(dict(slots)))}
        asked_for.add(frozenset(dict(slots)))
    assert asked_for == {frozenset(LENGTHS), frozenset({"headline", "call_to_action"})}
    people = small_shop.landing_rows(settings, "customers")
    known = {person["email"] for person in people} | {person["first_name"] for person in people} - {"", None}
    assert len(known) > 100
    heard = b" ".join(asked.body + repr(asked.headers).encode() for asked in model.asked).decode()
    assert not known & set(re.findall(r"[\w.@+-]+", heard))


LENGTHS = {
    "subject": "at most 55 characters",
    "preheader": "at most 75 characters",
    "headline": "at most 40 characters",
    "lead": "at most 160 characters",
    "call_to_action": "at most 20 characters",
}
