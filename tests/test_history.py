"""What is on record: every transition and every attempt to tell, for as long as is wished, and nobody's name who is erased."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from boto3.dynamodb.types import TypeSerializer
from hypothesis import example, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from infra.aws import tables
from infra.commands import history as command
from infra.figures import by_person, calls, overall
from infra.local import history
from infra.local.history import (
    Retention,
    Wanted,
    deliveries,
    erase,
    note,
    prepare,
    prune,
    remember,
    rows,
)
from infra.local.store import Store
from infra.records import of_attempt
from infra.settings import Settings, SettingsError
from shadows.calls import read, volunteer
from shadows.errors import Rejected
from shadows.registry import remove_staff
from shadows.shadow import JsonObject, Thing
from shadows.staff import CallEvent
from shadows.telling import Attempt, Delivery, MentionKind, NotTold, deliver, untold
from tests import memory
from tests.cloud import tables_on_aws
from tests.fake_slack import FakeSlack
from tests.shop import ADMIN_TOKEN, Shop, post, until

NOW = 1_793_235_600_000
OLD_TABLE = """CREATE TABLE history (
    n INTEGER PRIMARY KEY, at INTEGER NOT NULL, thing TEXT NOT NULL, name TEXT NOT NULL, state TEXT NOT NULL,
    why TEXT NOT NULL, since INTEGER NOT NULL, call TEXT NOT NULL, booth TEXT NOT NULL, click TEXT NOT NULL,
    count INTEGER NOT NULL, "end" TEXT NOT NULL, "to" TEXT NOT NULL, note TEXT NOT NULL
) STRICT"""


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack() as slack:
        yield slack


@pytest.fixture
def shop(tmp_path: Path, slack: FakeSlack) -> Iterator[Shop]:
    with Shop(tmp_path / "data", slack) as shop:
        yield shop.furnish()


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with closing(made()) as db:
        yield db


def made() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:", isolation_level=None)
    prepare(db, NOW)
    return db


def on_record(shop: Shop, **asked: str) -> Any:
    query = "&".join(f"{name}={value}" for name, value in asked.items())
    return shop.admin(f"/admin/api/history?{query}")


def outcomes(shop: Shop, **asked: str) -> list[tuple[str, str]]:
    return [(row["outcome"], row["kind"]) for row in on_record(shop, **asked)["deliveries"]]


# --- Deliveries


def test_every_attempt_is_on_record_with_what_became_of_it(shop: Shop, slack: FakeSlack) -> None:
    slack.next(status=500)
    _, answer = shop.press()
    until(lambda: shop.is_told("hana"), "the report", 20)
    shop.says("U0HANA", "ok")
    until(lambda: shop.is_told("hana"), "the report of the ok")
    assert outcomes(shop) == [("failed", "press"), ("told", "press"), ("reported", "")]
    failed, told, reported = on_record(shop)["deliveries"]
    assert {row["call"] for row in (failed, told, reported)} == {answer["call"]}
    assert (failed["reason"], told["reason"], reported["reason"]) == (
        "Slack answered 500 rollup_error",
        "",
        "",
    )
    assert [(row["state"], row["count"]) for row in (told, reported)] == [("calling", 1), ("running", 1)]
    assert failed["at"] <= told["at"] <= reported["at"]


def test_an_attempt_is_on_record_before_it_is_reported() -> None:
    shop = memory.Shop()
    hana = shop.staff("hana")
    seen: list[tuple[Attempt, bool]] = []

    def keep(attempt: Attempt) -> None:
        seen.append((attempt, shop.has_delta(hana)))

    shop.press(hana)
    shop.slack_fails = NotTold("Slack answered 500")
    with pytest.raises(NotTold):
        deliver(shop.place, hana, shop, note=keep)
    shop.slack_fails = None
    deliver(shop.place, hana, shop, note=keep)
    shop.says(hana, CallEvent.OK)
    assert untold(shop.place, hana, note=keep) is None
    assert untold(shop.place, hana, note=keep) is None
    assert [(attempt.outcome, attempt.kind, delta) for attempt, delta in seen] == [
        (Delivery.FAILED, MentionKind.PRESS, True),
        (Delivery.TOLD, MentionKind.PRESS, True),
        (Delivery.REPORTED, None, True),
    ]
    assert seen[1][0].asked.call.id == read(shop.place, hana).call.id


def test_a_fault_of_ours_is_on_record_by_its_kind() -> None:
    shop = memory.Shop()
    hana = shop.staff("hana")
    kept: list[Attempt] = []
    shop.press(hana)

    def broken(_mention: object) -> str:
        raise ZeroDivisionError

    shop.tell = broken  # type: ignore[method-assign, assignment]
    with pytest.raises(ZeroDivisionError):
        deliver(shop.place, hana, shop, note=kept.append)
    assert [(each.outcome, each.reason) for each in kept] == [(Delivery.FAILED, "ZeroDivisionError")]


def test_what_is_on_record_can_be_narrowed_down(shop: Shop) -> None:
    shop.press()
    shop.press(click="DOUBLE")
    until(lambda: shop.is_told("hana") and shop.is_told("sora"), "both", 20)
    for asked in ({"staff": "hana"}, {"staff": "hana", "booth": "main"}):
        found = on_record(shop, **asked)
        assert {row["thing"] for row in found["rows"] + found["deliveries"]} == {"staff-hana"}
    assert len(outcomes(shop, booth="main")) == 2
    assert outcomes(shop, booth="hall") == outcomes(shop, since=str(NOW * 2)) == []
    assert on_record(shop)["complete"] is True


def test_another_note_on_the_way_is_no_transition(shop: Shop) -> None:
    shop.press()
    for text in ("ok, soon", "ok, 5 min", "done"):
        assert shop.says("U0HANA", text)
    found = on_record(shop, staff="hana")["rows"]
    assert [(row["state"], row["note"]) for row in found] == [
        ("idle", ""), ("calling", ""), ("running", "soon"), ("idle", "5 min")
    ]  # fmt: skip


def test_of_more_than_can_be_shown_the_last_are(
    db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MOST", 3)
    for n in range(4):
        transition(db, NOW + n)
    found = history.records(db, Wanted())
    assert ([row["at"] for row in found["rows"]], found["complete"]) == ([NOW + 1, NOW + 2, NOW + 3], False)


def test_a_data_folder_of_an_older_version_goes_on(tmp_path: Path, slack: FakeSlack) -> None:
    (tmp_path / "data").mkdir()
    with closing(sqlite3.connect(tmp_path / "data" / "staffcall.sqlite3", isolation_level=None)) as old:
        old.execute(OLD_TABLE)
        old.execute(
            "INSERT INTO history VALUES (1, ?, 'staff-hana', 'Hana', 'idle', 'back', ?, '', '', 'SINGLE', 0, '', '', '')",
            (NOW, NOW),
        )
    with Shop(tmp_path / "data", slack, history_days=3650) as shop:
        shop.furnish().press()
        until(lambda: shop.is_told("hana"), "the report")
        found = on_record(shop, staff="hana")
        assert [row["state"] for row in found["rows"]] == ["idle", "idle", "calling"]
        assert [row["key"] == "" for row in found["rows"]] == [True, True, False]
    with Shop(tmp_path / "data", slack) as shop:  # and is brought up to date once
        assert len(on_record(shop, staff="hana")["deliveries"]) == 1


def test_that_a_note_is_forgotten_is_no_row_and_it_stays_on_record(db: sqlite3.Connection) -> None:
    call = {"id": "01JD", "note": "by the green door", "end": "done"}
    over = {"state": "idle", "since": NOW, "why": "done", "call": call}
    bare = {**over, "call": {**call, "note": ""}}
    remember(db, NOW, "staff-hana", None, {"desired": over, "reported": over})
    remember(db, NOW, "staff-hana", {"desired": over, "reported": over}, {"desired": bare, "reported": bare})
    assert [row["note"] for row in rows(db, Wanted())] == ["by the green door"]


# --- How long


def transition(db: sqlite3.Connection, at: int, thing: str = "staff-hana") -> None:
    asked = {"state": "calling", "since": at, "why": "press", "call": {"id": "01JD"}}
    remember(db, at, thing, None, {"desired": asked, "reported": {"name": "Hana"}})


def attempt(db: sqlite3.Connection, at: int) -> None:
    note(db, at, of_attempt(Attempt(thing="staff-hana", asked=memory_asked())))


def memory_asked() -> Any:
    shop = memory.Shop()
    return read(shop.place, shop.staff("hana")).asked


@pytest.mark.parametrize("table", history.TABLES)
def test_what_is_older_goes_in_small_batches(
    db: sqlite3.Connection, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "PRUNED_AT_ONCE", 2)
    for at in range(NOW, NOW + 5):
        (transition if table == "history" else attempt)(db, at)
    assert [prune(db, table, NOW + 3) for _ in range(3)] == [2, 1, 0]
    assert db.execute(f"SELECT at FROM {table}").fetchall() == [(NOW + 3,), (NOW + 4,)]


def test_at_the_start_and_once_a_day_the_rows_that_are_too_old_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "A_DAY_MS", 40)
    now = [NOW]
    store = Store(tmp_path / "file.sqlite3")
    store.run(lambda db: prepare(db, NOW))
    store.run(lambda db: [transition(db, NOW - 41), attempt(db, NOW - 41), transition(db, NOW - 39)])

    def left() -> int:
        return store.run(lambda db: len(rows(db, Wanted())) + len(history.deliveries(db, Wanted())))

    keeping = Retention(store, lambda: now[0], 1)
    keeping.start()
    try:
        until(lambda: left() == 1, "the old ones")
        now[0] += 10
        until(lambda: left() == 0, "the next day")
    finally:
        keeping.stop()
        store.close()


def test_a_place_forgets_at_its_start_what_is_older_than_it_is_to_keep(
    tmp_path: Path, slack: FakeSlack
) -> None:
    with Shop(tmp_path / "data", slack) as shop:
        shop.furnish().press()
        until(lambda: shop.is_told("hana"), "the report")
    with closing(sqlite3.connect(tmp_path / "data" / "staffcall.sqlite3", isolation_level=None)) as db:
        for table in history.TABLES:
            db.execute(f"UPDATE {table} SET at = at - ?", (3 * 86_400_000,))
    for days, left in ((4, 3), (2, 0)):
        with Shop(tmp_path / "data", slack, history_days=days) as shop:
            until(lambda shop=shop, left=left: len(on_record(shop)["rows"]) == left, f"{left} rows")  # type: ignore[misc]
            until(lambda shop=shop, left=left: len(outcomes(shop)) == bool(left), "the deliveries")  # type: ignore[misc]


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "3651", "for ever", "４００"])
def test_how_long_is_a_number_of_days_and_not_none_at_all(value: str) -> None:
    with pytest.raises(SettingsError) as wrong:
        Settings.from_env({"STAFFCALL_HISTORY_DAYS": value})
    assert str(wrong.value) == (
        f"STAFFCALL_HISTORY_DAYS: expected a whole number of days from 1 to 3650, got {value!r}"
    )
    assert Settings.from_env({"STAFFCALL_HISTORY_DAYS": "30"}).history_days == 30
    assert Settings().history_days == 400


def test_a_store_that_fails_does_not_end_the_forgetting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(history, "A_DAY_MS", 20)
    store = Store(tmp_path / "file.sqlite3")
    keeping = Retention(store, lambda: NOW, 1)
    keeping.start()  # there is no table yet
    try:
        until(lambda: "cannot be shortened" in caplog.text, "the line")
        store.run(lambda db: prepare(db, NOW))
        store.run(lambda db: transition(db, NOW - 1000))
        until(lambda: not store.run(lambda db: rows(db, Wanted())), "the next day")
    finally:
        keeping.stop()
        store.close()


# --- Whose name goes


def statistics(found: list[JsonObject]) -> Any:
    told = calls(found)
    people = sorted(
        (each.calls, each.answered, each.missed, sorted(each.times.items())) for each in by_person(told)
    )
    each = [(call.id, call.booth, call.at, call.response_s, call.outcome, call.missed) for call in told]
    return people, overall(told), each


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["press", "all", "ok", "no", "done", "cancel", "away", "back", "go", "tick"]),
        st.sampled_from(["hana", "sora", "riku"]),
        st.integers(0, 400),
    ),
    max_size=25,
)


HANDED_ON = [
    ("press", "hana", 1),
    ("no", "hana", 1),
    ("ok", "sora", 1),
    ("press", "hana", 1),
    ("ok", "hana", 1),
]


ALL = "all:hana,sora,riku"


def lived(events: list[tuple[str, str, int]]) -> sqlite3.Connection:
    """The record of what three people, each the backup of the next, were asked, alone and all at once."""
    shop, db = memory.Shop(), made()
    shop.things.create(Thing(name="button-all", type="button", attributes={"single": ALL}))
    people = [shop.staff(*pair) for pair in (("hana", "sora"), ("sora", "riku"), ("riku", "hana"))]
    for kind, name, wait_s in events:
        shop.now += 1000 * wait_s + 1
        if kind in ("press", "all"):
            shop.press(f"staff-{name}", booth=f"by-{name}", group=ALL if kind == "all" else "")
        elif kind == "go":
            volunteer(shop.place, f"staff-{name}", shop.key())
        elif kind == "tick":
            shop.sweep()
        else:
            shop.says(f"staff-{name}", CallEvent(kind), "see you" if kind == "ok" else "")
        for thing in people:
            deliver(shop.place, thing, shop, note=lambda each: note(db, shop.now, of_attempt(each)))
    before: dict[str, JsonObject] = {}
    for thing, shadow in shop.shadows.written:
        now = {"desired": shadow.desired, "reported": shadow.reported}
        remember(db, max(shadow.desired["since"], NOW), thing, before.get(thing), now)
        before[thing] = now
    return db


@settings(deadline=None)
@given(events=EVENTS, who=st.sampled_from(["hana", "sora", "riku"]))
def test_what_a_report_says_is_the_same_without_a_name(events: list[tuple[str, str, int]], who: str) -> None:
    with closing(lived(events)) as db:
        before, attempts = statistics(rows(db, Wanted())), len(history.deliveries(db, Wanted()))
        assert erase(db, f"staff-{who}") == "erased-1"
        assert statistics(rows(db, Wanted())) == before
        assert len(history.deliveries(db, Wanted())) == attempts
        left = json.dumps(history.records(db, Wanted()))
        assert f"staff-{who}" not in left
        assert who.title() not in left
        own = [row for row in rows(db, Wanted()) if row["thing"] == "erased-1"]
        assert {(row["name"], row["note"], row["key"]) for row in own} == {("erased-1", "", "")}


def test_each_person_has_a_pseudonym_of_their_own(db: sqlite3.Connection) -> None:
    for name in ("hana", "sora"):
        transition(db, NOW, f"staff-{name}")
    assert [erase(db, f"staff-{name}") for name in ("hana", "sora")] == ["erased-1", "erased-2"]
    for _ in range(9):
        transition(db, NOW, "staff-hana")
        erase(db, "staff-hana")
    assert {row["thing"] for row in rows(db, Wanted())} == {f"erased-{n}" for n in range(1, 12)}
    with pytest.raises(Rejected, match="nothing is on record of staff hana") as no:
        erase(db, "staff-hana")
    assert no.value.code == 404


def test_who_was_removed_stays_on_record_until_they_are_erased(shop: Shop) -> None:
    shop.press()
    until(lambda: shop.is_told("hana"), "the report")
    shop.says("U0HANA", "ok, in two minutes")
    shop.says("U0HANA", "done")
    remove_staff(shop.place, "hana")
    assert "staff-hana" in json.dumps(on_record(shop))
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    url = shop.url("/admin/api/staff/hana/erase")
    assert post(url, b"{}", **headers) == (200, {"pseudonym": "erased-1"})
    assert post(url, b"{}", **headers)[0] == 404
    assert post(url, b"{}")[0] == 401
    left = json.dumps(on_record(shop), ensure_ascii=False)
    assert not any(word in left for word in ("hana", "花 Hana", "two minutes"))


@settings(max_examples=8, deadline=None)
@example(events=HANDED_ON, who="hana", as_text=False)
@example(events=HANDED_ON, who="sora", as_text=True)
@given(events=EVENTS, who=st.sampled_from(["hana", "sora"]), as_text=st.booleans())
def test_on_aws_a_name_goes_the_same_way(events: list[tuple[str, str, int]], who: str, as_text: bool) -> None:
    with mock_aws(), closing(lived(events)) as db:
        dynamo = table_on_aws()
        for row in rows(db, Wanted()):
            dynamo.put_item(TableName="history", Item=item_of(row, as_text=as_text))
        told = kept_on_aws(dynamo, db)
        before = statistics(tables.history(dynamo, "history"))
        assert tables.erase(dynamo, "history", "tries", f"staff-{who}") == "erased-1"
        found, tried = tables.history(dynamo, "history"), tables.deliveries(dynamo, "tries")
        assert statistics(found) == before
        assert len(tried) == len(told)
        assert f"staff-{who}" not in json.dumps([found, tried])
        assert who.title() not in json.dumps(found)
        assert not any(row["note"] for row in found if row["thing"] == "erased-1")
        items = dynamo.scan(TableName="history")["Items"]
        assert {item["expires"]["N"] for item in items} == {"7"}
        with pytest.raises(Rejected, match="nothing is on record"):
            tables.erase(dynamo, "history", "tries", f"staff-{who}")


def test_the_commands_read_and_erase_the_same_on_aws() -> None:
    shop = memory.Shop()
    with mock_aws(), closing(lived(HANDED_ON)) as db:
        dynamo = table_on_aws()
        for row in rows(db, Wanted()):
            dynamo.put_item(TableName="history", Item=item_of(row, as_text=False))
        told = kept_on_aws(dynamo, db)
        account = SimpleNamespace(client=lambda _service: dynamo)
        outputs = {"HistoryTable": "history", "DeliveryTable": "tries"}
        here: Any = SimpleNamespace(on_aws=True, account=account, outputs=outputs, place=shop.place)
        found = command.on_record(here)
        assert found["deliveries"] == [{name: row[name] for name in tables.COLUMNS} for row in told]
        late = command.on_record(here, since=told[-2]["at"], booth=told[-1]["thing"].replace("staff-", "by-"))
        assert len(late["deliveries"]) == 1
        found = command.on_record(here, staff="hana", booth="by-hana")
        assert {row["thing"] for row in found["rows"]} == {"staff-hana"}
        assert [row["state"] for row in found["rows"]] == ["calling", "idle", "calling", "running"]
        wanted = Wanted(thing="staff-hana", booth="by-hana")
        assert [row["at"] for row in found["deliveries"]] == [row["at"] for row in deliveries(db, wanted)]
        assert found["deliveries"]
        assert found["complete"]
        nothing = {"rows": [], "deliveries": [], "complete": True}
        assert command.on_record(here, booth="by-nobody") == nothing
        assert command.on_record(here, until=1) == command.on_record(here, since=told[-1]["at"]) == nothing
        shop.staff("hana")
        with pytest.raises(Rejected, match="still there"):
            command.erase(here, "hana")
        shop.things.delete("staff-hana")
        assert command.erase(here, "hana") == "erased-1"
        assert command.on_record(here, staff="hana") == nothing
        del outputs["DeliveryTable"]  # deployed before there was one
        assert command.on_record(here)["deliveries"] == []
        assert command.on_record(here)["rows"]


def test_on_aws_a_try_that_comes_twice_is_on_record_once_and_what_cannot_be_kept_holds_up_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with mock_aws():
        dynamo = table_on_aws()
        times = iter((1_000, 2_000, 3_000, 4_000, 5_000))
        kept = tables.Deliveries(dynamo, "tries", lambda: next(times), days=2)
        row = of_attempt(Attempt(thing="staff-hana", asked=memory_asked(), kind="alert sms", outcome="sent"))
        kept.note(row, "1")
        kept.note(row, "1")
        kept.note({**row, "outcome": "delivered"}, "1")
        kept.note(row, "2")
        on_record = tables.deliveries(dynamo, "tries")
        assert [(each["at"], each["outcome"]) for each in on_record] == [
            (1_000, "sent"),
            (3_000, "delivered"),
            (4_000, "sent"),
        ]
        items = dynamo.scan(TableName="tries")["Items"]
        assert {int(item["expires"]["N"]) for item in items} == {172_801, 172_803, 172_804}
        assert not caplog.records
        dynamo.delete_table(TableName="tries")
        kept.note(row, "3")
        assert [each.getMessage() for each in caplog.records] == ["A try is not on record"]


def kept_on_aws(dynamo: Any, db: sqlite3.Connection) -> list[JsonObject]:
    """Have the table on AWS keep what is on record here of each try."""
    told = deliveries(db, Wanted())
    for row in told:
        kept = tables.Deliveries(dynamo, "tries", lambda at=row["at"]: at, days=400)  # type: ignore[misc]
        kept.note({name: row[name] for name in tables.COLUMNS if name != "at"}, str(row["n"]))
    return told


def table_on_aws() -> Any:
    """The history's tables."""
    dynamo = boto3.client("dynamodb", region_name="us-east-1")
    tables_on_aws(dynamo, HistoryTable="history", DeliveryTable="tries")
    return dynamo


def item_of(row: JsonObject, *, as_text: bool) -> Any:
    """A row as the topic rule writes it."""
    call = {name: row[name] for name in ("booth", "click", "count", "end", "to", "note")} | {
        "id": row["call"]
    }
    asked = {name: row[name] for name in ("state", "since", "why")} | {"call": call}
    return {
        "thing": {"S": row["thing"]},
        "since": {"N": str(row["since"])},
        "name": {"S": row["name"]},
        "expires": {"N": "7"},
        "asked": {"S": json.dumps(asked)} if as_text else TypeSerializer().serialize(asked),
    }
