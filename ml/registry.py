"""The one module that speaks MLflow: logs what was trained, registers it, promotes it, hands out the champion.

A training is logged whole or not at all: a run carries the tag `lapwing.state` = complete as its last act, and what an
interrupted training left behind is removed by the next one. Training the same data with the same code again finds
the complete run and changes nothing, so a champion that a person moved back stays where it was put.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any
from warnings import catch_warnings

import mlflow
import mlflow.sklearn
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from core.durable import locked, sync
from core.errors import ModelRefused
from core.logging import get_logger
from core.settings import Settings
from ml.provenance import REQUIREMENTS, file_digest
from ml.training import FittedModel, Training

# skops asks every module there is for every name of numpy's functions; Airflow's answer with a thousand warnings.
with catch_warnings(action="ignore"):
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

log = get_logger(__name__)

CHAMPION, CHALLENGER = "champion", "challenger"
"""Aliases: the version whose scores reach customers, and the newest one that never was champion (refused, or not promoted yet)."""
CARD = "model_card.md"
NOTE = "mlflow.note.content"
"""The tag that MLflow shows as text above a run."""
WEIGHTS = "model.skops"

KEY, STATE, VERDICT, REASON = "lapwing.training_key", "lapwing.state", "lapwing.verdict", "lapwing.reason"
AS_OF, DIGEST = "lapwing.trained_as_of_date", "lapwing.digest"
METHOD, WAS_CHAMPION = "lapwing.method", "lapwing.was_champion"
MISSING = frozenset({"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"})
"""What MLflow answers of a model, version or alias that is not there."""
COMPLETE, PROMOTED, REFUSED = "complete", "promoted", "refused"


@dataclass(frozen=True)
class LoggedModel:
    """A registered version, as its tags tell. `version` is empty where a training registered none."""

    model_name: str
    version: str
    run_id: str
    method: str
    trained_as_of: date
    is_promoted: bool
    reason: str
    digest: str
    figures: dict[str, float]


class Registry:
    """The model registry of one platform."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.mlflow
        self._artifacts = settings.data_dir / "mlflow_artifacts"
        self._file = (
            Path(self._url.removeprefix("sqlite:///")) if self._url.startswith("sqlite:///") else None
        )
        self._opened: MlflowClient | None = None

    def is_empty(self) -> bool:
        """Say whether nothing can have been registered yet, without making the store just to find out."""
        return self._file is not None and not self._file.exists()

    def make_store(self) -> None:
        """Make MLflow's SQLite file, whole or not at all; one that is there stays.

        MLflow makes its tables one after another, and can never again use a file in which it was killed half-way.
        """
        if self._file is None or self._file.exists():
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with locked(self._file.with_suffix(".lock")):
            if self._file.exists():
                return
            for left in self._file.parent.glob(f"{self._file.stem}.unfinished*"):  # its journal too
                left.unlink()
            draft = self._file.with_suffix(".unfinished")
            store = SqlAlchemyStore(f"sqlite:///{draft}", self._artifacts.as_uri())  # type: ignore[no-untyped-call]  # untyped in MLflow
            store.engine.dispose()
            sync(draft)
            draft.replace(self._file)

    def finished(self, model_name: str, key: str) -> LoggedModel | None:
        """Return the complete training of this key, if there is one."""
        if self.is_empty():
            return None
        for run in self._runs(model_name, key):
            if run.data.tags.get(STATE) == COMPLETE:
                return self._logged(model_name, run)
        return None

    def log(self, training: Training) -> LoggedModel:
        """Log a training and register its model, without promoting it."""
        self._remove_unfinished(training.model_name, training.source.key)
        client = self._client
        with self._talking():
            experiment = self._experiment(training.model_name)
            name = f"{training.model_name} {training.source.as_of} {training.method}"
            with mlflow.start_run(experiment_id=experiment, run_name=name) as active:
                run_id = active.info.run_id
                client.set_tag(run_id, KEY, training.source.key)
                _log_numbers(training)
                for title, drawing in training.drawings.items():
                    client.log_figure(run_id, drawing, f"figures/{title}.png")
                for title, rows in training.tables.items():
                    file = f"tables/{title}.json"
                    if isinstance(rows, pd.DataFrame):
                        # As objects: MLflow 3.17 asks pandas 3 in an outdated way for columns of text.
                        client.log_table(run_id, rows.astype(object), file)
                    else:
                        client.log_dict(run_id, dict(rows), file)
                if training.card:
                    client.log_text(run_id, training.card, CARD)
                    client.set_tag(run_id, NOTE, training.card)
                if training.fitted is not None:
                    self._register(run_id, training, training.fitted)
                client.set_tag(run_id, STATE, COMPLETE)
        log.info("model logged", model=training.model_name, run_id=run_id, verdict=training.reason)
        return self._logged(training.model_name, client.get_run(run_id))

    def promote(self, model: LoggedModel) -> None:
        """Make a version that passed its bar the champion; once, so that a later roll-back is not undone.

        Raises
        ------
        ModelRefused
            If the version did not pass, was deleted, or is not what was logged.
        """
        if not model.is_promoted:
            raise ModelRefused(
                f"model '{model.model_name}' version {model.version or '(none)'} is not promoted: {model.reason}"
            )
        tags = self._existing(model.model_name, model.version).tags
        if tags.get(WAS_CHAMPION) != "true":
            self.move_champion(model.model_name, model.version)

    def move_champion(self, model_name: str, version: str) -> None:
        """Point the champion at a version by hand, back or forth.

        Raises
        ------
        ModelRefused
            If the version failed its bar, is not what was logged, or there is none of that number (any more).
        """
        found = self._existing(model_name, version)
        if found.tags.get(VERDICT) != PROMOTED:
            why = found.tags.get(REASON, "it was not trained by Lapwing")
            raise ModelRefused(f"model '{model_name}' version {version} cannot be champion: {why}")
        self._checked_weights(model_name, version, found.tags.get(DIGEST, ""))
        self._client.set_registered_model_alias(model_name, CHAMPION, version)
        self._client.set_model_version_tag(model_name, version, WAS_CHAMPION, "true")
        if self._version_at(model_name, CHALLENGER) == version:
            self._client.delete_registered_model_alias(model_name, CHALLENGER)
        log.info("champion set", model=model_name, version=version)

    def champion(self, model_name: str) -> LoggedModel | None:
        """Return the version whose scores reach customers, or None."""
        if self.is_empty():
            return None
        try:
            found = self._client.get_model_version_by_alias(model_name, CHAMPION)
        except MlflowException as error:
            if error.error_code in MISSING:
                return None  # no such model, or no such alias
            raise
        if found.tags.get(VERDICT) != PROMOTED:
            raise ModelRefused(
                f"the champion of '{model_name}' is version {found.version}, which did not pass its bar; "
                "move the alias back to one that did (docs/runbooks/train_models.md)"
            )
        return self._logged(model_name, self._client.get_run(found.run_id or ""))

    def newest(self, model_name: str, *, by: date) -> LoggedModel | None:
        """Return the latest version trained as of a day or earlier, promoted or not."""
        if self.is_empty():
            return None
        found = self._client.search_model_versions(f"name = '{model_name}'")
        known = [each for each in found if AS_OF in each.tags and each.tags[AS_OF] <= str(by)]
        if not known:
            return None
        last = max(known, key=lambda each: int(each.version))
        return self._logged(model_name, self._client.get_run(last.run_id or ""))

    def load(self, model: LoggedModel, trusted_types: list[str]) -> Any:
        """Load a version's weights, after checking that they are the bytes that were logged.

        Raises
        ------
        ModelRefused
            If they are not, or if they hold a type nobody trusted.
        """
        weights = self._checked_weights(model.model_name, model.version, model.digest)
        try:
            return skops.io.load(weights, trusted=trusted_types)
        except UntrustedTypesFoundException as error:
            name = f"model '{model.model_name}' version {model.version}"
            raise ModelRefused(f"{name} holds a type that nobody trusts: {error}; train again") from error

    def version(self, model_name: str, number: str) -> LoggedModel:
        """Return a version by its number.

        Raises
        ------
        ModelRefused
            If there is none (any more).
        """
        found = self._existing(model_name, number)
        return self._logged(model_name, self._client.get_run(found.run_id or ""))

    def challenger(self, model_name: str) -> LoggedModel | None:
        """Return the newest version that never was champion, if it is newer than every one that was."""
        number = None if self.is_empty() else self._version_at(model_name, CHALLENGER)
        return None if number is None else self.version(model_name, number)

    def champion_before(self, model_name: str) -> str | None:
        """Return the number of the newest version below the champion's that was champion once, or None."""
        now = int(self._version_at(model_name, CHAMPION) or 0)
        found = self._client.search_model_versions(f"name = '{model_name}'")
        before = [
            int(each.version)
            for each in found
            if each.tags.get(WAS_CHAMPION) == "true" and int(each.version) < now
        ]
        return str(max(before)) if before else None

    def document(self, model: LoggedModel, title: str) -> dict[str, Any] | None:
        """Return a table that a training logged, as it lies there, or None where its run has none of that name.

        Raises
        ------
        ModelRefused
            If it is there and cannot be read.
        """
        file = f"tables/{title}.json"
        try:
            if file not in {each.path for each in self._client.list_artifacts(model.run_id, "tables")}:
                return None
            with self._talking():
                found: dict[str, Any] = mlflow.artifacts.load_dict(f"runs:/{model.run_id}/{file}")
        except (MlflowException, OSError) as error:
            raise ModelRefused(
                f"{file} of '{model.model_name}' version {model.version} cannot be read"
            ) from error
        return found

    @property
    def _client(self) -> MlflowClient:
        if self._opened is None:
            self.make_store()
            self._opened = MlflowClient(self._url, self._url)
        return self._opened

    @contextmanager
    def _talking(self) -> Iterator[None]:
        """Point MLflow's process-wide address at this platform's store for as long as a call needs it."""
        before = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
        mlflow.set_tracking_uri(self._url)
        mlflow.set_registry_uri(self._url)
        try:
            yield
        finally:
            mlflow.set_tracking_uri(before[0])
            mlflow.set_registry_uri(before[1])

    def _experiment(self, model_name: str) -> str:
        found = self._client.get_experiment_by_name(model_name)
        if found is not None:
            return str(found.experiment_id)
        place = (self._artifacts / model_name).as_uri() if self._file is not None else None
        return str(self._client.create_experiment(model_name, artifact_location=place))

    def _register(self, run_id: str, training: Training, fitted: FittedModel) -> None:
        saved = mlflow.sklearn.log_model(
            fitted.model,
            name=training.model_name,
            serialization_format="skops",
            skops_trusted_types=fitted.trusted_types,
            signature=infer_signature(fitted.inputs, fitted.answers),
            pip_requirements=[f"{package}=={version(package)}" for package in REQUIREMENTS],
            pyfunc_predict_fn=fitted.predicts_with,
            registered_model_name=training.model_name,
        )
        number = str(saved.registered_model_version)
        digest = file_digest([self._weights(training.model_name, number)])
        tags = _verdict_tags(training) | {DIGEST: digest, AS_OF: str(training.source.as_of)}
        for name, value in tags.items():
            self._client.set_model_version_tag(training.model_name, number, name, value)
        self._client.set_tag(run_id, DIGEST, digest)
        self._client.set_registered_model_alias(training.model_name, CHALLENGER, number)

    def _checked_weights(self, model_name: str, number: str, digest: str) -> Path:
        """Return a version's file of weights, after checking that it holds the bytes that were logged."""
        name = f"model '{model_name}' version {number}"
        try:
            with self._talking():
                weights = self._weights(model_name, number)
            found = file_digest([weights])
        except (MlflowException, OSError) as error:
            raise ModelRefused(
                f"{name} cannot be read; move the alias to another version or train again"
            ) from error
        if found != digest:
            raise ModelRefused(
                f"{name} is not what was logged (its digest differs); move the alias to another version or train again"
            )
        return weights

    def _version_at(self, model_name: str, alias: str) -> str | None:
        try:
            return str(self._client.get_model_version_by_alias(model_name, alias).version)
        except MlflowException as error:
            if error.error_code in MISSING:
                return None  # no such model, or no such alias
            raise

    def _weights(self, model_name: str, number: str) -> Path:
        folder = mlflow.artifacts.download_artifacts(artifact_uri=f"models:/{model_name}/{number}")
        return Path(folder) / WEIGHTS

    def _runs(self, model_name: str, key: str) -> list[Run]:
        experiment = self._client.get_experiment_by_name(model_name)
        if experiment is None:
            return []
        return list(self._client.search_runs([experiment.experiment_id], f"tags.`{KEY}` = '{key}'"))

    def _existing(self, model_name: str, version: str) -> ModelVersion:
        try:
            return self._client.get_model_version(model_name, version)
        except MlflowException as error:
            if error.error_code in MISSING:
                raise ModelRefused(
                    f"model '{model_name}' has no version {version or '(none)'}, or none any more; choose another, or delete "
                    "the run of that version in MLflow and train again"
                ) from error
            raise

    def _version_of(self, model_name: str, run_id: str) -> ModelVersion | None:
        found = self._client.search_model_versions(f"name = '{model_name}' and run_id = '{run_id}'")
        return found[0] if found else None

    def _remove_unfinished(self, model_name: str, key: str) -> None:
        for run in self._runs(model_name, key):
            left = self._version_of(model_name, run.info.run_id)
            if left is not None:
                self._client.delete_model_version(model_name, left.version)
            self._client.delete_run(run.info.run_id)
            log.info("removed what an interrupted training left", model=model_name, run_id=run.info.run_id)

    def _logged(self, model_name: str, run: Run) -> LoggedModel:
        tags, registered = run.data.tags, self._version_of(model_name, run.info.run_id)
        return LoggedModel(
            model_name,
            str(registered.version) if registered else "",
            run.info.run_id,
            tags.get(METHOD, ""),
            date.fromisoformat(tags[AS_OF]),
            tags[VERDICT] == PROMOTED,
            tags[REASON],
            registered.tags.get(DIGEST, "") if registered else "",
            {name: value for name, value in run.data.metrics.items() if "/" not in name},
        )


def _verdict_tags(training: Training) -> dict[str, str]:
    return {VERDICT: PROMOTED if training.is_promoted else REFUSED, REASON: training.reason}


def _log_numbers(training: Training) -> None:
    """Log to the active run: one step per judged cut-off, and the means beside them."""
    tags = {AS_OF: str(training.source.as_of), METHOD: training.method}
    mlflow.set_tags(tags | training.source.tags | _verdict_tags(training))
    mlflow.log_params(dict(training.parameters))
    mlflow.log_metrics(dict(training.figures))
    for step in range(max((len(values) for values in training.fold_figures.values()), default=0)):
        at_step = {f"fold/{name}": values[step] for name, values in training.fold_figures.items()}
        mlflow.log_metrics(at_step, step=step)
