"""What a screen has to load: the kiosk's part of the built pages stays small, and nothing of the admin's is in it."""

import gzip
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from infra.aws import buckets

DIST = Path(__file__).resolve().parents[1] / "spa" / "dist"
MOST = 150_000  # bytes, gzipped: what a screen loads before it shows anything


def loaded(page: str) -> set[Path]:
    """A page, and all that it loads by itself: scripts, styles, and what those import."""
    found, open_ = set(), [DIST / page]
    while open_:
        file = open_.pop()
        if file in found or file.suffix == ".svg":
            continue
        found.add(file)
        text = file.read_text("utf-8")
        pattern = (
            r'(?:src|href)="(\./[^"]+)"' if file.suffix == ".html" else r'(?:from|import)\s*"(\./[^"]+)"'
        )
        open_ += [file.parent / name for name in re.findall(pattern, text)]
    return found


def size(files: set[Path]) -> int:
    return sum(len(gzip.compress(file.read_bytes(), 9)) for file in files)


def tongues() -> set[Path]:
    """The files of the languages; a screen fetches those that it speaks, two at most."""
    page = (DIST / "index.html").read_text("utf-8")
    return {DIST / name for name in re.findall(r'<meta name="tongue" content="\./([^"]+)">', page)}


def test_the_kiosk_stays_small() -> None:
    files = loaded("index.html")
    assert {file.suffix for file in files} == {".html", ".js", ".css"}
    assert len(tongues()) == 12  # and two are in the page's own script
    assert not tongues() & files
    assert size(files) + sum(sorted(size({each}) for each in tongues())[-2:]) <= MOST
    assert size(files) > MOST / 2  # or what it loads was not found


def test_nothing_of_the_admin_is_loaded_by_a_screen_and_no_mqtt_by_the_admin() -> None:
    kiosk, admin = loaded("index.html"), loaded("admin.html")
    assert not [file for file in kiosk if file.name.startswith("admin")]
    assert len([file for file in admin if file.name.startswith("admin")]) == 3
    assert size(admin) < size(kiosk) / 2
    assert set(DIST.glob("assets/*")) <= kiosk | admin | tongues()  # nothing is left over of an older build


def test_the_admins_page_does_not_go_to_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    account: Any = SimpleNamespace(shadow_host="", region="eu-west-1")
    monkeypatch.setattr(buckets, "_config", lambda *_: {})
    files = buckets._kiosk(account, {})
    assert "index.html" in files
    assert {file.relative_to(DIST).as_posix() for file in loaded("index.html")} <= files.keys()
    assert not [name for name in files if "admin" in name]
