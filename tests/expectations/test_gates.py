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
from expectations import campaign_plan
from expectations.gates import GateReport, pass_gate

DAY = date(2017, 12, 4)
ROWS = 160  # two for each plant
PAGE = "http://127.0.0.1:8190/data-docs/campaign_plan/2017-12-04.html"
SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("send_id", "campaign_id", "customer_id")]
    + [
        ("as_of_date", pa.date32()),
        ("verdict", pa.string()),
        ("arm", pa.string()),
        ("propensity", pa.float64()),
    ]
    + [("send_at", pa.timestamp("us"))]
    + [(name, pa.string()) for name in ("template_version", "locale", "facts", "evidence")]
)
Row = dict[str, Any]
Rows = list[Row]
Plant = Callable[[Rows, int], None]


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


def set_to(column: str, value: object) -> Plant:
    def plant(rows: Rows, at: int) -> None:
        rows[at][column] = value

    return plant


def same_as_the_next(column: str, **both: object) -> Plant:
    def plant(rows: Rows, at: int) -> None:
        rows[at] |= both
        rows[at + 1] |= both | {column: rows[at][column]}

    return plant


def nulls(*columns: str) -> dict[str, Plant]:
    return {f"not_be_null {name}": set_to(name, None) for name in columns}


CRITICAL: dict[str, Plant] = {
    **nulls("send_id", "campaign_id", "customer_id", "as_of_date", "verdict", "arm", "propensity"),
    **nulls("send_at", "template_version", "locale"),
    **{f"{name} where planned": plant for name, plant in nulls("facts", "evidence").items()},
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
}


def rows_of(count: int = ROWS) -> Rows:
    return [planned(number) for number in range(count)]


def arrow(rows: Rows) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def label_of(expectation: Any) -> str:
    """The words this test has for an expectation: what it asks, of which column, of which rows."""
    asks = expectation.expectation_type.removeprefix("expect_column_values_to_")
    return f"{asks} {expectation.column}" + (" where planned" if expectation.row_condition else "")


@cache
def suite() -> dict[str, Any]:
    listed = campaign_plan.expectations(DAY)
    by_label = {label_of(expectation): expectation for expectation in listed}
    assert len(by_label) == len(listed)
    return by_label


@dataclass(frozen=True)
class Judge:
    """Great Expectations without gate or pages: judges one expectation in some milliseconds."""

    batches: Any

    def accepts(self, label: str, rows: Rows) -> bool:
        batch = self.batches.get_batch({"dataframe": arrow(rows).to_pandas()})
        return bool(batch.validate(suite()[label]).success)


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


def run_gate(settings: Settings, rows: pa.Table, day: date = DAY) -> GateReport:
    Published(settings.published).write_candidate("campaign_plan", day, rows)
    return pass_gate(settings, "campaign_plan", day)


def all_planted() -> pa.Table:
    rows = rows_of()
    for number, plant in enumerate(CRITICAL.values()):
        plant(rows, 2 * number)
    return arrow(rows)


# ---- each expectation, one by one ----


def test_a_violation_is_planted_for_every_expectation_there_is():
    assert len(CRITICAL) == 22
    assert sorted(CRITICAL) == sorted(suite())


@pytest.mark.parametrize(("label", "plant"), CRITICAL.items(), ids=CRITICAL)
def test_an_expectation_takes_good_rows_and_finds_its_violation(judge, label, plant):
    good, bad = rows_of(4), rows_of(4)
    plant(bad, 1)
    assert judge.accepts(label, good)
    assert not judge.accepts(label, bad)
    assert suite()[label].severity == "critical"


def test_an_outranked_row_beside_a_planned_one_is_no_second_mail(judge):
    rows = rows_of(3)
    rows[1] |= {"customer_id": rows[0]["customer_id"], "verdict": "outranked"}
    rows[2] |= {"verdict": "held_out", "arm": "holdout", "propensity": 0.1}
    for label in suite():
        assert judge.accepts(label, rows), label


# ---- the gate itself: real files, real pages ----


def test_a_good_day_passes_whole(gated):
    assert run_gate(gated, arrow(rows_of())) == GateReport("campaign_plan", len(suite()), (), (), (), PAGE)


def test_every_critical_violation_is_counted_and_nothing_is_released(gated, capfd):
    """All of them in one file, each in rows of its own."""
    with pytest.raises(GateFailed) as error:
        run_gate(gated, all_planted())
    message = str(error.value)
    assert f"campaign_plan of 2017-12-04 fails {len(CRITICAL)} critical expectation(s)" in message
    assert message.endswith(f"nothing was published (page: {PAGE})")
    assert "\n" not in message
    assert not Published(gated.published).exists("campaign_plan", DAY)
    page = (gated.data_docs / "campaign_plan" / "2017-12-04.html").read_text()
    assert page.count('class="row-critical"') == len(CRITICAL)
    assert "expect_column_values_to_be_in_set" in page
    assert "approved" in page  # the value that broke it
    assert "ada@example.com" not in message + page + capfd.readouterr().out


def test_a_day_without_candidates_is_a_quiet_day(gated):
    report = run_gate(gated, arrow([]))
    assert (report.critical, report.warnings) == ((), ())


def test_an_expectation_that_cannot_be_evaluated_counts_as_failed(gated):
    without = arrow(rows_of(4)).drop_columns(["evidence"])  # two expectations ask for it
    with pytest.raises(GateFailed, match="fails 2 critical"):
        run_gate(gated, without)


def test_a_day_nobody_built_is_one_sentence(settings):
    with pytest.raises(
        NotPublished, match="campaign_plan has neither candidate nor snapshot for 2017-12-04; build it first"
    ):
        pass_gate(settings, "campaign_plan", DAY)


def test_the_index_leads_to_the_page_of_every_day_and_says_how_it_went(gated):
    run_gate(gated, arrow(rows_of(2)))
    with pytest.raises(GateFailed):
        run_gate(gated, arrow(rows_of(2)), date(2017, 12, 5))  # rows of the day before
    index = (gated.data_docs / "index.html").read_text()
    stopped = index.index('href="campaign_plan/2017-12-05.html"')
    passed = index.index('href="campaign_plan/2017-12-04.html"')
    assert stopped < passed  # the newest first
    assert ">stopped<" in index[stopped:passed]
    assert ">passed<" in index[passed:]
    for day, critical in (("2017-12-04", 0), ("2017-12-05", 1)):
        folder = gated.data_docs / "campaign_plan"
        facts = json.loads((folder / f"{day}.json").read_text())
        assert facts == {"checked": len(suite()), "critical": critical, "warnings": 0}
        assert f"campaign_plan of {day}" in (folder / f"{day}.html").read_text()
