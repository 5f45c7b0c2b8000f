"""The feature models as dbt compiles them, to run in a DuckDB in memory: a build in a third of a second.

dbt itself costs seconds per build, and properties want thousands of builds. Each model is compiled three times: as for
an empty warehouse, as for one in which it has been built before (then changes, rollups and the table of measures only
append), and as for one whose table of measures has grown long and is written whole.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from core.dbt import DBT_PROJECT, run_dbt
from core.settings import Settings
from sources.landing import make_landing_tables

SELECT = "+customer_features,resource_type:model"
VARIABLES = '{{as_of_date: "{day}", shop_time_zone: America/New_York}}'


@dataclass(frozen=True)
class Model:
    """One relation: how it is made the first time, after that, and when measures are written whole."""

    name: str
    first: str
    later: str
    whole: str
    is_view: bool
    is_appended_to: bool


class CompiledFeatures:
    """Every relation under `customer_features`, in the order in which they are built."""

    def __init__(self, settings: Settings, day: date) -> None:
        """Build thrice, on landing tables that are empty; `settings` name a folder in which there is no warehouse yet.

        dbt's own `compile` takes every model for one that was never built.
        """
        settings.data_dir.mkdir(parents=True)
        self._day = day
        with duckdb.connect(str(settings.warehouse)) as db:
            _create_schemas(db)
        first, later = _compiled(settings, day), _compiled(settings, day)
        with duckdb.connect(str(settings.warehouse)) as db:
            db.execute(f"insert into {MEASURES} (customer_id, version) values ('c1', 1)")
        whole = _compiled(settings, day)
        self._models = [_model(name, first, later, whole) for name in _in_order(first)]
        assert [model.name for model in self._models if model.later != model.whole] == [MEASURES]
        going_on = [model for model in self._models if model.first != model.later]
        assert sum(model.is_appended_to for model in going_on) > 5
        assert sum(model.name.endswith("_measured") for model in going_on) == 8

    def empty_warehouse(self) -> duckdb.DuckDBPyConnection:
        """Return a DuckDB in memory with the landing tables of the contract, all empty."""
        db = duckdb.connect()
        db.execute("attach ':memory:' as warehouse; use warehouse; set threads = 1")
        _create_schemas(db)
        return db

    def build(
        self, db: duckdb.DuckDBPyConnection, day: date | None = None, *, whole: bool = False
    ) -> list[dict[str, object]]:
        """Build every relation on what has landed; return the features of a day (the compiled one), by customer.

        `whole`: the table of measures is written whole, as one that has grown long is.
        """
        tables = {f"{schema}.{table}" for schema, table in db.execute(TABLES).fetchall()}
        for model in self._models:
            sql = model.first
            if model.name in tables:
                sql = model.whole if whole else model.later
            sql = sql.replace(f"'{self._day}'", f"'{day or self._day}'")
            if model.is_view:
                db.execute(f"create or replace view {model.name} as {sql}")
            elif model.is_appended_to and model.name in tables and not (whole and model.name == MEASURES):
                db.execute(f"insert into {model.name} by name {sql}")
            else:
                db.execute(f"create or replace table {model.name} as {sql}")
        found = db.sql("from ml.customer_features order by customer_id")
        return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


MEASURES = "intermediate.int_customers_measured"
TABLES = "select schema_name, table_name from duckdb_tables()"


def _create_schemas(db: duckdb.DuckDBPyConnection) -> None:
    make_landing_tables(db)
    for schema in ("staging", "intermediate", "ml"):
        db.execute(f"create schema if not exists {schema}")


def _model(name: str, *compiled: dict[str, tuple[str, str]]) -> Model:
    folder = compiled[0][name][0]
    first, later, whole = (models[name][1] for models in compiled)
    # The mart replaces its day, and one day is all there is here.
    is_appended_to = name.endswith(("_changed", "_rolled", "_customers_measured"))
    return Model(f"{folder}.{name}", first, later, whole, folder == "staging", is_appended_to)


def _compiled(settings: Settings, day: date) -> dict[str, tuple[str, str]]:
    run_dbt(settings, ["run", "--select", SELECT, "--vars", VARIABLES.format(day=day)])
    root = settings.data_dir / "dbt" / "compiled" / "lapwing" / "models"
    written = [(file, DBT_PROJECT / "models" / file.relative_to(root)) for file in root.rglob("*.sql")]
    return {
        file.stem: (_schema(file), file.read_text().replace('"build".', '"warehouse".'))
        for file, source in written
        if source.exists() and '"ephemeral"' not in source.read_text()  # tests lie there too
    }


def _schema(file: Path) -> str:
    return next(part for part in ("staging", "intermediate", "marts") if part in file.parts).replace(
        "marts", "ml"
    )


def _in_order(models: dict[str, tuple[str, str]]) -> list[str]:
    """Return the names so that each stands behind those it reads."""
    ordered: list[str] = []
    while len(ordered) < len(models):
        for name, (_, sql) in models.items():
            reads = {other for other in models if other != name and f'"{other}"' in sql}
            if name not in ordered and reads <= set(ordered):
                ordered.append(name)
    return ordered
