"""Commands on the sentiment of reviews: train it, ask it."""

from typing import Annotated

import typer

from cli.options import Day, Json, answer, day_of, speech
from core.errors import ModelRefused
from core.settings import load_settings

sentiment = typer.Typer(no_args_is_help=True, help="The model of how content writers of reviews are.")


@sentiment.command("train")
def train(as_of: Day, as_json: Json = False) -> None:
    """Train on the reviews with a text beside the baseline, log to MLflow, promote if it beats it."""
    from core.dbt import build
    from expectations.publish import publish
    from ml.train import train_sentiment
    from sources.landing import load_landing

    settings, day = load_settings(), day_of(as_of)
    load_landing(settings)
    speech.print("building the texts of reviews")
    build(settings, "+review_texts", as_of=day)
    publish(settings, ("ml.review_texts",), day)
    answer(train_sentiment(settings, day), as_json=as_json)


@sentiment.command("collect")
def collect(as_json: Json = False) -> None:
    """Ask the champion about every review that it was not asked about, and land that with the sentiment of replies.

    What it says of a text stands: features of a day hold what was found by that day. `collect_feedback` does the same every 15 minutes.
    """
    from campaigns.outcomes import ledger_view
    from ml.text.asking import sentiments
    from sources.sentiments import collect_sentiments

    settings = load_settings()
    with ledger_view(settings) as ledger:
        answer({"sentiments": collect_sentiments(settings, ledger, sentiments)}, as_json=as_json)


@sentiment.command("ask")
def ask(
    text: Annotated[str, typer.Argument(help="What somebody wrote; `-` reads it from stdin.")],
    as_json: Json = False,
) -> None:
    """Say what the champion makes of a text: -1 is content with nothing, 1 with everything."""
    import numpy as np

    from ml.registry import Registry
    from ml.tables import SENTIMENT
    from ml.text.models import TRUSTED_TYPES

    registry = Registry(load_settings())
    champion = registry.champion(SENTIMENT)
    if champion is None:
        raise ModelRefused("there is no champion of 'sentiment' yet; `lapwing sentiment train` makes one")
    words = typer.get_text_stream("stdin").read() if text == "-" else text
    [found] = registry.load(champion, TRUSTED_TYPES).sentiments(np.array([words], dtype=object))
    answer({"sentiment": float(found), "version": champion.version}, as_json=as_json)
