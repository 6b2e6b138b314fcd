"""Screens that may press: paired by a code, known by a token, revoked at once; and what a touch does."""

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.cli import main
from shadows import screens
from shadows.errors import Rejected
from shadows.registry import NewStaff, add_staff
from tests.fake_slack import FakeSlack
from tests.shop import Shop, until


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with FakeSlack() as slack, Shop(tmp_path_factory.mktemp("touch") / "data", slack) as shop:
        yield shop.furnish()


def paired(shop: Shop, booth: str = "main") -> str:
    status, answer = sent(shop, "pair", {"code": screens.invite(shop.place, booth).code, "booth": booth})
    assert status == 200
    return str(answer["token"])


def sent(shop: Shop, door: str, body: Any, token: str = "") -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return shop.ask(f"/kiosk/{door}", json.dumps(body).encode(), Content_Type="application/json", **headers)


def quiet(shop: Shop, staff: str = "hana") -> None:
    shop.says(f"U0{staff.upper()}", "done")
    assert shop.state(staff) == "idle"


def test_a_touch_is_a_press_and_the_same_one_counts_once(shop: Shop) -> None:
    token = paired(shop)
    status, answer = sent(shop, "press", {"staff": "hana", "id": "touch-1"}, token)
    assert (status, answer["thing"], answer["state"], answer["repeat"]) == (
        200,
        "staff-hana",
        "calling",
        False,
    )
    again = sent(shop, "press", {"staff": "hana", "id": "touch-1"}, token)
    assert again == (200, {**answer, "repeat": True})
    assert shop.asked("hana")["call"]["count"] == 1
    assert sent(shop, "press", {"staff": "hana", "id": "touch-2"}, token)[1]["repeat"] is False
    assert shop.asked("hana")["call"]["count"] == 2
    until(lambda: shop.is_told("hana"), "telling Slack")
    quiet(shop)


def test_a_mistaken_touch_is_taken_back_and_an_older_one_takes_nothing_back(shop: Shop) -> None:
    token = paired(shop)
    first = sent(shop, "press", {"staff": "hana", "id": "c-1"}, token)[1]["call"]
    status, answer = sent(shop, "cancel", {"staff": "hana", "call": first}, token)
    assert (status, answer["state"], shop.asked("hana")["call"]["end"]) == (200, "idle", "cancelled")
    assert sent(shop, "cancel", {"staff": "hana", "call": first}, token)[1]["repeat"] is True
    sent(shop, "press", {"staff": "hana", "id": "c-2"}, token)
    assert sent(shop, "cancel", {"staff": "hana", "call": first}, token)[0] == 409
    assert shop.state("hana") == "calling"
    quiet(shop)


def test_a_screen_reaches_nobody_who_is_not_on_its_booth_and_ends_no_call_of_another(shop: Shop) -> None:

    add_staff(shop.place, NewStaff(id="riku", name="Riku", slack="U0RIKU", booth="hall"))
    token = paired(shop)
    assert sent(shop, "press", {"staff": "riku", "id": "x"}, token)[0] == 404
    assert shop.state("riku") == "idle"
    call = sent(shop, "press", {"staff": "riku", "id": "y"}, paired(shop, "hall"))[1]["call"]
    assert sent(shop, "cancel", {"staff": "riku", "call": call}, token)[0] == 409
    assert shop.state("riku") == "calling"
    quiet(shop, "riku")


def test_a_code_pairs_one_screen_of_its_booth_once_and_not_late(shop: Shop) -> None:
    made = screens.invite(shop.place, "main")
    other = sent(shop, "pair", {"code": made.code, "booth": "elsewhere"})
    assert (other[0], "main" in other[1]["message"]) == (409, True)
    spaced = f"{made.code[:5]} {made.code[5:]}"
    assert sent(shop, "pair", {"code": spaced, "booth": "main"})[0] == 200
    assert sent(shop, "pair", {"code": made.code, "booth": "main"})[0] == 401
    late = screens.invite(shop.place, "main")
    shop.place.things.update(late.screen.thing, {"until": str(shop.place.clock() - 1)})
    assert sent(shop, "pair", {"code": late.code, "booth": "main"})[0] == 401
    screens.invite(shop.place, "main")
    with pytest.raises(Rejected):
        shop.place.things.get(late.screen.thing)


@pytest.mark.parametrize("token", ["", "x", "deadbeef." + "A" * 43, "button-token", "é"])
def test_whoever_has_no_token_of_a_screen_presses_nothing(shop: Shop, token: str) -> None:
    assert sent(shop, "press", {"staff": "hana", "id": "no"}, token.encode().decode("latin-1"))[0] == 401
    assert sent(shop, "cancel", {"staff": "hana", "call": "no"}, token.encode().decode("latin-1"))[0] == 401
    assert shop.state("hana") == "idle"


@pytest.mark.parametrize(
    ("door", "body", "word"),
    [
        ("press", {"id": "1"}, "staff"),
        ("press", {"staff": "hana"}, "id"),
        ("press", {"staff": "hana", "id": ""}, "id"),
        ("press", {"staff": 7, "id": "1"}, "staff"),
        ("press", [], "body"),
        ("cancel", {"staff": "hana"}, "call"),
        ("pair", {"booth": "main"}, "code"),
    ],
)
def test_what_is_wrong_is_named(shop: Shop, door: str, body: Any, word: str) -> None:
    status, answer = sent(shop, door, body, paired(shop))
    assert (status, answer["message"].partition(":")[0]) == (400, word)


def test_neither_code_nor_token_is_kept_or_logged(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    made = screens.invite(shop.place, "main")
    with caplog.at_level(logging.DEBUG):
        token = sent(shop, "pair", {"code": made.code, "booth": "main"})[1]["token"]
        sent(shop, "press", {"staff": "nobody", "id": "1"}, token)
    kept = json.dumps(dict(shop.place.things.get(made.screen.thing).attributes)) + caplog.text
    assert made.code not in kept
    assert token.partition(".")[2] not in kept


def test_the_command_line_pairs_lists_and_revokes(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name, value in shop.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    assert main(["kiosk", "pair", "main"]) == 0
    said = capsys.readouterr().out
    assert shop.url("/?booth=main&pair") in said
    id, code = re.search(r"kiosk (\w+):", said)[1], re.search(r"code (\d{5} \d{5})", said)[1]  # type: ignore[index]
    token = sent(shop, "pair", {"code": code, "booth": "main"})[1]["token"]
    sent(shop, "press", {"staff": "hana", "id": "cli"}, token)
    quiet(shop)
    assert main(["kiosk", "list"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if id in line)
    assert "main" in line
    assert "paired" in line
    assert main(["kiosk", "revoke", id]) == 0
    assert sent(shop, "press", {"staff": "hana", "id": "after"}, token)[0] == 401
    assert main(["kiosk", "revoke", id]) == 1
    assert main(["kiosk", "pair", "nowhere"]) == 1


def test_the_id_of_a_screen_without_its_secret_opens_nothing(shop: Shop) -> None:
    token, invited = paired(shop), screens.invite(shop.place, "main").screen
    for guess in (
        token[:-1] + ("B" if token[-1] == "A" else "A"),
        f"{invited.id}.{'A' * 43}",
        f"{invited.id}.",
    ):
        assert sent(shop, "press", {"staff": "hana", "id": "guess"}, guess)[0] == 401
    assert shop.state("hana") == "idle"
