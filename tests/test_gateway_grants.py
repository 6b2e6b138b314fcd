"""AWS IoT policies: what is granted and what is not, case by case, and which documents are refused."""

import time
from typing import Any

import pytest
from certificates import ARN, policy, statement

from infra.local.gateway.grants import Grants, PolicyError, policy_of

THING = "${iot:Connection.Thing.ThingName}"
CLIENT = "${iot:ClientId}"
ATTACHED = "${iot:Connection.Thing.IsAttached}"


def allow(action: str | list[str], *resources: str, **condition: str) -> dict[str, Any]:
    return statement("Allow", action, *resources, **condition)


def deny(action: str | list[str], *resources: str, **condition: str) -> dict[str, Any]:
    return statement("Deny", action, *resources, **condition)


ALL = [allow("iot:*", "*")]
# The policies of AWS's own examples, by what they are about.
OWN_ROOM = [
    allow("iot:Connect", f"client/{THING}"),
    allow("iot:Publish", f"topic/{THING}/*"),
    deny("iot:Publish", f"topic/{THING}/bar"),
    allow("iot:Subscribe", f"topicfilter/{THING}/room*"),
    allow("iot:Receive", f"topic/{THING}/room*"),
]
ONLY_ATTACHED = [
    deny("iot:Connect", "client/client1", "client/client2"),
    allow("iot:Connect", f"client/{THING}", attached="true"),
]
BY_CLIENT = [
    allow("iot:Connect", "*"),
    allow("iot:Publish", f"topic/my/{CLIENT}/x"),
    allow("iot:Subscribe", f"topicfilter/my/{CLIENT}/topic"),
    allow("iot:Receive", f"topic/my/{CLIENT}/topic"),
]
ROOMS = [
    allow(["iot:Subscribe", "iot:Receive"], "topicfilter/building/*", "topic/building/*"),
    deny("iot:Subscribe", "topicfilter/building/control_room/*"),
    deny("iot:Receive", "topic/building/control_room/*"),
]

# statements, client id, things of its certificate, action, resource, whether it is granted
CASES: list[tuple[list[dict[str, Any]], str, list[str], str, str, bool]] = [
    # Nothing is granted unless something grants it
    ([], "c", [], "iot:Connect", "client/c", False),
    ([], "c", ["c"], "iot:Publish", "topic/t", False),
    ([deny("iot:Publish", "topic/t")], "c", [], "iot:Publish", "topic/u", False),
    (ALL, "c", [], "iot:Connect", "client/c", True),
    (ALL, "c", [], "iot:Receive", "topic/a/b", True),
    # Each action for itself
    ([allow("iot:Publish", "*")], "c", [], "iot:Publish", "topic/t", True),
    ([allow("iot:Publish", "*")], "c", [], "iot:RetainPublish", "topic/t", False),
    ([allow("iot:Publish", "*")], "c", [], "iot:Connect", "client/c", False),
    ([allow("iot:Subscribe", "*")], "c", [], "iot:Receive", "topic/t", False),
    ([allow(["iot:Publish", "iot:RetainPublish"], "topic/t")], "c", [], "iot:RetainPublish", "topic/t", True),
    ([allow("iot:publish", "*")], "c", [], "iot:Publish", "topic/t", True),
    # Actions that nobody asks for over MQTT, and none at all
    ([allow("iot:GetThingShadow", "*")], "c", [], "iot:Receive", "topic/t", False),
    ([allow("iot:Publishing", "*")], "c", [], "iot:Publish", "topic/t", False),
    ([allow("greengrass:Discover", "*")], "c", [], "iot:Publish", "topic/t", False),
    # Wildcards of actions
    ([allow("*", "*")], "c", [], "iot:Publish", "topic/t", True),
    ([allow("iot:*Publish", "*")], "c", [], "iot:Publish", "topic/t", True),
    ([allow("iot:*Publish", "*")], "c", [], "iot:RetainPublish", "topic/t", True),
    ([allow("iot:Re*", "*")], "c", [], "iot:Receive", "topic/t", True),
    ([allow("iot:Re*", "*")], "c", [], "iot:Publish", "topic/t", False),
    ([allow("iot:Publis?", "*")], "c", [], "iot:Publish", "topic/t", True),
    ([allow("greengrass:*", "*")], "c", [], "iot:Publish", "topic/t", False),
    # Deny wins, wherever it stands
    ([*ALL, deny("iot:Publish", "topic/t")], "c", [], "iot:Publish", "topic/t", False),
    ([deny("iot:Publish", "topic/t"), *ALL], "c", [], "iot:Publish", "topic/t", False),
    ([deny("iot:Publish", "topic/t"), *ALL], "c", [], "iot:Publish", "topic/tt", True),
    ([deny("iot:Publish", "topic/t"), *ALL], "c", [], "iot:Receive", "topic/t", True),
    ([deny("*", "*"), *ALL], "c", [], "iot:Connect", "client/c", False),
    ([deny("iot:PUBLISH", "topic/*"), *ALL], "c", [], "iot:Publish", "topic/t", False),
    # The kind of a resource
    ([allow("iot:Publish", "topicfilter/t")], "c", [], "iot:Publish", "topic/t", False),
    ([allow("iot:Subscribe", "topic/t")], "c", [], "iot:Subscribe", "topicfilter/t", False),
    ([allow("iot:*", "client/*")], "c", [], "iot:Publish", "topic/client/c", False),
    ([allow("iot:*", "topic*")], "c", [], "iot:Subscribe", "topicfilter/t", True),
    # Wildcards of resources: they cross levels, and + and # are plain characters
    ([allow("iot:Publish", "topic/a/*/z")], "c", [], "iot:Publish", "topic/a/b/c/z", True),
    ([allow("iot:Publish", "topic/a/*/z")], "c", [], "iot:Publish", "topic/a/z", False),
    ([allow("iot:Publish", "topic/a*")], "c", [], "iot:Publish", "topic/a", True),
    ([allow("iot:Publish", "topic/a*")], "c", [], "iot:Publish", "topic/b/a", False),
    ([allow("iot:Publish", "topic/a?")], "c", [], "iot:Publish", "topic/ab", True),
    ([allow("iot:Publish", "topic/a?")], "c", [], "iot:Publish", "topic/a", False),
    ([allow("iot:Publish", "topic/a?")], "c", [], "iot:Publish", "topic/abc", False),
    ([allow("iot:Publish", "topic/a?b")], "c", [], "iot:Publish", "topic/a/b", True),
    ([allow("iot:Publish", "topic/a")], "c", [], "iot:Publish", "topic/A", False),
    ([allow("iot:Publish", "topic/*")], "c", [], "iot:Publish", "topic/line\nbreak", True),
    ([allow("iot:Publish", "topic/[ab]")], "c", [], "iot:Publish", "topic/a", False),
    ([allow("iot:Publish", "topic/[ab]")], "c", [], "iot:Publish", "topic/[ab]", True),
    ([allow("iot:Publish", "topic/a.b")], "c", [], "iot:Publish", "topic/axb", False),
    (
        [allow("iot:Subscribe", "topicfilter/some/+/topic")],
        "c",
        [],
        "iot:Subscribe",
        "topicfilter/some/+/topic",
        True,
    ),
    (
        [allow("iot:Subscribe", "topicfilter/some/+/topic")],
        "c",
        [],
        "iot:Subscribe",
        "topicfilter/some/x/topic",
        False,
    ),
    ([allow("iot:Receive", "topic/some/#")], "c", [], "iot:Receive", "topic/some/x", False),
    (
        [allow("iot:Subscribe", "topicfilter/$aws/things/*")],
        "c",
        [],
        "iot:Subscribe",
        "topicfilter/$aws/things/+/x",
        True,
    ),
    # A filter that reaches further than its Deny is granted, as AWS warns; what is received is judged by itself
    (ROOMS, "c", [], "iot:Subscribe", "topicfilter/building/control_room/1", False),
    (ROOMS, "c", [], "iot:Subscribe", "topicfilter/building/#", True),
    (ROOMS, "c", [], "iot:Receive", "topic/building/control_room/1", False),
    (ROOMS, "c", [], "iot:Receive", "topic/building/common_room/1", True),
    # ${*}, ${?} and ${$} are the characters
    ([allow("iot:Publish", "topic/${*}")], "c", [], "iot:Publish", "topic/*", True),
    ([allow("iot:Publish", "topic/${*}")], "c", [], "iot:Publish", "topic/t", False),
    ([allow("iot:Publish", "topic/${?}")], "c", [], "iot:Publish", "topic/t", False),
    (
        [allow("iot:Publish", "topic/${$}{iot:ClientId}")],
        "c",
        [],
        "iot:Publish",
        "topic/${iot:ClientId}",
        True,
    ),
    ([allow("iot:Publish", "topic/${$}{iot:ClientId}")], "c", [], "iot:Publish", "topic/c", False),
    # The client id
    (BY_CLIENT, "hana", [], "iot:Publish", "topic/my/hana/x", True),
    (BY_CLIENT, "hana", [], "iot:Publish", "topic/my/sora/x", False),
    (BY_CLIENT, "hana", [], "iot:Subscribe", "topicfilter/my/hana/topic", True),
    (BY_CLIENT, "hana", [], "iot:Subscribe", "topicfilter/my/+/topic", False),
    # What a client id may try: it is a text, never a pattern, and never a wildcard of MQTT
    (BY_CLIENT, "*", [], "iot:Publish", "topic/my/hana/x", False),
    (BY_CLIENT, "*", [], "iot:Publish", "topic/my/*/x", True),
    (BY_CLIENT, "????", [], "iot:Publish", "topic/my/hana/x", False),
    (BY_CLIENT, "[h]ana", [], "iot:Publish", "topic/my/hana/x", False),
    (BY_CLIENT, "[h]ana", [], "iot:Publish", "topic/my/[h]ana/x", True),
    (BY_CLIENT, "+", [], "iot:Subscribe", "topicfilter/my/+/topic", False),
    (BY_CLIENT, "#", [], "iot:Subscribe", "topicfilter/my/#/topic", False),
    (BY_CLIENT, "a/+", [], "iot:Subscribe", "topicfilter/my/a/+/topic", False),
    (BY_CLIENT, "a/b", [], "iot:Publish", "topic/my/a/b/x", True),
    (BY_CLIENT, "a/b", [], "iot:Publish", "topic/my/a/x", False),
    (BY_CLIENT, f"{THING}", ["hana"], "iot:Publish", "topic/my/hana/x", False),
    (BY_CLIENT, ".*", [], "iot:Publish", "topic/my/hana/x", False),
    (BY_CLIENT, "hana\n", [], "iot:Publish", "topic/my/hana/x", False),
    (
        [*ALL, deny("iot:Subscribe", f"topicfilter/my/{CLIENT}")],
        "+",
        [],
        "iot:Subscribe",
        "topicfilter/my/+",
        False,
    ),
    (
        [*ALL, deny("iot:Subscribe", f"topicfilter/my/{CLIENT}")],
        "+",
        [],
        "iot:Subscribe",
        "topicfilter/my/x",
        True,
    ),
    ([*ALL, deny("iot:Publish", f"topic/my/{CLIENT}")], "*", [], "iot:Publish", "topic/my/hana", True),
    # The thing: the one of the client's name, if the certificate is attached to it
    (OWN_ROOM, "lamp", ["lamp"], "iot:Connect", "client/lamp", True),
    (OWN_ROOM, "lamp", ["lamp", "door"], "iot:Publish", "topic/lamp/x", True),
    (OWN_ROOM, "lamp", ["lamp", "door"], "iot:Publish", "topic/door/x", False),
    (OWN_ROOM, "lamp", ["lamp"], "iot:Publish", "topic/lamp/bar", False),
    (OWN_ROOM, "lamp", ["lamp"], "iot:Subscribe", "topicfilter/lamp/room1", True),
    (OWN_ROOM, "lamp", ["lamp"], "iot:Subscribe", "topicfilter/lamp/hall", False),
    (OWN_ROOM, "lamp", ["lamp"], "iot:Receive", "topic/lamp/room1", True),
    (OWN_ROOM, "lamp", [], "iot:Connect", "client/lamp", False),
    (OWN_ROOM, "lamp", [], "iot:Publish", "topic/lamp/x", False),
    (OWN_ROOM, "Lamp", ["lamp"], "iot:Connect", "client/Lamp", False),
    (OWN_ROOM, "other", ["lamp"], "iot:Connect", "client/lamp", False),
    (OWN_ROOM, "other", ["lamp"], "iot:Publish", "topic/lamp/x", False),
    (OWN_ROOM, "*", ["lamp"], "iot:Connect", "client/lamp", False),
    # What a Deny names and nobody knows may be anything
    ([*ALL, deny("iot:Publish", f"topic/{THING}/bar")], "c", [], "iot:Publish", "topic/lamp/bar", False),
    ([*ALL, deny("iot:Publish", f"topic/{THING}/bar")], "c", [], "iot:Publish", "topic/lamp/x", True),
    # Whether it is attached
    (ONLY_ATTACHED, "lamp", ["lamp"], "iot:Connect", "client/lamp", True),
    (ONLY_ATTACHED, "lamp", ["door"], "iot:Connect", "client/lamp", False),
    (ONLY_ATTACHED, "client1", ["client1"], "iot:Connect", "client/client1", False),
    ([*ALL, deny("iot:*", "*", attached="false")], "c", [], "iot:Publish", "topic/t", False),
    ([*ALL, deny("iot:*", "*", attached="false")], "c", ["c"], "iot:Publish", "topic/t", True),
    ([allow("iot:Publish", f"topic/{ATTACHED}")], "c", ["c"], "iot:Publish", "topic/true", True),
    ([allow("iot:Publish", f"topic/{ATTACHED}")], "c", [], "iot:Publish", "topic/false", True),
]


@pytest.mark.parametrize(("statements", "client_id", "things", "action", "resource", "granted"), CASES)
def test_what_a_policy_grants(
    statements: list[dict[str, Any]],
    client_id: str,
    things: list[str],
    action: str,
    resource: str,
    granted: bool,
) -> None:
    grants = Grants.of(policy_of(policy(*statements)), client_id=client_id, things=things)
    assert grants.allow(action, resource) is granted


@pytest.mark.parametrize("head", ["arn:aws:iot:eu-west-1:1:", "arn:aws-cn:iot:*:*:", "arn:aws:iot:::"])
def test_a_policy_of_any_region_and_account_is_taken(head: str) -> None:
    found = policy_of(policy({"Effect": "Allow", "Action": "iot:Publish", "Resource": f"{head}topic/t"}))
    assert Grants.of(found, client_id="c", things=()).allow("iot:Publish", "topic/t")


def test_one_of_a_list_needs_no_list_around_it() -> None:
    one = {"Effect": "Allow", "Action": "iot:Publish", "Resource": "*", "Sid": "x"}
    found = policy_of({"Version": "2012-10-17", "Statement": one, "Id": "y"})
    assert Grants.of(found, client_id="c", things=()).allow("iot:Publish", "topic/t")


def test_a_topic_that_nearly_matches_many_wildcards_is_soon_judged() -> None:
    found = policy_of(policy(allow("iot:Publish", "topic/" + "*a" * 60 + "b")))
    grants = Grants.of(found, client_id="c", things=())
    began = time.process_time()
    assert not grants.allow("iot:Publish", "topic/" + "a" * 4096)
    assert time.process_time() - began < 5, "by trying every way it would take longer than the world is old"


def good(**changed: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": "iot:Publish", "Resource": ARN + "topic/t"} | changed


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ([], "policy: expected an object, got []"),
        (None, "policy: expected an object, got None"),
        ({"Statement": []}, "policy.Version: expected '2012-10-17', got None"),
        ({"Version": "2008-10-17", "Statement": []}, "policy.Version: expected '2012-10-17', got '2008-10-17'"),
        ({"Version": "2012-10-17"}, "policy.Statement[0]: expected an object, got None"),
        (policy() | {"Statements": []}, "policy: expected Version, Statement, Id, got 'Statements'"),
        (policy(good(), good(Effect="allow")), "policy.Statement[1].Effect: expected 'Allow' or 'Deny', got 'allow'"),
        (policy(good(NotAction="x")), "policy.Statement[0]: expected Sid, Effect, Action, Resource, Condition, got 'NotAction'"),
        (policy(good(Principal="*")), "policy.Statement[0]: expected Sid, Effect, Action, Resource, Condition, got 'Principal'"),
        (policy(good(Action=[])), "policy.Statement[0].Action: expected a text, or a list of them, got []"),
        (policy(good(Action=[1])), "policy.Statement[0].Action: expected a text, or a list of them, got [1]"),
        (policy(good(Action="Publish")), "policy.Statement[0].Action: expected such as 'iot:Publish' or 'iot:*', got 'Publish'"),
        (policy(good(Resource=None)), "policy.Statement[0].Resource: expected a text, or a list of them, got None"),
        (policy(good(Resource="topic/t")), "policy.Statement[0].Resource: expected '*' or such as 'arn:aws:iot:us-east-1:123456789012:topic/lamps/*', got 'topic/t'"),
        (policy(good(Resource="arn:aws:iot:us-east-1:1:t")), "policy.Statement[0].Resource: expected '*' or such as"),
        (policy(good(Resource="arn:aws:iot:us-east-1:*")), "policy.Statement[0].Resource: expected '*' or such as"),
        (policy(good(Resource="arn:aws:sqs:us-east-1:1:topic/t")), "policy.Statement[0].Resource: expected '*' or such as"),
        (policy(good(Resource=ARN + "topic/${aws:SourceIp}")), "policy.Statement[0].Resource: expected of variables iot:ClientId, iot:Connection.Thing.ThingName, iot:Connection.Thing.IsAttached, got 'aws:SourceIp'"),
        (policy(good(Condition=[])), "policy.Statement[0].Condition: expected an object, got []"),
        (policy(good(Condition={"StringEquals": {}})), "policy.Statement[0].Condition: expected Bool, got 'StringEquals'"),
        (policy(good(Condition={"Bool": {"aws:x": "true"}})), "policy.Statement[0].Condition.Bool: expected iot:Connection.Thing.IsAttached, got 'aws:x'"),
        (policy(good(Condition={"Bool": {}})), "policy.Statement[0].Condition.Bool.iot:Connection.Thing.IsAttached: expected 'true' or 'false', got None"),
        (policy(good(Condition={"Bool": {"iot:Connection.Thing.IsAttached": "yes"}})), "policy.Statement[0].Condition.Bool.iot:Connection.Thing.IsAttached: expected 'true' or 'false', got 'yes'"),
    ],
)  # fmt: skip
def test_a_policy_that_says_what_is_not_known_here_is_refused(document: Any, complaint: str) -> None:
    with pytest.raises(PolicyError) as refused:
        policy_of(document)
    assert str(refused.value).startswith(complaint)
