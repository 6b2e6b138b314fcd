"""MiniStack, a stand-in for AWS: a process of its own, from its own virtual environment, with IAM enforced.

``make .venv-ministack`` makes that environment; ``STAFFCALL_MINISTACK`` names another one.
"""

import json
import os
import signal
import socket
import subprocess
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

import boto3
from botocore.config import Config

from tests.shop import ROOT, until

HOME: Final = Path(os.environ.get("STAFFCALL_MINISTACK") or ROOT / ".venv-ministack")
REGION: Final = "ap-northeast-1"
ROOT_KEY: Final = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}


class Ministack:
    """Runs on a free port of 127.0.0.1, from ``with`` to its end.

    Attributes:
        url: of every service.
        port: of that.
        pid: of its process.
    """

    def __init__(self, folder: Path, **settings: str) -> None:
        """``folder`` is for what it writes: its log, and the functions' code; ``settings`` of its own go over ours."""
        self._folder, self._over = folder, settings
        self._clients: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = (self._folder / "ministack.log").open("w+")
        self._process = subprocess.Popen(
            [str(HOME / "bin" / "ministack")],
            cwd=self._folder,
            env=self.environment | _settings(self.port, self._folder) | self._over,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that no function's process outlives it
        )
        self.pid = self._process.pid
        until(self._is_up, "the start of MiniStack", 30)
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._clients.values():
            each.close()
        self._process.terminate()
        try:
            self._process.wait(10)
        finally:
            _kill_group(self._process.pid)
            self._process.wait(10)
            self._log.close()

    @property
    def environment(self) -> dict[str, str]:
        """What a command needs to take this for AWS."""
        return {
            "PATH": f"{HOME / 'bin'}:{os.environ['PATH']}",
            "HOME": str(self._folder),
            "AWS_ACCESS_KEY_ID": ROOT_KEY["aws_access_key_id"],
            "AWS_SECRET_ACCESS_KEY": ROOT_KEY["aws_secret_access_key"],
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": self.url,
        }

    @property
    def log(self) -> str:
        """What it said so far."""
        return (self._folder / "ministack.log").read_text()

    def client(self, service: str, **key: str) -> Any:
        """A client with the account's own rights, or with those of ``key``."""
        config = Config(
            retries={"total_max_attempts": 1},
            connect_timeout=5,
            read_timeout=30,
            s3={"addressing_style": "path"},
        )
        name = service + str(sorted(key.items()))
        if name not in self._clients:
            self._clients[name] = boto3.client(
                service, endpoint_url=self.url, region_name=REGION, config=config, **(key or ROOT_KEY)
            )
        return self._clients[name]

    def let_functions_read_secrets(self, stack: str) -> None:
        """Bridge a gap: of a request for the parameters below a path, this version does not see the path."""
        iam, allowed = (
            self.client("iam"),
            {"Effect": "Allow", "Action": "ssm:GetParametersByPath", "Resource": "*"},
        )
        pages = self.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack)
        parts = [part for page in pages for part in page["StackResourceSummaries"]]
        for part in parts:
            if part["LogicalResourceId"] in (
                "ButtonRole",
                "SlackRole",
                "TimerRole",
                "SweepRole",
                "WebhookRole",
                "AlertRole",
                "AnswerRole",
                "QuietRole",
            ):
                iam.put_role_policy(
                    RoleName=part["PhysicalResourceId"],
                    PolicyName="bridge",
                    PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}),
                )

    def _is_up(self) -> bool:
        assert self._process.poll() is None, self.log
        try:
            with urllib.request.urlopen(f"{self.url}/_ministack/health", timeout=5) as answer:
                return bool(json.load(answer))
        except OSError:
            return False


def _settings(port: int, folder: Path) -> dict[str, str]:
    return {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_REGION": REGION,
        "AUTH": "true",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LAMBDA_EXECUTOR": "local",
        "TMPDIR": str(folder),
        "STATE_DIR": str(folder / "state"),
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _kill_group(leader: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)
