"""Names of the published tables and of their columns, as `ml` reads and writes them."""

import pyarrow as pa

# read
CUSTOMER_FEATURES = "customer_features"
CHURN_EXAMPLES = "churn_examples"
INTERACTIONS = "interactions"
PRODUCTS = "products"
PRODUCT_OBJECTIONS = "product_objections"
PRODUCT_VIEWS = "product_views"
PRODUCT_SHOWINGS = "product_showings"
CUSTOMER_TRAITS = "customer_traits"
TOUCHED_FEATURES = "touched_features"
REVIEW_TEXTS = "review_texts"
WARNINGS_RAISED = "warnings_raised"
CHURN_WARNING_FIGURES = "churn_warning_figures"

# written
CHURN_SCORES = "churn_scores"
CHURN_WATCH = "churn_watch"
WATCH_RECOMMENDATIONS = "watch_recommendations"
CHURN_REASONS = "churn_reasons"
RECOMMENDATIONS = "recommendations"
REMOVALS = "recommendation_removals"
QUESTION = "question"
BECAUSE_PRODUCT_ID = "because_product_id"
LAST_BOUGHT_DATE = "last_bought_date"
EVERY_DAYS = "every_days"
BUYER_COUNT = "buyer_count"
NEIGHBOUR_COUNT = "neighbour_count"
SEGMENTS = "segments"
SEGMENT_PROFILES = "segment_profiles"
CUSTOMER_VALUE = "customer_value"
MODEL_FIGURES = "model_figures"
SCORE_DRIFT = "score_drift"

# models, by the name they are registered under
CHURN = "churn"
RECOMMENDER = "recommender"
SEGMENTATION = "segments"
LIFETIME = "lifetime"
SENTIMENT = "sentiment"

CUSTOMER_ID = "customer_id"
REVIEW_ID = "review_id"
STARS = "stars"
BODY = "body"
PRODUCT_ID = "product_id"
AS_OF_DATE = "as_of_date"
HAS_CHURNED = "has_churned"
ORDERED_DATE = "ordered_date"
LINE_COUNT = "line_count"
PRICE_CENTS = "price_cents"
LAST_SOLD_DATE = "last_sold_date"
LAST_VIEWED_DATE = "last_viewed_date"
FIRST_KNOWN_DATE = "first_known_date"
IS_RECOMMENDABLE = "is_recommendable"
CATEGORY = "category"
SUBCATEGORY = "subcategory"
BRAND = "brand"
COST_CENTS = "cost_cents"
STOCK_COUNT = "stock_count"
CHURN_PROBABILITY = "churn_probability"
CHURN_BAND = "churn_band"
VALUE_AT_STAKE_CENTS = "value_at_stake_cents"
EXPECTED_PROFIT_CENTS = "expected_profit_cents"
BASE_LOG_ODDS = "base_log_odds"
SHIFT_LOG_ODDS = "shift_log_odds"
SEGMENT_ID = "segment_id"
SEGMENT_NAME = "segment_name"


def _required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


_MADE_BY = [
    _required("model_name", pa.string()),
    _required("model_version", pa.string()),
    _required("run_id", pa.string()),
]

CHURN_SCORES_SCHEMA = pa.schema(
    [
        _required(CUSTOMER_ID, pa.string()),
        _required(AS_OF_DATE, pa.date32()),
        _required(CHURN_PROBABILITY, pa.float64()),
        pa.field("churn_probability_low", pa.float64()),
        pa.field("churn_probability_high", pa.float64()),
        _required(CHURN_BAND, pa.string()),
        _required(VALUE_AT_STAKE_CENTS, pa.float64()),
        _required(EXPECTED_PROFIT_CENTS, pa.float64()),
        *_MADE_BY,
    ]
)
"""One row per customer. `churn_probability`: of no order in the horizon from `as_of_date`, 0 to 1. Its bounds hold it in
eight of ten shops as small as this one; null from a model that was judged, whose calibration error says how far it is off.
`value_at_stake_cents`: the margin the customer brings in the horizon if kept. `expected_profit_cents`: what treating them
brings over leaving them alone, under the shop's terms (`ml/churn/money.py`)."""

CHURN_REASONS_SCHEMA = pa.schema(
    [
        _required(CUSTOMER_ID, pa.string()),
        _required(AS_OF_DATE, pa.date32()),
        _required("rank", pa.int64()),
        _required("reason", pa.string()),
        _required(SHIFT_LOG_ODDS, pa.float64()),
        _required(BASE_LOG_ODDS, pa.float64()),
        _required("own_value", pa.float64()),
        pa.field("usual_value", pa.float64()),
        pa.field("segment_value", pa.float64()),
        pa.field("shop_value", pa.float64()),
        pa.field(SEGMENT_ID, pa.string()),
        _required("text", pa.string()),
        *_MADE_BY,
    ]
)
"""One row per warned customer and group of features (`ml.churn.groups`); rank 1 raised the score most. `base_log_odds`, the
typical customer's, and all shifts of a customer sum to the log odds of `churn_probability`. A shift above 0 speaks for a
lapse. The values are the feature the group states, in its own unit: now, by the customer's own past (null: too little of
it), of the typical customer of the segment (null: no segments) and of the shop. `text`: all of it in English words."""

LISTS_SCHEMA = pa.schema(
    [
        _required(CUSTOMER_ID, pa.string()),
        _required(QUESTION, pa.string()),
        _required("rank", pa.int64()),
        _required(PRODUCT_ID, pa.string()),
        _required("score", pa.float64()),
        _required("method", pa.string()),
        _required("reason", pa.string()),
        pa.field(BECAUSE_PRODUCT_ID, pa.string()),
        pa.field(LAST_BOUGHT_DATE, pa.date32()),
        pa.field(EVERY_DAYS, pa.float64()),
        pa.field(BUYER_COUNT, pa.int64()),
        pa.field(NEIGHBOUR_COUNT, pa.int64()),
    ]
)
"""What a recommender says. `reason`: a `Kind` of `ml.recommend.reasons`. `because_product_id`: of the reason *viewed* a product the
customer looked at, else one they bought. `last_bought_date`: when the customer last bought it or, for what is bought again, the product itself. `every_days`: median gap between the customer's shopping days
with it. `buyer_count` of the `neighbour_count` customers most alike bought it."""

RECOMMENDATIONS_SCHEMA = pa.schema([*LISTS_SCHEMA, _required(AS_OF_DATE, pa.date32()), *_MADE_BY])
"""One row per customer, question ("new", "again") and rank (1, 2, …). `score` orders products of one method only; it has no unit."""

REMOVALS_SCHEMA = pa.schema(
    [
        _required(AS_OF_DATE, pa.date32()),
        _required("rule", pa.string()),
        pa.field(QUESTION, pa.string()),
        _required("pair_count", pa.int64()),
        _required("customer_count", pa.int64()),
        _required("product_count", pa.int64()),
        pa.field("off_because", pa.string()),
    ]
)
"""One row per rule of trade and question: of the pairs of a customer and a product in trade that the question is about, how many
the rule forbade (a pair that two rules forbid counts for both); for `in_stock` and `category_caps`, how many it kept off lists. A rule whose
data the shop does not bring has one row without a question, which says why."""

SEGMENTS_SCHEMA = pa.schema(
    [
        _required(CUSTOMER_ID, pa.string()),
        _required(AS_OF_DATE, pa.date32()),
        _required(SEGMENT_ID, pa.string()),
        _required(SEGMENT_NAME, pa.string()),
        _required("segment_distance", pa.float64()),
        _required("segment_confidence", pa.float64()),
        _required("rfm_recency", pa.int64()),
        _required("rfm_frequency", pa.int64()),
        _required("rfm_monetary", pa.int64()),
        _required("rfm_cell", pa.string()),
        *_MADE_BY,
    ]
)
"""One row per customer. `segment_distance`: to the centre of his segment, in standard deviations over all features
together. `segment_confidence`: 0 on the border of two segments, 1 at a centre. RFM scores 1 to 5, 5 is the best fifth."""

SEGMENT_PROFILES_SCHEMA = pa.schema(
    [
        _required(SEGMENT_ID, pa.string()),
        _required(AS_OF_DATE, pa.date32()),
        _required(SEGMENT_NAME, pa.string()),
        _required("customers_count", pa.int64()),
        _required("feature", pa.string()),
        pa.field("difference", pa.float64()),
        pa.field("segment_mean", pa.float64()),
        pa.field("everybody_mean", pa.float64()),
        *_MADE_BY,
    ]
)
"""One row per segment and feature. `difference`: mean of the segment less the mean of everybody, in standard deviations as
the model sees the feature; the two means are in the feature's own unit, over customers of whom it is known. Null for a
segment without customers, or where nobody's value is known."""

CUSTOMER_VALUE_SCHEMA = pa.schema(
    [
        _required(CUSTOMER_ID, pa.string()),
        _required(AS_OF_DATE, pa.date32()),
        _required("horizon_days", pa.int64()),
        _required("alive_probability", pa.float64()),
        _required("expected_orders", pa.float64()),
        _required("value_cents", pa.float64()),
        _required("value_low_cents", pa.float64()),
        _required("value_high_cents", pa.float64()),
        pa.field("next_order_date", pa.date32()),
        pa.field("next_order_low_date", pa.date32()),
        pa.field("next_order_high_date", pa.date32()),
        *_MADE_BY,
    ]
)
"""One row per customer. `expected_orders` (days with an order) and `value_cents` (what they come to): the means over the
`horizon_days` from `as_of_date`; the bounds hold what will be spent in eight of ten. `alive_probability`: to be a customer
still, 0 to 1. `next_order_date`: the middle of what may happen *if the customer comes back at all*, and its bounds hold
the day of eight of ten who do; null: more than ten years ahead, or from somebody who has almost surely left
(`alive_probability` below 0.05)."""

MODEL_FIGURES_SCHEMA = pa.schema(
    [
        _required(AS_OF_DATE, pa.date32()),
        *_MADE_BY,
        _required("trained_as_of_date", pa.date32()),
        _required("metric", pa.string()),
        _required("value", pa.float64()),
        pa.field("baseline_name", pa.string()),
        pa.field("baseline_value", pa.float64()),
        _required("is_champion", pa.bool_()),
    ]
)
"""One row per model version, metric and baseline; a metric no baseline has stands once, without one."""

SCORE_DRIFT_SCHEMA = pa.schema(
    [
        _required(AS_OF_DATE, pa.date32()),
        _required("feature", pa.string()),
        _required("measure", pa.string()),
        _required("value", pa.float64()),
        _required("bound", pa.float64()),
        _required("is_alert", pa.bool_()),
        *_MADE_BY,
    ]
)
"""One row per feature of the churn model, and two for its score. `measure`: psi, the population stability index against
training, or mean_shift, the mean score less that of training. `is_alert`: it lies beyond its bound, on either side."""
