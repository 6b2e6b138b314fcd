"""``staffcall doctor``: what is right is counted, what is wrong is one line with its fix, and nothing is claimed unseen."""

import json
import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest

from infra import checks
from infra.aws import check as aws_check
from infra.cli import main
from infra.commands import here
from infra.local import check as local_check
from infra.local import watch
from infra.settings import Settings
from infra.slack import teller_of
from shadows.finding import Finding, Verdict
from shadows.registry import Button, NewBooth, NewButton, NewStaff, add_booth, add_button, add_staff
from shadows.staff import ClickType
from shadows.trouble import Trouble
from slack_bridge import check
from slack_bridge.check import Asker, Member
from slack_bridge.manifest import HOURS
from slack_bridge.tellers import web_client
from tests.fake_slack import APP_TOKEN, BOT_TOKEN, SCOPES, FakeSlack, Next
from tests.shop import Shop, until
from tests.stack import NAME, Stack, deployed
from tests.test_signs import APP, kiosk

HANA: Final = Member(thing="staff-hana", slack="U0HANA")
SORA: Final = Member(thing="staff-sora", slack="U0SORA")
NOW: Final = 1_793_235_600_000
ASK: Final = here.Here.ask


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack() as slack:
        slack.open_channel("C0FLOOR", "U0HANA", "U0SORA", "U0THIRD", "U0FOURTH")
        yield slack


def asker(slack: FakeSlack, token: str = BOT_TOKEN, **how: Any) -> Asker:
    return Asker(web_client(slack.api_url, token), **how)


def of_bot(slack: FakeSlack, *members: Member, token: str = BOT_TOKEN, events: bool = True) -> list[Finding]:
    return list(check.of_bot(asker(slack, token), "C0FLOOR", members or (HANA, SORA), events=events))


def faults(findings: list[Finding]) -> list[Finding]:
    return [each for each in findings if each.verdict is not Verdict.RIGHT]


# --- Slack


def test_a_slack_where_all_is_well_is_all_right_and_was_posted_nothing(slack: FakeSlack) -> None:
    found = of_bot(slack)
    assert faults(found) == []
    assert [each.detail for each in found] == [
        "SLACK_BOT_TOKEN is the token of callbot",
        "The channel is there, and the bot is in it",
        "The bot has the scope chat:write",
        "The bot has the scope app_mentions:read",
        "The bot has the scope channels:history",
        "The bot has the scope reactions:read",
        "The bot has the scope commands",
        "Slack knows hana",
        "Slack knows sora",
        "hana is in the channel",
        "sora is in the channel",
    ]
    assert slack.posts == []
    assert slack.asked.count("conversations.members") == 3, "there are more than fit on a page"


def channel(**how: Any) -> Callable[[FakeSlack], None]:
    return lambda slack: slack.channels["C0FLOOR"].update(how)


def user(**how: Any) -> Callable[[FakeSlack], None]:
    return lambda slack: slack.users["U0HANA"].update(how)


def without(*scopes: str) -> Callable[[FakeSlack], None]:
    return lambda slack: setattr(slack, "scopes", SCOPES - set(scopes))


@pytest.mark.parametrize(
    ("breaks", "detail", "fix"),
    [
        (
            lambda slack: slack.channels.update(C0OTHER=slack.channels.pop("C0FLOOR")),
            "not there for the bot: channel_not_found",
            "invite the bot",
        ),
        (channel(is_archived=True), "SLACK_CHANNEL is archived", "Unarchive"),
        (channel(is_member=False), "The bot is not in the channel", "/invite"),
        (
            lambda slack: slack.users.pop("U0HANA"),
            "Slack does not know the Slack id of hana",
            "their profile",
        ),
        (user(deleted=True), "The Slack account of hana is deactivated", "remove them"),
        (user(is_bot=True), "The Slack id of hana is a bot's", "remove them"),
        (lambda slack: slack.members["C0FLOOR"].remove("U0HANA"), "hana is not in the channel", "/invite"),
        (without("chat:write"), "The bot has no scope chat:write", "Add the bot scope chat:write"),
        (without("app_mentions:read"), "no scope app_mentions:read", "Add the bot scope app_mentions:read"),
        (without("channels:history"), "no scope channels:history", "Add the bot scope channels:history"),
        (without("reactions:read"), "no scope reactions:read", "Add the bot scope reactions:read"),
        (without("commands"), "no scope commands", "Add the bot scope commands"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-",
)
def test_what_keeps_slack_from_taking_a_mention_is_one_line_with_its_fix(
    slack: FakeSlack, breaks: Callable[[FakeSlack], None], detail: str, fix: str
) -> None:
    breaks(slack)
    (fault,) = faults(of_bot(slack))
    assert (fault.verdict, fault.what) == (Verdict.WRONG, "slack")
    assert detail in fault.detail
    assert fix in fault.fix
    assert "U0" not in fault.detail + fault.fix


@pytest.mark.parametrize(
    ("missing", "unseen", "scope"),
    [
        (("users:read",), ["Whether Slack knows 2 of 2 people"], "users:read"),
        (
            ("channels:read", "groups:read"),
            ["Whether the channel is there and the bot is in it"],
            "channels:read or groups:read",
        ),
    ],
    ids=["users", "channel"],
)
def test_what_a_missing_scope_hides_is_named_and_never_claimed(
    slack: FakeSlack, missing: tuple[str, ...], unseen: list[str], scope: str
) -> None:
    without(*missing)(slack)
    found = of_bot(slack)
    assert [each.detail for each in faults(found)] == [
        f"{what} was not looked at: a scope is missing" for what in unseen
    ]
    assert {(each.verdict, scope in each.fix) for each in faults(found)} == {(Verdict.UNKNOWN, True)}
    said = " ".join(each.detail for each in found if each.verdict is Verdict.RIGHT)
    assert ("Slack knows" in said) is ("users:read" not in missing)
    assert ("in the channel" in said) is ("users:read" in missing)


def test_a_private_channel_needs_the_other_scope_of_the_two(slack: FakeSlack) -> None:
    channel(is_private=True)(slack)
    without("channels:history")(slack)
    assert faults(of_bot(slack)) == []
    without("channels:read", "groups:read", "channels:history")(slack)
    assert "The bot has the scope groups:history" in [each.detail for each in of_bot(slack)]
    without("groups:history")(slack)
    assert [each.detail for each in faults(of_bot(slack))] == ["The bot has no scope groups:history"]


def test_answers_that_come_by_an_outgoing_webhook_need_no_scope(slack: FakeSlack) -> None:
    without("app_mentions:read", "channels:history", "groups:history")(slack)
    assert faults(of_bot(slack, events=False)) == []


@pytest.mark.parametrize(
    ("how", "detail", "fix"),
    [
        (Next(body="token_revoked"), "token_revoked", "Install the app"),
        (Next(status=500), "rollup_error", "network"),
        (Next(drop=True), "Slack is not reached", "network"),
    ],
    ids=["revoked", "down", "dropped"],
)
def test_a_token_that_slack_does_not_take_ends_the_questions(
    slack: FakeSlack, how: Next, detail: str, fix: str
) -> None:
    slack.refuses["auth.test"] = how
    (fault,) = of_bot(slack)
    assert fault.verdict is Verdict.WRONG
    assert detail in fault.detail
    assert fix in fault.fix


def test_the_token_of_a_person_is_not_that_of_a_bot(
    slack: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slack, "bot", {"user": "hana", "user_id": "U0HANA"})
    (fault,) = faults(of_bot(slack))
    assert "of a person" in fault.detail


def test_when_slack_asks_to_wait_that_is_done_but_not_for_ever(slack: FakeSlack) -> None:
    naps: list[float] = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 2:
            slack.refuses.clear()

    slack.refuses["users.info"] = Next(status=429, retry_after="20")
    patient = asker(slack, sleep=sleep)
    assert faults(list(check.of_bot(patient, "C0FLOOR", [HANA], events=True))) == []
    assert naps == [20, 20]
    slack.refuses["users.info"] = Next(status=429, retry_after="21")
    (fault,) = faults(list(check.of_bot(patient, "C0FLOOR", [HANA], events=True)))
    assert fault.verdict is Verdict.UNKNOWN
    assert fault.detail.startswith("Whether Slack knows 1 of 1 people was not looked at: Slack answered 429")
    assert naps == [20, 20]


def test_a_slack_that_says_to_wait_for_no_time_is_not_asked_again_and_again(slack: FakeSlack) -> None:
    naps: list[float] = []
    slack.refuses["auth.test"] = Next(status=429, retry_after="0")
    (fault,) = check.of_bot(asker(slack, patience_s=3, sleep=naps.append), "C0FLOOR", [], events=True)
    assert fault.verdict is Verdict.WRONG
    assert naps == [1, 1, 1]


def test_socket_mode_is_asked_for_and_not_opened(slack: FakeSlack) -> None:
    assert faults(list(check.of_socket(asker(slack, APP_TOKEN)))) == []
    assert slack.connected == 0
    (fault,) = check.of_socket(asker(slack, "xapp-wrong"))
    assert fault.detail == "Slack opens no Socket Mode with SLACK_APP_TOKEN: invalid_auth"
    assert "connections:write" in fault.fix
    slack.refuses["apps.connections.open"] = Next(drop=True)
    (fault,) = check.of_socket(asker(slack, APP_TOKEN))
    assert "network" in fault.fix


@pytest.mark.parametrize(
    ("ahead_s", "detail"),
    [(0, ""), (3, ""), (-3, ""), (120, "120 s behind Slack's"), (-120, "119 s ahead of Slack's")],
)
def test_a_clock_that_is_off_by_more_than_five_seconds_is_wrong(
    slack: FakeSlack, ahead_s: float, detail: str
) -> None:
    """Slack's stamp has whole seconds: what is surely wrong is wrong, and nothing else."""
    slack.ahead_s = ahead_s
    (finding,) = check.of_clock(asker(slack, ""), wall=lambda: float(int(time.time())) + 0.5)
    assert finding.verdict is (Verdict.WRONG if detail else Verdict.RIGHT)
    if detail:
        seconds = int(re.findall(r"[0-9]+", finding.detail)[0])
        assert abs(seconds - 120) <= 3
        assert ("behind" in finding.detail) is (ahead_s > 0)


def test_a_slack_that_does_not_say_the_time_is_no_reason_to_doubt_the_clock() -> None:
    with FakeSlack() as gone:
        pass
    (finding,) = check.of_clock(asker(gone, ""))
    assert finding.verdict is Verdict.UNKNOWN


# --- Settings and buttons

WELL: Final = Settings(slack_bot_token="xoxb-1", slack_app_token="xapp-1", slack_channel="C0FLOOR")


@pytest.mark.parametrize(
    ("settings", "details"),
    [
        (WELL, []),
        (Settings(slack_webhook_url="https://hooks.slack.com/1", slack_outgoing_token="1"), []),
        (Settings(), ["No Slack is set"]),
        (replace(WELL, slack_channel=""), ["without SLACK_CHANNEL"]),
        (replace(WELL, slack_webhook_url="https://hooks.slack.com/1"), ["SLACK_WEBHOOK_URL is not used"]),
        (replace(WELL, slack_app_token=""), ["No answer of the staff can be heard"]),
        (Settings(slack_webhook_url="https://hooks.slack.com/1"), ["No answer of the staff can be heard"]),
        (
            Settings(slack_webhook_url="https://hooks.slack.com/1", slack_app_token="xapp-1"),
            ["without SLACK_BOT_TOKEN"],
        ),
    ],
    ids=["app", "webhooks", "nothing", "no channel", "both", "deaf app", "deaf webhook", "mute"],
)
def test_settings_that_do_not_fit_together_are_named(settings: Settings, details: list[str]) -> None:
    found = faults(list(checks.of_settings(settings)))
    assert [detail in each.detail for each, detail in zip(found, details, strict=True)] == [True] * len(found)
    assert all(each.fix for each in found)


@pytest.mark.parametrize(
    ("settings", "lack"),
    [
        (Settings(), "No Slack is set"),
        (replace(WELL, slack_channel=""), "SLACK_BOT_TOKEN is set without SLACK_CHANNEL"),
        (replace(WELL, slack_bot_token=""), "A Slack app is set without SLACK_BOT_TOKEN"),
    ],
    ids=["nothing", "no channel", "no bot"],
)
def test_half_a_slack_is_said_at_the_start(
    settings: Settings, lack: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert teller_of(settings, None) is None
    assert caplog.messages == [f"{lack}: nobody will be mentioned. README.md says how to connect Slack."]


def test_a_token_that_can_be_guessed_is_wrong_where_the_network_may_try() -> None:
    short = Settings(admin_token="admin", mqtt_user="booth", mqtt_password="booth")
    assert list(checks.of_guessing(short)) == []
    found = faults(list(checks.of_guessing(replace(short, host="0.0.0.0"))))
    assert [each.detail.split()[0] for each in found] == ["STAFFCALL_ADMIN_TOKEN", "STAFFCALL_MQTT_PASSWORD"]
    assert faults(list(checks.of_guessing(Settings(host="0.0.0.0", admin_token="x" * 16)))) == []


def button(**how: Any) -> Button:
    return Button(**{"id": "demo", "calls": {ClickType.SINGLE: "hana"}, "booth": "main", "at": NOW, **how})


@pytest.mark.parametrize(
    ("made", "details"),
    [
        (button(), []),
        (button(battery=0.26), []),
        (button(battery=0.25), ["Its battery is at 25%"]),
        (button(at=0), ["It has never pressed"]),
        (button(at=0, heard=NOW, battery=0.1), ["It has never pressed", "Its battery is at 10%"]),
        (button(at=NOW - 10**9, heard=NOW - 7_200_000, heartbeat_s=3600), ["A button is silent"]),
        (button(at=NOW - 10**9, heard=NOW - 3_600_000, heartbeat_s=3600), []),
    ],
    ids=["well", "half", "low", "new", "new and low", "silent", "heard"],
)
def test_what_is_wrong_with_a_button_is_named(made: Button, details: list[str]) -> None:
    found = faults(list(checks.of_buttons([made], NOW)))
    assert [detail in each.detail for each, detail in zip(found, details, strict=True)] == [True] * len(found)
    assert all((each.thing, bool(each.fix)) == ("button-demo", True) for each in found)


# --- The data folder


def disk(folder: Path) -> list[str]:
    return [each.detail for each in faults(list(local_check.of_disk(folder)))]


def test_a_folder_that_is_whole_and_has_room_is_right_also_before_the_first_start(tmp_path: Path) -> None:
    assert disk(tmp_path / "not" / "made" / "yet") == []
    assert not (tmp_path / "not").exists()


def test_a_folder_that_cannot_be_written_is_wrong() -> None:
    (detail,) = (each for each in disk(Path("/proc/staffcall")) if "written" in each)
    assert detail.startswith("The data folder cannot be written: ")


def test_little_room_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_check, "LEAST_FREE", 10**18)
    assert [re.sub("[0-9]+", "N", each) for each in disk(tmp_path)] == ["Only N MB are free on the disk"]


def test_a_database_that_is_damaged_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / local_check.DATABASE
    with closing(sqlite3.connect(file)) as db:
        db.execute("CREATE TABLE t (x)")
        db.executemany("INSERT INTO t VALUES (randomblob(3000))", [()] * 20)
        db.commit()
    assert disk(tmp_path) == []
    content = bytearray(file.read_bytes())
    content[4096:8192] = os.urandom(4096)
    file.write_bytes(content)
    (detail,) = disk(tmp_path)
    assert detail.startswith("The database is damaged: ")


def test_a_log_that_nobody_folds_in_is_wrong(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / local_check.DATABASE)) as db:
        db.execute("CREATE TABLE t (x)")
    wal = tmp_path / f"{local_check.DATABASE}-wal"
    with wal.open("wb") as out:
        out.truncate(local_check.LONGEST_WAL + 1)
    assert disk(tmp_path) == ["The write-ahead log has grown to 64 MB: something keeps reading the database"]


def test_secrets_that_others_can_read_are_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("tokens.json", ".env"):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o600)
    assert faults(list(local_check.of_secrets(tmp_path))) == []
    (tmp_path / ".env").chmod(0o640)
    (tmp_path / "tokens.json").chmod(0o604)
    found = faults(list(local_check.of_secrets(tmp_path)))
    assert [each.fix for each in found] == [
        f"Run `chmod 600 {tmp_path}/tokens.json`.",
        "Run `chmod 600 .env`.",
    ]


# --- A place that runs, and one that does not


@dataclass
class Said:
    status: int
    out: str
    err: str

    @property
    def wrong(self) -> list[str]:
        return [line for line in self.out.splitlines() if line.startswith("wrong")]

    @property
    def unknown(self) -> list[str]:
        return [line for line in self.out.splitlines() if line.startswith("unknown")]


class Floor:
    """A furnished place with Slack, a screen, and a button that has pressed; and the command line beside it."""

    def __init__(self, shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
        self.shop, self.slack, self._capfd = shop, shop.slack, capfd

    def doctor(self, *options: str) -> Said:
        self._capfd.readouterr()
        status = main(["doctor", *options])
        return Said(status, *self._capfd.readouterr())


@pytest.fixture
def floor(
    slack: FakeSlack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Floor]:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("STAFFCALL_", "SLACK_", "AWS_"))]:
        monkeypatch.delenv(name)
    settings = {**APP, "slack_api_url": slack.api_url, "slack_webhook_url": "", "slack_outgoing_token": ""}
    with Shop(tmp_path / "data", slack, **settings) as shop:
        for name, value in {**shop.environment, **{k.upper(): v for k, v in settings.items()}}.items():
            monkeypatch.setenv(name, value)
        shop.furnish()
        with kiosk(shop, keep_alive=60):
            shop.press(battery=0.75)
            until(lambda: shop.is_told("hana"), "the mention")
            floor = Floor(shop, capfd)
            until(lambda: shop.admin("/admin/api/signs")["audited"], "a look of the audit", 20)
            yield floor


def test_a_place_where_all_is_well_ends_with_0_and_says_how_much_was_looked_at(floor: Floor) -> None:
    until(lambda: not floor.shop.admin()["troubles"], "no trouble", 20)
    said = floor.doctor()
    assert (said.status, said.err, said.wrong, said.unknown) == (0, "", [], [])
    counted = {line.split()[1]: int(line.split()[2]) for line in said.out.splitlines()}
    parts = {"run": 1, "audit": 1, "kiosk": 1, "clock": 2, "route": 3, "button": 2, "settings": 1}
    assert {what: counted[what] for what in parts} == parts
    assert counted["sign"] >= 9
    assert len(floor.slack.posts) == 1, "the mention, and nothing of ours"


def test_for_programs_everything_that_was_looked_at_is_json(floor: Floor) -> None:
    found = json.loads(floor.doctor("--json").out)
    assert {
        "verdict": "right",
        "what": "slack",
        "detail": "Slack knows hana",
        "fix": "",
        "thing": "staff-hana",
    } in found
    assert "U0HANA" not in str(found)


def test_each_thing_that_is_wrong_is_one_line_with_its_fix(floor: Floor) -> None:
    shop = floor.shop
    add_staff(shop.place, NewStaff(id="riku", name="Riku", booth="east"))
    add_button(shop.place, NewButton(id="new", single="riku", booth="east"))
    shop.place.shadows.update("button-demo", reported={"battery": 0.25})
    floor.slack.users["U0SORA"]["deleted"] = True
    said = floor.doctor()
    assert said.status == 1
    assert said.err == f"Error: {len(said.wrong)} things are wrong\n"
    for words in (
        "staff-riku: riku has no Slack id",
        "booth-east: No screen shows this booth. Open /?booth=east",
        "button-new: It has never pressed. Press it once",
        "button-demo: Its battery is at 25%. Change its battery.",
        "staff-sora: The Slack account of sora is deactivated. ",
    ):
        assert [words in line for line in said.wrong].count(True) == 1, words
    assert len(said.wrong) == 5
    add_booth(shop.place, NewBooth(id="empty"))
    assert "booth-empty" not in floor.doctor().out, "it has nobody to show"


def test_what_the_process_says_of_itself_is_said_here(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "LEAST_FREE", 10**18)
    until(lambda: floor.shop.admin()["troubles"], "the trouble")
    (line,) = [line for line in floor.doctor().wrong if "free on the disk" in line]
    assert "Free some space" in line


def test_what_the_process_has_found_too_is_one_line(floor: Floor) -> None:
    place, at = floor.shop.place, time.time_ns() // 1_000_000 - 3_600_000
    add_button(place, NewButton(id="mute", single="hana", heartbeat_s=600))
    place.shadows.update("button-mute", reported={"at": at, "heard": at})
    floor.shop.close()
    floor.shop.open()  # which looks at once
    until(lambda: "button" in [each["what"] for each in floor.shop.admin()["troubles"]], "the trouble", 20)
    (line,) = [line for line in floor.doctor().wrong if "button-mute" in line]
    assert "A button is silent that says every 10 minutes that it lives. Press it once" in line


def test_a_clock_that_was_set_and_another_slack_than_here_are_wrong() -> None:
    said = {
        "signs": [],
        "troubles": [],
        "kiosks": {},
        "audited": 0,
        "clockOffMs": -3_600_000,
        "slack": "webhook",
    }
    assert [each.detail for each in faults(list(local_check.of_process(said, [], "bot")))] == [
        "This machine's clock was set by -3600 s since `staffcall run` began",
        "`staffcall run` was started with another Slack than is set here",
    ]
    well = {**said, "clockOffMs": 10, "slack": "bot"}
    assert faults(list(local_check.of_process(well, [], "bot"))) == []
    (demo,) = faults(list(local_check.of_process({**well, "slack": "simulator"}, [], "")))
    assert "nobody's phone rings" in demo.detail


def test_without_a_process_that_is_said_first_and_the_rest_is_looked_at_all_the_same(floor: Floor) -> None:
    floor.slack.users["U0SORA"]["deleted"] = True
    floor.shop.place.shadows.update("button-demo", reported={"battery": 0.25})
    floor.shop.close()
    try:
        said = floor.doctor()
    finally:
        floor.shop.open()
    assert said.status == 1
    lines = said.out.splitlines()
    assert lines[0].startswith("wrong    run       `staffcall run` is not running: nobody can be called. ")
    assert lines[1].startswith("unknown  run       Screens, timers and links cannot be seen from outside. ")
    assert [line.split()[2] for line in said.wrong[1:]] == ["button-demo:", "staff-sora:"]


def test_a_process_that_does_not_let_us_in_or_hangs_is_said(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("STAFFCALL_ADMIN_TOKEN", "another")
        said = floor.doctor()
        assert "does not let us in" in said.wrong[0]
        assert "STAFFCALL_ADMIN_TOKEN" in said.wrong[0]
    with monkeypatch.context() as patch:
        patch.setattr(checks.Roster, "of", None)  # nothing else is asked of it
        patch.setattr(here.Here, "ask", lambda _here, path, token: ASK(_here, f"{path}-of-tomorrow", token))
        assert "of another version" in floor.doctor().wrong[0]
    with monkeypatch.context() as patch:
        patch.setattr(here.Here, "ask", lambda *_: here._listens("http://127.0.0.1:9"))
        assert (
            floor.doctor().wrong[0].startswith("wrong    run       staffcall is not running at 127.0.0.1:9")
        )


def test_a_webhook_can_be_asked_nothing_and_posts_only_on_demand(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in APP:
        monkeypatch.delenv(name.upper())
    monkeypatch.setenv("SLACK_WEBHOOK_URL", floor.slack.url)
    monkeypatch.setenv("SLACK_OUTGOING_TOKEN", "token")
    before = len(floor.slack.posts)
    said = floor.doctor()
    assert any("A webhook can be asked nothing" in line and "--post" in line for line in said.unknown)
    assert len(floor.slack.posts) == before
    said = floor.doctor("--post")
    assert floor.slack.texts[before:] == ["Staff Call: a test, nobody waits"]
    assert not [line for line in [*said.unknown, *said.wrong] if line.split()[1] == "slack"]
    floor.slack.next(status=404, body="no_service")
    said = floor.doctor("--post")
    (line,) = [line for line in said.wrong if line.split()[1] == "slack"]
    assert "Slack did not take the test message: no_service" in line
    assert "make a new one, set SLACK_WEBHOOK_URL" in line
    assert floor.slack.url not in said.out


def test_a_bot_posts_the_test_message_in_its_channel(floor: Floor) -> None:
    assert floor.doctor("--post").wrong == []
    assert (floor.slack.posts[-1].text, floor.slack.posts[-1].channel) == (check.TEST_WORDS, "C0FLOOR")


def test_a_trouble_that_the_process_and_we_have_found_is_one_line() -> None:
    trouble = Trouble(
        what="kiosk", thing="booth-main", detail="No screen shows booth main any more", fix="Look."
    )
    said = {
        "signs": [],
        "troubles": [
            {
                "what": trouble.what,
                "thing": trouble.thing,
                "detail": trouble.detail,
                "fix": "Look.",
                "since": 5,
            }
        ],
        "kiosks": {},
        "audited": 1,
        "clockOffMs": 0,
        "slack": "bot",
    }
    booth = checks.Booth(id="main", title="", staff=("hana",))
    assert [each.detail for each in faults(list(local_check.of_process(said, [booth], "bot")))] == [
        trouble.detail
    ]


# --- A stack on AWS


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with a bot in its secrets, furnished; its sweep has come, and its button has pressed."""
    with FakeSlack() as slack, deployed(tmp_path_factory.mktemp("aws"), slack) as stack:
        slack.open_channel("C0FLOOR", "U0HANA")
        slack.scopes = SCOPES | {HOURS}
        bot = {"SLACK_BOT_TOKEN": BOT_TOKEN, "SLACK_CHANNEL": "C0FLOOR", "SLACK_API_URL": slack.api_url}
        for name, value in bot.items():
            stack.aws("ssm").put_parameter(Name=f"/{NAME}/{name}", Value=value, Type="SecureString")
        stack.aws("ssm").delete_parameter(Name=f"/{NAME}/SLACK_WEBHOOK_URL")
        add_staff(stack.place, NewStaff(id="hana", name="Hana", slack="U0HANA"))
        add_button(stack.place, NewButton(id="demo", single="hana"))
        stack.place.shadows.update("button-demo", reported={"at": NOW})
        yield stack


@pytest.fixture
def on_aws(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Said]:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("STAFFCALL_", "SLACK_", "AWS_"))]:
        monkeypatch.delenv(name)

    def doctor(*command: str, **key: str) -> Said:
        for name, value in {**stack.environment, **key}.items():
            monkeypatch.setenv(name, value)
        capfd.readouterr()
        status = main(["--target", "aws", *(command or ("doctor",))])
        return Said(status, *capfd.readouterr())

    return doctor


def swept(stack: Stack) -> None:
    parts = stack.aws("cloudformation").describe_stack_resource(
        StackName=NAME, LogicalResourceId="SweepFunction"
    )
    stack.aws("lambda").invoke(FunctionName=parts["StackResourceDetail"]["PhysicalResourceId"], Payload=b"{}")


def test_on_aws_all_that_can_be_seen_is_right_and_the_screens_are_left_to_you(
    stack: Stack, on_aws: Callable[..., Said]
) -> None:
    swept(stack)
    said = on_aws()
    assert (said.status, said.err, said.wrong) == (0, "", [])
    assert [line.split()[1] for line in said.unknown] == ["kiosk"]
    assert re.findall(r"^right +(\w+) +(\d+)$", said.out, re.MULTILINE) == [
        ("aws", "6"), ("route", "2"), ("button", "1"), ("settings", "1"), ("slack", "10")
    ]  # fmt: skip


def test_on_aws_slack_is_checked_and_asked_with_the_stack_s_own_token(
    stack: Stack, on_aws: Callable[..., Said]
) -> None:
    said = on_aws("slack", "check")
    assert (said.status, said.wrong) == (0, [])
    assert re.findall(r"^right +(\w+) +(\d+)$", said.out, re.MULTILINE) == [
        ("settings", "1"), ("clock", "1"), ("slack", "10")
    ]  # fmt: skip
    said = on_aws("staff", "add", "nobody", "--name", "Nobody", "--email", "nobody@example.com")
    assert "nobody in the Slack workspace has nobody@example.com" in said.err


def test_what_is_wrong_on_aws_is_one_line_with_its_fix(
    stack: Stack, on_aws: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aws_check, "SWEPT_WITHIN_MS", -60_000)
    monkeypatch.setattr(aws_check, "WAITING", -1)
    monkeypatch.setattr(aws_check, "NEEDED", frozenset({"STAFFCALL_OTHER_TOKEN"}))
    sqs = stack.aws("sqs")
    (dead,) = (url for url in sqs.list_queues()["QueueUrls"] if "DeadLetters" in url)
    sqs.send_message(QueueUrl=dead, MessageBody="{}")
    cloudwatch = stack.aws("cloudwatch")
    (alarm,) = (
        each["AlarmName"]
        for each in cloudwatch.describe_alarms()["MetricAlarms"]
        if "SweepErrors" in each["AlarmName"]
    )
    cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="it failed")
    try:
        said = on_aws()
    finally:
        sqs.purge_queue(QueueUrl=dead)
        cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="OK", StateReason="it works")
    assert said.status == 1
    for words in (
        f"The alarm {alarm} rings: it failed. Look into the log",
        "1 timer messages were given up. Look into the log",
        "timer messages are due, and nobody takes them. See in the console",
        "The secret STAFFCALL_OTHER_TOKEN is not stored. Set it",
        "The sweep did not come in the last 3 minutes. See in the console",
    ):
        assert [words in line for line in said.wrong].count(True) == 1, (words, said.out)
    assert len(said.wrong) == 5


def test_what_the_caller_may_not_look_at_is_named_and_never_claimed(
    stack: Stack, on_aws: Callable[..., Said]
) -> None:
    iam = stack.aws("iam")
    iam.create_user(UserName="reader")
    allowed = ["cloudformation:*", "cloudwatch:*", "iot:*", "sts:*"]
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": allowed, "Resource": "*"}],
    }
    iam.put_user_policy(UserName="reader", PolicyName="read", PolicyDocument=json.dumps(document))
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    said = on_aws(AWS_ACCESS_KEY_ID=key["AccessKeyId"], AWS_SECRET_ACCESS_KEY=key["SecretAccessKey"])
    assert (said.status, said.wrong) == (0, [])
    assert [line.split()[1] for line in said.unknown] == ["aws", "aws", "aws", "aws", "kiosk", "slack"]
    for action in ("sqs:GetQueueAttributes", "ssm:GetParametersByPath", "logs:FilterLogEvents"):
        assert action in " ".join(said.unknown)
    assert "right    slack" not in said.out
