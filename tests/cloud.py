"""The functions of a stack in this process, on moto's AWS, with a real Slack to talk to; what they call is recorded."""

import base64
import json
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any, Final
from unittest.mock import patch
from urllib.parse import urlencode

from moto import mock_aws
from samtranslator.yaml_helper import yaml_parse

from infra import lambdas
from infra.aws.place import client
from infra.aws.quiet import BRIEF
from infra.aws.tables import deliveries
from shadows.calls import Place
from shadows.registry import NewButton, NewStaff, add_button, add_staff
from tests.fake_slack import BOT_TOKEN, FakeSlack
from tests.shop import ROOT

BUTTON_TOKEN: Final = "the-button-token"
OUTGOING_TOKEN: Final = "the-outgoing-token"
SIGNING_SECRET: Final = "the-signing-secret"
LINK_KEY: Final = "the-link-key"
BEAM_KEY: Final = "the-beam-key"
IMSI: Final = "440520000000001"
REGION: Final = "ap-northeast-1"


def furnish(place: Place) -> None:
    """Hana with Sora who stands in for her, and the buttons ``demo`` and a SORACOM one."""
    add_staff(place, NewStaff(id="sora", name="Sora", slack="U0SORA"))
    add_staff(place, NewStaff(id="hana", name="Hana", slack="U0HANA", backup="sora"))
    for button in ("demo", IMSI, "G030JF0000000001"):
        add_button(place, NewButton(id=button, single="hana", double="sora"))


def context(request_id: str = "1", **custom: str) -> Any:
    """What Lambda hands over beside an event; ``custom`` is what SORACOM Funk says of the SIM."""
    sim = SimpleNamespace(custom=custom) if custom else None
    return SimpleNamespace(aws_request_id=request_id, client_context=sim)


def gateway(
    method: str, path: str, body: bytes = b"", query: dict[str, str] | None = None, **headers: str
) -> dict[str, Any]:
    """A request as API Gateway hands it over: payload format 2.0, a form in base64."""
    named = {name.replace("_", "-").lower(): value for name, value in headers.items()}
    plain = named.get("content-type", "").startswith(("application/json", "text/"))
    event = {
        "version": "2.0",
        "routeKey": f"{method} {path}",
        "rawPath": path,
        "rawQueryString": urlencode(query or {}),
        "headers": named,
        "requestContext": {"http": {"method": method, "path": path}, "stage": "$default"},
        "isBase64Encoded": bool(body) and not plain,
    }
    if query:
        event["queryStringParameters"] = query
    if body:
        event["body"] = body.decode() if plain else base64.b64encode(body).decode()
    return event


class Cloud:
    """A stack whose queue is emptied by hand.

    Attributes:
        calls: of each function the IAM actions that it called, each with the thing or the queue that it named.
    """

    def __init__(self, slack: FakeSlack) -> None:
        self.slack = slack
        self.calls: dict[str, set[tuple[str, str]]] = defaultdict(set)
        self._running = ""

    @property
    def place(self) -> Place:
        """The functions' own."""
        return lambdas.wired().button_services.place

    def run(self, function: str, event: Any, given: Any = None) -> Any:
        """Invoke a function of :mod:`infra.lambdas`."""
        if function not in self.calls:  # a cold start of its own, as on AWS
            lambdas._wired.cache_clear()
        self._running = function
        try:
            return getattr(lambdas, function)(event, given or context())
        finally:
            self._running = ""

    def queued(self) -> list[dict[str, Any]]:
        """What is in the queue, as the event that brings it; it is gone from there."""
        return self._taken(os.environ["STACK_QUEUE"])

    def outbox(self) -> list[dict[str, Any]]:
        """The same of the outbox."""
        return self._taken(os.environ["STACK_OUTBOX"])

    def alerts(self) -> list[dict[str, Any]]:
        """The same of who is to be reached by other ways."""
        return self._taken(os.environ["STACK_ALERTS"])

    def tries(self) -> list[dict[str, Any]]:
        """What is on record of each try, as `staffcall history` reads it."""
        return deliveries(client("dynamodb"), os.environ["STACK_DELIVERIES"])

    def _taken(self, url: str) -> list[dict[str, Any]]:
        sqs = client("sqs")
        taken = sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["ApproximateReceiveCount"]
        ).get("Messages", [])
        for each in taken:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
        return [
            {
                "messageId": each["MessageId"],
                "body": each["Body"],
                "receiptHandle": each["ReceiptHandle"],
                "attributes": each["Attributes"],
            }
            for each in taken
        ]

    def note(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        if self._running:
            service = model.service_model
            prefix = service.signing_name.replace("iotdata", "iot")
            named = re.search(r"/things/([^/]+)", params.get("url_path", ""))
            on = named[1] if named else ""
            if prefix == "sqs":
                on = json.loads(params["body"])["QueueUrl"].rpartition("/")[2].removesuffix(".fifo")
            if prefix == "dynamodb":
                on = json.loads(params["body"])["TableName"]
            self.calls[self._running].add((f"{prefix}:{model.name}", on))


# Of a stack that asks who wants not to be disturbed.
ASKS_QUIET: Final = {"STACK_QUIET": "QuietTable", "STAFFCALL_SLACK_QUIET": "dnd :palm_tree:"}


@contextmanager
def cloud(slack: FakeSlack, **secrets: str) -> Iterator[Cloud]:
    """A furnished stack; ``secrets`` are added to the usual ones, or replace them."""
    with ExitStack() as stack:
        stack.enter_context(patch.dict(os.environ, {"AWS_DEFAULT_REGION": REGION}))
        stack.enter_context(mock_aws())
        stack.enter_context(patch.dict(os.environ, _environment(slack)))
        _store({**_secrets(slack), **secrets})
        lambdas._wired.cache_clear()
        here = Cloud(slack)
        for kind in ("staff", "button", "booth"):
            client("iot").create_thing_type(thingTypeName=kind)
        furnish(here.place)
        clients = [client(service) for service in ("iot", "iot-data", "sqs", "ssm", "dynamodb")]
        for each in (*clients, client("dynamodb", BRIEF)):
            each.meta.events.register("before-call", here.note)
            stack.callback(each.meta.events.unregister, "before-call", here.note)
        lambdas._wired.cache_clear()
        yield here


def tables_on_aws(dynamo: Any, **names: str) -> None:
    """Make tables as the template has them, under other names."""
    resources = yaml_parse((ROOT / "infra" / "template.yaml").read_text("utf-8"))["Resources"]
    for table, name in names.items():
        made = resources[table]["Properties"]
        given = {each: made[each] for each in ("BillingMode", "AttributeDefinitions", "KeySchema")}
        dynamo.create_table(TableName=name, **given)


def _environment(slack: FakeSlack) -> dict[str, str]:
    queue = client("sqs").create_queue(QueueName="TimerQueue")["QueueUrl"]
    outbox = client("sqs").create_queue(QueueName="Outbox")["QueueUrl"]
    alerts = client("sqs").create_queue(QueueName="AlertQueue.fifo", Attributes={"FifoQueue": "true"})[
        "QueueUrl"
    ]
    tables_on_aws(
        client("dynamodb"),
        UnknownTable="UnknownTable",
        DeliveryTable="DeliveryTable",
        QuietTable="QuietTable",
    )
    return {
        "STAFFCALL_CALLING_SECONDS": "0.5",
        "STAFFCALL_RUNNING_SECONDS": "0.5",
        "STAFFCALL_QUIET_SECONDS": "20",
        "STAFFCALL_LANG": "en",
        "SLACK_CHANNEL": "C0FLOOR",
        "SLACK_API_URL": slack.api_url,
        "STACK_SECRETS": "/staffcall/",
        "STACK_QUEUE": queue,
        "STACK_OUTBOX": outbox,
        "STACK_ALERTS": alerts,
        "STAFFCALL_PUBLIC_URL": "https://the-api.example",
        "STACK_UNKNOWN": "UnknownTable",
        "STACK_DELIVERIES": "DeliveryTable",
        "STACK_QUIET": "",
        "STAFFCALL_ACTIONS": "",
    }


def _secrets(slack: FakeSlack) -> dict[str, str]:
    return {
        "STAFFCALL_BUTTON_TOKEN": BUTTON_TOKEN,
        "SORACOM_BEAM_KEY": BEAM_KEY,
        "LINK_KEY": LINK_KEY,
        "SLACK_BOT_TOKEN": BOT_TOKEN,
        "SLACK_OUTGOING_TOKEN": OUTGOING_TOKEN,
        "SLACK_SIGNING_SECRET": SIGNING_SECRET,
        "SLACK_WEBHOOK_URL": slack.url,
    }


def _store(secrets: dict[str, str]) -> None:
    for name, value in secrets.items():
        client("ssm").put_parameter(Name=f"/staffcall/{name}", Value=value, Type="SecureString")
