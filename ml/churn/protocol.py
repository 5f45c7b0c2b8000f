"""What every churn model and every baseline can do, and what one is made from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, Self

import pandas as pd

from ml.evaluation import Bools, Floats

Setting = Mapping[str, float]


class ChurnModel(Protocol):
    """Learns from features and who lapsed; gives each customer a probability."""

    def fit(self, features: pd.DataFrame, truth: Bools) -> Self: ...

    def predict_proba(self, features: pd.DataFrame) -> Floats:
        """Return shape (n, 2): the probability to stay, and to lapse."""
        ...


@dataclass(frozen=True)
class Recipe:
    """What a model is made from: the label's horizon, a seed, and its own settings where it has any."""

    horizon_days: int
    seed: int
    setting: Setting = field(default_factory=dict)


Maker = Callable[[Recipe], ChurnModel]
"""Recipe → a model that is not fitted yet."""
