"""How a template speaks a locale: catalogues, plurals, money and dates, which way it reads, and the sandbox it runs in.

The message ids are the English text. A locale is looked up as de_AT → de → en; what is formatted (money, dates)
follows the locale itself.

Where a language reads from right to left, each value in a translation is isolated from the words around it: a Latin name or a
price then keeps its own order and does not turn that of its neighbours (Unicode Standard Annex 9, section 2.4).
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import lru_cache
from gettext import GNUTranslations, NullTranslations, c2py  # as gettext itself reads plural rules
from io import BytesIO

from babel import Locale, UnknownLocaleError
from babel.dates import format_skeleton
from babel.messages.catalog import Catalog
from babel.messages.catalog import Message as TranslatedMessage
from babel.messages.mofile import write_mo
from babel.messages.pofile import PoFileError, read_po
from babel.numbers import format_currency, format_decimal, format_percent, get_currency_precision
from jinja2 import StrictUndefined, TemplateSyntaxError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from core.dates import day_text
from core.errors import CampaignInvalid

SOURCE_LOCALE = "en"
LONGEST_BARE_MONTH = 330
"""Days back to which a month without a year can only be the last of its name."""
_LOCALE = re.compile(r"[A-Za-z]{2,3}([_-][A-Za-z0-9]{2,8}){0,3}")
_PLACEHOLDER = re.compile(r"%\((\w+)\)")
ISOLATES = frozenset("\u2068\u2069")
"""FIRST STRONG ISOLATE and POP DIRECTIONAL ISOLATE: what stands between them has its own direction."""
RIGHT_TO_LEFT_MARK = "\u200f"
"""The Unicode CLDR's Arabic puts it before a price; US$ would then stand as $US, so the currency's own letters decide."""
GAPLESS = {"ja", "zh"}
"""Languages that set no space after a stop."""
_GETTEXT = ("_", "gettext", "ngettext")

Message = str | tuple[str, str]
"""A text, or (singular, plural)."""


def locale_chain(locale: str, available: Sequence[str]) -> list[str]:
    """Return the catalogues to ask for `locale`, the most special first: de_AT → [de_AT, de, en], as far as available.

    Raises
    ------
    CampaignInvalid
        If `locale` is no locale identifier at all.
    """
    if not _LOCALE.fullmatch(locale):
        raise CampaignInvalid(f"locale {locale!r} is not like 'de' or 'de_AT'")
    parts = locale.replace("-", "_").split("_")
    asked = ["_".join(parts[:length]) for length in range(len(parts), 0, -1)]
    chain = [name for name in asked if name in available]
    return chain if SOURCE_LOCALE in chain else [*chain, SOURCE_LOCALE]


def require_locale(locale: str, available: Sequence[str]) -> None:
    """Check that a mail in `locale` speaks that language, and not English for want of a catalogue.

    Raises
    ------
    CampaignInvalid
        If no catalogue is for the language of `locale`; the message names the locales there are.
    """
    if not _speaks(locale, locale_chain(locale, available)):
        there_are = ", ".join(sorted({SOURCE_LOCALE, *available}))
        raise CampaignInvalid(f"there is no locale {locale!r}; there are {there_are}")


def _speaks(locale: str, chain: Sequence[str]) -> bool:
    return locale.replace("-", "_").split("_")[0] == chain[0].split("_")[0]


def formats_of(locale: str, chain: Sequence[str]) -> Locale:
    """Return what money and dates follow: the locale, or English where the mail will be English."""
    if not _speaks(locale, chain):
        return Locale.parse(SOURCE_LOCALE)
    try:
        return Locale.parse(locale.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        return Locale.parse(chain[0])


def read_catalogue(locale: str, text: str) -> Catalog:
    """Return the catalogue in a .po file's text. Raises CampaignInvalid, naming the line that is not readable."""
    try:
        return read_po(BytesIO(text.encode()), locale=locale, abort_invalid=True)
    except (PoFileError, ValueError, UnknownLocaleError) as error:
        raise CampaignInvalid(f"locales/{locale}/LC_MESSAGES/messages.po cannot be read: {error}") from None


def translations(chain: Sequence[str], catalogues: Mapping[str, str]) -> NullTranslations:
    """Return what translates along `chain`; what no catalogue has is its message id, the English text."""
    found = NullTranslations()
    for locale in reversed(chain):
        if locale in catalogues:
            compiled = BytesIO()
            write_mo(compiled, _isolated(read_catalogue(locale, catalogues[locale])))
            compiled.seek(0)
            outer = GNUTranslations(compiled)
            outer.add_fallback(found)
            found = outer
    return found


def _isolated(catalogue: Catalog) -> Catalog:
    """Return a catalogue whose values are isolated where its language reads from right to left."""
    if catalogue.locale is None or catalogue.locale.text_direction == "ltr":
        return catalogue

    def isolated(string: str) -> str:
        return re.sub(r"(%\(\w+\)s)", "\u2068\\1\u2069", string)

    for entry in catalogue:
        if entry.id:  # the first is the head of the file
            strings = entry.string
            entry.string = (
                isolated(strings) if isinstance(strings, str) else tuple(map(isolated, strings or ()))
            )
    return catalogue


def layout_of(formats: Locale) -> dict[str, str]:
    """Return what templates lay a mail out by: the language, its direction, the sides where a line starts and ends."""
    direction = formats.text_direction
    start, end = ("left", "right") if direction == "ltr" else ("right", "left")
    return {"lang": str(formats).replace("_", "-"), "dir": direction, "start": start, "end": end}


def environment(speech: NullTranslations, formats: Locale, *, html: bool) -> ImmutableSandboxedEnvironment:
    """Return the sandbox for one locale: undefined names raise, HTML is escaped, filters follow `formats`."""
    env = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined,
        autoescape=html,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.policies["ext.i18n.trimmed"] = True

    def ngettext(singular: str, plural: str, n: int) -> str:
        str(n)  # an undefined number raises here, with its name
        return speech.ngettext(singular, plural, n)

    # the i18n extension gives the environment this method
    env.install_gettext_callables(speech.gettext, ngettext, newstyle=True)  # type: ignore[attr-defined]

    @lru_cache(maxsize=4096)  # prices recur from customer to customer
    def money(minor_units: int, currency: str) -> str:
        amount = Decimal(minor_units).scaleb(-get_currency_precision(currency))
        return format_currency(amount, currency, locale=formats).replace(RIGHT_TO_LEFT_MARK, "")

    def day(value: date | str, form: str = "long") -> str:
        return day_text(value if isinstance(value, date) else date.fromisoformat(value), formats, form)

    @lru_cache(maxsize=4096)
    def of_year(first: str, with_year: bool) -> str:
        if with_year:
            return format_skeleton("yMMMM", date.fromisoformat(first), locale=formats)
        # of LLLL Babel 2.18 gives every locale the names of whichever was asked first
        return day(first, "MMMM")

    def month(value: str, days_ago: int) -> str:
        """Return the month of an ISO date, with its year where the month alone might be this year's."""
        return of_year(f"{value[:7]}-01", days_ago > LONGEST_BARE_MONTH)

    env.filters.update(
        money=money,
        day=day,
        month=month,
        number=lambda value: format_decimal(value, locale=formats),
        percent=lambda value: format_percent(value / 100, locale=formats),
        clip=clip,
        lower=str.lower,  # Jinja's own turns into text first what is none
        some=lambda rows, name: any(row[name] is not None for row in rows),
    )
    return env


def clip(text: str, longest: int = 80) -> str:
    """Return `text`, cut at `longest` characters with an ellipsis."""
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def messages_of(source: str) -> Iterator[Message]:
    """Yield the messages a template's source asks to be translated: a text, or (singular, plural).

    Raises
    ------
    CampaignInvalid
        If the source is no template, or asks for the translation of something that is not a constant text.
    """
    env = environment(NullTranslations(), Locale.parse(SOURCE_LOCALE), html=False)
    try:
        tree = env.parse(source)
    except TemplateSyntaxError as error:
        raise CampaignInvalid(f"line {error.lineno}: {error.message}") from None
    for call in tree.find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name in _GETTEXT:
            texts = [
                argument.value
                for argument in call.args[: 2 if call.node.name == "ngettext" else 1]
                if isinstance(argument, nodes.Const) and isinstance(argument.value, str)
            ]
            match (call.node.name, texts):
                case ("ngettext", [singular, plural]):
                    yield singular, plural
                case ("_" | "gettext", [text]):
                    yield text
                case _:
                    raise CampaignInvalid(
                        f"line {call.lineno}: {call.node.name}() takes constant text, not an expression"
                    )


def check_catalogue(locale: str, catalogue: Catalog, messages: Sequence[Message]) -> None:
    """Raise CampaignInvalid for the first message without a translation, or with one that names other values.

    A plural form for one number only, as Arabic's for two, need not name the `count`.
    """
    form_of = c2py(catalogue.plural_expr)
    uses = Counter(form_of(number) for number in range(200))
    for message in messages:
        ids = (message,) if isinstance(message, str) else message
        entry = catalogue.get(ids[0])
        strings = _strings(entry)
        if not strings:
            raise CampaignInvalid(
                f"locale {locale} lacks a translation of {ids[0]!r}; add it to its messages.po"
            )
        for form, string in enumerate(strings):
            is_of_one_number = len(ids) == 2 and uses[form] == 1
            _check_values(locale, ids, string, {"count"} if is_of_one_number else set())


def _strings(entry: TranslatedMessage | None) -> tuple[str, ...]:
    """Return the translations of an entry; none if there is no entry, it is fuzzy, or a form is empty."""
    if entry is None or entry.fuzzy or not entry.string:
        return ()
    strings = (entry.string,) if isinstance(entry.string, str) else tuple(entry.string)
    return strings if all(strings) else ()


def _check_values(locale: str, ids: Sequence[str], string: str, spared: set[str]) -> None:
    named = [set(_PLACEHOLDER.findall(text)) for text in ids]
    found = set(_PLACEHOLDER.findall(string))
    if not set.intersection(*named) - spared <= found <= set.union(*named):
        wanted = ", ".join(sorted(set.union(*named))) or "none"
        raise CampaignInvalid(
            f"locale {locale} translates {ids[0]!r} with the values {', '.join(sorted(found)) or 'none'}; "
            f"allowed: {wanted}"
        )
    try:
        string % defaultdict(int)
    except (TypeError, ValueError) as error:
        raise CampaignInvalid(
            f"locale {locale}: the translation {string!r} cannot be filled in: {error}"
        ) from None
