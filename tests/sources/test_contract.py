"""The contract's files are complete, and say of themselves what a shop needs to know."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from sources.contract import CONTRACTS, Column, Contract, contracts

TABLES = {"consents", "customers", "mail_events", "order_lines", "orders", "products"}
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


def test_the_six_tables_are_found_each_under_its_file_name():
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


def test_a_rule_that_compares_columns_names_one_of_the_same_table():
    pairs = [
        (contract.table, column.not_after, {other.name for other in contract.columns})
        for contract in contracts().values()
        for column in contract.columns
        if column.not_after
    ]
    assert len(pairs) == 4
    assert all(other in names for _, other, names in pairs)


def test_addresses_and_names_of_people_are_personal():
    personal = {
        f"{contract.table}.{column.name}"
        for contract in contracts().values()
        for column in contract.columns
        if column.personal
    }
    assert personal == {"customers.email", "customers.first_name"}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"reject_threshold_share": 1.5}, "reject_threshold_share"),
        ({"thresold": 0.1}, "thresold"),
        ({"columns": [{"name": "a", "type": "text", "meaning": "", "example": ""}]}, "type"),
    ],
)
def test_a_contract_with_a_slip_of_the_pen_is_refused_by_name(change, complaint):
    written = yaml.safe_load((CONTRACTS / "orders.yml").read_text())
    with pytest.raises(ValidationError, match=complaint):
        Contract.model_validate(written | change)
