"""The facts of a plan row: everything a mail may state, checked and cleaned before a template sees it.

A name a customer typed into a form can hold anything. Here it loses what could act (control characters, line ends,
characters that turn the direction of the text around it); markup is harmless, because templates escape it.
"""

import json
import re
import unicodedata
from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from typing import Annotated, Any, Literal, NotRequired, get_args

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    with_config,
)
from typing_extensions import TypeAliasType, TypedDict

from campaigns.definitions import explain
from core.errors import CampaignInvalid

LONGEST = 2000  # characters of one fact; longer ones are cut
LONGEST_NAME = 40
Slot = Literal["subject", "preheader", "headline", "lead", "call_to_action"]
SLOTS: tuple[Slot, ...] = get_args(Slot)
"""The parts of a mail of which there may be several candidates."""

_DROPPED = {"Cf", "Cs"}  # invisible (direction overrides, zero-width characters); half a character
# U+200C and U+200D stay: Persian spelling and composed emoji need them, and they act on nothing.
_KEPT = {"\u200c", "\u200d"}
_BESIDE_LETTERS = {*" .'\u2019\u00b7-", *_KEPT}
_HOST_LIKE = re.compile(r"\.\w\w|^www", re.IGNORECASE)

_SHOWN = r"[[^\p{Cc}\p{Cf}\p{Z}]\x{200C}\x{200D}]"  # what `one_line` keeps, but for spaces
Text = Annotated[str, StringConstraints(pattern=rf"^({_SHOWN}+( {_SHOWN}+)*)?$", max_length=LONGEST)]
"""A string as `one_line` would leave it."""
Value = TypeAliasType("Value", "bool | int | float | Text | list[Value] | dict[Text, Value] | None")
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Count = Annotated[int, Field(ge=0)]


@lru_cache(maxsize=4096)
def _iso_day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise ValueError(f"{text!r} is no day like 2017-12-04") from None


Day = Annotated[str, AfterValidator(_iso_day)]
_AS_GIVEN = ConfigDict(strict=True, allow_inf_nan=False)


@with_config(_AS_GIVEN)
class Product(TypedDict, extra_items=Value):  # type: ignore[call-arg]  # PEP 728, which mypy does not know
    """One product as a mail may show it. Amounts are in the currency's minor unit."""

    product_id: Text
    name: Annotated[Text, Field(min_length=1)]
    currency: Currency
    url: Text
    reason: Text
    category: NotRequired[Text | None]
    size: NotRequired[Text | None]
    price_cents: NotRequired[Count | None]
    reason_product_name: NotRequired[Text | None]
    bought_date: NotRequired[Day | None]
    times_bought: NotRequired[Count | None]
    usual_gap_days: NotRequired[Annotated[float, Field(ge=0)] | None]
    days_since: NotRequired[Count | None]


@with_config(_AS_GIVEN)
class Said(TypedDict):
    """What a slot of the mail says: a candidate of its template, or a text that was written for it."""

    id: Text
    text: Text | None


@with_config(_AS_GIVEN)
class Facts(TypedDict, extra_items=Value):  # type: ignore[call-arg]  # PEP 728, which mypy does not know
    """The known part of a facts document; a campaign may bring facts of its own beside it."""

    first_name: NotRequired[Text | None]
    products: NotRequired[list[Product]]
    copy: NotRequired[dict[Slot, Said]]


ALWAYS = frozenset({"first_name", "products", "copy"})
"""What templates are given whether the document has it or not: None, no products, and nothing chosen for any slot."""
_FACTS = TypeAdapter(Facts)
_ABSENT = dict.fromkeys(sorted(Product.__optional_keys__))
_NOT_CHOSEN = {slot: {"id": None, "text": None} for slot in SLOTS}


def clean_facts(facts: Mapping[str, object] | str) -> dict[str, Any]:
    """Return a facts document, or its JSON text, as templates see it: every string on one line, None for what is absent.

    `first_name` is None too where it does not look like a name (an address of a page, digits, markup).

    Raises
    ------
    CampaignInvalid
        Naming the fact that is not what it must be.
    """
    try:  # nearly every document is clean, which this tells four times as fast as cleaning it
        checked = _FACTS.validate_json(facts) if isinstance(facts, str) else _FACTS.validate_python(facts)
    except ValidationError:
        checked = _cleaned(json.loads(facts) if isinstance(facts, str) else facts)
    return {
        **checked,
        "first_name": name_or_none(checked.get("first_name")),
        "products": [_ABSENT | product for product in checked.get("products", [])],
        "copy": {**_NOT_CHOSEN, **checked.get("copy", {})},
    }


def one_line(text: str, kept_too: frozenset[str] = frozenset()) -> str:
    """Return `text` without control and direction characters, white space collapsed, at most `LONGEST` long.

    `kept_too` are direction characters that stay, in a text that is ours but for facts that were cleaned.
    """
    if (
        text.isprintable() and "  " not in text and len(text) <= LONGEST
    ):  # nearly always, and 20 times as fast
        return text.strip()
    kept = []
    for character in text[: 10 * LONGEST]:
        category = unicodedata.category(character)
        if category == "Cc" or category.startswith("Z"):
            kept.append(" ")
        elif category not in _DROPPED or character in _KEPT or character in kept_too:
            kept.append(character)
    return " ".join("".join(kept).split())[:LONGEST].rstrip()


@lru_cache(maxsize=4096)
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


def _cleaned(facts: Mapping[str, object]) -> Facts:
    try:  # cleaned first: half a character in a name must not stop the mail
        return _FACTS.validate_python(_clean(dict(facts)))
    except ValidationError as error:
        raise CampaignInvalid(f"facts: {explain(error, Facts.__annotations__)}") from None


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
