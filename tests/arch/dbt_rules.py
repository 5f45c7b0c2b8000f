"""How the dbt project reads, seen in its files alone: dbt is not run here."""

import ast
import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import PurePath
from typing import Any

import yaml

from tests.arch.kit import Findings, Tree, rule, some

MODELS = "dbt_project/models/"
MAY_REF: dict[str, set[str]] = {
    "staging": set(),
    "intermediate": {"staging", "intermediate"},
    "marts": {"staging", "intermediate", "marts"},
    "reports": {"staging", "intermediate", "marts"},
}
"""Layer -> what its models may ref. Nothing refs a report; staging reads sources only."""

READERS = ("ml", "campaigns", "console", "expectations", "tracking", "cli", "dags")
CLOCK = re.compile(
    r"\b(current_date|current_timestamp|current_time|localtimestamp|getdate|sysdate|run_started_at)\b"
    r"|\b(now|today)\s*\(", re.I,
)  # fmt: skip
TYPES = {
    "_id": {"varchar"},
    "_at": {"timestamp"},
    "_date": {"date"},
    "_cents": {"bigint", "hugeint", "double"},  # double: a mean of cents
    "_count": {"bigint"},
    "_days": {"bigint", "double"},  # double: a mean of days
    "_share": {"double"},
    "_ratio": {"double"},
}
WITHOUT_DAY = {
    "interactions": "a million rows whose day is the folder they are published in",
    "audience_*": "an audience proposes customers; campaign_candidates adds the day",
}
"""Models (a pattern) of ml and campaigns without `as_of_date` -> why."""

PERSONAL = {"email", "email_address", "address", "phone", "last_name", "street"}


@dataclass(frozen=True)
class Model:
    """One dbt model: its SQL, and what its YAML says."""

    path: str
    sql: str
    entries: tuple[dict[str, Any], ...] = field(compare=False)
    """What stands under `models:` in the YAML beside it."""
    unit_tests: tuple[dict[str, Any], ...] = field(compare=False)

    @property
    def name(self) -> str:
        return PurePath(self.path).stem

    @property
    def yaml_path(self) -> str:
        return self.path.removesuffix(".sql") + ".yml"

    @property
    def layer(self) -> str:
        parts = self.path.removeprefix(MODELS).split("/")
        return "reports" if "reports" in parts[:2] else parts[0]

    @property
    def is_mart(self) -> bool:
        return self.layer in ("marts", "reports")

    @property
    def entry(self) -> dict[str, Any]:
        return next((entry for entry in self.entries if entry.get("name") == self.name), {})

    @property
    def config(self) -> dict[str, Any]:
        return self.entry.get("config") or {}

    @property
    def columns(self) -> list[dict[str, Any]]:
        return self.entry.get("columns") or []

    @property
    def refs(self) -> list[str]:
        return re.findall(r"\bref\(\s*['\"](\w+)['\"]\s*\)", without_comments(self.sql))

    @cached_property
    def materialized(self) -> str:
        said = re.search(r"materialized\s*=\s*['\"](\w+)", self.sql)
        return said[1] if said else str(self.config.get("materialized", ""))


def without_comments(sql: str) -> str:
    """Blank out comments, keeping the lines."""
    blank = lambda found: "\n" * found[0].count("\n")  # noqa: E731  # a name would say no more
    return re.sub(r"\{#.*?#\}|/\*.*?\*/|--[^\n]*", blank, sql, flags=re.S)


def read_yaml(tree: Tree, path: str) -> dict[str, Any]:
    content = yaml.safe_load(tree.text(path))
    return content if isinstance(content, dict) else {}


def models(tree: Tree, *layers: str) -> list[Model]:
    """Return the models of some layers (of all, if none is named); there must be one at least."""
    found = []
    for path in tree.matching(f"{MODELS}*.sql"):
        beside = read_yaml(tree, path.removesuffix(".sql") + ".yml")
        found.append(
            Model(
                path,
                tree.text(path),
                tuple(beside.get("models") or ()),
                tuple(beside.get("unit_tests") or ()),
            )
        )
    found = [model for model in found if not layers or model.layer in layers]
    some(found, f"dbt models in {', '.join(layers) or MODELS}")
    return found


def exposures(tree: Tree) -> list[tuple[str, dict[str, Any]]]:
    """Return (file, exposure) of every exposure."""
    found = []
    for path in tree.matching(f"{MODELS}*.yml"):
        found += [(path, exposure) for exposure in read_yaml(tree, path).get("exposures") or []]
    some(found, "exposures")
    return found


def exposed(tree: Tree) -> set[str]:
    depends = [on for _, exposure in exposures(tree) for on in exposure.get("depends_on") or []]
    return {name for on in depends for name in re.findall(r"ref\(['\"](\w+)['\"]\)", on)}


def marts_read_by_python(tree: Tree) -> dict[str, str]:
    """Return mart -> where Python names it.

    A name of two words (`customer_features`) counts wherever it is a string; one of a single word (`products`, also a
    key of a mail's facts) only where a published table is opened by it.
    """
    names = {model.name for model in models(tree, "marts", "reports")}
    found: dict[str, str] = {}
    for module in tree.modules(*READERS):
        for call in module.walk(ast.Call):
            opens = isinstance(call.func, ast.Attribute) and call.func.attr in (
                "read",
                "path",
                "exists",
                "days",
            )
            first = call.args[0] if call.args else None
            if opens and isinstance(first, ast.Constant) and first.value in names:
                found.setdefault(str(first.value), module.at(first))
        for constant in module.walk(ast.Constant):
            if constant.value in names and "_" in constant.value:
                found.setdefault(constant.value, module.at(constant))
    return found


MART = "dbt_project/models/marts/ml/features"
GOOD_YAML = """models:
  - name: features
    description: What we knew. One row per customer and day.
    config: {contract: {enforced: true}, meta: {owner: lifecycle}}
    data_tests:
      - unique_rows: {arguments: {columns: [customer_id, as_of_date]}}
    columns:
      - {name: customer_id, data_type: varchar, description: Whom.}
      - {name: as_of_date, data_type: date, description: When.}
unit_tests:
  - {name: test_features_know_nothing_of_tomorrow, model: features}
"""
GOOD_MART = {f"{MART}.sql": "select * from {{ ref('stg_a__b') }}\n", f"{MART}.yml": GOOD_YAML}
STAGING = {"dbt_project/models/staging/stg_a__b.sql": "select 1 from {{ source('a', 'b') }}\n"}
EXPOSED = {
    "dbt_project/models/exposures.yml": "exposures:\n  - name: ml_score\n    type: application\n"
    "    description: Scores.\n    owner: {name: lifecycle}\n    depends_on: [ref('features')]\n",
    "ml/score.py": "rows = published.read('features', day)\n",
}


@rule(
    "dbt_project/models/staging/stg_a__b.sql:1",
    f"{MART}2.yml:1",
    broken={**GOOD_MART, **STAGING, f"{MART}2.sql": "", f"{MART}2.yml": GOOD_YAML},
)
def every_model_has_its_yaml_beside_it(tree: Tree) -> Findings:
    """`NAME.yml` beside `NAME.sql`, and it speaks of that model only."""
    for model in models(tree):
        if model.yaml_path not in tree.files:
            yield f"{model.path}:1 has no {PurePath(model.yaml_path).name} beside it"
        elif [entry.get("name") for entry in model.entries] != [model.name]:
            yield f"{model.yaml_path}:1 does not describe {model.name}, or not it alone"


@rule(
    f"{MART}.yml:1",
    f"{MART}.yml:1",
    broken={
        f"{MART}.sql": "",
        f"{MART}.yml": "models:\n  - name: features\n    description: It has rows. Of a kind. One row per customer.\n",
    },
)
def a_description_opens_with_the_grain(tree: Tree) -> Findings:
    """Within its first two sentences a model's description says "one row per"; its owner is named."""
    for model in models(tree):
        sentences = re.split(r"(?<=[.!?])\s+", str(model.entry.get("description", "")))
        if "one row per" not in " ".join(sentences[:2]).lower():
            yield f"{model.yaml_path}:1 {model.name}: the description does not open with the grain"
        if not (model.config.get("meta") or {}).get("owner"):
            yield f"{model.yaml_path}:1 {model.name} has no config.meta.owner"


@rule(
    f"{MART}.yml:1",
    f"{MART}.yml:1",
    "dbt_project/models/marts/shop/days.yml:1",
    broken={
        "dbt_project/dbt_project.yml": "models: {x: {marts: {shop: {+contract: {enforced: true}}}}}\n",
        f"{MART}.sql": "",
        f"{MART}.yml": GOOD_YAML.replace("unique_rows", "in_range").replace(
            "enforced: true", "enforced: false"
        ),
        "dbt_project/models/marts/shop/days.sql": "",
        "dbt_project/models/marts/shop/days.yml": "models:\n  - name: days\n"
        "    columns:\n      - {name: day_date, data_type: date, description: D., data_tests: [unique]}\n"
        "      - {name: hole}\n",
    },
)
def a_mart_keeps_a_contract(tree: Tree) -> Findings:
    """Each mart enforces its contract, describes and types every column, and tests that its rows are unique."""
    for model in models(tree, "marts", "reports"):
        contract = model.config.get("contract") or folder_config(tree, model, "contract") or {}
        if contract.get("enforced") is not True:
            yield f"{model.yaml_path}:1 the contract is not enforced"
        bare = [
            str(c.get("name")) for c in model.columns if not (c.get("description") and c.get("data_type"))
        ]
        if bare or not model.columns:
            yield f"{model.yaml_path}:1 without type or description: {', '.join(bare) or 'all columns'}"
        tests = [
            *(model.entry.get("data_tests") or []),
            *(t for c in model.columns for t in c.get("data_tests") or []),
        ]
        if not any("unique" in str(test if isinstance(test, str) else next(iter(test))) for test in tests):
            yield f"{model.yaml_path}:1 no test says that its rows are unique"


@rule(
    f"{MART}.yml:1",
    "ml/score.py:1",
    broken={**GOOD_MART, **EXPOSED, f"{MART}.yml": GOOD_YAML.partition("unit_tests")[0],
            "dbt_project/models/exposures.yml": "exposures:\n  - {name: x, depends_on: []}\n"},
)  # fmt: skip
def a_mart_that_python_reads_is_exposed_and_unit_tested(tree: Tree) -> Findings:
    """Every mart Python names has an exposure ("who is hurt?") and a unit test."""
    read, shown = marts_read_by_python(tree), exposed(tree)
    some(read, "marts read by Python")
    by_name = {model.name: model for model in models(tree, "marts", "reports")}
    for name, where in sorted(read.items()):
        if name not in shown:
            yield f"{where} reads {name}, which has no exposure"
        if not [test for test in by_name[name].unit_tests if test.get("model") == name]:
            yield f"{by_name[name].yaml_path}:1 {name} is read by Python and has no unit test"


@rule(
    "dbt_project/models/exposures.yml:1",
    "dbt_project/models/exposures.yml:1",
    "dbt_project/models/exposures.yml:1",
    broken={
        **GOOD_MART,
        **STAGING,
        "dbt_project/models/exposures.yml": "exposures:\n  - {name: a, owner: {name: x}, description: A., depends_on: [ref('gone')]}\n"
        "  - {name: b, owner: {name: x}, description: B., depends_on: [ref('stg_a__b')]}\n"
        "  - {name: c, depends_on: [ref('features')]}\n",
    },
)
def exposures_name_marts_that_exist(tree: Tree) -> Findings:
    """An exposure depends on marts only, and says what it is and whose."""
    marts = {model.name for model in models(tree, "marts", "reports")}
    for path, exposure in exposures(tree):
        on = {
            name
            for each in exposure.get("depends_on") or []
            for name in re.findall(r"ref\(['\"](\w+)['\"]\)", each)
        }
        for name in sorted(on - marts):
            yield f"{path}:1 exposure {exposure.get('name')} depends on {name}, which is no mart"
        if not (exposure.get("owner") and exposure.get("description") and on):
            yield f"{path}:1 exposure {exposure.get('name')} lacks an owner, a description or a mart"


@rule(
    "dbt_project/models/staging/orders.sql:1",
    "dbt_project/models/staging/stg_a__c.sql:1",
    "dbt_project/models/staging/stg_a__c.sql:1",
    "dbt_project/models/intermediate/joined.sql:1",
    broken={
        **STAGING,
        "dbt_project/dbt_project.yml": "models: {lapwing: {staging: {+materialized: view}}}\n",
        "dbt_project/models/staging/orders.sql": "select 1 from {{ source('a', 'b') }}\n",
        "dbt_project/models/staging/stg_a__c.sql": "{{ config(materialized='table') }}\n -- ref('stg_a__z')\n"
        "select 1 from {{ ref('stg_a__b') }}\n",
        "dbt_project/models/intermediate/joined.sql": "select 1 from {{ ref('stg_a__b') }}\n",
        "dbt_project/models/intermediate/int_orders_joined.sql": "select 1 from {{ ref('stg_a__b') }}\n",
    },
)
def staging_is_one_view_per_source_table(tree: Tree) -> Findings:
    """Staging models are views called stg_<source>__<table> over sources; intermediate ones int_<what>_<verb past>."""
    for model in models(tree, "staging"):
        said = model.materialized or folder_config(tree, model, "materialized")
        if said not in ("view", None):  # a view is what dbt makes of a model that says nothing
            yield f"{model.path}:1 is a {said}, not a view"
        if not re.fullmatch(r"stg_[a-z0-9_]+?__[a-z0-9_]+", model.name):
            yield f"{model.path}:1 is not called stg_<source>__<table>"
        if model.refs or not re.search(
            r"\b(source|published(_earlier)?)\(|read_(parquet|csv|json)", model.sql
        ):
            yield f"{model.path}:1 does not read a source, or reads a model too"
    for model in models(tree, "intermediate"):
        if not re.fullmatch(r"int(_[a-z0-9]+){2,}", model.name):
            yield f"{model.path}:1 is not called int_<what>_<verb past>"


@rule(
    "dbt_project/models/intermediate/b/int_y_joined.sql:1",
    broken={
        "dbt_project/dbt_project.yml": "models: {x: {intermediate: {+access: private, b: {+access: public}}}}\n",
        "dbt_project/models/intermediate/int_x_joined.sql": "",
        "dbt_project/models/intermediate/b/int_y_joined.sql": "",
    },
)
def intermediate_models_are_private(tree: Tree) -> Findings:
    """Intermediate models are private to the project: only marts cross into Python."""
    for model in models(tree, "intermediate"):
        if (model.config.get("access") or folder_config(tree, model, "access")) != "private":
            yield f"{model.path}:1 may be read by anybody"


def folder_config(tree: Tree, model: Model, key: str) -> Any:
    """Return what dbt_project.yml says about a model's folder; the deepest that speaks of `key` wins."""
    here = (
        next(iter((read_yaml(tree, "dbt_project/dbt_project.yml").get("models") or {}).values()), None) or {}
    )
    said = here.get(f"+{key}")
    for part in model.path.removeprefix(MODELS).split("/")[:-1]:
        here = here.get(part) or {}
        said = here.get(f"+{key}", said)
    return said


@rule(
    "dbt_project/models/intermediate/int_b_joined.sql:1",
    "dbt_project/models/marts/shop/orders.sql:1",
    "dbt_project/models/marts/shop/orders.sql:1",
    broken={
        **STAGING,
        "dbt_project/models/intermediate/int_b_joined.sql": "{{ ref('orders') }}",
        "dbt_project/models/marts/shop/orders.sql": "{{ ref('int_b_joined') }} {{ ref('funnel') }} {{ ref('gone') }}",
        "dbt_project/models/marts/reports/funnel.sql": "{{ ref('orders') }}",
    },
)
def layers_look_down_only(tree: Tree) -> Findings:
    """Staging → intermediate → marts; nothing refs a report; every ref exists (a seed counts)."""
    layer = {model.name: model.layer for model in models(tree)}
    seeds = {
        PurePath(path).stem
        for path in tree.matching("dbt_project/seeds/*.csv", "dbt_project/snapshots/*.sql")
    }
    for model in models(tree):
        for name in model.refs:
            if name not in layer and name not in seeds:
                yield f"{model.path}:1 refs {name}, which does not exist"
            elif name in layer and layer[name] not in MAY_REF[model.layer]:
                yield f"{model.path}:1 ({model.layer}) may not ref {name} ({layer[name]})"


@rule(
    "dbt_project/models/marts/shop/a.sql:2",
    "dbt_project/macros/m.sql:1",
    broken={
        "dbt_project/models/marts/shop/a.sql": "-- current_date would be wrong\nselect now ()\n",
        "dbt_project/macros/m.sql": "{% macro m() %} CURRENT_DATE {% endmacro %}",
        "dbt_project/models/marts/shop/b.sql": "select known_at, today from x\n",
    },
)
def no_model_asks_the_clock(tree: Tree) -> Findings:
    """No SQL says current_date, now() or the like: it is given `as_of_date`."""
    paths = tree.matching("dbt_project/*.sql")
    some(paths, "SQL files")
    for path in paths:
        for number, line in enumerate(without_comments(tree.text(path)).splitlines(), 1):
            if found := CLOCK.search(line):
                yield f"{path}:{number} {found[0]} asks the clock"


@rule(
    f"{MART}.yml:1",
    f"{MART}.yml:1",
    f"{MART}.yml:1",
    f"{MART}.yml:1",
    broken={
        f"{MART}.sql": "",
        f"{MART}.yml": "models:\n  - name: features\n    columns:\n      - {name: customer_id, data_type: bigint}\n"
        "      - {name: has_churned, data_type: integer}\n      - {name: user_id, data_type: varchar}\n"
        "      - {name: spend_cents, data_type: bigint}\n",
    },
)
def columns_are_called_what_they_are(tree: Tree) -> Findings:
    """A name's ending gives its type; customers are customers; what ml and campaigns read carries `as_of_date`."""
    for model in models(tree, "marts", "reports"):
        for column in model.columns:
            name, kind = str(column.get("name")), str(column.get("data_type", "")).lower()
            wanted = next((types for ending, types in TYPES.items() if name.endswith(ending)), set())
            wanted = {"boolean"} if name.startswith(("is_", "has_")) else wanted
            if wanted and kind and kind not in wanted:
                yield f"{model.yaml_path}:1 {name} is a {kind}, not a {' or '.join(sorted(wanted))}"
            if name in ("user_id", "item_id", "client_id", "sku", "shopper_id"):
                yield f"{model.yaml_path}:1 {name}: we say customer and product"
        group = model.path.removeprefix(MODELS).split("/")[1]
        excused = any(fnmatchcase(model.name, pattern) for pattern in WITHOUT_DAY)
        if group in ("ml", "campaigns") and not excused and "as_of_date" not in names_of(model):
            yield f"{model.yaml_path}:1 {model.name} has no as_of_date"


def names_of(model: Model) -> set[str]:
    return {str(column.get("name")) for column in model.columns}


@rule(
    f"{MART}.yml:1",
    broken={
        **GOOD_MART,
        f"{MART}.yml": GOOD_YAML.replace("name: as_of_date", "name: email"),
        "dbt_project/models/marts/shop/customers.sql": "",
        "dbt_project/models/marts/shop/customers.yml": "models: [{name: customers, columns: [{name: pseudonym}]}]\n",
    },
)
def no_mart_holds_an_address(tree: Tree) -> Findings:
    """The address lives in one staging model (and in the ledger): no mart has such a column."""
    for model in models(tree, "marts", "reports"):
        for name in sorted(names_of(model) & PERSONAL):
            yield f"{model.yaml_path}:1 {model.name} holds {name}"


@rule(
    "dbt_project/models/marts/shop/a.sql:1",
    "dbt_project/dbt_project.yml:2",
    "dbt_project/models/marts/shop/a.yml:2",
    broken={
        "dbt_project/models/marts/shop/a.sql": "{{ config(materialized='incremental') }}",
        "dbt_project/models/marts/shop/b.sql": "{{ config(materialized='incremental', on_schema_change='fail') }}",
        "dbt_project/dbt_project.yml": "data_tests:\n  +enabled: false\n",
        "dbt_project/models/marts/shop/a.yml": "models: []\nx: {severity: warn}\n"
        "y: {severity: warn}  # late, not wrong\n# a report is wrong, no mail\nz: {severity: warn}\n",
    },
)
def no_check_of_dbt_is_on_paper(tree: Tree) -> Findings:
    """No test is disabled; a mere warning gives its reason; an incremental model fails when its columns change."""
    paths = tree.matching("dbt_project/*.yml")
    some(paths, "YAML files of dbt")
    above = ""
    for place, line in tree.lines(paths):
        if re.search(r"\+?enabled:\s*false", line):
            yield f"{place} switches something off"
        if (
            re.search(r"severity:\s*warn", line, re.I)
            and "#" not in line
            and not above.strip().startswith("#")
        ):
            yield f"{place} only warns and does not say why"
        above = line
    for model in models(tree):
        if model.materialized == "incremental" and not re.search(
            r"on_schema_change\s*=\s*['\"]fail", model.sql
        ):
            yield f"{model.path}:1 is incremental without on_schema_change='fail'"
