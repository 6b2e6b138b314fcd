"""What ``staffcall doctor`` looks at on AWS: the stack, its alarms and queues, its secrets, and whether the sweep comes."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final

from botocore.exceptions import ClientError

from infra.aws import deploy, stack
from infra.aws.account import Account
from infra.aws.place import secrets
from infra.settings import Settings
from shadows.finding import Finding, right, unknown, wrong
from shadows.trouble import Trouble

SWEPT_WITHIN_MS: Final = 180_000
WAITING: Final = 10  # messages that are due and that nobody takes: a moment's worth
NEEDED: Final = frozenset({deploy.BUTTON_TOKEN})
ANY_OF: Final = frozenset({"SLACK_BOT_TOKEN", "SLACK_WEBHOOK_URL", "STAFFCALL_ALERTS"})


def of_stack(account: Account, name: str) -> Iterator[Finding]:
    """How the stack is. What the caller may not look at is named with the action that would let them."""
    looks: dict[str, Callable[[], Iterator[Finding]]] = {
        "cloudformation:DescribeStacks, cloudwatch:DescribeAlarms and sqs:GetQueueAttributes": lambda: (
            _status(account, name)
        ),
        "sqs:GetQueueAttributes": lambda: _queue(account, name),
        "ssm:GetParametersByPath": lambda: _secrets(account, name),
        "logs:FilterLogEvents": lambda: _sweep(account, name),
    }
    for action, look in looks.items():
        try:
            yield from look()
        except ClientError as no:
            if not _is_denied(no):
                raise
            yield unknown("aws", f"AWS does not let you look: {action}", "Have this action allowed to you.")
    detail = "AWS says nothing of which screens are connected"
    yield unknown(
        "kiosk", detail, "Look at each booth's screen; staffcall watch shows what they should show."
    )


def settings(account: Account, name: str) -> Settings | None:
    """How Slack is connected there; None if the caller may not read the secrets.

    Raises:
        infra.settings.SettingsError: a setting or a secret is wrong.
    """
    found = stack.find(account.client("cloudformation"), name)
    parameters = found.parameters if found else {}
    try:
        private = secrets(account.client("ssm"), f"/{name}/")
    except ClientError as no:
        if _is_denied(no):
            return None
        raise
    public = {
        "SLACK_CHANNEL": parameters.get("SlackChannel", ""),
        "SLACK_API_URL": parameters.get("SlackApiUrl", ""),
        "STAFFCALL_LANG": parameters.get("Lang", ""),
        "STAFFCALL_SLACK_QUIET": parameters.get("SlackQuiet", ""),
        "STAFFCALL_ACTIONS": parameters.get("Actions", ""),
        "STAFFCALL_TARGET": "aws",
    }
    return Settings.from_env({**public, **private})


def _is_denied(no: ClientError) -> bool:
    return "AccessDenied" in no.response["Error"].get("Code", "") or "Unauthorized" in str(no)


def _status(account: Account, name: str) -> Iterator[Finding]:
    found = deploy.status(account, name)
    assert found, "its outputs were read a moment ago"
    if found.stack.status.endswith("_COMPLETE") and "ROLLBACK" not in found.stack.status:
        yield right("aws", f"The stack is {found.stack.status}")
    else:
        yield _aws(
            f"The stack is {found.stack.status}", "Run `staffcall aws deploy` again; it says what fails."
        )
    for alarm, reason in found.alarms.items():
        yield _aws(
            f"The alarm {alarm} rings: {reason}", "Look into the log of the function that it is about."
        )
    if not found.alarms:
        yield right("aws", "No alarm rings")
    if found.dead:
        fix = "Look into the log of the timer function; then purge the queue of dead letters."
        yield _aws(f"{found.dead} timer messages were given up", fix)
    elif found.dead is not None:
        yield right("aws", "No timer message was given up")


def _queue(account: Account, name: str) -> Iterator[Finding]:
    found = stack.find(account.client("cloudformation"), name)
    assert found
    counted = account.client("sqs").get_queue_attributes(
        QueueUrl=found.outputs["TimerQueueUrl"], AttributeNames=["ApproximateNumberOfMessages"]
    )
    waiting = int(counted["Attributes"]["ApproximateNumberOfMessages"])
    if waiting <= WAITING:
        yield right("aws", "The timers' messages are taken")
    else:
        fix = (
            "See in the console whether the timer function's trigger is enabled, and whether it is throttled."
        )
        yield _aws(f"{waiting} timer messages are due, and nobody takes them", fix)


def _secrets(account: Account, name: str) -> Iterator[Finding]:
    there = secrets(account.client("ssm"), f"/{name}/").keys()
    missing = [*(NEEDED - there), *([] if ANY_OF & there else [" or ".join(sorted(ANY_OF))])]
    for each in missing:
        yield _aws(f"The secret {each} is not stored", "Set it, and run `staffcall aws deploy` again.")
    if not missing:
        yield right("aws", "The secrets are stored")


def _sweep(account: Account, name: str) -> Iterator[Finding]:
    """By its log: each run leaves a line there within seconds. Metrics, and a stream's last event, come later."""
    group = account.client("cloudformation").describe_stack_resource(
        StackName=name, LogicalResourceId="SweepLog"
    )["StackResourceDetail"]["PhysicalResourceId"]
    since = time.time_ns() // 1_000_000 - SWEPT_WITHIN_MS
    if _has_events(account.client("logs"), group, since):
        yield right("aws", "The sweep came in the last 3 minutes")
    else:
        fix = (
            "See in the console whether its schedule is enabled, and look into the log of the sweep function."
        )
        yield _aws("The sweep did not come in the last 3 minutes", fix)


def _has_events(logs: Any, group: str, since: int) -> bool:
    with suppress(logs.exceptions.ResourceNotFoundException):  # a function that never ran has no log
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=since):
            if page["events"]:
                return True
    return False


def _aws(detail: str, fix: str) -> Finding:
    return wrong(Trouble(what="aws", detail=detail, fix=fix))
