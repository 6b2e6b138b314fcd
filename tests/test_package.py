"""The functions' code: packed the same every time, small, and enough beside what Lambda brings along."""

import io
import os
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest

from infra.aws import package
from infra.aws.package import Unpackable, build
from tests.bench_package import figures, lay_out, run


def names(content: bytes) -> set[str]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return set(archive.namelist())


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of our packages, from which is packed."""
    for name in ("shadows", "slack_bridge", "button_handlers", "infra"):
        shutil.copytree(
            package.ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "local")
        )
    monkeypatch.setattr(package, "ROOT", tmp_path)
    return tmp_path


def test_the_same_code_is_packed_to_the_same_bytes(tmp_path: Path, elsewhere: Path) -> None:
    code = "import sys; from infra.aws.package import build; sys.stdout.buffer.write(build().content)"
    env = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "TZ": "Asia/Tokyo",
        "PYTHONHASHSEED": "7",
    }
    other = subprocess.run([sys.executable, "-c", code], env=env, cwd="/", check=True, capture_output=True)
    for file in elsewhere.rglob("*.py"):
        os.utime(file, (1, 1))
        file.chmod(0o600)
    assert build().content == other.stdout


def test_a_name_stands_for_what_is_in_the_zip_and_for_nothing_else(elsewhere: Path) -> None:
    before = build()
    (elsewhere / "infra" / "aws" / "deploy.py").write_text("1")
    assert build() == before
    (elsewhere / "shadows" / "staff.py").write_text("1")
    assert build().name != before.name


def test_only_what_functions_need_is_packed() -> None:
    packed = build()
    assert {name.split("/")[0].split("-")[0].removesuffix(".py") for name in names(packed.content)} == {
        *("shadows", "slack_bridge", "button_handlers", "infra"),
        *("slack", "slack_sdk", "ulid", "python_ulid", "dotenv", "python_dotenv", "typing_extensions"),
    }
    assert not [name for name in names(packed.content) if "RECORD" in name or "__pycache__" in name]
    assert not {"infra/cli.py", "infra/aws/deploy.py"} & names(packed.content)
    assert len(packed.content) <= 5_000_000


def test_every_library_comes_with_its_licence() -> None:
    packed = names(build().content)
    for name in package.LIBRARIES:
        folder = f"{name.replace('-', '_')}-{distribution(name).version}.dist-info"
        assert any(each.startswith(f"{folder}/licenses/") for each in packed), name


def test_the_functions_are_imported_from_the_zip_with_nothing_beside_it_but_boto3(tmp_path: Path) -> None:
    lay_out(tmp_path)
    script = """
import infra.lambdas as found
print(found.__file__, [callable(getattr(found, each)) for each in ("button", "slack", "timer", "sweep")])
print(*sorted({"flask", "click", "rich", "awscrt", "apscheduler"} & set(sys.modules)))
"""
    file = tmp_path / "code" / "infra" / "lambdas.py"
    assert run(tmp_path, script) == f"{file} [True, True, True, True]\n\n"


@pytest.mark.parametrize(("library", "why"), [("awscrt", "compiled"), ("no-such-library", "not installed")])
def test_what_cannot_be_packed_from_here_is_refused(
    library: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package, "LIBRARIES", (library,))
    with pytest.raises(Unpackable, match=why):
        build()


def test_the_bench_has_figures_for_the_import_and_the_zip() -> None:
    found = figures(runs=1)
    assert set(found) == {"import infra.lambdas, s", "the same and its clients, s", "zip, MB", "unzipped, MB"}
    assert all(value > 0 for value in found.values())
