"""The contract's files are complete, and say of themselves what a shop needs to know."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from sources.contract import CONTRACTS, Column, contract_of, contracts

# Design section 5 names them; mail_events come from our own tracking.
TABLES = {
    "customers", "orders", "order_lines", "products", "stock_levels", "prices", "events", "returns", "support_tickets",
    "reviews", "survey_answers", "sentiments", "coupons", "consents", "mail_events",
}  # fmt: skip
COLUMNS = [
    pytest.param(column, id=f"{contract.table}.{column.name}")
    for contract in contracts().values()
    for column in contract.columns
]
PARSERS: dict[str, Callable[[str], Any]] = {
    "string": str,
    "integer": int,
    "decimal": Decimal,
    "timestamp": datetime.fromisoformat,
    "boolean": {"true": True, "false": False}.__getitem__,
}


def test_the_tables_of_the_design_are_found_each_under_its_file_name():
    assert set(contracts()) == TABLES
    assert {file.stem for file in CONTRACTS.glob("*.yml")} == TABLES


def test_what_a_mail_needs_is_required_and_the_rest_says_what_it_switches_on():
    required = {table for table, contract in contracts().items() if contract.required}
    assert required == {"customers", "orders", "order_lines", "products"}
    assert all(contract.switches_on for contract in contracts().values() if not contract.required)


def test_every_table_says_when_a_row_was_known_and_has_a_key_of_its_own_columns():
    for contract in contracts().values():
        columns = {column.name: column for column in contract.columns}
        assert len(columns) == len(contract.columns), contract.table
        assert columns["known_at"].type == "timestamp"
        assert not columns["known_at"].nullable
        assert contract.key
        for name in contract.key:  # a key that may be missing tells no two rows apart
            assert not columns[name].nullable, (contract.table, name)


@pytest.mark.parametrize("column", COLUMNS)
def test_the_example_of_a_column_keeps_the_columns_own_rules(column: Column):
    value = PARSERS[column.type](column.example)
    assert not column.one_of or column.example in column.one_of
    assert column.at_least is None or value >= column.at_least
    assert column.at_most is None or value <= column.at_most
    assert column.max_length is None or len(column.example) <= column.max_length
    assert not column.earliest or column.earliest < value.isoformat() < column.latest


def test_a_rule_that_compares_columns_names_one_of_the_same_table():
    pairs = [
        (contract.table, column.not_after, {other.name for other in contract.columns})
        for contract in contracts().values()
        for column in contract.columns
        if column.not_after
    ]
    assert len(pairs) > 10
    assert all(other in names for _, other, names in pairs)


def test_addresses_names_and_birth_years_of_people_are_personal():
    personal = {
        f"{contract.table}.{column.name}"
        for contract in contracts().values()
        for column in contract.columns
        if column.personal
    }
    assert personal == {
        "customers.email",
        "customers.first_name",
        "customers.birth_year",
        "customers.birthday",
        "events.search_text",
    }


def test_a_column_that_must_be_in_another_table_names_a_part_of_its_key():
    found = {
        f"{contract.table}.{column.name}": column.references
        for contract in contracts().values()
        for column in contract.columns
        if column.references
    }
    assert found["orders.customer_id"] == "customers.customer_id"
    assert found["order_lines.order_id"] == "orders.order_id"
    for owner, target in found.items():
        table, _, name = target.partition(".")
        assert contracts()[table].key == (name,), owner
    said = {
        f"{contract.table}.{column.name}"
        for contract in contracts().values()
        for column in contract.columns
        if "must be in" in column.meaning
    }
    assert said <= set(found)  # what the words promise, the contract says too


def test_every_text_has_a_greatest_length_or_a_list_and_every_moment_a_span():
    columns = [column for contract in contracts().values() for column in contract.columns]
    assert len(columns) > 80
    assert not [c.name for c in columns if c.type == "string" and not (c.max_length or c.one_of)]
    assert not [c.name for c in columns if c.type == "timestamp" and not (c.earliest and c.latest)]


def test_each_contract_is_a_document_of_the_standard():
    """What ODCS 3.1 requires of a document (schema/odcs-json-schema-v3.1.0.json), and its words for types and promises."""
    for file in CONTRACTS.glob("*.yml"):
        document = yaml.safe_load(file.read_text())
        assert {"version", "apiVersion", "kind", "id", "status"} <= set(document), file.name
        assert (document["apiVersion"], document["kind"]) == ("v3.1.0", "DataContract")
        (table,) = document["schema"]
        assert (table["name"], table["logicalType"]) == (file.stem, "object")
        types = {column["logicalType"] for column in table["properties"]}
        assert types <= {
            "string",
            "date",
            "timestamp",
            "time",
            "number",
            "integer",
            "object",
            "array",
            "boolean",
        }
        positions = sorted(c["primaryKeyPosition"] for c in table["properties"] if c.get("primaryKey"))
        assert positions == list(range(1, len(positions) + 1)) != []
        promises = {each["property"]: (each["unit"], each["element"]) for each in document["slaProperties"]}
        assert promises == {"latency": ("d", f"{file.stem}.known_at"), "errorRate": ("percent", file.stem)}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"thresold": 0.1}, "thresold"),
        ({"kind": "Contract"}, "kind"),
        ({"slaProperties": [{"property": "freshness", "value": 2, "unit": "d", "element": "x"}]}, "property"),
        (
            {
                "slaProperties": [
                    {"property": "latency", "value": 2, "unit": "d", "element": "x"},
                    {"property": "errorRate", "value": 150, "unit": "percent", "element": "x"},
                ]
            },
            "reject_threshold_share",
        ),
    ],
)
def test_a_contract_with_a_slip_of_the_pen_is_refused_by_name(change, complaint):
    written = yaml.safe_load((CONTRACTS / "orders.yml").read_text())
    assert contract_of(written) == contracts()["orders"]
    with pytest.raises(ValidationError, match=complaint):
        contract_of(written | change)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"logicalType": "text"}, "logicalType"),
        ({"requird": True}, "requird"),
        ({"customProperties": [{"property": "unti", "value": "UTC"}]}, "property"),
        ({"logicalTypeOptions": {"maxLenght": 3}}, "maxLenght"),
    ],
)
def test_a_column_with_a_slip_of_the_pen_is_refused_by_name(change, complaint):
    written = yaml.safe_load((CONTRACTS / "orders.yml").read_text())
    written["schema"][0]["properties"][0] |= change
    with pytest.raises(ValidationError, match=complaint):
        contract_of(written)
