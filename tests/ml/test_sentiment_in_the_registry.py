"""Sentiment from landing files to a champion that is asked, with a real warehouse and a real MLflow store."""

import csv
import json
import shutil
from datetime import UTC, date, datetime, timedelta

import pytest
from typer.testing import CliRunner

from cli.app import app
from core.dbt import build
from core.published import Published
from core.settings import Settings
from core.warehouse import reading
from ml.text.asking import sentiments
from sources.landing import load_landing
from tests.arch.kit import ROOT
from tests.ml.test_sentiment import made_up

DAY = date(2017, 12, 4)
GOLDEN = ROOT / "tests" / "dbt_project" / "golden_shop"
KNOWN = "2017-06-01 10:00:00"


@pytest.fixture(scope="module")
def shop(tmp_path_factory, empty_store):
    """The golden shop with 902 reviews that have a text: one of two lines, one with an address in it."""
    folder = tmp_path_factory.mktemp("reviewed")
    shutil.copy(empty_store, folder / "mlflow.sqlite")
    for table in ("customers", "products", "orders", "order_lines"):
        (folder / "landing" / "shop" / table).mkdir(parents=True)
        shutil.copy(GOLDEN / f"{table}.csv", folder / "landing" / "shop" / table)
    reviews, place = made_up(), folder / "landing" / "shop" / "reviews"
    place.mkdir()
    with (place / "a.csv").open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(
            ["review_id", "customer_id", "product_id", "rating", "body", "reviewed_at", "known_at"]
        )
        own = [("Lovely,\nand soft.", 5), ("Lovely! Write to ada@example.com", 5)]
        texts = [*zip(reviews.texts, reviews.stars.tolist(), strict=True), *own]
        for number, (text, rating) in enumerate(texts):
            writer = f"c{number % 300}" if number % 300 else "edges"
            lines.writerow([f"v{number:04}", writer, "p1", rating, text, KNOWN, KNOWN])
    return folder


@pytest.fixture
def lapwing(shop, monkeypatch):
    for name, value in {"DATA_DIR": str(shop), "TOKEN_KEY": "k" * 40, "REPLAY": "false"}.items():
        monkeypatch.setenv(f"LAPWING_{name}", value)

    def run(*words, exit_code=0):
        found = CliRunner().invoke(app, ["sentiment", *words, "--json"])
        assert found.exit_code == exit_code, found.output
        return json.loads(found.stdout.splitlines()[-1]) if exit_code == 0 else str(found.exception)

    return run


def test_texts_of_reviews_become_a_champion_that_answers(shop, lapwing):
    assert "there is no champion of 'sentiment' yet" in lapwing("ask", "lovely", exit_code=1)
    trained = lapwing("train", "--as-of", str(DAY))
    assert trained["promoted"], trained["reason"]
    rows = Published(shop / "published").read("review_texts", DAY)
    bodies = rows["body"].to_pylist()
    assert len(bodies) == 901
    assert "Lovely,\nand soft." in bodies
    assert "@" not in " ".join(bodies)
    good, bad = (lapwing("ask", text) for text in ("lovely soft great", "torn scratchy awful"))
    assert -1 <= bad["sentiment"] < 0 < good["sentiment"] <= 1
    assert good["version"] == trained["version"]


def test_texts_are_asked_of_the_champion_and_of_nobody_where_there_is_none(shop, tmp_path, empty_store):
    settings = Settings(_env_file=None, data_dir=shop, token_key="k" * 40)
    good, nothing, bad = sentiments(settings, ["lovely soft great", " ", "torn scratchy awful"])
    assert nothing is None
    assert bad is not None
    assert good is not None
    assert -1 <= bad < 0 < good <= 1
    shutil.copy(empty_store, tmp_path / "mlflow.sqlite")
    none_yet = Settings(_env_file=None, data_dir=tmp_path, token_key="k" * 40)
    assert sentiments(none_yet, ["lovely soft great"]) == [None]


def test_what_the_champion_says_of_reviews_is_a_feature_from_the_next_day_on(shop, lapwing):
    assert lapwing("collect") == {"sentiments": 901}
    assert lapwing("collect") == {"sentiments": 0}
    with (shop / "landing" / "shop" / "reviews" / "a.csv").open(newline="") as file:
        texts = {row["review_id"]: row["body"] for row in csv.DictReader(file)}
    settings = Settings(_env_file=None, data_dir=shop, token_key="k" * 40)
    load_landing(settings)
    asked = sentiments(settings, [texts[f"v{number:04}"] for number in (0, 300, 600, 900)])
    said = [sentiment for sentiment in asked if sentiment is not None]
    assert len(said) == 4
    today = datetime.now(UTC).date()
    for day, is_known in ((today, False), (today + timedelta(days=1), True)):
        build(settings, "+customer_features", as_of=day)
        with reading(settings) as warehouse:
            rows = warehouse.execute(
                "select customer_id, texts_lifetime_count, text_mean_sentiment from ml.customer_features"
                " where as_of_date = ?",
                [day],
            ).fetchall()
        found = {customer_id: figures for customer_id, *figures in rows}
        count, mean = found.pop("edges")
        assert {tuple(figures) for figures in found.values()} == {(0 if is_known else None, None)}
        assert count == (4 if is_known else None)
        assert mean == (pytest.approx(sum(said) / 4, abs=1e-4) if is_known else None)
