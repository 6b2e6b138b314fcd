"""What is written down is there: every library as it is pinned, and every test that the threat model names."""

import re
from collections.abc import Iterator
from importlib.metadata import distribution, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.holes import verdict

ROOT = Path(__file__).resolve().parents[1]
PINS = dict(
    re.fullmatch(r"([a-z0-9-]+)==(\S+)", line).groups()  # type: ignore[union-attr]
    for line in (ROOT / "requirements.txt").read_text().splitlines()
    if line and not line.startswith("#")
)


def needed(name: str) -> Iterator[str]:
    """What a library needs here, and what that needs in turn."""
    for text in distribution(name).requires or ():
        other = Requirement(text)
        if other.marker is None or other.marker.evaluate({"extra": ""}):
            yield re.sub(r"[-_.]+", "-", other.name).lower()


def test_everything_that_runs_is_pinned_to_what_is_installed() -> None:
    assert {name: version(name) for name in PINS} == PINS
    assert {other for name in PINS for other in needed(name)} <= PINS.keys()


def test_tools_are_pinned_too() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    [dev] = re.findall(r"^dev = \[\n(.*?)^\]", text, re.DOTALL | re.MULTILINE)
    assert all(re.fullmatch(r'    "[a-z0-9-]+(\[[a-z,-]+\])?==[\w.]+",', line) for line in dev.splitlines())


FINE = {"name": "flask", "version": "3.1.3", "vulns": []}
HOLE = {**FINE, "vulns": [{"id": "PYSEC-1", "fix_versions": ["3.1.4"]}]}
SKIPPED = {"name": "rich", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("looked_up", "status"),
    [([FINE], 0), ([FINE, HOLE], 1), ([FINE, SKIPPED], 2), ([HOLE, SKIPPED], 1), ([SKIPPED], 2), ([], 2)],
)
def test_an_audit_that_could_not_look_is_no_good_news(
    looked_up: list[dict[str, object]], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verdict(looked_up) == status
    said = capsys.readouterr()
    assert ("PYSEC-1, mended in 3.1.4" in said.out) is (HOLE in looked_up)
    assert ("may have holes" in said.err) is (SKIPPED in looked_up)


def test_every_test_that_the_threat_model_names_is_there() -> None:
    named = re.findall(r"(test_\w+\.py)?::(test_\w+)", (ROOT / "docs" / "security.md").read_text("utf-8"))
    assert named
    file = ""
    for given, test in named:
        file = given or file
        assert f"\ndef {test}(" in (ROOT / "tests" / file).read_text("utf-8"), f"{file}::{test}"
