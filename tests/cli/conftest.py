import pytest

from core.settings import Settings


@pytest.fixture
def own_folder(monkeypatch, tmp_path):
    """Let commands find an empty data folder and wide lines, and nothing of this copy's own settings."""
    monkeypatch.setitem(Settings.model_config, "env_file", None)
    monkeypatch.setenv("LAPWING_TOKEN_KEY", "k" * 40)
    monkeypatch.setenv("LAPWING_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "300")
