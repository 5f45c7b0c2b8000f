"""What the parts of a mail may say: candidates that a small grammar makes, and the Jinja that says whichever was chosen.

A campaign's `copy.yml` names symbols; each has productions, and a production is a sentence or symbols in braces. The slots
of the mail are where it starts. Sentences are messages like any other in a template: translated in the catalogues, with
slots for facts. What was chosen stands in the plan row's fact `copy`, so the row gives the same mail for ever.
"""

import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from campaigns.definitions import TEMPLATES, Checked, Identifier, Line, checked
from campaigns.facts import SLOTS, Slot, clean_facts
from campaigns.language import GAPLESS, environment, formats_of, locale_chain, translations
from campaigns.render import without_gaps_in_text
from core.errors import CampaignInvalid


class Value(NamedTuple):
    """What a sentence may name: the Jinja for it, and what a mail must have for that."""

    source: str
    fact: str | None = None
    """Of the mail, where not every mail has it."""
    product_facts: tuple[str, ...] = ()
    """Of each of its products: any of them can be the first."""
    least_products: int = 0


# What has a former price has a price today; of any other product it may not be known.
_FORMER = "previous_price_cents"
VALUES = {
    "name": Value("first_name"),
    "product": Value("products[0].name | clip(50)", least_products=1),
    "other": Value("products[1].name | clip(50)", least_products=2),
    "more": Value("products | length - 1", least_products=2),
    "price": Value(
        "products[0].price_cents | money(products[0].currency)",
        product_facts=("price_cents", _FORMER),
        least_products=1,
    ),
    "previous": Value(
        f"products[0].{_FORMER} | money(products[0].currency)", product_facts=(_FORMER,), least_products=1
    ),
    "units": Value("products[0].units_left", product_facts=("units_left",), least_products=1),
    "days": Value("days_since_last_order", "days_since_last_order"),
    "left_day": Value("left_date | day", "left_date"),
    "looked_day": Value("looked_date | day", "looked_date"),
}
"""What a sentence may name as `%(product)s` → the fact it stands for."""
_OF_THE_FIRST = {"product", "price", "previous", "units"}
MOST = 40
"""Candidates of a slot: each needs readers before anything is known of it."""
_BETWEEN = "\x1e"  # which no fact holds, and no template
_NAMED = re.compile(r"%\((\w+)\)s")
_SYMBOLS = re.compile(r"\{\w+\}(?: \{\w+\})*")
_SYNTAX = re.compile(r"[{}<>&\\]|%(?!\(\w+\)s)")  # of Jinja, of markup, and of what fills a message in


def _plain(text: str) -> str:
    if _SYMBOLS.fullmatch(text):
        return text
    if found := _SYNTAX.search(text):
        raise ValueError(f"{text!r} holds {found[0]!r}; allowed: plain text and {_allowed()}")
    if strangers := set(_NAMED.findall(text)) - {*VALUES, "count"}:
        raise ValueError(f"{text!r} names {min(strangers)!r}; allowed: {_allowed()}")
    return text


def _allowed() -> str:
    return ", ".join(f"%({name})s" for name in VALUES)


Text = Annotated[Line, AfterValidator(_plain)]


class Sentence(Checked):
    """One message, where it has more than one form."""

    text: Text
    to_name: Text | None = None
    """What it is instead where the customer's name is known."""
    plural: Text | None = None
    """`text` is for one; in both forms the number is `%(count)s`."""
    count: Literal["more", "days", "units"] | None = None
    """Which number that is."""

    @model_validator(mode="after")
    def _has_what_its_forms_need(self) -> Self:
        if (self.plural is None) != (self.count is None):
            raise ValueError("plural and count belong together")
        if self.plural is not None and self.to_name is not None:
            raise ValueError("a sentence with plural has no to_name")
        for text, fits in ((self.text, self.plural is not None), (self.to_name or "", False)):
            if "count" in _NAMED.findall(text) and not fits:
                raise ValueError(f"{text!r} names 'count', which needs plural and count")
        for text in (self.text, self.plural or ""):
            if "name" in _NAMED.findall(text):
                raise ValueError(f"{text!r} names 'name', which not every customer has; put it into to_name")
        return self

    @property
    def values(self) -> frozenset[str]:
        """Names of the facts that it needs; it can do without the customer's name."""
        texts = f"{self.text} {self.plural or ''} {self.to_name or ''}"
        counted = {self.count} if self.count else set()
        return frozenset({*_NAMED.findall(texts), *counted}) - {"count", "name"}

    @property
    def source(self) -> str:
        """Jinja that says it."""
        if self.plural is not None and self.count is not None:
            number = VALUES[self.count].source
            forms = f"{_quoted(self.text)}, {_quoted(self.plural)}"
            values = _values(f"{self.text} {self.plural}")
            return f"{{{{ ngettext({forms}, {number}, count={number}{values}) }}}}"
        if self.to_name is None:
            return _message(self.text)
        return f"{{% if first_name %}}{_message(self.to_name)}{{% else %}}{_message(self.text)}{{% endif %}}"


Production = Annotated[
    Sentence, BeforeValidator(lambda value: {"text": value} if isinstance(value, str) else value)
]
Productions = dict[Identifier, Production]


class Copy(Checked):
    """The grammar in `copy.yml`. A slot that it leaves out says what the template says."""

    subject: Productions = Field(default_factory=dict)
    preheader: Productions = Field(default_factory=dict)
    headline: Productions = Field(default_factory=dict)
    lead: Productions = Field(default_factory=dict)
    call_to_action: Productions = Field(default_factory=dict)
    parts: dict[Identifier, Productions] = Field(default_factory=dict)
    """Symbols that the slots are made of."""
    generated: list[Slot] = Field(default_factory=list)
    """Slots that a language model may write for too: none in which a mail says what its reader has to know."""

    @model_validator(mode="after")
    def _generates_only_beside_what_was_authored(self) -> Self:
        for slot in SLOTS:
            if slot in self.generated and not getattr(self, slot):
                raise ValueError(f"generated names {slot!r}, which has no candidates here")
        return self


@dataclass(frozen=True)
class Candidate:
    """One thing that a slot may say."""

    slot: str
    candidate_id: str
    """The productions that make it, in order: `tried`, or `both.orders.guess`."""
    sentences: tuple[Sentence, ...]

    @property
    def origin(self) -> str:
        """Say whether it was written as it is, or put together of parts."""
        return "grammar" if "." in self.candidate_id else "authored"

    @property
    def about(self) -> str:
        """Say which of the mail's products it speaks of: the first, the second, or all of them alike."""
        values = self.values
        return "second" if "other" in values else "first" if _OF_THE_FIRST & values else "all"

    @property
    def least_products(self) -> int:
        """Products that the mail must show for it to be so."""
        return max((VALUES[name].least_products for name in self.values), default=0)

    @property
    def source(self) -> str:
        return " ".join(sentence.source for sentence in self.sentences)

    @property
    def values(self) -> frozenset[str]:
        """Names of the facts that it states."""
        return frozenset().union(*(sentence.values for sentence in self.sentences))


def generated_slots(place: str, folder: Path = TEMPLATES) -> frozenset[str]:
    """Return the slots of a mail that has `copy.yml` for which a language model may write."""
    return frozenset(checked(Copy, folder / place / "copy.yml").generated)


def require_facts(candidates: Sequence[Candidate], facts: Mapping[str, Any], place: str) -> None:
    """Raise CampaignInvalid for the first candidate that states what a mail with these facts cannot know."""
    for candidate in candidates:
        for name in sorted(candidate.values):
            fact, of_products = VALUES[name].fact, VALUES[name].product_facts
            lacks = [fact] if fact and facts.get(fact) is None else []
            lacks += [
                f"products.{key}"
                for key in of_products
                if any(product.get(key) is None for product in facts.get("products", []))
            ]
            if lacks:
                said = f"{place}/copy.yml, {candidate.slot}: {candidate.candidate_id} names %({name})s"
                raise CampaignInvalid(f"{said}, which needs {lacks[0]!r}; example.json lacks it")


def load_candidates(place: str, folder: Path = TEMPLATES) -> list[Candidate]:
    """Return what the slots of a mail (`campaign`, or `campaign/step`) may say; none where it has no `copy.yml`.

    Raises
    ------
    CampaignInvalid
        Naming file, line and what would be allowed; or the symbol that is missing, not used or made of itself.
    """
    file = folder / place / "copy.yml"
    if not file.is_file():
        return []
    grammar, name = checked(Copy, file), f"{place}/copy.yml"
    used: set[str] = set()
    found = []
    for slot in SLOTS:
        candidates = [
            Candidate(slot, candidate_id, sentences)
            for candidate_id, sentences in _expanded(getattr(grammar, slot), grammar, name, (), used)
        ]
        if len(candidates) > MOST:
            raise CampaignInvalid(f"{name} makes {len(candidates)} candidates of {slot}; allowed: {MOST}")
        found += candidates
    if idle := grammar.parts.keys() - used:
        raise CampaignInvalid(f"{name}: nothing uses the part {min(idle)!r}")
    return found


def slot_sources(candidates: Sequence[Candidate]) -> dict[str, str]:
    """Return slot → Jinja that says the text or the candidate in the fact `copy`; by default the first that can be said."""
    by_slot = {slot: list(each) for slot, each in itertools.groupby(candidates, key=lambda each: each.slot)}
    return {slot: _chooser(slot, each) for slot, each in by_slot.items()}


def said(
    candidates: Sequence[Candidate], facts: Mapping[str, object], locale: str, catalogues: Mapping[str, str]
) -> Iterator[tuple[Candidate, str]]:
    """Yield each candidate that these facts allow, and what it says in a locale."""
    cleaned = clean_facts(facts)
    able = [each for each in candidates if each.least_products <= len(cleaned["products"])]
    if not able:
        return
    chain = locale_chain(locale, list(catalogues))
    formats = formats_of(locale, chain)
    env = environment(translations(chain, catalogues), formats, html=False)
    text = env.from_string(_BETWEEN.join(each.source for each in able)).render(cleaned)
    if formats.language in GAPLESS:
        text = without_gaps_in_text(text, html=False)
    yield from zip(able, text.split(_BETWEEN), strict=True)


def _chooser(slot: str, candidates: Sequence[Candidate]) -> str:
    asked = [f"{{% if copy.{slot}.text %}}{{{{ copy.{slot}.text }}}}"]
    for each in candidates[1:]:
        needs = f" and products | length >= {each.least_products}" if each.least_products else ""
        asked.append(f"{{% elif copy.{slot}.id == '{each.candidate_id}'{needs} %}}{each.source}")
    *defaults, last = _defaults(candidates)
    for each in defaults:
        asked.append(f"{{% elif products | length >= {each.least_products} %}}{each.source}")
    return "".join([*asked, f"{{% else %}}{last.source}{{% endif +%}}"])


def _defaults(candidates: Sequence[Candidate]) -> Iterator[Candidate]:
    """Yield the first candidate, and after it each that can be said with fewer products than those before it."""
    fewest = None
    for each in candidates:
        if fewest is None or each.least_products < fewest:
            yield each
            fewest = each.least_products


def _expanded(
    productions: Productions, grammar: Copy, name: str, inside: tuple[str, ...], used: set[str]
) -> Iterator[tuple[str, tuple[Sentence, ...]]]:
    for production_id, production in productions.items():
        if not _SYMBOLS.fullmatch(production.text):
            yield production_id, (production,)
        else:
            symbols = re.findall(r"\w+", production.text)
            for symbol in symbols:
                if symbol in inside or symbol not in grammar.parts:
                    problem = "is made of itself" if symbol in inside else "is no part"
                    raise CampaignInvalid(
                        f"{name}: {{{symbol}}} {problem}; parts: {', '.join(grammar.parts)}"
                    )
            used.update(symbols)
            parts = [
                list(_expanded(grammar.parts[symbol], grammar, name, (*inside, symbol), used))
                for symbol in symbols
            ]
            for chosen in itertools.product(*parts):
                ids, sentences = zip(*chosen, strict=True)
                yield ".".join([production_id, *ids]), tuple(itertools.chain(*sentences))


def _message(text: str) -> str:
    return f"{{{{ _({_quoted(text)}{_values(text)}) }}}}"


def _values(text: str) -> str:
    names = dict.fromkeys(_NAMED.findall(text))
    return "".join(f", {name}={VALUES[name].source}" for name in names if name != "count")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
