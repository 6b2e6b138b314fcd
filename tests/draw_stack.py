"""Draws the stack on AWS from its template: ``docs/aws.svg``, and the table of rights in ``docs/aws.md``.

``python -m tests.draw_stack`` writes both. A new function, door, right, table or alarm of the template is drawn without
a change here; a resource of a kind that has no place yet is an error, so that none is forgotten.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass, field
from html import escape
from typing import Any, Final

from samtranslator.yaml_helper import yaml_parse

from infra.aws.deploy import TEMPLATE
from tests.shop import ROOT

PICTURE: Final = ROOT / "docs" / "aws.svg"
PAGE: Final = ROOT / "docs" / "aws.md"
BEGIN, END = "<!-- rights, by python -m tests.draw_stack -->", "<!-- end of rights -->"

# What no reader of the picture looks for: logs, who may call whom, how fast the API and how strict the page is.
LEFT_OUT: Final = frozenset(
    (
        "AWS::Logs::LogGroup",
        "AWS::Lambda::Permission",
        "AWS::ApiGatewayV2::Stage",
        "AWS::S3::BucketPolicy",
        "AWS::CloudFront::ResponseHeadersPolicy",
    )
)
FUNCTION, ROLE, TABLE = "AWS::Serverless::Function", "AWS::IAM::Role", "AWS::DynamoDB::Table"
QUEUE, POLICY = "AWS::SQS::Queue", "AWS::IAM::ManagedPolicy"
# Rights that name no resource of the template lead here. LAMBDA is the frame around the functions.
SHADOWS, THINGS, SECRETS, LAMBDA = "Device shadows", "Things", "Secrets", "Lambda"
VERBS: Final = {
    "DescribeThing": "read",
    "GetThingShadow": "read",
    "ListThings": "list",
    "UpdateThing": "write",
    "UpdateThingShadow": "write",
}
ALL: Final = "every function"


# --- the template


@dataclass(frozen=True, slots=True)
class Right:
    """An action on one resource: ``where`` is its name in the template, or the end of its ARN."""

    action: str
    where: str


class Template:
    """A template as it is written, with ``!Ref`` and the like as ``{"Ref": …}``.

    Attributes:
        policies: the statements of each policy of the functions, those that all have first; a role's own by its name.
        holders: of each of them which functions have it.
    """

    def __init__(self, source: Mapping[str, Any]) -> None:
        self.source = source
        self.resources: Mapping[str, Any] = source["Resources"]
        held: dict[str, list[str]] = {}
        self.policies: dict[str, Any] = {}
        for function, properties in self.functions.items():
            for name, statements in self.policies_of(*self.named(properties["Role"], ROLE)).items():
                held.setdefault(name, []).append(function)
                self.policies[name] = statements
        everybody = [*self.functions]
        self.holders = {name: [ALL] if who == everybody else who for name, who in held.items()}
        self.policies = dict(sorted(self.policies.items(), key=lambda each: self.holders[each[0]] != [ALL]))

    @property
    def functions(self) -> dict[str, dict[str, Any]]:
        """Those on the way of a call, with their properties: they are there without a condition, and something of a call
        wakes them, or they may what all of them may.
        """
        found = self.of_type(FUNCTION).items()
        return {
            name: each
            for name, each in found
            if "Condition" not in self.resources[name]
            and ("Events" in each or self.named(each["Role"], ROLE)[0] in self._with_shared_rights)
        }

    @property
    def _with_shared_rights(self) -> set[str]:
        return {name for name, each in self.of_type(ROLE).items() if "ManagedPolicyArns" in each}

    def of_type(self, type: str) -> dict[str, dict[str, Any]]:
        """The properties of the resources of a type, by their names."""
        found = {name: each for name, each in self.resources.items() if each["Type"] == type}
        return {name: each.get("Properties", {}) for name, each in found.items()}

    def named(self, value: Any, type: str = "") -> list[str]:
        """The resources that a value refers to, in order, each once: of one type, or of all."""
        words = [word for text in texts(value) for word in (text, *re.findall(r"\$\{(\w+)[.}]", text))]
        known = [word for word in dict.fromkeys(words) if word in self.resources]
        return [
            name for name in known if self.resources[name]["Type"] == (type or self.resources[name]["Type"])
        ]

    def policies_of(self, role: str) -> dict[str, list[Any]]:
        """The statements of a role's policies: its own by the role's name, those it shares by theirs."""
        properties = self.resources[role]["Properties"]
        given = [each.get("Fn::If", [None, each])[1] for each in properties.get("Policies", ())]
        own = [each["PolicyDocument"]["Statement"] for each in given]
        shared = self.named(properties.get("ManagedPolicyArns", []))
        found = {name: self.resources[name]["Properties"]["PolicyDocument"]["Statement"] for name in shared}
        return {**found, role: [statement for each in own for statement in each]}

    def rights(self, statements: Iterable[Mapping[str, Any]]) -> Iterator[Right]:
        """What some statements allow, one by one."""
        for statement in statements:
            resource = statement["Resource"]
            for each in resource if isinstance(resource, list) else [resource]:
                where = next(iter(self.named(each)), ending("".join(texts(each))))
                yield from (Right(action, where) for action in texts(statement["Action"]))

    @property
    def rights_of_functions(self) -> Iterator[tuple[list[str], str, Right]]:
        """Of each right of a function who has it, and which box it leads to; but those about logs."""
        for policy, statements in self.policies.items():
            for right in self.rights(statements):
                if place := place_of(self, right):
                    yield self.holders[policy], place, right


def texts(value: Any) -> Iterator[str]:
    """Every text in a value, however deep: what a Ref, a GetAtt, a Sub or a plain text says."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from texts(each)


def ending(arn: str) -> str:
    """The end of an ARN, after partition, service, region and account."""
    end = re.sub(r"^arn:\$\{AWS::Partition\}:\w+:\$\{AWS::Region\}:\$\{AWS::AccountId\}:", "", arn)
    return end.replace("${AWS::StackName}", "<stack>").replace("${!", "${")


def thing_in(where: str) -> str:
    """``staff-*`` of a thing, a client or a topic of one; "" for all of them."""
    if re.search(r"topic(filter)?/kiosk/.*:sub}", where):
        return "its own"
    found = re.sub(r"^(thing|client)/|^topic(filter)?/\$aws/things/|/shadow/.*$", "", where)
    return {"*": "", "+": "any thing"}.get(found, found)


def topic_of(sql: Any) -> str:
    """What stands after FROM."""
    (found,) = re.findall(r"FROM '([^']*)'", next(texts(sql)))
    return str(found)


def place_of(template: Template, right: Right) -> str:
    """Which box an action leads to; "" for none.

    Raises:
        ValueError: there is no such box yet.
    """
    service, _, action = right.action.partition(":")
    if right.where in template.source.get(
        "Parameters", {}
    ):  # whoever deploys names it: it is none of the stack's
        return ""
    if right.where in template.resources:
        return "" if template.resources[right.where]["Type"] in LEFT_OUT else right.where
    if service not in ("iot", "ssm"):
        raise ValueError(f"{right.action} on {right.where} has no place in the picture")
    return SECRETS if service == "ssm" else SHADOWS if "Shadow" in action else THINGS


# --- what is drawn


@dataclass(slots=True, eq=False)
class Box:
    """Something in the picture, below the box that came before it in its column.

    Attributes:
        id: its name in the template, if it is one resource.
        lines: what there is to know of it.
        of: the names of the resources that it stands for.
        title: "" for the id.
        kind: its colour; "" for that of its column.
        beside: the boxes whose middle is its middle.
        watched: an alarm looks at it.
    """

    id: str
    column: str
    lines: list[str] = field(default_factory=list)
    of: list[str] = field(default_factory=list)
    title: str = ""
    kind: str = ""
    beside: list[str] = field(default_factory=list)
    watched: bool = False
    x: float = 0
    y: float = 0
    width: float = 0
    height: float = 0

    @property
    def middle(self) -> float:
        """Of its height."""
        return self.y + self.height / 2

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """Its lower edge."""
        return self.y + self.height


@dataclass(frozen=True, slots=True)
class Link:
    """From who acts, or what is told, to what is acted on or hears of it; ``strong`` on the way of a press."""

    source: str
    target: str
    strong: bool = False
    label: str = ""


Parts = Iterator[Box | Link]


class Drawing:
    """What a template says, in boxes that are placed and links between them.

    Raises:
        ValueError: something of the template is of a kind that has no place in the picture.
    """

    def __init__(self, template: Template) -> None:
        ways = [*doors(template)]
        parts = [
            *ways,
            *functions(template, ways),
            *state(template),
            *beside_calls(template),
            *kiosk(template),
            *pages(template),
            *alarms(template),
        ]
        self.boxes = {part.id: part for part in parts if isinstance(part, Box)}
        self.links = [part for part in parts if isinstance(part, Link)]
        drawn = {name for box in self.boxes.values() for name in box.of}
        for name, each in template.resources.items():
            if name not in drawn and each["Type"] not in LEFT_OUT:
                raise ValueError(f"{name} ({each['Type']}) has no place in the picture")
        for each in template.of_type("AWS::CloudWatch::Alarm").values():
            for name in template.named(each.get("Dimensions", [])) or [LAMBDA]:
                for box in self.standing_for(name):
                    box.watched = True
        place(self.boxes)

    def standing_for(self, name: str) -> list[Box]:
        """The boxes of a resource.

        Raises:
            ValueError: it has none.
        """
        if not (found := [box for box in self.boxes.values() if name in (box.id, *box.of)]):
            raise ValueError(f"{name} has no place in the picture")
        return found

    def column(self, name: str) -> list[Box]:
        """The boxes of a column, from top to bottom."""
        return [box for box in self.boxes.values() if box.column == name]


def doors(template: Template) -> Parts:
    """The ways into each function, and who comes by them from outside."""
    callers: dict[str, list[str]] = {}
    for function in template.functions:
        http = [*by_http(template, function)]
        # /buttons/… is where buttons come
        caller = http[0].lines[0].split("/")[1].capitalize() if http else "Devices"
        yield from (said := [*to_caller(template, caller)])
        ways = [*http, *by_topic(template, function), *by_name(template, function)]
        for box in ways:
            yield box
            yield Link(caller, box.id, strong := caller == "Buttons")
            yield Link(box.id, function, strong)
        yield from by_event(template, function)
        theirs = [part.id for part in (*said, *ways) if isinstance(part, Box)]
        callers.setdefault(caller, []).extend(theirs)
    yield from (Box(who, "outside", beside=theirs) for who, theirs in callers.items() if theirs)


def to_caller(template: Template, caller: str) -> Parts:
    """What all functions say to a caller of whom their settings speak, as they do of Slack."""
    variables = template.source["Globals"]["Function"]["Environment"]["Variables"]
    if any(name.startswith(f"{caller.upper()}_") for name in variables):
        id = f"to {caller}"
        yield Box(id, "doors", ["by webhook, or by a bot"], title="Mentions", kind="outside")
        yield from (Link(LAMBDA, id, strong=True), Link(id, caller, strong=True))


def by_http(template: Template, function: str) -> Iterator[Box]:
    """The routes that lead to a function."""
    routes = template.of_type("AWS::ApiGatewayV2::Route")
    for integration, properties in template.of_type("AWS::ApiGatewayV2::Integration").items():
        if function in template.named(properties):
            ours = {
                name: each["RouteKey"] for name, each in routes.items() if integration in template.named(each)
            }
            paths: dict[str, list[str]] = {}
            for method, path in sorted(key.split() for key in ours.values()):
                paths.setdefault(path, []).append(method)
            lines = [f"{', '.join(methods)} {path}" for path, methods in paths.items()]
            api = template.named(properties, "AWS::ApiGatewayV2::Api")
            yield Box(integration, "doors", lines, [*api, integration, *ours], title="HTTP API")


def by_topic(template: Template, function: str) -> Iterator[Box]:
    """The topics that a function hears, and the policies for the certificates of those who may publish there."""
    events = template.resources[function]["Properties"].get("Events", {}).values()
    topics = [topic_of(each["Properties"]["Sql"]) for each in events if each["Type"] == "IoTRule"]
    policies = [
        name
        for name, each in template.of_type("AWS::IoT::Policy").items()
        if {ending(text).removeprefix("topic/").replace("${iot:ClientId}", "+") for text in texts(each)}
        & {*topics}
    ]
    if topics:
        lines = [*topics, *(f"certificates: {name}" for name in policies)]
        yield Box(f"topics of {function}", "doors", lines, policies, title="IoT topic rules")


def by_name(template: Template, function: str) -> Iterator[Box]:
    """The outputs that say to whom a function's name is given."""
    for name, output in template.source["Outputs"].items():
        if output["Value"] == {"Ref": function}:
            yield Box(f"output {name}", "doors", [output["Description"]], title="Lambda Invoke")


def by_event(template: Template, function: str) -> Parts:
    """The queue and the clock that wake a function."""
    for event in template.resources[function]["Properties"].get("Events", {}).values():
        if event["Type"] == "SQS":
            (queue,) = template.named(event["Properties"]["Queue"])
            yield from waiting_in(template, queue)
            yield Link(queue, function)
        elif event["Type"] == "Schedule":
            yield Box(f"clock of {function}", "doors", [event["Properties"]["Schedule"]], title="EventBridge")
            yield Link(f"clock of {function}", function)
        elif event["Type"] != "IoTRule":
            raise ValueError(f"{function}: an event of type {event['Type']} has no place in the picture")


def waiting_in(template: Template, queue: str) -> Parts:
    """A queue, who may send to it, and what becomes of a message that nobody can take."""
    yield Box(queue, "doors", ["SQS: each message", "with a delay of its own"], [queue])
    queues = template.of_type(QUEUE)
    redrive = queues[queue].get("RedrivePolicy", {})
    for dead in template.named(redrive):
        days = queues[dead]["MessageRetentionPeriod"] // 86_400
        yield Box(dead, "doors", [f"SQS: kept {days} days"], [dead])
        yield Link(queue, dead, label=f"after {redrive['maxReceiveCount']} tries")
    for who, place, right in template.rights_of_functions:
        if (place, right.action) == (queue, "sqs:SendMessage"):
            yield from (Link(LAMBDA if each == ALL else each, queue) for each in who)


def functions(template: Template, ways: Iterable[Box | Link]) -> Parts:
    """The functions beside their doors, and the frame around them, which stands for what they all may do."""
    found, links = template.functions, [part for part in ways if isinstance(part, Link)]
    for name, each in found.items():
        by = [link.source for link in links if link.target == name]
        of = [name, *template.named(each["Role"], ROLE)]
        yield Box(name, "functions", wrapped(each["Description"], 22), of, beside=by)
    shared = [name for name in template.policies if name not in template.of_type(ROLE)]
    yield Box(LAMBDA, "frame", of=shared, title=f"Lambda: {len(found)} functions")


def state(template: Template) -> Parts:
    """What the functions read and write, and what follows the shadows."""
    told: dict[str, list[tuple[list[str], Right]]] = {}
    for who, place, right in template.rights_of_functions:
        told.setdefault(place, []).append((who, right))
    tables = [place for place in told if is_table(template, place)]
    yield from (Box(table, "state", [forgets(template, table)], [table]) for table in tables)
    yield Box(SHADOWS, "state", ["IoT Core", *told_lines(told[SHADOWS])])
    yield from following(template)
    types = template.of_type("AWS::IoT::ThingType")
    names = ", ".join(each["ThingTypeName"] for each in types.values())
    yield Box(THINGS, "state", ["IoT Core", names, *told_lines(told[THINGS])], [*types])
    path = max((right.where for _, right in told[SECRETS]), key=len)
    yield Box(SECRETS, "state", ["SSM SecureStrings", path.removeprefix("parameter")])
    for place in (*tables, SHADOWS, THINGS, SECRETS):
        whos = dict.fromkeys(each for who, _ in told[place] for each in who)
        yield from (Link(who, place, place == SHADOWS) for who in ([LAMBDA] if ALL in whos else whos))


def following(template: Template) -> Parts:
    """The rules that hear of the shadows, and the tables that they write."""
    for rule, each in template.of_type("AWS::IoT::TopicRule").items():
        topic = topic_of(each["TopicRulePayload"]["Sql"]).replace("/shadow", " /shadow")
        yield Box(rule, "state", ["IoT topic rule", *wrapped(topic, 26)], [rule, *template.named(each, ROLE)])
        yield Link(SHADOWS, rule)
        for table in template.named(each, TABLE):
            yield Box(table, "state", [forgets(template, table)], [table])
            yield Link(rule, table)
        for queue in template.named(each, QUEUE):
            yield Link(rule, queue)


def beside_calls(template: Template) -> Parts:
    """The functions that are there on a condition, the queues that rules or the others fill for them, and the tables that
    they fill for the others: no call waits for these.
    """
    ruled = template.named([*template.of_type("AWS::IoT::TopicRule").values()], QUEUE)
    for function, each in template.of_type(FUNCTION).items():
        if function in template.functions:
            continue
        clocks = []
        for event in each.get("Events", {}).values():
            if event["Type"] == "Schedule":
                clocks.append(f"EventBridge: {event['Properties']['Schedule']}")
                continue
            (queue,) = template.named(event["Properties"]["Queue"])
            yield from beside_waiting_in(template, queue, "rules" if queue in ruled else "functions")
            yield Link(queue, function)
        for box in by_http(template, function):
            box.column, box.kind = "state", "doors"
            yield from (box, Link(box.id, function))
        of = [function, *template.named(each["Role"], ROLE)]
        yield Box(function, "state", [*wrapped(each["Description"], 30), *clocks], of, kind="functions")
        for table in template.named([template.resources[role] for role in of[1:]], TABLE):
            yield Box(table, "state", [forgets(template, table)], [table, *policies_about(template, table)])
            yield Link(function, table)


def beside_waiting_in(template: Template, queue: str, filled_by: str) -> Parts:
    """A queue of theirs, and what becomes of a message that nobody can take."""
    queues = template.of_type(QUEUE)
    redrive = queues[queue]["RedrivePolicy"]
    (dead,) = template.named(redrive)
    of = policies_about(template, queue)
    yield Box(queue, "state", [f"SQS, from the {filled_by}"], [queue, *of], kind="doors")
    days = queues[dead]["MessageRetentionPeriod"] // 86_400
    yield Box(dead, "state", [f"SQS: kept {days} days"], [dead], kind="doors")
    yield Link(queue, dead, label=f"after {redrive['maxReceiveCount']} tries")


def policies_about(template: Template, name: str) -> list[str]:
    """The policies by which functions share a right on a resource."""
    return [policy for policy, each in template.of_type(POLICY).items() if name in template.named(each)]


def is_table(template: Template, name: str) -> bool:
    """Whether this is a table of the template."""
    return name in template.of_type(TABLE)


def forgets(template: Template, table: str) -> str:
    """Whether a table forgets what is old."""
    expires = "TimeToLiveSpecification" in template.of_type(TABLE)[table]
    return "DynamoDB: rows expire" if expires else "DynamoDB"


def told_lines(told: Iterable[tuple[list[str], Right]]) -> Iterator[str]:
    """``all: read, write staff-*``: a line for each kind of thing, and those who do the same in one."""
    verbs: dict[tuple[str, str], dict[str, None]] = {}
    for who, right in told:
        for each in who:
            action = right.action.partition(":")[2]
            verbs.setdefault((each, right.where), {})[VERBS.get(action, action)] = None
    does: dict[str, list[str]] = {}
    for (who_does, where), found in verbs.items():
        what = f"{', '.join(found)} {thing_in(where)}".strip()
        does.setdefault(what, []).append("all" if who_does == ALL else who_does.removesuffix("Function"))
    for what, who in does.items():
        yield from wrapped(f"{', '.join(who)}: {what}", 32)


def kiosk(template: Template) -> Parts:
    """How the screen signs in, and what it may then."""
    for attachment, attached in template.of_type("AWS::Cognito::IdentityPoolRoleAttachment").items():
        (pool,) = template.named(attached, "AWS::Cognito::IdentityPool")
        (role,) = template.named(attached, ROLE)
        open_to_all = template.resources[pool]["Properties"]["AllowUnauthenticatedIdentities"]
        who = "anybody is a guest" if open_to_all else "no guests"
        yield Box(pool, "seen", [f"Cognito: {who}"], [pool, attachment])
        may = guest_lines(template.rights(template.policies_of(role)[role]))
        yield Box(role, "seen", ["MQTT, as guests may:", *may], [role], beside=[SHADOWS])
        yield Box("screen", "seen", ["a browser"], title="The booth's screen", kind="outside")
        yield from (Link(SHADOWS, role, strong=True, label="MQTT"), Link(role, "screen", strong=True))
        yield from (Link("screen", pool), Link(pool, role))


def pages(template: Template) -> Parts:
    """Where the screen's page comes from."""
    for distribution, each in template.of_type("AWS::CloudFront::Distribution").items():
        yield Box(distribution, "seen", ["CloudFront: the page, https"], [distribution])
        yield Link("screen", distribution)
        access = template.named(each, "AWS::CloudFront::OriginAccessControl")
        for bucket in template.named(each, "AWS::S3::Bucket"):
            yield Box(bucket, "seen", ["S3: closed, but to", *access], [bucket, *access])
            yield Link(distribution, bucket)


def guest_lines(rights: Iterable[Right]) -> Iterator[str]:
    """What a guest may do, an action a line."""
    found: dict[str, list[str]] = {}
    for right in rights:
        found.setdefault(right.action.partition(":")[2].lower(), []).append(right.where)
    for action, wheres in found.items():
        ends = {where.partition("/shadow/")[2] for where in wheres}
        what = f"{action} {ends.pop()}".strip() if len(ends) == 1 else action
        yield from wrapped(f"{what}: {', '.join(dict.fromkeys(map(thing_in, wheres)))}", 29)


def alarms(template: Template) -> Parts:
    """The alarms, the topic that they tell, and who hears of it."""
    found = template.of_type("AWS::CloudWatch::Alarm")
    lines = wrapped(", ".join(name.removesuffix("Alarm") for name in found), 28)
    title = f"CloudWatch: {len(found)} alarms"
    yield Box("alarms", "seen", lines, [*found], title=title, kind="alarms")
    for topic, each in template.of_type("AWS::SNS::Topic").items():
        yield Box(topic, "seen", ["SNS, if there is an address"], [topic], kind="alarms")
        yield Link("alarms", topic)
        for protocol in dict.fromkeys(one["Protocol"] for one in each["Subscription"]):
            yield Box(protocol, "seen", title=f"Your {protocol}", kind="outside")
            yield Link(topic, protocol)


def wrapped(text: str, width: int) -> list[str]:
    """A text in lines of at most so many characters, if its words allow it."""
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) < width:
            lines[-1] = f"{lines[-1]} {word}".strip()
        else:
            lines.append(word)
    return lines


# --- where everything goes, in pixels

COLUMNS: Final = {  # x and width; the doors are placed first, for the others stand beside them
    "doors": (134, 206),
    "outside": (14, 84),
    "functions": (414, 164),
    "state": (652, 200),
    "seen": (904, 190),
}
HEADINGS: Final = {"seen": "what people see"}
WIDTH, TOP, LEGEND = 1120, 58, 50
TITLE, LINE, PAD = 20, 16, 9
GAP, MARGIN = 26, 18


def place(boxes: Mapping[str, Box]) -> None:
    """Give every box its place and size: below the one before, or beside others; who stands outside, along them."""
    for column, (x, width) in COLUMNS.items():
        y = float(TOP)
        for box in [box for box in boxes.values() if box.column == column]:
            others = [boxes[name] for name in box.beside]
            box.x, box.width = x, width
            box.height = TITLE + LINE * len(box.lines) + 2 * PAD - 4
            if others and column == "outside":
                box.height = others[-1].bottom - others[0].y
            middle = (others[0].y + others[-1].bottom) / 2 if others else 0
            box.y = max(y, middle - box.height / 2)
            y = box.bottom + GAP
    inside = [box for box in boxes.values() if box.column == "functions"]
    reached = [box.middle for box in boxes.values() if box.column == "state" and not box.kind]
    frame = boxes[LAMBDA]
    frame.x, frame.width = inside[0].x - MARGIN, inside[0].width + 2 * MARGIN
    frame.y, frame.height = TOP, max(inside[-1].bottom, *reached) + MARGIN - TOP


Points = list[tuple[float, float]]


def way(drawing: Drawing, link: Link) -> Points:
    """The corners of a link, from its source to its target."""
    source, target = drawing.boxes[link.source], drawing.boxes[link.target]
    if source.column == target.column:
        return down(drawing.column(source.column), source, target)
    if target.x < source.x:  # below the middle: a queue's own arrow is there
        own = target.middle + target.height / 3
        y = own if target.of else min((source, target), key=lambda box: box.height).middle
        return [(source.x, y), (target.right, y)]
    if source.id == LAMBDA or source.column == "outside":
        return [(source.right, target.middle), (target.x, target.middle)]
    y = source.y + PAD if target.column == "state" else source.middle
    if y == target.middle or target.column == "seen":
        return [(source.right, y), (target.x, y)]
    lane = target.x - MARGIN - 5 * drawing.column(source.column).index(source)  # each function its own
    if target.column == "functions":
        lane = (source.right + target.x - MARGIN) / 2
    return [(source.right, y), (lane, y), (lane, target.middle), (target.x, target.middle)]


def down(column: list[Box], source: Box, target: Box) -> Points:
    """To the next box below; around those between, on the right, to any other."""
    if column.index(target) == column.index(source) + 1:
        return [(source.x + source.width / 2, source.bottom), (source.x + source.width / 2, target.y)]
    lane = source.right + MARGIN - 4
    return [
        (source.right, source.middle),
        (lane, source.middle),
        (lane, target.middle),
        (target.right, target.middle),
    ]


# --- SVG

STYLE: Final = """
text { font-family: Helvetica, Arial, "DejaVu Sans", sans-serif; font-size: 12px; fill: #24292f }
.title { font-size: 13px; font-weight: bold }
.small { fill: #57606a }
.heading { font-size: 13px; fill: #57606a; letter-spacing: 1px }
.heading, .outside text { text-anchor: middle }
.box { rx: 6px }
.outside .box { fill: #f6f8fa; stroke: #57606a; stroke-dasharray: 4 3 }
.doors .box { fill: #ddf4ff; stroke: #0969da }
.functions .box { fill: #fff1e5; stroke: #bc4c00 }
.state .box { fill: #dafbe1; stroke: #1a7f37 }
.seen .box { fill: #fbefff; stroke: #8250df }
.alarms .box { fill: #fff8c5; stroke: #9a6700 }
.frame .box { fill: none; stroke: #bc4c00; stroke-dasharray: 6 4 }
.frame .title { font-size: 12px; font-weight: normal; fill: #57606a }
.arrow { fill: none; stroke: #57606a; stroke-width: 1.3 }
.strong { stroke: #cf222e; stroke-width: 2.6 }
.bell { fill: #d4a72c; stroke: #9a6700 }
"""


def svg(drawing: Drawing) -> str:
    """The picture: no script, no other file, the same text every time."""
    height = round(max(box.bottom for box in drawing.boxes.values()) + LEGEND)
    size = f'width="{WIDTH}" height="{height}"'
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" {size} role="img">',
            f"<title>Staff Call on AWS</title><style>{STYLE}</style>",
            head("arrow", "#57606a"),
            head("strong", "#cf222e"),
            f'<rect {size} fill="#fff"/>',
            *(
                words(x + width / 2, 32, "heading", HEADINGS.get(name, name))
                for name, (x, width) in COLUMNS.items()
            ),
            *(line(way(drawing, link), link.strong, link.label) for link in drawing.links),
            *(drawn(box) for box in drawing.boxes.values()),
            *legend(COLUMNS["doors"][0], height - LEGEND / 3),
            "</svg>\n",
        )
    )


def head(id: str, colour: str) -> str:
    """The head of an arrow."""
    size = 'markerUnits="userSpaceOnUse" markerWidth="9" markerHeight="8" refX="8" refY="4" orient="auto"'
    return f'<marker id="{id}" {size}><path d="M0 0 L9 4 L0 8 z" fill="{colour}"/></marker>'


def words(x: float, y: float, kind: str, text: str) -> str:
    """A line of text."""
    return f'<text class="{kind}" x="{x:g}" y="{y:g}">{escape(text)}</text>'


def drawn(box: Box) -> str:
    """A box with its words, and a mark if it is watched."""
    kind = box.kind or box.column
    x, y = box.x + PAD, box.y + PAD + 11
    if kind == "outside":
        x, y = box.x + box.width / 2, box.middle - LINE * len(box.lines) / 2 + 4
    parts = [f'<rect class="box" x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}"/>']
    parts += [words(x, y, "title", box.title or box.id)]
    parts += [words(x, y + LINE * n + 2, "line", text) for n, text in enumerate(box.lines, start=1)]
    parts += [bell(box.right - 2, box.y + 2)] if box.watched else []
    return f'<g class="{kind}" data-of="{" ".join(box.of)}">{"".join(parts)}</g>'


def bell(x: float, y: float) -> str:
    """The mark of what is watched."""
    return f'<circle class="bell" cx="{x:g}" cy="{y:g}" r="6"/>'


def line(points: Points, strong: bool, label: str = "") -> str:
    """An arrow and its label: above it, or at the right of one that goes down."""
    corners, kind = " ".join(f"{x:g},{y:g}" for x, y in points), "strong" if strong else "arrow"
    arrow = f'<polyline class="arrow {kind}" points="{corners}" marker-end="url(#{kind})"/>'
    (x, y), (to_x, to_y) = points[0], points[-1]
    at = (x + 8, (y + to_y) / 2 + 4) if x == to_x else ((x + to_x) / 2 - 4 * len(label), y - 6)
    return arrow + (words(*at, "small", label) if label else "")


def legend(x: float, y: float) -> Iterator[str]:
    """What colours and marks mean."""
    yield line([(x, y - 4), (x + 34, y - 4)], strong=True)
    yield words(x + 42, y, "small", "the way of a press")
    yield bell(x + 196, y - 4) + words(x + 208, y, "small", "an alarm looks at it")
    yield words(x + 350, y, "small", "arrows of the frame: what every function may do")


# --- the page


def table(template: Template) -> str:
    """Who may do what, as Markdown: a row for each statement, but those about logs."""
    rows = [(", ".join(template.holders[name]), each) for name, each in template.policies.items()]
    others = [name for name in template.of_type(ROLE) if name not in template.policies]
    rows += [(name, template.policies_of(name)[name]) for name in others]
    for each in template.of_type(POLICY).values():
        if roles := template.named(each.get("Roles", []), ROLE):
            rows.append((", ".join(roles), each["PolicyDocument"]["Statement"]))
    written = [row(template, who, statement) for who, statements in rows for statement in statements]
    return "\n".join(["| who | may | on |", "|---|---|---|", *filter(None, written)])


def row(template: Template, who: str, statement: Mapping[str, Any]) -> str:
    """One statement; "" for one about logs."""
    rights = [*template.rights([statement])]
    if template.resources.get(rights[0].where, {}).get("Type") in LEFT_OUT:
        return ""
    actions, wheres = (
        dict.fromkeys(f"`{each}`" for each in column) for column in zip(*map(astuple, rights), strict=True)
    )
    return f"| {who} | {', '.join(actions)} | {'<br>'.join(wheres)} |"


def page(text: str, rights: str) -> str:
    """The page with its table as it is now.

    Raises:
        ValueError: the page has no place for it.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{PAGE.name}: expected {BEGIN} and {END}")
    return f"{before}{begin}\n\n{rights}\n\n{end}{after}"


def load() -> Template:
    """The template of the project."""
    return Template(yaml_parse(TEMPLATE.read_text("utf-8")))


def main() -> None:
    """Write both anew."""
    template = load()
    PICTURE.write_text(svg(Drawing(template)), "utf-8")
    PAGE.write_text(page(PAGE.read_text("utf-8"), table(template)), "utf-8")


if __name__ == "__main__":
    main()
