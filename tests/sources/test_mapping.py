"""A shop's own files, mapped: the same rows in the contract's words, nothing twice, nothing lost, known when it was known."""

import os
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.errors import ContractBroken
from core.settings import Settings
from simulation.exports import export_shop
from simulation.shop import simulate_shop
from sources.arrivals import Counts
from sources.contract import contracts
from sources.landing import load_landing
from sources.mapping import load_mapping
from sources.mapping_guess import start_mapping
from sources.shop_import import import_shop, open_shop

EXPORTED = datetime(2024, 6, 1, 3, 30, tzinfo=UTC)
HEAD = "source: huber\ntime_zone: Europe/Berlin\ntables:\n"
ORDERS = """\
  orders:
    files: orders*.csv
    dates: "%d.%m.%Y %H:%M"
    columns: {order_id: Nr, customer_id: Kunde, ordered_at: Datum}
"""
LINES = """\
  order_lines:
    files: lines*.csv
    delimiter: ";"
    decimal: ","
    thousands: "."
    columns:
      order_id: Nr
      line_number: {position_in: Nr}
      product_id: Artikel
      quantity: Menge
      list_amount: {from: Preis, times: Menge}
      discount_amount: {from: Rabatt, empty: "0"}
"""


class Shop:
    """A folder with a mapping and files, and the landing files made of them."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder = folder
        self.settings = settings

    def write(self, name: str, text: str | bytes, changed: datetime = EXPORTED) -> None:
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        os.utime(path, (changed.timestamp(), changed.timestamp()))

    def map(self, *tables: str) -> None:
        self.write("huber.yml", HEAD + "".join(tables))

    def bring(self) -> dict[str, Counts]:
        return import_shop(self.settings, open_shop(self.folder / "huber.yml"))

    def landed(self, table: str, columns: str = "*") -> list[tuple]:
        files = self.settings.landing / "huber" / table / "*.parquet"
        return duckdb.sql(
            f"select {columns} from read_parquet('{files}', filename = true) order by filename, file_row_number"
        ).fetchall()


@pytest.fixture
def shop(tmp_path: Path, settings: Settings) -> Shop:
    folder = tmp_path / "shop"
    folder.mkdir()
    return Shop(folder, settings)


# ---- the same shop in other clothes


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Warehouses of one simulated shop: landed as it is, and exported in German, guessed, mapped, landed."""
    size = {"customers": 60, "days": 90, "seed": 3}
    first_day = date(2024, 1, 1)
    root = tmp_path_factory.mktemp("both")
    plain = Settings(_env_file=None, data_dir=root / "plain", token_key="k" * 40)
    mapped = Settings(_env_file=None, data_dir=root / "mapped", token_key="k" * 40)
    simulate_shop(plain.landing / "simulated", first_day=first_day, **size)
    export_shop(root, first_day=first_day, **size)
    samples = [root / f"{name}.csv" for name in ("kunden", "bestellungen", "positionen", "artikel")]
    start_mapping("huber", samples, root / "huber.yml", time_zone="Europe/Berlin")
    text = (root / "huber.yml").read_text().replace("FILL_IN", "Warenwert")
    (root / "huber.yml").write_text(text)
    import_shop(mapped, open_shop(root / "huber.yml"))
    for each in (plain, mapped):
        assert not any(load_landing(each).rejects.values())
    return plain.warehouse, mapped.warehouse


@pytest.mark.parametrize(
    ("table", "apart"),
    [
        ("customers", "time_zone"),  # the German system has none
        ("orders", ""),
        ("order_lines", ""),
        ("products", "known_at"),  # nor when a product came in: it counts from the first order
        ("consents", "proof"),  # nor how it was given
    ],
)
def test_a_shop_exported_in_german_and_mapped_back_is_the_same_shop(both, table, apart):
    left_out = ", ".join(filter(None, ["source_file", "source_row", "load_number", apart]))
    rows = []
    for warehouse in both:
        with duckdb.connect(str(warehouse), read_only=True) as db:
            rows.append(
                sorted(db.sql(f"select * exclude ({left_out}) from landing.{table}").fetchall(), key=str)
            )
    assert len(rows[0]) > 40
    assert rows[0] == rows[1]


# ---- cells


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("05.03.2024 10:00", "2024-03-05 09:00:00"),  # Berlin is an hour ahead in winter
        ("05.07.2024 10:00", "2024-07-05 08:00:00"),  # and two in summer
        ("2024-03-05T10:00:00Z", "2024-03-05 10:00:00"),
        ("2024-03-05 10:00:00+0200", "2024-03-05 08:00:00"),
        ("2024-03-05 10:00:00 -05:30", "2024-03-05 15:30:00"),
        ("2024-03-05 10:00:00.250", "2024-03-05 09:00:00.25"),
        ("2024-03-05", "2024-03-04 23:00:00"),  # its midnight, in Berlin
        ("31.02.2024 10:00", "31.02.2024 10:00"),  # there is no such day: left as it is
        ("gestern", "gestern"),
    ],
)
def test_a_moment_is_put_into_utc_or_left_as_it_is(shop, said, meant):
    rows = "".join(f"B{number},1,05.03.2024 10:00\n" for number in range(200))  # so that one bad row is few
    shop.write("orders.csv", f"Nr,Kunde,Datum\nA,1,{said}\n{rows}")
    shop.map(ORDERS)
    shop.bring()
    assert shop.landed("orders", "ordered_at")[0] == (meant,)


@pytest.mark.parametrize(
    ("price", "quantity", "amount"),
    [
        ("1.234,50 €", "2", "2469.0000"),
        ("EUR 3,10", "1", "3.1000"),
        ("12", "3", "36.0000"),
        ("1234,5", "1", "1234.5000"),
        ("-1,00", "1", "-1.0000"),  # the contract refuses it later
        ("12.50", "1", "12.50 x 1 (not written as the mapping says)"),
        ("1.2345", "1", "1.2345 x 1 (not written as the mapping says)"),
        ("gratis", "1", "gratis x 1"),
    ],
)
def test_a_number_is_read_as_the_mapping_says_or_not_at_all(shop, price, quantity, amount):
    rows = "B;A1;1;1,00;\n" * 200
    shop.write("lines.csv", f"Nr;Artikel;Menge;Preis;Rabatt\nA;A1;{quantity};{price};\n{rows}")
    shop.map(LINES)
    shop.bring()
    assert shop.landed("order_lines", "list_amount, discount_amount")[0] == (amount, "0")
    assert [row[0] for row in shop.landed("order_lines", "line_number")[:3]] == ["1", "1", "2"]


def test_words_constants_cents_and_filters_do_what_they_say(shop):
    shop.write("k.csv", "Nr,Sprache,Status\n1,DEUTSCH,aktiv\n2,Englisch,aktiv\n3,,gesperrt\n4,,aktiv\n")
    shop.write("p.csv", "Nr,Cent,Seit\n1,199,1717200000\n1,199,1717200000\n2,5,1717200001\n")
    shop.map(
        """\
  customers:
    files: k.csv
    only: {Status: aktiv}
    columns:
      customer_id: Nr
      locale: {from: Sprache, values: {Deutsch: de, Englisch: en}, empty: zh}
      country_code: {value: NO}
  prices:
    files: p.csv
    repeats: true
    dates: epoch_seconds
    columns: {product_id: Nr, price_amount: {from: Cent, in_cents: true}, valid_from: Seit}
"""
    )
    counts = shop.bring()
    assert shop.landed("customers", "customer_id, locale, country_code") == [
        ("1", "de", "NO"), ("2", "en", "NO"), ("4", "zh", "NO")
    ]  # fmt: skip
    assert shop.landed("prices", "product_id, price_amount, valid_from") == [
        ("1", "1.9900", "2024-06-01 00:00:00"), ("2", "0.0500", "2024-06-01 00:00:01")
    ]  # fmt: skip
    assert (counts["customers"].left_out, counts["prices"].left_out) == (1, 1)


@pytest.mark.parametrize("name", ["k.csv", "k.parquet"])
@pytest.mark.parametrize(
    ("column", "landed"),
    [("birth_year", ["1985", "1992", None]), ("birthday", ["12-31", "02-29", None])],
)
def test_of_a_date_of_birth_the_year_or_the_day_is_landed_and_no_more(shop, name, column, landed):
    if name == "k.csv":
        shop.write(name, "Nr,Geboren\n1,31.12.1985\n2,29.02.1992\n3,\n")
    else:
        born = pa.array([date(1985, 12, 31), date(1992, 2, 29), None])
        pq.write_table(pa.table({"Nr": ["1", "2", "3"], "Geboren": born}), shop.folder / name)
    columns = f"{{customer_id: Nr, {column}: {{from: Geboren, dates: '%d.%m.%Y'}}}}"
    shop.map(f"  customers: {{files: {name}, columns: {columns}}}\n")
    shop.bring()
    assert shop.landed("customers", f"customer_id, {column}") == list(zip("123", landed, strict=True))


def test_what_is_a_year_or_a_day_already_is_landed_as_it_is(shop):
    shop.write("k.csv", "Nr,Jahr,Tag\n1,1990,07-14\n")
    dates = "dates: '%d.%m.%Y'"
    columns = f"{{customer_id: Nr, birth_year: {{from: Jahr, {dates}}}, birthday: {{from: Tag, {dates}}}}}"
    shop.map(f"  customers: {{files: k.csv, columns: {columns}}}\n")
    shop.bring()
    assert shop.landed("customers", "birth_year, birthday") == [("1990", "07-14")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "windows-1252", "utf-16"])
def test_files_in_any_encoding_keep_their_letters(shop, encoding):
    shop.write("k.csv", "Nr;Größe\n1;Jürgen Œ\n".encode(encoding))
    shop.map(
        f"  customers: {{files: k.csv, delimiter: ;, encoding: {encoding}, columns: {{customer_id: Nr, first_name: Größe}}}}\n"
    )
    shop.bring()
    assert shop.landed("customers", "first_name") == [("Jürgen Œ",)]


def test_json_lines_and_parquet_are_read_with_their_own_types(shop):
    shop.write("p.jsonl", '{"nr": 7, "titel": "Tee \\"grün\\"", "x.y": "Tee"}\n{"nr": 8}\n')
    pq.write_table(
        pa.table({
            "nr": pa.array([1, 2]),
            "kunde": ["a", "b"],
            "am": pa.array([date(2024, 3, 5), date(2024, 3, 6)]),
        }),
        shop.folder / "orders.parquet",
    )  # fmt: skip
    shop.map(
        """\
  orders: {files: orders.parquet, columns: {order_id: nr, customer_id: kunde, ordered_at: am}}
  products: {files: p.jsonl, columns: {product_id: nr, name: titel, category: x.y}}
"""
    )
    shop.bring()
    assert shop.landed("orders", "order_id, ordered_at") == [
        ("1", "2024-03-04 23:00:00"),
        ("2", "2024-03-05 23:00:00"),
    ]
    assert shop.landed("products", "product_id, name, category") == [
        ("7", 'Tee "grün"', "Tee"),
        ("8", None, None),
    ]


# ---- nothing twice, nothing lost


def order_rows(*rows: str) -> str:
    return "Nr,Kunde,Datum\n" + "".join(row + "\n" for row in rows)


def test_importing_twice_lands_nothing_twice_whatever_the_file_is_called(shop):
    shop.write("orders.csv", order_rows("A,1,05.03.2024 10:00", "B,2,06.03.2024 10:00"))
    shop.map(ORDERS)
    assert shop.bring()["orders"] == Counts(files=1, rows=2, new=2)
    assert shop.bring()["orders"] == Counts()
    (shop.folder / "orders.csv").rename(shop.folder / "orders_again.csv")
    assert shop.bring()["orders"] == Counts(files=1, rows=2, unchanged=2)
    assert len(shop.landed("orders")) == 2


def test_a_new_export_of_everything_lands_what_is_new_or_changed_only(shop):
    shop.write("orders.csv", order_rows("A,1,05.03.2024 10:00", "B,2,06.03.2024 10:00"))
    shop.map(ORDERS)
    shop.bring()
    later = datetime(2024, 6, 2, 3, 30, tzinfo=UTC)
    rows = ("A,1,05.03.2024 10:00", "B,9,06.03.2024 10:00", "C,1,07.03.2024 10:00", "D,1,01.02.2024 10:00")
    shop.write("orders.csv", order_rows(*rows), later)
    assert shop.bring()["orders"] == Counts(files=1, rows=4, new=2, changed=1, unchanged=1)
    known = dict(sorted(shop.landed("orders", "order_id, known_at")))  # of two versions the later
    assert known == {
        "A": "2024-03-05 09:00:00",  # the first import: its own moment
        "B": "2024-06-02 03:30:00",  # changed: known when the file says so
        "C": "2024-03-07 09:00:00",  # new, and in its turn: its own moment
        "D": "2024-06-02 03:30:00",  # new, but older than what was there before: it came late
    }
    back = order_rows("B,2,06.03.2024 10:00")
    shop.write("orders.csv", back, datetime(2024, 6, 3, 3, 30, tzinfo=UTC))
    assert shop.bring()["orders"].changed == 1  # back to what it was is a change too


def test_lines_are_known_with_their_order_and_products_since_the_first(shop):
    shop.write("orders.csv", order_rows("A,1,05.03.2024 10:00", "B,2,06.03.2024 10:00"))
    shop.write("lines.csv", "Nr;Artikel;Menge;Preis;Rabatt\nB;A1;1;1,00;\nA;A1;1;1,00;0,50\n")
    shop.write("p.csv", "Nr\nA1\n")
    shop.map(LINES, ORDERS, "  products: {files: p.csv, columns: {product_id: Nr}}\n")
    shop.bring()
    assert shop.landed("order_lines", "order_id, known_at") == [
        ("B", "2024-03-06 09:00:00"), ("A", "2024-03-05 09:00:00")
    ]  # fmt: skip
    assert shop.landed("products", "known_at") == [("2024-03-05 09:00:00",)]


def test_an_order_of_the_future_stays_there_and_is_rejected(shop):
    good = [f"B{number},1,05.03.2024 10:00" for number in range(200)]
    shop.write("orders.csv", order_rows("A,1,05.03.2035 10:00", *good))
    shop.map(ORDERS)
    shop.bring()
    assert shop.landed("orders", "known_at")[0] == ("2024-06-01 03:30:00",)


def test_a_decision_without_a_date_is_landed_again_only_when_it_changed(shop):
    table = """\
  consents:
    files: k.csv
    columns:
      customer_id: Nr
      purpose: {value: marketing}
      is_given: {from: News, values: {ja: true, nein: false}}
      decided_at: {file_time: true}
"""
    shop.write("k.csv", "Nr,News\n1,ja\n2,nein\n")
    shop.map(table)
    shop.bring()
    shop.write("k.csv", "Nr,News\n1,ja\n2,ja\n", datetime(2024, 6, 2, tzinfo=UTC))
    assert shop.bring()["consents"] == Counts(files=1, rows=2, changed=1, unchanged=1)
    assert shop.landed("consents", "customer_id, is_given, decided_at")[-1] in {
        ("2", "true", "2024-06-02 00:00:00"), ("2", "false", "2024-06-01 03:30:00")
    }  # fmt: skip


def test_a_broken_value_and_a_broken_line_end_in_the_quarantine_with_their_reason(shop, settings):
    good = [f"B{number},1,05.03.2024 10:00" for number in range(300)]
    shop.write("orders.csv", order_rows("A,1,31.02.2024 10:00", *good, "C,1", "D,1,05.03.2024 10:00,x"))
    shop.write("k.csv", "Nr\n1\n")
    shop.write("p.csv", "Nr\nA1\n")
    shop.write("lines.csv", "Nr;Artikel;Menge;Preis;Rabatt\nB1;A1;1;1,00;\n")
    shop.map(LINES, ORDERS, "  customers: {files: k.csv, columns: {customer_id: Nr}}\n"
             "  products: {files: p.csv, columns: {product_id: Nr}}\n")  # fmt: skip
    counts = shop.bring()["orders"]
    assert (counts.rows, counts.unreadable) == (303, 2)
    assert load_landing(settings).rejects["orders"] == 3
    with duckdb.connect(str(settings.warehouse)) as db:
        rejects = db.sql(
            "select row_number, column_name, value, reason from landing.rejected_rows order by 1"
        ).fetchall()
    assert rejects == [
        (1, "ordered_at", "31.02.2024 10:00", "is not a timestamp"),
        (302, "ordered_at", "line 303: has too few values", "is not a timestamp"),
        (303, "ordered_at", "line 304: has too many values", "is not a timestamp"),
    ]


def test_an_import_of_mostly_broken_rows_is_refused_and_leaves_nothing(shop):
    shop.write("orders.csv", order_rows("A,1,2024/13/05", "B,1,05.03.2024 10:00"))
    shop.map(ORDERS)
    with pytest.raises(
        ContractBroken,
        match=r"orders: 1 of 2 rows break .* 'ordered_at' is not a timestamp \(row 1 of orders",
    ):
        shop.bring()
    assert not list((shop.settings.landing / "huber").glob("orders/[!.]*"))
    shop.write("orders.csv", order_rows("A,1,05.03.2024 10:00"))
    assert shop.bring()["orders"].new == 1
    assert [path.name[:7] for path in (shop.settings.landing / "huber" / "orders").iterdir()] == ["orders-"]


# ---- mappings that are none


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: [", "cannot be read"),
        ("source: huber\n", "time_zone: Field required"),
        (HEAD, "tables"),
        (HEAD.replace("Europe/Berlin", "Berlin") + ORDERS, "time_zone: 'Berlin' is no IANA time zone"),
        (HEAD.replace("huber", "../up") + ORDERS, "source"),
        (HEAD + ORDERS.replace("orders:", "bestellungen:", 1), "no table is called so"),
        (HEAD + ORDERS.replace("order_id", "order_nr"), "no column of 'orders' is called so"),
        (HEAD + ORDERS.replace("%d.%m.%Y %H:%M", "%Q"), "is no date format"),
        (HEAD + ORDERS.replace("Nr", "{from: Nr, value: 1}"), "needs exactly one of from, value"),
        (HEAD + ORDERS + "    delimeter: x\n", "delimeter: Extra inputs are not permitted"),
        (HEAD + ORDERS.replace("files", "table"), "needs `changed`"),
    ],
)
def test_a_wrong_mapping_is_refused_in_one_sentence_that_names_the_place(tmp_path, text, complaint):
    path = tmp_path / "huber.yml"
    path.write_text(text)
    with pytest.raises(ContractBroken) as refused:
        load_mapping(path)
    assert complaint in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("other.csv", "Nr,Kunde,Datum\n", r"no file is called 'orders\*.csv'"),
        ("orders.csv", "", "not even a line of column names"),
        ("orders.csv", "Nr,Nr,Datum\n", "has the column 'Nr' twice"),
        ("orders.csv", "Nr,Datum\nA,1\n", "no column 'Kunde', which the mapping names for customer_id; it has Nr, Datum"),
        ("orders.csv", 'Nr,Kunde,Datum\nA,"1,x\nB,2,y\n', "line 2: a quote is opened and never closed"),
        ("orders.csv", "Nr,Gr\xf6\xdfe\n".encode("latin-1"), "is not written in utf-8"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_as_mapped_is_refused_whole(shop, name, content, complaint):
    shop.write(name, content)
    shop.map(ORDERS)
    with pytest.raises(ContractBroken, match=complaint):
        shop.bring()


def test_a_mapping_without_a_required_column_is_refused_with_its_meaning(shop):
    shop.write("orders.csv", order_rows())
    shop.map(ORDERS.replace("customer_id: Kunde, ", ""))
    with pytest.raises(ContractBroken, match="the mapping of 'orders' lacks 'customer_id': Who ordered"):
        shop.bring()
    assert "orders" in contracts()
