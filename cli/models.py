"""Commands on models: train, promote, roll back, compare, look for drift, score."""

from datetime import date
from typing import Annotated, Any

import typer

from cli.options import Day, Json, answer, day_of, speech
from core.errors import ModelRefused, NotPublished
from core.settings import Settings, load_settings

churn = typer.Typer(no_args_is_help=True, help="The model of who is about to lapse.")
recommender = typer.Typer(no_args_is_help=True, help="The model of what each customer would like next.")

lifetime = typer.Typer(
    no_args_is_help=True, help="The model of what each customer is worth, and of the next order."
)

CustomerId = Annotated[str, typer.Argument(help="Whom: the shop's number of the customer.")]
SHOWN_OF_A_PART = (
    "reason",
    "shift_log_odds",
    "own_value",
    "usual_value",
    "segment_value",
    "shop_value",
    "text",
)
Version = Annotated[int, typer.Argument(min=1, help="Number of the version, as MLflow and `train` show it.")]

Before = Annotated[
    int | None,
    typer.Argument(
        min=1, help="Number of the version. Without it: the champion before this one.", show_default=False
    ),
]
One = Annotated[
    int | None,
    typer.Argument(min=1, help="Number of a version. Without it: the champion.", show_default=False),
]
Other = Annotated[
    int | None,
    typer.Argument(min=1, help="Number of another. Without it: the challenger.", show_default=False),
]


@churn.command("train")
def train_churn(as_of: Day, as_json: Json = False) -> None:
    """Train beside its baselines, log to MLflow, promote if it beats them."""
    from ml.train import train_churn

    settings = load_settings()
    _publish_examples(settings, day_of(as_of))
    answer(train_churn(settings, day_of(as_of)), as_json=as_json)


@churn.command("promote")
def promote_churn(version: Version, as_json: Json = False) -> None:
    """Make a version the champion; one that failed its bar, was not judged by Lapwing, or was changed since is refused."""
    answer(_move_champion("churn", version), as_json=as_json)


@churn.command("watch")
def watch(as_of: Day, as_json: Json = False) -> None:
    """Score customers of whom something became known on the day before again, raise warnings, and make those warned of lists.

    Nothing is trained.
    """
    from core.dbt import build
    from expectations.publish import RAISED, TOUCHED, publish
    from ml.watch import NEWS, WARNINGS, recommend, watch
    from sources.landing import load_landing

    settings, day = load_settings(), day_of(as_of)
    load_landing(settings)
    speech.print("building the features of who has news")
    build(settings, NEWS, as_of=day)
    publish(settings, TOUCHED, day)
    counts = watch(settings, day)
    build(settings, WARNINGS, as_of=day, scores="churn_watch")
    publish(settings, RAISED, day)
    answer(counts | recommend(settings, day), as_json=as_json)


@churn.command("warnings")
def warnings(as_of: Day, as_json: Json = False) -> None:
    """Show a day's warnings: how many are open, what they put at stake, how right past ones were, what mail kept."""
    from core.published import Published

    rows = Published(load_settings().published).read("churn_warning_figures", day_of(as_of)).to_pylist()
    if not as_json and not rows:
        speech.print("nobody has been warned of in the 90 days before")
    answer(rows if as_json else [_line(row) for row in rows], as_json=as_json)


def _line(row: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of a band, step and treatment as a line for people."""

    def amount(name: str) -> str | None:
        kept, margin = row.get(f"{name}_cents"), row.get(f"{name}_margin_cents")
        return None if kept is None or margin is None else f"{kept / 100:,.0f} ± {margin / 100:,.0f}"

    return {
        "band": row["churn_band"],
        "step": row["ladder_step"],
        "treatment": row["treatment"],
        "open": row["open_count"],
        "at stake": f"{row['open_value_cents'] / 100:,.0f}",
        "closed": row["closed_count"],
        "mailed": row.get("mailed_share"),  # days reported before have none
        "lapsed": row["lapsed_share"],
        "precision": row["precision"],
        "recall": row["recall"],
        "f1": row["f1"],
        "kept": amount("value_kept"),
        "kept per mailed": amount("value_kept_mailed"),
    }


@churn.command("rollback")
def roll_back_churn(version: Before = None, as_json: Json = False) -> None:
    """Make an earlier version the champion again; one that failed its bar is refused."""
    answer(_move_champion("churn", version or _champion_before("churn")), as_json=as_json)


@churn.command("compare")
def compare_churn(first: One = None, second: Other = None, as_json: Json = False) -> None:
    """Show two judged versions side by side, with paired differences over the cut-offs both were judged at."""
    from ml.churn.compare import compare
    from ml.registry import Registry

    registry = Registry(load_settings())
    one = registry.champion("churn") if first is None else registry.version("churn", str(first))
    other = registry.challenger("churn") if second is None else registry.version("churn", str(second))
    if one is None or other is None:
        raise ModelRefused(
            "there are no two versions of 'churn' to compare: no champion or no challenger; name both by number"
        )
    speech.print(
        f"first: version {one.version}; second: version {other.version}; difference: second less first"
    )
    answer(compare(registry, one, other), as_json=as_json)


@churn.command("drift")
def drift_of_churn(as_of: Day, as_json: Json = False) -> None:
    """Show how far a scored day has moved from training, furthest first; exit with 1 if anything is beyond its bound."""
    from core.published import Published
    from ml.tables import SCORE_DRIFT

    rows = Published(load_settings().published).read(SCORE_DRIFT, day_of(as_of)).to_pylist()
    shown = [
        {name: row[name] for name in ("feature", "measure", "value", "bound", "is_alert")} for row in rows
    ]
    if not rows:
        speech.print("the day was scored without a champion, or by one that knows no quiet weeks")
    answer(shown, as_json=as_json)
    if any(row["is_alert"] for row in rows):
        raise typer.Exit(1)


@recommender.command("train")
def train_recommender(as_of: Day, as_json: Json = False) -> None:
    """Train beside its baselines, log to MLflow, promote if it beats them."""
    from ml.train import train_recommender

    settings = load_settings()
    _publish_purchases(settings, day_of(as_of))
    answer(train_recommender(settings, day_of(as_of)), as_json=as_json)


@recommender.command("rollback")
def roll_back_recommender(version: Version, as_json: Json = False) -> None:
    """Make another version the champion, back or forth; one that failed its bar is refused."""
    answer(_move_champion("recommender", version), as_json=as_json)


@recommender.command("show")
def show_recommendations(customer_id: CustomerId, as_of: Day, as_json: Json = False) -> None:
    """Make a customer's lists now, by today's champion and rules, and say how long that took once all was loaded.

    Nothing is written: what mail shows is in the lists that `lapwing score` publishes.
    """
    from time import perf_counter

    from console.listed import in_words
    from ml.recommend.scoring import shelves_of_day
    from ml.threads import one_thread

    with one_thread():
        shelves = shelves_of_day(load_settings(), day_of(as_of))
        start = perf_counter()
        rows = shelves.recommend([customer_id]).lists.to_pylist()
    speech.print(f"made in {1000 * (perf_counter() - start):.0f} ms")
    if not shelves.knows(customer_id):
        speech.print(f"no purchase of customer '{customer_id}' is known: somebody new is shown this")
    lines = [
        {"list": title, "place": place, "product": each.name, "why": each.reason}
        for title, listed in in_words(rows, shelves.names()).items()
        for place, each in enumerate(listed, start=1)
    ]
    answer(rows if as_json else lines, as_json=as_json)


@recommender.command("rules")
def rules_of_trade(as_of: Day, as_json: Json = False) -> None:
    """Check the file of rules of trade, and show what each rule removed from a scored day; exit with 1 on a doubtful name.

    Pairs are of a customer and a product in trade. A rule whose data the shop does not bring is off, and says why.
    """
    from core.published import Published
    from ml.recommend.trade.rules import doubts, load_rules
    from ml.tables import PRODUCTS, REMOVALS

    settings, day = load_settings(), day_of(as_of)
    rules, published = load_rules(settings.rules_file), Published(settings.published)
    doubtful = list(doubts(rules, published.read(PRODUCTS, day)))
    for doubt in doubtful:
        speech.print(f"{settings.rules_file.name}: {doubt}")
    if not published.exists(REMOVALS, day):
        speech.print(f"the file is valid; {day} has not been scored under it yet")
    answer(
        published.read(REMOVALS, day).to_pylist() if published.exists(REMOVALS, day) else [], as_json=as_json
    )
    if doubtful:
        raise typer.Exit(1)


@lifetime.command("train")
def train_lifetime(as_of: Day, as_json: Json = False) -> None:
    """Train beside its baseline, judge its intervals, log to MLflow, promote if both pass."""
    from ml.train import train_lifetime

    settings = load_settings()
    _publish_examples(settings, day_of(as_of))
    _publish_purchases(settings, day_of(as_of))
    answer(train_lifetime(settings, day_of(as_of)), as_json=as_json)


@lifetime.command("rollback")
def roll_back_lifetime(version: Before = None, as_json: Json = False) -> None:
    """Make an earlier version the champion again; one that failed its bar is refused."""
    answer(_move_champion("lifetime", version or _champion_before("lifetime")), as_json=as_json)


@lifetime.command("show")
def show_lifetime(customer_id: CustomerId, as_of: Day, as_json: Json = False) -> None:
    """Show what a customer is expected to spend and when to order next, each with bounds that hold eight of ten.

    The day of the next order is the middle of what may happen if the customer comes back at all; the chance to be a
    customer still stands beside it. Without a day the customer has almost surely left, or would be back in more than ten years.
    """
    from core.published import Published
    from ml.tables import CUSTOMER_VALUE

    day = day_of(as_of)
    rows = Published(load_settings().published).read(CUSTOMER_VALUE, day).to_pylist()
    found = [row for row in rows if row["customer_id"] == customer_id]
    if not rows:
        raise NotPublished(f"no model of value had been promoted when {day} was scored")
    if not found:
        raise NotPublished(f"customer '{customer_id}' has no value of {day}: no order was known before it")
    answer(found[0] if as_json else _with_amounts(found[0]), as_json=as_json)


def _with_amounts(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row for people: cents as amounts of money."""
    return {
        name.removesuffix("_cents"): f"{value / 100:,.2f}" if name.endswith("_cents") else value
        for name, value in row.items()
    }


@churn.command("explain")
def explain_churn(customer_id: CustomerId, as_of: Day, as_json: Json = False) -> None:
    """Show what raised and lowered a warned customer's score: parts of the log odds that sum to it."""
    from core.published import Published

    day = day_of(as_of)
    tables = Published(load_settings().published).read_together(
        {"churn_scores": None, "churn_reasons": None}, day
    )
    scores, reasons = (
        [row for row in table.to_pylist() if row["customer_id"] == customer_id] for table in tables.values()
    )
    if not scores:
        raise NotPublished(f"customer '{customer_id}' has no churn score of {day}; was the day scored?")
    if not reasons:
        raise NotPublished(
            f"the score of customer '{customer_id}' of {day} is not explained: the band is {scores[0]['churn_band']}, and "
            "of medium and high those with most at stake are explained"
        )
    parts = [{name: row[name] for name in SHOWN_OF_A_PART} for row in reasons]
    base = dict.fromkeys(SHOWN_OF_A_PART) | {
        "shift_log_odds": reasons[0]["base_log_odds"],
        "text": "A typical customer.",
    }
    total = sum(row["shift_log_odds"] for row in [base, *parts])
    text = f"Log odds of {scores[0]['churn_probability']:.4f}, band {scores[0]['churn_band']}."
    answer([base, *parts, base | {"shift_log_odds": total, "text": text}], as_json=as_json)


def score(as_of: Day, as_json: Json = False) -> None:
    """Score every customer with the champions and publish churn scores, their reasons, recommendations, segments and value."""
    from ml.scoring import score

    answer(score(load_settings(), day_of(as_of)), as_json=as_json)


def _publish_examples(settings: Settings, day: date) -> None:
    """Build and publish what the churn model learns from, as the DAG `train_models` does."""
    from core.dbt import build
    from expectations.publish import publish
    from ml.windows import LEAST_HISTORY, training_cutoffs
    from sources.landing import load_landing

    first = load_landing(settings).first_order_date + LEAST_HISTORY
    cutoffs = training_cutoffs(day, settings.churn_horizon_days, first=first)
    speech.print(f"building features and labels of {len(cutoffs)} cut-offs")
    # The day itself has no labels yet: its features are for shops too young to have any.
    build(settings, "+churn_examples", as_of=day, feature_dates=[*cutoffs, day])
    publish(settings, ("ml.churn_examples", "ml.customer_features"), day)


def _publish_purchases(settings: Settings, day: date) -> None:
    """Build and publish what the recommender learns from, as the DAG `train_models` does."""
    from core.dbt import build
    from expectations.publish import publish
    from sources.landing import load_landing

    load_landing(settings)
    speech.print("building purchases and products")
    build(settings, "+interactions +products", as_of=day)
    publish(settings, ("ml.interactions", "shop.products"), day)


def _move_champion(model_name: str, version: int) -> dict[str, str]:
    """Point a model's champion at a version, and say so."""
    from ml.registry import Registry

    registry = Registry(load_settings())
    newest = registry.newest(model_name, by=date.max)
    if newest is None:
        raise ModelRefused(
            f"there is no version of '{model_name}' yet; `lapwing {model_name} train` makes one"
        )
    if version > int(newest.version):
        raise ModelRefused(f"there is no version {version} of '{model_name}'; the newest is {newest.version}")
    registry.move_champion(model_name, str(version))
    return {"model": model_name, "champion": f"version {version}"}


def _champion_before(model_name: str) -> int:
    from ml.registry import Registry

    registry = Registry(load_settings())
    before = None if registry.is_empty() else registry.champion_before(model_name)
    if before is None:
        raise ModelRefused(
            f"no version of '{model_name}' was champion before this one; `lapwing {model_name} rollback VERSION` takes any "
            "that passed its bar"
        )
    return int(before)
