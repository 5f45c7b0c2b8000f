"""What must hold of a table of scores before readers see it. A broken rule stops the day; nothing is released."""

import pyarrow as pa
import pyarrow.compute as pc

from core.errors import GateFailed
from ml.churn.rhythm import log_odds
from ml.recommend.reasons import Kind
from ml.tables import (
    AS_OF_DATE,
    BASE_LOG_ODDS,
    BECAUSE_PRODUCT_ID,
    BUYER_COUNT,
    CHURN_PROBABILITY,
    CHURN_REASONS,
    CHURN_SCORES,
    CUSTOMER_ID,
    CUSTOMER_VALUE,
    EVERY_DAYS,
    EXPECTED_PROFIT_CENTS,
    LAST_BOUGHT_DATE,
    NEIGHBOUR_COUNT,
    PRODUCT_ID,
    QUESTION,
    RECOMMENDATIONS,
    SHIFT_LOG_ODDS,
    VALUE_AT_STAKE_CENTS,
)

STATED = {
    Kind.BECAUSE: (BECAUSE_PRODUCT_ID, LAST_BOUGHT_DATE),
    Kind.NEW_ARRIVAL: (BECAUSE_PRODUCT_ID, LAST_BOUGHT_DATE),
    Kind.VIEWED: (BECAUSE_PRODUCT_ID,),
    Kind.DUE_AGAIN: (LAST_BOUGHT_DATE, EVERY_DAYS),
    Kind.BOUGHT_BEFORE: (LAST_BOUGHT_DATE,),
    Kind.TASTE: (BUYER_COUNT, NEIGHBOUR_COUNT),
}
"""By kind of reason, the columns that say it."""
ROUNDING = 1e-9
"""A base and a handful of parts, each right to sixteen digits, sum to their total far closer than this."""


def check_churn_scores(scores: pa.Table, customers: pa.ChunkedArray) -> None:
    """Require one score, from 0 to 1, for every customer that has features, and finite amounts."""
    _require_a_row_each(CHURN_SCORES, scores, customers)
    for name in (VALUE_AT_STAKE_CENTS, EXPECTED_PROFIT_CENTS):
        wrong = len(scores) - pc.sum(pc.is_finite(scores[name])).as_py()
        if wrong:
            raise GateFailed(
                f"{CHURN_SCORES}: '{name}' is no amount in {wrong} rows; look at the day's features"
            )
    probability = scores[CHURN_PROBABILITY]
    # not (0 <= p <= 1) rather than p < 0 or p > 1: it also catches what is not a number
    inside = pc.and_(pc.greater_equal(probability, 0.0), pc.less_equal(probability, 1.0))
    if not pc.all(inside).as_py():
        outside = len(scores) - pc.sum(inside).as_py()
        raise GateFailed(
            f"{CHURN_SCORES}: {outside} probabilities lie outside 0 to 1; roll the champion back"
        )


def check_churn_reasons(rows: pa.Table, scores: pa.Table) -> None:
    """Require that each explained customer's base and parts sum to the log odds of his score, each rank standing once."""
    _require_no_null(CHURN_REASONS, rows)
    _require_unique(CHURN_REASONS, rows, [CUSTOMER_ID, "rank"])
    _require_unique(CHURN_REASONS, rows, [CUSTOMER_ID, "reason"])
    summed = rows.group_by(CUSTOMER_ID).aggregate([(SHIFT_LOG_ODDS, "sum"), (BASE_LOG_ODDS, "mean")])
    beside = summed.join(scores.select([CUSTOMER_ID, CHURN_PROBABILITY]), CUSTOMER_ID)
    parts = beside[f"{SHIFT_LOG_ODDS}_sum"].to_numpy() + beside[f"{BASE_LOG_ODDS}_mean"].to_numpy()
    off = abs(parts - log_odds(beside[CHURN_PROBABILITY].to_numpy()))
    wrong = int((~(off <= ROUNDING)).sum())  # a customer without a score is off by what is not a number
    if wrong:
        raise GateFailed(
            f"{CHURN_REASONS}: of {wrong} customers the parts do not sum to the score; score the day again"
        )


def check_customer_value(rows: pa.Table, customers: pa.ChunkedArray) -> None:
    """Require one forecast for every customer that has features, none below nothing, each interval from low to high."""
    _require_a_row_each(CUSTOMER_VALUE, rows, customers)
    alive = rows["alive_probability"]
    amounts = {name: rows[name] for name in ("expected_orders", "value_cents", "value_low_cents")}
    holds = {
        "chances to be active still lie outside 0 to 1": pc.and_(
            pc.greater_equal(alive, 0.0), pc.less_equal(alive, 1.0)
        ),
        "values end below where they begin, or nowhere": pc.and_(
            pc.less_equal(rows["value_low_cents"], rows["value_high_cents"]),
            pc.is_finite(rows["value_high_cents"]),
        ),
        "next orders end before they begin, or lie in the past": pc.and_kleene(
            pc.less_equal(rows[AS_OF_DATE], rows["next_order_low_date"]),
            pc.and_kleene(
                pc.less_equal(rows["next_order_low_date"], rows["next_order_date"]),
                pc.less_equal(rows["next_order_date"], rows["next_order_high_date"]),
            ),
        ),
    } | {
        f"of '{name}' are no amount": pc.and_(pc.greater_equal(values, 0.0), pc.is_finite(values))
        for name, values in amounts.items()
    }
    for what, each in holds.items():
        # A day more than ten years ahead is null; nothing is known of it that could be wrong.
        wrong = len(rows) - pc.sum(pc.fill_null(each, True)).as_py()
        if wrong:
            raise GateFailed(f"{CUSTOMER_VALUE}: {wrong} {what}; roll the champion back")


def check_recommendations(rows: pa.Table, *, allowed: set[str], most: int) -> None:
    """Require of each list ranks 1, 2, … to `most` without a gap, and allowed products only; of each customer no product twice.

    Every reason must state what its kind says.
    """
    _require_no_null(RECOMMENDATIONS, rows)
    _require_unique(RECOMMENDATIONS, rows, [CUSTOMER_ID, QUESTION, "rank"])
    _require_unique(RECOMMENDATIONS, rows, [CUSTOMER_ID, PRODUCT_ID])
    for kind, stated in STATED.items():
        of_kind = rows.filter(pc.equal(rows["reason"], kind))
        silent = [name for name in stated if of_kind[name].null_count]
        if silent:
            raise GateFailed(f"{RECOMMENDATIONS}: '{silent[0]}' is missing for reason '{kind}'")
    wrong = set(rows[PRODUCT_ID].to_pylist()) - allowed
    if wrong:
        raise GateFailed(
            f"{RECOMMENDATIONS}: product '{min(wrong)}' may not be recommended; score the day again"
        )
    per_list = rows.group_by([CUSTOMER_ID, QUESTION]).aggregate(
        [("rank", "min"), ("rank", "max"), ("rank", "count")]
    )
    for first, last, count in zip(
        *(per_list[f"rank_{what}"].to_pylist() for what in ("min", "max", "count")),
        strict=True,
    ):
        if first != 1 or last != count or count > most:
            raise GateFailed(
                f"{RECOMMENDATIONS}: a list has {count} ranks from {first} to {last}, not 1 to {most}"
            )


def _require_a_row_each(name: str, rows: pa.Table, customers: pa.ChunkedArray) -> None:
    _require_no_null(name, rows)
    _require_unique(name, rows, [CUSTOMER_ID])
    if set(rows[CUSTOMER_ID].to_pylist()) != set(customers.to_pylist()):
        raise GateFailed(
            f"{name}: {len(rows)} customers are scored, {len(customers)} have features; score the day again"
        )


def _require_no_null(name: str, rows: pa.Table) -> None:
    for field in rows.schema:
        if not field.nullable and rows[field.name].null_count:
            raise GateFailed(f"{name}: '{field.name}' is missing in {rows[field.name].null_count} rows")


def _require_unique(name: str, rows: pa.Table, keys: list[str]) -> None:
    distinct = len(rows.group_by(keys).aggregate([]))
    if distinct != len(rows):
        raise GateFailed(f"{name}: {len(rows) - distinct} rows repeat ({', '.join(keys)})")
