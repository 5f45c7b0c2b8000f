"""What every churn model and every baseline can do, and what one is made from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, Self, runtime_checkable

import pandas as pd

from ml.evaluation import Bools, Floats
from ml.lifetime.fitting import Estimate

Setting = Mapping[str, float]


class ChurnModel(Protocol):
    """Learns from features and who lapsed; gives each customer a probability."""

    def fit(self, features: pd.DataFrame, truth: Bools) -> Self: ...

    def predict_proba(self, features: pd.DataFrame) -> Floats:
        """Return shape (n, 2): the probability to stay, and to lapse."""
        ...


@runtime_checkable
class OfHistories(Protocol):
    """A churn model that begins with BG/NBD's fit to the customers' histories, and takes one that is made already."""

    begins_with_bg_nbd: bool

    def fit(
        self, features: pd.DataFrame, truth: Bools | None = None, *, known: Estimate | None = None
    ) -> Self: ...


@dataclass(frozen=True)
class Recipe:
    """What a model is made from: the label's horizon, a seed, and its own settings where it has any."""

    horizon_days: int
    seed: int
    setting: Setting = field(default_factory=dict)


Maker = Callable[[Recipe], ChurnModel]
"""Recipe → a model that is not fitted yet."""
