"""AWS's REST: what boto3 sends is understood, what it gets it can read, and nobody else gets in."""

import http.client
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from infra.local.gateway import Gateway, Message
from infra.local.rest import app
from infra.local.things import ARN
from shadows.aws import AwsShadows, AwsThings
from shadows.errors import Rejected
from shadows.shadow import JsonObject
from tests.places import Rest, rest_place

T = "$aws/things/staff-hana/shadow"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Rest]:
    with rest_place(tmp_path) as place:
        yield place


@pytest.fixture
def shadows(place: Rest) -> Iterator[Any]:
    client = place.client("iot-data")
    yield client
    client.close()


@pytest.fixture
def iot(place: Rest) -> Iterator[Any]:
    client = place.client("iot")
    yield client
    client.close()


def ask(
    place: Rest, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> tuple[int, JsonObject, dict[str, str]]:
    """A request as anybody can send it."""
    connection = http.client.HTTPConnection("127.0.0.1", place.port, timeout=10)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, json.loads(text), {name.lower(): value for name, value in answer.getheaders()}


def payload(answer: Any) -> JsonObject:
    read: JsonObject = json.loads(answer["payload"].read())
    return read


# --- Shadows


def test_boto3_reads_and_writes_shadows(place: Rest, shadows: Any) -> None:
    body = b'{"state":{"desired":{"a":1}},"clientToken":"t"}'
    accepted = payload(shadows.update_thing_shadow(thingName="staff-hana", payload=body))
    assert accepted == {
        "state": {"desired": {"a": 1}},
        "metadata": {"desired": {"a": {"timestamp": 1000}}},
        "version": 1,
        "timestamp": 1000,
        "clientToken": "t",
    }
    got = payload(shadows.get_thing_shadow(thingName="staff-hana"))
    assert (got["state"]["delta"], got["version"], "clientToken" in got) == ({"a": 1}, 1, False)
    deleted = payload(shadows.delete_thing_shadow(thingName="staff-hana"))
    assert deleted == {"version": 1, "timestamp": 1000}
    assert [topic for topic, _ in place.said] == [
        f"{T}/{kind}" for kind in ("update/accepted", "update/delta", "update/documents", "delete/accepted")
    ]


def test_a_refused_request_and_a_get_are_silent_on_mqtt(place: Rest, shadows: Any) -> None:
    shadows.update_thing_shadow(thingName="x", payload=b'{"state":{}}')
    place.said.clear()
    shadows.get_thing_shadow(thingName="x")
    for body in (b"{", b'{"state":{},"version":9}'):
        with pytest.raises(ClientError):
            shadows.update_thing_shadow(thingName="x", payload=body)
    assert place.said == []


@pytest.mark.parametrize(
    ("body", "status", "name"),
    [
        (b"{", 400, "InvalidRequestException"),
        (b"", 400, "InvalidRequestException"),
        (b'{"state":{},"version":9}', 409, "ConflictException"),
        (b'{"state":{"desired":{"a":"' + b"x" * 8192 + b'"}}}', 413, "RequestEntityTooLargeException"),
        (b'{"state":{}}' + b" " * 131072, 413, "RequestEntityTooLargeException"),
        (b"\xff", 415, "UnsupportedDocumentEncodingException"),
    ],
)
def test_boto3_raises_what_the_model_says(shadows: Any, body: bytes, status: int, name: str) -> None:
    with pytest.raises(getattr(shadows.exceptions, name)) as no:
        shadows.update_thing_shadow(thingName="x", payload=body)
    assert no.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert no.value.response["Error"]["Message"]


def test_a_missing_shadow_is_404_as_the_real_one_says_it(place: Rest, shadows: Any) -> None:
    with pytest.raises(shadows.exceptions.ResourceNotFoundException, match="No shadow exists with name: 'x'"):
        shadows.get_thing_shadow(thingName="x")
    with pytest.raises(shadows.exceptions.ResourceNotFoundException, match="'x~y'"):
        shadows.delete_thing_shadow(thingName="x", shadowName="y")
    status, answer, headers = ask(place, "GET", "/things/x/shadow")
    assert (status, answer) == (404, {"code": 404, "message": "No shadow exists with name: 'x'"})
    assert headers["x-amzn-errortype"] == "ResourceNotFoundException:"
    assert headers["content-type"] == "application/json"
    assert len(headers["x-amzn-requestid"]) == 36


def test_named_shadows_are_listed_page_by_page(shadows: Any) -> None:
    for name in ("c", "a", "b", "$d"):
        shadows.update_thing_shadow(thingName="x", shadowName=name, payload=b'{"state":{}}')
    shadows.update_thing_shadow(thingName="x", payload=b'{"state":{}}')
    first = shadows.list_named_shadows_for_thing(thingName="x", pageSize=3)
    assert (first["results"], first["timestamp"]) == (["$d", "a", "b"], 1000)
    last = shadows.list_named_shadows_for_thing(thingName="x", pageSize=3, nextToken=first["nextToken"])
    assert (last["results"], "nextToken" in last) == (["c"], False)
    assert "nextToken" not in shadows.list_named_shadows_for_thing(thingName="x", pageSize=4)
    assert shadows.list_named_shadows_for_thing(thingName="nobody")["results"] == []
    for wrong in ({"pageSize": 101}, {"nextToken": "☃"}):
        with pytest.raises(shadows.exceptions.InvalidRequestException, match=next(iter(wrong))):
            shadows.list_named_shadows_for_thing(thingName="x", **wrong)


def test_too_many_requests_for_one_thing_are_throttled(tmp_path: Path) -> None:
    with rest_place(tmp_path, throttle=True) as place:
        client = place.client("iot-data")
        port = AwsShadows(client)
        for _ in range(20):
            port.update("x")
        with pytest.raises(Rejected) as no:
            port.update("x")
        assert (no.value.code, "20 a second" in no.value.message) == (503, True)
        client.close()


def test_an_encoded_slash_does_not_lead_to_another_things_shadow(place: Rest, shadows: Any, iot: Any) -> None:
    shadows.update_thing_shadow(thingName="a", payload=b'{"state":{}}')
    with pytest.raises(iot.exceptions.InvalidRequestException):
        iot.delete_thing(thingName="a/shadow")
    for path in ("/things/a%2Fshadow", "/things/a%2fshadow"):
        assert ask(place, "DELETE", path)[0] == 400
    assert payload(shadows.get_thing_shadow(thingName="a"))["version"] == 1
    shadows.update_thing_shadow(thingName="a:b", payload=b'{"state":{}}')
    assert payload(shadows.get_thing_shadow(thingName="a:b"))["version"] == 1


# --- Publish


@pytest.mark.parametrize(
    ("topic", "options", "handed"),
    [
        ("a/b c/é", {}, (0, False)),
        ("a//b/", {"qos": 1, "retain": True}, (1, True)),
        ("100%/a%2Fb", {"qos": 1}, (1, False)),
    ],
)
def test_a_publish_is_handed_on_as_it_is(
    place: Rest, shadows: Any, topic: str, options: Any, handed: tuple[int, bool]
) -> None:
    shadows.publish(topic=topic, payload=b"\x00\xff", **options)
    assert place.published == [Message(topic, b"\x00\xff", *handed)]


def test_a_topic_may_also_come_with_plain_slashes(place: Rest) -> None:
    assert ask(place, "POST", "/topics/a/b%20c?qos=1", b"x")[0] == 200
    assert ask(place, "POST", f"http://127.0.0.1:{place.port}/topics/a//c", b"x")[0] == 200
    assert place.published == [Message("a/b c", b"x", qos=1), Message("a//c", b"x")]


def test_a_publish_to_a_request_topic_is_a_request(place: Rest, shadows: Any) -> None:
    body = b'{"state":{"desired":{"a":1}}}'
    shadows.publish(topic=f"{T}/update", qos=1, payload=body)
    assert payload(shadows.get_thing_shadow(thingName="staff-hana"))["version"] == 1
    assert place.published == [Message(f"{T}/update", body, qos=1)]
    shadows.publish(topic=f"{T}/name/x/get", payload=b"")
    assert place.said[-1][0] == f"{T}/name/x/get/rejected"  # a publish is refused on MQTT, where it was made


@pytest.mark.parametrize(
    "topic",
    [f"{T}/update/accepted", f"{T}/update/delta", f"{T}/update/documents", f"{T}/get/rejected", "$SYS/x"],
)
def test_nobody_may_publish_what_only_the_service_says(place: Rest, shadows: Any, topic: str) -> None:
    with pytest.raises(ClientError, match="ForbiddenException") as no:
        shadows.publish(topic=topic, payload=b"{}")
    assert no.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert (place.published, place.said) == ([], [])


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/topics/a?qos=2", "qos"),
        ("/topics/a?qos=x", "qos"),
        ("/topics/a?retain=1", "retain"),
        ("/topics/a%2B", "topic"),
        ("/topics/%23", "topic"),
        ("/topics/a%00", "topic"),
        ("/topics/%FF", "topic"),
        ("/topics/" + "a" * 257, "topic"),
        ("/topics/1/2/3/4/5/6/7/8/9", "topic"),
        (f"/topics/{T}/update?retain=true", "retain"),
    ],
)
def test_a_bad_publish_is_refused_by_its_field(place: Rest, path: str, field: str) -> None:
    status, answer, headers = ask(place, "POST", path, b"{}")
    assert (status, headers["x-amzn-errortype"]) == (400, "InvalidRequestException:")
    assert answer["message"].startswith(field)
    assert place.published == []


def test_a_message_may_have_128_kilobytes_and_no_more(place: Rest, shadows: Any) -> None:
    shadows.publish(topic="a", payload=b"x" * 131072)
    assert len(place.published[0].payload) == 131072
    with pytest.raises(ClientError) as no:
        shadows.publish(topic="a", payload=b"x" * 131073)
    assert no.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413


# --- Things


def test_boto3_makes_reads_changes_and_removes_things(iot: Any) -> None:
    made = iot.create_thing(
        thingName="staff-hana", thingTypeName="staff", attributePayload={"attributes": {"a": "1", "b": "2"}}
    )
    assert (made["thingName"], made["thingArn"]) == ("staff-hana", f"{ARN}:thing/staff-hana")
    again = iot.create_thing(
        thingName="staff-hana", thingTypeName="staff", attributePayload={"attributes": {"b": "2", "a": "1"}}
    )
    assert again["thingId"] == made["thingId"]
    iot.update_thing(
        thingName="staff-hana", attributePayload={"attributes": {"c": "3", "a": ""}, "merge": True}
    )
    there = iot.describe_thing(thingName="staff-hana")
    there.pop("ResponseMetadata")
    assert there == {
        "defaultClientId": "staff-hana",
        "thingName": "staff-hana",
        "thingTypeName": "staff",
        "thingArn": f"{ARN}:thing/staff-hana",
        "thingId": made["thingId"],
        "attributes": {"b": "2", "c": "3"},
        "version": 2,
    }
    iot.update_thing(thingName="staff-hana", attributePayload={"attributes": {"k2": ""}})
    assert iot.describe_thing(thingName="staff-hana")["attributes"] == {}
    iot.delete_thing(thingName="staff-hana")
    iot.delete_thing(thingName="staff-hana")
    with pytest.raises(iot.exceptions.ResourceNotFoundException):
        iot.describe_thing(thingName="staff-hana")


def test_another_thing_of_the_same_name_is_told_whose_name_it_is(iot: Any) -> None:
    made = iot.create_thing(thingName="x")
    with pytest.raises(iot.exceptions.ResourceAlreadyExistsException) as no:
        iot.create_thing(thingName="x", attributePayload={"attributes": {"a": "1"}})
    assert (no.value.response["resourceId"], no.value.response["resourceArn"]) == (
        made["thingId"],
        made["thingArn"],
    )


def test_a_thing_is_changed_only_at_the_expected_version(iot: Any) -> None:
    iot.create_thing(thingName="x")
    iot.update_thing(thingName="x", expectedVersion=1, attributePayload={"attributes": {"a": "1"}})
    with pytest.raises(iot.exceptions.VersionConflictException):
        iot.update_thing(thingName="x", expectedVersion=1, attributePayload={"attributes": {"a": "2"}})
    with pytest.raises(iot.exceptions.VersionConflictException):
        iot.delete_thing(thingName="x", expectedVersion=1)
    assert iot.describe_thing(thingName="x")["attributes"] == {"a": "1"}
    iot.delete_thing(thingName="x", expectedVersion=2)


def test_a_type_can_be_set_and_removed_while_the_attributes_allow_it(iot: Any) -> None:
    iot.create_thing(thingName="x")
    iot.update_thing(thingName="x", thingTypeName="staff")
    assert iot.describe_thing(thingName="x")["thingTypeName"] == "staff"
    many = dict.fromkeys("abcd", "1")
    iot.update_thing(thingName="x", attributePayload={"attributes": many})
    with pytest.raises(iot.exceptions.InvalidRequestException, match="at most 3"):
        iot.update_thing(thingName="x", removeThingType=True)
    with pytest.raises(iot.exceptions.InvalidRequestException, match="removeThingType"):
        iot.update_thing(thingName="x", removeThingType=True, thingTypeName="staff")
    with pytest.raises(iot.exceptions.ResourceNotFoundException, match="robot"):
        iot.update_thing(thingName="x", thingTypeName="robot")
    iot.update_thing(thingName="x", removeThingType=True, attributePayload={"attributes": {"a": "1"}})
    assert "thingTypeName" not in iot.describe_thing(thingName="x")


def test_things_are_listed_by_every_filter_and_page_by_page(iot: Any) -> None:
    for n in range(5):
        iot.create_thing(
            thingName=f"staff-{n}",
            thingTypeName="staff",
            attributePayload={"attributes": {"at": f"main/{n % 2}"}},
        )
    iot.create_thing(thingName="button-1", thingTypeName="button")

    def names(**wanted: Any) -> list[str]:
        return [thing["thingName"] for thing in iot.list_things(**wanted)["things"]]

    assert names(thingTypeName="button") == ["button-1"]
    assert names(attributeName="at", attributeValue="main/1") == ["staff-1", "staff-3"]
    assert names(attributeName="at", attributeValue="main") == []
    assert len(names(attributeName="at", attributeValue="main", usePrefixAttributeValue=True)) == 5
    assert len(names(attributeName="at")) == 5
    first = iot.list_things(thingTypeName="staff", maxResults=3)
    assert first["things"][0] == {
        "thingName": "staff-0",
        "thingTypeName": "staff",
        "thingArn": f"{ARN}:thing/staff-0",
        "attributes": {"at": "main/0"},
        "version": 1,
    }
    assert names(thingTypeName="staff", maxResults=3, nextToken=first["nextToken"]) == ["staff-3", "staff-4"]
    for wrong in ({"attributeValue": "x"}, {"maxResults": 251}, {"nextToken": "a b"}):
        with pytest.raises(iot.exceptions.InvalidRequestException):
            iot.list_things(**wrong)


def test_boto3_makes_reads_and_lists_thing_types(iot: Any) -> None:
    properties = {"thingTypeDescription": "a robot", "searchableAttributes": ["kind"]}
    made = iot.create_thing_type(thingTypeName="robot", thingTypeProperties=properties)
    assert (
        iot.create_thing_type(thingTypeName="robot", thingTypeProperties=properties)["thingTypeId"]
        == made["thingTypeId"]
    )
    with pytest.raises(iot.exceptions.ResourceAlreadyExistsException):
        iot.create_thing_type(thingTypeName="robot")
    there = iot.describe_thing_type(thingTypeName="robot")
    assert (there["thingTypeProperties"], there["thingTypeArn"]) == (properties, f"{ARN}:thingtype/robot")
    assert there["thingTypeMetadata"]["deprecated"] is False
    assert there["thingTypeMetadata"]["creationDate"].year >= 2026
    assert [each["thingTypeName"] for each in iot.list_thing_types()["thingTypes"]] == [
        "booth",
        "button",
        "robot",
        "staff",
    ]
    first = iot.list_thing_types(maxResults=3)
    assert [
        each["thingTypeName"] for each in iot.list_thing_types(nextToken=first["nextToken"])["thingTypes"]
    ] == ["staff"]
    assert len(iot.list_thing_types(thingTypeName="robot")["thingTypes"]) == 1
    with pytest.raises(iot.exceptions.ResourceNotFoundException):
        iot.describe_thing_type(thingTypeName="dog")


def test_the_endpoint_is_where_one_asks(place: Rest, iot: Any) -> None:
    assert iot.describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"] == f"127.0.0.1:{place.port}"
    with pytest.raises(iot.exceptions.InvalidRequestException, match="endpointType"):
        iot.describe_endpoint(endpointType="iot:Jobs")


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", "/things/x", b"[]", "body"),
        ("POST", "/things/x", b"{", "Invalid JSON"),
        ("POST", "/things/x", b'{"thingTypeName":1}', "thingTypeName"),
        ("POST", "/things/x", b'{"attributePayload":"a"}', "attributePayload"),
        ("POST", "/things/x", b'{"attributePayload":{"attributes":{"a":1}}}', "a:"),
        ("PATCH", "/things/x", b'{"expectedVersion":"1"}', "expectedVersion"),
        ("PATCH", "/things/x", b'{"removeThingType":1}', "removeThingType"),
        ("DELETE", "/things/x?expectedVersion=-1", b"", "expectedVersion"),
        ("DELETE", "/things/x?expectedVersion=%EF%BC%91", b"", "expectedVersion"),
        ("GET", "/things?usePrefixAttributeValue=1", b"", "usePrefixAttributeValue"),
        ("GET", "/things/a%20b", b"", "1 validation error detected: Value 'a b' at 'thingName'"),
        (
            "POST",
            "/thing-types/x",
            b'{"thingTypeProperties":{"searchableAttributes":[1]}}',
            "searchableAttributes",
        ),
        (
            "POST",
            "/thing-types/x",
            '{"thingTypeProperties":{"thingTypeDescription":"呼"}}'.encode(),
            "1 validation",
        ),
        ("GET", "/things/x/shadow?name=", b"", "name"),
        ("GET", "/things/x/shadow?name=a%20b", b"", "shadowName"),
        ("GET", "/things/%FF/shadow", b"", "thingName"),
    ],
)
def test_bad_input_is_400_and_names_the_field(
    place: Rest, method: str, path: str, body: bytes, field: str
) -> None:
    place.registry.create_type("y")
    status, answer, headers = ask(place, method, path, body)
    assert (status, headers["x-amzn-errortype"]) == (400, "InvalidRequestException:")
    assert answer["message"].startswith(field)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "/things/x/shadow", 405),
        ("PATCH", "/things/x/shadow", 405),
        ("OPTIONS", "/things/x/shadow", 405),
        ("PUT", "/things/x", 405),
        ("GET", "/topics/a", 405),
        ("POST", "/things", 405),
        ("GET", "/", 404),
        ("GET", "/things/", 404),
        ("GET", "/things/x/shadow/", 404),
        ("POST", "/topics/", 404),
    ],
)
def test_a_wrong_verb_or_path_is_refused_cleanly(place: Rest, method: str, path: str, status: int) -> None:
    got, answer, headers = ask(place, method, path)
    assert (got, bool(answer["message"])) == (status, True)
    assert headers["x-amzn-errortype"].endswith("Exception:")
    assert ("allow" in headers) == (status == 405)


def test_a_call_that_is_not_served_says_so_and_never_that_something_is_not_there(
    place: Rest, shadows: Any, iot: Any
) -> None:
    calls = [lambda: shadows.get_connection(clientId="lamp"), iot.list_policies]
    for call, path in zip(calls, ("GET /connections/lamp", "GET /policies"), strict=True):
        with pytest.raises(ClientError, match=f"{path} is not served here") as no:
            call()
        assert no.value.response["Error"]["Code"] == "UnknownOperationException"


# --- Who may come


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8090", "localhost.evil.example", "127.0.0.1.nip.io", "192.168.0.9", ""],
)
def test_another_host_than_this_machine_is_refused(place: Rest, host: str) -> None:
    status, answer, _ = ask(place, "POST", "/topics/a", b"x", {"Host": host})
    assert (status, answer["message"].startswith("Host")) == (403, True)
    assert place.published == []


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8090", "127.0.0.1:1", "[::1]:8090"])
def test_this_machine_by_any_name_may_come(place: Rest, host: str) -> None:
    assert ask(place, "GET", "/things", headers={"Host": host})[0] == 200


def test_a_web_page_is_refused_whatever_its_origin(place: Rest) -> None:
    for origin in ("https://evil.example", "null", f"http://127.0.0.1:{place.port}", ""):
        status, answer, headers = ask(
            place, "POST", "/topics/a", b"x", {"Origin": origin, "Content-Type": "text/plain"}
        )
        assert (status, answer["message"].startswith("Origin")) == (403, True)
        assert "access-control-allow-origin" not in headers
    assert place.published == []


# --- What goes wrong on our side, and on the way


def test_a_bug_is_500_and_logged_and_the_server_goes_on(
    place: Rest, caplog: pytest.LogCaptureFixture
) -> None:
    real = place.registry.describe
    place.registry.describe = lambda _: 1 / 0  # type: ignore[assignment, method-assign, return-value]
    status, answer, headers = ask(place, "GET", "/things/x")
    assert (status, answer) == (500, {"message": "Internal service failure"})
    assert headers["x-amzn-errortype"] == "InternalFailureException:"
    assert "ZeroDivisionError" in caplog.text
    place.registry.describe = real  # type: ignore[method-assign]
    assert ask(place, "GET", "/things/x")[0] == 404


def test_a_full_disk_is_500_for_boto3(place: Rest, shadows: Any) -> None:
    place.service._store.run(lambda db: db.execute("PRAGMA max_page_count=1").fetchall())
    body = b'{"state":{"desired":{"a":"%s"}}}' % (b"x" * 4000)

    def fill() -> None:
        for n in range(100):
            shadows.update_thing_shadow(thingName=f"x{n}", payload=body)

    with pytest.raises(shadows.exceptions.InternalFailureException, match="disk is full"):
        fill()


def test_nobody_there_is_503_and_names_the_endpoint(place: Rest) -> None:
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        place.port = taken.getsockname()[1]
        for name, port in (("iot-data", AwsShadows), ("iot", AwsThings)):
            client = place.client(name)
            with pytest.raises(Rejected) as no:
                port(client).get("x")
            assert no.value.code == 503
            assert f"http://127.0.0.1:{place.port}" in no.value.message
            assert "\n" not in no.value.message
            client.close()


def test_a_throttled_registry_is_503_though_it_says_400(iot: Any) -> None:
    with Stubber(iot) as stub:
        stub.add_client_error("describe_thing", "ThrottlingException", "Rate exceeded", http_status_code=400)
        with pytest.raises(Rejected) as no:
            AwsThings(iot).get("x")
    assert (no.value.code, no.value.message) == (503, "Rate exceeded")


def test_what_boto3_will_not_send_is_400(place: Rest, shadows: Any) -> None:
    with pytest.raises(Rejected) as no:
        AwsShadows(shadows).get("")
    assert (no.value.code, "thingName" in no.value.message) == (400, True)
    with pytest.raises(Rejected) as no:
        AwsShadows(shadows).get(None)  # type: ignore[arg-type]
    assert no.value.code == 400


def test_the_page_has_every_route_and_no_other(place: Rest) -> None:
    page = (Path(__file__).parents[1] / "docs" / "fidelity.md").read_text("utf-8")
    told = set(re.findall(r"\| `([A-Z]+) (/[^`]*)` \|", page))
    flask = app(place.service, place.registry, place.published.append, Gateway())
    names = {"thing": "thing", "name": "thing", "topic": "topic"}
    served = set()
    for rule in flask.url_map.iter_rules():
        path = re.sub(r"<\w+:(\w+)>", lambda found: f"<{names[found[1]]}>", rule.rule)
        path = path.replace("/thing-types/<thing>", "/thing-types/<type>")
        served |= {(method, path) for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}
    assert told == served
