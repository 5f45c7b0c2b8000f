"""Three classifiers together: near to the true chances, whatever is missing."""

import numpy as np
import pytest
from sklearn.metrics import log_loss

from ml.recommend.chances import Chances


def pairs(seed: int, n: int = 20_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns, whether bought, and the true chance.

    It goes by a slope, by a range and by whether the third column is known; the last says nothing.
    """
    rng = np.random.default_rng(seed)
    columns = rng.exponential(1.0, (n, 4)).astype(np.float32)
    columns[rng.random(n) < 0.3, 2] = np.nan
    odds = (
        -3
        + 1.5 * np.log1p(columns[:, 0])
        + 2.0 * (np.abs(columns[:, 1] - 1) < 0.5)
        + 1.5 * np.isnan(columns[:, 2])
    )
    truth = 1 / (1 + np.exp(-odds))
    return columns, rng.random(n) < truth, truth


@pytest.fixture(scope="module")
def model() -> Chances:
    columns, bought, _ = pairs(0)
    return Chances().fit(columns, bought, seed=0)


def test_they_are_near_to_the_true_chances(model):
    columns, bought, truth = pairs(1)
    by_guess = log_loss(bought, np.full(len(bought), bought.mean()))
    best = log_loss(bought, truth)
    assert log_loss(bought, model.predict(columns)) < best + 0.1 * (by_guess - best)


def test_what_is_missing_and_what_is_extreme_still_gets_a_chance(model):
    strange = np.array([[np.nan] * 4, [1e9] * 4, [-1e9] * 4, [0] * 4], dtype=np.float32)
    chances = model.predict(strange)
    assert ((chances >= 0) & (chances <= 1)).all()
    assert model.predict(strange[:0]).shape == (0,)
    known, unknown = model.predict(np.array([[1, 0, 1, 1], [1, 0, np.nan, 1]], dtype=np.float32))
    assert unknown / (1 - unknown) == pytest.approx(np.exp(1.5) * known / (1 - known), rel=0.5)


def test_a_column_known_of_no_pair_changes_nothing():
    columns, bought, _ = pairs(0, 2_000)
    empty = np.full((len(columns), 1), np.nan, dtype=np.float32)
    without = Chances().fit(columns, bought, seed=0).predict(columns)
    beside = np.column_stack([columns, empty])
    model = Chances().fit(beside, bought, seed=0)
    assert model.predict(beside).tolist() == without.tolist()
    assert model.predict(np.nan_to_num(beside, nan=5.0)[:1]).shape == (1,)
