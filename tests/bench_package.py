"""Figures of the functions' code: ``python -m tests.bench_package``.

What a cold start pays for in Python, without Lambda's own start: the import with boto3 beside it, and then the clients.
Sources are compiled already; a function's first cold start compiles them, as the zip holds sources only.
"""

import io
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from importlib.metadata import distribution
from pathlib import Path
from statistics import median
from typing import Final

from infra.aws.package import build

GOALS: Final = {"import infra.lambdas, s": 0.5, "zip, MB": 5.0}
# What comes with Lambda's Python. The CRT, which botocore would import too, does not.
LAMBDA_HAS: Final = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six.py")
MEASURED: Final = """
import time; start = time.perf_counter()
import infra.lambdas; print(time.perf_counter() - start)
import boto3; session = boto3.Session("x", "x", region_name="ap-northeast-1")
[session.client(name) for name in ("iot-data", "iot", "sqs", "ssm")]; print(time.perf_counter() - start)
"""


def figures(runs: int = 5) -> Mapping[str, float]:
    """Medians of some runs, each in a Python of its own, in seconds and MB of a million bytes."""
    packed = build().content
    with tempfile.TemporaryDirectory() as folder:
        lay_out(Path(folder), packed)
        took = [_seconds(Path(folder)) for _ in range(runs + 1)][1:]  # the first one compiles
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    return {
        "import infra.lambdas, s": median(first for first, _ in took),
        "the same and its clients, s": median(both for _, both in took),
        "zip, MB": len(packed) / 1e6,
        "unzipped, MB": size / 1e6,
    }


def lay_out(folder: Path, packed: bytes) -> None:
    """Make ``code``, the zip's contents, and ``runtime``, what Lambda has beside it."""
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        archive.extractall(folder / "code")
    (folder / "runtime").mkdir()
    site = Path(str(distribution("boto3").locate_file("")))
    for name in LAMBDA_HAS:
        (folder / "runtime" / name).symlink_to(site / name)


def run(folder: Path, script: str) -> str:
    """What a script prints where there is nothing else."""
    path = [str(folder / "code"), str(folder / "runtime")]
    alone = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = {path!r}\n{script}"]
    return subprocess.run(alone, check=True, capture_output=True, text=True).stdout


def _seconds(folder: Path) -> tuple[float, float]:
    first, both = run(folder, MEASURED).split()
    return float(first), float(both)


if __name__ == "__main__":
    for name, value in figures().items():
        print(f"{name:30} {value:8.3f}" + (f"   goal {GOALS[name]}" if name in GOALS else ""))
