"""The gates' pages say what was checked, what was found, and against which days."""

import re
from datetime import date

from core.settings import Settings
from expectations.judge import Line
from expectations.pages import GatePage, write_page

DAY = date(2017, 12, 4)
LINES = [
    Line("drift (PSI)", "recency_days", "0.81", "at most 0.25 (else a warning)", "warning"),
    Line("rows of <another> day", "the table", "0", "0", "ok"),
]
PAGE = GatePage("customer_features", DAY, LINES, ("Nothing <else>.",), (date(2017, 12, 3),))


def page_of(settings: Settings, name: str) -> str:
    return (settings.data_docs / name).read_text()


def test_a_page_shows_verdict_value_bounds_days_and_remarks_as_text(settings):
    write_page(settings, PAGE)
    text = page_of(settings, "customer_features/2017-12-04.html")
    assert "Passed: 2 checks" in text
    assert "1 warning:" in text
    assert "Compared with 1 published day:\n2017-12-03." in text
    assert "Nothing &lt;else&gt;." in text
    row = text[text.index('class="row-warning"') : text.index('class="row-ok"')]
    assert re.findall(r">([^<>\n]+)</td>", row) == [
        "warning", "drift (PSI)", "recency_days", "0.81", "at most 0.25 (else a warning)",
    ]  # fmt: skip
    assert "rows of &lt;another&gt; day" in text


def test_the_index_lists_the_newest_sixty_days_and_older_pages_stay(settings):
    for number in range(1, 29):
        for month in (1, 2, 3):
            write_page(settings, GatePage("campaign_plan", date(2017, month, number), [], (), ()))
    index = page_of(settings, "index.html")
    assert re.findall(r'href="campaign_plan/(.+?)\.html"', index)[::59] == ["2017-03-28", "2017-01-25"]
    assert "campaign_plan of 2017-01-01" in page_of(settings, "campaign_plan/2017-01-01.html")
