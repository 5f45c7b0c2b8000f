"""The numbers of the report: funnels, verdicts and their identity, model figures, stage times."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import date
from enum import StrEnum
from itertools import groupby
from typing import Any

from console.charts import Segment, lengths, stacked
from console.explain import ModelRun, model_run
from console.readers import Readers
from console.snapshots import Row
from console.words import VERDICTS
from core.stages import stages

STEPS = ("planned", "sent", "opened", "clicked", "unsubscribed")
END_STATES = ("sent", "refused", "deferred", "uncertain", "suppressed_late", "expired", "rejected")
LOWER_IS_BETTER = ("brier", "loss", "error", "ece", "mae", "mse")
"""Parts of the names of errors."""


@dataclass(frozen=True)
class Step:
    """One bar of a funnel. `length` in percent of the campaign's planned; `of_sent` a share, if any were sent."""

    name: str
    count: int
    length: float
    of_sent: float | None


@dataclass(frozen=True)
class Identity:
    """A sum that must hold: `whole` = the parts together."""

    name: str
    whole: int
    parts: list[tuple[str, int]]

    @property
    def total(self) -> int:
        return sum(count for _, count in self.parts)

    @property
    def holds(self) -> bool:
        return self.whole == self.total


@dataclass(frozen=True)
class Funnel:
    """A campaign on one day."""

    campaign_id: str
    steps: list[Step]
    verdicts: list[Segment]
    identities: list[Identity]


@dataclass(frozen=True)
class Rival:
    """A baseline's value of the same metric; `length` in percent of the longest bar."""

    name: str
    value: float
    length: float


class Better(StrEnum):
    """Which of two values of a metric is the better one."""

    HIGHER = "higher"
    LOWER = "lower"
    NEARER_TO_1 = "nearer to 1"


@dataclass(frozen=True)
class Metric:
    """A model's value of one metric, its baselines beside it."""

    name: str
    value: float
    length: float
    rivals: list[Rival]
    better: Better

    @property
    def beats_all(self) -> bool:
        """Whether the model is better than every baseline. The registry's bar may ask for more."""
        return all(self._badness(self.value) < self._badness(rival.value) for rival in self.rivals)

    def _badness(self, value: float) -> float:
        return {Better.HIGHER: -value, Better.LOWER: value, Better.NEARER_TO_1: abs(value - 1.0)}[self.better]


@dataclass(frozen=True)
class ModelFigures:
    """The figures of one model version."""

    model: ModelRun
    trained_as_of_date: date
    is_champion: bool
    metrics: list[Metric]


@dataclass(frozen=True)
class StageTime:
    """How long a stage took; `length` in percent of the longest; `facts` are what it noted."""

    name: str
    seconds: float
    length: float
    facts: dict[str, Any] = field(default_factory=dict)


def funnels(readers: Readers, day: date) -> list[Funnel]:
    """Return the funnel of each campaign of a day."""
    return [_funnel(row) for row in readers.snapshots.rows("campaign_funnel", day)]


def warnings(readers: Readers, day: date) -> list[Row]:
    """Return the day's figures on warnings of churn: all of them first, then band by band, then by treatment."""
    rows = readers.snapshots.rows("churn_warning_figures", day)
    order = ["any", "high", "medium"]
    shown = [
        row for row in rows if row["ladder_step"] == "any" and "any" in (row["churn_band"], row["treatment"])
    ]
    return sorted(
        shown, key=lambda row: (row["treatment"] != "any", row["treatment"], order.index(row["churn_band"]))
    )


@dataclass(frozen=True)
class CameBack:
    """What came back by mail of a campaign's sends of one day: counts of mails; `unproven` are of any kind."""

    campaign_id: str
    hard_bounces: int
    soft_bounces: int
    complaints: int
    auto_replies: int
    unproven: int


def came_back(readers: Readers, day: date) -> list[CameBack]:
    """Return what came back of each campaign of a day of which anything did."""
    counts: dict[str, Counter[str]] = {}
    for found in readers.ledger.notice_counts(day):
        sort = _SORTS[found.kind, found.severity == "hard"] if found.is_proven else "unproven"
        counts.setdefault(found.campaign_id, Counter())[sort] += found.count
    names = [each.name for each in fields(CameBack)][1:]
    return [CameBack(campaign_id, *(of[name] for name in names)) for campaign_id, of in counts.items()]


_SORTS = {
    ("bounce", True): "hard_bounces",
    ("bounce", False): "soft_bounces",
    ("complaint", True): "complaints",
    ("complaint", False): "complaints",
    ("auto_reply", False): "auto_replies",
}
"""From (kind, whether it is hard) of a proven notice to what it counts as."""


@dataclass(frozen=True)
class Answered:
    """What people answered to a campaign's sends of one day; `unproven` want anything, `waiting` is of all of them.

    `sentiment`: mean of all of which it is known, -1 to 1; None: of none.
    """

    campaign_id: str
    unsubscribe: int
    complaint: int
    question: int
    praise: int
    other: int
    unproven: int
    waiting: int
    sentiment: float | None


def answered(readers: Readers, day: date) -> list[Answered]:
    """Return what people answered to each campaign of a day that anybody answered."""
    counts: dict[str, Counter[str]] = {}
    felt: dict[str, list[tuple[int, float]]] = {}
    for found in readers.ledger.reply_counts(day):
        of_campaign = counts.setdefault(found.campaign_id, Counter())
        of_campaign[found.intent if found.is_proven else "unproven"] += found.count
        of_campaign["waiting"] += found.open_count
        if found.sentiment is not None:
            felt.setdefault(found.campaign_id, []).append((found.felt_count, found.sentiment))
    names = [each.name for each in fields(Answered)][1:-1]
    return [
        Answered(
            campaign_id, **{name: of[name] for name in names}, sentiment=_mean(felt.get(campaign_id, []))
        )
        for campaign_id, of in counts.items()
    ]


def _mean(groups: list[tuple[int, float]]) -> float | None:
    """Return the mean over groups of so many with such a mean."""
    count = sum(count for count, _ in groups)
    return sum(count * mean for count, mean in groups) / count if count else None


def model_figures(readers: Readers, day: date) -> list[ModelFigures]:
    """Return the figures of the models of a day, champions first."""
    rows = readers.snapshots.rows("model_figures", day)
    by_model = sorted(rows, key=lambda row: (not row["is_champion"], row["model_name"], row["model_version"]))
    groups = groupby(by_model, key=lambda row: (row["model_name"], row["model_version"], row["run_id"]))
    return [_model(readers, list(group)) for _, group in groups]


def drift_alerts(readers: Readers, day: date) -> list[Row]:
    """Return what moved further from training than it does in quiet weeks, the furthest first (rows of `score_drift`)."""
    return readers.snapshots.rows("score_drift", day, ("is_alert", "=", True))


def removals(readers: Readers, day: date) -> list[Row]:
    """Return what rules of trade removed from the day's recommendations, rule by rule, those that are off last (rows of `recommendation_removals`)."""
    rows = readers.snapshots.rows("recommendation_removals", day)
    return sorted(rows, key=lambda row: (row["question"] is None, row["rule"], row["question"] or ""))


def stage_times(readers: Readers, day: date) -> list[StageTime]:
    """Return the last time of each stage of a day, in the order in which they first ran."""
    latest: dict[str, dict[str, Any]] = {}
    for line in stages(readers.settings):
        if line["as_of_date"] == str(day):
            latest[str(line["stage"])] = {**line}
    bars = lengths([float(line["seconds"]) for line in latest.values()])
    return [
        StageTime(
            name,
            float(line["seconds"]),
            length,
            {key: value for key, value in line.items() if key not in {"stage", "as_of_date", "seconds"}},
        )
        for (name, line), length in zip(latest.items(), bars, strict=True)
    ]


def _funnel(row: Row) -> Funnel:
    counts = dict.fromkeys(VERDICTS, 0)  # an older day knew fewer
    counts |= {name: int(row[name] or 0) for name in row if name not in {"campaign_id", "as_of_date"}}
    planned, sent = counts["planned"], counts["sent"]
    return Funnel(
        campaign_id=row["campaign_id"],
        steps=[
            Step(
                name,
                counts[name],
                round(100 * counts[name] / planned, 3) if planned else 0.0,
                counts[name] / sent if sent and name not in {"planned", "sent"} else None,
            )
            for name in STEPS
        ],
        verdicts=stacked([(name, counts[name]) for name in list(VERDICTS)[::-1]]),
        identities=[
            Identity("candidates", counts["candidates"], _parts(counts, tuple(VERDICTS))),
            Identity("planned", planned, _parts(counts, END_STATES)),
        ],
    )


def _parts(counts: dict[str, int], names: Sequence[str]) -> list[tuple[str, int]]:
    return [(name, counts[name]) for name in names]


def _model(readers: Readers, rows: list[Row]) -> ModelFigures:
    first = rows[0]
    names = list(dict.fromkeys(row["metric"] for row in rows))
    return ModelFigures(
        model=model_run(readers, first),
        trained_as_of_date=first["trained_as_of_date"],
        is_champion=first["is_champion"],
        metrics=[_metric(name, [row for row in rows if row["metric"] == name]) for name in names],
    )


def _metric(name: str, rows: list[Row]) -> Metric:
    compared = [row for row in rows if row["baseline_name"] is not None]
    own, *others = lengths([rows[0]["value"], *(row["baseline_value"] for row in compared)])
    return Metric(
        name=name,
        value=rows[0]["value"],
        length=own,
        rivals=[
            Rival(row["baseline_name"], row["baseline_value"], length)
            for row, length in zip(compared, others, strict=True)
        ],
        better=_better(name),
    )


def _better(name: str) -> Better:
    if name.endswith("_ratio"):  # of what was said to what came
        return Better.NEARER_TO_1
    return Better.LOWER if any(word in name for word in LOWER_IS_BETTER) else Better.HIGHER
