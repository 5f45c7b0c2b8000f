"""Names of the published tables and of their columns, as `ml` reads and writes them."""

import pyarrow as pa

# read
CUSTOMER_FEATURES = "customer_features"
CHURN_EXAMPLES = "churn_examples"
INTERACTIONS = "interactions"
PRODUCTS = "products"

# written
CHURN_SCORES = "churn_scores"
RECOMMENDATIONS = "recommendations"
MODEL_FIGURES = "model_figures"

# models, by the name they are registered under
CHURN = "churn"
RECOMMENDER = "recommender"

CUSTOMER_ID = "customer_id"
PRODUCT_ID = "product_id"
AS_OF_DATE = "as_of_date"
HAS_CHURNED = "has_churned"
ORDERED_DATE = "ordered_date"
ORDER_COUNT = "order_count"
PRICE_CENTS = "price_cents"
LAST_SOLD_DATE = "last_sold_date"
IS_RECOMMENDABLE = "is_recommendable"
CHURN_PROBABILITY = "churn_probability"
CHURN_BAND = "churn_band"


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
        _required(CHURN_BAND, pa.string()),
        *_MADE_BY,
    ]
)
"""One row per customer. `churn_probability`: of no order in the horizon from `as_of_date`, 0 to 1."""

RECOMMENDATIONS_SCHEMA = pa.schema(
    [
        _required(CUSTOMER_ID, pa.string()),
        _required(AS_OF_DATE, pa.date32()),
        _required("rank", pa.int64()),
        _required(PRODUCT_ID, pa.string()),
        _required("score", pa.float64()),
        _required("method", pa.string()),
        pa.field("because_product_id", pa.string()),
        *_MADE_BY,
    ]
)
"""One row per customer and rank (1, 2, …). `score` orders products of one method only; it has no unit."""

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
