"""What must hold of `customer_features` before a model scores it."""

from datetime import date

import great_expectations.expectations as gxe
from great_expectations.expectations.metadata_types import FailureSeverity

CRITICAL, WARNING = FailureSeverity.CRITICAL, FailureSeverity.WARNING

COUNTS = ("orders_7d_count", "orders_30d_count", "orders_90d_count", "orders_lifetime_count")
SHARES = (
    "discount_share",
    "category_1_share",
    "category_2_share",
    "category_3_share",
    "weekend_share",
    "morning_share",
    "evening_share",
    "usual_hour_share",
    "own_brand_share",
)
REQUIRED = ("customer_id", "as_of_date", "recency_days", "tenure_days", *COUNTS, *SHARES)
"""Whatever else is asked of a column is asked of its values only: without these, a row of nulls would pass."""


def expectations(as_of: date) -> list[gxe.Expectation]:
    """Return the suite for one day. Critical: a wrong mail could follow. Warning: a person should look."""
    return [
        # A day without rows would leave yesterday's in place, so the count is a gate of its own.
        gxe.ExpectTableRowCountToBeBetween(min_value=1, severity=CRITICAL),
        *(gxe.ExpectColumnValuesToNotBeNull(column=name, severity=CRITICAL) for name in REQUIRED),
        gxe.ExpectColumnValuesToBeUnique(column="customer_id", severity=CRITICAL),
        gxe.ExpectColumnValuesToBeBetween(
            column="as_of_date", min_value=as_of, max_value=as_of, severity=CRITICAL
        ),
        gxe.ExpectColumnValuesToBeBetween(column="recency_days", min_value=0, severity=CRITICAL),
        gxe.ExpectColumnPairValuesAToBeGreaterThanB(
            column_A="tenure_days", column_B="recency_days", or_equal=True, severity=CRITICAL
        ),
        gxe.ExpectColumnPairValuesAToBeGreaterThanB(
            column_A="orders_90d_count", column_B="orders_30d_count", or_equal=True, severity=CRITICAL
        ),
        *(gxe.ExpectColumnValuesToBeBetween(column=name, min_value=0, severity=CRITICAL) for name in COUNTS),
        *(
            gxe.ExpectColumnValuesToBeBetween(column=name, min_value=0, max_value=1, severity=CRITICAL)
            for name in SHARES
        ),
        # A quarter of the base ordering in one week is a feast; nobody ordering for a week is a broken export.
        gxe.ExpectColumnMinToBeBetween(column="recency_days", min_value=0, max_value=7, severity=WARNING),
        gxe.ExpectColumnMeanToBeBetween(
            column="basket_mean_lines", min_value=1, max_value=200, severity=WARNING
        ),
    ]
