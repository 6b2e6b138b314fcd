"""Settings, the tokens kept in the data folder, and the file that says where the system runs."""

import json
import os
import stat
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from infra import running
from infra.running import Running
from infra.settings import (
    VARIABLES,
    Settings,
    SettingsError,
    environment,
    known_tokens,
    misspelt,
    tokens,
    write_private,
)

SECRETS = {name for name, (_, _, secret) in VARIABLES.items() if secret}


def complaint(**env: str) -> str:
    with pytest.raises(SettingsError) as wrong:
        Settings.from_env(env)
    return str(wrong.value)


def test_without_any_variable_everything_has_a_default_that_works() -> None:
    settings = Settings.from_env({})
    assert settings == Settings()
    assert (settings.host, settings.http_port, settings.ws_port, settings.mqtt_port, settings.aws_port) == (
        "127.0.0.1",
        8080,
        8083,
        1883,
        8090,
    )
    assert (settings.calling_s, settings.running_s, settings.quiet_s) == (180, 300, 20)
    assert (settings.lang, settings.throttle, settings.data, settings.target) == (
        "ja",
        True,
        Path("data"),
        "local",
    )


def test_every_field_has_a_variable() -> None:
    assert sorted(key for key, _, _ in VARIABLES.values()) == sorted(field.name for field in fields(Settings))


def test_what_is_set_is_taken_and_an_empty_variable_is_not_set() -> None:
    settings = Settings.from_env(
        {
            "STAFFCALL_HOST": "0.0.0.0",
            "STAFFCALL_HTTP_PORT": "0",
            "STAFFCALL_WS_URL": "wss://call.example.com/mqtt",
            "STAFFCALL_CALLING_SECONDS": "0.5",
            "STAFFCALL_QUIET_SECONDS": "0",
            "STAFFCALL_THROTTLE": "OFF",
            "STAFFCALL_LANG": " en ",
            "STAFFCALL_DATA": "/tmp/there",
            "STAFFCALL_MQTT_PORT": "",
            "SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/T0/B0/x",
            "SLACK_API_URL": "http://127.0.0.1:5000/api",
            "PATH": "/bin",
        }
    )
    assert (settings.host, settings.http_port, settings.mqtt_port) == ("0.0.0.0", 0, 1883)
    assert (settings.calling_s, settings.quiet_s, settings.throttle, settings.lang) == (0.5, 0, False, "en")
    assert settings.data == Path("/tmp/there")
    assert settings.slack_api_url == "http://127.0.0.1:5000/api/"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STAFFCALL_HTTP_PORT", "65536"),
        ("STAFFCALL_HTTP_PORT", "-1"),
        ("STAFFCALL_HTTP_PORT", "８０"),
        ("STAFFCALL_AWS_PORT", "http"),
        ("STAFFCALL_CALLING_SECONDS", "0"),
        ("STAFFCALL_CALLING_SECONDS", "nan"),
        ("STAFFCALL_RUNNING_SECONDS", "inf"),
        ("STAFFCALL_RUNNING_SECONDS", "-5"),
        ("STAFFCALL_QUIET_SECONDS", "soon"),
        ("STAFFCALL_LANG", "fr"),
        ("STAFFCALL_THROTTLE", "yes"),
        ("STAFFCALL_TARGET", "azure"),
        ("STAFFCALL_HOST", "http://x"),
        ("STAFFCALL_WS_URL", "https://x/mqtt"),
        ("STAFFCALL_WS_URL", "wss://"),
        ("STAFFCALL_WS_URL", "wss://x:99999/"),
        ("SLACK_API_URL", "slack.com"),
    ],
)
def test_a_bad_setting_is_named_with_what_may_stand_there_and_what_stood_there(name: str, value: str) -> None:
    message = complaint(**{name: value})
    assert message.startswith(f"{name}: expected ")
    assert repr(value) in message


def test_one_complaint_names_everything_that_is_wrong() -> None:
    message = complaint(
        STAFFCALL_HTTP_PORT="x",
        STAFFCALL_LANG="fr",
        STAFFCALL_MQTT_USER="u",
        SLACK_WEBHOOK_URL="hooks/secret",
    )
    assert all(
        name in message
        for name in ("STAFFCALL_HTTP_PORT", "STAFFCALL_LANG", "STAFFCALL_MQTT_PASSWORD", "SLACK_WEBHOOK_URL")
    )
    assert "\n" not in message


def test_the_mqtt_login_is_both_or_neither() -> None:
    assert "both or neither" in complaint(STAFFCALL_MQTT_PASSWORD="secret")
    settings = Settings.from_env({"STAFFCALL_MQTT_USER": "u", "STAFFCALL_MQTT_PASSWORD": "p"})
    assert (settings.mqtt_user, settings.mqtt_password) == ("u", "p")


def test_no_secret_is_shown_by_a_complaint_or_by_the_settings_themselves() -> None:
    hidden = "t0p é secret"
    for name in SECRETS:
        try:
            shown = repr(Settings.from_env({name: hidden}))
        except SettingsError as wrong:
            shown = str(wrong)
        assert hidden not in shown
    assert {
        "STAFFCALL_ADMIN_TOKEN",
        "SLACK_BOT_TOKEN",
        "SORACOM_BEAM_KEY",
        "STAFFCALL_MQTT_PASSWORD",
    } <= SECRETS


def test_a_name_that_is_nearly_one_of_ours_is_found_and_no_other_is() -> None:
    wrong = {
        "STAFFCALL_CALING_SECONDS": "STAFFCALL_CALLING_SECONDS",
        "STAFFCALL_HTTPPORT": "STAFFCALL_HTTP_PORT",
        "SLACK_CHANEL": "SLACK_CHANNEL",
    }
    others = ("STAFFCALL_SKIP", "STAFFCALL_STACK", "SLACK_CLIENT_ID", "HTTP_PORT", "AWS_REGION", "PATH", "_")
    assert dict(misspelt(dict.fromkeys([*VARIABLES, *wrong, *others], "1"))) == wrong


def test_a_dotenv_file_lies_under_the_environment(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(
        'STAFFCALL_LANG=en\nSTAFFCALL_HTTP_PORT=1\nSORACOM_BEAM_KEY="a$b${HOME}"\nEMPTY\n', "utf-8"
    )
    env = environment({"STAFFCALL_HTTP_PORT": "2"}, file)
    assert (env["STAFFCALL_LANG"], env["STAFFCALL_HTTP_PORT"], env["SORACOM_BEAM_KEY"]) == (
        "en",
        "2",
        "a$b${HOME}",
    )
    assert environment({}, tmp_path / "none") == {}


def test_a_dotenv_file_that_is_no_text_is_one_complaint(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"A=\xff\xfe")
    with pytest.raises(SettingsError, match="UTF-8"):
        environment({}, tmp_path / ".env")


# --- Tokens


def test_tokens_are_made_once_and_kept_for_the_owner_alone(tmp_path: Path) -> None:
    settings = replace(Settings(), data=tmp_path / "new" / "folder")
    made = tokens(settings)
    assert len(made.admin) >= 24
    assert made.admin != made.button
    assert tokens(settings) == made == known_tokens(settings)
    (file,) = settings.data.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert made.admin not in repr(made)


def test_a_token_that_is_set_wins_over_a_kept_one(tmp_path: Path) -> None:
    kept = tokens(replace(Settings(), data=tmp_path))
    chosen = known_tokens(replace(Settings(), data=tmp_path, admin_token="mine"))
    assert (chosen.admin, chosen.button) == ("mine", kept.button)
    nothing = tmp_path / "nothing"
    tokens(replace(Settings(), data=nothing, admin_token="a", button_token="b"))
    assert not nothing.exists()


def test_a_subcommand_makes_no_tokens(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="STAFFCALL_DATA"):
        known_tokens(replace(Settings(), data=tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"admin": "x"}', "\udcff"])
def test_a_broken_tokens_file_is_one_complaint(tmp_path: Path, content: str) -> None:
    (tmp_path / "tokens.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(SettingsError, match=r"tokens\.json: expected"):
        tokens(replace(Settings(), data=tmp_path))


def test_a_data_folder_that_cannot_be_made_is_one_complaint(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="STAFFCALL_DATA"):
        tokens(replace(Settings(), data=tmp_path / "file" / "folder"))


def test_a_private_file_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(OSError, match="No space"):
        write_private(tmp_path / "x.json", "{}")
    assert not (tmp_path / "x.json").exists()


# --- Where it runs


def here(**more: Any) -> Running:
    where = {
        "pid": os.getpid(),
        "data": "/d",
        "http": "http://127.0.0.1:1",
        "kiosk": "http://192.0.2.7:1",
        "aws": "http://127.0.0.1:2",
        "mqtt": "127.0.0.1:3",
    }
    return Running(**{**where, **more})


def test_where_it_runs_is_read_as_it_was_written_and_by_the_owner_alone(tmp_path: Path) -> None:
    running.write(tmp_path, here())
    assert running.read(tmp_path) == here()
    assert stat.S_IMODE((tmp_path / "running.json").stat().st_mode) == 0o600
    running.remove(tmp_path)
    assert running.read(tmp_path) is None
    running.remove(tmp_path)


def test_the_file_of_a_dead_process_says_nothing(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    running.write(tmp_path, here(pid=ended.pid))
    assert running.read(tmp_path) is None


def test_the_file_of_another_process_that_lives_is_not_removed(tmp_path: Path) -> None:
    running.write(tmp_path, here(pid=os.getppid()))
    running.remove(tmp_path)
    assert running.read(tmp_path) == here(pid=os.getppid())


@pytest.mark.parametrize("content", ["", "{}", "[]", "nonsense", json.dumps({"pid": "x"})])
def test_a_file_that_is_no_such_file_says_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / "running.json").write_text(content, "utf-8")
    assert running.read(tmp_path) is None


def test_a_strange_pid_says_nothing(tmp_path: Path) -> None:
    for pid in ("1", 10**30, None):
        running.write(tmp_path, here(pid=pid))
        assert running.read(tmp_path) is None
