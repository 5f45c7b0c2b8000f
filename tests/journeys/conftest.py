from pathlib import Path

import pytest

from tests.journeys.platform_kit import HOUSEHOLDS, Platform, make_platform


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """A platform on which `lapwing demo` has run once, undisturbed. Tests that follow may only add to it."""
    platform = make_platform(tmp_path_factory.mktemp("demo") / "data")
    (platform.settings.data_dir.parent / "said.txt").write_text(
        platform.lapwing("demo", "--households", str(HOUSEHOLDS))
    )
    return platform


@pytest.fixture(scope="session")
def said(demo: Platform) -> str:
    return Path(demo.settings.data_dir.parent / "said.txt").read_text()
