"""Days as a locale writes them."""

from datetime import date

from babel import Locale
from babel.dates import format_date


def day_text(day: date, locale: Locale, form: str = "long") -> str:
    """Return a day as `locale` writes it, in a form or by a pattern of CLDR (Unicode TR 35, part 4)."""
    text = format_date(day, form, locale=locale)
    # French counts the first of a month only by its rank, which no pattern of CLDR says
    return text.replace("1 ", "1er ", 1) if day.day == 1 and locale.language == "fr" else text
