"""What AWS says of its device shadows, registry and message broker, sentence by sentence; a test's name is the sentence.

Whatever can be asked over MQTT and over REST is asked over both. What other files test already is in ``ELSEWHERE``.
Sources: AWS IoT Core Developer Guide, AWS IoT API reference, "AWS IoT Core endpoints and quotas", botocore's models.
"""

import ast
import base64
import json
import re
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from awscrt import mqtt5
from botocore.exceptions import ClientError

from infra.local.gateway import Message, limits
from shadows.shadow import JsonObject
from tests import mqtt_wire as wire
from tests.asking import EVERYTHING, Door, Mqtt, Rest, Twin, twin
from tests.mqtt_wire import Got, Heard, eventually

T = 1000  # the time of the place, in seconds
STAMP = {"timestamp": T}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twin]:
    with twin(tmp_path_factory.mktemp("twin")) as place:
        yield place


@pytest.fixture(params=[Mqtt, Rest], ids=["mqtt", "rest"])
def door(request: pytest.FixtureRequest, place: Twin) -> Iterator[Door]:
    place.now = 1_000_500
    with place.device("listener", EVERYTHING) as listener:
        yield request.param(place, listener)


@pytest.fixture
def mqtt(place: Twin) -> Iterator[Mqtt]:
    place.now = 1_000_500
    with place.device("listener", EVERYTHING) as listener:
        yield Mqtt(place, listener)


@pytest.fixture
def thing(place: Twin) -> str:
    """A name that no other test uses."""
    return place.a_name()


@pytest.fixture
def iot(place: Twin) -> Any:
    return place.boto("iot")


@pytest.fixture
def data(place: Twin) -> Any:
    return place.boto("iot-data")


def desired(value: object) -> JsonObject:
    return {"state": {"desired": value}}


def reported(value: object) -> JsonObject:
    return {"state": {"reported": value}}


def document(door: Door, thing: str) -> JsonObject:
    answer = door.ask("get", thing)
    assert answer.code == 200, answer
    return answer.body


def state(door: Door, thing: str) -> JsonObject:
    shown: JsonObject = document(door, thing)["state"]
    return shown


def updated(door: Door, thing: str, *requests: JsonObject) -> JsonObject:
    """The document after these updates, all of which are accepted."""
    for request in requests:
        assert door.ask("update", thing, request).code == 200
    return document(door, thing)


# --- 1. The document


VALUES = ["", '呼 " \\ \n', 0, -1, 1.5, 1e300, 2**53, True, False, [], [[]], [{}], {}, {"": {}}]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_any_json_value_may_stand_in_a_section(door: Door, thing: str, value: object) -> None:
    shown = updated(door, thing, desired({"a": value}))["state"]["desired"]["a"]
    assert json.dumps(shown) == json.dumps(value)


@pytest.mark.parametrize("value", [[None], [[None]], {"b": [1, None]}, [{"c": [None]}], [{"c": None}, None]])
def test_but_null_inside_an_array(door: Door, thing: str, value: object) -> None:
    assert door.ask("update", thing, desired({"a": value})).code == 400


def test_each_section_is_optional(door: Door, thing: str) -> None:
    assert set(updated(door, thing, reported({"a": 1}))["state"]) == {"reported"}
    assert set(updated(door, thing, desired({"a": 1}))["metadata"]) == {"desired", "reported"}


def test_the_first_version_is_1_and_the_timestamp_is_in_seconds(door: Door, thing: str) -> None:
    shown = updated(door, thing, desired({"a": 1}))
    assert (shown["version"], shown["timestamp"]) == (1, T)


@pytest.mark.parametrize("empty", [desired(None), desired({"a": None}), {"state": None}], ids=str)
def test_an_empty_section_is_not_shown_and_an_empty_shadow_shows_two_empty_objects(
    door: Door, thing: str, empty: JsonObject
) -> None:
    shown = updated(door, thing, desired({"a": 1}), empty)
    assert (shown["state"], shown["metadata"]) == ({}, {})


def test_metadata_has_a_timestamp_in_place_of_every_leaf_also_in_arrays(door: Door, thing: str) -> None:
    value = {"s": "x", "o": {"n": 1, "e": {}}, "l": [1, [2], {"k": True}, []], "timestamp": 5}
    assert updated(door, thing, reported(value))["metadata"]["reported"] == {
        "s": STAMP,
        "o": {"n": STAMP, "e": {}},
        "l": [STAMP, [STAMP], {"k": STAMP}, []],
        "timestamp": STAMP,
    }


def test_a_leafs_time_is_that_of_the_last_update_that_named_it(door: Door, thing: str, place: Twin) -> None:
    updated(door, thing, desired({"same": 1, "kept": {"deep": 1, "gone": 1}}))
    place.now += 7_000
    shown = updated(door, thing, desired({"same": 1, "new": 2, "kept": {"gone": None}}))
    later = {"timestamp": T + 7}
    assert shown["metadata"]["desired"] == {"same": later, "new": later, "kept": {"deep": STAMP}}


def test_the_outer_timestamp_is_the_time_of_the_message(door: Door, thing: str, place: Twin) -> None:
    updated(door, thing, desired({"a": 1}))
    place.now += 60_000
    shown = document(door, thing)
    assert (shown["timestamp"], shown["metadata"]["desired"]["a"]) == (T + 60, STAMP)


def test_a_client_token_is_never_stored(door: Door, thing: str) -> None:
    assert "clientToken" not in updated(door, thing, desired({"a": 1}) | {"clientToken": "t"})


def test_other_members_on_the_top_level_are_ignored(door: Door, thing: str) -> None:
    request = desired({"a": 1}) | {"metadata": [None], "timestamp": "x", "delta": 1, "other": {}}
    assert updated(door, thing, request)["state"]["desired"] == {"a": 1}


# --- 2. Update


@pytest.mark.parametrize(
    ("before", "patch", "after"),
    [
        pytest.param({"a": {"b": 1, "c": {"d": 2}}}, {"a": {"c": {"e": 3}}}, {"a": {"b": 1, "c": {"d": 2, "e": 3}}},
                     id="objects merge key by key"),
        pytest.param({"a": 1}, {"a": "x"}, {"a": "x"}, id="any other value replaces"),
        pytest.param({"a": 1}, {"a": {"b": 2}}, {"a": {"b": 2}}, id="an object over a non-object replaces it"),
        pytest.param({"a": {"b": 2}}, {"a": [1]}, {"a": [1]}, id="and the reverse"),
        pytest.param({"a": 1, "b": 2}, {"a": None}, {"b": 2}, id="null removes the key"),
        pytest.param({"a": 1}, {"b": None}, {"a": 1}, id="null for an absent key does nothing"),
        pytest.param({"a": [1, 2, {"b": 1}]}, {"a": [{"c": 1}]}, {"a": [{"c": 1}]}, id="arrays are replaced whole"),
        pytest.param({"a": 1}, {}, {"a": 1}, id="an empty section changes nothing"),
        pytest.param({"a": 1}, {"d": {}}, {"a": 1, "d": {}}, id="an empty object is a value and is kept"),
        pytest.param({"a": {"b": 1}}, {"a": {}}, {"a": {"b": 1}}, id="and merged like any other object"),
        pytest.param({"a": {"b": 1}}, {"a": {"b": None}}, {"a": {}}, id="an object that loses its last key stays"),
        pytest.param({"a": 1}, {"b": {"c": None, "d": {"e": None}}}, {"a": 1}, id="only nulls for a new key: nothing"),
    ],
)  # fmt: skip
def test_an_update_merges_deeply(
    door: Door, thing: str, before: JsonObject, patch: JsonObject, after: JsonObject
) -> None:
    assert updated(door, thing, desired(before), desired(patch))["state"]["desired"] == after


@pytest.mark.parametrize("section", ["desired", "reported"])
def test_null_removes_a_section(door: Door, thing: str, section: str) -> None:
    both = {"state": {"desired": {"a": 1}, "reported": {"a": 1}}}
    shown = updated(door, thing, both, {"state": {section: None}})
    assert section not in shown["state"]
    assert section not in shown["metadata"]
    assert len(shown["metadata"]) == 1


def test_a_null_state_clears_both_sections_and_the_version_counts(door: Door, thing: str) -> None:
    both = {"state": {"desired": {"a": 1}, "reported": {"b": 1}}}
    shown = updated(door, thing, both, {"state": None}, desired({"c": 1}))
    assert (shown["state"]["desired"], "reported" in shown["state"], shown["version"]) == ({"c": 1}, False, 3)


@pytest.mark.parametrize("request_", [{"state": {}}, desired({}), {"state": None}, desired(None)], ids=str)
def test_an_update_with_nothing_in_it_makes_an_empty_shadow(
    door: Door, thing: str, request_: JsonObject
) -> None:
    shown = updated(door, thing, request_)
    assert (shown["state"], shown["metadata"], shown["version"]) == ({}, {}, 1)


def test_every_accepted_update_counts_also_one_without_effect(door: Door, thing: str) -> None:
    same = [desired({"a": 1})] * 3 + [{"state": {}}, desired({}), desired({"x": None})]
    shown = updated(door, thing, *same)
    assert (shown["version"], shown["state"]["desired"]) == (6, {"a": 1})


def test_the_thing_need_not_be_in_the_registry(door: Door, thing: str, iot: Any) -> None:
    updated(door, thing, desired({"a": 1}))
    with pytest.raises(iot.exceptions.ResourceNotFoundException):
        iot.describe_thing(thingName=thing)


def test_deleting_a_thing_does_not_delete_its_shadows(door: Door, thing: str, iot: Any) -> None:
    iot.create_thing(thingName=thing)
    updated(door, thing, desired({"a": 1}))
    assert door.ask("update", thing, desired({"b": 1}), "named").code == 200
    iot.delete_thing(thingName=thing)
    assert state(door, thing)["desired"] == {"a": 1}
    assert door.ask("get", thing, shadow="named").body["state"]["desired"] == {"b": 1}


# Each has the fault of its own line and of all below it: the first one is told.
FAULTS: list[tuple[bytes, int, str]] = [
    (b"\xff{", 415, "Unsupported documented encoding; supported encoding is UTF-8"),
    (b"{", 400, "Invalid JSON"),
    (b"[1]", 400, "Invalid JSON"),
    (b'{"clientToken":1,"version":"x"}', 400, "Invalid clientToken"),
    (b'{"version":"x"}', 400, "Missing required node: state"),
    (b'{"state":1,"version":"x"}', 400, "State node must be an object"),
    (b'{"state":{"x":1,"desired":1},"version":"x"}', 400, "State contains an invalid node: 'x'"),
    (b'{"state":{"desired":1,"reported":{"a":[null]}},"version":"x"}', 400, "Desired node must be an object"),
    (b'{"state":{"reported":1,"desired":{"a":[null]}},"version":"x"}', 400, "Reported node must be an object"),
    (b'{"state":{"desired":{"a":[[[[[[[[null]]]]]]]]}},"version":"x"}', 400,
     "State contains an invalid node: an array must not contain null"),
    (b'{"state":{"desired":{"a":[[[[[[[[1]]]]]]]]}},"version":"x"}', 400,
     "JSON contains too many levels of nesting; maximum is 6"),
    (b'{"state":{"desired":{"a":"' + b"x" * 8192 + b'"}},"version":"x"}', 400, "Invalid version"),
    (b'{"state":{"desired":{"a":"' + b"x" * 8192 + b'"}},"version":9}', 409, "Version conflict"),
    (b'{"state":{"desired":{"a":"' + b"x" * 8192 + b'"}}}', 413, "The payload exceeds the maximum size allowed"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "code", "text"), FAULTS, ids=[f"{n} {fault[2]}" for n, fault in enumerate(FAULTS)]
)
def test_of_several_faults_the_first_is_told_and_nothing_changes(
    door: Door, thing: str, body: bytes, code: int, text: str
) -> None:
    before = updated(door, thing, desired({"kept": 1}))
    if door.name == "rest":
        text = text.replace("Invalid JSON", "Payload contains invalid json")
    answer = door.ask("update", thing, body)
    assert (answer.code, answer.body["code"], answer.body["message"]) == (code, code, text)
    assert document(door, thing) == before


def test_the_size_of_a_request_is_looked_at_before_all_else(place: Twin, thing: str) -> None:
    code, body, headers = place.http("POST", f"/things/{thing}/shadow", b"\xff" * 131_073)
    assert (code, body["message"]) == (413, "The payload exceeds the maximum size allowed")
    assert headers["x-amzn-errortype"] == "RequestEntityTooLargeException:"


@pytest.mark.parametrize("bad", [
    b'{"state":{"desired":{"a":NaN}}}', b'{"state":{"desired":{"a":Infinity}}}',
    b'{"state":{"desired":{"a":-Infinity}}}', b'{"state":{"desired":{"a":1e400}}}', b'{"state":{}} {}',
    b'{"state":{}/*c*/}', b"{'state':{}}", b'{"state":{},}', b'{"state":{"desired":{"a":"\\ud800"}}}',
    b'\xef\xbb\xbf{"state":{}}', b"", b'{"state":{"desired":{"a":01}}}', b'{"state":' + b"[" * 60_000,
])  # fmt: skip
def test_json_means_the_strict_thing(door: Door, thing: str, bad: bytes) -> None:
    answer = door.ask("update", thing, bad)
    assert (answer.code, "json" in answer.body["message"].lower()) == (400, True)


# --- 3. Delta


@pytest.mark.parametrize(
    ("want", "have", "left"),
    [
        pytest.param({"a": 1, "b": 2}, {"b": 2, "c": 3}, {"a": 1}, id="absent in reported, and only in reported"),
        pytest.param({"a": 1}, {"a": 2}, {"a": 1}, id="different"),
        pytest.param({"a": {"b": {"c": 1, "d": 2}}}, {"a": {"b": {"c": 1}}}, {"a": {"b": {"d": 2}}},
                     id="only the differing part of an object, with the path to it"),
        pytest.param({"a": {"b": 1}, "z": 1}, {"a": {"b": 1}}, {"z": 1}, id="no empty leftovers"),
        pytest.param({"a": [1, 2]}, {"a": [2, 1]}, {"a": [1, 2]}, id="any difference of an array, also of order"),
        pytest.param({"a": [{"b": 1}, 2]}, {"a": [{"b": 2}, 2]}, {"a": [{"b": 1}, 2]}, id="the whole array"),
        pytest.param({"a": {"b": 1}}, {"a": [1]}, {"a": {"b": 1}}, id="different kinds"),
        pytest.param({"a": True}, {"a": 1}, {"a": True}, id="true and 1 differ"),
        pytest.param({"a": False}, {"a": 0}, {"a": False}, id="false and 0 differ"),
        pytest.param({"a": "1"}, {"a": 1}, {"a": "1"}, id="a string and a number differ"),
        pytest.param({"a": {}}, {"b": 1}, {"a": {}}, id="an empty object is a value"),
        pytest.param({"a": {}}, {"a": {"b": 1}}, {}, id="of which nothing differs from any object"),
        pytest.param({"a": 1}, {"a": 1.0}, {}, id="1 is 1.0"),
        pytest.param({"a": {"b": [1]}}, {"a": {"b": [1]}}, {}, id="no difference"),
    ],
)  # fmt: skip
def test_the_delta_is_what_is_desired_and_not_reported(
    door: Door, thing: str, want: JsonObject, have: JsonObject, left: JsonObject
) -> None:
    updated(door, thing, desired(want))
    answer = door.ask("update", thing, reported(have))
    shown = document(door, thing)
    assert ("update/delta" in answer.kinds) is bool(left)
    if left:
        assert json.dumps(answer.of("update/delta")["state"]) == json.dumps(left)
        assert json.dumps(shown["state"]["delta"]) == json.dumps(left)
    else:
        assert "delta" not in shown["state"]


def test_without_a_report_the_delta_is_all_that_is_desired(door: Door, thing: str) -> None:
    assert updated(door, thing, desired({"a": {"b": [1]}}))["state"]["delta"] == {"a": {"b": [1]}}


def test_the_deltas_times_are_those_of_desired_however_old(door: Door, thing: str, place: Twin) -> None:
    updated(door, thing, desired({"old": {"x": 1, "y": [1]}}))
    place.now += 9_000
    answer = door.ask("update", thing, {"state": {"desired": {"new": 1}, "reported": {"old": {"x": 1}}}})
    assert answer.of("update/delta")["metadata"] == {"old": {"y": [STAMP]}, "new": {"timestamp": T + 9}}
    assert answer.of("update/delta")["timestamp"] == T + 9


def test_the_delta_shows_in_get_and_on_its_topic_and_nowhere_else(door: Door, thing: str) -> None:
    answer = door.ask("update", thing, desired({"a": 1}))
    assert '"delta"' not in json.dumps([answer.of("update/accepted"), answer.of("update/documents")])
    shown = document(door, thing)
    assert (set(shown["state"]), set(shown["metadata"])) == ({"desired", "delta"}, {"desired"})


# --- 4. MQTT topics and payloads


@pytest.mark.parametrize("shadow", ["", "named"])
def test_an_update_is_answered_on_three_topics_or_on_one(mqtt: Mqtt, thing: str, shadow: str) -> None:
    assert mqtt.ask("update", thing, desired({"a": 1}), shadow).kinds == [
        "update/accepted", "update/delta", "update/documents"]  # fmt: skip
    assert mqtt.ask("update", thing, reported({"a": 1}), shadow).kinds == [
        "update/accepted",
        "update/documents",
    ]
    assert mqtt.ask("update", thing, b"{", shadow).kinds == ["update/rejected"]
    assert mqtt.ask("get", thing, b"", shadow).kinds == ["get/accepted"]
    assert mqtt.ask("delete", thing, b"", shadow).kinds == ["delete/accepted"]
    assert mqtt.ask("get", thing, b"", shadow).kinds == ["get/rejected"]
    assert mqtt.ask("delete", thing, b"", shadow).kinds == ["delete/rejected"]


def test_the_request_topics_may_be_subscribed_to_as_well(place: Twin, thing: str) -> None:
    with place.device("x", f"$aws/things/{thing}/shadow/get") as device:
        device.send(wire.publish(f"$aws/things/{thing}/shadow/get", b"{}"))
        assert device.message().topic.endswith("/get")


@pytest.mark.parametrize("answer", ["accepted", "rejected", "delta", "documents"])
def test_the_answer_topics_are_for_subscribing_only(place: Twin, thing: str, answer: str) -> None:
    topic = f"$aws/things/{thing}/shadow/update/{answer}"
    with place.device("x", topic) as listener, place.device("y") as liar:
        liar.send(wire.publish(topic, b"{}", 1))
        assert liar.closed()
        assert listener.quiet()


def test_answers_are_ordinary_messages_that_every_subscriber_gets_at_qos_1_and_none_is_retained(
    place: Twin, mqtt: Mqtt, thing: str
) -> None:
    topic = f"$aws/things/{thing}/shadow/update/accepted"
    with place.device("a", topic) as one, place.device("b", topic) as other:
        mqtt.ask("update", thing, desired({"a": 1}))
        for each in (one, other):
            message = each.message()
            assert (message.topic, message.retain, message.packet_id > 0) == (topic, False, True)
    with place.device("late", topic) as late:
        assert late.quiet()


def raw(place: Twin, thing: str, operation: str, payload: bytes, *kinds: str) -> list[str]:
    """The answers to the letter."""
    prefix = f"$aws/things/{thing}/shadow"
    with place.device("raw", *(f"{prefix}/{kind}" for kind in kinds)) as device:
        device.send(wire.publish(f"{prefix}/{operation}", payload))
        return [device.message().payload.decode() for _ in kinds]


def test_the_answers_are_to_the_letter_and_their_members_in_order(place: Twin, thing: str) -> None:
    place.now = 1_000_500
    asked = b'{"state":{"desired":{"status":"calling"}},"clientToken":"tok-1"}'
    half = '{"state":{"desired":{"status":"calling"}},"metadata":{"desired":{"status":{"timestamp":1000}}},"version":1'
    kinds = ("update/accepted", "update/delta", "update/documents")
    assert raw(place, thing, "update", asked, *kinds) == [
        half + ',"timestamp":1000,"clientToken":"tok-1"}',
        '{"version":1,"timestamp":1000,"state":{"status":"calling"},"metadata":{"status":{"timestamp":1000}}'
        ',"clientToken":"tok-1"}',
        '{"previous":null,"current":' + half + '},"timestamp":1000,"clientToken":"tok-1"}',
    ]
    assert raw(place, thing, "get", b'{"clientToken":"tok-2"}', "get/accepted") == [
        '{"state":{"desired":{"status":"calling"},"delta":{"status":"calling"}},"metadata":{"desired":{"status":'
        '{"timestamp":1000}}},"version":1,"timestamp":1000,"clientToken":"tok-2"}'
    ]
    assert raw(place, thing, "delete", b'{"clientToken":"t"}', "delete/accepted") == [
        '{"version":1,"timestamp":1000,"clientToken":"t"}'
    ]
    assert raw(place, thing, "get", b"", "get/rejected") == [
        '{"code":404,"message":"No shadow exists with name: \'' + thing + "'\"}"
    ]


def test_accepted_is_what_was_sent_and_not_the_document(door: Door, thing: str) -> None:
    updated(door, thing, desired({"old": 1}))
    sent = {"desired": {"a": None, "b": {}, "c": [1]}, "reported": None}
    body = door.ask("update", thing, {"state": sent}).body
    assert body == {
        "state": sent,
        "metadata": {"desired": {"a": STAMP, "b": {}, "c": [STAMP]}, "reported": STAMP},
        "version": 2,
        "timestamp": T,
    }


def test_accepted_of_a_null_state_has_one_time(door: Door, thing: str) -> None:
    body = door.ask("update", thing, {"state": None}).body
    assert body == {"state": None, "metadata": STAMP, "version": 1, "timestamp": T}


def test_accepted_of_empty_sections_shows_them_empty(door: Door, thing: str) -> None:
    body = door.ask("update", thing, {"state": {"desired": {}, "reported": {}}}).body
    assert (body["state"], body["metadata"]) == ({"desired": {}, "reported": {}},) * 2


def test_documents_shows_both_halves_without_times_of_their_own(door: Door, thing: str) -> None:
    first = door.ask("update", thing, desired({"a": 1})).of("update/documents")
    second = door.ask("update", thing, reported({"a": 1})).of("update/documents")
    assert (first["previous"], second["previous"]) == (None, first["current"])
    assert list(second) == ["previous", "current", "timestamp"]
    assert [list(second[half]) for half in ("previous", "current")] == [["state", "metadata", "version"]] * 2


def test_documents_after_a_cleared_state_has_an_empty_previous(door: Door, thing: str) -> None:
    updated(door, thing, desired({"a": 1}), {"state": None})
    said = door.ask("update", thing, desired({"a": 1})).of("update/documents")
    assert said["previous"] == {"state": {}, "metadata": {}, "version": 2}


def test_a_deletion_names_the_version_of_the_document_that_was_deleted(door: Door, thing: str) -> None:
    shown = updated(door, thing, *[desired({"a": 1})] * 9)
    assert (shown["version"], door.ask("delete", thing).body) == (9, {"version": 9, "timestamp": T})


def test_the_client_token_is_in_an_answer_exactly_if_it_was_in_the_request(mqtt: Mqtt, thing: str) -> None:
    token = {"clientToken": "tok"}
    assert all(
        said["clientToken"] == "tok" for _, said in mqtt.ask("update", thing, desired({"a": 1}) | token).said
    )
    assert not any("clientToken" in said for _, said in mqtt.ask("update", thing, desired({"b": 1})).said)
    for request in ({"state": 5}, desired({"a": 1}) | {"version": 77}):
        assert mqtt.ask("update", thing, request | token).body["clientToken"] == "tok"
        assert "clientToken" not in mqtt.ask("update", thing, request).body
    for operation in ("get", "delete", "get", "delete"):
        assert mqtt.ask(operation, thing, token).body["clientToken"] == "tok"
    assert "clientToken" not in mqtt.ask("get", thing).body


def test_of_what_is_no_json_there_is_no_token_to_echo(mqtt: Mqtt, thing: str) -> None:
    assert mqtt.ask("update", thing, b'{"clientToken":"t","state":{}').body == {
        "code": 400,
        "message": "Invalid JSON",
    }


def test_the_content_of_a_deletion_is_ignored(mqtt: Mqtt, thing: str) -> None:
    updated(mqtt, thing, desired({"a": 1}))
    assert mqtt.ask("delete", thing, b"\xff{ not JSON").body == {"version": 1, "timestamp": T}


@pytest.mark.parametrize("request_", [reported({"other": 1}), desired({"a": 1}), {"state": {}}], ids=str)
def test_a_delta_is_said_after_every_update_that_leaves_one_with_all_differences(
    door: Door, thing: str, request_: JsonObject
) -> None:
    updated(door, thing, desired({"a": 1, "b": {"c": 2}}))
    answer = door.ask("update", thing, request_)
    assert answer.of("update/delta")["state"] == {"a": 1, "b": {"c": 2}}
    assert answer.of("update/delta")["version"] == answer.of("update/accepted")["version"] == 2


def test_a_persistent_session_keeps_deltas_for_a_device_that_is_offline(
    mqtt: Mqtt, place: Twin, thing: str
) -> None:
    topic = f"$aws/things/{thing}/shadow/update/delta"
    with place.device("sleepy", topic, clean=False) as device:
        device.send(wire.DISCONNECT)
        assert device.closed()
    mqtt.ask("update", thing, desired({"a": 1}))
    with place.device("sleepy", clean=False) as device:
        assert json.loads(device.message().payload)["state"] == {"a": 1}
        device.send(wire.DISCONNECT)


def test_a_will_on_a_request_topic_reaches_subscribers_and_the_service_ignores_it(
    place: Twin, thing: str
) -> None:
    topic = f"$aws/things/{thing}/shadow/update"
    with place.device("heir", f"{topic}/#", topic) as heir:
        place.device("lost", will=(topic, b'{"state":{}}')).drop()
        assert heir.message() == Got(topic, b'{"state":{}}')
        assert heir.quiet()
    with place.device("asks", f"$aws/things/{thing}/shadow/get/rejected") as asks:
        asks.send(wire.publish(f"$aws/things/{thing}/shadow/get"))
        assert json.loads(asks.message().payload)["code"] == 404


# --- 5. REST and MQTT together


def test_an_update_over_rest_says_on_mqtt_what_one_over_mqtt_says(place: Twin, thing: str) -> None:
    place.now = 1_000_500
    said = []
    with place.device("listener", EVERYTHING) as listener:
        for door in (Mqtt(place, listener), Rest(place, listener)):
            answer = door.ask("update", thing, desired({"a": 1}) | {"clientToken": "t"}, door.name)
            said.append((answer.body, answer.said))
    assert said[0] == said[1]


def test_a_refused_request_over_rest_says_nothing_and_neither_does_a_get(place: Twin, thing: str) -> None:
    with place.device("listener", EVERYTHING) as listener:
        rest = Rest(place, listener)
        assert rest.ask("update", thing, desired({"a": 1})).kinds[0] == "update/accepted"
        refused = [rest.ask("update", thing, b"{"), rest.ask("update", thing, {"state": {}, "version": 9})]
        assert [answer.said for answer in (*refused, rest.ask("get", thing), rest.ask("get", "nobody"))] == [
            []
        ] * 4
        assert rest.ask("delete", thing).said == [("delete/accepted", {"version": 1, "timestamp": 1000})]
        assert rest.ask("delete", thing).said == []


def test_a_publish_over_rest_to_a_request_topic_is_the_request(place: Twin, data: Any, thing: str) -> None:
    topic = f"$aws/things/{thing}/shadow/update"
    with place.device("heir", topic, f"{topic}/accepted") as heir:
        data.publish(topic=topic, qos=1, payload=b'{"state":{"desired":{"a":1}},"clientToken":"t"}')
        heard = {heir.message().topic for _ in range(2)}
    assert heard == {topic, f"{topic}/accepted"}
    assert json.loads(data.get_thing_shadow(thingName=thing)["payload"].read())["version"] == 1


# --- 6. Versions and locking


def test_a_version_has_to_be_the_current_one_if_it_is_given(door: Door, thing: str) -> None:
    updated(door, thing, desired({"a": 1}), desired({"a": 2}))
    for version in (0, 1, 3, -1, 2**70):
        answer = door.ask("update", thing, desired({"a": 3}) | {"version": version})
        assert (answer.code, answer.body["message"]) == (409, "Version conflict")
    assert door.ask("update", thing, desired({"a": 3}) | {"version": 2}).body["version"] == 3
    assert state(door, thing)["desired"] == {"a": 3}


@pytest.mark.parametrize("version", ["1", 1.0, True, None, [1], {}])
def test_a_version_that_is_no_integer_is_refused(door: Door, thing: str, version: object) -> None:
    updated(door, thing, desired({"a": 1}))
    answer = door.ask("update", thing, desired({"a": 2}) | {"version": version})
    assert (answer.code, answer.body["message"]) == (400, "Invalid version")


@pytest.mark.parametrize("version", [0, 1])
def test_a_shadow_that_does_not_exist_has_no_version(door: Door, thing: str, version: int) -> None:
    assert door.ask("update", thing, desired({"a": 1}) | {"version": version}).code == 409
    assert door.ask("get", thing).code == 404


def test_after_a_deletion_which_counts_itself_the_version_goes_on_for_48_hours(
    door: Door, thing: str, place: Twin
) -> None:
    updated(door, thing, desired({"a": 1}), desired({"a": 2}))
    door.ask("delete", thing)
    place.now += 48 * 3_600_000 - 1
    again = door.ask("update", thing, desired({"b": 1}))
    assert (again.body["version"], again.of("update/documents")["previous"]) == (4, None)
    assert state(door, thing)["desired"] == {"b": 1}
    door.ask("delete", thing)
    place.now += 48 * 3_600_000
    assert door.ask("update", thing, desired({"c": 1})).body["version"] == 1


# --- 7. Errors


def test_what_is_missing_is_named(door: Door, thing: str) -> None:
    for operation in ("get", "delete"):
        answer = door.ask(operation, thing)
        assert answer.body == {"code": 404, "message": f"No shadow exists with name: '{thing}'"}
        answer = door.ask(operation, thing, shadow="robot")
        assert answer.body == {"code": 404, "message": f"No shadow exists with name: '{thing}~robot'"}


@pytest.mark.parametrize(
    ("token", "code"), [("x" * 64, 200), ("x" * 65, 400), ("é" * 32, 200), ("é" * 33, 400)]
)
def test_a_client_token_has_at_most_64_bytes(door: Door, thing: str, token: str, code: int) -> None:
    answer = door.ask("update", thing, {"state": {}, "clientToken": token})
    assert answer.code == code
    assert code == 200 or answer.body["message"] == "Invalid clientToken"


@pytest.mark.parametrize("token", ["x" * 65, "é" * 33, 5, None])
def test_a_get_that_cannot_be_answered_under_its_token_is_refused_as_an_update_is(
    mqtt: Mqtt, thing: str, token: object
) -> None:
    assert mqtt.ask("update", thing, {"state": {}}).code == 200
    answer = mqtt.ask("get", thing, {"clientToken": token})
    assert answer.said == [("get/rejected", {"code": 400, "message": "Invalid clientToken"})]
    assert mqtt.ask("get", thing, {"clientToken": "x" * 64}).body["clientToken"] == "x" * 64


def broken(place: Twin, what: str) -> Any:
    """A client whose requests are bent on their way."""
    client = place.boto("iot-data")

    def bend(params: JsonObject, **_: object) -> None:
        params["method"] = "PUT"

    client.meta.events.register_first(f"before-call.iot-data.{what}", bend, unique_id="bend")
    return client


def raises(client: Any, name: str, call: Callable[[], object]) -> Any:
    with pytest.raises(getattr(client.exceptions, name)) as no:
        call()
    assert no.value.response["Error"]["Code"] == name
    assert no.value.response["Error"]["Message"]
    return no.value.response


UPDATES = [
    ("InvalidRequestException", 400, b"{"),
    ("ConflictException", 409, b'{"state":{},"version":9}'),
    ("RequestEntityTooLargeException", 413, b'{"state":{"desired":{"a":"' + b"x" * 8192 + b'"}}}'),
    ("UnsupportedDocumentEncodingException", 415, '{"state":{}}'.encode("utf-16")),
]


@pytest.mark.parametrize(("name", "code", "body"), UPDATES, ids=[name for name, *_ in UPDATES])
def test_boto3_raises_the_modelled_exception_of_an_update(
    data: Any, thing: str, name: str, code: int, body: bytes
) -> None:
    answer = raises(data, name, lambda: data.update_thing_shadow(thingName=thing, payload=body))
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == code


def test_boto3_raises_the_modelled_exception_of_what_is_not_there(data: Any, thing: str) -> None:
    for call in (data.get_thing_shadow, data.delete_thing_shadow):
        raises(data, "ResourceNotFoundException", lambda call=call: call(thingName=thing))  # type: ignore[misc]
        raises(data, "ResourceNotFoundException", lambda call=call: call(thingName=thing, shadowName="x"))  # type: ignore[misc]
    raises(data, "ResourceNotFoundException", lambda: data.get_retained_message(topic=thing))


def test_boto3_raises_method_not_allowed_for_a_verb_that_does_not_fit(place: Twin, thing: str) -> None:
    client = broken(place, "GetThingShadow")
    try:
        answer = raises(client, "MethodNotAllowedException", lambda: client.get_thing_shadow(thingName=thing))
    finally:
        client.meta.events.unregister("before-call.iot-data.GetThingShadow", unique_id="bend")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 405


def test_boto3_raises_throttling_as_429(tmp_path: Path) -> None:
    with twin(tmp_path, throttle=True) as place:
        data = place.boto("iot-data")
        for _ in range(20):
            data.update_thing_shadow(thingName="x", payload=b'{"state":{}}')
        answer = raises(data, "ThrottlingException", lambda: data.get_thing_shadow(thingName="x"))
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 429


def test_the_errors_of_rest_have_their_headers_and_each_service_its_own_body(place: Twin, thing: str) -> None:
    code, body, headers = place.http("GET", f"/things/{thing}/shadow")
    assert headers["content-type"] == "application/json"
    assert headers["x-amzn-errortype"] == "ResourceNotFoundException:"
    assert re.fullmatch(r"[0-9a-f-]{36}", headers["x-amzn-requestid"])
    assert (code, body) == (404, {"code": 404, "message": f"No shadow exists with name: '{thing}'"})
    code, body, headers = place.http("GET", f"/retainedMessage/{thing}")
    assert (code, list(body), body["traceId"]) == (404, ["message", "traceId"], headers["x-amzn-requestid"])
    code, body, _ = place.http("GET", f"/things/{thing}")
    assert (code, list(body)) == (404, ["message"])


# --- 8. Limits


def test_a_document_has_8192_bytes_of_both_sections_and_metadata_does_not_count(
    door: Door, thing: str
) -> None:
    room = 8192 - len('{"desired":{"a":""},"reported":{"b":[1,1,1]}}')
    updated(door, thing, reported({"b": [1, 1, 1]}))
    assert door.ask("update", thing, desired({"a": "x" * room})).code == 200
    assert door.ask("update", thing, desired({"a": "x" * (room + 1)})).code == 413
    assert (
        door.ask("update", thing, {"state": {"desired": {"a": "y" * (room + 1)}, "reported": None}}).code
        == 200
    )


def test_it_is_the_merged_state_that_counts_and_not_the_request(door: Door, thing: str) -> None:
    updated(door, thing, desired({"a": "x" * 5000}))
    assert door.ask("update", thing, desired({"b": "x" * 5000})).code == 413
    spacious = b'{"state":{"desired":{"b":' + b" " * 20_000 + b'"x"}}}'
    assert door.ask("update", thing, spacious).code == 200


def nested(levels: int, *, array: bool) -> object:
    inner: object = 1
    for _ in range(levels - 1):
        inner = [inner] if array else {"a": inner}
    return {"a": inner}


@pytest.mark.parametrize("array", [False, True])
def test_a_section_has_6_levels_itself_and_arrays_counted(door: Door, thing: str, array: bool) -> None:
    assert door.ask("update", thing, desired(nested(6, array=array))).code == 200
    answer = door.ask("update", thing, desired(nested(7, array=array)))
    assert (answer.code, answer.body["message"][:36]) == (400, "JSON contains too many levels of nes")


@pytest.mark.parametrize(
    ("name", "shadow", "fits"),
    [
        ("a:_-Z9", "", True), ("x" * 128, "", True), ("x" * 129, "", False), ("a b", "", False), ("é", "", False),
        ("$a", "", False), ("a.b", "", False), ("named", "$package", True), ("named", "a:_-Z9", True),
        ("named", "x" * 64, True), ("named", "x" * 65, False), ("named", "a.b", False), ("named", "é", False),
    ],
)  # fmt: skip
def test_names_are_what_the_model_says(place: Twin, name: str, shadow: str, fits: bool) -> None:
    with place.device("listener", EVERYTHING) as listener:
        answer = Rest(place, listener).ask("update", name, {"state": {}}, shadow)
        assert answer.code == (200 if fits else 400)
        topic = f"$aws/things/{name}/shadow" + (f"/name/{shadow}" if shadow else "")
        listener.send(wire.publish(f"{topic}/update", b'{"state":{}}', 9))
        said = [listener.read().first >> 4 for _ in range(4 if fits else 2)]
        assert said.count(3) == (3 if fits else 1), "the request is heard, and answered if it fits"


def test_a_thing_takes_20_requests_a_second_all_operations_and_shadows_together(tmp_path: Path) -> None:
    with twin(tmp_path, throttle=True) as place, place.device("listener", EVERYTHING) as listener:
        mqtt, rest = Mqtt(place, listener), Rest(place, listener)
        for n in range(5):
            door: Door = (mqtt, rest)[n % 2]
            codes = [
                door.ask("update", "x", {"state": {}}).code,
                door.ask("update", "x", {"state": {}}, "named").code,
                door.ask("get", "x").code,
                door.ask("delete", "x").code,
            ]
            assert codes == [200] * 4
        for door in (mqtt, rest):
            assert door.ask("get", "x", shadow="named").code == 429
            assert door.ask("update", "y", {"state": {}}).code == 200
        place.now += 1000
        assert mqtt.ask("get", "x", shadow="named").code == 200


def test_of_11_requests_in_flight_on_a_connection_for_a_thing_the_last_is_refused(tmp_path: Path) -> None:
    with ExitStack() as stack:
        place = Twin(tmp_path, stack, throttle=True)
        answers = "$aws/things/+/shadow/get/rejected"
        stack.enter_context(one := place.device("one", answers))
        stack.enter_context(other := place.device("other"))
        gate, at_the_gate = threading.Event(), threading.Event()
        stack.callback(gate.set)
        place.store.submit(lambda _: (at_the_gate.set(), gate.wait(20)))
        assert at_the_gate.wait(20)
        one.send(*(wire.publish("$aws/things/x/shadow/get", b'{"clientToken":"%d"}' % n) for n in range(11)))
        refused = json.loads(one.message().payload)
        assert (refused["code"], refused["clientToken"]) == (429, "10")
        one.send(wire.publish("$aws/things/y/shadow/get"))
        other.send(wire.publish("$aws/things/x/shadow/get"))
        assert one.quiet(), "another thing, and another connection, have flights of their own"
        gate.set()
        assert [json.loads(one.message().payload)["code"] for _ in range(12)] == [404] * 12
        one.send(wire.publish("$aws/things/x/shadow/get"))
        assert json.loads(one.message().payload)["code"] == 404, "who is answered may ask again"


# --- 9. Named shadows


def test_classic_and_named_shadows_are_separate_documents_with_versions_and_topics_of_their_own(
    door: Door, thing: str
) -> None:
    updated(door, thing, desired({"a": 0}))
    for name in ("one", "two", "two"):
        door.ask("update", thing, desired({name: 1}), name)
    shown = [door.ask("get", thing, shadow=name).body for name in ("", "one", "two")]
    assert [(body["version"], body["state"]["desired"]) for body in shown] == [
        (1, {"a": 0}), (1, {"one": 1}), (2, {"two": 1})]  # fmt: skip
    assert door.ask("delete", thing, shadow="one").code == 200
    assert [door.ask("get", thing, shadow=name).code for name in ("", "one", "two")] == [200, 404, 200]


def test_a_new_thing_has_no_shadow(door: Door, thing: str, iot: Any) -> None:
    iot.create_thing(thingName=thing)
    assert door.ask("get", thing).code == 404


def test_named_shadows_are_listed_without_the_classic_and_the_deleted_ones(
    door: Door, thing: str, data: Any
) -> None:
    for name in ("", "a", "b", "c"):
        door.ask("update", thing, {"state": {}}, name)
    door.ask("delete", thing, shadow="b")
    listed = data.list_named_shadows_for_thing(thingName=thing)
    assert (sorted(listed["results"]), listed["timestamp"], "nextToken" in listed) == (["a", "c"], T, False)


def test_an_unknown_thing_has_an_empty_list_of_shadows(data: Any, thing: str) -> None:
    listed = data.list_named_shadows_for_thing(thingName=thing)
    assert (listed["results"], "nextToken" in listed) == ([], False)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 100])
def test_named_shadows_are_listed_page_by_page_until_no_token_is_left(
    place: Twin, data: Any, thing: str, size: int
) -> None:
    names = sorted(["$x", *"abcdefg"])
    for name in names:
        data.update_thing_shadow(thingName=thing, shadowName=name, payload=b'{"state":{}}')
    pages, token = [], {}
    while True:
        listed = data.list_named_shadows_for_thing(thingName=thing, pageSize=size, **token)
        pages.append(listed["results"])
        if "nextToken" not in listed:
            break
        token = {"nextToken": listed["nextToken"]}
    assert [name for page in pages for name in page] == names
    assert all(len(page) == size for page in pages[:-1])
    assert 0 < len(pages[-1]) <= size


@pytest.mark.parametrize("size", [0, 101, -1, "x"])
def test_a_page_has_1_to_100_names(place: Twin, thing: str, size: object) -> None:
    path = f"/api/things/shadow/ListNamedShadowsForThing/{thing}?pageSize={size}"
    code, _, headers = place.http("GET", path)
    assert (code, headers["x-amzn-errortype"]) == (400, "InvalidRequestException:")


# --- 10. The REST data plane


def test_a_publish_is_answered_with_ok_and_the_id_of_the_request(place: Twin) -> None:
    code, body, headers = place.http("POST", "/topics/a", b"x")
    assert (code, body) == (200, {"message": "OK", "traceId": headers["x-amzn-requestid"]})


def test_a_publish_carries_any_bytes_and_what_mqtt_5_says_beside_them(place: Twin, data: Any) -> None:
    heard: list[Any] = []
    with crt_client(place, "five", "say/+", heard.append):
        data.publish(
            topic="say/hello",
            qos=1,
            payload=b"\x00\xff",
            contentType="text/plain; é",
            responseTopic="say/back",
            messageExpiry=60,
            payloadFormatIndicator="UTF8_DATA",
            correlationData=base64.b64encode(b"\x01\x02").decode(),
            userProperties=[{"name": "alpha"}, {"name": "beta"}, {"席": "有栖"}],
        )
        assert eventually(lambda: bool(heard), 20)
    (came,) = heard
    assert (came.topic, came.payload, came.qos) == ("say/hello", b"\x00\xff", mqtt5.QoS.AT_LEAST_ONCE)
    assert (came.content_type, came.response_topic) == ("text/plain; é", "say/back")
    assert (came.message_expiry_interval_sec, came.correlation_data_bytes) == (60, b"\x01\x02")
    assert came.payload_format_indicator is mqtt5.PayloadFormatIndicator.AWS_MQTT5_PFI_UTF8
    said = [(each.name, each.value) for each in came.user_properties]
    assert said == [("name", "alpha"), ("name", "beta"), ("席", "有栖")]


def crt_client(place: Twin, client_id: str, topic_filter: str, take: Callable[[Any], None]) -> ExitStack:
    """AWS's own client of MQTT 5, connected and subscribed, until the end of the ``with``."""
    host, _, port = place.at.mqtt.partition(":")
    up, down = threading.Event(), threading.Event()
    client = mqtt5.Client(
        mqtt5.ClientOptions(
            host_name=host,
            port=int(port),
            connect_options=mqtt5.ConnectPacket(client_id=client_id),
            on_publish_callback_fn=lambda came: take(came.publish_packet),
            on_lifecycle_event_connection_success_fn=lambda _: up.set(),
            on_lifecycle_event_stopped_fn=lambda _: down.set(),
        )
    )
    stack = ExitStack()
    client.start()
    stack.callback(lambda: down.wait(20))
    stack.callback(client.stop)
    assert up.wait(20)
    asked = mqtt5.SubscribePacket([mqtt5.Subscription(topic_filter, mqtt5.QoS.AT_LEAST_ONCE)])
    client.subscribe(asked).result(20)
    return stack


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("responseTopic=a%2B", {}), ("messageExpiry=-1", {}), ("messageExpiry=4294967296", {}), ("messageExpiry=x", {}),
        ("contentType=%00", {}),
        ("", {"x-amz-mqtt5-payload-format-indicator": "TEXT"}),
        ("", {"x-amz-mqtt5-correlation-data": "?"}),
        ("", {"x-amz-mqtt5-user-properties": "?"}),
        *[("", {"x-amz-mqtt5-user-properties": base64.b64encode(said).decode()}) for said in
          (b"{}", b"[1]", b"{", b'[{"a":1}]', b'[{"a":"1","b":"2"}]', b'[{}]', b'[{"a":"\\u0000"}]')],
    ],
)  # fmt: skip
def test_a_publish_that_says_what_mqtt_cannot_carry_is_refused(
    place: Twin, query: str, headers: dict[str, str]
) -> None:
    code, _, answer = place.http("POST", f"/topics/a?{query}", b"x", **headers)
    assert (code, answer["x-amzn-errortype"]) == (400, "InvalidRequestException:")


def test_a_retained_message_is_read_listed_and_deleted_over_rest(place: Twin, data: Any, thing: str) -> None:
    topic = f"{thing}/a b/é"
    data.publish(topic=topic, qos=1, retain=True, payload=b"\x00kept", userProperties=[{"n": "alpha"}])
    got = data.get_retained_message(topic=topic)
    assert (got["topic"], got["payload"], got["qos"]) == (topic, b"\x00kept", 1)
    assert json.loads(got["userProperties"]) == [{"n": "alpha"}], "in base64 on its way"
    assert got["lastModifiedTime"] > 1_700_000_000_000, "in milliseconds"
    (listed,) = [each for each in all_retained(data) if each["topic"] == topic]
    assert listed == {
        "topic": topic, "payloadSize": 5, "qos": 1, "lastModifiedTime": got["lastModifiedTime"]}  # fmt: skip
    with place.device("late", topic) as late:
        assert late.message() == Got(topic, b"\x00kept", 1, retain=True)
        late.send(wire.puback(1))
        data.publish(topic=topic, retain=True, payload=b"")
        assert late.message() == Got(topic, b""), "whoever subscribed gets the empty one too"
    raises(data, "ResourceNotFoundException", lambda: data.get_retained_message(topic=topic))
    assert topic not in [each["topic"] for each in all_retained(data)]


def all_retained(data: Any, **more: int) -> list[JsonObject]:
    found: list[JsonObject] = []
    token: dict[str, str] = {}
    while True:
        page = data.list_retained_messages(**more, **token)
        assert len(page["retainedTopics"]) <= more.get("maxResults", 200)
        found += page["retainedTopics"]
        if "nextToken" not in page:
            return found
        assert page["retainedTopics"], "no page but the last is empty"
        token = {"nextToken": page["nextToken"]}


@pytest.mark.parametrize("most", [1, 2, 5, 200])
def test_retained_messages_are_listed_page_by_page(data: Any, place: Twin, thing: str, most: int) -> None:
    topics = [f"{thing}/{n}" for n in ("ü", "a b", "1", "2", "x/y/z")]
    with place.device("keeper") as keeper:
        for n, topic in enumerate(topics, 1):
            keeper.send(wire.publish(topic, b"%d" % n, n, retain=True))
            assert keeper.read() == Heard(0x40, struct.pack("!H", n))
    found = [each["topic"] for each in all_retained(data, maxResults=most)]
    assert sorted(topic for topic in found if topic.startswith(thing + "/")) == sorted(topics)
    assert len(found) == len(set(found))
    for topic in topics:
        data.publish(topic=topic, retain=True, payload=b"")


@pytest.mark.parametrize(
    "query", ["maxResults=0", "maxResults=201", "maxResults=x", "nextToken=%3F", "nextToken=gA=="]
)
def test_a_bad_page_of_retained_messages_is_refused(place: Twin, query: str) -> None:
    assert place.http("GET", f"/retainedMessage?{query}")[0] == 400


def test_a_retained_message_is_still_there_after_a_restart(tmp_path: Path) -> None:
    def said(data: Any) -> Any:
        got = data.get_retained_message(topic="a/b")
        return {name: got[name] for name in ("payload", "qos", "lastModifiedTime", "userProperties")}

    with twin(tmp_path) as place, place.device("d", version=5) as device:
        place.boto("iot-data").publish(
            topic="a/b",
            qos=1,
            retain=True,
            payload=b"\xff",
            userProperties=[{"n": "alpha"}],
            messageExpiry=600,
        )
        device.send(
            wire.publish("gone", b"1", 1, version=5, retain=True),
            wire.publish("gone", b"", 2, version=5, retain=True),
        )
        device.send(wire.publish("brief", b"1", 3, version=5, retain=True, said=struct.pack("!BI", 0x02, 1)))
        assert [device.read().first for _ in range(3)] == [0x40] * 3
        before = said(place.boto("iot-data"))
    with twin(tmp_path) as place:
        assert said(place.boto("iot-data")) == before
        assert eventually(lambda: [each["topic"] for each in all_retained(place.boto("iot-data"))] == ["a/b"])
        with place.device("late", "a/b") as late:
            assert late.message() == Got("a/b", b"\xff", 1, retain=True)


def test_nothing_can_be_published_with_retain_to_a_reserved_topic(place: Twin, data: Any, thing: str) -> None:
    topic = f"$aws/things/{thing}/shadow/update"
    raises(
        data,
        "InvalidRequestException",
        lambda: data.publish(topic=topic, retain=True, payload=b'{"state":{}}'),
    )
    with place.device("five", version=5) as five:
        five.send(wire.publish(topic, b'{"state":{}}', 1, version=5, retain=True))
        assert five.read() == Heard(0x40, b"\0\1\x87")
    raises(data, "ResourceNotFoundException", lambda: data.get_thing_shadow(thingName=thing))


def test_when_no_more_can_be_retained_a_publish_is_throttled(
    place: Twin, data: Any, thing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_RETAINED", 0)
    answer = raises(data, "ThrottlingException", lambda: data.publish(topic=thing, retain=True, payload=b"x"))
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 429
    data.publish(topic=thing, retain=True, payload=b"")
    data.publish(topic=thing, payload=b"x")


# --- 11. Things


def test_a_thing_has_an_arn_an_id_and_a_default_client_id(iot: Any, thing: str) -> None:
    made = iot.create_thing(thingName=thing)
    there = iot.describe_thing(thingName=thing)
    assert re.fullmatch(rf"arn:aws:iot:[^:]+:\d{{12}}:thing/{thing}", made["thingArn"])
    assert (there["thingArn"], there["thingId"]) == (made["thingArn"], made["thingId"])
    assert (there["defaultClientId"], there["version"], there["attributes"]) == (thing, 1, {})
    assert "thingTypeName" not in there
    assert "billingGroupName" not in there


def test_the_same_thing_again_succeeds_and_another_of_its_name_is_409(iot: Any, thing: str) -> None:
    made = iot.create_thing(thingName=thing, attributePayload={"attributes": {"a": "1"}})
    again = iot.create_thing(thingName=thing, attributePayload={"attributes": {"a": "1"}})
    assert again["thingId"] == made["thingId"]
    answer = raises(iot, "ResourceAlreadyExistsException", lambda: iot.create_thing(thingName=thing))
    assert (answer["resourceId"], answer["resourceArn"]) == (made["thingId"], made["thingArn"])
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 409


def test_a_version_that_is_not_the_expected_one_is_409_in_update_and_delete(iot: Any, thing: str) -> None:
    iot.create_thing(thingName=thing)
    for _ in range(2):
        iot.update_thing(thingName=thing, attributePayload={"attributes": {"a": "1"}})
    assert iot.describe_thing(thingName=thing)["version"] == 3
    for call in (iot.update_thing, iot.delete_thing):
        answer = raises(
            iot,
            "VersionConflictException",
            lambda call=call: call(thingName=thing, expectedVersion=2),  # type: ignore[misc]
        )
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 409
    iot.delete_thing(thingName=thing, expectedVersion=3)


def test_an_unknown_thing_cannot_be_read_or_changed_but_deleted(iot: Any, thing: str) -> None:
    raises(iot, "ResourceNotFoundException", lambda: iot.describe_thing(thingName=thing))
    raises(iot, "ResourceNotFoundException", lambda: iot.update_thing(thingName=thing))
    iot.delete_thing(thingName=thing)


@pytest.mark.parametrize(
    ("change", "after"),
    [
        ({"attributes": {"c": "3"}}, {"c": "3"}),
        ({"attributes": {"c": "3"}, "merge": False}, {"c": "3"}),
        ({"attributes": {"a": "9", "c": "3"}, "merge": True}, {"a": "9", "b": "2", "c": "3"}),
        ({"attributes": {"a": ""}, "merge": True}, {"b": "2"}),
        ({"attributes": {"k2": ""}}, {}),
        ({"attributes": {"k2": ""}, "merge": True}, {"a": "1", "b": "2"}),
        ({}, {"a": "1", "b": "2"}),
    ],
    ids=str,
)
def test_attributes_replace_the_old_ones_or_are_laid_over_them_and_an_empty_one_is_never_stored(
    iot: Any, thing: str, change: JsonObject, after: dict[str, str]
) -> None:
    iot.create_thing(thingName=thing, attributePayload={"attributes": {"a": "1", "b": "2"}})
    iot.update_thing(thingName=thing, attributePayload=change)
    assert iot.describe_thing(thingName=thing)["attributes"] == after


def test_a_thing_has_3_attributes_without_a_type_and_50_with_one(iot: Any, thing: str) -> None:
    iot.create_thing_type(thingTypeName=thing)

    def make(name: str, count: int, **more: str) -> None:
        attributes = {f"a{n}": "1" for n in range(count)}
        iot.create_thing(thingName=name, attributePayload={"attributes": attributes}, **more)

    make(f"{thing}-3", 3)
    raises(iot, "InvalidRequestException", lambda: make(f"{thing}-4", 4))
    make(f"{thing}-50", 50, thingTypeName=thing)
    raises(iot, "InvalidRequestException", lambda: make(f"{thing}-51", 51, thingTypeName=thing))
    raises(
        iot,
        "InvalidRequestException",
        lambda: iot.update_thing(thingName=f"{thing}-50", removeThingType=True),
    )


@pytest.mark.parametrize(
    ("name", "value", "fits"),
    [
        ("a_.,@/:#-Z9", "x", True), ("x" * 128, "x", True), ("x" * 129, "x", False), ("a b", "x", False),
        ("a", "a_.,@/:#=[]-Z9", True), ("a", "x" * 800, True), ("a", "x" * 801, False), ("a", "a b", False),
        ("a", "有栖", False), ("a", "+81", False), ("é", "x", False),
    ],
)  # fmt: skip
def test_attributes_have_no_spaces_and_nothing_outside_ascii(
    iot: Any, thing: str, name: str, value: str, fits: bool
) -> None:
    def make() -> None:
        iot.create_thing(thingName=thing, attributePayload={"attributes": {name: value}})

    if fits:
        make()
    else:
        answer = raises(iot, "InvalidRequestException", make)
        assert answer["Error"]["Message"].startswith("1 validation error detected: Value ")
        assert "failed to satisfy constraint: " in answer["Error"]["Message"]


def test_things_are_listed_by_exact_filters_by_prefix_and_page_by_page(iot: Any, thing: str) -> None:
    iot.create_thing_type(thingTypeName=thing)
    for n in range(5):
        iot.create_thing(
            thingName=f"{thing}-{n}",
            attributePayload={"attributes": {thing: f"v{n % 2}x"}},
            **({"thingTypeName": thing} if n else {}),
        )

    def names(**wanted: Any) -> list[str]:
        pages = iot.get_paginator("list_things").paginate(**wanted, PaginationConfig={"PageSize": 2})
        return [each["thingName"].removeprefix(f"{thing}-") for page in pages for each in page["things"]]

    assert names(thingTypeName=thing) == ["1", "2", "3", "4"]
    assert names(attributeName=thing, attributeValue="v1x") == ["1", "3"]
    assert names(attributeName=thing, attributeValue="v1") == []
    assert names(attributeName=thing, attributeValue="v", usePrefixAttributeValue=True) == list("01234")
    assert names(attributeName=thing, attributeValue="v0x", thingTypeName=thing) == ["2", "4"]
    last = iot.list_things(thingTypeName=thing, maxResults=4)
    assert "nextToken" not in last
    assert set(last["things"][0]) == {"thingName", "thingTypeName", "thingArn", "attributes", "version"}


@pytest.mark.parametrize("most", [0, 251])
def test_a_page_of_things_has_1_to_250(place: Twin, most: int) -> None:
    for path in ("/things", "/thing-types"):
        code, _, headers = place.http("GET", f"{path}?maxResults={most}")
        assert (code, headers["x-amzn-errortype"]) == (400, "InvalidRequestException:")


# Thing types


def test_a_thing_type_is_made_described_and_listed_page_by_page(iot: Any, thing: str) -> None:
    properties = {"thingTypeDescription": "light bulb type", "searchableAttributes": ["wattage", "model"]}
    names = [f"{thing}-{n}" for n in range(5)]
    for name in names:
        made = iot.create_thing_type(thingTypeName=name, thingTypeProperties=properties)
        assert set(made) - {"ResponseMetadata"} == {"thingTypeName", "thingTypeArn", "thingTypeId"}
    there = iot.describe_thing_type(thingTypeName=names[0])
    assert (there["thingTypeProperties"], there["thingTypeMetadata"]["deprecated"]) == (properties, False)
    assert "deprecationDate" not in there["thingTypeMetadata"]
    found = []
    for page in iot.get_paginator("list_thing_types").paginate(PaginationConfig={"PageSize": 2}):
        assert len(page["thingTypes"]) <= 2
        found += [each["thingTypeName"] for each in page["thingTypes"]]
    assert [name for name in found if name in names] == names
    (one,) = iot.list_thing_types(thingTypeName=names[1])["thingTypes"]
    assert one["thingTypeName"] == names[1]
    raises(iot, "ResourceAlreadyExistsException", lambda: iot.create_thing_type(thingTypeName=names[0]))


def test_no_new_thing_can_have_a_deprecated_type_and_old_ones_keep_it(iot: Any, thing: str) -> None:
    iot.create_thing_type(thingTypeName=thing)
    for n in (1, 2):
        iot.create_thing(thingName=f"{thing}-{n}", **({"thingTypeName": thing} if n == 1 else {}))
    iot.deprecate_thing_type(thingTypeName=thing)
    metadata = iot.describe_thing_type(thingTypeName=thing)["thingTypeMetadata"]
    assert (metadata["deprecated"], metadata["deprecationDate"] >= metadata["creationDate"]) == (True, True)
    make = {"thingName": f"{thing}-3", "thingTypeName": thing}
    raises(iot, "InvalidRequestException", lambda: iot.create_thing(**make))
    change = {"thingName": f"{thing}-2", "thingTypeName": thing}
    raises(iot, "InvalidRequestException", lambda: iot.update_thing(**change))
    assert iot.describe_thing(thingName=f"{thing}-1")["thingTypeName"] == thing
    iot.update_thing(thingName=f"{thing}-1", attributePayload={"attributes": {"a": "1"}})
    iot.deprecate_thing_type(thingTypeName=thing, undoDeprecate=True)
    assert not iot.describe_thing_type(thingTypeName=thing)["thingTypeMetadata"]["deprecated"]
    iot.create_thing(**make)


def test_a_type_is_deleted_5_minutes_after_it_was_deprecated_and_once_no_thing_has_it(
    place: Twin, iot: Any, thing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 1_000_000.0
    monkeypatch.setattr(place.registry, "_clock", lambda: now_s)
    iot.create_thing_type(thingTypeName=thing)
    iot.create_thing(thingName=thing, thingTypeName=thing)

    def refused() -> str:
        answer = raises(iot, "InvalidRequestException", lambda: iot.delete_thing_type(thingTypeName=thing))
        return str(answer["Error"]["Message"])

    assert "deprecate" in (refused_ := refused()) or "things" in refused_
    iot.update_thing(thingName=thing, removeThingType=True)
    assert "Please deprecate it first" in refused()
    iot.deprecate_thing_type(thingTypeName=thing)
    now_s += 200
    iot.deprecate_thing_type(thingTypeName=thing)  # it is already: its time does not begin anew
    now_s += 99
    wait = f"Cannot delete thing type : {thing}. Please wait for 5 minutes after deprecation and then retry"
    assert refused() == wait
    now_s += 1
    iot.update_thing(thingName=thing, attributePayload={"attributes": {"a": "1"}})
    iot.delete_thing_type(thingTypeName=thing)
    for call in (iot.describe_thing_type, iot.deprecate_thing_type, iot.delete_thing_type):
        raises(iot, "ResourceNotFoundException", lambda call=call: call(thingTypeName=thing))  # type: ignore[misc]
    iot.create_thing_type(thingTypeName=thing)
    assert not iot.describe_thing_type(thingTypeName=thing)["thingTypeMetadata"]["deprecated"]


def test_a_type_that_a_thing_has_is_not_deleted(
    place: Twin, iot: Any, thing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 1_000_000.0
    monkeypatch.setattr(place.registry, "_clock", lambda: now_s)
    iot.create_thing_type(thingTypeName=thing)
    iot.create_thing(thingName=thing, thingTypeName=thing)
    iot.deprecate_thing_type(thingTypeName=thing)
    now_s += 300
    raises(iot, "InvalidRequestException", lambda: iot.delete_thing_type(thingTypeName=thing))
    iot.delete_thing(thingName=thing)
    iot.delete_thing_type(thingTypeName=thing)


# --- 12. Lifecycle events


def test_subscribing_and_unsubscribing_is_told(place: Twin) -> None:
    events = "$aws/events/subscriptions"
    with (
        place.device("w", f"{events}/+/c", "$aws/events/presence/connected/c") as watch,
        place.device("c", "foo/bar", "device/data") as client,
    ):
        came, told = (json.loads(watch.message().payload) for _ in range(2))
        client.send(wire.unsubscribe("device/data", "never"))
        assert client.read().first == 0xB0
        left = watch.message()
        client.send(wire.subscribe("$share/g/t", packet_id=9), wire.unsubscribe("never"))
        assert [client.read().first, client.read().first] == [0x90, 0xB0]
        assert watch.quiet(), "of what was refused, or never was, nothing is told"
    assert left.topic == f"{events}/unsubscribed/c"
    assert told == {
        "clientId": "c",
        "timestamp": told["timestamp"],
        "eventType": "subscribed",
        "sessionIdentifier": came["sessionIdentifier"],
        "principalIdentifier": came["principalIdentifier"],
        "topics": ["foo/bar", "device/data"],
    }
    assert told["timestamp"] >= came["timestamp"] > 1_700_000_000_000, "in milliseconds"
    assert (json.loads(left.payload)["eventType"], json.loads(left.payload)["topics"]) == (
        "unsubscribed", ["device/data"])  # fmt: skip


def test_a_client_id_with_a_wildcard_gets_no_lifecycle_events(place: Twin) -> None:
    with place.device("w", "$aws/events/presence/#", "$aws/events/subscriptions/#") as watch:
        assert watch.message().topic.endswith("subscribed/w")
        watch.send(wire.puback(1))
        for client_id in ("a+", "a#b"):
            with place.device(client_id, "t"):
                pass
        assert watch.quiet()


# --- 13. The broker, where it differs from a plain one


@pytest.mark.parametrize(("version", "answer"), [(4, b""), (5, b"\x90\x04\0\1\0\1")])
def test_a_subscription_with_qos_2_gets_no_suback_but_from_mqtt_5(
    place: Twin, version: int, answer: bytes
) -> None:
    with place.device("two", version=version) as device, place.device("pub") as pub:
        device.send(wire.subscribe("t2", qos=2, version=version), wire.PINGREQ)
        if answer:
            assert device.read() == Heard(answer[0], answer[2:])
        assert device.read() == Heard(0xD0, b"")
        pub.send(wire.publish("t2", b"x", 1))
        assert pub.read().first == 0x40
        assert device.message().payload == b"x" if answer else device.quiet()


def test_what_a_client_sends_beyond_512_kilobytes_a_second_has_to_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "MAX_THROUGHPUT", 4096)
    with wire.Running(throttle=True) as running, running.device("pub") as pub:
        began = time.monotonic()
        pub.send(*(wire.publish("t", b"x" * 1000, n) for n in range(1, 13)))
        assert [pub.read().body[1] for _ in range(12)] == list(range(1, 13)), "and nothing is lost"
        assert time.monotonic() - began > 1.5, "three seconds' worth, of which one may have begun before"


def test_what_a_client_gets_beyond_512_kilobytes_a_second_has_to_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "MAX_THROUGHPUT", 4096)
    with wire.Running(throttle=True) as running, running.device("sub", "t") as sub:
        began = time.monotonic()
        for n in range(13):
            running.gateway.publish_soon([Message("t", b"%d" % n + b"x" * 1000)])
        assert [sub.message().payload.rstrip(b"x") for _ in range(13)] == [b"%d" % n for n in range(13)]
        sub.send(wire.PINGREQ)
        assert sub.read() == Heard(0xD0, b"")
        assert time.monotonic() - began > 1.5


def test_without_the_throttle_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_THROUGHPUT", 1)  # a thousand seconds for each of these
    with wire.Running(throttle=False) as running, running.device("c", "t") as client:
        client.send(*(wire.publish("t", b"x" * 1000) for _ in range(12)))
        assert [client.message().payload for _ in range(12)] == [b"x" * 1000] * 12


def test_what_was_stored_for_an_absent_client_comes_10_a_second_beside_what_comes_now(
    tmp_path: Path,
) -> None:
    with twin(tmp_path, throttle=True) as place, place.device("pub") as pub:
        with place.device("sleepy", "t", clean=False) as device:
            device.send(wire.DISCONNECT)
            assert device.closed()
        pub.send(*(wire.publish("t", b"%d" % n, n + 1) for n in range(35)))
        assert [pub.read().first for _ in range(35)] == [0x40] * 35
        with place.device("sleepy", clean=False) as device:
            first = [device.message().payload for _ in range(10)]
            pub.send(wire.publish("t", b"now", 99))
            rest = [device.message() for _ in range(26)]
        assert first == [b"%d" % n for n in range(10)]
        stored = [got.payload for got in rest if got.payload != b"now"]
        assert stored == [b"%d" % n for n in range(10, 35)]
        assert rest[-1].payload == b"34", "what comes now need not wait for what was stored"
        assert len({got.packet_id for got in rest}) == 26


def test_a_listener_takes_only_so_many_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    with wire.Running(most=2) as running, running.device("a") as one, running.device("b"):
        for version, code in ((4, 3), (5, 0x97)):
            with running.raw(version) as third:
                third.send(wire.connect("c", version=version))
                assert third.read().body[1] == code
        with running.kiosk("k"):
            pass  # the kiosks have room of their own
        one.drop()
        assert eventually(lambda: len(running.gateway._doors) == 1)
        with running.device("c"):
            pass
        monkeypatch.setattr(limits, "MAX_UNGREETED", 0)
        with running.raw() as silent, running.raw() as unheard:
            assert unheard.closed() or silent.closed()


@pytest.mark.parametrize(
    ("origin", "status"),
    [(None, 101), ("http://localhost:5173", 101), ("http://127.0.0.1", 101), ("https://evil.example", 403),
     ("http://localhost.evil.example", 403), ("null", 403)],
)  # fmt: skip
def test_devices_come_by_websocket_too_but_no_page_of_another_machine(
    place: Twin, origin: str | None, status: int
) -> None:
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    def come() -> int:
        try:
            with connect(place.at.websocket, origin=origin, subprotocols=["mqtt"], proxy=None) as page:  # type: ignore[arg-type, list-item]
                page.send(wire.connect("page") + wire.publish("$aws/things/any/shadow/get", b"", 1))
                assert [page.recv(5)[0] for _ in range(1)] == [0x20]
                return 101
        except InvalidStatus as no:
            return no.response.status_code

    assert come() == status


# --- What other files test


ELSEWHERE = {
    "QoS 0 and 1 only; a message of QoS 2 gets no PUBACK": "test_gateway_rules.test_qos_2_is_refused_as_on_aws",
    "one connection per client id: the new one wins": "test_gateway_rules.test_a_new_connection_takes_the_client_id_over",
    "a client id has up to 128 bytes and no $ in front": "test_gateway_policy.test_a_client_id_is_what_aws_takes",
    "a payload has up to 128 KB": "test_gateway_rules.test_a_message_that_aws_refuses_is_refused",
    "a topic has up to 256 bytes and 7 slashes": "test_gateway_topics.test_a_topic_is_what_aws_takes",
    "and so has a filter": "test_gateway_topics.test_a_filter_is_what_aws_takes",
    "x/# does not match x, and no wildcard in front matches a $": "test_gateway_topics.test_a_filter_matches_as_on_aws",
    "a retained message comes for its exact topic only": "test_gateway_rules.test_a_retained_message_waits_for_who_asks_for_its_very_topic",
    "an empty one deletes it, and is told": "test_gateway_rules.test_an_empty_retained_message_is_told_and_forgets_the_old_one",
    "no RETAIN on reserved topics": "test_gateway_rules.test_nothing_is_retained_on_a_reserved_topic",
    "keep-alive is 30 to 1200 s": "test_gateway_rules.test_a_keep_alive_that_aws_does_not_take_is_moved_to_one_that_it_does_and_said_so",
    "cut off after 1.5 times": "test_gateway_rules.test_a_client_that_is_silent_for_one_and_a_half_of_its_keep_alive_is_cut_off",
    "a session lasts an hour": "test_gateway_rules.test_no_session_is_kept_for_more_than_an_hour",
    "at most 8 filters in a SUBSCRIBE": "test_gateway_rules.test_a_filter_that_aws_refuses_is_refused",
    "50 subscriptions a connection": "test_gateway_rules.test_a_connection_has_fifty_subscriptions_and_may_change_them",
    "100 publishes a second a connection": "test_gateway_rules.test_who_publishes_faster_than_aws_allows_waits_and_loses_nothing",
    "100 unacknowledged messages to a client": "test_gateway_rules.test_no_more_than_a_hundred_are_on_their_way_until_they_are_acknowledged",
    "100 unacknowledged messages from a client": "test_gateway_rules.test_a_client_has_only_so_many_messages_in_the_hooks",
    "a refused login is code 7 in 3.1.1": "test_gateway_rules.test_with_users_a_device_must_log_in",
    "WebSocket is at /mqtt with the subprotocol mqtt": "test_gateway_kiosk.test_mqtt_is_at_its_path_and_under_its_name",
    "presence events": "test_gateway_rules.test_coming_and_leaving_is_told_as_on_aws",
    "why a client left": "test_gateway_rules.test_the_event_says_why_a_client_was_cut_off",
    "visits count from 0 after an hour": "test_gateway_rules.test_a_count_of_visits_starts_again_after_an_hours_absence",
    "a client makes no topics under $": "test_gateway_policy.test_who_may_publish_what",
    "answers come in the order of versions": "test_service.test_sixteen_writers_make_one_history_said_in_order",
    "of equal keys the last counts": "test_document.test_of_two_equal_keys_the_last_counts_and_unknown_members_are_ignored",
    "boto3 encodes slashes and colons, plain ones count too": "test_rest.test_a_topic_may_also_come_with_plain_slashes",
    "what boto3 encodes is routed before it is decoded": "test_rest.test_an_encoded_slash_does_not_lead_to_another_things_shadow",
    "a full disk is InternalFailureException": "test_rest.test_a_full_disk_is_500_for_boto3",
    "AWS's own shadow client of its device SDK": "test_real_clients.test_awss_own_shadow_client_gets_updates_and_follows",
}  # fmt: skip


@pytest.mark.parametrize("sentence", ELSEWHERE)
def test_what_is_tested_elsewhere_is(sentence: str) -> None:
    module, _, name = ELSEWHERE[sentence].partition(".")
    tree = ast.parse((Path(__file__).parent / f"{module}.py").read_text("utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_a_service_that_is_stopping_is_503(tmp_path: Path) -> None:
    with twin(tmp_path) as place:
        data = place.boto("iot-data")
        place.store.close()
        answer = raises(data, "ServiceUnavailableException", lambda: data.get_thing_shadow(thingName="x"))
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 503


def test_whatever_else_goes_wrong_is_a_client_error(data: Any, thing: str) -> None:
    with pytest.raises(ClientError, match="ForbiddenException"):
        data.publish(topic=f"$aws/things/{thing}/shadow/update/accepted", payload=b"{}")
