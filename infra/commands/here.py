"""The running system, as a subcommand reaches it; each part is looked up on first use."""

import json
import os
import re
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
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
    from infra.aws.account import Account
    from infra.running import Running
    from infra.settings import Settings, Tokens

TIMEOUT_S: Final = 15.0
STACK: Final = re.compile(r"[a-z](-?[a-z0-9]){0,23}")  # a part of the names of buckets


class Here:
    """Where a subcommand acts: on the local place that runs, or on AWS.

    Attributes:
        target: ``local`` or ``aws``; None for what the settings say.
        stack: CloudFormation's name of what is on AWS; None for what the settings say.
        endpoint_url: where AWS's services are, if not where boto3 knows them.
    """

    def __init__(self, target: str | None = None, stack: str | None = None) -> None:
        self.target, self.stack, self.endpoint_url = target, stack, ""
        self._closing = ExitStack()

    def close(self) -> None:
        """Close what was opened."""
        self._closing.close()

    @cached_property
    def environment(self) -> dict[str, str]:
        """The environment's variables, and those of ``.env``."""
        from infra.settings import environment  # noqa: PLC0415

        return environment(os.environ)

    @cached_property
    def settings(self) -> "Settings":
        """The settings, from the environment and ``.env``."""
        from infra.settings import Settings  # noqa: PLC0415

        settings = Settings.from_env(self.environment)
        return replace(settings, target=self.target or settings.target)

    @property
    def on_aws(self) -> bool:
        """Whether the target is AWS."""
        return self.settings.target == "aws"

    @cached_property
    def running(self) -> "Running":
        """Where the local place is: as it says itself, else as the settings say."""
        from infra import running  # noqa: PLC0415

        settings = self.settings
        return running.read(settings.data) or running.Running(
            pid=0,
            data=str(settings.data),
            http=f"http://127.0.0.1:{settings.http_port}",
            kiosk=f"http://127.0.0.1:{settings.http_port}",
            aws=f"http://127.0.0.1:{settings.aws_port}",
            mqtt=f"127.0.0.1:{settings.mqtt_port}",
        )

    @cached_property
    def tokens(self) -> "Tokens":
        """The tokens that the local place takes."""
        from infra.settings import known_tokens  # noqa: PLC0415

        return known_tokens(replace(self.settings, data=Path(self.running.data)))

    @cached_property
    def account(self) -> "Account":
        """The AWS account and region.

        Raises:
            click.ClickException: boto3 finds no region, or no such profile.
        """
        from botocore.exceptions import BotoCoreError, NoRegionError  # noqa: PLC0415

        from infra.aws.account import Account  # noqa: PLC0415

        try:
            account = Account(region=self.environment.get("AWS_REGION", ""), endpoint_url=self.endpoint_url)
            _ = account.region
        except NoRegionError as error:
            raise click.ClickException(
                "AWS_REGION: expected the region to act in, such as ap-northeast-1, got nothing"
            ) from error
        except BotoCoreError as error:
            raise click.ClickException(str(error)) from error
        self._closing.callback(account.close)
        return account

    @property
    def stack_name(self) -> str:
        """The stack's name.

        Raises:
            click.ClickException: it cannot be one.
        """
        name = self.stack or self.environment.get("STAFFCALL_STACK") or "staffcall"
        if not STACK.fullmatch(name):
            raise click.ClickException(
                f"--stack: expected 1 to 24 lower-case letters, digits and single hyphens, a letter first, got {name!r}"
            )
        return name

    @cached_property
    def outputs(self) -> Mapping[str, str]:
        """Where things are on AWS, as the stack says.

        Raises:
            click.ClickException: there is no such stack.
        """
        from infra.aws.stack import find  # noqa: PLC0415

        with refusals():
            found = find(self.account.client("cloudformation"), self.stack_name)
        if found is None or not found.outputs:
            raise click.ClickException(
                f"there is no stack {self.stack_name} in {self.account.region}: make it with `staffcall aws deploy`"
            )
        return found.outputs

    @cached_property
    def place(self) -> Place:
        """Shadows and things, over boto3 in both places."""
        from shadows.aws import AwsShadows, AwsThings  # noqa: PLC0415

        iot, data = self._boto
        return Place(
            shadows=AwsShadows(data), things=AwsThings(iot), clock=lambda: time.time_ns() // 1_000_000
        )

    def publish(self, topic: str, payload: bytes) -> None:
        """Publish to a topic of MQTT, over boto3 in both places."""
        with refusals():
            self._boto[1].publish(topic=topic, qos=1, payload=payload)

    @cached_property
    def _boto(self) -> tuple[Any, Any]:
        if self.on_aws:
            return self.account.client("iot"), self.account.client("iot-data")
        _listens(self.running.aws)
        iot, data = _clients(self.running.aws)
        self._closing.callback(iot.close)
        self._closing.callback(data.close)
        return iot, data

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


def _clients(endpoint: str) -> tuple[Any, Any]:
    """Of the local place. Nobody's profile, region or proxy has a say in how this machine talks to itself."""
    import boto3  # noqa: PLC0415
    import botocore.session  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    unread = dict.fromkeys(("profile", "credentials_file", "config_file"), (None, None, None, None))
    core = botocore.session.Session(session_vars=unread)
    session = boto3.Session("local", "local", region_name="local", botocore_session=core)
    config = Config(
        retries={"mode": "standard", "max_attempts": 8}, proxies={}, connect_timeout=3, read_timeout=TIMEOUT_S
    )
    iot = session.client("iot", endpoint_url=endpoint, config=config)
    return iot, session.client("iot-data", endpoint_url=endpoint, config=config)


@contextmanager
def refusals() -> Iterator[None]:
    """What AWS refuses, and that it does not answer, as one line."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415
    from botocore.parsers import ResponseParserError  # noqa: PLC0415

    try:
        yield
    except ClientError as no:
        error = no.response["Error"]
        raise click.ClickException(
            f"AWS refuses {no.operation_name}: {error.get('Message') or error.get('Code')} ({error.get('Code')})"
        ) from no
    except ResponseParserError as no:
        raise click.ClickException(f"no answer of AWS's: is the endpoint URL right? {no}") from no
    except BotoCoreError as no:
        raise click.ClickException(str(no)) from no
