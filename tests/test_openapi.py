"""`docs/openapi.yaml` is what the public listener does: every address, and every answer to whatever is sent there."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import requests
import schemathesis
import yaml
from flask import Flask
from hypothesis import HealthCheck, Phase, settings
from jsonschema import Draft202012Validator
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from infra.aws.outbox import Outbox
from infra.local import place
from infra.local.web import app
from infra.webhook import PUBLIC, post, trial
from shadows.staff import CallEvent, End
from slack_bridge.doors import DOORS
from tests.fake_slack import FakeSlack, signed
from tests.fake_twilio import URL
from tests.receiver import SECRET, Got, Receiver
from tests.shop import ADMIN_TOKEN, BUTTON_TOKEN, OUTGOING_TOKEN, SIGNING_SECRET, Shop, until
from tests.test_outbox import Sqs, transition

FILE = Path(__file__).resolve().parents[1] / "docs" / "openapi.yaml"
DOCUMENT: dict[str, Any] = yaml.safe_load(FILE.read_text("utf-8"))
METHODS = ("get", "post", "put", "patch", "delete")
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
EXAMPLES = 15
LINKED: dict[str, Any] = {"alerts": (URL,), "public_url": "https://booth.example"}  # else there is no /answer

api = schemathesis.openapi.from_dict(DOCUMENT)
bounded = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with FakeSlack() as slack, Shop(tmp_path_factory.mktemp("api") / "data", slack, **LINKED) as shop:
        yield shop.furnish()


@pytest.fixture(scope="module")
def guessed_at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Another, for whoever has no token: from their address nobody is heard in the end."""
    with FakeSlack() as slack, Shop(tmp_path_factory.mktemp("door") / "data", slack) as shop:
        yield shop.furnish()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Shop]:
    """A shop of its own, for whoever guesses tokens."""
    with FakeSlack() as slack, Shop(tmp_path / "data", slack) as shop:
        yield shop


class Sender(requests.auth.AuthBase):
    """Who sends what is generated: somebody with every right, so that it comes further than the door."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        path = request.path_url.partition("?")[0]
        if path.startswith(("/slack/events", "/slack/actions", "/slack/commands")):
            body = request.body or b""
            request.headers.update(
                signed(body if isinstance(body, bytes) else body.encode(), SIGNING_SECRET, time.time())
            )
        elif path.startswith("/buttons/"):
            request.headers["Authorization"] = f"Bearer {BUTTON_TOKEN}"
        elif path.startswith(("/admin", "/metrics")):
            request.headers["Authorization"] = f"Bearer {ADMIN_TOKEN}"
        return request


def tried(case: schemathesis.Case, shop: Shop, **how: Any) -> None:
    case.call_and_validate(
        base_url=shop.url("").rstrip("/"), checks=CHECKS, allow_redirects=False, timeout=20, **how
    )


@api.exclude(path="/admin/login").parametrize()
@bounded
def test_what_is_answered_is_what_is_written(case: schemathesis.Case, shop: Shop) -> None:
    if case.path == "/slack/outgoing" and isinstance(case.body, dict) and "token" in case.body:
        case.body["token"] = OUTGOING_TOKEN
    tried(case, shop, auth=Sender())


@api.exclude(path="/admin/login").parametrize()
@bounded
def test_without_a_token_too(case: schemathesis.Case, guessed_at: Shop) -> None:
    tried(case, guessed_at)


@api.include(path="/admin/login").parametrize()
@bounded
def test_the_login_too(case: schemathesis.Case, fresh: Shop) -> None:
    if case.body == {"token": "the-admin-token"}:
        case.body = {"token": ADMIN_TOKEN}
    tried(case, fresh)


# What only some requests are answered


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/favicon.svg", {"Range": "bytes=0-9"}, 206),
        ("/favicon.svg", {"Range": "bytes=99999999-"}, 416),
        ("/favicon.svg", {"If-Modified-Since": "Fri, 31 Dec 2100 00:00:00 GMT"}, 304),
        ("/config.json", {"Host": "no host"}, 400),
        ("/admin", {"Accept": "text/html"}, 401),
        ("/admin", {"Accept": "text/html", "Authorization": f"Bearer {ADMIN_TOKEN}"}, 200),
        ("/admin/", {"Accept": "text/html", "Authorization": f"Bearer {ADMIN_TOKEN}"}, 308),
        ("/buttons/webhook?button=demo&click=SINGLE", {"X-Staffcall-Token": BUTTON_TOKEN}, 200),
    ],
)
def test_that_is_written_too(shop: Shop, path: str, headers: dict[str, str], status: int) -> None:
    answer = requests.get(shop.url(path), headers=headers, timeout=10, allow_redirects=False)
    route = path.partition("?")[0]
    written = DOCUMENT["paths"]["/{name}" if "svg" in route else route]["get"]
    assert answer.status_code == status
    assert str(status) in written["responses"]


# What other programs are told


def complaints(name: str, message: Got) -> list[str]:
    """What is wrong with a message, by what is written of it."""
    written = DOCUMENT["webhooks"][name]["post"]
    known = {"components": DOCUMENT["components"]}
    body = written["requestBody"]["content"]["application/json"]["schema"]
    schemas = [(body, message.body)]
    for each in written["parameters"]:
        parameter = DOCUMENT["components"]["parameters"][each["$ref"].rpartition("/")[2]]
        schemas.append((parameter["schema"], message.headers[parameter["name"]]))
    return [
        error.message
        for schema, value in schemas
        for error in Draft202012Validator({**schema, **known}).iter_errors(value)
    ]


def test_what_other_programs_are_told_is_what_is_written(tmp_path: Path) -> None:
    with Receiver() as receiver, FakeSlack() as slack:
        hook = {"webhook_urls": (receiver.url(),), "webhook_secret": SECRET}
        with Shop(tmp_path / "data", slack, **hook) as shop:
            shop.furnish()
            shop.press(id="1")
            shop.says("U0HANA", "ok, 5 minutes")
            shop.press(id="2")
            shop.says("U0HANA", "done")
            shop.press(id="3")
            shop.says("U0HANA", "no")
            shop.says("U0SORA", "ok")
            shop.says("U0HANA", "away")
            shop.says("U0HANA", "back")
            until(lambda: "away" in receiver.whys and receiver.whys[-1] == "back", "the last change")
        post(receiver.url(), SECRET, trial())
    *told, tried = receiver.got
    assert {each.body["data"]["why"] for each in told} == {
        "press",
        "ok",
        "done",
        "no",
        "handover",
        "away",
        "back",
    }
    assert [complaint for each in told for complaint in complaints("transition", each)] == []
    assert complaints("trial", tried) == []
    assert complaints("transition", tried)
    assert complaints("trial", told[0])


def test_so_is_what_they_are_told_on_aws() -> None:
    sqs: Any = Sqs()
    with Receiver() as receiver:
        for count in (1, 2):
            sqs.put(transition(count))
        sqs.run(Outbox(sqs, "the-outbox", [receiver.url()], SECRET), times=2)
    assert len(receiver.got) == 2
    assert [complaint for each in receiver.got for complaint in complaints("transition", each)] == []


def test_every_reason_and_end_is_written() -> None:
    told = DOCUMENT["components"]["schemas"]["Told"]["properties"]
    stateless = {CallEvent.VOLUNTEER, CallEvent.NOTE, CallEvent.REMIND, CallEvent.ALERT}
    whys = set(CallEvent) - stateless  # no state has those
    assert set(told["data"]["properties"]["why"]["enum"]) == whys
    assert set(told["type"]["enum"]) == {f"call.{why}" for why in whys}
    assert set(told["data"]["properties"]["end"]["enum"]) == set(End)
    assert tuple(told["data"]["required"]) == tuple(told["data"]["properties"]) == PUBLIC


# The addresses


def rules(shop: Shop) -> Flask:
    """The app of the public listener, as the place itself puts it together."""
    made: list[Flask] = []

    def noted(web: Any) -> Flask:
        made.append(app(web))
        return made[0]

    with patch.object(place, "web_app", noted):
        shop.open()
    shop.close()
    return made[0]


def written(rule: str) -> str:
    """A rule of Flask's as the document writes it."""
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule)


def test_every_address_is_written_down_and_every_one_written_down_is_there(
    tmp_path: Path,
) -> None:
    with FakeSlack() as slack:
        flask = rules(Shop(tmp_path / "data", slack, **LINKED))
    there = {
        (written(rule.rule), method.lower())
        for rule in flask.url_map.iter_rules()
        for method in rule.methods or ()
        if method.lower() in METHODS
    }
    described = {
        (path, method) for path, item in DOCUMENT["paths"].items() for method in item if method in METHODS
    }
    slack_doors = {(f"/slack/{name}", "post") for name in DOORS}
    assert described - slack_doors == there
    assert slack_doors <= described


def test_no_two_answers_are_written_in_two_ways() -> None:
    """Names are unique, so that a client can be made of it; and every reference leads somewhere."""
    names = [
        item[method]["operationId"]
        for item in (*DOCUMENT["paths"].values(), *DOCUMENT["webhooks"].values())
        for method in METHODS
        if method in item
    ]
    assert len(names) == len({*names})
    for reference in re.findall(r'\$ref: "#/components/(\w+)/(\w+)"', FILE.read_text("utf-8")):
        kind, name = reference
        assert name in DOCUMENT["components"][kind]
