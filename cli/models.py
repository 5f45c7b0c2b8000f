"""Commands on models: train, promote, score."""

from datetime import date

import typer

from cli.options import Day, Json, answer, day_of, speech
from core.settings import Settings, load_settings

churn = typer.Typer(no_args_is_help=True, help="The model of who is about to lapse.")
recommender = typer.Typer(no_args_is_help=True, help="The model of what each customer would like next.")


@churn.command("train")
def train_churn(as_of: Day, as_json: Json = False) -> None:
    """Train beside its baselines, log to MLflow, promote if it beats them."""
    from ml.train import train_churn

    settings = load_settings()
    _build_examples(settings, day_of(as_of))
    answer(train_churn(settings, day_of(as_of)), as_json=as_json)


@recommender.command("train")
def train_recommender(as_of: Day, as_json: Json = False) -> None:
    """Train beside its baselines, log to MLflow, promote if it beats them."""
    from ml.train import train_recommender

    settings = load_settings()
    _build_examples(settings, day_of(as_of))
    answer(train_recommender(settings, day_of(as_of)), as_json=as_json)


def score(as_of: Day, as_json: Json = False) -> None:
    """Score every customer with the champions and publish churn scores and recommendations."""
    from ml.scoring import score

    answer(score(load_settings(), day_of(as_of)), as_json=as_json)


def _build_examples(settings: Settings, day: date) -> None:
    """Build and publish what training reads, as the DAG `train_models` does."""
    from core.dbt import TRAINING_MODELS, build
    from expectations.publish import TRAINING, publish
    from ml.windows import LEAST_HISTORY, training_cutoffs
    from sources.landing import load_landing

    first = load_landing(settings).first_order_date + LEAST_HISTORY
    cutoffs = training_cutoffs(day, settings.churn_horizon_days, first=first)
    speech.print(f"building features and labels of {len(cutoffs)} cut-offs")
    build(settings, TRAINING_MODELS, as_of=day, feature_dates=cutoffs)
    publish(settings, TRAINING, day)
