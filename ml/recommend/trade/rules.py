"""The file of rules of trade (`rules_of_trade.yml`), checked when it is loaded."""

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from core.errors import RulesInvalid
from ml.tables import BRAND, CATEGORY, PRODUCT_ID

Name = Annotated[str, StringConstraints(min_length=1)]
Names = Annotated[tuple[Name, ...], Field(min_length=1, strict=False)]
Share = Annotated[float, Field(gt=0, le=1)]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]


class _Checked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class InStock(_Checked):
    """`take_rate`: the share of customers shown a product who will buy one piece of it."""

    take_rate: Share


class Cycle(_Checked):
    """`share` of the customer's median gap between shopping days that must have passed."""

    share: Annotated[float, Field(gt=0, le=3)]


class Returned(_Checked):
    """Products that came back in the last `within_days`."""

    within_days: Annotated[int, Field(ge=1)]


class Complained(Returned):
    """Products rated with `at_most_stars` or fewer in the last `within_days`."""

    at_most_stars: Annotated[int, Field(ge=1, le=4)]


class Margin(_Checked):
    """`share` of the price that must be left after the product's cost."""

    share: Annotated[float, Field(gt=0, lt=1)]


class Limit(_Checked):
    """Products and whole categories that only customers of an age, in years, or of some countries are shown."""

    categories: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    products: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    minimum_age: Annotated[int, Field(ge=1, le=120)] | None = None
    countries: Annotated[tuple[Country, ...], Field(strict=False)] = ()


class Pin(_Checked):
    """A product that stands on a place of the list of what is new, for everyone or a segment."""

    product_id: Name
    place: Annotated[int, Field(ge=1, le=12)]
    segment: Name | None = None


class TradeRules(_Checked):
    """Every rule of the file; None or nothing: the rule is off."""

    in_stock: InStock | None = None
    own_cycle: Cycle | None = None
    type_cycle: Cycle | None = None
    not_returned: Returned | None = None
    not_complained: Complained | None = None
    category_caps: dict[Name, Annotated[int, Field(ge=0, le=12)]] = Field(default_factory=dict)
    minimum_margin: Margin | None = None
    limits: Annotated[tuple[Limit, ...], Field(strict=False)] = ()
    excluded_brands: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    pins: Annotated[tuple[Pin, ...], Field(strict=False)] = ()


def load_rules(path: Path) -> TradeRules:
    """Read the file of rules.

    Raises
    ------
    RulesInvalid
        If it cannot be read or breaks its form; the message names the rule, what is wrong and what is allowed.
    """
    try:
        read = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        return TradeRules.model_validate(read)
    except (OSError, yaml.YAMLError) as error:
        raise RulesInvalid(f"{path.name} cannot be read: {error}") from None
    except ValidationError as error:
        found = error.errors()[0]
        place = ".".join(str(each) for each in found["loc"]) or "the file"
        allowed = ""
        if found["type"] == "extra_forbidden" and len(found["loc"]) == 1:
            near = difflib.get_close_matches(place, TradeRules.model_fields, 1)
            allowed = (
                f"; did you mean '{near[0]}'?" if near else f"; rules: {', '.join(TradeRules.model_fields)}"
            )
        raise RulesInvalid(f"{path.name}: {place}: {found['msg'].lower()}{allowed}") from None


def doubts(rules: TradeRules, products: pa.Table) -> Iterator[str]:
    """Yield a sentence for each category, brand and product that the rules name and the shop does not have."""
    named = {
        CATEGORY: {*rules.category_caps, *(each for limit in rules.limits for each in limit.categories)},
        BRAND: set(rules.excluded_brands),
        PRODUCT_ID: {pin.product_id for pin in rules.pins}.union(*(limit.products for limit in rules.limits)),
    }
    for column, names in named.items():
        known = set(products[column].to_pylist()) - {None} if column in products.column_names else set()
        for name in sorted(names - known):
            near = difflib.get_close_matches(name, sorted(known), 1)
            what = column.removesuffix("_id")
            yield f"no product has {what} '{name}'" + (f"; did you mean '{near[0]}'?" if near else "")
