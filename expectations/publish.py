"""Write, audit, publish: marts become snapshots that other parts read, the gated ones only through their gate."""

from collections.abc import Sequence
from datetime import date

from core.durable import locked
from core.logging import get_logger
from core.published import Published
from core.settings import Settings
from core.warehouse import export
from expectations.gates import GATED, pass_gate

LISTS_ARE_MADE_FROM = (
    "ml.interactions",
    "ml.product_showings",
    "shop.products",
    "shop.customer_traits",
    "shop.product_objections",
    "shop.product_views",
)
DAILY = ("shop.landed_tables", "ml.customer_features", *LISTS_ARE_MADE_FROM, "shop.rejected_rows")
TRAINING = ("ml.churn_examples", "ml.interactions", "ml.review_texts", "shop.products")
TOUCHED = ("ml.touched_features", *LISTS_ARE_MADE_FROM)
RAISED = ("warnings.warnings_raised",)
REPORT = (
    "reports.campaign_funnel",
    "mail.mail_events",
    "warnings.churn_warnings",
    "warnings.churn_warning_figures",
)


NO_GATE = "no gate"


def publish(settings: Settings, marts: Sequence[str], as_of: date) -> dict[str, str]:
    """Publish a day of the marts, all or none; return the tables, each with the address of its gate's page.

    The answer is what a task's XCom shows, so whoever looks at a run finds the page.

    Raises
    ------
    GateFailed
        If one of them fails its gate. Then none is published.
    """
    published = Published(settings.published)
    tables = [mart.partition(".")[2] for mart in marts]
    published.root.mkdir(parents=True, exist_ok=True)
    # One at a time: a second publisher would write the candidates that the first one's gate has just judged.
    with locked(published.root / ".publishing"):
        for mart in marts:
            export(settings, mart, as_of)
        gates = {
            table: pass_gate(settings, table, as_of).page if table in GATED else NO_GATE for table in tables
        }
        published.release_together(tables, as_of)
    get_logger(__name__).info("published", as_of_date=str(as_of), tables=gates)
    return gates
