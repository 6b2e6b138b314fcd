"""The template: sound as written and as SAM makes it, and no function or guest may do more than it does."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import urlencode

import pytest
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

from infra.alerts.links import ANSWER, Link, status_purpose, token
from infra.alerts.twilio import signature
from shadows.calls import read
from shadows.duty import MINUTE_MS, ROSTER, Duty, save
from shadows.registry import NewButton, add_button
from shadows.staff import StaffState
from shadows.whom import ON_DUTY
from slack_bridge.manifest import HOURS
from tests.cloud import ASKS_QUIET, BUTTON_TOKEN, LINK_KEY, OUTGOING_TOKEN, Cloud, cloud, gateway
from tests.fake_slack import SCOPES, FakeSlack
from tests.fake_twilio import TOKEN, URL
from tests.receiver import SECRET
from tests.shop import ROOT
from tests.test_outbox import record

TEMPLATE = ROOT / "infra" / "template.yaml"
FUNCTIONS = ("button", "register", "slack", "timer", "sweep", "webhook", "alert", "answer", "quiet")
# What the service does in a function's name, and no code of ours calls.
BY_LAMBDA = {
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
}
# moto keeps no shadow of a thing that is gone, so that nobody has to delete one there.
BEYOND_MOTO = {("register", "iot:DeleteThingShadow")}
ANSWERS = ("get/accepted", "get/rejected", "update/delta", "update/documents")


@lru_cache(maxsize=1)
def source() -> Any:
    return yaml_parse(TEMPLATE.read_text("utf-8"))


@lru_cache(maxsize=1)
def translated() -> dict[str, Any]:
    class NoManagedPolicies:
        def load(self) -> dict[str, str]:
            return {}

    with patch.dict("os.environ", {"AWS_DEFAULT_REGION": "ap-northeast-1"}):
        made: dict[str, Any] = transform(source(), {}, NoManagedPolicies())
    return made


def resource(name: str) -> dict[str, Any]:
    found: dict[str, Any] = translated()["Resources"][name]["Properties"]
    return found


def of_type(type: str) -> dict[str, dict[str, Any]]:
    resources = translated()["Resources"].items()
    return {name: each["Properties"] for name, each in resources if each["Type"] == type}


def statements(role: str) -> Iterator[tuple[str, str]]:
    """Action and resource of each permission of a role, one by one."""
    documents = [policy["PolicyDocument"] for policy in resource(role)["Policies"] if "Fn::If" not in policy]
    attached = resource(role).get("ManagedPolicyArns", [])
    documents += [resource(policy["Ref"])["PolicyDocument"] for policy in attached]
    given = of_type("AWS::IAM::ManagedPolicy").values()
    documents += [policy["PolicyDocument"] for policy in given if {"Ref": role} in policy.get("Roles", ())]
    for document in documents:
        for statement in document["Statement"]:
            assert statement["Effect"] == "Allow"
            for action in listed(statement["Action"]):
                for each in listed(statement["Resource"]):
                    yield action, text(each)


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def text(value: Any) -> str:
    """A resource as it is written: the text of a Sub, what a GetAtt is of."""
    if isinstance(value, str):
        return value
    ((function, argument),) = value.items()
    return str(argument) if function == "Fn::Sub" else ".".join(argument)


# --- linters


@pytest.mark.parametrize("form", ["source", "translated"])
def test_the_template_has_no_fault_that_cfn_lint_knows(form: str, tmp_path: Path) -> None:
    file = TEMPLATE
    if form == "translated":
        file = tmp_path / "template.json"
        file.write_text(json.dumps(translated()), "utf-8")
    command = [str(Path(sys.executable).with_name("cfn-lint")), "--include-checks", "W", "--", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_handler_is_there() -> None:
    functions = of_type("AWS::Lambda::Function").values()
    assert {each["Handler"] for each in functions} == {f"infra.lambdas.{name}" for name in FUNCTIONS}
    for each in functions:
        module, _, name = each["Handler"].rpartition(".")
        assert callable(getattr(import_module(module), name))


def test_every_log_is_kept_for_a_time_and_every_function_has_its_own() -> None:
    logs = of_type("AWS::Logs::LogGroup")
    assert all(each["RetentionInDays"] == {"Ref": "LogDays"} for each in logs.values())
    used = [each["LoggingConfig"]["LogGroup"]["Ref"] for each in of_type("AWS::Lambda::Function").values()]
    assert sorted(used) == sorted(logs)


def test_a_message_stays_hidden_for_six_times_as_long_as_the_function_may_take() -> None:
    takers = {"TimerQueue": "TimerFunction", "Outbox": "WebhookFunction", "AlertQueue": "AlertFunction"}
    for queue, function in takers.items():
        assert resource(queue)["VisibilityTimeout"] >= 6 * resource(function)["Timeout"]
    mappings = of_type("AWS::Lambda::EventSourceMapping").values()
    assert len(mappings) == 3
    for mapping in mappings:
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_without_other_programs_nothing_of_theirs_is_there() -> None:
    resources = translated()["Resources"]
    theirs = {name for name, each in resources.items() if each.get("Condition") == "TellsOthers"}
    told = [name for name in resources if re.match(r"Webhook(Function|Log|Role)|Outbox|Undelivered", name)]
    assert theirs == set(told)
    for rule in ("HistoryRule", "NewcomerRule"):
        to_history, to_others = resource(rule)["TopicRulePayload"]["Actions"]
        assert list(to_history) == ["DynamoDBv2"]
        condition, queued, nothing = to_others["Fn::If"]
        assert (condition, list(queued), nothing) == ("TellsOthers", ["Sqs"], {"Ref": "AWS::NoValue"})


def test_without_alerts_nothing_of_theirs_is_there() -> None:
    resources = translated()["Resources"]
    theirs = {name for name, each in resources.items() if each.get("Condition") == "SendsAlerts"}
    assert theirs == {name for name in resources if re.match(r"(Unsent)?Alert|Answer|Link", name)}
    for name, each in of_type("AWS::Lambda::Function").items():
        key = {"Ref": "AlertCodeKey" if name in theirs else "CodeKey"}
        assert each["Code"]["S3Key"] == key


def test_nobody_is_asked_after_in_slack_and_nothing_of_that_is_there_unless_it_is_set() -> None:
    resources = translated()["Resources"]
    theirs = {name for name, each in resources.items() if each.get("Condition") == "AsksQuiet"}
    assert theirs == {name for name in resources if name.startswith("Quiet")}
    assert source()["Parameters"]["SlackQuiet"]["Default"] == ""
    for name, each in of_type("AWS::Lambda::Function").items():
        table = {"Ref": "QuietTable"}
        wanted = table if name in theirs else {"Fn::If": ["AsksQuiet", table, ""]}
        assert each["Environment"]["Variables"]["STACK_QUIET"] == wanted


def test_every_table_forgets() -> None:
    for each in of_type("AWS::DynamoDB::Table").values():
        assert each["TimeToLiveSpecification"] == {"AttributeName": "expires", "Enabled": True}


def test_what_holds_or_costs_something_is_tagged() -> None:
    for name, each in translated()["Resources"].items():
        types = ("Function", "Table", "Queue", "Bucket", "Distribution", "Role", "LogGroup", "Api", "Alarm")
        if each["Type"].rpartition(":")[2] in types:
            tags = each["Properties"]["Tags"]
            assert tags.get("application") if isinstance(tags, dict) else "staffcall" in str(tags), name


# --- secrets


def test_no_secret_has_a_way_into_the_template_or_an_environment() -> None:
    names = re.compile(r"TOKEN|SECRET|KEY|WEBHOOK", re.IGNORECASE)
    parameters = [name for name in source()["Parameters"] if names.search(name)]
    assert parameters == ["CodeKey", "AlertCodeKey"]  # of the zips
    for each in of_type("AWS::Lambda::Function").values():
        variables = each["Environment"]["Variables"]
        assert [name for name in variables if names.search(name)] == ["STACK_SECRETS"]
        assert variables["STACK_SECRETS"] == {"Fn::Sub": "/${AWS::StackName}/"}


# --- what each may do


def calls_of_all_functions(here: Cloud) -> None:
    """Everything that each function does, at least once."""

    def press(button: str) -> None:
        body = json.dumps({"button": button, "click": "SINGLE", "id": str(time.time_ns())}).encode()
        bearer = {"Authorization": f"Bearer {BUTTON_TOKEN}", "Content-Type": "application/json"}
        here.run("button", gateway("POST", "/buttons/webhook", body, **bearer))

    def says(user: str, text: str) -> None:
        form = {"token": OUTGOING_TOKEN, "channel_id": "C", "timestamp": str(time.time()), "user_id": user}
        here.run("slack", gateway("POST", "/slack/outgoing", urlencode({**form, "text": text}).encode()))

    def idle(id: str) -> None:
        end = time.monotonic() + 8
        while read(here.place, f"staff-{id}").state is not StaffState.IDLE:
            assert time.monotonic() < end
            here.run("timer", {"Records": here.queued()})
            time.sleep(0.05)

    def alerted() -> dict[str, Any]:
        """Hana is called, and asked for by the first other way; what Lambda brings of it."""
        staff = read(here.place, "staff-hana")
        assert staff.state is StaffState.CALLING
        here.place.shadows.update("staff-hana", desired={"alert": f"{staff.call.id}/{staff.asked.since}/1"})
        return {"Records": [record({"alert": "staff-hana"})]}

    press("nobody")
    here.run("quiet", {})
    press("demo")
    here.run("button", {"topic": "staffcall/buttons/demo/press", "battery": 0.5})  # it says that it lives
    says("U0HANA", "no")  # Sora is called
    here.queued()
    time.sleep(0.6)
    here.run("sweep", {})  # and nobody is left
    says("U0HANA", "away")
    press("demo")  # Sora is called
    idle("sora")
    says("U0HANA", "back")
    press("demo")
    idle("hana")  # Sora is called
    idle("sora")
    press("demo")
    here.queued()
    time.sleep(0.6)
    here.run("sweep", {})  # Sora is called, and not by the timer
    add_button(here.place, NewButton(id="duty", single=ON_DUTY))
    now = here.place.clock() // MINUTE_MS * MINUTE_MS
    save(here.place, [Duty(booth="main", start=now, end=now + MINUTE_MS, staff="hana")])
    here.place.shadows.update(ROSTER, reported={"announced": now - 1})
    press("duty")
    add_button(here.place, NewButton(id="starts", single="lambda:backup", double="topic:lamp/1"))
    press("starts")
    here.run("timer", {"Records": here.queued()})
    here.run("sweep", {})  # Hana's duty is announced
    here.slack.next(status=500)
    press("demo")
    link = Link(thing="staff-hana", call=read(here.place, "staff-hana").call.id, expires=2_000_000_000)
    alert = alerted()
    here.run("answer", gateway("GET", f"/answer/{token(link, ANSWER, LINK_KEY)}"))  # Hana is mentioned now
    here.run("alert", alert)  # nobody listens there
    here.run("answer", gateway("POST", f"/answer/{token(link, ANSWER, LINK_KEY)}"))
    says("U0HANA", "done")
    press("demo")
    here.run("sweep", {})
    here.run(
        "timer", {"Records": [{"messageId": "1", "body": '{"tell": "staff-hana", "tries": 0, "at": 0}'}]}
    )
    here.run("alert", alert)  # of a call that is over
    said = f"https://the-api.example/answer/status-1-1/{token(link, status_purpose(1, 1), LINK_KEY)}"
    twilio = {"X_Twilio_Signature": signature(TOKEN, said, [("MessageStatus", "sent")])}
    path = said.removeprefix("https://the-api.example")
    here.run("answer", gateway("POST", path, b"MessageStatus=sent", **twilio))
    for button, staff in (("bell", "night"), ("ring", "sora")):
        asked = {"id": button, "staff": staff, "booth": button, "phone": "81901234567", "message": "Come"}
        event = gateway("POST", "/buttons/register", json.dumps(asked).encode())
        event["requestContext"]["authorizer"] = {"iam": {"accountId": "123456789012"}}
        assert here.run("register", event)["statusCode"] == 200
    here.run("webhook", {"Records": [record({"thing": "staff-hana", "asked": {}})]})
    here.run("webhook", {"Records": here.outbox()})  # nobody listens there


def covers(resource: str, named: str) -> bool:
    """Whether a right on a resource is one on this thing or queue; "" for what is neither."""
    return (
        resource == "*"
        or not named
        or fnmatchcase(named, resource.rpartition("thing/")[2].removesuffix(".Arn"))
    )


def test_each_function_may_do_exactly_what_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.aws.quiet.READ_FOR_S", 0)  # each looks for itself
    hook = {
        "STAFFCALL_WEBHOOK_URL": "http://127.0.0.1:9/in",
        "STAFFCALL_WEBHOOK_SECRET": SECRET,
        "STAFFCALL_ALERTS": f"json://127.0.0.1:9/{{id}} {URL}",
    }
    with (
        FakeSlack() as slack,
        cloud(slack, **hook, STAFFCALL_ACTIONS="lambda:backup") as here,
        patch.dict("os.environ", ASKS_QUIET),
    ):
        slack.scopes = SCOPES | {HOURS}
        calls_of_all_functions(here)
    for function in FUNCTIONS:
        granted = {each for each in statements(f"{function.title()}Role") if each[0] not in BY_LAMBDA}
        called = here.calls[function]
        refused = [
            (action, thing)
            for action, thing in called
            if not any(action == allowed and covers(where, thing) for allowed, where in granted)
        ]
        assert refused == [], function
        idle = [
            (allowed, where)
            for allowed, where in granted
            if not any(action == allowed and covers(where, thing) for action, thing in called)
            and (function, allowed) not in BEYOND_MOTO
        ]
        assert idle == [], function


def test_a_click_may_start_the_functions_and_topics_that_were_named_and_nothing_else() -> None:
    given = {policy["Fn::If"][0]: policy["Fn::If"][1:] for policy in resource("TimerRole")["Policies"][1:]}
    rights = {"StartsFunctions": "lambda:InvokeFunction", "Publishes": "iot:Publish"}
    named = {"StartsFunctions": "ActionFunctions", "Publishes": "ActionTopics"}
    for condition, action in rights.items():
        policy, nothing = given[condition]
        (statement,) = policy["PolicyDocument"]["Statement"]
        assert statement == {"Effect": "Allow", "Action": action, "Resource": {"Ref": named[condition]}}
        assert nothing == {"Ref": "AWS::NoValue"}
        assert source()["Parameters"][named[condition]]["Default"] == ""
    roles = {name: json.dumps(each) for name, each in of_type("AWS::IAM::Role").items()}
    assert [name for name, role in roles.items() if "lambda:InvokeFunction" in role] == ["TimerRole"]
    assert {name for name, role in roles.items() if "iot:Publish" in role} == {"TimerRole", "KioskRole"}


def test_a_button_is_registered_by_a_signed_request_alone_and_every_other_door_is_open_as_before() -> None:
    routes = {each["RouteKey"]: each for each in of_type("AWS::ApiGatewayV2::Route").values()}
    signed = {key for key, each in routes.items() if each.get("AuthorizationType") == "AWS_IAM"}
    assert signed == {"POST /buttons/register"}
    (may,) = (
        each["SourceArn"]["Fn::Sub"]
        for each in of_type("AWS::Lambda::Permission").values()
        if each["FunctionName"] == {"Ref": "RegisterFunction"}
    )
    assert may.endswith("${Api}/*/POST/buttons/register")


def test_only_what_has_no_resources_is_granted_on_all() -> None:
    for role in of_type("AWS::IAM::Role"):
        for action, where in statements(role):
            assert where != "*" or action == "iot:ListThings", role
            if "Thing" in action and where != "*":
                assert re.search(r":thing/((staff|button|booth)-\*|roster)$", where), (role, action)


def test_a_guest_may_only_read_the_shadows_of_staff_booths_and_machines_and_what_is_for_them() -> None:
    def arn(rest: str) -> str:
        return "arn:${AWS::Partition}:iot:${AWS::Region}:${AWS::AccountId}:" + rest

    kinds = ("staff", "booth")
    assert set(statements("KioskRole")) == {
        ("iot:Connect", arn("client/kiosk-*")),
        *(("iot:Subscribe", arn(f"topicfilter/$aws/things/+/shadow/{each}")) for each in ANSWERS),
        *(
            ("iot:Receive", arn(f"topic/$aws/things/{kind}-*/shadow/{each}"))
            for kind in kinds
            for each in ANSWERS
        ),
        *(("iot:Publish", arn(f"topic/$aws/things/{kind}-*/shadow/get")) for kind in kinds),
        *(
            (f"iot:{action}", arn(f"{kind}/$aws/things/machine-*/shadow/name/data/{each}"))
            for action, kind in (("Subscribe", "topicfilter"), ("Receive", "topic"))
            for each in ANSWERS
            if each != "update/delta"
        ),
        ("iot:Publish", arn("topic/$aws/things/machine-*/shadow/name/data/get")),
        *(
            (f"iot:{action}", arn(f"{kind}/kiosk/kiosk-*-${{!cognito-identity.amazonaws.com:sub}}.*/in"))
            for action, kind in (("Subscribe", "topicfilter"), ("Receive", "topic"))
        ),
    }
    (trust,) = resource("KioskRole")["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Condition"] == {
        "StringEquals": {"cognito-identity.amazonaws.com:aud": {"Ref": "IdentityPool"}},
        "ForAnyValue:StringLike": {"cognito-identity.amazonaws.com:amr": "unauthenticated"},
    }


def test_a_page_from_aws_may_do_as_little_as_one_from_the_local_place() -> None:
    sub, names = resource("KioskHeaders")["ResponseHeadersPolicyConfig"]["SecurityHeadersConfig"][
        "ContentSecurityPolicy"
    ]["ContentSecurityPolicy"]["Fn::Sub"]
    assert list(names) == ["Mqtt"]
    code = (ROOT / "infra" / "local" / "web.py").read_text("utf-8")
    local = "".join(re.findall(r'"((?:default-src|manifest-src)[^"]*)"', code))
    there, here = (directives(policy) for policy in (sub, local))
    assert there.pop("connect-src") == [
        "'self'",
        "wss://${Mqtt}",
        "https://cognito-identity.${AWS::Region}.${AWS::URLSuffix}",
    ]
    assert here.pop("connect-src") == ["'self'", "{mqtt}"]
    assert there == here


def directives(policy: str) -> dict[str, list[str]]:
    parts = [part.split() for part in policy.split(";") if part.strip()]
    return {name: values for name, *values in parts}
