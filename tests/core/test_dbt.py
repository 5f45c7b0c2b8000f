"""dbt runs inside the process, gives the warehouse back, and names what failed in one sentence."""

import subprocess
import sys
from datetime import date

import duckdb
import pytest

from core.dbt import build
from core.errors import BuildFailed
from core.settings import Settings
from sources.landing import load_landing

# dbt 1.11 opens its log at each run and leaves the old one to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed file .*dbt.log:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:.*dbt.log:pytest.PytestUnraisableExceptionWarning"),
]
DAY = date(2017, 12, 4)
SHOP = {
    "customers": "customer_id,known_at\n1,2017-01-01\n",
    "products": "product_id,name,known_at\np1,Ice,2016-12-31\n",
    "orders": "order_id,customer_id,ordered_at,known_at\n"
    "o1,1,2017-01-03,2017-01-03\no2,999,2017-01-04,2017-01-04\no3,998,2018-01-01,2018-01-01\n",
    "order_lines": "order_id,line_number,product_id,quantity,list_amount,discount_amount,known_at\n"
    "o1,1,p1,1,1.99,0,2017-01-03\no1,2,p9,1,1.99,0,2017-01-03\no7,1,p1,1,1.99,0,2017-01-03\n",
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Settings:
    """A loaded shop with orders of people, and lines of orders and products, that nobody brought."""
    settings = Settings(_env_file=None, data_dir=tmp_path_factory.mktemp("shop"), token_key="k" * 40)
    for table, text in SHOP.items():
        path = settings.landing / "shop" / table / "a.csv"
        path.parent.mkdir(parents=True)
        path.write_text(text)
    load_landing(settings)
    return settings


def test_an_order_of_an_unknown_customer_is_quarantined_with_file_row_column_and_reason(shop, capfd):
    nodes = build(shop, "+rejected_rows", as_of=DAY)
    assert {"rejected_rows", "stg_shop__orders"} <= {node.name for node in nodes}
    assert {node.status for node in nodes} <= {"success", "pass"}
    # Another program may have the file at once.
    look = f"import duckdb; print(duckdb.connect({str(shop.warehouse)!r}).sql('select 1').fetchall())"
    subprocess.run([sys.executable, "-c", look], check=True, timeout=60)
    with duckdb.connect(str(shop.warehouse), read_only=True) as db:
        rows = db.sql(
            "select source_file, row_number, column_name, value, reason from shop.rejected_rows order by all"
        )
        assert rows.fetchall() == [
            ("shop/order_lines/a.csv", 2, "product_id", "p9", "is no known product"),
            ("shop/order_lines/a.csv", 3, "order_id", "o7", "is no known order"),
            ("shop/orders/a.csv", 2, "customer_id", "999", "is no known customer"),
        ]  # the order of 2018 is not known yet


def test_a_model_that_fails_is_named_in_one_sentence_beside_an_empty_stdout(shop, capfd):
    with duckdb.connect(str(shop.warehouse)) as db:
        db.execute("alter table landing.orders rename column customer_id to buyer_id")
    try:
        with pytest.raises(BuildFailed) as error:
            build(shop, "stg_shop__orders", as_of=DAY)
    finally:
        with duckdb.connect(str(shop.warehouse)) as db:
            db.execute("alter table landing.orders rename column buyer_id to customer_id")
    message = str(error.value)
    assert message.startswith("model stg_shop__orders: ")
    assert "customer_id" in message
    assert "\n" not in message
    assert capfd.readouterr().out == ""  # what a command answers goes there


def test_a_selection_that_dbt_cannot_read_is_one_sentence_too(shop):
    with pytest.raises(BuildFailed, match="dbt could not run: ") as error:
        build(shop, "nonsense:of_no_method", as_of=DAY)
    assert "\n" not in str(error.value)
