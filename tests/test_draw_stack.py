"""The picture of the stack on AWS and the page around it: what the template says now, all of it, and legible."""

import re
from collections.abc import Callable
from copy import deepcopy
from itertools import combinations, pairwise
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from infra.aws.deploy import TEMPLATE
from tests.draw_stack import (
    LAMBDA,
    LEFT_OUT,
    PAD,
    PAGE,
    PICTURE,
    Box,
    Drawing,
    Template,
    page,
    svg,
    table,
    way,
)
from tests.shop import ROOT

SOURCE: dict[str, Any] = yaml_parse(TEMPLATE.read_text("utf-8"))
ANEW = "run `python -m tests.draw_stack`, and look at the picture"


def changed(change: Callable[[Any], None]) -> Template:
    source = deepcopy(SOURCE)
    change(source["Resources"])
    return Template(source)


def a_function(resources: Any) -> None:
    events = {"Noon": {"Type": "Schedule", "Properties": {"Schedule": "cron(0 12 * * ? *)"}}}
    properties = {
        "Description": "Counts calls",
        "Role": {"Fn::GetAtt": ["SweepRole", "Arn"]},
        "Events": events,
    }
    resources["CountFunction"] = {"Type": "AWS::Serverless::Function", "Properties": properties}


def a_topic(resources: Any) -> None:
    sql = {"Sql": "SELECT * FROM 'staffcall/bells/+'"}
    resources["SlackFunction"]["Properties"]["Events"] = {"Bell": {"Type": "IoTRule", "Properties": sql}}


def a_route(resources: Any) -> None:
    properties = {
        "RouteKey": "PUT /buttons/other",
        "Target": {"Fn::Sub": "integrations/${ButtonIntegration}"},
    }
    resources["OtherRoute"] = {"Type": "AWS::ApiGatewayV2::Route", "Properties": properties}


def a_right(resources: Any) -> None:
    resource = {"Fn::GetAtt": ["HistoryTable", "Arn"]}
    statement = {"Effect": "Allow", "Action": "dynamodb:Scan", "Resource": resource}
    resources["SlackRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"].append(statement)


def a_guests_right(resources: Any) -> None:
    resource = {"Fn::Sub": "arn:${AWS::Partition}:iot:${AWS::Region}:${AWS::AccountId}:thing/pump-*"}
    statement = {"Effect": "Allow", "Action": "iot:GetThingShadow", "Resource": resource}
    resources["KioskRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"].append(statement)


def no_shared_policy(resources: Any) -> None:
    del resources["SweepRole"]["Properties"]["ManagedPolicyArns"]


def another_rule(resources: Any) -> None:
    resources["OtherTable"] = deepcopy(resources["HistoryTable"])
    rule = deepcopy(resources["HistoryRule"])
    rule["Properties"]["TopicRulePayload"]["Actions"][0]["DynamoDBv2"]["PutItem"]["TableName"] = {
        "Ref": "OtherTable"
    }
    resources["OtherRule"] = rule


def fewer_tries(resources: Any) -> None:
    resources["TimerQueue"]["Properties"]["RedrivePolicy"]["maxReceiveCount"] = 2


def another_alarm(resources: Any) -> None:
    alarm = deepcopy(resources["DeadLettersAlarm"])
    alarm["Properties"]["Dimensions"] = [{"Name": "TableName", "Value": {"Ref": "UnknownTable"}}]
    resources["TableAlarm"] = alarm


CHANGES = (
    a_function,
    a_topic,
    a_route,
    a_right,
    a_guests_right,
    no_shared_policy,
    another_rule,
    fewer_tries,
    another_alarm,
)
SAID: dict[Callable[[Any], None], tuple[str, ...]] = {
    a_function: ("CountFunction", "Counts calls", "cron(0 12 * * ? *)", "5 functions"),
    a_topic: ("staffcall/bells/+",),
    a_route: ("PUT /buttons/other",),
    a_guests_right: ("getthingshadow: pump-*",),
    another_rule: ("OtherRule", "OtherTable"),
    fewer_tries: ("after 2 tries",),
    another_alarm: ("12 alarms",),
}


def test_what_is_committed_is_drawn_from_the_template_of_now() -> None:
    template = Template(SOURCE)
    assert PICTURE.read_text("utf-8") == svg(Drawing(template)), ANEW
    assert PAGE.read_text("utf-8") == page(PAGE.read_text("utf-8"), table(template)), ANEW


def test_every_resource_is_in_the_picture_but_the_kinds_that_are_left_out() -> None:
    drawn = {
        name
        for names in re.findall(r'data-of="([^"]*)"', PICTURE.read_text("utf-8"))
        for name in names.split()
    }
    types = {name: each["Type"] for name, each in SOURCE["Resources"].items()}
    assert drawn == {name for name, type in types.items() if type not in LEFT_OUT}
    assert set(types.values()) >= LEFT_OUT


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_the_template_shows(change: Callable[[Any], None]) -> None:
    before, after = svg(Drawing(Template(SOURCE))), svg(Drawing(changed(change)))
    assert after != before
    for text in SAID.get(change, ()):
        assert f">{text}<" in after or f": {text}<" in after, text
        assert text not in before


@pytest.mark.parametrize("change", [a_right, a_guests_right, no_shared_policy])
def test_a_change_of_rights_shows_in_the_table(change: Callable[[Any], None]) -> None:
    assert table(changed(change)) != table(Template(SOURCE))


def a_kind(resources: Any) -> None:
    resources["Stream"] = {"Type": "AWS::Kinesis::Stream"}


def an_event(resources: Any) -> None:
    resources["SweepFunction"]["Properties"]["Events"]["More"] = {"Type": "Kinesis", "Properties": {}}


def a_strange_right(resources: Any) -> None:
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::elsewhere/*"}
    resources["SlackRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"].append(statement)


@pytest.mark.parametrize(
    ("change", "named"), [(a_kind, "Stream"), (an_event, "Kinesis"), (a_strange_right, "s3:GetObject")]
)
def test_what_has_no_place_in_the_picture_is_an_error_that_names_it(
    change: Callable[[Any], None], named: str
) -> None:
    with pytest.raises(ValueError, match=f"{named}.* has no place in the picture"):
        Drawing(changed(change))


# --- legible


@pytest.fixture(params=[None, a_function, a_topic, a_route, a_right, another_rule, another_alarm])
def drawing(request: pytest.FixtureRequest) -> Drawing:
    return Drawing(changed(request.param or (lambda _: None)))


def inside(box: Box, x: float, y: float) -> bool:
    return box.x < x < box.right and box.y < y < box.bottom


def test_no_two_boxes_overlap(drawing: Drawing) -> None:
    boxes = [box for box in drawing.boxes.values() if box.id != LAMBDA]
    for one, other in combinations(boxes, 2):
        apart = one.right <= other.x or other.right <= one.x or one.bottom <= other.y or other.bottom <= one.y
        assert apart, (one.id, other.id)


def test_no_arrow_runs_through_a_box(drawing: Drawing) -> None:
    boxes = [box for box in drawing.boxes.values() if box.id != LAMBDA]
    for link in drawing.links:
        for (x, y), (to_x, to_y) in pairwise(way(drawing, link)):
            for box in boxes:
                steps = [(x + (to_x - x) * n / 200, y + (to_y - y) * n / 200) for n in range(201)]
                assert not any(inside(box, *step) for step in steps), (link, box.id)


def test_every_arrow_ends_at_the_edge_of_its_box(drawing: Drawing) -> None:
    for link in drawing.links:
        points = way(drawing, link)
        for id, (x, y) in ((link.source, points[0]), (link.target, points[-1])):
            box = drawing.boxes[id]
            assert box.x <= x <= box.right, link
            assert box.y <= y <= box.bottom, link
            assert not inside(box, x, y), link


def test_every_line_of_text_fits_its_box(drawing: Drawing) -> None:
    for box in drawing.boxes.values():
        # As Chromium measures the longest of these lines in DejaVu Sans, the widest of the fonts that are asked for.
        widths = [5.9 * len(line) for line in box.lines] + [7.3 * len(box.title or box.id)]
        assert max(widths) + PAD <= box.width, box.id


# --- the page


def test_the_page_tells_of_every_alarm_and_every_function() -> None:
    text = PAGE.read_text("utf-8")
    for name, each in SOURCE["Resources"].items():
        if each["Type"] in ("AWS::CloudWatch::Alarm", "AWS::Serverless::Function"):
            assert f"`{name}`" in text, name


def test_every_file_that_the_page_names_is_there() -> None:
    named = re.findall(r"`((?:tests|infra|docs)/[\w/.]+)`|\]\(([\w/.]+)\)", PAGE.read_text("utf-8"))
    files = [ROOT / path if path else PAGE.parent / link for path, link in named]
    assert len(files) > 10
    assert [str(file) for file in files if not file.exists()] == []
