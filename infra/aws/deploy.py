"""Everything on AWS, brought up, looked at and taken down: code, secrets, stack, kiosk."""

import hashlib
import json
import secrets
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from infra.aws import buckets, package, stack
from infra.aws.account import Account
from infra.aws.place import LINK_KEY
from infra.aws.stack import Say, Stack
from shadows.actions import Allowed, Kind
from shadows.aws import AwsShadows, AwsThings
from shadows.duty import ROSTER
from shadows.errors import Rejected

TEMPLATE: Final = package.ROOT / "infra" / "template.yaml"
BUTTON_TOKEN: Final = "STAFFCALL_BUTTON_TOKEN"  # noqa: S105 - a name
OTHERS: Final = "STAFFCALL_WEBHOOK_URL"  # other programs, which are told of each transition
ALERTS: Final = "STAFFCALL_ALERTS"  # other ways than Slack to reach people
KINDS: Final = ("staff", "button", "booth", "machine")
REQUESTS_AT_ONCE: Final = 8
NAMES_AT_ONCE: Final = 100  # alarms that CloudWatch describes, by name, in a request


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be there.

    Attributes:
        stack: its name.
        parameters: of the template; what is not given stays as it is, or is the template's default.
        secrets: values by their variable's name; what is not given stays as it is.
    """

    stack: str
    parameters: Mapping[str, str]
    secrets: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How a stack is.

    Attributes:
        alarms: those that are in ALARM, with CloudWatch's reason.
        dead: timer messages that were given up; None while there is no queue.
    """

    stack: Stack
    alarms: Mapping[str, str]
    dead: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """What is there now.

    Attributes:
        outputs: of the stack.
        secrets: the names of those that are stored.
    """

    outputs: Mapping[str, str]
    secrets: frozenset[str]


def deploy(account: Account, wish: Wish, say: Say) -> Deployed:
    """Bring everything up, or up to date; as often as one likes.

    Raises:
        stack.StackFailed: the first resource that failed, and why; the stack is as it was before.
        package.Unpackable: the functions' code cannot be packed here.
    """
    say(f"Account {account.number}, region {account.region}, stack {wish.stack}")
    stack.settled(account.client("cloudformation"), wish.stack, say)  # one that is not ours is refused first
    packed = package.build()
    say(f"Code: {len(packed.content) / 1e6:.2f} MB, {packed.name[:12]}")
    bucket = buckets.code_bucket(account, wish.stack)
    buckets.make(account, bucket, say)
    buckets.put(account, bucket, packed.key, packed.content)
    # By request, CloudFormation takes no more than 51,200 bytes; from a bucket, a megabyte.
    template = TEMPLATE.read_bytes()
    key = f"template/{hashlib.sha256(template).hexdigest()}.yaml"
    url = buckets.put(account, bucket, key, template)
    kept = _keep_secrets(account, wish, say)
    placed = {
        "CodeBucket": bucket,
        "CodeKey": packed.key,
        "IotEndpoint": account.shadow_host,
        "TellOthers": "yes" if OTHERS in kept else "no",
        **_action_arns(account, wish.parameters),
        "SendAlerts": "yes" if ALERTS in kept else "no",
        "AlertCodeKey": _put_alerting(account, bucket, say) if ALERTS in kept else "none",
    }
    parameters = {**wish.parameters, **placed}
    made = stack.change(account.client("cloudformation"), wish.stack, url, parameters, say)
    buckets.put_kiosk(account, made.outputs, say)
    buckets.empty(
        account, bucket, but={packed.key, key, placed["AlertCodeKey"]}
    )  # what was before: nothing rolls back to it now
    return Deployed(outputs=made.outputs, secrets=kept)


def _action_arns(account: Account, parameters: Mapping[str, str]) -> dict[str, str]:
    """The functions and topics that buttons may start, each named by itself; nothing, if what may be stays as it is."""
    if "Actions" not in parameters:
        return {}
    allowed, home = Allowed.read(parameters["Actions"]), f"{account.region}:{account.number}"
    functions = [f"arn:{account.partition}:lambda:{home}:function:{each}" for each in allowed.of(Kind.LAMBDA)]
    topics = (each.removesuffix("/#") + "/*" * each.endswith("/#") for each in allowed.of(Kind.TOPIC))
    named = [f"arn:{account.partition}:iot:{home}:topic/{each}" for each in topics]
    return {"ActionFunctions": ",".join(functions), "ActionTopics": ",".join(named)}


def _put_alerting(account: Account, bucket: str, say: Say) -> str:
    """Put the code of the functions that send alerts into the bucket; its key."""
    packed = package.build(*package.ALERTING)
    say(f"Code of alerts: {len(packed.content) / 1e6:.2f} MB, {packed.name[:12]}")
    buckets.put(account, bucket, packed.key, packed.content)
    return packed.key


def status(account: Account, name: str) -> Status | None:
    """How a stack is; None if there is none."""
    cloudformation = account.client("cloudformation")
    found = stack.find(cloudformation, name)
    if found is None:
        return None
    alarms = stack.resources(cloudformation, name, "AWS::CloudWatch::Alarm")
    queue = found.outputs.get("TimerQueueUrl")
    return Status(
        stack=found,
        alarms=dict(_ringing(account, alarms)),
        dead=_dead(account, queue) if queue else None,
    )


def destroy(account: Account, name: str, say: Say) -> None:
    """Take everything down: the roster, the stack with what its buckets hold, the code, the secrets.

    Raises:
        stack.StackFailed: there is nothing, or something of the stack could not be deleted; try again when it can.
    """
    cloudformation, code = account.client("cloudformation"), buckets.code_bucket(account, name)
    found = stack.settled(cloudformation, name, say)
    if found is None and not buckets.is_there(account, code):
        raise stack.StackFailed(f"there is no stack {name}, and nothing is left of one")
    if found:
        _drop_roster(account, say)
        for bucket in stack.resources(cloudformation, found.id, "AWS::S3::Bucket"):
            say(f"Bucket {bucket}: emptied, {buckets.empty(account, bucket)} objects")
        stack.delete(cloudformation, found, say)
    _drop_secrets(account, name, say)
    buckets.delete(account, code, say)  # last: who tries again finds by it that something is left


def roster(account: Account) -> dict[str, list[str]]:
    """The names of all things of ours, by their type."""
    things = AwsThings(account.client("iot"))
    return {kind: [thing.name for thing in things.list(type=kind)] for kind in KINDS}


def _drop_roster(account: Account, say: Say) -> None:
    """Delete shadows and things: people's names stay nowhere, and a thing type goes only when nothing is of it."""
    things, shadows = AwsThings(account.client("iot")), AwsShadows(account.client("iot-data"))

    def drop(name: str) -> None:
        try:
            shadows.delete(name)
        except Rejected as no:
            if no.code != 404:
                raise
        things.delete(name)

    drop(ROSTER)
    for kind, names in roster(account).items():
        with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
            dropped = len(list(pool.map(drop, names)))
        if dropped:
            say(f"Things of type {kind}: {dropped} deleted")


# --- secrets


def _keep_secrets(account: Account, wish: Wish, say: Say) -> frozenset[str]:
    """Put the secrets where only the functions read them, and make a button token if there is none; their names."""
    there, wanted = dict(_secrets(account, wish.stack)), dict(wish.secrets)
    if BUTTON_TOKEN not in {**there, **wanted}:
        wanted[BUTTON_TOKEN] = secrets.token_urlsafe(24)
        say(f"Secret {BUTTON_TOKEN}: made; set that variable and deploy again to have one of your own")
    if ALERTS in {**there, **wanted} and LINK_KEY not in there:
        wanted[LINK_KEY] = secrets.token_urlsafe(24)
    for variable, value in sorted(wanted.items()):
        if there.get(variable) != value:
            name = f"/{wish.stack}/{variable}"
            account.client("ssm").put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)
            say(f"Secret {name}: stored; functions that run already take it within five minutes")
    return frozenset({**there, **wanted})


def _secrets(account: Account, name: str) -> Iterator[tuple[str, str]]:
    pages = account.client("ssm").get_paginator("get_parameters_by_path")
    for page in pages.paginate(Path=f"/{name}/", WithDecryption=True):
        for each in page["Parameters"]:
            yield each["Name"].rpartition("/")[2], each["Value"]


def _drop_secrets(account: Account, name: str, say: Say) -> None:
    for variable, _ in list(_secrets(account, name)):
        account.client("ssm").delete_parameter(Name=f"/{name}/{variable}")
        say(f"Secret /{name}/{variable}: deleted")


# --- health


def _ringing(account: Account, alarms: list[str]) -> Iterator[tuple[str, str]]:
    for start in range(0, len(alarms), NAMES_AT_ONCE):
        found = account.client("cloudwatch").describe_alarms(
            AlarmNames=alarms[start : start + NAMES_AT_ONCE],
            StateValue="ALARM",
            MaxRecords=NAMES_AT_ONCE,
        )
        for each in found["MetricAlarms"]:
            yield each["AlarmName"], each.get("StateReason", "")


def _dead(account: Account, queue: str) -> int:
    """How many messages wait where a queue puts those that it gives up."""
    sqs = account.client("sqs")
    policy = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["RedrivePolicy"])["Attributes"]
    name = json.loads(policy["RedrivePolicy"])["deadLetterTargetArn"].rpartition(":")[2]
    counted = sqs.get_queue_attributes(
        QueueUrl=sqs.get_queue_url(QueueName=name)["QueueUrl"],
        AttributeNames=["ApproximateNumberOfMessages"],
    )
    return int(counted["Attributes"]["ApproximateNumberOfMessages"])
