"""Recommenders on other data than Complete Journey: `python -m benchmarks.recommend_elsewhere` (`make bench-recommend-elsewhere`).

MovieLens-100k, split at one moment for all: 80 % of the ratings lie before it. A rating is one purchase line, whatever its stars; asked
are people with a rating before and one after. And sequences of single purchases, each customer's last one left out and looked for
among all products they have not had: SIMULATED ones (`simulation/sequences.py`), and MovieLens' ratings in their order, each counted
as a day, since most people rated all they rated within a day.
"""

import argparse
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix

from benchmarks.movielens import Ratings, read_ratings
from benchmarks.results import Result, write
from ml.evaluation import bootstrap_interval
from ml.provenance import SEED
from ml.recommend.lists import Floats, Ints, never_bought
from ml.recommend.methods.customers import NEIGHBOURS as CUSTOMERS_ALIKE
from ml.recommend.methods.customers import CosineCustomers
from ml.recommend.methods.ease import HALF_LIFE_DAYS, Ease
from ml.recommend.methods.factors import ALS, AlsRecommender
from ml.recommend.methods.products import NEIGHBOURS, ItemNeighbours
from ml.recommend.methods.protocol import Recommender, log_orders
from ml.recommend.metrics import list_figures
from ml.recommend.models import Maker
from ml.recommend.purchases import Histories
from ml.recommend.trial import EVERYTHING, NEW, K, Quality, Split, model_quality
from ml.recommend.tuning import tune
from ml.threads import THREADS, one_thread
from simulation.sequences import Sequences, simulate_sequences

PEERS = Path(__file__).parents[1] / ".tools" / "peers" / "bin" / "python"
SHARE_BEFORE = 0.8
SEEDS = (1, 2, 3, 4, 5)
NO_DECAY = float("inf")
COLUMNS = ("recall_new", "ndcg_new", "coverage_new")


def main() -> None:
    """Judge, and append what was found to RESULTS.md."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.recommend_elsewhere", description=__doc__)
    options.add_argument(
        "--folder", type=Path, default=Path("data/benchmarks/movielens"), help="where MovieLens lies"
    )
    ratings = read_ratings(options.parse_args().folder)
    with one_thread():
        at = split_in_time(ratings)
        qualities = {name: judged(make, at) for name, make in tune(at.before).methods().items()}
        what = f"MovieLens-100k, {SHARE_BEFORE:.0%} of the ratings before, {at.bought[NEW].any(axis=1).sum()} people asked"
        found = [*peer_results(at), *neighbour_results(at.before)]
        write("recommend_elsewhere", what, found, tables=table("Never rated before", qualities))
        simulated, _ = simulate_sequences(customers=5_000, products=2_000, seed=SEED)
        for what, sequences in (("SIMULATED", simulated), ("MovieLens-100k in its order", in_order(ratings))):
            results, tables = sequence_results(sequences)
            write(
                "recommend_elsewhere",
                f"sequences of single purchases, {what}, the last left out",
                results,
                tables=tables,
            )


def split_in_time(ratings: Ratings) -> Split:
    """Cut at the moment before which `SHARE_BEFORE` of the ratings lie; asked are those who have rated on both sides."""
    moment = int(np.quantile(ratings.seconds, SHARE_BEFORE))
    before, after = ratings.before(moment), ratings.since(moment)
    known = np.flatnonzero(np.diff(before.starts))
    ours = before.of_customers(known, before.customer_ids[known])
    bought = after.counts[known].toarray() > 0
    cutoff = date.fromordinal(date(1970, 1, 1).toordinal() + moment // 86_400)
    return Split(cutoff, ours, {EVERYTHING: bought, NEW: bought}, ratings.genres)


def judged(make: Maker, at: Split) -> Quality:
    quality = model_quality(make().fit(at.before, seed=SEED), at)
    print(make().method, *(f"{quality.figures[column]:.4f}" for column in COLUMNS), flush=True)
    return quality


def peer_results(at: Split) -> Iterator[Result]:
    """Yield NDCG of factorisation, ours as a ratio of that of `implicit` and of RecTools: means over seeds."""
    makers = {"ours": _by_us, "implicit": _by_implicit, "RecTools": _by_rectools}
    ndcg = {
        name: float(np.mean([_ndcg(make(at.before, seed), at) for seed in SEEDS]))
        for name, make in makers.items()
    }
    for peer in ("implicit", "RecTools"):
        ratio = ndcg["ours"] / ndcg[peer]
        yield Result(f"factorisation: NDCG@{K} by {peer}", ndcg[peer], "", "the peer")
        yield Result(f"ours / {peer}", ratio, "", "0.99 to 1.01", abs(ratio - 1) <= 0.01)


def _ndcg(lists: Ints, at: Split) -> float:
    return float(np.nanmean(list_figures(lists, at.bought[NEW], at.before.counts, at.categories)["ndcg"]))


def _by_us(before: Histories, seed: int) -> Ints:
    return AlsRecommender().fit(before, seed=seed).recommend(before, K, exclude=before.counts).products


def _by_implicit(before: Histories, seed: int) -> Ints:
    weights = csr_matrix(log_orders(before.counts))
    model = AlternatingLeastSquares(**_als(seed))
    model.fit(weights, show_progress=False)
    return np.asarray(model.recommend(np.arange(before.shape[0]), weights, N=K)[0], dtype=np.int64)


def _by_rectools(before: Histories, seed: int) -> Ints:
    weights = log_orders(before.counts).tocoo()
    given = {
        "pairs": np.column_stack(weights.coords).tolist(), "weight": weights.data.tolist(), "k": K,
        "asked": list(range(before.shape[0])), "als": _als(seed),
    }  # fmt: skip
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(given, file)
        file.flush()
        command = [str(PEERS), "-I", str(Path(__file__).with_name("rectools_als.py")), file.name]
        alone = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=alone)
    return np.array(json.loads(done.stdout))


def _als(seed: int) -> dict[str, float]:
    return ALS | {"factors": int(ALS["factors"]), "iterations": int(ALS["iterations"])} | {
        "num_threads": THREADS, "random_state": seed,
    }  # fmt: skip


def neighbour_results(before: Histories) -> Iterator[Result]:
    """Yield how far the scores of both neighbour methods lie from their definitions in plain NumPy."""
    for name, plain in (("customers", plain_customers), ("products", plain_products)):
        model = {"customers": CosineCustomers, "products": ItemNeighbours}[name]().fit(before, seed=SEED)
        ours, theirs = model.scores(before), plain(before, model)
        apart = float(np.abs(ours - theirs).max() / np.abs(theirs).max())
        yield Result(
            f"neighbours among {name}: farthest from plain NumPy, of the highest score",
            apart,
            "",
            "≤ 1e-5",
            apart <= 1e-5,
        )


def plain_customers(before: Histories, model: Recommender) -> Floats:
    """Weights of the customers most alike by cosine, each counting by his share of their likeness; who ties with the last counts too."""
    weights = np.log1p(before.counts.toarray().astype(np.float64))
    lengths = np.linalg.norm(weights, axis=1)
    alike = weights @ weights.T / np.outer(lengths, lengths)
    last = -np.sort(-alike, axis=1)[:, CUSTOMERS_ALIKE - 1]
    alike[alike < last[:, None] - 1e-9] = 0
    return np.asarray(alike / alike.sum(axis=1, keepdims=True) @ weights, dtype=np.float32)


def plain_products(before: Histories, model: Recommender) -> Floats:
    """Sums of cosines of columns over a history; which of those that tie for the last place stay is the method's to say."""
    weights = np.log1p(before.counts.toarray().astype(np.float64))
    lengths = np.maximum(np.linalg.norm(weights, axis=0), 1e-12)
    alike = weights.T @ weights / np.outer(lengths, lengths)
    np.fill_diagonal(alike, 0)
    everything = np.arange(before.shape[1])
    kept = model.resemblance(everything, everything).T > 0
    last = -np.sort(-alike, axis=1)[:, NEIGHBOURS - 1, None]
    if (
        (kept.sum(axis=1) > NEIGHBOURS).any()
        or (~kept & (alike > last + 1e-9)).any()
        or (kept & (alike < last - 1e-9)).any()
    ):
        raise SystemExit("what item neighbours keep are not the greatest cosines")
    return np.asarray(weights @ np.where(kept, alike, 0), dtype=np.float32)


def in_order(ratings: Ratings) -> Sequences:
    """Return the ratings of each person in their order, one a day; those of one second stay as they come in the file."""
    first = np.searchsorted(ratings.customers, ratings.customers)
    return Sequences(ratings.customers, ratings.products, np.arange(len(first)) - first)


def last_left_out(sequences: Sequences) -> Split:
    """Hide the last purchase of each customer, the day of which is the cut-off."""
    n_customers, n_products = sequences.customers.max() + 1, sequences.products.max() + 1
    ends = np.cumsum(np.bincount(sequences.customers)) - 1
    places = np.arange(len(sequences.customers))
    end = ends[sequences.customers]
    past = places < end
    ages = sequences.days[end] - sequences.days
    customer_ids, product_ids = (
        np.array([f"{number:06d}" for number in range(n)]) for n in (n_customers, n_products)
    )
    before = Histories.of(
        customer_ids, product_ids, sequences.customers[past], sequences.products[past], ages[past],
        np.ones(past.sum(), dtype=np.float32),
    )  # fmt: skip
    bought = np.zeros(before.shape, dtype=bool)
    bought[np.arange(n_customers), sequences.products[ends]] = True
    bought &= never_bought(before.counts)
    return Split(
        date(1970, 1, 1), before, {EVERYTHING: bought, NEW: bought}, np.zeros(n_products, dtype=np.int64)
    )


def sequence_results(sequences: Sequences) -> tuple[list[Result], str]:
    """Return whether decay pays, with the half-life that training would choose, and a table of all methods."""
    at = last_left_out(sequences)
    tuning = tune(at.before)
    plain, usual = "ease without decay", f"ease, half-life of {HALF_LIFE_DAYS:g} as without tuning"
    ways: dict[str, Maker] = {**tuning.methods(), plain: partial(Ease, NO_DECAY), usual: Ease}
    found = {name: judged(make, at) for name, make in ways.items()}
    low, high = bootstrap_interval(found["ease"].ndcg_new - found[plain].ndcg_new, seed=SEED)
    results = [
        _result(plain, found[plain]),
        _result(usual, found[usual], found[plain]),
        _result(f"ease, half-life of {tuning.half_life_days:g}, tuned", found["ease"], found[plain]),
        Result("95 % interval of its gain, low end", low, "", "> 0", low > 0),
        Result("high end", high, "", "no target"),
        _result("transitions", found["transitions"]),
    ]
    return results, table("The last purchase, never bought before", found)


def _result(name: str, found: Quality, to_beat: Quality | None = None) -> Result:
    value = found.figures["ndcg_new"]
    if to_beat is None:
        return Result(f"NDCG@{K}: {name}", value, "", "no target")
    return Result(
        f"NDCG@{K}: {name}", value, "", "more than without decay", value > to_beat.figures["ndcg_new"]
    )


def table(title: str, qualities: Mapping[str, Quality]) -> str:
    lines = [
        f"\n{title}, at {K}:\n",
        f"| Method | {' | '.join(column.replace('_', ' ') for column in COLUMNS)} |",
        "| --- " * (len(COLUMNS) + 1) + "|",
    ]
    for name, quality in qualities.items():
        lines.append(f"| {name} | {' | '.join(f'{quality.figures[column]:.4f}' for column in COLUMNS)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
