"""The gates find every violation planted, stop for the critical ones, and let a good day and a quiet day through."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Any

import pyarrow as pa
import pytest

from core.errors import GateFailed, NotPublished
from core.published import Published
from core.settings import Settings
from expectations import campaign_plan, customer_features
from expectations.gates import GateReport, pass_gate

DAY = date(2017, 12, 4)
ROWS = 160  # two for each plant
SUITES = {"customer_features": customer_features.expectations, "campaign_plan": campaign_plan.expectations}
SCHEMAS = {
    "customer_features": pa.schema(
        [("customer_id", pa.string()), ("as_of_date", pa.date32())]
        + [
            (name, pa.int64())
            for name in (
                "recency_days",
                "tenure_days",
                "orders_7d_count",
                "orders_30d_count",
                "orders_90d_count",
                "orders_lifetime_count",
            )
        ]
        + [
            (name, pa.float64())
            for name in (
                "basket_mean_lines",
                "discount_share",
                "category_1_share",
                "category_2_share",
                "category_3_share",
                "weekend_share",
                "morning_share",
                "evening_share",
                "usual_hour_share",
                "own_brand_share",
            )
        ]
    ),
    "campaign_plan": pa.schema(
        [(name, pa.string()) for name in ("send_id", "campaign_id", "customer_id")]
        + [
            ("as_of_date", pa.date32()),
            ("verdict", pa.string()),
            ("arm", pa.string()),
            ("propensity", pa.float64()),
        ]
        + [("send_at", pa.timestamp("us"))]
        + [(name, pa.string()) for name in ("template_version", "locale", "facts", "evidence")]
    ),
}
Row = dict[str, Any]
Rows = list[Row]
Plant = Callable[[Rows, int], None]


def feature(number: int) -> Row:
    """A customer of 20 quiet days, who then ordered on each of the last `number` days, up to 90."""
    orders = 1 + number % 90
    return (
        {name: 0.25 for name in SCHEMAS["customer_features"].names if name.endswith("_share")}
        | {"customer_id": f"c{number}", "as_of_date": DAY, "recency_days": 1, "tenure_days": orders + 20}
        | {"orders_7d_count": min(orders, 7), "orders_30d_count": min(orders, 30), "orders_90d_count": orders}
        | {
            "orders_lifetime_count": orders,
            "basket_mean_lines": 2.5,
            "category_3_share": 0.0,
            "weekend_share": 1.0,
        }
    )


def planned(number: int) -> Row:
    return {
        "send_id": f"{number:032x}",
        "campaign_id": "winback",
        "customer_id": f"c{number}",
        "as_of_date": DAY,
        "verdict": "planned",
        "arm": "treatment",
        "propensity": 0.9 if number % 2 else 1.0,
        "send_at": datetime.fromisoformat("2017-12-04 15:00:00"),
        "template_version": "0123456789ab",
        "locale": "de",
        "facts": '{"first_name": "Käthe", "products": [{"name": "Eis @ Home", "price_cents": 349}]}',
        "evidence": '{"audience_rule": "likely to lapse", "scores": []}',
    }


MAKERS = {"customer_features": feature, "campaign_plan": planned}


def set_to(column: str, value: object) -> Plant:
    def plant(rows: Rows, at: int) -> None:
        rows[at][column] = value

    return plant


def same_as_the_next(column: str, **both: object) -> Plant:
    def plant(rows: Rows, at: int) -> None:
        rows[at] |= both
        rows[at + 1] |= both | {column: rows[at][column]}

    return plant


def everywhere(column: str, value: object) -> Plant:
    def plant(rows: Rows, at: int) -> None:
        for row in rows:
            row[column] = value

    return plant


def nulls(*columns: str) -> dict[str, Plant]:
    return {f"not_be_null {name}": set_to(name, None) for name in columns}


SHARES = [name for name in SCHEMAS["customer_features"].names if name.endswith("_share")]
COUNTS = [name for name in SCHEMAS["customer_features"].names if name.endswith("_count")]
EMPTY: dict[str, dict[str, Plant]] = {
    "customer_features": {"row_count_to_be_between the table": lambda rows, at: rows.clear()},
    "campaign_plan": {},
}
CRITICAL: dict[str, dict[str, Plant]] = {
    "customer_features": {
        **nulls("customer_id", "as_of_date", "recency_days", "tenure_days", *COUNTS, *SHARES),
        "be_unique customer_id": same_as_the_next("customer_id"),
        "be_between as_of_date": set_to("as_of_date", date(2017, 12, 3)),
        "be_between recency_days": set_to("recency_days", -1),
        "a_to_be_greater_than_b tenure_days": set_to("tenure_days", 0),
        "a_to_be_greater_than_b orders_90d_count": set_to("orders_90d_count", 0),
        **{f"be_between {name}": set_to(name, -1) for name in COUNTS},
        **{
            f"be_between {name}": set_to(name, value)
            for name, value in zip(
                SHARES, [-0.01, 1.01, float("inf"), -1.0, 2.0, 1.5, -0.5, 100.0, 1.0001], strict=True
            )
        },
    },
    "campaign_plan": {
        **nulls("send_id", "campaign_id", "customer_id", "as_of_date", "verdict", "arm", "propensity"),
        **nulls("send_at", "template_version", "facts", "evidence", "locale"),
        "be_unique send_id": same_as_the_next("send_id"),
        "be_between as_of_date": set_to("as_of_date", date(2017, 12, 5)),
        "be_in_set verdict": set_to("verdict", "approved"),
        "be_in_set arm": set_to("arm", "control"),
        "be_between propensity": set_to("propensity", 0.0),
        "be_unique customer_id where planned": same_as_the_next("customer_id"),
        "be_in_set arm where planned": set_to("arm", "holdout"),
        "match_regex send_id": set_to("send_id", "A" * 32),
        "not_match_regex facts": set_to("facts", '{"first_name": "ada@example.com"}'),
        "not_match_regex evidence": set_to("evidence", '{"audience_rule": "is ada@example.com"}'),
    },
}
WARNING: dict[str, dict[str, Plant]] = {
    "customer_features": {
        "min_to_be_between recency_days": everywhere("recency_days", 9),
        "mean_to_be_between basket_mean_lines": everywhere("basket_mean_lines", 0.5),
    },
    "campaign_plan": {},
}
ALL = [
    pytest.param(table, label, plant, severity, id=f"{table}: {label}")
    for severity, plants in (("critical", EMPTY), ("critical", CRITICAL), ("warning", WARNING))
    for table in SUITES
    for label, plant in plants[table].items()
]


def rows_of(table: str, count: int = ROWS) -> Rows:
    return [MAKERS[table](number) for number in range(count)]


def arrow(table: str, rows: Rows) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=SCHEMAS[table])


def label_of(expectation: Any) -> str:
    """The words this test has for an expectation: what it asks, of which column, of which rows."""
    asks = expectation.expectation_type.removeprefix("expect_").replace("column_values_to_", "")
    asks = asks.replace("column_pair_values_", "").replace("table_", "").replace("column_", "")
    column = getattr(expectation, "column", None) or getattr(expectation, "column_A", "the table")
    return f"{asks} {column}" + (" where planned" if getattr(expectation, "row_condition", None) else "")


@cache
def suite(table: str) -> dict[str, Any]:
    listed = SUITES[table](DAY)
    by_label = {label_of(expectation): expectation for expectation in listed}
    assert len(by_label) == len(listed)
    return by_label


@dataclass(frozen=True)
class Judge:
    """Great Expectations without gate, store or pages: judges one expectation in some milliseconds."""

    batches: Any

    def accepts(self, table: str, label: str, rows: Rows) -> bool:
        batch = self.batches.get_batch({"dataframe": arrow(table, rows).to_pandas()})
        return bool(batch.validate(suite(table)[label]).success)


@pytest.fixture(scope="module")
def judge() -> Judge:
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("memory").add_dataframe_asset("candidate")
    return Judge(asset.add_batch_definition_whole_dataframe("all"))


@pytest.fixture(scope="module")
def gated(tmp_path_factory) -> Settings:
    """One data folder for all runs of the gate, as a shop has."""
    return Settings(_env_file=None, data_dir=tmp_path_factory.mktemp("gated"), token_key="k" * 40)


def run_gate(settings: Settings, table: str, rows: pa.Table) -> GateReport:
    Published(settings.published).write_candidate(table, DAY, rows)
    return pass_gate(settings, table, DAY)


def planted(table: str, plants: dict[str, Plant]) -> pa.Table:
    rows = rows_of(table)
    for number, plant in enumerate(plants.values()):
        plant(rows, 2 * number)
    return arrow(table, rows)


# ---- each expectation, one by one ----


@pytest.mark.parametrize("table", SUITES)
def test_a_violation_is_planted_for_every_expectation_there_is(table):
    plants = [*EMPTY[table], *CRITICAL[table], *WARNING[table]]
    assert len(plants) == {"customer_features": 38, "campaign_plan": 22}[table]
    assert sorted(plants) == sorted(suite(table))


@pytest.mark.parametrize(("table", "label", "plant", "severity"), ALL)
def test_an_expectation_takes_good_rows_and_finds_its_violation(judge, table, label, plant, severity):
    good, bad = rows_of(table, 4), rows_of(table, 4)
    plant(bad, 1)
    assert judge.accepts(table, label, good)
    assert not judge.accepts(table, label, bad)
    assert suite(table)[label].severity == severity


def test_an_outranked_row_beside_a_planned_one_is_no_second_mail(judge):
    rows = rows_of("campaign_plan", 3)
    rows[1] |= {"customer_id": rows[0]["customer_id"], "verdict": "outranked"}
    rows[2] |= {"verdict": "held_out", "arm": "holdout", "propensity": 0.1}
    for label in suite("campaign_plan"):
        assert judge.accepts("campaign_plan", label, rows), label


# ---- the gate itself: real files, real pages ----


@pytest.mark.parametrize("table", SUITES)
def test_a_good_day_passes_whole(gated, table):
    assert run_gate(gated, table, arrow(table, rows_of(table))) == GateReport(
        table, len(suite(table)), (), ()
    )


@pytest.mark.parametrize("table", SUITES)
def test_every_critical_violation_is_counted_and_nothing_is_released(gated, table, capfd):
    """All of them in one file, each in rows of its own."""
    with pytest.raises(GateFailed) as error:
        run_gate(gated, table, planted(table, CRITICAL[table]))
    message = str(error.value)
    assert f"{table} of 2017-12-04 fails {len(CRITICAL[table])} critical expectation(s)" in message
    assert "\n" not in message
    assert not Published(gated.published).exists(table, DAY)
    assert "@" not in message + capfd.readouterr().out


def test_a_warning_is_reported_and_lets_the_day_through(gated):
    report = run_gate(gated, "customer_features", planted("customer_features", WARNING["customer_features"]))
    assert report.critical == ()
    assert report.warnings == (
        "expect_column_min_to_be_between on recency_days",
        "expect_column_mean_to_be_between on basket_mean_lines",
    )


def test_a_day_without_customers_is_stopped(gated):
    with pytest.raises(GateFailed, match="expect_table_row_count_to_be_between on the table"):
        run_gate(gated, "customer_features", arrow("customer_features", []))


def test_a_day_without_candidates_is_a_quiet_day(gated):
    report = run_gate(gated, "campaign_plan", arrow("campaign_plan", []))
    assert (report.critical, report.warnings) == ((), ())


def test_an_expectation_that_cannot_be_evaluated_counts_as_failed(gated):
    table = arrow("customer_features", rows_of("customer_features", 4))
    without = table.drop_columns(["weekend_share"])
    words = pa.array(["one", "two", "three", "four"])
    broken = without.set_column(without.schema.get_field_index("orders_7d_count"), "orders_7d_count", words)
    with pytest.raises(GateFailed, match="fails 3 critical"):  # a column that is absent, one of words
        run_gate(gated, "customer_features", broken)


def test_a_day_nobody_built_is_one_sentence(settings):
    with pytest.raises(
        NotPublished, match="campaign_plan has neither candidate nor snapshot for 2017-12-04; build it first"
    ):
        pass_gate(settings, "campaign_plan", DAY)


def test_pages_show_every_day_that_was_checked(gated):
    run_gate(gated, "campaign_plan", arrow("campaign_plan", rows_of("campaign_plan", 2)))
    index = gated.data_docs / "index.html"
    assert "campaign_plan 2017-12-04" in index.read_text()
    pages = [path for path in gated.data_docs.rglob("*.html") if "validations" in path.parts]
    results = list((gated.data_dir / "gx").rglob("validations/**/*.json"))
    assert len(pages) == len(results) > 0
    assert all(
        json.loads(result.read_text())["meta"]["run_id"]["run_name"].endswith(str(DAY)) for result in results
    )
