"""What Staff Call costs on AWS, and where its walls are: ``python -m tests.bench_scaling [--write]``.

Nothing here is asked of AWS. What one press, one "ok" and one sweep ask for is counted: the functions run here, on moto,
and every request of theirs is noted. All else is an assumption (:class:`Load`, :class:`Size`), a price or a quota with
its source, and arithmetic; a simulation of the peak hour says what averages hide. With ``--write`` the tables go into
docs/scaling.md, between the markers that are there.
"""

import heapq
import json
import logging
import math
import os
import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from samtranslator.yaml_helper import yaml_parse

from infra.aws.place import client, secrets
from infra.aws.settling import LAST_TRY, SWEEP_FOR_MS, SWEEPERS
from shadows import document as shadow_document
from shadows.aws import PAGE
from shadows.calls import Place
from shadows.document import Document
from shadows.registry import NewButton, NewStaff, add_button, add_staff
from shadows.shadow import JsonObject, Thing
from shadows.staff import newcomer
from tests.cloud import BUTTON_TOKEN, SIGNING_SECRET, Cloud, cloud, gateway
from tests.fake_slack import FakeSlack, signed

ROOT: Final = Path(__file__).parents[1]
PAPER: Final = ROOT / "docs" / "scaling.md"
KB: Final = 1024
MILLION: Final = 1_000_000


# --- what the stack is made of


@lru_cache(maxsize=1)
def template() -> Any:
    """infra/template.yaml."""
    return yaml_parse((ROOT / "infra" / "template.yaml").read_text("utf-8"))


def parameter(name: str) -> float:
    """The default of one of its parameters."""
    return float(template()["Parameters"][name]["Default"])


def memory_gb() -> float:
    """Of each function."""
    return float(template()["Globals"]["Function"]["MemorySize"]) / 1024


def alarms() -> int:
    """How many CloudWatch alarms every stack has."""
    resources = template()["Resources"].values()
    return sum(each["Type"] == "AWS::CloudWatch::Alarm" and "Condition" not in each for each in resources)


def door_rate() -> float:
    """Requests a second that the HTTP API lets pass."""
    stage = template()["Resources"]["ApiStage"]["Properties"]
    return float(stage["DefaultRouteSettings"]["ThrottlingRateLimit"])


@lru_cache(maxsize=1)
def answers() -> tuple[str, ...]:
    """What a kiosk subscribes to of every shadow, as spa/src/shadow.ts has it."""
    return tuple(re.findall(r'"([a-z/]+)"', _kiosk_says("shadow.ts", r"const ANSWERS = \[(.*?)\]")))


@lru_cache(maxsize=1)
def qos() -> int:
    """With which quality; what is sent with 1 is acknowledged, and AWS meters that, too."""
    return int(_kiosk_says("mqtt.ts", r"subscribe\(FILTERS, \{ qos: ([01]) \}"))


def _kiosk_says(file: str, words: str) -> str:
    found = re.search(words, (ROOT / "spa" / "src" / file).read_text("utf-8"), re.DOTALL)
    assert found, f"spa/src/{file} does not say {words} any more"
    return found[1]


# --- what one event costs, counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one invocation asked of AWS and of Slack.

    Attributes:
        requests: of each API action, how many.
        shadow_kb: shadow operations as AWS meters them: one for each KB of the document, without its metadata.
        hottest: shadow requests to one and the same thing.
        messages: what every subscribed kiosk is sent; ``messages_5kb`` as AWS meters it; ``deltas`` are among them.
        documents_5kb: what the history's rule looks at, as AWS meters it; ``rows`` is what it writes down.
        posts: requests to Slack.
    """

    function: str
    requests: Mapping[str, int]
    shadow_kb: int = 0
    hottest: int = 0
    messages: int = 0
    messages_5kb: int = 0
    deltas: int = 0
    documents_5kb: int = 0
    rows: int = 0
    posts: int = 0

    def all_requests(self) -> int:
        """To AWS."""
        return sum(self.requests.values())

    def shadow_requests(self) -> int:
        """To the shadow service."""
        return sum(count for action, count in self.requests.items() if action.endswith("ThingShadow"))

    def registry_requests(self) -> int:
        """To the registry."""
        return sum(self.requests.get(action, 0) for action in ("DescribeThing", "UpdateThing", "ListThings"))


@dataclass(frozen=True, slots=True)
class Noted:
    """One request to AWS, with the bytes of the document it is about, of what it led to on MQTT, and of its row."""

    action: str
    thing: str
    document: int = 0
    messages: tuple[int, ...] = ()
    row: int = 0


@dataclass
class Clock:
    """The functions' time, ms since 1970."""

    now: int = 1_793_235_600_000

    def forward(self, seconds: float) -> None:
        """Let time pass."""
        self.now += int(1000 * seconds)


class Counting(Cloud):
    """A stack whose every request is noted, and which knows what AWS would tell kiosks of it."""

    def __init__(self, slack: FakeSlack) -> None:
        super().__init__(slack)
        self.noted: list[Noted] = []
        self.waiting: list[str] = []  # bodies of messages in the queue, oldest first
        self.cards: list[str] = []  # and of those that change a card
        self.longest_row = 0
        self._documents: dict[str, Document] = {}
        self._answers = answers()

    def note(self, params: dict[str, Any], model: Any, **more: Any) -> None:
        super().note(params, model, **more)
        named = re.search(r"/things/([^/]+)", params["url_path"])
        noted = Noted(model.name, named[1] if named else "")
        if model.name == "SendMessage":
            body = json.loads(params["body"])["MessageBody"]
            (self.cards if "show" in json.loads(body) else self.waiting).append(body)
        elif model.name.endswith("ThingShadow"):
            noted = self._shadow(noted, params)
        if self._running:
            self.noted.append(noted)

    def _shadow(self, noted: Noted, params: dict[str, Any]) -> Noted:
        if noted.action == "UpdateThingShadow":
            noted = self._update(noted, params["body"])
        known = self._documents.get(noted.thing)
        return replace(noted, document=len(shadow_document.encode(known.state)) if known else 0)

    def _update(self, noted: Noted, payload: bytes) -> Noted:
        before, now_s = self._documents.get(noted.thing), Clock().now // 1000
        request = shadow_document.parse_request(payload)
        after = shadow_document.apply(before, request, now_s, version=before.version if before else 0)
        self._documents[noted.thing] = after
        documents = shadow_document.update_documents(before, after, now_s)
        delta = shadow_document.update_delta(after, now_s) if "update/delta" in self._answers else None
        topic = len(f"$aws/things/{noted.thing}/shadow/update/documents")
        row = _row(noted.thing, before.state if before else {}, after.state)
        self.longest_row = max(self.longest_row, row)
        return replace(
            noted, messages=tuple(topic + len(each) for each in (documents, delta) if each), row=row
        )

    def count(self, function: str, event: Any) -> Cost:
        """Invoke a function, and count what it asks for."""
        self.noted.clear()
        before = len(self.slack.posts) + self.slack.refused
        self.run(function, event)
        cost = cost_of(function, self.noted, len(self.slack.posts) + self.slack.refused - before)
        while self.cards:  # not counted: the page says so
            self.run("timer", {"Records": [{"messageId": "1", "body": self.cards.pop()}]})
        return cost


def _row(thing: str, before: JsonObject, after: JsonObject) -> int:
    """The bytes of the row that the template's rule makes of an update; 0 for none."""
    old, new = before.get("desired", {}), after.get("desired", {})
    if not thing.startswith("staff-") or "since" not in new or _when(old) == _when(new):
        return 0
    row = {"thing": thing, "since": new["since"], "asked": new, "name": after["reported"]["name"]}
    return len(shadow_document.encode(row | {"expires": new["since"] // 1000}))


def _when(asked: JsonObject) -> tuple[Any, Any]:
    return asked.get("since"), asked.get("call", {}).get("count")


def cost_of(function: str, noted: Sequence[Noted], posts: int = 0) -> Cost:
    """What an invocation cost that asked for these."""
    about = [each for each in noted if each.action.endswith("ThingShadow")]
    heard = [size for each in about if not each.thing.startswith("button-") for size in each.messages]
    return Cost(
        function=function,
        requests=Counter(each.action for each in noted),
        shadow_kb=sum(units(each.document, KB) for each in about),
        hottest=max(Counter(each.thing for each in about).values(), default=0),
        messages=len(heard),
        messages_5kb=sum(units(size, 5 * KB) for size in heard),
        deltas=sum(len(each.messages) - 1 for each in about if each.messages),
        documents_5kb=sum(units(each.messages[0], 5 * KB) for each in about if each.messages),
        rows=sum(each.row > 0 for each in about),
        posts=posts,
    )


def units(size: int, unit: int) -> int:
    """As what AWS meters so many bytes."""
    return max(1, math.ceil(size / unit))


class Story:
    """What happens at one booth, each step some seconds after the one before, and what it costs."""

    def __init__(self, here: Counting, clock: Clock) -> None:
        self.here, self._clock = here, clock

    def press(self, after_s: float, button: str = "first") -> Cost:
        """A visitor presses."""
        self._clock.forward(after_s)
        body = json.dumps({"button": button, "click": "SINGLE"}).encode()
        headers = {"authorization": f"Bearer {BUTTON_TOKEN}", "content_type": "application/json"}
        return self.here.count("button", gateway("POST", "/buttons/webhook", body, **headers))

    def says(self, after_s: float, text: str, user: str = "U000001", **more: str) -> Cost:
        """Slack tells what somebody wrote."""
        self._clock.forward(after_s)
        now_s = self._clock.now / 1000
        message = {"type": "message", "channel": "C0FLOOR", "user": user, "text": text, "ts": f"{now_s:.6f}"}
        body = json.dumps({"type": "event_callback", "event": message | more}).encode()
        named = {name.replace("-", "_"): value for name, value in signed(body, SIGNING_SECRET, now_s).items()}
        event = gateway("POST", "/slack/events", body, content_type="application/json", **named)
        return self.here.count("slack", event)

    def ring(self, after_s: float, which: int = 0) -> Cost:
        """A message of the queue comes back."""
        self._clock.forward(after_s)
        record = {"messageId": "1", "body": self.here.waiting.pop(which)}
        return self.here.count("timer", {"Records": [record]})

    def sweep(self, after_s: float) -> Cost:
        """The minute is over."""
        self._clock.forward(after_s)
        return self.here.count("sweep", {})

    def calls(self, number: int) -> None:
        """Pressed, answered and over, for both people in turn."""
        for _ in range(number):
            for button, user in (("first", "U000001"), ("second", "U000002")):
                self.press(60, button)
                self.says(20, "ok, 2 minutes", user)
                self.ring(160)
                self.ring(140)


ROSTER: Final = 1  # read once in each sweep: a hand-over may be due

SAYS: Final = {
    "press": "a press: somebody is called and mentioned",
    "repeat": "a press again, within the quiet time",
    "again": "a press again, later: mentioned again",
    "ok": '"ok", and the words back',
    "echo": "Slack tells of our own message, or of chatter",
    "stale": "the alarm of a call that was answered",
    "reset": "an alarm that the sweep has set once more",
    "ended": "the alarm that ends a state",
    "remind": "no answer yet: they are reminded",
    "handover": "nobody answered: the backup is called and mentioned",
    "nobody": "nor does the backup: the whole channel is told",
    "refused": "a press, and Slack takes no message (429)",
    "refused again": "that message again, and Slack does not take it",
    "retold": "that message again, and Slack takes it",
    "person": "the sweep, for each person who is idle",
}


def _answered(story: Story) -> dict[str, Cost]:
    costs = {
        "press": story.press(60),
        "repeat": story.press(5),
        "again": story.press(25),
        "echo": story.says(1, "somebody waits", bot_id="B0CALL001"),
        "ok": story.says(4, "ok, 2 minutes"),
        "stale": story.ring(145),
    }
    people = _number_of_staff(story.here.place)
    swept = story.sweep(120)  # within the last minute of the state, so its alarm is set once more
    more = Counter(swept.requests) - Counter({"ListThings": 1, "GetThingShadow": people + ROSTER})
    costs["ended"], twin = story.ring(40), story.ring(1)
    shadow_kb = twin.shadow_kb + more["GetThingShadow"]
    return costs | {"reset": replace(twin, requests=Counter(twin.requests) + more, shadow_kb=shadow_kb)}


def _unanswered(story: Story) -> dict[str, Cost]:
    story.press(60)
    costs = {"remind": story.ring(61), "handover": story.ring(120)}
    story.ring(61)
    return costs | {"nobody": story.ring(120)}


def _untaken(story: Story) -> dict[str, Cost]:
    story.here.slack.always(status=429, retry_after="1")
    costs = {"refused": story.press(60), "refused again": story.ring(2, which=1)}
    story.here.slack.always()
    return costs | {"retold": story.ring(2, which=1)}


def _person(story: Story) -> Cost:
    story.sweep(3_600)  # what is left of the story is over
    story.sweep(60)
    return cost_of("sweep", [each for each in story.here.noted if each.thing == "staff-000001"])


def _sweeps(story: Story) -> Iterator[tuple[int, Cost]]:
    for number in (10, 100, PAGE + 10):
        _crowd(story.here.place, number)
        yield number, story.sweep(60)


def _crowd(place: Place, number: int) -> None:
    """Make them as many as that, with nothing to tell."""
    for id in range(_number_of_staff(place), number):
        thing = f"staff-crowd-{id}"
        place.things.create(Thing(name=thing, type="staff", attributes={}))
        desired, reported = newcomer("佐藤 花子", "案内", Clock().now)
        place.shadows.update(thing, desired=desired, reported=reported)


def _number_of_staff(place: Place) -> int:
    return sum(1 for _ in place.things.list(type="staff"))


def _furnish(place: Place) -> None:
    for id, backup in (("000002", ""), ("000001", "000002")):
        slack = f"U{id}"
        add_staff(
            place, NewStaff(id=id, name="佐藤 花子", role="案内", slack=slack, backup=backup, booth="hall")
        )
    for button, staff in (("first", "000001"), ("second", "000002")):
        add_button(place, NewButton(id=button, single=staff, booth="hall"))


@contextmanager
def stage() -> Iterator[Story]:
    """Two people, a button for each, one booth, and a clock that only the story moves."""
    clock = Clock()
    seconds = {f"STAFFCALL_{name.upper()}_SECONDS": str(parameter(f"{name}Seconds")) for name in STATES}
    with ExitStack() as stack:
        slack = stack.enter_context(FakeSlack())
        stack.enter_context(patch("infra.aws.place.now_ms", lambda: clock.now))
        stack.enter_context(patch("slack_bridge.tellers.PACE_S", 0.0))  # our clock jumps; theirs would wait
        # Signatures are good for five minutes of the world's clock, and this one goes hours ahead.
        stack.enter_context(
            patch("slack_sdk.signature.SignatureVerifier.is_valid_request", return_value=True)
        )
        stack.enter_context(patch("tests.cloud.Cloud", Counting))
        stack.callback(logging.disable, logging.root.manager.disable)
        logging.disable(logging.WARNING)  # that Slack takes nothing is on order
        here = stack.enter_context(cloud(slack))
        stack.enter_context(patch.dict(os.environ, seconds))
        assert isinstance(here, Counting)
        _furnish(here.place)
        yield Story(here, clock)


STATES: Final = ("Calling", "Running", "Quiet")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """All that was counted.

    Attributes:
        costs: of each event of ``SAYS``.
        cold: what a new instance asks for besides; ``secrets`` is how many it is given.
        sweeps: of how many people, to all that a sweep of them asked for.
        row_bytes: of the history.
    """

    costs: Mapping[str, Cost]
    cold: Cost
    secrets: int
    sweeps: Mapping[int, Cost]
    row_bytes: int


@lru_cache(maxsize=1)
def counted() -> Counts:
    """Run the functions, and count. Shadows have as long a past by then as they keep."""
    with stage() as story:
        first = story.press(60)
        story.says(20, "ok")
        story.ring(160)
        story.ring(140)
        story.sweep(60)
        story.calls(9)
        costs = _answered(story) | _unanswered(story) | _untaken(story) | {"person": _person(story)}
        more = Counter(first.requests) - Counter(costs["press"].requests)
        return Counts(
            costs=costs,
            cold=Cost(function="button", requests=more),
            secrets=len(secrets(client("ssm"), os.environ["STACK_SECRETS"])),
            sweeps=dict(_sweeps(story)),
            row_bytes=story.here.longest_row,
        )


# --- what is assumed: change it here, and run again


def _assumed(value: float, words: str) -> Any:
    return field(default=value, metadata={"words": words})


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How people behave, and how long things take. Times are means."""

    repeats: float = _assumed(0.30, "of all visitors press again within the quiet time")
    agains: float = _assumed(0.10, "press again later, within a minute")
    ignored: float = _assumed(0.15, "of all calls are not answered by whom they are for")
    ignored_too: float = _assumed(0.15, "of those are not answered by the backup either")
    answer_s: float = _assumed(25, 's from the mention to "ok"')
    chatter: float = _assumed(0.5, "other messages in the channel for each call")
    peak: float = _assumed(2, "times as many calls in the peak hour as in the mean hour")
    kiosk_loads: float = _assumed(2, "times a day a kiosk starts, or connects anew")
    opening_s: float = _assumed(300, "s within which all kiosks are switched on")
    ping_s: float = _assumed(1.5, "s between two pings of a kiosk that hears nothing (`useLink.ts`)")
    request_ms: float = _assumed(20, "ms for a request to AWS from a function")
    slack_ms: float = _assumed(250, "ms for a message to Slack")
    own_ms: float = _assumed(10, "ms of a function's own work")
    cold_ms: float = _assumed(2000, "ms more for a new instance of a function")
    warm_s: float = _assumed(600, "s for which an idle instance is kept")
    spread: float = _assumed(0.5, "sigma of those times, which are log-normal")
    burst: float = _assumed(5, "messages that Slack takes at once before it asks to wait")
    retry_after_s: float = _assumed(1, "s for which Slack asks to wait then")
    poll_s: float = _assumed(20, "s for an empty look at the queue by each of Lambda's 5 pollers")
    log_bytes: float = _assumed(400, "bytes of log for an invocation")
    scan_ms: float = _assumed(100, "ms for a page of 1 MB when `report` reads the history")
    machine: float = _assumed(150, "dollars for a small machine that lasts 36 months")
    power: float = _assumed(1.1, "dollars a month for its 6 W")


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Who uses it.

    Attributes:
        booths: each has one kiosk.
        days: with visitors, a month; a day has so many open ``hours``. The stack is there for ``days_up``.
        calls: for each person, a day.
        minutes: of the peak hour that are simulated.
    """

    name: str
    staff: float
    booths: float
    sites: float
    hours: float
    days: float
    days_up: float
    calls: float
    minutes: float

    def times(self, factor: float) -> "Size":
        """As much of everything."""
        return replace(
            self, staff=self.staff * factor, booths=self.booths * factor, sites=self.sites * factor
        )


_FAIR: Final = {"hours": 8, "days": 4, "days_up": 4, "calls": 20, "minutes": 1200}
_SHOPS: Final = {"hours": 12, "days": 30, "days_up": 30, "calls": 8}
SIZES: Final = (
    Size(name="exhibition", staff=20, booths=10, sites=1, **_FAIR),
    Size(name="mall", staff=1_000, booths=200, sites=1, minutes=120, **_SHOPS),
    Size(name="chain", staff=100_000, booths=8_000, sites=2_000, minutes=6, **_SHOPS),
)


# --- prices

SOURCES: Final = {
    "iot": "aws.amazon.com/iot-core/pricing, transcribed by api-evangelist on 2026-09-20",
    "devices": "aws.amazon.com/iot-device-management/pricing, transcribed by api-evangelist on 2026-09-20",
    "list": "AWS Price List of September 2026 for us-east-1, as a public cost study quotes it",
    "lambda": "aws.amazon.com/lambda/pricing, transcribed by api-evangelist on 2026-05-05",
    "watch": "aws.amazon.com/cloudwatch/pricing, transcribed by api-evangelist on 2026-05-05",
    "sheets": "public cost sheets that agree, without a date; AWS's own page was not seen",
    "free": "docs.aws.amazon.com, as stored: Parameter Store tiers; Cognito, monitoring costs",
    "memory": "remembered; no source was found",
    "general": "AWS General Reference, endpoints and quotas, as of 2023-07-10",
    "cognito": "Amazon Cognito developer guide, quotas, as stored, without a date",
    "slack": "docs.slack.dev, rate limits, as stored in 2025 or later",
    "ours": "this repository",
}


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars for so many of something."""

    usd: float
    per: float
    unit: str
    source: str


PRICES: Final = {
    "message": Price(1.00, MILLION, "MQTT messages of 5 KB, of the first billion a month", "iot"),
    "message, 2": Price(0.80, MILLION, "of the next four billion", "list"),
    "message, 3": Price(0.70, MILLION, "of all others", "list"),
    "connected": Price(0.08, MILLION, "minutes of an MQTT connection", "iot"),
    "operation": Price(1.25, MILLION, "shadow operations of 1 KB, or registry operations", "iot"),
    "rule": Price(0.15, MILLION, "messages of 5 KB that a rule looks at", "sheets"),
    "action": Price(0.15, MILLION, "actions of a rule", "sheets"),
    "invocation": Price(0.20, MILLION, "invocations of Lambda", "lambda"),
    "duration": Price(16.6667, MILLION, "GB-seconds of Lambda, x86", "lambda"),
    "door": Price(1.00, MILLION, "requests to the HTTP API", "list"),
    "queue": Price(0.40, MILLION, "requests to SQS", "sheets"),
    "write": Price(0.625, MILLION, "writes of 1 KB to DynamoDB, on demand", "list"),
    "read": Price(0.125, MILLION, "reads of 4 KB from it, consistent", "list"),
    "kept": Price(0.25, 1, "GB kept in it, a month", "list"),
    "alarm": Price(0.10, 1, "alarm of CloudWatch, a month", "watch"),
    "log": Price(0.50, 1, "GB of logs", "watch"),
    "key": Price(3.00, MILLION, "requests to KMS, for SecureStrings", "sheets"),
    "page": Price(0.085, 1, "GB out of CloudFront", "list"),
    "index": Price(2.25, MILLION, "updates of the fleet index", "devices"),
    "query": Price(5.00, MILLION, "queries of the fleet index", "devices"),
    "free": Price(0, 1, "standard parameters of SSM; identity pools of Cognito", "free"),
    "minute": Price(0, 1, "the rule that starts the sweep each minute", "memory"),
}


def usd(what: str, quantity: float) -> float:
    """What so much of something costs."""
    return quantity * PRICES[what].usd / PRICES[what].per


def messages_usd(number: float) -> float:
    """What so many MQTT messages cost in a month."""
    first, second = min(number, 1e9), min(max(0.0, number - 1e9), 4e9)
    return usd("message", first) + usd("message, 2", second) + usd("message, 3", number - first - second)


# --- what a size uses


@dataclass(frozen=True)
class Usage:
    """What a size asks for, in its peak hour and in a month.

    Attributes:
        own: a kiosk is sent what is of its own booth, and not everything.
        indexed: the sweep asks the fleet index, and not every shadow.
        channels: of Slack, among which the calls are shared out.
    """

    size: Size
    counts: Counts
    load: Load = field(default_factory=Load)
    own: bool = False
    indexed: bool = False
    channels: float = 1

    @cached_property
    def weights(self) -> Mapping[str, float]:
        """How often each event happens in one call."""
        load, nobody = self.load, self.load.ignored * self.load.ignored_too
        answered, reminders = 1 - nobody, load.ignored + nobody + (1 - nobody) * self.late()
        mentions = 1 + load.agains + reminders + load.ignored + nobody
        return {
            "press": 1,
            "repeat": load.repeats,
            "again": load.agains,
            **dict.fromkeys(("ok", "stale", "ended"), answered),
            "remind": reminders,
            "handover": load.ignored,
            "nobody": nobody,
            "reset": answered + load.ignored + nobody,
            "echo": mentions + 2 * answered + load.chatter,  # mentions, "ok", the words back
        }

    def late(self) -> float:
        """The share of all answers that come when they have been reminded."""
        mean, sigma = math.log(self.load.answer_s) - self.load.spread**2 / 2, self.load.spread
        return math.erfc((math.log(parameter("RemindSeconds")) - mean) / sigma / math.sqrt(2)) / 2

    def per_call(self, what: Callable[[Cost], float], *functions: str) -> float:
        """Something of all events of one call; of some functions only, if they are named."""
        costs = ((self.counts.costs[event], weight) for event, weight in self.weights.items())
        return sum(
            what(cost) * weight for cost, weight in costs if not functions or cost.function in functions
        )

    def seconds(self, cost: Cost) -> float:
        """How long an invocation takes, on average and warm."""
        waits_ms = cost.all_requests() * self.load.request_ms + cost.posts * self.load.slack_ms
        return (self.load.own_ms + waits_ms) / 1000

    # the peak hour

    def calls_s(self) -> float:
        """Calls a second."""
        return self.size.staff * self.size.calls / self.size.hours * self.load.peak / 3600

    def a_second(self, action: str) -> float:
        """Requests of one API action a second."""
        return self.calls_s() * self.per_call(lambda cost: cost.requests.get(action, 0))

    def posts_s(self) -> float:
        """Messages a second in a channel."""
        return self.calls_s() * self.per_call(lambda cost: cost.posts) / self.channels

    def events_h(self) -> float:
        """What Slack tells us, an hour."""
        return self.calls_s() * 3600 * self.per_call(lambda _: 1, "slack")

    def doors_s(self) -> float:
        """HTTP requests a second, of buttons and of Slack."""
        return self.calls_s() * self.per_call(lambda _: 1, "button", "slack")

    def busy(self) -> float:
        """Functions that run at the same time, on average."""
        return self.calls_s() * self.per_call(self.seconds) + min(self.sweep_s(), 60) / 60

    def shadows_s(self) -> float:
        """Shadow requests a second, while the sweep runs."""
        swept = 0 if self.indexed else min(self.size.staff, 1000 * SWEEPERS / self.load.request_ms)
        return self.calls_s() * self.per_call(Cost.shadow_requests) + swept

    def lists_s(self) -> float:
        """ListThings a second."""
        return self.a_second("ListThings") + (0 if self.indexed else math.ceil(self.size.staff / PAGE) / 60)

    def listed_s(self) -> float:
        """How long the sweep needs to learn who there is: AWS lets it ask ten times a second."""
        return math.ceil(self.size.staff / PAGE) * max(0.1, self.load.request_ms / 1000)

    def sweep_s(self) -> float:
        """How long the sweep needs for everybody."""
        if self.indexed:
            return math.ceil(self.called() / 500) * self.load.request_ms / 1000
        return self.listed_s() + self.size.staff * self.load.request_ms / 1000 / SWEEPERS

    def called(self) -> float:
        """People who are called, or on the way, at the same time."""
        return self.calls_s() * (parameter("RunningSeconds") + self.load.answer_s)

    def heard_s(self) -> float:
        """Messages a second to one kiosk, of calls."""
        calls_s = self.calls_s() / (self.size.booths if self.own else 1)
        return calls_s * self.per_call(lambda cost: cost.messages)

    def asked_by_kiosk(self) -> float:
        """Shadows that a kiosk asks for when it starts: its booth and its people."""
        return 1 + self.size.staff / self.size.booths

    def opening_s(self) -> float:
        """Messages a second to one kiosk while all are switched on: everybody hears the answers to each."""
        return self.asked_by_kiosk() * (1 if self.own else self.size.booths) / self.load.opening_s

    def starts_s(self) -> float:
        """Kiosks that are switched on, a second."""
        return self.size.booths / self.load.opening_s

    def subscribes_s(self) -> float:
        """Subscriptions a second while all kiosks are switched on."""
        return len(answers()) * self.starts_s()

    def subscriptions(self) -> float:
        """Of all kiosks."""
        return len(answers()) * self.size.booths

    def hottest(self) -> float:
        """Shadow requests to one person, of one press."""
        return self.counts.costs["press"].hottest

    def in_flight(self) -> float:
        """Messages of the queue that a function is at."""
        return self.calls_s() * self.per_call(self.seconds, "timer")

    def rows_s(self) -> float:
        """Rows of the history a second."""
        return self.calls_s() * self.per_call(lambda cost: cost.rows)

    # a month

    def calls(self) -> float:
        """Calls a month."""
        return self.size.staff * self.size.calls * self.size.days

    def minutes_up(self) -> float:
        """For which the stack is there."""
        return self.size.days_up * 24 * 60

    def starts_a_kiosk(self) -> float:
        """How often one kiosk starts."""
        return self.load.kiosk_loads * self.size.days

    def kiosk_starts(self) -> float:
        """How often a kiosk starts, all together."""
        return self.size.booths * self.starts_a_kiosk()

    def hearers(self) -> float:
        """Kiosks that are sent one and the same message."""
        return 1 if self.own else self.size.booths

    def call_messages(self) -> float:
        """What calls make kiosks hear, as AWS meters it.

        What is acknowledged is one message more, and so is what a rule publishes anew for one booth.
        """
        heard = self.per_call(lambda cost: cost.messages_5kb + qos() * cost.messages) * self.hearers()
        anew = self.per_call(lambda cost: cost.messages_5kb) if self.own else 0
        return self.calls() * (heard + anew)

    def calls_usd(self) -> float:
        """What that costs, with the rule."""
        heard = self.calls() * self.per_call(lambda cost: cost.messages_5kb) if self.own else 0
        return messages_usd(self.call_messages()) + usd("rule", heard) + usd("action", heard)

    def start_messages(self) -> float:
        """What kiosks say and hear when they start: connect, subscribe, ask; answers and acknowledgements."""
        return self.kiosk_starts() * (2 + self.asked_by_kiosk() * (1 + (1 + qos()) * self.hearers()))

    def pings(self) -> float:
        """Of kiosks that hear nothing."""
        return self.size.booths * self.minutes_up() * 60 / self.load.ping_s

    def invocations(self) -> float:
        """Of all functions."""
        return self.calls() * self.per_call(lambda _: 1) + self.minutes_up()

    def history_gb(self) -> float:
        """What the history takes once it is as long as it may be; DynamoDB counts 100 bytes a row besides."""
        rows = self.calls() / 30 * parameter("HistoryDays") * self.per_call(lambda cost: cost.rows)
        return rows * (self.counts.row_bytes + 100) / 1e9

    def sweep_usd(self) -> float:
        """The sweep's shadows and registry, or the fleet index in their place."""
        person = self.counts.costs["person"].shadow_kb
        if not self.indexed:
            asked = self.size.staff * person + math.ceil(self.size.staff / PAGE)
            return usd("operation", self.minutes_up() * (asked + ROSTER))
        called = self.called() / self.load.peak * self.size.hours / 24
        updates = self.calls() * self.per_call(lambda cost: cost.requests.get("UpdateThingShadow", 0))
        queries = self.minutes_up() * max(1, math.ceil(called / 500))
        return (
            usd("index", updates)
            + usd("query", queries)
            + usd("operation", self.minutes_up() * (called * person + ROSTER))
        )


def past_the_walls(usage: Usage) -> Usage:
    """The same place, with a topic for each booth, the fleet index, and a channel for each site."""
    return replace(usage, own=True, indexed=True, channels=usage.size.sites)


LINES: Final = (
    "kiosks: what they hear of calls",
    "kiosks: starting, being connected",
    "shadows and registry: calls",
    "shadows and registry: the sweep",
    "history: rule, DynamoDB",
    "Lambda",
    "HTTP API",
    "SQS",
    "CloudWatch",
    "CloudFront, KMS",
)


def bill(usage: Usage) -> dict[str, float]:
    """Dollars a month, by the ``LINES`` they are for; no free tier is taken off."""
    calls, per_call, minutes = usage.calls(), usage.per_call, usage.minutes_up()
    rows, kiosks = calls * per_call(lambda cost: cost.rows), usage.size.booths
    gb_s = memory_gb() * (calls * per_call(usage.seconds) + minutes * min(usage.sweep_s(), 60))
    sends = per_call(lambda cost: cost.requests.get("SendMessage", 0)) + 2 * per_call(lambda _: 1, "timer")
    secrets_read = minutes / 5 * (4 + usage.busy()) * usage.counts.secrets
    spent = (
        usage.calls_usd(),
        messages_usd(usage.start_messages())
        + usd("operation", 2 * usage.kiosk_starts() * usage.asked_by_kiosk())
        + usd("connected", kiosks * minutes),
        usd("operation", calls * per_call(lambda cost: cost.shadow_kb + cost.registry_requests())),
        usage.sweep_usd(),
        usd("rule", calls * per_call(lambda cost: cost.documents_5kb))
        + usd("action", rows)
        + usd("write", rows)
        + usd("kept", usage.history_gb()),
        usd("invocation", usage.invocations()) + usd("duration", gb_s),
        usd("door", calls * per_call(lambda _: 1, "button", "slack")),
        usd("queue", calls * sends + 5 * minutes * 60 / usage.load.poll_s),
        usd("alarm", alarms() * usage.size.days_up / 30)
        + usd("log", usage.invocations() * usage.load.log_bytes / 1e9),
        usd("page", usage.kiosk_starts() * page_bytes() / 1e9) + usd("key", secrets_read),
    )
    return dict(zip(LINES, spent, strict=True))


def page_bytes() -> int:
    """What a browser gets of the kiosk, before it is compressed; in steps of 100 kB."""
    size = sum(each.stat().st_size for each in (ROOT / "spa" / "dist").rglob("*") if each.is_file())
    return units(size, 100_000) * 100_000


# --- quotas

Use = Callable[["Usage"], float]


@dataclass(frozen=True, slots=True)
class Quota:
    """A number that may not be exceeded, and what is done where it would be.

    Attributes:
        fixed: nobody raises it when asked to.
    """

    name: str
    limit: float
    use: Use
    past: str
    source: str = "general"
    fixed: bool = False


def _rate(action: str, times: int = 1) -> Use:
    return lambda usage: times * usage.a_second(action)


def _to_all(a_kiosk: Use) -> Use:
    return lambda usage: a_kiosk(usage) * usage.size.booths


_TOPICS: Final = "a topic for each booth"
_LATER: Final = "kiosks wait before they connect; ask AWS"
_SITES: Final = "an account or region for some of the sites"
QUOTAS: Final = (
    Quota(
        "Slack: messages a second in a channel", 1, Usage.posts_s, "a channel for each site", "slack", True
    ),
    Quota(
        "Slack: events an hour, of an app",
        30_000,
        Usage.events_h,
        "an app for some of the sites",
        "slack",
        True,
    ),
    Quota("IoT: messages a second to a kiosk, calls", 100, Usage.heard_s, _TOPICS, fixed=True),
    Quota("IoT: messages a second to a kiosk, opening", 100, Usage.opening_s, _TOPICS, fixed=True),
    Quota("IoT: messages out a second, calls", 20_000, _to_all(Usage.heard_s), _TOPICS),
    Quota("IoT: messages out a second, opening", 20_000, _to_all(Usage.opening_s), _TOPICS),
    Quota("IoT: messages in a second", 20_000, _rate("UpdateThingShadow", 3), _SITES),
    Quota("IoT: connections a second, opening", 500, Usage.starts_s, _LATER),
    Quota("IoT: subscriptions a second, opening", 500, Usage.subscribes_s, _LATER),
    Quota("IoT: subscriptions", 500_000, Usage.subscriptions, _SITES),
    Quota("IoT: shadow requests a second", 4_000, Usage.shadows_s, _SITES),
    Quota("IoT: the same to one thing, a press", 20, Usage.hottest, "read a shadow once in an invocation"),
    Quota("IoT: ListThings a second", 10, Usage.lists_s, "keep who has which Slack id elsewhere"),
    Quota("IoT: DescribeThing a second", 350, _rate("DescribeThing"), "ask AWS"),
    Quota("IoT: UpdateThing a second", 100, _rate("UpdateThing"), "keep a call's thread elsewhere; ask AWS"),
    Quota("IoT: rules evaluated a second", 20_000, _rate("UpdateThingShadow"), _SITES),
    Quota("the sweep's seconds", SWEEP_FOR_MS / 1000, Usage.sweep_s, "the fleet index", "ours", True),
    Quota(
        "HTTP API: requests a second, the template's",
        door_rate(),
        Usage.doors_s,
        "raise it; AWS's is 10,000",
        "ours",
    ),
    Quota("Lambda: functions at once", 1_000, Usage.busy, "ask AWS; reserve some for buttons"),
    Quota("SQS: messages in flight", 120_000, Usage.in_flight, _SITES),
    Quota(
        "SSM: GetParametersByPath a second",
        40,
        Usage.busy,
        "read at different moments; higher throughput: 100",
    ),
    Quota("Cognito: GetId a second, first opening", 25, Usage.starts_s, _LATER, "cognito"),
    Quota("Cognito: credentials a second, opening", 200, Usage.starts_s, _LATER, "cognito"),
    Quota("DynamoDB: writes a second to a table", 40_000, Usage.rows_s, _SITES),
)


def reached_at(quota: Quota, usage: Usage) -> float:
    """With how many people of this kind a quota is reached; infinite, if more people make no difference."""

    def share(factor: float) -> float:
        return quota.use(replace(usage, size=usage.size.times(factor))) / quota.limit

    low, high = 1e-4, 1e6
    if share(high) < 1:
        return math.inf
    for _ in range(60):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if share(middle) >= 1 else (middle, high)
    return high * usage.size.staff


def walls(usage: Usage) -> list[tuple[float, Quota]]:
    """All quotas, with how many people of this kind reach them; the first first."""
    return sorted(((reached_at(quota, usage), quota) for quota in QUOTAS), key=lambda wall: wall[0])


# --- the peak hour, simulated


@dataclass(slots=True)
class Bucket:
    """A Slack channel: some messages at once, and one a second from then on."""

    burst: float
    left: float
    at: float = 0.0

    def takes(self, now: float) -> bool:
        """Whether it takes a message now."""
        self.left, self.at = min(self.burst, self.left + max(0.0, now - self.at)), max(now, self.at)
        if self.left < 1:
            return False
        self.left -= 1
        return True


@dataclass(slots=True, eq=False)
class Called:
    """Somebody who is called; ``first`` is whom the visitor called, and not the backup."""

    thing: int
    channel: int
    since: float
    first: bool = True
    tries: int = 0
    told: bool = False
    answered: bool = False
    over: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a simulation saw. Delays are from a press to its mention, s, of those that were mentioned in time.

    Attributes:
        late: share of all who were called that were not mentioned before their call was over.
        waiting: mentions that Slack had not taken yet, at worst.
        functions: that ran at the same time, at worst.
        shadows_s, one_thing_s, kiosk_s: shadow requests a second, those to one thing, and messages to each kiosk,
            in the worst second.
    """

    calls: int
    half_s: float
    most_s: float
    late: float
    waiting: int
    invocations: int
    functions: int
    shadows_s: int
    one_thing_s: int
    kiosk_s: int


class Hour:
    """The peak hour, or a piece of it, event by event."""

    def __init__(self, usage: Usage, seed: int = 1) -> None:
        self._usage, self._load, self._costs = usage, usage.load, usage.counts.costs
        self._random = random.Random(seed)
        self._agenda: list[tuple[float, int, Callable[[float], object]]] = []
        burst = self._load.burst
        self._slack = [Bucket(burst, burst) for _ in range(max(1, round(usage.channels)))]
        self._untold: list[Called] = []  # given up but by the sweep
        self._instances: dict[str, list[float]] = {}  # of a function: when each is free
        self._ends: list[float] = []  # of what runs
        self._delays: list[float] = []
        self._called = self._late = self._waiting = self._most_waiting = 0
        self._invoked = self._functions = self._scheduled = 0
        self._shadows: Counter[int] = Counter()  # in each second
        self._of_thing: Counter[tuple[int, int]] = Counter()
        self._heard: Counter[int] = Counter()

    def run(self) -> Seen:
        """Let it happen."""
        until = self._usage.size.minutes * 60
        self._at(self._random.expovariate(self._usage.calls_s()), self._visitor)
        self._at(self._random.uniform(0, 60), self._sweep)
        while self._agenda[0][0] < until:
            now, _, what = heapq.heappop(self._agenda)
            what(now)
        delays = sorted(self._delays)
        return Seen(
            calls=self._called,
            half_s=delays[len(delays) // 2],
            most_s=delays[int(len(delays) * 0.99)],
            late=self._late / self._called,
            waiting=self._most_waiting,
            invocations=self._invoked,
            functions=self._functions,
            shadows_s=max(self._shadows.values()),
            one_thing_s=max(self._of_thing.values()),
            kiosk_s=max(self._heard.values()),
        )

    def _at(self, when: float, what: Callable[[float], object]) -> None:
        self._scheduled += 1
        heapq.heappush(self._agenda, (when, self._scheduled, what))

    def _about(self, mean: float) -> float:
        sigma = self._load.spread
        return self._random.lognormvariate(math.log(mean) - sigma * sigma / 2, sigma)

    # what people do

    def _visitor(self, now: float) -> None:
        self._at(now + self._random.expovariate(self._usage.calls_s()), self._visitor)
        thing = self._random.randrange(round(self._usage.size.staff))
        called, quiet_s = Called(thing, thing % len(self._slack), now), parameter("QuietSeconds")
        self._call(called, "press", "refused")
        if self._random.random() < self._load.repeats:
            self._at(now + self._random.uniform(1, quiet_s), partial(self._invoke, "repeat", thing))
        if self._random.random() < self._load.agains:
            self._at(now + self._random.uniform(quiet_s, 60), partial(self._say, "again", called))
        if self._random.random() < self._load.chatter:
            self._at(now + self._random.uniform(0, 60), partial(self._invoke, "echo", thing))

    def _call(self, called: Called, took: str, not_took: str) -> None:
        self._mention(called, took, not_took, called.since)
        self._at(called.since + parameter("RemindSeconds"), partial(self._remind, called))
        self._at(called.since + parameter("CallingSeconds"), partial(self._deadline, called))

    def _remind(self, called: Called, now: float) -> None:
        if called.told and not called.answered:
            self._say("remind", called, now)

    def _answer(self, called: Called, now: float) -> None:
        called.answered = True
        self._say("ok", called, now)
        self._at(now + 0.1, partial(self._invoke, "echo", called.thing))  # their own words are an event, too
        self._at(now + parameter("RunningSeconds"), partial(self._invoke, "ended", called.thing))

    def _deadline(self, called: Called, now: float) -> None:
        called.over = True
        self._called += 1
        if not called.told:
            self._late += 1
            self._waiting -= 1
        if called.answered:
            self._invoke("stale", called.thing, now)
        elif called.first:
            backup = (called.thing + 1) % round(self._usage.size.staff)
            self._call(Called(backup, called.channel, now, first=False), "handover", "handover")
        else:
            self._say("nobody", called, now)

    # what functions do

    def _mention(self, called: Called, took: str, not_took: str, now: float) -> None:
        """Try to tell; again when Slack says so, and after the last try it is the sweep's."""
        if self._slack[called.channel].takes(now):
            self._told(called, self._invoke(took, called.thing, now))
            return
        end = self._invoke(not_took, called.thing, now)
        self._waiting += called.tries == 0
        self._most_waiting = max(self._most_waiting, self._waiting)
        called.tries += 1
        if called.tries <= LAST_TRY:
            self._at(end + self._load.retry_after_s, partial(self._tell_again, called))
        else:
            self._untold.append(called)

    def _tell_again(self, called: Called, now: float) -> None:
        if called.over or called.told:
            self._invoke("stale", called.thing, now)
        else:
            self._mention(called, "retold", "refused again", now)

    def _told(self, called: Called, now: float) -> None:
        called.told = True
        self._waiting -= called.tries > 0
        if called.first:
            self._delays.append(now - called.since)
        self._at(now, partial(self._invoke, "echo", called.thing))
        ignored = self._load.ignored if called.first else self._load.ignored_too
        answer = now + self._about(self._load.answer_s)
        if self._random.random() >= ignored and answer < called.since + parameter("CallingSeconds"):
            self._at(answer, partial(self._answer, called))

    def _say(self, event: str, called: Called, now: float) -> None:
        """Words that nobody waits for: if Slack does not take them, the function tries once more."""
        extra_s = 0.0 if self._slack[called.channel].takes(now) else self._load.retry_after_s
        end = self._invoke(event, called.thing, now, extra_s)
        if not extra_s or self._slack[called.channel].takes(now + extra_s):
            self._at(end, partial(self._invoke, "echo", called.thing))

    def _sweep(self, now: float) -> None:
        """Everybody is read, as far as the time goes; who is found untold is told, the newest first."""
        self._at(now + 60, self._sweep)
        reads_s = self._usage.sweep_s() - self._usage.listed_s()
        share = max(0.0, min(1.0, (SWEEP_FOR_MS / 1000 - self._usage.listed_s()) / max(reads_s, 1e-9)))
        if not self._usage.indexed:
            self._read_everybody(int(now + self._usage.listed_s()), round(self._usage.size.staff * share))
        turn: Counter[int] = Counter()
        left = [called for called in self._untold if not called.over]
        self._untold = []
        for called in sorted(left, key=lambda each: each.since, reverse=True):
            if self._random.random() >= share or turn[called.channel] >= 60:
                self._untold.append(called)
                continue
            called.tries = LAST_TRY
            self._at(now + turn[called.channel], partial(self._tell_again, called))
            turn[called.channel] += 1

    def _read_everybody(self, second: int, left: int) -> None:
        a_second = round(1000 * SWEEPERS / self._load.request_ms)
        while left > 0:
            self._shadows[second] += min(left, a_second)
            second, left = second + 1, left - a_second

    def _invoke(self, event: str, thing: int, now: float, extra_s: float = 0.0) -> float:
        """Run a function for an event; the answer is when it ends."""
        cost = self._costs[event]
        start, seconds = self._instance(cost.function, now), self._about(self._usage.seconds(cost)) + extra_s
        end = start + seconds
        heapq.heappush(self._instances[cost.function], end)
        while self._ends and self._ends[0] <= now:
            heapq.heappop(self._ends)
        heapq.heappush(self._ends, end)
        self._invoked, self._functions = self._invoked + 1, max(self._functions, len(self._ends))
        self._ask(cost, thing, start, seconds)
        return end

    def _instance(self, function: str, now: float) -> float:
        """When an instance of this function is there: now, if one is idle."""
        free = self._instances.setdefault(function, [])
        while free and free[0] < now - self._load.warm_s:
            heapq.heappop(free)
        if free and free[0] <= now:
            heapq.heappop(free)
            return now
        return now + self._about(self._load.cold_ms / 1000)

    def _ask(self, cost: Cost, thing: int, start: float, seconds: float) -> None:
        for asked, number in ((self._shadows, cost.shadow_requests()), (self._heard, cost.messages)):
            for each in range(number):
                asked[int(start + seconds * each / number)] += 1
        self._of_thing[thing, int(start)] += cost.hottest


# --- what is printed


def blocks() -> dict[str, str]:
    """Every table of docs/scaling.md, by the name of its markers."""
    built = [Usage(size, counted()) for size in SIZES]
    return {
        "summary": _across(built, SUMMARY, _titled),
        "sizes": _across(built, MEASURES),
        "assumptions": _table(("value", "what"), [_assumption(each) for each in fields(Load)]),
        "counted": _counted(),
        "simulated": _simulated(built),
        "walls": _walls(built),
        "kiosks": _across(built, KIOSKS),
        "history": _across(built, HISTORY),
        "places": _across(built, PLACES),
        "prices": _table(("price", "for", "source"), [_priced(price) for price in PRICES.values()]),
        "sources": _table(("source", "what it is"), list(SOURCES.items())),
    }


Say = Callable[[Usage], str]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _across(
    built: Sequence[Usage], lines: Mapping[str, Say], title: Say = lambda usage: usage.size.name
) -> str:
    rows = [(words, *map(say, built)) for words, say in lines.items()]
    return _table(("", *map(title, built)), rows)


def number(value: float) -> str:
    """As people read it: three digits, and a word."""
    if math.isinf(value):
        return "never"
    for size, word in ((1e12, " trillion"), (1e9, " billion"), (1e6, " million")):
        if value >= size:
            return f"{value / size:.3g}{word}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def dollars(value: float) -> str:
    """To the cent, or to the dollar."""
    return f"${value:,.2f}" if value < 100 else "$" + number(value)


def _numbers(of: Use) -> Say:
    return lambda usage: number(of(usage))


def _dollars(of: Use) -> Say:
    return lambda usage: dollars(of(usage))


def _titled(usage: Usage) -> str:
    size = usage.size
    sites = f", {size.sites:,.0f} sites" if size.sites > 1 else ""
    return f"{size.name}: {size.staff:,.0f} staff, {size.booths:,.0f} booths{sites}"


def _of_the_bill(line: str, usage: Usage) -> str:
    return dollars(bill(usage)[line])


def _total(usage: Usage) -> float:
    return sum(bill(usage).values())


def _wall(place: int, usage: Usage) -> str:
    at, quota = walls(usage)[place]
    reached = "reached" if at <= usage.size.staff else "not reached yet:"
    return f"{quota.name}, {reached} at {number(at)} staff. Then {quota.past}"


SUMMARY: Final[Mapping[str, Say]] = {
    **{line: partial(_of_the_bill, line) for line in LINES},
    "**a month, as it is built**": lambda usage: f"**{dollars(_total(usage))}**",
    "a month, past the walls": _dollars(lambda usage: _total(past_the_walls(usage))),
    "**first wall**": partial(_wall, 0),
    "second wall": partial(_wall, 1),
    "walls it is beyond": lambda usage: str(sum(at <= usage.size.staff for at, _ in walls(usage))),
}
MEASURES: Final[Mapping[str, Say]] = {
    "staff": _numbers(lambda usage: usage.size.staff),
    "booths, each with a kiosk": _numbers(lambda usage: usage.size.booths),
    "sites": _numbers(lambda usage: usage.size.sites),
    "calls a day for each person": _numbers(lambda usage: usage.size.calls),
    "hours a day with visitors": _numbers(lambda usage: usage.size.hours),
    "days a month with visitors": _numbers(lambda usage: usage.size.days),
    "days a month that the stack is there": _numbers(lambda usage: usage.size.days_up),
    "minutes of the peak hour simulated": _numbers(lambda usage: usage.size.minutes),
    "calls a month": _numbers(Usage.calls),
    "calls a second in the peak hour": _numbers(Usage.calls_s),
}
KIOSKS: Final[Mapping[str, Say]] = {
    "messages of one call to one kiosk": _numbers(lambda usage: usage.per_call(lambda cost: cost.messages)),
    "of them `delta`, of which `documents` tells as well": _numbers(
        lambda usage: usage.per_call(lambda cost: cost.deltas)
    ),
    "kiosks that hear them": _numbers(Usage.hearers),
    "metered a month, as it is built": _numbers(Usage.call_messages),
    "dollars, as it is built": _dollars(Usage.calls_usd),
    "metered a month, a topic for each booth": _numbers(lambda usage: past_the_walls(usage).call_messages()),
    "dollars, a topic for each booth": _dollars(lambda usage: past_the_walls(usage).calls_usd()),
    "metered when all kiosks start once": _numbers(
        lambda usage: usage.start_messages() / usage.starts_a_kiosk()
    ),
    "pings a month": _numbers(Usage.pings),
    "dollars, were each of them metered": _dollars(lambda usage: messages_usd(usage.pings())),
}
HISTORY: Final[Mapping[str, Say]] = {
    "rows of one call": _numbers(lambda usage: usage.per_call(lambda cost: cost.rows)),
    "GB, once it is as long as it may be": _numbers(Usage.history_gb),
    "dollars for one `report`": _dollars(lambda usage: usd("read", usage.history_gb() * 1e9 / 4096)),
    "minutes for one `report`": _numbers(lambda usage: usage.history_gb() * usage.load.scan_ms / 60),
}


def _machines(usage: Usage) -> float:
    return usage.size.sites * (usage.load.machine / 36 + usage.load.power)


def _also_a_site(of: Use) -> Say:
    return lambda usage: f"{dollars(of(usage))}; {dollars(of(usage) / usage.size.sites)} a site"


PLACES: Final[Mapping[str, Say]] = {
    "AWS, as it is built": _also_a_site(_total),
    "AWS, past the walls": _also_a_site(lambda usage: _total(past_the_walls(usage))),
    "a small machine at each site": _also_a_site(_machines),
}


def _assumption(each: Any) -> tuple[str, str]:
    return f"{each.default:g}", each.metadata["words"]


def _priced(price: Price) -> tuple[str, str, str]:
    many = f"{price.per:,.0f} " if price.usd else ""
    return f"${price.usd:g}", many + price.unit, price.source


def _counted() -> str:
    rows = [_cost_row(words, counted().costs[event]) for event, words in SAYS.items()]
    rows.append(_cost_row("a new instance asks besides", counted().cold))
    head = ("event", "function", "requests", "shadow", "to one thing", "registry", "SQS")
    return _table((*head, "shadow KB", "MQTT messages to a kiosk", "rows", "Slack"), rows)


def _cost_row(words: str, cost: Cost) -> tuple[str, ...]:
    shadow = (
        cost.shadow_requests(),
        cost.hottest,
        cost.registry_requests(),
        cost.requests.get("SendMessage", 0),
    )
    rest = (cost.shadow_kb, cost.messages, cost.rows, cost.posts)
    return (words, cost.function, *map(str, (cost.all_requests(), *shadow, *rest)))


def _simulated(built: Sequence[Usage]) -> str:
    mall, chain = built[1:]
    runs = {usage.size.name: usage for usage in built} | {
        "mall, Slack takes no bursts": replace(mall, load=replace(mall.load, burst=1)),
        "mall, ten channels": replace(mall, channels=10),
        "chain, past the walls": past_the_walls(chain),
    }
    rows = [_seen_row(name, usage, Hour(usage).run()) for name, usage in runs.items()]
    head = ("", "calls a second", "mentioned after: half", "99 %", "never in time", "mentions waiting")
    more = (
        "invocations a second",
        "functions at once",
        "shadow requests a second",
        "to one thing",
        "messages to a kiosk",
    )
    return _table((*head, *more), rows)


def _seen_row(name: str, usage: Usage, seen: Seen) -> tuple[str, ...]:
    delays = (f"{seen.half_s:.1f} s", f"{seen.most_s:.1f} s", f"{seen.late:.1%}")
    invoked_s = seen.invocations / usage.size.minutes / 60
    worst = (seen.waiting, invoked_s, seen.functions, seen.shadows_s, seen.one_thing_s, seen.kiosk_s)
    return (name, number(usage.calls_s()), *delays, *map(number, worst))


def _walls(built: Sequence[Usage]) -> str:
    past = {quota.name: at for at, quota in walls(past_the_walls(built[1]))}
    rows = [_wall_row(built, quota, at, past[quota.name]) for at, quota in walls(built[1])]
    head = ("quota", "limit", *(usage.size.name for usage in built), "reached at so many staff")
    return _table((*head, "past the walls", "what is done then", "source"), rows)


def _wall_row(built: Sequence[Usage], quota: Quota, at: float, past: float) -> tuple[str, ...]:
    limit = number(quota.limit) + (", fixed" if quota.fixed else "")
    uses = [_used(quota, usage) for usage in built]
    return (quota.name, limit, *uses, number(at), number(past), quota.past, quota.source)


def _used(quota: Quota, usage: Usage) -> str:
    used = quota.use(usage)
    return f"**{number(used)}**" if used >= quota.limit else number(used)


def written(text: str, tables: Mapping[str, str], paper: str = "scaling") -> str:
    """A text with these tables between its markers, such as ``<!-- scaling: name -->`` and ``<!-- /scaling -->``."""
    for name, table in tables.items():
        between = re.compile(rf"(<!-- {paper}: {name} -->\n).*?(<!-- /{paper} -->)", re.DOTALL)
        text, found = between.subn(lambda match, table=table: f"{match[1]}\n{table}\n\n{match[2]}", text)  # type: ignore[misc]
        assert found == 1, f"{name}: {found} places with its markers"
    return text


def main(arguments: Sequence[str]) -> None:
    """Print every table, or write them into the paper."""
    tables = blocks()
    if "--write" in arguments:
        PAPER.write_text(written(PAPER.read_text("utf-8"), tables), "utf-8")
        return
    for name, table in tables.items():
        print(f"## {name}\n\n{table}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
