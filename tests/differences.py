"""What moto and MiniStack are known to do otherwise than AWS: what shows it, and how to tell it from a fault of ours.

``python -m tests.differences`` writes them into docs/fidelity.md.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from shadows.document import SECTIONS, delta, merge, same
from shadows.shadow import JsonObject
from tests.peers import Op, Outcome, coded


@dataclass(frozen=True, kw_only=True)
class Case:
    """One request, and what came of it on both sides.

    Attributes:
        before: what we had of its subject, as a get or a describe shows it; None if there was none.
        deleted: whether the subject was deleted before.
    """

    op: Op
    ours: Outcome
    theirs: Outcome
    before: JsonObject | None
    deleted: bool

    @property
    def request(self) -> JsonObject:
        """The body of an update that we accept; {} for all else."""
        if self.op.kind != "update_thing_shadow" or self.ours.error:
            return {}
        request: JsonObject = json.loads(coded(self.op.body))
        return request

    @property
    def patches(self) -> Iterator[tuple[JsonObject, JsonObject]]:
        """Each section that is sent, with what was there before."""
        for name, patch in (self.request.get("state") or {}).items():
            if patch is not None:
                yield patch, self.state.get(name, {})

    @property
    def state(self) -> JsonObject:
        """What there was before."""
        return dict(self.before["state"]) if self.before else {}


@dataclass(frozen=True, kw_only=True)
class Known:
    """A difference.

    Attributes:
        what: they do, in words.
        aws: the judge: what AWS says, and where.
        shown: requests, of which the last one shows it.
        fold: an outcome without the difference, if that is all there is to it.
        forks: whether this is it; the two go on differently from here, and are not compared any more.
        hides: whether ``forks`` is true also where both answer alike, and differ only afterwards.
    """

    what: str
    aws: str
    shown: Sequence[Op]
    fold: Callable[[Outcome], Outcome] | None = None
    forks: Callable[[Case], bool] | None = None
    hides: bool = False


# --- Requests that show something


def update(body: Any, shadow: str = "") -> Op:
    return Op(kind="update_thing_shadow", subject="a", shadow=shadow, body=body)


def desired(value: Any, **more: Any) -> Op:
    return update({"state": {"desired": value}, **more})


def reported(value: Any) -> Op:
    return update({"state": {"reported": value}})


GET: Final = Op(kind="get_thing_shadow", subject="a")
STRANGER: Final = "not-in-the-registry"
LIST: Final = Op(kind="list_named_shadows_for_thing", subject="a")
DELETE: Final = Op(kind="delete_thing_shadow", subject="a")


# --- Ways to tell


def lenient(what: str, aws: str, text: str, *shown: Op) -> Known:
    """They take, or refuse in another way, what we refuse with this text."""

    return Known(what=what, aws=aws, shown=shown, forks=lambda case: text.lower() in case.ours.text.lower())


def without(member: str) -> Callable[[Outcome], Outcome]:
    def fold(outcome: Outcome) -> Outcome:
        return _everywhere(outcome, lambda body: {key: body[key] for key in body if key != member})

    return fold


def _everywhere(outcome: Outcome, change: Callable[[JsonObject], JsonObject]) -> Outcome:
    """An outcome whose payloads are changed, those within documents too."""

    def changed(body: Any) -> Any:
        if not isinstance(body, dict):
            return body
        halves = {half: changed(body[half]) for half in ("previous", "current") if half in body}
        return change(body) | halves

    said = {topic: changed(body) for topic, body in outcome.said.items()}
    return replace(outcome, body=changed(outcome.body), said=said)


def in_metadata(change: Callable[[Any], Any]) -> Callable[[Outcome], Outcome]:
    """A fold of every metadata."""

    def fold(outcome: Outcome) -> Outcome:
        return _everywhere(
            outcome,
            lambda body: body | {"metadata": change(body["metadata"])} if "metadata" in body else body,
        )

    return fold


def _no_delta(metadata: Any) -> Any:
    return {key: value for key, value in metadata.items() if key != "delta"}


def _no_empty_section(metadata: Any) -> Any:
    return {key: value for key, value in metadata.items() if value or key not in SECTIONS}


def _one_time_an_array(metadata: Any) -> Any:
    if isinstance(metadata, dict):
        return {key: _one_time_an_array(value) for key, value in metadata.items()}
    return {"timestamp": "T"} if isinstance(metadata, list) else metadata


def _no_null_section(body: JsonObject) -> JsonObject:
    """An update/accepted without the sections that were sent as null."""
    state = body.get("state")
    if not isinstance(state, dict):
        return body
    gone = {name for name in SECTIONS if name in state and state[name] is None}
    parts = {
        part: {key: body[part][key] for key in body[part] if key not in gone}
        for part in ("state", "metadata")
    }
    return body | parts


def nulls_below_something_new(case: Case) -> bool:
    """Whether the request has a null below a key that is new, or was no object."""

    def within(value: Any) -> bool:
        return value is None or (isinstance(value, dict) and any(map(within, value.values())))

    def left(patch: JsonObject, base: Any) -> bool:
        for key, value in patch.items():
            old = base.get(key)
            if isinstance(value, dict) and isinstance(old, dict):
                if left(value, old):
                    return True
            elif isinstance(value, dict) and within(value):
                return True
        return False

    return any(left(patch, base) for patch, base in case.patches)


def object_over_value(case: Case) -> bool:
    """Whether the request lays an object over something that is none."""

    def found(patch: JsonObject, base: JsonObject) -> bool:
        pairs = [
            (value, base[key]) for key, value in patch.items() if key in base and isinstance(value, dict)
        ]
        return any(not isinstance(old, dict) or found(value, old) for value, old in pairs)

    return any(found(patch, base) for patch, base in case.patches)


def after(case: Case) -> JsonObject:
    """The state that the request leads to, if it is accepted."""
    state, sent = case.state, case.request.get("state", {})
    for name in SECTIONS if sent is None else sent:
        patch = None if sent is None else sent[name]
        state[name] = {} if patch is None else merge(state.get(name, {}), patch)
    return state


def delta_is_not(other: Callable[[JsonObject, JsonObject], JsonObject]) -> Callable[[Case], bool]:
    """Whether our delta is another than theirs, which is made this way."""

    def differs(case: Case) -> bool:
        state = after(case)
        want, have = state.get("desired", {}), state.get("reported", {})
        return json.dumps(other(want, have)) != json.dumps(delta(want, have))

    return differs


def by_pythons_equality(want: JsonObject, have: JsonObject) -> JsonObject:
    """A delta to which true is 1."""
    found: JsonObject = {}
    for key, value in want.items():
        if isinstance(value, dict) and isinstance(have.get(key), dict):
            if inner := by_pythons_equality(value, have[key]):
                found[key] = inner
        elif key not in have or value != have[key]:
            found[key] = value
    return found


def with_empty_leftovers(want: JsonObject, have: JsonObject) -> JsonObject:
    """A delta that shows objects of which nothing differs."""
    if not have:
        return want
    found: JsonObject = {}
    for key, value in want.items():
        if isinstance(value, dict) and isinstance(have.get(key), dict) and value != have[key]:
            found[key] = with_empty_leftovers(value, have[key]) if have[key] else dict.fromkeys(value)
        elif key not in have or not same(value, have[key]):
            found[key] = value
    return found


def of_deletion(outcome: Outcome) -> Outcome:
    """Without the version in the answer to a deletion."""
    deleted = isinstance(outcome.body, dict) and set(outcome.body) == {"version", "timestamp"}
    return replace(outcome, body={"timestamp": "T"}) if deleted else outcome


DOCUMENTS: Final = "Developer Guide, Device Shadow service documents"
ERRORS: Final = "Developer Guide, Device Shadow error messages"
FLOW: Final = "Developer Guide, Interacting with shadows"
API: Final = "AWS IoT API reference"
QUOTAS: Final = "AWS IoT Core endpoints and quotas"


# --- What both do not refuse


BOTH: Final = [
    lenient(
        "take a state of more than 8 KB",
        f"{QUOTAS}: a JSON state document has at most 8 KB; {ERRORS}: 413",
        "payload exceeds the maximum size",
        desired({"a": "x" * 8192}),
    ),
    lenient(
        "take any depth",
        f"{ERRORS}: JSON contains too many levels of nesting; maximum is 6",
        "too many levels",
        desired({"a": {"b": {"c": {"d": {"e": {"f": {"g": 1}}}}}}}),
    ),
    lenient(
        "take null inside an array",
        f"{DOCUMENTS}, Array values in shadow documents: null in an array is refused",
        "must not contain null",
        desired({"a": [None]}),
    ),
    lenient(
        "take, or break over, a section that is no object",
        f"{ERRORS}: Desired node must be an object",
        "node must be an object",
        desired("x"),
    ),
    lenient(
        "take a client token of any length and kind",
        f"{ERRORS}: Invalid clientToken, for one of more than 64 bytes",
        "Invalid clientToken",
        update({"state": {}, "clientToken": "x" * 65}),
    ),
    lenient(
        "compare any version, also one that is no integer",
        f"{ERRORS}: Invalid version",
        "Invalid version",
        desired({"a": 1}),
        desired({"a": 2}, version="1"),
    ),
    lenient(
        "take what Python's json takes: a byte order mark, 1e400, half a surrogate pair",
        f"{DOCUMENTS}: what is no JSON is no document",
        "invalid json",
        update(b'{"state":{"desired":{"a":"\\ud800"}}}'),
    ),
    lenient(
        "refuse another encoding as bad JSON, or take it",
        f"{ERRORS}: 415, Unsupported documented encoding; supported encoding is UTF-8",
        "encoding",
        update('{"state":{}}'.encode("utf-16")),
    ),
]

MINISTACK: Final = [
    *BOTH,
    Known(
        what="lists no named shadows",
        aws=f"{API}, ListNamedShadowsForThing",
        shown=(LIST,),
        forks=lambda case: case.op.kind == LIST.kind,
    ),
    Known(
        what="shows the delta's metadata in a get",
        aws=f"{DOCUMENTS} has it in an example; devices' logs of real answers have it not",
        shown=(desired({"a": 1}), GET),
        fold=in_metadata(_no_delta),
    ),
    Known(
        what="shows empty sections in metadata",
        aws=f"{DOCUMENTS}, Empty shadow document properties: no section without state",
        shown=(desired({}), GET),
        fold=in_metadata(_no_empty_section),
    ),
    Known(
        what="has one time for a whole array in metadata",
        aws=f"{DOCUMENTS}: metadata has the time of each attribute; in Greengrass, each element of an array has one",
        shown=(desired({"a": [1, [2]]}), GET),
        fold=in_metadata(_one_time_an_array),
    ),
    Known(
        what="leaves sections that were sent as null out of update/accepted",
        aws="seen of the real service: what is accepted is echoed, nulls too",
        shown=(desired(None),),
        fold=lambda outcome: _everywhere(outcome, _no_null_section),
    ),
    Known(
        what="refuses a state of null",
        aws="seen of the real service: it clears both sections",
        shown=(desired({"a": 1}), update({"state": None})),
        forks=lambda case: isinstance(case.op.body, dict) and case.op.body.get("state", {}) is None,
    ),
    lenient(
        "ignores sections that do not exist",
        f"{ERRORS}: State contains an invalid node",
        "invalid node: '",
        update({"state": {"delta": {}}}),
    ),
    Known(
        what="keeps nulls below a key that is new",
        aws=f"{DOCUMENTS}: null removes; Greengrass's shadow manager stores nothing",
        shown=(desired({"a": {"b": None}}), GET),
        forks=nulls_below_something_new,
        hides=True,
    ),
    Known(
        what="keeps the time of a value in the metadata of the object that is laid over it",
        aws=f"{DOCUMENTS}: metadata is about the attributes of state, and nothing else",
        shown=(desired({"a": 1}), desired({"a": {"b": 1}}), GET),
        forks=object_over_value,
        hides=True,
    ),
    Known(
        what="takes true for 1",
        aws=f"{DOCUMENTS}, Delta state: what differs; in JSON true is no number",
        shown=(reported({"a": 1}), desired({"a": True}), GET),
        forks=delta_is_not(by_pythons_equality),
    ),
    Known(
        what="does not count a deletion as a version",
        aws="Greengrass's shadow manager: the cloud stands one higher than the version that was deleted",
        shown=(desired({"a": 1}), DELETE, desired({"a": 1})),
        forks=lambda case: case.deleted and case.before is None and not case.theirs.error,
    ),
    Known(
        what="takes version 0 for a shadow that does not exist",
        aws=f"{FLOW}, Optimistic locking: the version has to match the current one; nobody has seen what the service does",
        shown=(desired({"a": 1}, version=0),),
        forks=lambda case: case.before is None and case.ours.error == "ConflictException",
    ),
]
MOTO: Final = [
    *BOTH,
    Known(
        what="knows no shadows of a thing that is not in the registry, nor a list of them",
        aws="seen of the real service: the thing need not be there, and the list is empty",
        shown=(replace(desired({"a": 1}), subject=STRANGER),),
        forks=lambda case: case.op.subject == STRANGER,
    ),
    Known(
        what="lists named shadows that were deleted",
        aws=f"{API}, ListNamedShadowsForThing: the shadows of a thing",
        shown=(update({"state": {}}, "named"), replace(DELETE, shadow="named"), LIST),
        forks=lambda case: case.op.kind == LIST.kind,
    ),
    Known(
        what="echoes no client token",
        aws=f"{DOCUMENTS}, Client tokens: it is in the answer, if it was in the request",
        shown=(update({"state": {}, "clientToken": "t"}),),
        fold=without("clientToken"),
    ),
    Known(
        what="leaves sections that were sent as null out of the answer",
        aws="seen of the real service: what is accepted is echoed, nulls too",
        shown=(desired(None),),
        fold=lambda outcome: _everywhere(outcome, _no_null_section),
    ),
    Known(
        what="does not remove a section that is sent as null",
        aws=f"{DOCUMENTS}: null removes; seen of the real service",
        shown=(desired({"a": 1}), desired(None), GET),
        forks=lambda case: any(
            case.state.get(name) and value is None
            for name, value in (case.request.get("state") or {}).items()
        ),
        hides=True,
    ),
    Known(
        what="keeps an object of which nothing but nulls was sent, as an empty one, and drops the nulls in its answer",
        aws="nobody has seen what the service does; Greengrass's shadow manager stores nothing",
        shown=(desired({"a": {"b": None}}), GET),
        forks=nulls_below_something_new,
        hides=True,
    ),
    Known(
        what="breaks over a version for a shadow that does not exist",
        aws=f"{FLOW}, Optimistic locking: 409, if the version does not match",
        shown=(desired({"a": 1}, version=1),),
        forks=lambda case: case.before is None and case.ours.error == "ConflictException",
    ),
    Known(
        what="names the version after the one that was deleted",
        aws="seen in the transcripts of four device SDKs: the version of the document that was deleted",
        shown=(desired({"a": 1}), DELETE),
        fold=of_deletion,
    ),
    Known(
        what="deletes a shadow again that was deleted",
        aws=f"{ERRORS}: 404, No shadow exists with name",
        shown=(desired({"a": 1}), DELETE, DELETE),
        forks=lambda case: case.op.kind == DELETE.kind and case.deleted and case.before is None,
    ),
    Known(
        what="shows objects in the delta of which nothing differs",
        aws=f"{DOCUMENTS}, Delta state: only what differs; seen of the real service",
        shown=(desired({"a": {"b": 1}}), reported({"a": {"b": 1, "c": 2}}), GET),
        forks=delta_is_not(with_empty_leftovers),
    ),
    Known(
        what="takes true for 1",
        aws=f"{DOCUMENTS}, Delta state: what differs; in JSON true is no number",
        shown=(reported({"a": 1}), desired({"a": True}), GET),
        forks=delta_is_not(by_pythons_equality),
    ),
]


# --- The registry


REGISTRY: Final = "Developer Guide, Managing things with the registry"
TYPES: Final = "Developer Guide, Thing types"


def thing(kind: str, subject: str = "a", **given: Any) -> Op:
    return Op(kind=f"{kind}_thing", subject=subject, given=given)


def kind_of_thing(kind: str, **given: Any) -> Op:
    return Op(kind=f"{kind}_thing_type", subject="type-t", given=given)


def attributes(**values: str) -> JsonObject:
    return {"attributes": values}


def is_empty_value(case: Case) -> bool:
    """Whether an attribute is sent with an empty value, not to be laid over the others."""
    payload = case.op.given.get("attributePayload", {})
    return "" in payload.get("attributes", {}).values() and not payload.get("merge")


def _lacking(body: Any, member: str, value: Any) -> Any:
    """Without a member, wherever it is, if it has this value."""
    if isinstance(body, list):
        return [_lacking(each, member, value) for each in body]
    if isinstance(body, dict):
        kept = {key: inner for key, inner in body.items() if (key, inner) != (member, value)}
        return {key: _lacking(inner, member, value) for key, inner in kept.items()}
    return body


def is_kept_otherwise(case: Case) -> bool:
    """Whether a thing, or a type, is made once more that is there and would not be the same if it were new."""
    return case.op.kind.startswith("create_thing") and case.before is not None and not case.ours.error


BOTHS_REGISTRY: Final = [
    lenient(
        "take any number of attributes",
        f"{TYPES}: up to three attributes without a thing type, up to 50 with one",
        "has at most",
        thing("create", attributePayload=attributes(a="1", b="1", c="1", d="1")),
    ),
    lenient(
        "take any name and value of an attribute",
        f"{API}, AttributePayload and CreateThing: the patterns of names and values",
        "validation error",
        thing("create", attributePayload=attributes(a="two words")),
    ),
    lenient(
        "update a thing whatever version is expected",
        f"{API}, UpdateThing: VersionConflictException, if the version does not match",
        "does not match: expected",
        thing("create"),
        thing("update", expectedVersion=7),
    ),
    Known(
        what="store an attribute with an empty value",
        aws="seen of the real service: an empty value is never stored",
        shown=(thing("create", attributePayload=attributes(a="")), thing("describe")),
        forks=is_empty_value,
        hides=True,
    ),
]

MOTOS_REGISTRY: Final = [
    *BOTHS_REGISTRY,
    lenient(
        "makes another thing, or type, of the same name, and forgets the first",
        f"{API}, CreateThing: ResourceAlreadyExistsException for another configuration",
        "already exists",
        thing("create"),
        thing("create", attributePayload=attributes(a="1")),
    ),
    Known(
        what="makes a thing, or type, anew that is there already with the same configuration",
        aws=f"{API}, CreateThing: the call succeeds",
        shown=(
            kind_of_thing("create"),
            kind_of_thing("deprecate"),
            kind_of_thing("create"),
            kind_of_thing("describe"),
        ),
        forks=is_kept_otherwise,
        hides=True,
    ),
    Known(
        what="cannot delete a thing that is not there",
        aws=f"{API}, DeleteThing: no error if the thing does not exist",
        shown=(thing("delete"),),
        forks=lambda case: case.op.kind == "delete_thing" and case.before is None,
    ),
    lenient(
        "deletes a thing type that is not deprecated, or that a thing has",
        f"{TYPES}: only after it has been deprecated, and with no things associated",
        "Cannot delete thing type",
        kind_of_thing("create"),
        kind_of_thing("delete"),
    ),
    Known(
        what="does not say when a type was deprecated",
        aws=f"{TYPES}, Deprecate a thing type: deprecationDate",
        shown=(kind_of_thing("create"), kind_of_thing("deprecate"), kind_of_thing("describe")),
        fold=lambda outcome: replace(outcome, body=_lacking(outcome.body, "deprecationDate", "T")),
    ),
]

MINISTACKS_REGISTRY: Final = [
    *BOTHS_REGISTRY,
    lenient(
        "deletes a thing type before its five minutes are over",
        f"{TYPES}, Delete a thing type: five minutes have to pass between deprecating and deleting",
        "wait for 5 minutes",
        kind_of_thing("create"),
        kind_of_thing("deprecate"),
        kind_of_thing("delete"),
    ),
    Known(
        what="deletes a thing type that is not there",
        aws=f"{API}, DeleteThingType: ResourceNotFoundException",
        shown=(kind_of_thing("delete"),),
        forks=lambda case: case.op.kind == "delete_thing_type" and case.before is None,
    ),
    lenient(
        "gives things a deprecated type",
        f"{TYPES}, Deprecate a thing type: no other thing can have it from then on",
        " thing type:",
        kind_of_thing("create"),
        kind_of_thing("deprecate"),
        thing("create", thingTypeName="type-t"),
    ),
    lenient(
        "sets and removes a thing's type in one update",
        "AWS's texts do not say; moto refuses it as we do",
        "removeThingType",
        thing("create"),
        kind_of_thing("create"),
        thing("update", thingTypeName="type-t", removeThingType=True),
    ),
    Known(
        what="drops all attributes in an update that names none",
        aws=f"{API}, AttributePayload: attributes are replaced by those that are given",
        shown=(
            thing("create", attributePayload=attributes(a="1")),
            thing("update", attributePayload={}),
            thing("describe"),
        ),
        forks=lambda case: case.op.given.get("attributePayload") in ({}, {"merge": False}),
        hides=True,
    ),
    Known(
        what="shows a type without searchable attributes with an empty list of them",
        aws="seen of the real service, in the output of a tool that tells an empty list from none: it has none",
        shown=(kind_of_thing("create"), kind_of_thing("describe")),
        fold=lambda outcome: replace(outcome, body=_lacking(outcome.body, "searchableAttributes", [])),
    ),
    Known(
        what="lists all thing types, whatever name is asked for",
        aws=f"{API}, ListThingTypes: thingTypeName",
        shown=(kind_of_thing("create"), Op(kind="list_thing_types", given={"thingTypeName": "type-u"})),
        forks=lambda case: case.op.kind == "list_thing_types",
    ),
]


# --- docs/fidelity.md


DOC: Final = Path(__file__).parents[1] / "docs" / "fidelity.md"
PLACE: Final = re.compile(r"(<!-- differences -->\n).*(<!-- /differences -->\n)", re.DOTALL)


def table() -> str:
    """All differences, as the page has them."""
    whose = [(*BOTH, *BOTHS_REGISTRY), (*MOTO, *MOTOS_REGISTRY), (*MINISTACK, *MINISTACKS_REGISTRY)]
    names = ("both", "moto", "MiniStack")
    rows = [
        f"| {name} | {known.what} | {known.aws} |"
        for name, all_of in zip(names, whose, strict=True)
        for known in all_of
        if name == "both" or known not in whose[0]
    ]
    return "\n".join(["", "| who | what they do | what AWS says |", "| --- | --- | --- |", *rows, "", ""])


def written(page: str) -> str:
    """The page with the table in its place."""
    return PLACE.sub(lambda found: found[1] + table() + found[2], page)


if __name__ == "__main__":
    DOC.write_text(written(DOC.read_text("utf-8")), "utf-8")
