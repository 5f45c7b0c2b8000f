import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.settings import Settings
from ml.threads import one_thread
from tests.ml.shop import AS_OF, publish, settings_of

# What MLflow 3.17 raises by itself, and we cannot mend. Any other warning fails the test.
MLFLOW_WARNINGS = [
    "ignore:The ``noload`` loader strategy:sqlalchemy.exc.SADeprecationWarning",  # its models, with SQLAlchemy 2.1
    "ignore:.*Any type hint is inferred as AnyType:UserWarning",  # its own classes, when it is imported
]


def pytest_configure(config: pytest.Config) -> None:
    for line in MLFLOW_WARNINGS:
        config.addinivalue_line("filterwarnings", line)


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """As training and scoring do: on two busy cores boosting is a hundred times slower with two threads."""
    with one_thread():
        yield


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow store without a run: making its tables takes seconds, so tests start from a copy of one."""
    from mlflow import MlflowClient

    folder = tmp_path_factory.mktemp("store")
    url = settings_of(folder).mlflow
    MlflowClient(url, url).search_experiments()
    return folder / "mlflow.sqlite"


@pytest.fixture
def shop(settings: Settings, empty_store: Path) -> Settings:
    """The simulated shop, published, with an MLflow store that knows no model."""
    shutil.copy(empty_store, settings.data_dir / "mlflow.sqlite")
    publish(settings)
    return settings


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Callable[[Path], Settings]:
    """Copy the simulated shop, with both champions trained once for the whole session, into a folder.

    MLflow stores where artifacts lie, so copies read those of the first; a test that spoils one trains its own.
    """
    from ml.train import train_churn, train_recommender

    folder = tmp_path_factory.mktemp("trained")
    shutil.copy(empty_store, folder / "mlflow.sqlite")
    publish(settings_of(folder))
    assert train_churn(settings_of(folder), AS_OF).promoted
    assert train_recommender(settings_of(folder), AS_OF).promoted

    def copy_to(target: Path) -> Settings:
        shutil.copytree(folder, target, dirs_exist_ok=True)
        return settings_of(target)

    return copy_to
