"""What the functions run: a zip of our packages and the few libraries they need, the same bytes every time.

Those that send alerts have one of their own, with the libraries for that: no press waits until these are loaded.
"""

import hashlib
import io
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import Distribution, PackageNotFoundError, PackagePath, distribution
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
OURS: Final = (
    "shadows/**/*.py",
    "slack_bridge/**/*.py",
    "button_handlers/**/*.py",
    "infra/*.py",
    "infra/aws/*.py",
    "infra/alerts/*.py",
)
DEPLOYING: Final = (
    "account",
    "buckets",
    "deploy",
    "package",
    "stack",
)  # modules of infra.aws that no function runs
NOT_THERE: Final = {"infra/cli.py", "infra/figures.py", "infra/running.py"} | {
    f"infra/aws/{name}.py" for name in DEPLOYING
}
# boto3 is there already: it comes with Lambda's Python. typing-extensions is what python-ulid needs before 3.12.
LIBRARIES: Final = ("python-dotenv", "python-ulid", "slack-sdk", "typing-extensions")
# What apprise needs but for its command line; also urllib3, so that it is the one that was tried with it here.
ALERTING: Final = (
    *("apprise", "certifi", "charset-normalizer", "idna", "markdown", "oauthlib", "pyyaml", "requests"),
    *("requests-oauthlib", "urllib3"),
)
# Compiled parts make these faster, and are left out: in Python alone they do the same, on any machine.
WITHOUT_ITS_COMPILED: Final = frozenset({"charset-normalizer", "pyyaml"})
PACKED: Final = (".py", ".pem")  # code, and the certificates that it trusts
LONG_AGO: Final = (1980, 1, 1, 0, 0, 0)  # a zip knows no earlier time, and ours is to know none
FILE_OF_ALL: Final = 0o100644 << 16


class Unpackable(Exception):  # noqa: N818 - the word in the complaint
    """A library cannot be packed from here; the argument says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Package:
    """The zip, and a name that it shares with no other: the SHA-256 of what is in it."""

    content: bytes = field(repr=False)
    name: str

    @property
    def key(self) -> str:
        """Where it is kept in the bucket of the code."""
        return f"code/{self.name}.zip"


def build(*more: str) -> Package:
    """Pack the functions' code, and ``more`` libraries, as it is installed here: nothing is downloaded.

    Raises:
        Unpackable: a library is missing, or is compiled for this machine.
    """
    members = dict(sorted({**dict(_ours()), **dict(_libraries((*LIBRARIES, *more)))}.items()))
    return Package(content=_zipped(members), name=_digest(members))


def _ours() -> Iterator[tuple[str, bytes]]:
    for pattern in OURS:
        for file in ROOT.glob(pattern):
            name = file.relative_to(ROOT).as_posix()
            if name not in NOT_THERE:
                yield name, file.read_bytes()


def _libraries(names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    for name in names:
        library = _installed(name)
        for file in library.files or ():
            if _wanted(file):
                yield file.as_posix(), file.read_binary()


def _installed(name: str) -> Distribution:
    try:
        library = distribution(name)
    except PackageNotFoundError:
        raise Unpackable(f"{name} is not installed: run `pip install -r requirements.txt`") from None
    is_pure = "Root-Is-Purelib: true" in (library.read_text("WHEEL") or "")
    if not is_pure and name not in WITHOUT_ITS_COMPILED:
        raise Unpackable(f"{name} is compiled for this machine, and Lambda's is another")
    return library


def _wanted(file: PackagePath) -> bool:
    """Its code and what that reads, its version (some libraries look theirs up) and its licence; not what pip noted about this machine."""
    top = file.parts[0]
    if top == "..":
        return False
    if top.endswith(".dist-info"):
        return file.name in ("METADATA", "LICENSE") or "licenses" in file.parts
    return file.suffix in PACKED


def _zipped(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in members.items():
            entry = zipfile.ZipInfo(name, date_time=LONG_AGO)
            entry.create_system = 3  # Unix, also when packed on Windows: else nobody might read the file
            entry.external_attr = FILE_OF_ALL
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED, compresslevel=9)
    return packed.getvalue()


def _digest(members: dict[str, bytes]) -> str:
    """Of the contents, and not of the zip: another zlib compresses otherwise, and would deploy the same code again."""
    digest = hashlib.sha256()
    for name, content in members.items():
        digest.update(f"{len(name.encode())} {name} {len(content)} ".encode() + content)
    return digest.hexdigest()
