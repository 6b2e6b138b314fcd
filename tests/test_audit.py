"""Every hole is found, and none where there is none: the rules alone, and faults that are put into a place that runs."""

import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from apscheduler.schedulers.base import STATE_RUNNING, STATE_STOPPED

from infra.local import auditor, deliverer, run
from infra.local.audit import WORDS, Hole, Parts, Records, Rule, Seen, holes
from infra.local.place import LocalPlace
from shadows.registry import NewButton, NewStaff, add_button, add_staff, remove_staff
from shadows.staff import Asked, Call, Staff, StaffState, Telling
from tests.fake_slack import FakeSlack
from tests.shop import Shop, get, until

NOW = 1_793_235_600_000
IDLE, CALLING, RUNNING, AWAY = StaffState
ALL = Parts(alarms=frozenset({f"staff-hana {NOW}"}))
NONE = Records(state=False, ok=False, told=False, reported=False)

# --- The rules


def person(state: StaffState, **more: Any) -> Seen:
    """Somebody about whom everything is as it should be."""
    asked = Asked(state=state, since=NOW, call=Call(id="01JD", booth="main", count=1))
    due = NOW + 180_000 if state in (CALLING, RUNNING) else None
    return replace(Seen(thing="staff-hana", staff=Staff(asked=asked, told=asked), version=3, due=due), **more)


def with_staff(seen: Seen, **more: Any) -> Seen:
    return replace(seen, staff=replace(seen.staff, **more))


def found(seen: Seen, parts: Parts = ALL, now: int = NOW + 1000) -> list[Rule]:
    return [hole.rule for hole in holes([seen], parts, now)]


UNTOLD = with_staff(person(CALLING), told=Asked(state=IDLE, since=NOW - 1))
KNOWN = replace(ALL, known=frozenset({"staff-hana"}))
CLAIM = Telling(since=NOW, count=1, at=NOW)
QUEUED = with_staff(person(IDLE), waiting=(Call(id="01JE", booth="hall"),))


@pytest.mark.parametrize("state", list(StaffState))
def test_where_everything_is_as_it_should_be_there_is_no_hole(state: StaffState) -> None:
    assert found(person(state)) == []


@pytest.mark.parametrize(
    ("seen", "parts", "later_ms"),
    [
        (UNTOLD, KNOWN, 1000),
        (replace(UNTOLD, records=NONE.__class__(told=False, reported=False)), KNOWN, 60_000),
        (with_staff(UNTOLD, telling=CLAIM), replace(KNOWN, sending=KNOWN.known), 1000),
        (with_staff(UNTOLD, telling=replace(CLAIM, failed="no_service")), KNOWN, 1000),
        (person(CALLING), ALL, 179_999),
        (person(CALLING), Parts(), 181_999),  # the alarm rings right now
        (QUEUED, Parts(), 12_000),
        (replace(UNTOLD, due=None), replace(KNOWN, followed={"staff-hana": 3}), 1000),
        (person(IDLE), Parts(followed={"staff-hana": 9}), 1000),  # it was wiped, and counts anew
    ],
)
def test_what_is_under_way_is_no_hole(seen: Seen, parts: Parts, later_ms: int) -> None:
    assert found(seen, parts, NOW + later_ms) == []


@pytest.mark.parametrize(
    ("seen", "parts", "later_ms", "rule"),
    [
        (person(CALLING, records=Records(told=False)), ALL, 1000, Rule.CALLED),
        (UNTOLD, ALL, 1000, Rule.DELIVERED),
        (person(IDLE, stray=True), ALL, 1000, Rule.STRAY),
        (person(RUNNING, records=Records(ok=False)), ALL, 1000, Rule.ANSWERED),
        (person(CALLING), ALL, 182_001, Rule.ENDS),
        (person(CALLING), ALL, -2_001, Rule.ENDS),
        (person(RUNNING), Parts(), 1000, Rule.ALARM),
        (person(RUNNING), Parts(alarms=frozenset({f"staff-hana {NOW - 1}"})), 1000, Rule.ALARM),
        (QUEUED, Parts(), 12_001, Rule.WAITS),
        (person(AWAY, records=Records(reported=False)), ALL, 1000, Rule.REPORTED),
        (person(CALLING, records=Records(reported=False)), ALL, 1000, Rule.REPORTED),
        (person(IDLE, records=Records(state=False)), ALL, 1000, Rule.RECORDED),
        (with_staff(person(IDLE), telling=CLAIM), ALL, 1000, Rule.CLAIM),
        (with_staff(UNTOLD, telling=CLAIM), KNOWN, 1000, Rule.CLAIM),
        (person(IDLE), replace(ALL, followed={"staff-hana": 2}), 1000, Rule.FOLLOWED),
    ],
)
def test_each_hole_is_named_by_its_rule(seen: Seen, parts: Parts, later_ms: int, rule: Rule) -> None:
    assert found(seen, parts, NOW + later_ms) == [rule]


def test_parts_that_have_died_are_holes_of_nobody() -> None:
    dead = frozenset({Rule.DELIVERER, Rule.SWEEP})
    assert list(holes([], Parts(dead=dead), NOW)) == [Hole(Rule.DELIVERER), Hole(Rule.SWEEP)]


def test_a_hole_of_the_next_state_is_another_one() -> None:
    first = list(holes([UNTOLD], ALL, NOW))
    later = with_staff(UNTOLD, asked=replace(UNTOLD.staff.asked, since=NOW + 1))
    assert set(first).isdisjoint(holes([later], ALL, NOW))
    taken = [list(holes([person(IDLE)], Parts(followed={"staff-hana": 2}, taken=n), NOW)) for n in (7, 8)]
    assert taken[0] != taken[1]  # who follows one change after the other is only late


def test_each_rule_has_its_own_words_and_its_own_fix() -> None:
    assert WORDS.keys() == set(Rule)
    details, fixes = zip(*WORDS.values(), strict=True)
    assert len(set(details)) == len(Rule)
    assert len({(rule, fix) for rule, fix in zip(Rule, fixes, strict=True)}) == len(Rule)
    assert all(fix.endswith(".") for fix in fixes)


def test_a_hole_is_told_within_five_seconds() -> None:
    assert (auditor.LOOKS + 1) * auditor.LOOK_EVERY_S < 5


# --- Faults in a place that runs


@dataclass
class Scene:
    """A shop with Hana, who is called and told of it, and what is inside."""

    shop: Shop
    slack: FakeSlack
    here: LocalPlace
    gate: threading.Event
    caplog: pytest.LogCaptureFixture

    def update(self, thing: str, **state: Any) -> None:
        """Write into a shadow from outside, as anybody with boto3 can."""
        self.shop.place.shadows.update(thing, **state)

    def sql(self, statement: str, *given: Any) -> None:
        self.here.store.run(lambda db: db.execute(statement, given))

    def press(self, **more: Any) -> None:
        assert self.shop.press(**more)[0] == 200

    def called(self) -> None:
        self.press()
        until(lambda: self.shop.is_told("hana"), "the report")

    def untold(self) -> None:
        """Hana is called, and Slack does not take it."""
        before = self.slack.refused
        self.slack.always(status=500)
        self.press()
        until(lambda: self.slack.refused > before, "a refusal")
        until(
            lambda: not self.here.deliverer.sending,
            "that the deliverer has heard it, and given its claim back",
        )

    def troubles(self) -> set[str]:
        wrong = get(self.shop.url("/healthz"))[1].get("troubles", [])
        return {f"{each['what']}: {each['detail']}" for each in wrong}

    def finds(self, rule: Rule) -> None:
        """Wait until it is in the log, where it stays: what is mended at once may be over before anybody asks."""
        said = WORDS[rule][0].rstrip(".")
        until(lambda: any(said in line for line in self.begun()), f"{said!r}", 20)

    def begun(self) -> list[str]:
        """The lines of the log that say of troubles that they begin."""
        lines = [each.getMessage() for each in self.caplog.records if each.name == "infra.local.health"]
        return [line for line in lines if line.startswith("Trouble with")]

    def is_well_again(self) -> None:
        until(lambda: not self.troubles(), f"the end of {self.troubles()}", 20)

    def followed(self) -> bool:
        """Whether the last change was followed: nothing sets an alarm any more."""
        return self.here.follower.followed.get("staff-hana") == self.shop.shadow("staff-hana")["version"]

    @property
    def since(self) -> int:
        return int(self.shop.asked("hana")["since"])


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack() as slack:
        yield slack


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[LocalPlace]:
    """The places that were started."""
    started: list[LocalPlace] = []

    class Kept(LocalPlace):
        def __init__(self, *given: Any, **more: Any) -> None:
            super().__init__(*given, **more)
            started.append(self)

    monkeypatch.setattr(run, "LocalPlace", Kept)
    return started


@pytest.fixture
def scene(
    tmp_path: Path,
    slack: FakeSlack,
    made: list[LocalPlace],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> Iterator[Scene]:
    monkeypatch.setattr(deliverer, "PACE_S", 0.05)
    gate = threading.Event()
    with Shop(tmp_path / "data", slack) as shop:
        shop.furnish()
        try:
            yield Scene(shop, slack, made[-1], gate, caplog)
        finally:
            gate.set()


@pytest.fixture
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault lasts, so quick looks find it as well; that there is no false alarm is tried at the real pace."""
    monkeypatch.setattr(auditor, "LOOK_EVERY_S", 0.3)


FAULTS: dict[str, Callable[[Scene], None]] = {}


def fault(seed: Callable[[Scene], None]) -> Callable[[Scene], None]:
    FAULTS[seed.__name__] = seed
    return seed


@fault
def slack_answers_200_and_not_ok(scene: Scene) -> None:
    scene.slack.always(status=200, body="<html>Welcome to our Wi-Fi</html>")
    scene.press()
    until(lambda: "slack: Slack answered 200" in scene.troubles(), "the trouble", 20)
    assert not scene.shop.is_told("hana")
    scene.slack.always()


@fault
def slack_refuses_for_good(scene: Scene) -> None:
    scene.slack.next(status=404, body="channel_not_found")
    scene.press()
    until(lambda: "slack: Slack answered 404 channel_not_found" in scene.troubles(), "the trouble")
    until(scene.begun, "the line in the log")
    scene.press(id="another")


@fault
def an_alarm_was_removed(scene: Scene) -> None:
    scene.called()
    name = f"staff-hana {scene.since}"
    until(scene.followed, "the alarm")
    scene.here.timers._scheduler.remove_job(name)
    scene.finds(Rule.ALARM)
    until(lambda: name in scene.here.timers.alarms, "the alarm")


@fault
def the_alarm_of_somebody_on_the_way_was_removed(scene: Scene) -> None:
    scene.called()
    scene.shop.says("U0HANA", "ok")
    until(lambda: scene.shop.is_told("hana"), "the report")
    name = f"staff-hana {scene.since}"
    until(lambda: scene.followed() and name in scene.here.timers.alarms, "the alarm")
    scene.here.timers._scheduler.remove_job(name)
    scene.finds(Rule.ALARM)


@fault
def something_is_desired_that_nobody_reports(scene: Scene) -> None:
    scene.update("staff-hana", desired={"mood": "sunny"})
    scene.finds(Rule.STRAY)
    assert f"audit: {WORDS[Rule.STRAY][0]}" in scene.troubles()  # nobody can mend that but who wrote it
    scene.update("staff-hana", desired={"mood": None})


@fault
def a_state_that_we_do_not_know(scene: Scene) -> None:
    scene.update("staff-hana", desired={"state": "dancing"})
    scene.finds(Rule.STRAY)
    scene.update("staff-hana", desired={"state": "idle"})


@fault
def a_report_was_written_and_nobody_told(scene: Scene) -> None:
    scene.untold()
    scene.update("staff-hana", reported=scene.shop.asked("hana"))
    scene.finds(Rule.CALLED)
    until(lambda: not scene.shop.is_told("hana"), "the screen says so")
    scene.slack.always()
    until(lambda: scene.slack.texts, "the mention", 20)


@fault
def that_nobody_is_left_was_marked_as_told_by_hand(scene: Scene) -> None:
    scene.slack.always(status=500)
    scene.press(click="DOUBLE")
    scene.shop.says("U0SORA", "no")
    scene.update("staff-sora", reported=scene.shop.asked("sora"))
    scene.finds(Rule.REPORTED)
    scene.slack.always()
    scene.shop.says("U0SORA", "away")


@fault
def the_record_of_a_mention_was_lost(scene: Scene) -> None:
    scene.called()
    scene.sql("DELETE FROM deliveries")
    scene.finds(Rule.CALLED)
    until(lambda: len(scene.slack.texts) == 2, "another mention")


@fault
def the_store_refuses_records(scene: Scene) -> None:
    scene.sql("CREATE TRIGGER full BEFORE INSERT ON deliveries BEGIN SELECT RAISE(ABORT, 'no room'); END")
    scene.called()
    scene.finds(Rule.CALLED)
    until(lambda: len(scene.slack.texts) == 2, "another mention")
    looked(scene.here, scene.here.auditor.looks + auditor.LOOKS + 1)
    assert len(scene.slack.texts) == 2  # and no more
    scene.sql("DROP TRIGGER full")
    scene.press(click="DOUBLE")
    scene.shop.says("U0HANA", "ok")


@fault
def the_history_refuses_a_row(scene: Scene) -> None:
    scene.sql("CREATE TRIGGER full BEFORE INSERT ON history BEGIN SELECT RAISE(ABORT, 'no room'); END")
    scene.press()
    scene.finds(Rule.RECORDED)
    scene.sql("DROP TRIGGER full")
    scene.shop.says("U0HANA", "done")


@fault
def a_row_of_the_history_was_deleted(scene: Scene) -> None:
    scene.called()
    scene.sql("DELETE FROM history WHERE thing = 'staff-hana' AND state = 'calling'")
    scene.finds(Rule.RECORDED)
    scene.shop.says("U0HANA", "done")


@fault
def the_deliverer_died(scene: Scene) -> None:
    scene.here.deliverer.stop()
    scene.here.deliverer._stopping = False
    scene.press()
    scene.finds(Rule.DELIVERER)
    until(lambda: scene.slack.texts, "the mention", 20)


@fault
def the_deliverer_forgot_somebody(scene: Scene) -> None:
    scene.untold()
    until(lambda: scene.here.deliverer._channel.tried, "a pause")
    until(lambda: scene.followed() and not scene.here.deliverer._woken, "that it has heard of every change")
    time.sleep(0.2)  # and has looked at it
    scene.here.deliverer._forget("staff-hana")
    scene.finds(Rule.DELIVERED)
    until(lambda: scene.here.deliverer.pending, "what is to be told")
    scene.slack.always()
    until(lambda: scene.slack.texts, "the mention", 20)


@fault
def the_deliverer_was_not_woken(scene: Scene) -> None:
    scene.here.follower._wake = lambda _thing: None
    scene.press()
    scene.finds(Rule.DELIVERED)
    until(lambda: scene.shop.is_told("hana"), "the report")


@fault
def the_follower_died(scene: Scene) -> None:
    scene.here.follower.stop()
    scene.press()
    scene.finds(Rule.FOLLOWER)
    until(lambda: scene.shop.is_told("hana"), "the report", 20)


@fault
def a_change_was_not_followed(scene: Scene) -> None:
    scene.called()
    real = scene.here.follower.hear
    scene.here.follower.hear = lambda _topic, _payload: None  # type: ignore[method-assign]
    scene.shop.says("U0HANA", "ok")
    scene.finds(Rule.FOLLOWED)
    until(lambda: f"staff-hana {scene.since}" in scene.here.timers.alarms, "the alarm")
    scene.here.follower.hear = real  # type: ignore[method-assign]
    scene.shop.says("U0HANA", "done")


@fault
def the_alarms_died(scene: Scene) -> None:
    scheduler = scene.here.timers._scheduler
    scheduler.state = STATE_STOPPED
    scheduler.wakeup()
    until(lambda: not scheduler._thread.is_alive(), "its end")
    scheduler.state = STATE_RUNNING  # as it says of itself, too
    scene.finds(Rule.TIMERS)


@fault
def the_sweep_died(scene: Scene) -> None:
    scene.here.timers._stopping.set()
    scene.finds(Rule.SWEEP)


@fault
def somebody_is_called_since_long_ago(scene: Scene) -> None:
    scene.called()
    scene.here.timers._scheduler.pause()
    scene.update("staff-hana", desired={"since": 1000})
    scene.finds(Rule.ENDS)
    until(lambda: scene.shop.state("hana") == "idle", "the end of it")
    scene.here.timers._scheduler.resume()


@fault
def somebody_is_called_from_the_future_on(scene: Scene) -> None:
    scene.called()
    scene.update("staff-hana", desired={"since": scene.since + 86_400_000})
    scene.finds(Rule.ENDS)
    until(lambda: scene.since < time.time() * 1000 + 1000, "a time that has begun")


@fault
def somebody_is_on_the_way_who_said_nothing(scene: Scene) -> None:
    scene.called()
    scene.update("staff-hana", desired={"state": "running", "since": scene.since + 1})
    scene.finds(Rule.ANSWERED)
    scene.shop.says("U0HANA", "done")


@fault
def an_ok_was_made_up(scene: Scene) -> None:
    scene.called()
    scene.update("staff-hana", desired={"state": "running", "since": scene.since + 1, "why": "ok"})
    scene.finds(Rule.ANSWERED)
    scene.shop.says("U0HANA", "done")


@fault
def a_claim_is_left_and_nothing_to_be_told(scene: Scene) -> None:
    scene.called()
    claim = {"since": scene.since, "count": 1, "at": int(time.time() * 1000)}
    scene.update("staff-hana", reported={"telling": claim})
    scene.finds(Rule.CLAIM)
    until(lambda: "telling" not in scene.shop.shadow("staff-hana")["state"]["reported"], "its end")


@fault
def a_claim_keeps_a_message_back(scene: Scene) -> None:
    scene.untold()
    claim = {
        "since": 1,
        "count": 1,
        "at": int(time.time() * 1000) + 1,
    }  # one of before the refusal is known to be dead
    scene.update("staff-hana", reported={"telling": claim})
    scene.slack.always()
    scene.finds(Rule.CLAIM)
    until(lambda: scene.shop.is_told("hana"), "the report", 20)


@fault
def who_is_free_does_not_get_the_call_that_waits(scene: Scene) -> None:
    scene.here.timers._scheduler.pause()
    scene.called()
    scene.shop.says("U0HANA", "done")
    until(lambda: scene.shop.is_told("hana"), "the report")
    call = Call(id="01JD0000000000000000000000", booth="hall", count=1).document()
    long_ago = {**scene.shop.asked("hana"), "since": scene.since - 20_000}
    scene.update("staff-hana", desired=long_ago, reported={**long_ago, "waiting": [call]})
    scene.finds(Rule.WAITS)
    until(lambda: scene.shop.state("hana") == "calling", "the call")
    scene.here.timers._scheduler.resume()


@fault
def the_database_hangs(scene: Scene) -> None:
    scene.here.store.submit(lambda _db: scene.gate.wait(60))
    until(lambda: any(each.detail == WORDS[Rule.STORE][0] for each in scene.here.health.troubles()), "it", 20)
    scene.gate.set()


@fault
def the_audit_cannot_look(scene: Scene) -> None:
    real = scene.here.auditor._evidence.read
    scene.here.auditor._evidence.read = sqlite3.connect  # type: ignore[method-assign, assignment]
    scene.finds(Rule.AUDIT)
    scene.here.auditor._evidence.read = real  # type: ignore[method-assign]


UNTIL_A_RESTART = {"the_alarms_died", "the_sweep_died"}


def test_there_are_more_than_twenty_faults() -> None:
    assert len(FAULTS) > 20


@pytest.mark.usefixtures("quick_looks")
@pytest.mark.parametrize("name", sorted(FAULTS))
def test_a_silent_fault_is_found_and_once_in_the_log(scene: Scene, name: str) -> None:
    FAULTS[name](scene)
    if name not in UNTIL_A_RESTART:
        scene.is_well_again()
    begun = scene.begun()
    assert begun
    assert len(set(begun)) == len(begun)


@pytest.mark.usefixtures("quick_looks")
def test_holes_are_counted(scene: Scene) -> None:
    an_alarm_was_removed(scene)
    scene.is_well_again()
    metrics = scene.shop.admin("/metrics").splitlines()
    assert 'staffcall_trouble{what="audit"} 0.0' in metrics
    assert "staffcall_audit_holes_total 1.0" in metrics


# --- No false alarm


def looked(here: LocalPlace, times: int) -> None:
    until(lambda: here.auditor.looks >= times, f"{times} looks", 60)


def crowd(shop: Shop) -> list[str]:
    """Eight people at four booths, each the backup of the next; and a button for each."""
    names = [f"staff{n}" for n in range(8)]
    for n, name in enumerate(reversed(names)):
        backup = names[len(names) - n] if n else ""
        add_staff(
            shop.place,
            NewStaff(id=name, name=name.title(), slack=f"U0{name.upper()}", backup=backup, booth=f"b{n % 4}"),
        )
        add_button(shop.place, NewButton(id=name, single=name, booth=f"b{n % 4}"))
    return names


def busy(shop: Shop, names: list[str], dice: random.Random, until_s: float, least: int) -> int:
    """Visitors press, staff answer whatever they like, and some do not; the answer is how many presses there were."""
    presses = 0
    while time.monotonic() < until_s or presses < least:
        name = dice.choice(names)
        if dice.random() < 0.6:
            presses += shop.press(name)[0] == 200
        else:
            shop.says(
                f"U0{name.upper()}",
                dice.choice(["ok, soon", "ok", "no", "done", "away", "back", "back"]),
            )
    return presses


def test_hundreds_of_calls_raise_no_alarm_and_a_slack_that_is_away_neither(
    tmp_path: Path, slack: FakeSlack, made: list[LocalPlace], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliverer, "PACE_S", 0.02)
    dice = random.Random(7)
    times = {"calling_s": 1.5, "running_s": 2.0, "quiet_s": 0.5}
    with Shop(tmp_path / "data", slack, **times) as shop:
        names, here, presses = crowd(shop), made[-1], 0
        for how in ({}, {"status": 500}, {"hang_s": 2}, {"status": 404, "body": "no_service"}, {}):
            slack.always(**how)
            presses += busy(shop, names, dice, time.monotonic() + 5, least=41)
        slack.always()
        looked(here, here.auditor.looks + auditor.LOOKS + 1)
        assert presses > 200
        assert len(slack.texts) > 20
        assert (here.auditor.total, here.auditor.troubles()) == (0, [])
    with Shop(tmp_path / "data", slack, **times) as shop:  # and after a restart in the middle of it
        looked(made[-1], auditor.LOOKS + 2)
        assert made[-1].auditor.total == 0


def test_a_place_without_any_slack_is_no_hole(
    tmp_path: Path, slack: FakeSlack, made: list[LocalPlace]
) -> None:
    with Shop(tmp_path / "data", slack, slack_webhook_url="") as shop:
        shop.furnish().press()
        looked(made[-1], auditor.LOOKS + 2)
        assert made[-1].auditor.total == 0


def test_a_data_folder_from_before_there_were_records_raises_no_alarm(
    tmp_path: Path, slack: FakeSlack, made: list[LocalPlace]
) -> None:
    with Shop(tmp_path / "data", slack) as shop:
        shop.furnish().press()
        shop.press(click="DOUBLE")
        shop.says("U0SORA", "ok")
        until(lambda: shop.is_told("hana") and shop.is_told("sora"), "the reports", 20)
    with closing(sqlite3.connect(tmp_path / "data" / "staffcall.sqlite3", isolation_level=None)) as db:
        for statement in (
            "DROP TABLE deliveries",
            "DROP TABLE records",
            "DELETE FROM history",
            "ALTER TABLE history DROP COLUMN key",
        ):
            db.execute(statement)
    with Shop(tmp_path / "data", slack) as shop:
        looked(made[-1], auditor.LOOKS + 2)
        shop.says("U0HANA", "ok")
        shop.says("U0SORA", "done")
        looked(made[-1], made[-1].auditor.looks + auditor.LOOKS + 1)
        assert made[-1].auditor.total == 0


def test_who_is_removed_or_added_only_half_way_is_no_hole(scene: Scene) -> None:
    scene.called()
    remove_staff(scene.shop.place, "hana")
    scene.shop.aws("iot").create_thing(thingName="staff-half", thingTypeName="staff")
    scene.update("staff-ghost", desired={"state": "calling", "since": 1, "why": "press", "call": {"id": "1"}})
    looked(scene.here, scene.here.auditor.looks + auditor.LOOKS + 1)
    assert scene.here.auditor.total == 0
