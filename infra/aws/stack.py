"""A CloudFormation stack: change it, follow what happens, say which part failed and why."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError
from ulid import ULID

Say = Callable[[str], None]

POLL_S = 2.0
EMPTY: Final = ("didn't contain changes", "No updates are to be performed")
CANCELLED: Final = ("creation cancelled", "update cancelled")  # because another one failed
IN_REVIEW: Final = "REVIEW_IN_PROGRESS"  # what a first change set leaves that nobody executed
DEAD: Final = frozenset({"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"})
CAPABILITIES: Final = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
TAGS: Final = [{"Key": "application", "Value": "staffcall"}]


class StackFailed(Exception):  # noqa: N818 - what it says
    """A stack is not as it was to be; the argument says which resource is to blame, and why."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack, as it stands."""

    id: str
    status: str
    reason: str
    outputs: Mapping[str, str]
    parameters: Mapping[str, str]
    is_ours: bool

    @property
    def in_progress(self) -> bool:
        """Whether it is being changed right now."""
        return self.status.endswith("_IN_PROGRESS") and self.status != IN_REVIEW


def find(cloudformation: Any, name: str) -> Stack | None:
    """The stack of this name or id; None if there is none."""
    try:
        (found,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
    except ClientError as no:
        if no.response["Error"]["Code"] == "ValidationError" and "does not exist" in str(no):
            return None
        raise
    return Stack(
        id=found["StackId"],
        status=found["StackStatus"],
        reason=found.get("StackStatusReason", ""),
        outputs={each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", ())},
        parameters={each["ParameterKey"]: each["ParameterValue"] for each in found.get("Parameters", ())},
        is_ours=all(tag in found.get("Tags", ()) for tag in TAGS),
    )


def change(
    cloudformation: Any, name: str, template_url: str, parameters: Mapping[str, str], say: Say
) -> Stack:
    """Make a stack, or make it as the template and parameters say; one that is so already stays untouched.

    A parameter that is not given stays as it is, or is the template's default.

    Raises:
        StackFailed: it could not be done; CloudFormation has put everything back.
    """
    stack = _ready(cloudformation, name, say)
    change_set = _propose(cloudformation, name, stack, template_url, parameters)
    if change_set is None:
        say(f"Stack {name}: no changes")
    else:
        for line in _changes(cloudformation, change_set):
            say(line)
        mark = _newest(cloudformation, change_set["StackId"])
        cloudformation.execute_change_set(ChangeSetName=change_set["ChangeSetId"])
        _follow(cloudformation, change_set["StackId"], mark, say)
    return _there(cloudformation, name)


def delete(cloudformation: Any, stack: Stack, say: Say) -> None:
    """Delete a stack, and wait until it is gone.

    Raises:
        StackFailed: something of it could not be deleted.
    """
    mark = _newest(cloudformation, stack.id)
    cloudformation.delete_stack(StackName=stack.id)
    _follow(cloudformation, stack.id, mark, say)


def resources(cloudformation: Any, name: str, type: str) -> list[str]:
    """Physical ids of what a stack has of a type, such as ``AWS::S3::Bucket``."""
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=name)
    return [
        each["PhysicalResourceId"]
        for page in pages
        for each in page["StackResourceSummaries"]
        if each["ResourceType"] == type
        and each.get("PhysicalResourceId")
        and each["ResourceStatus"] != "DELETE_COMPLETE"
    ]


def settled(cloudformation: Any, name: str, say: Say) -> Stack | None:
    """The stack, once nobody changes it any more; None if there is none.

    Raises:
        StackFailed: there is one of this name, and it is something else.
    """
    stack = find(cloudformation, name)
    if stack and stack.in_progress:
        say(f"Stack {name} is {stack.status}: somebody is at it, waiting")
    while stack and stack.in_progress:
        time.sleep(POLL_S)
        stack = find(cloudformation, name)
    if stack and not stack.is_ours and stack.status != IN_REVIEW:
        raise StackFailed(f"stack {name} is not one of Staff Call's: it has no tag {TAGS[0]['Key']}")
    return stack


def _ready(cloudformation: Any, name: str, say: Say) -> Stack | None:
    """The stack that can be updated; None if it is to be created."""
    stack = settled(cloudformation, name, say)
    if stack is None or stack.status == IN_REVIEW:
        return None
    if stack.status not in DEAD:
        return stack
    say(f"Stack {name} is {stack.status}, from an attempt that failed: removing it first")
    delete(cloudformation, stack, say)
    return None


def _there(cloudformation: Any, name: str) -> Stack:
    stack = find(cloudformation, name)
    assert stack, f"stack {name} was there a moment ago"
    return stack


# --- change sets


def _propose(
    cloudformation: Any, name: str, stack: Stack | None, template_url: str, parameters: Mapping[str, str]
) -> dict[str, Any] | None:
    """What would be changed, as CloudFormation sees it; None for nothing."""
    made = cloudformation.create_change_set(
        StackName=name,
        ChangeSetName=f"deploy-{ULID()}",
        ChangeSetType="UPDATE" if stack else "CREATE",
        TemplateURL=template_url,
        Parameters=_parameters(cloudformation, stack, template_url, parameters),
        Capabilities=CAPABILITIES,
        Tags=TAGS,
    )
    proposed = _computed(cloudformation, made["Id"])
    if proposed["Status"] != "FAILED":
        return proposed
    cloudformation.delete_change_set(ChangeSetName=made["Id"])
    reason = proposed.get("StatusReason", "")
    if stack and any(words in reason for words in EMPTY):
        return None
    if stack is None:  # a first change set leaves an empty stack
        cloudformation.delete_stack(StackName=made["StackId"])
    raise StackFailed(f"CloudFormation does not take the template: {reason}")


def _parameters(
    cloudformation: Any, stack: Stack | None, template_url: str, given: Mapping[str, str]
) -> list[dict[str, Any]]:
    declared = cloudformation.get_template_summary(TemplateURL=template_url)["Parameters"]
    kept = {each["ParameterKey"] for each in declared} & set(stack.parameters if stack else ())
    return [
        *({"ParameterKey": name, "ParameterValue": value} for name, value in given.items()),
        *({"ParameterKey": name, "UsePreviousValue": True} for name in sorted(kept - set(given))),
    ]


def _computed(cloudformation: Any, id: str) -> dict[str, Any]:
    while True:
        found: dict[str, Any] = cloudformation.describe_change_set(ChangeSetName=id)
        if found["Status"] in ("CREATE_COMPLETE", "FAILED"):
            return found
        time.sleep(POLL_S / 4)


def _changes(cloudformation: Any, change_set: Mapping[str, Any]) -> Iterator[str]:
    pages = cloudformation.get_paginator("describe_change_set").paginate(
        ChangeSetName=change_set["ChangeSetId"]
    )
    for page in pages:
        for each in page["Changes"]:
            found = each["ResourceChange"]
            anew = " (made anew)" if found.get("Replacement") == "True" else ""
            yield f"  {found['Action'].lower():7} {found['LogicalResourceId']} ({found['ResourceType']}){anew}"


# --- what happens


def _newest(cloudformation: Any, stack_id: str) -> str:
    """The id of the last event so far."""
    events = cloudformation.describe_stack_events(StackName=stack_id)["StackEvents"]
    return str(events[0]["EventId"]) if events else ""


def _since(cloudformation: Any, stack_id: str, mark: str) -> list[dict[str, Any]]:
    """Events after ``mark``, oldest first."""
    found: list[dict[str, Any]] = []
    for page in cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack_id):
        for event in page["StackEvents"]:
            if event["EventId"] == mark:
                return found[::-1]
            found.append(event)
    return found[::-1]


def _follow(cloudformation: Any, stack_id: str, mark: str, say: Say) -> None:
    """Tell every event as it comes, until the stack itself has come to an end.

    Raises:
        StackFailed: that end is not the one that was wanted.
    """
    blame = ""
    while True:
        for event in _since(cloudformation, stack_id, mark):
            mark = event["EventId"]
            if line := _line(event):
                say(line)
            blame = blame or _blame(event)
            if _over(event, stack_id):
                _judge(event, blame)
                return
        time.sleep(POLL_S)


def _over(event: Mapping[str, Any], stack_id: str) -> bool:
    return event.get("PhysicalResourceId") == stack_id and not event["ResourceStatus"].endswith(
        "_IN_PROGRESS"
    )


def _judge(event: Mapping[str, Any], blame: str) -> None:
    status = event["ResourceStatus"]
    if "ROLLBACK" in status or status.endswith("_FAILED"):
        raise StackFailed(blame or event.get("ResourceStatusReason") or f"the stack is {status}")


def _blame(event: Mapping[str, Any]) -> str:
    """Which resource failed and why; "" for all other events."""
    reason = event.get("ResourceStatusReason", "no reason given")
    if not event["ResourceStatus"].endswith("_FAILED") or any(words in reason for words in CANCELLED):
        return ""
    return f"{event['LogicalResourceId']} ({event['ResourceType']}) failed: {reason}"


def _line(event: Mapping[str, Any]) -> str:
    """An event as a line; "" for one that says what another says already."""
    status, reason = event["ResourceStatus"], event.get("ResourceStatusReason", "")
    if reason.endswith("Initiated") and reason != "User Initiated":
        return ""
    why = f": {reason}" if status.endswith("_FAILED") and reason else ""
    at = event["Timestamp"].astimezone().strftime("%H:%M:%S")
    return f"{at}  {status:20}  {event['LogicalResourceId']} ({event['ResourceType']}){why}"
