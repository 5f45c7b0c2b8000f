"""dbt runs inside the process, gives the warehouse back, and names what failed in one sentence."""

import json
import subprocess
import sys
from datetime import date

import duckdb
import pytest
from dbt.cli.main import dbtRunner

from core.dbt import DBT_PROJECT, build, parsed_project
from core.errors import BuildFailed
from core.settings import Settings
from sources.landing import load_landing

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


def of_any_time(parsed):
    """A parsed project without the moments at which it was parsed."""
    if isinstance(parsed, dict):
        return {key: of_any_time(value) for key, value in parsed.items() if key != "created_at"}
    return [of_any_time(each) for each in parsed] if isinstance(parsed, list) else parsed


def test_a_parsed_project_holds_nothing_of_a_day_a_shop_or_a_folder(shop, tmp_path):
    """So it may serve them all; dbt itself parses again for every value of a variable."""
    other = {
        "as_of_date": "2001-02-03",
        "published": "/elsewhere",
        "shop_time_zone": "Asia/Tokyo",
        "shop_locale": "zh",
        "currency": "JPY",
        "churn_horizon_days": 99,
    }
    build(shop, "stg_shop__customers", as_of=DAY)
    asked = [
        "parse",
        "--no-partial-parse",
        "--quiet",
        "--vars",
        json.dumps(other),
        "--target-path",
        str(tmp_path),
    ]
    folders = ["--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT)]
    campaigns = ",".join(
        sorted(file.stem.removeprefix("audience_") for file in DBT_PROJECT.rglob("audience_*.sql"))
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAPWING_CAMPAIGNS", campaigns)
        patch.setenv("LAPWING_FEATURE_DATES", "2001-01-01,2001-01-15")
        anew = dbtRunner().invoke([*asked, *folders]).result
    kept = parsed_project(shop)
    for part in ("nodes", "sources", "macros", "exposures", "unit_tests"):
        ours, theirs = (
            {key: each.to_dict() for key, each in getattr(found, part).items()} for found in (kept, anew)
        )
        assert of_any_time(ours) == of_any_time(theirs), part
    assert len(kept.nodes) > 50


@pytest.fixture
def small_project(tmp_path, monkeypatch):
    """A project of one model, in which the next builds are."""
    project = tmp_path / "project"
    (project / "models").mkdir(parents=True)
    text = {
        "dbt_project.yml": "{name: small, version: '1.0', profile: lapwing, vars: {as_of_date: '2000-01-01'}}",
        "profiles.yml": (DBT_PROJECT / "profiles.yml").read_text(),
        "models/answer.sql": "select 'as of {{ var(\"as_of_date\") }}' as answer",
    }
    for name, words in text.items():
        (project / name).write_text(words)
    monkeypatch.setattr("core.dbt.DBT_PROJECT", project)
    monkeypatch.setattr("core.dbt.FOLDERS", ("--project-dir", str(project), "--profiles-dir", str(project)))
    return project


def answer(settings, day):
    build(settings, "answer", as_of=day)
    with duckdb.connect(str(settings.warehouse), read_only=True) as db:
        [[found]] = db.sql("select answer from answer").fetchall()
        return found


def test_a_project_is_parsed_again_when_its_code_changes_and_only_then(small_project, tmp_path):
    settings = Settings(_env_file=None, data_dir=tmp_path / "data", token_key="k" * 40)
    target = small_project / "target"
    target.mkdir()
    (target / "0123.parsed").write_bytes(b"of older code")
    assert answer(settings, DAY) == "as of 2017-12-04"
    [parsed] = target.glob("*.parsed")
    written = parsed.stat().st_mtime_ns
    assert answer(settings, date(2017, 12, 5)) == "as of 2017-12-05"
    assert parsed.stat().st_mtime_ns == written
    (small_project / "models" / "answer.sql").write_text("select 'another' as answer")
    (target / "half.unfinished").write_bytes(b"left by one who died")
    assert answer(settings, DAY) == "another"
    assert [file.name for file in target.glob("*.parsed")] != [parsed.name]


def test_a_project_that_dbt_cannot_read_is_one_sentence_and_nothing_is_kept_of_it(small_project, tmp_path):
    settings = Settings(_env_file=None, data_dir=tmp_path / "data", token_key="k" * 40)
    (small_project / "models" / "answer.sql").write_text("select {% if %} 1")
    with pytest.raises(BuildFailed, match=r"dbt could not read the project: .*answer\.sql") as error:
        build(settings, "answer", as_of=DAY)
    assert "\n" not in str(error.value)
    assert not list((small_project / "target").glob("*.parsed"))
