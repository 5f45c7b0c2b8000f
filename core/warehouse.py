"""The one DuckDB file, opened for as short as can be: one process at a time may have it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import duckdb

from core.errors import NotPublished
from core.published import Published
from core.settings import Settings

KEYS = {
    "ml.customer_features": "customer_id",
    "ml.churn_examples": "as_of_date, customer_id",
    "ml.touched_features": "customer_id",
    "ml.interactions": "customer_id, product_id, ordered_date",
    "ml.product_showings": "send_id, place",
    "shop.landed_tables": "table_name",
    "shop.products": "product_id",
    "shop.customer_traits": "customer_id",
    "shop.product_objections": "customer_id, product_id",
    "shop.product_views": "customer_id, product_id",
    "shop.rejected_rows": "table_name, source_file, row_number, column_name",
    "campaigns.campaign_plan": "campaign_id, customer_id, step",
    "reports.campaign_funnel": "campaign_id",
    "mail.mail_events": "event_id",
    "warnings.warnings_raised": "warning_id",
    "warnings.churn_warnings": "raised_date, warning_id",
    "warnings.churn_warning_figures": "churn_band, ladder_step, treatment",
}
"""The marts that leave the warehouse, and the order of their rows: the same rows give the same bytes."""

DAY_COLUMNS = {"ml.customer_features": "as_of_date", "warnings.warnings_raised": "raised_date"}
"""Marts that keep other days too, and the column that tells which."""

SELECTIONS = {
    "ml.touched_features": "ml.customer_features semi join ml.touched_customers using (customer_id, as_of_date)"
}
"""Tables that leave as rows of a mart, under its contract and a name of their own: a day's `customer_features` are whole."""


STORAGE = "v1.5.0"
"""DuckDB's format of a new warehouse file. Its default can be read by versions of years ago; this one keeps repeated
strings as a dictionary, which joins and sums by customer read in less time."""


def writing(settings: Settings) -> duckdb.DuckDBPyConnection:
    """Open the warehouse to change it; the first time makes the file."""
    # As in dbt's profiles.yml: blocks of rows that are not full are not written again to be put together.
    return duckdb.connect(
        str(settings.warehouse), config={"storage_compatibility_version": STORAGE, "max_vacuum_tasks": "0"}
    )


@contextmanager
def reading(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the warehouse to look.

    Raises
    ------
    NotPublished
        If nothing has been built yet.
    """
    if not settings.warehouse.exists():
        raise NotPublished("there is no warehouse yet; run `lapwing features build --as-of DATE` first")
    with duckdb.connect(str(settings.warehouse), read_only=True) as connection:
        yield connection


def export(settings: Settings, mart: str, as_of: date) -> Path:
    """Write a day of a mart (`schema.name`) as the candidate snapshot of a published table; return the file.

    Raises
    ------
    NotPublished
        If the warehouse has no such mart yet.
    """
    published, table = Published(settings.published), mart.partition(".")[2]
    rows = SELECTIONS.get(mart, mart)
    day = f"where {DAY_COLUMNS[mart]} = date '{as_of}'" if mart in DAY_COLUMNS else ""
    with reading(settings) as connection, published.new_candidate(table, as_of) as path:
        connection.execute("set memory_limit = '3GB'")  # as in profiles.yml; what does not fit spills
        try:
            connection.execute(f"copy (from {rows} {day} order by {KEYS[mart]}) to '{path}' (format parquet)")
        except duckdb.CatalogException:
            raise NotPublished(f"the warehouse has no {mart} yet; build it for {as_of} first") from None
    return published.candidate(table, as_of)
