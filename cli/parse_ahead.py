"""Parses the dbt project while something else is done: `python -m cli.parse_ahead`."""

from core.dbt import parse_ahead
from core.settings import load_settings

if __name__ == "__main__":
    parse_ahead(load_settings())
