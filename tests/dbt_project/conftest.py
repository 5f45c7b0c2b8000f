from datetime import date

import pytest

from core.dbt import build
from core.settings import Settings
from tests.campaigns import small_shop

CUTOFFS = [date(2017, 10, 9), date(2017, 11, 6), date(2017, 11, 7)]
"""The window of the last one closes on 5 December, a day after the shop's day: it must not be learnt from."""


def pytest_configure(config: pytest.Config) -> None:
    for line in small_shop.WARNINGS:
        config.addinivalue_line("filterwarnings", line)


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The small shop with the features of its day. Tests only read it."""
    return small_shop.featured(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The small shop after its whole day and a training build: every relation of the project exists."""
    after_the_day = small_shop.sent(tmp_path_factory.getbasetemp())
    settings = small_shop.copy_of(after_the_day, tmp_path_factory.mktemp("trained"))
    build(settings, "tag:features tag:training", as_of=small_shop.DAY, feature_dates=CUTOFFS)
    return settings
