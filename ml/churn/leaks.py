"""Looking for features that know the future: two probes, before a churn model may be promoted.

One feature that alone tells nearly perfectly who will lapse has seen it. And a feature of a past day may not differ from
what was published on that day, when nobody could know what came after: that finds a leak however small, once the shop
has published the features of a day that became a cut-off.
"""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ml.churn.features import FEATURE_NAMES, feature_frame, fill
from ml.churn.trial import Examples
from ml.evaluation import roc_auc
from ml.tables import AS_OF_DATE, CUSTOMER_ID

SEPARATES_FROM = 0.95
"""AUC of a feature alone."""


def separating_feature(examples: Examples, days: Sequence[date]) -> tuple[str, float]:
    """Return the feature that alone orders customers best by whether they lapse, and its mean AUC over cut-offs."""
    aucs = []
    for day in days:
        tested = examples.at([day])
        filled = fill(tested.features)
        found = np.array([roc_auc(tested.has_churned, filled[name]) for name in FEATURE_NAMES])
        aucs.append(np.maximum(found, 1.0 - found))
    means = np.mean(aucs, axis=0)
    return FEATURE_NAMES[int(means.argmax())], float(means.max())


def changed_features(table: pa.Table, then: pa.Table) -> dict[str, int]:
    """Return feature → customers whose value at a cut-off is not the one that was published on that day.

    Parameters
    ----------
    table
        `churn_examples`.
    then
        `customer_features` of one of its cut-offs. Customers erased since are in it alone, and count for nothing; one
        who is in the examples alone was not known on that day, and counts as `customer_id`.
    """
    day = then.column(AS_OF_DATE)[0]
    now = table.filter(pc.equal(table.column(AS_OF_DATE), day))
    ours, theirs = (
        feature_frame(each).set_axis(pd.Index(each.column(CUSTOMER_ID).to_pylist()), axis=0)
        for each in (now, then)
    )
    known = ours.index.isin(theirs.index)
    ours = ours[known]
    theirs = theirs.loc[ours.index]
    counts = {CUSTOMER_ID: int((~known).sum())}
    for name in FEATURE_NAMES:
        same = np.isclose(ours[name], theirs[name], rtol=1e-9, atol=1e-9, equal_nan=True)
        counts[name] = int((~same).sum())
    return {name: count for name, count in counts.items() if count}


def find_leak(table: pa.Table, examples: Examples, days: Sequence[date], then: pa.Table | None) -> str | None:
    """Return what knows the future, as a sentence, or None."""
    if then is not None and len(then) and (changed := changed_features(table, then)):
        name = max(changed, key=lambda each: changed[each])
        return (
            f"leak: '{name}' of cut-off {then.column(AS_OF_DATE)[0]} is not what was published on that day "
            f"({changed[name]} customers differ), so it knows what came later"
        )
    name, auc = separating_feature(examples, days)
    if auc >= SEPARATES_FROM:
        return f"leak: '{name}' alone tells who lapses with AUC {auc:.3f}; from {SEPARATES_FROM} on it has seen the future"
    return None
