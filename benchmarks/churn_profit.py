"""Whom to treat, by money, on SIMULATED shops whose truth is known: `python -m benchmarks.churn_profit` (`make bench-churn-profit`).

Probabilities come from the product's BG/NBD fitted to what the shop saw, values from what customers spent, the chance that
the incentive works from a prior and an experiment; thresholds from an earlier cut-off. What a rule earned comes from the
simulation: who would lapse, whom the incentive keeps, what they then spend.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.results import Result, write
from ml.churn.baselines import BgNbdChurn
from ml.churn.money import (
    Experiment,
    Terms,
    best_customers,
    break_even,
    chance_to_keep,
    expected_profit,
    mean_stake,
    value_at_stake,
)
from ml.churn.trial import churn_probability
from ml.evaluation import best_f1_threshold
from simulation.treatments import Habits, Past, TreatedShop, simulate_treatments

HORIZON_DAYS = 28
CUSTOMERS = 10_000
MARGIN_SHARE = 0.25
CONTACT_CENTS = 2.0
PRIOR = 0.1
BUDGET = 500
SEEDS = 100
WINS = 95
MONEY = "own expected profit"
THRESHOLD = "threshold by money"
OTHERS = ("0.5", "best F1", "everyone")

Array = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Shop:
    """A shop's truth, the incentive that is a tenth of its mean order, and others to compare, all in cents."""

    name: str
    habits: Habits
    tenth_cents: float
    other_cents: tuple[float, ...]


SHOPS = (
    # Orders and amounts as BG/NBD and Gamma-Gamma find them in Complete Journey on 2017-12-03; 37.00 an order.
    Shop(
        "grocery",
        Habits((1.4, 9.7, 0.07, 63.0), (0.52, 3.76, 19_700.0), kept_chance=0.15),
        370.0,
        (100.0, 200.0, 300.0, 600.0),
    ),
    # An order a month while active, one customer in seven gone after each; 30.00 an order.
    Shop(
        "web",
        Habits((0.9, 22.0, 0.5, 3.0), (6.0, 4.0, 1500.0), kept_chance=0.15),
        300.0,
        (50.0, 100.0, 150.0, 200.0),
    ),
)


def main() -> None:
    """Judge every shop in 100 draws and append what was found to RESULTS.md."""
    found = {}
    for shop in SHOPS:
        found[shop.name] = pd.DataFrame([row for seed in range(SEEDS) for row in judge(shop, seed)])
        print(f"{shop.name}: {SEEDS} draws", file=sys.stderr, flush=True)
    tables = "".join(table(shop, found[shop.name]) for shop in SHOPS)
    print(tables)
    write(
        "churn-profit",
        f"SIMULATED shops of {CUSTOMERS:,} customers, {SEEDS} draws of each",
        (each for shop in SHOPS for each in results(shop, found[shop.name])),
        tables=tables,
    )


def judge(shop: Shop, seed: int) -> list[dict[str, float]]:
    """Return, for each incentive in one draw of a shop, what every rule earned: cents per 1,000 customers, over treating nobody."""
    drawn = simulate_treatments(CUSTOMERS, shop.habits, seed=seed, horizon_days=HORIZON_DAYS, cutoffs=3)
    first, second, now = drawn.pasts
    earlier, said = said_of(first, second), said_of(second, now)
    chance = chance_to_keep(PRIOR, experiment(shop, seed))
    rows = []
    for incentive in (shop.tenth_cents, *shop.other_cents):
        terms = Terms(MARGIN_SHARE, incentive, CONTACT_CENTS, chance)
        treated = choices(drawn, earlier, said, terms)
        gained = drawn.gained_cents(
            margin_share=MARGIN_SHARE, incentive_cents=incentive, contact_cents=CONTACT_CENTS
        )
        earned = {rule: 1000.0 * float(gained[who].sum()) / CUSTOMERS for rule, who in treated.items()}
        rows.append({"incentive_cents": incentive, "chance": chance} | earned)
    return rows


def choices(drawn: TreatedShop, earlier: Array, said: Array, terms: Terms) -> dict[str, Bools]:
    """Return whom each rule treats; `earlier` are the probabilities at the second cut-off, `said` those of now."""
    _, second, now = drawn.pasts
    before, stake = (
        value_at_stake(features_of(past), HORIZON_DAYS, terms.margin_share) for past in (second, now)
    )
    profit = expected_profit(said, stake, terms)
    return {
        MONEY: profit > 0,
        THRESHOLD: said >= break_even(mean_stake(earlier, before), terms),
        "0.5": said >= 0.5,
        "best F1": said >= best_f1_threshold(second.has_lapsed, earlier),
        "everyone": said >= 0.0,
        f"{BUDGET} of most profit": among(best_customers(profit, BUDGET)),
        f"{BUDGET} likeliest": among(np.argsort(-said, kind="stable")[:BUDGET]),
    }


def said_of(learnt: Past, asked: Past) -> Array:
    """Return the chances to lapse after a cut-off, from a model that knows an earlier one and who lapsed there."""
    model = BgNbdChurn(horizon_days=HORIZON_DAYS, seed=1).fit(features_of(learnt), learnt.has_lapsed)
    return churn_probability(model, features_of(asked))


def experiment(shop: Shop, seed: int) -> Experiment:
    """Hold an experiment with other customers of the shop who had not ordered for a horizon, half of them held out."""
    pilot = simulate_treatments(
        CUSTOMERS, shop.habits, seed=10_000 + seed, horizon_days=HORIZON_DAYS, cutoffs=1
    )
    (past,) = pilot.pasts
    quiet = np.flatnonzero(past.age - past.last > HORIZON_DAYS)
    treated, held_out = quiet[::2], quiet[1::2]
    return Experiment(
        assigned=len(treated),
        treated=len(treated),
        assigned_bought=int((~past.has_lapsed | pilot.is_kept)[treated].sum()),
        held_out=len(held_out),
        held_out_bought=int((~past.has_lapsed)[held_out].sum()),
    )


def features_of(past: Past) -> pd.DataFrame:
    gaps = np.where(past.repeats > 0, past.last / np.maximum(past.repeats, 1.0), np.nan)
    return pd.DataFrame(
        {
            "tenure_days": past.age,
            "recency_days": past.age - past.last,
            "gap_mean_days": gaps,
            "orders_lifetime_count": past.repeats + 1.0,
            "spend_lifetime_cents": past.spent_cents,
        }
    )


def among(rows: npt.NDArray[np.int64]) -> Bools:
    chosen = np.zeros(CUSTOMERS, dtype=bool)
    chosen[rows] = True
    return chosen


def wins(earned: pd.DataFrame, rule: str) -> int:
    """Return in how many draws a rule earned more than each of 0.5, best F1 and everyone."""
    return int((earned[rule] > earned[list(OTHERS)].max(axis=1)).sum())


def results(shop: Shop, found: pd.DataFrame) -> Iterator[Result]:
    """Yield the figures of the incentive that is a tenth of an order, which has the target."""
    earned = found[found["incentive_cents"] == shop.tenth_cents]
    count = wins(earned, MONEY)
    yield Result(f"{shop.name}: {MONEY} beats all three", count, f"of {SEEDS}", f"≥ {WINS}", count >= WINS)
    yield Result(
        f"{shop.name}: {THRESHOLD} beats all three", wins(earned, THRESHOLD), f"of {SEEDS}", "no target"
    )
    for rule in (MONEY, THRESHOLD, *OTHERS):
        amount = earned[rule].mean() / 100.0
        yield Result(f"{shop.name}: {rule}, profit per 1,000 customers", amount, "", "no target")
    yield Result(f"{shop.name}: chance found by the experiment", earned["chance"].mean(), "", "no target")


def table(shop: Shop, found: pd.DataFrame) -> str:
    """Return means by incentive, and how often each rule by money beats 0.5, best F1, everyone, and all three."""
    rules = [name for name in found.columns if name not in {"incentive_cents", "chance"}]
    lines = [
        f"\n{shop.name}: profit per 1,000 customers by incentive, both in whole units of the currency, means of {SEEDS} draws; "
        f"draws in which {MONEY} / {THRESHOLD} earned more:\n",
        f"| Incentive | {' | '.join(rules)} | than 0.5 | than best F1 | than everyone | than all three |",
        "| --- " * (len(rules) + 5) + "|",
    ]
    for incentive, earned in found.groupby("incentive_cents"):
        cells = [f"{earned[rule].mean() / 100.0:.0f}" for rule in rules]
        for other in OTHERS:
            cells.append(
                " / ".join(str(int((earned[rule] > earned[other]).sum())) for rule in (MONEY, THRESHOLD))
            )
        cells.append(f"{wins(earned, MONEY)} / {wins(earned, THRESHOLD)}")
        lines.append(f"| {float(str(incentive)) / 100.0:.2f} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
