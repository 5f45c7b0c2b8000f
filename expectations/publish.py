"""Write, audit, publish: marts become snapshots that other parts read, the gated ones only through their gate."""

from collections.abc import Sequence
from datetime import date

from core.logging import get_logger
from core.published import Published
from core.settings import Settings
from core.warehouse import export
from expectations.gates import GATED, pass_gate

DAILY = ("ml.customer_features", "ml.interactions", "shop.products", "shop.rejected_rows")
TRAINING = ("ml.churn_examples", "ml.interactions", "shop.products")
REPORT = ("reports.campaign_funnel", "mail.mail_events")


def publish(settings: Settings, marts: Sequence[str], as_of: date) -> list[str]:
    """Publish a day of the marts, all or none; return the names of the tables.

    Raises
    ------
    GateFailed
        If one of them fails its gate. Then none is published.
    """
    tables = [mart.partition(".")[2] for mart in marts]
    for mart in marts:
        export(settings, mart, as_of)
    for table in tables:
        if table in GATED:
            pass_gate(settings, table, as_of)
    for table in tables:
        Published(settings.published).release(table, as_of)
    get_logger(__name__).info("published", as_of_date=str(as_of), tables=tables)
    return tables
