"""Shopify's exports: an order spread over rows, a discount of the whole order, a customer named by address.

The headers are those of Shopify's own exports; each expected row is worked out by hand.
"""

import os
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from core.errors import ContractBroken
from core.settings import Settings
from sources.landing import load_landing
from sources.mapping_check import check_shop
from sources.mapping_guess import start_mapping
from sources.shop_import import import_shop, open_shop

EXPORTED = datetime(2024, 10, 1, 6, tzinfo=UTC)
CUSTOMERS = """\
Customer ID,First Name,Last Name,Email,Accepts Email Marketing,Default Address Company,Default Address Address1,\
Default Address Address2,Default Address City,Default Address Province Code,Default Address Country Code,\
Default Address Zip,Default Address Phone,Phone,Accepts SMS Marketing,Total Spent,Total Orders,Note,Tax Exempt,Tags
'7001,Ada,Example,ada@example.com,yes,,,,,,GB,,,,no,47.00,1,,no,"vip, early"
'7002,Bo,Example,BO@example.com,no,,,,,,US,,,,no,25.00,1,"two
lines",no,
"""
ORDERS_HEAD = """\
Name,Email,Financial Status,Paid at,Fulfillment Status,Fulfilled at,Accepts Marketing,Currency,Subtotal,Shipping,Taxes,\
Total,Discount Code,Discount Amount,Shipping Method,Created at,Lineitem quantity,Lineitem name,Lineitem price,\
Lineitem compare at price,Lineitem sku,Lineitem requires shipping,Lineitem taxable,Lineitem fulfillment status,\
Cancelled at,Refunded Amount,Vendor,Id,Location,Lineitem discount
"""
ORDERS = (
    ORDERS_HEAD
    + """\
#1001,ada@example.com,paid,2024-09-03 10:15:00 -0400,fulfilled,,no,USD,47.00,6.00,3.29,56.29,FALL5,5.00,Standard,\
2024-09-03 10:14:00 -0400,2,Botanical Fern Print,16.00,,FERN-1,true,true,fulfilled,,0.00,Fern & Co,555,,0.00
#1001,ada@example.com,,,,,,,,,,,,,,2024-09-03 10:14:00 -0400,1,Canvas Tote Bag,20.00,,,true,true,fulfilled,,,F,,,0.00
#1002,bo@example.com,partially_refunded,,,,no,USD,25.00,0.00,0.00,25.00,,0.00,Pickup,2024-09-10 09:00:00 -0400,1,\
Speckled Mug - L,25.00,,MUG-L,true,true,fulfilled,,5.00,Clay,556,Shop 1,0.00
#1003,bo@example.com,voided,,,,no,USD,25.00,0,0,25.00,,0,Pickup,2024-09-11 09:00:00 -0400,1,Speckled Mug - L,25.00,,MUG-L,\
true,true,,2024-09-11 10:00:00 -0400,0.00,Clay,557,Shop 1,0.00
#1004,,paid,,,,no,USD,15.00,0,0,15.00,,0,,2024-09-12 09:00:00 -0400,1,Speckled Mug - S,15.00,,MUG-S,true,true,,,0.00,Clay,558,,0
#1005,ada@example.com,paid,,,,no,USD,16.50,0,0,16.50,,1.50,,2024-09-13 09:00:00 -0400,1,Gone Vase,20.00,,VASE,true,true,,,\
0.00,Clay,559,,2.00
"""
)
PRODUCTS = """\
Handle,Title,Body (HTML),Vendor,Product Category,Type,Tags,Published,Option1 Name,Option1 Value,Option2 Name,Option2 Value,\
Option3 Name,Option3 Value,Variant SKU,Variant Price,Variant Compare At Price,Cost per item,Image Src,Status
fern,Botanical Fern Print,"<p>a
b</p>",Fern & Co,Home & Garden > Decor > Artwork,Print,,true,Title,Default Title,,,,,FERN-1,16.00,20.00,6.50,x,active
tote,Canvas Tote Bag,,Fern & Co,,Bag,,true,Title,Default Title,,,,,,20.00,,,x,active
mug,Speckled Mug,,Clay,,Mug,,true,Size,S,,,,,MUG-S,15.00,15.00,4.00,x,draft
mug,,,,,,,,,L,,,,,MUG-L,25.00,,9.00,,
mug,,,,,,,,,,,,,,,,,,image2,
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    there = tmp_path / "exports"
    there.mkdir()
    for name, text in (
        ("customers_export_1", CUSTOMERS),
        ("orders_export_1", ORDERS),
        ("products_export_1", PRODUCTS),
    ):
        write(there / f"{name}.csv", text)
    start_mapping("fern", sorted(there.glob("*.csv")), there / "fern.yml", time_zone="America/New_York")
    return there


def write(path: Path, text: str, changed: datetime = EXPORTED) -> None:
    path.write_text(text)
    os.utime(path, (changed.timestamp(), changed.timestamp()))


def landed(settings: Settings, table: str, columns: str) -> list[tuple]:
    files = settings.landing / "fern" / table / "*.parquet"
    return duckdb.sql(
        f"select {columns} from read_parquet('{files}') order by file_index, file_row_number"
    ).fetchall()


def test_customers_keep_their_number_and_their_consent_as_of_the_export(settings, folder):
    import_shop(settings, open_shop(folder / "fern.yml"))
    assert landed(settings, "customers", "customer_id, email, first_name, country_code") == [
        ("7001", "ada@example.com", "Ada", "GB"), ("7002", "BO@example.com", "Bo", "US"),
    ]  # fmt: skip
    assert landed(settings, "consents", "customer_id, purpose, is_given, proof, decided_at, known_at") == [
        ("7001", "marketing", "true", "import", "2024-10-01 06:00:00", "2024-10-01 06:00:00"),
        ("7002", "marketing", "false", "import", "2024-10-01 06:00:00", "2024-10-01 06:00:00"),
    ]


def test_orders_of_customers_are_taken_once_in_utc_and_others_are_counted(settings, folder):
    counts = import_shop(settings, open_shop(folder / "fern.yml"))["orders"]
    assert landed(settings, "orders", "order_id, customer_id, store_id, ordered_at, known_at") == [
        ("#1001", "7001", None, "2024-09-03 14:14:00", "2024-09-03 14:14:00"),
        ("#1002", "7002", "Shop 1", "2024-09-10 13:00:00", "2024-09-10 13:00:00"),
        ("#1005", "7001", None, "2024-09-13 13:00:00", "2024-09-13 13:00:00"),
    ]
    assert (counts.new, counts.left_out) == (3, 2)  # one is voided, one is nobody's


def test_an_orders_discount_is_shared_out_by_amount(settings, folder):
    import_shop(settings, open_shop(folder / "fern.yml"))
    lines = landed(
        settings, "order_lines", "order_id, line_number, product_id, quantity, list_amount, discount_amount"
    )
    assert lines == [
        ("#1001", "1", "FERN-1", "2", "32.0000", "3.0769"),  # 5.00 of 52.00: 32/52 of it
        ("#1001", "2", "Canvas Tote Bag", "1", "20.0000", "1.9231"),
        ("#1002", "1", "MUG-L", "1", "25.0000", "0.0000"),
        ("#1005", "1", "VASE", "1", "20.0000", "3.5000"),  # 2.00 of its own, and what is left to 16.50
    ]


def test_each_variant_is_a_product_and_what_is_no_longer_sold_has_no_name(settings, folder):
    import_shop(settings, open_shop(folder / "fern.yml"))
    assert landed(settings, "products", "product_id, name, category, subcategory, brand, size") == [
        ("FERN-1", "Botanical Fern Print", "Print", "Artwork", "Fern & Co", None),
        ("Canvas Tote Bag", "Canvas Tote Bag", "Bag", None, "Fern & Co", None),
        ("MUG-S", None, "Mug", None, "Clay", "S"),
        ("MUG-L", None, "Mug", None, "Clay", "L"),
        ("VASE", None, None, None, None, None),
    ]
    assert landed(settings, "products", "unit_cost_amount") == [
        ("6.50",), (None,), ("4.00",), ("9.00",), (None,)
    ]  # fmt: skip
    assert landed(settings, "prices", "product_id, price_amount, list_price_amount") == [
        ("FERN-1", "16.00", "20.00"), ("Canvas Tote Bag", "20.00", None), ("MUG-S", "15.00", None), ("MUG-L", "25.00", None),
    ]  # fmt: skip


def test_the_next_export_lands_what_changed_and_the_contract_holds(settings, folder):
    shop = open_shop(folder / "fern.yml")
    import_shop(settings, shop)
    later = datetime(2024, 10, 2, 6, tzinfo=UTC)
    write(
        folder / "customers_export_1.csv", CUSTOMERS.replace("BO@example.com,no", "BO@example.com,yes"), later
    )
    write(folder / "products_export_1.csv", PRODUCTS.replace("16.00,20.00", "18.00,20.00"), later)
    counts = import_shop(settings, shop)
    moved = {table: (found.new, found.changed) for table, found in counts.items()}
    assert moved == {
        "orders": (0, 0), "order_lines": (0, 0), "customers": (0, 0), "products": (0, 0), "consents": (0, 1), "prices": (0, 1)
    }  # fmt: skip
    report = load_landing(settings)
    assert report.rejects["orders"] == 0
    assert sum(report.rejects.values()) == 0


def test_older_and_newer_headers_are_understood(settings, folder):
    renamed = {
        "Handle,": "URL handle,",
        "Variant SKU": "SKU",
        "Variant Price": "Price",
        "Option1 Value": "Option1 value",
    }
    text = PRODUCTS
    for old, new in renamed.items():
        text = text.replace(old, new)
    write(folder / "products_export_1.csv", text)
    import_shop(settings, open_shop(folder / "fern.yml"))
    assert ("MUG-L", "25.00") in landed(settings, "prices", "product_id, price_amount")


def test_a_look_says_what_is_left_out_and_what_is_no_export(settings, folder):
    report = check_shop(settings, open_shop(folder / "fern.yml"), rows=1000)
    assert (report.is_ready, report.missing, report.wrong) == (True, [], [])
    assert any("2 rows are left out" in note for note in report.notes)
    assert not any(text.startswith(("no consents", "no prices")) for text in report.off)
    write(folder / "orders_export_1.csv", ORDERS.replace("Lineitem price", "Price"))
    with pytest.raises(
        ContractBroken, match="is no export of orders from Shopify: it has no column 'Lineitem price'"
    ):
        import_shop(settings, open_shop(folder / "fern.yml"))
