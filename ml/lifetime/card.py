"""The model card of one training of value and next order; `docs/model_cards/lifetime.md` tells what holds of every one.

Source of the form: Mitchell et al., "Model Cards for Model Reporting", FAT* 2019.
"""

from ml.lifetime.trial import BASELINE, METRICS
from ml.training import Training

OWNER = "lifecycle"
LIMITS = (
    "A lifetime ends at the horizon here: what comes after it is in no figure.",
    "It takes customers to go on as they were: a season, a price or a mail is unknown to it.",
    "Refunds are spending taken back; it never expects one.",
    "It takes whoever ordered once to be active still, and is sure that somebody has left only after a pause.",
)
OVERLAP = (
    "Neighbouring windows share most of their days, so that the judged cut-offs are far fewer independent "
    "trials than their number."
)


def card(training: Training) -> str:
    """Return the card of a training, judged or not, as Markdown."""
    parameters = training.parameters
    parts = [
        f"# {training.model_name}, {training.method}, trained as of {training.source.as_of}",
        f"**Verdict.** {'Promoted' if training.is_promoted else 'Refused'}: {training.reason}.",
        f"**What it answers.** What a customer spends in the {parameters['horizon_days']} days from a day, and when the next "
        "order comes if the customer comes back at all; both with intervals that hold eight of ten.",
        "**Cohort.** Customers with an order known before the day.",
        f"**Data.** The histories of {parameters['customers']} customers.",
        *_figures(training),
        f"**Limits.** {' '.join([*LIMITS, *([OVERLAP] if training.fold_figures else [])])}",
        f"**Owner.** {OWNER}.",
    ]
    return "\n\n".join(parts) + "\n"


def _figures(training: Training) -> list[str]:
    if not training.fold_figures:
        return ["**Figures.** It was not judged."]
    lines = [["figure", "model", "least", "most", BASELINE], ["---"] * 5]
    for name in METRICS:
        values, theirs = training.fold_figures[name], training.figures.get(f"{BASELINE}.{name}")
        numbers = (training.figures[name], min(values), max(values))
        lines.append(
            [name, *(f"{value:.4g}" for value in numbers), "—" if theirs is None else f"{theirs:.4g}"]
        )
    return [
        f"**Figures.** Means over the judged cut-offs {training.parameters['judged_cutoffs']}, and the least and most of them.",
        "\n".join(f"| {' | '.join(line)} |" for line in lines),
    ]
