"""Training as of a day: candidates compete, the winner is held against the baselines, logged, and promoted or not."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import pyarrow.compute as pc

from core.errors import ModelRefused
from core.logging import get_logger
from core.published import Published
from core.settings import Settings
from ml.churn.terms import day_of_figures, terms_of
from ml.churn.training import train_churn_model
from ml.lifetime.models import COLUMNS
from ml.lifetime.training import train_lifetime_model, value_days
from ml.provenance import Source, code_commit, code_digest, data_hash, training_key
from ml.recommend.training import train_recommender_model
from ml.registry import LoggedModel, Registry
from ml.segments.fitting import Reigning
from ml.segments.models import TRUSTED_TYPES as SEGMENT_TYPES
from ml.segments.training import train_segment_model
from ml.tables import (
    AS_OF_DATE,
    CHURN,
    CHURN_EXAMPLES,
    CHURN_WARNING_FIGURES,
    CUSTOMER_FEATURES,
    CUSTOMER_ID,
    INTERACTIONS,
    LIFETIME,
    ORDERED_DATE,
    PRODUCTS,
    RECOMMENDER,
    REVIEW_TEXTS,
    SEGMENTATION,
    SENTIMENT,
)
from ml.text.training import train_sentiment_model
from ml.threads import one_thread
from ml.training import Training

log = get_logger(__name__)


@dataclass(frozen=True)
class TrainingOutcome:
    """What training came to. `version` is empty where there was too little history to fit a model.

    `figures` are means over the judged cut-offs; a baseline's are named `<baseline>.<metric>`.
    """

    model_name: str
    version: str
    run_id: str
    promoted: bool
    reason: str
    figures: dict[str, float]


def train_churn(settings: Settings, as_of: date) -> TrainingOutcome:
    """Train the churn model on `churn_examples` of a day; of a young shop on its `customer_features`.

    Raises
    ------
    NotPublished
        If the day has none.
    """
    published = Published(settings.published)
    then = _cutoff_published_on_its_day(published, as_of)

    def make(source: Source) -> Training:
        tables = published.read_together({CHURN_EXAMPLES: None, CUSTOMER_FEATURES: None}, as_of)
        return train_churn_model(
            tables[CHURN_EXAMPLES],
            tables[CUSTOMER_FEATURES],
            source,
            horizon_days=settings.churn_horizon_days,
            terms=terms_of(settings, published, as_of),
            tuning_trials=settings.churn_tuning_trials,
            then=None if then is None else published.read(CUSTOMER_FEATURES, then),
        )

    read = [(CHURN_EXAMPLES, as_of), (CUSTOMER_FEATURES, as_of)]
    if then is not None:
        read.append((CUSTOMER_FEATURES, then))
    if (known := day_of_figures(published, as_of)) is not None:
        read.append((CHURN_WARNING_FIGURES, known))
    return _train(settings, CHURN, as_of, read, make)


def _cutoff_published_on_its_day(published: Published, as_of: date) -> date | None:
    """Return the newest cut-off of a day's examples whose features were published when it was today, or None."""
    examples = published.read(CHURN_EXAMPLES, as_of, columns=[AS_OF_DATE])
    cutoffs = set(pc.unique(examples.column(AS_OF_DATE)).to_pylist())
    return max(cutoffs.intersection(published.days(CUSTOMER_FEATURES)), default=None)


def train_recommender(settings: Settings, as_of: date) -> TrainingOutcome:
    """Train the recommender on `interactions` and `products` of a day.

    Raises
    ------
    NotPublished
        If the day has none.
    """
    published = Published(settings.published)

    def make(source: Source) -> Training:
        tables = published.read_together({INTERACTIONS: None, PRODUCTS: None}, as_of)
        return train_recommender_model(tables[INTERACTIONS], tables[PRODUCTS], source)

    return _train(settings, RECOMMENDER, as_of, [(INTERACTIONS, as_of), (PRODUCTS, as_of)], make)


def train_segments(settings: Settings, as_of: date) -> TrainingOutcome:
    """Train the segments on `customer_features` of a day, matched to the champion's.

    Raises
    ------
    NotPublished
        If the day has no features.
    """
    published = Published(settings.published)

    def make(source: Source) -> Training:
        features = published.read(CUSTOMER_FEATURES, as_of)
        return train_segment_model(features, source, _reigning(Registry(settings), as_of))

    return _train(settings, SEGMENTATION, as_of, [(CUSTOMER_FEATURES, as_of)], make)


def train_lifetime(settings: Settings, as_of: date) -> TrainingOutcome:
    """Train value and next order on `customer_features` of a day, judged by `churn_examples` and `interactions`.

    Raises
    ------
    NotPublished
        If the day lacks one of them.
    """
    published = Published(settings.published)
    known = [AS_OF_DATE, CUSTOMER_ID, *COLUMNS]
    wanted = {
        CHURN_EXAMPLES: known,
        CUSTOMER_FEATURES: known,
        INTERACTIONS: [CUSTOMER_ID, ORDERED_DATE],
    }

    def make(source: Source) -> Training:
        tables = published.read_together(wanted, as_of)
        return train_lifetime_model(
            tables[CHURN_EXAMPLES],
            tables[CUSTOMER_FEATURES],
            tables[INTERACTIONS],
            source,
            horizon_days=value_days(settings.churn_horizon_days),
        )

    return _train(settings, LIFETIME, as_of, [(table, as_of) for table in wanted], make)


def train_sentiment(settings: Settings, as_of: date) -> TrainingOutcome:
    """Train sentiment on the reviews with a text of a day, in whatever languages they are.

    Raises
    ------
    NotPublished
        If the day has none.
    """
    published = Published(settings.published)

    def make(source: Source) -> Training:
        return train_sentiment_model(published.read(REVIEW_TEXTS, as_of), source)

    return _train(settings, SENTIMENT, as_of, [(REVIEW_TEXTS, as_of)], make)


def _reigning(registry: Registry, as_of: date) -> Reigning | None:
    """Return the champion that new segments go on from, if there is one that the day may know."""
    try:
        champion = registry.champion(SEGMENTATION)
        if champion is None or champion.trained_as_of > as_of:
            return None
        return Reigning(champion.version, registry.load(champion, SEGMENT_TYPES))
    except ModelRefused as error:
        # Training is the way out of a champion that cannot be read; its segments then begin anew, with new ids.
        log.warning("the champion cannot be matched", model=SEGMENTATION, reason=str(error))
        return None


def _train(
    settings: Settings,
    model_name: str,
    as_of: date,
    snapshots: list[tuple[str, date]],
    make: Callable[[Source], Training],
) -> TrainingOutcome:
    published, registry = Published(settings.published), Registry(settings)
    for table, day in snapshots:
        published.read(table, day, columns=[])  # says which days there are, if not this one
    data, code = data_hash(published, snapshots), code_digest()
    key = training_key(model_name, as_of, data, code)
    logged = registry.finished(model_name, key)
    if logged is None:
        tags = {"lapwing.data_hash": data, "lapwing.code_digest": code, "lapwing.code_commit": code_commit()}
        with one_thread():
            logged = registry.log(make(Source(as_of, key, tags)))
    else:
        log.info("trained before on the same data and code", model=model_name, run_id=logged.run_id)
    if logged.is_promoted:
        registry.promote(logged)
    return _outcome(logged)


def _outcome(logged: LoggedModel) -> TrainingOutcome:
    return TrainingOutcome(
        logged.model_name, logged.version, logged.run_id, logged.is_promoted, logged.reason, logged.figures
    )
