"""The duty roster: whom a button calls that names nobody but the duty, and what the channel hears when it changes."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from button_handlers.click import Click
from button_handlers.press import press
from infra import rosters
from shadows import calls, duty
from shadows.duty import CLAIM_MS, MINUTE_MS, ROSTER, STALE_MS, Duty, Handover, announce, save
from shadows.errors import Rejected
from shadows.registry import (
    Bereft,
    NewBooth,
    NewButton,
    NewStaff,
    add_booth,
    add_button,
    add_staff,
    remove_staff,
)
from shadows.shadow import JsonObject
from shadows.staff import CallEvent, ClickType
from shadows.telling import NotTold
from shadows.whom import ON_DUTY, candidates
from slack_bridge.duty import words
from slack_bridge.phrases import LANGUAGES
from slack_bridge.words import starts_with_word
from tests import memory
from tests.fake_slack import FakeSlack
from tests.memory import START
from tests.shop import Process, Shop, until

HOUR = 60 * MINUTE_MS
T = START // HOUR * HOUR
BERLIN = ZoneInfo("Europe/Berlin")


class Venue(memory.Shop):
    """Three people at a booth, and a button that calls who is on duty there."""

    def __init__(self) -> None:
        super().__init__()
        self.now = T
        for id in ("hana", "sora", "riku"):
            add_staff(self.place, NewStaff(id=id, name=id.title(), slack=f"U0{id.upper()}"))
        add_button(self.place, NewButton(id="demo", single=ON_DUTY))
        self.said: list[list[Handover]] = []

    def presses(self, id: str | None = None) -> str:
        """Who is called, by a press with this id."""
        self.events += 1
        click = Click(button="demo", type=ClickType.SINGLE, id=id or str(self.events))
        called = press(click, "webhook", self.place, Nobody())
        return str(called["thing"]).removeprefix("staff-")

    def roster(self, *lines: tuple[str, float, float], booth: str = "main") -> None:
        """Of each line who, and from when to when, in hours from the start."""
        save(self.place, [line(*each, booth=booth) for each in lines])

    def announce(self) -> list[Handover]:
        """What is announced now."""
        self.said.clear()
        announce(self.place, lambda handovers: self.said.append(list(handovers)))
        return [each for said in self.said for each in said]


class Nobody:
    def note(self, button: str, at: int, door: str) -> None:
        raise AssertionError(button)


def line(staff: str, start: float, end: float, booth: str = "main") -> Duty:
    return Duty(booth=booth, start=T + int(start * HOUR), end=T + int(end * HOUR), staff=staff)


@pytest.fixture
def venue() -> Venue:
    return Venue()


# --- whom a press calls


def test_who_is_on_duty_is_called_from_the_first_minute_until_before_the_last(venue: Venue) -> None:
    venue.roster(("sora", 0, 1), ("riku", 1, 2))
    assert venue.presses() == "sora"
    venue.says("staff-sora", CallEvent.DONE)
    venue.now = T + HOUR - 1
    assert venue.presses() == "sora"
    venue.says("staff-sora", CallEvent.DONE)
    venue.now = T + HOUR
    assert venue.presses() == "riku"


@pytest.mark.parametrize(
    ("lines", "at", "called"),
    [
        ([("sora", -2, -1), ("riku", 1, 2)], 0, "sora"),  # who was last
        ([("riku", 1, 2), ("sora", 3, 4)], 0, "riku"),  # who comes next
        ([], 0, "hana"),  # who stands first at the booth
        ([("gone", -1, 1)], 0, "hana"),  # who was removed
        ([("sora", -1, 1), ("riku", -1, 1)], 0, "sora"),  # the first line
    ],
)
def test_a_gap_loses_no_press(
    venue: Venue, lines: list[tuple[str, float, float]], at: float, called: str
) -> None:
    venue.roster(*lines)
    venue.now = T + int(at * HOUR)
    assert venue.presses() == called


def test_without_a_roster_or_with_one_that_cannot_be_read_the_booth_is_called(venue: Venue) -> None:
    assert venue.presses() == "hana"
    venue.says("staff-hana", CallEvent.DONE)
    for nonsense in ("&", "aaaa", "eJw=", 7, None, ["x"]):
        venue.shadows.update(ROSTER, reported={"duties": nonsense})
        assert venue.presses() == "hana"


def test_a_roster_that_is_not_answered_with_keeps_no_press_back(
    venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    venue.roster(("sora", 0, 1))
    get = venue.shadows.get

    def slow(thing: str) -> Any:
        if thing == ROSTER:
            raise Rejected(429, "too many requests")
        return get(thing)

    monkeypatch.setattr(venue.shadows, "get", slow)
    assert venue.presses() == "hana"


def test_of_several_on_duty_the_first_who_is_free_is_called(venue: Venue) -> None:
    venue.roster(("sora", 0, 1), ("riku", 0, 1))
    venue.press("staff-sora", booth="east")
    assert venue.presses() == "riku"
    venue.says("staff-riku", CallEvent.DONE)
    venue.says("staff-sora", CallEvent.AWAY)
    assert venue.presses() == "riku"


def test_who_has_the_call_keeps_it_beyond_the_end_of_their_duty(venue: Venue) -> None:
    venue.roster(("sora", 0, 1), ("riku", 1, 2))
    assert venue.presses() == "sora"
    venue.now = T + HOUR
    assert venue.presses() == "sora"  # the same visitor presses again
    venue.says("staff-sora", CallEvent.OK)
    assert venue.presses() == "sora"
    venue.says("staff-sora", CallEvent.DONE)
    assert venue.presses() == "riku"


def test_a_press_that_comes_again_after_the_hand_over_calls_nobody_else(venue: Venue) -> None:
    venue.roster(("sora", 0, 1), ("riku", 1, 2))
    assert venue.presses("one") == "sora"
    venue.says("staff-sora", CallEvent.DONE)
    venue.now = T + HOUR
    assert venue.presses("one") == "sora"
    assert calls.read(venue.place, "staff-riku").state == "idle"


def test_who_is_off_duty_and_free_is_not_called_for_who_is_busy(venue: Venue) -> None:
    venue.roster(("sora", -1, 0), ("riku", 0, 1))
    venue.press("staff-riku", booth="east")
    venue.presses()
    assert [each.booth for each in calls.read(venue.place, "staff-riku").waiting] == ["main"]


def test_a_booth_where_nobody_is_at_all_is_said_to_be_one(venue: Venue) -> None:
    add_booth(venue.place, NewBooth(id="cellar"))
    add_button(venue.place, NewButton(id="deep", single=ON_DUTY, booth="cellar"))
    with pytest.raises(Rejected, match="nobody is on duty at cellar") as no:
        press(Click(button="deep", type=ClickType.SINGLE), "webhook", venue.place, Nobody())
    assert no.value.code == 404


def test_a_button_may_call_somebody_by_one_click_and_the_duty_by_another(venue: Venue) -> None:
    venue.roster(("sora", 0, 1))
    add_button(venue.place, NewButton(id="both", single="hana", long=ON_DUTY))
    click = Click(button="both", type=ClickType.LONG)
    assert press(click, "webhook", venue.place, Nobody())["thing"] == "staff-sora"
    with pytest.raises(Rejected, match="double"):
        NewButton(id="both", single="hana", double="@all")


def test_who_is_removed_is_said_to_be_on_the_roster_still(venue: Venue) -> None:
    venue.roster(("sora", -2, -1), ("riku", 0, 1))
    assert remove_staff(venue.place, "sora") == Bereft()
    assert remove_staff(venue.place, "riku") == Bereft(booths=("main",))


lines = st.lists(
    st.builds(
        lambda staff, start, length, booth: line(staff, start, start + length, booth),
        st.sampled_from(["hana", "sora", "riku"]),
        st.integers(-5, 5),
        st.integers(1, 5),
        st.sampled_from(["main", "east"]),
    ),
    max_size=6,
)


@given(duties=lines, hour=st.integers(-7, 12))
def test_somebody_is_a_candidate_whatever_the_roster_says(duties: list[Duty], hour: int) -> None:
    found = candidates(duties, "main", ["booth"], T + hour * HOUR)
    here = [each for each in duties if each.booth == "main"]
    assert found
    assert (found == ("booth",)) == (not here)
    covering = {each.staff for each in here if each.start <= T + hour * HOUR < each.end}
    assert not covering or set(found) == covering


@given(duties=lines)
def test_what_was_saved_is_read_again(duties: list[Duty]) -> None:
    venue = memory.Shop()
    save(venue.place, duties)
    assert list(duty.roster(venue.place)) == duties


def test_a_roster_of_a_year_of_three_shifts_fits_and_what_does_not_changes_nothing() -> None:
    venue = memory.Shop()
    year = [
        Duty(
            booth="main",
            start=T + n * 8 * HOUR,
            end=T + (n + 1) * 8 * HOUR,
            staff=("hana", "sora", "riku")[n % 3],
        )
        for n in range(3 * 365)
    ]
    save(venue.place, year)
    endless = [
        replace(each, start=each.start + n * MINUTE_MS, staff=f"p{n * 7919 % 9973}")
        for n, each in enumerate(year * 3)
    ]
    with pytest.raises(Rejected, match="leave out what is over") as no:
        save(venue.place, endless)
    assert no.value.code == 413
    assert list(duty.roster(venue.place)) == year


# --- hand-overs


def test_a_hand_over_is_announced_once(venue: Venue) -> None:
    venue.roster(("sora", -1, 1), ("riku", 1, 2))
    assert venue.announce() == []
    venue.now = T + HOUR
    assert venue.announce() == [Handover(booth="main", at=T + HOUR, before=("sora",), after=("riku",))]
    assert venue.announce() == []
    venue.now = T + 2 * HOUR
    assert venue.announce() == [Handover(booth="main", at=T + 2 * HOUR, before=("riku",), after=())]


def test_what_changed_before_the_import_or_during_a_long_outage_is_not_announced(venue: Venue) -> None:
    venue.roster(("sora", -1, 0), ("riku", 0, 2), ("sora", 2, 3))
    assert venue.announce() == []
    venue.now = T + 2 * HOUR + STALE_MS + 1
    assert venue.announce() == []
    venue.now -= 1
    assert len(venue.announce()) == 1


def test_two_lines_of_one_person_in_a_row_are_no_hand_over(venue: Venue) -> None:
    venue.roster(("sora", -1, 1), ("sora", 1, 2))
    venue.now = T + HOUR
    assert venue.announce() == []


def test_what_slack_did_not_take_is_announced_later(venue: Venue) -> None:
    venue.roster(("sora", 0, 1), ("riku", 1, 2))
    venue.now = T + HOUR

    def refuse(_handovers: Sequence[Handover]) -> None:
        raise NotTold("Slack answered 500")

    with pytest.raises(NotTold):
        announce(venue.place, refuse)
    assert len(venue.announce()) == 1


def test_while_one_announces_no_other_does_and_after_a_kill_another_does(venue: Venue) -> None:
    venue.roster(("sora", 0, 1), ("riku", 1, 2))
    venue.now = T + HOUR
    twice: list[Any] = []

    def killed(_handovers: Sequence[Handover]) -> None:
        announce(venue.place, twice.append)
        venue.shadows.kept, venue.kept = dict(venue.shadows.kept), dict(venue.shadows.kept)  # type: ignore[attr-defined]

    announce(venue.place, killed)
    assert twice == []
    venue.shadows.kept = venue.kept  # type: ignore[attr-defined] # as it was on disk when the process was killed
    assert venue.announce() == []
    venue.now += CLAIM_MS
    assert len(venue.announce()) == 1


def test_of_two_who_look_at_the_same_moment_one_announces(venue: Venue) -> None:
    venue.roster(("sora", 0, 1), ("riku", 1, 2))
    venue.now = T + HOUR
    get, said = venue.shadows.get, []

    def late(thing: str) -> Any:
        found = get(thing)
        venue.shadows.get = get  # type: ignore[method-assign]
        announce(venue.place, said.append)
        return found

    venue.shadows.get = late  # type: ignore[method-assign]
    announce(venue.place, said.append)
    assert len(said) == 1


def test_a_roster_that_comes_while_one_announces_stays(venue: Venue) -> None:
    venue.roster(("sora", 0, 1), ("riku", 1, 2))
    venue.now = T + HOUR
    announce(venue.place, lambda _: venue.roster(("hana", 0, 9)))
    assert [each.staff for each in duty.roster(venue.place)] == ["hana"]
    assert venue.announce() == []


def test_a_clock_that_is_set_back_does_not_silence_it(venue: Venue) -> None:
    venue.now = T + 30 * HOUR
    venue.roster(("sora", 0, 1), ("riku", 1, 2))
    venue.now = T
    assert venue.announce() == []
    venue.now = T + HOUR
    assert len(venue.announce()) == 1


def test_the_words_mention_who_comes_and_name_who_goes(venue: Venue) -> None:
    add_booth(venue.place, NewBooth(id="main", title="A<B"))

    def said(before: str, after: str) -> str:
        handover = Handover(booth="main", at=T, before=tuple(before.split()), after=tuple(after.split()))
        return words(venue.place, [handover], "en")

    assert said("sora", "riku hana") == "Duty at *A&lt;B* changes: Sora → <@U0RIKU> Riku, <@U0HANA> Hana."
    assert said("sora", "sora riku") == "Duty at *A&lt;B* changes: Sora → Sora, <@U0RIKU> Riku."
    assert said("", "riku") == "Duty at *A&lt;B*: <@U0RIKU> Riku from now on."
    assert said("riku", "").startswith("Duty at *A&lt;B*: the time of Riku is over, and nobody comes next.")


@pytest.mark.parametrize("lang", LANGUAGES)
def test_no_trigger_word_begins_the_words(lang: str) -> None:
    say = LANGUAGES[lang]
    for sentence in (say.duty, say.duty_begins, say.duty_over):
        assert not starts_with_word(sentence)


# --- the file


HEADER = "booth,from,to,staff\n"


def read(text: str, zone: Any = UTC) -> list[Duty]:
    return rosters.load(Venue().place, HEADER + text, zone)


def wrong(text: str, zone: Any = UTC, header: str = HEADER) -> tuple[str, ...]:
    venue = Venue()
    venue.roster(("hana", 0, 1))
    before = dict(venue.shadows.kept)
    with pytest.raises(rosters.BadRoster) as bad:
        rosters.load(venue.place, header + text, zone)
    assert venue.shadows.kept == before
    return bad.value.problems


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def test_times_are_read_with_their_offset_or_in_the_zone(venue: Venue) -> None:
    (own, zoned) = read(
        "main,2026-11-21T09:00+09:00,2026-11-21T17:30+09:00,hana\nmain, 2026-11-21 09:00 ,2026-11-21T17:00Z,sora\n",
        BERLIN,
    )
    assert (own.start, own.end) == (at("2026-11-21T00:00Z"), at("2026-11-21T08:30Z"))
    assert (zoned.start, zoned.end) == (at("2026-11-21T08:00Z"), at("2026-11-21T17:00Z"))


def test_a_time_of_day_ends_a_duty_also_over_midnight_and_a_change_of_the_clocks() -> None:
    day, night, zone = read(
        "main,2026-10-24T09:00,17:00,hana\nmain,2026-10-24T22:00,06:00,hana\nmain,2026-10-24T22:00+09:00,06:00,hana\n",
        BERLIN,
    )
    assert (day.end - day.start, night.end - night.start) == (8 * HOUR, 9 * HOUR)
    assert zone.end - zone.start == 8 * HOUR


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "east,2026-11-21T09:00,17:00,hana",
            "line 2: booth: expected the id of a booth that is there, got 'east'",
        ),
        (
            "main,2026-11-21T09:00,17:00,ken",
            "line 2: staff: expected the id of a staff that is there, got 'ken'",
        ),
        ("main,tomorrow,17:00,hana", "line 2: from: expected a time such as 2026-11-21T09:00"),
        ("main,2026-02-30T09:00,17:00,hana", "line 2: from: expected a day and a time that exist"),
        ("main,2026-11-21T09:00,25:00,hana", "line 2: to: expected a day and a time that exist"),
        ("main,2026-11-21T09:00,2026-11-21T09:00,hana", "line 2: to: expected a time after from"),
        (
            "main,2026-11-21T09:00,2027-11-21T09:00,hana",
            "line 2: to: expected a time after from, by at most 31 days",
        ),
        ("main,2026-11-21T09:00,hana", "line 2: expected 4 cells, got 3"),
        ('main,"2026', "line 2: expected CSV"),
        ("main,2026-10-25T02:30,17:00,hana", "which comes twice"),
        ("main,2026-03-29T02:30,17:00,hana", "which does not come"),
        ("main,9999-12-31T23:59,23:58,hana", "line 2: to: expected a"),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_done(text: str, problem: str) -> None:
    (found,) = wrong(text, BERLIN)
    assert problem in found


def test_every_bad_line_is_named() -> None:
    bad = wrong("main,x,17:00,hana\nmain,2026-11-21T09:00,17:00,hana\n\nmain,2026-11-21T09:00,17:00,\n")
    assert [each.split(":")[0] for each in bad] == ["line 2", "line 5"]
    assert wrong("", header="who,when\n")[0].startswith("line 1: expected a header of booth,from,to,staff")
    assert wrong("", header="")[0].startswith("line 1")


@given(duties=lines)
def test_what_is_exported_is_imported_again(duties: list[Duty]) -> None:
    venue = Venue()
    add_booth(venue.place, NewBooth(id="east"))
    for zone in (UTC, BERLIN, None):
        assert rosters.load(venue.place, rosters.written(duties, zone), ZoneInfo("Asia/Tokyo")) == duties


# --- over real sockets


def test_a_hand_over_is_announced_in_the_channel_and_the_next_press_is_the_next_ones(tmp_path: Path) -> None:
    with FakeSlack() as slack, Shop(tmp_path, slack) as shop:
        shop.furnish()
        add_button(shop.place, NewButton(id="duty", single=ON_DUTY))
        change = shop.place.clock() // MINUTE_MS * MINUTE_MS
        hours = timedelta(hours=1) // timedelta(milliseconds=1)
        first = Duty(booth="main", start=change - hours, end=change, staff="hana")
        save(shop.place, [first, Duty(booth="main", start=change, end=change + hours, staff="sora")])
        shop.place.shadows.update(ROSTER, reported={"announced": change - 1})
        slack.wait_for(lambda: any(text.startswith("Duty") for text in slack.texts), 20)
        assert slack.texts == ["Duty at *main* changes: 花 Hana → <@U0SORA> Sora."]
        assert shop.press("duty")[1]["thing"] == "staff-sora"
        slack.wait_for(lambda: len(slack.texts) == 2)


def test_a_kill_after_the_announcement_was_noted_announces_nothing_more(tmp_path: Path) -> None:
    with FakeSlack() as slack:
        shop = Shop(tmp_path / "data", slack)
        with Process(shop, STAFFCALL_THROTTLE="off") as process:
            shop.furnish()
            change = shop.place.clock() // MINUTE_MS * MINUTE_MS
            save(shop.place, [Duty(booth="main", start=change, end=change + HOUR, staff="hana")])
            shop.place.shadows.update(ROSTER, reported={"announced": change - 1})
            until(lambda: noted(shop) > change, "the announcement", 20)
            assert len(slack.texts) == 1
            process.restart()
            shop.press()  # what is posted after the start comes after whatever it announces
            slack.wait_for(lambda: len(slack.texts) == 2)
            assert not slack.texts[1].startswith("Duty")


def noted(shop: Shop) -> int:
    reported: JsonObject = shop.place.shadows.get(ROSTER).reported
    return int(reported["announced"]) if not reported.get("telling") else 0
