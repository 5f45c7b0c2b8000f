"""A look at a shop says in plain words what is missing, wrong and switched off; a first mapping is guessed."""

from datetime import date
from pathlib import Path

import pytest
import yaml

from core.errors import ContractBroken
from simulation.exports import export_shop
from sources.contract import contracts
from sources.mapping import load_mapping
from sources.mapping_check import check_shop
from sources.mapping_guess import start_mapping, words
from sources.shop_import import import_shop, open_shop

FILES = ("kunden", "bestellungen", "positionen", "artikel")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An exported shop with its mapping, complete."""
    there = tmp_path / "shop"
    export_shop(there, customers=40, days=60, seed=1, first_day=date(2024, 1, 1))
    start_mapping(
        "huber", [there / f"{name}.csv" for name in FILES], there / "huber.yml", time_zone="Europe/Berlin"
    )
    replace(there / "huber.yml", "FILL_IN", "Warenwert")
    return there


def replace(path: Path, old: str, new: str, count: int = -1) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, count), encoding="utf-8")


def append(path: Path, *lines: str) -> None:
    path.write_text(
        path.read_text(encoding="utf-8") + "".join(line + "\n" for line in lines), encoding="utf-8"
    )


def test_a_shop_in_order_is_ready_and_every_optional_table_it_lacks_is_named(settings, folder):
    report = check_shop(settings, open_shop(folder / "huber.yml"), rows=100_000)
    assert (report.is_ready, report.missing, report.wrong) == (True, [], [])
    absent = {name for name, each in contracts().items() if not each.required} - {"consents", "mail_events"}
    assert {text.split(":")[0] for text in report.off} == {f"no {name}" for name in absent}
    assert report.rows["customers"] == 40
    assert not settings.landing.exists()


def test_findings_are_counted_with_their_rows_and_an_example_but_no_address(settings, folder):
    replace(folder / "kunden.csv", "reader.c1@example.com", "reader.c1 at example.com")
    orders = len((folder / "bestellungen.csv").read_text().splitlines()) - 1
    append(folder / "bestellungen.csv", "x1;c1;1;31.02.2024 10:00:00", "x2;c1;1;gestern", "x3;c1")
    append(folder / "bestellungen.csv", "x4;niemand;1;01.02.2024 10:00:00", "x5;c1;1;vorgestern")
    report = check_shop(settings, open_shop(folder / "huber.yml"), rows=100_000)
    total = orders + 5
    assert f"orders: 3 of {total} rows: ordered_at is not a timestamp (bestellungen.csv, row {orders + 1}, {orders + 2}, {orders + 5}; for example '31.02.2024 10:00:00')" in report.wrong  # fmt: skip
    assert (
        f"orders: 1 of {total} rows: a line has too few values (bestellungen.csv, row {orders + 3})"
        in report.wrong
    )
    assert any(
        text.startswith("customers: 1 of 40 rows: email is no ")
        and text.endswith("(kunden.csv, row 1); only the value is lost, the row stays")
        for text in report.wrong
    )
    assert any(text.startswith("orders: 1 rows name a customer_id that customers does not have (for example 'niemand')") for text in report.wrong)  # fmt: skip
    assert not any("c1 at" in text for text in report.wrong)


def test_too_many_wrong_rows_make_a_shop_unready_and_an_import_refuses_them_too(settings, folder):
    replace(folder / "huber.yml", "dates: '%d.%m.%Y %H:%M:%S'", "dates: '%m/%d/%Y'")
    shop = open_shop(folder / "huber.yml")
    report = check_shop(settings, shop, rows=100_000)
    assert not report.is_ready
    assert any(text.startswith("orders: ") and "more than 1% allow" in text for text in report.wrong)
    with pytest.raises(ContractBroken, match="more than 1% allow"):
        import_shop(settings, shop)


def test_rows_that_contradict_each_other_are_found_and_mere_repetitions_are_not(settings, folder):
    first = (folder / "artikel.csv").read_text().splitlines()[1]
    append(folder / "artikel.csv", first, first.replace("Bakery Cereal", "Bakery Muesli"))
    report = check_shop(settings, open_shop(folder / "huber.yml"), rows=100_000)
    assert next(text for text in report.wrong if "of 50 rows" in text).startswith(
        "products: 1 of 50 rows: product_id says something else than an earlier row of the same key (product_id)"
    )


def test_what_is_required_and_absent_is_missing(settings, folder):
    text = (folder / "huber.yml").read_text()
    start, end = text.index("  products:"), text.index("  consents:")
    (folder / "huber.yml").write_text(text[:start] + text[end:])
    (folder / "positionen.csv").unlink()
    report = check_shop(settings, open_shop(folder / "huber.yml"), rows=100_000)
    assert not report.is_ready
    assert any(found.startswith("products: the mapping has no such table") for found in report.missing)
    assert any("no file is called 'positionen.csv'" in found for found in report.missing)


def test_a_short_look_reads_only_the_first_rows_and_judges_no_references(settings, folder):
    append(folder / "bestellungen.csv", "x4;niemand;1;01.02.2024 10:00:00")
    report = check_shop(settings, open_shop(folder / "huber.yml"), rows=10)
    assert set(report.rows.values()) == {10}
    assert report.wrong == []


# ---- a first mapping


def test_a_mapping_without_samples_asks_for_every_required_column(tmp_path):
    start_mapping("leer", [], tmp_path / "leer.yml", time_zone="Europe/Berlin")
    said = yaml.safe_load((tmp_path / "leer.yml").read_text())
    for name, contract in contracts().items():
        if contract.required:
            needed = {column.name for column in contract.columns if not column.nullable} - {"known_at"}
            assert set(said["tables"][name]["columns"]) == needed
    load_mapping(tmp_path / "leer.yml")


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("orders.csv", "Order ID,Customer ID,Order Date,SKU,Qty,Unit Price\n"
         "1,7,03/25/2024,A,2,1.50\n1,7,03/25/2024,B,1,2.00\n2,8,12/01/2024,A,1,1.50\n",
         {"orders": {"repeats": True, "dates": "%m/%d/%Y"}, "order_lines": {}}),
        ("clients.csv", "id_client;courriel;prénom\n1;a@example.com;Zoé\n", {"customers": {"delimiter": ";"}}),
        ("kunden.csv", "Kunden-Nr.\tE-Mail\n1\ta@example.com\n", {"customers": {"delimiter": "\t"}}),
    ],
)  # fmt: skip
def test_tables_and_ways_of_writing_are_recognised(tmp_path, name, text, expected):
    (tmp_path / name).write_bytes(text.encode("windows-1252"))
    start_mapping("huber", [tmp_path / name], tmp_path / "huber.yml", time_zone="Europe/Berlin")
    said = yaml.safe_load((tmp_path / "huber.yml").read_text())["tables"]
    guessed = {table: found for table, found in said.items() if found["files"] != "FILL_IN.csv"}
    assert set(guessed) == set(expected)
    for table, wanted in expected.items():
        assert {key: guessed[table].get(key) for key in wanted} == wanted
    if "order_lines" in guessed:
        assert guessed["order_lines"]["columns"]["list_amount"] == {"from": "Unit Price", "times": "Qty"}
        assert guessed["order_lines"]["columns"]["line_number"] == {"position_in": "Order ID"}
    load_mapping(tmp_path / "huber.yml")


def test_countries_by_name_costs_and_birth_years_are_recognised(tmp_path):
    (tmp_path / "kunden.csv").write_text(
        "Kundennr,E-Mail,Land,Geburtsjahr\n1,a@example.com,Deutschland,1985\n2,b@example.com,États-Unis,1990\n"
        "3,c@example.com,AT,\n"
    )
    (tmp_path / "artikel.csv").write_text("Artikelnr,Bezeichnung,Einkaufspreis\nA,Tee,1.50\n")
    start_mapping("huber", sorted(tmp_path.glob("*.csv")), tmp_path / "huber.yml", time_zone="Europe/Berlin")
    said = yaml.safe_load((tmp_path / "huber.yml").read_text())["tables"]
    assert said["customers"]["columns"]["birth_year"] == "Geburtsjahr"
    assert said["customers"]["columns"]["country_code"] == {
        "from": "Land",
        "values": {"Deutschland": "DE", "États-Unis": "US"},
    }
    assert said["products"]["columns"]["unit_cost_amount"] == "Einkaufspreis"


def test_a_mapping_that_is_there_is_not_written_over(tmp_path):
    (tmp_path / "huber.yml").write_text("mine")
    with pytest.raises(ContractBroken, match=r"huber\.yml is there already"):
        start_mapping("huber", [], tmp_path / "huber.yml", time_zone="Europe/Berlin")
    with pytest.raises(ContractBroken, match="is no name of a source"):
        start_mapping("Huber GmbH", [], tmp_path / "other.yml", time_zone="Europe/Berlin")
    assert (tmp_path / "huber.yml").read_text() == "mine"


def test_every_word_we_guess_by_stands_for_a_column_that_exists():
    for table, columns in words().items():
        assert set(columns) <= {column.name for column in contracts()[table].columns}
        assert all(word == word.lower() and word.isalnum() for each in columns.values() for word in each)
