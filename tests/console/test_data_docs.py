"""The gates' pages are whole by themselves: the console serves them, and a browser asks for nothing else."""

import re
from datetime import date

import pytest

from expectations.judge import Line
from expectations.pages import GatePage, write_page

LINE = Line("drift (PSI)", "recency_days", "0.81", "at most 0.25 (else a warning)", "warning")


@pytest.mark.parametrize("path", ["/data-docs/customer_features/2017-12-04.html", "/data-docs/"])
def test_a_gates_page_loads_nothing_from_anywhere_and_runs_nothing(settings, serve, path):
    write_page(settings, GatePage("customer_features", date(2017, 12, 4), [LINE], (), ()))
    answer = serve(settings).get(path)
    assert answer.status_code == 200
    assert "customer_features" in answer.text
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; form-action 'none'")
    assert not re.search(r"<(script|link|img|iframe|form)|\bsrc=|@import|url\(", answer.text)
