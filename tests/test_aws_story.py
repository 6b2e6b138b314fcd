"""What is true of AWS alone, as MiniStack plays it with IAM enforced; the story itself is in test_acceptance.py."""

import io
import json
import queue
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import paho.mqtt.client as paho
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from infra.alerts.twilio import signature
from infra.aws import package
from shadows.registry import NewButton, NewStaff, add_button, add_staff, answer, buttons, person
from shadows.staff import CallEvent
from slack_bridge.manifest import HOURS
from tests.fake_slack import BOT_TOKEN, SCOPES, FakeSlack
from tests.fake_twilio import TOKEN
from tests.ministack import REGION, ROOT_KEY
from tests.receiver import Got, answers
from tests.served import Served
from tests.shop import BUTTON_TOKEN, until
from tests.stack import NAME, Stack, deployed
from tests.story import Booth, staffcall

PAYLOADS = Path(__file__).parent / "payloads"
SHADOW = "$aws/things/{}/shadow/{}"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with FakeSlack() as slack, deployed(tmp_path_factory.mktemp("ministack"), slack) as stack:
        _have_somebody_spared(stack)
        yield stack


def _have_somebody_spared(stack: Stack) -> None:
    """Mika wants not to be disturbed, and that is heard before anybody presses: what a function reads is good for a while."""
    add_staff(stack.place, NewStaff(id="noa", name="Noa", slack="U0NOA"))
    add_staff(stack.place, NewStaff(id="mika", name="Mika", slack="U0MIKA", backup="noa"))
    add_button(stack.place, NewButton(id="mika", single="mika"))
    until_s = int(time.time()) + 3600
    stack.slack.scopes = SCOPES | {HOURS}
    stack.slack.quiet_hours["U0MIKA"] = {
        "dnd_enabled": True,
        "next_dnd_start_ts": until_s - 7200,
        "next_dnd_end_ts": until_s,
    }
    bot = {"SLACK_BOT_TOKEN": BOT_TOKEN, "SLACK_API_URL": stack.slack.api_url}
    for name, value in bot.items():
        stack.aws("ssm").put_parameter(Name=f"/{NAME}/{name}", Value=value, Type="SecureString")
    answer = stack.aws("lambda").invoke(FunctionName=part(stack, "QuietFunction"), Payload=b"{}")
    assert "FunctionError" not in answer, answer["Payload"].read()
    stack.aws("ssm").delete_parameters(Names=[f"/{NAME}/{name}" for name in bot])


def part(stack: Stack, name: str) -> str:
    """The physical id of a resource."""
    found = stack.aws("cloudformation").describe_stack_resource(StackName=NAME, LogicalResourceId=name)
    return str(found["StackResourceDetail"]["PhysicalResourceId"])


@pytest.fixture
def booth(stack: Stack) -> Booth:
    return Booth(stack)


def invoke(stack: Stack, output: str, event: Any) -> tuple[bool, Any]:
    """Invoke a function; whether it succeeded, and what it returned."""
    answer = stack.aws("lambda").invoke(
        FunctionName=stack.outputs[output], Payload=json.dumps(event).encode()
    )
    return "FunctionError" not in answer, json.loads(answer["Payload"].read())


def test_a_1_click_button_invokes_the_function(stack: Stack, booth: Booth) -> None:
    event = json.loads((PAYLOADS / "oneclick_single.json").read_text("utf-8"))
    event["deviceInfo"]["deviceId"] = booth.id
    worked, answer = invoke(stack, "ButtonFunction", event)
    assert (worked, answer["thing"], answer["state"]) == (True, booth.hana.thing, "calling")
    assert len(booth.hana.mentions) == 1


def test_a_press_without_a_sim_is_an_error(stack: Stack) -> None:
    worked, raised = invoke(stack, "ButtonFunction", {"clickTypeName": "SINGLE"})
    assert (worked, "imsi" in raised["errorMessage"]) == (False, True)


def test_a_press_is_told_when_it_is_answered(booth: Booth) -> None:
    booth.press()
    assert len(booth.hana.mentions) == 1
    assert booth.hana.is_told


def test_the_sweep_finds_what_an_administrator_wrote(stack: Stack, booth: Booth) -> None:
    booth.press()
    answer(stack.place, booth.hana.id, CallEvent.AWAY)  # hands over, and has no Slack
    assert booth.sora.mentions == []
    stack.aws("lambda").invoke(FunctionName=part(stack, "SweepFunction"), Payload=b"{}")
    booth.until(lambda: booth.sora.mentions, "the mention of the backup")


def test_the_call_of_who_wants_not_to_be_disturbed_in_slack_goes_to_who_stands_in(stack: Stack) -> None:
    assert stack.slack.asked == ["dnd.teamInfo"]
    status, answer = stack.press("mika")
    assert (status, answer["thing"], stack.state("mika")) == (200, "staff-noa", "idle")


def test_a_row_of_the_history_says_when_it_is_to_go(stack: Stack, booth: Booth) -> None:
    dynamo, table = stack.aws("dynamodb"), stack.outputs["HistoryTable"]
    key = {":thing": {"S": booth.hana.thing}}

    def rows() -> Any:
        return dynamo.query(
            TableName=table, KeyConditionExpression="thing = :thing", ExpressionAttributeValues=key
        )["Items"]

    (row,) = booth.until(rows, "the history")
    assert abs(int(row["expires"]["N"]) - (time.time() + 400 * 86_400)) < 60


def test_what_is_no_new_state_is_no_history(stack: Stack, booth: Booth) -> None:
    stack.place.shadows.update(f"booth-{booth.id}", reported={"title": "A title"})
    stack.place.shadows.update(booth.hana.thing, reported={"role": "guide"})
    booth.press()
    booth.until(lambda: len(booth.hana.history) == 2, "the history")
    items = stack.aws("dynamodb").scan(TableName=stack.outputs["HistoryTable"])["Items"]
    assert {item["thing"]["S"].partition("-")[0] for item in items} == {"staff"}
    assert [row["why"] for row in booth.hana.history] == ["back", "press"]


def registers(stack: Stack, button: str, key: Mapping[str, str]) -> int:
    """Register a button with whom it calls by one signed request; the answer is its status."""
    said = {
        "id": button,
        "staff": f"{button}-n",
        "booth": button,
        "phone": "819077770009",
        "message": "Bed 3",
    }
    url, body = stack.outputs["RegisterUrl"], json.dumps(said).encode()
    headers = {"Content-Type": "application/json", "Host": urlsplit(url).netloc}
    asked = AWSRequest(method="POST", url=url, data=body, headers=headers)
    credentials = Credentials(
        key["aws_access_key_id"], key["aws_secret_access_key"], key.get("aws_session_token")
    )
    SigV4Auth(credentials, "execute-api", REGION).add_auth(asked)
    signed = {name.replace("-", "_"): value for name, value in asked.headers.items() if name != "Host"}
    return stack.ask("/buttons/register", body, **signed)[0]


def test_who_may_call_it_registers_a_button_by_a_signed_request_and_nobody_else(
    stack: Stack, booth: Booth, guest: dict[str, str]
) -> None:
    bell = f"{booth.id}-bell"
    assert stack.ask("/buttons/register", b"{}")[0] == 403
    assert registers(stack, bell, guest) == 403
    assert bell not in [each.id for each in buttons(stack.place)]
    assert registers(stack, bell, ROOT_KEY) == 200
    assert person(stack.place, f"{bell}-n").phone == "819077770009"
    press = json.dumps({"button": bell, "click": "SINGLE"}).encode()
    code, answer = stack.ask("/buttons/webhook", press, Authorization=f"Bearer {BUTTON_TOKEN}")
    assert (code, answer["thing"], answer["state"]) == (200, f"staff-{bell}-n", "calling")


# --- the page


def test_another_program_is_told_of_each_transition_once_and_again_if_it_was_down(
    stack: Stack, booth: Booth
) -> None:
    def got() -> list[Got]:
        return [each for each in list(stack.others.got) if each.body["data"]["thing"] == booth.hana.thing]

    def told() -> list[str]:
        return [each.body["type"] for each in got()]

    booth.until(told, "the newcomer")
    stack.others.always = answers(503)
    booth.press()
    booth.until(lambda: told()[1:] == ["call.press"], "the first try")
    stack.others.always = answers(204)
    booth.until(lambda: told()[1:] == ["call.press"] * 2, "the next")
    _, first, again = got()
    assert first.id == again.id
    assert first.is_right
    assert again.is_right
    assert first.body == again.body


def test_who_does_not_answer_gets_an_sms_and_answers_by_its_link(
    stack: Stack, booth: Booth, tmp_path: Path
) -> None:
    stack.place.things.update(booth.hana.thing, {"phone": "819077770001"})
    booth.press()
    assert len(booth.hana.mentions) == 1
    (sms,) = booth.until(
        lambda: [each for each in stack.twilio.got if each.form["To"] == "+819077770001"], "the SMS"
    )
    assert "花 Hana, somebody is waiting" in sms.form["Body"]
    link, callback = urlsplit(sms.link).path, sms.form["StatusCallback"]
    assert "On my way</button>" in stack.ask(link, Accept_Language="en")[1]
    assert booth.hana.state == "calling"
    assert "is on the way" in stack.ask(link, b"", Accept_Language="en")[1]
    assert booth.hana.state == "running"
    form = {"MessageStatus": "delivered"}
    signed = {"X_Twilio_Signature": signature(TOKEN, callback, form.items())}
    assert stack.ask(urlsplit(callback).path, urlencode(form).encode(), **signed)[0] == 204
    assert stack.ask(urlsplit(callback).path, urlencode(form).encode())[0] == 401
    status, said = staffcall(stack, tmp_path, "history", "--staff", booth.hana.id)
    tried = [re.split(r" {2,}", line)[2:4] for line in said.splitlines() if "alert twilio" in line]
    assert (status, tried) == (0, [["accepted", "alert twilio"], ["delivered", "alert twilio"]]), said
    stack.place.things.update(booth.hana.thing, {"phone": ""})


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
def guest(stack: Stack) -> dict[str, str]:
    """The credentials that anybody gets who opens the page."""
    cognito = stack.aws("cognito-identity")
    id = cognito.get_id(IdentityPoolId=stack.outputs["IdentityPoolId"])["IdentityId"]
    got = cognito.get_credentials_for_identity(IdentityId=id)["Credentials"]
    return {
        "aws_access_key_id": got["AccessKeyId"],
        "aws_secret_access_key": got["SecretKey"],
        "aws_session_token": got["SessionToken"],
    }


@contextmanager
def mqtt(stack: Stack, guest: dict[str, str], client_id: str) -> Iterator["Guest"]:
    client = stack.device(client_id, guest)
    seen = Guest(client)
    try:
        client.connect("127.0.0.1", stack.ministack.port, keepalive=30)
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


def filters(*operations: str) -> list[str]:
    return [SHADOW.format("+", each) for each in operations]


def test_a_guest_is_told_of_staff_and_booths_and_of_nothing_else(
    stack: Stack, booth: Booth, guest: dict[str, str]
) -> None:
    with mqtt(stack, guest, f"kiosk-{booth.id}-1") as kiosk:
        until(lambda: kiosk.is_in, "the connection")
        assert kiosk.may_subscribe(
            *filters("get/accepted", "get/rejected", "update/delta", "update/documents")
        )
        booth.press()
        topic = SHADOW.format(booth.hana.thing, "update/documents")
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
        SHADOW.format("staff-{}-hana", "update"),
        SHADOW.format("staff-{}-hana", "delete"),
        SHADOW.format("button-{}", "get"),
        "staffcall/buttons/{}/press",
        "iotbutton/{}",
    ],
)
def test_a_guest_may_write_nothing(stack: Stack, booth: Booth, guest: dict[str, str], topic: str) -> None:
    before = stack.place.shadows.get(booth.hana.thing)
    with mqtt(stack, guest, "kiosk-main-3") as kiosk:
        until(lambda: kiosk.is_in, "the connection")
        body = json.dumps({"click": "SINGLE", "state": {"desired": None}})
        kiosk.client.publish(topic.format(booth.id), body, qos=1)
        kiosk.may_subscribe(*filters("get/accepted"))  # what was sent before this is done with
    time.sleep(0.3)
    assert stack.place.shadows.get(booth.hana.thing) == before


def test_a_guests_key_opens_no_api(stack: Stack, booth: Booth, guest: dict[str, str]) -> None:
    client, hana = stack.ministack.client, booth.hana.thing
    data, iot, dynamo = (client(each, **guest) for each in ("iot-data", "iot", "dynamodb"))
    attempts: list[Callable[[], Any]] = [
        lambda: data.get_thing_shadow(thingName=hana),
        lambda: data.update_thing_shadow(thingName=hana, payload=b'{"state": {}}'),
        lambda: data.publish(topic=f"staffcall/buttons/{booth.id}/press", payload=b"{}"),
        lambda: iot.describe_thing(thingName=hana),
        iot.list_things,
        lambda: dynamo.scan(TableName=stack.outputs["HistoryTable"]),
        lambda: client("ssm", **guest).get_parameters_by_path(Path=f"/{NAME}/"),
        lambda: client("lambda", **guest).invoke(FunctionName=stack.outputs["ButtonFunction"]),
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


class RuntimeApi(Served):
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

        self._ended = ended
        super().__init__(ThreadingHTTPServer(("127.0.0.1", 0), Handler))

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        super().__exit__()


@contextmanager
def runtime(stack: Stack, event: Any, client_context: dict[str, Any], folder: Path) -> Iterator[RuntimeApi]:
    """The button function's own package and environment, under awslambdaric."""
    with zipfile.ZipFile(io.BytesIO(package.build().content)) as zipped:
        zipped.extractall(folder)
    described = stack.aws("lambda").get_function_configuration(FunctionName=stack.outputs["ButtonFunction"])
    command = [sys.executable, "-m", "awslambdaric", described["Handler"]]
    with RuntimeApi(event, client_context) as api:
        environment = {
            **stack.ministack.environment,
            **described["Environment"]["Variables"],
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{api.port}",
        }
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            yield api
        finally:
            process.kill()
            process.wait()


def test_funk_presses_for_its_sim_under_lambdas_own_runtime_client(
    stack: Stack, booth: Booth, tmp_path: Path
) -> None:
    event = {"clickType": 1, "clickTypeName": "SINGLE", "batteryLevel": 1}
    custom = {"imsi": booth.id, "resourceType": "Subscriber", "sourceProtocol": "udp"}
    with runtime(stack, event, {"custom": custom}, tmp_path) as api:
        kind, answer = api.answered.get(timeout=20)
    assert (kind, answer["thing"], answer["state"]) == ("response", booth.hana.thing, "calling")
    assert len(booth.hana.mentions) == 1


def test_an_unknown_sim_is_an_error_that_turns_the_light_red(stack: Stack, tmp_path: Path) -> None:
    with runtime(stack, {"clickTypeName": "SINGLE"}, {"custom": {"imsi": "440"}}, tmp_path) as api:
        kind, answer = api.answered.get(timeout=20)
    assert (kind, answer["errorType"]) == ("error", "Rejected")
    assert "440 is unknown" in answer["errorMessage"]
