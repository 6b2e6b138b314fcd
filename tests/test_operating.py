"""What is needed around it: the Tab key, a service, a screen that starts by itself, and a live look at everybody."""

import os
import pty
import re
import select
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from infra.cli import main
from shadows.registry import NewButton, add_button
from tests.fake_slack import FakeSlack
from tests.screen import FLAGS, IS_SKIPPED
from tests.shop import Shop, until

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
STAFFCALL = BIN / "staffcall"
UNITS = ROOT / "docs" / "systemd"
KIOSK = ROOT / "docs" / "kiosk" / "staffcall-kiosk"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with FakeSlack() as slack, Shop(tmp_path / "data", slack) as shop:
        yield shop.furnish()


def environment(shop: Shop) -> dict[str, str]:
    return {**shop.environment, "PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(shop.data.parent)}


@contextmanager
def started(command: Sequence[Path | str], **how: Any) -> Iterator[subprocess.Popen[str]]:
    """A process that does not outlive the test, however that ends."""
    with subprocess.Popen(command, text=True, **how) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(20)
                finally:
                    process.kill()


# --- The Tab key


def tab(shop: Shop, line: str) -> set[str]:
    """What bash offers at the end of a line."""
    ask = (
        'source <(staffcall completion bash); COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); '
        '_staffcall_completion staffcall; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", ask, "bash", *line.split(" ")],
        env=environment(shop), cwd=shop.data.parent, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    return set(done.stdout.split())


def test_the_tab_key_knows_the_commands_and_who_is_there(shop: Shop) -> None:
    add_button(shop.place, NewButton(id="deep", single="hana", booth="east"))
    assert {"backup", "report", "restore", "staff", "watch"} <= tab(shop, "staffcall ")
    assert tab(shop, "staffcall staff show ") == {"hana", "sora"}
    assert tab(shop, "staffcall staff away h") == {"hana"}
    assert tab(shop, "staffcall press de") == {"demo", "deep"}
    assert tab(shop, "staffcall button add new --double s") == {"sora"}
    assert tab(shop, "staffcall history --booth ") == {"east", "main"}
    assert tab(shop, "staffcall staff add h") == set()  # whose id is not there yet
    shop.close()
    assert tab(shop, "staffcall staff show ") == set()
    shop.open()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_own_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert f"_STAFFCALL_COMPLETE={shell}_complete" in capsys.readouterr().out


# --- A live look


def test_watch_is_one_table_that_changes_in_a_terminal_and_lines_elsewhere(shop: Shop) -> None:
    with started(
        [STAFFCALL, "watch"], env=environment(shop), cwd=shop.data.parent, stdout=subprocess.PIPE
    ) as lines:
        assert lines.stdout
        assert {lines.stdout.readline().split()[2] for _ in range(2)} == {"hana", "sora"}
        terminal, other_end = pty.openpty()
        env = {**environment(shop), "TERM": "xterm", "COLUMNS": "100", "LINES": "30"}
        with started(
            [STAFFCALL, "watch"], env=env, cwd=shop.data.parent, stdout=other_end, close_fds=True
        ) as table:
            os.close(other_end)
            seen = b""

            def shows(word: str) -> bool:
                nonlocal seen
                if select.select([terminal], [], [], 0.1)[0]:
                    seen += os.read(terminal, 65536)
                return re.search(word, seen.decode(errors="replace")) is not None

            until(lambda: shows("hana.*idle"), "the table", 30)
            shop.press()
            until(lambda: shows(r"\x1b\[\d*A.*(?s:.*)hana.*calling"), "the same table, drawn again", 30)
            assert "calling" in lines.stdout.readline()
            for each in (table, lines):
                each.send_signal(signal.SIGINT)
                assert each.wait(20) == 0
        os.close(terminal)


# --- The service


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd-analyze")
def test_systemd_takes_the_units_and_finds_little_exposed(tmp_path: Path) -> None:
    for unit in UNITS.iterdir():
        text = unit.read_text().replace("/opt/staffcall/.venv/bin/staffcall", str(STAFFCALL))
        (tmp_path / unit.name).write_text(text.replace("/opt/staffcall", str(ROOT)))
    units = sorted(str(each) for each in tmp_path.iterdir())
    assert len(units) == 3
    said = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (said.returncode, said.stderr) == (0, "")
    looked = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", str(tmp_path / "staffcall.service")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    [exposed] = re.findall(r"exposure level for \S+: ([0-9.]+)", looked.stdout)
    assert float(exposed) <= 2


# --- The screen


def test_the_launcher_is_sound_shell() -> None:
    found = subprocess.run(
        [BIN / "shellcheck", KIOSK], capture_output=True, text=True, timeout=60, check=False
    )
    assert (found.returncode, found.stdout) == (0, "")
    assert KIOSK.stat().st_mode & stat.S_IXUSR


def noting(file: Path, then: str) -> Path:
    """A program that notes how it was called, line by line, beside itself."""
    file.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >> {file}.calls\n{then}\n')
    file.chmod(0o755)
    return file.with_name(f"{file.name}.calls")


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def test_the_launcher_waits_for_the_page_and_opens_it_again_whenever_the_browser_ends(
    shop: Shop, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    tries = noting(tmp_path / "bin" / "curl", f'exec {shutil.which("curl")} "$@"')
    browser = tmp_path / "browser"
    starts = noting(browser, f'[ "$(wc -l < {browser}.calls)" -lt 3 ] || exec sleep 600')
    env = {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "CHROMIUM": str(browser),
    }
    url = shop.kiosk + "?booth=main"
    shop.close()
    with started([KIOSK, url, "--lang=ja"], env=env) as launcher:
        until(lambda: len(lines(tries)) > 1, "a second try", 60)
        assert lines(starts) == []
        with Shop(shop.data, shop.slack, http_port=int(shop.at.http.rpartition(":")[2])):
            until(lambda: len(lines(starts)) == 3, "three starts", 60)
            launcher.terminate()
            assert launcher.wait(20) == 0
    [line] = set(lines(starts))
    assert line.startswith("--kiosk ")
    assert line.endswith(f" --lang=ja {url}")
    shop.open()


@pytest.mark.skipif(IS_SKIPPED, reason="STAFFCALL_SKIP")
def test_the_launcher_shows_the_booth_in_a_real_browser(shop: Shop, tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "run")}
    flags = [flag for flag in FLAGS if flag != "--disable-background-networking"]
    with started(
        [KIOSK, shop.kiosk + "?booth=main", "--headless=new", *flags],
        env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as launcher:  # fmt: skip
        until(lambda: shop.admin("/admin/api/signs")["kiosks"], "a screen", 60)
        launcher.terminate()
        launcher.wait(20)
    assert shop.admin("/admin/api/signs")["kiosks"] is not None
    assert (tmp_path / ".config" / "staffcall-kiosk").is_dir()
    until(lambda: not shop.admin("/admin/api/signs")["kiosks"], "its end", 60)


@pytest.mark.skipif(IS_SKIPPED, reason="STAFFCALL_SKIP")
def test_the_browser_knows_every_flag() -> None:
    """A flag that it does not know it ignores without a word, so its name must be in the program."""
    path = Path(shutil.which("chromium") or shutil.which("google-chrome") or "").resolve()
    beside = [Path("/usr/lib/chromium/chromium"), Path("/opt/google/chrome/chrome"), path]
    program = next(each for each in beside if each.is_file()).read_bytes()
    flags = re.findall(r"^ +--([a-z-]+)", KIOSK.read_text().split('"$chromium"')[1], re.MULTILINE)
    assert len(flags) > 10
    assert [flag for flag in flags if f"\0{flag}\0".encode() not in program] == []
