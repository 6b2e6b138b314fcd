"""The same requests, made up at random, to ours, to moto and to MiniStack: who answers otherwise is wrong, and known to be.

Every difference that is known is a ``Known`` below, with what AWS says about it and with requests that show it: one that
nobody knows fails, and so does one that is no more. ``docs/fidelity.md`` lists them.

``STAFFCALL_DIFFERENTIAL=20`` makes up twenty times as many requests as usual, other ones each time.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shadows.shadow import JsonObject
from tests.differences import DOC, MINISTACK, MINISTACKS_REGISTRY, MOTO, MOTOS_REGISTRY, Case, Known, written
from tests.peers import Boto, Op, Ours, Outcome, Peer, Theirs, ministack, moto, ours

TIMES = int(os.environ.get("STAFFCALL_DIFFERENTIAL", "1"))
quick = settings(max_examples=80 * TIMES, derandomize=TIMES == 1)
slow = settings(max_examples=20 * TIMES, derandomize=TIMES == 1)  # MiniStack takes its time over MQTT


class UnknownDifference(AssertionError):
    pass


def same(ours: Outcome, theirs: Outcome) -> bool:
    """To the letter, but for the order of members: to Python true would be 1."""
    one, other = (json.dumps([each.error, each.body, each.said], sort_keys=True) for each in (ours, theirs))
    return one == other


def compared(case: Case, known: Sequence[Known]) -> tuple[list[Known], bool]:
    """The differences of a case, and whether the two fork here."""
    found = []
    for each in known:
        if each.fold and not same(case.ours, case.theirs):
            folded = replace(case, ours=each.fold(case.ours), theirs=each.fold(case.theirs))
            if not (same(folded.ours, case.ours) and same(folded.theirs, case.theirs)):
                case = folded
                found.append(each)
    alike = same(case.ours, case.theirs)
    for each in known:
        if each.forks and (each.hides or not alike) and each.forks(case):
            return [*found, each], True
    if alike:
        return found, False
    raise UnknownDifference(f"{case.op}\nbefore {case.before}\nours   {case.ours}\ntheirs {case.theirs}")


# --- What is asked


KEYS = st.sampled_from(["a", "b", "timestamp"])
LEAVES = st.sampled_from([True, 1, 1.0, 0, "x", "呼"])
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=2), max_leaves=4
)
PATCHES = st.dictionaries(
    KEYS,
    VALUES | st.none() | st.dictionaries(KEYS, VALUES | st.none(), max_size=2),
    max_size=3,
)
STATES = st.fixed_dictionaries({}, optional={"desired": PATCHES, "reported": PATCHES})
GOOD = st.fixed_dictionaries(
    {"state": STATES}, optional={"clientToken": st.just("tok"), "version": st.just("right")}
)
ODD = st.fixed_dictionaries(
    {"state": STATES | st.none() | st.fixed_dictionaries({}, optional={"desired": st.none(), "reported": st.none()})},
    optional={
        "clientToken": st.sampled_from(["", "é" * 32, "x" * 65, 5]),
        "version": st.sampled_from(["right", 77, -1, "1", 1.0, True, None]),
        "other": st.just([None]),
    },
)  # fmt: skip
BAD: list[Any] = [
    b"", b"{", b"[]", b"5", b"null", b"\xff", '{"state":{}}'.encode("utf-16"), b"\xef\xbb\xbf{\"state\":{}}",
    b'{"state":{"desired":{"a":NaN}}}', b'{"state":{"desired":{"a":1e400}}}', b'{"state":{"desired":{"a":"\\ud800"}}}',
    b'{"state":{"desired":{"a":1,"a":2}}}', {}, {"state": 5}, {"state": []}, {"state": {"delta": {}}}, {"state": {"x": 1}},
    {"state": {"desired": 5}}, {"state": {"reported": []}}, {"state": {"desired": "x"}},
    {"state": {"desired": {"a": [None]}}}, {"state": {"desired": {"a": [[{"b": [1, None]}]]}}},
    {"state": {"desired": {"a": {"b": {"c": {"d": {"e": 1}}}}}}},
    {"state": {"desired": {"a": {"b": {"c": {"d": {"e": {"f": {"g": 1}}}}}}}}},
    {"state": {"desired": {"a": "x" * 8192}}}, {"state": {"desired": {"a": "x" * 5000}, "reported": {"b": "y" * 5000}}},
]  # fmt: skip
SUBJECTS, SHADOWS = st.sampled_from(["a", "b"]), st.sampled_from(["", "", "named"])


def about_shadows(*, lists: bool) -> st.SearchStrategy[list[Op]]:
    def op(kind: str, **more: st.SearchStrategy[Any]) -> st.SearchStrategy[Op]:
        return st.builds(Op, kind=st.just(kind), subject=SUBJECTS, shadow=SHADOWS, **more)

    update = op("update_thing_shadow", body=GOOD | GOOD | GOOD | ODD | st.sampled_from(BAD))
    get, delete = op("get_thing_shadow"), op("delete_thing_shadow")
    listed = st.builds(Op, kind=st.just("list_named_shadows_for_thing"), subject=SUBJECTS)
    others = get | get | delete | (listed if lists else get)
    return st.lists(update | update | update | others, min_size=2, max_size=8)


LISTED = ("a", "b", "c", "type-t", "type-u")
NAMES, TYPES = st.sampled_from(LISTED[:3]), st.sampled_from(LISTED[3:])
ATTRIBUTES = st.dictionaries(
    st.sampled_from(["k", "l", "m", "n", "a b"]),
    st.sampled_from(["1", "1", "2", "", "two words"]),
    max_size=4,
)
PAYLOADS = st.fixed_dictionaries({}, optional={"attributes": ATTRIBUTES, "merge": st.booleans()})
VERSIONS = st.sampled_from([1, 2, 3])
FILTERS: Any = st.fixed_dictionaries({"thingTypeName": TYPES}) | st.fixed_dictionaries(
    {"thingTypeName": TYPES, "attributeName": st.just("k"), "attributeValue": st.just("1")}
)


def about_the_registry() -> st.SearchStrategy[list[Op]]:
    def op(
        kind: str, subjects: st.SearchStrategy[str], **given: st.SearchStrategy[Any]
    ) -> st.SearchStrategy[Op]:
        arguments = st.fixed_dictionaries({}, optional=given)
        return st.builds(Op, kind=st.just(kind), subject=subjects, given=arguments)

    of_a_type = {
        "thingTypeProperties": st.sampled_from(
            [{}, {"thingTypeDescription": "x", "searchableAttributes": ["k"]}]
        )
    }
    return st.lists(
        st.one_of(
            op("create_thing", NAMES, thingTypeName=TYPES, attributePayload=PAYLOADS),
            op("create_thing", NAMES, attributePayload=PAYLOADS),
            op("update_thing", NAMES, thingTypeName=TYPES, attributePayload=PAYLOADS, expectedVersion=VERSIONS),
            op("update_thing", NAMES, attributePayload=PAYLOADS, removeThingType=st.booleans()),
            op("describe_thing", NAMES),
            op("delete_thing", NAMES, expectedVersion=VERSIONS),
            st.builds(Op, kind=st.just("list_things"), given=FILTERS),
            op("create_thing_type", TYPES, **of_a_type),
            op("create_thing_type", TYPES),
            op("describe_thing_type", TYPES),
            op("deprecate_thing_type", TYPES, undoDeprecate=st.booleans()),
            op("delete_thing_type", TYPES),
            st.builds(Op, kind=st.just("list_thing_types"), given=st.fixed_dictionaries({"thingTypeName": TYPES})),
        ),
        min_size=2,
        max_size=12,
    )  # fmt: skip


# --- How it is compared


class Run:
    """A sequence of requests to two peers, with subjects of its own."""

    count = 0

    def __init__(self, mine: Peer, yours: Peer, own: Ours, known: Sequence[Known]) -> None:
        Run.count += 1
        self.suffix = f"-{Run.count}"
        self.mine, self.yours, self.own, self.known = mine, yours, own, known
        self.forked: set[tuple[str, str]] = set()
        self.deleted: set[tuple[str, str]] = set()
        self.found: list[Known] = []

    def go(self, ops: Sequence[Op]) -> list[Known]:
        """Ask for all; the answer is what differed."""
        for op in ops:
            self._step(op)
        return self.found

    def _step(self, op: Op) -> None:
        key, name = (op.subject or op.kind, op.shadow), op.subject and op.subject + self.suffix
        before = self._before(op, name)
        asked = self._named(op, before)
        mine, yours = (self._unnamed(peer.do(asked, name)) for peer in (self.mine, self.yours))
        if self._forked_before(op, key):
            return
        case = Case(op=asked, ours=mine, theirs=yours, before=before, deleted=key in self.deleted)
        found, forks = compared(case, self.known)
        self.found += found
        if forks:
            self.forked.add(key)
        if op.kind.startswith("delete") and not mine.error:
            self.deleted.add(key)

    def _forked_before(self, op: Op, key: tuple[str, str]) -> bool:
        """Whether the two went different ways before, with the subject or with another that it depends on."""
        if op.kind.startswith("list"):
            others = (op.subject,) if op.subject else LISTED
        else:
            others = LISTED if op.kind == "delete_thing_type" else (op.given.get("thingTypeName", ""),)
        forks = key in self.forked or any(subject in others for subject, _ in self.forked)
        if forks:
            self.forked.add(key)
        return forks

    def _before(self, op: Op, name: str) -> JsonObject | None:
        """What we have of the subject."""
        if not name:
            return None
        kind = "get_thing_shadow" if op.kind.endswith("shadow") else "describe_thing"
        if op.kind.endswith("type"):
            kind = "describe_thing_type"
        found: JsonObject | None = self._unnamed(self.own.rest.do(Op(kind=kind, shadow=op.shadow), name)).body
        return found

    def _named(self, op: Op, before: JsonObject | None) -> Op:
        """The request with the version, and the type, that are meant."""
        given = dict(op.given)
        if "thingTypeName" in given:
            given["thingTypeName"] += self.suffix
        if not isinstance(op.body, dict) or op.body.get("version") != "right":
            return replace(op, given=given)
        return replace(op, given=given, body=op.body | {"version": before["version"] if before else 0})

    def _unnamed(self, outcome: Outcome) -> Outcome:
        """With the names as the sequence has them, and of lists only what is in it."""
        body = outcome.body
        for part in ("things", "thingTypes") if isinstance(body, dict) else ():
            if part in body:
                name = "thingName" if part == "things" else "thingTypeName"
                ours = [each for each in body[part] if each[name].endswith(self.suffix)]
                body = {part: sorted(ours, key=lambda each: str(each[name]))}
        if isinstance(body, dict) and "results" in body:
            body = {"results": sorted(body["results"])}
        return replace(outcome, body=json.loads(json.dumps(body).replace(f'{self.suffix}"', '"')))


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ours]:
    with ours(tmp_path_factory.mktemp("ours")) as own:
        yield own


@pytest.fixture(scope="module")
def motos() -> Iterator[Boto]:
    with moto() as peer:
        yield peer


@pytest.fixture(scope="module")
def ministacks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theirs]:
    with ministack(tmp_path_factory.mktemp("ministack")) as peers:
        yield peers


def with_things(run: Run, peer: Boto) -> Run:
    """moto has shadows only of things in its registry."""
    for subject in "ab":
        peer.do(Op(kind="create_thing"), subject + run.suffix)
    return run


def is_shown(known: Known, among: Sequence[Known], run: Callable[[Sequence[Known]], Run]) -> None:
    """The difference is there, and nothing else explains it."""
    assert known in run(among).go(known.shown), "it is no more: take it out, and out of docs/fidelity.md"
    with pytest.raises(UnknownDifference):
        run([each for each in among if each is not known]).go(known.shown)


@pytest.mark.parametrize("known", [*MOTO, *MOTOS_REGISTRY], ids=lambda known: known.what)
def test_moto_still(known: Known, own: Ours, motos: Boto) -> None:
    if known in MOTO:
        is_shown(known, MOTO, lambda some: with_things(Run(own.rest, motos, own, some), motos))
    else:
        is_shown(known, MOTOS_REGISTRY, lambda some: Run(own.rest, motos, own, some))


@pytest.mark.parametrize("known", [*MINISTACK, *MINISTACKS_REGISTRY], ids=lambda known: known.what)
def test_ministack_still(known: Known, own: Ours, ministacks: Theirs) -> None:
    among = MINISTACK if known in MINISTACK else MINISTACKS_REGISTRY
    is_shown(known, among, lambda some: Run(own.rest, ministacks.rest, own, some))


def test_shadows_over_rest_are_motos_but_for_what_is_known(own: Ours, motos: Boto) -> None:
    @quick
    @given(ops=about_shadows(lists=True))
    def agree(ops: list[Op]) -> None:
        with_things(Run(own.rest, motos, own, MOTO), motos).go(ops)

    agree()


def test_shadows_over_rest_are_ministacks_but_for_what_is_known(own: Ours, ministacks: Theirs) -> None:
    @quick
    @given(ops=about_shadows(lists=True))
    def agree(ops: list[Op]) -> None:
        Run(own.rest, ministacks.rest, own, MINISTACK).go(ops)

    agree()


def test_shadows_over_mqtt_are_ministacks_but_for_what_is_known(own: Ours, ministacks: Theirs) -> None:
    @slow
    @given(ops=about_shadows(lists=False))
    def agree(ops: list[Op]) -> None:
        Run(own.mqtt, ministacks.mqtt, own, MINISTACK).go(ops)

    agree()


def test_the_registry_is_motos_but_for_what_is_known(own: Ours, motos: Boto) -> None:
    @quick
    @given(ops=about_the_registry())
    def agree(ops: list[Op]) -> None:
        Run(own.rest, motos, own, MOTOS_REGISTRY).go(ops)

    agree()


def test_the_registry_is_ministacks_but_for_what_is_known(own: Ours, ministacks: Theirs) -> None:
    @quick
    @given(ops=about_the_registry())
    def agree(ops: list[Op]) -> None:
        Run(own.rest, ministacks.rest, own, MINISTACKS_REGISTRY).go(ops)

    agree()


def test_the_page_has_every_difference() -> None:
    page = DOC.read_text("utf-8")
    assert page == written(page), "python -m tests.differences writes it"
