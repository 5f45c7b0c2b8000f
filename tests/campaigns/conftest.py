from collections.abc import Callable
from pathlib import Path

import pytest

from core.settings import Settings
from tests.campaigns import small_shop


def pytest_configure(config: pytest.Config) -> None:
    for line in small_shop.WARNINGS:
        config.addinivalue_line("filterwarnings", line)


@pytest.fixture(scope="session")
def featured(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The small shop before its plan. Tests only read it."""
    return small_shop.featured(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The small shop with a plan that waits for its release. Tests only read it."""
    return small_shop.planned(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The small shop in the evening: mails are in the inbox, the report is published. Tests only read it."""
    return small_shop.sent(tmp_path_factory.getbasetemp())


@pytest.fixture
def own(tmp_path: Path) -> Callable[[Settings], Settings]:
    """Copy a stage of the small shop into the test's own folder, to change it there."""
    return lambda stage: small_shop.copy_of(stage, tmp_path)
