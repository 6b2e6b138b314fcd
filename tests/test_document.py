"""The shadow algebra: its laws, the checks of a request, and the payloads to the letter."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadows import document as doc
from shadows.document import Document, UpdateRequest, apply, delta, merge, parse_request, same, stamp
from shadows.errors import Rejected
from shadows.shadow import JsonObject, Shadow

# Few keys, so that documents collide; one of them looks like metadata.
keys = st.sampled_from(["a", "b", "timestamp"])
leaves = st.sampled_from([True, False, 0, 1, 1.0, 2, "", "1", "呼"])
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(keys, inner, max_size=2), max_leaves=5
)
sections = st.dictionaries(keys, values, max_size=3)
patches = st.dictionaries(
    keys,
    st.recursive(leaves | st.none(), lambda inner: st.dictionaries(keys, inner, max_size=2), max_leaves=5)
    | st.lists(leaves, max_size=2),
    max_size=3,
)
states = st.fixed_dictionaries({}, optional={"desired": patches | st.none(), "reported": patches | st.none()})
requests = st.builds(UpdateRequest, state=states | st.none())


def update(request: object, document: Document | None = None, now_s: int = 10, **more: int) -> Document:
    return apply(document, parse_request(json.dumps(request).encode()), now_s, **more)


def refusal(payload: bytes) -> tuple[int, str]:
    with pytest.raises(Rejected) as no:
        parse_request(payload)
    return no.value.code, no.value.message


# --- Laws


@given(desired=sections, reported=sections)
def test_sending_the_delta_is_enough(desired: JsonObject, reported: JsonObject) -> None:
    assert same(merge(reported, delta(desired, reported)), merge(reported, desired))


@given(desired=sections, reported=sections)
def test_once_the_delta_is_reported_nothing_is_left(desired: JsonObject, reported: JsonObject) -> None:
    assert delta(desired, merge(reported, delta(desired, reported))) == {}


@given(section=sections)
def test_nothing_differs_from_itself_and_everything_from_nothing(section: JsonObject) -> None:
    assert delta(section, section) == {}
    assert same(delta(section, {}), section)


@given(base=sections, patch=patches)
def test_a_patch_leaves_no_null_takes_effect_and_does_no_more_when_repeated(
    base: JsonObject, patch: JsonObject
) -> None:
    merged = merge(base, patch)
    assert "null" not in json.dumps(merged)
    assert same(merge(merged, patch), merged)
    assert all(key not in merged for key, value in patch.items() if value is None)
    assert all(same(merged[key], base[key]) for key in base if key not in patch)


def shape(value: Any) -> Any:
    return stamp(value, 0)


def unstamped(state: Any, metadata: Any) -> Any:
    if isinstance(state, dict):
        assert state.keys() == metadata.keys()
        return {key: unstamped(state[key], metadata[key]) for key in state}
    if isinstance(state, list):
        return [unstamped(*pair) for pair in zip(state, metadata, strict=True)]
    assert list(metadata) == ["timestamp"]
    assert 1 <= metadata["timestamp"] <= 1000
    return {"timestamp": 0}


@given(history=st.lists(requests, min_size=1, max_size=5))
def test_the_metadata_mirrors_the_state_whatever_happens(history: list[UpdateRequest]) -> None:
    document = None
    for now_s, request in enumerate(history, 1):
        document = apply(document, request, now_s)
        assert document.version == now_s
        assert unstamped(document.state, document.metadata) == shape(document.state)
        assert all(document.state.values()), "an empty section must not show"
        assert Document.read(document.text) == document


@given(before=requests, request=requests)
def test_only_what_an_update_names_gets_its_time(before: UpdateRequest, request: UpdateRequest) -> None:
    def times(document: Document, patch: JsonObject) -> None:
        for name, section in document.state.items():
            for key in section:
                named = patch.get(name) is not None and key in patch[name]
                if not named:
                    assert "2" not in json.dumps(document.metadata[name][key])
                elif not isinstance(section[key], dict):
                    assert "1" not in json.dumps(document.metadata[name][key])

    document = apply(apply(None, before, 1), request, 2)
    times(document, request.state or {})


# --- Merge and delta, by example


@pytest.mark.parametrize(
    ("base", "patch", "merged"),
    [
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}, {"a": {"c": 2}}),
        ({"a": {"b": 1}}, {"a": {"b": None}}, {"a": {}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": 1}, {"a": {"b": 2}}, {"a": {"b": 2}}),
        ({"a": {"b": 2}}, {"a": 1}, {"a": 1}),
        ({"a": 1}, {"b": None, "c": {}}, {"a": 1, "c": {}}),
        ({}, {"a": {"b": None}}, {}),
        ({}, {"a": {"b": None, "c": {}}}, {"a": {"c": {}}}),
        ({"a": 1}, {"a": {"b": None}}, {"a": {}}),
    ],
)
def test_a_merge_goes_key_by_key(base: JsonObject, patch: JsonObject, merged: JsonObject) -> None:
    assert merge(base, patch) == merged


@pytest.mark.parametrize(
    ("desired", "reported", "left"),
    [
        ({"a": True}, {"a": 1}, {"a": True}),
        ({"a": [True]}, {"a": [1]}, {"a": [True]}),
        ({"a": "1"}, {"a": 1}, {"a": "1"}),
        ({"a": 1}, {"a": 1.0}, {}),
        ({"a": [1, 2]}, {"a": [2, 1]}, {"a": [1, 2]}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3, "d": 4}}, {"a": {"c": 2}}),
        ({"a": {"b": 1}}, {"a": {"b": 1}}, {}),
        ({"a": {}}, {}, {"a": {}}),
        ({"a": {}}, {"a": {"b": 1}}, {}),
        ({"a": [{"b": True}]}, {"a": [{"b": 1}]}, {"a": [{"b": True}]}),
    ],
)
def test_a_delta_is_what_differs(desired: JsonObject, reported: JsonObject, left: JsonObject) -> None:
    assert delta(desired, reported) == left
    assert json.dumps(delta(desired, reported)) == json.dumps(left)


# --- Applying


def test_a_section_vanishes_with_its_last_key() -> None:
    document = update({"state": {"desired": {"a": 1}, "reported": {"b": {"c": 1}}}})
    document = update({"state": {"desired": {"a": None}, "reported": {"b": {"c": None}}}}, document)
    assert document.state == {"reported": {"b": {}}}
    assert document.metadata == {"reported": {"b": {}}}


@pytest.mark.parametrize("state", [None, {"desired": None, "reported": None}])
def test_a_cleared_state_leaves_a_shadow_that_counts_on(state: object) -> None:
    document = update({"state": state}, update({"state": {"desired": {"a": 1}, "reported": {"a": 1}}}))
    assert (document.state, document.metadata, document.version) == ({}, {}, 2)


@pytest.mark.parametrize("state", [{}, {"desired": {}}])
def test_an_empty_update_makes_an_empty_shadow_and_counts(state: object) -> None:
    assert update({"state": state}).text == '{"state":{},"metadata":{},"version":1}'
    before = update({"state": {"desired": {"a": 1}}})
    after = update({"state": state}, before)
    assert (after.state, after.version) == (before.state, 2)


def test_a_version_must_be_the_current_one() -> None:
    document = update({"state": {"desired": {"a": 1}}})
    assert update({"state": {"desired": {"a": 2}}, "version": 1}, document).version == 2
    for version, there in ((2, document), (0, document), (1, None), (0, None)):
        with pytest.raises(Rejected, match="Version conflict") as no:
            update({"state": {}, "version": version}, there)
        assert no.value.code == 409


def test_8192_bytes_of_state_are_taken_and_one_more_is_not() -> None:
    room = 8192 - len(b'{"desired":{"a":""},"reported":{"b":1}}')
    first = update({"state": {"reported": {"b": 1}}})
    fits = "呼" * (room // 3) + "x" * (room % 3)
    assert len(doc.encode(update({"state": {"desired": {"a": fits}}}, first).state)) == 8192
    with pytest.raises(Rejected, match="exceeds the maximum size") as no:
        update({"state": {"desired": {"a": fits + "x"}}}, first)
    assert no.value.code == 413


# --- Refusals


@pytest.mark.parametrize(
    ("payload", "code", "message"),
    [
        (b"\xff", 415, "Unsupported documented encoding; supported encoding is UTF-8"),
        ('{"state":{}}'.encode("utf-16"), 415, "Unsupported documented encoding; supported encoding is UTF-8"),
        (b"", 400, "Invalid JSON"),
        (b"\xef\xbb\xbf{}", 400, "Invalid JSON"),
        (b"[]", 400, "Invalid JSON"),
        (b"{", 400, "Invalid JSON"),
        (b'{"state":{}} x', 400, "Invalid JSON"),
        (b'{"state":{"desired":{"a":NaN}}}', 400, "Invalid JSON"),
        (b'{"state":{"desired":{"a":-Infinity}}}', 400, "Invalid JSON"),
        (b'{"state":{"desired":{"a":1e400}}}', 400, "Invalid JSON"),
        (b'{"state":{"desired":{"a":1' + b"0" * 400 + b"}}}", 400, "Invalid JSON"),
        (b'{"state":{"desired":{"a":1' + b"0" * 5000 + b"}}}", 400, "Invalid JSON"),
        (b'{"state":{"desired":{"a":"\\ud800"}}}', 400, "Invalid JSON"),
        (b'{"clientToken":"\\udfff","state":{}}', 400, "Invalid JSON"),
        (b"[" * 60_000, 400, "Invalid JSON"),
        (b'{"clientToken":1}', 400, "Invalid clientToken"),
        (b'{"clientToken":"' + "é".encode() * 33 + b'"}', 400, "Invalid clientToken"),
        (b"{}", 400, "Missing required node: state"),
        (b'{"state":[]}', 400, "State node must be an object"),
        (b'{"state":{"delta":{}}}', 400, "State contains an invalid node: 'delta'"),
        (b'{"state":{"":{}}}', 400, "State contains an invalid node: ''"),
        (b'{"state":{"desired":[]}}', 400, "Desired node must be an object"),
        (b'{"state":{"reported":0}}', 400, "Reported node must be an object"),
        (b'{"state":{"desired":{"a":[{"b":[null]}]}}}', 400, "State contains an invalid node: an array must not contain null"),
        (b'{"state":{},"version":"1"}', 400, "Invalid version"),
        (b'{"state":{},"version":1.0}', 400, "Invalid version"),
        (b'{"state":{},"version":true}', 400, "Invalid version"),
        (b'{"state":{},"version":null}', 400, "Invalid version"),
        (b" " * (128 * 1024 + 1), 413, "The payload exceeds the maximum size allowed"),
    ],
)  # fmt: skip
def test_a_bad_request_is_refused_in_the_words_of_aws(payload: bytes, code: int, message: str) -> None:
    assert refusal(payload) == (code, message)


def nested(levels: int, array: bool = False) -> bytes:
    """A section with so many levels, itself counted."""
    opened, closed = ('{"a":', "}") if not array else ("[", "]")
    return f'{{"state":{{"desired":{{"a":{opened * (levels - 1)}1{closed * (levels - 1)}}}}}}}'.encode()


@pytest.mark.parametrize("array", [False, True])
def test_six_levels_are_taken_and_seven_are_not_however_deep(array: bool) -> None:
    assert parse_request(nested(6, array)).state is not None
    for levels in (7, 100, 900):
        assert refusal(nested(levels, array)) == (
            400,
            "JSON contains too many levels of nesting; maximum is 6",
        )


def test_of_two_equal_keys_the_last_counts_and_unknown_members_are_ignored() -> None:
    request = parse_request(b'{"state":{"desired":{"a":1,"a":2}},"other":[null],"clientToken":""}')
    assert request == UpdateRequest(state={"desired": {"a": 2}}, token="")


@given(
    payload=st.binary(max_size=60)
    | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass"))
)
def test_no_bytes_break_the_parser(payload: bytes) -> None:
    with pytest.raises(Rejected):
        parse_request(payload)
    assert doc.token_of(payload) is None


# --- Payloads


def test_an_update_is_accepted_with_what_was_sent() -> None:
    request = parse_request(b'{"state":{"desired":{"status":"calling"}},"clientToken":"tok-1"}')
    assert doc.update_accepted(request, 5, 7).decode() == (
        '{"state":{"desired":{"status":"calling"}},"metadata":{"desired":{"status":{"timestamp":7}}},'
        '"version":5,"timestamp":7,"clientToken":"tok-1"}'
    )


def test_a_cleared_state_and_nulls_are_echoed() -> None:
    cleared = parse_request(b'{"state":null}')
    assert doc.update_accepted(cleared, 18, 7).decode() == (
        '{"state":null,"metadata":{"timestamp":7},"version":18,"timestamp":7}'
    )
    nulls = parse_request(b'{"state":{"desired":null,"reported":{"a":null,"b":{},"c":[1,[]]}}}')
    assert json.loads(doc.update_accepted(nulls, 2, 7))["metadata"] == {
        "desired": {"timestamp": 7},
        "reported": {"a": {"timestamp": 7}, "b": {}, "c": [{"timestamp": 7}, []]},
    }


def test_a_delta_has_the_version_of_its_update_and_the_times_of_desired() -> None:
    document = update({"state": {"desired": {"status": "calling", "deep": {"x": 1, "y": [1]}}}}, now_s=3)
    document = update({"state": {"reported": {"deep": {"x": 1, "y": [2]}}}}, document, now_s=9)
    assert (doc.update_delta(document, 9, "tok-1") or b"").decode() == (
        '{"version":2,"timestamp":9,"state":{"status":"calling","deep":{"y":[1]}},'
        '"metadata":{"status":{"timestamp":3},"deep":{"y":[{"timestamp":3}]}},"clientToken":"tok-1"}'
    )


def test_without_a_difference_there_is_no_delta() -> None:
    document = update({"state": {"desired": {"a": 1}, "reported": {"a": 1, "b": 2}}})
    assert doc.update_delta(document, 9) is None
    assert "delta" not in json.loads(doc.get_accepted(document, 9))["state"]


def test_documents_shows_both_halves() -> None:
    first = update({"state": {"desired": {"a": "é"}}}, now_s=3)
    second = update({"state": {"reported": {"a": "é"}}}, first, now_s=9)
    half = '{"state":{"desired":{"a":"é"}},"metadata":{"desired":{"a":{"timestamp":3}}},"version":1}'
    assert (
        doc.update_documents(None, first, 3).decode() == f'{{"previous":null,"current":{half},"timestamp":3}}'
    )
    assert doc.update_documents(first, second, 9, "t").decode() == (
        f'{{"previous":{half},"current":{{"state":{{"desired":{{"a":"é"}},"reported":{{"a":"é"}}}},'
        '"metadata":{"desired":{"a":{"timestamp":3}},"reported":{"a":{"timestamp":9}}},"version":2},'
        '"timestamp":9,"clientToken":"t"}'
    )


def test_a_get_shows_the_delta_in_the_state_and_not_in_the_metadata() -> None:
    document = update({"state": {"reported": {"a": 1}}}, now_s=3)
    document = update({"state": {"desired": {"a": 2}}}, document, now_s=4)
    assert doc.get_accepted(document, 9, "tok-2").decode() == (
        '{"state":{"desired":{"a":2},"reported":{"a":1},"delta":{"a":2}},'
        '"metadata":{"desired":{"a":{"timestamp":4}},"reported":{"a":{"timestamp":3}}},'
        '"version":2,"timestamp":9,"clientToken":"tok-2"}'
    )


def test_deleted_and_refused_are_said_in_few_words() -> None:
    assert doc.delete_accepted(9, 7, "t") == b'{"version":9,"timestamp":7,"clientToken":"t"}'
    no = Rejected(404, "No shadow exists with name: 'x'")
    assert doc.rejected(no) == b'{"code":404,"message":"No shadow exists with name: \'x\'"}'
    assert doc.rejected(no, "t").endswith(b',"clientToken":"t"}')


def test_what_we_send_is_what_the_service_reads() -> None:
    payload = doc.update_payload(desired={"名": "有栖"}, reported={}, version=3)
    assert parse_request(payload) == UpdateRequest(
        state={"desired": {"名": "有栖"}, "reported": {}}, version=3
    )
    assert parse_request(doc.update_payload()).state == {}
    for wrong in (float("nan"), float("inf"), "\ud800"):
        assert refusal(doc.update_payload(desired={"a": wrong})) == (400, "Invalid JSON")


def test_an_answer_of_get_is_read_as_a_shadow() -> None:
    document = update({"state": {"desired": {"a": 1}}})
    assert doc.shadow_of(doc.get_accepted(document, 9)) == Shadow(desired={"a": 1}, version=1)
