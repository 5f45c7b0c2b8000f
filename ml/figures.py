"""The figures a reviewer sees beside a run. Numbers in, a matplotlib figure out; no file, no window."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import precision_recall_curve, roc_curve

from ml.evaluation import Bools, Floats, calibration_bins

MARKERS = "osD^vP*X<>ph"
"""More shapes than colours, so that no two of twelve points and more are of one shape and colour."""
SIZE = (6.0, 4.5)  # inches


def roc_figure(truth: Bools, probabilities: Mapping[str, Floats]) -> Figure:
    """Show how many who lapsed are found at the price of how many false alarms, a line per method."""
    figure, axes = _axes("ROC, all judged cut-offs together", "false positive rate", "true positive rate")
    for name, probability in probabilities.items():
        wrong, right, _ = roc_curve(truth, probability)
        axes.plot(wrong, right, label=name)
    axes.plot([0, 1], [0, 1], linestyle=":", color="grey", label="chance")
    axes.legend()
    return figure


def precision_recall_figure(truth: Bools, probabilities: Mapping[str, Floats]) -> Figure:
    """Show how right the warnings are against how many who lapsed they find, a line per method."""
    figure, axes = _axes("Precision and recall, all judged cut-offs together", "recall", "precision")
    for name, probability in probabilities.items():
        precision, recall, _ = precision_recall_curve(truth, probability)
        axes.plot(recall, precision, label=name)
    axes.axhline(float(truth.mean()), linestyle=":", color="grey", label="chance")
    axes.legend()
    return figure


def calibration_figure(truth: Bools, probabilities: Mapping[str, Floats]) -> Figure:
    """Show what was predicted against what happened in ten bins of equal count, a line per method."""
    figure, axes = _axes("Calibration, ten bins of equal size", "predicted probability", "share that lapsed")
    for name, probability in probabilities.items():
        bins = calibration_bins(truth, probability)
        axes.plot([said for said, _, _ in bins], [share for _, share, _ in bins], marker="o", label=name)
    axes.plot([0, 1], [0, 1], linestyle=":", color="grey", label="perfect")
    axes.legend()
    return figure


def importance_figure(importances: Mapping[str, float], *, shown: int = 15) -> Figure:
    """Show the features whose shuffling costs the most PR-AUC, largest on top."""
    largest = sorted(importances.items(), key=lambda pair: pair[1])[-shown:]
    figure, axes = _axes("Importance, last judged cut-off", "PR-AUC lost when shuffled", "")
    axes.barh([name for name, _ in largest], [value for _, value in largest])
    return figure


def drift_figure(moved: Mapping[str, tuple[float, float]], *, shown: int = 15) -> Figure:
    """Show how far features have moved (PSI) and their bounds, the ones nearest to or furthest beyond theirs on top."""
    nearest = sorted(moved.items(), key=lambda pair: pair[1][0] / pair[1][1])[-shown:]
    figure, axes = _axes("Drift of the training day", "population stability index", "")
    names = [name for name, _ in nearest]
    axes.barh(names, [index for _, (index, _) in nearest], label="PSI")
    axes.scatter(
        [bound for _, (_, bound) in nearest], names, marker="|", color="black", label="bound of quiet weeks"
    )
    axes.legend()
    return figure


def folds_figure(metric: str, days: list[str], by_method: Mapping[str, list[float]]) -> Figure:
    """Show a metric of every method at every cut-off."""
    figure, axes = _axes(f"{metric} by cut-off", "cut-off", metric)
    for name, values in by_method.items():
        axes.plot(days, values, marker="o", label=name)
    axes.tick_params(axis="x", rotation=30)
    axes.legend()
    return figure


def profit_figure(curves: Mapping[str, Floats], marks: Mapping[str, tuple[float, float]]) -> Figure:
    """Show profit against the share of customers treated, and where the rules lie (share treated, realised profit).

    A curve has a value for 0, 1, … n customers treated, in cents per 1,000 customers.
    """
    title = "Profit under the shop's terms, all judged cut-offs together"
    figure, axes = _axes(
        title, "share of customers treated", "profit per 1,000 customers (hundreds of cents)"
    )
    for name, curve in curves.items():
        style = "--" if name.startswith("expected") else "-"
        axes.plot(np.linspace(0.0, 1.0, len(curve)), curve / 100.0, linestyle=style, label=name)
    for name, (share, profit) in marks.items():
        axes.plot([share], [profit / 100.0], marker="o", linestyle="none", label=name)
    axes.axhline(0.0, linestyle=":", color="grey")
    # Treating everybody may lose a hundred times what the best rule earns; losses beyond that are drawn by their logarithm.
    axes.set_yscale("symlog", linthresh=max(1.0, *(float(curve.max()) / 100.0 for curve in curves.values())))
    axes.legend(fontsize=7)
    return figure


def gains_figure(truth: Bools, rankings: Mapping[str, Floats]) -> Figure:
    """Show the share of all who lapsed that is found among the customers ranked first, a line per ranking."""
    figure, axes = _axes(
        "Cumulative gains, all judged cut-offs together", "share of customers", "share of lapsed"
    )
    for name, score in rankings.items():
        axes.plot(*_gains(truth, score), label=name)
    axes.plot([0, 1], [0, 1], linestyle=":", color="grey", label="chance")
    axes.legend()
    return figure


def lift_figure(truth: Bools, rankings: Mapping[str, Floats]) -> Figure:
    """Show how many times as many lapsed among the customers ranked first as among all, a line per ranking."""
    figure, axes = _axes("Lift, all judged cut-offs together", "share of customers", "lift")
    for name, score in rankings.items():
        share, found = _gains(truth, score)
        axes.plot(share[1:], found[1:] / share[1:], label=name)
    axes.axhline(1.0, linestyle=":", color="grey", label="chance")
    axes.legend()
    return figure


def confusion_figure(truth: Bools, is_warned: Bools, threshold: float) -> Figure:
    """Show how many customers were warned of or not, by whether they lapsed."""
    figure, axes = _axes(
        f"Warned of from {threshold:.2f} on, all judged cut-offs together", "warning", "outcome"
    )
    counts = np.array(
        [
            [np.sum((truth == has) & (is_warned == warned)) for warned in (True, False)]
            for has in (True, False)
        ]
    )
    axes.imshow(counts, cmap="Blues")
    for (row, column), count in np.ndenumerate(counts):
        axes.text(
            column, row, f"{count:,}", ha="center", va="center", bbox={"facecolor": "white", "alpha": 0.7}
        )
    axes.set_xticks([0, 1], ["warned of", "not"])
    axes.set_yticks([0, 1], ["lapsed", "came back"])
    return figure


def quality_figure(title: str, by_method: Mapping[str, Mapping[str, float]]) -> Figure:
    """Show metrics as groups of bars, one bar per method."""
    figure, axes = _axes(title, "", "mean over customers")
    metrics = list(next(iter(by_method.values())))
    width = 0.8 / len(by_method)
    for number, (name, values) in enumerate(by_method.items()):
        places = np.arange(len(metrics)) + (number - (len(by_method) - 1) / 2) * width
        bars = axes.bar(places, [values[metric] for metric in metrics], width, label=name)
        axes.bar_label(bars, fmt="%.3f", fontsize=6)
    axes.set_xticks(np.arange(len(metrics)), metrics)
    axes.legend()
    return figure


def coverage_figure(title: str, points: Mapping[str, tuple[float, float]]) -> Figure:
    """Show quality (NDCG) against coverage (share of the catalogue on anybody's list), a point per method."""
    figure, axes = _axes(title, "coverage of the catalogue", "NDCG@20, new products")
    figure.set_figwidth(8.0)
    best_first = sorted(points.items(), key=lambda point: -point[1][1])
    for number, (name, (coverage, quality)) in enumerate(best_first):
        axes.scatter([coverage], [quality], marker=MARKERS[number % len(MARKERS)], label=name)
    axes.set_xscale("log")  # one list for everybody covers a hundredth of what is everybody's own
    figure.legend(loc="outside right upper")  # names beside the points would lie on each other
    return figure


def amounts_figure(truth: Floats, said: Mapping[str, Floats]) -> Figure:
    """Show the mean amount said against the mean that came, in ten bins of equal count, a line per method; in cents."""
    figure, axes = _axes("Value by tenth of customers, all judged cut-offs", "said (cents)", "spent (cents)")
    for name, amounts in said.items():
        parts = np.array_split(np.argsort(amounts, kind="stable"), min(10, len(amounts)))
        means = np.array([(amounts[part].mean(), truth[part].mean()) for part in parts])
        axes.plot(means[:, 0], means[:, 1], marker="o", label=name)
    axes.axline((0.0, 0.0), slope=1.0, linestyle=":", color="grey", label="perfect")
    axes.legend()
    return figure


def _gains(truth: Bools, score: Floats) -> tuple[Floats, Floats]:
    """Return shares of customers, highest score first, and the share of all who lapsed among them, (n + 1,) each."""
    found = np.concatenate([[0.0], np.cumsum(truth[np.argsort(-score, kind="stable")])])
    return np.linspace(0.0, 1.0, len(found)), found / truth.sum()


def _axes(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    return figure, axes
