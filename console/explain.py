"""Answers for one send: why this customer, why these products, why now. Reads the plan row and the day's tables."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from console.listed import Listed, day_lists
from console.population import Standing, standing
from console.readers import Readers
from console.snapshots import Row
from console.words import (
    VERDICTS,
    feature_words,
    humanised,
    money,
    next_order,
    percent,
    product_reason,
    quantity,
)


@dataclass(frozen=True)
class ModelRun:
    """Which model made a number. `url` leads to its run in MLflow."""

    name: str
    version: str
    run_id: str
    url: str


@dataclass(frozen=True)
class Fact:
    """One thing known about the customer, in words, with its place among all customers of the day."""

    name: str
    label: str
    group: str
    value: str
    standing: Standing | None
    model: ModelRun | None = None


@dataclass(frozen=True)
class Product:
    """One product of the mail and the reason it is there."""

    product_id: str
    name: str
    details: str
    price: str | None
    reason: str
    ranking: str | None
    model: ModelRun | None


@dataclass(frozen=True)
class Candidate:
    """What the plan decided about this customer for one campaign of the day."""

    send_id: str
    campaign_id: str
    verdict: str
    title: str
    sentence: str


@dataclass(frozen=True)
class Why:
    """Everything the why-page says about the decision."""

    plan: Row
    audience_rule: str | None
    reasons: list[str]
    decided: list[Fact]
    known: list[Fact]
    expected: list[Fact]
    products: list[Product]
    lists: dict[str, list[Listed]]
    candidates: list[Candidate]
    customers: int

    @property
    def verdict(self) -> Candidate:
        return next(found for found in self.candidates if found.send_id == self.plan["send_id"])


def plan_row(readers: Readers, send_id: str, as_of: date | None) -> Row | None:
    """Return the plan row of a send, looking at the day the ledger names first, else newest first."""
    days = readers.snapshots.days("campaign_plan")
    for day in [as_of] if as_of in days else days:
        found = readers.snapshots.rows("campaign_plan", day, ("send_id", "==", send_id))
        if found:
            return found[0]
    return None


def explain(readers: Readers, plan: Row) -> Why:
    """Gather what was known and decided about the customer of a plan row."""
    day, customer_id = plan["as_of_date"], plan["customer_id"]
    evidence = json.loads(plan["evidence"] or "{}")
    facts = json.loads(plan["facts"] or "{}")
    features = readers.snapshots.rows("customer_features", day, ("customer_id", "==", customer_id))
    known = {
        name: value
        for row in features
        for name, value in row.items()
        if name not in {"customer_id", "as_of_date"}
    }
    decided = evidence.get("features") or {}
    population = readers.snapshots.numbers("customer_features", day, [*{**known, **decided}])
    currency = readers.settings.currency

    def said(name: str, value: Any) -> Fact:
        words = feature_words(name)
        place = None
        # An hour of the day and a day of the week have no more and no less.
        if isinstance(value, int | float) and name in population and words.unit not in ("hour", "weekday"):
            place = standing(float(value), population[name])
        return Fact(name, words.label, words.group, quantity(value, words.unit, currency), place)

    return Why(
        plan=plan,
        audience_rule=evidence.get("audience_rule"),
        reasons=[reason["text"] for reason in evidence.get("reasons") or []],
        decided=_scores(readers, day, evidence) + [said(name, value) for name, value in decided.items()],
        known=[said(name, value) for name, value in known.items() if name not in decided],
        expected=_expected(readers, day, customer_id),
        products=_products(readers, plan, facts.get("products") or []),
        lists=day_lists(readers, day, customer_id),
        candidates=_candidates(readers, day, customer_id),
        customers=max((values.size for values in population.values()), default=0),
    )


def model_run(readers: Readers, row: Mapping[str, Any]) -> ModelRun:
    """Return the model that a row of scores, recommendations or figures names."""
    run_id = str(row.get("run_id") or "")
    return ModelRun(
        name=str(row.get("model_name") or "unnamed"),
        version=str(row.get("model_version") or "?"),
        run_id=run_id,
        url=f"{readers.mlflow_url}/#/runs/{run_id}" if run_id.isalnum() else "",
    )


def _scores(readers: Readers, day: date, evidence: Mapping[str, Any]) -> list[Fact]:
    horizon = readers.settings.churn_horizon_days
    facts = []
    for score in evidence.get("scores") or []:
        name, value = score["name"], score["value"]
        label, words = humanised(name), str(value)
        place = None
        if name == "churn_probability" and value is not None:
            label, words = f"Chance of no order in the next {horizon} days", percent(value)
            everyone = readers.snapshots.numbers("churn_scores", day, [name]).get(name)
            place = None if everyone is None else standing(value, everyone)
        elif name == "expected_profit_cents" and value is not None:
            label, words = "Expected profit of writing", quantity(value, "cents", readers.settings.currency)
        elif isinstance(value, int | float):
            words = f"{value:,.3g}"
        facts.append(Fact(name, label, "Scores", words, place, model_run(readers, score)))
    return facts


def _expected(readers: Readers, day: date, customer_id: str) -> list[Fact]:
    """Return the customer's value and next order with their bounds; nothing where the day has none."""
    found = readers.snapshots.rows("customer_value", day, ("customer_id", "==", customer_id))
    return [fact for row in found for fact in _expectations(row, readers)]


def _expectations(row: Row, readers: Readers) -> list[Fact]:
    model, currency = model_run(readers, row), readers.settings.currency
    low, high = (money(row[name], currency) for name in ("value_low_cents", "value_high_cents"))
    return [
        Fact(
            "value_cents",
            f"Expected to spend in the next {row['horizon_days']} days",
            "Scores",
            f"{money(row['value_cents'], currency)}, eight times in ten between {low} and {high}",
            None,
            model,
        ),
        Fact(
            "next_order_date",
            f"Next order, if there is one ({percent(row['alive_probability'])} likely a customer still)",
            "Scores",
            next_order(row),
            None,
            model,
        ),
    ]


def _products(readers: Readers, plan: Row, products: list[dict[str, Any]]) -> list[Product]:
    ranked = {
        row["product_id"]: row
        for row in readers.snapshots.rows(
            "recommendations", plan["as_of_date"], ("customer_id", "==", plan["customer_id"])
        )
    }
    return [_product(readers, product, ranked.get(product["product_id"])) for product in products]


def _product(readers: Readers, product: dict[str, Any], ranked: Row | None) -> Product:
    price = product.get("price_cents")
    currency = product.get("currency") or readers.settings.currency
    # Favourites and products that are due follow from counting; only the other reasons come from a model.
    by_model = None if product.get("reason") in {"favourite", "due"} else ranked
    ranking = None
    if by_model:
        method = by_model["method"].replace("_", " ")
        ranking = (
            f"Rank {by_model['rank']} of this customer's list, score {by_model['score']:.3g} by {method}"
        )
    return Product(
        product_id=product["product_id"],
        name=product["name"],
        details=" · ".join(
            part for part in (product.get(key) for key in ("category", "brand", "size")) if part
        ),
        price=None if price is None else money(price, currency),
        reason=product_reason(product, ranked),
        ranking=ranking,
        model=None if by_model is None else model_run(readers, by_model),
    )


def _candidates(readers: Readers, day: date, customer_id: str) -> list[Candidate]:
    rows = readers.snapshots.rows(
        "campaign_plan",
        day,
        ("customer_id", "==", customer_id),
        columns=["send_id", "campaign_id", "verdict", "priority"],
    )
    found = []
    for row in sorted(rows, key=lambda row: (row["verdict"] != "planned", -(row["priority"] or 0))):
        title, sentence = VERDICTS.get(row["verdict"], (humanised(row["verdict"]), ""))
        found.append(Candidate(row["send_id"], row["campaign_id"], row["verdict"], title, sentence))
    return found
