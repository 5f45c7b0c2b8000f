"""The facts of a plan row: everything a mail may state, checked and cleaned before a template sees it.

A name a customer typed into a form can hold anything. Here it loses what could act (control characters, line ends,
characters that turn the direction of the text around it); markup is harmless, because templates escape it.
"""

import re
import unicodedata
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from campaigns.definitions import explain
from core.errors import CampaignInvalid

LONGEST = 2000  # characters of one fact; longer ones are cut
LONGEST_NAME = 40

_DROPPED = {"Cf", "Cs"}  # invisible (direction overrides, zero-width characters); half a character
# U+200C and U+200D stay: Persian spelling and composed emoji need them, and they act on nothing.
_KEPT = {"\u200c", "\u200d"}
_BESIDE_LETTERS = {*" .'\u2019\u00b7-", *_KEPT}
_HOST_LIKE = re.compile(r"\.\w\w|^www", re.IGNORECASE)

Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]


def _iso_day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise ValueError(f"{text!r} is no day like 2017-12-04") from None


Day = Annotated[str, AfterValidator(_iso_day)]


class Product(BaseModel):
    """One product as a mail may show it. Amounts are in the currency's minor unit."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)

    product_id: str
    name: str = Field(min_length=1)
    category: str | None = None
    size: str | None = None
    price_cents: int | None = Field(None, ge=0)
    currency: Currency
    url: str
    reason: str
    reason_product_name: str | None = None
    bought_date: Day | None = None
    times_bought: int | None = Field(None, ge=0)
    usual_gap_days: float | None = Field(None, ge=0)
    days_since: int | None = Field(None, ge=0)


class Facts(BaseModel):
    """The known part of a facts document; a campaign may bring facts of its own beside it."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)

    first_name: str | None = None
    products: list[Product] = Field(default_factory=list)


def clean_facts(facts: Mapping[str, object]) -> dict[str, Any]:
    """Return the facts as templates see them: typed, every string on one line, optional ones None if absent.

    `first_name` is None too where it does not look like a name (an address of a page, digits, markup).

    Raises
    ------
    CampaignInvalid
        Naming the fact that is not what it must be.
    """
    try:  # cleaned first: half a character in a name must not stop the mail
        cleaned = Facts.model_validate(_clean(dict(facts))).model_dump()
    except ValidationError as error:
        raise CampaignInvalid(f"facts: {explain(error, Facts)}") from None
    cleaned["first_name"] = name_or_none(cleaned["first_name"])
    return cleaned


def one_line(text: str) -> str:
    """Return `text` without control and direction characters, white space collapsed, at most `LONGEST` long."""
    if (
        text.isprintable() and "  " not in text and len(text) <= LONGEST
    ):  # nearly always, and 20 times as fast
        return text.strip()
    kept = []
    for character in text[: 10 * LONGEST]:
        category = unicodedata.category(character)
        if category == "Cc" or category.startswith("Z"):
            kept.append(" ")
        elif category not in _DROPPED or character in _KEPT:
            kept.append(character)
    return " ".join("".join(kept).split())[:LONGEST].rstrip()


def name_or_none(text: str | None) -> str | None:
    """Return a first name that a greeting can use, or None: then the mail greets without one.

    People register as "win.example/prize" so that a shop's own mail carries their link; mail programs make
    such a word a link even as plain text.
    """
    if not text or len(text) > LONGEST_NAME or _HOST_LIKE.search(text):
        return None
    kinds = {unicodedata.category(character)[0] for character in text if character not in _BESIDE_LETTERS}
    return (
        text if "L" in kinds and kinds <= {"L", "M"} else None
    )  # letters, and the marks that belong to them


def _clean(value: Any) -> Any:
    match value:
        case str():
            return one_line(value)
        case dict():
            return {one_line(str(key)): _clean(each) for key, each in value.items()}
        case list() | tuple():
            return [_clean(each) for each in value]
        case None | bool() | int() | float():
            return value
    raise CampaignInvalid(f"facts: {type(value).__name__} is not a type a facts document can hold")
