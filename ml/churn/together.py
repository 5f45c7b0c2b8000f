"""Members side by side: what several read of a customer's rhythm is learnt and worked out once, and they fit on two threads.

Each member is fitted on one thread, from its own seed: how many are fitted at a time changes no number.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeGuard

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.pipeline import Pipeline

from ml.churn.protocol import ChurnModel, OfHistories
from ml.churn.rhythm import Rhythm, log_odds
from ml.evaluation import Bools
from ml.lifetime.fitting import Estimate
from ml.threads import THREADS, limit_this_thread

Array = npt.NDArray[np.float64]


def fit_together(members: Sequence[ChurnModel], features: pd.DataFrame, truth: Bools) -> None:
    """Fit members to the same customers; those that begin with the rhythm then hold the same one.

    `MEMBERS` stands from quick to long: the last begin, so that no thread waits long for another.
    """
    pipelines = [member for member in members if _begins_with_rhythm(member)]
    jobs: list[Callable[[], object]] = [
        partial(member.fit, features, truth)
        for member in members
        if member not in pipelines and not (pipelines and isinstance(member, OfHistories))
    ]
    if pipelines:
        rhythm = pipelines[0][0].fit(features)
        seen = rhythm.transform(features)
        for pipeline in pipelines:
            pipeline.steps[0] = (pipeline.steps[0][0], rhythm)
        known = Estimate(rhythm.logs_, rhythm.covariance_)
        jobs += [
            partial(member.fit, features, truth, known=known)
            for member in members
            if isinstance(member, OfHistories)
        ]
        jobs += [partial(pipeline[1:].fit, seen, truth) for pipeline in pipelines]
    with ThreadPoolExecutor(THREADS, initializer=limit_this_thread) as threads:
        running = [threads.submit(job) for job in reversed(jobs)]
    for done in running:
        done.result()


def say_together(members: Sequence[ChurnModel], features: pd.DataFrame) -> Array:
    """Return the log odds to lapse that each member gives, shape (n, k); a rhythm that members share is worked out once."""
    seen: dict[int, Array] = {}
    said = []
    for member in members:
        if _begins_with_rhythm(member):
            rhythm = member[0]
            if id(rhythm) not in seen:
                seen[id(rhythm)] = rhythm.transform(features)
            said.append(member[1:].predict_proba(seen[id(rhythm)])[:, 1])
        else:
            said.append(member.predict_proba(features)[:, 1])
    return log_odds(np.column_stack(said))


def _begins_with_rhythm(member: ChurnModel) -> TypeGuard[Pipeline]:
    return isinstance(member, Pipeline) and isinstance(member[0], Rhythm)
