from datetime import date

import pytest
from babel import Locale

from core.dates import day_text


@pytest.mark.parametrize(
    ("locale", "day", "said"),
    [
        ("fr", date(2021, 1, 1), "1er janvier 2021"),
        ("fr_CA", date(2017, 12, 1), "1er décembre 2017"),
        ("fr", date(2017, 12, 11), "11 décembre 2017"),
        ("fr", date(2017, 12, 21), "21 décembre 2017"),
        ("es", date(2017, 12, 1), "1 de diciembre de 2017"),
    ],
)
def test_french_alone_counts_a_day_by_its_rank_and_that_the_first_of_a_month_alone(locale, day, said):
    assert day_text(day, Locale.parse(locale)) == said
