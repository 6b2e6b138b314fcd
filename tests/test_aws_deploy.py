"""``staffcall aws`` and the same commands ``--target aws``, against MiniStack: what they do, say, and leave behind."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from infra.aws import deploy, package, stack
from infra.cli import main
from tests.fake_slack import FakeSlack
from tests.ministack import REGION, Ministack
from tests.shop import ROOT

NUMBER = "000000000000"
CODE = f"shop-code-{NUMBER}-{REGION}"
SECRET = "xoxb-1-very-secret"
SESSION = boto3.Session
RUN = "import sys; from infra.cli import main; sys.exit(main())"
# Parts like the real template's, each quick to make; BROKEN adds one that fails after a second.
SMALL = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  CodeBucket: {Type: String}
  CodeKey: {Type: String}
  IotEndpoint: {Type: String}
  CallingSeconds: {Type: Number, Default: 180}
  RunningSeconds: {Type: Number, Default: 300}
  Lang: {Type: String, Default: ja, AllowedValues: [ja, en]}
  AlarmEmail: {Type: String, Default: ""}
  SendAlerts: {Type: String, Default: "no"}
  AlertCodeKey: {Type: String, Default: none}
Resources:
  StaffType: {Type: "AWS::IoT::ThingType", Properties: {ThingTypeName: staff}}
  BoothType: {Type: "AWS::IoT::ThingType", Properties: {ThingTypeName: booth}}
  KioskBucket: {Type: "AWS::S3::Bucket", Properties: {VersioningConfiguration: {Status: Enabled}}}
  Given:
    Type: AWS::SSM::Parameter
    Properties: {Name: given, Type: String, Value: !Sub "${CodeKey} ${CallingSeconds} ${RunningSeconds} ${Lang} ${AlarmEmail}"}
  DeadLetters: {Type: "AWS::SQS::Queue"}
  TimerQueue:
    Type: AWS::SQS::Queue
    Properties: {RedrivePolicy: {deadLetterTargetArn: !GetAtt DeadLetters.Arn, maxReceiveCount: 5}}
  DeadLettersAlarm:
    Type: AWS::CloudWatch::Alarm
    Properties:
      Namespace: AWS/SQS
      MetricName: ApproximateNumberOfMessagesVisible
      Dimensions: [{Name: QueueName, Value: !GetAtt DeadLetters.QueueName}]
      ComparisonOperator: GreaterThanThreshold
      Threshold: 0
      EvaluationPeriods: 1
      Period: 60
      Statistic: Maximum
Outputs:
  KioskBucket: {Value: !Ref KioskBucket}
  KioskUrl: {Value: !Sub "https://${KioskBucket}.example/"}
  TimerQueueUrl: {Value: !Ref TimerQueue}
  IdentityPoolId: {Value: "pool:1"}
"""
BROKEN = SMALL.replace(
    "Outputs:",
    """
  Handle: {Type: "AWS::CloudFormation::WaitConditionHandle"}
  Waiting: {Type: "AWS::CloudFormation::WaitCondition", Properties: {Handle: !Ref Handle, Timeout: "1", Count: 1}}
Outputs:""",
)


@dataclass
class Said:
    status: int
    out: str
    err: str


Cli = Callable[..., Said]


@pytest.fixture(scope="module")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ministack]:
    with Ministack(tmp_path_factory.mktemp("ministack")) as running:
        yield running


@pytest.fixture
def environment(ministack: Ministack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No setting but those that lead to MiniStack; it is empty again afterwards."""
    monkeypatch.chdir(tmp_path)
    for name in [
        name for name in os.environ if name.startswith(("STAFFCALL_", "SLACK_", "AWS_", "SORACOM_"))
    ]:
        monkeypatch.delenv(name)
    for name, value in ministack.environment.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("STAFFCALL_STACK", "shop")
    monkeypatch.setattr(stack, "POLL_S", 0.05)
    monkeypatch.setattr(boto3, "Session", cache(SESSION))  # it takes long to read its models
    yield
    urllib.request.urlopen(f"{ministack.url}/_ministack/reset", data=b"").close()


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The template that is deployed."""
    file = tmp_path / "small.yaml"
    file.write_text(SMALL)
    monkeypatch.setattr(deploy, "TEMPLATE", file)
    monkeypatch.setattr(package, "LIBRARIES", ())  # nothing runs here, and packing takes a while
    return file


@pytest.fixture
def cli(environment: None, capfd: pytest.CaptureFixture[str]) -> Cli:
    def run(*arguments: str) -> Said:
        capfd.readouterr()
        status = main(arguments)
        return Said(status, *capfd.readouterr())

    return run


def right(said: Said) -> str:
    assert (said.status, said.err) == (0, ""), said
    return said.out


def failed(said: Said) -> str:
    """What was said in one line on stderr."""
    assert said.status == 1, said
    assert said.err.startswith("Error: ")
    assert said.err.count("\n") == 1
    return said.err


def answers_no(question: str) -> str:
    print(question)
    return "n"


def outputs(ministack: Ministack) -> dict[str, str]:
    (found,) = ministack.client("cloudformation").describe_stacks(StackName="shop")["Stacks"]
    return {each["OutputKey"]: each["OutputValue"] for each in found["Outputs"]}


def parameters(ministack: Ministack) -> dict[str, str]:
    (found,) = ministack.client("cloudformation").describe_stacks(StackName="shop")["Stacks"]
    return {each["ParameterKey"]: each["ParameterValue"] for each in found["Parameters"]}


def parameter_store(ministack: Ministack) -> list[str]:
    return [each["Name"] for each in ministack.client("ssm").describe_parameters()["Parameters"]]


def keys(ministack: Ministack, bucket: str) -> set[str]:
    return {each["Key"] for each in ministack.client("s3").list_objects_v2(Bucket=bucket).get("Contents", ())}


# --- deploy


def test_a_deploy_tells_what_happens_line_by_line_and_where_things_are_then(
    cli: Cli, small: Path, ministack: Ministack
) -> None:
    lines = right(cli("aws", "deploy")).splitlines()
    assert lines[0] == f"Account {NUMBER}, region {REGION}, stack shop"
    assert "  add     TimerQueue (AWS::SQS::Queue)" in lines
    done = [line.split()[1:3] for line in lines if "COMPLETE" in line]
    assert done.index(["CREATE_COMPLETE", "DeadLetters"]) < done.index(["CREATE_COMPLETE", "TimerQueue"])
    assert done[-1] == ["CREATE_COMPLETE", "shop"]
    address = outputs(ministack)["KioskUrl"]
    assert f"Kiosk                    {address}" in lines
    assert f"  and open {address}?booth=main on the booth's screen." in lines
    assert "  staffcall --target aws --stack shop press demo" in lines


def test_a_deploy_of_what_is_there_changes_nothing_and_is_no_failure(cli: Cli, small: Path) -> None:
    right(cli("aws", "deploy"))
    again = right(cli("aws", "deploy"))
    assert "Stack shop: no changes" in again
    assert "COMPLETE" not in again
    assert "Secret" not in again


def test_the_timers_may_start_what_was_named_and_that_stays(
    cli: Cli, ministack: Ministack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the whole template."""
    monkeypatch.setattr(package, "LIBRARIES", ())
    monkeypatch.setenv("STAFFCALL_ACTIONS", "lambda:backup, topic:lamp/# lambda:door")
    right(cli("aws", "deploy"))
    monkeypatch.delenv("STAFFCALL_ACTIONS")
    right(cli("aws", "deploy"))
    found = ministack.client("cloudformation").describe_stack_resource(
        StackName="shop", LogicalResourceId="TimerRole"
    )
    role = found["StackResourceDetail"]["PhysicalResourceId"]

    def may(policy: str) -> list[str]:
        got = ministack.client("iam").get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
        (statement,) = (json.loads(got) if isinstance(got, str) else got)["Statement"]
        return [
            re.sub(r"^arn:aws:(\w+):[a-z0-9-]+:[0-9]{12}:", r"\1 ", each) for each in statement["Resource"]
        ]

    assert may("invoke") == ["lambda function:backup", "lambda function:door"]
    assert may("publish") == ["iot topic/lamp/*"]


def test_what_is_not_set_this_time_stays_as_it_was(
    cli: Cli, small: Path, ministack: Ministack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAFFCALL_CALLING_SECONDS", "90.50")
    Path(".env").write_text("STAFFCALL_LANG=EN\n")
    right(cli("aws", "deploy", "--alarm-email", "a@example.com"))
    monkeypatch.delenv("STAFFCALL_CALLING_SECONDS")
    monkeypatch.setenv("STAFFCALL_RUNNING_SECONDS", "600")
    Path(".env").unlink()
    right(cli("aws", "deploy"))
    assert {
        "CallingSeconds": "90.5",
        "RunningSeconds": "600",
        "Lang": "en",
        "AlarmEmail": "a@example.com",
    }.items() <= parameters(ministack).items()


def test_the_code_is_where_the_stack_looks_for_it_and_the_code_of_before_is_gone(
    cli: Cli, small: Path, ministack: Ministack, monkeypatch: pytest.MonkeyPatch
) -> None:
    right(cli("aws", "deploy"))
    first = parameters(ministack)
    assert first["CodeBucket"] == CODE
    assert first["CodeKey"] in keys(ministack, CODE)
    monkeypatch.setattr(package, "LIBRARIES", ("python-ulid",))  # other code
    right(cli("aws", "deploy"))
    second = parameters(ministack)["CodeKey"]
    assert second != first["CodeKey"]
    assert {key for key in keys(ministack, CODE) if key.startswith("code/")} == {second}
    blocked = ministack.client("s3").get_public_access_block(Bucket=CODE)["PublicAccessBlockConfiguration"]
    assert all(blocked.values())


def test_the_kiosk_is_served_as_it_was_built_and_knows_where_its_shadows_are(
    cli: Cli, small: Path, ministack: Ministack
) -> None:
    right(cli("aws", "deploy"))
    s3, bucket = ministack.client("s3"), outputs(ministack)["KioskBucket"]
    s3.put_object(Bucket=bucket, Key="assets/of-before.js", Body=b"")
    right(cli("aws", "deploy"))
    dist = ROOT / "spa" / "dist"
    built = {file.relative_to(dist).as_posix(): file for file in dist.rglob("*") if file.is_file()}
    built = {
        key: file for key, file in built.items() if not file.name.startswith("admin")
    }  # there is none on AWS
    assert keys(ministack, bucket) == {*built, "config.json"}
    for key, file in built.items():
        served = s3.get_object(Bucket=bucket, Key=key)
        assert served["Body"].read() == file.read_bytes()
        assert ("immutable" in served["CacheControl"]) == key.startswith("assets/")
    assert s3.head_object(Bucket=bucket, Key="index.html")["ContentType"] == "text/html; charset=utf-8"
    assert json.load(s3.get_object(Bucket=bucket, Key="config.json")["Body"]) == {
        "place": "aws",
        "mqtt": "",
        "region": REGION,
        "endpoint": parameters(ministack)["IotEndpoint"],
        "identityPool": "pool:1",
    }


def test_secrets_go_into_the_parameter_store_and_nowhere_else(
    cli: Cli, small: Path, ministack: Ministack, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssm = ministack.client("ssm")
    monkeypatch.setenv("SLACK_BOT_TOKEN", SECRET)
    first = right(cli("aws", "deploy"))
    second = right(cli("aws", "deploy"))
    stored = {
        each["Name"]: each
        for each in ssm.get_parameters_by_path(Path="/shop/", WithDecryption=True)["Parameters"]
    }
    assert set(stored) == {"/shop/SLACK_BOT_TOKEN", "/shop/STAFFCALL_BUTTON_TOKEN"}
    assert {(each["Type"], each["Version"]) for each in stored.values()} == {("SecureString", 1)}
    assert stored["/shop/SLACK_BOT_TOKEN"]["Value"] == SECRET
    made = stored["/shop/STAFFCALL_BUTTON_TOKEN"]["Value"]
    assert len(made) >= 32
    events = ministack.client("cloudformation").describe_stack_events(StackName="shop")["StackEvents"]
    seen = f"{first} {second} {events} {parameters(ministack)} {outputs(ministack)} {right(cli('aws', 'status'))}"
    assert SECRET not in seen
    assert made not in seen
    assert "Nobody is mentioned yet" not in second


def test_other_ways_and_other_programs_are_stored_as_they_were_set(
    cli: Cli, small: Path, ministack: Ministack, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {
        "STAFFCALL_ALERTS": "ntfy://localhost/{id} json://localhost/{mail}",
        "STAFFCALL_WEBHOOK_URL": "https://one.example/in https://two.example/in",
        "STAFFCALL_WEBHOOK_SECRET": "whsec_" + "A" * 32,
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(package, "ALERTING", ("six",))
    said = [right(cli("aws", "deploy")), right(cli("aws", "deploy"))]
    stored = {
        each["Name"].rpartition("/")[2]: each
        for each in ministack.client("ssm").get_parameters_by_path(Path="/shop/", WithDecryption=True)[
            "Parameters"
        ]
    }
    assert given.items() <= {name: each["Value"] for name, each in stored.items()}.items()
    assert (len(stored["LINK_KEY"]["Value"]) >= 32, stored["LINK_KEY"]["Version"]) == (
        True,
        1,
    )
    assert not [each for each in stored.values() if each["Value"] in "".join(said)]
    found = parameters(ministack)
    assert found["SendAlerts"] == "yes"
    assert {found["CodeKey"], found["AlertCodeKey"]} <= keys(ministack, CODE)
    assert found["CodeKey"] != found["AlertCodeKey"]


def test_a_way_that_is_none_is_refused_before_anything_is_changed(
    cli: Cli, small: Path, ministack: Ministack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAFFCALL_ALERTS", "nonsense://canary")
    said = cli("aws", "deploy")
    assert (said.status, "STAFFCALL_ALERTS: expected URLs of apprise" in said.err) == (1, True)
    assert "canary" not in said.err
    assert parameter_store(ministack) == []


def test_a_secret_that_changes_is_stored_anew(
    cli: Cli, small: Path, ministack: Ministack, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Nobody is mentioned yet" in right(cli("aws", "deploy"))
    monkeypatch.setenv("STAFFCALL_BUTTON_TOKEN", "chosen")
    assert "Secret /shop/STAFFCALL_BUTTON_TOKEN: stored" in right(cli("aws", "deploy"))
    name = "/shop/STAFFCALL_BUTTON_TOKEN"
    assert (
        ministack.client("ssm").get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
        == "chosen"
    )


# --- what fails


def test_a_first_deploy_that_fails_names_the_part_and_the_reason_and_can_be_tried_again(
    cli: Cli, small: Path, ministack: Ministack
) -> None:
    small.write_text(BROKEN)
    said = cli("aws", "deploy")
    assert "Error: Waiting (AWS::CloudFormation::WaitCondition) failed: WaitCondition timed out" in failed(
        said
    )
    assert (
        "CREATE_FAILED         Waiting (AWS::CloudFormation::WaitCondition): WaitCondition timed" in said.out
    )
    assert "ROLLBACK_COMPLETE" in right(cli("aws", "status"))
    small.write_text(SMALL)
    again = right(cli("aws", "deploy"))
    assert "Stack shop is ROLLBACK_COMPLETE, from an attempt that failed: removing it first" in again
    assert "CREATE_COMPLETE" in right(cli("aws", "status"))


def test_an_update_that_fails_names_the_part_and_leaves_what_was_there(
    cli: Cli, small: Path, ministack: Ministack, monkeypatch: pytest.MonkeyPatch
) -> None:
    right(cli("aws", "deploy"))
    before = parameters(ministack)
    small.write_text(BROKEN)
    monkeypatch.setattr(package, "LIBRARIES", ("python-ulid",))  # other code
    assert "Waiting (AWS::CloudFormation::WaitCondition) failed" in failed(cli("aws", "deploy"))
    assert parameters(ministack) == before
    assert before["CodeKey"] in keys(ministack, CODE)


def test_a_template_that_cloudformation_does_not_take_leaves_no_stack(
    cli: Cli, small: Path, ministack: Ministack
) -> None:
    small.write_text(SMALL.replace("AWS::SQS::Queue", "AWS::SQS::Line"))
    assert "AWS::SQS::Line" in failed(cli("aws", "deploy"))
    assert "there is no stack shop" in failed(cli("aws", "status"))
    small.write_text(SMALL)
    right(cli("aws", "deploy"))


def test_a_stack_of_somebody_else_is_neither_changed_nor_destroyed(
    cli: Cli, small: Path, ministack: Ministack
) -> None:
    cloudformation = ministack.client("cloudformation")
    body = json.dumps({"Resources": {"Line": {"Type": "AWS::SQS::Queue"}}})
    cloudformation.create_stack(StackName="shop", TemplateBody=body)
    for command in (("deploy",), ("destroy", "--yes")):
        assert "not one of Staff Call's" in failed(cli("aws", *command))
    assert cloudformation.describe_stacks(StackName="shop")["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"
    assert not ministack.client("s3").list_buckets()["Buckets"]
    assert not parameter_store(ministack)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--stack", "No_Name", "aws", "deploy"], "--stack: expected"),
        (["aws", "deploy", "--domain", "staff.example.com"], "--domain, --certificate: expected both"),
        (["aws", "status"], "there is no stack shop"),
        (["aws", "destroy", "--yes"], "there is no stack shop"),
        (["press", "b1", "--target", "aws"], "there is no stack shop"),
        (["report", "--target", "aws"], "make it with `staffcall aws deploy`"),
        (["aws", "status", "--endpoint-url", "http://127.0.0.1:9"], "http://127.0.0.1:9"),
    ],
)
def test_what_cannot_be_done_is_one_line_that_says_why(cli: Cli, arguments: list[str], words: str) -> None:
    said = cli(*arguments)
    assert said.status != 0
    assert said.err.startswith("Error: ")
    assert said.err.count("\n") == 1
    assert words in said.err


def test_a_place_without_region_or_key_is_one_line(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, file in (("AWS_CONFIG_FILE", "config"), ("AWS_SHARED_CREDENTIALS_FILE", "credentials")):
        monkeypatch.setenv(name, str(tmp_path / file))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(boto3, "Session", SESSION)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert "credentials" in failed(cli("aws", "status"))
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert "region" in failed(cli("aws", "status"))
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert "nobody" in failed(cli("aws", "status"))


# --- what MiniStack does not do, and AWS does


class Scripted:
    """A CloudFormation that answers a first deploy as it was told, and notes what is asked of it."""

    def __init__(self, reason: str = "", events: tuple[tuple[str, str, str], ...] = ()) -> None:
        """Of each event the part, its status and the reason; oldest first. With ``reason`` the change set fails."""
        self.asked: list[str] = []
        self._reason, self._executed = reason, False
        self._events = [
            {
                "EventId": f"{n}",
                "LogicalResourceId": part,
                "PhysicalResourceId": "id" if part == "shop" else part,
                "ResourceType": "AWS::X::Y",
                "ResourceStatus": status,
                "ResourceStatusReason": why,
                "Timestamp": datetime.now(tz=UTC),
            }
            for n, (part, status, why) in enumerate((("shop", "REVIEW_IN_PROGRESS", ""), *events))
        ]

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def answer(**_: Any) -> Any:
            self.asked.append(name)
            return {
                "get_template_summary": {"Parameters": []},
                "create_change_set": {"Id": "set", "StackId": "id"},
                "describe_change_set": {
                    "ChangeSetId": "set",
                    "StackId": "id",
                    "Status": "FAILED" if self._reason else "CREATE_COMPLETE",
                    "StatusReason": self._reason,
                },
            }.get(name)

        return answer

    def describe_stacks(self, **_: str) -> None:
        raise ClientError(
            {"Error": {"Code": "ValidationError", "Message": "Stack with id shop does not exist"}},
            "DescribeStacks",
        )

    def execute_change_set(self, **_: str) -> None:
        self._executed = True

    def describe_stack_events(self, **_: str) -> dict[str, Any]:
        return {"StackEvents": self._events[::-1] if self._executed else self._events[:1]}

    def get_paginator(self, name: str) -> Any:
        if name == "describe_change_set":
            return SimpleNamespace(paginate=lambda **_: [{"Changes": []}])
        pages = [{"StackEvents": [event]} for event in self._events[::-1]]
        return SimpleNamespace(paginate=lambda **_: pages)


def test_a_first_change_set_that_cannot_be_made_leaves_no_empty_stack() -> None:
    formation = Scripted("Transform AWS::Serverless-2016-10-31 failed with: Invalid Serverless Application")
    with pytest.raises(stack.StackFailed, match="does not take the template: Transform"):
        stack.change(formation, "shop", "https://template", {}, lambda _: None)
    assert formation.asked[-2:] == ["delete_change_set", "delete_stack"]


def test_who_is_only_cancelled_because_another_one_failed_is_not_to_blame() -> None:
    formation = Scripted(
        events=(
            ("Queue", "CREATE_FAILED", "Resource creation cancelled"),
            ("Table", "CREATE_FAILED", "Limit exceeded"),
            ("Topic", "CREATE_FAILED", "came later"),
            (
                "shop",
                "ROLLBACK_IN_PROGRESS",
                "The following resource(s) failed to create: [Queue, Table, Topic].",
            ),
            ("shop", "ROLLBACK_COMPLETE", ""),
        )
    )
    told: list[str] = []
    with pytest.raises(stack.StackFailed, match=r"^Table \(AWS::X::Y\) failed: Limit exceeded$"):
        stack.change(formation, "shop", "https://template", {}, told.append)
    assert [line.split()[2] for line in told] == ["Queue", "Table", "Topic", "shop", "shop"]


# --- status and destroy


def test_the_status_tells_of_alarms_and_of_messages_that_were_given_up(
    cli: Cli, small: Path, ministack: Ministack
) -> None:
    right(cli("aws", "deploy"))
    calm = right(cli("aws", "status"))
    assert "Stack shop: CREATE_COMPLETE" in calm
    assert f"  KioskUrl: {outputs(ministack)['KioskUrl']}" in calm
    assert "Alarms: none" in calm
    assert "Timer messages given up: 0" in calm
    sqs, cloudwatch = ministack.client("sqs"), ministack.client("cloudwatch")
    (dead,) = [each for each in sqs.list_queues()["QueueUrls"] if "DeadLetters" in each]
    sqs.send_message(QueueUrl=dead, MessageBody="{}")
    (alarm,) = cloudwatch.describe_alarms()["MetricAlarms"]
    cloudwatch.set_alarm_state(AlarmName=alarm["AlarmName"], StateValue="ALARM", StateReason="one is there")
    bad = right(cli("aws", "status"))
    assert f"ALARM {alarm['AlarmName']}: one is there" in bad
    assert "Timer messages given up: 1" in bad


def test_destroy_asks_first(
    cli: Cli, small: Path, ministack: Ministack, monkeypatch: pytest.MonkeyPatch
) -> None:
    right(cli("aws", "deploy"))
    ministack.client("iot").create_thing(thingName="staff-hana", thingTypeName="staff")
    monkeypatch.setattr("click.termui.visible_prompt_func", answers_no)
    said = cli("aws", "destroy")
    assert "nothing was destroyed" in failed(said)
    assert f"Destroy stack shop of account {NUMBER}, region {REGION}" in said.out
    assert "staff: 1" in said.out
    assert "CREATE_COMPLETE" in right(cli("aws", "status"))


def test_destroy_leaves_nothing(cli: Cli, small: Path, ministack: Ministack) -> None:
    right(cli("aws", "deploy"))
    right(cli("aws", "deploy"))  # the kiosk's bucket keeps versions
    for id in ("hana", "sora"):
        right(cli("staff", "add", id, "--name", id, "--target", "aws"))
    ministack.client("iot").create_thing(thingName="pump-1")
    told = right(cli("aws", "destroy", "--yes"))
    assert "Things of type staff: 2 deleted" in told
    assert told.splitlines()[-1] == "Stack shop: gone"
    assert not ministack.client("s3").list_buckets()["Buckets"]
    assert not parameter_store(ministack)
    assert not ministack.client("iot").list_thing_types()["thingTypes"]
    assert [each["thingName"] for each in ministack.client("iot").list_things()["things"]] == ["pump-1"]
    with pytest.raises(ministack.client("iot-data").exceptions.ResourceNotFoundException):
        ministack.client("iot-data").get_thing_shadow(thingName="staff-hana")
    right(cli("aws", "deploy"))


# --- the same commands, on AWS


def test_the_same_commands_act_on_aws(
    cli: Cli, ministack: Ministack, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A Slack that takes all: a message that is tried again would run a function while the stack goes.
    with FakeSlack() as slack:
        monkeypatch.setenv("SLACK_WEBHOOK_URL", slack.url)
        right(cli("aws", "deploy"))
        ministack.let_functions_read_secrets("shop")
        monkeypatch.setenv("STAFFCALL_TARGET", "aws")
        right(cli("staff", "add", "hana", "--name", "花 Hana", "--slack", "U0HANA"))
        right(cli("button", "add", "b1", "--staff", "hana"))
        with watching() as watch:
            assert "hana  花 Hana  idle" in watch.line()
            assert right(cli("press", "b1")).startswith("staff-hana: calling (call 01")
            assert "hana  花 Hana  calling  main" in watch.line()
            assert "button: b9 is unknown" in failed(cli("press", "b9"))
            assert "button: expected" in failed(cli("press", "b 9"))
            assert right(cli("button", "list", "--unknown")).splitlines()[1].split()[:2] == ["b9", "mqtt"]
            assert "calling" in right(cli("staff", "list"))
            right(cli("staff", "away", "hana"))
            assert "hana  花 Hana  away" in watch.line()
        assert until_reported(cli, "花 Hana (hana)") == ["1", "0", "1"]
        right(cli("aws", "destroy", "--yes"))
        assert not ministack.client("dynamodb").list_tables()["TableNames"]
        assert not ministack.client("lambda").list_functions()["Functions"]
        assert not [
            each
            for each in ministack.client("logs").describe_log_groups()["logGroups"]
            if "shop" in each["logGroupName"]
        ]


@dataclass
class Watch:
    process: "subprocess.Popen[str]"

    def line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline() or self.process.communicate()[1]

    def __enter__(self) -> "Watch":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(10) == 0
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe
            pipe.close()


def watching() -> Watch:
    return Watch(
        subprocess.Popen(
            [sys.executable, "-c", RUN, "watch"],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    )


def until_reported(cli: Cli, name: str) -> list[str]:
    """Calls, answered and missed of somebody, once the rule has written all of it."""
    end = time.monotonic() + 8
    while time.monotonic() < end:
        rows = [line for line in right(cli("report")).splitlines() if line.startswith(name)]
        if rows and (found := rows[0].removeprefix(name).split())[2] != "0":
            return found
    raise AssertionError(f"{name} is not reported")


def test_an_import_that_somebody_looks_at_has_a_bar_below_its_lines(cli: Cli, small: Path) -> None:
    right(cli("aws", "deploy"))
    Path("staff.csv").write_text("id,name\nhana,Hana\nsora,\n")
    seen, status = in_a_terminal("staff", "import", "staff.csv", "--target", "aws")
    lines = [line.rpartition("\x1b[2K")[2] for line in seen.splitlines()]
    assert status == 1
    assert lines.count("line 2: hana: added") == 1
    assert "line 3: sora: failed: name: expected" in seen
    assert "2/2" in seen
    assert "Error: 1 of 2 lines failed" in seen


def in_a_terminal(*arguments: str) -> tuple[str, int]:
    """What somebody sees, and the status."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", RUN, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "120"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        seen = b""
        with suppress(OSError):  # so ends a terminal whose other side is closed
            while read := os.read(ours, 4096):
                seen += read
        os.close(ours)
        return seen.decode(), process.wait(10)


def test_a_thousand_staff_are_listed_page_by_page(cli: Cli, ministack: Ministack, small: Path) -> None:
    right(cli("aws", "deploy"))
    iot, ids = ministack.client("iot"), [f"p{number:03}" for number in range(1000)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda id: iot.create_thing(thingName=f"staff-{id}", thingTypeName="staff"), ids))
    listed = right(cli("staff", "list", "--target", "aws")).splitlines()
    assert [line.split()[0] for line in listed[1:]] == ids
