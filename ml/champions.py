"""The champions of a day, and what every table of their scores says of them."""

from datetime import date

import pyarrow as pa

from core.errors import ModelRefused
from core.logging import get_logger
from ml.registry import LoggedModel, Registry

log = get_logger(__name__)


def champion_of(registry: Registry, model_name: str, as_of: date) -> LoggedModel | None:
    """Return the champion that may score a day, if there is one.

    Raises
    ------
    ModelRefused
        If it was trained after the day.
    """
    champion = registry.champion(model_name)
    if champion is None:
        log.warning("no champion: nobody is scored", model=model_name, as_of_date=str(as_of))
        return None
    if champion.trained_as_of > as_of:
        raise ModelRefused(
            f"the champion of '{model_name}' (version {champion.version}) was trained as of {champion.trained_as_of} "
            f"and knows what {as_of} must not; move the alias to an older version, or train as of {as_of}"
        )
    return champion


def same(value: date | str, count: int) -> pa.Array:
    """Return a column of one value."""
    return pa.array([value] * count, pa.date32() if isinstance(value, date) else pa.string())


def made_by(champion: LoggedModel, count: int) -> list[pa.Array]:
    """Return the columns model_name, model_version and run_id."""
    return [same(value, count) for value in (champion.model_name, champion.version, champion.run_id)]
