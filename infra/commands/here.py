"""The running system, as a subcommand reaches it; each part is looked up on first use."""

import json
import os
import socket
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

import click

from shadows.calls import Place
from shadows.errors import Rejected
from shadows.shadow import JsonObject

if TYPE_CHECKING:
    from infra.running import Running
    from infra.settings import Settings, Tokens

TIMEOUT_S: Final = 15.0
PATIENT: Final[Any] = {"mode": "standard", "max_attempts": 8}


class Here:
    """Where a subcommand acts: on the local place that runs, or on AWS.

    Args:
        target: ``local`` or ``aws``; None for what the settings say.
    """

    def __init__(self, target: str | None) -> None:
        self._target = target
        self._closing = ExitStack()

    def close(self) -> None:
        """Close what was opened."""
        self._closing.close()

    @cached_property
    def settings(self) -> "Settings":
        """The settings, from the environment and ``.env``."""
        from infra.settings import Settings, environment  # noqa: PLC0415

        settings = Settings.from_env(environment(os.environ))
        return replace(settings, target=self._target or settings.target)

    @cached_property
    def running(self) -> "Running":
        """Where the local place is: as it says itself, else as the settings say."""
        from infra import running  # noqa: PLC0415

        settings = self.settings
        return running.read(settings.data) or running.Running(
            pid=0,
            data=str(settings.data),
            http=f"http://127.0.0.1:{settings.http_port}",
            aws=f"http://127.0.0.1:{settings.aws_port}",
            mqtt=f"127.0.0.1:{settings.mqtt_port}",
        )

    @cached_property
    def tokens(self) -> "Tokens":
        """The tokens that the local place takes."""
        from infra.settings import known_tokens  # noqa: PLC0415

        return known_tokens(replace(self.settings, data=Path(self.running.data)))

    @cached_property
    def place(self) -> Place:
        """Shadows and things, over boto3 in both places."""
        from shadows.aws import AwsShadows, AwsThings  # noqa: PLC0415

        if self.settings.target == "local":
            _listens(self.running.aws)
        iot, data = _clients(None if self.settings.target == "aws" else self.running.aws)
        self._closing.callback(iot.close)
        self._closing.callback(data.close)
        return Place(
            shadows=AwsShadows(data), things=AwsThings(iot), clock=lambda: time.time_ns() // 1_000_000
        )

    def local_only(self, command: str) -> None:
        """Refuse a command that needs the local place.

        Raises:
            click.ClickException: the target is another one.
        """
        if self.settings.target != "local":
            raise click.ClickException(f"{command} works with --target local only")

    def ask(self, path: str, token: Literal["admin", "button"], body: JsonObject | None = None) -> JsonObject:
        """Ask one of the local HTTP doors, with one of the tokens: POST with a body, else GET.

        Raises:
            Rejected: the door refused; its own code and message.
            click.ClickException: nothing listens.
        """
        _listens(self.running.http)
        request = urllib.request.Request(  # noqa: S310 - the address is our own
            f"{self.running.http}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {getattr(self.tokens, token)}",
                "Content-Type": "application/json",
            },
        )
        try:
            with _DIRECT.open(request, timeout=TIMEOUT_S) as answer:
                return _object(answer.read())
        except urllib.error.HTTPError as no:
            with no:
                said = _object(no.read())
            raise Rejected(no.code, str(said.get("message", no.reason))) from None
        except OSError as error:
            raise click.ClickException(f"no answer from {self.running.http}: {error}") from error


# The way to this very machine never leads through a proxy.
_DIRECT: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _object(body: bytes) -> JsonObject:
    try:
        read = json.loads(body)
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


def _listens(address: str) -> None:
    """See at once whether anything listens, before boto3 tries again and again."""
    parts = urlsplit(address)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 80), timeout=2).close()
    except OSError:
        raise click.ClickException(
            f"staffcall is not running at {parts.netloc}: start it with `staffcall run`"
        ) from None


def _clients(endpoint: str | None) -> tuple[Any, Any]:
    import boto3  # noqa: PLC0415
    import botocore.session  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415

    try:
        if endpoint is None:
            session, config = boto3.Session(), Config(retries=PATIENT)
        else:
            # Nobody's profile, region or proxy has a say in how this machine talks to itself.
            unread = dict.fromkeys(("profile", "credentials_file", "config_file"), (None, None, None, None))
            core = botocore.session.Session(session_vars=unread)
            session = boto3.Session("local", "local", region_name="local", botocore_session=core)
            config = Config(retries=PATIENT, proxies={}, connect_timeout=3, read_timeout=TIMEOUT_S)
        iot = session.client("iot", endpoint_url=endpoint, config=config)
        return iot, session.client("iot-data", endpoint_url=endpoint, config=config)
    except BotoCoreError as error:  # no region, no such profile
        raise click.ClickException(str(error)) from error
