"""The shadow service over MQTT topics, by the way that the real one answers."""

import json
import logging
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import count, pairwise
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.local.service import LocalShadows, Message, Operation, ShadowName, ShadowService, request_of
from infra.local.store import Store
from shadows.document import update_payload
from shadows.errors import Rejected
from shadows.shadow import JsonObject
from tests.test_store import held

T = "$aws/things/staff-hana/shadow"
HOUR = 3_600_000


class Place:
    """A service whose clock is moved by the test, and what it has announced."""

    def __init__(self, path: Path, **options: Any) -> None:
        self.now = 1_000_500
        self.said: list[Message] = []
        self.store = Store(path)
        self.service = ShadowService(self.store, clock=lambda: self.now, announce=self.hear, **options)
        self.shadows = LocalShadows(self.service)

    def hear(self, messages: Sequence[Message]) -> None:
        self.said += messages

    def send(self, topic: str, payload: object = b"") -> list[tuple[str, JsonObject]]:
        """What is announced in answer, with the topics after ".../shadow"."""
        before = len(self.said)
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        answered = self.service.handle(topic, body).result(10)
        assert self.said[before:] == answered, "announced is announced before it is answered"
        return [(topic.partition("/shadow/")[2], json.loads(text)) for topic, text in answered]

    def update(self, **state: JsonObject | None) -> list[tuple[str, JsonObject]]:
        return self.send(f"{T}/update", {"state": state})


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path / "store.sqlite", throttle=False)
    yield place
    place.store.close()


def test_an_update_is_accepted_then_its_delta_and_its_documents_are_said(place: Place) -> None:
    said = place.send(f"{T}/update", {"state": {"desired": {"a": 1}}, "clientToken": "t"})
    half = {"state": {"desired": {"a": 1}}, "metadata": {"desired": {"a": {"timestamp": 1000}}}, "version": 1}
    assert said == [
        ("update/accepted", half | {"timestamp": 1000, "clientToken": "t"}),
        (
            "update/delta",
            {"version": 1, "timestamp": 1000, "state": {"a": 1}, "metadata": {"a": {"timestamp": 1000}}}
            | {"clientToken": "t"},
        ),
        ("update/documents", {"previous": None, "current": half, "timestamp": 1000, "clientToken": "t"}),
    ]


def test_a_report_that_settles_all_leaves_no_delta_and_an_unrelated_one_repeats_it(place: Place) -> None:
    place.update(desired={"a": 1})
    assert [kind for kind, _ in place.update(reported={"b": 1})] == [
        "update/accepted",
        "update/delta",
        "update/documents",
    ]
    assert [kind for kind, _ in place.update(reported={"a": 1})] == ["update/accepted", "update/documents"]


def test_a_get_shows_the_document_at_the_time_of_the_get(place: Place) -> None:
    place.update(desired={"a": 1})
    place.now += 5000
    ((kind, answer),) = place.send(f"{T}/get", {"clientToken": "t"})
    assert kind == "get/accepted"
    assert answer["state"] == {"desired": {"a": 1}, "delta": {"a": 1}}
    assert answer["metadata"] == {"desired": {"a": {"timestamp": 1000}}}
    assert (answer["version"], answer["timestamp"], answer["clientToken"]) == (1, 1005, "t")


def test_what_is_missing_is_refused_by_its_name(place: Place) -> None:
    assert place.send(f"{T}/get") == [
        ("get/rejected", {"code": 404, "message": "No shadow exists with name: 'staff-hana'"})
    ]
    assert place.send(f"{T}/name/x/delete", {"clientToken": "t"}) == [
        (
            "name/x/delete/rejected",
            {"code": 404, "message": "No shadow exists with name: 'staff-hana~x'", "clientToken": "t"},
        )
    ]


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"{", 400),
        (b"\xff", 415),
        (b'{"state":1,"clientToken":"t"}', 400),
        (b'{"state":{},"version":7}', 409),
    ],
)
def test_a_refused_update_changes_nothing_and_says_only_rejected(
    place: Place, payload: bytes, code: int
) -> None:
    place.update(desired={"a": 1})
    ((kind, answer),) = place.send(f"{T}/update", payload)
    assert (kind, answer["code"]) == ("update/rejected", code)
    assert answer.get("clientToken") == ("t" if b"clientToken" in payload else None)
    assert place.shadows.get("staff-hana").version == 1


def test_a_get_with_garbage_is_refused_and_a_delete_with_garbage_deletes(place: Place) -> None:
    place.update(desired={"a": 1})
    assert place.send(f"{T}/get", b"{")[0][1]["code"] == 400
    assert place.send(f"{T}/delete", b"{") == [("delete/accepted", {"version": 1, "timestamp": 1000})]


def test_a_delete_names_the_deleted_version_and_counts_as_one_for_48_hours(place: Place) -> None:
    for n in range(9):
        place.update(desired={"a": n})
    assert place.send(f"{T}/delete", {"clientToken": "t"}) == [
        ("delete/accepted", {"version": 9, "timestamp": 1000, "clientToken": "t"})
    ]
    assert place.send(f"{T}/get")[0][0] == "get/rejected"
    place.now += 48 * HOUR - 1
    said = place.update(desired={"a": 1})
    assert (said[0][1]["version"], said[-1][1]["previous"]) == (11, None)


def test_after_48_hours_the_versions_start_anew_and_the_tombstone_goes(place: Place) -> None:
    place.update(desired={"a": 1})
    place.send(f"{T}/delete")
    place.now += 48 * HOUR
    place.send("$aws/things/other/shadow/update", {"state": {}})
    place.send("$aws/things/other/shadow/delete")
    rows = place.store.run(lambda db: db.execute("SELECT thing FROM shadows").fetchall())
    assert rows == [("other",)]
    assert place.update(desired={"a": 1})[0][1]["version"] == 1


def test_a_tombstone_too_old_does_not_count_even_if_it_is_still_there(place: Place) -> None:
    place.update(desired={"a": 1})
    place.send(f"{T}/delete")
    place.now += 48 * HOUR
    assert place.update(desired={"a": 1})[0][1]["version"] == 1


def test_named_shadows_are_shadows_of_their_own(place: Place) -> None:
    place.update(desired={"a": 1})
    for name in ("x", "$package", "x"):
        said = place.send(f"{T}/name/{name}/update", {"state": {"reported": {"b": 1}}})
    assert said[0][0] == "name/x/update/accepted"
    assert said[0][1]["version"] == 2
    assert place.shadows.get("staff-hana").version == 1
    assert place.service.named("staff-hana") == ["$package", "x"]
    assert place.service.named("staff-hana", after="$package") == ["x"]
    place.send(f"{T}/name/x/delete")
    assert place.service.named("staff-hana") == ["$package"]
    assert place.service.named("nobody") == []


@pytest.mark.parametrize(
    "topic",
    [f"{T}/update/accepted", f"{T}/update/", "$aws/things//shadow/get", "$aws/things/a b/shadow/get",
     f"{T}/name//get", f"{T}/name/{'x' * 65}/get", f"$aws/things/{'x' * 129}/shadow/get", "x/shadow/get", f"{T}/get\n"],
)  # fmt: skip
def test_a_topic_that_is_no_request_is_refused(place: Place, topic: str) -> None:
    with pytest.raises(Rejected) as no:
        place.service.handle(topic, b"")
    assert no.value.code == 400
    assert request_of(f"{T}/name/$x/get") == (ShadowName("staff-hana", "$x"), Operation.GET)


# --- Requests of another way than MQTT


def test_what_is_asked_in_the_process_is_announced_if_it_changes_something(place: Place) -> None:
    place.shadows.update("staff-hana", desired={"a": 1})
    assert [topic for topic, _ in place.said] == [
        f"{T}/update/accepted",
        f"{T}/update/delta",
        f"{T}/update/documents",
    ]
    place.said.clear()
    place.shadows.get("staff-hana")
    with pytest.raises(Rejected):
        place.shadows.update("staff-hana", desired={"a": 2}, version=5)
    assert place.said == []
    place.shadows.delete("staff-hana")
    assert [topic for topic, _ in place.said] == [f"{T}/delete/accepted"]


def test_who_waits_for_an_update_is_answered_after_all_have_heard(place: Place) -> None:
    for n in range(1, 50):
        place.shadows.update("staff-hana", desired={"n": n})
        assert json.loads(place.said[-1][1])["current"]["version"] == n


# --- Races


def test_of_two_that_race_for_a_version_exactly_one_wins(place: Place) -> None:
    place.shadows.update("staff-hana", reported={"n": 0})
    won: Counter[int] = Counter()
    gate = threading.Barrier(8)

    def race() -> None:
        for version in range(1, 31):
            gate.wait(10)
            with suppress(Rejected):
                place.shadows.update("staff-hana", reported={"n": version}, version=version)
                won[version] += 1
            gate.wait(10)

    racers = [threading.Thread(target=race) for _ in range(8)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert won == Counter(range(1, 31))


def test_sixteen_writers_make_one_history_said_in_order(place: Place) -> None:
    def write(n: int) -> None:
        for _ in range(20):
            place.service.handle(f"{T}/update", update_payload(reported={f"k{n}": n})).result(10)

    writers = [threading.Thread(target=write, args=(n,)) for n in range(16)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    said = [json.loads(text) for topic, text in place.said if topic.endswith("documents")]
    assert [each["current"]["version"] for each in said] == list(range(1, 321))
    assert all(one["current"] == next["previous"] for one, next in pairwise(said))


# --- Limits


def test_the_21st_request_in_a_second_for_one_thing_is_refused(tmp_path: Path) -> None:
    place = Place(tmp_path / "store.sqlite")
    kinds = [place.update(desired={"a": 1})[0] for _ in range(21)]
    assert [kind for kind, _ in kinds] == ["update/accepted"] * 20 + ["update/rejected"]
    assert kinds[20][1]["code"] == 429
    with pytest.raises(Rejected) as no:
        place.service.ask(ShadowName("staff-hana"), Operation.GET)
    assert no.value.code == 429
    assert place.send("$aws/things/other/shadow/update", {"state": {}})[0][0] == "update/accepted"
    assert place.shadows.get("staff-hana").version == 20  # our own are not counted
    place.now += 1000
    assert place.update(desired={"a": 1})[0][0] == "update/accepted"
    place.store.close()


# --- What goes wrong on our side


def test_a_change_is_written_down_in_the_same_transaction(tmp_path: Path) -> None:
    def note(db: sqlite3.Connection, *change: Any) -> None:
        db.execute("CREATE TABLE IF NOT EXISTS notes (change TEXT)")
        db.execute("INSERT INTO notes VALUES (?)", (json.dumps(change),))

    place = Place(tmp_path / "store.sqlite", on_change=note)
    place.update(desired={"a": 1})
    place.send(f"{T}/update", {"state": {}, "version": 9})
    place.send(f"{T}/name/x/update", {"state": {"desired": {"a": 1}}})
    place.update(reported={"a": 1})
    rows = place.store.run(lambda db: db.execute("SELECT change FROM notes").fetchall())
    assert [json.loads(row) for (row,) in rows] == [
        ["staff-hana", None, {"desired": {"a": 1}}],
        ["staff-hana", {"desired": {"a": 1}}, {"desired": {"a": 1}, "reported": {"a": 1}}],
    ]
    place.store.close()


def test_a_note_that_fails_leaves_no_half_and_does_not_undo_the_update(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def note(db: sqlite3.Connection, *_: Any) -> None:
        db.execute("CREATE TABLE half (x)")
        raise KeyError("a bug of the one who takes notes")

    place = Place(tmp_path / "store.sqlite", on_change=note)
    assert place.update(desired={"a": 1})[0][0] == "update/accepted"
    assert (
        place.store.run(lambda db: db.execute("SELECT name FROM sqlite_master WHERE name='half'").fetchall())
        == []
    )
    assert "a bug of the one who takes notes" in caplog.text
    place.store.close()
    again = Place(tmp_path / "store.sqlite")
    assert again.shadows.get("staff-hana").desired == {"a": 1}
    again.store.close()


def test_a_listener_that_fails_does_not_undo_the_update(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Sequence[Message]) -> None:
        raise KeyError("a deaf listener")

    place.service._announce = fail
    assert place.shadows.update("staff-hana", desired={"a": 1}) == 1
    assert place.service.handle(f"{T}/get", b"").result(10)[0][0] == f"{T}/get/accepted"
    assert "a deaf listener" in caplog.text


def test_a_full_disk_is_answered_with_500_and_the_service_goes_on(place: Place) -> None:
    place.update(desired={"a": 1})
    place.store.run(lambda db: db.execute("PRAGMA max_page_count=1").fetchall())  # as small as it is
    failed = []
    for n in range(200):
        kind, answer = place.send(
            f"$aws/things/t{n}/shadow/update", {"state": {"desired": {"a": "x" * 4000}}}
        )[0]
        if kind == "update/rejected":
            failed.append(answer)
            break
    assert failed == [{"code": 500, "message": "Internal service failure: database or disk is full"}]
    assert place.shadows.get("staff-hana").version == 1
    place.store.run(lambda db: db.execute("PRAGMA max_page_count=100000").fetchall())
    assert place.update(desired={"a": 2})[0][1]["version"] == 2


def test_a_bug_is_answered_with_500_and_logged(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.service.clock = lambda: 1 // 0
    assert place.send(f"{T}/get", {"clientToken": "t"}) == [
        ("get/rejected", {"code": 500, "message": "Internal service failure", "clientToken": "t"})
    ]
    assert "a bug in the answer" in caplog.text
    assert caplog.records[-1].levelno == logging.ERROR


def test_a_listener_that_asks_in_its_turn_is_told_instead_of_hanging(place: Place) -> None:
    refused: list[str] = []

    def ask(_: Sequence[Message]) -> None:
        try:
            place.shadows.get("staff-hana")
        except RuntimeError as no:
            refused.append(str(no))

    place.service._announce = ask
    began = time.monotonic()
    place.shadows.update("staff-hana", desired={"a": 1})
    assert time.monotonic() - began < 5
    assert refused == ["the thread that writes the store cannot wait for the store; use submit"]


@pytest.mark.parametrize("together", [1, 3])
def test_a_disk_that_is_full_for_the_history_is_full_for_the_update(tmp_path: Path, together: int) -> None:
    """SQLite undoes the whole transaction then: an update without its history must not stand, nor be written twice."""

    def note(db: sqlite3.Connection, _thing: str, _before: object, after: JsonObject) -> None:
        db.execute("INSERT INTO past VALUES (?, zeroblob(?))", (json.dumps(after), after["reported"]["size"]))

    place = Place(tmp_path / "store.sqlite", on_change=note, throttle=False)
    place.store.run(lambda db: db.execute("CREATE TABLE past (after TEXT, body BLOB)"))
    place.shadows.update("staff-0", reported={"size": 0})
    place.store.run(lambda db: db.execute("PRAGMA max_page_count=30").fetchall())
    go, busy = threading.Event(), threading.Event()
    place.store.submit(lambda _: busy.set() or go.wait(10))
    assert busy.wait(10)
    sizes = [1_000_000, 0, 0][:together]
    asked = [
        place.service.handle(f"$aws/things/staff-{n}/shadow/update", update_payload(reported={"size": size}))
        for n, size in enumerate(sizes)
    ]
    go.set()
    heard = [json.loads(each.result(10)[0][1]) for each in asked]
    assert [each.get("code", each.get("version")) for each in heard] == [500, 1, 1][:together]
    rows = place.store.run(
        lambda db: db.execute("SELECT thing, version FROM shadows ORDER BY thing").fetchall()
    )
    assert rows == [(f"staff-{n}", 1) for n in range(together)]
    [(noted,)] = place.store.run(lambda db: db.execute("SELECT count(*) FROM past").fetchall())
    assert noted == together
    place.store.close()


# --- What is kept parsed


def test_an_update_that_is_rolled_back_and_done_again_counts_once(place: Place) -> None:
    place.update(desired={"a": 1})
    go, busy = threading.Event(), threading.Event()
    place.store.submit(lambda _: busy.set() or go.wait(10))
    assert busy.wait(10)
    update = place.service.handle(f"{T}/update", b'{"state": {"desired": {"b": 2}}}')
    failing = place.store.submit(lambda db: db.execute("INSERT INTO nowhere VALUES (1)"))  # in the same batch
    go.set()
    assert isinstance(failing.exception(10), Rejected)
    assert json.loads(update.result(10)[0][1])["version"] == 2
    assert [said["version"] for _, said in place.update(desired={"b": None}) if "version" in said] == [3, 3]
    assert place.shadows.get("staff-hana").desired == {"a": 1}


def test_what_comes_together_is_counted_one_by_one(place: Place) -> None:
    go, busy = threading.Event(), threading.Event()
    place.store.submit(lambda _: busy.set() or go.wait(10))
    assert busy.wait(10)
    asked = [("update", {"state": {"desired": {"n": n}}}) for n in range(3)]
    asked += [("delete", {}), ("get", {}), ("update", {"state": {"desired": {"m": 1}}}), ("get", {})]
    answers = [
        place.service.handle(f"{T}/{what}", json.dumps(body).encode() if body else b"")
        for what, body in asked
    ]
    other = place.service.handle("$aws/things/staff-ken/shadow/update", b'{"state": {"reported": {"k": 1}}}')
    go.set()
    said = [json.loads(answer.result(10)[0][1]) for answer in answers]
    assert [each.get("version", each.get("code")) for each in said] == [1, 2, 3, 3, 404, 5, 5]
    assert said[-1]["state"]["desired"] == {"m": 1}
    assert json.loads(other.result(10)[0][1])["version"] == 1
    assert place.shadows.get("staff-hana").version == 5


VALUES: list[Any] = [0, 1, True, None, "x" * 8170, [], [{"b": None}], {}, {"b": 1}, {"b": None}]
STATES: list[Any] = [None, {}, {"desired": None}, {"desired": 5}, {"reported": {"a": 1}}]
STATES += [{"desired": {"a": value, "c": 1}} for value in VALUES]
BODIES = [b"", b"{", b'{"clientToken": "t"}', b'{"clientToken": 7}']
BODIES += [json.dumps({"state": state}).encode() for state in STATES]
BODIES += [json.dumps({"state": {"desired": {"v": n}}, "version": n}).encode() for n in range(1, 5)]
REQUESTS = st.tuples(
    st.sampled_from(["1/shadow", "2/shadow", "2/shadow/name/n"]),
    st.sampled_from(Operation),
    st.sampled_from(BODIES),
)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, Place]]:
    folder = tmp_path_factory.mktemp("pair")
    pair = Place(folder / "together.sqlite", throttle=False), Place(folder / "alone.sqlite", throttle=False)
    yield pair
    for place in pair:
        place.store.close()


NAMES = count()


@given(groups=st.lists(st.lists(REQUESTS, min_size=1, max_size=15), min_size=1, max_size=3))
def test_what_comes_together_is_answered_as_what_comes_one_after_the_other(
    pair: tuple[Place, Place], groups: list[list[tuple[str, Operation, bytes]]]
) -> None:
    together, alone = pair
    new = next(NAMES)  # things that nobody has asked for before
    for group in groups:
        asked = [(f"$aws/things/{new}-{at}/{what}", body) for at, what, body in group]
        go = held(together.store)
        answers = [together.service.handle(*each) for each in asked]
        go.set()
        expected = [alone.service.handle(*each).result(10) for each in asked]
        assert [each.result(10) for each in answers] == expected
    assert together.said == alone.said
    together.said.clear()
    alone.said.clear()


def test_a_damaged_document_is_refused_alone(place: Place) -> None:
    for thing in ("staff-1", "staff-2", "staff-3"):
        place.shadows.update(thing, reported={"n": 1})
    for damaged in ("'['", "''", "CAST(x'ff' AS TEXT)", "char(10) || document"):
        place.store.run(
            lambda db, text=damaged: db.execute(
                f"UPDATE shadows SET document = {text} WHERE thing = 'staff-2'"
            )
        )
        go, busy = threading.Event(), threading.Event()
        place.store.submit(lambda _, go=go, busy=busy: busy.set() or go.wait(10))
        assert busy.wait(10)
        answers = [place.service.handle(f"$aws/things/staff-{n}/shadow/get", b"") for n in (1, 2, 3)]
        go.set()
        said = [answer.result(10)[0] for answer in answers]
        assert [topic.rpartition("/")[2] for topic, _ in said][::2] == ["accepted", "accepted"], damaged
        if "document" not in damaged:
            assert json.loads(said[1][1])["code"] == 500, damaged


def test_what_the_database_has_counts_and_not_what_was_written_last(place: Place) -> None:
    place.update(desired={"a": 1})
    place.store.run(
        lambda db: db.execute("UPDATE shadows SET document = replace(document, '\"a\"', '\"z\"')")
    )
    place.update(desired={"b": 2})
    assert place.shadows.get("staff-hana").desired == {"z": 1, "b": 2}


def test_many_shadows_are_read_as_one_by_one_but_those_that_cannot_be(place: Place) -> None:
    things = [f"staff-{n}" for n in range(5)]
    for thing in things:
        place.shadows.update(thing, desired={"for": thing}, reported={"n": 1})
    place.shadows.delete("staff-1")
    place.service.handle("$aws/things/staff-9/shadow/name/other/update", b'{"state": {"desired": {"a": 1}}}')
    place.store.run(lambda db: db.execute("UPDATE shadows SET document = '[' WHERE thing = 'staff-2'"))
    read = place.shadows.get_many(["staff-9", *things])
    assert read == {thing: place.shadows.get(thing) for thing in ("staff-0", "staff-3", "staff-4")}
    with pytest.raises(Rejected, match="staff-2 is damaged"):
        place.shadows.get("staff-2")
    place.store.run(
        lambda db: db.execute("UPDATE shadows SET document = CAST(x'ff' AS TEXT) WHERE thing = 'staff-3'")
    )
    assert place.shadows.get_many(things) == {}, "who asks for each alone hears what is wrong with it"
    assert place.shadows.get("staff-0").desired == {"for": "staff-0"}


def test_of_whom_a_booth_lists_those_are_handed_out_who_can_be_read(place: Place) -> None:
    handed: Queue[list[Message]] = Queue()
    for n in range(4):
        place.shadows.update(f"staff-{n}", desired={"name": "花"}, reported={"n": 1e-7})
    place.service.hand_out("booth-main", handed.put)
    assert handed.get(timeout=10) == [], "no booth"
    place.shadows.update("booth-main", reported={"staff": [f"staff-{n}" for n in range(6)]})
    place.shadows.delete("staff-1")
    place.store.run(lambda db: db.execute("UPDATE shadows SET document = '[' WHERE thing = 'staff-2'"))
    place.service.hand_out("booth-main", handed.put)
    answer = (
        '{"state":{"desired":{"name":"花"},"reported":{"n":1e-07}},"version":1,"timestamp":1000}'.encode()
    )
    assert handed.get(timeout=10) == [(f"$aws/things/staff-{n}/shadow/get/accepted", answer) for n in (0, 3)]
