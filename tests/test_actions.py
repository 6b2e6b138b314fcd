"""Clicks that start something: asked for once, done at least once with the same id, given up in time, seen if they fail."""

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import paho.mqtt.client as paho
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from button_handlers.click import Click
from button_handlers.press import press
from infra.actions import Starter
from infra.aws.deploy import _action_arns
from infra.checks import of_actions
from infra.settings import Settings, SettingsError
from shadows.actions import (
    GIVE_UP_MS,
    LONGEST,
    WAITING,
    Action,
    Allowed,
    Kind,
    NotDone,
    Order,
    Result,
    Tried,
    action_of,
    do,
    orders,
    shown,
    waiting_at,
)
from shadows.document import delta
from shadows.errors import Rejected
from shadows.finding import Verdict
from shadows.registry import NewButton, add_button, buttons
from shadows.shadow import Shadow
from shadows.staff import ClickType
from tests.cloud import cloud
from tests.fake_slack import FakeSlack
from tests.memory import Shop
from tests.receiver import SECRET, Receiver, answers, hangs
from tests.shop import ADMIN_TOKEN, Process, get, until
from tests.shop import Shop as LocalShop

BACKUP = 'lambda:backup {"region": "ap-northeast-1"}'
ORDER = Order(id="01KAJ0000000000000000000ZZ", click="LONG", booth="main", at=1_795_253_412_345)


class Unknown:
    def note(self, button: str, at: int, door: str) -> None:
        raise AssertionError(button)


class Floor:
    """A button that calls Hana, and starts a backup by a long click; what it starts is written down."""

    def __init__(self) -> None:
        self.shop = Shop()
        self.place = self.shop.place
        self.shop.staff("hana")
        add_button(self.place, NewButton(id="b1", single="hana", long=BACKUP, booth="east"))
        self.started: list[tuple[str, str]] = []
        self.tried: list[Tried] = []
        self.fails: NotDone | None = None
        self.dies = False
        self.hurries = False

    def start(self, action: Action, order: Order) -> None:
        if self.fails:
            raise self.fails
        self.started.append((action.text, order.id))
        if self.dies:
            raise KeyboardInterrupt

    def press(self, click: ClickType = ClickType.LONG, id: str | None = None) -> Any:
        self.shop.now += 10
        return press(
            Click(button="b1", type=click, id=id), "test", self.place, Unknown(), lambda _: self.hurries
        )

    def do(self) -> None:
        for order in self.waiting:
            do(self.place, "button-b1", order.id, self, self.tried.append)

    @property
    def shadow(self) -> Shadow:
        return self.place.shadows.get("button-b1")

    @property
    def waiting(self) -> tuple[Order, ...]:
        return waiting_at(self.place, "button-b1")

    @property
    def came(self) -> tuple[str, str]:
        (button,) = buttons(self.place)
        return button.result, button.reason


@pytest.fixture
def floor() -> Floor:
    return Floor()


# --- What may stand there


@pytest.mark.parametrize(
    ("text", "kind", "target", "payload"),
    [
        (BACKUP, Kind.LAMBDA, "backup", {"region": "ap-northeast-1"}),
        ("lambda:backup", Kind.LAMBDA, "backup", {}),
        ('webhook:https://h.example/x?y=1 {"a": [1]}', Kind.WEBHOOK, "https://h.example/x?y=1", {"a": [1]}),
        ("topic:zigbee2mqtt/lamp/set {}", Kind.TOPIC, "zigbee2mqtt/lamp/set", {}),
        ('topic:lamp {"州": "灯"}', Kind.TOPIC, "lamp", {"州": "灯"}),
    ],
)
def test_an_action_comes_back_from_the_registry_as_it_was_written(
    floor: Floor, text: str, kind: Kind, target: str, payload: Any
) -> None:
    add_button(floor.place, NewButton(id="b2", single="hana", double=text))
    (_, button) = buttons(floor.place)
    action = Action.read("x", button.calls[ClickType.DOUBLE])
    assert action == Action(kind=kind, target=target, payload=payload)
    thing = floor.place.things.get("button-b2")
    assert action_of(thing, ClickType.DOUBLE) == action
    assert action_of(thing, ClickType.LONG) is None  # it calls whom a single click calls


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lambda:", "a function's name after lambda:"),
        ("lambda:arn:aws:lambda:x", "a function's name"),
        ("lambda:backup [1]", "a JSON object behind the target, got '[1]'"),
        ('lambda:backup {"a": 1', "a JSON object behind the target"),
        ('lambda:backup {"a": NaN}', "a JSON object behind the target"),
        ("webhook:ftp://h/x", "https://host/"),
        ("webhook:https:///x", "https://host/"),
        ("webhook:https://h:0/", "https://host/"),
        ("topic:", "1 to 256 bytes"),
        ("topic:a/b/c/d/e/f/g/h/i", "8 levels"),
        ("topic:a/#", "without + and #"),
        ("topic:$aws/things/staff-hana/shadow/update", "not below $"),
        ("topic:staffcall/buttons/b1/press", "not below $"),
        ("topic:kiosk/x/in", "not below $"),
        (f'topic:a {{"a": "{"x" * LONGEST}"}}', f"at most {LONGEST} bytes"),
        ("mail:x", "lambda:, webhook:, topic: before what is started, got 'mail'"),
    ],
)
def test_a_wrong_action_is_refused_and_the_field_named(text: str, words: str) -> None:
    with pytest.raises(Rejected) as no:
        NewButton(id="b1", single="hana", long=text)
    assert no.value.code == 400
    assert no.value.message.startswith("long: expected ")
    assert words in no.value.message


def test_the_longest_action_is_as_much_as_an_attribute_holds() -> None:
    rest = LONGEST - len('topic:a {"a": ""}')
    thing = NewButton(id="b1", single="hana", long=f'topic:a {{"a": "{"x" * rest}"}}').thing
    assert 780 < len(thing.attributes["long"]) <= 800


def test_what_is_shown_holds_no_path_of_a_webhook() -> None:
    assert shown('webhook:https://u:p@h.example/s3cret?k=1 {"a": 1}') == 'webhook:h.example {"a": 1}'
    assert "s3cret" not in repr(Action.read("x", "webhook:https://h.example/s3cret"))


# --- Asked for once


def test_a_press_that_was_answered_is_in_the_delta_and_calls_nobody(floor: Floor) -> None:
    answer = floor.press(id="p1")
    shadow = floor.shadow
    assert answer == {"action": floor.waiting[0].id, "repeat": False}
    assert "actions" in delta(shadow.desired, shadow.reported)
    assert (floor.waiting[0].click, floor.waiting[0].booth) == ("LONG", "east")
    assert floor.shop.shadows.get("staff-hana").desired["state"] == "idle"
    assert floor.press(ClickType.SINGLE)["thing"] == "staff-hana"


def test_a_press_that_comes_again_asks_for_nothing_before_and_after_it_was_done(floor: Floor) -> None:
    first = floor.press(id="p1")
    assert floor.press(id="p1") == {**first, "repeat": True}
    floor.do()
    assert floor.press(id="p1") == {**first, "repeat": True}
    assert (len(floor.started), floor.waiting) == (1, ())
    assert floor.press(id="p2")["action"] != first["action"]


def test_the_same_click_within_two_seconds_is_the_same_press_where_no_id_comes(floor: Floor) -> None:
    first = floor.press()
    assert floor.press()["action"] == first["action"]
    floor.shop.now += 2_000
    assert floor.press()["action"] != first["action"]


@pytest.mark.parametrize("is_first", [True, False], ids=["first", "later"])
def test_presses_in_the_same_moment_are_all_asked_for_also_the_first_of_a_button(
    floor: Floor, is_first: bool
) -> None:
    """All read the button's shadow before anybody writes it."""
    before = () if is_first else (floor.press(id="p")["action"],)
    meet_at_the_first_read(floor, 4)
    threads = [threading.Thread(target=floor.press, kwargs={"id": f"p{n}"}) for n in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len({each.id for each in floor.waiting} - {*before}) == 4


def meet_at_the_first_read(floor: Floor, n: int) -> None:
    get, all_here, was = floor.shop.shadows.get, threading.Barrier(n), threading.local()

    def met(thing: str) -> Shadow:
        try:
            return get(thing)
        finally:
            if not hasattr(was, "here") and threading.current_thread() is not threading.main_thread():
                was.here = True
                all_here.wait(20)

    floor.shop.shadows.get = met  # type: ignore[method-assign]


def test_no_more_wait_of_one_button_than_can_be_kept(floor: Floor) -> None:
    for n in range(WAITING):
        floor.press(id=f"p{n}")
    with pytest.raises(Rejected) as no:
        floor.press(id="one more")
    assert no.value.code == 429
    assert len(floor.waiting) == WAITING


def test_a_button_that_hurries_starts_nothing(floor: Floor) -> None:
    floor.hurries = True
    with pytest.raises(Rejected) as no:
        floor.press()
    assert (no.value.code, floor.waiting) == (429, ())


# --- Done


def test_what_was_done_is_reported_and_the_delta_is_gone(floor: Floor) -> None:
    id = floor.press()["action"]
    floor.do()
    assert floor.started == [(BACKUP, id)]
    assert (floor.waiting, floor.came) == ((), ("accepted", ""))
    assert delta(floor.shadow.desired, floor.shadow.reported) == {}
    (tried,) = floor.tried
    assert (tried.what, tried.result, tried.reason) == ("lambda:backup", Result.ACCEPTED, "")


def test_a_death_before_the_report_has_it_done_once_more_with_the_same_id(floor: Floor) -> None:
    id = floor.press()["action"]
    floor.dies = True
    with pytest.raises(KeyboardInterrupt):
        floor.do()
    floor.dies = False
    floor.do()
    floor.do()
    assert floor.started == [(BACKUP, id)] * 2


def test_what_may_go_well_later_stays_asked_for_and_is_given_up_after_ten_minutes(floor: Floor) -> None:
    floor.press()
    floor.fails = NotDone("no answer", passes=True)
    with pytest.raises(NotDone):
        floor.do()
    assert (len(floor.waiting), floor.came) == (1, ("", ""))
    floor.shop.now += GIVE_UP_MS + 1
    floor.fails = None
    floor.do()
    assert (floor.started, floor.waiting) == ([], ())
    assert floor.came[0] == "failed"
    assert "ten minutes ago" in floor.came[1]


def test_nothing_waits_longer_than_until_it_is_given_up_whatever_was_asked_for(floor: Floor) -> None:
    floor.press()
    floor.shop.now += 60_000
    floor.fails = NotDone("answered 429", passes=True, retry_after_s=3600)
    with pytest.raises(NotDone) as no:
        floor.do()
    assert no.value.retry_after_s == (GIVE_UP_MS - 60_000) / 1000


def test_what_never_goes_well_is_reported_at_once_and_does_not_hold_up_the_next(floor: Floor) -> None:
    floor.press(id="p1")
    floor.fails = NotDone("answered 404", passes=False)
    floor.do()
    assert floor.came == ("failed", "answered 404")
    floor.fails = None
    floor.press(id="p2")
    floor.do()
    assert floor.came == ("accepted", "")
    assert [each.result for each in floor.tried] == ["failed", "accepted"]


def test_a_device_that_writes_its_own_shadow_starts_nothing_that_the_registry_does_not_have(
    floor: Floor,
) -> None:
    floor.press()
    order = floor.shadow.desired["actions"][0]
    evil = [
        {**order, "id": "0" * 26, "click": "SINGLE", "target": "lambda:evil"},
        {**order, "id": "x/../y"},
        {**order, "at": "now"},
        7,
    ]
    floor.place.shadows.update("button-b1", desired={"actions": evil})
    assert [each.id for each in orders(floor.shadow)] == ["0" * 26]
    floor.do()  # a single click calls somebody
    assert (floor.started, floor.came) == ([], ("failed", "its SINGLE click starts nothing any more"))


def test_a_press_between_the_doing_and_its_report_is_kept(floor: Floor) -> None:
    floor.press(id="p1")
    first = floor.waiting[0].id

    class Slow:
        def start(self, action: Action, order: Order) -> None:
            floor.press(id="p2")

    do(floor.place, "button-b1", first, Slow(), floor.tried.append)
    assert len(floor.waiting) == 1
    assert floor.waiting[0].id != first


# --- How


class Functions:
    def __init__(self) -> None:
        self.invoked: list[dict[str, Any]] = []
        self.fails: Exception | None = None

    def invoke(self, **given: Any) -> None:
        if self.fails:
            raise self.fails
        self.invoked.append(given)


def starter(allowed: str, **more: Any) -> tuple[Starter, Functions, list[tuple[str, bytes, bytes]]]:
    functions, said = Functions(), []
    made = Starter(
        Allowed.read(allowed),
        more.get("secret", SECRET),
        lambda *message: said.append(message),
        lambda: functions,
    )
    return made, functions, said


def read(text: str) -> Action:
    action = Action.read("x", text)
    assert action
    return action


def refused(doer: Starter, text: str) -> NotDone:
    with pytest.raises(NotDone) as no:
        doer.start(read(text), ORDER)
    return no.value


def test_a_function_is_invoked_with_the_payload_and_the_id_of_the_press() -> None:
    doer, functions, _ = starter("lambda:backup")
    doer.start(read(BACKUP), ORDER)
    (given,) = functions.invoked
    assert (given["FunctionName"], given["InvocationType"]) == ("backup", "Event")
    assert json.loads(given["Payload"]) == {
        "region": "ap-northeast-1",
        "staffcall": {"id": ORDER.id, "click": "LONG", "booth": "main", "at": ORDER.at},
    }


def client_error(status: int, code: str) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": "secret"}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        "Invoke",
    )


@pytest.mark.parametrize(
    ("fails", "passes", "words"),
    [
        (client_error(404, "ResourceNotFoundException"), False, "404 ResourceNotFoundException"),
        (client_error(403, "AccessDeniedException"), False, "403 AccessDeniedException"),
        (client_error(429, "TooManyRequestsException"), True, "429"),
        (client_error(500, "ServiceException"), True, "500"),
        (EndpointConnectionError(endpoint_url="https://l"), True, "EndpointConnectionError"),
        (NoCredentialsError(), False, "NoCredentialsError"),
    ],
)
def test_what_lambda_answers_is_tried_again_only_if_it_may_pass(
    fails: Exception, passes: bool, words: str
) -> None:
    doer, functions, _ = starter("lambda:backup")
    functions.fails = fails
    no = refused(doer, BACKUP)
    assert (no.passes, words in no.reason) == (passes, True)
    assert "secret" not in no.reason


@contextmanager
def receiving() -> Iterator[tuple[Receiver, str]]:
    with Receiver() as receiver:
        yield receiver, f'webhook:{receiver.url("/s3cret")} {{"door": 2}}'


def test_a_webhook_is_signed_and_has_the_same_id_at_each_try() -> None:
    with receiving() as (receiver, text):
        doer, _, _ = starter("webhook:127.0.0.1")
        receiver.next(answers(503, Retry_After="7"), answers(404))
        busy, gone = refused(doer, text), refused(doer, text)
        doer.start(read(text), ORDER)
    assert (busy.passes, busy.retry_after_s, gone.passes) == (True, 7, False)
    assert "s3cret" not in busy.reason + gone.reason
    assert receiver.ids == [f"msg_{ORDER.id}"] * 3
    assert all(each.is_right for each in receiver.got)
    body = receiver.got[-1].body
    assert (body["type"], body["data"]["door"]) == ("action", 2)
    assert body["data"]["staffcall"]["id"] == ORDER.id


def test_nobody_is_reached_whom_a_redirect_names() -> None:
    with receiving() as (receiver, text), Receiver() as other:
        receiver.next(answers(307, Location=other.url()))
        no = refused(starter("webhook:127.0.0.1")[0], text)
    assert (no.passes, other.got) == (False, [])


def test_a_topic_gets_the_payload_as_it_is_written_and_the_id_beside_it() -> None:
    doer, _, said = starter("topic:zigbee2mqtt/lamp/#")
    doer.start(read('topic:zigbee2mqtt/lamp/set {"state": "ON"}'), ORDER)
    assert said == [("zigbee2mqtt/lamp/set", b'{"state": "ON"}', ORDER.id.encode())]


@pytest.mark.parametrize(
    ("allowed", "text", "words"),
    [
        ("lambda:other", BACKUP, "STAFFCALL_ACTIONS does not have lambda:backup"),
        ("topic:lamps/#", "topic:lamp", "STAFFCALL_ACTIONS does not have"),
        ("topic:lamps/#", "topic:lampsx/1", "STAFFCALL_ACTIONS does not have"),
        ("webhook:h.example", "webhook:https://evil.h.example/", "STAFFCALL_ACTIONS does not have"),
        ("webhook:h.example", "webhook:https://h.example@evil.example/", "webhook:evil.example"),
        ("topic:stat/plug/RESULT", "topic:stat/plug/RESULT", "topic on which buttons press"),
    ],
)
def test_nothing_is_started_that_was_not_allowed(allowed: str, text: str, words: str) -> None:
    doer, functions, said = starter(allowed)
    no = refused(doer, text)
    assert (no.passes, functions.invoked, said) == (False, [], [])
    assert words in no.reason


def test_no_webhook_goes_unsigned() -> None:
    doer, _, _ = starter("webhook:h.example", secret="")
    assert "STAFFCALL_WEBHOOK_SECRET" in refused(doer, "webhook:https://h.example/").reason


def test_where_nothing_is_named_what_is_registered_is_started() -> None:
    doer, functions, _ = starter("")
    doer.start(read(BACKUP), ORDER)
    assert [each["FunctionName"] for each in functions.invoked] == ["backup"]


@pytest.mark.parametrize(
    "text", ["backup", "lambda:", "lambda:a b:c", "webhook:https://h/", "topic:#", "topic:$aws/#", "mail:x"]
)
def test_what_cannot_be_allowed_is_refused(text: str) -> None:
    with pytest.raises(Rejected):
        Allowed.read(text)


# --- What is said of it


def test_doctor_says_what_may_not_be_started_and_what_was_not(floor: Floor) -> None:
    add_button(floor.place, NewButton(id="b2", single="topic:lamp/1", double="webhook:https://h.example/x"))
    floor.press()
    floor.fails = NotDone("Lambda answered 404", passes=False)
    floor.do()
    settings = Settings(actions=Allowed.read("lambda:backup webhook:h.example"))
    found = [
        (each.thing, each.detail)
        for each in of_actions(buttons(floor.place), settings)
        if each.verdict is Verdict.WRONG
    ]
    assert found == [
        ("button-b1", "The last that it was to start was not started: Lambda answered 404"),
        (
            "button-b2",
            "Its SINGLE click does not start topic:lamp/1: STAFFCALL_ACTIONS does not have topic:lamp/1",
        ),
        (
            "button-b2",
            "Its DOUBLE click does not start webhook:h.example: STAFFCALL_WEBHOOK_SECRET is not set",
        ),
    ]


def test_the_secret_alone_is_a_setting_only_where_buttons_may_start_webhooks() -> None:
    secret = {"STAFFCALL_WEBHOOK_SECRET": SECRET}
    assert Settings.from_env(secret).webhook_secret == SECRET
    with pytest.raises(SettingsError):
        Settings.from_env({**secret, "STAFFCALL_ACTIONS": "lambda:backup"})
    settings = Settings.from_env(
        {**secret, "STAFFCALL_ACTIONS": "lambda:backup, webhook:h.example topic:a/#"}
    )
    assert str(settings.actions) == "lambda:backup,webhook:h.example,topic:a/#"
    with pytest.raises(SettingsError, match="STAFFCALL_ACTIONS: expected such as lambda:NAME"):
        Settings.from_env({"STAFFCALL_ACTIONS": "backup"})


def test_deploying_names_each_function_and_topic_that_may_be_started() -> None:
    account: Any = SimpleNamespace(partition="aws", region="eu-west-1", number="123456789012")
    assert _action_arns(account, {"Actions": "lambda:backup,topic:lamp/#,topic:door,webhook:h.example"}) == {
        "ActionFunctions": "arn:aws:lambda:eu-west-1:123456789012:function:backup",
        "ActionTopics": "arn:aws:iot:eu-west-1:123456789012:topic/lamp/*,arn:aws:iot:eu-west-1:123456789012:topic/door",
    }
    assert _action_arns(account, {"Lang": "en"}) == {}


def test_on_aws_nothing_is_started_that_has_no_name() -> None:
    """It would have no rights there, nor would the sweep look for it."""
    with receiving() as (receiver, text), FakeSlack() as slack, ExitStack() as stack:
        hook = {"STAFFCALL_WEBHOOK_SECRET": SECRET, "STAFFCALL_WEBHOOK_URL": receiver.url("/all")}
        here = stack.enter_context(cloud(slack, **hook))
        add_button(here.place, NewButton(id="b1", single=text))
        here.run("button", {"topic": "staffcall/buttons/b1/press", "click": "SINGLE", "id": "p1"})
        here.run("timer", {"Records": here.queued()})
        (button,) = [each for each in buttons(here.place) if each.id == "b1"]
    assert (receiver.got, button.result) == ([], "failed")
    found = {
        target: [
            each.verdict for each in of_actions([button], Settings(target=target, webhook_secret=SECRET))
        ]
        for target in ("local", "aws")
    }
    assert found == {"local": [Verdict.RIGHT, Verdict.WRONG], "aws": [Verdict.WRONG, Verdict.WRONG]}


def test_on_aws_a_click_is_answered_at_once_and_the_timers_function_starts_it() -> None:
    with FakeSlack() as slack, receiving() as (receiver, text):
        allowed = {"STAFFCALL_ACTIONS": "webhook:127.0.0.1", "STAFFCALL_WEBHOOK_SECRET": SECRET}
        with cloud(slack, **allowed) as here:
            add_button(here.place, NewButton(id="b1", single="hana", long=text))
            pressed = here.run("button", {"topic": "staffcall/buttons/b1/press", "click": "LONG", "id": "p1"})
            again = here.run("button", {"topic": "staffcall/buttons/b1/press", "click": "LONG", "id": "p1"})
            assert (receiver.got, again) == ([], {**pressed, "repeat": True})
            here.run("timer", {"Records": here.queued()})
            assert receiver.ids == [f"msg_{pressed['action']}"]
            assert [each.result for each in buttons(here.place) if each.id == "b1"] == ["accepted"]


# --- In a place that runs


def test_a_place_starts_all_three_also_after_a_death_and_says_what_failed(tmp_path: Path) -> None:
    """One process, killed while the other program has the message and has not answered."""
    with FakeSlack() as slack, Receiver() as program, Receiver() as aws:
        shop = LocalShop(tmp_path / "data", slack)
        env = {
            "STAFFCALL_ACTIONS": "webhook:127.0.0.1, lambda:backup topic:lamp/#",
            "STAFFCALL_WEBHOOK_SECRET": SECRET,
            "AWS_ENDPOINT_URL_LAMBDA": f"http://127.0.0.1:{aws.port}",
            "AWS_DEFAULT_REGION": "ap-northeast-1",
            "AWS_ACCESS_KEY_ID": "any",
            "AWS_SECRET_ACCESS_KEY": "any",
        }
        aws.always = answers(202)
        program.next(hangs)
        with Process(shop, **env) as process:
            add = {"double": BACKUP, "long": 'topic:lamp/1 {"on": true}'}
            add_button(shop.place, NewButton(id="b1", single=f"webhook:{program.url()}", **add))
            add_button(shop.place, NewButton(id="b2", single="lambda:other"))
            status, pressed = shop.press("b1")
            assert (status, pressed["repeat"]) == (200, False)
            until(lambda: len(program.got) == 1, "the first try")
            process.end(signal.SIGKILL)
            process.start()
            until(lambda: len(program.got) == 2, "the second try")
            assert program.ids == [f"msg_{pressed['action']}"] * 2
            until(lambda: came(shop, "b1") == "accepted", "its report")
            with hearing(shop, "lamp/#") as heard:
                shop.press("b1", "LONG")
                assert until(lambda: heard, "the message") == [("lamp/1", b'{"on": true}')]
            shop.press("b1", "DOUBLE")
            until(lambda: aws.got, "the invocation")
            assert aws.got[0].path == "/2015-03-31/functions/backup/invocations"
            assert aws.got[0].headers["X-Amz-Invocation-Type"] == "Event"
            assert aws.got[0].body["region"] == "ap-northeast-1"
            shop.press("b2")
            until(lambda: came(shop, "b2") == "failed", "the refusal")
            assert trouble(shop) == [
                "A SINGLE click does not start lambda:other: STAFFCALL_ACTIONS does not have lambda:other"
            ]
            until(lambda: len(recorded(shop)) == 4, "the records")
            assert {(each["kind"], each["outcome"]) for each in recorded(shop)} == {
                ("action webhook:127.0.0.1", "accepted"),
                ("action topic:lamp/1", "accepted"),
                ("action lambda:backup", "accepted"),
                ("action lambda:other", "failed"),
            }
            assert slack.texts == []


def came(shop: LocalShop, id: str) -> str:
    return next(each.result for each in buttons(shop.place) if each.id == id)


def trouble(shop: LocalShop) -> list[str]:
    found = get(shop.url("/healthz"))[1]["troubles"]
    return [each["detail"] for each in found if each["what"] == "action"]


def recorded(shop: LocalShop) -> Any:
    return get(shop.url("/admin/api/history"), Authorization=f"Bearer {ADMIN_TOKEN}")[1]["deliveries"]


@contextmanager
def hearing(shop: LocalShop, topic: str) -> Iterator[list[tuple[str, bytes]]]:
    heard: list[tuple[str, bytes]] = []
    ready = threading.Event()
    device = paho.Client(paho.CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    device.on_connect = lambda *_: device.subscribe(topic, qos=1)
    device.on_subscribe = lambda *_: ready.set()
    device.on_message = lambda _c, _u, message: heard.append((message.topic, message.payload))
    host, _, port = shop.at.mqtt.partition(":")
    device.connect(host, int(port))
    device.loop_start()
    try:
        assert ready.wait(10)
        yield heard
    finally:
        device.disconnect()
        device.loop_stop()
