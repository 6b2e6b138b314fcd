"""A button is registered by one request, here and on AWS: the same body, the same answer, the same people and buttons."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from shadows import registry
from shadows.actions import Allowed
from shadows.calls import Place
from tests.cloud import Cloud, cloud, furnish, gateway
from tests.fake_slack import FakeSlack
from tests.shop import ADMIN_TOKEN, Shop

NIGHT = {"id": "a002dc000001", "staff": "night", "booth": "bed", "phone": "819012345678", "message": "ベッド"}
SIGNED = {"iam": {"accountId": "123456789012"}}
BODIES: list[Any] = [
    NIGHT,
    NIGHT,  # a repeat
    {**NIGHT, "message": "Bed 3 rang"},
    {**NIGHT, "phone": "819012345679"},
    {**NIGHT, "id": "another", "staff": "hana"},
    {**NIGHT, "id": "other", "staff": "riku", "message": ""},
    {"id": "door", "staff": "all:hana,sora", "long": "hana"},
    {"id": "door", "staff": "hana"},
    {"id": "away", "staff": "nobody"},
    {"id": "no staff"},
    {"id": "x", "staff": "hana", "phone": 819012345678},
    {"id": "x", "staff": "hana", "color": "red"},
    {"id": "x", "staff": "all:hana,sora", "phone": "819012345678"},
    {"id": "x", "staff": "hana", "long": "lambda:backup"},
    {"id": "x", "staff": "hana", "long": "lambda:another"},
    [],
    "",
]


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack() as slack:
        yield slack


def asked(here: Cloud, body: bytes, **context: Any) -> tuple[int, Any]:
    event = gateway("POST", "/buttons/register", body, Content_Type="application/json")
    event["requestContext"] |= context
    answer = here.run("register", event)
    return answer["statusCode"], json.loads(answer["body"])


def registered(place: Place) -> list[Any]:
    """Who is there with a number, every button of this file, and what the booths of their own say."""
    people = [(each.id, each.phone, each.booths) for each in registry.people(place)]
    buttons = [each for each in registry.buttons(place) if each.id in {body["id"] for body in BODIES if body}]
    booths = [place.shadows.get(f"booth-{each.id}").reported for each in registry.booths(place)]
    return [people, buttons, booths]


def test_both_doors_register_the_same_and_refuse_the_same(tmp_path: Path, slack: FakeSlack) -> None:
    allowed = "lambda:backup"
    with (
        cloud(slack) as here,
        patch.dict(os.environ, STAFFCALL_ACTIONS=allowed),
        Shop(tmp_path / "data", slack, actions=Allowed.read(allowed)) as shop,
    ):
        furnish(shop.place)
        answers = []
        for body in BODIES:
            sent = json.dumps(body).encode() if body != "" else b"{"
            ours = shop.ask("/buttons/register", sent, Authorization=f"Bearer {ADMIN_TOKEN}")
            assert asked(here, sent, authorizer=SIGNED) == ours, body
            answers.append(ours)
        refused = [409, 409, 404, 400, 400, 400, 400, 403, 400, 400]
        assert [code for code, _ in answers if code != 200] == refused
        done = ["added", "there already", "changed", "added", "added", "added", "added"]
        assert [said["done"] for code, said in answers if code == 200] == done
        assert registered(here.place) == registered(shop.place)


@pytest.mark.parametrize("context", [{}, {"authorizer": {}}, {"authorizer": {"iam": None}}])
def test_a_request_that_no_identity_has_signed_registers_nothing(
    slack: FakeSlack, context: dict[str, Any]
) -> None:
    with cloud(slack) as here, patch.dict(os.environ, STAFFCALL_ACTIONS=""):
        before = list(here.place.things.list())
        assert asked(here, json.dumps(NIGHT).encode(), **context)[0] == 403
        assert asked(here, b" " * 20_000, authorizer=SIGNED)[0] == 413
        assert list(here.place.things.list()) == before
