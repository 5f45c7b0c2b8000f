"""A running shop database: only the change moves, nothing at the watermark is lost or doubled, nothing is written.

`TEST_SHOP_ORDERS=1000000` pulls the full size; the suite pulls 20,000.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError

from core.errors import ContractBroken, SettingsError
from core.settings import Settings
from sources.arrivals import Counts
from sources.database import pulled, read_only, shop_url
from sources.mapping_check import check_shop
from sources.shop_import import import_shop, open_shop
from tests.faults.postgresql import new_database, running_postgresql

ORDERS = int(os.environ.get("TEST_SHOP_ORDERS", "20000"))
MAPPING = """\
source: huber
time_zone: Europe/Berlin
tables:
  orders:
    table: public.bestellungen
    changed: geaendert
    columns: {order_id: id, customer_id: kundeNr, ordered_at: bestellt}
"""
CREATE = """
    create table bestellungen (
        id bigint primary key, "kundeNr" bigint, bestellt timestamp, geheim text, geaendert timestamptz)"""
# A hundred orders share each value of `geaendert`.
FILL = """
    insert into bestellungen
    select i, i % 997, timestamp '2024-01-01' + i * interval '1 second', 'secret',
        timestamptz '2024-01-01 00:00Z' + (i / 100) * interval '100 second'
    from generate_series(cast(:first as bigint), :last) as i"""


@pytest.fixture(scope="module")
def server(tool_path: Callable[[str], Path]) -> Iterator[Path]:
    with running_postgresql(tool_path("postgresql").parent) as folder:
        yield folder


@pytest.fixture
def database(server: Path) -> Iterator[Engine]:
    engine = create_engine(new_database(server))
    with engine.begin() as connection:
        connection.execute(text(CREATE))
    yield engine
    engine.dispose()


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    path = tmp_path / "huber.yml"
    path.write_text(MAPPING)
    return path


def change(database: Engine, sql: str, **values: object) -> None:
    with database.begin() as connection:
        connection.execute(text(sql), values)


def settings_of(settings: Settings, database: Engine) -> Settings:
    url = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    return settings.model_copy(update={"shop_database": SecretStr(url)})


def versions(settings: Settings) -> dict[str, str]:
    """Return order → customer by the newest version that is landed."""
    files = settings.landing / "huber" / "orders" / "*.parquet"
    rows = duckdb.sql(f"select order_id, arg_max(customer_id, known_at) from '{files}' group by 1").fetchall()
    return dict(rows)


def in_the_shop(database: Engine) -> dict[str, str]:
    with database.connect() as connection:
        rows = connection.execute(text('select id, "kundeNr" from bestellungen')).all()
    return {str(row[0]): str(row[1]) for row in rows}


@pytest.mark.needs("postgresql")
@pytest.mark.timeout(900)
def test_of_a_shop_that_changed_a_little_only_the_change_moves(settings, database, mapping):
    settings, shop = settings_of(settings, database), open_shop(mapping)
    change(database, FILL, first=1, last=ORDERS)
    assert import_shop(settings, shop)["orders"] == Counts(files=1, rows=ORDERS, new=ORDERS)

    share = ORDERS // 400  # a quarter of a per cent changed, as many new
    late = "timestamptz '2024-06-01 00:00Z'"
    change(database, f'update bestellungen set "kundeNr" = -1, geaendert = {late} where id % 400 = 0')
    change(database, FILL, first=ORDERS + 1, last=ORDERS + share)
    change(database, f"update bestellungen set geaendert = {late} where id > :last", last=ORDERS)
    moved = import_shop(settings, shop)["orders"]
    at_the_watermark = ORDERS % 100 + 1  # that many share the value where the first pull ended
    assert (moved.new, moved.changed) == (share, share)
    assert 2 * share <= moved.rows <= 2 * share + at_the_watermark
    assert versions(settings) == in_the_shop(database)

    again = import_shop(settings, shop)["orders"]
    assert (again.new, again.changed) == (0, 0)


@pytest.mark.needs("postgresql")
def test_rows_that_share_the_watermark_are_neither_lost_nor_doubled(settings, database, mapping):
    settings, shop = settings_of(settings, database), open_shop(mapping)
    same = "timestamptz '2024-03-01 12:00Z'"
    row = f"insert into bestellungen values (:id, :kunde, timestamp '2024-02-01', 'x', {same})"
    change(database, row, id=1, kunde=7)
    import_shop(settings, shop)
    change(database, row, id=2, kunde=8)  # in the very moment up to which was read
    change(database, f'update bestellungen set "kundeNr" = 9, geaendert = {same} where id = 1')
    change(database, "insert into bestellungen values (3, 5, timestamp '2024-02-01', 'x', null)")
    assert import_shop(settings, shop)["orders"] == Counts(files=1, rows=3, new=2, changed=1)
    assert versions(settings) == {"1": "9", "2": "8", "3": "5"}
    assert import_shop(settings, shop)["orders"] == Counts(files=1, rows=3, unchanged=3)


@pytest.mark.needs("postgresql")
def test_what_was_pulled_but_not_landed_is_landed_by_the_next_import(settings, database, mapping):
    settings, shop = settings_of(settings, database), open_shop(mapping)
    change(database, FILL, first=1, last=500)

    def die_before_landing() -> None:
        with pulled(settings, shop.mapping, settings.landing / "huber"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        die_before_landing()
    import_shop(settings, shop)
    assert versions(settings) == in_the_shop(database)
    assert not list((settings.landing / "huber" / ".pull" / "pulled" / "orders").glob("*.parquet"))


@pytest.mark.needs("postgresql")
def test_removing_the_landed_files_of_a_source_starts_its_watermark_anew(settings, database, mapping):
    import shutil

    settings, shop = settings_of(settings, database), open_shop(mapping)
    change(database, FILL, first=1, last=500)
    import_shop(settings, shop)
    shutil.rmtree(settings.landing / "huber")
    assert import_shop(settings, shop)["orders"].new == 500


@pytest.mark.needs("postgresql")
def test_only_mapped_columns_are_read_and_nothing_can_be_written(settings, database, mapping, monkeypatch):
    settings, shop = settings_of(settings, database), open_shop(mapping)
    change(database, FILL, first=1, last=100)
    with pulled(settings, shop.mapping, settings.landing / "huber") as files:
        (path,) = files["orders"]
        columns = [row[0] for row in duckdb.sql(f"describe from '{path}'").fetchall()]
    assert set(columns) == {"id", "kundeNr", "bestellt", "geaendert"}
    engine = read_only(shop_url(settings))
    with engine.connect() as connection, pytest.raises(DBAPIError, match="read-only"):
        connection.execute(text("delete from bestellungen"))
    engine.dispose()


@pytest.mark.needs("postgresql")
def test_a_look_at_a_database_lands_nothing_and_moves_no_watermark(settings, database, mapping):
    settings, shop = settings_of(settings, database), open_shop(mapping)
    change(database, FILL, first=1, last=500)
    report = check_shop(settings, shop, rows=100)
    assert report.rows == {"orders": 100}
    assert not report.wrong
    assert any(text.startswith("customers") for text in report.missing)
    assert not settings.landing.exists()
    assert import_shop(settings, shop)["orders"].new == 500


@pytest.mark.needs("postgresql")
@pytest.mark.parametrize(
    ("said", "wrong", "complaint"),
    [
        ("public.bestellungen", "public.weg", "orders: the shop's database has no table 'public.weg'"),
        (
            "changed: geaendert",
            "changed: weg",
            "orders: public.bestellungen has no column 'weg'; it has bestellt, ge",
        ),
        (
            "order_id: id",
            "order_id: weg",
            "orders: public.bestellungen has no column 'weg'; it has bestellt, ge",
        ),
    ],
)
def test_a_table_or_column_that_is_not_there_is_named_and_can_be_mended(
    settings, database, mapping, said, wrong, complaint
):
    settings, right = settings_of(settings, database), mapping.read_text()
    change(database, FILL, first=1, last=10)
    mapping.write_text(right.replace(said, wrong))
    with pytest.raises(ContractBroken, match=complaint):
        import_shop(settings, open_shop(mapping))
    mapping.write_text(right)
    assert import_shop(settings, open_shop(mapping))["orders"].new == 10


def test_the_address_of_a_mysql_shop_gets_the_driver_that_is_here(settings):
    for said in (
        "mysql://reader:s%40crt@db.example:3307/shop",
        "mariadb+mysqldb://reader:s%40crt@db.example:3307/shop",
    ):
        url = shop_url(settings.model_copy(update={"shop_database": SecretStr(said)}))
        assert (url.drivername, url.host, url.port, url.database) == (
            "mysql+pymysql",
            "db.example",
            3307,
            "shop",
        )
        assert url.password == "s@crt"


@pytest.mark.parametrize("said", ["", "no address", "oracle://reader:hunter2@db.example/shop"])
def test_a_missing_or_foreign_address_is_refused_without_showing_it(settings, said):
    with pytest.raises(SettingsError, match="LAPWING_SHOP_DATABASE") as refused:
        shop_url(settings.model_copy(update={"shop_database": SecretStr(said)}))
    assert "hunter2" not in str(refused.value)


def test_a_database_that_does_not_answer_is_said_without_login_or_address(settings, mapping, free_port):
    said = f"postgresql://reader:hunter2@127.0.0.1:{free_port}/shop"
    with pytest.raises(ContractBroken, match="the shop's database cannot be read") as refused:
        import_shop(settings.model_copy(update={"shop_database": SecretStr(said)}), open_shop(mapping))
    assert "hunter2" not in str(refused.value)
    assert "reader" not in str(refused.value)


def test_dlt_calls_nobody_and_keeps_nothing_outside_the_data_folder(
    settings, mapping, free_port, tmp_path, monkeypatch
):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    said = f"postgresql://reader:hunter2@127.0.0.1:{free_port}/shop"
    with pytest.raises(ContractBroken):
        import_shop(settings.model_copy(update={"shop_database": SecretStr(said)}), open_shop(mapping))
    from dlt.common.configuration.resolve import resolve_configuration
    from dlt.common.configuration.specs import RuntimeConfiguration

    assert resolve_configuration(RuntimeConfiguration()).dlthub_telemetry is False
    assert not (tmp_path / "home").exists()
