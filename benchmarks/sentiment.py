"""Sentiment of reviews by naive Bayes and logistic regression, beside VADER: `python -m benchmarks.sentiment` (`make bench-sentiment`).

A fifth of the texts is held back. On the others the method is chosen as a training chooses it, by folds; it then learns from
all of them and is judged on the fifth, which nothing has seen. A text that stands there twice counts once.
"""

import argparse
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.opinions import Vader, fetch, read_chinese, read_english
from benchmarks.results import Result, write
from ml.provenance import SEED
from ml.text.baselines import Majority
from ml.text.models import CLASSIFIERS, POLARITIES, Ints, make
from ml.text.trial import (
    Reader,
    Reviews,
    best,
    folds,
    macro_f1,
    macro_f1_interval,
    rank_correlation,
    rank_correlation_interval,
    try_methods,
)
from ml.threads import one_thread

MAJORITY, VADER = "majority", "VADER"


@dataclass(frozen=True)
class Answers:
    """What a reader called the judged texts, and the rank correlation of its sentiments with the ratings."""

    classes: Ints
    rank_correlation: float


def main() -> None:
    """Choose, judge, and append what was found to RESULTS.md."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.sentiment", description=__doc__)
    options.add_argument(
        "--folder", type=Path, default=Path("data/benchmarks/sentiment"), help="where the texts lie"
    )
    folder = options.parse_args().folder
    fetch(folder)
    for language, reviews in (("English", read_english(folder)), ("Chinese", read_chinese(folder))):
        start = time.process_time()
        with one_thread():
            vader = Vader(folder, has_neutral=bool((reviews.truth == 0).any()))
            chosen, judged, found = judge(reviews, vader)
        seconds = Result("choosing, learning, judging", time.process_time() - start, "s of CPU", "no target")
        what = f"{language}, {len(reviews):,} texts, {len(judged):,} of them held back"
        rows = [*results(chosen, judged, found), seconds]
        write("sentiment", what, rows, tables=table(chosen, judged, found))


def judge(reviews: Reviews, peer: Reader) -> tuple[str, Reviews, dict[str, Answers]]:
    """Return the method that was chosen, the reviews that were held back, and what each reader says of them."""
    learnt, judged = next(iter(folds(reviews, seed=SEED)))
    chosen = best(try_methods(list(folds(learnt, seed=SEED))))
    readers: dict[str, Reader] = {
        method: make(method).fit(learnt.texts, learnt.truth) for method in CLASSIFIERS
    }
    readers |= {MAJORITY: Majority().fit(learnt.texts, learnt.truth), VADER: peer}
    return chosen, judged, {name: _ask(reader, judged) for name, reader in readers.items()}


def _ask(reader: Reader, judged: Reviews) -> Answers:
    correlation = rank_correlation(reader.sentiments(judged.texts), judged.stars)
    return Answers(reader.classes(judged.texts), correlation)


def results(chosen: str, judged: Reviews, found: Mapping[str, Answers]) -> Iterator[Result]:
    """Yield what the chosen method gains over a majority guess and VADER, by the low ends of 95 % intervals."""
    for other in (MAJORITY, VADER):
        low, _ = macro_f1_interval(
            cells(judged.truth, found[chosen].classes, found[other].classes), seed=SEED
        )
        yield Result(f"macro-F1: {chosen} over {other}, low end of 95 %", low, "", "> 0", low > 0)
    ours, _ = rank_correlation_interval(found[chosen].rank_correlation, len(judged))
    _, theirs = rank_correlation_interval(found[VADER].rank_correlation, len(judged))
    name = f"rank correlation: {chosen}'s low end over {VADER}'s high end"
    yield Result(name, ours - theirs, "", "> 0", ours > theirs)


def cells(truth: Ints, *called: Ints) -> npt.NDArray[np.int64]:
    """Return how many texts are in each cell of truth and what one or two readers called it.

    >>> cells(np.array([1, 1, -1]), np.array([1, 0, -1]))[2].tolist()  # of two good texts one is called neutral
    [0, 1, 1]
    """
    places = np.stack([truth, *called]) + 1
    table = np.zeros((len(POLARITIES),) * len(places), dtype=np.int64)
    np.add.at(table, tuple(places), 1)
    return table


def table(chosen: str, judged: Reviews, found: Mapping[str, Answers]) -> str:
    """Return a row per reader, with 95 % intervals; the chosen method is marked."""
    lines = [
        "\nOn the texts held back, with 95 % intervals:\n",
        "| Reader | macro-F1 | rank correlation with the rating |",
        "| --- | --- | --- |",
    ]
    for name, answers in found.items():
        shown = f"**{name}**" if name == chosen else name
        f1 = cells(judged.truth, answers.classes)
        correlation = answers.rank_correlation
        lines.append(
            f"| {shown} | {_with(macro_f1(f1), macro_f1_interval(f1, seed=SEED))} "
            f"| {_with(correlation, rank_correlation_interval(correlation, len(judged)))} |"
        )
    return "\n".join(lines) + "\n"


def _with(value: float, interval: tuple[float, float]) -> str:
    return f"{value:.3f} ({interval[0]:.3f} to {interval[1]:.3f})"


if __name__ == "__main__":
    main()
