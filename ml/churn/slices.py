"""Slices of customers by which a reviewer sees a churn model: new and old, lifecycle stage, locale.

No model learns from them. A slice's Brier score is held against the baselines': a model may not pay for what it gains on
average with some customers' scores.
"""

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa

from ml.churn.trial import Tried
from ml.evaluation import t_interval
from ml.tables import AS_OF_DATE

NEW_UNTIL_DAYS = 90
DIMENSIONS = ("tenure", "lifecycle_stage", "locale")
LEAST_ROWS, LEAST_OF_EACH = 200, 30
"""Customers at judged cut-offs, and of those who lapsed or stayed, before a slice is held to the bar: with fewer, a few
customers decide."""
# The slices' gains over their best baseline on Complete Journey (0.002 to 0.034) have, where a cut-off has 250 customers or
# more, a standard deviation between cut-offs of 0.001 to 0.005: 0.005 is 2.5 standard errors or more of a mean of six.
SLICE_MARGIN = 0.005


def slice_frame(table: pa.Table) -> pd.DataFrame:
    """Return `test_cutoff` and the slices of each row of `churn_examples`, as text."""
    tenure = table.column("tenure_days").to_numpy()
    return pd.DataFrame(
        {
            "test_cutoff": table.column(AS_OF_DATE).cast(pa.string()).to_pylist(),
            "tenure": np.where(tenure <= NEW_UNTIL_DAYS, "new", "old"),
            "lifecycle_stage": table.column("lifecycle_stage").to_pylist(),
            "locale": table.column("locale").to_pylist(),
        }
    )


def slice_table(slices: pd.DataFrame, days: Sequence[date], by_method: Mapping[str, Tried]) -> pd.DataFrame:
    """Return a row per slice and judged cut-off: customers, lapsed, and the Brier score of each method.

    Parameters
    ----------
    slices
        Of all examples, as `slice_frame` gives them.
    days
        The judged cut-offs, oldest first.
    by_method
        Judged on these cut-offs; the model itself is named "" and its column `brier`, a baseline's `<baseline>.brier`.
    """
    judged = pd.concat([slices[slices["test_cutoff"] == str(day)] for day in days], ignore_index=True)
    scores = {
        f"{name}.brier" if name else "brier": (found.probability - found.truth) ** 2
        for name, found in by_method.items()
    }
    truth = next(iter(by_method.values())).truth
    rows = judged.assign(lapsed_count=truth, customers_count=1, **scores)
    by = {"customers_count": "sum", "lapsed_count": "sum"} | dict.fromkeys(scores, "mean")
    tables = [
        rows.groupby(["test_cutoff", name]).agg(by).reset_index().rename(columns={name: "slice"})
        for name in DIMENSIONS
    ]
    for name, found in zip(DIMENSIONS, tables, strict=True):
        found["slice"] = name + "=" + found["slice"].astype(str)
    return pd.concat(tables, ignore_index=True)


def slice_means(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row per slice: customers and lapsed of all its cut-offs, and mean Brier scores over those customers."""
    scores = [name for name in table.columns if name.endswith("brier")]
    weighed = table.assign(**{name: table[name] * table["customers_count"] for name in scores})
    sums = weighed.groupby("slice", sort=False)[["customers_count", "lapsed_count", *scores]].sum()
    sums[scores] = sums[scores].div(sums["customers_count"], axis=0)
    return sums.reset_index()


def worst_slice(table: pd.DataFrame) -> str | None:
    """Return, as a sentence, the slice that loses the most to its best baseline, of those that fail the bar.

    A slice fails if it loses more than the margin and the 95 % interval of the loss over cut-offs lies above 0.
    """
    losses: dict[str, tuple[float, str]] = {}
    for _, means in slice_means(table).iterrows():
        name, lapsed = str(means["slice"]), means["lapsed_count"]
        if (
            means["customers_count"] < LEAST_ROWS
            or not LEAST_OF_EACH <= lapsed <= means["customers_count"] - LEAST_OF_EACH
        ):
            continue
        baseline = min(
            (str(each) for each in means.index if str(each).endswith(".brier")),
            key=lambda each: float(means[each]),
        )
        rows = table[table["slice"] == name]
        low, _ = t_interval((rows["brier"] - rows[baseline]).to_numpy(dtype=np.float64))
        loss = float(means["brier"] - means[baseline])
        if loss > SLICE_MARGIN and low > 0:
            losses[name] = loss, baseline.removesuffix(".brier")
    if not losses:
        return None
    worst = max(losses, key=lambda name: losses[name][0])
    loss, baseline = losses[worst]
    return f"slice {worst}: brier is {loss:.4f} worse than {baseline}, more than {SLICE_MARGIN} is refused"
