"""Guard-rails on what a mail says: nothing but facts, no slot left open, no word we do not use, no wrong language, no line too long.

They judge the text as a reader gets it, whoever wrote it: the compiler goes over every example in every locale. Copy
that was not written by hand has to pass with no fact at all, so that it holds in whatever mail says it.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from gettext import NullTranslations
from typing import Any, TypeVar

from campaigns.definitions import Brand
from campaigns.facts import clean_facts
from campaigns.language import clip, environment, formats_of

Reason = TypeVar("Reason")
LONGEST_SHOWN = {"subject": 110, "preheader": 150, "headline": 80, "lead": 320, "call_to_action": 40}
"""Columns, of which a Chinese or Japanese character takes two: about what inboxes show on a wide screen, three lines of a
headline, seven of a lead and one of a button on a phone."""
LONGEST_MESSAGE = {"sms": 306, "push": 180, "call": 2000}
"""Columns of a message without its links: two parts of a text message (3GPP TS 23.040), what a telephone's lock screen shows."""
STARS = range(1, 6)
COUPON = r"\b[0-9A-Z]{5}-[0-9A-Z]{5}\b"
_KNOWN = "\ue000"  # stands where a fact stood; no font has it
_OPEN_SLOT = re.compile(r"\{\{|\}\}|\{%|%\}|%\(\w+\)s|\$\{|\b(?:None|NaN|undefined|null)\b")
_NUMBER = re.compile(r"\d+(?:[., ]\d+)*")
_CURRENCY = re.compile(r"[$€£¥￥₹]|\b(?:USD|EUR|GBP|JPY|CNY)\b")
_BLANKS = re.compile("[\u00a0\u202f]")
_AFTER_STOP = re.compile(
    "(?<=[\u3002\uff1f\uff01]) +"
)  # Chinese and Japanese mails set none, in names either
_ADDRESS = r"https?://\S+"
_ISO_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_CLIPS = (50, 60, 80)
_SCRIPTS = {
    "ar": re.compile(r"[\u0600-\u06ff]"),
    "ja": re.compile(r"[\u3040-\u30ff]"),
    "zh": re.compile(r"[\u4e00-\u9fff]"),
    "latin": re.compile(r"[a-zà-öø-ÿœ]", re.IGNORECASE),
}
_LETTER = "[A-Za-zÀ-ÖØ-öø-ÿ]"
_LATIN = re.compile(_LETTER + "{2,}")
_CAPITAL = re.compile(r"(?<=[^\W\d_][ ,;:-] )[A-ZÀ-ÖØ-Þ]\w+|(?<=[^\W\d_] )[A-ZÀ-ÖØ-Þ]\w+")
_NO_NAMES = re.compile(r"(?!)")
_NAMES = {
    "ar": _LATIN,
    "ja": _LATIN,
    "zh": _LATIN,
    "en": _CAPITAL,
    "es": _CAPITAL,
    "fr": _CAPITAL,
    "de": _NO_NAMES,
}
_COMMON_WORDS = {
    "de": "der die das und ist nicht sie ihr ihre wir uns mit von für auf ein eine den dem zu im was es noch haben diese weil",
    "en": "the and is not you your we us with of for on a an to in what it this that these are have because get no",
    "es": "el la los las y es no tu te nos con de para un una en lo que por tus este esta porque más has si",
    "fr": "le la les et est ne pas vous votre vos nous avec de du des pour un une en que ce cette il parce qui dans",
}
_COMMON = {language: frozenset(words.split()) for language, words in _COMMON_WORDS.items()}


def faults(
    subject: str, preheader: str, text: str, facts: Mapping[str, object] | str, locale: str, brand: Brand
) -> Iterator[str]:
    """Yield why a mail must not go out: what it says that it must not, and where.

    `facts` are those of the mail's plan row. A name, price, number or date in the mail has to be one of them, as the locale
    writes it.
    """
    known = _statements(facts, locale, brand)
    parts = {"subject": subject, "preheader": preheader, "text": text}
    rest = {name: known.sub(_KNOWN, _plain(part)) for name, part in parts.items()}
    for name, said in rest.items():
        yield from _faults_of_part(name, said, facts, locale, brand)
    for name in ("subject", "preheader"):
        yield from _too_long(name, parts[name])
    spoken = language_of(" ".join(rest.values()))
    if spoken != formats_of(locale, [locale]).language:
        yield f"the mail is in {spoken or 'no language we know'}, and should be in {locale}"


def too_long(text: str, channel: str) -> Iterator[str]:
    """Yield that a message is longer than its channel takes; a mail's text may be of any length."""
    longest = LONGEST_MESSAGE.get(channel)
    if longest is not None and (shown := _columns(re.sub(_ADDRESS, "", text))) > longest:
        yield f"the text takes {shown} columns without its links; allowed for {channel}: {longest}"


def faults_of_slot(
    slot: str,
    text: str,
    facts: Mapping[str, object] | str,
    locale: str,
    brand: Brand,
    names: Iterable[str] = (),
) -> Iterator[str]:
    """Yield why a slot must not say a text: all that a mail must not, and a name that is no fact of the mail.

    `names` are those that the shop knows, of products, brands and customers. Beside them a word counts as a name where its
    script says so: a capital within an English, French or Spanish sentence, Latin letters in a language of others.
    """
    said = _statements(facts, locale, brand).sub(_KNOWN, _plain(text))
    yield from _faults_of_part(slot, said, facts, locale, brand)
    yield from _too_long(slot, text)
    if not text.strip():
        yield f"the {slot} says nothing"
    language = formats_of(locale, [locale]).language
    folded = said.casefold()
    strangers = [name for name in names if name.casefold() in folded and _word(name).search(said)] or _NAMES[
        language
    ].findall(said)
    for name in strangers:
        yield f"the {slot} names {name!r}, which is no fact of this mail"
    if (spoken := _other_language(said, language)) is not None:
        yield f"the {slot} is in {spoken}, and should be in {locale}"


def _faults_of_part(
    name: str, said: str, facts: Mapping[str, object] | str, locale: str, brand: Brand
) -> Iterator[str]:
    for found in _OPEN_SLOT.finditer(said):
        yield f"the {name} holds {found[0]!r}, a slot that nothing filled"
    for found in _NUMBER.finditer(said):
        yield f"the {name} states {found[0]!r}, which is no fact of this mail"
    for found in _CURRENCY.finditer(said):
        yield f"the {name} states a price with {found[0]!r}, which is no fact of this mail"
    for word, why in _of_locale(brand.words_not_used, locale).items():
        if (banned := _words_like(word).search(said)) is not None:
            yield f"the {name} says {banned[0]!r}: {why}"
    backing = _backing(facts)
    for word, needs in _of_locale(brand.words_with_facts, locale).items():
        if not backing.intersection(needs) and (claim := _words_like(word).search(said)) is not None:
            yield f"the {name} says {claim[0]!r}, which needs the fact {' or '.join(needs)}"


def _backing(facts: Mapping[str, object] | str) -> set[str]:
    """Return what can back a claim: the facts that are not null, and the reasons of the mail's products."""
    cleaned = clean_facts(facts)
    reasons = {product["reason"] for product in cleaned["products"]}
    return reasons | {name for name, value in cleaned.items() if value is not None}


def _too_long(name: str, text: str) -> Iterator[str]:
    if (shown := _columns(text)) > LONGEST_SHOWN[name]:
        yield f"the {name} takes {shown} columns; allowed: {LONGEST_SHOWN[name]}"


def language_of(text: str) -> str | None:
    """Return the language of a text of some sentences, by its script and its commonest words; None if it shows neither.

    >>> language_of("Das haben Sie am häufigsten gekauft, und es ist noch da.")
    'de'
    """
    letters = {script: len(of.findall(text)) for script, of in _SCRIPTS.items()}
    if letters["ja"] > 0.1 * (letters["ja"] + letters["zh"]):
        letters["ja"] += letters.pop("zh")
    script = max(letters, key=lambda name: letters[name])
    if not letters[script]:
        return None
    if script != "latin":
        return script
    hits = _hits(text)
    return max(hits, key=lambda language: hits[language]) if any(hits.values()) else None


def _hits(text: str) -> dict[str, int]:
    words = re.findall(r"[^\W\d_]+", text.lower())
    return {language: sum(word in common for word in words) for language, common in _COMMON.items()}


def _other_language(text: str, language: str) -> str | None:
    """Return which other language a line is in; None where it may well be in this one, as a line of two words may."""
    spoken = language_of(text)
    if spoken in (None, language) or (spoken, language) == ("zh", "ja"):  # a line may be all kanji
        return None
    if spoken in _COMMON and language in _COMMON and _hits(text)[spoken] <= _hits(text)[language] + 1:
        return None
    return spoken


def _statements(facts: Mapping[str, object] | str, locale: str, brand: Brand) -> re.Pattern[str]:
    """Return what finds every fact of a mail, in any form that a template of the locale gives it."""
    cleaned = clean_facts(facts)
    del cleaned["copy"]  # what a slot says is no fact: it has to state some
    said = {brand.name, brand.postal_address, *_forms(cleaned, _filters(locale), None)}
    if products := len(cleaned["products"]):
        said |= {str(products), str(products - 1)}
    if "survey" in cleaned:
        said |= {str(stars) for stars in STARS}
    longest_first = sorted(map(_plain, filter(None, said)), key=len, reverse=True)
    forms = [rf"(?<![\d.,]){_whole(each)}(?![.,]?\d)" for each in longest_first]
    # what comes first in the text wins: an address in a product's name is part of the name
    return re.compile("|".join([*([COUPON] if "offer" in cleaned else []), _ADDRESS, *forms]))


def _whole(fact: str) -> str:
    """Return what finds a fact that is no part of a Latin word: a size `S` stands in no `discounts`."""
    before = f"(?<!{_LETTER})" if re.match(_LETTER, fact) else ""
    after = f"(?!{_LETTER})" if re.match(_LETTER, fact[-1]) else ""
    return before + re.escape(fact) + after


def _plain(text: str) -> str:
    return _AFTER_STOP.sub("", _BLANKS.sub(" ", text))


def _forms(value: Any, filters: Mapping[str, Any], currency: str | None, key: str = "") -> Iterator[str]:
    match value:
        case dict():
            for name, each in value.items():
                yield from _forms(each, filters, value.get("currency", currency), name)
        case list():
            for each in value:
                yield from _forms(each, filters, currency, key)
        case str() if _ISO_DAY.fullmatch(value):
            yield filters["day"](value)
            yield from (filters["month"](value, days_ago) for days_ago in (0, 10_000))
        case str():
            yield from (clip(value, longest) for longest in _CLIPS)
            yield from (clip(value, longest).lower() for longest in (30, *_CLIPS))
        case int() | float() if not isinstance(value, bool):
            if key.endswith("_cents"):
                yield filters["money"](int(value), currency or "USD")
            elif key.endswith("_percent"):
                yield filters["percent"](value)
            else:
                yield from {str(value), str(max(round(value), 1)), filters["number"](value)}


@lru_cache(maxsize=64)
def _filters(locale: str) -> Mapping[str, Any]:
    return environment(NullTranslations(), formats_of(locale, [locale]), html=False).filters


def _of_locale(words: Mapping[str, Mapping[str, Reason]], locale: str) -> Mapping[str, Reason]:
    return words.get(locale.replace("-", "_").split("_")[0], {})


@lru_cache(maxsize=1024)
def _words_like(word: str) -> re.Pattern[str]:
    """Return what finds a word of the brand's lists; `*` at an end stands for whatever words begin or end with there."""
    stem = word.strip("*")
    before = r"\w*" if word.startswith("*") else _edge(stem)
    after = r"\w*" if word.endswith("*") else _edge(stem)
    return re.compile(before + re.escape(stem) + after, re.IGNORECASE)


@lru_cache(maxsize=1024)
def _word(word: str) -> re.Pattern[str]:
    return re.compile(_edge(word) + re.escape(word) + _edge(word), re.IGNORECASE)


def _edge(word: str) -> str:
    """Return what stands around a word; Chinese and Japanese have nothing there."""
    return "" if unicodedata.east_asian_width(word[0]) == "W" else r"\b"


def _columns(text: str) -> int:
    shown = (each for each in text if unicodedata.category(each) not in ("Cf", "Mn"))
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in shown)
