"""Scoring a day: the champions' answers for every customer, written as published tables.

Without a champion a table has no rows: the day goes on, and no campaign finds anybody to write to.
"""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from core.logging import get_logger
from core.published import Published
from core.settings import Settings
from ml.champions import champion_of, made_by, same
from ml.checks import check_churn_reasons, check_churn_scores, check_customer_value
from ml.churn.baselines import BgNbdChurn
from ml.churn.drift import DRIFT_REFERENCE, SCORE, Reference
from ml.churn.features import FEATURE_NAMES, feature_frame
from ml.churn.models import TRUSTED_TYPES as CHURN_TYPES
from ml.churn.models import ChurnBand, churn_bands
from ml.churn.money import Terms, break_even, expected_profit, mean_stake, value_at_stake
from ml.churn.protocol import ChurnModel
from ml.churn.reasons import Scored, reasons
from ml.churn.terms import terms_of
from ml.churn.trial import churn_probability
from ml.lifetime.models import COLUMNS as LIFETIME_COLUMNS
from ml.lifetime.models import TRUSTED_TYPES as LIFETIME_TYPES
from ml.lifetime.serving import value_columns
from ml.recommend.scoring import recommendations
from ml.recommend.trade.loading import trade_of
from ml.registry import LoggedModel, Registry
from ml.segments.models import TRUSTED_TYPES as SEGMENT_TYPES
from ml.segments.serving import DaySegments, check_segments
from ml.tables import (
    AS_OF_DATE,
    CHURN,
    CHURN_BAND,
    CHURN_PROBABILITY,
    CHURN_REASONS,
    CHURN_REASONS_SCHEMA,
    CHURN_SCORES,
    CHURN_SCORES_SCHEMA,
    CUSTOMER_FEATURES,
    CUSTOMER_ID,
    CUSTOMER_VALUE,
    CUSTOMER_VALUE_SCHEMA,
    LIFETIME,
    MODEL_FIGURES,
    MODEL_FIGURES_SCHEMA,
    RECOMMENDER,
    SCORE_DRIFT,
    SCORE_DRIFT_SCHEMA,
    SEGMENT_ID,
    SEGMENT_PROFILES,
    SEGMENT_PROFILES_SCHEMA,
    SEGMENTATION,
    SEGMENTS,
    SEGMENTS_SCHEMA,
    VALUE_AT_STAKE_CENTS,
)
from ml.threads import one_thread

log = get_logger(__name__)
Array = npt.NDArray[np.float64]

MODELS = (CHURN, RECOMMENDER, SEGMENTATION, LIFETIME)


def score(settings: Settings, as_of: date) -> dict[str, int]:
    """Write and release the tables of scores of a day and `model_figures`; return their row counts.

    All are made before the first is released.

    Raises
    ------
    NotPublished
        If the day's features, interactions or products are missing.
    ModelRefused
        If a champion was trained after the day, or is not what was logged.
    GateFailed
        If a table is not fit to be read.
    """
    published, registry = Published(settings.published), Registry(settings)
    with one_thread():
        champions = {name: champion_of(registry, name, as_of) for name in MODELS}
        scores = churn_scores(settings, registry, champions[CHURN], as_of)
        segments = segment_tables(published, registry, champions[SEGMENTATION], as_of)
        tables = {
            CHURN_SCORES: scores,
            CHURN_REASONS: churn_reasons(settings, champions[CHURN], scores, segments[SEGMENTS], as_of),
            **recommendations(
                published,
                registry,
                champions[RECOMMENDER],
                trade_of(settings, published, segments[SEGMENTS], as_of),
            ),
            **segments,
            CUSTOMER_VALUE: customer_value(published, registry, champions[LIFETIME], as_of),
            MODEL_FIGURES: model_figures(registry, champions, as_of),
        }
        tables[SCORE_DRIFT] = score_drift(published, registry, champions[CHURN], tables[CHURN_SCORES], as_of)
    for name, rows in tables.items():
        published.write_candidate(name, as_of, rows)
    for name in tables:
        published.release(name, as_of)
    counts = {name: len(rows) for name, rows in tables.items()}
    log.info("day scored", as_of_date=str(as_of), **counts)
    return counts


def churn_scores(
    settings: Settings,
    registry: Registry,
    champion: LoggedModel | None,
    as_of: date,
    *,
    of: str = CUSTOMER_FEATURES,
    shop_stake_cents: float | None = None,
) -> pa.Table:
    """Return churn scores of the customers in a day's table `of`, checked; no rows without a champion.

    `shop_stake_cents`: what a customer who lapses puts at stake in this shop, which sets the bands; None: the mean of these.
    """
    published = Published(settings.published)
    features = published.read(of, as_of).sort_by(CUSTOMER_ID)
    if champion is None or not len(features):
        return CHURN_SCORES_SCHEMA.empty_table()
    model = registry.load(champion, CHURN_TYPES)
    frame = feature_frame(features)
    probability = churn_probability(model, frame)
    columns = [
        features[CUSTOMER_ID],
        same(as_of, len(features)),
        pa.array(probability),
        *_bounds(model, frame),
        *_worth(
            terms_of(settings, published, as_of),
            frame,
            probability,
            horizon_days=settings.churn_horizon_days,
            shop_stake_cents=shop_stake_cents,
        ),
    ]
    rows = pa.table([*columns, *made_by(champion, len(features))], schema=CHURN_SCORES_SCHEMA)
    check_churn_scores(rows, features[CUSTOMER_ID])
    return rows


def _worth(
    terms: Terms,
    features: pd.DataFrame,
    probability: Array,
    *,
    horizon_days: int,
    shop_stake_cents: float | None,
) -> list[pa.Array]:
    """Return band, value at stake and expected profit; *high* from where treating pays with what lapsers put at stake."""
    stake = value_at_stake(features, horizon_days, terms.margin_share)
    shop_stake = mean_stake(probability, stake) if shop_stake_cents is None else shop_stake_cents
    high_from = break_even(shop_stake, terms)
    return [
        churn_bands(probability, high_from=high_from),
        pa.array(stake),
        pa.array(expected_profit(probability, stake, terms)),
    ]


def score_drift(
    published: Published, registry: Registry, champion: LoggedModel | None, scores: pa.Table, as_of: date
) -> pa.Table:
    """Return how far a day's features and churn scores have moved from training, and log what moved too far.

    No rows without a champion, or where it learnt from too few cut-offs to know what moves in a quiet week.
    """
    found = registry.document(champion, DRIFT_REFERENCE) if champion is not None and len(scores) else None
    if champion is None or found is None:
        return SCORE_DRIFT_SCHEMA.empty_table()
    features = published.read(CUSTOMER_FEATURES, as_of).sort_by(CUSTOMER_ID)
    columns = feature_frame(features).assign(**{SCORE: scores[CHURN_PROBABILITY].to_numpy()})
    about = {
        AS_OF_DATE: as_of,
        "model_name": champion.model_name,
        "model_version": champion.version,
        "run_id": champion.run_id,
    }
    shifts = Reference.from_json(found).shifts(columns)
    for each in shifts:
        if each.is_alert:
            log.warning("drift", as_of_date=str(as_of), **asdict(each))
    rows = [about | asdict(each) | {"is_alert": each.is_alert} for each in shifts]
    return pa.Table.from_pylist(rows, schema=SCORE_DRIFT_SCHEMA)


def _bounds(model: ChurnModel, features: pd.DataFrame) -> list[pa.Array]:
    if isinstance(model, BgNbdChurn):
        return [pa.array(bound) for bound in model.predict_interval(features)]
    return [pa.nulls(len(features), pa.float64())] * 2


def churn_reasons(
    settings: Settings, champion: LoggedModel | None, scores: pa.Table, segments: pa.Table, as_of: date
) -> pa.Table:
    """Return `churn_reasons` of a day, checked: of warned customers, from their scores and, where there are any, segments.

    Both tables hold the customers of `customer_features` in the order of their ids.
    """
    if champion is None or not len(scores):
        return CHURN_REASONS_SCHEMA.empty_table()
    wanted = [CUSTOMER_ID, *FEATURE_NAMES]
    features = Published(settings.published).read(CUSTOMER_FEATURES, as_of, wanted).sort_by(CUSTOMER_ID)
    scored = Scored.of(
        feature_frame(features),
        scores[CHURN_PROBABILITY].to_numpy(),
        is_warned=pc.not_equal(scores[CHURN_BAND], str(ChurnBand.LOW)).to_numpy(),
        stake=scores[VALUE_AT_STAKE_CENTS].to_numpy(),
        segments=segments[SEGMENT_ID].to_pylist() if len(segments) else None,
    )
    model = Registry(settings).load(champion, CHURN_TYPES)
    customers = features[CUSTOMER_ID].to_pylist()
    about = {
        AS_OF_DATE: as_of,
        "model_name": champion.model_name,
        "model_version": champion.version,
        "run_id": champion.run_id,
    }
    made = [
        about | row | {CUSTOMER_ID: customers[row["place"]]}
        for row in reasons(model, scored, currency=settings.currency)
    ]
    rows = pa.Table.from_pylist(made, schema=CHURN_REASONS_SCHEMA)
    check_churn_reasons(rows, scores)
    return rows


def segment_tables(
    published: Published, registry: Registry, champion: LoggedModel | None, as_of: date
) -> dict[str, pa.Table]:
    """Return `segments` and `segment_profiles` of a day, the first checked; no rows without a champion."""
    features = published.read(CUSTOMER_FEATURES, as_of).sort_by(CUSTOMER_ID)
    if champion is None or not len(features):
        return {
            SEGMENTS: SEGMENTS_SCHEMA.empty_table(),
            SEGMENT_PROFILES: SEGMENT_PROFILES_SCHEMA.empty_table(),
        }
    day, count = DaySegments.of(registry.load(champion, SEGMENT_TYPES), features), len(features)
    columns = [features[CUSTOMER_ID], same(as_of, count), *day.columns(), *made_by(champion, count)]
    rows = pa.table(columns, schema=SEGMENTS_SCHEMA)
    check_segments(rows, features[CUSTOMER_ID])
    about = {
        AS_OF_DATE: as_of,
        "model_name": champion.model_name,
        "model_version": champion.version,
        "run_id": champion.run_id,
    }
    profiles = [about | row for row in day.profiles()]
    return {
        SEGMENTS: rows,
        SEGMENT_PROFILES: pa.Table.from_pylist(profiles, schema=SEGMENT_PROFILES_SCHEMA),
    }


def customer_value(
    published: Published, registry: Registry, champion: LoggedModel | None, as_of: date
) -> pa.Table:
    """Return `customer_value` of a day, checked; no rows without a champion."""
    wanted = [CUSTOMER_ID, *LIFETIME_COLUMNS]
    features = published.read(CUSTOMER_FEATURES, as_of, wanted).sort_by(CUSTOMER_ID)
    if champion is None or not len(features):
        return CUSTOMER_VALUE_SCHEMA.empty_table()
    found = value_columns(registry.load(champion, LIFETIME_TYPES), features.to_pandas(), as_of)
    count = len(features)
    columns = [features[CUSTOMER_ID], same(as_of, count), *found, *made_by(champion, count)]
    rows = pa.table(columns, schema=CUSTOMER_VALUE_SCHEMA)
    check_customer_value(rows, features[CUSTOMER_ID])
    return rows


def model_figures(registry: Registry, champions: Mapping[str, LoggedModel | None], as_of: date) -> pa.Table:
    """Return `model_figures` of a day: what models showed when they were judged, beside their baselines.

    The champions, and the newest version of each model where that is another one (refused, or rolled back).
    """
    rows = []
    for name, champion in champions.items():
        newest = registry.newest(name, by=as_of)
        shown = {found.version: found for found in (champion, newest) if found is not None}
        for version, found in shown.items():
            rows += _figure_rows(
                found, as_of, is_champion=champion is not None and version == champion.version
            )
    return pa.Table.from_pylist(rows, schema=MODEL_FIGURES_SCHEMA)


def _figure_rows(model: LoggedModel, as_of: date, *, is_champion: bool) -> list[dict[str, object]]:
    about = {
        AS_OF_DATE: as_of,
        "model_name": model.model_name,
        "model_version": model.version,
        "run_id": model.run_id,
        "trained_as_of_date": model.trained_as_of,
        "is_champion": is_champion,
    }
    theirs = [(*name.split(".", 1), value) for name, value in sorted(model.figures.items()) if "." in name]
    rows = []
    for metric, value in sorted(model.figures.items()):
        if "." in metric:
            continue
        beside = [(name, figure) for name, theirs_metric, figure in theirs if theirs_metric == metric]
        rows += [
            about | {"metric": metric, "value": value, "baseline_name": name, "baseline_value": figure}
            for name, figure in beside or [(None, None)]
        ]
    return rows
