"""What a run was made of: data, code and seed, as digests that can be compared."""

import hashlib
import subprocess
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path

from core.published import Published
from core.settings import PROJECT

SEED = 20170101
CODE = Path(__file__).parent
REQUIREMENTS = ["scikit-learn", "numpy", "scipy", "pandas", "skops", "implicit"]
"""Packages a saved model needs, as MLflow writes them beside it."""


@dataclass(frozen=True)
class Source:
    """Where a training comes from: its day, the key that says when two are the same, and tags to log."""

    as_of: date
    key: str
    tags: dict[str, str]


def file_digest(files: list[Path]) -> str:
    """Return the SHA-256 over files' contents, in the order given, as hex."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def data_hash(published: Published, snapshots: list[tuple[str, date]]) -> str:
    """Return the SHA-256 over snapshots, each a table and its day, hex."""
    return file_digest([published.path(table, day) for table, day in snapshots])


def code_digest() -> str:
    """Return the SHA-256 over this package's modules and its libraries' versions, hex; needs no git."""
    versions = hashlib.sha256(" ".join(version(package) for package in REQUIREMENTS).encode()).hexdigest()
    return hashlib.sha256((file_digest(sorted(CODE.rglob("*.py"))) + versions).encode()).hexdigest()


def code_commit() -> str:
    """Return the commit that is checked out, or 'none' where the code lies in no git folder."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=PROJECT, capture_output=True, text=True, timeout=10, check=False
        )
    except OSError:  # no git on this machine
        return "none"
    return found.stdout.strip() if found.returncode == 0 else "none"


def training_key(model_name: str, as_of: date, data: str, code: str) -> str:
    """Return what makes two trainings the same one: model, day, data, code and seed."""
    return hashlib.sha256(f"{model_name}|{as_of}|{data}|{code}|{SEED}".encode()).hexdigest()
