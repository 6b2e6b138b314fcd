"""The command line against a local place that runs: what it does, what it says, and with which status it ends."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import IO, Any

import pytest

from infra import running
from infra.cli import main
from infra.commands import here
from infra.commands.table import plain
from infra.figures import calls
from infra.local.run import start
from infra.settings import Settings, known_tokens
from tests.fake_slack import BOT_TOKEN, FakeSlack, Next

ROOT = Path(__file__).resolve().parents[1]
RUN = [sys.executable, "-c", "import sys; from infra.cli import main; sys.exit(main())"]
CLIENTS = here._clients
NO_PORTS = {f"STAFFCALL_{name}_PORT": "0" for name in ("HTTP", "WS", "MQTT", "AWS")}


@dataclass
class Said:
    status: int
    out: str
    err: str


Cli = Callable[..., Said]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("place")


@pytest.fixture(scope="module")
def place(folder: Path) -> Iterator[Path]:
    """A local place that runs in this process; the subcommands know only its data folder."""
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.chdir(folder)
        for name in [name for name in os.environ if name.startswith(("STAFFCALL_", "SLACK_", "AWS_"))]:
            patch.delenv(name)
        patch.setenv("STAFFCALL_DATA", str(folder / "data"))
        settings = Settings.from_env({**os.environ, **NO_PORTS, "STAFFCALL_THROTTLE": "off"})
        start(settings, stack)
        patch.setattr(here, "_clients", cache(CLIENTS))  # boto3 takes long to read its models
        yield folder


@pytest.fixture
def cli(place: Path, capfd: pytest.CaptureFixture[str]) -> Cli:
    def run(*arguments: str) -> Said:
        capfd.readouterr()
        status = main(arguments)
        out, err = capfd.readouterr()
        return Said(status, out, err)

    return run


def failed(said: Said, status: int = 1) -> str:
    """What was said in one line on stderr, and nothing on stdout."""
    assert said.status == status, said
    assert said.err.startswith("Error: ")
    assert said.err.count("\n") == 1
    assert "Traceback" not in said.err
    return said.err


def cells(said: Said, first: str) -> list[str]:
    """The cells of the row that begins with a word."""
    (row,) = (line for line in said.out.splitlines() if line.startswith(first))
    return re.split(r" {2,}", row.strip())


# --- Staff


def test_staff_are_added_listed_shown_and_removed(cli: Cli) -> None:
    assert cli("booth", "add", "east", "--title", "東口 East").out == "booth east: added\n"
    added = cli(
        "staff", "add", "yuki", "--name", "雪 Yuki", "--role", "Guide", "--slack", "U0YUKI", "--booth", "east"
    )
    assert (added.status, added.out, added.err) == (0, "staff yuki: added\n", "")
    assert cells(cli("staff", "list"), "yuki") == ["yuki", "雪 Yuki", "Guide", "idle", "east", "U0YUKI"]
    shown = cli("staff", "show", "yuki")
    assert cells(shown, "state") == ["state", "idle"]
    assert cells(shown, "told") == ["told", "yes"]
    assert cells(cli("booth", "list"), "east") == ["east", "東口 East", "yuki"]
    assert cells(cli("booth", "show", "east"), "yuki") == ["yuki", "雪 Yuki", "idle"]
    assert cli("staff", "remove", "yuki").out == "staff yuki: removed\n"
    assert "yuki" not in cli("staff", "list").out
    assert cells(cli("booth", "list"), "east") == ["east", "東口 East"]


def test_what_is_there_and_gets_what_it_lacks_is_changed_and_not_added(cli: Cli) -> None:
    cli("staff", "add", "yuki", "--name", "Yuki", "--booth", "west")
    assert cli("booth", "add", "west", "--title", "西口").out == "booth west: changed\n"
    again = cli("staff", "add", "yuki", "--name", "Yuki", "--booth", "east")
    assert again.out == "staff yuki: changed\n"
    assert cells(cli("booth", "list"), "west") == ["west", "西口", "yuki"]


def test_what_alerts_need_is_kept_and_shown(cli: Cli) -> None:
    line = "U" + "0" * 32
    cli(
        "staff", "add", "ume", "--name", "Ume", "--phone", "8190", "--mail", "ume@example.com", "--line", line
    )
    assert cells(cli("staff", "list"), "ume") == [
        "ume",
        "Ume",
        "idle",
        "main",
        "8190",
        "ume@example.com",
        line,
    ]
    assert cli("staff", "add", "ume", "--name", "Ume", "--phone", "8190").status != 0
    wrong = cli("staff", "add", "x", "--name", "X", "--mail", "x+y@example.com")
    assert (wrong.status != 0, "mail: expected" in wrong.err, "x+y" in wrong.err) == (True, True, False)


def test_staff_go_away_and_come_back(cli: Cli) -> None:
    cli("staff", "add", "abe", "--name", "Abe")
    assert cli("staff", "away", "abe").out == "staff abe: away\n"
    assert "away" in cells(cli("staff", "list"), "abe")
    assert cli("staff", "away", "abe").out == "staff abe is away already\n"
    assert cli("staff", "back", "abe").out == "staff abe: idle\n"
    assert cli("staff", "back", "abe").status == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["staff", "add", "Hana", "--name", "Hana"], ["id: expected", "'Hana'"]),
        (["staff", "add", "hana", "--name", ""], ["name: expected"]),
        (["staff", "add", "hana", "--name", "a\nb"], ["name: expected"]),
        (["staff", "add", "hana", "--name", "Hana", "--slack", "hana"], ["slack: expected", "U012AB3CD"]),
        (["staff", "add", "hana", "--name", "Hana", "--phone", "+81"], ["phone: expected"]),
        (["staff", "add", "hana", "--name", "Hana", "--backup", "nobody"], ["there is no staff nobody"]),
        (["staff", "show", "nobody"], ["there is no staff nobody"]),
        (["staff", "remove", "nobody"], ["there is no staff nobody"]),
        (["staff", "away", "nobody"], ["there is no staff nobody"]),
        (["button", "add", "b 1", "--staff", "hana"], ["id: expected"]),
        (["button", "add", "b1", "--staff", "nobody"], ["there is no staff nobody"]),
        (["button", "remove", "nothing"], ["there is no button nothing"]),
        (["button", "move", "nothing", "main"], ["there is no button nothing"]),
        (["booth", "add", "Main"], ["id: expected"]),
        (["booth", "show", "nowhere"], ["there is no booth nowhere"]),
        (["press", "nothing"], ["button: nothing is unknown"]),
        (["press", "a b"], ["button: expected"]),
        (["staff", "import", "."], ["directory"]),
    ],
)
def test_what_cannot_be_done_is_one_line_that_says_why(
    cli: Cli, arguments: list[str], words: list[str]
) -> None:
    said = cli(*arguments)
    assert said.status != 0
    message = failed(said, said.status)
    assert all(word in message for word in words)


@pytest.mark.parametrize(
    "arguments",
    [
        ["bogus"],
        ["staff", "add", "x"],
        ["press", "b", "--click", "TRIPLE"],
        ["--target", "moon", "staff", "list"],
    ],
)
def test_a_wrong_command_line_ends_with_2_and_one_line(cli: Cli, arguments: list[str]) -> None:
    assert "--help" in failed(cli(*arguments), 2)


def test_the_same_id_or_the_same_slack_id_twice_is_refused(cli: Cli) -> None:
    one = ("staff", "add", "dup", "--name", "Dup", "--slack", "U0DUP")
    assert cli(*one).status == 0
    assert "already" in failed(cli(*one))
    assert "already" in failed(cli("staff", "add", "dup", "--name", "Other"))
    assert "dup has this Slack id" in failed(cli("staff", "add", "dup2", "--name", "Dup", "--slack", "U0DUP"))


def test_an_import_says_per_line_what_was_done_or_why_not(cli: Cli, folder: Path) -> None:
    file = folder / "people.csv"
    file.write_text(
        "\ufeffid,name,role,slack,phone,backup,booth\r\n"
        'im1,"Suzuki, 一郎",Guide,U0IM1,8190,im2,west\r\n'
        "\r\n"
        "im2,Sato,,,,im1,\r\n"
        "Bad Id,X,,,,,\r\n"
        "im3,short\r\n"
        "im4,X,,U0IM1,,,\r\n",
        "utf-8",
    )
    said = cli("staff", "import", str(file))
    assert said.status == 1
    lines = said.out.splitlines()
    assert lines[:2] == ["line 2: im1: added", "line 4: im2: added"]
    assert lines[2].startswith("line 5: Bad Id: failed: id: expected")
    assert lines[3] == "line 6: im3: failed: expected 7 cells, got 2"
    assert lines[4] == "line 7: im4: failed: slack: im1 has this Slack id already"
    assert said.err == "Error: 3 of 5 lines failed\n"
    assert cells(cli("staff", "list"), "im1") == [
        "im1", "Suzuki, 一郎", "Guide", "idle", "west", "im2", "U0IM1", "8190"
    ]  # fmt: skip
    assert cells(cli("staff", "list"), "im2") == ["im2", "Sato", "idle", "main", "im1"]


def test_an_import_can_be_repeated_and_takes_what_excel_saves_in_japan(cli: Cli, folder: Path) -> None:
    file = folder / "excel.csv"
    file.write_bytes("id,name\r\nim5,鈴木 一郎\r\n".encode("cp932"))
    assert cli("staff", "import", str(file)).out == "line 2: im5: added\n"
    again = cli("staff", "import", str(file))
    assert (again.status, again.out) == (0, "line 2: im5: there already\n")
    file.write_text("id,name\r\n\r\n")
    assert cli("staff", "import", str(file)).out == "no line below the header: nobody was added\n"
    assert "鈴木 一郎" in cli("staff", "list").out


def test_what_is_exported_can_be_imported(cli: Cli, folder: Path) -> None:
    cli(
        "staff",
        "add",
        "ex1",
        "--name",
        "花, Hana",
        "--slack",
        "U0EX1",
        "--booth",
        "far",
        "--mail",
        "hana@example.com",
    )
    cli("staff", "add", "ex2", "--name", "Sora", "--booth", "far")
    assert cli("booth", "order", "far", "ex2").out == "booth far: ex2 ex1\n"
    assert cli("staff", "backup", "ex1", "ex2").out == "staff ex1: ex2 stands in\n"
    lines = cli("staff", "export").out.splitlines()
    assert lines[0] == "id,name,role,slack,phone,backup,booth,mail,line"
    assert [line for line in lines if line.startswith("ex")] == [
        "ex2,Sora,,,,,far,,",
        'ex1,"花, Hana",,U0EX1,,ex2,far,hana@example.com,',
    ]
    file = folder / "out.csv"
    assert cli("staff", "export", str(file)).out == ""
    assert file.read_bytes().startswith(b"\xef\xbb\xbfid,name")  # or Excel would take it for another encoding
    again = cli("staff", "import", str(file))
    assert again.status == 0
    assert {line.rpartition(": ")[2] for line in again.out.splitlines()} == {"there already"}
    assert cli("staff", "backup", "ex1").out == "staff ex1: nobody stands in\n"
    assert "somebody else" in failed(cli("staff", "backup", "ex1", "ex1"))
    assert "not on the list" in failed(cli("booth", "order", "far", "nobody"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "header"),
        (b"hana,Hana\n", "header"),
        (b"id,name,shoe\nx,X,42\n", "shoe"),
        (b"id,id,name\nx,x,X\n", "header"),
        (b'id,name\nx,"open\n', "CSV"),
        (b"id,name\nx,\x81\n", "UTF-8"),
        (b"id,name\nx," + b"x" * 200_000 + b"\n", "CSV"),
    ],
)
def test_a_file_that_cannot_be_read_as_a_whole_changes_nothing(
    cli: Cli, folder: Path, content: bytes, words: str
) -> None:
    file = folder / "bad.csv"
    file.write_bytes(content)
    before = cli("staff", "list").out
    assert words in failed(cli("staff", "import", str(file)))
    assert cli("staff", "list").out == before


# --- Buttons, presses, reports


def test_a_press_from_the_command_line_is_a_press_like_any_other(cli: Cli) -> None:
    cli("staff", "add", "hana", "--name", "花 Hana")
    cli("staff", "add", "ken", "--name", "Ken")
    assert cli("button", "add", "b1", "--staff", "hana", "--double", "ken").out == "button b1: added\n"
    pressed = cli("press", "b1")
    assert re.fullmatch(r"staff-hana: calling \(call [0-9A-Z]{26}\)\n", pressed.out)
    assert cells(cli("staff", "list"), "hana")[2:4] == ["calling", "main"]
    assert cli("press", "b1", "--click", "DOUBLE").out.startswith("staff-ken: calling")
    row = cells(cli("button", "list"), "b1")
    assert row[:4] == ["b1", "hana", "ken", "main"]
    assert row[-1] == "DOUBLE"
    report = cli("report")
    assert (report.status, "花 Hana (hana)" in report.out, "all calls" in report.out) == (0, True, True)


def test_every_way_to_share_people_among_buttons_is_listed(cli: Cli, folder: Path) -> None:
    for id in ("aki", "bon", "chie"):
        cli("staff", "add", id, "--name", id.title(), "--booth", "hall")
    cli("button", "add", "h1", "--staff", "aki", "--long", 'lambda:backup {"region": "x"}', "--booth", "hall")
    cli("button", "add", "h2", "--staff", "aki", "--double", "turn:bon,aki", "--booth", "hall")
    cli("button", "add", "h3", "--staff", "@duty", "--double", "all:bon,chie", "--booth", "hall")
    now = datetime.now(UTC)
    start, end = (f"{now + timedelta(hours=by):%Y-%m-%dT%H:%MZ}" for by in (-1, 1))
    file = folder / "now.csv"
    file.write_text(f"booth,from,to,staff\nhall,{start},{end},chie\n", "utf-8")
    assert cli("roster", "import", str(file)).status == 0
    listed = cli("button", "list")
    assert cells(listed, "h1") == ["h1", "aki", 'lambda:backup {"region": "x"}', "hall", "aki: h2"]
    assert cells(listed, "h2") == ["h2", "aki", "turn:bon,aki", "hall", "aki: h1; bon: h3"]
    assert cells(listed, "h3") == ["h3", "@duty (chie)", "all:bon,chie", "hall", "bon: h2"]
    cli("button", "add", "h4", "--staff", "chie", "--booth", "hall")
    rows = {each["id"]: each for each in json.loads(cli("button", "list", "--json").out)}
    assert rows["h3"]["clicks"] == {"SINGLE": "@duty", "DOUBLE": "all:bon,chie"}
    assert (rows["h3"]["onDuty"], rows["h1"]["onDuty"]) == (["chie"], None)
    assert (rows["h2"]["shared"], rows["h2"]["booth"]) == ({"aki": ["h1"], "bon": ["h3"]}, "hall")
    assert (rows["h3"]["shared"], rows["h4"]["shared"]) == ({"chie": ["h4"], "bon": ["h2"]}, {"chie": ["h3"]})
    file.write_text(f"booth,from,to,staff\nhall,{start},{end},aki\n", "utf-8")
    cli("roster", "import", str(file))  # who is on duty is called by that button, too
    rows = {each["id"]: each for each in json.loads(cli("button", "list", "--json").out)}
    assert rows["h3"]["shared"] == {"aki": ["h1", "h2"], "bon": ["h2"], "chie": ["h4"]}
    assert rows["h1"]["shared"] == {"aki": ["h2", "h3"]}
    file.write_text("booth,from,to,staff\n", "utf-8")
    cli("roster", "import", str(file))
    assert cells(cli("button", "list"), "h3")[1] == "@duty (nobody; else aki, bon, chie)"


def test_a_button_that_moves_calls_to_its_new_booth_and_a_call_that_stands_goes_on(cli: Cli) -> None:
    cli("staff", "add", "moe", "--name", "Moe", "--booth", "fore")
    cli("booth", "add", "aft")
    cli("button", "add", "roams", "--staff", "moe", "--booth", "fore")
    cli("press", "roams")
    pressed = cells(cli("button", "list"), "roams")[3:]
    assert cli("button", "move", "roams", "aft").out == "button roams: moved from booth fore to aft\n"
    assert cli("button", "move", "roams", "aft").out == "button roams: at booth aft already\n"
    assert cells(cli("button", "list"), "roams") == ["roams", "moe", "aft", *pressed]
    assert cells(cli("staff", "show", "moe"), "state") == ["state", "calling"]
    cli("press", "roams")  # it waits until the other one is done
    on_record = json.loads(cli("history", "--staff", "moe", "--json").out)
    calls = [each for each in on_record if each["type"] == "transition" and each["call"]]
    assert [(each["booth"], each["why"], each["count"]) for each in calls] == [("fore", "press", 1)]
    (waiting,) = here.Here().place.shadows.get("staff-moe").reported["waiting"]
    assert (waiting["booth"], waiting["count"], waiting["id"] == calls[0]["call"]) == ("aft", 1, False)


def test_removing_staff_warns_of_the_buttons_that_call_nobody_now(cli: Cli) -> None:
    cli("staff", "add", "ren", "--name", "Ren")
    cli("button", "add", "b2", "--staff", "ren")
    removed = cli("staff", "remove", "ren")
    assert (removed.status, removed.out) == (0, "staff ren: removed\n")
    assert re.search(r"Warning: .*ren.*: b2", removed.err)
    assert "ren" in failed(cli("press", "b2"))


def test_a_button_that_nobody_knows_is_listed_as_unknown_once_it_pressed(cli: Cli) -> None:
    cli("press", "0123456789")
    cli("press", "0123456789")
    row = cells(cli("button", "list", "--unknown"), "0123456789")
    assert (row[1], row[-1]) == ("webhook", "2")


def test_who_may_not_press_is_told_so(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAFFCALL_BUTTON_TOKEN", "wrong")
    message = failed(cli("press", "b1"))
    assert "token" in message
    assert "wrong" not in message


def history(*rows: tuple[str, str, str, int, str, str]) -> list[dict[str, Any]]:
    names = ("call", "thing", "state", "since", "end", "to")
    return [{**dict(zip(names, row, strict=True)), "name": row[1].title(), "booth": "main"} for row in rows]


def test_response_times_are_from_being_asked_to_ok_by_call() -> None:
    told = calls(
        history(
            ("1", "hana", "calling", 1000, "", ""),
            ("1", "hana", "calling", 1000, "", ""),
            ("1", "hana", "running", 5000, "", ""),
            ("1", "hana", "idle", 9000, "done", ""),
            ("2", "ken", "calling", 20_000, "", ""),
            ("2", "hana", "idle", 20_001, "missed", "ken"),
            ("2", "ken", "running", 23_000, "", ""),
            ("3", "hana", "calling", 30_000, "", ""),
            ("3", "hana", "idle", 40_000, "missed", ""),
            ("4", "hana", "calling", 50_000, "", ""),
            ("4", "hana", "idle", 51_000, "cancelled", ""),
        )
    )
    assert [call.response_s for call in told] == [4.0, 3.0, None, None]
    assert [call.answered_by and call.answered_by.name for call in told] == ["Hana", "Ken", None, None]
    assert [call.missed for call in told] == [False, False, True, False]
    assert [call.outcome for call in told] == ["done", "", "missed", "cancelled"]


def test_a_call_nobody_was_free_for_is_missed() -> None:
    (call,) = calls(history(("1", "hana", "away", 1000, "unavailable", "")))
    assert (call.missed, call.asked) == (True, {})


def test_history_shows_what_happened_and_what_became_of_it_in_the_order_of_time(cli: Cli) -> None:
    cli("staff", "add", "mai", "--name", "舞 Mai", "--booth", "south")
    cli("button", "add", "b3", "--staff", "mai", "--booth", "south")
    cli("press", "b3")
    cli("staff", "away", "mai")
    lines = cli("history", "--staff", "mai").out.splitlines()
    what = [re.split(r" {2,}", line)[2] for line in lines[1:]]
    assert [each for each in what if each != "reported"] == ["idle", "calling", "away"]
    assert all(re.split(r" {2,}", line)[1] == "mai" for line in lines[1:])
    at_booth = cli("history", "--booth", "south", "--since", "1h").out.splitlines()
    assert [re.split(r" {2,}", line)[2] for line in at_booth[1:]][:2] == ["calling", "away"]
    assert len(cli("history", "--since", "2999-01-01").out.splitlines()) == 1
    found = json.loads(cli("history", "--json", "--staff", "mai").out)
    assert [row["at"] for row in found] == sorted(row["at"] for row in found)
    assert {row["type"] for row in found} <= {"transition", "delivery"}
    (called,) = (row for row in found if row["type"] == "transition" and row["state"] == "calling")
    assert (called["name"], called["booth"], called["why"]) == ("舞 Mai", "south", "press")


@pytest.mark.parametrize("value", ["soon", "7y", "2026-13-01", "-5m", "123456d", ""])
def test_a_time_that_is_none_is_one_line_that_says_how_to_write_one(cli: Cli, value: str) -> None:
    message = failed(cli("history", "--since", value), 2)
    assert all(word in message for word in ("30m", "2026-11-21", repr(value)))


def test_who_is_removed_can_be_taken_out_of_the_history(cli: Cli) -> None:
    for name in ("Aoi", "Ryo"):
        cli("staff", "add", name.lower(), "--name", name)
        cli("button", "add", f"b-{name}", "--staff", name.lower())
        cli("press", f"b-{name}")
    assert "still there" in failed(cli("staff", "erase", "aoi"))
    assert cli("staff", "remove", "aoi").out == "staff aoi: removed\n"
    assert cli("staff", "remove", "ryo", "--erase").out == (
        "staff ryo: removed\nstaff ryo: on record as erased-1 from now on\n"
    )
    assert "Aoi (aoi)" in cli("report").out
    before = cells(cli("report"), "all calls")
    assert cli("staff", "erase", "aoi").out == "staff aoi: on record as erased-2 from now on\n"
    report = cli("report")
    assert cells(report, "all calls") == before
    assert ("Aoi" in report.out, "Ryo" in report.out, "erased-1 (erased-1)" in report.out) == (
        False,
        False,
        True,
    )
    assert "nothing is on record of staff aoi" in failed(cli("staff", "erase", "aoi"))


# --- Where it runs


def test_without_a_place_that_runs_each_command_says_how_to_start_one(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STAFFCALL_DATA", str(tmp_path / "data"))
    for name in ("HTTP", "AWS", "MQTT"):
        monkeypatch.setenv(f"STAFFCALL_{name}_PORT", "9")  # nothing listens on discard here
    for command in (
        ["staff", "list"],
        ["press", "b1"],
        ["report"],
        ["history"],
        ["staff", "erase", "hana"],
        ["watch"],
        ["button", "list", "--unknown"],
    ):
        status = main(command)
        out, err = capfd.readouterr()
        assert (status, out) == (1, "")
        assert re.fullmatch(
            r"Error: staffcall is not running at 127\.0\.0\.1:9: start it with `staffcall run`\n", err
        )
    assert list(tmp_path.iterdir()) == []


def test_a_bad_setting_is_one_line(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAFFCALL_LANG", "fr")
    monkeypatch.setenv("STAFFCALL_HTTP_PORT", "x")
    message = failed(cli("staff", "list"))
    assert "STAFFCALL_LANG" in message
    assert "STAFFCALL_HTTP_PORT" in message
    assert "STAFFCALL_LANG" in failed(cli("run"))
    monkeypatch.setenv("STAFFCALL_CALING_SECONDS", "5")
    assert "`staffcall aws deploy`" in failed(cli("--target", "aws", "run"))
    said = cli("run")
    meant = "STAFFCALL_CALING_SECONDS is no setting, and nothing reads it: did you mean STAFFCALL_CALLING_SECONDS?"
    assert said.err.splitlines()[0] == meant
    assert cli("staff", "--help").status == 0


def test_nobodys_aws_profile_or_proxy_has_a_say_in_the_local_place(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(here, "_clients", CLIENTS)
    monkeypatch.setenv("AWS_PROFILE", "not-there")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert cli("staff", "list").status == 0
    assert "nothing is unknown" in failed(cli("press", "nothing"))


def test_the_same_commands_act_on_aws(cli: Cli, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(here, "_clients", CLIENTS)
    there = running.read(place / "data")
    assert there
    for name, value in {
        "AWS_ENDPOINT_URL": there.aws,
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_REGION": "ap-northeast-1",
        "AWS_DEFAULT_REGION": "ap-northeast-1",
        "STAFFCALL_DATA": str(place / "elsewhere"),
    }.items():
        monkeypatch.setenv(name, value)
    assert cli("--target", "aws", "staff", "add", "cloud", "--name", "Cloud").status == 0
    monkeypatch.setenv("STAFFCALL_TARGET", "aws")
    assert cells(cli("staff", "list"), "cloud")[:3] == ["cloud", "Cloud", "idle"]
    assert "no answer of AWS's" in failed(cli("press", "b1"))
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.delenv("AWS_REGION")
    assert failed(cli("staff", "list")).startswith("Error: AWS_REGION: expected the region to act in")


def test_the_doors_of_the_running_place_take_a_soracom_button(cli: Cli, place: Path) -> None:
    import urllib.request

    cli("staff", "add", "sim", "--name", "Sim")
    cli("button", "add", "440520000000001", "--staff", "sim")
    there = running.read(place / "data")
    assert there
    token = known_tokens(Settings(data=place / "data")).button
    headers = {"x-soracom-imsi": "440520000000001", "Authorization": f"Bearer {token}"}
    request = urllib.request.Request(
        f"{there.http}/buttons/soracom",
        data=bytes.fromhex("4d010351"),
        headers={**headers, "Content-Type": "application/octet-stream"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert json.load(answer)["thing"] == "staff-sim"
    assert cells(cli("button", "list"), "440520000000001")[3] == "100%"


# --- As a process of its own


def read_until(stream: IO[str], word: str, seen: list[str]) -> str:
    """The first line that has a word in it; pytest's own time-out is the deadline."""
    for line in stream:
        seen.append(line)
        if word in line:
            return line
    raise AssertionError(f"no {word!r} in {seen}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_watch_prints_a_line_a_change_and_a_signal_ends_it_with_0(cli: Cli, number: int) -> None:
    id = f"w{number}"
    cli("staff", "add", id, "--name", f"見 Watch{number}")
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    seen: list[str] = []
    with subprocess.Popen([*RUN, "watch"], env=env, stdout=subprocess.PIPE, encoding="utf-8") as watch:
        assert watch.stdout
        try:
            assert f"見 Watch{number}  idle" in read_until(watch.stdout, f"{id} ", seen)
            cli("staff", "away", id)
            assert f"見 Watch{number}  away" in read_until(watch.stdout, f"{id} ", seen)
            cli("staff", "add", f"{id}b", "--name", "New")
            assert "New  idle" in read_until(watch.stdout, f"{id}b ", seen)
            cli("staff", "remove", f"{id}b")
            read_until(watch.stdout, "removed", seen)
        finally:
            watch.send_signal(number)
        watch.stdout.read()
        assert watch.wait(10) == 0


def test_watch_finds_its_way_back_to_a_place_that_was_killed(tmp_path: Path) -> None:
    env = {**os.environ, **NO_PORTS, "PYTHONPATH": str(ROOT), "STAFFCALL_DATA": str(tmp_path / "data")}
    env["STAFFCALL_MQTT_PORT"] = env["STAFFCALL_AWS_PORT"] = ""
    ports = _free_ports(2)
    env |= {"STAFFCALL_MQTT_PORT": str(ports[0]), "STAFFCALL_AWS_PORT": str(ports[1])}
    seen: list[str] = []
    with ExitStack() as stack:
        first = stack.enter_context(_process(env, tmp_path, "run", "--demo"))
        assert first.stdout
        read_until(first.stdout, "Data", seen)
        watch = stack.enter_context(_process(env, tmp_path, "watch"))
        assert watch.stdout
        read_until(watch.stdout, "hana", seen)
        first.kill()
        first.wait()
        second = stack.enter_context(_process(env, tmp_path, "run", "--demo"))
        assert second.stdout
        read_until(second.stdout, "Data", seen)
        subprocess.run([*RUN, "press", "demo"], env=env, cwd=tmp_path, check=True, stdout=subprocess.PIPE)
        read_until(watch.stdout, "calling", seen)
        second.terminate()
        assert second.wait(15) == 0
        watch.terminate()
        assert watch.wait(10) == 0
        assert running.read(tmp_path / "data") is None


def _process(env: dict[str, str], cwd: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*RUN, *arguments],
        env=env,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
    )


def _free_ports(count: int) -> list[int]:
    import socket

    bound = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in bound]
    for each in bound:
        each.close()
    return ports


def test_a_reader_who_has_seen_enough_ends_watch_without_a_word(cli: Cli) -> None:
    cli("staff", "add", "flip", "--name", "Flip")
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([*RUN, "watch"], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as watch:
        assert watch.stdout
        assert watch.stderr
        watch.stdout.readline()
        watch.stdout.close()
        until = time.monotonic() + 20
        while watch.poll() is None and time.monotonic() < until:
            cli("staff", "away", "flip")
            cli("staff", "back", "flip")
        watch.kill()
        assert (watch.wait(), watch.stderr.read()) == (1, b"")


def test_a_roster_is_imported_shown_and_exported_and_a_bad_one_changes_nothing(
    cli: Cli, folder: Path
) -> None:
    for id in ("dai", "emi"):
        cli("staff", "add", id, "--name", id.title(), "--booth", "west")
    assert cli("button", "add", "w1", "--staff", "@duty", "--booth", "west").out == "button w1: added\n"
    id, calls, booth = cells(cli("button", "list"), "w1")[:3]
    assert (id, calls.startswith("@duty (nobody; else "), booth) == ("w1", True, "west")
    file = folder / "roster.csv"
    head, past = "staff,booth,from,to\n", "dai,west,2026-01-01T09:00,17:00\n"
    file.write_text(f"{head}{past}emi,west,2026-01-01T17:00Z,2026-02-01T01:00Z\n", "utf-8")
    done = cli("roster", "import", str(file), "--timezone", "Asia/Tokyo")
    assert done.out == "roster: 2 lines; from 2026-01-01T09:00+09:00 to 2026-02-01T10:00+09:00\n"
    shown = cli("roster", "show", "--timezone", "Europe/Berlin")
    shown = replace(shown, out=shown.out.rpartition("west")[0])  # the first of the two lines
    assert cells(shown, "west ")[1:] == ["2026-01-01T01:00+01:00", "2026-01-01T09:00+01:00", "dai"]
    exported = cli("roster", "export", "--timezone", "UTC").out
    assert exported.splitlines()[1] == "west,2026-01-01T00:00+00:00,2026-01-01T08:00+00:00,dai"
    file.write_text(f"{head}{past}fumi,west,2026-01-01T09:00,17:00\n", "utf-8")
    bad = cli("roster", "import", str(file))
    assert (bad.status, bad.out) == (1, "")
    assert bad.err.splitlines() == [
        "line 3: staff: expected the id of a staff that is there, got 'fumi'",
        "Error: the roster was not changed",
    ]
    assert cli("roster", "export", "--timezone", "UTC").out == exported
    assert "expected the name of a time zone" in failed(cli("roster", "show", "--timezone", "Mars"), 2)
    file.write_text("booth,from,to,staff\n", "utf-8")
    assert cli("roster", "import", str(file)).out == "roster: empty\n"


def test_nothing_heavy_is_imported_for_the_help() -> None:
    code = (
        "import sys, infra.cli; "
        "print(*sorted({'boto3', 'awscrt', 'flask', 'rich', 'dotenv', 'apscheduler'} & sys.modules.keys()))"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run([sys.executable, "-c", code], env=env, check=True, capture_output=True, text=True)
    assert ran.stdout == "\n"


def test_what_a_terminal_would_obey_is_not_printed() -> None:
    assert plain("a\x1b[31mb\r\n\u202ec") == "a\ufffd[31mb\ufffd\ufffd\ufffdc"
    assert plain("有栖 Alice é") == "有栖 Alice é"


# --- Slack


@pytest.fixture
def workspace(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSlack]:
    """A Slack that knows Hanako, as the settings of a bot name it."""
    found = json.loads((ROOT / "tests" / "payloads" / "slack_users_lookup_by_email.json").read_text())
    with FakeSlack() as slack:
        slack.open_channel("C0FLOOR", "U0STAFF01")
        slack.users["U0STAFF01"] = found["user"]
        monkeypatch.setenv("SLACK_BOT_TOKEN", BOT_TOKEN)
        monkeypatch.setenv("SLACK_CHANNEL", "C0FLOOR")
        monkeypatch.setenv("SLACK_API_URL", slack.api_url)
        monkeypatch.setenv("SLACK_OUTGOING_TOKEN", "an-outgoing-token")
        yield slack


def test_who_is_added_by_their_address_gets_their_slack_id_and_the_address_is_not_kept(
    cli: Cli, workspace: FakeSlack
) -> None:
    said = cli("staff", "add", "hanako", "--name", "Hanako", "--email", "hanako@example.com")
    assert (said.status, said.out) == (0, "staff hanako: added\nslack: U0STAFF01\n")
    assert "U0STAFF01" in cli("staff", "show", "hanako").out
    assert "example.com" not in cli("staff", "show", "hanako").out
    assert cli("staff", "remove", "hanako").status == 0


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["--email", "nobody@example.com"], 1, "nobody in the Slack workspace has nobody@example.com"),
        (["--email", "hanako"], 1, "expected an address"),
        (["--email", "hanako@example.com", "--slack", "U0STAFF01"], 2, "--slack or --email, not both"),
        (["--email", "left@example.com"], 1, "The Slack account of left@example.com is deactivated"),
        (["--email", "robot@example.com"], 1, "robot@example.com is a bot's"),
    ],
    ids=["nobody", "no address", "both", "left", "robot"],
)
def test_an_address_that_leads_to_nobody_adds_nobody(
    cli: Cli, workspace: FakeSlack, arguments: list[str], status: int, says: str
) -> None:
    for name, flaw in (("left", "deleted"), ("robot", "is_bot")):
        user = {"id": f"U0{name.upper()}", "deleted": False, "is_bot": False, flaw: True}
        workspace.users[user["id"]] = {**user, "profile": {"email": f"{name}@example.com"}}
    assert says in failed(cli("staff", "add", "hanako", "--name", "Hanako", *arguments), status)
    assert cli("staff", "show", "hanako").status == 1


@pytest.mark.parametrize(
    ("how", "says"),
    [
        (Next(body="missing_scope"), "Add the bot scope users:read.email"),
        (Next(body="invalid_auth"), "invalid_auth. Install the app"),
        (Next(status=500), "could not be looked up: Slack answered 500"),
        (Next(drop=True), "could not be looked up: Slack is not reached"),
    ],
    ids=["scope", "token", "500", "gone"],
)
def test_why_an_address_cannot_be_looked_up_is_one_line_with_its_fix(
    cli: Cli, workspace: FakeSlack, how: Next, says: str
) -> None:
    workspace.refuses["users.lookupByEmail"] = how
    added = cli("staff", "add", "hanako", "--name", "Hanako", "--email", "hanako@example.com")
    assert says in failed(added)
    assert BOT_TOKEN not in added.err


def test_without_a_bot_no_address_is_looked_up(cli: Cli) -> None:
    added = cli("staff", "add", "hanako", "--name", "Hanako", "--email", "hanako@example.com")
    assert "set SLACK_BOT_TOKEN" in failed(added)


def test_slack_check_looks_at_what_doctor_looks_at_and_posts_nothing(cli: Cli, workspace: FakeSlack) -> None:
    cli("staff", "add", "hanako", "--name", "Hanako", "--slack", "U0STAFF01")
    cli("staff", "add", "gone", "--name", "Gone", "--slack", "U0GONE")
    cli("staff", "add", "mute", "--name", "Mute")
    try:
        said = cli("slack", "check", "--json")
        everything = cli("doctor", "--json")
        shown = cli("slack", "check")
    finally:
        for id in ("hanako", "gone", "mute"):
            cli("staff", "remove", id)
    found = {(each["verdict"], each["detail"]) for each in json.loads(said.out)}
    assert said.status == 1
    assert ("right", "Slack knows hanako") in found
    assert ("right", "hanako is in the channel") in found
    assert ("wrong", "Slack does not know the Slack id of gone") in found
    assert ("wrong", "mute has no Slack id: a call is posted, and mentions nobody.") in found
    assert "wrong    slack     staff-gone: Slack does not know" in shown.out
    of_doctor = {(each["verdict"], each["detail"]) for each in json.loads(everything.out)}
    assert found <= of_doctor, "one code path, not two"
    assert workspace.posts == []


def test_slack_check_of_a_slack_that_is_not_set_says_how_to_set_it(cli: Cli) -> None:
    said = cli("slack", "check")
    assert said.status == 1
    assert "No Slack is set: nobody is mentioned" in said.out


def test_slack_check_posts_one_line_if_asked(cli: Cli, workspace: FakeSlack) -> None:
    assert "Slack took the test message" in cli("slack", "check", "--post", "--json").out
    assert len(workspace.posts) == 1
