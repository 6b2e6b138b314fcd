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
from tests.fake_twilio import URL, FakeTwilio
from tests.receiver import Receiver


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


def test_the_functions_are_imported_from_the_zip_with_nothing_beside_it_but_boto3(tmp_path: Path) -> None:
    lay_out(tmp_path, build().content)
    script = """
import infra.lambdas as found
print(found.__file__, [callable(getattr(found, each)) for each in ("button", "slack", "timer", "sweep")])
print(*sorted({"flask", "click", "rich", "awscrt", "apscheduler", "requests"} & set(sys.modules)))
"""
    file = tmp_path / "code" / "infra" / "lambdas.py"
    assert run(tmp_path, script) == f"{file} [True, True, True, True]\n\n"


# What each of docs/alerts.md looks like when it is filled in.
WAYS = (
    "sns://AKIA0123456789012345/wJalrXUtnFEMI0K7MDENG0bPxRfiCYEXAMPLEKEY/ap-northeast-1/+{phone}",
    "mailtos://user:password@smtp.example.com?to={mail}",
    "line://TOKEN/{line}",
    "ntfys://user:password@ntfy.example.com/{id}",
    "workflows://example.com:443/643a03/aiKl",
)


def test_alerts_are_sent_from_a_zip_of_their_own_in_python_alone(tmp_path: Path) -> None:
    packed = build(*package.ALERTING).content
    assert len(packed) <= 5_000_000
    assert not [name for name in names(packed) if name.endswith((".so", ".pyd"))]
    for name in (*package.LIBRARIES, *package.ALERTING):
        folder = f"{name.replace('-', '_')}-{distribution(name).version}.dist-info"
        licences = (f"{folder}/licenses/", f"{folder}/LICENSE")
        assert any(each.startswith(licences) for each in names(packed)), name
    lay_out(tmp_path, packed)
    with FakeTwilio() as twilio, Receiver() as receiver:
        ways = (URL, receiver.url("/{id}").replace("http", "json"), *WAYS)
        assert run(tmp_path, SENDING.format(ways=ways, twilio=twilio.url)) == "False True True\n"
        assert (len(twilio.got), [each.path for each in receiver.got]) == (1, ["/hana"])


SENDING = """
import apprise, certifi, yaml
from infra.alerts.senders import Senders
from infra.alerts.templates import templates
from shadows.alerts import Alert
ways = templates({ways!r})
senders = Senders(ways, lang="en", twilio_url={twilio!r})
hana = dict(thing="staff-hana", call="c", n=1, name="Hana", booth="main", private=dict(phone="819077770001"))
for way in ways[:2]:
    senders.send(Alert(channel=way.channel, **hana))
certificates = open(certifi.where()).read()
print(yaml.__with_libyaml__, apprise.__file__.startswith(sys.path[0]), len(certificates) > 100_000)
"""


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
