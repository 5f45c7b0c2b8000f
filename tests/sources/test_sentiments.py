"""Each text is asked about once, what was found lands and stands, and a collection that dies or is repeated lands nothing twice."""

import json
from datetime import UTC, datetime

import pytest

import sources.landing_rows
import sources.sentiments
from campaigns.bounces.intake import take_notices
from campaigns.ledger import SendState
from campaigns.outcomes import ledger_view
from core.settings import Settings
from simulation.shop import simulate_shop
from sources.landing import load_landing
from sources.sentiments import collect_sentiments
from tests.campaigns.returned import BOUNCES, deliver, make_maildir, sent_by
from tests.campaigns.test_reply_intake import answers_to, letter
from tests.sources.landing_kit import land, query, utc

REVIEWS = """review_id,customer_id,product_id,rating,body,reviewed_at,known_at
v1,c0,p1,5,"Lovely,
and soft.",2017-01-03 10:00:00,2017-01-03 10:00:00
v2,c1,p1,1,Torn.,2017-01-04 10:00:00,2017-01-04 10:00:00
v3,c1,p1,3,,2017-01-04 10:00:00,2017-01-04 10:00:00
v4,c1,p1,3,"
 ",2017-01-04 10:00:00,2017-01-04 10:00:00
"""
CHANGED = """review_id,customer_id,product_id,rating,body,reviewed_at,known_at
v2,c1,p1,4,Mended!,2017-01-04 10:00:00,2037-01-01 00:00:00
"""


class Model:
    """Says how content texts are as a table has it, and remembers what it was asked."""

    def __init__(self, **of):
        self.of = {"Lovely,\nand soft.": 0.51239, "Torn.": -0.9, "Mended!": 0.25, **of}
        self.asked = []

    def __call__(self, _settings, texts):
        self.asked += texts
        return [self.of.get(text) for text in texts]


@pytest.fixture
def shop(tmp_path):
    settings = Settings(
        _env_file=None,
        data_dir=tmp_path,
        token_key="k" * 40,
        bounce_mailbox=str(make_maildir(tmp_path / "bounces")),
        bounce_domain=BOUNCES,
        takes_replies=True,
    )
    simulate_shop(settings.landing / "simulated", customers=10, days=30)
    land(settings, "reviews", REVIEWS)
    return settings


def collected(settings, model):
    with ledger_view(settings) as ledger:
        return collect_sentiments(settings, ledger, model)


def loaded(settings):
    assert sum(load_landing(settings).rejects.values()) == 0
    return query(
        settings, "select text_id, customer_id, kind, sentiment::double from landing.sentiments order by all"
    )


def test_each_text_is_asked_about_once_and_a_changed_one_anew(shop):
    model = Model()
    assert collected(shop, model) == 2
    assert collected(shop, model) == 0
    assert model.asked == ["Lovely,\nand soft.", "Torn."]
    first = [("review-v1", "c0", "review", 0.5124), ("review-v2", "c1", "review", -0.9)]
    assert loaded(shop) == first
    land(shop, "reviews", CHANGED, "b.csv")
    assert collected(shop, model) == 1
    assert collected(shop, model) == 0
    assert model.asked[2:] == ["Mended!"]
    assert loaded(shop) == [*first, ("review-v2", "c1", "review", 0.25)]


def test_without_a_model_reviews_wait_until_there_is_one(shop):
    assert collected(shop, lambda _, texts: [None] * len(texts)) == 0
    assert not (shop.landing / "texts").exists()
    assert collected(shop, Model()) == 2


def test_it_is_known_when_the_model_was_asked_and_written_when_the_shop_says(shop, monkeypatch):
    asked_at = datetime(2018, 5, 6, 7, 8, 9, tzinfo=UTC)
    monkeypatch.setattr(sources.sentiments, "clock_of", lambda _: lambda: asked_at)
    collected(shop, Model())
    load_landing(shop)
    moments = query(shop, "select written_at, known_at from landing.sentiments where text_id = 'review-v1'")
    assert moments == [(utc("2017-01-03 10:00:00"), utc("2018-05-06 07:08:09"))]


def test_replies_bring_what_was_found_as_they_were_taken(shop):
    sent_by(shop, SendState.SENT, SendState.SENT, SendState.SENT)
    deliver(
        shop.data_dir / "bounces",
        letter(f"To: {answers_to(0)}", "My coat arrived torn."),
        letter(f"To: {answers_to(1)}", "Where is my parcel?"),
    )
    take_notices(shop, Model(**{"My coat arrived torn.": -0.75}))
    model = Model()
    assert collected(shop, model) == 2 + 1  # of the other answer no sentiment is known
    assert "My coat arrived torn." not in model.asked
    [(text_id, *found)] = [row for row in loaded(shop) if row[2] == "reply"]
    assert text_id.startswith("reply-")
    assert found == ["c0", "reply", -0.75]
    assert collected(shop, model) == 0


def test_nothing_that_was_written_lands(shop):
    collected(shop, Model())
    [file] = (shop.landing / "texts" / "sentiments").glob("*")
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert {key for row in rows for key in row} == {
        "text_id", "customer_id", "kind", "sentiment", "written_at", "known_at",
    }  # fmt: skip


def test_one_that_dies_before_its_file_is_whole_leaves_it_to_the_next(shop, monkeypatch):
    def die(_draft):
        raise KeyboardInterrupt

    with monkeypatch.context() as crash:
        crash.setattr(sources.landing_rows, "sync", die)
        with pytest.raises(KeyboardInterrupt):
            collected(shop, Model())
    assert collected(shop, Model()) == 2
    assert len(loaded(shop)) == 2
