"""The story on AWS, as MiniStack plays it with IAM enforced: deployed by our own command, pressed at every door."""

import io
import json
import queue
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import paho.mqtt.client as paho
import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from infra.aws import package
from infra.aws.account import Account
from infra.aws.deploy import Wish, deploy
from infra.aws.tables import UnknownButtons, history
from shadows.aws import AwsShadows, AwsThings
from shadows.calls import Place
from shadows.registry import NewButton, NewStaff, add_button, add_staff, answer
from shadows.staff import CallEvent
from tests.fake_slack import FakeSlack
from tests.ministack import REGION, Ministack
from tests.shop import fetch, until

PAYLOADS = Path(__file__).parent / "payloads"
BUTTON_TOKEN, OUTGOING_TOKEN = "the-button-token", "the-outgoing-token"
IMSI = "440520000000001"
SHADOW = "$aws/things/{}/shadow/{}"


class Stack:
    """A deployed stack with Hana, Sora who stands in for her, and buttons; spoken to as visitors and staff do."""

    def __init__(self, ministack: Ministack, slack: FakeSlack) -> None:
        self.ministack, self.slack = ministack, slack
        self._said = 0
        wish = Wish(
            stack="floor-2",
            parameters={"CallingSeconds": "60", "RunningSeconds": "2", "QuietSeconds": "20", "Lang": "en"},
            secrets={
                "SLACK_WEBHOOK_URL": slack.url,
                "SLACK_OUTGOING_TOKEN": OUTGOING_TOKEN,
                "STAFFCALL_BUTTON_TOKEN": BUTTON_TOKEN,
            },
        )
        self.progress: list[str] = []
        account = Account()
        try:
            self.outputs = deploy(account, wish, self.progress.append).outputs
        finally:
            account.close()
        ministack.let_functions_read_secrets("floor-2")

    @cached_property
    def place(self) -> Place:
        return Place(
            shadows=AwsShadows(self.ministack.client("iot-data")),
            things=AwsThings(self.ministack.client("iot")),
            clock=lambda: time.time_ns() // 1_000_000,
        )

    def furnish(self, id: str) -> None:
        """Two people and buttons of a test's own, for the stack is shared."""
        add_staff(self.place, NewStaff(id=f"{id}2", name="Sora", slack=f"U{id.upper()}2", booth=id))
        add_staff(
            self.place, NewStaff(id=id, name="花 Hana", slack=f"U{id.upper()}1", backup=f"{id}2", booth=id)
        )
        for button in (id, f"{id}-iot"):
            add_button(self.place, NewButton(id=button, single=id, double=f"{id}2", booth=id))

    def ask(self, output: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
        """Send a request to one of the addresses that deploying printed."""
        address = urlsplit(self.outputs[output])
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        url = f"{self.ministack.url}{address.path}"
        request = urllib.request.Request(url, data=body, headers={**named, "Host": address.netloc})
        return fetch(request)

    def press(self, button: str, click: str = "SINGLE", **more: Any) -> tuple[int, Any]:
        body = json.dumps({"button": button, "click": click, **more}).encode()
        token = {"Authorization": f"Bearer {BUTTON_TOKEN}", "Content_Type": "application/json"}
        return self.ask("ButtonUrl", body, **token)

    def says(self, user: str, text: str) -> str:
        self._said += 1
        form = {
            "token": OUTGOING_TOKEN,
            "channel_id": "C1",
            "timestamp": f"{time.time():.0f}.{self._said:06}",
        }
        body = urlencode({**form, "user_id": user, "text": text}).encode()
        status, answer = self.ask("SlackOutgoingUrl", body, Content_Type="application/x-www-form-urlencoded")
        assert status == 200, answer
        return str(answer["text"])

    def asked(self, id: str) -> dict[str, Any]:
        return self.place.shadows.get(f"staff-{id}").desired

    def is_told(self, id: str) -> bool:
        shadow = self.place.shadows.get(f"staff-{id}")
        return all(shadow.reported[key] == value for key, value in shadow.desired.items())

    def texts(self, user: str) -> list[str]:
        """What was said to one person."""
        return [text for text in self.slack.texts if f"<@{user}>" in text]

    def history(self, id: str) -> list[dict[str, Any]]:
        rows = history(self.ministack.client("dynamodb"), self.outputs["HistoryTable"])
        return [row for row in rows if row["thing"] == f"staff-{id}"]

    def invoke(self, output: str, event: Any) -> tuple[bool, Any]:
        """Invoke a function; whether it succeeded, and what it returned."""
        answer = self.ministack.client("lambda").invoke(
            FunctionName=self.outputs[output], Payload=json.dumps(event).encode()
        )
        return "FunctionError" not in answer, json.loads(answer["Payload"].read())


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with (
        FakeSlack() as slack,
        Ministack(tmp_path_factory.mktemp("ministack")) as ministack,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in ministack.environment.items():
            if name.startswith("AWS_"):
                patch.setenv(name, value)
        yield Stack(ministack, slack)


@pytest.fixture
def stack(shared: Stack) -> Stack:
    shared.slack.always()
    return shared


def test_a_call_is_mentioned_answered_and_over_and_in_the_history(stack: Stack) -> None:
    stack.furnish("hana")
    status, answer = stack.press("hana")
    assert (status, answer["thing"], answer["state"], answer["repeat"]) == (
        200,
        "staff-hana",
        "calling",
        False,
    )
    assert len(stack.texts("UHANA1")) == 1
    assert stack.is_told("hana")
    assert "花 Hana" in stack.says("UHANA1", "ok, ２ minutes & a bit")
    asked = stack.asked("hana")
    assert (asked["state"], asked["call"]["note"]) == ("running", "２ minutes & a bit")
    until(lambda: stack.asked("hana")["state"] == "idle", "the reset")
    late = stack.asked("hana")["since"] - asked["since"] - 2000
    assert 0 <= late < 3000
    until(lambda: stack.is_told("hana"), "the report")
    rows = until(lambda: (rows := stack.history("hana"))[3:] and rows, "the history")
    assert [(row["state"], row["why"], row["end"]) for row in rows] == [
        ("idle", "back", ""),
        ("calling", "press", ""),
        ("running", "ok", ""),
        ("idle", "ended", "ended"),
    ]
    assert {row["call"] for row in rows[1:]} == {answer["call"]}
    assert (rows[2]["note"], rows[2]["name"], rows[2]["booth"]) == ("２ minutes & a bit", "花 Hana", "hana")


def test_every_door_leads_to_a_call(stack: Stack) -> None:
    publish = stack.ministack.client("iot-data").publish

    def one_click(id: str) -> None:
        event = json.loads((PAYLOADS / "oneclick_single.json").read_text("utf-8"))
        event["deviceInfo"]["deviceId"] = id
        assert stack.invoke("ButtonFunction", event)[0]

    def soracom(id: str) -> None:
        headers = {"x_soracom_imsi": id, "Authorization": f"Bearer {BUTTON_TOKEN}"}
        status, _ = stack.ask(
            "SoracomUrl", bytes.fromhex("4d010351"), Content_Type="application/octet-stream", **headers
        )
        assert status == 200

    def by_url(id: str) -> None:
        query = urlencode({"button": id, "click": "SINGLE", "token": BUTTON_TOKEN})
        address = urlsplit(stack.outputs["ButtonUrl"])
        url = f"{stack.ministack.url}{address.path}?{query}"
        assert fetch(urllib.request.Request(url, headers={"Host": address.netloc}))[0] == 200

    doors: dict[str, Callable[[str], Any]] = {
        "topic": lambda id: publish(
            topic=f"staffcall/buttons/{id}/press", qos=1, payload='{"click": "SINGLE"}'
        ),
        "dash": lambda id: publish(topic=f"iotbutton/{id}", qos=1, payload='{"clickType": "SINGLE"}'),
        "oneclick": one_click,
        "soracom": soracom,
        "get": by_url,
    }
    for id, press in doors.items():
        stack.furnish(id)
        press(id)
        until(lambda id=id: stack.texts(f"U{id.upper()}1"), f"the mention by {id}")  # type: ignore[misc]
        assert stack.asked(id)["state"] == "calling"


def test_a_press_that_comes_twice_is_one_call(stack: Stack) -> None:
    stack.furnish("twice")
    first, second = (stack.press("twice", id="one")[1] for _ in range(2))
    assert second == {**first, "repeat": True}
    assert stack.asked("twice")["call"]["count"] == 1
    assert len(stack.texts("UTWICE1")) == 1


def test_a_call_that_nobody_answers_goes_to_the_backup(stack: Stack) -> None:
    stack.furnish("missed")
    stack.place.shadows.update("booth-missed", reported={"callingSeconds": 1})
    stack.press("missed")
    (text,) = until(lambda: stack.texts("UMISSED2"), "the mention of the backup")
    assert "花 Hana" in text
    assert (stack.asked("missed")["state"], stack.asked("missed")["call"]["end"]) == ("idle", "missed")


def test_while_slack_fails_presses_are_taken_and_told_afterwards(stack: Stack) -> None:
    stack.furnish("later")
    stack.slack.always(status=500)
    status, answer = stack.press("later")
    assert (status, answer["state"]) == (200, "calling")
    assert not stack.is_told("later")
    stack.slack.always()
    until(lambda: stack.texts("ULATER1"), "the mention", 10)
    until(lambda: stack.is_told("later"), "the report")
    assert len(stack.texts("ULATER1")) == 1


def test_the_sweep_finds_what_an_administrator_wrote(stack: Stack) -> None:
    stack.furnish("gone")
    stack.press("gone")
    answer(stack.place, "gone", CallEvent.AWAY)  # hands over, and has no Slack
    assert stack.texts("UGONE2") == []
    parts = stack.ministack.client("cloudformation").list_stack_resources(StackName="floor-2")
    (sweep,) = [
        part["PhysicalResourceId"]
        for part in parts["StackResourceSummaries"]
        if part["LogicalResourceId"] == "SweepFunction"
    ]
    stack.ministack.client("lambda").invoke(FunctionName=sweep, Payload=b"{}")
    until(lambda: stack.texts("UGONE2"), "the mention of the backup")


def test_what_is_wrong_is_refused_in_words(stack: Stack) -> None:
    stack.furnish("wrong")
    assert stack.ask("ButtonUrl", b"{}", Content_Type="application/json")[0] == 401
    status, answer = stack.press("wrong", click="TRIPLE")
    assert (status, "SINGLE, DOUBLE or LONG" in answer["message"]) == (400, True)
    assert stack.press("B-17")[0] == 404
    (unknown,) = UnknownButtons(stack.ministack.client("dynamodb"), stack.outputs["UnknownTable"]).list()
    assert (unknown["button"], unknown["door"], unknown["count"]) == ("B-17", "webhook", 1)
    worked, raised = stack.invoke("ButtonFunction", {"clickTypeName": "SINGLE"})
    assert (worked, "imsi" in raised["errorMessage"]) == (False, True)
    assert stack.asked("wrong")["state"] == "idle"


def test_a_row_of_the_history_says_when_it_is_to_go(stack: Stack) -> None:
    stack.furnish("old")
    dynamo, table = stack.ministack.client("dynamodb"), stack.outputs["HistoryTable"]
    key = {":thing": {"S": "staff-old"}}

    def rows() -> Any:
        return dynamo.query(
            TableName=table, KeyConditionExpression="thing = :thing", ExpressionAttributeValues=key
        )["Items"]

    (row,) = until(rows, "the history")
    assert abs(int(row["expires"]["N"]) - (time.time() + 400 * 86_400)) < 60


def test_what_is_no_new_state_is_no_history(stack: Stack) -> None:
    stack.furnish("quiet")
    stack.place.shadows.update("booth-quiet", reported={"title": "A title"})
    stack.place.shadows.update("staff-quiet", reported={"role": "guide"})
    stack.press("quiet")
    until(lambda: len(stack.history("quiet")) == 2, "the history")
    table = stack.outputs["HistoryTable"]
    items = stack.ministack.client("dynamodb").scan(TableName=table)["Items"]
    assert {item["thing"]["S"].partition("-")[0] for item in items} == {"staff"}
    assert [row["why"] for row in stack.history("quiet")] == ["back", "press"]


# --- the page


def test_the_page_comes_by_the_distribution_alone_with_strict_headers(stack: Stack) -> None:
    address = urlsplit(stack.outputs["KioskUrl"])
    request = urllib.request.Request(
        f"{stack.ministack.url}/", headers={"Host": address.netloc, "X-Forwarded-Proto": "https"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        headers, page = answer.headers, answer.read()
    assert b'<div id="app">' in page
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert f"https://cognito-identity.{REGION}.amazonaws.com" in policy
    assert headers["x-content-type-options"] == "nosniff"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{stack.ministack.url}/{stack.outputs['KioskBucket']}/index.html", timeout=10)
    with refused.value:
        assert refused.value.code == 403


# --- guests


@pytest.fixture(scope="module")
def guest(shared: Stack) -> dict[str, str]:
    """The credentials that anybody gets who opens the page."""
    cognito = shared.ministack.client("cognito-identity")
    id = cognito.get_id(IdentityPoolId=shared.outputs["IdentityPoolId"])["IdentityId"]
    got = cognito.get_credentials_for_identity(IdentityId=id)["Credentials"]
    return {
        "aws_access_key_id": got["AccessKeyId"],
        "aws_secret_access_key": got["SecretKey"],
        "aws_session_token": got["SessionToken"],
    }


@contextmanager
def mqtt(stack: Stack, guest: dict[str, str], client_id: str) -> Iterator["Guest"]:
    client = paho.Client(
        paho.CallbackAPIVersion.VERSION2, client_id=client_id, transport="websockets", protocol=paho.MQTTv311
    )
    seen = Guest(client)
    host = stack.ministack.client("iot").describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"]
    client.ws_set_options(path=presigned(host, guest), headers={"Host": host})
    port = urlsplit(stack.ministack.url).port
    assert port
    try:
        client.connect("127.0.0.1", port, keepalive=30)
        client.loop_start()
        yield seen
    finally:
        client.disconnect()
        client.loop_stop()


class Guest:
    """What came to a kiosk."""

    def __init__(self, client: paho.Client) -> None:
        self.client, self.messages = client, []
        self.is_in, self.is_out, self.granted = False, False, dict[int, list[int]]()
        client.on_connect = lambda *args: setattr(self, "is_in", args[3] == 0)
        client.on_disconnect = lambda *_: setattr(self, "is_out", True)
        client.on_subscribe = lambda *args: self.granted.update({args[2]: [code.value for code in args[3]]})
        client.on_message = lambda *args: self.messages.append((args[2].topic, args[2].payload))

    messages: list[tuple[str, bytes]]

    def may_subscribe(self, *filters: str) -> bool:
        _, mid = self.client.subscribe([(each, 1) for each in filters])
        until(lambda: self.is_out or mid in self.granted, "an answer")
        return all(code < 128 for code in self.granted.get(mid, [128]))


def presigned(host: str, guest: dict[str, str]) -> str:
    """Path and query of the WebSocket, as AWS IoT wants them: the token is no part of what is signed."""
    request = AWSRequest(method="GET", url=f"https://{host}/mqtt", data=b"")
    key = Credentials(guest["aws_access_key_id"], guest["aws_secret_access_key"])
    SigV4QueryAuth(key, "iotdevicegateway", REGION).add_auth(request)
    token = urllib.parse.quote(guest["aws_session_token"], safe="")
    return f"/mqtt?{urlsplit(request.url).query}&X-Amz-Security-Token={token}"


def filters(*operations: str) -> list[str]:
    return [SHADOW.format("+", each) for each in operations]


def test_a_guest_sees_a_call_come_and_go(stack: Stack, guest: dict[str, str]) -> None:
    stack.furnish("seen")
    with mqtt(stack, guest, "kiosk-seen-1") as kiosk:
        until(lambda: kiosk.is_in, "the connection")
        assert kiosk.may_subscribe(
            *filters("get/accepted", "get/rejected", "update/delta", "update/documents")
        )
        kiosk.client.publish(SHADOW.format("booth-seen", "get"), b"", qos=1)
        until(
            lambda: [t for t, _ in kiosk.messages if t == SHADOW.format("booth-seen", "get/accepted")], "get"
        )
        stack.press("seen")
        topic = SHADOW.format("staff-seen", "update/documents")
        until(lambda: [p for t, p in kiosk.messages if t == topic and b'"calling"' in p], "the call")
        assert not [t for t, _ in kiosk.messages if "/button-" in t]


def test_a_guest_may_connect_as_a_kiosk_alone(stack: Stack, guest: dict[str, str]) -> None:
    with mqtt(stack, guest, "button-seen") as stranger:
        until(lambda: stranger.is_out, "the refusal")
        assert not stranger.is_in


@pytest.mark.parametrize(
    "filter", ["#", "$aws/things/+/shadow/#", "staffcall/buttons/+/press", "$aws/things/+/shadow/update"]
)
def test_a_guest_may_subscribe_to_nothing_else(stack: Stack, guest: dict[str, str], filter: str) -> None:
    with mqtt(stack, guest, "kiosk-main-2") as kiosk:
        until(lambda: kiosk.is_in, "the connection")
        assert not kiosk.may_subscribe(filter)


@pytest.mark.parametrize(
    "topic",
    [
        SHADOW.format("staff-written", "update"),
        SHADOW.format("staff-written", "delete"),
        SHADOW.format("button-written", "get"),
        "staffcall/buttons/written/press",
        "iotbutton/written",
    ],
)
def test_a_guest_may_write_nothing(stack: Stack, guest: dict[str, str], topic: str) -> None:
    if "written" not in [thing.name.partition("-")[2] for thing in stack.place.things.list(type="button")]:
        stack.furnish("written")
    before = stack.place.shadows.get("staff-written")
    with mqtt(stack, guest, "kiosk-main-3") as kiosk:
        until(lambda: kiosk.is_in, "the connection")
        kiosk.client.publish(topic, json.dumps({"click": "SINGLE", "state": {"desired": None}}), qos=1)
        kiosk.may_subscribe(*filters("get/accepted"))  # what was sent before this is done with
    time.sleep(0.3)
    assert stack.place.shadows.get("staff-written") == before


def test_a_guests_key_opens_no_api(stack: Stack, guest: dict[str, str]) -> None:
    stack.furnish("closed")
    data, iot, dynamo = (stack.ministack.client(each, **guest) for each in ("iot-data", "iot", "dynamodb"))
    attempts: list[Callable[[], Any]] = [
        lambda: data.get_thing_shadow(thingName="staff-closed"),
        lambda: data.update_thing_shadow(thingName="staff-closed", payload=b'{"state": {}}'),
        lambda: data.publish(topic="staffcall/buttons/closed/press", payload=b"{}"),
        lambda: iot.describe_thing(thingName="staff-closed"),
        iot.list_things,
        lambda: dynamo.scan(TableName=stack.outputs["HistoryTable"]),
        lambda: stack.ministack.client("ssm", **guest).get_parameters_by_path(Path="/floor-2/"),
        lambda: stack.ministack.client("lambda", **guest).invoke(
            FunctionName=stack.outputs["ButtonFunction"]
        ),
    ]
    for attempt in attempts:
        with pytest.raises(ClientError) as refused:
            attempt()
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 403)
        assert "Denied" in str(refused.value) or "Forbidden" in str(refused.value)


# --- under the runtime client that AWS itself uses


HEADERS = {
    "Aws-Request-Id": "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
    "Invoked-Function-Arn": "arn:aws:lambda:ap-northeast-1:000000000000:function:button",
    "Trace-Id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700",
    "Cognito-Identity": "{}",
}  # the client crashes without any of them


class RuntimeApi:
    """Hands one invocation to a runtime, and takes its answer."""

    def __init__(self, event: Any, client_context: dict[str, Any]) -> None:
        self.answered: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        events = [(json.dumps(event).encode(), json.dumps(client_context))]
        ended, answered = threading.Event(), self.answered

        class Handler(BaseHTTPRequestHandler):
            disable_nagle_algorithm = True
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if not events:
                    ended.wait(20)
                    self.close_connection = True
                    return
                body, sim = events.pop()
                self.send_response(200)
                for name, value in HEADERS.items():
                    self.send_header(f"Lambda-Runtime-{name}", value)
                self.send_header("Lambda-Runtime-Deadline-Ms", str(int(1000 * time.time()) + 15_000))
                self.send_header("Lambda-Runtime-Client-Context", sim)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answered.put((self.path.rpartition("/")[2], json.loads(body)))
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing."""

        self.ended = ended
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@contextmanager
def runtime(stack: Stack, event: Any, client_context: dict[str, Any], folder: Path) -> Iterator[RuntimeApi]:
    """The button function's own package and environment, under awslambdaric."""
    with zipfile.ZipFile(io.BytesIO(package.build().content)) as zipped:
        zipped.extractall(folder)
    api = RuntimeApi(event, client_context)
    serving = threading.Thread(target=api.server.serve_forever, kwargs={"poll_interval": 0.02})
    serving.start()
    described = stack.ministack.client("lambda").get_function_configuration(
        FunctionName=stack.outputs["ButtonFunction"]
    )
    environment = {
        **stack.ministack.environment,
        **described["Environment"]["Variables"],
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{api.server.server_port}",
    }
    command = [sys.executable, "-m", "awslambdaric", described["Handler"]]
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield api
    finally:
        process.kill()
        process.wait()
        api.ended.set()
        api.server.shutdown()
        api.server.server_close()
        serving.join()


def test_funk_presses_for_its_sim_under_lambdas_own_runtime_client(stack: Stack, tmp_path: Path) -> None:
    stack.furnish("funk")
    event = {"clickType": 1, "clickTypeName": "SINGLE", "batteryLevel": 1}
    custom = {"imsi": "funk", "resourceType": "Subscriber", "sourceProtocol": "udp"}
    with runtime(stack, event, {"custom": custom}, tmp_path) as api:
        kind, answer = api.answered.get(timeout=20)
    assert (kind, answer["thing"], answer["state"]) == ("response", "staff-funk", "calling")
    assert len(stack.texts("UFUNK1")) == 1


def test_an_unknown_sim_is_an_error_that_turns_the_light_red(stack: Stack, tmp_path: Path) -> None:
    with runtime(stack, {"clickTypeName": "SINGLE"}, {"custom": {"imsi": "440"}}, tmp_path) as api:
        kind, answer = api.answered.get(timeout=20)
    assert (kind, answer["errorType"]) == ("error", "Rejected")
    assert "440 is unknown" in answer["errorMessage"]
