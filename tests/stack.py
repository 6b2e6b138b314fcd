"""The place on AWS, as MiniStack plays it with IAM enforced: deployed by our own command."""

import os
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import paho.mqtt.client as paho
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from infra.aws.account import Account
from infra.aws.deploy import Wish, deploy
from infra.aws.tables import history
from tests.fake_slack import FakeSlack
from tests.fake_twilio import URL, FakeTwilio
from tests.https import Https
from tests.ministack import REGION, ROOT_KEY, Ministack
from tests.receiver import SECRET, Receiver
from tests.shop import (
    BEAM_KEY,
    BUTTON_TOKEN,
    OUTGOING_TOKEN,
    SIGNING_SECRET,
    TIMES,
    Venue,
    published,
    request,
)

NAME = "floor-2"


class Stack(Venue):
    """A deployed stack.

    Attributes:
        outputs: what deploying it said.
        others: another program, which is told of each transition.
        twilio: has an SMS sent to who has a number and does not answer.
    """

    target = "aws"

    def __init__(
        self, ministack: Ministack, https: Https, slack: FakeSlack, others: Receiver, twilio: FakeTwilio
    ) -> None:
        self.ministack, self.slack, self.others, self.twilio = ministack, slack, others, twilio
        self.chromium = https.chromium
        wish = Wish(
            stack=NAME,
            parameters={
                "CallingSeconds": f"{TIMES['calling_s']:.0f}",
                "RunningSeconds": f"{TIMES['running_s']:.0f}",
                "QuietSeconds": f"{TIMES['quiet_s']:.0f}",
                "AlertSeconds": "1",
                "SlackQuiet": "dnd",
                "TwilioApiUrl": twilio.url,
                "Lang": "en",
            },
            secrets={
                "SLACK_WEBHOOK_URL": slack.url,
                "SLACK_OUTGOING_TOKEN": OUTGOING_TOKEN,
                "SLACK_SIGNING_SECRET": SIGNING_SECRET,
                "SORACOM_BEAM_KEY": BEAM_KEY,
                "STAFFCALL_BUTTON_TOKEN": BUTTON_TOKEN,
                "STAFFCALL_ALERTS": URL,
                "STAFFCALL_WEBHOOK_URL": others.url(),
                "STAFFCALL_WEBHOOK_SECRET": SECRET,
            },
        )
        with patch.dict(os.environ, self.environment):
            account = Account()
            try:
                self.outputs = deploy(account, wish, lambda _: None).outputs
            finally:
                account.close()
        ministack.let_functions_read_secrets(NAME)

    @property
    def environment(self) -> dict[str, str]:
        aws = {name: value for name, value in self.ministack.environment.items() if name.startswith("AWS_")}
        return {**aws, "STAFFCALL_STACK": NAME}

    @property
    def kiosk(self) -> str:
        return self.outputs["KioskUrl"]

    def aws(self, service: str) -> Any:
        return self.ministack.client(service)

    def ask(self, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
        host = urlsplit(self.outputs["ButtonUrl"]).netloc
        return request(f"{self.ministack.url}{path}", body, **headers, Host=host)

    def publish(self, topic: str, payload: bytes) -> None:
        published(self.device("device", ROOT_KEY), urlsplit(self.ministack.url).netloc, topic, payload)

    def device(self, client_id: str, key: Mapping[str, str]) -> paho.Client:
        """A client that will come by WebSocket, as the one whose key it is."""
        host = self.aws("iot").describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"]
        device = paho.Client(
            paho.CallbackAPIVersion.VERSION2,
            client_id=client_id,
            transport="websockets",
            protocol=paho.MQTTv311,
            reconnect_on_failure=False,  # who is refused stays out, and keeps nobody waiting
        )
        device.ws_set_options(path=presigned(host, key), headers={"Host": host})
        return device

    def history(self) -> list[dict[str, Any]]:
        return history(self.aws("dynamodb"), self.outputs["HistoryTable"])


@contextmanager
def deployed(folder: Path, slack: FakeSlack) -> Iterator[Stack]:
    """A stack of its own, on a MiniStack of its own; ``folder`` is for what that writes."""
    with (
        Receiver() as others,
        FakeTwilio() as twilio,
        Ministack(folder) as ministack,
        Https(folder, ministack.port) as https,
    ):
        yield Stack(ministack, https, slack, others, twilio)


def presigned(host: str, key: Mapping[str, str]) -> str:
    """Path and query of the WebSocket, as AWS IoT wants them: the token is no part of what is signed."""
    asked = AWSRequest(method="GET", url=f"https://{host}/mqtt", data=b"")
    signer = Credentials(key["aws_access_key_id"], key["aws_secret_access_key"])
    SigV4QueryAuth(signer, "iotdevicegateway", REGION).add_auth(asked)
    path = f"/mqtt?{urlsplit(str(asked.url)).query}"
    token = key.get("aws_session_token")
    return f"{path}&X-Amz-Security-Token={urllib.parse.quote(token, safe='')}" if token else path
