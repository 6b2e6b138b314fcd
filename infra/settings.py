"""Settings: environment variables, read and checked once. Nothing else looks at the environment."""

import base64
import json
import math
import os
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

from dotenv import dotenv_values

from shadows.actions import Allowed, Kind
from shadows.calls import Timing
from shadows.errors import Rejected

HOST: Final = re.compile(r"[A-Za-z0-9._:%-]{1,255}")
TOKENS_FILE: Final = "tokens.json"
LIMITS: Final = (
    "document-size",
    "document-depth",
    "names",
    "client-token",
    "requests",
    "in-flight",
    "unacknowledged",
    "payload",
    "topics",
    "filters",
    "subscriptions",
    "qos-2",
    "rates",
)
ALIKE: Final = 0.75  # of the letters of two names: the one is a slip for the other
SHORT: Final = 16  # characters: a secret with fewer can be guessed


class SettingsError(Exception):
    """What is wrong with the settings, in words for whoever set them; never a secret's value."""


class _Wrong(Exception):  # noqa: N818 - the word in the complaint
    """One value is wrong; the first argument says what may stand there, the second what of a secret may be shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set, with defaults that work.

    Attributes:
        ws_url: where kiosks find MQTT; "" for the page's own host with ``ws_port``.
        mqtt_url: an external broker; "" for the embedded gateway.
        mqtt_user, mqtt_password: the login of MQTT over TCP, both or neither; without it that port is loopback only.
        throttle: False switches ``requests``, ``in-flight`` and ``rates`` off, and lets a button press as fast as it can.
        limits_off: those of AWS's limits, by their names in ``LIMITS``, that the local place does not keep.
        mqtt_tls: the folder of that port's certificates and policies; None for no TLS.
        calling_s, running_s, quiet_s, remind_s, alert_s: seconds; fractions count.
        alerts: by which other ways people are reached, in order: apprise's URLs.
        public_url: where others find this place, without a final slash; "" for no links.
        webhook_urls, webhook_secret: who is told of each transition, and what that is signed with; the secret alone is
            of use where buttons start webhooks.
        actions: what buttons may start.
        slack_quiet: what of Slack counts as not to be disturbed: ``dnd``, and emoji of a status.
        admin_token, button_token: "" if they are to be made; :func:`tokens` has them in the end.
        target: where the subcommands act: ``local`` or ``aws``.
    """

    host: str = "127.0.0.1"
    http_port: int = 8080
    ws_port: int = 8083
    ws_url: str = ""
    mqtt_port: int = 1883
    aws_port: int = 8090
    mqtt_url: str = field(default="", repr=False)
    mqtt_user: str = ""
    mqtt_password: str = field(default="", repr=False)
    mqtt_tls: Path | None = None
    throttle: bool = True
    limits_off: frozenset[str] = frozenset()
    data: Path = Path("data")
    calling_s: float = 180.0
    running_s: float = 300.0
    quiet_s: float = 20.0
    remind_s: float = 60.0
    alerts: tuple[str, ...] = field(default=(), repr=False)
    alert_s: float = 60.0
    public_url: str = ""
    history_days: int = 400
    lang: str = "ja"
    target: str = "local"
    admin_token: str = field(default="", repr=False)
    button_token: str = field(default="", repr=False)
    webhook_urls: tuple[str, ...] = field(default=(), repr=False)
    webhook_secret: str = field(default="", repr=False)
    actions: Allowed = field(default_factory=Allowed)
    twilio_api_url: str = ""
    slack_webhook_url: str = field(default="", repr=False)
    slack_outgoing_token: str = field(default="", repr=False)
    slack_bot_token: str = field(default="", repr=False)
    slack_app_token: str = field(default="", repr=False)
    slack_signing_secret: str = field(default="", repr=False)
    slack_channel: str = ""
    slack_api_url: str = ""
    slack_quiet: tuple[str, ...] = ()
    soracom_beam_key: str = field(default="", repr=False)

    @property
    def devices_host(self) -> str:
        """Where MQTT over TCP listens: whoever comes may do anything, unless it is known who comes."""
        return self.host if self.mqtt_user or self.mqtt_tls else "127.0.0.1"

    @property
    def timing(self) -> Timing:
        """How long states last."""
        return Timing(
            calling_s=self.calling_s, running_s=self.running_s, quiet_s=self.quiet_s, remind_s=self.remind_s
        )

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Read the variables of ``env``; an empty one counts as not set.

        Raises:
            SettingsError: one message that names every variable that is wrong.
        """
        complaints: list[str] = []
        read: dict[str, Any] = {}
        for name, (key, parse, secret) in VARIABLES.items():
            value = env.get(name, "").strip()
            if not value:
                continue
            try:
                read[key] = parse(value)
            except _Wrong as wrong:
                expected, *shown = wrong.args
                got = repr(value) if not secret else shown[0] if shown else "something else"
                complaints.append(f"{name}: expected {expected}, got {got}")
        if bool(read.get("mqtt_user")) != bool(read.get("mqtt_password")):
            complaints.append(
                "STAFFCALL_MQTT_USER, STAFFCALL_MQTT_PASSWORD: expected both or neither, got one"
            )
        pair = ("STAFFCALL_WEBHOOK_URL", "STAFFCALL_WEBHOOK_SECRET")
        there = [name for name in pair if env.get(name, "").strip()]
        named = read.get("actions", Allowed())
        starts_some = not named.each or named.of(Kind.WEBHOOK)
        if len(there) == 1 and not (starts_some and pair[1] in there):
            complaints.append(f"{', '.join(pair)}: expected both or neither, got one")
        if complaints:
            raise SettingsError("; ".join(complaints))
        return cls(**read)


def misspelt(env: Mapping[str, str]) -> list[tuple[str, str]]:
    """Variables that are set and mean nothing to us, each with the one of ours that was probably meant."""
    found = []
    for name in sorted(set(env) - set(VARIABLES)):
        prefix, _, rest = name.partition("_")
        ours = {each.removeprefix(f"{prefix}_"): each for each in VARIABLES if each.startswith(f"{prefix}_")}
        found += [(name, ours[close]) for close in get_close_matches(rest, ours, 1, ALIKE)]
    return found


def environment(env: Mapping[str, str], file: Path = Path(".env")) -> dict[str, str]:
    """The environment laid over a ``.env`` file, if there is one.

    Raises:
        SettingsError: the file cannot be read.
    """
    try:
        written = dotenv_values(file, interpolate=False)  # a secret may hold a "$"
    except (OSError, UnicodeError) as error:
        raise SettingsError(f"{file}: expected a readable UTF-8 file, got {error}") from error
    return {name: value for name, value in written.items() if value is not None} | dict(env)


def _port(value: str) -> int:
    if not (value.isascii() and value.isdecimal() and len(value) <= 5 and int(value) <= 65535):
        raise _Wrong("a port number from 0 (any free one) to 65535")
    return int(value)


def _seconds(least: str) -> Callable[[str], float]:
    def parse(value: str) -> float:
        try:
            seconds = float(value)
        except ValueError:
            seconds = math.nan
        # Longer than a year is a slip, and more than a timer can hold.
        if not (0 <= seconds <= 31_536_000) or (least == "more than 0" and seconds == 0):
            raise _Wrong(f"seconds, {least}, such as 20 or 0.5")
        return seconds

    return parse


def _days(value: str) -> int:
    if not (value.isascii() and value.isdecimal() and len(value) <= 4 and 1 <= int(value) <= 3650):
        raise _Wrong("a whole number of days from 1 to 3650")
    return int(value)


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value.lower() not in words:
            raise _Wrong(" or ".join(words))
        return value.lower()

    return parse


def _limits(value: str) -> frozenset[str]:
    named = frozenset(name.strip() for name in value.lower().split(","))
    if not named <= set(LIMITS):
        raise _Wrong(f"some of {', '.join(LIMITS)}, with commas between them")
    return named


def _switch(value: str) -> bool:
    return _one_of("on", "off")(value) == "on"


def _url(*schemes: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        expected = _Wrong(f"a URL that begins with {' or '.join(f'{scheme}://' for scheme in schemes)}")
        try:
            parts = urlsplit(value)
            named = parts.hostname and (parts.port is None or parts.port > 0)
        except ValueError:
            raise expected from None
        if parts.scheme not in schemes or not named or any(c.isspace() for c in value):
            raise expected
        return value

    return parse


def _addresses(value: str) -> tuple[str, ...]:
    named = tuple(dict.fromkeys(re.split(r"[\s,]+", value.strip(", \t\r\n"))))
    for n, address in enumerate(named, 1):
        try:
            _url("https", "http")(_token(address))
        except _Wrong:
            which = f" as number {n}" if len(named) > 1 else ""
            raise _Wrong(
                "URLs that begin with https:// or http://, with spaces or commas between them",
                f"{_showable(address)}{which}",
            ) from None
    return named


def _ways(value: str) -> tuple[str, ...]:
    return tuple(
        value.split()
    )  # whoever sends by them says what is wrong: a list of all is as long as a library


def _actions(value: str) -> Allowed:
    try:
        return Allowed.read(value)
    except Rejected as no:
        raise _Wrong(
            f"such as lambda:NAME, webhook:HOST and topic:a/#, with commas between them ({no})"
        ) from None


def _quiet(value: str) -> tuple[str, ...]:
    named = tuple(dict.fromkeys(filter(None, re.split(r"[\s,]+", value.lower()))))
    if not all(each == "dnd" or re.fullmatch(r":[a-z0-9_+'-]{1,100}:", each) for each in named):
        raise _Wrong("dnd, and emoji such as :palm_tree:, with commas between them")
    return named


def _base(value: str) -> str:
    url = _url("https", "http")(value)
    if any(mark in url for mark in "?#@"):
        raise _Wrong("a URL that begins with https:// or http://, without ?, # and @")
    return url.rstrip("/")


def _showable(address: str) -> str:
    """What may be shown of a URL that is wrong: not its path, its query, or who logs in."""
    scheme, _, rest = address.partition("://")
    host = re.split(r"[/?#]", rest)[0]
    hidden = (
        not HOST.fullmatch(host) or not re.fullmatch(r"[a-zA-Z][a-zA-Z0-9+.-]{0,15}", scheme) or "@" in rest
    )
    return "something else" if hidden else f"{scheme}://{host}/…"


def _webhook_secret(value: str) -> str:
    expected = "whsec_ and 24 to 64 random bytes in base64 (`openssl rand -base64 32` makes some)"
    if not value.startswith("whsec_"):
        raise _Wrong(expected, "something without whsec_")
    try:
        length = len(base64.b64decode(value.removeprefix("whsec_"), validate=True))
    except ValueError:
        raise _Wrong(expected, "whsec_ and no base64") from None
    if not 24 <= length <= 64:
        raise _Wrong(expected, f"whsec_ and {length} bytes")
    return value


def _host(value: str) -> str:
    if not HOST.fullmatch(value):
        raise _Wrong("an address such as 127.0.0.1 or 0.0.0.0")
    return value


def _token(value: str) -> str:
    if not all("!" <= c <= "~" for c in value):  # a header can carry no other
        raise _Wrong("ASCII characters without spaces")
    return value


def _slack_api(value: str) -> str:
    _url("https", "http")(value)
    return value if value.endswith("/") else f"{value}/"  # slack_sdk joins the method's name to it


# variable: (field, how it is read, whether its value is a secret)
VARIABLES: Final[Mapping[str, tuple[str, Callable[[str], Any], bool]]] = {
    "STAFFCALL_HOST": ("host", _host, False),
    "STAFFCALL_HTTP_PORT": ("http_port", _port, False),
    "STAFFCALL_WS_PORT": ("ws_port", _port, False),
    "STAFFCALL_WS_URL": ("ws_url", _url("ws", "wss"), False),
    "STAFFCALL_MQTT_PORT": ("mqtt_port", _port, False),
    "STAFFCALL_AWS_PORT": ("aws_port", _port, False),
    "STAFFCALL_MQTT_URL": ("mqtt_url", _url("mqtt", "mqtts"), True),
    "STAFFCALL_MQTT_USER": ("mqtt_user", str, False),
    "STAFFCALL_MQTT_PASSWORD": ("mqtt_password", str, True),
    "STAFFCALL_MQTT_TLS": ("mqtt_tls", Path, False),
    "STAFFCALL_THROTTLE": ("throttle", _switch, False),
    "STAFFCALL_LIMITS_OFF": ("limits_off", _limits, False),
    "STAFFCALL_DATA": ("data", Path, False),
    "STAFFCALL_CALLING_SECONDS": ("calling_s", _seconds("more than 0"), False),
    "STAFFCALL_RUNNING_SECONDS": ("running_s", _seconds("more than 0"), False),
    "STAFFCALL_QUIET_SECONDS": ("quiet_s", _seconds("0 or more"), False),
    "STAFFCALL_REMIND_SECONDS": ("remind_s", _seconds("0 or more"), False),
    "STAFFCALL_ALERTS": ("alerts", _ways, True),
    "STAFFCALL_ALERT_SECONDS": ("alert_s", _seconds("more than 0"), False),
    "STAFFCALL_PUBLIC_URL": ("public_url", _base, False),
    "STAFFCALL_HISTORY_DAYS": ("history_days", _days, False),
    "STAFFCALL_LANG": ("lang", _one_of("ja", "en"), False),
    "STAFFCALL_TARGET": ("target", _one_of("local", "aws"), False),
    "STAFFCALL_ADMIN_TOKEN": ("admin_token", _token, True),
    "STAFFCALL_BUTTON_TOKEN": ("button_token", _token, True),
    "STAFFCALL_WEBHOOK_URL": ("webhook_urls", _addresses, True),
    "STAFFCALL_WEBHOOK_SECRET": ("webhook_secret", _webhook_secret, True),
    "STAFFCALL_ACTIONS": ("actions", _actions, False),
    "SLACK_WEBHOOK_URL": ("slack_webhook_url", _url("https", "http"), True),
    "SLACK_OUTGOING_TOKEN": ("slack_outgoing_token", str, True),
    "SLACK_BOT_TOKEN": ("slack_bot_token", str, True),
    "SLACK_APP_TOKEN": ("slack_app_token", str, True),
    "SLACK_SIGNING_SECRET": ("slack_signing_secret", str, True),
    "SLACK_CHANNEL": ("slack_channel", str, False),
    "SLACK_API_URL": ("slack_api_url", _slack_api, False),
    "STAFFCALL_SLACK_QUIET": ("slack_quiet", _quiet, False),
    "TWILIO_API_URL": ("twilio_api_url", _base, False),
    "SORACOM_BEAM_KEY": ("soracom_beam_key", str, True),
}


def guessable(settings: Settings) -> list[str]:
    """The variables of those of our own secrets that somebody chose too short."""
    ours = {
        "STAFFCALL_ADMIN_TOKEN": settings.admin_token,
        "STAFFCALL_BUTTON_TOKEN": settings.button_token,
        "STAFFCALL_MQTT_PASSWORD": settings.mqtt_password,
    }
    return [variable for variable, secret in ours.items() if 0 < len(secret) < SHORT]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What opens ``/admin`` and the button doors, and what the links of alerts are signed with."""

    admin: str = field(repr=False)
    button: str = field(repr=False)
    link: str = field(default="", repr=False)


def tokens(settings: Settings) -> Tokens:
    """The tokens that are set, or else those kept in the data folder; what is missing is made, and kept.

    Raises:
        SettingsError: the data folder cannot be read or written.
    """
    if settings.admin_token and settings.button_token and not settings.public_url:
        return _chosen(settings, {})
    kept = _kept(settings.data)
    made = {name: kept.get(name) or secrets.token_urlsafe(24) for name in ("admin", "button", "link")}
    if made != kept:
        _keep(settings.data, made)
    return _chosen(settings, made)


def known_tokens(settings: Settings) -> Tokens:
    """The same for a subcommand, which makes none: nobody would know them.

    Raises:
        SettingsError: the data folder has none.
    """
    kept = _kept(settings.data)
    chosen = _chosen(settings, kept)
    if not (chosen.admin and chosen.button):
        raise SettingsError(
            f"STAFFCALL_DATA: expected the data folder of `staffcall run`, got {settings.data}, which has no "
            f"{TOKENS_FILE}; set STAFFCALL_ADMIN_TOKEN and STAFFCALL_BUTTON_TOKEN, or the right folder"
        )
    return chosen


def _chosen(settings: Settings, kept: Mapping[str, str]) -> Tokens:
    return Tokens(
        admin=settings.admin_token or kept.get("admin", ""),
        button=settings.button_token or kept.get("button", ""),
        link=kept.get("link", ""),
    )


def _kept(folder: Path) -> dict[str, str]:
    file = folder / TOKENS_FILE
    try:
        read = json.loads(file.read_text("utf-8"))
        earlier = {"link": ""}  # there was none once
        return {name: str((earlier | read)[name]) for name in ("admin", "button", "link")}
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _unusable(folder, error) from error
    except (ValueError, KeyError, TypeError) as error:
        raise SettingsError(
            f"{file}: expected the tokens, got {type(error).__name__}; remove it to have new ones"
        ) from None


def _keep(folder: Path, made: Mapping[str, str]) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(folder / TOKENS_FILE, json.dumps(made))
    except OSError as error:
        raise _unusable(folder, error) from error


def _unusable(folder: Path, error: OSError) -> SettingsError:
    return SettingsError(
        f"STAFFCALL_DATA: expected a folder to read and write in, got {folder} ({error.strerror})"
    )


def write_private(file: Path, text: str) -> None:
    """Write a whole file or nothing of it, readable by its owner alone.

    Raises:
        OSError: it cannot be written.
    """
    half = file.with_name(f".{file.name}.{os.getpid()}")
    half.unlink(missing_ok=True)
    with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    half.replace(file)
