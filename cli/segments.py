"""Commands on segments: train them, and show a day's."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import typer

from cli.options import Day, Json, answer, day_of, speech
from core.settings import load_settings

segments = typer.Typer(no_args_is_help=True, help="Groups of customers who are alike.")

SHOWN = 3  # features that set a segment apart, in the table for people


@segments.command("train")
def train(as_of: Day, as_json: Json = False) -> None:
    """Train on the day's published features beside the baselines, log to MLflow, promote if it beats them."""
    from ml.train import train_segments

    answer(train_segments(load_settings(), day_of(as_of)), as_json=as_json)


@segments.command("show")
def show(as_of: Day, as_json: Json = False) -> None:
    """Show the segments of a day: how many customers each has, and what sets them apart from everybody."""
    from core.published import Published

    rows = Published(load_settings().published).read("segment_profiles", day_of(as_of)).to_pylist()
    shown = list(_segments(rows))
    if not as_json and not shown:
        speech.print("no model of segments had been promoted when the day was scored")
    answer(shown if as_json else [_line(each) for each in shown], as_json=as_json)


def _segments(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield each segment with its features, those that set it apart the most first; the largest segment first."""
    rows = sorted(rows, key=lambda row: (-row["customers_count"], row["segment_id"]))
    everybody = sum({row["segment_id"]: row["customers_count"] for row in rows}.values())
    for segment_id, own in groupby(rows, key=lambda row: row["segment_id"]):
        features = sorted(own, key=lambda row: -abs(row["difference"] or 0.0))
        yield {
            "segment_id": segment_id,
            "segment_name": features[0]["segment_name"],
            "customers": features[0]["customers_count"],
            "share": features[0]["customers_count"] / everybody if everybody else 0.0,
            "sets_apart": [
                {name: row[name] for name in ("feature", "difference", "segment_mean", "everybody_mean")}
                for row in features
            ],
        }


def _line(segment: dict[str, Any]) -> dict[str, Any]:
    """Return a segment as a line of the table; the features that set it apart in their own units."""
    told = [
        f"{each['feature']} {_short(each['segment_mean'])} (everybody {_short(each['everybody_mean'])})"
        for each in segment["sets_apart"][:SHOWN]
        if each["segment_mean"] is not None
    ]
    return {
        "segment": segment["segment_id"],
        "name": segment["segment_name"],
        "customers": segment["customers"],
        "share": f"{segment['share']:.0%}",
        "what sets it apart": "; ".join(told) or "—",
    }


def _short(number: float) -> str:
    """Write a mean as people do: 19,590 and 8.14 and 0.05, never 1.959e+04."""
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"
