"""What must hold of `campaign_plan` before a single mail is rendered."""

from datetime import date
from pathlib import Path

import great_expectations.expectations as gxe
import pyarrow.parquet as pq
from great_expectations.expectations.row_conditions import Column

from core.published import Published
from expectations.audit import Audit
from expectations.measures import CRITICAL

VERDICTS = (
    "no_consent",
    "suppressed",
    "not_reachable",
    "exited",
    "too_soon",
    "held_out",
    "frequency_capped",
    "no_coupon",
    "outranked",
    "no_content",
    "planned",
)
REQUIRED = (
    "send_id",
    "campaign_id",
    "customer_id",
    "as_of_date",
    "verdict",
    "arm",
    "propensity",
    "send_at",
    "template_version",
    "locale",
)
"""Whatever else is asked of a column is asked of its values only: without these, a row of nulls would pass."""
OF_A_MAIL = ("facts", "evidence")
"""Required of what is planned."""


def audit(candidate: Path, published: Published, as_of: date) -> Audit:
    """Return the rows of a plan and what must hold of each; a plan is not compared with other days."""
    return Audit(pq.ParquetFile(candidate).read().to_pandas(), expectations(as_of))


def expectations(as_of: date) -> list[gxe.Expectation]:
    """Return the suite for one day. An empty plan is a quiet day, not a fault."""
    planned = Column("verdict") == "planned"
    return [
        *(gxe.ExpectColumnValuesToNotBeNull(column=name, severity=CRITICAL) for name in REQUIRED),
        *(
            gxe.ExpectColumnValuesToNotBeNull(column=name, row_condition=planned, severity=CRITICAL)
            for name in OF_A_MAIL
        ),
        gxe.ExpectColumnValuesToBeUnique(column="send_id", severity=CRITICAL),
        gxe.ExpectColumnValuesToBeBetween(
            column="as_of_date", min_value=as_of, max_value=as_of, severity=CRITICAL
        ),
        gxe.ExpectColumnValuesToBeInSet(column="verdict", value_set=list(VERDICTS), severity=CRITICAL),
        gxe.ExpectColumnValuesToBeInSet(column="arm", value_set=["treatment", "holdout"], severity=CRITICAL),
        gxe.ExpectColumnValuesToBeBetween(
            column="propensity", min_value=0, strict_min=True, max_value=1, severity=CRITICAL
        ),
        # Nobody gets two mails on one day, and nobody who is held out gets any.
        gxe.ExpectColumnValuesToBeUnique(column="customer_id", row_condition=planned, severity=CRITICAL),
        gxe.ExpectColumnValuesToBeInSet(
            column="arm",
            value_set=["treatment"],
            row_condition=planned,
            severity=CRITICAL,
        ),
        gxe.ExpectColumnValuesToMatchRegex(column="send_id", regex="^[0-9a-f]{32}$", severity=CRITICAL),
        # No address has a place in a published table.
        *(
            gxe.ExpectColumnValuesToNotMatchRegex(column=name, regex="@[A-Za-z0-9-]+[.]", severity=CRITICAL)
            for name in OF_A_MAIL
        ),
    ]
